//! Checkpoints of PyTorch before 1.6: pickles one after the other, then the numbers of all storages.

use std::collections::BTreeMap;

use super::checkpoint::{Checkpoint, Found, Storages};
use super::pickle::{self, Pickle, Value};
use crate::Source;
use crate::fault::{Fault, Result, quoted};
use crate::layout::item_bytes;

/// `0x1950a86a20f9469cfc6c`, little-endian: what every such file begins with.
const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];

/// The only version there was.
const PROTOCOL: i64 = 1001;

/// Pickles of: magic number, protocol, about the system, the checkpoint, keys of the storages.
pub(super) fn read(source: &Source) -> Result<Checkpoint> {
    let bytes = source.bytes();
    let mut at = 0;
    let mut next = |what: &str| -> Result<Pickle> {
        let pickle = pickle::read(&bytes[at..]).map_err(|fault| fault.within(&format!("{what}, from byte {at}")))?;
        at += pickle.length;
        Ok(pickle)
    };
    let magic = next("the magic number")?;
    if magic.value != Value::Long(MAGIC.to_vec()) {
        let reason = "a pickle, but not one of torch.save; save `model.state_dict()` with torch.save";
        return Err(Fault::new("byte 0", reason));
    }
    let protocol = next("the protocol")?;
    if protocol.value != Value::Int(PROTOCOL) {
        return Err(Fault::new(
            "the protocol",
            format!("found {:?}, expected {PROTOCOL}", protocol.value),
        ));
    }
    let system = next("the description of the system")?;
    let big_endian = system.dictionaries.iter().flatten().any(|(key, value)| {
        matches!(key, Value::Text(key) if &**key == "little_endian") && *value == Value::Bool(false)
    });
    let pickle = next("the checkpoint")?;
    let keys = next("the keys of the storages")?;
    let Value::List(keys_at) = keys.value else {
        return Err(Fault::new(
            "the keys of the storages",
            format!("found {}, expected a list", keys.value.kind()),
        ));
    };
    let found = Found::of(&pickle)?;
    // The number format of a storage is known from the tensors that look at it.
    let known: BTreeMap<String, usize> = found
        .tensors
        .iter()
        .filter_map(|(_, view)| Some((view.storage.key.to_string(), item_bytes(view.storage.dtype?)?)))
        .collect();
    let mut storages = Storages {
        parts: BTreeMap::new(),
        big_endian,
    };
    for key in &keys.lists[keys_at] {
        let Value::Text(key) = key else {
            return Err(Fault::new(
                "the keys of the storages",
                format!("found {}, expected a text", key.kind()),
            ));
        };
        let place = || format!("storage '{}', byte {at}", quoted(key));
        let Some(item) = known.get(&**key) else {
            return Err(Fault::new(place(), "no tensor says which numbers it holds"));
        };
        let missing = || Fault::new(place(), "the file ends within it");
        let count = bytes
            .get(at..at + 8)
            .and_then(|count| count.try_into().ok())
            .ok_or_else(missing)?;
        let count = if big_endian {
            u64::from_be_bytes(count)
        } else {
            u64::from_le_bytes(count)
        };
        let start = at + 8;
        let end = usize::try_from(count)
            .ok()
            .and_then(|count| count.checked_mul(*item)?.checked_add(start))
            .ok_or_else(missing)?;
        let part = source.part(start..end).ok_or_else(missing)?;
        storages.parts.insert(key.to_string(), part);
        at = end;
    }
    Ok(Checkpoint {
        tensors: storages.tensors(found.tensors, source)?,
        values: found.values,
        model: None,
    })
}
