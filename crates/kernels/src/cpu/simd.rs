//! Vectors for the inner loops of convolutions: AVX-512, AVX2 with FMA, and short arrays for every other processor.

use candle_core::WithDType;

use super::real::Real;

/// Numbers in the widest vector.
const MAX_LANES: usize = 16;
/// The largest [`Simd::ROWS`].
pub(super) const MAX_ROWS: usize = 14;

/// A register of numbers, and what the products of [`super::tile`] do with it.
///
/// # Safety
/// The functions may be called only where [`Simd::detected`] says that the processor has the instructions, and the pointers must be
/// valid for the numbers that are read or written.
pub(crate) unsafe trait Simd: Copy + 'static {
    type Scalar: Real;
    type Vector: Copy;
    /// Numbers in a register.
    const LANES: usize;
    /// Rows of a tile that fit the registers beside two vectors of the right factor.
    const ROWS: usize;
    /// Whether [`Simd::load_first`] and [`Simd::store_first`] are single instructions.
    const MASKED: bool = false;

    fn detected() -> bool;
    unsafe fn zero() -> Self::Vector;
    unsafe fn splat(from: *const Self::Scalar) -> Self::Vector;
    unsafe fn load(from: *const Self::Scalar) -> Self::Vector;
    unsafe fn store(to: *mut Self::Scalar, vector: Self::Vector);
    /// The first `count` numbers, at most [`Simd::LANES`]; only they are read, and the other lanes are zero.
    #[inline(always)]
    unsafe fn load_first(from: *const Self::Scalar, count: usize) -> Self::Vector {
        let mut numbers = [Self::Scalar::from_f64(0.0); MAX_LANES];
        // SAFETY: as the caller promises; the array is as long as the widest vector.
        unsafe {
            std::ptr::copy_nonoverlapping(from, numbers.as_mut_ptr(), count);
            Self::load(numbers.as_ptr())
        }
    }
    /// Writes the first `count` lanes, at most [`Simd::LANES`], and nothing else.
    #[inline(always)]
    unsafe fn store_first(to: *mut Self::Scalar, vector: Self::Vector, count: usize) {
        let mut numbers = [Self::Scalar::from_f64(0.0); MAX_LANES];
        // SAFETY: as above.
        unsafe {
            Self::store(numbers.as_mut_ptr(), vector);
            std::ptr::copy_nonoverlapping(numbers.as_ptr(), to, count);
        }
    }
    unsafe fn add(a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `a b + c`, rounded once where the processor can.
    unsafe fn mul_add(a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
    /// `x` where `a > b`, `y` elsewhere.
    unsafe fn select_greater(a: Self::Vector, b: Self::Vector, x: Self::Vector, y: Self::Vector) -> Self::Vector;
    /// `x` where `a = b`, `y` elsewhere.
    unsafe fn select_equal(a: Self::Vector, b: Self::Vector, x: Self::Vector, y: Self::Vector) -> Self::Vector;
    /// Calls a function that is compiled for these instructions if it is inlined.
    unsafe fn call<R>(function: impl FnOnce() -> R) -> R;
}

/// The widest vectors of f32 and of f64 that there may be, and what is used without them.
pub(crate) trait Vectors: Real {
    type Widest: Simd<Scalar = Self>;
    type Wide: Simd<Scalar = Self>;
    type Plain: Simd<Scalar = Self>;
}

/// Evaluates an expression with the name bound to the best vectors for a number type on this processor.
macro_rules! with_simd {
    ($real:ty, $simd:ident => $body:expr) => {
        if <<$real as $crate::cpu::simd::Vectors>::Widest as $crate::cpu::simd::Simd>::detected() {
            type $simd<T> = <T as $crate::cpu::simd::Vectors>::Widest;
            $body
        } else if <<$real as $crate::cpu::simd::Vectors>::Wide as $crate::cpu::simd::Simd>::detected() {
            type $simd<T> = <T as $crate::cpu::simd::Vectors>::Wide;
            $body
        } else {
            type $simd<T> = <T as $crate::cpu::simd::Vectors>::Plain;
            $body
        }
    };
}
pub(crate) use with_simd;

/// Two numbers at a time, in plain Rust.
#[derive(Clone, Copy)]
pub(crate) struct Plain<T>(std::marker::PhantomData<T>);

// SAFETY: needs no particular instructions; the pointers are the caller's business.
unsafe impl<T: Real> Simd for Plain<T> {
    type Scalar = T;
    type Vector = [T; 4];
    const LANES: usize = 4;
    const ROWS: usize = 4;

    fn detected() -> bool {
        true
    }
    #[inline(always)]
    unsafe fn zero() -> [T; 4] {
        [T::zero(); 4]
    }
    #[inline(always)]
    unsafe fn splat(from: *const T) -> [T; 4] {
        // SAFETY: as the caller promises.
        [unsafe { *from }; 4]
    }
    #[inline(always)]
    unsafe fn load(from: *const T) -> [T; 4] {
        // SAFETY: as the caller promises.
        unsafe { from.cast::<[T; 4]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(to: *mut T, vector: [T; 4]) {
        // SAFETY: as the caller promises.
        unsafe { to.cast::<[T; 4]>().write_unaligned(vector) }
    }
    #[inline(always)]
    unsafe fn add(a: [T; 4], b: [T; 4]) -> [T; 4] {
        std::array::from_fn(|lane| a[lane] + b[lane])
    }
    #[inline(always)]
    unsafe fn mul_add(a: [T; 4], b: [T; 4], c: [T; 4]) -> [T; 4] {
        std::array::from_fn(|lane| a[lane] * b[lane] + c[lane])
    }
    #[inline(always)]
    unsafe fn select_greater(a: [T; 4], b: [T; 4], x: [T; 4], y: [T; 4]) -> [T; 4] {
        std::array::from_fn(|lane| if a[lane] > b[lane] { x[lane] } else { y[lane] })
    }
    #[inline(always)]
    unsafe fn select_equal(a: [T; 4], b: [T; 4], x: [T; 4], y: [T; 4]) -> [T; 4] {
        std::array::from_fn(|lane| if a[lane] == b[lane] { x[lane] } else { y[lane] })
    }
    #[inline(always)]
    unsafe fn call<R>(function: impl FnOnce() -> R) -> R {
        function()
    }
}

#[cfg(not(target_arch = "x86_64"))]
impl Vectors for f32 {
    type Widest = Plain<f32>;
    type Wide = Plain<f32>;
    type Plain = Plain<f32>;
}

#[cfg(not(target_arch = "x86_64"))]
impl Vectors for f64 {
    type Widest = Plain<f64>;
    type Wide = Plain<f64>;
    type Plain = Plain<f64>;
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{Plain, Simd, Vectors};

    macro_rules! simd {
        ($name:ident: [$scalar:ty; $lanes:literal] in $vector:ty, $rows:literal rows, [$($feature:tt)+], $all:literal;
         $zero:ident $splat:ident $load:ident $store:ident $add:ident $fma:ident $compare:ident $blend:ident
         $(, masked by $mask:ty: $load_first:ident $store_first:ident)?) => {
            #[derive(Clone, Copy)]
            pub(crate) struct $name;

            // SAFETY: each function is one instruction of the features that `detected` asks for.
            unsafe impl Simd for $name {
                type Scalar = $scalar;
                type Vector = $vector;
                const LANES: usize = $lanes;
                const ROWS: usize = $rows;

                fn detected() -> bool {
                    $(is_x86_feature_detected!($feature))&&+
                }
                #[inline(always)]
                unsafe fn zero() -> $vector {
                    // SAFETY: as the caller promises, here and below.
                    unsafe { $zero() }
                }
                #[inline(always)]
                unsafe fn splat(from: *const $scalar) -> $vector {
                    // SAFETY: see above.
                    unsafe { $splat(*from) }
                }
                #[inline(always)]
                unsafe fn load(from: *const $scalar) -> $vector {
                    // SAFETY: see above.
                    unsafe { $load(from) }
                }
                #[inline(always)]
                unsafe fn store(to: *mut $scalar, vector: $vector) {
                    // SAFETY: see above.
                    unsafe { $store(to, vector) }
                }
                $(
                    const MASKED: bool = size_of::<$mask>() > 0;

                    #[inline(always)]
                    unsafe fn load_first(from: *const $scalar, count: usize) -> $vector {
                        // SAFETY: see above; masked lanes are not read.
                        unsafe { $load_first(((1u32 << count) - 1) as $mask, from) }
                    }
                    #[inline(always)]
                    unsafe fn store_first(to: *mut $scalar, vector: $vector, count: usize) {
                        // SAFETY: see above; masked lanes are not written.
                        unsafe { $store_first(to, ((1u32 << count) - 1) as $mask, vector) }
                    }
                )?
                #[inline(always)]
                unsafe fn add(a: $vector, b: $vector) -> $vector {
                    // SAFETY: see above.
                    unsafe { $add(a, b) }
                }
                #[inline(always)]
                unsafe fn mul_add(a: $vector, b: $vector, c: $vector) -> $vector {
                    // SAFETY: see above.
                    unsafe { $fma(a, b, c) }
                }
                #[inline(always)]
                unsafe fn select_greater(a: $vector, b: $vector, x: $vector, y: $vector) -> $vector {
                    // SAFETY: see above.
                    unsafe { $blend(y, x, $compare::<_CMP_GT_OQ>(a, b)) }
                }
                #[inline(always)]
                unsafe fn select_equal(a: $vector, b: $vector, x: $vector, y: $vector) -> $vector {
                    // SAFETY: see above.
                    unsafe { $blend(y, x, $compare::<_CMP_EQ_OQ>(a, b)) }
                }
                #[inline(always)]
                unsafe fn call<R>(function: impl FnOnce() -> R) -> R {
                    #[target_feature(enable = $all)]
                    fn featured<R>(function: impl FnOnce() -> R) -> R {
                        function()
                    }
                    // SAFETY: see above.
                    unsafe { featured(function) }
                }
            }
        };
    }

    /// `_mm512_mask_blend_ps` with its arguments in the order of AVX2.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn blend_ps(otherwise: __m512, chosen: __m512, mask: __mmask16) -> __m512 {
        _mm512_mask_blend_ps(mask, otherwise, chosen)
    }

    /// `_mm512_mask_blend_pd` with its arguments in the order of AVX2.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn blend_pd(otherwise: __m512d, chosen: __m512d, mask: __mmask8) -> __m512d {
        _mm512_mask_blend_pd(mask, otherwise, chosen)
    }

    simd!(Avx512F32: [f32; 16] in __m512, 14 rows, ["avx512f" "avx512vl" "avx512bw" "avx512dq"], "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma";
        _mm512_setzero_ps _mm512_set1_ps _mm512_loadu_ps _mm512_storeu_ps _mm512_add_ps _mm512_fmadd_ps _mm512_cmp_ps_mask blend_ps,
        masked by __mmask16: _mm512_maskz_loadu_ps _mm512_mask_storeu_ps);
    simd!(Avx512F64: [f64; 8] in __m512d, 14 rows, ["avx512f" "avx512vl" "avx512bw" "avx512dq"], "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma";
        _mm512_setzero_pd _mm512_set1_pd _mm512_loadu_pd _mm512_storeu_pd _mm512_add_pd _mm512_fmadd_pd _mm512_cmp_pd_mask blend_pd,
        masked by __mmask8: _mm512_maskz_loadu_pd _mm512_mask_storeu_pd);
    simd!(Avx2F32: [f32; 8] in __m256, 6 rows, ["avx2" "fma"], "avx2,fma";
        _mm256_setzero_ps _mm256_set1_ps _mm256_loadu_ps _mm256_storeu_ps _mm256_add_ps _mm256_fmadd_ps _mm256_cmp_ps _mm256_blendv_ps);
    simd!(Avx2F64: [f64; 4] in __m256d, 6 rows, ["avx2" "fma"], "avx2,fma";
        _mm256_setzero_pd _mm256_set1_pd _mm256_loadu_pd _mm256_storeu_pd _mm256_add_pd _mm256_fmadd_pd _mm256_cmp_pd _mm256_blendv_pd);

    impl Vectors for f32 {
        type Widest = Avx512F32;
        type Wide = Avx2F32;
        type Plain = Plain<f32>;
    }

    impl Vectors for f64 {
        type Widest = Avx512F64;
        type Wide = Avx2F64;
        type Plain = Plain<f64>;
    }
}
