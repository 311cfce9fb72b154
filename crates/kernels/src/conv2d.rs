//! Convolution of images whose channels come last.

use candle_core::Tensor;

use crate::activation::{Activation, activation as apply};
use crate::depthwise::{DepthwiseConv2dOptions, depthwise_conv2d};
use crate::error::{Error, Result, expect_dtype, expect_float, expect_shape, shape_error};
use crate::pooling::{Pool2dOptions, max_pool2d};
use crate::window::{Padding, Window};
use crate::{composed, cpu, tape};

/// From so many images on each thread has images of its own, and what belongs to one stays in its cache from operation to operation.
const MANY_IMAGES: usize = 16;

/// The options of [`conv2d`], with Keras' names and defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv2dOptions {
    /// Steps of the kernel along height and width.
    pub strides: [usize; 2],
    /// What happens at the border.
    pub padding: Padding,
    /// Distance of the kernel's taps along height and width.
    pub dilation: [usize; 2],
    /// Number of groups into which the channels are divided; as many groups as channels is a depthwise convolution.
    pub groups: usize,
    /// Applied to the result.
    pub activation: Activation,
}

impl Default for Conv2dOptions {
    fn default() -> Self {
        Self {
            strides: [1, 1],
            padding: Padding::Valid,
            dilation: [1, 1],
            groups: 1,
            activation: Activation::Linear,
        }
    }
}

/// $y_{n i j f} = g(b_f + \sum_{u v c} x_{n,\, i s + u d - p,\, j s + v d - p,\, c} K_{u v c f})$: Keras' `Conv2D`.
///
/// `x` has the shape `(batch, height, width, channels)`, `kernel` `(kernel height, kernel width, channels / groups,
/// filters)`, `bias` `(filters)`, the result `(batch, out height, out width, filters)`. Strides and dilation may both be
/// larger than 1. No gradient of `x` is computed where `x` descends from no variable.
///
/// # Errors
/// If the shapes do not fit, the channels or filters cannot be divided into the groups, or the kernel does not fit an
/// image with [`Padding::Valid`].
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use kernels::{Conv2dOptions, Padding, conv2d};
///
/// let x = Tensor::ones((1, 4, 4, 1), DType::F32, &Device::Cpu)?;
/// let kernel = Tensor::ones((3, 3, 1, 2), DType::F32, &Device::Cpu)?;
/// let options = Conv2dOptions { padding: Padding::Same, ..Default::default() };
/// let y = conv2d(&x, &kernel, None, &options)?;
/// assert_eq!(y.dims(), [1, 4, 4, 2]);
/// assert_eq!(y.flatten_all()?.to_vec1::<f32>()?[..4], [4.0, 4.0, 6.0, 6.0]); // 2 x 2 pixels under the corner, then 2 x 3
/// # Ok::<(), kernels::Error>(())
/// ```
pub fn conv2d(x: &Tensor, kernel: &Tensor, bias: Option<&Tensor>, options: &Conv2dOptions) -> Result<Tensor> {
    let window = window("conv2d", x, kernel, bias, options)?;
    let (channels, filters) = (x.dims()[3], kernel.dims()[3]);
    if options.groups == channels && channels > 1 {
        // Another way to write it, for which there are loops of its own.
        let options = DepthwiseConv2dOptions {
            strides: options.strides,
            padding: options.padding,
            dilation: options.dilation,
            activation: options.activation,
        };
        let [height, width] = [kernel.dims()[0], kernel.dims()[1]];
        let kernel = tape::reshape(kernel, (height, width, channels, filters / channels))?;
        return depthwise_conv2d(x, &kernel, bias, &options);
    }
    if composed::is_fused(x) && window.sees_single_pixels() && options.groups == 1 && x.dims()[0] < MANY_IMAGES {
        // A dense layer at every pixel: plain products, whose gradients are plain products, too, which share out few images better.
        let pixels = tape::reshape(x, (x.elem_count() / channels, channels))?;
        let kernel = tape::reshape(kernel, (channels, filters))?;
        let y = cpu::linear(&pixels, &kernel, bias, options.activation)?;
        let [batch, height, width] = [0, 1, 2].map(|axis| x.dims()[axis]);
        return tape::reshape(&y, (batch, height, width, filters));
    }
    if composed::is_fused(x) {
        return Ok(cpu::conv2d(
            x,
            kernel,
            bias,
            &window,
            options.groups,
            options.activation,
        )?);
    }
    apply(
        &composed::conv2d(x, kernel, bias, &window, options.groups)?,
        options.activation,
    )
}

