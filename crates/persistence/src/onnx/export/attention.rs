//! Attention: every step looks at every other one.

use nn_theory::Activation;

use super::Call;
use super::graph::{Attributes, Graph, Value};
use crate::fault::{Fault, Result};

/// What is taken off the score of a step that does not count.
const LOW: f64 = 1e9;

impl Graph<'_> {
    fn query_value_key<'v>(call: &'v Call<'_>) -> Result<[&'v Value; 3]> {
        match call.inputs.as_slice() {
            [query, value] => Ok([query, value, value]),
            [query, value, key] => Ok([query, value, key]),
            inputs => Err(Fault::new(
                call.place(),
                format!(
                    "query, value and possibly key are needed, found {} inputs",
                    inputs.len()
                ),
            )),
        }
    }

    /// Where both masks are, for shapes that broadcast.
    fn both(&mut self, a: Option<String>, b: Option<String>) -> Option<String> {
        match (a, b) {
            (Some(a), Some(b)) => Some(self.op("And", &[&a, &b])),
            (a, b) => a.or(b),
        }
    }

    /// The places `0 1 2 ...` of an axis of `x`.
    fn places(&mut self, x: &str, axis: usize) -> String {
        let size = self.size(x, axis);
        let size = self.squeezed(&size, &[0]);
        let [start, step] = [0, 1].map(|number| self.int(number));
        self.op("Range", &[&start, &size, &step])
    }

    /// Places of the queries in a column, of the values in a row.
    fn rows_and_columns(&mut self, query: &str, value: &str) -> (String, String) {
        let rows = self.places(query, 1);
        let columns = self.places(value, 1);
        (self.unsqueezed(&rows, &[1]), self.unsqueezed(&columns, &[0]))
    }

    fn causal(&mut self, call: &Call<'_>, query: &str, value: &str) -> Option<String> {
        if !call.is_causal() {
            return None;
        }
        let (rows, columns) = self.rows_and_columns(query, value);
        Some(self.op("LessOrEqual", &[&columns, &rows]))
    }

    /// `softmax(scores) v`, with what the masks of value and query say.
    fn attended(&mut self, call: &Call<'_>, scores: &str, query: &Value, value: &Value) -> String {
        let causal = self.causal(call, &query.name, &value.name);
        let of_value = value.mask.as_ref().map(|mask| self.unsqueezed(mask, &[1]));
        let scores = match self.both(of_value, causal) {
            None => scores.to_string(),
            Some(mask) => {
                let low = self.number(LOW);
                let lowered = self.op("Sub", &[scores, &low]);
                self.op("Where", &[&mask, scores, &lowered])
            }
        };
        let weights = self.activated(Activation::Softmax, &scores);
        let output = self.op("MatMul", &[&weights, &value.name]);
        match &query.mask {
            None => output,
            Some(mask) => {
                let mask = self.unsqueezed(mask, &[2]);
                let zero = self.number(0.0);
                self.op("Where", &[&mask, &output, &zero])
            }
        }
    }

    /// `q + k` for every pair of steps: `(batch, queries, values, features)`.
    fn pairs(&mut self, query: &str, key: &str) -> String {
        let query = self.unsqueezed(query, &[2]);
        let key = self.unsqueezed(key, &[1]);
        self.op("Add", &[&query, &key])
    }

    /// `Attention`: scores `q kᵀ`, or sums of `tanh(q + k)`.
    pub(super) fn dot_attention(&mut self, call: &Call<'_>) -> Result<String> {
        let [query, value, key] = Self::query_value_key(call)?;
        let scale = self.optional(call, "scale")?;
        let weight = self.optional(call, "concat_score_weight")?;
        let scores = if weight.is_empty() {
            let key = self.transposed(&key.name, &[0, 2, 1]);
            let scores = self.op("MatMul", &[&query.name, &key]);
            if scale.is_empty() {
                scores
            } else {
                self.op("Mul", &[&scores, &scale])
            }
        } else {
            let mut sums = self.pairs(&query.name, &key.name);
            if !scale.is_empty() {
                sums = self.op("Mul", &[&sums, &scale]);
            }
            let tanh = self.op("Tanh", &[&sums]);
            let sum = self.reduced("ReduceSum", &tanh, &[-1], false);
            self.op("Mul", &[&sum, &weight])
        };
        Ok(self.attended(call, &scores, query, value))
    }

    /// `AdditiveAttention`: scores `Σ s tanh(q + k)`.
    pub(super) fn additive_attention(&mut self, call: &Call<'_>) -> Result<String> {
        let [query, value, key] = Self::query_value_key(call)?;
        let scale = self.optional(call, "scale")?;
        let sums = self.pairs(&query.name, &key.name);
        let mut tanh = self.op("Tanh", &[&sums]);
        if !scale.is_empty() {
            tanh = self.op("Mul", &[&tanh, &scale]);
        }
        let scores = self.reduced("ReduceSum", &tanh, &[-1], false);
        Ok(self.attended(call, &scores, query, value))
    }

    /// A projection to heads: `(batch, heads, steps, length)`.
    fn heads_of(&mut self, call: &Call<'_>, name: &str, x: &str) -> Result<(String, usize, usize)> {
        let path = call.weight(&format!("{name}/kernel"));
        let shape = self.weight_shape(&path)?;
        let &[features, heads, length] = shape.as_slice() else {
            return Err(Fault::new(
                format!("weight '{path}'"),
                format!("has the shape {shape:?}, three axes are needed"),
            ));
        };
        let kernel = self.arranged(&path, &shape, &[0, 1, 2], &[features, heads * length])?;
        let y = self.op("MatMul", &[x, &kernel]);
        let y = self.reshaped(&y, &[0, 0, heads as i64, length as i64]);
        let bias = self.optional(call, &format!("{name}/bias"))?;
        let y = if bias.is_empty() {
            y
        } else {
            self.op("Add", &[&y, &bias])
        };
        Ok((self.transposed(&y, &[0, 2, 1, 3]), heads, length))
    }

    /// Heads of keys and values that serve several heads of the query in a row.
    fn repeated_heads(&mut self, x: String, heads: usize, count: usize) -> String {
        if heads == count {
            return x;
        }
        let indices: Vec<i64> = (0..count)
            .map(|head| (head / (count / heads.max(1)).max(1)) as i64)
            .collect();
        let indices = self.ints(&indices);
        self.op_with("Gather", &[&x, &indices], Attributes::new().int("axis", 1))
    }

    /// `MultiHeadAttention` and `GroupQueryAttention`.
    pub(super) fn head_attention(&mut self, call: &Call<'_>) -> Result<String> {
        let [query, value, key] = Self::query_value_key(call)?;
        let (queries, count, length) = self.heads_of(call, "query", &query.name)?;
        let (keys, heads, _) = self.heads_of(call, "key", &key.name)?;
        let keys = self.repeated_heads(keys, heads, count);
        let (values, heads, _) = self.heads_of(call, "value", &value.name)?;
        let values = self.repeated_heads(values, heads, count);
        let scale = self.number(1.0 / (length as f64).sqrt());
        let queries = self.op("Mul", &[&queries, &scale]);
        let keys = self.transposed(&keys, &[0, 1, 3, 2]);
        let scores = self.op("MatMul", &[&queries, &keys]);

        let mut mask = self.causal(call, &query.name, &value.name);
        let of_query = query.mask.as_ref().map(|mask| self.unsqueezed(mask, &[2]));
        mask = self.both(mask, of_query);
        let of_value = value.mask.as_ref().map(|mask| self.unsqueezed(mask, &[1]));
        mask = self.both(mask, of_value);
        if call.inputs.len() == 3 {
            let of_key = key.mask.as_ref().map(|mask| self.unsqueezed(mask, &[1]));
            mask = self.both(mask, of_key);
        }
        if let Some(window) = call.config.get("sliding_window").and_then(serde_json::Value::as_i64) {
            let (rows, columns) = self.rows_and_columns(&query.name, &value.name);
            let distance = self.op("Sub", &[&rows, &columns]);
            let distance = self.op("Abs", &[&distance]);
            let window = self.int(window);
            let near = self.op("Less", &[&distance, &window]);
            mask = self.both(mask, Some(near));
        }
        let scores = match mask {
            None => scores,
            Some(mask) => {
                // A mask over queries and values only serves the whole batch, one of the batch all heads.
                let shape = self.op("Shape", &[&scores]);
                let ends = [(0, 1), (2, 4)].map(|(start, end)| self.sliced(&shape, 0, start, end));
                let shape = self.op_with("Concat", &[&ends[0], &ends[1]], Attributes::new().int("axis", 0));
                let mask = self.op("Expand", &[&mask, &shape]);
                let mask = self.unsqueezed(&mask, &[1]);
                let low = self.number(-LOW);
                self.op("Where", &[&mask, &scores, &low])
            }
        };
        let attention = self.activated(Activation::Softmax, &scores);
        let mut mixed = self.op("MatMul", &[&attention, &values]);
        if self.has_weight(&call.weight("gate/kernel")) {
            let (gate, _, _) = self.heads_of(call, "gate", &query.name)?;
            let gate = self.op("Sigmoid", &[&gate]);
            mixed = self.op("Mul", &[&mixed, &gate]);
        }
        let mixed = self.transposed(&mixed, &[0, 2, 1, 3]);
        let path = call.weight("attention_output/kernel");
        let shape = self.weight_shape(&path)?;
        let (inputs, features) = (shape[..2].iter().product::<usize>(), &shape[2..]);
        let flat = self.reshaped(&mixed, &[0, 0, inputs as i64]);
        let axes: Vec<usize> = (0..shape.len()).collect();
        let kernel = self.arranged(&path, &shape, &axes, &[inputs, features.iter().product()])?;
        let mut y = self.op("MatMul", &[&flat, &kernel]);
        if features.len() > 1 {
            let sizes: Vec<i64> = [0, 0]
                .into_iter()
                .chain(features.iter().map(|&size| size as i64))
                .collect();
            y = self.reshaped(&y, &sizes);
        }
        let bias = self.optional(call, "attention_output/bias")?;
        Ok(if bias.is_empty() {
            y
        } else {
            self.op("Add", &[&y, &bias])
        })
    }
}
