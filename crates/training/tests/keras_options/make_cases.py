"""Writes cases.json: results of keras.losses and keras.metrics for options and shapes that are easily got wrong.

Run with Keras 3.15.1 on TensorFlow 2.21 (CPU): python make_cases.py
"""

import json
import pathlib

import keras
import numpy as np
import tensorflow as tf

M, L = keras.metrics, keras.losses
draw = np.random.RandomState(3)
f32 = np.float32
N = 16
metrics, losses = [], []


def scores(*shape):
    return draw.rand(*shape).astype(f32)


def labels(*shape):
    return (draw.rand(*shape) > 0.5).astype(f32)


def weights(*shape):
    return (draw.rand(*shape) + 0.2).astype(f32)


def normal(*shape):
    return draw.randn(*shape).astype(f32)


def short(value):
    """Nine digits, which is what tells one float32 from the next."""
    if isinstance(value, list):
        return [short(v) for v in value]
    return float("%.9g" % value) if isinstance(value, float) else value


def array(a):
    a = np.asarray(a)
    return {
        "shape": list(a.shape),
        "data": short(a.astype(np.float64).ravel().tolist()),
        "int": bool(np.issubdtype(a.dtype, np.integer)),
    }


def metric(name, metric, batches):
    """batches: (y_true, y_pred) or (y_true, y_pred, sample_weight)."""
    results = []
    for y_true, y_pred, *weight in batches:
        metric.update_state(y_true, y_pred, *weight)
        results.append(short(np.array(metric.result()).tolist()))
    config = {k: np.array(v).tolist() if hasattr(v, "shape") else v for k, v in metric.get_config().items()}
    metrics.append(
        {
            "name": name,
            "cls": type(metric).__name__,
            "config": config,
            "batches": [[array(a) for a in batch] for batch in batches],
            "results": results,
        }
    )


def loss(name, loss, y_true, y_pred, weight=None, forgotten=None):
    """forgotten: options that Keras leaves out of the configuration."""
    variable = tf.Variable(y_pred)
    with tf.GradientTape() as tape:
        value = loss(y_true, variable, sample_weight=weight)
    arrays = [y_true, y_pred] + ([] if weight is None else [weight])
    losses.append(
        {
            "name": name,
            "cls": type(loss).__name__,
            "config": loss.get_config() | (forgotten or {}),
            "arrays": [array(a) for a in arrays],
            "value": short(np.array(value).tolist()),
            "grad": short(np.array(tape.gradient(value, variable)).ravel().tolist()),
        }
    )


