//! Products of tensors and linear algebra.

use super::call::{Call, Outputs, broadcast, multiply};
use crate::{Shape, error::Problem, shape::product};
use serde_json::Value;

/// `a @ b` as NumPy defines it: the last two axes are matrices, those in front are broadcast.
fn matmul(a: &Shape, b: &Shape) -> Result<Shape, Problem> {
    let nothing = || Problem::shape(format!("cannot multiply {a} by {b}; both need an axis"));
    let (mut left, mut right) = (a.0.clone(), b.0.clone());
    let (vector_left, vector_right) = (left.len() == 1, right.len() == 1);
    if vector_left {
        left.insert(0, Some(1));
    }
    if vector_right {
        right.push(Some(1));
    }
    let (Some(inner_a), Some(columns)) = (left.pop(), right.pop()) else {
        return Err(nothing());
    };
    let (Some(rows), Some(inner_b)) = (left.pop(), right.pop()) else {
        return Err(nothing());
    };
    if let (Some(x), Some(y)) = (inner_a, inner_b)
        && x != y
    {
        return Err(Problem::shape(format!(
            "cannot multiply {a} by {b}: {x} columns meet {y} rows; make them equal"
        )));
    }
    let mut dims = broadcast(&[Shape(left), Shape(right)])?.0;
    if !vector_left {
        dims.push(rows);
    }
    if !vector_right {
        dims.push(columns);
    }
    Ok(Shape(dims))
}

/// `numpy.dot`: the last axis of `a` against the last but one of `b`.
fn dot(a: &Shape, b: &Shape) -> Shape {
    if a.rank() == 0 || b.rank() == 0 {
        return if a.rank() == 0 { b.clone() } else { a.clone() };
    }
    let mut dims = a.0[..a.rank() - 1].to_vec();
    let skip = b.rank().saturating_sub(2);
    dims.extend(
        b.0.iter()
            .enumerate()
            .filter(|(axis, _)| *axis != skip)
            .map(|(_, dim)| *dim),
    );
    Shape(dims)
}

fn tensordot(call: &Call<'_>, a: &Shape, b: &Shape) -> Result<Shape, Problem> {
    let wrong = || Problem::key("axes", format!("must name axes of {a} and {b}"));
    let (left, right): (Vec<usize>, Vec<usize>) = match call.config.get("axes") {
        Some(Value::Array(pair)) if pair.len() == 2 => {
            let axes = |value: &Value, shape: &Shape| -> Result<Vec<usize>, Problem> {
                let list = match value {
                    Value::Array(items) => items.clone(),
                    single => vec![single.clone()],
                };
                list.iter()
                    .map(|axis| axis.as_i64().and_then(|axis| shape.axis(axis)).ok_or_else(wrong))
                    .collect()
            };
            (axes(&pair[0], a)?, axes(&pair[1], b)?)
        }
        value => {
            let count = value.and_then(Value::as_u64).unwrap_or(2);
            let count = usize::try_from(count)
                .ok()
                .filter(|&n| n <= a.rank() && n <= b.rank())
                .ok_or_else(wrong)?;
            ((a.rank() - count..a.rank()).collect(), (0..count).collect())
        }
    };
    let rest = |shape: &Shape, axes: &[usize]| {
        let kept = shape.0.iter().enumerate().filter(|(axis, _)| !axes.contains(axis));
        kept.map(|(_, dim)| *dim).collect::<Vec<_>>()
    };
    let mut dims = rest(a, &left);
    dims.extend(rest(b, &right));
    Ok(Shape(dims))
}

