//! MNIST, Fashion-MNIST and CIFAR-10 from the Hugging Face Hub, through `candle-datasets`.
//!
//! The hub keeps them as parquet files with a PNG image a row; `candle-datasets` downloads these into the hub's own cache
//! (`~/.cache/huggingface`), decodes them and makes tensors of them. This module turns the tensors back into bytes.
//!
//! Only behind the feature `hub`: it compiles about 290 more crates, downloads without progress and without checksums,
//! and knows neither a folder of one's own nor subsets. For all of that there is [`load`](crate::load()).

use crate::{Dataset, Error, Images, Result, Split};
use candle_core::{DType, Tensor};
use candle_datasets::vision;

/// How the tensor of a set orders its pixels, as `candle-datasets` 0.11.1 makes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// `(image, row x column)`.
    Flat,
    /// `(image, channel, column, row)`: the loader means to make `(channel, row, column)` of `(row, column, channel)`, and
    /// exchanges rows and columns on the way (`permute((0, 3, 2, 1))` in its `vision/cifar.rs`).
    ChannelsThenColumns,
}

/// Loads `mnist`, `fashion-mnist` or `cifar10` from the hub.
///
/// ```no_run
/// let mnist = datasets::hub::load("mnist")?;
/// assert_eq!(mnist.train.len(), 60_000);
/// # Ok::<(), datasets::Error>(())
/// ```
///
/// # Errors
/// [`Error::UnknownDataset`], [`Error::NothingToFetch`] for sets that are not on the hub, [`Error::Download`] if the hub
/// does not answer, [`Error::Inconsistent`] if it sent something else.
pub fn load(name: &str) -> Result<Dataset> {
    let set = crate::known(name)?;
    let loaded = match set.name {
        "mnist" => vision::mnist::load(),
        "fashion-mnist" => vision::fashion_mnist::load(),
        "cifar10" => vision::cifar::load(),
        other => {
            let reason = "the hub has mnist, fashion-mnist and cifar10; load this one by its name".to_string();
            return Err(Error::NothingToFetch {
                name: other.to_string(),
                reason,
            });
        }
    };
    let loaded = loaded.map_err(|error| Error::Download {
        file: set.name.to_string(),
        url: "https://huggingface.co".to_string(),
        reason: one_line(&error),
        advice: "check the network, or put the files of the set into a folder and name it with --data-dir".to_string(),
    })?;
    let layout = if set.shape[2] == 1 {
        Layout::Flat
    } else {
        Layout::ChannelsThenColumns
    };
    let split = |images: &Tensor, labels: &Tensor| {
        let images = images_of(images, set.shape, layout)?;
        Split::new(images, labels_of(labels, set.classes.len())?)
    };
    Ok(Dataset {
        name: set.name.to_string(),
        source: format!("{}; from the Hugging Face Hub", set.source()),
        classes: set.classes.iter().map(ToString::to_string).collect(),
        train: split(&loaded.train_images, &loaded.train_labels)?,
        test: split(&loaded.test_images, &loaded.test_labels)?,
    })
}

/// The bytes of a tensor of values in 0..=1, as `(image, row, column, channel)`.
fn images_of(tensor: &Tensor, [height, width, channels]: [usize; 3], layout: Layout) -> Result<Images> {
    let count = tensor.dims().first().copied().unwrap_or(0);
    let bytes = match layout {
        Layout::Flat => tensor.reshape((count, height * width * channels)),
        Layout::ChannelsThenColumns => tensor
            .reshape((count, channels, width, height))
            .and_then(|tensor| tensor.permute((0, 3, 2, 1))),
    }
    .and_then(|tensor| {
        (tensor * 255.0)?
            .round()?
            .to_dtype(DType::U8)?
            .flatten_all()?
            .to_vec1::<u8>()
    })
    .map_err(|error| other_shape(&error))?;
    Images::new(height, width, channels, 255, bytes)
}

fn labels_of(tensor: &Tensor, classes: usize) -> Result<Vec<u32>> {
    let labels = tensor.to_dtype(DType::U32).and_then(|labels| labels.to_vec1::<u32>());
    let labels = labels.map_err(|error| other_shape(&error))?;
    match labels.iter().position(|&label| label as usize >= classes) {
        None => Ok(labels),
        Some(index) => Err(Error::LabelOutOfRange {
            path: "the hub".into(),
            index,
            label: labels[index],
            classes,
        }),
    }
}

fn other_shape(error: &candle_core::Error) -> Error {
    Error::inconsistent(
        "tensors from the hub",
        "images and labels of the set",
        one_line(error),
        "load the set by its name",
    )
}

fn one_line(error: &candle_core::Error) -> String {
    error.to_string().lines().next().unwrap_or_default().to_string()
}

#[cfg(test)]
mod tests {
    use super::{Layout, images_of, labels_of};
    use candle_core::{Device, Tensor};

    /// 2 images of 2 rows, 3 columns, 2 channels, in our order.
    const BYTES: [u8; 24] = [
        0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 100, 101, 102, 103, 104, 105, 250, 251, 252, 253, 254, 255,
    ];

    fn as_candle_makes_them() -> Tensor {
        (Tensor::from_vec(BYTES.map(f32::from).to_vec(), (2, 2, 3, 2), &Device::Cpu).unwrap() / 255.0).unwrap()
    }

    #[test]
    fn rows_and_columns_are_put_right() {
        let exchanged = as_candle_makes_them().permute((0, 3, 2, 1)).unwrap();
        assert_eq!(
            images_of(&exchanged, [2, 3, 2], Layout::ChannelsThenColumns)
                .unwrap()
                .pixels(),
            BYTES
        );
        let flat = as_candle_makes_them().reshape((2, 12)).unwrap();
        assert_eq!(images_of(&flat, [2, 3, 2], Layout::Flat).unwrap().pixels(), BYTES);
        assert!(images_of(&flat, [2, 2, 2], Layout::Flat).is_err());
    }

    #[test]
    fn labels_are_checked() {
        let labels = |values: Vec<u8>| Tensor::new(values, &Device::Cpu).unwrap();
        assert_eq!(labels_of(&labels(vec![0, 9]), 10).unwrap(), [0, 9]);
        assert!(labels_of(&labels(vec![0, 10]), 10).is_err());
    }
}
