//! Learning rates to choose from.

use crate::{Error, Result};

/// What a grid looks like, for messages and help texts.
pub const GRID_FORM: &str = "LOW:HIGH:COUNT, such as 1e-4:10:7, or rates divided by commas, such as 0.001,0.01,0.1";

/// No study of one parameter needs more rates; a slip of the keyboard does not start a million trainings.
const MOST: usize = 100;

/// `count` learning rates from `low` to `high`, evenly spaced on a logarithmic axis, rounded to 4 significant digits.
///
/// Rounded, because powers differ in the last bit from machine to machine, and because such a rate can be typed.
///
/// ```
/// assert_eq!(optimizers_bench::log_grid(1e-4, 1e-1, 4), [1e-4, 1e-3, 1e-2, 1e-1]);
/// assert_eq!(optimizers_bench::log_grid(1e-4, 10.0, 7)[1], 6.813e-4);
/// ```
pub fn log_grid(low: f64, high: f64, count: usize) -> Vec<f64> {
    let steps = count.saturating_sub(1).max(1) as f64;
    (0..count)
        .map(|i| rounded(low * (high / low).powf(i as f64 / steps)))
        .collect()
}

fn rounded(value: f64) -> f64 {
    // What is not finite has no digits to round and stays what it is.
    format!("{value:.3e}").parse().unwrap_or(value)
}

/// The rates that a text names: `LOW:HIGH:COUNT` (see [`log_grid`]), or rates divided by commas, in ascending order.
///
/// ```
/// use optimizers_bench::parse_grid;
///
/// assert_eq!(parse_grid("1e-3:1:4")?, [0.001, 0.01, 0.1, 1.0]);
/// assert_eq!(parse_grid("0.1, 0.01")?, [0.01, 0.1]);
/// assert!(parse_grid("0.1;0.01").unwrap_err().to_string().contains("1e-4:10:7"));
/// # Ok::<(), optimizers_bench::Error>(())
/// ```
///
/// # Errors
/// [`Error::Grid`] for a text of another form, a rate that is not a positive finite number, a rate twice, more than 100.
pub fn parse_grid(text: &str) -> Result<Vec<f64>> {
    let bad = |problem: String| Error::Grid {
        text: text.chars().take(100).collect(),
        problem,
    };
    let rate = |part: &str| match part.trim().parse::<f64>() {
        Ok(rate) if rate.is_finite() && rate > 0.0 => Ok(rate),
        Ok(rate) => Err(bad(format!("{rate} is not a positive finite number"))),
        Err(_) => Err(bad(format!("'{}' is no number", part.trim()))),
    };
    let mut rates = match text.split(':').collect::<Vec<_>>().as_slice() {
        [low, high, count] => {
            let (low, high) = (rate(low)?, rate(high)?);
            let count = match count.trim().parse::<usize>() {
                Ok(count) if (1..=MOST).contains(&count) => count,
                _ => {
                    return Err(bad(format!(
                        "the count '{}' is not a whole number from 1 to {MOST}",
                        count.trim()
                    )));
                }
            };
            match (low < high, count) {
                (false, 2..) => return Err(bad(format!("{low} is not below {high}"))),
                (true, 1) => return Err(bad(format!("one rate cannot be both {low} and {high}"))),
                _ => log_grid(low, high, count),
            }
        }
        [_] => text.split(',').map(rate).collect::<Result<Vec<_>>>()?,
        parts => return Err(bad(format!("{} parts are divided by ':'", parts.len()))),
    };
    if rates.len() > MOST {
        return Err(bad(format!("{} rates are more than {MOST}", rates.len())));
    }
    rates.sort_by(f64::total_cmp);
    match rates.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(bad(format!("the rate {} is there twice", pair[0]))),
        None => Ok(rates),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refuses(text: &str, words: &str) {
        let error = parse_grid(text).unwrap_err().to_string();
        assert!(error.contains(words) && error.contains("LOW:HIGH:COUNT"), "{error}");
    }

    #[test]
    fn grids_that_are_none_are_refused_with_the_reason() {
        refuses("", "'' is no number");
        refuses("fast", "'fast' is no number");
        refuses("0.1,,0.2", "'' is no number");
        refuses("0.1,-1", "-1 is not a positive");
        refuses("0:1:3", "0 is not a positive");
        refuses("inf", "inf is not a positive");
        refuses("NaN", "NaN is not a positive");
        refuses("1:0.1:3", "1 is not below 0.1");
        refuses("0.1:0.1:3", "not below");
        refuses("0.1:1:1", "one rate cannot be both");
        refuses("0.1:1:0", "the count '0'");
        refuses("0.1:1:999999999999", "the count '999999999999'");
        refuses("0.1:1:x", "the count 'x'");
        refuses("0.1:1", "2 parts");
        refuses("1:2:3:4", "4 parts");
        refuses("0.1,0.10", "0.1 is there twice");
        // closer than 4 digits can tell
        refuses("1:1.0001:9", "there twice");
        refuses(&vec!["1"; 101].join(","), "101 rates");
    }

    #[test]
    fn grids_ascend() {
        assert_eq!(parse_grid("1, 0.1,0.5").unwrap(), [0.1, 0.5, 1.0]);
        assert_eq!(parse_grid("0.5:0.5:1").unwrap(), [0.5]);
        let grid = parse_grid("1e-4:10:7").unwrap();
        assert_eq!(grid, [1e-4, 6.813e-4, 4.642e-3, 0.03162, 0.2154, 1.468, 10.0]);
    }
}
