//! Whole steps: the two executions agree, state survives, faults are named.

mod faults;
mod lbfgs;
mod parts;
mod pieces;
mod problem;
mod state;
mod update;
