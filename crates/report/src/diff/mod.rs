//! Two runs side by side: what changed in answers, numbers, tables and figures.
//!
//! What is compared are records: the JSON files that a run wrote beside its page. Numbers are compared with a tolerance, also those
//! in the middle of a sentence or a cell; what took how long differs from run to run and is left out unless it is asked for.
//!
//! ```
//! use report::diff::{Kind, Options, compare};
//! use serde_json::json;
//!
//! let before = json!({"headline": "Adam reaches 96.0 %", "numbers": {"adam": 0.96, "runs": 5}});
//! let after = json!({"headline": "Adam reaches 97.0 %", "numbers": {"adam": 0.97, "runs": 5}});
//! let found = compare(&before, &after, &Options::default());
//! assert_eq!(found.differences.len(), 2);
//! assert_eq!((found.differences[1].kind, found.differences[1].place.as_str()), (Kind::Number, "adam"));
//! let close = compare(&before, &after, &Options { relative: 0.02, ..Options::default() });
//! assert!(close.differences.is_empty());
//! ```

mod figures;
mod tables;
mod text;
mod values;

use serde::Serialize;
use serde_json::Value;

/// What counts as a change.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// Numbers are the same where they differ by at most this share of the larger one.
    pub relative: f64,
    /// Numbers are the same where they differ by at most this, whatever their size.
    pub absolute: f64,
    /// Whether to compare how long things took, too.
    pub timings: bool,
}

impl Default for Options {
    /// What processors with other vector instructions may differ by: a millionth, and 1e-9 around zero.
    fn default() -> Self {
        Self {
            relative: 1e-6,
            absolute: 1e-9,
            timings: false,
        }
    }
}

impl Options {
    fn same(&self, before: f64, after: f64) -> bool {
        before == after || (before - after).abs() <= self.absolute + self.relative * before.abs().max(after.abs())
    }
}

/// Which part of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// What was asked for: seed, data, sizes.
    Setting,
    /// The answer in words, or whether there is one.
    Answer,
    /// A number of the answer.
    Number,
    /// A cell of a table, a row, or a whole table.
    Table,
    /// The points of a figure.
    Figure,
    /// How long something took.
    Timing,
}

impl Kind {
    /// Its name in a table.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Setting => "setting",
            Self::Answer => "answer",
            Self::Number => "number",
            Self::Table => "table",
            Self::Figure => "figure",
            Self::Timing => "timing",
        }
    }
}

/// One change.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    /// In which part of the record.
    pub kind: Kind,
    /// Where in this part: keys divided by ` › `.
    pub place: String,
    /// What stands there before; `None` where nothing does.
    pub before: Option<String>,
    /// What stands there after; `None` where nothing does.
    pub after: Option<String>,
    /// By how much a number changed, as a share of what it was before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change: Option<f64>,
}

/// What [`compare`] found.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Comparison {
    /// How many values were compared.
    pub compared: usize,
    /// What changed, in the order of [`Kind`] and of the first record.
    pub differences: Vec<Difference>,
}

/// Compares two records.
///
/// The keys `settings`, `numbers`, `tables`, `figures` and `timings` are read as the records of a report have them; every other key
/// is part of the answer. Tables and figures are found by their titles, rows by their first cells, series by their names, so that
/// what moved is no change.
#[must_use]
pub fn compare(before: &Value, after: &Value, options: &Options) -> Comparison {
    let mut found = Found {
        options: *options,
        comparison: Comparison::default(),
    };
    let (Value::Object(old), Value::Object(new)) = (before, after) else {
        values::compare(&mut found, Kind::Answer, "", Some(before), Some(after));
        return found.comparison;
    };
    let keys = old.keys().chain(new.keys().filter(|key| !old.contains_key(*key)));
    for key in keys {
        let (before, after) = (old.get(key), new.get(key));
        match key.as_str() {
            "settings" => values::compare(&mut found, Kind::Setting, "", before, after),
            "numbers" => values::compare(&mut found, Kind::Number, "", before, after),
            "timings" => values::compare(&mut found, Kind::Timing, "", before, after),
            "tables" => tables::compare(&mut found, before, after),
            "figures" => figures::compare(&mut found, before, after),
            key => values::compare(&mut found, Kind::Answer, key, before, after),
        }
    }
    found.comparison.differences.sort_by_key(|difference| difference.kind);
    found.comparison
}

/// What was found until now.
struct Found {
    options: Options,
    comparison: Comparison,
}

impl Found {
    /// Compares two texts, or two absences.
    fn text(&mut self, kind: Kind, place: &str, before: Option<&str>, after: Option<&str>) {
        self.comparison.compared += 1;
        let same = match (before, after) {
            (Some(before), Some(after)) => text::same(before, after, &self.options),
            (before, after) => before.is_none() && after.is_none(),
        };
        if !same {
            let change = text::change(before.unwrap_or_default(), after.unwrap_or_default());
            self.changed(kind, place, before.map(str::to_owned), after.map(str::to_owned), change);
        }
    }

    fn changed(&mut self, kind: Kind, place: &str, before: Option<String>, after: Option<String>, change: Option<f64>) {
        self.comparison.differences.push(Difference {
            kind,
            place: place.to_owned(),
            before,
            after,
            change,
        });
    }

    /// The kind of something that is named like this; `None` where it is not to be compared.
    fn kind(&self, kind: Kind, name: &str) -> Option<Kind> {
        let kind = if text::names_a_time(name) { Kind::Timing } else { kind };
        (kind != Kind::Timing || self.options.timings).then_some(kind)
    }
}

/// `place › key`.
fn join(place: &str, key: &str) -> String {
    if place.is_empty() {
        key.to_owned()
    } else {
        format!("{place} › {key}")
    }
}

/// Relative to what was before.
fn change(before: f64, after: f64) -> Option<f64> {
    Some((after - before) / before.abs()).filter(|change| change.is_finite())
}

/// Pairs what has the same name, the first with the first and the second with the second; what has no partner stands alone.
fn paired<'a, T>(
    before: &'a [T],
    after: &'a [T],
    name: impl Fn(&T) -> String,
) -> Vec<(String, Option<&'a T>, Option<&'a T>)> {
    let mut partners: Vec<Option<(String, &T)>> = after.iter().map(|item| Some((name(item), item))).collect();
    let mut pairs = Vec::new();
    for item in before {
        let wanted = name(item);
        let partner = partners
            .iter_mut()
            .find(|partner| partner.as_ref().is_some_and(|(name, _)| *name == wanted));
        let partner = partner.and_then(Option::take).map(|(_, item)| item);
        pairs.push((wanted, Some(item), partner));
    }
    pairs.extend(
        partners
            .into_iter()
            .flatten()
            .map(|(name, item)| (name, None, Some(item))),
    );
    pairs
}
