//! A crate that is tested alone must find candle as `cargo test --workspace` compiled it.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};

use super::cargo::cargo_in_root;

/// The fault of each crate on candle whose tests would compile a dependency with other features than those of the workspace do.
pub(crate) fn faults(packages: &[&str]) -> Result<Vec<String>> {
    let whole = features(&["--workspace"])?;
    let mut faults = Vec::new();
    for package in packages {
        let alone = features(&["--package", package])?;
        if alone.iter().any(|line| line.starts_with("candle-core ")) {
            faults.extend(fault(package, &alone, &whole));
        }
    }
    Ok(faults)
}

fn fault(package: &str, alone: &BTreeSet<String>, whole: &BTreeSet<String>) -> Option<String> {
    let others: Vec<&str> = alone.difference(whole).map(String::as_str).collect();
    (!others.is_empty()).then(|| {
        format!(
            "the tests of {package} alone compile dependencies again, with other features than the workspace: {}; add a dev-dependency \
             with the features that are missing (root Cargo.toml)",
            others.join("; ")
        )
    })
}

/// The packages that tests compile, each with its version and features.
fn features(selection: &[&str]) -> Result<BTreeSet<String>> {
    let output = cargo_in_root()
        .args([
            "tree",
            "--edges",
            "normal,build,dev",
            "--prefix",
            "none",
            "--format",
            "{p} {f}",
        ])
        .args(selection)
        .output()
        .context("cargo tree could not be started")?;
    if !output.status.success() {
        bail!("cargo tree failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let text = String::from_utf8(output.stdout).context("cargo tree printed no UTF-8")?;
    Ok(text
        .lines()
        .map(|line| line.trim_end_matches(" (*)").to_string())
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_features_are_a_fault() {
        let set = |lines: &[&str]| lines.iter().map(|line| line.to_string()).collect::<BTreeSet<_>>();
        let whole = set(&["candle-core v0.11.1 default", "libc v0.2.0 default,extra_traits"]);
        assert_eq!(fault("models", &set(&["candle-core v0.11.1 default"]), &whole), None);
        let found = fault("models", &set(&["libc v0.2.0 default"]), &whole).unwrap();
        assert!(
            found.contains("models alone") && found.contains("libc v0.2.0 default"),
            "{found}"
        );
    }
}
