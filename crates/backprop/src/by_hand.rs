//! The network of exercise 6 with the derived formulas, and nothing else.
//!
//! $$v = \tanh(A x), \quad z = B v, \quad p = \mathrm{softmax}(z), \quad L = -\tfrac12 \sum_i y_i \log p_i$$
//!
//! | line of the derivation | line of code |
//! |---|---|
//! | `∂L/∂z_i = (p_i Σ_k y_k − y_i)/2` | `dz[i] = (p[i] * sum_y - y[i]) / 2` |
//! | `∂L/∂B_ij = ∂L/∂z_i v_j` | `db[i][j] = dz[i] * v[j]` |
//! | `∂L/∂v_i = Σ_k ∂L/∂z_k B_ki` | `dv[i] += dz[k] * b[k][i]` |
//! | `∂L/∂A_ij = ∂L/∂v_i (1 − v_i²) x_j` | `da[i][j] = dv[i] * (1 - v[i]²) * x[j]` |
//!
//! Why softmax and cross-entropy belong together: `log p_i` computed from `p_i` is −∞ as soon as `p_i` underflows (a
//! difference of logits of 745), and `∂L/∂p_i = −y_i/(2 p_i)` infinite, though the product `∂L/∂z_i` never exceeds 1.
//! So the loss is computed as `log p_i = z_i − max z − log Σ_k exp(z_k − max z)`, and no formula here divides by `p`.

use serde::Serialize;

use crate::error::{Error, Result, finite, shape};
use crate::matrix::Matrix;

/// The weights: `A` is `(hidden, inputs)`, `B` is `(classes, hidden)`; the biases are 0.
///
/// ```
/// use backprop::{Matrix, by_hand::Network};
/// let a = Matrix::new(2, 2, vec![0.5, -0.3, 0.2, 0.8])?;
/// let b = Matrix::new(2, 2, vec![1.0, -1.0, 0.4, 0.6])?;
/// let network = Network::new(a, b)?;
/// let forward = network.forward(&[1.0, 2.0])?;
/// assert!((forward.p.iter().sum::<f64>() - 1.0).abs() < 1e-15);
/// let gradients = network.gradients(&[1.0, 2.0], &[1.0, 0.0])?;
/// assert!((gradients.z[0] - (forward.p[0] - 1.0) / 2.0).abs() < 1e-15);
/// # Ok::<(), backprop::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Network {
    a: Matrix,
    b: Matrix,
}

/// The values on the way from `x` to `L`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Forward {
    /// The hidden values `tanh(A x)`, in (−1, 1).
    pub v: Vec<f64>,
    /// The logits `B v`.
    pub z: Vec<f64>,
    /// The logarithms of the probabilities, finite wherever the logits are.
    pub log_p: Vec<f64>,
    /// The probabilities; they add up to 1.
    pub p: Vec<f64>,
}

impl Forward {
    /// The class with the largest probability, the first one if several are equal.
    pub fn class(&self) -> usize {
        largest(self.p.iter().copied())
    }
}

/// The loss and its derivatives by everything on the way back.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Gradients {
    /// `L`.
    pub loss: f64,
    /// `∂L/∂z`.
    pub z: Vec<f64>,
    /// `∂L/∂v`.
    pub v: Vec<f64>,
    /// `∂L/∂B`.
    pub b: Matrix,
    /// `∂L/∂A`.
    pub a: Matrix,
}

/// Samples as slices: `inputs` holds one sample after the other, `labels` the class of each, from 0.
#[derive(Clone, Copy, Debug)]
pub struct Samples<'a> {
    /// `labels.len() * inputs-per-sample` numbers.
    pub inputs: &'a [f64],
    /// The class of each sample.
    pub labels: &'a [usize],
}

/// How to train: plain gradient descent on the mean loss of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct TrainOptions {
    /// The step length, positive. Mind the ½ in the loss: 0.02 here is 0.01 of the usual cross-entropy.
    pub learning_rate: f64,
    /// How often the data set is gone through.
    pub epochs: usize,
    /// Samples a step, at least 1.
    pub batch_size: usize,
}

