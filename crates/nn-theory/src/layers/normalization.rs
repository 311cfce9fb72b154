//! Normalization layers.

use super::{LayerSpec, single};
use crate::{
    DType, Initializer, Shape,
    error::Problem,
    formula::{Expr, num},
    shape::product,
    weight::Weight,
};
use serde_json::Value;

layer! {
    /// `gamma (x - mean) / √(variance + epsilon) + beta` with the statistics of the batch while training and moving
    /// averages otherwise (`keras.layers.BatchNormalization`; Ioffe and Szegedy, 2015).
    ///
    /// Four weights of the size of the axis; training changes two of them, the layer itself the moving averages.
    BatchNormalization() {
        /// The axis that keeps its own statistics: the channels.
        axis: i64 = -1,
        /// How much of the moving averages stays at each step.
        momentum: f64 = 0.99,
        /// Added to the variance.
        epsilon: f64 = 1e-3,
        /// Whether `beta` is added.
        center: bool = true,
        /// Whether `gamma` multiplies.
        scale: bool = true,
        /// Initializer of `beta`.
        beta_initializer: Initializer = Initializer::Zeros,
        /// Initializer of `gamma`.
        gamma_initializer: Initializer = Initializer::Ones,
        /// Initializer of the moving mean.
        moving_mean_initializer: Initializer = Initializer::Zeros,
        /// Initializer of the moving variance.
        moving_variance_initializer: Initializer = Initializer::Ones,
        /// Regularizer of `beta`, as Keras configures it.
        beta_regularizer: Value = Value::Null,
        /// Regularizer of `gamma`, as Keras configures it.
        gamma_regularizer: Value = Value::Null,
        /// Constraint of `beta`, as Keras configures it.
        beta_constraint: Value = Value::Null,
        /// Constraint of `gamma`, as Keras configures it.
        gamma_constraint: Value = Value::Null,
        /// Whether the statistics are shared between devices.
        synchronized: bool = false,
        /// Whether the batch's statistics are corrected by the moving ones while training (Ioffe, 2017).
        renorm: bool = false,
    }
}

impl LayerSpec for BatchNormalization {
    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Problem> {
        let input = single(inputs)?;
        input.required(self.axis, "the normalized axis")?;
        Ok(vec![input.clone()])
    }

    fn weights(&self, inputs: &[Shape]) -> Result<Vec<Weight>, Problem> {
        let channels = [(single(inputs)?.required(self.axis, "the normalized axis")?, "channels")];
        let mut weights = Vec::new();
        if self.scale {
            weights.push(Weight::new("gamma", channels, &self.gamma_initializer));
        }
        if self.center {
            weights.push(Weight::new("beta", channels, &self.beta_initializer));
        }
        weights.push(Weight::new("moving_mean", channels, &self.moving_mean_initializer).not_trainable());
        let mut deviations = vec!["moving_variance"];
        if self.renorm {
            deviations.extend(["moving_stddev", "renorm_mean", "renorm_stddev"]);
        }
        for name in deviations {
            let initializer = match name {
                "renorm_mean" => &self.moving_mean_initializer,
                _ => &self.moving_variance_initializer,
            };
            weights.push(Weight::new(name, channels, initializer).not_trainable());
        }
        Ok(weights)
    }

    fn parameters(&self, inputs: &[Shape]) -> Result<Option<Expr>, Problem> {
        let channels = single(inputs)?.required(self.axis, "the normalized axis")?;
        let names: Vec<String> = self.weights(inputs)?.into_iter().map(|weight| weight.name).collect();
        let kinds = names.len() as u64;
        Ok(Some(Expr::Product(vec![
            num(kinds, "kinds", &names.join(", ")),
            num(channels, "channels", "channels that are normalized on their own"),
        ])))
    }

    /// While it predicts, mean, variance, gamma and beta are one factor and one summand a channel.
    fn multiply_adds(&self, _: &[Shape], outputs: &[Shape]) -> Result<Option<Expr>, Problem> {
        passes(outputs, &["scale and shift"])
    }

    fn needs_shape(&self) -> bool {
        true
    }
}

