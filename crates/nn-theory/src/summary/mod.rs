//! `model.summary()`, byte for byte as Keras 3 prints it.

mod pattern;
mod table;
mod text;

use crate::{Error, Layer, ModelKind, ModelSpec, Node, Result, Shape, formula::with_separators, model::depths};
use table::{Alignment, Column, Table};
pub use text::memory_size;
pub(crate) use text::{cell_width, char_width};

/// The arguments of Keras' `model.summary()`, the width of the console it prints to, and what only a running model
/// knows.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SummaryOptions {
    /// Width of the table in characters. Default: 88, or 108 with the column "Connected to"; 12 more with
    /// `show_trainable`; at most `console_columns - 4`.
    pub line_length: Option<usize>,
    /// Whether the layers of nested models are listed.
    pub expand_nested: bool,
    /// Whether the column "Trainable" is shown.
    pub show_trainable: bool,
    /// Ends of the columns as fractions of the line length.
    pub positions: Option<Vec<f64>>,
    /// First and last layer to be listed, each by a regular expression that the beginning of its name matches.
    pub layer_range: Option<[String; 2]>,
    /// Width of the console; longer lines are cut there. Default: no limit.
    pub console_columns: Option<usize>,
    /// The variables of a built optimizer.
    pub optimizer: Option<OptimizerSize>,
}

impl SummaryOptions {
    /// `summary(line_length=80, expand_nested=True, show_trainable=True)`, the call of the lecture.
    pub fn lecture() -> Self {
        Self {
            line_length: Some(80),
            expand_nested: true,
            show_trainable: true,
            ..Self::default()
        }
    }
}

/// How much an optimizer stores beside the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OptimizerSize {
    /// Numbers in its variables, `iteration` and `learning_rate` included.
    pub parameters: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Most column positions that are looked at; no summary has more than five columns.
const MAX_POSITIONS: usize = 64;

/// Longest line of a summary.
const MAX_LINE_LENGTH: usize = 100_000;

/// The shapes of a layer's outputs as the summary prints them.
pub(crate) fn printed_shape(shapes: &[Shape]) -> String {
    // Keras prints a vector of rank 1 as (4), without Python's comma.
    let one = |shape: &Shape| shape.to_string().replace(",)", ")");
    match shapes {
        [] => "?".to_owned(),
        [shape] => one(shape),
        shapes => format!("[{}]", shapes.iter().map(one).collect::<Vec<_>>().join(", ")),
    }
}

impl ModelSpec {
    /// Whether the summary has no column "Connected to": every depth of the graph holds one call with one input, and
    /// no layer is called twice.
    pub fn is_sequential_like(&self) -> bool {
        if self.kind == ModelKind::Sequential {
            return true;
        }
        let mut taken = vec![false; self.nodes.len() + 1];
        let alone = depths(&self.nodes)
            .into_iter()
            .all(|depth| !std::mem::replace(&mut taken[depth], true));
        alone && self.nodes.iter().all(|node| node.call == 0 && node.inputs.len() <= 1)
    }

