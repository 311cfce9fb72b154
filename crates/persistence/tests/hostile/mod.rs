//! Files that claim more than they hold, written by hand.
#![allow(dead_code, reason = "every test file uses a part of it")]

use std::io::{Cursor, Write as _};

/// An archive of members that are stored, or deflated with a size that the directory claims.
pub(crate) fn archive(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (name, bytes) in members {
        zip.start_file(*name, options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// One deflated member, of which the directory claims a size.
pub(crate) fn deflated(name: &str, unpacked: &[u8], claimed: u32) -> Vec<u8> {
    let mut packer = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    packer.write_all(unpacked).unwrap();
    packed(name, &packer.finish().unwrap(), claimed, crc32fast::hash(unpacked))
}

/// An archive of one member that is said to be deflated, by hand: the crate is built without a compressor.
pub(crate) fn packed(name: &str, packed: &[u8], size: u32, crc32: u32) -> Vec<u8> {
    let mut fields = Vec::new();
    fields.extend([20u16, 0, 8, 0, 0x21].iter().flat_map(|field| field.to_le_bytes()));
    fields.extend(
        [crc32, packed.len() as u32, size]
            .iter()
            .flat_map(|field| field.to_le_bytes()),
    );
    fields.extend((name.len() as u16).to_le_bytes());
    fields.extend(0u16.to_le_bytes());
    let mut file = b"PK\x03\x04".to_vec();
    file.extend(&fields);
    file.extend(name.as_bytes());
    file.extend(packed);
    let directory = file.len() as u32;
    file.extend(b"PK\x01\x02\x14\x00");
    file.extend(&fields);
    file.extend([0u8; 14]);
    file.extend(name.as_bytes());
    let length = file.len() as u32 - directory;
    file.extend(b"PK\x05\x06\x00\x00\x00\x00\x01\x00\x01\x00");
    file.extend(length.to_le_bytes());
    file.extend(directory.to_le_bytes());
    file.extend([0, 0]);
    file
}

/// A checkpoint of this pickle, with one storage of 16 bytes.
pub(crate) fn checkpoint(pickle: &[u8]) -> Vec<u8> {
    archive(&[("a/data.pkl", pickle), ("a/data/0", &[0; 16]), ("a/version", b"3\n")])
}

fn text(value: &str) -> Vec<u8> {
    [&b"X"[..], &(value.len() as u32).to_le_bytes(), value.as_bytes()].concat()
}

/// `{"w": tensor}` with a storage of `count` floats, and these offset, sizes and strides.
pub(crate) fn tensor(count: i32, offset: i32, sizes: &[i32], strides: &[i32]) -> Vec<u8> {
    let int = |number: i32| [&b"J"[..], &number.to_le_bytes()].concat();
    let tuple = |numbers: &[i32]| {
        [
            b"(".to_vec(),
            numbers.iter().flat_map(|&number| int(number)).collect(),
            b"t".to_vec(),
        ]
        .concat()
    };
    [
        b"\x80\x02}".to_vec(),
        text("w"),
        b"ctorch._utils\n_rebuild_tensor_v2\n((".to_vec(),
        text("storage"),
        b"ctorch\nFloatStorage\n".to_vec(),
        text("0"),
        text("cpu"),
        int(count),
        b"tQ".to_vec(),
        int(offset),
        tuple(sizes),
        tuple(strides),
        b"\x89ccollections\nOrderedDict\n)RtRs.".to_vec(),
    ]
    .concat()
}

/// An array with this header.
pub(crate) fn npy(header: &str, numbers: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(numbers);
    bytes
}

/// A message field of a protocol buffer.
pub(crate) fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut field = vec![number << 3 | 2];
    let mut length = bytes.len();
    while length >= 0x80 {
        field.push(length as u8 | 0x80);
        length >>= 7;
    }
    field.push(length as u8);
    field.extend(bytes);
    field
}

/// A model whose only constant is this `TensorProto`.
pub(crate) fn onnx(tensor: &[u8]) -> Vec<u8> {
    let graph = [field(2, b"g"), field(5, tensor)].concat();
    [
        vec![0x08, 8],
        field(2, b"test"),
        field(7, &graph),
        field(8, &[0x10, 17]),
    ]
    .concat()
}

/// A safetensors file with this header.
pub(crate) fn safetensors(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), data].concat()
}

/// Bytes that no reader can make sense of, the same every time.
fn noise(count: usize) -> Vec<u8> {
    let mut state = 6020u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..count).map(|_| next()).collect()
}

/// A Keras archive of a description, and weights that are none.
fn keras(config: &str) -> Vec<u8> {
    archive(&[("config.json", config.as_bytes()), ("model.weights.h5", &[0; 100])])
}

/// A Keras archive of this many dense layers, with an HDF5 file in which there is nothing for them.
fn keras_without_weights(layers: usize) -> Vec<u8> {
    let layer =
        r#"{"class_name":"Dense","config":{"units":1,"kernel_initializer":{"class_name":"Zeros","config":{}}}}"#;
    let config = format!(
        r#"{{"class_name": "Sequential", "config": {{"name": "m", "layers": [
            {{"class_name": "InputLayer", "config": {{"batch_shape": [null, 1], "dtype": "float32", "name": "x"}}}},{}]}}}}"#,
        vec![layer; layers].join(",")
    );
    let weights = hdf5_pure::FileBuilder::new().finish().unwrap();
    archive(&[("config.json", config.as_bytes()), ("model.weights.h5", &weights)])
}

