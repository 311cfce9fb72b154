//! A network whose convolutions pool their own outputs has the bits of the network that computes both layers: the same description with the
//! convolution among its outputs, which keeps the two apart.

use candle_core::{DType, Device, Tensor};
use kernels::random::Stream;
use models::{Mode, Network};
use nn_theory::{
    Activation, Add, AveragePooling2D, Conv2D, Dense, Flatten, LeakyReLU, MaxPooling2D, ModelSpec, NamedLayer, Padding,
    ReLU,
};

type Outcome = Result<(), Box<dyn std::error::Error>>;

/// convolution, layers between, pooling, then a dense layer; `apart` makes the convolution an output, too.
fn spec(conv: Conv2D, between: &[NamedLayer], pool: NamedLayer, apart: bool) -> Result<ModelSpec, nn_theory::Error> {
    let mut graph = ModelSpec::functional("net");
    let x = graph.input([11, 9, 3])?;
    let seen = graph.layer(conv.name("conv"), x)?;
    let mut y = seen;
    for layer in between {
        y = graph.layer(layer.clone(), y)?;
    }
    y = graph.layer(pool, y)?;
    y = graph.layer(Flatten::new().name("flat"), y)?;
    y = graph.layer(Dense::new(2).name("out"), y)?;
    if apart {
        graph.build(x, [y, seen])
    } else {
        graph.build(x, y)
    }
}

fn bits(x: &Tensor) -> candle_core::Result<Vec<u64>> {
    let numbers = x.to_dtype(DType::F64)?.flatten_all()?.to_vec1::<f64>()?;
    Ok(numbers.into_iter().map(f64::to_bits).collect())
}

/// The output in inference and in training, and the gradients of all weights.
fn results(spec: ModelSpec, dtype: DType) -> Result<Vec<Vec<u64>>, Box<dyn std::error::Error>> {
    let network = Network::new(spec, 5, &Device::Cpu, dtype)?;
    let mut draws = Stream::new(1).draws();
    let numbers: Vec<f64> = (0..5 * 11 * 9 * 3).map(|_| draws.normal()).collect();
    let x = Tensor::from_vec(numbers, (5, 11, 9, 3), &Device::Cpu)?.to_dtype(dtype)?;
    let inference = network.forward_all(std::slice::from_ref(&x), Mode::Inference)?;
    let pass = network.record(std::slice::from_ref(&x), Mode::Training(Stream::new(2)))?;
    let loss = pass.outputs()[0].sqr()?.sum_all()?;
    let mut found = vec![bits(&inference[0])?, bits(&pass.outputs()[0])?];
    let gradients = pass.backward(&loss)?;
    for weight in network.weights() {
        let gradient = gradients.get(weight.var.as_tensor()).ok_or("a gradient got lost")?;
        found.push(bits(gradient)?);
    }
    Ok(found)
}

#[track_caller]
fn check(conv: Conv2D, between: &[NamedLayer], pool: impl Into<NamedLayer>) -> Outcome {
    let pool = pool.into();
    for dtype in [DType::F32, DType::F64] {
        let joined = results(spec(conv.clone(), between, pool.clone(), false)?, dtype)?;
        let apart = results(spec(conv.clone(), between, pool.clone(), true)?, dtype)?;
        assert!(joined == apart, "{conv:?}, {between:?}, {pool:?} in {dtype:?}");
    }
    Ok(())
}

fn conv() -> Conv2D {
    Conv2D::new(20, [3, 3])
}

#[test]
fn convolutions_that_are_joined() -> Outcome {
    let pool = || MaxPooling2D::new([2, 2]);
    check(conv(), &[], pool())?;
    check(conv().activation(Activation::Relu), &[], pool())?;
    check(conv().activation(Activation::Tanh).padding(Padding::Same), &[], pool())?;
    check(conv().use_bias(false).activation(Activation::Elu), &[], pool())?;
    check(conv(), &[], MaxPooling2D::new([3, 2]))?;
    check(conv(), &[], pool().strides([3, 3]))?;
    let relu = NamedLayer::from(nn_theory::ActivationLayer::new(Activation::Relu)).name("relu");
    check(conv(), &[relu], pool())?;
    check(conv(), &[ReLU::new().name("relu")], pool())?;
    Ok(())
}

#[test]
fn convolutions_that_are_not() -> Outcome {
    let pool = || MaxPooling2D::new([2, 2]);
    // Pools that overlap or hang over, activations whose derivative needs the sum, steps, and other layers between.
    check(conv(), &[], pool().strides([1, 1]))?;
    check(conv(), &[], pool().padding(Padding::Same))?;
    check(conv().activation(Activation::Gelu), &[], pool())?;
    check(conv().activation(Activation::Softmax), &[], pool())?;
    check(conv().strides([2, 2]), &[], pool())?;
    check(conv().activation(Activation::Relu), &[ReLU::new().name("relu")], pool())?;
    check(conv(), &[LeakyReLU::new().name("leaky")], pool())?;
    check(conv(), &[], AveragePooling2D::new([2, 2]))?;
    Ok(())
}

#[test]
fn a_convolution_with_two_readers_keeps_its_outputs() -> Outcome {
    let mut graph = ModelSpec::functional("net");
    let x = graph.input([8, 8, 2])?;
    let seen = graph.layer(Conv2D::new(4, [3, 3]).padding(Padding::Same).name("conv"), x)?;
    let pooled = graph.layer(MaxPooling2D::new([2, 2]).name("pool"), seen)?;
    let averaged = graph.layer(AveragePooling2D::new([2, 2]).name("average"), seen)?;
    let sum = graph.layer(Add::new().name("sum"), [pooled, averaged])?;
    let network = Network::new(graph.build(x, sum)?, 1, &Device::Cpu, DType::F32)?;
    let image = Tensor::arange(0f32, 128.0, &Device::Cpu)?.reshape((1, 8, 8, 2))?;
    let found = network.forward(&image, Mode::Inference)?;
    let kernel = network
        .weight("conv/kernel")
        .ok_or("no kernel")?
        .var
        .as_tensor()
        .clone();
    let options = kernels::Conv2dOptions {
        padding: kernels::Padding::Same,
        ..Default::default()
    };
    let seen = kernels::conv2d(&image, &kernel, None, &options)?;
    let pool = kernels::Pool2dOptions::default();
    let expected = (kernels::max_pool2d(&seen, &pool)? + kernels::avg_pool2d(&seen, &pool)?)?;
    assert_eq!(bits(&found)?, bits(&expected)?);
    Ok(())
}
