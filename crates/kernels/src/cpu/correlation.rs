//! Sums of products along an image channel by channel, in vectors along the channels.

use std::mem::MaybeUninit;

use super::real::{Real, cleared, filled};
use super::simd::{Simd, Vectors, with_simd};

/// Pixels whose sums are in registers together, so that a tap is loaded once for all of them.
const PIXELS: usize = 4;
/// Numbers that are filled by one task: they and what they are computed from stay in an L1 cache.
const PIECE: usize = 1 << 13;

/// The pixels of a source that each pixel of a target meets along one axis, and under which tap.
pub(super) type Meetings = Vec<Vec<(usize, usize)>>;

/// Pixels of a target's row that meet the source under the same taps: `first`, and `count - 1` more.
struct Run {
    first: usize,
    count: usize,
    /// What the first one meets.
    meetings: Vec<(usize, usize)>,
}

impl Run {
    /// All runs of a row. Pixels that are `every` pixels apart look `step` pixels further, except near the border.
    fn all(meetings: &Meetings, every: usize, step: usize) -> Vec<Self> {
        let mut runs: Vec<Self> = Vec::new();
        for start in 0..every.min(meetings.len()) {
            let mut open: Option<Self> = None;
            for (index, met) in meetings.iter().enumerate().skip(start).step_by(every) {
                let goes_on = open.as_ref().is_some_and(|run| {
                    let further = run.count * step;
                    let expected = run.meetings.iter().map(|(from, tap)| (from + further, *tap));
                    expected.eq(met.iter().copied())
                });
                match &mut open {
                    Some(run) if goes_on => run.count += 1,
                    _ => runs.extend(open.replace(Self {
                        first: index,
                        count: 1,
                        meetings: met.clone(),
                    })),
                }
            }
            runs.extend(open);
        }
        runs
    }
}

/// `target = bias + Σ source · tap`: a depthwise convolution, and the gradient of its image with the meetings turned round.
pub(super) struct Correlation<'a, T> {
    rows: Meetings,
    runs: Vec<Run>,
    /// Pixels of a run are `every` apart, and look `step` pixels further in the source.
    every: usize,
    step: usize,
    width: usize,
    source_width: usize,
    kernel: &'a [T],
    kernel_width: usize,
    bias: Option<&'a [T]>,
    channels: usize,
}

/// What a [`Correlation`] is made of.
pub(super) struct Geometry {
    pub(super) rows: Meetings,
    pub(super) columns: Meetings,
    /// Target pixels `every` columns apart look `step` source pixels further.
    pub(super) every: usize,
    pub(super) step: usize,
    pub(super) source_width: usize,
    pub(super) kernel_width: usize,
}

impl<'a, T: Vectors> Correlation<'a, T> {
    /// `kernel` has a number for each tap and channel, `bias` one for each channel.
    pub(super) fn new(geometry: Geometry, kernel: &'a [T], bias: Option<&'a [T]>, channels: usize) -> Self {
        Self {
            runs: Run::all(&geometry.columns, geometry.every, geometry.step),
            every: geometry.every,
            step: geometry.step,
            width: geometry.columns.len(),
            rows: geometry.rows,
            source_width: geometry.source_width,
            kernel,
            kernel_width: geometry.kernel_width,
            bias,
            channels,
        }
    }

    fn line(&self) -> usize {
        self.width * self.channels
    }

    /// The targets of all images; `finish` gets each row while it is in the cache.
    pub(super) fn compute(&self, source: &[T], images: usize, finish: impl Fn(&mut [T]) + Sync) -> Vec<T> {
        let (height, line) = (self.rows.len(), self.line());
        let image = source.len() / images;
        let rows = (PIECE / line).clamp(1, height);
        filled(images * height * line, rows * line, |piece, pixels| {
            for (index, pixels) in pixels.chunks_exact_mut(line).enumerate() {
                let row = piece * rows + index;
                self.row(&source[row / height * image..][..image], row % height, pixels);
                finish(pixels);
            }
        })
    }

