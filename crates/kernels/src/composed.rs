//! The same operations written with candle's own: for CUDA, Metal and half precision, and as the reference in tests.
//!
//! Each is made of candle operations whose gradients are right; candle's own pooling is not among them.

pub(crate) mod volume;

use candle_core::{D, DType, Tensor};

use crate::activation::{Activation, SELU_ALPHA, SELU_SCALE};
use crate::window::Window;

type Result<T> = candle_core::Result<T>;

pub(crate) fn activation(x: &Tensor, activation: Activation) -> Result<Tensor> {
    let exponential_part = |x: &Tensor| -> Result<Tensor> { x.minimum(&x.zeros_like()?)?.exp()? - 1.0 };
    match activation {
        Activation::Linear => Ok(x.clone()),
        Activation::Relu => relu(x),
        Activation::Relu6 => relu(x)?.minimum(6.0),
        Activation::LeakyRelu => relu(x)? - (relu(&x.neg()?)? * 0.2)?,
        Activation::Tanh => x.tanh(),
        Activation::Sigmoid => sigmoid(x),
        Activation::HardSigmoid => relu(&(x + 3.0)?)?.minimum(6.0)? / 6.0,
        Activation::Elu => relu(x)? + exponential_part(x)?,
        Activation::Selu => (relu(x)? + (exponential_part(x)? * SELU_ALPHA)?)? * SELU_SCALE,
        // Not `gelu_erf`, whose gradient rounds 1/sqrt(2 pi) to six digits.
        Activation::Gelu => (x * ((x * std::f64::consts::FRAC_1_SQRT_2)?.erf()? + 1.0)?)? * 0.5,
        Activation::Silu => x * sigmoid(x)?,
        Activation::Softplus => softplus(x),
        Activation::Softsign => x / (x.abs()? + 1.0)?,
        Activation::Exponential => x.exp(),
        Activation::Mish => x * softplus(x)?.tanh()?,
        Activation::Softmax => log_softmax(x)?.exp(),
        Activation::LogSoftmax => log_softmax(x),
    }
}

/// candle's own `relu` has the derivative 1 at 0, Keras and PyTorch have 0.
fn relu(x: &Tensor) -> Result<Tensor> {
    let zeros = x.zeros_like()?;
    x.gt(&zeros)?.where_cond(x, &zeros)
}

/// `1 / (1 + exp(-x))` as `(1 + tanh(x / 2)) / 2`, which overflows nowhere.
fn sigmoid(x: &Tensor) -> Result<Tensor> {
    ((x * 0.5)?.tanh()? * 0.5)? + 0.5
}

/// `max(x, 0) + ln(1 + exp(-|x|))`.
fn softplus(x: &Tensor) -> Result<Tensor> {
    // -|x| as x - 2 max(x, 0): candle's `abs` has the derivative 1 at 0, which would make that of softplus -1/2 there.
    let positive = relu(x)?;
    let negative_size = (x - (&positive * 2.0)?)?;
    positive + (negative_size.exp()? + 1.0)?.log()?
}

pub(crate) fn log_softmax(x: &Tensor) -> Result<Tensor> {
    let shifted = x.broadcast_sub(&x.max_keepdim(D::Minus1)?.detach())?;
    let log_sum = shifted.exp()?.sum_keepdim(D::Minus1)?.log()?;
    shifted.broadcast_sub(&log_sum)
}

pub(crate) fn linear(x: &Tensor, kernel: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let y = x.matmul(kernel)?;
    match bias {
        Some(bias) => y.broadcast_add(bias),
        None => Ok(y),
    }
}

/// Extends the images by the window's padding, filled with `value`.
fn pad(x: &Tensor, window: &Window, value: f64) -> Result<Tensor> {
    let extend = |x: Tensor, dim: usize, before: usize, after: usize| -> Result<Tensor> {
        if before + after == 0 {
            return Ok(x);
        }
        if value == 0.0 {
            return x.pad_with_zeros(dim, before, after);
        }
        let border = |size: usize| -> Result<Tensor> {
            let mut dims = x.dims().to_vec();
            dims[dim] = size;
            Tensor::full(value as f32, dims, x.device())?.to_dtype(x.dtype())
        };
        Tensor::cat(&[border(before)?, x.clone(), border(after)?], dim)
    };
    let x = extend(x.clone(), 1, window.rows.before, window.rows.after)?;
    extend(x, 2, window.columns.before, window.columns.after)
}

