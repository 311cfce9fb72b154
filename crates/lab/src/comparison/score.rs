//! Scores in words: percent, shares of variance, powers of ten.

use optimizers_bench::{Interval, Measure};
use report::format::{number, percent, percent_interval, significant};

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

/// A learning rate as it would be typed: two digits that mean something, no zeros behind them.
pub(super) fn rate(learning_rate: f64) -> String {
    let text = significant(learning_rate, 2);
    if text.contains('.') && !text.contains('·') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// So many things: one task, two tasks.
pub(crate) fn counted(count: usize, thing: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {thing}{plural}", report::format::count(count))
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
