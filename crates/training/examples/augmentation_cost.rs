//! What an augmentation pipeline adds to the training of Keras' MNIST CNN, in percent.
//!
//! ```text
//! cargo run --release -p training --example augmentation_cost
//! ```
//!
//! In each turn one epoch without the pipeline comes first, two with it, and one more without, so that a processor that becomes faster
//! or slower meanwhile changes both sides alike; the ratio is the median of those of the turns, with the middle half of them. Beside it
//! stands what the pipeline alone takes of one processor: a share that other programs hardly change. The images are waves of bytes in the
//! size of MNIST's: what is measured does not depend on what they show.

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
    /// Turns of two epochs with and two without
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
    epoch(Some(&pipeline))?;
    let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build()?;
    let (mut plain, mut ratios, mut own) = (Vec::new(), Vec::new(), Vec::new());
    for turn in 0..u64::from(options.turns) {
        let before = epoch(None)?;
        let with = epoch(Some(&pipeline))? + epoch(Some(&pipeline))?;
        let without = before + epoch(None)?;
        plain.push(without / 2.0);
        ratios.push(with / without);
        let start = Instant::now();
        alone.install(|| samples.augmented(&pipeline, 1, turn))?;
        own.push(start.elapsed().as_secs_f64());
    }
    let seconds = quartile(&mut plain, 2);
    let of_image = 1e6 / options.images as f64;
    println!(
        "{:.0} images/s without; with {pipeline}: {:+.1} % of time (median of {} turns, half of them between {:+.1} and {:+.1} %)",
        options.images as f64 / seconds,
        100.0 * (quartile(&mut ratios, 2) - 1.0),
        options.turns,
        100.0 * (quartile(&mut ratios, 1) - 1.0),
        100.0 * (quartile(&mut ratios, 3) - 1.0),
    );
    let own = quartile(&mut own, 2);
    println!(
        "the pipeline alone takes {:.2} us of one processor an image, {:.1} % of the {:.1} us that training takes of {}",
        own * of_image,
        100.0 * own / (seconds * options.threads as f64),
        seconds * options.threads as f64 * of_image,
        options.threads,
    );
    Ok(())
}

/// The first, second (the median) or third quartile; the values are sorted afterwards.
fn quartile(values: &mut [f64], number: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    values[(values.len() - 1) * number / 4]
}
