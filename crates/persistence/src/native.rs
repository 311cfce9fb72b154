//! The native format: one safetensors file that holds weights, description, optimizer and training state.
//!
//! Any reader of safetensors opens it. Tensors are the weights by their Keras path, and the optimizer's state behind the
//! prefix `@optimizer/`, what else the training keeps behind `@training/`. The metadata, all text:
//!
//! | key | what |
//! |---|---|
//! | `format`, `version` | `candle-lab`, `1` |
//! | `model` | the description as Keras JSON |
//! | `precision` | number format of the weights in the file |
//! | `metadata` | classes and state of the training (JSON) |
//! | `optimizer` | class and configuration of the optimizer (JSON), where its state is kept |
//! | `trainable` | weights that are frozen or thawed against what the description says (JSON), where there are any |
//! | `sha256` | of the whole file with 64 zeros in the place of this checksum |

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use models::Network;
use nn_theory::ModelSpec;
use optimizers::Optimizer;
use safetensors::tensor::{Dtype, TensorView};
use serde::{Deserialize, Serialize};

use crate::container::{self, Container, RawTensor, shorten};
use crate::{Error, Precision, Result, atomic};

/// Version of the format that is written and read.
pub const VERSION: u32 = 1;

/// Files larger than this are refused before they are read: 2 GiB.
pub const MAX_BYTES: u64 = 2 << 30;

const FORMAT: &str = "candle-lab";
/// Prefix of the tensors that are the optimizer's state.
pub(crate) const OPTIMIZER: &str = "@optimizer/";
/// Prefix of further tensors that the training keeps.
pub(crate) const TRAINING: &str = "@training/";

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
    /// Further options of the program that trains, in its own words.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub options: serde_json::Value,
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
    /// Further tensors of the training by name, as [`save_with`] was given them.
    pub tensors: Vec<(String, Tensor)>,
}

/// Saves a model; a crash leaves the old file or the new one. Returns the size of the file in bytes.
///
/// The optimizer's state is written as it is, whatever the precision of the weights.
///
/// # Errors
/// [`Error::Ending`] for another ending than `.safetensors`, [`Error::Write`] where the file cannot be written.
pub fn save(path: &Path, contents: &Contents<'_>, precision: Precision) -> Result<u64> {
    save_with(path, contents, &[], precision)
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
    let bytes = all_bytes(contents, tensors, precision)?;
    atomic::write(path, &bytes)?;
    Ok(bytes.len() as u64)
}

/// The file that [`save`] writes: a function of the contents, the same bytes every time.
///
/// # Errors
/// [`Error::Overflow`] where the precision has no number as large as a weight, [`Error::ReservedName`] where a weight has
/// a name of the format's own, [`Error::Candle`] where the weights cannot be brought to the CPU.
pub fn to_bytes(contents: &Contents<'_>, precision: Precision) -> Result<Vec<u8>> {
    all_bytes(contents, &[], precision)
}

fn all_bytes(contents: &Contents<'_>, further: &[(String, Tensor)], precision: Precision) -> Result<Vec<u8>> {
    let network = contents.network;
    let mut tensors = BTreeMap::new();
    for weight in network.weights() {
        if is_state(&weight.path) || weight.path == "__metadata__" {
            return Err(Error::ReservedName {
                weight: weight.path.clone(),
            });
        }
        let value = weight.var.as_tensor().to_dtype(precision.dtype())?;
        check_range(&weight.path, weight.var.as_tensor(), &value, precision)?;
        tensors.insert(weight.path.clone(), raw(&value)?);
    }
    for (name, value) in further {
        tensors.insert(format!("{TRAINING}{name}"), raw(value)?);
    }
    let mut texts = BTreeMap::new();
    if let Some(optimizer) = contents.optimizer {
        for (name, value) in optimizer.state()? {
            tensors.insert(format!("{OPTIMIZER}{name}"), raw(&value)?);
        }
        let description = OptimizerDescription {
            class_name: optimizer.class().to_string(),
            config: optimizer.config(),
        };
        texts.insert("optimizer", json_text(&description));
    }
    let declared: BTreeMap<String, bool> = declared_trainable(network.spec());
    let changed: BTreeMap<&str, bool> = network
        .weights()
        .filter(|weight| declared.get(&weight.path) != Some(&weight.trainable))
        .map(|weight| (weight.path.as_str(), weight.trainable))
        .collect();
    if !changed.is_empty() {
        texts.insert("trainable", json_text(&changed));
    }
    texts.insert("format", FORMAT.to_string());
    texts.insert("version", VERSION.to_string());
    texts.insert("model", network.spec().to_keras_json());
    texts.insert("precision", json_text(&precision));
    texts.insert("metadata", json_text(contents.metadata));
    let texts = texts.into_iter().map(|(key, text)| (key.to_string(), text)).collect();
    Ok(container::write(&tensors, texts))
}

