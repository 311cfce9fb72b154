//! Keras' rarer activation functions, composed of candle operations.
//!
//! The functions of [`Activation`](crate::Activation) are fused into other layers; these are not, because nothing spends its
//! time in them. On a kink each has the derivative that Keras has on TensorFlow.

use candle_core::{D, Tensor};

use crate::activation::{Activation, activation};
use crate::error::{Result, expect_float, shape_error};
use crate::tape;

/// `f(x)`, refused where `x` holds no floating point numbers.
macro_rules! functions {
    ($($(#[$doc:meta])* $name:ident = $f:expr;)*) => {$(
        $(#[$doc])*
        ///
        /// # Errors
        /// If `x` holds integers.
        pub fn $name(x: &Tensor) -> Result<Tensor> {
            expect_float(stringify!($name), "x", x)?;
            let f: fn(&Tensor) -> candle_core::Result<Tensor> = $f;
            tape::composed_of(x, |x| Ok(f(x)?))
        }
    )*};
}

functions! {
    /// $\max(x, 0) + \min(0, e^x - 1)$. At 0 both parts have the derivative 1 in TensorFlow, so that $f'(0) = 2$.
    ///
    /// ```
    /// use candle_core::{Device, Tensor};
    /// let x = Tensor::new(&[-1.0f64, 2.0], &Device::Cpu)?;
    /// assert_eq!(kernels::celu(&x)?.to_vec1::<f64>()?, [(-1f64).exp() - 1.0, 2.0]);
    /// # Ok::<(), kernels::Error>(())
    /// ```
    celu = |x| {
        let zeros = x.zeros_like()?;
        let below = x.le(&zeros)?.where_cond(x, &zeros)?;
        x.ge(&zeros)?.where_cond(x, &zeros)? + (below.exp()? - 1.0)?
    };
    /// $x \cdot \mathrm{relu6}(x + 3) / 6$.
    hard_silu = |x| x * activation(x, Activation::HardSigmoid)?;
    /// $\min(\max(x, -1), 1)$; the derivative at $\pm 1$ is 1.
    hard_tanh = |x| {
        let ones = x.ones_like()?;
        let y = x.gt(&ones)?.where_cond(&ones, x)?;
        let minus = ones.neg()?;
        y.lt(&minus)?.where_cond(&minus, &y)
    };
    /// $\ln(1 / (1 + e^{-x}))$.
    log_sigmoid = |x| activation(&x.neg()?, Activation::Softplus)?.neg();
    /// $x$ where $|x| > 1/2$, else 0.
    hard_shrink = |x| x.abs()?.gt(0.5)?.where_cond(x, &x.zeros_like()?);
    /// $x$ moved towards 0 by 1/2 where $|x| > 1/2$, else 0.
    soft_shrink = |x| {
        let below = x.lt(-0.5)?.where_cond(&(x + 0.5)?, &x.zeros_like()?)?;
        x.gt(0.5)?.where_cond(&(x - 0.5)?, &below)
    };
    /// $x - \tanh x$.
    tanh_shrink = |x| x - x.tanh()?;
    /// 0 up to $-1$, $x$ from 1 on, $(x + 1)^2 / 4$ between.
    sparse_plus = |x| {
        let between = ((x + 1.0)?.sqr()? * 0.25)?;
        let upper = x.lt(1.0)?.where_cond(&between, x)?;
        x.le(-1.0)?.where_cond(&x.zeros_like()?, &upper)
    };
    /// 0 up to $-1$, 1 from 1 on, $(x + 1) / 2$ between.
    sparse_sigmoid = |x| {
        let between = ((x + 1.0)? * 0.5)?;
        let upper = x.ge(1.0)?.where_cond(&x.ones_like()?, &between)?;
        x.le(-1.0)?.where_cond(&x.zeros_like()?, &upper)
    };
    /// $(x + \sqrt{x^2 + 4}) / 2$.
    squareplus = |x| (x + (x.sqr()? + 4.0)?.sqrt()?)? * 0.5;
    /// $x / 2 \cdot (1 + \tanh(\sqrt{2 / \pi} (x + 0.044715 x^3)))$, Keras' `gelu` with `approximate=True`.
    gelu_tanh = |x| {
        let cubic = (x.sqr()? * x)?;
        let inner = ((x + (cubic * 0.044_715)?)? * (2.0 / std::f64::consts::PI).sqrt())?;
        (x * 0.5)? * (inner.tanh()? + 1.0)?
    };
}

/// $x$ where it is above `threshold`, `default_value` elsewhere.
///
/// # Errors
/// If `x` holds integers.
pub fn threshold(x: &Tensor, threshold: f64, default_value: f64) -> Result<Tensor> {
    tape::composed_of(x, |x| {
        expect_float("threshold", "x", x)?;
        let other = x.zeros_like()?.affine(0.0, default_value)?;
        Ok(x.gt(threshold)?.where_cond(x, &other)?)
    })
}

/// Gated linear unit: with the last axis in two halves $(a, b)$, $a / (1 + e^{-b})$ (Dauphin et al., 2017).
///
/// # Errors
/// If the last axis of `x` has an odd size, or `x` holds integers.
///
/// ```
/// use candle_core::{Device, Tensor};
/// let x = Tensor::new(&[[3.0f32, 0.0]], &Device::Cpu)?;
/// assert_eq!(kernels::glu(&x)?.to_vec2::<f32>()?, [[1.5]]);
/// # Ok::<(), kernels::Error>(())
/// ```
pub fn glu(x: &Tensor) -> Result<Tensor> {
    tape::composed_of(x, |x| {
        expect_float("glu", "x", x)?;
        let size = x.dims().last().copied().unwrap_or(1);
        if !size.is_multiple_of(2) {
            return Err(shape_error("glu", "x", "(..., an even number)", x));
        }
        let gate = activation(
            &x.narrow(D::Minus1, size / 2, size / 2)?.contiguous()?,
            Activation::Sigmoid,
        )?;
        Ok((x.narrow(D::Minus1, 0, size / 2)? * gate)?)
    })
}

/// $\max(x - \tau, 0)$ along the last axis, as Keras 3.15 computes sparsemax (Martins and Astudillo, 2016).
///
/// With the values in descending order $z_1 \ge z_2 \ge \dots$, their sums $s_r = z_1 + \dots + z_r$ and the number $k$ of
/// ranks with $1 + r z_r > s_r$, the paper has $\tau = (s_k - 1) / k$, which makes the result sum to 1. Keras adds the sums of
/// all $k$ ranks, $\tau = (s_1 + \dots + s_k - 1) / k$: both agree for $k = 1$ only, and for larger $k$ the result may be
/// all 0. A network described by Keras' name has to compute what Keras does.
///
/// # Errors
/// If `x` is a scalar or holds integers.
///
/// ```
/// use candle_core::{Device, Tensor};
/// let x = Tensor::new(&[[2.0f32, 0.5, -3.0]], &Device::Cpu)?;
/// assert_eq!(kernels::sparsemax(&x)?.to_vec2::<f32>()?, [[1.0, 0.0, 0.0]]);
/// # Ok::<(), kernels::Error>(())
/// ```
pub fn sparsemax(x: &Tensor) -> Result<Tensor> {
    tape::composed_of(x, |x| {
        expect_float("sparsemax", "x", x)?;
        let size = match x.dims().last() {
            Some(&size) if size > 0 => size,
            Some(_) => return Ok(x.clone()),
            None => return Err(shape_error("sparsemax", "x", "(..., classes)", x)),
        };
        // Tau is a weighted sum of the values; the weights depend on their order only and have no gradient.
        let values = x.detach().to_dtype(candle_core::DType::F64)?.flatten_all()?;
        let values: Vec<f64> = values.to_vec1()?;
        let (mut shares, mut counts) = (vec![0.0; values.len()], Vec::new());
        for (row, shares) in values.chunks_exact(size).zip(shares.chunks_exact_mut(size)) {
            let mut order: Vec<usize> = (0..size).collect();
            order.sort_by(|&a, &b| row[b].total_cmp(&row[a]));
            let mut sum = 0.0;
            let supported = order.iter().enumerate().filter(|&(rank, &place)| {
                sum += row[place];
                1.0 + (rank + 1) as f64 * row[place] > sum
            });
            let count = supported.count().max(1);
            for (rank, &place) in order[..count].iter().enumerate() {
                // z_r is part of the sums s_r to s_k.
                shares[place] = (count - rank) as f64 / count as f64;
            }
            counts.push(1.0 / count as f64);
        }
        let as_x = |numbers: Vec<f64>, dims: &[usize]| -> Result<Tensor> {
            let tensor = Tensor::from_vec(numbers, dims, &candle_core::Device::Cpu)?;
            Ok(tensor.to_dtype(x.dtype())?.to_device(x.device())?)
        };
        let mut row_dims = x.dims().to_vec();
        row_dims[x.rank() - 1] = 1;
        let tau = ((x * as_x(shares, x.dims())?)?.sum_keepdim(D::Minus1)? - as_x(counts, &row_dims)?)?;
        let above = x.broadcast_sub(&tau)?;
        Ok(above.ge(0.0)?.where_cond(&above, &x.zeros_like()?)?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};

    /// The derivative against central differences, away from kinks.
    #[test]
    fn derivatives_are_those_of_the_functions() {
        type Function = fn(&Tensor) -> Result<Tensor>;
        let functions: [(&str, Function); 14] = [
            ("celu", celu),
            ("hard_silu", hard_silu),
            ("hard_tanh", hard_tanh),
            ("log_sigmoid", log_sigmoid),
            ("hard_shrink", hard_shrink),
            ("soft_shrink", soft_shrink),
            ("tanh_shrink", tanh_shrink),
            ("sparse_plus", sparse_plus),
            ("sparse_sigmoid", sparse_sigmoid),
            ("squareplus", squareplus),
            ("gelu_tanh", gelu_tanh),
            ("glu", glu),
            ("sparsemax", sparsemax),
            ("threshold", |x| threshold(x, 0.25, -1.0)),
        ];
        let places: Vec<f64> = (0..12).map(|i| f64::from(i) * 0.43 - 2.47).collect();
        let weights = |n: usize| Tensor::from_vec((0..n).map(|i| 1.0 + i as f64).collect(), n, &Device::Cpu).unwrap();
        for (name, f) in functions {
            let value = |places: &[f64]| {
                let x = Tensor::new(places, &Device::Cpu).unwrap();
                let y = f(&x).unwrap();
                (&y * weights(y.elem_count()))
                    .unwrap()
                    .sum_all()
                    .unwrap()
                    .to_scalar::<f64>()
                    .unwrap()
            };
            let x = Var::new(places.as_slice(), &Device::Cpu).unwrap();
            let y = f(&x).unwrap();
            let loss = (&y * weights(y.elem_count())).unwrap().sum_all().unwrap();
            let gradient: Vec<f64> = loss.backward().unwrap().get(&x).unwrap().to_vec1().unwrap();
            for (index, found) in gradient.iter().enumerate() {
                let (mut above, mut below) = (places.clone(), places.clone());
                above[index] += 1e-6;
                below[index] -= 1e-6;
                let expected = (value(&above) - value(&below)) / 2e-6;
                assert!(
                    (found - expected).abs() < 1e-6 * (1.0 + expected.abs()),
                    "{name} at {}: {found}, expected {expected}",
                    places[index]
                );
            }
        }
    }

    #[test]
    fn shapes_without_a_meaning_are_refused() {
        let odd = Tensor::zeros((2, 3), candle_core::DType::F32, &Device::Cpu).unwrap();
        assert!(glu(&odd).unwrap_err().to_string().contains("even"));
        assert!(sparsemax(&Tensor::new(1f32, &Device::Cpu).unwrap()).is_err());
        assert!(celu(&Tensor::new(&[1u32], &Device::Cpu).unwrap()).is_err());
        let none = Tensor::zeros((2, 0), candle_core::DType::F32, &Device::Cpu).unwrap();
        assert_eq!(sparsemax(&none).unwrap().dims(), [2, 0]);
    }
}
