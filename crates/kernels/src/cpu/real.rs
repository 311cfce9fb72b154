//! What the fused operations need of f32 and f64, and their way into candle's storage.

use std::borrow::Cow;
use std::mem::MaybeUninit;

use candle_core::{CpuStorage, DType, Layout, Result, Tensor, WithDType};
use rayon::prelude::*;

use super::elementary::{self, Rounding};
use crate::precision::MatmulPrecision;

/// Numbers that one thread handles at a time in operations that go number by number. It is a constant, so that sums over pieces
/// do not depend on the number of threads.
pub(crate) const PIECE: usize = 1 << 14;

/// f32 or f64.
pub(crate) trait Real: WithDType + std::ops::Neg<Output = Self> {
    fn exp<M: Rounding>(self) -> Self;
    /// $e^x$ of $x \le 0$.
    fn exp_of_negative<M: Rounding>(self) -> Self;
    /// $e^x - 1$ of $x \le 88$.
    fn exp_m1<M: Rounding>(self) -> Self;
    /// $\ln x$ of a finite $x \ge 1$.
    fn ln_from_1<M: Rounding>(self) -> Self;
    /// $\ln(1 + x)$ of a number in $[0, 1]$.
    fn ln_1p<M: Rounding>(self) -> Self;
    fn tanh<M: Rounding>(self) -> Self;
    fn abs(self) -> Self;

    /// The distribution function of the normal distribution.
    fn normal_distribution<M: Rounding>(self) -> Self;

    /// The numbers, if they are of `f32`.
    fn as_f32(_numbers: &[Self]) -> Option<&[f32]> {
        None
    }

    /// The numbers, if they are of `f32`.
    fn as_f32_mut(_numbers: &mut [Self]) -> Option<&mut [f32]> {
        None
    }

    /// Numbers of `f32`, if that is this type.
    fn of_f32_mut(_numbers: &mut [f32]) -> Option<&mut [Self]> {
        None
    }

    /// Numbers of `f32`, if that is this type.
    fn from_f32(_numbers: Vec<f32>) -> Option<Vec<Self>> {
        None
    }

    /// The nearest numbers that a factor of this precision may have, where multiply-adds compute with them.
    fn rounded(numbers: &[Self], _precision: MatmulPrecision) -> Cow<'_, [Self]> {
        Cow::Borrowed(numbers)
    }

    /// The larger one, `other` if `self` is NaN.
    #[inline(always)]
    fn larger(self, other: Self) -> Self {
        if self > other { self } else { other }
    }

    /// The smaller one, `other` if `self` is NaN.
    #[inline(always)]
    fn smaller(self, other: Self) -> Self {
        if self < other { self } else { other }
    }
}

macro_rules! real {
    ($type:ty; { $($name:ident = $function:expr;)* } $($more:item)*) => {
        impl Real for $type {
            $($more)*

            $(
                #[inline(always)]
                fn $name<M: Rounding>(self) -> Self {
                    $function(self)
                }
            )*
            #[inline(always)]
            fn abs(self) -> Self {
                <$type>::abs(self)
            }
        }
    };
}

real!(
    f32;
    {
    exp = elementary::exp::<M>;
    exp_of_negative = elementary::exp_of_negative::<M>;
    exp_m1 = elementary::exp_m1::<M>;
    ln_from_1 = elementary::ln_from_1::<M>;
    ln_1p = elementary::ln_1p::<M>;
    tanh = elementary::tanh::<M>;
    normal_distribution = elementary::normal_distribution::<M>;
    }

    fn as_f32(numbers: &[f32]) -> Option<&[f32]> {
        Some(numbers)
    }
    fn as_f32_mut(numbers: &mut [f32]) -> Option<&mut [f32]> {
        Some(numbers)
    }
    fn of_f32_mut(numbers: &mut [f32]) -> Option<&mut [f32]> {
        Some(numbers)
    }
    fn from_f32(numbers: Vec<f32>) -> Option<Vec<f32>> {
        Some(numbers)
    }
    fn rounded(numbers: &[f32], precision: MatmulPrecision) -> Cow<'_, [f32]> {
        if precision == MatmulPrecision::Medium {
            Cow::Owned(numbers.iter().map(|x| half::bf16::from_f32(*x).to_f32()).collect())
        } else {
            Cow::Borrowed(numbers)
        }
    }
);
real!(
    f64;
    {
    exp = f64::exp;
    exp_of_negative = f64::exp;
    exp_m1 = f64::exp_m1;
    ln_from_1 = f64::ln;
    ln_1p = f64::ln_1p;
    tanh = f64::tanh;
    normal_distribution = normal_distribution;
    }
);

