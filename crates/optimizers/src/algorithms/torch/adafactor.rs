//! PyTorch's Adafactor.

use candle_core::{D, DType, Tensor};
use serde::{Deserialize, Serialize};

use super::torch;
use crate::algorithm::Check;
use crate::catalogue::{Description, Family, Paper};
use crate::factored::{Floored, Matrices, Moments, Shape};
use crate::slot::Stored;
use crate::whole::root_mean_square;
use crate::{Algorithm, Convention, Number, Result, Rule, SlotSpec, Step, Target, Term};

/// Adafactor (PyTorch `torch.optim.Adafactor`).
///
/// For a matrix, `r` and `c` follow the mean squared gradient of each row and column with the share `t^beta2_decay`, and
/// `v_ij = r_i c_j / max(mean(r), eps_1)`; for a vector all of `v` is kept. With `rho = min(eta, 1 / sqrt(t))` and
/// `alpha = max(eps_2, rms(w)) rho`: `w <- w - eta lambda w`, `u = g / sqrt(max(v, eps_1^2))`,
/// `w <- w - alpha u / max(1, rms(u) / d)`. More than two axes: the last two are factored.
///
/// Defaults: `lr` 0.01, `beta2_decay` -0.8, `eps` (none, 1e-3), where none is 1.1920929e-7 (the resolution of `f32`, 2.2e-16 for `f64`),
/// `d` 1, `weight_decay` 0. State in `f32`: `4 (n + m)` bytes for `n x m` parameters. Paper: Shazeer and Stern, *Adafactor:
/// Adaptive Learning Rates with Sublinear Memory Cost*, 2018.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TorchAdafactor {
    /// The power of the share of a new squared gradient; negative.
    pub beta2_decay: f64,
    /// The least second moment (its root), and the least scale of a parameter.
    pub eps: (Option<f64>, f64),
    /// The largest root mean square of `u`.
    pub d: f64,
}

impl Default for TorchAdafactor {
    fn default() -> Self {
        Self {
            beta2_decay: -0.8,
            eps: (None, 1e-3),
            d: 1.0,
        }
    }
}

/// The numbers of one step.
#[derive(Clone, Copy)]
struct Numbers {
    /// How much of a new squared gradient is taken.
    share: f64,
    least: f64,
    least_scale: f64,
    largest: f64,
    rate: f64,
    /// What the weights lose beside the step.
    decay: f64,
}

impl Numbers {
    /// What `u` is multiplied by, from the mean squares of weights (before they decay) and of `u`.
    fn length(&self, weights: f64, u: f64) -> f64 {
        self.least_scale.max(weights.sqrt()) * self.rate / (u.sqrt() / self.largest).max(1.0)
    }
}

// ---- vectors: every element has its own second moment

/// `v <- v + (g^2 - v) share`.
#[derive(Clone, Copy)]
struct SecondMoment {
    share: f64,
}

impl Rule<1> for SecondMoment {
    #[inline(always)]
    fn update<A: Number>(&self, w: A, g: A, [v]: [A; 1]) -> (A, [A; 1]) {
        (w, [v + (g.square() - v) * self.share])
    }
}

/// `u = g / sqrt(max(v, least))`.
#[derive(Clone, Copy)]
struct Direction {
    least: f64,
}

impl Direction {
    #[inline(always)]
    fn of<A: Number>(&self, g: A, v: A) -> A {
        g / v.clamp(self.least, f64::INFINITY).sqrt()
    }
}

impl Term<1> for Direction {
    #[inline(always)]
    fn value<A: Number>(&self, _: A, g: A, [v]: [A; 1]) -> A {
        self.of(g, v).square()
    }
}

#[derive(Clone, Copy)]
struct Walk {
    direction: Direction,
    decay: f64,
    length: f64,
}

