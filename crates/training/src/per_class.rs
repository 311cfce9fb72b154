//! How well each class is recognised.

use serde::{Deserialize, Serialize};

use crate::Evaluation;

/// The figures of one class, as scikit-learn's `classification_report` names them.
///
/// A share of nothing is `None`: the precision of a class that was never predicted, the recall of one without samples.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassFigures {
    /// Number of samples of the class.
    pub support: u64,
    /// Number of samples that were taken for the class.
    pub predicted: u64,
    /// Share of the samples taken for the class that belong to it; in `[0, 1]`.
    pub precision: Option<f64>,
    /// Share of the class's samples that were recognised; in `[0, 1]`.
    pub recall: Option<f64>,
    /// `2 · right / (support + predicted)`, the harmonic mean of precision and recall; in `[0, 1]`.
    pub f1: Option<f64>,
}

impl Evaluation {
    /// The figures of each class, in the order of the labels.
    ///
    /// ```
    /// use training::Evaluation;
    ///
    /// let cats_and_dogs = Evaluation {
    ///     loss: 0.5,
    ///     accuracy: 0.7,
    ///     confusion: vec![vec![4, 1], vec![2, 3]],
    ///     predictions: vec![],
    /// };
    /// let dogs = cats_and_dogs.per_class()[0];
    /// assert_eq!((dogs.support, dogs.predicted), (5, 6));
    /// assert_eq!((dogs.recall, dogs.precision), (Some(4.0 / 5.0), Some(4.0 / 6.0)));
    /// ```
    pub fn per_class(&self) -> Vec<ClassFigures> {
        let share = |part: u64, whole: u64| (whole > 0).then(|| part as f64 / whole as f64);
        let rows = self.confusion.iter().enumerate();
        rows.map(|(class, row)| {
            let right = row.get(class).copied().unwrap_or(0);
            let support = row.iter().sum();
            let predicted = self.confusion.iter().filter_map(|row| row.get(class)).sum();
            ClassFigures {
                support,
                predicted,
                precision: share(right, predicted),
                recall: share(right, support),
                f1: share(2 * right, support + predicted),
            }
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_of_nothing_are_none() {
        let evaluation = Evaluation {
            loss: 0.0,
            accuracy: 0.5,
            confusion: vec![vec![2, 0, 0], vec![2, 0, 0], vec![0, 0, 0]],
            predictions: vec![],
        };
        let figures = evaluation.per_class();
        assert_eq!((figures[0].precision, figures[0].recall), (Some(0.5), Some(1.0)));
        assert_eq!((figures[1].precision, figures[1].recall), (None, Some(0.0)));
        assert_eq!(
            (figures[2].precision, figures[2].recall, figures[2].f1),
            (None, None, None)
        );
    }
}