fn normal_distribution(x: f64) -> f64 {
    0.5 * (1.0 + candle_core::cpu::erf::erf_f64(x * std::f64::consts::FRAC_1_SQRT_2))
}

/// Calls a function of a [`Real`] with the type that a tensor holds.
macro_rules! for_real {
    ($dtype:expr, $op:expr, $function:ident::<$real:ident>($($argument:expr),* $(,)?)) => {
        match {
            // Storage has its `dtype` from a trait, tensors have their own.
            #[allow(unused_imports)]
            use candle_core::backend::BackendStorage as _;
            $dtype
        } {
            candle_core::DType::F32 => $function::<f32>($($argument),*),
            candle_core::DType::F64 => $function::<f64>($($argument),*),
            found => Err($crate::cpu::real::unsupported($op, found)),
        }
    };
}

/// Binds the numbers of a tensor to a name, in row-major order.
macro_rules! numbers {
    ($name:ident: $real:ty = $tensor:expr) => {
        let contiguous = $tensor.contiguous()?;
        let (storage, layout) = contiguous.storage_and_layout();
        let $name: &[$real] = match &*storage {
            candle_core::Storage::Cpu(storage) => $crate::cpu::real::slice(storage, layout)?,
            _ => candle_core::bail!("a tensor that should be on the CPU is elsewhere"),
        };
    };
}

pub(crate) use {for_real, numbers};

pub(crate) fn unsupported(op: &'static str, found: DType) -> candle_core::Error {
    candle_core::Error::UnsupportedDTypeForOp(found, op).bt()
}

/// The numbers of a contiguous layout.
pub(crate) fn slice<'a, T: Real>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [T]> {
    let data = T::cpu_storage_as_slice(storage)?;
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&data[start..end]),
        None => candle_core::bail!("a fused operation got a tensor that is not contiguous"),
    }
}

/// A tensor of the numbers, in the shape and on the device of another one.
pub(crate) fn tensor_like<T: Real>(data: Vec<T>, like: &Tensor) -> Result<Tensor> {
    Tensor::from_vec(data, like.shape(), like.device())
}

/// A vector of pieces of `piece` numbers that a function fills in parallel; it gets the piece's place and zeros.
///
/// Each piece is cleared just before it is filled, in the cache of the thread that fills it; clearing all at once would be another pass
/// over memory, on one thread.
pub(crate) fn filled<T: Real>(len: usize, piece: usize, fill: impl Fn(usize, &mut [T]) + Sync) -> Vec<T> {
    filled_with(len, piece, || (), |(), index, part| fill(index, part))
}

/// As [`filled`]; the function also gets what `scratch` made, one after the other for the pieces that a thread fills.
pub(crate) fn filled_with<T: Real, S>(
    len: usize,
    piece: usize,
    scratch: impl Fn() -> S + Sync + Send,
    fill: impl Fn(&mut S, usize, &mut [T]) + Sync,
) -> Vec<T> {
    let mut numbers: Vec<T> = Vec::with_capacity(len);
    numbers.spare_capacity_mut()[..len]
        .par_chunks_mut(piece.max(1))
        .enumerate()
        .for_each_init(scratch, |scratch, (index, part)| fill(scratch, index, cleared(part)));
    // SAFETY: the capacity is at least `len`, and the parts, all of which were cleared, are the first `len` numbers.
    unsafe { numbers.set_len(len) };
    numbers
}

