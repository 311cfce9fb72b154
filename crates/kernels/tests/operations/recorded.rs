//! Every operation on a record ([`tape::record`]) has the gradients that candle's graph has: none ends a gradient without a word.

use candle_core::{Device, Tensor, Var};
use kernels::losses::{self, BinaryFocalOptions, CategoricalFocalOptions, CircleOptions, CrossentropyOptions};
use kernels::random::Stream;
use kernels::{
    Activation, Conv1dOptions, Conv2dOptions, Conv3dOptions, ConvTransposeOptions, DepthwiseConv2dOptions, Padding,
    Pool1dOptions, Pool2dOptions, Pool3dOptions, Result, tape,
};

/// Variables with different numbers in `(0, 1)`, as probabilities have to be.
fn variables(shapes: &[&[usize]]) -> Vec<Var> {
    let of = |(seed, shape): (usize, &&[usize])| {
        let numbers = (0..shape.iter().product::<usize>())
            .map(|i| 0.5 + 0.45 * (((i * i + 3 * i + 7 * seed + 1) as f64) * 0.7).sin())
            .collect();
        Var::from_tensor(&Tensor::from_vec::<_, f64>(numbers, *shape, &Device::Cpu).unwrap()).unwrap()
    };
    shapes.iter().enumerate().map(of).collect()
}

/// What the gradients begin with, different for every number.
fn seed(y: &Tensor) -> Tensor {
    let numbers = (0..y.elem_count()).map(|i| 1.0 + (i as f64).cos()).collect();
    Tensor::from_vec::<_, f64>(numbers, y.dims(), y.device()).unwrap()
}

#[track_caller]
fn check(name: &str, shapes: &[&[usize]], operation: impl Fn(&[Tensor]) -> Result<Tensor>) {
    let vars = variables(shapes);
    let tensors: Vec<Tensor> = vars.iter().map(|var| var.as_tensor().clone()).collect();
    let plain = operation(&tensors).unwrap();
    let expected = (&plain * seed(&plain)).unwrap().sum_all().unwrap().backward().unwrap();
    let (recorded, tape) = tape::record(|| operation(&tensors));
    let recorded = recorded.unwrap();
    let bits = |tensor: &Tensor| tensor.flatten_all().unwrap().to_vec1::<f64>().unwrap();
    assert_eq!(bits(&recorded), bits(&plain), "{name}");
    let found = tape.backward([(&recorded, seed(&recorded))]).unwrap();
    for (place, tensor) in tensors.iter().enumerate() {
        let expected = bits(
            expected
                .get(tensor)
                .unwrap_or_else(|| panic!("{name}: argument {place} is constant")),
        );
        let found = bits(
            found
                .get(tensor)
                .unwrap_or_else(|| panic!("{name}: the gradient of argument {place} is lost")),
        );
        let largest = expected
            .iter()
            .fold(1e-3f64, |largest, number| largest.max(number.abs()));
        assert!(
            expected
                .iter()
                .zip(&found)
                .all(|(expected, found)| (expected - found).abs() <= 1e-12 * largest),
            "{name}, argument {place}: {expected:?} {found:?}"
        );
    }
}

