//! Operations that take a part of a tensor: slices, single values, pieces.

use super::call::{Argument, Call, Outputs, add};
use crate::{Shape, error::Problem};
use serde_json::Value;

/// One entry of an index such as `x[:, 1:3, ..., None]`.
enum Index {
    Slice([Option<i64>; 3]),
    One,
    NewAxis,
    Ellipsis,
    /// An array of indices.
    Array(Shape),
    Unknown,
}

fn index(argument: &Argument) -> Index {
    match argument {
        Argument::Constant(Value::Null) => Index::NewAxis,
        Argument::Constant(Value::Number(_)) => Index::One,
        Argument::Constant(Value::Object(object)) => match object.get("class_name").and_then(Value::as_str) {
            Some("__ellipsis__") => Index::Ellipsis,
            Some("__slice__") => {
                let part = |key: &str| {
                    object
                        .get("config")
                        .and_then(|config| config.get(key))
                        .and_then(Value::as_i64)
                };
                Index::Slice(["start", "stop", "step"].map(part))
            }
            _ => argument.shape().map_or(Index::Unknown, Index::Array),
        },
        Argument::Tensor(shape) if shape.rank() == 0 => Index::One,
        argument => argument.shape().map_or(Index::Unknown, Index::Array),
    }
}

/// Number of values that Python's `slice(start, stop, step)` takes of `size`.
fn sliced(size: Option<u64>, [start, stop, step]: [Option<i64>; 3]) -> Result<Option<u64>, Problem> {
    let step = step.unwrap_or(1);
    if step == 0 {
        return Err(Problem::key("inbound_nodes", "holds a slice with step 0"));
    }
    let Some(size) = size else {
        return Ok(None);
    };
    let size = i128::from(size);
    let place = |bound: Option<i64>, default: i128| {
        let (low, high) = if step > 0 { (0, size) } else { (-1, size - 1) };
        bound.map_or(default, |bound| {
            let bound = i128::from(bound);
            (if bound < 0 { bound + size } else { bound }).clamp(low, high)
        })
    };
    let (first, last) = if step > 0 {
        (place(start, 0), place(stop, size))
    } else {
        (place(start, size - 1), place(stop, -1))
    };
    let span = if step > 0 { last - first } else { first - last };
    let step = i128::from(step.unsigned_abs());
    Ok(u64::try_from(((span + step - 1) / step).max(0)).ok())
}

fn item(call: &Call<'_>) -> Result<Option<Shape>, Problem> {
    let input = call.operand(0)?;
    let Some(key) = call.arguments.get(1) else {
        return Ok(None);
    };
    let single = std::slice::from_ref(key);
    let entries: Vec<Index> = match key {
        Argument::List(items) => items,
        _ => single,
    }
    .iter()
    .map(index)
    .collect();
    let named = entries
        .iter()
        .filter(|entry| !matches!(entry, Index::NewAxis | Index::Ellipsis))
        .count();
    let free = input
        .rank()
        .checked_sub(named)
        .ok_or_else(|| Problem::shape(format!("takes more indices than {input} has axes")))?;
    let mut rest = input.0.iter().copied();
    let mut dims = Vec::new();
    for entry in &entries {
        match entry {
            Index::Slice(slice) => dims.push(sliced(rest.next().flatten(), *slice)?),
            Index::One => drop(rest.next()),
            Index::NewAxis => dims.push(Some(1)),
            Index::Ellipsis => dims.extend(rest.by_ref().take(free)),
            Index::Array(shape) => {
                rest.next();
                dims.extend(&shape.0);
            }
            Index::Unknown => return Ok(None),
        }
    }
    dims.extend(rest);
    Ok(Some(Shape(dims)))
}

