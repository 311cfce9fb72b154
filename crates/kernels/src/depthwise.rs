//! Depthwise convolution, and the separable convolution made of it.

use candle_core::Tensor;

use crate::activation::{Activation, activation as apply};
use crate::convolution::expect_bias;
use crate::error::{Result, expect_dtype, expect_float, shape_error};
use crate::window::{Padding, Window};
use crate::{Conv2dOptions, composed, conv2d, cpu, tape};

/// The options of [`depthwise_conv2d`] and [`separable_conv2d`], with Keras' names and defaults.
///
/// The number of kernels a channel, Keras' `depth_multiplier`, is the last size of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DepthwiseConv2dOptions {
    /// Steps of the kernel along height and width.
    pub strides: [usize; 2],
    /// What happens at the border.
    pub padding: Padding,
    /// Distance of the kernel's taps along height and width.
    pub dilation: [usize; 2],
    /// Applied to the result.
    pub activation: Activation,
}

impl Default for DepthwiseConv2dOptions {
    fn default() -> Self {
        Self {
            strides: [1, 1],
            padding: Padding::Valid,
            dilation: [1, 1],
            activation: Activation::Linear,
        }
    }
}

/// $y_{n i j,\, c M + m} = g(b_{c M + m} + \sum_{u v} x_{n,\, i s + u d - p,\, j s + v d - p,\, c} K_{u v c m})$: Keras'
/// `DepthwiseConv2D`.
///
/// `x` has the shape `(batch, height, width, channels)`, `kernel` `(kernel height, kernel width, channels, multiplier)`, `bias`
/// `(channels * multiplier)`, the result `(batch, out height, out width, channels * multiplier)`. Sequences are images of
/// height 1.
///
/// # Errors
/// If the shapes or types do not fit, or the kernel does not fit an image with [`Padding::Valid`].
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use kernels::{DepthwiseConv2dOptions, depthwise_conv2d};
///
/// let x = Tensor::new(&[1.0f32, 10.0, 2.0, 20.0], &Device::Cpu)?.reshape((1, 1, 2, 2))?; // two pixels, two channels
/// let kernel = Tensor::new(&[1.0f32, 1.0, 2.0, 2.0], &Device::Cpu)?.reshape((1, 2, 2, 1))?;
/// let y = depthwise_conv2d(&x, &kernel, None, &DepthwiseConv2dOptions::default())?;
/// assert_eq!(y.flatten_all()?.to_vec1::<f32>()?, [5.0, 50.0]);
/// # Ok::<(), kernels::Error>(())
/// ```
pub fn depthwise_conv2d(
    x: &Tensor,
    kernel: &Tensor,
    bias: Option<&Tensor>,
    options: &DepthwiseConv2dOptions,
) -> Result<Tensor> {
    const OP: &str = "depthwise_conv2d";
    expect_float(OP, "x", x)?;
    expect_dtype(OP, "kernel", x.dtype(), kernel)?;
    let (&[_, height, width, channels], true) = (x.dims(), x.elem_count() > 0) else {
        let expected = "(batch, height, width, channels) with no dimension of size 0";
        return Err(shape_error(OP, "x", expected, x));
    };
    let multiplier = match *kernel.dims() {
        [_, _, kernel_channels, multiplier] if kernel_channels == channels && kernel.elem_count() > 0 => multiplier,
        _ => {
            let expected = format!("(kernel height, kernel width, {channels}, multiplier) with no dimension of size 0");
            return Err(shape_error(OP, "kernel", expected, kernel));
        }
    };
    let (rows, columns, outputs) = (kernel.dims()[0], kernel.dims()[1], channels * multiplier);
    expect_bias(OP, bias, outputs, x.dtype())?;
    let window = Window::new(
        OP,
        [height, width],
        [rows, columns],
        options.strides,
        options.dilation,
        options.padding,
    )?;
    let copies = copies(x, multiplier)?;
    let kernel = tape::reshape(kernel, (rows, columns, outputs))?;
    if composed::is_fused(x) {
        return Ok(cpu::depthwise(&copies, &kernel, bias, &window, options.activation)?);
    }
    let y = composed::volume::depthwise(&copies, &kernel, bias, &window)?;
    apply(&y, options.activation)
}

/// With several kernels a channel, each works on a copy of its own.
fn copies(x: &Tensor, multiplier: usize) -> Result<Tensor> {
    if multiplier == 1 {
        return Ok(x.clone());
    }
    let &[batch, height, width, channels] = x.dims() else {
        return Ok(x.clone());
    };
    let repeated = |x: &[Tensor]| -> Result<Vec<Tensor>> {
        let copies = x[0]
            .unsqueeze(4)?
            .broadcast_as((batch, height, width, channels, multiplier))?
            .contiguous()?;
        Ok(vec![copies.reshape((batch, height, width, channels * multiplier))?])
    };
    Ok(tape::composed(std::slice::from_ref(x), repeated)?.swap_remove(0))
}

/// A depthwise convolution, then one of 1 x 1 that mixes the channels: Keras' `SeparableConv2D` (Chollet 2017, *Xception*).
///
/// `depthwise_kernel` has the shape `(kernel height, kernel width, channels, multiplier)`, `pointwise_kernel` `(1, 1, channels *
/// multiplier, filters)`, `bias` `(filters)`; bias and activation come after the second step.
///
/// # Errors
/// As [`depthwise_conv2d`] and [`conv2d`].
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use kernels::{DepthwiseConv2dOptions, separable_conv2d};
///
/// let x = Tensor::ones((1, 5, 5, 2), DType::F32, &Device::Cpu)?;
/// let depthwise = Tensor::ones((3, 3, 2, 1), DType::F32, &Device::Cpu)?;
/// let pointwise = Tensor::ones((1, 1, 2, 4), DType::F32, &Device::Cpu)?;
/// let y = separable_conv2d(&x, &depthwise, &pointwise, None, &DepthwiseConv2dOptions::default())?;
/// assert_eq!(y.dims(), [1, 3, 3, 4]);
/// assert_eq!(y.flatten_all()?.to_vec1::<f32>()?[0], 18.0);
/// # Ok::<(), kernels::Error>(())
/// ```
pub fn separable_conv2d(
    x: &Tensor,
    depthwise_kernel: &Tensor,
    pointwise_kernel: &Tensor,
    bias: Option<&Tensor>,
    options: &DepthwiseConv2dOptions,
) -> Result<Tensor> {
    let linear = DepthwiseConv2dOptions {
        activation: Activation::Linear,
        ..*options
    };
    let between = depthwise_conv2d(x, depthwise_kernel, None, &linear)?;
    let mix = Conv2dOptions {
        activation: options.activation,
        ..Default::default()
    };
    conv2d(&between, pointwise_kernel, bias, &mix)
}