/// The mean over one epoch, each batch measured before its step (as Keras reports it).
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Epoch {
    /// The mean loss.
    pub loss: f64,
    /// The share of samples whose largest probability is that of their class.
    pub accuracy: f64,
}

impl Network {
    /// A network with these weights.
    ///
    /// # Errors
    /// [`Error::Shape`] if `B` does not have one column for each row of `A` or a dimension is 0; [`Error::Number`] for a
    /// weight that is not finite.
    pub fn new(a: Matrix, b: Matrix) -> Result<Self> {
        if a.rows() != b.columns() {
            return Err(shape(
                "z = B v",
                format!("a B with {} columns, one for each row of A", a.rows()),
                b.shape(),
            ));
        }
        for (name, matrix) in [("A", &a), ("B", &b)] {
            if matrix.data().is_empty() {
                return Err(shape(name, "at least one row and one column", matrix.shape()));
            }
            finite(name, matrix.data())?;
        }
        Ok(Network { a, b })
    }

    /// A network with Glorot's uniform start: weights in `±√(6 / (fan_in + fan_out))`. `uniform` returns numbers of
    /// `[0, 1)`, for example `|| draws.uniform()` of a `kernels::random::Stream`.
    ///
    /// # Errors
    /// As [`Network::new`].
    pub fn glorot(inputs: usize, hidden: usize, classes: usize, mut uniform: impl FnMut() -> f64) -> Result<Self> {
        let mut matrix = |rows: usize, columns: usize| {
            let limit = (6.0 / (rows as f64 + columns as f64)).sqrt();
            let count = rows.checked_mul(columns).filter(|&n| n <= 1 << 28);
            let count = count.ok_or_else(|| shape("weights", "at most 2^28 numbers", format!("{rows} x {columns}")))?;
            Matrix::new(
                rows,
                columns,
                (0..count).map(|_| limit * (2.0 * uniform() - 1.0)).collect(),
            )
        };
        Network::new(matrix(hidden, inputs)?, matrix(classes, hidden)?)
    }

    /// `A`, (hidden, inputs).
    pub fn a(&self) -> &Matrix {
        &self.a
    }

    /// `B`, (classes, hidden).
    pub fn b(&self) -> &Matrix {
        &self.b
    }

    /// Where two classes are equally probable, for two hidden neurons and two classes: the ends of the line
    /// `(B_1 − B_2) · v = 0` on the border of the square of all `(v_1, v_2)`, `[−1, 1]²`. Without biases it goes through the
    /// origin. `None` for a network of another shape, or if the classes have the same weights.
    ///
    /// ```
    /// use backprop::{Matrix, by_hand::Network};
    /// let network = Network::new(Matrix::new(2, 1, vec![1.0, 2.0])?, Matrix::new(2, 2, vec![1.0, 0.0, 0.0, 2.0])?)?;
    /// assert_eq!(network.border(), Some([(-1.0, -0.5), (1.0, 0.5)])); // v_1 = 2 v_2
    /// # Ok::<(), backprop::Error>(())
    /// ```
    pub fn border(&self) -> Option<[(f64, f64); 2]> {
        if (self.b.rows(), self.b.columns()) != (2, 2) {
            return None;
        }
        let difference = |i: usize| self.b.at(0, i) - self.b.at(1, i);
        let (along, up) = (-difference(1), difference(0));
        let longest = along.abs().max(up.abs());
        let sign = if along < 0.0 { -1.0 } else { 1.0 };
        (longest.is_finite() && longest > 0.0).then(|| {
            let end = (sign * along / longest, sign * up / longest);
            [(-end.0, -end.1), end]
        })
    }