    /// The text that `model.summary()` prints, with a line break after every line.
    ///
    /// It is Keras' to the byte, but for three things that no configuration says or that nobody wants: `rich` replaces codes
    /// such as `:smile:` in the names of layers by emoji; `quantize()` on a `MultiHeadAttention` changes its weights without
    /// leaving a trace in the configuration; and Keras counts calls of a layer that are no part of the model, so that "Connected
    /// to" may show a higher number before a model is saved than after it is loaded, which is what is printed here.
    ///
    /// # Errors
    /// [`Error::Summary`] when the columns do not fit into the line, when `positions` has the wrong number of entries
    /// and when `layer_range` names no layer.
    pub fn summary(&self, options: &SummaryOptions) -> Result<String> {
        let fail = |problem: String| Error::Summary { problem };
        let connected = !self.is_sequential_like();
        let (mut default_length, default_positions): (usize, &[f64]) = if connected {
            (108, &[0.3, 0.56, 0.74, 1.0])
        } else {
            (88, &[0.45, 0.8, 1.0])
        };
        let mut positions = options
            .positions
            .clone()
            .filter(|p| !p.is_empty())
            .unwrap_or_else(|| default_positions.to_vec());
        // As in Keras, further positions only have to leave a column of 4 characters each.
        if positions.len() < default_positions.len() || positions.len() > MAX_POSITIONS {
            let (expected, found) = (default_positions.len(), positions.len());
            return Err(fail(format!(
                "the option 'positions' needs {expected} numbers for this model, found {found}"
            )));
        }
        if options.show_trainable {
            default_length += 12;
            positions.iter_mut().for_each(|position| *position *= 0.9);
            positions.push(1.0);
        }
        if let Some(columns) = options.console_columns {
            default_length = default_length.min(columns.saturating_sub(4));
        }
        let line_length = options
            .line_length
            .filter(|&length| length > 0)
            .unwrap_or(default_length);
        if line_length > MAX_LINE_LENGTH {
            return Err(fail(format!(
                "the option 'line_length' is at most {MAX_LINE_LENGTH}, found {line_length}"
            )));
        }

        let mut headers = vec![
            ("Layer (type)", Alignment::Left),
            ("Output Shape", Alignment::Left),
            ("Param #", Alignment::Right),
        ];
        if connected {
            headers.push(("Connected to", Alignment::Left));
        }
        if options.show_trainable {
            headers.push(("Trainable", Alignment::Center));
        }
        let mut columns = Vec::with_capacity(headers.len());
        let mut current = 0;
        let headers = headers.into_iter().map(Some).chain(std::iter::repeat(None));
        for (header, position) in headers.zip(&positions) {
            let (title, alignment) = header.unwrap_or(("beyond the last", Alignment::Left));
            // `as` truncates like Python's int() and maps NaN and negative positions to 0.
            let end = (position * line_length as f64) as usize;
            let width = end.saturating_sub(current);
            if width < 4 {
                let problem = format!(
                    "column '{title}' would be {width} characters wide; use a larger 'line_length' than {line_length}"
                );
                return Err(fail(problem));
            }
            if header.is_some() {
                columns.push(Column {
                    title,
                    alignment,
                    width,
                });
            }
            current += width;
        }

        let mut table = Table::new(columns, line_length);
        let layers: Vec<&Node> = self.layers().filter(|node| shown_in(self, node)).collect();
        let (from, to) = range(&layers, options.layer_range.as_ref())?;
        let look = Look {
            connected,
            nested: options.expand_nested,
            trainable: options.show_trainable,
        };
        let calls = self.calls();
        for node in &layers[from..to] {
            self.add_row(
                &mut table,
                node,
                calls.get(node.name.as_str()).map_or(&[], Vec::as_slice),
                look,
            );
        }

        let limit = options.console_columns;
        let mut summary = String::new();
        text::push_folded(&mut summary, &format!("Model: \"{}\"", self.name), limit);
        table.render(&mut summary, limit);
        for line in self.count_lines(options.optimizer) {
            text::push_folded(&mut summary, &line, limit);
        }
        Ok(summary)
    }

    /// Adds the row of a layer that is called at these nodes, and those of the layers inside.
    fn add_row(&self, table: &mut Table, node: &Node, calls: &[usize], look: Look) {
        // A layer that is called several times shows the shape of its last call.
        let last = calls.last().map_or(node, |&last| &self.nodes[last]);
        let connected = look.connected.then(|| self.connections(calls));
        table.add(cells(node, last, "", connected, look));
        add_nested(table, node, 1, look);
    }

    /// The column "Connected to" of a layer with these calls.
    fn connections(&self, calls: &[usize]) -> String {
        let mut connections = Vec::new();
        for call in calls.iter().map(|&call| &self.nodes[call]) {
            for (&from, tensor) in call.inputs.iter().zip(&call.input_tensors) {
                let source = &self.nodes[from];
                connections.push(format!(
                    "{}{}][{tensor}]",
                    text::before_bracket(&source.name),
                    source.call
                ));
            }
        }
        if connections.is_empty() {
            "-".to_owned()
        } else {
            connections.join(", ")
        }
    }

    fn count_lines(&self, optimizer: Option<OptimizerSize>) -> Vec<String> {
        let counts = self.counts();
        let size = |count: u64, bytes: u64| format!("{} ({})", with_separators(count), memory_size(bytes));
        let extra = optimizer.unwrap_or_default();
        let total = size(
            counts.total.saturating_add(extra.parameters),
            counts.total_bytes.saturating_add(extra.bytes),
        );
        let mut lines = vec![
            format!(" Total params: {total}"),
            format!(" Trainable params: {}", size(counts.trainable, counts.trainable_bytes)),
            format!(
                " Non-trainable params: {}",
                size(counts.non_trainable, counts.non_trainable_bytes)
            ),
        ];
        if let Some(optimizer) = optimizer {
            lines.push(format!(
                " Optimizer params: {}",
                size(optimizer.parameters, optimizer.bytes)
            ));
        }
        // No line of Keras, which runs the classes that are unknown here.
        let unknown = self.unknown_layers();
        if !unknown.is_empty() {
            let names: Vec<String> = unknown
                .iter()
                .map(|node| format!("{} ({})", node.name, node.layer.class()))
                .collect();
            lines.push(format!(" Unknown params: {}; not counted above", names.join(", ")));
        }
        lines
    }
}

