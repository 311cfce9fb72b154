//! Convolutions and poolings. ONNX has the channels behind the batch; `channels_last` becomes a transpose before and one after,
//! which runtimes move together and drop.

use nn_theory::convolution::Axis;
use nn_theory::{Activation, DataFormat, Padding};

use super::Call;
use super::graph::{Attributes, Graph, Value};
use crate::fault::{Fault, Result};

/// The options of a window that slides over `sides` axes.
pub(super) struct Window<'a> {
    pub(super) size: &'a [usize],
    pub(super) strides: &'a [usize],
    pub(super) dilation: &'a [usize],
    pub(super) padding: Padding,
}

impl Window<'_> {
    /// Strides, dilations and pads of the sides of an input (in the order of ONNX).
    fn attributes(&self, sides: &[Option<usize>], attributes: Attributes) -> Attributes {
        let numbers = |numbers: &[usize]| numbers.iter().map(|&number| number as i64).collect::<Vec<i64>>();
        let mut attributes = attributes
            .ints("kernel_shape", &numbers(self.size))
            .ints("strides", &numbers(self.strides));
        if self.dilation.iter().any(|&dilation| dilation != 1) {
            attributes = attributes.ints("dilations", &numbers(self.dilation));
        }
        if self.padding == Padding::Valid {
            return attributes;
        }
        let mut pads = vec![0i64; 2 * sides.len()];
        for (side, &size) in sides.iter().enumerate() {
            let axis = |input| Axis {
                input,
                kernel: self.size[side] as u64,
                stride: self.strides[side] as u64,
                dilation: self.dilation.get(side).map_or(1, |&dilation| dilation as u64),
            };
            let padding = match size {
                Some(size) => axis(size as u64).padding(self.padding),
                // At stride 1 (and before a causal window) the padding is the same for every size.
                None if self.strides[side] == 1 || self.padding == Padding::Causal => {
                    axis(1 << 20).padding(self.padding)
                }
                None => return attributes.text("auto_pad", "SAME_UPPER"),
            };
            if let Some((before, after)) = padding {
                pads[side] = before as i64;
                pads[sides.len() + side] = after as i64;
            }
        }
        attributes.ints("pads", &pads)
    }
}

/// Sizes of the sides of an input.
pub(super) fn sides(x: &Value, format: DataFormat) -> &[Option<usize>] {
    match format {
        DataFormat::ChannelsLast => &x.shape[1..x.rank() - 1],
        DataFormat::ChannelsFirst => &x.shape[2..],
    }
}

fn to_first(rank: usize) -> Vec<usize> {
    [0, rank - 1].into_iter().chain(1..rank - 1).collect()
}

fn to_last(rank: usize) -> Vec<usize> {
    [0].into_iter().chain(2..rank).chain([1]).collect()
}

/// The axes of a Keras kernel `(sides.., a, b)` with the last two in front: `(b, a, sides..)`, or `(a, b, sides..)`.
fn kernel_axes(rank: usize, swapped: bool) -> Vec<usize> {
    let ends = if swapped {
        [rank - 1, rank - 2]
    } else {
        [rank - 2, rank - 1]
    };
    ends.into_iter().chain(0..rank - 2).collect()
}

