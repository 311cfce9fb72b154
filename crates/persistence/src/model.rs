//! What is in a model file, whatever its format: every reader returns it, every writer takes it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_core::{DType, Device};
use indexmap::IndexMap;
use models::Network;
use nn_theory::ModelSpec;
use optimizers::Optimizer;
use serde_json::Value;

use crate::source::shorten;
use crate::{Contents, Error, Format, Metadata, Precision, Result, SavedModel, StoredTensor};

/// The contents of a model file; numbers are fetched from the file when they are used.
///
/// ```
/// use candle_core::{DType, Device};
/// use models::{Network, zoo};
/// use persistence::{Contents, Metadata, Model};
///
/// let network = Network::new(zoo::cats_vs_dogs()?, 6020, &Device::Cpu, DType::F32)?;
/// let metadata = Metadata::default();
/// let model = Model::of(&Contents { network: &network, optimizer: None, metadata: &metadata })?;
/// assert_eq!(model.weights["H01/kernel"].shape(), [1024, 2]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Model {
    /// Where it was read, for messages; empty for a model that was not.
    pub path: PathBuf,
    /// The format that it was read from.
    pub format: Format,
    /// What the network is made of, where the file says so.
    pub spec: Option<ModelSpec>,
    /// The weights: by Keras' path and in Keras' layout where the network is known, else as the file has them.
    pub weights: IndexMap<String, StoredTensor>,
    /// Weights that are frozen or thawed against what the description says.
    pub trainable: BTreeMap<String, bool>,
    /// The optimizer and its state.
    pub optimizer: Option<OptimizerState>,
    /// Class names, preprocessing and where training stands.
    pub metadata: Metadata,
    /// Further tensors that the training keeps, by name.
    pub tensors: IndexMap<String, StoredTensor>,
    /// Short texts that the file has about itself, by key.
    pub texts: BTreeMap<String, String>,
    /// What the reader found and did not take or did not do, one sentence each.
    pub notes: Vec<String>,
}

/// An optimizer as Keras' configurations name it, with its state as [`Optimizer::state`] names it.
#[derive(Clone, Debug)]
pub struct OptimizerState {
    /// Keras' class.
    pub class_name: String,
    /// Keras' configuration.
    pub config: Value,
    /// `iterations`, numbers of the algorithm, and `WEIGHT/SLOT`.
    pub tensors: IndexMap<String, StoredTensor>,
}

impl Model {
    /// An empty model of a format, for a reader to fill.
    pub fn new(path: &Path, format: Format) -> Self {
        Model {
            path: path.to_path_buf(),
            format,
            spec: None,
            weights: IndexMap::new(),
            trainable: BTreeMap::new(),
            optimizer: None,
            metadata: Metadata::default(),
            tensors: IndexMap::new(),
            texts: BTreeMap::new(),
            notes: Vec::new(),
        }
    }

    /// A network, its optimizer and what else is known of it. The numbers are shared, not copied.
    ///
    /// # Errors
    /// [`Error::Candle`] where a weight has a number format that no file has.
    pub fn of(contents: &Contents<'_>) -> Result<Self> {
        let network = contents.network;
        let mut model = Model::new(Path::new(""), Format::Safetensors);
        for weight in network.weights() {
            let tensor = StoredTensor::of(weight.var.as_tensor())?;
            model.weights.insert(weight.path.clone(), tensor);
        }
        if let Some(optimizer) = contents.optimizer {
            let mut tensors = IndexMap::new();
            for (name, value) in optimizer.state()? {
                tensors.insert(name, StoredTensor::of(&value)?);
            }
            model.optimizer = Some(OptimizerState {
                class_name: optimizer.class().to_string(),
                config: optimizer.config(),
                tensors,
            });
        }
        let declared = declared_trainable(network.spec());
        model.trainable = network
            .weights()
            .filter(|weight| declared.get(&weight.path) != Some(&weight.trainable))
            .map(|weight| (weight.path.clone(), weight.trainable))
            .collect();
        model.spec = Some(network.spec().clone());
        model.metadata = contents.metadata.clone();
        Ok(model)
    }

    /// The same model with its weights in another number format; the optimizer's state stays as it is.
    pub fn in_precision(mut self, precision: Precision) -> Self {
        for (name, tensor) in &mut self.weights {
            *tensor = tensor.in_precision(name, precision);
        }
        self
    }

