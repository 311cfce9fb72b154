//! Operations that put the same values into another shape, or repeat and join them.

use super::{
    super::merging::concatenated,
    call::{Call, Outputs, add, broadcast, multiply},
};
use crate::{Shape, error::Problem, shape::product};
use serde_json::Value;

/// A list of sizes in which -1 or null is free.
fn sizes(call: &Call<'_>, key: &str) -> Result<Vec<i64>, Problem> {
    let sizes: Vec<Option<i64>> = call.required(key)?;
    Ok(sizes.into_iter().map(|size| size.unwrap_or(-1)).collect())
}

fn reshaped(call: &Call<'_>, input: &Shape) -> Result<Shape, Problem> {
    let target = sizes(call, "newshape")?;
    let mut known = Vec::new();
    for &size in target.iter().filter(|&&size| size != -1) {
        let wrong = || Problem::key("newshape", format!("may hold sizes and one -1, found {target:?}"));
        known.push(Some(u64::try_from(size).map_err(|_| wrong())?));
    }
    let rest = match (
        product(input.dims(), "the size of the input")?,
        product(&known, "the size of 'newshape'")?,
    ) {
        (Some(all), Some(known)) if known > 0 && all.is_multiple_of(known) => Some(all / known),
        (Some(all), known) if !target.contains(&-1) && Some(all) != known || known == Some(0) => {
            return Err(Problem::key(
                "newshape",
                format!("must hold the {all} values of the input {input}, found {target:?}"),
            ));
        }
        _ => None,
    };
    Ok(Shape(
        target
            .into_iter()
            .map(|size| if size < 0 { rest } else { Some(size as u64) })
            .collect(),
    ))
}

fn transposed(call: &Call<'_>, input: &Shape) -> Result<Shape, Problem> {
    let Some(axes) = call.value::<Vec<i64>>("axes")? else {
        return Ok(Shape(input.0.iter().rev().copied().collect()));
    };
    let axes: Vec<usize> = axes
        .into_iter()
        .map(|axis| call.axis_in("axes", axis, input))
        .collect::<Result<_, _>>()?;
    let mut sorted = axes.clone();
    sorted.sort_unstable();
    if !sorted.into_iter().eq(0..input.rank()) {
        return Err(Problem::key(
            "axes",
            format!("must name each axis of the input {input} once"),
        ));
    }
    Ok(Shape(axes.into_iter().map(|axis| input.0[axis]).collect()))
}

fn expanded(call: &Call<'_>, input: &Shape) -> Result<Shape, Problem> {
    let axes: Vec<i64> = call.required("axis")?;
    let rank = input.rank() + axes.len();
    let full = Shape(vec![None; rank]);
    let axes: Vec<usize> = axes
        .into_iter()
        .map(|axis| call.axis_in("axis", axis, &full))
        .collect::<Result<_, _>>()?;
    let mut old = input.0.iter().copied();
    Ok(Shape(
        (0..rank)
            .map(|axis| {
                if axes.contains(&axis) {
                    Some(1)
                } else {
                    old.next().flatten()
                }
            })
            .collect(),
    ))
}

fn squeezed(call: &Call<'_>, input: &Shape) -> Result<Shape, Problem> {
    let axes = match call.value::<Vec<i64>>("axis")? {
        Some(axes) => axes
            .into_iter()
            .map(|axis| call.axis_in("axis", axis, input))
            .collect::<Result<Vec<_>, _>>()?,
        None => (0..input.rank()).filter(|&axis| input.0[axis] == Some(1)).collect(),
    };
    let kept = input.0.iter().enumerate().filter(|(axis, _)| !axes.contains(axis));
    Ok(Shape(kept.map(|(_, dim)| *dim).collect()))
}

/// The axes in another order: `source` go to `destination`, the others keep theirs.
fn moved(call: &Call<'_>, input: &Shape) -> Result<Shape, Problem> {
    let named = |key: &str| -> Result<Vec<usize>, Problem> {
        call.required::<Vec<i64>>(key)?
            .into_iter()
            .map(|axis| call.axis_in(key, axis, input))
            .collect()
    };
    let (source, destination) = (named("source")?, named("destination")?);
    let mut rest = (0..input.rank()).filter(|axis| !source.contains(axis));
    let order = (0..input.rank()).map(|axis| match destination.iter().position(|&to| to == axis) {
        Some(at) => source.get(at).copied(),
        None => rest.next(),
    });
    let order: Option<Vec<usize>> = order.collect();
    let order = order.ok_or_else(|| Problem::key("destination", "must name as many axes as 'source'"))?;
    Ok(Shape(order.into_iter().map(|axis| input.0[axis]).collect()))
}

