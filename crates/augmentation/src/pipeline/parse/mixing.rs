//! `mixup(alpha)` and `cutmix(factor)`.

use std::ops::Range;

use serde_json::{Map, Value};

use super::{Parser, shorten};
use crate::error::Result;
use crate::pipeline::{Action, Mix};

impl Parser<'_> {
    /// The step behind a name, with the one argument that it may have.
    pub(super) fn mix(
        &mut self,
        (name, class_name, argument): (&'static str, &'static str, &'static str),
        span: Range<usize>,
    ) -> Result<Action> {
        if self.order_at.is_empty() {
            self.order_at = span;
        }
        let mut config = Map::new();
        let mut value_at = self.at..self.at;
        if self.eat('(') && !self.eat(')') {
            let start = self.at;
            let word = self.word();
            if word == argument && self.eat('=') {
                // Its name, which may be written.
            } else if !word.is_empty() && self.eat('=') {
                let message = format!("{name} has no argument `{}`; it has {argument}", shorten(word));
                return Err(self.error(start..start + word.len(), message));
            } else {
                self.at = start;
            }
            let start = self.at;
            let value = self.value(0)?;
            value_at = start..start + self.text[start..self.at].trim_end().len();
            config.insert(argument.to_owned(), value);
            self.expect(')', &format!("; {name} has one argument, {argument}"))?;
        }
        let Some(Ok(mix)) = Mix::read(class_name, Value::Object(config)) else {
            let written = shorten(&self.text[value_at.clone()]);
            let message = format!("`{argument}` of {name} cannot be {written}; expected a number between 0 and 1");
            return Err(self.error(value_at, message));
        };
        mix.check()
            .map_err(|error| self.error(value_at.clone(), error.to_string()))?;
        Ok(Action::Mix(mix))
    }
}
