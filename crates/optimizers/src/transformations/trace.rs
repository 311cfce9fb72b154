//! Momentum.

use crate::algorithm::{Check, Initial, Step};
use crate::error::Result;
use crate::number::Number;
use crate::transformation::{Pass, Transformation};

/// Momentum as PyTorch has it: `b <- momentum b + (1 - dampening) u`, out goes `b`, or `u + momentum b` with Nesterov's.
///
/// The first step takes `b = u`, whatever the dampening.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trace {
    /// How much of the past is kept, `0..=1`.
    pub momentum: f64,
    /// How much of the new is left out, `0..=1`.
    pub dampening: f64,
    /// Whether to look ahead along the momentum.
    pub nesterov: bool,
}

impl Default for Trace {
    fn default() -> Self {
        Self {
            momentum: 0.9,
            dampening: 0.0,
            nesterov: false,
        }
    }
}

/// [`Trace`] at one step: `b <- keep b + take u`, and out goes `ahead b + direct u`.
#[derive(Clone, Copy, Debug)]
pub struct TracePass {
    keep: f64,
    take: f64,
    ahead: f64,
    direct: f64,
}

impl Pass for TracePass {
    const SLOTS: usize = 1;

    #[inline(always)]
    fn update<A: Number>(&self, _: A, u: A, slots: &mut [A]) -> A {
        slots[0] = slots[0] * self.keep + u * self.take;
        slots[0] * self.ahead + u * self.direct
    }
}

impl Transformation for Trace {
    type Pass = TracePass;

    fn slots(&self) -> Vec<(&'static str, Initial)> {
        vec![("momentum_buffer", 0.0.into())]
    }

    fn pass(&self, step: &Step<'_>) -> TracePass {
        let take = if step.t == 1.0 { 1.0 } else { 1.0 - self.dampening };
        let (ahead, direct) = if self.nesterov {
            (self.momentum, 1.0)
        } else {
            (1.0, 0.0)
        };
        TracePass {
            keep: self.momentum,
            take,
            ahead,
            direct,
        }
    }

    fn validate(&self) -> Result<()> {
        let check = Check("Trace");
        let share = |value: f64| (0.0..=1.0).contains(&value);
        check.that(share(self.momentum), "momentum", self.momentum, "between 0 and 1")?;
        check.that(share(self.dampening), "dampening", self.dampening, "between 0 and 1")?;
        check.that(
            !self.nesterov || (self.momentum > 0.0 && self.dampening == 0.0),
            "nesterov",
            "true",
            "false unless there is a momentum and no dampening",
        )
    }
}
