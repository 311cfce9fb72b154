//! Convolutions with another kernel: transposed, depthwise, separable.

use super::{
    LayerSpec,
    convolution::{Window, channel_axis, image_form, side_names},
    positive, single,
};
use crate::{
    Activation, DataFormat, Initializer, Padding, Shape,
    convolution::Axis,
    error::Problem,
    formula::{Expr, num},
    initializer::glorot_uniform,
    shape::product,
    weight::Weight,
};
use serde_json::Value;

/// Channels of the input of a layer with `sides` spatial axes.
fn channels(inputs: &[Shape], sides: usize, format: DataFormat) -> Result<u64, Problem> {
    let input = single(inputs)?;
    input.expect_rank(sides + 2, &image_form(sides, format))?;
    input.required(channel_axis(input.rank(), format).0 as i64, "the number of channels")
}

/// The sides of a kernel followed by two more dimensions.
fn kernel_dims(sides: &[usize], rest: [(u64, &'static str); 2]) -> Vec<(u64, &'static str)> {
    let names = side_names(sides.len());
    sides
        .iter()
        .zip(names)
        .map(|(&size, name)| (size as u64, *name))
        .chain(rest)
        .collect()
}

fn multiplied(channels: u64, multiplier: usize) -> Result<u64, Problem> {
    channels
        .checked_mul(multiplier as u64)
        .ok_or_else(|| Problem::too_large("the number of output channels"))
}

/// One kernel value a multiplication: output values times the size of a patch.
fn patch_cost(outputs: &Shape, sides: &[usize], more: Option<Expr>) -> Result<Option<Expr>, Problem> {
    let Some(values) = product(outputs.sample(), "the number of output values")? else {
        return Ok(None);
    };
    let mut factors = vec![num(values, "outputs", "values of the output")];
    factors.extend(
        sides
            .iter()
            .zip(side_names(sides.len()))
            .map(|(&size, name)| num(size as u64, name, "side of the kernel")),
    );
    factors.extend(more);
    Ok(Some(Expr::Product(factors)))
}

macro_rules! transposed {
    ($($doc:literal $name:ident: $sides:literal;)*) => {$(
        layer! {
            #[doc = $doc]
            $name(
                /// Number of filters, the channels of the output.
                filters: usize,
                /// Sides of the kernel.
                kernel_size: [usize; $sides],
            ) {
                /// Steps between the places where the values of the input go.
                strides: [usize; $sides] = [1; $sides],
                /// What is cut off the result.
                padding: Padding = Padding::Valid,
                /// Extra values at the end of each axis.
                output_padding: Option<[usize; $sides]> = None,
                /// Where the channels are.
                data_format: DataFormat = DataFormat::ChannelsLast,
                /// Distance of neighbouring kernel values.
                dilation_rate: [usize; $sides] = [1; $sides],
                /// Function applied to the output.
                activation: Activation = Activation::Linear,
                /// Whether a bias is added.
                use_bias: bool = true,
                /// Initializer of the kernel.
                kernel_initializer: Initializer = glorot_uniform(),
                /// Initializer of the bias.
                bias_initializer: Initializer = Initializer::Zeros,
                /// Regularizer of the kernel, as Keras configures it.
                kernel_regularizer: Value = Value::Null,
                /// Regularizer of the bias, as Keras configures it.
                bias_regularizer: Value = Value::Null,
            }
        }

        impl LayerSpec for $name {
            fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Problem> {
                positive("filters", &[self.filters])?;
                positive("kernel_size", &self.kernel_size)?;
                positive("strides", &self.strides)?;
                positive("dilation_rate", &self.dilation_rate)?;
                channels(inputs, $sides, self.data_format)?;
                let input = single(inputs)?;
                let (channel, first) = channel_axis(input.rank(), self.data_format);
                let mut dims = input.0.clone();
                for i in 0..$sides {
                    let Some(size) = dims[first + i] else { continue };
                    let axis = Axis {
                        input: size,
                        kernel: self.kernel_size[i] as u64,
                        stride: self.strides[i] as u64,
                        dilation: self.dilation_rate[i] as u64,
                    };
                    let output = axis.transposed_output(self.padding, self.output_padding.map(|extra| extra[i] as u64));
                    dims[first + i] = Some(output.ok_or_else(|| Problem::too_large("the size of the output"))?);
                }
                dims[channel] = Some(self.filters as u64);
                Ok(vec![Shape(dims)])
            }

            fn weights(&self, inputs: &[Shape]) -> Result<Vec<Weight>, Problem> {
                let channels = channels(inputs, $sides, self.data_format)?;
                let filters = (self.filters as u64, "filters");
                let dims = kernel_dims(&self.kernel_size, [filters, (channels, "channels")]);
                let mut weights = vec![Weight::new("kernel", dims, &self.kernel_initializer)];
                if self.use_bias {
                    weights.push(Weight::new("bias", [filters], &self.bias_initializer));
                }
                Ok(weights)
            }

            fn multiply_adds(&self, inputs: &[Shape], _: &[Shape]) -> Result<Option<Expr>, Problem> {
                // Every input value meets every kernel value of its channel once.
                let filters = num(self.filters as u64, "filters", "channels of the output");
                let cost = patch_cost(single(inputs)?, &self.kernel_size, Some(filters))?;
                Ok(cost)
            }

            fn needs_shape(&self) -> bool {
                true
            }
        }
    )*};
}

transposed! {
    "The transposed convolution of a sequence (`keras.layers.Conv1DTranspose`)." Conv1DTranspose: 1;
    "The transposed convolution of an image (`keras.layers.Conv2DTranspose`): kernel `(kernel height, kernel width, filters, channels)`." Conv2DTranspose: 2;
    "The transposed convolution of a volume (`keras.layers.Conv3DTranspose`)." Conv3DTranspose: 3;
}

macro_rules! depthwise {
    ($($doc:literal $name:ident: $sides:literal;)*) => {$(
        layer! {
            #[doc = $doc]
            $name(
                /// Sides of the kernel.
                kernel_size: [usize; $sides]
            ) {
                /// Kernels a channel.
                depth_multiplier: usize = 1,
                /// Steps of the kernel.
                strides: [usize; $sides] = [1; $sides],
                /// What is added around the input.
                padding: Padding = Padding::Valid,
                /// Where the channels are.
                data_format: DataFormat = DataFormat::ChannelsLast,
                /// Distance of neighbouring kernel values.
                dilation_rate: [usize; $sides] = [1; $sides],
                /// Function applied to the output.
                activation: Activation = Activation::Linear,
                /// Whether a bias is added.
                use_bias: bool = true,
                /// Initializer of the kernel.
                depthwise_initializer: Initializer = glorot_uniform(),
                /// Initializer of the bias.
                bias_initializer: Initializer = Initializer::Zeros,
            }
        }

        impl LayerSpec for $name {
            fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Problem> {
                positive("kernel_size", &self.kernel_size)?;
                positive("depth_multiplier", &[self.depth_multiplier])?;
                positive("strides", &self.strides)?;
                positive("dilation_rate", &self.dilation_rate)?;
                let window = Window {
                    what: "kernel",
                    size: &self.kernel_size,
                    strides: &self.strides,
                    dilation: &self.dilation_rate,
                    padding: self.padding,
                    format: self.data_format,
                };
                let channels = multiplied(channels(inputs, $sides, self.data_format)?, self.depth_multiplier)?;
                Ok(vec![window.output(single(inputs)?, Some(channels))?])
            }

            fn weights(&self, inputs: &[Shape]) -> Result<Vec<Weight>, Problem> {
                let channels = channels(inputs, $sides, self.data_format)?;
                let rest = [(channels, "channels"), (self.depth_multiplier as u64, "depth_multiplier")];
                let dims = kernel_dims(&self.kernel_size, rest);
                let mut weights = vec![Weight::new("kernel", dims, &self.depthwise_initializer)];
                if self.use_bias {
                    let outputs = multiplied(channels, self.depth_multiplier)?;
                    weights.push(Weight::new("bias", [(outputs, "output_channels")], &self.bias_initializer));
                }
                Ok(weights)
            }

            fn multiply_adds(&self, _: &[Shape], outputs: &[Shape]) -> Result<Option<Expr>, Problem> {
                patch_cost(&outputs[0], &self.kernel_size, None)
            }

            fn needs_shape(&self) -> bool {
                true
            }
        }
    )*};
}

depthwise! {
    "A convolution for each channel of a sequence (`keras.layers.DepthwiseConv1D`)." DepthwiseConv1D: 1;
    "A convolution for each channel of an image (`keras.layers.DepthwiseConv2D`): kernel `(kernel height, kernel width, channels, depth_multiplier)`." DepthwiseConv2D: 2;
}

macro_rules! separable {
    ($($doc:literal $name:ident: $sides:literal;)*) => {$(
        layer! {
            #[doc = $doc]
            $name(
                /// Number of filters, the channels of the output.
                filters: usize,
                /// Sides of the kernel.
                kernel_size: [usize; $sides],
            ) {
                /// Kernels a channel in the first step.
                depth_multiplier: usize = 1,
                /// Steps of the kernel.
                strides: [usize; $sides] = [1; $sides],
                /// What is added around the input.
                padding: Padding = Padding::Valid,
                /// Where the channels are.
                data_format: DataFormat = DataFormat::ChannelsLast,
                /// Distance of neighbouring kernel values.
                dilation_rate: [usize; $sides] = [1; $sides],
                /// Function applied to the output.
                activation: Activation = Activation::Linear,
                /// Whether a bias is added.
                use_bias: bool = true,
                /// Initializer of the kernel of the first step.
                depthwise_initializer: Initializer = glorot_uniform(),
                /// Initializer of the kernel of the second step.
                pointwise_initializer: Initializer = glorot_uniform(),
                /// Initializer of the bias.
                bias_initializer: Initializer = Initializer::Zeros,
            }
        }

        impl LayerSpec for $name {
            fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Problem> {
                positive("filters", &[self.filters])?;
                positive("kernel_size", &self.kernel_size)?;
                positive("depth_multiplier", &[self.depth_multiplier])?;
                positive("strides", &self.strides)?;
                positive("dilation_rate", &self.dilation_rate)?;
                channels(inputs, $sides, self.data_format)?;
                let window = Window {
                    what: "kernel",
                    size: &self.kernel_size,
                    strides: &self.strides,
                    dilation: &self.dilation_rate,
                    padding: self.padding,
                    format: self.data_format,
                };
                Ok(vec![window.output(single(inputs)?, Some(self.filters as u64))?])
            }

            fn weights(&self, inputs: &[Shape]) -> Result<Vec<Weight>, Problem> {
                let channels = channels(inputs, $sides, self.data_format)?;
                let middle = multiplied(channels, self.depth_multiplier)?;
                let filters = (self.filters as u64, "filters");
                let rest = [(channels, "channels"), (self.depth_multiplier as u64, "depth_multiplier")];
                let depthwise = kernel_dims(&self.kernel_size, rest);
                let pointwise = kernel_dims(&[1; $sides], [(middle, "middle_channels"), filters]);
                let mut weights = vec![
                    Weight::new("depthwise_kernel", depthwise, &self.depthwise_initializer),
                    Weight::new("pointwise_kernel", pointwise, &self.pointwise_initializer),
                ];
                if self.use_bias {
                    weights.push(Weight::new("bias", [filters], &self.bias_initializer));
                }
                Ok(weights)
            }

            fn multiply_adds(&self, inputs: &[Shape], outputs: &[Shape]) -> Result<Option<Expr>, Problem> {
                let middle = multiplied(channels(inputs, $sides, self.data_format)?, self.depth_multiplier)?;
                let Some(values) = product(outputs[0].sample(), "the number of output values")? else { return Ok(None) };
                let positions = num(values / (self.filters.max(1) as u64), "positions", "places of the kernel");
                let sides = self.kernel_size.iter().zip(side_names($sides));
                let mut patch: Vec<Expr> = sides.map(|(&size, name)| num(size as u64, name, "side of the kernel")).collect();
                let between = num(middle, "middle_channels", "channels between the two steps");
                patch.push(between.clone());
                let second = Expr::Product(vec![between, num(self.filters as u64, "filters", "channels of the output")]);
                Ok(Some(Expr::Product(vec![positions, Expr::Sum(vec![Expr::Product(patch), second])])))
            }

            fn needs_shape(&self) -> bool {
                true
            }
        }
    )*};
}

separable! {
    "A depthwise convolution of a sequence, then one of length 1 (`keras.layers.SeparableConv1D`)." SeparableConv1D: 1;
    "A depthwise convolution of an image, then a 1x1 convolution (`keras.layers.SeparableConv2D`; Chollet, 2017)." SeparableConv2D: 2;
}
