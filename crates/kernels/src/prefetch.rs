//! A request for memory that is going to be read.

/// Asks the processor to fetch the cache line of `slice[index]`, and returns at once.
///
/// Any index will do: one outside of the slice asks for memory that nobody reads, or for nothing. On processors other than x86-64 it does
/// nothing.
///
/// ```
/// let numbers = vec![1.0f32; 4096];
/// let mut sum = 0.0;
/// for (block, values) in numbers.chunks(16).enumerate() {
///     kernels::prefetch(&numbers, 16 * block + 512);
///     sum += values.iter().sum::<f32>();
/// }
/// assert_eq!(sum, 4096.0);
/// ```
#[inline(always)]
pub fn prefetch<T>(slice: &[T], index: usize) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        let place = slice.as_ptr().wrapping_add(index);
        // SAFETY: a prefetch reads nothing that the program sees and never faults, wherever the address points. Every x86-64 has it.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(place.cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (slice, index);
}
