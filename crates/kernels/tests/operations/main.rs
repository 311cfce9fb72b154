//! The operations as their users call them.

mod deferred;
mod differences;
mod gradients;
mod losses;
mod pooled;
mod precision;
mod recorded;
mod threads;
mod values;
mod volumes;
