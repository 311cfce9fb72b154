//! The fully connected layer in one operation.

use candle_core::{D, Tensor};

use crate::activation::{Activation, activation as apply};
use crate::error::{Result, expect_dtype, expect_float, expect_shape, shape_error};
use crate::{composed, cpu, tape};

/// $y = f(x K + b)$: Keras' `Dense`, with the bias and the activation applied while the product is in the cache.
///
/// `x` has the shape `(batch, inputs)` (or more leading dimensions), `kernel` `(inputs, units)`, `bias` `(units)`; the
/// result has `x`'s shape with `units` in the last place. No gradient of `x` is computed where `x` descends from no variable.
///
/// # Errors
/// If the shapes do not fit, or the types of the tensors differ.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use kernels::{Activation, linear};
///
/// let x = Tensor::new(&[[1.0f32, 2.0]], &Device::Cpu)?;
/// let kernel = Tensor::new(&[[1.0f32, -1.0], [1.0, -1.0]], &Device::Cpu)?;
/// let bias = Tensor::new(&[0.5f32, 0.5], &Device::Cpu)?;
/// let y = linear(&x, &kernel, Some(&bias), Activation::Relu)?;
/// assert_eq!(y.to_vec2::<f32>()?, [[3.5, 0.0]]);
/// # Ok::<(), kernels::Error>(())
/// ```
pub fn linear(x: &Tensor, kernel: &Tensor, bias: Option<&Tensor>, activation: Activation) -> Result<Tensor> {
    const OP: &str = "linear";
    expect_float(OP, "x", x)?;
    expect_dtype(OP, "kernel", x.dtype(), kernel)?;
    if kernel.rank() != 2 {
        return Err(shape_error(OP, "kernel", "(inputs, units)", kernel));
    }
    let (inputs, units) = (kernel.dims()[0], kernel.dims()[1]);
    if x.rank() < 2 || x.dim(D::Minus1)? != inputs {
        return Err(shape_error(OP, "x", format!("(batch, {inputs})"), x));
    }
    if let Some(bias) = bias {
        expect_dtype(OP, "bias", x.dtype(), bias)?;
        expect_shape(OP, "bias", &[units], bias)?;
    }
    let rows = x
        .elem_count()
        .checked_div(inputs)
        .unwrap_or_else(|| x.dims()[..x.rank() - 1].iter().product());
    let flat = if x.rank() == 2 {
        x.clone()
    } else {
        tape::reshape(x, (rows, inputs))?
    };
    let y = if composed::is_fused(x) && rows * inputs * units > 0 {
        cpu::linear(&flat, kernel, bias, activation)?
    } else {
        apply(&composed::linear(&flat, kernel, bias)?, activation)?
    };
    if x.rank() == 2 {
        return Ok(y);
    }
    let mut dims = x.dims().to_vec();
    dims[x.rank() - 1] = units;
    tape::reshape(&y, dims)
}
