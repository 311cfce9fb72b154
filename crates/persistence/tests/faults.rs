//! Files that are damaged, foreign, or lie; folders that cannot be written to: an error with the file and what to do,
//! never a panic, never another model.

mod common;

use std::fs;
use std::path::Path;

use candle_core::{Device, Tensor};
use common::{metadata, network, small, state_bits, weight_bits};
use nn_theory::{Dense, ModelSpec};
use persistence::{Contents, Error, Metadata, Precision, SavedModel};
use proptest::prelude::*;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

fn load(bytes: &[u8]) -> Result<SavedModel, Error> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    fs::write(&path, bytes).unwrap();
    // listing must stand the same files
    let _ = persistence::inspect(&path);
    let loaded = persistence::load(&path, &Device::Cpu);
    if let Err(error) = &loaded {
        let message = error.to_string();
        assert!(
            message.contains("model.safetensors"),
            "does not name the file: {message}"
        );
        assert!(
            !message.contains('\n') && message.chars().count() < 1_000,
            "not one line: {message}"
        );
    }
    loaded
}

#[track_caller]
fn refused(bytes: &[u8]) -> Error {
    load(bytes).map(|_| ()).expect_err("was loaded")
}

/// Changes header and data of a file, and gives it the checksums that `docs/formats.md` defines.
fn craft(bytes: &[u8], change: impl FnOnce(&mut Value, &mut Vec<u8>)) -> Vec<u8> {
    let length = u64::from_le_bytes(*bytes.first_chunk().unwrap()) as usize;
    let mut header: Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let mut data = bytes[8 + length..].to_vec();
    let zeros = "0".repeat(64);
    header["__metadata__"]["sha256"] = json!(zeros);
    let mut places: Vec<(usize, usize)> = header
        .as_object()
        .unwrap()
        .values()
        .filter_map(|entry| {
            let offset = |index: usize| Some(entry["data_offsets"].get(index)?.as_u64()? as usize);
            Some((offset(0)?, offset(1)?))
        })
        .collect();
    places.sort_unstable();
    let sums: String = places
        .iter()
        .map(|&(start, end)| format!("{:08x}", crc32fast::hash(&data[start..end])))
        .collect();
    assert_eq!(header["__metadata__"]["crc32"], json!(sums));
    change(&mut header, &mut data);
    let text = header.to_string();
    let mut file = (text.len() as u64).to_le_bytes().to_vec();
    file.extend(text.as_bytes());
    let digest: String = Sha256::digest(&file).iter().map(|byte| format!("{byte:02x}")).collect();
    if let Some(at) = file.windows(64).position(|part| part == zeros.as_bytes()) {
        file[at..at + 64].copy_from_slice(digest.as_bytes());
    }
    file.extend(data);
    file
}

/// Changes one text of the metadata.
fn with_text(key: &str, text: &str) -> Vec<u8> {
    craft(&common::file(), |header, _| header["__metadata__"][key] = json!(text))
}

fn without_text(key: &str) -> Vec<u8> {
    craft(&common::file(), |header, _| {
        header["__metadata__"].as_object_mut().unwrap().remove(key);
    })
}

#[test]
fn a_file_with_the_documented_checksum_is_loaded() {
    let original = load(&common::file()).unwrap();
    let crafted = load(&craft(&common::file(), |_, _| {})).unwrap();
    assert_eq!(weight_bits(&original.network), weight_bits(&crafted.network));
    // keys that this version does not know are left alone
    assert!(load(&with_text("note", "hello")).is_ok());
}

#[test]
fn a_file_that_ends_anywhere_is_refused() {
    let whole = common::file();
    let header = 8 + u64::from_le_bytes(*whole.first_chunk().unwrap()) as usize;
    let near = |place: usize| (place.saturating_sub(9)..place + 9).filter(|&end| end < whole.len());
    let everywhere = (0..whole.len()).step_by(97);
    for end in near(0).chain(near(header)).chain(near(whole.len())).chain(everywhere) {
        // Of the first bytes nobody can tell what they are the beginning of.
        let error = refused(&whole[..end]);
        let unknown = end < 9 && matches!(error, Error::UnknownFormat { .. });
        assert!(
            unknown || matches!(error, Error::Malformed { .. }),
            "cut at {end}: {error}"
        );
    }
    let mut longer = whole.clone();
    longer.push(0);
    assert!(matches!(refused(&longer), Error::Malformed { .. }));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A bit, a byte, a run of bytes: an error, or exactly the same model.
    #[test]
    fn changed_bytes_are_noticed(
        at in any::<prop::sample::Index>(), in_header: bool, with in prop::collection::vec(any::<u8>(), 1..6), bit in 0u8..9,
    ) {
        let whole = common::file();
        let header = 8 + u64::from_le_bytes(*whole.first_chunk().unwrap()) as usize;
        let mut bytes = whole.clone();
        let at = at.index(if in_header { header } else { whole.len() });
        if bit < 8 {
            bytes[at] ^= 1 << bit;
        } else {
            bytes.iter_mut().skip(at).zip(with).for_each(|(byte, new)| *byte = new);
        }
        match load(&bytes) {
            Err(_) => prop_assert!(bytes != whole),
            Ok(saved) => {
                let original = load(&whole).unwrap();
                prop_assert_eq!(weight_bits(&saved.network), weight_bits(&original.network));
                prop_assert_eq!(state_bits(&saved.optimizer.unwrap()), state_bits(&original.optimizer.unwrap()));
                prop_assert_eq!(saved.metadata, original.metadata);
            }
        }
    }

    #[test]
    fn any_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..300), length in 0u64..300) {
        prop_assert!(load(&bytes).is_err());
        let mut with_length = length.to_le_bytes().to_vec();
        with_length.extend(bytes);
        prop_assert!(load(&with_length).is_err());
    }
}

