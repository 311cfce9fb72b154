//! A small network's worth of parameters with gradients that look random and are not.

use candle_core::{DType, Device, Tensor, Var};
use optimizers::{Optimizer, Parameter, Result};

/// Parameters of several ranks.
pub(crate) const SHAPES: [(&str, &[usize]); 4] = [
    ("dense/kernel", &[7, 5]),
    ("dense/bias", &[5]),
    ("conv2d/kernel", &[3, 2, 4, 3]),
    ("scale", &[]),
];

/// A number in -1..1 from an index: SplitMix64.
pub(crate) fn noise(index: u64) -> f64 {
    let mut z = index.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (z ^ (z >> 31)) as f64 / u64::MAX as f64 * 2.0 - 1.0
}

pub(crate) fn tensor(key: u64, shape: &[usize], dtype: DType) -> Tensor {
    let count = shape.iter().product::<usize>() as u64;
    let values: Vec<f64> = (0..count).map(|index| noise(key * 1_000_003 + index)).collect();
    Tensor::from_vec(values, shape, &Device::Cpu)
        .unwrap()
        .to_dtype(dtype)
        .unwrap()
}

pub(crate) fn variables(dtype: DType) -> Vec<(&'static str, Var)> {
    let make = |(key, (path, shape)): (usize, (&'static str, &'static [usize]))| {
        (path, Var::from_tensor(&tensor(key as u64, shape, dtype)).unwrap())
    };
    SHAPES.into_iter().enumerate().map(make).collect()
}

/// Whether an optimizer can update a tensor of this rank at all; PyTorch's Muon takes matrices only.
pub(crate) fn takes(optimizer: &Optimizer, rank: usize) -> bool {
    optimizer.class() != "torch.optim.Muon" || rank == 2
}

/// Steps `from..to` of the same long training, of what the optimizer can update.
pub(crate) fn train(optimizer: &mut Optimizer, variables: &[(&str, Var)], from: u64, to: u64) -> Result<()> {
    train_those(optimizer, variables, from, to, takes)
}

/// The same, of all parameters.
pub(crate) fn train_all(optimizer: &mut Optimizer, variables: &[(&str, Var)], from: u64, to: u64) -> Result<()> {
    train_those(optimizer, variables, from, to, |_, _| true)
}

fn train_those(
    optimizer: &mut Optimizer,
    variables: &[(&str, Var)],
    from: u64,
    to: u64,
    takes: impl Fn(&Optimizer, usize) -> bool,
) -> Result<()> {
    for step in from..to {
        let gradients: Vec<Tensor> = variables
            .iter()
            .enumerate()
            .map(|(index, (_, var))| tensor(1000 + step * 16 + index as u64, var.dims(), var.dtype()))
            .collect();
        let parameters: Vec<Parameter<'_>> = variables
            .iter()
            .zip(&gradients)
            .filter(|((_, var), _)| takes(optimizer, var.rank()))
            .map(|((path, var), gradient)| Parameter { path, var, gradient })
            .collect();
        optimizer.apply(&parameters)?;
    }
    Ok(())
}

pub(crate) fn values(tensor: &Tensor) -> Vec<f64> {
    tensor
        .to_dtype(DType::F64)
        .unwrap()
        .flatten_all()
        .unwrap()
        .to_vec1()
        .unwrap()
}

pub(crate) fn all_values(variables: &[(&str, Var)]) -> Vec<f64> {
    variables.iter().flat_map(|(_, var)| values(var)).collect()
}

/// The options of the base class, each in use.
fn base_options() -> [serde_json::Value; 10] {
    use serde_json::json;
    let cosine = json!({"class_name": "CosineDecay", "config": {"initial_learning_rate": 0.1, "decay_steps": 9}});
    [
        json!({"learning_rate": 0.05}),
        json!({"learning_rate": 0.05, "clipnorm": 0.5}),
        json!({"learning_rate": 0.05, "global_clipnorm": 0.7, "weight_decay": 0.1}),
        json!({"learning_rate": 0.05, "clipvalue": 0.2, "loss_scale_factor": 4.0}),
        json!({"learning_rate": 0.05, "weight_decay": 0.1, "exclude_from_weight_decay": ["bias", "^scale$"]}),
        json!({"learning_rate": 0.05, "use_ema": true, "ema_momentum": 0.7, "ema_overwrite_frequency": 4}),
        json!({"learning_rate": 0.05, "gradient_accumulation_steps": 3, "clipnorm": 0.3, "use_ema": true}),
        json!({"learning_rate": 0.05, "gradient_accumulation_steps": 2, "clipvalue": 0.3, "weight_decay": 0.1}),
        json!({"learning_rate": cosine, "maximize": true}),
        json!({"learning_rate": 0.05, "weight_decay": 0.1, "groups": [
            {"pattern": ".*/bias", "learning_rate": 0.1, "weight_decay": 0.0},
            {"pattern": "conv2d/.*", "learning_rate_factor": 0.5},
            {"pattern": "scale", "frozen": true},
        ]}),
    ]
}

