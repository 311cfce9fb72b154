//! What metrics say about small cases that can be counted by hand, and what they refuse.

use candle_core::{DType, Device, Tensor};
use training::metrics::{self, Curve, Metric, MetricClass, Summation, Variable};
use training::{ConfusionMatrix, Error};

fn rows(rows: &[[f32; 3]]) -> Tensor {
    Tensor::new(rows.concat(), &Device::Cpu)
        .unwrap()
        .reshape((rows.len(), 3))
        .unwrap()
}

fn vector(values: &[f32]) -> Tensor {
    Tensor::new(values, &Device::Cpu).unwrap()
}

fn after(mut metric: Box<dyn Metric>, outputs: &Tensor, targets: &Tensor) -> f64 {
    metric.update(outputs, targets, None).unwrap();
    metric.result()
}

#[test]
fn accuracy_is_chosen_by_the_shapes() {
    let outputs = rows(&[[0.1, 0.7, 0.2], [0.5, 0.2, 0.3], [0.2, 0.2, 0.6], [0.4, 0.4, 0.2]]);
    let labels = Tensor::new(&[1u32, 2, 2, 0], &Device::Cpu).unwrap();
    let one_hot = rows(&[[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]);
    for name in ["accuracy", "acc", "Accuracy"] {
        let accuracy = || metrics::by_name(name).unwrap();
        assert_eq!(after(accuracy(), &outputs, &labels), 0.75);
        assert_eq!(after(accuracy(), &outputs, &labels.unsqueeze(1).unwrap()), 0.75);
        assert_eq!(after(accuracy(), &outputs, &one_hot), 0.75);
        let (scores, wanted) = (vector(&[0.5, 0.6, 0.2, 0.9]), vector(&[0.0, 1.0, 1.0, 1.0]));
        assert_eq!(after(accuracy(), &scores, &wanted), 0.75);
        let column = scores.unsqueeze(1).unwrap();
        assert_eq!(after(accuracy(), &column, &wanted), 0.75);
        assert_eq!(after(accuracy(), &column, &wanted.unsqueeze(1).unwrap()), 0.75);
        assert_eq!(after(accuracy(), &column, &wanted.to_dtype(DType::U32).unwrap()), 0.75);
    }
    // The class `Accuracy` compares values.
    let equal = MetricClass::Accuracy.build().unwrap();
    assert_eq!(
        after(equal, &vector(&[1.0, 2.0, 3.0]), &vector(&[1.0, 2.0, 0.0])),
        2.0 / 3.0
    );
}

#[test]
fn ties_go_to_the_first_and_numbers_that_are_none_to_no_one() {
    let outputs = rows(&[[0.4, 0.4, 0.2], [f32::NAN, 0.1, 0.3], [0.3, 0.3, 0.3]]);
    let labels = Tensor::new(&[1u32, 2, 0], &Device::Cpu).unwrap();
    assert_eq!(
        after(metrics::by_name("accuracy").unwrap(), &outputs, &labels),
        2.0 / 3.0
    );
    let top = MetricClass::SparseTopKCategoricalAccuracy {
        k: 1,
        from_sorted_ids: false,
    };
    // A tie for the last place counts for all, a row with NaN for no one.
    assert_eq!(after(top.build().unwrap(), &outputs, &labels), 2.0 / 3.0);
}

#[test]
fn the_area_under_the_roc_curve_is_the_share_of_pairs_in_the_right_order() {
    let scores = vector(&[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]);
    let wanted = vector(&[0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 1.0]);
    let (scores_of, wanted_of) = (scores.to_vec1::<f32>().unwrap(), wanted.to_vec1::<f32>().unwrap());
    let pairs = scores_of
        .iter()
        .zip(&wanted_of)
        .flat_map(|low| scores_of.iter().zip(&wanted_of).map(move |high| (low, high)));
    let pairs: Vec<_> = pairs.filter(|(low, high)| *low.1 == 0.0 && *high.1 == 1.0).collect();
    let right = pairs.iter().filter(|(low, high)| low.0 < high.0).count();
    let expected = right as f64 / pairs.len() as f64;
    assert!((after(metrics::by_name("AUC").unwrap(), &scores, &wanted) - expected).abs() < 1e-12);
    let auc = |curve, summation_method| MetricClass::Auc {
        num_thresholds: 200,
        curve,
        summation_method,
        multi_label: false,
        num_labels: None,
        label_weights: None,
        from_logits: false,
        thresholds: None,
    };
    for curve in [Curve::Roc, Curve::Pr, Curve::PrGain] {
        let area = |method| after(auc(curve, method).build().unwrap(), &scores, &wanted);
        assert!(area(Summation::Minoring) <= area(Summation::Interpolation), "{curve:?}");
        assert!(area(Summation::Interpolation) <= area(Summation::Majoring), "{curve:?}");
        let best = after(auc(curve, Summation::Interpolation).build().unwrap(), &wanted, &wanted);
        assert!((best - 1.0).abs() < 1e-12, "{curve:?}: {best}");
    }
}

/// Counting in one go and counting in pieces, before and after a reset and a copy of the state.
#[test]
fn batches_add_up_and_state_travels() {
    let outputs = rows(&[
        [0.1, 0.7, 0.2],
        [0.5, 0.2, 0.3],
        [0.2, 0.1, 0.6],
        [0.4, 0.5, 0.1],
        [0.9, 0.3, 0.3],
    ]);
    let targets = rows(&[
        [0.0, 1.0, 0.0],
        [0.0, 0.0, 1.0],
        [0.0, 0.0, 1.0],
        [1.0, 0.0, 0.0],
        [1.0, 0.0, 0.0],
    ]);
    let weights = vector(&[1.0, 0.5, 2.0, 1.0, 3.0]);
    let names = [
        "accuracy",
        "precision",
        "recall",
        "auc",
        "f1_score",
        "true_negatives",
        "top_k_categorical_accuracy",
        "mse",
        "root_mean_squared_error",
        "r2_score",
        "pearson_correlation",
        "categorical_crossentropy",
        "sum",
        "mean",
        "binary_io_u",
    ];
    for name in names {
        let whole = {
            let mut metric = metrics::by_name(name).unwrap();
            metric.update(&outputs, &targets, Some(&weights)).unwrap();
            metric.values()
        };
        let mut metric = metrics::by_name(name).unwrap();
        assert_eq!(metric.result(), 0.0, "{name}");
        metric.update(&outputs, &targets, None).unwrap();
        metric.reset();
        for (first, count) in [(0, 2), (2, 3)] {
            let state: Vec<Variable> = serde_json::from_str(&serde_json::to_string(metric.state()).unwrap()).unwrap();
            metric = metrics::from_config(&metric.config()).unwrap();
            metric.load_state(&state).unwrap();
            let part = |tensor: &Tensor| tensor.narrow(0, first, count).unwrap();
            metric
                .update(&part(&outputs), &part(&targets), Some(&part(&weights)))
                .unwrap();
        }
        for (a, b) in metric.values().iter().zip(&whole) {
            assert!((a - b).abs() < 1e-12 * b.abs().max(1.0), "{name}: {a} instead of {b}");
        }
    }
}

#[test]
fn state_of_another_metric_is_refused() {
    let outputs = rows(&[[0.1, 0.7, 0.2]]);
    let mut f1 = metrics::by_name("f1_score").unwrap();
    f1.update(&outputs, &outputs, None).unwrap();
    let mut recall = metrics::by_name("recall").unwrap();
    let error = recall.load_state(f1.state()).unwrap_err().to_string();
    assert!(error.contains("'recall'"), "{error}");
    let mut state = f1.state().to_vec();
    state[0].shape = vec![usize::MAX, 2];
    assert!(matches!(f1.load_state(&state), Err(Error::Config { .. })));
    state[0].shape = vec![2];
    assert!(matches!(f1.load_state(&state), Err(Error::Config { .. })));
    // Shapes that differ within a state are found at the next batch.
    let mut fresh = metrics::by_name("f1_score").unwrap();
    let mut state = f1.state().to_vec();
    state[1] = Variable {
        name: state[1].name.clone(),
        shape: vec![2],
        values: vec![0.0; 2],
    };
    fresh.load_state(&state).unwrap();
    assert!(matches!(
        fresh.update(&outputs, &outputs, None),
        Err(Error::Option { .. })
    ));
}

#[test]
fn arguments_that_do_not_belong_together_are_named() {
    let outputs = rows(&[[0.1, 0.7, 0.2], [0.5, 0.2, 0.3]]);
    let names = [
        "accuracy",
        "categorical_accuracy",
        "precision",
        "auc",
        "f1_score",
        "mse",
        "r2_score",
        "pearson_correlation",
        "binary_accuracy",
        "sparse_top_k_categorical_accuracy",
        "binary_io_u",
        "sparse_categorical_crossentropy",
    ];
    for name in names {
        for wrong in [vector(&[0.0; 5]), rows(&[[0.0; 3]; 4])] {
            let error = metrics::by_name(name)
                .unwrap()
                .update(&outputs, &wrong, None)
                .unwrap_err();
            assert!(
                matches!(error, Error::Kernel(kernels::Error::Shape { .. })),
                "{name}: {error}"
            );
        }
        let labels = Tensor::new(&[0u32, 1], &Device::Cpu).unwrap();
        let targets = if name.starts_with("sparse") {
            labels
        } else {
            outputs.clone()
        };
        let error = metrics::by_name(name)
            .unwrap()
            .update(&outputs, &targets, Some(&vector(&[1.0; 3])));
        assert!(matches!(error, Err(Error::SampleWeight { .. })), "{name}: {error:?}");
    }
    let mut f1 = metrics::by_name("f1_score").unwrap();
    f1.update(&outputs, &outputs, None).unwrap();
    let narrow = outputs.narrow(1, 0, 2).unwrap();
    assert!(matches!(f1.update(&narrow, &narrow, None), Err(Error::Option { .. })));
    let precision = |top_k, class_id| MetricClass::Precision {
        thresholds: None,
        top_k,
        class_id,
    };
    for (option, class) in [
        ("top_k", precision(Some(4), None)),
        ("class_id", precision(None, Some(3))),
    ] {
        let error = class.build().unwrap().update(&outputs, &outputs, None).unwrap_err();
        assert!(error.to_string().contains(option), "{error}");
    }
}

#[test]
fn intersection_over_union_is_that_of_the_confusion_matrix() {
    let labels = [0u32, 1, 2, 2, 1, 0, 2];
    let predictions = [0u32, 2, 2, 1, 1, 0, 2];
    let matrix = ConfusionMatrix::of(3, &labels, &predictions).unwrap();
    let class = MetricClass::MeanIoU {
        num_classes: 3,
        ignore_class: None,
        sparse_y_true: true,
        sparse_y_pred: true,
        axis: -1,
    };
    let tensor = |classes: &[u32]| Tensor::new(classes, &Device::Cpu).unwrap();
    let found = after(class.build().unwrap(), &tensor(&predictions), &tensor(&labels));
    assert!((found - matrix.mean_intersection_over_union().unwrap()).abs() < 1e-6);
}
