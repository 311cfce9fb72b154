//! The operations as their users call them.

mod differences;
mod gradients;
mod losses;
mod pooled;
mod precision;
mod threads;
mod values;
mod volumes;