BINARY = [(labels(N), scores(N), weights(N)) for _ in range(2)]
MULTI = [(labels(N, 3), scores(N, 3), weights(N)) for _ in range(2)]
metric("auc_prgain", M.AUC(num_thresholds=30, curve="PRGAIN"), BINARY)
metric("auc_pr_majoring", M.AUC(num_thresholds=30, curve="PR", summation_method="majoring"), BINARY)
metric("auc_even_thresholds", M.AUC(thresholds=[0.25, 0.5, 0.75]), BINARY)
metric("auc_label_weights", M.AUC(num_thresholds=30, label_weights=[1.0, 2.0, 0.5]), MULTI)
metric("auc_multi_label_weights", M.AUC(num_thresholds=30, multi_label=True, label_weights=[1.0, 2.0, 0.5]), MULTI)
metric("auc_multi_pr", M.AUC(num_thresholds=30, multi_label=True, curve="PR"), MULTI)
metric("auc_multi_thresholds", M.AUC(thresholds=[0.1, 0.5, 0.6], multi_label=True), MULTI)
LOGITS = [(labels(N), 2 * normal(N)) for _ in range(2)]
metric("auc_logits", M.AUC(from_logits=True), LOGITS)
metric("auc_outside", M.AUC(num_thresholds=20), LOGITS)
metric("precision_even", M.Precision(thresholds=[0.0, 0.5, 1.0]), BINARY)
metric("precision_weights2", M.Precision(), [(labels(N, 3), scores(N, 3), weights(N, 3))])
metric("recall_class", M.Recall(thresholds=[0.3, 0.6], class_id=2), MULTI)
metric("precision_top2", M.Precision(top_k=2, thresholds=0.4), MULTI)
metric("sens_one", M.SensitivityAtSpecificity(0.5, num_thresholds=1), BINARY)
metric("sens_two", M.SensitivityAtSpecificity(0.5, num_thresholds=2), BINARY)
metric("par_class", M.PrecisionAtRecall(0.6, class_id=1), MULTI)
NUMBERS = [(normal(N, 3), normal(N, 3), weights(N)) for _ in range(2)]
metric("r2_adj", M.R2Score(num_regressors=4), NUMBERS)
metric("r2_adj_none", M.R2Score(num_regressors=4, class_aggregation=None), NUMBERS)
metric("r2_adj_many", M.R2Score(num_regressors=400), NUMBERS)
metric("cosine", M.CosineSimilarity(axis=-1), NUMBERS)
metric("pearson0", M.PearsonCorrelation(axis=0), [b[:2] for b in NUMBERS])
metric("concord0", M.ConcordanceCorrelation(axis=0), [b[:2] for b in NUMBERS])
metric("mse3", M.MeanSquaredError(), [(normal(4, 5, 3), normal(4, 5, 3), weights(4)), (normal(4, 5, 3), normal(4, 5, 3), weights(4, 5))])
metric("rmse3", M.RootMeanSquaredError(), [(normal(4, 5, 3), normal(4, 5, 3), weights(4)), (normal(4, 5, 3), normal(4, 5, 3))])
SPARSE = [(draw.randint(0, 3, N), scores(N, 3), weights(N)) for _ in range(2)]
metric("sparse_acc_col", M.SparseCategoricalAccuracy(), [(b[0][:, None], b[1], b[2]) for b in SPARSE])
metric("sparse_topk", M.SparseTopKCategoricalAccuracy(k=2), SPARSE)
ids = [(draw.randint(0, 5, N), np.stack([draw.permutation(5) for _ in range(N)]).astype(f32), weights(N)) for _ in range(2)]
metric("sparse_topk_sorted", M.SparseTopKCategoricalAccuracy(k=2, from_sorted_ids=True), ids)
metric("sparse_ce_ignore", M.SparseCategoricalCrossentropy(ignore_class=1), [b[:2] for b in SPARSE])
metric("sparse_ce_ignore_w", M.SparseCategoricalCrossentropy(ignore_class=1), SPARSE)
metric("bin_acc", M.BinaryAccuracy(), [(labels(N), scores(N, 1), weights(N))])
metric("acc_col", M.Accuracy(), [(labels(N), labels(N, 1), weights(N))])
metric("one_hot_iou", M.OneHotIoU(3, [0, 2], dtype="float32"), [(np.eye(3, dtype=f32)[b[0]], b[1], b[2]) for b in SPARSE])
metric("mean_iou_ignore", M.MeanIoU(3, ignore_class=1, sparse_y_pred=False), [b[:2] for b in SPARSE])
metric("iou_range", M.IoU(3, [0, 1]), [(draw.randint(-1, 5, N), draw.randint(0, 3, N))])
metric("mean_iou_w_float", M.MeanIoU(3, sparse_y_pred=False, dtype="float32"), SPARSE)
metric("binary_iou", M.BinaryIoU([1], threshold=0.3), BINARY)
metric("f1_w", M.F1Score(average="weighted", threshold=0.5), MULTI)
metric("fbeta_micro", M.FBetaScore(average="micro", beta=0.5, threshold=0.4), MULTI)
metric("hinge", M.Hinge(), [(labels(N, 3), normal(N, 3), weights(N))])
metric("bce_smooth", M.BinaryCrossentropy(from_logits=True, label_smoothing=0.2), [(labels(N, 3), normal(N, 3), weights(N))])
metric("ce_axis", M.CategoricalCrossentropy(axis=1), [(np.eye(3, dtype=f32)[draw.randint(0, 3, (4, 5))].transpose(0, 2, 1), scores(4, 3, 5), weights(4))])
oh = np.eye(3, dtype=f32)[draw.randint(0, 3, (4, 5))]
for red in ("sum_over_batch_size", "sum", "mean_with_sample_weight"):
    loss("ignore_" + red, L.SparseCategoricalCrossentropy(from_logits=True, ignore_class=1, reduction=red), draw.randint(0, 3, (4, 5)), normal(4, 5, 3), weights(4, 5))
    loss("ignore_nw_" + red, L.SparseCategoricalCrossentropy(from_logits=True, ignore_class=1, reduction=red), draw.randint(0, 3, (4, 5)), normal(4, 5, 3))
