//! `ConvLSTM1D`, `2D`, `3D`: an LSTM whose products are convolutions (Shi et al., 2015).

use candle_core::Tensor;
use kernels::random::Stream;
use kernels::{Conv2dOptions, Result};
use nn_theory::{Activation, DataFormat, Padding};

use super::recurrent::{Walk, steps_of};
use super::{LayerWeights, Value, activation, convolution, dropout};
use crate::call::stream_of;
use crate::graph::Step;
use crate::network::Mode;

/// The options that the three layers share.
pub(crate) struct ConvLstm<'a> {
    pub(crate) filters: usize,
    pub(crate) strides: &'a [usize],
    pub(crate) dilation: &'a [usize],
    pub(crate) padding: Padding,
    pub(crate) format: DataFormat,
    pub(crate) activation: Activation,
    pub(crate) recurrent_activation: Activation,
}

impl ConvLstm<'_> {
    /// The outputs for `(batch, steps, ...)`.
    pub(crate) fn forward(
        &self,
        step: &Step,
        weights: &LayerWeights<'_>,
        inputs: &[Value],
        mode: Mode,
    ) -> Result<Vec<Tensor>> {
        let rank = self.strides.len();
        let kernel = activation::required(weights, "conv_lstm_cell/kernel")?;
        let recurrent = activation::required(weights, "conv_lstm_cell/recurrent_kernel")?;
        let bias = weights.get("conv_lstm_cell/bias");
        let channels_last = |x: &Tensor| -> Result<Tensor> {
            Ok(match self.format {
                DataFormat::ChannelsLast => x.clone(),
                DataFormat::ChannelsFirst => moved(x, 1, x.rank() - 1)?,
            })
        };
        let back = |x: &Tensor, first: usize| -> Result<Tensor> {
            Ok(match self.format {
                DataFormat::ChannelsLast => x.clone(),
                DataFormat::ChannelsFirst => moved(x, x.rank() - 1, first)?,
            })
        };
        let steps: Result<Vec<Tensor>> = steps_of(&inputs[0].tensor)?.iter().map(channels_last).collect();
        let steps = steps?;
        let Some(first) = steps.first() else {
            let message = "a sequence of no steps has no output".to_string();
            return Err(candle_core::Error::Msg(message).into());
        };
        let input_masks = self.masks(step, "dropout", first.dims(), first, mode)?;
        let seen: Result<Vec<Tensor>> = steps
            .iter()
            .map(|x| {
                let z = gates(x, &input_masks, &kernel, [self.strides, self.dilation], self.padding)?;
                Ok(match &bias {
                    Some(bias) => z.broadcast_add(bias)?,
                    None => z,
                })
            })
            .collect();
        let seen = seen?;
        let mut state_size = seen[0].dims().to_vec();
        state_size[rank + 1] = self.filters;
        let state_masks = self.masks(step, "recurrent_dropout", &state_size, first, mode)?;
        let states: Vec<Tensor> = match &inputs[1..] {
            [] => vec![Tensor::zeros(state_size, first.dtype(), first.device())?; 2],
            given => {
                let given: Result<Vec<Tensor>> = given.iter().map(|state| channels_last(&state.tensor)).collect();
                given?
            }
        };
        let walk = Walk::of(step);
        let (filters, of_gates, function) = (self.filters, self.recurrent_activation, self.activation);
        let cell = move |x: &Tensor, states: &[Tensor], weights: &[Tensor]| {
            let ones = vec![1; rank];
            let z = (x + gates(&states[0], &state_masks, &weights[0], [&ones, &ones], Padding::Same)?)?;
            let part = |index| z.narrow(rank + 1, index * filters, filters)?.contiguous();
            let gate = |index| activation::forward(of_gates, &part(index)?);
            let candidate = activation::forward(function, &part(2)?)?;
            let carry = ((gate(1)? * &states[1])? + (gate(0)? * candidate)?)?;
            let output = (gate(3)? * activation::forward(function, &carry)?)?;
            Ok(vec![output, carry])
        };
        let results = walk.run(seen, inputs[0].mask.as_ref(), states, vec![recurrent], cell)?;
        let places = results.iter().enumerate();
        places
            .map(|(index, result)| back(result, if index == 0 && walk.return_sequences { 2 } else { 1 }))
            .collect()
    }

    /// One mask for each gate; none in inference.
    fn masks(&self, step: &Step, key: &str, sizes: &[usize], like: &Tensor, mode: Mode) -> Result<Vec<Tensor>> {
        let rate = step.config.get(key).and_then(serde_json::Value::as_f64).unwrap_or(0.0);
        let Mode::Training(stream) = mode else {
            return Ok(Vec::new());
        };
        if !(rate > 0.0 && rate < 1.0) {
            return Ok(Vec::new());
        }
        let seed = step.config.get("seed").and_then(serde_json::Value::as_i64);
        let stream: Stream = stream_of(stream, &step.node.name, seed).op(key);
        (0..4)
            .map(|gate| dropout::mask(sizes, rate, stream.step(gate), like))
            .collect()
    }
}

