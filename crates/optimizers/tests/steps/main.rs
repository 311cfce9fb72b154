//! Whole steps: the two executions agree, state survives, faults are named.

mod faults;
mod problem;
mod state;
mod update;
