//! Products of matrices on slices, for the updates that take a matrix as a matrix (Muon, SOAP): nothing is allocated.
//!
//! Both factors are first copied into the order in which a tile of the result reads them: [`ROWS`] rows of the left one side by side,
//! and a panel of columns of the right one. A tile stays in registers while the whole inner axis goes by, so each number of the result
//! is one sum in the order of that axis, whatever the number of threads. candle's product makes a new tensor each time, and the functions
//! of `gemm` take pointers. Large products of `f32` go to the tiles of `kernels` where the processor has them: there too nothing is
//! allocated, and the number of threads does not show.

use kernels::{MatmulPrecision, TileMemory, product_on_tiles};
use pulp::{Arch, Simd, WithSimd};

use crate::fused::fork;
use crate::number::Real;

/// Rows of a tile: with two vectors of columns they fill the registers of AVX2, and keep both multipliers of AVX-512 busy.
const ROWS: usize = 6;
/// Rows of the result that one thread computes at a time.
const TASK: usize = 8 * ROWS;
/// Results with fewer multiplications are not shared among threads.
const SMALL: usize = 1 << 17;

/// A matrix inside a slice: number `(i, j)` is at `i * row_stride + j * column_stride`.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a, T> {
    data: &'a [T],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a, T: Real> Matrix<'a, T> {
    /// A matrix whose rows lie one behind the other; `data` may be longer.
    pub(crate) fn new(data: &'a [T], rows: usize, columns: usize) -> Self {
        Self {
            data: &data[..rows * columns],
            rows,
            columns,
            row_stride: columns,
            column_stride: 1,
        }
    }

    pub(crate) fn transposed(self) -> Self {
        Self {
            data: self.data,
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
        }
    }

    fn at(&self, row: usize, column: usize) -> T {
        self.data[row * self.row_stride + column * self.column_stride]
    }
}

impl<'a> Matrix<'a, f32> {
    /// The same matrix, as `kernels` names it.
    fn of_kernels(self) -> kernels::Matrix<'a> {
        if self.column_stride == 1 {
            kernels::Matrix::new(self.data, self.rows, self.columns)
        } else {
            kernels::Matrix::new(self.data, self.columns, self.rows).transposed()
        }
    }
}

/// What products are computed with.
pub(crate) struct Workspace<'a, T> {
    /// Numbers with any values, [`Factor::working_memory`] of them.
    pub(crate) numbers: &'a mut [T],
    pub(crate) tiles: &'a mut TileMemory,
    /// That of the products of `f32`; those of `f64` have their own.
    pub(crate) precision: MatmulPrecision,
}

/// A type whose products are computed here.
pub(crate) trait Factor: Real {
    /// Numbers of working memory that [`multiply`] needs for `rows x inner` times `inner x columns`.
    fn working_memory(rows: usize, inner: usize, columns: usize) -> usize;

