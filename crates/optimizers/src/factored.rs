//! Adafactor's step for a stack of matrices: three passes, the first two of which only read.
//!
//! 1. squares of the gradient, added up along rows and along columns, and squares of the weights;
//! 2. squares of the direction `u = g / sqrt(v)`, whose root mean square decides on the length of the step;
//! 3. the step.
//!
//! How `v` follows from the means of rows and columns is a [`Form`]: Keras' or PyTorch's.
//!
//! A matrix is cut into bands of rows. Every band adds up columns of its own, and these sums are put together in the order of the
//! bands, so the number of threads shows in no bit. Roots and divisions are done once a row and once a column.

use std::ops::Range;

use kernels::prefetch;
use pulp::{Arch, Simd, WithSimd};

use crate::fused::{AHEAD, BLOCK, fork};
use crate::number::{Real, Scalar};
use crate::rule::Preparation;

/// Elements of a row that are worked on together.
const LANES: usize = 32;
/// A band has at least this many rows, so that the sums of its columns are small beside the matrix.
const ROWS: usize = 8;
/// The most bands of a matrix.
const BANDS: usize = 16;

/// Number and shape of the matrices of a stack.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) stacks: usize,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
}

impl Shape {
    /// The last two axes are those of the matrices.
    pub(crate) fn of(shape: &[usize]) -> Self {
        let axis = |from_last: usize| shape.len().checked_sub(from_last).map_or(1, |axis| shape[axis]);
        Self {
            stacks: shape[..shape.len().saturating_sub(2)].iter().product(),
            rows: axis(2),
            columns: axis(1),
        }
    }

    fn rows_of_band(&self) -> usize {
        let bands = (self.rows * self.columns).div_ceil(BLOCK).clamp(1, BANDS);
        self.rows.div_ceil(bands).max(ROWS)
    }

    fn bands(&self) -> usize {
        self.rows.div_ceil(self.rows_of_band())
    }

    /// Numbers of working memory: sums of columns for each band, and a factor for each row and column.
    pub(crate) fn scratch(&self) -> usize {
        self.bands() * self.columns + self.stacks * (self.rows + self.columns)
    }
}

/// How the direction follows from the means of rows and columns.
pub(crate) trait Form: Copy + Sync {
    /// What is kept of a row whose mean square is `r`, where the mean of all rows is `mean`.
    fn row<T: Real>(self, r: T, mean: f64) -> T;
    /// What is kept of a column whose mean square is `c`.
    fn column<T: Real>(self, c: T) -> T;
    /// The direction where a row and a column meet.
    fn direction<T: Real>(self, g: T, row: T, column: T) -> T;
}

/// Keras': `g / sqrt(r c / mean(r))`.
#[derive(Clone, Copy)]
pub(crate) struct Product;

impl Form for Product {
    #[inline(always)]
    fn row<T: Real>(self, r: T, mean: f64) -> T {
        // The root of each factor instead of Keras' root of the product: where a row and a column have no gradient at all (an input
        // and a filter that are both dead), that product is about 1e-56, which is 0 in `f32`, and 0 / 0 ends the training.
        T::from_f64((mean / r.to_f64()).sqrt())
    }

    #[inline(always)]
    fn column<T: Real>(self, c: T) -> T {
        T::ONE / c.sqrt()
    }

    #[inline(always)]
    fn direction<T: Real>(self, g: T, row: T, column: T) -> T {
        g * column * row
    }
}

/// PyTorch's: `g / sqrt(max(r c / max(mean(r), least), least^2))`.
#[derive(Clone, Copy)]
pub(crate) struct Floored {
    pub(crate) least: f64,
}

impl Form for Floored {
    #[inline(always)]
    fn row<T: Real>(self, r: T, mean: f64) -> T {
        T::from_f64(r.to_f64() / mean.max(self.least))
    }

    #[inline(always)]
    fn column<T: Real>(self, c: T) -> T {
        c
    }

    #[inline(always)]
    fn direction<T: Real>(self, g: T, row: T, column: T) -> T {
        let (v, least) = (row * column, T::from_f64(self.least * self.least));
        let v = if v > least { v } else { least };
        g / v.sqrt()
    }
}

