//! Which class was taken for which.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Error, Evaluation, Result};

/// Counts (or sums of weights) of samples by their class (rows) and the class that they were taken for (columns).
///
/// ```
/// use training::metrics::ConfusionMatrix;
///
/// let labels = [0, 0, 0, 1, 1, 2];
/// let predictions = [0, 0, 1, 1, 1, 0];
/// let matrix = ConfusionMatrix::of(3, &labels, &predictions)?;
/// assert_eq!(matrix.count(0, 1), 1.0);
/// assert_eq!(matrix.accuracy(), Some(4.0 / 6.0));
/// assert_eq!(matrix.most_confused(1), [(0, 1, 1.0)]);
/// assert_eq!(matrix.recall(2), Some(0.0));
/// assert_eq!(matrix.precision(2), None);
/// # Ok::<(), training::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConfusionMatrix {
    classes: usize,
    counts: Vec<f64>,
}

impl ConfusionMatrix {
    /// The matrix of labels and predictions, one each a sample.
    ///
    /// # Errors
    /// [`Error::Lengths`] for different numbers of them, [`Error::Kernel`] for a class that there is not.
    pub fn of(classes: usize, labels: &[u32], predictions: &[u32]) -> Result<Self> {
        if labels.len() != predictions.len() {
            return Err(Error::Lengths {
                inputs: predictions.len(),
                labels: labels.len(),
            });
        }
        let mut matrix = ConfusionMatrix {
            classes,
            counts: vec![0.0; classes * classes],
        };
        for (index, (&label, &prediction)) in labels.iter().zip(predictions).enumerate() {
            if let Some(&wrong) = [label, prediction].iter().find(|&&class| class as usize >= classes) {
                return Err(Error::Kernel(kernels::Error::Label {
                    op: "confusion_matrix",
                    index,
                    label: i64::from(wrong),
                    classes,
                }));
            }
            matrix.counts[label as usize * classes + prediction as usize] += 1.0;
        }
        Ok(matrix)
    }

    /// The matrix of given counts, row-major; `counts` must be `classes²` long.
    pub(crate) fn from_counts(classes: usize, counts: Vec<f64>) -> Self {
        debug_assert_eq!(counts.len(), classes * classes);
        ConfusionMatrix { classes, counts }
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Samples of the class `label` that were taken for `prediction`; 0 where there is no such class.
    pub fn count(&self, label: usize, prediction: usize) -> f64 {
        if label < self.classes && prediction < self.classes {
            self.counts[label * self.classes + prediction]
        } else {
            0.0
        }
    }

    /// Samples of a class.
    pub fn support(&self, label: usize) -> f64 {
        (0..self.classes).map(|prediction| self.count(label, prediction)).sum()
    }

    /// Samples that were taken for a class.
    pub fn predicted(&self, prediction: usize) -> f64 {
        (0..self.classes).map(|label| self.count(label, prediction)).sum()
    }

    /// All samples.
    pub fn total(&self) -> f64 {
        self.counts.iter().sum()
    }

    /// Share of all samples that were recognised; `None` without samples.
    pub fn accuracy(&self) -> Option<f64> {
        part(self.right(), self.total())
    }

    /// Share of a class's samples that were recognised; `None` without samples.
    pub fn recall(&self, class: usize) -> Option<f64> {
        part(self.count(class, class), self.support(class))
    }

    /// Share of the samples taken for a class that belong to it; `None` where there are none.
    pub fn precision(&self, class: usize) -> Option<f64> {
        part(self.count(class, class), self.predicted(class))
    }

    /// The mean recall of the classes that have samples: accuracy as if all were equally large.
    pub fn balanced_accuracy(&self) -> Option<f64> {
        mean((0..self.classes).filter_map(|class| self.recall(class)))
    }

    /// The mean over the classes of intersection over union; classes that neither occur nor are predicted do not count.
    pub fn mean_intersection_over_union(&self) -> Option<f64> {
        mean((0..self.classes).filter_map(|class| {
            let (intersection, union) = self.areas(class);
            part(intersection, union)
        }))
    }

    /// Cohen's $\kappa$: agreement beyond that of chance, 1 for full agreement and 0 for that of chance.
    pub fn cohen_kappa(&self) -> Option<f64> {
        let total = self.total();
        let by_chance: f64 = (0..self.classes)
            .map(|class| self.support(class) * self.predicted(class))
            .sum();
        part(self.right() * total - by_chance, total * total - by_chance)
    }

    /// Matthews' correlation of labels and predictions (for several classes that of Gorodkin, 2004); from -1 to 1.
    pub fn matthews_correlation(&self) -> Option<f64> {
        let total = self.total();
        let sum = |f: &dyn Fn(usize) -> f64| -> f64 { (0..self.classes).map(f).sum() };
        let both = sum(&|class| self.support(class) * self.predicted(class));
        let labels = total * total - sum(&|class| self.support(class).powi(2));
        let predictions = total * total - sum(&|class| self.predicted(class).powi(2));
        part(self.right() * total - both, (labels * predictions).sqrt())
    }

    /// The rows as shares of their class; rows without samples stay 0.
    pub fn normalized(&self) -> ConfusionMatrix {
        let mut shares = self.clone();
        for label in 0..self.classes {
            let support = self.support(label);
            for count in &mut shares.counts[label * self.classes..(label + 1) * self.classes] {
                *count = super::share(*count, support);
            }
        }
        shares
    }

    /// The mistakes that were made most often: class, what it was taken for, how often; at most `most` of them, in falling order.
    pub fn most_confused(&self, most: usize) -> Vec<(usize, usize, f64)> {
        let pairs = (0..self.classes).flat_map(|label| (0..self.classes).map(move |prediction| (label, prediction)));
        let mut mistakes: Vec<_> = pairs
            .filter(|(label, prediction)| label != prediction)
            .map(|(label, prediction)| (label, prediction, self.count(label, prediction)))
            .filter(|(_, _, count)| *count > 0.0)
            .collect();
        mistakes.sort_by(|a, b| b.2.total_cmp(&a.2));
        mistakes.truncate(most);
        mistakes
    }

    /// Intersection and union of the samples of a class and those taken for it.
    pub(crate) fn areas(&self, class: usize) -> (f64, f64) {
        let right = self.count(class, class);
        (right, self.support(class) + self.predicted(class) - right)
    }

    fn right(&self) -> f64 {
        (0..self.classes).map(|class| self.count(class, class)).sum()
    }
}

impl fmt::Display for ConfusionMatrix {
    /// One line a class, the counts in columns.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let written: Vec<String> = self.counts.iter().map(f64::to_string).collect();
        let width = written.iter().map(String::len).max().unwrap_or(0);
        for row in written.chunks(self.classes.max(1)) {
            let cells: Vec<String> = row.iter().map(|cell| format!("{cell:>width$}")).collect();
            writeln!(f, "{}", cells.join("  "))?;
        }
        Ok(())
    }
}

