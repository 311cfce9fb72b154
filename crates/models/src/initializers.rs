//! The first values of weights, drawn from Keras' distributions by a keyed [`Stream`].
//!
//! Variance scaling (Glorot and Bengio 2010; He et al. 2015; LeCun et al. 1998) draws with variance `scale / n`, where
//! `n` is the number of inputs of a unit (`fan_in`), of its outputs (`fan_out`), or their mean:
//!
//! | initializer | scale | n | distribution |
//! |---|---|---|---|
//! | `GlorotUniform` / `GlorotNormal` | 1 | (fan_in + fan_out) / 2 | uniform / truncated normal |
//! | `HeUniform` / `HeNormal` | 2 | fan_in | uniform / truncated normal |
//! | `LecunUniform` / `LecunNormal` | 1 | fan_in | uniform / truncated normal |
//! | `VarianceScaling` | `scale` | `mode` | `distribution`, also a normal one that is not cut off |
//!
//! A uniform distribution of variance `s²` has the limits `±√(3 s²)`. A normal distribution that is cut off at two
//! standard deviations loses variance, which Keras gives back by dividing its standard deviation by
//! 0.8796 (`keras.src.initializers.random_initializers.VarianceScaling`).

use kernels::random::{Draws, Stream};
use nn_theory::Initializer;

use crate::{Error, Result};

/// The standard deviation of a standard normal variable that is cut off at ±2.
const TRUNCATED_STDDEV: f64 = 0.879_625_661_034_239_8;

/// The values of a new weight in row-major order.
///
/// `stream` names the weight, so that its values depend on the seed and its path and on nothing else.
///
/// # Errors
/// [`Error::Initializer`] where the initializer is not defined for this shape.
pub fn initial_values(initializer: &Initializer, path: &str, shape: &[usize], stream: Stream) -> Result<Vec<f64>> {
    let count: usize = shape.iter().product();
    let (fan_in, fan_out) = fans(shape);
    let mut draws = stream.draws();
    let values = match initializer {
        Initializer::Zeros => vec![0.0; count],
        Initializer::Ones => vec![1.0; count],
        Initializer::Constant { value } => vec![*value; count],
        Initializer::GlorotUniform { .. } => uniform(&mut draws, count, 3.0 / mean(fan_in, fan_out)),
        Initializer::GlorotNormal { .. } => truncated(&mut draws, count, 1.0 / mean(fan_in, fan_out)),
        Initializer::HeUniform { .. } => uniform(&mut draws, count, 6.0 / fan_in),
        Initializer::HeNormal { .. } => truncated(&mut draws, count, 2.0 / fan_in),
        Initializer::LecunUniform { .. } => uniform(&mut draws, count, 3.0 / fan_in),
        Initializer::LecunNormal { .. } => truncated(&mut draws, count, 1.0 / fan_in),
        Initializer::RandomUniform { minval, maxval, .. } => {
            (0..count).map(|_| draws.uniform_in(*minval, *maxval)).collect()
        }
        Initializer::RandomNormal { mean, stddev, .. } => (0..count).map(|_| mean + stddev * draws.normal()).collect(),
        Initializer::TruncatedNormal { mean, stddev, .. } => (0..count)
            .map(|_| mean + stddev * truncated_normal(&mut draws))
            .collect(),
        Initializer::VarianceScaling {
            scale,
            mode,
            distribution,
            ..
        } => {
            let refused = |reason: String| Error::Initializer {
                path: path.to_string(),
                initializer: "VarianceScaling".to_string(),
                reason,
            };
            let n = match mode.as_str() {
                "fan_in" => fan_in.max(1.0),
                "fan_out" => fan_out.max(1.0),
                "fan_avg" => mean(fan_in, fan_out),
                other => {
                    return Err(refused(format!(
                        "mode must be fan_in, fan_out or fan_avg, found '{other}'"
                    )));
                }
            };
            if !(scale.is_finite() && *scale > 0.0) {
                return Err(refused(format!("scale must be above 0, found {scale}")));
            }
            match distribution.as_str() {
                "uniform" => uniform(&mut draws, count, 3.0 * scale / n),
                "truncated_normal" | "normal" => truncated(&mut draws, count, scale / n),
                "untruncated_normal" => {
                    let stddev = (scale / n).sqrt();
                    (0..count).map(|_| stddev * draws.normal()).collect()
                }
                other => {
                    return Err(refused(format!(
                        "distribution must be uniform, truncated_normal or untruncated_normal, found '{other}'"
                    )));
                }
            }
        }
        Initializer::Identity { gain } => match shape {
            &[rows, columns] => (0..rows * columns)
                .map(|place| if place / columns == place % columns { *gain } else { 0.0 })
                .collect(),
            _ => {
                return Err(Error::Initializer {
                    path: path.to_string(),
                    initializer: "Identity".to_string(),
                    reason: format!("it needs a matrix, found the shape {shape:?}"),
                });
            }
        },
        Initializer::Orthogonal { gain, .. } => orthogonal(&mut draws, path, shape, *gain)?,
        other => {
            return Err(Error::Initializer {
                path: path.to_string(),
                initializer: format!("{other:?}"),
                reason: "the running network does not know this initializer".to_string(),
            });
        }
    };
    Ok(values)
}

