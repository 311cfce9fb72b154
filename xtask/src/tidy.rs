//! Checks of the house rules that neither the compiler nor clippy knows (`docs/architecture.md`).

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

/// What each crate may depend on inside the workspace, besides itself. Arrows only point up this list: a crate names
/// nothing that stands below it.
const ARROWS: [(&str, &[&str]); 13] = [
    ("nn-theory", &[]),
    ("datasets", &[]),
    ("kernels", &[]),
    ("report", &[]),
    ("backprop", &["kernels"]),
    ("augmentation", &["kernels"]),
    ("models", &["nn-theory", "kernels"]),
    ("optimizers", &["kernels"]),
    ("persistence", &["nn-theory", "kernels", "models", "optimizers"]),
    (
        "training",
        &[
            "nn-theory",
            "datasets",
            "augmentation",
            "kernels",
            "models",
            "optimizers",
            "persistence",
        ],
    ),
    (
        "optimizers-bench",
        &[
            "nn-theory",
            "datasets",
            "kernels",
            "models",
            "optimizers",
            "training",
            "report",
        ],
    ),
    (
        "lab",
        &[
            "nn-theory",
            "datasets",
            "augmentation",
            "kernels",
            "models",
            "optimizers",
            "training",
            "optimizers-bench",
            "persistence",
            "backprop",
            "report",
        ],
    ),
    ("xtask", &[]),
];

/// A source file longer than this holds two ideas.
const LONGEST_FILE: usize = 600;

/// Prints every broken rule; succeeds where there is none.
#[expect(clippy::print_stdout, reason = "xtask talks to the person who runs it")]
pub(crate) fn check() -> Result<ExitCode> {
    let root = super::cargo::root();
    let mut faults = arrows(&dependencies(&root)?);
    for file in sources(&root)? {
        let text = fs::read_to_string(&file).with_context(|| format!("{} cannot be read", file.display()))?;
        let name = file.strip_prefix(&root).unwrap_or(&file).display().to_string();
        faults.extend(source(&name, &text));
    }
    let names: Vec<&str> = ARROWS.iter().map(|(name, _)| *name).collect();
    faults.extend(super::features::faults(&names)?);
    for fault in &faults {
        println!("tidy: {fault}");
    }
    println!("tidy: {} faults", faults.len());
    Ok(if faults.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The workspace's own crates that each crate names under `[dependencies]`, as cargo sees them.
fn dependencies(root: &Path) -> Result<BTreeMap<String, Vec<String>>> {
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .current_dir(root)
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .output()
        .context("cargo metadata could not be started")?;
    let metadata: serde_json::Value =
        serde_json::from_slice(&output.stdout).context("cargo metadata printed no JSON")?;
    let list = |value: &serde_json::Value| value.as_array().cloned().unwrap_or_default();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_string();
    let packages = list(&metadata["packages"]);
    let ours: Vec<String> = packages.iter().map(|package| text(&package["name"])).collect();
    Ok(packages
        .iter()
        .map(|package| {
            let uses = list(&package["dependencies"]);
            let names = uses
                .iter()
                .filter(|used| used["kind"].is_null())
                .map(|used| text(&used["name"]));
            (
                text(&package["name"]),
                names.filter(|name| ours.contains(name)).collect(),
            )
        })
        .collect())
}

fn arrows(found: &BTreeMap<String, Vec<String>>) -> Vec<String> {
    let mut faults = Vec::new();
    for (name, allowed) in ARROWS {
        let Some(uses) = found.get(name) else {
            faults.push(format!("the crate {name} of docs/architecture.md is missing"));
            continue;
        };
        for used in uses.iter().filter(|used| !allowed.contains(&used.as_str())) {
            faults.push(format!(
                "{name} depends on {used}, an arrow that docs/architecture.md does not draw"
            ));
        }
    }
    for name in found
        .keys()
        .filter(|name| ARROWS.iter().all(|(known, _)| known != name))
    {
        faults.push(format!("the crate {name} is not in docs/architecture.md"));
    }
    faults
}

fn source(name: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let lines = text.lines().count();
    if lines > LONGEST_FILE {
        faults.push(format!(
            "{name} has {lines} lines (at most {LONGEST_FILE}): split it by idea"
        ));
    }
    let uses_unsafe = text.lines().map(str::trim_start).any(|line| {
        !line.starts_with("//")
            && (line.contains("unsafe {") || line.contains("unsafe fn") || line.contains("unsafe impl"))
    });
    if uses_unsafe && !name.replace('\\', "/").starts_with("crates/kernels/") && !name.contains("tidy.rs") {
        faults.push(format!("{name} has unsafe code, which only crates/kernels may have"));
    }
    faults
}

/// Every Rust file under `crates/` and `xtask/`, in the order of their names.
fn sources(root: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![root.join("crates"), root.join("xtask")];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).with_context(|| format!("{} cannot be listed", folder.display()))? {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arrow_that_points_back_is_a_fault() {
        let mut found: BTreeMap<String, Vec<String>> =
            ARROWS.iter().map(|(name, _)| (name.to_string(), vec![])).collect();
        assert!(arrows(&found).is_empty());
        found.insert("kernels".to_string(), vec!["training".to_string()]);
        assert_eq!(arrows(&found).len(), 1);
        found.remove("report");
        assert_eq!(arrows(&found).len(), 2);
    }

    #[test]
    fn unsafe_outside_of_kernels_is_a_fault() {
        let code = "fn f() { unsafe { g() } }";
        assert_eq!(source("crates/models/src/lib.rs", code).len(), 1);
        assert!(source("crates/kernels/src/lib.rs", code).is_empty());
        assert!(source("crates/models/src/lib.rs", "// unsafe { in a comment }").is_empty());
    }
}
