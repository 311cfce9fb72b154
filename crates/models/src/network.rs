//! A described network with weights: it computes.

use candle_core::{DType, Device, Tensor, Var};
use indexmap::IndexMap;
use kernels::random::Stream;
use nn_theory::{ModelSpec, Shape, WeightSpec};

use crate::initializers::initial_values;
use crate::layers::{self, LayerWeights};
use crate::{Error, Result};

/// Networks of more parameters than this are refused before anything is allocated: 2³¹ values are 8 GB in float32.
pub const MAX_PARAMETERS: u64 = 1 << 31;

/// Whether a forward pass belongs to training or to inference.
#[derive(Clone, Copy, Debug)]
pub enum Mode {
    /// Dropout passes everything on, batch normalisation uses its moving statistics.
    Inference,
    /// Dropout draws from this stream (keyed by the layer's name), batch normalisation uses and updates the statistics
    /// of the batch.
    Training(Stream),
}

/// A weight of a running network.
#[derive(Clone, Debug)]
pub struct Weight {
    /// Keras' path: layer and name, as `H01/kernel`.
    pub path: String,
    /// The values; changing them changes the network.
    pub var: Var,
    /// Whether training may change them.
    pub trainable: bool,
}

/// A [`ModelSpec`] whose weights exist, on a device.
///
/// Weights keep Keras' layouts: a dense kernel is `(inputs, units)`, a convolution's `(height, width, in, out)`.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use models::{Mode, Network, zoo};
///
/// let network = Network::new(zoo::cats_vs_dogs()?, 6020, &Device::Cpu, DType::F32)?;
/// let images = Tensor::zeros((3, 1024), DType::F32, &Device::Cpu)?;
/// let logits = network.forward(&images, Mode::Inference)?;
/// assert_eq!(logits.dims(), [3, 2]); // (None, 2): any number of images, two classes
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Network {
    spec: ModelSpec,
    weights: IndexMap<String, Weight>,
    /// For every node of the description, the weights of its layer: (name in the layer, index in `weights`).
    of_node: Vec<Vec<(String, usize)>>,
    /// For every node, whether its layer trains.
    trains: Vec<bool>,
    device: Device,
    dtype: DType,
}

impl Network {
    /// Builds the network with initial weights drawn from the seed (each keyed by its path).
    ///
    /// # Errors
    /// [`Error::Layer`] or [`Error::LayerOption`] for what cannot be run, [`Error::FreeDimension`] where a size is
    /// unknown, [`Error::TooLarge`] for more than [`MAX_PARAMETERS`] values.
    pub fn new(spec: ModelSpec, seed: u64, device: &Device, dtype: DType) -> Result<Self> {
        let parameters = spec.counts().total;
        if parameters > MAX_PARAMETERS {
            return Err(Error::TooLarge {
                network: spec.name().to_string(),
                parameters,
                limit: MAX_PARAMETERS,
            });
        }
        let declared = spec.weights();
        let mut of_node = Vec::with_capacity(spec.nodes().len());
        for node in spec.nodes() {
            layers::check(node)?;
            of_node.push(own_weights(&declared, &node.name));
        }
        let trains = spec
            .nodes()
            .iter()
            .map(|node| node.trainable && spec.trainable())
            .collect();
        let stream = Stream::new(seed).op("initializer");
        let mut weights = IndexMap::new();
        for weight in declared {
            let shape: Vec<usize> = weight.shape.iter().map(|&size| size as usize).collect();
            let values = initial_values(&weight.initializer, &weight.path, &shape, stream.layer(&weight.path))?;
            let tensor = Tensor::from_vec(values, shape, device)?.to_dtype(dtype)?;
            let var = Var::from_tensor(&tensor)?;
            weights.insert(
                weight.path.clone(),
                Weight {
                    path: weight.path,
                    var,
                    trainable: weight.trainable,
                },
            );
        }
        Ok(Network {
            spec,
            weights,
            of_node,
            trains,
            device: device.clone(),
            dtype,
        })
    }

    /// The network's name.
    pub fn name(&self) -> &str {
        self.spec.name()
    }

    /// The description that this network was built from.
    pub fn spec(&self) -> &ModelSpec {
        &self.spec
    }

    /// Where the weights are.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Number format of weights and inputs.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Shape of one input sample, without the batch; empty for a network of several inputs.
    pub fn input_shape(&self) -> Vec<usize> {
        if self.spec.inputs().len() == 1 {
            sample_shape(&self.spec.input_shape())
        } else {
            Vec::new()
        }
    }

    /// Shape of the output of one sample, without the batch; empty for a network of several outputs.
    pub fn output_shape(&self) -> Vec<usize> {
        if self.spec.outputs().len() == 1 {
            sample_shape(&self.spec.output_shape())
        } else {
            Vec::new()
        }
    }

    /// All weights in Keras' order.
    pub fn weights(&self) -> impl ExactSizeIterator<Item = &Weight> {
        self.weights.values()
    }

    /// The weight at a path.
    pub fn weight(&self, path: &str) -> Option<&Weight> {
        self.weights.get(path)
    }

    /// Gives a weight other values (converted to the network's number format, moved to its device).
    ///
    /// # Errors
    /// [`Error::UnknownWeight`] where no weight has this path, [`Error::WeightShape`] where the shape differs.
    pub fn set_weight(&mut self, path: &str, value: &Tensor) -> Result<()> {
        let Some(weight) = self.weights.get(path) else {
            return Err(Error::UnknownWeight {
                network: self.name().to_string(),
                path: path.to_string(),
                known: self.weights.keys().cloned().collect::<Vec<_>>().join(", "),
            });
        };
        if weight.var.dims() != value.dims() {
            return Err(Error::WeightShape {
                path: path.to_string(),
                expected: weight.var.dims().to_vec(),
                found: value.dims().to_vec(),
            });
        }
        Ok(weight
            .var
            .set(&value.to_dtype(self.dtype)?.to_device(&self.device)?.contiguous()?)?)
    }

