//! Pools that lie on the image with all of their taps: the usual case, without a question for each tap.

use candle_core::WithDType;

use super::real::{pairwise, vectorized};
use super::simd::{Simd, Vectors, with_simd};
use crate::window::Window;

/// Whether no pool hangs over the border.
pub(super) fn are_whole(window: &Window) -> bool {
    [window.rows, window.columns]
        .iter()
        .all(|axis| axis.before + axis.after == 0 && axis.dilation == 1)
}

/// Whether no pixel belongs to two pools.
fn are_apart(window: &Window) -> bool {
    [window.rows, window.columns]
        .iter()
        .all(|axis| axis.stride >= axis.window)
}

/// Whether the winner of a pool can be told by the number of its tap, kept in the image's type: `f32` counts so far.
pub(super) fn are_counted(window: &Window) -> bool {
    are_apart(window) && window.taps() < 1 << 24
}

/// Where the taps of the first pool lie, and where each pool starts relative to it.
fn places(window: &Window, channels: usize) -> (Vec<usize>, impl Iterator<Item = usize> + use<>) {
    let Window { rows, columns } = *window;
    let line = columns.input * channels;
    let taps = (0..rows.window)
        .flat_map(|row| (0..columns.window).map(move |column| row * line + column * channels))
        .collect();
    let starts = (0..rows.output)
        .flat_map(move |i| (0..columns.output).map(move |j| i * rows.stride * line + j * columns.stride * channels));
    (taps, starts)
}

/// The maxima of one image and, where there is room for them, the numbers of the taps that they stand at; the first of equal ones.
pub(super) fn maxima<T: Vectors>(window: &Window, channels: usize, x: &[T], y: &mut [T], winners: &mut [T]) {
    with_simd!(T, S => maxima_with::<S<T>>(window, channels, x, y, winners));
}

fn maxima_with<S: Simd>(
    window: &Window,
    channels: usize,
    x: &[S::Scalar],
    y: &mut [S::Scalar],
    winners: &mut [S::Scalar],
) {
    let (taps, starts) = places(window, channels);
    let numbers: Vec<S::Scalar> = (0..taps.len()).map(|tap| S::Scalar::from_f64(tap as f64)).collect();
    let whole = channels / S::LANES * S::LANES;
    // SAFETY: `with_simd` chose instructions that the processor has. Every vector is loaded from or stored to a slice of its length.
    unsafe {
        S::call(
            #[inline(always)]
            || {
                let mut winners = winners.chunks_exact_mut(channels);
                for (start, y) in starts.zip(y.chunks_exact_mut(channels)) {
                    let mut winners = winners.next();
                    for at in (0..whole).step_by(S::LANES) {
                        let (best, winner) = largest::<S>(
                            &taps,
                            &numbers,
                            #[inline(always)]
                            |offset| S::load(x[start + at + offset..][..S::LANES].as_ptr()),
                        );
                        S::store(y[at..][..S::LANES].as_mut_ptr(), best);
                        if let Some(winners) = &mut winners {
                            S::store(winners[at..][..S::LANES].as_mut_ptr(), winner);
                        }
                    }
                    let rest = channels - whole;
                    if S::MASKED && rest > 0 {
                        let (best, winner) = largest::<S>(
                            &taps,
                            &numbers,
                            #[inline(always)]
                            |offset| S::load_first(x[start + whole + offset..][..rest].as_ptr(), rest),
                        );
                        S::store_first(y[whole..][..rest].as_mut_ptr(), best, rest);
                        if let Some(winners) = &mut winners {
                            S::store_first(winners[whole..][..rest].as_mut_ptr(), winner, rest);
                        }
                        continue;
                    }
                    for at in whole..channels {
                        let (mut best, mut winner) = (x[start + at], numbers[0]);
                        for (offset, number) in taps.iter().zip(&numbers).skip(1) {
                            let x = x[start + at + offset];
                            if x > best {
                                (best, winner) = (x, *number);
                            }
                        }
                        y[at] = best;
                        if let Some(winners) = &mut winners {
                            winners[at] = winner;
                        }
                    }
                }
            },
        );
    }
}

/// The largest numbers of a pool lane by lane, and the numbers of the taps that they stand at.
///
/// # Safety
/// The processor must have the instructions.
#[inline(always)]
unsafe fn largest<S: Simd>(
    taps: &[usize],
    numbers: &[S::Scalar],
    seen: impl Fn(usize) -> S::Vector,
) -> (S::Vector, S::Vector) {
    // SAFETY: as the caller promises.
    unsafe {
        let (mut best, mut winner) = (seen(taps[0]), S::zero());
        for (offset, number) in taps.iter().zip(numbers).skip(1) {
            let x = seen(*offset);
            winner = S::select_greater(x, best, S::splat(number), winner);
            best = S::select_greater(x, best, x, best);
        }
        (best, winner)
    }
}

/// Brings the gradients of pools that are apart to the winners' places; the others must be 0 already or lie in a pool.
pub(super) fn to_winners<T: Vectors>(window: &Window, channels: usize, winners: &[T], dy: &[T], dx: &mut [T]) {
    with_simd!(T, S => to_winners_with::<S<T>>(window, channels, winners, dy, dx));
}

