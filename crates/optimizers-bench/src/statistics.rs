//! Means with intervals.

use std::cmp::Ordering;

use kernels::random::{Draws, Stream};
use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, StudentsT};

use crate::{Error, Result};

/// A mean and the interval that covers the true mean with a given confidence.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Mean of the values.
    pub mean: f64,
    /// Lower end.
    pub lower: f64,
    /// Upper end.
    pub upper: f64,
    /// Number of values.
    pub values: usize,
}

impl Interval {
    /// Half of the interval's width: the number after `±`.
    pub fn margin(&self) -> f64 {
        (self.upper - self.lower) / 2.0
    }

    /// Student's interval of the mean, `x̄ ± t s / √n`, where `s` is the standard deviation of the sample (with `n - 1`)
    /// and `t` the quantile of Student's distribution of `n - 1` degrees of freedom at `(1 + confidence) / 2`
    /// (Student 1908). It assumes that the mean is about normally distributed, which for a share of right answers
    /// near 1 and few seeds is rough: the interval may reach beyond 1.
    ///
    /// ```
    /// use optimizers_bench::Interval;
    ///
    /// let interval = Interval::student(&[1.0, 2.0, 3.0, 4.0], 0.95)?;
    /// assert_eq!(interval.mean, 2.5);
    /// assert!((interval.margin() - 3.182_446 * 1.290_994 / 2.0).abs() < 1e-5); // t s / √4
    /// # Ok::<(), optimizers_bench::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::TooFew`] for fewer than two values.
    pub fn student(values: &[f64], confidence: f64) -> Result<Self> {
        let n = values.len();
        let Some(t) = quantile(n, confidence) else {
            return Err(Error::TooFew { found: n });
        };
        let mean = values.iter().sum::<f64>() / n as f64;
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1) as f64;
        let margin = t * (variance / n as f64).sqrt();
        Ok(Interval {
            mean,
            lower: mean - margin,
            upper: mean + margin,
            values: n,
        })
    }

    /// Student's interval of the mean of the differences `after - before` of pairs.
    ///
    /// Pairs that share what else varies (here: the seed, so the initial weights and the order of the batches) have
    /// differences that vary less than the values do, so a smaller effect can be seen than by comparing two intervals.
    ///
    /// ```
    /// use optimizers_bench::Interval;
    ///
    /// let pairs = [(0.90, 0.92), (0.80, 0.83), (0.85, 0.86)]; // (before, after)
    /// let gain = Interval::paired(&pairs, 0.95)?;
    /// assert!((gain.mean - 0.02).abs() < 1e-12);
    /// # Ok::<(), optimizers_bench::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::TooFew`] for fewer than two pairs.
    pub fn paired(pairs: &[(f64, f64)], confidence: f64) -> Result<Self> {
        let differences: Vec<f64> = pairs.iter().map(|(before, after)| after - before).collect();
        Interval::student(&differences, confidence)
    }

    /// The bootstrap interval of the mean (Efron 1979): the values are drawn anew with replacement 10,000 times, and the
    /// ends are quantiles of the means. It assumes no distribution and does not reach beyond the largest value; with few
    /// values it is somewhat too narrow (of ten values it covers in about 92 of 100 cases what it promises to cover in 95).
    ///
    /// The same values always give the same interval: the draws are those of one fixed stream.
    ///
    /// ```
    /// use optimizers_bench::Interval;
    ///
    /// let interval = Interval::bootstrap(&[0.97, 0.98, 0.98, 0.99, 1.0], 0.95)?;
    /// assert!(interval.lower > 0.97 && interval.upper < 1.0);
    /// # Ok::<(), optimizers_bench::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::TooFew`] for fewer than two values.
    pub fn bootstrap(values: &[f64], confidence: f64) -> Result<Self> {
        let n = values.len();
        if n < 2 {
            return Err(Error::TooFew { found: n });
        }
        let mut draws = Stream::new(0).op("bootstrap").draws();
        let mut means: Vec<f64> = (0..RESAMPLES)
            .map(|_| (0..n).map(|_| values[draws.below(n)]).sum::<f64>() / n as f64)
            .collect();
        let (lower, upper) = quantiles(&mut means, confidence);
        Ok(Interval {
            mean: values.iter().sum::<f64>() / n as f64,
            lower,
            upper,
            values: n,
        })
    }

    /// Where the interval lies: `Greater` where all of it is above `value`, `Less` where all of it is below, `Equal`
    /// where it covers `value`, so that it does not tell.
    ///
    /// ```
    /// use std::cmp::Ordering;
    /// use optimizers_bench::Interval;
    ///
    /// assert_eq!(Interval::student(&[0.1, 0.12, 0.11], 0.95)?.side_of(0.0), Ordering::Greater);
    /// assert_eq!(Interval::student(&[0.1, -0.12, 0.11], 0.95)?.side_of(0.0), Ordering::Equal);
    /// # Ok::<(), optimizers_bench::Error>(())
    /// ```
    pub fn side_of(&self, value: f64) -> Ordering {
        if self.lower > value {
            Ordering::Greater
        } else if self.upper < value {
            Ordering::Less
        } else {
            Ordering::Equal
        }
    }
}

