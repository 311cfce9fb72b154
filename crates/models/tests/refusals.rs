//! What a description may say but the running network does not compute: refused when the network is built, by the names of
//! layer and option, never computed without it.

use candle_core::{DType, Device, Tensor};
use kernels::random::Stream;
use models::{Error, Mode, Network};
use nn_theory::{GroupQueryAttention, ModelSpec, MultiHeadAttention, NamedLayer, Shape};
use serde_json::{Value, json};

const STEPS: u64 = 4;
const FEATURES: u64 = 6;

fn tensor(layer: &str) -> Value {
    let config = json!({ "shape": [null, STEPS, FEATURES], "dtype": "float32", "keras_history": [layer, 0, 0] });
    json!({ "class_name": "__keras_tensor__", "config": config })
}

/// A model with the inputs `a` and `b` of four steps of six features, and one layer called on what `call` says.
fn model(mut layer: Value, call: Value) -> Result<ModelSpec, nn_theory::Error> {
    let input = |name: &str| {
        json!({
            "module": "keras.layers", "class_name": "InputLayer", "registered_name": null, "name": name, "inbound_nodes": [],
            "config": { "batch_shape": [null, STEPS, FEATURES], "dtype": "float32", "name": name }
        })
    };
    layer["config"]["name"] = json!("tested");
    layer["name"] = json!("tested");
    layer["inbound_nodes"] = json!([call]);
    let config = json!({
        "name": "refused", "layers": [input("a"), input("b"), layer],
        "input_layers": [["a", 0, 0], ["b", 0, 0]], "output_layers": [["tested", 0, 0]]
    });
    ModelSpec::from_keras_json(&json!({ "class_name": "Functional", "config": config }).to_string())
}

fn layer(class: &str, config: Value) -> Value {
    json!({ "module": "keras.layers", "class_name": class, "config": config, "registered_name": null })
}

fn on_a() -> Value {
    json!({ "args": [tensor("a")], "kwargs": {} })
}

#[track_caller]
fn error(spec: Result<ModelSpec, nn_theory::Error>) -> Error {
    let spec = spec.expect("a description that is read");
    match Network::new(spec, 1, &Device::Cpu, DType::F32) {
        Err(error) => error,
        Ok(_) => panic!("built"),
    }
}

/// The option and what was found.
#[track_caller]
fn refused(spec: Result<ModelSpec, nn_theory::Error>) -> (&'static str, String) {
    match error(spec) {
        Error::LayerOption {
            layer, option, found, ..
        } => {
            assert!(layer == "tested" || layer.starts_with("tested/"), "{layer}");
            (option, found)
        }
        other => panic!("{other}"),
    }
}

fn quantized(class: &str, mode: &str) -> Value {
    json!({
        "module": "keras.dtype_policies", "class_name": class, "registered_name": null,
        "config": { "mode": mode, "source_name": "float32" }
    })
}

#[test]
fn quantized_weights_are_refused() {
    for (class, mode) in [
        ("QuantizedDTypePolicy", "int8"),
        ("Int4DTypePolicy", "int4/128"),
        ("QuantizedFloat8DTypePolicy", "float8"),
        ("GPTQDTypePolicy", "gptq/4/128"),
        ("AWQDTypePolicy", "awq/4/128"),
    ] {
        let policy = quantized(class, mode);
        let dense = layer("Dense", json!({ "units": 2, "dtype": policy }));
        assert_eq!(refused(model(dense, on_a())), ("dtype", mode.to_string()));
    }
    let short = layer("Dense", json!({ "units": 2, "dtype": "int8_from_float32" }));
    assert_eq!(refused(model(short, on_a())), ("dtype", "int8".to_string()));
}

#[test]
fn quantized_weights_inside_of_wrappers_are_refused() {
    let dense = layer(
        "Dense",
        json!({ "name": "inside", "units": 2, "dtype": quantized("QuantizedDTypePolicy", "int8") }),
    );
    for class in ["TimeDistributed", "SpectralNormalization"] {
        let wrapper = layer(class, json!({ "layer": dense }));
        assert_eq!(
            refused(model(wrapper, on_a())),
            ("dtype", "int8".to_string()),
            "{class}"
        );
    }
}

#[test]
fn policies_of_inner_layers_are_refused() {
    let map = |policies: Value| {
        json!({
            "module": "keras.dtype_policies", "class_name": "DTypePolicyMap", "registered_name": null,
            "config": { "default_policy": "float32", "policy_map": policies }
        })
    };
    let heads = |policies| layer("Dense", json!({ "units": 2, "dtype": map(policies) }));
    let one = json!({ "tested/query": quantized("QuantizedDTypePolicy", "int8") });
    let (option, found) = refused(model(heads(one), on_a()));
    assert_eq!((option, found.as_str()), ("dtype", "DTypePolicyMap"));
    let spec = model(heads(json!({})), on_a()).unwrap();
    assert!(Network::new(spec, 1, &Device::Cpu, DType::F32).is_ok());
}

