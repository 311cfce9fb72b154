//! The numbers that an optimizer remembers for a parameter.

use candle_core::{DType, Device, Tensor};
use kernels::TileMemory;

use crate::error::Result;
use crate::number::Real;

/// One tensor of state. On a CPU it is a plain vector, because the fused update writes it in place.
#[derive(Clone, Debug)]
pub(crate) enum Slot {
    F32(Vec<f32>),
    F64(Vec<f64>),
    Tensor(Tensor),
}

impl Slot {
    /// A state filled with `value`, as a vector if `fused`.
    pub(crate) fn filled(
        value: f64,
        shape: &[usize],
        dtype: DType,
        device: &Device,
        fused: bool,
    ) -> candle_core::Result<Self> {
        let length = shape.iter().product();
        Ok(match dtype {
            DType::F32 if fused => Self::F32(vec![value as f32; length]),
            DType::F64 if fused => Self::F64(vec![value; length]),
            _ => Self::Tensor(Tensor::full(value, shape, device)?.to_dtype(dtype)?),
        })
    }

    /// The state with the values of a tensor, as a vector if `fused`.
    pub(crate) fn from_tensor(tensor: &Tensor, device: &Device, fused: bool) -> candle_core::Result<Self> {
        Ok(match tensor.dtype() {
            DType::F32 if fused => Self::F32(tensor.flatten_all()?.to_vec1()?),
            DType::F64 if fused => Self::F64(tensor.flatten_all()?.to_vec1()?),
            _ => Self::Tensor(tensor.to_device(device)?.copy()?),
        })
    }

    /// A copy as a tensor of the given shape.
    pub(crate) fn to_tensor(&self, shape: &[usize]) -> Result<Tensor> {
        Ok(match self {
            Self::F32(values) => Tensor::from_slice(values, shape, &Device::Cpu)?,
            Self::F64(values) => Tensor::from_slice(values, shape, &Device::Cpu)?,
            Self::Tensor(tensor) => tensor.copy()?,
        })
    }

    /// Sets every entry to 0.
    pub(crate) fn clear(&mut self) -> Result<()> {
        match self {
            Self::F32(values) => values.fill(0.0),
            Self::F64(values) => values.fill(0.0),
            Self::Tensor(tensor) => *tensor = tensor.zeros_like()?,
        }
        Ok(())
    }
}

/// Working memory of an update, kept from step to step.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scratch {
    f32: Vec<f32>,
    f64: Vec<f64>,
    /// For what is done in double precision whatever the weights are.
    pub(crate) exact: Exact,
    /// For products of matrices.
    pub(crate) tiles: TileMemory,
}

/// Working memory in double precision, and for an order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Exact {
    pub(crate) numbers: Vec<f64>,
    pub(crate) order: Vec<usize>,
}

/// A type of which a [`Slot`] and candle's CPU storage can hold slices.
pub(crate) trait Stored: Real {
    fn of_slot(slot: &Slot) -> Option<&[Self]>;
    fn of_slot_mut(slot: &mut Slot) -> Option<&mut [Self]>;
    fn of_storage(storage: &candle_core::CpuStorage) -> Option<&[Self]>;
    fn of_storage_mut(storage: &mut candle_core::CpuStorage) -> Option<&mut [Self]>;
    fn of_scratch(scratch: &mut Scratch) -> &mut Vec<Self>;
}

macro_rules! stored {
    ($($float:ident => $variant:ident),*) => {$(
        impl Stored for $float {
            fn of_slot(slot: &Slot) -> Option<&[Self]> {
                if let Slot::$variant(values) = slot { Some(values) } else { None }
            }
            fn of_slot_mut(slot: &mut Slot) -> Option<&mut [Self]> {
                if let Slot::$variant(values) = slot { Some(values) } else { None }
            }
            fn of_storage(storage: &candle_core::CpuStorage) -> Option<&[Self]> {
                if let candle_core::CpuStorage::$variant(values) = storage { Some(values) } else { None }
            }
            fn of_storage_mut(storage: &mut candle_core::CpuStorage) -> Option<&mut [Self]> {
                if let candle_core::CpuStorage::$variant(values) = storage { Some(values) } else { None }
            }
            fn of_scratch(scratch: &mut Scratch) -> &mut Vec<Self> {
                &mut scratch.$float
            }
        }
    )*};
}
stored!(f32 => F32, f64 => F64);
