//! The split without randomness: every fifth image of each class is for testing.

/// Which images are for training and which for testing, when a data set does not say.
///
/// The images are put into the order of their classes (images of one class keep their order), and every fifth of that
/// one long row, beginning with the first, is for testing: 20 % in all, and 20 % of each class but for one image more or
/// less. Nothing is drawn at random, so the split is the same everywhere and for ever. Both lists of indices come back
/// in ascending order, so the images keep the order of the file.
///
/// ```
/// let (train, test) = datasets::every_fifth(&[1, 0, 0, 1, 0, 0, 0]);
/// assert_eq!(test, [0, 1]); // in the order of classes: 1 2 4 5 6 | 0 3, of which the first and the sixth
/// assert_eq!(train, [2, 3, 4, 5, 6]);
/// ```
#[must_use]
pub fn every_fifth(labels: &[u32]) -> (Vec<usize>, Vec<usize>) {
    let mut by_class: Vec<usize> = (0..labels.len()).collect();
    by_class.sort_by_key(|&index| labels[index]); // stable
    let (mut train, mut test) = (Vec::new(), Vec::new());
    for (position, index) in by_class.into_iter().enumerate() {
        if position.is_multiple_of(5) {
            test.push(index)
        } else {
            train.push(index)
        }
    }
    train.sort_unstable();
    test.sort_unstable();
    (train, test)
}
