//! Files in the formats that the tests read, written by hand.
#![allow(dead_code, reason = "each test file uses its share")]

use std::io::Write;
use std::path::{Path, PathBuf};

pub(crate) type Bytes = Vec<u8>;

pub(crate) fn gzip(bytes: &[u8]) -> Bytes {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Bytes in which neighbours differ.
pub(crate) fn noise(count: usize) -> Bytes {
    (0..count).map(|index| (index * 37 % 251) as u8).collect()
}

pub(crate) fn idx_images(count: u32, height: u32, width: u32) -> Bytes {
    let mut bytes = vec![0, 0, 8, 3];
    bytes.extend([count, height, width].iter().flat_map(|size| size.to_be_bytes()));
    bytes.extend(noise((count * height * width) as usize));
    bytes
}

pub(crate) fn idx_labels(labels: &[u8]) -> Bytes {
    let mut bytes = vec![0, 0, 8, 1];
    bytes.extend((labels.len() as u32).to_be_bytes());
    bytes.extend(labels);
    bytes
}

/// A whole set of 12 + 5 images of 3 x 2, under the usual names.
pub(crate) fn write_mnist(folder: &Path) {
    let labels: Bytes = (0..12).map(|index| index % 10).collect();
    std::fs::write(folder.join("train-images-idx3-ubyte"), idx_images(12, 3, 2)).unwrap();
    std::fs::write(folder.join("train-labels-idx1-ubyte"), idx_labels(&labels)).unwrap();
    std::fs::write(folder.join("t10k-images-idx3-ubyte"), idx_images(5, 3, 2)).unwrap();
    std::fs::write(folder.join("t10k-labels-idx1-ubyte"), idx_labels(&[9, 0, 1, 2, 3])).unwrap();
}

/// Records of CIFAR-10: the label, then 1,024 bytes of red, of green, of blue.
pub(crate) fn cifar_records(labels: &[u8]) -> Bytes {
    let mut bytes = Vec::new();
    for (index, &label) in labels.iter().enumerate() {
        bytes.push(label);
        bytes.extend(noise(3072).iter().map(|value| value.wrapping_add(index as u8)));
    }
    bytes
}

/// An element of a MATLAB 5.0 file: tag, data, padding.
pub(crate) fn mat_element(kind: u32, data: &[u8]) -> Bytes {
    let mut bytes = [kind.to_le_bytes(), (data.len() as u32).to_le_bytes()].concat();
    bytes.extend(data);
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes
}

/// A variable that holds a matrix of bytes, column after column.
pub(crate) fn mat_variable(name: &str, rows: u32, columns: u32, class: u32, kind: u32, values: &[u8]) -> Bytes {
    let inside = [
        mat_element(6, &[class.to_le_bytes(), [0; 4]].concat()),
        mat_element(5, &[rows.to_le_bytes(), columns.to_le_bytes()].concat()),
        mat_element(1, name.as_bytes()),
        mat_element(kind, values),
    ];
    mat_element(14, &inside.concat())
}

pub(crate) fn mat_header() -> Bytes {
    let mut header = b"MATLAB 5.0 MAT-file, written by a test".to_vec();
    header.resize(124, b' ');
    header.extend([0, 1, b'I', b'M']);
    header
}

/// A compressed variable has no padding.
pub(crate) fn mat_compressed(element: &[u8]) -> Bytes {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(element).unwrap();
    let packed = encoder.finish().unwrap();
    [
        15u32.to_le_bytes().to_vec(),
        (packed.len() as u32).to_le_bytes().to_vec(),
        packed,
    ]
    .concat()
}

/// The message of an error, which is one line and contains all of `words`.
#[track_caller]
pub(crate) fn check_message<T: std::fmt::Debug>(outcome: datasets::Result<T>, words: &[&str]) {
    let message = outcome.unwrap_err().to_string();
    assert!(!message.contains('\n'), "more than one line: {message}");
    for word in words {
        assert!(message.contains(word), "'{word}' is not in: {message}");
    }
}

/// A folder of real data, if it is there; else says so.
#[allow(clippy::print_stdout, reason = "a skipped test says so")]
pub(crate) fn real_data(set: &str) -> Option<PathBuf> {
    let root = std::env::var_os("CANDLE_LAB_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    );
    let folder = root.join(set);
    if !folder.is_dir() {
        println!("skipped: no {set} (set CANDLE_LAB_DATA to a folder that has it)");
        return None;
    }
    Some(folder)
}

pub(crate) fn load_from(name: &str, folder: &Path) -> datasets::Result<datasets::Dataset> {
    datasets::load(name, Some(folder), &mut datasets::Silent)
}
