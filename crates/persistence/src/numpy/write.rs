//! Writing `.npy` and `.npz` files.

use std::borrow::Cow;
use std::io::{self, Seek, Write};

use safetensors::Dtype;

use super::header::{MAGIC, descr};
use crate::stored::StoredTensor;
use crate::stored_zip::StoredZip;
use crate::{Error, Format, Model, Result};

/// NumPy aligns the numbers of an array so that it can be mapped into memory.
const ALIGNMENT: usize = 64;

/// The header of an array.
fn header(tensor: &StoredTensor) -> Option<Vec<u8>> {
    let descr = match tensor.dtype() {
        // NumPy has no bfloat16; as float32 it keeps every bit.
        Dtype::BF16 => "<f4",
        other => descr(other)?,
    };
    let sizes: Vec<String> = tensor.shape().iter().map(ToString::to_string).collect();
    let comma = if sizes.len() == 1 { "," } else { "" };
    let shape = sizes.join(", ");
    let mut text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({shape}{comma}), }}").into_bytes();
    let start = MAGIC.len() + 4;
    text.resize((start + text.len() + 1).next_multiple_of(ALIGNMENT) - start - 1, b' ');
    text.push(b'\n');
    let mut header = MAGIC.to_vec();
    header.extend([1, 0]);
    // 64 axes of 20 digits stay far below 65,536.
    header.extend((text.len() as u16).to_le_bytes());
    header.extend(text);
    Some(header)
}

/// The header of an array, and how many bytes its numbers take in the file.
fn begun(model: &Model, name: &str, tensor: &StoredTensor) -> Result<(Vec<u8>, usize)> {
    let header = header(tensor).ok_or_else(|| Error::NotWritten {
        path: model.path.clone(),
        format: Format::Npz,
        what: format!("the tensor '{name}' ({})", tensor.dtype()),
        reason: "NumPy has bool, int, uint, f16, f32 and f64; convert it first".to_string(),
    })?;
    let wider = if tensor.dtype() == Dtype::BF16 { 2 } else { 1 };
    Ok((header, tensor.byte_len() * wider))
}

/// What makes of numbers those that NumPy has.
fn converted(dtype: Dtype) -> fn(&[u8]) -> Cow<'_, [u8]> {
    match dtype {
        Dtype::BF16 => widened,
        _ => |numbers| Cow::Borrowed(numbers),
    }
}

/// Every bfloat16 as the float32 of the same value.
fn widened(bytes: &[u8]) -> Cow<'_, [u8]> {
    let numbers = bytes.as_chunks::<2>().0.iter();
    Cow::Owned(numbers.flat_map(|&[low, high]| [0, 0, low, high]).collect())
}

/// Writes the only tensor of a model as one array; bfloat16 becomes float32, which NumPy has, without a loss.
///
/// # Errors
/// [`Error::NotWritten`] for several tensors and for number formats that NumPy does not have.
pub(crate) fn write_npy(
    model: &Model,
    to: &mut (impl Write + Send),
    failed: &dyn Fn(io::Error) -> Error,
) -> Result<()> {
    let mut tensors = model.weights.iter();
    let (Some((name, tensor)), None) = (tensors.next(), tensors.next()) else {
        return Err(Error::NotWritten {
            path: model.path.clone(),
            format: Format::Npy,
            what: format!("a model of {} tensors", model.weights.len()),
            reason: "an .npy file holds one array; use .npz".to_string(),
        });
    };
    let (header, _) = begun(model, name, tensor)?;
    to.write_all(&header).map_err(failed)?;
    let convert = converted(tensor.dtype());
    tensor
        .lend_pieces(|piece| to.write_all(&convert(piece)))?
        .map_err(failed)
}

/// Writes the weights as an archive of arrays, not compressed, the numbers of each aligned to 64 bytes.
///
/// `numpy.load(path)["dense/kernel"]` is the weight of that path. NumPy has no place for the description of the network.
///
/// # Errors
/// [`Error::NotWritten`] for number formats that NumPy does not have.
pub(crate) fn write_npz(
    model: &Model,
    to: &mut (impl Write + Seek + Send),
    failed: &dyn Fn(io::Error) -> Error,
) -> Result<()> {
    let mut zip = StoredZip::new(to);
    for (name, tensor) in &model.weights {
        let (header, bytes) = begun(model, name, tensor)?;
        let (name, size) = (format!("{name}.npy"), header.len() + bytes);
        zip.numbers(&name, size, &header, tensor, converted(tensor.dtype()), failed)?;
    }
    zip.finish().map_err(failed)
}
