//! Names and layouts of a network's weights in PyTorch, layer by layer.

use nn_theory::{Layer, ModelSpec, Node, WeightSpec};
use safetensors::Dtype;

use super::flattened::{self, Order};
use super::rules::{Combination, Constant, Mapping, Part, Rule};
use crate::fault::{Fault, Result};

/// The mapping of a network: what each weight is called in a state_dict, and in which layout.
///
/// A layer is the module of its name, nested models are modules within modules (`encoder.dense.weight`).
///
/// ```
/// use nn_theory::{Dense, ModelSpec};
///
/// let model = ModelSpec::sequential("one").input([3]).layer(Dense::new(2).name("d")).build()?;
/// let mapping = persistence::pytorch::mapping(&model)?;
/// assert_eq!(mapping.rules[0].to_string(), "d/kernel [3, 2] = d.weight [2, 3], transposed by [1, 0]");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`crate::Error::Malformed`] for a layer that reads the values of a flattened image in an order that PyTorch does not have.
pub fn mapping(spec: &ModelSpec) -> crate::Result<Mapping> {
    of(spec).map_err(|fault| fault.in_file(spec.name().as_ref(), "PyTorch mapping"))
}

pub(crate) fn of(spec: &ModelSpec) -> Result<Mapping> {
    let mut mapping = Mapping::default();
    let weights = spec.weights();
    model(spec, "", &[], &weights, &mut mapping)?;
    Ok(mapping)
}

fn model(spec: &ModelSpec, prefix: &str, inputs: &[Order], all: &[WeightSpec], mapping: &mut Mapping) -> Result<()> {
    let orders = flattened::orders(spec, inputs);
    for node in spec.layers() {
        let read: Vec<Order> = node.inputs.iter().map(|&input| orders[input].clone()).collect();
        let path = format!("{prefix}{}", node.name);
        if let Layer::Model(nested) = &node.layer {
            model(&nested.model, &format!("{path}/"), &read, all, mapping)?;
            continue;
        }
        let below = format!("{path}/");
        let weights: Vec<Weight> = all
            .iter()
            .filter_map(|weight| {
                Some(Weight {
                    name: weight.path.strip_prefix(&below)?.to_string(),
                    path: weight.path.clone(),
                    shape: weight.shape.iter().map(|&size| size as usize).collect(),
                })
            })
            .collect();
        if weights.is_empty() {
            continue;
        }
        let order = read.first().cloned().unwrap_or(Order::Same);
        if let Order::Other(made_by) = &order
            && !matches!(&node.layer, Layer::Conv2D(_) | Layer::Embedding(_))
        {
            let reason = format!(
                "reads values that '{made_by}' puts into an order that PyTorch does not have (its images begin with the channels); \
                 use GlobalAveragePooling2D, a Dense right behind the Flatten, or channels_first"
            );
            return Err(Fault::new(format!("layer '{path}'"), reason));
        }
        let mut module = Module {
            name: path.replace('/', "."),
            node,
            order,
            weights,
            mapping,
        };
        module.add()?;
    }
    Ok(())
}

struct Weight {
    /// Within the layer.
    name: String,
    path: String,
    shape: Vec<usize>,
}

struct Module<'a> {
    name: String,
    node: &'a Node,
    order: Order,
    weights: Vec<Weight>,
    mapping: &'a mut Mapping,
}