/// Names and bytes of files that claim terabytes, or are deeper or more than anybody means: all are refused.
pub(crate) fn claims() -> Vec<(&'static str, Vec<u8>)> {
    let long = |length: u64| [&length.to_le_bytes()[..], b"{}"].concat();
    let pickle = |opcodes: &[u8]| checkpoint(&[&b"\x80\x04"[..], opcodes].concat());
    let huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
    let dense = |units: &str| {
        format!(
            r#"{{"class_name": "Sequential", "config": {{"name": "m", "layers": [
                {{"class_name": "InputLayer", "config": {{"batch_shape": [null, {units}], "dtype": "float32", "name": "x"}}}},
                {{"class_name": "Dense", "config": {{"name": "d", "units": {units}}}}}]}}}}"#
        )
    };
    let array = |descr: &str, shape: &str| {
        npy(
            &format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}"),
            &[0; 8],
        )
    };
    // The end of an archive that claims 65,535 members in as many bytes as there may be.
    let members = [
        &b"PK\x03\x04"[..],
        &[0; 60],
        b"PK\x05\x06\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\x7f\x00\x00\x00\x00\x00\x00",
    ]
    .concat();
    vec![
        ("header_of_a_terabyte.safetensors", long(1 << 40)),
        ("header_of_90_megabytes.safetensors", long(90 << 20)),
        ("header_of_all_addresses.safetensors", long(u64::MAX)),
        (
            "shape_of_exabytes.safetensors",
            safetensors(
                r#"{"w":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8]}}"#,
                &[0; 8],
            ),
        ),
        ("deep_header.safetensors", safetensors(&"{\"a\":".repeat(100_000), &[])),
        (
            "deep_lists.safetensors",
            safetensors(&format!("{{\"a\":{}", "[".repeat(1 << 20)), &[]),
        ),
        ("shape_of_terabytes.npy", array("<f4", "(1000000000000,)")),
        (
            "shape_of_many_axes.npy",
            array("<f4", &format!("({})", "9,".repeat(1000))),
        ),
        (
            "header_of_gigabytes.npy",
            [&b"\x93NUMPY\x02\x00\xff\xff\xff\xff"[..], b"{'descr'"].concat(),
        ),
        (
            "garbage_that_claims_99_megabytes.npz",
            packed("w.npy", &noise(1 << 20), 99 << 20, 0),
        ),
        (
            "zeros_that_are_cut.npz",
            packed("w.npy", &vec![0; 1 << 20], 99 << 20, 0),
        ),
        ("bomb.npz", deflated("w.npy", &vec![0; 200 << 20], 200 << 20)),
        ("bomb.pt", deflated("a/data.pkl", &vec![0; 200 << 20], 200 << 20)),
        ("bomb.keras", deflated("config.json", &vec![b' '; 200 << 20], 200 << 20)),
        ("members_that_are_not_there.npz", members),
        ("text_of_exabytes.pt", pickle(b"\x8d\xff\xff\xff\xff\xff\xff\xff\x0fx")),
        ("bytes_of_exabytes.pt", pickle(b"\x8e\xff\xff\xff\xff\xff\xff\xff\x0fx")),
        ("number_of_gigabytes.pt", pickle(b"\x8b\xff\xff\xff\x7fx")),
        ("frame_of_exabytes.pt", pickle(b"\x95\xff\xff\xff\xff\xff\xff\xff\x0f.")),
        ("memory_at_the_end.pt", pickle(b"Nr\xff\xff\xff\xffj\xff\xff\xff\xfe.")),
        ("stack_without_end.pt", pickle(&vec![b'N'; 3 << 20])),
        (
            "tensor_that_repeats.pt",
            checkpoint(&tensor(4, 0, &[1 << 20, 1 << 20], &[0, 0])),
        ),
        (
            "storage_of_gigabytes.pt",
            checkpoint(&tensor(i32::MAX, 0, &[1 << 28], &[1])),
        ),
        (
            "shape_of_exabytes.onnx",
            onnx(
                &[
                    &[0x08][..],
                    &huge,
                    &[0x08, 4, 0x10, 1],
                    &field(8, b"w"),
                    &field(9, &[0; 8]),
                ]
                .concat(),
            ),
        ),
        ("axes_without_end.onnx", onnx(&[0x08, 1].repeat(1 << 19))),
        ("nodes_without_end.onnx", {
            let graph = field(1, &[]).repeat(1 << 19);
            [vec![0x08, 8], field(2, b"t"), field(7, &graph), field(8, &[0x10, 17])].concat()
        }),
        ("units_of_exabytes.keras", keras(&dense("4611686018427387904"))),
        ("units_of_terabytes.keras", keras(&dense("1048576"))),
        ("deep_description.keras", keras(&"{\"config\":".repeat(50_000))),
        ("layers_by_the_thousand.keras", {
            let layers = vec![r#"{"class_name": "ReLU", "config": {}}"#; 10_000].join(",");
            keras(&format!(
                r#"{{"class_name": "Sequential", "config": {{"layers": [{layers}]}}}}"#
            ))
        }),
        // As many as are read, and one more than that.
        ("layers_without_weights.keras", keras_without_weights(2047)),
        ("layers_that_are_too_many.keras", keras_without_weights(2048)),
        ("layers_without_end.keras", {
            let layers = vec![r#"{"class_name":"ReLU"}"#; 40_000].join(",");
            keras(&format!(
                r#"{{"class_name": "Sequential", "config": {{"layers": [{layers}]}}}}"#
            ))
        }),
        (
            "values_without_end.keras",
            keras(&format!("[{}0]", "0,".repeat(1 << 21))),
        ),
    ]
}
