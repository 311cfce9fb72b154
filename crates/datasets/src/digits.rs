//! The digits that are compiled into the program.

use crate::{Dataset, Images, Split, every_fifth};
use std::io::Read;
use std::sync::OnceLock;

/// Rows and columns of an image.
const SIDE: usize = 8;
/// Ink of a pixel: how many of its 4 x 4 dots were black.
const MAX_VALUE: u8 = 16;

pub(crate) static DIGITS_CSV_GZ: &[u8] = include_bytes!("../data/digits.csv.gz");

/// The UCI optical digits: 1,797 grey images of 8 x 8 pixels with values 0..=16, ten classes; part of the program.
///
/// The split is fixed: [`every_fifth`] image in the order of the classes is for testing, which makes 1,437 training and
/// 360 test images:
///
/// | digit | 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 |
/// |---|---|---|---|---|---|---|---|---|---|---|
/// | train | 142 | 146 | 141 | 147 | 144 | 146 | 145 | 143 | 139 | 144 |
/// | test | 36 | 36 | 36 | 36 | 37 | 36 | 36 | 36 | 35 | 36 |
///
/// The file is unpacked at the first call; later calls copy 115 kB.
///
/// Source: E. Alpaydin and C. Kaynak (1998), *Optical Recognition of Handwritten Digits*, UCI Machine Learning
/// Repository, CC BY 4.0, the copy that scikit-learn ships. See `data/ATTRIBUTION.md`.
///
/// ```
/// let digits = datasets::digits();
/// assert_eq!((digits.train.len(), digits.test.len()), (1437, 360));
/// assert_eq!(digits.shape(), [8, 8, 1]);
/// ```
#[must_use]
pub fn digits() -> Dataset {
    static DIGITS: OnceLock<Dataset> = OnceLock::new();
    DIGITS.get_or_init(decode).clone()
}

fn decode() -> Dataset {
    // The bytes are part of this crate and a test reads all of them, so that none of the expectations can fail at run time.
    let mut text = String::new();
    flate2::read::GzDecoder::new(DIGITS_CSV_GZ)
        .read_to_string(&mut text)
        .expect("the embedded file is valid");
    let mut pixels = Vec::with_capacity(1797 * SIDE * SIDE);
    let mut labels = Vec::with_capacity(1797);
    for line in text.lines() {
        let mut values = line
            .split(',')
            .map(|value| value.parse::<u8>().expect("the embedded file is valid"));
        pixels.extend(values.by_ref().take(SIDE * SIDE));
        labels.extend(values.map(u32::from));
    }
    let (train, test) = every_fifth(&labels);
    let images = Images::new(SIDE, SIDE, 1, MAX_VALUE, pixels).expect("the embedded file is valid");
    let all = Split::new(images, labels).expect("the embedded file is valid");
    Dataset {
        name: "digits".to_string(),
        source: "Optical Recognition of Handwritten Digits, E. Alpaydin and C. Kaynak (1998), UCI Machine Learning \
                 Repository, CC BY 4.0; the copy that scikit-learn ships"
            .to_string(),
        classes: (0..10).map(|digit| digit.to_string()).collect(),
        train: all.select(&train),
        test: all.select(&test),
    }
}
