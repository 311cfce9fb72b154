//! What quantization and low-rank adaptation make of a layer's weights.
//!
//! Sources: `quantized_build` and `enable_lora` of `Dense`, `EinsumDense`, `Embedding`, `ReversibleEmbedding` and the
//! convolutions of Keras; Hu et al., 2021 (LoRA); Frantar et al., 2022 (GPTQ); Lin et al., 2023 (AWQ).

use super::Layer;
use crate::{DType, Initializer, Shape, error::Problem, model::Carried, weight::Weight};
use serde_json::Value;

/// How a quantized dtype policy stores weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Int8,
    Float8 {
        history: u64,
    },
    /// Rows that share a scale; `None` for one scale a column.
    Int4 {
        block: Option<u64>,
    },
    /// Bits of a weight, rows that share a scale, and whether inputs have scales too (AWQ).
    Calibrated {
        bits: u64,
        group: Option<u64>,
        awq: bool,
    },
}

/// The sizes of a mode such as `int4/128` or `gptq/4/-1`.
fn mode(policy: &Value) -> Result<Option<Mode>, Problem> {
    let config = policy.get("config");
    let Some(name) = config.and_then(|config| config.get("mode")).and_then(Value::as_str) else {
        return Ok(None);
    };
    let mut parts = name.split('/');
    let kind = parts.next().unwrap_or_default();
    let wrong = || Problem::key("dtype", format!("names the unknown quantization '{name}'"));
    let mut size = || -> Result<Option<u64>, Problem> {
        match parts.next() {
            None | Some("-1" | "None") => Ok(None),
            Some(text) => text.parse().ok().filter(|&size| size > 0).map(Some).ok_or_else(wrong),
        }
    };
    Ok(Some(match kind {
        "int8" => Mode::Int8,
        "int4" => Mode::Int4 { block: size()? },
        "float8" => {
            let history = config
                .and_then(|config| config.get("amax_history_length"))
                .and_then(Value::as_u64);
            Mode::Float8 {
                history: history.unwrap_or(1024),
            }
        }
        "gptq" | "awq" => {
            let bits = size()?.unwrap_or(4);
            Mode::Calibrated {
                bits,
                group: size()?,
                awq: kind == "awq",
            }
        }
        _ => return Err(wrong()),
    }))
}

/// A kernel seen as a matrix: what is summed over, and what stays.
struct Matrix {
    rows: u64,
    columns: u64,
    /// Shape of one scale for each column, as the layer stores it.
    scales: Vec<u64>,
    /// How Keras names the zero points of calibrated kernels.
    zero: &'static str,
}

fn product(sizes: impl Iterator<Item = u64>) -> Result<u64, Problem> {
    let mut product = 1u64;
    for size in sizes {
        product = product
            .checked_mul(size)
            .ok_or_else(|| Problem::too_large("the number of values of 'kernel'"))?;
    }
    Ok(product)
}

