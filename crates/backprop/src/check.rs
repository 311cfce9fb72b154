//! Five ways to the same gradient, side by side.

use serde::Serialize;

use crate::autograd::CandleNetwork;
use crate::by_hand::Network;
use crate::dual::{self, Dual};
use crate::error::{Result, shape};
use crate::finite_difference;
use crate::matrix::Matrix;
use crate::tape::Tape;

/// The largest relative difference that rounding explains for the methods that are exact.
pub const EXACT: f64 = 1e-12;
/// The largest relative difference allowed to finite differences.
pub const APPROXIMATE: f64 = 1e-7;

/// One method compared with the derived formulas.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// The method's name.
    pub method: &'static str,
    /// How it gets its derivatives.
    pub how: &'static str,
    /// `∂L/∂A` by this method.
    pub a: Matrix,
    /// `∂L/∂B` by this method.
    pub b: Matrix,
    /// The worst relative error of an entry of `∂L/∂A`.
    pub worst_a: f64,
    /// The worst relative error of an entry of `∂L/∂B`.
    pub worst_b: f64,
    /// What is allowed.
    pub tolerance: f64,
    /// Whether both errors are within the tolerance.
    pub agrees: bool,
}

/// The table of the check.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FiveWays {
    /// The loss.
    pub loss: f64,
    /// The derived formulas first (compared with themselves), then tape, dual numbers, finite differences, candle.
    pub rows: Vec<Row>,
    /// Whether all agree.
    pub agrees: bool,
}

/// Computes `∂L/∂A` and `∂L/∂B` of one sample by formula, tape, dual numbers, finite differences and candle.
///
/// An entry's error is relative to the *terms* that the formula adds up, `½ Σ_k (p_k Σy + |y_k|) |B_ki| |x_j|` for `A`, at
/// the entry where they are largest: where those cancel to something tiny, the digits lost are lost for every method.
///
/// ```
/// use backprop::{Matrix, check::five_ways};
/// let a = Matrix::new(2, 3, vec![0.1, -0.4, 0.2, 0.7, 0.3, -0.5])?;
/// let b = Matrix::new(2, 2, vec![0.9, -0.2, 0.3, 0.8])?;
/// let table = five_ways(&a, &b, &[1.0, -2.0, 0.5], &[0.0, 1.0])?;
/// assert!(table.agrees);
/// assert_eq!(table.rows.len(), 5);
/// # Ok::<(), backprop::Error>(())
/// ```
///
/// # Errors
/// [`Error::Shape`](crate::Error::Shape) and [`Error::Number`](crate::Error::Number) for an input that is no network,
/// [`Error::Candle`](crate::Error::Candle).
pub fn five_ways(a: &Matrix, b: &Matrix, x: &[f64], y: &[f64]) -> Result<FiveWays> {
    let network = Network::new(a.clone(), b.clone())?;
    let formula = network.gradients(x, y)?;
    let methods = [
        (
            "formula",
            "the derived formulas (b) and (d)",
            EXACT,
            (formula.a.clone(), formula.b.clone()),
        ),
        ("tape", "reverse mode, one pass backwards", EXACT, by_tape(a, b, x, y)?),
        (
            "dual numbers",
            "forward mode, one pass a weight",
            EXACT,
            by_duals(a, b, x, y)?,
        ),
        (
            "finite differences",
            "Richardson's extrapolation, four losses a weight",
            APPROXIMATE,
            by_differences(&network, x, y)?,
        ),
        ("candle", "candle's autograd in f64", EXACT, {
            let (_, a, b) = CandleNetwork::new(&network)?.gradients(x, y)?;
            (a, b)
        }),
    ];
    let mut rows = Vec::new();
    for (method, how, tolerance, (a, b)) in methods {
        let (worst_a, worst_b) = errors(&network, x, y, &a, &b)?;
        let agrees = worst_a <= tolerance && worst_b <= tolerance;
        rows.push(Row {
            method,
            how,
            a,
            b,
            worst_a,
            worst_b,
            tolerance,
            agrees,
        });
    }
    let agrees = rows.iter().all(|row| row.agrees);
    Ok(FiveWays {
        loss: formula.loss,
        rows,
        agrees,
    })
}

