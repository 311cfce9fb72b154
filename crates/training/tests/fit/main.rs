//! Training as a whole: the same bits whatever happens in between, and errors that say what is wrong.

mod bits;
mod boards;
mod callbacks;
mod killed;
mod learning;
mod mixing;
mod options;
mod problems;
mod refusals;
mod resuming;
