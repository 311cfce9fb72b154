//! Layers that go through a sequence step by step.

use super::{LayerSpec, positive};
use crate::{
    Activation, Initializer, Shape,
    error::Problem,
    formula::{Expr, bias_one, num},
    initializer::{glorot_uniform, orthogonal},
    weight::Weight,
};

/// What the three recurrent layers share; `gates` is the number of matrices side by side in the kernel.
struct Cell<'a> {
    name: &'static str,
    units: usize,
    gates: u64,
    /// Shape of the bias: one row, or two when the recurrent part has its own.
    bias_rows: u64,
    states: usize,
    return_sequences: bool,
    return_state: bool,
    initializers: [&'a Initializer; 3],
}

/// The matrices of a cell: `gates` of them side by side in each kernel.
pub(super) struct Gates<'a> {
    pub(super) units: usize,
    pub(super) gates: u64,
    /// Shape of the bias: one row, or two when the recurrent part has its own.
    pub(super) bias_rows: u64,
    pub(super) initializers: [&'a Initializer; 3],
}

impl Gates<'_> {
    pub(super) fn weights(&self, features: u64) -> Result<Vec<Weight>, Problem> {
        let wide = (self.units as u64)
            .checked_mul(self.gates)
            .ok_or_else(|| Problem::too_large("gates × units"))?;
        let wide = (wide, "gates × units");
        let [kernel, recurrent, bias] = self.initializers;
        let mut weights = vec![
            Weight::new("kernel", [(features, "features"), wide], kernel),
            Weight::new("recurrent_kernel", [(self.units as u64, "units"), wide], recurrent),
        ];
        match self.bias_rows {
            0 => {}
            1 => weights.push(Weight::new("bias", [wide], bias)),
            rows => weights.push(Weight::new("bias", [(rows, "bias_rows"), wide], bias)),
        }
        Ok(weights)
    }
}

impl Cell<'_> {
    fn inputs(&self, inputs: &[Shape]) -> Result<u64, Problem> {
        let input = self.sequence(inputs)?;
        input.required(-1, "the number of features")
    }

    /// The sequence; further inputs are initial states.
    fn sequence<'s>(&self, inputs: &'s [Shape]) -> Result<&'s Shape, Problem> {
        let input = inputs
            .first()
            .ok_or_else(|| Problem::shape("takes a sequence, found no input"))?;
        if inputs.len() > 1 + self.states {
            return Err(Problem::shape(format!(
                "takes a sequence and {} states, found {} inputs",
                self.states,
                inputs.len()
            )));
        }
        input.expect_rank(3, "(batch, steps, features)")?;
        Ok(input)
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Problem> {
        positive("units", &[self.units])?;
        let input = self.sequence(inputs)?;
        let units = Some(self.units as u64);
        let state = Shape(vec![input.0[0], units]);
        let output = if self.return_sequences {
            Shape(vec![input.0[0], input.0[1], units])
        } else {
            state.clone()
        };
        let mut outputs = vec![output];
        if self.return_state {
            outputs.extend(std::iter::repeat_n(state, self.states));
        }
        Ok(outputs)
    }

    fn weights(&self, inputs: &[Shape]) -> Result<Vec<Weight>, Problem> {
        let gates = Gates {
            units: self.units,
            gates: self.gates,
            bias_rows: self.bias_rows,
            initializers: self.initializers,
        };
        let mut weights = gates.weights(self.inputs(inputs)?)?;
        for weight in &mut weights {
            weight.name = format!("{}/{}", self.name, weight.name);
        }
        Ok(weights)
    }

    fn parameters(&self, inputs: &[Shape]) -> Result<Option<Expr>, Problem> {
        let units = num(self.units as u64, "units", "size of the state");
        let features = num(self.inputs(inputs)?, "features", "values of each step");
        let mut column = vec![features, units.clone()];
        match self.bias_rows {
            0 => {}
            1 => column.push(bias_one()),
            rows => column.push(num(rows, "bias_rows", "biases: one for the input, one for the state")),
        }
        let mut factors = vec![Expr::Sum(column), units];
        if self.gates > 1 {
            factors.insert(
                0,
                num(
                    self.gates,
                    "gates",
                    "matrices side by side: the gates and the candidate",
                ),
            );
        }
        Ok(Some(Expr::Product(factors)))
    }

    fn multiply_adds(&self, inputs: &[Shape]) -> Result<Option<Expr>, Problem> {
        let Some(steps) = self.sequence(inputs)?.0[1] else {
            return Ok(None);
        };
        let units = num(self.units as u64, "units", "size of the state");
        let column = Expr::Sum(vec![
            num(self.inputs(inputs)?, "features", "values of each step"),
            units.clone(),
        ]);
        let gates = num(self.gates, "gates", "matrices side by side");
        Ok(Some(Expr::Product(vec![
            num(steps, "steps", "steps of the sequence"),
            gates,
            column,
            units,
        ])))
    }
}

