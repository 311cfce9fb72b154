//! The cases of `bench augmentation`, as they are measured and as they are kept.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::programs::OURS;

/// Operation, shape, number format.
pub(crate) type What = (String, String, String);

/// The images a second of one operation in one turn of one library.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) what: What,
    pub(crate) library: String,
    /// Name and version, as the library says it.
    pub(crate) version: String,
    pub(crate) mode: String,
    pub(crate) round: u16,
    /// Each image has its own draws; else one draw serves a batch, which is less work and does not count.
    pub(crate) per_sample: bool,
    pub(crate) rate: f64,
    /// Bytes of images a second, and those that only reading and writing them takes.
    pub(crate) bytes: Option<(f64, f64)>,
    /// The share of all processors that other programs took in that turn.
    pub(crate) others: Option<f64>,
    line: Value,
}

impl Case {
    /// From a line that `augment_speed` or `augment.py` printed; `None` if a field is missing.
    pub(crate) fn new(library: &str, line: Value, round: u16, others: Option<f64>) -> Option<Self> {
        let text = |name: &str| Some(line[name].as_str()?.to_string());
        let bytes = line["bytes_per_s"].as_f64();
        Some(Self {
            what: (text("op")?, text("shape")?, text("dtype")?),
            library: library.to_string(),
            version: line["version"].as_str().unwrap_or_default().to_string(),
            mode: text("mode")?,
            round,
            per_sample: line["per_sample"].as_bool()?,
            rate: line["img_per_s"].as_f64()?,
            bytes: bytes.and_then(|bytes| Some((bytes, line["memory_bytes_per_s"].as_f64()?))),
            others,
            line,
        })
    }

    /// The line with what is known of its turn.
    fn record(&self) -> Value {
        let mut line = self.line.clone();
        line["lib"] = json!(self.library);
        line["round"] = json!(self.round);
        line["processors_taken_by_others"] = json!(self.others);
        line
    }

    /// The case of such a record.
    fn of_record(line: &Value) -> Option<Self> {
        let round = u16::try_from(line["round"].as_u64()?).ok()?;
        Self::new(
            line["lib"].as_str()?,
            line.clone(),
            round,
            line["processors_taken_by_others"].as_f64(),
        )
    }
}

/// All cases as they are kept in `augmentation.json`.
pub(crate) fn record(cases: &[Case], machine: &Value, threads: usize) -> Value {
    let mut libraries: Vec<Value> = Vec::new();
    for case in cases {
        let version = case.version.rsplit(' ').next().unwrap_or_default();
        let library = json!({"library": case.library, "version": version});
        if !libraries.contains(&library) {
            libraries.push(library);
        }
    }
    let cases: Vec<Value> = cases.iter().map(Case::record).collect();
    json!({"machine": machine, "threads": threads, "libraries": libraries, "cases": cases})
}

/// The cases of a record of the same machine and number of threads.
///
/// # Errors
/// Where it is of another one, or a case lacks a field.
pub(crate) fn kept(record: &Value, machine: &Value, threads: usize) -> Result<Vec<Case>> {
    for (what, known, now) in [
        ("machine", &record["machine"], machine),
        ("number of threads", &record["threads"], &json!(threads)),
    ] {
        ensure!(known == now, "the {what} was {known} and is {now} now");
    }
    let lines = record["cases"].as_array().into_iter().flatten();
    lines
        .map(|line| Case::of_record(line).context("a case lacks a field"))
        .collect()
}

/// The known cases with those that were measured now in the place of older ones; shape by shape, as a table made at once.
pub(crate) fn merged(known: Vec<Case>, measured: Vec<Case>) -> Vec<Case> {
    let old = |case: &Case| measured.iter().all(|new| new.what != case.what);
    let mut all: Vec<Case> = known.into_iter().filter(old).collect();
    all.extend(measured);
    let values = |shape: &str| -> usize { shape.split('x').filter_map(|side| side.parse::<usize>().ok()).product() };
    all.sort_by_key(|case| values(&case.what.1));
    all
}

/// Whether a library takes its turn at an operation: in the first round always; later, if it reached half of the fastest other library in
/// one of the number formats, so that rounds go where the comparison is close.
pub(crate) fn contends(cases: &[Case], library: &str, op: &str, shape: &str) -> bool {
    let of_case = |case: &&Case| case.round == 1 && case.what.0 == op && case.what.1 == shape && case.per_sample;
    let known: Vec<&Case> = cases.iter().filter(of_case).collect();
    if library == OURS || cases.iter().all(|case| case.library != library || case.what.1 != shape) {
        return true;
    }
    known.iter().filter(|case| case.library == library).any(|case| {
        let same = known
            .iter()
            .filter(|other| other.library != OURS && other.what == case.what);
        same.map(|other| other.rate).fold(0.0, f64::max) <= 2.0 * case.rate
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(library: &str, shape: &str, op: &str, round: u16, rate: f64, per_sample: bool) -> Case {
        let line = json!({
            "op": op, "version": format!("{library} 1.0"), "shape": shape, "dtype": "uint8", "mode": "call",
            "per_sample": per_sample, "img_per_s": rate,
        });
        Case::new(library, line, round, Some(0.25)).unwrap()
    }

    #[test]
    fn later_rounds_are_for_those_who_were_near() {
        let flip = |library, rate, per_sample| case(library, "32x32x3", "flip", 1, rate, per_sample);
        let cases = [
            flip(OURS, 900_000.0, true),
            flip("slow", 1000.0, true),
            flip("near", 60_000.0, true),
            flip("fast", 100_000.0, true),
            flip("cheat", 9e9, false),
        ];
        let contenders = [OURS, "slow", "near", "fast", "cheat"].map(|name| contends(&cases, name, "flip", "32x32x3"));
        assert_eq!(contenders, [true, false, true, true, false]);
        assert!(contends(&[], "slow", "flip", "32x32x3"));
        assert!(!contends(&cases, "fast", "invert", "32x32x3"));
    }

    #[test]
    fn a_table_can_be_made_in_parts() {
        let machine = json!({"processor": "one"});
        let known = vec![
            case("a", "224x224x3", "flip", 1, 1.0, true),
            case("a", "28x28x1", "flip", 1, 2.0, true),
            case("b", "28x28x1", "crop", 1, 3.0, true),
        ];
        let record = record(&known, &machine, 2);
        assert_eq!(
            record["libraries"],
            json!([{"library": "a", "version": "1.0"}, {"library": "b", "version": "1.0"}])
        );
        let again = kept(&record, &machine, 2).unwrap();
        assert_eq!(again[2].library, "b");
        assert_eq!(again[2].others, Some(0.25));
        // Flips of small images are measured anew, and the old ones are gone.
        let all = merged(again, vec![case("c", "28x28x1", "flip", 1, 5.0, true)]);
        let found: Vec<(&str, f64)> = all.iter().map(|case| (case.library.as_str(), case.rate)).collect();
        assert_eq!(found, [("b", 3.0), ("c", 5.0), ("a", 1.0)]);

        let error = kept(&record, &json!({"processor": "two"}), 2).unwrap_err().to_string();
        assert!(error.contains("machine") && error.contains("two"), "{error}");
        assert!(kept(&record, &machine, 3).is_err());
        let mut torn = record;
        torn["cases"][0]["img_per_s"] = json!("fast");
        assert!(kept(&torn, &machine, 2).is_err());
    }
}
