//! What candle 0.11.1 gets wrong, asserted as wrong, so that its repair is noticed, and ours beside it.
//!
//! Where a test of candle fails here, candle was repaired: delete the test, its section of `docs/upstream.md`, and whatever of our
//! own was only written because of it. `docs/upstream.md` has the programs and the links to candle's repository.

#[path = "operations/differences.rs"]
mod differences;

use candle_core::{D, DType, Device, Tensor, Var};
use differences::{Argument, check, differences, distinct, gradients};
use kernels::{Pool2dOptions, avg_pool2d, binary_crossentropy, max_pool2d, softmax};

/// Images (batch, channels, height, width) as candle has them, as ours.
fn nhwc(x: &Tensor) -> Tensor {
    x.permute((0, 2, 3, 1)).unwrap()
}

/// The gradient by `backward()` and the true one by central differences.
fn both(argument: &Argument, operation: &dyn Fn(&[Tensor]) -> Tensor) -> (Vec<f64>, Vec<f64>) {
    let arguments = std::slice::from_ref(argument);
    let computed = gradients(arguments, operation).remove(0);
    let (places, truth): (Vec<usize>, Vec<f64>) = differences(arguments, operation).remove(0).into_iter().unzip();
    (places.into_iter().map(|place| computed[place]).collect(), truth)
}