/// Whether a tensor of a file is not a weight.
fn is_state(name: &str) -> bool {
    name.starts_with(OPTIMIZER) || name.starts_with(TRAINING)
}

fn declared_trainable(spec: &ModelSpec) -> BTreeMap<String, bool> {
    spec.weights()
        .into_iter()
        .map(|weight| (weight.path, weight.trainable))
        .collect()
}

/// A finite weight must not become infinite on the way to disk.
fn check_range(path: &str, value: &Tensor, rounded: &Tensor, precision: Precision) -> Result<()> {
    let numbers = |tensor: &Tensor| tensor.flatten_all()?.to_dtype(DType::F64)?.to_vec1::<f64>();
    let lost = numbers(value)?
        .into_iter()
        .zip(numbers(rounded)?)
        .find(|(value, rounded)| value.is_finite() && !rounded.is_finite());
    match lost {
        None => Ok(()),
        Some((value, _)) => Err(Error::Overflow {
            weight: path.to_string(),
            value,
            precision,
        }),
    }
}

/// Loads a model that [`save`] wrote, as float32 on `device` (float64 where the file has that).
///
/// # Errors
/// One that says what is wrong with the file: see [`Error`]. Nothing is executed, and no more memory is used than a few
/// times the size of the file.
pub fn load(path: &Path, device: &Device) -> Result<SavedModel> {
    from_bytes(path, &read(path)?, device).map_err(|error| error.in_file(path))
}

fn from_bytes(path: &Path, bytes: &[u8], device: &Device) -> Result<SavedModel> {
    let file = Container::read(path, bytes)?;
    if file.text(path, "format")? != FORMAT {
        return Err(Error::NoModel {
            path: path.to_path_buf(),
            key: "format",
        });
    }
    let version = file.text(path, "version")?;
    if version != VERSION.to_string() {
        return Err(Error::Version {
            path: path.to_path_buf(),
            found: shorten(version),
            expected: VERSION,
        });
    }
    file.verify(path, bytes)?;
    let precision: Precision = parse(path, "precision", file.text(path, "precision")?)?;
    let metadata: Metadata = parse(path, "metadata", file.text(path, "metadata")?)?;
    let spec = ModelSpec::from_keras_json(file.text(path, "model")?)?;
    check_tensors(path, &spec, &file)?;
    let dtype = if precision == Precision::F64 {
        DType::F64
    } else {
        DType::F32
    };
    let mut network = Network::new(spec, 0, device, dtype)?;
    let (mut state, mut tensors) = (Vec::new(), Vec::new());
    for (name, view) in &file.tensors {
        let tensor = tensor(path, name, view, device)?;
        if let Some(name) = name.strip_prefix(TRAINING) {
            tensors.push((name.to_string(), tensor));
            continue;
        }
        match name.strip_prefix(OPTIMIZER) {
            Some(name) => state.push((name.to_string(), tensor)),
            None if !tensor.dtype().is_float() => return Err(number_format(path, name, view)),
            None => network.set_weight(name, &tensor)?,
        }
    }
    if let Some(text) = file.texts.get("trainable") {
        let changed: BTreeMap<String, bool> = parse(path, "trainable", text)?;
        for (weight, trainable) in changed {
            network.set_trainable(&weight, trainable)?;
        }
    }
    let optimizer = match file.texts.get("optimizer") {
        None => None,
        Some(text) => Some(restore_optimizer(path, text, state, &network)?),
    };
    Ok(SavedModel {
        network,
        optimizer,
        metadata,
        precision,
        tensors,
    })
}

