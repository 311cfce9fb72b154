//! The page: every answer in one HTML file that needs nothing else.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::inline::{Span, parse, plain};
use crate::interactive::Embedded;
use crate::{Align, Answer, Block, Figure, Interactive, Result, Table, format, latex};

const STYLE: &str = include_str!("page.css");
/// Nothing is loaded: styles are in the page, pictures are `data:` addresses; only the scripts of interactive figures run.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'";

/// One self-contained HTML page of answers: a table of all at the top, then a section for each.
///
/// Formulas are MathML, figures SVG; light or dark as the reader's system, printable, readable on a telephone. The page
/// makes no request and runs no script but those of its [`Interactive`] figures (its Content-Security-Policy forbids others).
///
/// ```
/// use report::{Answer, Page};
///
/// let mut page = Page::new("Exercises", "digits, seed 6020");
/// page.answer(&Answer::failed(4, "Model persistence", "cannot write model.safetensors: the disk is full"));
/// let html = page.to_html()?;
/// assert!(html.contains("the disk is full"));
/// # Ok::<(), report::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Page {
    title: String,
    subtitle: String,
    answers: Vec<Answer>,
}

impl Page {
    /// A page without answers.
    #[must_use]
    pub fn new(title: impl Into<String>, subtitle: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            subtitle: subtitle.into(),
            answers: Vec::new(),
        }
    }

    /// Appends an answer; one that failed ([`Answer::failed`]) appears with its error.
    pub fn answer(&mut self, answer: &Answer) -> &mut Self {
        self.answers.push(answer.clone());
        self
    }

    /// The page as HTML.
    ///
    /// # Errors
    /// [`crate::Error::Latex`] if a formula cannot be converted; it names the exercise and the fragment.
    pub fn to_html(&self) -> Result<String> {
        let anchors = self.anchors();
        let sections = self
            .answers
            .iter()
            .zip(&anchors)
            .map(|(answer, anchor)| section(answer, anchor));
        let sections = sections.collect::<Result<Vec<_>>>()?;
        let embedded = Embedded::of(&self.answers)?;
        let policy = match embedded.sources() {
            sources if sources.is_empty() => POLICY.to_owned(),
            sources => format!("{POLICY}; script-src {sources}"),
        };
        let markup = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta http-equiv="Content-Security-Policy" content=(policy);
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { (plain(&self.title)) }
                    link rel="icon" href="data:,";
                    style { (PreEscaped(STYLE)) }
                    @for style in &embedded.styles { style { (PreEscaped(style)) } }
                }
                body {
                    a class="skip" href="#answers" { "Skip to the answers" }
                    header class="page-head" {
                        h1 { (inline(&self.title, "title")?) }
                        @if !self.subtitle.is_empty() { p class="subtitle" { (inline(&self.subtitle, "subtitle")?) } }
                    }
                    nav aria-label="Exercises" {
                        ul {
                            @for (answer, anchor) in self.answers.iter().zip(&anchors) {
                                li { a href={ "#" (anchor) } title=(plain(&answer.title)) { (answer.exercise) span class="nav-title" { " " (plain(&answer.title)) } } }
                            }
                        }
                    }
                    main id="answers" {
                        (self.overview(&anchors)?)
                        @for section in &sections { (section) }
                    }
                    @for script in &embedded.scripts { script { (PreEscaped(script)) } }
                }
            }
        };
        Ok(markup.into_string())
    }

    /// One anchor an answer; the same exercise may be answered twice (on two data sets).
    fn anchors(&self) -> Vec<String> {
        let name = |index: usize| {
            let exercise = self.answers[index].exercise;
            match self.answers[..index]
                .iter()
                .filter(|other| other.exercise == exercise)
                .count()
            {
                0 => format!("exercise-{exercise}"),
                earlier => format!("exercise-{exercise}-{}", earlier + 1),
            }
        };
        (0..self.answers.len()).map(name).collect()
    }

    fn overview(&self, anchors: &[String]) -> Result<Markup> {
        let total: f64 = self.answers.iter().filter_map(Answer::seconds).sum();
        let failed = self.answers.iter().filter(|answer| !answer.is_ok()).count();
        Ok(html! {
            section class="overview" aria-labelledby="overview" {
                h2 id="overview" { "At a glance" }
                div class="scroll" tabindex="0" role="region" aria-label="All exercises" {
                    table {
                        thead { tr { th scope="col" { "Exercise" } th scope="col" { "Answer" } th scope="col" class="right" { "Time" } th scope="col" { "Status" } } }
                        tbody {
                            @for (answer, anchor) in self.answers.iter().zip(anchors) {
                                tr {
                                    th scope="row" { a href={ "#" (anchor) } { (answer.exercise) " · " (plain(&answer.title)) } }
                                    td { @if let Some(error) = &answer.error { (error) } @else { (inline(&answer.headline, &format!("exercise {}, headline", answer.exercise))?) } }
                                    td class="right nowrap" { (answer.seconds().map_or_else(|| format::MISSING.to_owned(), format::seconds)) }
                                    td class="nowrap" { (status(answer)) }
                                }
                            }
                        }
                        @if self.answers.len() > 1 {
                            tfoot { tr {
                                th scope="row" { "All" }
                                td { (self.answers.len() - failed) " of " (self.answers.len()) " answered" }
                                td class="right nowrap" { (format::seconds(total)) }
                                td {}
                            } }
                        }
                    }
                }
            }
        })
    }
}

