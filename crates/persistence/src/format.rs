//! Which format a file has: its first bytes say so, whatever its name is.

use std::fmt;
use std::path::Path;

use crate::{Error, Result, Source};

/// A format of model files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Format {
    /// This program's own: a safetensors file with a description (and safetensors files of others, which have none).
    Safetensors,
    /// Keras 3: a zip archive with `config.json`, `metadata.json` and `model.weights.h5`.
    Keras,
    /// The weights of a Keras 3 model without its description, in HDF5.
    WeightsH5,
    /// Keras 2 and Keras 3's legacy format: one HDF5 file with description and weights.
    LegacyH5,
    /// A PyTorch checkpoint: a zip archive with a pickle.
    Torch,
    /// An ONNX model (protocol buffers).
    Onnx,
    /// One NumPy array.
    Npy,
    /// NumPy arrays by name: a zip archive of `.npy` files.
    Npz,
    /// The format of llama.cpp.
    Gguf,
}

impl Format {
    /// All formats, in the order in which lists name them.
    pub const ALL: [Format; 9] = [
        Format::Safetensors,
        Format::Keras,
        Format::WeightsH5,
        Format::LegacyH5,
        Format::Torch,
        Format::Onnx,
        Format::Npy,
        Format::Npz,
        Format::Gguf,
    ];

    /// The ending of its files, without a dot before the first letter.
    pub fn ending(self) -> &'static str {
        match self {
            Format::Safetensors => "safetensors",
            Format::Keras => "keras",
            Format::WeightsH5 => "weights.h5",
            Format::LegacyH5 => "h5",
            Format::Torch => "pt",
            Format::Onnx => "onnx",
            Format::Npy => "npy",
            Format::Npz => "npz",
            Format::Gguf => "gguf",
        }
    }

    /// The format that the name of a file asks for; how a file that is to be written gets its format.
    ///
    /// ```
    /// use persistence::Format;
    ///
    /// assert_eq!(Format::from_name("digits.weights.h5".as_ref()), Some(Format::WeightsH5));
    /// assert_eq!(Format::from_name("digits.H5".as_ref()), Some(Format::LegacyH5));
    /// assert_eq!(Format::from_name("digits.pth".as_ref()), Some(Format::Torch));
    /// assert_eq!(Format::from_name("digits".as_ref()), None);
    /// ```
    pub fn from_name(path: &Path) -> Option<Format> {
        let name = path.file_name()?.to_string_lossy().to_lowercase();
        let synonyms = [("pth", Format::Torch), ("hdf5", Format::LegacyH5)];
        // `.weights.h5` stands before `.h5` in the list.
        let endings = Format::ALL.map(|format| (format.ending(), format));
        let mut all = endings.into_iter().chain(synonyms);
        all.find(|(ending, _)| {
            name.strip_suffix(ending)
                .and_then(|stem| stem.strip_suffix('.'))
                .is_some_and(|stem| !stem.is_empty())
        })
        .map(|(_, format)| format)
    }

    /// The format of a file, from its bytes.
    ///
    /// # Errors
    /// [`Error::UnknownFormat`] where they are those of no format that is known here.
    pub fn detect(source: &Source) -> Result<Format> {
        let bytes = source.bytes();
        let found = match bytes {
            [b'P', b'K', 3 | 5, 4 | 6, ..] => zip_kind(bytes),
            _ if bytes.starts_with(HDF5) => Some(crate::keras::hdf5_kind(source)),
            [0x93, b'N', b'U', b'M', b'P', b'Y', ..] => Some(Format::Npy),
            [b'G', b'G', b'U', b'F', ..] => Some(Format::Gguf),
            _ if is_safetensors(bytes) => Some(Format::Safetensors),
            _ if is_onnx(bytes) => Some(Format::Onnx),
            // A pickle without an archive around it, as PyTorch before 1.6 wrote; its reader says what to do.
            [0x80, 2..=5, ..] => Some(Format::Torch),
            _ => None,
        };
        found.ok_or_else(|| Error::UnknownFormat {
            path: source.path().to_path_buf(),
            found: crate::source::glance(bytes),
            // What is no file of any format is likely a damaged one of the format that it is named after.
            named: Format::from_name(source.path()),
        })
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Format::Safetensors => "safetensors",
            Format::Keras => "Keras archive",
            Format::WeightsH5 => "Keras weights (HDF5)",
            Format::LegacyH5 => "legacy Keras (HDF5)",
            Format::Torch => "PyTorch",
            Format::Onnx => "ONNX",
            Format::Npy => "NumPy array",
            Format::Npz => "NumPy archive",
            Format::Gguf => "GGUF",
        })
    }
}

/// The signature of HDF5.
const HDF5: &[u8] = b"\x89HDF\r\n\x1a\n";

/// What an archive is, from the names in its central directory, or of its first member where the end is missing.
fn zip_kind(bytes: &[u8]) -> Option<Format> {
    // Local headers hold each name once more, so a search in the bytes finds names without trusting any length.
    let head = &bytes[..bytes.len().min(1 << 16)];
    let tail = &bytes[bytes.len() - bytes.len().min(1 << 16)..];
    let has = |name: &[u8]| {
        [head, tail]
            .iter()
            .any(|part| part.windows(name.len()).any(|at| at == name))
    };
    if has(b"model.weights.h5") || has(b"config.json") {
        Some(Format::Keras)
    } else if has(b"/data.pkl") || has(b"/version") {
        Some(Format::Torch)
    } else if has(b".npy") {
        Some(Format::Npz)
    } else {
        None
    }
}

/// Eight bytes of length, and a JSON object behind them. A file that ends within them has nothing else to be known by than the zeros
/// of a short length.
fn is_safetensors(bytes: &[u8]) -> bool {
    bytes.get(8) == Some(&b'{') || (bytes.len() < 9 && bytes.len() >= 4 && bytes[2..].iter().all(|&byte| byte == 0))
}

/// A protocol buffer that begins with the field `ir_version` (1, a small number) and goes on with a field of a model.
fn is_onnx(bytes: &[u8]) -> bool {
    matches!(
        bytes,
        [
            0x08,
            1..=0x7f,
            0x12 | 0x1a | 0x22 | 0x28 | 0x32 | 0x3a | 0x42 | 0x72,
            ..
        ]
    )
}