#[test]
fn convolutions() {
    let f = Activation::Tanh;
    let same = Padding::Same;
    check("linear", &[&[2, 3, 4], &[4, 5], &[5]], |t| {
        kernels::linear(&t[0], &t[1], Some(&t[2]), f)
    });
    check("conv1d", &[&[2, 7, 4], &[3, 4, 5], &[5]], |t| {
        let options = Conv1dOptions {
            activation: f,
            padding: same,
            ..Default::default()
        };
        kernels::conv1d(&t[0], &t[1], Some(&t[2]), &options)
    });
    check("conv2d", &[&[2, 5, 6, 3], &[2, 3, 3, 4], &[4]], |t| {
        kernels::conv2d(
            &t[0],
            &t[1],
            Some(&t[2]),
            &Conv2dOptions {
                activation: f,
                ..Default::default()
            },
        )
    });
    for biased in [false, true] {
        let shapes: [&[usize]; 3] = [&[2, 4, 5, 6, 2], &[2, 3, 2, 2, 3], &[3]];
        check("conv3d", &shapes[..2 + usize::from(biased)], |t| {
            let options = Conv3dOptions {
                activation: f,
                padding: same,
                ..Default::default()
            };
            kernels::conv3d(&t[0], &t[1], t.get(2), &options)
        });
        let shapes: [&[usize]; 3] = [&[2, 4, 2], &[3, 3, 2], &[3]];
        check("conv1d_transpose", &shapes[..2 + usize::from(biased)], |t| {
            kernels::conv1d_transpose(&t[0], &t[1], t.get(2), &ConvTransposeOptions::default())
        });
    }
    check("conv2d_transpose", &[&[2, 3, 4, 2], &[3, 2, 3, 2], &[3]], |t| {
        let options = ConvTransposeOptions {
            strides: [2, 1],
            activation: f,
            ..Default::default()
        };
        kernels::conv2d_transpose(&t[0], &t[1], Some(&t[2]), &options)
    });
    check("conv3d_transpose", &[&[2, 2, 3, 4, 2], &[2, 3, 2, 3, 2], &[3]], |t| {
        kernels::conv3d_transpose(&t[0], &t[1], Some(&t[2]), &ConvTransposeOptions::default())
    });
    let depthwise = DepthwiseConv2dOptions {
        activation: f,
        ..Default::default()
    };
    check("depthwise_conv2d", &[&[2, 5, 4, 3], &[2, 3, 3, 2], &[6]], |t| {
        kernels::depthwise_conv2d(&t[0], &t[1], Some(&t[2]), &depthwise)
    });
    check(
        "separable_conv2d",
        &[&[2, 5, 4, 3], &[2, 3, 3, 2], &[1, 1, 6, 4], &[4]],
        |t| kernels::separable_conv2d(&t[0], &t[1], &t[2], Some(&t[3]), &depthwise),
    );
}

#[test]
fn poolings() {
    let (sequence, image, volume): (&[usize], &[usize], &[usize]) = (&[2, 7, 3], &[2, 5, 6, 3], &[2, 4, 5, 3, 2]);
    check("max_pool1d", &[sequence], |t| {
        kernels::max_pool1d(&t[0], &Pool1dOptions::new([2]))
    });
    check("avg_pool1d", &[sequence], |t| {
        kernels::avg_pool1d(&t[0], &Pool1dOptions::new([3]))
    });
    check("max_pool2d", &[image], |t| {
        kernels::max_pool2d(&t[0], &Pool2dOptions::new([2, 3]))
    });
    check("avg_pool2d", &[image], |t| {
        kernels::avg_pool2d(&t[0], &Pool2dOptions::new([2, 3]))
    });
    check("global_max_pool2d", &[image], |t| kernels::global_max_pool2d(&t[0]));
    check("global_avg_pool2d", &[image], |t| kernels::global_avg_pool2d(&t[0]));
    check("max_pool3d", &[volume], |t| {
        kernels::max_pool3d(&t[0], &Pool3dOptions::new([2, 2, 1]))
    });
    check("avg_pool3d", &[volume], |t| {
        kernels::avg_pool3d(&t[0], &Pool3dOptions::new([2, 2, 1]))
    });
    check("adaptive_max_pool", &[volume], |t| {
        kernels::adaptive_max_pool(&t[0], [3, 2, 2])
    });
    check("adaptive_avg_pool", &[volume], |t| {
        kernels::adaptive_avg_pool(&t[0], [3, 2, 2])
    });
}

#[test]
fn normalizations_and_dropout() {
    let x: &[usize] = &[3, 4, 6];
    for axes in [&[1][..], &[2], &[1, 2]] {
        let sizes: Vec<usize> = axes.iter().map(|axis| x[*axis]).collect();
        check(&format!("layer_norm over {axes:?}"), &[x, &sizes, &sizes], |t| {
            kernels::layer_norm(&t[0], axes, Some(&t[1]), Some(&t[2]), 1e-3)
        });
        check(&format!("rms_norm over {axes:?}"), &[x, &sizes], |t| {
            kernels::rms_norm(&t[0], axes, Some(&t[1]), 1e-3)
        });
        check(&format!("unit_norm over {axes:?}"), &[x], |t| {
            kernels::unit_norm(&t[0], axes)
        });
    }
    check("group_norm", &[x, &[6], &[6]], |t| {
        kernels::group_norm(&t[0], 2, Some(&t[1]), Some(&t[2]), 1e-3)
    });
    for training in [false, true] {
        check("batch_norm", &[x, &[6], &[6]], |t| {
            let (mean, variance) = (seed(&t[1]), seed(&t[2]));
            let norm = kernels::batch_norm(&t[0], Some(&t[1]), Some(&t[2]), &mean, &variance, 0.9, 1e-3, training)?;
            Ok(norm.output)
        });
    }
    check("dropout", &[x], |t| {
        kernels::dropout(&t[0], 0.4, Stream::new(1).op("dropout"))
    });
}

