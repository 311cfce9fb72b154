//! Recurrent layers around any cell, and the cells.

use super::{CellSizes, LayerSpec, WrappedLayer, positive, recurrent::Gates};
use crate::{
    Activation, Initializer, Shape,
    error::Problem,
    formula::{Expr, num},
    initializer::{glorot_uniform, orthogonal},
    weight::Weight,
};

/// The vector of one step; further inputs are the states.
fn step(inputs: &[Shape]) -> Result<&Shape, Problem> {
    let input = inputs
        .first()
        .ok_or_else(|| Problem::shape("takes one step of a sequence, found no input"))?;
    input.expect_rank(2, "(batch, features)")?;
    Ok(input)
}

/// Output and states of a cell for one step.
fn outputs(sizes: &CellSizes, batch: Option<u64>) -> Vec<Shape> {
    let sizes = std::iter::once(sizes.output).chain(sizes.states.iter().copied());
    sizes.map(|size| Shape(vec![batch, Some(size)])).collect()
}

macro_rules! cell {
    ($(#[$doc:meta])* $name:ident { $($(#[$odoc:meta])* $option:ident: $otype:ty = $default:expr,)* }, $states:literal, $gates:expr) => {
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
            }
        }

        impl LayerSpec for $name {
            fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Problem> {
                positive("units", &[self.units])?;
                let batch = step(inputs)?.0[0];
                Ok(self.cell().map(|sizes| outputs(&sizes, batch)).unwrap_or_default())
            }

            fn weights(&self, inputs: &[Shape]) -> Result<Vec<Weight>, Problem> {
                let describe: fn(&Self) -> (u64, u64) = $gates;
                let (gates, bias_rows) = describe(self);
                let gates = Gates {
                    units: self.units,
                    gates,
                    bias_rows: if self.use_bias { bias_rows } else { 0 },
                    initializers: [&self.kernel_initializer, &self.recurrent_initializer, &self.bias_initializer],
                };
                gates.weights(step(inputs)?.required(-1, "the number of features")?)
            }

            fn multiply_adds(&self, inputs: &[Shape], _: &[Shape]) -> Result<Option<Expr>, Problem> {
                Ok(kernels(&self.weights(inputs)?))
            }

            fn needs_shape(&self) -> bool {
                true
            }

            fn cell(&self) -> Option<CellSizes> {
                let units = self.units as u64;
                Some(CellSizes { output: units, states: vec![units; $states] })
            }
        }
    };
}

cell! {
    /// One step of [`crate::SimpleRNN`] (`keras.layers.SimpleRNNCell`): input `(batch, features)` and a state.
    SimpleRNNCell {}, 1, |_| (1, 1)
}

cell! {
    /// One step of [`crate::LSTM`] (`keras.layers.LSTMCell`): input `(batch, features)` and two states.
    LSTMCell {
        /// Function applied to the gates.
        recurrent_activation: Activation = Activation::Sigmoid,
        /// Whether the bias of the forget gate starts at 1.
        unit_forget_bias: bool = true,
    }, 2, |_| (4, 1)
}

cell! {
    /// One step of [`crate::GRU`] (`keras.layers.GRUCell`): input `(batch, features)` and a state.
    GRUCell {
        /// Function applied to the gates.
        recurrent_activation: Activation = Activation::Sigmoid,
        /// Whether the reset gate acts after the product with the state; the bias then has two rows.
        reset_after: bool = true,
    }, 1, |cell| (3, if cell.reset_after { 2 } else { 1 })
}

/// One multiplication for each value of the kernels.
fn kernels(weights: &[Weight]) -> Option<Expr> {
    let mut parts: Vec<Expr> = weights
        .iter()
        .filter(|weight| weight.name.ends_with("kernel"))
        .map(Weight::expression)
        .collect();
    match parts.len() {
        0 => None,
        1 => parts.pop(),
        _ => Some(Expr::Sum(parts)),
    }
}

layer! {
    /// Cells one above the other: each reads the output of the one below (`keras.layers.StackedRNNCells`).
    StackedRNNCells(
        /// The cells, the lowest first.
        cells: Vec<WrappedLayer>
    ) {}
}

/// The sizes of the cell inside a wrapper.
fn sizes_of(cell: &WrappedLayer, key: &str) -> Result<CellSizes, Problem> {
    let class = cell.layer().class();
    cell.layer().spec().cell().ok_or_else(|| {
        Problem::key(
            key,
            format!("must be a recurrent cell such as LSTMCell, found the class '{class}', whose states are unknown"),
        )
    })
}

