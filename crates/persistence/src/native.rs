//! The native format: one safetensors file that holds weights, description, optimizer and training state.
//!
//! Any reader of safetensors opens it. Tensors are the weights by their Keras path, and the optimizer's state behind the
//! prefix `@optimizer/`. The metadata, all text:
//!
//! | key | what |
//! |---|---|
//! | `format`, `version` | `candle-lab`, `1` |
//! | `model` | the description as Keras JSON |
//! | `sha256` | of all tensor bytes in the order of their names |
//! | `precision` | number format of the weights in the file |
//! | `optimizer` | class and configuration of the optimizer (JSON), where its state is kept |
//! | `metadata` | classes and state of the training (JSON) |

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use models::Network;
use nn_theory::ModelSpec;
use optimizers::Optimizer;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{Error, Precision, Result, atomic};

/// Version of the format that is written and read.
pub const VERSION: u32 = 1;

/// Files larger than this are refused before they are read: 2 GiB.
pub const MAX_BYTES: u64 = 2 << 30;

const FORMAT: &str = "candle-lab";
const OPTIMIZER: &str = "@optimizer/";

/// What is known of a model besides its weights.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Metadata {
    /// Names of the classes, in the order of the outputs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<String>,
    /// Where training stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub training: Option<TrainingState>,
}

/// Where training stands: what a resumed training must know besides weights and optimizer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TrainingState {
    /// The seed of all random draws. Draws are keyed by seed, epoch and sample, so no other generator state exists.
    pub seed: u64,
    /// Samples of one step.
    pub batch_size: usize,
    /// The augmentation pipeline in its text form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub augment: Option<String>,
    /// Name (or folder) of the data set that is learnt from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// Share of the training samples that is held out.
    #[serde(default)]
    pub validation_split: f64,
    /// The records of the epochs that are done.
    pub history: serde_json::Value,
}

/// An optimizer as Keras' configurations name it.
#[derive(Serialize, Deserialize)]
struct OptimizerDescription {
    class_name: String,
    config: serde_json::Value,
}

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
}

/// Saves a model; a crash leaves the old file or the new one. Returns the size of the file in bytes.
///
/// The optimizer's state is written as it is, whatever the precision of the weights.
///
/// # Errors
/// [`Error::Ending`] for another ending than `.safetensors`, [`Error::Write`] where the file cannot be written.
pub fn save(path: &Path, contents: &Contents<'_>, precision: Precision) -> Result<u64> {
    let ending = path
        .extension()
        .map(|ending| ending.to_string_lossy().to_lowercase())
        .unwrap_or_default();
    if ending != "safetensors" {
        return Err(Error::Ending {
            path: path.to_path_buf(),
            found: ending,
        });
    }
    let bytes = to_bytes(contents, precision)?;
    atomic::write(path, &bytes)?;
    Ok(bytes.len() as u64)
}

/// The file that [`save`] writes.
///
/// # Errors
/// [`Error::Candle`] where the weights cannot be brought to the CPU.
pub fn to_bytes(contents: &Contents<'_>, precision: Precision) -> Result<Vec<u8>> {
    let mut tensors: BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)> = BTreeMap::new();
    for weight in contents.network.weights() {
        let value = weight.var.as_tensor().to_dtype(precision.dtype())?;
        tensors.insert(weight.path.clone(), raw(&value)?);
    }
    let mut metadata: BTreeMap<String, String> = BTreeMap::new();
    if let Some(optimizer) = contents.optimizer {
        for (name, value) in optimizer.state()? {
            tensors.insert(format!("{OPTIMIZER}{name}"), raw(&value)?);
        }
        let description = OptimizerDescription {
            class_name: optimizer.class().to_string(),
            config: optimizer.config(),
        };
        metadata.insert("optimizer".to_string(), json_text(&description));
    }
    metadata.insert("format".to_string(), FORMAT.to_string());
    metadata.insert("version".to_string(), VERSION.to_string());
    metadata.insert("model".to_string(), contents.network.spec().to_keras_json());
    metadata.insert("precision".to_string(), json_text(&precision));
    metadata.insert("metadata".to_string(), json_text(contents.metadata));
    metadata.insert(
        "sha256".to_string(),
        checksum(tensors.values().map(|(_, _, bytes)| bytes.as_slice())),
    );
    let views = tensors.iter().map(|(name, (dtype, shape, bytes))| {
        TensorView::new(*dtype, shape.clone(), bytes).map(|view| (name.as_str(), view))
    });
    let views = views
        .collect::<std::result::Result<Vec<_>, _>>()
        .map_err(candle_core::Error::wrap)?;
    // safetensors writes the metadata in the order of a hash map; the file is a function of its contents all the same
    // where there is one order only.
    Ok(safetensors::serialize(views, Some(metadata.into_iter().collect())).map_err(candle_core::Error::wrap)?)
}

