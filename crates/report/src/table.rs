//! Tables: the data; [`crate::terminal`] and [`crate::Page`] draw them.

use serde::{Deserialize, Serialize};

/// Where a column's cells stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Align {
    /// At the left; for words.
    #[default]
    Left,
    /// At the right; for numbers.
    Right,
    /// In the middle; for marks.
    Center,
}

/// A titled table; rows may be shorter than the header (missing cells are empty).
///
/// The builder methods take and return `&mut Self`, and `Answer::table` takes the end of such a chain:
///
/// ```
/// use report::{Align, Table};
///
/// let mut table = Table::new("Accuracy by optimizer");
/// table.header(["optimizer", "accuracy"]).align([Align::Left, Align::Right]);
/// for (name, accuracy) in [("sgd", 0.91), ("adam", 0.96)] {
///     table.row([name.to_owned(), report::format::percent(accuracy, 1)]);
/// }
/// table.note("Mean over 5 seeds.");
/// assert_eq!(table.rows[1], ["adam", "96.0\u{a0}%"]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Table {
    /// What it shows; may be empty.
    pub title: String,
    /// The columns' names; may be empty.
    pub header: Vec<String>,
    /// The columns' alignment. Where it is not given, columns of numbers stand at the right.
    pub align: Vec<Align>,
    /// The cells.
    pub rows: Vec<Vec<String>>,
    /// Remarks below the table.
    pub notes: Vec<String>,
}

impl Table {
    /// An empty table.
    #[must_use]
    pub fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            ..Self::default()
        }
    }

    /// Sets the columns' names.
    pub fn header<S: ToString>(&mut self, names: impl IntoIterator<Item = S>) -> &mut Self {
        self.header = names.into_iter().map(|name| name.to_string()).collect();
        self
    }

    /// Sets the columns' alignment.
    pub fn align(&mut self, align: impl IntoIterator<Item = Align>) -> &mut Self {
        self.align = align.into_iter().collect();
        self
    }

    /// Appends a row.
    pub fn row<S: ToString>(&mut self, cells: impl IntoIterator<Item = S>) -> &mut Self {
        self.rows.push(cells.into_iter().map(|cell| cell.to_string()).collect());
        self
    }

    /// Appends a remark.
    pub fn note(&mut self, text: impl Into<String>) -> &mut Self {
        self.notes.push(text.into());
        self
    }

    /// The table in Markdown (the dialect of GitHub), its title in bold before it and its notes after it.
    ///
    /// ```
    /// use report::Table;
    ///
    /// let text = Table::new("Accuracy").header(["optimizer", "accuracy"]).row(["adam | w", "96 %"]).to_markdown();
    /// assert_eq!(text, "**Accuracy**\n\n| optimizer | accuracy |\n| :-- | --: |\n| adam \\| w | 96 % |\n");
    /// ```
    #[must_use]
    pub fn to_markdown(&self) -> String {
        let columns = self.columns();
        let line = |cells: &[String]| {
            let cell = |column: usize| cells.get(column).map_or("", String::as_str);
            let cells: Vec<String> = (0..columns)
                .map(|column| cell(column).replace('|', "\\|").replace('\n', " "))
                .collect();
            format!("| {} |\n", cells.join(" | "))
        };
        let mut text = String::new();
        if !self.title.is_empty() {
            text += &format!("**{}**\n\n", self.title);
        }
        text += &line(&self.header);
        let marks: Vec<String> = (0..columns)
            .map(|column| match self.alignment(column) {
                Align::Left => ":--".to_owned(),
                Align::Right => "--:".to_owned(),
                Align::Center => ":-:".to_owned(),
            })
            .collect();
        text += &line(&marks);
        self.rows.iter().for_each(|row| text += &line(row));
        for note in &self.notes {
            text += &format!("\n{note}\n");
        }
        text
    }

    /// How many columns the widest of header and rows has.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.rows
            .iter()
            .map(Vec::len)
            .chain([self.header.len()])
            .max()
            .unwrap_or(0)
    }

    /// The alignment of `column`: as given, else right if every non-empty cell looks like a number.
    #[must_use]
    pub fn alignment(&self, column: usize) -> Align {
        if let Some(align) = self.align.get(column) {
            return *align;
        }
        let mut cells = self
            .rows
            .iter()
            .filter_map(|row| row.get(column))
            .filter(|cell| !cell.is_empty())
            .peekable();
        if cells.peek().is_some() && cells.all(|cell| looks_like_a_number(cell)) {
            Align::Right
        } else {
            Align::Left
        }
    }
}

fn looks_like_a_number(cell: &str) -> bool {
    let cell = cell.trim_matches(['*', '$', '`']);
    let mut digits = false;
    let units = cell.trim_end_matches(|c: char| c.is_alphabetic() || "% ×µ".contains(c));
    for c in units.chars() {
        match c {
            '0'..='9' => digits = true,
            '.' | ',' | '-' | '−' | '+' | '±' | ' ' | '\u{a0}' | '\u{202f}' | 'e' | 'E' | '[' | ']' | '–' | '%' => {
            }
            _ => return false,
        }
    }
    digits || matches!(cell, "–" | "-" | "—" | "n/a" | "NaN" | "nan")
}

impl From<&mut Table> for Table {
    fn from(table: &mut Table) -> Self {
        table.clone()
    }
}

impl From<&Table> for Table {
    fn from(table: &Table) -> Self {
        table.clone()
    }
}
