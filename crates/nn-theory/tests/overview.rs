//! The figures of known models in all forms.

use nn_theory::{
    BatchNormalization, Conv2D, DType, DTypePolicy, Dense, Error, Flatten, MaxPooling2D, ModelSpec, NamedLayer, Padding,
};

fn small() -> Result<ModelSpec, Error> {
    ModelSpec::sequential("small")
        .input([28, 28, 1])
        .layer(Conv2D::new(8, [5, 5]).padding(Padding::Same))
        .layer(MaxPooling2D::new([2, 2]))
        .layer(BatchNormalization::new().trainable(false))
        .layer(Flatten::new())
        .layer(Dense::new(10))
        .build()
}

#[test]
fn a_table_like_torchinfo() -> Result<(), Error> {
    let text = small()?.overview(4)?.torchinfo();
    let expected = "\
========================================================================================================================
Layer (type (name):depth-idx)                     Input Shape      Output Shape     Kernel Shape  Param #  Mult-Adds
========================================================================================================================
Sequential (small)                                [4, 28, 28, 1]   --               --            --       --
├─InputLayer (input_layer): 1-1                   --               [4, 28, 28, 1]   --            --       --
├─Conv2D (conv2d): 1-2                            [4, 28, 28, 1]   [4, 28, 28, 8]   [5, 5]        208      627,200
├─MaxPooling2D (max_pooling2d): 1-3               [4, 28, 28, 8]   [4, 14, 14, 8]   [2, 2]        --       --
├─BatchNormalization (batch_normalization): 1-4   [4, 14, 14, 8]   [4, 14, 14, 8]   --            (32)     6,272
├─Flatten (flatten): 1-5                          [4, 14, 14, 8]   [4, 1568]        --            --       --
└─Dense (dense): 1-6                              [4, 1568]        [4, 10]          --            15,690   62,720
========================================================================================================================
Total params: 15,930
Trainable params: 15,898
Non-trainable params: 32
Total mult-adds (K): 696.19
========================================================================================================================
Batch size: 4
Input size (MB): 0.01
Forward/backward pass size (MB): 0.35
Params size (MB): 0.06
Estimated Total Size (MB): 0.43
========================================================================================================================
";
    // Widths follow the contents; what counts is that every cell is there in its place.
    let squeezed = |text: &str| -> Vec<String> {
        let words = text.lines().filter(|line| !line.starts_with('='));
        words
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect()
    };
    assert_eq!(squeezed(&text), squeezed(expected), "\n{text}");
    let widths: Vec<usize> = text
        .lines()
        .filter(|line| line.starts_with('='))
        .map(str::len)
        .collect();
    assert!(widths.windows(2).all(|pair| pair[0] == pair[1]));
    assert!(text.lines().all(|line| line.chars().count() <= widths[0]));
    Ok(())
}

#[test]
fn nested_and_shared_models() -> Result<(), Error> {
    let encoder = ModelSpec::sequential("encoder")
        .input([16])
        .layer(Dense::new(8))
        .layer(Dense::new(4))
        .build()?;
    let mut graph = ModelSpec::functional("siamese");
    let (left, right) = (graph.input_named("left", [16])?, graph.input_named("right", [16])?);
    let first = graph.layer(encoder, left)?;
    let second = graph.again(first, right)?;
    let joined = graph.layer(nn_theory::Subtract::new(), [first, second])?;
    let model = graph.build([left, right], joined)?;
    let overview = model.overview(1)?;
    assert_eq!(overview.totals.counts.total, 16 * 8 + 8 + 8 * 4 + 4);
    // Each call does the work and stores its outputs anew.
    assert_eq!(overview.totals.multiply_adds, 2 * (16 * 8 + 8 * 4));
    assert_eq!(overview.totals.forward_backward_bytes, 2 * 4 * (2 * (8 + 4) + 4));
    assert_eq!(overview.totals.input_bytes, 2 * 4 * 16);
    let text = overview.torchinfo();
    assert!(
        text.contains("│  └─Dense (dense_1): 2-3") && text.contains("(recursive)"),
        "{text}"
    );
    assert!(text.contains("└─Subtract (subtract): 1-5"), "{text}");
    assert!(
        overview
            .markdown()
            .contains("| `encoder` (again) | Sequential | (1, 4) | 0 | yes | 160 |"),
        "{}",
        overview.markdown()
    );
    Ok(())
}

#[test]
fn json_has_every_figure() -> Result<(), Error> {
    let json = small()?.overview(1)?.json();
    assert_eq!(json["rows"][1]["kernel_size"], serde_json::json!([5, 5]));
    assert_eq!(json["rows"][1]["output_shapes"], serde_json::json!([[1, 28, 28, 8]]));
    assert_eq!(json["totals"]["counts"]["total"], 15_930);
    assert_eq!(json["totals"]["incomplete"], false);
    Ok(())
}

#[test]
fn free_dimensions_formats_and_overflows() -> Result<(), Error> {
    let free = ModelSpec::sequential("free")
        .input([None, Some(3)])
        .layer(Dense::new(2))
        .build()?;
    let overview = free.overview(1)?;
    assert!(overview.totals.incomplete && overview.torchinfo().contains("Free dimensions"));
    let half = DTypePolicy::uniform(DType::Float16);
    let layer = NamedLayer::from(Dense::new(2)).dtype(half);
    let model = ModelSpec::sequential("half").input([4]).layer(layer).build()?;
    assert_eq!(model.overview(3)?.totals.forward_backward_bytes, 2 * 2 * 2 * 3);
    assert!(matches!(model.overview(u64::MAX), Err(Error::TooLarge { .. })));
    let unbuilt = ModelSpec::sequential("unbuilt").layer(Dense::new(2)).build()?;
    assert!(unbuilt.overview(1)?.torchinfo().contains("└─Dense (dense): 1-1"));
    Ok(())
}

#[test]
fn names_stay_in_their_cells() -> Result<(), Error> {
    let model = ModelSpec::sequential("a|b`c\n")
        .input([2])
        .layer(Dense::new(2).name("x|y"))
        .build()?;
    let text = model.overview(1)?.markdown();
    assert!(text.starts_with("## `` a\\|b`c  `` (Sequential)\n"), "{text}");
    assert!(text.contains("| `x\\|y` | Dense |"), "{text}");
    Ok(())
}
