//! How far a pass over samples is that nothing is learnt in.

use crate::{Control, Error, Result};

/// How far a measuring is; told after every batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pass {
    /// Samples that are measured.
    pub samples: usize,
    /// Samples in all; where several versions of each are asked about, each version counts.
    pub of_samples: usize,
}

/// Whoever waits for a pass, and may end it.
pub(crate) type Watch<'a> = &'a mut dyn FnMut(Pass) -> Control;

/// Tells how far it is; an error where that shall be the end.
pub(crate) fn watched(watch: &mut dyn FnMut(Pass) -> Control, samples: usize, of_samples: usize) -> Result<()> {
    match watch(Pass { samples, of_samples }) {
        Control::Continue => Ok(()),
        Control::Stop => Err(Error::Stopped { samples, of_samples }),
    }
}
