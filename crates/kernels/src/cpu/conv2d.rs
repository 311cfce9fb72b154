//! Convolution and its gradient: [`super::direct`] where it can, products with tiles of patches (im2col) for groups and for the gradient
//! of images under strides.

use std::mem::MaybeUninit;
use std::sync::OnceLock;

use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::activation::{activation as apply_activation, apply, apply_gradient, derivative_from_output};
use super::direct::{Direct, Images};
use super::linear::add;
use super::matmul::{View, product};
use super::patches::{Order, Patches};
use super::real::{Real, cleared, for_real, numbers, slice};
use super::simd::Vectors;
use super::whole_pools::{are_counted, are_whole};
use crate::activation::Activation;
use crate::precision::MatmulPrecision;
use crate::tape::{apply2, apply3, wants_gradient};
use crate::window::Window;

/// Numbers in a tile of patches: 2^16 f32 are 256 KiB, which leaves room in an L2 cache for the kernel and the output.
const TILE: usize = 1 << 16;
/// Into how many partial sums the kernel's gradient is cut, at most. Fixed, so that threads do not change the bits.
const PARTIAL_SUMS: usize = 16;
/// Numbers in all partial sums together, at most.
const PARTIAL_NUMBERS: usize = 1 << 23;

/// A convolution, and whether its outputs are pooled at once.
struct Op {
    plain: Plain,
    pool: Option<Pool>,
}

#[derive(Clone, Copy)]
struct Plain {
    window: Window,
    groups: usize,
    activation: Activation,
    precision: MatmulPrecision,
}

/// Maxima of pools that lie wholly on the output and apart from each other.
struct Pool {
    window: Window,
    /// The numbers of the taps at which the maxima stand; kept only where a gradient may be asked for.
    winners: OnceLock<CpuStorage>,
    keep: bool,
}

/// `x` is `(n, h, w, c)`, `kernel` `(kh, kw, c / groups, f)`, `bias` `(f)`; none is empty.
pub(crate) fn conv2d(
    x: &Tensor,
    kernel: &Tensor,
    bias: Option<&Tensor>,
    window: &Window,
    groups: usize,
    activation: Activation,
) -> Result<Tensor> {
    let fused = derivative_from_output(activation);
    let plain = Plain {
        window: *window,
        groups,
        activation: if fused { activation } else { Activation::Linear },
        precision: MatmulPrecision::current(),
    };
    let y = applied(x, kernel, bias, Op { plain, pool: None })?;
    if fused { Ok(y) } else { apply_activation(&y, activation) }
}

fn applied(x: &Tensor, kernel: &Tensor, bias: Option<&Tensor>, op: Op) -> Result<Tensor> {
    let (x, kernel) = (x.contiguous()?, kernel.contiguous()?);
    match bias {
        Some(bias) => apply3(&x, &kernel, &bias.contiguous()?, op),
        None => apply2(&x, &kernel, op),
    }
}

/// The maxima of the pools of a convolution's output, of which only they are kept. `None` where it takes two operations.
pub(crate) fn conv2d_max_pool2d(
    x: &Tensor,
    kernel: &Tensor,
    bias: Option<&Tensor>,
    window: &Window,
    activation: Activation,
    pool: &Window,
) -> Result<Option<Tensor>> {
    let plain = Plain {
        window: *window,
        groups: 1,
        activation,
        precision: MatmulPrecision::current(),
    };
    let sizes = Sizes::new(plain, x.dims(), kernel.dims());
    let turns_round = sizes.direct().is_some_and(|direct| direct.turns_round());
    if !(derivative_from_output(activation) && turns_round && are_whole(pool) && are_counted(pool)) {
        return Ok(None);
    }
    let pool = Pool {
        window: *pool,
        winners: OnceLock::new(),
        keep: [Some(x), Some(kernel), bias].into_iter().flatten().any(wants_gradient),
    };
    let pool = Some(pool);
    applied(x, kernel, bias, Op { plain, pool }).map(Some)
}

/// Sizes of one call.
#[derive(Clone, Copy)]
struct Sizes {
    op: Plain,
    images: usize,
    channels: usize,
    filters: usize,
    /// Output rows in a tile.
    tile_rows: usize,
}

impl Sizes {
    fn new(op: Plain, x: &[usize], kernel: &[usize]) -> Self {
        let (channels, filters) = (x[3], kernel[3]);
        let per_row = op.window.columns.output * op.window.taps() * (channels / op.groups);
        let tile_rows = (TILE / per_row.max(1)).clamp(1, op.window.rows.output.max(1));
        // Tiles of nearly the same size.
        let tile_rows = op
            .window
            .rows
            .output
            .div_ceil(op.window.rows.output.div_ceil(tile_rows).max(1))
            .max(1);
        Self {
            op,
            images: x[0],
            channels,
            filters,
            tile_rows,
        }
    }

