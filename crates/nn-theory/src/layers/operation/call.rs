//! What an operation was called with: tensors, constants and lists of both.

use crate::{Shape, error::Problem, keras_json::ConfigValue};
use serde_json::{Map, Value};

/// One argument of a call.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Argument {
    /// A tensor of the graph.
    Tensor(Shape),
    /// Several arguments in a list.
    List(Vec<Argument>),
    /// Anything else, as the configuration has it.
    Constant(Value),
}

impl Argument {
    /// Reads an argument; `shapes` are those of the tensors that are still to come.
    fn read(value: &Value, shapes: &mut std::slice::Iter<'_, Shape>) -> Result<Self, Problem> {
        Ok(match value {
            Value::Array(items) => Self::List(
                items
                    .iter()
                    .map(|item| Self::read(item, shapes))
                    .collect::<Result<_, _>>()?,
            ),
            Value::Object(object) if object.get("class_name").and_then(Value::as_str) == Some("__keras_tensor__") => {
                let shape = shapes
                    .next()
                    .ok_or_else(|| Problem::key("inbound_nodes", "holds more tensors than the call reads"))?;
                Self::Tensor(shape.clone())
            }
            other => Self::Constant(other.clone()),
        })
    }

    /// The shape of a tensor, or of the array that a constant stands for; `None` for what is no array.
    pub(super) fn shape(&self) -> Option<Shape> {
        match self {
            Self::Tensor(shape) => Some(shape.clone()),
            Self::List(items) => {
                let mut dims = vec![Some(items.len() as u64)];
                if let Some(first) = items.first() {
                    dims.extend(first.shape()?.0);
                }
                Some(Shape(dims))
            }
            Self::Constant(value) => constant_shape(value),
        }
    }

    fn tensors<'a>(&'a self, found: &mut Vec<&'a Shape>) {
        match self {
            Self::Tensor(shape) => found.push(shape),
            Self::List(items) => items.iter().for_each(|item| item.tensors(found)),
            Self::Constant(_) => {}
        }
    }
}

/// The shape of the array that a constant stands for: a number has none, a list one dimension a level.
fn constant_shape(value: &Value) -> Option<Shape> {
    match value {
        Value::Number(_) | Value::Bool(_) => Some(Shape::default()),
        Value::Array(items) => {
            let mut dims = vec![Some(items.len() as u64)];
            if let Some(first) = items.first() {
                dims.extend(constant_shape(first)?.0);
            }
            Some(Shape(dims))
        }
        // {"class_name": "__tensor__", "config": {"value": [..], "dtype": ".."}}
        Value::Object(object) => constant_shape(object.get("config")?.get("value")?),
        Value::String(_) | Value::Null => None,
    }
}

/// A call of an operation.
pub(super) struct Call<'a> {
    pub(super) class: &'a str,
    pub(super) config: &'a Map<String, Value>,
    pub(super) arguments: Vec<Argument>,
    pub(super) named: Vec<(String, Argument)>,
}

/// What a rule says: the shapes of the results, or `None` for a class that it does not know.
pub(super) type Outputs = Result<Option<Vec<Shape>>, Problem>;

impl<'a> Call<'a> {
    pub(super) fn new(
        class: &'a str,
        config: &'a Map<String, Value>,
        inputs: &[Shape],
        arguments: Option<&Value>,
    ) -> Result<Self, Problem> {
        let mut shapes = inputs.iter();
        let mut call = Self {
            class,
            config,
            arguments: Vec::new(),
            named: Vec::new(),
        };
        match arguments.and_then(Value::as_object) {
            Some(object) => {
                for value in object.get("args").and_then(Value::as_array).into_iter().flatten() {
                    call.arguments.push(Argument::read(value, &mut shapes)?);
                }
                for (name, value) in object.get("kwargs").and_then(Value::as_object).into_iter().flatten() {
                    call.named.push((name.clone(), Argument::read(value, &mut shapes)?));
                }
            }
            None => call.arguments = inputs.iter().cloned().map(Argument::Tensor).collect(),
        }
        Ok(call)
    }

    /// All tensors, also those in lists.
    pub(super) fn tensors(&self) -> Vec<&Shape> {
        let mut found = Vec::new();
        self.arguments.iter().for_each(|argument| argument.tensors(&mut found));
        self.named.iter().for_each(|(_, argument)| argument.tensors(&mut found));
        found
    }

    /// The shape of a positional argument, tensor or constant.
    pub(super) fn operand(&self, index: usize) -> Result<Shape, Problem> {
        let shape = self.arguments.get(index).and_then(Argument::shape);
        shape.ok_or_else(|| Problem::shape(format!("needs a tensor as argument {}", index + 1)))
    }

    /// The shapes of all arguments that are arrays; a list of tensors counts as its tensors.
    pub(super) fn operands(&self) -> Vec<Shape> {
        let mut found = Vec::new();
        for argument in self
            .arguments
            .iter()
            .chain(self.named.iter().map(|(_, argument)| argument))
        {
            let mut tensors = Vec::new();
            argument.tensors(&mut tensors);
            match argument {
                Argument::List(_) if !tensors.is_empty() => found.extend(tensors.into_iter().cloned()),
                argument => found.extend(argument.shape()),
            }
        }
        found
    }

    /// A key of the configuration, where it is there and not null.
    pub(super) fn value<T: ConfigValue>(&self, key: &str) -> Result<Option<T>, Problem> {
        match self.config.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => T::read(value).map(Some).map_err(|problem| Problem::key(key, problem)),
        }
    }

    pub(super) fn required<T: ConfigValue>(&self, key: &str) -> Result<T, Problem> {
        self.value(key)?.ok_or_else(|| Problem::key(key, "is missing"))
    }

    /// The position of an axis that a key names in a shape.
    pub(super) fn axis_in(&self, key: &str, axis: i64, shape: &Shape) -> Result<usize, Problem> {
        shape
            .axis(axis)
            .ok_or_else(|| Problem::key(key, format!("must name an axis of {shape}, found {axis}")))
    }
}

/// The sum of sizes, or the error for one that leaves 64 bits.
pub(super) fn add(a: u64, b: u64) -> Result<u64, Problem> {
    a.checked_add(b)
        .ok_or_else(|| Problem::too_large("the size of an output"))
}

/// The product of sizes, or the error for one that leaves 64 bits.
pub(super) fn multiply(a: u64, b: u64) -> Result<u64, Problem> {
    a.checked_mul(b)
        .ok_or_else(|| Problem::too_large("the size of an output"))
}

/// As NumPy broadcasts; a free dimension follows a known one larger than 1 (`keras.src.backend.common.broadcast_shapes`).
pub(super) fn broadcast(shapes: &[Shape]) -> Result<Shape, Problem> {
    let mut result = Shape::default();
    for shape in shapes {
        let rank = result.rank().max(shape.rank());
        let at = |shape: &Shape, i: usize| (i + shape.rank()).checked_sub(rank).map_or(Some(1), |i| shape.0[i]);
        let mut dims = Vec::with_capacity(rank);
        for i in 0..rank {
            dims.push(match (at(&result, i), at(shape, i)) {
                (Some(1), other) | (other, Some(1)) | (None, other) | (other, None) => other,
                (a, b) if a == b => a,
                _ => {
                    return Err(Problem::shape(format!(
                        "cannot combine shapes {result} and {shape}; make them equal or 1 where they differ"
                    )));
                }
            });
        }
        result = Shape(dims);
    }
    Ok(result)
}