impl LayerSpec for StackedRNNCells {
    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Problem> {
        let batch = step(inputs)?.0[0];
        for cell in &self.cells {
            sizes_of(cell, "cells")?;
        }
        let sizes = self
            .cell()
            .ok_or_else(|| Problem::key("cells", "must hold at least one cell"))?;
        Ok(outputs(&sizes, batch))
    }

    fn weights(&self, inputs: &[Shape]) -> Result<Vec<Weight>, Problem> {
        let mut below = step(inputs)?.clone();
        let mut weights = Vec::new();
        for cell in &self.cells {
            weights.extend(cell.weights(&cell.name(), std::slice::from_ref(&below))?);
            below = below.with_last(Some(sizes_of(cell, "cells")?.output));
        }
        Ok(weights)
    }

    fn multiply_adds(&self, inputs: &[Shape], _: &[Shape]) -> Result<Option<Expr>, Problem> {
        Ok(kernels(&self.weights(inputs)?))
    }

    fn needs_shape(&self) -> bool {
        true
    }

    fn cell(&self) -> Option<CellSizes> {
        let sizes: Vec<CellSizes> = self
            .cells
            .iter()
            .map(|cell| cell.layer().spec().cell())
            .collect::<Option<_>>()?;
        let output = sizes.last()?.output;
        Some(CellSizes {
            output,
            states: sizes.into_iter().flat_map(|sizes| sizes.states).collect(),
        })
    }
}

layer! {
    /// A recurrent layer around any cell (`keras.layers.RNN`): input `(batch, steps, features)`.
    RNN(
        /// The cell that is applied to every step.
        cell: WrappedLayer
    ) {
        /// Whether the output has one vector a step, or only that of the last one.
        return_sequences: bool = false,
        /// Whether the last states are outputs of their own.
        return_state: bool = false,
        /// Whether the sequence is read from its end.
        go_backwards: bool = false,
        /// Whether the states of one batch start the next one.
        stateful: bool = false,
        /// Whether masked steps give zeros.
        zero_output_for_mask: bool = false,
    }
}

impl RNN {
    /// The sequence, and one step of it.
    fn sequence<'s>(&self, inputs: &'s [Shape]) -> Result<(&'s Shape, Shape), Problem> {
        let input = inputs
            .first()
            .ok_or_else(|| Problem::shape("takes a sequence, found no input"))?;
        input.expect_rank(3, "(batch, steps, features)")?;
        Ok((input, Shape(vec![input.0[0], input.0[2]])))
    }
}

impl LayerSpec for RNN {
    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Problem> {
        let (sequence, step) = self.sequence(inputs)?;
        let sizes = sizes_of(&self.cell, "cell")?;
        self.cell.layer().spec().output_shapes(std::slice::from_ref(&step))?;
        let mut shapes = outputs(&sizes, sequence.0[0]);
        if self.return_sequences {
            shapes[0].0.insert(1, sequence.0[1]);
        }
        if !self.return_state {
            shapes.truncate(1);
        }
        Ok(shapes)
    }

    fn weights(&self, inputs: &[Shape]) -> Result<Vec<Weight>, Problem> {
        let (_, step) = self.sequence(inputs)?;
        self.cell.weights(&self.cell.name(), &[step])
    }

    fn multiply_adds(&self, inputs: &[Shape], _: &[Shape]) -> Result<Option<Expr>, Problem> {
        let (sequence, step) = self.sequence(inputs)?;
        let weights = self.cell.weights("cell", &[step])?;
        Ok(match (sequence.0[1], kernels(&weights)) {
            (Some(steps), Some(cost)) => Some(Expr::Product(vec![num(steps, "steps", "steps of the sequence"), cost])),
            _ => None,
        })
    }

    fn needs_shape(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Layer;

    #[test]
    fn stacked_cells_read_each_other() {
        let stack = StackedRNNCells::new(vec![LSTMCell::new(4).into(), GRUCell::new(3).into()]);
        let layer = Layer::from(RNN::new(stack.into()).return_state(true));
        let input = [Shape::from([None, Some(12), Some(6)])];
        // 4 (6 + 4 + 1) 4 of the LSTM, 3 (4 + 3 + 2) 3 of the GRU
        assert_eq!(layer.parameters(&input).map(|formula| formula.value()), Ok(176 + 81));
        let shapes = layer.output_shapes(&input).unwrap_or_default();
        let shapes: Vec<String> = shapes.iter().map(Shape::to_string).collect();
        assert_eq!(shapes, ["(None, 3)", "(None, 4)", "(None, 4)", "(None, 3)"]);
    }
}