/// Loads a model that [`save`] wrote, as float32 on `device` (float64 where the file has that).
///
/// # Errors
/// One that says what is wrong with the file: see [`Error`]. Nothing is executed, and no more memory is used than a few
/// times the size of the file.
pub fn load(path: &Path, device: &Device) -> Result<SavedModel> {
    from_bytes(path, &read(path)?, device)
}

fn from_bytes(path: &Path, bytes: &[u8], device: &Device) -> Result<SavedModel> {
    let damaged = |reason: String| Error::Damaged {
        path: path.to_path_buf(),
        reason,
    };
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|error| damaged(error.to_string()))?;
    let file = SafeTensors::deserialize(bytes).map_err(|error| damaged(error.to_string()))?;
    let texts: BTreeMap<&str, &str> = header
        .metadata()
        .iter()
        .flatten()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .collect();
    let text = |key: &'static str| {
        texts.get(key).copied().ok_or(Error::NoModel {
            path: path.to_path_buf(),
            key,
        })
    };
    if text("format")? != FORMAT {
        return Err(Error::NoModel {
            path: path.to_path_buf(),
            key: "format",
        });
    }
    if text("version")? != VERSION.to_string() {
        return Err(Error::Version {
            path: path.to_path_buf(),
            found: shorten(text("version")?),
            expected: VERSION,
        });
    }
    let mut names: Vec<&str> = file.names().into_iter().collect();
    names.sort_unstable();
    let views = names.iter().map(|name| file.tensor(name).map(|view| (*name, view)));
    let views: Vec<(&str, TensorView<'_>)> = views
        .collect::<std::result::Result<_, _>>()
        .map_err(|error| damaged(error.to_string()))?;
    let (expected, found) = (text("sha256")?, checksum(views.iter().map(|(_, view)| view.data())));
    if expected != found {
        return Err(Error::Checksum {
            path: path.to_path_buf(),
            expected: shorten(expected),
            found,
        });
    }
    let precision: Precision = parse(path, "precision", text("precision")?)?;
    let metadata: Metadata = parse(path, "metadata", text("metadata")?)?;
    let spec = ModelSpec::from_keras_json(text("model")?)?;
    check_tensors(path, &spec, &views)?;
    let dtype = if precision == Precision::F64 {
        DType::F64
    } else {
        DType::F32
    };
    let mut network = Network::new(spec, 0, device, dtype)?;
    let mut state = Vec::new();
    for (name, view) in &views {
        let tensor = tensor(path, name, view, device)?;
        match name.strip_prefix(OPTIMIZER) {
            Some(name) => state.push((name.to_string(), tensor)),
            None => network.set_weight(name, &tensor)?,
        }
    }
    let optimizer = match texts.get("optimizer") {
        None => None,
        Some(config) => {
            let description: OptimizerDescription = parse(path, "optimizer", config)?;
            let mut optimizer = Optimizer::from_config(&description.class_name, &description.config)?;
            optimizer.load_state(&state)?;
            Some(optimizer)
        }
    };
    Ok(SavedModel {
        network,
        optimizer,
        metadata,
        precision,
    })
}

