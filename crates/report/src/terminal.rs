//! Answers for a terminal.

use crate::inline::plain;
use crate::{Align, Answer, Block, NoteKind, Table, wrap};

const BOLD: &str = "1";
const HEADING: &str = "1;36";
const DIM: &str = "2";
const GOOD: &str = "1;32";
const BAD: &str = "1;31";
const CAREFUL: &str = "1;33";

/// The narrowest width that is respected; below it, lines are as wide as this.
const MIN_WIDTH: usize = 20;

/// The answer in lines of at most `width` columns (at least 20).
pub(crate) fn render(answer: &Answer, width: usize, color: bool) -> String {
    let mut out = Writer {
        out: String::new(),
        width: width.max(MIN_WIDTH),
        color,
    };
    let title = format!("Exercise {}: {}", answer.exercise, plain(&answer.title));
    out.lines(&title, 0, HEADING);
    let underline = wrap::wrap(&title, out.width)
        .iter()
        .map(|line| wrap::width(line))
        .max()
        .unwrap_or(0);
    out.line(&"═".repeat(underline), HEADING);
    if !answer.headline.is_empty() {
        out.lines(&plain(&answer.headline), 0, BOLD);
    }
    if let Some(error) = &answer.error {
        out.blank();
        out.callout("Failed", error, BAD);
    }
    out.blocks(&answer.blocks);
    if let Some(seconds) = answer.seconds() {
        out.blank();
        out.lines(&format!("({})", crate::format::seconds(seconds)), 0, DIM);
    }
    out.out
}

/// A table in lines of at most `width` columns; where the columns do not fit, a row becomes a list of `name: value`.
#[must_use]
pub fn table(table: &Table, width: usize, color: bool) -> String {
    let mut out = Writer {
        out: String::new(),
        width: width.max(1),
        color,
    };
    out.table(table);
    out.out.trim_end_matches('\n').to_owned()
}

struct Writer {
    out: String,
    width: usize,
    color: bool,
}

impl Writer {
    /// One line that is known to fit.
    fn line(&mut self, text: &str, style: &str) {
        let text = text.trim_end();
        if self.color && !style.is_empty() && !text.is_empty() {
            self.out.push_str(&format!("\u{1b}[{style}m{text}\u{1b}[0m"));
        } else {
            self.out.push_str(text);
        }
        self.out.push('\n');
    }

    fn blank(&mut self) {
        if !self.out.is_empty() && !self.out.ends_with("\n\n") {
            self.out.push('\n');
        }
    }

    fn lines(&mut self, text: &str, indent: usize, style: &str) {
        let gap = " ".repeat(indent);
        for line in wrap::wrap(text, self.width.saturating_sub(indent)) {
            self.line(&format!("{gap}{line}"), style);
        }
    }

    /// Text behind a first word; the following lines are indented as far.
    fn hanging(&mut self, first: &str, text: &str) {
        let indent = wrap::width(first);
        for (index, line) in wrap::wrap(text, self.width.saturating_sub(indent)).iter().enumerate() {
            let start = if index == 0 {
                first.to_owned()
            } else {
                " ".repeat(indent)
            };
            self.line(&format!("{start}{line}"), "");
        }
    }

    /// Lines that keep their spaces; indented if that leaves them whole.
    fn preformatted(&mut self, text: &str, indent: usize) {
        let widest = text.lines().map(wrap::width).max().unwrap_or(0);
        let indent = if widest + indent <= self.width { indent } else { 0 };
        for line in text.lines() {
            for piece in wrap::pieces(line, self.width - indent) {
                self.line(&format!("{}{piece}", " ".repeat(indent)), "");
            }
        }
    }

    fn callout(&mut self, label: &str, text: &str, style: &str) {
        let text = format!("{label}: {}", plain(text));
        for (index, line) in wrap::wrap(&text, self.width - 2).iter().enumerate() {
            match line.strip_prefix(label).filter(|_| index == 0 && self.color) {
                Some(rest) => self.line(&format!("\u{1b}[{style}m│ {label}\u{1b}[0m{rest}"), ""),
                None if self.color => self.line(&format!("\u{1b}[{style}m│\u{1b}[0m {line}"), ""),
                None => self.line(&format!("│ {line}"), ""),
            }
        }
    }

    fn blocks(&mut self, blocks: &[Block]) {
        for block in blocks {
            self.blank();
            self.block(block);
        }
    }

    fn block(&mut self, block: &Block) {
        match block {
            Block::Heading { level, text } => {
                let text = plain(text);
                self.lines(&text, 0, if *level <= 1 { HEADING } else { BOLD });
                if *level <= 1 {
                    let lines = wrap::wrap(&text, self.width);
                    let underline = lines.iter().map(|line| wrap::width(line)).max().unwrap_or(0);
                    self.line(&"─".repeat(underline), HEADING);
                }
            }
            Block::Text { text } => self.lines(&plain(text), 0, ""),
            Block::List { ordered, items } => {
                for (index, item) in items.iter().enumerate() {
                    let first = if *ordered {
                        format!("{:>2}. ", index + 1)
                    } else {
                        "  • ".to_owned()
                    };
                    self.hanging(&first, &plain(item));
                }
            }
            Block::Formula { unicode, .. } => self.preformatted(unicode, 4),
            Block::Code { text } => self.preformatted(text, 2),
            Block::Table { table } => self.table(table),
            Block::Figure { figure } => {
                if let Some(terminal) = &figure.terminal {
                    for line in terminal.lines() {
                        let line = wrap::cut(line, self.width);
                        self.line(&line, "");
                    }
                    self.lines(&plain(&figure.caption), 0, DIM);
                } else {
                    self.lines(&format!("{} (figure in the report)", plain(&figure.caption)), 0, DIM);
                }
            }
            Block::Interactive { interactive } => {
                let caption = plain(&interactive.caption);
                self.lines(&format!("{caption} (to be moved in the report)"), 0, DIM);
            }
            Block::Note { kind, text } => {
                let style = match kind {
                    NoteKind::Note => BOLD,
                    NoteKind::Warning => CAREFUL,
                    NoteKind::Result => GOOD,
                };
                self.callout(kind.label(), text, style);
            }
            Block::Details { title, blocks } => {
                self.lines(&format!("▾ {}", plain(title)), 0, BOLD);
                self.blocks(blocks);
            }
        }
    }

