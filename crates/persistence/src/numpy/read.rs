//! Arrays of `.npy` and `.npz` files.

use super::header::Header;
use crate::archive::{Archive, Checked};
use crate::fault::{Fault, Result, quoted};
use crate::layout::{is_countable, item_bytes};
use crate::stored::{StoredTensor, byte_count};
use crate::{Format, Model, Source};

/// The array of an `.npy` file.
fn array(source: &Source) -> Result<StoredTensor> {
    let bytes = source.bytes();
    let header = Header::read(bytes)?;
    let (dtype, shape) = (header.dtype, header.shape.clone());
    let counted = byte_count(dtype, &shape).filter(|_| is_countable(&shape));
    let (Some(item), Some(expected)) = (item_bytes(dtype), counted) else {
        return Err(Fault::new(
            "'shape'",
            format!("{shape:?} has more numbers than there are addresses"),
        ));
    };
    let found = bytes.len() - header.end;
    let part = source.part(header.end..bytes.len()).filter(|_| found == expected);
    let Some(part) = part else {
        let reason = format!("{dtype} of the shape {shape:?} needs {expected} bytes, found {found}");
        return Err(Fault::new(format!("byte {}", header.end), reason));
    };
    let (swapped, turned) = (header.big_endian && item > 1, header.fortran_order && shape.len() > 1);
    if !swapped && !turned {
        let tensor = StoredTensor::in_file(dtype, shape, part);
        return tensor.ok_or_else(|| Fault::new("'shape'", "does not fit the numbers"));
    }
    let tensor = if turned {
        let axes: Vec<usize> = (0..shape.len()).rev().collect();
        let as_they_lie: Vec<usize> = shape.iter().rev().copied().collect();
        let numbers = StoredTensor::in_file(dtype, as_they_lie.clone(), part);
        numbers.and_then(|numbers| numbers.permuted(&as_they_lie, &axes, shape.clone()))
    } else {
        StoredTensor::in_file(dtype, shape.clone(), part)
    };
    let tensor = tensor.ok_or_else(|| Fault::new("'shape'", "does not fit the numbers"))?;
    if !swapped {
        return Ok(tensor);
    }
    Ok(StoredTensor::computed(dtype, shape, move || {
        let mut numbers = tensor.bytes()?.into_owned();
        numbers.chunks_exact_mut(item).for_each(<[u8]>::reverse);
        Ok(numbers)
    }))
}

fn archive(source: &Source) -> Result<Vec<(String, StoredTensor)>> {
    let archive = Archive::read(source)?;
    let mut tensors = Vec::new();
    for member in archive.names() {
        let place = || format!("member '{}'", quoted(member));
        let Some(name) = member.strip_suffix(".npy") else {
            return Err(Fault::new(place(), "is no array: its name does not end in .npy"));
        };
        let in_use = Checked::InUse {
            format: "NumPy archive",
            sums: &[],
        };
        if let Some(part) = archive.member(member, in_use)? {
            // What makes no sense was perhaps damaged on its way, and then that is what is wrong with it.
            let damaged = |fault: Fault| archive.member(member, Checked::Now).and(Err(fault.within(&place())));
            tensors.push((name.to_string(), array(&part).or_else(damaged)?));
        }
    }
    Ok(tensors)
}

/// Reads an `.npy` file; its array is called `array`.
///
/// # Errors
/// [`crate::Error::Malformed`] with the byte.
pub(crate) fn read_npy(source: &Source) -> crate::Result<Model> {
    let tensor = array(source).map_err(|fault| fault.in_file(source.path(), "NumPy array"))?;
    let mut model = Model::new(source.path(), Format::Npy);
    model.weights.insert("array".to_string(), tensor);
    Ok(model)
}

/// Reads an `.npz` archive, also a compressed one: the arrays by the names of its members, without their ending.
///
/// # Errors
/// [`crate::Error::Malformed`] with the member and the place in it.
pub(crate) fn read_npz(source: &Source) -> crate::Result<Model> {
    let tensors = archive(source).map_err(|fault| fault.in_file(source.path(), "NumPy archive"))?;
    let mut model = Model::new(source.path(), Format::Npz);
    model.weights.extend(tensors);
    Ok(model)
}
