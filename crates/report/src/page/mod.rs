//! The page: every answer in one HTML file that needs nothing else.

pub(crate) mod assets;
mod blocks;
mod overview;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use self::blocks::{Writer, inline};
use crate::inline::plain;
use crate::interactive::Embedded;
use crate::{Answer, Result};

/// One self-contained HTML page of answers: a start page with all of them at a glance, then a tab for each.
///
/// Formulas are MathML, figures SVG; light or dark as the reader's system or as a switch says, printable, readable on a telephone.
/// Marks of figures tell their values, legends show and hide series, tables sort by their columns, all by mouse and by keyboard.
/// Without JavaScript everything is there, one answer below the other. The page makes no request and runs no script but its own and
/// those of its [`Interactive`](crate::Interactive) figures (its Content-Security-Policy lists them by their hashes and forbids others).
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
        let scripts: Vec<&str> = assets::SCRIPTS.into_iter().chain(embedded.scripts).collect();
        let markup = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta http-equiv="Content-Security-Policy" content=(assets::policy(&scripts));
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { (plain(&self.title)) }
                    link rel="icon" href="data:,";
                    style { (PreEscaped(assets::style())) }
                    @for style in &embedded.styles { style { (PreEscaped(style)) } }
                }
                body {
                    a class="skip" href="#answers" { "Skip to the answers" }
                    header class="page-head" {
                        h1 { (inline(&self.title, "title")?) }
                        @if !self.subtitle.is_empty() { p class="subtitle" { (inline(&self.subtitle, "subtitle")?) } }
                        button type="button" class="theme" aria-pressed="false" hidden { "Dark" }
                    }
                    nav class="sections" aria-label="Sections" {
                        ul class="tabs" {
                            li { a href="#overview" id="tab-overview" { "Start" } }
                            @for (answer, anchor) in self.answers.iter().zip(&anchors) {
                                li { a href={ "#" (anchor) } id={ "tab-" (anchor) } title=(plain(&answer.title)) aria-label=(format!("{} {}", answer.exercise, plain(&answer.title))) { b { (answer.exercise) } span class="nav-title" { " " (plain(&answer.title)) } } }
                            }
                        }
                    }
                    main id="answers" {
                        (overview::overview(&self.answers, &anchors)?)
                        @for section in &sections { (section) }
                    }
                    @for script in &scripts { script { (PreEscaped(script)) } }
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
}

fn section(answer: &Answer, anchor: &str) -> Result<Markup> {
    let mut writer = Writer::new(answer.exercise, anchor);
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
            @if writer.parts.len() > 1 {
                ul class="parts" aria-label="Parts of this answer" {
                    @for (id, text) in &writer.parts { li { a href={ "#" (id) } { (text) } } }
                }
            }
            (blocks)
            @for (title, text) in &records {
                @if let Some(text) = text { details class="record" { summary { (title) } pre tabindex="0" { code { (text) } } } }
            }
            p class="back" { a href="#overview" { "↑ all exercises" } }
        }
    })
}
