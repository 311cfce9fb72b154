//! The tensors of a checkpoint by name, whatever dictionaries and lists they lie in.

use std::collections::BTreeMap;

use indexmap::IndexMap;

use super::legacy;
use super::pickle::{self, Pickle, Value};
use super::storage::TensorView;
use crate::archive::{Archive, Checked};
use crate::fault::{Fault, Result, quoted};
use crate::layout::{item_bytes, row_major};
use crate::stored::StoredTensor;
use crate::{Limits, Source};

/// Values that are looked at in search of tensors; the same list may lie in many others.
const MAX_VISITED: usize = 1 << 18;

/// What a file of `torch.save` holds.
#[derive(Clone, Debug, Default)]
pub struct Checkpoint {
    /// The tensors in the order of the file; keys of dictionaries and places of lists joined by dots, as `model.0.weight`.
    pub tensors: IndexMap<String, StoredTensor>,
    /// Numbers and texts beside them, such as `epoch`, as text.
    pub values: Vec<(String, String)>,
    /// The description of the network as Keras JSON, which our own files carry beside the pickle.
    pub model: Option<String>,
}

/// The storages of a checkpoint, by key.
pub(super) struct Storages {
    pub(super) parts: BTreeMap<String, Source>,
    pub(super) big_endian: bool,
}

impl Checkpoint {
    /// Reads a `.pt` or `.pth` file: an archive of PyTorch 1.6 and later, or the older sequence of pickles.
    ///
    /// Nothing of the pickle is run: it is read by a machine that knows the instructions and names which tensors, containers and
    /// numbers need, and refuses every other one by name. Numbers stay in the file until somebody asks for them; views and
    /// transposed tensors are put in order then.
    ///
    /// # Errors
    /// [`crate::Error::Malformed`] with the member or tensor and the byte.
    pub fn read(source: &Source) -> crate::Result<Self> {
        Self::of(source).map_err(|fault| fault.in_file(source.path(), "PyTorch checkpoint"))
    }

    pub(crate) fn of(source: &Source) -> Result<Self> {
        if !source.bytes().starts_with(b"PK") {
            return legacy::read(source);
        }
        let archive = Archive::read(source)?;
        // All members lie in one folder, which is named after the file.
        let pickle = archive
            .names()
            .find(|name| name.ends_with("/data.pkl"))
            .map(str::to_string);
        let Some(pickle) = pickle else {
            return Err(Fault::new(
                "the archive",
                "has no member 'data.pkl'; it was not written by torch.save",
            ));
        };
        let folder = pickle.strip_suffix("data.pkl").unwrap_or_default().to_string();
        let text = |name: &str| -> Result<Option<String>> {
            let member = archive.member(&format!("{folder}{name}"), Checked::Now)?;
            Ok(member.and_then(|member| String::from_utf8(member.bytes().to_vec()).ok()))
        };
        if archive.names().any(|name| name == format!("{folder}constants.pkl")) {
            return Err(Fault::new(
                "the archive",
                "holds a TorchScript program, not a checkpoint; save `module.state_dict()` with torch.save",
            ));
        }
        let big_endian = text("byteorder")?.is_some_and(|order| order == "big");
        let model = text(MODEL)?;
        let member = archive
            .member(&pickle, Checked::Now)?
            .ok_or_else(|| Fault::new("the archive", "has no member 'data.pkl'"))?;
        let named = |fault: Fault| fault.within(&format!("member '{}'", quoted(&pickle)));
        let pickle = pickle::read(member.bytes()).map_err(named)?;
        let mut found = Found::of(&pickle)?;
        let mut storages = Storages {
            parts: BTreeMap::new(),
            big_endian,
        };
        for (name, view) in &found.tensors {
            let key = view.storage.key.to_string();
            if storages.parts.contains_key(&key) {
                continue;
            }
            let member = format!("{folder}data/{key}");
            let part = archive.member(&member, Checked::Never)?.ok_or_else(|| {
                let reason = format!("its numbers are missing: there is no member '{}'", quoted(&member));
                Fault::new(format!("tensor '{}'", quoted(name)), reason)
            })?;
            storages.parts.insert(key, part);
        }
        Ok(Checkpoint {
            tensors: storages.tensors(std::mem::take(&mut found.tensors), source)?,
            values: found.values,
            model,
        })
    }
}

/// The member in which our own files have the description of the network.
pub(super) const MODEL: &str = "model.json";

impl Storages {
    /// The tensors, each checked against the storage that it looks at.
    pub(super) fn tensors(
        &self,
        views: Vec<(String, TensorView)>,
        file: &Source,
    ) -> Result<IndexMap<String, StoredTensor>> {
        let mut tensors = IndexMap::with_capacity(views.len());
        let limits: &Limits = file.limits();
        // Views may repeat the numbers of a storage any number of times.
        let budget = limits
            .bytes
            .min((file.bytes().len() as u64).saturating_mul(limits.ratio));
        let mut sum = 0u64;
        for (name, view) in views {
            let place = || format!("tensor '{}'", quoted(&name));
            let storage = self.parts.get(&*view.storage.key);
            let (Some(storage), Some(item)) = (storage, item_bytes(view.dtype)) else {
                return Err(Fault::new(place(), "its storage is missing"));
            };
            let available = storage.bytes().len() / item;
            match view.end() {
                Some(end) if end <= available => {}
                end => {
                    let needed = end.map_or_else(|| "more than 2^64".to_string(), |end| end.to_string());
                    let reason = format!(
                        "{} {:?} with the strides {:?} from number {} needs {needed} numbers of storage '{}', which has {available}",
                        view.dtype,
                        view.shape,
                        view.strides,
                        view.offset,
                        quoted(&view.storage.key)
                    );
                    return Err(Fault::new(place(), reason));
                }
            }
            let count = view
                .shape
                .iter()
                .try_fold(1u64, |count, &size| count.checked_mul(size as u64));
            let bytes = count.and_then(|count| count.checked_mul(item as u64));
            sum = sum.saturating_add(bytes.unwrap_or(u64::MAX));
            if sum > budget {
                let reason = format!("the tensors up to here have {sum} bytes, more than the {budget} that are read");
                return Err(Fault::new(place(), reason));
            }
            let tensor = self
                .tensor(&view, storage, item)
                .ok_or_else(|| Fault::new(place(), "its numbers lie outside of the file"))?;
            if tensors.insert(name.clone(), tensor).is_some() {
                return Err(Fault::new(place(), "is there twice"));
            }
        }
        Ok(tensors)
    }

