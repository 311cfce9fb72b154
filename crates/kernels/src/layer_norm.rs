//! Normalization of every sample by its own statistics.

use candle_core::{D, Tensor};

use crate::error::{Error, Result, expect_dtype, expect_float, expect_shape, shape_error};
use crate::{composed, cpu, tape};

/// $y = \gamma (x - \mu) / \sqrt{\sigma^2 + \epsilon} + \beta$ with mean and biased variance over `axes`: Keras'
/// `LayerNormalization` (Ba et al. 2016).
///
/// `axes` are counted from 0 and increase. `gamma` and `beta` have the sizes of these axes; `None` stands for ones and
/// zeros. Keras' default epsilon is 1e-3.
///
/// # Errors
/// If an axis does not exist or comes out of order, a shape or type does not fit, `x` is empty, or `epsilon` is negative.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use kernels::layer_norm;
///
/// let x = Tensor::new(&[[1.0f64, 3.0], [-5.0, 5.0]], &Device::Cpu)?;
/// let y = layer_norm(&x, &[1], None, None, 0.0)?;
/// assert_eq!(y.to_vec2::<f64>()?, [[-1.0, 1.0], [-1.0, 1.0]]);
/// # Ok::<(), kernels::Error>(())
/// ```
pub fn layer_norm(
    x: &Tensor,
    axes: &[usize],
    gamma: Option<&Tensor>,
    beta: Option<&Tensor>,
    epsilon: f64,
) -> Result<Tensor> {
    over_axes("layer_norm", x, axes, gamma, beta, epsilon, true)
}

/// $y = \mathrm{scale} \cdot x / \sqrt{\mathrm{mean}(x^2) + \epsilon}$ over `axes`: Keras' `RMSNormalization` (Zhang and
/// Sennrich 2019).
///
/// As [`layer_norm`] without mean and `beta`; Keras' default epsilon is 1e-6.
///
/// # Errors
/// As [`layer_norm`].
///
/// ```
/// use candle_core::{Device, Tensor};
/// use kernels::rms_norm;
///
/// let x = Tensor::new(&[[3.0f64, -3.0], [-5.0, -5.0]], &Device::Cpu)?;
/// assert_eq!(rms_norm(&x, &[1], None, 0.0)?.to_vec2::<f64>()?, [[1.0, -1.0], [-1.0, -1.0]]);
/// # Ok::<(), kernels::Error>(())
/// ```
pub fn rms_norm(x: &Tensor, axes: &[usize], scale: Option<&Tensor>, epsilon: f64) -> Result<Tensor> {
    over_axes("rms_norm", x, axes, scale, None, epsilon, false)
}

/// As [`layer_norm`], over all axes between the first and the last and over one of `groups` parts of the last: Keras'
/// `GroupNormalization` (Wu and He 2018).
///
/// `x` has the shape `(batch, .., channels)`, `gamma` and `beta` `(channels)`. One group is a layer normalization of the whole
/// sample, as many groups as channels an instance normalization.
///
/// # Errors
/// If the groups do not divide the channels, and as [`layer_norm`].
///
/// ```
/// use candle_core::{Device, Tensor};
/// use kernels::group_norm;
///
/// let x = Tensor::new(&[[1.0f64, 3.0, 10.0, 30.0]], &Device::Cpu)?;
/// assert_eq!(group_norm(&x, 2, None, None, 0.0)?.to_vec2::<f64>()?, [[-1.0, 1.0, -1.0, 1.0]]);
/// # Ok::<(), kernels::Error>(())
/// ```
pub fn group_norm(
    x: &Tensor,
    groups: usize,
    gamma: Option<&Tensor>,
    beta: Option<&Tensor>,
    epsilon: f64,
) -> Result<Tensor> {
    const OP: &str = "group_norm";
    expect_float(OP, "x", x)?;
    if x.rank() < 2 || x.elem_count() == 0 {
        return Err(shape_error(
            OP,
            "x",
            "(batch, .., channels) with no dimension of size 0",
            x,
        ));
    }
    let (batch, channels) = (x.dims()[0], x.dim(D::Minus1)?);
    if groups == 0 || channels % groups != 0 {
        return Err(Error::Option {
            op: OP,
            option: "groups",
            expected: format!("a divisor of the {channels} channels"),
            found: groups.to_string(),
        });
    }
    check_scale(OP, x, &[channels], gamma, beta, epsilon)?;
    let flat = tape::reshape(x, (batch, x.elem_count() / batch / channels, channels))?;
    tape::reshape(&normalize(&flat, gamma, beta, groups, epsilon, true)?, x.shape())
}

