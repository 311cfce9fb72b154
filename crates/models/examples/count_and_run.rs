//! Every built-in network: how large it is, and what it answers: `cargo run -p models --example count_and_run -- lenet5` (without a name:
//! the small ones).

use std::io::Write as _;

use candle_core::{DType, Device, Tensor};
use models::{Mode, Network, zoo};

/// Networks of more weights are counted only, unless they are named.
const SMALL: u64 = 200_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let named: Vec<String> = std::env::args().skip(1).collect();
    let names = zoo::names()
        .map(str::to_string)
        .filter(|name| named.is_empty() || named.contains(name));
    let mut out = std::io::stdout().lock();
    for name in names {
        let spec = zoo::by_name(&name)?;
        let counts = spec.counts();
        write!(
            out,
            "{name}: {} parameters, {} to train",
            counts.total, counts.trainable
        )?;
        if named.is_empty() && counts.total > SMALL {
            writeln!(out)?;
            continue;
        }
        // 6020 is the seed of the initial weights; a batch of two grey images.
        let network = Network::new(spec, 6020, &Device::Cpu, DType::F32)?;
        let mut shape = vec![2];
        shape.extend(network.input_shape());
        let images = (Tensor::ones(shape, DType::F32, &Device::Cpu)? * 0.5)?;
        let logits = network.forward(&images, Mode::Inference)?;
        writeln!(out, "; {:?} -> {:?}", images.dims(), logits.dims())?;
    }
    Ok(())
}
