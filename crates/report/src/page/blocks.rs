//! The blocks of an answer as HTML.

use maud::{Markup, PreEscaped, html};

use crate::inline::{Span, parse, plain};
use crate::{Align, Block, Figure, Interactive, Result, Table, latex};

/// Writes the blocks of one answer and remembers its parts.
pub(super) struct Writer<'a> {
    place: String,
    anchor: &'a str,
    headings: usize,
    /// How deep the blocks are folded away.
    depth: usize,
    /// The anchors and texts of the headings that are not folded away.
    pub(super) parts: Vec<(String, Markup)>,
}

impl<'a> Writer<'a> {
    pub(super) fn new(exercise: u8, anchor: &'a str) -> Self {
        Self {
            place: format!("exercise {exercise}"),
            anchor,
            headings: 0,
            depth: 0,
            parts: Vec::new(),
        }
    }

    pub(super) fn inline(&self, text: &str) -> Result<Markup> {
        inline(text, &self.place)
    }

    pub(super) fn blocks(&mut self, blocks: &[Block]) -> Result<Markup> {
        let blocks = blocks
            .iter()
            .map(|block| self.block(block))
            .collect::<Result<Vec<_>>>()?;
        Ok(html! { @for block in &blocks { (block) } })
    }

    fn block(&mut self, block: &Block) -> Result<Markup> {
        Ok(match block {
            Block::Heading { level, text } => {
                self.headings += 1;
                let id = format!("{}-part-{}", self.anchor, self.headings);
                let text = self.inline(text)?;
                if *level <= 1 && self.depth == 0 {
                    self.parts.push((id.clone(), text.clone()));
                }
                html! { @if *level <= 1 { h3 id=(id) { (text) } } @else { h4 id=(id) { (text) } } }
            }
            Block::Text { text } => html! { p { (self.inline(text)?) } },
            Block::List { ordered, items } => {
                let items = items.iter().map(|item| self.inline(item)).collect::<Result<Vec<_>>>()?;
                let items = html! { @for item in &items { li { (item) } } };
                html! { @if *ordered { ol { (items) } } @else { ul { (items) } } }
            }
            Block::Formula { latex: source, .. } => {
                let math = latex::to_mathml(source, true, &format!("{}, formula", self.place))?;
                let fit = paper_fit(&math).map(|fit| format!("--fit:{fit:.2}"));
                html! { div class="formula scroll" tabindex="0" role="group" aria-label="Formula" style=[fit] { (PreEscaped(math)) } }
            }
            Block::Code { text } => html! { pre tabindex="0" { code { (text) } } },
            Block::Table { table } => self.table(table)?,
            Block::Figure { figure } => self.figure(figure)?,
            Block::Interactive { interactive } => self.interactive(interactive)?,
            Block::Note { kind, text } => {
                let class = kind.label().to_lowercase();
                html! { div class={ "note " (class) } { p { strong { (kind.label()) ". " } (self.inline(text)?) } } }
            }
            Block::Details { title, blocks } => {
                let title = self.inline(title)?;
                self.depth += 1;
                let inside = self.blocks(blocks)?;
                self.depth -= 1;
                html! { details { summary { (title) } div class="folded" { (inside) } } }
            }
        })
    }

    fn figure(&self, figure: &Figure) -> Result<Markup> {
        Ok(html! {
            figure {
                div class="scroll drawing" tabindex="0" role="group" aria-label=(figure_name(figure)) { (PreEscaped(&figure.svg)) }
                figcaption { (self.inline(&figure.caption)?) }
            }
        })
    }

    fn interactive(&self, interactive: &Interactive) -> Result<Markup> {
        Ok(html! {
            figure class="interactive" {
                (PreEscaped(&interactive.markup))
                figcaption { (self.inline(&interactive.caption)?) }
            }
        })
    }