/// `keras.ops.einsum`: the letters behind the arrow (or those that occur once, in order) with their sizes.
fn einsum(call: &Call<'_>) -> Result<Shape, Problem> {
    let text: String = call.required("subscripts")?;
    let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let wrong = |problem: &str| Problem::key("subscripts", format!("'{text}' {problem}"));
    let (left, output) = match text.split_once("->") {
        Some((left, output)) => (left.to_owned(), output.to_owned()),
        None => {
            let mut letters: Vec<char> = text.chars().filter(char::is_ascii_alphabetic).collect();
            letters.sort_unstable();
            let once = letters.iter().filter(|c| text.matches(**c).count() == 1);
            (
                text.clone(),
                format!(
                    "{}{}",
                    if text.contains("...") { "..." } else { "" },
                    once.collect::<String>()
                ),
            )
        }
    };
    let operands = call.operands();
    let specs: Vec<&str> = left.split(',').collect();
    if specs.len() != operands.len() {
        return Err(wrong(&format!(
            "names {} operands, found {}",
            specs.len(),
            operands.len()
        )));
    }
    let mut sizes: std::collections::BTreeMap<char, Option<u64>> = std::collections::BTreeMap::new();
    let mut unnamed: Vec<Shape> = Vec::new();
    for (spec, shape) in specs.iter().zip(&operands) {
        let (front, back) = spec.split_once("...").unwrap_or((spec, ""));
        let named = front.chars().count() + back.chars().count();
        let free = shape
            .rank()
            .checked_sub(named)
            .filter(|&free| free == 0 || spec.contains("..."));
        let free = free.ok_or_else(|| wrong(&format!("does not fit an operand of shape {shape}")))?;
        let start = front.chars().count();
        unnamed.push(Shape(shape.0[start..start + free].to_vec()));
        let dims = shape.0[..start].iter().chain(&shape.0[start + free..]);
        for (letter, dim) in front.chars().chain(back.chars()).zip(dims) {
            let size = sizes.entry(letter).or_insert(*dim);
            *size = match (*size, *dim) {
                (Some(1) | None, other) => other.or(*size),
                (size, _) => size,
            };
        }
    }
    let (front, back) = output.split_once("...").unwrap_or((&output, ""));
    let dim = |letter: char| {
        sizes
            .get(&letter)
            .copied()
            .ok_or_else(|| wrong(&format!("does not say how large '{letter}' is")))
    };
    let mut dims = front.chars().map(dim).collect::<Result<Vec<_>, _>>()?;
    if output.contains("...") {
        dims.extend(broadcast(&unnamed)?.0);
    }
    dims.extend(back.chars().map(dim).collect::<Result<Vec<_>, _>>()?);
    Ok(Shape(dims))
}

type Dim = Option<u64>;
type Dims = Vec<Dim>;

/// The axes in front of the matrices of an input of rank 2 or more, and the matrices' sides.
fn matrices(input: &Shape) -> Result<(Dims, Dim, Dim), Problem> {
    match input.0.as_slice() {
        [front @ .., rows, columns] => Ok((front.to_vec(), *rows, *columns)),
        _ => Err(Problem::shape(format!("expects matrices, found {input}"))),
    }
}

/// The smaller of two sizes, where both are known.
fn smaller(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    Some(a?.min(b?))
}

fn decomposition(call: &Call<'_>, input: &Shape) -> Outputs {
    let (front, rows, columns) = matrices(input)?;
    let with = |rest: &[Option<u64>]| Shape(front.iter().chain(rest).copied().collect());
    let least = smaller(rows, columns);
    let flag = |key: &str| call.config.get(key).and_then(Value::as_bool).unwrap_or(true);
    Ok(Some(match call.class {
        "Det" | "Logdet" | "MatrixRank" => vec![with(&[])],
        "Slogdet" => vec![with(&[]), with(&[])],
        "Pinv" => vec![with(&[columns, rows])],
        "Eig" | "Eigh" => vec![with(&[rows]), with(&[rows, rows])],
        "LuFactor" => vec![input.clone(), with(&[least])],
        "Qr" if call.value::<String>("mode")?.as_deref() == Some("complete") => {
            vec![with(&[rows, rows]), with(&[rows, columns])]
        }
        "Qr" => vec![with(&[rows, least]), with(&[least, columns])],
        "SVD" if !flag("compute_uv") => vec![with(&[least])],
        "SVD" if flag("full_matrices") => vec![with(&[rows, rows]), with(&[least]), with(&[columns, columns])],
        "SVD" => vec![with(&[rows, least]), with(&[least]), with(&[least, columns])],
        _ => return Ok(None),
    }))
}

/// The input without two axes, and the length of their diagonal.
fn diagonal(call: &Call<'_>, input: &Shape) -> Result<(Vec<Option<u64>>, Option<u64>), Problem> {
    let axis = |key: &str, default: i64| call.axis_in(key, call.value(key)?.unwrap_or(default), input);
    let (a, b) = (axis("axis1", 0)?, axis("axis2", 1)?);
    let offset = call.value::<i64>("offset")?.unwrap_or(0);
    let shorter = |size: Option<u64>, by: i64| size.map(|size| size.saturating_sub(by.max(0).unsigned_abs()));
    let length = smaller(
        shorter(input.0[a], offset.saturating_neg()),
        shorter(input.0[b], offset),
    );
    let rest = input.0.iter().enumerate().filter(|(axis, _)| *axis != a && *axis != b);
    Ok((rest.map(|(_, dim)| *dim).collect(), length))
}

