//! Properties of shapes, counts and configurations for random networks.

use nn_theory::{
    AveragePooling2D, BatchNormalization, Conv2D, Dense, Flatten, GlobalAveragePooling2D, Layer, MaxPooling2D,
    ModelSpec, NamedLayer, Padding, Shape, SummaryOptions, convolution::Axis, memory_size, with_separators,
};
use proptest::prelude::*;

/// Where a kernel can be put, counted one by one: the definition, without a formula.
fn places(axis: Axis, before: u64, after: u64) -> u64 {
    let length = before + axis.input + after;
    let last = |start: u64| start + (axis.kernel - 1) * axis.dilation;
    (0..length)
        .step_by(axis.stride as usize)
        .filter(|&start| last(start) < length)
        .count() as u64
}

fn padding() -> impl Strategy<Value = Padding> {
    prop_oneof![Just(Padding::Valid), Just(Padding::Same)]
}

fn image_layer() -> impl Strategy<Value = NamedLayer> {
    let kernel = || (1usize..4, 1usize..4).prop_map(|(a, b)| [a, b]);
    prop_oneof![
        (1usize..5, kernel(), kernel(), padding(), any::<bool>()).prop_map(
            |(filters, kernel, strides, padding, bias)| {
                Conv2D::new(filters, kernel)
                    .strides(strides)
                    .padding(padding)
                    .use_bias(bias)
                    .into()
            }
        ),
        (kernel(), padding()).prop_map(|(pool, padding)| MaxPooling2D::new(pool).padding(padding).into()),
        (kernel(), padding()).prop_map(|(pool, padding)| AveragePooling2D::new(pool).padding(padding).into()),
        any::<bool>().prop_map(|scale| BatchNormalization::new().scale(scale).into()),
        any::<bool>().prop_map(|trainable| BatchNormalization::new().trainable(trainable)),
    ]
}