/// The axes of an `EinsumDense` kernel that are summed over, and the shape of its scales (Keras'
/// `_analyze_quantization_info`).
fn einsum_matrix(equation: &str, kernel: &[u64], calibrated: bool, rank: usize) -> Result<Matrix, Problem> {
    let wrong = || Problem::key("equation", format!("'{equation}' cannot be quantized"));
    let (left, output) = equation.split_once("->").ok_or_else(wrong)?;
    let (input, weights) = left.split_once(',').ok_or_else(wrong)?;
    let letters = |text: &str| text.chars().filter(char::is_ascii_alphabetic).collect::<Vec<char>>();
    let (input_letters, weights, mut output_letters) = (letters(input), letters(weights), letters(output));
    // Unnamed axes are in the output but never in the kernel.
    let unnamed = if input.contains("...") {
        rank.saturating_sub(input_letters.len())
    } else {
        0
    };
    for _ in 0..unnamed {
        if output.starts_with("...") {
            output_letters.insert(0, '.');
        } else {
            output_letters.push('.');
        }
    }
    let reduced: Vec<usize> = (0..weights.len())
        .filter(|&axis| !output_letters.contains(&weights[axis]))
        .collect();
    let place = |letter: &char| weights.iter().position(|c| c == letter);
    let mut expanded: Vec<usize> = (0..output_letters.len())
        .filter(|&i| place(&output_letters[i]).is_none())
        .collect();
    let mut order: Vec<usize> = output_letters.iter().filter_map(place).collect();
    let (mut squeezed, mut index) = (Vec::new(), 0);
    for &axis in &reduced {
        if expanded.is_empty() {
            squeezed.push(axis);
        } else {
            index = expanded.remove(0);
        }
        order.insert(index.min(order.len()), axis);
    }
    let size = |axis: usize| {
        if reduced.contains(&axis) {
            1
        } else {
            kernel.get(axis).copied().unwrap_or(1)
        }
    };
    let mut scales: Vec<u64> = order.into_iter().map(size).collect();
    for axis in expanded {
        scales.insert(axis.min(scales.len()), 1);
    }
    squeezed.sort_unstable();
    for axis in squeezed.into_iter().rev() {
        if axis < scales.len() {
            scales.remove(axis);
        }
    }
    let (rows, columns) = match kernel {
        // Calibration looks for the largest side: projections to heads have it in front.
        [first, second, third] if calibrated => {
            if first >= second && first >= third {
                (*first, product([*second, *third].into_iter())?)
            } else {
                (product([*first, *second].into_iter())?, *third)
            }
        }
        [rows, columns] if calibrated => (*rows, *columns),
        _ if calibrated => return Err(wrong()),
        sizes => {
            let side = |inside: bool| {
                product(
                    sizes
                        .iter()
                        .enumerate()
                        .filter(|(axis, _)| reduced.contains(axis) == inside)
                        .map(|(_, size)| *size),
                )
            };
            (side(true)?, side(false)?)
        }
    };
    Ok(Matrix {
        rows,
        columns,
        scales,
        zero: "zero_point",
    })
}

