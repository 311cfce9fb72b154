//! Convolution of sequences and volumes, made of the convolution of images.

use candle_core::{DType, Tensor};

use crate::activation::{Activation, activation as apply};
use crate::composed::volume::strided;
use crate::error::{Error, Result, expect_dtype, expect_float, expect_shape, shape_error};
use crate::window::{Axis, Padding};
use crate::{Conv2dOptions, conv2d, tape};

/// The options of a convolution over `N` sides, with Keras' names and defaults; images have [`Conv2dOptions`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvOptions<const N: usize> {
    /// Steps of the kernel along each side.
    pub strides: [usize; N],
    /// What happens at the border.
    pub padding: Padding,
    /// Distance of the kernel's taps along each side.
    pub dilation: [usize; N],
    /// Number of groups into which the channels are divided.
    pub groups: usize,
    /// Applied to the result.
    pub activation: Activation,
}

impl<const N: usize> Default for ConvOptions<N> {
    fn default() -> Self {
        Self {
            strides: [1; N],
            padding: Padding::Valid,
            dilation: [1; N],
            groups: 1,
            activation: Activation::Linear,
        }
    }
}

/// The options of [`conv1d`].
pub type Conv1dOptions = ConvOptions<1>;
/// The options of [`conv3d`].
pub type Conv3dOptions = ConvOptions<3>;

/// $y_{n i f} = g(b_f + \sum_{u c} x_{n,\, i s + u d - p,\, c} K_{u c f})$: Keras' `Conv1D`.
///
/// `x` has the shape `(batch, steps, channels)`, `kernel` `(kernel length, channels / groups, filters)`, `bias` `(filters)`,
/// the result `(batch, out steps, filters)`. [`Padding::Causal`] lets no output see a later step (van den Oord et al. 2016,
/// *WaveNet*); of [`Padding::Explicit`] the second pair counts.
///
/// # Errors
/// As [`conv2d`].
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use kernels::{Conv1dOptions, Padding, conv1d};
///
/// let x = Tensor::new(&[1.0f32, 2.0, 4.0], &Device::Cpu)?.reshape((1, 3, 1))?;
/// let kernel = Tensor::ones((2, 1, 1), DType::F32, &Device::Cpu)?;
/// let options = Conv1dOptions { padding: Padding::Causal, ..Default::default() };
/// assert_eq!(conv1d(&x, &kernel, None, &options)?.flatten_all()?.to_vec1::<f32>()?, [1.0, 3.0, 6.0]);
/// # Ok::<(), kernels::Error>(())
/// ```
pub fn conv1d(x: &Tensor, kernel: &Tensor, bias: Option<&Tensor>, options: &Conv1dOptions) -> Result<Tensor> {
    const OP: &str = "conv1d";
    if x.rank() != 3 {
        return Err(shape_error(OP, "x", "(batch, steps, channels)", x));
    }
    if kernel.rank() != 3 {
        return Err(shape_error(
            OP,
            "kernel",
            "(kernel length, channels / groups, filters)",
            kernel,
        ));
    }
    let image = Conv2dOptions {
        strides: [1, options.strides[0]],
        padding: match options.padding {
            Padding::Explicit([_, pair]) => Padding::Explicit([[0, 0], pair]),
            other => other,
        },
        dilation: [1, options.dilation[0]],
        groups: options.groups,
        activation: options.activation,
    };
    let as_image = |tensor: &Tensor, place: usize| -> Result<Tensor> {
        let mut dims = tensor.dims().to_vec();
        dims.insert(place, 1);
        tape::reshape(tensor, dims)
    };
    let y = conv2d(&as_image(x, 1)?, &as_image(kernel, 0)?, bias, &image)?;
    let (batch, _, steps, filters) = y.dims4()?;
    tape::reshape(&y, (batch, steps, filters))
}