    fn table(&self, table: &Table) -> Result<Markup> {
        let class = |column: usize| match table.alignment(column) {
            Align::Left => None,
            Align::Right => Some("right"),
            Align::Center => Some("center"),
        };
        let columns = table.columns();
        let cells = |row: &[String]| -> Result<Vec<Markup>> {
            (0..columns)
                .map(|column| self.inline(row.get(column).map_or("", String::as_str)))
                .collect()
        };
        let header = cells(&table.header)?;
        let rows = table.rows.iter().map(|row| cells(row)).collect::<Result<Vec<_>>>()?;
        let notes = table
            .notes
            .iter()
            .map(|note| self.inline(note))
            .collect::<Result<Vec<_>>>()?;
        let name = if table.title.is_empty() {
            "Table".to_owned()
        } else {
            plain(&table.title)
        };
        Ok(html! {
            div class="table" {
                div class="scroll" tabindex="0" role="group" aria-label=(name) {
                    table {
                        @if !table.title.is_empty() { caption { (self.inline(&table.title)?) } }
                        @if !table.header.is_empty() {
                            thead { tr { @for (column, cell) in header.iter().enumerate() {
                                @if table.header.get(column).is_none_or(String::is_empty) { td class=[class(column)] {} }
                                @else { th scope="col" class=[class(column)] { (cell) } }
                            } } }
                        }
                        tbody { @for row in &rows {
                            tr { @for (column, cell) in row.iter().enumerate() { td class=[class(column)] { (cell) } } }
                        } }
                    }
                }
                @for note in &notes { p class="table-note" { (note) } }
            }
        })
    }
}

/// What a figure is called: its title, else what its caption says.
fn figure_name(figure: &Figure) -> String {
    match (figure.title.as_str(), plain(&figure.caption)) {
        ("", caption) if caption.is_empty() => "Figure".to_owned(),
        ("", caption) => format!("Figure: {caption}"),
        (title, _) => format!("Figure: {title}"),
    }
}

/// Text with its marks as HTML.
pub(super) fn inline(text: &str, place: &str) -> Result<Markup> {
    let mut spans = Vec::new();
    for span in parse(text) {
        spans.push(match span {
            Span::Plain(text) => html! { (text) },
            Span::Code(text) => html! { code { (text) } },
            Span::Emphasis(text) => html! { em { (inline(&text, place)?) } },
            Span::Strong(text) => html! { strong { (inline(&text, place)?) } },
            Span::Math(source) => PreEscaped(latex::to_mathml(&source, false, place)?),
        });
    }
    Ok(html! { @for span in &spans { (span) } })
}

/// Characters of a row of a formula that a sheet of paper has room for, as pages were measured: one takes up to 9 of 650 pixels.
const PAPER_CHARACTERS: f64 = 70.0;

/// How much smaller a formula is printed than it is shown, where its longest row has no room on paper. Nothing scrolls there, and a
/// browser makes a whole document smaller for the one formula that is too wide.
fn paper_fit(mathml: &str) -> Option<f64> {
    let length = |row: &str| {
        let texts = row
            .split('<')
            .map(|piece| piece.split_once('>').map_or(piece, |(_, text)| text));
        texts
            .flat_map(str::chars)
            .filter(|character| !character.is_whitespace())
            .count()
    };
    let longest = mathml.split("<mtr").map(length).max().unwrap_or(0) as f64;
    (longest > PAPER_CHARACTERS).then(|| (PAPER_CHARACTERS / longest).max(0.4))
}

#[cfg(test)]
mod tests {
    use super::paper_fit;

    #[test]
    fn only_long_rows_are_printed_smaller() {
        let row = |length: usize| format!("<mtr><mtd><mi>{}</mi></mtd></mtr>", "x".repeat(length));
        assert_eq!(paper_fit("<math><mi>x</mi></math>"), None);
        // Many short rows are not a long one.
        assert_eq!(paper_fit(&row(60).repeat(9)), None);
        assert_eq!(paper_fit(&(row(10) + &row(140))), Some(0.5));
        assert_eq!(paper_fit(&row(10_000)), Some(0.4));
    }
}
