//! The document model: an [`Answer`] is a list of [`Block`]s that both renderers understand.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::figure::{Figure, Interactive};
use crate::table::Table;

/// One exercise's answer: what to read, and the numbers behind it.
///
/// Text (paragraphs, headings, list items, cells, captions, notes) may hold `` `code` ``, `*emphasis*`, `**strong**` and
/// `$latex$`; see [`crate::inline`]. The builder methods take and return `&mut Self`.
///
/// ```
/// use report::{Answer, Table};
///
/// let mut answer = Answer::new(2, "Sizes and parameters of a model");
/// answer
///     .headline("2,056 parameters, 8.03 KB in float32")
///     .text("The first layer has $1024 \\cdot 2$ weights and 2 biases.")
///     .formula(r"(1024 + 1) \cdot 2 = 2050", "(1024 + 1) × 2 = 2,050")
///     .table(Table::new("Parameters").header(["layer", "count"]).row(["H01", "2,050"]).row(["H02", "6"]))
///     .number("parameters", 2056);
/// assert!(answer.to_terminal(60, false).contains("(1024 + 1) × 2 = 2,050"));
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The number on the exercise sheet.
    pub exercise: u8,
    /// The exercise's title.
    pub title: String,
    /// The answer in one sentence, for the table at the top of the page.
    pub headline: String,
    /// What to read, in order.
    pub blocks: Vec<Block>,
    /// Every number of the answer that the same seed must reproduce; an object by default.
    pub numbers: Value,
    /// What the run was asked to do (seed, data, model); an object by default.
    pub settings: Value,
    /// How long things took; never compared between runs. `timings["seconds"]` is the whole exercise.
    pub timings: Value,
    /// Why the exercise failed, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Answer {
    /// An answer without blocks.
    #[must_use]
    pub fn new(exercise: u8, title: impl Into<String>) -> Self {
        Self {
            exercise,
            title: title.into(),
            headline: String::new(),
            blocks: Vec::new(),
            numbers: Value::Object(Map::new()),
            settings: Value::Object(Map::new()),
            timings: Value::Object(Map::new()),
            error: None,
        }
    }

    /// The place of an answer that could not be given: `error` says why.
    #[must_use]
    pub fn failed(exercise: u8, title: impl Into<String>, error: impl Into<String>) -> Self {
        Self {
            error: Some(error.into()),
            ..Self::new(exercise, title)
        }
    }

    /// Whether the exercise was answered.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.error.is_none()
    }

    /// Sets the one-sentence answer.
    pub fn headline(&mut self, text: impl Into<String>) -> &mut Self {
        self.headline = text.into();
        self
    }

    /// Appends a block.
    pub fn push(&mut self, block: Block) -> &mut Self {
        self.blocks.push(block);
        self
    }

    /// Appends blocks that were built elsewhere.
    pub fn extend(&mut self, blocks: impl IntoIterator<Item = Block>) -> &mut Self {
        self.blocks.extend(blocks);
        self
    }

    /// Appends a heading.
    pub fn heading(&mut self, text: impl Into<String>) -> &mut Self {
        self.push(Block::heading(text))
    }

    /// Appends a heading below [`Answer::heading`]'s level.
    pub fn subheading(&mut self, text: impl Into<String>) -> &mut Self {
        self.push(Block::subheading(text))
    }

    /// Appends a paragraph.
    pub fn text(&mut self, text: impl Into<String>) -> &mut Self {
        self.push(Block::text(text))
    }

    /// Appends a bulleted list.
    pub fn list<S: ToString>(&mut self, items: impl IntoIterator<Item = S>) -> &mut Self {
        self.push(Block::list(items))
    }

    /// Appends a numbered list of steps.
    pub fn steps<S: ToString>(&mut self, items: impl IntoIterator<Item = S>) -> &mut Self {
        self.push(Block::steps(items))
    }

    /// Appends a displayed formula: LaTeX for the page, Unicode (one line or several) for the terminal.
    pub fn formula(&mut self, latex: impl Into<String>, unicode: impl Into<String>) -> &mut Self {
        self.push(Block::formula(latex, unicode))
    }

    /// Appends a table; takes a [`Table`] or the `&mut Table` at the end of a chain of its methods.
    pub fn table(&mut self, table: impl Into<Table>) -> &mut Self {
        self.push(Block::table(table))
    }

    /// Appends a figure; every plot has a `figure(caption)` method that makes one.
    pub fn figure(&mut self, figure: Figure) -> &mut Self {
        self.push(Block::figure(figure))
    }

    /// Appends a figure that the reader can touch.
    pub fn interactive(&mut self, interactive: Interactive) -> &mut Self {
        self.push(Block::Interactive { interactive })
    }

    /// Appends text that keeps its spaces and lines, such as a program's output.
    pub fn code(&mut self, text: impl Into<String>) -> &mut Self {
        self.push(Block::code(text))
    }

    /// Appends a remark.
    pub fn note(&mut self, text: impl Into<String>) -> &mut Self {
        self.push(Block::note(NoteKind::Note, text))
    }

    /// Appends a warning: what the reader must not conclude.
    pub fn warning(&mut self, text: impl Into<String>) -> &mut Self {
        self.push(Block::note(NoteKind::Warning, text))
    }

    /// Appends a result: what the reader should take away.
    pub fn result(&mut self, text: impl Into<String>) -> &mut Self {
        self.push(Block::note(NoteKind::Result, text))
    }

    /// Appends blocks under a title that the page can fold away.
    pub fn details(&mut self, title: impl Into<String>, blocks: impl IntoIterator<Item = Block>) -> &mut Self {
        self.push(Block::details(title, blocks))
    }

    /// Records one reproducible number (or list, or object) under `key`; a number that is not finite becomes `null`.
    pub fn number(&mut self, key: impl Into<String>, value: impl Into<Value>) -> &mut Self {
        insert(&mut self.numbers, key.into(), value.into());
        self
    }

    /// Records one setting of the run.
    pub fn setting(&mut self, key: impl Into<String>, value: impl Into<Value>) -> &mut Self {
        insert(&mut self.settings, key.into(), value.into());
        self
    }

    /// Records how long a part took, in seconds.
    pub fn timing(&mut self, key: impl Into<String>, seconds: f64) -> &mut Self {
        insert(&mut self.timings, key.into(), seconds.into());
        self
    }

    /// The whole exercise's time, `timings["seconds"]`, where it was recorded.
    #[must_use]
    pub fn seconds(&self) -> Option<f64> {
        self.timings.get("seconds").and_then(Value::as_f64)
    }

    /// Its tables in order, also those that are folded away.
    #[must_use]
    pub fn tables(&self) -> Vec<&Table> {
        let blocks = flat(&self.blocks).into_iter();
        blocks
            .filter_map(|block| match block {
                Block::Table { table } => Some(table),
                _ => None,
            })
            .collect()
    }

    /// Its figures in order, also those that are folded away; without those that the reader can touch.
    #[must_use]
    pub fn figures(&self) -> Vec<&Figure> {
        let blocks = flat(&self.blocks).into_iter();
        blocks
            .filter_map(|block| match block {
                Block::Figure { figure } => Some(figure),
                _ => None,
            })
            .collect()
    }

    /// The answer as text for a terminal of `width` columns; no line is wider. ANSI colours only if `color`.
    #[must_use]
    pub fn to_terminal(&self, width: usize, color: bool) -> String {
        crate::terminal::render(self, width, color)
    }
}

