//! The text of a configuration read layer by layer: each one is turned into a layer and forgotten before the next is read.
//!
//! The tree of a large model takes several times the memory of its text; taking it down again, between the allocations of
//! the layers made from it, cost as much as reading it.

use super::{
    MAX_LAYERS,
    read::{Draft, draft},
    tree::{Json, JsonVisitor, KeySeed, Object},
};
use serde_core::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::{borrow::Cow, fmt};

/// A model's object; the list of its layers is taken out and already read.
pub(super) struct Document<'a> {
    /// Everything, with null in the place of the list of layers.
    pub(super) value: Json<'a>,
    pub(super) layers: Option<Vec<Draft<'a>>>,
}

impl<'de> Deserialize<'de> for Document<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut layers = None;
        let value = deserializer.deserialize_any(Level {
            key: "config",
            name: None,
            layers: &mut layers,
        })?;
        Ok(Self { value, layers })
    }
}

/// An object on the way to the layers: the model (`config`), or its configuration (`layers`).
struct Level<'a, 'de> {
    key: &'static str,
    name: Option<Cow<'de, str>>,
    layers: &'a mut Option<Vec<Draft<'de>>>,
}

impl<'de> Visitor<'de> for Level<'_, 'de> {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        JsonVisitor.visit_unit()
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<Self::Value, E> {
        JsonVisitor.visit_bool(flag)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        JsonVisitor.visit_u64(number)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
        JsonVisitor.visit_i64(number)
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Self::Value, E> {
        JsonVisitor.visit_f64(number)
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        JsonVisitor.visit_borrowed_str(text)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        JsonVisitor.visit_str(text)
    }

    /// The layers themselves, or the list that Keras 2 wrote in the place of `config`.
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        if !self.key.is_empty() {
            return JsonVisitor.visit_seq(list);
        }
        let name = self.name.as_deref().unwrap_or("the model");
        let mut drafts = Vec::new();
        loop {
            let item = list.next_element::<Json<'de>>().map_err(|error| {
                let before = drafts.last().and_then(|draft: &Draft<'_>| draft.read.as_ref().ok());
                let before = before.and_then(|(named, _)| named.name.as_deref());
                let before = before.map_or_else(String::new, |before| format!(", behind '{before}'"));
                A::Error::custom(format_args!("layer {} of {name}{before}: {error}", drafts.len()))
            })?;
            let Some(item) = item else { break };
            if drafts.len() == MAX_LAYERS {
                return Err(A::Error::custom(format_args!(
                    "{name} has more than the {MAX_LAYERS} layers that are read"
                )));
            }
            drafts.push(draft(item, name, drafts.len()));
        }
        *self.layers = Some(drafts);
        Ok(Json::Null)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        if self.key.is_empty() {
            return JsonVisitor.visit_map(map);
        }
        let Self { key: inner, layers, .. } = self;
        let below = if inner == "config" { "layers" } else { "" };
        let mut object = Object::default();
        let mut name = None;
        while let Some(key) = map.next_key_seed(KeySeed)? {
            if key == inner {
                // Of a key that is written twice the last one counts.
                *layers = None;
                let value = map.next_value_seed(Level {
                    key: below,
                    name: name.clone(),
                    layers: &mut *layers,
                })?;
                object.push(key, value);
                continue;
            }
            let value: Json<'de> = map.next_value()?;
            if key == "name" {
                name = value.to_text();
            }
            object.push(key, value);
        }
        Ok(Json::Object(object))
    }
}

impl<'de> DeserializeSeed<'de> for Level<'_, 'de> {
    type Value = Json<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}
