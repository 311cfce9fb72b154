//! The optimizer's own state after the last step, slot by slot.

use std::collections::{BTreeMap, BTreeSet};

use candle_core::{Tensor, Var};
use optimizers::Optimizer;
use serde_json::Value;

use crate::{Tensors, Worst, deviation, flat};

/// Slots of ours that the frameworks compute from others when they are asked for.
const OURS: [&str; 1] = ["x"];
/// Numbers that make up the state of an authors' package, but are kept in other places there.
const NUMBERS_OF_OURS: [&str; 6] = [
    "weight_sum",
    "lr_max",
    "weight_share",
    "d_before",
    "d_max",
    "d_numerator",
];

/// Compares every slot that the case lists; every slot of ours must be in the list.
pub(crate) fn compare(
    optimizer: &Optimizer,
    case: &Value,
    tensors: &Tensors,
    vars: &[(&str, Var)],
    worst: &mut Worst,
) -> Result<(), String> {
    let state = optimizer.state().map_err(|error| error.to_string())?;
    let ours: BTreeMap<String, Tensor> = state.into_iter().collect();
    let mut used: BTreeSet<String> = BTreeSet::new();
    let Some(listed) = case["slots_after_last_step"].as_array() else {
        return Ok(());
    };
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for slot in listed {
        let (key, name) = (text(slot, "key")?, text(slot, "name")?);
        let expected = tensors.get(key)?;
        let count = seen.entry(name.to_owned()).or_default();
        *count += 1;
        let place = match slot["variable"].as_u64() {
            Some(variable) => torch(vars[variable as usize].0, name, &ours),
            None => keras(case, slot, expected, vars, *count)?,
        };
        match place {
            Place::Rate if (optimizer.learning_rate() - flat(expected)[0]).abs() > 1e-6 * flat(expected)[0].abs() => {
                return Err(format!(
                    "{key} is {}, but the rate is {}",
                    flat(expected)[0],
                    optimizer.learning_rate()
                ));
            }
            Place::Rate | Place::Unused => {}
            Place::Ours(name) => {
                let found = ours
                    .get(&name)
                    .ok_or_else(|| format!("there is no state {name} for {key}"))?;
                worst.note(deviation(&flat(found), &flat(expected)), || format!("{key} ({name})"));
                used.insert(name);
            }
        }
    }
    let forgotten = ours.keys().find(|name| {
        let last = name.rsplit_once('/').map_or(name.as_str(), |(_, last)| last);
        let counter = last.ends_with("iterations");
        let known = OURS.contains(&last) || NUMBERS_OF_OURS.contains(&last);
        !listed.is_empty() && !used.contains(*name) && !counter && !known
    });
    match forgotten {
        Some(name) => Err(format!("the case has no slot for our state {name}")),
        None => Ok(()),
    }
}

enum Place {
    /// A state of ours.
    Ours(String),
    /// The learning rate.
    Rate,
    /// What the framework has and does not use.
    Unused,
}

fn text<'v>(slot: &'v Value, field: &str) -> Result<&'v str, String> {
    slot[field].as_str().ok_or_else(|| format!("a slot without {field}"))
}

fn torch(path: &str, name: &str, ours: &BTreeMap<String, Tensor>) -> Place {
    match name {
        "step" => Place::Ours("iterations".to_owned()),
        // PyTorch keeps some numbers for each parameter; they are the same for all.
        number if ours.contains_key(number) => Place::Ours(number.to_owned()),
        _ => Place::Ours(format!("{path}/{name}")),
    }
}

fn keras(case: &Value, slot: &Value, expected: &Tensor, vars: &[(&str, Var)], count: usize) -> Result<Place, String> {
    let (path, name) = (text(slot, "path")?, text(slot, "name")?);
    let outer = case["config"]["name"].as_str().unwrap_or_default();
    let outermost = path.split('/').next() == Some(outer);
    let wrapper = ["LossScaleOptimizer", "MultiOptimizer"].contains(&case["class"].as_str().unwrap_or_default());
    Ok(match name {
        // Keras' loss-scale optimizer has a counter that it does not count with, and both wrappers a rate that nobody reads.
        "iteration" if case["class"] == "LossScaleOptimizer" && outermost => Place::Unused,
        "learning_rate" if wrapper && (outermost || case["class"] == "MultiOptimizer") => Place::Unused,
        "iteration" if expected.elem_count() == 1 => match case["config"]["gradient_accumulation_steps"].as_u64() {
            // Ours counts the calls of `apply`.
            Some(_) => Place::Unused,
            None => Place::Ours("iterations".to_owned()),
        },
        "learning_rate" => Place::Rate,
        "step_counter" | "dynamic_scale" => Place::Ours(name.to_owned()),
        // Keras has no better name for the product, and numbers the later ones.
        product if product.split('_').next() == Some("variable") => Place::Ours("u_product".to_owned()),
        _ => {
            // Adafactor's row and column are both named after the variable.
            if let Some((path, var)) = vars.iter().find(|(path, _)| *path == name) {
                let slot = if count == 1 { "row" } else { "column" };
                return Ok(match var.rank() {
                    0 | 1 => Place::Unused,
                    _ => Place::Ours(format!("{path}/{slot}")),
                });
            }
            let owner = vars.iter().filter(|(path, _)| name.starts_with(&format!("{path}_")));
            let (path, var) = owner
                .max_by_key(|(path, _)| path.len())
                .ok_or_else(|| format!("nobody owns the slot {name}"))?;
            let slot = &name[path.len() + 1..];
            match (case["class"].as_str(), slot) {
                (Some("Adafactor"), "velocity") if var.rank() > 1 => Place::Unused,
                _ => Place::Ours(format!("{path}/{slot}")),
            }
        }
    })
}