fn stored(name: &str, dims: Vec<u64>, dtype: Option<DType>) -> Weight {
    let dims: Vec<(u64, &'static str)> = dims.into_iter().map(|size| (size, "size")).collect();
    let weight = Weight::new(name, dims, &Initializer::Zeros).not_trainable();
    match dtype {
        Some(dtype) => weight.of_dtype(dtype),
        None => weight,
    }
}

/// Groups of rows that share a scale.
fn groups(rows: u64, size: Option<u64>) -> u64 {
    size.map_or(1, |size| rows.div_ceil(size))
}

/// The variables that stand for a kernel under a mode; none when the kernel stays (float8).
fn quantized_kernel(mode: Mode, shape: &[u64], matrix: &Matrix) -> Vec<Weight> {
    let (rows, columns) = (matrix.rows, matrix.columns);
    match mode {
        Mode::Float8 { .. } => Vec::new(),
        Mode::Int8 => vec![
            stored("kernel", shape.to_vec(), Some(DType::Int8)),
            stored("kernel_scale", matrix.scales.clone(), None),
        ],
        Mode::Int4 { block: None } => vec![
            stored("kernel", vec![rows, columns.div_ceil(2)], Some(DType::Int8)),
            stored("kernel_scale", vec![columns], None),
        ],
        Mode::Int4 { block } => vec![
            stored("kernel", vec![rows, columns.div_ceil(2)], Some(DType::Int8)),
            stored("kernel_scale", vec![groups(rows, block), columns], None),
            stored("kernel_zero", vec![groups(rows, block), columns], Some(DType::Int8)),
            stored("g_idx", vec![rows], Some(DType::Float32)),
        ],
        Mode::Calibrated { bits, group, awq } => {
            let packed = if bits == 4 { columns.div_ceil(2) } else { columns };
            let mut weights = vec![
                stored("kernel", vec![packed, rows], Some(DType::UInt8)),
                stored("kernel_scale", vec![columns, groups(rows, group)], None),
                stored(matrix.zero, vec![columns, groups(rows, group)], Some(DType::UInt8)),
            ];
            if awq {
                weights.push(stored("awq_scales", vec![rows], None));
            }
            weights.push(stored("g_idx", vec![rows], Some(DType::Float32)));
            weights
        }
    }
}

fn sizes(weight: &Weight) -> Vec<u64> {
    weight.dims.iter().map(|(size, _)| *size).collect()
}

/// The scales and histories of float8 training, which gradients overwrite.
fn float8(weights: &mut Vec<Weight>, history: u64) {
    for side in ["inputs", "kernel", "outputs_grad"] {
        weights.push(Weight::new(&format!("{side}_scale"), [], &Initializer::Ones).of_dtype(DType::Float32));
        let name = format!("{side}_amax_history");
        weights
            .push(Weight::new(&name, [(history, "amax_history_length")], &Initializer::Zeros).of_dtype(DType::Float32));
    }
}

/// The quantized form of a table of vectors, `(indices, features)` or the other way round.
fn quantized_table(mode: Mode, name: &str, [indices, features]: [u64; 2], reverse: bool) -> Vec<Weight> {
    let ordered = |indices: u64, features: u64| {
        if reverse {
            vec![features, indices]
        } else {
            vec![indices, features]
        }
    };
    let (scale, zero) = (format!("{name}_scale"), format!("{name}_zero"));
    match mode {
        Mode::Int4 { block } => {
            let mut weights = vec![stored(name, ordered(indices, features.div_ceil(2)), Some(DType::Int8))];
            let shape = match block {
                Some(_) => ordered(indices, groups(features, block)),
                None => vec![indices],
            };
            weights.push(stored(&scale, shape.clone(), None));
            if block.is_some() {
                // Keras keeps the zero points of the reverse table in the layer's own format.
                weights.push(stored(&zero, shape, (!reverse).then_some(DType::Int8)));
                if !reverse {
                    weights.push(stored("g_idx", vec![features], Some(DType::Float32)));
                }
            }
            weights
        }
        _ => vec![
            stored(name, ordered(indices, features), Some(DType::Int8)),
            stored(&scale, vec![indices], None),
        ],
    }
}

fn quantize(layer: &Layer, mode: Mode, inputs: &[Shape], weights: Vec<Weight>) -> Result<Vec<Weight>, Problem> {
    let calibrated = matches!(mode, Mode::Calibrated { .. });
    let mut trainable = Vec::new();
    let mut kept = Vec::new();
    for weight in weights {
        let shape = sizes(&weight);
        match (layer, weight.name.as_str(), shape.as_slice()) {
            (Layer::Dense(_) | Layer::EinsumDense(_), "kernel", _) => {
                let matrix = match (layer, shape.as_slice()) {
                    (Layer::EinsumDense(dense), shape) => einsum_matrix(
                        &dense.equation,
                        shape,
                        calibrated,
                        inputs.first().map_or(0, Shape::rank),
                    )?,
                    (_, [rows, columns]) => Matrix {
                        rows: *rows,
                        columns: *columns,
                        scales: vec![*columns],
                        zero: "kernel_zero",
                    },
                    _ => return Err(Problem::shape("has a kernel that is no matrix")),
                };
                match quantized_kernel(mode, &shape, &matrix) {
                    replaced if replaced.is_empty() => trainable.push(weight),
                    replaced => kept.extend(replaced),
                }
            }
            (Layer::Embedding(_) | Layer::ReversibleEmbedding(_), "embeddings", [indices, features]) => {
                kept.extend(quantized_table(mode, "embeddings", [*indices, *features], false));
            }
            (Layer::ReversibleEmbedding(_), "reverse_embeddings", [features, indices]) => {
                kept.extend(quantized_table(mode, "reverse_embeddings", [*indices, *features], true));
            }
            _ => trainable.push(weight),
        }
    }
    if let (Mode::Float8 { history }, Layer::Dense(_) | Layer::EinsumDense(_)) = (mode, layer) {
        float8(&mut trainable, history);
    }
    trainable.extend(kept);
    Ok(trainable)
}

/// Adds the two thin matrices of low-rank adaptation and freezes the weight that they adapt.
fn low_rank(rank: u64, weights: &mut Vec<Weight>) {
    let Some(target) = weights
        .iter_mut()
        .find(|weight| matches!(weight.name.as_str(), "kernel" | "embeddings"))
    else {
        return;
    };
    target.trainable = false;
    let Some((last, rest)) = target.dims.split_last() else {
        return;
    };
    let mut left = rest.to_vec();
    left.push((rank, "lora_rank"));
    let right = vec![(rank, "lora_rank"), *last];
    let thin = [
        ("a", left, Initializer::HeUniform { seed: None }),
        ("b", right, Initializer::Zeros),
    ];
    let name = target.name.clone();
    for (side, dims, initializer) in thin {
        weights.push(Weight::new(&format!("lora_{name}_{side}"), dims, &initializer).of_dtype(DType::Float32));
    }
}

/// The policy of an inner layer in a map of policies (`DTypePolicyMap`), found by the end of its path.
fn inner_policy<'a>(policy: &'a Value, name: &str) -> Option<&'a Value> {
    let map = policy.get("config")?.get("policy_map")?.as_object()?;
    let found = map.iter().find(|(path, _)| path.rsplit('/').next() == Some(name));
    found.map(|(_, policy)| policy)
}

