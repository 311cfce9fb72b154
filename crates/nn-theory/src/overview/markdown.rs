//! The overview as a Markdown table (GitHub's form).

use super::{Overview, OverviewRow};
use crate::{memory_size, summary::printed_shape, with_separators};

impl Overview {
    /// A table of layers with their shapes, parameters and multiply-adds, and the sums as a list. Names cannot break out of
    /// their cells.
    pub fn markdown(&self) -> String {
        let mut text = format!("## {} ({})\n\n", code(&self.model), self.class);
        text += "| layer | class | output shape | parameters | trainable | multiply-adds |\n";
        text += "|:------|:------|:-------------|-----------:|:---------:|--------------:|\n";
        for row in &self.rows {
            text += &line(row);
        }
        let (totals, counts) = (&self.totals, &self.totals.counts);
        let size = |count: u64, bytes: u64| format!("{} ({})", with_separators(count), memory_size(bytes));
        let facts = [
            ("Parameters", size(counts.total, counts.total_bytes)),
            ("Trainable", size(counts.trainable, counts.trainable_bytes)),
            ("Not trainable", size(counts.non_trainable, counts.non_trainable_bytes)),
            ("Samples in a batch", with_separators(self.batch_size)),
            ("Multiply-adds", with_separators(totals.multiply_adds)),
            ("Input", memory_size(totals.input_bytes)),
            (
                "Outputs and their gradients",
                memory_size(totals.forward_backward_bytes),
            ),
            ("Together", memory_size(totals.total_bytes)),
        ];
        text.push('\n');
        for (name, value) in facts {
            text += &format!("* {name}: {value}\n");
        }
        if totals.incomplete {
            text += "* Free dimensions (None) are left out of multiply-adds and sizes.\n";
        }
        text
    }
}

fn line(row: &OverviewRow) -> String {
    let shape = match row.output_shapes.as_slice() {
        [] => "?".to_owned(),
        shapes => printed_shape(shapes),
    };
    let again = if row.call > 0 { " (again)" } else { "" };
    let trainable = match row.trainable {
        None => "–",
        Some(true) => "yes",
        Some(false) => "no",
    };
    format!(
        "| {}{}{again} | {} | {shape} | {} | {trainable} | {} |\n",
        "&nbsp;&nbsp;".repeat(row.depth - 1),
        code(&row.name),
        row.class,
        if row.call > 0 {
            "0".to_owned()
        } else {
            with_separators(row.parameters)
        },
        row.multiply_adds.map_or("–".to_owned(), with_separators)
    )
}

/// A name as code: a bar ends a cell even there, and a run of backticks ends the code.
fn code(name: &str) -> String {
    let plain: String = name.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let escaped = plain.replace('|', "\\|");
    let longest = escaped.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    if longest > 0 {
        format!("{fence} {escaped} {fence}")
    } else {
        format!("`{escaped}`")
    }
}
