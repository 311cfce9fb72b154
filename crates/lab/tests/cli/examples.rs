//! The examples of every `--help` are run; those that take minutes, or need files of the user's, are read by the parser at least.
#![cfg(unix)]

use std::path::Path;

use candle_core::{DType, Device, Tensor};

use crate::files::{write_mnist, write_png};
use crate::image_size::write_pictures;
use crate::program::Lab;

/// What is not run, and why.
const NOT_RUN: [(&str, &str); 13] = [
    ("lab exercise ", "takes up to minutes, and has tests of its own"),
    ("lab data fetch ", "downloads"),
    ("lab data verify mnist", "needs the files of MNIST as published"),
    ("lab sweep --", "takes minutes, and has tests of its own"),
    ("lab evaluate cats.safetensors", "needs the pictures of cats and dogs"),
    ("lab summary cats_vs_dogs", "is run by the tests of summaries"),
    (
        "lab gradcheck lenet5",
        "tries 10 weights of a larger network in float64",
    ),
    ("lab gradcheck path/to/model.keras", "as well"),
    ("lab train --data digits --schedule", "runs up to 100 epochs"),
    ("lab train --resume digits.safetensors", "runs 20 more epochs"),
    (
        "lab train --data digits --checkpoints",
        "writes a file every 20 steps, and has tests of its own",
    ),
    (
        "lab report --serve",
        "ends when somebody ends it, and has tests of its own",
    ),
    ("lab doctor", "measures the machine, and has tests of its own"),
];

/// The commands with help, as the help itself lists them.
fn commands(lab: &Lab, above: &[&str]) -> Vec<Vec<String>> {
    let help = help(lab, above);
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let names = listed.take_while(|line| !line.is_empty()).filter_map(|line| {
        line.split_whitespace()
            .next()
            .filter(|_| line.starts_with("  ") && !line.starts_with("   "))
    });
    let mut found = vec![above.iter().map(ToString::to_string).collect()];
    for name in names.filter(|name| *name != "help") {
        found.extend(commands(lab, &[above, &[name]].concat()));
    }
    found
}

