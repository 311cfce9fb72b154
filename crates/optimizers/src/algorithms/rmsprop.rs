//! RMSprop: the gradient over its recent size.

use serde::{Deserialize, Serialize};

use crate::algorithm::Check;
use crate::catalogue::{Description, Family, Paper};
use crate::{Algorithm, Number, Result, Rule, SlotSpec, Step, Target};

/// RMSprop (Keras `RMSprop`), centered and with momentum as options.
///
/// `v <- rho v + (1 - rho) g^2`, `w <- w - eta g / sqrt(v + epsilon)`. Centered, the squared mean of the gradients is taken
/// off `v`; with momentum, `b <- momentum b + eta g / sqrt(...)` and `w <- w - b`.
///
/// Defaults: `learning_rate` 0.001, `rho` 0.9, `momentum` 0, `epsilon` 1e-7, `centered` false. State: 4 bytes a parameter in `f32`,
/// and 4 more for each of the two options. Source: Tieleman and Hinton, *Lecture 6.5*, COURSERA, 2012.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RmsProp {
    /// Decay of the mean of the squares.
    pub rho: f64,
    /// How much of the last step is repeated, `0..=1`.
    pub momentum: f64,
    /// Added inside the root.
    pub epsilon: f64,
    /// Whether to divide by the standard deviation instead of the root mean square.
    pub centered: bool,
}

impl Default for RmsProp {
    fn default() -> Self {
        Self {
            rho: 0.9,
            momentum: 0.0,
            epsilon: 1e-7,
            centered: false,
        }
    }
}

#[derive(Clone, Copy)]
struct Rates {
    rate: f64,
    rho: f64,
    rest: f64,
    momentum: f64,
    epsilon: f64,
}

impl Rates {
    #[inline(always)]
    fn mean<A: Number>(&self, mean: A, value: A) -> A {
        mean * self.rho + value * self.rest
    }

    #[inline(always)]
    fn increment<A: Number>(&self, g: A, variance: A) -> A {
        g * self.rate / (variance + self.epsilon).sqrt()
    }
}

#[derive(Clone, Copy)]
struct Plain(Rates);

impl Rule<1> for Plain {
    #[inline(always)]
    fn update<A: Number>(&self, w: A, g: A, [v]: [A; 1]) -> (A, [A; 1]) {
        let v = self.0.mean(v, g.square());
        (w - self.0.increment(g, v), [v])
    }
}

#[derive(Clone, Copy)]
struct WithMomentum(Rates);

impl Rule<2> for WithMomentum {
    #[inline(always)]
    fn update<A: Number>(&self, w: A, g: A, [v, b]: [A; 2]) -> (A, [A; 2]) {
        let v = self.0.mean(v, g.square());
        let b = b * self.0.momentum + self.0.increment(g, v);
        (w - b, [v, b])
    }
}

#[derive(Clone, Copy)]
struct Centered(Rates);

impl Rule<2> for Centered {
    #[inline(always)]
    fn update<A: Number>(&self, w: A, g: A, [v, a]: [A; 2]) -> (A, [A; 2]) {
        let v = self.0.mean(v, g.square());
        let a = self.0.mean(a, g);
        (w - self.0.increment(g, v - a.square()), [v, a])
    }
}

#[derive(Clone, Copy)]
struct CenteredWithMomentum(Rates);

impl Rule<3> for CenteredWithMomentum {
    #[inline(always)]
    fn update<A: Number>(&self, w: A, g: A, [v, b, a]: [A; 3]) -> (A, [A; 3]) {
        let v = self.0.mean(v, g.square());
        let a = self.0.mean(a, g);
        let b = b * self.0.momentum + self.0.increment(g, v - a.square());
        (w - b, [v, b, a])
    }
}

impl Algorithm for RmsProp {
    fn class(&self) -> &'static str {
        "RMSprop"
    }

    fn slots(&self, shape: &[usize]) -> Vec<SlotSpec> {
        let mut slots = vec![SlotSpec::zeros("velocity", shape)];
        if self.momentum > 0.0 {
            slots.push(SlotSpec::zeros("momentum", shape));
        }
        if self.centered {
            slots.push(SlotSpec::zeros("average_gradient", shape));
        }
        slots
    }

    fn update(&self, step: &Step<'_>, target: &mut Target<'_>) -> Result<()> {
        let rates = Rates {
            rate: step.learning_rate,
            rho: self.rho,
            rest: 1.0 - self.rho,
            momentum: self.momentum,
            epsilon: self.epsilon,
        };
        match (self.centered, self.momentum > 0.0) {
            (false, false) => target.elementwise(Plain(rates)),
            (false, true) => target.elementwise(WithMomentum(rates)),
            (true, false) => target.elementwise(Centered(rates)),
            (true, true) => target.elementwise(CenteredWithMomentum(rates)),
        }
    }

    fn is_elementwise(&self) -> bool {
        true
    }

    fn validate(&self) -> Result<()> {
        let check = Check("RMSprop");
        check.decay("rho", self.rho)?;
        check.that(
            (0.0..=1.0).contains(&self.momentum),
            "momentum",
            self.momentum,
            "between 0 and 1",
        )?;
        check.not_negative("epsilon", self.epsilon)
    }

    super::boilerplate!();
}

pub(super) const DESCRIPTION: Description = Description {
    family: Family::Ada,
    formula_latex: r"\begin{aligned} v &\leftarrow \rho\, v + (1-\rho)\, g^2 \\ w &\leftarrow w - \eta\, \frac{g}{\sqrt{v+\epsilon}} \end{aligned}",
    formula_unicode: "v ← ρ v + (1 − ρ) g²\nw ← w − η g / √(v + ε)",
    what_changes: "SGD gives all weights the same rate; RMSprop divides each gradient by its own recent size, the root of a \
        fading mean of its squares. A weight whose gradients are a thousand times smaller than its neighbour's moves just \
        as far, about η a step, so that layers of very different scale learn together. Unlike Adagrad it forgets: with \
        ρ = 0.9 only about the last ten steps count, and the rate does not die out. It has no momentum unless asked for.",
    paper: Paper {
        authors: "Tijmen Tieleman, Geoffrey Hinton",
        title: "Lecture 6.5: RMSprop, COURSERA: Neural Networks for Machine Learning",
        year: 2012,
    },
};
