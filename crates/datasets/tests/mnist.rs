//! idx files: names, compression, and everything that can be wrong with them.

mod files;
use files::{check_message, gzip, idx_images, idx_labels, load_from, noise, write_mnist};
use std::path::Path;

fn folder(change: impl FnOnce(&Path)) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    write_mnist(folder.path());
    change(folder.path());
    folder
}

#[track_caller]
fn fails(name: &str, bytes: &[u8], words: &[&str]) {
    let folder = folder(|folder| std::fs::write(folder.join(name), bytes).unwrap());
    check_message(load_from("mnist", folder.path()), words);
}

#[test]
fn a_small_set_is_read() {
    let folder = folder(|_| ());
    let set = load_from("fashion-mnist", folder.path()).unwrap();
    assert_eq!((set.train.len(), set.test.len(), set.shape()), (12, 5, [3, 2, 1]));
    assert_eq!(set.train.images.pixels(), noise(72));
    assert_eq!(set.test.labels, [9, 0, 1, 2, 3]);
    assert_eq!(set.classes[9], "Ankle boot");
}

#[test]
fn compression_is_told_by_content_and_names_vary() {
    let plain = load_from("mnist", folder(|_| ()).path()).unwrap();
    let varied = folder(|folder| {
        let move_to = |from: &str, to: &str, packed: bool| {
            let bytes = std::fs::read(folder.join(from)).unwrap();
            std::fs::remove_file(folder.join(from)).unwrap();
            std::fs::write(folder.join(to), if packed { gzip(&bytes) } else { bytes }).unwrap();
        };
        move_to("train-images-idx3-ubyte", "train-images.idx3-ubyte", true); // gzip without saying so
        move_to("train-labels-idx1-ubyte", "train-labels-idx1-ubyte.gz", false); // the opposite
        move_to("t10k-images-idx3-ubyte", "t10k-images.idx3-ubyte.gz", true);
    });
    assert_eq!(load_from("mnist", varied.path()).unwrap(), plain);
}

#[test]
fn a_folder_above_and_a_folder_by_path_are_found() {
    let top = tempfile::tempdir().unwrap();
    let below = top.path().join("mnist");
    std::fs::create_dir(&below).unwrap();
    write_mnist(&below);
    let set = load_from("MNIST", top.path()).unwrap();
    assert_eq!(
        datasets::load(below.to_str().unwrap(), None, &mut datasets::Silent).unwrap(),
        set
    );
    let renamed = top.path().join("my-digits");
    std::fs::rename(&below, &renamed).unwrap();
    let set = load_from("my-digits", top.path()).unwrap();
    assert_eq!((set.name.as_str(), set.train.len()), ("my-digits", 12));
}

#[test]
fn a_folder_of_another_set_is_not_mistaken() {
    let top = tempfile::tempdir().unwrap();
    let mnist = top.path().join("mnist");
    std::fs::create_dir(&mnist).unwrap();
    write_mnist(&mnist);
    check_message(
        load_from("fashion-mnist", &mnist),
        &["no file 'train-images-idx3-ubyte.gz'"],
    );
    check_message(load_from("fashion-mnist", top.path()), &["sub-folder 'fashion-mnist'"]);
}

#[test]
fn truncated_files_say_where() {
    let images = idx_images(12, 3, 2);
    fails(
        "train-images-idx3-ubyte",
        &images[..80],
        &[
            "train-images-idx3-ubyte",
            "at byte 16",
            "12 images of 3 x 2 (72 bytes)",
            "fetch it again",
        ],
    );
    fails(
        "train-images-idx3-ubyte",
        &images[..10],
        &["at byte 8", "number of rows"],
    );
    fails("train-images-idx3-ubyte", b"", &["at byte 0", "idx magic number"]);
    fails(
        "train-labels-idx1-ubyte",
        &idx_labels(&[1; 12])[..15],
        &["at byte 8", "12 labels"],
    );
    fails(
        "train-images-idx3-ubyte",
        &gzip(&images)[..40],
        &["train-images-idx3-ubyte", "at byte", "fetch it again"],
    );
    let mut damaged = gzip(&images);
    let middle = damaged.len() / 2;
    damaged[middle] ^= 0xff;
    fails("train-images-idx3-ubyte", &damaged, &["at byte", "fetch it again"]);
}

#[test]
fn promises_are_checked_before_memory_is_taken() {
    let mut images = idx_images(12, 3, 2);
    images[4..8].copy_from_slice(&u32::MAX.to_be_bytes());
    fails(
        "train-images-idx3-ubyte",
        &images,
        &["at most 1073741824 bytes", "announces 25769803770"],
    );
    images[4..8].copy_from_slice(&100_000_000u32.to_be_bytes());
    fails(
        "train-images-idx3-ubyte",
        &images,
        &["100000000 images of 3 x 2", "at most 72 more bytes"],
    );
    fails(
        "train-images-idx3-ubyte",
        &gzip(&images),
        &["100000000 images of 3 x 2"],
    );
    images[8..12].copy_from_slice(&0u32.to_be_bytes());
    fails(
        "train-images-idx3-ubyte",
        &images,
        &["at byte 8", "1 to 4096 rows", "found 0"],
    );
}

#[test]
fn wrong_files_are_told_apart() {
    fails(
        "train-images-idx3-ubyte",
        b"<html>",
        &["at byte 0", "00 00 08 03", "found 3c 68 74 6d", "no idx file"],
    );
    fails(
        "train-images-idx3-ubyte",
        &idx_labels(&[1]),
        &["this is a file of labels"],
    );
    fails(
        "train-labels-idx1-ubyte",
        &idx_images(1, 1, 1),
        &["this is a file of images"],
    );
    let longer = [idx_labels(&[1; 12]), vec![1]].concat();
    fails(
        "train-labels-idx1-ubyte",
        &longer,
        &["at byte 20", "the end of the file"],
    );
    fails(
        "train-labels-idx1-ubyte",
        &idx_labels(&[1; 11]),
        &["12 images", "11 labels"],
    );
    fails("t10k-images-idx3-ubyte", &idx_images(5, 4, 4), &["3 x 2", "4 x 4"]);
    fails("train-images-idx3-ubyte", &idx_images(0, 3, 2), &["at least one image"]);
}

#[test]
fn a_label_out_of_range_names_file_and_image() {
    let mut labels = [0u8; 12];
    labels[7] = 10;
    fails(
        "train-labels-idx1-ubyte",
        &idx_labels(&labels),
        &["train-labels-idx1-ubyte", "label 10 of image 7", "10 classes (0..=9)"],
    );
}

#[test]
fn missing_files_and_folders_are_named() {
    let folder = folder(|folder| std::fs::remove_file(folder.join("t10k-labels-idx1-ubyte")).unwrap());
    check_message(
        load_from("mnist", folder.path()),
        &["'t10k-labels-idx1-ubyte.gz' or 't10k-labels-idx1-ubyte'"],
    );
    let empty = tempfile::tempdir().unwrap();
    let words = [
        "train-images-idx3-ubyte.gz",
        "sub-folder 'mnist'",
        "--data-dir",
        "lab data fetch mnist",
    ];
    check_message(load_from("mnist", empty.path()), &words);
    let gone = empty.path().join("gone");
    check_message(load_from("mnist", &gone), &["gone", "does not exist", "--data-dir"]);
}
