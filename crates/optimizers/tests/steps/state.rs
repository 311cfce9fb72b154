//! State is saved and loaded to the bit, and nothing else is accepted.

use crate::problem::{all_values, configurations, train, variables};
use candle_core::{DType, Device, Tensor, safetensors};
use optimizers::{Error, Optimizer};

#[test]
fn a_loaded_state_continues_to_the_same_bits() {
    for (class, config) in configurations() {
        for k in [0, 10] {
            let whole = variables(DType::F32);
            let mut optimizer = Optimizer::from_config(class, &config).unwrap();
            train(&mut optimizer, &whole, 0, k).unwrap();
            let (state, written) = (optimizer.state().unwrap(), optimizer.config());
            let parts: Vec<_> = whole
                .iter()
                .map(|(path, var)| (*path, candle_core::Var::from_tensor(&var.copy().unwrap()).unwrap()))
                .collect();
            train(&mut optimizer, &whole, k, k + 10).unwrap();

            // Once into a fresh optimizer, once into one that has gone elsewhere meanwhile.
            for used in [false, true] {
                let parts: Vec<_> = parts
                    .iter()
                    .map(|(path, var)| (*path, candle_core::Var::from_tensor(&var.copy().unwrap()).unwrap()))
                    .collect();
                let mut other = Optimizer::from_config(class, &written).unwrap();
                if used && k > 0 {
                    train(&mut other, &variables(DType::F32), 50, 53).unwrap();
                }
                other.load_state(&state).unwrap();
                assert_eq!(
                    other.iterations(),
                    optimizer.iterations() - (k + 10) / steps(&config) + k / steps(&config)
                );
                train(&mut other, &parts, k, k + 10).unwrap();
                assert!(
                    all_values(&parts) == all_values(&whole),
                    "{class} {config} from step {k}, used: {used}"
                );
            }
        }
    }
}

fn steps(config: &serde_json::Value) -> u64 {
    config["gradient_accumulation_steps"].as_u64().unwrap_or(1)
}

#[test]
fn a_state_survives_a_file() {
    let whole = variables(DType::F64);
    let mut optimizer = Optimizer::by_name("nadam").unwrap();
    train(&mut optimizer, &whole, 0, 3).unwrap();
    let file = std::env::temp_dir().join(format!("optimizer-state-{}.safetensors", std::process::id()));
    safetensors::save(&optimizer.state().unwrap().into_iter().collect(), &file).unwrap();
    let read: Vec<(String, Tensor)> = safetensors::load(&file, &Device::Cpu).unwrap().into_iter().collect();
    std::fs::remove_file(&file).unwrap();
    let mut other = Optimizer::by_name("nadam").unwrap();
    other.load_state(&read).unwrap();
    let sorted = |optimizer: &Optimizer| {
        let mut state = optimizer.state().unwrap();
        state.sort_by(|a, b| a.0.cmp(&b.0));
        state
            .into_iter()
            .map(|(key, tensor)| (key, crate::problem::values(&tensor)))
            .collect::<Vec<_>>()
    };
    assert_eq!(sorted(&other), sorted(&optimizer));
}

#[test]
fn names_are_the_weights_paths() {
    let mut optimizer = Optimizer::by_name("adafactor").unwrap();
    train(&mut optimizer, &variables(DType::F32), 0, 1).unwrap();
    let names: Vec<String> = optimizer.state().unwrap().into_iter().map(|(key, _)| key).collect();
    let expected = [
        "iterations",
        "dense/kernel/row",
        "dense/kernel/column",
        "dense/bias/velocity",
        "conv2d/kernel/row",
        "conv2d/kernel/column",
        "scale/velocity",
    ];
    assert_eq!(names, expected);
}

type State = Vec<(String, Tensor)>;