/// Inputs and outputs of one unit of a weight, as `keras.src.initializers.random_initializers.compute_fans` counts them:
/// the last two axes are (in, out), everything before them is the receptive field.
pub fn fans(shape: &[usize]) -> (f64, f64) {
    match shape {
        [] => (1.0, 1.0),
        [n] => (*n as f64, *n as f64),
        [field @ .., inputs, outputs] => {
            let field = field.iter().product::<usize>() as f64;
            (*inputs as f64 * field, *outputs as f64 * field)
        }
    }
}

fn mean(fan_in: f64, fan_out: f64) -> f64 {
    ((fan_in + fan_out) / 2.0).max(1.0)
}

/// Uniform values in `±√limit_squared`.
fn uniform(draws: &mut Draws, count: usize, limit_squared: f64) -> Vec<f64> {
    let limit = limit_squared.sqrt();
    (0..count).map(|_| draws.uniform_in(-limit, limit)).collect()
}

/// Normal values of the given variance, cut off at two standard deviations (of the wider normal that is drawn from).
fn truncated(draws: &mut Draws, count: usize, variance: f64) -> Vec<f64> {
    let stddev = variance.sqrt() / TRUNCATED_STDDEV;
    (0..count).map(|_| stddev * truncated_normal(draws)).collect()
}

fn truncated_normal(draws: &mut Draws) -> f64 {
    loop {
        let z = draws.normal();
        if z.abs() <= 2.0 {
            return z;
        }
    }
}

/// A matrix with orthonormal rows or columns (Saxe et al. 2014): Gram-Schmidt on a matrix of normal values, twice over
/// for accuracy. The weight is seen as a matrix of (all other axes, last axis), as Keras does.
fn orthogonal(draws: &mut Draws, path: &str, shape: &[usize], gain: f64) -> Result<Vec<f64>> {
    let [field @ .., columns] = shape else {
        return Err(rank_error(path, shape));
    };
    if field.is_empty() {
        return Err(rank_error(path, shape));
    }
    let (rows, columns) = (field.iter().product::<usize>(), *columns);
    let (short, long) = (rows.min(columns), rows.max(columns));
    let mut basis: Vec<Vec<f64>> = Vec::with_capacity(short);
    while basis.len() < short {
        let mut vector: Vec<f64> = (0..long).map(|_| draws.normal()).collect();
        for _ in 0..2 {
            for other in &basis {
                let along: f64 = vector.iter().zip(other).map(|(a, b)| a * b).sum();
                vector.iter_mut().zip(other).for_each(|(a, b)| *a -= along * b);
            }
        }
        let norm = vector.iter().map(|a| a * a).sum::<f64>().sqrt();
        if norm > 1e-8 {
            vector.iter_mut().for_each(|a| *a /= norm);
            basis.push(vector);
        }
    }
    let at = |row: usize, column: usize| {
        if rows >= columns {
            basis[column][row]
        } else {
            basis[row][column]
        }
    };
    Ok((0..rows * columns)
        .map(|i| gain * at(i / columns, i % columns))
        .collect())
}

