//! How fast the depthwise and transposed convolutions, those of volumes, and the normalizations are. "elem/s" are floating
//! point operations a second for convolutions, bytes read and written a second for normalizations and pooling.

use std::hint::black_box;

use candle_core::{Device, Tensor, Var};
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use kernels::random::Stream;
use kernels::{
    Conv3dOptions, ConvTransposeOptions, DepthwiseConv2dOptions, Padding, Pool3dOptions, batch_norm, conv2d_transpose,
    conv3d, depthwise_conv2d, group_norm, layer_norm, max_pool3d,
};

const BATCH: usize = 32;

fn var(dims: &[usize]) -> Var {
    let mut numbers = vec![0f32; dims.iter().product()];
    Stream::new(dims.len() as u64)
        .draws()
        .fill_normal(&mut numbers, 0.0, 0.05);
    Var::from_tensor(&Tensor::from_vec(numbers, dims, &Device::Cpu).unwrap()).unwrap()
}

/// Measures the forward pass (as in inference) and forward + backward of all arguments.
fn both(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    work: usize,
    vars: &[Var],
    f: impl Fn(&[Tensor]) -> Tensor,
) {
    let tracked: Vec<Tensor> = vars.iter().map(|var| var.as_tensor().clone()).collect();
    let plain: Vec<Tensor> = tracked.iter().map(Tensor::detach).collect();
    group.throughput(Throughput::Elements(work as u64));
    group.bench_function(format!("{name}/forward"), |b| b.iter(|| f(&plain)));
    group.throughput(Throughput::Elements(3 * work as u64));
    group.bench_function(format!("{name}/forward+backward"), |b| {
        b.iter(|| black_box(f(&tracked).sum_all().unwrap().backward().unwrap()))
    });
}

fn convolutions(c: &mut Criterion) {
    let mut group = c.benchmark_group("volumes");
    // Layers of MobileNetV2.
    for (side, channels) in [(56, 144), (28, 192), (14, 576), (7, 960)] {
        let options = DepthwiseConv2dOptions {
            padding: Padding::Same,
            ..Default::default()
        };
        let vars = [var(&[BATCH, side, side, channels]), var(&[3, 3, channels, 1])];
        let work = 2 * 9 * BATCH * side * side * channels;
        both(
            &mut group,
            &format!("depthwise 3x3 {side}x{side}x{channels}"),
            work,
            &vars,
            |t| depthwise_conv2d(&t[0], &t[1], None, &options).unwrap(),
        );
    }
    let options = ConvTransposeOptions {
        strides: [2, 2],
        padding: Padding::Same,
        ..Default::default()
    };
    let vars = [var(&[BATCH, 16, 16, 64]), var(&[4, 4, 64, 64])];
    let work = 2 * BATCH * 16 * 16 * 64 * 16 * 64;
    both(&mut group, "transposed 4x4 stride 2 16x16x64", work, &vars, |t| {
        conv2d_transpose(&t[0], &t[1], None, &options).unwrap()
    });
    let options = Conv3dOptions {
        padding: Padding::Same,
        ..Default::default()
    };
    let vars = [var(&[4, 16, 32, 32, 16]), var(&[3, 3, 3, 16, 32])];
    let work = 2 * 4 * 16 * 32 * 32 * 27 * 16 * 32;
    both(&mut group, "conv3d 3x3x3 16x32x32x16", work, &vars, |t| {
        conv3d(&t[0], &t[1], None, &options).unwrap()
    });
    let vars = [var(&[4, 16, 32, 32, 16])];
    both(
        &mut group,
        "max_pool3d 2x2x2 16x32x32x16",
        4 * 4 * 16 * 32 * 32 * 16,
        &vars,
        |t| max_pool3d(&t[0], &Pool3dOptions::new([2, 2, 2])).unwrap(),
    );
    group.finish();
}

fn normalizations(c: &mut Criterion) {
    let mut group = c.benchmark_group("normalization");
    for (side, channels) in [(56, 32), (28, 144), (14, 384)] {
        let vars = [var(&[BATCH, side, side, channels]), var(&[channels]), var(&[channels])];
        let work = 2 * 4 * BATCH * side * side * channels;
        let (mean, variance) = (var(&[channels]), var(&[channels]));
        both(
            &mut group,
            &format!("layer {side}x{side}x{channels}"),
            work,
            &vars,
            |t| layer_norm(&t[0], &[3], Some(&t[1]), Some(&t[2]), 1e-3).unwrap(),
        );
        both(
            &mut group,
            &format!("group {side}x{side}x{channels}"),
            work,
            &vars,
            |t| group_norm(&t[0], 16, Some(&t[1]), Some(&t[2]), 1e-3).unwrap(),
        );
        both(
            &mut group,
            &format!("batch {side}x{side}x{channels}"),
            work,
            &vars,
            |t| {
                let normed = batch_norm(&t[0], Some(&t[1]), Some(&t[2]), &mean, &variance, 0.99, 1e-3, true);
                normed.unwrap().output
            },
        );
    }
    group.finish();
}

criterion_group!(benches, convolutions, normalizations);
criterion_main!(benches);
