//! The text form, read by recursive descent.
//!
//! ```text
//! pipeline := step ("|" step)*
//! step     := action ("@" number)?
//! action   := name [ "(" arguments ")" ] | "one_of" "(" branches ")" | "some_of" "(" number "," branches ")" | "(" pipeline ")"
//! branches := pipeline ("," pipeline)*
//! argument := value | name "=" value
//! value    := number | name | "true" | "false" | "none" | "[" value ("," value)* "]" | "(" value ("," value)* ")"
//! ```

mod mixing;

use std::ops::Range;

use serde_json::Value;

use super::mixing::check_order;
use super::{Action, MAX_DEPTH, Mix, Step};
use crate::error::{Error, Result};
use crate::range::ValueRange;
use crate::transform::{Entry, did_you_mean, find, nearest};

/// The longest text that is read, in bytes.
const MAX_LENGTH: usize = 1 << 16;

/// The steps of a text.
pub(super) fn parse(text: &str, value_range: ValueRange) -> Result<Vec<Step>> {
    let mut parser = Parser {
        text,
        at: 0,
        value_range,
        order_at: 0..0,
    };
    if text.len() > MAX_LENGTH {
        return Err(parser.error(
            0..1,
            format!(
                "a pipeline of {} bytes is too long; the limit is {MAX_LENGTH}",
                text.len()
            ),
        ));
    }
    parser.skip_blanks();
    if parser.at == text.len() {
        return Ok(Vec::new());
    }
    let steps = parser.pipeline(0)?;
    if parser.at < text.len() {
        let message = "expected `|` and another step, `@` and a probability, or the end".to_owned();
        return Err(parser.unexpected(message));
    }
    check_order(&steps).map_err(|error| parser.error(parser.order_at.clone(), error.to_string()))?;
    Ok(steps)
}

struct Parser<'a> {
    text: &'a str,
    /// Byte offset of the next character that is not blank.
    at: usize,
    value_range: ValueRange,
    /// Where the first step that blends samples is written.
    order_at: Range<usize>,
}

impl<'a> Parser<'a> {
    fn pipeline(&mut self, depth: usize) -> Result<Vec<Step>> {
        if depth > MAX_DEPTH {
            return Err(self.unexpected(format!("branches may be nested {MAX_DEPTH} deep")));
        }
        let mut steps = vec![self.step(depth)?];
        while self.eat('|') {
            steps.push(self.step(depth)?);
        }
        Ok(steps)
    }

    fn step(&mut self, depth: usize) -> Result<Step> {
        let action = self.action(depth)?;
        let mut probability = 1.0;
        if self.eat('@') {
            let start = self.at;
            probability = self
                .number()?
                .ok_or_else(|| self.unexpected("expected a probability after `@`".into()))?;
            if !(0.0..=1.0).contains(&probability) {
                let message = format!("the probability {probability} is not between 0 and 1");
                return Err(self.error(start..self.end_of_token(start), message));
            }
        }
        Ok(Step { action, probability })
    }

    fn action(&mut self, depth: usize) -> Result<Action> {
        if self.eat('(') {
            let steps = self.pipeline(depth + 1)?;
            self.expect(')', "to close the group")?;
            return Ok(Action::Group(steps));
        }
        let start = self.at;
        let name = self.word();
        let span = start..start + name.len();
        match name {
            "" => Err(self.unexpected("expected a transformation".into())),
            "one_of" => {
                self.expect('(', "and the branches of one_of")?;
                Ok(Action::OneOf(self.branches(depth)?))
            }
            "some_of" => {
                self.expect('(', "and the number of branches of some_of")?;
                let number_at = self.at;
                let count = self.number()?.filter(|n| n.fract() == 0.0 && (0.0..=1e6).contains(n));
                let count = count.ok_or_else(|| {
                    let end = self.end_of_token(number_at);
                    self.error(
                        number_at..end,
                        "some_of needs to know how many: some_of(2, a, b, c)".into(),
                    )
                })? as usize;
                let number = number_at..self.end_of_token(number_at);
                self.expect(',', "and the branches of some_of")?;
                let branches = self.branches(depth)?;
                if count > branches.len() {
                    return Err(self.error(number, format!("cannot choose {count} of {} branches", branches.len())));
                }
                Ok(Action::SomeOf { count, branches })
            }
            _ => {
                if let Some(known) = Mix::KNOWN
                    .iter()
                    .find(|(text, class, _)| name == *text || name == *class)
                {
                    return self.mix(*known, span);
                }
                let Some(entry) = find(name) else {
                    let message = format!("there is no transformation `{}`{}", shorten(name), did_you_mean(name));
                    return Err(self.error(span, message));
                };
                self.transform(entry, span)
            }
        }
    }