#[test]
fn a_state_that_does_not_fit_changes_nothing() {
    let edit = |change: &dyn Fn(&mut State)| {
        let mut donor = Optimizer::by_name("adam").unwrap();
        train(&mut donor, &variables(DType::F32), 0, 2).unwrap();
        let mut state = donor.state().unwrap();
        change(&mut state);
        state
    };
    let place = |state: &State, key: &str| state.iter().position(|(name, _)| name == key).unwrap();
    #[track_caller]
    fn check(state: &State, fresh_too: bool, expected: fn(&Error) -> bool, text: &str) {
        for fresh in [false, true] {
            let mut optimizer = Optimizer::by_name("adam").unwrap();
            if !fresh {
                train(&mut optimizer, &variables(DType::F32), 0, 1).unwrap();
            } else if !fresh_too {
                continue;
            }
            let before = format!(
                "{:?}",
                optimizer
                    .state()
                    .unwrap()
                    .iter()
                    .map(|(k, t)| (k.clone(), crate::problem::values(t)))
                    .collect::<Vec<_>>()
            );
            let error = optimizer.load_state(state).unwrap_err();
            assert!(expected(&error) && error.to_string().contains(text), "{error}");
            let after = format!(
                "{:?}",
                optimizer
                    .state()
                    .unwrap()
                    .iter()
                    .map(|(k, t)| (k.clone(), crate::problem::values(t)))
                    .collect::<Vec<_>>()
            );
            assert_eq!(before, after);
        }
    }
    let missing = |error: &Error| matches!(error, Error::StateMissing { .. });
    let unexpected = |error: &Error| matches!(error, Error::StateUnexpected { .. });
    let invalid = |error: &Error| matches!(error, Error::StateInvalid { .. });

    check(&Vec::new(), true, missing, "'iterations'");
    check(
        &edit(&|s| drop(s.remove(place(s, "dense/bias/velocity")))),
        true,
        missing,
        "'dense/bias/velocity'",
    );
    check(
        &edit(&|s| s.retain(|(key, _)| !key.starts_with("dense/bias"))),
        false,
        missing,
        "'dense/bias/momentum'",
    );
    let scalar = || Tensor::new(1.0_f32, &Device::Cpu).unwrap();
    check(
        &edit(&|s| s.push(("dense/bias/velocity_hat".into(), scalar()))),
        true,
        unexpected,
        "'dense/bias/velocity'?",
    );
    check(
        &edit(&|s| s.push(("u_product".into(), scalar()))),
        true,
        unexpected,
        "'u_product'",
    );
    check(
        &edit(&|s| s.push(("iterations".into(), scalar()))),
        true,
        invalid,
        "twice",
    );
    let at = |s: &mut State, key: &str, tensor: Tensor| {
        let index = place(s, key);
        s[index].1 = tensor;
    };
    let zeros = |shape: &[usize], dtype| Tensor::zeros(shape, dtype, &Device::Cpu).unwrap();
    check(
        &edit(&|s| at(s, "dense/kernel/velocity", zeros(&[5, 7], DType::F32))),
        true,
        invalid,
        "dense/kernel/velocity",
    );
    check(
        &edit(&|s| at(s, "dense/kernel/momentum", zeros(&[7, 5], DType::F64))),
        true,
        invalid,
        "f64",
    );
    check(
        &edit(&|s| at(s, "iterations", zeros(&[], DType::F32))),
        true,
        invalid,
        "i64",
    );
    check(
        &edit(&|s| at(s, "iterations", Tensor::new(-1_i64, &Device::Cpu).unwrap())),
        true,
        invalid,
        "0 or larger",
    );
}

#[test]
fn a_loaded_state_of_another_shape_is_found_at_the_first_step() {
    let mut donor = Optimizer::by_name("adam").unwrap();
    let other = candle_core::Var::zeros((5, 7), DType::F32, &Device::Cpu).unwrap();
    train(&mut donor, &[("dense/kernel", other)], 0, 1).unwrap();
    let mut optimizer = Optimizer::by_name("adam").unwrap();
    optimizer.load_state(&donor.state().unwrap()).unwrap();
    let variables = variables(DType::F32);
    let before = all_values(&variables);
    let error = train(&mut optimizer, &variables, 0, 1).unwrap_err();
    assert!(
        matches!(&error, Error::ShapeMismatch { path, .. } if path == "dense/kernel"),
        "{error}"
    );
    assert_eq!(all_values(&variables), before);
}
