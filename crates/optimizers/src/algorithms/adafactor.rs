//! Adafactor: Adam's second moment from the sums of rows and columns.

use candle_core::{D, DType, Tensor};
use serde::{Deserialize, Serialize};

use crate::algorithm::Check;
use crate::catalogue::{Description, Family, Paper};
use crate::factored::{Matrices, Moments, Product, Shape};
use crate::rule::set;
use crate::slot::{Slot, Stored};
use crate::{Algorithm, Number, Result, Rule, SlotSpec, Step, Target, Term};

/// Adafactor (Keras `Adafactor`).
///
/// For a matrix, means of the squared gradients are kept for each row (`r`) and column (`c`) only, and
/// `v_ij = r_i c_j / mean(r)`; for a vector all of `v`. With `beta_2 = 1 - t^beta_2_decay`:
/// `u = g / sqrt(v)`, `u <- u / max(1, rms(u) / clip_threshold)`,
/// `w <- w - max(epsilon_2, rms(w)) min(eta, 1 / sqrt(t)) u`. More than two axes: the last two are factored.
///
/// Defaults: `learning_rate` 0.001, `beta_2_decay` -0.8, `epsilon_1` 1e-30, `epsilon_2` 1e-3, `clip_threshold` 1, `relative_step` true.
/// State in `f32`: `4 (n + m)` bytes for `n x m` parameters. Paper: Shazeer and Stern, *Adafactor: Adaptive Learning Rates with
/// Sublinear Memory Cost*, 2018.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Adafactor {
    /// How fast `beta_2` approaches 1; negative.
    pub beta_2_decay: f64,
    /// Added to squared gradients.
    pub epsilon_1: f64,
    /// The least scale of a parameter.
    pub epsilon_2: f64,
    /// The largest root mean square of `u`.
    pub clip_threshold: f64,
    /// Whether a constant rate is limited by `1 / sqrt(t)`. In Keras the same limit follows anyway.
    pub relative_step: bool,
}

impl Default for Adafactor {
    fn default() -> Self {
        Self {
            beta_2_decay: -0.8,
            epsilon_1: 1e-30,
            epsilon_2: 1e-3,
            clip_threshold: 1.0,
            relative_step: true,
        }
    }
}

/// The numbers of one step.
#[derive(Clone, Copy)]
struct Numbers {
    beta_2: f64,
    epsilon_1: f64,
    epsilon_2: f64,
    clip_threshold: f64,
    rate: f64,
}

impl Numbers {
    /// What `u` is multiplied by, from the mean squares of weights and of `u`.
    fn length(&self, weights: f64, u: f64) -> f64 {
        self.epsilon_2.max(weights.sqrt()) * self.rate / (u.sqrt() / self.clip_threshold).max(1.0)
    }
}

// ---- vectors: every element has its own second moment

#[derive(Clone, Copy)]
struct SecondMoment(Numbers);

impl Rule<1> for SecondMoment {
    #[inline(always)]
    fn update<A: Number>(&self, w: A, g: A, [v]: [A; 1]) -> (A, [A; 1]) {
        (
            w,
            [v * self.0.beta_2 + (g.square() + self.0.epsilon_1) * (1.0 - self.0.beta_2)],
        )
    }
}

#[derive(Clone, Copy)]
struct Walk {
    length: f64,
}

impl Rule<1> for Walk {
    #[inline(always)]
    fn update<A: Number>(&self, w: A, g: A, [v]: [A; 1]) -> (A, [A; 1]) {
        (w - g / v.sqrt() * self.length, [v])
    }
}

#[derive(Clone, Copy)]
struct SquaredWeight;

impl Term<1> for SquaredWeight {
    #[inline(always)]
    fn value<A: Number>(&self, w: A, _: A, _: [A; 1]) -> A {
        w.square()
    }
}

#[derive(Clone, Copy)]
struct SquaredDirection;

impl Term<1> for SquaredDirection {
    #[inline(always)]
    fn value<A: Number>(&self, _: A, g: A, [v]: [A; 1]) -> A {
        (g / v.sqrt()).square()
    }
}

