//! Rprop: every weight has a step of its own, and only signs count.

use serde::{Deserialize, Serialize};

use super::torch;
use crate::algorithm::{Check, Initial};
use crate::catalogue::{Description, Family, Paper};
use crate::{Algorithm, Number, Result, Rule, SlotSpec, Step, Target};

/// Resilient backpropagation (PyTorch `torch.optim.Rprop`).
///
/// With `s = sign(g g_prev)`: the step size `d` of each weight is multiplied by `etas[1]` where `s > 0` and by `etas[0]` where
/// `s < 0`, and limited to `step_sizes`; where `s < 0` the gradient counts as 0; `w <- w - sign(g) d`, `g_prev = g`. The learning
/// rate is the first step size and has no effect later. For whole-batch gradients: with small batches the signs are noise.
///
/// Defaults: `lr` 0.01, `etas` (0.5, 1.2), `step_sizes` (1e-6, 50); no weight decay. State: 8 bytes a parameter in `f32`. Paper:
/// Riedmiller and Braun, *A direct adaptive method for faster backpropagation learning: the RPROP algorithm*, 1993.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rprop {
    /// What a step size is multiplied by when the sign has changed, and when it has not: below and above 1.
    pub etas: [f64; 2],
    /// The least and the largest step size.
    pub step_sizes: [f64; 2],
}

impl Default for Rprop {
    fn default() -> Self {
        Self {
            etas: [0.5, 1.2],
            step_sizes: [1e-6, 50.0],
        }
    }
}

#[derive(Clone, Copy)]
struct Resilient {
    less: f64,
    more: f64,
    least: f64,
    largest: f64,
}

impl Rule<2> for Resilient {
    #[inline(always)]
    fn update<A: Number>(&self, w: A, g: A, [previous, size]: [A; 2]) -> (A, [A; 2]) {
        let same = (g * previous).sign();
        // 1 where the sign is the same, or has changed, and 0 elsewhere; there are no branches over elements.
        let (agrees, turned) = (same.clamp(0.0, 1.0), (-same).clamp(0.0, 1.0));
        let factor = agrees * (self.more - 1.0) + turned * (self.less - 1.0) + 1.0;
        let size = (size * factor).clamp(self.least, self.largest);
        let g = g - g * turned;
        (w - g.sign() * size, [g, size])
    }
}

impl Algorithm for Rprop {
    torch!("Rprop", 0.01, None);

    fn slots(&self, shape: &[usize]) -> Vec<SlotSpec> {
        vec![
            SlotSpec::zeros("prev", shape),
            SlotSpec::new("step_size", shape, Initial::LearningRate),
        ]
    }

    fn update(&self, _: &Step<'_>, target: &mut Target<'_>) -> Result<()> {
        let ([less, more], [least, largest]) = (self.etas, self.step_sizes);
        target.elementwise(Resilient {
            less,
            more,
            least,
            largest,
        })
    }

    fn is_elementwise(&self) -> bool {
        true
    }

    fn validate(&self) -> Result<()> {
        let check = Check(self.class());
        let [less, more] = self.etas;
        let fits = less > 0.0 && less < 1.0 && more > 1.0 && more.is_finite();
        check.that(
            fits,
            "etas",
            format!("{less}, {more}"),
            "two numbers, between 0 and 1, and above 1",
        )?;
        let [least, largest] = self.step_sizes;
        let fits = least > 0.0 && least <= largest && largest.is_finite();
        let found = format!("{least}, {largest}");
        check.that(fits, "step_sizes", found, "two numbers above 0, the smaller one first")
    }
}

pub(in crate::algorithms) const DESCRIPTION: Description = Description {
    family: Family::Ada,
    formula_latex: r"\begin{aligned} d &\leftarrow d \cdot \begin{cases} \eta^+ & g\, g' > 0 \\ \eta^- & g\, g' < 0 \\ 1 & \text{else} \end{cases}, \qquad g \leftarrow 0 \text{ where } g\, g' < 0 \\ w &\leftarrow w - \operatorname{sign}(g)\, d, \qquad g' \leftarrow g \end{aligned}",
    formula_unicode: "d ← d η⁺ where g g′ > 0,   d ← d η⁻ and g ← 0 where g g′ < 0\nw ← w − sign(g) d,   g′ ← g",
    what_changes: "Rprop looks at nothing but the sign of each gradient. Every weight has a step size of its own: while the sign \
        stays the same, the step grows by a fifth each time, and when it flips, the minimum was jumped over, the step is \
        halved and the weight rests for one turn. So it needs no learning rate to speak of and does not care how steep the \
        loss is. It wants gradients over all data: with small batches the signs flip by chance, and RMSprop was made as the \
        version for batches.",
    paper: Paper {
        authors: "Martin Riedmiller, Heinrich Braun",
        title: "A direct adaptive method for faster backpropagation learning: the RPROP algorithm",
        year: 1993,
    },
};
