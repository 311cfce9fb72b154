//! A recorded pass has the gradients of candle's own.

use candle_core::{DType, Device, Tensor};
use kernels::random::Stream;
use models::{Mode, Network, zoo};
use nn_theory::{
    Activation, Add, AveragePooling2D, BatchNormalization, Concatenate, Conv2D, Dense, DepthwiseConv2D, Dropout,
    Embedding, Flatten, GRU, GlobalAveragePooling2D, GlobalMaxPooling2D, Layer, LayerNormalization, LeakyReLU,
    MaxPooling2D, ModelSpec, Padding, ReLU, Reshape, SeparableConv2D,
};

type Outcome = Result<(), Box<dyn std::error::Error>>;

/// Numbers that look irregular, in a shape.
fn numbers(shape: &[usize]) -> candle_core::Result<Tensor> {
    let count = shape.iter().product::<usize>();
    let numbers: Vec<f64> = (0..count).map(|i| ((i * i + 3 * i) as f64 * 0.7).sin()).collect();
    Tensor::from_vec(numbers, shape, &Device::Cpu)
}

/// Gradients of all weights, recorded and by candle, for one training pass on `inputs`.
#[track_caller]
fn check(spec: ModelSpec, inputs: &[Tensor]) -> Outcome {
    let network = Network::new(spec, 7, &Device::Cpu, DType::F64)?;
    let start = network.snapshot()?;
    let mode = Mode::Training(Stream::new(3).step(1));
    let loss = |outputs: &[Tensor]| -> candle_core::Result<Tensor> {
        let mut total = Tensor::zeros((), DType::F64, &Device::Cpu)?;
        for output in outputs {
            total = (total + (output * numbers(output.dims())?)?.sum_all()?)?;
        }
        Ok(total)
    };
    let plain = network.forward_all(inputs, mode)?;
    let expected = loss(&plain)?.backward()?;
    // The first pass moved the statistics of batch normalisations.
    let mut network = network;
    for (path, value) in &start {
        network.set_weight(path, value)?;
    }
    let pass = network.record(inputs, mode)?;
    for (recorded, plain) in pass.outputs().iter().zip(&plain) {
        assert_eq!(
            recorded.flatten_all()?.to_vec1::<f64>()?,
            plain.flatten_all()?.to_vec1::<f64>()?
        );
    }
    let loss = loss(pass.outputs())?;
    let found = pass.backward(&loss)?;
    let mut compared = 0;
    for weight in network.weights().filter(|weight| weight.trainable) {
        let [expected, found] = [expected.get(weight.var.as_tensor()), found.get(weight.var.as_tensor())];
        let (Some(expected), Some(found)) = (expected, found) else {
            panic!("{}: {} {}", weight.path, expected.is_some(), found.is_some());
        };
        let largest = expected.abs()?.max_all()?.to_scalar::<f64>()?.max(1e-3);
        let difference = (expected - found)?.abs()?.max_all()?.to_scalar::<f64>()?;
        assert!(
            difference <= 1e-12 * largest,
            "{}: {difference} of {largest}",
            weight.path
        );
        compared += 1;
    }
    assert!(compared > 0);
    Ok(())
}

#[test]
fn built_in_networks() -> Outcome {
    for name in ["cats_vs_dogs", "first_cnn", "digits_cnn", "lenet5", "mnist_cnn"] {
        let spec = zoo::by_name(name)?;
        let shape: Vec<usize> = spec
            .input_shape()
            .0
            .iter()
            .map(|size| size.unwrap_or(3) as usize)
            .collect();
        check(spec, &[numbers(&shape)?])?;
    }
    Ok(())
}

