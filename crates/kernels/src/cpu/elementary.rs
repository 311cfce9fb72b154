//! `exp`, `tanh`, `erf` and a logarithm of f32 in a form that the compiler turns into vector instructions.
//!
//! The C library's functions take one number at a time, which made the hyperbolic tangents of LeNet-5 cost as much as its convolutions.
//! These have no branch and no table. They are wrong by at most 2 units in the last place (measured over all exponents in the
//! test), and give the same bits on every processor.

/// Adding and subtracting it rounds to an integer: 1.5 · 2²³.
const ROUND: f32 = 12_582_912.0;
/// ln 2 in two parts; the first has so few digits that its product with a small integer is exact.
const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];

/// $e^x$; results below 2⁻¹²⁵ are 0.
#[inline(always)]
#[allow(clippy::excessive_precision, reason = "the digits of the source")]
pub(super) fn exp(x: f32) -> f32 {
    const LOWEST: f32 = -86.6;
    const HIGHEST: f32 = 88.722_84;
    let clamped = if x < LOWEST { LOWEST } else { x };
    let clamped = if clamped > HIGHEST { HIGHEST } else { clamped };
    // x = n ln 2 + r with |r| <= ln 2 / 2
    let shifted = clamped * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = (clamped - n * LN_2[0]) - n * LN_2[1];
    // Coefficients: Cephes, expf (S. L. Moshier).
    let mut p = 1.987_569_15e-4;
    for coefficient in [
        1.398_199_950_7e-3,
        8.333_451_907_3e-3,
        4.166_579_589_4e-2,
        1.666_666_545_9e-1,
        5.000_000_120_1e-1,
    ] {
        p = p * r + coefficient;
    }
    let mantissa = p * r * r + r + 1.0;
    // 2ⁿ as 2ⁿ⁻¹ · 2, because 2¹²⁸ is no f32. The low bits of `shifted` are n.
    let half_power = f32::from_bits(shifted.to_bits().wrapping_add(126) << 23);
    let power = mantissa * half_power * 2.0;
    let power = if x < LOWEST { 0.0 } else { power };
    let power = if x > HIGHEST { f32::INFINITY } else { power };
    if x.is_nan() { x } else { power }
}

/// The hyperbolic tangent.
#[inline(always)]
#[allow(clippy::excessive_precision, reason = "the digits of the source")]
pub(super) fn tanh(x: f32) -> f32 {
    let size = x.abs();
    // Coefficients: Cephes, tanhf.
    let square = x * x;
    let mut p = -5.704_988_727_45e-3;
    for coefficient in [
        2.063_908_879_54e-2,
        -5.373_971_555_31e-2,
        1.333_144_220_36e-1,
        -3.333_328_194_22e-1,
    ] {
        p = p * square + coefficient;
    }
    let small = p * square * size + size;
    let large = 1.0 - 2.0 / (exp(size + size) + 1.0);
    (if size < 0.625 { small } else { large }).copysign(x)
}

/// The error function.
#[inline(always)]
#[allow(clippy::excessive_precision, reason = "as they were fitted")]
pub(super) fn erf(x: f32) -> f32 {
    let size = x.abs();
    // Up to 1: x (1 + p(x²)); coefficients by minimax of the relative error, the first is 2/√π - 1.
    let square = x * x;
    let mut p = 7.854_119_8e-5;
    for coefficient in [
        -8.010_278_1e-4,
        5.188_338_5e-3,
        -2.685_381_8e-2,
        1.128_358_54e-1,
        -3.761_262_6e-1,
        1.283_791_67e-1,
    ] {
        p = p * square + coefficient;
    }
    let small = size + size * p;
    // Beyond, up to 4, where f32 ends: 1 - exp(-q(x)); coefficients by minimax of the error of the whole.
    let clamped = if size < 4.0 { size } else { 4.0 };
    let mut q = -1.863_800_86e-4;
    for coefficient in [
        2.947_666_68e-3,
        -2.183_809_69e-2,
        1.031_068_19e-1,
        6.381_447_32e-1,
        1.127_089_26,
        3.415_125_83e-4,
    ] {
        q = q * clamped + coefficient;
    }
    let large = 1.0 - exp(-q);
    let value = (if size < 1.0 { small } else { large }).copysign(x);
    if x.is_nan() { x } else { value }
}

