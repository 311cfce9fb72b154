//! Transposed convolution: the gradient of a convolution as an operation of its own, which makes images larger.

use candle_core::Tensor;

use crate::activation::{Activation, activation as apply};
use crate::convolution::expect_bias;
use crate::error::{Error, Result, expect_dtype, expect_float, shape_error};
use crate::window::{Axis, Padding};
use crate::{composed, cpu, linear, tape};

/// The options of a transposed convolution over `N` sides, with Keras' names and defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvTransposeOptions<const N: usize> {
    /// Distance of the places where neighbouring pixels of the input go.
    pub strides: [usize; N],
    /// [`Padding::Valid`] keeps everything, [`Padding::Same`] cuts the result to the input's size times the stride.
    pub padding: Padding,
    /// Pixels added at the end of each side; with `None` the size is what Keras chooses, see [`conv2d_transpose`].
    pub output_padding: Option<[usize; N]>,
    /// Distance of the kernel's taps.
    pub dilation: [usize; N],
    /// Applied to the result.
    pub activation: Activation,
}

impl<const N: usize> Default for ConvTransposeOptions<N> {
    fn default() -> Self {
        Self {
            strides: [1; N],
            padding: Padding::Valid,
            output_padding: None,
            dilation: [1; N],
            activation: Activation::Linear,
        }
    }
}

/// Numbers in the patches of some images together, at most. In inference the memory does not grow with the batch; in training
/// the patches of all images are kept for the gradient of the kernel.
const PATCHES: usize = 1 << 24;
/// Numbers in the result, at most.
const LARGEST: u64 = 1 << 32;

/// Keras' `Conv1DTranspose`: [`conv2d_transpose`] for sequences.
///
/// `x` has the shape `(batch, steps, channels)`, `kernel` `(kernel length, filters, channels)`.
///
/// # Errors
/// As [`conv2d_transpose`].
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use kernels::{ConvTransposeOptions, conv1d_transpose};
///
/// let x = Tensor::new(&[1.0f32, 2.0], &Device::Cpu)?.reshape((1, 2, 1))?;
/// let kernel = Tensor::ones((2, 1, 1), DType::F32, &Device::Cpu)?;
/// let y = conv1d_transpose(&x, &kernel, None, &ConvTransposeOptions::default())?;
/// assert_eq!(y.flatten_all()?.to_vec1::<f32>()?, [1.0, 3.0, 2.0]);
/// # Ok::<(), kernels::Error>(())
/// ```
pub fn conv1d_transpose(
    x: &Tensor,
    kernel: &Tensor,
    bias: Option<&Tensor>,
    options: &ConvTransposeOptions<1>,
) -> Result<Tensor> {
    transposed("conv1d_transpose", x, kernel, bias, options)
}

/// $y_{n,\, i s + u d - p,\, j s + v d - p,\, f} \mathrel{+}= x_{n i j c} K_{u v f c}$, then bias and activation: Keras'
/// `Conv2DTranspose`.
///
/// `x` has the shape `(batch, height, width, channels)`, `kernel` `(kernel height, kernel width, filters, channels)`, `bias`
/// `(filters)`, the result `(batch, out height, out width, filters)`. With n pixels, stride s and a kernel that spans k pixels,
/// a side of the result has `n s + max(k - s, 0)` pixels with [`Padding::Valid`] and `n s` with [`Padding::Same`]; with an
/// `output_padding` o these are `(n - 1) s + k + o` and `(n - 1) s + k - 2 ⌊k / 2⌋ + o`. Pixels that no tap reaches hold
/// the bias.
///
/// # Errors
/// If the shapes or types do not fit, a size is 0 or the result would be enormous, or the padding is another one.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use kernels::{ConvTransposeOptions, Padding, conv2d_transpose};
///
/// let x = Tensor::ones((1, 2, 2, 3), DType::F32, &Device::Cpu)?;
/// let kernel = Tensor::ones((3, 3, 4, 3), DType::F32, &Device::Cpu)?;
/// let options = ConvTransposeOptions { strides: [2, 2], padding: Padding::Same, ..Default::default() };
/// assert_eq!(conv2d_transpose(&x, &kernel, None, &options)?.dims(), [1, 4, 4, 4]);
/// # Ok::<(), kernels::Error>(())
/// ```
pub fn conv2d_transpose(
    x: &Tensor,
    kernel: &Tensor,
    bias: Option<&Tensor>,
    options: &ConvTransposeOptions<2>,
) -> Result<Tensor> {
    transposed("conv2d_transpose", x, kernel, bias, options)
}

