//! Summaries and counts captured from Keras 3.15: `$GOLDEN_DIR/summary`, or the copies beside this file.

use nn_theory::{ModelSpec, OptimizerSize, SummaryOptions};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// The folders of cases: captured ones, and those that `golden/make_summaries.py` makes.
fn folders() -> Vec<PathBuf> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    match std::env::var_os("GOLDEN_DIR") {
        Some(folder) => vec![Path::new(&folder).join("summary")],
        None => vec![own.join("summary"), own.join("generated")],
    }
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn json(path: &Path) -> Result<Value, String> {
    serde_json::from_str(&read(path)?).map_err(|error| format!("{}: {error}", path.display()))
}

fn options(text: &Value, counts: &Value) -> SummaryOptions {
    let args = &text["args"];
    let number = |value: &Value| value.as_u64().map(|value| value as usize);
    let range = args["layer_range"]
        .as_array()
        .map(|names| [0, 1].map(|i| names.get(i).and_then(Value::as_str).unwrap_or_default().to_owned()));
    SummaryOptions {
        line_length: number(&args["line_length"]),
        expand_nested: args["expand_nested"].as_bool().unwrap_or(false),
        show_trainable: args["show_trainable"].as_bool().unwrap_or(false),
        positions: args["positions"]
            .as_array()
            .map(|p| p.iter().filter_map(Value::as_f64).collect()),
        layer_range: range,
        console_columns: number(&text["console_columns"]),
        // Whether the optimizer was built, and with how many variables, is no part of the configuration.
        optimizer: counts["optimizer"].as_u64().map(|parameters| OptimizerSize {
            parameters,
            bytes: counts["bytes"]["optimizer"].as_u64().unwrap_or(0),
        }),
    }
}

/// The first line that differs.
fn difference(expected: &str, found: &str) -> String {
    let mut lines = (1..).zip(expected.lines().zip(found.lines()));
    match lines.find(|(_, (a, b))| a != b) {
        Some((line, (a, b))) => format!("line {line}\n      expected {a}\n      found    {b}"),
        None => format!(
            "{} lines expected, {} found",
            expected.lines().count(),
            found.lines().count()
        ),
    }
}

fn check_model(folder: &Path, name: &str, model: &ModelSpec, counts: &Value, round: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let found = model.counts();
    let optimizer = |value: &Value| value["optimizer"].as_u64().unwrap_or(0);
    for (key, found, bytes) in [
        (
            "total",
            found.total + optimizer(counts),
            found.total_bytes + optimizer(&counts["bytes"]),
        ),
        ("trainable", found.trainable, found.trainable_bytes),
        ("non_trainable", found.non_trainable, found.non_trainable_bytes),
    ] {
        if counts[key].as_u64() != Some(found) || counts["bytes"][key].as_u64() != Some(bytes) {
            problems.push(format!(
                "{name}{round}: {key} is {found} ({bytes} bytes), expected {} ({} bytes)",
                counts[key], counts["bytes"][key]
            ));
        }
    }
    let columns = if model.is_sequential_like() {
        "sequential-like"
    } else {
        "connected"
    };
    if counts["columns"].as_str() != Some(columns) {
        problems.push(format!(
            "{name}{round}: columns are {columns}, expected {}",
            counts["columns"]
        ));
    }
    for text in counts["texts"].as_array().into_iter().flatten() {
        let file = text["file"].as_str().unwrap_or_default();
        let result = read(&folder.join(file)).and_then(|expected| {
            Ok((
                expected,
                model.summary(&options(text, counts)).map_err(|e| e.to_string())?,
            ))
        });
        match result {
            Ok((expected, found)) if expected.trim_end_matches('\n') != found.trim_end_matches('\n') => {
                problems.push(format!("{name}{round}: {file}: {}", difference(&expected, &found)));
            }
            Ok(_) => {}
            Err(problem) => problems.push(format!("{name}{round}: {file}: {problem}")),
        }
    }
    check_weights(name, model, counts, &mut problems);
    // What a built optimizer stores follows from its configuration.
    if let (Some(parameters), Ok(Some(size))) = (counts["optimizer"].as_u64(), model.optimizer_size())
        && (parameters, counts["bytes"]["optimizer"].as_u64()) != (size.parameters, Some(size.bytes))
    {
        problems.push(format!(
            "{name}{round}: the optimizer has {size:?}, expected {parameters} in {} bytes",
            counts["bytes"]["optimizer"]
        ));
    }
    // Every formula must give the number that the table prints.
    let rows = model.explain();
    for (row, layer) in rows
        .iter()
        .filter(|row| row.depth == 0)
        .zip(counts["layers"].as_array().into_iter().flatten())
    {
        if layer["params"].as_u64().is_some_and(|params| params != row.params) {
            problems.push(format!(
                "{name}{round}: {}: {} parameters, expected {}",
                row.layer, row.params, layer["params"]
            ));
        }
    }
    problems
}

