//! Pooling with Keras' semantics, for which candle's own gradients are wrong.

use candle_core::Tensor;

use crate::error::{Error, Result, expect_float, shape_error};
use crate::window::{Padding, Window};
use crate::{composed, cpu, tape};

/// The options of [`max_pool2d`] and [`avg_pool2d`], with Keras' names and defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool2dOptions {
    /// Height and width of the pool.
    pub pool_size: [usize; 2],
    /// Steps of the pool; Keras' default is the pool's size.
    pub strides: [usize; 2],
    /// What happens at the border.
    pub padding: Padding,
}

impl Pool2dOptions {
    /// Pools of `height` x `width` side by side, without padding.
    pub fn new(pool_size: [usize; 2]) -> Self {
        Self {
            pool_size,
            strides: pool_size,
            padding: Padding::Valid,
        }
    }
}

impl Default for Pool2dOptions {
    fn default() -> Self {
        Self::new([2, 2])
    }
}

fn window(op: &'static str, x: &Tensor, options: &Pool2dOptions) -> Result<Window> {
    expect_float(op, "x", x)?;
    let &[_, height, width, _] = x.dims() else {
        return Err(shape_error(op, "x", "(batch, height, width, channels)", x));
    };
    let window = Window::new(
        op,
        [height, width],
        options.pool_size,
        options.strides,
        [1, 1],
        options.padding,
    )?;
    if x.elem_count() == 0 {
        return Err(shape_error(
            op,
            "x",
            "(batch, height, width, channels) with no dimension of size 0",
            x,
        ));
    }
    for axis in [&window.rows, &window.columns] {
        // Only explicit padding can be so wide that a pool lies beside the image.
        if (0..axis.output).any(|position| axis.taps_inside(position) == 0) {
            return Err(Error::Option {
                op,
                option: "padding",
                expected: "so narrow that every pool sees a pixel of the image".into(),
                found: format!("{:?}", options.padding),
            });
        }
    }
    Ok(window)
}

/// The largest number of each pool and channel: Keras' `MaxPooling2D`.
///
/// `x` has the shape `(batch, height, width, channels)`, the result `(batch, out height, out width, channels)`. Pixels that
/// padding adds never win; the gradient goes to the **first** maximum of a pool in row-major order. Pools may overlap, leave gaps, or
/// leave a rest at the border.
///
/// # Errors
/// If `x` has another rank or a dimension of size 0, or the pool does not fit an image with [`Padding::Valid`].
///
/// ```
/// use candle_core::{Device, Tensor};
/// use kernels::{Pool2dOptions, max_pool2d};
///
/// let x = Tensor::new(&[1.0f32, 2.0, 3.0, 4.0, 9.0, 6.0, 7.0, 8.0, 5.0], &Device::Cpu)?.reshape((1, 3, 3, 1))?;
/// let y = max_pool2d(&x, &Pool2dOptions::new([2, 2]))?;
/// assert_eq!(y.flatten_all()?.to_vec1::<f32>()?, [9.0]);
/// # Ok::<(), kernels::Error>(())
/// ```
pub fn max_pool2d(x: &Tensor, options: &Pool2dOptions) -> Result<Tensor> {
    let window = window("max_pool2d", x, options)?;
    check_plane("max_pool2d", x)?;
    Ok(if composed::is_fused(x) {
        cpu::max_pool2d(x, &window)?
    } else {
        composed::max_pool2d(x, &window)?
    })
}

/// The mean of each pool and channel: Keras' `AveragePooling2D`.
///
/// Shapes as [`max_pool2d`]. Pixels that padding adds do not count: a pool that hangs over the border divides by the
/// number of its pixels that lie on the image.
///
/// # Errors
/// As [`max_pool2d`].
///
/// ```
/// use candle_core::{Device, Tensor};
/// use kernels::{Padding, Pool2dOptions, avg_pool2d};
///
/// let x = Tensor::new(&[1.0f32, 2.0, 6.0], &Device::Cpu)?.reshape((1, 1, 3, 1))?;
/// let y = avg_pool2d(&x, &Pool2dOptions { padding: Padding::Same, ..Pool2dOptions::new([1, 2]) })?;
/// assert_eq!(y.flatten_all()?.to_vec1::<f32>()?, [1.5, 6.0]);
/// # Ok::<(), kernels::Error>(())
/// ```
pub fn avg_pool2d(x: &Tensor, options: &Pool2dOptions) -> Result<Tensor> {
    let window = window("avg_pool2d", x, options)?;
    Ok(if composed::is_fused(x) {
        cpu::avg_pool2d(x, &window)?
    } else {
        composed::avg_pool2d(x, &window)?
    })
}

/// The mean of each channel over the image, `(batch, channels)`: Keras' `GlobalAveragePooling2D`.
///
/// # Errors
/// If `x` has not the shape `(batch, height, width, channels)` or holds no pixel.
pub fn global_avg_pool2d(x: &Tensor) -> Result<Tensor> {
    let options = whole_image("global_avg_pool2d", x)?;
    if composed::is_fused(x) {
        one_a_channel(&avg_pool2d(x, &options)?)
    } else {
        Ok(composed::global_avg_pool2d(x)?)
    }
}

/// The largest number of each channel in the image, `(batch, channels)`: Keras' `GlobalMaxPooling2D`. The first maximum wins.
///
/// # Errors
/// As [`global_avg_pool2d`].
pub fn global_max_pool2d(x: &Tensor) -> Result<Tensor> {
    let options = whole_image("global_max_pool2d", x)?;
    if composed::is_fused(x) {
        one_a_channel(&max_pool2d(x, &options)?)
    } else {
        Ok(composed::global_max_pool2d(x)?)
    }
}

/// `(batch, 1, 1, channels)` as `(batch, channels)`.
fn one_a_channel(y: &Tensor) -> Result<Tensor> {
    let (batch, _, _, channels) = y.dims4()?;
    tape::reshape(y, (batch, channels))
}

fn whole_image(op: &'static str, x: &Tensor) -> Result<Pool2dOptions> {
    expect_float(op, "x", x)?;
    match *x.dims() {
        [_, height, width, _] if x.elem_count() > 0 => Ok(Pool2dOptions::new([height, width])),
        _ => Err(shape_error(
            op,
            "x",
            "(batch, height, width, channels) with no dimension of size 0",
            x,
        )),
    }
}

/// The positions of the maxima are stored as 32-bit indices into one image.
fn check_plane(op: &'static str, x: &Tensor) -> Result<()> {
    let plane: usize = x.dims()[1..].iter().product();
    if u32::try_from(plane).is_ok() {
        return Ok(());
    }
    Err(Error::Shape {
        op,
        argument: "x",
        expected: "an image with less than 2^32 numbers".into(),
        found: x.dims().to_vec(),
    })
}
