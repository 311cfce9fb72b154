//! The start page: all answers at a glance.

use maud::{Markup, PreEscaped, html};

use super::blocks::inline;
use crate::inline::plain;
use crate::{Answer, Block, Figure, Result, format};

/// A card an answer, each with its headline and its first figure.
pub(super) fn overview(answers: &[Answer], anchors: &[String]) -> Result<Markup> {
    let cards = answers.iter().zip(anchors).map(|(answer, anchor)| card(answer, anchor));
    let cards = cards.collect::<Result<Vec<_>>>()?;
    let total: f64 = answers.iter().filter_map(Answer::seconds).sum();
    let answered = answers.iter().filter(|answer| answer.is_ok()).count();
    Ok(html! {
        section class="overview" id="overview" aria-labelledby="overview-title" {
            h2 id="overview-title" { "At a glance" }
            ul class="cards" { @for card in &cards { (card) } }
            @if answers.len() > 1 {
                p class="total" { (answered) " of " (answers.len()) " answered in " (format::seconds(total)) "." }
            }
        }
    })
}

fn card(answer: &Answer, anchor: &str) -> Result<Markup> {
    let place = format!("exercise {}, headline", answer.exercise);
    Ok(html! {
        li class="card" {
            p class="kicker" { "Exercise " (answer.exercise) }
            h3 { a href={ "#" (anchor) } { (plain(&answer.title)) } }
            p { @if let Some(error) = &answer.error { (error) } @else { (inline(&answer.headline, &place)?) } }
            @if let Some(figure) = first_figure(&answer.blocks) {
                div class="preview" aria-hidden="true" { (PreEscaped(without_names(&figure.svg))) }
            }
            p class="card-foot" {
                @if answer.is_ok() { span class="ok" { "✓ ok" } } @else { span class="failed" { "✗ failed" } }
                @if let Some(seconds) = answer.seconds() { " · " (format::seconds(seconds)) }
            }
        }
    })
}

/// A drawing that stands there a second time: names that others refer to stay with the first one.
fn without_names(svg: &str) -> String {
    svg.replace(" id=\"", " data-id=\"")
        .replace(" aria-labelledby=\"", " data-labelledby=\"")
}

fn first_figure(blocks: &[Block]) -> Option<&Figure> {
    blocks.iter().find_map(|block| match block {
        Block::Figure { figure } => Some(figure),
        _ => None,
    })
}
