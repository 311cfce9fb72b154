//! Bad input: every fault is an error that names the layer and the key, and none is a panic.

use nn_theory::{
    Add, Concatenate, Conv2D, Dense, Dropout, Embedding, Error, Flatten, MaxPooling2D, ModelSpec, Reshape,
    SummaryOptions,
};
use serde_json::{Value, json};
use std::{fs, path::Path};

#[track_caller]
fn check(result: Result<ModelSpec, Error>, parts: &[&str]) {
    let text = match result {
        Ok(model) => panic!("no error, but a model of {} layers", model.nodes().len()),
        Err(error) => error.to_string(),
    };
    for part in parts {
        assert!(text.contains(part), "'{part}' is not in: {text}");
    }
}

fn golden(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden/summary")
        .join(format!("{name}.config.json"));
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn with(name: &str, pointer: &str, value: Value) -> Result<ModelSpec, Error> {
    let mut config = golden(name);
    *config.pointer_mut(pointer).unwrap_or_else(|| panic!("no {pointer}")) = value;
    ModelSpec::from_keras_json(&config.to_string())
}

#[test]
fn a_layer_that_does_not_fit_says_so() {
    let image = || ModelSpec::sequential("model").input([3, 3, 1]);
    check(
        image().layer(Conv2D::new(8, [5, 5])).build(),
        &["'conv2d'", "kernel 5x5 does not fit its input 3x3", "padding 'same'"],
    );
    check(
        image().layer(MaxPooling2D::new([4, 4])).build(),
        &["'max_pooling2d'", "window 4x4"],
    );
    check(
        image().layer(Conv2D::new(0, [1, 1])).build(),
        &["'conv2d'", "'filters'", "at least 1"],
    );
    check(
        image().layer(Conv2D::new(4, [1, 1]).strides([0, 1])).build(),
        &["'strides'"],
    );
    check(
        image().layer(Conv2D::new(4, [1, 1]).groups(3)).build(),
        &["'groups'", "divide the 4 filters"],
    );
    check(
        image().layer(Conv2D::new(4, [1, 1]).groups(2)).build(),
        &["'groups'", "divide the 1 channels"],
    );
    check(
        image()
            .layer(Conv2D::new(4, [2, 2]).strides([2, 2]).dilation_rate([2, 2]))
            .build(),
        &["'dilation_rate'"],
    );
    check(
        image().layer(Flatten::new()).layer(Conv2D::new(4, [1, 1])).build(),
        &["rank 4", "(None, 9)"],
    );
    check(
        image().layer(Reshape::new(vec![2, 5])).build(),
        &["'target_shape'", "9 values"],
    );
    check(
        image().layer(Reshape::new(vec![-1, -1])).build(),
        &["'target_shape'", "one -1"],
    );
    check(image().layer(Dropout::new(1.5)).build(), &["'rate'", "[0, 1]"]);
    check(image().layer(Add::new()).build(), &["'add'", "two inputs"]);
    check(
        image().add("a", Flatten::new()).add("a", Dense::new(1)).build(),
        &["two layers named 'a'"],
    );
}

#[test]
fn absurd_sizes_are_errors_and_no_overflow() {
    let huge = 1usize << 63;
    let dense = |units: usize| {
        ModelSpec::sequential("model")
            .input([1024])
            .layer(Dense::new(units))
            .build()
    };
    check(dense(huge), &["'dense'", "larger than 2^64 - 1"]);
    check(dense(usize::MAX), &["'dense'"]);
    check(dense(0), &["'units'"]);
    // Every count fits, their bytes do not.
    check(dense((1 << 53) - 1), &["bytes"]);
    check(
        ModelSpec::sequential("model")
            .input([huge as u64, 4])
            .layer(Flatten::new())
            .build(),
        &["'flatten'", "larger than 2^64 - 1"],
    );
    check(
        ModelSpec::sequential("model")
            .input([7])
            .layer(Embedding::new(huge, huge))
            .build(),
        &["'embedding'", "larger than 2^64 - 1"],
    );
    check(
        ModelSpec::sequential("m")
            .input([8, 8, 1])
            .layer(Conv2D::new(1, [huge, 2]).dilation_rate([9, 1]))
            .build(),
        &["'conv2d'"],
    );
}

#[test]
fn two_weights_that_fit_alone_may_not_fit_together() {
    let model = ModelSpec::sequential("model")
        .input([1])
        .layer(Dense::new(1 << 61))
        .layer(Dense::new(1));
    check(model.build(), &["larger than 2^64 - 1"]);
}

#[test]
fn broken_configurations_name_layer_and_key() {
    check(ModelSpec::from_keras_json(""), &["not a Keras model configuration"]);
    check(ModelSpec::from_keras_json("[1, 2]"), &["class_name"]);
    check(
        ModelSpec::from_keras_json("{\"class_name\": \"Sequential\"}"),
        &["'config'", "missing"],
    );
    check(
        ModelSpec::from_keras_json("{\"class_name\": \"MyModel\"}"),
        &["'MyModel'", "subclassed"],
    );
    check(
        with("cats_vs_dogs", "/config/layers/1/config/units", json!(-3)),
        &["'H01'", "'units'", "-3"],
    );
    check(
        with("cats_vs_dogs", "/config/layers/1/config/units", json!("two")),
        &["'H01'", "'units'"],
    );
    check(
        with("cats_vs_dogs", "/config/layers/1/config/units", json!(1.5)),
        &["'H01'", "'units'"],
    );
    check(
        with("cats_vs_dogs", "/config/layers/1/config/activation", json!("tahn")),
        &["'H01'", "'activation'", "tahn"],
    );
    check(
        with("cats_vs_dogs", "/config/layers/1/config/use_bias", json!(3)),
        &["'H01'", "'use_bias'"],
    );
    check(
        with("cats_vs_dogs", "/config/layers/1/class_name", json!("Dens")),
        &["'H01'", "'Dens'", "replace"],
    );
    check(
        with("cats_vs_dogs", "/config/layers/1/config/dtype", json!("float31")),
        &["'H01'", "'dtype'", "float31"],
    );
    check(
        with("cats_vs_dogs", "/config/layers/0/config/batch_shape", json!([null, -4])),
        &["'Input'", "'batch_shape'"],
    );
    check(
        with("cats_vs_dogs", "/config/layers/1/name", json!(null)).and(with(
            "cats_vs_dogs",
            "/config/layers/1/config/name",
            json!("x"),
        )),
        &["'H01'"],
    );
    check(
        with("cats_vs_dogs", "/config/output_layers", json!(["H09", 0, 0])),
        &["'H09'", "output_layers"],
    );
    check(with("cats_vs_dogs", "/config/output_layers", json!([])), &["output"]);
    check(
        with("cats_vs_dogs", "/config/layers/2/inbound_nodes", json!([])),
        &["'H02'", "inbound_nodes"],
    );
    check(
        with("mnist_cnn", "/config/layers/1/config/kernel_size", json!([3, 3, 3])),
        &["'conv2d'", "'kernel_size'", "2 values"],
    );
    check(
        with("mnist_cnn", "/config/layers/1/config/padding", json!("full")),
        &["'conv2d'", "'padding'", "full"],
    );
    let mut config = golden("mnist_cnn");
    if let Some(layer) = config
        .pointer_mut("/config/layers/1/config")
        .and_then(Value::as_object_mut)
    {
        layer.shift_remove("filters");
    }
    check(
        ModelSpec::from_keras_json(&config.to_string()),
        &["'conv2d'", "'filters'", "missing"],
    );
}

#[test]
fn cycles_and_dangling_connections_are_errors() {
    let read = "/config/layers/1/inbound_nodes/0/args/0/config/keras_history";
    check(
        with("cats_vs_dogs", read, json!(["H02", 0, 0])),
        &["cycle", "H01", "H02"],
    );
    check(with("cats_vs_dogs", read, json!(["H01", 0, 0])), &["cycle", "H01"]);
    check(with("cats_vs_dogs", read, json!(["H07", 0, 0])), &["'H01'", "'H07'"]);
    check(
        with("cats_vs_dogs", read, json!(["Input", 5, 0])),
        &["'Input'", "call 5"],
    );
    check(with("cats_vs_dogs", read, json!(["Input", 0, 9])), &["output 9"]);
    check(with("cats_vs_dogs", read, json!("Input")), &["'H01'", "keras_history"]);
}

#[test]
fn deep_and_long_texts_are_refused() {
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    check(ModelSpec::from_keras_json(&deep), &["recursion limit"]);
    let deep = format!(
        "{{\"class_name\":\"Sequential\",\"config\":{}{}}}",
        "{\"a\":".repeat(10_000),
        "}".repeat(10_000)
    );
    check(ModelSpec::from_keras_json(&deep), &["not a Keras model"]);
    // Inside of a layer the error says which one, and which key.
    for (value, problem) in [("[".repeat(10_000), "recursion limit"), ("tru".to_owned(), "expected")] {
        let text = format!(
            r#"{{"class_name": "Sequential", "config": {{"name": "net", "layers": [
                {{"class_name": "Dense", "config": {{"name": "first", "units": 2}}}},
                {{"class_name": "Dense", "config": {{"name": "second", "units": {value}}}}}]}}}}"#
        );
        let parts = ["layer 1 of net, behind 'first'", "key 'units'", problem, "line 3"];
        check(ModelSpec::from_keras_json(&text), &parts);
    }
    let layer = r#"{"class_name":"Dense","config":{"units":1}}"#;
    let layers = vec![layer; nn_theory::MAX_LAYERS + 1].join(",");
    let many = format!(r#"{{"class_name":"Sequential","config":{{"name":"many","layers":[{layers}]}}}}"#);
    check(ModelSpec::from_keras_json(&many), &["many", "262144 layers"]);
    let long = " ".repeat(nn_theory::MAX_CONFIGURATION_BYTES + 1);
    check(ModelSpec::from_keras_json(&long), &["bytes"]);
}

