//! Values of a record as people write them.

use serde_json::Value;

/// A value in a format of [`FORMATS`], with its number of digits where it takes one.
pub(super) fn formatted(value: &Value, format: &str) -> Result<String, String> {
    let mut words = format.split_whitespace();
    let name = words.next().unwrap_or_default();
    let digits = words
        .next()
        .map(|digits| {
            digits
                .parse::<usize>()
                .map_err(|_| format!("`{digits}` is no number of digits"))
        })
        .transpose()?;
    let number = || {
        value
            .as_f64()
            .ok_or_else(|| format!("{value} is no number, as the format `{name}` wants"))
    };
    Ok(match name {
        "" => plain(value),
        "by" => joined(value, " × "),
        "list" => joined(value, ", "),
        "code" => format!("`{}`", plain(value)),
        "count" if value.is_null() => "∞".to_string(),
        "count" => trimmed(number()?, digits.unwrap_or(1)),
        "fixed" => signed(format!("{:.*}", digits.unwrap_or(2), number()?)),
        "percent" => match interval(value) {
            Some([mean, lower, upper]) => {
                let digits = digits.unwrap_or(1);
                format!(
                    "{:.digits$} % [{:.digits$}, {:.digits$}]",
                    100.0 * mean,
                    100.0 * lower,
                    100.0 * upper
                )
            }
            None => signed(format!("{:.*} %", digits.unwrap_or(1), 100.0 * number()?)),
        },
        "mean" => {
            let [mean, lower, upper] = interval(value).ok_or_else(|| format!("{value} is no interval"))?;
            let digits = digits.unwrap_or(1);
            format!("{:.digits$} [{:.digits$}, {:.digits$}]", mean, lower, upper)
        }
        "spread" => {
            let [mean, lower, upper] = interval(value).ok_or_else(|| format!("{value} is no interval"))?;
            let digits = digits.unwrap_or(1);
            format!("{:.digits$} ± {:.digits$} %", 100.0 * mean, 50.0 * (upper - lower))
        }
        "points" => {
            let [mean, lower, upper] = interval(value).ok_or_else(|| format!("{value} is no interval"))?;
            let digits = digits.unwrap_or(1);
            // Rounded first: what is as good as 0 has no sign of its own.
            let scale = 10f64.powi(digits as i32);
            let points = (100.0 * mean * scale).round() / scale + 0.0;
            let text = signed(format!("{points:+.digits$} ± {:.digits$}", 50.0 * (upper - lower)));
            // An interval without 0 is a difference that can be told.
            if lower > 0.0 || upper < 0.0 {
                format!("**{text}**")
            } else {
                text
            }
        }
        "power" => power(number()?, digits.unwrap_or(1)),
        "kb" => format!("{:.*} KB", digits.unwrap_or(2), number()? / 1024.0),
        _ => return Err(format!("`{name}` is no format; there are {FORMATS}")),
    })
}

const FORMATS: &str = "by, list, code, count, fixed N, percent N, mean N, spread N, points N, power N, kb N";

/// Text as it is, whole numbers in groups of three digits, yes and no.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(true) => "yes".to_string(),
        Value::Bool(false) => "no".to_string(),
        Value::Null => "-".to_string(),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => grouped(whole),
            None => signed(number.to_string()),
        },
        Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

fn joined(value: &Value, between: &str) -> String {
    let entries = value.as_array().map(Vec::as_slice).unwrap_or_default();
    entries.iter().map(plain).collect::<Vec<_>>().join(between)
}

fn interval(value: &Value) -> Option<[f64; 3]> {
    Some([
        value.get("mean")?.as_f64()?,
        value.get("lower")?.as_f64()?,
        value.get("upper")?.as_f64()?,
    ])
}

fn grouped(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if number < 0 { format!("−{text}") } else { text }
}

/// At most so many digits behind the point, none that is a zero.
fn trimmed(number: f64, digits: usize) -> String {
    if number.fract() == 0.0 && number.abs() < 1e15 {
        return grouped(number as i64);
    }
    let text = format!("{number:.digits$}");
    signed(text.trim_end_matches('0').trim_end_matches('.').to_string())
}

/// With a minus sign that is one.
fn signed(text: String) -> String {
    text.replace('-', "−")
}

/// `2.2·10⁻¹⁶`.
fn power(number: f64, digits: usize) -> String {
    if number == 0.0 {
        return "0".to_string();
    }
    let text = format!("{number:.digits$e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let raised: String = exponent
        .chars()
        .map(|character| match character.to_digit(10) {
            Some(digit) => ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'][digit as usize],
            None => '⁻',
        })
        .collect();
    match mantissa {
        "1" => format!("10{raised}"),
        _ => format!("{}·10{raised}", signed(mantissa.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(value: Value, format: &str, expected: &str) {
        assert_eq!(formatted(&value, format).as_deref(), Ok(expected));
    }

    #[test]
    fn values_as_people_write_them() {
        check(json!(1968000), "", "1,968,000");
        check(json!(-27), "", "−27");
        check(json!("A1"), "code", "`A1`");
        check(json!(true), "", "yes");
        check(json!([4, 8]), "by", "4 × 8");
        check(json!(0.98056), "percent 2", "98.06 %");
        check(json!(7.5), "count", "7.5");
        check(json!(5.0), "count", "5");
        check(json!(null), "count", "∞");
        check(json!(2.22e-16), "power 1", "2.2·10⁻¹⁶");
        check(json!(0.0), "power 1", "0");
        check(json!(1e-12), "power 0", "10⁻¹²");
        check(json!(29752), "kb", "29.05 KB");
        let interval = json!({"mean": 0.11, "lower": 0.093, "upper": 0.127, "values": 5});
        check(interval.clone(), "points", "**+11.0 ± 1.7**");
        check(interval.clone(), "percent", "11.0 % [9.3, 12.7]");
        check(interval, "spread", "11.0 ± 1.7 %");
        check(
            json!({"mean": -2e-17, "lower": -0.01, "upper": 0.01}),
            "points",
            "+0.0 ± 1.0",
        );
        check(
            json!({"mean": -0.007, "lower": -0.02, "upper": 0.006}),
            "points",
            "−0.7 ± 1.3",
        );
    }

    #[test]
    fn an_unknown_format_is_named() {
        assert!(
            formatted(&json!(1), "percents")
                .unwrap_err()
                .contains("`percents` is no format")
        );
        assert!(formatted(&json!("x"), "percent").unwrap_err().contains("no number"));
    }
}
