//! Up once and down once.

use serde::{Deserialize, Serialize};

use super::Rate;
use crate::algorithm::Check;
use crate::error::Result;

/// The curve between two rates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Anneal {
    /// Half a cosine.
    Cos,
    /// A straight line.
    Linear,
}

impl Anneal {
    fn between(self, from: f64, to: f64, completed: f64) -> f64 {
        match self {
            Self::Cos => to + (from - to) / 2.0 * (1.0 + (std::f64::consts::PI * completed).cos()),
            Self::Linear => from + (to - from) * completed,
        }
    }
}

/// One cycle (the rates of PyTorch's `OneCycleLR`; its momentum is not cycled here).
///
/// From `max / div_factor` up to `max` in the first `pct_start` of `total_steps`, then down to
/// `max / div_factor / final_div_factor`, where it stays; with `three_phase`, down to the first rate as fast as up, then to the
/// last one. Smith and Topin, *Super-Convergence: Very Fast Training of Neural Networks Using Large Learning Rates*, 2018.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct OneCycle {
    /// The largest rate.
    pub max_learning_rate: f64,
    /// The steps of the whole cycle.
    pub total_steps: f64,
    /// The share of the steps in which the rate rises, above 0 and below 1 (at most 1/2 with three phases).
    pub pct_start: f64,
    /// The curve.
    pub anneal_strategy: Anneal,
    /// The largest rate over the first one.
    pub div_factor: f64,
    /// The first rate over the last one.
    pub final_div_factor: f64,
    /// Whether the way down is cut in two.
    pub three_phase: bool,
}

impl Default for OneCycle {
    fn default() -> Self {
        Self {
            max_learning_rate: 0.01,
            total_steps: 1000.0,
            pct_start: 0.3,
            anneal_strategy: Anneal::Cos,
            div_factor: 25.0,
            final_div_factor: 1e4,
            three_phase: false,
        }
    }
}

impl Rate for OneCycle {
    fn value(&self, step: u64) -> f64 {
        let (end, top) = (self.total_steps - 1.0, self.max_learning_rate);
        let first = top / self.div_factor;
        let last = first / self.final_div_factor;
        let rise = self.pct_start * self.total_steps;
        // Where each phase ends, and at which rate; PyTorch counts from 0, so each lies one step before its share.
        let three = [(rise - 1.0, top), (2.0 * rise - 2.0, first), (end, last)];
        let two = [three[0], three[2]];
        let phases: &[(f64, f64)] = if self.three_phase { &three } else { &two };
        let step = step as f64;
        let mut from = (0.0, first);
        for &(until, rate) in phases {
            if step <= until && until > from.0 {
                return self
                    .anneal_strategy
                    .between(from.1, rate, (step - from.0) / (until - from.0));
            }
            from = (until, rate);
        }
        last
    }

    fn validate(&self) -> Result<()> {
        let check = Check("OneCycle");
        check.not_negative("max_learning_rate", self.max_learning_rate)?;
        let steps = self.total_steps;
        check.that(
            steps >= 1.0 && steps.is_finite(),
            "total_steps",
            steps,
            "a finite number of at least 1",
        )?;
        let most = if self.three_phase { 0.5 } else { 1.0 };
        let share = (0.0..=most).contains(&self.pct_start);
        check.that(share, "pct_start", self.pct_start, &format!("between 0 and {most}"))?;
        check.positive("div_factor", self.div_factor)?;
        check.positive("final_div_factor", self.final_div_factor)
    }
}
