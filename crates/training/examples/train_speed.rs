//! How fast this workspace trains: the four nets on which `cargo xtask bench peers` compares it with other libraries.
//!
//! ```console
//! $ cargo run --release -p training --example train_speed -- --model cnn --data path/to/mnist --n 6400 --epochs 6
//! ```
//!
//! One JSON line an epoch. `seconds` covers shuffling, batching, forward, backward and the optimizer's steps, not the
//! evaluation; `loss` is the mean training loss; `test_acc` is measured after the epoch; `peak_mib` is the largest memory
//! of the process so far (on Linux). Epoch 0 holds the warm-up. `peers/train.py` trains the same nets in other libraries
//! and prints the same lines.
//!
//! `--precision high` computes products with twice the digits of bfloat16 ([`MatmulPrecision::High`]), `bf16` is Keras' policy
//! `mixed_bfloat16`.
//!
//! All weights are drawn Glorot-uniform, biases are zero; cross-entropy on logits, the mean over the batch:
//!
//! | model | layers | optimizer |
//! |---|---|---|
//! | `mlp` | 784-512-512-10, ReLU | AdamW, rate 0.001, betas 0.9 and 0.999, epsilon 1e-8, decay 0.01 |
//! | `cnn` | conv 32 3×3 same, ReLU, max pool 2, conv 64 3×3 same, ReLU, max pool 2, 128 ReLU, 10 | as `mlp` |
//! | `lenet` | conv 6 5×5 same, tanh, average pool 2, conv 16 5×5 valid, tanh, average pool 2, 120 tanh, 84 tanh, 10 | SGD, rate 0.05, momentum 0.9 |
//! | `catsdogs` | conv 8 5×5 same, ReLU, max pool 2, dropout 0.2, 2 | SGD, rate 0.01 |

#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use candle_core::{DType, Device};
use datasets::{Images, Split};
use kernels::MatmulPrecision;
use models::{Network, zoo};
use nn_theory::{Activation, Conv2D, DTypePolicy, Dense, Flatten, MaxPooling2D, ModelSpec, Padding};
use optimizers::{AdamW, Optimizer, OptimizerBuilder, Sgd};
use serde_json::json;
use training::{Callback, Control, EpochEnd, Loss, Samples, Trainer, evaluate};

const USAGE: &str = "usage: train_speed --model mlp|cnn|lenet|catsdogs --data DIR|synthetic [--n IMAGES] [--batch IMAGES] \
                     [--epochs N] [--threads N] [--precision f32|high|bf16] [--seed N]";

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Feature maps and gradients of a step are kept for the next one.
#[global_allocator]
static ALLOCATOR: kernels::memory::Recycling = kernels::memory::Recycling::new();

fn main() -> ExitCode {
    match train() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("train_speed: {error}");
            ExitCode::FAILURE
        }
    }
}

fn train() -> Outcome<()> {
    let options = Options::parse(std::env::args().skip(1))?;
    rayon::ThreadPoolBuilder::new()
        .num_threads(options.threads)
        .use_current_thread()
        .build_global()?;
    let (train, test) = options.data()?;
    let mut network = Network::new(options.spec()?, options.seed, &Device::Cpu, DType::F32)?;
    if let Some(policy) = DTypePolicy::from_name("mixed_bfloat16").filter(|_| options.precision == "bf16") {
        network = network.with_policy(policy)?;
    }
    let mut optimizer = options.optimizer()?;
    let train = Samples::for_network(&train, &network)?;
    let test = Samples::for_network(&test, &network)?;
    let mut clock = Clock {
        test: &test,
        options: &options,
        samples: train.len(),
        started: Instant::now(),
    };
    let trainer = Trainer::new()
        .epochs(options.epochs)
        .batch_size(options.batch)
        .seed(options.seed)
        .callback(&mut clock);
    let precision = match options.precision.as_str() {
        "high" => MatmulPrecision::High,
        _ => MatmulPrecision::Highest,
    };
    precision.scope(|| kernels::threads::awake(|| trainer.fit(&mut network, &mut optimizer, &train)))?;
    Ok(())
}

/// Takes the time of each epoch and measures the network between two epochs, while the clock stands still.
struct Clock<'a> {
    test: &'a Samples,
    options: &'a Options,
    samples: usize,
    started: Instant,
}

impl Callback for Clock<'_> {
    fn on_epoch_end(&mut self, end: &mut EpochEnd<'_>) -> training::Result<Control> {
        let seconds = self.started.elapsed().as_secs_f64();
        let measured = evaluate(end.network, self.test, Loss::default(), 1000)?;
        let line = json!({
            "framework": "candle-lab",
            "version": env!("CARGO_PKG_VERSION"),
            "variant": self.options.precision,
            "model": self.options.model,
            "epoch": end.record.epoch - 1,
            "n": self.samples,
            "batch": self.options.batch,
            "threads": self.options.threads,
            "seconds": seconds,
            "img_per_s": self.samples as f64 / seconds,
            "loss": end.record.loss,
            "test_acc": measured.accuracy,
            "peak_mib": peak_mib(),
        });
        println!("{line}");
        self.started = Instant::now();
        Ok(Control::Continue)
    }
}