    fn tensor(&self, view: &TensorView, storage: &Source, item: usize) -> Option<StoredTensor> {
        let swapped = self.big_endian && item > 1;
        let order = row_major(&view.shape);
        let axes = view.shape.iter().zip(view.strides.iter().zip(&order));
        let in_order = axes
            .into_iter()
            .all(|(&size, (stride, order))| size <= 1 || stride == order);
        let count: usize = view.shape.iter().product();
        if count == 0 {
            return StoredTensor::in_memory(view.dtype, view.shape.clone(), Vec::new());
        }
        if in_order && !swapped {
            let part = storage.part(view.offset * item..(view.offset + count) * item)?;
            return StoredTensor::in_file(view.dtype, view.shape.clone(), part);
        }
        let numbers = storage.bytes().len() / item;
        let base = StoredTensor::in_file(view.dtype, vec![numbers], storage.part(0..numbers * item)?)?;
        let (sizes, strides) = (view.shape.clone(), view.strides.clone());
        let tensor = base.along(view.shape.clone(), view.offset, sizes, strides)?;
        if !swapped {
            return Some(tensor);
        }
        Some(StoredTensor::computed(view.dtype, view.shape.clone(), move || {
            let mut bytes = tensor.bytes()?.into_owned();
            bytes.chunks_exact_mut(item).for_each(<[u8]>::reverse);
            Ok(bytes)
        }))
    }
}

/// What lies in the containers of a pickle.
pub(super) struct Found {
    pub(super) tensors: Vec<(String, TensorView)>,
    pub(super) values: Vec<(String, String)>,
}

impl Found {
    pub(super) fn of(pickle: &Pickle) -> Result<Self> {
        let mut found = Found {
            tensors: Vec::new(),
            values: Vec::new(),
        };
        let mut visited = 0;
        found.visit(pickle, &pickle.value, "", &mut Vec::new(), &mut visited)?;
        Ok(found)
    }

    fn visit(
        &mut self,
        pickle: &Pickle,
        value: &Value,
        name: &str,
        inside: &mut Vec<Value>,
        visited: &mut usize,
    ) -> Result<()> {
        let place = || format!("'{}'", quoted(name));
        *visited += 1;
        if *visited > MAX_VISITED {
            return Err(Fault::new(
                place(),
                format!("more than {MAX_VISITED} values in the containers of the pickle"),
            ));
        }
        if inside.len() > crate::limits::MAX_DEPTH {
            let reason = format!("more than {} containers within each other", crate::limits::MAX_DEPTH);
            return Err(Fault::new(place(), reason));
        }
        let below = |key: &str| {
            if name.is_empty() {
                key.to_string()
            } else {
                format!("{name}.{key}")
            }
        };
        match value {
            Value::Tensor(view) => self.tensors.push((name.to_string(), (**view).clone())),
            Value::Tuple(items, _) => {
                inside.push(Value::None);
                for (index, item) in items.iter().enumerate() {
                    self.visit(pickle, item, &below(&index.to_string()), inside, visited)?;
                }
                inside.pop();
            }
            Value::List(list) => {
                enter(inside, value, name)?;
                for (index, item) in pickle.lists[*list].iter().enumerate() {
                    self.visit(pickle, item, &below(&index.to_string()), inside, visited)?;
                }
                inside.pop();
            }
            Value::Dict(dictionary) => {
                enter(inside, value, name)?;
                for (key, item) in &pickle.dictionaries[*dictionary] {
                    let key = match key {
                        Value::Text(text) => text.to_string(),
                        Value::Int(number) => number.to_string(),
                        Value::Bool(flag) => flag.to_string(),
                        other => {
                            return Err(Fault::new(
                                place(),
                                format!("a key of the dictionary is {}", other.kind()),
                            ));
                        }
                    };
                    self.visit(pickle, item, &below(&key), inside, visited)?;
                }
                inside.pop();
            }
            Value::Bool(flag) => self.values.push((name.to_string(), flag.to_string())),
            Value::Int(number) => self.values.push((name.to_string(), number.to_string())),
            Value::Float(number) => self.values.push((name.to_string(), number.to_string())),
            Value::Text(text) => self.values.push((name.to_string(), quoted(text))),
            Value::None | Value::Bytes(_) | Value::Long(_) | Value::Callable(_) | Value::Storage(_) => {}
        }
        Ok(())
    }
}

/// A container that lies in itself would be gone through forever.
fn enter(inside: &mut Vec<Value>, container: &Value, name: &str) -> Result<()> {
    if inside.contains(container) {
        return Err(Fault::new(
            format!("'{}'", quoted(name)),
            "a container that lies in itself",
        ));
    }
    inside.push(container.clone());
    Ok(())
}
