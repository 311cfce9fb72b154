//! MobileNetV2 (Sandler et al. 2018): inverted residual blocks of depthwise convolutions.

use nn_theory::{
    Add, BatchNormalization, Conv2D, Dense, DepthwiseConv2D, Functional, GlobalAveragePooling2D, ModelSpec, Padding,
    ReLU, Tensor, ZeroPadding2D,
};

use super::margins::halving_margins;
use crate::Result;

/// MobileNetV2 for ImageNet, 224 × 224 × 3 and 1000 classes, as `keras.applications.MobileNetV2`: 3,538,984 parameters.
///
/// Weights have Keras' paths; the output is logits, as with `classifier_activation=None`. Inputs are in [-1, 1].
///
/// # Errors
/// None that can be caused from outside.
pub fn mobilenet_v2() -> Result<ModelSpec> {
    mobilenet_v2_for("mobilenetv2_1.00_224", [224, 224, 3], 1000)
}

/// Filters, stride and number of the blocks of each stage.
const STAGES: [(usize, usize, usize); 7] = [
    (16, 1, 1),
    (24, 2, 2),
    (32, 2, 3),
    (64, 2, 4),
    (96, 1, 3),
    (160, 2, 3),
    (320, 1, 1),
];

/// How many channels a block works on for each channel of its input; the first block does not expand.
const EXPANSION: usize = 6;

/// MobileNetV2 for images of another size and another number of classes.
///
/// # Errors
/// [`crate::Error::Spec`] for no class or an image without pixels or channels.
pub fn mobilenet_v2_for(name: &str, image: [u64; 3], classes: usize) -> Result<ModelSpec> {
    let mut graph = ModelSpec::functional(name);
    let input = graph.input(image)?;
    let first = Conv2D::new(32, [3, 3])
        .strides([2, 2])
        .padding(Padding::Same)
        .use_bias(false);
    let mut x = graph.layer(first.name("Conv1"), input)?;
    x = graph.layer(normalization().name("bn_Conv1"), x)?;
    x = graph.layer(clipped().name("Conv1_relu"), x)?;
    let mut state = Features {
        tensor: x,
        channels: 32,
        sides: [image[0].div_ceil(2), image[1].div_ceil(2)],
    };
    let mut index = 0;
    for (filters, stride, blocks) in STAGES {
        for block in 0..blocks {
            inverted_residual(
                &mut graph,
                &mut state,
                filters,
                if block == 0 { stride } else { 1 },
                index,
            )?;
            index += 1;
        }
    }
    let last = Conv2D::new(1280, [1, 1]).use_bias(false);
    x = graph.layer(last.name("Conv_1"), state.tensor)?;
    x = graph.layer(normalization().name("Conv_1_bn"), x)?;
    x = graph.layer(clipped().name("out_relu"), x)?;
    x = graph.layer(GlobalAveragePooling2D::new(), x)?;
    let logits = graph.layer(Dense::new(classes).name("predictions"), x)?;
    Ok(graph.build(input, logits)?)
}

/// What the blocks hand on.
struct Features {
    tensor: Tensor,
    channels: usize,
    sides: [u64; 2],
}

fn normalization() -> BatchNormalization {
    BatchNormalization::new().momentum(0.999)
}

fn clipped() -> ReLU {
    ReLU::new().max_value(Some(6.0))
}

/// Expands the channels, filters each of them, and brings them down to `filters`; adds the input where the shapes agree.
fn inverted_residual(
    graph: &mut Functional,
    state: &mut Features,
    filters: usize,
    stride: usize,
    index: usize,
) -> Result<()> {
    let prefix = match index {
        0 => "expanded_conv".to_string(),
        index => format!("block_{index}"),
    };
    let pointwise = |filters| Conv2D::new(filters, [1, 1]).padding(Padding::Same).use_bias(false);
    let mut x = state.tensor;
    if index > 0 {
        x = graph.layer(
            pointwise(EXPANSION * state.channels).name(format!("{prefix}_expand")),
            x,
        )?;
        x = graph.layer(normalization().name(format!("{prefix}_expand_BN")), x)?;
        x = graph.layer(clipped().name(format!("{prefix}_expand_relu")), x)?;
    }
    let mut padding = Padding::Same;
    if stride == 2 {
        let margins = halving_margins(state.sides, 3);
        x = graph.layer(ZeroPadding2D::new(margins).name(format!("{prefix}_pad")), x)?;
        padding = Padding::Valid;
        state.sides = state.sides.map(|side| side.div_ceil(2));
    }
    let depthwise = DepthwiseConv2D::new([3, 3])
        .strides([stride, stride])
        .padding(padding)
        .use_bias(false);
    x = graph.layer(depthwise.name(format!("{prefix}_depthwise")), x)?;
    x = graph.layer(normalization().name(format!("{prefix}_depthwise_BN")), x)?;
    x = graph.layer(clipped().name(format!("{prefix}_depthwise_relu")), x)?;
    x = graph.layer(pointwise(filters).name(format!("{prefix}_project")), x)?;
    x = graph.layer(normalization().name(format!("{prefix}_project_BN")), x)?;
    if stride == 1 && state.channels == filters {
        x = graph.layer(Add::new().name(format!("{prefix}_add")), [state.tensor, x])?;
    }
    (state.tensor, state.channels) = (x, filters);
    Ok(())
}
