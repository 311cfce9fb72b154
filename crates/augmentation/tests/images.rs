//! What pipelines do to images: identities, replay, independence of batches and threads, and refused images.

use augmentation::corrupt;
use augmentation::{
    Applied, CATALOGUE, Error, Factor, FillMode, FlipMode, FlipParameters, Image, Interpolation, Pipeline, RandomFlip,
    RandomRotation, RandomTranslation, RandomZoom, RotationParameters, Transform, Transformation,
    TranslationParameters, ValueRange, ZoomParameters,
};
use kernels::random::Stream;
use proptest::prelude::*;

fn noise(height: usize, width: usize, channels: usize, seed: u64) -> Image {
    let mut data = vec![0f32; height * width * channels];
    Stream::new(seed)
        .op("test image")
        .draws()
        .fill_uniform(&mut data, 0.0, 255.0);
    Image::new(height, width, channels, data).unwrap()
}

/// Waves that are longer than the image, where interpolating once and thrice come close.
fn smooth(height: usize, width: usize) -> Image {
    let value = |i: usize| 128.0 + 60.0 * ((i / width) as f32 * 0.21).sin() + 60.0 * ((i % width) as f32 * 0.17).cos();
    Image::new(height, width, 1, (0..height * width).map(value).collect()).unwrap()
}

#[track_caller]
fn assert_near(a: &Image, b: &Image, tolerance: f32) {
    assert_eq!(a.shape(), b.shape());
    for (i, (x, y)) in a.data.iter().zip(&b.data).enumerate() {
        assert!((x - y).abs() <= tolerance, "value {i}: {x} and {y}");
    }
}

/// A pipeline of everything that keeps the shape and takes RGB.
fn everything() -> Pipeline {
    let shapes = ["RandomCrop", "CenterCrop", "Resizing"];
    let steps = CATALOGUE.iter().filter(|e| !shapes.contains(&e.class_name));
    let step = |e: &augmentation::Entry| Transform::from_config(e.class_name, e.default_config()).unwrap().into();
    Pipeline::new(steps.map(step).collect()).unwrap()
}

#[test]
fn the_same_bits_for_any_batch_order_and_number_of_threads() {
    let text = "flip | rotate(0.1) @ 0.7 | one_of(zoom(0.2), elastic, blur) | some_of(2, contrast(0.3), hue(0.2), erase, \
                gaussian_noise(0.1)) | translate(0.1, 0.1) | perspective @ 0.5 | salt_and_pepper(0.1)";
    for pipeline in [Pipeline::parse(text).unwrap(), everything()] {
        let (n, size) = (12, 9 * 7 * 3);
        let samples: Vec<u64> = (0..n).map(|i| 1000 + 7 * i).collect();
        let original: Vec<f32> = (0..n).flat_map(|i| noise(9, 7, 3, i).data).collect();
        let run = |threads: usize, order: &[usize]| -> Vec<f32> {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let mut batch: Vec<f32> = order
                .iter()
                .flat_map(|&i| original[i * size..][..size].to_vec())
                .collect();
            let samples: Vec<u64> = order.iter().map(|&i| samples[i]).collect();
            pool.install(|| pipeline.apply_batch(&mut batch, (9, 7, 3), &samples, 5, 2))
                .unwrap();
            batch
        };
        let order: Vec<usize> = (0..n as usize).collect();
        let expected = run(1, &order);
        assert_ne!(expected, original);
        for threads in [2, 3] {
            assert_eq!(run(threads, &order), expected);
        }
        let mut shuffled = order.clone();
        Stream::new(9).draws().shuffle(&mut shuffled);
        let found = run(2, &shuffled);
        for (place, &i) in shuffled.iter().enumerate() {
            assert_eq!(found[place * size..][..size], expected[i * size..][..size], "image {i}");
        }
        // One alone, through `apply`.
        let mut image = noise(9, 7, 3, 4);
        pipeline.apply(&mut image, Pipeline::stream(5, 2, samples[4])).unwrap();
        assert_eq!(image.data, expected[4 * size..][..size]);
        // Another epoch, other draws.
        let mut batch = original.clone();
        pipeline.apply_batch(&mut batch, (9, 7, 3), &samples, 5, 3).unwrap();
        assert_ne!(batch, expected);
    }
}

