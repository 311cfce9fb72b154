//! Parts of the walk over reference data.

pub(crate) mod lbfgs;
pub(crate) mod slots;
