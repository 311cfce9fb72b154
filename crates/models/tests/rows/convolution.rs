//! Convolutions, poolings and normalizations of one, two and three sides.

use serde_json::{Value, json};

/// Class, configuration and shapes of the inputs without the batch; no shapes stand for a class that is checked elsewhere.
pub(crate) type Row = (&'static str, Value, Vec<&'static [usize]>);

const SEQUENCE: &[usize] = &[7, 4];
const IMAGE: &[usize] = &[5, 4, 2];
const IMAGE_FIRST: &[usize] = &[2, 5, 4];
const VOLUME: &[usize] = &[3, 4, 3, 2];
const VOLUME_FIRST: &[usize] = &[2, 3, 4, 3];

fn random() -> Value {
    json!({"module": "keras.initializers", "class_name": "RandomNormal", "config": {"mean": 0.2, "stddev": 0.5, "seed": null}})
}

/// `options` over what all convolutions share.
fn convolution(options: Value) -> Value {
    let mut config = json!({
        "filters": 4, "activation": "tanh", "use_bias": true, "kernel_initializer": random(), "bias_initializer": random(),
        "depthwise_initializer": random(), "pointwise_initializer": random(), "data_format": "channels_last",
        "padding": "valid",
    });
    for (key, value) in options.as_object().into_iter().flatten() {
        config[key] = value.clone();
    }
    config
}

pub(crate) fn rows() -> Vec<Row> {
    let mut rows = convolutions();
    rows.extend(poolings());
    rows.extend(normalizations());
    rows
}

fn convolutions() -> Vec<Row> {
    let row = |class: &'static str, options: Value, shape: &'static [usize]| (class, convolution(options), vec![shape]);
    let first = "channels_first";
    vec![
        row(
            "Conv1D",
            json!({"kernel_size": [3], "padding": "causal", "dilation_rate": [2]}),
            SEQUENCE,
        ),
        row(
            "Conv1D",
            json!({"kernel_size": [2], "strides": [2], "groups": 2, "padding": "same"}),
            SEQUENCE,
        ),
        row("Conv1D", json!({"kernel_size": [3], "data_format": first}), SEQUENCE),
        row(
            "Conv3D",
            json!({"kernel_size": [2, 3, 1], "strides": [2, 1, 2], "padding": "same", "groups": 2}),
            VOLUME,
        ),
        row(
            "Conv3D",
            json!({"kernel_size": [2, 2, 2], "dilation_rate": [1, 2, 1], "data_format": first}),
            VOLUME_FIRST,
        ),
        row(
            "Conv1DTranspose",
            json!({"kernel_size": [3], "strides": [2], "padding": "same"}),
            SEQUENCE,
        ),
        row(
            "Conv1DTranspose",
            json!({"kernel_size": [2], "strides": [3], "data_format": first}),
            SEQUENCE,
        ),
        row(
            "Conv2DTranspose",
            json!({"kernel_size": [3, 2], "strides": [2, 3], "output_padding": [1, 0]}),
            IMAGE,
        ),
        row(
            "Conv2DTranspose",
            json!({"kernel_size": [2, 3], "dilation_rate": [2, 1], "padding": "same"}),
            IMAGE,
        ),
        row(
            "Conv2DTranspose",
            json!({"kernel_size": [3, 3], "strides": [2, 2], "data_format": first}),
            IMAGE_FIRST,
        ),
        row(
            "Conv3DTranspose",
            json!({"kernel_size": [2, 1, 3], "strides": [1, 2, 2], "padding": "same"}),
            VOLUME,
        ),
        row(
            "Conv3DTranspose",
            json!({"kernel_size": [1, 2, 2], "data_format": first}),
            VOLUME_FIRST,
        ),
        row(
            "DepthwiseConv1D",
            json!({"kernel_size": [3], "depth_multiplier": 2, "padding": "causal"}),
            SEQUENCE,
        ),
        row(
            "DepthwiseConv1D",
            json!({"kernel_size": [2], "strides": [2], "data_format": first}),
            SEQUENCE,
        ),
        row(
            "DepthwiseConv2D",
            json!({"kernel_size": [3, 2], "strides": [2, 1], "padding": "same"}),
            IMAGE,
        ),
        row(
            "DepthwiseConv2D",
            json!({"kernel_size": [2, 2], "depth_multiplier": 3, "data_format": first}),
            IMAGE_FIRST,
        ),
        row(
            "SeparableConv1D",
            json!({"kernel_size": [3], "padding": "same", "depth_multiplier": 2}),
            SEQUENCE,
        ),
        row(
            "SeparableConv1D",
            json!({"kernel_size": [2], "dilation_rate": [2], "data_format": first}),
            SEQUENCE,
        ),
        row(
            "SeparableConv2D",
            json!({"kernel_size": [3, 3], "strides": [2, 2], "padding": "same"}),
            IMAGE,
        ),
        row(
            "SeparableConv2D",
            json!({"kernel_size": [2, 3], "use_bias": false, "data_format": first}),
            IMAGE_FIRST,
        ),
    ]
}

