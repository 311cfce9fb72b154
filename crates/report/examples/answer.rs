//! A page from a table of numbers: `cargo run -p report --example answer -- page.html` (without a name: for the terminal).

use std::io::Write as _;

use report::format::percent;
use report::plot::LineChart;
use report::{Align, Answer, Page, Table, write_atomically};

const ACCURACY: [(&str, [f64; 4]); 3] = [
    ("sgd", [0.41, 0.58, 0.66, 0.72]),
    ("sgd_momentum", [0.62, 0.83, 0.90, 0.94]),
    ("adam", [0.71, 0.88, 0.94, 0.96]),
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut chart = LineChart::new("Accuracy while training");
    chart.x_axis("epoch").y_axis("accuracy");
    let mut table = Table::new("After four epochs");
    table
        .header(["optimizer", "accuracy"])
        .align([Align::Left, Align::Right]);
    for (name, values) in ACCURACY {
        chart.series(
            name,
            values
                .iter()
                .enumerate()
                .map(|(epoch, value)| (epoch as f64 + 1.0, *value)),
        );
        table.row([name.to_string(), percent(values[3], 1)]);
    }
    let mut answer = Answer::new(1, "Three optimizers");
    answer
        .headline("Adam is first with 96 %")
        .formula(
            r"\theta \gets \theta - \eta \frac{\hat m}{\sqrt{\hat v} + \epsilon}",
            "θ ← θ − η m̂ / (√v̂ + ε)",
        )
        .table(table)
        .figure(chart.figure("Mean over the validation images."));

    let mut out = std::io::stdout().lock();
    match std::env::args().nth(1) {
        Some(path) => {
            let html = Page::new("Optimizers", "four epochs of each")
                .answer(&answer)
                .to_html()?;
            write_atomically(&path, html.as_bytes())?;
            writeln!(out, "{path}: {} bytes", html.len())?;
        }
        None => write!(out, "{}", answer.to_terminal(80, false))?,
    }
    Ok(())
}
