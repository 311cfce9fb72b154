//! A gradient check for any model in candle.
//!
//! Every weight is moved a little to both sides, the loss is computed again, and the difference quotient is compared
//! with the gradient of `backward()`. The verdict knows two things that a plain comparison does not: how many digits
//! rounding leaves (few in `f32`), and that at a *kink* (ReLU at 0, a tie in a max-pooling) the slopes from the left and
//! from the right differ and neither is wrong.

use candle_core::{DType, Result as CandleResult, Tensor, Var};
use serde::Serialize;

use crate::error::{Error, Result, shape};

/// What became of one weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The gradient is right to the tolerance.
    Agrees,
    /// At least one entry is wrong.
    Wrong,
    /// `backward()` returned no gradient though the loss changes with the weight.
    Missing,
    /// The loss does not change with the weight, and there is no gradient or one of 0.
    Unused,
}

impl Verdict {
    /// Whether nothing is wrong with the gradient.
    pub fn is_right(self) -> bool {
        matches!(self, Verdict::Agrees | Verdict::Unused)
    }
}

/// The check of one weight.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WeightCheck {
    /// The weight's name.
    pub name: String,
    /// Entries compared.
    pub checked: usize,
    /// Entries left out because the loss has a kink there.
    pub kinks: usize,
    /// The worst error, relative to the larger of the two values and of the weight's largest derivative.
    pub worst_relative_error: f64,
    /// The entry (in row-major order) that has it.
    pub worst_entry: usize,
    /// `backward()`'s derivative there.
    pub gradient: f64,
    /// The central difference there.
    pub difference: f64,
    /// The error that was allowed at that entry: the tolerance of the number format plus the rounding of the loss.
    pub allowed: f64,
    /// The verdict.
    pub verdict: Verdict,
}

/// The check of a model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GradientCheck {
    /// One row a weight, in the order given.
    pub weights: Vec<WeightCheck>,
    /// Whether no weight is wrong or missing.
    pub passed: bool,
}

/// How many entries of one weight are tried; of a larger weight, that many spread evenly.
pub const ENTRIES: usize = 256;

/// Compares candle's gradient of a loss with central differences, weight by weight.
///
/// `f` computes the loss (one number) from the variables; it must be the same function at every call, so dropout has to
/// be off or draw the same every time. The variables hold their old values afterwards, also after an error. Of a weight with
/// more than [`ENTRIES`] entries, that many spread evenly are tried.
///
/// ```
/// use backprop::gradient_check::gradient_check;
/// use candle_core::{Device, Tensor, Var};
/// let w = Var::from_tensor(&Tensor::new(&[0.5f64, -1.0, 2.0], &Device::Cpu)?)?;
/// let check = gradient_check(|| w.as_tensor().tanh()?.sqr()?.sum_all(), &[("w", &w)])?;
/// assert!(check.passed);
/// assert!(check.weights[0].worst_relative_error < 1e-8);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`Error::Candle`] from `f`; [`Error::Shape`] if the loss is not one number; [`Error::Number`] if it is not finite or a
/// variable is neither `f32` nor `f64`.
pub fn gradient_check(f: impl Fn() -> CandleResult<Tensor>, vars: &[(&str, &Var)]) -> Result<GradientCheck> {
    let loss = f()?;
    scalar(&loss)?;
    let store = loss.backward()?;
    let weights = vars
        .iter()
        .map(|(name, var)| check_gradient(&f, name, var, store.get(var.as_tensor()), ENTRIES))
        .collect::<Result<Vec<_>>>()?;
    let passed = weights.iter().all(|weight| weight.verdict.is_right());
    Ok(GradientCheck { weights, passed })
}

/// The check of one variable against a gradient from anywhere (`None` for one that is missing), at `entries` of its entries.
///
/// ```
/// use backprop::gradient_check::{Verdict, check_gradient};
/// use candle_core::{Device, Tensor, Var};
/// let w = Var::from_tensor(&Tensor::new(&[0.5f64, -1.0], &Device::Cpu)?)?;
/// let loss = || w.as_tensor().sqr()?.sum_all();
/// let forgot_the_factor_2 = w.as_tensor().copy()?;
/// let check = check_gradient(loss, "w", &w, Some(&forgot_the_factor_2), 2)?;
/// assert_eq!(check.verdict, Verdict::Wrong);
/// assert!((check.difference / check.gradient - 2.0).abs() < 1e-9);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// As [`gradient_check`]; [`Error::Shape`] for a gradient of another shape than the variable.
pub fn check_gradient(
    f: impl Fn() -> CandleResult<Tensor>,
    name: &str,
    var: &Var,
    gradient: Option<&Tensor>,
    entries: usize,
) -> Result<WeightCheck> {
    let precision = match var.dtype() {
        DType::F32 => f64::from(f32::EPSILON),
        DType::F64 => f64::EPSILON,
        other => {
            let what = format!("{other:?} is too coarse for differences; check the model in f32 or f64");
            return Err(Error::Number {
                node: name.into(),
                what,
            });
        }
    };
    let gradient = match gradient {
        Some(g) if g.dims() != var.dims() => {
            return Err(shape(
                name,
                format!("{:?}", var.dims()),
                format!("a gradient {:?}", g.dims()),
            ));
        }
        Some(g) => Some(g.to_dtype(DType::F64)?.flatten_all()?.to_vec1::<f64>()?),
        None => None,
    };
    let at = scalar(&f()?)?;
    let original = var.as_tensor().copy()?;
    let check = check_weight(&f, name, var, gradient.as_deref(), at, precision, entries);
    var.set(&original)?;
    check
}

