//! A described network with weights: it computes.

use candle_core::{DType, Device, Tensor, Var};
use indexmap::IndexMap;
use kernels::Deferred;
use kernels::random::Stream;
use kernels::tape::{Gradients, Tape};
use nn_theory::{DTypePolicy, ModelSpec, Shape};

use crate::graph::{Graph, Pass, WeightRules};
use crate::initializers::initial_values;
use crate::layers::{self, Value};
use crate::{Constraint, Error, Regularizer, Result};

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
    pub(crate) graph: Graph,
    pub(crate) weights: IndexMap<String, Weight>,
    rules: WeightRules,
    policy: Option<DTypePolicy>,
    device: Device,
    dtype: DType,
}

impl Network {
    /// Builds the network with initial weights drawn from the seed (each keyed by its path).
    ///
    /// `dtype` is the format of weights and computation, except for layers under a mixed-precision policy
    /// (`mixed_bfloat16`, `mixed_float16`), which compute in the short format; see [`Network::with_policy`].
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
        let (graph, rules) = prepared(&spec, None)?;
        let mut weights = IndexMap::new();
        for (index, weight) in declared.into_iter().enumerate() {
            let shape: Vec<usize> = weight.shape.iter().map(|&size| size as usize).collect();
            // An initializer with a seed of its own does not follow the network's.
            let seed = weight.initializer.seed().map_or(seed, |own| own as u64);
            let stream = Stream::new(seed).op("initializer").layer(&weight.path);
            let mut values = initial_values(&weight.initializer, &weight.path, &shape, stream)?;
            if let Some(forget_gate) = rules.ones.get(&index) {
                values.iter_mut().enumerate().for_each(|(place, value)| {
                    if forget_gate.contains(&place) {
                        *value = 1.0;
                    }
                });
            }
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
            graph,
            weights,
            rules,
            policy: None,
            device: device.clone(),
            dtype,
        })
    }

    /// The same network (sharing its weights) under another dtype policy, for all of its layers.
    ///
    /// Under `mixed_bfloat16` and `mixed_float16` weights stay in the network's format and are rounded when they are
    /// used; inputs and outputs of every layer have the short format; gradients arrive in the network's format. On a CPU
    /// the arithmetic within a layer is that of the network's format, as matrix units accumulate; under `mixed_bfloat16`
    /// dense layers, convolutions and what lies between them round the factors of products only, forward and backward
    /// ([`kernels::MatmulPrecision::Medium`]), which is fast where the processor has tiles of bfloat16. Normalizations and
    /// softmax layers sum in the network's format everywhere. Gradients of `float16` need a scaled loss.
    ///
    /// ```
    /// use candle_core::{DType, Device, Tensor};
    /// use models::{Mode, Network, zoo};
    /// use nn_theory::DTypePolicy;
    ///
    /// let policy = DTypePolicy::from_name("mixed_bfloat16").unwrap();
    /// let network = Network::new(zoo::cats_vs_dogs()?, 6020, &Device::Cpu, DType::F32)?.with_policy(policy)?;
    /// let logits = network.forward(&Tensor::zeros((3, 1024), DType::F32, &Device::Cpu)?, Mode::Inference)?;
    /// assert_eq!(logits.dtype(), DType::BF16);
    /// assert!(network.weights().all(|weight| weight.var.dtype() == DType::F32));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Network::new`].
    pub fn with_policy(mut self, policy: DTypePolicy) -> Result<Self> {
        let (mut graph, _) = prepared(self.spec(), Some(policy))?;
        let mut trains = Vec::new();
        self.graph.for_each(&mut |step| trains.push(step.trains));
        let mut trains = trains.into_iter();
        graph.for_each_step(&mut |step| step.trains = trains.next().unwrap_or(step.trains));
        self.graph = graph;
        self.policy = Some(policy);
        Ok(self)
    }

    /// The dtype policy that [`Network::with_policy`] set; `None` where each layer has that of the description.
    pub fn policy(&self) -> Option<DTypePolicy> {
        self.policy
    }

    /// The network's name.
    pub fn name(&self) -> &str {
        self.spec().name()
    }

    /// The description that this network was built from.
    pub fn spec(&self) -> &ModelSpec {
        &self.graph.spec
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
        if self.spec().inputs().len() == 1 {
            sample_shape(&self.spec().input_shape())
        } else {
            Vec::new()
        }
    }

    /// Shape of the output of one sample, without the batch; empty for a network of several outputs.
    pub fn output_shape(&self) -> Vec<usize> {
        if self.spec().outputs().len() == 1 {
            sample_shape(&self.spec().output_shape())
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
        let is_meant = |name: &str| name == path || name.starts_with(&below);
        let weights = &mut self.weights;
        let mut found = false;
        self.graph.for_each_step(&mut |step| {
            if is_meant(&step.node.name) {
                step.trains = trainable;
            }
            // The weights of a wrapper belong to the layers inside, which know what is a statistic.
            if !step.inner.is_empty() {
                return;
            }
            for (name, index) in &step.weights {
                if let Some((_, weight)) = weights.get_index_mut(*index)
                    && is_meant(&weight.path)
                {
                    weight.trainable = trainable && !layers::is_statistic(&step.node.layer, name);
                    found = true;
                }
            }
        });
        if found {
            return Ok(());
        }
        Err(Error::UnknownWeight {
            network: self.name().to_string(),
            path: path.to_string(),
            known: self.weights.keys().cloned().collect::<Vec<_>>().join(", "),
        })
    }

    /// The layers of `part` and their weights train where they train in the other network.
    pub(crate) fn take_flags(&mut self, other: &Network, part: &ModelSpec) {
        let mut flags = std::collections::BTreeMap::new();
        other.graph.for_each(&mut |step| {
            let outermost = step.node.name.split('/').next().unwrap_or_default();
            if part.layer(outermost).is_some() {
                flags.insert(step.node.name.clone(), step.trains);
            }
        });
        self.graph.for_each_step(&mut |step| {
            if let Some(&trains) = flags.get(&step.node.name) {
                step.trains = trains;
            }
        });
        for weight in part.weights() {
            if let (Some(own), Some(other)) = (self.weights.get_mut(&weight.path), other.weight(&weight.path)) {
                own.trainable = other.trainable;
            }
        }
    }

    /// Freezes a layer, a nested model, or one weight: [`Network::set_trainable`] with `false`.
    ///
    /// # Errors
    /// [`Error::UnknownWeight`] where nothing has this path.
    pub fn freeze(&mut self, path: &str) -> Result<()> {
        self.set_trainable(path, false)
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
        let (inputs, outputs) = (self.spec().inputs().len(), self.spec().outputs().len());
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
        Ok(self.forward_with_losses(inputs, mode)?.0)
    }

    /// As [`Network::forward_all`], with the sum of the penalties that `activity_regularizer`s and
    /// `ActivityRegularization` layers put on outputs; `None` where the network has none of these.
    ///
    /// Each penalty is divided by the size of the batch, as in Keras. Add it to the loss together with
    /// [`Network::regularization_loss`].
    ///
    /// # Errors
    /// As [`Network::forward_all`].
    pub fn forward_with_losses(&self, inputs: &[Tensor], mode: Mode) -> Result<(Vec<Tensor>, Option<Tensor>)> {
        if inputs.len() != self.spec().inputs().len() {
            return Err(Error::Ports {
                network: self.name().to_string(),
                inputs: self.spec().inputs().len(),
                outputs: self.spec().outputs().len(),
            });
        }
        let mut values = Vec::with_capacity(inputs.len());
        for (&index, input) in self.spec().inputs().iter().zip(inputs) {
            self.check_input(&self.spec().nodes()[index].output_shape, input)?;
            values.push(Value::new(input.clone()));
        }
        let mut pass = Pass {
            weights: &self.weights,
            dtype: self.dtype,
            device: &self.device,
            activity: Vec::new(),
        };
        let mut outputs = self.graph.run(&mut pass, values, mode)?;
        // A record ends in the format that the kernels compute in.
        if !kernels::tape::is_recording() {
            self.graph.shortened(&mut outputs)?;
        }
        let mut sum: Option<Tensor> = None;
        for penalty in pass.activity {
            let penalty = penalty.to_dtype(self.dtype)?;
            sum = Some(match sum {
                Some(sum) => (sum + penalty)?,
                None => penalty,
            });
        }
        Ok((outputs.into_iter().map(|value| value.tensor).collect(), sum))
    }

    /// The sum of the penalties on weights that train; `None` where no such weight has a regularizer.
    ///
    /// # Errors
    /// [`Error::Candle`] where a regularizer does not fit its weight.
    pub fn regularization_loss(&self) -> Result<Option<Tensor>> {
        let mut sum: Option<Tensor> = None;
        for (index, regularizer) in &self.rules.regularizers {
            let Some((_, weight)) = self.weights.get_index(*index).filter(|(_, weight)| weight.trainable) else {
                continue;
            };
            let penalty = regularizer.loss(weight.var.as_tensor())?;
            sum = Some(match sum {
                Some(sum) => (sum + penalty)?,
                None => penalty,
            });
        }
        Ok(sum)
    }

    /// Projects every weight that trains and has a constraint; to be called after each step of the optimizer.
    ///
    /// # Errors
    /// [`Error::Candle`] where a constraint does not fit its weight.
    pub fn apply_constraints(&self) -> Result<()> {
        for (index, constraint) in &self.rules.constraints {
            if let Some((_, weight)) = self.weights.get_index(*index).filter(|(_, weight)| weight.trainable) {
                let projected = constraint.apply(&weight.var.as_detached_tensor())?;
                weight.var.set(&projected.contiguous()?)?;
            }
        }
        Ok(())
    }

    /// The regularizer of the weight at a path.
    pub fn regularizer(&self, path: &str) -> Option<Regularizer> {
        self.rules.regularizers.get(&self.weights.get_index_of(path)?).copied()
    }

    /// The constraint of the weight at a path.
    pub fn constraint(&self, path: &str) -> Option<&Constraint> {
        self.rules.constraints.get(&self.weights.get_index_of(path)?)
    }

    /// A pass through the network whose gradients will be asked for; [`Network::forward_with_losses`] that trains fast.
    ///
    /// On a CPU the layers are recorded (see [`kernels::tape`]) instead of becoming part of candle's graph. In inference mode, on other
    /// devices, and where outputs are penalised, candle differentiates.
    ///
    /// ```
    /// use candle_core::{DType, Device, Tensor};
    /// use kernels::random::Stream;
    /// use models::{Mode, Network, zoo};
    ///
    /// let network = Network::new(zoo::cats_vs_dogs()?, 6020, &Device::Cpu, DType::F32)?;
    /// let images = Tensor::ones((3, 1024), DType::F32, &Device::Cpu)?;
    /// let pass = network.record(&[images], Mode::Training(Stream::new(1)))?;
    /// let loss = pass.outputs()[0].sqr()?.sum_all()?;
    /// let gradients = pass.backward(&loss)?;
    /// assert!(network.weights().all(|weight| gradients.get(&weight.var).is_some()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Network::forward_all`].
    pub fn record(&self, inputs: &[Tensor], mode: Mode) -> Result<Recorded> {
        let recorded = matches!(mode, Mode::Training(_))
            && self.device.is_cpu()
            && matches!(self.dtype, DType::F32 | DType::F64)
            && !self.graph.has_activity();
        if !recorded {
            let (outputs, penalty) = self.forward_with_losses(inputs, mode)?;
            return Ok(Recorded {
                outputs,
                penalty,
                recording: None,
            });
        }
        let (results, tape) = kernels::tape::record(|| self.forward_all(inputs, mode));
        let results = results?;
        let outputs = results
            .iter()
            .map(|result| Ok(Var::from_tensor(&result.copy()?)?.into_inner()))
            .collect::<Result<_>>()?;
        Ok(Recorded {
            outputs,
            penalty: None,
            recording: Some((results, tape)),
        })
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

/// The description ready to run, and what its layers say about their weights.
fn prepared(spec: &ModelSpec, policy: Option<DTypePolicy>) -> Result<(Graph, WeightRules)> {
    let mut rules = WeightRules::default();
    let weights = spec.weights().into_iter().enumerate();
    let names: Vec<(String, usize)> = weights.map(|(index, weight)| (weight.path, index)).collect();
    let graph = Graph::build(spec, "", &names, spec.trainable(), policy, &mut rules)?;
    Ok((graph, rules))
}

fn sample_shape(shape: &Shape) -> Vec<usize> {
    shape.0.iter().skip(1).map(|size| size.unwrap_or(0) as usize).collect()
}

/// A pass through a network that can be differentiated; [`Network::record`] makes it.
pub struct Recorded {
    outputs: Vec<Tensor>,
    penalty: Option<Tensor>,
    /// What the outputs are on the tape, and the tape.
    recording: Option<(Vec<Tensor>, Tape)>,
}

impl Recorded {
    /// The outputs, in the description's order; a loss is computed from them by candle's operations or those of `kernels`.
    pub fn outputs(&self) -> &[Tensor] {
        &self.outputs
    }

    /// The sum of the penalties on outputs, as of [`Network::forward_with_losses`].
    pub fn penalty(&self) -> Option<&Tensor> {
        self.penalty.as_ref()
    }

    /// The gradients of a loss of the outputs (and of weights, where it holds penalties on them).
    ///
    /// # Errors
    /// [`Error::Candle`] where an operation has no backward pass.
    pub fn backward(self, loss: &Tensor) -> Result<Gradients> {
        let (mut gradients, deferred) = self.backward_deferring(loss)?;
        for gradient in deferred {
            gradients.complete(&gradient)?;
        }
        Ok(gradients)
    }

    /// As [`Recorded::backward`], but some gradients of weights are not computed and not among those returned; what they can be computed from
    /// is ([`Tape::backward_deferring`]), for an optimizer that takes them in pieces.
    ///
    /// # Errors
    /// As [`Recorded::backward`].
    pub fn backward_deferring(self, loss: &Tensor) -> Result<(Gradients, Vec<Deferred>)> {
        let store = loss.backward()?;
        let Some((results, tape)) = self.recording else {
            return Ok((Gradients::from(store), Vec::new()));
        };
        let seeds = self.outputs.iter().zip(&results);
        let seeds = seeds.filter_map(|(output, result)| Some((result, store.get(output)?.clone())));
        let (mut gradients, mut deferred) = tape.backward_deferring(seeds)?;
        // What penalties on a weight add to its gradient makes it a sum, which is computed here.
        for sum in deferred.extract_if(.., |deferred| store.get(deferred.weight()).is_some()) {
            gradients.complete(&sum)?;
        }
        gradients.merge(&store, &self.outputs)?;
        Ok((gradients, deferred))
    }
}
