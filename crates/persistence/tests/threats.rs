//! Attacks on the loaders of model files, one test a row of the list of known ones: nothing runs, nothing outside of the file is
//! touched, nothing is allocated on a file's word.

mod common;
mod hostile;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use candle_core::Device;
use common::{network, small};
use hdf5_pure::{AttrValue, FileBuilder};
use nn_theory::ModelSpec;
use persistence::{Contents, Error, Limits, Metadata, Model, Precision};
use serde_json::{Value, json};
use tempfile::TempDir;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

/// A folder with a good file of each of Keras' formats.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        let files = Files(tempfile::tempdir().unwrap());
        let (network, metadata) = (network(small(), 7), Metadata::default());
        let contents = Contents {
            network: &network,
            optimizer: None,
            metadata: &metadata,
        };
        for name in ["good.keras", "good.h5", "good.weights.h5"] {
            persistence::save(&files.path(name), &contents, Precision::F32).unwrap();
        }
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// The members of the good archive, after a change.
    fn archive(&self, change: impl FnOnce(&mut Vec<(String, Vec<u8>)>)) -> PathBuf {
        let mut zip = ZipArchive::new(fs::File::open(self.path("good.keras")).unwrap()).unwrap();
        let mut members: Vec<(String, Vec<u8>)> = Vec::new();
        for index in 0..zip.len() {
            let mut member = zip.by_index(index).unwrap();
            let mut bytes = Vec::new();
            std::io::Read::read_to_end(&mut member, &mut bytes).unwrap();
            members.push((member.name().unwrap().to_string(), bytes));
        }
        change(&mut members);
        let path = self.path("changed.keras");
        let mut zip = ZipWriter::new(fs::File::create(&path).unwrap());
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        for (name, bytes) in members {
            zip.start_file(name, options).unwrap();
            zip.write_all(&bytes).unwrap();
        }
        zip.finish().unwrap();
        path
    }

    /// The good archive with another `config.json`.
    fn config(&self, change: impl FnOnce(&mut Value)) -> PathBuf {
        self.archive(|members| {
            let (_, bytes) = members.iter_mut().find(|(name, _)| name == "config.json").unwrap();
            let mut config: Value = serde_json::from_slice(bytes).unwrap();
            change(&mut config);
            *bytes = config.to_string().into_bytes();
        })
    }

    /// The good archive with other weights.
    fn weights(&self, weights: Vec<u8>) -> PathBuf {
        self.archive(|members| {
            members
                .iter_mut()
                .find(|(name, _)| name == "model.weights.h5")
                .unwrap()
                .1 = weights;
        })
    }
}

/// Opens and builds: the error that somebody who wants to use the model gets.
#[track_caller]
fn refused(path: &Path) -> Error {
    let error = persistence::load(path, &Device::Cpu)
        .map(|_| ())
        .expect_err("was loaded");
    assert!(
        error.to_string().contains(path.file_name().unwrap().to_str().unwrap()),
        "{error}"
    );
    error
}

/// Puts a layer of another class in the place of the one before the last, which has no influence on the places of weights.
fn with_layer(files: &Files, class: &str, module: &str, config: Value) -> PathBuf {
    files.config(|model| {
        let layers = model["config"]["layers"].as_array_mut().unwrap();
        let place = layers
            .iter()
            .position(|layer| layer["class_name"] == "Flatten")
            .unwrap();
        let registered = if module == "keras.layers" {
            Value::Null
        } else {
            json!(format!("{module}>{class}"))
        };
        layers[place] = json!({"module": module, "class_name": class, "config": config, "registered_name": registered});
    })
}

#[test]
fn cve_2024_3660_and_cve_2026_12481_lambda_layers_with_byte_code() {
    let files = Files::new();
    let code =
        json!({"class_name": "__lambda__", "config": {"code": "4wEAAAAAAAAA", "defaults": null, "closure": null}});
    let path = with_layer(
        &files,
        "Lambda",
        "keras.layers",
        json!({"name": "flatten", "function": code, "arguments": {}}),
    );
    // It is shown, said not to be run, and cannot be computed with.
    if let Ok(model) = persistence::open(&path) {
        assert!(
            model
                .notes
                .iter()
                .any(|note| note.contains("Lambda") && note.contains("never run")),
            "{:?}",
            model.notes
        );
    }
    let error = refused(&path);
    assert!(error.to_string().contains("Lambda"), "{error}");
}

