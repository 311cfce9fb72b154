//! Text in terminal cells: widths, wrapping, and sizes in bytes for people.

/// Ranges of characters that occupy two cells (East Asian Wide and Fullwidth, emoji).
const WIDE: &[(u32, u32)] = &[
    (0x1100, 0x115F),
    (0x231A, 0x231B),
    (0x2329, 0x232A),
    (0x23E9, 0x23EC),
    (0x23F0, 0x23F0),
    (0x23F3, 0x23F3),
    (0x25FD, 0x25FE),
    (0x2614, 0x2615),
    (0x2648, 0x2653),
    (0x267F, 0x267F),
    (0x2693, 0x2693),
    (0x26A1, 0x26A1),
    (0x26AA, 0x26AB),
    (0x26BD, 0x26BE),
    (0x26C4, 0x26C5),
    (0x26CE, 0x26CE),
    (0x26D4, 0x26D4),
    (0x26EA, 0x26EA),
    (0x26F2, 0x26F3),
    (0x26F5, 0x26F5),
    (0x26FA, 0x26FA),
    (0x26FD, 0x26FD),
    (0x2705, 0x2705),
    (0x270A, 0x270B),
    (0x2728, 0x2728),
    (0x274C, 0x274C),
    (0x274E, 0x274E),
    (0x2753, 0x2755),
    (0x2757, 0x2757),
    (0x2795, 0x2797),
    (0x27B0, 0x27B0),
    (0x27BF, 0x27BF),
    (0x2B1B, 0x2B1C),
    (0x2B50, 0x2B50),
    (0x2B55, 0x2B55),
    (0x2E80, 0x303E),
    (0x3041, 0x33FF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xA000, 0xA4CF),
    (0xA960, 0xA97F),
    (0xAC00, 0xD7A3),
    (0xF900, 0xFAFF),
    (0xFE10, 0xFE19),
    (0xFE30, 0xFE6F),
    (0xFF00, 0xFF60),
    (0xFFE0, 0xFFE6),
    (0x16FE0, 0x18DFF),
    (0x1AFF0, 0x1B2FF),
    (0x1F004, 0x1F004),
    (0x1F0CF, 0x1F0CF),
    (0x1F18E, 0x1F18E),
    (0x1F191, 0x1F19A),
    (0x1F200, 0x1F320),
    (0x1F32D, 0x1F335),
    (0x1F337, 0x1F37C),
    (0x1F37E, 0x1F393),
    (0x1F3A0, 0x1F3CA),
    (0x1F3CF, 0x1F3D3),
    (0x1F3E0, 0x1F3F0),
    (0x1F3F4, 0x1F3F4),
    (0x1F3F8, 0x1F43E),
    (0x1F440, 0x1F440),
    (0x1F442, 0x1F4FC),
    (0x1F4FF, 0x1F53D),
    (0x1F54B, 0x1F54E),
    (0x1F550, 0x1F567),
    (0x1F57A, 0x1F57A),
    (0x1F595, 0x1F596),
    (0x1F5A4, 0x1F5A4),
    (0x1F5FB, 0x1F64F),
    (0x1F680, 0x1F6C5),
    (0x1F6CC, 0x1F6CC),
    (0x1F6D0, 0x1F6D2),
    (0x1F6D5, 0x1F6DF),
    (0x1F6EB, 0x1F6EC),
    (0x1F6F4, 0x1F6FC),
    (0x1F7E0, 0x1F7EB),
    (0x1F90C, 0x1F93A),
    (0x1F93C, 0x1F945),
    (0x1F947, 0x1F9FF),
    (0x1FA70, 0x1FAFF),
    (0x20000, 0x3FFFD),
];

/// Ranges of characters that occupy no cell (combining marks, zero-width characters, variation selectors).
const ZERO: &[(u32, u32)] = &[
    (0x0, 0x0),
    (0x0300, 0x036F),
    (0x0483, 0x0489),
    (0x0591, 0x05BD),
    (0x0610, 0x061A),
    (0x064B, 0x065F),
    (0x0E31, 0x0E31),
    (0x0E34, 0x0E3A),
    (0x0E47, 0x0E4E),
    (0x1AB0, 0x1AFF),
    (0x1DC0, 0x1DFF),
    (0x200B, 0x200F),
    (0x202A, 0x202E),
    (0x2060, 0x2064),
    (0x20D0, 0x20F0),
    (0xFE00, 0xFE0F),
    (0xFE20, 0xFE2F),
    (0xE0100, 0xE01EF),
];

