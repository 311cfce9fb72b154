//! A training that is killed at any moment goes on from its newest whole checkpoint to the bits of one that was never disturbed.
#![cfg(unix)]
#![allow(clippy::print_stdout, reason = "the program that is killed says how far it came")]

use crate::problems::{bits, digits, network, specs};
use candle_core::{DType, Device};
use kernels::random::Stream;
use models::Network;
use optimizers::Optimizer;
use persistence::{Checkpointer, Metadata, TrainingState};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;
use training::callbacks::{Moment, Monitor, SavePoint};
use training::{Callback, Checkpoint, Error, History, Trainer, resume};

/// Names the folder to the program that is to be killed.
const FOLDER: &str = "CANDLE_LAB_CRASH_FOLDER";

/// Says how often it is killed.
const ROUNDS: &str = "CANDLE_LAB_KILLS";

const EPOCHS: usize = 4;

/// Says when a step has been saved.
struct Report;

impl Callback for Report {
    fn saves(&self, _: &Moment) -> bool {
        true
    }

    fn on_save(&mut self, point: &SavePoint<'_>) -> training::Result<()> {
        println!("saved {}", point.optimizer.iterations());
        std::io::stdout().flush().unwrap();
        Ok(())
    }
}

/// Trains to the end, from the newest checkpoint of the folder if there is one; without a folder at once.
fn train(folder: Option<&Path>) -> Network {
    let (mut network, mut optimizer, history) = match folder.map(|folder| resume(folder, &Device::Cpu)) {
        Some(Ok(resumed)) => (resumed.network, resumed.optimizer, resumed.history),
        Some(Err(Error::Checkpoint { .. })) | None => {
            let [_, spec] = specs();
            (
                network(spec, DType::F32),
                Optimizer::by_name("adam").unwrap(),
                History::default(),
            )
        }
        Some(Err(error)) => panic!("{error}"),
    };
    let samples = digits(&network, 70);
    let trainer = Trainer::new().epochs(EPOCHS).batch_size(16).seed(7).resume(history);
    let state = TrainingState {
        seed: 7,
        batch_size: 16,
        ..TrainingState::default()
    };
    let metadata = Metadata {
        training: Some(state),
        ..Metadata::default()
    };
    match folder {
        None => trainer.fit(&mut network, &mut optimizer, &samples).unwrap(),
        Some(folder) => {
            let checkpointer = Checkpointer::new(folder).unwrap().keep_last(2);
            let mut checkpoint = Checkpoint::in_folder(checkpointer, Monitor::new("loss"), metadata).every_steps(1);
            let trainer = trainer.callback(&mut checkpoint);
            let mut report = Report;
            trainer
                .callback(&mut report)
                .fit(&mut network, &mut optimizer, &samples)
                .unwrap()
        }
    };
    network
}

/// The program that is killed. (As a test, without the variable, it does nothing.)
#[test]
fn child_that_trains() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        train(Some(Path::new(&folder)));
    }
}

#[test]
fn killed_training_ends_with_the_same_bits() {
    let rounds: usize = std::env::var(ROUNDS)
        .ok()
        .and_then(|rounds| rounds.parse().ok())
        .unwrap_or(6);
    let undisturbed = bits(&train(None));
    let mut draws = Stream::new(6020).op("kill").draws();
    let mut left = rounds;
    while left > 0 {
        let folder = tempfile::tempdir().unwrap();
        // Killed some times on the way to the end, which comes sooner or later.
        loop {
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.args([
                "killed::child_that_trains",
                "--exact",
                "--nocapture",
                "--test-threads",
                "1",
            ]);
            let mut running = command
                .env(FOLDER, folder.path())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let output = BufReader::new(running.stdout.take().unwrap());
            let (sender, saved) = mpsc::channel();
            let reader = std::thread::spawn(move || {
                let lines = output
                    .lines()
                    .map_while(Result::ok)
                    .filter(|line| line.contains("saved "));
                lines.for_each(|_| {
                    // Nobody waits any more once the program was killed.
                    let _ = sender.send(());
                });
            });
            let steps = (draws.uniform() * 6.0) as usize;
            let ended = (0..steps).any(|_| saved.recv().is_err());
            let _ = saved.recv_timeout(Duration::from_micros((draws.uniform() * 5_000.0) as u64));
            if ended || left == 0 {
                // It ended by itself, or is left alone now.
                assert!(running.wait().unwrap().success());
                reader.join().unwrap();
                break;
            }
            running.kill().unwrap();
            running.wait().unwrap();
            reader.join().unwrap();
            left -= 1;
        }
        let end = resume(folder.path(), &Device::Cpu).unwrap();
        assert!(end.skipped.is_empty());
        assert_eq!(end.history.epochs.len(), EPOCHS);
        assert_eq!(bits(&end.network), undisturbed);
    }
}
