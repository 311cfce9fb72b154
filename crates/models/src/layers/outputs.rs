//! What a call computes: layers that look at masks, have several outputs or options without a field of their own; all
//! others go to [`super::forward`].

use candle_core::Tensor;
use kernels::Result as Computed;
use nn_theory::{DataFormat, Layer};
use serde_json::Value as Json;

use super::up_sampling::Interpolation;
use super::{
    LayerWeights, activation, attention, conv_lstm, convolution, dropout, einsum, embedding, masks, merging, recurrent,
};
use super::{masked_statistics, reshaping, up_sampling, wrappers};
use crate::graph::{Pass, Step};
use crate::network::Mode;
use crate::pooled::Joined;
use crate::{Error, Result};

/// A tensor on its way through a graph.
#[derive(Clone, Debug)]
pub(crate) struct Value {
    pub(crate) tensor: Tensor,
    /// 1 for the steps that count, as `u8`.
    pub(crate) mask: Option<Tensor>,
}

impl Value {
    pub(crate) fn new(tensor: Tensor) -> Self {
        Value { tensor, mask: None }
    }
}

impl Step {
    pub(crate) fn compute(&self, source: kernels::Error) -> Error {
        Error::Compute {
            layer: self.node.name.clone(),
            source,
        }
    }

    fn seed(&self) -> Option<i64> {
        self.config.get("seed").and_then(Json::as_i64)
    }

    fn format(&self) -> DataFormat {
        match self.text("data_format") {
            Some("channels_first") => DataFormat::ChannelsFirst,
            _ => DataFormat::ChannelsLast,
        }
    }
}

/// The outputs of a call, with their masks.
pub(crate) fn outputs(
    step: &Step,
    weights: &LayerWeights<'_>,
    pass: &mut Pass<'_>,
    inputs: Vec<Value>,
    mode: Mode,
) -> Result<Vec<Value>> {
    let Some(first) = inputs.first() else {
        return Err(step.refused("its inputs", "none".to_string(), "at least one"));
    };
    let made = match &step.node.layer {
        Layer::Model(_) => {
            let graph = step.inner.first();
            let graph = graph.ok_or_else(|| step.refused("the model", "nothing".to_string(), "a model with layers"))?;
            return graph.run(pass, inputs, mode);
        }
        Layer::Masking(_) => return masking(step, first).map(|value| vec![value]),
        Layer::TimeDistributed(_) => wrappers::time_distributed(step, pass, first, mode)?,
        Layer::Bidirectional(layer) => wrappers::bidirectional(layer, step, pass, &inputs, mode)?,
        Layer::SimpleRNN(layer) => {
            let made = recurrent::simple_rnn(layer, step, weights, &inputs, mode);
            made.map_err(|source| step.compute(source))?
        }
        Layer::LSTM(layer) => {
            let made = recurrent::lstm(layer, step, weights, &inputs, mode);
            made.map_err(|source| step.compute(source))?
        }
        Layer::GRU(layer) => {
            let made = recurrent::gru(layer, step, weights, &inputs, mode);
            made.map_err(|source| step.compute(source))?
        }
        Layer::ConvLSTM1D(_) | Layer::ConvLSTM2D(_) | Layer::ConvLSTM3D(_) => {
            let made = convolutional(step, weights, &inputs, mode);
            made.map_err(|source| step.compute(source))?
        }
        _ => match one(step, weights, &inputs, mode)? {
            Some(made) => vec![made],
            None => {
                let tensors: Vec<Tensor> = inputs.iter().map(|input| input.tensor.clone()).collect();
                vec![super::forward(&step.node, step.trains, weights, &tensors, mode)?]
            }
        },
    };
    let masks = masks::of_outputs(step, &inputs, made.len()).map_err(|source| step.compute(source))?;
    let values = made.into_iter().zip(masks);
    Ok(values.map(|(tensor, mask)| Value { tensor, mask }).collect())
}

