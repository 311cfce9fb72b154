//! Folders of images with one sub-folder a class.

mod files;
use datasets::{Color, FolderOptions, load_folder};
use files::check_message;
use image::{GrayImage, Luma, Rgb, RgbImage};
use std::path::Path;

fn grey(path: &Path, value: u8, (width, height): (u32, u32)) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    GrayImage::from_pixel(width, height, Luma([value])).save(path).unwrap();
}

fn default(folder: &Path) -> datasets::Result<datasets::Dataset> {
    load_folder(folder, &FolderOptions::default())
}

#[test]
fn sub_folders_are_classes_and_every_fifth_is_for_testing() {
    let top = tempfile::tempdir().unwrap();
    for index in 0..6 {
        grey(&top.path().join(format!("b/{index}.png")), index, (3, 2));
        grey(&top.path().join(format!("a/{index}.PNG")), 100 + index, (3, 2));
    }
    std::fs::write(top.path().join("a/notes.txt"), "not an image").unwrap();
    std::fs::create_dir(top.path().join(".hidden")).unwrap();
    let set = datasets::load(top.path().to_str().unwrap(), None, &mut datasets::Silent).unwrap();
    assert_eq!(set.classes, ["a", "b"]);
    assert_eq!(set.shape(), [2, 3, 1]);
    assert_eq!(set.test.labels, [0, 0, 1]); // a0 a5 b4
    let first: Vec<u8> = (0..3).map(|index| set.test.images.image(index)[0]).collect();
    assert_eq!(first, [100, 105, 4]);
    assert_eq!(set.train.len(), 9);
}

#[test]
fn whoever_waits_hears_of_every_image_and_may_end_it() {
    struct Told(Vec<(usize, usize)>, usize);
    impl datasets::Progress for Told {
        fn images(&mut self, done: usize, of: usize) {
            self.0.push((done, of));
        }
        fn cancelled(&mut self) -> bool {
            self.0.len() == self.1
        }
    }
    let top = tempfile::tempdir().unwrap();
    for index in 0..4 {
        grey(&top.path().join(format!("{}/{index}.png", index % 2)), index, (2, 2));
    }
    let folder = top.path().to_str().unwrap();
    let mut told = Told(Vec::new(), usize::MAX);
    datasets::load(folder, None, &mut told).unwrap();
    assert_eq!(told.0, [(1, 4), (2, 4), (3, 4), (4, 4)]);
    check_message(
        datasets::load(folder, None, &mut Told(Vec::new(), 3)),
        &["after 3 of 4 images"],
    );
}

#[test]
fn train_and_test_are_respected() {
    let top = tempfile::tempdir().unwrap();
    grey(&top.path().join("train/cat/1.png"), 1, (2, 2));
    grey(&top.path().join("train/dog/2.png"), 2, (2, 2));
    grey(&top.path().join("test/dog/3.png"), 3, (2, 2));
    let set = default(top.path()).unwrap();
    assert_eq!((set.train.labels, set.test.labels), (vec![0, 1], vec![1]));
    grey(&top.path().join("test/cow/4.png"), 3, (2, 2));
    check_message(default(top.path()), &["cow", "is no class of 'train'"]);
}

#[test]
fn one_coloured_image_makes_all_coloured() {
    let top = tempfile::tempdir().unwrap();
    grey(&top.path().join("a/0.png"), 7, (2, 2));
    grey(&top.path().join("a/1.png"), 7, (2, 2));
    RgbImage::from_pixel(2, 2, Rgb([255, 0, 10]))
        .save(top.path().join("a/2.png"))
        .unwrap();
    let set = default(top.path()).unwrap();
    assert_eq!(set.shape(), [2, 2, 3]);
    assert_eq!(set.train.images.image(1)[..3], [255, 0, 10]);
    assert_eq!(set.test.images.image(0)[..3], [7, 7, 7]);
    let options = FolderOptions {
        color: Color::Grey,
        ..Default::default()
    };
    assert_eq!(load_folder(top.path(), &options).unwrap().shape(), [2, 2, 1]);
}

#[test]
fn sizes_must_agree_or_be_made_to() {
    let top = tempfile::tempdir().unwrap();
    grey(&top.path().join("a/0.png"), 9, (2, 2));
    grey(&top.path().join("a/1.png"), 9, (5, 4));
    check_message(
        default(top.path()),
        &["1.png", "expected 2 x 2", "0.png", "found 4 x 5", "--image-size 2x2"],
    );
    let options = FolderOptions {
        size: Some((3, 6)),
        ..Default::default()
    };
    let set = load_folder(top.path(), &options).unwrap();
    assert_eq!(set.shape(), [3, 6, 1]);
    assert!(set.train.images.pixels().iter().all(|&value| value == 9));
    let none = FolderOptions {
        size: Some((0, 6)),
        ..Default::default()
    };
    check_message(load_folder(top.path(), &none), &["size to resize to", "1..=16384"]);
}

#[test]
fn bad_folders_and_files_are_named() {
    let top = tempfile::tempdir().unwrap();
    check_message(default(top.path()), &["has no sub-folders"]);
    std::fs::create_dir(top.path().join("a")).unwrap();
    check_message(default(top.path()), &["has no .png or .jpg images"]);
    grey(&top.path().join("a/0.png"), 9, (2, 2));
    check_message(default(top.path()), &["has one image", "'train' and 'test'"]);
    std::fs::write(top.path().join("a/1.jpg"), "no image").unwrap();
    check_message(
        default(top.path()),
        &["1.jpg", "a PNG or JPEG image", "repair or remove"],
    );
    let whole = std::fs::read(top.path().join("a/0.png")).unwrap();
    std::fs::write(top.path().join("a/1.jpg"), &whole[..whole.len() / 2]).unwrap();
    check_message(default(top.path()), &["1.jpg"]);
}

#[test]
fn an_image_that_claims_to_be_huge_is_refused() {
    let top = tempfile::tempdir().unwrap();
    grey(&top.path().join("a/0.png"), 9, (2, 2));
    let mut bytes = std::fs::read(top.path().join("a/0.png")).unwrap();
    bytes[16..20].copy_from_slice(&60_000u32.to_be_bytes()); // the width in the header
    std::fs::write(top.path().join("a/1.png"), bytes).unwrap();
    check_message(default(top.path()), &["1.png"]);
}
