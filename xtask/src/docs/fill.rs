//! A page with the numbers of a run.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::condition::{broken, holds};
use super::marks::{Piece, pieces};
use super::record::{Records, find};
use super::value::{formatted, plain};

/// A page filled in, what became of each place, and what is wrong.
pub(super) struct Filled {
    pub(super) text: String,
    pub(super) blocks: Vec<Block>,
    pub(super) faults: Vec<String>,
    /// Sentences about a training that this run does not bear out: faults of a page that is written, news where it is checked on another
    /// processor.
    pub(super) doubts: Vec<String>,
}

/// A place that a run fills in.
pub(super) struct Block {
    pub(super) line: usize,
    pub(super) source: String,
    pub(super) before: String,
    pub(super) after: String,
    pub(super) agreement: Agreement,
}

#[derive(Debug, PartialEq)]
pub(super) enum Agreement {
    /// To the digit.
    Exact,
    /// The same words and rows; numbers that come from training differ, and which name is the first, as they may on another processor.
    Structure,
    /// Other words or rows, or another number that no training moves.
    Different,
    /// There is no record of this run, and the place stays as it is.
    NoRecord,
}

/// Fills in a page. What cannot be filled in stays as it is, and is a fault.
pub(super) fn page(text: &str, records: &Records) -> Filled {
    let mut filled = Filled {
        text: String::new(),
        blocks: Vec::new(),
        faults: Vec::new(),
        doubts: Vec::new(),
    };
    let pieces = match pieces(text) {
        Ok(pieces) => pieces,
        Err(fault) => {
            filled.text = text.to_string();
            filled.faults.push(fault);
            return filled;
        }
    };
    for piece in pieces {
        match piece {
            Piece::Text(text) => filled.text.push_str(text),
            Piece::Holds {
                line,
                mark,
                source,
                conditions,
            } => {
                filled.text.push_str(mark);
                let outcome = records
                    .get(source)
                    .and_then(|record| record.map_or(Ok(None), |record| broken(&record, conditions)));
                match outcome {
                    Ok(None) => {}
                    Ok(Some(doubt)) if is_trained(source) => filled.doubts.push(format!("line {line}: {doubt}")),
                    Err(fault) | Ok(Some(fault)) => filled.faults.push(format!("line {line}: {fault}")),
                }
            }
            Piece::Run {
                line,
                open,
                head,
                template,
                body,
            } => {
                let source = head.split_whitespace().next().unwrap_or_default();
                let outcome = records.get(source).and_then(|record| {
                    let rendered = |record: &Value| Ok((render(record, head, template)?, names(record)));
                    record.as_deref().map(rendered).transpose()
                });
                let (after, agreement) = match outcome {
                    Ok(Some((text, names))) => {
                        let after = if open.contains('\n') {
                            format!("\n\n{text}\n\n")
                        } else {
                            text
                        };
                        let agreement = agreement(source, body, &after, &names);
                        (after, agreement)
                    }
                    Ok(None) => (body.to_string(), Agreement::NoRecord),
                    Err(fault) => {
                        filled.faults.push(format!("line {line}: {fault}"));
                        (body.to_string(), Agreement::NoRecord)
                    }
                };
                filled.text.push_str(open);
                filled.text.push_str(&after);
                filled.text.push_str("<!-- end -->");
                filled.blocks.push(Block {
                    line,
                    source: source.to_string(),
                    before: body.to_string(),
                    after,
                    agreement,
                });
            }
        }
    }
    filled
}

/// Exercises 1 and 2 compute with whole numbers; the others train, and the last bits of that are the processor's.
fn is_trained(source: &str) -> bool {
    !["1", "2"].contains(&source)
}

fn agreement(source: &str, before: &str, after: &str, names: &BTreeSet<String>) -> Agreement {
    if before == after {
        Agreement::Exact
    } else if is_trained(source) && skeleton(before, names) == skeleton(after, names) {
        Agreement::Structure
    } else {
        Agreement::Different
    }
}

