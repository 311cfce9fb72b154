//! Gradients of the convolutions, poolings and normalizations of any number of sides, by central differences.

use candle_core::{Device, Tensor};
use kernels::random::Stream;
use kernels::{
    Activation, Conv1dOptions, Conv2dOptions, Conv3dOptions, ConvTransposeOptions, DepthwiseConv2dOptions, Padding,
    Pool1dOptions, Pool2dOptions, Pool3dOptions, adaptive_avg_pool, adaptive_max_pool, avg_pool1d, avg_pool2d,
    avg_pool3d, conv1d, conv1d_transpose, conv2d, conv2d_transpose, conv3d, conv3d_transpose, depthwise_conv2d,
    group_norm, layer_norm, max_pool1d, max_pool2d, max_pool3d, rms_norm, separable_conv2d, unit_norm,
};
use proptest::prelude::*;

use crate::differences::{Argument, check, distinct, gradients, normal};
use crate::gradients::cases;

fn padding() -> impl Strategy<Value = Padding> {
    prop_oneof![Just(Padding::Valid), Just(Padding::Same), Just(Padding::Causal)]
}

fn transposed_padding() -> impl Strategy<Value = Padding> {
    prop_oneof![Just(Padding::Valid), Just(Padding::Same)]
}

/// Smooth everywhere, so that differences are right.
fn smooth() -> impl Strategy<Value = Activation> {
    prop_oneof![Just(Activation::Linear), Just(Activation::Tanh)]
}

fn fits(n: usize, k: usize, d: usize, padding: Padding) -> bool {
    padding != Padding::Valid || (k - 1) * d < n
}

fn with_bias(mut arguments: Vec<Argument>, bias: bool, seed: u64, len: usize) -> Vec<Argument> {
    if bias {
        arguments.push(normal(seed ^ 7, &[len]));
    }
    arguments
}

