//! The losses of Keras: gradients against central differences, and what is refused.

use crate::differences::{Argument, check, distinct, normal};
use candle_core::{DType, Device, Tensor, Var};
use kernels::Error;
use kernels::losses::{self, BinaryFocalOptions, CategoricalFocalOptions, CircleOptions, CrossentropyOptions};
use kernels::random::Stream;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

/// Numbers between `low` and `high`.
fn between(seed: u64, dims: &[usize], low: f64, high: f64) -> Argument {
    let mut draws = Stream::new(seed).op("test").draws();
    let numbers = (0..dims.iter().product())
        .map(|_| low + (high - low) * draws.uniform())
        .collect();
    Argument {
        dims: dims.to_vec(),
        numbers,
    }
}

fn tensor(argument: &Argument) -> Tensor {
    Tensor::from_vec(argument.numbers.clone(), argument.dims.as_slice(), &Device::Cpu).unwrap()
}

/// Zeros and ones.
fn decisions(seed: u64, dims: &[usize]) -> Tensor {
    tensor(&between(seed, dims, 0.0, 1.0)).round().unwrap()
}

fn labels(seed: u64, dims: &[usize], classes: usize) -> Tensor {
    let mut draws = Stream::new(seed).op("labels").draws();
    let numbers: Vec<i64> = (0..dims.iter().product())
        .map(|_| (draws.uniform() * classes as f64) as i64)
        .collect();
    Tensor::from_vec(numbers, dims, &Device::Cpu).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 16,
        rng_seed: RngSeed::Fixed(21),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn crossentropies(
        (batch, steps, classes) in (1usize..4, 1usize..4, 2usize..6),
        smoothing in prop_oneof![Just(0.0), 0.0..1.0], axis in -2i64..3, gamma in 0.0f64..4.0, seed: u64,
    ) {
        let dims = [batch, steps, classes];
        let (logits, probabilities) = (normal(seed, &dims), between(seed, &dims, 0.05, 0.95));
        let targets = tensor(&between(seed ^ 1, &dims, 0.0, 1.0));
        for (from_logits, outputs) in [(true, logits), (false, probabilities)] {
            let outputs = [outputs];
            let options = CrossentropyOptions { from_logits, label_smoothing: smoothing, axis };
            check(&outputs, |t| losses::categorical_crossentropy(&t[0], &targets, options).unwrap());
            check(&outputs, |t| losses::binary_crossentropy(&t[0], &targets, options).unwrap());
            let focal = CategoricalFocalOptions { alpha: 0.7, gamma, crossentropy: options };
            check(&outputs, |t| losses::categorical_focal_crossentropy(&t[0], &targets, focal).unwrap());
            let focal = BinaryFocalOptions { apply_class_balancing: true, alpha: 0.7, gamma, crossentropy: options };
            check(&outputs, |t| losses::binary_focal_crossentropy(&t[0], &targets, focal).unwrap());
            let classes = labels(seed, &dims[..2], classes);
            for ignored in [None, Some(1)] {
                check(&outputs, |t| {
                    losses::sparse_categorical_crossentropy(&t[0], &classes, from_logits, ignored).unwrap()
                });
            }
            if !from_logits {
                check(&outputs, |t| losses::categorical_generalized_cross_entropy(&t[0], &classes, 0.3).unwrap());
            }
        }
    }

    #[test]
    fn distances(dims in prop::collection::vec(1usize..5, 1..4), delta in 0.1f64..2.0, seed: u64) {
        // Distinct numbers are at least 0.01 apart, and the targets lie between them: no difference is 0.
        let outputs = [distinct(seed, &dims)];
        let mut targets = distinct(seed ^ 1, &dims);
        targets.numbers.iter_mut().for_each(|number| *number += 0.007);
        let targets = tensor(&targets);
        check(&outputs, |t| losses::mean_squared_error(&t[0], &targets).unwrap());
        check(&outputs, |t| losses::mean_absolute_error(&t[0], &targets).unwrap());
        check(&outputs, |t| losses::log_cosh(&t[0], &targets).unwrap());
        check(&outputs, |t| losses::huber(&t[0], &targets, delta).unwrap());
        let far = (targets.abs().unwrap() + 0.5).unwrap();
        check(&outputs, |t| losses::mean_absolute_percentage_error(&t[0], &far).unwrap());
        for axis in 0..dims.len() as i64 {
            let vectors = [normal(seed, &dims)];
            check(&vectors, |t| losses::cosine_similarity(&t[0], &targets, axis).unwrap());
        }
        let positive = [between(seed, &dims, 0.1, 3.0)];
        let rates = tensor(&between(seed ^ 2, &dims, 0.0, 3.0));
        check(&positive, |t| losses::mean_squared_logarithmic_error(&t[0], &rates).unwrap());
        check(&positive, |t| losses::poisson(&t[0], &rates).unwrap());
        let shares = [between(seed, &dims, 0.05, 0.95)];
        check(&shares, |t| losses::kl_divergence(&t[0], &rates).unwrap());
    }

    #[test]
    fn margins_and_areas(dims in prop::collection::vec(1usize..5, 2..5), alpha in 0.0f64..2.0, seed: u64) {
        let outputs = [distinct(seed, &dims)];
        let targets = decisions(seed ^ 1, &dims);
        check(&outputs, |t| losses::hinge(&t[0], &targets).unwrap());
        check(&outputs, |t| losses::squared_hinge(&t[0], &targets).unwrap());
        check(&outputs, |t| losses::categorical_hinge(&t[0], &targets).unwrap());
        let shares = [between(seed, &dims, 0.05, 0.95)];
        let last = dims.len() as i64 - 1;
        for axes in [None, Some(vec![-1]), Some(vec![last, 0])] {
            let axes = axes.as_deref();
            check(&shares, |t| losses::dice(&t[0], &targets, axes).unwrap());
            check(&shares, |t| losses::tversky(&t[0], &targets, alpha, 0.4, axes).unwrap());
        }
    }

    #[test]
    fn embeddings(batch in 1usize..7, features in 2usize..5, gamma in 1.0f64..20.0, remove_diagonal: bool, seed: u64) {
        let mut rows = normal(seed, &[batch, features]);
        for row in rows.numbers.chunks_mut(features) {
            // A little shorter than 1: the distance to itself, kept with the diagonal, is then no kink.
            let length = row.iter().map(|x| x * x).sum::<f64>().sqrt() / 0.9;
            row.iter_mut().for_each(|x| *x /= length);
        }
        let classes = labels(seed, &[batch], 3);
        let options = CircleOptions { gamma, margin: 0.3, remove_diagonal };
        check(&[rows], |t| losses::circle(&t[0], &classes, options).unwrap());
    }
}