/// What one tap of the window sees at every position: `(n, out_h, out_w, c)` of the padded images.
fn tap(padded: &Tensor, window: &Window, row: usize, column: usize) -> Result<Tensor> {
    let along = |x: Tensor, dim: usize, axis: &crate::window::Axis, tap: usize| -> Result<Tensor> {
        let reach = (axis.output - 1) * axis.stride + 1;
        let x = x.narrow(dim, tap * axis.dilation, reach)?;
        if axis.stride == 1 {
            return Ok(x);
        }
        // candle has no strided slice: pad to a multiple of the stride, fold, take the first of each group.
        let x = x.pad_with_zeros(dim, 0, axis.output * axis.stride - reach)?;
        let mut folded = x.dims().to_vec();
        folded[dim] = axis.output;
        folded.insert(dim + 1, axis.stride);
        x.reshape(folded)?.narrow(dim + 1, 0, 1)?.squeeze(dim + 1)
    };
    let x = along(padded.clone(), 1, &window.rows, row)?;
    along(x, 2, &window.columns, column)
}

fn taps(window: &Window) -> impl Iterator<Item = (usize, usize)> {
    let (rows, columns) = (window.rows.window, window.columns.window);
    (0..rows).flat_map(move |row| (0..columns).map(move |column| (row, column)))
}

/// One matrix product for each tap of the kernel and each group.
///
/// candle's `conv2d` takes neither unequal strides nor 'same' padding of odd size, and its gradient computes one output
/// padding for both axes, which is wrong for some images that are not square.
pub(crate) fn conv2d(
    x: &Tensor,
    kernel: &Tensor,
    bias: Option<&Tensor>,
    window: &Window,
    groups: usize,
) -> Result<Tensor> {
    let (n, _, _, channels) = x.dims4()?;
    let filters = kernel.dim(3)?;
    let (group_channels, group_filters) = (channels / groups, filters / groups);
    let padded = pad(x, window, 0.0)?;
    let mut outputs = Vec::with_capacity(groups);
    for group in 0..groups {
        let mut sum: Option<Tensor> = None;
        for (row, column) in taps(window) {
            let seen = tap(&padded, window, row, column)?
                .narrow(3, group * group_channels, group_channels)?
                .contiguous()?
                .reshape((n * window.positions(), group_channels))?;
            let weights = kernel
                .narrow(0, row, 1)?
                .narrow(1, column, 1)?
                .narrow(3, group * group_filters, group_filters)?
                .contiguous()?
                .reshape((group_channels, group_filters))?;
            let product = seen.matmul(&weights)?;
            sum = Some(match sum {
                Some(sum) => (sum + product)?,
                None => product,
            });
        }
        outputs.extend(sum);
    }
    let y = Tensor::cat(&outputs, 1)?.reshape((n, window.rows.output, window.columns.output, filters))?;
    match bias {
        Some(bias) => y.broadcast_add(bias),
        None => Ok(y),
    }
}

/// Keeps the larger tap, the earlier one on a tie, so that the gradient goes to the first maximum only.
pub(crate) fn max_pool2d(x: &Tensor, window: &Window) -> Result<Tensor> {
    let padded = pad(x, window, f64::NEG_INFINITY)?;
    let mut best: Option<Tensor> = None;
    for (row, column) in taps(window) {
        let seen = tap(&padded, window, row, column)?.contiguous()?;
        best = Some(match best {
            Some(best) => seen.gt(&best)?.where_cond(&seen, &best)?,
            None => seen,
        });
    }
    best.map_or_else(|| Ok(x.clone()), Ok)
}

pub(crate) fn avg_pool2d(x: &Tensor, window: &Window) -> Result<Tensor> {
    let padded = pad(x, window, 0.0)?;
    let mut sum: Option<Tensor> = None;
    for (row, column) in taps(window) {
        let seen = tap(&padded, window, row, column)?;
        sum = Some(match sum {
            Some(sum) => (sum + seen)?,
            None => seen,
        });
    }
    let counts: Vec<f32> = (0..window.rows.output)
        .flat_map(|i| (0..window.columns.output).map(move |j| (i, j)))
        .map(|(i, j)| (window.rows.taps_inside(i) * window.columns.taps_inside(j)) as f32)
        .collect();
    let counts = Tensor::from_vec(counts, (1, window.rows.output, window.columns.output, 1), x.device())?;
    sum.unwrap_or_else(|| x.clone())
        .broadcast_div(&counts.to_dtype(x.dtype())?)
}

