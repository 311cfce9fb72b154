//! What is wrong is said, by name, and before anything has changed.

use crate::problem::{all_values, variables};
use candle_core::{DType, Device, Tensor, Var};
use optimizers::{Error, Optimizer, Parameter, schedules::Schedule};
use serde_json::json;

#[track_caller]
fn check(result: Result<Optimizer, Error>, parts: &[&str]) {
    let message = result.expect_err("an error").to_string();
    for part in parts {
        assert!(message.contains(part), "«{message}» does not say «{part}»");
    }
}

#[test]
fn unknown_names_come_with_the_nearest_known_one() {
    check(
        Optimizer::by_name("adma"),
        &["'adma'", "did you mean 'adam'?", "adafactor"],
    );
    check(
        Optimizer::by_name("gradient descent"),
        &["'gradient descent'; known are: sgd"],
    );
    check(Optimizer::by_name(""), &["no optimizer ''"]);
    for name in ["AdamW", "adam_w", "ADAMW", "RMSprop", "rms_prop", "SGD", "SGDMomentum"] {
        assert!(Optimizer::by_name(name).is_ok(), "{name}");
    }
}

#[test]
fn options_that_do_not_exist_or_make_no_sense_are_refused() {
    let adam = |config: serde_json::Value| Optimizer::from_config("Adam", &config);
    check(adam(json!({"beta1": 0.9})), &["Adam", "'beta1'", "'beta_1'?"]);
    check(adam(json!({"momentum": 0.9})), &["'momentum'"]);
    check(
        adam(json!({"clip_norm": 1.0})),
        &["'clip_norm' (did you mean 'clipnorm'?)"],
    );
    check(adam(json!({"learning_rate": -0.1})), &["-0.1", "0 or larger"]);
    check(
        adam(json!({"learning_rate": "fast"})),
        &["learning_rate", "a number or a schedule"],
    );
    check(adam(json!({"beta_1": 1.0})), &["beta_1", "below 1"]);
    check(adam(json!({"beta_2": "high"})), &["beta_2", "a number"]);
    check(adam(json!({"beta_2": null})), &["beta_2", "a number"]);
    check(adam(json!({"amsgrad": 1})), &["amsgrad", "true or false"]);
    check(adam(json!({"epsilon": -1e-7})), &["epsilon"]);
    check(adam(json!({"clipnorm": 0.0})), &["clipnorm", "above 0"]);
    check(adam(json!({"clipnorm": 1.0, "clipvalue": 1.0})), &["the only one"]);
    check(
        adam(json!({"gradient_accumulation_steps": 1})),
        &["gradient_accumulation_steps", "at least 2"],
    );
    check(
        adam(json!({"gradient_accumulation_steps": 2.5})),
        &["gradient_accumulation_steps", "whole number"],
    );
    check(adam(json!({"ema_overwrite_frequency": 5})), &["use_ema"]);
    check(adam(json!({"use_ema": true, "ema_momentum": 1.5})), &["ema_momentum"]);
    check(adam(json!({"loss_scale_factor": 0.0})), &["loss_scale_factor"]);
    check(adam(json!([1, 2])), &["a JSON object"]);
    check(
        Optimizer::from_config("AdamW", &json!({"weight_decay": null})),
        &["weight_decay", "not set"],
    );
    check(
        Optimizer::from_config("SGD", &json!({"momentum": 1.5})),
        &["momentum", "between 0 and 1"],
    );
    check(
        Optimizer::builder("sgd").unwrap().learning_rate(f64::NAN).build(),
        &["NaN"],
    );
    let schedule = |class: &str, config| adam(json!({"learning_rate": {"class_name": class, "config": config}}));
    check(
        schedule("CosineDekay", json!({})),
        &["'CosineDekay' (did you mean 'CosineDecay'?)"],
    );
    check(
        schedule("CosineDecay", json!({"decay_step": 3})),
        &["CosineDecay", "'decay_steps'?"],
    );
    check(
        schedule("CosineDecay", json!({"initial_learning_rate": -1})),
        &["initial_learning_rate"],
    );
    check(
        schedule("CosineDecay", json!({"decay_steps": 0})),
        &["decay_steps", "above 0"],
    );
    check(
        schedule(
            "PiecewiseConstantDecay",
            json!({"boundaries": [3, 2], "values": [1, 2, 3]}),
        ),
        &["increasing"],
    );
    check(
        schedule("PiecewiseConstantDecay", json!({"boundaries": [3], "values": [1]})),
        &["one number more"],
    );
    check(schedule("CosineDecayRestarts", json!({"t_mul": 0.5})), &["t_mul"]);
    assert!(Schedule::from_json(&json!(null)).is_err());
}

