//! Networks of the family of exercise 6: any sizes and depth, biases or none, four activations, four losses.
//!
//! $$v^{(l)} = f_l(W^{(l)} v^{(l-1)} + b^{(l)}), \quad v^{(0)} = x, \quad z = W^{(n)} v^{(n-1)} + b^{(n)}, \quad p = g(z)$$
//!
//! What is true of the exercise's network is true of every chain: each layer takes the error that the layer after it hands
//! back, adds the factor of its own, and hands the result on. [`Mlp::gradients`] is that recursion; [`derive()`] derives it, and
//! [`check`] compares it with four other ways.

mod activation;
pub mod check;
mod derivation;
mod loss;

pub use activation::Activation;
pub use derivation::{Architecture, Derived, LayerDerivations, derive};
pub use loss::Loss;
pub(crate) use loss::softplus;

use serde::Serialize;

use crate::error::{Error, Result, finite, shape};
use crate::matrix::Matrix;

/// One layer: `f(W v + b)`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Layer {
    /// `W`, (neurons, inputs).
    pub weights: Matrix,
    /// `b`, one number a neuron; `None` for no biases.
    pub bias: Option<Vec<f64>>,
    /// `f`.
    pub activation: Activation,
}

/// A chain of layers and a loss.
///
/// ```
/// use backprop::Matrix;
/// use backprop::mlp::{Activation, Layer, Loss, Mlp};
///
/// // One neuron a layer: p = b relu(a x), L = ½ (y − p)², with a = ½, b = 3, x = 4, y = 5.
/// let layer = |w, activation| Layer { weights: Matrix::column(&[w]), bias: None, activation };
/// let network = Mlp::new(
///     vec![layer(0.5, Activation::Relu), layer(3.0, Activation::Linear)],
///     Loss::HalfSquaredError,
/// )?;
/// let gradients = network.gradients(&[4.0], &[5.0])?;
/// assert_eq!(gradients.loss, 0.5); // p = 6
/// assert_eq!(gradients.weights[1].at(0, 0), 2.0); // (p − y) relu(a x)
/// assert_eq!(gradients.weights[0].at(0, 0), 12.0); // (p − y) b · 1 · x
/// # Ok::<(), backprop::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Mlp {
    layers: Vec<Layer>,
    loss: Loss,
}

/// The values on the way from `x` to `p`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Forward {
    /// The values of each hidden layer, the first one first.
    pub hidden: Vec<Vec<f64>>,
    /// The sums of the last layer, before its activation (logits, where the loss has softmax or σ in it).
    pub z: Vec<f64>,
    /// What the loss looks at: probabilities or values.
    pub p: Vec<f64>,
}

/// The loss and its derivatives by everything on the way back.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Gradients {
    /// `L`.
    pub loss: f64,
    /// `∂L/∂W` of each layer, the first one first.
    pub weights: Vec<Matrix>,
    /// `∂L/∂b` of each layer, where it has biases.
    pub biases: Vec<Option<Vec<f64>>>,
    /// `∂L/∂v` of each hidden layer: the error that the layer after it hands back.
    pub hidden: Vec<Vec<f64>>,
    /// `∂L/∂z`.
    pub z: Vec<f64>,
    /// `∂L/∂x`.
    pub x: Vec<f64>,
}

impl Mlp {
    /// A network of these layers.
    ///
    /// # Errors
    /// [`Error::Shape`] names the layer where shapes do not fit together, where one has no neurons or where there are no layers;
    /// [`Error::Number`] for a weight that is not finite, and for a last activation beside a loss that has its own.
    pub fn new(layers: Vec<Layer>, loss: Loss) -> Result<Self> {
        let Some(last) = layers.last() else {
            return Err(shape("layers", "at least one layer", "none"));
        };
        if loss.has_activation() && last.activation != Activation::Linear {
            return Err(Error::Number {
                node: format!("layer {}", layers.len()),
                what: format!(
                    "its activation is {}, but the loss '{}' takes logits and applies {} itself; make the last layer linear",
                    last.activation.name(),
                    loss.name(),
                    loss.outputs()
                ),
            });
        }
        for (n, layer) in layers.iter().enumerate() {
            let node = format!("layer {}", n + 1);
            if layer.weights.rows() == 0 {
                return Err(shape(node, "at least one neuron", layer.weights.shape()));
            }
            if let Some(before) = n.checked_sub(1).map(|n| layers[n].weights.rows())
                && layer.weights.columns() != before
            {
                let expected = format!("{before} columns, one for each neuron of layer {n}");
                return Err(shape(node, expected, layer.weights.shape()));
            }
            finite(&node, layer.weights.data())?;
            if let Some(bias) = &layer.bias {
                if bias.len() != layer.weights.rows() {
                    let expected = format!("{} biases, one for each neuron", layer.weights.rows());
                    return Err(shape(node, expected, format!("{} biases", bias.len())));
                }
                finite(&format!("biases of layer {}", n + 1), bias)?;
            }
        }
        Ok(Mlp { layers, loss })
    }