fn model() -> impl Strategy<Value = ModelSpec> {
    let head = prop_oneof![
        Just(NamedLayer::from(Flatten::new())),
        Just(NamedLayer::from(GlobalAveragePooling2D::new()))
    ];
    (
        1u64..24,
        1u64..24,
        1u64..4,
        prop::collection::vec(image_layer(), 0..6),
        head,
        1usize..20,
    )
        .prop_filter_map(
            "a kernel does not fit",
            |(height, width, channels, layers, head, units)| {
                let stack = ModelSpec::sequential("random").input([height, width, channels]);
                layers
                    .into_iter()
                    .fold(stack, |stack, layer| stack.layer(layer))
                    .layer(head)
                    .layer(Dense::new(units))
                    .build()
                    .ok()
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn output_sizes_are_the_number_of_places(input in 0u64..40, kernel in 1u64..8, stride in 1u64..6, dilation in 1u64..4) {
        let axis = Axis { input, kernel, stride, dilation };
        prop_assert_eq!(axis.output(Padding::Valid), Some(places(axis, 0, 0)));
        let (before, after) = axis.padding(Padding::Same).unwrap_or_default();
        // The odd zero goes behind the values.
        prop_assert!(after == before || after == before + 1);
        if input > 0 {
            prop_assert_eq!(axis.output(Padding::Same), Some(places(axis, before, after)));
            prop_assert_eq!(axis.output(Padding::Same), Some(input.div_ceil(stride)));
        }
        let (before, after) = axis.padding(Padding::Causal).unwrap_or_default();
        prop_assert_eq!(after, 0);
        prop_assert_eq!(axis.output(Padding::Causal), Some(places(axis, before, after)));
    }

    #[test]
    fn a_transposed_convolution_undoes_the_size(input in 1u64..40, kernel in 1u64..8, stride in 1u64..6) {
        // A convolution of the result is as large as the input was.
        let axis = Axis { input, kernel, stride, dilation: 1 };
        for padding in [Padding::Valid, Padding::Same] {
            let back = Axis { input: axis.transposed_output(padding, None).unwrap_or(0), ..axis };
            prop_assert_eq!(back.output(padding), Some(input));
        }
    }

    #[test]
    fn formulas_weights_and_counts_agree(model in model()) {
        let counts = model.counts();
        let weights = model.weights();
        prop_assert_eq!(counts.total, weights.iter().map(|weight| weight.count()).sum::<u64>());
        prop_assert_eq!(counts.total, counts.trainable + counts.non_trainable);
        prop_assert_eq!(counts.total_bytes, 4 * counts.total);
        for row in model.explain() {
            let of_layer: u64 = weights.iter().filter(|weight| weight.layer == row.layer).map(|weight| weight.count()).sum();
            prop_assert_eq!(row.params, of_layer);
            prop_assert!(row.formula.ends_with(&with_separators(row.params)), "{}", row.formula);
            for (_, _, count) in &row.weights {
                prop_assert!(*count <= row.params);
            }
        }
        for weight in &weights {
            prop_assert_eq!(weight.count(), weight.shape.iter().product::<u64>());
        }
    }

    #[test]
    fn a_model_written_and_read_is_the_same(model in model()) {
        let again = ModelSpec::from_keras_json(&model.to_keras_json());
        let again = again.map_err(|error| TestCaseError::fail(error.to_string()))?;
        for options in [SummaryOptions::default(), SummaryOptions::lecture()] {
            prop_assert_eq!(again.summary(&options), model.summary(&options));
        }
        prop_assert_eq!(again.weights(), model.weights());
        let graph = model.into_functional();
        let again = ModelSpec::from_keras_json(&graph.to_keras_json());
        let again = again.map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!(again.summary(&SummaryOptions::lecture()), graph.summary(&SummaryOptions::lecture()));
    }

    #[test]
    fn every_line_of_a_summary_has_the_width_asked_for(model in model(), width in 60usize..160, trainable in any::<bool>()) {
        let options = SummaryOptions { line_length: Some(width), show_trainable: trainable, ..SummaryOptions::default() };
        let text = model.summary(&options).map_err(|error| TestCaseError::fail(error.to_string()))?;
        for line in text.lines().filter(|line| !line.starts_with([' ', 'M'])) {
            prop_assert_eq!(line.chars().count(), width, "{}", line);
        }
    }

    #[test]
    fn free_dimensions_stay_free(layer in image_layer(), height in 1u64..20) {
        let named = layer;
        let free = ModelSpec::sequential("free").input([None, Some(20), Some(3)]).layer(named.clone()).build();
        let full = ModelSpec::sequential("full").input([height, 20, 3]).layer(named).build();
        if let (Ok(free), Ok(full)) = (free, full) {
            prop_assert_eq!(free.output_shape().dims()[1], None);
            prop_assert!(free.output_shape().is_compatible(&full.output_shape()));
            prop_assert_eq!(free.counts(), full.counts());
        }
    }

    #[test]
    fn numbers_keep_their_digits(number in any::<u64>()) {
        prop_assert_eq!(with_separators(number).replace(',', ""), number.to_string());
        prop_assert!(memory_size(number).ends_with('B'));
    }
}

#[test]
fn multiply_adds_are_those_of_the_literature() -> nn_theory::Result<()> {
    // He et al., 2016, first layer of ResNet-50: 7x7x3 kernel, 64 filters, 112x112 places.
    let layer = Layer::from(Conv2D::new(64, [7, 7]).strides([2, 2]).padding(Padding::Same));
    let cost = layer.multiply_adds(&[Shape::batched([224, 224, 3])])?;
    assert_eq!(cost.map(|cost| cost.value()), Some(118_013_952));
    let layer = Layer::from(Dense::new(10));
    assert_eq!(
        layer
            .multiply_adds(&[Shape::batched([512])])?
            .map(|cost| cost.to_string())
            .as_deref(),
        Some("512 × 10 = 5,120")
    );
    Ok(())
}

#[test]
fn a_deep_network_takes_time_in_proportion_to_its_layers() -> nn_theory::Result<()> {
    let mut graph = ModelSpec::functional("deep");
    let input = graph.input([8])?;
    let mut x = input;
    for _ in 0..2_000 {
        let y = graph.layer(Dense::new(8), x)?;
        x = graph.layer(nn_theory::Add::new(), [x, y])?;
    }
    let model = graph.build(input, x)?;
    assert_eq!(model.counts().total, 2_000 * 72);
    let again = ModelSpec::from_keras_json(&model.to_keras_json())?;
    assert_eq!(
        again.summary(&SummaryOptions::lecture())?,
        model.summary(&SummaryOptions::lecture())?
    );
    Ok(())
}

#[test]
fn a_configuration_of_keras_2_is_understood() -> nn_theory::Result<()> {
    let text = r#"{"class_name": "Sequential", "config": {"name": "old", "layers": [
        {"class_name": "Dense", "config": {"name": "first", "batch_input_shape": [null, 4], "units": 3, "dtype": "float32"}},
        {"class_name": "LeakyReLU", "config": {"name": "slope", "alpha": 0.1}}]}}"#;
    let model = ModelSpec::from_keras_json(text)?;
    assert_eq!(
        (model.counts().total, model.output_shape().to_string()),
        (15, "(None, 3)".to_owned())
    );
    assert!(matches!(&model.nodes()[2].layer, Layer::LeakyReLU(layer) if layer.negative_slope == 0.1));
    let graph = r#"{"class_name": "Functional", "config": {"name": "old", "layers": [
        {"class_name": "InputLayer", "config": {"batch_input_shape": [null, 4], "name": "x"}, "name": "x", "inbound_nodes": []},
        {"class_name": "Dense", "config": {"name": "y", "units": 2}, "name": "y", "inbound_nodes": [[["x", 0, 0, {}]]]}],
        "input_layers": [["x", 0, 0]], "output_layers": [["y", 0, 0]]}}"#;
    assert_eq!(ModelSpec::from_keras_json(graph)?.counts().total, 10);
    Ok(())
}