#[test]
fn a_header_that_claims_to_be_huge_is_refused_without_being_read() {
    for claim in [u64::MAX, 1 << 63, 1 << 40, 200_000_000] {
        let mut bytes = claim.to_le_bytes().to_vec();
        bytes.extend([b'{'; 64]);
        assert!(matches!(refused(&bytes), Error::Malformed { .. }), "{claim}");
    }
    let deep = "[".repeat(100_000);
    let mut bytes = (deep.len() as u64).to_le_bytes().to_vec();
    bytes.extend(deep.as_bytes());
    assert!(matches!(refused(&bytes), Error::UnknownFormat { .. }));
    let deep = format!("{{\"a\":{deep}");
    let mut bytes = (deep.len() as u64).to_le_bytes().to_vec();
    bytes.extend(deep.as_bytes());
    assert!(matches!(refused(&bytes), Error::Malformed { .. }));
}

#[test]
fn missing_and_foreign_metadata_are_named() {
    for key in ["version", "model", "precision", "metadata", "sha256", "crc32"] {
        let error = refused(&without_text(key));
        assert!(
            matches!(error, Error::NoModel { key: found, .. } if found == key),
            "{key}: {error}"
        );
    }
    for foreign in [without_text("format"), with_text("format", "pt")] {
        assert!(matches!(refused(&foreign), Error::NoDescription { .. }));
    }
    for version in ["3", "", "1.0", &"9".repeat(5_000)] {
        assert!(
            matches!(refused(&with_text("version", version)), Error::Version { .. }),
            "{version:.9}"
        );
    }
}

#[test]
fn metadata_that_make_no_sense_are_named() {
    for (key, text) in [
        ("precision", "\"f8\""),
        ("precision", ""),
        ("metadata", "{"),
        ("metadata", "{\"classes\":[1]}"),
        ("metadata", "{\"training\":{\"seed\":-1}}"),
        ("optimizer", "[]"),
        ("trainable", "{\"logits/kernel\":1}"),
    ] {
        let error = refused(&with_text(key, text));
        assert!(
            matches!(error, Error::Metadata { key: found, .. } if found == key),
            "{key}: {error}"
        );
    }
    for (key, text) in [
        ("model", ""),
        ("model", "{}"),
        ("model", &"[".repeat(50_000)),
        ("optimizer", "{\"class_name\":\"Adamant\",\"config\":{}}"),
        (
            "optimizer",
            "{\"class_name\":\"Adam\",\"config\":{\"learning_rate\":-1}}",
        ),
        ("optimizer", "{\"class_name\":\"Adadelta\",\"config\":{}}"),
        ("trainable", "{\"nothing\":true}"),
    ] {
        let error = refused(&with_text(key, text));
        assert!(matches!(error, Error::Content { .. }), "{key} = {text:.40}: {error}");
    }
}

#[test]
fn a_checksum_that_is_none_is_refused() {
    for sum in ["", "0", "é", &"g".repeat(64), &"0".repeat(63), &"0".repeat(1_000)] {
        let file = common::file();
        let listed = stated_sum(&file);
        let length = u64::from_le_bytes(*file.first_chunk().unwrap()) as usize;
        let header = String::from_utf8(file[8..8 + length].to_vec())
            .unwrap()
            .replace(&listed, sum);
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.extend(&file[8 + length..]);
        assert!(matches!(refused(&bytes), Error::Checksum { .. }), "{sum:.9}");
    }
}

fn stated_sum(file: &[u8]) -> String {
    let (_, header) = safetensors::SafeTensors::read_metadata(file).unwrap();
    header.metadata().as_ref().unwrap()["sha256"].clone()
}

