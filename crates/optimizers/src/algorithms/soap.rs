//! SOAP: Adam in the eigenbasis of Shampoo's preconditioner.

use candle_core::{DType, Device, Tensor};
use serde::{Deserialize, Serialize};

use super::adam;
use crate::algorithm::Check;
use crate::catalogue::{Description, Family, Paper};
use crate::eigenvectors::eigenvectors;
use crate::linear_algebra::{Square, orthogonal};
use crate::{Algorithm, Decay, Number, Result, Rule, SlotSpec, Step, Target};

mod in_place;

/// SOAP (`SOAP` of the authors' repository `nikhilvyas/SOAP`).
///
/// For a gradient `g` of `n` rows and `k` columns (a tensor of more axes is read as a matrix whose columns are its last axis):
/// `m <- beta_1 m + (1 - beta_1) g`, `g' = Q_L' g Q_R`, `v <- beta_2 v + (1 - beta_2) g'^2`,
/// `w <- w - alpha Q_L (Q_L' m Q_R / (sqrt(v) + epsilon)) Q_R'` with Adam's `alpha`, `w <- w - eta lambda w`; then
/// `L <- beta L + (1 - beta) g g'`, `R <- beta R + (1 - beta) g' g` with `beta = shampoo_beta`, and every `precondition_frequency` steps
/// `Q_L`, `Q_R` take one step of power iteration and QR towards the eigenvectors of `L` and `R`. The first step only makes
/// the bases. Axes longer than `max_precond_dim` are not rotated; vectors take Adam's step.
///
/// Defaults: `learning_rate` 0.003, `weight_decay` 0.01, `beta_1` 0.95, `beta_2` 0.95, `shampoo_beta` none (`beta_2`), `epsilon` 1e-8,
/// `precondition_frequency` 10, `max_precond_dim` 1024 (10000 in the authors' code, too much without a GPU). State in `f32`:
/// `8 (n k + n^2 + k^2)` bytes for `n x k` parameters. Paper: Vyas, Morwani, Zhao, Kwun, Shapira, Brandfonbrener, Janson and
/// Kakade, *SOAP: Improving and Stabilizing Shampoo using Adam*, 2024.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Soap {
    /// Decay of the mean of the gradients.
    pub beta_1: f64,
    /// Decay of the mean of their squares in the basis.
    pub beta_2: f64,
    /// Decay of the products that the basis is made from; `None` is `beta_2`.
    pub shampoo_beta: Option<f64>,
    /// Added to the root.
    pub epsilon: f64,
    /// How many steps a basis is kept.
    pub precondition_frequency: u64,
    /// The longest axis that is rotated.
    pub max_precond_dim: usize,
}

impl Default for Soap {
    fn default() -> Self {
        Self {
            beta_1: 0.95,
            beta_2: 0.95,
            shampoo_beta: None,
            epsilon: 1e-8,
            precondition_frequency: 10,
            max_precond_dim: 1024,
        }
    }
}

/// Rows and columns of a tensor read as a matrix.
fn matrix(shape: &[usize]) -> Option<[usize; 2]> {
    match shape {
        [rest @ .., columns] if !rest.is_empty() => Some([rest.iter().product(), *columns]),
        _ => None,
    }
}

fn square(tensor: &Tensor) -> Result<Square> {
    let size = tensor.dim(0)?;
    let values = tensor.to_dtype(DType::F64)?.flatten_all()?.to_vec1()?;
    Ok(Square { size, values })
}

fn tensor(square: &Square, dtype: DType, device: &Device) -> Result<Tensor> {
    let shape = (square.size, square.size);
    Ok(Tensor::from_slice(&square.values, shape, &Device::Cpu)?
        .to_device(device)?
        .to_dtype(dtype)?)
}

/// Adam's step, as SOAP takes it.
#[derive(Clone, Copy)]
struct Moments {
    beta_1: f64,
    beta_2: f64,
    epsilon: f64,
    length: f64,
    decay: f64,
}

impl Moments {
    #[inline(always)]
    fn mean<A: Number>(&self, m: A, g: A) -> A {
        m * self.beta_1 + g * (1.0 - self.beta_1)
    }

    #[inline(always)]
    fn mean_square<A: Number>(&self, v: A, g: A) -> A {
        v * self.beta_2 + g.square() * (1.0 - self.beta_2)
    }

    #[inline(always)]
    fn quotient<A: Number>(&self, m: A, v: A) -> A {
        m / (v.sqrt() + self.epsilon)
    }

    #[inline(always)]
    fn walk<A: Number>(&self, w: A, u: A) -> A {
        let w = w - u * self.length;
        w - w * self.decay
    }
}

impl Rule<2> for Moments {
    #[inline(always)]
    fn update<A: Number>(&self, w: A, g: A, [m, v]: [A; 2]) -> (A, [A; 2]) {
        let (m, v) = (self.mean(m, g), self.mean_square(v, g));
        (self.walk(w, self.quotient(m, v)), [m, v])
    }
}

