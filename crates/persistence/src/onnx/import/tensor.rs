//! The constants of a graph: numbers in the file, or in one beside it.

use std::collections::BTreeMap;
use std::path::{Component, Path};

use safetensors::Dtype;

use super::proto::entry;
use crate::Source;
use crate::fault::{Fault, Result, quoted};
use crate::layout::is_countable;
use crate::onnx::protobuf::{Field, Message};
use crate::stored::{StoredTensor, byte_count};

/// Reads constants; files beside the model are opened once.
pub(super) struct Constants<'a> {
    source: &'a Source,
    beside: BTreeMap<String, Source>,
}

fn number_format(kind: i64) -> Option<Dtype> {
    Some(match kind {
        1 => Dtype::F32,
        2 => Dtype::U8,
        3 => Dtype::I8,
        4 => Dtype::U16,
        5 => Dtype::I16,
        6 => Dtype::I32,
        7 => Dtype::I64,
        9 => Dtype::BOOL,
        10 => Dtype::F16,
        11 => Dtype::F64,
        12 => Dtype::U32,
        13 => Dtype::U64,
        16 => Dtype::BF16,
        _ => return None,
    })
}

/// Where a tensor says that its numbers are.
#[derive(Default)]
struct External<'a> {
    location: Option<&'a str>,
    offset: usize,
    length: Option<usize>,
}

impl<'a> Constants<'a> {
    pub(super) fn new(source: &'a Source) -> Self {
        Constants {
            source,
            beside: BTreeMap::new(),
        }
    }

    /// A `TensorProto` and its name.
    pub(super) fn read(&mut self, message: Message<'a>) -> Result<(&'a str, StoredTensor)> {
        let (mut name, mut kind, mut dims) = ("", 0, Vec::new());
        let (mut raw, mut listed): (Option<Field<'a>>, Vec<Field<'a>>) = (None, Vec::new());
        let (mut external, mut is_external) = (External::default(), false);
        for field in message.fields() {
            let field = field?;
            match field.number {
                1 => field.ints(&mut dims)?,
                2 => kind = field.int()?,
                4..=7 | 10 | 11 => listed.push(field),
                8 => name = field.text()?,
                9 => raw = Some(field),
                13 => external.read(field.message()?)?,
                14 => is_external = field.int()? == 1,
                _ => {}
            }
        }
        let place = || format!("constant '{}' (byte {})", quoted(name), message.offset);
        let wrong = |reason: String| Fault::new(place(), reason);
        let dtype = number_format(kind)
            .ok_or_else(|| wrong(format!("number format {kind} is not read; use float, double or int64")))?;
        let shape: Option<Vec<usize>> = dims.iter().map(|&size| usize::try_from(size).ok()).collect();
        let shape = shape
            .filter(|shape| shape.len() <= 64)
            .ok_or_else(|| wrong(format!("the shape {dims:?} is none")))?;
        let expected = byte_count(dtype, &shape)
            .filter(|_| is_countable(&shape))
            .ok_or_else(|| wrong(format!("the shape {shape:?} has more numbers than there are addresses")))?;
        let short = |found: usize| {
            wrong(format!(
                "{dtype} of the shape {shape:?} needs {expected} bytes, found {found}"
            ))
        };
        if is_external {
            let file = self.beside(&external).map_err(|fault| fault.within(&place()))?;
            let length = external
                .length
                .unwrap_or_else(|| file.bytes().len().saturating_sub(external.offset));
            let part = external
                .offset
                .checked_add(length)
                .and_then(|end| file.part(external.offset..end));
            let part = part.ok_or_else(|| {
                let reason = format!(
                    "bytes {} to {} of a file of {}",
                    external.offset,
                    external.offset.saturating_add(length),
                    file.bytes().len()
                );
                wrong(reason)
            })?;
            let tensor = StoredTensor::in_file(dtype, shape.clone(), part);
            return Ok((name, tensor.ok_or_else(|| short(length))?));
        }
        if let Some(raw) = raw {
            let bytes = raw.bytes()?;
            let part = self.source.part(raw.offset..raw.offset + bytes.len());
            let tensor = part.and_then(|part| StoredTensor::in_file(dtype, shape.clone(), part));
            return Ok((name, tensor.ok_or_else(|| short(bytes.len()))?));
        }
        let bytes = numbers(dtype, &listed)?;
        let found = bytes.len();
        let tensor = StoredTensor::in_memory(dtype, shape.clone(), bytes);
        Ok((name, tensor.ok_or_else(|| short(found))?))
    }

    /// The file beside the model that holds the numbers. It must lie in the model's folder, whatever the path in the file says.
    fn beside(&mut self, external: &External<'a>) -> Result<Source> {
        let Some(location) = external.location else {
            return Err(Fault::new("external data", "without a location"));
        };
        if let Some(file) = self.beside.get(location) {
            return Ok(file.clone());
        }
        let refused = |reason: &str| Fault::new(format!("external data '{}'", quoted(location)), reason);
        let path = Path::new(location);
        let leaves = path.components().any(|part| !matches!(part, Component::Normal(_)));
        if location.is_empty() || leaves || location.contains(['\\', ':', '\0']) {
            return Err(refused(
                "is refused: it leaves the folder of the model; only files in it are read",
            ));
        }
        let folder = match self.source.path().parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let whole = folder.join(path);
        let cannot =
            |error: std::io::Error| refused(&format!("cannot be read: {error}; it has to lie beside the model"));
        // A link may lead anywhere.
        let (folder, target) = (
            folder.canonicalize().map_err(cannot)?,
            whole.canonicalize().map_err(cannot)?,
        );
        if !target.starts_with(&folder) {
            return Err(refused("is refused: it is a link that leaves the folder of the model"));
        }
        let file = Source::open(&target, self.source.limits()).map_err(|error| refused(&error.to_string()))?;
        self.beside.insert(location.to_string(), file.clone());
        Ok(file)
    }
}

impl<'a> External<'a> {
    fn read(&mut self, message: Message<'a>) -> Result<()> {
        let (key, value) = entry(message)?;
        let number = || {
            let place = format!("external data (byte {})", message.offset);
            value
                .parse()
                .map_err(|_| Fault::new(place, format!("{} '{}' is no number", quoted(key), quoted(value))))
        };
        match key {
            "location" => self.location = Some(value),
            "offset" => self.offset = number()?,
            "length" => self.length = Some(number()?),
            _ => {}
        }
        Ok(())
    }
}

/// Numbers that are listed one by one in the fields for their kind.
fn numbers(dtype: Dtype, fields: &[Field<'_>]) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut whole = Vec::new();
    for field in fields {
        match (field.number, dtype) {
            (4, Dtype::F32) => field.packed::<4>(&mut bytes)?,
            (10, Dtype::F64) => field.packed::<8>(&mut bytes)?,
            (7, Dtype::I64) | (11, Dtype::U64 | Dtype::U32) | (5, _) => field.ints(&mut whole)?,
            _ => {
                let reason = format!("numbers of the format {dtype} in field {}", field.number);
                return Err(Fault::new(format!("byte {}", field.offset), reason));
            }
        }
    }
    let width = dtype.bitsize() / 8;
    // Short formats are kept as the bits of whole numbers.
    bytes.extend(
        whole
            .iter()
            .flat_map(|number| number.to_le_bytes().into_iter().take(width)),
    );
    Ok(bytes)
}
