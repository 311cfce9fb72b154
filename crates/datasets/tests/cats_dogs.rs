//! MATLAB 5.0 files: as MATLAB writes them, and damaged in every place.

mod files;
use files::{check_message, load_from, mat_compressed, mat_element, mat_header, mat_variable};
use std::path::Path;

const ROWS: usize = 1024;

/// 42 columns; in column c the pixel in row y, column x of the upright picture is y + 3 x + c.
fn columns() -> Vec<u8> {
    (0..42 * ROWS)
        .map(|at| (at % 32 + 3 * (at % ROWS / 32) + at / ROWS) as u8)
        .collect()
}

fn dogs() -> Vec<u8> {
    [mat_header(), mat_variable("dog_wave", 1024, 42, 9, 2, &columns())].concat()
}

fn write(folder: &Path, cats: &[u8]) {
    std::fs::write(folder.join("dogData_w.mat"), dogs()).unwrap();
    std::fs::write(folder.join("catData_w.mat"), cats).unwrap();
}

fn load(cats: &[u8]) -> datasets::Result<datasets::Dataset> {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), cats);
    load_from("cats-dogs", folder.path())
}

fn in_file(variable: &[u8]) -> Vec<u8> {
    [&mat_header()[..], variable].concat()
}

#[test]
fn pictures_come_out_upright_dogs_first() {
    let other = mat_variable("other", 1, 1, 9, 2, &[1]);
    let cats = mat_variable("cat_wave", 1024, 42, 9, 2, &columns());
    let set = load(&in_file(&[other, mat_compressed(&cats)].concat())).unwrap();
    assert_eq!(set.classes, ["dog", "cat"]);
    assert_eq!((set.train.len(), set.test.len(), set.shape()), (80, 4, [32, 32, 1]));
    assert_eq!(set.train.labels, [[0; 40], [1; 40]].concat());
    assert_eq!(set.test.labels, [0, 0, 1, 1]);
    let picture = set.train.images.image(1); // column 1 of the dogs
    assert_eq!(picture[5 * 32 + 7], 5 + 3 * 7 + 1);
    assert_eq!(set.test.images.image(3)[2 * 32], 2 + 41);
}

#[test]
fn numbers_may_be_stored_in_any_type() {
    let expected = load(&in_file(&mat_variable("cat_wave", 1024, 42, 9, 2, &columns()))).unwrap();
    let wide = |kind: u32, bytes: &dyn Fn(u8) -> Vec<u8>| {
        let values: Vec<u8> = columns().into_iter().flat_map(bytes).collect();
        load(&in_file(&mat_compressed(&mat_variable(
            "cat_wave", 1024, 42, 6, kind, &values,
        ))))
        .unwrap()
    };
    assert_eq!(wide(2, &|value| vec![value]), expected);
    assert_eq!(wide(3, &|value| i16::from(value).to_le_bytes().to_vec()), expected);
    assert_eq!(wide(5, &|value| i32::from(value).to_le_bytes().to_vec()), expected);
    assert_eq!(wide(7, &|value| f32::from(value).to_le_bytes().to_vec()), expected);
    assert_eq!(wide(9, &|value| f64::from(value).to_le_bytes().to_vec()), expected);
}

#[test]
fn big_endian_files_are_read() {
    let tag = |kind: u32, size: u32| [kind.to_be_bytes(), size.to_be_bytes()].concat();
    let inside = [
        tag(6, 8),
        [9u32.to_be_bytes(), [0; 4]].concat(),
        tag(5, 8),
        [1024u32.to_be_bytes(), 42u32.to_be_bytes()].concat(),
        tag(1, 8),
        b"cat_wave".to_vec(),
        tag(2, 42 * 1024),
        columns(),
    ]
    .concat();
    let mut header = mat_header();
    header[124..].copy_from_slice(&[1, 0, b'M', b'I']);
    let file = [header, tag(14, inside.len() as u32), inside].concat();
    assert_eq!(load(&file).unwrap().test.len(), 4);
}

