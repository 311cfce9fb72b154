//! Operations of `keras.ops` that a functional graph holds as nodes.

use super::{
    LayerSpec,
    merging::{broadcast, concatenated},
};
use crate::{Shape, error::Problem, keras_json::ConfigValue};
use serde_json::{Map, Value};

/// An operation of `keras.ops` applied to tensors of a functional graph, as `x + y` or `x[:, 0]` make them.
#[derive(Debug, Clone, PartialEq)]
pub struct Operation {
    /// Module that Keras names, such as `keras.src.ops.numpy`.
    pub module: String,
    /// Class, such as `GetItem`.
    pub class: String,
    /// Its configuration.
    pub config: Map<String, Value>,
    /// Shapes of the results, as the consumers of the operation state them.
    pub outputs: Vec<Shape>,
}

/// Operations that work value by value: the output is as large as the broadcast inputs.
const ELEMENTWISE: &[&str] = &[
    "Abs",
    "Absolute",
    "Add",
    "Cast",
    "Clip",
    "Cos",
    "Divide",
    "Elu",
    "Erf",
    "Exp",
    "Expm1",
    "Floor",
    "Gelu",
    "HardSigmoid",
    "HardSilu",
    "Identity",
    "LeakyRelu",
    "Log",
    "Log1p",
    "LogSigmoid",
    "LogSoftmax",
    "Maximum",
    "Minimum",
    "Multiply",
    "Negative",
    "Power",
    "Reciprocal",
    "Relu",
    "Relu6",
    "Round",
    "Rsqrt",
    "Selu",
    "Sigmoid",
    "Sign",
    "Silu",
    "Sin",
    "Softmax",
    "Softplus",
    "Softsign",
    "Sqrt",
    "Square",
    "Subtract",
    "Tanh",
    "TrueDivide",
    "Where",
];

/// Operations that make one value of all values along axes.
const REDUCTIONS: &[&str] = &[
    "All",
    "Any",
    "Logsumexp",
    "Max",
    "Mean",
    "Median",
    "Min",
    "Prod",
    "Std",
    "Sum",
    "Var",
];

impl Operation {
    /// The axes that a reduction names; all when it names none.
    fn axes(&self, shape: &Shape) -> Result<Vec<usize>, Problem> {
        let wrong = || Problem::key("axis", format!("must name axes of the input {shape}"));
        match self.config.get("axis") {
            None | Some(Value::Null) => Ok((0..shape.rank()).collect()),
            Some(value) => {
                let axes = Vec::<i64>::read(value).map_err(|problem| Problem::key("axis", problem))?;
                axes.into_iter()
                    .map(|axis| shape.axis(axis).ok_or_else(wrong))
                    .collect()
            }
        }
    }

    fn reduced(&self, shape: &Shape) -> Result<Shape, Problem> {
        let axes = self.axes(shape)?;
        let keep = self.config.get("keepdims").and_then(Value::as_bool).unwrap_or(false);
        let dims = shape.0.iter().enumerate();
        let dims = dims.filter_map(|(axis, dim)| match (axes.contains(&axis), keep) {
            (true, true) => Some(Some(1)),
            (true, false) => None,
            (false, _) => Some(*dim),
        });
        Ok(Shape(dims.collect()))
    }

    /// The shape by the rule of the operation, for those that no consumer states.
    fn inferred(&self, inputs: &[Shape]) -> Result<Shape, Problem> {
        match (self.class.as_str(), inputs) {
            (class, inputs) if ELEMENTWISE.contains(&class) => broadcast(inputs),
            (class, [input]) if REDUCTIONS.contains(&class) => self.reduced(input),
            ("Concatenate", inputs) => {
                concatenated(inputs, self.config.get("axis").and_then(Value::as_i64).unwrap_or(-1))
            }
            (class, _) => Err(Problem::shape(format!(
                "the operation '{class}' has no rule for its shape here, and no other layer reads its output; put a layer behind it"
            ))),
        }
    }
}

impl LayerSpec for Operation {
    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Problem> {
        if self.outputs.is_empty() {
            Ok(vec![self.inferred(inputs)?])
        } else {
            Ok(self.outputs.clone())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(class: &str, config: Value, inputs: &[Shape], expected: &str) {
        let config = config.as_object().cloned().unwrap_or_default();
        let operation = Operation {
            module: "keras.src.ops.numpy".to_owned(),
            class: class.to_owned(),
            config,
            outputs: Vec::new(),
        };
        let found = operation.output_shapes(inputs).map(|shapes| shapes[0].to_string());
        assert_eq!(found.as_deref(), Ok(expected));
    }

    #[test]
    fn shapes_that_no_consumer_states_follow_the_rules() {
        let input = || Shape::batched([6, 4]);
        check("Add", json!({}), &[input(), Shape::from([4])], "(None, 6, 4)");
        check("Mean", json!({ "axis": 1 }), &[input()], "(None, 4)");
        check(
            "Max",
            json!({ "axis": [1, -1], "keepdims": true }),
            &[input()],
            "(None, 1, 1)",
        );
        check(
            "Concatenate",
            json!({ "axis": 1 }),
            &[input(), input()],
            "(None, 12, 4)",
        );
    }
}