/// What a step does, as Adafactor's numbers say.
#[derive(Clone, Copy)]
pub(crate) struct Moments<F> {
    pub(crate) form: F,
    pub(crate) beta_2: f64,
    pub(crate) epsilon: f64,
    /// What comes before the moments.
    pub(crate) preparation: Preparation,
    /// What comes before the step: the same, but that PyTorch lets the weights decay only here.
    pub(crate) walk: Preparation,
}

/// The slices of a stack of matrices: weights, gradient, means of rows and of columns, working memory.
pub(crate) struct Matrices<'a, T> {
    pub(crate) shape: Shape,
    pub(crate) w: &'a mut [T],
    pub(crate) g: &'a [T],
    pub(crate) r: &'a mut [T],
    pub(crate) c: &'a mut [T],
    pub(crate) scratch: &'a mut [T],
}

impl<T: Real> Matrices<'_, T> {
    /// Updates the means and walks; `length` says what the direction is multiplied by, from the mean squares of weights and direction.
    pub(crate) fn update<F: Form>(self, moments: Moments<F>, length: impl FnOnce(f64, f64) -> f64) {
        let Self {
            shape,
            w,
            g,
            r,
            c,
            scratch,
        } = self;
        let (rows, columns, size) = (shape.rows, shape.columns, shape.rows * shape.columns);
        if w.is_empty() {
            return;
        }
        let (partial, factors) = scratch.split_at_mut(shape.bands() * columns);
        let (row_factors, column_factors) = factors.split_at_mut(shape.stacks * rows);
        let (mut weights, mut directions) = (0.0, 0.0);
        for stack in 0..shape.stacks {
            let all = stack * size..(stack + 1) * size;
            let (r, c) = (&mut r[stack * rows..][..rows], &mut c[stack * columns..][..columns]);
            let row_factors = &mut row_factors[stack * rows..][..rows];
            let column_factors = &mut column_factors[stack * columns..][..columns];
            let band = Band {
                shape,
                moments,
                w: &w[all.clone()],
                g: &g[all],
            };
            weights += band.squares(0..rows, partial, r);
            follow_columns(moments, shape, partial, c, column_factors);
            let mean = r.iter().map(|r| r.to_f64()).sum::<f64>() / rows as f64;
            for (factor, r) in row_factors.iter_mut().zip(r) {
                *factor = moments.form.row(*r, mean);
            }
            directions += band.directions(0..rows, row_factors, column_factors);
        }
        let count = w.len() as f64;
        let walk = Walk {
            columns,
            moments,
            length: length(weights / count, directions / count),
        };
        for (stack, w) in w.chunks_exact_mut(size).enumerate() {
            let (row_factors, column_factors) = (
                &row_factors[stack * rows..][..rows],
                &column_factors[stack * columns..][..columns],
            );
            walk.rows(w, &g[stack * size..][..size], row_factors, column_factors);
        }
    }
}

/// `c <- beta_2 c + (1 - beta_2) mean`, and the factor of each column.
fn follow_columns<T: Real, F: Form>(moments: Moments<F>, shape: Shape, partial: &[T], c: &mut [T], factors: &mut [T]) {
    struct Follow<'a, T, F> {
        form: F,
        keep: T,
        take: T,
        epsilon: T,
        partial: &'a [T],
        c: &'a mut [T],
        factors: &'a mut [T],
    }
    impl<T: Real, F: Form> WithSimd for Follow<'_, T, F> {
        type Output = ();

        #[inline(always)]
        fn with_simd<S: Simd>(self, _: S) {
            let columns = self.c.len();
            let (first, others) = self.partial.split_at(columns);
            self.factors.copy_from_slice(first);
            for band in others.chunks_exact(columns) {
                for (sum, &part) in self.factors.iter_mut().zip(band) {
                    *sum = *sum + part;
                }
            }
            for (c, factor) in self.c.iter_mut().zip(self.factors) {
                *c = self.keep * *c + (*factor * self.take + self.epsilon);
                *factor = self.form.column(*c);
            }
        }
    }
    let take = 1.0 - moments.beta_2;
    Arch::new().dispatch(Follow {
        form: moments.form,
        keep: T::from_f64(moments.beta_2),
        take: T::from_f64(take / shape.rows as f64),
        epsilon: T::from_f64(take * moments.epsilon),
        partial,
        c,
        factors,
    });
}

