//! A convolution with its pooling in one operation against the two operations.

use crate::differences::{Argument, distinct, normal};
use crate::gradients::cases;
use candle_core::{DType, Device, Tensor, Var};
use kernels::{Activation, Conv2dOptions, Padding, Pool2dOptions, conv2d, conv2d_max_pool2d, max_pool2d};
use proptest::prelude::*;

/// The output and all gradients, as bits of f64.
fn bits(arguments: &[Argument], dtype: DType, operation: &dyn Fn(&[Tensor]) -> Tensor) -> Vec<Vec<u64>> {
    let vars: Vec<Var> = arguments
        .iter()
        .map(|argument| {
            let tensor = Tensor::from_vec(argument.numbers.clone(), argument.dims.as_slice(), &Device::Cpu).unwrap();
            Var::from_tensor(&tensor.to_dtype(dtype).unwrap()).unwrap()
        })
        .collect();
    let tensors: Vec<Tensor> = vars.iter().map(|var| var.as_tensor().clone()).collect();
    let output = operation(&tensors);
    let weights = Tensor::from_vec(normal(7, output.dims()).numbers, output.dims(), &Device::Cpu).unwrap();
    let loss = (&output * weights.to_dtype(dtype).unwrap()).unwrap().sum_all().unwrap();
    let store = loss.backward().unwrap();
    let bits = |tensor: &Tensor| -> Vec<u64> {
        let numbers = tensor
            .to_dtype(DType::F64)
            .unwrap()
            .flatten_all()
            .unwrap()
            .to_vec1::<f64>()
            .unwrap();
        numbers.into_iter().map(f64::to_bits).collect()
    };
    std::iter::once(bits(&output))
        .chain(vars.iter().map(|var| bits(store.get(var).unwrap())))
        .collect()
}

proptest! {
    #![proptest_config(cases(96))]

    #[test]
    fn one_operation_has_the_bits_of_two(
        (images, height, width) in (1usize..4, 4usize..14, 4usize..14),
        (kernel, strides, same) in ([1usize..4, 1usize..4], [1usize..3, 1usize..3], any::<bool>()),
        (channels, filters) in (prop_oneof![1usize..4, Just(32usize)], prop_oneof![1usize..5, Just(16usize), Just(40usize)]),
        (pool_size, pool_strides, pool_same) in ([1usize..4, 1usize..4], [1usize..4, 1usize..4], any::<bool>()),
        f in 0..Activation::ALL.len(), double: bool, seed: u64,
    ) {
        let padding = |same: bool| if same { Padding::Same } else { Padding::Valid };
        let options = Conv2dOptions {
            strides,
            padding: padding(same),
            activation: Activation::ALL[f],
            ..Default::default()
        };
        let pool = Pool2dOptions { pool_size, strides: pool_strides, padding: padding(pool_same) };
        let out = |n: usize, k: usize, s: usize| if same { n.div_ceil(s) } else { (n - k) / s + 1 };
        let outputs = [out(height, kernel[0], strides[0]), out(width, kernel[1], strides[1])];
        prop_assume!(pool_same || (pool_size[0] <= outputs[0] && pool_size[1] <= outputs[1]));
        let arguments = [
            distinct(seed, &[images, height, width, channels]),
            normal(seed ^ 1, &[kernel[0], kernel[1], channels, filters]),
            normal(seed ^ 2, &[filters]),
        ];
        let dtype = if double { DType::F64 } else { DType::F32 };
        let one = bits(&arguments, dtype, &|t| conv2d_max_pool2d(&t[0], &t[1], Some(&t[2]), &options, &pool).unwrap());
        let two = bits(&arguments, dtype, &|t| {
            max_pool2d(&conv2d(&t[0], &t[1], Some(&t[2]), &options).unwrap(), &pool).unwrap()
        });
        prop_assert_eq!(one, two);
    }
}
