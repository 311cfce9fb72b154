//! What every target does: read a file, and everything in it, in the memory that a broken file may cost.
#![allow(dead_code, reason = "every target uses a part of it")]

use std::alloc::System;
use std::io::{Cursor, Write as _};
use std::path::Path;

use cap::Cap;
use persistence::{Limits, Source};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// Ends the program where more is asked for than there may be, which the fuzzer then reports.
#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

/// Bytes that reading may take.
const MOST: usize = 50_000_000;

/// Reads `bytes` as a file of this name.
pub(crate) fn read(name: &str, bytes: &[u8]) {
    let limits = Limits {
        bytes: 16 << 20,
        ..Limits::default()
    };
    let source = Source::from_bytes(Path::new(name), bytes.to_vec(), &limits);
    let _ = ALLOCATOR.set_limit(ALLOCATOR.allocated() + MOST);
    match persistence::read(&source) {
        Ok(model) => {
            let state = model.optimizer.iter().flat_map(|optimizer| optimizer.tensors.values());
            for tensor in model.weights.values().chain(state).chain(model.tensors.values()) {
                let _ = tensor.to_f64();
            }
            let _ = model.check();
        }
        Err(error) => {
            let message = error.to_string();
            assert!(!message.contains('\n') && message.chars().count() < 2_000, "not one line: {message}");
        }
    }
    let _ = ALLOCATOR.set_limit(usize::MAX);
}

/// An archive of stored members with the right checksums, which bytes that are changed at random never have.
pub(crate) fn archive(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (name, bytes) in members {
        let written = zip.start_file(*name, options).map(|()| zip.write_all(bytes));
        // Nothing can fail in memory.
        let _ = written;
    }
    zip.finish().map(Cursor::into_inner).unwrap_or_default()
}
