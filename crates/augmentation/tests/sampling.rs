//! The ranges and distributions that parameters are drawn from, against quantiles of Keras' own draws.

use std::path::{Path, PathBuf};

use augmentation::Transform;
use kernels::random::Stream;
use serde_json::Value;

const DRAWS: u64 = 2048;

fn file() -> PathBuf {
    match std::env::var_os("GOLDEN_DIR") {
        Some(root) => Path::new(&root).join("augmentation/sampling.json"),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/sampling.json"),
    }
}

/// The number that a name of `observed` stands for; `None` for what the parameters of one image do not hold.
fn observe(parameters: &Value, name: &str) -> Option<f64> {
    let axis = |name: &str| usize::from(name.ends_with("_y"));
    let value = match name {
        "translations_x" | "translations_y" => &parameters["translations"][axis(name)],
        "shear_x" | "shear_y" => &parameters["shear_factor"][axis(name)],
        _ if name.starts_with("end_") => {
            let corners = ["end_top_left", "end_top_right", "end_bottom_left", "end_bottom_right"];
            let corner = corners.iter().position(|c| *c == &name[..name.len() - 2])?;
            &parameters["end_points"][corner][axis(name)]
        }
        _ => &parameters[name.trim_end_matches("_mean")],
    };
    value
        .as_f64()
        .or_else(|| value.as_bool().map(|b| f64::from(u8::from(b))))
}

#[test]
fn parameters_are_drawn_as_keras_draws_them() {
    let document: Value = serde_json::from_str(&std::fs::read_to_string(file()).unwrap()).unwrap();
    let quantiles: Vec<f64> = document["quantiles"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_f64)
        .collect();
    let mut compared = 0;
    for case in document["cases"].as_array().unwrap() {
        let class = case["class"].as_str().unwrap();
        let mut config = case["config"].clone();
        for key in ["name", "trainable", "dtype", "data_format", "seed"] {
            config.as_object_mut().unwrap().remove(key);
        }
        // CutMix and MixUp work on batches and have tests of their own.
        if ["CutMix", "MixUp"].contains(&class) {
            continue;
        }
        let transform = Transform::from_config(class, config).unwrap_or_else(|e| panic!("{e}"));
        let drawn: Vec<Value> = (0..DRAWS)
            .map(|i| transform.draw(&mut Stream::new(1).sample(i).draws(), (8, 6, 3).into()))
            .map(|parameters| serde_json::to_value(parameters).unwrap()["parameters"].clone())
            .collect();
        for (name, expected) in case["observed"].as_object().unwrap() {
            let found: Option<Vec<f64>> = drawn.iter().map(|parameters| observe(parameters, name)).collect();
            let Some(mut found) = found else { continue };
            compared += 1;
            if let Some(mean) = expected.as_f64() {
                let ours = found.iter().sum::<f64>() / DRAWS as f64;
                assert!((ours - mean).abs() < 0.05, "{class}, {name}: {ours} for {mean}");
                continue;
            }
            found.sort_by(f64::total_cmp);
            let expected: Vec<f64> = expected.as_array().unwrap().iter().filter_map(Value::as_f64).collect();
            // Whole numbers jump by one where a quantile falls between two of them.
            let slack = if name == "shift_factor" {
                1.0
            } else {
                0.05 * (expected[expected.len() - 1] - expected[0])
            };
            for (q, expected) in quantiles.iter().zip(&expected) {
                let ours = found[(q * (DRAWS - 1) as f64).round() as usize];
                assert!(
                    (ours - expected).abs() <= slack + 1e-9,
                    "{class}, {name}, quantile {q}: {ours} for {expected}"
                );
            }
        }
    }
    println!("sampling: {compared} distributions");
    assert!(compared > 0);
}
