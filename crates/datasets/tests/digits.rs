//! The embedded digits: counts, split, values.

#[test]
fn the_split_is_the_documented_one() {
    let digits = datasets::digits();
    assert_eq!(
        digits.train.class_counts(10),
        [142, 146, 141, 147, 144, 146, 145, 143, 139, 144]
    );
    assert_eq!(digits.test.class_counts(10), [36, 36, 36, 36, 37, 36, 36, 36, 35, 36]);
    assert_eq!((digits.train.len(), digits.test.len()), (1437, 360));
    assert_eq!(digits.train.images.max_value, 16);
    assert_eq!(digits, datasets::digits());
}

#[test]
fn the_first_image_is_the_zero_of_the_file() {
    let digits = datasets::digits();
    assert_eq!(digits.test.labels[0], 0);
    assert_eq!(
        &digits.test.images.image(0)[..16],
        [0, 0, 5, 13, 9, 1, 0, 0, 0, 0, 13, 15, 10, 15, 5, 0]
    );
    assert_eq!(digits.train.images.pixels().iter().max(), Some(&16));
}

#[test]
fn values_scale_to_one() {
    let values = datasets::digits().test.images.to_f32();
    assert!(values.iter().all(|value| (0.0..=1.0).contains(value)));
    assert_eq!(values[3], 13.0 / 16.0);
}
