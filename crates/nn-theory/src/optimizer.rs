//! The variables of an optimizer, counted from the configuration of a compiled model.

use crate::{Error, ModelSpec, OptimizerSize, Result, WeightSpec, error::Problem};
use serde_json::{Map, Value};

/// A count that stops at 64 bits.
#[derive(Clone, Copy, Default)]
struct Tally {
    parameters: Option<u64>,
    bytes: Option<u64>,
}

impl Tally {
    fn new() -> Self {
        Self {
            parameters: Some(0),
            bytes: Some(0),
        }
    }

    fn add(&mut self, count: u64, each: u64) {
        self.parameters = self.parameters.and_then(|sum| sum.checked_add(count));
        self.bytes = self.bytes.and_then(|sum| sum.checked_add(count.checked_mul(each)?));
    }

    /// As many numbers as all these weights have, in their formats, `times` over.
    fn add_slots(&mut self, weights: &[WeightSpec], times: u64) {
        for weight in weights {
            for _ in 0..times {
                self.add(weight.count(), weight.dtype.bytes());
            }
        }
    }
}

/// Bytes of the variables that every optimizer has: `iteration` is int64, `learning_rate` float32.
const ITERATION: u64 = 8;
const LEARNING_RATE: u64 = 4;

fn flag(config: &Map<String, Value>, key: &str) -> bool {
    config.get(key).and_then(Value::as_bool).unwrap_or(false)
}

fn number(config: &Map<String, Value>, key: &str) -> f64 {
    config.get(key).and_then(Value::as_f64).unwrap_or(0.0)
}

/// Whether Muon leaves a weight to Adam: only matrices that are no embeddings get its own step.
fn left_to_adam(config: &Map<String, Value>, weight: &WeightSpec) -> bool {
    let embeddings = config
        .get("exclude_embeddings")
        .and_then(Value::as_bool)
        .unwrap_or(true);
    let excluded = config.get("exclude_layers").and_then(Value::as_array);
    let mut excluded = excluded.into_iter().flatten().filter_map(Value::as_str);
    weight.shape.len() != 2
        || (embeddings && weight.path.to_lowercase().contains("embedding"))
        || excluded.any(|part| weight.path.contains(part))
}

/// Adds the variables of an optimizer; `None` for a class that is not known.
fn tally(optimizer: &Value, weights: &[WeightSpec], sum: &mut Tally) -> Option<()> {
    let class = optimizer.get("class_name")?.as_str()?;
    let config = optimizer.get("config")?.as_object()?;
    sum.add(1, ITERATION);
    // A schedule is computed from the iteration; only a fixed rate is a variable.
    if config.get("learning_rate").is_none_or(Value::is_number) {
        sum.add(1, LEARNING_RATE);
    }
    if flag(config, "use_ema") {
        sum.add_slots(weights, 1);
    }
    if number(config, "gradient_accumulation_steps") > 0.0 {
        sum.add_slots(weights, 1);
    }
    match class {
        "SGD" => sum.add_slots(weights, u64::from(number(config, "momentum") != 0.0)),
        "Adagrad" | "Lion" => sum.add_slots(weights, 1),
        "Adadelta" | "Adamax" | "Ftrl" | "Lamb" | "ScheduleFreeAdamW" => sum.add_slots(weights, 2),
        "Adam" | "AdamW" => sum.add_slots(weights, 2 + u64::from(flag(config, "amsgrad"))),
        "Nadam" => {
            sum.add_slots(weights, 2);
            sum.add(1, weights.first().map_or(4, |weight| weight.dtype.bytes()));
        }
        "RMSprop" => {
            let momentum = u64::from(number(config, "momentum") > 0.0);
            sum.add_slots(weights, 1 + momentum + u64::from(flag(config, "centered")));
        }
        "Adafactor" => {
            sum.add_slots(weights, 1);
            for weight in weights {
                match weight.shape.as_slice() {
                    // A row and a column for each matrix; two placeholders for everything smaller.
                    [front @ .., rows, columns] => {
                        let matrices = front
                            .iter()
                            .try_fold(1u64, |product, size| product.checked_mul(*size))?;
                        let sides = rows.checked_add(*columns)?;
                        sum.add(matrices.checked_mul(sides)?, weight.dtype.bytes());
                    }
                    _ => sum.add(2, 4),
                }
            }
        }
        "Muon" => {
            sum.add_slots(weights, 1);
            let adam: Vec<WeightSpec> = weights
                .iter()
                .filter(|weight| left_to_adam(config, weight))
                .cloned()
                .collect();
            sum.add_slots(&adam, 1);
        }
        "LossScaleOptimizer" => {
            // step_counter (int64) and dynamic_scale (float32)
            sum.add(1, 8);
            sum.add(1, 4);
            tally(config.get("inner_optimizer")?, weights, sum)?;
        }
        _ => return None,
    }
    Some(())
}

