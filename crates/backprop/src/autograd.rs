//! The same network in candle, whose `backward` knows nothing of our formulas.

use candle_core::backprop::GradStore;
use candle_core::{D, Device, Tensor, Var};
use serde::Serialize;

use crate::by_hand::{Network, Samples};
use crate::error::{Error, Result, shape};
use crate::matrix::Matrix;

/// Exercise 6's network as candle variables in `f64` on the CPU.
///
/// ```
/// use backprop::{Matrix, autograd::CandleNetwork, by_hand::Network};
/// let a = Matrix::new(1, 2, vec![0.5, -0.3])?;
/// let b = Matrix::new(2, 1, vec![1.0, 0.4])?;
/// let network = Network::new(a, b)?;
/// let (x, y) = ([1.0, 2.0], [0.0, 1.0]);
/// let by_hand = network.gradients(&x, &y)?;
/// let (loss, a, _b) = CandleNetwork::new(&network)?.gradients(&x, &y)?;
/// assert!((loss - by_hand.loss).abs() < 1e-15);
/// assert!((a.at(0, 1) - by_hand.a.at(0, 1)).abs() < 1e-15);
/// # Ok::<(), backprop::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct CandleNetwork {
    a: Var,
    b: Var,
}

impl CandleNetwork {
    /// The same weights as variables.
    ///
    /// # Errors
    /// [`Error::Candle`], if candle fails.
    pub fn new(network: &Network) -> Result<Self> {
        Ok(CandleNetwork {
            a: Var::from_tensor(&tensor(network.a())?)?,
            b: Var::from_tensor(&tensor(network.b())?)?,
        })
    }

    /// `A`, (hidden, inputs).
    pub fn a(&self) -> &Var {
        &self.a
    }

    /// `B`, (classes, hidden).
    pub fn b(&self) -> &Var {
        &self.b
    }

    /// The mean of `−½ Σ_i y_i log p_i` over a batch: `x` is `(batch, inputs)`, `y` is `(batch, classes)`.
    ///
    /// Softmax is taken along with the logarithm, from which the largest logit is subtracted (as a constant: the result
    /// does not depend on it, so neither does the gradient).
    ///
    /// # Errors
    /// candle's, for shapes that do not fit.
    pub fn loss(&self, x: &Tensor, y: &Tensor) -> candle_core::Result<Tensor> {
        let v = x.matmul(&self.a.t()?)?.tanh()?;
        let z = v.matmul(&self.b.t()?)?;
        let z = z.broadcast_sub(&z.max_keepdim(D::Minus1)?.detach())?;
        let log_p = z.broadcast_sub(&z.exp()?.sum_keepdim(D::Minus1)?.log()?)?;
        let batch = x.dim(0)?.max(1) as f64;
        (y * log_p)?.sum_all()? * (-0.5 / batch)
    }

    /// The loss of one sample, `∂L/∂A` and `∂L/∂B`, by candle.
    ///
    /// # Errors
    /// [`Error::Candle`] for shapes that do not fit; [`Error::MissingGradient`] cannot happen for this network.
    pub fn gradients(&self, x: &[f64], y: &[f64]) -> Result<(f64, Matrix, Matrix)> {
        let x = Tensor::from_slice(x, (1, x.len()), &Device::Cpu)?;
        let y = Tensor::from_slice(y, (1, y.len()), &Device::Cpu)?;
        let loss = self.loss(&x, &y)?;
        let store = loss.backward()?;
        Ok((
            loss.to_scalar()?,
            gradient(&store, "A", &self.a)?,
            gradient(&store, "B", &self.b)?,
        ))
    }
}

/// What two trainings from the same start have in common: everything but rounding.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SideBySide {
    /// The loss before each step, from the derived formulas.
    pub losses_by_hand: Vec<f64>,
    /// The loss before each step, from candle.
    pub losses_autograd: Vec<f64>,
    /// The largest difference of two losses of one step.
    pub worst_loss_difference: f64,
    /// The largest difference of two entries of a gradient, relative to the gradient's largest entry.
    pub worst_gradient_difference: f64,
    /// The network after the last step, trained by hand.
    pub network: Network,
}

