//! candle-datasets' own readers of local files see the same pixels as ours (feature `hub`).

mod files;
use candle_core::{DType, Tensor};
use files::{cifar_records, load_from, write_mnist};

fn bytes(tensor: &Tensor) -> Vec<u8> {
    let scaled = (tensor.to_dtype(DType::F32).unwrap() * 255.0).unwrap().round().unwrap();
    scaled
        .to_dtype(DType::U8)
        .unwrap()
        .flatten_all()
        .unwrap()
        .to_vec1()
        .unwrap()
}

fn labels(tensor: &Tensor) -> Vec<u32> {
    tensor.to_dtype(DType::U32).unwrap().to_vec1().unwrap()
}

#[test]
fn idx_files_are_read_alike() {
    let folder = tempfile::tempdir().unwrap();
    write_mnist(folder.path());
    let theirs = candle_datasets::vision::mnist::load_dir(folder.path()).unwrap();
    let ours = load_from("mnist", folder.path()).unwrap();
    assert_eq!(bytes(&theirs.train_images), ours.train.images.pixels());
    assert_eq!(bytes(&theirs.test_images), ours.test.images.pixels());
    assert_eq!(labels(&theirs.train_labels), ours.train.labels);
    assert_eq!(labels(&theirs.test_labels), ours.test.labels);
}

/// candle-datasets takes six batches of exactly 10,000 records, so these cannot be small: one file under six names.
#[test]
fn cifar_batches_are_read_alike() {
    let folder = tempfile::tempdir().unwrap();
    let all: Vec<u8> = (0..10_000).map(|index| (index % 10) as u8).collect();
    let test_batch = folder.path().join("test_batch.bin");
    std::fs::write(&test_batch, cifar_records(&all)).unwrap();
    for number in 1..=5 {
        std::fs::hard_link(&test_batch, folder.path().join(format!("data_batch_{number}.bin"))).unwrap();
    }
    let theirs = candle_datasets::vision::cifar::load_dir(folder.path()).unwrap();
    for number in 2..=5 {
        std::fs::remove_file(folder.path().join(format!("data_batch_{number}.bin"))).unwrap();
    }
    let ours = load_from("cifar10", folder.path()).unwrap();
    assert_eq!(labels(&theirs.test_labels), ours.test.labels);
    let channels_last = theirs
        .test_images
        .narrow(0, 0, 500)
        .unwrap()
        .permute((0, 2, 3, 1))
        .unwrap();
    assert_eq!(bytes(&channels_last), ours.test.first(500).images.pixels());
    let channels_last = theirs
        .train_images
        .narrow(0, 9_500, 500)
        .unwrap()
        .permute((0, 2, 3, 1))
        .unwrap();
    let last: Vec<usize> = (9_500..10_000).collect();
    assert_eq!(bytes(&channels_last), ours.train.images.select(&last).pixels());
}
