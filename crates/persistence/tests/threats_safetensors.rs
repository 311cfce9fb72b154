//! The row of the list of threats about safetensors: what a header may claim, and what it may not.

mod hostile;

use std::path::Path;

use hostile::safetensors;
use persistence::{Error, Limits, Source};

fn read(bytes: Vec<u8>) -> Result<persistence::Model, Error> {
    persistence::read(&Source::from_bytes(
        Path::new("x.safetensors"),
        bytes,
        &Limits::default(),
    ))
}

/// Refused as malformed, with a message of one line that names the file, the place and the reason.
#[track_caller]
fn refused(bytes: Vec<u8>, place: &str, reason: &str) {
    let error = read(bytes).map(|_| ()).expect_err("was read");
    let message = error.to_string();
    assert!(
        message.starts_with("x.safetensors: ") && !message.contains('\n'),
        "{message}"
    );
    assert!(
        matches!(&error, Error::Malformed { place: found, reason: why, .. } if found.contains(place) && why.contains(reason)),
        "{message}"
    );
}

/// Two tensors of bytes at these places, in a file of `length` bytes of numbers.
fn two(first: [u64; 2], second: [u64; 2], length: usize) -> Vec<u8> {
    let entry = |[start, end]: [u64; 2]| {
        let size = end.saturating_sub(start);
        format!(r#"{{"dtype":"U8","shape":[{size}],"data_offsets":[{start},{end}]}}"#)
    };
    let header = format!(r#"{{"a":{},"b":{}}}"#, entry(first), entry(second));
    safetensors(&header, &vec![7; length])
}

#[test]
fn safetensors_whole_files_are_read() {
    assert_eq!(read(two([0, 4], [4, 6], 6)).unwrap().weights.len(), 2);
    // In any order of the names.
    assert_eq!(read(two([2, 6], [0, 2], 6)).unwrap().weights.len(), 2);
}

#[test]
fn safetensors_header_lengths_that_are_wrong() {
    let whole = two([0, 4], [4, 6], 6);
    let stated = u64::from_le_bytes(*whole.first_chunk().unwrap());
    for length in [0, 1, stated - 1, stated + 1, stated + 7, 1 << 32, 1 << 62, u64::MAX] {
        let bytes = [&length.to_le_bytes()[..], &whole[8..]].concat();
        assert!(read(bytes).is_err(), "{length}");
    }
    refused(
        [&(1u64 << 40).to_le_bytes()[..], &whole[8..]].concat(),
        "bytes 0 to 7",
        "",
    );
}

#[test]
fn safetensors_overlapping_offsets() {
    refused(two([0, 4], [2, 6], 6), "header", "offset");
    refused(two([0, 6], [0, 6], 6), "header", "offset");
}

#[test]
fn safetensors_reversed_offsets() {
    refused(two([4, 0], [4, 6], 6), "header", "offset");
}

#[test]
fn safetensors_offsets_beyond_the_file_and_all_addresses() {
    refused(two([0, 4], [4, 8], 6), "data", "");
    for end in [u64::MAX, u64::MAX - 1, 1 << 63, 1 << 40] {
        assert!(read(two([0, 4], [4, end], 6)).is_err(), "{end}");
    }
}

#[test]
fn safetensors_shapes_that_overflow() {
    for shape in [
        "[18446744073709551615]",
        "[4294967296,4294967296]",
        "[9223372036854775807,2]",
        "[2]",
        "[]",
        "[-1]",
        "[1.5]",
    ] {
        let header = format!(r#"{{"a":{{"dtype":"F32","shape":{shape},"data_offsets":[0,0]}}}}"#);
        assert!(read(safetensors(&header, &[])).is_err(), "{shape}");
    }
}

#[test]
fn safetensors_holes_and_bytes_that_belong_to_nobody() {
    refused(two([0, 2], [4, 6], 6), "header", "offset");
    refused(two([2, 4], [4, 6], 6), "header", "offset");
    refused(two([0, 4], [4, 6], 9), "data", "");
}

#[test]
fn safetensors_names_that_are_there_twice() {
    let entry = r#"{"dtype":"U8","shape":[2],"data_offsets":[0,2]}"#;
    refused(
        safetensors(&format!(r#"{{"a":{entry},"a":{entry}}}"#), &[1, 2]),
        "header",
        "'a' is there twice",
    );
    let escaped = format!(r#"{{"a":{entry},"\u0061":{entry}}}"#);
    refused(safetensors(&escaped, &[1, 2]), "header", "'a' is there twice");
}

#[test]
fn safetensors_headers_that_are_no_text() {
    let mut bytes = two([0, 4], [4, 6], 6);
    let at = bytes.iter().position(|&byte| byte == b'a').unwrap();
    bytes[at] = 0xff;
    refused(bytes, "header", "");
    for header in [
        "{",
        "{}}",
        "[]",
        "{\"a\":1}",
        "{\"a\":null}",
        "{\"__metadata__\":[]}",
        "{\"__metadata__\":{\"k\":1}}",
    ] {
        assert!(read(safetensors(header, &[])).is_err(), "{header}");
    }
}

#[test]
fn safetensors_tensors_without_end() {
    let entries: Vec<String> = (0..200_000)
        .map(|number| format!(r#""{number}":{{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}"#))
        .collect();
    refused(
        safetensors(&format!("{{{}}}", entries.join(",")), &[]),
        "header",
        "200000 tensors, at most",
    );
}