    /// From `x` to `p`.
    ///
    /// # Errors
    /// [`Error::Shape`] if `x` has another length than a row of `A`; [`Error::Number`] if a number of `x` is not finite
    /// or a logit overflows.
    pub fn forward(&self, x: &[f64]) -> Result<Forward> {
        if x.len() != self.a.columns() {
            return Err(shape(
                "v = tanh(A x)",
                format!("{} inputs, one for each column of A", self.a.columns()),
                format!("{} inputs", x.len()),
            ));
        }
        finite("x", x)?;
        let rows = |m: &Matrix, by: &[f64]| (0..m.rows()).map(|i| dot(m.row(i), by)).collect::<Vec<f64>>();
        let u = rows(&self.a, x);
        finite("A x", &u)?;
        let v: Vec<f64> = u.into_iter().map(f64::tanh).collect();
        let z = rows(&self.b, &v);
        finite("z = B v", &z)?;
        let log_p = log_softmax(&z);
        let p = log_p.iter().map(|l| l.exp()).collect();
        Ok(Forward { v, z, log_p, p })
    }

    /// `L` of one sample. A class with `y_i = 0` contributes 0, whatever its probability.
    ///
    /// # Errors
    /// As [`Network::forward`]; [`Error::Shape`] if `y` has another length than `z`.
    pub fn loss(&self, x: &[f64], y: &[f64]) -> Result<f64> {
        let forward = self.forward(x)?;
        self.check_targets(y)?;
        Ok(loss_of(&forward, y))
    }

    /// The loss and all its derivatives for one sample.
    ///
    /// # Errors
    /// As [`Network::loss`].
    pub fn gradients(&self, x: &[f64], y: &[f64]) -> Result<Gradients> {
        let forward = self.forward(x)?;
        self.check_targets(y)?;
        let loss = loss_of(&forward, y);
        let Forward { v, p, .. } = &forward;
        let sum_y: f64 = y.iter().sum();
        let z: Vec<f64> = p.iter().zip(y).map(|(p, y)| (p * sum_y - y) / 2.0).collect();
        let outer = |left: &[f64], right: &[f64]| {
            let data = left.iter().flat_map(|l| right.iter().map(move |r| l * r)).collect();
            Matrix::new(left.len(), right.len(), data)
        };
        let b = outer(&z, v)?;
        let mut dv = vec![0.0; v.len()];
        for (k, dz) in z.iter().enumerate() {
            for (dv, weight) in dv.iter_mut().zip(self.b.row(k)) {
                *dv += dz * weight;
            }
        }
        let du: Vec<f64> = dv.iter().zip(v).map(|(dv, v)| dv * (1.0 - v * v)).collect();
        let a = outer(&du, x)?;
        Ok(Gradients { loss, z, v: dv, b, a })
    }

    /// The mean gradients of a batch given by sample numbers, and how many of its samples are classified rightly.
    ///
    /// # Errors
    /// As [`Network::loss`]; [`Error::Number`] for a sample or label that does not exist, or an empty batch.
    pub fn batch_gradients(&self, samples: Samples<'_>, batch: &[usize]) -> Result<(Gradients, usize)> {
        let (inputs, classes) = (self.a.columns(), self.b.rows());
        self.check_samples(samples)?;
        if batch.is_empty() {
            return Err(Error::Number {
                node: "batch".into(),
                what: "it is empty; give it at least one sample".into(),
            });
        }
        let mut sum: Option<Gradients> = None;
        let mut right = 0;
        for &sample in batch {
            let Some(&label) = samples.labels.get(sample) else {
                let what = format!("sample {sample} does not exist; there are {}", samples.labels.len());
                return Err(Error::Number {
                    node: "batch".into(),
                    what,
                });
            };
            let x = &samples.inputs[sample * inputs..(sample + 1) * inputs];
            let mut y = vec![0.0; classes];
            y[label] = 1.0;
            let one = self.gradients(x, &y)?;
            // One-hot: dz is smallest (negative) at the label; the prediction is the largest p, that is dz + y/2.
            right += usize::from(largest(one.z.iter().zip(&y).map(|(dz, y)| dz + y / 2.0)) == label);
            match &mut sum {
                None => sum = Some(one),
                Some(sum) => {
                    sum.loss += one.loss;
                    add(&mut sum.z, &one.z);
                    add(&mut sum.v, &one.v);
                    add(sum.b.data_mut(), one.b.data());
                    add(sum.a.data_mut(), one.a.data());
                }
            }
        }
        let mut mean = sum.ok_or_else(|| Error::Number {
            node: "batch".into(),
            what: "it is empty".into(),
        })?;
        let n = batch.len() as f64;
        mean.loss /= n;
        for list in [&mut mean.z[..], &mut mean.v[..], mean.b.data_mut(), mean.a.data_mut()] {
            list.iter_mut().for_each(|value| *value /= n);
        }
        Ok((mean, right))
    }