    /// The same model, for someone who waits while it is written: `told` hears of each tensor, when its turn comes, how many bytes it
    /// has, once and from any thread. All of them together are [`Model::tensor_bytes`].
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicU64, Ordering};
    /// use candle_core::{Device, Tensor};
    /// use persistence::{Format, Model, StoredTensor};
    ///
    /// let mut model = Model::new("x.npz".as_ref(), Format::Npz);
    /// model.weights.insert("a".into(), StoredTensor::of(&Tensor::new(&[1f32, 2.0], &Device::Cpu)?)?);
    /// let heard = Arc::new(AtomicU64::new(0));
    /// let told = Arc::clone(&heard);
    /// let model = model.watched(move |bytes| { told.fetch_add(bytes, Ordering::Relaxed); });
    /// persistence::write(&tempfile::tempdir()?.path().join("x.npz"), &model)?;
    /// assert_eq!((heard.load(Ordering::Relaxed), model.tensor_bytes()), (8, 8));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn watched(mut self, told: impl Fn(u64) + Send + Sync + 'static) -> Self {
        let told: Arc<dyn Fn(u64) + Send + Sync> = Arc::new(told);
        let optimizer = self.optimizer.iter_mut().flat_map(|state| state.tensors.values_mut());
        for tensor in self
            .weights
            .values_mut()
            .chain(self.tensors.values_mut())
            .chain(optimizer)
        {
            *tensor = tensor.clone().watched(Arc::clone(&told));
        }
        self
    }

    /// Bytes of all tensors: weights, the optimizer's state, and what else a training keeps.
    pub fn tensor_bytes(&self) -> u64 {
        let optimizer = self.optimizer.iter().flat_map(|state| state.tensors.values());
        let all = self.weights.values().chain(self.tensors.values()).chain(optimizer);
        all.map(|tensor| tensor.byte_len() as u64).sum()
    }

    /// The number format of the weights: the widest one, where there are several.
    pub fn precision(&self) -> Precision {
        let formats = self.weights.values().filter_map(|tensor| Precision::of(tensor.dtype()));
        formats.max_by_key(|precision| precision.bytes()).unwrap_or_default()
    }

    /// Says what network the weights of a file without a description belong to, so that they get the names that they have in it.
    ///
    /// # Errors
    /// [`Error::MissingWeight`], [`Error::ExtraTensor`] or [`Error::Shape`] where it is another network's file.
    pub fn describe(&mut self, spec: ModelSpec) -> Result<()> {
        if self.format == Format::WeightsH5 && self.spec.is_none() {
            return crate::keras::describe(self, spec);
        }
        if self.format == Format::Torch && self.spec.is_none() {
            self.weights = crate::pytorch::weights_for(&self.path, &spec, &self.weights)?;
        }
        self.spec = Some(spec);
        self.check()
    }

    /// The description of the network.
    ///
    /// # Errors
    /// [`Error::NoDescription`] where the file has none.
    pub fn described(&self) -> Result<&ModelSpec> {
        self.spec.as_ref().ok_or_else(|| Error::NoDescription {
            path: self.path.clone(),
            format: self.format,
        })
    }

    /// Every weight of the description is there once with its shape, and nothing else.
    ///
    /// # Errors
    /// [`Error::NoDescription`], [`Error::MissingWeight`], [`Error::ExtraTensor`], [`Error::Shape`] or [`Error::NumberFormat`].
    pub fn check(&self) -> Result<()> {
        let mut expected: IndexMap<String, Vec<usize>> = IndexMap::new();
        for weight in self.described()?.weights() {
            expected.insert(weight.path, weight.shape.iter().map(|&size| size as usize).collect());
        }
        let (path, missing) = (
            &self.path,
            expected.keys().find(|name| !self.weights.contains_key(*name)),
        );
        for (name, tensor) in &self.weights {
            let tensor_name = || shorten(name);
            match expected.get(name) {
                None => {
                    return Err(Error::ExtraTensor {
                        path: path.clone(),
                        tensor: tensor_name(),
                    });
                }
                Some(shape) if shape != tensor.shape() => {
                    return Err(Error::Shape {
                        path: path.clone(),
                        tensor: tensor_name(),
                        expected: shape.clone(),
                        found: tensor.shape().to_vec(),
                    });
                }
                // Keras keeps a few counters and seeds as integers; candle's networks hold them as floating-point numbers.
                Some(_) if !tensor.is_float() && self.format == Format::Safetensors => {
                    return Err(Error::NumberFormat {
                        path: path.clone(),
                        tensor: tensor_name(),
                        found: tensor.dtype().to_string(),
                    });
                }
                Some(_) => {}
            }
        }
        match missing {
            Some(weight) => Err(Error::MissingWeight {
                path: path.clone(),
                weight: weight.clone(),
            }),
            None => Ok(()),
        }
    }

    /// The network with its weights, as float32 on `device` (float64 where the file has that).
    ///
    /// # Errors
    /// As [`Model::check`], and [`Error::Content`] where the described network cannot be made.
    pub fn network(&self, device: &Device) -> Result<Network> {
        self.check()?;
        self.build(device).map_err(|error| error.in_file(&self.path))
    }

    fn build(&self, device: &Device) -> Result<Network> {
        let dtype = match self.precision() {
            Precision::F64 => DType::F64,
            _ => DType::F32,
        };
        let mut network = Network::new(self.described()?.clone(), 0, device, dtype)?;
        for (name, tensor) in &self.weights {
            network.set_weight(name, &tensor.to_tensor(device)?)?;
            tensor.release();
        }
        for (weight, trainable) in &self.trainable {
            network.set_trainable(weight, *trainable)?;
        }
        Ok(network)
    }

    /// The optimizer with its state, for the network that [`Model::network`] made.
    ///
    /// # Errors
    /// [`Error::ExtraTensor`] for state of a weight that the network lacks, [`Error::Content`] where optimizer and state do not fit.
    pub fn restore_optimizer(&self, network: &Network) -> Result<Option<Optimizer>> {
        let Some(state) = &self.optimizer else {
            return Ok(None);
        };
        let restored = state.restore(&self.path, network).map(Some);
        restored.map_err(|error| error.in_file(&self.path))
    }

    /// Network, optimizer and all, in the memory of `device`.
    ///
    /// # Errors
    /// As [`Model::network`] and [`Model::restore_optimizer`].
    pub fn load(&self, device: &Device) -> Result<SavedModel> {
        let network = self.network(device)?;
        let optimizer = self.restore_optimizer(&network)?;
        let tensors = self
            .tensors
            .iter()
            .map(|(name, tensor)| Ok((name.clone(), tensor.to_tensor(device)?)));
        Ok(SavedModel {
            tensors: tensors
                .collect::<Result<_>>()
                .map_err(|error| error.in_file(&self.path))?,
            network,
            optimizer,
            metadata: self.metadata.clone(),
            precision: self.precision(),
        })
    }
}

