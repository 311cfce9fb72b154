//! Parts of the walk over reference data.

pub(crate) mod fresh;
pub(crate) mod lbfgs;
pub(crate) mod slots;
