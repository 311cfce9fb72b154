//! A model in figures, row by row: shapes, kernels, parameters, work and memory; as a table like torchinfo's, as Markdown
//! and as JSON.

mod markdown;
mod torchinfo;

use crate::{Counts, Layer, ModelSpec, Node, Result, Shape, error::Problem};
use serde_json::Value;

/// One call of a layer.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct OverviewRow {
    /// Name of the layer.
    pub name: String,
    /// Keras class of the layer.
    pub class: String,
    /// 1 for a layer of the model itself, 2 for one of a nested model.
    pub depth: usize,
    /// Number of the row among those of its depth, from 1.
    pub index: usize,
    /// 0 for the first call of the layer; later calls use the same weights.
    pub call: usize,
    /// Shapes of the inputs, with the batch size put in.
    pub input_shapes: Vec<Shape>,
    /// Shapes of the outputs, with the batch size put in.
    pub output_shapes: Vec<Shape>,
    /// Sides of the kernel or of the pooling window, if the layer has one.
    pub kernel_size: Option<Vec<u64>>,
    /// Parameters of the layer (those of a nested model are in its rows, too).
    pub parameters: u64,
    /// Whether training changes them; `None` without parameters.
    pub trainable: Option<bool>,
    /// Multiplications with their additions for the whole batch; `None` where nothing is counted.
    pub multiply_adds: Option<u64>,
    /// Bytes of the outputs for the whole batch; `None` while a dimension is free.
    pub output_bytes: Option<u64>,
}

serialize_fields!(OverviewRow {
    name,
    class,
    depth,
    index,
    call,
    input_shapes,
    output_shapes,
    kernel_size,
    parameters,
    trainable,
    multiply_adds,
    output_bytes,
});

/// Sums over all rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct OverviewTotals {
    /// Parameters and their bytes.
    pub counts: Counts,
    /// Multiplications with their additions for the whole batch.
    pub multiply_adds: u64,
    /// Bytes of the inputs.
    pub input_bytes: u64,
    /// Bytes of all outputs, twice: once for the values, once for their gradients.
    pub forward_backward_bytes: u64,
    /// Inputs, outputs with gradients, and parameters together.
    pub total_bytes: u64,
    /// Whether a free dimension left something out of the sums of bytes or multiply-adds.
    pub incomplete: bool,
}

serialize_fields!(OverviewTotals {
    counts,
    multiply_adds,
    input_bytes,
    forward_backward_bytes,
    total_bytes,
    incomplete,
});

/// The model in figures; made by [`ModelSpec::overview`].
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Overview {
    /// Name of the model.
    pub model: String,
    /// Keras class of the model.
    pub class: String,
    /// Samples in the batch.
    pub batch_size: u64,
    /// A row a call, in the order of computation; the rows of a nested model follow its own row.
    pub rows: Vec<OverviewRow>,
    /// The sums.
    pub totals: OverviewTotals,
}

serialize_fields!(Overview {
    model,
    class,
    batch_size,
    rows,
    totals
});

impl ModelSpec {
    /// Shapes, kernel sizes, parameters, multiply-adds and memory of every call for a batch of this size.
    ///
    /// Multiply-adds are those of [`Node::multiply_adds`] times the batch: one for each weight and place, additions of biases
    /// not counted (He et al., 2016). Memory of a pass counts every output once for its values and once for their gradients,
    /// in the format that the layer computes in, as torchinfo estimates it; what a framework frees in between or computes in
    /// place is not known to a model.
    ///
    /// ```
    /// use nn_theory::{Conv2D, Dense, Flatten, ModelSpec};
    /// let model = ModelSpec::sequential("small")
    ///     .input([28, 28, 1])
    ///     .layer(Conv2D::new(8, [5, 5]))
    ///     .layer(Flatten::new())
    ///     .layer(Dense::new(10))
    ///     .build()?;
    /// let overview = model.overview(2)?;
    /// assert_eq!(overview.rows[1].multiply_adds, Some(2 * 24 * 24 * 8 * 25));
    /// assert_eq!(overview.totals.forward_backward_bytes, 2 * 4 * 2 * (4608 + 4608 + 10));
    /// assert!(overview.torchinfo().contains("├─Conv2D (conv2d): 1-2"));
    /// assert!(overview.markdown().contains("| `conv2d` | Conv2D | (2, 24, 24, 8) | 208 |"));
    /// # Ok::<(), nn_theory::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`crate::Error::TooLarge`] when a count leaves 64 bits.
    pub fn overview(&self, batch_size: u64) -> Result<Overview> {
        let mut collector = Collector {
            batch_size,
            rows: Vec::new(),
            indices: Vec::new(),
            multiply_adds: 0,
            input_bytes: 0,
            output_bytes: 0,
            incomplete: !self.is_built(),
        };
        collector.model(self, 1, true)?;
        let counts = self.counts();
        let too_large = || Problem::too_large("the number of bytes of a pass").at(&self.name, self.kind.class());
        let forward_backward_bytes = collector.output_bytes.checked_mul(2).ok_or_else(too_large)?;
        let total = forward_backward_bytes
            .checked_add(collector.input_bytes)
            .and_then(|sum| sum.checked_add(counts.total_bytes));
        Ok(Overview {
            model: self.name.clone(),
            class: self.kind.class().to_owned(),
            batch_size,
            totals: OverviewTotals {
                counts,
                multiply_adds: collector.multiply_adds,
                input_bytes: collector.input_bytes,
                forward_backward_bytes,
                total_bytes: total.ok_or_else(too_large)?,
                incomplete: collector.incomplete,
            },
            rows: collector.rows,
        })
    }
}