fn gradient(outputs: &Var, loss: &Tensor) -> Vec<f64> {
    let store = loss.sum_all().unwrap().backward().unwrap();
    let gradient = store
        .get(outputs)
        .expect("a gradient got lost")
        .to_dtype(DType::F64)
        .unwrap();
    gradient.flatten_all().unwrap().to_vec1().unwrap()
}

#[test]
fn logits_of_any_size_have_finite_losses_and_the_right_gradients() {
    let logits = [
        1e4, 100.0, 20.0, 0.0, -20.0, -100.0, -1e4, 1e4, 100.0, 0.0, -100.0, -1e4,
    ];
    let targets = [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.25, 0.0, 0.3];
    for dtype in [DType::F32, DType::F64, DType::F16, DType::BF16] {
        let outputs = Var::from_tensor(
            &Tensor::new(&logits, &Device::Cpu)
                .unwrap()
                .reshape((12, 1))
                .unwrap()
                .to_dtype(dtype)
                .unwrap(),
        )
        .unwrap();
        let wanted = Tensor::new(&targets, &Device::Cpu).unwrap();
        let options = CrossentropyOptions {
            from_logits: true,
            ..Default::default()
        };
        let loss = losses::binary_crossentropy(&outputs, &wanted, options).unwrap();
        let tolerance = if dtype.size_in_bytes() == 2 { 4e-3 } else { 1e-6 };
        let values = loss.to_dtype(DType::F64).unwrap().to_vec1::<f64>().unwrap();
        let gradients = gradient(&outputs, &loss);
        for (i, (z, t)) in logits.into_iter().zip(targets).enumerate() {
            let expected = f64::max(z, 0.0) - z * t + (-f64::abs(z)).exp().ln_1p();
            assert!(
                (values[i] - expected).abs() <= tolerance * expected.max(1.0),
                "{dtype:?} {z} {t}: {}",
                values[i]
            );
            let slope = 1.0 / (1.0 + (-z).exp()) - t;
            assert!(
                (gradients[i] - slope).abs() <= tolerance,
                "{dtype:?} {z} {t}: {} not {slope}",
                gradients[i]
            );
        }
    }
}

