//! The two ways of executing a step agree; clipping, decay and accumulation do what they say.

use crate::problem::{all_values, configurations, takes, train, values, variables};
use candle_core::{DType, Device, Tensor, Var};
use optimizers::{Execution, Optimizer, OptimizerBuilder, Parameter, Sgd, schedules::Schedule};
use proptest::prelude::*;

#[track_caller]
fn check_close(found: &[f64], expected: &[f64], tolerance: f64, what: &str) {
    let largest = expected
        .iter()
        .fold(f64::MIN_POSITIVE, |most, value| most.max(value.abs()));
    let worst = found
        .iter()
        .zip(expected)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f64::max);
    assert!(
        found.len() == expected.len() && worst <= tolerance * largest,
        "{what}: differs by {:e}",
        worst / largest
    );
}

#[test]
fn one_pass_equals_tensor_operations() {
    for (class, config) in configurations() {
        for (dtype, tolerance) in [(DType::F32, 1e-6), (DType::F64, 1e-6)] {
            let run = |execution| {
                let read = Optimizer::from_config(class, &config).unwrap();
                let variables = variables(dtype);
                let mut optimizer = read.with_execution(execution);
                train(&mut optimizer, &variables, 0, 12).unwrap();
                all_values(&variables)
            };
            let what = format!("{class} {config} {dtype:?}");
            check_close(
                &run(Execution::Fused),
                &run(Execution::TensorOperations),
                tolerance,
                &what,
            );
        }
    }
}

#[test]
fn half_precision_follows_single() {
    for name in [
        "sgd",
        "adam",
        "adafactor",
        "lamb",
        "muon",
        "radam",
        "schedule_free_adamw",
        "torch_adafactor",
    ] {
        let run = |dtype| {
            let variables = variables(dtype);
            let mut optimizer = Optimizer::builder(name).unwrap().learning_rate(0.01).build().unwrap();
            train(&mut optimizer, &variables, 0, 5).unwrap();
            all_values(&variables)
        };
        // bfloat16 has three significant digits.
        check_close(&run(DType::BF16), &run(DType::F32), 0.02, name);
    }
}

#[test]
fn the_number_of_threads_shows_in_no_bit() {
    // Large enough for several blocks, and not a multiple of any block's size.
    let shape = [1001, 307];
    for config in [
        serde_json::json!({"global_clipnorm": 1.0}),
        serde_json::json!({"clipnorm": 0.5, "weight_decay": 0.01, "amsgrad": true}),
    ] {
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let var = Var::from_tensor(&crate::problem::tensor(1, &shape, DType::F32)).unwrap();
                let mut optimizer = Optimizer::from_config("Adam", &config).unwrap();
                train(&mut optimizer, &[("w", var.clone())], 0, 2).unwrap();
                values(&var)
            })
        };
        assert!(run(1) == run(3), "{config}");
    }
}

/// The step that plain SGD with rate 1 takes is the gradient that it saw.
fn seen(builder: OptimizerBuilder, gradients: &[Vec<f32>]) -> Vec<Vec<f64>> {
    let vars: Vec<(String, Var)> = gradients
        .iter()
        .enumerate()
        .map(|(index, g)| {
            (
                format!("w{index}"),
                Var::zeros(g.len(), DType::F32, &Device::Cpu).unwrap(),
            )
        })
        .collect();
    let tensors: Vec<Tensor> = gradients
        .iter()
        .map(|g| Tensor::new(g.as_slice(), &Device::Cpu).unwrap())
        .collect();
    let parameters: Vec<Parameter<'_>> = vars
        .iter()
        .zip(&tensors)
        .map(|((path, var), gradient)| Parameter { path, var, gradient })
        .collect();
    builder.learning_rate(1.0).build().unwrap().apply(&parameters).unwrap();
    vars.iter()
        .map(|(_, var)| values(var).into_iter().map(|w| -w).collect())
        .collect()
}

fn norm<'a>(values: impl IntoIterator<Item = &'a f64>) -> f64 {
    values.into_iter().map(|value| value * value).sum::<f64>().sqrt()
}

