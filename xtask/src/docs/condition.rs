//! What must hold of a run, so that a sentence of a page stays true: `numbers.a < 0.2 and numbers.b = yes`.

use serde_json::Value;

use super::record::find;
use super::value::plain;

const OPERATORS: [&str; 6] = ["<=", ">=", "<", ">", "=", "ends"];

/// The first of the conditions (divided by ` and `) that does not hold of a record, with the values that it compared.
pub(super) fn broken(record: &Value, conditions: &str) -> Result<Option<String>, String> {
    for condition in conditions.split(" and ") {
        if !holds(record, condition)? {
            let (left, operator, right) = parts(condition)?;
            return Ok(Some(format!(
                "`{}` does not hold: {} {operator} {}",
                condition.trim(),
                plain(&find(record, left)?),
                side(record, right).as_ref().map_or_else(|| right.to_string(), plain)
            )));
        }
    }
    Ok(None)
}

/// Whether one comparison holds: of numbers, or with `=` and `ends` of text.
pub(super) fn holds(record: &Value, condition: &str) -> Result<bool, String> {
    let (left, operator, right) = parts(condition)?;
    let left = find(record, left)?;
    let other = side(record, right);
    let text = other.as_ref().map_or_else(|| right.to_string(), plain);
    if let (Some(left), Some(right)) = (left.as_f64(), other.as_ref().and_then(Value::as_f64)) {
        return Ok(match operator {
            "<=" => left <= right,
            ">=" => left >= right,
            "<" => left < right,
            ">" => left > right,
            _ => left == right,
        });
    }
    match operator {
        "=" => return Ok(plain(&left) == text),
        "ends" => return Ok(plain(&left).ends_with(&text)),
        _ => {}
    }
    Err(format!(
        "`{}` compares {left} with {text}, which are not two numbers",
        condition.trim()
    ))
}

/// A number, or what stands at a path of the record; `None` where it is neither.
fn side(record: &Value, text: &str) -> Option<Value> {
    match text.parse::<f64>() {
        Ok(number) => Some(number.into()),
        Err(_) => find(record, text).ok(),
    }
}

fn parts(condition: &str) -> Result<(&str, &'static str, &str), String> {
    // With spaces: the = within brackets belongs to a path.
    for operator in OPERATORS {
        let spaced = format!(" {operator} ");
        if let Some(at) = condition.find(&spaced) {
            return Ok((condition[..at].trim(), operator, condition[at + spaced.len()..].trim()));
        }
    }
    Err(format!(
        "`{}` has no comparison: one of {} with a space on both sides",
        condition.trim(),
        OPERATORS.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn conditions_hold_or_say_what_they_found() {
        let record = json!({"a": 0.5, "b": true, "list": [{"n": "x", "v": 2.0}], "name": "adam"});
        assert_eq!(
            broken(
                &record,
                "a < 1 and b = yes and list[n=x].v > a and name = adam and name ends am"
            ),
            Ok(None)
        );
        let fault = broken(&record, "a < 1 and list[n=x].v <= a").unwrap().unwrap();
        assert!(fault.contains("2") && fault.contains("0.5"), "{fault}");
        assert!(broken(&record, "a").unwrap_err().contains("no comparison"));
        assert!(broken(&record, "name < 2").unwrap_err().contains("not two numbers"));
        assert!(broken(&record, "c = 2").unwrap_err().contains("no `c`"));
    }
}