/// The equation of a projection of Keras' attention layers: `abc,cde->abde`.
fn projection(free: usize, bound: usize, outputs: usize) -> String {
    let letters: Vec<char> = ('a'..='z').collect();
    let part = |from: usize, count: usize| letters.iter().skip(from).take(count).collect::<String>();
    let (front, middle, back) = (part(0, free), part(free, bound), part(free + bound, outputs));
    format!("{front}{middle},{middle}{back}->{front}{back}")
}

/// The projections of an attention layer, each an `EinsumDense` with a policy of its own.
fn quantize_projections(policy: &Value, inputs: &[Shape], weights: Vec<Weight>) -> Result<Vec<Weight>, Problem> {
    let mut result = Vec::new();
    let mut rest = weights.into_iter().peekable();
    while let Some(first) = rest.next() {
        let Some((name, _)) = first.name.split_once('/') else {
            result.push(first);
            continue;
        };
        let name = name.to_owned();
        let prefix = format!("{name}/");
        let mut group = vec![first];
        while let Some(weight) = rest.next_if(|weight| weight.name.starts_with(&prefix)) {
            group.push(weight);
        }
        let Some(mode) = inner_policy(policy, &name).map(mode).transpose()?.flatten() else {
            result.extend(group);
            continue;
        };
        let kernel_rank = group[0].dims.len();
        let rank = inputs.first().map_or(3, Shape::rank);
        let equation = if name == "attention_output" {
            projection(rank - 1, 2, kernel_rank.saturating_sub(2))
        } else {
            projection(rank - 1, 1, kernel_rank.saturating_sub(1))
        };
        for weight in &mut group {
            weight.name = weight.name[prefix.len()..].to_owned();
        }
        let dense = Layer::EinsumDense(super::EinsumDense::new(equation, Vec::new()));
        for mut weight in quantize(&dense, mode, inputs, group)? {
            weight.name = format!("{prefix}{}", weight.name);
            result.push(weight);
        }
    }
    Ok(result)
}

/// The weights under the layer's quantization policy and `lora_rank`, and whether these change anything.
pub(super) fn adapted(
    layer: &Layer,
    carried: &Carried,
    inputs: &[Shape],
    mut weights: Vec<Weight>,
) -> Result<(Vec<Weight>, bool), Problem> {
    let mut changed = false;
    let class = layer.class();
    let adaptable = matches!(
        class,
        "Dense" | "EinsumDense" | "Embedding" | "Conv1D" | "Conv2D" | "Conv3D"
    );
    if let (true, Some(rank)) = (
        adaptable,
        carried.config.get("lora_rank").filter(|rank| !rank.is_null()),
    ) {
        let rank = rank.as_u64().filter(|&rank| rank > 0);
        let rank = rank.ok_or_else(|| Problem::key("lora_rank", "must be a whole number of at least 1"))?;
        low_rank(rank, &mut weights);
        changed = true;
    }
    let Some(policy) = &carried.policy else {
        return Ok((weights, changed));
    };
    match layer {
        Layer::Dense(_) | Layer::EinsumDense(_) | Layer::Embedding(_) | Layer::ReversibleEmbedding(_) => {
            if let Some(mode) = mode(policy)? {
                weights = quantize(layer, mode, inputs, weights)?;
                changed = true;
            }
        }
        Layer::MultiHeadAttention(_) | Layer::GroupQueryAttention(_) => {
            weights = quantize_projections(policy, inputs, weights)?;
            changed = true;
        }
        _ => {}
    }
    Ok((weights, changed))
}