fn gradients() -> impl Strategy<Value = Vec<Vec<f32>>> {
    prop::collection::vec(prop::collection::vec(-100.0_f32..100.0, 1..40), 1..4)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn clipnorm_bounds_each_gradient_and_keeps_its_direction(gradients in gradients(), limit in 0.01_f64..500.0) {
        let given: Vec<Vec<f64>> = gradients.iter().map(|g| g.iter().map(|&x| x.into()).collect()).collect();
        for (seen, given) in seen(OptimizerBuilder::new(Sgd::default()).clipnorm(limit), &gradients).iter().zip(&given) {
            prop_assert!(norm(seen) <= limit * (1.0 + 1e-5));
            let scale = (limit / norm(given)).min(1.0);
            for (seen, given) in seen.iter().zip(given) {
                prop_assert!((seen - given * scale).abs() <= 1e-5 * (1.0 + given.abs() * scale));
            }
        }
    }

    #[test]
    fn global_clipnorm_scales_all_gradients_by_one_factor(gradients in gradients(), limit in 0.01_f64..500.0) {
        let total = norm(gradients.iter().flatten().map(|&x| f64::from(x)).collect::<Vec<_>>().iter());
        let scale = (limit / total).min(1.0);
        let seen = seen(OptimizerBuilder::new(Sgd::default()).global_clipnorm(limit), &gradients);
        prop_assert!(norm(seen.iter().flatten()) <= limit * (1.0 + 1e-5));
        for (seen, &given) in seen.iter().flatten().zip(gradients.iter().flatten()) {
            prop_assert!((seen - f64::from(given) * scale).abs() <= 1e-5 * (1.0 + f64::from(given).abs() * scale));
        }
    }

    #[test]
    fn clipvalue_bounds_each_entry_and_leaves_small_ones(gradients in gradients(), limit in 0.5_f32..50.0) {
        let builder = OptimizerBuilder::new(Sgd::default()).clipvalue(limit.into());
        for (seen, &given) in seen(builder, &gradients).iter().flatten().zip(gradients.iter().flatten()) {
            prop_assert_eq!(*seen, f64::from(given.clamp(-limit, limit)));
        }
    }

    #[test]
    fn schedules_never_leave_their_range(step in 0_u64..100_000, rate in 1e-6_f64..1.0) {
        for class in optimizers::schedules::CLASSES {
            let config = if *class == "PiecewiseConstantDecay" {
                serde_json::json!({"boundaries": [10, 1000], "values": [rate, rate / 2.0, rate / 3.0]})
            } else if *class == "OneCycle" {
                serde_json::json!({"max_learning_rate": rate})
            } else {
                serde_json::json!({"initial_learning_rate": rate})
            };
            let value = Schedule::from_config(class, &config).unwrap().value(step);
            prop_assert!((0.0..=rate.max(1e-4) * (1.0 + 1e-12)).contains(&value), "{} at {}: {}", class, step, value);
        }
    }
}

#[test]
fn accumulated_gradients_equal_their_mean() {
    let run = |builder: OptimizerBuilder, gradients: &[[f32; 2]]| {
        let var = Var::new(&[1.0_f32, -1.0], &Device::Cpu).unwrap();
        let mut optimizer = builder.learning_rate(0.5).build().unwrap();
        for gradient in gradients {
            let gradient = Tensor::new(gradient, &Device::Cpu).unwrap();
            optimizer
                .apply(&[Parameter {
                    path: "w",
                    var: &var,
                    gradient: &gradient,
                }])
                .unwrap();
        }
        (values(&var), optimizer.iterations())
    };
    let adam = || Optimizer::builder("adam").unwrap();
    let (accumulated, updates) = run(
        adam().gradient_accumulation_steps(2),
        &[[1.0, 2.0], [3.0, -4.0], [9.0, 9.0]],
    );
    assert_eq!((accumulated, updates), run(adam(), &[[2.0, -1.0]]));
}

#[test]
fn a_gradient_that_is_the_weight_itself_or_a_transposed_view_is_fine() {
    let var = Var::new(&[[1.0_f32, 2.0], [3.0, 4.0]], &Device::Cpu).unwrap();
    let mut sgd = Optimizer::builder("sgd").unwrap().learning_rate(0.5).build().unwrap();
    sgd.apply(&[Parameter {
        path: "w",
        var: &var,
        gradient: var.as_tensor(),
    }])
    .unwrap();
    assert_eq!(values(&var), [0.5, 1.0, 1.5, 2.0]);
    let transposed = Tensor::new(&[[1.0_f32, 2.0], [3.0, 4.0]], &Device::Cpu)
        .unwrap()
        .t()
        .unwrap();
    sgd.apply(&[Parameter {
        path: "w",
        var: &var,
        gradient: &transposed,
    }])
    .unwrap();
    assert_eq!(values(&var), [0.0, -0.5, 0.5, 0.0]);
}

#[test]
fn frozen_parameters_are_left_out_and_may_come_back() {
    let variables = variables(DType::F32);
    let mut adam = Optimizer::by_name("adam").unwrap();
    train(&mut adam, &variables[..1], 0, 3).unwrap();
    let frozen = all_values(&variables[1..]);
    assert_eq!(all_values(&crate::problem::variables(DType::F32)[1..]), frozen);
    train(&mut adam, &variables, 3, 4).unwrap();
    assert_ne!(all_values(&variables[1..]), frozen);
    assert_eq!(adam.state_bytes(), 2 * 4 * (35 + 5 + 72 + 1));
}