#[test]
fn tensors_that_do_not_fit_the_description_are_named() {
    let rename = |from: &'static str, to: &'static str| {
        craft(&common::file(), |header, _| {
            let object = header.as_object_mut().unwrap();
            let entry = object.remove(from).unwrap();
            object.insert(to.to_string(), entry);
        })
    };
    let error = refused(&rename("logits/bias", "logits/bios"));
    assert!(
        matches!(&error, Error::ExtraTensor { tensor, .. } if tensor == "logits/bios"),
        "{error}"
    );
    let error = refused(&rename(
        "@optimizer/logits/bias/momentum",
        "@optimizer/logits/bios/momentum",
    ));
    assert!(matches!(&error, Error::ExtraTensor { .. }), "{error}");
    let error = refused(&rename("@optimizer/iterations", "@optimizer/repetitions"));
    assert!(matches!(&error, Error::Content { .. }), "{error}");

    let shape = |name: &'static str, shape: Value| craft(&common::file(), |header, _| header[name]["shape"] = shape);
    let error = refused(&shape("logits/kernel", json!([2, 4])));
    assert!(
        matches!(&error, Error::Shape { expected, found, .. } if expected == &[4, 2] && found == &[2, 4]),
        "{error}"
    );
    assert!(matches!(
        refused(&shape("logits/kernel", json!([8]))),
        Error::Shape { .. }
    ));
    assert!(matches!(
        refused(&shape("logits/kernel", json!([4, 3]))),
        Error::Malformed { .. }
    ));
    assert!(matches!(
        refused(&shape("logits/kernel", json!([u64::MAX, 2]))),
        Error::Malformed { .. }
    ));
    let error = refused(&shape("@optimizer/logits/kernel/momentum", json!([8])));
    assert!(matches!(&error, Error::Content { .. }), "{error}");

    // four bytes of an integer in the place of four bytes of a float
    for dtype in ["I32", "U32"] {
        let error = refused(&craft(&common::file(), |header, _| {
            header["logits/bias"]["dtype"] = json!(dtype)
        }));
        assert!(
            matches!(&error, Error::NumberFormat { found, .. } if found == dtype),
            "{error}"
        );
    }
}

#[test]
fn a_weight_that_is_missing_is_named() {
    // The last tensor of the file, so that no gap is left in the data.
    let error = refused(&craft(&common::file(), |header, data| {
        let object = header.as_object_mut().unwrap();
        let (name, entry) = object
            .iter()
            .next_back()
            .map(|(name, entry)| (name.clone(), entry.clone()))
            .unwrap();
        assert_eq!(name, "logits/kernel");
        object.remove(&name);
        data.truncate(entry["data_offsets"][0].as_u64().unwrap() as usize);
        let sums = object["__metadata__"]["crc32"].as_str().unwrap();
        let others = sums[..sums.len() - 8].to_string();
        object["__metadata__"]["crc32"] = json!(others);
    }));
    assert!(
        matches!(&error, Error::MissingWeight { weight, .. } if weight == "logits/kernel"),
        "{error}"
    );
}

#[test]
fn optimizer_state_without_its_optimizer_is_refused() {
    let error = refused(&without_text("optimizer"));
    assert!(
        matches!(&error, Error::ExtraTensor { tensor, .. } if tensor.starts_with("@optimizer/")),
        "{error}"
    );
}

#[test]
fn a_description_of_another_network_is_refused() {
    let other = ModelSpec::sequential("other")
        .input([3])
        .layer(Dense::new(2))
        .build()
        .unwrap();
    assert!(matches!(
        refused(&with_text("model", &other.to_keras_json())),
        Error::ExtraTensor { .. } | Error::Shape { .. }
    ));
    // larger than any memory: the tensors are compared before anything is allocated
    let vast = ModelSpec::sequential("vast")
        .input([1 << 40])
        .layer(Dense::new(1 << 20))
        .build();
    if let Ok(vast) = vast {
        refused(&with_text("model", &vast.to_keras_json()));
    }
}

#[test]
fn weights_that_are_not_numbers_are_kept() {
    let mut network = network(small(), 7);
    let odd = [f32::NAN, f32::INFINITY, -0.0, 1e-45].repeat(2);
    network
        .set_weight("logits/kernel", &Tensor::from_vec(odd, (4, 2), &Device::Cpu).unwrap())
        .unwrap();
    for precision in Precision::ALL {
        let metadata = Metadata::default();
        let contents = Contents {
            network: &network,
            optimizer: None,
            metadata: &metadata,
        };
        let saved = load(&persistence::to_bytes(&contents, precision).unwrap()).unwrap();
        let kernel = saved
            .network
            .weight("logits/kernel")
            .unwrap()
            .var
            .flatten_all()
            .unwrap();
        let found = kernel
            .to_dtype(candle_core::DType::F64)
            .unwrap()
            .to_vec1::<f64>()
            .unwrap();
        assert!(
            found[0].is_nan() && found[1] == f64::INFINITY && found[2].is_sign_negative(),
            "{precision}"
        );
        assert_eq!(found[3] > 0.0, precision.bytes() >= 4, "{precision}");
    }
}