/// The worst relative errors of gradients from elsewhere, `∂L/∂A` and `∂L/∂B`, compared with the derived formulas on the
/// scale of [`five_ways`].
///
/// ```
/// use backprop::{Matrix, by_hand::Network, check::errors};
/// let network = Network::new(Matrix::column(&[0.5]), Matrix::column(&[1.0, -1.0]))?;
/// let ours = network.gradients(&[2.0], &[1.0, 0.0])?;
/// assert_eq!(errors(&network, &[2.0], &[1.0, 0.0], &ours.a, &ours.b)?, (0.0, 0.0));
/// let doubled = ours.a.map(|g| 2.0 * g);
/// assert!(errors(&network, &[2.0], &[1.0, 0.0], &doubled, &ours.b)?.0 > 0.01);
/// # Ok::<(), backprop::Error>(())
/// ```
///
/// # Errors
/// As [`Network::gradients`]; [`Error::Shape`](crate::Error::Shape) for gradients of another shape than the weights.
pub fn errors(network: &Network, x: &[f64], y: &[f64], a: &Matrix, b: &Matrix) -> Result<(f64, f64)> {
    let formula = network.gradients(x, y)?;
    let p = network.forward(x)?.p;
    for (name, found, expected) in [("dL/dA", a, &formula.a), ("dL/dB", b, &formula.b)] {
        if found.shape() != expected.shape() {
            return Err(shape(name, expected.shape(), found.shape()));
        }
    }
    let sum_y: f64 = y.iter().map(|y| y.abs()).sum();
    let dz: Vec<f64> = p.iter().zip(y).map(|(p, y)| (p * sum_y + y.abs()) / 2.0).collect();
    let scale_b = dz.iter().fold(0.0, |m: f64, dz| m.max(*dz));
    let weights = network.b();
    let column = |i: usize| {
        let terms = dz.iter().enumerate().map(|(k, dz)| dz * weights.at(k, i).abs());
        terms.sum::<f64>()
    };
    let x_max = x.iter().fold(0.0, |m: f64, x| m.max(x.abs()));
    let scale_a = (0..weights.columns()).map(column).fold(0.0, f64::max) * x_max;
    Ok((worst(a, &formula.a, scale_a), worst(b, &formula.b, scale_b)))
}

/// The largest difference of two entries relative to the larger of them and the scale; NaN counts as infinite.
fn worst(found: &Matrix, expected: &Matrix, scale: f64) -> f64 {
    let pairs = found.data().iter().zip(expected.data());
    pairs.fold(0.0, |worst: f64, (f, e)| {
        let difference = (f - e).abs();
        let error = if difference == 0.0 {
            0.0
        } else {
            difference / scale.max(f.abs()).max(e.abs())
        };
        if error.is_nan() {
            f64::INFINITY
        } else {
            worst.max(error)
        }
    })
}

fn by_tape(a: &Matrix, b: &Matrix, x: &[f64], y: &[f64]) -> Result<(Matrix, Matrix)> {
    let mut tape = Tape::new();
    let (a, b) = (tape.leaf(a.clone()), tape.leaf(b.clone()));
    let (x, y) = (tape.constant(Matrix::column(x)), tape.constant(Matrix::column(y)));
    let u = tape.matmul(a, x)?;
    let v = tape.tanh(u);
    let z = tape.matmul(b, v)?;
    let log_p = tape.log_softmax(z);
    let terms = tape.multiply(y, log_p)?;
    let sum = tape.sum(terms);
    let loss = tape.scale(sum, -0.5);
    let gradients = tape.backward(loss)?;
    Ok((gradients.of(a).clone(), gradients.of(b).clone()))
}

fn by_duals(a: &Matrix, b: &Matrix, x: &[f64], y: &[f64]) -> Result<(Matrix, Matrix)> {
    let lift = |m: &Matrix| -> Vec<Vec<Dual>> {
        (0..m.rows())
            .map(|i| m.row(i).iter().map(|&w| Dual::constant(w)).collect())
            .collect()
    };
    let (mut da, mut db) = (lift(a), lift(b));
    let (mut ga, mut gb) = (Vec::new(), Vec::new());
    for i in 0..a.rows() {
        for j in 0..a.columns() {
            da[i][j].derivative = 1.0;
            ga.push(dual::loss(&da, &db, x, y).derivative);
            da[i][j].derivative = 0.0;
        }
    }
    for i in 0..b.rows() {
        for j in 0..b.columns() {
            db[i][j].derivative = 1.0;
            gb.push(dual::loss(&da, &db, x, y).derivative);
            db[i][j].derivative = 0.0;
        }
    }
    Ok((
        Matrix::new(a.rows(), a.columns(), ga)?,
        Matrix::new(b.rows(), b.columns(), gb)?,
    ))
}

fn by_differences(network: &Network, x: &[f64], y: &[f64]) -> Result<(Matrix, Matrix)> {
    let (a, b) = (network.a(), network.b());
    let with = |m: &Matrix, data: &[f64]| Matrix::new(m.rows(), m.columns(), data.to_vec());
    // A weight that cannot be moved (the loss overflows beside it) shows as NaN, which the comparison reports.
    let loss = |a: Result<Matrix>, b: Result<Matrix>| -> f64 {
        let network = a.and_then(|a| Network::new(a, b?));
        network.and_then(|network| network.loss(x, y)).unwrap_or(f64::NAN)
    };
    let values = |estimates: Vec<finite_difference::Estimate>| estimates.iter().map(|e| e.value).collect::<Vec<_>>();
    let ga = finite_difference::gradient(|data| loss(with(a, data), Ok(b.clone())), a.data());
    let gb = finite_difference::gradient(|data| loss(Ok(a.clone()), with(b, data)), b.data());
    Ok((with(a, &values(ga))?, with(b, &values(gb))?))
}
