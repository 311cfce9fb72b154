//! Mixed precision: weights in one format, computation in a shorter one.

use candle_core::{DType, Tensor};
use kernels::MatmulPrecision;
use nn_theory::Layer;

use super::Value;
use crate::Result;
use crate::graph::{Pass, Step};

/// The formats that a layer computes in.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Precision {
    /// Everything in the network's format.
    Full(DType),
    /// `mixed_bfloat16` on a CPU in layers of fast kernels: everything in `f32`, but for the factors of matrix products and convolutions,
    /// forward and backward, which are rounded to bfloat16. What lies between two products is a little more exact than in Keras, which
    /// rounds it.
    Products,
    /// Inputs, weights and outputs are rounded to `half`. The arithmetic is that of `arithmetic`: the same where the device
    /// has it, the network's format on a CPU, where candle has no half-precision matrix product, and in normalizations
    /// and softmax layers, whose sums Keras computes in float32 too.
    Half {
        /// The short format.
        half: DType,
        /// The format of the arithmetic.
        arithmetic: DType,
    },
    /// A wrapper: the layers inside have formats of their own.
    Inner,
}

impl Precision {
    /// The formats of a call.
    pub(crate) fn of(step: &Step, pass: &Pass<'_>) -> Self {
        let layer = &step.node.layer;
        match step.half {
            _ if !step.inner.is_empty() => Precision::Inner,
            None => Precision::Full(pass.dtype),
            Some(DType::BF16)
                if pass.device.is_cpu() && pass.dtype == DType::F32 && super::is_recorded(layer, step.trains) =>
            {
                Precision::Products
            }
            Some(half) => {
                let sums = matches!(
                    layer,
                    Layer::BatchNormalization(_)
                        | Layer::LayerNormalization(_)
                        | Layer::GroupNormalization(_)
                        | Layer::RMSNormalization(_)
                        | Layer::UnitNormalization(_)
                        | Layer::Normalization(_)
                        | Layer::Softmax(_)
                );
                let arithmetic = if sums || pass.device.is_cpu() { pass.dtype } else { half };
                Precision::Half { half, arithmetic }
            }
        }
    }

    /// Calls a function of the layer's kernels.
    pub(crate) fn scope<R>(self, function: impl FnOnce() -> R) -> R {
        match self {
            Precision::Products => MatmulPrecision::Medium.scope(function),
            _ => function(),
        }
    }

    /// The inputs as the layer computes with them. Integers stay integers: they are indices.
    pub(crate) fn enter(self, layer: &Layer, mut inputs: Vec<Value>) -> Result<Vec<Value>> {
        let converts = matches!(layer, Layer::Rescaling(_) | Layer::Dense(_) | Layer::Conv2D(_));
        for input in &mut inputs {
            if input.tensor.dtype().is_float() || converts {
                input.tensor = self.round(&input.tensor)?;
            }
        }
        Ok(inputs)
    }

    /// The outputs as the next layer gets them.
    pub(crate) fn leave(self, outputs: &mut [Value]) -> Result<()> {
        if let Precision::Half { half, .. } = self {
            for output in outputs {
                if output.tensor.dtype().is_float() {
                    output.tensor = convert(&output.tensor, half)?;
                }
            }
        }
        Ok(())
    }

    /// A weight or an input in the precision of the computation.
    pub(crate) fn round(self, x: &Tensor) -> candle_core::Result<Tensor> {
        match self {
            Precision::Full(dtype) => convert(x, dtype),
            Precision::Products => convert(x, DType::F32),
            Precision::Half { half, arithmetic } => convert(&convert(x, half)?, arithmetic),
            Precision::Inner => Ok(x.clone()),
        }
    }

    /// A statistic: never rounded to the short format.
    pub(crate) fn keep(self, x: &Tensor) -> candle_core::Result<Tensor> {
        match self {
            Precision::Full(dtype) | Precision::Half { arithmetic: dtype, .. } => convert(x, dtype),
            Precision::Products => convert(x, DType::F32),
            Precision::Inner => Ok(x.clone()),
        }
    }
}

fn convert(x: &Tensor, dtype: DType) -> candle_core::Result<Tensor> {
    if x.dtype() == dtype {
        Ok(x.clone())
    } else {
        x.to_dtype(dtype)
    }
}