/// $\ln(1 + x)$ for $x$ in $[0, 1]$.
#[inline(always)]
#[allow(clippy::excessive_precision, reason = "as they were fitted")]
pub(super) fn ln_1p(x: f32) -> f32 {
    // 2 artanh(s) with s = x / (2 + x) up to 1/3; coefficients by minimax of the relative error.
    let s = x / (2.0 + x);
    let square = s * s;
    let mut p = 2.430_087_2e-1;
    for coefficient in [2.142_767_6e-1, 2.861_688_4e-1, 3.999_887_7e-1, 6.666_667_5e-1] {
        p = p * square + coefficient;
    }
    (s + s) + s * square * p
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The largest distance from the exact values, in units of the last place of f32.
    fn largest_error(inputs: impl Iterator<Item = f32>, ours: fn(f32) -> f32, exact: fn(f64) -> f64) -> f64 {
        inputs
            .map(|x| {
                let exact = exact(f64::from(x));
                let unit = f64::from((exact as f32).abs().next_up()) - f64::from((exact as f32).abs());
                (f64::from(ours(x)) - exact).abs() / unit
            })
            .fold(0.0, f64::max)
    }

    #[test]
    fn errors_are_at_most_two_units_in_the_last_place() {
        let steps = |from: f32, to: f32| (0..200_000).map(move |i| from + (to - from) * (i as f32 / 200_000.0));
        let error = largest_error(steps(-86.0, 88.7).chain(steps(-1.0, 1.0)), exp, f64::exp);
        assert!(error < 2.0, "exp: {error}");
        let tiny = (0..2_000).map(|i| f32::from_bits(0x0080_0000 + i * 400_000));
        let error = largest_error(steps(-10.0, 10.0).chain(steps(-0.7, 0.7)).chain(tiny), tanh, f64::tanh);
        assert!(error < 2.0, "tanh: {error}");
        let exact = candle_core::cpu::erf::erf_f64;
        let tiny = (0..2_000).map(|i| f32::from_bits(0x0080_0000 + i * 400_000));
        let error = largest_error(steps(-5.0, 5.0).chain(steps(-1.0, 1.0)).chain(tiny), erf, exact);
        assert!(error < 2.0, "erf: {error}");
        let tiny = (0..2_000).map(|i| f32::from_bits(0x0080_0000 + i * 400_000));
        let fractions = steps(0.0, 1.0).chain(tiny).filter(|x| *x <= 1.0);
        let error = largest_error(fractions, ln_1p, f64::ln_1p);
        assert!(error < 2.0, "ln_1p: {error}");
    }

    #[test]
    fn ends_of_the_range_are_kept() {
        assert_eq!(
            [
                exp(0.0),
                exp(f32::NEG_INFINITY),
                exp(-1e4),
                exp(f32::INFINITY),
                exp(1e4)
            ],
            [1.0, 0.0, 0.0, f32::INFINITY, f32::INFINITY]
        );
        assert_eq!(
            [tanh(0.0), tanh(20.0), tanh(f32::INFINITY), tanh(f32::NEG_INFINITY)],
            [0.0, 1.0, 1.0, -1.0]
        );
        assert!(tanh(-0.0).is_sign_negative() && exp(f32::NAN).is_nan() && tanh(f32::NAN).is_nan());
        assert!(exp(88.7).is_finite());
        assert_eq!(
            [erf(0.0), erf(10.0), erf(f32::INFINITY), erf(f32::NEG_INFINITY)],
            [0.0, 1.0, 1.0, -1.0]
        );
        assert!(erf(-0.0).is_sign_negative() && erf(f32::NAN).is_nan());
        assert_eq!(ln_1p(0.0), 0.0);
        assert!(ln_1p(f32::NAN).is_nan());
    }
}
