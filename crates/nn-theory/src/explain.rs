//! The summary retraced: where each number comes from, what the bytes say about the number format, what a shape means.

use crate::{
    DType, DataFormat, Layer, ModelSpec, Node, Shape, Term,
    formula::{Expr, Formula, with_separators},
    summary::{memory_size, printed_shape, shown_in, trainable_flag},
};

/// One row of the summary with the origin of its numbers.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RowExplanation {
    /// Name of the layer.
    pub layer: String,
    /// Keras class of the layer.
    pub class: String,
    /// 0 for a layer of the model itself, 1 for one of a nested model, and so on.
    pub depth: usize,
    /// The shape as the summary prints it: `(None, 10)`.
    pub output_shape: String,
    /// What the shape means, in words.
    pub shape_meaning: String,
    /// The count in figures with its result: `(1024 + 1) × 2 = 2,050`.
    pub formula: String,
    /// The count in names: `(inputs + 1) × units`.
    pub symbols: String,
    /// The count in figures, in LaTeX: `(1024 + 1) \cdot 2 = 2{,}050`.
    pub latex: String,
    /// The count in names, in LaTeX: `(\text{inputs} + 1) \cdot \text{units}`.
    pub latex_symbols: String,
    /// The numbers of the formula with their names and meanings.
    pub terms: Vec<Term>,
    /// The number in the column *Param #*.
    pub params: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Y, N or - as the column *Trainable* prints it.
    pub trainable: String,
    /// Where the number comes from, in a sentence.
    pub meaning: String,
    /// Name, shape and count of each weight: `("kernel", "(1024, 2)", 2048)`.
    pub weights: Vec<(String, String, u64)>,
    /// Multiplications with their additions for one sample, as a formula; empty where none are counted.
    pub multiply_adds: String,
}

serialize_fields!(RowExplanation {
    layer,
    class,
    depth,
    output_shape,
    shape_meaning,
    formula,
    symbols,
    latex,
    latex_symbols,
    terms,
    params,
    bytes,
    trainable,
    meaning,
    weights,
    multiply_adds,
});

/// What the size in brackets says about the number format.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct NumberFormat {
    /// All parameters.
    pub parameters: u64,
    /// All bytes.
    pub bytes: u64,
    /// Bytes a parameter, if every parameter has the same number.
    pub bytes_per_parameter: Option<u64>,
    /// Formats of weights with so many bytes, the usual one first; empty when formats are mixed.
    pub candidates: Vec<DType>,
    /// The formats that the weights really have.
    pub formats: Vec<DType>,
    /// The deduction: `8.03 KB × 1024 ≈ 8,224 bytes; 8,224 / 2,056 = 4 bytes a parameter: float32`.
    pub deduction: String,
}

serialize_fields!(NumberFormat {
    parameters,
    bytes,
    bytes_per_parameter,
    candidates,
    formats,
    deduction
});

impl ModelSpec {
    /// Where every number of the summary's column *Param #* comes from, row by row as
    /// `summary(expand_nested=True)` lists them.
    ///
    /// ```
    /// use nn_theory::{Dense, ModelSpec};
    /// let model = ModelSpec::sequential("model").input([1024]).layer(Dense::new(2)).build()?;
    /// let row = &model.explain()[0];
    /// assert_eq!(row.formula, "(1024 + 1) × 2 = 2,050");
    /// assert_eq!(row.symbols, "(inputs + 1) × units");
    /// # Ok::<(), nn_theory::Error>(())
    /// ```
    pub fn explain(&self) -> Vec<RowExplanation> {
        let mut rows = Vec::new();
        self.explain_into(&mut rows, 0);
        rows
    }

    fn explain_into(&self, rows: &mut Vec<RowExplanation>, depth: usize) {
        let calls = self.calls();
        for node in self.layers().filter(|node| shown_in(self, node)) {
            let last = calls
                .get(node.name.as_str())
                .and_then(|calls| calls.last())
                .map_or(node, |&last| &self.nodes[last]);
            rows.push(explain_row(node, last, depth));
            if let Layer::Model(nested) = &node.layer {
                nested.model.explain_into(rows, depth + 1);
            }
        }
    }

    /// What the size in brackets, such as `2,056 (8.03 KB)`, says about the number format of the weights.
    ///
    /// ```
    /// use nn_theory::{DType, Dense, ModelSpec};
    /// let model = ModelSpec::sequential("model").input([1024]).layer(Dense::new(2)).build()?;
    /// assert_eq!(model.number_format().candidates[0], DType::Float32);
    /// # Ok::<(), nn_theory::Error>(())
    /// ```
    pub fn number_format(&self) -> NumberFormat {
        let counts = self.counts();
        let (parameters, bytes) = (counts.total, counts.total_bytes);
        let mut formats: Vec<DType> = self.weights().iter().map(|weight| weight.dtype).collect();
        formats.sort();
        formats.dedup();
        let same = parameters > 0 && bytes % parameters == 0;
        let bytes_per_parameter = same.then(|| bytes / parameters);
        let candidates = bytes_per_parameter.map(DType::of_bytes).unwrap_or_default();
        let names = |formats: &[DType]| {
            formats
                .iter()
                .map(|format| format.name())
                .collect::<Vec<_>>()
                .join(" or ")
        };
        // Weights are fractions: where a floating-point format has the size, the integers of the same size are out.
        let floats = |formats: &[DType]| {
            let floats: Vec<DType> = formats
                .iter()
                .copied()
                .filter(|format| format.name().contains("float"))
                .collect();
            if floats.is_empty() { formats.to_vec() } else { floats }
        };
        let size = format!("{} = {} bytes", memory_size(bytes), with_separators(bytes));
        let deduction = match bytes_per_parameter {
            _ if parameters == 0 => "The model has no parameters, so the size says nothing.".to_owned(),
            Some(each) if formats.len() == 1 => format!(
                "{size}; {} bytes / {} parameters = {each} bytes ({} bits) a parameter: {}.",
                with_separators(bytes),
                with_separators(parameters),
                8 * each,
                names(&floats(&candidates))
            ),
            _ => format!(
                "{size} for {} parameters is no single format: the weights are {}.",
                with_separators(parameters),
                formats
                    .iter()
                    .map(|format| format.name())
                    .collect::<Vec<_>>()
                    .join(" and ")
            ),
        };
        NumberFormat {
            parameters,
            bytes,
            bytes_per_parameter,
            candidates,
            formats,
            deduction,
        }
    }
}