/// The optimizer with its state, which must belong to the network's weights.
fn restore_optimizer(path: &Path, text: &str, state: Vec<(String, Tensor)>, network: &Network) -> Result<Optimizer> {
    let description: OptimizerDescription = parse(path, "optimizer", text)?;
    let mut optimizer = Optimizer::from_config(&description.class_name, &description.config)?;
    let mut owners = BTreeMap::new();
    let mut converted = Vec::with_capacity(state.len());
    for (name, tensor) in state {
        // `path/slot` belongs to a weight; a name without a slash to the optimizer as a whole.
        let Some((owner, _)) = name.rsplit_once('/') else {
            converted.push((name, tensor));
            continue;
        };
        let Some(weight) = network.weight(owner) else {
            return Err(Error::ExtraTensor {
                path: path.to_path_buf(),
                tensor: shorten(&format!("{OPTIMIZER}{name}")),
            });
        };
        owners.insert(owner.to_string(), &weight.var);
        // A network of float64 that was saved in less comes back as float32, and its optimizer with it.
        let tensor = if tensor.dtype().is_float() {
            tensor.to_dtype(network.dtype())?
        } else {
            tensor
        };
        converted.push((name, tensor));
    }
    optimizer.load_state(&converted)?;
    let owners: Vec<_> = owners.iter().map(|(path, var)| (path.as_str(), *var)).collect();
    optimizer.build_state(&owners)?;
    Ok(optimizer)
}

/// Every weight is there once with its shape, and nothing else but the optimizer's state.
fn check_tensors(path: &Path, spec: &ModelSpec, file: &Container<'_>) -> Result<()> {
    let has_optimizer = file.texts.contains_key("optimizer");
    let mut expected: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for weight in spec.weights() {
        expected.insert(weight.path, weight.shape.iter().map(|&size| size as usize).collect());
    }
    let weights = file
        .tensors
        .iter()
        .filter(|(name, _)| !(has_optimizer && is_state(name)));
    for (name, view) in weights {
        match expected.remove(name) {
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
    // Asked before the file is opened: opening a pipe would wait for its other end.
    let about = std::fs::metadata(path).map_err(failed)?;
    if !about.is_file() {
        return Err(failed(std::io::Error::new(
            std::io::ErrorKind::InvalidInput,
            "it is a folder or a device, not a file",
        )));
    }
    let size = about.len();
    if size > MAX_BYTES {
        return Err(Error::TooLarge {
            path: path.to_path_buf(),
            bytes: size,
            limit: MAX_BYTES,
        });
    }
    let mut bytes = Vec::with_capacity(size as usize);
    let file = File::open(path).map_err(failed)?;
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
        _ => return Err(number_format(path, name, view)),
    };
    Ok(Tensor::from_raw_buffer(view.data(), dtype, view.shape(), device)?)
}

fn number_format(path: &Path, name: &str, view: &TensorView<'_>) -> Error {
    Error::NumberFormat {
        path: path.to_path_buf(),
        tensor: shorten(name),
        found: view.dtype().to_string(),
    }
}

/// Number format, shape and little-endian bytes of a tensor.
fn raw(tensor: &Tensor) -> Result<RawTensor> {
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
    Ok(RawTensor {
        dtype,
        shape: tensor.dims().to_vec(),
        bytes,
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