#[test]
fn a_rate_is_checked_when_it_is_set() {
    let mut optimizer = Optimizer::by_name("sgd").unwrap();
    for rate in [-1.0, f64::NAN, f64::INFINITY] {
        assert!(matches!(
            optimizer.set_learning_rate(rate),
            Err(Error::InvalidLearningRate { .. })
        ));
        assert_eq!(optimizer.learning_rate(), 0.01);
    }
    optimizer.set_learning_rate(0.5).unwrap();
    assert_eq!(optimizer.learning_rate(), 0.5);
}

/// Whether an error is the one that is meant.
type Expected = fn(&Error) -> bool;

/// Applies good gradients for all but the last parameter, and this one for it.
fn apply(optimizer: &mut Optimizer, variables: &[(&str, Var)], last: &Tensor) -> Result<(), Error> {
    let good: Vec<Tensor> = variables.iter().map(|(_, var)| var.ones_like().unwrap()).collect();
    let mut parameters: Vec<Parameter<'_>> = variables
        .iter()
        .zip(&good)
        .map(|((path, var), gradient)| Parameter { path, var, gradient })
        .collect();
    parameters.last_mut().unwrap().gradient = last;
    optimizer.apply(&parameters)
}

#[test]
fn a_bad_gradient_touches_no_parameter() {
    let tensor = |value: f32| Tensor::new(value, &Device::Cpu).unwrap();
    let cases: [(Tensor, Expected); 6] = [
        (
            tensor(f32::NAN),
            |e| matches!(e, Error::NonFiniteGradient { path } if path == "scale"),
        ),
        (tensor(f32::INFINITY), |e| matches!(e, Error::NonFiniteGradient { .. })),
        (tensor(f32::NEG_INFINITY), |e| {
            matches!(e, Error::NonFiniteGradient { .. })
        }),
        (
            Tensor::new(&[1.0_f32], &Device::Cpu).unwrap(),
            |e| matches!(e, Error::ShapeMismatch { path, .. } if path == "scale"),
        ),
        (Tensor::new(1.0_f64, &Device::Cpu).unwrap(), |e| {
            matches!(e, Error::DTypeMismatch { .. })
        }),
        (Tensor::new(&[[1.0_f32]], &Device::Cpu).unwrap(), |e| {
            matches!(e, Error::ShapeMismatch { .. })
        }),
    ];
    for execution in [optimizers::Execution::Fused, optimizers::Execution::TensorOperations] {
        for (gradient, expected) in &cases {
            let variables = variables(DType::F32);
            let builder = Optimizer::builder("adam").unwrap().ema(0.9, 2).execution(execution);
            let mut optimizer = builder.build().unwrap();
            apply(&mut optimizer, &variables, &tensor(1.0)).unwrap();
            let (before, state) = (all_values(&variables), optimizer.state().unwrap());
            let error = apply(&mut optimizer, &variables, gradient).unwrap_err();
            assert!(expected(&error), "{error}");
            assert_eq!(all_values(&variables), before);
            for ((key, after), (_, before)) in optimizer.state().unwrap().iter().zip(&state) {
                assert_eq!(crate::problem::values(after), crate::problem::values(before), "{key}");
            }
        }
    }
}

#[test]
fn whatever_the_optimizer_a_bad_gradient_or_rate_touches_nothing() {
    let states = |optimizer: &Optimizer| -> Vec<(String, Vec<f64>)> {
        let state = optimizer.state().unwrap().into_iter();
        state
            .map(|(key, tensor)| (key, crate::problem::values(&tensor)))
            .collect()
    };
    for (class, config) in crate::problem::configurations() {
        let mut optimizer = Optimizer::from_config(class, &config).unwrap();
        let all = variables(DType::F32).into_iter();
        let fitting: Vec<_> = all
            .filter(|(_, var)| crate::problem::takes(&optimizer, var.rank()))
            .collect();
        let variables = &fitting[..fitting.len().min(3)];
        crate::problem::train(&mut optimizer, variables, 0, 4).unwrap();
        let (before, mut state) = (all_values(variables), states(&optimizer));
        let dims = variables.last().unwrap().1.dims().to_vec();
        let of = |value: f32| Tensor::full(value, dims.as_slice(), &Device::Cpu).unwrap();
        let bad = [
            of(f32::NAN),
            of(f32::INFINITY),
            Tensor::ones(3, DType::F32, &Device::Cpu).unwrap(),
        ];
        for (index, gradient) in bad.iter().enumerate() {
            let outcome = apply(&mut optimizer, variables, gradient);
            // A dynamic loss scale takes numbers that are not finite for a scale that is too large.
            if class == "LossScaleOptimizer" && index < 2 {
                assert_eq!(outcome.map_err(|error| error.to_string()), Ok(()));
                assert_eq!(all_values(variables), before);
                state = states(&optimizer);
                continue;
            }
            assert!(outcome.is_err(), "{class} {config}");
            assert!(
                all_values(variables) == before && states(&optimizer) == state,
                "{class} {config}"
            );
        }
    }
    for info in optimizers::catalogue() {
        for key in ["learning_rate", "weight_decay"] {
            let error = Optimizer::from_config(info.name, &json!({key: -1.0}))
                .unwrap_err()
                .to_string();
            assert!(error.contains("-1"), "{}: {error}", info.name);
        }
        let error = Optimizer::from_config(info.name, &json!({"learning_rat": 1.0}))
            .unwrap_err()
            .to_string();
        assert!(error.contains("'learning_rat' (did you mean"), "{}: {error}", info.name);
    }
}

