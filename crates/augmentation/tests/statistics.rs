//! The draws as a statistician looks at them: uniform, independent of each other, as frequent as said.
//!
//! All bounds are five standard deviations (or what is as rare), so that a right generator fails for one seed in a million
//! and a wrong one for most; several seeds are tried.

use augmentation::{Applied, Image, Parameters, Pipeline};

/// Draws of a statistic.
const N: u64 = 8000;

const SEEDS: [u64; 3] = [1, 6020, u64::MAX];

/// What happens to an image of 8 x 6 x 3 for (seed, epoch, sample).
fn draw(pipeline: &Pipeline, seed: u64, epoch: u64, sample: u64) -> Applied {
    let mut image = Image::new(8, 6, 3, vec![0.5; 144]).unwrap();
    pipeline
        .apply(&mut image, Pipeline::stream(seed, epoch, sample))
        .unwrap()
}

/// The number of the step's draw as a part of its range, uniform in [0, 1) if all is well.
fn part(applied: &Applied, step: usize) -> f64 {
    match &applied.steps[step].parameters {
        Parameters::RandomRotation(p) => (p.angle / 360.0 + 0.5).clamp(0.0, 1.0),
        Parameters::RandomBrightness(p) => f64::from(p.rgb_delta) / 2.0 + 0.5,
        other => panic!("{other:?}"),
    }
}

/// Chi squared of counts that should be equal, as a number that is normal with mean 0 and deviation 1 (Wilson, Hilferty).
fn deviation(counts: &[u64]) -> f64 {
    let expected = counts.iter().sum::<u64>() as f64 / counts.len() as f64;
    let chi: f64 = counts.iter().map(|&n| (n as f64 - expected).powi(2) / expected).sum();
    let k = (counts.len() - 1) as f64;
    ((chi / k).cbrt() - (1.0 - 2.0 / (9.0 * k))) / (2.0 / (9.0 * k)).sqrt()
}

#[track_caller]
fn assert_even(what: &str, counts: &[u64]) {
    let z = deviation(counts);
    assert!(z < 5.0, "{what}: {z} deviations from even: {counts:?}");
}

fn histogram(parts: &[f64], bins: usize) -> Vec<u64> {
    let mut counts = vec![0; bins];
    for part in parts {
        counts[((part * bins as f64) as usize).min(bins - 1)] += 1;
    }
    counts
}

/// The correlation of two lists of uniform numbers, in standard deviations of what chance gives.
fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let sum: f64 = a.iter().zip(b).map(|(a, b)| (a - 0.5) * (b - 0.5)).sum();
    12.0 * sum / (a.len() as f64).sqrt()
}

#[test]
fn draws_are_uniform_and_independent_of_sample_epoch_step_and_seed() {
    let pipeline =
        Pipeline::parse("rotate([-0.5, 0.5]) | rotate([-0.5, 0.5]) | brightness([-1, 1], value_range=[0, 1])")
            .unwrap()
            .merge_affine(false);
    let parts = |seed: u64, epoch: u64, step: usize| -> Vec<f64> {
        (0..N)
            .map(|sample| part(&draw(&pipeline, seed, epoch, sample), step))
            .collect()
    };
    for seed in SEEDS {
        let first = parts(seed, 0, 0);
        assert_even("angles of all samples", &histogram(&first, 40));
        let of_epochs: Vec<f64> = (0..N).map(|epoch| part(&draw(&pipeline, seed, epoch, 3), 0)).collect();
        assert_even("angles of all epochs", &histogram(&of_epochs, 40));
        let of_seeds: Vec<f64> = (0..N)
            .map(|k| part(&draw(&pipeline, seed.wrapping_add(k), 0, 3), 0))
            .collect();
        assert_even("angles of all seeds", &histogram(&of_seeds, 40));
        for lag in [1, 2, 7, 128] {
            let z = correlation(&first[..first.len() - lag], &first[lag..]);
            assert!(z.abs() < 5.0, "samples {lag} apart: {z}");
        }
        let (second, third) = (parts(seed, 0, 1), parts(seed, 0, 2));
        let (next_epoch, next_seed) = (parts(seed, 1, 0), parts(seed.wrapping_add(1), 0, 0));
        for (what, other) in [
            ("the same step twice", &second),
            ("another step", &third),
            ("the next epoch", &next_epoch),
            ("the next seed", &next_seed),
        ] {
            let z = correlation(&first, other);
            assert!(z.abs() < 5.0, "{what}: correlation {z}");
            // Also where there is no line: pairs over a grid of 6 x 6.
            let cell = |part: f64| ((part * 6.0) as usize).min(5);
            let mut pairs = vec![0; 36];
            first
                .iter()
                .zip(other)
                .for_each(|(a, b)| pairs[cell(*a) * 6 + cell(*b)] += 1);
            assert_even(what, &pairs);
        }
    }
}