    /// The convolution without patches, where it can be one.
    fn direct(&self) -> Option<Direct> {
        (self.op.groups == 1).then_some(Direct {
            window: self.op.window,
            channels: self.channels,
            filters: self.filters,
            activation: self.op.activation,
            precision: self.op.precision,
        })
    }

    fn image(&self) -> usize {
        self.op.window.rows.input * self.op.window.columns.input * self.channels
    }

    fn output(&self) -> usize {
        self.op.window.positions() * self.filters
    }

    fn row(&self) -> usize {
        self.op.window.columns.output * self.filters
    }

    fn tiles(&self) -> impl Iterator<Item = std::ops::Range<usize>> + use<> {
        let (rows, step) = (self.op.window.rows.output, self.tile_rows);
        (0..rows).step_by(step).map(move |row| row..(row + step).min(rows))
    }

    fn patches(&self, group: usize) -> Patches {
        let seen = self.channels / self.op.groups;
        Patches {
            window: self.op.window,
            channels: self.channels,
            first: group * seen,
            seen,
        }
    }

    /// Numbers that the patches of a tile take.
    fn buffer(&self) -> usize {
        let patches = self.patches(0);
        if patches.is_image() {
            0
        } else {
            self.tile_rows * self.op.window.columns.output * patches.depth()
        }
    }

    /// The kernel of a group as a matrix (taps x channels of the group, filters of the group).
    fn kernel<'a, T: Real>(&self, kernel: &'a [T], group: usize) -> View<'a, T> {
        let filters = self.filters / self.op.groups;
        View::strided(
            &kernel[group * filters..],
            self.patches(0).depth(),
            filters,
            self.filters,
            1,
        )
    }
}

/// The patches of a tile as a matrix: copied into the buffer, or the image itself where it is that.
fn tile<'a, T: Real>(
    patches: &Patches,
    image: &'a [T],
    rows: std::ops::Range<usize>,
    buffer: &'a mut [T],
) -> View<'a, T> {
    let width = patches.window.columns.output;
    let positions = rows.len() * width;
    if patches.is_image() {
        return View::rows(
            &image[rows.start * width * patches.channels..],
            positions,
            patches.channels,
        );
    }
    patches.gather(image, rows, buffer);
    let (row_stride, column_stride) = patches.strides(positions);
    View::strided(buffer, positions, patches.depth(), row_stride, column_stride)
}

fn forward<T: Vectors>(
    op: &Op,
    x: (&CpuStorage, &Layout),
    kernel: (&CpuStorage, &Layout),
    bias: Option<(&CpuStorage, &Layout)>,
) -> Result<(CpuStorage, Shape)> {
    let Op { plain: op, ref pool } = *op;
    let sizes = Sizes::new(op, x.1.dims(), kernel.1.dims());
    let (x, kernel) = (slice::<T>(x.0, x.1)?, slice::<T>(kernel.0, kernel.1)?);
    let bias = bias.map(|(storage, layout)| slice::<T>(storage, layout)).transpose()?;
    let shape = Shape::from((
        sizes.images,
        op.window.rows.output,
        op.window.columns.output,
        sizes.filters,
    ));
    if let (Some(direct), Some(pool)) = (sizes.direct(), pool) {
        let (y, winners) = direct.forward_pooled(x, kernel, bias, &pool.window, pool.keep);
        let _ = pool.winners.set(T::to_cpu_storage_owned(winners));
        let Window { rows, columns } = pool.window;
        let shape = Shape::from((sizes.images, rows.output, columns.output, sizes.filters));
        return Ok((T::to_cpu_storage_owned(y), shape));
    }
    if let Some(direct) = sizes.direct() {
        return Ok((T::to_cpu_storage_owned(direct.forward(x, kernel, bias)), shape));
    }
    let mut y = vec![T::zero(); sizes.images * sizes.output()];
    let group_filters = sizes.filters / op.groups;
    let mut tasks: Vec<(usize, std::ops::Range<usize>, &mut [T])> = Vec::new();
    for (image, y) in y.chunks_exact_mut(sizes.output()).enumerate() {
        for (rows, y) in sizes.tiles().zip(y.chunks_mut(sizes.tile_rows * sizes.row())) {
            tasks.push((image, rows, y));
        }
    }
    tasks.into_par_iter().for_each_init(
        || vec![T::zero(); sizes.buffer()],
        |buffer, (image, rows, y)| {
            let image = &x[image * sizes.image()..(image + 1) * sizes.image()];
            for group in 0..op.groups {
                let patches = tile(&sizes.patches(group), image, rows.clone(), buffer);
                let out = &mut y[group * group_filters..];
                product(patches, sizes.kernel(kernel, group), out, sizes.filters, false);
            }
            if let Some(bias) = bias {
                for pixel in y.chunks_exact_mut(sizes.filters) {
                    add(pixel, bias);
                }
            }
            apply(y, sizes.filters, op.activation);
        },
    );
    Ok((T::to_cpu_storage_owned(y), shape))
}

