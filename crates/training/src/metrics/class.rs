//! The classes of `keras.metrics` with their options.

use serde::{Deserialize, Serialize};

/// The metrics of Keras, with its class names, options and defaults; [`MetricClass::build`] makes one that measures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "class_name", content = "config", deny_unknown_fields)]
pub enum MetricClass {
    /// Share of outputs that are equal to their targets.
    Accuracy,
    /// Share of outputs on the right side of the threshold.
    BinaryAccuracy {
        /// Outputs above it mean 1.
        #[serde(default = "half")]
        threshold: f64,
    },
    /// Share of rows whose largest output is where the largest target is.
    CategoricalAccuracy,
    /// Share of rows whose largest output is at the class number.
    SparseCategoricalAccuracy,
    /// Share of rows whose right class is among the `k` largest outputs.
    TopKCategoricalAccuracy {
        /// How many count.
        #[serde(default = "five")]
        k: usize,
    },
    /// The same for class numbers.
    SparseTopKCategoricalAccuracy {
        /// How many count.
        #[serde(default = "five")]
        k: usize,
        /// Whether the outputs are class numbers, the most probable first.
        #[serde(default, skip_serializing_if = "is_false")]
        from_sorted_ids: bool,
    },
    /// Share of what was found that is right.
    Precision {
        /// Scores above it are positive; 0.5 unless `top_k` is given.
        #[serde(default)]
        thresholds: Option<Thresholds>,
        /// Only the largest scores of each row can be positive.
        #[serde(default)]
        top_k: Option<usize>,
        /// Only this class counts.
        #[serde(default)]
        class_id: Option<usize>,
    },
    /// Share of what should be found that was found.
    Recall {
        /// Scores above it are positive; 0.5 unless `top_k` is given.
        #[serde(default)]
        thresholds: Option<Thresholds>,
        /// Only the largest scores of each row can be positive.
        #[serde(default)]
        top_k: Option<usize>,
        /// Only this class counts.
        #[serde(default)]
        class_id: Option<usize>,
    },
    /// Number of positives that were found.
    TruePositives {
        /// Scores above it are positive; 0.5 by default.
        #[serde(default)]
        thresholds: Option<Thresholds>,
    },
    /// Number of negatives that were left.
    TrueNegatives {
        /// Scores above it are positive; 0.5 by default.
        #[serde(default)]
        thresholds: Option<Thresholds>,
    },
    /// Number of negatives that were taken for positive.
    FalsePositives {
        /// Scores above it are positive; 0.5 by default.
        #[serde(default)]
        thresholds: Option<Thresholds>,
    },
    /// Number of positives that were missed.
    FalseNegatives {
        /// Scores above it are positive; 0.5 by default.
        #[serde(default)]
        thresholds: Option<Thresholds>,
    },
    /// Best recall at a threshold whose specificity is enough.
    SensitivityAtSpecificity {
        /// What is enough; in `[0, 1]`.
        specificity: f64,
        /// Number of thresholds that are tried.
        #[serde(default = "two_hundred")]
        num_thresholds: usize,
        /// Only this class counts.
        #[serde(default)]
        class_id: Option<usize>,
    },
    /// Best specificity at a threshold whose recall is enough.
    SpecificityAtSensitivity {
        /// What is enough; in `[0, 1]`.
        sensitivity: f64,
        /// Number of thresholds that are tried.
        #[serde(default = "two_hundred")]
        num_thresholds: usize,
        /// Only this class counts.
        #[serde(default)]
        class_id: Option<usize>,
    },
    /// Best precision at a threshold whose recall is enough.
    PrecisionAtRecall {
        /// What is enough; in `[0, 1]`.
        recall: f64,
        /// Number of thresholds that are tried.
        #[serde(default = "two_hundred")]
        num_thresholds: usize,
        /// Only this class counts.
        #[serde(default)]
        class_id: Option<usize>,
    },
    /// Best recall at a threshold whose precision is enough.
    RecallAtPrecision {
        /// What is enough; in `[0, 1]`.
        precision: f64,
        /// Number of thresholds that are tried.
        #[serde(default = "two_hundred")]
        num_thresholds: usize,
        /// Only this class counts.
        #[serde(default)]
        class_id: Option<usize>,
    },
    /// Area under the curve that a threshold draws.
    #[serde(rename = "AUC")]
    Auc {
        /// Number of thresholds, those below 0 and above 1 included.
        #[serde(default = "two_hundred")]
        num_thresholds: usize,
        /// Which curve.
        #[serde(default)]
        curve: Curve,
        /// How its area is computed.
        #[serde(default)]
        summation_method: Summation,
        /// Whether each column has an area of its own, of which the mean is taken.
        #[serde(default)]
        multi_label: bool,
        /// Number of columns of a `multi_label` metric; otherwise told by the first batch.
        #[serde(default)]
        num_labels: Option<usize>,
        /// Weights of the columns.
        #[serde(default)]
        label_weights: Option<Vec<f64>>,
        /// Whether the outputs are logits.
        #[serde(default)]
        from_logits: bool,
        /// The thresholds between 0 and 1, instead of equal steps.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        thresholds: Option<Vec<f64>>,
    },
    /// Harmonic mean of precision and recall.
    F1Score {
        /// How the classes are averaged; `None` gives a number for each class.
        #[serde(default)]
        average: Option<Average>,
        /// Scores above it are positive; without it the largest of each row.
        #[serde(default)]
        threshold: Option<f64>,
    },
    /// Weighted harmonic mean of precision and recall.
    FBetaScore {
        /// How the classes are averaged; `None` gives a number for each class.
        #[serde(default)]
        average: Option<Average>,
        /// How many times recall is as important as precision; above 0.
        #[serde(default = "one")]
        beta: f64,
        /// Scores above it are positive; without it the largest of each row.
        #[serde(default)]
        threshold: Option<f64>,
    },
    /// Mean over some classes of the shared part of two areas.
    IoU {
        /// Number of classes.
        num_classes: usize,
        /// The classes that count.
        target_class_ids: Vec<usize>,
        /// Targets of this class do not count.
        #[serde(default)]
        ignore_class: Option<i64>,
        /// Whether targets are class numbers.
        #[serde(default = "yes")]
        sparse_y_true: bool,
        /// Whether outputs are class numbers.
        #[serde(default = "yes")]
        sparse_y_pred: bool,
        /// The axis of the classes where they are not.
        #[serde(default = "last")]
        axis: i64,
    },
    /// The same for outputs that mean 1 from a threshold on.
    BinaryIoU {
        /// The classes that count.
        #[serde(default = "both")]
        target_class_ids: Vec<usize>,
        /// Outputs of at least this mean 1.
        #[serde(default = "half")]
        threshold: f64,
    },
    /// Mean over all classes of the shared part of two areas.
    MeanIoU {
        /// Number of classes.
        num_classes: usize,
        /// Targets of this class do not count.
        #[serde(default)]
        ignore_class: Option<i64>,
        /// Whether targets are class numbers.
        #[serde(default = "yes")]
        sparse_y_true: bool,
        /// Whether outputs are class numbers.
        #[serde(default = "yes")]
        sparse_y_pred: bool,
        /// The axis of the classes where they are not.
        #[serde(default = "last")]
        axis: i64,
    },
    /// [`MetricClass::IoU`] of one-hot targets.
    OneHotIoU {
        /// Number of classes.
        num_classes: usize,
        /// The classes that count.
        target_class_ids: Vec<usize>,
        /// Targets of this class do not count.
        #[serde(default)]
        ignore_class: Option<i64>,
        /// Whether outputs are class numbers.
        #[serde(default)]
        sparse_y_pred: bool,
        /// The axis of the classes.
        #[serde(default = "last")]
        axis: i64,
    },
    /// [`MetricClass::MeanIoU`] of one-hot targets.
    OneHotMeanIoU {
        /// Number of classes.
        num_classes: usize,
        /// Targets of this class do not count.
        #[serde(default)]
        ignore_class: Option<i64>,
        /// Whether outputs are class numbers.
        #[serde(default)]
        sparse_y_pred: bool,
        /// The axis of the classes.
        #[serde(default = "last")]
        axis: i64,
    },
    /// Mean of the outputs themselves; there is no target.
    Mean,
    /// Sum of the outputs themselves; there is no target.
    Sum,
    /// Mean of squared differences.
    MeanSquaredError,
    /// Root of the mean of squared differences.
    RootMeanSquaredError,
    /// Mean of absolute differences.
    MeanAbsoluteError,
    /// Mean of absolute differences relative to the targets, in per cent.
    MeanAbsolutePercentageError,
    /// Mean of squared differences of the logarithms of one more.
    MeanSquaredLogarithmicError,
    /// Mean of the logarithms of the hyperbolic cosines of the differences.
    LogCoshError,
    /// Share of the targets' variance that the outputs explain.
    R2Score {
        /// How the outputs are averaged; `None` (null) gives a number for each.
        #[serde(default = "uniform")]
        class_aggregation: Option<R2Average>,
        /// Number of explaining variables for the adjusted score; 0 for the usual one.
        #[serde(default)]
        num_regressors: usize,
    },
    /// Cosine of the angle between outputs and targets.
    CosineSimilarity {
        /// Along which axis.
        #[serde(default = "last")]
        axis: i64,
    },
    /// Pearson's correlation within each sample.
    PearsonCorrelation {
        /// Along which axis.
        #[serde(default = "last")]
        axis: i64,
    },
    /// Lin's concordance within each sample.
    ConcordanceCorrelation {
        /// Along which axis.
        #[serde(default = "last")]
        axis: i64,
    },
    /// Cross-entropy of distributions over classes.
    CategoricalCrossentropy {
        /// Whether outputs are logits.
        #[serde(default)]
        from_logits: bool,
        /// Share of each target that is spread evenly over the classes.
        #[serde(default)]
        label_smoothing: f64,
        /// The axis of the classes.
        #[serde(default = "last")]
        axis: i64,
    },
    /// Cross-entropy of class numbers.
    SparseCategoricalCrossentropy {
        /// Whether outputs are logits.
        #[serde(default)]
        from_logits: bool,
        /// Labels of this class do not count where there are sample weights.
        #[serde(default)]
        ignore_class: Option<i64>,
        /// The axis of the classes: the last one.
        #[serde(default = "last")]
        axis: i64,
    },
    /// Cross-entropy of yes or no.
    BinaryCrossentropy {
        /// Whether outputs are logits.
        #[serde(default)]
        from_logits: bool,
        /// Share of each target that is spread evenly over yes and no.
        #[serde(default)]
        label_smoothing: f64,
    },
    /// Divergence of distributions.
    KLDivergence,
    /// Minus the logarithm of the likelihood of counts.
    Poisson,
    /// Missing margins of the signs.
    Hinge,
    /// Squares of missing margins of the signs.
    SquaredHinge,
    /// Missing margin of the right class.
    CategoricalHinge,
}