    /// One step of gradient descent: `W ← W − learning_rate · ∂L/∂W`.
    pub fn step(&mut self, gradients: &Gradients, learning_rate: f64) {
        for (weights, gradient) in [(&mut self.a, &gradients.a), (&mut self.b, &gradients.b)] {
            for (w, g) in weights.data_mut().iter_mut().zip(gradient.data()) {
                *w -= learning_rate * g;
            }
        }
    }

    /// Trains by gradient descent; `order(epoch)` lists the sample numbers of an epoch (from 0), in the order to visit
    /// them. The trained weights are in `self`.
    ///
    /// ```
    /// use backprop::by_hand::{Network, Samples, TrainOptions};
    /// // Exclusive or, with a constant third input in the place of a bias.
    /// let samples = Samples { inputs: &[0., 0., 1., 0., 1., 1., 1., 0., 1., 1., 1., 1.], labels: &[0, 1, 1, 0] };
    /// let mut number = 0.0_f64;
    /// let mut network = Network::glorot(3, 6, 2, || { number += 0.618_033_988_749; number.fract() })?;
    /// let options = TrainOptions { learning_rate: 1.0, epochs: 2000, batch_size: 4 };
    /// let epochs = network.train(samples, options, |_| vec![0, 1, 2, 3])?;
    /// assert!(epochs[1999].loss < epochs[0].loss / 4.0);
    /// # Ok::<(), backprop::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Network::batch_gradients`]; [`Error::Number`] for a learning rate that is not positive and finite, a batch
    /// size of 0, or weights that ran away.
    pub fn train(
        &mut self,
        samples: Samples<'_>,
        options: TrainOptions,
        mut order: impl FnMut(usize) -> Vec<usize>,
    ) -> Result<Vec<Epoch>> {
        if !(options.learning_rate.is_finite() && options.learning_rate > 0.0) {
            let what = format!("{} is no step length; use a positive number", options.learning_rate);
            return Err(Error::Number {
                node: "learning_rate".into(),
                what,
            });
        }
        if options.batch_size == 0 {
            return Err(Error::Number {
                node: "batch_size".into(),
                what: "0 samples a step; use at least 1".into(),
            });
        }
        let mut history = Vec::new();
        for epoch in 0..options.epochs {
            let order = order(epoch);
            let (mut loss, mut right) = (0.0, 0);
            for batch in order.chunks(options.batch_size) {
                let (gradients, hits) = self.batch_gradients(samples, batch)?;
                loss += gradients.loss * batch.len() as f64;
                right += hits;
                self.step(&gradients, options.learning_rate);
            }
            let n = order.len().max(1) as f64;
            history.push(Epoch {
                loss: loss / n,
                accuracy: right as f64 / n,
            });
        }
        Ok(history)
    }

    /// The mean loss and the accuracy on samples.
    ///
    /// # Errors
    /// As [`Network::batch_gradients`].
    pub fn evaluate(&self, samples: Samples<'_>) -> Result<Epoch> {
        self.check_samples(samples)?;
        let (mut loss, mut right) = (0.0, 0);
        for (x, &label) in samples.inputs.chunks(self.a.columns()).zip(samples.labels) {
            let forward = self.forward(x)?;
            loss -= forward.log_p[label] / 2.0;
            right += usize::from(forward.class() == label);
        }
        let n = samples.labels.len().max(1) as f64;
        Ok(Epoch {
            loss: loss / n,
            accuracy: right as f64 / n,
        })
    }

