//! L-BFGS: it finds minima, goes on to the bit, and leaves everything as it was when something is wrong.

use std::cell::Cell;

use candle_core::{Device, Tensor, Var, backprop::GradStore};
use optimizers::{Error, Lbfgs, LineSearch, Optimizer};
use serde_json::json;

type Failure = Box<dyn std::error::Error>;

/// Rosenbrock's valley in two parameters.
fn rosenbrock(x: &Var, y: &Var) -> Result<(f64, GradStore), Failure> {
    let wall = (y.as_tensor() - x.sqr()?)?.sqr()?.affine(100.0, 0.0)?;
    let loss = (wall + x.affine(-1.0, 1.0)?.sqr()?)?.sum_all()?;
    Ok((loss.to_scalar::<f64>()?, loss.backward()?))
}

fn start() -> [Var; 2] {
    [
        Var::new(&[-1.2_f64, 0.5], &Device::Cpu).unwrap(),
        Var::new(&[1.0_f64, -2.0], &Device::Cpu).unwrap(),
    ]
}

fn values(vars: &[Var; 2]) -> Vec<f64> {
    vars.iter().flat_map(|var| var.to_vec1::<f64>().unwrap()).collect()
}

fn step(lbfgs: &mut Lbfgs, vars: &[Var; 2]) -> Result<f64, Failure> {
    lbfgs.step(&[("x", &vars[0]), ("y", &vars[1])], || rosenbrock(&vars[0], &vars[1]))
}

fn walk(lbfgs: &mut Lbfgs, vars: &[Var; 2], steps: usize) {
    for _ in 0..steps {
        step(lbfgs, vars).unwrap();
    }
}

#[test]
fn with_a_line_search_it_finds_the_end_of_the_valley() {
    let vars = start();
    // By default it stops where the loss, which is squared, changes in the tenth digit only.
    let exact = Lbfgs::from_config(&json!({"tolerance_change": 1e-20})).unwrap();
    let mut lbfgs = exact.line_search(LineSearch::StrongWolfe);
    let mut last = f64::INFINITY;
    for _ in 0..8 {
        let loss = step(&mut lbfgs, &vars).unwrap();
        assert!(loss <= last, "{loss} after {last}");
        last = loss;
    }
    assert!(
        values(&vars).iter().all(|value| (value - 1.0).abs() < 1e-7),
        "{:?}",
        values(&vars)
    );
}

#[test]
fn a_loaded_state_continues_to_the_same_bits() {
    for config in [
        json!({"lr": 1e-3, "max_iter": 3, "history_size": 4}),
        json!({"line_search_fn": "strong_wolfe", "max_iter": 4, "history_size": 3}),
    ] {
        for k in [0, 5] {
            let vars = start();
            let mut lbfgs = Lbfgs::from_config(&config).unwrap();
            walk(&mut lbfgs, &vars, k);
            let state = lbfgs.state().unwrap();
            let copies = [0, 1].map(|index| Var::from_tensor(&vars[index].copy().unwrap()).unwrap());
            walk(&mut lbfgs, &vars, 5);

            let mut other = Lbfgs::from_config(&lbfgs.config()).unwrap();
            other.load_state(&state).unwrap();
            walk(&mut other, &copies, 5);
            assert_eq!(values(&copies), values(&vars), "{config} from {k}");
            assert_eq!(
                (other.iterations(), other.evaluations()),
                (lbfgs.iterations(), lbfgs.evaluations())
            );
        }
    }
}