#[test]
fn a_weight_that_the_format_cannot_hold_is_named() {
    let mut network = network(small(), 7);
    let value = Tensor::new(&[70_000f32, 1.0], &Device::Cpu).unwrap();
    network.set_weight("logits/bias", &value).unwrap();
    let metadata = Metadata::default();
    let contents = Contents {
        network: &network,
        optimizer: None,
        metadata: &metadata,
    };
    let error = persistence::to_bytes(&contents, Precision::F16).unwrap_err();
    assert!(
        matches!(&error, Error::Overflow { weight, .. } if weight == "logits/bias"),
        "{error}"
    );
    assert!(persistence::to_bytes(&contents, Precision::Bf16).is_ok());
}

#[test]
fn layers_with_names_of_the_format_are_refused() {
    for name in ["@optimizer", "@optimizer/dense"] {
        let Ok(spec) = ModelSpec::sequential("odd")
            .input([2])
            .layer(Dense::new(1).name(name))
            .build()
        else {
            continue;
        };
        let (network, metadata) = (network(spec, 1), Metadata::default());
        let contents = Contents {
            network: &network,
            optimizer: None,
            metadata: &metadata,
        };
        let error = persistence::to_bytes(&contents, Precision::F32).unwrap_err();
        assert!(matches!(error, Error::ReservedName { .. }), "{error}");
    }
}

fn save(path: &Path) -> Result<u64, Error> {
    let (network, metadata) = (network(small(), 7), metadata());
    let contents = Contents {
        network: &network,
        optimizer: None,
        metadata: &metadata,
    };
    persistence::save(path, &contents, Precision::F32)
}

#[test]
fn only_the_ending_of_the_format_is_written() {
    let folder = tempfile::tempdir().unwrap();
    for name in [
        "model",
        "model.tflite",
        "model.safetensors.bak",
        ".safetensors",
        "model.",
    ] {
        let error = save(&folder.path().join(name)).unwrap_err();
        assert!(matches!(error, Error::Ending { .. }), "{name}: {error}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    assert!(save(&folder.path().join("MODEL.SafeTensors")).is_ok());
}

#[test]
fn a_place_that_cannot_be_written_to_is_named_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    // no such folder; a file where a folder should be; a folder where the file should be
    let file = folder.path().join("file");
    fs::write(&file, "text").unwrap();
    let taken = folder.path().join("taken.safetensors");
    fs::create_dir(&taken).unwrap();
    for path in [
        folder.path().join("missing/model.safetensors"),
        file.join("model.safetensors"),
        taken.clone(),
    ] {
        let error = save(&path).unwrap_err();
        assert!(matches!(error, Error::Write { .. }), "{error}");
        assert!(error.to_string().contains(&path.display().to_string()), "{error}");
    }
    let mut left: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    left.sort();
    assert_eq!(left, ["file", "taken.safetensors"], "a partial file was left");
}

#[cfg(target_os = "linux")]
#[test]
fn a_folder_that_takes_no_files_is_an_error() {
    // Nobody, not even root, can make a file in /proc.
    let error = save(Path::new("/proc/model.safetensors")).unwrap_err();
    assert!(matches!(error, Error::Write { .. }), "{error}");
}

#[test]
fn the_old_file_is_replaced_as_a_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    fs::write(&path, "something older, and longer than a header").unwrap();
    save(&path).unwrap();
    assert!(persistence::load(&path, &Device::Cpu).is_ok());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn what_is_no_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    for path in [folder.path().to_path_buf(), folder.path().join("missing.safetensors")] {
        let error = persistence::load(&path, &Device::Cpu).map(|_| ()).unwrap_err();
        assert!(matches!(error, Error::Read { .. }), "{error}");
    }
    #[cfg(unix)]
    for device in ["/dev/zero", "/dev/null"] {
        let error = persistence::load(Path::new(device), &Device::Cpu)
            .map(|_| ())
            .unwrap_err();
        assert!(matches!(error, Error::Read { .. }), "{error}");
    }
}

#[test]
fn a_file_that_is_too_large_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vast.safetensors");
    // A hole: it takes no space on most file systems.
    fs::File::create(&path)
        .unwrap()
        .set_len(persistence::MAX_BYTES + 1)
        .unwrap();
    let error = persistence::load(&path, &Device::Cpu).map(|_| ()).unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. }), "{error}");
}
