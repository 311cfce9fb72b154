//! The retraced numbers of the lecture's models, as a reader sees them.

use nn_theory::{
    Activation, BatchNormalization, Conv2D, DType, DTypePolicy, Dense, Dropout, Error, Flatten, MaxPooling2D,
    ModelSpec, NamedLayer, Padding, RowExplanation, SummaryOptions,
};

fn first_network() -> Result<ModelSpec, Error> {
    let stack = ModelSpec::sequential("cats_vs_dogs").input_named("Input", [1024]);
    let stack = stack.layer(Dense::new(2).activation(Activation::Tanh).name("H01"));
    Ok(stack.layer(Dense::new(2).name("H02")).build()?.into_functional())
}

fn first_cnn() -> Result<ModelSpec, Error> {
    ModelSpec::sequential("first_cnn")
        .input([32, 32, 1])
        .layer(
            Conv2D::new(8, [5, 5])
                .padding(Padding::Same)
                .activation(Activation::Relu),
        )
        .layer(MaxPooling2D::new([2, 2]))
        .layer(Dropout::new(0.2))
        .layer(Flatten::new())
        .layer(Dense::new(2))
        .build()
}

#[track_caller]
fn check(row: &RowExplanation, layer: &str, shape: &str, formula: &str, symbols: &str) {
    let found = [&row.layer, &row.output_shape, &row.formula, &row.symbols];
    assert_eq!(found, [layer, shape, formula, symbols]);
}

#[test]
fn the_first_network_is_retraced() -> Result<(), Error> {
    let model = first_network()?;
    let rows = model.explain();
    check(&rows[0], "Input", "(None, 1024)", "0", "0");
    check(
        &rows[1],
        "H01",
        "(None, 2)",
        "(1024 + 1) × 2 = 2,050",
        "(inputs + 1) × units",
    );
    check(&rows[2], "H02", "(None, 2)", "(2 + 1) × 2 = 6", "(inputs + 1) × units");
    assert_eq!(rows[1].latex, r"(1024 + 1) \cdot 2 = 2{,}050");
    assert_eq!(rows[1].latex_symbols, r"(\text{inputs} + 1) \cdot \text{units}");
    assert_eq!(rows[1].weights[0], ("kernel".to_owned(), "(1024, 2)".to_owned(), 2048));
    assert_eq!(rows[1].multiply_adds, "1024 × 2 = 2,048");
    let values: Vec<(String, u64)> = rows[1]
        .terms
        .iter()
        .map(|term| (term.symbol.clone(), term.value))
        .collect();
    assert_eq!(
        values,
        [
            ("inputs".to_owned(), 1024),
            ("1".to_owned(), 1),
            ("units".to_owned(), 2)
        ]
    );
    assert_eq!(
        rows[2].shape_meaning,
        "None: any number of samples, as many as a batch brings; 2 values each."
    );
    Ok(())
}

#[test]
fn the_first_cnn_is_retraced() -> Result<(), Error> {
    let rows = first_cnn()?.explain();
    let convolution = "(kernel_height × kernel_width × channels + 1) × filters";
    check(
        &rows[0],
        "conv2d",
        "(None, 32, 32, 8)",
        "(5 × 5 × 1 + 1) × 8 = 208",
        convolution,
    );
    check(
        &rows[4],
        "dense",
        "(None, 2)",
        "(2048 + 1) × 2 = 4,098",
        "(inputs + 1) × units",
    );
    assert!(
        rows[0]
            .shape_meaning
            .ends_with("each an image of 32 rows, 32 columns and 8 channels.")
    );
    assert!(rows[1].meaning.contains("without weights"));
    Ok(())
}