/// Replaces every value of a configuration by values that do not belong there: an answer or an error, never a panic.
fn replace_everywhere(value: &Value, path: &str, paths: &mut Vec<String>) {
    paths.push(path.to_owned());
    match value {
        Value::Array(items) => items
            .iter()
            .enumerate()
            .for_each(|(i, item)| replace_everywhere(item, &format!("{path}/{i}"), paths)),
        Value::Object(object) => {
            for (key, item) in object {
                replace_everywhere(item, &format!("{path}/{key}"), paths);
            }
        }
        _ => {}
    }
}

#[test]
fn no_replaced_value_is_a_panic() {
    let nasty = [
        json!(null),
        json!(-1),
        json!(0),
        json!(u64::MAX),
        json!(1e300),
        json!(""),
        json!([]),
        json!({}),
        json!([[], [1, [2]]]),
    ];
    let options = SummaryOptions::lecture();
    let mut tried = 0;
    for name in [
        "cats_vs_dogs",
        "mnist_cnn",
        "siamese",
        "lstm_states",
        "padding_cropping",
        "attention_kinds",
    ] {
        let config = golden(name);
        let mut paths = Vec::new();
        replace_everywhere(&config, "", &mut paths);
        for (index, path) in paths.iter().enumerate() {
            let mut broken = config.clone();
            if let Some(place) = broken.pointer_mut(path) {
                *place = nasty[index % nasty.len()].clone();
            }
            if let Ok(model) = ModelSpec::from_keras_json(&broken.to_string()) {
                let _ = (
                    model.summary(&options),
                    model.explain(),
                    model.weights(),
                    model.number_format(),
                    model.to_keras_json(),
                );
            }
            tried += 1;
        }
    }
    assert!(tried > 500, "only {tried} values were replaced");
}

