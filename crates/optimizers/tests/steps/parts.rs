//! Parameter groups, several optimizers in one, averages, and optimizers made of transformations.

use candle_core::{DType, Device, Tensor, Var};
use optimizers::transformations::{AddDecayedWeights, ScaleByAdam, ScaleByLearningRate, ScaleByLion, Trace};
use optimizers::{Chain, Error, Group, Lion, Optimizer, OptimizerBuilder, Transformation};
use serde_json::json;

use crate::problem::{all_values, train, values, variables};

fn named<'v>(variables: &'v [(&'static str, Var)]) -> Vec<(&'v str, &'v Var)> {
    variables.iter().map(|(path, var)| (*path, var)).collect()
}

/// What an optimizer makes of the parameters in three steps.
fn trained(mut optimizer: Optimizer) -> Vec<Vec<f64>> {
    let variables = variables(DType::F32);
    train(&mut optimizer, &variables, 0, 3).unwrap();
    variables.iter().map(|(_, var)| values(var)).collect()
}

fn builder(rate: f64, decay: f64) -> OptimizerBuilder {
    Optimizer::builder("adam")
        .unwrap()
        .learning_rate(rate)
        .weight_decay(decay)
}

#[test]
fn a_group_has_its_own_rate_and_decay_and_may_be_frozen() {
    let grouped = builder(0.1, 0.2)
        .group(Group::matching("dense/kernel").learning_rate(0.3))
        .group(Group::matching(".*/bias").weight_decay(0.0))
        .group(Group::matching("conv2d/.*").learning_rate_factor(0.5).weight_decay(0.4))
        .group(Group::matching("scale").frozen());
    let found = trained(grouped.build().unwrap());
    let alone = |rate, decay, index: usize| trained(builder(rate, decay).build().unwrap())[index].clone();
    assert_eq!(found[0], alone(0.3, 0.2, 0));
    assert_eq!(found[1], alone(0.1, 0.0, 1));
    assert_eq!(found[2], alone(0.05, 0.4, 2));
    assert_eq!(found[3], values(&variables(DType::F32)[3].1));
}

/// As in Keras: `dense` is a layer's name and `e` a letter of it, neither of which excludes its bias; `^bia` does.
#[test]
fn exclusion_from_decay_looks_at_the_name_of_a_weight() {
    let excluding = |pattern: &str| trained(builder(0.1, 0.2).exclude_from_weight_decay([pattern]).build().unwrap());
    let (decayed, free) = (
        trained(builder(0.1, 0.2).build().unwrap()),
        trained(builder(0.1, 0.0).build().unwrap()),
    );
    assert_eq!(excluding("dense"), decayed);
    assert_eq!(excluding("dense/bias"), decayed);
    let found = excluding("^bia");
    assert_eq!((&found[0], &found[1]), (&decayed[0], &free[1]));
    // Both kernels, and the scale.
    let found = excluding("e");
    assert_eq!((&found[0], &found[1], &found[2]), (&free[0], &decayed[1], &free[2]));
}

#[test]
fn what_an_optimizer_is_not_made_for_goes_to_its_companion() {
    let variables = variables(DType::F32);
    let weights = || variables.iter().map(|(path, var)| (*path, var.dims()));
    let builder = || {
        Optimizer::builder("torch_muon")
            .unwrap()
            .learning_rate(0.05)
            .clipnorm(0.5)
    };
    let trained_all = |mut optimizer: Optimizer| {
        let variables = crate::problem::variables(DType::F32);
        crate::problem::train_all(&mut optimizer, &variables, 0, 3).unwrap();
        (
            variables.iter().map(|(_, var)| values(var)).collect::<Vec<_>>(),
            optimizer,
        )
    };
    let (found, both) = trained_all(builder().build_for(weights()).unwrap());
    let muon = trained(builder().build().unwrap());
    let adamw = trained(
        Optimizer::builder("torch_adamw")
            .unwrap()
            .learning_rate(0.05)
            .clipnorm(0.5)
            .build()
            .unwrap(),
    );
    for (index, (path, var)) in variables.iter().enumerate() {
        let expected = if var.rank() == 2 { &muon } else { &adamw };
        assert_eq!(found[index], expected[index], "{path}");
    }
    assert_eq!((both.name(), both.class()), ("torch_muon", "MultiOptimizer"));
    // It is written and read as a whole.
    let read = Optimizer::from_config(both.class(), &both.config()).unwrap();
    assert_eq!((read.name(), read.config()), (both.name(), both.config()));
    assert_eq!(trained_all(read).0, found);
    // Decay that was chosen holds for both, and so does a loss scale for the whole.
    let chosen = builder()
        .weight_decay(0.3)
        .loss_scale_factor(4.0)
        .build_for(weights())
        .unwrap();
    assert!(chosen.parts().all(|part| part.options().weight_decay == Some(0.3)));
    assert_eq!(chosen.loss_scale(), 4.0);
    // Where all is accepted, nothing is wrapped.
    let only = builder().build_for([("dense/kernel", [3, 4].as_slice())]).unwrap();
    assert_eq!(only.class(), "torch.optim.Muon");
    let adam = Optimizer::builder("adam").unwrap().build_for(weights()).unwrap();
    assert_eq!(adam.class(), "Adam");
    let clipped = Optimizer::builder("torch_muon").unwrap().global_clipnorm(1.0);
    let error = clipped.build_for(weights()).unwrap_err();
    assert!(
        matches!(error, Error::InvalidOption { ref option, .. } if option == "global_clipnorm"),
        "{error}"
    );
}

#[test]
fn a_frozen_parameter_has_no_state_and_no_share_in_the_global_norm() {
    let clipped = |optimizer: OptimizerBuilder| optimizer.global_clipnorm(0.1).build().unwrap();
    let frozen = clipped(builder(0.1, 0.0).group(Group::matching("(?:conv2d|dense)/.*").frozen()));
    let variables = variables(DType::F32);
    let mut frozen_too = frozen.clone();
    train(&mut frozen_too, &variables, 0, 3).unwrap();
    assert_eq!(frozen_too.state_bytes(), 2 * 4);
    let mut alone = clipped(builder(0.1, 0.0));
    let only = crate::problem::variables(DType::F32);
    for step in 0..3 {
        // The gradient that `train` gives to the fourth parameter.
        let gradient = crate::problem::tensor(1000 + step * 16 + 3, &[], DType::F32);
        let (path, var) = &only[3];
        alone
            .apply(&[optimizers::Parameter {
                path,
                var,
                gradient: &gradient,
            }])
            .unwrap();
    }
    assert_eq!(values(&variables[3].1), values(&only[3].1));
}

#[test]
fn groups_come_back_from_the_configuration() {
    let made = builder(0.1, 0.2)
        .group(Group::matching("a/.*").learning_rate(optimizers::schedules::CosineDecay::default()))
        .group(Group::matching("b").learning_rate_factor(2.0).frozen())
        .build()
        .unwrap();
    let read = Optimizer::from_config("Adam", &made.config()).unwrap();
    assert_eq!(read.options(), made.options());
    for (groups, part) in [
        (json!([{"learning_rate": 1.0}]), "'pattern'"),
        (json!([{"pattern": "("}]), "regular expression"),
        (
            json!([{"pattern": "a", "learning_rate_factor": -1.0}]),
            "learning_rate_factor",
        ),
        (json!([{"pattern": "a", "rate": 1.0}]), "'rate'"),
        (json!({"pattern": "a"}), "list"),
    ] {
        let error = Optimizer::from_config("Adam", &json!({"groups": groups}))
            .unwrap_err()
            .to_string();
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn several_optimizers_walk_as_each_alone() {
    let sgd = || {
        Optimizer::builder("sgd_momentum")
            .unwrap()
            .learning_rate(0.1)
            .build()
            .unwrap()
    };
    let adam = || Optimizer::by_name("adam").unwrap();
    let multi = || Optimizer::multi([("dense/.*", sgd())], adam()).unwrap();
    let (found, first, second) = (trained(multi()), trained(sgd()), trained(adam()));
    assert_eq!(found[..2], first[..2]);
    assert_eq!(found[2..], second[2..]);

    let read = Optimizer::from_config("MultiOptimizer", &multi().config()).unwrap();
    assert_eq!(trained(read), found);
    let both = Optimizer::multi([("dense/.*", sgd()), (".*/bias", adam())], adam()).unwrap();
    let variables = variables(DType::F32);
    let (mut both, before) = (both, all_values(&variables));
    let error = train(&mut both, &variables, 0, 1).unwrap_err();
    assert!(
        matches!(&error, Error::AmbiguousOptimizer { path, .. } if path == "dense/bias"),
        "{error}"
    );
    assert_eq!(all_values(&variables), before);
    assert!(Optimizer::multi([("a", multi())], adam()).is_err());
    assert!(multi().set_learning_rate(0.1).is_err());
}

#[test]
fn a_fault_in_the_second_part_touches_no_parameter_of_the_first() {
    let variables = variables(DType::F32);
    let adam = || Optimizer::by_name("adam").unwrap();
    let mut multi = Optimizer::multi([("dense/.*", adam())], adam()).unwrap();
    let before = all_values(&variables);
    let good: Vec<Tensor> = variables.iter().map(|(_, var)| var.ones_like().unwrap()).collect();
    let bad = Tensor::new(f32::NAN, &Device::Cpu).unwrap();
    let mut parameters: Vec<optimizers::Parameter<'_>> = variables
        .iter()
        .zip(&good)
        .map(|((path, var), gradient)| optimizers::Parameter { path, var, gradient })
        .collect();
    parameters.last_mut().unwrap().gradient = &bad;
    assert!(matches!(multi.apply(&parameters), Err(Error::NonFiniteGradient { path }) if path == "scale"));
    assert_eq!(all_values(&variables), before);
    assert_eq!(multi.iterations(), 0);
}

#[test]
fn a_dynamic_loss_scale_leaves_out_a_step_and_halves() {
    let config = json!({"inner_optimizer": {"class_name": "SGD", "config": {"learning_rate": 1.0}}, "initial_scale": 8.0,
        "dynamic_growth_steps": 2});
    let mut optimizer = Optimizer::from_config("LossScaleOptimizer", &config).unwrap();
    let var = Var::new(0.0_f64, &Device::Cpu).unwrap();
    let mut step = |gradient: f64| {
        let gradient = Tensor::new(gradient, &Device::Cpu).unwrap();
        let parameter = optimizers::Parameter {
            path: "w",
            var: &var,
            gradient: &gradient,
        };
        optimizer.apply(&[parameter]).unwrap();
        (values(&var)[0], optimizer.loss_scale(), optimizer.iterations())
    };
    assert_eq!(step(8.0), (-1.0, 8.0, 1));
    assert_eq!(step(f64::INFINITY), (-1.0, 4.0, 1));
    assert_eq!(step(4.0), (-2.0, 4.0, 2));
    assert_eq!(step(4.0), (-3.0, 8.0, 3));
    assert_eq!(step(f64::NAN), (-3.0, 4.0, 3));
}

#[test]
fn averages_change_places_and_come_back_to_the_bit() {
    for (class, config) in [
        ("ScheduleFreeAdamW", json!({"learning_rate": 0.1})),
        ("ScheduleFreeSGD", json!({"learning_rate": 0.1})),
        ("torch.optim.ASGD", json!({"lr": 0.1, "t0": 2})),
        ("Adam", json!({"use_ema": true})),
        ("ScheduleFreeSGD", json!({"learning_rate": 0.1, "use_ema": true})),
    ] {
        let variables = variables(DType::F32);
        let mut optimizer = Optimizer::from_config(class, &config).unwrap();
        assert!(optimizer.has_averages());
        let missing = optimizer.exchange_averages(&named(&variables));
        assert!(matches!(missing, Err(Error::StateMissing { .. })), "{class}");
        train(&mut optimizer, &variables, 0, 5).unwrap();
        let trained = all_values(&variables);
        optimizer.exchange_averages(&named(&variables)).unwrap();
        let averaged = all_values(&variables);
        assert_ne!(averaged, trained, "{class}");
        optimizer.exchange_averages(&named(&variables)).unwrap();
        assert_eq!(all_values(&variables), trained, "{class}");
        optimizer.finalize_variable_values(&named(&variables)).unwrap();
        assert_eq!(all_values(&variables), averaged, "{class}");
    }
    assert!(!Optimizer::by_name("adam").unwrap().has_averages());
}

#[test]
fn a_schedule_free_mean_is_the_mean_of_all_places() {
    // On a straight slope z walks 1, 2, 3, ... steps down, so that its mean is known.
    let var = Var::new(0.0_f64, &Device::Cpu).unwrap();
    let builder = Optimizer::builder("schedule_free_sgd").unwrap().learning_rate(0.5);
    let mut optimizer = builder.build().unwrap();
    let gradient = Tensor::new(1.0_f64, &Device::Cpu).unwrap();
    for _ in 0..4 {
        let parameter = optimizers::Parameter {
            path: "w",
            var: &var,
            gradient: &gradient,
        };
        optimizer.apply(&[parameter]).unwrap();
    }
    let mean = -0.5 * (1.0 + 2.0 + 3.0 + 4.0) / 4.0;
    assert!((values(&var)[0] - (0.1 * -2.0 + 0.9 * mean)).abs() < 1e-15);
    optimizer.finalize_variable_values(&[("w", &var)]).unwrap();
    assert!((values(&var)[0] - mean).abs() < 1e-15);
}

fn chained<T: Transformation, const K: usize>(chain: T) -> Vec<Vec<f64>> {
    let builder = OptimizerBuilder::new(Chain::<T, K>::new("chain", chain));
    trained(builder.learning_rate(0.1).weight_decay(0.3).build().unwrap())
}

#[test]
fn chains_are_the_named_optimizers() {
    let named = |class, config| trained(Optimizer::from_config(class, &config).unwrap());
    let adam = (ScaleByAdam::default(), ScaleByLearningRate);
    // A chain decays as Keras does, whose share is rounded in another place.
    let expected = named("torch.optim.AdamW", json!({"lr": 0.1, "weight_decay": 0.3}));
    for (found, expected) in chained::<_, 2>(adam).iter().flatten().zip(expected.iter().flatten()) {
        assert!((found - expected).abs() < 1e-6);
    }
    let trace = Trace {
        momentum: 0.8,
        ..Trace::default()
    };
    let penalty = AddDecayedWeights {
        weight_decay: Some(0.2),
    };
    let chain = Chain::<_, 1>::new("chain", (penalty, trace, ScaleByLearningRate));
    let built = OptimizerBuilder::new(chain).learning_rate(0.1).build().unwrap();
    let expected = named(
        "torch.optim.SGD",
        json!({"lr": 0.1, "momentum": 0.8, "weight_decay": 0.2}),
    );
    assert_eq!(trained(built), expected);
    let lion = (ScaleByLion::default(), ScaleByLearningRate);
    let expected = trained(
        OptimizerBuilder::new(Lion::default())
            .learning_rate(0.1)
            .weight_decay(0.3)
            .build()
            .unwrap(),
    );
    for (found, expected) in chained::<_, 1>(lion).iter().flatten().zip(expected.iter().flatten()) {
        assert!((found - expected).abs() < 1e-6);
    }
}

#[test]
fn a_chain_whose_stages_share_a_name_is_refused() {
    let chain = Chain::<_, 2>::new("twice", (Trace::default(), Trace::default(), ScaleByLearningRate));
    let error = OptimizerBuilder::new(chain).build().unwrap_err().to_string();
    assert!(error.contains("'momentum_buffer'"), "{error}");
    let wrong = Trace {
        momentum: 2.0,
        ..Trace::default()
    };
    let chain = Chain::<_, 1>::new("wrong", (wrong, ScaleByLearningRate));
    assert!(
        OptimizerBuilder::new(chain)
            .build()
            .unwrap_err()
            .to_string()
            .contains("momentum")
    );
}
