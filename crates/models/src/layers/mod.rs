//! How each layer of a description computes. Adding one touches its own file and the lists here.

mod activation;
mod attention;
mod conv_lstm;
mod convolution;
mod convolution_kinds;
mod dense;
mod dropout;
mod einsum;
mod embedding;
mod fixed_statistics;
mod masked_statistics;
mod masks;
mod merging;
mod normalization;
mod operation;
mod options;
mod outputs;
mod pooling;
mod precision;
mod recomputed;
mod recurrent;
mod reshaping;
mod spectral;
mod up_sampling;
mod wrappers;

use candle_core::{Tensor, Var};
use indexmap::IndexMap;
use nn_theory::{DataFormat, Layer, Node};
use pooling::Kept;

use crate::network::{Mode, Weight};
use crate::{Error, Result};

pub(crate) use activation::{forward as activation, is_fused};
pub(crate) use options::{check_options, threshold_refused};
pub(crate) use outputs::{Value, outputs};
pub(crate) use precision::Precision;

/// The classes that can be run; also models inside of models.
pub const RUNNABLE: &[&str] = &[
    "ActivityRegularization",
    "AdditiveAttention",
    "AlphaDropout",
    "Attention",
    "Average",
    "Bidirectional",
    "ConvLSTM1D",
    "ConvLSTM2D",
    "ConvLSTM3D",
    "Cropping1D",
    "Cropping2D",
    "Cropping3D",
    "Dot",
    "ELU",
    "EinsumDense",
    "Embedding",
    "GRU",
    "GaussianDropout",
    "GaussianNoise",
    "GroupQueryAttention",
    "Identity",
    "LSTM",
    "Masking",
    "Maximum",
    "Minimum",
    "MultiHeadAttention",
    "Multiply",
    "PReLU",
    "Permute",
    "RepeatVector",
    "Rescaling",
    "SimpleRNN",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
    "Subtract",
    "TimeDistributed",
    "UpSampling1D",
    "UpSampling2D",
    "UpSampling3D",
    "ZeroPadding1D",
    "ZeroPadding3D",
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
    "Conv1D",
    "Conv3D",
    "Conv1DTranspose",
    "Conv2DTranspose",
    "Conv3DTranspose",
    "DepthwiseConv1D",
    "DepthwiseConv2D",
    "SeparableConv1D",
    "SeparableConv2D",
    "MaxPooling1D",
    "MaxPooling3D",
    "AveragePooling1D",
    "AveragePooling3D",
    "GlobalAveragePooling1D",
    "GlobalAveragePooling3D",
    "GlobalMaxPooling1D",
    "GlobalMaxPooling3D",
    "AdaptiveAveragePooling1D",
    "AdaptiveAveragePooling2D",
    "AdaptiveAveragePooling3D",
    "AdaptiveMaxPooling1D",
    "AdaptiveMaxPooling2D",
    "AdaptiveMaxPooling3D",
    "LayerNormalization",
    "GroupNormalization",
    "RMSNormalization",
    "UnitNormalization",
    "Normalization",
    "SpectralNormalization",
    "Add",
    "Concatenate",
];

/// The weights of one layer, by their name in it.
pub(crate) struct LayerWeights<'a> {
    names: &'a [(String, usize)],
    all: &'a IndexMap<String, Weight>,
    precision: Precision,
}

impl<'a> LayerWeights<'a> {
    pub(crate) fn new(names: &'a [(String, usize)], all: &'a IndexMap<String, Weight>) -> Self {
        LayerWeights {
            names,
            all,
            precision: Precision::Inner,
        }
    }

    /// The same weights, handed out in the formats that the layer computes in.
    pub(crate) fn with(mut self, precision: Precision) -> Self {
        self.precision = precision;
        self
    }

    /// The weight called `name`; `None` where the layer was described without it (no bias, say).
    ///
    /// A weight that is not trained comes without its variable, so that the backward pass does not compute its gradient.
    pub(crate) fn get(&self, name: &str) -> Option<Tensor> {
        let weight = self.weight(name)?;
        let value = if weight.trainable {
            weight.var.as_tensor().clone()
        } else {
            weight.var.as_detached_tensor()
        };
        let in_format = match name {
            "moving_mean" | "moving_variance" | "mean" | "variance" => self.precision.keep(&value),
            _ => self.precision.round(&value),
        };
        // A format that the device cannot convert to is refused by the operation that needs it.
        Some(in_format.unwrap_or(value))
    }

