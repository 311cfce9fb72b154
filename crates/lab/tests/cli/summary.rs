//! `lab summary`.

use std::path::{Path, PathBuf};

use crate::program::Lab;

/// The call of the lecture.
const LECTURE: [&str; 4] = ["--line-length", "80", "--expand-nested", "--show-trainable"];

/// The reference text of Keras itself.
fn golden(file: &str) -> Vec<u8> {
    let path: PathBuf = [
        env!("CARGO_MANIFEST_DIR"),
        "..",
        "nn-theory",
        "tests",
        "golden",
        "summary",
        file,
    ]
    .iter()
    .collect();
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn golden_path(file: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../nn-theory/tests/golden/summary");
    folder.join(file).display().to_string()
}

#[test]
fn the_lectures_network_is_printed_as_keras_prints_it() {
    let lab = Lab::new();
    for name in ["cats_vs_dogs", "cats-vs-dogs", "cats_vs_dogs_sequential"] {
        let printed = lab.succeeds(&[&["summary", name], &LECTURE[..]].concat());
        let expected = golden(&format!("{}.summary.txt", name.replace('-', "_")));
        assert_eq!(printed.as_bytes(), expected, "{name}");
    }
}

#[test]
fn a_keras_configuration_is_read() {
    let lab = Lab::new();
    let path = golden_path("app_VGG16.config.json");
    let printed = lab.succeeds(&[&["summary", &path], &LECTURE[..]].concat());
    assert_eq!(printed.as_bytes(), golden("app_VGG16.summary.txt"));
}

#[test]
fn the_configuration_that_is_written_is_read_again() {
    let lab = Lab::new();
    let text = lab.succeeds(&["summary", "lenet5", "--style", "json"]);
    std::fs::write(lab.path("lenet.json"), &text).expect("a file");
    assert_eq!(lab.succeeds(&["summary", "lenet.json", "--style", "json"]), text);
    assert_eq!(
        lab.succeeds(&["summary", "lenet.json"]),
        lab.succeeds(&["summary", "lenet5"])
    );
}

#[test]
fn other_styles_say_the_same() {
    let lab = Lab::new();
    let text = lab.succeeds(&["summary", "cats_vs_dogs", "--style", "torchinfo", "--batch-size", "8"]);
    for part in [
        "Dense (H01): 1-2",
        "[8, 1024]",
        "2,050",
        "Total params: 2,056",
        "Params size (MB): 0.01",
    ] {
        assert!(text.contains(part), "'{part}' is not in {text}");
    }
    let text = lab.succeeds(&["summary", "cats_vs_dogs", "--style", "markdown"]);
    assert!(
        text.contains("| `H01` | Dense | (1, 2) | 2,050 | yes | 2,048 |"),
        "{text}"
    );
    let text = lab.succeeds(&["summary", "cats_vs_dogs", "--style", "dot"]);
    assert!(
        text.contains("Activation: <b>tanh</b>") && text.contains("n0 -> n1"),
        "{text}"
    );
    let text = lab.succeeds(&["summary", "cats_vs_dogs", "--style", "svg"]);
    assert!(text.starts_with("<svg ") && text.ends_with("</svg>\n"), "{text}");
}

#[test]
fn every_count_is_retraced() {
    let lab = Lab::new();
    let text = lab.succeeds(&["summary", "cats_vs_dogs", "--explain"]);
    for part in [
        "(1024 + 1) × 2 = 2,050",
        "(inputs + 1) × units",
        "None: any number",
        "float32",
    ] {
        assert!(text.contains(part), "'{part}' is not in {text}");
    }
    let record = lab.json(&["summary", "cats_vs_dogs", "--explain", "--style", "json"]);
    assert_eq!(record["total"], 2056);
    assert_eq!(record["rows"][1]["formula"], "(1024 + 1) × 2 = 2,050");
}

#[test]
fn what_is_no_model_is_said() {
    let lab = Lab::new();
    std::fs::write(lab.path("broken.json"), "{\"class_name\": \"Sequential\"").expect("a file");
    std::fs::write(lab.path("broken.safetensors"), [7; 100]).expect("a file");
    std::fs::write(lab.path("text.json"), [0xff, 0xfe]).expect("a file");
    lab.fails(
        &["summary", "mnist_cn"],
        &["'mnist_cn'", "did you mean 'mnist_cnn'?", "lenet5"],
    );
    lab.fails(
        &["summary", "nets/none.json"],
        &["no file 'nets/none.json'", ".safetensors"],
    );
    lab.fails(&["summary", "."], &["folder", ".json"]);
    lab.fails(&["summary", "broken.json"], &["broken.json", "Keras", "line 1"]);
    lab.fails(&["summary", "text.json"], &["text.json", "cannot be read"]);
    lab.fails(&["summary", "broken.safetensors"], &["broken.safetensors", "lenet5"]);
    lab.fails(&["summary", "lenet5", "--line-length", "7"], &["line_length", "larger"]);
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_said() {
    let lab = Lab::new();
    let full = std::fs::File::create("/dev/full").expect("a device that is always full");
    let output = lab
        .command(&["summary", "lenet5"])
        .stdout(full)
        .output()
        .expect("the program runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.starts_with("error: ") && stderr.lines().count() == 1, "{stderr}");
    assert!(stderr.contains("stdout") && stderr.contains("space"), "{stderr}");
}
