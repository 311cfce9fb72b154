//! Reductions, weights and targets of losses.

use candle_core::{DType, Device, Tensor, Var};
use training::{Error, Loss, LossFunction, Reduction};

fn logits() -> Var {
    Var::new(&[[2.0f64, -1.0, 0.5], [0.0, 0.0, 0.0], [-3.0, 1.0, 2.0]], &Device::Cpu).unwrap()
}

fn numbers(tensor: &Tensor) -> Vec<f64> {
    tensor
        .to_dtype(DType::F64)
        .unwrap()
        .flatten_all()
        .unwrap()
        .to_vec1()
        .unwrap()
}

#[track_caller]
fn near(found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    for (a, b) in found.iter().zip(expected) {
        assert!(
            (a - b).abs() <= 1e-12 * b.abs().max(1.0),
            "{found:?} instead of {expected:?}"
        );
    }
}

/// The same loss by the fused operation for the batch and by the values of the samples.
#[test]
fn the_fused_mean_is_the_mean_of_the_samples() {
    let labels = Tensor::new(&[2u32, 0, 1], &Device::Cpu).unwrap();
    let soft = Tensor::new(&[[0.2f64, 0.3, 0.5], [1.0, 0.0, 0.0], [0.5, 0.25, 0.25]], &Device::Cpu).unwrap();
    let smoothed = |label_smoothing| LossFunction::CategoricalCrossentropy {
        from_logits: true,
        label_smoothing,
        axis: -1,
    };
    let binary = |label_smoothing| LossFunction::BinaryCrossentropy {
        from_logits: true,
        label_smoothing,
        axis: -1,
    };
    let cases = [
        (Loss::SparseCategoricalCrossentropy, &labels),
        (Loss::CategoricalCrossentropy, &soft),
        (Loss::from(smoothed(0.1)), &soft),
        (Loss::from(smoothed(0.1)), &labels),
        (Loss::BinaryCrossentropy, &soft),
        (Loss::from(binary(0.3)), &soft),
        (Loss::MeanSquaredError, &soft),
        (Loss::MeanSquaredError, &labels),
    ];
    let ones = Tensor::ones(3, DType::F64, &Device::Cpu).unwrap();
    for (loss, targets) in cases {
        let outputs = logits();
        let gradient = |value: &Tensor| numbers(value.backward().unwrap().get(&outputs).unwrap());
        let fused = loss.mean(&outputs, targets).unwrap();
        let composed = loss.value(&outputs, targets, Some(&ones)).unwrap();
        near(&numbers(&fused), &numbers(&composed));
        near(&gradient(&fused), &gradient(&composed));
        let samples = numbers(&loss.per_sample(&outputs, targets).unwrap());
        near(&numbers(&fused), &[samples.iter().sum::<f64>() / 3.0]);
        // Sequences of outputs: the same samples along another axis.
        let sequence = outputs.reshape((1, 3, 3)).unwrap();
        let mut shape = targets.dims().to_vec();
        shape.insert(0, 1);
        let fused_sequence = loss.mean(&sequence, &targets.reshape(shape).unwrap()).unwrap();
        near(&numbers(&fused_sequence), &numbers(&fused));
    }
}

#[test]
fn weights_scale_samples_and_their_gradients() {
    let outputs = logits();
    let labels = Tensor::new(&[2u32, 0, 1], &Device::Cpu).unwrap();
    let weights = Tensor::new(&[0.0f32, 2.0, 0.5], &Device::Cpu).unwrap();
    let loss = Loss::SparseCategoricalCrossentropy;
    let samples = numbers(&loss.per_sample(&outputs, &labels).unwrap());
    let sum = 2.0 * samples[1] + 0.5 * samples[2];
    let of = |reduction| {
        numbers(
            &loss
                .reduction(reduction)
                .value(&outputs, &labels, Some(&weights))
                .unwrap(),
        )
    };
    near(&of(Reduction::Sum), &[sum]);
    near(&of(Reduction::SumOverBatchSize), &[sum / 3.0]);
    near(&of(Reduction::MeanWithSampleWeight), &[sum / 2.5]);
    near(&of(Reduction::None), &[0.0, 2.0 * samples[1], 0.5 * samples[2]]);
    let value = loss.value(&outputs, &labels, Some(&weights)).unwrap();
    let gradient = numbers(value.backward().unwrap().get(&outputs).unwrap());
    assert_eq!(gradient[..3], [0.0; 3]);
    // A weight for each sample of sequences goes with all of their steps, as do weights in a column.
    let steps = Tensor::zeros((2, 4, 3), DType::F64, &Device::Cpu).unwrap();
    let targets = Tensor::ones((2, 4, 3), DType::F64, &Device::Cpu).unwrap();
    for shape in [vec![2], vec![2, 1]] {
        let weights = Tensor::new(&[1.0f64, 3.0], &Device::Cpu)
            .unwrap()
            .reshape(shape)
            .unwrap();
        let value = Loss::MeanSquaredError.value(&steps, &targets, Some(&weights)).unwrap();
        near(&numbers(&value), &[2.0]);
    }
}