    /// Branches up to and including the closing parenthesis.
    fn branches(&mut self, depth: usize) -> Result<Vec<Vec<Step>>> {
        let mut branches = vec![self.pipeline(depth + 1)?];
        while self.eat(',') {
            branches.push(self.pipeline(depth + 1)?);
        }
        self.expect(')', "or `,` and another branch")?;
        Ok(branches)
    }

    fn transform(&mut self, entry: &'static Entry, name: Range<usize>) -> Result<Action> {
        let arguments = if self.eat('(') {
            self.arguments(entry)?
        } else {
            Vec::new()
        };
        for &required in &entry.arguments[..entry.required] {
            if !arguments.iter().any(|(given, ..)| *given == required) {
                let all = entry.arguments.join(", ");
                let message = format!(
                    "{} needs the argument `{required}`; its arguments are {all}",
                    entry.name
                );
                return Err(self.error(name, message));
            }
        }
        let mut config = entry.default_config();
        if let Some(slot) = config.get_mut("value_range") {
            *slot = serde_json::json!([self.value_range.low, self.value_range.high]);
        }
        // One argument after the other, so that a value of the wrong kind is found at its place.
        for (argument, value, span) in &arguments {
            config[*argument] = value.clone();
            if entry.read(config.clone()).is_err() {
                let mut message = format!(
                    "`{argument}` of {} cannot be {}",
                    entry.name,
                    shorten(&self.text[span.clone()])
                );
                message.push_str(&expectation(entry, argument, value));
                return Err(self.error(span.clone(), message));
            }
        }
        let transform = entry
            .read(config)
            .map_err(|message| self.error(name.clone(), message))?;
        transform.check().map_err(|error| {
            let named = match &error {
                Error::Argument { argument, .. } => arguments.iter().find(|(given, ..)| given == argument),
                _ => None,
            };
            let span = named.map_or(name, |(_, _, span)| span.clone());
            self.error(span, error.to_string())
        })?;
        Ok(Action::Transform(transform))
    }

    /// Arguments up to and including the closing parenthesis: name, value and where it is written.
    fn arguments(&mut self, entry: &'static Entry) -> Result<Vec<(&'static str, Value, Range<usize>)>> {
        let mut arguments: Vec<(&'static str, Value, Range<usize>)> = Vec::new();
        let mut named = false;
        if self.eat(')') {
            return Ok(arguments);
        }
        loop {
            let start = self.at;
            let word = self.word();
            let name = if !word.is_empty() && self.eat('=') {
                named = true;
                let known = entry.arguments.iter().copied().find(|&a| a == word);
                known.ok_or_else(|| self.error(start..start + word.len(), unknown_argument(entry, word)))?
            } else {
                self.at = start;
                let position = arguments.len();
                if named {
                    return Err(self.unexpected("an argument without a name cannot follow one with a name".into()));
                }
                *entry.arguments.get(position).ok_or_else(|| {
                    let all = entry.arguments.join(", ");
                    self.unexpected(format!("{} has {} arguments: {all}", entry.name, entry.arguments.len()))
                })?
            };
            if arguments.iter().any(|(given, ..)| *given == name) {
                return Err(self.error(
                    start..start + word.len().max(1),
                    format!("the argument `{name}` is given twice"),
                ));
            }
            let start = self.at;
            let value = self.value(0)?;
            let end = start + self.text[start..self.at].trim_end().len();
            arguments.push((name, value, start..end));
            if !self.eat(',') {
                self.expect(')', "or `,` and another argument")?;
                return Ok(arguments);
            }
        }
    }

    fn value(&mut self, depth: usize) -> Result<Value> {
        let close = match self.peek() {
            Some('[') => ']',
            Some('(') => ')',
            _ => return self.scalar(),
        };
        if depth > 1 {
            return Err(self.unexpected("lists may be nested twice".into()));
        }
        self.advance();
        let mut items = Vec::new();
        if !self.eat(close) {
            loop {
                items.push(self.value(depth + 1)?);
                if !self.eat(',') {
                    break;
                }
            }
            self.expect(close, "or `,` and another value")?;
        }
        Ok(Value::Array(items))
    }

    fn scalar(&mut self) -> Result<Value> {
        if let Some(number) = self.number()? {
            // Whole numbers stay integers, for sizes.
            return Ok(if number.fract() == 0.0 && number.abs() < 9e15 {
                Value::from(number as i64)
            } else {
                Value::from(number)
            });
        }
        match self.word() {
            "" => Err(self.unexpected("expected a value".into())),
            "true" => Ok(Value::Bool(true)),
            "false" => Ok(Value::Bool(false)),
            "none" | "None" | "null" => Ok(Value::Null),
            name => Ok(Value::String(name.to_owned())),
        }
    }

    fn number(&mut self) -> Result<Option<f64>> {
        if !self
            .peek()
            .is_some_and(|c| c.is_ascii_digit() || matches!(c, '-' | '+' | '.'))
        {
            return Ok(None);
        }
        let start = self.at;
        let end = self.end_of_token(start);
        let number = self.text[start..end].parse::<f64>().ok().filter(|x| x.is_finite());
        let number = number.ok_or_else(|| {
            self.error(
                start..end,
                format!("`{}` is no number", shorten(&self.text[start..end])),
            )
        })?;
        self.at = end;
        self.skip_blanks();
        Ok(Some(number))
    }

    /// A name of letters, digits and `_`, or nothing.
    fn word(&mut self) -> &'a str {
        let rest = &self.text[self.at..];
        let length = rest
            .find(|c: char| !(c.is_alphanumeric() || c == '_'))
            .unwrap_or(rest.len());
        self.at += length;
        self.skip_blanks();
        &rest[..length]
    }