    /// Whether training may change the weights of a layer (or the one weight) at this path.
    ///
    /// A batch normalisation that does not train computes with its moving statistics and leaves them alone, as in Keras;
    /// in one that trains they stay what the layer itself keeps, not what an optimizer changes.
    ///
    /// # Errors
    /// [`Error::UnknownWeight`] where nothing has this path.
    pub fn set_trainable(&mut self, path: &str, trainable: bool) -> Result<()> {
        let below = format!("{path}/");
        let mut found = false;
        for (index, node) in self.spec.nodes().iter().enumerate() {
            if node.name == path {
                self.trains[index] = trainable;
            }
            for (name, weight) in &self.of_node[index] {
                let Some((_, weight)) = self.weights.get_index_mut(*weight) else {
                    continue;
                };
                if weight.path == path || weight.path.starts_with(&below) {
                    weight.trainable = trainable && !layers::is_statistic(&node.layer, name);
                    found = true;
                }
            }
        }
        if found {
            return Ok(());
        }
        Err(Error::UnknownWeight {
            network: self.name().to_string(),
            path: path.to_string(),
            known: self.weights.keys().cloned().collect::<Vec<_>>().join(", "),
        })
    }

    /// A copy of all values, by path.
    ///
    /// # Errors
    /// [`Error::Candle`] where the device has no memory left.
    pub fn snapshot(&self) -> Result<Vec<(String, Tensor)>> {
        self.weights
            .values()
            .map(|weight| Ok((weight.path.clone(), weight.var.as_tensor().copy()?)))
            .collect()
    }

    /// The output for a batch of inputs `(batch, …)`.
    ///
    /// # Errors
    /// [`Error::Input`] where the shape is not that of the input layer, [`Error::Ports`] for a network of several inputs
    /// or outputs ([`Network::forward_all`] runs those).
    pub fn forward(&self, input: &Tensor, mode: Mode) -> Result<Tensor> {
        let (inputs, outputs) = (self.spec.inputs().len(), self.spec.outputs().len());
        if inputs != 1 || outputs != 1 {
            return Err(Error::Ports {
                network: self.name().to_string(),
                inputs,
                outputs,
            });
        }
        let mut results = self.forward_all(std::slice::from_ref(input), mode)?;
        Ok(results.swap_remove(0))
    }

    /// The outputs for a batch of each input, in the description's order.
    ///
    /// # Errors
    /// [`Error::Input`] where a shape is not that of its input layer, or one is missing.
    pub fn forward_all(&self, inputs: &[Tensor], mode: Mode) -> Result<Vec<Tensor>> {
        if inputs.len() != self.spec.inputs().len() {
            return Err(Error::Ports {
                network: self.name().to_string(),
                inputs: self.spec.inputs().len(),
                outputs: self.spec.outputs().len(),
            });
        }
        let nodes = self.spec.nodes();
        let mut values: Vec<Option<Tensor>> = vec![None; nodes.len()];
        for (&index, input) in self.spec.inputs().iter().zip(inputs) {
            self.check_input(&nodes[index].output_shape, input)?;
            values[index] = Some(input.clone());
        }
        // A value is dropped after its last use, so that an inference pass does not hold every feature map.
        let mut uses = vec![0usize; nodes.len()];
        for node in nodes {
            node.inputs.iter().for_each(|&input| uses[input] += 1);
        }
        self.spec.outputs().iter().for_each(|&output| uses[output] += 1);
        for (index, node) in nodes.iter().enumerate() {
            if values[index].is_some() {
                continue;
            }
            let arguments: Vec<Tensor> = node.inputs.iter().filter_map(|&input| values[input].clone()).collect();
            let weights = LayerWeights::new(&self.of_node[index], &self.weights);
            values[index] = Some(layers::forward(node, self.trains[index], &weights, &arguments, mode)?);
            for &input in &node.inputs {
                uses[input] -= 1;
                if uses[input] == 0 {
                    values[input] = None;
                }
            }
        }
        Ok(self
            .spec
            .outputs()
            .iter()
            .filter_map(|&output| values[output].clone())
            .collect())
    }

    fn check_input(&self, expected: &Shape, input: &Tensor) -> Result<()> {
        let dims = input.dims();
        let fits = dims.len() == expected.0.len()
            && expected
                .0
                .iter()
                .zip(dims)
                .all(|(expected, &found)| expected.is_none_or(|size| size == found as u64));
        if fits {
            return Ok(());
        }
        Err(Error::Input {
            network: self.name().to_string(),
            expected: expected.to_string(),
            found: format!("{dims:?}"),
        })
    }
}

/// The weights of the layer `name`: their names within the layer and their places in the network's list.
fn own_weights(declared: &[WeightSpec], name: &str) -> Vec<(String, usize)> {
    let weights = declared.iter().enumerate().filter(|(_, weight)| weight.layer == name);
    weights.map(|(index, weight)| (weight.name.clone(), index)).collect()
}

fn sample_shape(shape: &Shape) -> Vec<usize> {
    shape.0.iter().skip(1).map(|size| size.unwrap_or(0) as usize).collect()
}
