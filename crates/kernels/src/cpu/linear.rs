//! `f(x K + b)` and its gradient.

use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::activation::{activation as apply_activation, apply, apply_gradient, derivative_from_output};
use super::matmul::{View, parallel_product};
use super::real::{Real, filled, for_real, numbers, pairwise, slice, tensor_like, vectorized};
use super::tiles;
use crate::activation::Activation;
use crate::deferred::Deferred;
use crate::precision::MatmulPrecision;
use crate::tape::{apply2, apply3, defer, defers, wants_gradient};

struct Op {
    activation: Activation,
    precision: MatmulPrecision,
}

/// `x` is `(rows, inputs)`, `kernel` `(inputs, units)`, `bias` `(units)`; none is empty.
pub(crate) fn linear(x: &Tensor, kernel: &Tensor, bias: Option<&Tensor>, activation: Activation) -> Result<Tensor> {
    let fused = derivative_from_output(activation);
    let op = Op {
        activation: if fused { activation } else { Activation::Linear },
        precision: MatmulPrecision::current(),
    };
    let (x, kernel) = (x.contiguous()?, kernel.contiguous()?);
    let y = match bias {
        Some(bias) => apply3(&x, &kernel, &bias.contiguous()?, op)?,
        None => apply2(&x, &kernel, op)?,
    };
    if fused { Ok(y) } else { apply_activation(&y, activation) }
}

fn forward<T: Real>(
    op: &Op,
    x: (&CpuStorage, &Layout),
    kernel: (&CpuStorage, &Layout),
    bias: Option<(&CpuStorage, &Layout)>,
) -> Result<(CpuStorage, Shape)> {
    let (rows, inputs) = x.1.shape().dims2()?;
    let units = kernel.1.dims()[1];
    let bias = bias.map(|(storage, layout)| slice::<T>(storage, layout)).transpose()?;
    let a = View::rows(slice::<T>(x.0, x.1)?, rows, inputs);
    let b = View::rows(slice::<T>(kernel.0, kernel.1)?, inputs, units);
    let y = parallel_product(op.precision, a, b, |column, row| {
        if let Some(bias) = bias {
            add(row, &bias[column..column + row.len()]);
        }
        apply(row, units, op.activation);
    });
    Ok((T::to_cpu_storage_owned(y), Shape::from((rows, units))))
}

#[inline(always)]
pub(super) fn add<T: Real>(sums: &mut [T], terms: &[T]) {
    vectorized(
        #[inline(always)]
        || {
            pairwise(sums, terms, |sum, term| *sum += *term);
        },
    );
}

/// Gradients of `x`, `kernel` and `bias`, each only if it is asked for.
type Gradients = (Option<Tensor>, Option<Tensor>, Option<Tensor>);

fn backward<T: Real>(
    op: &Op,
    x: &Tensor,
    kernel: &Tensor,
    bias: Option<&Tensor>,
    y: &Tensor,
    gradient: &Tensor,
) -> Result<Gradients> {
    let Op { activation, precision } = *op;
    let ((rows, inputs), units) = (x.dims2()?, kernel.dim(1)?);
    numbers!(x_numbers: T = x);
    numbers!(kernel_numbers: T = kernel);
    numbers!(y_numbers: T = y);
    numbers!(gradient_numbers: T = gradient);

    // The gradient before the activation; rows in pieces of a fixed size.
    let mut before = Vec::new();
    let dz: &[T] = if activation == Activation::Linear {
        gradient_numbers
    } else {
        let piece = 32 * units;
        before = filled(gradient_numbers.len(), piece, |index, dz| {
            let part = index * piece..index * piece + dz.len();
            dz.copy_from_slice(&gradient_numbers[part.clone()]);
            apply_gradient(dz, &[], &y_numbers[part], units, activation);
        });
        &before
    };

    let bias_gradient = || {
        let mut db = vec![T::zero(); units];
        // Columns may be shared out among threads, rows are always added from the first to the last.
        db.par_chunks_mut(256).enumerate().for_each(|(piece, db)| {
            let start = piece * 256;
            for row in dz.chunks_exact(units) {
                add(db, &row[start..start + db.len()]);
            }
        });
        db
    };
    let of_sums = View::rows(dz, rows, units);
    let kernel_gradient = || {
        parallel_product(
            precision,
            View::rows(x_numbers, rows, inputs).transposed(),
            of_sums,
            |_, _| {},
        )
    };
    let x_gradient = || {
        parallel_product(
            precision,
            of_sums,
            View::rows(kernel_numbers, inputs, units).transposed(),
            |_, _| {},
        )
    };
    // Asked for here: only this thread knows of the record that may be under way.
    let wanted = (
        wants_gradient(kernel),
        wants_gradient(x),
        bias.is_some_and(wants_gradient),
    );
    if wanted.0 && tiles::gives_pieces::<T>(precision, (inputs, rows, units)) && defers(kernel) {
        let (dx, db) = rayon::join(|| wanted.1.then(x_gradient), || wanted.2.then(bias_gradient));
        let of_sums = match activation {
            Activation::Linear => gradient.contiguous()?,
            _ => tensor_like(before, y)?,
        };
        defer(Deferred {
            weight: kernel.clone(),
            x: x.contiguous()?,
            of_sums,
            precision,
        });
        let like = |gradient: Option<Vec<T>>, of: &Tensor| gradient.map(|data| tensor_like(data, of)).transpose();
        return Ok((
            like(dx, x)?,
            None,
            bias.map(|bias| like(db, bias)).transpose()?.flatten(),
        ));
    }
    // Together, so that the threads wait for each other once.
    let (dw, (dx, db)) = rayon::join(
        || wanted.0.then(kernel_gradient),
        || rayon::join(|| wanted.1.then(x_gradient), || wanted.2.then(bias_gradient)),
    );
    let like = |gradient: Option<Vec<T>>, of: &Tensor| gradient.map(|data| tensor_like(data, of)).transpose();
    Ok((
        like(dx, x)?,
        like(dw, kernel)?,
        match bias {
            Some(bias) => like(db, bias)?,
            None => None,
        },
    ))
}