macro_rules! recurrent {
    ($(#[$doc:meta])* $name:ident { $($(#[$odoc:meta])* $option:ident: $otype:ty = $default:expr,)* }, $cell:expr) => {
        layer! {
            $(#[$doc])*
            $name(
                /// Size of the state.
                units: usize
            ) {
                /// Function applied to the candidate.
                activation: Activation = Activation::Tanh,
                $($(#[$odoc])* $option: $otype = $default,)*
                /// Whether a bias is added.
                use_bias: bool = true,
                /// Initializer of the kernel.
                kernel_initializer: Initializer = glorot_uniform(),
                /// Initializer of the recurrent kernel.
                recurrent_initializer: Initializer = orthogonal(),
                /// Initializer of the bias.
                bias_initializer: Initializer = Initializer::Zeros,
                /// Fraction of the input that is dropped while training.
                dropout: f64 = 0.0,
                /// Fraction of the state that is dropped while training.
                recurrent_dropout: f64 = 0.0,
                /// Whether the output has one vector a step, or only that of the last one.
                return_sequences: bool = false,
                /// Whether the last state is an output of its own.
                return_state: bool = false,
                /// Whether the sequence is read from its end.
                go_backwards: bool = false,
                /// Whether the state of one batch starts the next one.
                stateful: bool = false,
            }
        }

        impl $name {
            fn cell(&self) -> Cell<'_> {
                let describe: fn(&Self) -> (&'static str, u64, u64, usize) = $cell;
                let (name, gates, bias_rows, states) = describe(self);
                Cell {
                    name,
                    units: self.units,
                    gates,
                    bias_rows: if self.use_bias { bias_rows } else { 0 },
                    states,
                    return_sequences: self.return_sequences,
                    return_state: self.return_state,
                    initializers: [&self.kernel_initializer, &self.recurrent_initializer, &self.bias_initializer],
                }
            }
        }

        impl LayerSpec for $name {
            fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Problem> {
                self.cell().output_shapes(inputs)
            }

            fn weights(&self, inputs: &[Shape]) -> Result<Vec<Weight>, Problem> {
                self.cell().weights(inputs)
            }

            fn parameters(&self, inputs: &[Shape]) -> Result<Option<Expr>, Problem> {
                self.cell().parameters(inputs)
            }

            fn multiply_adds(&self, inputs: &[Shape], _: &[Shape]) -> Result<Option<Expr>, Problem> {
                self.cell().multiply_adds(inputs)
            }

            fn needs_shape(&self) -> bool {
                true
            }
        }
    };
}

recurrent! {
    /// `h ← activation(x W + h U + b)` (`keras.layers.SimpleRNN`).
    SimpleRNN {}, |_| ("simple_rnn_cell", 1, 1, 1)
}

recurrent! {
    /// Long short-term memory (`keras.layers.LSTM`; Hochreiter and Schmidhuber, 1997): gates i, f, c, o, parameters
    /// `4 (features + units + 1) units`.
    LSTM {
        /// Function applied to the gates.
        recurrent_activation: Activation = Activation::Sigmoid,
        /// Whether the bias of the forget gate starts at 1.
        unit_forget_bias: bool = true,
    }, |_| ("lstm_cell", 4, 1, 2)
}

recurrent! {
    /// Gated recurrent unit (`keras.layers.GRU`; Cho et al., 2014): gates z, r, h, parameters
    /// `3 (features + units + 2) units` with `reset_after`.
    GRU {
        /// Function applied to the gates.
        recurrent_activation: Activation = Activation::Sigmoid,
        /// Whether the reset gate acts after the product with the state; the bias then has two rows.
        reset_after: bool = true,
    }, |layer| ("gru_cell", 3, if layer.reset_after { 2 } else { 1 }, 1)
}

#[cfg(test)]
mod tests {
    use crate::{GRU, LSTM, Layer, Shape, SimpleRNN};

    #[test]
    fn counts_are_those_of_the_literature() {
        let input = [Shape::from([None, Some(50), Some(16)])];
        for (layer, formula) in [
            (Layer::from(SimpleRNN::new(32)), "(16 + 32 + 1) × 32 = 1,568"),
            (Layer::from(LSTM::new(32)), "4 × (16 + 32 + 1) × 32 = 6,272"),
            (Layer::from(GRU::new(32)), "3 × (16 + 32 + 2) × 32 = 4,800"),
        ] {
            assert_eq!(layer.parameters(&input).map(|f| f.to_string()).as_deref(), Ok(formula));
        }
    }
}