/// The products of all four gates; with masks, each gate has its own.
fn gates(x: &Tensor, masks: &[Tensor], kernel: &Tensor, options: [&[usize]; 2], padding: Padding) -> Result<Tensor> {
    let [strides, dilation] = options;
    if masks.is_empty() {
        return convolve(x, kernel, strides, dilation, padding);
    }
    let last = kernel.rank() - 1;
    let parts: Result<Vec<Tensor>> = masks
        .iter()
        .zip(kernel.chunk(4, last)?)
        .map(|(mask, kernel)| convolve(&(x * mask)?, &kernel.contiguous()?, strides, dilation, padding))
        .collect();
    Ok(Tensor::cat(&parts?, x.rank() - 1)?)
}

/// An axis taken out and put in at another place.
fn moved(x: &Tensor, from: usize, to: usize) -> Result<Tensor> {
    let mut axes: Vec<usize> = (0..x.rank()).filter(|&axis| axis != from).collect();
    axes.insert(to, from);
    Ok(x.permute(axes)?.contiguous()?)
}

/// A convolution over one, two or three spatial axes of `(batch, ..., channels)`, made of the kernel for two.
fn convolve(x: &Tensor, kernel: &Tensor, strides: &[usize], dilation: &[usize], padding: Padding) -> Result<Tensor> {
    let plane = |x: &Tensor, kernel: &Tensor, strides: [usize; 2], dilation: [usize; 2]| {
        let options = Conv2dOptions {
            strides,
            padding: convolution::padding(padding),
            dilation,
            groups: 1,
            activation: kernels::Activation::Linear,
        };
        kernels::conv2d(x, kernel, None, &options)
    };
    match (strides, dilation) {
        (&[stride], &[dilation]) => {
            let y = plane(&x.unsqueeze(1)?, &kernel.unsqueeze(0)?, [1, stride], [1, dilation])?;
            Ok(y.squeeze(1)?)
        }
        (&[rows, columns], &[row_dilation, column_dilation]) => {
            plane(x, kernel, [rows, columns], [row_dilation, column_dilation])
        }
        (&[depth, rows, columns], &[depth_dilation, row_dilation, column_dilation]) => {
            let taps = kernel.dim(0)?;
            let span = (taps - 1) * depth_dilation + 1;
            let size = x.dim(1)?;
            let (before, output) = match padding {
                Padding::Same => {
                    let output = size.div_ceil(depth);
                    (
                        (output.saturating_sub(1) * depth + span).saturating_sub(size) / 2,
                        output,
                    )
                }
                _ => (0, (size + depth).saturating_sub(span) / depth),
            };
            let needed = (output.max(1) - 1) * depth + span;
            let x = x.pad_with_zeros(1, before, needed.saturating_sub(before + size))?;
            let mut sum: Option<Tensor> = None;
            for tap in 0..taps {
                let places: Vec<u32> = (0..output).map(|i| (i * depth + tap * depth_dilation) as u32).collect();
                let seen = x.index_select(&Tensor::from_vec(places, output, x.device())?, 1)?;
                let (batch, frames, height, width, channels) = seen.dims5()?;
                let folded = seen.reshape((batch * frames, height, width, channels))?;
                let slice = kernel.get(tap)?.contiguous()?;
                let y = plane(&folded, &slice, [rows, columns], [row_dilation, column_dilation])?;
                let (_, height, width, filters) = y.dims4()?;
                let y = y.reshape((batch, frames, height, width, filters))?;
                sum = Some(match sum {
                    Some(sum) => (sum + y)?,
                    None => y,
                });
            }
            sum.ok_or_else(|| candle_core::Error::Msg("a kernel without depth".to_string()).into())
        }
        _ => Err(candle_core::Error::Msg(format!("{} spatial axes", strides.len())).into()),
    }
}
