//! Batch normalization with Keras' formulas.

use candle_core::{D, Tensor};

use crate::error::{Error, Result, expect_dtype, expect_float, expect_shape, shape_error};
use crate::{composed, cpu, tape};

/// What [`batch_norm`] returns.
#[derive(Clone, Debug)]
pub struct BatchNorm {
    /// The normalized tensor, in the shape of the input.
    pub output: Tensor,
    /// The new moving mean `(channels)`; in inference the one that was given.
    pub moving_mean: Tensor,
    /// The new moving variance `(channels)`; in inference the one that was given.
    pub moving_variance: Tensor,
}

/// $y = \gamma (x - \mu) / \sqrt{\sigma^2 + \epsilon} + \beta$ for each channel: Keras' `BatchNormalization` on the last axis.
///
/// In training $\mu$ and $\sigma^2$ are the mean and the biased variance of the batch (over all axes but the last), the gradient flows
/// through them, and the moving statistics become $m \cdot \mathrm{momentum} + s (1 - \mathrm{momentum})$ of the old value $m$ and the batch's $s$.
/// In inference they are the moving statistics. `gamma`, `beta` and the moving statistics have the shape `(channels)`; `None` stands for
/// ones and zeros. Keras' defaults: momentum 0.99, epsilon 1e-3.
///
/// # Errors
/// If a shape or type does not fit, `x` is empty in training, or `epsilon` or `momentum` make no sense.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use kernels::batch_norm;
///
/// let x = Tensor::new(&[[1.0f64], [3.0]], &Device::Cpu)?;
/// let (mean, variance) = (Tensor::new(&[0.0f64], &Device::Cpu)?, Tensor::new(&[1.0f64], &Device::Cpu)?);
/// let result = batch_norm(&x, None, None, &mean, &variance, 0.9, 1e-3, true)?;
/// let y = result.output.flatten_all()?.to_vec1::<f64>()?;
/// assert!((y[1] - 1.0 / 1.001f64.sqrt()).abs() < 1e-12 && y[0] == -y[1]);
/// assert!((result.moving_mean.to_vec1::<f64>()?[0] - 0.2).abs() < 1e-12);
/// # Ok::<(), kernels::Error>(())
/// ```
#[allow(
    clippy::too_many_arguments,
    reason = "the arguments are those of Keras' layer; a struct would only rename them"
)]
pub fn batch_norm(
    x: &Tensor,
    gamma: Option<&Tensor>,
    beta: Option<&Tensor>,
    moving_mean: &Tensor,
    moving_variance: &Tensor,
    momentum: f64,
    epsilon: f64,
    training: bool,
) -> Result<BatchNorm> {
    const OP: &str = "batch_norm";
    expect_float(OP, "x", x)?;
    if x.rank() < 2 || x.elem_count() == 0 {
        return Err(shape_error(
            OP,
            "x",
            "(batch, ..., channels) with no dimension of size 0",
            x,
        ));
    }
    let channels = x.dim(D::Minus1)?;
    let given = [
        ("gamma", gamma),
        ("beta", beta),
        ("moving_mean", Some(moving_mean)),
        ("moving_variance", Some(moving_variance)),
    ];
    for (argument, tensor) in given {
        if let Some(tensor) = tensor {
            expect_dtype(OP, argument, x.dtype(), tensor)?;
            expect_shape(OP, argument, &[channels], tensor)?;
        }
    }
    let ranges = [
        ("epsilon", epsilon, epsilon >= 0.0 && epsilon.is_finite()),
        ("momentum", momentum, (0.0..=1.0).contains(&momentum)),
    ];
    for (option, value, fits) in ranges {
        if !fits {
            let expected = if option == "epsilon" {
                "a number >= 0"
            } else {
                "in [0, 1]"
            };
            return Err(Error::Option {
                op: OP,
                option,
                expected: expected.into(),
                found: value.to_string(),
            });
        }
    }
    let gamma = gamma.map_or_else(|| moving_mean.ones_like(), |gamma| Ok(gamma.clone()))?;
    let beta = beta.map_or_else(|| moving_mean.zeros_like(), |beta| Ok(beta.clone()))?;
    let flat = tape::reshape(x, (x.elem_count() / channels, channels))?;
    let (moving_mean, moving_variance) = (moving_mean.detach(), moving_variance.detach());
    if !training {
        let scale = tape::composed_of(&gamma, |gamma| Ok(gamma.div(&(&moving_variance + epsilon)?.sqrt()?)?))?;
        let shift = tape::composed_of_all(&[Some(&beta), Some(&scale)], |inputs| {
            Ok((&inputs[0] - (&moving_mean * &inputs[1])?)?)
        })?;
        let y = if composed::is_fused(x) {
            cpu::channel_affine(&flat, &scale, &shift)?
        } else {
            composed::channel_affine(&flat, &scale, &shift)?
        };
        return Ok(BatchNorm {
            output: tape::reshape(&y, x.shape())?,
            moving_mean,
            moving_variance,
        });
    }
    let (y, mean, variance) = if composed::is_fused(x) {
        cpu::batch_norm_training(&flat, &gamma, &beta, epsilon)?
    } else {
        composed::batch_norm_training(&flat, &gamma, &beta, epsilon)?
    };
    let blend = |old: &Tensor, new: &Tensor| ((old * momentum)? + (new * (1.0 - momentum))?).map_err(Error::from);
    Ok(BatchNorm {
        output: tape::reshape(&y, x.shape())?,
        moving_mean: blend(&moving_mean, &mean)?,
        moving_variance: blend(&moving_variance, &variance)?,
    })
}