/// What multiplies every value once, and how many values there are.
fn passes(outputs: &[Shape], passes: &[&str]) -> Result<Option<Expr>, Problem> {
    let Some(values) = product(outputs[0].sample(), "the number of output values")? else {
        return Ok(None);
    };
    let values = num(values, "outputs", "values that are normalized");
    let count = num(passes.len() as u64, "passes", &passes.join(", "));
    Ok(Some(match passes {
        [_] => values,
        _ => Expr::Product(vec![count, values]),
    }))
}

/// The passes of a normalization by the statistics of each sample.
fn sample_passes(outputs: &[Shape], affine: bool) -> Result<Option<Expr>, Problem> {
    let names = ["square for the variance", "divide by the deviation", "gamma and beta"];
    passes(outputs, &names[..2 + usize::from(affine)])
}

/// Axes as Keras stores them, one or several, counted from the front and in order.
fn axes(input: &Shape, axes: &[i64]) -> Result<Vec<usize>, Problem> {
    let mut found = Vec::with_capacity(axes.len());
    for &axis in axes {
        let known = || Problem::key("axis", format!("must name axes of the input {input}, found {axis}"));
        found.push(input.axis(axis).ok_or_else(known)?);
    }
    Ok(found)
}

/// The sizes of the axes, for a weight.
fn axis_dims(input: &Shape, names: &[i64]) -> Result<Vec<(u64, &'static str)>, Problem> {
    let axes = axes(input, names)?;
    axes.into_iter()
        .map(|axis| Ok((input.required(axis as i64, "the normalized axis")?, "channels")))
        .collect()
}

layer! {
    /// `gamma (x - mean) / √(variance + epsilon) + beta` with the statistics of each sample
    /// (`keras.layers.LayerNormalization`; Ba et al., 2016).
    LayerNormalization() {
        /// The axes that are normalized together.
        axis: Vec<i64> = vec![-1],
        /// Added to the variance.
        epsilon: f64 = 1e-3,
        /// Whether `beta` is added.
        center: bool = true,
        /// Whether `gamma` multiplies.
        scale: bool = true,
        /// Initializer of `beta`.
        beta_initializer: Initializer = Initializer::Zeros,
        /// Initializer of `gamma`.
        gamma_initializer: Initializer = Initializer::Ones,
    }
}

impl LayerSpec for LayerNormalization {
    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Problem> {
        axis_dims(single(inputs)?, &self.axis)?;
        Ok(vec![single(inputs)?.clone()])
    }

    fn weights(&self, inputs: &[Shape]) -> Result<Vec<Weight>, Problem> {
        let dims = axis_dims(single(inputs)?, &self.axis)?;
        Ok(gamma_and_beta(
            dims,
            (self.scale, &self.gamma_initializer),
            (self.center, &self.beta_initializer),
        ))
    }

    fn multiply_adds(&self, _: &[Shape], outputs: &[Shape]) -> Result<Option<Expr>, Problem> {
        sample_passes(outputs, self.scale || self.center)
    }

    fn needs_shape(&self) -> bool {
        true
    }
}

