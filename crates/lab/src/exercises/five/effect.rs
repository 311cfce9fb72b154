//! What augmentation changes: two means over the seeds and the mean of their differences.

use std::cmp::Ordering;

use anyhow::Result;
use optimizers_bench::Interval;
use report::format::{number, percent_plus_minus};
use serde_json::{Value, json};

use super::trial::{Outcome, Pairs};

const CONFIDENCE: f64 = 0.95;

/// Two means over the seeds and the mean of the differences, seed by seed.
pub(super) struct Effect {
    pub(super) before: Interval,
    pub(super) after: Interval,
    pub(super) gain: Interval,
}

impl Effect {
    pub(super) fn of<T>(items: &[T], before: impl Fn(&T) -> f64, after: impl Fn(&T) -> f64) -> Result<Self> {
        let pairs: Vec<(f64, f64)> = items.iter().map(|item| (before(item), after(item))).collect();
        let (first, second): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
        Ok(Effect {
            before: Interval::student(&first, CONFIDENCE)?,
            after: Interval::student(&second, CONFIDENCE)?,
            gain: Interval::paired(&pairs, CONFIDENCE)?,
        })
    }

    /// Of the augmentation in training on a figure of the networks.
    pub(super) fn of_training(pairs: &Pairs, figure: impl Fn(&Outcome) -> f64) -> Result<Self> {
        Self::of(pairs, |pair| figure(&pair.0), |pair| figure(&pair.1))
    }

    pub(super) fn word(&self) -> &'static str {
        match self.gain.side_of(0.0) {
            Ordering::Greater => "better",
            Ordering::Less => "worse",
            Ordering::Equal => "cannot be told",
        }
    }

    pub(super) fn cells(&self) -> [String; 4] {
        [
            plus_minus(&self.before),
            plus_minus(&self.after),
            points(&self.gain),
            self.word().to_string(),
        ]
    }

    pub(super) fn json(&self) -> Value {
        json!({ "without": self.before, "with": self.after, "difference": self.gain })
    }
}

/// The interval of a figure of the networks with, or without, augmentation.
pub(super) fn over_seeds(pairs: &Pairs, with: bool, figure: impl Fn(&Outcome) -> f64) -> Result<Interval> {
    let values: Vec<f64> = pairs
        .iter()
        .map(|pair| figure(if with { &pair.1 } else { &pair.0 }))
        .collect();
    Ok(Interval::student(&values, CONFIDENCE)?)
}

/// (epoch, mean over the seeds).
pub(super) fn mean_curve(
    pairs: &Pairs,
    with: bool,
    figure: impl Fn(&Outcome, usize) -> Option<f64>,
) -> Vec<(f64, f64)> {
    let runs: Vec<&Outcome> = pairs.iter().map(|pair| if with { &pair.1 } else { &pair.0 }).collect();
    let epochs = runs.iter().map(|run| run.epochs.len()).min().unwrap_or(0);
    (0..epochs)
        .filter_map(|epoch| {
            let values: Vec<f64> = runs.iter().filter_map(|run| figure(run, epoch)).collect();
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            mean.is_finite().then_some(((epoch + 1) as f64, mean))
        })
        .collect()
}

/// A mean with its interval, in percent.
pub(super) fn plus_minus(interval: &Interval) -> String {
    percent_plus_minus(interval.mean, interval.margin(), 1)
}

/// A difference of shares in percentage points, with its sign.
pub(super) fn points(interval: &Interval) -> String {
    let mean = number(interval.mean * 100.0, 1);
    let sign = if mean.starts_with('−') || interval.mean == 0.0 {
        ""
    } else {
        "+"
    };
    format!("{sign}{mean} ± {}", number(interval.margin() * 100.0, 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pairs: &[(f64, f64)], word: &str, shown: &str) {
        let effect = Effect::of(pairs, |pair| pair.0, |pair| pair.1).unwrap();
        assert_eq!((effect.word(), points(&effect.gain).as_str()), (word, shown));
    }

    #[test]
    fn the_word_follows_the_interval() {
        check(&[(0.5, 0.6), (0.7, 0.8)], "better", "+10.0 ± 0.0");
        check(&[(0.6, 0.5), (0.8, 0.7)], "worse", "−10.0 ± 0.0");
        check(&[(0.5, 0.5), (0.7, 0.7)], "cannot be told", "0.0 ± 0.0");
        check(&[(0.5, 0.9), (0.7, 0.6)], "cannot be told", "+15.0 ± 317.7");
    }
}