fn to_winners_with<S: Simd>(
    window: &Window,
    channels: usize,
    winners: &[S::Scalar],
    dy: &[S::Scalar],
    dx: &mut [S::Scalar],
) {
    let (taps, starts) = places(window, channels);
    let numbers: Vec<S::Scalar> = (0..taps.len()).map(|tap| S::Scalar::from_f64(tap as f64)).collect();
    let whole = channels / S::LANES * S::LANES;
    let zero = S::Scalar::from_f64(0.0);
    // SAFETY: as in `maxima_with`.
    unsafe {
        S::call(
            #[inline(always)]
            || {
                let outputs = winners.chunks_exact(channels).zip(dy.chunks_exact(channels));
                for (start, (winners, dy)) in starts.zip(outputs) {
                    for (offset, number) in taps.iter().zip(&numbers) {
                        let dx = &mut dx[start + offset..][..channels];
                        for at in (0..whole).step_by(S::LANES) {
                            let winner = S::load(winners[at..][..S::LANES].as_ptr());
                            let dy = S::load(dy[at..][..S::LANES].as_ptr());
                            let chosen = S::select_equal(winner, S::splat(number), dy, S::zero());
                            S::store(dx[at..][..S::LANES].as_mut_ptr(), chosen);
                        }
                        let rest = channels - whole;
                        if S::MASKED && rest > 0 {
                            let winner = S::load_first(winners[whole..].as_ptr(), rest);
                            let dy = S::load_first(dy[whole..].as_ptr(), rest);
                            let chosen = S::select_equal(winner, S::splat(number), dy, S::zero());
                            S::store_first(dx[whole..].as_mut_ptr(), chosen, rest);
                            continue;
                        }
                        for at in whole..channels {
                            dx[at] = if winners[at] == *number { dy[at] } else { zero };
                        }
                    }
                }
            },
        );
    }
}

/// The means of one image's pools.
pub(super) fn means<T: Vectors>(window: &Window, channels: usize, x: &[T], y: &mut [T]) {
    with_simd!(T, S => if S::<T>::MASKED && channels <= S::<T>::LANES {
        return means_of_few_channels::<S<T>>(window, channels, x, y);
    });
    let (taps, starts) = places(window, channels);
    let weight = T::one() / T::from_f64(taps.len() as f64);
    vectorized(
        #[inline(always)]
        || {
            for (start, y) in starts.zip(y.chunks_exact_mut(channels)) {
                y.copy_from_slice(&x[start..start + channels]);
                for offset in &taps[1..] {
                    pairwise(y, &x[start + offset..start + offset + channels], |y, x| *y += *x);
                }
                y.iter_mut().for_each(|y| *y *= weight);
            }
        },
    );
}

/// [`means`] where a pixel is a part of a vector.
fn means_of_few_channels<S: Simd>(window: &Window, channels: usize, x: &[S::Scalar], y: &mut [S::Scalar]) {
    let (taps, starts) = places(window, channels);
    let weight = S::Scalar::from_f64(1.0) / S::Scalar::from_f64(taps.len() as f64);
    // SAFETY: `with_simd` chose instructions that the processor has. Every pixel is a part of a slice of its length.
    unsafe {
        S::call(
            #[inline(always)]
            || {
                for (start, y) in starts.zip(y.chunks_exact_mut(channels)) {
                    let pixel = |offset: &usize| S::load_first(x[start + offset..][..channels].as_ptr(), channels);
                    let mut sum = pixel(&taps[0]);
                    for offset in &taps[1..] {
                        sum = S::add(sum, pixel(offset));
                    }
                    S::store_first(y.as_mut_ptr(), S::mul_add(sum, S::splat(&weight), S::zero()), channels);
                }
            },
        );
    }
}

/// Adds the gradients of one image's means to the pixels.
pub(super) fn spread<T: Vectors>(window: &Window, channels: usize, dy: &[T], dx: &mut [T]) {
    with_simd!(T, S => if S::<T>::MASKED && channels <= S::<T>::LANES {
        return spread_to_few_channels::<S<T>>(window, channels, dy, dx);
    });
    let (taps, starts) = places(window, channels);
    let weight = T::one() / T::from_f64(taps.len() as f64);
    vectorized(
        #[inline(always)]
        || {
            for (start, dy) in starts.zip(dy.chunks_exact(channels)) {
                for offset in &taps {
                    let dx = &mut dx[start + offset..start + offset + channels];
                    pairwise(dx, dy, |dx, dy| *dx += *dy * weight);
                }
            }
        },
    );
}

/// [`spread`] where a pixel is a part of a vector.
fn spread_to_few_channels<S: Simd>(window: &Window, channels: usize, dy: &[S::Scalar], dx: &mut [S::Scalar]) {
    let (taps, starts) = places(window, channels);
    let weight = S::Scalar::from_f64(1.0) / S::Scalar::from_f64(taps.len() as f64);
    // SAFETY: as in `means_of_few_channels`.
    unsafe {
        S::call(
            #[inline(always)]
            || {
                for (start, dy) in starts.zip(dy.chunks_exact(channels)) {
                    // Rounded on its own, as without vectors.
                    let share = S::mul_add(S::load_first(dy.as_ptr(), channels), S::splat(&weight), S::zero());
                    for offset in &taps {
                        let dx = dx[start + offset..][..channels].as_mut_ptr();
                        S::store_first(dx, S::add(S::load_first(dx, channels), share), channels);
                    }
                }
            },
        );
    }
}