#[test]
fn the_catalogue_is_complete_and_its_numbers_are_computed() {
    let check = |name: &str, family: &str, class: &str, bytes: f64| {
        let info = optimizers::catalogue().iter().find(|info| info.name == name).unwrap();
        let found = (
            info.family.to_string(),
            info.keras_class,
            info.state_bytes_per_parameter,
        );
        assert_eq!(found, (family.to_owned(), class, bytes), "{name}");
        assert!(
            info.what_changes.len() > 200 && !info.what_changes.contains("  "),
            "{name}"
        );
        assert!(
            info.formula_latex.contains(r"\leftarrow") && info.formula_unicode.contains('←'),
            "{name}"
        );
        let read = Optimizer::from_config(class, &info.defaults).unwrap();
        assert_eq!(read.config(), info.defaults, "{name}");
        assert_eq!(Optimizer::by_name(name).unwrap().config(), info.defaults, "{name}");
    };
    check("sgd", "SGD", "SGD", 0.0);
    check("sgd_momentum", "SGD", "SGD", 4.0);
    check("rmsprop", "Ada", "RMSprop", 4.0);
    check("adam", "Adam", "Adam", 8.0);
    check("adamw", "Adam", "AdamW", 8.0);
    check("adamax", "Adam", "Adamax", 8.0);
    check("adagrad", "Ada", "Adagrad", 4.0);
    check("adadelta", "Ada", "Adadelta", 8.0);
    check("adafactor", "Ada", "Adafactor", 4.0 * 2.0 / 1024.0);
    check("nadam", "Adam", "Nadam", 8.0);
    check("lion", "SGD", "Lion", 4.0);
    check("lamb", "Adam", "Lamb", 8.0);
    check("ftrl", "Ada", "Ftrl", 8.0);
    check("muon", "Matrix", "Muon", 4.0);
    check("schedule_free_adamw", "Adam", "ScheduleFreeAdamW", 12.0);
    check("schedule_free_sgd", "SGD", "ScheduleFreeSGD", 8.0);
    check("prodigy", "Adam", "Prodigy", 16.0);
    check("soap", "Matrix", "SOAP", 24.0);
    check("adopt", "Adam", "ADOPT", 8.0);
    check("radam", "Adam", "torch.optim.RAdam", 8.0);
    check("asgd", "SGD", "torch.optim.ASGD", 4.0);
    check("rprop", "Ada", "torch.optim.Rprop", 8.0);
    check("torch_sgd", "SGD", "torch.optim.SGD", 0.0);
    check("torch_rmsprop", "Ada", "torch.optim.RMSprop", 4.0);
    check("torch_adam", "Adam", "torch.optim.Adam", 8.0);
    check("torch_adamw", "Adam", "torch.optim.AdamW", 8.0);
    check("torch_adamax", "Adam", "torch.optim.Adamax", 8.0);
    check("torch_adagrad", "Ada", "torch.optim.Adagrad", 4.0);
    check("torch_adadelta", "Ada", "torch.optim.Adadelta", 8.0);
    check("torch_adafactor", "Ada", "torch.optim.Adafactor", 4.0 * 2.0 / 1024.0);
    check("torch_nadam", "Adam", "torch.optim.NAdam", 8.0);
    check("torch_muon", "Matrix", "torch.optim.Muon", 4.0);
    assert_eq!(optimizers::catalogue().len(), 32);
    let adafactor = optimizers::catalogue()
        .iter()
        .find(|info| info.name == "adafactor")
        .unwrap();
    assert_eq!(
        (adafactor.state_bytes(&[10]), adafactor.state_bytes(&[3, 4, 5])),
        (40, 4 * 3 * (4 + 5))
    );
}

/// A mean that fades is zero in the end, not a number of the kind with which processors compute slowly.
#[test]
fn state_without_a_gradient_fades_to_zero() {
    for (class, config) in configurations() {
        let mut optimizer = Optimizer::from_config(class, &config).unwrap();
        let variables = variables(DType::F32);
        train(&mut optimizer, &variables, 0, 3).unwrap();
        let variables: Vec<_> = variables
            .into_iter()
            .filter(|(_, var)| takes(&optimizer, var.rank()))
            .collect();
        let zeros: Vec<Tensor> = variables.iter().map(|(_, var)| var.zeros_like().unwrap()).collect();
        let parameters: Vec<Parameter<'_>> = variables
            .iter()
            .zip(&zeros)
            .map(|((path, var), gradient)| Parameter { path, var, gradient })
            .collect();
        for _ in 0..1500 {
            optimizer.apply(&parameters).unwrap();
        }
        for (name, tensor) in optimizer.state().unwrap() {
            // SOAP's state belongs to no element: it is kept along other axes, which turn.
            if tensor.dtype() == DType::F32 && optimizer.class() != "SOAP" {
                let numbers: Vec<f32> = tensor.flatten_all().unwrap().to_vec1().unwrap();
                assert!(
                    !numbers.iter().any(|number| number.is_subnormal()),
                    "{class} {config}: {name}"
                );
            }
        }
    }
}
