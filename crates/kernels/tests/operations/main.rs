//! The operations as their users call them.

mod differences;
mod gradients;
mod threads;
mod values;
