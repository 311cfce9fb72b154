//! The same network in every format and every number format: what each file costs, and what it changes.

use anyhow::{Result, ensure};
use models::Network;
use persistence::{Format, Precision};
use report::format::{bytes, count, significant};
use report::{Align, Answer, Table};
use serde_json::{Map, json};

use super::{Comparison, Measured, Saved, Task};
use crate::context::Context;

/// Saves in every format and number format, loads, compares; fails where `float32` is not the same to the bit.
pub(super) fn compare(context: &Context, answer: &mut Answer, task: &Task, saved: &Saved<'_>) -> Result<()> {
    let expected = saved.measured.first(&task.sample);
    let mut table = Table::new("Against the network that was saved, by format and number format");
    table
        .header([
            "file",
            "numbers",
            "size",
            "largest output error",
            "mean output error",
            "other classes",
        ])
        .align([Align::Left, Align::Left].into_iter().chain([Align::Right; 4]));
    let mut figures = Map::new();
    let mut formats = 0;
    // Formats that are written and cannot be read back have nothing to compare.
    for format in persistence::WRITTEN
        .into_iter()
        .filter(|format| persistence::READ.contains(format))
    {
        let rows = figures.len();
        for precision in Precision::ALL.into_iter().rev() {
            // Apple's GPUs have no float64.
            if precision == Precision::F64 && context.device.is_metal() {
                continue;
            }
            let path = saved.path.with_file_name(format!("{precision}.{}", format.ending()));
            let size = match saved.save(&path, precision) {
                Ok(size) => size,
                Err(error) if matches!(error.downcast_ref(), Some(persistence::Error::NotWritten { .. })) => continue,
                Err(error) => return Err(error),
            };
            let network = load(context, saved, &path)?;
            let found = Measured::new(&network, &task.sample)?;
            let comparison = Comparison::new("loaded", saved.network, &expected, &network, &found)?;
            // An ONNX file is a graph of other operations, whose layers and weights have names of their own: what it computes counts.
            let same_weights = format == Format::Onnx || comparison.weights.is_none();
            ensure!(
                precision != Precision::F32 || (same_weights && comparison.logits.is_none()),
                "the network that was loaded from {} is another one: {} of {} outputs have the same bits",
                format,
                comparison.logits.equal,
                comparison.logits.values
            );
            table.row([
                format!("`.{}`", format.ending()),
                precision.to_string(),
                bytes(size),
                significant(comparison.logits.largest, 2),
                significant(comparison.logits.mean, 2),
                format!(
                    "{} of {}",
                    count(comparison.other_predictions),
                    count(task.sample.len())
                ),
            ]);
            let mut figure = comparison.json();
            figure["bytes"] = json!(size);
            figures.insert(format!("{} {precision}", format.ending()), figure);
        }
        formats += usize::from(figures.len() > rows);
    }
    answer.heading("In other formats");
    answer.text(format!(
        "The same network goes through each of {formats} formats, which other programs open: `.keras`, `.weights.h5` and `.h5` are Keras', \
         `.pt` is PyTorch's, `.onnx` that of the ONNX runtimes, `.npz` NumPy's. \
         Is inference any different? In `float32` no: every output has the same bits whatever the format, because each of them holds \
         the same 4 bytes of every weight. What changes something is the number format, and it changes the same in all of them.",
    ));
    table.note(
        "A file of weights alone (`.weights.h5`, `.pt`, `.npz`) has no description; it is loaded into the network that it was saved from. \
         Files of HDF5 spend some kilobytes on the names of groups.",
    );
    answer.table(table);
    answer.number("formats", figures);
    Ok(())
}

/// The network of a file; weights alone are given the description that they lack.
fn load(context: &Context, saved: &Saved<'_>, path: &std::path::Path) -> Result<Network> {
    let mut model = persistence::open(path)?;
    if model.spec.is_none() {
        model.describe(saved.network.spec().clone())?;
    }
    Ok(model.network(&context.device)?)
}
