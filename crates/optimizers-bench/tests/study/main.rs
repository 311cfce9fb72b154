//! Studies as a whole: the same bits however they are run, blind to the test data, and clear about what went wrong.

mod points;
mod refusals;
mod reproducible;
mod results;
