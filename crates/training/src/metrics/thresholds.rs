//! How many scores are on the right and on the wrong side of thresholds.

use candle_core::Tensor;

use super::Variable;
use super::class::Thresholds;
use super::numbers::{Numbers, pair, weights_for};
use crate::{Error, Result};

/// The score of what is not among the `top_k` largest, and the threshold that leaves exactly that out.
const OUT_OF_QUESTION: f64 = -1e10;

/// The most counts that a metric keeps: thresholds times columns.
const MOST: usize = 1 << 22;

/// What is counted: weights of positive and negative targets above (true, false positives) and not above (false, true negatives) each threshold.
#[derive(Clone, Debug)]
pub(super) struct Counts {
    pub(super) true_positives: Vec<f64>,
    pub(super) false_positives: Vec<f64>,
    pub(super) true_negatives: Vec<f64>,
    pub(super) false_negatives: Vec<f64>,
}

impl Counts {
    pub(super) const NAMES: [&'static str; 4] =
        ["true_positives", "false_positives", "true_negatives", "false_negatives"];

    /// Four variables with Keras' names.
    pub(super) fn variables(shape: &[usize]) -> Vec<Variable> {
        Self::NAMES.iter().map(|name| Variable::zeros(name, shape)).collect()
    }

    /// The counts by their names.
    pub(super) fn named(self) -> [(&'static str, Vec<f64>); 4] {
        let [tp, fp, tn, fn_] = Self::NAMES;
        [
            (tp, self.true_positives),
            (fp, self.false_positives),
            (tn, self.true_negatives),
            (fn_, self.false_negatives),
        ]
    }
}

/// Thresholds, and whether they divide `[0, 1]` into equal steps (then one pass sorts scores into steps).
#[derive(Clone, Debug)]
pub(super) struct Cuts {
    thresholds: Vec<f64>,
    even: bool,
}

impl Cuts {
    /// The thresholds of an option, or the default.
    ///
    /// # Errors
    /// [`Error::Option`] for a threshold outside of `[0, 1]`, or none.
    pub(super) fn of(option: &Option<Thresholds>, top_k: Option<usize>) -> Result<Self> {
        let thresholds = match option {
            None if top_k.is_some() => vec![OUT_OF_QUESTION],
            None => vec![0.5],
            Some(Thresholds::One(threshold)) => vec![*threshold],
            Some(Thresholds::Several(thresholds)) => thresholds.clone(),
        };
        if option.is_some() {
            check(&thresholds)?;
        }
        let even = evenly(&thresholds);
        Ok(Cuts { thresholds, even })
    }

    /// `count` thresholds from 0 to 1; 0.5 for one.
    pub(super) fn steps(count: usize) -> Result<Self> {
        limit(count)?;
        let last = count.saturating_sub(1).max(1) as f64;
        Ok(if count == 1 {
            Cuts {
                thresholds: vec![0.5],
                even: false,
            }
        } else {
            Cuts {
                thresholds: (0..count).map(|i| i as f64 / last).collect(),
                even: true,
            }
        })
    }

    /// The thresholds of a curve: `inner` or equal steps, one a little below 0 and one a little above 1.
    pub(super) fn of_curve(inner: Option<&[f64]>, count: usize) -> Result<Self> {
        let mut cuts = match inner {
            None => Cuts::steps(count)?,
            Some(inner) => {
                check(inner)?;
                let mut thresholds = [&[0.0], inner, &[1.0]].concat();
                thresholds.sort_by(f64::total_cmp);
                let even = evenly(&thresholds);
                Cuts { thresholds, even }
            }
        };
        if let [first, .., last] = cuts.thresholds.as_mut_slice() {
            (*first, *last) = (-kernels::losses::EPSILON, 1.0 + kernels::losses::EPSILON);
        }
        Ok(cuts)
    }

    pub(super) fn len(&self) -> usize {
        self.thresholds.len()
    }

    /// Counts one column of scores.
    fn count(&self, column: impl Iterator<Item = Scored>) -> Counts {
        let count = self.len();
        let (mut positives, mut negatives) = (vec![0.0; count], vec![0.0; count]);
        let (mut all_positive, mut all_negative) = (0.0, 0.0);
        // The first threshold may be below 0; a score of 0 is above it.
        let below_zero = self.thresholds.first().is_some_and(|&first| first < 0.0);
        for Scored {
            score,
            positive,
            weight,
        } in column
        {
            let (counts, all) = if positive {
                (&mut positives, &mut all_positive)
            } else {
                (&mut negatives, &mut all_negative)
            };
            *all += weight;
            // In single precision, as Keras compares.
            let score = score as f32;
            if !self.even {
                for (count, threshold) in counts.iter_mut().zip(&self.thresholds) {
                    *count += if score > *threshold as f32 { weight } else { 0.0 };
                }
            } else if !score.is_nan() {
                let step = (score.clamp(0.0, 1.0) * (count as f32 - 1.0)).ceil() as i64 - 1;
                let step = if below_zero { step.max(0) } else { step };
                if let Some(count) = usize::try_from(step).ok().and_then(|step| counts.get_mut(step)) {
                    *count += weight;
                }
            }
        }
        if self.even {
            for counts in [&mut positives, &mut negatives] {
                for step in (1..count).rev() {
                    counts[step - 1] += counts[step];
                }
            }
        }
        Counts {
            false_negatives: positives.iter().map(|found| all_positive - found).collect(),
            true_negatives: negatives.iter().map(|found| all_negative - found).collect(),
            true_positives: positives,
            false_positives: negatives,
        }
    }
}

struct Scored {
    score: f64,
    positive: bool,
    weight: f64,
}

/// Scores, whether they should be high, and their weights.
pub(super) struct Scores {
    scores: Numbers,
    targets: Vec<f64>,
    weights: Option<Vec<f64>>,
}

impl Scores {
    pub(super) fn of(
        op: &'static str,
        outputs: &Tensor,
        targets: &Tensor,
        sample_weight: Option<&Tensor>,
    ) -> Result<Self> {
        let (outputs, targets) = pair(op, outputs, targets)?;
        Ok(Scores {
            scores: Numbers::of(&outputs)?,
            targets: Numbers::of(&targets)?.data,
            weights: sample_weight
                .map(|weights| weights_for(outputs.dims(), weights))
                .transpose()?,
        })
    }

    /// Number of scores in a row.
    pub(super) fn columns(&self) -> usize {
        self.scores.shape.last().copied().unwrap_or(1)
    }

    pub(super) fn rank(&self) -> usize {
        self.scores.shape.len()
    }

    /// Logits become probabilities.
    pub(super) fn sigmoid(&mut self) {
        for score in &mut self.scores.data {
            *score = 1.0 / (1.0 + (-*score).exp());
        }
    }

    /// Only the `k` largest scores of each row stay, the first ones among equals.
    pub(super) fn keep_top(&mut self, k: usize) -> Result<()> {
        let columns = self.columns();
        if k == 0 || k > columns {
            return Err(Error::Option {
                option: "top_k",
                expected: "at least 1 and at most the number of outputs",
                found: format!("{k} of {columns} outputs"),
            });
        }
        for row in self.scores.data.chunks_exact_mut(columns) {
            let mut order: Vec<usize> = (0..columns).collect();
            // Plus 0, so that 0 and -0 are equal.
            order.sort_by(|&a, &b| (row[b] + 0.0).total_cmp(&(row[a] + 0.0)));
            for &place in &order[k..] {
                row[place] = OUT_OF_QUESTION;
            }
        }
        Ok(())
    }

    /// Multiplies the weights of each column.
    pub(super) fn weigh_columns(&mut self, columns: &[f64]) -> Result<()> {
        if columns.len() != self.columns() {
            return Err(Error::Option {
                option: "label_weights",
                expected: "one for each output",
                found: format!("{} for {} outputs", columns.len(), self.columns()),
            });
        }
        let count = self.scores.data.len();
        let weights = self.weights.get_or_insert_with(|| vec![1.0; count]);
        for (weight, column) in weights.iter_mut().zip(columns.iter().cycle()) {
            *weight *= column;
        }
        Ok(())
    }

    /// Counts all scores together, or those of one class.
    pub(super) fn count(&self, cuts: &Cuts, class_id: Option<usize>) -> Result<Counts> {
        let columns = self.columns().max(1);
        match class_id {
            Some(class) if class >= columns || self.rank() < 2 => Err(Error::Option {
                option: "class_id",
                expected: "one of the columns of outputs of the shape (batch, classes)",
                found: format!("{class} for outputs of the shape {:?}", self.scores.shape),
            }),
            Some(class) => Ok(cuts.count(self.column(class, columns))),
            None => Ok(cuts.count(self.column(0, 1))),
        }
    }

    /// Counts each column by itself: `(thresholds, columns)`.
    pub(super) fn count_columns(&self, cuts: &Cuts) -> Counts {
        let columns = self.columns().max(1);
        let each: Vec<[(_, Vec<f64>); 4]> = (0..columns)
            .map(|column| cuts.count(self.column(column, columns)).named())
            .collect();
        let gather = |which: usize| {
            let places = (0..cuts.len()).flat_map(|threshold| (0..columns).map(move |column| (threshold, column)));
            places
                .map(|(threshold, column)| each[column][which].1[threshold])
                .collect()
        };
        Counts {
            true_positives: gather(0),
            false_positives: gather(1),
            true_negatives: gather(2),
            false_negatives: gather(3),
        }
    }

    fn column(&self, first: usize, step: usize) -> impl Iterator<Item = Scored> + '_ {
        (first..self.scores.data.len()).step_by(step).map(|i| Scored {
            score: self.scores.data[i],
            positive: self.targets[i] != 0.0,
            weight: self.weights.as_ref().map_or(1.0, |weights| weights[i]),
        })
    }
}

/// Refuses more counts than [`MOST`].
pub(super) fn limit(counts: usize) -> Result<()> {
    if counts > 0 && counts <= MOST {
        return Ok(());
    }
    Err(Error::Option {
        option: "num_thresholds",
        expected: "at least 1 (2 for a curve) and, times the outputs, at most 2^22",
        found: counts.to_string(),
    })
}

fn check(thresholds: &[f64]) -> Result<()> {
    limit(thresholds.len())?;
    match thresholds.iter().find(|threshold| !(0.0..=1.0).contains(*threshold)) {
        None => Ok(()),
        Some(threshold) => Err(Error::Option {
            option: "thresholds",
            expected: "from 0 to 1",
            found: threshold.to_string(),
        }),
    }
}

/// Whether thresholds are equal steps from 0 to 1, as nearly as Keras asks.
fn evenly(thresholds: &[f64]) -> bool {
    let last = thresholds.len() as f64 - 1.0;
    thresholds.len() >= 3
        && thresholds.iter().enumerate().all(|(i, threshold)| {
            let even = i as f64 / last;
            (threshold - even).abs() <= kernels::losses::EPSILON + 1e-5 * even
        })
}