impl Module<'_> {
    fn add(&mut self) -> Result<()> {
        match &self.node.layer {
            Layer::Dense(_) => self.each(dense),
            Layer::Conv1D(_) | Layer::Conv2D(_) | Layer::Conv3D(_) => self.each(convolution),
            Layer::Conv1DTranspose(_) | Layer::Conv2DTranspose(_) | Layer::Conv3DTranspose(_) => self.each(transposed),
            Layer::DepthwiseConv1D(_) | Layer::DepthwiseConv2D(_) => self.each(depthwise),
            Layer::SeparableConv1D(_) | Layer::SeparableConv2D(_) => self.each(separable),
            Layer::BatchNormalization(_) => self.batch_normalization(),
            Layer::LayerNormalization(_) | Layer::GroupNormalization(_) => self.affine(),
            Layer::RMSNormalization(_) => self.each(vector_of("weight")),
            Layer::Embedding(_) => self.each(vector_of("weight")),
            Layer::PReLU(_) => self.each(slopes),
            Layer::LSTM(_) | Layer::GRU(_) | Layer::SimpleRNN(_) => self.recurrent(&self.node.layer.clone(), "", ""),
            Layer::Bidirectional(wrapper) => {
                let inner = wrapper.layer.layer().clone();
                let name = wrapper.layer.name();
                let plain = name.strip_prefix("forward_").unwrap_or(&name);
                let backward = wrapper.backward_layer.as_ref().map(|layer| layer.name());
                let backward = backward.unwrap_or_else(|| format!("backward_{plain}"));
                self.recurrent(&inner, &format!("forward_{plain}/"), "")?;
                self.recurrent(&inner, &format!("{backward}/"), "_reverse")
            }
            Layer::MultiHeadAttention(layer) => self.attention(layer.num_heads),
            _ => self.kept(),
        }
    }

    /// Each weight by itself; a layer of which one has no counterpart is kept as it is.
    fn each(&mut self, layout: impl Fn(&Weight, &Order) -> Option<Layout>) -> Result<()> {
        let layouts: Option<Vec<Layout>> = self.weights.iter().map(|weight| layout(weight, &self.order)).collect();
        let Some(layouts) = layouts else { return self.kept() };
        for (weight, layout) in self.weights.iter().zip(layouts) {
            let rows = layout.shape.first().copied().unwrap_or(1);
            self.mapping.rules.push(Rule {
                weight: weight.path.clone(),
                shape: weight.shape.clone(),
                parts: vec![Part {
                    tensor: format!("{}.{}", self.name, layout.tensor),
                    shape: layout.shape,
                    rows: 0..rows,
                }],
                combination: Combination::One,
                blocks: Vec::new(),
                view: layout.view,
                axes: layout.axes,
                because: layout.because,
            });
        }
        Ok(())
    }

    /// A layer that PyTorch does not have.
    fn kept(&mut self) -> Result<()> {
        if let Order::Flattened(sizes) = &self.order {
            let reason = format!(
                "reads a flattened image of {sizes:?}, whose values PyTorch has in another order, and PyTorch has no such layer"
            );
            return Err(Fault::new(format!("layer '{}'", self.name), reason));
        }
        self.mapping.kept.push(self.name.clone());
        for weight in &self.weights {
            let rows = weight.shape.first().copied().unwrap_or(1);
            self.mapping.rules.push(Rule {
                weight: weight.path.clone(),
                shape: weight.shape.clone(),
                parts: vec![Part {
                    tensor: format!("{}.{}", self.name, weight.name.replace('/', ".")),
                    shape: weight.shape.clone(),
                    rows: 0..rows,
                }],
                combination: Combination::One,
                blocks: Vec::new(),
                view: weight.shape.clone(),
                axes: (0..weight.shape.len()).collect(),
                because: None,
            });
        }
        Ok(())
    }

    fn batch_normalization(&mut self) -> Result<()> {
        self.affine()?;
        self.mapping.constants.push(Constant {
            tensor: format!("{}.num_batches_tracked", self.name),
            shape: Vec::new(),
            dtype: Some(Dtype::I64),
            value: 0.0,
            is_fixed: false,
        });
        Ok(())
    }

    /// `gamma` and `beta` as `weight` and `bias`; PyTorch has both or none.
    fn affine(&mut self) -> Result<()> {
        self.each(affine_vector)?;
        let has = |name: &str| self.weights.iter().any(|weight| weight.name == name);
        let shape = self
            .weights
            .iter()
            .map(|weight| weight.shape.clone())
            .next()
            .unwrap_or_default();
        for (own, other, tensor, value) in [("gamma", "beta", "weight", 1.0), ("beta", "gamma", "bias", 0.0)] {
            if !has(own) && has(other) {
                self.mapping.constants.push(Constant {
                    tensor: format!("{}.{tensor}", self.name),
                    shape: shape.clone(),
                    dtype: None,
                    value,
                    is_fixed: true,
                });
            }
        }
        Ok(())
    }

    /// The matrices of a cell: gates side by side in Keras, one below the other in PyTorch.
    fn recurrent(&mut self, layer: &Layer, prefix: &str, suffix: &str) -> Result<()> {
        let (gates, blocks) = match layer {
            Layer::LSTM(_) => (4, vec![]),
            // Keras: update, reset, candidate. PyTorch: reset, update, candidate.
            Layer::GRU(layer) if layer.reset_after => (3, vec![1, 0, 2]),
            Layer::SimpleRNN(_) => (1, vec![]),
            _ => return self.kept(),
        };
        if self.order != Order::Same && matches!(self.order, Order::Flattened(_)) {
            return self.kept();
        }
        let weights: Vec<&Weight> = self
            .weights
            .iter()
            .filter(|weight| weight.name.starts_with(prefix))
            .collect();
        let mut rules = Vec::new();
        for weight in weights {
            let part = |tensor: &str, shape: Vec<usize>| Part {
                tensor: format!("{}.{tensor}_l0{suffix}", self.name),
                rows: 0..shape[0],
                shape,
            };
            let name = weight.name.rsplit('/').next().unwrap_or_default();
            let wide = weight.shape.last().copied().unwrap_or(0);
            let (parts, combination, view, axes) = match (name, weight.shape.as_slice()) {
                ("kernel", &[features, wide]) => (
                    vec![part("weight_ih", vec![wide, features])],
                    Combination::One,
                    vec![wide, features],
                    vec![1, 0],
                ),
                ("recurrent_kernel", &[units, wide]) if units * gates == wide => (
                    vec![part("weight_hh", vec![wide, units])],
                    Combination::One,
                    vec![wide, units],
                    vec![1, 0],
                ),
                ("bias", shape) => {
                    let parts = vec![part("bias_ih", vec![wide]), part("bias_hh", vec![wide])];
                    let combination = if shape.len() == 2 {
                        Combination::Rows
                    } else {
                        Combination::Sum
                    };
                    (parts, combination, vec![wide], vec![0])
                }
                _ => return self.kept(),
            };
            rules.push(Rule {
                weight: weight.path.clone(),
                shape: weight.shape.clone(),
                parts,
                combination,
                blocks: blocks.clone(),
                view,
                axes,
                because: None,
            });
        }
        self.mapping.rules.extend(rules);
        Ok(())
    }

    /// Query, key and value kernels `(features, heads, size)`, one below the other in `in_proj_weight`.
    fn attention(&mut self, heads: usize) -> Result<()> {
        let find = |name: &str| self.weights.iter().find(|weight| weight.name == name);
        let kernels: Option<Vec<&Weight>> = ["query", "key", "value"]
            .iter()
            .map(|name| find(&format!("{name}/kernel")))
            .collect();
        let (Some(kernels), Some(output)) = (kernels, find("attention_output/kernel")) else {
            return self.kept();
        };
        let &[features, _, size] = kernels[0].shape.as_slice() else {
            return self.kept();
        };
        let same = kernels.iter().all(|kernel| kernel.shape == [features, heads, size]);
        // PyTorch's module has as many values in all heads as features.
        if !same || heads * size != features || output.shape != [heads, size, features] || self.weights.len() > 8 {
            return self.kept();
        }
        let mut rules = Vec::new();
        let mut add = |weight: &Weight, tensor: &str, shape: Vec<usize>, rows, view: Vec<usize>, axes: Vec<usize>| {
            rules.push(Rule {
                weight: weight.path.clone(),
                shape: weight.shape.clone(),
                parts: vec![Part {
                    tensor: format!("{}.{tensor}", self.name),
                    shape,
                    rows,
                }],
                combination: Combination::One,
                blocks: Vec::new(),
                view,
                axes,
                because: None,
            });
        };
        for (index, kernel) in kernels.into_iter().enumerate() {
            let rows = index * features..(index + 1) * features;
            add(
                kernel,
                "in_proj_weight",
                vec![3 * features, features],
                rows,
                vec![heads, size, features],
                vec![2, 0, 1],
            );
        }
        for (index, name) in ["query", "key", "value"].iter().enumerate() {
            let rows = index * features..(index + 1) * features;
            if let Some(bias) = find(&format!("{name}/bias")) {
                add(
                    bias,
                    "in_proj_bias",
                    vec![3 * features],
                    rows,
                    vec![heads, size],
                    vec![0, 1],
                );
            }
        }
        let view = vec![features, heads, size];
        add(
            output,
            "out_proj.weight",
            vec![features, features],
            0..features,
            view,
            vec![1, 2, 0],
        );
        if let Some(bias) = find("attention_output/bias") {
            add(
                bias,
                "out_proj.bias",
                vec![features],
                0..features,
                vec![features],
                vec![0],
            );
        }
        self.mapping.rules.extend(rules);
        Ok(())
    }
}

