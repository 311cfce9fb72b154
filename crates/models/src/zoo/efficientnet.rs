//! EfficientNet-B0 (Tan and Le 2019): inverted residual blocks with squeeze and excitation.

use nn_theory::{
    Activation, ActivationLayer, Add, BatchNormalization, Conv2D, Dense, DepthwiseConv2D, Dropout, Functional,
    GlobalAveragePooling2D, Initializer, ModelSpec, Multiply, Normalization, Padding, Rescaling, Reshape, Tensor,
    ZeroPadding2D,
};

use super::margins::halving_margins;
use crate::Result;

/// EfficientNet-B0 for ImageNet, 224 × 224 × 3 and 1000 classes, as `keras.applications.EfficientNetB0`: 5,330,571
/// parameters, 7 of them the statistics of its input.
///
/// Weights have Keras' paths; the output is logits, as with `classifier_activation=None`. Inputs are in [0, 255]: the network
/// scales them itself.
///
/// # Errors
/// None that can be caused from outside.
pub fn efficientnet_b0() -> Result<ModelSpec> {
    efficientnet_b0_for("efficientnetb0", [224, 224, 3], 1000)
}

/// The blocks of a stage: their number, and what the first of them does to channels and size.
struct Stage {
    kernel: usize,
    blocks: usize,
    filters: usize,
    expansion: usize,
    stride: usize,
}

const fn stage(kernel: usize, blocks: usize, filters: usize, expansion: usize, stride: usize) -> Stage {
    Stage {
        kernel,
        blocks,
        filters,
        expansion,
        stride,
    }
}

const STAGES: [Stage; 7] = [
    stage(3, 1, 16, 1, 1),
    stage(3, 2, 24, 6, 2),
    stage(5, 2, 40, 6, 2),
    stage(3, 3, 80, 6, 2),
    stage(5, 3, 112, 6, 1),
    stage(5, 4, 192, 6, 2),
    stage(3, 1, 320, 6, 1),
];

/// Share of residual branches that the last block would drop in training; earlier blocks drop fewer (Huang et al. 2016).
const DROP_CONNECT: f64 = 0.2;

/// EfficientNet-B0 for images of another size and another number of classes.
///
/// # Errors
/// [`crate::Error::Spec`] for no class or an image without pixels or channels.
pub fn efficientnet_b0_for(name: &str, image: [u64; 3], classes: usize) -> Result<ModelSpec> {
    let mut graph = ModelSpec::functional(name);
    let input = graph.input(image)?;
    let rescaling = Rescaling::new().name("rescaling").option("scale", 1.0 / 255.0)?;
    let mut x = graph.layer(rescaling.option("offset", 0.0)?, input)?;
    x = graph.layer(Normalization::new().axis(Some(vec![3])), x)?;
    let sides = [image[0], image[1]];
    let padding = ZeroPadding2D::new(halving_margins(sides, 3));
    x = graph.layer(padding.name("stem_conv_pad"), x)?;
    let stem = convolution(32, 3).strides([2, 2]).padding(Padding::Valid);
    x = graph.layer(stem.name("stem_conv"), x)?;
    x = normalized(&mut graph, x, "stem_bn", Some("stem_activation"))?;
    let mut state = Features {
        tensor: x,
        channels: 32,
        sides: sides.map(|side| side.div_ceil(2)),
    };
    let total: usize = STAGES.iter().map(|stage| stage.blocks).sum();
    let mut done = 0;
    for (number, stage) in (1..).zip(&STAGES) {
        for (block, letter) in (0..stage.blocks).zip('a'..) {
            let stride = if block == 0 { stage.stride } else { 1 };
            let rate = DROP_CONNECT * done as f64 / total as f64;
            residual(
                &mut graph,
                &mut state,
                &format!("block{number}{letter}"),
                stage,
                stride,
                rate,
            )?;
            done += 1;
        }
    }
    x = graph.layer(convolution(1280, 1).name("top_conv"), state.tensor)?;
    x = normalized(&mut graph, x, "top_bn", Some("top_activation"))?;
    x = graph.layer(GlobalAveragePooling2D::new().name("avg_pool"), x)?;
    x = graph.layer(Dropout::new(0.2).name("top_dropout"), x)?;
    let classifier = Dense::new(classes).kernel_initializer(scaled(1.0 / 3.0, "uniform"));
    let logits = graph.layer(classifier.name("predictions"), x)?;
    Ok(graph.build(input, logits)?)
}