fn cosine(a: &[f64], b: &[f64]) -> f64 {
    let dot = |a: &[f64], b: &[f64]| -> f64 { a.iter().zip(b).map(|(a, b)| a * b).sum() };
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

#[test]
fn candle_max_pooling_gives_a_quarter_of_the_gradient() {
    for (size, channels) in [(4, 3), (6, 1), (8, 2)] {
        let x = distinct(size as u64, &[2, channels, size, size]);
        let (found, truth) = both(&x, &|t| t[0].max_pool2d(2).unwrap());
        for (found, truth) in found.iter().zip(&truth) {
            assert!((found - truth / 4.0).abs() < 1e-6, "{found} instead of {truth} / 4");
        }
        check(&[x], |t| max_pool2d(&nhwc(&t[0]), &Pool2dOptions::default()).unwrap());
    }
}

#[test]
fn candle_max_pooling_loses_maxima_on_odd_sizes() {
    for size in [5, 7, 11] {
        let x = distinct(size as u64, &[1, 1, size, size]);
        let (found, truth) = both(&x, &|t| t[0].max_pool2d(2).unwrap());
        let cosine = cosine(&found, &truth);
        assert!(
            cosine < 0.99,
            "{size}: candle's direction is right again (cosine {cosine})"
        );
        check(&[x], |t| max_pool2d(&nhwc(&t[0]), &Pool2dOptions::default()).unwrap());
    }
}

#[test]
fn candle_average_pooling_is_wrong_on_odd_sizes() {
    for size in [3, 5, 7, 11] {
        let x = distinct(size as u64, &[1, 2, size, size]);
        let (found, truth) = both(&x, &|t| t[0].avg_pool2d(2).unwrap());
        let cosine = cosine(&found, &truth);
        assert!(
            cosine < 0.99,
            "{size}: candle's direction is right again (cosine {cosine})"
        );
        check(&[x], |t| avg_pool2d(&nhwc(&t[0]), &Pool2dOptions::default()).unwrap());
    }
    // Even sizes are right, which is why nobody noticed.
    check(&[distinct(1, &[1, 2, 6, 4])], |t| t[0].avg_pool2d(2).unwrap());
}

#[test]
fn candle_refuses_pools_that_overlap() {
    let x = Var::ones((1, 1, 7, 7), DType::F64, &Device::Cpu).unwrap();
    for y in [
        x.max_pool2d_with_stride(3, 2).unwrap(),
        x.avg_pool2d_with_stride(3, 2).unwrap(),
    ] {
        let error = y.sum_all().unwrap().backward().unwrap_err().to_string();
        assert!(error.contains("backward not supported"), "{error}");
    }
    let overlapping = Pool2dOptions {
        strides: [2, 2],
        ..Pool2dOptions::new([3, 3])
    };
    let x = distinct(7, &[1, 7, 7, 2]);
    check(std::slice::from_ref(&x), |t| max_pool2d(&t[0], &overlapping).unwrap());
    check(&[x], |t| avg_pool2d(&t[0], &overlapping).unwrap());
}

#[test]
fn candle_normalizations_cut_the_gradient() {
    let x = Var::new(&[[1f32, 2., 4.], [0.5, -1., 3.]], &Device::Cpu).unwrap();
    let gamma = Var::new(&[1f32, 2., 3.], &Device::Cpu).unwrap();
    let beta = Var::new(&[0f32, 0., 0.], &Device::Cpu).unwrap();
    for (name, y, is_cut) in [
        ("layer_norm", candle_nn::ops::layer_norm(&x, &gamma, &beta, 1e-5), true),
        (
            "layer_norm_slow",
            candle_nn::ops::layer_norm_slow(&x, &gamma, &beta, 1e-5),
            false,
        ),
        ("rms_norm", candle_nn::ops::rms_norm(&x, &gamma, 1e-5), true),
        ("rms_norm_slow", candle_nn::ops::rms_norm_slow(&x, &gamma, 1e-5), false),
    ] {
        let gradients = y.unwrap().sum_all().unwrap().backward().unwrap();
        let found = kernels::gradients_present(&gradients, [&x, &gamma]);
        assert_eq!(found, [!is_cut, !is_cut], "{name}");
    }
}

#[test]
fn candle_softmax_over_the_last_axis_cuts_the_gradient() {
    let x = distinct(1, &[3, 5]);
    let var = Var::from_vec(x.numbers.clone(), x.dims.as_slice(), &Device::Cpu).unwrap();
    let y = candle_nn::ops::softmax_last_dim(&var).unwrap();
    let gradients = y.sqr().unwrap().sum_all().unwrap().backward().unwrap();
    assert_eq!(kernels::gradients_present(&gradients, [&var]), [false]);
    // The other softmax of candle, and ours, have one.
    check(std::slice::from_ref(&x), |t| {
        candle_nn::ops::softmax(&t[0], D::Minus1).unwrap()
    });
    check(&[x], |t| softmax(&t[0]).unwrap());
}

#[test]
fn candle_upsampling_overwrites_the_gradient_of_other_paths() {
    let x = Var::ones((1, 1, 1, 1), DType::F64, &Device::Cpu).unwrap();
    let line = Var::ones((1, 1, 1), DType::F64, &Device::Cpu).unwrap();
    for (var, upsampled, right) in [
        (&x, x.upsample_nearest2d(2, 2).unwrap(), 4.0),
        (&line, line.upsample_nearest1d(3).unwrap(), 3.0),
    ] {
        let direct = (var.sum_all().unwrap() * 10.0).unwrap();
        let upsampled = upsampled.sum_all().unwrap();
        let gradient = |y: Tensor| -> f64 {
            let gradients = y.backward().unwrap();
            gradients.get(var).unwrap().sum_all().unwrap().to_scalar().unwrap()
        };
        assert_eq!(gradient((&direct + &upsampled).unwrap()), right + 10.0);
        assert_eq!(gradient((&upsampled + &direct).unwrap()), right, "candle adds again");
    }
}

#[test]
fn candle_binary_cross_entropy_is_nan_for_large_logits() {
    let targets = Tensor::new(&[1f32, 0.], &Device::Cpu).unwrap();
    for (size, expected) in [(20f32, 2.061_153_6e-9f32), (100., 3.8e-44), (1e4, 0.0)] {
        let logits = Tensor::new(&[size, -size], &Device::Cpu).unwrap();
        let candle = candle_nn::loss::binary_cross_entropy_with_logit(&logits, &targets).unwrap();
        assert!(
            candle.to_scalar::<f32>().unwrap().is_nan(),
            "candle is finite at {size} again"
        );
        let ours = binary_crossentropy(&logits, &targets)
            .unwrap()
            .to_scalar::<f32>()
            .unwrap();
        assert!(
            (ours - expected).abs() <= 1e-5 * expected + 1e-37,
            "{ours} instead of {expected}"
        );
    }
    // Wrong by 100: an infinite loss in candle.
    let logits = Tensor::new(&[-100f32, 100.], &Device::Cpu).unwrap();
    let candle = candle_nn::loss::binary_cross_entropy_with_logit(&logits, &targets).unwrap();
    assert!(!candle.to_scalar::<f32>().unwrap().is_finite());
    let ours = binary_crossentropy(&logits, &targets).unwrap();
    assert_eq!(ours.to_scalar::<f32>().unwrap(), 100.0);
}