/// The layout of one weight in PyTorch.
struct Layout {
    tensor: &'static str,
    shape: Vec<usize>,
    view: Vec<usize>,
    axes: Vec<usize>,
    because: Option<String>,
}

fn plain(tensor: &'static str, shape: Vec<usize>, axes: Vec<usize>) -> Option<Layout> {
    Some(Layout {
        tensor,
        view: shape.clone(),
        shape,
        axes,
        because: None,
    })
}

/// Where the values of an image are that Keras flattens: PyTorch has the channels first.
fn of_image(sizes: &[usize]) -> (Vec<usize>, Vec<usize>, Option<String>) {
    let last = sizes.len() - 1;
    let view: Vec<usize> = [sizes[last]].into_iter().chain(sizes[..last].iter().copied()).collect();
    let axes: Vec<usize> = (1..=last).chain([0]).collect();
    (
        view,
        axes,
        Some(format!(
            "a flattened image of {sizes:?}: PyTorch's begins with the channels"
        )),
    )
}

fn dense(weight: &Weight, order: &Order) -> Option<Layout> {
    match (weight.name.as_str(), weight.shape.as_slice(), order) {
        ("bias", &[units], _) => plain("bias", vec![units], vec![0]),
        ("kernel", &[inputs, units], Order::Flattened(sizes)) if sizes.iter().product::<usize>() == inputs => {
            let (image, image_axes, because) = of_image(sizes);
            Some(Layout {
                tensor: "weight",
                shape: vec![units, inputs],
                view: [units].into_iter().chain(image).collect(),
                axes: image_axes.into_iter().map(|axis| axis + 1).chain([0]).collect(),
                because,
            })
        }
        ("kernel", &[inputs, units], _) => plain("weight", vec![units, inputs], vec![1, 0]),
        _ => None,
    }
}