    /// Writes the product, row by row.
    fn multiply(a: Matrix<'_, Self>, b: Matrix<'_, Self>, out: &mut [Self], workspace: &mut Workspace<'_, Self>);

    /// The nearest number of bfloat16, the even one of two; NaN stays NaN.
    fn to_bfloat16(self) -> Self;
}

macro_rules! factor {
    ($($float:ident, $panel:literal, $half:literal, $on_tiles:ident, $to_bfloat16:ident;)*) => {$(
        impl Factor for $float {
            fn working_memory(rows: usize, inner: usize, columns: usize) -> usize {
                (rows.next_multiple_of(ROWS) + columns.next_multiple_of($panel)) * inner
            }

            fn multiply(a: Matrix<'_, Self>, b: Matrix<'_, Self>, out: &mut [Self], workspace: &mut Workspace<'_, Self>) {
                let out = &mut out[..a.rows * b.columns];
                if !$on_tiles(a, b, out, workspace) {
                    multiply::<Self, $panel, $half>(a, b, out, workspace.numbers);
                }
            }

            #[inline(always)]
            fn to_bfloat16(self) -> Self {
                $to_bfloat16(self)
            }
        }
    )*};
}
// Two vectors of AVX-512, of which AVX2 takes one half after the other.
factor! {
    f32, 32, 16, on_tiles, nearest_bfloat16;
    f64, 16, 8, never, nearest_bfloat16_of_f64;
}

/// Computes a product where there are tiles and they serve it.
fn on_tiles(a: Matrix<'_, f32>, b: Matrix<'_, f32>, out: &mut [f32], workspace: &mut Workspace<'_, f32>) -> bool {
    product_on_tiles(
        workspace.precision,
        a.of_kernels(),
        b.of_kernels(),
        out,
        workspace.tiles,
    )
}

/// Tiles have no numbers of `f64`.
fn never(_: Matrix<'_, f64>, _: Matrix<'_, f64>, _: &mut [f64], _: &mut Workspace<'_, f64>) -> bool {
    false
}

#[inline(always)]
fn nearest_bfloat16(x: f32) -> f32 {
    let bits = x.to_bits();
    let nearest = bits.wrapping_add(0x7FFF + (bits >> 16 & 1)) & 0xFFFF_0000;
    let is_number = bits & 0x7FFF_FFFF <= 0x7F80_0000;
    f32::from_bits(if is_number { nearest } else { bits })
}

#[inline(always)]
fn nearest_bfloat16_of_f64(x: f64) -> f64 {
    let near = x as f32;
    let bits = near.to_bits();
    // What `f32` has rounded onto the middle between two numbers lies on one side of it.
    let middle = bits & 0xFFFF == 0x8000;
    let (above, below) = (f64::from(near).abs() < x.abs(), f64::from(near).abs() > x.abs());
    let bits = bits + u32::from(middle & above) - u32::from(middle & below);
    nearest_bfloat16(f32::from_bits(bits)).into()
}

fn multiply<T: Real, const PANEL: usize, const HALF: usize>(
    a: Matrix<'_, T>,
    b: Matrix<'_, T>,
    out: &mut [T],
    scratch: &mut [T],
) {
    let (rows, inner, columns) = (a.rows, a.columns, b.columns);
    let out = &mut out[..rows * columns];
    if inner == 0 || out.is_empty() {
        return out.fill(T::ZERO);
    }
    let (left, right) = scratch.split_at_mut(rows.next_multiple_of(ROWS) * inner);
    let panels = &mut right[..columns.next_multiple_of(PANEL) * inner];
    let shared = rows * inner * columns > SMALL;
    pack_columns::<T, PANEL>(b, 0, panels, shared);
    let block = Block {
        a,
        first: 0,
        panels,
        columns,
        shared,
    };
    block.compute::<PANEL, HALF>(left, out);
}

/// Copies the columns from `first` on into panels: for each place of the inner axis the numbers of `PANEL` columns, filled up with zeros.
fn pack_columns<T: Real, const PANEL: usize>(b: Matrix<'_, T>, first: usize, packed: &mut [T], shared: bool) {
    let size = b.rows * PANEL;
    let panels = packed.len() / size;
    if shared && panels > 1 {
        let middle = panels / 2;
        let (left, right) = packed.split_at_mut(middle * size);
        fork(
            || pack_columns::<T, PANEL>(b, first, left, shared),
            || pack_columns::<T, PANEL>(b, first + middle * PANEL, right, shared),
        );
        return;
    }
    for (panel, packed) in packed.chunks_exact_mut(size).enumerate() {
        let first = first + panel * PANEL;
        let width = PANEL.min(b.columns - first);
        for (row, packed) in packed.chunks_exact_mut(PANEL).enumerate() {
            let (numbers, rest) = packed.split_at_mut(width);
            if b.column_stride == 1 {
                numbers.copy_from_slice(&b.data[row * b.row_stride + first..][..width]);
            } else {
                for (lane, number) in numbers.iter_mut().enumerate() {
                    *number = b.at(row, first + lane);
                }
            }
            rest.fill(T::ZERO);
        }
    }
}

/// Copies rows side by side: for each place of the inner axis the numbers of [`ROWS`] rows, filled up with zeros.
fn pack_rows<T: Real>(a: Matrix<'_, T>, first: usize, packed: &mut [T]) {
    for (tile, packed) in packed.chunks_exact_mut(ROWS * a.columns).enumerate() {
        let first = first + tile * ROWS;
        for (column, packed) in packed.chunks_exact_mut(ROWS).enumerate() {
            for (row, number) in packed.iter_mut().enumerate() {
                *number = if first + row < a.rows {
                    a.at(first + row, column)
                } else {
                    T::ZERO
                };
            }
        }
    }
}

/// Some rows of the result.
#[derive(Clone, Copy)]
struct Block<'a, T> {
    a: Matrix<'a, T>,
    first: usize,
    panels: &'a [T],
    columns: usize,
    shared: bool,
}