/// The words of each line but numbers and names, the lines in the order of their words: which of the compared things is the first, and by
/// how much, is what a training finds out.
fn skeleton<'a>(text: &'a str, names: &BTreeSet<String>) -> Vec<Vec<&'a str>> {
    let is_word = |word: &&str| !(word.is_empty() || word.contains(char::is_numeric) || names.contains(*word));
    let words = |line: &'a str| {
        let words = line.split(|letter: char| !(letter.is_alphanumeric() || letter == '_' || letter == '-'));
        words.filter(is_word).collect()
    };
    let mut lines: Vec<Vec<&str>> = text.lines().map(words).collect();
    lines.sort();
    lines
}

/// What a record calls the things that it compares: the texts of one word in it.
fn names(record: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open = vec![record];
    while let Some(value) = open.pop() {
        match value {
            Value::String(text) if !text.contains(char::is_whitespace) => {
                found.insert(text.clone());
            }
            Value::Array(list) => open.extend(list),
            Value::Object(map) => open.extend(map.values()),
            _ => {}
        }
    }
    found
}

/// What stands between the marks: the template with its values, or its last line once for each entry.
fn render(record: &Value, head: &str, template: &str) -> Result<String, String> {
    let Some((_, each)) = head.split_once(" each ") else {
        return filled_in(record, record, template);
    };
    let (each, first) = divide(each, " first ");
    let (each, sort) = divide(each, " sort ");
    let (path, condition) = divide(each, " where ");
    let mut entries = entries(&find(record, path)?)?;
    if let Some(condition) = condition {
        let mut kept = Vec::new();
        for entry in entries {
            if condition
                .split(" and ")
                .map(|one| holds(&entry, one))
                .collect::<Result<Vec<_>, _>>()?
                .into_iter()
                .all(|yes| yes)
            {
                kept.push(entry);
            }
        }
        entries = kept;
    }
    if let Some(key) = sort {
        let (key, falling) = key.strip_prefix('-').map_or((key, false), |key| (key, true));
        // What is missing comes last, rising and falling.
        entries.sort_by(|left, right| {
            let number = |entry| find(entry, key).ok().and_then(|value| value.as_f64());
            match (number(left), number(right)) {
                (Some(left), Some(right)) if falling => right.total_cmp(&left),
                (Some(left), Some(right)) => left.total_cmp(&right),
                (left, right) => left.is_none().cmp(&right.is_none()),
            }
        });
    }
    if let Some(first) = first {
        entries.truncate(first.parse().map_err(|_| format!("`first {first}` is no number"))?);
    }
    if entries.is_empty() {
        return Err(format!("`{each}` leaves no row"));
    }
    let mut lines: Vec<&str> = template.lines().collect();
    let row = lines.pop().unwrap_or_default();
    let mut text: Vec<String> = lines.into_iter().map(str::to_string).collect();
    for entry in &entries {
        text.push(filled_in(record, entry, row)?);
    }
    Ok(text.join("\n"))
}

fn divide<'a>(text: &'a str, word: &str) -> (&'a str, Option<&'a str>) {
    match text.split_once(word) {
        Some((before, after)) => (before.trim(), Some(after.trim())),
        None => (text.trim(), None),
    }
}

/// The entries of a list, or of an object with their names as `key`.
fn entries(value: &Value) -> Result<Vec<Value>, String> {
    match value {
        Value::Array(list) => Ok(list.clone()),
        Value::Object(map) => Ok(map
            .iter()
            .map(|(key, value)| {
                let mut entry = value.clone();
                match entry.as_object_mut() {
                    Some(fields) => {
                        fields.insert("key".to_string(), json!(key));
                        entry
                    }
                    None => json!({"key": key, "value": value}),
                }
            })
            .collect()),
        _ => Err(format!("{value} has no entries")),
    }
}

/// A template with its `{path as format}` replaced; a path that begins with `/` starts at the record, others at the entry.
fn filled_in(record: &Value, entry: &Value, template: &str) -> Result<String, String> {
    let mut text = String::new();
    let mut rest = template;
    while let Some(start) = rest.find('{') {
        let (before, inside) = (&rest[..start], &rest[start + 1..]);
        let end = inside
            .find('}')
            .ok_or_else(|| format!("`{template}` has a {{ without its }}"))?;
        let (what, format) = divide(&inside[..end], " as ");
        text.push_str(before);
        text.push_str(&formatted(&computed(record, entry, what)?, format.unwrap_or_default())?);
        rest = &inside[end + 1..];
    }
    text.push_str(rest);
    Ok(text)
}

