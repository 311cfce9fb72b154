//! The table of a summary, drawn as the Python library `rich` draws it.

use super::text::{cell_width, crop, push_blanks, words_in_lines};
use std::borrow::Cow;

/// Where the text of a column is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Alignment {
    Left,
    Right,
    Center,
}

pub(super) struct Column {
    pub(super) title: &'static str,
    pub(super) alignment: Alignment,
    /// Width of the text, without the blank on either side.
    pub(super) width: usize,
}

pub(super) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table that is `line_length` characters wide; the columns give way or grow as in `rich`.
    pub(super) fn new(mut columns: Vec<Column>, line_length: usize) -> Self {
        let available = line_length.saturating_sub(columns.len() + 1);
        let wanted: usize = columns.iter().map(|column| column.width + 2).sum();
        let mut excess = wanted.saturating_sub(available);
        let count = columns.len();
        for (index, column) in columns.iter_mut().enumerate() {
            let share = round_half_even(excess, count - index).min(column.width);
            column.width -= share;
            excess -= share.min(excess);
        }
        let mut missing = available.saturating_sub(wanted);
        let mut weight = wanted;
        for column in &mut columns {
            let ratio = column.width + 2;
            let share = if weight > 0 {
                (ratio * missing).div_ceil(weight)
            } else {
                missing
            };
            column.width += share;
            missing -= share.min(missing);
            weight -= ratio.min(weight);
        }
        Self {
            columns,
            rows: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// Draws the table; lines longer than `limit` are cut there.
    pub(super) fn render(&self, out: &mut String, limit: Option<usize>) {
        push_line(out, &self.rule("┏━┳┓"), limit);
        let titles: Vec<String> = self.columns.iter().map(|column| column.title.to_owned()).collect();
        let mut line = String::new();
        self.row(&titles, '┃', true, &mut line, out, limit);
        push_line(out, &self.rule("┡━╇┩"), limit);
        let between = self.rule("├─┼┤");
        for (index, row) in self.rows.iter().enumerate() {
            if index > 0 {
                push_line(out, &between, limit);
            }
            self.row(row, '│', false, &mut line, out, limit);
        }
        push_line(out, &self.rule("└─┴┘"), limit);
    }

    /// A horizontal rule of the four characters left, fill, crossing, right.
    fn rule(&self, characters: &str) -> String {
        let c: Vec<char> = characters.chars().collect();
        let mut text = String::from(c[0]);
        for (index, column) in self.columns.iter().enumerate() {
            if index > 0 {
                text.push(c[2]);
            }
            text.extend(std::iter::repeat_n(c[1], column.width + 2));
        }
        text.push(c[3]);
        text
    }

    /// Adds the lines of a row; the cells of the header stand at the bottom, all others at the top. `line` is reused.
    fn row(
        &self,
        cells: &[String],
        border: char,
        header: bool,
        line: &mut String,
        out: &mut String,
        limit: Option<usize>,
    ) {
        let mut wrapped: Vec<Vec<&str>> = Vec::with_capacity(cells.len());
        let mut height = 0;
        for (column, cell) in self.columns.iter().zip(cells) {
            let lines = words_in_lines(cell, column.width, false);
            height = height.max(lines.len());
            wrapped.push(lines);
        }
        for y in 0..height {
            line.clear();
            line.push(border);
            for (column, lines) in self.columns.iter().zip(&wrapped) {
                let from_top = if header {
                    (y + lines.len()).checked_sub(height)
                } else {
                    Some(y)
                };
                let content = from_top.and_then(|y| lines.get(y)).map_or("", |content| *content);
                line.push(' ');
                push_aligned(line, content, column);
                line.push(' ');
                line.push(border);
            }
            push_line(out, line, limit);
        }
    }
}

/// Adds a line, cut at `limit`.
fn push_line(out: &mut String, line: &str, limit: Option<usize>) {
    match limit {
        Some(limit) => out.push_str(&crop(line, limit)),
        None => out.push_str(line),
    }
    out.push('\n');
}

/// Adds the text in exactly the width of the column, cut with `…` when it is longer.
fn push_aligned(out: &mut String, text: &str, column: &Column) {
    let text = text.trim_end();
    let width = cell_width(text);
    let (text, width) = if width > column.width {
        let cut = match column.width {
            0 => String::new(),
            width => format!("{}…", crop(text, width - 1)),
        };
        let width = cell_width(&cut);
        (Cow::Owned(cut), width)
    } else {
        (Cow::Borrowed(text), width)
    };
    let free = column.width.saturating_sub(width);
    let before = match column.alignment {
        Alignment::Left => 0,
        Alignment::Right => free,
        Alignment::Center => free / 2,
    };
    push_blanks(out, before);
    out.push_str(&text);
    push_blanks(out, free - before);
}

/// `round(a / b)` as Python rounds: a half goes to the even neighbour.
fn round_half_even(a: usize, b: usize) -> usize {
    let (quotient, rest) = (a / b, a % b);
    match (2 * rest).cmp(&b) {
        std::cmp::Ordering::Less => quotient,
        std::cmp::Ordering::Greater => quotient + 1,
        std::cmp::Ordering::Equal => quotient + quotient % 2,
    }
}