impl<T: Real> Block<'_, T> {
    fn compute<const PANEL: usize, const HALF: usize>(self, packed: &mut [T], out: &mut [T]) {
        let rows = out.len() / self.columns;
        if self.shared && rows > TASK {
            let middle = rows.div_ceil(TASK) / 2 * TASK;
            let (above, below) = out.split_at_mut(middle * self.columns);
            let (packed_above, packed_below) = packed.split_at_mut(middle * self.a.columns);
            let lower = Self {
                first: self.first + middle,
                ..self
            };
            fork(
                || self.compute::<PANEL, HALF>(packed_above, above),
                || lower.compute::<PANEL, HALF>(packed_below, below),
            );
            return;
        }
        let packed = &mut packed[..rows.next_multiple_of(ROWS) * self.a.columns];
        pack_rows(self.a, self.first, packed);
        Arch::new().dispatch(Tiles::<T, PANEL, HALF> {
            inner: self.a.columns,
            columns: self.columns,
            packed,
            panels: self.panels,
            out,
        });
    }
}

/// The tiles of some rows. Not a closure: see `fused.rs`.
struct Tiles<'a, T, const PANEL: usize, const HALF: usize> {
    inner: usize,
    columns: usize,
    packed: &'a [T],
    panels: &'a [T],
    out: &'a mut [T],
}

impl<T: Real, const PANEL: usize, const HALF: usize> WithSimd for Tiles<'_, T, PANEL, HALF> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self {
            inner,
            columns,
            packed,
            panels,
            out,
        } = self;
        for (panel, numbers) in panels.chunks_exact(inner * PANEL).enumerate() {
            let from = panel * PANEL;
            let width = PANEL.min(columns - from);
            let (b, _) = numbers.as_chunks::<PANEL>();
            for (a, out) in packed.chunks_exact(inner * ROWS).zip(out.chunks_mut(ROWS * columns)) {
                let (a, _) = a.as_chunks::<ROWS>();
                if S::F32_LANES >= 16 {
                    write(&tile::<T, S, PANEL, PANEL>(a, b, 0), out, columns, from, width);
                } else {
                    let low = tile::<T, S, PANEL, HALF>(a, b, 0);
                    write(&low, out, columns, from, width.min(HALF));
                    if width > HALF {
                        let high = tile::<T, S, PANEL, HALF>(a, b, HALF);
                        write(&high, out, columns, from + HALF, width - HALF);
                    }
                }
            }
        }
    }
}

/// `N` columns of a tile, in the panel from its column `from`, which is known when this is compiled.
#[inline(always)]
fn tile<T: Real, S: Simd, const PANEL: usize, const N: usize>(
    a: &[[T; ROWS]],
    b: &[[T; PANEL]],
    from: usize,
) -> [[T; N]; ROWS] {
    let mut sums = [[T::ZERO; N]; ROWS];
    for (a, b) in a.iter().zip(b) {
        for row in 0..ROWS {
            for lane in 0..N {
                sums[row][lane] = add_product::<T, S>(sums[row][lane], a[row], b[from + lane]);
            }
        }
    }
    sums
}

#[inline(always)]
fn add_product<T: Real, S: Simd>(sum: T, a: T, b: T) -> T {
    // Where the processor has no such instruction, a function of the C library would do it digit by digit.
    if S::F32_LANES >= 8 || cfg!(target_arch = "aarch64") {
        a.mul_add(b, sum)
    } else {
        sum + a * b
    }
}