#[test]
fn cve_2025_1550_modules_and_functions_by_name() {
    let files = Files::new();
    let call = json!({"module": "os", "class_name": "function", "config": "system", "registered_name": "system"});
    let path = files.config(|model| {
        model["config"]["layers"][1] = json!({
            "module": "os", "class_name": "system", "config": {"name": "conv2d", "command": "touch pwned"}, "registered_name": "os>system",
        });
    });
    refused(&path);
    let path = files.config(|model| model["config"]["layers"][1]["config"]["activation"] = call.clone());
    refused(&path);
    let path = files.config(|model| model["compile_config"] = json!({"optimizer": call, "loss": "mse"}));
    // An optimizer of that name is none, and the network is used without.
    let model = persistence::open(&path).unwrap();
    assert!(model.optimizer.is_none());
    assert_eq!(files.names().iter().filter(|name| name.contains("pwned")).count(), 0);
}

#[test]
fn cve_2025_8747_and_cve_2025_9906_no_switch_makes_loading_unsafe() {
    let files = Files::new();
    let target = files.path("written.txt");
    let path = files.config(|model| {
        model["config"]["layers"][1]["config"]["activation"] = json!({
            "module": "keras.utils", "class_name": "function", "registered_name": "get_file",
            "config": {"fname": target, "origin": "file:///etc/hostname", "safe_mode": false},
        });
        model["safe_mode"] = json!(false);
        model["config"]["enable_unsafe_deserialization"] = json!(true);
    });
    refused(&path);
    assert!(!target.exists());
}

#[test]
fn cve_2025_9905_the_same_policy_for_legacy_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lambda.h5");
    let config = json!({"class_name": "Sequential", "config": {"name": "m", "layers": [
        {"class_name": "InputLayer", "config": {"batch_shape": [null, 3], "dtype": "float32", "name": "x"}},
        {"class_name": "Lambda", "config": {"name": "l", "function": ["4wEAAAAA", null, null], "function_type": "lambda"}},
    ]}});
    let mut builder = FileBuilder::new();
    builder.set_attr("model_config", AttrValue::VarLenString(config.to_string()));
    let mut weights = builder.create_group("model_weights");
    weights.set_attr("layer_names", AttrValue::StringArray(vec!["l".into()]));
    builder.add_group(weights.finish());
    fs::write(&path, builder.finish().unwrap()).unwrap();
    let error = refused(&path);
    assert!(error.to_string().contains("Lambda"), "{error}");
}

#[test]
fn cve_2025_49655_and_cve_2026_12484_torch_module_wrapper() {
    let files = Files::new();
    let path = with_layer(
        &files,
        "TorchModuleWrapper",
        "keras.layers",
        json!({"name": "flatten", "module": "gASVAAAA"}),
    );
    let error = refused(&path);
    assert!(error.to_string().contains("TorchModuleWrapper"), "{error}");
}

#[test]
fn cve_2026_1462_tfsm_layer() {
    let files = Files::new();
    let path = with_layer(
        &files,
        "TFSMLayer",
        "keras.layers",
        json!({"name": "flatten", "filepath": "/tmp/saved_model"}),
    );
    let error = refused(&path);
    assert!(error.to_string().contains("TFSMLayer"), "{error}");
}

#[test]
fn cve_2025_12058_a_vocabulary_is_never_a_path() {
    let files = Files::new();
    let secret = files.path("secret.txt");
    fs::write(&secret, "a word that must not be read").unwrap();
    let path = with_layer(
        &files,
        "StringLookup",
        "keras.layers",
        json!({"name": "flatten", "vocabulary": secret, "max_tokens": null}),
    );
    match persistence::load(&path, &Device::Cpu) {
        Err(error) => assert!(!error.to_string().contains("must not be read"), "{error}"),
        Ok(saved) => assert!(!saved.network.spec().to_keras_json().contains("must not be read")),
    }
}

#[test]
fn cve_2025_12060_and_others_nothing_is_extracted() {
    let files = Files::new();
    let before = files.names();
    for name in [
        "../outside.txt",
        "/tmp/candle-lab-outside.txt",
        "assets/../../outside.txt",
        "C:\\outside.txt",
        "..\\outside.txt",
    ] {
        let path = files.archive(|members| members.push((name.to_string(), b"a line of text".to_vec())));
        let model = persistence::open(&path).unwrap();
        assert!(
            model.notes.iter().any(|note| note.contains("outside")),
            "{:?}",
            model.notes
        );
        fs::remove_file(path).unwrap();
    }
    assert_eq!(files.names(), before);
    assert!(!Path::new("/tmp/candle-lab-outside.txt").exists());
    assert!(!files.0.path().parent().unwrap().join("outside.txt").exists());
}

