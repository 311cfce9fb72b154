//! The canonical text of a pipeline.

use std::fmt::{self, Display, Formatter, Write as _};

use serde_json::Value;

use super::{Action, Pipeline, Step};
use crate::transform::Transform;

impl Display for Pipeline {
    /// Required arguments without their names, optional ones by name where they differ from the default.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        steps(f, &self.steps)
    }
}

impl Display for Transform {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let entry = self.entry();
        let (config, default) = (self.config(), entry.default_config());
        write!(f, "{}(", entry.name)?;
        let mut separator = "";
        for (i, &name) in entry.arguments.iter().enumerate() {
            let value = &config[name];
            // A flip's mode is clear without its name.
            let positional = i < entry.required || (i == 0 && value.is_string());
            if i >= entry.required && *value == default[name] {
                continue;
            }
            f.write_str(separator)?;
            separator = ", ";
            if !positional {
                write!(f, "{name}=")?;
            }
            argument(f, value)?;
        }
        f.write_char(')')
    }
}

fn steps(f: &mut Formatter<'_>, all: &[Step]) -> fmt::Result {
    for (i, step) in all.iter().enumerate() {
        if i > 0 {
            f.write_str(" | ")?;
        }
        match &step.action {
            Action::Transform(transform) => transform.fmt(f)?,
            Action::OneOf(of) => {
                f.write_str("one_of(")?;
                branches(f, of)?;
            }
            Action::SomeOf { count, branches: of } => {
                write!(f, "some_of({count}, ")?;
                branches(f, of)?;
            }
            Action::Mix(mix) => {
                let (name, _, of) = mix.known();
                write!(f, "{name}(")?;
                argument(f, &mix.config()[of])?;
                f.write_char(')')?;
            }
            Action::Group(group) => {
                f.write_char('(')?;
                steps(f, group)?;
                f.write_char(')')?;
            }
        }
        if step.probability != 1.0 {
            write!(f, " @ {}", step.probability)?;
        }
    }
    Ok(())
}

fn branches(f: &mut Formatter<'_>, branches: &[Vec<Step>]) -> fmt::Result {
    for (i, branch) in branches.iter().enumerate() {
        if i > 0 {
            f.write_str(", ")?;
        }
        steps(f, branch)?;
    }
    f.write_char(')')
}

fn argument(f: &mut Formatter<'_>, value: &Value) -> fmt::Result {
    match value {
        Value::Null => f.write_str("none"),
        Value::String(name) => f.write_str(name),
        Value::Number(number) => match number.as_f64() {
            // `0` rather than `0.0`, as one writes it.
            Some(x) if x.fract() == 0.0 && x.abs() < 1e15 => write!(f, "{x:.0}"),
            _ => write!(f, "{number}"),
        },
        Value::Array(items) => {
            f.write_char('[')?;
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    f.write_str(", ")?;
                }
                argument(f, item)?;
            }
            f.write_char(']')
        }
        other => write!(f, "{other}"),
    }
}