/// The bases of rows and columns; an axis that is not rotated has none.
struct Bases<'a>([Option<&'a Tensor>; 2]);

impl Bases<'_> {
    fn project(&self, x: &Tensor) -> Result<Tensor> {
        let [left, right] = self.0;
        let x = left.map_or_else(|| Ok(x.clone()), |q| q.t()?.matmul(x))?;
        Ok(right.map_or_else(|| Ok(x.clone()), |q| x.matmul(q))?)
    }

    fn project_back(&self, x: &Tensor) -> Result<Tensor> {
        let [left, right] = self.0;
        let x = left.map_or_else(|| Ok(x.clone()), |q| q.matmul(x))?;
        Ok(right.map_or_else(|| Ok(x.clone()), |q| x.matmul(&q.t()?))?)
    }
}

impl Soap {
    /// The length of an axis' basis: 0 if the axis is not rotated.
    fn rotated(&self, length: usize) -> usize {
        if length > self.max_precond_dim { 0 } else { length }
    }

    /// One step of power iteration; returns the new basis and the order in which it takes the old one's columns.
    fn turn(&self, product: &Tensor, basis: &Tensor) -> Result<(Tensor, Vec<u32>)> {
        let estimates = basis.t()?.matmul(product)?.matmul(basis)?;
        let estimates = square(&estimates)?;
        let size = estimates.size;
        let mut order: Vec<usize> = (0..size).collect();
        let value = |i: usize| estimates.values[i * size + i];
        order.sort_by(|&i, &j| value(j).total_cmp(&value(i)));
        let basis = square(basis)?.with_columns(&order);
        let product_f64 = product.to_dtype(DType::F64)?;
        let powered = product_f64.matmul(&tensor(&basis, DType::F64, product.device())?)?;
        let turned = tensor(&orthogonal(&square(&powered)?), product.dtype(), product.device())?;
        Ok((turned, order.into_iter().map(|i| i as u32).collect()))
    }

    fn moments(&self, step: &Step<'_>) -> Moments {
        Moments {
            beta_1: self.beta_1,
            beta_2: self.beta_2,
            epsilon: self.epsilon,
            length: self.length(step),
            decay: step.learning_rate * step.weight_decay,
        }
    }

    fn vector_step(&self, step: &Step<'_>, target: &mut Target<'_>) -> Result<()> {
        // As for matrices, the first step changes nothing.
        if step.t == 1.0 {
            return Ok(());
        }
        target.elementwise(self.moments(step))
    }

    /// Adam's rate with its bias correction; the first step does not count.
    fn length(&self, step: &Step<'_>) -> f64 {
        let t = step.t - 1.0;
        step.learning_rate * (1.0 - self.beta_2.powf(t)).sqrt() / (1.0 - self.beta_1.powf(t))
    }

    fn matrix_step(&self, step: &Step<'_>, target: &mut Target<'_>, [rows, columns]: [usize; 2]) -> Result<()> {
        let shape = target.shape().to_vec();
        target.whole(&self.slots(&shape), |w, g, mut state| {
            let g = g.reshape((rows, columns))?;
            let mut w = w;
            if step.t > 1.0 {
                let bases = Bases([4, 5].map(|at| Some(&state[at]).filter(|basis| basis.elem_count() > 0)));
                let old = state[0].reshape((rows, columns))?;
                let m = (old.affine(self.beta_1, 0.0)? + g.affine(1.0 - self.beta_1, 0.0)?)?;
                let v = state[1].reshape((rows, columns))?;
                let square = bases.project(&g)?.sqr()?;
                let v = (v.affine(self.beta_2, 0.0)? + square.affine(1.0 - self.beta_2, 0.0)?)?;
                let u = (bases.project(&m)? / v.sqrt()?.affine(1.0, self.epsilon)?)?;
                let u = bases.project_back(&u)?.reshape(shape.as_slice())?;
                w = (w - u.affine(self.length(step), 0.0)?)?;
                w = w.affine(1.0 - step.learning_rate * step.weight_decay, 0.0)?;
                (state[0], state[1]) = (m, v);
            }
            self.precondition(step.t, &g, &mut state)?;
            let state = state.into_iter().enumerate();
            let state = state.map(|(at, tensor)| {
                if at < 2 {
                    tensor.reshape(shape.as_slice())
                } else {
                    Ok(tensor)
                }
            });
            Ok((w, state.collect::<candle_core::Result<_>>()?))
        })
    }