fn help(lab: &Lab, command: &[&str]) -> String {
    let outcome = lab.run_with(&[command, &["--help"]].concat(), &[("COLUMNS", "1000")]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    outcome.stdout
}

/// Runs a line as a shell does, with `lab` on the path.
fn in_shell(lab: &Lab, line: &str) -> (Option<i32>, String) {
    let program = Path::new(env!("CARGO_BIN_EXE_lab"));
    let folder = program.parent().expect("a folder").display();
    let path = format!("{folder}:{}", std::env::var("PATH").unwrap_or_default());
    let output = lab
        .other("sh", &["-c", line])
        .env("PATH", path)
        .env("HOME", lab.folder())
        .output()
        .expect("a shell");
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

/// The files that the examples name.
fn prepare(lab: &Lab) {
    for name in ["photo.png", "a.png", "b.png", "c.png", "d.png"] {
        write_png(&lab.path(name), 90);
    }
    let colored = image::RgbImage::from_fn(16, 16, |x, y| image::Rgb([(x * 16) as u8, (y * 16) as u8, 90]));
    colored.save(lab.path("photo.jpg")).expect("a picture");
    write_mnist(&lab.path("path/to/mnist"));
    write_pictures(&lab.path("path/to/photos"));
    let configuration = lab.succeeds(&["summary", "digits_cnn", "--style", "json"]);
    for name in ["model.json", "path/to/model.json"] {
        std::fs::write(lab.path(name), &configuration).expect("a file");
    }
    lab.succeeds(&[
        "train",
        "--epochs",
        "1",
        "--augment",
        "rotate(0.04)",
        "--output",
        "digits.safetensors",
    ]);
    for name in ["digits.keras", "digits.h5", "weights.weights.h5", "path/to/model.keras"] {
        lab.succeeds(&["convert", "digits.safetensors", name]);
    }
    let images = |side| Tensor::ones((3, side, side, 1), DType::F32, &Device::Cpu).expect("images");
    for (name, side) in [
        ("images.safetensors", 8),
        ("x.safetensors", 8),
        ("large.safetensors", 100),
    ] {
        let tensors = std::collections::BTreeMap::from([("input", images(side))]);
        let file = persistence_file(&tensors);
        std::fs::write(lab.path(name), file).expect("a file");
    }
    for (shard, folder) in [("1/3", "one"), ("2/3", "two"), ("3/3", "three")] {
        lab.succeeds(&[
            "sweep",
            "--tasks",
            "quadratic",
            "--optimizers",
            "sgd,adam",
            "--learning-rates",
            "0.01,0.1",
            "--seeds",
            "1",
            "--reported-seeds",
            "2",
            "--quick",
            "--shard",
            shard,
            "--out",
            folder,
        ]);
    }
    lab.succeeds(&["exercise", "1", "--report", "before"]);
    std::fs::create_dir(lab.path("after")).expect("a folder");
    for copy in [
        "before/exercise-3.json",
        "after/exercise-1.json",
        "after/exercise-3.json",
        "a.json",
        "b.json",
    ] {
        std::fs::copy(lab.path("before/exercise-1.json"), lab.path(copy)).expect("a record");
    }
    for folder in [".local/share/bash-completion/completions", ".zfunc"] {
        std::fs::create_dir_all(lab.path(folder)).expect("a folder");
    }
}

/// Tensors in a safetensors file, written by hand: length and text of the header, then the numbers.
fn persistence_file(tensors: &std::collections::BTreeMap<&str, Tensor>) -> Vec<u8> {
    let (mut header, mut numbers) = (serde_json::Map::new(), Vec::new());
    for (name, tensor) in tensors {
        let begin = numbers.len();
        let values = tensor
            .flatten_all()
            .and_then(|flat| flat.to_vec1::<f32>())
            .expect("values");
        numbers.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        let entry = serde_json::json!({"dtype": "F32", "shape": tensor.dims(), "data_offsets": [begin, numbers.len()]});
        header.insert(name.to_string(), entry);
    }
    let header = serde_json::Value::Object(header).to_string().into_bytes();
    [&(header.len() as u64).to_le_bytes()[..], &header, &numbers].concat()
}

#[test]
fn the_examples_of_every_help_work() {
    let lab = Lab::new();
    prepare(&lab);
    let mut met = [false; NOT_RUN.len()];
    let (mut run, mut read) = (0, 0);
    for command in commands(&lab, &[]) {
        let words: Vec<&str> = command.iter().map(String::as_str).collect();
        let help = help(&lab, &words);
        let examples: Vec<&str> = help
            .lines()
            .skip_while(|line| *line != "Examples:")
            .filter_map(|line| line.strip_prefix("  ").filter(|line| line.starts_with("lab ")))
            .collect();
        assert!(!examples.is_empty(), "lab {} --help has no examples", command.join(" "));
        for example in examples {
            if let Some(index) = NOT_RUN.iter().position(|(start, _)| example.starts_with(start)) {
                met[index] = true;
                let (code, stderr) = in_shell(&lab, &format!("{} --help", without_comment(example)));
                assert_eq!(code, Some(0), "{example} --help: {stderr}");
                read += 1;
                continue;
            }
            let (code, stderr) = in_shell(&lab, example);
            assert_eq!(code, Some(0), "{example}: {stderr}");
            run += 1;
        }
    }
    println!("examples: {run} run, {read} read");
    assert!(run >= 25, "only {run} of {} examples are run", run + read);
    for ((start, _), met) in NOT_RUN.iter().zip(met) {
        assert!(met, "no example begins with '{start}' any more");
    }
}

/// A shell takes what is behind ` #` for a comment.
fn without_comment(line: &str) -> &str {
    line.split(" #").next().unwrap_or(line)
}