fn rank_error(path: &str, shape: &[usize]) -> Error {
    Error::Initializer {
        path: path.to_string(),
        initializer: "Orthogonal".to_string(),
        reason: format!("it needs a weight of rank 2 or more, found shape {shape:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream() -> Stream {
        Stream::new(1).op("initializer").layer("dense/kernel")
    }

    #[track_caller]
    fn check_variance(initializer: Initializer, shape: &[usize], expected: f64, limit: f64) {
        let values = initial_values(&initializer, "w", shape, stream()).unwrap();
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let variance = values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / n;
        assert!(
            (variance / expected - 1.0).abs() < 0.05,
            "{initializer:?}: variance {variance}, expected {expected}"
        );
        assert!(mean.abs() < 5.0 * (expected / n).sqrt(), "{initializer:?}: mean {mean}");
        assert!(
            values.iter().all(|v| v.abs() <= limit * 1.000_001),
            "{initializer:?}: a value beyond {limit}"
        );
    }

    #[test]
    fn variance_scaling_has_keras_variance_and_limits() {
        let seed = None;
        check_variance(
            Initializer::GlorotUniform { seed },
            &[200, 100],
            1.0 / 150.0,
            (3.0f64 / 150.0).sqrt(),
        );
        check_variance(
            Initializer::HeUniform { seed },
            &[200, 100],
            2.0 / 200.0,
            (6.0f64 / 200.0).sqrt(),
        );
        let cut = |variance: f64| 2.0 * variance.sqrt() / TRUNCATED_STDDEV;
        check_variance(
            Initializer::GlorotNormal { seed },
            &[200, 100],
            1.0 / 150.0,
            cut(1.0 / 150.0),
        );
        check_variance(
            Initializer::HeNormal { seed },
            &[3, 3, 16, 100],
            2.0 / 144.0,
            cut(2.0 / 144.0),
        );
        check_variance(
            Initializer::LecunNormal { seed },
            &[200, 100],
            1.0 / 200.0,
            cut(1.0 / 200.0),
        );
    }

    #[test]
    fn variance_scaling_takes_every_mode_and_distribution() {
        // A convolution (3, 3, 8, 25): 72 inputs and 225 outputs of a unit.
        for (mode, n) in [("fan_in", 72.0), ("fan_out", 225.0), ("fan_avg", 148.5)] {
            for (distribution, limit) in [
                ("uniform", 3f64.sqrt()),
                ("truncated_normal", 2.0 / TRUNCATED_STDDEV),
                ("untruncated_normal", f64::INFINITY),
            ] {
                let initializer = Initializer::VarianceScaling {
                    scale: 2.5,
                    mode: mode.to_string(),
                    distribution: distribution.to_string(),
                    seed: None,
                };
                let variance: f64 = 2.5 / n;
                check_variance(initializer, &[3, 3, 8, 25], variance, limit * variance.sqrt());
            }
        }
        for (mode, distribution, scale) in [
            ("fan", "uniform", 1.0),
            ("fan_in", "cauchy", 1.0),
            ("fan_in", "uniform", 0.0),
        ] {
            let initializer = Initializer::VarianceScaling {
                scale,
                mode: mode.to_string(),
                distribution: distribution.to_string(),
                seed: None,
            };
            assert!(initial_values(&initializer, "w", &[3, 4], stream()).is_err());
        }
    }

    /// The largest distance of the empirical distribution function from the exact one (Kolmogorov and Smirnov): above
    /// `1.95 / √n` with a probability of one in a thousand.
    #[test]
    fn values_follow_the_distribution_function() {
        let normal = |x: f64| {
            let x = candle_core::Tensor::new(x / 2f64.sqrt(), &candle_core::Device::Cpu).unwrap();
            (1.0 + x.erf().unwrap().to_scalar::<f64>().unwrap()) / 2.0
        };
        let seed = None;
        let stddev = 1.0 / 40f64.sqrt();
        let wide = stddev / TRUNCATED_STDDEV;
        let cut = normal(-2.0);
        type Distribution = Box<dyn Fn(f64) -> f64>;
        let rows: [(Initializer, Distribution); 3] = [
            (
                Initializer::LecunUniform { seed },
                Box::new(move |x| x / (2.0 * 3f64.sqrt() * stddev) + 0.5),
            ),
            (
                Initializer::LecunNormal { seed },
                Box::new(move |x| (normal(x / wide) - cut) / (1.0 - 2.0 * cut)),
            ),
            (
                Initializer::RandomNormal {
                    mean: 0.0,
                    stddev,
                    seed,
                },
                Box::new(move |x| normal(x / stddev)),
            ),
        ];
        for (initializer, distribution) in rows {
            let mut values = initial_values(&initializer, "w", &[40, 100], stream()).unwrap();
            values.sort_by(f64::total_cmp);
            let n = values.len() as f64;
            let furthest = values.iter().enumerate().map(|(rank, &value)| {
                let exact = distribution(value);
                (exact - rank as f64 / n)
                    .abs()
                    .max((exact - (rank + 1) as f64 / n).abs())
            });
            let furthest = furthest.fold(0.0, f64::max);
            assert!(furthest < 1.95 / n.sqrt(), "{initializer:?}: {furthest}");
        }
    }

    #[test]
    fn identity_is_the_identity_times_the_gain() {
        let identity = Initializer::Identity { gain: 2.0 };
        let values = initial_values(&identity, "w", &[2, 3], stream()).unwrap();
        assert_eq!(values, [2.0, 0.0, 0.0, 0.0, 2.0, 0.0]);
        for shape in [&[3][..], &[2, 2, 2]] {
            assert!(initial_values(&identity, "w", shape, stream()).is_err());
        }
    }

    #[test]
    fn orthogonal_columns_are_orthonormal_times_the_gain() {
        for (rows, columns) in [(6, 4), (4, 6), (5, 5)] {
            let gain = 1.5;
            let w = initial_values(
                &Initializer::Orthogonal { gain, seed: None },
                "w",
                &[rows, columns],
                stream(),
            )
            .unwrap();
            let (short, long) = (rows.min(columns), rows.max(columns));
            let at = |i: usize, k: usize| {
                if rows >= columns {
                    w[k * columns + i]
                } else {
                    w[i * columns + k]
                }
            };
            for i in 0..short {
                for j in 0..short {
                    let dot: f64 = (0..long).map(|k| at(i, k) * at(j, k)).sum();
                    let expected = if i == j { gain * gain } else { 0.0 };
                    assert!((dot - expected).abs() < 1e-12, "{rows}x{columns}: {i}.{j} = {dot}");
                }
            }
        }
    }

    #[test]
    fn the_same_name_gives_the_same_values() {
        let glorot = Initializer::GlorotUniform { seed: None };
        let one = initial_values(&glorot, "w", &[3, 4], stream()).unwrap();
        assert_eq!(one, initial_values(&glorot, "w", &[3, 4], stream()).unwrap());
        assert_ne!(
            one,
            initial_values(&glorot, "w", &[3, 4], stream().layer("other")).unwrap()
        );
    }
}
