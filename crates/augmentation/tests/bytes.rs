//! Images of bytes, and images with an alpha channel.

use augmentation::{CATALOGUE, Entry, Error, Image, Pipeline, Transform, ValueRange};
use kernels::random::Stream;

fn noise(height: usize, width: usize, channels: usize, seed: u64) -> Vec<u8> {
    let mut data = vec![0f32; height * width * channels];
    Stream::new(seed)
        .op("bytes")
        .draws()
        .fill_uniform(&mut data, 0.0, 255.99);
    data.into_iter().map(|v| v as u8).collect()
}

fn pipeline(entry: &Entry) -> Pipeline {
    let transform = Transform::from_config(entry.class_name, entry.default_config()).unwrap();
    Pipeline::new(vec![transform.into()]).unwrap()
}

/// What changes the size, or the range of the values.
fn fits_bytes(entry: &Entry) -> bool {
    !["RandomCrop", "CenterCrop", "Resizing", "Rescaling", "Normalization"].contains(&entry.class_name)
}

/// Transformations that jump where a value crosses a threshold: a rounded value may fall on the other side.
fn jumps(entry: &Entry) -> bool {
    ["RandAugment", "AugMix", "AutoAugment", "TrivialAugment"].contains(&entry.class_name)
}

#[test]
fn bytes_are_transformed_as_floats_are_within_one_level() {
    for (height, width, channels) in [(9, 7, 1), (28, 28, 1), (40, 33, 3), (12, 12, 4)] {
        for entry in CATALOGUE.iter().filter(|entry| fits_bytes(entry) && !jumps(entry)) {
            let needs_colours = channels == 1 && ["RandomHue", "RandomSaturation"].contains(&entry.class_name);
            if needs_colours {
                continue;
            }
            let pipeline = pipeline(entry);
            for sample in 0..6 {
                let original = noise(height, width, channels, sample);
                let mut floats: Vec<f32> = original.iter().map(|&v| f32::from(v)).collect();
                let mut bytes = original;
                let shape = (height, width, channels);
                pipeline.apply_batch(&mut floats, shape, &[sample], 3, 1).unwrap();
                pipeline
                    .apply_batch_bytes(&mut bytes, ValueRange::BYTES, shape, &[sample], 3, 1)
                    .unwrap();
                for (i, (byte, float)) in bytes.iter().zip(&floats).enumerate() {
                    let exact = float.clamp(0.0, 255.0);
                    assert!(
                        (f32::from(*byte) - exact).abs() <= 1.0,
                        "{} {shape:?} {sample}, {i}: {byte} for {exact}",
                        entry.name
                    );
                }
            }
        }
    }
}

#[test]
fn bytes_may_stand_for_any_range() {
    let text =
        "flip | rotate(0.1, fill_mode=constant, fill_value=0.5) | contrast(0.3) | solarize(0.1, 0.7) | posterize(5)";
    let bytes = noise(16, 16, 3, 1);
    let run = |range: ValueRange, fill: &str| {
        let pipeline = Pipeline::parse_for(&text.replace("0.5", fill), range).unwrap();
        let mut batch = bytes.clone();
        pipeline
            .apply_batch_bytes(&mut batch, range, (16, 16, 3), &[5], 1, 0)
            .unwrap();
        batch
    };
    let (unit, plain) = (run(ValueRange::UNIT, "0.5"), run(ValueRange::BYTES, "127.5"));
    let differ = unit.iter().zip(&plain).filter(|(a, b)| a.abs_diff(**b) > 1).count();
    // Levels next to the threshold of a later step may fall on its other side.
    assert!(differ <= unit.len() / 50, "{differ} of {}", unit.len());
}

#[test]
fn the_same_bytes_for_any_batch_and_number_of_threads() {
    let text = "flip | rotate(0.1) @ 0.7 | pad_and_crop(3) | contrast(0.3) | rand_augment | jpeg @ 0.5 | shot_noise | coarse_dropout";
    let pipeline = Pipeline::parse(text).unwrap();
    let size = 20 * 18 * 3;
    let original: Vec<u8> = (0..9).flat_map(|i| noise(20, 18, 3, i)).collect();
    let samples: Vec<u64> = (100..109).collect();
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let mut batch = original.clone();
        pool.install(|| pipeline.apply_batch_bytes(&mut batch, ValueRange::BYTES, (20, 18, 3), &samples, 8, 2))
            .unwrap();
        batch
    };
    let one = run(1);
    assert!(run(2) == one && one != original);
    let mut alone = original[4 * size..5 * size].to_vec();
    pipeline
        .apply_batch_bytes(&mut alone, ValueRange::BYTES, (20, 18, 3), &samples[4..5], 8, 2)
        .unwrap();
    assert_eq!(alone, one[4 * size..5 * size]);
}

#[test]
fn what_bytes_cannot_hold_is_refused() {
    for text in ["rescale(0.5)", "normalize(0.5, 0.2)"] {
        let pipeline = Pipeline::parse(text).unwrap();
        let error = pipeline
            .apply_batch_bytes(&mut [1; 4], ValueRange::BYTES, (2, 2, 1), &[0], 0, 0)
            .unwrap_err();
        assert!(matches!(error, Error::Range { .. }), "{error}");
    }
    let crop = Pipeline::parse("crop(1, 1)").unwrap();
    let error = crop
        .apply_batch_bytes(&mut [1; 4], ValueRange::BYTES, (2, 2, 1), &[0], 0, 0)
        .unwrap_err();
    assert!(matches!(error, Error::ShapeChanges { .. }), "{error}");
    let flip = Pipeline::parse("flip").unwrap();
    assert!(
        flip.apply_batch_bytes(&mut [1; 4], ValueRange { low: 1.0, high: 0.0 }, (2, 2, 1), &[0], 0, 0)
            .is_err()
    );
}

#[test]
fn transformations_of_colours_leave_alpha_alone() {
    for name in [
        "hue",
        "saturation",
        "grayscale",
        "color_degeneration",
        "jpeg",
        "fog",
        "shadow",
    ] {
        let entry = augmentation::find(name).unwrap();
        let pipeline = pipeline(entry);
        let mut changed = false;
        for sample in 0..20 {
            let data = noise(10, 10, 4, sample).into_iter().map(f32::from).collect();
            let original = Image::new(10, 10, 4, data).unwrap();
            let mut image = original.clone();
            pipeline.apply(&mut image, Stream::new(2).sample(sample)).unwrap();
            changed |= image != original;
            let alpha =
                |image: &Image| -> Vec<f32> { image.data.iter().skip(3).step_by(4).map(|v| v.round()).collect() };
            assert_eq!(alpha(&image), alpha(&original), "{name}");
        }
        assert!(changed, "{name}");
    }
}
