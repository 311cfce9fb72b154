//! Attacks on readers of PyTorch's, NumPy's and ONNX' files: a named test for each row of the list of threats that concerns them.
//!
//! Every attack ends in an error that names the place; nothing is run, nothing is written, no memory is asked for on the word of a
//! header.

mod hostile;

use std::path::Path;

use hostile::{archive, checkpoint, deflated, field, npy, onnx, tensor};
use persistence::{Limits, Model, Source};

fn read(name: &str, bytes: Vec<u8>) -> Result<Model, persistence::Error> {
    persistence::read(&Source::from_bytes(Path::new(name), bytes, &Limits::default()))
}

/// Refused, with a message of one line that says what was found.
#[track_caller]
fn refused(name: &str, bytes: Vec<u8>, expected: &[&str]) {
    let message = match read(name, bytes) {
        Err(error) => error.to_string(),
        Ok(model) => panic!("was read: {model:?}"),
    };
    assert!(message.starts_with(name) && !message.contains('\n'), "{message}");
    for part in expected {
        assert!(message.contains(part), "'{part}' is not in: {message}");
    }
}

#[test]
fn a_small_checkpoint_of_this_file_is_read() {
    let model = read("good.pt", checkpoint(&tensor(4, 0, &[2, 2], &[2, 1]))).unwrap();
    assert_eq!(model.weights["w"].shape(), [2, 2]);
}

// CVE-2025-32434, and pickle in general: code in `torch.load`.

#[test]
fn cve_2025_32434_pickle_globals_off_the_list_are_refused_by_name() {
    for name in [
        "os\nsystem",
        "builtins\neval",
        "torch\nload",
        "torch.nn\nLinear",
        "torch._utils\n_rebuild_qtensor",
        "torch.serialization\nload",
    ] {
        let pickle = format!("\x02c{name}\n)R.");
        let pickle = [&[0x80], pickle.as_bytes()].concat();
        refused(
            "evil.pt",
            checkpoint(&pickle),
            &[&name.replace('\n', "."), "byte 2", "nothing was run"],
        );
    }
}

#[test]
fn pickle_stack_globals_are_looked_up_on_the_same_list() {
    let pickle = [
        b"\x80\x04".to_vec(),
        b"\x8c\x02os".to_vec(),
        b"\x8c\x06system".to_vec(),
        b"\x93)R.".to_vec(),
    ]
    .concat();
    refused("evil.pt", checkpoint(&pickle), &["os.system"]);
}

#[test]
fn pickle_opcodes_off_the_list_are_refused() {
    for (opcodes, name) in [
        (&b"(ios\nsystem\n."[..], "INST"),
        (b"(o.", "OBJ"),
        (b"P1\n.", "PERSID"),
        (b"\x82\x01.", "EXT"),
        (b"I1\n.", "protocol 0"),
    ] {
        refused(
            "evil.pt",
            checkpoint(&[b"\x80\x02", opcodes].concat()),
            &[name, "is refused"],
        );
    }
}

#[test]
fn pickle_states_are_given_to_dictionaries_only() {
    refused(
        "evil.pt",
        checkpoint(b"\x80\x02ctorch\nFloatStorage\n}b."),
        &["gives a dictionary to"],
    );
}

#[test]
fn pickle_stack_memo_and_steps_are_bounded() {
    refused(
        "deep.pt",
        checkpoint(&[&b"\x80\x02"[..], &vec![b'N'; 1 << 21]].concat()),
        &["values on the stack"],
    );
    refused(
        "marks.pt",
        checkpoint(&[&b"\x80\x02"[..], &vec![b'('; 1 << 21]].concat()),
        &["marks"],
    );
    refused(
        "long.pt",
        checkpoint(&[&b"\x80\x02"[..], &b"N0".repeat(1 << 21)].concat()),
        &["instructions"],
    );
    refused(
        "lists.pt",
        checkpoint(&[&b"\x80\x02"[..], &b"]0".repeat(1 << 19)].concat()),
        &["lists and dictionaries"],
    );
    refused(
        "memo.pt",
        checkpoint(b"\x80\x02j\xff\xff\xff\x7f."),
        &["never remembered"],
    );
}