    /// A network with Glorot's uniform start, `sizes` being inputs, hidden neurons and outputs. Biases, where `biases` has
    /// them, are drawn like weights, so that there is something to differentiate. `uniform` returns numbers of `[0, 1)`.
    ///
    /// # Errors
    /// [`Error::Shape`] unless there is one activation and one flag for each layer (`sizes.len() − 1`); as [`Mlp::new`].
    pub fn glorot(
        sizes: &[usize],
        activations: &[Activation],
        biases: &[bool],
        loss: Loss,
        mut uniform: impl FnMut() -> f64,
    ) -> Result<Self> {
        let layers = sizes.len().saturating_sub(1);
        for (node, found) in [("activations", activations.len()), ("biases", biases.len())] {
            if found != layers {
                return Err(shape(node, format!("{layers}, one for each layer"), found.to_string()));
            }
        }
        let mut built = Vec::new();
        for n in 0..layers {
            let (columns, rows) = (sizes[n], sizes[n + 1]);
            let limit = (6.0 / (rows as f64 + columns as f64)).sqrt();
            let count = rows.checked_mul(columns).filter(|&n| n <= 1 << 28);
            let count = count.ok_or_else(|| shape("weights", "at most 2^28 numbers", format!("{rows} x {columns}")))?;
            let mut draw = |count: usize| (0..count).map(|_| limit * (2.0 * uniform() - 1.0)).collect::<Vec<_>>();
            built.push(Layer {
                weights: Matrix::new(rows, columns, draw(count))?,
                bias: biases[n].then(|| draw(rows)),
                activation: activations[n],
            });
        }
        Mlp::new(built, loss)
    }

    /// The layers, the first one first.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// The loss.
    pub fn loss_function(&self) -> Loss {
        self.loss
    }

    /// What the network is made of, without its sizes and numbers.
    pub fn architecture(&self) -> Architecture {
        Architecture {
            activations: self.layers.iter().map(|layer| layer.activation).collect(),
            biases: self.layers.iter().map(|layer| layer.bias.is_some()).collect(),
            loss: self.loss,
        }
    }

    /// From `x` to `p`.
    ///
    /// # Errors
    /// [`Error::Shape`] if `x` has another length than the first layer has columns; [`Error::Number`] names the layer whose
    /// sums are not finite.
    pub fn forward(&self, x: &[f64]) -> Result<Forward> {
        let inputs = self.layers[0].weights.columns();
        if x.len() != inputs {
            let expected = format!("{inputs} inputs, one for each column of layer 1");
            return Err(shape("x", expected, format!("{} inputs", x.len())));
        }
        finite("x", x)?;
        let mut hidden: Vec<Vec<f64>> = Vec::new();
        let mut z = Vec::new();
        for (n, layer) in self.layers.iter().enumerate() {
            let input = hidden.last().map_or(x, Vec::as_slice);
            let mut sums: Vec<f64> = (0..layer.weights.rows())
                .map(|i| layer.weights.row(i).iter().zip(input).map(|(w, v)| w * v).sum())
                .collect();
            if let Some(bias) = &layer.bias {
                sums.iter_mut().zip(bias).for_each(|(sum, b)| *sum += b);
            }
            finite(&format!("sums of layer {}", n + 1), &sums)?;
            if n + 1 == self.layers.len() {
                z = sums;
            } else {
                hidden.push(sums.into_iter().map(|u| layer.activation.value(u)).collect());
            }
        }
        let p = match self.loss {
            Loss::CrossEntropy => crate::by_hand::log_softmax(&z).into_iter().map(f64::exp).collect(),
            Loss::TwoClasses => z.iter().map(|&z| Activation::Sigmoid.value(z)).collect(),
            _ => z.iter().map(|&z| self.output_activation().value(z)).collect(),
        };
        Ok(Forward { hidden, z, p })
    }

    fn output_activation(&self) -> Activation {
        self.layers[self.layers.len() - 1].activation
    }