fn vector(numbers: Numbers, target: &mut Target<'_>) -> Result<()> {
    let count = target.shape().iter().product::<usize>().max(1) as f64;
    target.elementwise(SecondMoment(numbers))?;
    let weights = target.sum(SquaredWeight)? / count;
    let u = target.sum(SquaredDirection)? / count;
    target.elementwise(Walk {
        length: numbers.length(weights, u),
    })
}

// ---- matrices: rows and columns

fn matrix(numbers: Numbers, target: &mut Target<'_>) -> Result<()> {
    match target.var.dtype() {
        DType::F32 if target.weights.is_some() => matrix_fused::<f32>(numbers, target),
        DType::F64 if target.weights.is_some() => matrix_fused::<f64>(numbers, target),
        _ => matrix_on_tensors(numbers, target),
    }
}

fn matrix_fused<T: Stored>(numbers: Numbers, target: &mut Target<'_>) -> Result<()> {
    let shape = Shape::of(target.shape());
    let moments = Moments {
        form: Product,
        beta_2: numbers.beta_2,
        epsilon: numbers.epsilon_1,
        preparation: target.preparation,
        walk: target.preparation,
    };
    target.with_scratch::<T, (), 2>(shape.scratch(), |w, g, [r, c], scratch| {
        let matrices = Matrices {
            shape,
            w,
            g,
            r,
            c,
            scratch,
        };
        matrices.update(moments, |weights, u| numbers.length(weights, u));
    })
}

fn matrix_on_tensors(numbers: Numbers, target: &mut Target<'_>) -> Result<()> {
    let preparation = target.preparation;
    let (w, g, [r, c]) = target.tensors::<2>()?;
    let w = w.detach().affine(1.0 - preparation.decay, 0.0)?;
    let mut g = g.detach().affine(preparation.scale, 0.0)?;
    if preparation.limit.is_finite() {
        g = g.clamp(-preparation.limit, preparation.limit)?;
    }
    let square = g.sqr()?.affine(1.0, numbers.epsilon_1)?;
    let follow =
        |old: &Tensor, mean: Tensor| old.affine(numbers.beta_2, 0.0)? + mean.affine(1.0 - numbers.beta_2, 0.0)?;
    let r = follow(&r, square.mean(D::Minus1)?)?;
    let c = follow(&c, square.mean(D::Minus2)?)?;
    let share = r.broadcast_div(&r.mean_keepdim(D::Minus1)?)?;
    let root = share
        .sqrt()?
        .unsqueeze(D::Minus1)?
        .broadcast_mul(&c.sqrt()?.unsqueeze(D::Minus2)?)?;
    let u = (g / root)?;
    let mean_square =
        |x: &Tensor| -> Result<f64> { Ok(x.to_dtype(DType::F32)?.sqr()?.mean_all()?.to_scalar::<f32>()?.into()) };
    let length = numbers.length(mean_square(&w)?, mean_square(&u)?);
    target.slots[0] = Slot::Tensor(r);
    target.slots[1] = Slot::Tensor(c);
    set(target.var, &(w - u.affine(length, 0.0)?)?)
}

impl Algorithm for Adafactor {
    fn class(&self) -> &'static str {
        "Adafactor"
    }

    fn slots(&self, shape: &[usize]) -> Vec<SlotSpec> {
        match shape {
            [rest @ .., rows, columns] => {
                let with = |last: usize| [rest, &[last]].concat();
                vec![
                    SlotSpec::zeros("row", &with(*rows)),
                    SlotSpec::zeros("column", &with(*columns)),
                ]
            }
            _ => vec![SlotSpec::zeros("velocity", shape)],
        }
    }

    fn update(&self, step: &Step<'_>, target: &mut Target<'_>) -> Result<()> {
        let limit = 1.0 / step.t.sqrt();
        let relative = self.relative_step && !step.scheduled;
        let rate = if relative {
            step.learning_rate.min(limit)
        } else {
            step.learning_rate
        };
        let numbers = Numbers {
            beta_2: 1.0 - step.t.powf(self.beta_2_decay),
            epsilon_1: self.epsilon_1,
            epsilon_2: self.epsilon_2,
            clip_threshold: self.clip_threshold,
            rate: rate.min(limit),
        };
        if target.shape().len() < 2 {
            vector(numbers, target)
        } else {
            matrix(numbers, target)
        }
    }

    fn validate(&self) -> Result<()> {
        let check = Check("Adafactor");
        let decay = self.beta_2_decay;
        check.that(
            decay < 0.0 && decay.is_finite(),
            "beta_2_decay",
            decay,
            "a finite number below 0",
        )?;
        check.not_negative("epsilon_1", self.epsilon_1)?;
        check.not_negative("epsilon_2", self.epsilon_2)?;
        check.positive("clip_threshold", self.clip_threshold)
    }

    super::boilerplate!();
}

