//! A convolutional network that reads digits: trained, watched, measured, and its mistakes listed: `cargo run -p training --example digits`.

use std::io::Write as _;

use augmentation::{Pipeline, ValueRange};
use candle_core::{DType, Device};
use models::{Network, zoo};
use optimizers::Optimizer;
use training::{EarlyStopping, EpochRecord, Loss, OnEpochEnd, Samples, Trainer, ValidationSplit, evaluate};

/// As in the program `lab`: the memory of a step is kept for the next one.
#[global_allocator]
static ALLOCATOR: kernels::memory::Recycling = kernels::memory::Recycling::new();

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let digits = datasets::digits();
    let mut network = Network::new(zoo::digits_cnn()?, 6020, &Device::Cpu, DType::F32)?;
    let train = Samples::for_network(&digits.train, &network)?;
    let test = Samples::for_network(&digits.test, &network)?;

    let mut adam = Optimizer::builder("adam")?.learning_rate(0.005).build()?;
    let pipeline = Pipeline::parse_for("rotate(0.03) @ 0.5 | translate(0.1, 0.1) @ 0.5", ValueRange::UNIT)?;
    let mut stopping = EarlyStopping::new(5);
    let mut watch = OnEpochEnd(|epoch: &EpochRecord| {
        let accuracy = epoch.get("val_accuracy").unwrap_or_default();
        let _ = writeln!(
            std::io::stderr(),
            "epoch {}: validation accuracy {accuracy:.3}",
            epoch.epoch
        );
    });
    let history = Trainer::new()
        .epochs(12)
        .batch_size(32)
        .seed(6020)
        .augment(&pipeline)
        .validation_split(ValidationSplit::last(0.2))
        .callback(&mut stopping)
        .callback(&mut watch)
        .fit(&mut network, &mut adam, &train)?;

    let measured = evaluate(&network, &test, Loss::default(), 256)?;
    let mut out = std::io::stdout().lock();
    for (digit, taken_for, times) in measured.confusion_matrix().most_confused(3) {
        writeln!(out, "a {digit} was taken for a {taken_for} {times} times")?;
    }
    let (epochs, accuracy) = (history.epochs.len(), 100.0 * measured.accuracy);
    writeln!(
        out,
        "{accuracy:.1} % of the test images are right after {epochs} epochs"
    )?;
    Ok(())
}
