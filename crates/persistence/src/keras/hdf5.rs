//! HDF5 files as Keras uses them: groups, tensors, attributes that are texts.
//!
//! The crate `hdf5-pure` knows the format. What is added here: nothing outside of the file is ever touched (links and external or
//! virtual storage are refused), sizes are checked before memory is asked for, and numbers stay in the file until they are used.

use std::collections::BTreeMap;

use hdf5_pure::{
    AttrValue, Dataset, Datatype, DatatypeByteOrder, File, FloatingPointLayout, FormatError, Group, Layout,
};
use safetensors::Dtype;

use super::links;
use crate::fault::quoted;
use crate::source::shorten;
use crate::stored::byte_count;
use crate::{Error, Result, Source, StoredTensor};

/// What messages call the format.
pub(super) const NAME: &str = "HDF5";

/// So many bytes beside the numbers are searched for links: names, shapes and attributes of thousands of layers.
const SEARCHED: usize = 1 << 24;

/// IEEE half precision, as h5py writes `float16`.
pub(super) const HALF: FloatingPointLayout = FloatingPointLayout {
    bit_offset: 0,
    bit_precision: 16,
    exponent_location: 10,
    exponent_size: 5,
    mantissa_location: 0,
    mantissa_size: 10,
    exponent_bias: 15,
};

/// The bytes that the crate asks for.
struct Bytes(Source);

impl hdf5_pure::Source for Bytes {
    fn len(&self) -> u64 {
        self.0.bytes().len() as u64
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), FormatError> {
        let bytes = self.0.bytes();
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let part = start.checked_add(buf.len()).and_then(|end| bytes.get(start..end));
        let part = part.ok_or(FormatError::UnexpectedEof {
            expected: buf.len(),
            available: bytes.len().saturating_sub(start),
        })?;
        buf.copy_from_slice(part);
        Ok(())
    }
}

/// An HDF5 file that is read.
pub(super) struct H5File {
    file: File,
    source: Source,
}

/// What a group holds: names, sorted.
pub(super) struct Children {
    pub(super) groups: Vec<String>,
    pub(super) datasets: Vec<String>,
}

/// `group/name`, without a slash in front.
pub(super) fn join(group: &str, name: &str) -> String {
    if group.is_empty() {
        name.to_string()
    } else {
        format!("{group}/{name}")
    }
}

impl H5File {
    pub(super) fn open(source: &Source) -> Result<Self> {
        let file = File::from_source(Bytes(source.clone()))
            .map_err(|error| Error::malformed(source, NAME, "the superblock (from byte 0)", error.to_string()))?;
        Ok(H5File {
            file,
            source: source.clone(),
        })
    }

    /// An error about a group, data set or attribute.
    pub(super) fn damaged(&self, place: &str, reason: impl ToString) -> Error {
        let place: String = place.chars().take(200).collect();
        Error::malformed(&self.source, NAME, place, reason.to_string())
    }

    fn group(&self, path: &str) -> Result<Group> {
        if path.is_empty() {
            return Ok(self.file.root());
        }
        let group = self.file.group(path);
        group.map_err(|error| self.damaged(&format!("the group '{path}'"), error))
    }

    /// Whether there is a group of this path.
    pub(super) fn has_group(&self, path: &str) -> bool {
        self.file.group(path).is_ok()
    }

    pub(super) fn children(&self, path: &str) -> Result<Children> {
        let group = self.group(path)?;
        let wrong = |error: hdf5_pure::Error| self.damaged(&format!("the group '{path}'"), error);
        let mut children = Children {
            groups: group.groups().map_err(wrong)?,
            datasets: group.datasets().map_err(wrong)?,
        };
        let (found, items) = (
            children.groups.len() + children.datasets.len(),
            self.source.limits().items,
        );
        if found > items {
            return Err(self.damaged(
                &format!("the group '{path}'"),
                format!("{found} members, at most {items} are read"),
            ));
        }
        children.groups.sort();
        children.datasets.sort();
        Ok(children)
    }

    /// All data sets, by path from the root, each looked up once.
    pub(super) fn tensors(&self) -> Result<BTreeMap<String, StoredTensor>> {
        let found = self.walked();
        self.refuse_links(found.iter().flat_map(BTreeMap::values))?;
        found
    }

