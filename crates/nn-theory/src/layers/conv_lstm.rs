//! LSTM whose products are convolutions.

use super::{
    LayerSpec,
    convolution::{Window, channel_axis, side_names},
    positive,
};
use crate::{
    Activation, DataFormat, Initializer, Padding, Shape,
    error::Problem,
    formula::{Expr, num},
    initializer::{glorot_uniform, orthogonal},
    weight::Weight,
};

/// The shape of one step of a sequence of images.
fn step(inputs: &[Shape], sides: usize) -> Result<Shape, Problem> {
    let input = inputs
        .first()
        .ok_or_else(|| Problem::shape("takes a sequence, found no input"))?;
    input.expect_rank(sides + 3, "(batch, steps, spatial axes and channels)")?;
    let mut dims = input.0.clone();
    dims.remove(1);
    Ok(Shape(dims))
}

macro_rules! conv_lstm {
    ($($doc:literal $name:ident: $sides:literal;)*) => {$(
        layer! {
            #[doc = $doc]
            $name(
                /// Number of filters, the channels of the state.
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
                /// Function applied to the candidate.
                activation: Activation = Activation::Tanh,
                /// Function applied to the gates.
                recurrent_activation: Activation = Activation::Sigmoid,
                /// Whether a bias is added.
                use_bias: bool = true,
                /// Initializer of the kernel.
                kernel_initializer: Initializer = glorot_uniform(),
                /// Initializer of the recurrent kernel.
                recurrent_initializer: Initializer = orthogonal(),
                /// Initializer of the bias.
                bias_initializer: Initializer = Initializer::Zeros,
                /// Whether the output has one state a step, or only the last one.
                return_sequences: bool = false,
                /// Whether the last states are outputs of their own.
                return_state: bool = false,
            }
        }

        impl LayerSpec for $name {
            fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Problem> {
                positive("filters", &[self.filters])?;
                positive("kernel_size", &self.kernel_size)?;
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
                let state = window.output(&step(inputs, $sides)?, Some(self.filters as u64))?;
                let mut output = state.clone();
                if self.return_sequences {
                    output.0.insert(1, inputs[0].0[1]);
                }
                let mut outputs = vec![output];
                if self.return_state {
                    outputs.extend([state.clone(), state]);
                }
                Ok(outputs)
            }

            fn weights(&self, inputs: &[Shape]) -> Result<Vec<Weight>, Problem> {
                let step = step(inputs, $sides)?;
                let channels = step.required(channel_axis(step.rank(), self.data_format).0 as i64, "the number of channels")?;
                let wide = (self.filters as u64).checked_mul(4).ok_or_else(|| Problem::too_large("4 × filters"))?;
                let wide = (wide, "gates × filters");
                let sides = || self.kernel_size.iter().zip(side_names($sides)).map(|(&size, name)| (size as u64, *name));
                let kernel = |channels: (u64, &'static str)| sides().chain([channels, wide]).collect::<Vec<_>>();
                let mut weights = vec![
                    Weight::new("conv_lstm_cell/kernel", kernel((channels, "channels")), &self.kernel_initializer),
                    Weight::new(
                        "conv_lstm_cell/recurrent_kernel",
                        kernel((self.filters as u64, "filters")),
                        &self.recurrent_initializer,
                    ),
                ];
                if self.use_bias {
                    weights.push(Weight::new("conv_lstm_cell/bias", [wide], &self.bias_initializer));
                }
                Ok(weights)
            }

            fn multiply_adds(&self, inputs: &[Shape], outputs: &[Shape]) -> Result<Option<Expr>, Problem> {
                let (Some(steps), Some(state)) = (inputs[0].0[1], outputs.last()) else {
                    return Ok(None);
                };
                // The sides of the last state, or those of the only output, which may have its steps in front.
                let sides = state.rank() - 1 - $sides;
                let sides = match self.data_format {
                    DataFormat::ChannelsLast => &state.0[sides..state.rank() - 1],
                    DataFormat::ChannelsFirst => &state.0[state.rank() - $sides..],
                };
                let Some(sides) = sides.iter().copied().collect::<Option<Vec<u64>>>() else {
                    return Ok(None);
                };
                let kernels = self.weights(inputs)?;
                let kernels = kernels.iter().filter(|weight| weight.name.ends_with("kernel"));
                let mut factors = vec![num(steps, "steps", "steps of the sequence")];
                factors.extend(sides.into_iter().map(|side| num(side, "side", "places of the state on one side")));
                factors.push(Expr::Sum(kernels.map(Weight::expression).collect()));
                Ok(Some(Expr::Product(factors)))
            }

            fn needs_shape(&self) -> bool {
                true
            }
        }
    )*};
}

conv_lstm! {
    "LSTM over a sequence of sequences (`keras.layers.ConvLSTM1D`; Shi et al., 2015)." ConvLSTM1D: 1;
    "LSTM over a sequence of images (`keras.layers.ConvLSTM2D`; Shi et al., 2015)." ConvLSTM2D: 2;
    "LSTM over a sequence of volumes (`keras.layers.ConvLSTM3D`; Shi et al., 2015)." ConvLSTM3D: 3;
}

#[cfg(test)]
mod tests {
    use super::ConvLSTM2D;
    use crate::{Layer, Shape};

    /// Both products of a step are convolutions to the places of the state.
    #[test]
    fn multiply_adds_are_those_of_two_convolutions_a_step() {
        let images = Shape::batched([5, 8, 8, 2]);
        for (sequences, states) in [(false, false), (true, false), (true, true)] {
            let layer = ConvLSTM2D::new(4, [3, 3]);
            let layer = Layer::from(layer.return_sequences(sequences).return_state(states));
            let cost = layer.multiply_adds(std::slice::from_ref(&images)).unwrap().unwrap();
            assert_eq!(cost.value(), 5 * 6 * 6 * (3 * 3 * 2 * 16 + 3 * 3 * 4 * 16));
        }
    }
}
