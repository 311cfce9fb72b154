//! One weight in two layouts: where PyTorch keeps the numbers of a Keras weight, as data.

use std::fmt;

use indexmap::IndexMap;
use safetensors::Dtype;

use crate::fault::{Fault, Result, quoted};
use crate::layout::{inverse, item_bytes, permuted, sum};
use crate::stored::StoredTensor;

/// A part of a tensor of PyTorch: some of its first axis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Name in the state_dict.
    pub tensor: String,
    /// Shape of the whole tensor.
    pub shape: Vec<usize>,
    /// Which places of its first axis belong to the weight.
    pub rows: std::ops::Range<usize>,
}

/// How a weight is made of its parts, where there are several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Combination {
    /// There is one part.
    One,
    /// Keras has one bias where PyTorch adds two; the second one is written as zeros.
    Sum,
    /// Each part is a row.
    Rows,
}

/// Where the numbers of one weight are in a state_dict.
///
/// The part is looked at as `view`, its first axis in equal blocks in the order `blocks`; axis `i` of the weight is axis `axes[i]` of
/// that, and what this gives is written in the weight's shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Keras' path of the weight.
    pub weight: String,
    /// Keras' shape.
    pub shape: Vec<usize>,
    /// Where the numbers are.
    pub parts: Vec<Part>,
    /// How parts become one weight.
    pub combination: Combination,
    /// Block `i` of the weight (a gate of a recurrent layer) is block `blocks[i]` of the part; empty for one block.
    pub blocks: Vec<usize>,
    /// The shape in which the part is looked at.
    pub view: Vec<usize>,
    /// The transpose.
    pub axes: Vec<usize>,
    /// What the layout has to do with, where it is not the layer's own (the order of a flattened image).
    pub because: Option<String>,
}

/// A tensor that PyTorch has and Keras does not.
#[derive(Clone, Debug, PartialEq)]
pub struct Constant {
    /// Name in the state_dict.
    pub tensor: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its number format; `None` for that of the weights.
    pub dtype: Option<Dtype>,
    /// The number that it is full of.
    pub value: f64,
    /// Whether another number in it means something that the Keras layer cannot have.
    pub is_fixed: bool,
}

/// How all weights of a network are kept in a state_dict.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Mapping {
    /// The rules in Keras' order.
    pub rules: Vec<Rule>,
    /// What PyTorch has beyond them.
    pub constants: Vec<Constant>,
    /// Layers that PyTorch does not have: their weights are kept under Keras' names and in Keras' layout.
    pub kept: Vec<String>,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?} = ", self.weight, self.shape)?;
        for (index, part) in self.parts.iter().enumerate() {
            let between = match self.combination {
                _ if index == 0 => "",
                Combination::Sum => " + ",
                _ => ", ",
            };
            write!(f, "{between}{}", part.tensor)?;
            if part.shape.first().is_some_and(|&all| part.rows != (0..all)) {
                write!(f, "[{}..{}]", part.rows.start, part.rows.end)?;
            }
            write!(f, " {:?}", part.shape)?;
        }
        if self.combination == Combination::Rows {
            write!(f, ", a row each")?;
        }
        if !self.blocks.is_empty() {
            write!(f, ", gates in the order {:?}", self.blocks)?;
        }
        if self
            .parts
            .iter()
            .any(|part| part.shape != self.view && part.rows.len() == part.shape.first().copied().unwrap_or(0))
        {
            write!(f, ", seen as {:?}", self.view)?;
        }
        if !self.axes.iter().copied().eq(0..self.axes.len()) {
            write!(f, ", transposed by {:?}", self.axes)?;
        }
        if let Some(because) = &self.because {
            write!(f, " ({because})")?;
        }
        Ok(())
    }
}

impl Rule {
    /// The weight from the numbers of a part.
    fn weight_part(&self, part: &Part, tensor: &[u8], item: usize) -> Vec<u8> {
        let row: usize = part.shape.iter().skip(1).product::<usize>() * item;
        let rows = tensor[part.rows.start * row..part.rows.end * row].to_vec();
        let ordered = reordered(rows, &self.blocks);
        permuted(&ordered, item, &self.view, &self.axes).0
    }

    /// The numbers of a part from the weight (or its row).
    fn torch_part(&self, weight: &[u8], item: usize) -> Vec<u8> {
        let shape: Vec<usize> = self.axes.iter().map(|&axis| self.view[axis]).collect();
        let (rows, _) = permuted(weight, item, &shape, &inverse(&self.axes));
        reordered(rows, &inverse(&self.blocks))
    }
}

