//! Images in another size, against TensorFlow, by which `image_dataset_from_directory` of Keras resizes.

use datasets::{FolderOptions, Images, Silent, load_with};
use image::{GrayImage, Luma};
use proptest::prelude::*;

/// What TensorFlow 2.21 makes of the image (1, 3, 5, 2) below:
///
/// ```python
/// a = (np.arange(30)**2 * 7 % 251).astype(np.uint8).reshape(1, 3, 5, 2)
/// np.floor(tf.image.resize(a, size, method="bilinear").numpy().reshape(-1) + 0.5)
/// ```
const WANTED: [((usize, usize), &[u8]); 4] = [
    ((2, 3), &[40, 50, 113, 149, 103, 60, 84, 115, 41, 98, 166, 82]),
    (
        (5, 4),
        &[
            4, 14, 60, 105, 43, 123, 173, 68, 72, 50, 54, 118, 52, 88, 108, 48, 174, 105, 46, 138, 66, 35, 12, 17, 99,
            95, 69, 150, 110, 70, 135, 73, 50, 89, 84, 159, 140, 92, 217, 110,
        ],
    ),
    ((1, 1), &[117, 69]),
    (
        (3, 8),
        &[
            0, 7, 12, 32, 33, 70, 86, 140, 77, 149, 8, 97, 111, 77, 197, 65, 198, 94, 113, 131, 11, 172, 82, 103, 91,
            52, 40, 18, 20, 16, 9, 17, 39, 75, 77, 125, 118, 184, 50, 133, 78, 100, 202, 85, 216, 100, 217, 114,
        ],
    ),
];

#[test]
fn bytes_are_those_of_tensorflow() {
    let pixels: Vec<u8> = (0..30u32).map(|index| (index * index * 7 % 251) as u8).collect();
    let image = Images::new(3, 5, 2, 255, pixels).unwrap();
    for (size, wanted) in WANTED {
        let resized = image.resized(size).unwrap();
        assert_eq!(resized.shape(), [size.0, size.1, 2]);
        assert_eq!(resized.pixels(), wanted, "{size:?}");
    }
}

#[test]
fn few_levels_become_255() {
    let images = Images::new(1, 2, 1, 16, vec![0, 16]).unwrap();
    let resized = images.resized((1, 4)).unwrap();
    assert_eq!((resized.max_value, resized.pixels()), (255, &[0, 64, 191, 255][..]));
}

#[test]
fn sizes_that_cannot_be_are_refused() {
    let images = datasets::digits().test.images;
    for size in [(0, 4), (4, 0), (16_385, 1)] {
        let error = images.resized(size).unwrap_err().to_string();
        assert!(
            error.contains("size to resize to") && error.contains("1..=16384"),
            "{error}"
        );
    }
    let error = images.resized((16_384, 16_384)).unwrap_err().to_string();
    assert!(
        error.contains("360 images") && error.contains("smaller size"),
        "{error}"
    );
}

#[test]
fn a_folder_and_a_known_set_are_resized_alike() {
    let top = tempfile::tempdir().unwrap();
    for index in 0..6u8 {
        let path = top.path().join(format!("{}/{index}.png", index % 2));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let (width, height) = (4 + u32::from(index), 9 - u32::from(index));
        GrayImage::from_fn(width, height, |x, y| Luma([(x * 20 + y * 9) as u8 + index]))
            .save(path)
            .unwrap();
    }
    let options = FolderOptions {
        size: Some((5, 7)),
        ..Default::default()
    };
    let read = |name: &str| load_with(name, None, &options, &mut Silent).unwrap();
    let folder = read(top.path().to_str().unwrap());
    assert_eq!(
        (folder.shape(), folder.train.len(), folder.test.len()),
        ([5, 7, 1], 4, 2)
    );
    let alone = datasets::open_image(&top.path().join("0/2.png"), datasets::Color::Grey).unwrap();
    assert_eq!(folder.train.images.image(0), alone.resized((5, 7)).unwrap().pixels());
    let digits = read("digits");
    assert_eq!(
        digits.train.images,
        datasets::digits().train.images.resized((5, 7)).unwrap()
    );
    assert_eq!(digits.test.labels, datasets::digits().test.labels);
}

proptest! {
    /// No value leaves the range of the image, the same size changes nothing, and an even image stays even.
    #[test]
    fn nothing_is_invented(
        (height, width, pixels) in (1usize..7, 1usize..7).prop_flat_map(|(height, width)| {
            (Just(height), Just(width), proptest::collection::vec(any::<u8>(), height * width))
        }),
        size in (1usize..12, 1usize..12),
    ) {
        let (least, most) = (*pixels.iter().min().unwrap(), *pixels.iter().max().unwrap());
        let image = Images::new(height, width, 1, 255, pixels).unwrap();
        prop_assert_eq!(&image.resized((height, width)).unwrap(), &image);
        let resized = image.resized(size).unwrap();
        prop_assert_eq!(resized.pixels().len(), size.0 * size.1);
        prop_assert!(resized.pixels().iter().all(|value| (least..=most).contains(value)));
    }
}
