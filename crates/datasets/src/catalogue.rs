//! The data sets that are known by name: their files, checksums, licences and places.

use crate::cats_dogs::Variant;
use crate::{Error, Result, cifar};

/// A checksum, and of what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Checksum {
    /// SHA-256 of the file as it is downloaded.
    Sha256(&'static str),
    /// SHA-256 of what the gzip file unpacks to, so that a file that was packed again is recognised as well.
    Sha256Unpacked(&'static str),
    /// MD5 of the file as it is downloaded, where its publisher gives no better one. It shows damage, not malice.
    Md5(&'static str),
}

impl Checksum {
    /// `SHA-256`, `SHA-256 of the unpacked content` or `MD5`.
    #[must_use]
    pub fn algorithm(&self) -> &'static str {
        match self {
            Self::Sha256(_) => "SHA-256",
            Self::Sha256Unpacked(_) => "SHA-256 of the unpacked content",
            Self::Md5(_) => "MD5",
        }
    }

    /// The checksum in hexadecimal digits.
    #[must_use]
    pub fn digits(&self) -> &'static str {
        match self {
            Self::Sha256(digits) | Self::Sha256Unpacked(digits) | Self::Md5(digits) => digits,
        }
    }
}

/// A file that can be downloaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct KnownFile {
    /// Its name in the data folder.
    pub name: &'static str,
    /// Its published size in bytes.
    pub bytes: u64,
    /// Its published checksum.
    pub checksum: Checksum,
    /// Where it is, the first place first.
    pub urls: &'static [&'static str],
    /// If it is an archive: the files to take out of it. An archive is removed once that is done.
    pub members: &'static [&'static str],
}

/// A data set that is known by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct KnownSet {
    /// The name to [`load`](crate::load), [`fetch`](crate::fetch) and [`verify`](crate::verify) it by.
    pub name: &'static str,
    /// One line on what it is.
    pub title: &'static str,
    /// `(height, width, channels)`.
    pub shape: [usize; 3],
    /// The names of the classes.
    pub classes: &'static [&'static str],
    /// How many images there are to train with.
    pub train: usize,
    /// How many images there are to test with.
    pub test: usize,
    /// What its owners allow.
    pub licence: &'static str,
    /// Whom to name when it is used.
    pub attribution: &'static str,
    /// What to download; empty if it is part of the program.
    pub files: &'static [KnownFile],
    /// Names of the sub-folders of a data folder in which it is looked for; the first is where it is put.
    pub folders: &'static [&'static str],
    #[serde(skip)]
    pub(crate) format: Format,
}

/// Which reader a data set needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Embedded,
    Idx,
    Cifar,
    CatsDogs(Variant),
}

impl KnownSet {
    /// The bytes to download.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// Title, attribution and licence in one sentence, for [`Dataset::source`](crate::Dataset::source).
    #[must_use]
    pub fn source(&self) -> String {
        format!("{}; {}; licence: {}", self.title, self.attribution, self.licence)
    }
}