/// One entry tried.
struct Trial {
    entry: usize,
    gradient: f64,
    difference: f64,
    /// How far the loss's rounding may carry the difference.
    noise: f64,
}

fn check_weight(
    f: &impl Fn() -> CandleResult<Tensor>,
    name: &str,
    var: &Var,
    gradient: Option<&[f64]>,
    at: f64,
    precision: f64,
    entries: usize,
) -> Result<WeightCheck> {
    let values = var.as_tensor().to_dtype(DType::F64)?.flatten_all()?.to_vec1::<f64>()?;
    let moved = |entry: usize, to: f64| -> Result<f64> {
        let mut values = values.clone();
        values[entry] = to;
        let tensor = Tensor::from_vec(values, var.shape(), var.device())?.to_dtype(var.dtype())?;
        var.set(&tensor)?;
        scalar(&f()?)
    };
    let tried = values.len().min(entries);
    let (mut trials, mut kinks) = (Vec::new(), 0);
    for n in 0..tried {
        let entry = n * values.len() / tried;
        let x = values[entry];
        let h = precision.cbrt() * x.abs().max(1.0);
        let (right, left) = (moved(entry, x + h)?, moved(entry, x - h)?);
        let (near_right, near_left) = (moved(entry, x + h / 2.0)?, moved(entry, x - h / 2.0)?);
        // Sums inside the loss round as well: a few times the precision of the result.
        let noise = 16.0 * precision * at.abs().max(right.abs()).max(left.abs()).max(precision) / h;
        // The jump of the slope from left to right of x. Of a smooth loss it is f″ h and halves with h; at a kink it
        // does not.
        let bend = (right - 2.0 * at + left).abs() / h;
        let near_bend = (near_right - 2.0 * at + near_left).abs() / (h / 2.0);
        let slope = (right - at).abs().max((at - left).abs()) / h;
        let visible = bend > 64.0 * precision.cbrt() * slope + 8.0 * noise;
        if visible && (near_bend / bend - 0.5).abs() > 0.2 {
            kinks += 1;
            continue;
        }
        let (wide, near) = ((right - left) / (2.0 * h), (near_right - near_left) / h);
        let difference = (4.0 * near - wide) / 3.0;
        let gradient = gradient.and_then(|g| g.get(entry)).copied().unwrap_or(0.0);
        trials.push(Trial {
            entry,
            gradient,
            difference,
            noise,
        });
    }
    let largest = trials
        .iter()
        .fold(0.0_f64, |m, t| m.max(t.gradient.abs()).max(t.difference.abs()));
    // With h = ∛ε the difference errs by about ε^(2/3); the factor leaves room for models that round a lot.
    // That is 2e-9 in f64 and 2e-3 in f32.
    let tolerance = 64.0 * precision.powf(2.0 / 3.0);
    let mut check = WeightCheck {
        name: name.into(),
        checked: trials.len(),
        kinks,
        worst_relative_error: 0.0,
        worst_entry: 0,
        gradient: 0.0,
        difference: 0.0,
        allowed: tolerance,
        verdict: Verdict::Agrees,
    };
    let mut moves = false;
    let mut wrong = false;
    for trial in &trials {
        let (gradient, difference) = (trial.gradient, trial.difference);
        moves |= difference.abs() > 4.0 * trial.noise;
        let scale = largest.max(f64::MIN_POSITIVE);
        let mut error = (gradient - difference).abs() / scale;
        if !error.is_finite() {
            error = f64::INFINITY;
        }
        let allowed = tolerance + 4.0 * trial.noise / scale;
        wrong |= error > allowed;
        if error >= check.worst_relative_error {
            check = WeightCheck {
                worst_relative_error: error,
                worst_entry: trial.entry,
                gradient,
                difference,
                allowed,
                ..check
            };
        }
    }
    check.verdict = match (gradient, moves, wrong) {
        (None, true, _) => Verdict::Missing,
        (None, false, _) => Verdict::Unused,
        (Some(g), false, _) if g.iter().all(|g| *g == 0.0) => Verdict::Unused,
        (Some(_), _, true) => Verdict::Wrong,
        (Some(_), _, false) => Verdict::Agrees,
    };
    Ok(check)
}

fn scalar(loss: &Tensor) -> Result<f64> {
    if loss.elem_count() != 1 {
        return Err(shape(
            "loss",
            "one number; end with `sum_all` or `mean_all`",
            format!("{:?}", loss.dims()),
        ));
    }
    let value = loss.to_dtype(DType::F64)?.flatten_all()?.to_vec1::<f64>()?[0];
    if !value.is_finite() {
        let what = format!("it is {value}; check a model whose loss is finite near its weights");
        return Err(Error::Number {
            node: "loss".into(),
            what,
        });
    }
    Ok(value)
}
