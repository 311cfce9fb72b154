//! PyTorch's Adafactor.

use candle_core::{D, Tensor};
use serde::{Deserialize, Serialize};

use super::torch;
use crate::algorithm::Check;
use crate::catalogue::{Description, Family, Paper};
use crate::whole::root_mean_square;
use crate::{Algorithm, Result, SlotSpec, Step, Target};

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

impl TorchAdafactor {
    /// The new state, and the second moment that follows from it.
    fn second_moment(&self, g: &Tensor, state: &[Tensor], share: f64, least: f64) -> Result<(Tensor, Vec<Tensor>)> {
        let follow = |old: &Tensor, new: Tensor| -> Result<Tensor> { Ok((old + (new - old)?.affine(share, 0.0)?)?) };
        let square = g.sqr()?;
        if g.rank() < 2 {
            let v = follow(&state[0], square)?;
            return Ok((v.clone(), vec![v]));
        }
        let r = follow(&state[0], square.mean_keepdim(D::Minus1)?)?;
        let c = follow(&state[1], square.mean_keepdim(D::Minus2)?)?;
        let mean = r.mean_keepdim(D::Minus2)?.clamp(least, f64::INFINITY)?;
        let v = r.broadcast_mul(&c)?.broadcast_div(&mean)?;
        Ok((v, vec![r, c]))
    }
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
        let slots = self.slots(target.shape());
        let rate = step.learning_rate.min(1.0 / step.t.sqrt());
        target.whole(&slots, |w, g, state| {
            let resolution = if w.dtype() == candle_core::DType::F64 {
                f64::EPSILON
            } else {
                f32::EPSILON.into()
            };
            let least = self.eps.0.unwrap_or(resolution);
            // The scale is that of the weights before they decay.
            let scale = self.eps.1.max(root_mean_square(&w)?) * rate;
            let w = w.affine(1.0 - step.learning_rate * step.weight_decay, 0.0)?;
            let (v, state) = self.second_moment(&g, &state, step.t.powf(self.beta2_decay), least)?;
            let u = (g / v.clamp(least * least, f64::INFINITY)?.sqrt()?)?;
            let length = scale / (root_mean_square(&u)? / self.d).max(1.0);
            Ok(((w - u.affine(length, 0.0)?)?, state))
        })
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
