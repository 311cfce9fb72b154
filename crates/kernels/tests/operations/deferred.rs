//! Gradients that a tape leaves to the optimizer, and operations on a tape next to candle's graph.

use std::sync::Mutex;

use candle_core::{Device, Tensor, Var};
use kernels::random::Stream;
use kernels::{
    Activation, Conv2dOptions, Deferred, DepthwiseConv2dOptions, MatmulPrecision, Padding, binary_crossentropy,
    categorical_crossentropy, conv2d, depthwise_conv2d, linear, mean_squared_error, separable_conv2d,
    sparse_categorical_crossentropy, tape,
};

fn var(name: &str, dims: &[usize]) -> Var {
    let mut numbers = vec![0f32; dims.iter().product()];
    Stream::new(9).layer(name).draws().fill_normal(&mut numbers, 0.0, 0.3);
    Var::from_tensor(&Tensor::from_vec(numbers, dims, &Device::Cpu).unwrap()).unwrap()
}

fn bits(tensor: &Tensor) -> Vec<u32> {
    let numbers = tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    numbers.into_iter().map(f32::to_bits).collect()
}

/// The pieces put together; each must come once, after it was announced.
fn assembled(deferred: &Deferred) -> Vec<u32> {
    let len = deferred.weight().elem_count();
    let whole = Mutex::new((vec![0; len], vec![0; len.div_ceil(deferred.piece())]));
    deferred
        .in_pieces(&|index| whole.lock().unwrap().1[index] += 1, &|index, piece| {
            let mut whole = whole.lock().unwrap();
            assert_eq!(whole.1[index], 1, "piece {index}");
            whole.1[index] += 1;
            let to = &mut whole.0[index * deferred.piece()..][..piece.len()];
            to.iter_mut().zip(piece).for_each(|(to, number)| *to = number.to_bits());
        })
        .unwrap();
    let (numbers, seen) = whole.into_inner().unwrap();
    assert!(seen.iter().all(|times| *times == 2));
    numbers
}

#[test]
fn pieces_are_the_whole_gradient_to_the_bit() {
    for (rows, inputs, units) in [(128, 784, 512), (70, 300, 45), (33, 257, 16), (300, 513, 130)] {
        let x = var("x", &[rows, inputs]).as_tensor().detach();
        let (kernel, bias) = (var("kernel", &[inputs, units]), var("bias", &[units]));
        for activation in [Activation::Relu, Activation::Linear] {
            for precision in [MatmulPrecision::Highest, MatmulPrecision::High, MatmulPrecision::Medium] {
                let pass = || {
                    let run = || linear(&x, &kernel, Some(&bias), activation).unwrap();
                    let (y, tape) = precision.scope(|| tape::record(run));
                    let seed = (&y * 0.5).unwrap();
                    (y, tape, seed)
                };
                let (y, tape, seed) = pass();
                let expected = tape.backward([(&y, seed)]).unwrap();
                let (y, tape, seed) = pass();
                let (found, deferred) = tape.backward_deferring([(&y, seed)]).unwrap();
                let whole = bits(expected.get(&kernel).unwrap());
                match deferred.as_slice() {
                    // Processors without tiles.
                    [] => assert_eq!(bits(found.get(&kernel).unwrap()), whole),
                    [deferred] => {
                        assert!(found.get(&kernel).is_none() && deferred.is_surely_finite().unwrap());
                        assert_eq!(assembled(deferred), whole, "{rows} {inputs} {units} {precision:?}");
                        assert_eq!(bits(&deferred.whole().unwrap()), whole);
                    }
                    _ => panic!("more than one gradient"),
                }
                assert_eq!(bits(found.get(&bias).unwrap()), bits(expected.get(&bias).unwrap()));
            }
        }
    }
}

#[test]
fn only_complete_gradients_are_deferred() {
    let x = var("x", &[64, 512]).as_tensor().detach();
    let (once, twice) = (var("once", &[512, 512]), var("twice", &[512, 512]));
    let layers = |composed: bool| {
        let y = linear(&x, &twice, None, Activation::Tanh).unwrap();
        let y = linear(&y, &once, None, Activation::Tanh).unwrap();
        let y = linear(&y, &twice, None, Activation::Tanh).unwrap();
        if composed {
            tape::composed(&[y], |y| y[0].sqr().map(|y| vec![y])).unwrap().remove(0)
        } else {
            y
        }
    };
    for composed in [false, true] {
        let (y, tape) = tape::record(|| layers(composed));
        let expected = tape.backward([(&y, y.ones_like().unwrap())]).unwrap();
        let (y, tape) = tape::record(|| layers(composed));
        let (mut found, deferred) = tape.backward_deferring([(&y, y.ones_like().unwrap())]).unwrap();
        assert!(deferred.len() <= 1 && (deferred.is_empty() || !composed));
        assert!(deferred.iter().all(|deferred| deferred.weight().id() == once.id()));
        deferred.iter().for_each(|deferred| found.complete(deferred).unwrap());
        for weight in [&once, &twice] {
            assert_eq!(bits(found.get(weight).unwrap()), bits(expected.get(weight).unwrap()));
        }
    }
}