#[test]
fn what_is_wrong_is_said_and_nothing_is_changed() {
    let vars = start();
    let mut lbfgs = Lbfgs::from_config(&json!({"lr": 1e-3})).unwrap();
    step(&mut lbfgs, &vars).unwrap();
    let (before, state) = (values(&vars), format!("{:?}", numbers(&lbfgs)));
    let named = [("x", &vars[0]), ("y", &vars[1])];
    let good = || rosenbrock(&vars[0], &vars[1]);

    // The third measurement fails, in the middle of a step.
    let calls = Cell::new(0);
    let failing = |fault: fn() -> Result<(f64, GradStore), Failure>| {
        calls.set(calls.get() + 1);
        if calls.get() % 3 == 0 { fault() } else { good() }
    };
    let error = lbfgs
        .step(&named, || failing(|| Err("out of data".into())))
        .unwrap_err();
    assert!(error.to_string().contains("out of data"));
    let nan = || -> Result<(f64, GradStore), Failure> { Ok((f64::NAN, Tensor::new(0.0, &Device::Cpu)?.backward()?)) };
    let error = lbfgs.step(&named, || failing(nan)).unwrap_err();
    assert!(error.to_string().contains("the loss is NaN"), "{error}");
    let error = lbfgs.step(&[("x", &vars[0]), ("z", &vars[1])], good).unwrap_err();
    assert!(error.to_string().contains("z/direction"), "{error}");
    let error = lbfgs.step(&[("x", &vars[0])], good).unwrap_err();
    assert!(error.to_string().contains("1 parameters"), "{error}");
    let error = lbfgs.step(&[("x", &vars[0]), ("x", &vars[1])], good).unwrap_err();
    assert!(error.to_string().contains("two parameters are called 'x'"), "{error}");
    let stranger = Var::new(&[1.0_f64, 1.0], &Device::Cpu).unwrap();
    let error = lbfgs.step(&[("x", &vars[0]), ("y", &stranger)], good).unwrap_err();
    assert!(error.to_string().contains("no gradient for 'y'"), "{error}");

    assert_eq!(values(&vars), before);
    assert_eq!(format!("{:?}", numbers(&lbfgs)), state);
}

fn numbers(lbfgs: &Lbfgs) -> Vec<(String, Vec<f64>)> {
    let flat = |tensor: Tensor| {
        tensor
            .to_dtype(candle_core::DType::F64)
            .unwrap()
            .flatten_all()
            .unwrap()
            .to_vec1()
            .unwrap()
    };
    lbfgs
        .state()
        .unwrap()
        .into_iter()
        .map(|(key, tensor)| (key, flat(tensor)))
        .collect()
}

#[test]
fn options_and_states_that_make_no_sense_are_refused() {
    for (config, part) in [
        (json!({"learning_rate": 1}), "'learning_rate'"),
        (json!({"lr": -1}), "-1"),
        (json!({"max_iter": 0}), "max_iter"),
        (json!({"history_size": 0}), "history_size"),
        (json!({"line_search_fn": "armijo"}), "strong_wolfe"),
        (json!({"tolerance_grad": -1.0}), "tolerance_grad"),
        (json!([]), "a JSON object"),
    ] {
        let error = Lbfgs::from_config(&config).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
    assert!(matches!(Optimizer::by_name("lbfgs"), Err(Error::NeedsClosure { .. })));
    assert!(matches!(
        Optimizer::by_name("torch.optim.LBFGS"),
        Err(Error::NeedsClosure { .. })
    ));

    let vars = start();
    let mut lbfgs = Lbfgs::from_config(&json!({"lr": 1e-3})).unwrap();
    step(&mut lbfgs, &vars).unwrap();
    let state = lbfgs.state().unwrap();
    for index in 0..state.len() {
        let mut less = state.clone();
        let (key, _) = less.remove(index);
        let error = Lbfgs::default().load_state(&less).unwrap_err().to_string();
        assert!(error.contains(&key) || key.ends_with("/direction"), "{key}: {error}");
        let mut other = state.clone();
        other[index].1 = Tensor::new(&[[[1.0_f32]]], &Device::Cpu).unwrap();
        assert!(Lbfgs::default().load_state(&other).is_err(), "{key}");
    }
    let mut more = state.clone();
    more.push(("x/momentum".to_owned(), Tensor::new(1.0, &Device::Cpu).unwrap()));
    assert!(matches!(
        Lbfgs::default().load_state(&more),
        Err(Error::StateUnexpected { .. })
    ));
}
