//! Files of earlier versions of the format are read.

mod common;

use std::fs;

use candle_core::Device;
use persistence::Error;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// The file as version 1 had it: no checksums of tensors, and one over the whole file.
fn version_1(file: &[u8]) -> Vec<u8> {
    let length = u64::from_le_bytes(*file.first_chunk().unwrap()) as usize;
    let mut header: Value = serde_json::from_slice(&file[8..8 + length]).unwrap();
    let zeros = "0".repeat(64);
    let texts = header["__metadata__"].as_object_mut().unwrap();
    assert!(texts.remove("crc32").is_some());
    texts.insert("version".to_string(), json!("1"));
    texts.insert("sha256".to_string(), json!(zeros));
    let text = header.to_string();
    let mut old = [
        &(text.len() as u64).to_le_bytes()[..],
        text.as_bytes(),
        &file[8 + length..],
    ]
    .concat();
    let sum: String = Sha256::digest(&old).iter().map(|byte| format!("{byte:02x}")).collect();
    let at = old.windows(64).position(|part| part == zeros.as_bytes()).unwrap();
    old[at..at + 64].copy_from_slice(sum.as_bytes());
    old
}

#[test]
fn version_1_comes_back_to_the_bit() {
    let folder = tempfile::tempdir().unwrap();
    let (path, old) = (
        folder.path().join("now.safetensors"),
        folder.path().join("old.safetensors"),
    );
    let now = common::file();
    fs::write(&path, &now).unwrap();
    fs::write(&old, version_1(&now)).unwrap();
    let expected = persistence::load(&path, &Device::Cpu).unwrap();
    let found = persistence::load(&old, &Device::Cpu).unwrap();
    assert_eq!(
        common::weight_bits(&expected.network),
        common::weight_bits(&found.network)
    );
    let state = |saved: persistence::SavedModel| common::state_bits(&saved.optimizer.unwrap());
    assert_eq!(expected.metadata, found.metadata);
    assert_eq!(state(expected), state(found));
    // What is written from it is a file of this version, the same as if it had always been one.
    let again = folder.path().join("again.safetensors");
    persistence::write(&again, &persistence::open(&old).unwrap()).unwrap();
    assert!(fs::read(again).unwrap() == now);
}

#[test]
fn version_1_notices_a_changed_bit_anywhere() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("old.safetensors");
    let old = version_1(&common::file());
    for at in [old.len() - 1, old.len() - 1000] {
        let mut bytes = old.clone();
        bytes[at] ^= 4;
        fs::write(&path, bytes).unwrap();
        // The one checksum is of the whole file, so it is compared when the file is opened.
        let error = persistence::open(&path).map(|_| ()).unwrap_err();
        assert!(
            matches!(&error, Error::Checksum { place, .. } if place == "the file"),
            "{error}"
        );
    }
}
