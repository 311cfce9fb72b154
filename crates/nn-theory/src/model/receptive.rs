//! How far the layers see, and what their outputs occupy.

use super::{ModelSpec, Node};
use crate::{Layer, formula::num, shape::product};
use crate::{
    error::{Problem, Result},
    formula::{Expr, Formula},
};

/// The part of the input that one value behind a layer depends on, for each spatial axis.
///
/// With kernel `k`, stride `s` and dilation `d`, a layer makes of a field of `r` input values whose neighbours are `j` input
/// values apart: `r' = r + (k - 1) d j` and `j' = s j`. Where branches meet, the larger field counts. A dense layer on
/// flattened values, or a global pooling, sees everything. Padding counts as input; so the field can be larger than it.
///
/// Source: Araujo, Norris and Sim, *Computing Receptive Fields of Convolutional Neural Networks*, Distill, 2019.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReceptiveField {
    /// Input values along each spatial axis.
    Window {
        /// Size of the field.
        size: Vec<u64>,
        /// Distance of the fields of neighbouring values.
        stride: Vec<u64>,
    },
    /// Every value of the input.
    Everything,
}

/// What a layer does to the fields of its inputs.
enum Reach {
    /// Each value depends on the values at its own place.
    Pointwise,
    /// Size `(k - 1) d + 1` and stride of a window.
    Window(Vec<(u64, u64)>),
    Everything,
    Unknown,
}

fn windowed(size: &[usize], strides: &[usize], dilation: &[usize]) -> Reach {
    let span = |axis: usize| {
        let dilation = dilation.get(axis).map_or(1, |&d| d as u64);
        (size[axis] as u64)
            .checked_sub(1)?
            .checked_mul(dilation)?
            .checked_add(1)
    };
    let windows: Option<Vec<(u64, u64)>> = (0..size.len())
        .map(|axis| Some((span(axis)?, strides.get(axis).map_or(1, |&s| s as u64))))
        .collect();
    windows.map_or(Reach::Unknown, Reach::Window)
}

/// Classes whose output at a place depends on the input at that place (or on values that training has learnt).
const POINTWISE: &[&str] = &[
    "Activation",
    "ActivityRegularization",
    "Add",
    "AlphaDropout",
    "Average",
    "BatchNormalization",
    "Cropping1D",
    "Cropping2D",
    "Cropping3D",
    "Dropout",
    "ELU",
    "GaussianDropout",
    "GaussianNoise",
    "Identity",
    "LeakyReLU",
    "Masking",
    "Maximum",
    "Minimum",
    "Multiply",
    "Normalization",
    "PReLU",
    "ReLU",
    "Rescaling",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
    "Subtract",
    "ZeroPadding1D",
    "ZeroPadding2D",
    "ZeroPadding3D",
];

fn reach(node: &Node) -> Reach {
    macro_rules! window {
        ($layer:ident, $size:ident, $dilation:expr) => {
            windowed(&$layer.$size, &$layer.strides, $dilation)
        };
    }
    let rank = node.input_shapes.first().map_or(0, crate::Shape::rank);
    match &node.layer {
        Layer::Conv1D(layer) => window!(layer, kernel_size, &layer.dilation_rate),
        Layer::Conv2D(layer) => window!(layer, kernel_size, &layer.dilation_rate),
        Layer::Conv3D(layer) => window!(layer, kernel_size, &layer.dilation_rate),
        Layer::DepthwiseConv1D(layer) => window!(layer, kernel_size, &layer.dilation_rate),
        Layer::DepthwiseConv2D(layer) => window!(layer, kernel_size, &layer.dilation_rate),
        Layer::SeparableConv1D(layer) => window!(layer, kernel_size, &layer.dilation_rate),
        Layer::SeparableConv2D(layer) => window!(layer, kernel_size, &layer.dilation_rate),
        Layer::MaxPooling1D(layer) => window!(layer, pool_size, &[]),
        Layer::MaxPooling2D(layer) => window!(layer, pool_size, &[]),
        Layer::MaxPooling3D(layer) => window!(layer, pool_size, &[]),
        Layer::AveragePooling1D(layer) => window!(layer, pool_size, &[]),
        Layer::AveragePooling2D(layer) => window!(layer, pool_size, &[]),
        Layer::AveragePooling3D(layer) => window!(layer, pool_size, &[]),
        // The channels are joined, the places stay.
        Layer::Concatenate(layer) if rank > 2 && node.input_shapes[0].axis(layer.axis) == Some(rank - 1) => {
            Reach::Pointwise
        }
        Layer::Dense(_) if rank > 2 => Reach::Pointwise,
        Layer::Dense(_) | Layer::Flatten(_) => Reach::Everything,
        Layer::LayerNormalization(layer) if layer.axis == [-1] => Reach::Pointwise,
        Layer::LayerNormalization(_) | Layer::GroupNormalization(_) => Reach::Everything,
        layer if layer.class().starts_with("Global") => Reach::Everything,
        layer if POINTWISE.contains(&layer.class()) => Reach::Pointwise,
        _ => Reach::Unknown,
    }
}

/// The union of the fields of a layer's inputs; they must be equally far apart.
fn joined(a: ReceptiveField, b: &ReceptiveField) -> Option<ReceptiveField> {
    let (
        ReceptiveField::Window { size, stride },
        ReceptiveField::Window {
            size: other,
            stride: others,
        },
    ) = (&a, b)
    else {
        return Some(ReceptiveField::Everything);
    };
    let size = size.iter().zip(other).map(|(a, b)| *a.max(b)).collect();
    (stride == others).then(|| ReceptiveField::Window {
        size,
        stride: stride.clone(),
    })
}