    /// The variable behind a weight, for layers that change their own weights.
    pub(crate) fn var(&self, name: &str) -> Option<&Var> {
        self.weight(name).map(|weight| &weight.var)
    }

    /// The weights whose names begin with `prefix`, without it: those of a layer inside of another one.
    pub(crate) fn within(&self, prefix: &str) -> Vec<(String, usize)> {
        let inside = |(name, index): &(String, usize)| Some((name.strip_prefix(prefix)?.to_string(), *index));
        self.names.iter().filter_map(inside).collect()
    }

    fn weight(&self, name: &str) -> Option<&'a Weight> {
        let (_, index) = self.names.iter().find(|(own, _)| own == name)?;
        self.all.get_index(*index).map(|(_, weight)| weight)
    }
}

/// For the message of a refused activation: the names of [`kernels::Activation`].
const RUNNABLE_ACTIVATIONS: &str = "linear, relu, relu6, leaky_relu, tanh, sigmoid, hard_sigmoid, elu, selu, gelu, silu, \
                                    softplus, softsign, exponential, mish, softmax or log_softmax";

/// The padding of a layer for which Keras has no causal one.
fn symmetric_padding(layer: &Layer) -> Option<nn_theory::Padding> {
    match layer {
        Layer::Conv2D(layer) => Some(layer.padding),
        Layer::Conv3D(layer) => Some(layer.padding),
        Layer::Conv1DTranspose(layer) => Some(layer.padding),
        Layer::Conv2DTranspose(layer) => Some(layer.padding),
        Layer::Conv3DTranspose(layer) => Some(layer.padding),
        Layer::DepthwiseConv2D(layer) => Some(layer.padding),
        Layer::SeparableConv2D(layer) => Some(layer.padding),
        Layer::MaxPooling1D(layer) => Some(layer.padding),
        Layer::MaxPooling2D(layer) => Some(layer.padding),
        Layer::MaxPooling3D(layer) => Some(layer.padding),
        Layer::AveragePooling1D(layer) => Some(layer.padding),
        Layer::AveragePooling2D(layer) => Some(layer.padding),
        Layer::AveragePooling3D(layer) => Some(layer.padding),
        _ => None,
    }
}

fn activation_of(layer: &Layer) -> Option<nn_theory::Activation> {
    match layer {
        Layer::Dense(layer) => Some(layer.activation),
        Layer::Conv2D(layer) => Some(layer.activation),
        Layer::Conv1D(layer) => Some(layer.activation),
        Layer::Conv3D(layer) => Some(layer.activation),
        Layer::Conv1DTranspose(layer) => Some(layer.activation),
        Layer::Conv2DTranspose(layer) => Some(layer.activation),
        Layer::Conv3DTranspose(layer) => Some(layer.activation),
        Layer::DepthwiseConv1D(layer) => Some(layer.activation),
        Layer::DepthwiseConv2D(layer) => Some(layer.activation),
        Layer::SeparableConv1D(layer) => Some(layer.activation),
        Layer::SeparableConv2D(layer) => Some(layer.activation),
        _ => None,
    }
}

/// Whether a weight holds statistics that the layer itself keeps; training never changes it, whatever its flags.
pub(crate) fn is_statistic(layer: &Layer, weight: &str) -> bool {
    match layer {
        Layer::BatchNormalization(_) => matches!(weight, "moving_mean" | "moving_variance"),
        Layer::Normalization(_) => matches!(weight, "mean" | "variance" | "count"),
        Layer::SpectralNormalization(layer) => {
            let inside = weight.strip_prefix(&format!("{}/", layer.layer.name()));
            weight == "vector_u" || inside.is_some_and(|weight| is_statistic(layer.layer.layer(), weight))
        }
        _ => false,
    }
}

