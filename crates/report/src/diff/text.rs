//! Texts with numbers in them: the words have to be the same, the numbers about the same.

use super::{Options, change as relative};

/// Whether two texts say the same: the same words, numbers within the tolerance.
pub(super) fn same(before: &str, after: &str, options: &Options) -> bool {
    if before == after {
        return true;
    }
    let (old, new) = (pieces(before), pieces(after));
    old.len() == new.len()
        && old.iter().zip(&new).all(|pair| match pair {
            (Piece::Number(old), Piece::Number(new)) => options.same(*old, *new),
            (Piece::Words(old), Piece::Words(new)) => old == new,
            _ => false,
        })
}

/// By how much the first number changed, where both texts have one and nothing but numbers changed.
pub(super) fn change(before: &str, after: &str) -> Option<f64> {
    let first = |text: &str| {
        pieces(text).into_iter().find_map(|piece| match piece {
            Piece::Number(number) => Some(number),
            Piece::Words(_) => None,
        })
    };
    let all = Options {
        relative: f64::INFINITY,
        ..Options::default()
    };
    if !same(before, after, &all) {
        return None;
    }
    relative(first(before)?, first(after)?)
}

/// Whether a column, a key or an axis of this name holds times or speeds.
pub(super) fn names_a_time(name: &str) -> bool {
    let name = name.to_lowercase();
    let mut words = name.split(|c: char| !c.is_alphanumeric());
    let times = [
        "seconds",
        "second",
        "time",
        "times",
        "timings",
        "ms",
        "milliseconds",
        "duration",
        "gflop",
    ];
    words.any(|word| times.contains(&word)) || name.ends_with("/s")
}

/// Whether a cell shows how long something took, or how fast it was: `4.2 ms`, `1 min 15 s`, `900 images/s`.
pub(super) fn is_a_time(cell: &str) -> bool {
    let cell = cell.replace(['\u{a0}', '\u{202f}'], " ");
    let starts = cell.trim_start_matches(['~', '≈', '<', '>', ' ']);
    if !starts.starts_with(|c: char| c.is_ascii_digit()) {
        return false;
    }
    let unit = starts.rsplit(' ').next().unwrap_or_default();
    matches!(unit, "s" | "ms" | "µs" | "ns" | "min" | "h") || unit.ends_with("/s")
}

#[derive(Debug, PartialEq)]
enum Piece<'a> {
    Number(f64),
    Words(&'a str),
}

/// Words and numbers in turns. A sign belongs to a number where no letter or digit stands before it.
fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let (mut words, mut at) = (0, 0);
    while at < text.len() {
        let before = text[..at].chars().next_back();
        let inside = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
        match number(&text[at..]).filter(|_| !inside) {
            Some((value, length)) => {
                if words < at {
                    pieces.push(Piece::Words(&text[words..at]));
                }
                pieces.push(Piece::Number(value));
                at += length;
                words = at;
            }
            None => at += text[at..].chars().next().map_or(1, char::len_utf8),
        }
    }
    if words < text.len() {
        pieces.push(Piece::Words(&text[words..]));
    }
    pieces
}

/// The number at the beginning of a text, and how many bytes it takes: `−1,234.5`, `1e-3`.
fn number(text: &str) -> Option<(f64, usize)> {
    let sign = if text.starts_with('−') {
        '−'.len_utf8()
    } else {
        usize::from(text.starts_with('-'))
    };
    let digits = text[sign..].bytes().take_while(u8::is_ascii_digit).count();
    if digits == 0 {
        return None;
    }
    let mut plain = text[sign..sign + digits].to_owned();
    let mut end = sign + digits;
    let rest = |end: usize| text.as_bytes().get(end..).unwrap_or_default();
    let leading = |bytes: &[u8]| bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    while digits <= 3 && rest(end).first() == Some(&b',') && leading(&rest(end)[1..]) == 3 {
        plain.push_str(&text[end + 1..end + 4]);
        end += 4;
    }
    if rest(end).first() == Some(&b'.') && leading(&rest(end)[1..]) > 0 {
        let length = 1 + leading(&rest(end)[1..]);
        plain.push_str(&text[end..end + length]);
        end += length;
    }
    let exponent = rest(end);
    if matches!(exponent.first(), Some(b'e' | b'E')) {
        let signed = usize::from(matches!(exponent.get(1), Some(b'-' | b'+')));
        let length = leading(&exponent[1 + signed..]);
        if length > 0 {
            plain.push_str(&text[end..end + 1 + signed + length]);
            end += 1 + signed + length;
        }
    }
    let value: f64 = plain.parse().ok()?;
    Some((if sign > 0 { -value } else { value }, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_words_are_told_apart() {
        for (text, expected) in [
            ("97.4 % [97.1, −1,234.5]", vec![97.4, 97.1, -1234.5]),
            ("1e-3 and 2E5", vec![1e-3, 2e5]),
            ("conv2d_1 3x3, 1,700 runs", vec![3.0, 1700.0]),
            ("1,23", vec![1.0, 23.0]),
            ("no number: e5 .", vec![]),
            ("7.", vec![7.0]),
        ] {
            let found: Vec<f64> = pieces(text)
                .into_iter()
                .filter_map(|piece| match piece {
                    Piece::Number(number) => Some(number),
                    Piece::Words(_) => None,
                })
                .collect();
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn words_have_to_be_the_same() {
        let options = Options {
            relative: 0.01,
            ..Options::default()
        };
        assert!(same("adam reaches 96.0 %", "adam reaches 96.5 %", &options));
        assert!(!same("adam reaches 96.0 %", "adam reaches 99.0 %", &options));
        assert!(!same("adam reaches 96.0 %", "lion reaches 96.0 %", &options));
        assert!(
            !same(
                "layer_1",
                "layer_2",
                &Options {
                    relative: 1.0,
                    ..options
                }
            ),
            "names are no numbers"
        );
        assert_eq!(change("2 s", "3 s"), Some(0.5));
        assert_eq!(change("2 s", "3 h"), None);
    }

    #[test]
    fn times_are_known_by_unit_and_name() {
        for cell in ["4.2 ms", "1 min 15 s", "2 h 5 min", "900 images/s", "~3 s"] {
            assert!(is_a_time(cell), "{cell}");
        }
        for cell in ["4.2", "ms", "12 KB", "8 of 10", "s", ""] {
            assert!(!is_a_time(cell), "{cell}");
        }
        assert!(names_a_time("seconds") && names_a_time("train_seconds") && names_a_time("images/s"));
        assert!(!names_a_time("timestep") && !names_a_time("accuracy") && !names_a_time("steps"));
    }
}
