//! Numbers as people read them: thousands separators, percentages with their intervals, durations, bytes.
//!
//! Values that are not finite read as `–`, so a table never shows `NaN %`.

/// What stands for a value that there is not.
pub const MISSING: &str = "–";

/// An integer with thousands separators.
///
/// ```
/// assert_eq!(report::format::integer(2056), "2,056");
/// assert_eq!(report::format::integer(-1_234_567), "−1,234,567");
/// ```
#[must_use]
pub fn integer(value: impl Into<i128>) -> String {
    let value = value.into();
    let digits = group(&value.unsigned_abs().to_string());
    if value < 0 { format!("−{digits}") } else { digits }
}

/// A count (any `usize`) with thousands separators.
///
/// ```
/// assert_eq!(report::format::count(60_000), "60,000");
/// ```
#[must_use]
pub fn count(value: usize) -> String {
    group(&value.to_string())
}

/// A number with `decimals` decimals and thousands separators.
///
/// ```
/// assert_eq!(report::format::number(1234.5, 2), "1,234.50");
/// assert_eq!(report::format::number(f64::NAN, 2), "–");
/// ```
#[must_use]
pub fn number(value: f64, decimals: usize) -> String {
    if !value.is_finite() {
        return not_finite(value);
    }
    let text = format!("{:.*}", decimals.min(17), value.abs());
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let point = if fraction.is_empty() { "" } else { "." };
    let zero = text.bytes().all(|byte| matches!(byte, b'0' | b'.'));
    let sign = if value < 0.0 && !zero { "−" } else { "" };
    format!("{sign}{}{point}{fraction}", group(whole))
}

/// A number with `digits` significant digits, as a power of ten where that reads better.
///
/// ```
/// assert_eq!(report::format::significant(0.012345, 3), "0.0123");
/// assert_eq!(report::format::significant(1.5e-9, 2), "1.5·10⁻⁹");
/// ```
#[must_use]
pub fn significant(value: f64, digits: usize) -> String {
    let digits = digits.clamp(1, 17);
    if !value.is_finite() {
        return not_finite(value);
    }
    if value == 0.0 {
        return "0".to_owned();
    }
    let exponent = value.abs().log10().floor() as i32;
    if !(-4..=9).contains(&exponent) {
        return scientific(value, digits - 1);
    }
    let decimals = usize::try_from(digits as i32 - 1 - exponent).unwrap_or(0);
    number(value, decimals)
}

/// A number as mantissa and power of ten.
///
/// ```
/// assert_eq!(report::format::scientific(0.00012, 1), "1.2·10⁻⁴");
/// ```
#[must_use]
pub fn scientific(value: f64, decimals: usize) -> String {
    if !value.is_finite() {
        return not_finite(value);
    }
    let text = format!("{:.*e}", decimals.min(17), value.abs());
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let mantissa = if mantissa.contains('.') {
        mantissa.trim_end_matches('0').trim_end_matches('.')
    } else {
        mantissa
    };
    let sign = if value < 0.0 { "−" } else { "" };
    match (mantissa, exponent) {
        (_, "0") => format!("{sign}{mantissa}"),
        ("1", _) => format!("{sign}10{}", crate::latex::superscript(exponent)),
        _ => format!("{sign}{mantissa}·10{}", crate::latex::superscript(exponent)),
    }
}

/// A fraction of 1 as a percentage. Its spaces do not break, so that a number keeps its sign in a narrow column.
///
/// ```
/// assert_eq!(report::format::percent(0.8375, 2), "83.75\u{a0}%");
/// ```
#[must_use]
pub fn percent(fraction: f64, decimals: usize) -> String {
    if fraction.is_finite() {
        format!("{}\u{a0}%", number(fraction * 100.0, decimals))
    } else {
        MISSING.to_owned()
    }
}

/// A fraction of 1 with its interval's half width, as percentages.
///
/// ```
/// assert_eq!(report::format::percent_plus_minus(0.9512, 0.0061, 1), "95.1\u{a0}±\u{a0}0.6\u{a0}%");
/// ```
#[must_use]
pub fn percent_plus_minus(fraction: f64, half_width: f64, decimals: usize) -> String {
    if !half_width.is_finite() {
        return percent(fraction, decimals);
    }
    if !fraction.is_finite() {
        return MISSING.to_owned();
    }
    format!(
        "{}\u{a0}±\u{a0}{}\u{a0}%",
        number(fraction * 100.0, decimals),
        number(half_width * 100.0, decimals)
    )
}

/// A fraction of 1 with its interval, as percentages.
///
/// ```
/// assert_eq!(report::format::percent_interval(0.951, 0.945, 0.957, 1), "95.1\u{a0}% [94.5, 95.7]");
/// ```
#[must_use]
pub fn percent_interval(fraction: f64, lower: f64, upper: f64, decimals: usize) -> String {
    if !(lower.is_finite() && upper.is_finite()) {
        return percent(fraction, decimals);
    }
    let (lower, upper) = (number(lower * 100.0, decimals), number(upper * 100.0, decimals));
    format!("{} [{lower}, {upper}]", percent(fraction, decimals))
}

/// A duration.
///
/// ```
/// assert_eq!(report::format::seconds(0.0042), "4.2 ms");
/// assert_eq!(report::format::seconds(3.21), "3.2 s");
/// assert_eq!(report::format::seconds(75.0), "1 min 15 s");
/// ```
#[must_use]
pub fn seconds(seconds: f64) -> String {
    let size = seconds.abs();
    if !seconds.is_finite() {
        return MISSING.to_owned();
    }
    match size {
        0.0 => "0 s".to_owned(),
        s if s < 1e-6 => format!("{} ns", number(seconds * 1e9, 0)),
        s if s < 1e-3 => format!("{} µs", number(seconds * 1e6, 1)),
        s if s < 0.9995 => format!("{} ms", number(seconds * 1e3, usize::from(s < 0.1))),
        s if s < 59.95 => format!("{} s", number(seconds, 1)),
        s if s < 3599.5 => {
            let whole = seconds.round();
            format!(
                "{} min {} s",
                number((whole / 60.0).trunc(), 0),
                number(whole.abs() % 60.0, 0)
            )
        }
        _ => {
            let minutes = (seconds / 60.0).round();
            format!(
                "{} h {} min",
                number((minutes / 60.0).trunc(), 0),
                number(minutes.abs() % 60.0, 0)
            )
        }
    }
}

/// A size in bytes, in steps of 1024 as Keras writes them.
///
/// ```
/// assert_eq!(report::format::bytes(8_224), "8.03 KB");
/// ```
#[must_use]
pub fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KB", "MB", "GB", "TB", "PB", "EB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let (mut size, mut unit) = (bytes as f64 / 1024.0, 0);
    while size >= 1024.0 && unit + 1 < UNITS.len() {
        size /= 1024.0;
        unit += 1;
    }
    format!("{size:.2} {}", UNITS[unit])
}

fn not_finite(value: f64) -> String {
    match value {
        f64::INFINITY => "∞".to_owned(),
        f64::NEG_INFINITY => "−∞".to_owned(),
        _ => MISSING.to_owned(),
    }
}

fn group(digits: &str) -> String {
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