/// The pieces of `indices_or_sections` along an axis.
fn pieces(call: &Call<'_>, input: &Shape, axis: usize, uneven: bool) -> Result<Vec<Shape>, Problem> {
    let key = "indices_or_sections";
    let with = |size: Option<u64>| {
        let mut dims = input.0.clone();
        dims[axis] = size;
        Shape(dims)
    };
    if let Some(Value::Array(_)) = call.config.get(key) {
        let places: Vec<i64> = call.required(key)?;
        let bounds = [0]
            .into_iter()
            .chain(places.iter().copied())
            .map(Some)
            .chain([None])
            .collect::<Vec<_>>();
        let parts = bounds
            .windows(2)
            .map(|pair| Ok(with(sliced(input.0[axis], [pair[0], pair[1], None])?)));
        return parts.collect();
    }
    let count: usize = call.required(key)?;
    let wrong = |problem: String| Problem::key(key, problem);
    // A count far beyond any model's outputs is no reason to allocate.
    if count == 0 || count > 1 << 20 {
        return Err(wrong(format!("must be between 1 and 2^20, found {count}")));
    }
    let Some(size) = input.0[axis] else {
        return Ok(vec![with(None); count]);
    };
    let (each, more) = (size / count as u64, size % count as u64);
    if more > 0 && !uneven {
        return Err(wrong(format!(
            "must divide the {size} values of axis {axis}, found {count}"
        )));
    }
    Ok((0..count as u64)
        .map(|i| with(Some(each + u64::from(i < more))))
        .collect())
}

/// What indices of this shape take along an axis.
fn taken(input: &Shape, indices: &Shape, axis: Option<usize>) -> Shape {
    match axis {
        None => indices.clone(),
        Some(axis) => {
            let mut dims = input.0[..axis].to_vec();
            dims.extend(&indices.0);
            dims.extend(&input.0[axis + 1..]);
            Shape(dims)
        }
    }
}

/// The input with a new axis of this size; `axis` counts in the result.
fn with_axis(call: &Call<'_>, input: &Shape, size: u64) -> Result<Shape, Problem> {
    let full = Shape(vec![None; input.rank() + 1]);
    let axis = call.axis_in("axis", call.value("axis")?.unwrap_or(-1), &full)?;
    let mut dims = input.0.clone();
    dims.insert(axis, Some(size));
    Ok(Shape(dims))
}

pub(super) fn outputs(call: &Call<'_>) -> Outputs {
    let input = || call.operand(0);
    let axis_of = |input: &Shape, default: i64| call.axis_in("axis", call.value("axis")?.unwrap_or(default), input);
    Ok(Some(match call.class {
        "GetItem" => return Ok(item(call)?.map(|shape| vec![shape])),
        "Take" => {
            let input = input()?;
            let axis = call
                .value::<i64>("axis")?
                .map(|axis| call.axis_in("axis", axis, &input))
                .transpose()?;
            vec![taken(&input, &call.operand(1)?, axis)]
        }
        "TakeAlongAxis" => vec![call.operand(1)?],
        "SearchSorted" => vec![call.operand(1)?],
        "Slice" => vec![Shape(
            call.required::<Vec<Option<i64>>>("shape")?
                .into_iter()
                .map(|size| size.and_then(|size| u64::try_from(size).ok()))
                .collect(),
        )],
        "Split" | "ArraySplit" => {
            let input = input()?;
            let axis = axis_of(&input, 0)?;
            pieces(call, &input, axis, call.class == "ArraySplit")?
        }
        "Hsplit" | "Vsplit" | "Dsplit" => {
            let input = input()?;
            let axis = match (call.class, input.rank()) {
                ("Vsplit", _) | ("Hsplit", 1) => 0,
                ("Hsplit", _) => 1,
                _ => 2,
            };
            let axis = call.axis_in("axis", axis, &input)?;
            pieces(call, &input, axis, false)?
        }
        "Unstack" => {
            let input = input()?;
            let axis = axis_of(&input, 0)?;
            let count = match call.value::<usize>("num")? {
                Some(count) => Some(count as u64),
                None => input.0[axis],
            };
            let mut dims = input.0.clone();
            dims.remove(axis);
            match count {
                Some(count) if count <= 1 << 20 => vec![Shape(dims); count as usize],
                _ => return Ok(None),
            }
        }
        "OneHot" => vec![with_axis(
            call,
            &input()?,
            call.required::<usize>("num_classes")? as u64,
        )?],
        "MultiHot" => {
            let input = input()?;
            let classes = call.required::<usize>("num_classes")? as u64;
            let mut dims = input.0;
            if dims.len() > 1 {
                dims.pop();
            }
            dims.push(Some(classes));
            vec![Shape(dims)]
        }
        "TopK" => {
            let input = input()?;
            let best = input.with_last(Some(call.required::<usize>("k")? as u64));
            vec![best.clone(), best]
        }
        "Diff" => {
            let mut shape = input()?;
            let axis = axis_of(&shape, -1)?;
            let n = call.value::<usize>("n")?.unwrap_or(1) as u64;
            shape.0[axis] = shape.0[axis].map(|size| size.saturating_sub(n));
            vec![shape]
        }
        "Glu" => {
            let mut shape = input()?;
            let axis = axis_of(&shape, -1)?;
            shape.0[axis] = shape.0[axis].map(|size| size / 2);
            vec![shape]
        }
        "Bincount" => {
            let mut dims = input()?.0;
            dims.pop();
            dims.push(None);
            vec![Shape(dims)]
        }
        "Nonzero" => vec![Shape(vec![None]); input()?.rank()],
        "ExtractSequences" => {
            let input = input()?;
            let (length, stride) = (
                call.required::<usize>("sequence_length")? as u64,
                call.required::<usize>("sequence_stride")?.max(1) as u64,
            );
            let mut dims = input.0[..input.rank().saturating_sub(1)].to_vec();
            dims.push(
                input
                    .last()
                    .map(|size| size.checked_sub(length).map_or(0, |rest| rest / stride + 1)),
            );
            dims.push(Some(length));
            vec![Shape(dims)]
        }
        "RFFT" => {
            let input = input()?;
            let length = match call.value::<usize>("fft_length")? {
                Some(length) => Some(length as u64),
                None => input.last(),
            };
            let half = input.with_last(length.map(|length| length / 2 + 1));
            vec![half.clone(), half]
        }
        "IRFFT" => {
            let Some(&input) = call.tensors().first() else {
                return Ok(None);
            };
            let length = match call.value::<usize>("fft_length")? {
                Some(length) => Some(length as u64),
                None => input.last().map(|size| size.saturating_sub(1).saturating_mul(2)),
            };
            vec![input.with_last(length)]
        }
        // Real and imaginary part come as a pair.
        "FFT" | "FFT2" | "IFFT2" => match call.tensors().first() {
            Some(part) => vec![(*part).clone(); 2],
            None => return Ok(None),
        },
        "STFT" => {
            let input = input()?;
            let (length, stride) = (
                call.required::<usize>("sequence_length")? as u64,
                call.required::<usize>("sequence_stride")?.max(1) as u64,
            );
            let fft = call.required::<usize>("fft_length")? as u64;
            let center = call.value::<bool>("center")?.unwrap_or(true);
            let padded = input
                .last()
                .map(|size| if center { add(size, fft / 2 * 2) } else { Ok(size) })
                .transpose()?;
            let length = if center { fft } else { length.max(fft) };
            let frames = padded.map(|size| size.checked_sub(length).map_or(0, |rest| rest / stride + 1));
            let mut dims = input.0[..input.rank().saturating_sub(1)].to_vec();
            dims.extend([frames, Some(fft / 2 + 1)]);
            vec![Shape(dims); 2]
        }
        _ => return Ok(None),
    }))
}