#[test]
fn activations() {
    for function in Activation::ALL {
        check(function.name(), &[&[3, 4]], |t| {
            // What is linear returns its argument, which is no result to differentiate.
            let y = kernels::activation(&t[0], function)?;
            if function == Activation::Linear {
                tape::reshape(&y, (4, 3))
            } else {
                Ok(y)
            }
        });
    }
    type Function = fn(&Tensor) -> Result<Tensor>;
    let others: [(&str, Function); 14] = [
        ("celu", kernels::celu),
        ("hard_silu", kernels::hard_silu),
        ("hard_tanh", kernels::hard_tanh),
        ("log_sigmoid", kernels::log_sigmoid),
        ("hard_shrink", kernels::hard_shrink),
        ("soft_shrink", kernels::soft_shrink),
        ("tanh_shrink", kernels::tanh_shrink),
        ("sparse_plus", kernels::sparse_plus),
        ("sparse_sigmoid", kernels::sparse_sigmoid),
        ("squareplus", kernels::squareplus),
        ("gelu_tanh", kernels::gelu_tanh),
        ("threshold", |x| kernels::threshold(x, 0.5, -1.0)),
        ("glu", kernels::glu),
        ("sparsemax", kernels::sparsemax),
    ];
    for (name, function) in others {
        check(name, &[&[3, 4]], |t| function(&t[0]));
    }
}

#[test]
fn losses_without_a_reduction() {
    let targets = seed(&Tensor::zeros((3, 4), candle_core::DType::F64, &Device::Cpu).unwrap());
    let targets = (targets / 2.0).unwrap();
    let labels = Tensor::new(&[1i64, 3, 1], &Device::Cpu).unwrap();
    let shape: [&[usize]; 1] = [&[3, 4]];
    type Loss = fn(&Tensor, &Tensor) -> Result<Tensor>;
    let plain: [(&str, Loss); 17] = [
        ("hinge", losses::hinge),
        ("squared_hinge", losses::squared_hinge),
        ("categorical_hinge", losses::categorical_hinge),
        ("kl_divergence", losses::kl_divergence),
        ("poisson", losses::poisson),
        ("mean_squared_error", losses::mean_squared_error),
        ("mean_absolute_error", losses::mean_absolute_error),
        ("mean_absolute_percentage_error", losses::mean_absolute_percentage_error),
        ("mean_squared_logarithmic_error", losses::mean_squared_logarithmic_error),
        ("huber", |y, t| losses::huber(y, t, 0.3)),
        ("log_cosh", losses::log_cosh),
        ("cosine_similarity", |y, t| losses::cosine_similarity(y, t, -1)),
        ("dice", |y, t| losses::dice(y, t, None)),
        ("tversky", |y, t| losses::tversky(y, t, 0.3, 0.7, None)),
        ("binary_crossentropy", |y, t| {
            losses::binary_crossentropy(y, t, CrossentropyOptions::default())
        }),
        ("binary_focal_crossentropy", |y, t| {
            losses::binary_focal_crossentropy(y, t, BinaryFocalOptions::default())
        }),
        ("categorical_focal_crossentropy", |y, t| {
            losses::categorical_focal_crossentropy(y, t, CategoricalFocalOptions::default())
        }),
    ];
    for (name, loss) in plain {
        check(name, &shape, |t| loss(&t[0], &targets));
    }
    check("categorical_crossentropy", &shape, |t| {
        losses::categorical_crossentropy(&t[0], &targets, CrossentropyOptions::default())
    });
    check("sparse_categorical_crossentropy", &shape, |t| {
        losses::sparse_categorical_crossentropy(&t[0], &labels, true, Some(3))
    });
    check("categorical_generalized_cross_entropy", &shape, |t| {
        losses::categorical_generalized_cross_entropy(&t[0], &labels, 0.5)
    });
    check("circle", &shape, |t| {
        losses::circle(&t[0], &labels, CircleOptions::default())
    });
    check("means", &shape, |t| kernels::mean_squared_error(&t[0], &targets));
    check("means", &shape, |t| kernels::binary_crossentropy(&t[0], &targets));
    check("means", &shape, |t| kernels::categorical_crossentropy(&t[0], &targets));
    check("means", &shape, |t| {
        kernels::sparse_categorical_crossentropy(&t[0], &labels)
    });
}
