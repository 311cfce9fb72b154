//! The published files, where they are at hand.

mod files;
use datasets::{FileState, verify};
use files::{load_from, real_data};

#[test]
fn mnist_is_the_published_one() {
    let Some(folder) = real_data("mnist") else { return };
    let set = load_from("mnist", &folder).unwrap();
    assert_eq!(
        (set.train.len(), set.test.len(), set.shape()),
        (60_000, 10_000, [28, 28, 1])
    );
    assert_eq!(set.train.labels[..10], [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]);
    let (mean, deviation) = set.train.images.mean_and_deviation()[0];
    assert!(
        (mean - 0.1307).abs() < 1e-4 && (deviation - 0.3081).abs() < 1e-4,
        "{mean} {deviation}"
    );
    assert_eq!(
        set.test.class_counts(10),
        [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    );
    let report = verify("mnist", &folder).unwrap();
    for file in &report.files {
        assert!(matches!(file.state, FileState::Ok { .. }), "{file:?}");
    }
}

/// The sums that are known for the unpacked files of MNIST.
#[test]
fn mnist_has_the_known_md5_sums() {
    use md5::Digest;
    use std::io::Read;
    let Some(folder) = real_data("mnist") else { return };
    for (name, expected) in [
        ("train-images-idx3-ubyte.gz", "6bbc9ace898e44ae57da46a324031adb"),
        ("train-labels-idx1-ubyte.gz", "a25bea736e30d166cdddb491f175f624"),
        ("t10k-images-idx3-ubyte.gz", "2646ac647ad5339dbf082846283269ea"),
        ("t10k-labels-idx1-ubyte.gz", "27ae3e4e09519cfbb04c329615203637"),
    ] {
        let mut bytes = Vec::new();
        let file = std::fs::File::open(folder.join(name)).unwrap();
        flate2::read::GzDecoder::new(file).read_to_end(&mut bytes).unwrap();
        let found: String = md5::Md5::digest(&bytes)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn cats_and_dogs_are_the_published_ones() {
    let Some(folder) = real_data("cats-dogs") else { return };
    for (name, side) in [("cats-dogs", 32), ("cats-dogs-original", 64)] {
        let set = load_from(name, &folder).unwrap();
        assert_eq!(set.shape(), [side, side, 1]);
        assert_eq!(set.train.class_counts(2), [40, 40]);
        assert_eq!(set.test.class_counts(2), [40, 40]);
        let report = verify(name, &folder).unwrap();
        for file in &report.files {
            assert!(
                matches!(file.state, FileState::Ok { .. }) && file.records == Some(80),
                "{file:?}"
            );
        }
    }
    let by_path = datasets::load(folder.to_str().unwrap(), None, &mut datasets::Silent).unwrap();
    assert_eq!(by_path.name, "cats-dogs");
}

/// The first bytes of a column of the file (read off a hex dump) are the left edge of the picture, from the top down.
#[test]
fn a_column_of_the_file_becomes_a_picture() {
    let Some(folder) = real_data("cats-dogs") else { return };
    let set = load_from("cats-dogs-original", &folder).unwrap();
    let cat = set.train.images.image(40);
    let first_column: Vec<u8> = (0..12).map(|row| cat[row * 64]).collect();
    assert_eq!(
        first_column,
        [0x40, 0x40, 0x40, 0x40, 0x40, 0x4d, 0x4d, 0x4d, 0x4d, 0x4d, 0x4d, 0x4d]
    );
}

#[test]
fn the_cifar_subset_is_balanced() {
    let Some(folder) = real_data("cifar10-subset") else {
        return;
    };
    let set = load_from("cifar10", folder.parent().unwrap()).unwrap();
    assert_eq!((set.train.len(), set.test.len()), (5000, 1000));
    assert_eq!(set.train.class_counts(10), [500; 10]);
    assert_eq!(set.test.class_counts(10), [100; 10]);
    // the means of CIFAR-10 as everybody normalises with them, within what 5,000 of its images allow
    for ((mean, deviation), known) in set
        .train
        .images
        .mean_and_deviation()
        .into_iter()
        .zip([0.4914, 0.4822, 0.4465])
    {
        assert!(
            (mean - known).abs() < 0.01 && (0.22..0.28).contains(&deviation),
            "{mean} {deviation}"
        );
    }
    let report = verify("cifar10", &folder).unwrap();
    assert!(report.is_sound() && !report.is_complete());
}
