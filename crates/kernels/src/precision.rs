//! How exact the products of `f32` are: a choice between speed and error, as PyTorch's `set_float32_matmul_precision`.

use std::cell::Cell;

thread_local! {
    static PRECISION: Cell<MatmulPrecision> = const { Cell::new(MatmulPrecision::Highest) };
}

/// How matrix products and convolutions of `f32` are computed on a CPU. `f64` is not affected.
///
/// Processors with AMX multiply tiles of bfloat16 (8 significant bits) and add up in `f32`, about 15 times as fast as AVX-512 multiplies
/// `f32`. A number of `f32` is the sum of three numbers of bfloat16, $a = a_1 + a_2 + a_3$, each the rest of the one before rounded, and so
/// a product of `f32` is a sum of products of bfloat16; how many of them are computed is the choice here. Errors are relative to
/// $\sum_k |a_{ik}| |b_{kj}|$ and come on top of the rounding of the sums, which have 24 bits in any case.
///
/// | choice | with AMX | error | elsewhere |
/// |---|---|---|---|
/// | `Highest` | 6 products: those of order $2^{-16}$ and larger | $2^{-23}$, as that of `f32` itself | multiply-adds of `f32` |
/// | `Fma` | multiply-adds of `f32` | $2^{-24}$ for each rounding | the same |
/// | `High` | 3 products: $a_1 b_1 + a_1 b_2 + a_2 b_1$ | $2^{-16}$ | multiply-adds of `f32` |
/// | `Medium` | $a_1 b_1$ | $2^{-8}$ | factors rounded to bfloat16, then multiply-adds of `f32` |
///
/// Infinite factors give NaN where the exact result is infinite, and numbers below $2^{-126}$ count as zero, with AMX and but for `Fma`.
///
/// Source: G. Henry, P. T. P. Tang, A. Heinecke, *Leveraging the bfloat16 Artificial Intelligence Datatype For Higher-Precision
/// Computations*, 2019.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum MatmulPrecision {
    /// The precision of `f32`, by the fastest way that the processor has.
    #[default]
    Highest,
    /// The precision of `f32`, with multiply-adds of `f32` only.
    Fma,
    /// Twice the digits of bfloat16.
    High,
    /// Factors rounded to bfloat16: what the policy `mixed_bfloat16` means.
    Medium,
}

impl MatmulPrecision {
    /// What the operations that are called on this thread use.
    pub fn current() -> Self {
        PRECISION.get()
    }

    /// Into how many numbers of bfloat16 a factor is split on a processor with tiles of them; `None` for multiply-adds of `f32`.
    #[cfg_attr(not(all(target_arch = "x86_64", target_os = "linux", not(miri))), allow(dead_code))]
    pub(crate) fn parts(self) -> Option<usize> {
        match self {
            MatmulPrecision::Highest => Some(3),
            MatmulPrecision::Fma => None,
            MatmulPrecision::High => Some(2),
            MatmulPrecision::Medium => Some(1),
        }
    }

    /// Calls a function whose operations use this precision. Their backward passes use it, too, whenever they run.
    ///
    /// ```
    /// use candle_core::{Device, Tensor};
    /// use kernels::{Activation, MatmulPrecision, linear};
    ///
    /// let x = Tensor::new(&[[1.00390625f32]], &Device::Cpu)?; // 1 + 2⁻⁸: a bit more than bfloat16 has
    /// let one = Tensor::new(&[[1f32]], &Device::Cpu)?;
    /// let y = MatmulPrecision::Medium.scope(|| linear(&x, &one, None, Activation::Linear))?;
    /// assert_eq!(y.to_vec2::<f32>()?, [[1.0]]);
    /// assert_eq!(linear(&x, &one, None, Activation::Linear)?.to_vec2::<f32>()?, [[1.00390625]]);
    /// # Ok::<(), kernels::Error>(())
    /// ```
    pub fn scope<R>(self, function: impl FnOnce() -> R) -> R {
        /// Puts the former choice back even if the function panics.
        struct Restore(MatmulPrecision);
        impl Drop for Restore {
            fn drop(&mut self) {
                PRECISION.set(self.0);
            }
        }
        let _restore = Restore(PRECISION.replace(self));
        function()
    }
}