/// The blocks with those inside of them.
fn flat(blocks: &[Block]) -> Vec<&Block> {
    let mut all = Vec::new();
    for block in blocks {
        match block {
            Block::Details { blocks, .. } => all.extend(flat(blocks)),
            block => all.push(block),
        }
    }
    all
}

fn insert(target: &mut Value, key: String, value: Value) {
    if !target.is_object() {
        // A caller may have replaced the object by a list; keep that under a name instead of losing it.
        let previous = std::mem::replace(target, Value::Object(Map::new()));
        if !previous.is_null() {
            insert(target, "values".to_owned(), previous);
        }
    }
    if let Value::Object(map) = target {
        map.insert(key, value);
    }
}

/// One piece of an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "block", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Block {
    /// A heading; level 1 is a part of the answer, level 2 a part of that.
    Heading {
        /// 1 or 2.
        level: u8,
        /// Its text.
        text: String,
    },
    /// A paragraph.
    Text {
        /// Its text.
        text: String,
    },
    /// A list.
    List {
        /// Whether the items are numbered.
        ordered: bool,
        /// Their texts.
        items: Vec<String>,
    },
    /// A displayed formula.
    Formula {
        /// For the page.
        latex: String,
        /// For the terminal; may have several lines.
        unicode: String,
    },
    /// A table.
    Table {
        /// The table.
        table: Table,
    },
    /// A figure.
    Figure {
        /// The figure.
        figure: Figure,
    },
    /// A figure that the reader can touch.
    Interactive {
        /// The figure.
        interactive: Interactive,
    },
    /// Preformatted text.
    Code {
        /// The text, shown as it is.
        text: String,
    },
    /// A call-out.
    Note {
        /// What sort of call-out.
        kind: NoteKind,
        /// Its text.
        text: String,
    },
    /// Blocks that can be folded away.
    Details {
        /// What they hold.
        title: String,
        /// The blocks.
        blocks: Vec<Block>,
    },
}

