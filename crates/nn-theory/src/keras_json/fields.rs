//! Reading the `config` object of one layer key by key.

use super::tree::Object;
use crate::{error::Problem, keras_json::value::ConfigValue};
use serde_json::{Map, Value};

/// The keys of one layer's configuration that have not been read yet.
pub(crate) struct Fields<'a> {
    object: Object<'a>,
}

impl<'a> Fields<'a> {
    pub(crate) fn new(object: Object<'a>) -> Self {
        Self { object }
    }

    /// The value of a key that must be there.
    pub(crate) fn required<T: ConfigValue>(&mut self, key: &str) -> Result<T, Problem> {
        let value = self.object.remove(key).ok_or_else(|| Problem::key(key, "is missing"))?;
        T::read_json(&value).map_err(|problem| Problem::key(key, problem))
    }

    /// Puts the value of a key into its place in the layer, which keeps its default when the key is missing or null.
    pub(crate) fn optional<T: ConfigValue>(&mut self, key: &str, place: &mut T) -> Result<(), Problem> {
        let Some(value) = self.object.remove(key) else {
            return Ok(());
        };
        match T::read_json(&value) {
            Ok(read) => *place = read,
            Err(_) if value.is_null() => {}
            Err(problem) => return Err(Problem::key(key, problem)),
        }
        Ok(())
    }

    /// All keys that are left, for a layer that keeps them itself.
    pub(crate) fn take_rest(&mut self) -> Map<String, Value> {
        std::mem::take(&mut self.object).to_map()
    }

    /// The keys that nobody asked for; they are carried through.
    pub(crate) fn rest(self) -> Map<String, Value> {
        self.object.to_map()
    }
}

/// Writes one key of a configuration. Never inlined: 130 layers call it for each of their fields, and a copy for each of
/// these calls was a quarter of the crate's machine code.
#[inline(never)]
pub(crate) fn put<T: ConfigValue>(config: &mut Map<String, Value>, key: &str, value: &T) {
    config.insert(key.to_owned(), value.write());
}
