//! Losses and metrics as their users call them.

mod losses;
mod metrics;