#[test]
fn what_may_not_be_finite_says_so() {
    let kernel = var("kernel", &[512, 64]);
    for odd in [f32::NAN, f32::INFINITY, 1e37] {
        let mut numbers = vec![1e2f32; 32 * 512];
        numbers[700] = odd;
        let x = Tensor::from_vec(numbers, (32, 512), &Device::Cpu).unwrap();
        let (y, tape) = tape::record(|| linear(&x, &kernel, None, Activation::Linear).unwrap());
        let (_, deferred) = tape.backward_deferring([(&y, y.ones_like().unwrap())]).unwrap();
        assert!(
            deferred.iter().all(|deferred| !deferred.is_surely_finite().unwrap()),
            "{odd}"
        );
    }
}

/// The gradients of all variables on a tape and by candle's `backward()`, which must be the same numbers.
#[track_caller]
fn check_on_tape(name: &str, vars: &[&Var], operation: impl Fn() -> Tensor) {
    let (y, tape) = tape::record(&operation);
    assert!(!y.track_op(), "{name} is part of candle's graph");
    let found = tape.backward([(&y, y.ones_like().unwrap())]).unwrap();
    let expected = operation().backward().unwrap();
    for (index, var) in vars.iter().enumerate() {
        let gradient = found
            .get(var)
            .unwrap_or_else(|| panic!("{name}: no gradient of argument {index}"));
        let numbers = |tensor: &Tensor| tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(
            numbers(gradient),
            numbers(expected.get(var).unwrap()),
            "{name}: argument {index}"
        );
    }
}

#[test]
fn convolutions_and_losses_are_recorded() {
    let (x, bias) = (var("x", &[3, 9, 8, 12]), var("bias", &[24]));
    let options = DepthwiseConv2dOptions {
        padding: Padding::Same,
        strides: [2, 1],
        activation: Activation::Silu,
        ..Default::default()
    };
    let (kernel, single) = (var("kernel", &[3, 3, 12, 2]), var("single", &[3, 3, 12, 1]));
    check_on_tape("depthwise", &[&x, &kernel, &bias], || {
        depthwise_conv2d(&x, &kernel, Some(&bias), &options).unwrap()
    });
    check_on_tape("depthwise without copies", &[&x, &single], || {
        depthwise_conv2d(&x, &single, None, &options).unwrap()
    });
    let pointwise = var("pointwise", &[1, 1, 24, 24]);
    check_on_tape("separable", &[&x, &kernel, &pointwise, &bias], || {
        separable_conv2d(&x, &kernel, &pointwise, Some(&bias), &options).unwrap()
    });
    let (grouped, pixel) = (var("grouped", &[3, 3, 1, 24]), var("pixel", &[1, 1, 12, 24]));
    let groups = Conv2dOptions {
        groups: 12,
        ..Default::default()
    };
    check_on_tape("as many groups as channels", &[&x, &grouped, &bias], || {
        conv2d(&x, &grouped, Some(&bias), &groups).unwrap()
    });
    check_on_tape("1 x 1", &[&x, &pixel, &bias], || {
        conv2d(&x, &pixel, Some(&bias), &Conv2dOptions::default()).unwrap()
    });
    let logits = var("logits", &[20, 37]);
    let targets = var("targets", &[20, 37]).as_tensor().detach().abs().unwrap();
    let labels = Tensor::from_vec((0..20u32).collect(), 20, &Device::Cpu).unwrap();
    check_on_tape("labels", &[&logits], || {
        sparse_categorical_crossentropy(&logits, &labels).unwrap()
    });
    check_on_tape("distributions", &[&logits], || {
        categorical_crossentropy(&logits, &targets).unwrap()
    });
    check_on_tape("probabilities", &[&logits], || {
        binary_crossentropy(&logits, &targets).unwrap()
    });
    check_on_tape("numbers", &[&logits], || mean_squared_error(&logits, &targets).unwrap());
}