/// [`max_pool2d`] of [`conv2d`] in one operation: Keras' `Conv2D` with a `MaxPooling2D` behind it.
///
/// The numbers are those of the two operations to the bit. Where it can be (on a CPU, at stride 1, without groups, with pools that neither
/// overlap nor hang over the border, and an activation whose derivative follows from its value), an image's outputs are pooled while they
/// are in the cache and never written to memory: only the maxima and their places are, a quarter of the outputs for pools of 2 x 2.
/// Elsewhere the two operations are called.
///
/// # Errors
/// Those of the two operations.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use kernels::{Conv2dOptions, Pool2dOptions, conv2d, conv2d_max_pool2d, max_pool2d};
///
/// let x = Tensor::arange(0f32, 36.0, &Device::Cpu)?.reshape((1, 6, 6, 1))?;
/// let kernel = Tensor::ones((3, 3, 1, 2), DType::F32, &Device::Cpu)?;
/// let (options, pool) = (Conv2dOptions::default(), Pool2dOptions::default());
/// let y = conv2d_max_pool2d(&x, &kernel, None, &options, &pool)?;
/// assert_eq!(y.dims(), [1, 2, 2, 2]);
/// let two = max_pool2d(&conv2d(&x, &kernel, None, &options)?, &pool)?;
/// assert_eq!(y.flatten_all()?.to_vec1::<f32>()?, two.flatten_all()?.to_vec1::<f32>()?);
/// # Ok::<(), kernels::Error>(())
/// ```
pub fn conv2d_max_pool2d(
    x: &Tensor,
    kernel: &Tensor,
    bias: Option<&Tensor>,
    options: &Conv2dOptions,
    pool: &Pool2dOptions,
) -> Result<Tensor> {
    let window = window("conv2d", x, kernel, bias, options)?;
    let pools = Window::new(
        "max_pool2d",
        [window.rows.output, window.columns.output],
        pool.pool_size,
        pool.strides,
        [1, 1],
        pool.padding,
    )?;
    if composed::is_fused(x)
        && options.groups == 1
        && let Some(y) = cpu::conv2d_max_pool2d(x, kernel, bias, &window, options.activation, &pools)?
    {
        return Ok(y);
    }
    max_pool2d(&conv2d(x, kernel, bias, options)?, pool)
}

/// Checks the arguments.
fn window(
    op: &'static str,
    x: &Tensor,
    kernel: &Tensor,
    bias: Option<&Tensor>,
    options: &Conv2dOptions,
) -> Result<Window> {
    expect_float(op, "x", x)?;
    expect_dtype(op, "kernel", x.dtype(), kernel)?;
    let &[_, height, width, channels] = x.dims() else {
        return Err(shape_error(op, "x", "(batch, height, width, channels)", x));
    };
    let &[kernel_height, kernel_width, group_channels, filters] = kernel.dims() else {
        return Err(shape_error(
            op,
            "kernel",
            "(kernel height, kernel width, channels / groups, filters)",
            kernel,
        ));
    };
    let groups = options.groups;
    if groups == 0 || channels % groups != 0 || filters % groups != 0 {
        return Err(Error::Option {
            op,
            option: "groups",
            expected: format!("a divisor of the {channels} channels and of the {filters} filters"),
            found: groups.to_string(),
        });
    }
    if group_channels != channels / groups {
        let expected = format!("({kernel_height}, {kernel_width}, {}, {filters})", channels / groups);
        return Err(shape_error(op, "kernel", expected, kernel));
    }
    if let Some(bias) = bias {
        expect_dtype(op, "bias", x.dtype(), bias)?;
        expect_shape(op, "bias", &[filters], bias)?;
    }
    let taps = [kernel_height, kernel_width];
    if x.elem_count() == 0 || kernel.elem_count() == 0 {
        return Err(shape_error(
            op,
            "x",
            "(batch, height, width, channels) with no dimension of size 0",
            x,
        ));
    }
    Window::new(
        op,
        [height, width],
        taps,
        options.strides,
        options.dilation,
        options.padding,
    )
}
