//! FTRL: weights computed afresh from all gradients so far, with true zeros.

use serde::{Deserialize, Serialize};

use crate::algorithm::Check;
use crate::catalogue::{Description, Family, Paper};
use crate::{Algorithm, Number, Result, Rule, SlotSpec, Step, Target};

/// Follow the regularized leader (Keras `Ftrl`).
///
/// With `p = -learning_rate_power`, `g' = g + 2 shrinkage w`, `n' = n + g^2`:
/// `z <- z + g' - (n'^p - n^p) / eta w`, `w <- (clip(z, -l1, l1) - z) / (n'^p / eta + 2 (l2 + beta / (2 eta)))`.
///
/// In `f32` two powers that are nearly the same are subtracted and divided by a small rate: where gradients are small beside `n`, `z` and the
/// weights have three or four true digits left, in Keras as here. Keras' own depend on the place of a number in its tensor, because
/// TensorFlow's power of several numbers at once ends in another last digit than that of one.
///
/// Defaults: `learning_rate` 0.001, `learning_rate_power` -0.5, `initial_accumulator_value` 0.1, all strengths and `beta` 0. State: 8
/// bytes a parameter in `f32`. Paper: McMahan et al., *Ad Click Prediction: a View from the Trenches*, 2013.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ftrl {
    /// How fast the rates fall, at most 0; -0.5 is Adagrad's fall, 0 a fixed rate.
    pub learning_rate_power: f64,
    /// What the sum of squares starts from.
    pub initial_accumulator_value: f64,
    /// Strength of the penalty on absolute values, which makes weights exactly 0.
    pub l1_regularization_strength: f64,
    /// Strength of the penalty on squares.
    pub l2_regularization_strength: f64,
    /// Strength of the penalty on squares that enters through the gradient.
    pub l2_shrinkage_regularization_strength: f64,
    /// Slows the first steps.
    pub beta: f64,
}

impl Default for Ftrl {
    fn default() -> Self {
        Self {
            learning_rate_power: -0.5,
            initial_accumulator_value: 0.1,
            l1_regularization_strength: 0.0,
            l2_regularization_strength: 0.0,
            l2_shrinkage_regularization_strength: 0.0,
            beta: 0.0,
        }
    }
}

#[derive(Clone, Copy)]
struct Leader {
    inverse_rate: f64,
    power: f64,
    l1: f64,
    twice_l2: f64,
    twice_shrinkage: f64,
}

impl Rule<2> for Leader {
    #[inline(always)]
    fn update<A: Number>(&self, w: A, g: A, [n, z]: [A; 2]) -> (A, [A; 2]) {
        let new = n + g.square();
        let power = new.powf(self.power);
        let z = z + ((g + w * self.twice_shrinkage) - (power - n.powf(self.power)) * self.inverse_rate * w);
        let quadratic = power * self.inverse_rate + self.twice_l2;
        ((z.clamp(-self.l1, self.l1) - z) / quadratic, [new, z])
    }
}

impl Algorithm for Ftrl {
    fn class(&self) -> &'static str {
        "Ftrl"
    }

    fn slots(&self, shape: &[usize]) -> Vec<SlotSpec> {
        vec![
            SlotSpec::new("accumulator", shape, self.initial_accumulator_value),
            SlotSpec::zeros("linear", shape),
        ]
    }

    fn update(&self, step: &Step<'_>, target: &mut Target<'_>) -> Result<()> {
        // The rule divides by the rate; at rate 0 its limit is that nothing moves.
        if step.learning_rate == 0.0 {
            return Ok(());
        }
        let inverse_rate = 1.0 / step.learning_rate;
        target.elementwise(Leader {
            inverse_rate,
            power: -self.learning_rate_power,
            l1: self.l1_regularization_strength,
            twice_l2: 2.0 * self.l2_regularization_strength + self.beta * inverse_rate,
            twice_shrinkage: 2.0 * self.l2_shrinkage_regularization_strength,
        })
    }

    fn is_elementwise(&self) -> bool {
        true
    }

    fn validate(&self) -> Result<()> {
        let check = Check("Ftrl");
        let power = self.learning_rate_power;
        check.that(
            power <= 0.0 && power.is_finite(),
            "learning_rate_power",
            power,
            "a finite number that is 0 or less",
        )?;
        check.not_negative("initial_accumulator_value", self.initial_accumulator_value)?;
        check.not_negative("l1_regularization_strength", self.l1_regularization_strength)?;
        check.not_negative("l2_regularization_strength", self.l2_regularization_strength)?;
        check.not_negative(
            "l2_shrinkage_regularization_strength",
            self.l2_shrinkage_regularization_strength,
        )?;
        check.not_negative("beta", self.beta)
    }

    super::boilerplate!();
}

pub(super) const DESCRIPTION: Description = Description {
    family: Family::Ada,
    formula_latex: r"\begin{aligned} n' &= n + g^2, \qquad z \leftarrow z + g - \frac{n'^{p} - n^{p}}{\eta}\, w \\ w &\leftarrow \frac{\operatorname{clip}(z, -\lambda_1, \lambda_1) - z}{n'^{p} / \eta + 2 \lambda_2 + \beta / \eta}, \qquad n \leftarrow n' \end{aligned}",
    formula_unicode: "n′ = n + g²,   z ← z + g − (n′ᵖ − nᵖ) / η · w\nw ← (clip(z, −λ₁, λ₁) − z) / (n′ᵖ / η + 2 λ₂ + β / η),   n ← n′",
    what_changes: "SGD moves a weight from where it is; FTRL computes it afresh, as the point that would have been best for \
        all gradients so far plus a penalty. Without penalties this is Adagrad written differently. With the penalty λ₁ every \
        weight whose collected gradient z is small becomes exactly 0, which SGD never achieves, and which keeps models with \
        millions of rare features small. Mind the start: the first update ignores the initial weights, except through z.",
    paper: Paper {
        authors: "H. Brendan McMahan, Gary Holt, D. Sculley, Michael Young, Dietmar Ebner, Julian Grady, Lan Nie, Todd Phillips, Eugene Davydov, Daniel Golovin, Sharat Chikkerur, Dan Liu, Martin Wattenberg, Arnar Mar Hrafnkelsson, Tom Boulos, Jeremy Kubica",
        title: "Ad Click Prediction: a View from the Trenches",
        year: 2013,
    },
};