#[inline(always)]
fn write<T: Real, const N: usize>(tile: &[[T; N]; ROWS], out: &mut [T], columns: usize, from: usize, width: usize) {
    for (row, tile) in out.chunks_exact_mut(columns).zip(tile) {
        row[from..from + width].copy_from_slice(&tile[..width]);
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device, Tensor};
    use proptest::prelude::*;

    use kernels::{MatmulPrecision, TileMemory};

    use super::{Factor, Matrix, Workspace};

    fn checked<T: Factor>(shape: [usize; 3], turned: [bool; 2], numbers: &[f64], tolerance: f64) {
        let [rows, inner, columns] = shape;
        let values = |from: usize, count: usize| -> Vec<T> {
            let numbers = numbers.iter().cycle().skip(from);
            numbers.take(count).map(|number| T::from_f64(*number)).collect()
        };
        let (left, right) = (values(0, rows * inner), values(7, inner * columns));
        let matrix = |data, rows, columns, turned| match turned {
            true => Matrix::new(data, columns, rows).transposed(),
            false => Matrix::new(data, rows, columns),
        };
        let (a, b) = (
            matrix(&left[..], rows, inner, turned[0]),
            matrix(&right[..], inner, columns, turned[1]),
        );
        let mut out = vec![T::ONE; rows * columns];
        let mut scratch = vec![T::ONE; T::working_memory(rows, inner, columns)];
        let mut workspace = Workspace {
            numbers: &mut scratch,
            tiles: &mut TileMemory::default(),
            precision: MatmulPrecision::Highest,
        };
        T::multiply(a, b, &mut out, &mut workspace);
        for row in 0..rows {
            for column in 0..columns {
                let terms = (0..inner).map(|k| a.at(row, k).to_f64() * b.at(k, column).to_f64());
                let found = out[row * columns + column].to_f64();
                let expected: f64 = terms.sum();
                assert!(
                    (found - expected).abs() <= tolerance,
                    "{shape:?} {turned:?} ({row}, {column})"
                );
            }
        }
    }

    proptest! {
        #[test]
        fn products_are_sums_of_products(
            shape in [0_usize..70, 0_usize..40, 0_usize..70],
            turned in [any::<bool>(), any::<bool>()],
            numbers in prop::collection::vec(-1.0_f64..1.0, 11..97),
        ) {
            checked::<f32>(shape, turned, &numbers, 2e-5);
            checked::<f64>(shape, turned, &numbers, 1e-13);
        }
    }

    #[test]
    fn threads_do_not_show() {
        let numbers: Vec<f32> = (0..90_000).map(|i| ((i * 7919) % 1009) as f32 / 1009.0 - 0.5).collect();
        let (a, b) = (Matrix::new(&numbers, 300, 200), Matrix::new(&numbers, 200, 150));
        let product = |threads: usize, precision: MatmulPrecision| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let mut out = vec![0.0; 300 * 150];
            let mut workspace = Workspace {
                numbers: &mut vec![0.0; f32::working_memory(300, 200, 150)],
                tiles: &mut TileMemory::default(),
                precision,
            };
            pool.install(|| f32::multiply(a, b, &mut out, &mut workspace));
            out
        };
        // With tiles, where there are some, and without.
        for precision in [MatmulPrecision::Highest, MatmulPrecision::Fma] {
            assert_eq!(product(1, precision), product(3, precision));
        }
    }

    #[test]
    fn bfloat16_is_rounded_to_the_nearest_even() {
        let numbers = [
            0.0_f32,
            1.0,
            1.003_906_2,
            1.011_718_8,
            3.4e38,
            -0.1,
            1e-40,
            f32::INFINITY,
            0.333_333_34,
        ];
        for number in numbers {
            let rounded = Tensor::new(number, &Device::Cpu).unwrap().to_dtype(DType::BF16);
            let expected = rounded
                .and_then(|x| x.to_dtype(DType::F32)?.to_scalar::<f32>())
                .unwrap();
            assert_eq!(number.to_bfloat16(), expected, "{number}");
            assert_eq!(f64::from(number).to_bfloat16(), f64::from(expected));
        }
        assert!(f32::NAN.to_bfloat16().is_nan() && f64::NAN.to_bfloat16().is_nan());
        // A bit more than the middle between 1 and the next number, which `f32` would round onto the middle.
        assert_eq!(
            (1.0 + 2f64.powi(-8) + 2f64.powi(-40)).to_bfloat16(),
            1.0 + 2f64.powi(-7)
        );
    }
}
