//! `cargo xtask examples`: every example of every crate runs to its end.
//!
//! An example is a real job that fits on a screen, and needs no argument. Measuring tools, which `cargo xtask bench` starts with
//! arguments, are listed by name; nothing else is left out, and a crate without an example is a fault.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::cargo;

/// Examples that measure, study for an hour, or show every part of a crate for its tests.
const MEASURING: [(&str, &str); 8] = [
    ("augmentation", "augment_speed"),
    ("optimizers", "step_speed"),
    ("persistence", "persist"),
    ("training", "augmentation_cost"),
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
    let Some(programs) = build(packages)? else {
        return Ok(ExitCode::FAILURE);
    };
    // Away from the repository: what an example writes is no part of it.
    let folder = cargo::target_folder()?.join("examples-run");
    fs::create_dir_all(&folder).context("a folder for what examples write")?;
    let mut faults = Vec::new();
    for (package, found) in &examples {
        if found.is_empty() {
            faults.push(format!("the crate {package} has no example"));
        }
        for (name, source) in found {
            let lines = fs::read_to_string(source)
                .with_context(|| source.clone())?
                .lines()
                .count();
            if lines > LONGEST {
                faults.push(format!("{source} has {lines} lines (at most {LONGEST})"));
            }
            let program = programs
                .get(source)
                .with_context(|| format!("cargo built no program of {source}"))?;
            match last_line(program, &folder)? {
                Ok(line) => println!("examples: {package} {name}: {line}"),
                Err(fault) => faults.push(format!("the example {name} of {package} {fault}")),
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

/// Builds all examples at once, with the features that `cargo test --workspace` has built them with; the program of each source, or
/// `None` where cargo failed (and has said why).
fn build(packages: &[String]) -> Result<Option<BTreeMap<String, PathBuf>>> {
    let output = cargo::cargo_in_root()
        .args(["build", "--examples", "--message-format", "json-render-diagnostics"])
        .args(cargo::selection(packages))
        .stderr(Stdio::inherit())
        .output()
        .context("cargo could not be started")?;
    if !output.status.success() {
        return Ok(None);
    }
    let mut programs = BTreeMap::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let message: Value = serde_json::from_str(line).context("cargo's messages are not JSON")?;
        if let (Some(source), Some(program)) = (message["target"]["src_path"].as_str(), message["executable"].as_str())
        {
            programs.insert(source.to_string(), PathBuf::from(program));
        }
    }
    Ok(Some(programs))
}

/// The last line that a program prints, or what is wrong with it.
fn last_line(program: &Path, folder: &Path) -> Result<Result<String, String>> {
    let output = Command::new(program)
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("{} could not be started", program.display()))?;
    if !output.status.success() {
        let error = String::from_utf8_lossy(&output.stderr).trim().to_string();
        return Ok(Err(format!("failed ({}): {error}", output.status)));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(match text.trim_end().lines().last() {
        Some(line) => Ok(line.chars().take(100).collect()),
        None => Err("printed nothing".to_string()),
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