/// Weights and gradient of one matrix.
#[derive(Clone, Copy)]
struct Band<'a, T, F> {
    shape: Shape,
    moments: Moments<F>,
    w: &'a [T],
    g: &'a [T],
}

impl<T: Real, F: Form> Band<'_, T, F> {
    /// The first pass over some rows: updates their means, writes the sums of their columns band by band, and returns the sum of the
    /// squares of their weights.
    fn squares(self, rows: Range<usize>, partial: &mut [T], r: &mut [T]) -> f64 {
        match self.halves(&rows) {
            None => Arch::new().dispatch(Squares {
                band: self,
                rows,
                partial,
                r,
            }),
            Some(middle) => {
                let bands = (middle - rows.start) / self.shape.rows_of_band();
                let (partial, partial_below) = partial.split_at_mut(bands * self.shape.columns);
                let (r, r_below) = r.split_at_mut(middle - rows.start);
                let (above, below) = fork(
                    || self.squares(rows.start..middle, partial, r),
                    || self.squares(middle..rows.end, partial_below, r_below),
                );
                above + below
            }
        }
    }

    /// The second pass: the sum of the squares of the direction.
    fn directions(self, rows: Range<usize>, row_factors: &[T], column_factors: &[T]) -> f64 {
        match self.halves(&rows) {
            None => Arch::new().dispatch(Directions {
                band: self,
                rows,
                row_factors,
                column_factors,
            }),
            Some(middle) => {
                let (above, below) = fork(
                    || self.directions(rows.start..middle, row_factors, column_factors),
                    || self.directions(middle..rows.end, row_factors, column_factors),
                );
                above + below
            }
        }
    }

    /// Where several bands are cut in two.
    fn halves(&self, rows: &Range<usize>) -> Option<usize> {
        let band = self.shape.rows_of_band();
        let bands = rows.len().div_ceil(band);
        (bands > 1).then(|| rows.start + bands / 2 * band)
    }
}

/// The first pass over one band.
struct Squares<'a, T, F> {
    band: Band<'a, T, F>,
    rows: Range<usize>,
    partial: &'a mut [T],
    r: &'a mut [T],
}

impl<T: Real, F: Form> WithSimd for Squares<'_, T, F> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> f64 {
        let Band { shape, moments, w, g } = self.band;
        let columns = shape.columns;
        let preparation = moments.preparation;
        let take = 1.0 - moments.beta_2;
        self.partial.fill(T::ZERO);
        let mut weights = 0.0;
        for (row, r) in self.rows.zip(self.r) {
            let (w, g) = (&w[row * columns..][..columns], &g[row * columns..][..columns]);
            let (mut of_g, mut of_w) = ([T::ZERO; LANES], [T::ZERO; LANES]);
            let (gs, g_rest) = g.as_chunks::<LANES>();
            let (ws, w_rest) = w.as_chunks::<LANES>();
            let (sums, sums_rest) = self.partial.as_chunks_mut::<LANES>();
            for ((g, w), sums) in gs.iter().zip(ws).zip(sums) {
                ahead(g);
                ahead(w);
                squares(preparation, g, w, sums, &mut of_g, &mut of_w);
            }
            squares(preparation, g_rest, w_rest, sums_rest, &mut of_g, &mut of_w);
            let mean = total(of_g).to_f64() / columns as f64 + moments.epsilon;
            *r = T::from_f64(moments.beta_2) * *r + T::from_f64(take * mean);
            weights += total(of_w).to_f64();
        }
        weights
    }
}

#[inline(always)]
fn squares<T: Real>(
    preparation: Preparation,
    g: &[T],
    w: &[T],
    columns: &mut [T],
    of_g: &mut [T; LANES],
    of_w: &mut [T; LANES],
) {
    for i in 0..g.len().min(LANES) {
        let (g, w) = (preparation.gradient(Scalar(g[i])).0, preparation.weight(Scalar(w[i])).0);
        let square = g * g;
        columns[i] = columns[i] + square;
        of_g[i] = of_g[i] + square;
        of_w[i] = of_w[i] + w * w;
    }
}

/// The second pass over one band.
struct Directions<'a, T, F> {
    band: Band<'a, T, F>,
    rows: Range<usize>,
    row_factors: &'a [T],
    column_factors: &'a [T],
}

