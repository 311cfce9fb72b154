//! How far products of `f32` are from the exact ones, for each [`MatmulPrecision`], and that the choice reaches the backward pass.

use crate::differences::{Argument, normal};
use crate::gradients::cases;
use candle_core::{Device, Tensor, Var};
use kernels::{Activation, Conv2dOptions, MatmulPrecision, Padding, conv2d, linear};
use proptest::prelude::*;

/// The precisions, with the error of one factor that each allows, relative to the factors' sizes.
const ALL: [(MatmulPrecision, f64); 4] = [
    (MatmulPrecision::Highest, 1e-6),
    (MatmulPrecision::Fma, 1e-6),
    (MatmulPrecision::High, 2.5e-5),
    (MatmulPrecision::Medium, 1e-2),
];

fn f32_var(argument: &Argument) -> Var {
    let numbers: Vec<f32> = argument.numbers.iter().map(|x| *x as f32).collect();
    Var::from_tensor(&Tensor::from_vec(numbers, argument.dims.as_slice(), &Device::Cpu).unwrap()).unwrap()
}

/// The value and the gradients of `sum(operation(arguments)^2)`, in double precision where `exact`.
fn results(arguments: &[Argument], exact: bool, operation: &dyn Fn(&[Tensor]) -> Tensor) -> Vec<Vec<f64>> {
    let vars: Vec<Var> = arguments
        .iter()
        .map(|argument| {
            let var = f32_var(argument);
            if exact {
                Var::from_tensor(&var.to_dtype(candle_core::DType::F64).unwrap()).unwrap()
            } else {
                var
            }
        })
        .collect();
    let tensors: Vec<Tensor> = vars.iter().map(|var| var.as_tensor().clone()).collect();
    let output = operation(&tensors);
    let gradients = output.sqr().unwrap().sum_all().unwrap().backward().unwrap();
    let numbers = |tensor: &Tensor| -> Vec<f64> {
        let flat = tensor.to_dtype(candle_core::DType::F64).unwrap().flatten_all().unwrap();
        flat.to_vec1().unwrap()
    };
    std::iter::once(numbers(&output))
        .chain(vars.iter().map(|var| numbers(gradients.get(var).unwrap())))
        .collect()
}

/// Panics where a result is further from the exact one than its precision allows, relative to the largest number.
#[track_caller]
fn check(arguments: &[Argument], operation: impl Fn(&[Tensor]) -> Tensor) {
    let exact = results(arguments, true, &operation);
    for (precision, allowed) in ALL {
        // The backward pass runs outside of the scope.
        let found = results(arguments, false, &|t| precision.scope(|| operation(t)));
        for (which, (found, exact)) in found.iter().zip(&exact).enumerate() {
            let scale = exact.iter().fold(f64::MIN_POSITIVE, |scale, x| scale.max(x.abs()));
            let pairs = found.iter().zip(exact);
            let away = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max) / scale;
            assert!(
                away <= allowed,
                "{precision:?}, result {which}: {away:e} from the exact one"
            );
        }
    }
}

proptest! {
    #![proptest_config(cases(16))]

    #[test]
    fn products_are_as_exact_as_they_say(rows in 16usize..140, inputs in 16usize..200, units in 16usize..180, seed: u64) {
        prop_assume!(rows * inputs * units >= 1 << 18);
        let arguments = [normal(seed, &[rows, inputs]), normal(seed ^ 1, &[inputs, units]), normal(seed ^ 2, &[units])];
        check(&arguments, |t| linear(&t[0], &t[1], Some(&t[2]), Activation::Linear).unwrap());
    }

    #[test]
    fn convolutions_are_as_exact_as_they_say(
        (images, height, width) in (1usize..4, 5usize..17, 9usize..34),
        kernel in [1usize..5, 1usize..5],
        dilation in [1usize..3, 1usize..3],
        channels in prop_oneof![Just(1usize), Just(6), 14usize..18, 30usize..50],
        filters in prop_oneof![Just(5usize), 14usize..18, 31usize..50],
        same: bool, seed: u64,
    ) {
        let padding = if same { Padding::Same } else { Padding::Valid };
        let fits = |n: usize, k: usize, d: usize| same || (k - 1) * d < n;
        prop_assume!(fits(height, kernel[0], dilation[0]) && fits(width, kernel[1], dilation[1]));
        let arguments = [
            normal(seed, &[images, height, width, channels]),
            normal(seed ^ 1, &[kernel[0], kernel[1], channels, filters]),
            normal(seed ^ 2, &[filters]),
        ];
        let options = Conv2dOptions { dilation, padding, ..Default::default() };
        check(&arguments, |t| conv2d(&t[0], &t[1], Some(&t[2]), &options).unwrap());
    }
}