    fn check_samples(&self, samples: Samples<'_>) -> Result<()> {
        let (inputs, classes) = (self.a.columns(), self.b.rows());
        if samples.labels.len().checked_mul(inputs) != Some(samples.inputs.len()) {
            return Err(shape(
                "x",
                format!("{} samples of {inputs} numbers", samples.labels.len()),
                format!("{} numbers", samples.inputs.len()),
            ));
        }
        match samples.labels.iter().find(|&&label| label >= classes) {
            Some(label) => Err(Error::Number {
                node: "y".into(),
                what: format!(
                    "label {label} is out of range; B has {classes} rows, so labels are 0 to {}",
                    classes - 1
                ),
            }),
            None => Ok(()),
        }
    }

    fn check_targets(&self, y: &[f64]) -> Result<()> {
        if y.len() != self.b.rows() {
            return Err(shape(
                "L",
                format!("{} targets, one for each row of B", self.b.rows()),
                format!("{} targets", y.len()),
            ));
        }
        finite("y", y)
    }
}

/// `log p_i = z_i − max z − log Σ_k exp(z_k − max z)`: the largest term of the sum is 1, so nothing overflows and the
/// logarithm is never of 0.
pub fn log_softmax(z: &[f64]) -> Vec<f64> {
    let max = z.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let log_sum = z.iter().map(|z| (z - max).exp()).sum::<f64>().ln();
    z.iter().map(|z| z - max - log_sum).collect()
}

/// (a) as it stands on the board, `∂L/∂p_i = −y_i / (2 p_i)`, with 0 where `y_i = 0`.
///
/// ```
/// use backprop::by_hand::gradient_by_probabilities;
/// assert_eq!(gradient_by_probabilities(&[0.25, 0.75], &[1.0, 0.0])?, [-2.0, 0.0]);
/// let error = gradient_by_probabilities(&[0.0, 1.0], &[1.0, 0.0]).unwrap_err();
/// assert!(error.to_string().contains("p_1 is 0"));
/// # Ok::<(), backprop::Error>(())
/// ```
///
/// # Errors
/// [`Error::Number`] for a probability of 0 whose target is not 0: the derivative is infinite, and the stable way is the
/// derivative by the logits; [`Error::Shape`] for different lengths.
pub fn gradient_by_probabilities(p: &[f64], y: &[f64]) -> Result<Vec<f64>> {
    if p.len() != y.len() {
        return Err(shape(
            "dL/dp",
            format!("{} targets", p.len()),
            format!("{} targets", y.len()),
        ));
    }
    p.iter()
        .zip(y)
        .enumerate()
        .map(|(i, (&p, &y))| match y {
            0.0 => Ok(0.0),
            _ if p == 0.0 => Err(Error::Number {
                node: "dL/dp".into(),
                what: format!(
                    "p_{} is 0 and -y/(2 p) infinite; use the derivative by the logits, (p - y)/2, which is finite",
                    i + 1
                ),
            }),
            _ => Ok(-y / (2.0 * p)),
        })
        .collect()
}

fn loss_of(forward: &Forward, y: &[f64]) -> f64 {
    let terms = forward
        .log_p
        .iter()
        .zip(y)
        .filter(|(_, y)| **y != 0.0)
        .map(|(log_p, y)| y * log_p);
    -terms.sum::<f64>() / 2.0
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn add(to: &mut [f64], from: &[f64]) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
}

/// The place of the largest number, the first one if several are equal.
fn largest(numbers: impl Iterator<Item = f64>) -> usize {
    let first = |best: (usize, f64), next: (usize, f64)| if next.1 > best.1 { next } else { best };
    numbers.enumerate().fold((0, f64::NEG_INFINITY), first).0
}
