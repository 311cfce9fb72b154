//! Programs that end while they save: killed at any moment, or out of space. There is a whole file before and after.

#![cfg(unix)]
#![allow(clippy::print_stdout, reason = "the program that is killed says how far it came")]

mod common;

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use candle_core::{Device, Tensor};
use common::{formats, network, weight_bits};
use kernels::random::Stream;
use models::Network;
use nn_theory::{Dense, ModelSpec};
use optimizers::Optimizer;
use persistence::{Better, Checkpointer, Contents, Error, Metadata, Model, Monitored, Precision};

/// Names the folder to the program that is to be killed.
const FOLDER: &str = "CANDLE_LAB_CRASH_FOLDER";

/// Says how often the program is killed; 200 times takes half a minute.
const ROUNDS: &str = "CANDLE_LAB_KILLS";

/// Half a megabyte, so that writing it takes a while.
fn spec() -> ModelSpec {
    ModelSpec::sequential("killed")
        .input([200])
        .layer(Dense::new(400))
        .layer(Dense::new(100))
        .build()
        .unwrap()
}

/// The network of a checkpoint: its numbers follow from the checkpoint's number.
fn numbered(number: u64) -> Network {
    let mut network = network(spec(), 1);
    let bias: Vec<f32> = (0..100).map(|i| (number * 1000 + i) as f32).collect();
    network
        .set_weight("dense_1/bias", &Tensor::from_vec(bias, 100, &Device::Cpu).unwrap())
        .unwrap();
    network
}

fn model(network: &Network, number: u64) -> Model {
    let metadata = Metadata {
        monitored: Some(Monitored {
            name: "loss".into(),
            value: Some(1.0 / number as f64),
        }),
        ..Metadata::default()
    };
    let optimizer = Optimizer::by_name("adam").unwrap();
    let contents = Contents {
        network,
        optimizer: Some(&optimizer),
        metadata: &metadata,
    };
    Model::of(&contents).unwrap()
}

/// Saves one checkpoint after the other until it is killed. (As a test, without the variable, it does nothing.)
#[test]
fn child_that_saves() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let checkpointer = Checkpointer::new(folder)
        .unwrap()
        .keep_last(2)
        .keep_best(Better::Smaller);
    let first = checkpointer.numbers().unwrap().last().copied().unwrap_or(0);
    for number in first + 1.. {
        checkpointer.save(number, &model(&numbered(number), number)).unwrap();
        println!("saved {number}");
        std::io::stdout().flush().unwrap();
    }
}

/// This program again, doing only what `child` does.
fn child(name: &str, folder: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args([name, "--exact", "--nocapture", "--test-threads", "1"])
        .env(FOLDER, folder);
    command
}

#[test]
fn killed_at_any_moment_there_is_a_whole_checkpoint() {
    let rounds: u64 = std::env::var(ROUNDS)
        .ok()
        .and_then(|rounds| rounds.parse().ok())
        .unwrap_or(10);
    let folder = tempfile::tempdir().unwrap();
    let mut draws = Stream::new(6020).op("kill").draws();
    let mut before = 0;
    for round in 0..rounds {
        let mut running = child("child_that_saves", folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(running.stdout.take().unwrap());
        let (sender, saved) = mpsc::channel();
        let reader = std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let number = line
                    .split_once("saved ")
                    .and_then(|(_, number)| number.trim().parse::<u64>().ok());
                if number.is_some_and(|number| sender.send(number).is_err()) {
                    break;
                }
            }
        });
        // Any number of whole checkpoints, and then any part of the next one.
        let whole = (draws.uniform() * 4.0) as usize;
        let mut last = before;
        for _ in 0..whole {
            last = saved.recv().unwrap();
        }
        if let Ok(number) = saved.recv_timeout(Duration::from_micros((draws.uniform() * 20_000.0) as u64)) {
            last = number;
        }
        running.kill().unwrap();
        running.wait().unwrap();
        reader.join().unwrap();
        last = saved.try_iter().last().unwrap_or(last);

        let checkpointer = Checkpointer::new(folder.path()).unwrap().keep_last(2);
        let restored = checkpointer.restore(&Device::Cpu).unwrap();
        let Some(restored) = restored else {
            assert_eq!(last, 0, "round {round}: checkpoint {last} is gone");
            continue;
        };
        assert!(restored.skipped.is_empty(), "round {round}: {:?}", restored.skipped);
        // The last one that was reported, or the one that was renamed just before the end.
        assert!(
            restored.number == last || restored.number == last + 1,
            "round {round}: {} after {last}",
            restored.number
        );
        assert_eq!(
            weight_bits(&numbered(restored.number)),
            weight_bits(&restored.saved.network),
            "round {round}"
        );
        let left: Vec<String> = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.starts_with('.'))
            .collect();
        assert_eq!(left, Vec::<String>::new(), "round {round}");
        before = restored.number;
    }
    assert!(before > 0, "no checkpoint was ever written");
}

