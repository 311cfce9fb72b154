//! Each class of layers as operators: one line for what another file does, a few for what is short.

use nn_theory::{Activation, DataFormat, Layer, ModelSpec, NamedLayer, Shape};

use super::graph::{Attributes, Graph, INT64, Value};
use super::windows::Window;
use super::{Call, sizes};
use crate::fault::{Fault, Result};

/// A window of a layer whose fields have Keras' names.
macro_rules! window {
    ($layer:expr) => {
        Window {
            size: &$layer.kernel_size,
            strides: &$layer.strides,
            dilation: &$layer.dilation_rate,
            padding: $layer.padding,
        }
    };
}

macro_rules! pool {
    ($layer:expr) => {
        Window {
            size: &$layer.pool_size,
            strides: &$layer.strides,
            dilation: &[],
            padding: $layer.padding,
        }
    };
}

impl Graph<'_> {
    /// The outputs of a call, with their masks.
    pub(super) fn call(&mut self, call: &Call<'_>) -> Result<Vec<Value>> {
        if let Layer::Model(nested) = &call.node.layer {
            return self.model(&nested.model, &format!("{}/", call.path), call.inputs.clone());
        }
        if let Layer::Masking(_) = &call.node.layer {
            let (name, mask) = self.masking(call);
            return Ok(vec![Value {
                name,
                shape: call.first().shape.clone(),
                mask: Some(mask),
            }]);
        }
        let made = self.several(call)?;
        let masks = self.masks(call, made.len())?;
        let shapes = call.node.output_shapes.iter().map(sizes);
        Ok(made
            .into_iter()
            .zip(masks)
            .zip(shapes)
            .map(|((name, mask), shape)| Value { name, shape, mask })
            .collect())
    }

    /// Layers that may have several outputs.
    fn several(&mut self, call: &Call<'_>) -> Result<Vec<String>> {
        let first = |format| format == DataFormat::ChannelsFirst;
        match &call.node.layer {
            layer @ (Layer::SimpleRNN(_) | Layer::LSTM(_) | Layer::GRU(_)) => {
                self.recurrent(call, layer, &call.config, "", &call.inputs)
            }
            Layer::Bidirectional(layer) => self.bidirectional(call, layer),
            Layer::ConvLSTM1D(layer) => {
                let functions = [layer.activation, layer.recurrent_activation];
                self.conv_lstm(
                    call,
                    &window!(layer),
                    layer.filters,
                    functions,
                    first(layer.data_format),
                )
            }
            Layer::ConvLSTM2D(layer) => {
                let functions = [layer.activation, layer.recurrent_activation];
                self.conv_lstm(
                    call,
                    &window!(layer),
                    layer.filters,
                    functions,
                    first(layer.data_format),
                )
            }
            Layer::ConvLSTM3D(layer) => {
                let functions = [layer.activation, layer.recurrent_activation];
                self.conv_lstm(
                    call,
                    &window!(layer),
                    layer.filters,
                    functions,
                    first(layer.data_format),
                )
            }
            Layer::SpectralNormalization(layer) => {
                // In inference the kernel is used as it is; it was divided in training.
                let mut node = call.node.clone();
                node.layer = layer.layer.layer().clone();
                let inner = Call {
                    path: format!("{}/{}", call.path, layer.layer.name()),
                    config: layer.layer.0.config(),
                    inputs: call.inputs.clone(),
                    node: &node,
                };
                self.several(&inner)
            }
            layer => self.one(call, layer).map(|name| vec![name]),
        }
    }

    fn one(&mut self, call: &Call<'_>, layer: &Layer) -> Result<String> {
        let x = call.first();
        let names = || {
            call.inputs
                .iter()
                .map(|input| input.name.clone())
                .collect::<Vec<String>>()
        };
        match layer {
            Layer::Dense(layer) => self.dense(call, layer.activation),
            Layer::EinsumDense(layer) => self.einsum_dense(call, &layer.equation, layer.activation),
            Layer::Conv1D(layer) => {
                self.convolution(call, &window!(layer), layer.groups, layer.data_format, layer.activation)
            }
            Layer::Conv2D(layer) => {
                self.convolution(call, &window!(layer), layer.groups, layer.data_format, layer.activation)
            }
            Layer::Conv3D(layer) => {
                self.convolution(call, &window!(layer), layer.groups, layer.data_format, layer.activation)
            }
            Layer::Conv1DTranspose(layer) => {
                let padding = layer.output_padding.as_ref().map(<[usize; 1]>::as_slice);
                self.convolution_transposed(call, &window!(layer), padding, layer.data_format, layer.activation)
            }
            Layer::Conv2DTranspose(layer) => {
                let padding = layer.output_padding.as_ref().map(<[usize; 2]>::as_slice);
                self.convolution_transposed(call, &window!(layer), padding, layer.data_format, layer.activation)
            }
            Layer::Conv3DTranspose(layer) => {
                let padding = layer.output_padding.as_ref().map(<[usize; 3]>::as_slice);
                self.convolution_transposed(call, &window!(layer), padding, layer.data_format, layer.activation)
            }
            Layer::DepthwiseConv1D(layer) => self.depthwise(call, &window!(layer), layer.data_format, layer.activation),
            Layer::DepthwiseConv2D(layer) => self.depthwise(call, &window!(layer), layer.data_format, layer.activation),
            Layer::SeparableConv1D(layer) => self.separable(call, &window!(layer), layer.data_format, layer.activation),
            Layer::SeparableConv2D(layer) => self.separable(call, &window!(layer), layer.data_format, layer.activation),
            Layer::MaxPooling1D(layer) => Ok(self.pooled("MaxPool", x, &pool!(layer), layer.data_format)),
            Layer::MaxPooling2D(layer) => Ok(self.pooled("MaxPool", x, &pool!(layer), layer.data_format)),
            Layer::MaxPooling3D(layer) => Ok(self.pooled("MaxPool", x, &pool!(layer), layer.data_format)),
            Layer::AveragePooling1D(layer) => Ok(self.pooled("AveragePool", x, &pool!(layer), layer.data_format)),
            Layer::AveragePooling2D(layer) => Ok(self.pooled("AveragePool", x, &pool!(layer), layer.data_format)),
            Layer::AveragePooling3D(layer) => Ok(self.pooled("AveragePool", x, &pool!(layer), layer.data_format)),
            Layer::GlobalAveragePooling1D(layer) => match &x.mask {
                Some(mask) => {
                    let axis = if layer.data_format == DataFormat::ChannelsLast {
                        1
                    } else {
                        2
                    };
                    Ok(self.masked_mean(call, mask, axis, layer.keepdims))
                }
                None => Ok(self.pooled_globally("ReduceMean", x, layer.data_format, layer.keepdims)),
            },
            Layer::GlobalAveragePooling2D(layer) => {
                Ok(self.pooled_globally("ReduceMean", x, layer.data_format, layer.keepdims))
            }
            Layer::GlobalAveragePooling3D(layer) => {
                Ok(self.pooled_globally("ReduceMean", x, layer.data_format, layer.keepdims))
            }
            Layer::GlobalMaxPooling1D(layer) => {
                Ok(self.pooled_globally("ReduceMax", x, layer.data_format, layer.keepdims))
            }
            Layer::GlobalMaxPooling2D(layer) => {
                Ok(self.pooled_globally("ReduceMax", x, layer.data_format, layer.keepdims))
            }
            Layer::GlobalMaxPooling3D(layer) => {
                Ok(self.pooled_globally("ReduceMax", x, layer.data_format, layer.keepdims))
            }
            Layer::AdaptiveAveragePooling1D(layer) => {
                self.pooled_adaptively("ReduceMean", call, &layer.output_size, layer.data_format)
            }
            Layer::AdaptiveAveragePooling2D(layer) => {
                self.pooled_adaptively("ReduceMean", call, &layer.output_size, layer.data_format)
            }
            Layer::AdaptiveAveragePooling3D(layer) => {
                self.pooled_adaptively("ReduceMean", call, &layer.output_size, layer.data_format)
            }
            Layer::AdaptiveMaxPooling1D(layer) => {
                self.pooled_adaptively("ReduceMax", call, &layer.output_size, layer.data_format)
            }
            Layer::AdaptiveMaxPooling2D(layer) => {
                self.pooled_adaptively("ReduceMax", call, &layer.output_size, layer.data_format)
            }
            Layer::AdaptiveMaxPooling3D(layer) => {
                self.pooled_adaptively("ReduceMax", call, &layer.output_size, layer.data_format)
            }
            Layer::Flatten(layer) => Ok(self.flattened(x, layer.data_format)),
            Layer::Reshape(_) => self.shaped(call, &sizes(&call.node.output_shape)),
            Layer::Permute(layer) => Ok(self.transposed(&x.name, &[&[0], layer.dims.as_slice()].concat())),
            Layer::RepeatVector(layer) => Ok(self.repeated_vector(&x.name, layer.n)),
            // In inference these hand everything on.
            Layer::Dropout(_)
            | Layer::SpatialDropout1D(_)
            | Layer::SpatialDropout2D(_)
            | Layer::SpatialDropout3D(_)
            | Layer::AlphaDropout(_)
            | Layer::GaussianDropout(_)
            | Layer::GaussianNoise(_)
            | Layer::ActivityRegularization(_)
            | Layer::Identity(_) => Ok(x.name.clone()),
            Layer::Activation(layer) => Ok(self.activated(layer.activation, &x.name)),
            Layer::ReLU(layer) => Ok(self.rectified(&x.name, layer.max_value, layer.negative_slope, layer.threshold)),
            Layer::LeakyReLU(layer) => Ok(self.leaky(&x.name, layer.negative_slope)),
            Layer::ELU(layer) => Ok(self.elu(&x.name, layer.alpha)),
            Layer::PReLU(_) => {
                let alpha = self.weight(&call.weight("alpha"))?;
                Ok(self.op("PRelu", &[&x.name, &alpha]))
            }
            Layer::Softmax(_) => self.softmax(call),
            Layer::BatchNormalization(layer) => self.batch_normalization(call, layer),
            Layer::LayerNormalization(layer) => self.layer_normalization(call, layer),
            Layer::GroupNormalization(layer) => self.group_normalization(call, layer),
            Layer::RMSNormalization(layer) => self.root_mean_square(call, layer),
            Layer::UnitNormalization(_) => self.unit_normalization(call),
            Layer::Normalization(layer) => self.fixed_normalization(call, layer),
            Layer::ZeroPadding1D(layer) => Ok(self.padded(x, &layer.padding.0, layer.data_format)),
            Layer::ZeroPadding2D(layer) => Ok(self.padded(x, &layer.padding.0, layer.data_format)),
            Layer::ZeroPadding3D(layer) => Ok(self.padded(x, &layer.padding.0, layer.data_format)),
            Layer::Cropping1D(layer) => Ok(self.cropped(x, &layer.cropping.0, DataFormat::ChannelsLast)),
            Layer::Cropping2D(layer) => Ok(self.cropped(x, &layer.cropping.0, layer.data_format)),
            Layer::Cropping3D(layer) => Ok(self.cropped(x, &layer.cropping.0, layer.data_format)),
            Layer::UpSampling1D(layer) => Ok(self.repeated(&x.name, x.rank(), 1, layer.size)),
            Layer::UpSampling2D(layer) => self.up_sampled(call, &layer.size, layer.data_format),
            Layer::UpSampling3D(layer) => self.up_sampled(call, &layer.size, layer.data_format),
            Layer::Add(_) => Ok(self.folded("Add", &names())),
            Layer::Subtract(_) => Ok(self.folded("Sub", &names())),
            Layer::Multiply(_) => Ok(self.folded("Mul", &names())),
            Layer::Maximum(_) => Ok(self.folded("Max", &names())),
            Layer::Minimum(_) => Ok(self.folded("Min", &names())),
            Layer::Average(_) => {
                let sum = self.folded("Add", &names());
                let count = self.number(call.inputs.len() as f64);
                Ok(self.op("Div", &[&sum, &count]))
            }
            Layer::Concatenate(layer) => {
                let names = names();
                let all: Vec<&str> = names.iter().map(String::as_str).collect();
                Ok(self.op_with("Concat", &all, Attributes::new().int("axis", layer.axis)))
            }
            Layer::Dot(layer) => self.dot(call, layer),
            Layer::Embedding(_) => {
                let embeddings = self.weight(&call.weight("embeddings"))?;
                let indices = self.cast(&x.name, INT64);
                Ok(self.op("Gather", &[&embeddings, &indices]))
            }
            Layer::Rescaling(_) => Ok(self.rescaled(call)),
            Layer::Attention(_) => self.dot_attention(call),
            Layer::AdditiveAttention(_) => self.additive_attention(call),
            Layer::MultiHeadAttention(_) | Layer::GroupQueryAttention(_) => self.head_attention(call),
            Layer::TimeDistributed(layer) => self.time_distributed(call, &layer.layer.0),
            Layer::Operation(operation) => self.operation(call, operation),
            _ => Err(Fault::new(
                call.place(),
                "this program cannot run the layer, so it has no counterpart that could be checked",
            )),
        }
    }

    fn dense(&mut self, call: &Call<'_>, activation: Activation) -> Result<String> {
        let x = call.first();
        let kernel = self.weight(&call.weight("kernel"))?;
        let bias = self.optional(call, "bias")?;
        let y = if x.rank() == 2 {
            let inputs: Vec<&str> = [x.name.as_str(), &kernel]
                .into_iter()
                .chain((!bias.is_empty()).then_some(bias.as_str()))
                .collect();
            self.op("Gemm", &inputs)
        } else {
            let y = self.op("MatMul", &[&x.name, &kernel]);
            if bias.is_empty() {
                y
            } else {
                self.op("Add", &[&y, &bias])
            }
        };
        Ok(self.activated(activation, &y))
    }

    fn einsum_dense(&mut self, call: &Call<'_>, equation: &str, activation: Activation) -> Result<String> {
        let kernel = self.weight(&call.weight("kernel"))?;
        let equation: String = equation.split_whitespace().collect();
        let x = call.first().name.clone();
        let mut y = self.op_with("Einsum", &[&x, &kernel], Attributes::new().text("equation", &equation));
        let bias = self.optional(call, "bias")?;
        if !bias.is_empty() {
            y = self.op("Add", &[&y, &bias]);
        }
        Ok(self.activated(activation, &y))
    }

    /// `max_value` where above it, `x` above `threshold`, `negative_slope (x - threshold)` elsewhere.
    fn rectified(&mut self, x: &str, limit: Option<f64>, slope: f64, threshold: f64) -> String {
        let y = match (slope, threshold) {
            (slope, threshold) if slope == 0.0 && threshold == 0.0 => match limit {
                None => return self.op("Relu", &[x]),
                Some(limit) => return self.clipped(x, Some(0.0), Some(limit)),
            },
            (slope, threshold) => {
                let threshold = self.number(threshold);
                let slope = self.number(slope);
                let moved = self.op("Sub", &[x, &threshold]);
                let below = self.op("Mul", &[&moved, &slope]);
                let above = self.op("Greater", &[x, &threshold]);
                self.op("Where", &[&above, x, &below])
            }
        };
        match limit {
            None => y,
            Some(limit) => {
                let limit = self.number(limit);
                self.op("Min", &[&y, &limit])
            }
        }
    }

    /// Softmax over one axis or several together; what a mask holds back is 0.
    fn softmax(&mut self, call: &Call<'_>) -> Result<String> {
        let x = call.first();
        let mut axes = call
            .integers("axis")
            .unwrap_or_else(|| vec![-1])
            .into_iter()
            .map(|axis| call.axis(axis))
            .collect::<Result<Vec<_>>>()?;
        axes.sort_unstable();
        axes.dedup();
        let mask = x
            .mask
            .as_ref()
            .map(|mask| (mask.clone(), self.number(-1e9), self.number(0.0)));
        let seen = match &mask {
            None => x.name.clone(),
            Some((mask, low, _)) => self.op("Where", &[mask, &x.name, low]),
        };
        let y = if let [axis] = axes.as_slice() {
            self.op_with("Softmax", &[&seen], Attributes::new().int("axis", *axis as i64))
        } else {
            let axes: Vec<i64> = axes.iter().map(|&axis| axis as i64).collect();
            let largest = self.reduced("ReduceMax", &seen, &axes, true);
            let moved = self.op("Sub", &[&seen, &largest]);
            let powers = self.op("Exp", &[&moved]);
            let sum = self.reduced("ReduceSum", &powers, &axes, true);
            self.op("Div", &[&powers, &sum])
        };
        Ok(match &mask {
            None => y,
            Some((mask, _, zero)) => self.op("Where", &[mask, &y, zero]),
        })
    }

    /// `scale · x + offset`, numbers or one of each for every channel.
    fn rescaled(&mut self, call: &Call<'_>) -> String {
        let numbers = |key: &str, default: f64| match call.config.get(key) {
            Some(serde_json::Value::Array(items)) => items.iter().filter_map(serde_json::Value::as_f64).collect(),
            value => vec![value.and_then(serde_json::Value::as_f64).unwrap_or(default)],
        };
        let mut constant = |numbers: Vec<f64>| match numbers.as_slice() {
            [number] => self.number(*number),
            numbers => self.numbers(numbers, vec![numbers.len()]),
        };
        let (scale, offset) = (constant(numbers("scale", 1.0)), constant(numbers("offset", 0.0)));
        let scaled = self.op("Mul", &[&call.first().name, &scale]);
        self.op("Add", &[&scaled, &offset])
    }

    /// The layer inside on all steps at once.
    fn time_distributed(&mut self, call: &Call<'_>, layer: &NamedLayer) -> Result<String> {
        let x = call.first().clone();
        let mut step = call.node.input_shapes.first().cloned().unwrap_or_default();
        if step.rank() > 1 {
            step.0.remove(1);
        }
        let inside = single(layer, &step).map_err(|error| Fault::new(call.place(), error.to_string()))?;
        let shape = self.op("Shape", &[&x.name]);
        let flat = self.without_steps(&x.name, &shape);
        // A mask of steps only says nothing about what lies in a step.
        let value = Value {
            name: flat,
            shape: sizes(&step),
            mask: None,
        };
        let outer = self.layer.clone();
        let made = self.model(&inside, &format!("{}/", call.path), vec![value])?;
        self.layer = outer;
        let y = made
            .into_iter()
            .next()
            .ok_or_else(|| Fault::new(call.place(), "the layer inside has no output"))?;
        let batch_and_steps = self.sliced(&shape, 0, 0, 2);
        let made = self.op("Shape", &[&y.name]);
        let rest = self.sliced(&made, 0, 1, i64::MAX);
        let shape = self.op_with("Concat", &[&batch_and_steps, &rest], Attributes::new().int("axis", 0));
        Ok(self.op("Reshape", &[&y.name, &shape]))
    }

    /// `(batch, steps, ...)` as `(batch · steps, ...)`.
    fn without_steps(&mut self, x: &str, shape: &str) -> String {
        let rest = self.sliced(shape, 0, 2, i64::MAX);
        let all = self.ints(&[-1]);
        let shape = self.op_with("Concat", &[&all, &rest], Attributes::new().int("axis", 0));
        self.op("Reshape", &[x, &shape])
    }
}

/// A model of one layer, under the layer's own name.
fn single(layer: &NamedLayer, input: &Shape) -> nn_theory::Result<ModelSpec> {
    let mut graph = ModelSpec::functional("inside");
    let x = graph.input(Shape(input.0.get(1..).unwrap_or_default().to_vec()))?;
    let y = graph.layer(layer.clone(), x)?;
    graph.build(x, y)
}
