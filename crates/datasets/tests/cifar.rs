//! CIFAR-10 batches: any number of them, of any size, plain or gzip.

mod files;
use files::{check_message, cifar_records, gzip, load_from};
use std::path::Path;

fn write(folder: &Path, name: &str, bytes: &[u8]) {
    std::fs::write(folder.join(name), bytes).unwrap();
}

#[test]
fn channels_come_together_and_batches_in_order() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "data_batch_10.bin", &cifar_records(&[9]));
    write(folder.path(), "data_batch_2.bin.gz", &gzip(&cifar_records(&[3, 4, 5])));
    write(folder.path(), "test_batch.bin", &cifar_records(&[0, 1]));
    let set = load_from("cifar10", folder.path()).unwrap();
    assert_eq!(set.shape(), [32, 32, 3]);
    assert_eq!(set.train.labels, [3, 4, 5, 9]);
    assert_eq!(set.test.labels, [0, 1]);
    let record = &cifar_records(&[0, 1])[3073 + 1..];
    for (at, pixel) in set.test.images.image(1).chunks_exact(3).enumerate() {
        assert_eq!(pixel, [record[at], record[1024 + at], record[2048 + at]]);
    }
}

#[track_caller]
fn fails(test_batch: &[u8], words: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "data_batch_1.bin", &cifar_records(&[1]));
    write(folder.path(), "test_batch.bin", test_batch);
    check_message(load_from("cifar-10", folder.path()), words);
}

#[test]
fn damaged_batches_say_where() {
    let records = cifar_records(&[0, 1, 2]);
    fails(
        &records[..7000],
        &[
            "test_batch.bin",
            "at byte 6146",
            "record 2 (3073 bytes)",
            "fetch it again",
        ],
    );
    fails(&gzip(&records)[..100], &["test_batch.bin", "at byte", "fetch it again"]);
    fails(b"", &["at byte 0", "at least one record"]);
    fails(
        &cifar_records(&[0, 1, 10]),
        &["test_batch.bin", "label 10 of image 2", "10 classes"],
    );
}

#[test]
fn missing_batches_are_named() {
    let folder = tempfile::tempdir().unwrap();
    check_message(load_from("cifar10", folder.path()), &["data_batch_1.bin", "--data-dir"]);
    write(folder.path(), "data_batch_1.bin", &cifar_records(&[1]));
    check_message(
        load_from("cifar10", folder.path()),
        &["'test_batch.bin' or 'test_batch.bin.gz'"],
    );
}