impl Evaluation {
    /// The counts of [`Evaluation::confusion`] with the figures that can be made of them.
    pub fn confusion_matrix(&self) -> ConfusionMatrix {
        let classes = self.confusion.len();
        let cell = |label: usize, prediction: usize| self.confusion[label].get(prediction).map_or(0.0, |&n| n as f64);
        let counts = (0..classes * classes).map(|i| cell(i / classes, i % classes)).collect();
        ConfusionMatrix { classes, counts }
    }
}

/// A share of nothing is `None`.
fn part(part: f64, whole: f64) -> Option<f64> {
    (whole > 0.0).then(|| part / whole)
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let values: Vec<f64> = values.collect();
    part(values.iter().sum(), values.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_those_of_their_definitions() {
        // 20 and 15 of 50 agree: the textbook example of Cohen's kappa, 0.4.
        let matrix = ConfusionMatrix::from_counts(2, vec![20.0, 5.0, 10.0, 15.0]);
        assert!((matrix.cohen_kappa().unwrap() - 0.4).abs() < 1e-12);
        assert_eq!(matrix.balanced_accuracy(), Some(0.7));
        let (tp, fn_, fp, tn) = (20.0f64, 5.0, 10.0, 15.0);
        let phi = (tp * tn - fp * fn_) / ((tp + fp) * (tp + fn_) * (tn + fp) * (tn + fn_)).sqrt();
        assert!((matrix.matthews_correlation().unwrap() - phi).abs() < 1e-12);
        let iou = (20.0 / 35.0 + 15.0 / 30.0) / 2.0;
        assert!((matrix.mean_intersection_over_union().unwrap() - iou).abs() < 1e-12);
        assert_eq!(matrix.normalized().count(1, 0), 0.4);
        assert_eq!(matrix.to_string(), "20   5\n10  15\n");
    }

    #[test]
    fn nothing_has_no_figures_and_wrong_classes_are_named() {
        let empty = ConfusionMatrix::of(2, &[], &[]).unwrap();
        assert_eq!((empty.accuracy(), empty.cohen_kappa()), (None, None));
        assert_eq!((empty.balanced_accuracy(), empty.matthews_correlation()), (None, None));
        assert!(empty.most_confused(3).is_empty());
        let error = ConfusionMatrix::of(2, &[0, 1], &[1, 2]).unwrap_err().to_string();
        assert!(error.contains("label 2 at index 1"), "{error}");
        assert!(ConfusionMatrix::of(2, &[0], &[]).is_err());
    }
}
