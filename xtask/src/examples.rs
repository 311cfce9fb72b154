//! `cargo xtask examples`: every example of every crate runs to its end.
//!
//! An example is a real job that fits on a screen, and needs no argument. Measuring tools, which `cargo xtask bench` starts with
//! arguments, are listed by name; nothing else is left out, and a crate without an example is a fault.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::cargo;

/// Examples that measure, study for an hour, or show every part of a crate for its tests.
const MEASURING: [(&str, &str); 7] = [
    ("augmentation", "augment_speed"),
    ("optimizers", "step_speed"),
    ("persistence", "persist"),
    ("training", "cats_vs_dogs"),
    ("training", "step_overhead"),
    ("training", "train_speed"),
    ("report", "sample"),
];

/// A longer example is no job to read over a cup of coffee.
const LONGEST: usize = 60;

/// Builds and runs the examples of the packages, of all where none is named.
#[expect(clippy::print_stdout, reason = "xtask talks to the person who runs it")]
pub(crate) fn run(packages: &[String]) -> Result<ExitCode> {
    let examples = examples(packages)?;
    let mut faults = Vec::new();
    for (package, found) in &examples {
        if found.is_empty() {
            faults.push(format!("the crate {package} has no example"));
        }
        for (name, path) in found {
            let lines = fs::read_to_string(path).with_context(|| path.clone())?.lines().count();
            if lines > LONGEST {
                faults.push(format!("{path} has {lines} lines (at most {LONGEST})"));
            }
            let words = ["--example", name.as_str()];
            let Some(program) = cargo::build(package, &words, &[])? else {
                faults.push(format!("the example {name} of {package} cannot be built"));
                continue;
            };
            // Away from the repository: what an example writes is no part of it.
            let folder = cargo::target_folder()?.join("examples-run");
            fs::create_dir_all(&folder).context("a folder for what examples write")?;
            let output = Command::new(&program)
                .current_dir(&folder)
                .stdin(Stdio::null())
                .output()
                .with_context(|| format!("{} could not be started", program.display()))?;
            let last = String::from_utf8_lossy(&output.stdout)
                .trim_end()
                .lines()
                .last()
                .unwrap_or_default()
                .to_string();
            if !output.status.success() {
                let error = String::from_utf8_lossy(&output.stderr).trim().to_string();
                faults.push(format!(
                    "the example {name} of {package} failed ({}): {error}",
                    output.status
                ));
            } else if last.is_empty() {
                faults.push(format!("the example {name} of {package} printed nothing"));
            } else {
                let last: String = last.chars().take(100).collect();
                println!("examples: {package} {name}: {last}");
            }
        }
    }
    for fault in &faults {
        println!("examples: {fault}");
    }
    let count: usize = examples.values().map(Vec::len).sum();
    println!("examples: {count} run, {} faults", faults.len());
    Ok(if faults.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// For each library its examples that are no measuring tools: name and source.
fn examples(packages: &[String]) -> Result<BTreeMap<String, Vec<(String, String)>>> {
    let metadata = cargo::metadata()?;
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
    let mut found = BTreeMap::new();
    for package in list(&metadata["packages"]) {
        let name = text(&package["name"]);
        let targets = list(&package["targets"]);
        let is = |target: &Value, kind: &str| list(&target["kind"]).iter().any(|found| found == kind);
        if !targets.iter().any(|target| is(target, "lib")) || !packages.is_empty() && !packages.contains(&name) {
            continue;
        }
        let examples = targets
            .iter()
            .filter(|target| is(target, "example"))
            .map(|target| (text(&target["name"]), text(&target["src_path"])))
            .filter(|(example, _)| !MEASURING.contains(&(name.as_str(), example.as_str())));
        let examples = examples.collect();
        found.insert(name, examples);
    }
    if let Some(unknown) = packages.iter().find(|package| !found.contains_key(*package)) {
        bail!("there is no library `{unknown}` in this workspace");
    }
    Ok(found)
}