fn gamma_and_beta(
    dims: Vec<(u64, &'static str)>,
    gamma: (bool, &Initializer),
    beta: (bool, &Initializer),
) -> Vec<Weight> {
    let mut weights = Vec::new();
    if gamma.0 {
        weights.push(Weight::new("gamma", dims.clone(), gamma.1));
    }
    if beta.0 {
        weights.push(Weight::new("beta", dims, beta.1));
    }
    weights
}

layer! {
    /// As [`LayerNormalization`], over groups of channels (`keras.layers.GroupNormalization`; Wu and He, 2018).
    GroupNormalization() {
        /// Number of groups.
        groups: i64 = 32,
        /// The axis of the channels.
        axis: i64 = -1,
        /// Added to the variance.
        epsilon: f64 = 1e-3,
        /// Whether `beta` is added.
        center: bool = true,
        /// Whether `gamma` multiplies.
        scale: bool = true,
        /// Initializer of `beta`.
        beta_initializer: Initializer = Initializer::Zeros,
        /// Initializer of `gamma`.
        gamma_initializer: Initializer = Initializer::Ones,
    }
}

impl LayerSpec for GroupNormalization {
    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Problem> {
        let input = single(inputs)?;
        let channels = input.required(self.axis, "the axis of the channels")?;
        // -1 stands for one group a channel (instance normalization).
        let groups = if self.groups == -1 {
            channels
        } else {
            u64::try_from(self.groups).unwrap_or(0)
        };
        if groups == 0 || channels % groups != 0 {
            return Err(Problem::key(
                "groups",
                format!("must divide the {channels} channels, found {}", self.groups),
            ));
        }
        Ok(vec![input.clone()])
    }

    fn weights(&self, inputs: &[Shape]) -> Result<Vec<Weight>, Problem> {
        let dims = axis_dims(single(inputs)?, &[self.axis])?;
        Ok(gamma_and_beta(
            dims,
            (self.scale, &self.gamma_initializer),
            (self.center, &self.beta_initializer),
        ))
    }

    fn multiply_adds(&self, _: &[Shape], outputs: &[Shape]) -> Result<Option<Expr>, Problem> {
        sample_passes(outputs, self.scale || self.center)
    }

    fn needs_shape(&self) -> bool {
        true
    }
}

layer! {
    /// `scale · x / √(mean(x²) + epsilon)` (`keras.layers.RMSNormalization`; Zhang and Sennrich, 2019).
    RMSNormalization() {
        /// The axes that are normalized together.
        axis: Vec<i64> = vec![-1],
        /// Added to the mean square.
        epsilon: f64 = 1e-6,
    }
}

impl LayerSpec for RMSNormalization {
    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Problem> {
        axis_dims(single(inputs)?, &self.axis)?;
        Ok(vec![single(inputs)?.clone()])
    }

    fn weights(&self, inputs: &[Shape]) -> Result<Vec<Weight>, Problem> {
        Ok(vec![Weight::new(
            "scale",
            axis_dims(single(inputs)?, &self.axis)?,
            &Initializer::Ones,
        )])
    }

    fn multiply_adds(&self, _: &[Shape], outputs: &[Shape]) -> Result<Option<Expr>, Problem> {
        passes(outputs, &["square for the mean", "divide by the root", "scale"])
    }

    fn needs_shape(&self) -> bool {
        true
    }
}

layer! {
    /// `(x - mean) / √variance` with statistics taken from the data by `adapt()` (`keras.layers.Normalization`).
    Normalization() {
        /// The axes that keep their own statistics; null for one mean over everything.
        axis: Option<Vec<i64>> = Some(vec![-1]),
        /// A fixed mean instead of an adapted one.
        mean: Value = Value::Null,
        /// A fixed variance instead of an adapted one.
        variance: Value = Value::Null,
        /// Whether the layer does the opposite.
        invert: bool = false,
    }
}

impl LayerSpec for Normalization {
    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Problem> {
        Ok(vec![single(inputs)?.clone()])
    }

    fn weights(&self, inputs: &[Shape]) -> Result<Vec<Weight>, Problem> {
        if !self.mean.is_null() {
            return Ok(Vec::new());
        }
        let dims = axis_dims(single(inputs)?, self.axis.as_deref().unwrap_or(&[]))?;
        Ok(vec![
            Weight::new("mean", dims.clone(), &Initializer::Zeros).not_trainable(),
            Weight::new("variance", dims, &Initializer::Ones).not_trainable(),
            Weight::new("count", [], &Initializer::Zeros)
                .not_trainable()
                .of_dtype(DType::Int64),
        ])
    }

    fn multiply_adds(&self, _: &[Shape], outputs: &[Shape]) -> Result<Option<Expr>, Problem> {
        passes(outputs, &["scale and shift"])
    }

    fn needs_shape(&self) -> bool {
        true
    }
}

layer! {
    /// `x / √(Σ x²)`: its input scaled to length 1 along an axis (`keras.layers.UnitNormalization`).
    UnitNormalization() {}
}

impl LayerSpec for UnitNormalization {
    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Problem> {
        Ok(vec![single(inputs)?.clone()])
    }

    fn multiply_adds(&self, _: &[Shape], outputs: &[Shape]) -> Result<Option<Expr>, Problem> {
        passes(outputs, &["square for the length", "divide by the length"])
    }
}