    fn table(&mut self, table: &Table) {
        if !table.title.is_empty() {
            self.lines(&plain(&table.title), 0, BOLD);
        }
        let columns = table.columns();
        if columns > 0 {
            let cell = |row: &[String], column: usize| row.get(column).map_or_else(String::new, |cell| plain(cell));
            let header: Vec<String> = (0..columns).map(|column| cell(&table.header, column)).collect();
            let rows: Vec<Vec<String>> = table
                .rows
                .iter()
                .map(|row| (0..columns).map(|column| cell(row, column)).collect())
                .collect();
            match column_widths(&header, &rows, self.width) {
                Some(widths) => self.grid(table, &header, &rows, &widths),
                None => self.records(&header, &rows),
            }
        }
        for note in &table.notes {
            self.lines(&plain(note), 0, DIM);
        }
    }

    fn grid(&mut self, table: &Table, header: &[String], rows: &[Vec<String>], widths: &[usize]) {
        let rule = |left: char, cross: &str, right: char| {
            let parts: Vec<_> = widths.iter().map(|width| "─".repeat(width + 2)).collect();
            format!("{left}{}{right}", parts.join(cross))
        };
        self.line(&rule('┌', "┬", '┐'), "");
        let mut groups: Vec<(&[String], bool)> = Vec::new();
        if header.iter().any(|name| !name.is_empty()) {
            groups.push((header, true));
        }
        groups.extend(rows.iter().map(|row| (row.as_slice(), false)));
        for (index, (row, is_header)) in groups.iter().enumerate() {
            let cells: Vec<Vec<String>> = row
                .iter()
                .zip(widths)
                .map(|(cell, width)| wrap::wrap(cell, *width))
                .collect();
            for line in 0..cells.iter().map(Vec::len).max().unwrap_or(0) {
                let parts: Vec<_> = (0..widths.len())
                    .map(|column| {
                        let text = cells[column].get(line).map_or("", String::as_str);
                        let text = aligned(text, widths[column], table.alignment(column));
                        match (*is_header && self.color, text.trim().is_empty()) {
                            (true, false) => format!("\u{1b}[{BOLD}m{text}\u{1b}[0m"),
                            _ => text,
                        }
                    })
                    .collect();
                self.line(&format!("│ {} │", parts.join(" │ ")), "");
            }
            if *is_header && index + 1 < groups.len() {
                self.line(&rule('├', "┼", '┤'), "");
            }
        }
        self.line(&rule('└', "┴", '┘'), "");
    }

    fn records(&mut self, header: &[String], rows: &[Vec<String>]) {
        for (index, row) in rows.iter().enumerate() {
            if index > 0 {
                self.line("─", DIM);
            }
            for (name, cell) in header.iter().zip(row).filter(|(_, cell)| !cell.is_empty()) {
                let text = if name.is_empty() {
                    cell.clone()
                } else {
                    format!("{name}: {cell}")
                };
                self.lines(&text, 0, "");
            }
        }
    }
}

fn aligned(text: &str, width: usize, align: Align) -> String {
    let room = width.saturating_sub(wrap::width(text));
    let left = match align {
        Align::Left => 0,
        Align::Right => room,
        Align::Center => room / 2,
    };
    format!("{}{text}{}", " ".repeat(left), " ".repeat(room - left))
}

/// Each column's width: as wide as its cells if all fit, else the widest are narrowed, never below their longest word
/// (at most 16 columns of it). `None` if that does not fit either.
fn column_widths(header: &[String], rows: &[Vec<String>], width: usize) -> Option<Vec<usize>> {
    let columns = header.len();
    let room = width.checked_sub(3 * columns + 1)?;
    let cells = |column: usize| rows.iter().map(move |row| &row[column]).chain([&header[column]]);
    let lines = |column: usize| cells(column).flat_map(|cell| cell.split('\n'));
    let mut widths: Vec<usize> = (0..columns)
        .map(|column| lines(column).map(wrap::width).max().unwrap_or(0).max(1))
        .collect();
    let floors: Vec<usize> = (0..columns)
        .map(|column| {
            cells(column)
                .flat_map(|cell| cell.split(' '))
                .map(wrap::width)
                .max()
                .unwrap_or(1)
                .clamp(1, 16)
        })
        .collect();
    if floors.iter().sum::<usize>() > room {
        return None;
    }
    while widths.iter().sum::<usize>() > room {
        // The widest column that can still give.
        let widest = (0..columns)
            .filter(|column| widths[*column] > floors[*column])
            .max_by_key(|column| widths[*column])?;
        widths[widest] -= 1;
    }
    Some(widths)
}
