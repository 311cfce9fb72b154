//! `exp`, `tanh`, logarithms and the normal distribution of f32 in a form that the compiler turns into vector instructions.
//!
//! The C library's functions take one number at a time, which made the hyperbolic tangents of LeNet-5 cost as much as its convolutions.
//! These have no branch and no table. They are wrong by at most 3 units in the last place, `exp` by 1 (measured over all exponents in the
//! test); the normal distribution is near 0 only as exact as near 1.
//!
//! Their polynomials are chains of multiply-adds, half as many instructions where the processor has one for both and rounds once. Which
//! it is says a [`Rounding`]: the same bits on every processor that has them, whatever the size of its vectors.

/// How $a b + c$ is rounded, and for which instructions a loop with it is compiled.
pub(super) trait Rounding: Copy + 'static {
    fn mul_add(a: f32, b: f32, c: f32) -> f32;

    /// Runs a loop compiled for the widest vectors that the processor has. What it calls must be inlined into it, or else each multiply-add
    /// of [`Once`] is a call of the C library: functions and closures are `#[inline(always)]`.
    fn vectorized<R>(body: impl FnOnce() -> R) -> R;
}

/// Rounded once, by one instruction.
#[derive(Clone, Copy)]
pub(super) struct Once;

/// Rounded after the multiplication and after the addition.
#[derive(Clone, Copy)]
pub(super) struct Twice;

impl Rounding for Once {
    #[inline(always)]
    fn mul_add(a: f32, b: f32, c: f32) -> f32 {
        a.mul_add(b, c)
    }

    #[inline(always)]
    fn vectorized<R>(body: impl FnOnce() -> R) -> R {
        super::real::vectorized(body)
    }
}

impl Rounding for Twice {
    #[inline(always)]
    fn mul_add(a: f32, b: f32, c: f32) -> f32 {
        a * b + c
    }

    #[inline(always)]
    fn vectorized<R>(body: impl FnOnce() -> R) -> R {
        body()
    }
}

/// Whether the loops of [`super::real::vectorized`] have an instruction for $a b + c$; without it [`Once`] would be exact, but calls a
/// function of the C library for each number.
pub(super) fn rounds_once() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        cfg!(target_arch = "aarch64")
    }
}

/// Evaluates an expression with the name bound to the [`Rounding`] of this processor.
macro_rules! with_rounding {
    ($rounding:ident => $body:expr) => {
        if $crate::cpu::elementary::rounds_once() {
            type $rounding = $crate::cpu::elementary::Once;
            $body
        } else {
            type $rounding = $crate::cpu::elementary::Twice;
            $body
        }
    };
}
pub(super) use with_rounding;

/// Adding and subtracting it rounds to an integer, which then is in the low bits: 1.5 · 2²³.
const INTEGER: f32 = 12_582_912.0;
/// What the exponent of a f32 is stored with.
const BIAS: f32 = 127.0;
/// ln 2 in two parts; the first has so few digits that its product with a small integer is exact.
const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];

/// Horner's scheme, the highest coefficient first.
#[inline(always)]
fn polynomial<M: Rounding, const N: usize>(x: f32, coefficients: [f32; N]) -> f32 {
    let mut sum = coefficients[0];
    // Not a loop over a part of the array, which is unrolled too late to become vectors.
    let mut at = 1;
    while at < N {
        sum = M::mul_add(sum, x, coefficients[at]);
        at += 1;
    }
    sum
}

/// $e^r - 1$ and $2^{n + b - 127}$ for $x = n \ln 2 + r$ with $|r| \le \ln 2 / 2$; $n + b$ must be from 0 (which gives the power 0) to 254.
#[inline(always)]
fn reduced<M: Rounding>(x: f32, bias: f32) -> (f32, f32) {
    let round = INTEGER + bias;
    let shifted = M::mul_add(x, std::f32::consts::LOG2_E, round);
    let n = shifted - round;
    let r = M::mul_add(n, -LN_2[1], M::mul_add(n, -LN_2[0], x));
    // Coefficients by minimax of the relative error.
    let p = polynomial::<M, 5>(r, [1.388_249_7e-3, 8.366_647e-3, 4.166_720_4e-2, 1.666_654_3e-1, 0.5]);
    (M::mul_add(p, r * r, r), f32::from_bits(shifted.to_bits() << 23))
}

/// $e^x$; results below 2⁻¹²⁵ are 0.
#[inline(always)]
pub(super) fn exp<M: Rounding>(x: f32) -> f32 {
    let x = if x < -87.3 { -87.3 } else { x };
    let x = if x > 89.0 { 89.0 } else { x };
    // 2ⁿ as 2ⁿ⁻¹ · 2, because 2¹²⁸ is no f32.
    let (rest, half_power) = reduced::<M>(x, BIAS - 1.0);
    M::mul_add(rest, half_power, half_power) * 2.0
}