pub(super) const DESCRIPTION: Description = Description {
    family: Family::Ada,
    formula_latex: r"\begin{aligned} r_i &\leftarrow \hat\beta_2 r_i + (1-\hat\beta_2)\, \overline{g_{i\cdot}^2}, \qquad c_j \leftarrow \hat\beta_2 c_j + (1-\hat\beta_2)\, \overline{g_{\cdot j}^2}, \qquad \hat\beta_2 = 1 - t^{-0.8} \\ u_{ij} &= \frac{g_{ij}}{\sqrt{r_i c_j / \bar r}}, \qquad u \leftarrow \frac{u}{\max(1, \operatorname{rms}(u) / d)} \\ w &\leftarrow w - \max(\epsilon_2, \operatorname{rms}(w))\, \min(\eta, 1/\sqrt{t})\, u \end{aligned}",
    formula_unicode: "rᵢ ← β̂₂ rᵢ + (1 − β̂₂) mean_j(gᵢⱼ²),   cⱼ ← β̂₂ cⱼ + (1 − β̂₂) mean_i(gᵢⱼ²),   β̂₂ = 1 − t^(−0.8)\nuᵢⱼ = gᵢⱼ / √(rᵢ cⱼ / mean(r)),   u ← u / max(1, rms(u) / d)\nw ← w − max(ε₂, rms(w)) · min(η, 1/√t) · u",
    what_changes: "Adafactor divides each gradient by its recent size, like RMSprop, but hardly remembers anything for it: of \
        a matrix of weights it keeps only one mean for each row and one for each column, and takes their product as an \
        estimate. For 1000 × 1000 weights that is 2,000 numbers instead of Adam's 2,000,000. It needs no momentum, limits the \
        size of a step as a whole (d), forgets less and less as the training goes on, and measures its steps relative to the \
        size of the weights themselves, so that η = 0.001 means one part in a thousand.",
    paper: Paper {
        authors: "Noam Shazeer, Mitchell Stern",
        title: "Adafactor: Adaptive Learning Rates with Sublinear Memory Cost",
        year: 2018,
    },
};

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device, Tensor, Var};

    use crate::{Optimizer, Parameter};

    #[test]
    fn a_dead_row_that_crosses_a_dead_column_stays_where_it_is() {
        for dtype in [DType::F32, DType::F64] {
            let var = Var::from_tensor(&Tensor::ones((2, 2), dtype, &Device::Cpu).unwrap()).unwrap();
            let gradient = Tensor::new(&[[1e-2, 0.0], [0.0, 0.0]], &Device::Cpu)
                .unwrap()
                .to_dtype(dtype)
                .unwrap();
            let mut adafactor = Optimizer::by_name("adafactor").unwrap();
            for _ in 0..3 {
                adafactor
                    .apply(&[Parameter {
                        path: "kernel",
                        var: &var,
                        gradient: &gradient,
                    }])
                    .unwrap();
            }
            let w = var.to_dtype(DType::F64).unwrap().to_vec2::<f64>().unwrap();
            assert!(w[0][0] < 1.0, "{w:?}");
            assert_eq!((w[0][1], w[1][0], w[1][1]), (1.0, 1.0, 1.0));
        }
    }
}