#[test]
fn steps_and_branches_happen_as_often_as_they_should() {
    let text = "invert @ 0.05 | flip @ 0.5 | (rotate(0.1) | zoom(0.1) @ 0.25) @ 0.8 \
                | one_of(blur, equalize, grayscale, posterize(4), elastic) | some_of(2, hue(0.1), erase, jpeg, fog)";
    let pipeline = Pipeline::parse(text).unwrap();
    for seed in SEEDS {
        let (mut counts, mut branches, mut pairs) = ([0u64; 4], [0u64; 5], [0u64; 6]);
        let mut flipped = Vec::new();
        for sample in 0..N {
            let applied = draw(&pipeline, seed, 0, sample);
            let mut chosen = Vec::new();
            let mut flip = 0.0;
            for step in &applied.steps {
                match step.path[..] {
                    [0] => counts[0] += 1,
                    [1] => {
                        counts[1] += 1;
                        flip = 1.0;
                    }
                    [2, 0] => counts[2] += 1,
                    [2, 1] => counts[3] += 1,
                    [3, branch, 0] => branches[branch] += 1,
                    [4, branch, 0] => chosen.push(branch),
                    ref other => panic!("{other:?}"),
                }
            }
            flipped.push(flip);
            let pair = [[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]]
                .iter()
                .position(|pair| chosen == pair);
            pairs[pair.unwrap_or_else(|| panic!("{chosen:?}"))] += 1;
        }
        for (count, p) in counts.into_iter().zip([0.05, 0.5, 0.8, 0.8 * 0.25]) {
            let z = (count as f64 - N as f64 * p) / (N as f64 * p * (1.0 - p)).sqrt();
            assert!(z.abs() < 5.0, "{count} of {N} with probability {p}: {z}");
        }
        assert_even("branches", &branches);
        assert_even("pairs of branches", &pairs);
        // Whether one sample is flipped says nothing about the next: a quarter of the pairs are of two flipped ones.
        let both = flipped.windows(2).filter(|w| w[0] + w[1] == 2.0).count() as f64;
        let z = (both / (N - 1) as f64 - 0.25) / (0.25f64 * 0.75 / N as f64 * 1.67).sqrt();
        assert!(z.abs() < 5.0, "{both} pairs: {z}");
    }
}

#[test]
fn the_noise_of_two_images_has_nothing_in_common() {
    let pipeline = Pipeline::parse("gaussian_noise([0.1, 0.1], value_range=[-1, 1])").unwrap();
    let noise = |sample: u64| {
        let mut image = Image::new(50, 50, 1, vec![0.0; 2500]).unwrap();
        pipeline.apply(&mut image, Pipeline::stream(1, 0, sample)).unwrap();
        image.data
    };
    let images: Vec<Vec<f32>> = (0..6).map(noise).collect();
    for (i, a) in images.iter().enumerate() {
        let variance = a.iter().map(|v| v * v).sum::<f32>() / 2500.0;
        // 0.1 of a range of 2, squared; the deviation of a variance is sqrt(2 / n) of it.
        assert!(
            (variance - 0.04).abs() < 5.0 * 0.04 * (2.0f32 / 2500.0).sqrt(),
            "{variance}"
        );
        for b in &images[..i] {
            let product = a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>() / 0.04;
            assert!(product.abs() < 5.0 * 50.0, "{product}");
        }
    }
}