/// Saves once where no file may become longer than a few kilobytes. (As a test, without the variable, it does nothing.)
#[test]
fn child_without_space() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let network = numbered(2);
    let metadata = Metadata::default();
    let contents = Contents {
        network: &network,
        optimizer: None,
        metadata: &metadata,
    };
    for format in formats() {
        let path = Path::new(&folder).join(format!("model.{}", format.ending()));
        match persistence::save(&path, &contents, Precision::F32) {
            Err(Error::Write { path: named, .. }) if named == path => println!("refused {}", format.ending()),
            other => println!("{}: {other:?}", format.ending()),
        }
    }
}

#[test]
fn without_space_there_is_an_error_and_the_old_file() {
    let folder = tempfile::tempdir().unwrap();
    let network = numbered(1);
    let metadata = Metadata::default();
    let contents = Contents {
        network: &network,
        optimizer: None,
        metadata: &metadata,
    };
    let path = |format: persistence::Format| folder.path().join(format!("model.{}", format.ending()));
    for format in formats() {
        persistence::save(&path(format), &contents, Precision::F32).unwrap();
    }
    let before: Vec<Vec<u8>> = formats()
        .into_iter()
        .map(|format| fs::read(path(format)).unwrap())
        .collect();
    // The shell limits the length of files to 40 KiB at most; without the signal, writing more is an error as on a full disk.
    let program = child("child_without_space", folder.path());
    let words: Vec<String> = std::iter::once(program.get_program())
        .chain(program.get_args())
        .map(|word| format!("'{}'", word.to_string_lossy()))
        .collect();
    let script = format!("trap '' XFSZ; ulimit -f 40; exec {}", words.join(" "));
    let output = Command::new("sh")
        .args(["-c", &script])
        .env(FOLDER, folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    for (format, before) in formats().into_iter().zip(before) {
        assert!(
            said.contains(&format!("refused {}\n", format.ending())),
            "{format}: {said}"
        );
        assert!(
            fs::read(path(format)).unwrap() == before,
            "{format}: the old file is another one"
        );
    }
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        formats().len(),
        "a partial file was left"
    );
}

#[test]
fn damaged_checkpoints_are_gone_over_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let checkpointer = Checkpointer::new(folder.path())
        .unwrap()
        .keep_last(3)
        .keep_best(Better::Larger);
    assert!(checkpointer.restore(&Device::Cpu).unwrap().is_none());
    for number in 1..=5 {
        checkpointer.save(number, &model(&numbered(number), number)).unwrap();
    }
    assert_eq!(checkpointer.numbers().unwrap(), [3, 4, 5]);
    // Larger is better here, and the figure is 1 / number.
    assert!(
        checkpointer
            .best()
            .unwrap()
            .unwrap()
            .ends_with("best-000000001.safetensors")
    );
    let file = |number: u64| folder.path().join(format!("checkpoint-{number:09}.safetensors"));
    let whole = fs::read(file(5)).unwrap();
    fs::write(file(5), &whole[..whole.len() / 2]).unwrap();
    let mut flipped = fs::read(file(4)).unwrap();
    let end = flipped.len() - 1;
    flipped[end] ^= 1;
    fs::write(file(4), flipped).unwrap();
    let restored = checkpointer.restore(&Device::Cpu).unwrap().unwrap();
    assert_eq!(restored.number, 3);
    assert_eq!(weight_bits(&numbered(3)), weight_bits(&restored.saved.network));
    let skipped: Vec<_> = restored.skipped.iter().map(|skipped| skipped.path.clone()).collect();
    assert_eq!(skipped, [file(5), file(4)]);
    assert!(matches!(restored.skipped[0].error, Error::Malformed { .. }));
    assert!(matches!(restored.skipped[1].error, Error::Checksum { .. }));
    // When all are damaged, the best one is still there; and then there is nothing left to go on from.
    fs::write(file(3), "").unwrap();
    assert_eq!(checkpointer.restore(&Device::Cpu).unwrap().unwrap().number, 1);
    fs::write(checkpointer.best().unwrap().unwrap(), "").unwrap();
    assert!(checkpointer.restore(&Device::Cpu).is_err());
}