#[test]
fn pickle_nesting_is_bounded() {
    refused(
        "tuples.pt",
        checkpoint(&[&b"\x80\x02)"[..], &vec![0x85; 1 << 16], b"."].concat()),
        &["tuples within each other"],
    );
    let lists = [&b"\x80\x02"[..], &b"]".repeat(5000), &b"a".repeat(4999), b"."].concat();
    refused("lists.pt", checkpoint(&lists), &["containers within each other"]);
    // A list in itself, and a list of which each level holds the one before twice.
    refused("itself.pt", checkpoint(b"\x80\x02]q\x00h\x00a."), &["lies in itself"]);
    let mut twice = b"\x80\x02(]q\x00".to_vec();
    for level in 0..40u8 {
        twice.extend([b']', b'h', level, b'a', b'h', level, b'a', b'q', level + 1]);
    }
    twice.extend(b"t.");
    refused("twice.pt", checkpoint(&twice), &["values in the containers"]);
}

#[test]
fn pickle_tensors_stay_in_their_storage() {
    for (count, offset, sizes, strides) in [
        (4, 0, &[5][..], &[1][..]),
        (4, 4, &[1], &[1]),
        (4, 0, &[2, 2], &[4, 1]),
        (400, 0, &[100], &[1]),
    ] {
        refused(
            "reach.pt",
            checkpoint(&tensor(count, offset, sizes, strides)),
            &["tensor 'w'", "which has 4"],
        );
    }
    let huge = [i32::MAX; 3];
    refused("huge.pt", checkpoint(&tensor(4, 0, &huge, &huge)), &["addresses"]);
    for (offset, sizes, strides) in [
        (-1, &[1][..], &[1][..]),
        (0, &[-1], &[1]),
        (0, &[1], &[-1]),
        (0, &[1, 1], &[1]),
    ] {
        refused("sign.pt", checkpoint(&tensor(4, offset, sizes, strides)), &["a tensor"]);
    }
}

#[test]
fn pickle_views_that_repeat_numbers_do_not_become_gigabytes() {
    refused(
        "repeat.pt",
        checkpoint(&tensor(4, 0, &[1 << 20, 1 << 20], &[0, 0])),
        &["more than the"],
    );
}

#[test]
fn pickle_without_an_archive_is_no_checkpoint() {
    refused("plain.pt", b"\x80\x02]q\x00.".to_vec(), &["not one of torch.save"]);
    refused(
        "evil.pt",
        b"\x80\x02cos\nsystem\nX\x02\x00\x00\x00ls\x85R.".to_vec(),
        &["os.system"],
    );
}

#[test]
fn torchscript_programs_are_refused() {
    let bytes = archive(&[
        ("a/data.pkl", b"\x80\x02}."),
        ("a/constants.pkl", b"\x80\x02)."),
        ("a/code/__torch__.py", b"print()"),
    ]);
    refused("script.pt", bytes, &["TorchScript"]);
}

// CVE-2025-12060 and others: names of members as paths.

#[test]
fn cve_2025_12060_and_others_names_of_members_are_never_paths() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("inner");
    std::fs::create_dir(&inner).unwrap();
    let path = inner.join("traversal.npz");
    let array = b"\x93NUMPY\x01\x00\x46\x00{'descr': '|u1', 'fortran_order': False, 'shape': (1,), }            \n\x07"
        .to_vec();
    std::fs::write(&path, archive(&[("../../evil.npy", &array), ("/tmp/evil.npy", &array)])).unwrap();
    let model = persistence::open(&path).unwrap();
    assert_eq!(model.weights.keys().collect::<Vec<_>>(), ["../../evil", "/tmp/evil"]);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    assert_eq!(std::fs::read_dir(&inner).unwrap().count(), 1);
}

// Zip bombs, in .npz and .pt.

#[test]
fn archives_that_claim_more_than_a_hundred_times_their_size_are_refused() {
    let zeros = vec![0; 100 << 20];
    refused(
        "bomb.npz",
        deflated("bomb.npy", &zeros, 100 << 20),
        &["bomb.npy", "more than 100 times"],
    );
    refused(
        "bomb.pt",
        deflated("a/data.pkl", &zeros, 100 << 20),
        &["data.pkl", "more than 100 times"],
    );
}

#[test]
fn archives_that_unpack_to_more_than_they_claim_are_refused() {
    refused(
        "lie.npz",
        deflated("lie.npy", &vec![7; 1 << 16], 1000),
        &["lie.npy", "more than the 1000 bytes it claims"],
    );
}

#[test]
fn archives_with_damaged_members_are_refused() {
    let mut bytes = archive(&[("a.npy", b"\x93NUMPY\x01\x00 not an array, but it has a checksum")]);
    let at = bytes.windows(3).position(|window| window == b"not").unwrap();
    bytes[at] = b'N';
    refused("damaged.npz", bytes, &["a.npy", "CRC-32"]);
}

// Sizes that a header claims.

