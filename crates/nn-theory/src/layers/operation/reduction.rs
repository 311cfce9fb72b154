//! Operations that make one value of all values along axes.

use super::call::{Call, Outputs};
use crate::{Shape, error::Problem};
use serde_json::Value;

const REDUCTIONS: &[&str] = &[
    "All",
    "Amax",
    "Amin",
    "Any",
    "Argmax",
    "Argmin",
    "Average",
    "CountNonzero",
    "Logsumexp",
    "Max",
    "Mean",
    "Median",
    "Min",
    "Nanargmax",
    "Nanargmin",
    "Nanmax",
    "Nanmean",
    "Nanmedian",
    "Nanmin",
    "Nanprod",
    "Nanstd",
    "Nansum",
    "Nanvar",
    "Norm",
    "Prod",
    "Ptp",
    "Std",
    "Sum",
    "Var",
];

/// The axes that a key names; all when it names none.
fn axes(call: &Call<'_>, key: &str, shape: &Shape) -> Result<Vec<usize>, Problem> {
    match call.value::<Vec<i64>>(key)? {
        None => Ok((0..shape.rank()).collect()),
        Some(axes) => axes.into_iter().map(|axis| call.axis_in(key, axis, shape)).collect(),
    }
}

fn reduced(call: &Call<'_>, key: &str, shape: &Shape) -> Result<Shape, Problem> {
    let axes = axes(call, key, shape)?;
    let keep = call.config.get("keepdims").and_then(Value::as_bool).unwrap_or(false);
    let dims = shape.0.iter().enumerate();
    let dims = dims.filter_map(|(axis, dim)| match (axes.contains(&axis), keep) {
        (true, true) => Some(Some(1)),
        (true, false) => None,
        (false, _) => Some(*dim),
    });
    Ok(Shape(dims.collect()))
}

pub(super) fn outputs(call: &Call<'_>) -> Outputs {
    Ok(Some(match call.class {
        class if REDUCTIONS.contains(&class) => vec![reduced(call, "axis", &call.operand(0)?)?],
        "Moments" => {
            let moment = reduced(call, "axes", &call.operand(0)?)?;
            vec![moment.clone(), moment]
        }
        "Quantile" | "Nanquantile" | "Percentile" => {
            let rest = reduced(call, "axis", &call.operand(0)?)?;
            // Several quantiles stand in front.
            let mut dims = call.operand(1).map_or_else(|_| Vec::new(), |quantiles| quantiles.0);
            dims.extend(rest.0);
            vec![Shape(dims)]
        }
        "CategoricalCrossentropy" => {
            let shape = call.operand(1)?;
            let axis = call.axis_in("axis", call.value("axis")?.unwrap_or(-1), &shape)?;
            let mut dims = shape.0;
            dims.remove(axis);
            vec![Shape(dims)]
        }
        "SparseCategoricalCrossentropy" | "BinaryCrossentropy" => vec![call.operand(0)?],
        "PSNR" | "AllClose" => vec![Shape::default()],
        "InTopK" => vec![call.operand(0)?],
        _ => return Ok(None),
    }))
}