pub(crate) fn global_max_pool2d(x: &Tensor) -> Result<Tensor> {
    let (n, h, w, channels) = x.dims4()?;
    let flat = x.reshape((n, h * w, channels))?.transpose(1, 2)?.contiguous()?;
    let first = flat.detach().argmax_keepdim(D::Minus1)?;
    flat.gather(&first, D::Minus1)?.squeeze(D::Minus1)
}

pub(crate) fn global_avg_pool2d(x: &Tensor) -> Result<Tensor> {
    x.mean((1, 2))
}

pub(crate) fn sparse_categorical_crossentropy(logits: &Tensor, labels: &Tensor) -> Result<Tensor> {
    log_softmax(logits)?.gather(&labels.unsqueeze(1)?, 1)?.mean_all()?.neg()
}

pub(crate) fn categorical_crossentropy(logits: &Tensor, targets: &Tensor) -> Result<Tensor> {
    (log_softmax(logits)? * targets)?.sum(D::Minus1)?.mean_all()?.neg()
}

pub(crate) fn mean_squared_error(prediction: &Tensor, target: &Tensor) -> Result<Tensor> {
    (prediction - target)?.sqr()?.mean_all()
}

/// `max(z, 0) - z t + ln(1 + exp(-|z|))`, averaged.
pub(crate) fn binary_crossentropy(logits: &Tensor, targets: &Tensor) -> Result<Tensor> {
    (softplus(logits)? - (logits * targets)?)?.mean_all()
}

/// Normalizes by the statistics of the batch; also returns them.
pub(crate) fn batch_norm_training(
    x: &Tensor,
    gamma: &Tensor,
    beta: &Tensor,
    epsilon: f64,
) -> Result<(Tensor, Tensor, Tensor)> {
    let mean = x.mean(0)?;
    let centred = x.broadcast_sub(&mean)?;
    let variance = centred.sqr()?.mean(0)?;
    let scale = gamma.div(&(&variance + epsilon)?.sqrt()?)?;
    let y = centred.broadcast_mul(&scale)?.broadcast_add(beta)?;
    Ok((y, mean.detach(), variance.detach()))
}

pub(crate) fn channel_affine(x: &Tensor, scale: &Tensor, shift: &Tensor) -> Result<Tensor> {
    x.broadcast_mul(scale)?.broadcast_add(shift)
}

/// Whether a tensor is one that the fused operations take: f32 or f64 on a CPU.
pub(crate) fn is_fused(x: &Tensor) -> bool {
    x.device().is_cpu() && matches!(x.dtype(), DType::F32 | DType::F64)
}

#[cfg(test)]
mod tests {
    //! The fused operations against these, values and gradients.

    use candle_core::{Device, Var};

    use super::*;
    use crate::cpu;
    use crate::random::Stream;
    use crate::window::Padding;

    pub(super) fn var(name: &str, dims: &[usize]) -> Var {
        let mut draws = Stream::new(11).layer(name).draws();
        let numbers: Vec<f64> = (0..dims.iter().product::<usize>()).map(|_| draws.normal()).collect();
        Var::from_tensor(&Tensor::from_vec(numbers, dims, &Device::Cpu).unwrap()).unwrap()
    }

    /// Value and gradients of `sum(y^3)`, which lets every output count differently.
    fn results(y: Result<Tensor>, vars: &[&Var]) -> Vec<Vec<f64>> {
        let y = y.unwrap();
        let store = (y.sqr().unwrap() * &y).unwrap().sum_all().unwrap().backward().unwrap();
        let gradients = vars.iter().map(|var| store.get(var).unwrap().clone());
        std::iter::once(y.clone())
            .chain(gradients)
            .map(|t| t.flatten_all().unwrap().to_vec1().unwrap())
            .collect()
    }