#[test]
fn what_was_recorded_can_be_read_and_replayed() {
    let pipeline = Pipeline::parse(
        "(flip | rotate(0.1)) @ 0.8 | one_of(zoom(0.2), invert | crop(8, 8) | resize(10, 12)) | gaussian_noise(0.2)",
    );
    for pipeline in [pipeline.unwrap(), everything()] {
        for sample in 0..10 {
            let mut image = noise(10, 12, 3, sample);
            let mut again = image.clone();
            let applied = pipeline.apply(&mut image, Stream::new(1).sample(sample)).unwrap();
            let text = serde_json::to_string(&applied).unwrap();
            let read: Applied = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
            assert_eq!(read, applied);
            pipeline.replay(&mut again, &read).unwrap();
            assert_eq!(again, image);
        }
    }
}

#[test]
fn a_record_of_another_pipeline_is_refused() {
    let (flip, invert) = (Pipeline::parse("flip").unwrap(), Pipeline::parse("invert").unwrap());
    let mut image = noise(3, 3, 1, 0);
    let applied = flip.apply(&mut image, Stream::new(0)).unwrap();
    let error = invert.replay(&mut image, &applied).unwrap_err().to_string();
    assert!(
        error.contains("RandomInvert") && error.contains("RandomFlip"),
        "{error}"
    );
    let error = Pipeline::default()
        .replay(&mut image, &applied)
        .unwrap_err()
        .to_string();
    assert!(error.contains("no transformation there"), "{error}");
}

#[test]
fn steps_happen_as_often_as_their_probability_says() {
    let pipeline =
        Pipeline::parse("invert([1, 1]) @ 0.3 | one_of(brightness(0.1), contrast(0.1), posterize(3))").unwrap();
    let (n, mut inverted, mut branches) = (2000, 0, [0; 3]);
    for sample in 0..n {
        let applied = pipeline
            .apply(&mut noise(1, 1, 1, 0), Stream::new(2).sample(sample))
            .unwrap();
        for step in applied.steps {
            match step.path[..] {
                [0] => inverted += 1,
                [1, branch, 0] => branches[branch] += 1,
                ref other => panic!("{other:?}"),
            }
        }
    }
    let near = |count: i32, p: f64| (f64::from(count) - n as f64 * p).abs() < 4.0 * (n as f64 * p * (1.0 - p)).sqrt();
    assert!(near(inverted, 0.3), "{inverted}");
    assert!(branches.iter().all(|&count| near(count, 1.0 / 3.0)), "{branches:?}");
}

#[test]
fn a_batch_names_the_value_that_is_not_finite_whatever_is_drawn() {
    for (text, channels) in [
        ("flip(horizontal)", 1),
        ("flip(horizontal)", 3),
        ("flip(vertical)", 3),
        ("flip | contrast(0.2)", 3),
    ] {
        let pipeline = Pipeline::parse(text).unwrap();
        for sample in 0..40 {
            let mut image = noise(4, 5, channels, sample);
            image.data[(2 * 5 + 1) * channels] = f32::NAN;
            let original = image.data.clone();
            let error = pipeline
                .apply_batch(&mut image.data, (4, 5, channels), &[sample], 1, 0)
                .unwrap_err()
                .to_string();
            assert!(
                error.contains("the pixel at row 2, column 1, channel 0 is NaN"),
                "{text}: {error}"
            );
            let bits = |data: &[f32]| data.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&image.data), bits(&original), "{text}");
        }
    }
}

#[test]
fn images_that_are_none_are_refused() {
    let pipeline = Pipeline::parse("flip | hue(0.1)").unwrap();
    let apply = |height, width, channels, data: Vec<f32>| {
        let mut image = Image {
            height,
            width,
            channels,
            data,
        };
        pipeline.apply(&mut image, Stream::new(0)).unwrap_err()
    };
    assert!(matches!(
        apply(0, 3, 1, vec![]),
        Error::EmptyImage {
            height: 0,
            width: 3,
            channels: 1
        }
    ));
    assert!(matches!(
        apply(2, 2, 3, vec![0.0; 11]),
        Error::WrongLength { found: 11, .. }
    ));
    assert!(matches!(
        apply(2, 2, 1, vec![0.0; 4]),
        Error::Channels {
            transformation: "RandomHue",
            found: 1,
            ..
        }
    ));
    assert!(matches!(apply(usize::MAX, 2, 3, vec![0.0; 4]), Error::TooLarge { .. }));
    let error = apply(2, 2, 3, [vec![0.0; 10], vec![f32::NAN, 0.0]].concat());
    assert_eq!(
        error.to_string(),
        "the pixel at row 1, column 1, channel 1 is NaN; augment finite values only"
    );
    assert!(matches!(
        apply(1, 1, 3, vec![0.0, f32::INFINITY, 0.0]),
        Error::NotFinite { channel: 1, .. }
    ));
    assert!(matches!(Image::new(1, 1, 0, vec![]), Err(Error::EmptyImage { .. })));
}

