//! How each layer of a description computes. Adding one touches its own file and the lists here.

mod activation;
mod convolution;
mod dense;
mod dropout;
mod merging;
mod normalization;
mod pooling;
mod reshaping;

use candle_core::{Tensor, Var};
use indexmap::IndexMap;
use nn_theory::{DataFormat, Layer, Node};

use crate::network::{Mode, Weight};
use crate::{Error, Result};

/// The classes that can be run.
pub const RUNNABLE: [&str; 18] = [
    "InputLayer",
    "Dense",
    "Conv2D",
    "MaxPooling2D",
    "AveragePooling2D",
    "GlobalAveragePooling2D",
    "GlobalMaxPooling2D",
    "Flatten",
    "Reshape",
    "Dropout",
    "Activation",
    "ReLU",
    "LeakyReLU",
    "Softmax",
    "BatchNormalization",
    "ZeroPadding2D",
    "Add",
    "Concatenate",
];

/// The weights of one layer, by their name in it.
pub(crate) struct LayerWeights<'a> {
    names: &'a [(String, usize)],
    all: &'a IndexMap<String, Weight>,
}

impl<'a> LayerWeights<'a> {
    pub(crate) fn new(names: &'a [(String, usize)], all: &'a IndexMap<String, Weight>) -> Self {
        LayerWeights { names, all }
    }

    /// The weight called `name`; `None` where the layer was described without it (no bias, say).
    ///
    /// A weight that is not trained comes without its variable, so that the backward pass does not compute its gradient.
    pub(crate) fn get(&self, name: &str) -> Option<Tensor> {
        let weight = self.weight(name)?;
        Some(if weight.trainable {
            weight.var.as_tensor().clone()
        } else {
            weight.var.as_detached_tensor()
        })
    }

    /// The variable behind a weight, for layers that change their own weights.
    pub(crate) fn var(&self, name: &str) -> Option<&Var> {
        self.weight(name).map(|weight| &weight.var)
    }

    fn weight(&self, name: &str) -> Option<&'a Weight> {
        let (_, index) = self.names.iter().find(|(own, _)| own == name)?;
        self.all.get_index(*index).map(|(_, weight)| weight)
    }
}

/// For the message of a refused activation: the names of [`kernels::Activation`].
const RUNNABLE_ACTIVATIONS: &str = "linear, relu, relu6, leaky_relu, tanh, sigmoid, hard_sigmoid, elu, selu, gelu, silu, \
                                    softplus, softsign, exponential, mish, softmax or log_softmax";

fn activation_of(layer: &Layer) -> Option<nn_theory::Activation> {
    match layer {
        Layer::Dense(layer) => Some(layer.activation),
        Layer::Conv2D(layer) => Some(layer.activation),
        Layer::Activation(layer) => Some(layer.activation),
        _ => None,
    }
}

/// Whether a weight holds statistics that the layer itself keeps; training never changes it, whatever its flags.
pub(crate) fn is_statistic(layer: &Layer, weight: &str) -> bool {
    matches!(layer, Layer::BatchNormalization(_)) && matches!(weight, "moving_mean" | "moving_variance")
}

/// Refuses a layer that cannot be run, before anything is computed.
pub(crate) fn check(node: &Node) -> Result<()> {
    let refused = |option: &'static str, found: String, expected: &'static str| {
        Err(Error::LayerOption {
            layer: node.name.clone(),
            option,
            found,
            expected,
        })
    };
    if !RUNNABLE.contains(&node.layer.class()) {
        return Err(Error::Layer {
            layer: node.name.clone(),
            class: node.layer.class().to_string(),
        });
    }
    for (what, shape) in node
        .input_shapes
        .iter()
        .map(|shape| ("its input", shape))
        .chain([("its output", &node.output_shape)])
    {
        if shape.0.iter().skip(1).any(Option::is_none) {
            return Err(Error::FreeDimension {
                layer: node.name.clone(),
                what,
                shape: shape.to_string(),
            });
        }
    }
    match &node.layer {
        Layer::Conv2D(conv) if conv.padding == nn_theory::Padding::Causal => {
            refused("padding", "causal".to_string(), "'valid' or 'same'")
        }
        Layer::Dropout(dropout) if dropout.noise_shape.is_some() => {
            refused("noise_shape", format!("{:?}", dropout.noise_shape), "no noise_shape")
        }
        Layer::Softmax(softmax)
            if activation::softmax_axis(softmax, node.output_shape.0.len()).is_none_or(|a| a == 0) =>
        {
            refused(
                "axis",
                softmax.axis.to_string(),
                "one axis of the input other than the batch",
            )
        }
        layer => match activation_of(layer).filter(|&function| activation::kernel(function).is_err()) {
            Some(function) => refused("activation", function.to_string(), RUNNABLE_ACTIVATIONS),
            None => Ok(()),
        },
    }
}

/// What a node computes from its inputs.
///
/// A layer that is not `trainable` is told so, because one that keeps statistics then leaves them alone.
pub(crate) fn forward(
    node: &Node,
    trainable: bool,
    weights: &LayerWeights<'_>,
    inputs: &[Tensor],
    mode: Mode,
) -> Result<Tensor> {
    let name = &node.name;
    let compute = |source: kernels::Error| Error::Compute {
        layer: name.clone(),
        source,
    };
    let [first, ..] = inputs else {
        return Err(Error::Layer {
            layer: name.clone(),
            class: node.layer.class().to_string(),
        });
    };
    let output = match &node.layer {
        Layer::Dense(layer) => dense::forward(layer, weights, first),
        Layer::Conv2D(layer) => channels_last(layer.data_format, first, |x| convolution::forward(layer, weights, x)),
        Layer::MaxPooling2D(layer) => channels_last(layer.data_format, first, |x| pooling::max(layer, x)),
        Layer::AveragePooling2D(layer) => channels_last(layer.data_format, first, |x| pooling::average(layer, x)),
        Layer::GlobalAveragePooling2D(layer) => pooling::global_average(layer, first),
        Layer::GlobalMaxPooling2D(layer) => pooling::global_max(layer, first),
        Layer::Flatten(layer) => reshaping::flatten(layer, first),
        Layer::Reshape(_) => reshaping::reshape(node, first),
        Layer::Dropout(layer) => dropout::forward(layer, name, first, mode),
        Layer::Activation(layer) => activation::forward(layer.activation, first),
        Layer::ReLU(layer) => activation::relu(layer, first),
        Layer::LeakyReLU(layer) => activation::leaky_relu(layer.negative_slope, first),
        Layer::Softmax(layer) => activation::softmax(layer, first),
        Layer::BatchNormalization(layer) => normalization::batch(layer, weights, first, trainable, mode),
        Layer::ZeroPadding2D(layer) => reshaping::zero_padding(layer, first),
        Layer::Add(_) => merging::add(inputs),
        Layer::Concatenate(layer) => merging::concatenate(layer, inputs),
        other => {
            return Err(Error::Layer {
                layer: name.clone(),
                class: other.class().to_string(),
            });
        }
    };
    output.map_err(compute)
}

/// Runs a function of `(batch, height, width, channels)` on images of either format.
fn channels_last(
    format: DataFormat,
    x: &Tensor,
    f: impl FnOnce(&Tensor) -> kernels::Result<Tensor>,
) -> kernels::Result<Tensor> {
    match format {
        DataFormat::ChannelsLast => f(x),
        DataFormat::ChannelsFirst => {
            let y = f(&x.permute((0, 2, 3, 1))?.contiguous()?)?;
            Ok(y.permute((0, 3, 1, 2))?.contiguous()?)
        }
    }
}
