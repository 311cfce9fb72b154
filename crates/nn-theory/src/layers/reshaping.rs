//! Layers that only rearrange values.

use super::{LayerSpec, single};
use crate::{DataFormat, Shape, error::Problem, shape::product};

layer! {
    /// All values of a sample in one row (`keras.layers.Flatten`).
    Flatten() {
        /// Where the channels are.
        data_format: DataFormat = DataFormat::ChannelsLast,
    }
}

impl LayerSpec for Flatten {
    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Problem> {
        let input = single(inputs)?;
        if input.rank() == 0 {
            return Err(Problem::shape("expects an input with a batch dimension, found ()"));
        }
        Ok(vec![Shape(vec![
            input.0[0],
            product(input.sample(), "the number of values of a sample")?,
        ])])
    }
}

layer! {
    /// The values of a sample in another shape (`keras.layers.Reshape`); one entry may be -1, "whatever is left".
    Reshape(
        /// Shape of one sample.
        target_shape: Vec<i64>
    ) {}
}

impl LayerSpec for Reshape {
    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Problem> {
        let input = single(inputs)?;
        let batch = input.dims().first().copied().flatten();
        let size = product(input.sample(), "the number of values of a sample")?;
        if self.target_shape.iter().filter(|&&d| d == -1).count() > 1 || self.target_shape.iter().any(|&d| d < -1) {
            let found = &self.target_shape;
            return Err(Problem::key(
                "target_shape",
                format!("may hold sizes and one -1, found {found:?}"),
            ));
        }
        let known: Vec<Option<u64>> = self
            .target_shape
            .iter()
            .filter(|&&d| d >= 0)
            .map(|&d| Some(d as u64))
            .collect();
        let known = product(&known, "the size of 'target_shape'")?.unwrap_or(0);
        let fits = |size: u64| {
            if known == 0 {
                size == 0
            } else {
                size.is_multiple_of(known)
            }
        };
        let free = self.target_shape.contains(&-1);
        if let Some(size) = size
            && (!fits(size) || (!free && size != known))
        {
            let found = &self.target_shape;
            return Err(Problem::key(
                "target_shape",
                format!("must hold the {size} values of the input {input}, found {found:?}"),
            ));
        }
        let rest = size.and_then(|size| size.checked_div(known));
        let mut dims = vec![batch];
        dims.extend(
            self.target_shape
                .iter()
                .map(|&d| if d < 0 { rest } else { Some(d as u64) }),
        );
        Ok(vec![Shape(dims)])
    }
}

layer! {
    /// The axes of a sample in another order (`keras.layers.Permute`).
    Permute(
        /// The axis (1 is the first behind the batch) that goes to each place.
        dims: Vec<usize>
    ) {}
}

impl LayerSpec for Permute {
    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Problem> {
        let input = single(inputs)?;
        let mut sorted = self.dims.clone();
        sorted.sort_unstable();
        if !sorted.iter().copied().eq(1..input.rank()) {
            let found = &self.dims;
            return Err(Problem::key(
                "dims",
                format!("must hold each axis of the input {input} from 1 once, found {found:?}"),
            ));
        }
        let batch = input
            .dims()
            .first()
            .copied()
            .ok_or_else(|| Problem::shape("expects an input with a batch dimension, found ()"))?;
        Ok(vec![Shape(
            std::iter::once(batch)
                .chain(self.dims.iter().map(|&axis| input.0[axis]))
                .collect(),
        )])
    }
}

layer! {
    /// A vector several times, as the steps of a sequence (`keras.layers.RepeatVector`).
    RepeatVector(
        /// Number of steps.
        n: usize
    ) {}
}

impl LayerSpec for RepeatVector {
    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Problem> {
        let input = single(inputs)?;
        input.expect_rank(2, "(batch, values)")?;
        Ok(vec![Shape(vec![input.0[0], Some(self.n as u64), input.0[1]])])
    }
}