/// Two vectors of pieces of `piece` numbers, filled together as [`filled_with`] does.
pub(crate) fn filled_pair<T: Real, S>(
    len: usize,
    piece: usize,
    scratch: impl Fn() -> S + Sync + Send,
    fill: impl Fn(&mut S, usize, &mut [T], &mut [T]) + Sync,
) -> (Vec<T>, Vec<T>) {
    let (mut first, mut second): (Vec<T>, Vec<T>) = (Vec::with_capacity(len), Vec::with_capacity(len));
    first.spare_capacity_mut()[..len]
        .par_chunks_mut(piece.max(1))
        .zip(second.spare_capacity_mut()[..len].par_chunks_mut(piece.max(1)))
        .enumerate()
        .for_each_init(scratch, |scratch, (index, (first, second))| {
            fill(scratch, index, cleared(first), cleared(second));
        });
    // SAFETY: as in `filled_with`.
    unsafe {
        first.set_len(len);
        second.set_len(len);
    }
    (first, second)
}

/// The same memory with zeros in it.
pub(crate) fn cleared<T: Real>(part: &mut [MaybeUninit<T>]) -> &mut [T] {
    part.iter_mut().for_each(|number| {
        number.write(T::zero());
    });
    // SAFETY: each number of the part was just written, and `MaybeUninit<T>` lies in memory as `T` does.
    unsafe { std::slice::from_raw_parts_mut(part.as_mut_ptr().cast::<T>(), part.len()) }
}

/// Calls a function for numbers of two slices that belong together.
///
/// The loops that the compiler makes by itself take 64 numbers at a time and the rest one by one, which is all of them where an image
/// has 32 channels; so the rest goes in groups of 16. (All numbers in such groups would tempt it to gather the first of 16 groups into a
/// vector, then the second, which is slow.)
#[inline(always)]
pub(crate) fn pairwise<A: Copy, B: Copy>(to: &mut [A], from: &[B], mut function: impl FnMut(&mut A, &B)) {
    let whole = to.len().min(from.len()) / 64 * 64;
    let (long_to, to) = to.split_at_mut(whole);
    let (long_from, from) = from.split_at(whole);
    for (to, from) in long_to.iter_mut().zip(long_from) {
        function(to, from);
    }
    let (to_groups, to_rest) = to.as_chunks_mut::<16>();
    let (from_groups, from_rest) = from.as_chunks::<16>();
    for (to, from) in to_groups.iter_mut().zip(from_groups) {
        // Copies, so that the compiler knows that nothing overlaps.
        let (mut numbers, others) = (*to, *from);
        for lane in 0..16 {
            function(&mut numbers[lane], &others[lane]);
        }
        *to = numbers;
    }
    for (to, from) in to_rest.iter_mut().zip(from_rest) {
        function(to, from);
    }
}

/// Runs a loop compiled for the widest vectors that the processor has.
///
/// The closure is inlined into a function with those instructions enabled, so its loops are vectorized with them. Rust never
/// contracts `a * b + c` on its own, so the results are the same bits on every processor; `mul_add` is, where there are vectors.
#[inline(always)]
pub(crate) fn vectorized<R>(body: impl FnOnce() -> R) -> R {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")]
        fn with_avx512<R>(body: impl FnOnce() -> R) -> R {
            body()
        }
        #[target_feature(enable = "avx2,fma")]
        fn with_avx2<R>(body: impl FnOnce() -> R) -> R {
            body()
        }
        if is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
        {
            // SAFETY: the processor was just asked for each feature that the function enables (AVX-512 implies AVX2 and FMA).
            return unsafe { with_avx512(body) };
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: the processor was just asked for both.
            return unsafe { with_avx2(body) };
        }
    }
    body()
}