/// Every weight is there once with its shape, and nothing else but the optimizer's state.
fn check_tensors(path: &Path, spec: &ModelSpec, views: &[(&str, TensorView<'_>)]) -> Result<()> {
    let mut expected: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for weight in spec.weights() {
        expected.insert(weight.path, weight.shape.iter().map(|&size| size as usize).collect());
    }
    for (name, view) in views.iter().filter(|(name, _)| !name.starts_with(OPTIMIZER)) {
        match expected.remove(*name) {
            None => {
                return Err(Error::ExtraTensor {
                    path: path.to_path_buf(),
                    tensor: shorten(name),
                });
            }
            Some(shape) if shape != view.shape() => {
                return Err(Error::Shape {
                    path: path.to_path_buf(),
                    tensor: shorten(name),
                    expected: shape,
                    found: view.shape().to_vec(),
                });
            }
            Some(_) => {}
        }
    }
    match expected.into_keys().next() {
        Some(weight) => Err(Error::MissingWeight {
            path: path.to_path_buf(),
            weight,
        }),
        None => Ok(()),
    }
}

/// The whole file, if it is not too large.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    let failed = |source| Error::Read {
        path: path.to_path_buf(),
        source,
    };
    let file = File::open(path).map_err(failed)?;
    let size = file.metadata().map_err(failed)?.len();
    if size > MAX_BYTES {
        return Err(Error::TooLarge {
            path: path.to_path_buf(),
            bytes: size,
            limit: MAX_BYTES,
        });
    }
    let mut bytes = Vec::with_capacity(size as usize);
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

fn tensor(path: &Path, name: &str, view: &TensorView<'_>, device: &Device) -> Result<Tensor> {
    let dtype = match view.dtype() {
        Dtype::F16 => DType::F16,
        Dtype::BF16 => DType::BF16,
        Dtype::F32 => DType::F32,
        Dtype::F64 => DType::F64,
        Dtype::I64 => DType::I64,
        Dtype::U32 => DType::U32,
        other => {
            return Err(Error::NumberFormat {
                path: path.to_path_buf(),
                tensor: shorten(name),
                found: format!("{other:?}"),
            });
        }
    };
    Ok(Tensor::from_raw_buffer(view.data(), dtype, view.shape(), device)?)
}

/// Number format, shape and little-endian bytes of a tensor.
fn raw(tensor: &Tensor) -> Result<(Dtype, Vec<usize>, Vec<u8>)> {
    let flat = tensor.to_device(&Device::Cpu)?.flatten_all()?;
    fn bytes<T: Copy, const N: usize>(values: Vec<T>, to: impl Fn(T) -> [u8; N]) -> Vec<u8> {
        values.into_iter().flat_map(to).collect()
    }
    let (dtype, bytes) = match tensor.dtype() {
        DType::F16 => (Dtype::F16, bytes(flat.to_vec1::<half::f16>()?, half::f16::to_le_bytes)),
        DType::BF16 => (
            Dtype::BF16,
            bytes(flat.to_vec1::<half::bf16>()?, half::bf16::to_le_bytes),
        ),
        DType::F64 => (Dtype::F64, bytes(flat.to_vec1::<f64>()?, f64::to_le_bytes)),
        DType::I64 => (Dtype::I64, bytes(flat.to_vec1::<i64>()?, i64::to_le_bytes)),
        DType::U32 => (Dtype::U32, bytes(flat.to_vec1::<u32>()?, u32::to_le_bytes)),
        _ => (
            Dtype::F32,
            bytes(flat.to_dtype(DType::F32)?.to_vec1::<f32>()?, f32::to_le_bytes),
        ),
    };
    Ok((dtype, tensor.dims().to_vec(), bytes))
}

fn checksum<'a>(parts: impl Iterator<Item = &'a [u8]>) -> String {
    let mut hash = Sha256::new();
    parts.for_each(|part| hash.update(part));
    hash.finalize().iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn json_text(value: &impl Serialize) -> String {
    // These types hold only strings, numbers and lists, which always have a JSON form.
    serde_json::to_string(value).unwrap_or_default()
}

fn parse<'a, T: Deserialize<'a>>(path: &Path, key: &'static str, text: &'a str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| Error::Metadata {
        path: path.to_path_buf(),
        key,
        reason: error.to_string(),
    })
}

/// At most 60 characters of a text that came from a file.
fn shorten(text: &str) -> String {
    text.chars().take(60).collect()
}
