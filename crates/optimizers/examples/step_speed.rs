//! One optimizer step, timed: our side of `cargo xtask bench optimizers`.
//!
//! ```console
//! $ cargo run --release -p optimizers --example step_speed -- --optimizers adam,lion --sizes 1e5,1e6 --tensors 1,100
//! ```
//!
//! One JSON line a case, as `peers/optim_step.py` prints it for other libraries: `seconds` is the median over blocks of steps with the
//! gradients ready (no forward, no backward pass), `gb_per_s` the bytes that an ideal single pass must move (weights and state read and
//! written once, gradients read once) over that time. Mode `checked` is the default, which refuses NaN and infinity before it changes
//! anything; `unchecked` computes with them, as other libraries do. All tensors are matrices, so Adafactor runs factored. `muon` is Keras',
//! `torch_muon` PyTorch's; SOAP's first step, which computes eigenvectors, is not among those measured.

#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::error::Error;
use std::time::Instant;

use candle_core::{Device, Tensor, Var};
use clap::Parser;
use optimizers::{Optimizer, Parameter};
use serde_json::json;

/// Large blocks are kept, and start at different places of a page, as in the program `lab`.
#[global_allocator]
static ALLOCATOR: kernels::memory::Recycling = kernels::memory::Recycling::new();

/// Times one optimizer step.
#[derive(Parser)]
struct Options {
    /// Names as the benchmark has them; `sgdm` is `sgd_momentum`
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "sgdm,adam,adamw,rmsprop,adagrad,adadelta,adamax,nadam,lion,adafactor"
    )]
    optimizers: Vec<String>,
    /// Parameters of all tensors together
    #[arg(long, value_delimiter = ',', default_value = "1e5,1e6,1e7,1e8")]
    sizes: Vec<f64>,
    /// Numbers of tensors that they are spread over
    #[arg(long, value_delimiter = ',', default_value = "1,100")]
    tensors: Vec<usize>,
    #[arg(long, value_delimiter = ',', default_value = "checked,unchecked")]
    modes: Vec<String>,
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Measured blocks of steps
    #[arg(long, default_value_t = 5)]
    blocks: usize,
    /// Least seconds of a block
    #[arg(long, default_value_t = 0.2)]
    seconds: f64,
    /// Call from a thread that is not one of those that compute
    #[arg(long)]
    outside: bool,
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(options.threads);
    let pool = if options.outside {
        pool
    } else {
        pool.use_current_thread()
    };
    pool.build_global()?;
    for &size in &options.sizes {
        for &count in &options.tensors {
            for name in &options.optimizers {
                for mode in &options.modes {
                    let seconds = time(&options, name, mode == "checked", size as usize, count)?;
                    let bytes = bytes_of_ideal_pass(name)? as f64 * size;
                    println!(
                        "{}",
                        json!({
                            "framework": "candle-lab", "version": env!("CARGO_PKG_VERSION"), "mode": mode, "optimizer": name,
                            "params": size, "tensors": count, "threads": options.threads,
                            "seconds": seconds, "gb_per_s": bytes / seconds / 1e9,
                        })
                    );
                }
            }
        }
    }
    Ok(())
}

fn keras_name(name: &str) -> &str {
    if name == "sgdm" { "sgd_momentum" } else { name }
}

/// Bytes a parameter: the weight read and written, the gradient read, every state tensor of its size read and written.
fn bytes_of_ideal_pass(name: &str) -> Result<usize, Box<dyn Error>> {
    let infos = optimizers::catalogue();
    let info = infos.iter().find(|info| info.name == keras_name(name));
    let info = info.ok_or_else(|| format!("no optimizer '{name}'"))?;
    // Of Adafactor's rows and columns less than a byte is left; SOAP's bases are as large as the matrix itself.
    Ok(12 + 2 * (info.state_bytes(&[64, 64]) / (64 * 64)))
}

/// Rows and columns, as in `peers/optim_step.py`.
fn shape(elements: usize) -> Result<(usize, usize), Box<dyn Error>> {
    Ok(match elements {
        1_000 => (25, 40),
        10_000 => (100, 100),
        100_000 => (250, 400),
        1_000_000 => (1000, 1000),
        10_000_000 => (2500, 4000),
        100_000_000 => (10_000, 10_000),
        // Layers of a network for MNIST, for what multiplies matrices.
        262_144 => (512, 512),
        401_408 => (784, 512),
        _ => {
            return Err(format!(
                "no shape for {elements} elements: sizes are powers of ten from 1e3 to 1e8 a tensor, 262144 and 401408"
            )
            .into());
        }
    })
}

/// Numbers in -1..1 that look random: SplitMix64.
fn noise(seed: u64, count: usize, scale: f32) -> Vec<f32> {
    let one = |index: u64| {
        let mut z = (seed << 40).wrapping_add(index).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count as u64).map(|index| one(index) * scale).collect()
}

fn time(options: &Options, name: &str, check: bool, size: usize, count: usize) -> Result<f64, Box<dyn Error>> {
    let shape = shape(size / count)?;
    let elements = shape.0 * shape.1;
    let parts = (0..count)
        .map(|index| {
            let var = Var::from_tensor(&Tensor::from_vec(noise(1, elements, 1.0), shape, &Device::Cpu)?)?;
            let gradient = Tensor::from_vec(noise(2, elements, 0.01), shape, &Device::Cpu)?;
            Ok((format!("layer{index}/kernel"), var, gradient))
        })
        .collect::<candle_core::Result<Vec<(String, Var, Tensor)>>>()?;
    let parameters: Vec<Parameter<'_>> = parts
        .iter()
        .map(|(path, var, gradient)| Parameter { path, var, gradient })
        .collect();
    let builder = Optimizer::builder(keras_name(name))?.learning_rate(1e-4);
    let mut optimizer = builder.check_finite(check).build()?;
    let mut one = f64::INFINITY;
    for _ in 0..3 {
        let start = Instant::now();
        optimizer.apply(&parameters)?;
        one = start.elapsed().as_secs_f64();
    }
    // SOAP turns its bases every tenth step: every block has as many of those.
    let whole = |calls: usize| {
        if name == "soap" {
            calls.next_multiple_of(10)
        } else {
            calls
        }
    };
    let mut calls = whole(((options.seconds / one) as usize).max(1));
    let mut times = Vec::new();
    while times.len() < options.blocks {
        let start = Instant::now();
        for _ in 0..calls {
            optimizer.apply(&parameters)?;
        }
        let seconds = start.elapsed().as_secs_f64();
        if seconds < options.seconds / 3.0 {
            // The first steps were slow: more steps a block, and once more.
            calls = whole((calls as f64 * options.seconds / seconds) as usize + 1);
        } else {
            times.push(seconds / calls as f64);
        }
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}