    /// The target of one image; all of it is written.
    pub(super) fn image(&self, source: &[T], target: &mut [MaybeUninit<T>]) {
        for (row, pixels) in target.chunks_exact_mut(self.line()).enumerate() {
            self.row(source, row, cleared(pixels));
        }
    }

    fn row(&self, source: &[T], row: usize, pixels: &mut [T]) {
        with_simd!(T, S => self.row_with::<S<T>>(source, row, pixels));
    }

    fn row_with<S: Simd<Scalar = T>>(&self, source: &[T], row: usize, pixels: &mut [T]) {
        let channels = self.channels;
        let mut pairs = Vec::with_capacity(self.kernel.len() / channels);
        for run in &self.runs {
            pairs.clear();
            for &(from_row, tap_row) in &self.rows[row] {
                for &(from_column, tap_column) in &run.meetings {
                    let from = from_row * self.source_width + from_column;
                    pairs.push((from * channels, (tap_row * self.kernel_width + tap_column) * channels));
                }
            }
            let (every, step) = (self.every * channels, self.step * channels);
            let mut sums = Sums {
                pairs: &pairs,
                source,
                step,
                kernel: self.kernel,
                bias: self.bias,
                channels,
                target: pixels,
                every,
            };
            sums.check(run.first * channels, run.count);
            // SAFETY: `with_simd` chose instructions that the processor has, and `check` saw that all that is read and written lies in
            // its slice.
            unsafe {
                S::call(
                    #[inline(always)]
                    || {
                        let mut pixel = 0;
                        while pixel + PIXELS <= run.count {
                            sums.add::<S, PIXELS>(run.first * channels, pixel);
                            pixel += PIXELS;
                        }
                        while pixel < run.count {
                            sums.add::<S, 1>(run.first * channels, pixel);
                            pixel += 1;
                        }
                    },
                );
            }
        }
    }
}

/// The sums of a run of pixels. All places count numbers, not pixels.
struct Sums<'a, 'b, T> {
    /// Where the first pixel of the run meets which taps.
    pairs: &'a [(usize, usize)],
    source: &'a [T],
    step: usize,
    kernel: &'a [T],
    bias: Option<&'a [T]>,
    channels: usize,
    target: &'b mut [T],
    every: usize,
}

impl<T: Real> Sums<'_, '_, T> {
    /// Panics where a run of `count` pixels would leave a slice.
    fn check(&self, first: usize, count: usize) {
        let (last, channels) = (count - 1, self.channels);
        assert!(first + last * self.every + channels <= self.target.len());
        assert!(self.bias.is_none_or(|bias| bias.len() >= channels));
        for (from, tap) in self.pairs {
            assert!(from + last * self.step + channels <= self.source.len() && tap + channels <= self.kernel.len());
        }
    }

    /// Fills `N` pixels of a run, from its pixel `pixel` on; the products are added in the order of the pairs.
    ///
    /// # Safety
    /// The processor must have the instructions, and [`Self::check`] must have seen the run.
    #[inline(always)]
    unsafe fn add<S: Simd<Scalar = T>, const N: usize>(&mut self, first: usize, pixel: usize) {
        let (channels, further) = (self.channels, pixel * self.step);
        let whole = channels / S::LANES * S::LANES;
        let rest = channels - whole;
        let target = self.target.as_mut_ptr();
        // SAFETY: as the caller promises; places are inside of the slices by `check`, and `rest` is less than a vector.
        unsafe {
            let target = target.add(first + pixel * self.every);
            let (source, kernel) = (self.source.as_ptr().add(further), self.kernel.as_ptr());
            for at in (0..whole).step_by(S::LANES) {
                let bias = self.bias.map_or(S::zero(), |bias| S::load(bias.as_ptr().add(at)));
                let mut sums = [bias; N];
                for (from, tap) in self.pairs {
                    let tap = S::load(kernel.add(tap + at));
                    for (pixel, sum) in sums.iter_mut().enumerate() {
                        *sum = S::mul_add(S::load(source.add(from + pixel * self.step + at)), tap, *sum);
                    }
                }
                for (pixel, sum) in sums.into_iter().enumerate() {
                    S::store(target.add(pixel * self.every + at), sum);
                }
            }
            if S::MASKED && rest > 0 {
                let bias = self
                    .bias
                    .map_or(S::zero(), |bias| S::load_first(bias.as_ptr().add(whole), rest));
                let mut sums = [bias; N];
                for (from, tap) in self.pairs {
                    let tap = S::load_first(kernel.add(tap + whole), rest);
                    for (pixel, sum) in sums.iter_mut().enumerate() {
                        let source = source.add(from + pixel * self.step + whole);
                        *sum = S::mul_add(S::load_first(source, rest), tap, *sum);
                    }
                }
                for (pixel, sum) in sums.into_iter().enumerate() {
                    S::store_first(target.add(pixel * self.every + whole), sum, rest);
                }
                return;
            }
            for at in whole..channels {
                for pixel in 0..N {
                    let mut sum = self.bias.map_or(T::zero(), |bias| bias[at]);
                    for (from, tap) in self.pairs {
                        sum += *source.add(from + pixel * self.step + at) * *kernel.add(tap + at);
                    }
                    *target.add(pixel * self.every + at) = sum;
                }
            }
        }
    }
}

