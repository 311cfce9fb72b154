//! Convolution of images whose channels come last.

use candle_core::Tensor;

use crate::activation::{Activation, activation as apply};
use crate::error::{Error, Result, expect_dtype, expect_float, expect_shape, shape_error};
use crate::window::{Padding, Window};
use crate::{composed, cpu};

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
    const OP: &str = "conv2d";
    expect_float(OP, "x", x)?;
    expect_dtype(OP, "kernel", x.dtype(), kernel)?;
    let &[_, height, width, channels] = x.dims() else {
        return Err(shape_error(OP, "x", "(batch, height, width, channels)", x));
    };
    let &[kernel_height, kernel_width, group_channels, filters] = kernel.dims() else {
        return Err(shape_error(
            OP,
            "kernel",
            "(kernel height, kernel width, channels / groups, filters)",
            kernel,
        ));
    };
    let groups = options.groups;
    if groups == 0 || channels % groups != 0 || filters % groups != 0 {
        return Err(Error::Option {
            op: OP,
            option: "groups",
            expected: format!("a divisor of the {channels} channels and of the {filters} filters"),
            found: groups.to_string(),
        });
    }
    if group_channels != channels / groups {
        let expected = format!("({kernel_height}, {kernel_width}, {}, {filters})", channels / groups);
        return Err(shape_error(OP, "kernel", expected, kernel));
    }
    if let Some(bias) = bias {
        expect_dtype(OP, "bias", x.dtype(), bias)?;
        expect_shape(OP, "bias", &[filters], bias)?;
    }
    let taps = [kernel_height, kernel_width];
    let window = Window::new(
        OP,
        [height, width],
        taps,
        options.strides,
        options.dilation,
        options.padding,
    )?;
    if x.elem_count() == 0 || kernel.elem_count() == 0 {
        return Err(shape_error(
            OP,
            "x",
            "(batch, height, width, channels) with no dimension of size 0",
            x,
        ));
    }
    if composed::is_fused(x) {
        return Ok(cpu::conv2d(x, kernel, bias, &window, groups, options.activation)?);
    }
    apply(&composed::conv2d(x, kernel, bias, &window, groups)?, options.activation)
}