proptest! {
    #![proptest_config(cases(16))]

    #[test]
    fn convolution_of_images_with_explicit_padding(
        (height, width) in (1usize..6, 1usize..6), kernel in [1usize..4, 1usize..4], strides in [1usize..4, 1usize..4],
        dilation in [1usize..3, 1usize..3], pairs in [[0usize..4, 0usize..4], [0usize..4, 0usize..4]],
        groups in 1usize..3, bias: bool, f in smooth(), seed: u64,
    ) {
        let padded = |n: usize, side: usize| n + pairs[side][0] + pairs[side][1];
        prop_assume!(fits(padded(height, 0), kernel[0], dilation[0], Padding::Valid));
        prop_assume!(fits(padded(width, 1), kernel[1], dilation[1], Padding::Valid));
        let arguments = vec![
            normal(seed, &[2, height, width, 2 * groups]),
            normal(seed ^ 1, &[kernel[0], kernel[1], 2, 3 * groups]),
        ];
        let arguments = with_bias(arguments, bias, seed, 3 * groups);
        let options = Conv2dOptions { strides, padding: Padding::Explicit(pairs), dilation, groups, activation: f };
        check(&arguments, |t| conv2d(&t[0], &t[1], t.get(2), &options).unwrap());
        // The same as zeros around the image.
        let x = Tensor::from_vec(arguments[0].numbers.clone(), arguments[0].dims.as_slice(), &Device::Cpu).unwrap();
        let k = Tensor::from_vec(arguments[1].numbers.clone(), arguments[1].dims.as_slice(), &Device::Cpu).unwrap();
        let zeros = x.pad_with_zeros(1, pairs[0][0], pairs[0][1]).unwrap().pad_with_zeros(2, pairs[1][0], pairs[1][1]).unwrap();
        let valid = Conv2dOptions { padding: Padding::Valid, ..options };
        let difference = (conv2d(&x, &k, None, &options).unwrap() - conv2d(&zeros, &k, None, &valid).unwrap()).unwrap();
        let difference = difference.abs().unwrap().max_all().unwrap().to_scalar::<f64>().unwrap();
        prop_assert!(difference < 1e-12, "{difference}");
    }

    #[test]
    fn convolution_of_sequences(
        steps in 1usize..9, length in 1usize..5, stride in 1usize..4, dilation in 1usize..4, groups in 1usize..3,
        padding in padding(), bias: bool, f in smooth(), seed: u64,
    ) {
        prop_assume!(fits(steps, length, dilation, padding));
        let arguments = vec![normal(seed, &[2, steps, 2 * groups]), normal(seed ^ 1, &[length, 2, 3 * groups])];
        let arguments = with_bias(arguments, bias, seed, 3 * groups);
        let options = Conv1dOptions { strides: [stride], padding, dilation: [dilation], groups, activation: f };
        check(&arguments, |t| conv1d(&t[0], &t[1], t.get(2), &options).unwrap());
    }

    #[test]
    fn convolution_of_volumes(
        sides in [2usize..5, 2usize..5, 2usize..5], kernel in [1usize..3, 1usize..3, 1usize..3],
        strides in [1usize..3, 1usize..3, 1usize..3], dilation in [1usize..3, 1usize..3, 1usize..3],
        groups in 1usize..3, padding in padding(), bias: bool, f in smooth(), seed: u64,
    ) {
        prop_assume!((0..3).all(|side| fits(sides[side], kernel[side], dilation[side], padding)));
        let arguments = vec![
            normal(seed, &[2, sides[0], sides[1], sides[2], 2 * groups]),
            normal(seed ^ 1, &[kernel[0], kernel[1], kernel[2], 2, 2 * groups]),
        ];
        let arguments = with_bias(arguments, bias, seed, 2 * groups);
        let options = Conv3dOptions { strides, padding, dilation, groups, activation: f };
        check(&arguments, |t| conv3d(&t[0], &t[1], t.get(2), &options).unwrap());
    }

    #[test]
    fn depthwise_convolution(
        (height, width) in (1usize..7, 1usize..7), kernel in [1usize..4, 1usize..4], strides in [1usize..4, 1usize..4],
        dilation in [1usize..3, 1usize..3], channels in prop_oneof![1usize..4, 31usize..35], multiplier in 1usize..3,
        padding in padding(), bias: bool, f in smooth(), seed: u64,
    ) {
        prop_assume!(fits(height, kernel[0], dilation[0], padding) && fits(width, kernel[1], dilation[1], padding));
        let arguments = vec![
            normal(seed, &[2, height, width, channels]),
            normal(seed ^ 1, &[kernel[0], kernel[1], channels, multiplier]),
        ];
        let arguments = with_bias(arguments, bias, seed, channels * multiplier);
        let options = DepthwiseConv2dOptions { strides, padding, dilation, activation: f };
        check(&arguments, |t| depthwise_conv2d(&t[0], &t[1], t.get(2), &options).unwrap());
    }

    #[test]
    fn separable_convolution(stride in 1usize..3, multiplier in 1usize..3, padding in padding(), f in smooth(), seed: u64) {
        let arguments = [
            normal(seed, &[2, 5, 4, 3]), normal(seed ^ 1, &[3, 2, 3, multiplier]),
            normal(seed ^ 2, &[1, 1, 3 * multiplier, 4]), normal(seed ^ 3, &[4]),
        ];
        let options = DepthwiseConv2dOptions { strides: [stride, stride], padding, activation: f, ..Default::default() };
        check(&arguments, |t| separable_conv2d(&t[0], &t[1], &t[2], t.get(3), &options).unwrap());
    }

    #[test]
    fn transposed_convolution_of_images(
        (height, width) in (1usize..5, 1usize..5), kernel in [1usize..5, 1usize..5], strides in [1usize..4, 1usize..4],
        dilation in [1usize..3, 1usize..3], padding in transposed_padding(), extra in proptest::option::of([1usize..3, 1usize..3]),
        bias: bool, f in smooth(), seed: u64,
    ) {
        let arguments = vec![normal(seed, &[2, height, width, 3]), normal(seed ^ 1, &[kernel[0], kernel[1], 2, 3])];
        let arguments = with_bias(arguments, bias, seed, 2);
        let options = ConvTransposeOptions { strides, padding, output_padding: extra, dilation, activation: f };
        check(&arguments, |t| conv2d_transpose(&t[0], &t[1], t.get(2), &options).unwrap());
    }

    #[test]
    fn transposed_convolution_of_sequences_and_volumes(
        sides in [1usize..4, 1usize..3, 1usize..4], kernel in [1usize..4, 1usize..3, 1usize..4],
        strides in [1usize..3, 1usize..3, 1usize..3], padding in transposed_padding(), seed: u64,
    ) {
        let sequence = [normal(seed, &[2, sides[0], 3]), normal(seed ^ 1, &[kernel[0], 2, 3]), normal(seed ^ 2, &[2])];
        let options = ConvTransposeOptions { strides: [strides[0]], padding, ..Default::default() };
        check(&sequence, |t| conv1d_transpose(&t[0], &t[1], t.get(2), &options).unwrap());
        let volume = [
            normal(seed, &[1, sides[0], sides[1], sides[2], 2]), normal(seed ^ 1, &[kernel[0], kernel[1], kernel[2], 2, 2]),
        ];
        let options = ConvTransposeOptions { strides, padding, ..Default::default() };
        check(&volume, |t| conv3d_transpose(&t[0], &t[1], None, &options).unwrap());
    }

    #[test]
    fn pooling_of_sequences_and_volumes(
        sides in [1usize..5, 1usize..5, 1usize..6], pool in [1usize..4, 1usize..4, 1usize..4],
        strides in [1usize..4, 1usize..4, 1usize..4], padding in padding(), seed: u64,
    ) {
        prop_assume!((0..3).all(|side| fits(sides[side], pool[side], 1, padding)));
        let sequence = [distinct(seed, &[2, sides[2], 3])];
        let options = Pool1dOptions { pool_size: [pool[2]], strides: [strides[2]], padding };
        check(&sequence, |t| max_pool1d(&t[0], &options).unwrap());
        check(&sequence, |t| avg_pool1d(&t[0], &options).unwrap());
        let volume = [distinct(seed, &[2, sides[0], sides[1], sides[2], 2])];
        let options = Pool3dOptions { pool_size: pool, strides, padding };
        check(&volume, |t| max_pool3d(&t[0], &options).unwrap());
        check(&volume, |t| avg_pool3d(&t[0], &options).unwrap());
    }

    #[test]
    fn adaptive_pooling(sides in [1usize..4, 1usize..6, 1usize..6], sizes in [1usize..4, 1usize..7, 1usize..7], seed: u64) {
        let x = [distinct(seed, &[2, sides[0], sides[1], sides[2], 2])];
        check(&x, |t| adaptive_max_pool(&t[0], sizes).unwrap());
        check(&x, |t| adaptive_avg_pool(&t[0], sizes).unwrap());
    }

    #[test]
    fn normalization_of_samples(
        (batch, pixels, groups, seen) in (1usize..4, 1usize..5, 1usize..4, 2usize..9), affine: bool, seed: u64,
    ) {
        let channels = groups * seen;
        let mut arguments = vec![normal(seed, &[batch, pixels, channels])];
        if affine {
            arguments.push(normal(seed ^ 1, &[channels]));
            arguments.push(normal(seed ^ 2, &[channels]));
        }
        check(&arguments, |t| group_norm(&t[0], groups, t.get(1), t.get(2), 1e-3).unwrap());
        check(&arguments, |t| layer_norm(&t[0], &[2], t.get(1), t.get(2), 1e-3).unwrap());
        check(&arguments[..1 + usize::from(affine)], |t| rms_norm(&t[0], &[2], t.get(1), 1e-3).unwrap());
        check(&arguments[..1], |t| unit_norm(&t[0], &[0, 2]).unwrap());
    }

    #[test]
    fn normalization_over_several_axes(dims in [1usize..4, 2usize..4, 2usize..4, 2usize..4], seed: u64) {
        let sizes = [dims[1], dims[3]];
        let arguments = [normal(seed, &dims), normal(seed ^ 1, &sizes), normal(seed ^ 2, &sizes)];
        check(&arguments, |t| layer_norm(&t[0], &[1, 3], t.get(1), t.get(2), 1e-2).unwrap());
        check(&arguments[..2], |t| rms_norm(&t[0], &[1, 3], t.get(1), 1e-2).unwrap());
    }
}

