//! Penalties on weights and outputs that are added to the loss, as `keras.regularizers` defines them.

use candle_core::{D, Tensor};
use serde_json::{Map, Value};

/// A penalty on the values of a tensor.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use models::Regularizer;
///
/// let regularizer = Regularizer::from_keras(&serde_json::json!("l2"))?.unwrap();
/// let weight = Tensor::new(&[3.0f32, 4.0], &Device::Cpu)?;
/// assert_eq!(regularizer.loss(&weight)?.to_scalar::<f32>()?, 0.25); // 0.01 (3² + 4²)
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Regularizer {
    /// `l1 Σ |x| + l2 Σ x²`; Keras' `L1` and `L2` are the cases with one of them 0.
    L1L2 {
        /// Factor of the sum of absolute values.
        l1: f64,
        /// Factor of the sum of squares.
        l2: f64,
    },
    /// `factor` times the mean absolute cosine between two rows (or columns) of a matrix.
    Orthogonal {
        /// Factor of the mean.
        factor: f64,
        /// Whether rows are compared, or columns.
        rows: bool,
    },
}

impl Regularizer {
    /// The regularizer in a Keras configuration; `None` for `null`.
    ///
    /// # Errors
    /// A sentence for anything that is no regularizer of Keras.
    pub fn from_keras(value: &Value) -> Result<Option<Self>, String> {
        let Some((name, config)) = class_and_config(value, "a regularizer")? else {
            return Ok(None);
        };
        let factor = |key: &str, default: f64| number(&config, key, default);
        Ok(Some(match name.as_str() {
            "l1" => Self::L1L2 {
                l1: factor("l1", 0.01)?,
                l2: 0.0,
            },
            "l2" => Self::L1L2 {
                l1: 0.0,
                l2: factor("l2", 0.01)?,
            },
            "l1l2" => Self::L1L2 {
                l1: factor("l1", 0.0)?,
                l2: factor("l2", 0.0)?,
            },
            "orthogonalregularizer" => Self::Orthogonal {
                factor: factor("factor", 0.01)?,
                rows: match config.get("mode").and_then(Value::as_str) {
                    None | Some("rows") => true,
                    Some("columns") => false,
                    Some(other) => return Err(format!("mode must be 'rows' or 'columns', found '{other}'")),
                },
            },
            other => {
                return Err(format!(
                    "there is no regularizer '{other}'; use l1, l2, l1_l2 or orthogonal_regularizer"
                ));
            }
        }))
    }

    /// The penalty of a tensor, a scalar of its number format.
    ///
    /// # Errors
    /// For a tensor of integers, and for `Orthogonal` on anything but a matrix.
    pub fn loss(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        match *self {
            Self::L1L2 { l1, l2 } => {
                let mut sum = Tensor::zeros((), x.dtype(), x.device())?;
                if l1 != 0.0 {
                    // The derivative of |x| at 0 is 0 here as in TensorFlow; candle's `abs` has 1.
                    sum = (sum + ((x * x.detach().sign()?)?.sum_all()? * l1)?)?;
                }
                if l2 != 0.0 {
                    sum = (sum + (x.sqr()?.sum_all()? * l2)?)?;
                }
                Ok(sum)
            }
            Self::Orthogonal { factor, rows } => {
                let (height, width) = x.dims2()?;
                let size = if rows { height } else { width };
                let vectors = if rows { x.clone() } else { x.t()?.contiguous()? };
                let vectors = unit_length(&vectors, D::Minus1)?;
                let products = vectors.matmul(&vectors.t()?.contiguous()?)?;
                let others = (1.0 - Tensor::eye(size, x.dtype(), x.device())?)?;
                let products = (products * others)?;
                let pairs = (size as f64 * (size as f64 - 1.0) / 2.0).max(1.0);
                let sum = (&products * products.detach().sign()?)?.sum_all()?;
                sum * (factor * 0.5 / pairs)
            }
        }
    }
}

/// `x / max(‖x‖, 1e-7)` along an axis, with the gradient of TensorFlow's (`keras.ops.normalize`).
pub(crate) fn unit_length<Axis: candle_core::shape::Dim>(x: &Tensor, axis: Axis) -> candle_core::Result<Tensor> {
    let squares = x.sqr()?.sum_keepdim(axis)?;
    let least = squares.zeros_like()?.affine(0.0, 1e-14)?;
    let clamped = squares.ge(&least)?.where_cond(&squares, &least)?;
    x.broadcast_div(&clamped.sqrt()?)
}