pub(super) fn outputs(call: &Call<'_>) -> Outputs {
    let two = || Ok::<_, Problem>((call.operand(0)?, call.operand(1)?));
    Ok(Some(vec![match call.class {
        "Matmul" => {
            let (a, b) = two()?;
            matmul(&a, &b)?
        }
        "Dot" => {
            let (a, b) = two()?;
            dot(&a, &b)
        }
        "Inner" => {
            let (a, b) = two()?;
            let mut dims = a.0[..a.rank().saturating_sub(1)].to_vec();
            dims.extend(&b.0[..b.rank().saturating_sub(1)]);
            Shape(dims)
        }
        "Vecdot" => {
            let mut dims = broadcast(&call.operands())?.0;
            dims.pop();
            Shape(dims)
        }
        "Vdot" => Shape::default(),
        "Outer" => {
            let (a, b) = two()?;
            Shape(vec![
                product(a.dims(), "the number of values")?,
                product(b.dims(), "the number of values")?,
            ])
        }
        "Kron" => {
            let (a, b) = two()?;
            let rank = a.rank().max(b.rank());
            let at = |shape: &Shape, i: usize| (i + shape.rank()).checked_sub(rank).map_or(Some(1), |i| shape.0[i]);
            let mut dims = Vec::with_capacity(rank);
            for axis in 0..rank {
                dims.push(match (at(&a, axis), at(&b, axis)) {
                    (Some(x), Some(y)) => Some(multiply(x, y)?),
                    _ => None,
                });
            }
            Shape(dims)
        }
        "Tensordot" => {
            let (a, b) = two()?;
            tensordot(call, &a, &b)?
        }
        "Einsum" => einsum(call)?,
        "Cross" => broadcast(&call.operands())?,
        "Solve" | "SolveTriangular" => call.operand(1)?,
        "DotProductAttention" => call.operand(0)?,
        "CDist" => {
            let (a, b) = two()?;
            let (mut front, rows, _) = matrices(&a)?;
            front.extend([rows, matrices(&b)?.1]);
            Shape(front)
        }
        "Diagonal" => {
            let (mut rest, length) = diagonal(call, &call.operand(0)?)?;
            rest.push(length);
            Shape(rest)
        }
        "Trace" => Shape(diagonal(call, &call.operand(0)?)?.0),
        "Diag" | "Diagflat" => {
            let input = call.operand(0)?;
            let offset = call.value::<i64>("k")?.unwrap_or(0).unsigned_abs();
            match input.0.as_slice() {
                [rows, columns] if call.class == "Diag" => {
                    Shape(vec![smaller(*rows, *columns).map(|n| n.saturating_sub(offset))])
                }
                dims => {
                    let side = product(dims, "the number of values")?;
                    let side = side.map(|n| super::call::add(n, offset)).transpose()?;
                    Shape(vec![side, side])
                }
            }
        }
        _ => {
            return match call.operand(0) {
                Ok(input) if input.rank() >= 2 => decomposition(call, &input),
                _ => Ok(None),
            };
        }
    }]))
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;
    use crate::Shape;
    use serde_json::json;

    #[test]
    fn products_have_the_shapes_of_numpy() {
        let (a, b) = (Shape::batched([6, 4]), Shape::from([4, 3]));
        check("Matmul", json!({}), &[a.clone(), b.clone()], "(None, 6, 3)");
        check("Matmul", json!({}), &[Shape::from([4]), b.clone()], "(3,)");
        check("Dot", json!({}), &[a.clone(), b.clone()], "(None, 6, 3)");
        check(
            "Tensordot",
            json!({ "axes": [[2], [0]] }),
            &[a.clone(), b.clone()],
            "(None, 6, 3)",
        );
        check(
            "Einsum",
            json!({ "subscripts": "...i, ij -> ...j" }),
            &[a.clone(), b.clone()],
            "(None, 6, 3)",
        );
        check(
            "Einsum",
            json!({ "subscripts": "bij,ik" }),
            &[a.clone(), Shape::from([6, 2])],
            "(None, 4, 2)",
        );
        check(
            "SVD",
            json!({ "full_matrices": false }),
            std::slice::from_ref(&a),
            "(None, 6, 4)",
        );
        check(
            "Diagonal",
            json!({ "axis1": 1, "axis2": 2, "offset": 1 }),
            &[a],
            "(None, 3)",
        );
    }
}