fn within(ranges: &[(u32, u32)], c: char) -> bool {
    let code = c as u32;
    let at = ranges.partition_point(|range| range.1 < code);
    ranges.get(at).is_some_and(|range| range.0 <= code)
}

pub(crate) fn char_width(c: char) -> usize {
    match c {
        ' '..='~' => 1,
        c if within(ZERO, c) => 0,
        c if within(WIDE, c) => 2,
        _ => 1,
    }
}

/// Whether every byte of a text is a character of one cell, as nearly every text of a summary is. A plain loop: it sees each
/// byte of a summary, and is not optimised in the profile `dev`.
pub(super) fn is_plain(text: &str) -> bool {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if !matches!(bytes[at], b' '..=b'~') {
            return false;
        }
        at += 1;
    }
    true
}

/// Cells that a text occupies in a terminal.
pub(crate) fn cell_width(text: &str) -> usize {
    if is_plain(text) {
        return text.len();
    }
    text.chars().map(char_width).sum()
}

/// The beginning of a text that occupies at most `width` cells; half of a wide character becomes a blank.
pub(super) fn crop(text: &str, width: usize) -> String {
    if cell_width(text) <= width {
        return text.to_owned();
    }
    let mut used = 0;
    let mut result = String::new();
    for c in text.chars() {
        let size = char_width(c);
        if used + size > width {
            break;
        }
        used += size;
        result.push(c);
    }
    result.extend(std::iter::repeat_n(' ', width - used));
    result
}

/// Adds blanks.
pub(super) fn push_blanks(out: &mut String, count: usize) {
    const BLANKS: &str = "                                                                ";
    let mut missing = count;
    while missing > BLANKS.len() {
        out.push_str(BLANKS);
        missing -= BLANKS.len();
    }
    out.push_str(&BLANKS[..missing]);
}

/// Words with the blanks behind them, those in front only for the first; `None` when nothing is left.
fn next_word<'a>(text: &mut &'a str, plain: bool) -> Option<&'a str> {
    let end = if plain {
        let bytes = text.as_bytes();
        let mut end = 0;
        while end < bytes.len() && bytes[end] == b' ' {
            end += 1;
        }
        if end == bytes.len() {
            return None;
        }
        while end < bytes.len() && bytes[end] != b' ' {
            end += 1;
        }
        while end < bytes.len() && bytes[end] == b' ' {
            end += 1;
        }
        end
    } else {
        let word = text.find(|c: char| !c.is_whitespace())?;
        let blank = text[word..]
            .find(char::is_whitespace)
            .map_or(text.len(), |at| word + at);
        text[blank..]
            .find(|c: char| !c.is_whitespace())
            .map_or(text.len(), |at| blank + at)
    };
    let (word, rest) = text.split_at(end);
    *text = rest;
    Some(word)
}

/// Breaks a text at blanks into lines of at most `width` cells, as `rich` does. A longer word has a line of its own, or
/// with `fold` is cut into pieces.
pub(super) fn words_in_lines(text: &str, width: usize, fold: bool) -> Vec<&str> {
    let plain = is_plain(text);
    if plain && text.len() <= width {
        return vec![text];
    }
    let mut lines = Vec::new();
    for paragraph in text.split('\n') {
        // The line is paragraph[start..end] and occupies `used` cells.
        let (mut start, mut end, mut used) = (0, 0, 0);
        let mut rest = paragraph;
        while let Some(word) = next_word(&mut rest, plain) {
            let length = cell_width(word.trim_end());
            if used + length > width && !(start == end && length <= width) {
                if start < end {
                    lines.push(&paragraph[start..end]);
                    start = end;
                    used = 0;
                }
                if fold && length > width {
                    for c in word.chars() {
                        if used + char_width(c) > width && start < end {
                            lines.push(&paragraph[start..end]);
                            start = end;
                            used = 0;
                        }
                        end += c.len_utf8();
                        used += char_width(c);
                    }
                    continue;
                }
            }
            end += word.len();
            used += cell_width(word);
        }
        lines.push(&paragraph[start..end]);
    }
    lines
}