    /// Brings products and bases up to date.
    fn precondition(&self, t: f64, g: &Tensor, state: &mut [Tensor]) -> Result<()> {
        let share = 1.0 - self.shampoo_beta.unwrap_or(self.beta_2);
        let products = [g.matmul(&g.t()?.contiguous()?)?, g.t()?.contiguous()?.matmul(g)?];
        for (axis, product) in products.into_iter().enumerate() {
            if state[2 + axis].elem_count() == 0 {
                continue;
            }
            let mean = (&state[2 + axis] + (product - &state[2 + axis])?.affine(share, 0.0)?)?;
            if t == 1.0 {
                state[4 + axis] = tensor(&eigenvectors(&square(&mean)?), mean.dtype(), mean.device())?;
            } else if (t - 1.0) % self.precondition_frequency as f64 == 0.0 {
                let (basis, order) = self.turn(&mean, &state[4 + axis])?;
                let order = Tensor::new(order, mean.device())?;
                state[1] = state[1].index_select(&order, axis)?;
                state[4 + axis] = basis;
            }
            state[2 + axis] = mean;
        }
        Ok(())
    }
}

impl Algorithm for Soap {
    fn class(&self) -> &'static str {
        "SOAP"
    }

    fn default_learning_rate(&self) -> f64 {
        0.003
    }

    fn default_weight_decay(&self) -> Option<f64> {
        Some(0.01)
    }

    fn decay(&self) -> Decay {
        Decay::ByAlgorithm
    }

    fn slots(&self, shape: &[usize]) -> Vec<SlotSpec> {
        let mut slots = vec![SlotSpec::zeros("exp_avg", shape), SlotSpec::zeros("exp_avg_sq", shape)];
        if let Some([rows, columns]) = matrix(shape) {
            let (rows, columns) = (self.rotated(rows), self.rotated(columns));
            slots.push(SlotSpec::zeros("product_left", &[rows, rows]));
            slots.push(SlotSpec::zeros("product_right", &[columns, columns]));
            slots.push(SlotSpec::zeros("basis_left", &[rows, rows]));
            slots.push(SlotSpec::zeros("basis_right", &[columns, columns]));
        }
        slots
    }

    fn update(&self, step: &Step<'_>, target: &mut Target<'_>) -> Result<()> {
        let in_place = target.weights.is_some();
        match (matrix(target.shape()), target.var.dtype()) {
            (None, _) => self.vector_step(step, target),
            (Some(sides), DType::F32) if in_place => self.matrix_step_in_place::<f32>(step, target, sides),
            (Some(sides), DType::F64) if in_place => self.matrix_step_in_place::<f64>(step, target, sides),
            (Some(sides), _) => self.matrix_step(step, target, sides),
        }
    }

    fn shares_memory(&self) -> bool {
        true
    }

    fn validate(&self) -> Result<()> {
        let check = Check("SOAP");
        adam::validate("SOAP", self.beta_1, self.beta_2, self.epsilon)?;
        check.decay("shampoo_beta", self.shampoo_beta.unwrap_or(0.0))?;
        let frequency = self.precondition_frequency;
        check.that(
            frequency > 0,
            "precondition_frequency",
            frequency,
            "a whole number of at least 1",
        )
    }

    super::boilerplate!();
}

pub(super) const DESCRIPTION: Description = Description {
    family: Family::Matrix,
    formula_latex: r"\begin{aligned} L &\leftarrow \beta L + (1-\beta)\, g g^\top = Q_L \Lambda_L Q_L^\top, \qquad R \leftarrow \beta R + (1-\beta)\, g^\top g = Q_R \Lambda_R Q_R^\top \\ m &\leftarrow \beta_1 m + (1-\beta_1)\, g, \qquad v \leftarrow \beta_2 v + (1-\beta_2)\, (Q_L^\top g\, Q_R)^2 \\ w &\leftarrow w - \eta\, Q_L \frac{Q_L^\top m\, Q_R}{\sqrt{v}+\epsilon} Q_R^\top \end{aligned}",
    formula_unicode: "L ← β L + (1 − β) g gᵀ = Q_L Λ Q_Lᵀ,   R ← β R + (1 − β) gᵀ g = Q_R Λ Q_Rᵀ\nm ← β₁ m + (1 − β₁) g,   v ← β₂ v + (1 − β₂) (Q_Lᵀ g Q_R)²\nw ← w − η Q_L [Q_Lᵀ m Q_R / (√v + ε)] Q_Rᵀ",
    what_changes: "Adam gives every weight its own rate, which helps most when steep and flat directions lie along single weights. \
        In a network they do not: they are mixtures of weights. SOAP collects which rows and which columns of a matrix move \
        together, turns the gradient into the basis of these mixtures, runs Adam there, and turns the step back. It needs \
        fewer steps than any first-order method before it, at the price of two more square matrices for each layer and of \
        some matrix products a step.",
    paper: Paper {
        authors: "Nikhil Vyas, Depen Morwani, Rosie Zhao, Mujin Kwun, Itai Shapira, David Brandfonbrener, Lucas Janson, Sham Kakade",
        title: "SOAP: Improving and Stabilizing Shampoo using Adam",
        year: 2024,
    },
};