loss("cce_axis1_smooth_sq", L.CategoricalCrossentropy(from_logits=True, axis=1, label_smoothing=0.1), oh[:, :3].transpose(0, 2, 1).copy(), normal(4, 3, 3))
loss("focal_axis1", L.CategoricalFocalCrossentropy(axis=1, gamma=1.5), oh.transpose(0, 2, 1).copy(), scores(4, 3, 5))
loss("bfocal_gamma0", L.BinaryFocalCrossentropy(gamma=0.0, apply_class_balancing=True, alpha=0.3, from_logits=True), labels(N, 3), normal(N, 3), weights(N))
loss("cosine_axis1", L.CosineSimilarity(axis=1), normal(4, 3, 5), normal(4, 3, 5), None, dict(axis=1))
loss("hinge_tie", L.Hinge(), np.array([[1.0, -1.0, 1.0]], f32), np.array([[1.0, -1.0, 0.5]], f32))
loss("cat_hinge_tie", L.CategoricalHinge(), np.array([[1.0, 0.0, 0.0]], f32), np.array([[0.5, 0.7, 0.7]], f32))
loss("mae_tie", L.MeanAbsoluteError(), np.array([[1.0, 0.0, 0.0]], f32), np.array([[1.0, 0.7, 0.7]], f32))
loss("huber_tie", L.Huber(delta=0.5), np.array([[1.0, 0.0, 0.0]], f32), np.array([[1.5, 0.0, 0.7]], f32), None, dict(delta=0.5))
loss("msle_zero", L.MeanSquaredLogarithmicError(), np.array([[1.0, 0.0, 0.0]], f32), np.array([[1e-07, -1.0, 0.7]], f32))
loss("bce_edge_clip", L.BinaryCrossentropy(), np.array([[1.0, 0.0, 1.0]], f32), np.array([[1e-07, 1.0, 0.7]], f32))
loss("mse_col", L.MeanSquaredError(), normal(N), normal(N, 1), weights(N))
loss("dice_w", L.Dice(axis=[1]), labels(4, 6), scores(4, 6), weights(4))
loss("dice_all_w", L.Dice(), labels(4, 6), scores(4, 6), weights(4))
loss("tversky_axis", L.Tversky(alpha=0.2, beta=0.9, axis=-1), labels(4, 6), scores(4, 6))
EMBEDDINGS = normal(6, 4)
EMBEDDINGS /= np.linalg.norm(EMBEDDINGS, axis=1, keepdims=True)
loss("circle_keep", L.Circle(remove_diagonal=False, gamma=10.0, margin=0.2), np.array([0, 1, 0, 1, 2, 2]), EMBEDDINGS)
loss("circle_w", L.Circle(gamma=10.0), np.array([0, 1, 0, 1, 2, 2]), EMBEDDINGS, weights(6))
loss("bce_pm", L.BinaryCrossentropy(from_logits=True), np.array([[1.0, 0.0, 1.0, 0.0]], f32), np.array([[10000.0, 10000.0, -100.0, -100.0]], f32))
pathlib.Path(__file__).with_name("cases.json").write_text(
    json.dumps({"metrics": metrics, "losses": losses}, separators=(",", ":")) + "\n"
)