#[test]
fn explicit_padding_of_pools() {
    let options = Pool2dOptions {
        padding: Padding::Explicit([[1, 2], [0, 1]]),
        ..Pool2dOptions::new([3, 2])
    };
    let x = [distinct(1, &[2, 5, 6, 2])];
    check(&x, |t| max_pool2d(&t[0], &options).unwrap());
    check(&x, |t| avg_pool2d(&t[0], &options).unwrap());
}

fn tensor(seed: u64, dims: &[usize]) -> Tensor {
    let numbers = normal(seed, dims).numbers;
    Tensor::from_vec(numbers, dims, &Device::Cpu).unwrap()
}

#[track_caller]
fn agree(ours: &Tensor, candles: &Tensor) {
    assert_eq!(ours.dims(), candles.dims());
    let difference = (ours - candles).unwrap().abs().unwrap().flatten_all().unwrap();
    let difference = difference.max(0).unwrap().to_scalar::<f64>().unwrap();
    assert!(difference < 1e-10, "{difference}");
}

#[test]
fn candles_own_operations_give_the_same_values() {
    let last = |x: &Tensor| x.permute((0, 2, 3, 1)).unwrap();
    for (stride, padding, dilation, groups) in [(1, 0, 1, 1), (2, 1, 1, 2), (1, 2, 2, 1)] {
        // candle has (batch, channels, height, width) and (filters, channels, height, width).
        let (x, kernel) = (tensor(1, &[2, 4, 8, 9]), tensor(2, &[6, 4 / groups, 3, 3]));
        let candles = x.conv2d(&kernel, padding, stride, dilation, groups).unwrap();
        let options = Conv2dOptions {
            strides: [stride; 2],
            padding: Padding::Explicit([[padding; 2]; 2]),
            dilation: [dilation; 2],
            groups,
            ..Default::default()
        };
        let kernel = kernel.permute((2, 3, 1, 0)).unwrap();
        agree(&conv2d(&last(&x), &kernel, None, &options).unwrap(), &last(&candles));
    }
    for (stride, dilation) in [(1, 1), (2, 1), (3, 2)] {
        let (x, kernel) = (tensor(1, &[2, 3, 5, 4]), tensor(2, &[3, 2, 3, 3]));
        let candles = x.conv_transpose2d(&kernel, 0, 0, stride, dilation).unwrap();
        let options = ConvTransposeOptions {
            strides: [stride; 2],
            dilation: [dilation; 2],
            output_padding: Some([0, 0]),
            ..Default::default()
        };
        let kernel = kernel.permute((2, 3, 1, 0)).unwrap();
        agree(
            &conv2d_transpose(&last(&x), &kernel, None, &options).unwrap(),
            &last(&candles),
        );
    }
    let (x, kernel) = (tensor(1, &[2, 4, 9]), tensor(2, &[4, 1, 3]));
    let candles = x.conv1d(&kernel, 0, 2, 1, 4).unwrap().transpose(1, 2).unwrap();
    let options = DepthwiseConv2dOptions {
        strides: [1, 2],
        ..Default::default()
    };
    let kernel = kernel.permute((1, 2, 0)).unwrap().unsqueeze(3).unwrap();
    let image = x.transpose(1, 2).unwrap().unsqueeze(1).unwrap();
    agree(
        &depthwise_conv2d(&image, &kernel, None, &options)
            .unwrap()
            .squeeze(1)
            .unwrap(),
        &candles,
    );
    let (x, gamma, beta) = (tensor(1, &[4, 7]), tensor(2, &[7]), tensor(3, &[7]));
    agree(
        &layer_norm(&x, &[1], Some(&gamma), Some(&beta), 1e-5).unwrap(),
        &candle_nn::ops::layer_norm_slow(&x, &gamma, &beta, 1e-5).unwrap(),
    );
    agree(
        &rms_norm(&x, &[1], Some(&gamma), 1e-5).unwrap(),
        &candle_nn::ops::rms_norm_slow(&x, &gamma, 1e-5).unwrap(),
    );
}