impl Rule<1> for Walk {
    #[inline(always)]
    fn update<A: Number>(&self, w: A, g: A, [v]: [A; 1]) -> (A, [A; 1]) {
        (w - w * self.decay - self.direction.of(g, v) * self.length, [v])
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

fn vector_in_place(numbers: Numbers, target: &mut Target<'_>) -> Result<()> {
    let count = target.shape().iter().product::<usize>().max(1) as f64;
    let direction = Direction {
        least: numbers.least * numbers.least,
    };
    target.elementwise(SecondMoment { share: numbers.share })?;
    let weights = target.sum(SquaredWeight)? / count;
    let u = target.sum(direction)? / count;
    target.elementwise(Walk {
        direction,
        decay: numbers.decay,
        length: numbers.length(weights, u),
    })
}

// ---- matrices: rows and columns

fn matrix_in_place<T: Stored>(numbers: Numbers, target: &mut Target<'_>) -> Result<()> {
    let shape = Shape::of(target.shape());
    let mut walk = target.preparation;
    walk.decay = numbers.decay;
    let moments = Moments {
        form: Floored { least: numbers.least },
        beta_2: 1.0 - numbers.share,
        epsilon: 0.0,
        preparation: target.preparation,
        walk,
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

// ---- both by tensor operations, in `f32` where the weights have half precision

fn on_tensors(numbers: Numbers, slots: &[SlotSpec], target: &mut Target<'_>) -> Result<()> {
    let Numbers { share, least, .. } = numbers;
    let follow = |old: &Tensor, new: Tensor| -> Result<Tensor> { Ok((old + (new - old)?.affine(share, 0.0)?)?) };
    target.whole(slots, |w, g, state| {
        let square = g.sqr()?;
        let (v, state) = if g.rank() < 2 {
            let v = follow(&state[0], square)?;
            (v.clone(), vec![v])
        } else {
            let r = follow(&state[0], square.mean_keepdim(D::Minus1)?)?;
            let c = follow(&state[1], square.mean_keepdim(D::Minus2)?)?;
            let mean = r.mean_keepdim(D::Minus2)?.clamp(least, f64::INFINITY)?;
            (r.broadcast_mul(&c)?.broadcast_div(&mean)?, vec![r, c])
        };
        let u = (g / v.clamp(least * least, f64::INFINITY)?.sqrt()?)?;
        let mean_square = |x: &Tensor| root_mean_square(x).map(|root| root * root);
        let length = numbers.length(mean_square(&w)?, mean_square(&u)?);
        let w = w.affine(1.0 - numbers.decay, 0.0)?;
        Ok(((w - u.affine(length, 0.0)?)?, state))
    })
}

impl Algorithm for TorchAdafactor {
    torch!("Adafactor", 0.01, Some(0.0));

    fn decay(&self) -> crate::Decay {
        crate::Decay::ByAlgorithm
    }

    fn slots(&self, shape: &[usize]) -> Vec<SlotSpec> {
        match shape {
            [rest @ .., rows, columns] => {
                let with = |rows: usize, columns: usize| [rest, &[rows, columns]].concat();
                vec![
                    SlotSpec::zeros("row_var", &with(*rows, 1)),
                    SlotSpec::zeros("col_var", &with(1, *columns)),
                ]
            }
            _ => vec![SlotSpec::zeros("variance", shape)],
        }
    }

    fn update(&self, step: &Step<'_>, target: &mut Target<'_>) -> Result<()> {
        let resolution = if target.var.dtype() == DType::F64 {
            f64::EPSILON
        } else {
            f32::EPSILON.into()
        };
        let numbers = Numbers {
            share: step.t.powf(self.beta2_decay),
            least: self.eps.0.unwrap_or(resolution),
            least_scale: self.eps.1,
            largest: self.d,
            rate: step.learning_rate.min(1.0 / step.t.sqrt()),
            decay: Convention::Torch.decay(step.learning_rate * step.weight_decay, target.var.dtype()),
        };
        match (target.shape().len(), target.var.dtype()) {
            _ if target.weights.is_none() => on_tensors(numbers, &self.slots(target.shape()), target),
            (0 | 1, _) => vector_in_place(numbers, target),
            (_, DType::F64) => matrix_in_place::<f64>(numbers, target),
            _ => matrix_in_place::<f32>(numbers, target),
        }
    }

    fn validate(&self) -> Result<()> {
        let check = Check(self.class());
        let decay = self.beta2_decay;
        check.that(
            decay <= 0.0 && decay.is_finite(),
            "beta2_decay",
            decay,
            "a finite number that is 0 or less",
        )?;
        check.not_negative("eps", self.eps.0.unwrap_or(0.0))?;
        check.not_negative("eps", self.eps.1)?;
        check.that(
            self.d >= 1.0 && self.d.is_finite(),
            "d",
            self.d,
            "a finite number of at least 1",
        )
    }
}

pub(in crate::algorithms) const DESCRIPTION: Description = Description {
    family: Family::Ada,
    formula_latex: r"\begin{aligned} r_i &\leftarrow r_i + t^{-0.8}\, (\overline{g_{i\cdot}^2} - r_i), \qquad c_j \leftarrow c_j + t^{-0.8}\, (\overline{g_{\cdot j}^2} - c_j) \\ u_{ij} &= \frac{g_{ij}}{\sqrt{r_i c_j / \bar r}}, \qquad w \leftarrow w - \max(\epsilon_2, \operatorname{rms}(w))\, \min(\eta, 1/\sqrt{t})\, \frac{u}{\max(1, \operatorname{rms}(u) / d)} \end{aligned}",
    formula_unicode: "rᵢ ← rᵢ + t^(−0.8) (mean_j(gᵢⱼ²) − rᵢ),   cⱼ ← cⱼ + t^(−0.8) (mean_i(gᵢⱼ²) − cⱼ)\nuᵢⱼ = gᵢⱼ / √(rᵢ cⱼ / mean(r)),   w ← w − max(ε₂, rms(w)) · min(η, 1/√t) · u / max(1, rms(u) / d)",
    what_changes: "PyTorch's Adafactor keeps one mean of squares for each row and each column of a matrix instead of one for each \
        weight, as Keras' does, so that its state is next to nothing. It differs in the details: ε₁ is a floor under the second \
        moment instead of being added to every square, the rate is 0.01 by default, and its weight decay is measured by the \
        full rate. Steps are relative to the size of the weights.",
    paper: Paper {
        authors: "Noam Shazeer, Mitchell Stern",
        title: "Adafactor: Adaptive Learning Rates with Sublinear Memory Cost",
        year: 2018,
    },
};