/// A class and its configuration.
pub(crate) type Object = (String, Map<String, Value>);

/// The class of a Keras object in lower case without underscores, and its configuration; `None` for `null`.
pub(crate) fn class_and_config(value: &Value, what: &str) -> Result<Option<Object>, String> {
    let (name, config) = match value {
        Value::Null => return Ok(None),
        Value::String(name) => (name.as_str(), Map::new()),
        Value::Object(object) => (
            object
                .get("class_name")
                .and_then(Value::as_str)
                .ok_or_else(|| format!("{what} needs a 'class_name', found {value}"))?,
            object
                .get("config")
                .and_then(Value::as_object)
                .cloned()
                .unwrap_or_default(),
        ),
        other => return Err(format!("{other} is not {what}")),
    };
    let name = name
        .chars()
        .filter(|c| *c != '_')
        .flat_map(char::to_lowercase)
        .collect();
    Ok(Some((name, config)))
}

/// A finite number of a configuration. Keras writes some as arrays of one number.
pub(crate) fn number(config: &Map<String, Value>, key: &str, default: f64) -> Result<f64, String> {
    let found = match config.get(key) {
        None | Some(Value::Null) => return Ok(default),
        Some(value) => value,
    };
    let number = found.as_f64().or_else(|| {
        let inner = found.get("config")?.get("value")?;
        inner.as_f64().or_else(|| inner.get(0)?.as_f64())
    });
    match number {
        Some(number) if number.is_finite() => Ok(number),
        _ => Err(format!("'{key}' must be a number, found {found}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};
    use serde_json::json;

    fn of(value: Value) -> Regularizer {
        Regularizer::from_keras(&value).unwrap().unwrap()
    }

    #[test]
    fn penalties_and_gradients_follow_the_formulas() {
        let x = Var::new(&[[3.0f64, -4.0], [0.0, 2.0]], &Device::Cpu).unwrap();
        let rows = [
            (json!("l1"), 0.01 * 9.0, [[0.01, -0.01], [0.0, 0.01]]),
            (
                json!({"class_name": "L2", "config": {"l2": 0.5}}),
                0.5 * 29.0,
                [[3.0, -4.0], [0.0, 2.0]],
            ),
            (
                json!({"class_name": "L1L2", "config": {"l1": 1.0, "l2": 0.5}}),
                9.0 + 14.5,
                [[4.0, -5.0], [0.0, 3.0]],
            ),
        ];
        for (config, expected, gradient) in rows {
            let loss = of(config.clone()).loss(&x).unwrap();
            assert!((loss.to_scalar::<f64>().unwrap() - expected).abs() < 1e-12, "{config}");
            let found = loss.backward().unwrap().get(&x).unwrap().to_vec2::<f64>().unwrap();
            for (a, b) in found.iter().flatten().zip(gradient.iter().flatten()) {
                assert!((a - b).abs() < 1e-12, "{config}: {found:?}");
            }
        }
    }

    #[test]
    fn orthogonal_compares_all_pairs() {
        // Rows (3, 4) and (1, 0): cosine 0.6; the columns (3, 1) and (4, 0): 12 / (√10 · 4).
        let x = Tensor::new(&[[3.0f64, 4.0], [1.0, 0.0]], &Device::Cpu).unwrap();
        for (mode, expected) in [("rows", 0.6), ("columns", 12.0 / (10f64.sqrt() * 4.0))] {
            let config = json!({"class_name": "OrthogonalRegularizer", "config": {"factor": 2.0, "mode": mode}});
            let loss: f64 = of(config).loss(&x).unwrap().to_scalar().unwrap();
            assert!((loss - 2.0 * expected).abs() < 1e-12, "{mode}: {loss}");
        }
        let vector = Tensor::new(&[1.0f64], &Device::Cpu).unwrap();
        assert!(of(json!("orthogonal_regularizer")).loss(&vector).is_err());
    }

    #[test]
    fn what_is_no_regularizer_is_refused() {
        assert_eq!(Regularizer::from_keras(&Value::Null), Ok(None));
        for wrong in [
            json!("l3"),
            json!(0.01),
            json!({"config": {}}),
            json!({"class_name": "L1", "config": {"l1": "much"}}),
            json!({"class_name": "OrthogonalRegularizer", "config": {"mode": "diagonals"}}),
        ] {
            assert!(Regularizer::from_keras(&wrong).is_err(), "{wrong}");
        }
    }
}
