//! Pooling of sequences and volumes, and pooling to a given size.

use candle_core::Tensor;

use crate::cpu::Boxes;
use crate::error::{Error, Result, expect_float, shape_error};
use crate::window::{Axis, Padding};
use crate::{Pool2dOptions, avg_pool2d, composed, cpu, max_pool2d, tape};

/// The options of pooling over `N` sides, with Keras' names and defaults; images have [`Pool2dOptions`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolOptions<const N: usize> {
    /// Size of the pool along each side.
    pub pool_size: [usize; N],
    /// Steps of the pool; Keras' default is the pool's size.
    pub strides: [usize; N],
    /// What happens at the border.
    pub padding: Padding,
}

impl<const N: usize> PoolOptions<N> {
    /// Pools of this size side by side, without padding.
    pub fn new(pool_size: [usize; N]) -> Self {
        Self {
            pool_size,
            strides: pool_size,
            padding: Padding::Valid,
        }
    }
}

/// The options of [`max_pool1d`] and [`avg_pool1d`].
pub type Pool1dOptions = PoolOptions<1>;
/// The options of [`max_pool3d`] and [`avg_pool3d`].
pub type Pool3dOptions = PoolOptions<3>;

/// The largest number of each pool and channel of a sequence `(batch, steps, channels)`: Keras' `MaxPooling1D`.
///
/// Padding and gradient as [`max_pool2d`]; of [`Padding::Explicit`] the second pair counts.
///
/// # Errors
/// As [`max_pool2d`].
///
/// ```
/// use candle_core::{Device, Tensor};
/// use kernels::{Pool1dOptions, max_pool1d};
///
/// let x = Tensor::new(&[1.0f32, 3.0, 2.0, 0.0], &Device::Cpu)?.reshape((1, 4, 1))?;
/// let y = max_pool1d(&x, &Pool1dOptions::new([2]))?;
/// assert_eq!(y.flatten_all()?.to_vec1::<f32>()?, [3.0, 2.0]);
/// # Ok::<(), kernels::Error>(())
/// ```
pub fn max_pool1d(x: &Tensor, options: &Pool1dOptions) -> Result<Tensor> {
    let (image, options) = as_image("max_pool1d", x, options)?;
    of_image(&max_pool2d(&image, &options)?)
}

/// The mean of each pool and channel of a sequence `(batch, steps, channels)`: Keras' `AveragePooling1D`.
///
/// # Errors
/// As [`max_pool1d`].
///
/// ```
/// use candle_core::{Device, Tensor};
/// use kernels::{Pool1dOptions, avg_pool1d};
///
/// let x = Tensor::new(&[1.0f32, 3.0, 2.0, 0.0], &Device::Cpu)?.reshape((1, 4, 1))?;
/// let y = avg_pool1d(&x, &Pool1dOptions::new([2]))?;
/// assert_eq!(y.flatten_all()?.to_vec1::<f32>()?, [2.0, 1.0]);
/// # Ok::<(), kernels::Error>(())
/// ```
pub fn avg_pool1d(x: &Tensor, options: &Pool1dOptions) -> Result<Tensor> {
    let (image, options) = as_image("avg_pool1d", x, options)?;
    of_image(&avg_pool2d(&image, &options)?)
}

fn as_image(op: &'static str, x: &Tensor, options: &Pool1dOptions) -> Result<(Tensor, Pool2dOptions)> {
    if x.rank() != 3 {
        return Err(shape_error(op, "x", "(batch, steps, channels)", x));
    }
    let options = Pool2dOptions {
        pool_size: [1, options.pool_size[0]],
        strides: [1, options.strides[0]],
        padding: match options.padding {
            Padding::Explicit([_, pair]) => Padding::Explicit([[0, 0], pair]),
            other => other,
        },
    };
    let (batch, steps, channels) = x.dims3()?;
    Ok((tape::reshape(x, (batch, 1, steps, channels))?, options))
}

/// The sequences that images of height 1 stand for.
fn of_image(y: &Tensor) -> Result<Tensor> {
    let (batch, _, steps, channels) = y.dims4()?;
    tape::reshape(y, (batch, steps, channels))
}

/// The largest number of each pool and channel of a volume `(batch, depth, height, width, channels)`: Keras'
/// `MaxPooling3D`.
///
/// Padding never wins; the gradient goes to the first maximum in row-major order.
///
/// # Errors
/// If `x` has another rank or a dimension of size 0, or the pool does not fit with [`Padding::Valid`]; [`Padding::Explicit`] is
/// for images and sequences.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use kernels::{Pool3dOptions, max_pool3d};
///
/// let x = Tensor::arange(0f32, 8.0, &Device::Cpu)?.reshape((1, 2, 2, 2, 1))?;
/// let y = max_pool3d(&x, &Pool3dOptions::new([2, 2, 2]))?;
/// assert_eq!(y.flatten_all()?.to_vec1::<f32>()?, [7.0]);
/// # Ok::<(), kernels::Error>(())
/// ```
pub fn max_pool3d(x: &Tensor, options: &Pool3dOptions) -> Result<Tensor> {
    max("max_pool3d", x, windows("max_pool3d", x, options)?)
}

/// The mean of each pool and channel of a volume `(batch, depth, height, width, channels)`: Keras' `AveragePooling3D`.
///
/// Padding does not count.
///
/// # Errors
/// As [`max_pool3d`].
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use kernels::{Pool3dOptions, avg_pool3d};
///
/// let x = Tensor::arange(0f32, 8.0, &Device::Cpu)?.reshape((1, 2, 2, 2, 1))?;
/// let y = avg_pool3d(&x, &Pool3dOptions::new([2, 2, 1]))?;
/// assert_eq!(y.flatten_all()?.to_vec1::<f32>()?, [3.0, 4.0]);
/// # Ok::<(), kernels::Error>(())
/// ```
pub fn avg_pool3d(x: &Tensor, options: &Pool3dOptions) -> Result<Tensor> {
    average(x, windows("avg_pool3d", x, options)?)
}