/// The output of a layer that has one; `None` for those of [`super::forward`].
fn one(step: &Step, weights: &LayerWeights<'_>, inputs: &[Value], mode: Mode) -> Result<Option<Tensor>> {
    let name = &step.node.name;
    let (x, mask) = (&inputs[0].tensor, inputs[0].mask.as_ref());
    let seed = step.seed();
    let tensors = || inputs.iter().map(|input| input.tensor.clone()).collect::<Vec<Tensor>>();
    if let (Layer::Conv2D(layer), Joined::Pools(pool)) = (&step.node.layer, &step.joined) {
        let made = convolution::pooled(layer, pool, weights, x);
        return made.map(Some).map_err(|source| step.compute(source));
    }
    let made: Computed<Tensor> = match &step.node.layer {
        Layer::Operation(operation) => super::operation::forward(operation, &step.node, &tensors()),
        Layer::Identity(_) | Layer::ActivityRegularization(_) => Ok(x.clone()),
        Layer::Rescaling(_) => rescaled(step, x),
        Layer::Embedding(layer) => embedding::forward(layer, weights, x),
        Layer::EinsumDense(layer) => einsum::forward(layer, weights, x),
        Layer::Attention(layer) => attention::dot(layer, step, weights, inputs, mode),
        Layer::AdditiveAttention(layer) => attention::additive(layer, step, weights, inputs, mode),
        Layer::MultiHeadAttention(layer) => attention::heads(step, weights, inputs, layer.dropout, mode),
        Layer::GroupQueryAttention(layer) => attention::heads(step, weights, inputs, layer.dropout, mode),
        Layer::Subtract(_) => merging::subtract(&tensors()),
        Layer::Multiply(_) => merging::multiply(&tensors()),
        Layer::Average(_) => merging::average(&tensors()),
        Layer::Maximum(_) => merging::maximum(&tensors()),
        Layer::Minimum(_) => merging::minimum(&tensors()),
        Layer::Dot(layer) => merging::dot(layer, &tensors()),
        Layer::ELU(layer) => activation::elu(layer.alpha, x),
        Layer::PReLU(_) => activation::prelu(weights, x),
        Layer::Softmax(layer) if mask.is_some() => activation::masked_softmax(layer, x, mask),
        Layer::GaussianDropout(layer) => dropout::gaussian(layer.rate, seed, name, x, mode),
        Layer::GaussianNoise(layer) => dropout::noise(layer.stddev, seed, name, x, mode),
        Layer::AlphaDropout(layer) => dropout::alpha(layer.rate, seed, name, x, mode),
        Layer::SpatialDropout1D(layer) => dropout::spatial(layer.rate, seed, DataFormat::ChannelsLast, name, x, mode),
        Layer::SpatialDropout2D(layer) => dropout::spatial(layer.rate, seed, step.format(), name, x, mode),
        Layer::SpatialDropout3D(layer) => dropout::spatial(layer.rate, seed, step.format(), name, x, mode),
        Layer::Permute(layer) => reshaping::permute(layer, x),
        Layer::RepeatVector(layer) => reshaping::repeat_vector(layer, x),
        Layer::ZeroPadding1D(layer) => reshaping::padded(&layer.padding.0, step.format(), x),
        Layer::ZeroPadding3D(layer) => reshaping::padded(&layer.padding.0, step.format(), x),
        Layer::Cropping1D(layer) => reshaping::cropped(&layer.cropping.0, DataFormat::ChannelsLast, x),
        Layer::Cropping2D(layer) => reshaping::cropped(&layer.cropping.0, step.format(), x),
        Layer::Cropping3D(layer) => reshaping::cropped(&layer.cropping.0, step.format(), x),
        Layer::UpSampling1D(layer) => up_sampling::repeated(x, 1, layer.size),
        Layer::UpSampling2D(layer) => {
            // Another name was refused when the network was built.
            let interpolation = step.text("interpolation").and_then(Interpolation::from_name);
            up_sampling::forward(
                &layer.size,
                step.format(),
                interpolation.unwrap_or(Interpolation::Nearest),
                x,
            )
        }
        Layer::UpSampling3D(layer) => up_sampling::forward(&layer.size, step.format(), Interpolation::Nearest, x),
        Layer::BatchNormalization(layer) if step.trains && matches!(mode, Mode::Training(_)) => match mask {
            Some(mask) if matches!(layer.axis, -1) || layer.axis + 1 == x.rank() as i64 => {
                masked_statistics::batch(layer, weights, x, mask)
            }
            Some(_) => {
                let expected = "-1 on a masked sequence";
                return Err(step.refused("axis", layer.axis.to_string(), expected));
            }
            None => return Ok(None),
        },
        Layer::GlobalAveragePooling1D(layer) if mask.is_some() => masked_mean(x, mask, step.format(), layer.keepdims),
        _ => return Ok(None),
    };
    made.map(Some).map_err(|source| step.compute(source))
}