/// What the rows of a summary show.
#[derive(Clone, Copy)]
struct Look {
    connected: bool,
    nested: bool,
    trainable: bool,
}

fn cells(node: &Node, last: &Node, prefix: &str, connected: Option<String>, look: Look) -> Vec<String> {
    let params = match &node.layer {
        Layer::Unknown(_) => "? (unknown)".to_owned(),
        _ if node.is_built() => with_separators(node.parameters.value()),
        _ => "0 (unbuilt)".to_owned(),
    };
    let name = format!(
        "{} ({})",
        text::escaped(&format!("{prefix}{}", node.name)),
        node.layer.printed_class()
    );
    let mut cells = vec![name, printed_shape(&last.output_shapes), params];
    cells.extend(connected);
    if look.trainable {
        cells.push(trainable_flag(node).to_owned());
    }
    cells
}

/// Adds the layers inside a nested model or pipeline; they have no connections in the outer graph.
fn add_nested(table: &mut Table, node: &Node, depth: usize, look: Look) {
    if !look.nested {
        return;
    }
    let prefix = format!("{}└ ", "   ".repeat(depth));
    let connected = || look.connected.then(|| "-".to_owned());
    match &node.layer {
        Layer::Model(nested) => {
            let listed = |inner: &&Node| shown_in(&nested.model, inner) && !matches!(inner.layer, Layer::Operation(_));
            let calls = nested.model.calls();
            for inner in nested.model.layers().filter(listed) {
                let last = calls.get(inner.name.as_str()).and_then(|calls| calls.last());
                let last = last.map_or(inner, |&last| &nested.model.nodes[last]);
                table.add(cells(inner, last, &prefix, connected(), look));
                add_nested(table, inner, depth + 1, look);
            }
        }
        Layer::Pipeline(pipeline) => {
            for row in pipeline.rows(&node.input_shapes) {
                let params = if node.is_built() {
                    with_separators(row.parameters)
                } else {
                    "0 (unbuilt)".to_owned()
                };
                let name = format!("{prefix}{} ({})", row.name, row.class);
                let mut cells = vec![name, printed_shape(&row.output_shapes), params];
                cells.extend(connected());
                if look.trainable {
                    cells.push(if row.parameters == 0 { "-" } else { "Y" }.to_owned());
                }
                table.add(cells);
            }
        }
        _ => {}
    }
}

/// A Sequential model does not list its input layer.
pub(crate) fn shown_in(model: &ModelSpec, node: &Node) -> bool {
    model.kind == ModelKind::Functional || !matches!(node.layer, Layer::InputLayer(_))
}

/// Y, N, - for a layer without weights, ? for a layer whose weights are unknown.
pub(crate) fn trainable_flag(node: &Node) -> &'static str {
    match (node.declared.is_empty(), node.trainable) {
        (true, _) if matches!(node.layer, Layer::Unknown(_)) => "?",
        (true, _) => "-",
        (false, true) => "Y",
        (false, false) => "N",
    }
}

fn range(layers: &[&Node], range: Option<&[String; 2]>) -> Result<(usize, usize)> {
    let Some([first, last]) = range else {
        return Ok((0, layers.len()));
    };
    let find = |text: &str| -> Result<(usize, usize)> {
        let unreadable = |problem: String| Error::Summary {
            problem: format!("the pattern '{text}' of the option 'layer_range' {problem}"),
        };
        let pattern = pattern::Pattern::new(text).map_err(unreadable)?;
        let mut places = (0..layers.len()).filter(|&at| pattern.matches(&layers[at].name));
        let missing = || Error::Summary {
            problem: format!("no layer's name begins with '{text}' ('layer_range')"),
        };
        let first = places.next().ok_or_else(missing)?;
        Ok((first, places.next_back().unwrap_or(first)))
    };
    let (lower, lower_last) = find(first)?;
    let (upper_first, upper) = find(last)?;
    Ok(if lower > upper {
        (upper_first, lower_last + 1)
    } else {
        (lower, upper + 1)
    })
}
