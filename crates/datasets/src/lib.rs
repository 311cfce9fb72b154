//! Where images come from: embedded digits, MNIST and Fashion-MNIST, CIFAR-10, cats vs. dogs, and any folder of images.
//!
//! Images arrive as bytes in one block, `(image, row, column, channel)`, with their labels, divided into a part to train
//! with and a part to test with:
//!
//! ```
//! let digits = datasets::digits(); // part of the program: no file, no network
//! println!("{} images of {:?}, {} classes", digits.train.len(), digits.shape(), digits.classes.len());
//! let pixels: Vec<f32> = digits.train.images.to_f32(); // 0..=1
//! assert_eq!(pixels.len(), 1437 * 8 * 8);
//!
//! // two classes only, as cats and dogs would be
//! let pair = digits.with_classes(&[3, 8])?;
//! assert_eq!(pair.classes, ["3", "8"]);
//! # Ok::<(), datasets::Error>(())
//! ```
//!
//! | what | how |
//! |---|---|
//! | a set by name, or a folder | [`load`] |
//! | a folder of PNG and JPEG files, resized or not | [`load_folder`] |
//! | which names there are, their licences and files | [`catalogue()`] |
//! | download (continued, checked), and where to | [`fetch`], [`Fetcher`], [`cache_dir`] |
//! | are the files whole and the published ones? | [`verify`] |
//!
//! # What it is not for
//! Batches, shuffling and tensors (`training`), changing images (`augmentation`), audio, text or tables, and sets that do
//! not fit into memory: for those, stream parquet files with the crate `parquet`, or use Hugging Face's `datasets` in
//! Python.
//!
//! # Files from strangers
//! Every reader checks what a header announces against what the file can hold before it takes memory, tells gzip by
//! content and not by name, and reports path, byte, expectation and finding. Archives are unpacked in memory, to names
//! that are part of this crate; a download gets its name after its checksum was right.
//!
//! # The feature `hub`
//! It adds the module `hub`, the loaders of `candle-datasets`, which fetch parquet files from the Hugging Face Hub. It is off by
//! default, because `candle-datasets` brings about 290 crates along (candle, reqwest, tokio, parquet, tokenizers), and
//! because its readers of local files do less than the ones here: they take uncompressed files only, believe the
//! number of images in the header before they look for them, and take CIFAR batches of exactly 10,000 records. A test of this
//! feature makes sure that both read the same pixels.

#![deny(missing_docs)]

mod archive;
mod cache;
mod catalogue;
mod cats_dogs;
mod checksum;
mod cifar;
mod content;
mod dataset;
mod digits;
mod download;
mod error;
mod fetch;
#[cfg(feature = "hub")]
pub mod hub;
mod idx;
mod image_folder;
mod images;
mod load;
mod mat5;
mod mnist;
mod presence;
mod progress;
mod resized;
mod stratified;
#[cfg(test)]
mod test_server;
mod verify;

pub use cache::cache_dir;
pub use catalogue::{Checksum, KnownFile, KnownSet, catalogue, known};
pub use dataset::{Dataset, Split};
pub use digits::digits;
pub use error::{Error, Result};
pub use fetch::{Fetcher, fetch};
pub use image_folder::{Color, FolderOptions, load_folder, load_folder_watched, open_image};
pub use images::Images;
pub use load::{load, load_with};
pub use presence::{Presence, presence};
pub use progress::{Progress, Silent};
pub use resized::MAX_SIDE;
pub use stratified::every_fifth;
pub use verify::{FileReport, FileState, Verification, verify};

/// The pages whose code runs with the other examples of this crate.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../../../docs/crates/datasets.md")]
    struct Page;
}
