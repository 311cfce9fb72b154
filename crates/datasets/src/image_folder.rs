//! Any folder of images with one sub-folder a class.

use crate::resized::{MAX_SIDE, MAX_TOTAL, checked_size};
use crate::{Dataset, Error, Images, Progress, Result, Silent, Split, every_fifth};
use image::{DynamicImage, ImageDecoder, ImageError, ImageReader, Limits};
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

/// What decoding one file may allocate.
const MAX_DECODED: u64 = 512 << 20;

/// Grey or coloured images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Color {
    /// Grey if every file is grey, else coloured.
    #[default]
    Auto,
    /// One channel, the luma of coloured files (ITU-R BT.709 weights).
    Grey,
    /// Three channels: red, green, blue.
    Rgb,
}

/// How to read a folder of images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FolderOptions {
    /// `(height, width)` to resize every image to, as [`Images::resized`] does (the aspect ratio is not kept), which is what Keras'
    /// `image_dataset_from_directory` does with its `image_size`; without it all images must have one size.
    pub size: Option<(usize, usize)>,
    /// Grey or coloured.
    pub color: Color,
}

/// Reads a folder of PNG and JPEG files with one sub-folder a class; the sub-folders' names, sorted, are the classes.
///
/// If the folder has the two sub-folders `train` and `test`, the classes are looked for inside them (`test` may lack some). Otherwise
/// [`every_fifth`] image in the order of classes and file names is for testing. Names that start with a dot and files
/// that end neither in `.png` nor in `.jpg` or `.jpeg` are passed over; transparency is dropped.
///
/// ```no_run
/// use datasets::{FolderOptions, load_folder};
/// let flowers = load_folder("photos/flowers".as_ref(), &FolderOptions { size: Some((64, 64)), ..Default::default() })?;
/// println!("{} classes: {}", flowers.classes.len(), flowers.classes.join(", "));
/// # Ok::<(), datasets::Error>(())
/// ```
///
/// # Errors
/// [`Error::Folder`] for a missing or empty folder or a class without images, [`Error::Malformed`] for a file that is no
/// image, [`Error::Inconsistent`] for images of different sizes (naming the first two) or too many of them.
pub fn load_folder(folder: &Path, options: &FolderOptions) -> Result<Dataset> {
    load_folder_watched(folder, options, &mut Silent)
}

/// As [`load_folder`], for someone who waits: [`Progress::images`] hears of every file, and [`Progress::cancelled`] may end it.
///
/// # Errors
/// As [`load_folder`]; [`Error::ReadingCancelled`].
pub fn load_folder_watched(folder: &Path, options: &FolderOptions, progress: &mut dyn Progress) -> Result<Dataset> {
    let (train, test) = (folder.join("train"), folder.join("test"));
    let name = folder
        .file_name()
        .map_or_else(|| "images".into(), |name| name.to_string_lossy().into_owned());
    let source = format!("the images in '{}'", folder.display());
    if train.is_dir() && test.is_dir() {
        let classes = class_names(&train)?;
        let mut files = list(&train, &classes)?;
        for class in class_names(&test)? {
            if !classes.contains(&class) {
                let problem = "is no class of 'train'".to_string();
                let advice = "give 'train' and 'test' the same sub-folders".to_string();
                return Err(Error::Folder {
                    path: test.join(class),
                    problem,
                    advice,
                });
            }
        }
        let in_test: Vec<String> = classes
            .iter()
            .filter(|class| test.join(class).is_dir())
            .cloned()
            .collect();
        let train_count = files.len();
        let test_files = list(&test, &in_test)?;
        files.extend(test_files.into_iter().map(|(label, path)| {
            let position = classes
                .iter()
                .position(|class| *class == in_test[label as usize])
                .unwrap_or_default();
            (position as u32, path)
        }));
        let all = decode_all(&files, options, progress)?;
        let (first, last): (Vec<usize>, Vec<usize>) = (0..files.len()).partition(|&index| index < train_count);
        return Ok(Dataset {
            name,
            source,
            classes,
            train: all.select(&first),
            test: all.select(&last),
        });
    }
    let classes = class_names(folder)?;
    let files = list(folder, &classes)?;
    let labels: Vec<u32> = files.iter().map(|(label, _)| *label).collect();
    let (train, test) = every_fifth(&labels);
    if let Some(class) = (0..classes.len() as u32).find(|class| !train.iter().any(|&index| labels[index] == *class)) {
        return Err(Error::Folder {
            path: folder.join(&classes[class as usize]),
            problem: "has one image, which is needed for testing".to_string(),
            advice: "add images, or make the sub-folders 'train' and 'test' yourself".to_string(),
        });
    }
    let all = decode_all(&files, options, progress)?;
    Ok(Dataset {
        name,
        source,
        classes,
        train: all.select(&train),
        test: all.select(&test),
    })
}

/// Reads one PNG or JPEG file; its first bytes tell which. Transparency is dropped.
///
/// ```no_run
/// use datasets::{Color, open_image};
/// let photo = open_image("photo.jpg".as_ref(), Color::Auto)?;
/// println!("{} x {} pixels, {} channels", photo.height, photo.width, photo.channels);
/// # Ok::<(), datasets::Error>(())
/// ```
///
/// # Errors
/// [`Error::Io`] where it cannot be read, [`Error::Malformed`] for a file that is no image, is damaged, or has more than
/// 16,384 pixels a side.
pub fn open_image(path: &Path, color: Color) -> Result<Images> {
    let image = open(path)?;
    let (height, width) = (image.height() as usize, image.width() as usize);
    let grey = color == Color::Grey || (color == Color::Auto && !image.color().has_color());
    if grey {
        Images::new(height, width, 1, 255, image.into_luma8().into_raw())
    } else {
        Images::new(height, width, 3, 255, image.into_rgb8().into_raw())
    }
}