#[test]
fn low_rank_adaptations_are_refused() {
    let dense = layer("Dense", json!({ "units": 2, "lora_rank": 4, "lora_alpha": 4 }));
    assert_eq!(refused(model(dense, on_a())), ("lora_rank", "4".to_string()));
    let inside = layer("Dense", json!({ "name": "inside", "units": 2, "lora_rank": 4 }));
    for class in ["TimeDistributed", "SpectralNormalization"] {
        let wrapper = layer(class, json!({ "layer": inside }));
        assert_eq!(refused(model(wrapper, on_a())).0, "lora_rank", "{class}");
    }
    let usual = layer("Dense", json!({ "units": 2, "quantization_config": null }));
    assert!(Network::new(model(usual, on_a()).unwrap(), 1, &Device::Cpu, DType::F32).is_ok());
    let calibrated = layer("Dense", json!({ "units": 2, "quantization_config": { "bits": 4 } }));
    assert_eq!(refused(model(calibrated, on_a())).0, "quantization_config");
}

#[test]
fn batch_renormalization_is_refused() {
    let norm = layer("BatchNormalization", json!({ "renorm": true }));
    assert_eq!(refused(model(norm, on_a())), ("renorm", "true".to_string()));
}

#[test]
fn arguments_of_a_call_that_change_what_is_computed_are_refused() {
    let attention = || layer("MultiHeadAttention", json!({ "num_heads": 2, "key_dim": 3 }));
    let plain = || layer("Attention", json!({}));
    let memory = || layer("LSTM", json!({ "units": 3 }));
    let (a, b) = (|| tensor("a"), || tensor("b"));
    let rows = [
        (
            attention(),
            json!({ "args": [a(), b()], "kwargs": { "return_attention_scores": true } }),
        ),
        (
            attention(),
            json!({ "args": [a(), b()], "kwargs": { "attention_mask": b() } }),
        ),
        (
            attention(),
            json!({ "args": [a(), b()], "kwargs": { "value_mask": b() } }),
        ),
        (attention(), json!({ "args": [a(), b(), b(), b()], "kwargs": {} })),
        (
            attention(),
            json!({ "args": [a()], "kwargs": { "key": b(), "value": b() } }),
        ),
        (
            plain(),
            json!({ "args": [[a(), b()]], "kwargs": { "mask": [a(), null] } }),
        ),
        (plain(), json!({ "args": [[a(), b()], [a(), b()]], "kwargs": {} })),
        (
            plain(),
            json!({ "args": [[a(), b()]], "kwargs": { "return_attention_scores": true } }),
        ),
        (memory(), json!({ "args": [a()], "kwargs": { "mask": b() } })),
        (memory(), json!({ "args": [a(), null, b()], "kwargs": {} })),
        (
            layer("Dropout", json!({ "rate": 0.5 })),
            json!({ "args": [a(), true], "kwargs": {} }),
        ),
        (
            layer("Dropout", json!({ "rate": 0.5 })),
            json!({ "args": [a()], "kwargs": { "training": true } }),
        ),
        (layer("Softmax", json!({})), json!({ "args": [a(), b()], "kwargs": {} })),
        (
            layer("BatchNormalization", json!({})),
            json!({ "args": [a(), false, b()], "kwargs": {} }),
        ),
    ];
    let mut read = 0;
    for (layer, call) in &rows {
        // Some of these calls are none for the description either, which is said when it is read.
        if let Ok(spec) = model(layer.clone(), call.clone()) {
            assert_eq!(refused(Ok(spec)).0, "an argument of its call", "{call}");
            read += 1;
        }
    }
    assert!(2 * read > rows.len(), "only {read} of {} calls were read", rows.len());
}

#[test]
fn options_of_operations_that_are_not_computed_are_refused() {
    let operation = |class: &str, config: Value| json!({ "module": "keras.src.ops.numpy", "class_name": class, "config": config, "registered_name": class });
    let rows = [
        (operation("Softmax", json!({ "axis": [1, 2] })), on_a(), "axis"),
        (
            operation("Max", json!({ "axis": 1, "initial": 3.0 })),
            on_a(),
            "initial",
        ),
        (
            operation("Mean", json!({})),
            json!({ "args": [tensor("a")], "kwargs": { "axis": 1 } }),
            "an argument",
        ),
        (operation("Erf", json!({})), on_a(), "the operation"),
    ];
    for (operation, call, option) in rows {
        assert_eq!(refused(model(operation, call)).0, option);
    }
}

