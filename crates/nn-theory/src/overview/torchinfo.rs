//! The overview as a table in the manner of torchinfo (github.com/TylerYep/torchinfo).

use super::{Overview, OverviewRow, brackets};
use crate::{summary::cell_width, with_separators};

const TITLES: [&str; 6] = [
    "Layer (type (name):depth-idx)",
    "Input Shape",
    "Output Shape",
    "Kernel Shape",
    "Param #",
    "Mult-Adds",
];

impl Overview {
    /// A table of layers, input and output shapes, kernel sizes, parameters and multiply-adds, with the sums and the
    /// estimated memory below; 1 MB is 10⁶ bytes, as in torchinfo. A second call of a layer is marked `(recursive)`.
    pub fn torchinfo(&self) -> String {
        let mut rows: Vec<[String; 6]> = vec![[
            format!("{} ({})", self.class, printable(&self.model)),
            brackets(&self.inputs()),
            "--".to_owned(),
            "--".to_owned(),
            "--".to_owned(),
            "--".to_owned(),
        ]];
        rows.extend(self.rows.iter().enumerate().map(|(place, row)| self.cells(place, row)));
        let mut widths = TITLES.map(cell_width);
        for row in &rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell_width(cell).max(*width);
            }
        }
        let line_length = widths.iter().sum::<usize>() + 2 * (widths.len() - 1);
        let rule = "=".repeat(line_length);
        let line = |cells: &[String; 6]| {
            let padded = cells.iter().zip(widths);
            let padded = padded.map(|(cell, width)| format!("{cell}{}", " ".repeat(width - cell_width(cell))));
            padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        let mut lines = vec![rule.clone(), line(&TITLES.map(str::to_owned)), rule.clone()];
        lines.extend(rows.iter().map(line));
        lines.push(rule.clone());
        let (totals, counts) = (&self.totals, &self.totals.counts);
        let (unit, divisor) = unit(totals.multiply_adds);
        lines.extend([
            format!("Total params: {}", with_separators(counts.total)),
            format!("Trainable params: {}", with_separators(counts.trainable)),
            format!("Non-trainable params: {}", with_separators(counts.non_trainable)),
            format!("Total mult-adds ({unit}): {:.2}", totals.multiply_adds as f64 / divisor),
            rule.clone(),
            format!("Batch size: {}", with_separators(self.batch_size)),
            format!("Input size (MB): {}", megabytes(totals.input_bytes)),
            format!(
                "Forward/backward pass size (MB): {}",
                megabytes(totals.forward_backward_bytes)
            ),
            format!("Params size (MB): {}", megabytes(counts.total_bytes)),
            format!("Estimated Total Size (MB): {}", megabytes(totals.total_bytes)),
        ]);
        if totals.incomplete {
            lines.push("Free dimensions (None) are left out of mult-adds and sizes.".to_owned());
        }
        lines.push(rule);
        lines.join("\n") + "\n"
    }

    fn inputs(&self) -> Vec<crate::Shape> {
        let inputs = self
            .rows
            .iter()
            .filter(|row| row.depth == 1 && row.class == "InputLayer");
        inputs.flat_map(|row| row.output_shapes.iter().cloned()).collect()
    }

    fn cells(&self, place: usize, row: &OverviewRow) -> [String; 6] {
        let kernel = row.kernel_size.as_ref().map_or("--".to_owned(), |sides| {
            format!("[{}]", sides.iter().map(u64::to_string).collect::<Vec<_>>().join(", "))
        });
        let parameters = match (row.parameters, row.call, row.trainable) {
            (0, ..) => "--".to_owned(),
            (_, call, _) if call > 0 => "(recursive)".to_owned(),
            // torchinfo puts frozen parameters into brackets.
            (count, _, Some(false)) => format!("({})", with_separators(count)),
            (count, ..) => with_separators(count),
        };
        [
            format!(
                "{}{} ({}): {}-{}",
                self.branch(place),
                row.class,
                printable(&row.name),
                row.depth,
                row.index
            ),
            brackets(&row.input_shapes),
            brackets(&row.output_shapes),
            kernel,
            parameters,
            row.multiply_adds.map_or("--".to_owned(), with_separators),
        ]
    }

    /// `├─`, and `└─` for the last row of a nested model, behind the lines of the models around it.
    fn branch(&self, place: usize) -> String {
        let depth = self.rows[place].depth;
        let is_last = |depth: usize| {
            let rest = &self.rows[place + 1..];
            rest.iter()
                .find(|row| row.depth <= depth)
                .is_none_or(|row| row.depth < depth)
        };
        let around: String = (1..depth)
            .map(|depth| if is_last(depth) { "   " } else { "│  " })
            .collect();
        format!("{around}{}", if is_last(depth) { "└─" } else { "├─" })
    }
}

fn megabytes(bytes: u64) -> String {
    format!("{:.2}", bytes as f64 / 1e6)
}

fn unit(count: u64) -> (&'static str, f64) {
    match count {
        0..1_000_000 => ("K", 1e3),
        1_000_000..1_000_000_000 => ("M", 1e6),
        1_000_000_000..1_000_000_000_000 => ("G", 1e9),
        _ => ("T", 1e12),
    }
}

/// A name on one line.
fn printable(name: &str) -> String {
    name.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