#[test]
fn a_mean_of_nothing_is_zero() {
    let outputs = logits();
    let labels = Tensor::new(&[1i64, 1, 1], &Device::Cpu).unwrap();
    let function = LossFunction::SparseCategoricalCrossentropy {
        from_logits: true,
        ignore_class: Some(1),
    };
    let zeros = Tensor::zeros(3, DType::F64, &Device::Cpu).unwrap();
    for reduction in [Reduction::SumOverBatchSize, Reduction::MeanWithSampleWeight] {
        let loss = Loss::from(function).reduction(reduction);
        for weights in [None, Some(&zeros)] {
            let value = loss.value(&outputs, &labels, weights).unwrap();
            assert_eq!(numbers(&value), [0.0]);
            assert_eq!(numbers(value.backward().unwrap().get(&outputs).unwrap()), [0.0; 9]);
        }
    }
}

#[test]
fn class_numbers_become_rows_where_values_are_wanted() {
    let outputs = logits();
    let labels = Tensor::new(&[2u32, 0, 1], &Device::Cpu).unwrap();
    let rows = Tensor::new(&[[0f64, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], &Device::Cpu).unwrap();
    for name in ["mse", "hinge", "categorical_hinge", "huber", "cosine_similarity"] {
        let loss = Loss::by_name(name).unwrap();
        let expected = numbers(&loss.mean(&outputs, &rows).unwrap());
        near(&numbers(&loss.mean(&outputs, &labels).unwrap()), &expected);
        near(
            &numbers(&loss.mean(&outputs, &labels.unsqueeze(1).unwrap()).unwrap()),
            &expected,
        );
    }
    let error = Loss::MeanAbsoluteError.mean(&outputs, &Tensor::new(&[2u32, 0, 3], &Device::Cpu).unwrap());
    assert!(error.unwrap_err().to_string().contains("label 3 at index 2"));
    // One output: integers are the values themselves.
    let column = outputs.narrow(1, 0, 1).unwrap();
    let value = Loss::BinaryCrossentropy
        .mean(&column, &Tensor::new(&[1u32, 0, 0], &Device::Cpu).unwrap())
        .unwrap();
    let expected = ((-2.0f64).exp().ln_1p() + 2f64.ln() + (-3.0f64).exp().ln_1p()) / 3.0;
    near(&numbers(&value), &[expected]);
}

#[test]
fn shapes_that_do_not_belong_together_are_named() {
    let outputs = logits();
    let labels = Tensor::new(&[2u32, 0, 1], &Device::Cpu).unwrap();
    for shape in [vec![2], vec![1, 3], vec![3, 2], vec![3, 1, 1]] {
        let weights = Tensor::ones(shape.clone(), DType::F64, &Device::Cpu).unwrap();
        let result = Loss::default().value(&outputs, &labels, Some(&weights));
        assert!(
            matches!(result, Err(Error::SampleWeight { .. })),
            "{shape:?}: {result:?}"
        );
    }
    for loss in [
        Loss::CategoricalCrossentropy,
        Loss::BinaryCrossentropy,
        Loss::MeanSquaredError,
    ] {
        let wrong = Tensor::ones((3, 2), DType::F64, &Device::Cpu).unwrap();
        let error = loss.mean(&outputs, &wrong).unwrap_err();
        assert!(
            matches!(error, Error::Kernel(kernels::Error::Shape { .. })),
            "{loss}: {error}"
        );
    }
    let empty = Tensor::zeros((0, 3), DType::F64, &Device::Cpu).unwrap();
    for loss in [
        Loss::default(),
        Loss::CategoricalCrossentropy,
        Loss::MeanAbsoluteError,
        Loss::MeanSquaredError,
    ] {
        let error = loss.mean(&empty, &Tensor::zeros(0, DType::U32, &Device::Cpu).unwrap());
        assert!(matches!(error, Err(Error::Kernel(_))), "{loss}: {error:?}");
    }
}