/// The sub-folders, sorted by name.
fn class_names(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for path in entries(folder)? {
        if path.is_dir() {
            let name = path.file_name().unwrap_or_default();
            names.push(name.to_str().map(String::from).ok_or_else(|| Error::Folder {
                path: path.clone(),
                problem: "has a name that is no valid Unicode".to_string(),
                advice: "rename it".to_string(),
            })?);
        }
    }
    if names.is_empty() {
        return Err(Error::Folder {
            path: folder.to_path_buf(),
            problem: "has no sub-folders and no files of a known data set".to_string(),
            advice: "put the images of each class into a sub-folder of its own".to_string(),
        });
    }
    Ok(names)
}

/// The image files of each class with the class's position, sorted by name.
fn list(folder: &Path, classes: &[String]) -> Result<Vec<(u32, PathBuf)>> {
    let mut files = Vec::new();
    for (label, class) in classes.iter().enumerate() {
        let class_folder = folder.join(class);
        let before = files.len();
        for path in entries(&class_folder)? {
            if is_image_name(&path) && path.is_file() {
                files.push((label as u32, path));
            }
        }
        if files.len() == before {
            return Err(Error::Folder {
                path: class_folder,
                problem: "has no .png or .jpg images".to_string(),
                advice: "add images, or remove the folder".to_string(),
            });
        }
    }
    Ok(files)
}

fn is_image_name(path: &Path) -> bool {
    let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
    extension == "png" || extension == "jpg" || extension == "jpeg"
}

/// What is in a folder, sorted, without hidden things.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let io = |source| Error::io("list", folder, source);
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(io)? {
        let entry = entry.map_err(io)?;
        if !entry.file_name().to_string_lossy().starts_with('.') {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

fn decode_all(files: &[(u32, PathBuf)], options: &FolderOptions, progress: &mut dyn Progress) -> Result<Split> {
    let color = match options.color {
        Color::Auto => {
            let mut grey = true;
            for (_, path) in files {
                let decoder = reader(path)?.into_decoder().map_err(|error| no_image(path, &error))?;
                grey &= !decoder.color_type().has_color();
                if !grey {
                    break;
                }
            }
            if grey { Color::Grey } else { Color::Rgb }
        }
        chosen => chosen,
    };
    let channels = if color == Color::Grey { 1 } else { 3 };
    let mut shape: Option<(usize, usize)> = options.size.map(checked_size).transpose()?;
    let mut pixels: Vec<u8> = Vec::new();
    for (done, (_, path)) in files.iter().enumerate() {
        if progress.cancelled() {
            return Err(Error::ReadingCancelled {
                images: done,
                of: files.len(),
            });
        }
        let image = open(path)?;
        let found = (image.height() as usize, image.width() as usize);
        let (height, width) = *shape.get_or_insert(found);
        if options.size.is_none() && (height, width) != found {
            return Err(Error::inconsistent(
                format!("size of '{}'", path.display()),
                format!("{height} x {width} as '{}'", files[0].1.display()),
                format!("{} x {}", found.0, found.1),
                format!(
                    "resize all images while they are read, with --image-size HEIGHTxWIDTH such as --image-size {height}x{width} \
                     (FolderOptions::size), or give the files one size"
                ),
            ));
        }
        let total = (files.len() as u64).saturating_mul((height * width * channels) as u64);
        if total > MAX_TOTAL {
            return Err(Error::inconsistent(
                format!("{} images of {height} x {width} x {channels}", files.len()),
                format!("at most {MAX_TOTAL} bytes"),
                format!("{total} bytes"),
                "resize them to a smaller size with --image-size HEIGHTxWIDTH (FolderOptions::size), or use fewer images",
            ));
        }
        let bytes = match color {
            Color::Grey => image.into_luma8().into_raw(),
            _ => image.into_rgb8().into_raw(),
        };
        if (height, width) == found {
            pixels.extend_from_slice(&bytes);
        } else {
            let one = Images::new(found.0, found.1, channels, 255, bytes)?;
            pixels.extend_from_slice(one.resized((height, width))?.pixels());
        }
        progress.images(done + 1, files.len());
    }
    let (height, width) = shape.unwrap_or((1, 1));
    Split::new(
        Images::new(height, width, channels, 255, pixels)?,
        files.iter().map(|(label, _)| *label).collect(),
    )
}

/// Decodes one file; its first bytes tell its format.
fn open(path: &Path) -> Result<DynamicImage> {
    reader(path)?.decode().map_err(|error| no_image(path, &error))
}

fn reader(path: &Path) -> Result<ImageReader<BufReader<File>>> {
    let reader = ImageReader::open(path).and_then(ImageReader::with_guessed_format);
    let mut reader = reader.map_err(|source| Error::io("read", path, source))?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE as u32);
    limits.max_image_height = Some(MAX_SIDE as u32);
    limits.max_alloc = Some(MAX_DECODED);
    reader.limits(limits);
    Ok(reader)
}

fn no_image(path: &Path, error: &ImageError) -> Error {
    Error::Malformed {
        path: path.to_path_buf(),
        offset: 0,
        expected: "a PNG or JPEG image".to_string(),
        found: error.to_string(),
        advice: "repair or remove the file".to_string(),
    }
}