#[test]
fn batches_that_do_not_fit_are_refused() {
    let flip = Pipeline::parse("flip").unwrap();
    let run = |pipeline: &Pipeline, values: usize, shape, samples: &[u64]| {
        pipeline
            .apply_batch(&mut vec![0.0; values], shape, samples, 0, 0)
            .unwrap_err()
    };
    assert!(matches!(
        run(&flip, 7, (2, 2, 1), &[0]),
        Error::WrongLength { found: 7, .. }
    ));
    assert!(matches!(
        run(&flip, 8, (2, 2, 1), &[0]),
        Error::Samples { samples: 1, images: 2 }
    ));
    assert!(matches!(run(&flip, 0, (0, 2, 1), &[]), Error::EmptyImage { .. }));
    let crop = Pipeline::parse("flip | crop(1, 1)").unwrap();
    assert!(matches!(
        run(&crop, 8, (2, 2, 1), &[0, 1]),
        Error::ShapeChanges { step: 1, .. }
    ));
    assert!(flip.apply_batch(&mut [], (2, 2, 1), &[], 0, 0).is_ok());
}

#[test]
fn one_pixel_survives_everything() {
    for channels in [1, 3] {
        for entry in CATALOGUE {
            let transform = Transform::from_config(entry.class_name, entry.default_config()).unwrap();
            let pipeline = Pipeline::new(vec![transform.into()]).unwrap();
            for sample in 0..4 {
                let mut image = noise(1, 1, channels, sample);
                match pipeline.apply(&mut image, Stream::new(1).sample(sample)) {
                    Ok(_) => image.check().unwrap_or_else(|e| panic!("{}: {e}", entry.name)),
                    Err(Error::Channels { found: 1, .. }) => assert_eq!(channels, 1),
                    Err(error) => panic!("{}: {error}", entry.name),
                }
            }
        }
    }
}

#[test]
fn corruptions_grow_with_their_severity() {
    for (height, width, channels) in [(8, 8, 1), (28, 28, 1), (32, 32, 3)] {
        let clean = Image {
            channels,
            data: smooth(height, width * channels).data,
            ..smooth(height, width)
        };
        for corruption in corrupt::ALL {
            let mut last = 0.0;
            for severity in 1..=5 {
                let mut image = clean.clone();
                corruption
                    .apply(&mut image, severity, ValueRange::BYTES, Stream::new(3).sample(8))
                    .unwrap();
                let damage = image
                    .data
                    .iter()
                    .zip(&clean.data)
                    .map(|(a, b)| (a - b).powi(2))
                    .sum::<f32>();
                assert!(
                    damage > last,
                    "{corruption} {severity} of {height}x{width}: {damage} after {last}"
                );
                last = damage;
            }
        }
    }
    let mut image = smooth(8, 8);
    for severity in [0, 6] {
        let error = corrupt::Corruption::Blur.apply(&mut image, severity, ValueRange::BYTES, Stream::new(3));
        assert!(matches!(error, Err(Error::Severity { .. })));
    }
}

#[test]
fn a_batch_is_damaged_as_its_images_are() {
    let mut batch: Vec<f32> = (0..3).flat_map(|i| noise(8, 8, 1, i).data).collect();
    let mut alone = noise(8, 8, 1, 2);
    for corruption in corrupt::ALL {
        corruption
            .apply_batch(&mut batch, (8, 8, 1), &[4, 9, 1], 3, ValueRange::BYTES, 11)
            .unwrap();
        corruption
            .apply(&mut alone, 3, ValueRange::BYTES, Stream::new(11).sample(1))
            .unwrap();
        assert_eq!(alone.data, batch[128..], "{corruption}");
    }
}

fn fill_mode() -> impl Strategy<Value = FillMode> {
    prop_oneof![
        Just(FillMode::Constant),
        Just(FillMode::Nearest),
        Just(FillMode::Wrap),
        Just(FillMode::Reflect)
    ]
}

