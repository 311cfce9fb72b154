//! Networks into files and back, in one call.

use std::io::{self, Cursor};
use std::path::Path;

use candle_core::{Device, Tensor};
use models::Network;
use optimizers::Optimizer;

use crate::output::Output;
use crate::{
    Error, Format, Limits, Metadata, Model, Precision, Result, Source, StoredTensor, atomic, gguf, keras, native,
    numpy, onnx, pytorch,
};

/// The formats that [`open`] reads.
pub const READ: [Format; 8] = [
    Format::Safetensors,
    Format::Keras,
    Format::WeightsH5,
    Format::LegacyH5,
    Format::Torch,
    Format::Onnx,
    Format::Npy,
    Format::Npz,
];

/// The formats that [`write()`] writes.
pub const WRITTEN: [Format; 9] = [
    Format::Safetensors,
    Format::Keras,
    Format::WeightsH5,
    Format::LegacyH5,
    Format::Torch,
    Format::Onnx,
    Format::Npy,
    Format::Npz,
    Format::Gguf,
];

/// What is saved.
#[derive(Clone, Copy)]
pub struct Contents<'a> {
    /// The network: its description and its weights.
    pub network: &'a Network,
    /// The optimizer whose state is kept, for training that shall go on.
    pub optimizer: Option<&'a Optimizer>,
    /// What else is known.
    pub metadata: &'a Metadata,
}

/// What was loaded.
pub struct SavedModel {
    /// The network with its weights.
    pub network: Network,
    /// The optimizer with its state, where the file has it.
    pub optimizer: Option<Optimizer>,
    /// What else the file says.
    pub metadata: Metadata,
    /// Number format of the weights in the file.
    pub precision: Precision,
    /// Further tensors of the training by name, as [`save_with`] was given them.
    pub tensors: Vec<(String, Tensor)>,
}

/// Saves a model in the format that the name of the file says; a crash leaves the old file or the new one. Returns the size of the
/// file in bytes.
///
/// The optimizer's state is written as it is, whatever the precision of the weights. What the format has no place for is left out:
/// see `docs/formats.md`.
///
/// # Errors
/// [`Error::Ending`] for an ending of no format that is written, [`Error::Write`] where the file cannot be written,
/// [`Error::Overflow`] where the precision has no number as large as a weight, [`Error::ReservedName`] where a weight has
/// a name of the format's own, [`Error::Candle`] where the weights cannot be brought to the CPU.
pub fn save(path: &Path, contents: &Contents<'_>, precision: Precision) -> Result<u64> {
    write(path, &Model::of(contents)?.in_precision(precision))
}

/// Saves a model as [`save`] does, and beside it further tensors that the training needs to go on, by name.
///
/// They are written as they are, whatever the precision of the weights, and come back in [`SavedModel::tensors`].
///
/// # Errors
/// As [`save`].
pub fn save_with(
    path: &Path,
    contents: &Contents<'_>,
    tensors: &[(String, Tensor)],
    precision: Precision,
) -> Result<u64> {
    let mut model = Model::of(contents)?.in_precision(precision);
    for (name, tensor) in tensors {
        model.tensors.insert(name.clone(), StoredTensor::of(tensor)?);
    }
    write(path, &model)
}

/// The `.safetensors` file that [`save`] writes: a function of the contents, the same bytes every time.
///
/// # Errors
/// As [`save`].
pub fn to_bytes(contents: &Contents<'_>, precision: Precision) -> Result<Vec<u8>> {
    let model = Model::of(contents)?.in_precision(precision);
    let mut bytes = Cursor::new(Vec::new());
    native::write(&model, &mut bytes, &|source| Error::Write {
        path: model.path.clone(),
        source,
    })?;
    Ok(bytes.into_inner())
}

/// Loads a model of any format that is read, as float32 on `device` (float64 where the file has that).
///
/// # Errors
/// One that says what is wrong with the file: see [`Error`]. Nothing is executed, and no more memory is used than a few
/// times the size of the file.
pub fn load(path: &Path, device: &Device) -> Result<SavedModel> {
    open(path)?.load(device)
}

/// Opens a model file of any format that is read. The numbers stay in the file until they are used.
///
/// ```no_run
/// let model = persistence::open("digits.keras".as_ref())?;
/// println!("{}: {} weights, {}", model.format, model.weights.len(), model.precision());
/// # Ok::<(), persistence::Error>(())
/// ```
///
/// # Errors
/// One that says what is wrong with the file: see [`Error`].
pub fn open(path: &Path) -> Result<Model> {
    open_with(path, &Limits::default())
}

/// Opens a model file as [`open`] does, under other limits.
///
/// # Errors
/// As [`open`].
pub fn open_with(path: &Path, limits: &Limits) -> Result<Model> {
    read(&Source::open(path, limits)?)
}

/// Reads a model from bytes that are a file's, as the fuzz targets do.
///
/// # Errors
/// As [`open`].
pub fn read(source: &Source) -> Result<Model> {
    let format = Format::detect(source)?;
    match format {
        Format::Safetensors => native::read(source),
        Format::Keras => keras::read_archive(source),
        Format::WeightsH5 => keras::read_weights(source),
        Format::LegacyH5 => keras::read_legacy(source),
        Format::Torch => pytorch::read(source),
        Format::Onnx => onnx::read(source),
        Format::Npy => numpy::read_npy(source),
        Format::Npz => numpy::read_npz(source),
        other => Err(Error::NotRead {
            path: source.path().to_path_buf(),
            format: other,
        }),
    }
}

/// Writes a model in the format that the name of the file says, as [`save`] does. Returns the size of the file in bytes.
///
/// # Errors
/// As [`save`].
pub fn write(path: &Path, model: &Model) -> Result<u64> {
    let writer = Format::from_name(path).map(writer).ok_or_else(|| Error::Ending {
        path: path.to_path_buf(),
        found: path
            .extension()
            .map(|ending| ending.to_string_lossy().into_owned())
            .unwrap_or_default(),
    })?;
    atomic::write(path, |file, failed| writer(model, file, failed))
}

/// Fills a file with a model; the function makes an error of the system one of ours.
type Writer = fn(&Model, &mut Output, &dyn Fn(io::Error) -> Error) -> Result<()>;

/// What writes a format.
fn writer(format: Format) -> Writer {
    match format {
        Format::Safetensors => native::write,
        Format::Keras => keras::write_archive,
        Format::WeightsH5 => keras::write_weights,
        Format::LegacyH5 => keras::write_legacy,
        Format::Torch => pytorch::write,
        Format::Onnx => onnx::write,
        Format::Npy => numpy::write_npy,
        Format::Npz => numpy::write_npz,
        Format::Gguf => gguf::write,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_written_formats_is_complete() {
        for format in Format::ALL {
            assert!(WRITTEN.contains(&format), "{format}");
        }
    }
}