/// A value, or the quotient or difference of two.
fn computed(record: &Value, entry: &Value, what: &str) -> Result<Value, String> {
    let value = |path: &str| match path.trim().strip_prefix('/') {
        Some(path) => find(record, path),
        None => find(entry, path),
    };
    let number = |path: &str| {
        let value = value(path)?;
        value
            .as_f64()
            .ok_or_else(|| format!("`{}` is {}, no number", path.trim(), plain(&value)))
    };
    for (operator, compute) in [(" / ", (|a, b| a / b) as fn(f64, f64) -> f64), (" - ", |a, b| a - b)] {
        if let Some((left, right)) = what.split_once(operator) {
            return Ok(json!(compute(number(left)?, number(right)?)));
        }
    }
    value(what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Value {
        json!({
            "total": 4,
            "list": [{"name": "b", "n": 1, "at": 0.5}, {"name": "a", "n": 3, "at": null}, {"name": "c", "n": 2, "at": 0.25}],
            "map": {"x": {"n": 1}, "y": {"n": 2}}
        })
    }

    #[test]
    fn rows_are_chosen_and_sorted() {
        let rows = |head: &str| render(&record(), head, "| n |\n|---|\n| {name} {n / /total as percent 0} |");
        assert_eq!(
            rows("1 each list where n > 1 sort -n").unwrap(),
            "| n |\n|---|\n| a 75 % |\n| c 50 % |"
        );
        assert_eq!(
            rows("1 each list sort at first 2").unwrap(),
            "| n |\n|---|\n| c 50 % |\n| b 25 % |"
        );
        assert!(rows("1 each list where n > 9").unwrap_err().contains("no row"));
        assert_eq!(render(&record(), "1 each map", "{key}={n}").unwrap(), "x=1\ny=2");
        assert!(rows("1 each total").unwrap_err().contains("no entries"));
    }

    #[test]
    fn training_may_differ_in_its_digits_and_nothing_else() {
        let names = names(&json!({"first": "nadam", "list": [{"name": "adam"}], "text": "two words"}));
        let agreement = |source, before, after| agreement(source, before, after, &names);
        assert_eq!(agreement("3", "a 97.4 %", "a 97.4 %"), Agreement::Exact);
        for (before, after) in [
            ("a 97.4 %\nb 3", "b 4\na **96.1** %"),
            ("adam is first", "nadam is first"),
            ("the checksum 2bf8", "the checksum aa9c7"),
        ] {
            assert_eq!(agreement("3", before, after), Agreement::Structure, "{after}");
        }
        for (before, after) in [("a 97.4 %", "c 97.4 %"), ("a 1", "a 1\na 2"), ("two", "words")] {
            assert_eq!(agreement("3", before, after), Agreement::Different, "{after}");
        }
        assert_eq!(
            agreement("1", "a 4", "a 5"),
            Agreement::Different,
            "nothing is trained in exercise 1"
        );
    }

    #[test]
    fn a_sentence_that_a_training_does_not_bear_out_is_doubted() {
        let folder = std::env::temp_dir().join(format!("xtask-doubts-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        for source in ["1", "3"] {
            std::fs::write(
                folder.join(format!("exercise-{source}.json")),
                r#"{"a": 1, "settings": {"quick": false}}"#,
            )
            .unwrap();
        }
        let records = Records::new(folder.clone());
        let of = |source| page(&format!("<!-- holds {source}: a > 2 -->"), &records);
        let (exact, trained) = (of("1"), of("3"));
        std::fs::remove_dir_all(folder).unwrap();
        assert_eq!((exact.faults.len(), exact.doubts.len()), (1, 0));
        assert_eq!((trained.faults.len(), trained.doubts.len()), (0, 1));
    }

    #[test]
    fn a_page_keeps_what_no_run_is_known_of() {
        let records = Records::new("no/such/folder".into());
        let text = "x <!-- run 3: {a} -->5<!-- end -->\n\n<!-- holds 3: a > 2 -->";
        let filled = page(text, &records);
        assert_eq!(filled.text, text);
        assert_eq!(filled.blocks[0].agreement, Agreement::NoRecord);
        assert!(filled.faults.is_empty());
    }
}