#[test]
fn candles_own_gradients_are_the_same() {
    // On square images, where candle's are right.
    for (stride, padding, dilation) in [(1, 0, 1), (1, 1, 1), (2, 1, 1), (1, 2, 2)] {
        let arguments = [normal(1, &[2, 3, 7, 7]), normal(2, &[4, 3, 3, 3])];
        let candles = gradients(&arguments, &|t| {
            let y = t[0].conv2d(&t[1], padding, stride, dilation, 1).unwrap();
            y.permute((0, 2, 3, 1)).unwrap()
        });
        let options = Conv2dOptions {
            strides: [stride; 2],
            padding: Padding::Explicit([[padding; 2]; 2]),
            dilation: [dilation; 2],
            ..Default::default()
        };
        let ours = gradients(&arguments, &|t| {
            let (x, kernel) = (t[0].permute((0, 2, 3, 1)).unwrap(), t[1].permute((2, 3, 1, 0)).unwrap());
            conv2d(&x, &kernel, None, &options).unwrap()
        });
        for (a, b) in ours.iter().flatten().zip(candles.iter().flatten()) {
            assert!((a - b).abs() < 1e-9, "{a} {b}");
        }
    }
    for stride in [1, 2] {
        let arguments = [normal(1, &[2, 3, 4, 4]), normal(2, &[3, 2, 3, 3])];
        let candles = gradients(&arguments, &|t| {
            let y = t[0].conv_transpose2d(&t[1], 0, 0, stride, 1).unwrap();
            y.permute((0, 2, 3, 1)).unwrap()
        });
        let options = ConvTransposeOptions {
            strides: [stride; 2],
            output_padding: Some([0, 0]),
            ..Default::default()
        };
        let ours = gradients(&arguments, &|t| {
            let (x, kernel) = (t[0].permute((0, 2, 3, 1)).unwrap(), t[1].permute((2, 3, 1, 0)).unwrap());
            conv2d_transpose(&x, &kernel, None, &options).unwrap()
        });
        for (a, b) in ours.iter().flatten().zip(candles.iter().flatten()) {
            assert!((a - b).abs() < 1e-9, "{a} {b}");
        }
    }
    let arguments = [normal(1, &[4, 7]), normal(2, &[7]), normal(3, &[7])];
    let candles = gradients(&arguments, &|t| {
        candle_nn::ops::layer_norm_slow(&t[0], &t[1], &t[2], 1e-5).unwrap()
    });
    let ours = gradients(&arguments, &|t| {
        layer_norm(&t[0], &[1], Some(&t[1]), Some(&t[2]), 1e-5).unwrap()
    });
    for (a, b) in ours.iter().flatten().zip(candles.iter().flatten()) {
        assert!((a - b).abs() < 1e-9, "{a} {b}");
    }
}