/// $y = x / \lVert x \rVert_2$ over `axes`: Keras' `UnitNormalization`.
///
/// A length below 1e-12 counts as 1e-12, so that zeros stay zeros.
///
/// # Errors
/// If an axis does not exist or comes out of order, or `x` holds no floating point numbers.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use kernels::unit_norm;
///
/// let x = Tensor::new(&[[0.0f64, -4.0], [0.0, 0.0]], &Device::Cpu)?;
/// assert_eq!(unit_norm(&x, &[1])?.to_vec2::<f64>()?, [[0.0, -1.0], [0.0, 0.0]]);
/// # Ok::<(), kernels::Error>(())
/// ```
pub fn unit_norm(x: &Tensor, axes: &[usize]) -> Result<Tensor> {
    tape::composed_of(x, |x| {
        const SHORTEST: f64 = 1e-12;
        expect_float("unit_norm", "x", x)?;
        check_axes("unit_norm", x, axes)?;
        let mut squares = x.sqr()?;
        for axis in axes {
            squares = squares.sum_keepdim(*axis)?;
        }
        // Where the length is too small, neither the root nor its derivative, which is infinite at 0, is used.
        let long = squares.gt(SHORTEST * SHORTEST)?;
        let ones = squares.ones_like()?;
        let inverse = long.where_cond(&squares, &ones)?.sqrt()?.recip()?;
        let inverse = long.where_cond(&inverse, &(ones / SHORTEST)?)?;
        Ok(x.broadcast_mul(&inverse)?)
    })
}

fn check_axes(op: &'static str, x: &Tensor, axes: &[usize]) -> Result<()> {
    let increase = axes.windows(2).all(|pair| pair[0] < pair[1]);
    if increase && axes.last().is_some_and(|axis| *axis < x.rank()) {
        return Ok(());
    }
    Err(Error::Option {
        op,
        option: "axes",
        expected: format!("increasing axes below {}", x.rank()),
        found: format!("{axes:?}"),
    })
}

fn check_scale(
    op: &'static str,
    x: &Tensor,
    dims: &[usize],
    gamma: Option<&Tensor>,
    beta: Option<&Tensor>,
    epsilon: f64,
) -> Result<()> {
    for (argument, tensor) in [("gamma", gamma), ("beta", beta)] {
        if let Some(tensor) = tensor {
            expect_dtype(op, argument, x.dtype(), tensor)?;
            expect_shape(op, argument, dims, tensor)?;
        }
    }
    if epsilon >= 0.0 && epsilon.is_finite() {
        return Ok(());
    }
    Err(Error::Option {
        op,
        option: "epsilon",
        expected: "a number >= 0".into(),
        found: epsilon.to_string(),
    })
}

fn over_axes(
    op: &'static str,
    x: &Tensor,
    axes: &[usize],
    gamma: Option<&Tensor>,
    beta: Option<&Tensor>,
    epsilon: f64,
    centred: bool,
) -> Result<Tensor> {
    expect_float(op, "x", x)?;
    if x.elem_count() == 0 {
        return Err(shape_error(op, "x", "a shape with no dimension of size 0", x));
    }
    check_axes(op, x, axes)?;
    let dims: Vec<usize> = axes.iter().map(|axis| x.dims()[*axis]).collect();
    check_scale(op, x, &dims, gamma, beta, epsilon)?;
    let len: usize = dims.iter().product();
    // The normalized axes go last.
    let mut order: Vec<usize> = (0..x.rank()).filter(|axis| !axes.contains(axis)).collect();
    order.extend(axes);
    let moved = !order.is_sorted();
    let turned = if moved { permuted(x, &order)? } else { x.clone() };
    let flat = |tensor: &Tensor| tape::reshape(tensor, len);
    let (gamma, beta) = (gamma.map(flat).transpose()?, beta.map(flat).transpose()?);
    let y = normalize(
        &tape::reshape(&turned, (x.elem_count() / len, 1, len))?,
        gamma.as_ref(),
        beta.as_ref(),
        1,
        epsilon,
        centred,
    )?;
    let y = tape::reshape(&y, turned.shape())?;
    if !moved {
        return Ok(y);
    }
    let mut back = vec![0; order.len()];
    for (to, from) in order.into_iter().enumerate() {
        back[from] = to;
    }
    permuted(&y, &back)
}

fn permuted(x: &Tensor, order: &[usize]) -> Result<Tensor> {
    tape::composed_of(x, |x| Ok(x.permute(order)?.contiguous()?))
}

/// `x` is `(samples, pixels, channels)`.
fn normalize(
    x: &Tensor,
    gamma: Option<&Tensor>,
    beta: Option<&Tensor>,
    groups: usize,
    epsilon: f64,
    centred: bool,
) -> Result<Tensor> {
    let channels = x.dim(D::Minus1)?;
    let missing = |value: f64| Tensor::full(value as f32, channels, x.device())?.to_dtype(x.dtype());
    let gamma = gamma.map_or_else(|| missing(1.0), |gamma| Ok(gamma.clone()))?;
    let beta = beta.map_or_else(|| missing(0.0), |beta| Ok(beta.clone()))?;
    Ok(if composed::is_fused(x) {
        cpu::group_norm(x, &gamma, &beta, groups, epsilon, centred)?
    } else {
        composed::volume::group_norm(x, &gamma, &beta, groups, epsilon, centred)?
    })
}