fn interpolation() -> impl Strategy<Value = Interpolation> {
    prop_oneof![Just(Interpolation::Nearest), Just(Interpolation::Bilinear)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn parameters_of_nothing_change_nothing(
        (h, w, c, seed) in (1..9usize, 1..9usize, 1..5usize, 0..100u64),
        fill_mode in fill_mode(),
        interpolation in interpolation(),
    ) {
        let original = noise(h, w, c, seed);
        let mut image = original.clone();
        let rotation = RandomRotation { fill_mode, interpolation, ..Default::default() };
        rotation.apply(&mut image, &RotationParameters { angle: 0.0 }).unwrap();
        let shift = RandomTranslation { fill_mode, interpolation, ..Default::default() };
        shift.apply(&mut image, &TranslationParameters { translations: [0.0, 0.0] }).unwrap();
        let zoom = RandomZoom { fill_mode, interpolation, ..Default::default() };
        zoom.apply(&mut image, &ZoomParameters { height_zoom: 1.0, width_zoom: 1.0 }).unwrap();
        prop_assert_eq!(&image, &original);
        let text = format!("resize({h}, {w}) | contrast([0, 0], value_range=[0, 256]) | brightness(0, value_range=[0, 256]) \
                            | gaussian_noise(0, value_range=[0, 256]) | erase(0) | perspective(0) | center_crop({h}, {w})");
        Pipeline::parse(&text).unwrap().apply(&mut image, Stream::new(seed)).unwrap();
        assert_near(&image, &original, 1e-4);
    }

    #[test]
    fn flipped_twice_is_as_before((h, w, c, seed) in (1..9usize, 1..9usize, 1..5usize, 0..100u64)) {
        let original = noise(h, w, c, seed);
        for mode in [FlipMode::Horizontal, FlipMode::Vertical, FlipMode::HorizontalAndVertical] {
            let flip = RandomFlip { mode };
            let mut image = original.clone();
            flip.apply(&mut image, &FlipParameters { flips: true }).unwrap();
            // The warp of a flip moves the same pixels.
            let mut warped = original.clone();
            flip.warp(&FlipParameters { flips: true }, original.shape()).unwrap().apply(&mut warped);
            prop_assert_eq!(&warped, &image);
            flip.apply(&mut image, &FlipParameters { flips: true }).unwrap();
            prop_assert_eq!(&image, &original);
        }
    }

    #[test]
    fn a_merged_warp_is_its_steps_one_after_the_other(seed in 0..1000u64) {
        let original = smooth(40, 44);
        let text = "flip | rotate(0.03) | translate(0.05, 0.05) | shear(0.05, 0.05) | zoom(0.1)";
        let pipeline = Pipeline::parse(text).unwrap();
        let mut merged = original.clone();
        pipeline.apply(&mut merged, Stream::new(seed)).unwrap();
        let mut single = original;
        pipeline.merge_affine(false).apply(&mut single, Stream::new(seed)).unwrap();
        for y in 14..26 {
            for x in 14..30 {
                let (a, b) = (merged.pixel(y, x)[0], single.pixel(y, x)[0]);
                prop_assert!((a - b).abs() < 2.5, "({}, {}): {} and {}", y, x, a, b);
            }
        }
    }

    #[test]
    fn draws_stay_inside_of_their_factors((seed, low, high) in (0..1000u64, -1.0..=1.0f64, -1.0..=1.0f64)) {
        let shape = (10, 20, 1).into();
        let (low, high) = (low.min(high), low.max(high));
        let mut draws = Stream::new(seed).draws();
        let factor = Factor::Pair([low, high]);
        let angle = RandomRotation { factor, ..Default::default() }.draw(&mut draws, shape).angle;
        prop_assert!((low * 360.0..=high * 360.0).contains(&angle));
        let translation = RandomTranslation { height_factor: factor, width_factor: factor, ..Default::default() };
        let [x, y] = translation.draw(&mut draws, shape).translations;
        prop_assert!((low * 20.0..=high * 20.0).contains(&x) && (low * 10.0..=high * 10.0).contains(&y));
        let zoom = RandomZoom { height_factor: factor, ..Default::default() }.draw(&mut draws, shape);
        prop_assert!((1.0 + low..=1.0 + high).contains(&zoom.height_zoom) && zoom.height_zoom == zoom.width_zoom);
    }
}