    #[track_caller]
    pub(super) fn agree(fused: Result<Tensor>, composed: Result<Tensor>, vars: &[&Var]) {
        for (which, (a, b)) in results(fused, vars).iter().zip(results(composed, vars)).enumerate() {
            let scale = b.iter().fold(1.0f64, |scale, b| scale.max(b.abs()));
            assert_eq!(a.len(), b.len());
            for (a, b) in a.iter().zip(&b) {
                assert!((a - b).abs() <= 1e-9 * scale, "result {which}: fused {a}, composed {b}");
            }
        }
    }

    #[test]
    fn activations() {
        let x = var("x", &[5, 7]);
        for f in Activation::ALL {
            agree(cpu::activation(&x, f), activation(&x, f), &[&x]);
        }
    }

    #[test]
    fn convolution_and_pooling() {
        let (x, bias) = (var("x", &[3, 8, 7, 4]), var("bias", &[6]));
        for (strides, dilation, padding, groups) in [
            ([1, 1], [1, 1], Padding::Valid, 1),
            ([2, 1], [1, 2], Padding::Same, 2),
            ([3, 2], [2, 1], Padding::Valid, 1),
        ] {
            let kernel = var("kernel", &[2, 3, 4 / groups, 6]);
            let window = Window::new("test", [8, 7], [2, 3], strides, dilation, padding).unwrap();
            agree(
                cpu::conv2d(&x, &kernel, Some(&bias), &window, groups, Activation::Linear),
                conv2d(&x, &kernel, Some(&bias), &window, groups),
                &[&x, &kernel, &bias],
            );
            agree(cpu::max_pool2d(&x, &window), max_pool2d(&x, &window), &[&x]);
        }
        for (strides, padding) in [([2, 2], Padding::Valid), ([1, 3], Padding::Same)] {
            let window = Window::new("test", [8, 7], [2, 3], strides, [1, 1], padding).unwrap();
            agree(cpu::max_pool2d(&x, &window), max_pool2d(&x, &window), &[&x]);
            agree(cpu::avg_pool2d(&x, &window), avg_pool2d(&x, &window), &[&x]);
        }
        agree(
            crate::global_max_pool2d(&x).map_err(Into::into),
            global_max_pool2d(&x),
            &[&x],
        );
        agree(
            crate::global_avg_pool2d(&x).map_err(Into::into),
            global_avg_pool2d(&x),
            &[&x],
        );
    }

    #[test]
    fn normalization_and_losses() {
        let (x, gamma, beta) = (var("x", &[9, 4]), var("gamma", &[4]), var("beta", &[4]));
        let fused = cpu::batch_norm_training(&x, &gamma, &beta, 1e-3).unwrap();
        let composed = batch_norm_training(&x, &gamma, &beta, 1e-3).unwrap();
        agree(Ok(fused.0), Ok(composed.0), &[&x, &gamma, &beta]);
        agree(
            Ok((fused.1 - composed.1).unwrap().broadcast_add(&x).unwrap()),
            Ok(x.as_tensor().clone()),
            &[&x],
        );
        agree(
            Ok((fused.2 - composed.2).unwrap().broadcast_add(&x).unwrap()),
            Ok(x.as_tensor().clone()),
            &[&x],
        );
        agree(
            cpu::channel_affine(&x, &gamma, &beta),
            channel_affine(&x, &gamma, &beta),
            &[&x, &gamma, &beta],
        );

        let target = log_softmax(&var("target", &[9, 4])).unwrap().exp().unwrap().detach();
        let labels: Vec<u32> = (0..9).map(|i| i % 4).collect();
        agree(
            cpu::sparse_categorical_crossentropy(&x, labels.iter().map(|label| *label as usize).collect()),
            sparse_categorical_crossentropy(&x, &Tensor::new(labels.as_slice(), &Device::Cpu).unwrap()),
            &[&x],
        );
        agree(
            cpu::categorical_crossentropy(&x, &target),
            categorical_crossentropy(&x, &target),
            &[&x],
        );
        agree(
            cpu::mean_squared_error(&x, &target),
            mean_squared_error(&x, &target),
            &[&x],
        );
        agree(
            cpu::binary_crossentropy(&x, &target),
            binary_crossentropy(&x, &target),
            &[&x],
        );
    }
}
