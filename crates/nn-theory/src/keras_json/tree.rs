//! A configuration while it is read: a tree that borrows its texts and keeps its keys in one row each.
//!
//! `serde_json::Value` copies every key and hashes it, which for a model of 10,000 layers (12 MB) took half of the time
//! that reading took. Objects here are lists of pairs: those of a configuration are small, and each is read once.

use serde_core::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::{borrow::Cow, fmt};

/// A JSON value that borrows from the text it was read from.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Json<'a> {
    Null,
    Bool(bool),
    Number(Number),
    String(Cow<'a, str>),
    Array(Vec<Json<'a>>),
    Object(Object<'a>),
}

/// The keys of an object in their order; of a key that is written twice the last value counts.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Object<'a>(Vec<(Cow<'a, str>, Json<'a>)>);

impl<'a> Json<'a> {
    pub(crate) fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The text itself, which costs nothing where it is borrowed.
    pub(crate) fn to_text(&self) -> Option<Cow<'a, str>> {
        match self {
            Self::String(text) => Some(text.clone()),
            _ => None,
        }
    }

    pub(crate) fn as_array(&self) -> Option<&[Json<'a>]> {
        match self {
            Self::Array(items) => Some(items),
            _ => None,
        }
    }

    pub(crate) fn as_object(&self) -> Option<&Object<'a>> {
        match self {
            Self::Object(object) => Some(object),
            _ => None,
        }
    }

    pub(crate) fn as_u64(&self) -> Option<u64> {
        match self {
            Self::Number(number) => number.as_u64(),
            _ => None,
        }
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The value of a key, if this is an object that has it.
    pub(crate) fn get(&self, key: &str) -> Option<&Json<'a>> {
        self.as_object()?.get(key)
    }

    /// The same value with texts of its own, for what outlives the reading.
    pub(crate) fn to_value(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(flag) => Value::Bool(*flag),
            Self::Number(number) => Value::Number(number.clone()),
            Self::String(text) => Value::String(text.as_ref().to_owned()),
            Self::Array(items) => Value::Array(items.iter().map(Json::to_value).collect()),
            Self::Object(object) => Value::Object(object.to_map()),
        }
    }

    /// A value that was made, not read.
    pub(crate) fn from_value(value: Value) -> Json<'static> {
        match value {
            Value::Null => Json::Null,
            Value::Bool(flag) => Json::Bool(flag),
            Value::Number(number) => Json::Number(number),
            Value::String(text) => Json::String(Cow::Owned(text)),
            Value::Array(items) => Json::Array(items.into_iter().map(Json::from_value).collect()),
            Value::Object(map) => Json::Object(Object::from_map(map)),
        }
    }
}

impl<'a> Object<'a> {
    /// The object with this one key.
    pub(crate) fn of(key: &'a str, value: Json<'a>) -> Self {
        Self(vec![(Cow::Borrowed(key), value)])
    }

    pub(crate) fn from_map(map: Map<String, Value>) -> Object<'static> {
        let pair = |(key, value)| (Cow::Owned(key), Json::from_value(value));
        Object(map.into_iter().map(pair).collect())
    }

    pub(crate) fn to_map(&self) -> Map<String, Value> {
        let pair = |(key, value): &(Cow<'a, str>, Json<'a>)| (key.as_ref().to_owned(), value.to_value());
        self.0.iter().map(pair).collect()
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Json<'a>> {
        let place = self.last_before(self.0.len(), key)?;
        Some(&self.0[place].1)
    }

    /// The last place of a key among the first `end`. A plain loop, because it is what reading a layer does most, and is not
    /// optimised in the profile `dev`.
    fn last_before(&self, mut end: usize, key: &str) -> Option<usize> {
        while end > 0 {
            end -= 1;
            let known: &str = match &self.0[end].0 {
                Cow::Borrowed(text) => text,
                Cow::Owned(text) => text,
            };
            if known.len() == key.len() && known == key {
                return Some(end);
            }
        }
        None
    }

    pub(crate) fn contains_key(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    pub(super) fn push(&mut self, key: Cow<'a, str>, value: Json<'a>) {
        self.0.push((key, value));
    }

    pub(crate) fn insert(&mut self, key: &'a str, value: Json<'a>) {
        self.0.push((Cow::Borrowed(key), value));
    }

    /// Takes a key out; the others keep their order.
    pub(crate) fn remove(&mut self, key: &str) -> Option<Json<'a>> {
        let mut end = self.0.len();
        let mut found = None;
        while let Some(place) = self.last_before(end, key) {
            let (_, value) = self.0.remove(place);
            found = found.or(Some(value));
            end = place;
        }
        found
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &Json<'a>> {
        self.0.iter().map(|(_, value)| value)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Json<'a>)> {
        self.0.iter().map(|(key, value)| (key.as_ref(), value))
    }
}

impl<'de> Deserialize<'de> for Json<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

pub(super) struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<Self::Value, E> {
        Ok(Json::Bool(flag))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Json::Number(number.into()))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Json::Number(number.into()))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Number::from_f64(number).map_or(Json::Null, Json::Number))
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Json::String(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Json::String(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Json::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut pairs = Vec::new();
        while let Some(key) = map.next_key_seed(KeySeed)? {
            match map.next_value() {
                Ok(value) => pairs.push((key, value)),
                Err(error) => return Err(at_key(&key, error)),
            }
        }
        Ok(Json::Object(Object(pairs)))
    }
}

/// An error in the value of a key, with the key in front; the innermost key is the one that is named.
fn at_key<E: Error>(key: &str, error: E) -> E {
    let text = error.to_string();
    if text.starts_with("key '") {
        error
    } else {
        E::custom(format_args!("key '{key}': {text}"))
    }
}

/// `Cow<str>` itself never borrows when it is deserialized.
pub(super) struct KeySeed;

impl<'de> DeserializeSeed<'de> for KeySeed {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for KeySeed {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}