/// $e^x$ of $x \le 0$; results below 2⁻¹²⁶ are 0.
#[inline(always)]
pub(super) fn exp_of_negative<M: Rounding>(x: f32) -> f32 {
    let x = if x < -88.0 { -88.0 } else { x };
    let (rest, power) = reduced::<M>(x, BIAS);
    M::mul_add(rest, power, power)
}

/// $e^x - 1$ of $x \le 88$.
#[inline(always)]
pub(super) fn exp_m1<M: Rounding>(x: f32) -> f32 {
    let x = if x < -88.0 { -88.0 } else { x };
    let (rest, power) = reduced::<M>(x, BIAS);
    M::mul_add(rest, power, power - 1.0)
}

/// The hyperbolic tangent.
#[inline(always)]
pub(super) fn tanh<M: Rounding>(x: f32) -> f32 {
    let size = x.abs();
    // It is 1 from 9.01 on.
    let size = if size > 10.0 { 10.0 } else { size };
    let e = exp_m1::<M>(size + size);
    (e / (e + 2.0)).copysign(x)
}

/// The distribution function of the normal distribution, $\frac{1}{2} (1 + \mathrm{erf}(x / \sqrt 2))$; wrong by at most 2 · 10⁻⁷.
#[inline(always)]
#[allow(clippy::excessive_precision, reason = "as they were fitted")]
pub(super) fn normal_distribution<M: Rounding>(x: f32) -> f32 {
    // 1/2 + x p(x²) / q(x²) up to 5.6, where f32 is at 0 or 1; coefficients by minimax of the relative error.
    let square = x * x;
    let square = if square < 31.36 { square } else { 31.36 };
    let p = polynomial::<M, 6>(
        square,
        [
            2.229_725_9e-8,
            6.289_812_5e-6,
            1.689_325_5e-4,
            4.677_371_1e-3,
            3.392_934_1e-2,
            3.989_422_6e-1,
        ],
    );
    let q = polynomial::<M, 6>(
        square,
        [
            1.179_655_0e-6,
            7.334_531_3e-5,
            1.885_510_7e-3,
            2.867_773_7e-2,
            2.517_145_6e-1,
            1.0,
        ],
    );
    let above = x * p / q;
    let above = if above > 0.5 { 0.5 } else { above };
    let above = if above < -0.5 { -0.5 } else { above };
    above + 0.5
}

/// $2\,\mathrm{artanh}(s)$ for $|s| \le 1/3$.
#[inline(always)]
#[allow(clippy::excessive_precision, reason = "as they were fitted")]
fn twice_artanh<M: Rounding>(s: f32) -> f32 {
    // Coefficients by minimax of the relative error.
    let square = s * s;
    let p = polynomial::<M, 5>(
        square,
        [
            2.430_087_2e-1,
            2.142_767_6e-1,
            2.861_688_4e-1,
            3.999_887_7e-1,
            6.666_667_5e-1,
        ],
    );
    M::mul_add(s * square, p, s + s)
}

/// $\ln(1 + x)$ for $x$ in $[0, 1]$.
#[inline(always)]
pub(super) fn ln_1p<M: Rounding>(x: f32) -> f32 {
    twice_artanh::<M>(x / (2.0 + x))
}