#[test]
fn cve_2026_0897_and_cve_2026_12570_shapes_that_are_larger_than_the_file() {
    for name in ["shape_bomb", "sum_bomb", "cycle"] {
        let error = persistence::open(&attack(&format!("{name}.weights.h5")))
            .map(|_| ())
            .unwrap_err();
        assert!(matches!(error, Error::Malformed { .. }), "{name}: {error}");
    }
    let files = Files::new();
    // The sum of tensors counts, not only each.
    let small = Limits {
        bytes: 200_000,
        ..Limits::default()
    };
    let mut builder = FileBuilder::new();
    for number in 0..8 {
        builder
            .create_dataset(&format!("part{number}"))
            .with_f32_data(&vec![1.0; 8_000]);
    }
    let path = files.path("sum.weights.h5");
    fs::write(&path, builder.finish().unwrap()).unwrap();
    assert!(persistence::open(&path).is_ok());
    assert!(persistence::open_with(&path, &small).is_err());
}

/// An attack file of h5py, made by `tests/attacks/make_attacks.py`.
fn attack(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/attacks").join(name)
}

#[test]
fn cve_2026_1669_external_storage_is_refused() {
    let error = refused_weights(&attack("external_storage.weights.h5"));
    assert!(
        matches!(&error, Error::Refused { what, .. } if what == "external storage"),
        "{error}"
    );
}

#[test]
fn cve_2026_9335_external_and_soft_links_are_refused_by_name() {
    // In the header of the group, in a heap, and in the symbol table of an older file.
    for (name, kind, target) in [
        (
            "external_link",
            "an external link",
            "'/kernel' of the file '/etc/hostname'",
        ),
        (
            "external_link_in_heap",
            "an external link",
            "'/kernel' of the file '/etc/hostname'",
        ),
        ("soft_link", "a soft link", "'/nowhere/kernel'"),
        ("soft_link_in_table", "a soft link", "'/nowhere/kernel'"),
    ] {
        let path = attack(&format!("{name}.weights.h5"));
        // Whoever only looks at the file is told as well.
        for error in [
            refused_weights(&path),
            persistence::inspect(&path).map(|_| ()).unwrap_err(),
        ] {
            assert!(
                matches!(&error, Error::Refused { place, what, .. }
                    if place.starts_with("the link '0' (byte ") && *what == format!("{kind} to {target}")),
                "{name}: {error}"
            );
        }
    }
}

#[test]
fn cve_2026_9335_links_within_archives_and_legacy_files() {
    let files = Files::new();
    for (name, what) in [("soft_link", "a soft link"), ("external_link", "an external link")] {
        let path = files.weights(fs::read(attack(&format!("{name}.weights.h5"))).unwrap());
        let error = refused(&path);
        assert!(
            matches!(&error, Error::Refused { what: found, .. } if found.starts_with(what)),
            "{name}: {error}"
        );
    }
    let error = refused(&attack("soft_link_legacy.h5"));
    assert!(
        matches!(&error, Error::Refused { what, .. } if what.starts_with("a soft link")),
        "{error}"
    );
}

#[test]
fn cve_2026_12480_virtual_data_sets_are_refused() {
    let error = refused_weights(&attack("virtual.weights.h5"));
    assert!(
        matches!(&error, Error::Refused { what, .. } if what == "a virtual data set"),
        "{error}"
    );
}

/// Weights of the network that the attack files pretend to be of: a dense layer of 2 × 2.
#[track_caller]
fn refused_weights(path: &Path) -> Error {
    let spec = ModelSpec::sequential("dense")
        .input([2])
        .layer(nn_theory::Dense::new(2))
        .build()
        .unwrap();
    let described = persistence::open(path).and_then(|mut model: Model| {
        model.describe(spec)?;
        model.network(&Device::Cpu)
    });
    described.map(|_| ()).expect_err("was loaded")
}

#[test]
fn cve_2026_12479_names_of_layers_are_keys() {
    let files = Files::new();
    let path = files.config(|model| {
        let layers = model["config"]["layers"].as_array_mut().unwrap();
        layers[1]["config"]["name"] = json!("../../etc/passwd");
    });
    let model = persistence::open(&path).unwrap();
    // Whatever it is called, its weights are those of the group of its class.
    assert!(model.weights.contains_key("../../etc/passwd/kernel"));
    let copy = files.path("copy.safetensors");
    persistence::write(&copy, &model).unwrap();
    assert!(persistence::load(&copy, &Device::Cpu).is_ok());
    let error = persistence::write(&files.path("copy.h5"), &model).map(|_| ());
    // HDF5 has paths of its own, in which `..` is a name like any other, or none.
    if error.is_ok() {
        assert!(persistence::load(&files.path("copy.h5"), &Device::Cpu).is_ok());
    }
    assert!(files.0.path().parent().unwrap().join("etc").metadata().is_err());
}