#[test]
fn numpy_shapes_are_checked_against_the_file() {
    for shape in ["(1000000000000,)", "(4294967296, 4294967296, 4294967296)", "(3,)", "()"] {
        let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
        refused(
            "bomb.npy",
            npy(&header, &[0; 8]),
            &[if shape.contains(", 4") { "addresses" } else { "found 8" }],
        );
    }
    refused(
        "long.npy",
        npy(
            &format!(
                "{{'descr': '<f4', 'shape': ({}), 'fortran_order': False}}",
                "1,".repeat(100)
            ),
            &[0; 4],
        ),
        &["64 axes"],
    );
}

#[test]
fn numpy_objects_are_refused_by_name() {
    let header = "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }";
    refused(
        "objects.npy",
        npy(header, b"\x80\x02cos\nsystem\n."),
        &["Python objects", "running code"],
    );
    refused(
        "fields.npy",
        npy(
            "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }",
            &[0; 4],
        ),
        &["structured type"],
    );
    refused(
        "text.npy",
        npy("{'descr': '<U4', 'fortran_order': False, 'shape': (1,), }", &[0; 16]),
        &["is text"],
    );
    refused(
        "code.npy",
        npy(
            "{'descr': __import__('os'), 'fortran_order': False, 'shape': (1,), }",
            &[0; 4],
        ),
        &["expected a text in quotes"],
    );
}

#[test]
fn onnx_shapes_are_checked_against_the_file() {
    let huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
    let dims = [vec![0x08], huge.to_vec(), vec![0x08, 4]].concat();
    refused(
        "bomb.onnx",
        onnx(&[dims, vec![0x10, 1], field(8, b"w"), field(9, &[0; 8])].concat()),
        &["constant 'w'", "addresses"],
    );
    refused(
        "short.onnx",
        onnx(&[vec![0x08, 100, 0x10, 1], field(8, b"w"), field(9, &[0; 8])].concat()),
        &["needs 400 bytes, found 8"],
    );
}

#[test]
fn onnx_external_data_stays_in_the_folder_of_the_model() {
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join("inside");
    std::fs::create_dir(&inside).unwrap();
    std::fs::write(folder.path().join("secret"), [1, 2, 3, 4]).unwrap();
    std::fs::write(inside.join("data"), [0; 4]).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink(folder.path().join("secret"), inside.join("link")).unwrap();
    let model = |location: &str| {
        let entry = field(13, &[field(1, b"location"), field(2, location.as_bytes())].concat());
        onnx(&[vec![0x08, 1, 0x10, 1], field(8, b"w"), vec![0x70, 1], entry].concat())
    };
    let path = inside.join("model.onnx");
    let absolute = folder.path().join("secret").to_string_lossy().into_owned();
    for location in [
        "../secret",
        "x/../../secret",
        &absolute,
        "..",
        "",
        "c:\\secret",
        "..\\secret",
        "/etc/passwd",
        "link",
        ".",
    ] {
        if cfg!(not(unix)) && location == "link" {
            continue;
        }
        std::fs::write(&path, model(location)).unwrap();
        let message = persistence::open(&path).unwrap_err().to_string();
        assert!(message.contains("is refused"), "{location}: {message}");
    }
    std::fs::write(&path, model("data")).unwrap();
    let message = persistence::open(&path).unwrap_err().to_string();
    assert!(message.contains("no input"), "the constant itself is read: {message}");
    std::fs::write(&path, model("missing")).unwrap();
    assert!(
        persistence::open(&path)
            .unwrap_err()
            .to_string()
            .contains("has to lie beside the model")
    );
}

#[test]
fn onnx_operators_and_domains_off_the_list_are_refused_by_name() {
    let node = |kind: &str, domain: &str| {
        let input = field(
            11,
            &[
                field(1, b"x"),
                field(
                    2,
                    &field(
                        1,
                        &[vec![0x08, 1], field(2, &[field(1, b""), field(1, &[0x08, 4])].concat())].concat(),
                    ),
                ),
            ]
            .concat(),
        );
        let node = field(
            1,
            &[
                field(1, b"x"),
                field(2, b"y"),
                field(4, kind.as_bytes()),
                field(7, domain.as_bytes()),
            ]
            .concat(),
        );
        let graph = [node, input, field(12, &field(1, b"y"))].concat();
        [
            vec![0x08, 8],
            field(2, b"test"),
            field(7, &graph),
            field(8, &[0x10, 17]),
        ]
        .concat()
    };
    refused("python.onnx", node("PyOp", "ai.onnx.contrib"), &["ai.onnx.contrib"]);
    refused("loop.onnx", node("Loop", ""), &["the operator Loop is not read"]);
    assert!(read("relu.onnx", node("Relu", "")).is_ok());
}