fn swapped(input: &Shape, a: usize, b: usize) -> Shape {
    let mut dims = input.0.clone();
    dims.swap(a, b);
    Shape(dims)
}

fn repeated(call: &Call<'_>, input: &Shape) -> Result<Shape, Problem> {
    let repeats: Vec<u64> = call
        .required::<Vec<usize>>("repeats")?
        .into_iter()
        .map(|n| n as u64)
        .collect();
    let times = |size: Option<u64>| -> Result<Option<u64>, Problem> {
        match (size, repeats.as_slice()) {
            (Some(size), [n]) => multiply(size, *n).map(Some),
            (None, [_]) => Ok(None),
            (_, each) => each.iter().try_fold(0, |sum, n| add(sum, *n)).map(Some),
        }
    };
    match call.value::<i64>("axis")? {
        None => Ok(Shape(vec![times(product(input.dims(), "the number of values")?)?])),
        Some(axis) => {
            let axis = call.axis_in("axis", axis, input)?;
            let mut dims = input.0.clone();
            dims[axis] = times(dims[axis])?;
            Ok(Shape(dims))
        }
    }
}

fn tiled(call: &Call<'_>, input: &Shape) -> Result<Shape, Problem> {
    let repeats: Vec<usize> = call.required("repeats")?;
    let rank = input.rank().max(repeats.len());
    let mut dims = Vec::with_capacity(rank);
    for axis in 0..rank {
        let size = (axis + input.rank())
            .checked_sub(rank)
            .map_or(Some(1), |axis| input.0[axis]);
        let times = (axis + repeats.len())
            .checked_sub(rank)
            .map_or(1, |axis| repeats[axis] as u64);
        dims.push(size.map(|size| multiply(size, times)).transpose()?);
    }
    Ok(Shape(dims))
}

fn padded(call: &Call<'_>, input: &Shape) -> Result<Shape, Problem> {
    let width = call.config.get("pad_width").cloned().unwrap_or(Value::Null);
    let number = |value: &Value| value.as_u64();
    let pair = |value: &Value| match value.as_array().map(Vec::as_slice) {
        Some([one]) => number(one).map(|n| [n, n]),
        Some([before, after]) => Some([number(before)?, number(after)?]),
        _ => number(value).map(|n| [n, n]),
    };
    let wrong = || {
        Problem::key(
            "pad_width",
            format!("must hold a pair of sizes for each axis of {input}"),
        )
    };
    let pairs: Vec<[u64; 2]> = match width.as_array() {
        Some(items) if items.iter().all(Value::is_array) && items.len() == input.rank() => {
            items.iter().map(pair).collect::<Option<_>>().ok_or_else(wrong)?
        }
        Some(items) if items.len() == 1 => vec![pair(&items[0]).ok_or_else(wrong)?; input.rank()],
        _ => vec![pair(&width).ok_or_else(wrong)?; input.rank()],
    };
    let mut dims = Vec::with_capacity(input.rank());
    for (dim, [before, after]) in input.0.iter().zip(pairs) {
        dims.push(dim.map(|size| add(add(size, before)?, after)).transpose()?);
    }
    Ok(Shape(dims))
}

/// The given tensors in a new axis.
fn stacked(call: &Call<'_>) -> Result<Shape, Problem> {
    let shapes = call.operands();
    let first = shapes
        .first()
        .ok_or_else(|| Problem::shape("needs at least one tensor"))?;
    let full = Shape(vec![None; first.rank() + 1]);
    let axis = call.axis_in("axis", call.value("axis")?.unwrap_or(0), &full)?;
    let mut dims = first.0.clone();
    dims.insert(axis, Some(shapes.len() as u64));
    Ok(Shape(dims))
}

/// At least `rank` axes, as `numpy.atleast_2d` makes them.
fn at_least(input: &Shape, rank: usize) -> Shape {
    let mut dims = input.0.clone();
    while dims.len() < rank {
        if dims.len() == 2 {
            dims.push(Some(1))
        } else {
            dims.insert(0, Some(1))
        }
    }
    Shape(dims)
}