/// Equal blocks in another order.
fn reordered(bytes: Vec<u8>, blocks: &[usize]) -> Vec<u8> {
    if blocks.is_empty() {
        return bytes;
    }
    let size = bytes.len() / blocks.len();
    blocks
        .iter()
        .flat_map(|&block| &bytes[block * size..(block + 1) * size])
        .copied()
        .collect()
}

impl Mapping {
    /// The tensors of the state_dict with their shapes, in its order: what [`Mapping::to_torch`] makes.
    pub(super) fn tensors(&self) -> IndexMap<&str, &[usize]> {
        let parts = self.rules.iter().flat_map(|rule| &rule.parts);
        parts
            .map(|part| (part.tensor.as_str(), part.shape.as_slice()))
            .collect()
    }

    /// The weights, by Keras' path and in Keras' layout, of a state_dict. Nothing is computed before somebody asks for the numbers.
    pub(crate) fn to_keras(&self, state: &IndexMap<String, StoredTensor>) -> Result<IndexMap<String, StoredTensor>> {
        let mut weights = IndexMap::with_capacity(self.rules.len());
        for rule in &self.rules {
            let mut sources = Vec::with_capacity(rule.parts.len());
            for part in &rule.parts {
                let place = || format!("tensor '{}'", quoted(&part.tensor));
                let tensor = state
                    .get(&part.tensor)
                    .ok_or_else(|| Fault::new(place(), format!("is missing; '{}' is made of it", rule.weight)))?;
                if tensor.shape() != part.shape {
                    let reason = format!(
                        "has the shape {:?}, '{}' of the shape {:?} needs {:?}",
                        tensor.shape(),
                        rule.weight,
                        rule.shape,
                        part.shape
                    );
                    return Err(Fault::new(place(), reason));
                }
                if !tensor.is_float() {
                    return Err(Fault::new(
                        place(),
                        format!("holds {}, weights are floating-point numbers", tensor.dtype()),
                    ));
                }
                sources.push(tensor.clone());
            }
            let Some(dtype) = sources.first().map(StoredTensor::dtype) else {
                continue;
            };
            if sources.iter().any(|source| source.dtype() != dtype) {
                let reason = "its parts have different number formats";
                return Err(Fault::new(format!("weight '{}'", rule.weight), reason));
            }
            weights.insert(rule.weight.clone(), rule.weight_of(sources, dtype));
        }
        for constant in self.constants.iter().filter(|constant| constant.is_fixed) {
            let Some(tensor) = state.get(&constant.tensor) else {
                continue;
            };
            let place = || format!("tensor '{}'", quoted(&constant.tensor));
            let numbers = tensor
                .to_f64()
                .map_err(|error| Fault::new(place(), error.to_string()))?;
            if numbers.iter().any(|&number| number != constant.value) {
                let reason = format!(
                    "is not all {}, and the layer of the description has no such weight",
                    constant.value
                );
                return Err(Fault::new(place(), reason));
            }
        }
        Ok(weights)
    }

    /// The state_dict of the weights.
    pub(crate) fn to_torch(&self, weights: &IndexMap<String, StoredTensor>) -> Result<IndexMap<String, StoredTensor>> {
        let mut state: IndexMap<String, StoredTensor> = IndexMap::new();
        let mut pieces: IndexMap<&str, Vec<(&Rule, usize, StoredTensor)>> = IndexMap::new();
        for rule in &self.rules {
            let place = || format!("weight '{}'", rule.weight);
            let weight = weights
                .get(&rule.weight)
                .ok_or_else(|| Fault::new(place(), "is missing"))?;
            if weight.shape() != rule.shape {
                let reason = format!(
                    "has the shape {:?}, the description says {:?}",
                    weight.shape(),
                    rule.shape
                );
                return Err(Fault::new(place(), reason));
            }
            for (index, part) in rule.parts.iter().enumerate() {
                pieces
                    .entry(&part.tensor)
                    .or_default()
                    .push((rule, index, weight.clone()));
            }
        }
        let dtype = weights.values().next().map_or(Dtype::F32, StoredTensor::dtype);
        for (name, pieces) in pieces {
            state.insert(name.to_string(), assembled(pieces));
        }
        for constant in &self.constants {
            let dtype = constant.dtype.unwrap_or(dtype);
            let count: usize = constant.shape.iter().product();
            let bytes = repeated(constant.value, dtype, count);
            let tensor = StoredTensor::in_memory(dtype, constant.shape.clone(), bytes);
            let tensor = tensor.ok_or_else(|| Fault::new(format!("tensor '{}'", constant.tensor), "has no size"))?;
            state.insert(constant.tensor.clone(), tensor);
        }
        Ok(state)
    }
}

