//! Muon: momentum made orthogonal, for matrices; Adam for all else.

use regex::Regex;
use serde::{Deserialize, Serialize};

use super::adam::{self, Adam};
use crate::algorithm::Check;
use crate::catalogue::{Description, Family, Paper};
use crate::newton_schulz::{NewtonSchulz, Precision};
use crate::orthogonal::{Momentum, step_in_place};
use crate::{Algorithm, Number, Result, SlotSpec, Step, Target};

/// Muon (Keras `Muon`).
///
/// For a matrix of `n` rows and `k` columns: `m <- momentum m + g`, `u = g + momentum m` (without Nesterov `u = m`), `u` is brought
/// near the nearest orthogonal matrix by `ns_steps` Newton-Schulz iterations `u <- a u + (b u u' + c (u u')^2) u`, and
/// `w <- w - eta rms_rate sqrt(max(n, k)) u`. Parameters of other ranks, those whose path contains «embedding» and those whose path
/// matches one of `exclude_layers` take Adam's step with `eta adam_lr_ratio` and the decay `adam_weight_decay`.
///
/// Defaults: `learning_rate` 0.001, `weight_decay` 0.004, `momentum` 0.95, `ns_steps` 5, `nesterov` true, `rms_rate` 0.2,
/// `adam_beta_1` 0.9, `adam_beta_2` 0.999, `epsilon` 1e-7, `adam_lr_ratio` 1, `adam_weight_decay` 0.004. State in `f32`: 4 bytes a
/// parameter of a matrix, 8 of all else. Papers: Jordan et al., *Muon: An optimizer for hidden layers in neural networks*,
/// 2024; the scale: Liu et al., *Muon is Scalable for LLM Training*, 2025.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Muon {
    /// Adam's decay of the mean of the gradients.
    pub adam_beta_1: f64,
    /// Adam's decay of the mean of their squares.
    pub adam_beta_2: f64,
    /// Added to Adam's root.
    pub epsilon: f64,
    /// Regular expressions: parameters whose path one of them finds take Adam's step.
    pub exclude_layers: Vec<String>,
    /// The first coefficient of the iteration.
    pub muon_a: f64,
    /// The second coefficient of the iteration.
    pub muon_b: f64,
    /// The third coefficient of the iteration.
    pub muon_c: f64,
    /// Adam's rate over that of Muon.
    pub adam_lr_ratio: f64,
    /// How much of the momentum is kept, `0..=1`.
    pub momentum: f64,
    /// Newton-Schulz iterations.
    pub ns_steps: usize,
    /// Whether to look ahead along the momentum.
    pub nesterov: bool,
    /// Whether parameters with «embedding» in their path take Adam's step.
    pub exclude_embeddings: bool,
    /// The weight decay of parameters that take Adam's step.
    pub adam_weight_decay: Option<f64>,
    /// The root mean square of an update at rate 1; `None` leaves the orthogonal matrix as it is.
    pub rms_rate: Option<f64>,
}

impl Default for Muon {
    fn default() -> Self {
        Self {
            adam_beta_1: 0.9,
            adam_beta_2: 0.999,
            epsilon: 1e-7,
            exclude_layers: Vec::new(),
            muon_a: 3.4445,
            muon_b: -4.775,
            muon_c: 2.0315,
            adam_lr_ratio: 1.0,
            momentum: 0.95,
            ns_steps: 5,
            nesterov: true,
            exclude_embeddings: true,
            adam_weight_decay: Some(0.004),
            rms_rate: Some(0.2),
        }
    }
}

impl Muon {
    fn takes_adam(&self, path: &str, shape: &[usize]) -> bool {
        // The patterns were checked; one that cannot be read again excludes nothing.
        let excluded = |pattern: &String| Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(path));
        shape.len() != 2
            || self.exclude_embeddings && path.to_lowercase().contains("embedding")
            || self.exclude_layers.iter().any(excluded)
    }

    fn adam(&self) -> Adam {
        Adam {
            beta_1: self.adam_beta_1,
            beta_2: self.adam_beta_2,
            epsilon: self.epsilon,
            amsgrad: false,
        }
    }

    fn orthogonal_step(&self, step: &Step<'_>, target: &mut Target<'_>) -> Result<()> {
        let side = target.shape().iter().copied().max().unwrap_or(1) as f64;
        let length = step.learning_rate * self.rms_rate.map_or(1.0, |rate| rate * side.sqrt());
        let iteration = NewtonSchulz {
            coefficients: [self.muon_a, self.muon_b, self.muon_c],
            steps: self.ns_steps,
            epsilon: 1e-7,
            precision: Precision::Own,
        };
        let follow = Sum {
            momentum: self.momentum,
            nesterov: self.nesterov,
        };
        if step_in_place(target, &iteration, follow, length)? {
            return Ok(());
        }
        let slots = [SlotSpec::zeros("momentum", target.shape())];
        target.whole(&slots, |w, g, state| {
            let m = (state[0].affine(self.momentum, 0.0)? + &g)?;
            let u = if self.nesterov {
                (g + m.affine(self.momentum, 0.0)?)?
            } else {
                m.clone()
            };
            let u = iteration.orthogonalize(&u)?;
            Ok(((w - u.affine(length, 0.0)?)?, vec![m]))
        })
    }
}

