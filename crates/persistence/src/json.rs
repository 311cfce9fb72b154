//! JSON from files, looked through before it is parsed: a value of two bytes takes some dozens in memory, a layer of forty some
//! thousands.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

/// Values that a text may hold: `serde_json` takes about 100 bytes for each. The longest description of
/// `keras.applications`, that of NASNetLarge, has 107,000.
const MAX_VALUES: usize = 1 << 18;

/// Objects of a class that a text may hold: a layer takes 3.6 kB, however short its text is. NASNetLarge has
/// 5,152: a thousand layers with their initializers, policies and inputs.
const MAX_OBJECTS: usize = 12_000;

/// Layers and cells that a text may list, those of models within models among them: to make one and to know its shapes takes a hundred
/// times longer than to read its text. NASNetLarge has 1,041, and 12,000 objects are about 2,400 layers like its.
const MAX_LAYERS: usize = 2048;

/// What every object with a class has.
const CLASS: &str = "\"class_name\"";

/// Says why a text takes too much memory, if it does.
pub(crate) fn check(text: &str) -> Result<(), String> {
    // Most texts are too short to hold so many.
    if text.len() <= MAX_VALUES.min(CLASS.len() * MAX_LAYERS) {
        return Ok(());
    }
    // Marks within strings are counted, too: a limit need not be exact.
    let marks = text.bytes().filter(|byte| matches!(byte, b',' | b':' | b'[' | b'{'));
    let values = marks.count();
    if values > MAX_VALUES {
        return Err(format!(
            "it holds about {values} values of JSON; at most {MAX_VALUES} are read"
        ));
    }
    let too_many = |objects: usize| {
        let reason = format!("it holds {objects} objects with a class; at most {MAX_OBJECTS} are read");
        if objects > MAX_OBJECTS { Err(reason) } else { Ok(()) }
    };
    let objects = text.matches(CLASS).count();
    too_many(objects)?;
    // Every layer has a class, so that a text of few of them need not be read for this, unless its letters may be hidden.
    if objects > MAX_LAYERS || text.contains("\\u") {
        let found = Counted::of(text);
        too_many(found.objects)?;
        if found.layers > MAX_LAYERS {
            let layers = found.layers;
            return Err(format!("it lists {layers} layers; at most {MAX_LAYERS} are read"));
        }
    }
    Ok(())
}

/// What is in a text, up to where it is no JSON any more, which somebody else will say.
#[derive(Debug, Default, PartialEq)]
struct Counted {
    /// Objects with a class.
    objects: usize,
    /// What is listed as layers.
    layers: usize,
}

impl Counted {
    fn of(text: &str) -> Self {
        let mut counted = Counted::default();
        let within = Within {
            is_list: false,
            counted: &mut counted,
        };
        let _ = within.deserialize(&mut serde_json::Deserializer::from_str(text));
        counted
    }
}

/// A value on the way to the layers.
struct Within<'a> {
    /// Whether the objects of a list at this place are layers.
    is_list: bool,
    counted: &'a mut Counted,
}

impl<'de> DeserializeSeed<'de> for Within<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Within<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            self.counted.objects += usize::from(key == "class_name");
            map.next_value_seed(Within {
                // Keras 2 wrote the list of layers in the place of the configuration.
                is_list: matches!(&*key, "layers" | "cells" | "config"),
                counted: &mut *self.counted,
            })?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let mut items = 0;
        while let Some(()) = list.next_element_seed(Within {
            is_list: false,
            counted: &mut *self.counted,
        })? {
            items += 1;
        }
        self.counted.layers += if self.is_list { items } else { 0 };
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_refused_before_they_are_parsed() {
        assert!(check(&format!("[{}0]", "0,".repeat(MAX_VALUES))).is_err());
        assert_eq!(check(&format!("[{}0]", "0,".repeat(MAX_VALUES / 2))), Ok(()));
        let objects = |count| format!("[{}]", vec![r#"{"class_name":"ReLU"}"#; count].join(","));
        assert!(check(&objects(MAX_OBJECTS + 1)).is_err_and(|reason| reason.contains("12001 objects")));
        assert_eq!(check(&objects(MAX_OBJECTS)), Ok(()));
    }

    #[test]
    fn layers_are_counted_wherever_they_are_listed() {
        let layer =
            r#"{"class_name":"Dense","config":{"units":1,"kernel_initializer":{"class_name":"Zeros","config":{}}}}"#;
        let list = |count: usize| vec![layer; count].join(",");
        let model = |key: &str, items: &str| format!(r#"{{"class_name":"Functional","config":{{"{key}":[{items}]}}}}"#);
        let half = MAX_LAYERS / 2;
        for (text, count) in [
            (model("layers", &list(half)), half),
            (model("cells", &list(half + 1)), half + 1),
            (
                format!(r#"{{"class_name":"Sequential","config":[{}]}}"#, list(half)),
                half,
            ),
            (model("args", &list(half)), 0),
            // A model of two models.
            (
                model("layers", &format!("{0},{0}", model("layers", &list(half)))),
                2 * half + 2,
            ),
        ] {
            assert_eq!(Counted::of(&text).layers, count);
            assert_eq!(check(&text).is_err(), count > MAX_LAYERS);
        }
        assert!(check(&model("layers", &list(MAX_LAYERS + 1))).is_err_and(|reason| reason.contains("2049 layers")));
        assert_eq!(check(&model("layers", &list(MAX_LAYERS))), Ok(()));
        assert_eq!(Counted::of(r#"{"layers": [1, 2, "no JSON"#), Counted::default());
    }

    #[test]
    fn letters_that_are_escaped_are_seen() {
        let layer = |count: usize| vec![r#"{"cl\u0061ss_name":"ReLU"}"#; count].join(",");
        let model = |layers: String| format!(r#"{{"class_name":"Sequential","config":{{"l\u0061yers":[{layers}]}}}}"#);
        assert_eq!(check(&model(layer(MAX_LAYERS))), Ok(()));
        assert!(check(&model(layer(MAX_LAYERS + 1))).is_err_and(|reason| reason.contains("2049 layers")));
        let list = format!("[{}]", layer(MAX_OBJECTS + 1));
        assert!(check(&list).is_err_and(|reason| reason.contains("12001 objects")));
    }
}
