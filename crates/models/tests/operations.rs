//! Operations of `keras.ops` in a functional graph: values, gradients, what is refused.

use candle_core::{DType, Device, Tensor, Var};
use models::{Error, Mode, Network};
use nn_theory::ModelSpec;
use serde_json::{Value, json};

fn tensor(layer: &str, shape: &Value) -> Value {
    json!({"class_name": "__keras_tensor__", "config": {"shape": shape, "dtype": "float32", "keras_history": [layer, 0, 0]}})
}

/// `class(args)` of a model with one input `x` of shape (batch, 2, 3), followed by the layer `Identity`, which states the
/// shape of the result.
fn network(class: &str, config: &Value, args: &Value, result: &Value) -> Result<Network, Error> {
    let mut config = config.clone();
    config["name"] = json!("operation");
    let document = json!({
        "class_name": "Functional",
        "config": {
            "name": "operations", "input_layers": [["x", 0, 0]], "output_layers": [["result", 0, 0]],
            "layers": [
                {"class_name": "InputLayer", "name": "x", "config": {"name": "x", "batch_shape": [null, 2, 3]}, "inbound_nodes": []},
                {"module": "keras.src.ops.numpy", "class_name": class, "name": "operation", "config": config,
                 "inbound_nodes": [{"args": args, "kwargs": {}}]},
                {"module": "keras.layers", "class_name": "Identity", "name": "result", "config": {"name": "result"},
                 "inbound_nodes": [{"args": [tensor("operation", result)], "kwargs": {}}]},
            ],
        },
    });
    Network::new(
        ModelSpec::from_keras_json(&document.to_string())?,
        0,
        &Device::Cpu,
        DType::F64,
    )
}

fn input() -> Tensor {
    Tensor::new(&[[[0.5f64, -1.0, 2.0], [2.0, 0.25, -0.5]]], &Device::Cpu).unwrap()
}

fn numbers(x: &Tensor) -> Vec<f64> {
    x.flatten_all().unwrap().to_vec1().unwrap()
}

#[track_caller]
fn check(class: &str, config: Value, further: &[Value], expected: &[f64], dims: &[usize]) {
    let mut args = vec![tensor("x", &json!([null, 2, 3]))];
    args.extend_from_slice(further);
    let mut result = vec![Value::Null];
    result.extend(dims[1..].iter().map(|size| json!(size)));
    let network = network(class, &config, &json!(args), &json!(result)).unwrap();
    let x = Var::from_tensor(&input()).unwrap();
    let y = network.forward(&x, Mode::Inference).unwrap();
    assert_eq!(y.dims(), dims, "{class}");
    for (a, b) in numbers(&y).iter().zip(expected) {
        assert!((a - b).abs() < 1e-12, "{class}: {:?}", numbers(&y));
    }
    // The gradient against central differences.
    let sum = |x: &Tensor| {
        network
            .forward(x, Mode::Inference)
            .unwrap()
            .sqr()
            .unwrap()
            .sum_all()
            .unwrap()
    };
    let gradient = numbers(sum(&x).backward().unwrap().get(&x).unwrap());
    for (place, found) in gradient.iter().enumerate() {
        let moved = |by: f64| {
            let mut values = numbers(&x);
            values[place] += by;
            let x = Tensor::from_vec(values, (1, 2, 3), &Device::Cpu).unwrap();
            sum(&x).to_scalar::<f64>().unwrap()
        };
        let slope = (moved(1e-5) - moved(-1e-5)) / 2e-5;
        assert!(
            (found - slope).abs() < 1e-5,
            "{class}: gradient {found}, by differences {slope}"
        );
    }
}