/// The largest resident memory of this process so far, as Linux counts it (`VmHWM`); elsewhere unknown.
fn peak_mib() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some((kib / 1024.0 * 10.0).round() / 10.0)
}

/// What the command line asks for.
struct Options {
    model: String,
    data: String,
    /// Training images; 0 for all of them.
    n: usize,
    batch: usize,
    epochs: usize,
    threads: usize,
    precision: String,
    seed: u64,
}

impl Options {
    fn parse(mut words: impl Iterator<Item = String>) -> Outcome<Self> {
        let mut options = Options {
            model: String::new(),
            data: String::new(),
            n: 0,
            batch: 0,
            epochs: 4,
            threads: 2,
            precision: "f32".to_string(),
            seed: 1,
        };
        while let Some(flag) = words.next() {
            let value = words
                .next()
                .ok_or_else(|| format!("no value after '{flag}'\n{USAGE}"))?;
            let number = || {
                value
                    .parse::<u64>()
                    .map_err(|_| format!("{flag}: expected a number, found '{value}'"))
            };
            match flag.as_str() {
                "--model" => options.model = value,
                "--data" => options.data = value,
                "--n" => options.n = number()? as usize,
                "--batch" => options.batch = number()? as usize,
                "--epochs" => options.epochs = number()? as usize,
                "--threads" => options.threads = number()? as usize,
                "--precision" => options.precision = value,
                "--seed" => options.seed = number()?,
                _ => return Err(format!("unknown option '{flag}'\n{USAGE}").into()),
            }
        }
        if !["mlp", "cnn", "lenet", "catsdogs"].contains(&options.model.as_str()) {
            return Err(format!(
                "--model: expected mlp, cnn, lenet or catsdogs, found '{}'\n{USAGE}",
                options.model
            )
            .into());
        }
        if options.data.is_empty() || options.epochs == 0 || options.threads == 0 {
            return Err(format!("--data is missing, or --epochs or --threads is 0\n{USAGE}").into());
        }
        if !["f32", "high", "bf16"].contains(&options.precision.as_str()) {
            return Err(format!("--precision: expected f32, high or bf16, found '{}'", options.precision).into());
        }
        if options.batch == 0 {
            options.batch = if options.model == "catsdogs" { 8 } else { 128 };
        }
        Ok(options)
    }

    /// The network; where the zoo has it, the zoo's.
    fn spec(&self) -> Outcome<ModelSpec> {
        let conv = |filters| {
            Conv2D::new(filters, [3, 3])
                .padding(Padding::Same)
                .activation(Activation::Relu)
        };
        Ok(match self.model.as_str() {
            "mlp" => zoo::mnist_mlp()?,
            "cnn" => ModelSpec::sequential("cnn")
                .input([28, 28, 1])
                .layer(conv(32))
                .layer(MaxPooling2D::new([2, 2]))
                .layer(conv(64))
                .layer(MaxPooling2D::new([2, 2]))
                .layer(Flatten::new())
                .layer(Dense::new(128).activation(Activation::Relu))
                .layer(Dense::new(10))
                .build()?,
            "lenet" => zoo::lenet5()?,
            _ => zoo::first_cnn()?,
        })
    }

    fn optimizer(&self) -> Outcome<Optimizer> {
        let builder = match self.model.as_str() {
            "mlp" | "cnn" => OptimizerBuilder::new(AdamW {
                beta_1: 0.9,
                beta_2: 0.999,
                epsilon: 1e-8,
                amsgrad: false,
            })
            .learning_rate(1e-3)
            .weight_decay(0.01),
            "lenet" => OptimizerBuilder::new(Sgd::with_momentum()).learning_rate(0.05),
            _ => OptimizerBuilder::new(Sgd::default()).learning_rate(0.01),
        };
        Ok(builder.build()?)
    }

    /// Training images, as many as whole batches hold, and test images.
    fn data(&self) -> Outcome<(Split, Split)> {
        let (train, test) = if self.data == "synthetic" {
            self.noise()?
        } else {
            let set = if self.model == "catsdogs" { "cats-dogs" } else { "mnist" };
            let set = datasets::load(set, Some(Path::new(&self.data)), &mut datasets::Silent)?;
            (set.train, set.test)
        };
        let wanted = if self.n == 0 {
            train.len()
        } else {
            self.n.min(train.len())
        };
        let whole = wanted / self.batch * self.batch;
        if whole == 0 {
            return Err(format!("{wanted} training images do not fill one batch of {}", self.batch).into());
        }
        Ok((train.first(whole), test))
    }

    /// Random images of the right shape: enough to take times.
    fn noise(&self) -> Outcome<(Split, Split)> {
        let (side, classes, count, tested) = match self.model.as_str() {
            "catsdogs" => (32, 2, 80, 80),
            _ => (28, 10, if self.n == 0 { 12_800 } else { self.n }, 1_000),
        };
        let mut draws = kernels::random::Stream::new(self.seed).op("noise").draws();
        let mut split = |count: usize| {
            let bytes = (0..count * side * side)
                .map(|_| draws.uniform_in(0.0, 256.0) as u8)
                .collect();
            Split::new(
                Images::new(side, side, 1, 255, bytes)?,
                (0..count as u32).map(|image| image % classes).collect(),
            )
        };
        Ok((split(count)?, split(tested)?))
    }
}