/// Trains twice from the same start, by the derived formulas and by candle's autograd: `batch(step)` names the samples
/// of each step. Losses and gradients are compared at every step.
///
/// # Errors
/// As [`Network::batch_gradients`]; [`Error::Candle`].
pub fn side_by_side(
    start: &Network,
    samples: Samples<'_>,
    steps: usize,
    learning_rate: f64,
    mut batch: impl FnMut(usize) -> Vec<usize>,
) -> Result<SideBySide> {
    let mut network = start.clone();
    let candle = CandleNetwork::new(start)?;
    let (inputs, classes) = (start.a().columns(), start.b().rows());
    let (mut by_hand, mut autograd) = (Vec::new(), Vec::new());
    let (mut worst_loss, mut worst_gradient) = (0.0_f64, 0.0_f64);
    for step in 0..steps {
        let batch = batch(step);
        let (gradients, _) = network.batch_gradients(samples, &batch)?;
        let x: Vec<f64> = batch
            .iter()
            .flat_map(|&n| &samples.inputs[n * inputs..(n + 1) * inputs])
            .copied()
            .collect();
        let mut y = vec![0.0; batch.len() * classes];
        for (row, &n) in batch.iter().enumerate() {
            y[row * classes + samples.labels[n]] = 1.0;
        }
        let x = Tensor::from_vec(x, (batch.len(), inputs), &Device::Cpu)?;
        let y = Tensor::from_vec(y, (batch.len(), classes), &Device::Cpu)?;
        let loss = candle.loss(&x, &y)?;
        let store = loss.backward()?;
        let loss: f64 = loss.to_scalar()?;
        for (name, var, ours) in [("A", &candle.a, &gradients.a), ("B", &candle.b, &gradients.b)] {
            let theirs = gradient(&store, name, var)?;
            let size = ours.data().iter().fold(f64::MIN_POSITIVE, |m, g| m.max(g.abs()));
            for (ours, theirs) in ours.data().iter().zip(theirs.data()) {
                worst_gradient = larger(worst_gradient, (ours - theirs).abs() / size);
            }
            let moved = (var.as_tensor() - (tensor(&theirs)? * learning_rate)?)?;
            var.set(&moved)?;
        }
        worst_loss = larger(worst_loss, (gradients.loss - loss).abs());
        by_hand.push(gradients.loss);
        autograd.push(loss);
        network.step(&gradients, learning_rate);
    }
    Ok(SideBySide {
        losses_by_hand: by_hand,
        losses_autograd: autograd,
        worst_loss_difference: worst_loss,
        worst_gradient_difference: worst_gradient,
        network,
    })
}

/// The larger number; NaN counts as infinite, where `f64::max` would pass over it.
fn larger(worst: f64, difference: f64) -> f64 {
    if difference.is_nan() {
        f64::INFINITY
    } else {
        worst.max(difference)
    }
}

fn tensor(matrix: &Matrix) -> Result<Tensor> {
    Ok(Tensor::from_slice(
        matrix.data(),
        (matrix.rows(), matrix.columns()),
        &Device::Cpu,
    )?)
}

fn gradient(store: &GradStore, name: &str, var: &Var) -> Result<Matrix> {
    let gradient = store
        .get(var.as_tensor())
        .ok_or_else(|| Error::MissingGradient { weight: name.into() })?;
    let (rows, columns) = gradient.dims2()?;
    if (rows, columns) != var.dims2()? {
        return Err(shape(
            name,
            format!("{:?}", var.dims()),
            format!("{:?}", gradient.dims()),
        ));
    }
    Matrix::new(rows, columns, gradient.flatten_all()?.to_vec1()?)
}