    /// Refuses a file with a link that leads elsewhere, before what it stands for is said to be missing. The places of the numbers of
    /// `known` tensors are not searched.
    pub(super) fn refuse_links<'t>(&self, known: impl Iterator<Item = &'t StoredTensor>) -> Result<()> {
        let begin = self.source.offset();
        let numbers = known.filter_map(StoredTensor::place);
        let mut numbers: Vec<_> = numbers
            .map(|place| place.start.saturating_sub(begin)..place.end.saturating_sub(begin))
            .collect();
        numbers.sort_unstable_by_key(|place| place.start);
        let Some(link) = links::first(self.source.bytes(), &numbers, SEARCHED) else {
            return Ok(());
        };
        let place = match &link.name {
            Some(name) => format!("the link '{}' (byte {})", quoted(name), link.byte),
            None => format!("a symbol table (byte {})", link.byte),
        };
        let mut what = if link.file.is_some() {
            "an external link"
        } else {
            "a soft link"
        }
        .to_string();
        for (word, text) in [("to", &link.target), ("of the file", &link.file)] {
            if let Some(text) = text {
                what += &format!(" {word} '{}'", quoted(text));
            }
        }
        Err(Error::refused(
            &self.source,
            place,
            what,
            "its numbers would come from elsewhere; save the model again without links",
        ))
    }

    fn walked(&self) -> Result<BTreeMap<String, StoredTensor>> {
        let mut found = BTreeMap::new();
        // Groups that are still to be looked at, with their depth. A group that holds itself ends at the depth.
        let mut open = vec![(String::new(), 0)];
        let mut visited = 0;
        while let Some((path, depth)) = open.pop() {
            visited += 1;
            let limits = self.source.limits();
            if depth > limits.depth || visited > limits.items {
                let reason = format!("groups more than {} deep, or more than {}", limits.depth, limits.items);
                return Err(self.damaged(&format!("the group '{}'", shorten(&path)), reason));
            }
            let children = self.children(&path)?;
            for name in children.datasets {
                let path = join(&path, &name);
                let tensor = self.tensor(&path)?;
                found.insert(path, tensor);
            }
            open.extend(children.groups.iter().map(|name| (join(&path, name), depth + 1)));
        }
        let declared = found
            .values()
            .fold(0u64, |sum, tensor| sum.saturating_add(tensor.byte_len() as u64));
        self.budget(declared, "all data sets together")?;
        Ok(found)
    }

    fn budget(&self, declared: u64, place: &str) -> Result<()> {
        let limit = self.source.limits().bytes;
        if declared > limit {
            let reason = format!("{declared} bytes are declared, at most {limit} are read");
            return Err(self.damaged(place, reason));
        }
        Ok(())
    }

    /// A data set of numbers; they stay in the file.
    pub(super) fn tensor(&self, path: &str) -> Result<StoredTensor> {
        let place = format!("the data set '{path}'");
        let dataset = self.file.dataset(path).map_err(|error| self.damaged(&place, error))?;
        let wrong = |error: hdf5_pure::Error| self.damaged(&place, error);
        let datatype = dataset.datatype().map_err(wrong)?;
        let bfloat = || self.dataset_text(&dataset, "dtype").as_deref() == Some("bfloat16");
        let (dtype, swapped) = match &datatype {
            // NumPy has no bfloat16: Keras writes two opaque bytes and says so.
            Datatype::Opaque { size: 2, .. } if bfloat() => (Dtype::BF16, false),
            _ => number_format(&datatype)
                .ok_or_else(|| self.damaged(&place, format!("holds {}, not numbers", described(&datatype))))?,
        };
        let shape = dataset.shape().map_err(wrong)?;
        let sizes: Option<Vec<usize>> = shape.iter().map(|&size| usize::try_from(size).ok()).collect();
        let count = sizes.as_ref().and_then(|sizes| byte_count(dtype, sizes));
        let (Some(sizes), Some(count)) = (sizes, count) else {
            return Err(self.damaged(&place, format!("its shape {shape:?} is larger than any memory")));
        };
        self.budget(count as u64, &place)?;
        let refused = |what: &str, reason| Error::refused(&self.source, place.clone(), what, reason);
        match dataset.layout().map_err(wrong)? {
            Layout::Virtual => Err(refused("a virtual data set", "its numbers would come from other files")),
            Layout::Contiguous {
                address: Some(address),
                size,
            } if !swapped => {
                let start = usize::try_from(address).unwrap_or(usize::MAX);
                let part = start.checked_add(count).and_then(|end| self.source.part(start..end));
                let part = part.filter(|_| size == count as u64).ok_or_else(|| {
                    let there = self.source.bytes().len();
                    let reason = format!(
                        "{shape:?} {dtype} take {count} bytes; it has {size} from byte {address} of a file of {there} bytes"
                    );
                    self.damaged(&place, reason)
                })?;
                StoredTensor::in_file(dtype, sizes, part).ok_or_else(|| self.damaged(&place, "its size changed"))
            }
            layout => {
                // Compact, chunked or big-endian: the crate puts the numbers together. Bytes that are stored nowhere but declared
                // could be any number, so the file must be worth its claim.
                let most = (self.source.bytes().len() as u64).saturating_mul(self.source.limits().ratio);
                if count as u64 > most {
                    let reason = format!("{count} bytes are declared in a file of {}", self.source.bytes().len());
                    return Err(self.damaged(&place, reason));
                }
                if let Layout::Contiguous { address: None, .. } = layout {
                    // Numbers in another file look like numbers that were never written.
                    dataset
                        .read_raw_rows(0, 0)
                        .map_err(|error| external(&self.source, &place, error))?;
                    if count > 0 {
                        return Err(self.damaged(&place, "its numbers were never written"));
                    }
                }
                let (source, width) = (self.source.clone(), dtype.bitsize() / 8);
                Ok(StoredTensor::computed(dtype, sizes, move || {
                    source.verify()?;
                    let mut bytes = dataset.read_raw().map_err(|error| external(&source, &place, error))?;
                    if swapped {
                        bytes.chunks_exact_mut(width).for_each(<[u8]>::reverse);
                    }
                    Ok(bytes)
                }))
            }
        }
    }

    fn dataset_text(&self, dataset: &Dataset, name: &str) -> Option<String> {
        let attributes = dataset.attrs().ok()?;
        attributes.get(name).and_then(AttrValue::as_str).map(str::to_string)
    }

    /// The attributes of a group that are a text or a list of texts.
    pub(super) fn attributes(&self, path: &str) -> Result<BTreeMap<String, Vec<String>>> {
        let attributes = self.group(path)?.attrs();
        let attributes = attributes.map_err(|error| self.damaged(&format!("the attributes of '{path}'"), error))?;
        let mut texts = BTreeMap::new();
        for (name, value) in attributes {
            let list = match (value.as_str(), value.as_strings()) {
                (Some(text), _) => vec![text.to_string()],
                (None, Some(list)) => list.to_vec(),
                (None, None) => continue,
            };
            texts.insert(name, list);
        }
        Ok(texts)
    }
}