/// `x^T dz`, the gradient of a kernel.
pub(crate) fn kernel_gradient(x: &Tensor, of_sums: &Tensor, precision: MatmulPrecision) -> Result<Tensor> {
    fn product<T: Real>(x: &Tensor, of_sums: &Tensor, precision: MatmulPrecision) -> Result<Tensor> {
        let ((rows, inputs), units) = (x.dims2()?, of_sums.dim(1)?);
        numbers!(x_numbers: T = x);
        numbers!(dz: T = of_sums);
        let left = View::rows(x_numbers, rows, inputs).transposed();
        let product = parallel_product(precision, left, View::rows(dz, rows, units), |_, _| {});
        Tensor::from_vec(product, (inputs, units), x.device())
    }
    for_real!(x.dtype(), "linear", product::<T>(x, of_sums, precision))
}

/// [`kernel_gradient`] in pieces of [`tiles::ROWS_OF_PIECE`] rows, where [`tiles::gives_pieces`] says that there are some.
pub(crate) fn kernel_gradient_in_pieces(
    x: &Tensor,
    of_sums: &Tensor,
    precision: MatmulPrecision,
    prepare: &(dyn Fn(usize) + Sync),
    take: &(dyn Fn(usize, &[f32]) + Sync),
) -> Result<()> {
    let ((rows, inputs), units) = (x.dims2()?, of_sums.dim(1)?);
    numbers!(x_numbers: f32 = x);
    numbers!(dz: f32 = of_sums);
    let left = View::rows(x_numbers, rows, inputs).transposed();
    tiles::product_in_pieces(precision, left, View::rows(dz, rows, units), prepare, take);
    Ok(())
}

impl CustomOp2 for Op {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(&self, x: &CpuStorage, lx: &Layout, k: &CpuStorage, lk: &Layout) -> Result<(CpuStorage, Shape)> {
        for_real!(x.dtype(), "linear", forward::<T>(self, (x, lx), (k, lk), None))
    }

    fn bwd(&self, x: &Tensor, kernel: &Tensor, y: &Tensor, dy: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (dx, dw, _) = for_real!(x.dtype(), "linear", backward::<T>(self, x, kernel, None, y, dy))?;
        Ok((dx, dw))
    }
}

impl CustomOp3 for Op {
    fn name(&self) -> &'static str {
        "linear"
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
        for_real!(x.dtype(), "linear", forward::<T>(self, (x, lx), (k, lk), Some((b, lb))))
    }

    fn bwd(&self, x: &Tensor, kernel: &Tensor, bias: &Tensor, y: &Tensor, dy: &Tensor) -> Result<Gradients> {
        for_real!(x.dtype(), "linear", backward::<T>(self, x, kernel, Some(bias), y, dy))
    }
}