#[test]
fn layers_that_candle_differentiates_among_recorded_ones() -> Outcome {
    let spec = ModelSpec::sequential("mixed")
        .input([8, 8, 2])
        .layer(Conv2D::new(5, [3, 3]).padding(Padding::Same))
        .layer(BatchNormalization::new())
        .layer(LeakyReLU::new())
        .layer(MaxPooling2D::new([2, 2]))
        .layer(LayerNormalization::new())
        .layer(Dropout::new(0.3))
        .layer(Reshape::new(vec![16, 5]))
        .layer(GRU::new(4))
        .layer(Dense::new(3).activation(Activation::Gelu))
        .build()?;
    check(spec, &[numbers(&[4, 8, 8, 2])?])
}

/// One network for each way to end in a layer that has kernels of its own, so that a cut of the gradient shows as a missing one.
#[test]
fn every_layer_that_is_recorded_hands_the_gradient_on() -> Outcome {
    let network = |layer: Layer| {
        ModelSpec::sequential("one")
            .input([7, 6, 2])
            .layer(Conv2D::new(4, [3, 3]).padding(Padding::Same))
            .layer(layer)
            .layer(Flatten::new())
            .layer(Dense::new(2))
            .build()
    };
    let layers: [Layer; 12] = [
        Conv2D::new(3, [2, 3])
            .strides([2, 1])
            .activation(Activation::Relu)
            .into(),
        DepthwiseConv2D::new([3, 3]).into(),
        DepthwiseConv2D::new([3, 3])
            .depth_multiplier(2)
            .activation(Activation::Tanh)
            .into(),
        SeparableConv2D::new(3, [3, 3]).padding(Padding::Same).into(),
        MaxPooling2D::new([2, 2]).into(),
        MaxPooling2D::new([3, 2]).strides([2, 2]).padding(Padding::Same).into(),
        AveragePooling2D::new([2, 3]).into(),
        GlobalAveragePooling2D::new().into(),
        GlobalMaxPooling2D::new().into(),
        BatchNormalization::new().into(),
        ReLU::new().into(),
        Dense::new(3).activation(Activation::Sigmoid).into(),
    ];
    for layer in layers {
        check(network(layer)?, &[numbers(&[3, 7, 6, 2])?])?;
    }
    check(zoo::by_name("resnet20")?, &[numbers(&[1, 32, 32, 3])?])
}

#[test]
fn branches_and_layers_that_are_used_twice() -> Outcome {
    let mut graph = ModelSpec::functional("branches");
    let input = graph.input([6, 6, 3])?;
    let shared = Conv2D::new(3, [3, 3])
        .padding(Padding::Same)
        .activation(Activation::Tanh);
    let once = graph.layer(shared, [input])?;
    let twice = graph.again(once, [once])?;
    let sum = graph.layer(Add::new(), [once, twice])?;
    let both = graph.layer(Concatenate::new(), [sum, input])?;
    let flat = graph.layer(Flatten::new(), [both])?;
    let first = graph.layer(Dense::new(4).activation(Activation::Softmax).name("first"), [flat])?;
    let second = graph.layer(Dense::new(2).name("second"), [first])?;
    check(graph.build([input], [first, second])?, &[numbers(&[2, 6, 6, 3])?])
}

#[test]
fn inputs_that_are_no_numbers_to_differentiate() -> Outcome {
    let spec = ModelSpec::sequential("words")
        .input([5])
        .layer(Embedding::new(9, 4))
        .layer(Flatten::new())
        .layer(Dense::new(2))
        .build()?;
    let ids: Vec<u32> = (0..15).map(|i| (i * 7) % 9).collect();
    let network = Network::new(spec, 7, &Device::Cpu, DType::F64)?;
    let ids = Tensor::from_vec(ids, (3, 5), &Device::Cpu)?;
    let pass = network.record(&[ids], Mode::Training(Stream::new(1)))?;
    let loss = pass.outputs()[0].sqr()?.sum_all()?;
    let gradients = pass.backward(&loss)?;
    assert!(
        network
            .weights()
            .all(|weight| gradients.get(weight.var.as_tensor()).is_some())
    );
    Ok(())
}