/// $\ln x$ of a finite $x \ge 1$, or NaN.
#[inline(always)]
pub(super) fn ln_from_1<M: Rounding>(x: f32) -> f32 {
    // x = 2ⁿ m with m from √½ to √2.
    const ROOT_OF_HALF: u32 = 0x3f35_04f3;
    let n = x.to_bits().wrapping_sub(ROOT_OF_HALF) >> 23;
    let m = f32::from_bits(x.to_bits().wrapping_sub(n << 23));
    // `n` is small, so that it may be cast as the signed number for which there are vector instructions.
    let n = n as i32 as f32;
    let rest = twice_artanh::<M>((m - 1.0) / (m + 1.0));
    let value = M::mul_add(n, LN_2[0], M::mul_add(n, LN_2[1], rest));
    if x.is_nan() { x } else { value }
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

    fn steps(from: f32, to: f32) -> impl Iterator<Item = f32> {
        (0..200_000).map(move |i| from + (to - from) * (i as f32 / 200_000.0))
    }

    fn tiny() -> impl Iterator<Item = f32> {
        (0..2_000)
            .map(|i| f32::from_bits(0x0080_0000 + i * 400_000))
            .filter(|x| *x <= 1.0)
    }

    fn errors_are_small<M: Rounding>() {
        let both_signs = |to: f32| steps(-to, to).chain(steps(-1.0, 1.0)).chain(tiny());
        let error = largest_error(steps(-86.0, 88.7).chain(steps(-1.0, 1.0)), exp::<M>, f64::exp);
        assert!(error < 1.1, "exp: {error}");
        let error = largest_error(
            steps(-86.0, 0.0).chain(steps(-1.0, 0.0)),
            exp_of_negative::<M>,
            f64::exp,
        );
        assert!(error < 1.1, "exp of negative: {error}");
        let error = largest_error(steps(-90.0, 87.9).chain(both_signs(1.0)), exp_m1::<M>, f64::exp_m1);
        assert!(error < 2.0, "exp - 1: {error}");
        let error = largest_error(both_signs(10.0), tanh::<M>, f64::tanh);
        assert!(error < 3.0, "tanh: {error}");
        let error = largest_error(tiny().chain(steps(0.0, 1.0)), ln_1p::<M>, f64::ln_1p);
        assert!(error < 2.0, "ln_1p: {error}");
        let error = largest_error(steps(1.0, 2.0).chain(steps(1.0, 1e6)), ln_from_1::<M>, f64::ln);
        assert!(error < 2.0, "ln: {error}");
        // Where the distribution is not near 0, which is as far from 0 as from 1.
        let exact: fn(f64) -> f64 =
            |x| 0.5 * (1.0 + candle_core::cpu::erf::erf_f64(x * std::f64::consts::FRAC_1_SQRT_2));
        let error = largest_error(both_signs(7.0).filter(|x| *x > -0.5), normal_distribution::<M>, exact);
        assert!(error < 3.5, "normal distribution: {error}");
        for x in both_signs(7.0) {
            let found = f64::from(normal_distribution::<M>(x));
            assert!(
                (found - exact(f64::from(x))).abs() < 2e-7,
                "normal distribution of {x}: {found}"
            );
        }
    }

    #[test]
    fn errors_are_a_few_units_in_the_last_place() {
        errors_are_small::<Once>();
        errors_are_small::<Twice>();
    }

    fn ends_are_kept<M: Rounding>() {
        let infinity = f32::INFINITY;
        assert_eq!(
            [0.0, -infinity, -1e4, infinity, 1e4, 88.8].map(exp::<M>),
            [1.0, 0.0, 0.0, infinity, infinity, infinity]
        );
        assert!(exp::<M>(88.7).is_finite());
        assert_eq!(
            [0.0, -0.0, -infinity, -1e4].map(exp_of_negative::<M>),
            [1.0, 1.0, 0.0, 0.0]
        );
        assert_eq!([0.0, -infinity, -1e4].map(exp_m1::<M>), [0.0, -1.0, -1.0]);
        assert_eq!([0.0, 20.0, infinity, -infinity].map(tanh::<M>), [0.0, 1.0, 1.0, -1.0]);
        assert!(tanh::<M>(-0.0).is_sign_negative());
        assert_eq!(
            [0.0, 6.0, -6.0, 1e30, infinity, -infinity].map(normal_distribution::<M>),
            [0.5, 1.0, 0.0, 1.0, 1.0, 0.0]
        );
        assert_eq!([ln_1p::<M>(0.0), ln_from_1::<M>(1.0)], [0.0, 0.0]);
        for function in [
            exp::<M>,
            exp_of_negative::<M>,
            exp_m1::<M>,
            tanh::<M>,
            normal_distribution::<M>,
            ln_1p::<M>,
            ln_from_1::<M>,
        ] {
            assert!(function(f32::NAN).is_nan());
        }
    }

    #[test]
    fn ends_of_the_range_are_kept() {
        ends_are_kept::<Once>();
        ends_are_kept::<Twice>();
    }

    #[test]
    fn vectors_of_every_size_have_the_same_bits() {
        let all = |x: f32| {
            let from_1 = 1.0 + x.abs();
            [
                exp::<Once>(x),
                exp_m1::<Once>(x),
                tanh::<Once>(x),
                normal_distribution::<Once>(x),
                ln_1p::<Once>(x.abs() / 100.0),
                ln_from_1::<Once>(from_1),
            ]
            .map(f32::to_bits)
        };
        let inputs: Vec<f32> = steps(-90.0, 90.0).step_by(11).collect();
        let plain: Vec<_> = inputs.iter().map(|x| all(std::hint::black_box(*x))).collect();
        let vectors: Vec<_> = Once::vectorized(
            #[inline(always)]
            || inputs.iter().map(|x| all(*x)).collect(),
        );
        assert!(plain == vectors);
    }
}
