//! What Keras calls its metrics.

/// Keras' names of every metric: its class, its name among the identifiers, and the `name` in its configuration.
pub(super) const NAMES: [(&str, &str, &str); 46] = [
    ("Accuracy", "accuracy", "accuracy"),
    ("BinaryAccuracy", "binary_accuracy", "binary_accuracy"),
    ("CategoricalAccuracy", "categorical_accuracy", "categorical_accuracy"),
    (
        "SparseCategoricalAccuracy",
        "sparse_categorical_accuracy",
        "sparse_categorical_accuracy",
    ),
    (
        "TopKCategoricalAccuracy",
        "top_k_categorical_accuracy",
        "top_k_categorical_accuracy",
    ),
    (
        "SparseTopKCategoricalAccuracy",
        "sparse_top_k_categorical_accuracy",
        "sparse_top_k_categorical_accuracy",
    ),
    ("Precision", "precision", "precision"),
    ("Recall", "recall", "recall"),
    ("TruePositives", "true_positives", "true_positives"),
    ("TrueNegatives", "true_negatives", "true_negatives"),
    ("FalsePositives", "false_positives", "false_positives"),
    ("FalseNegatives", "false_negatives", "false_negatives"),
    (
        "SensitivityAtSpecificity",
        "sensitivity_at_specificity",
        "sensitivity_at_specificity",
    ),
    (
        "SpecificityAtSensitivity",
        "specificity_at_sensitivity",
        "specificity_at_sensitivity",
    ),
    ("PrecisionAtRecall", "precision_at_recall", "precision_at_recall"),
    ("RecallAtPrecision", "recall_at_precision", "recall_at_precision"),
    ("AUC", "auc", "auc"),
    ("F1Score", "f1_score", "f1_score"),
    ("FBetaScore", "f_beta_score", "fbeta_score"),
    ("IoU", "io_u", "io_u"),
    ("BinaryIoU", "binary_io_u", "binary_io_u"),
    ("MeanIoU", "mean_io_u", "mean_io_u"),
    ("OneHotIoU", "one_hot_io_u", "one_hot_io_u"),
    ("OneHotMeanIoU", "one_hot_mean_io_u", "one_hot_mean_io_u"),
    ("Mean", "mean", "mean"),
    ("Sum", "sum", "sum"),
    ("MeanSquaredError", "mean_squared_error", "mean_squared_error"),
    (
        "RootMeanSquaredError",
        "root_mean_squared_error",
        "root_mean_squared_error",
    ),
    ("MeanAbsoluteError", "mean_absolute_error", "mean_absolute_error"),
    (
        "MeanAbsolutePercentageError",
        "mean_absolute_percentage_error",
        "mean_absolute_percentage_error",
    ),
    (
        "MeanSquaredLogarithmicError",
        "mean_squared_logarithmic_error",
        "mean_squared_logarithmic_error",
    ),
    ("LogCoshError", "log_cosh_error", "logcosh"),
    ("R2Score", "r2_score", "r2_score"),
    ("CosineSimilarity", "cosine_similarity", "cosine_similarity"),
    ("PearsonCorrelation", "pearson_correlation", "pearson_correlation"),
    (
        "ConcordanceCorrelation",
        "concordance_correlation",
        "concordance_correlation",
    ),
    (
        "CategoricalCrossentropy",
        "categorical_crossentropy",
        "categorical_crossentropy",
    ),
    (
        "SparseCategoricalCrossentropy",
        "sparse_categorical_crossentropy",
        "sparse_categorical_crossentropy",
    ),
    ("BinaryCrossentropy", "binary_crossentropy", "binary_crossentropy"),
    ("KLDivergence", "kl_divergence", "kl_divergence"),
    ("Poisson", "poisson", "poisson"),
    ("Hinge", "hinge", "hinge"),
    ("SquaredHinge", "squared_hinge", "squared_hinge"),
    ("CategoricalHinge", "categorical_hinge", "categorical_hinge"),
    // What Keras' own functions and the lecture call them.
    ("MeanIoU", "mean_iou", "mean_io_u"),
    ("FBetaScore", "fbeta_score", "fbeta_score"),
];

/// Keras' short names.
pub(super) const ALIASES: [(&str, &str); 5] = [
    ("bce", "BinaryCrossentropy"),
    ("mae", "MeanAbsoluteError"),
    ("mape", "MeanAbsolutePercentageError"),
    ("mse", "MeanSquaredError"),
    ("msle", "MeanSquaredLogarithmicError"),
];

/// The classes without options of their own.
pub(super) const UNIT: [&str; 16] = [
    "Accuracy",
    "CategoricalAccuracy",
    "SparseCategoricalAccuracy",
    "Mean",
    "Sum",
    "MeanSquaredError",
    "RootMeanSquaredError",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredLogarithmicError",
    "LogCoshError",
    "KLDivergence",
    "Poisson",
    "Hinge",
    "SquaredHinge",
    "CategoricalHinge",
];
