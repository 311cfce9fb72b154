//! Products of `f32` on AMX: factors are split into parts of bfloat16, [`split`], whose tiles are multiplied, [`amx`].

mod amx;
mod convolution;
mod gradient;
mod matmul;
mod pieces;
mod split;

pub(crate) use amx::is_available;
pub(super) use convolution::{Convolution, Lines};
pub(super) use gradient::KernelGradient;
pub(crate) use matmul::Memory;
pub(super) use matmul::{parallel_product, product_into};
pub(crate) use pieces::ROWS_OF_PIECE;
pub(super) use pieces::{gives_pieces, product_in_pieces};

/// Calls a function with the number of parts as a constant.
macro_rules! with_parts {
    ($parts:expr, $function:ident($($argument:expr),* $(,)?)) => {
        match $parts {
            1 => $function::<1>($($argument),*),
            2 => $function::<2>($($argument),*),
            _ => $function::<3>($($argument),*),
        }
    };
}
use with_parts;