/// Samples that a bootstrap draws, of seeds ([`Interval::bootstrap`]) and of tasks and seeds ([`crate::ranks`]).
pub const RESAMPLES: usize = 10_000;

/// `n` indices below `n`, drawn with replacement.
pub(crate) fn resample(n: usize, draws: &mut Draws) -> Vec<usize> {
    (0..n).map(|_| draws.below(n)).collect()
}

/// The ends of the middle part of `values` that holds `confidence` of them.
pub(crate) fn quantiles(values: &mut [f64], confidence: f64) -> (f64, f64) {
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1) as f64;
    let at = |share: f64| values[(share * last).round() as usize];
    (at((1.0 - confidence) / 2.0), at((1.0 + confidence) / 2.0))
}

fn quantile(n: usize, confidence: f64) -> Option<f64> {
    let freedom = n.checked_sub(1).filter(|&freedom| freedom > 0)?;
    let distribution = StudentsT::new(0.0, 1.0, freedom as f64).ok()?;
    Some(distribution.inverse_cdf((1.0 + confidence) / 2.0))
}

/// The middle value, or the mean of the two middle ones; a value that was never reached counts as infinite.
///
/// ```
/// use optimizers_bench::median;
///
/// assert_eq!(median(&[Some(3.0), None, Some(1.0)]), Some(3.0));
/// assert_eq!(median(&[Some(3.0), None, None]), None); // more than half never got there
/// ```
pub fn median(values: &[Option<f64>]) -> Option<f64> {
    let mut sorted: Vec<f64> = values.iter().map(|value| value.unwrap_or(f64::INFINITY)).collect();
    sorted.sort_by(f64::total_cmp);
    let (low, high) = match sorted.len() {
        0 => return None,
        n => (sorted[(n - 1) / 2], sorted[n / 2]),
    };
    let middle = (low + high) / 2.0;
    middle.is_finite().then_some(middle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_have_an_interval_without_width() {
        let interval = Interval::student(&[0.9; 5], 0.95).unwrap();
        assert_eq!((interval.mean, interval.margin()), (0.9, 0.0));
    }

    #[test]
    fn one_value_has_no_interval() {
        assert!(matches!(
            Interval::student(&[1.0], 0.95),
            Err(Error::TooFew { found: 1 })
        ));
        assert!(matches!(Interval::student(&[], 0.95), Err(Error::TooFew { found: 0 })));
    }

    /// Draws many samples of a known mean: about 95 of 100 intervals must cover it.
    #[test]
    fn intervals_cover_the_mean_as_often_as_they_say() {
        let mut draws = kernels::random::Stream::new(1).op("coverage").draws();
        let trials = 2000;
        let covered = (0..trials)
            .filter(|_| {
                let values: Vec<f64> = (0..5).map(|_| 3.0 + draws.normal()).collect();
                let interval = Interval::student(&values, 0.95).unwrap();
                (interval.lower..=interval.upper).contains(&3.0)
            })
            .count();
        let share = covered as f64 / f64::from(trials);
        assert!((share - 0.95).abs() < 0.02, "covered {share}");
    }

    #[test]
    fn bootstrap_intervals_cover_the_mean_about_as_often_as_they_say() {
        let mut draws = kernels::random::Stream::new(1).op("coverage").draws();
        let trials = 300;
        let covered = (0..trials)
            .filter(|_| {
                let values: Vec<f64> = (0..10).map(|_| 3.0 + draws.normal()).collect();
                let interval = Interval::bootstrap(&values, 0.95).unwrap();
                (interval.lower..=interval.upper).contains(&3.0)
            })
            .count();
        let share = covered as f64 / f64::from(trials);
        assert!((0.86..0.96).contains(&share), "covered {share}");
    }

    #[test]
    fn bootstrap_intervals_stay_among_the_values() {
        let interval = Interval::bootstrap(&[1.0, 1.0, 0.5, 1.0], 0.95).unwrap();
        assert!(
            interval.upper <= 1.0 && interval.lower >= 0.5 && interval.mean == 0.875,
            "{interval:?}"
        );
        let same = Interval::bootstrap(&[0.25; 7], 0.95).unwrap();
        assert_eq!((same.lower, same.mean, same.upper), (0.25, 0.25, 0.25));
        assert!(matches!(
            Interval::bootstrap(&[1.0], 0.95),
            Err(Error::TooFew { found: 1 })
        ));
    }

    #[test]
    fn medians_of_even_and_odd_numbers() {
        assert_eq!(median(&[Some(1.0), Some(4.0)]), Some(2.5));
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[Some(1.0), None]), None);
    }
}