fn poolings() -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    let sides: [([&'static str; 2], &'static [usize], &'static [usize]); 2] = [
        (["MaxPooling1D", "AveragePooling1D"], SEQUENCE, &[2]),
        (["MaxPooling3D", "AveragePooling3D"], VOLUME, &[2, 3, 2]),
    ];
    for (classes, shape, size) in sides {
        for class in classes {
            for (padding, format) in [
                ("valid", "channels_last"),
                ("same", "channels_last"),
                ("same", "channels_first"),
            ] {
                let strides: Vec<usize> = size.iter().map(|size| size - usize::from(padding == "same")).collect();
                let config = json!({"pool_size": size, "strides": strides, "padding": padding, "data_format": format});
                rows.push((class, config, vec![shape]));
            }
        }
    }
    let whole: [(&'static str, &'static [usize]); 4] = [
        ("GlobalMaxPooling1D", SEQUENCE),
        ("GlobalAveragePooling1D", SEQUENCE),
        ("GlobalMaxPooling3D", VOLUME),
        ("GlobalAveragePooling3D", VOLUME),
    ];
    for (class, shape) in whole {
        for (format, keepdims) in [
            ("channels_last", true),
            ("channels_first", true),
            ("channels_first", false),
        ] {
            rows.push((class, json!({"data_format": format, "keepdims": keepdims}), vec![shape]));
        }
    }
    let adaptive: [([&'static str; 2], &'static [usize], &'static [usize]); 3] = [
        (["AdaptiveMaxPooling1D", "AdaptiveAveragePooling1D"], SEQUENCE, &[3]),
        (["AdaptiveMaxPooling2D", "AdaptiveAveragePooling2D"], IMAGE, &[3, 2]),
        (["AdaptiveMaxPooling3D", "AdaptiveAveragePooling3D"], VOLUME, &[2, 3, 4]),
    ];
    for (classes, shape, size) in adaptive {
        for class in classes {
            for format in ["channels_last", "channels_first"] {
                rows.push((class, json!({"output_size": size, "data_format": format}), vec![shape]));
            }
        }
    }
    rows
}

fn normalizations() -> Vec<Row> {
    let scaled = |axis: Value, more: Value| {
        let mut config = json!({
            "axis": axis, "epsilon": 0.01, "center": true, "scale": true, "gamma_initializer": random(),
            "beta_initializer": random(),
        });
        for (key, value) in more.as_object().into_iter().flatten() {
            config[key] = value.clone();
        }
        config
    };
    vec![
        ("LayerNormalization", scaled(json!([-1]), json!({})), vec![IMAGE]),
        (
            "LayerNormalization",
            scaled(json!([1, 3]), json!({"center": false})),
            vec![IMAGE],
        ),
        (
            "LayerNormalization",
            scaled(json!([3, 1]), json!({"scale": false})),
            vec![IMAGE],
        ),
        (
            "GroupNormalization",
            scaled(json!(-1), json!({"groups": 2})),
            vec![SEQUENCE],
        ),
        (
            "GroupNormalization",
            scaled(json!(1), json!({"groups": 1})),
            vec![IMAGE_FIRST],
        ),
        (
            "GroupNormalization",
            scaled(json!(-1), json!({"groups": -1, "scale": false})),
            vec![IMAGE],
        ),
        ("RMSNormalization", json!({"axis": [-1], "epsilon": 0.01}), vec![IMAGE]),
        (
            "RMSNormalization",
            json!({"axis": [2, 1], "epsilon": 0.01}),
            vec![IMAGE],
        ),
        ("UnitNormalization", json!({"axis": -1}), vec![IMAGE]),
        ("UnitNormalization", json!({"axis": [3, 1]}), vec![IMAGE]),
        (
            "Normalization",
            json!({"axis": [-1], "mean": null, "variance": null, "invert": false}),
            vec![IMAGE],
        ),
        (
            "Normalization",
            json!({"axis": [-1], "mean": [1.0, 2.0], "variance": [4.0, 0.25], "invert": true}),
            vec![IMAGE],
        ),
        (
            "Normalization",
            json!({"axis": null, "mean": 1.0, "variance": 4.0, "invert": false}),
            vec![IMAGE],
        ),
        // Training replaces its kernel: what it computes has no derivative by differences.
        (
            "SpectralNormalization",
            json!({"layer": {"class_name": "Dense", "config": {"name": "dense", "units": 2}}, "power_iterations": 1}),
            vec![],
        ),
    ]
}