fn explain_row(node: &Node, last: &Node, depth: usize) -> RowExplanation {
    let formula = &node.parameters;
    let weights: Vec<(String, String, u64)> = node
        .declared
        .iter()
        .map(|weight| {
            let shape: Vec<u64> = weight.dims.iter().map(|dim| dim.0).collect();
            (
                weight.name.clone(),
                Shape::from(shape).to_string(),
                weight.count().unwrap_or(u64::MAX),
            )
        })
        .collect();
    let bytes = node.declared.iter().map(|weight| {
        let each = weight.dtype.unwrap_or(node.dtype.variable).bytes();
        weight
            .count()
            .and_then(|count| count.checked_mul(each))
            .unwrap_or(u64::MAX)
    });
    RowExplanation {
        layer: node.name.clone(),
        class: node.layer.printed_class().to_owned(),
        depth,
        output_shape: printed_shape(&last.output_shapes),
        shape_meaning: shape_meaning(
            &last.output_shape,
            last.is_built() && !last.output_shapes.is_empty(),
            format_of(last),
        ),
        formula: formula.to_string(),
        symbols: formula.symbols(),
        latex: formula.latex(),
        latex_symbols: formula.latex_symbols(),
        terms: formula.terms(),
        params: formula.value(),
        bytes: bytes.fold(0, u64::saturating_add),
        trainable: trainable_flag(node).to_owned(),
        meaning: meaning(node, formula, &weights),
        weights,
        multiply_adds: node
            .multiply_adds()
            .ok()
            .flatten()
            .map_or(String::new(), |cost| cost.to_string()),
    }
}

fn format_of(node: &Node) -> DataFormat {
    match node.config().get("data_format").and_then(serde_json::Value::as_str) {
        Some("channels_first") => DataFormat::ChannelsFirst,
        _ => DataFormat::ChannelsLast,
    }
}

/// A sentence about the count of a row.
fn meaning(node: &Node, formula: &Formula, weights: &[(String, String, u64)]) -> String {
    if !node.is_built() {
        return "The layer has not seen an input shape yet, so its weights do not exist.".to_owned();
    }
    if weights.is_empty() {
        return match &node.layer {
            Layer::InputLayer(_) => {
                "The input layer only names the shape of the data; there is nothing to learn.".to_owned()
            }
            _ => format!(
                "{} computes without weights; there is nothing to learn.",
                node.layer.class()
            ),
        };
    }
    let list: Vec<String> = weights
        .iter()
        .take(8)
        .map(|(name, shape, count)| format!("{name} {shape}: {}", with_separators(*count)))
        .collect();
    let more = if weights.len() > 8 {
        format!(" and {} more", weights.len() - 8)
    } else {
        String::new()
    };
    let terms: Vec<String> = formula
        .terms()
        .iter()
        .filter(|term| term.symbol != "1")
        .take(8)
        .map(|term| format!("{} = {} ({})", term.symbol, with_separators(term.value), term.meaning))
        .collect();
    let names = if matches!(formula.expression(), Expr::Number(_)) {
        String::new()
    } else {
        format!("; {}", terms.join(", "))
    };
    format!("{}{more}{names}.", list.join(", "))
}

/// What a shape says, in words: `(None, 10)` is "any number of samples, 10 values each".
pub(crate) fn shape_meaning(shape: &Shape, known: bool, format: DataFormat) -> String {
    if !known {
        return "The shape is not known before the model has seen an input.".to_owned();
    }
    let size = |dim: &Option<u64>| dim.map_or("any number of".to_owned(), with_separators);
    let batch = match shape.dims().first() {
        None => return "A single number.".to_owned(),
        Some(None) => "None: any number of samples, as many as a batch brings".to_owned(),
        Some(Some(batch)) => format!("exactly {} samples in a batch", with_separators(*batch)),
    };
    let sample = match (shape.sample(), format) {
        ([], _) => "one number each".to_owned(),
        ([values], _) => format!("{} values each", size(values)),
        ([steps, values], DataFormat::ChannelsLast) | ([values, steps], DataFormat::ChannelsFirst) => {
            format!("each a sequence of {} steps of {} values", size(steps), size(values))
        }
        ([height, width, channels], DataFormat::ChannelsLast)
        | ([channels, height, width], DataFormat::ChannelsFirst) => {
            format!(
                "each an image of {} rows, {} columns and {} channels",
                size(height),
                size(width),
                size(channels)
            )
        }
        ([depth, height, width, channels], DataFormat::ChannelsLast)
        | ([channels, depth, height, width], DataFormat::ChannelsFirst) => {
            format!(
                "each a volume of {} slices of {} rows and {} columns, with {} channels",
                size(depth),
                size(height),
                size(width),
                size(channels)
            )
        }
        (dims, _) => format!(
            "each an array of {} values",
            dims.iter().map(size).collect::<Vec<_>>().join(" × ")
        ),
    };
    format!("{batch}; {sample}.")
}