/// Shapes, formats and flags of the weights, in Keras' order.
fn check_weights(name: &str, model: &ModelSpec, counts: &Value, problems: &mut Vec<String>) {
    let found = model.weights();
    let expected: Vec<&Value> = counts["layers"]
        .as_array()
        .into_iter()
        .flatten()
        .flat_map(|layer| layer["weights"].as_array().into_iter().flatten())
        .collect();
    if found.len() != expected.len() {
        problems.push(format!("{name}: {} weights, expected {}", found.len(), expected.len()));
    }
    for (found, expected) in found.iter().zip(expected) {
        let shape: Vec<u64> = expected["shape"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_u64)
            .collect();
        let path = expected["path"].as_str().unwrap_or_default();
        // A weight without a name of its own gets one that counts all such weights of the session: `variable_3`.
        let last = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
        let unnamed = last(&found.path) == "variable" && last(path).starts_with("variable");
        let same_name = unnamed || last(path) == last(&found.path);
        let same = found.shape == shape
            && expected["dtype"].as_str() == Some(found.dtype.name())
            && expected["trainable"].as_bool() == Some(found.trainable)
            && same_name;
        if !same {
            problems.push(format!(
                "{name}: weight {} {:?} {} trainable={}, expected {expected}",
                found.path, found.shape, found.dtype, found.trainable
            ));
        }
    }
}

fn check_case(folder: &Path, path: &Path) -> Vec<String> {
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    let name = file.trim_end_matches(".counts.json").to_owned();
    let config = folder.join(format!("{name}.config.json"));
    let prepared = json(path).and_then(|counts| Ok((counts, read(&config)?)));
    let (counts, text) = match prepared {
        Ok(prepared) => prepared,
        Err(problem) => return vec![format!("{name}: {problem}")],
    };
    let model = match ModelSpec::from_keras_json(&text) {
        Ok(model) => model,
        Err(error) => return vec![format!("{name}: {error}")],
    };
    let mut problems = check_model(folder, &name, &model, &counts, "");
    match ModelSpec::from_keras_json(&model.to_keras_json()) {
        Ok(again) => problems.extend(check_model(folder, &name, &again, &counts, " (written and read again)")),
        Err(error) => problems.push(format!("{name}: written and read again: {error}")),
    }
    problems
}

#[test]
fn summaries_and_counts_are_those_of_keras() {
    let folders = folders();
    let mut cases: Vec<PathBuf> = folders
        .iter()
        .flat_map(|folder| fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())))
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.to_string_lossy().ends_with(".counts.json"))
        // A subclassed model has no graph in its configuration: there is nothing to count from.
        .filter(|path| {
            !json(path)
                .is_ok_and(|counts| !matches!(counts["model_class"].as_str(), Some("Sequential" | "Functional") | None))
        })
        .collect();
    cases.sort();
    assert!(!cases.is_empty(), "no cases in {folders:?}");
    let mut failed = 0;
    let mut report = String::new();
    for case in &cases {
        let problems = check_case(case.parent().unwrap_or(Path::new("")), case);
        failed += usize::from(!problems.is_empty());
        for problem in problems {
            report.push_str("\n  ");
            report.push_str(&problem);
        }
    }
    println!("golden: {} cases", cases.len());
    assert!(report.is_empty(), "{failed} of {} cases failed:{report}", cases.len());
}