/// The line without those blanks at its end that stand beyond `width`.
fn without_overhang(line: &str, width: usize) -> &str {
    let mut line = line;
    while cell_width(line) > width
        && let Some(shorter) = line.strip_suffix(char::is_whitespace)
    {
        line = shorter;
    }
    line
}

/// A name as Keras escapes it for `rich`: a backslash at its end is doubled, and stays so before a blank.
pub(super) fn escaped(name: &str) -> String {
    if name.ends_with('\\') && !name.ends_with("\\\\") {
        format!("{name}\\")
    } else {
        name.to_owned()
    }
}

/// A name with the bracket behind it, where Keras forgets to escape: tags disappear, and so does a backslash before `[`.
pub(super) fn before_bracket(name: &str) -> String {
    format!("{}[", without_tags(name)).replace("\\[", "[")
}

/// A text without what `rich` takes for tags, such as `[bold]`.
fn without_tags(name: &str) -> String {
    let mut result = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(open) = rest.find('[') {
        let (before, bracket) = rest.split_at(open);
        let inside = &bracket[1..];
        let starts = inside.starts_with(|c: char| c.is_ascii_lowercase() || matches!(c, '#' | '/' | '@'));
        let end = inside
            .find(['[', ']'])
            .filter(|&end| starts && inside[end..].starts_with(']'));
        let Some(end) = end else {
            result.push_str(before);
            result.push('[');
            rest = inside;
            continue;
        };
        // Backslashes in front of a tag: every second one escapes, and an odd one makes the tag plain text.
        let plain = before.trim_end_matches('\\');
        let slashes = before.len() - plain.len();
        result.push_str(plain);
        result.push_str(&"\\".repeat(slashes / 2));
        if slashes % 2 == 1 {
            result.push_str(&bracket[..end + 2]);
        }
        rest = &inside[end + 1..];
    }
    result.push_str(rest);
    result
}

/// Adds a line of text that wraps at the width of the console.
pub(super) fn push_folded(out: &mut String, text: &str, limit: Option<usize>) {
    match limit {
        Some(limit) if limit > 0 && cell_width(text) > limit => {
            for line in words_in_lines(text, limit, true) {
                out.push_str(without_overhang(line, limit));
                out.push('\n');
            }
        }
        _ => {
            out.push_str(text);
            out.push('\n');
        }
    }
}

/// A size in bytes as Keras writes it: divided by 1024 until it is below 1024, always with two decimals.
///
/// ```
/// assert_eq!(nn_theory::memory_size(8224), "8.03 KB");
/// ```
pub fn memory_size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["B", "KB", "MB", "GB", "TB", "PB"];
    let mut power = 0;
    while power < 6 && u128::from(bytes) >= 1024u128 << (10 * power) {
        power += 1;
    }
    // Beyond petabytes Keras divides once more but stays with the unit.
    let unit = UNITS[power.min(5)];
    let divisor = 1u128 << (10 * power);
    let scaled = u128::from(bytes) * 100;
    let (mut hundredths, rest) = (scaled / divisor, scaled % divisor);
    match (2 * rest).cmp(&divisor) {
        std::cmp::Ordering::Greater => hundredths += 1,
        std::cmp::Ordering::Equal => hundredths += hundredths % 2,
        std::cmp::Ordering::Less => {}
    }
    format!("{}.{:02} {unit}", hundredths / 100, hundredths % 100)
}

#[cfg(test)]
mod tests {
    use super::{before_bracket, escaped};

    #[test]
    fn names_are_escaped_where_keras_escapes_them() {
        for (name, printed) in [
            ("plain", "plain["),
            ("[bold]loud", "loud["),
            ("a[red]b", "ab["),
            ("in[0]", "in[0]["),
            ("[x", "[x["),
            ("back\\", "back["),
        ] {
            assert_eq!(before_bracket(name), printed);
        }
        assert_eq!(escaped("back\\"), "back\\\\");
        assert_eq!(escaped("plain"), "plain");
    }
}