/// Gradients of `x`, `kernel` and `bias`, each only if it is asked for.
type Gradients = (Option<Tensor>, Option<Tensor>, Option<Tensor>);

/// What one piece of the batch works on: its images, their gradient, and its part of the sums.
struct Piece<'a, T> {
    first: usize,
    dx: &'a mut [MaybeUninit<T>],
    dw: &'a mut [T],
    db: &'a mut [T],
}

fn backward<T: Vectors>(
    op: &Op,
    x: &Tensor,
    kernel: &Tensor,
    bias: Option<&Tensor>,
    y: &Tensor,
    gradient: &Tensor,
) -> Result<Gradients> {
    let sizes = Sizes::new(op.plain, x.dims(), kernel.dims());
    let pooled = match &op.pool {
        None => None,
        Some(pool) => match pool.winners.get() {
            Some(winners) if pool.keep => Some((pool.window, T::cpu_storage_as_slice(winners)?)),
            _ => candle_core::bail!("conv2d_max_pool2d: backward without forward"),
        },
    };
    let output = pooled.map_or(sizes.output(), |(pool, _)| pool.positions() * sizes.filters);
    numbers!(x_numbers: T = x);
    numbers!(kernel_numbers: T = kernel);
    numbers!(y_numbers: T = y);
    numbers!(gradient_numbers: T = gradient);
    let want_x = wants_gradient(x);
    let want_kernel = wants_gradient(kernel);
    let want_bias = bias.is_some_and(wants_gradient);

    let kernel_len = kernel.elem_count();
    let partial_sums = (PARTIAL_NUMBERS / kernel_len).clamp(1, PARTIAL_SUMS);
    let images_each = sizes.images.div_ceil(partial_sums);
    let pieces = sizes.images.div_ceil(images_each);
    let dx_len = if want_x { sizes.images * sizes.image() } else { 0 };
    let mut dx = Vec::with_capacity(dx_len);
    let mut dw = vec![T::zero(); if want_kernel { pieces * kernel_len } else { 0 }];
    let mut db = vec![T::zero(); if want_bias { pieces * sizes.filters } else { 0 }];

    // Each thread clears its own parts, just before it writes them.
    let mut dx_parts = dx.spare_capacity_mut()[..dx_len].chunks_mut(images_each * sizes.image());
    let mut dw_parts = dw.chunks_mut(kernel_len);
    let mut db_parts = db.chunks_mut(sizes.filters);
    let work: Vec<Piece<'_, T>> = (0..pieces)
        .map(|piece| Piece {
            first: piece * images_each,
            dx: dx_parts.next().unwrap_or_default(),
            dw: dw_parts.next().unwrap_or_default(),
            db: db_parts.next().unwrap_or_default(),
        })
        .collect();
    let call = Backward {
        sizes,
        x: x_numbers,
        kernel: kernel_numbers,
        y: y_numbers,
        gradient: gradient_numbers,
    };
    let direct = sizes.direct().filter(|direct| !want_x || direct.turns_round());
    work.into_par_iter().with_max_len(1).for_each(|piece| {
        let images = piece.first..(piece.first + images_each).min(sizes.images);
        if let Some(direct) = direct {
            let of = |size: usize| images.start * size..images.end * size;
            let seen = Images {
                x: &x_numbers[of(sizes.image())],
                y: &y_numbers[of(output)],
                dy: &gradient_numbers[of(output)],
                pooled: pooled.map(|(pool, winners)| (pool, &winners[of(output)])),
            };
            return direct.backward(seen, kernel_numbers, cleared(piece.dx), piece.dw, piece.db);
        }
        call.piece(images, piece, want_x, want_kernel, want_bias);
    });
    // SAFETY: the parts of all pieces are the first `dx_len` numbers, and each was cleared.
    unsafe { dx.set_len(dx_len) };

    let sum = |parts: Vec<T>, len: usize, like: &Tensor| {
        let mut parts = parts;
        let (total, rest) = parts.split_at_mut(len);
        // Each number is the sum of its parts from the first piece to the last.
        total.par_chunks_mut(1 << 12).enumerate().for_each(|(chunk, total)| {
            for part in rest.chunks_exact(len) {
                add(total, &part[chunk << 12..][..total.len()]);
            }
        });
        parts.truncate(len);
        Tensor::from_vec(parts, like.shape(), like.device())
    };
    let dx = want_x
        .then(|| Tensor::from_vec(dx, x.shape(), x.device()))
        .transpose()?;
    let dw = want_kernel.then(|| sum(dw, kernel_len, kernel)).transpose()?;
    let db = bias
        .filter(|_| want_bias)
        .map(|bias| sum(db, sizes.filters, bias))
        .transpose()?;
    Ok((dx, dw, db))
}

