//! Scores in words: percent, shares of variance, powers of ten.

use optimizers_bench::{Interval, Measure};
use report::format::{number, percent, percent_interval};

/// A score as it is read.
pub(super) fn score(measure: Measure, value: f64) -> String {
    match measure {
        Measure::Accuracy => percent(value, 1),
        Measure::Determination => number(value, 3),
        Measure::Orders => number(value, 1),
    }
}

/// A mean score with its interval.
pub(super) fn with_interval(measure: Measure, interval: &Interval) -> String {
    let (lower, upper) = (interval.lower, interval.upper);
    match measure {
        Measure::Accuracy => percent_interval(interval.mean, lower, upper, 1),
        _ => {
            let [mean, lower, upper] = [interval.mean, lower, upper].map(|value| score(measure, value));
            format!("{mean} [{lower}, {upper}]")
        }
    }
}

/// What a column or an axis of test scores is called.
pub(super) fn tested(measure: Measure) -> String {
    match measure {
        Measure::Orders => "orders of magnitude".to_string(),
        measure => format!("test {}", measure.name()),
    }
}

/// What an axis of validation scores is called.
pub(super) fn validated(measure: Measure) -> String {
    match measure {
        Measure::Orders => "orders of magnitude".to_string(),
        measure => format!("validation {}", measure.name()),
    }
}