#[test]
fn a_depthwise_convolution_is_one_with_a_group_a_channel() {
    let (x, kernel) = (tensor(1, &[2, 6, 7, 5]), tensor(2, &[3, 2, 5, 2]));
    let options = DepthwiseConv2dOptions {
        strides: [2, 1],
        padding: Padding::Same,
        ..Default::default()
    };
    let grouped = Conv2dOptions {
        strides: [2, 1],
        padding: Padding::Same,
        groups: 5,
        ..Default::default()
    };
    let flat = kernel.reshape((3, 2, 1, 10)).unwrap();
    agree(
        &depthwise_conv2d(&x, &kernel, None, &options).unwrap(),
        &conv2d(&x, &flat, None, &grouped).unwrap(),
    );
}

#[test]
fn a_transposed_convolution_is_the_gradient_of_a_convolution() {
    for (stride, padding) in [(1, Padding::Same), (2, Padding::Same), (3, Padding::Valid)] {
        let (image, kernel) = (tensor(1, &[2, 9, 6, 2]), tensor(2, &[3, 3, 2, 4]));
        let forward = Conv2dOptions {
            strides: [stride; 2],
            padding,
            ..Default::default()
        };
        let image = candle_core::Var::from_tensor(&image).unwrap();
        let y = conv2d(&image, &kernel, None, &forward).unwrap();
        let upstream = tensor(3, y.dims());
        let loss = (&y * &upstream).unwrap().sum_all().unwrap();
        let gradient = loss.backward().unwrap().get(&image).unwrap().clone();
        let options = ConvTransposeOptions {
            strides: [stride; 2],
            padding,
            ..Default::default()
        };
        // The image is as large as the transposed convolution makes it, or a stride larger by some rows that no tap reaches.
        let back = conv2d_transpose(&upstream, &kernel, None, &options).unwrap();
        let (height, width) = (back.dim(1).unwrap().min(9), back.dim(2).unwrap().min(6));
        if padding == Padding::Same && (9 % stride, 6 % stride) != (0, 0) {
            continue; // another 'same' padding
        }
        let corner = |x: &Tensor| x.narrow(1, 0, height).unwrap().narrow(2, 0, width).unwrap();
        agree(&corner(&back), &corner(&gradient));
    }
}