#[cfg(test)]
mod tests {
    use super::sliced;

    /// Counts the places one by one, as Python's `range` does.
    fn walked(size: u64, [start, stop, step]: [Option<i64>; 3]) -> u64 {
        let step = step.unwrap_or(1);
        let n = size as i64;
        let clamp = |bound: i64, low: i64, high: i64| (if bound < 0 { bound + n } else { bound }).clamp(low, high);
        let (mut at, end) = if step > 0 {
            (start.map_or(0, |b| clamp(b, 0, n)), stop.map_or(n, |b| clamp(b, 0, n)))
        } else {
            (
                start.map_or(n - 1, |b| clamp(b, -1, n - 1)),
                stop.map_or(-1, |b| clamp(b, -1, n - 1)),
            )
        };
        let mut count = 0;
        while (step > 0 && at < end) || (step < 0 && at > end) {
            count += 1;
            at += step;
        }
        count
    }

    #[test]
    fn slices_are_those_of_python() {
        let bounds = [None, Some(-9), Some(-3), Some(-1), Some(0), Some(2), Some(5), Some(40)];
        for size in [0, 1, 5, 6] {
            for start in bounds {
                for stop in bounds {
                    for step in [None, Some(1), Some(2), Some(7), Some(-1), Some(-3)] {
                        let slice = [start, stop, step];
                        assert_eq!(
                            sliced(Some(size), slice),
                            Ok(Some(walked(size, slice))),
                            "{size} {slice:?}"
                        );
                    }
                }
            }
        }
        assert!(sliced(Some(3), [None, None, Some(0)]).is_err());
        assert_eq!(
            sliced(Some(u64::MAX), [Some(i64::MIN), None, Some(i64::MIN)]),
            Ok(Some(1))
        );
    }
}