/// Every optimizer with every option of the base class, and with every option of its own.
pub(crate) fn configurations() -> Vec<(&'static str, serde_json::Value)> {
    let mut all: Vec<(&str, serde_json::Value)> = Vec::new();
    for info in optimizers::catalogue() {
        all.extend(base_options().into_iter().map(|options| (info.name, options)));
    }
    let adam = serde_json::json!({"class_name": "Adam", "config": {"learning_rate": 0.05, "clipnorm": 0.5}});
    let nadam = serde_json::json!({"class_name": "Nadam", "config": {"use_ema": true}});
    let more = serde_json::json!([
        ["SGD", {"momentum": 0.8, "nesterov": true, "clipnorm": 0.5}],
        ["RMSprop", {"momentum": 0.5}],
        ["RMSprop", {"centered": true}],
        ["RMSprop", {"momentum": 0.5, "centered": true, "loss_scale_factor": 4.0}],
        ["Adam", {"amsgrad": true, "global_clipnorm": 1.0}],
        ["Ftrl", {"learning_rate_power": -0.7, "l1_regularization_strength": 0.1, "beta": 0.2, "learning_rate": 0.1}],
        ["Muon", {"rms_rate": null, "nesterov": false, "exclude_layers": ["dense"], "adam_weight_decay": null}],
        ["ScheduleFreeAdamW", {"warmup_steps": 4, "learning_rate": 0.05, "weight_decay": 0.1}],
        ["ScheduleFreeSGD", {"warmup_steps": 4, "r": 1.0, "learning_rate": 0.05}],
        ["Prodigy", {"use_bias_correction": true, "d0": 1e-3, "growth_rate": 1.5, "weight_decay": 0.1}],
        ["Prodigy", {"safeguard_warmup": true, "decouple": false, "d0": 1e-2, "beta_3": 0.8, "weight_decay": 0.1}],
        ["SOAP", {"precondition_frequency": 2, "shampoo_beta": 0.7, "max_precond_dim": 6}],
        ["torch.optim.SGD", {"momentum": 0.8, "dampening": 0.2, "weight_decay": 0.1}],
        ["torch.optim.SGD", {"momentum": 0.8, "nesterov": true}],
        ["torch.optim.RMSprop", {"momentum": 0.5, "weight_decay": 0.1}],
        ["torch.optim.RMSprop", {"centered": true}],
        ["torch.optim.RMSprop", {"centered": true, "momentum": 0.5}],
        ["torch.optim.Adam", {"amsgrad": true, "weight_decay": 0.1}],
        ["torch.optim.Adam", {"decoupled_weight_decay": true, "weight_decay": 0.1}],
        ["torch.optim.RAdam", {"betas": [0.8, 0.9], "weight_decay": 0.1}],
        ["torch.optim.NAdam", {"momentum_decay": 0.5, "weight_decay": 0.1}],
        ["torch.optim.ASGD", {"t0": 3, "lambd": 0.1, "weight_decay": 0.1}],
        ["torch.optim.Adagrad", {"lr_decay": 0.1, "initial_accumulator_value": 0.1}],
        ["torch.optim.Adafactor", {"eps": [1e-6, 1e-2], "d": 1.5, "weight_decay": 0.1}],
        ["torch.optim.Muon", {"adjust_lr_fn": "match_rms_adamw", "nesterov": false}],
        ["torch.optim.Muon", {"adjust_lr_fn": "spectral_unclamped", "ns_steps": 3}],
        ["LossScaleOptimizer", {"inner_optimizer": adam, "initial_scale": 4.0, "dynamic_growth_steps": 3}],
        ["MultiOptimizer", {"optimizer_map": {"class_name": "OptimizerMap", "config": {
            "default_optimizer": adam, "optimizer_map": {"dense/.*": nadam}
        }}, "loss_scale_factor": 2.0}]
    ]);
    for case in more.as_array().unwrap() {
        let class: &'static str = Box::leak(case[0].as_str().unwrap().to_owned().into_boxed_str());
        all.push((class, case[1].clone()));
    }
    all
}
