//! `lab summary`: a network's layers, shapes and parameters, and where each number comes from.

use std::io::Write;

use anyhow::{Context as _, Result};
use nn_theory::{ModelSpec, PlotOptions, RowExplanation, SummaryOptions, with_separators};
use report::inline::escape;
use report::{Align, Table};
use serde_json::{Value, json};

use super::model;
use crate::cli::{SummaryArgs, SummaryStyle, conflicting_options};
use crate::context::terminal;

pub(crate) fn run(args: &SummaryArgs) -> Result<()> {
    check(args);
    let spec = model::find(&args.model)?.spec;
    let text = match (args.style, args.explain) {
        (SummaryStyle::Keras, explain) => {
            let mut text = spec.summary(&options(args))?;
            if explain {
                let (width, color) = terminal();
                for table in explanation(&spec) {
                    text += &format!("\n{}\n", report::terminal::table(&table, width, color));
                }
            }
            text
        }
        (SummaryStyle::Torchinfo, _) => spec.overview(args.batch_size.unwrap_or(1))?.torchinfo(),
        (SummaryStyle::Markdown, _) => spec.overview(args.batch_size.unwrap_or(1))?.markdown(),
        (SummaryStyle::Dot, _) => spec.plot(&plot_options(args))?.dot(),
        (SummaryStyle::Svg, _) => format!("{}\n", spec.plot(&plot_options(args))?.svg()?),
        (SummaryStyle::Json, false) => pretty(&serde_json::from_str(&spec.to_keras_json())?)?,
        (SummaryStyle::Json, true) => pretty(&explanation_as_json(&spec))?,
    };
    Ok(std::io::stdout().lock().write_all(text.as_bytes())?)
}

/// Refuses options that the style has no use for.
fn check(args: &SummaryArgs) {
    use SummaryStyle::{Dot, Json, Keras, Markdown, Svg, Torchinfo};
    let style = match args.style {
        Keras => "keras",
        Torchinfo => "torchinfo",
        Markdown => "markdown",
        Json => "json",
        Dot => "dot",
        Svg => "svg",
    };
    let drawn = matches!(args.style, Dot | Svg);
    let unused = [
        (args.line_length.is_some() && args.style != Keras, "--line-length"),
        (args.expand_nested && args.style != Keras && !drawn, "--expand-nested"),
        (args.show_trainable && args.style != Keras && !drawn, "--show-trainable"),
        (args.explain && !matches!(args.style, Keras | Json), "--explain"),
        (
            args.batch_size.is_some() && !matches!(args.style, Torchinfo | Markdown),
            "--batch-size",
        ),
    ];
    if let Some((_, option)) = unused.into_iter().find(|(unused, _)| *unused) {
        conflicting_options(
            "summary",
            &format!("{option} changes nothing in --style {style}; leave it out"),
        );
    }
}

/// The lecture's `plot_model(show_shapes=True, show_layer_activations=True)`.
fn plot_options(args: &SummaryArgs) -> PlotOptions {
    PlotOptions {
        expand_nested: args.expand_nested,
        show_trainable: args.show_trainable,
        ..PlotOptions::lecture()
    }
}

fn options(args: &SummaryArgs) -> SummaryOptions {
    SummaryOptions {
        line_length: args.line_length,
        expand_nested: args.expand_nested,
        show_trainable: args.show_trainable,
        ..SummaryOptions::default()
    }
}

fn pretty(value: &Value) -> Result<String> {
    let text = serde_json::to_string_pretty(value).context("the model cannot be written as JSON")?;
    Ok(format!("{text}\n"))
}

/// Every count as a formula; what the shapes mean; what the size in brackets says.
fn explanation(spec: &ModelSpec) -> [Table; 3] {
    let rows = spec.explain();
    let name = |row: &RowExplanation| format!("{}{} ({})", "  ".repeat(row.depth), escape(&row.layer), row.class);

    let mut counts = Table::new("Param # retraced");
    counts
        .header(["layer", "in names", "in figures", "multiply-adds"])
        .align([Align::Left, Align::Left, Align::Left, Align::Left]);
    for row in &rows {
        let symbols = if row.params == 0 { "–" } else { row.symbols.as_str() };
        counts.row([
            name(row),
            escape(symbols),
            escape(&row.formula),
            escape(&row.multiply_adds),
        ]);
    }
    let all = spec.counts();
    counts.note(format!(
        "Total {} = {} trainable + {} non-trainable.",
        with_separators(all.total),
        with_separators(all.trainable),
        with_separators(all.non_trainable)
    ));
    counts.note("Multiply-adds: multiplications, each with its addition, for one sample.");

    let mut meanings = Table::new("What they mean");
    meanings
        .header(["layer", "output shape", "weights"])
        .align([Align::Left, Align::Left, Align::Left]);
    for row in &rows {
        meanings.row([
            name(row),
            format!("{}. {}", escape(&row.output_shape), escape(&row.shape_meaning)),
            escape(&row.meaning),
        ]);
    }

    let format = spec.number_format();
    let mut size = Table::new("The number format");
    size.header(["parameters", "bytes", "deduction"])
        .align([Align::Right, Align::Right, Align::Left])
        .row([
            with_separators(format.parameters),
            with_separators(format.bytes),
            escape(&format.deduction),
        ]);
    [counts, meanings, size]
}

fn explanation_as_json(spec: &ModelSpec) -> Value {
    let counts = spec.counts();
    json!({
        "model": spec.name(),
        "rows": spec.explain(),
        "total": counts.total,
        "trainable": counts.trainable,
        "non_trainable": counts.non_trainable,
        "number_format": spec.number_format(),
    })
}