fn seen(node: &Node, input: ReceptiveField) -> Option<ReceptiveField> {
    match (reach(node), input) {
        (Reach::Unknown, _) => None,
        (Reach::Everything, _) | (_, ReceptiveField::Everything) => Some(ReceptiveField::Everything),
        (Reach::Pointwise, field) => Some(field),
        (Reach::Window(windows), ReceptiveField::Window { size, stride }) => {
            if windows.len() != size.len() {
                return None;
            }
            let grown = size.iter().zip(&stride).zip(&windows);
            let size = grown.map(|((r, j), (span, _))| r.checked_add(span.checked_sub(1)?.checked_mul(*j)?));
            let jumps = stride.iter().zip(&windows).map(|(j, (_, s))| j.checked_mul(*s));
            Some(ReceptiveField::Window {
                size: size.collect::<Option<_>>()?,
                stride: jumps.collect::<Option<_>>()?,
            })
        }
    }
}

impl ModelSpec {
    /// The receptive field of each node's output, in the order of [`ModelSpec::nodes`]; `None` where a layer in front has
    /// none that is known (recurrent layers, attention, operations, transposed convolutions) or where branches with
    /// different strides meet.
    ///
    /// ```
    /// use nn_theory::{Conv2D, MaxPooling2D, ModelSpec, ReceptiveField};
    /// let model = ModelSpec::sequential("two_by_three")
    ///     .input([32, 32, 3])
    ///     .layer(Conv2D::new(8, [3, 3]))
    ///     .layer(MaxPooling2D::new([2, 2]))
    ///     .layer(Conv2D::new(8, [3, 3]))
    ///     .build()?;
    /// let field = model.receptive_fields().pop().flatten();
    /// assert_eq!(field, Some(ReceptiveField::Window { size: vec![8, 8], stride: vec![2, 2] }));
    /// # Ok::<(), nn_theory::Error>(())
    /// ```
    pub fn receptive_fields(&self) -> Vec<Option<ReceptiveField>> {
        let mut fields: Vec<Option<ReceptiveField>> = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let field = if node.inputs.is_empty() {
                // Batch and channels are no places.
                let spatial = node.output_shape.rank().saturating_sub(2);
                node.called.then(|| ReceptiveField::Window {
                    size: vec![1; spatial],
                    stride: vec![1; spatial],
                })
            } else {
                let mut inputs = node.inputs.iter().map(|&from| fields.get(from).cloned().flatten());
                let first = inputs.next().flatten();
                let union = inputs.fold(first, |union, field| joined(union?, &field?));
                union.and_then(|union| seen(node, union))
            };
            fields.push(field);
        }
        fields
    }

    /// Bytes that the outputs of all layers occupy for one sample, each in its compute format: what a forward pass that
    /// keeps everything for the backward pass needs beside the weights. `None` when a dimension is free or a shape
    /// unknown.
    ///
    /// # Errors
    /// [`crate::Error::TooLarge`] when the sum leaves 64 bits.
    pub fn activation_bytes(&self) -> Result<Option<u64>> {
        let mut sum = 0u64;
        for node in &self.nodes {
            let Some(size) = node.activation_bytes()? else {
                return Ok(None);
            };
            let what = "the number of bytes of all outputs";
            let too_large = || Problem::too_large(what).at(&self.name, self.kind.class());
            sum = sum.checked_add(size.value()).ok_or_else(too_large)?;
        }
        Ok(Some(sum))
    }
}

impl Node {
    /// Bytes that the outputs of this call occupy for one sample, as the formula `values × bytes`; `None` when a dimension
    /// is free or the shape unknown.
    ///
    /// ```
    /// use nn_theory::{Conv2D, ModelSpec};
    /// let model = ModelSpec::sequential("one").input([28, 28, 1]).layer(Conv2D::new(32, [3, 3])).build()?;
    /// let memory = model.nodes()[1].activation_bytes()?;
    /// assert_eq!(memory.map(|memory| memory.to_string()).as_deref(), Some("21632 × 4 = 86,528"));
    /// # Ok::<(), nn_theory::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`crate::Error::TooLarge`] when the count leaves 64 bits.
    pub fn activation_bytes(&self) -> Result<Option<Formula>> {
        let count = || -> Result<Option<Formula>, Problem> {
            if self.output_shapes.is_empty() {
                return Ok(None);
            }
            let mut values = Vec::with_capacity(self.output_shapes.len());
            for shape in &self.output_shapes {
                let Some(size) = product(shape.sample(), "the number of output values")? else {
                    return Ok(None);
                };
                values.push(num(size, "outputs", "values of an output"));
            }
            let values = if values.len() == 1 {
                values.remove(0)
            } else {
                Expr::Sum(values)
            };
            let bytes = num(
                self.dtype.compute.bytes(),
                "bytes",
                "bytes of a number in the compute format",
            );
            Formula::new(Expr::Product(vec![values, bytes]), "the number of bytes of the outputs").map(Some)
        };
        count().map_err(|problem| problem.at(&self.name, self.layer.class()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;

    /// Table 1 of Araujo et al.: the last features of VGG-16 see 212 pixels, one every 32.
    #[test]
    fn vgg16_sees_212_pixels() -> Result<(), Error> {
        let model = ModelSpec::from_keras_json(include_str!("../../tests/golden/summary/app_VGG16.config.json"))?;
        let fields = model.receptive_fields();
        let last = model.nodes().iter().position(|node| node.name == "block5_pool");
        let expected = ReceptiveField::Window {
            size: vec![212, 212],
            stride: vec![32, 32],
        };
        assert_eq!(last.and_then(|last| fields[last].clone()), Some(expected));
        assert_eq!(fields.last(), Some(&Some(ReceptiveField::Everything)));
        Ok(())
    }
}
