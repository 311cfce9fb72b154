//! The records that `lab exercise N --report DIR` leaves in its folder, and the way to a value in one.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use serde_json::Value;

/// A folder of records, each read once.
pub(super) struct Records {
    folder: PathBuf,
    read: RefCell<BTreeMap<String, Option<Rc<Value>>>>,
}

impl Records {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            read: RefCell::new(BTreeMap::new()),
        }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The record `exercise-SOURCE.json`; `None` where there is none.
    pub(super) fn get(&self, source: &str) -> Result<Option<Rc<Value>>, String> {
        if let Some(known) = self.read.borrow().get(source) {
            return Ok(known.clone());
        }
        let path = self.folder.join(format!("exercise-{source}.json"));
        let record = match fs::read_to_string(&path) {
            Ok(text) => {
                let value: Value =
                    serde_json::from_str(&text).map_err(|error| format!("{} is not JSON: {error}", path.display()))?;
                if value["settings"]["quick"] != false {
                    return Err(format!(
                        "{} is the record of a failed or quick run; the pages take their numbers from a whole one",
                        path.display()
                    ));
                }
                Some(Rc::new(value))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(format!("{} cannot be read: {error}", path.display())),
        };
        self.read.borrow_mut().insert(source.to_string(), record.clone());
        Ok(record)
    }
}

/// The value at a path: names divided by dots; in brackets an index (negative from the end), a quoted name, or `field=text` for the
/// first entry of a list that has it; a last step `#len`, `#min`, `#max`, `#sum` or `#argmin` (counted from 1) asks about a list.
pub(super) fn find(root: &Value, path: &str) -> Result<Value, String> {
    let mut at = root.clone();
    for step in steps(path)? {
        at = match &step {
            Step::Name(name) => at.get(name.as_str()).cloned(),
            Step::Index(index) => at.as_array().and_then(|list| {
                let index = if *index < 0 { list.len() as i64 + index } else { *index };
                list.get(usize::try_from(index).ok()?).cloned()
            }),
            Step::With(field, text) => at.as_array().and_then(|list| {
                list.iter()
                    .find(|entry| super::value::plain(&entry[field.as_str()]) == *text)
                    .cloned()
            }),
            Step::Ask(question) => ask(&at, question),
        }
        .ok_or_else(|| format!("the record has no `{path}`: it ends before {step:?}"))?;
    }
    Ok(at)
}

fn ask(list: &Value, question: &str) -> Option<Value> {
    let entries = list.as_array()?;
    if question == "len" {
        return Some(entries.len().into());
    }
    let numbers: Vec<f64> = entries.iter().filter_map(Value::as_f64).collect();
    let smallest = numbers.iter().copied().fold(f64::INFINITY, f64::min);
    match question {
        "sum" => Some(numbers.iter().sum::<f64>().into()),
        _ if numbers.is_empty() => None,
        "min" => Some(smallest.into()),
        "max" => Some(numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max).into()),
        "argmin" => Some((1 + numbers.iter().position(|number| *number == smallest)?).into()),
        _ => None,
    }
}

#[derive(Debug)]
enum Step {
    Name(String),
    Index(i64),
    With(String, String),
    Ask(String),
}

fn steps(path: &str) -> Result<Vec<Step>, String> {
    let mut steps = Vec::new();
    let mut rest = path.trim();
    while !rest.is_empty() {
        if let Some(inside) = rest.strip_prefix('[') {
            let (step, after) = inside
                .split_once(']')
                .ok_or_else(|| format!("`{path}` has a [ without its ]"))?;
            steps.push(if let Ok(index) = step.parse() {
                Step::Index(index)
            } else if let Some(name) = step.strip_prefix('"').and_then(|step| step.strip_suffix('"')) {
                Step::Name(name.to_string())
            } else if let Some((field, text)) = step.split_once('=') {
                Step::With(field.to_string(), text.to_string())
            } else {
                return Err(format!(
                    "`[{step}]` in `{path}`: expected an index, \"name\" or field=text"
                ));
            });
            rest = after;
        } else {
            rest = rest.strip_prefix('.').unwrap_or(rest);
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            let (name, after) = rest.split_at(end);
            steps.push(match name.strip_prefix('#') {
                Some(question) => Step::Ask(question.to_string()),
                None => Step::Name(name.to_string()),
            });
            rest = after;
        }
    }
    Ok(steps)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn paths_lead_to_values() {
        let record = json!({"a": {"without: clean": [1.5, 0.5, 2.0]}, "list": [{"name": "x", "n": 1}, {"name": "y", "n": 2}], "f.h5": 3});
        for (path, expected) in [
            ("a.without: clean[0]", json!(1.5)),
            ("a.without: clean[-1]", json!(2.0)),
            ("a.without: clean.#min", json!(0.5)),
            ("a.without: clean.#argmin", json!(2)),
            ("a.without: clean.#sum", json!(4.0)),
            ("list.#len", json!(2)),
            ("list[name=y].n", json!(2)),
            ("[\"f.h5\"]", json!(3)),
        ] {
            assert_eq!(find(&record, path), Ok(expected), "{path}");
        }
        assert!(find(&record, "list[name=z].n").unwrap_err().contains("name"));
        assert!(find(&record, "list[z").unwrap_err().contains("without its ]"));
    }
}
