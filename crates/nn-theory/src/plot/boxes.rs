//! The box of a layer: how large its rows are, and how they are drawn.

use super::{
    graph::Label,
    text::{escape, shortened, width},
};
use std::fmt::Write;

const TITLE: f64 = 16.0;
const TEXT: f64 = 14.0;
/// Room around a text.
const ROOM: f64 = 9.0;
/// Where a line of text stands below the top of its row, as a part of the row's height.
const BASE: f64 = 0.35;

/// A piece of text in one weight.
struct Run {
    text: String,
    bold: bool,
}

struct Cell {
    runs: Vec<Run>,
    fill: &'static str,
    ink: &'static str,
    width: f64,
}

struct Row {
    cells: Vec<Cell>,
    size: f64,
}

/// A measured box.
pub(super) struct Measured {
    rows: Vec<Row>,
    /// The whole title where it was shortened.
    tooltip: Option<String>,
    pub(super) width: f64,
    pub(super) height: f64,
}

fn run(text: &str, bold: bool) -> Run {
    Run {
        text: text.to_owned(),
        bold,
    }
}

fn cell(runs: Vec<Run>, size: f64, fill: &'static str, ink: &'static str) -> Cell {
    let text: f64 = runs.iter().map(|run| width(&run.text, size, run.bold)).sum();
    Cell {
        runs,
        fill,
        ink,
        width: text + 2.0 * ROOM,
    }
}

impl Row {
    fn height(&self) -> f64 {
        (self.size * 1.2 + 2.0 * ROOM).round()
    }

    fn width(&self) -> f64 {
        self.cells.iter().map(|cell| cell.width).sum()
    }
}

impl Measured {
    pub(super) fn of(label: &Label) -> Self {
        let mut rows = Vec::new();
        let title = match &label.name {
            Some(name) => vec![
                run(&shortened(name), true),
                run(&format!(" ({})", shortened(&label.class)), false),
            ],
            None => vec![run(&shortened(&label.class), true)],
        };
        let whole = label.name.as_ref().unwrap_or(&label.class);
        let tooltip = (shortened(whole) != *whole).then(|| whole.clone());
        rows.push(Row {
            cells: vec![cell(title, TITLE, "#000", "#fff")],
            size: TITLE,
        });
        if let Some(activation) = &label.activation {
            let runs = vec![run("Activation: ", false), run(&shortened(activation), true)];
            rows.push(Row {
                cells: vec![cell(runs, TEXT, "#fff", "#000")],
                size: TEXT,
            });
        }
        let mut cells: Vec<Cell> = label
            .cells
            .iter()
            .map(|(name, value)| {
                let runs = vec![run(&format!("{name}: "), false), run(&shortened(value), true)];
                cell(runs, TEXT, "#fff", "#000")
            })
            .collect();
        match label.trainable {
            Some(true) => cells.push(cell(vec![run("Trainable", true)], TEXT, "#228b22", "#fff")),
            Some(false) => cells.push(cell(vec![run("Non-trainable", true)], TEXT, "#b22222", "#fff")),
            None => {}
        }
        if !cells.is_empty() {
            rows.push(Row { cells, size: TEXT });
        }
        let width = rows.iter().map(Row::width).fold(0.0, f64::max).ceil();
        for row in &mut rows {
            // All rows are as wide as the widest one.
            let share = (width - row.width()) / row.cells.len() as f64;
            row.cells.iter_mut().for_each(|cell| cell.width += share);
        }
        let height = rows.iter().map(Row::height).sum();
        Self {
            rows,
            tooltip,
            width,
            height,
        }
    }

    /// Draws the box with its upper left corner at (x, y).
    pub(super) fn draw(&self, svg: &mut String, x: f64, y: f64) {
        // Writing to a String never fails.
        svg.push_str("<g>");
        if let Some(tooltip) = &self.tooltip {
            let _ = write!(svg, "<title>{}</title>", escape(tooltip));
        }
        let mut top = y;
        for row in &self.rows {
            let height = row.height();
            let mut left = x;
            for cell in &row.cells {
                let _ = write!(
                    svg,
                    "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{height:.1}\" fill=\"{}\" stroke=\"#000\"/>",
                    cell.width, cell.fill
                );
                let texts: Vec<f64> = cell
                    .runs
                    .iter()
                    .map(|run| width(&run.text, row.size, run.bold))
                    .collect();
                let mut at = left + (cell.width - texts.iter().sum::<f64>()) / 2.0;
                let base = top + height / 2.0 + BASE * row.size;
                for (run, length) in cell.runs.iter().zip(texts) {
                    let weight = if run.bold { " font-weight=\"bold\"" } else { "" };
                    let _ = write!(
                        svg,
                        "<text x=\"{at:.1}\" y=\"{base:.1}\" font-size=\"{}\"{weight} fill=\"{}\" textLength=\"{length:.1}\" \
                         lengthAdjust=\"spacingAndGlyphs\" xml:space=\"preserve\">{}</text>",
                        row.size,
                        cell.ink,
                        escape(&run.text)
                    );
                    at += length;
                }
                left += cell.width;
            }
            top += height;
        }
        svg.push_str("</g>");
    }
}
