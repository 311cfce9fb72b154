//! `Conv1D`, `Conv2D`, `Conv3D`: the same small kernel at every place of a sequence, image or volume.

use super::{LayerSpec, positive, single};
use crate::{
    Activation, DataFormat, Initializer, Padding, Shape,
    convolution::Axis,
    error::Problem,
    formula::{Expr, bias_one, num},
    initializer::glorot_uniform,
    shape::product,
    weight::Weight,
};
use serde_json::Value;

/// Axis of the channels and first spatial axis of an input of `rank`.
pub(crate) fn channel_axis(rank: usize, format: DataFormat) -> (usize, usize) {
    match format {
        DataFormat::ChannelsLast => (rank - 1, 1),
        DataFormat::ChannelsFirst => (1, 2),
    }
}

/// The form of an image-like input, for error messages.
pub(crate) fn image_form(spatial: usize, format: DataFormat) -> String {
    let names = match spatial {
        1 => "steps",
        2 => "height, width",
        _ => "depth, height, width",
    };
    match format {
        DataFormat::ChannelsLast => format!("(batch, {names}, channels)"),
        DataFormat::ChannelsFirst => format!("(batch, channels, {names})"),
    }
}

/// Sizes as people write them: `5x5`.
pub(crate) fn times(sizes: &[impl ToString]) -> String {
    sizes.iter().map(ToString::to_string).collect::<Vec<_>>().join("x")
}

/// A sliding window over the spatial axes of an input: what convolutions and poolings have in common.
pub(crate) struct Window<'a> {
    pub(crate) what: &'static str,
    pub(crate) size: &'a [usize],
    pub(crate) strides: &'a [usize],
    pub(crate) dilation: &'a [usize],
    pub(crate) padding: Padding,
    pub(crate) format: DataFormat,
}

impl Window<'_> {
    /// The output shape with its own number of channels (`None`: that of the input).
    pub(crate) fn output(&self, input: &Shape, channels: Option<u64>) -> Result<Shape, Problem> {
        let spatial = self.size.len();
        input.expect_rank(spatial + 2, &image_form(spatial, self.format))?;
        let (channel, first) = channel_axis(input.rank(), self.format);
        let mut dims = input.0.clone();
        for i in 0..spatial {
            let Some(size) = dims[first + i] else { continue };
            let axis = Axis {
                input: size,
                kernel: self.size[i] as u64,
                stride: self.strides[i] as u64,
                dilation: self.dilation.get(i).map_or(1, |&d| d as u64),
            };
            let too_large = || Problem::too_large(format!("the span of the {} {}", self.what, times(self.size)));
            let output = axis.output(self.padding).ok_or_else(too_large)?;
            if output == 0 {
                let sizes: Vec<String> = input.0[first..first + spatial]
                    .iter()
                    .map(|d| d.map_or("?".to_owned(), |d| d.to_string()))
                    .collect();
                let dilated = if self.dilation.iter().any(|&d| d > 1) {
                    format!(" with dilation {}", times(self.dilation))
                } else {
                    String::new()
                };
                return Err(Problem::shape(format!(
                    "{} {}{dilated} does not fit its input {} (padding '{}'); use padding 'same' or a smaller {}",
                    self.what,
                    times(self.size),
                    times(&sizes),
                    self.padding,
                    self.what
                )));
            }
            dims[first + i] = Some(output);
        }
        if channels.is_some() {
            dims[channel] = channels;
        }
        Ok(Shape(dims))
    }
}

/// What the plain convolutions of one, two and three dimensions share.
pub(crate) struct Convolution<'a> {
    pub(crate) filters: usize,
    pub(crate) groups: usize,
    pub(crate) use_bias: bool,
    pub(crate) kernel_initializer: &'a Initializer,
    pub(crate) bias_initializer: &'a Initializer,
    pub(crate) window: Window<'a>,
}

/// Names of the kernel's sides, for formulas.
pub(crate) fn side_names(sides: usize) -> &'static [&'static str] {
    match sides {
        1 => &["kernel_length"],
        2 => &["kernel_height", "kernel_width"],
        _ => &["kernel_depth", "kernel_height", "kernel_width"],
    }
}