/// What all pieces of a backward pass read.
struct Backward<'a, T> {
    sizes: Sizes,
    x: &'a [T],
    kernel: &'a [T],
    y: &'a [T],
    gradient: &'a [T],
}

impl<T: Real> Backward<'_, T> {
    fn piece(
        &self,
        images: std::ops::Range<usize>,
        piece: Piece<'_, T>,
        want_x: bool,
        want_kernel: bool,
        want_bias: bool,
    ) {
        let sizes = self.sizes;
        let op = sizes.op;
        let group_filters = sizes.filters / op.groups;
        let activates = op.activation != Activation::Linear;
        let mut buffer = vec![T::zero(); sizes.tile_rows * op.window.columns.output * sizes.patches(0).depth()];
        let mut before = vec![T::zero(); if activates { sizes.tile_rows * sizes.row() } else { 0 }];
        let mut dx_images = cleared(piece.dx).chunks_mut(sizes.image());
        for image in images {
            let x = &self.x[image * sizes.image()..(image + 1) * sizes.image()];
            let dx = dx_images.next().unwrap_or_default();
            for rows in sizes.tiles() {
                let part =
                    image * sizes.output() + rows.start * sizes.row()..image * sizes.output() + rows.end * sizes.row();
                let positions = rows.len() * op.window.columns.output;
                // The gradient before the activation.
                let dz: &[T] = if activates {
                    let dz = &mut before[..part.len()];
                    dz.copy_from_slice(&self.gradient[part.clone()]);
                    apply_gradient(dz, &[], &self.y[part], sizes.filters, op.activation);
                    dz
                } else {
                    &self.gradient[part]
                };
                if want_bias {
                    for pixel in dz.chunks_exact(sizes.filters) {
                        add(piece.db, pixel);
                    }
                }
                for group in 0..op.groups {
                    let patches = sizes.patches(group);
                    let dz = View::strided(&dz[group * group_filters..], positions, group_filters, sizes.filters, 1);
                    if want_kernel {
                        let seen = tile(&patches, x, rows.clone(), &mut buffer);
                        let dw = &mut piece.dw[group * group_filters..];
                        product(seen.transposed(), dz, dw, sizes.filters, true);
                    }
                    if want_x {
                        self.input_gradient(&patches, group, dz, rows.clone(), &mut buffer, dx);
                    }
                }
            }
        }
    }

    /// Adds the gradient that a tile of the output sends to an image.
    fn input_gradient(
        &self,
        patches: &Patches,
        group: usize,
        dz: View<'_, T>,
        rows: std::ops::Range<usize>,
        buffer: &mut [T],
        dx: &mut [T],
    ) {
        let width = patches.window.columns.output;
        let positions = rows.len() * width;
        let kernel = self.sizes.kernel(self.kernel, group);
        if patches.is_image() {
            let dx = &mut dx[rows.start * width * patches.channels..];
            product(dz, kernel.transposed(), dx, patches.channels, false);
            return;
        }
        match patches.order() {
            Order::PositionMajor => product(dz, kernel.transposed(), buffer, patches.depth(), false),
            Order::TapMajor => product(kernel, dz.transposed(), buffer, positions, false),
        }
        patches.scatter_add(buffer, rows, dx);
    }
}

impl CustomOp2 for Op {
    fn name(&self) -> &'static str {
        "conv2d"
    }

    fn cpu_fwd(&self, x: &CpuStorage, lx: &Layout, k: &CpuStorage, lk: &Layout) -> Result<(CpuStorage, Shape)> {
        for_real!(x.dtype(), "conv2d", forward::<T>(self, (x, lx), (k, lk), None))
    }

    fn bwd(&self, x: &Tensor, kernel: &Tensor, y: &Tensor, dy: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (dx, dw, _) = for_real!(x.dtype(), "conv2d", backward::<T>(self, x, kernel, None, y, dy))?;
        Ok((dx, dw))
    }
}

impl CustomOp3 for Op {
    fn name(&self) -> &'static str {
        "conv2d"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        lx: &Layout,
        k: &CpuStorage,
        lk: &Layout,
        b: &CpuStorage,
        lb: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        for_real!(x.dtype(), "conv2d", forward::<T>(self, (x, lx), (k, lk), Some((b, lb))))
    }

    fn bwd(&self, x: &Tensor, kernel: &Tensor, bias: &Tensor, y: &Tensor, dy: &Tensor) -> Result<Gradients> {
        for_real!(x.dtype(), "conv2d", backward::<T>(self, x, kernel, Some(bias), y, dy))
    }
}