#[test]
fn the_bits_do_not_depend_on_the_number_of_threads() {
    let step = || -> Vec<Vec<u32>> {
        let var = |seed: u64, dims: &[usize]| {
            let mut numbers = vec![0f32; dims.iter().product()];
            Stream::new(seed).op("test").draws().fill_normal(&mut numbers, 0.0, 0.3);
            candle_core::Var::from_tensor(&Tensor::from_vec(numbers, dims, &Device::Cpu).unwrap()).unwrap()
        };
        let x = var(1, &[37, 9, 8, 40]);
        let (kernel, bias) = (var(2, &[3, 3, 40, 1]), var(3, &[40]));
        let (gamma, beta) = (var(4, &[40]), var(5, &[40]));
        let back = var(6, &[3, 3, 5, 40]);
        let y = depthwise_conv2d(&x, &kernel, Some(&bias), &DepthwiseConv2dOptions::default()).unwrap();
        let y = layer_norm(&y, &[3], Some(&gamma), Some(&beta), 1e-3).unwrap();
        let y = group_norm(&y, 8, Some(&gamma), Some(&beta), 1e-3).unwrap();
        let options = ConvTransposeOptions {
            strides: [2, 2],
            ..Default::default()
        };
        let y = conv2d_transpose(&y, &back, None, &options).unwrap();
        let y = adaptive_max_pool(&y.unsqueeze(1).unwrap(), [1, 4, 3]).unwrap();
        let loss = y.sqr().unwrap().sum_all().unwrap();
        let store = loss.backward().unwrap();
        let bits = |t: &Tensor| -> Vec<u32> {
            let numbers = t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            numbers.into_iter().map(f32::to_bits).collect()
        };
        let vars = [&x, &kernel, &bias, &gamma, &beta, &back];
        std::iter::once(bits(&loss))
            .chain(vars.map(|var| bits(store.get(var).unwrap())))
            .collect()
    };
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(step)
    };
    let one = with(1);
    assert!(one == with(2) && one == with(3));
}