/// What the blocks hand on.
struct Features {
    tensor: Tensor,
    channels: usize,
    sides: [u64; 2],
}

fn scaled(scale: f64, distribution: &str) -> Initializer {
    Initializer::VarianceScaling {
        scale,
        mode: "fan_out".to_string(),
        distribution: distribution.to_string(),
        seed: None,
    }
}

/// A convolution as all of the network's are: same padding, no bias.
fn convolution(filters: usize, side: usize) -> Conv2D {
    Conv2D::new(filters, [side, side])
        .padding(Padding::Same)
        .use_bias(false)
        .kernel_initializer(scaled(2.0, "truncated_normal"))
}

fn normalized(graph: &mut Functional, x: Tensor, name: &str, activation: Option<&str>) -> Result<Tensor> {
    let x = graph.layer(BatchNormalization::new().axis(3).name(name), x)?;
    match activation {
        Some(name) => Ok(graph.layer(ActivationLayer::new(Activation::Silu).name(name), x)?),
        None => Ok(x),
    }
}

fn residual(
    graph: &mut Functional,
    state: &mut Features,
    name: &str,
    stage: &Stage,
    stride: usize,
    rate: f64,
) -> Result<()> {
    let wide = state.channels * stage.expansion;
    let mut x = state.tensor;
    if stage.expansion > 1 {
        x = graph.layer(convolution(wide, 1).name(format!("{name}_expand_conv")), x)?;
        let activation = format!("{name}_expand_activation");
        x = normalized(graph, x, &format!("{name}_expand_bn"), Some(&activation))?;
    }
    let mut padding = Padding::Same;
    if stride == 2 {
        let margins = ZeroPadding2D::new(halving_margins(state.sides, stage.kernel));
        x = graph.layer(margins.name(format!("{name}_dwconv_pad")), x)?;
        padding = Padding::Valid;
        state.sides = state.sides.map(|side| side.div_ceil(2));
    }
    let depthwise = DepthwiseConv2D::new([stage.kernel, stage.kernel])
        .strides([stride, stride])
        .padding(padding)
        .use_bias(false)
        .depthwise_initializer(scaled(2.0, "truncated_normal"));
    x = graph.layer(depthwise.name(format!("{name}_dwconv")), x)?;
    x = normalized(graph, x, &format!("{name}_bn"), Some(&format!("{name}_activation")))?;
    x = squeeze_and_excite(graph, x, name, wide, (state.channels / 4).max(1))?;
    x = graph.layer(convolution(stage.filters, 1).name(format!("{name}_project_conv")), x)?;
    x = normalized(graph, x, &format!("{name}_project_bn"), None)?;
    if stride == 1 && state.channels == stage.filters {
        if rate > 0.0 {
            // One draw a sample: the whole branch is there or not.
            let drop = Dropout::new(rate).noise_shape(Some(vec![None, Some(1), Some(1), Some(1)]));
            x = graph.layer(drop.name(format!("{name}_drop")), x)?;
        }
        x = graph.layer(Add::new().name(format!("{name}_add")), [x, state.tensor])?;
    }
    (state.tensor, state.channels) = (x, stage.filters);
    Ok(())
}

/// Weighs each channel by what the means of all channels say about it (Hu et al. 2018).
fn squeeze_and_excite(graph: &mut Functional, x: Tensor, name: &str, wide: usize, narrow: usize) -> Result<Tensor> {
    let mut weight = graph.layer(GlobalAveragePooling2D::new().name(format!("{name}_se_squeeze")), x)?;
    let image = Reshape::new(vec![1, 1, wide as i64]);
    weight = graph.layer(image.name(format!("{name}_se_reshape")), weight)?;
    for (filters, activation, part) in [
        (narrow, Activation::Silu, "reduce"),
        (wide, Activation::Sigmoid, "expand"),
    ] {
        let layer = convolution(filters, 1).use_bias(true).activation(activation);
        weight = graph.layer(layer.name(format!("{name}_se_{part}")), weight)?;
    }
    Ok(graph.layer(Multiply::new().name(format!("{name}_se_excite")), [x, weight])?)
}
