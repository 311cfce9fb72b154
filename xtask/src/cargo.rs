//! Starting `cargo` and the programs it built.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail};

/// Runs `cargo COMMAND ARGS -- REST` in the workspace's root.
pub(crate) fn run(command: &str, args: &[String], rest: &[String]) -> Result<ExitCode> {
    let mut words = vec![command.to_string()];
    words.extend_from_slice(args);
    if !rest.is_empty() {
        words.push("--".to_string());
        words.extend_from_slice(rest);
    }
    process(&cargo(), &words)
}

/// `-p CRATE` for each named crate; all of them where none is named.
pub(crate) fn selection(packages: &[String]) -> Vec<String> {
    if packages.is_empty() {
        return vec!["--workspace".to_string()];
    }
    packages
        .iter()
        .flat_map(|name| ["--package".to_string(), name.clone()])
        .collect()
}

/// Builds the documentation with warnings as errors.
pub(crate) fn docs(open: bool) -> Result<ExitCode> {
    let mut command = Command::new(cargo());
    command
        .current_dir(root())
        .env("RUSTDOCFLAGS", "-D warnings")
        .args(["doc", "--workspace", "--no-deps"]);
    if open {
        command.arg("--open");
    }
    finish(command)
}

/// Builds the `lab` program and returns where it is; `None` where the build failed (cargo has said why).
///
/// The shared dependencies (root `Cargo.toml`) have the same features whether `lab` alone or the workspace is built, so
/// `cargo test --workspace` finds candle compiled.
pub(crate) fn build_lab(features: Option<&str>, release: bool) -> Result<Option<PathBuf>> {
    let mut command = Command::new(cargo());
    command.current_dir(root()).args([
        "build",
        "--package",
        "lab",
        "--message-format",
        "json-render-diagnostics",
    ]);
    if let Some(features) = features {
        command.args(["--features", features]);
    }
    if release {
        command.arg("--release");
    }
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .context("cargo could not be started")?;
    if !output.status.success() {
        return Ok(None);
    }
    // Cargo says where it put the program, whatever the profile, target folder or platform.
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let message: serde_json::Value = serde_json::from_str(line).context("cargo's messages are not JSON")?;
        if message["target"]["name"] == "lab"
            && let Some(path) = message["executable"].as_str()
        {
            return Ok(Some(PathBuf::from(path)));
        }
    }
    bail!("cargo built the package `lab` but named no program of it");
}

/// Runs a program and hands on its exit code.
pub(crate) fn process<S: AsRef<OsStr>>(program: &Path, words: &[S]) -> Result<ExitCode> {
    let mut command = Command::new(program);
    command.args(words);
    if program == cargo() {
        command.current_dir(root());
    }
    finish(command)
}

fn finish(mut command: Command) -> Result<ExitCode> {
    let status = command
        .status()
        .with_context(|| format!("{command:?} could not be started"))?;
    let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
    Ok(ExitCode::from(code))
}

/// The cargo that runs this program.
fn cargo() -> PathBuf {
    env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from)
}

/// The folder of the workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

/// A path below the workspace's root, written short where that is the current folder.
pub(crate) fn in_root(path: &Path) -> PathBuf {
    let root = root();
    match env::current_dir() {
        Ok(here) if here == root => path.to_path_buf(),
        _ => root.join(path),
    }
}
