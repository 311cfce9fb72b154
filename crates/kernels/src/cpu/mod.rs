//! Fused operations on CPU memory, for f32 and f64.
//!
//! Their callers have checked the shapes; their arguments are on the CPU and have the same type.

// Only the products on tiles use some of what the others share.
#![cfg_attr(not(all(target_arch = "x86_64", target_os = "linux", not(miri))), allow(dead_code))]

mod activation;
mod boxes;
mod columns;
mod conv2d;
mod correlation;
mod depthwise;
mod direct;
pub(crate) mod draws;
mod dropout;
mod elementary;
mod factor;
mod fold;
mod group_norm;
mod linear;
mod loss;
mod matmul;
mod normalization;
mod patches;
mod place;
mod pooling;
mod product;
mod real;
mod rows;
mod scattered;
mod simd;
mod sum;
mod tile;
#[cfg_attr(
    not(all(target_arch = "x86_64", target_os = "linux", not(miri))),
    path = "no_tiles.rs"
)]
mod tiles;
mod whole_pools;

pub(crate) use activation::activation;
pub(crate) use boxes::{Boxes, avg_boxes, max_boxes};
pub(crate) use conv2d::{conv2d, conv2d_max_pool2d};
pub(crate) use depthwise::depthwise;
pub(crate) use dropout::{Mask, dropout};
pub(crate) use fold::fold;
pub(crate) use group_norm::group_norm;
pub(crate) use linear::{kernel_gradient, kernel_gradient_in_pieces, linear};
pub(crate) use loss::{
    binary_crossentropy, categorical_crossentropy, mean_squared_error, sparse_categorical_crossentropy,
};
pub(crate) use normalization::{batch_norm_training, channel_affine};
pub(crate) use pooling::{avg_pool2d, max_pool2d};
pub(crate) use product::product_on_tiles;
pub(crate) use rows::largest_size;
pub(crate) use sum::sum;
pub(crate) use tiles::{Memory as TileMemory, ROWS_OF_PIECE, is_available as has_tiles};