/// Whether the configuration says `true` for an option that has no field of its own.
fn switched_on(node: &Node, option: &str) -> bool {
    node.config().get(option) == Some(&serde_json::Value::Bool(true))
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
    if let Layer::Operation(operation) = &node.layer {
        return operation::check(operation, node);
    }
    // A foreign class may have the name of one of Keras' own.
    let runs = match &node.layer {
        Layer::Model(_) => true,
        Layer::Unknown(_) => false,
        layer => RUNNABLE.contains(&layer.class()),
    };
    if !runs {
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
        if shape.0.iter().skip(1).any(Option::is_none) && !options::takes_any_size(&node.layer) {
            return Err(Error::FreeDimension {
                layer: node.name.clone(),
                what,
                shape: shape.to_string(),
            });
        }
    }
    match &node.layer {
        layer if symmetric_padding(layer) == Some(nn_theory::Padding::Causal) => {
            refused("padding", "causal".to_string(), "'valid' or 'same'")
        }
        Layer::BatchNormalization(_) if switched_on(node, "renorm") => refused(
            "renorm",
            "true".to_string(),
            "false: batch renormalization has other statistics",
        ),
        Layer::LayerNormalization(_) if switched_on(node, "rms_scaling") => refused(
            "rms_scaling",
            "true".to_string(),
            "false, or the layer RMSNormalization",
        ),
        Layer::Normalization(layer) => match fixed_statistics::check(layer, node) {
            Ok(()) => Ok(()),
            Err((option, found)) => refused(
                option,
                found,
                "a number or one for each place of the axis, and both of them",
            ),
        },
        Layer::SpectralNormalization(layer) => check(&spectral::inner(layer, node)),
        Layer::Activation(layer) if layer.activation == nn_theory::Activation::Threshold => {
            Err(threshold_refused(&node.name))
        }
        Layer::Softmax(softmax)
            if activation::softmax_axes(softmax, node.output_shape.0.len()).is_none_or(|axes| axes.contains(&0)) =>
        {
            refused(
                "axis",
                softmax.axis.to_string(),
                "axes of the input other than the batch",
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
        Layer::Conv1D(layer) => channels_last(layer.data_format, first, |x| convolution::sequence(layer, weights, x)),
        Layer::Conv3D(layer) => channels_last(layer.data_format, first, |x| convolution::volume(layer, weights, x)),
        Layer::Conv1DTranspose(layer) => channels_last(layer.data_format, first, |x| {
            convolution_kinds::transposed1d(layer, weights, x)
        }),
        Layer::Conv2DTranspose(layer) => channels_last(layer.data_format, first, |x| {
            convolution_kinds::transposed2d(layer, weights, x)
        }),
        Layer::Conv3DTranspose(layer) => channels_last(layer.data_format, first, |x| {
            convolution_kinds::transposed3d(layer, weights, x)
        }),
        Layer::DepthwiseConv1D(layer) => channels_last(layer.data_format, first, |x| {
            convolution_kinds::depthwise1d(layer, weights, x)
        }),
        Layer::DepthwiseConv2D(layer) => channels_last(layer.data_format, first, |x| {
            convolution_kinds::depthwise2d(layer, weights, x)
        }),
        Layer::SeparableConv1D(layer) => channels_last(layer.data_format, first, |x| {
            convolution_kinds::separable1d(layer, weights, x)
        }),
        Layer::SeparableConv2D(layer) => channels_last(layer.data_format, first, |x| {
            convolution_kinds::separable2d(layer, weights, x)
        }),
        Layer::MaxPooling1D(layer) => channels_last(layer.data_format, first, |x| pooling::max1d(layer, x)),
        Layer::MaxPooling2D(layer) => channels_last(layer.data_format, first, |x| pooling::max2d(layer, x)),
        Layer::MaxPooling3D(layer) => channels_last(layer.data_format, first, |x| pooling::max3d(layer, x)),
        Layer::AveragePooling1D(layer) => channels_last(layer.data_format, first, |x| pooling::average1d(layer, x)),
        Layer::AveragePooling2D(layer) => channels_last(layer.data_format, first, |x| pooling::average2d(layer, x)),
        Layer::AveragePooling3D(layer) => channels_last(layer.data_format, first, |x| pooling::average3d(layer, x)),
        Layer::GlobalAveragePooling1D(layer) => pooling::global(Kept::Mean, layer.keepdims, layer.data_format, first),
        Layer::GlobalAveragePooling2D(layer) => pooling::global(Kept::Mean, layer.keepdims, layer.data_format, first),
        Layer::GlobalAveragePooling3D(layer) => pooling::global(Kept::Mean, layer.keepdims, layer.data_format, first),
        Layer::GlobalMaxPooling1D(layer) => pooling::global(Kept::Largest, layer.keepdims, layer.data_format, first),
        Layer::GlobalMaxPooling2D(layer) => pooling::global(Kept::Largest, layer.keepdims, layer.data_format, first),
        Layer::GlobalMaxPooling3D(layer) => pooling::global(Kept::Largest, layer.keepdims, layer.data_format, first),
        Layer::AdaptiveAveragePooling1D(layer) => channels_last(layer.data_format, first, |x| {
            pooling::adaptive(Kept::Mean, &layer.output_size, x)
        }),
        Layer::AdaptiveAveragePooling2D(layer) => channels_last(layer.data_format, first, |x| {
            pooling::adaptive(Kept::Mean, &layer.output_size, x)
        }),
        Layer::AdaptiveAveragePooling3D(layer) => channels_last(layer.data_format, first, |x| {
            pooling::adaptive(Kept::Mean, &layer.output_size, x)
        }),
        Layer::AdaptiveMaxPooling1D(layer) => channels_last(layer.data_format, first, |x| {
            pooling::adaptive(Kept::Largest, &layer.output_size, x)
        }),
        Layer::AdaptiveMaxPooling2D(layer) => channels_last(layer.data_format, first, |x| {
            pooling::adaptive(Kept::Largest, &layer.output_size, x)
        }),
        Layer::AdaptiveMaxPooling3D(layer) => channels_last(layer.data_format, first, |x| {
            pooling::adaptive(Kept::Largest, &layer.output_size, x)
        }),
        Layer::Flatten(layer) => reshaping::flatten(layer, first),
        Layer::Reshape(_) => reshaping::reshape(node, first),
        Layer::Dropout(layer) => dropout::forward(layer, name, first, mode),
        Layer::Activation(layer) => activation::forward(layer.activation, first),
        Layer::ReLU(layer) => activation::relu(layer, first),
        Layer::LeakyReLU(layer) => activation::leaky_relu(layer.negative_slope, first),
        Layer::Softmax(layer) => activation::softmax(layer, first),
        Layer::BatchNormalization(layer) => normalization::batch(layer, weights, first, trainable, mode),
        Layer::LayerNormalization(layer) => normalization::layer(layer, weights, first),
        Layer::GroupNormalization(layer) => normalization::group(layer, weights, first),
        Layer::RMSNormalization(layer) => normalization::root_mean_square(layer, weights, first),
        Layer::UnitNormalization(_) => normalization::unit(node, first),
        Layer::Normalization(layer) => fixed_statistics::forward(layer, weights, first),
        Layer::SpectralNormalization(layer) => {
            return spectral::forward(layer, node, trainable, weights, inputs, mode);
        }
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

/// Whether a layer consists of operations that a [`kernels::tape`] writes down, and of nothing else.
pub(crate) fn is_recorded(layer: &Layer, trainable: bool) -> bool {
    let last = DataFormat::ChannelsLast;
    match layer {
        Layer::Dense(_) | Layer::Dropout(_) | Layer::Activation(_) | Layer::Reshape(_) => true,
        Layer::Conv2D(layer) => layer.data_format == last,
        Layer::DepthwiseConv2D(layer) => layer.data_format == last,
        Layer::SeparableConv2D(layer) => layer.data_format == last,
        Layer::MaxPooling2D(layer) => layer.data_format == last,
        Layer::AveragePooling2D(layer) => layer.data_format == last,
        Layer::GlobalAveragePooling2D(layer) => layer.data_format == last && !layer.keepdims,
        Layer::GlobalMaxPooling2D(layer) => layer.data_format == last && !layer.keepdims,
        Layer::Flatten(layer) => layer.data_format == last,
        Layer::ReLU(layer) => {
            layer.threshold == 0.0 && layer.negative_slope == 0.0 && matches!(layer.max_value, None | Some(6.0))
        }
        // The kernel works on the last axis; an axis counted from the front is taken for another one.
        Layer::BatchNormalization(layer) => trainable && layer.axis == -1,
        _ => false,
    }
}

/// Runs a function of `(batch, sides.., channels)` on a tensor of either format.
fn channels_last(
    format: DataFormat,
    x: &Tensor,
    f: impl FnOnce(&Tensor) -> kernels::Result<Tensor>,
) -> kernels::Result<Tensor> {
    let y = f(&to_channels_last(format, x)?)?;
    if format == DataFormat::ChannelsLast {
        return Ok(y);
    }
    let last = y.rank() - 1;
    let axes: Vec<usize> = [0, last].into_iter().chain(1..last).collect();
    Ok(y.permute(axes)?.contiguous()?)
}

/// `(batch, sides.., channels)`, whatever the format was.
fn to_channels_last(format: DataFormat, x: &Tensor) -> kernels::Result<Tensor> {
    if format == DataFormat::ChannelsLast || x.rank() < 3 {
        return Ok(x.clone());
    }
    let axes: Vec<usize> = [0].into_iter().chain(2..x.rank()).chain([1]).collect();
    Ok(x.permute(axes)?.contiguous()?)
}
