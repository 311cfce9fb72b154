//! Operations of `keras.ops` that a functional graph holds as nodes.
//!
//! A configuration states the shape of every tensor that another layer reads; the rules here give those that nobody
//! reads (the outputs of the model) and those of nested models that are called on other shapes. Source of each rule:
//! `compute_output_spec` of the class in `keras.src.ops`.

mod call;
mod contraction;
mod elementwise;
mod images;
mod indexing;
mod names;
mod rearranging;
mod reduction;

use super::LayerSpec;
use crate::{Shape, error::Problem};
use call::{Call, Outputs};
pub(crate) use names::module_of;
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
    pub outputs: Vec<Option<Shape>>,
}

/// The families of operations; the first that knows a class answers.
const RULES: &[fn(&Call<'_>) -> Outputs] = &[
    elementwise::outputs,
    reduction::outputs,
    rearranging::outputs,
    indexing::outputs,
    images::outputs,
    contraction::outputs,
];

impl Operation {
    /// The shapes by the rule of the operation; none for a class without a rule.
    fn inferred(&self, inputs: &[Shape], arguments: Option<&Value>) -> Result<Vec<Shape>, Problem> {
        let call = Call::new(&self.class, &self.config, inputs, arguments)?;
        for rule in RULES {
            if let Some(shapes) = rule(&call)? {
                return Ok(shapes);
            }
        }
        Ok(Vec::new())
    }
}

impl LayerSpec for Operation {
    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Problem> {
        self.called(inputs, None)
    }

    fn called(&self, inputs: &[Shape], arguments: Option<&Value>) -> Result<Vec<Shape>, Problem> {
        let inferred = self.inferred(inputs, arguments);
        if self.outputs.is_empty() {
            return inferred;
        }
        // What Keras computed goes first; a rule may know further outputs.
        let mut shapes = inferred.unwrap_or_default();
        for (index, stated) in self.outputs.iter().enumerate() {
            match (shapes.get_mut(index), stated) {
                (Some(shape), Some(stated)) => *shape = stated.clone(),
                (Some(_), None) => {}
                (None, stated) => shapes.push(stated.clone().unwrap_or_default()),
            }
        }
        Ok(shapes)
    }

    fn recalled(&self, inputs: &[Shape], arguments: Option<&Value>) -> Result<Vec<Shape>, Problem> {
        match self.inferred(inputs, arguments)? {
            shapes if shapes.is_empty() => self.called(inputs, arguments),
            shapes => Ok(shapes),
        }
    }

    fn may_be_unknown(&self) -> bool {
        true
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    pub(super) fn check(class: &str, config: Value, inputs: &[Shape], expected: &str) {
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
