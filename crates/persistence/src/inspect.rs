//! What a file holds, without building a network from it.

use std::path::Path;

use crate::native::{OPTIMIZER, TRAINING};
use crate::{Format, Limits, Model, Result, Source, StoredTensor, read};

/// A tensor of a file.
#[derive(Clone, Debug)]
pub struct ListedTensor {
    /// Its name: the path of a weight, or `@optimizer/` and the name of a part of the optimizer's state, or `@training/` and
    /// the name of what else the training keeps.
    pub name: String,
    /// The number format in safetensors' words, such as `F32`.
    pub dtype: String,
    /// Its shape; empty for a single number.
    pub shape: Vec<usize>,
    /// Bytes of its numbers.
    pub bytes: u64,
    /// The numbers.
    pub tensor: StoredTensor,
}

impl ListedTensor {
    fn new(prefix: &str, name: &str, tensor: &StoredTensor) -> Self {
        ListedTensor {
            name: format!("{prefix}{name}"),
            dtype: tensor.dtype().to_string(),
            shape: tensor.shape().to_vec(),
            bytes: tensor.byte_len() as u64,
            tensor: tensor.clone(),
        }
    }

    /// Whether it is neither a weight nor the optimizer's, but what else a training keeps to go on.
    pub fn is_training_state(&self) -> bool {
        self.name.starts_with(TRAINING)
    }

    /// Whether it belongs to the optimizer's state.
    pub fn is_optimizer_state(&self) -> bool {
        self.name.starts_with(OPTIMIZER)
    }
}

/// The contents of a model file.
#[derive(Clone, Debug)]
pub struct Inspection {
    /// Size of the file.
    pub bytes: u64,
    /// Size of the header of a safetensors file: names, shapes and metadata.
    pub header_bytes: Option<u64>,
    /// The metadata, sorted by key.
    pub metadata: Vec<(String, String)>,
    /// The tensors, sorted by name.
    pub tensors: Vec<ListedTensor>,
    /// The checksum in the header of a file of our own.
    pub sha256: Option<String>,
    /// All that was read.
    pub model: Model,
}

impl Inspection {
    /// The same file after its model was described.
    pub fn of(model: Model, file: &Inspection) -> Self {
        Inspection {
            tensors: listed(&model),
            model,
            ..file.clone()
        }
    }

    /// Bytes of all tensors.
    pub fn tensor_bytes(&self) -> u64 {
        self.tensors.iter().map(|tensor| tensor.bytes).sum()
    }
}

/// All tensors of a model, sorted by name.
fn listed(model: &Model) -> Vec<ListedTensor> {
    let weights = model
        .weights
        .iter()
        .map(|(name, tensor)| ListedTensor::new("", name, tensor));
    let state = model.optimizer.iter().flat_map(|optimizer| &optimizer.tensors);
    let state = state.map(|(name, tensor)| ListedTensor::new(OPTIMIZER, name, tensor));
    let further = model
        .tensors
        .iter()
        .map(|(name, tensor)| ListedTensor::new(TRAINING, name, tensor));
    let mut tensors: Vec<_> = weights.chain(state).chain(further).collect();
    tensors.sort_by(|a, b| a.name.cmp(&b.name));
    tensors
}

/// Figures of the numbers of a tensor.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Statistics {
    /// $\sqrt{\sum x^2}$ of the finite numbers.
    pub norm: f64,
    /// Mean of the finite numbers; 0 where there are none.
    pub mean: f64,
    /// The smallest finite number; 0 where there are none.
    pub min: f64,
    /// The largest finite number; 0 where there are none.
    pub max: f64,
    /// Numbers that are NaN or infinite.
    pub non_finite: usize,
}

impl Statistics {
    /// Goes through all numbers of a tensor once.
    ///
    /// ```
    /// use persistence::{Statistics, StoredTensor};
    ///
    /// let tensor = candle_core::Tensor::new(&[3f32, 4.0, f32::NAN], &candle_core::Device::Cpu)?;
    /// let figures = Statistics::of(&StoredTensor::of(&tensor)?)?;
    /// assert_eq!((figures.norm, figures.mean, figures.non_finite), (5.0, 3.5, 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`StoredTensor::to_f64`].
    pub fn of(tensor: &StoredTensor) -> Result<Self> {
        let (mut squares, mut sum, mut count) = (0.0, 0.0, 0usize);
        let mut found = Statistics::default();
        for number in tensor.to_f64()? {
            if !number.is_finite() {
                found.non_finite += 1;
                continue;
            }
            (found.min, found.max) = if count == 0 {
                (number, number)
            } else {
                (found.min.min(number), found.max.max(number))
            };
            squares += number * number;
            sum += number;
            count += 1;
        }
        tensor.release();
        found.norm = f64::sqrt(squares);
        found.mean = sum / count.max(1) as f64;
        Ok(found)
    }
}

/// Lists what is in a model file, also one of another program.
///
/// ```no_run
/// let file = persistence::inspect("digits.safetensors".as_ref())?;
/// for tensor in &file.tensors {
///     println!("{:40} {:5} {:?}", tensor.name, tensor.dtype, tensor.shape);
/// }
/// # Ok::<(), persistence::Error>(())
/// ```
///
/// # Errors
/// As [`crate::open`].
pub fn inspect(path: &Path) -> Result<Inspection> {
    let source = Source::open(path, &Limits::default())?;
    let model = read(&source)?;
    let header_bytes = match (model.format, source.bytes().first_chunk()) {
        (Format::Safetensors, Some(length)) => Some(u64::from_le_bytes(*length)),
        _ => None,
    };
    Ok(Inspection {
        bytes: source.bytes().len() as u64,
        header_bytes,
        metadata: model.texts.clone().into_iter().collect(),
        tensors: listed(&model),
        sha256: model.spec.as_ref().and_then(|_| model.texts.get("sha256").cloned()),
        model,
    })
}
