//! Which samples are held out.

use kernels::random::Stream;

use crate::{Error, Result};

/// How the samples that a network is measured on are taken from those that it is given to learn from.
///
/// A fixed part measures all epochs on the same samples, so their figures can be compared, but the network never learns
/// from them, and what is chosen by them (the best epoch) fits them a little too well. A fresh part every epoch lets the
/// network learn from all samples, but a sample that is held out in one epoch was learnt in earlier ones, so the figures
/// are too good: they say whether training goes on, not how good the network is on new samples.
///
/// ```
/// use training::{Trainer, ValidationSplit};
///
/// let trainer = Trainer::new().validation_split(ValidationSplit::random(0.2));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ValidationSplit {
    fraction: f64,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Last,
    Random,
    EveryEpoch,
}

/// Indices of the samples on both sides, in ascending order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parts {
    pub(crate) training: Vec<usize>,
    pub(crate) validation: Vec<usize>,
}

impl ValidationSplit {
    /// The last samples, once and for all, as Keras' `validation_split` takes them. Of data that is sorted by class they
    /// are all of one class.
    pub fn last(fraction: f64) -> Self {
        ValidationSplit {
            fraction,
            kind: Kind::Last,
        }
    }

    /// Samples drawn once at random by the seed; the parts of [`crate::Samples::split`].
    pub fn random(fraction: f64) -> Self {
        ValidationSplit {
            fraction,
            kind: Kind::Random,
        }
    }

    /// Samples drawn anew in every epoch, by the seed and the epoch.
    pub fn every_epoch(fraction: f64) -> Self {
        ValidationSplit {
            fraction,
            kind: Kind::EveryEpoch,
        }
    }

    /// Whether every epoch has its own parts.
    pub(crate) fn is_fresh(self) -> bool {
        self.kind == Kind::EveryEpoch
    }

    /// The parts of `count` samples in an epoch (counted from 0).
    pub(crate) fn parts(self, count: usize, seed: u64, epoch: usize) -> Result<Parts> {
        let held_out = match self.kind {
            // Keras rounds the number of samples to learn from down.
            Kind::Last => count - ((count as f64 * (1.0 - self.fraction)) as usize).min(count),
            _ => ((count as f64 * self.fraction) as usize).max(1),
        };
        if !(self.fraction > 0.0 && self.fraction < 1.0) || held_out == 0 || held_out >= count {
            return Err(Error::Option {
                option: "validation_split",
                expected: "a fraction above 0 and below 1 that leaves samples on both sides",
                found: format!("{} of {count} samples", self.fraction),
            });
        }
        let stream = Stream::new(seed).op("validation_split");
        let order = match self.kind {
            Kind::Last => {
                return Ok(Parts {
                    training: (0..count - held_out).collect(),
                    validation: (count - held_out..count).collect(),
                });
            }
            Kind::Random => stream.draws().permutation(count),
            Kind::EveryEpoch => stream.epoch(epoch as u64).draws().permutation(count),
        };
        let (validation, training) = order.split_at(held_out);
        let sorted = |part: &[usize]| {
            let mut part = part.to_vec();
            part.sort_unstable();
            part
        };
        Ok(Parts {
            training: sorted(training),
            validation: sorted(validation),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_splits_into_two_parts_of_all() {
        for split in [
            ValidationSplit::last(0.3),
            ValidationSplit::random(0.3),
            ValidationSplit::every_epoch(0.3),
        ] {
            let parts = split.parts(10, 7, 2).unwrap();
            let mut all = [parts.training.clone(), parts.validation.clone()].concat();
            all.sort_unstable();
            assert_eq!(all, (0..10).collect::<Vec<_>>(), "{split:?}");
            assert_eq!(parts.validation.len(), 3, "{split:?}");
            assert_eq!(split.parts(10, 7, 2).unwrap(), parts, "the same draws again");
            assert_eq!(split.parts(10, 7, 3).unwrap() != parts, split.is_fresh(), "{split:?}");
        }
        assert_eq!(
            ValidationSplit::last(0.3).parts(10, 0, 0).unwrap().validation,
            [7, 8, 9]
        );
        // Keras: split_at = floor(11 · (1 - 0.25)) = 8
        assert_eq!(ValidationSplit::last(0.25).parts(11, 0, 0).unwrap().training.len(), 8);
    }

    #[test]
    fn fractions_that_leave_nothing_are_refused() {
        for fraction in [0.0, 1.0, -0.5, f64::NAN, 0.99] {
            for split in [ValidationSplit::last(fraction), ValidationSplit::random(fraction)] {
                assert!(split.parts(1, 1, 0).is_err(), "{split:?}");
            }
        }
    }
}
