//! What saving in fewer (or more) bits does.

use anyhow::{Context as _, Result};
use candle_core::DType;
use persistence::Precision;
use report::format::{bytes, count, percent, scientific, significant};
use report::plot::{BarChart, LineChart};
use report::{Align, Answer, Table};
use serde_json::json;

use super::{Comparison, Measured, Saved, Task};
use crate::context::Context;

/// The network saved in one number format, loaded, and compared.
pub(super) struct Row {
    pub(super) precision: Precision,
    bytes: u64,
    /// Size against the file in float32.
    pub(super) size_ratio: f64,
    pub(super) comparison: Comparison,
    /// Distances of the outputs, sorted.
    moved: Vec<f64>,
}

/// Saves in every number format that the device knows.
pub(super) fn compare(context: &Context, answer: &mut Answer, task: &Task, saved: &Saved<'_>) -> Result<Vec<Row>> {
    let reference = std::fs::metadata(&saved.path)
        .context("the saved file cannot be measured")?
        .len();
    let formats = [
        (Precision::F64, "float64"),
        (Precision::F32, "float32"),
        (Precision::F16, "float16"),
        (Precision::Bf16, "bfloat16"),
    ];
    let expected = saved.measured.first(&task.sample);
    let mut rows = Vec::new();
    for (precision, name) in formats {
        // Apple's GPUs have no float64.
        if precision == Precision::F64 && context.device.is_metal() {
            continue;
        }
        let path = saved.path.with_file_name(format!("{name}.safetensors"));
        let size = saved.save(&path, precision)?;
        let loaded = persistence::load(&path, &context.device)?.network;
        let found = Measured::new(&loaded, &task.sample)?;
        let pairs = expected.logits.iter().zip(&found.logits);
        let mut moved: Vec<f64> = pairs.map(|(a, b)| (a - b).abs()).collect();
        moved.sort_by(f64::total_cmp);
        rows.push(Row {
            precision,
            bytes: size,
            size_ratio: size as f64 / reference as f64,
            comparison: Comparison::new(name, saved.network, &expected, &loaded, &found)?,
            moved,
        });
    }
    let largest = largest_weight(saved)?;
    table(answer, task, &rows);
    explain(answer, &expected, &rows, largest);
    for row in &rows {
        let mut value = row.comparison.json();
        value["bytes"] = json!(row.bytes);
        answer.number(row.comparison.name, value);
    }
    answer.number("largest_weight", largest);
    Ok(rows)
}

fn largest_weight(saved: &Saved<'_>) -> Result<f64> {
    let mut largest = 0.0f64;
    for weight in saved.network.weights() {
        let value = weight.var.abs()?.max_all()?.to_dtype(DType::F64)?.to_scalar::<f64>()?;
        largest = largest.max(value);
    }
    Ok(largest)
}

fn table(answer: &mut Answer, task: &Task, rows: &[Row]) {
    answer.heading("In half precision");
    answer.text(
        "Networks are trained in `float32`. A file can also hold each weight in 16 bits, rounded to the nearest number of that \
         format: `float16` keeps 10 bits of the fraction and has a small range, `bfloat16` keeps 7 and has the range of `float32`. \
         When such a file is loaded, the rounded weights are computed with in `float32` again. For comparison, `float64`: the \
         same weights in 64 bits, and a network that then computes in 64 bits.",
    );
    let mut table = Table::new("Against the network that was saved, by number format of the file");
    table
        .header([
            "format",
            "file",
            "equal weights",
            "largest weight error",
            "largest output error",
            "mean output error",
            "other classes",
            "accuracy",
        ])
        .align([
            Align::Left,
            Align::Right,
            Align::Right,
            Align::Right,
            Align::Right,
            Align::Right,
            Align::Right,
            Align::Right,
        ]);
    for row in rows {
        let Comparison {
            weights,
            logits,
            other_predictions,
            accuracy,
            ..
        } = &row.comparison;
        table.row([
            row.precision.to_string(),
            bytes(row.bytes),
            count(weights.equal),
            significant(weights.largest, 2),
            significant(logits.largest, 2),
            significant(logits.mean, 2),
            format!("{} of {}", count(*other_predictions), count(task.sample.len())),
            percent(*accuracy, 2),
        ]);
    }
    table.note(format!(
        "{} weights, and the {} outputs for {} test images; «equal» is to the bit.",
        rows.first()
            .map_or_else(String::new, |row| count(row.comparison.weights.values)),
        rows.first()
            .map_or_else(String::new, |row| count(row.comparison.logits.values)),
        count(task.sample.len())
    ));
    answer.table(table);
    let mut sizes = BarChart::new("Size of the file");
    sizes.description("Bytes of the saved network in each number format.");
    sizes.value_axis("KB").decimals(1);
    sizes.categories(rows.iter().map(|row| row.precision));
    sizes.series("file", rows.iter().map(|row| row.bytes as f64 / 1024.0));
    answer.figure(sizes.figure("Size of the file. The header, which does not shrink, is part of it."));
    let moved: Vec<&Row> = rows
        .iter()
        .filter(|row| row.moved.last().is_some_and(|&d| d > 0.0))
        .collect();
    if !moved.is_empty() {
        let mut chart = LineChart::new("How far outputs move");
        chart.description(
            "Share of all outputs on the test images that move by at most so much, for each number format.",
        );
        chart
            .x_axis("distance")
            .y_axis("share of outputs")
            .log_x()
            .y_range(0.0, 1.0);
        for row in moved {
            chart.series(row.precision.to_string(), distribution(&row.moved));
        }
        answer.figure(chart.figure(
            "Share of the outputs that move by no more than the distance on the horizontal axis. A format further to the right \
             changes more; formats that change nothing are not drawn.",
        ));
    }
}

