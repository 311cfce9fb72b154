//! PyTorch's Muon: matrices only, in bfloat16.

use serde::{Deserialize, Serialize};

use super::{TorchAdamW, torch};
use crate::algorithm::Check;
use crate::catalogue::{Description, Family, Paper};
use crate::newton_schulz::{NewtonSchulz, Precision};
use crate::orthogonal::{Momentum, step_in_place};
use crate::{Algorithm, Error, Number, Result, SlotSpec, Step, Target};

/// How the rate is fitted to the shape of a matrix of `n` rows and `k` columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AdjustLr {
    /// `sqrt(max(1, n / k))`, which is also what is done without a choice.
    Original,
    /// `0.2 sqrt(max(n, k))`: steps as long as Adam's.
    MatchRmsAdamw,
    /// `sqrt(n / k)`, also below 1.
    SpectralUnclamped,
}

/// Muon (PyTorch `torch.optim.Muon`).
///
/// `b <- b + (g - b)(1 - momentum)`, `u = g + momentum (b - g)` (without Nesterov `u = b`), `u` is brought near the nearest orthogonal
/// matrix by `ns_steps` Newton-Schulz iterations, each result rounded to bfloat16; `w <- w - eta lambda w - eta s u` with `s`
/// from `adjust_lr_fn`. Only for matrices: [`OptimizerBuilder::build_for`](crate::OptimizerBuilder::build_for) gives the other parameters of a network
/// to AdamW; [`Muon`](crate::Muon) takes such a step itself.
///
/// Defaults: `lr` 0.001, `weight_decay` 0.1, `momentum` 0.95, `nesterov` true, `ns_coefficients` (3.4445, -4.775, 2.0315), `eps` 1e-7,
/// `ns_steps` 5, `adjust_lr_fn` none. State: 4 bytes a parameter in `f32`. Paper: Jordan et al., *Muon: An optimizer for hidden
/// layers in neural networks*, 2024.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TorchMuon {
    /// Decay of the mean of the gradients, `0..=1`.
    pub momentum: f64,
    /// Whether to look ahead along the momentum.
    pub nesterov: bool,
    /// The coefficients of the iteration.
    pub ns_coefficients: [f64; 3],
    /// The least norm that is divided by.
    pub eps: f64,
    /// Newton-Schulz iterations.
    pub ns_steps: usize,
    /// How the rate is fitted to the shape.
    pub adjust_lr_fn: Option<AdjustLr>,
}

impl Default for TorchMuon {
    fn default() -> Self {
        Self {
            momentum: 0.95,
            nesterov: true,
            ns_coefficients: [3.4445, -4.775, 2.0315],
            eps: 1e-7,
            ns_steps: 5,
            adjust_lr_fn: None,
        }
    }
}

/// The mean of the gradients, old ones counting less.
#[derive(Clone, Copy)]
struct Mean {
    momentum: f64,
    nesterov: bool,
}

impl Momentum for Mean {
    #[inline(always)]
    fn follow<A: Number>(&self, g: A, b: A) -> (A, A) {
        let b = b + (g - b) * (1.0 - self.momentum);
        (b, if self.nesterov { g + (b - g) * self.momentum } else { b })
    }
}

impl Algorithm for TorchMuon {
    torch!("Muon", 0.001, Some(0.1));

    fn slots(&self, shape: &[usize]) -> Vec<SlotSpec> {
        vec![SlotSpec::zeros("momentum_buffer", shape)]
    }

    fn accept(&self, path: &str, shape: &[usize]) -> Result<()> {
        if shape.len() == 2 {
            return Ok(());
        }
        Err(Error::Unsupported {
            class: self.class(),
            path: path.to_owned(),
            shape: shape.to_vec(),
            expected: "matrices; use 'muon', which takes Adam's step for all else, OptimizerBuilder::build_for, which gives all \
                       else to AdamW, or a MultiOptimizer",
        })
    }

    fn companion(&self) -> Option<Box<dyn Algorithm>> {
        Some(Box::new(TorchAdamW::default()))
    }

    fn update(&self, step: &Step<'_>, target: &mut Target<'_>) -> Result<()> {
        let [rows, columns] = [0, 1].map(|axis| target.shape()[axis] as f64);
        let scale = match self.adjust_lr_fn.unwrap_or(AdjustLr::Original) {
            AdjustLr::Original => (rows / columns).max(1.0).sqrt(),
            AdjustLr::MatchRmsAdamw => 0.2 * rows.max(columns).sqrt(),
            AdjustLr::SpectralUnclamped => (rows / columns).sqrt(),
        };
        let length = step.learning_rate * scale;
        let iteration = NewtonSchulz {
            coefficients: self.ns_coefficients,
            steps: self.ns_steps,
            epsilon: self.eps,
            precision: Precision::Bfloat16,
        };
        let follow = Mean {
            momentum: self.momentum,
            nesterov: self.nesterov,
        };
        if step_in_place(target, &iteration, follow, length)? {
            return Ok(());
        }
        let slots = self.slots(target.shape());
        target.whole(&slots, |w, g, state| {
            let b = (&state[0] + (&g - &state[0])?.affine(1.0 - self.momentum, 0.0)?)?;
            let u = if self.nesterov {
                (&g + (&b - &g)?.affine(self.momentum, 0.0)?)?
            } else {
                b.clone()
            };
            let u = iteration.orthogonalize(&u)?;
            Ok(((w - u.affine(length, 0.0)?)?, vec![b]))
        })
    }

    fn shares_memory(&self) -> bool {
        true
    }

    fn validate(&self) -> Result<()> {
        let check = Check(self.class());
        let momentum = (0.0..=1.0).contains(&self.momentum);
        check.that(momentum, "momentum", self.momentum, "between 0 and 1")?;
        for coefficient in self.ns_coefficients {
            check.that(
                coefficient.is_finite(),
                "ns_coefficients",
                coefficient,
                "a finite number",
            )?;
        }
        check.positive("eps", self.eps)?;
        check.that(
            self.ns_steps < 100,
            "ns_steps",
            self.ns_steps,
            "a whole number below 100",
        )
    }
}

pub(in crate::algorithms) const DESCRIPTION: Description = Description {
    family: Family::Matrix,
    formula_latex: r"\begin{aligned} b &\leftarrow \mu\, b + (1-\mu)\, g, \qquad u = (1-\mu)\, g + \mu\, b = U \Sigma V^\top \\ w &\leftarrow w - \eta \lambda w - \eta \sqrt{\max(1, n / k)}\; U V^\top \end{aligned}",
    formula_unicode: "b ← μ b + (1 − μ) g,   u = (1 − μ) g + μ b = U Σ Vᵀ\nw ← w − η λ w − η √max(1, n / k) · U Vᵀ",
    what_changes: "PyTorch's Muon is the original one: it takes matrices only and leaves vectors to another optimizer. The \
        momentum is a mean of the gradients, which is made orthogonal by five rounds of matrix products in bfloat16; three \
        digits are enough, because only the directions matter. The rate is not scaled to that of Adam unless adjust_lr_fn asks \
        for it, and the weight decay is ten times that of AdamW.",
    paper: Paper {
        authors: "Keller Jordan, Yuchen Jin, Vlado Boza, Jiacheng You, Franz Cesista, Laker Newhouse, Jeremy Bernstein",
        title: "Muon: An optimizer for hidden layers in neural networks",
        year: 2024,
    },
};
