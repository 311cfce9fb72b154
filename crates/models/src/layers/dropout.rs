//! `Dropout`: in training, each value is 0 with probability `rate` and divided by `1 - rate` otherwise.

use candle_core::Tensor;
use kernels::Result;
use kernels::random::Stream;
use nn_theory::Dropout;

use crate::network::Mode;

pub(crate) fn forward(layer: &Dropout, name: &str, x: &Tensor, mode: Mode) -> Result<Tensor> {
    match mode {
        Mode::Inference => Ok(x.clone()),
        Mode::Training(stream) => kernels::dropout(x, layer.rate, own_stream(layer, name, stream)),
    }
}

/// A layer with a seed of its own draws from that, another one from the run's stream.
fn own_stream(layer: &Dropout, name: &str, stream: Stream) -> Stream {
    match layer.seed {
        Some(seed) => stream.op("seeded dropout").step(seed as u64),
        None => stream.layer(name),
    }
}