    /// `L` of one sample.
    ///
    /// # Errors
    /// As [`Mlp::forward`]; [`Error::Shape`] if `y` has another length than the output, [`Error::Number`] if it is not finite.
    pub fn loss(&self, x: &[f64], y: &[f64]) -> Result<f64> {
        let forward = self.forward(x)?;
        self.check_targets(y)?;
        Ok(self.loss.value(&forward.z, &forward.p, y))
    }

    /// The loss and all its derivatives for one sample, layer by layer from the last to the first.
    ///
    /// # Errors
    /// As [`Mlp::loss`].
    pub fn gradients(&self, x: &[f64], y: &[f64]) -> Result<Gradients> {
        let forward = self.forward(x)?;
        self.check_targets(y)?;
        let loss = self.loss.value(&forward.z, &forward.p, y);
        let z = self.loss.error(&forward.p, y, self.output_activation());
        let mut error = z.clone();
        let (mut weights, mut biases, mut hidden) = (Vec::new(), Vec::new(), Vec::new());
        let mut back = Vec::new();
        for (n, layer) in self.layers.iter().enumerate().rev() {
            let input = n.checked_sub(1).map_or(x, |n| &forward.hidden[n]);
            let outer = error.iter().flat_map(|e| input.iter().map(move |v| e * v)).collect();
            weights.push(Matrix::new(error.len(), input.len(), outer)?);
            biases.push(layer.bias.is_some().then(|| error.clone()));
            back = vec![0.0; input.len()];
            for (k, e) in error.iter().enumerate() {
                for (back, w) in back.iter_mut().zip(layer.weights.row(k)) {
                    *back += e * w;
                }
            }
            if let Some(before) = n.checked_sub(1) {
                let slope = |v: f64| self.layers[before].activation.slope(v);
                error = back.iter().zip(input).map(|(back, &v)| back * slope(v)).collect();
                hidden.push(back.clone());
            }
        }
        weights.reverse();
        biases.reverse();
        hidden.reverse();
        Ok(Gradients {
            loss,
            weights,
            biases,
            hidden,
            z,
            x: back,
        })
    }

    /// All weights and biases in one list: of each layer `W` row by row, then `b`.
    pub fn parameters(&self) -> Vec<f64> {
        let of = |layer: &Layer| {
            let bias = layer.bias.clone().unwrap_or_default();
            layer.weights.data().iter().copied().chain(bias).collect::<Vec<_>>()
        };
        self.layers.iter().flat_map(of).collect()
    }

    /// The same network with other numbers, in the order of [`Mlp::parameters`].
    ///
    /// # Errors
    /// [`Error::Shape`] for another count, [`Error::Number`] for a number that is not finite.
    pub fn with_parameters(&self, numbers: &[f64]) -> Result<Self> {
        let count = self.parameters().len();
        if numbers.len() != count {
            return Err(shape(
                "parameters",
                format!("{count} numbers"),
                numbers.len().to_string(),
            ));
        }
        let mut rest = numbers;
        let mut take = |count: usize| {
            let (front, back) = rest.split_at(count);
            rest = back;
            front.to_vec()
        };
        let mut layers = Vec::new();
        for layer in &self.layers {
            let (rows, columns) = (layer.weights.rows(), layer.weights.columns());
            layers.push(Layer {
                weights: Matrix::new(rows, columns, take(rows * columns))?,
                bias: layer.bias.as_ref().map(|bias| take(bias.len())),
                activation: layer.activation,
            });
        }
        Mlp::new(layers, self.loss)
    }

    fn check_targets(&self, y: &[f64]) -> Result<()> {
        let outputs = self.layers[self.layers.len() - 1].weights.rows();
        if y.len() != outputs {
            return Err(shape(
                "L",
                format!("{outputs} targets, one for each output"),
                format!("{} targets", y.len()),
            ));
        }
        finite("y", y)
    }
}

impl Gradients {
    /// The root mean square of `∂L/∂v` in each hidden layer, the first one first: how much of the error arrives there.
    pub fn sizes(&self) -> Vec<f64> {
        let size = |error: &Vec<f64>| (error.iter().map(|e| e * e).sum::<f64>() / error.len().max(1) as f64).sqrt();
        self.hidden.iter().map(size).collect()
    }

    /// All derivatives in the order of [`Mlp::parameters`].
    pub fn parameters(&self) -> Vec<f64> {
        let of = |(w, b): (&Matrix, &Option<Vec<f64>>)| {
            let b = b.clone().unwrap_or_default();
            w.data().iter().copied().chain(b).collect::<Vec<_>>()
        };
        self.weights.iter().zip(&self.biases).flat_map(of).collect()
    }
}
