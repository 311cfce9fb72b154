//! Training as a whole: the same bits whatever happens in between, and errors that say what is wrong.

mod bits;
mod learning;
mod problems;
mod refusals;