pub(crate) const DIGIT_NAMES: &[&str] = &["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
const CATS_DOGS_LICENCE: &str = "no licence stated (\"Copyright 2019, All Rights Reserved\"; to be cited when used)";
const CATS_DOGS_ATTRIBUTION: &str = "S. L. Brunton and J. N. Kutz, Data-Driven Science and Engineering, Cambridge University Press 2019, \
     github.com/dynamicslab/databook_python";

macro_rules! places {
    ($name:literal, $($base:literal),+) => { &[$(concat!($base, $name)),+] };
}
macro_rules! mnist {
    ($name:literal, $bytes:literal, $sha256:literal) => {
        KnownFile {
            name: $name,
            bytes: $bytes,
            checksum: Checksum::Sha256Unpacked($sha256),
            urls: places!(
                $name,
                "https://ossci-datasets.s3.amazonaws.com/mnist/",
                "https://storage.googleapis.com/cvdf-datasets/mnist/"
            ),
            members: &[],
        }
    };
}
macro_rules! fashion {
    ($name:literal, $bytes:literal, $checksum:expr) => {
        KnownFile {
            name: $name,
            bytes: $bytes,
            checksum: $checksum,
            urls: places!(
                $name,
                "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
                "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
            ),
            members: &[],
        }
    };
}
macro_rules! cats_dogs {
    ($name:literal, $bytes:literal, $sha256:literal) => {
        KnownFile {
            name: $name,
            bytes: $bytes,
            checksum: Checksum::Sha256($sha256),
            urls: places!(
                $name,
                "https://raw.githubusercontent.com/dynamicslab/databook_python/master/DATA/"
            ),
            members: &[],
        }
    };
}

static CATALOGUE: [KnownSet; 6] = [
    KnownSet {
        name: "digits",
        title: "UCI optical digits, 8 x 8, part of the program",
        shape: [8, 8, 1],
        classes: DIGIT_NAMES,
        train: 1437,
        test: 360,
        licence: "CC BY 4.0",
        attribution: "E. Alpaydin and C. Kaynak (1998), Optical Recognition of Handwritten Digits, UCI Machine Learning Repository",
        files: &[],
        folders: &[],
        format: Format::Embedded,
    },
    KnownSet {
        name: "mnist",
        title: "MNIST, handwritten digits",
        shape: [28, 28, 1],
        classes: DIGIT_NAMES,
        train: 60_000,
        test: 10_000,
        licence: "CC BY-SA 3.0",
        attribution: "Y. LeCun, C. Cortes and C. J. C. Burges, The MNIST database of handwritten digits",
        files: &[
            mnist!(
                "train-images-idx3-ubyte.gz",
                9_912_422,
                "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"
            ),
            mnist!(
                "train-labels-idx1-ubyte.gz",
                28_881,
                "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"
            ),
            mnist!(
                "t10k-images-idx3-ubyte.gz",
                1_648_877,
                "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"
            ),
            mnist!(
                "t10k-labels-idx1-ubyte.gz",
                4_542,
                "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"
            ),
        ],
        folders: &["mnist"],
        format: Format::Idx,
    },
    KnownSet {
        name: "fashion-mnist",
        title: "Fashion-MNIST, articles of clothing",
        shape: [28, 28, 1],
        classes: &[
            "T-shirt/top",
            "Trouser",
            "Pullover",
            "Dress",
            "Coat",
            "Sandal",
            "Shirt",
            "Sneaker",
            "Bag",
            "Ankle boot",
        ],
        train: 60_000,
        test: 10_000,
        licence: "MIT",
        attribution: "H. Xiao, K. Rasul and R. Vollgraf (2017), Zalando Research, arXiv:1708.07747",
        files: &[
            fashion!(
                "train-images-idx3-ubyte.gz",
                26_421_880,
                Checksum::Md5("8d4fb7e6c68d591d4c3dfef9ec88bf0d")
            ),
            fashion!(
                "train-labels-idx1-ubyte.gz",
                29_515,
                Checksum::Sha256Unpacked("bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9")
            ),
            fashion!(
                "t10k-images-idx3-ubyte.gz",
                4_422_102,
                Checksum::Md5("bef4ecab320f06d8554ea6380940ec79")
            ),
            fashion!(
                "t10k-labels-idx1-ubyte.gz",
                5_148,
                Checksum::Sha256Unpacked("0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34")
            ),
        ],
        folders: &["fashion-mnist", "fashion_mnist"],
        format: Format::Idx,
    },
    KnownSet {
        name: "cifar10",
        title: "CIFAR-10, small colour photographs",
        shape: [32, 32, 3],
        classes: &cifar::CLASSES,
        train: 50_000,
        test: 10_000,
        licence: "no licence stated; free for research, to be cited",
        attribution: "A. Krizhevsky (2009), Learning Multiple Layers of Features from Tiny Images, University of Toronto",
        files: &[KnownFile {
            name: "cifar-10-binary.tar.gz",
            bytes: 170_052_171,
            checksum: Checksum::Md5("c32a1d4ab5d03f1284b67883e8d87530"),
            urls: &["https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"],
            members: &[
                "data_batch_1.bin",
                "data_batch_2.bin",
                "data_batch_3.bin",
                "data_batch_4.bin",
                "data_batch_5.bin",
                "test_batch.bin",
            ],
        }],
        folders: &["cifar10", "cifar-10", "cifar-10-batches-bin", "cifar10-subset"],
        format: Format::Cifar,
    },
    KnownSet {
        name: "cats-dogs",
        title: "80 cats and 80 dogs, wavelet images",
        shape: [32, 32, 1],
        classes: &["dog", "cat"],
        train: 80,
        test: 80,
        licence: CATS_DOGS_LICENCE,
        attribution: CATS_DOGS_ATTRIBUTION,
        files: &[
            cats_dogs!(
                "dogData_w.mat",
                56_165,
                "260da17f4a3c3e159c0d28e974e2890054751b97813f3eaea5c6e17fff8ef075"
            ),
            cats_dogs!(
                "catData_w.mat",
                55_000,
                "7fd12d2e62aa23853863d853297c310982883d1b2a45b7bd0fed1f8cd6b121a1"
            ),
        ],
        folders: &["cats-dogs", "cats_dogs"],
        format: Format::CatsDogs(Variant::Wavelet),
    },
    KnownSet {
        name: "cats-dogs-original",
        title: "80 cats and 80 dogs, the photographs",
        shape: [64, 64, 1],
        classes: &["dog", "cat"],
        train: 80,
        test: 80,
        licence: CATS_DOGS_LICENCE,
        attribution: CATS_DOGS_ATTRIBUTION,
        files: &[
            cats_dogs!(
                "dogData.mat",
                233_095,
                "590d8a3681615b18c89ed21f387a76d2e55b9200b4a07b6fe6d68061ea76b6eb"
            ),
            cats_dogs!(
                "catData.mat",
                236_072,
                "ad2efb3ca83a3815b55d17973679a4fe7c719cf302e4a72d1df1b46d96e44ad4"
            ),
        ],
        folders: &["cats-dogs", "cats-dogs-original", "cats_dogs"],
        format: Format::CatsDogs(Variant::Original),
    },
];

/// The data sets that are known by name.
///
/// Where the checksums come from: those of MNIST and of the labels of Fashion-MNIST were computed from the published
/// files; those of cats vs. dogs from the files of the public repository; the MD5 sums are the publishers' own, which
/// give nothing stronger. What [`fetch`](crate::fetch) has checked, it records with its SHA-256 beside the data.
///
/// ```
/// let mnist = datasets::catalogue().iter().find(|set| set.name == "mnist").unwrap();
/// assert_eq!(mnist.bytes(), 11_594_722);
/// ```
#[must_use]
pub fn catalogue() -> &'static [KnownSet] {
    &CATALOGUE
}