#[test]
fn wrong_files_are_told_apart() {
    let cats = |variable: &[u8]| load(&in_file(variable));
    check_message(
        load(b"MATLAB"),
        &["catData_w.mat", "at byte 0", "header of 128 bytes", "6 bytes"],
    );
    let mut hdf5 = mat_header();
    hdf5[124..].copy_from_slice(&[0, 2, b'I', b'M']);
    check_message(load(&hdf5), &["at byte 124", "MATLAB 7.3", "-v7"]);
    check_message(load(&[b' '; 200]), &["at byte 124", "no MATLAB 5.0 file"]);
    check_message(cats(b""), &["a variable 'cat_wave'", "no variable"]);
    check_message(
        cats(&mat_variable("dog_wave", 1024, 42, 9, 2, &columns())),
        &["'cat_wave'", "found 'dog_wave'"],
    );
    check_message(
        cats(&mat_variable("cat_wave", 512, 84, 9, 2, &columns())),
        &["1024 rows", "512 x 84"],
    );
    check_message(
        cats(&mat_variable("cat_wave", 1024, 1, 9, 2, &[0; 1024])),
        &["more than 40 columns", "1024 x 1"],
    );
    check_message(
        cats(&mat_variable("cat_wave", 1024, 42, 1, 2, &columns())),
        &["real numeric matrix", "class 1"],
    );
    check_message(
        cats(&mat_variable("cat_wave", 1024, 42, 0x809, 2, &columns())),
        &["real numeric matrix"],
    );
    check_message(
        cats(&mat_variable("cat_wave", 1024, 43, 9, 2, &columns())),
        &["1024 x 43 values of 1 bytes"],
    );
    check_message(
        cats(&mat_variable("cat_wave", u32::MAX, u32::MAX, 9, 9, &[0; 8])),
        &["values of 8 bytes"],
    );
    let half = 0.5f64.to_le_bytes();
    check_message(
        cats(&mat_variable("cat_wave", 1, 1, 6, 9, &half)),
        &["a whole number of 0..=255"],
    );
    check_message(
        cats(&mat_variable("cat_wave", 1, 1, 6, 3, &(-1i16).to_le_bytes())),
        &["a whole number"],
    );
}

#[test]
fn truncation_anywhere_is_an_error() {
    let variable = mat_variable("cat_wave", 1024, 42, 9, 2, &columns());
    for file in [in_file(&variable), in_file(&mat_compressed(&variable))] {
        for length in (0..200)
            .chain([file.len() / 2, file.len() - 1])
            .filter(|&length| length < file.len())
        {
            check_message(load(&file[..length]), &["catData_w.mat"]);
        }
    }
    check_message(load(&in_file(&variable)[..1000]), &["at byte 128", "only 864 bytes"]);
}

#[test]
fn damage_anywhere_never_panics() {
    let variable = mat_variable("cat_wave", 1024, 42, 9, 2, &columns());
    let folder = tempfile::tempdir().unwrap();
    for file in [in_file(&variable), in_file(&mat_compressed(&variable))] {
        for at in 124..210 {
            for value in [0, 0x7f, 0xff] {
                let mut damaged = file.clone();
                damaged[at] = value;
                write(folder.path(), &damaged);
                let _ = load_from("cats-dogs", folder.path()); // an error or not, but it comes back
            }
        }
    }
}

#[test]
fn bombs_are_refused() {
    let announced = mat_compressed(&[14u32.to_le_bytes(), u32::MAX.to_le_bytes()].concat());
    check_message(load(&in_file(&announced)), &["unpacked bytes", "4294967295 announced"]);
    // a small stream that unpacks to much more than its tag says is read as far as the tag says
    let more = mat_compressed(&[mat_element(14, &[0; 8]), vec![0; 10_000_000]].concat());
    check_message(load(&in_file(&more)), &["catData_w.mat"]);
    check_message(load(&in_file(&[15, 0, 0, 0, 4, 0, 0, 0, 1, 2, 3, 4])), &["zlib data"]);
}

#[test]
fn missing_files_are_named() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("dogData_w.mat"), dogs()).unwrap();
    check_message(
        load_from("cats-dogs", folder.path()),
        &["'catData_w.mat'", "lab data fetch cats-dogs"],
    );
    check_message(
        load_from("cats-dogs-original", folder.path()),
        &["'dogData.mat'", "--data-dir"],
    );
}