    /// Where the number or name at `start` ends, in bytes; at least one character further.
    fn end_of_token(&self, start: usize) -> usize {
        let rest = &self.text[start..];
        let inside = |i: usize, c: char| {
            // A sign belongs to a number at its beginning and behind an exponent's `e`.
            let sign = matches!(c, '-' | '+') && (i == 0 || rest[..i].ends_with(['e', 'E']));
            c.is_alphanumeric() || c == '_' || c == '.' || sign
        };
        let length = rest
            .char_indices()
            .find(|&(i, c)| !inside(i, c))
            .map_or(rest.len(), |(i, _)| i);
        start + length.max(rest.chars().next().map_or(0, char::len_utf8))
    }

    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn advance(&mut self) {
        self.at += self.peek().map_or(0, char::len_utf8);
        self.skip_blanks();
    }

    fn eat(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        if found {
            self.advance();
        }
        found
    }

    fn expect(&mut self, wanted: char, why: &str) -> Result<()> {
        if self.eat(wanted) {
            Ok(())
        } else {
            Err(self.unexpected(format!("expected `{wanted}` {why}")))
        }
    }

    fn skip_blanks(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start().len();
    }

    /// An error at the next character.
    fn unexpected(&self, expected: String) -> Error {
        let found = self
            .peek()
            .map_or("the end".to_owned(), |c| format!("`{}`", c.escape_debug()));
        self.error(
            self.at..self.end_of_token(self.at).min(self.at + 1),
            format!("{expected}; found {found}"),
        )
    }

    /// An error at these bytes, with the line that they are in and carets below them.
    fn error(&self, span: Range<usize>, message: String) -> Error {
        let before = &self.text[..span.start];
        let line_start = before.rfind('\n').map_or(0, |i| i + 1);
        let line = self.text[line_start..].lines().next().unwrap_or("");
        let column = self.text[line_start..span.start].chars().count();
        let carets = self.text.get(span.clone()).map_or(1, |s| s.chars().count().max(1));
        // A window of the line, so that the carets stay in sight.
        let skip = column.saturating_sub(60);
        let shown: String = line
            .chars()
            .skip(skip)
            .take(100)
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        let carets = "^".repeat(carets.min(100));
        let excerpt = format!("  {}\n  {}{carets}", shown.trim_end(), " ".repeat(column - skip));
        Error::Syntax {
            message,
            position: before.chars().count(),
            excerpt,
        }
    }
}

fn unknown_argument(entry: &Entry, name: &str) -> String {
    let known = nearest(name, entry.arguments.iter().copied());
    let hint = match (known, entry.arguments) {
        (Some(argument), _) => format!("; did you mean `{argument}`?"),
        (None, []) => "; it has none".to_owned(),
        (None, all) => format!("; it has {}", all.join(", ")),
    };
    format!("{} has no argument `{}`{hint}", entry.name, shorten(name))
}

/// What would have fitted: the names that serde lists for a name, else the kind of the default.
fn expectation(entry: &Entry, argument: &str, value: &Value) -> String {
    let mut config = entry.default_config();
    let default = config[argument].clone();
    if let (Value::String(_), Value::String(found)) = (&default, value) {
        config[argument] = value.clone();
        let message = entry.read(config).err().unwrap_or_default();
        let names: Vec<&str> = message.split('`').skip(3).step_by(2).collect();
        if let Some(near) = nearest(found, names.iter().copied()) {
            return format!("; did you mean `{near}`?");
        }
        return format!("; it is one of {}", names.join(", "));
    }
    let kind = match default {
        Value::Bool(_) => "true or false",
        Value::String(_) => "a name",
        Value::Array(_) => "a list of numbers such as [0, 1]",
        Value::Number(n) if n.is_u64() => "a whole number",
        Value::Object(_) | Value::Null | Value::Number(_) => "a number, or a pair of numbers where a range is meant",
    };
    format!("; expected {kind}")
}

/// At most 40 characters of a text that is quoted in a message.
fn shorten(text: &str) -> String {
    let short: String = text.trim_end().chars().take(40).collect();
    if short.len() < text.trim_end().len() {
        format!("{short}...")
    } else {
        short
    }
}