#[test]
fn graphs_are_checked_when_they_are_built() -> Result<(), Error> {
    let mut graph = ModelSpec::functional("graph");
    let a = graph.input_named("a", [4])?;
    let b = graph.input_named("b", [5])?;
    assert!(graph.layer(Add::new(), [a, b]).is_err());
    let wide = graph.layer(Dense::new(3).name("wide"), a)?;
    let error = graph.again(wide, b).map_err(|error| error.to_string());
    assert!(
        error
            .as_ref()
            .is_err_and(|text| text.contains("'wide'") && text.contains("shared")),
        "{error:?}"
    );
    let joined = graph.layer(Concatenate::new(), [wide, b])?;
    check(graph.clone().build(a, joined), &["'b'", "not listed"]);
    check(graph.clone().build(joined, joined), &["no input layer"]);
    check(graph.clone().build(a, Vec::new()), &["no output"]);
    assert_eq!(graph.build([a, b], joined)?.output_shape().to_string(), "(None, 8)");
    Ok(())
}

#[test]
fn impossible_summaries_are_errors() -> Result<(), Error> {
    let model = ModelSpec::sequential("model").input([4]).layer(Dense::new(2)).build()?;
    let options = SummaryOptions::default();
    for (options, part) in [
        (
            SummaryOptions {
                line_length: Some(10),
                ..options.clone()
            },
            "line_length",
        ),
        (
            SummaryOptions {
                line_length: Some(usize::MAX),
                ..options.clone()
            },
            "line_length",
        ),
        (
            SummaryOptions {
                positions: Some(vec![0.5, 1.0]),
                ..options.clone()
            },
            "positions",
        ),
        (
            SummaryOptions {
                positions: Some(vec![f64::NAN; 3]),
                ..options.clone()
            },
            "wide",
        ),
        (
            SummaryOptions {
                layer_range: Some(["x".to_owned(), "dense".to_owned()]),
                ..options
            },
            "'x'",
        ),
    ] {
        let text = model
            .summary(&options)
            .map_or_else(|error| error.to_string(), |text| panic!("{text}"));
        assert!(text.contains(part), "'{part}' is not in: {text}");
    }
    Ok(())
}