#[test]
fn what_is_degenerate_keeps_finite_gradients() {
    let zeros = Var::zeros((2, 3), DType::F32, &Device::Cpu).unwrap();
    let ones = Tensor::ones((2, 3), DType::F32, &Device::Cpu).unwrap();
    let same = Tensor::new(&[4i64, 4], &Device::Cpu).unwrap();
    let found = [
        losses::cosine_similarity(&zeros, &ones, -1),
        losses::kl_divergence(&zeros, &ones),
        losses::poisson(&zeros, &ones),
        losses::mean_squared_logarithmic_error(&zeros, &ones),
        losses::mean_absolute_percentage_error(&zeros, &ones.zeros_like().unwrap()),
        // No partner of another class.
        losses::circle(&zeros, &same, CircleOptions::default()),
        losses::binary_crossentropy(&zeros, &ones, CrossentropyOptions::default()),
        losses::dice(&zeros, &ones.zeros_like().unwrap(), None),
    ];
    for (which, loss) in found.into_iter().enumerate() {
        let loss = loss.unwrap();
        let gradients = gradient(&zeros, &loss);
        assert!(gradients.iter().all(|g| g.is_finite()), "{which}: {gradients:?}");
    }
    // What stands in an ignored row, even NaN, does not reach the gradient.
    let logits = Var::new(&[[f32::NAN, 0.0], [0.0, 0.0]], &Device::Cpu).unwrap();
    let labels = Tensor::new(&[-1i64, 1], &Device::Cpu).unwrap();
    let loss = losses::sparse_categorical_crossentropy(&logits, &labels, true, Some(-1)).unwrap();
    assert_eq!(gradient(&logits, &loss), [0.0, 0.0, 0.5, -0.5]);
}

#[test]
fn targets_of_any_type_are_compared() {
    let outputs = Tensor::new(&[[0.25f32, 0.5]], &Device::Cpu).unwrap();
    for dtype in [DType::U8, DType::U32, DType::I64, DType::F16, DType::F64] {
        let targets = Tensor::new(&[[1f32, 0.0]], &Device::Cpu)
            .unwrap()
            .to_dtype(dtype)
            .unwrap();
        let loss = losses::mean_absolute_error(&outputs, &targets).unwrap();
        assert_eq!(loss.to_vec1::<f32>().unwrap(), [0.625], "{dtype:?}");
    }
    let labels = Tensor::new(&[1f32], &Device::Cpu).unwrap();
    let loss = losses::sparse_categorical_crossentropy(&outputs, &labels, true, None).unwrap();
    assert_eq!(loss.dims(), [1]);
}

