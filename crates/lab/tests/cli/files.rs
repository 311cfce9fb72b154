//! Small files in the formats of the data sets, whole and damaged, written by hand.

use std::path::Path;

/// Bytes in which neighbours differ.
fn noise(count: usize) -> Vec<u8> {
    (0..count).map(|index| (index * 37 % 251) as u8).collect()
}

fn idx_images(count: u32, side: u32) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, 3];
    bytes.extend([count, side, side].iter().flat_map(|size| size.to_be_bytes()));
    bytes.extend(noise((count * side * side) as usize));
    bytes
}

pub(crate) fn idx_labels(labels: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, 1];
    bytes.extend((labels.len() as u32).to_be_bytes());
    bytes.extend(labels);
    bytes
}

pub(crate) const TRAIN_IMAGES: &str = "train-images-idx3-ubyte";
pub(crate) const TRAIN_LABELS: &str = "train-labels-idx1-ubyte";

/// 40 + 10 images of 8 × 8 in the files of MNIST, in the sub-folder `mnist` of `folder`.
pub(crate) fn write_mnist(folder: &Path) {
    let folder = folder.join("mnist");
    let labels: Vec<u8> = (0..40).map(|index| index % 10).collect();
    write(&folder.join(TRAIN_IMAGES), &idx_images(40, 8));
    write(&folder.join(TRAIN_LABELS), &idx_labels(&labels));
    write(&folder.join("t10k-images-idx3-ubyte"), &idx_images(10, 8));
    write(&folder.join("t10k-labels-idx1-ubyte"), &idx_labels(&labels[..10]));
}

/// Records of CIFAR-10: the label, then 1,024 bytes of red, of green, of blue.
pub(crate) fn cifar_records(labels: &[u8]) -> Vec<u8> {
    let record = |&label: &u8| [vec![label], noise(3072)].concat();
    labels.iter().flat_map(record).collect()
}

/// The beginning of a MATLAB 5.0 file: its header, and the tag of a variable that is cut off.
pub(crate) fn cut_mat() -> Vec<u8> {
    let mut bytes = b"MATLAB 5.0 MAT-file, written by a test".to_vec();
    bytes.resize(124, b' ');
    bytes.extend([0, 1, b'I', b'M']);
    bytes.extend(14u32.to_le_bytes());
    bytes.extend(81_920u32.to_le_bytes());
    bytes.extend(noise(1000));
    bytes
}

/// A grey picture of 8 × 8.
pub(crate) fn write_png(path: &Path, value: u8) {
    std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
    let picture = image::GrayImage::from_pixel(8, 8, image::Luma([value]));
    picture.save(path).expect("a file");
}

pub(crate) fn write(path: &Path, bytes: &[u8]) {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).expect("a folder");
    }
    std::fs::write(path, bytes).expect("a file");
}

/// Cuts the end of a file off.
pub(crate) fn cut(path: &Path, missing: usize) {
    let bytes = std::fs::read(path).expect("a file");
    write(path, &bytes[..bytes.len() - missing]);
}
