//! The table of a summary, drawn as the Python library `rich` draws it.

use super::text::{cell_width, crop, pad, words_in_lines};
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
        let mut line = |text: String| {
            match limit {
                Some(limit) => out.push_str(&crop(&text, limit)),
                None => out.push_str(&text),
            }
            out.push('\n');
        };
        line(self.rule("┏━┳┓"));
        let titles: Vec<String> = self.columns.iter().map(|column| column.title.to_owned()).collect();
        self.row(&titles, '┃', true).into_iter().for_each(&mut line);
        line(self.rule("┡━╇┩"));
        let between = self.rule("├─┼┤");
        for (index, row) in self.rows.iter().enumerate() {
            if index > 0 {
                line(between.clone());
            }
            self.row(row, '│', false).into_iter().for_each(&mut line);
        }
        line(self.rule("└─┴┘"));
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

    /// The lines of a row; the cells of the header stand at the bottom, all others at the top.
    fn row(&self, cells: &[String], border: char, header: bool) -> Vec<String> {
        let wrapped: Vec<Vec<String>> = self
            .columns
            .iter()
            .zip(cells)
            .map(|(column, cell)| words_in_lines(cell, column.width, false))
            .collect();
        let height = wrapped.iter().map(Vec::len).max().unwrap_or(0);
        let mut lines = Vec::with_capacity(height);
        for y in 0..height {
            let mut text = String::from(border);
            for (column, cell) in self.columns.iter().zip(&wrapped) {
                let y = if header {
                    (y + cell.len()).checked_sub(height)
                } else {
                    Some(y)
                };
                let content = y.and_then(|y| cell.get(y)).map_or("", String::as_str);
                text.push(' ');
                text.push_str(&aligned(content, column));
                text.push(' ');
                text.push(border);
            }
            lines.push(text);
        }
        lines
    }
}

/// The text in exactly the width of the column, cut with `…` when it is longer.
fn aligned(text: &str, column: &Column) -> String {
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
    match column.alignment {
        Alignment::Left => pad(0, &text, free),
        Alignment::Right => pad(free, &text, 0),
        Alignment::Center => pad(free / 2, &text, free - free / 2),
    }
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
