//! How wide a text is before anybody has drawn it, and what may stand in a drawing.

/// Widths of the characters from blank to `~` in Helvetica, in thousandths of the font size (Adobe's font metrics).
const REGULAR: [u16; 95] = [
    278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556, 556, 556, 556, 556, 556,
    556, 556, 556, 278, 278, 584, 584, 584, 556, 1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833,
    722, 778, 667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556, 333, 556, 556, 500, 556,
    556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556, 556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334,
    260, 334, 584,
];

/// The same in Helvetica-Bold.
const BOLD: [u16; 95] = [
    278, 333, 474, 556, 556, 889, 722, 238, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556, 556, 556, 556, 556, 556,
    556, 556, 556, 333, 333, 584, 584, 584, 611, 975, 722, 722, 722, 722, 667, 611, 778, 722, 278, 556, 722, 611, 833,
    722, 778, 667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 333, 278, 333, 584, 556, 333, 556, 611, 556, 611,
    556, 333, 611, 611, 278, 278, 556, 278, 889, 611, 611, 611, 611, 389, 556, 333, 611, 556, 778, 556, 556, 500, 389,
    280, 389, 584,
];

/// Fonts with these widths on all systems; the drawing also states each width, so that another font is squeezed into it.
pub(super) const FONTS: &str = "Helvetica, Arial, 'Liberation Sans', Arimo, sans-serif";

/// Longest text of a box in characters; the rest is in its tooltip.
const LONGEST: usize = 64;

/// Width of a text at a font size.
pub(super) fn width(text: &str, size: f64, bold: bool) -> f64 {
    let table = if bold { &BOLD } else { &REGULAR };
    let of = |c: char| match (c as usize).checked_sub(32).and_then(|index| table.get(index)) {
        Some(&width) => f64::from(width),
        None => match crate::summary::char_width(c) {
            0 => 0.0,
            1 => 700.0,
            _ => 1000.0,
        },
    };
    text.chars().map(of).sum::<f64>() * size / 1000.0
}

/// A text that is cut in the middle of nowhere, with `…`, when it is longer than a box should be.
pub(super) fn shortened(text: &str) -> String {
    if text.chars().count() <= LONGEST {
        return text.to_owned();
    }
    let kept: String = text.chars().take(LONGEST - 1).collect();
    format!("{}…", kept.trim_end())
}

/// A text as XML and as an HTML-like label of Graphviz; what XML has no place for becomes a replacement character.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\t' | '\n' | '\r' => escaped.push(' '),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::{escape, shortened, width};

    #[test]
    fn texts_are_measured_cut_and_escaped() {
        assert_eq!(width("Ab", 10.0, false), 6.67 + 5.56);
        assert!(width("Ab", 10.0, true) > width("Ab", 10.0, false));
        assert_eq!(width("図", 10.0, false), 10.0);
        assert_eq!(shortened(&"x".repeat(65)).chars().count(), 64);
        assert_eq!(escape("a<b>&\"'\u{1}"), "a&lt;b&gt;&amp;&quot;&#39;\u{fffd}");
    }
}