/// The sorts of call-out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoteKind {
    /// A remark.
    Note,
    /// What the reader must not conclude.
    Warning,
    /// What the reader should take away.
    Result,
}

impl NoteKind {
    /// The word that stands in front of it.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Note => "Note",
            Self::Warning => "Caution",
            Self::Result => "Result",
        }
    }
}

impl Block {
    /// A heading of level 1.
    #[must_use]
    pub fn heading(text: impl Into<String>) -> Self {
        Self::Heading {
            level: 1,
            text: text.into(),
        }
    }

    /// A heading of level 2.
    #[must_use]
    pub fn subheading(text: impl Into<String>) -> Self {
        Self::Heading {
            level: 2,
            text: text.into(),
        }
    }

    /// A paragraph.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text { text: text.into() }
    }

    /// A bulleted list.
    #[must_use]
    pub fn list<S: ToString>(items: impl IntoIterator<Item = S>) -> Self {
        Self::List {
            ordered: false,
            items: items.into_iter().map(|item| item.to_string()).collect(),
        }
    }

    /// A numbered list.
    #[must_use]
    pub fn steps<S: ToString>(items: impl IntoIterator<Item = S>) -> Self {
        Self::List {
            ordered: true,
            items: items.into_iter().map(|item| item.to_string()).collect(),
        }
    }

    /// A displayed formula.
    #[must_use]
    pub fn formula(latex: impl Into<String>, unicode: impl Into<String>) -> Self {
        Self::Formula {
            latex: latex.into(),
            unicode: unicode.into(),
        }
    }

    /// A table.
    #[must_use]
    pub fn table(table: impl Into<Table>) -> Self {
        Self::Table { table: table.into() }
    }

    /// A figure.
    #[must_use]
    pub fn figure(figure: Figure) -> Self {
        Self::Figure { figure }
    }

    /// Preformatted text.
    #[must_use]
    pub fn code(text: impl Into<String>) -> Self {
        Self::Code { text: text.into() }
    }

    /// A call-out.
    #[must_use]
    pub fn note(kind: NoteKind, text: impl Into<String>) -> Self {
        Self::Note {
            kind,
            text: text.into(),
        }
    }

    /// Blocks that can be folded away.
    #[must_use]
    pub fn details(title: impl Into<String>, blocks: impl IntoIterator<Item = Block>) -> Self {
        Self::Details {
            title: title.into(),
            blocks: blocks.into_iter().collect(),
        }
    }
}