/// The known set of a name. Case, and `_` instead of `-`, do not matter; nor does a hyphen too many or too few.
///
/// # Errors
/// [`Error::UnknownDataset`] with the nearest known name.
pub fn known(name: &str) -> Result<&'static KnownSet> {
    find(name).ok_or_else(|| unknown(name))
}

/// The known set of a name, if there is one.
pub(crate) fn find(name: &str) -> Option<&'static KnownSet> {
    let plain = plain(name);
    CATALOGUE
        .iter()
        .find(|set| self::plain(set.name) == plain || (set.name == "cifar10" && plain == "cifar10subset"))
}

/// The error for a name that is neither a known set nor a folder.
pub(crate) fn unknown(name: &str) -> Error {
    let letters = plain(name);
    let nearest = CATALOGUE
        .iter()
        .map(|set| (strsim::damerau_levenshtein(&letters, &plain(set.name)), set.name))
        .min();
    Error::UnknownDataset {
        name: name.to_string(),
        suggestion: nearest
            .filter(|(edits, name)| *edits <= 1 + name.len() / 4)
            .map(|(_, name)| name.to_string()),
        known: CATALOGUE.iter().map(|set| set.name).collect::<Vec<_>>().join(", "),
    }
}

fn plain(name: &str) -> String {
    name.chars()
        .take(64)
        .filter(|letter| !matches!(letter, '-' | '_'))
        .map(|letter| letter.to_ascii_lowercase())
        .collect()
}