#[test]
fn classes_without_a_computation_are_refused_by_name() {
    let cell = layer("LSTMCell", json!({ "name": "cell", "units": 2 }));
    let function = json!({ "module": "builtins", "class_name": "function", "config": "relu", "registered_name": null });
    let rows = [
        (
            layer("ReversibleEmbedding", json!({ "input_dim": 5, "output_dim": 6 })),
            "ReversibleEmbedding",
        ),
        (layer("RNN", json!({ "cell": cell })), "RNN"),
        (layer("Lambda", json!({ "function": function })), "Lambda"),
        (layer("StringLookup", json!({ "vocabulary": ["a"] })), "StringLookup"),
        (layer("Hashing", json!({ "num_bins": 3 })), "Hashing"),
        (
            layer("StochasticDepth", json!({ "drop_path_rate": 0.1 })),
            "StochasticDepth",
        ),
        (
            json!({ "module": "shop", "class_name": "Scale", "config": {}, "registered_name": "shop>Scale" }),
            "Scale",
        ),
        // A foreign class with the name of one that runs.
        (
            json!({ "module": "shop", "class_name": "Dense", "config": { "units": 2 }, "registered_name": "shop>Dense" }),
            "Dense",
        ),
    ];
    for (layer, expected) in rows {
        match error(model(layer, on_a())) {
            Error::Layer { layer, class } => assert_eq!((layer.as_str(), class.as_str()), ("tested", expected)),
            other => panic!("{expected}: {other}"),
        }
    }
    let reversed = layer("ReversibleEmbedding", json!({ "input_dim": 5, "output_dim": 6 }));
    let call = json!({ "args": [tensor("a")], "kwargs": { "reverse": true } });
    assert_eq!(refused(model(reversed, call)).0, "an argument of its call");
}

fn attention(layer: impl Into<NamedLayer>) -> Network {
    let mut graph = ModelSpec::functional("attention");
    let x = graph
        .input_named("x", Shape(vec![Some(STEPS), Some(FEATURES)]))
        .unwrap();
    let y = graph.layer(layer.into().name("heads"), [x, x]).unwrap();
    Network::new(graph.build([x], [y]).unwrap(), 3, &Device::Cpu, DType::F64).unwrap()
}

fn set(network: &Network, name: &str, value: &Tensor) {
    network
        .weight(&format!("heads/{name}"))
        .unwrap()
        .var
        .set(value)
        .unwrap();
}

fn near(a: &Tensor, b: &Tensor) {
    let difference = (a - b).unwrap().abs().unwrap().max_all().unwrap();
    assert!(difference.to_scalar::<f64>().unwrap() < 1e-12, "{difference}");
}

/// `keras.layers.MultiHeadAttention(use_gate=True)`: the heads' outputs times `sigmoid(x G + g)`, before the projection.
#[test]
fn a_gate_scales_what_passes_of_each_head() {
    let rows: [(NamedLayer, NamedLayer); 2] = [
        (
            MultiHeadAttention::new(2, 3).into(),
            MultiHeadAttention::new(2, 3).use_gate(true).into(),
        ),
        (
            GroupQueryAttention::new(3, 2, 1).into(),
            GroupQueryAttention::new(3, 2, 1).use_gate(true).into(),
        ),
    ];
    for (plain, gated) in rows {
        let (plain, gated) = (attention(plain), attention(gated));
        for weight in plain.weights() {
            let name = weight.path.strip_prefix("heads/").unwrap();
            set(&gated, name, weight.var.as_tensor());
        }
        let mut draws = Stream::new(5).op("x").draws();
        let numbers: Vec<f64> = (0..2 * STEPS * FEATURES).map(|_| draws.normal()).collect();
        let x = Tensor::from_vec(numbers, (2, STEPS as usize, FEATURES as usize), &Device::Cpu).unwrap();
        let run = |network: &Network| network.forward(&x, Mode::Inference).unwrap();
        let kernel = gated
            .weight("heads/gate/kernel")
            .unwrap()
            .var
            .as_tensor()
            .copy()
            .unwrap();
        // With a kernel of zeros every gate is sigmoid(g): an open gate, a half-open one, one head alone.
        set(&gated, "gate/kernel", &kernel.zeros_like().unwrap());
        let gates = |first: f64, second: f64| {
            let rows = [[first; 3], [second; 3]];
            set(&gated, "gate/bias", &Tensor::new(&rows, &Device::Cpu).unwrap());
            run(&gated)
        };
        near(&gates(1e3, 1e3), &run(&plain));
        near(&gates(0.0, 0.0), &(run(&plain) * 0.5).unwrap());
        let halves = (gates(1e3, -1e3) + gates(-1e3, 1e3)).unwrap();
        near(&halves, &run(&plain));
        // With a kernel the gate depends on the query.
        set(&gated, "gate/kernel", &kernel);
        let open = gates(0.0, 0.0);
        let whole = (open - (run(&plain) * 0.5).unwrap()).unwrap().abs().unwrap();
        assert!(whole.max_all().unwrap().to_scalar::<f64>().unwrap() > 1e-6);
    }
}