impl Overview {
    /// The figures as JSON; shapes are lists with `null` for a free dimension.
    pub fn json(&self) -> Value {
        // Plain data always has a JSON form.
        serde_json::to_value(self).unwrap_or_default()
    }
}

struct Collector {
    batch_size: u64,
    rows: Vec<OverviewRow>,
    /// Rows of each depth so far.
    indices: Vec<usize>,
    multiply_adds: u64,
    input_bytes: u64,
    output_bytes: u64,
    incomplete: bool,
}

impl Collector {
    fn model(&mut self, model: &ModelSpec, depth: usize, outermost: bool) -> Result<()> {
        for node in &model.nodes {
            let is_input = matches!(node.layer, Layer::InputLayer(_));
            let fail = |what: &str| Problem::too_large(what).at(&node.name, node.layer.class());
            let row = self.row(node, depth).map_err(|what| fail(&what))?;
            let bytes = row.output_bytes;
            let place = self.rows.len();
            self.rows.push(row);
            let before = self.multiply_adds;
            if let Layer::Model(nested) = &node.layer {
                self.model(&nested.model, depth + 1, false)?;
                self.rows[place].multiply_adds = Some(self.multiply_adds - before).filter(|&count| count > 0);
                continue;
            }
            self.incomplete |= bytes.is_none();
            let bytes = bytes.unwrap_or(0);
            match (is_input, outermost) {
                (true, true) => {
                    self.input_bytes = self.input_bytes.checked_add(bytes).ok_or_else(|| fail("the input"))?;
                }
                // The input layer of a nested model hands on what is there.
                (true, false) => {}
                (false, _) => {
                    let sum = self.output_bytes.checked_add(bytes);
                    self.output_bytes = sum.ok_or_else(|| fail("the number of bytes of all outputs"))?;
                }
            }
            if let Some(count) = node.multiply_adds()? {
                let what = "the number of multiply-adds of a batch";
                let count = count.value().checked_mul(self.batch_size).ok_or_else(|| fail(what))?;
                self.rows[place].multiply_adds = Some(count);
                self.multiply_adds = self.multiply_adds.checked_add(count).ok_or_else(|| fail(what))?;
            }
        }
        Ok(())
    }

    fn row(&mut self, node: &Node, depth: usize) -> Result<OverviewRow, String> {
        if self.indices.len() < depth {
            self.indices.resize(depth, 0);
        }
        self.indices[depth - 1] += 1;
        let batched = |shape: &Shape| {
            let mut shape = shape.clone();
            if let Some(first @ None) = shape.0.first_mut() {
                *first = Some(self.batch_size);
            }
            shape
        };
        let output_shapes: Vec<Shape> = node.output_shapes.iter().map(batched).collect();
        let mut output_bytes = (!output_shapes.is_empty()).then_some(0u64);
        for shape in &output_shapes {
            let size = crate::shape::product(shape.dims(), "").map_err(|_| "the number of output values".to_owned())?;
            let bytes = size
                .map(|size| {
                    size.checked_mul(node.dtype.compute.bytes())
                        .ok_or("the number of bytes of the output")
                })
                .transpose()?;
            output_bytes = match (output_bytes, bytes) {
                (Some(sum), Some(bytes)) => Some(sum.checked_add(bytes).ok_or("the number of bytes of the outputs")?),
                _ => None,
            };
        }
        Ok(OverviewRow {
            name: node.name.clone(),
            class: node.layer.printed_class().to_owned(),
            depth,
            index: self.indices[depth - 1],
            call: node.call,
            input_shapes: node.input_shapes.iter().map(batched).collect(),
            output_shapes,
            kernel_size: kernel_size(node),
            parameters: node.parameters.value(),
            trainable: (!node.declared.is_empty()).then_some(node.trainable),
            multiply_adds: None,
            output_bytes,
        })
    }
}

fn kernel_size(node: &Node) -> Option<Vec<u64>> {
    if matches!(node.layer, Layer::Model(_) | Layer::Operation(_)) {
        return None;
    }
    let config = node.config();
    let sides = ["kernel_size", "pool_size"].iter().find_map(|key| config.get(*key))?;
    sides.as_array()?.iter().map(Value::as_u64).collect()
}

/// `[2, 28, 28, 1]`, several shapes in a list.
fn brackets(shapes: &[Shape]) -> String {
    let one = |shape: &Shape| {
        let dims: Vec<String> = shape
            .dims()
            .iter()
            .map(|dim| dim.map_or("None".to_owned(), |dim| dim.to_string()))
            .collect();
        format!("[{}]", dims.join(", "))
    };
    match shapes {
        [] => "--".to_owned(),
        [shape] => one(shape),
        shapes => format!("[{}]", shapes.iter().map(one).collect::<Vec<_>>().join(", ")),
    }
}
