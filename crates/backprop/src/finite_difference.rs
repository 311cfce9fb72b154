//! Derivatives by trying: the oldest check, and the only one that knows nothing of the rules it checks.
//!
//! The central difference `(f(x + h) − f(x − h)) / 2h` errs in two ways. Its *truncation* error, about `h² f‴/6`, asks
//! for a small `h`; its *rounding* error, about `ε |f| / h` with ε = 2.2e-16, asks for a large one. The sum is least near
//! `h = ∛ε ≈ 6e-6` (times the size of `x`), where about 10 digits are right. With `h = 1e-17` nothing is: `x + h` is `x`,
//! and the difference is 0.
//!
//! Richardson's extrapolation combines two steps, `(4 D(h/2) − D(h)) / 3`, and so removes the `h²` term; what is left
//! goes with `h⁴`, which allows the larger `h = ε^(1/5) ≈ 7e-4` with its smaller rounding error: about 12 digits.

/// A derivative and how far it may be off.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Estimate {
    /// The derivative.
    pub value: f64,
    /// An estimate of the absolute error: what rounding costs plus what another step changes.
    pub error: f64,
    /// The step `h`.
    pub step: f64,
}

/// The step of [`central`]: the cube root of the machine's precision, times the size of `x`.
pub fn central_step(x: f64) -> f64 {
    representable(x, f64::EPSILON.cbrt() * x.abs().max(1.0))
}

/// The step of [`richardson`]: the fifth root of the machine's precision, times the size of `x`.
pub fn richardson_step(x: f64) -> f64 {
    representable(x, f64::EPSILON.powf(0.2) * x.abs().max(1.0))
}

/// The step nearest to `h` by which `x` really moves: `(x + h) − x` as the machine computes it.
fn representable(x: f64, h: f64) -> f64 {
    let moved = (x + h) - x;
    if moved > 0.0 { moved } else { h }
}

/// The central difference `(f(x + h) − f(x − h)) / 2h`.
///
/// ```
/// use backprop::finite_difference::{central, central_step};
/// let good = central(f64::exp, 1.0, central_step(1.0));
/// assert!((good.value - 1.0_f64.exp()).abs() < 1e-9);
/// // A step that the machine cannot see:
/// assert_eq!(central(f64::exp, 1.0, 1e-17).value, 0.0);
/// ```
pub fn central(mut f: impl FnMut(f64) -> f64, x: f64, h: f64) -> Estimate {
    let (right, left) = (f(x + h), f(x - h));
    let (wide_right, wide_left) = (f(x + 2.0 * h), f(x - 2.0 * h));
    let value = (right - left) / (2.0 * h);
    let wide = (wide_right - wide_left) / (4.0 * h);
    // D(2h) − D(h) ≈ 3 c h², the truncation error of D(h) being c h².
    let truncation = (wide - value).abs() / 3.0;
    Estimate {
        value,
        error: truncation + rounding(right, left, h),
        step: h,
    }
}

/// Two central differences, of which the error of order `h²` is eliminated.
///
/// ```
/// use backprop::finite_difference::{richardson, richardson_step};
/// let estimate = richardson(|x: f64| x.tanh(), 0.3, richardson_step(0.3));
/// let exact = 1.0 - 0.3_f64.tanh().powi(2);
/// assert!((estimate.value - exact).abs() < 1e-11);
/// assert!((estimate.value - exact).abs() <= estimate.error);
/// ```
pub fn richardson(mut f: impl FnMut(f64) -> f64, x: f64, h: f64) -> Estimate {
    let (right, left) = (f(x + h), f(x - h));
    let (near_right, near_left) = (f(x + h / 2.0), f(x - h / 2.0));
    let wide = (right - left) / (2.0 * h);
    let near = (near_right - near_left) / h;
    let value = (4.0 * near - wide) / 3.0;
    // The correction |near − wide| is of order h²; its own error is smaller by another h².
    let truncation = (near - wide).abs() * h * h;
    Estimate {
        value,
        error: truncation + 3.0 * rounding(near_right, near_left, h / 2.0),
        step: h,
    }
}

fn rounding(right: f64, left: f64, h: f64) -> f64 {
    // A few roundings on the way to f, not only the last one.
    4.0 * f64::EPSILON * right.abs().max(left.abs()) / h
}

/// The gradient of a function of several numbers by [`richardson`], one number at a time.
///
/// ```
/// use backprop::finite_difference::gradient;
/// let g = gradient(|x| x[0] * x[0] * x[1], &[3.0, 2.0]);
/// assert!((g[0].value - 12.0).abs() < 1e-9 && (g[1].value - 9.0).abs() < 1e-9);
/// ```
pub fn gradient(mut f: impl FnMut(&[f64]) -> f64, at: &[f64]) -> Vec<Estimate> {
    let mut point = at.to_vec();
    (0..at.len())
        .map(|n| {
            let estimate = richardson(
                |x| {
                    point[n] = x;
                    f(&point)
                },
                at[n],
                richardson_step(at[n]),
            );
            point[n] = at[n];
            estimate
        })
        .collect()
}

/// What a step costs: the errors of the two methods at one `h`.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct StepError {
    /// The step.
    pub step: f64,
    /// The central difference.
    pub central: f64,
    /// Its relative error.
    pub central_error: f64,
    /// The relative error of Richardson's extrapolation.
    pub richardson_error: f64,
}

/// The relative errors of both methods for steps from `10^from` to `10^to`, `each` a decade.
///
/// ```
/// use backprop::finite_difference::step_errors;
/// let errors = step_errors(f64::exp, 1.0, 1.0_f64.exp(), -17, -1, 1);
/// assert_eq!(errors.len(), 17);
/// assert_eq!((errors[0].central, errors[0].central_error), (0.0, 1.0)); // h = 1e-17: nothing moves
/// assert!(errors[12].central_error < 1e-9); // h = 1e-5
/// assert!(errors[16].central_error > 1e-3); // h = 0.1
/// ```
pub fn step_errors(mut f: impl FnMut(f64) -> f64, x: f64, exact: f64, from: i32, to: i32, each: u32) -> Vec<StepError> {
    let each = each.max(1);
    let steps = to.saturating_sub(from).max(0).unsigned_abs() * each;
    (0..=steps)
        .map(|n| {
            let whole = from.saturating_add_unsigned(n / each);
            let step = 10.0_f64.powi(whole) * 10.0_f64.powf(f64::from(n % each) / f64::from(each));
            let relative = |value: f64| ((value - exact) / exact).abs();
            let central = central(&mut f, x, step).value;
            StepError {
                step,
                central,
                central_error: relative(central),
                richardson_error: relative(richardson(&mut f, x, step).value),
            }
        })
        .collect()
}
