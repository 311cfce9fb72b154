//! Checks of the house rules that neither the compiler nor clippy knows (`docs/architecture.md`).

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};

use super::docs::Drawing;

/// A source file longer than this holds two ideas.
const LONGEST_FILE: usize = 600;

/// Prints every broken rule; succeeds where there is none.
#[expect(clippy::print_stdout, reason = "xtask talks to the person who runs it")]
pub(crate) fn check() -> Result<ExitCode> {
    let root = super::cargo::root();
    let page = fs::read_to_string(root.join("docs").join("architecture.md")).context("docs/architecture.md")?;
    let drawing = Drawing::read(&page).map_err(anyhow::Error::msg)?;
    let mut faults = drawing.faults(&dependencies()?);
    for file in sources(&root)? {
        let text = fs::read_to_string(&file).with_context(|| format!("{} cannot be read", file.display()))?;
        let name = file.strip_prefix(&root).unwrap_or(&file).display().to_string();
        faults.extend(source(&name, &text));
    }
    faults.extend(super::docs::faults()?);
    let names: Vec<&str> = drawing.rooms.iter().map(String::as_str).collect();
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
fn dependencies() -> Result<BTreeMap<String, BTreeSet<String>>> {
    let metadata = super::cargo::metadata()?;
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
    fn the_drawing_is_what_cargo_says() {
        let root = super::super::cargo::root();
        let page = fs::read_to_string(root.join("docs").join("architecture.md")).unwrap();
        let faults = Drawing::read(&page).unwrap().faults(&dependencies().unwrap());
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    }

    #[test]
    fn links_and_code_of_all_pages_are_in_order() {
        let faults = super::super::docs::faults().unwrap();
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    }

    #[test]
    fn unsafe_outside_of_kernels_is_a_fault() {
        let code = "fn f() { unsafe { g() } }";
        assert_eq!(source("crates/models/src/lib.rs", code).len(), 1);
        assert!(source("crates/kernels/src/lib.rs", code).is_empty());
        assert!(source("crates/models/src/lib.rs", "// unsafe { in a comment }").is_empty());
    }
}