/// The gradients of all steps, old ones forgotten.
#[derive(Clone, Copy)]
struct Sum {
    momentum: f64,
    nesterov: bool,
}

impl Momentum for Sum {
    #[inline(always)]
    fn follow<A: Number>(&self, g: A, m: A) -> (A, A) {
        let m = m * self.momentum + g;
        (m, if self.nesterov { g + m * self.momentum } else { m })
    }
}

impl Algorithm for Muon {
    fn class(&self) -> &'static str {
        "Muon"
    }

    fn default_weight_decay(&self) -> Option<f64> {
        Some(0.004)
    }

    fn weight_decay_of(&self, path: &str, shape: &[usize], given: Option<f64>) -> Option<f64> {
        if self.takes_adam(path, shape) {
            self.adam_weight_decay
        } else {
            given
        }
    }

    fn slots(&self, shape: &[usize]) -> Vec<SlotSpec> {
        self.slots_of("", shape)
    }

    fn slots_of(&self, path: &str, shape: &[usize]) -> Vec<SlotSpec> {
        if self.takes_adam(path, shape) {
            self.adam().slots(shape)
        } else {
            vec![SlotSpec::zeros("momentum", shape)]
        }
    }

    fn update(&self, step: &Step<'_>, target: &mut Target<'_>) -> Result<()> {
        // What is remembered of the parameter tells which step it takes, without a look at its path.
        if target.slots.len() > 1 {
            let learning_rate = step.learning_rate * self.adam_lr_ratio;
            self.adam().update(&Step { learning_rate, ..*step }, target)
        } else {
            self.orthogonal_step(step, target)
        }
    }

    fn shares_memory(&self) -> bool {
        true
    }

    fn validate(&self) -> Result<()> {
        let check = Check("Muon");
        adam::validate("Muon", self.adam_beta_1, self.adam_beta_2, self.epsilon)?;
        for pattern in &self.exclude_layers {
            let error = Regex::new(pattern).err().map(|error| error.to_string());
            let found = format!("'{pattern}' ({})", error.clone().unwrap_or_default());
            check.that(error.is_none(), "exclude_layers", found, "made of regular expressions")?;
        }
        for (option, value) in [
            ("muon_a", self.muon_a),
            ("muon_b", self.muon_b),
            ("muon_c", self.muon_c),
        ] {
            check.that(value.is_finite(), option, value, "a finite number")?;
        }
        let momentum = (0.0..=1.0).contains(&self.momentum);
        check.that(momentum, "momentum", self.momentum, "between 0 and 1")?;
        check.that(
            self.ns_steps <= 100,
            "ns_steps",
            self.ns_steps,
            "a whole number of at most 100",
        )?;
        check.not_negative("adam_lr_ratio", self.adam_lr_ratio)?;
        check.not_negative("adam_weight_decay", self.adam_weight_decay.unwrap_or(0.0))?;
        check.not_negative("rms_rate", self.rms_rate.unwrap_or(0.0))
    }

    super::boilerplate!();
}

pub(super) const DESCRIPTION: Description = Description {
    family: Family::Matrix,
    formula_latex: r"\begin{aligned} m &\leftarrow \mu\, m + g, \qquad u = g + \mu\, m = U \Sigma V^\top \\ w &\leftarrow w - \eta\, \rho \sqrt{\max(n, k)}\; U V^\top \end{aligned}",
    formula_unicode: "m ← μ m + g,   u = g + μ m = U Σ Vᵀ\nw ← w − η ρ √max(n, k) · U Vᵀ",
    what_changes: "All methods before look at each weight by itself; Muon looks at a matrix as a matrix. The momentum of a layer \
        is mostly made of few directions that are much stronger than all others. Muon replaces it by the nearest orthogonal \
        matrix, in which every direction counts the same, so that rare directions are learnt too. Five rounds of matrix \
        products do that, without a singular value decomposition. Vectors, embeddings and the output layer take Adam's step; \
        matrices need half of Adam's memory.",
    paper: Paper {
        authors: "Keller Jordan, Yuchen Jin, Vlado Boza, Jiacheng You, Franz Cesista, Laker Newhouse, Jeremy Bernstein",
        title: "Muon: An optimizer for hidden layers in neural networks",
        year: 2024,
    },
};
