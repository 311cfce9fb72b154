//! How fast Burn trains on a CPU: the four nets of `cargo xtask bench peers`, with the options and the JSON lines of
//! `crates/training/examples/train_speed.rs`, where the nets and their optimizers are written down.
//!
//! The backend is `flex` (Burn's own) or `ndarray`. Threads are those of rayon and matrixmultiply, so the caller sets
//! `RAYON_NUM_THREADS` and `MATMUL_NUM_THREADS`; `--threads` is what is printed.

mod net;

use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use burn::nn::loss::CrossEntropyLossConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdamWConfig, GradientsParams, ModuleOptimizer, SgdConfig};
use burn::prelude::*;
use burn::tensor::TensorData;
use datasets::Split;
use net::Net;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use serde_json::json;

type Outcome<T> = Result<T, Box<dyn Error>>;

const USAGE: &str = "usage: burn-peer --backend flex|ndarray --model mlp|cnn|lenet|catsdogs --data DIR [--n IMAGES] \
                     [--batch IMAGES] [--epochs N] [--threads N] [--seed N]";

fn main() -> ExitCode {
    match train() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("burn-peer: {error}");
            ExitCode::FAILURE
        }
    }
}

fn train() -> Outcome<()> {
    let options = Options::parse(std::env::args().skip(1))?;
    let plain = match options.backend.as_str() {
        "flex" => Device::flex(),
        // Deprecated in favour of flex, but faster on dense nets with one thread.
        #[allow(deprecated)]
        "ndarray" => Device::ndarray(),
        other => return Err(format!("--backend: expected flex or ndarray, found '{other}'\n{USAGE}").into()),
    };
    plain.seed(options.seed);
    let device = plain.clone().autodiff();
    let (train, test) = options.data()?;
    let side = train.images.height;
    let (inputs, tests) = (train.images.to_f32(), test.images.to_f32());
    let mut net = Net::new(&options.model, side, &device)
        .ok_or_else(|| format!("--model: unknown '{}'\n{USAGE}", options.model))?;
    let (mut optimizer, rate) = optimizer(&options.model);
    let loss = CrossEntropyLossConfig::new().init(&device);
    let mut order: Vec<usize> = (0..train.len()).collect();
    let mut draws = StdRng::seed_from_u64(options.seed);
    for epoch in 0..options.epochs {
        let started = Instant::now();
        order.shuffle(&mut draws);
        let mut total = 0.0;
        for batch in order.chunks(options.batch) {
            let (x, y) = tensors(&inputs, &train.labels, batch, side, &device);
            let mean = loss.forward(net.forward(x), y);
            total += mean.clone().into_scalar::<f32>() as f64;
            let gradients = GradientsParams::from_grads(mean.backward(), &net);
            net = optimizer.step(rate, net, gradients);
        }
        let seconds = started.elapsed().as_secs_f64();
        let trained = net.valid();
        let mut right = 0;
        for batch in (0..test.len()).collect::<Vec<_>>().chunks(1000) {
            let (x, y) = tensors(&tests, &test.labels, batch, side, &plain);
            let hits = trained.forward(x).argmax(1).squeeze_dim::<1>(1).equal(y);
            right += hits.int().sum().into_scalar::<i64>();
        }
        let line = json!({
            "framework": format!("burn-{}", options.backend),
            "version": "0.22.1",
            "variant": "f32",
            "model": options.model,
            "epoch": epoch,
            "n": train.len(),
            "batch": options.batch,
            "threads": options.threads,
            "seconds": seconds,
            "img_per_s": train.len() as f64 / seconds,
            "loss": total / (train.len() / options.batch) as f64,
            "test_acc": right as f64 / test.len() as f64,
            "peak_mib": peak_mib(),
        });
        println!("{line}");
    }
    Ok(())
}

fn optimizer(model: &str) -> (ModuleOptimizer, f64) {
    match model {
        "mlp" | "cnn" => (
            AdamWConfig::new().with_epsilon(1e-8).with_weight_decay(0.01).init(),
            1e-3,
        ),
        "lenet" => {
            let momentum = MomentumConfig::new().with_momentum(0.9).with_dampening(0.0);
            (SgdConfig::new().with_momentum(Some(momentum)).init(), 0.05)
        }
        _ => (SgdConfig::new().init(), 0.01),
    }
}

/// The images (batch, 1, side, side) and labels at `indices`.
fn tensors(
    inputs: &[f32],
    labels: &[u32],
    indices: &[usize],
    side: usize,
    device: &Device,
) -> (Tensor<4>, Tensor<1, Int>) {
    let pixels = side * side;
    let mut rows = Vec::with_capacity(indices.len() * pixels);
    for &i in indices {
        rows.extend_from_slice(&inputs[i * pixels..(i + 1) * pixels]);
    }
    let classes: Vec<i64> = indices.iter().map(|&i| i64::from(labels[i])).collect();
    (
        Tensor::from_data(TensorData::new(rows, [indices.len(), 1, side, side]), device),
        Tensor::from_data(TensorData::new(classes, [indices.len()]), device),
    )
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
    backend: String,
    model: String,
    data: String,
    n: usize,
    batch: usize,
    epochs: usize,
    threads: usize,
    seed: u64,
}

impl Options {
    fn parse(mut words: impl Iterator<Item = String>) -> Outcome<Self> {
        let mut options = Options {
            backend: "flex".to_string(),
            model: String::new(),
            data: String::new(),
            n: 0,
            batch: 0,
            epochs: 4,
            threads: 2,
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
                "--backend" => options.backend = value,
                "--model" => options.model = value,
                "--data" => options.data = value,
                "--n" => options.n = number()? as usize,
                "--batch" => options.batch = number()? as usize,
                "--epochs" => options.epochs = number()? as usize,
                "--threads" => options.threads = number()? as usize,
                "--seed" => options.seed = number()?,
                _ => return Err(format!("unknown option '{flag}'\n{USAGE}").into()),
            }
        }
        if options.model.is_empty() || options.data.is_empty() {
            return Err(USAGE.into());
        }
        if options.batch == 0 {
            options.batch = if options.model == "catsdogs" { 8 } else { 128 };
        }
        Ok(options)
    }

    /// Training images, as many as whole batches hold, and test images.
    fn data(&self) -> Outcome<(Split, Split)> {
        let name = if self.model == "catsdogs" { "cats-dogs" } else { "mnist" };
        let set = datasets::load(name, Some(Path::new(&self.data)), &mut datasets::Silent)?;
        let wanted = if self.n == 0 {
            set.train.len()
        } else {
            self.n.min(set.train.len())
        };
        let whole = wanted / self.batch * self.batch;
        if whole == 0 {
            return Err(format!("{wanted} training images do not fill one batch of {}", self.batch).into());
        }
        Ok((set.train.first(whole), set.test))
    }
}
