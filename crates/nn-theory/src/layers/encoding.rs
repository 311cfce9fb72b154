//! Numbers as categories: one-hot, multi-hot and hashed encodings.

use super::{LayerSpec, positive, single};
use crate::{Shape, error::Problem};

/// The shape of an encoding with `depth` entries: each value becomes a row (`one_hot`), or the last axis one.
///
/// An axis of size 1 is taken for the value itself, as Keras does.
pub(super) fn encoded(input: &Shape, mode: &str, depth: Option<u64>) -> Result<Shape, Problem> {
    let mut dims = input.0.clone();
    match mode {
        "int" => return Ok(input.clone()),
        "one_hot" => {
            if dims.len() > 1 && dims.last() == Some(&Some(1)) {
                dims.pop();
            }
        }
        "multi_hot" | "count" | "tf_idf" => drop(dims.pop()),
        other => {
            let problem = format!("must be int, one_hot, multi_hot, count or tf_idf, found '{other}'");
            return Err(Problem::key("output_mode", problem));
        }
    }
    dims.push(depth);
    Ok(Shape(dims))
}

layer! {
    /// Categories as vectors of 0 and 1 or of counts (`keras.layers.CategoryEncoding`).
    CategoryEncoding(
        /// Number of categories.
        num_tokens: usize
    ) {
        /// `one_hot`, `multi_hot` or `count`.
        output_mode: String = "multi_hot".to_owned(),
    }
}

impl LayerSpec for CategoryEncoding {
    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Problem> {
        positive("num_tokens", &[self.num_tokens])?;
        // `count_weights` may come as a second input.
        let input = inputs
            .first()
            .ok_or_else(|| Problem::shape("takes one input, found none"))?;
        Ok(vec![encoded(input, &self.output_mode, Some(self.num_tokens as u64))?])
    }
}

layer! {
    /// Numbers as the index of the interval they are in (`keras.layers.Discretization`).
    Discretization() {
        /// Ends of the intervals.
        bin_boundaries: Option<Vec<f64>> = None,
        /// Number of intervals, where their ends are learnt by `adapt()`.
        num_bins: Option<usize> = None,
        /// `int`, `one_hot`, `multi_hot` or `count`.
        output_mode: String = "int".to_owned(),
    }
}

impl LayerSpec for Discretization {
    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Problem> {
        let depth = match &self.bin_boundaries {
            Some(boundaries) => Some(boundaries.len() as u64 + 1),
            None => self.num_bins.map(|bins| bins as u64),
        };
        Ok(vec![encoded(single(inputs)?, &self.output_mode, depth)?])
    }
}

layer! {
    /// Any value as the number of a bin (`keras.layers.Hashing`; Weinberger et al., 2009).
    Hashing(
        /// Number of bins.
        num_bins: usize
    ) {
        /// `int`, `one_hot`, `multi_hot` or `count`.
        output_mode: String = "int".to_owned(),
    }
}

impl LayerSpec for Hashing {
    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Problem> {
        positive("num_bins", &[self.num_bins])?;
        // Keras encodes the last axis in every mode but `int`.
        let mode = if self.output_mode == "one_hot" {
            "multi_hot"
        } else {
            &self.output_mode
        };
        Ok(vec![encoded(single(inputs)?, mode, Some(self.num_bins as u64))?])
    }
}

layer! {
    /// Pairs of categories as the number of a bin (`keras.layers.HashedCrossing`).
    HashedCrossing(
        /// Number of bins.
        num_bins: usize
    ) {
        /// `int` or `one_hot`.
        output_mode: String = "int".to_owned(),
    }
}

impl LayerSpec for HashedCrossing {
    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Problem> {
        positive("num_bins", &[self.num_bins])?;
        let [first, _] = inputs else {
            return Err(Problem::shape(format!("takes two inputs, found {}", inputs.len())));
        };
        Ok(vec![encoded(first, &self.output_mode, Some(self.num_bins as u64))?])
    }
}