pub(super) fn outputs(call: &Call<'_>) -> Outputs {
    let input = || call.operand(0);
    Ok(Some(vec![match call.class {
        "Reshape" => reshaped(call, &input()?)?,
        "Transpose" => transposed(call, &input()?)?,
        "ExpandDims" => expanded(call, &input()?)?,
        "Squeeze" => squeezed(call, &input()?)?,
        "Moveaxis" => moved(call, &input()?)?,
        "Swapaxes" => {
            let input = input()?;
            let axis = |key: &str| call.axis_in(key, call.required(key)?, &input);
            swapped(&input, axis("axis1")?, axis("axis2")?)
        }
        "Rot90" => {
            let input = input()?;
            let axes = call.value::<[i64; 2]>("axes")?.unwrap_or([0, 1]);
            let turned = call.value::<i64>("k")?.unwrap_or(1) % 2 != 0;
            let (a, b) = (
                call.axis_in("axes", axes[0], &input)?,
                call.axis_in("axes", axes[1], &input)?,
            );
            if turned { swapped(&input, a, b) } else { input }
        }
        "BroadcastTo" => {
            let target = sizes(call, "shape")?
                .into_iter()
                .map(|size| u64::try_from(size).ok())
                .collect();
            Shape(target)
        }
        "Repeat" => repeated(call, &input()?)?,
        "Tile" => tiled(call, &input()?)?,
        "Pad" => padded(call, &input()?)?,
        "Ravel" => Shape(vec![product(input()?.dims(), "the number of values")?]),
        "Cumsum" | "Cumprod" => match call.value::<i64>("axis")? {
            Some(_) => input()?,
            None => Shape(vec![product(input()?.dims(), "the number of values")?]),
        },
        "Concatenate" => concatenated(&call.operands(), call.value("axis")?.unwrap_or(0))?,
        "Stack" => stacked(call)?,
        "Hstack" => {
            let shapes = call.operands();
            concatenated(&shapes, i64::from(shapes.first().is_some_and(|shape| shape.rank() > 1)))?
        }
        "Vstack" => concatenated(
            &call
                .operands()
                .iter()
                .map(|shape| at_least(shape, 2))
                .collect::<Vec<_>>(),
            0,
        )?,
        "Dstack" => concatenated(
            &call
                .operands()
                .iter()
                .map(|shape| at_least(shape, 3))
                .collect::<Vec<_>>(),
            2,
        )?,
        "Append" => match call.value::<i64>("axis")? {
            Some(axis) => concatenated(&call.operands(), axis)?,
            None => {
                let mut total = Some(0);
                for shape in call.operands() {
                    let size = product(shape.dims(), "the number of values")?;
                    total = match (total, size) {
                        (Some(total), Some(size)) => Some(add(total, size)?),
                        _ => None,
                    };
                }
                Shape(vec![total])
            }
        },
        "Meshgrid" => {
            let mut dims: Vec<Option<u64>> = Vec::new();
            for shape in call.operands() {
                dims.push(product(shape.dims(), "the number of values")?);
            }
            if dims.len() > 1 && call.value::<String>("indexing")?.as_deref() != Some("ij") {
                dims.swap(0, 1);
            }
            return Ok(Some(vec![Shape(dims); call.operands().len()]));
        }
        "BroadcastArrays" | "BroadcastTensors" => {
            let shapes = call.operands();
            return Ok(Some(vec![broadcast(&shapes)?; shapes.len()]));
        }
        _ => return Ok(None),
    }]))
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;
    use crate::Shape;
    use serde_json::json;

    #[test]
    fn shapes_are_those_of_numpy() {
        let input = || Shape::batched([6, 4]);
        check("Reshape", json!({ "newshape": [-1, 8, 3] }), &[input()], "(None, 8, 3)");
        check("Transpose", json!({ "axes": [0, 2, 1] }), &[input()], "(None, 4, 6)");
        check(
            "ExpandDims",
            json!({ "axis": [1, -1] }),
            &[input()],
            "(None, 1, 6, 4, 1)",
        );
        check(
            "Moveaxis",
            json!({ "source": 1, "destination": -1 }),
            &[input()],
            "(None, 4, 6)",
        );
        check(
            "Repeat",
            json!({ "repeats": 2, "axis": 1 }),
            &[input()],
            "(None, 12, 4)",
        );
        check("Tile", json!({ "repeats": [2, 3] }), &[input()], "(None, 12, 12)");
        check(
            "Pad",
            json!({ "pad_width": [[0, 0], [1, 2], [3, 0]] }),
            &[input()],
            "(None, 9, 7)",
        );
        check("Stack", json!({ "axis": 1 }), &[input(), input()], "(None, 2, 6, 4)");
        check("Hstack", json!({}), &[input(), input()], "(None, 12, 4)");
        check("Rot90", json!({ "k": 3, "axes": [1, 2] }), &[input()], "(None, 4, 6)");
    }
}
