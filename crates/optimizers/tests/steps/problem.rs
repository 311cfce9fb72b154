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

/// Steps `from..to` of the same long training.
pub(crate) fn train(optimizer: &mut Optimizer, variables: &[(&str, Var)], from: u64, to: u64) -> Result<()> {
    for step in from..to {
        let gradients: Vec<Tensor> = variables
            .iter()
            .enumerate()
            .map(|(index, (_, var))| tensor(1000 + step * 16 + index as u64, var.dims(), var.dtype()))
            .collect();
        let parameters: Vec<Parameter<'_>> = variables
            .iter()
            .zip(&gradients)
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

/// Configurations that reach every rule: each named optimizer, its options, and the base options.
pub(crate) fn configurations() -> Vec<(&'static str, serde_json::Value)> {
    let mut all: Vec<(&str, serde_json::Value)> = optimizers::catalogue()
        .iter()
        .map(|info| (info.name, serde_json::json!({"learning_rate": 0.05})))
        .collect();
    let more = serde_json::json!([
        ["SGD", {"momentum": 0.8, "nesterov": true, "clipnorm": 0.5}],
        ["SGD", {"weight_decay": 0.1, "clipvalue": 0.2, "exclude_from_weight_decay": ["bias"]}],
        ["RMSprop", {"momentum": 0.5}],
        ["RMSprop", {"centered": true}],
        ["RMSprop", {"momentum": 0.5, "centered": true, "loss_scale_factor": 4.0}],
        ["Adam", {"amsgrad": true, "global_clipnorm": 1.0}],
        ["Adam", {"use_ema": true, "ema_momentum": 0.7, "ema_overwrite_frequency": 4}],
        ["Nadam", {"gradient_accumulation_steps": 3, "clipnorm": 0.3}],
        ["Adafactor", {"weight_decay": 0.1, "clipvalue": 0.3, "gradient_accumulation_steps": 2}],
        ["Lamb", {"weight_decay": 0.1, "global_clipnorm": 0.7}],
        ["Ftrl", {"learning_rate_power": -0.7, "l1_regularization_strength": 0.1, "beta": 0.2, "learning_rate": 0.1}],
        ["Lion", {"learning_rate": {"class_name": "CosineDecay", "config": {"initial_learning_rate": 0.1, "decay_steps": 9}}}]
    ]);
    let class = |name: &str| {
        optimizers::catalogue()
            .iter()
            .find(|info| info.keras_class == name)
            .map(|info| info.keras_class)
    };
    for case in more.as_array().unwrap() {
        all.push((class(case[0].as_str().unwrap()).unwrap(), case[1].clone()));
    }
    all
}
