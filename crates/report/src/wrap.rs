//! Text that fits into columns, counted as a terminal counts them (wide characters take two).

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The columns that `text` takes.
#[must_use]
pub fn width(text: &str) -> usize {
    text.width()
}

/// `text` broken at spaces into lines of at most `width` columns; a word that is longer is broken where it must be.
///
/// Line breaks of the text are kept. Control characters become spaces, so that no text can steer the terminal.
///
/// ```
/// assert_eq!(report::wrap::wrap("one two three", 8), ["one two", "three"]);
/// ```
#[must_use]
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    let mut lines = Vec::new();
    for paragraph in text.split('\n') {
        let paragraph = clean(paragraph);
        let mut line = String::new();
        for word in paragraph.split(' ').filter(|word| !word.is_empty()) {
            if !line.is_empty() && line.width() + 1 + word.width() <= width {
                line.push(' ');
                line.push_str(word);
                continue;
            }
            if !line.is_empty() {
                lines.push(std::mem::take(&mut line));
            }
            let mut pieces = pieces(word, width);
            line = pieces.pop().unwrap_or_default();
            lines.extend(pieces);
        }
        lines.push(line);
    }
    lines
}

/// `text` in pieces of at most `width` columns, with every character kept; for text whose spaces matter.
#[must_use]
pub fn pieces(text: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    let mut pieces = Vec::new();
    let mut piece = String::new();
    for c in clean(text).chars() {
        piece.push(c);
        if piece.width() <= width {
            continue;
        }
        piece.pop();
        // What makes the character before it wider (the selector of an emoji) goes to the next line together with it.
        let before = if c.width() == Some(0) { piece.pop() } else { None };
        if !piece.is_empty() {
            pieces.push(std::mem::take(&mut piece));
        }
        piece.extend(before);
        piece.push(c);
        if piece.width() > width {
            // A wide character in a column of one cannot be shown; a replacement keeps the promise on the width.
            piece.pop();
            if piece.is_empty() {
                piece.push('?');
            }
        }
    }
    pieces.push(piece);
    pieces
}

/// `text` cut to `width` columns, with an ellipsis where something was cut.
#[must_use]
pub fn cut(text: &str, width: usize) -> String {
    let text = clean(text);
    if text.width() <= width {
        return text;
    }
    if width == 0 {
        return String::new();
    }
    let mut first = pieces(&text, width.saturating_sub(1).max(1)).swap_remove(0);
    if first.width() < width {
        first.push('…');
    }
    first
}

/// `text` followed by spaces up to `width` columns.
#[must_use]
pub fn pad(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(text.width())))
}

/// Control characters become spaces: text from a file must not move the cursor or change colours.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
