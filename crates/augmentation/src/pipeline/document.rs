//! Pipelines as JSON documents.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::mixing::check_order;
use super::{Action, MAX_DEPTH, Mix, Pipeline, Step, check_steps};
use crate::error::{Error, Result};
use crate::transform::Transform;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PipelineDocument {
    steps: Vec<StepDocument>,
    #[serde(default = "yes")]
    merge_affine: bool,
}

/// Exactly one of `class_name`, `one_of`, `some_of` and `group`.
#[derive(Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct StepDocument {
    #[serde(skip_serializing_if = "Option::is_none")]
    class_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    config: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    one_of: Option<Vec<Vec<StepDocument>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    some_of: Option<Vec<Vec<StepDocument>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<Vec<StepDocument>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    probability: Option<f64>,
}

fn yes() -> bool {
    true
}

impl Pipeline {
    /// The pipeline as JSON: `{"steps": [{"class_name": "RandomFlip", "config": {...}, "probability": 0.5}, ...]}`, with
    /// `one_of`, `some_of` (and `count`) or `group` in the place of `class_name` and `config`.
    pub fn to_json(&self) -> Value {
        let document = PipelineDocument {
            steps: documents(&self.steps),
            merge_affine: self.merge_affine,
        };
        // Plain structs with string keys: serialising them cannot fail.
        serde_json::to_value(document).unwrap_or(Value::Null)
    }

    /// Reads what [`Pipeline::to_json`] wrote; optional arguments may be missing.
    ///
    /// # Errors
    /// [`Error::Json`] with the place for unknown keys, classes or arguments and for values of the wrong kind or out of
    /// range.
    pub fn from_json(value: &Value) -> Result<Self> {
        let document = PipelineDocument::deserialize(value).map_err(|e| Error::Json {
            place: "pipeline".into(),
            message: e.to_string(),
        })?;
        let steps = read_steps(document.steps, "steps", 0)?;
        check_steps(&steps, 0)?;
        check_order(&steps)?;
        Ok(Self {
            steps,
            merge_affine: document.merge_affine,
        })
    }
}

fn documents(steps: &[Step]) -> Vec<StepDocument> {
    let branches = |branches: &[Vec<Step>]| Some(branches.iter().map(|b| documents(b)).collect());
    let document = |step: &Step| {
        let mut document = StepDocument::default();
        match &step.action {
            Action::Transform(transform) => {
                document.class_name = Some(transform.entry().class_name.to_owned());
                document.config = Some(transform.config());
            }
            Action::Mix(mix) => {
                document.class_name = Some(mix.known().1.to_owned());
                document.config = Some(mix.config());
            }
            Action::OneOf(of) => document.one_of = branches(of),
            Action::SomeOf { count, branches: of } => {
                document.count = Some(*count);
                document.some_of = branches(of);
            }
            Action::Group(steps) => document.group = Some(documents(steps)),
        }
        document.probability = (step.probability != 1.0).then_some(step.probability);
        document
    };
    steps.iter().map(document).collect()
}

fn read_steps(steps: Vec<StepDocument>, place: &str, depth: usize) -> Result<Vec<Step>> {
    if depth > MAX_DEPTH {
        let message = format!("branches may be nested {MAX_DEPTH} deep");
        return Err(Error::Json {
            place: place.to_owned(),
            message,
        });
    }
    let read = |(i, step)| read_step(step, &format!("{place}[{i}]"), depth);
    steps.into_iter().enumerate().map(read).collect()
}

fn read_step(step: StepDocument, place: &str, depth: usize) -> Result<Step> {
    let fail = |message: &str| Error::Json {
        place: place.to_owned(),
        message: message.to_owned(),
    };
    let branches = |of: Vec<Vec<StepDocument>>, name: &str| -> Result<Vec<Vec<Step>>> {
        let read = |(i, branch)| read_steps(branch, &format!("{place}.{name}[{i}]"), depth + 1);
        of.into_iter().enumerate().map(read).collect()
    };
    let StepDocument {
        class_name,
        config,
        one_of,
        count,
        some_of,
        group,
        probability,
    } = step;
    let action = match (class_name, one_of, some_of, group) {
        (Some(class_name), None, None, None) => {
            let config = config.unwrap_or_else(|| Value::Object(Map::new()));
            if let Some(mix) = Mix::read(&class_name, config.clone()) {
                let mix = mix.map_err(|message| fail(&format!("{class_name}: {message}")))?;
                mix.check().map_err(|error| fail(&error.to_string()))?;
                return finish(Action::Mix(mix), probability, count, place);
            }
            let transform = Transform::from_config(&class_name, config).map_err(|error| match error {
                Error::Json { place: class, message } => Error::Json {
                    place: place.to_owned(),
                    message: format!("{class}: {message}"),
                },
                other => Error::Json {
                    place: place.to_owned(),
                    message: other.to_string(),
                },
            })?;
            return finish(Action::Transform(transform), probability, count, place);
        }
        _ if config.is_some() => return Err(fail("`config` belongs to `class_name`")),
        (None, Some(of), None, None) => Action::OneOf(branches(of, "one_of")?),
        (None, None, Some(of), None) => {
            let count = count.ok_or_else(|| fail("`some_of` needs `count`"))?;
            let action = Action::SomeOf {
                count,
                branches: branches(of, "some_of")?,
            };
            return finish(action, probability, None, place);
        }
        (None, None, None, Some(steps)) => Action::Group(read_steps(steps, &format!("{place}.group"), depth + 1)?),
        _ => {
            return Err(fail(
                "a step has exactly one of `class_name`, `one_of`, `some_of` and `group`",
            ));
        }
    };
    finish(action, probability, count, place)
}

fn finish(action: Action, probability: Option<f64>, stray_count: Option<usize>, place: &str) -> Result<Step> {
    if stray_count.is_some() {
        return Err(Error::Json {
            place: place.to_owned(),
            message: "`count` belongs to `some_of`".into(),
        });
    }
    Ok(Step {
        action,
        probability: probability.unwrap_or(1.0),
    })
}