#[test]
fn operations_compute_what_their_names_say() {
    let all = [1, 2, 3];
    let x = numbers(&input());
    let each = |f: fn(f64) -> f64| x.iter().map(|&x| f(x)).collect::<Vec<f64>>();
    let slice = |start: Value, stop: Value| json!({"class_name": "__slice__", "config": {"start": start, "stop": stop, "step": null}});
    check("Multiply", json!({}), &[json!(2.0)], &each(|x| 2.0 * x), &all);
    check(
        "Add",
        json!({}),
        &[json!([1.0, 2.0, 3.0])],
        &[1.5, 1.0, 5.0, 3.0, 2.25, 2.5],
        &all,
    );
    let array = json!({"class_name": "__numpy__", "config": {"value": [[1.0], [2.0]], "dtype": "float32"}});
    check(
        "Subtract",
        json!({}),
        &[array],
        &[-0.5, -2.0, 1.0, 0.0, -1.75, -2.5],
        &all,
    );
    check("TrueDivide", json!({}), &[json!(4.0)], &each(|x| x / 4.0), &all);
    check("Power", json!({}), &[json!(2.0)], &each(|x| x * x), &all);
    check("Maximum", json!({}), &[json!(0.3)], &each(|x| x.max(0.3)), &all);
    check(
        "Clip",
        json!({"x_min": -0.75, "x_max": 1.0}),
        &[],
        &each(|x| x.clamp(-0.75, 1.0)),
        &all,
    );
    check("Abs", json!({}), &[], &each(f64::abs), &all);
    check("Exp", json!({}), &[], &each(f64::exp), &all);
    check("Negative", json!({}), &[], &each(|x| -x), &all);
    check("Tanh", json!({}), &[], &each(f64::tanh), &all);
    check("Relu", json!({}), &[], &each(|x| x.max(0.0)), &all);
    check(
        "LeakyRelu",
        json!({"negative_slope": 0.1}),
        &[],
        &each(|x| if x > 0.0 { x } else { 0.1 * x }),
        &all,
    );
    check(
        "Mean",
        json!({"axis": 1, "keepdims": false}),
        &[],
        &[1.25, -0.375, 0.75],
        &[1, 3],
    );
    check(
        "Sum",
        json!({"axis": [-1], "keepdims": true}),
        &[],
        &[1.5, 1.75],
        &[1, 2, 1],
    );
    check("Max", json!({"axis": 2}), &[], &[2.0, 2.0], &[1, 2]);
    check("Min", json!({"axis": [1, 2], "keepdims": false}), &[], &[-1.0], &[1]);
    check(
        "Transpose",
        json!({"axes": [0, 2, 1]}),
        &[],
        &[0.5, 2.0, -1.0, 0.25, 2.0, -0.5],
        &[1, 3, 2],
    );
    check("Reshape", json!({"newshape": [null, 3, 2]}), &[], &x, &[1, 3, 2]);
    check("ExpandDims", json!({"axis": -1}), &[], &x, &[1, 2, 3, 1]);
    let first = [json!([
        slice(json!(null), json!(null)),
        0,
        slice(json!(null), json!(null))
    ])];
    check("GetItem", json!({}), &first, &x[..3], &[1, 3]);
    let inner = [json!([{"class_name": "__ellipsis__", "config": {}}, slice(json!(-2), json!(null))])];
    check("GetItem", json!({}), &inner, &[-1.0, 2.0, 0.25, -0.5], &[1, 2, 2]);
    let softmax: Vec<f64> = [(0.5f64, 2.0f64), (-1.0, 0.25), (2.0, -0.5)]
        .iter()
        .map(|(a, b)| a.exp() / (a.exp() + b.exp()))
        .collect();
    let softmax = [softmax.clone(), softmax.iter().map(|p| 1.0 - p).collect()].concat();
    check("Softmax", json!({"axis": 1}), &[], &softmax, &all);
}

/// All values that are the largest share its gradient, as in TensorFlow.
#[test]
fn the_gradient_of_a_maximum_is_shared() {
    let args = json!([tensor("x", &json!([null, 2, 3]))]);
    let network = network("Max", &json!({"axis": [1, 2]}), &args, &json!([null])).unwrap();
    let x = Var::from_tensor(&input()).unwrap();
    let y = network.forward(&x, Mode::Inference).unwrap();
    let gradients = y.sum_all().unwrap().backward().unwrap();
    assert_eq!(numbers(gradients.get(&x).unwrap()), [0.0, 0.0, 0.5, 0.5, 0.0, 0.0]);
}

#[test]
fn operations_that_do_not_run_are_named_when_the_network_is_built() {
    let x = tensor("x", &json!([null, 2, 3]));
    let shape = json!([null, 2, 3]);
    for (class, args) in [
        ("Fft2", json!([x])),
        ("Multiply", json!([x, "two"])),
        ("Multiply", json!([x, [[1.0], [2.0, 3.0]]])),
    ] {
        match network(class, &json!({}), &args, &shape) {
            Err(error @ Error::LayerOption { .. }) => assert!(error.to_string().contains("operation"), "{error}"),
            other => panic!("{class}: {:?}", other.map(|network| network.name().to_string())),
        }
    }
}