#[test]
fn arguments_that_do_not_belong_together_are_named() {
    let outputs = Tensor::zeros((4, 3), DType::F32, &Device::Cpu).unwrap();
    let of = |shape: &[usize]| Tensor::zeros(shape, DType::F32, &Device::Cpu).unwrap();
    // A column against a row is the mistake that broadcasting hides.
    for shape in [&[4, 1][..], &[4], &[3], &[1, 3], &[4, 3, 2], &[]] {
        let error = losses::mean_squared_error(&outputs, &of(shape)).unwrap_err();
        assert!(matches!(error, Error::Shape { .. }), "{shape:?}: {error}");
        let error = losses::sparse_categorical_crossentropy(&outputs, &of(shape), true, None);
        assert_eq!(error.is_err(), ![&[4, 1][..], &[4]].contains(&shape), "{shape:?}");
    }
    for shape in [&[0, 3][..], &[4, 0], &[]] {
        let error = losses::hinge(&of(shape), &of(shape)).unwrap_err();
        assert!(error.to_string().contains("no dimension of size 0"), "{error}");
    }
    let integers = Tensor::zeros((4, 3), DType::U32, &Device::Cpu).unwrap();
    assert!(matches!(losses::poisson(&integers, &outputs), Err(Error::DType { .. })));
    let classes = |labels: &[f64]| Tensor::new(labels, &Device::Cpu).unwrap();
    let sparse = |labels: &[f64]| losses::sparse_categorical_crossentropy(&outputs, &classes(labels), true, None);
    let error = sparse(&[0.0, 1.0, 3.0, 2.0]).unwrap_err();
    assert!(error.to_string().contains("label 3 at index 2"), "{error}");
    assert!(matches!(
        sparse(&[0.0, 1.0, -1.0, 2.0]),
        Err(Error::Label { label: -1, .. })
    ));
    assert!(matches!(sparse(&[0.0, 1.5, 1.0, 2.0]), Err(Error::DType { .. })));
    assert!(sparse(&[0.0, f64::NAN, 1.0, 2.0]).is_err());
    assert!(matches!(sparse(&[0.0, 1e300, 1.0, 2.0]), Err(Error::Label { .. })));
}

#[test]
fn options_outside_of_their_range_are_named() {
    let x = Tensor::ones((2, 3), DType::F32, &Device::Cpu).unwrap();
    let classes = Tensor::new(&[0i64, 1], &Device::Cpu).unwrap();
    let options = |label_smoothing, axis| CrossentropyOptions {
        from_logits: true,
        label_smoothing,
        axis,
    };
    let cases = [
        (
            "label_smoothing",
            losses::categorical_crossentropy(&x, &x, options(1.5, -1)),
        ),
        (
            "label_smoothing",
            losses::binary_crossentropy(&x, &x, options(f64::NAN, -1)),
        ),
        ("axis", losses::categorical_crossentropy(&x, &x, options(0.0, 2))),
        ("axis", losses::cosine_similarity(&x, &x, -3)),
        ("axis", losses::dice(&x, &x, Some(&[1, -1]))),
        ("axis", losses::tversky(&x, &x, 0.5, 0.5, Some(&[i64::MIN]))),
        ("beta", losses::tversky(&x, &x, 0.5, f64::NAN, None)),
        ("delta", losses::huber(&x, &x, -1.0)),
        ("q", losses::categorical_generalized_cross_entropy(&x, &classes, 1.0)),
        (
            "gamma",
            losses::binary_focal_crossentropy(
                &x,
                &x,
                BinaryFocalOptions {
                    gamma: -1.0,
                    ..Default::default()
                },
            ),
        ),
        (
            "margin",
            losses::circle(
                &x,
                &classes,
                CircleOptions {
                    margin: f64::INFINITY,
                    ..Default::default()
                },
            ),
        ),
    ];
    for (option, result) in cases {
        let error = result.unwrap_err();
        assert!(error.to_string().contains(&format!("`{option}`")), "{option}: {error}");
    }
}
