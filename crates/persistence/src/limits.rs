//! How much a file may ask for.

/// Files, and what they unpack to, may have this many bytes where nothing else is said: 2 GiB.
pub const MAX_BYTES: u64 = 2 << 30;

/// Archives may unpack to this many times their size: text packs about ten times, numbers less than two.
pub const MAX_RATIO: u64 = 100;

/// Tensors, groups, members: files of more of these are refused. The largest model of `keras.applications` has some thousands.
pub const MAX_ITEMS: usize = 1 << 17;

/// Groups within groups, dictionaries within dictionaries. Keras nests models in models, a handful of levels.
pub const MAX_DEPTH: usize = 64;

/// What reading a file may take at most; a file that claims more is refused before memory is asked for.
///
/// ```
/// let small = persistence::Limits { bytes: 1 << 20, ..Default::default() };
/// assert!(persistence::open_with("missing.keras".as_ref(), &small).is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the file, of one tensor, and of all tensors together.
    pub bytes: u64,
    /// Bytes of an unpacked member of an archive for each byte of the packed one.
    pub ratio: u64,
    /// Tensors and other named things.
    pub items: usize,
    /// Levels of groups, lists and dictionaries.
    pub depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            bytes: MAX_BYTES,
            ratio: MAX_RATIO,
            items: MAX_ITEMS,
            depth: MAX_DEPTH,
        }
    }
}
