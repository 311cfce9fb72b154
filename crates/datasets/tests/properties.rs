//! What holds for any labels, any images and any bytes.

mod files;
use datasets::{Images, Split, every_fifth};
use files::{load_from, write_mnist};
use proptest::prelude::*;

const CASES: u32 = 48;

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_fifth_divides_and_keeps_the_proportions(labels in prop::collection::vec(0u32..4, 0..200)) {
        let (train, test) = every_fifth(&labels);
        let mut all = [train.clone(), test.clone()].concat();
        all.sort_unstable();
        prop_assert_eq!(all, (0..labels.len()).collect::<Vec<_>>());
        prop_assert!(train.is_sorted() && test.is_sorted());
        prop_assert_eq!(test.len(), labels.len().div_ceil(5));
        for class in 0..4 {
            let count = |indices: &[usize]| indices.iter().filter(|&&index| labels[index] == class).count();
            let total = labels.iter().filter(|&&label| label == class).count();
            prop_assert!((total / 5..=total.div_ceil(5)).contains(&count(&test)));
        }
    }

    #[test]
    fn classes_are_kept_and_renamed(labels in prop::collection::vec(0u32..5, 0..50)) {
        let pixels: Vec<u8> = labels.iter().map(|&label| 10 + label as u8).collect();
        let split = Split::new(Images::new(1, 1, 1, 255, pixels).unwrap(), labels.clone()).unwrap();
        let chosen = split.with_classes(&[4, 1]);
        prop_assert_eq!(chosen.len(), labels.iter().filter(|&&label| label == 4 || label == 1).count());
        for (pixel, label) in chosen.images.pixels().iter().zip(&chosen.labels) {
            prop_assert_eq!(*pixel, if *label == 0 { 14 } else { 11 });
        }
    }

    #[test]
    fn no_bytes_make_a_reader_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..600), start in 0usize..5) {
        let magics: [&[u8]; 5] = [&[], &[0, 0, 8, 3], &[0, 0, 8, 1], &[0x1f, 0x8b, 8, 0], &[]];
        bytes.splice(0..0, magics[start].iter().copied());
        let folder = tempfile::tempdir().unwrap();
        write_mnist(folder.path());
        let damage = |names: &[&str]| for name in names { std::fs::write(folder.path().join(name), &bytes).unwrap() };
        damage(&["train-images-idx3-ubyte"]);
        prop_assert!(load_from("mnist", folder.path()).is_err());
        damage(&["data_batch_1.bin", "test_batch.bin"]);
        prop_assert!(load_from("cifar10", folder.path()).is_err());
        let mat = [files::mat_header(), bytes.clone()].concat();
        std::fs::write(folder.path().join("dogData.mat"), &mat).unwrap();
        std::fs::write(folder.path().join("catData.mat"), &mat).unwrap();
        prop_assert!(load_from("cats-dogs-original", folder.path()).is_err());
        std::fs::create_dir(folder.path().join("class")).unwrap();
        damage(&["class/1.png", "class/2.jpg"]);
        prop_assert!(datasets::load_folder(folder.path(), &datasets::FolderOptions::default()).is_err());
    }
}
