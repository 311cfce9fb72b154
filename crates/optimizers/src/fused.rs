//! One pass over memory: a rule runs over the slices of a parameter, its gradient and its state, block by block.
//!
//! The loops are plain Rust over short local arrays, which the compiler turns into vector instructions; `pulp` chooses at
//! run time between the versions for SSE2, AVX2 and AVX-512. Each element is computed from its own index only, and sums
//! are added up along a tree whose shape follows from the length, so neither the instruction set nor the number of threads
//! shows in a bit.
//!
//! A million weights in a hundred tensors lie in the last cache, which is the limit: on two cores of a Xeon with AMX, loops with nothing
//! around them (no tensors, no pool of threads, barriers that spin) take 207 µs for SGD with momentum and 252 µs with the check of all
//! gradients before, 294 and 342 µs for Adam. Tried there and left out: pages of 2 MB (1 to 5 % faster, but the system's business), requests
//! from nearer, from farther, or past the second cache (at most 1 %), the check from the beginning (10 % slower), and every second step from
//! the end. That one is 14 % faster where steps follow each other and nothing is between them; in a training the gradients of the first
//! weights are the newest.

use std::array::from_fn;

use kernels::prefetch;
use pulp::{Arch, Simd, WithSimd};

use crate::number::{Real, Scalar};
use crate::rule::{Preparation, Rule, Term};

/// Elements that one thread goes through at a time: about ten microseconds of work.
pub(crate) const BLOCK: usize = 1 << 15;
/// From this many elements on, a thread outside of rayon's pool lets the pool do a step. To wake it and to wait for it takes ten
/// microseconds.
const ENTER: usize = 1 << 16;
/// Elements in the local arrays; four registers of AVX-512, so that divisions overlap.
const LANES: usize = 64;
/// Elements whose sum is one term of a larger sum.
const SUM_BLOCK: usize = 1 << 14;
/// How many elements ahead memory is asked for. Processors guess what comes next only up to the end of a page, and an update reads up to
/// five arrays at once: with the request, Adam's step over 10 million parameters takes two thirds of the time.
pub(crate) const AHEAD: usize = 512;

/// Runs a function on the threads of rayon's pool if this many elements are worth it.
pub(crate) fn enter<R: Send>(elements: usize, function: impl FnOnce() -> R + Send) -> R {
    if elements < ENTER || rayon::current_thread_index().is_some() || rayon::current_num_threads() == 1 {
        function()
    } else {
        rayon::join(function, || ()).0
    }
}

/// Runs both functions, side by side if the caller is one of rayon's threads. A thread outside is not sent to the pool from here:
/// [`enter`] does that once for a whole step.
pub(crate) fn fork<A: Send, B: Send>(left: impl FnOnce() -> A + Send, right: impl FnOnce() -> B + Send) -> (A, B) {
    if rayon::current_thread_index().is_some() {
        rayon::join(left, right)
    } else {
        (left(), right())
    }
}

/// How many threads share the work of a function that forks.
pub(crate) fn threads() -> usize {
    if rayon::current_thread_index().is_some() {
        rayon::current_num_threads()
    } else {
        1
    }
}

/// Applies `rule` to every element.
pub(crate) fn elementwise<T: Real, R: Rule<K>, const K: usize>(
    rule: &R,
    preparation: Preparation,
    w: &mut [T],
    g: &[T],
    slots: [&mut [T]; K],
) {
    if w.len() <= BLOCK {
        return whole_and_rest(rule, preparation, w, g, slots);
    }
    let middle = (w.len() / 2).next_multiple_of(LANES);
    let (w0, w1) = w.split_at_mut(middle);
    let (g0, g1) = g.split_at(middle);
    let mut right: [&mut [T]; K] = from_fn(|_| &mut [][..]);
    let mut rights = right.iter_mut();
    let left = slots.map(|slot| {
        let (head, tail) = slot.split_at_mut(middle);
        if let Some(place) = rights.next() {
            *place = tail;
        }
        head
    });
    fork(
        || elementwise(rule, preparation, w0, g0, left),
        || elementwise(rule, preparation, w1, g1, right),
    );
}