fn status(answer: &Answer) -> Markup {
    html! { @if answer.is_ok() { span class="ok" { "✓ ok" } } @else { span class="failed" { "✗ failed" } } }
}

fn section(answer: &Answer, anchor: &str) -> Result<Markup> {
    let place = format!("exercise {}", answer.exercise);
    let mut writer = Writer {
        place,
        anchor,
        headings: 0,
    };
    let blocks = writer.blocks(&answer.blocks)?;
    let heading = format!("{anchor}-title");
    let record = |value: &serde_json::Value| match value {
        serde_json::Value::Object(map) if map.is_empty() => None,
        serde_json::Value::Null => None,
        value => serde_json::to_string_pretty(value).ok(),
    };
    let records = [
        ("Settings", record(&answer.settings)),
        ("Numbers", record(&answer.numbers)),
        ("Timings (seconds)", record(&answer.timings)),
    ];
    Ok(html! {
        section class="answer" id=(anchor) aria-labelledby=(heading) {
            header {
                p class="kicker" { "Exercise " (answer.exercise) }
                h2 id=(heading) { (writer.inline(&answer.title)?) }
                @if !answer.headline.is_empty() { p class="headline" { (writer.inline(&answer.headline)?) } }
            }
            @if let Some(error) = &answer.error {
                div class="note error" role="alert" { p { strong { "Failed. " } (error) } }
            }
            (blocks)
            @for (title, text) in &records {
                @if let Some(text) = text { details class="record" { summary { (title) } pre tabindex="0" { code { (text) } } } }
            }
            p class="back" { a href="#overview" { "↑ all exercises" } }
        }
    })
}

struct Writer<'a> {
    place: String,
    anchor: &'a str,
    headings: usize,
}

impl Writer<'_> {
    fn inline(&self, text: &str) -> Result<Markup> {
        inline(text, &self.place)
    }

    fn blocks(&mut self, blocks: &[Block]) -> Result<Markup> {
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
                html! { div class="formula scroll" tabindex="0" role="region" aria-label="Formula" { (PreEscaped(math)) } }
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
                html! { details { summary { (title) } div class="folded" { (self.blocks(blocks)?) } } }
            }
        })
    }

    fn figure(&self, figure: &Figure) -> Result<Markup> {
        Ok(html! {
            figure {
                div class="scroll drawing" tabindex="0" role="region" aria-label="Figure" { (PreEscaped(&figure.svg)) }
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
                div class="scroll" tabindex="0" role="region" aria-label=(name) {
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

/// Text with its marks as HTML.
fn inline(text: &str, place: &str) -> Result<Markup> {
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