impl ModelSpec {
    /// What the optimizer of a compiled model stores once it is built, for [`crate::SummaryOptions::optimizer`]: from the
    /// `compile_config` that `model.to_json()` and the `config.json` of a `.keras` archive have. `None` for a model that
    /// is not compiled or not built, and for optimizers that are not Keras' own.
    ///
    /// Adam for a net of 2,056 parameters: two slots a parameter, `iteration` (int64) and `learning_rate` (float32).
    /// Source: `build` of the classes in `keras.optimizers`.
    ///
    /// ```
    /// use nn_theory::{Dense, ModelSpec};
    /// let json = r#"{"class_name": "Sequential", "config": {"name": "m", "layers": [
    ///     {"class_name": "InputLayer", "config": {"batch_shape": [null, 1024], "name": "x"}},
    ///     {"class_name": "Dense", "config": {"name": "y", "units": 2}}]},
    ///     "compile_config": {"optimizer": {"class_name": "Adam", "config": {"learning_rate": 0.001}}}}"#;
    /// let size = ModelSpec::from_keras_json(json)?.optimizer_size()?;
    /// assert_eq!(size.map(|size| size.parameters), Some(2 * 2050 + 2));
    /// # Ok::<(), nn_theory::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::TooLarge`] when a count leaves 64 bits.
    pub fn optimizer_size(&self) -> Result<Option<OptimizerSize>> {
        let Some(optimizer) = self
            .extra
            .get("compile_config")
            .and_then(|compile| compile.get("optimizer"))
        else {
            return Ok(None);
        };
        if !self.is_built() || !self.unknown_layers().is_empty() {
            return Ok(None);
        }
        // "optimizer": "adam" stands for the class with its defaults.
        let named = |name: &str| {
            let known = [
                "SGD",
                "Adam",
                "AdamW",
                "Adadelta",
                "Adagrad",
                "Adamax",
                "Adafactor",
                "Ftrl",
                "Lamb",
                "Lion",
                "Muon",
                "Nadam",
                "RMSprop",
            ];
            let class = known.into_iter().find(|class| class.eq_ignore_ascii_case(name))?;
            Some(serde_json::json!({ "class_name": class, "config": {} }))
        };
        let optimizer = match optimizer.as_str() {
            Some(name) => named(name),
            None => Some(optimizer.clone()),
        };
        // The scales of float8 training are written by gradients, not by the optimizer.
        let float8 = |weight: &WeightSpec| weight.name.ends_with("_amax_history") || weight.name.ends_with("_scale");
        let weights: Vec<WeightSpec> = self
            .weights()
            .into_iter()
            .filter(|weight| weight.trainable && !float8(weight))
            .collect();
        let mut sum = Tally::new();
        let Some(()) = optimizer.and_then(|optimizer| tally(&optimizer, &weights, &mut sum)) else {
            return Ok(None);
        };
        let too_large = || -> Error {
            Problem::too_large("the number of bytes of the optimizer's variables").at(self.name(), self.kind().class())
        };
        Ok(Some(OptimizerSize {
            parameters: sum.parameters.ok_or_else(too_large)?,
            bytes: sum.bytes.ok_or_else(too_large)?,
        }))
    }
}