/// The convolution of volumes: Keras' `Conv3D`.
///
/// `x` has the shape `(batch, depth, height, width, channels)`, `kernel` `(kernel depth, kernel height, kernel width,
/// channels / groups, filters)`, `bias` `(filters)`, the result `(batch, out depth, out height, out width, filters)`.
/// Computed as a sum of [`conv2d`] over the kernel's depth.
///
/// # Errors
/// As [`conv2d`]; [`Padding::Explicit`] is for images and sequences.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use kernels::{Conv3dOptions, conv3d};
///
/// let x = Tensor::ones((1, 3, 3, 3, 1), DType::F32, &Device::Cpu)?;
/// let kernel = Tensor::ones((2, 2, 2, 1, 1), DType::F32, &Device::Cpu)?;
/// let y = conv3d(&x, &kernel, None, &Conv3dOptions::default())?;
/// assert_eq!(y.dims(), [1, 2, 2, 2, 1]);
/// assert_eq!(y.flatten_all()?.to_vec1::<f32>()?, [8.0; 8]);
/// # Ok::<(), kernels::Error>(())
/// ```
pub fn conv3d(x: &Tensor, kernel: &Tensor, bias: Option<&Tensor>, options: &Conv3dOptions) -> Result<Tensor> {
    const OP: &str = "conv3d";
    const EXPECTED: &str = "(batch, depth, height, width, channels) with no dimension of size 0";
    expect_float(OP, "x", x)?;
    expect_dtype(OP, "kernel", x.dtype(), kernel)?;
    let (&[batch, depth, height, width, channels], true) = (x.dims(), x.elem_count() > 0) else {
        return Err(shape_error(OP, "x", EXPECTED, x));
    };
    let &[taps, _, _, _, filters] = kernel.dims() else {
        let expected = "(kernel depth, kernel height, kernel width, channels / groups, filters)";
        return Err(shape_error(OP, "kernel", expected, kernel));
    };
    expect_bias(OP, bias, filters, x.dtype())?;
    if let Padding::Explicit(_) = options.padding {
        return Err(Error::Option {
            op: OP,
            option: "padding",
            expected: "valid, same or causal (pad the volume with zeros for anything else)".into(),
            found: format!("{:?}", options.padding),
        });
    }
    let axis = Axis::new(
        OP,
        "depth",
        depth,
        taps,
        options.strides[0],
        options.dilation[0],
        options.padding,
    )?;
    let image = Conv2dOptions {
        strides: [options.strides[1], options.strides[2]],
        padding: options.padding,
        dilation: [options.dilation[1], options.dilation[2]],
        groups: options.groups,
        activation: Activation::Linear,
    };
    tape::composed_of_all(&[Some(x), Some(kernel), bias], |inputs| {
        let (x, kernel, bias) = (&inputs[0], &inputs[1], inputs.get(2));
        let padded = x.pad_with_zeros(1, axis.before, axis.after)?;
        let mut sum: Option<Tensor> = None;
        for tap in 0..taps {
            let slices = strided(&padded, 1, tap * axis.dilation, axis.output, axis.stride)?
                .contiguous()?
                .reshape((batch * axis.output, height, width, channels))?;
            // The bias comes once.
            let bias = bias.filter(|_| tap == 0);
            let term = conv2d(&slices, &kernel.narrow(0, tap, 1)?.squeeze(0)?, bias, &image)?;
            sum = Some(match sum {
                Some(sum) => (sum + term)?,
                None => term,
            });
        }
        let sum = sum.ok_or_else(|| shape_error(OP, "kernel", "a kernel of at least one tap", kernel))?;
        let (_, height, width, filters) = sum.dims4()?;
        apply(
            &sum.reshape((batch, axis.output, height, width, filters))?,
            options.activation,
        )
    })
}

/// Refuses a bias that has not one number a filter.
pub(crate) fn expect_bias(op: &'static str, bias: Option<&Tensor>, filters: usize, dtype: DType) -> Result<()> {
    let Some(bias) = bias else { return Ok(()) };
    expect_dtype(op, "bias", dtype, bias)?;
    expect_shape(op, "bias", &[filters], bias)
}