#[test]
fn the_bytes_give_away_the_number_format() -> Result<(), Error> {
    let format = first_network()?.number_format();
    assert_eq!(
        (format.parameters, format.bytes, format.bytes_per_parameter),
        (2056, 8224, Some(4))
    );
    assert_eq!(
        format.deduction,
        "8.03 KB = 8,224 bytes; 8,224 bytes / 2,056 parameters = 4 bytes (32 bits) a parameter: float32."
    );
    let half = DTypePolicy::uniform(DType::Float16);
    let model = ModelSpec::sequential("half")
        .input([8])
        .layer(NamedLayer::from(Dense::new(2)).dtype(half))
        .build()?;
    assert_eq!(
        model.number_format().candidates,
        [DType::Float16, DType::BFloat16, DType::Int16]
    );
    let mixed = ModelSpec::sequential("mixed")
        .input([8])
        .layer(NamedLayer::from(Dense::new(3)).dtype(half));
    let mixed = mixed.layer(Dense::new(2)).build()?.number_format();
    assert!(
        mixed.candidates.is_empty() && mixed.deduction.contains("float16 and float32"),
        "{}",
        mixed.deduction
    );
    Ok(())
}

#[test]
fn batch_normalization_counts_two_weights_that_training_leaves_alone() -> Result<(), Error> {
    let model = ModelSpec::sequential("model")
        .input([8])
        .layer(BatchNormalization::new())
        .build()?;
    let row = &model.explain()[0];
    assert_eq!(row.formula, "4 × 8 = 32");
    assert_eq!((model.counts().trainable, model.counts().non_trainable), (16, 16));
    Ok(())
}

#[test]
fn a_builder_prints_what_keras_prints() -> Result<(), Error> {
    let expected = include_str!("golden/summary/cats_vs_dogs.summary.txt");
    assert_eq!(first_network()?.summary(&SummaryOptions::lecture())?, expected);
    Ok(())
}

#[test]
fn a_shared_model_counts_once() -> Result<(), Error> {
    let mut graph = ModelSpec::functional("siamese");
    let (left, right) = (graph.input_named("left", [16])?, graph.input_named("right", [16])?);
    let encoder = ModelSpec::sequential("encoder")
        .input([16])
        .layer(Dense::new(4))
        .build()?;
    let first = graph.layer(encoder, left)?;
    let second = graph.again(first, right)?;
    let joined = graph.layer(nn_theory::Subtract::new(), [first, second])?;
    let model = graph.build([left, right], joined)?;
    assert_eq!(model.counts().total, 68);
    assert_eq!(model.weights()[0].path, "encoder/dense/kernel");
    let summary = model.summary(&SummaryOptions::lecture())?;
    assert!(
        summary.contains("left[0][0],") && summary.contains("encoder[1][0]"),
        "{summary}"
    );
    let again = ModelSpec::from_keras_json(&model.to_keras_json())?;
    assert_eq!(again.summary(&SummaryOptions::lecture())?, summary);
    Ok(())
}

#[test]
fn shapes_are_put_into_words_in_both_data_formats() -> Result<(), Error> {
    use nn_theory::{Conv1D, Conv3D, DataFormat};
    let first = DataFormat::ChannelsFirst;
    let says = |model: ModelSpec, what: &str| {
        let row = &model.explain()[0];
        assert!(row.shape_meaning.ends_with(what), "{}", row.shape_meaning);
    };
    let sequence = "each a sequence of 9 steps of 5 values.";
    let stack = |input: &[u64], layer: NamedLayer| ModelSpec::sequential("m").input(input).layer(layer).build();
    says(stack(&[10, 2], Conv1D::new(5, [2]).into())?, sequence);
    says(
        stack(&[2, 10], Conv1D::new(5, [2]).data_format(first).into())?,
        sequence,
    );
    let volume = "each a volume of 3 slices of 4 rows and 5 columns, with 7 channels.";
    says(stack(&[3, 4, 5, 2], Conv3D::new(7, [1, 1, 1]).into())?, volume);
    says(
        stack(&[2, 3, 4, 5], Conv3D::new(7, [1, 1, 1]).data_format(first).into())?,
        volume,
    );
    Ok(())
}
