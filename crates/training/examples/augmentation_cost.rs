//! What an augmentation pipeline adds to the training of Keras' MNIST CNN, in percent.
//!
//! ```text
//! cargo run --release -p training --example augmentation_cost
//! ```
//!
//! Epochs with and without the pipeline take turns; the ratio is the median of those of the turns. The images are waves of bytes in
//! the size of MNIST's: what is measured does not depend on what they show.

#![allow(clippy::print_stdout, reason = "the figures are the purpose")]

use std::time::Instant;

use augmentation::{Pipeline, ValueRange};
use candle_core::{DType, Device};
use clap::Parser;
use datasets::{Images, Split};
use models::{Network, zoo};
use optimizers::Optimizer;
use training::{Samples, Trainer};

/// As in the program `lab`.
#[global_allocator]
static ALLOCATOR: kernels::memory::Recycling = kernels::memory::Recycling::new();

const SIDE: usize = 28;

#[derive(Parser)]
struct Options {
    #[arg(long, default_value = "flip(horizontal) | rotate(0.05) | zoom(0.2) | contrast(0.2)")]
    augment: String,
    /// Turns of one epoch each
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u16).range(1..))]
    turns: u16,
    /// Images of an epoch
    #[arg(long, default_value_t = 6400)]
    images: usize,
    #[arg(long, default_value_t = 128)]
    batch: usize,
    #[arg(long, default_value_t = 2)]
    threads: usize,
}

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Outcome {
    let options = Options::parse();
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(options.threads)
        .use_current_thread();
    pool.build_global()?;
    let pipeline = Pipeline::parse_for(&options.augment, ValueRange::UNIT)?;
    let mut network = Network::new(zoo::mnist_cnn()?, 1, &Device::Cpu, DType::F32)?;
    let pixels = (0..options.images * SIDE * SIDE).map(|i| (128.0 + 120.0 * (i as f32 * 0.37).sin()) as u8);
    let images = Images::new(SIDE, SIDE, 1, u8::MAX, pixels.collect())?;
    let labels = (0..options.images as u32).map(|i| i % 10).collect();
    let samples = Samples::for_network(&Split::new(images, labels)?, &network)?;
    let mut adam = Optimizer::by_name("adam")?;
    let mut epoch = |augment: Option<&Pipeline>| -> Outcome<f64> {
        let mut trainer = Trainer::new().batch_size(options.batch);
        if let Some(pipeline) = augment {
            trainer = trainer.augment(pipeline);
        }
        let start = Instant::now();
        kernels::threads::awake(|| trainer.fit(&mut network, &mut adam, &samples))?;
        Ok(start.elapsed().as_secs_f64())
    };
    epoch(None)?;
    let (mut plain, mut ratios) = (Vec::new(), Vec::new());
    for turn in 0..options.turns {
        // Who comes first changes, so that neither always finds the processor warmer.
        let (without, with) = if turn % 2 == 0 {
            let without = epoch(None)?;
            (without, epoch(Some(&pipeline))?)
        } else {
            let with = epoch(Some(&pipeline))?;
            (epoch(None)?, with)
        };
        plain.push(options.images as f64 / without);
        ratios.push(with / without);
    }
    println!(
        "{:.0} images/s without; with {}: {:+.1} % of time (median of {} turns, {:+.1} to {:+.1} %)",
        median(&mut plain),
        pipeline,
        100.0 * (median(&mut ratios) - 1.0),
        options.turns,
        100.0 * (ratios[0] - 1.0),
        100.0 * (ratios[ratios.len() - 1] - 1.0),
    );
    Ok(())
}

/// The middle one; the values are sorted afterwards.
fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
