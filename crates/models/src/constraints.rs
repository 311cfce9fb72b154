//! What a weight must satisfy after each step of an optimizer, as `keras.constraints` defines it.

use candle_core::Tensor;
use serde_json::{Map, Value};

use crate::regularizers::{class_and_config, number};

/// Keras' `backend.epsilon()`.
const EPSILON: f64 = 1e-7;

/// A projection of a weight.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use models::Constraint;
///
/// let constraint = Constraint::from_keras(&serde_json::json!("non_neg"))?.unwrap();
/// let weight = Tensor::new(&[-1.0f32, 2.0], &Device::Cpu)?;
/// assert_eq!(constraint.apply(&weight)?.to_vec1::<f32>()?, [0.0, 2.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub enum Constraint {
    /// `max(w, 0)`.
    NonNeg,
    /// `w c / (1e-7 + n)` with the length `n` of `w` along the axes and `c = rate · clip(n, min, max) + (1 - rate) n`.
    ///
    /// Keras' `MaxNorm` is `min = 0`, `rate = 1`.
    MinMaxNorm {
        /// The smallest length.
        min_value: f64,
        /// The largest length.
        max_value: f64,
        /// How far the length moves to the interval: 1 is all the way.
        rate: f64,
        /// The axes of one vector; a negative axis counts from the end.
        axes: Vec<i64>,
    },
    /// `w / (1e-7 + n)`.
    UnitNorm {
        /// The axes of one vector; a negative axis counts from the end.
        axes: Vec<i64>,
    },
}

impl Constraint {
    /// The constraint in a Keras configuration; `None` for `null`.
    ///
    /// # Errors
    /// A sentence for anything that is no constraint of Keras.
    pub fn from_keras(value: &Value) -> Result<Option<Self>, String> {
        let Some((name, config)) = class_and_config(value, "a constraint")? else {
            return Ok(None);
        };
        Ok(Some(match name.as_str() {
            "nonneg" => Self::NonNeg,
            "maxnorm" => Self::MinMaxNorm {
                min_value: 0.0,
                max_value: number(&config, "max_value", 2.0)?,
                rate: 1.0,
                axes: axes(&config)?,
            },
            "minmaxnorm" => Self::MinMaxNorm {
                min_value: number(&config, "min_value", 0.0)?,
                max_value: number(&config, "max_value", 1.0)?,
                rate: number(&config, "rate", 1.0)?,
                axes: axes(&config)?,
            },
            "unitnorm" => Self::UnitNorm { axes: axes(&config)? },
            other => {
                return Err(format!(
                    "there is no constraint '{other}'; use max_norm, min_max_norm, non_neg or unit_norm"
                ));
            }
        }))
    }

    /// The projected weight, of the same shape.
    ///
    /// # Errors
    /// If the weight has no such axis.
    pub fn apply(&self, weight: &Tensor) -> candle_core::Result<Tensor> {
        match self {
            Self::NonNeg => weight.gt(0.0)?.where_cond(weight, &weight.zeros_like()?),
            Self::UnitNorm { axes } => weight.broadcast_div(&(length(weight, axes)? + EPSILON)?),
            Self::MinMaxNorm {
                min_value,
                max_value,
                rate,
                axes,
            } => {
                let length = length(weight, axes)?;
                let wanted = ((length.clamp(*min_value, *max_value)? * *rate)? + (&length * (1.0 - rate))?)?;
                weight.broadcast_mul(&(wanted / (length + EPSILON)?)?)
            }
        }
    }
}

fn axes(config: &Map<String, Value>) -> Result<Vec<i64>, String> {
    let wrong = |found: &Value| format!("'axis' must be an axis or a list of axes, found {found}");
    match config.get("axis") {
        None | Some(Value::Null) => Ok(vec![0]),
        Some(Value::Array(items)) => items
            .iter()
            .map(|item| item.as_i64().ok_or_else(|| wrong(item)))
            .collect(),
        Some(value) => Ok(vec![value.as_i64().ok_or_else(|| wrong(value))?]),
    }
}

/// The Euclidean length along the axes, each kept with size 1.
fn length(weight: &Tensor, axes: &[i64]) -> candle_core::Result<Tensor> {
    let rank = weight.rank() as i64;
    let mut squares = weight.sqr()?;
    for &axis in axes {
        let place = if axis < 0 { axis.saturating_add(rank) } else { axis };
        let place = usize::try_from(place).ok().filter(|&place| place < weight.rank());
        let place = place.ok_or_else(|| {
            candle_core::Error::Msg(format!("a weight of shape {:?} has no axis {axis}", weight.dims()))
        })?;
        squares = squares.sum_keepdim(place)?;
    }
    squares.sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;
    use serde_json::json;

    #[track_caller]
    fn check(config: Value, expected: [[f64; 2]; 2]) {
        // Columns of length 5 and 0.5.
        let weight = Tensor::new(&[[3.0f64, 0.3], [-4.0, 0.4]], &Device::Cpu).unwrap();
        let constraint = Constraint::from_keras(&config).unwrap().unwrap();
        let found = constraint.apply(&weight).unwrap().to_vec2::<f64>().unwrap();
        for (a, b) in found.iter().flatten().zip(expected.iter().flatten()) {
            assert!((a - b).abs() < 1e-6, "{config}: {found:?}");
        }
    }

    #[test]
    fn projections_follow_the_formulas() {
        check(json!("non_neg"), [[3.0, 0.3], [0.0, 0.4]]);
        check(json!("unit_norm"), [[0.6, 0.6], [-0.8, 0.8]]);
        check(json!("max_norm"), [[1.2, 0.3], [-1.6, 0.4]]);
        check(
            json!({"class_name": "MaxNorm", "config": {"max_value": 3.0, "axis": [0, 1]}}),
            [3.0, 0.3, -4.0, 0.4]
                .map(|w: f64| w * 3.0 / 25.25f64.sqrt())
                .chunks(2)
                .map(|row| [row[0], row[1]])
                .collect::<Vec<_>>()
                .try_into()
                .unwrap(),
        );
        // Half of the way: from 5 to (1 + 5) / 2 = 3, from 0.5 to 0.75.
        check(
            json!({"class_name": "MinMaxNorm", "config": {"min_value": 1.0, "max_value": 1.0, "rate": 0.5, "axis": 0}}),
            [[1.8, 0.45], [-2.4, 0.6]],
        );
    }

    #[test]
    fn what_is_no_constraint_is_refused() {
        assert_eq!(Constraint::from_keras(&Value::Null), Ok(None));
        for wrong in [
            json!("sum_to_one"),
            json!({"class_name": "UnitNorm", "config": {"axis": "x"}}),
        ] {
            assert!(Constraint::from_keras(&wrong).is_err(), "{wrong}");
        }
        let constraint = Constraint::UnitNorm { axes: vec![2] };
        let weight = Tensor::new(&[1.0f64], &Device::Cpu).unwrap();
        assert!(constraint.apply(&weight).unwrap_err().to_string().contains("no axis 2"));
    }
}
