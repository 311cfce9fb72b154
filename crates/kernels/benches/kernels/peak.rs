//! What the machine can do at most, with all threads: multiply-adds in registers, and copies of memory.

use std::hint::black_box;
use std::sync::Mutex;

use criterion::{Criterion, Throughput};

/// Independent sums: enough to hide the latency of a multiply-add, few enough for the registers.
const SUMS: usize = 12;
/// Rounds of one call, each of which adds once to each sum.
const ROUNDS: usize = 200_000;

/// A loop of multiply-adds, and how many numbers each of its rounds multiplies.
type Loop = (&'static str, usize, fn() -> f32);

/// The loops that this processor can run, the widest last.
fn loops() -> Vec<Loop> {
    let mut found: Vec<Loop> = vec![("fma portable", PORTABLE, portable)];
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: the processor has AVX2 and FMA, as was just asked.
            found.push(("fma avx2", 8 * SUMS, || unsafe { x86::avx2() }));
        }
        if is_x86_feature_detected!("avx512f") {
            // SAFETY: the processor has AVX-512 F, as was just asked.
            found.push(("fma avx512", 16 * SUMS, || unsafe { x86::avx512() }));
        }
    }
    found
}

/// Numbers of the portable loop: few enough for the compiler to unroll it and to keep them in registers of any size.
const PORTABLE: usize = 32;

/// What the compiler makes of plain code for the oldest processor of the platform.
fn portable() -> f32 {
    let (factor, addend) = (black_box(0.999_999f32), black_box(1e-6f32));
    let mut sums = [1f32; PORTABLE];
    for _ in 0..ROUNDS {
        for sum in &mut sums {
            *sum = if cfg!(target_arch = "aarch64") {
                sum.mul_add(factor, addend)
            } else {
                *sum * factor + addend
            };
        }
    }
    sums.iter().sum()
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{_mm256_add_ps, _mm256_cvtss_f32};
    use std::arch::x86_64::{_mm256_fmadd_ps, _mm256_set1_ps, _mm512_fmadd_ps, _mm512_reduce_add_ps, _mm512_set1_ps};
    use std::hint::black_box;

    use super::{ROUNDS, SUMS};

    #[target_feature(enable = "avx2,fma")]
    pub(super) fn avx2() -> f32 {
        let (factor, addend) = (_mm256_set1_ps(black_box(0.999_999)), _mm256_set1_ps(black_box(1e-6)));
        let mut sums = [_mm256_set1_ps(1.0); SUMS];
        for _ in 0..ROUNDS {
            for sum in &mut sums {
                *sum = _mm256_fmadd_ps(*sum, factor, addend);
            }
        }
        _mm256_cvtss_f32(sums.into_iter().fold(_mm256_set1_ps(0.0), |a, b| _mm256_add_ps(a, b)))
    }

    #[target_feature(enable = "avx512f")]
    pub(super) fn avx512() -> f32 {
        let (factor, addend) = (_mm512_set1_ps(black_box(0.999_999)), _mm512_set1_ps(black_box(1e-6)));
        let mut sums = [_mm512_set1_ps(1.0); SUMS];
        for _ in 0..ROUNDS {
            for sum in &mut sums {
                *sum = _mm512_fmadd_ps(*sum, factor, addend);
            }
        }
        sums.into_iter().map(|sum| _mm512_reduce_add_ps(sum)).sum()
    }
}

/// Multiply-adds in registers; each counts as two operations.
pub(crate) fn arithmetic(c: &mut Criterion) {
    let mut group = c.benchmark_group("peak");
    for (name, numbers, run) in loops() {
        let operations = 2 * numbers * ROUNDS * rayon::current_num_threads();
        group.throughput(Throughput::Elements(operations as u64));
        group.bench_function(name, |bench| bench.iter(|| rayon::broadcast(|_| black_box(run()))));
    }
}

/// Copies (one array read, one written) and the triad `a = b + s c` (two read, one written), as STREAM counts them. The size in
/// the name is that of what is read and written by all threads together; each thread works on arrays of its own.
pub(crate) fn memory(c: &mut Criterion) {
    const MIB: usize = 1 << 20;
    let threads = rayon::current_num_threads();
    let mut group = c.benchmark_group("peak");
    for total in [MIB, 4 * MIB, 16 * MIB, 64 * MIB, 512 * MIB] {
        // Arrays that fit a cache are copied often enough for the start of the threads not to count.
        let times = (64 * MIB / total).max(1);
        let length = |arrays: usize| total / size_of::<f32>() / arrays / threads;
        let vectors = |count: usize| -> Vec<Mutex<Vec<Vec<f32>>>> {
            (0..threads)
                .map(|_| Mutex::new(vec![vec![1f32; length(count)]; count]))
                .collect()
        };
        group.throughput(Throughput::Bytes((times * total) as u64));
        let arrays = vectors(2);
        group.bench_function(format!("copy {} MiB", total / MIB), |bench| {
            bench.iter(|| {
                rayon::broadcast(|thread| {
                    let mut arrays = arrays[thread.index()].lock().unwrap();
                    let [to, from] = arrays.as_mut_slice() else {
                        unreachable!()
                    };
                    for _ in 0..times {
                        black_box(to.as_mut_slice()).copy_from_slice(black_box(from));
                    }
                })
            });
        });
        drop(arrays);
        let arrays = vectors(3);
        group.bench_function(format!("triad {} MiB", total / MIB), |bench| {
            bench.iter(|| {
                rayon::broadcast(|thread| {
                    let mut arrays = arrays[thread.index()].lock().unwrap();
                    let [a, b, c] = arrays.as_mut_slice() else {
                        unreachable!()
                    };
                    for _ in 0..times {
                        let terms = black_box(&*b).iter().zip(black_box(&*c));
                        for (a, (b, c)) in a.iter_mut().zip(terms) {
                            *a = b + 3.0 * c;
                        }
                        black_box(&*a);
                    }
                })
            });
        });
    }
}
