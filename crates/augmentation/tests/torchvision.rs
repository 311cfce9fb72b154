//! The operations of AutoAugment and TrivialAugment, and JPEG, against torchvision itself.
//!
//! Needs a Python with torch and torchvision: `CANDLE_LAB_PYTHON=path/to/python` (or several, as in `PATH`). Without it the test says so
//! and passes.

#![allow(clippy::print_stdout, reason = "says what was compared, or why nothing was")]

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use augmentation::{
    Image, Interpolation, JpegParameters, PolicyOperation, PolicyParameters, PolicyStep, RandomJpeg, Transformation,
    TrivialAugment,
};
use kernels::random::Stream;
use serde_json::{Value, json};

/// The first of the named Pythons that has torchvision.
fn python() -> Option<PathBuf> {
    let named = std::env::var_os("CANDLE_LAB_PYTHON").unwrap_or_else(|| "python3".into());
    let found = std::env::split_paths(&named).find(|python| {
        let output = Command::new(python)
            .args(["-c", "import torchvision.transforms"])
            .output();
        output.is_ok_and(|output| output.status.success())
    });
    if found.is_none() {
        println!("skipped: no Python with torchvision (CANDLE_LAB_PYTHON)");
    }
    found
}

fn ask(python: &PathBuf, job: &Value) -> Vec<Vec<f32>> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/policies.py");
    let mut child = Command::new(python)
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(job.to_string().as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{script} failed");
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    println!("torchvision {}", answer["version"].as_str().unwrap());
    serde_json::from_value(answer["results"].clone()).unwrap()
}

/// Waves with noise: smooth enough for JPEG, with all levels.
fn image(height: usize, width: usize, channels: usize, noise: f64) -> Image {
    let mut draws = Stream::new(8).op("torchvision").draws();
    let data = (0..height * width * channels).map(|i| {
        let (c, x, y) = (i % channels, i / channels % width, i / channels / width);
        let wave = (x as f64 * 0.21 + c as f64).sin() * (y as f64 * 0.13 - c as f64).cos();
        (128.0 + 120.0 * wave + draws.uniform_in(-noise, noise))
            .round()
            .clamp(0.0, 255.0) as f32
    });
    let data = data.collect();
    Image::new(height, width, channels, data).unwrap()
}

fn bytes(image: &Image) -> Vec<u8> {
    image.data.iter().map(|&value| value as u8).collect()
}

#[test]
fn operations_of_policies_are_those_of_torchvision_within_one_level() {
    let Some(python) = python() else { return };
    use PolicyOperation::*;
    let magnitudes: [(PolicyOperation, &[f32]); 15] = [
        (Identity, &[0.0]),
        (ShearX, &[0.3, -0.17, 0.99]),
        (ShearY, &[0.3, -0.17, 0.99]),
        (TranslateX, &[7.0, -3.4]),
        (TranslateY, &[7.0, -3.4]),
        // At 135 degrees a whole diagonal of a square lies in the middle between pixels.
        (Rotate, &[30.0, -17.0, 130.0]),
        (Brightness, &[0.9, -0.4, -0.99]),
        (Color, &[0.9, -0.4, -0.99]),
        (Contrast, &[0.9, -0.4, -0.99]),
        (Sharpness, &[0.9, -0.4, -0.99]),
        (Posterize, &[2.0, 4.0, 8.0]),
        (Solarize, &[0.0, 85.0, 255.0]),
        (AutoContrast, &[0.0]),
        (Equalize, &[0.0]),
        (Invert, &[0.0]),
    ];
    let images = [image(33, 40, 3, 20.0), image(28, 28, 1, 5.0)];
    let mut cases = Vec::new();
    for (i, image) in images.iter().enumerate() {
        for (operation, magnitudes) in magnitudes {
            for &magnitude in magnitudes {
                for interpolation in [Interpolation::Nearest, Interpolation::Bilinear] {
                    cases.push((i, image, operation, magnitude, interpolation));
                }
            }
        }
    }
    let shape = |image: &Image| json!([image.height, image.width, image.channels]);
    let case = |(i, image, operation, magnitude, interpolation): &(
        usize,
        &Image,
        PolicyOperation,
        f32,
        Interpolation,
    )| {
        json!({"image": i, "shape": shape(image), "operation": format!("{operation:?}"), "magnitude": magnitude, "interpolation": interpolation})
    };
    let job = json!({
        "images": images.iter().map(bytes).collect::<Vec<_>>(),
        "cases": cases.iter().map(case).collect::<Vec<_>>(),
    });
    let results = ask(&python, &job);
    assert_eq!(results.len(), cases.len());
    let mut wrong = Vec::new();
    for ((_, original, operation, magnitude, interpolation), theirs) in cases.into_iter().zip(results) {
        let mut ours = original.clone();
        let trivial = TrivialAugment {
            interpolation,
            ..Default::default()
        };
        let steps = vec![PolicyStep { operation, magnitude }];
        trivial.apply(&mut ours, &PolicyParameters { steps }).unwrap();
        let far = ours
            .data
            .iter()
            .zip(&theirs)
            .filter(|(a, b)| (*a - *b).abs() > 1.0)
            .count();
        // Nearest pixels: where a place lies in the middle between two, rounding of its coordinate decides.
        let ties = match (interpolation, operation) {
            (Interpolation::Nearest, ShearX | ShearY | Rotate) => ours.data.len() / 100,
            _ => 0,
        };
        if far > ties {
            wrong.push(format!(
                "{operation:?} {magnitude} {interpolation:?}: {far} of {} values",
                theirs.len()
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn jpeg_does_what_libjpeg_does() {
    let Some(python) = python() else { return };
    let images = [image(48, 40, 3, 0.0), image(37, 29, 3, 10.0), image(40, 33, 1, 10.0)];
    let qualities = [5u8, 20, 50, 75, 95];
    let cases: Vec<(usize, u8)> = (0..images.len())
        .flat_map(|i| qualities.map(|quality| (i, quality)))
        .collect();
    let case = |&(i, quality): &(usize, u8)| {
        let Image {
            height,
            width,
            channels,
            ..
        } = images[i];
        json!({"image": i, "shape": [height, width, channels], "quality": quality})
    };
    let job = json!({
        "images": images.iter().map(bytes).collect::<Vec<_>>(),
        "cases": cases.iter().map(case).collect::<Vec<_>>(),
    });
    let mut wrong = Vec::new();
    for ((i, quality), theirs) in cases.into_iter().zip(ask(&python, &job)) {
        let mut ours = images[i].clone();
        RandomJpeg::default()
            .apply(&mut ours, &JpegParameters { quality })
            .unwrap();
        let mean = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum::<f32>() / a.len() as f32;
        let (apart, damage) = (mean(&ours.data, &theirs), mean(&images[i].data, &theirs));
        println!("image {i}, quality {quality}: {apart:.3} apart, damaged by {damage:.3}");
        // libjpeg's cosines are whole numbers: a coefficient near the middle between two steps may be rounded to the other one.
        if apart > 0.75 {
            wrong.push(format!(
                "image {i}, quality {quality}: {apart} apart, damaged by {damage}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