/// The largest number of each of `output_size` boxes that cover the volume: Keras' `AdaptiveMaxPooling3D`, and with sides of
/// length 1 `AdaptiveMaxPooling2D` and `1D`.
///
/// `x` has the shape `(batch, depth, height, width, channels)`, the result `(batch, output_size.., channels)`. Along a side of n
/// pixels, box i of m begins at $\lfloor i n / m \rfloor$ and ends before $\lceil (i + 1) n / m \rceil$; boxes may overlap,
/// and there may be more of them than pixels.
///
/// # Errors
/// If `x` has another rank or a dimension of size 0, or a side of the output is 0 or above 2^16.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use kernels::adaptive_max_pool;
///
/// let x = Tensor::arange(0f32, 5.0, &Device::Cpu)?.reshape((1, 1, 1, 5, 1))?;
/// let y = adaptive_max_pool(&x, [1, 1, 2])?;
/// assert_eq!(y.flatten_all()?.to_vec1::<f32>()?, [2.0, 4.0]); // boxes 0..3 and 2..5
/// # Ok::<(), kernels::Error>(())
/// ```
pub fn adaptive_max_pool(x: &Tensor, output_size: [usize; 3]) -> Result<Tensor> {
    const OP: &str = "adaptive_max_pool";
    max(OP, x, adaptive(OP, x, output_size)?)
}

/// The mean of each of `output_size` boxes that cover the volume: Keras' `AdaptiveAveragePooling3D`, `2D` and `1D`.
///
/// Shapes and boxes as [`adaptive_max_pool`].
///
/// # Errors
/// As [`adaptive_max_pool`].
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use kernels::adaptive_avg_pool;
///
/// let x = Tensor::arange(0f32, 5.0, &Device::Cpu)?.reshape((1, 1, 1, 5, 1))?;
/// let y = adaptive_avg_pool(&x, [1, 1, 2])?;
/// assert_eq!(y.flatten_all()?.to_vec1::<f32>()?, [1.0, 3.0]);
/// # Ok::<(), kernels::Error>(())
/// ```
pub fn adaptive_avg_pool(x: &Tensor, output_size: [usize; 3]) -> Result<Tensor> {
    average(x, adaptive("adaptive_avg_pool", x, output_size)?)
}

/// The boxes of an adaptive pooling along one side, at most.
const MOST_BOXES: usize = 1 << 16;

fn adaptive(op: &'static str, x: &Tensor, output_size: [usize; 3]) -> Result<Boxes> {
    let input = sides(op, x)?;
    if output_size.iter().any(|size| !(1..=MOST_BOXES).contains(size)) {
        return Err(Error::Option {
            op,
            option: "output_size",
            expected: format!("in 1..={MOST_BOXES}"),
            found: format!("{output_size:?}"),
        });
    }
    Ok(std::array::from_fn(|side| {
        let (pixels, boxes) = (input[side], output_size[side]);
        (0..boxes)
            .map(|i| i * pixels / boxes..((i + 1) * pixels).div_ceil(boxes))
            .collect()
    }))
}

fn windows(op: &'static str, x: &Tensor, options: &Pool3dOptions) -> Result<Boxes> {
    let input = sides(op, x)?;
    if let Padding::Explicit(_) = options.padding {
        return Err(Error::Option {
            op,
            option: "padding",
            expected: "valid, same or causal".into(),
            found: format!("{:?}", options.padding),
        });
    }
    let mut boxes = Boxes::default();
    for (side, name) in ["depth", "height", "width"].into_iter().enumerate() {
        let (window, stride) = (options.pool_size[side], options.strides[side]);
        let axis = Axis::new(op, name, input[side], window, stride, 1, options.padding)?;
        boxes[side] = (0..axis.output)
            .map(|position| {
                let start = position * stride;
                let end = (start + window).saturating_sub(axis.before).min(axis.input);
                start.saturating_sub(axis.before)..end
            })
            .collect();
    }
    Ok(boxes)
}

/// Depth, height and width of volumes.
fn sides(op: &'static str, x: &Tensor) -> Result<[usize; 3]> {
    expect_float(op, "x", x)?;
    match *x.dims() {
        [_, depth, height, width, _] if x.elem_count() > 0 => Ok([depth, height, width]),
        _ => {
            let expected = "(batch, depth, height, width, channels) with no dimension of size 0";
            Err(shape_error(op, "x", expected, x))
        }
    }
}

fn max(op: &'static str, x: &Tensor, boxes: Boxes) -> Result<Tensor> {
    // The places of the maxima are stored as 32-bit indices into one volume.
    if u32::try_from(x.dims()[1..].iter().product::<usize>()).is_err() {
        return Err(shape_error(op, "x", "a volume with less than 2^32 numbers", x));
    }
    Ok(if composed::is_fused(x) {
        cpu::max_boxes(x, boxes)?
    } else {
        composed::volume::max_boxes(x, &boxes)?
    })
}

fn average(x: &Tensor, boxes: Boxes) -> Result<Tensor> {
    Ok(if composed::is_fused(x) {
        cpu::avg_boxes(x, boxes)?
    } else {
        composed::volume::avg_boxes(x, &boxes)?
    })
}