#[test]
fn medium_rounds_each_factor_once() {
    // Sums of small whole numbers are exact, so nothing but the rounding of factors is left; 64 x 64 x 64 is large enough for tiles.
    let numbers = |scale: f32| {
        (0..64 * 64)
            .map(|i| ((i * 37 % 11) as f32 - 5.0) * scale)
            .collect::<Vec<f32>>()
    };
    let matrix = |numbers: Vec<f32>| Tensor::from_vec(numbers, (64, 64), &Device::Cpu).unwrap();
    let rounded = |x: &Tensor| {
        let half = x.to_dtype(candle_core::DType::BF16).unwrap();
        half.to_dtype(candle_core::DType::F32).unwrap()
    };
    let (x, k) = (
        matrix(numbers(1.0 + 2f32.powi(-7) + 2f32.powi(-9))),
        matrix(numbers(1.0)),
    );
    let medium = MatmulPrecision::Medium
        .scope(|| linear(&x, &k, None, Activation::Linear))
        .unwrap();
    let expected = linear(&rounded(&x), &rounded(&k), None, Activation::Linear).unwrap();
    assert_eq!(medium.to_vec2::<f32>().unwrap(), expected.to_vec2::<f32>().unwrap());
    assert_ne!(
        medium.to_vec2::<f32>().unwrap(),
        linear(&x, &k, None, Activation::Linear)
            .unwrap()
            .to_vec2::<f32>()
            .unwrap()
    );
}

#[test]
fn what_is_not_a_number_stays_where_it_is() {
    // Rows of a product do not see each other, also not through what tiles read beyond their ends.
    let mut numbers = vec![1f32; 64 * 80];
    numbers[3 * 80 + 79] = f32::NAN;
    let x = Tensor::from_vec(numbers, (64, 80), &Device::Cpu).unwrap();
    let k = Tensor::ones((80, 70), candle_core::DType::F32, &Device::Cpu).unwrap();
    let y = linear(&x, &k, None, Activation::Linear)
        .unwrap()
        .to_vec2::<f32>()
        .unwrap();
    for (row, numbers) in y.iter().enumerate() {
        assert!(
            numbers.iter().all(|y| if row == 3 { y.is_nan() } else { *y == 80.0 }),
            "row {row}"
        );
    }
    // Nor do images that come after an image with NaN on the same thread.
    let image = |value: f32| Tensor::full(value, (1, 12, 12, 32), &Device::Cpu).unwrap();
    let kernel = Tensor::ones((3, 3, 32, 32), candle_core::DType::F32, &Device::Cpu).unwrap();
    let one_thread = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    one_thread.install(|| {
        let options = Conv2dOptions::default();
        let poisoned = conv2d(&image(f32::NAN), &kernel, None, &options).unwrap();
        assert!(
            poisoned
                .flatten_all()
                .unwrap()
                .to_vec1::<f32>()
                .unwrap()
                .iter()
                .all(|y| y.is_nan())
        );
        let smaller = Tensor::ones((1, 9, 9, 32), candle_core::DType::F32, &Device::Cpu).unwrap();
        let clean = conv2d(&smaller, &kernel, None, &options).unwrap();
        assert!(
            clean
                .flatten_all()
                .unwrap()
                .to_vec1::<f32>()
                .unwrap()
                .iter()
                .all(|y| *y == 288.0)
        );
    });
}