fn whole_and_rest<T: Real, R: Rule<K>, const K: usize>(
    rule: &R,
    preparation: Preparation,
    w: &mut [T],
    g: &[T],
    mut slots: [&mut [T]; K],
) {
    let whole = w.len() / LANES * LANES;
    if whole > 0 {
        Arch::new().dispatch(Elementwise {
            rule: *rule,
            preparation,
            w: &mut w[..whole],
            g: &g[..whole],
            slots: slots.each_mut().map(|slot| &mut slot[..whole]),
        });
    }
    let rest = w.len() - whole;
    if rest > 0 {
        // The rest goes through the same vectors, filled up with zeros: one by one its divisions would not overlap.
        let filled = |from: &[T]| {
            let mut to = [T::ZERO; LANES];
            to[..rest].copy_from_slice(&from[whole..]);
            to
        };
        let (mut local_w, local_g) = (filled(w), filled(g));
        let mut local: [[T; LANES]; K] = from_fn(|k| filled(slots[k]));
        Arch::new().dispatch(Elementwise {
            rule: *rule,
            preparation,
            w: &mut local_w,
            g: &local_g,
            slots: local.each_mut().map(|slot| &mut slot[..]),
        });
        w[whole..].copy_from_slice(&local_w[..rest]);
        for (slot, local) in slots.iter_mut().zip(&local) {
            slot[whole..].copy_from_slice(&local[..rest]);
        }
    }
}

/// A rule over a multiple of [`LANES`] elements. Not a closure: one that only borrows what it changes would be called through a function of the standard
/// library that is not compiled for the instruction set that was chosen.
struct Elementwise<'a, T, R, const K: usize> {
    rule: R,
    preparation: Preparation,
    w: &'a mut [T],
    g: &'a [T],
    slots: [&'a mut [T]; K],
}

impl<T: Real, R: Rule<K>, const K: usize> WithSimd for Elementwise<'_, T, R, K> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self {
            rule,
            preparation,
            w,
            g,
            slots,
        } = self;
        for at in (0..w.len()).step_by(LANES) {
            ahead(w, at);
            ahead(g, at);
            for slot in &slots {
                ahead(slot, at);
            }
            // Local copies tell the compiler that nothing overlaps; with pointers it gives up on three slots.
            let mut local_w = load(w, at);
            let local_g = load(g, at);
            let mut local: [[T; LANES]; K] = from_fn(|k| load(slots[k], at));
            update(rule, preparation, &mut local_w, &local_g, &mut local);
            w[at..at + LANES].copy_from_slice(&local_w);
            for k in 0..K {
                slots[k][at..at + LANES].copy_from_slice(&local[k]);
            }
        }
    }
}

#[inline(always)]
fn update<T: Real, R: Rule<K>, const K: usize>(
    rule: R,
    preparation: Preparation,
    w: &mut [T; LANES],
    g: &[T; LANES],
    slots: &mut [[T; LANES]; K],
) {
    for i in 0..LANES {
        let (new_w, new) = rule.update(
            preparation.weight(Scalar(w[i])),
            preparation.gradient(Scalar(g[i])),
            from_fn(|k| Scalar(slots[k][i])),
        );
        w[i] = new_w.0;
        for k in 0..K {
            slots[k][i] = faded(new[k].0, g[i]);
        }
    }
}

/// A number of the state as it is kept: where no gradient comes, it fades until it is subnormal, and there it is zero.
///
/// A mean that loses a tenth with every step is subnormal after 830 steps without a gradient (a pixel at the edge, a dead unit), and stays
/// so: a tenth of the smallest numbers rounds to nothing. Processors compute with such numbers some hundred cycles long, and the update of a
/// network for MNIST took three times as long in its tenth epoch as in its first.
#[inline(always)]
fn faded<T: Real>(state: T, gradient: T) -> T {
    // No short circuit, which would be a branch.
    if (gradient == T::ZERO) & (state.abs() < T::MIN_POSITIVE) {
        T::ZERO
    } else {
        state
    }
}

#[inline(always)]
fn load<T: Real>(from: &[T], at: usize) -> [T; LANES] {
    let mut to = [T::ZERO; LANES];
    to.copy_from_slice(&from[at..at + LANES]);
    to
}

