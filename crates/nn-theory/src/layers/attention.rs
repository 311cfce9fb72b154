//! Attention: every step looks at every other one.

use super::{LayerSpec, flag};
use crate::{
    Initializer, Shape,
    error::Problem,
    formula::{Expr, num},
    initializer::glorot_uniform,
    keras_json::{Argument, argument_places},
    weight::Weight,
};
use serde_json::Value;

/// Query, value and key; the key is the value when there are only two inputs.
fn query_value_key(inputs: &[Shape]) -> Result<(&Shape, &Shape, &Shape), Problem> {
    let (query, value, key) = match inputs {
        [query, value] => (query, value, value),
        [query, value, key] => (query, value, key),
        _ => {
            return Err(Problem::shape(format!(
                "takes query, value and possibly key, found {} inputs",
                inputs.len()
            )));
        }
    };
    for shape in [query, value, key] {
        if shape.rank() < 3 {
            return Err(Problem::shape(format!(
                "expects inputs of rank 3 or more (batch, steps, features), found {shape}"
            )));
        }
    }
    Ok((query, value, key))
}

macro_rules! plain_attention {
    ($(#[$doc:meta])* $name:ident, $default:literal, { $($(#[$odoc:meta])* $option:ident: $otype:ty = $value:expr,)* }) => {
        layer! {
            $(#[$doc])*
            $name() {
                /// Whether the scores are scaled by a learnt weight.
                use_scale: bool = $default,
                /// Fraction of the scores that is dropped while training.
                dropout: f64 = 0.0,
                /// Seed of the draws.
                seed: Option<i64> = None,
                $($(#[$odoc])* $option: $otype = $value,)*
            }
        }

        impl LayerSpec for $name {
            fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Problem> {
                let (query, value, _) = query_value_key(inputs)?;
                Ok(vec![query.with_last(value.last())])
            }

            fn called(&self, inputs: &[Shape], arguments: Option<&Value>) -> Result<Vec<Shape>, Problem> {
                let mut outputs = self.output_shapes(inputs)?;
                if flag(arguments, "return_attention_scores", 3) {
                    let (query, _, key) = query_value_key(inputs)?;
                    outputs.push(query.with_last(key.0[key.rank() - 2]));
                }
                Ok(outputs)
            }

            fn multiply_adds(&self, inputs: &[Shape], _: &[Shape]) -> Result<Option<Expr>, Problem> {
                let (query, value, key) = query_value_key(inputs)?;
                let sides = (query.0[query.rank() - 2], key.0[key.rank() - 2], query.last(), value.last());
                let (Some(from), Some(to), Some(features), Some(values)) = sides else {
                    return Ok(None);
                };
                let both = features.checked_add(values).ok_or_else(|| Problem::too_large("the number of features"))?;
                Ok(Some(Expr::Product(vec![
                    num(from, "query_steps", "steps that look"),
                    num(to, "value_steps", "steps that are looked at"),
                    num(both, "features + values", "one product for the score, one for the mean"),
                ])))
            }

            fn weights(&self, inputs: &[Shape]) -> Result<Vec<Weight>, Problem> {
                let mut weights = Vec::new();
                if self.use_scale {
                    weights.push(Self::scale(query_value_key(inputs)?.0)?);
                }
                weights.extend(self.score_weight());
                Ok(weights)
            }

            fn needs_shape(&self) -> bool {
                true
            }
        }
    };
}

plain_attention! {
    /// Dot-product attention (`keras.layers.Attention`; Luong et al., 2015).
    Attention, false, {
        /// How scores are computed: `dot` or `concat`.
        score_mode: String = "dot".to_owned(),
    }
}

plain_attention! {
    /// Additive attention (`keras.layers.AdditiveAttention`; Bahdanau et al., 2015).
    AdditiveAttention, true, {}
}

impl Attention {
    fn score_weight(&self) -> Option<Weight> {
        (self.score_mode == "concat").then(|| Weight::new("concat_score_weight", [], &Initializer::Ones))
    }

    fn scale(_: &Shape) -> Result<Weight, Problem> {
        Ok(Weight::new("scale", [], &Initializer::Ones))
    }
}

impl AdditiveAttention {
    fn score_weight(&self) -> Option<Weight> {
        None
    }

    fn scale(query: &Shape) -> Result<Weight, Problem> {
        Ok(Weight::new(
            "scale",
            [(query.required(-1, "the number of features")?, "features")],
            &glorot_uniform(),
        ))
    }
}

/// The four projections of an attention with heads.
struct Heads<'a> {
    /// Heads and their length, for query, key and value.
    query: [u64; 2],
    key: [u64; 2],
    value: [u64; 2],
    output: Vec<u64>,
    use_gate: bool,
    use_bias: bool,
    initializers: [&'a Initializer; 2],
}

impl Heads<'_> {
    fn weights(&self, inputs: &[Shape]) -> Result<Vec<Weight>, Problem> {
        let (query, value, key) = query_value_key(inputs)?;
        let mut weights = Vec::new();
        let mut projections = vec![
            ("query", query, self.query),
            ("key", key, self.key),
            ("value", value, self.value),
        ];
        if self.use_gate {
            projections.insert(2, ("gate", query, [self.query[0], self.value[1]]));
        }
        for (name, shape, [heads, length]) in projections {
            let features = (shape.required(-1, "the number of features")?, "features");
            let heads = [(heads, "heads"), (length, "head_dim")];
            let kernel = [features, heads[0], heads[1]];
            weights.push(Weight::new(&format!("{name}/kernel"), kernel, self.initializers[0]));
            if self.use_bias {
                weights.push(Weight::new(&format!("{name}/bias"), heads, self.initializers[1]));
            }
        }
        let outputs: Vec<(u64, &'static str)> = self.output.iter().map(|&size| (size, "outputs")).collect();
        let mut kernel = vec![(self.query[0], "heads"), (self.value[1], "head_dim")];
        kernel.extend(&outputs);
        weights.push(Weight::new("attention_output/kernel", kernel, self.initializers[0]));
        if self.use_bias {
            weights.push(Weight::new("attention_output/bias", outputs, self.initializers[1]));
        }
        Ok(weights)
    }
}

layer! {
    /// Several attentions side by side (`keras.layers.MultiHeadAttention`; Vaswani et al., 2017).
    MultiHeadAttention(
        /// Number of attentions.
        num_heads: usize,
        /// Length of queries and keys of one head.
        key_dim: usize,
    ) {
        /// Length of the values of one head; by default that of the keys.
        value_dim: Option<usize> = None,
        /// Fraction of the scores that is dropped while training.
        dropout: f64 = 0.0,
        /// Whether biases are added.
        use_bias: bool = true,
        /// Whether the output is multiplied by a learnt gate.
        use_gate: bool = false,
        /// Shape of the output's features; by default that of the query.
        output_shape: Option<Vec<usize>> = None,
        /// Initializer of the kernels.
        kernel_initializer: Initializer = glorot_uniform(),
        /// Initializer of the biases.
        bias_initializer: Initializer = Initializer::Zeros,
        /// Seed of the draws.
        seed: Value = Value::Null,
    }
}

/// The tensors that are query, value and key, by position or by name; masks and the like are left out.
pub(super) fn operands(inputs: &[Shape], arguments: Option<&Value>) -> Vec<Shape> {
    // Keras 2 lists the inputs one by one.
    if !arguments.is_some_and(Value::is_object) {
        return inputs.to_vec();
    }
    let mut roles: [Option<Shape>; 3] = [None, None, None];
    for (shape, place) in inputs.iter().zip(argument_places(arguments, inputs.len())) {
        let role = match place {
            Argument::Position(position) => position,
            Argument::Name("query") => 0,
            Argument::Name("value") => 1,
            Argument::Name("key") => 2,
            Argument::Name(_) => continue,
        };
        if let Some(role) = roles.get_mut(role) {
            *role = Some(shape.clone());
        }
    }
    roles.into_iter().flatten().collect()
}

/// The scores `(batch, heads, query_steps, steps)` that a call may ask for as a second output.
fn scores(query: &Shape, heads: usize, steps: Option<u64>) -> Shape {
    Shape(vec![query.0[0], Some(heads as u64), query.0[1], steps])
}

/// Every projection at every step, then one product a head for each score and each mean (Vaswani et al., 2017).
fn attention_cost(weights: &[Weight], inputs: &[Shape], heads: u64, both: u64) -> Result<Option<Expr>, Problem> {
    let (query, value, _) = query_value_key(inputs)?;
    if query.rank() != 3 || value.rank() != 3 {
        return Ok(None);
    }
    let (Some(from), Some(to)) = (query.0[1], value.0[1]) else {
        return Ok(None);
    };
    let steps = |name: &str| match name.split('/').next() {
        Some("key" | "value") => num(to, "value_steps", "steps that are looked at"),
        _ => num(from, "query_steps", "steps that look"),
    };
    let kernels = weights.iter().filter(|weight| weight.name.ends_with("kernel"));
    let mut parts: Vec<Expr> = kernels
        .map(|weight| Expr::Product(vec![steps(&weight.name), weight.expression()]))
        .collect();
    parts.push(Expr::Product(vec![
        num(from, "query_steps", "steps that look"),
        num(to, "value_steps", "steps that are looked at"),
        num(heads, "heads", "attentions side by side"),
        num(
            both,
            "key_dim + value_dim",
            "one product for the score, one for the mean",
        ),
    ]));
    Ok(Some(Expr::Sum(parts)))
}

impl MultiHeadAttention {
    fn heads(&self, inputs: &[Shape]) -> Result<Heads<'_>, Problem> {
        let heads = self.num_heads as u64;
        let query = query_value_key(inputs)?.0;
        let output = match &self.output_shape {
            Some(sizes) => sizes.iter().map(|&size| size as u64).collect(),
            None => vec![query.required(-1, "the number of features")?],
        };
        Ok(Heads {
            query: [heads, self.key_dim as u64],
            key: [heads, self.key_dim as u64],
            value: [heads, self.value_dim.unwrap_or(self.key_dim) as u64],
            output,
            use_gate: self.use_gate,
            use_bias: self.use_bias,
            initializers: [&self.kernel_initializer, &self.bias_initializer],
        })
    }
}

impl LayerSpec for MultiHeadAttention {
    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Problem> {
        super::positive("num_heads", &[self.num_heads])?;
        super::positive("key_dim", &[self.key_dim])?;
        let query = query_value_key(inputs)?.0;
        let mut dims = query.0[..query.rank() - 1].to_vec();
        dims.extend(self.heads(inputs)?.output.into_iter().map(Some));
        Ok(vec![Shape(dims)])
    }

    fn called(&self, inputs: &[Shape], arguments: Option<&Value>) -> Result<Vec<Shape>, Problem> {
        let mut outputs = self.output_shapes(inputs)?;
        if flag(arguments, "return_attention_scores", 7) {
            // Keras states the query's steps for both sides.
            let query = query_value_key(inputs)?.0;
            outputs.push(scores(query, self.num_heads, query.0[1]));
        }
        Ok(outputs)
    }

    fn weights(&self, inputs: &[Shape]) -> Result<Vec<Weight>, Problem> {
        self.heads(inputs)?.weights(inputs)
    }

    fn multiply_adds(&self, inputs: &[Shape], _: &[Shape]) -> Result<Option<Expr>, Problem> {
        let length = self.key_dim as u64;
        let both = length
            .checked_add(self.value_dim.unwrap_or(self.key_dim) as u64)
            .ok_or_else(|| Problem::too_large("key_dim + value_dim"))?;
        attention_cost(&self.weights(inputs)?, inputs, self.num_heads as u64, both)
    }

    fn needs_shape(&self) -> bool {
        true
    }
}

layer! {
    /// Attention whose heads share keys and values in groups (`keras.layers.GroupQueryAttention`, printed as
    /// `GroupedQueryAttention`; Ainslie et al., 2023).
    GroupQueryAttention(
        /// Length of one head.
        head_dim: usize,
        /// Heads of the query.
        num_query_heads: usize,
        /// Heads of keys and values; they divide those of the query.
        num_key_value_heads: usize,
    ) {
        /// Fraction of the scores that is dropped while training.
        dropout: f64 = 0.0,
        /// Whether biases are added.
        use_bias: bool = true,
        /// Whether the output is multiplied by a learnt gate.
        use_gate: bool = false,
        /// Initializer of the kernels.
        kernel_initializer: Initializer = glorot_uniform(),
        /// Initializer of the biases.
        bias_initializer: Initializer = Initializer::Zeros,
        /// Seed of the draws.
        seed: Value = Value::Null,
    }
}

impl LayerSpec for GroupQueryAttention {
    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Problem> {
        super::positive("num_key_value_heads", &[self.num_key_value_heads])?;
        super::positive("head_dim", &[self.head_dim])?;
        if !self.num_query_heads.is_multiple_of(self.num_key_value_heads) {
            let (query, key) = (self.num_query_heads, self.num_key_value_heads);
            return Err(Problem::key(
                "num_key_value_heads",
                format!("must divide the {query} heads of the query, found {key}"),
            ));
        }
        Ok(vec![query_value_key(inputs)?.0.clone()])
    }

    fn called(&self, inputs: &[Shape], arguments: Option<&Value>) -> Result<Vec<Shape>, Problem> {
        let mut outputs = self.output_shapes(inputs)?;
        if flag(arguments, "return_attention_scores", 7) {
            let (query, _, key) = query_value_key(inputs)?;
            outputs.push(scores(query, self.num_query_heads, key.0[1]));
        }
        Ok(outputs)
    }

    fn multiply_adds(&self, inputs: &[Shape], _: &[Shape]) -> Result<Option<Expr>, Problem> {
        let head = self.head_dim as u64;
        let both = head.checked_mul(2).ok_or_else(|| Problem::too_large("2 × head_dim"))?;
        attention_cost(&self.weights(inputs)?, inputs, self.num_query_heads as u64, both)
    }

    fn weights(&self, inputs: &[Shape]) -> Result<Vec<Weight>, Problem> {
        let length = self.head_dim as u64;
        let shared = [self.num_key_value_heads as u64, length];
        let heads = Heads {
            query: [self.num_query_heads as u64, length],
            key: shared,
            value: shared,
            output: vec![query_value_key(inputs)?.0.required(-1, "the number of features")?],
            use_gate: self.use_gate,
            use_bias: self.use_bias,
            initializers: [&self.kernel_initializer, &self.bias_initializer],
        };
        heads.weights(inputs)
    }

    fn needs_shape(&self) -> bool {
        true
    }
}