impl Rule {
    fn is_identity(&self) -> bool {
        self.parts.len() == 1
            && self.blocks.is_empty()
            && self.parts[0].shape == self.shape
            && self.axes.iter().copied().eq(0..self.axes.len())
    }

    /// Whether a part is all of its tensor, in its order.
    fn is_whole(&self, part: &Part) -> bool {
        self.blocks.is_empty() && part.shape.first().is_none_or(|&all| part.rows == (0..all))
    }

    fn weight_of(&self, mut sources: Vec<StoredTensor>, dtype: Dtype) -> StoredTensor {
        if self.is_identity() && sources.len() == 1 {
            return sources.swap_remove(0);
        }
        if let ([part], [source], Combination::One) = (&self.parts[..], &sources[..], self.combination)
            && self.is_whole(part)
            && let Some(weight) = source.permuted(&self.view, &self.axes, self.shape.clone())
        {
            return weight;
        }
        let rule = self.clone();
        StoredTensor::computed(dtype, self.shape.clone(), move || {
            let item = item_bytes(dtype).unwrap_or(1);
            let mut made = Vec::with_capacity(sources.len());
            for (part, source) in rule.parts.iter().zip(&sources) {
                made.push(rule.weight_part(part, &source.bytes()?, item));
                source.release();
            }
            Ok(match rule.combination {
                Combination::Sum => made.into_iter().reduce(|a, b| sum(a, b, dtype)).unwrap_or_default(),
                _ => made.concat(),
            })
        })
    }
}

/// A tensor of the state_dict from the weights that have a part in it.
fn assembled(pieces: Vec<(&Rule, usize, StoredTensor)>) -> StoredTensor {
    let (first, index, weight) = &pieces[0];
    let (shape, dtype) = (first.parts[*index].shape.clone(), weight.dtype());
    if pieces.len() == 1 && first.is_identity() {
        return weight.clone();
    }
    if pieces.len() == 1
        && first.combination == Combination::One
        && first.is_whole(&first.parts[*index])
        && let Some(tensor) = weight.unpermuted(&first.view, &first.axes, shape.clone())
    {
        return tensor;
    }
    let pieces: Vec<(Rule, usize, StoredTensor)> = pieces
        .into_iter()
        .map(|(rule, index, weight)| (rule.clone(), index, weight))
        .collect();
    let whole = shape.clone();
    StoredTensor::computed(dtype, shape, move || {
        let item = item_bytes(dtype).unwrap_or(1);
        let size = whole.iter().product::<usize>() * item;
        // Made when the first part comes that is not the whole: most tensors are one part, and large ones should not be held twice.
        let mut bytes = Vec::new();
        let row = whole.iter().skip(1).product::<usize>() * item;
        for (rule, index, weight) in &pieces {
            let numbers = weight.bytes()?;
            let part = match rule.combination {
                Combination::One => rule.torch_part(&numbers, item),
                Combination::Sum if *index == 0 => rule.torch_part(&numbers, item),
                // The first bias holds all of it.
                Combination::Sum => continue,
                Combination::Rows => {
                    let size = numbers.len() / rule.parts.len();
                    rule.torch_part(&numbers[index * size..(index + 1) * size], item)
                }
            };
            drop(numbers);
            weight.release();
            if part.len() == size {
                bytes = part;
                continue;
            }
            bytes.resize(size, 0);
            let rows = &rule.parts[*index].rows;
            let range = if whole.is_empty() {
                0..item
            } else {
                rows.start * row..rows.end * row
            };
            bytes[range].copy_from_slice(&part);
        }
        bytes.resize(size, 0);
        Ok(bytes)
    })
}

/// A number in a number format, so many times.
pub(super) fn repeated(value: f64, dtype: Dtype, count: usize) -> Vec<u8> {
    let one: Vec<u8> = match dtype {
        Dtype::F64 => value.to_le_bytes().to_vec(),
        Dtype::F16 => half::f16::from_f64(value).to_le_bytes().to_vec(),
        Dtype::BF16 => half::bf16::from_f64(value).to_le_bytes().to_vec(),
        Dtype::I64 => (value as i64).to_le_bytes().to_vec(),
        _ => (value as f32).to_le_bytes().to_vec(),
    };
    one.repeat(count)
}