/// Asks for the memory that will be read some rounds later.
#[inline(always)]
fn ahead<T>(slice: &[T], at: usize) {
    let line = 64 / size_of::<T>();
    for i in (0..LANES).step_by(line) {
        prefetch(slice, at + AHEAD + i);
    }
}

/// Adds up `term` over all elements, in double precision from block to block.
pub(crate) fn sum<T: Real, R: Term<K>, const K: usize>(
    term: &R,
    preparation: Preparation,
    w: &[T],
    g: &[T],
    slots: [&[T]; K],
) -> f64 {
    if w.len() <= SUM_BLOCK {
        return Arch::new().dispatch(SumOfBlock {
            term: *term,
            preparation,
            w,
            g,
            slots,
        });
    }
    let middle = (w.len() / 2).next_multiple_of(LANES);
    let halves = slots.map(|slot| slot.split_at(middle));
    let left = || sum(term, preparation, &w[..middle], &g[..middle], halves.map(|half| half.0));
    let right = || sum(term, preparation, &w[middle..], &g[middle..], halves.map(|half| half.1));
    let (left, right) = if w.len() <= BLOCK {
        (left(), right())
    } else {
        fork(left, right)
    };
    left + right
}

/// The sum over a block. Not a closure, as [`Elementwise`].
struct SumOfBlock<'a, T, R, const K: usize> {
    term: R,
    preparation: Preparation,
    w: &'a [T],
    g: &'a [T],
    slots: [&'a [T]; K],
}

impl<T: Real, R: Term<K>, const K: usize> WithSimd for SumOfBlock<'_, T, R, K> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> f64 {
        const SUMS: usize = 16;
        let Self {
            term,
            preparation,
            w,
            g,
            slots,
        } = self;
        let mut sums = [0.0_f64; SUMS];
        let value = |i: usize| {
            term.value(
                preparation.weight(Scalar(w[i])),
                preparation.gradient(Scalar(g[i])),
                from_fn(|k| Scalar(slots[k][i])),
            )
            .0
            .to_f64()
        };
        let whole = w.len() / SUMS * SUMS;
        for at in (0..whole).step_by(SUMS) {
            for (lane, sum) in sums.iter_mut().enumerate() {
                *sum += value(at + lane);
            }
        }
        (whole..w.len()).map(value).chain(sums).sum()
    }
}

/// Whether none of the values is NaN or infinite.
///
/// Of several `threads` each reads the part that it updates afterwards, from the end to the beginning: the update starts at the beginning,
/// and finds there in its cache what was read last.
pub(crate) fn are_finite<T: Real>(values: &[T], threads: usize) -> bool {
    if values.len() <= BLOCK {
        return Arch::new().dispatch(Finite(values));
    }
    let (left, right) = values.split_at((values.len() / 2).next_multiple_of(LANES));
    if threads > 1 {
        let (left, right) = fork(
            || are_finite(left, threads / 2),
            || are_finite(right, threads - threads / 2),
        );
        left && right
    } else {
        let (right, left) = fork(|| are_finite(right, 1), || are_finite(left, 1));
        left && right
    }
}

/// A finite number times zero is zero, everything else is NaN, and NaN stays in a sum. Not a closure, as [`Elementwise`].
struct Finite<'a, T>(&'a [T]);

impl<T: Real> WithSimd for Finite<'_, T> {
    type Output = bool;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> bool {
        let mut sums = [T::ZERO; LANES];
        let whole = self.0.len() / LANES * LANES;
        let mut end = whole;
        while end > 0 {
            let at = end - LANES;
            for i in (0..LANES).step_by(64 / size_of::<T>()) {
                prefetch(self.0, (at + i).wrapping_sub(AHEAD));
            }
            let group = load(self.0, at);
            for i in 0..LANES {
                sums[i] = sums[i] + group[i] * T::ZERO;
            }
            end = at;
        }
        sums.iter().all(|sum| *sum == T::ZERO) && self.0[whole..].iter().all(|value| *value * T::ZERO == T::ZERO)
    }
}