impl Graph<'_> {
    /// Runs `make` on `x` with the channels behind the batch.
    pub(super) fn channels_first(
        &mut self,
        x: &str,
        rank: usize,
        format: DataFormat,
        make: impl FnOnce(&mut Self, &str) -> String,
    ) -> String {
        match format {
            DataFormat::ChannelsFirst => make(self, x),
            DataFormat::ChannelsLast => {
                let first = self.transposed(x, &to_first(rank));
                let y = make(self, &first);
                self.transposed(&y, &to_last(rank))
            }
        }
    }

    /// `Conv1D`, `Conv2D`, `Conv3D`.
    pub(super) fn convolution(
        &mut self,
        call: &Call<'_>,
        window: &Window<'_>,
        groups: usize,
        format: DataFormat,
        activation: Activation,
    ) -> Result<String> {
        let shape = self.weight_shape(&call.weight("kernel"))?;
        let kernel = self.kernel(&call.weight("kernel"), &shape, true)?;
        let bias = self.optional(call, "bias")?;
        Ok(self.convolved(call.first(), &kernel, &bias, window, groups, format, activation))
    }

    fn kernel(&mut self, path: &str, shape: &[usize], swapped: bool) -> Result<String> {
        let axes = kernel_axes(shape.len(), swapped);
        let first: Vec<usize> = axes.iter().map(|&axis| shape[axis]).collect();
        self.arranged(path, shape, &axes, &first)
    }

    #[allow(clippy::too_many_arguments)]
    pub(super) fn convolved(
        &mut self,
        x: &Value,
        kernel: &str,
        bias: &str,
        window: &Window<'_>,
        groups: usize,
        format: DataFormat,
        activation: Activation,
    ) -> String {
        let attributes = window.attributes(sides(x, format), Attributes::new().int("group", groups as i64));
        let over_channels = matches!(
            activation,
            Activation::Softmax | Activation::LogSoftmax | Activation::Glu | Activation::Sparsemax
        );
        let y = self.channels_first(&x.name, x.rank(), format, |graph, x| {
            let inputs = if bias.is_empty() {
                vec![x, kernel]
            } else {
                vec![x, kernel, bias]
            };
            let y = graph.op_with("Conv", &inputs, attributes);
            // Side by side with the convolution, where runtimes fuse them.
            if over_channels {
                y
            } else {
                graph.activated(activation, &y)
            }
        });
        if over_channels {
            self.activated(activation, &y)
        } else {
            y
        }
    }

    /// The name of a weight, or nothing where the layer has none.
    pub(super) fn optional(&mut self, call: &Call<'_>, name: &str) -> Result<String> {
        let path = call.weight(name);
        if self.has_weight(&path) {
            self.weight(&path)
        } else {
            Ok(String::new())
        }
    }

    /// A depthwise kernel `(sides.., channels, multiplier)` as `(channels · multiplier, 1, sides..)`.
    fn depthwise_kernel(&mut self, path: &str) -> Result<(String, usize)> {
        let shape = self.weight_shape(path)?;
        let rank = shape.len();
        let axes = kernel_axes(rank, false);
        let sides = &shape[..rank - 2];
        let channels = shape[rank - 2];
        let first: Vec<usize> = [channels * shape[rank - 1], 1]
            .into_iter()
            .chain(sides.iter().copied())
            .collect();
        Ok((self.arranged(path, &shape, &axes, &first)?, channels))
    }

    pub(super) fn depthwise(
        &mut self,
        call: &Call<'_>,
        window: &Window<'_>,
        format: DataFormat,
        activation: Activation,
    ) -> Result<String> {
        let (kernel, channels) = self.depthwise_kernel(&call.weight("kernel"))?;
        let bias = self.optional(call, "bias")?;
        Ok(self.convolved(call.first(), &kernel, &bias, window, channels, format, activation))
    }

    pub(super) fn separable(
        &mut self,
        call: &Call<'_>,
        window: &Window<'_>,
        format: DataFormat,
        activation: Activation,
    ) -> Result<String> {
        let (kernel, channels) = self.depthwise_kernel(&call.weight("depthwise_kernel"))?;
        let pointwise = call.weight("pointwise_kernel");
        let shape = self.weight_shape(&pointwise)?;
        let pointwise = self.kernel(&pointwise, &shape, true)?;
        let bias = self.optional(call, "bias")?;
        let x = call.first().clone();
        let attributes = window.attributes(sides(&x, format), Attributes::new().int("group", channels as i64));
        let y = self.channels_first(&x.name, x.rank(), format, |graph, x| {
            let middle = graph.op_with("Conv", &[x, &kernel], attributes);
            let inputs = if bias.is_empty() {
                vec![&*middle, &pointwise]
            } else {
                vec![&*middle, &pointwise, &bias]
            };
            graph.op("Conv", &inputs)
        });
        Ok(self.activated(activation, &y))
    }

    /// `Conv1DTranspose`, `Conv2DTranspose`, `Conv3DTranspose`.
    pub(super) fn convolution_transposed(
        &mut self,
        call: &Call<'_>,
        window: &Window<'_>,
        output_padding: Option<&[usize]>,
        format: DataFormat,
        activation: Activation,
    ) -> Result<String> {
        let x = call.first().clone();
        let count = window.size.len();
        let (mut pads, mut extra) = (vec![0i64; 2 * count], vec![0i64; count]);
        for (side, &size) in sides(&x, format).iter().enumerate() {
            // What is cut off does not depend on the size.
            let input = size.unwrap_or(1 << 10) as u64;
            let (stride, dilation) = (window.strides[side] as u64, window.dilation[side] as u64);
            let axis = Axis {
                input,
                kernel: window.size[side] as u64,
                stride,
                dilation,
            };
            let output = axis.transposed_output(window.padding, output_padding.map(|extra| extra[side] as u64));
            let (Some(output), Some(span)) = (output, axis.span()) else {
                return Err(Fault::new(call.place(), "the size of the output leaves 64 bits"));
            };
            let before = match window.padding {
                Padding::Same => ((output.div_ceil(stride).max(1) - 1) * stride + span).saturating_sub(output) / 2,
                _ => 0,
            };
            let after = ((input - 1) * stride + span) as i64 - before as i64 - output as i64;
            pads[side] = before as i64;
            pads[count + side] = after.max(0);
            extra[side] = (-after).max(0);
        }
        let path = call.weight("kernel");
        let shape = self.weight_shape(&path)?;
        // Keras: (sides.., filters, channels). ONNX: (channels, filters, sides..).
        let kernel = self.kernel(&path, &shape, true)?;
        let bias = self.optional(call, "bias")?;
        let numbers = |numbers: &[usize]| numbers.iter().map(|&number| number as i64).collect::<Vec<i64>>();
        let attributes = Attributes::new()
            .ints("kernel_shape", &numbers(window.size))
            .ints("strides", &numbers(window.strides))
            .ints("dilations", &numbers(window.dilation))
            .ints("pads", &pads);
        // Values behind the last one that a tap reaches hold the bias; ONNX adds less than a stride of them.
        let beyond: Vec<i64> = extra
            .iter()
            .zip(window.strides)
            .map(|(&extra, &stride)| (extra - stride as i64 + 1).max(0))
            .collect();
        let within: Vec<i64> = extra
            .iter()
            .zip(&beyond)
            .map(|(extra, beyond)| extra - beyond)
            .collect();
        let attributes = attributes.ints("output_padding", &within);
        let y = self.channels_first(&x.name, x.rank(), format, |graph, x| {
            if beyond.iter().all(|&beyond| beyond == 0) {
                let inputs = if bias.is_empty() {
                    vec![x, &*kernel]
                } else {
                    vec![x, &*kernel, &*bias]
                };
                return graph.op_with("ConvTranspose", &inputs, attributes);
            }
            let y = graph.op_with("ConvTranspose", &[x, &kernel], attributes);
            let mut pads = vec![0i64; 2 * (count + 2)];
            pads[count + 4..].copy_from_slice(&beyond);
            let pads = graph.ints(&pads);
            let zero = graph.number(0.0);
            let y = graph.op("Pad", &[&y, &pads, &zero]);
            if bias.is_empty() {
                return y;
            }
            let axes: Vec<i64> = (1..=count as i64).collect();
            let bias = graph.unsqueezed(&bias, &axes);
            graph.op("Add", &[&y, &bias])
        });
        Ok(self.activated(activation, &y))
    }

    /// `MaxPooling…` and `AveragePooling…`; what padding adds does not count in a mean.
    pub(super) fn pooled(&mut self, kind: &str, x: &Value, window: &Window<'_>, format: DataFormat) -> String {
        let attributes = window.attributes(sides(x, format), Attributes::new());
        self.channels_first(&x.name, x.rank(), format, |graph, x| {
            graph.op_with(kind, &[x], attributes)
        })
    }

    /// `GlobalAveragePooling…` and `GlobalMaxPooling…`.
    pub(super) fn pooled_globally(&mut self, kind: &str, x: &Value, format: DataFormat, keepdims: bool) -> String {
        let first = if format == DataFormat::ChannelsLast { 1 } else { 2 };
        let axes: Vec<i64> = (first..first + x.rank() as i64 - 2).collect();
        self.reduced(kind, &x.name, &axes, keepdims)
    }

    /// `AdaptiveAveragePooling…` and `AdaptiveMaxPooling…`: window `i` of `m` on `n` values is `⌊i n / m⌋ .. ⌈(i + 1) n / m⌉`.
    pub(super) fn pooled_adaptively(
        &mut self,
        kind: &str,
        call: &Call<'_>,
        outputs: &[usize],
        format: DataFormat,
    ) -> Result<String> {
        let x = call.first().clone();
        let first = if format == DataFormat::ChannelsLast { 1 } else { 2 };
        let mut y = x.name.clone();
        for (side, &count) in outputs.iter().enumerate() {
            let axis = (first + side) as i64;
            let size = sides(&x, format)[side].ok_or_else(|| {
                Fault::new(
                    call.place(),
                    "adaptive pooling of images of any size; state the size of the input",
                )
            })?;
            let parts: Vec<String> = (0..count)
                .map(|index| {
                    let (start, end) = (index * size / count, ((index + 1) * size).div_ceil(count));
                    let part = self.sliced(&y, axis, start as i64, end as i64);
                    self.reduced(kind, &part, &[axis], true)
                })
                .collect();
            let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
            y = self.op_with("Concat", &parts, Attributes::new().int("axis", axis));
        }
        Ok(y)
    }
}