impl Convolution<'_> {
    fn channels(&self, inputs: &[Shape]) -> Result<u64, Problem> {
        let input = single(inputs)?;
        let spatial = self.window.size.len();
        input.expect_rank(spatial + 2, &image_form(spatial, self.window.format))?;
        input.required(
            channel_axis(input.rank(), self.window.format).0 as i64,
            "the number of channels",
        )
    }

    pub(crate) fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Problem> {
        positive("filters", &[self.filters])?;
        positive("kernel_size", self.window.size)?;
        positive("strides", self.window.strides)?;
        positive("dilation_rate", self.window.dilation)?;
        positive("groups", &[self.groups])?;
        if self.window.strides.iter().any(|&s| s > 1) && self.window.dilation.iter().any(|&d| d > 1) {
            return Err(Problem::key(
                "dilation_rate",
                "cannot be above 1 together with strides above 1; set one of them to 1",
            ));
        }
        if !self.filters.is_multiple_of(self.groups) {
            let (filters, groups) = (self.filters, self.groups);
            return Err(Problem::key(
                "groups",
                format!("must divide the {filters} filters, found {groups}"),
            ));
        }
        let channels = self.channels(inputs)?;
        if channels % self.groups as u64 != 0 {
            return Err(Problem::key(
                "groups",
                format!(
                    "must divide the {channels} channels of the input, found {}",
                    self.groups
                ),
            ));
        }
        Ok(vec![self.window.output(single(inputs)?, Some(self.filters as u64))?])
    }

    pub(crate) fn weights(&self, inputs: &[Shape]) -> Result<Vec<Weight>, Problem> {
        let sides = side_names(self.window.size.len());
        let mut dims: Vec<(u64, &'static str)> = self
            .window
            .size
            .iter()
            .zip(sides)
            .map(|(&size, side)| (size as u64, *side))
            .collect();
        dims.push((self.channels(inputs)? / self.groups.max(1) as u64, "channels"));
        dims.push((self.filters as u64, "filters"));
        let mut weights = vec![Weight::new("kernel", dims, self.kernel_initializer)];
        if self.use_bias {
            weights.push(Weight::new(
                "bias",
                [(self.filters as u64, "filters")],
                self.bias_initializer,
            ));
        }
        Ok(weights)
    }

    fn patch(&self, inputs: &[Shape]) -> Result<Expr, Problem> {
        let sides = side_names(self.window.size.len());
        let mut patch: Vec<Expr> = self
            .window
            .size
            .iter()
            .zip(sides)
            .map(|(&size, side)| num(size as u64, side, "side of the kernel"))
            .collect();
        let channels = self.channels(inputs)? / self.groups.max(1) as u64;
        let meaning = if self.groups > 1 {
            "channels of the input that a group reads"
        } else {
            "channels of the input"
        };
        patch.push(num(channels, "channels", meaning));
        Ok(Expr::Product(patch))
    }

    pub(crate) fn parameters(&self, inputs: &[Shape]) -> Result<Option<Expr>, Problem> {
        let patch = self.patch(inputs)?;
        let filters = num(
            self.filters as u64,
            "filters",
            "filters, each with its own kernel and bias",
        );
        let column = if self.use_bias {
            Expr::Sum(vec![patch, bias_one()])
        } else {
            patch
        };
        Ok(Some(Expr::Product(vec![column, filters])))
    }

    pub(crate) fn multiply_adds(&self, inputs: &[Shape], outputs: &[Shape]) -> Result<Option<Expr>, Problem> {
        let Some(values) = product(outputs[0].sample(), "the number of output values")? else {
            return Ok(None);
        };
        let values = num(values, "outputs", "values of the output");
        Ok(Some(Expr::Product(vec![values, self.patch(inputs)?])))
    }
}

macro_rules! convolution {
    ($(#[$doc:meta])* $name:ident, $sides:literal) => {
        layer! {
            $(#[$doc])*
            $name(
                /// Number of filters, the channels of the output.
                filters: usize,
                /// Sides of the kernel.
                kernel_size: [usize; $sides],
            ) {
                /// Steps of the kernel.
                strides: [usize; $sides] = [1; $sides],
                /// What is added around the input.
                padding: Padding = Padding::Valid,
                /// Where the channels are.
                data_format: DataFormat = DataFormat::ChannelsLast,
                /// Distance of neighbouring kernel values.
                dilation_rate: [usize; $sides] = [1; $sides],
                /// Number of groups that the channels are split into.
                groups: usize = 1,
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
                /// Regularizer of the output, as Keras configures it.
                activity_regularizer: Value = Value::Null,
                /// Constraint of the kernel, as Keras configures it.
                kernel_constraint: Value = Value::Null,
                /// Constraint of the bias, as Keras configures it.
                bias_constraint: Value = Value::Null,
            }
        }

        impl $name {
            fn convolution(&self) -> Convolution<'_> {
                Convolution {
                    filters: self.filters,
                    groups: self.groups,
                    use_bias: self.use_bias,
                    kernel_initializer: &self.kernel_initializer,
                    bias_initializer: &self.bias_initializer,
                    window: Window {
                        what: "kernel",
                        size: &self.kernel_size,
                        strides: &self.strides,
                        dilation: &self.dilation_rate,
                        padding: self.padding,
                        format: self.data_format,
                    },
                }
            }
        }

        impl LayerSpec for $name {
            fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Problem> {
                self.convolution().output_shapes(inputs)
            }

            fn weights(&self, inputs: &[Shape]) -> Result<Vec<Weight>, Problem> {
                self.convolution().weights(inputs)
            }

            fn parameters(&self, inputs: &[Shape]) -> Result<Option<Expr>, Problem> {
                self.convolution().parameters(inputs)
            }

            fn multiply_adds(&self, inputs: &[Shape], outputs: &[Shape]) -> Result<Option<Expr>, Problem> {
                self.convolution().multiply_adds(inputs, outputs)
            }

            fn needs_shape(&self) -> bool {
                true
            }
        }
    };
}

convolution! {
    /// Convolution of a sequence (`keras.layers.Conv1D`): input `(batch, steps, channels)`, kernel
    /// `(kernel length, channels / groups, filters)`.
    Conv1D, 1
}

convolution! {
    /// Two-dimensional convolution (`keras.layers.Conv2D`).
    ///
    /// Input `(batch, height, width, channels)`, output `(batch, height', width', filters)` with the sizes of
    /// [`crate::convolution`], kernel `(kernel height, kernel width, channels / groups, filters)`, parameters
    /// `(kernel height · kernel width · channels / groups + 1) · filters`.
    ///
    /// ```
    /// use nn_theory::{Conv2D, Layer, Shape};
    /// let layer = Layer::from(Conv2D::new(8, [5, 5]));
    /// assert_eq!(layer.parameters(&[Shape::batched([32, 32, 1])])?.to_string(), "(5 × 5 × 1 + 1) × 8 = 208");
    /// # Ok::<(), nn_theory::Error>(())
    /// ```
    Conv2D, 2
}

convolution! {
    /// Convolution of a volume (`keras.layers.Conv3D`): input `(batch, depth, height, width, channels)`.
    Conv3D, 3
}