#[test]
fn what_does_not_fit_is_refused_with_its_name() {
    #[track_caller]
    fn refused(result: kernels::Result<Tensor>, words: &[&str]) {
        let error = result.expect_err("this should be refused").to_string();
        assert!(words.iter().all(|word| error.contains(word)), "{error}");
    }
    let image = tensor(1, &[1, 4, 4, 3]);
    let volume = tensor(1, &[1, 2, 4, 4, 3]);
    let depthwise = DepthwiseConv2dOptions::default();
    refused(
        depthwise_conv2d(&image, &tensor(2, &[3, 3, 2, 1]), None, &depthwise),
        &["depthwise_conv2d", "kernel"],
    );
    refused(
        depthwise_conv2d(&image, &tensor(2, &[5, 3, 3, 1]), None, &depthwise),
        &["5 pixels", "height"],
    );
    refused(
        depthwise_conv2d(&image, &tensor(2, &[3, 3, 3, 2]), Some(&tensor(3, &[3])), &depthwise),
        &["bias", "[6]"],
    );
    let transpose = ConvTransposeOptions::default();
    refused(
        conv2d_transpose(&image, &tensor(2, &[3, 3, 2, 4]), None, &transpose),
        &["conv2d_transpose", "kernel"],
    );
    refused(
        conv2d_transpose(&volume, &tensor(2, &[3, 3, 2, 3]), None, &transpose),
        &["height, width, channels"],
    );
    let enormous = ConvTransposeOptions {
        strides: [1 << 29, 1 << 29],
        ..Default::default()
    };
    refused(
        conv2d_transpose(&image, &tensor(2, &[3, 3, 2, 3]), None, &enormous),
        &["strides", "2^32"],
    );
    let causal = ConvTransposeOptions {
        padding: Padding::Causal,
        ..Default::default()
    };
    refused(
        conv2d_transpose(&image, &tensor(2, &[3, 3, 2, 3]), None, &causal),
        &["padding", "Causal"],
    );
    refused(
        conv1d(&image, &tensor(2, &[3, 3, 2]), None, &Conv1dOptions::default()),
        &["conv1d", "steps"],
    );
    refused(
        conv3d(&volume, &tensor(2, &[3, 1, 1, 3, 2]), None, &Conv3dOptions::default()),
        &["depth", "3 pixels"],
    );
    let explicit = Conv3dOptions {
        padding: Padding::Explicit([[0, 0]; 2]),
        ..Default::default()
    };
    refused(
        conv3d(&volume, &tensor(2, &[1, 1, 1, 3, 2]), None, &explicit),
        &["padding"],
    );
    refused(adaptive_avg_pool(&volume, [1, 0, 1]), &["output_size"]);
    refused(adaptive_avg_pool(&image, [1, 1, 1]), &["depth, height, width"]);
    refused(max_pool3d(&volume, &Pool3dOptions::new([3, 1, 1])), &["depth"]);
    refused(max_pool1d(&image, &Pool1dOptions::new([2])), &["steps"]);
    let beside = Pool2dOptions {
        padding: Padding::Explicit([[2, 0], [0, 0]]),
        ..Pool2dOptions::default()
    };
    refused(max_pool2d(&image, &beside), &["padding", "every pool"]);
    refused(avg_pool2d(&image, &beside), &["padding", "every pool"]);
    refused(group_norm(&image, 2, None, None, 1e-3), &["groups", "3 channels"]);
    refused(layer_norm(&image, &[3, 1], None, None, 1e-3), &["axes"]);
    refused(layer_norm(&image, &[4], None, None, 1e-3), &["axes"]);
    refused(layer_norm(&image, &[3], None, None, -1.0), &["epsilon"]);
    refused(layer_norm(&image, &[3], Some(&tensor(1, &[4])), None, 1e-3), &["gamma"]);
    refused(unit_norm(&image, &[]), &["axes"]);
}