#[test]
fn an_infinity_deep_inside_a_large_gradient_is_found() {
    let var = Var::zeros(300_001, DType::F32, &Device::Cpu).unwrap();
    for at in [0, 15, 16_384, 299_999, 300_000] {
        let mut values = vec![1e30_f32; 300_001];
        values[at] = f32::INFINITY;
        let gradient = Tensor::new(values, &Device::Cpu).unwrap();
        let result = Optimizer::by_name("sgd").unwrap().apply(&[Parameter {
            path: "w",
            var: &var,
            gradient: &gradient,
        }]);
        assert!(matches!(result, Err(Error::NonFiniteGradient { .. })), "{at}");
    }
    assert_eq!(var.abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap(), 0.0);
}

#[test]
fn without_the_check_infinities_are_computed_with_as_keras_does() {
    let var = Var::new(&[1.0_f32, 1.0], &Device::Cpu).unwrap();
    let gradient = Tensor::new(&[f32::NAN, 1.0], &Device::Cpu).unwrap();
    let mut sgd = Optimizer::builder("sgd")
        .unwrap()
        .learning_rate(0.5)
        .check_finite(false)
        .build()
        .unwrap();
    sgd.apply(&[Parameter {
        path: "w",
        var: &var,
        gradient: &gradient,
    }])
    .unwrap();
    let values = crate::problem::values(&var);
    assert!(values[0].is_nan() && values[1] == 0.5);
}

#[test]
fn a_parameter_that_the_loss_does_not_reach_is_named() {
    let (used, unused) = (
        Var::new(1.0_f32, &Device::Cpu).unwrap(),
        Var::new(1.0_f32, &Device::Cpu).unwrap(),
    );
    let gradients = used.sqr().unwrap().backward().unwrap();
    let mut sgd = Optimizer::by_name("sgd").unwrap();
    let error = sgd
        .apply_gradients(&[("used", &used), ("unused", &unused)], &gradients)
        .unwrap_err();
    assert!(
        matches!(&error, Error::MissingGradient { path } if path == "unused"),
        "{error}"
    );
    assert_eq!((used.to_scalar::<f32>().unwrap(), sgd.iterations()), (1.0, 0));
}

#[test]
fn two_parameters_cannot_share_a_path() {
    let (a, b) = (
        Var::new(1.0_f32, &Device::Cpu).unwrap(),
        Var::new(1.0_f32, &Device::Cpu).unwrap(),
    );
    let gradient = Tensor::new(1.0_f32, &Device::Cpu).unwrap();
    let parameters = [&a, &b].map(|var| Parameter {
        path: "w",
        var,
        gradient: &gradient,
    });
    assert!(matches!(
        Optimizer::by_name("sgd").unwrap().apply(&parameters),
        Err(Error::DuplicatePath { .. })
    ));
}

#[test]
fn a_parameter_that_changed_its_shape_is_refused() {
    let mut adam = Optimizer::by_name("adam").unwrap();
    for (shape, fits) in [(3, true), (4, false)] {
        let var = Var::zeros(shape, DType::F32, &Device::Cpu).unwrap();
        let gradient = var.ones_like().unwrap();
        let result = adam.apply(&[Parameter {
            path: "w",
            var: &var,
            gradient: &gradient,
        }]);
        assert_eq!(result.is_ok(), fits);
    }
}

#[test]
fn nothing_to_do_and_empty_tensors_are_fine() {
    for name in optimizers::catalogue().iter().map(|info| info.name) {
        let mut optimizer = Optimizer::by_name(name).unwrap();
        optimizer.apply(&[]).unwrap();
        for shape in [vec![0], vec![3, 0], vec![0, 3]] {
            let var = Var::zeros(shape.clone(), DType::F32, &Device::Cpu).unwrap();
            if !crate::problem::takes(&optimizer, shape.len()) {
                continue;
            }
            let path = format!("w{shape:?}");
            let gradient = var.zeros_like().unwrap();
            optimizer
                .apply(&[Parameter {
                    path: &path,
                    var: &var,
                    gradient: &gradient,
                }])
                .unwrap();
        }
    }
}