impl<T: Real, F: Form> WithSimd for Directions<'_, T, F> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> f64 {
        let Band { shape, moments, g, .. } = self.band;
        let columns = shape.columns;
        let mut sum = 0.0;
        for row in self.rows {
            let factor = self.row_factors[row];
            let mut lanes = [T::ZERO; LANES];
            let (gs, g_rest) = g[row * columns..][..columns].as_chunks::<LANES>();
            let (factors, factors_rest) = self.column_factors.as_chunks::<LANES>();
            for (g, factors) in gs.iter().zip(factors) {
                ahead(g);
                directions(moments, g, factors, factor, &mut lanes);
            }
            directions(moments, g_rest, factors_rest, factor, &mut lanes);
            sum += total(lanes).to_f64();
        }
        sum
    }
}

#[inline(always)]
fn directions<T: Real, F: Form>(moments: Moments<F>, g: &[T], columns: &[T], row: T, lanes: &mut [T; LANES]) {
    for i in 0..g.len().min(LANES) {
        let g = moments.preparation.gradient(Scalar(g[i])).0;
        let u = moments.form.direction(g, row, columns[i]);
        lanes[i] = lanes[i] + u * u;
    }
}

/// The third pass.
#[derive(Clone, Copy)]
struct Walk<F> {
    columns: usize,
    moments: Moments<F>,
    length: f64,
}

impl<F: Form> Walk<F> {
    fn rows<T: Real>(self, w: &mut [T], g: &[T], row_factors: &[T], column_factors: &[T]) {
        let rows = row_factors.len();
        if rows == 1 || w.len() <= BLOCK {
            return Arch::new().dispatch(WalkOfBlock {
                walk: self,
                w,
                g,
                row_factors,
                column_factors,
            });
        }
        let middle = rows / 2;
        let (w0, w1) = w.split_at_mut(middle * self.columns);
        let (g0, g1) = g.split_at(middle * self.columns);
        let (above, below) = row_factors.split_at(middle);
        fork(
            || self.rows(w0, g0, above, column_factors),
            || self.rows(w1, g1, below, column_factors),
        );
    }
}

struct WalkOfBlock<'a, T, F> {
    walk: Walk<F>,
    w: &'a mut [T],
    g: &'a [T],
    row_factors: &'a [T],
    column_factors: &'a [T],
}

impl<T: Real, F: Form> WithSimd for WalkOfBlock<'_, T, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self {
            walk,
            w,
            g,
            row_factors,
            column_factors,
        } = self;
        let moments = walk.moments;
        let length = T::from_f64(walk.length);
        let rows = w.chunks_exact_mut(walk.columns).zip(g.chunks_exact(walk.columns));
        for ((w, g), &factor) in rows.zip(row_factors) {
            let (ws, w_rest) = w.as_chunks_mut::<LANES>();
            let (gs, g_rest) = g.as_chunks::<LANES>();
            let (columns, columns_rest) = column_factors.as_chunks::<LANES>();
            for ((w, g), columns) in ws.iter_mut().zip(gs).zip(columns) {
                ahead(w);
                ahead(g);
                walk_along(moments, w, g, columns, factor, length);
            }
            walk_along(moments, w_rest, g_rest, columns_rest, factor, length);
        }
    }
}

#[inline(always)]
fn walk_along<T: Real, F: Form>(moments: Moments<F>, w: &mut [T], g: &[T], columns: &[T], row: T, length: T) {
    for ((w, &g), &column) in w.iter_mut().zip(g).zip(columns) {
        let g = moments.walk.gradient(Scalar(g)).0;
        let u = moments.form.direction(g, row, column);
        *w = moments.walk.weight(Scalar(*w)).0 - u * length;
    }
}

/// Asks for what will be read some rounds later: rows lie one behind the other.
#[inline(always)]
fn ahead<T>(values: &[T; LANES]) {
    for i in (0..LANES).step_by(64 / size_of::<T>()) {
        prefetch(values, AHEAD + i);
    }
}

/// The sum of all lanes, neighbours at half the distance first.
#[inline(always)]
fn total<T: Real>(mut lanes: [T; LANES]) -> T {
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            lanes[i] = lanes[i] + lanes[i + width];
        }
        width /= 2;
    }
    lanes[0]
}