/// A kernel `(sides.., a, b)` as `(first, second, sides..)`.
fn kernel(tensor: &'static str, shape: &[usize], first: usize, second: usize) -> Option<Layout> {
    let sides = shape.len().checked_sub(2)?;
    let theirs: Vec<usize> = [shape[first], shape[second]]
        .into_iter()
        .chain(shape[..sides].iter().copied())
        .collect();
    let mut axes: Vec<usize> = (2..shape.len()).collect();
    axes.extend(if first > second { [1, 0] } else { [0, 1] });
    plain(tensor, theirs, axes)
}

fn convolution(weight: &Weight, _: &Order) -> Option<Layout> {
    let rank = weight.shape.len();
    match weight.name.as_str() {
        // Keras: inputs, filters. PyTorch: filters, inputs.
        "kernel" if rank > 2 => kernel("weight", &weight.shape, rank - 1, rank - 2),
        "bias" => plain("bias", weight.shape.clone(), vec![0]),
        _ => None,
    }
}

/// Keras: filters, inputs. PyTorch: inputs, filters.
fn transposed(weight: &Weight, order: &Order) -> Option<Layout> {
    convolution(weight, order)
}

/// A kernel `(sides.., channels, multiplier)` as `(channels · multiplier, 1, sides..)`.
fn depthwise_kernel(tensor: &'static str, shape: &[usize]) -> Option<Layout> {
    let sides = shape.len().checked_sub(2)?;
    let (channels, multiplier) = (shape[sides], shape[sides + 1]);
    let theirs = [channels * multiplier, 1]
        .into_iter()
        .chain(shape[..sides].iter().copied());
    Some(Layout {
        tensor,
        shape: theirs.collect(),
        view: [channels, multiplier]
            .into_iter()
            .chain(shape[..sides].iter().copied())
            .collect(),
        axes: (2..shape.len()).chain([0, 1]).collect(),
        because: None,
    })
}

fn depthwise(weight: &Weight, _: &Order) -> Option<Layout> {
    match weight.name.as_str() {
        "kernel" => depthwise_kernel("weight", &weight.shape),
        "bias" => plain("bias", weight.shape.clone(), vec![0]),
        _ => None,
    }
}

/// Two modules in PyTorch: `depthwise` and `pointwise`.
fn separable(weight: &Weight, _: &Order) -> Option<Layout> {
    let rank = weight.shape.len();
    match weight.name.as_str() {
        "depthwise_kernel" => depthwise_kernel("depthwise.weight", &weight.shape),
        "pointwise_kernel" if rank > 2 => kernel("pointwise.weight", &weight.shape, rank - 1, rank - 2),
        "bias" => plain("pointwise.bias", weight.shape.clone(), vec![0]),
        _ => None,
    }
}

/// A weight that is the same in both, but for the order of a flattened image.
fn same(tensor: &'static str, weight: &Weight, order: &Order) -> Option<Layout> {
    match order {
        Order::Flattened(sizes) if weight.shape == [sizes.iter().product::<usize>()] => {
            let (view, axes, because) = of_image(sizes);
            Some(Layout {
                tensor,
                shape: weight.shape.clone(),
                view,
                axes,
                because,
            })
        }
        Order::Flattened(_) => None,
        _ => plain(tensor, weight.shape.clone(), (0..weight.shape.len()).collect()),
    }
}

fn vector_of(tensor: &'static str) -> impl Fn(&Weight, &Order) -> Option<Layout> {
    move |weight, order| same(tensor, weight, order)
}

fn affine_vector(weight: &Weight, order: &Order) -> Option<Layout> {
    let tensor = match weight.name.as_str() {
        "gamma" => "weight",
        "beta" => "bias",
        "moving_mean" => "running_mean",
        "moving_variance" => "running_var",
        _ => return None,
    };
    same(tensor, weight, order)
}

/// PyTorch's slopes are one a channel.
fn slopes(weight: &Weight, order: &Order) -> Option<Layout> {
    let (&channels, sides) = weight.shape.split_last()?;
    if sides.iter().any(|&side| side != 1) {
        return None;
    }
    if let Order::Flattened(_) = order {
        return same("weight", weight, order);
    }
    plain("weight", vec![channels], vec![0])
}
