//! What every target does: read a file, and everything in it.

use std::path::Path;

use persistence::{Limits, Source};

/// Reads `bytes` as a file of this name.
pub(crate) fn read(name: &str, bytes: &[u8]) {
    let limits = Limits {
        bytes: 16 << 20,
        ..Limits::default()
    };
    let source = Source::from_bytes(Path::new(name), bytes.to_vec(), &limits);
    if let Ok(model) = persistence::read(&source) {
        let state = model.optimizer.iter().flat_map(|optimizer| optimizer.tensors.values());
        for tensor in model.weights.values().chain(state).chain(model.tensors.values()) {
            let _ = tensor.to_f64();
        }
        let _ = model.check();
    }
}