fn external(source: &Source, place: &str, error: hdf5_pure::Error) -> Error {
    match error {
        hdf5_pure::Error::Format(FormatError::UnsupportedExternalStorage) => Error::refused(
            source,
            place,
            "external storage",
            "its numbers would come from other files",
        ),
        other => Error::malformed(source, NAME, place, other.to_string()),
    }
}

/// The number format, and whether the bytes of a number stand the other way round.
fn number_format(datatype: &Datatype) -> Option<(Dtype, bool)> {
    let (dtype, size, order) = match datatype {
        Datatype::FloatingPoint {
            size,
            byte_order,
            layout,
        } => {
            let dtype = match (size, layout) {
                (2, layout) if *layout == HALF => Dtype::F16,
                (4, layout) if *layout == FloatingPointLayout::IEEE754_BINARY32 => Dtype::F32,
                (8, layout) if *layout == FloatingPointLayout::IEEE754_BINARY64 => Dtype::F64,
                _ => return None,
            };
            (dtype, *size, byte_order)
        }
        Datatype::FixedPoint {
            size,
            byte_order,
            layout,
        } => {
            if layout.bit_offset != 0 || u32::from(layout.bit_precision) != size * 8 {
                return None;
            }
            let dtype = match (size, layout.signed) {
                (1, true) => Dtype::I8,
                (1, false) => Dtype::U8,
                (2, true) => Dtype::I16,
                (2, false) => Dtype::U16,
                (4, true) => Dtype::I32,
                (4, false) => Dtype::U32,
                (8, true) => Dtype::I64,
                (8, false) => Dtype::U64,
                _ => return None,
            };
            (dtype, *size, byte_order)
        }
        // h5py writes booleans as an enumeration of FALSE and TRUE.
        Datatype::Enumeration { size: 1, .. } => return Some((Dtype::BOOL, false)),
        _ => return None,
    };
    match order {
        DatatypeByteOrder::LittleEndian => Some((dtype, false)),
        DatatypeByteOrder::BigEndian => Some((dtype, size > 1)),
        DatatypeByteOrder::Vax => None,
    }
}

/// What a data set holds that holds no numbers.
fn described(datatype: &Datatype) -> &'static str {
    match datatype {
        Datatype::String { .. } => "text",
        Datatype::VariableLength { is_string: true, .. } => "text",
        Datatype::VariableLength { .. } => "lists of any length",
        Datatype::Compound { .. } => "records",
        Datatype::Reference { .. } => "references",
        Datatype::Opaque { .. } => "bytes without a meaning",
        Datatype::Array { .. } => "arrays in an array",
        Datatype::FixedPoint { .. } | Datatype::FloatingPoint { .. } => "numbers of an unusual format",
        _ => "something else",
    }
}