/// Keras' `Conv3DTranspose`: [`conv2d_transpose`] for volumes.
///
/// `x` has the shape `(batch, depth, height, width, channels)`, `kernel` `(kernel depth, kernel height, kernel width, filters,
/// channels)`.
///
/// # Errors
/// As [`conv2d_transpose`].
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use kernels::{ConvTransposeOptions, conv3d_transpose};
///
/// let x = Tensor::ones((1, 1, 1, 1, 1), DType::F32, &Device::Cpu)?;
/// let kernel = Tensor::ones((2, 3, 4, 1, 1), DType::F32, &Device::Cpu)?;
/// assert_eq!(conv3d_transpose(&x, &kernel, None, &ConvTransposeOptions::default())?.dims(), [1, 2, 3, 4, 1]);
/// # Ok::<(), kernels::Error>(())
/// ```
pub fn conv3d_transpose(
    x: &Tensor,
    kernel: &Tensor,
    bias: Option<&Tensor>,
    options: &ConvTransposeOptions<3>,
) -> Result<Tensor> {
    transposed("conv3d_transpose", x, kernel, bias, options)
}

/// Names of the sides, the last `N` of which an operation has.
const SIDES: [&str; 3] = ["depth", "height", "width"];

fn transposed<const N: usize>(
    op: &'static str,
    x: &Tensor,
    kernel: &Tensor,
    bias: Option<&Tensor>,
    options: &ConvTransposeOptions<N>,
) -> Result<Tensor> {
    let names = SIDES[3 - N..].join(", ");
    expect_float(op, "x", x)?;
    expect_dtype(op, "kernel", x.dtype(), kernel)?;
    if x.rank() != N + 2 || x.elem_count() == 0 {
        let expected = format!("(batch, {names}, channels) with no dimension of size 0");
        return Err(shape_error(op, "x", expected, x));
    }
    let (batch, channels) = (x.dims()[0], x.dims()[N + 1]);
    if kernel.rank() != N + 2 || kernel.elem_count() == 0 || kernel.dims()[N + 1] != channels {
        let expected = format!("(sides of the kernel: {names}, filters, {channels}) with no dimension of size 0");
        return Err(shape_error(op, "kernel", expected, kernel));
    }
    let filters = kernel.dims()[N];
    expect_bias(op, bias, filters, x.dtype())?;

    // Images are volumes of depth 1, sequences images of height 1.
    let missing = 3 - N;
    let mut axes = [Axis::transposed(op, 1, [1, 1, 1], Padding::Valid, None)?; 3];
    for side in 0..N {
        axes[missing + side] = Axis::transposed(
            op,
            x.dims()[1 + side],
            [kernel.dims()[side], options.strides[side], options.dilation[side]],
            options.padding,
            options.output_padding.map(|extra| extra[side]),
        )?;
    }
    let numbers = axes
        .iter()
        .map(|axis| axis.input)
        .chain([batch, filters])
        .try_fold(1u64, |product, size| product.checked_mul(size as u64))
        .filter(|numbers| *numbers <= LARGEST);
    if numbers.is_none() {
        return Err(Error::Option {
            op,
            option: "strides",
            expected: "such that the result has at most 2^32 numbers".into(),
            found: format!("{:?} for an input {:?}", options.strides, x.dims()),
        });
    }

    tape::composed_of_all(&[Some(x), Some(kernel), bias], |inputs| {
        let (x, kernel, bias) = (&inputs[0], &inputs[1], inputs.get(2));
        let taps: usize = kernel.dims()[..N].iter().product();
        let positions: usize = axes.iter().map(|axis| axis.output).product();
        // One product makes the patches that every pixel sends out; they are then added up where they overlap.
        let weights = kernel.reshape((taps * filters, channels))?.t()?.contiguous()?;
        let each = (PATCHES / (positions * taps * filters)).clamp(1, batch);
        let mut parts = Vec::with_capacity(batch.div_ceil(each));
        for first in (0..batch).step_by(each) {
            let images = each.min(batch - first);
            let pixels = x
                .narrow(0, first, images)?
                .contiguous()?
                .reshape((images * positions, channels))?;
            let patches =
                linear(&pixels, &weights, None, Activation::Linear)?.reshape((images, positions, taps * filters))?;
            parts.push(if composed::is_fused(x) {
                cpu::fold(&patches, &axes, filters)?
            } else {
                composed::volume::fold(&patches, &axes, filters)?
            });
        }
        let mut y = match parts.len() {
            1 => parts.remove(0),
            _ => Tensor::cat(&parts, 0)?,
        };
        for _ in 0..missing {
            y = y.squeeze(1)?;
        }
        if let Some(bias) = bias {
            y = y.broadcast_add(bias)?;
        }
        apply(&y, options.activation)
    })
}
