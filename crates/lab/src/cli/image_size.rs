//! The size of images as it is typed: height, then width, as everywhere here and in Keras.

use std::fmt::{Display, Formatter};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Height and width of images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct ImageSize {
    pub(crate) height: usize,
    pub(crate) width: usize,
}

impl Display for ImageSize {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}x{}", self.height, self.width)
    }
}

impl From<ImageSize> for String {
    fn from(size: ImageSize) -> Self {
        size.to_string()
    }
}

impl TryFrom<String> for ImageSize {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl FromStr for ImageSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let side = |text: &str| {
            text.trim()
                .parse()
                .ok()
                .filter(|side| (1..=datasets::MAX_SIDE).contains(side))
        };
        let sides = text.split_once(['x', 'X', '×']);
        match sides.map(|(height, width)| (side(height), side(width))) {
            Some((Some(height), Some(width))) => Ok(ImageSize { height, width }),
            _ => Err(format!(
                "expected height and width of 1 to {} with an x between them, such as 64x48",
                datasets::MAX_SIDE
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ImageSize;

    #[test]
    fn a_size_is_height_and_width() {
        let size: ImageSize = "64x48".parse().expect("a size");
        assert_eq!((size.height, size.width), (64, 48));
        assert_eq!("64 × 48".parse(), Ok(size));
        assert_eq!(serde_json::to_string(&size).expect("JSON"), "\"64x48\"");
        assert_eq!(serde_json::from_str::<ImageSize>("\"64x48\"").ok(), Some(size));
        for wrong in [
            "", "64", "64x", "x64", "0x5", "5x0", "-1x5", "5x99999", "5x5x3", "6.5x6", "axb",
        ] {
            assert!(wrong.parse::<ImageSize>().is_err(), "{wrong}");
        }
    }
}
