//! JSON values: objects by their keys, lists by their places, numbers with a tolerance.

use serde_json::Value;

use super::{Found, Kind, change, join};

pub(super) fn compare(found: &mut Found, kind: Kind, place: &str, before: Option<&Value>, after: Option<&Value>) {
    let last = place.rsplit(" › ").next().unwrap_or_default();
    let Some(kind) = found.kind(kind, last) else { return };
    match (before, after) {
        (Some(Value::Object(old)), Some(Value::Object(new))) => {
            let keys = old.keys().chain(new.keys().filter(|key| !old.contains_key(*key)));
            for key in keys {
                compare(found, kind, &join(place, key), old.get(key), new.get(key));
            }
        }
        (Some(Value::Array(old)), Some(Value::Array(new))) => {
            found.comparison.compared += 1;
            if old.len() != new.len() {
                let count = |list: &[Value]| Some(format!("{} items", list.len()));
                found.changed(kind, place, count(old), count(new), None);
            }
            for (index, (before, after)) in old.iter().zip(new).enumerate() {
                compare(
                    found,
                    kind,
                    &join(place, &(index + 1).to_string()),
                    Some(before),
                    Some(after),
                );
            }
        }
        (Some(Value::Number(old)), Some(Value::Number(new))) => {
            found.comparison.compared += 1;
            let (before, after) = (old.as_f64().unwrap_or(f64::NAN), new.as_f64().unwrap_or(f64::NAN));
            // Whole numbers beyond 2^53 (seeds) are compared as they are.
            if old != new && (!found.options.same(before, after) || (old.is_u64() && new.is_u64() && before == after)) {
                found.changed(
                    kind,
                    place,
                    Some(old.to_string()),
                    Some(new.to_string()),
                    change(before, after),
                );
            }
        }
        (Some(Value::String(old)), Some(Value::String(new))) => found.text(kind, place, Some(old), Some(new)),
        (before, after) => {
            found.comparison.compared += 1;
            if before != after {
                found.changed(kind, place, before.map(brief), after.map(brief), None);
            }
        }
    }
}

/// A value in a line: how many entries a list has, what a text says.
fn brief(value: &Value) -> String {
    match value {
        Value::Array(list) => format!("{} items", list.len()),
        Value::Object(map) => format!("{} entries", map.len()),
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}
