//! What a configuration does not say: classes of other packages, Python functions, and their place in counts and files.

use nn_theory::{Layer, ModelSpec, SummaryOptions};
use serde_json::{Value, json};

fn read(value: &Value) -> ModelSpec {
    ModelSpec::from_keras_json(&value.to_string()).unwrap_or_else(|error| panic!("{error}"))
}

/// A tensor of another layer, as Keras writes it.
fn tensor(layer: &str, shape: Value) -> Value {
    json!({ "class_name": "__keras_tensor__", "config": { "shape": shape, "dtype": "float32", "keras_history": [layer, 0, 0] } })
}

/// `x -> Scale (of a package) -> Dense`, as Keras 3 writes it.
fn functional(custom: Value) -> Value {
    let call = |tensor: Value| json!([{ "args": [tensor], "kwargs": {} }]);
    let mut custom = custom;
    custom["inbound_nodes"] = call(tensor("x", json!([null, 4])));
    json!({
        "module": "keras.src.models.functional", "class_name": "Functional", "registered_name": "Functional",
        "config": {
            "name": "model", "trainable": true,
            "layers": [
                { "module": "keras.layers", "class_name": "InputLayer", "name": "x", "inbound_nodes": [],
                  "config": { "batch_shape": [null, 4], "dtype": "float32", "name": "x" } },
                custom,
                { "module": "keras.layers", "class_name": "Dense", "name": "y", "registered_name": null,
                  "config": { "name": "y", "trainable": true, "dtype": "float32", "units": 2 },
                  "inbound_nodes": call(tensor("own", json!([null, 6]))) },
            ],
            "input_layers": ["x", 0, 0], "output_layers": ["y", 0, 0]
        }
    })
}

fn custom() -> Value {
    json!({
        "module": "shop.layers", "class_name": "Scale", "registered_name": "shop>Scale", "name": "own",
        "config": { "name": "own", "trainable": false, "dtype": { "class_name": "DTypePolicy", "config": { "name": "float16" } },
                    "factor": 3, "table": { "a": [1, 2] } }
    })
}

#[test]
fn a_class_of_another_package_is_carried_through_and_named() {
    let model = read(&functional(custom()));
    // The shape is what the next layer states, and that layer is counted.
    assert_eq!(
        model.layer("own").map(|node| node.output_shape.to_string()).as_deref(),
        Some("(None, 6)")
    );
    assert_eq!(model.counts().total, 14);
    let unknown: Vec<&str> = model.unknown_layers().iter().map(|node| node.name.as_str()).collect();
    assert_eq!(unknown, ["own"]);
    let text = model.summary(&SummaryOptions::lecture()).unwrap_or_default();
    assert!(text.contains("? (unknown) │   ?"), "{text}");
    assert!(
        text.ends_with(" Unknown params: own (Scale); not counted above\n"),
        "{text}"
    );
    let row = model.explain().into_iter().find(|row| row.layer == "own");
    assert!(row.is_some_and(|row| format!("{row:?}").contains("unknown")));
}

#[test]
fn every_key_of_a_foreign_layer_is_written_back() {
    let written: Value = serde_json::from_str(&read(&functional(custom())).to_keras_json()).unwrap_or_default();
    let layer = &written["config"]["layers"][1];
    for key in ["module", "class_name", "registered_name", "name"] {
        assert_eq!(layer[key], custom()[key], "{key}");
    }
    assert_eq!(layer["config"], custom()["config"]);
}

#[test]
fn a_foreign_layer_inside_a_nested_model_is_named_too() {
    let inner = json!({ "module": "keras", "class_name": "Sequential", "config": { "name": "inner", "layers": [
        { "module": "keras.layers", "class_name": "InputLayer", "config": { "batch_shape": [null, 4], "name": "x" } },
        custom(),
        { "module": "keras.layers", "class_name": "Dense", "config": { "name": "z", "units": 1 }, "build_config": { "input_shape": [null, 9] } },
    ] } });
    let outer = json!({ "module": "keras", "class_name": "Sequential", "config": { "name": "outer", "layers": [
        { "module": "keras.layers", "class_name": "InputLayer", "config": { "batch_shape": [null, 4], "name": "x" } }, inner ] } });
    let model = read(&outer);
    assert_eq!(model.counts().total, 10); // the Dense layer was built for 9 values
    assert_eq!(model.unknown_layers().len(), 1);
}

#[test]
fn a_lambda_has_no_weights_and_the_shape_that_is_known() {
    let lambda = |more: Value| {
        let mut config =
            json!({ "name": "f", "function": { "class_name": "__lambda__", "config": { "code": "4wEAAA==" } } });
        if let (Some(config), Some(more)) = (config.as_object_mut(), more.as_object()) {
            config.extend(more.clone());
        }
        read(
            &json!({ "class_name": "Sequential", "config": { "name": "m", "layers": [
            { "class_name": "InputLayer", "config": { "batch_shape": [null, 4], "name": "x" } },
            { "module": "keras.layers", "class_name": "Lambda", "config": config } ] } }),
        )
    };
    let printed = |model: &ModelSpec| model.summary(&SummaryOptions::default()).unwrap_or_default();
    let unknown = lambda(json!({}));
    assert!(printed(&unknown).contains("│ ? "), "{}", printed(&unknown));
    assert!(unknown.unknown_layers().is_empty());
    assert_eq!(
        lambda(json!({ "output_shape": [7] })).output_shape().to_string(),
        "(None, 7)"
    );
    let of_keras = json!({ "function": { "module": "keras.ops", "class_name": "function", "config": "relu" } });
    assert_eq!(lambda(of_keras).output_shape().to_string(), "(None, 4)");
}

#[test]
fn a_class_that_keras_does_not_have_is_an_error() {
    let mut wrong = custom();
    wrong["module"] = json!("keras.layers");
    wrong["registered_name"] = Value::Null;
    let error = ModelSpec::from_keras_json(&functional(wrong).to_string()).map_err(|error| error.to_string());
    assert!(
        error
            .as_ref()
            .is_err_and(|text| text.contains("'own'") && text.contains("'Scale'")),
        "{error:?}"
    );
    assert!(Layer::classes().contains(&"StackedRNNCells"));
}
