//! Pictures of different sizes: refused with the way out, and resized where it is taken, in all commands that take data.

use std::path::Path;

use candle_core::{Device, Tensor};

use crate::program::Lab;

/// Bright and dark pictures, 24 of 12 × 10 pixels and 24 of 9 × 14, so that no two commands read them at one size by chance.
pub(crate) fn write_pictures(folder: &Path) {
    for index in 0..48u8 {
        let (height, width) = if index % 2 == 0 { (12, 10) } else { (9, 14) };
        let class = if index / 2 % 2 == 0 { "bright" } else { "dark" };
        let level = if class == "bright" { 200 } else { 20 };
        let path = folder.join(class).join(format!("{index:02}.png"));
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        image::GrayImage::from_fn(width, height, |x, y| image::Luma([level + (x * 3 + y * 2) as u8 % 16]))
            .save(path)
            .expect("a picture");
    }
}

fn pictures() -> Lab {
    let lab = Lab::new();
    write_pictures(&lab.path("photos"));
    lab
}

/// Trains on them in one size; what the program says of it.
fn trained(lab: &Lab, epochs: &str) -> serde_json::Value {
    lab.json(&[
        "train",
        "--data",
        "photos",
        "--image-size",
        "8x6",
        "--epochs",
        epochs,
        "--output",
        "net.safetensors",
        "--json",
    ])
}

#[test]
fn pictures_of_different_sizes_are_refused_with_the_way_out() {
    let lab = pictures();
    let words = ["00.png", "12 x 10", "01.png", "9 x 14", "--image-size 12x10"];
    lab.fails(&["train", "--data", "photos"], &words);
    lab.fails(&["sweep", "--data", "photos", "--out", "own"], &words);
}

#[test]
fn a_network_remembers_the_size_that_its_images_had() {
    let lab = pictures();
    let trained = trained(&lab, "2");
    assert_eq!(trained["options"]["image_size"], "8x6");
    let shown = lab.succeeds(&["summary", "net.safetensors", "--style", "json"]);
    let shape = serde_json::json!([null, 8, 6, 1]);
    let is_there = |text: &str| text.split_whitespace().collect::<String>().contains(&shape.to_string());
    assert!(is_there(&shown), "{shown}");

    // Measured as it was trained, whether the size is said again or not.
    let measured = lab.json(&["evaluate", "net.safetensors", "--json"]);
    assert_eq!(measured["confusion"], trained["test"]["confusion"]);
    let again = lab.json(&[
        "evaluate",
        "net.safetensors",
        "--data",
        "photos",
        "--image-size",
        "8x6",
        "--json",
    ]);
    assert_eq!(again["loss"], measured["loss"]);
    lab.fails(&["evaluate", "net.safetensors", "--image-size", "7x6"], &["7", "8"]);

    // Goes on at this size, and at no other.
    let resume = ["train", "--resume", "net.safetensors", "--epochs", "3"];
    lab.fails(
        &[&resume[..], &["--image-size", "9x9"]].concat(),
        &["--image-size 9x9 contradicts", "8x6"],
    );
    lab.succeeds(&[&resume[..], &["--image-size", "8x6"]].concat());
    lab.succeeds(&["train", "--resume", "net.safetensors", "--epochs", "4"]);

    // Two networks decide on the same images.
    let both = [
        "inspect",
        "net.safetensors",
        "--against",
        "net.safetensors",
        "--data",
        "photos",
        "--json",
    ];
    assert!(lab.json(&both)["decisions"].is_object());
}

#[test]
fn predict_resizes_what_a_network_is_asked_about() {
    let lab = pictures();
    trained(&lab, "1");
    let write = |name: &str, tensor: &Tensor| {
        tensor.save_safetensors("input", lab.path(name)).expect("a file");
    };
    let outputs = |inputs: &str, more: &[&str]| {
        let words = [
            "predict",
            "net.safetensors",
            "--inputs",
            inputs,
            "--outputs",
            "y.safetensors",
        ];
        lab.succeeds(&[&words[..], more].concat());
        let read = candle_core::safetensors::load(lab.path("y.safetensors"), &Device::Cpu).expect("outputs");
        read["output"].to_vec2::<f32>().expect("two axes")
    };
    // An even picture is the same in every size.
    let even = |height, width| Tensor::full(0.25f32, (3, height, width, 1), &Device::Cpu).expect("a tensor");
    write("small.safetensors", &even(8, 6));
    write("large.safetensors", &even(21, 17));
    let wanted = outputs("small.safetensors", &[]);
    assert_eq!(wanted.len(), 3);
    for more in [&[][..], &["--image-size", "8x6"]] {
        let found = outputs("large.safetensors", more);
        for (found, wanted) in found.iter().flatten().zip(wanted.iter().flatten()) {
            assert!((found - wanted).abs() < 1e-5, "{found} instead of {wanted}");
        }
    }
    // What is no image cannot be resized, and says so where that was asked for.
    write(
        "rows.safetensors",
        &Tensor::zeros((3, 48), candle_core::DType::F32, &Device::Cpu).expect("a tensor"),
    );
    lab.fails(
        &[
            "predict",
            "net.safetensors",
            "--inputs",
            "rows.safetensors",
            "--outputs",
            "z.safetensors",
            "--image-size",
            "8x6",
        ],
        &["--image-size 8x6", "[3, 48]", "no images"],
    );
}

#[test]
fn known_sets_and_sweeps_are_resized_too() {
    let lab = pictures();
    let words = ["train", "--image-size", "12x12", "--epochs", "1", "--json"];
    assert_eq!(lab.json(&words)["options"]["image_size"], "12x12");
    let study = lab.json(&[
        "sweep",
        "--data",
        "photos",
        "--image-size",
        "8x8",
        "--optimizers",
        "adam",
        "--learning-rates",
        "0.01",
        "--seeds",
        "1",
        "--reported-seeds",
        "2",
        "--quick",
        "--out",
        "own",
        "--json",
    ]);
    assert_eq!(study["plan"]["tasks"][0]["name"], "first_cnn_on_photos");
}

#[test]
fn what_is_no_size_is_said() {
    let lab = Lab::new();
    for wrong in ["64", "64x", "0x8", "8x0", "8x8x3", "8x99999", "axb", "8,8"] {
        lab.run(&["train", "--image-size", wrong])
            .check_error(2, &["--image-size", wrong, "such as 64x48"]);
    }
    lab.run(&["sweep", "--image-size", "8x8"]).check_error(2, &["--data"]);
    lab.run(&["inspect", "a.keras", "--image-size", "8x8"])
        .check_error(2, &["--data"]);
}