/// (distance, share of the outputs that move by at most that), at up to 100 places; distances of 0 have no logarithm.
fn distribution(sorted: &[f64]) -> Vec<(f64, f64)> {
    let steps = 100.min(sorted.len());
    let points = (1..=steps).filter_map(|step| {
        let rank = (step * sorted.len()).div_ceil(steps);
        let distance = *sorted.get(rank.checked_sub(1)?)?;
        (distance > 0.0).then_some((distance, rank as f64 / sorted.len() as f64))
    });
    points.collect()
}

fn explain(answer: &mut Answer, expected: &Measured, rows: &[Row], largest: f64) {
    answer.text(
        "Rounding to a format with $t$ bits of fraction moves a number by at most half of the distance to the next one:",
    );
    answer.formula(
        r"\left| \hat{w} - w \right| \le 2^{-(t+1)} \max \left| w \right|",
        "|ŵ − w| ≤ 2^−(t+1) · max |w|",
    );
    let halves = rows.iter().filter(|row| row.precision.bytes() < 4);
    let bounds = halves.clone().map(|row| {
        let bound = row.precision.unit_roundoff() * largest;
        let found = row.comparison.weights.largest;
        format!(
            "{}: bound {}, found {}{}",
            row.precision,
            scientific(bound, 2),
            scientific(found, 2),
            if found <= bound { "" } else { " (above the bound)" }
        )
    });
    answer.text(format!(
        "The largest weight here is {} in size.",
        significant(largest, 3)
    ));
    answer.list(bounds.collect::<Vec<_>>());
    let margin = expected.margins.iter().copied().fold(f64::INFINITY, f64::min);
    let consequences = halves.map(|row| {
        let reach = 2.0 * row.comparison.logits.largest;
        let close = expected.margins.iter().filter(|&&margin| margin <= reach).count();
        let changed = row.comparison.other_predictions;
        let accuracy = row.comparison.accuracy - expected.accuracy;
        format!(
            "{}: outputs move by at most {}, so only images whose two best classes are closer than {} can get another class. {} of {} are; \
             {changed} of them did{}.",
            row.precision,
            significant(row.comparison.logits.largest, 2),
            significant(reach, 2),
            count(close),
            count(expected.margins.len()),
            match (changed, accuracy) {
                (0, _) => String::new(),
                (_, 0.0) => ", and the accuracy stays the same".to_string(),
                (_, change) => format!(", and the accuracy changes by {} points", significant(change * 100.0, 2)),
            }
        )
    });
    answer.text(format!(
        "What matters in the end is the class, the largest output. The closest decision among the test images has a margin of {} \
         between the best and the second-best class.",
        significant(margin, 3)
    ));
    answer.list(consequences.collect::<Vec<_>>());
    if let Some(double) = rows.iter().find(|row| row.precision == Precision::F64) {
        let text = if double.comparison.weights.is_none() && !double.comparison.logits.is_none() {
            "In `float64` every weight is the same number as before, and yet outputs differ: they were computed with more digits. \
             The difference is the rounding of the `float32` *computation*, and it is the yardstick for the others."
        } else if double.comparison.weights.is_none() {
            "In `float64` every weight is the same number as before, in twice the space."
        } else {
            "In `float64` some weights are other numbers, which must not be: every `float32` is a `float64`."
        };
        answer.text(text);
    }
    answer.number("smallest_margin", margin);
}
