//! Steps that blend samples: what is written, what is drawn, and where they are refused.

use augmentation::{Blend, Error, Image, Mix, Pipeline, ValueRange, mix::MixUp};
use kernels::random::Stream;

const TEXT: &str = "flip(horizontal) | rotate(0.1) @ 0.5 | mixup(0.2) @ 0.25 | one_of(mixup(1), cutmix([0.2, 0.8]))";

#[test]
fn what_is_written_is_read_back() {
    let pipeline = Pipeline::parse(TEXT).unwrap();
    assert_eq!(pipeline.to_string(), TEXT);
    assert_eq!(Pipeline::from_json(&pipeline.to_json()).unwrap(), pipeline);
    for text in ["mixup", "mixup()", "mixup(alpha=0.2)", "MixUp(0.2)"] {
        assert_eq!(Pipeline::parse(text).unwrap().to_string(), "mixup(0.2)", "{text}");
    }
    assert_eq!(Pipeline::parse("cutmix").unwrap().to_string(), "cutmix(1)");
    let steps = Pipeline::parse("mixup(0.3)").unwrap();
    let augmentation::pipeline::Action::Mix(Mix::MixUp(mix)) = &steps.steps()[0].action else {
        panic!("{steps:?}");
    };
    assert_eq!(*mix, MixUp { alpha: 0.3 });
}

#[track_caller]
fn check(text: &str, position: usize, says: &str) {
    match Pipeline::parse(text) {
        Err(Error::Syntax {
            message, position: at, ..
        }) => {
            assert!(message.contains(says), "{message}");
            assert_eq!(at, position, "{message}");
        }
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn mistakes_are_shown_at_their_place() {
    check("mixup(1.5)", 6, "between 0 and 1");
    check("mixup(nothing)", 6, "cannot be nothing");
    check("mixup(beta=1)", 6, "no argument `beta`");
    check("mixup(0.2, 0.3)", 9, "one argument");
    check("flip() | mixup(0.2) | rotate(0.1)", 9, "after all other steps");
    check("flip() | one_of(cutmix(), blur())", 16, "after all other steps");
    let json = serde_json::json!({"steps": [{"class_name": "CutMix", "config": {"factor": 2}}]});
    assert!(Pipeline::from_json(&json).is_err());
    let json = serde_json::json!({"steps": [{"class_name": "MixUp"}, {"class_name": "RandomFlip"}]});
    assert!(matches!(
        Pipeline::from_json(&json),
        Err(Error::MixingOrder { step: 0 })
    ));
}

#[test]
fn an_image_alone_cannot_be_blended() {
    let pipeline = Pipeline::parse("flip() | mixup(0.2)").unwrap();
    let mut image = Image::new(2, 2, 1, vec![0.0; 4]).unwrap();
    let error = pipeline.apply(&mut image, Stream::new(1)).unwrap_err();
    assert!(matches!(error, Error::Mixing { step: 1, name: "mixup" }), "{error}");
    assert!(pipeline.apply_batch(&mut [0.0; 4], (2, 2, 1), &[0], 1, 1).is_err());
    pipeline.without_mixing().apply(&mut image, Stream::new(1)).unwrap();
}

/// The blends of many samples.
fn blends(text: &str, pool: usize) -> Vec<Vec<Blend>> {
    let pipeline = Pipeline::parse(text).unwrap();
    (0..2000)
        .map(|sample| pipeline.draw_blends((8, 6, 3), Pipeline::stream(7, 1, sample), pool))
        .collect()
}

#[test]
fn partners_are_uniform_and_probabilities_are_kept() {
    let drawn = blends("mixup(1) @ 0.3", 5);
    let happened: Vec<&Blend> = drawn.iter().flatten().collect();
    assert!((540..660).contains(&happened.len()), "{}", happened.len());
    for partner in 0..5 {
        let count = happened.iter().filter(|blend| blend.partner == partner).count();
        assert!((80..160).contains(&count), "{partner}: {count}");
    }
    let mean = happened.iter().map(|blend| blend.weight).sum::<f32>() / happened.len() as f32;
    assert!((mean - 0.5).abs() < 0.04, "{mean}");
    let rectangles = blends("one_of(mixup(1), cutmix())", 5)
        .iter()
        .flatten()
        .filter(|b| b.region.is_some())
        .count();
    assert!((880..1120).contains(&rectangles), "{rectangles}");
}

#[test]
fn an_image_keeps_as_much_as_its_label() {
    for blend in blends("cutmix()", 9).iter().flatten().take(200) {
        let (mut image, partner) = ([1.0f32; 8 * 6 * 3], [0.0f32; 8 * 6 * 3]);
        blend.apply(&mut image, &partner, (8, 6, 3).into());
        let kept = image.iter().sum::<f32>() / image.len() as f32;
        let mut label = [1.0, 0.0];
        blend.label(&mut label, &[0.0, 1.0]);
        assert!(
            (label[0] - kept).abs() < 1e-5 && (label[0] + label[1] - 1.0).abs() < 1e-6,
            "{blend:?}"
        );
    }
    for blend in blends("mixup(1)", 9).iter().flatten().take(50) {
        let (mut bytes, partner) = ([200u8; 144], [100u8; 144]);
        blend.apply(&mut bytes, &partner, (8, 6, 3).into());
        let exact = 100.0 + 100.0 * blend.weight;
        assert!(
            bytes.iter().all(|&byte| (f32::from(byte) - exact).abs() <= 0.51),
            "{blend:?}"
        );
    }
    assert!(
        Pipeline::parse_for("flip() | cutmix()", ValueRange::UNIT)
            .unwrap()
            .suits_bytes(ValueRange::UNIT)
    );
}