/// Pixels that are some numbers apart, from a place on.
#[derive(Clone, Copy)]
pub(super) struct Pixels<'a, T> {
    pub(super) numbers: &'a [T],
    pub(super) first: usize,
    pub(super) step: usize,
}

impl<T> Pixels<'_, T> {
    fn has(&self, count: usize, channels: usize) -> bool {
        count == 0 || self.first + (count - 1) * self.step + channels <= self.numbers.len()
    }
}

/// `sums += Σ a b` for each channel over so many pixels of both; every fourth product goes to the same partial sum.
pub(super) fn add_products<T: Vectors>(sums: &mut [T], a: Pixels<'_, T>, b: Pixels<'_, T>, count: usize) {
    with_simd!(T, S => add_products_with::<S<T>>(sums, a, b, count));
}

fn add_products_with<S: Simd>(
    sums: &mut [S::Scalar],
    a: Pixels<'_, S::Scalar>,
    b: Pixels<'_, S::Scalar>,
    count: usize,
) {
    const PARTS: usize = 4;
    let channels = sums.len();
    assert!(a.has(count, channels) && b.has(count, channels));
    let whole = channels / S::LANES * S::LANES;
    let rest = channels - whole;
    // SAFETY: `with_simd` chose instructions that the processor has; the pixels lie in their slices, as was just asserted.
    unsafe {
        S::call(
            #[inline(always)]
            || {
                let of = |pixels: &Pixels<'_, S::Scalar>, index: usize, at: usize| {
                    pixels.numbers.as_ptr().add(pixels.first + index * pixels.step + at)
                };
                for at in (0..whole).step_by(S::LANES) {
                    let mut parts = [S::zero(); PARTS];
                    let mut index = 0;
                    while index + PARTS <= count {
                        for (part, sum) in parts.iter_mut().enumerate() {
                            *sum = S::mul_add(
                                S::load(of(&a, index + part, at)),
                                S::load(of(&b, index + part, at)),
                                *sum,
                            );
                        }
                        index += PARTS;
                    }
                    for index in index..count {
                        parts[0] = S::mul_add(S::load(of(&a, index, at)), S::load(of(&b, index, at)), parts[0]);
                    }
                    let sum = S::add(S::add(parts[0], parts[1]), S::add(parts[2], parts[3]));
                    let to = sums.as_mut_ptr().add(at);
                    S::store(to, S::add(S::load(to), sum));
                }
                if S::MASKED && rest > 0 {
                    let mut sum = S::zero();
                    for index in 0..count {
                        let (a, b) = (of(&a, index, whole), of(&b, index, whole));
                        sum = S::mul_add(S::load_first(a, rest), S::load_first(b, rest), sum);
                    }
                    let to = sums.as_mut_ptr().add(whole);
                    S::store_first(to, S::add(S::load_first(to, rest), sum), rest);
                    return;
                }
                for (at, sum) in sums.iter_mut().enumerate().skip(whole) {
                    for index in 0..count {
                        *sum += *of(&a, index, at) * *of(&b, index, at);
                    }
                }
            },
        );
    }
}
