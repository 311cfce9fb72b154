//! The idx format of MNIST: `00 00 08 rank`, then `rank` sizes (big-endian, 4 bytes each), then the bytes.
//!
//! Source: <http://yann.lecun.com/exdb/mnist/>, "FILE FORMATS FOR THE MNIST DATABASE".

use crate::content::Content;
use crate::{Error, Images, Result};
use std::path::Path;

/// More than any member of the MNIST family needs (EMNIST: 814,255 images, 638 MB).
const MAX_BYTES: u64 = 1 << 30;
/// The largest side of an image.
const MAX_SIDE: u32 = 4096;

/// Images of rank 3: (image, row, column), grey, 0..=255.
pub(crate) fn read_images(path: &Path) -> Result<Images> {
    let mut content = Content::open(path)?;
    expect_magic(&mut content, 3, "images")?;
    let count = content.u32_be("number of images")?;
    let height = side(&mut content, "rows")?;
    let width = side(&mut content, "columns")?;
    let bytes = u64::from(count) * u64::from(height) * u64::from(width);
    let what = format!("{count} images of {height} x {width}");
    bounded(&content, bytes, &what)?;
    let pixels = content.take(bytes, &what)?;
    content.expect_end()?;
    Images::new(height as usize, width as usize, 1, 255, pixels)
}

/// Labels of rank 1, each below `classes`.
pub(crate) fn read_labels(path: &Path, classes: usize) -> Result<Vec<u32>> {
    let mut content = Content::open(path)?;
    expect_magic(&mut content, 1, "labels")?;
    let count = u64::from(content.u32_be("number of labels")?);
    bounded(&content, count, "labels")?;
    let labels = content.take(count, &format!("{count} labels"))?;
    content.expect_end()?;
    if let Some(index) = labels.iter().position(|&label| usize::from(label) >= classes) {
        let label = u32::from(labels[index]);
        return Err(Error::LabelOutOfRange {
            path: path.to_path_buf(),
            index,
            label,
            classes,
        });
    }
    Ok(labels.into_iter().map(u32::from).collect())
}

fn expect_magic(content: &mut Content, rank: u8, kind: &str) -> Result<()> {
    let found = content.take(4, "idx magic number")?;
    if found == [0, 0, 8, rank] {
        return Ok(());
    }
    let advice = match found[..] {
        [0, 0, 8, 1] => "this is a file of labels: give the file its right name",
        [0, 0, 8, 3] => "this is a file of images: give the file its right name",
        _ => "this is no idx file of bytes: fetch it again",
    };
    Err(Error::Malformed {
        path: content.path().to_path_buf(),
        offset: 0,
        expected: format!("00 00 08 {rank:02x} (idx {kind})"),
        found: found
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<Vec<_>>()
            .join(" "),
        advice: advice.to_string(),
    })
}

fn side(content: &mut Content, what: &str) -> Result<u32> {
    let at = content.offset();
    let side = content.u32_be(&format!("number of {what}"))?;
    if (1..=MAX_SIDE).contains(&side) {
        return Ok(side);
    }
    Err(Error::Malformed {
        path: content.path().to_path_buf(),
        offset: at,
        expected: format!("1 to {MAX_SIDE} {what}"),
        found: side.to_string(),
        advice: crate::content::FETCH_AGAIN.to_string(),
    })
}

fn bounded(content: &Content, bytes: u64, what: &str) -> Result<()> {
    if bytes <= MAX_BYTES {
        return Ok(());
    }
    Err(content.malformed(
        format!("at most {MAX_BYTES} bytes"),
        format!("a header that announces {bytes} ({what})"),
        crate::content::FETCH_AGAIN,
    ))
}
