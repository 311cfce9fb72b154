//! Every gradient against central differences, over random shapes and options.

use crate::differences::{check, distinct, normal};
use candle_core::{Device, Tensor};
use kernels::random::Stream;
use kernels::{
    Activation, Conv2dOptions, Padding, Pool2dOptions, activation, avg_pool2d, batch_norm, binary_crossentropy,
    categorical_crossentropy, conv2d, dropout, global_avg_pool2d, global_max_pool2d, linear, max_pool2d,
    mean_squared_error, sparse_categorical_crossentropy,
};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

pub(crate) fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        rng_seed: RngSeed::Fixed(20),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

fn padding() -> impl Strategy<Value = Padding> {
    prop_oneof![Just(Padding::Valid), Just(Padding::Same)]
}

fn any_activation() -> impl Strategy<Value = Activation> {
    (0..Activation::ALL.len()).prop_map(|index| Activation::ALL[index])
}

proptest! {
    #![proptest_config(cases(24))]

    #[test]
    fn linear_with_any_activation(
        rows in 1usize..6, inputs in 1usize..8, units in 1usize..7, bias: bool, f in any_activation(), seed: u64,
    ) {
        let mut arguments = vec![normal(seed, &[rows, inputs]), normal(seed ^ 1, &[inputs, units])];
        if bias {
            arguments.push(normal(seed ^ 2, &[units]));
        }
        check(&arguments, |t| linear(&t[0], &t[1], t.get(2), f).unwrap());
    }

    #[test]
    fn convolution_of_any_kind(
        (images, height, width) in (1usize..3, 3usize..8, 3usize..8),
        kernel in [1usize..4, 1usize..4],
        strides in [1usize..4, 1usize..4],
        dilation in [1usize..3, 1usize..3],
        (groups, group_channels, group_filters) in (1usize..4, 1usize..4, 1usize..4),
        padding in padding(), bias: bool, f in any_activation(), seed: u64,
    ) {
        let fits = |n: usize, k: usize, d: usize| padding == Padding::Same || (k - 1) * d < n;
        prop_assume!(fits(height, kernel[0], dilation[0]) && fits(width, kernel[1], dilation[1]));
        let (channels, filters) = (groups * group_channels, groups * group_filters);
        let mut arguments = vec![
            normal(seed, &[images, height, width, channels]),
            normal(seed ^ 1, &[kernel[0], kernel[1], group_channels, filters]),
        ];
        if bias {
            arguments.push(normal(seed ^ 2, &[filters]));
        }
        let options = Conv2dOptions { strides, padding, dilation, groups, activation: f };
        check(&arguments, |t| conv2d(&t[0], &t[1], t.get(2), &options).unwrap());
    }

    #[test]
    fn convolution_with_many_channels(kernel in 1usize..4, stride in 1usize..3, padding in padding(), seed: u64) {
        // From 8 channels on, patches are laid out the other way round.
        let arguments = [normal(seed, &[2, 5, 4, 9]), normal(seed ^ 1, &[kernel, kernel, 9, 3]), normal(seed ^ 2, &[3])];
        let options = Conv2dOptions { strides: [stride, stride], padding, activation: Activation::Tanh, ..Default::default() };
        check(&arguments, |t| conv2d(&t[0], &t[1], t.get(2), &options).unwrap());
    }

    #[test]
    fn pooling_of_any_kind(
        (images, height, width, channels) in (1usize..3, 1usize..9, 1usize..9, 1usize..4),
        pool_size in [1usize..4, 1usize..4], strides in [1usize..4, 1usize..4], padding in padding(), seed: u64,
    ) {
        prop_assume!(padding == Padding::Same || (pool_size[0] <= height && pool_size[1] <= width));
        let x = [distinct(seed, &[images, height, width, channels])];
        let options = Pool2dOptions { pool_size, strides, padding };
        check(&x, |t| max_pool2d(&t[0], &options).unwrap());
        check(&x, |t| avg_pool2d(&t[0], &options).unwrap());
        check(&x, |t| global_max_pool2d(&t[0]).unwrap());
        check(&x, |t| global_avg_pool2d(&t[0]).unwrap());
    }

    #[test]
    fn batch_normalization(rows in 2usize..6, pixels in 1usize..5, channels in 1usize..5, training: bool, seed: u64) {
        let arguments = [normal(seed, &[rows, pixels, channels]), normal(seed ^ 1, &[channels]), normal(seed ^ 2, &[channels])];
        let mean = Tensor::from_vec(normal(seed ^ 3, &[channels]).numbers, channels, &Device::Cpu).unwrap();
        let variance = mean.sqr().unwrap();
        check(&arguments, |t| {
            batch_norm(&t[0], Some(&t[1]), Some(&t[2]), &mean, &variance, 0.99, 1e-3, training).unwrap().output
        });
    }

    #[test]
    fn losses(rows in 1usize..6, classes in 1usize..6, seed: u64) {
        let x = [normal(seed, &[rows, classes])];
        let target = Tensor::from_vec(normal(seed ^ 1, &[rows, classes]).numbers, (rows, classes), &Device::Cpu).unwrap();
        let shares = kernels::softmax(&target).unwrap();
        let labels: Vec<u32> = (0..rows).map(|row| (seed as usize % classes + row) as u32 % classes as u32).collect();
        let labels = Tensor::new(labels, &Device::Cpu).unwrap();
        check(&x, |t| sparse_categorical_crossentropy(&t[0], &labels).unwrap());
        check(&x, |t| categorical_crossentropy(&t[0], &shares).unwrap());
        check(&x, |t| categorical_crossentropy(&t[0], &target).unwrap()); // rows that do not sum to 1
        check(&x, |t| binary_crossentropy(&t[0], &shares).unwrap());
        check(&x, |t| mean_squared_error(&t[0], &target).unwrap());
    }

    #[test]
    fn dropout_lets_the_gradient_through_its_mask(rows in 1usize..5, columns in 1usize..20, rate in 0.0f64..0.9, seed: u64) {
        check(&[normal(seed, &[rows, columns])], |t| dropout(&t[0], rate, Stream::new(seed)).unwrap());
    }
}

#[test]
fn every_activation() {
    for f in Activation::ALL {
        check(&[normal(3, &[4, 11])], |t| activation(&t[0], f).unwrap());
    }
}

#[test]
fn arguments_that_are_views() {
    // Transposed and narrowed tensors reach the operations through a contiguous copy that keeps the graph.
    check(&[normal(1, &[3, 5]), normal(2, &[4, 3])], |t| {
        linear(&t[0].t().unwrap(), &t[1].t().unwrap(), None, Activation::Tanh).unwrap()
    });
    check(&[normal(1, &[2, 3, 6, 5])], |t| {
        let x = t[0].permute((0, 2, 3, 1)).unwrap().narrow(1, 1, 4).unwrap();
        max_pool2d(&x, &Pool2dOptions::default()).unwrap()
    });
}

#[test]
fn a_tensor_of_higher_rank_is_a_batch_of_rows() {
    check(&[normal(1, &[2, 3, 4]), normal(2, &[4, 5]), normal(3, &[5])], |t| {
        linear(&t[0], &t[1], Some(&t[2]), Activation::Sigmoid).unwrap()
    });
}
