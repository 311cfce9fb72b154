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

    /// The value of a key, or its default when it is missing or null.
    pub(crate) fn optional<T: ConfigValue>(&mut self, key: &str, default: T) -> Result<T, Problem> {
        match self.object.remove(key) {
            None => Ok(default),
            Some(value) => match T::read_json(&value) {
                Ok(read) => Ok(read),
                Err(_) if value.is_null() => Ok(default),
                Err(problem) => Err(Problem::key(key, problem)),
            },
        }
    }

    /// The keys that nobody asked for; they are carried through.
    pub(crate) fn rest(self) -> Map<String, Value> {
        self.object.to_map()
    }
}