fn convolutional(step: &Step, weights: &LayerWeights<'_>, inputs: &[Value], mode: Mode) -> Computed<Vec<Tensor>> {
    macro_rules! options {
        ($layer:expr) => {
            conv_lstm::ConvLstm {
                filters: $layer.filters,
                strides: &$layer.strides,
                dilation: &$layer.dilation_rate,
                padding: $layer.padding,
                format: $layer.data_format,
                activation: $layer.activation,
                recurrent_activation: $layer.recurrent_activation,
            }
        };
    }
    match &step.node.layer {
        Layer::ConvLSTM1D(layer) => options!(layer).forward(step, weights, inputs, mode),
        Layer::ConvLSTM2D(layer) => options!(layer).forward(step, weights, inputs, mode),
        Layer::ConvLSTM3D(layer) => options!(layer).forward(step, weights, inputs, mode),
        _ => Ok(Vec::new()),
    }
}

/// Steps whose values all equal `mask_value` become 0 and are masked.
fn masking(step: &Step, input: &Value) -> Result<Value> {
    let value = step.number("mask_value", 0.0)?;
    let x = &input.tensor;
    let differs = x.detach().ne(value)?;
    let mask = differs.max(candle_core::D::Minus1)?;
    let kept = masks::over(&mask, x).map_err(|source| step.compute(source))?;
    Ok(Value {
        tensor: kept.where_cond(x, &x.zeros_like()?)?,
        mask: Some(mask),
    })
}

/// `scale · x + offset`, numbers or one of each for every channel.
fn rescaled(step: &Step, x: &Tensor) -> Computed<Tensor> {
    let numbers = |key: &str, default: f64| -> Computed<Tensor> {
        let numbers: Vec<f64> = match step.config.get(key) {
            Some(Json::Array(items)) => items.iter().filter_map(Json::as_f64).collect(),
            value => vec![value.and_then(Json::as_f64).unwrap_or(default)],
        };
        let count = numbers.len();
        let numbers = Tensor::from_vec(numbers, count, &candle_core::Device::Cpu)?;
        let numbers = numbers.to_dtype(x.dtype())?.to_device(x.device())?;
        Ok(if count == 1 { numbers.squeeze(0)? } else { numbers })
    };
    let scaled = x.broadcast_mul(&numbers("scale", 1.0)?)?;
    Ok(scaled.broadcast_add(&numbers("offset", 0.0)?)?)
}

/// The mean of the steps that count.
fn masked_mean(x: &Tensor, mask: Option<&Tensor>, format: DataFormat, keepdims: bool) -> Computed<Tensor> {
    let axis = if format == DataFormat::ChannelsLast { 1 } else { 2 };
    let Some(mask) = mask else {
        return Ok(x.mean(axis)?);
    };
    let stretched = mask.unsqueeze(3 - axis)?.broadcast_as(x.shape())?.contiguous()?;
    let sum = stretched.where_cond(x, &x.zeros_like()?)?.sum_keepdim(axis)?;
    let count = stretched.to_dtype(x.dtype())?.sum_keepdim(axis)?;
    let mean = sum.div(&count)?;
    Ok(if keepdims { mean } else { mean.squeeze(axis)? })
}
