//! How fast the operations are, and how fast they could be.
//!
//! Operations that multiply count floating point operations (criterion prints them as elements) and bytes, the others only the bytes that
//! they must read and write: every array once, twice where a result is needed before the second reading can begin. The group `peak`
//! measures what the machine can do at most; `cargo xtask bench kernels` puts each operation beside its peak.
//!
//! `forward` is the operation as in inference, `forward+backward` with the gradients of all its arguments but the images of a first layer,
//! as a training computes them: recorded on a [`kernels::tape`], with the threads kept awake ([`kernels::threads::awake`]) and with the
//! allocator that keeps large blocks ([`kernels::memory::Recycling`]). The numbers are `f32`, the batch has 128 images.

mod activation;
mod batch_norm;
mod conv2d;
mod dropout;
mod linear;
mod loss;
mod peak;
mod pooling;
mod steps;
mod work;

use std::time::Duration;

use criterion::{Criterion, criterion_group};

fn short() -> Criterion {
    Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(600))
        .without_plots()
}

criterion_group! {
    name = benches;
    config = short();
    targets = peak::arithmetic, peak::memory, linear::linears, conv2d::convolutions, pooling::poolings,
        batch_norm::normalizations, activation::activations, dropout::dropouts, loss::losses, steps::steps
}
/// What `lab` and every other program that trains with these kernels has in place.
#[global_allocator]
static ALLOCATOR: kernels::memory::Recycling = kernels::memory::Recycling::new();

fn main() {
    rayon::ThreadPoolBuilder::new()
        .use_current_thread()
        .build_global()
        .unwrap();
    kernels::threads::awake(benches);
    Criterion::default().configure_from_args().final_summary();
}