impl OptimizerState {
    fn restore(&self, path: &Path, network: &Network) -> Result<Optimizer> {
        let mut optimizer = Optimizer::from_config(&self.class_name, &self.config)?;
        let mut owners = BTreeMap::new();
        let mut converted = Vec::with_capacity(self.tensors.len());
        for (name, stored) in &self.tensors {
            // `path/slot` belongs to a weight; a name without a slash to the optimizer as a whole.
            let Some((owner, _)) = name.rsplit_once('/') else {
                converted.push((name.clone(), stored.to_tensor(&Device::Cpu)?));
                continue;
            };
            let Some(weight) = network.weight(owner) else {
                return Err(Error::ExtraTensor {
                    path: path.to_path_buf(),
                    tensor: shorten(&format!("{}{name}", crate::native::OPTIMIZER)),
                });
            };
            owners.insert(owner.to_string(), &weight.var);
            // A network of float64 that was saved in less comes back as float32, and its optimizer with it.
            let tensor = stored.to_tensor(network.device())?;
            let tensor = if tensor.dtype().is_float() {
                tensor.to_dtype(network.dtype())?
            } else {
                tensor
            };
            converted.push((name.clone(), tensor));
            stored.release();
        }
        optimizer.load_state(&converted)?;
        let owners: Vec<_> = owners.iter().map(|(path, var)| (path.as_str(), *var)).collect();
        optimizer.build_state(&owners)?;
        Ok(optimizer)
    }
}

/// Which weights are trained, as the description says.
fn declared_trainable(spec: &ModelSpec) -> BTreeMap<String, bool> {
    let weights = spec.weights().into_iter();
    weights.map(|weight| (weight.path, weight.trainable)).collect()
}
