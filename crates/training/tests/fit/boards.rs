//! Event files, read back by TensorBoard itself.

#![allow(clippy::print_stdout, reason = "a test that is skipped says so")]

use std::path::Path;
use std::process::Command;

use optimizers::Optimizer;
use serde_json::Value;
use training::callbacks::TensorBoard;
use training::{History, Trainer};

use crate::problems::{plane, plane_network};

/// Reads all event files below a folder with the classes that TensorBoard reads them with.
const READER: &str = r#"
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator, HISTOGRAMS, SCALARS
result = {}
for part in ["train", "validation"]:
    events = EventAccumulator(f"{sys.argv[1]}/{part}", size_guidance={SCALARS: 0, HISTOGRAMS: 0})
    events.Reload()
    tags = events.Tags()
    result[part] = {
        "version": events.file_version,
        "scalars": {tag: [[event.step, event.value] for event in events.Scalars(tag)] for tag in tags["scalars"]},
        "histograms": {tag: [[event.step, event.histogram_value.num, event.histogram_value.sum,
                              sum(event.histogram_value.bucket)] for event in events.Histograms(tag)]
                       for tag in tags["histograms"]},
    }
print(json.dumps(result))
"#;

/// The answer of the first Python that has TensorBoard.
fn read(folder: &Path) -> Option<Value> {
    let chosen = std::env::var("TENSORBOARD_PYTHON").ok();
    for python in chosen.iter().map(String::as_str).chain(["python3", "python"]) {
        let Ok(output) = Command::new(python).args(["-c", READER]).arg(folder).output() else {
            continue;
        };
        if output.status.success() {
            return Some(serde_json::from_slice(&output.stdout).unwrap());
        }
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(stderr.contains("ModuleNotFoundError"), "{stderr}");
    }
    None
}

/// Two trainings into one folder: four epochs, of which the second training adds two.
fn logged(folder: &Path) -> History {
    let samples = plane(20);
    let (mut net, mut sgd) = (plane_network(), Optimizer::by_name("sgd").unwrap());
    let mut history = History::default();
    for epochs in [2, 4] {
        let mut board = TensorBoard::new(folder).histogram_freq(2);
        let trainer = Trainer::new().epochs(epochs).resume(history).validation_data(&samples);
        history = trainer.callback(&mut board).fit(&mut net, &mut sgd, &samples).unwrap();
    }
    history
}

#[test]
fn tensorboard_reads_what_was_logged() {
    let folder = tempfile::tempdir().unwrap();
    let history = logged(folder.path());
    let Some(found) = read(folder.path()) else {
        println!("skipped: no Python with the package tensorboard (set TENSORBOARD_PYTHON)");
        return;
    };
    for (part, tag, name) in [
        ("train", "epoch_loss", "loss"),
        ("train", "epoch_accuracy", "accuracy"),
        ("train", "epoch_learning_rate", "learning_rate"),
        ("validation", "epoch_loss", "val_loss"),
        ("validation", "epoch_accuracy", "val_accuracy"),
    ] {
        assert_eq!(found[part]["version"], 2.0, "{found}");
        let points = found[part]["scalars"][tag]
            .as_array()
            .unwrap_or_else(|| panic!("{tag}: {found}"));
        let expected: Vec<(u64, f32)> = (0..)
            .zip(history.get(name).into_iter().map(|value| value as f32))
            .collect();
        let points: Vec<(u64, f32)> = points
            .iter()
            .map(|point| (point[0].as_u64().unwrap(), point[1].as_f64().unwrap() as f32))
            .collect();
        assert_eq!(points, expected, "{part} {tag}");
    }
    // A histogram after the second and the fourth epoch, of four and of two numbers.
    for (tag, numbers) in [("last/kernel", 4.0), ("last/bias", 2.0)] {
        let points = found["train"]["histograms"][tag].as_array().unwrap();
        assert_eq!(points.len(), 2, "{points:?}");
        for (point, step) in points.iter().zip([1, 3]) {
            assert_eq!((point[0].as_u64(), point[1].as_f64()), (Some(step), Some(numbers)));
            assert_eq!(point[3].as_f64(), Some(numbers), "each number is in a bucket");
        }
    }
}

#[test]
fn every_training_has_a_file_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    logged(folder.path());
    for part in ["train", "validation"] {
        let files: Vec<_> = std::fs::read_dir(folder.path().join(part)).unwrap().collect();
        assert_eq!(files.len(), 2, "{files:?}");
        for file in files {
            let file = file.unwrap();
            assert!(file.file_name().to_str().unwrap().starts_with("events.out.tfevents."));
            // A record: its length in eight bytes, a checksum in four, the event, and a checksum in four.
            let bytes = std::fs::read(file.path()).unwrap();
            let (mut at, mut records) = (0, 0);
            while at < bytes.len() {
                let length = u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()) as usize;
                at += length + 16;
                records += 1;
            }
            assert_eq!(at, bytes.len());
            assert_eq!(records, 3, "the version and two epochs");
        }
    }
}