/// One threshold or several, each in `[0, 1]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Thresholds {
    /// One; the result is one number.
    One(f64),
    /// Several; the result has a number for each.
    Several(Vec<f64>),
}

/// How an F score averages the classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Average {
    /// All classes are counted together.
    Micro,
    /// The mean of the classes.
    Macro,
    /// The mean of the classes weighted by their samples.
    Weighted,
}

/// How an R² score averages the outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum R2Average {
    /// The mean.
    UniformAverage,
    /// The mean weighted by the variances of the targets.
    VarianceWeightedAverage,
}

/// A curve that a threshold draws.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Curve {
    /// Recall over the share of false alarms.
    #[default]
    #[serde(rename = "ROC", alias = "roc")]
    Roc,
    /// Precision over recall.
    #[serde(rename = "PR", alias = "pr")]
    Pr,
    /// Precision over recall, both measured from a classifier that says always yes.
    #[serde(rename = "PRGAIN", alias = "prgain")]
    PrGain,
}

/// How the area under a curve is computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Summation {
    /// Trapezoids; for precision over recall the interpolation of Davis and Goadrich, «The relationship between precision-recall and ROC curves»,
    /// 2006.
    #[default]
    #[serde(alias = "Interpolation")]
    Interpolation,
    /// Rectangles of the higher end.
    #[serde(alias = "Majoring")]
    Majoring,
    /// Rectangles of the lower end.
    #[serde(alias = "Minoring")]
    Minoring,
}

fn half() -> f64 {
    0.5
}
fn one() -> f64 {
    1.0
}
fn five() -> usize {
    5
}
fn two_hundred() -> usize {
    200
}
fn last() -> i64 {
    -1
}
fn yes() -> bool {
    true
}
fn both() -> Vec<usize> {
    vec![0, 1]
}
fn uniform() -> Option<R2Average> {
    Some(R2Average::UniformAverage)
}
fn is_false(flag: &bool) -> bool {
    !flag
}