#[test]
fn zip_bombs_are_refused_before_they_are_unpacked() {
    let files = Files::new();
    let text = vec![b' '; 300_000_000];
    let mut packed = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    packed.write_all(&text).unwrap();
    let packed = packed.finish().unwrap();
    let path = files.path("bomb.keras");
    fs::write(
        &path,
        hostile::packed("config.json", &packed, text.len() as u32, crc32fast::hash(&text)),
    )
    .unwrap();
    let error = refused(&path);
    assert!(
        matches!(&error, Error::Malformed { place, .. } if place.contains("config.json")),
        "{error}"
    );
    // A directory that lies about the size is found out when that many bytes are unpacked.
    fs::write(
        &path,
        hostile::packed("config.json", &packed, 1000, crc32fast::hash(&text[..1000])),
    )
    .unwrap();
    let error = refused(&path);
    assert!(
        matches!(&error, Error::Malformed { place, .. } if place.contains("config.json")),
        "{error}"
    );
}

#[test]
fn zip_archives_above_the_budget_are_refused_one_by_one_and_in_sum() {
    let files = Files::new();
    let size = fs::metadata(files.path("good.keras")).unwrap().len();
    let limits = |bytes| Limits {
        bytes,
        ..Limits::default()
    };
    let path = files.archive(|members| {
        for number in 0..4 {
            members.push((format!("assets/{number}"), vec![number; 1000]));
        }
    });
    assert!(persistence::open_with(&path, &limits(2 * size)).is_ok());
    let error = persistence::open_with(&path, &limits(size)).map(|_| ()).unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. }), "{error}");
    // The file itself is within the limit, its members are the same bytes four times.
    let mut bytes = fs::read(files.path("good.keras")).unwrap();
    let names = ["config.json", "metadata.json", "model.weights.h5"];
    let ends: Vec<usize> = names.iter().filter_map(|name| last(&bytes, name.as_bytes())).collect();
    assert_eq!(ends.len(), 3);
    // In the directory the sizes stand 22 and 26 bytes before the name; one that is doubled unpacks to more than there is.
    let at = ends[2] - 26;
    let stored = u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    bytes[at..at + 4].copy_from_slice(&(stored * 2).to_le_bytes());
    bytes[at + 4..at + 8].copy_from_slice(&(stored * 2).to_le_bytes());
    let path = files.path("doubled.keras");
    fs::write(&path, bytes).unwrap();
    let error = persistence::open_with(&path, &limits(size)).map(|_| ()).unwrap_err();
    assert!(
        matches!(&error, Error::Malformed { place, reason, .. } if place.contains("model.weights.h5") && reason.contains("more than the")),
        "{error}"
    );
}

/// Where a text stands last.
fn last(bytes: &[u8], text: &[u8]) -> Option<usize> {
    bytes.windows(text.len()).rposition(|window| window == text)
}

#[test]
fn compressed_members_of_an_honest_archive_are_read() {
    let files = Files::new();
    let mut zip = ZipArchive::new(fs::File::open(files.path("good.keras")).unwrap()).unwrap();
    let mut config = String::new();
    std::io::Read::read_to_string(&mut zip.by_name("config.json").unwrap(), &mut config).unwrap();
    let mut packed = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    packed.write_all(config.as_bytes()).unwrap();
    let path = files.path("packed.keras");
    let sum = crc32fast::hash(config.as_bytes());
    fs::write(
        &path,
        hostile::packed("config.json", &packed.finish().unwrap(), config.len() as u32, sum),
    )
    .unwrap();
    // The description is read; what is missing are the weights.
    let error = refused(&path);
    assert!(
        matches!(&error, Error::Malformed { place, .. } if place.contains("model.weights.h5")),
        "{error}"
    );
}

#[test]
fn a_damaged_weights_file_within_an_archive_is_noticed() {
    let files = Files::new();
    let path = files.path("good.keras");
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes
        .windows(8)
        .position(|window| window == b"\x89HDF\r\n\x1a\n")
        .unwrap();
    bytes[at + 600] ^= 1;
    fs::write(&path, bytes).unwrap();
    let error = refused(&path);
    assert!(
        matches!(&error, Error::Malformed { place, reason, .. } if place.contains("model.weights.h5") && reason.contains("CRC-32")),
        "{error}"
    );
    let files = Files::new();
    let path = files.weights(b"\x89HDF\r\n\x1a\nand then nothing".to_vec());
    assert!(matches!(refused(&path), Error::Malformed { .. }));
}
