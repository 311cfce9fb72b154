//! L-BFGS: no gradients are given, but the loss that they come from.

use std::path::Path;

use candle_core::{Device, Tensor, Var, safetensors};
use optimizers::Lbfgs;
use serde_json::Value;

use crate::{Outcome, TOLERANCE, Tensors, Worst, deviation_at, flat, numbers, variables};

type Failure = Box<dyn std::error::Error>;

pub(crate) fn follow(file: &Path, case: &Value) -> Result<Outcome, Failure> {
    let tensors = Tensors(safetensors::load(file, &Device::Cpu)?.into_iter().collect());
    let vars = variables(case, &tensors)?;
    let named: Vec<(&str, &Var)> = vars.iter().map(|(name, var)| (*name, var)).collect();
    let matrix = tensors.get(case["closure_tensors"]["A"].as_str().ok_or("no A")?)?;
    let target = tensors.get(case["closure_tensors"]["b"].as_str().ok_or("no b")?)?;
    let mut lbfgs = Lbfgs::from_config(&case["config"])?;
    let (written, given) = (lbfgs.config(), &case["config"]);
    for (key, value) in given.as_object().ok_or("no configuration")? {
        if value.is_number() && value.as_f64() != written[key].as_f64() || !value.is_number() && *value != written[key]
        {
            return Ok(Err(format!("{key} is written as {}, but was {value}", written[key])));
        }
    }
    let steps = case["steps"].as_u64().ok_or("no steps")? as usize;
    let mut worst = Worst::default();
    let mut own_error: f64 = 0.0;
    for step in 0..steps {
        let mut losses = Vec::new();
        let first = lbfgs.step(&named, || -> Result<_, Failure> {
            let flat = vars
                .iter()
                .map(|(_, var)| var.flatten_all())
                .collect::<Result<Vec<_>, _>>()?;
            let x = Tensor::cat(&flat, 0)?;
            let product = matrix.matmul(&x.unsqueeze(1)?)?.squeeze(1)?;
            let loss = ((&x * product)?.sum_all()?.affine(0.5, 0.0)? - (&x * target)?.sum_all()?)?;
            let value = f64::from(loss.to_scalar::<f32>()?);
            losses.push(value);
            Ok((value, loss.backward()?))
        })?;
        let expected = numbers(&case["loss_of_every_closure_call"][step]);
        if losses.len() != expected.len() || losses.first() != Some(&first) {
            return Ok(Err(format!(
                "step {} measured the loss {} times",
                step + 1,
                losses.len()
            )));
        }
        // PyTorch's own distance to the same steps in double precision is no fault of ours.
        let differences = numbers(&case["max_abs_difference_to_a_float64_run"]);
        for (index, (name, var)) in vars.iter().enumerate() {
            let trace = tensors.get(&format!("var{index}/params"))?;
            let most = flat(trace)
                .iter()
                .fold(f64::MIN_POSITIVE, |most, value| most.max(value.abs()));
            own_error = own_error.max(differences.get(step).copied().unwrap_or(0.0) / most);
            worst.note(deviation_at(trace, step, var)?, || {
                format!("{name} after step {}", step + 1)
            });
        }
    }
    for (field, found) in [("func_evals", lbfgs.evaluations()), ("n_iter", lbfgs.iterations())] {
        if case[field].as_u64().is_some_and(|expected| expected != found) {
            return Ok(Err(format!("{field} is {found}, but was {}", case[field])));
        }
    }
    Ok(worst.within(TOLERANCE + own_error, file))
}
