//! `EinsumDense`: a dense layer over any axes.

use super::{LayerSpec, single};
use crate::{
    Activation, Initializer, Shape,
    error::Problem,
    formula::{Expr, num},
    initializer::glorot_uniform,
    shape::product,
    weight::Weight,
};

layer! {
    /// `activation(einsum(equation, x, kernel) + bias)` (`keras.layers.EinsumDense`).
    EinsumDense(
        /// The equation, such as `abc,cd->abd`; an ellipsis stands for axes that are not named.
        equation: String,
        /// Shape of the output without the batch; a free dimension is taken as it comes.
        output_shape: Vec<Option<usize>>,
    ) {
        /// Function applied to the output.
        activation: Activation = Activation::Linear,
        /// Letters of the output that the bias has; no bias without them.
        bias_axes: Option<String> = None,
        /// Initializer of the kernel.
        kernel_initializer: Initializer = glorot_uniform(),
        /// Initializer of the bias.
        bias_initializer: Initializer = Initializer::Zeros,
    }
}

/// The equation applied to an input.
struct Analysis {
    kernel: Vec<Option<u64>>,
    bias: Vec<Option<u64>>,
    output: Shape,
}

impl EinsumDense {
    fn analyze(&self, inputs: &[Shape]) -> Result<Analysis, Problem> {
        let input = single(inputs)?;
        let wrong = |problem: &str| Problem::key("equation", format!("'{}' {problem}", self.equation));
        let (left, output) = self.equation.split_once("->").ok_or_else(|| wrong("needs an '->'"))?;
        let (input_spec, kernel_spec) = left.split_once(',').ok_or_else(|| wrong("needs two operands"))?;
        let front = input_spec.starts_with("...");
        let letters = |text: &str| -> Result<Vec<char>, Problem> {
            let letters: Vec<char> = text.replace("...", "").trim().chars().collect();
            let all = letters.iter().all(char::is_ascii_alphabetic);
            if all && !letters.is_empty() {
                Ok(letters)
            } else {
                Err(wrong("may hold letters and an ellipsis"))
            }
        };
        let (input_letters, kernel_letters, output_letters) =
            (letters(input_spec)?, letters(kernel_spec)?, letters(output)?);
        let unnamed = input.rank().checked_sub(input_letters.len());
        let unnamed = unnamed.ok_or_else(|| wrong(&format!("names more axes than the input {input} has")))?;
        if (unnamed > 0) != input_spec.contains("...") && !(unnamed == 0 && input_spec.contains("...")) {
            return Err(wrong(&format!(
                "does not name all axes of the input {input}; use an ellipsis"
            )));
        }
        let mut dims = vec![input.dims().first().copied().flatten()];
        if front {
            dims.extend(input.0.iter().skip(1).take(unnamed.saturating_sub(1)));
        }
        dims.extend(self.output_shape.iter().map(|size| size.map(|size| size as u64)));
        if !front {
            dims.extend(&input.0[input.rank() - unnamed..]);
        }
        let offset = if front { unnamed } else { 0 };
        let place = |spec: &[char], letter: char| spec.iter().position(|&c| c == letter).map(|at| at + offset);
        let of_output = |letter: char| place(&output_letters, letter).and_then(|at| dims.get(at).copied());
        let mut kernel = Vec::with_capacity(kernel_letters.len());
        for &letter in &kernel_letters {
            let of_input = place(&input_letters, letter).and_then(|at| input.0.get(at).copied());
            let size = of_input.or_else(|| of_output(letter));
            kernel.push(size.ok_or_else(|| wrong(&format!("uses '{letter}' in the kernel only")))?);
        }
        let mut bias = Vec::new();
        if let Some(axes) = &self.bias_axes {
            let first = output_letters.iter().position(|&letter| axes.contains(letter));
            let first =
                first.ok_or_else(|| Problem::key("bias_axes", format!("'{axes}' are no letters of the output")))?;
            for &letter in &output_letters[first..] {
                bias.push(if axes.contains(letter) {
                    of_output(letter).flatten()
                } else {
                    Some(1)
                });
            }
            if !front {
                bias.extend(std::iter::repeat_n(Some(1), unnamed));
            }
        }
        Ok(Analysis {
            kernel,
            bias,
            output: Shape(dims),
        })
    }
}

/// The dimensions of a weight, all of which must be known.
fn known(dims: &[Option<u64>], name: &str) -> Result<Vec<(u64, &'static str)>, Problem> {
    let unknown = || {
        Problem::shape(format!(
            "the sizes of '{name}' must be known; give 'output_shape' and the input full shapes"
        ))
    };
    dims.iter().map(|dim| Ok((dim.ok_or_else(unknown)?, "size"))).collect()
}

impl LayerSpec for EinsumDense {
    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Problem> {
        Ok(vec![self.analyze(inputs)?.output])
    }

    fn weights(&self, inputs: &[Shape]) -> Result<Vec<Weight>, Problem> {
        let analysis = self.analyze(inputs)?;
        let mut weights = vec![Weight::new(
            "kernel",
            known(&analysis.kernel, "kernel")?,
            &self.kernel_initializer,
        )];
        if self.bias_axes.is_some() {
            weights.push(Weight::new(
                "bias",
                known(&analysis.bias, "bias")?,
                &self.bias_initializer,
            ));
        }
        Ok(weights)
    }

    /// Every output value sums over the axes of the kernel that the output does not have.
    fn multiply_adds(&self, inputs: &[Shape], outputs: &[Shape]) -> Result<Option<Expr>, Problem> {
        let kernel = known(&self.analyze(inputs)?.kernel, "kernel")?;
        let Some(values) = product(outputs[0].sample(), "the number of output values")? else {
            return Ok(None);
        };
        let (left, output) = self.equation.split_once("->").unwrap_or_default();
        let letters = left.split_once(',').map_or("", |(_, kernel)| kernel);
        let letters = letters.chars().filter(char::is_ascii_alphabetic);
        let mut factors = vec![num(values, "outputs", "values of the output")];
        factors.extend(
            letters
                .zip(&kernel)
                .filter(|(letter, _)| !output.contains(*letter))
                .map(|(letter, (size, _))| num(*size, &letter.to_string(), "an axis that is summed over")),
        );
        Ok(Some(Expr::Product(factors)))
    }

    fn needs_shape(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use crate::{EinsumDense, Layer, Shape};

    #[test]
    fn the_axes_that_disappear_are_summed_over() {
        let layer = Layer::from(EinsumDense::new(
            "abc,cde->abde".to_owned(),
            vec![None, Some(2), Some(3)],
        ));
        let input = |steps| [Shape::from([None, steps, Some(8)])];
        let cost = layer
            .multiply_adds(&input(None))
            .map(|cost| cost.map(|cost| cost.to_string()));
        assert_eq!(cost, Ok(None));
        let layer = Layer::from(EinsumDense::new(
            "abc,cde->abde".to_owned(),
            vec![Some(6), Some(2), Some(3)],
        ));
        let cost = layer
            .multiply_adds(&input(Some(6)))
            .map(|cost| cost.map(|cost| cost.to_string()));
        assert_eq!(cost, Ok(Some("36 × 8 = 288".to_owned())));
    }
}
