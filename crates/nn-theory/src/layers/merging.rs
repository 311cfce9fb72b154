//! Layers that make one tensor of several.

use super::LayerSpec;
use crate::{Shape, error::Problem};

layer! {
    /// Its inputs side by side along an axis (`keras.layers.Concatenate`).
    Concatenate() {
        /// The axis along which the sizes add up.
        axis: i64 = -1,
    }
}

/// Shape of an element-wise operation, with dimensions of size 1 stretched.
pub(crate) fn broadcast(inputs: &[Shape]) -> Result<Shape, Problem> {
    let mut shapes = inputs.iter();
    let mut result = shapes
        .next()
        .ok_or_else(|| Problem::shape("needs at least one input"))?
        .clone();
    for shape in shapes {
        let rank = result.rank().max(shape.rank());
        let at = |shape: &Shape, i: usize| (i + shape.rank()).checked_sub(rank).map_or(Some(1), |i| shape.0[i]);
        let mut dims = Vec::with_capacity(rank);
        for i in 0..rank {
            dims.push(match (at(&result, i), at(shape, i)) {
                (a, b) if a == b => a,
                (Some(1), other) | (other, Some(1)) => other,
                (None, _) | (_, None) => None,
                _ => {
                    return Err(Problem::shape(format!(
                        "cannot combine inputs of shapes {result} and {shape}; make them equal"
                    )));
                }
            });
        }
        result = Shape(dims);
    }
    Ok(result)
}

/// As [`broadcast`], sample by sample: the batch is no axis that a shape without it could be stretched along.
fn merged(inputs: &[Shape]) -> Result<Shape, Problem> {
    let samples: Vec<Shape> = inputs.iter().map(|shape| Shape(shape.sample().to_vec())).collect();
    let mut batches = inputs
        .iter()
        .filter_map(|shape| shape.dims().first().copied().flatten());
    let first = batches.next();
    let batch = first.filter(|first| batches.all(|batch| batch == *first));
    let mut dims = vec![batch];
    dims.extend(broadcast(&samples)?.0);
    Ok(Shape(dims))
}

pub(crate) fn concatenated(inputs: &[Shape], axis: i64) -> Result<Shape, Problem> {
    let first = inputs
        .first()
        .ok_or_else(|| Problem::shape("needs at least one input"))?;
    let along = first
        .axis(axis)
        .ok_or_else(|| Problem::key("axis", format!("must be an axis of the input {first}, found {axis}")))?;
    let mut dims = first.0.clone();
    for shape in &inputs[1..] {
        if shape.rank() != first.rank() {
            return Err(Problem::shape(format!(
                "cannot join inputs of shapes {first} and {shape}: the ranks differ"
            )));
        }
        for (i, dim) in dims.iter_mut().enumerate() {
            *dim = match (*dim, shape.0[i]) {
                (Some(a), Some(b)) if i == along => {
                    Some(a.checked_add(b).ok_or_else(|| Problem::too_large("the joined size"))?)
                }
                _ if i == along => None,
                (Some(a), Some(b)) if a != b => {
                    return Err(Problem::shape(format!(
                        "cannot join inputs of shapes {first} and {shape} along axis {axis}: they differ in axis {i}"
                    )));
                }
                (a, b) => a.or(b),
            };
        }
    }
    Ok(Shape(dims))
}

macro_rules! elementwise {
    ($($doc:literal $name:ident,)*) => {$(
        layer! {
            #[doc = $doc]
            $name() {}
        }

        impl LayerSpec for $name {
            fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Problem> {
                if inputs.len() < 2 {
                    return Err(Problem::shape(format!("needs at least two inputs, found {}", inputs.len())));
                }
                Ok(vec![merged(inputs)?])
            }
        }
    )*};
}

elementwise! {
    "Sum of its inputs (`keras.layers.Add`)." Add,
    "Difference of its two inputs (`keras.layers.Subtract`)." Subtract,
    "Product of its inputs (`keras.layers.Multiply`)." Multiply,
    "Mean of its inputs (`keras.layers.Average`)." Average,
    "Largest of its inputs, value by value (`keras.layers.Maximum`)." Maximum,
    "Smallest of its inputs, value by value (`keras.layers.Minimum`)." Minimum,
}

layer! {
    /// Products of two inputs, summed over an axis (`keras.layers.Dot`).
    Dot(
        /// The axis (or one axis for each input) that is summed over.
        axes: [i64; 2]
    ) {
        /// Whether both inputs are divided by their lengths along the axis first.
        normalize: bool = false,
    }
}

impl LayerSpec for Dot {
    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Problem> {
        let [a, b] = inputs else {
            return Err(Problem::shape(format!("takes two inputs, found {}", inputs.len())));
        };
        let axis = |shape: &Shape, axis: i64| {
            let found = shape.axis(axis).filter(|&axis| axis > 0);
            found.ok_or_else(|| {
                Problem::key(
                    "axes",
                    format!("must name axes of {a} and {b} behind the batch, found {:?}", self.axes),
                )
            })
        };
        let (first, second) = (axis(a, self.axes[0])?, axis(b, self.axes[1])?);
        if let (Some(x), Some(y)) = (a.0[first], b.0[second])
            && x != y
        {
            return Err(Problem::shape(format!(
                "sums over axes of {x} and {y} values of its inputs {a} and {b}; they must be equal"
            )));
        }
        let mut dims = a.0.clone();
        dims.remove(first);
        dims.extend(
            b.0.iter()
                .enumerate()
                .filter(|(i, _)| *i != 0 && *i != second)
                .map(|(_, dim)| *dim),
        );
        if dims.len() == 1 {
            dims.push(Some(1));
        }
        Ok(vec![Shape(dims)])
    }
}

impl LayerSpec for Concatenate {
    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Problem> {
        Ok(vec![concatenated(inputs, self.axis)?])
    }
}
