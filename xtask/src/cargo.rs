//! Starting `cargo` and the programs it built.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail};

/// Runs `cargo COMMAND ARGS -- REST` in the workspace's root.
pub(crate) fn run(command: &str, args: &[String], rest: &[String]) -> Result<ExitCode> {
    run_with(command, args, rest, None)
}

/// The same with a variable in the environment.
pub(crate) fn run_with(
    command: &str,
    args: &[String],
    rest: &[String],
    variable: Option<(&str, &OsStr)>,
) -> Result<ExitCode> {
    let mut words = vec![command.to_string()];
    words.extend_from_slice(args);
    if !rest.is_empty() {
        words.push("--".to_string());
        words.extend_from_slice(rest);
    }
    let mut command = cargo_in_root();
    command.args(words).envs(variable);
    finish(command)
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
    let mut command = cargo_in_root();
    command
        .env("RUSTDOCFLAGS", "-D warnings")
        .args(["doc", "--workspace", "--no-deps"]);
    if open {
        command.arg("--open");
    }
    finish(command)
}

/// Builds a program (`target`: `--bin NAME` or `--example NAME`) of a package of the workspace and returns where it is;
/// `None` where the build failed (cargo has said why).
///
/// The shared dependencies (root `Cargo.toml`) have the same features whether one package or the workspace is built, so
/// `cargo test --workspace` finds candle compiled.
pub(crate) fn build(package: &str, target: &[&str; 2], options: &[&str]) -> Result<Option<PathBuf>> {
    let output = cargo_in_root()
        .args([
            "build",
            "--message-format",
            "json-render-diagnostics",
            "--package",
            package,
        ])
        .args(target)
        .args(options)
        .stderr(Stdio::inherit())
        .output()
        .context("cargo could not be started")?;
    if !output.status.success() {
        return Ok(None);
    }
    // Cargo says where it put the program, whatever the profile, target folder or platform.
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let message: serde_json::Value = serde_json::from_str(line).context("cargo's messages are not JSON")?;
        if message["target"]["name"] == target[1]
            && let Some(path) = message["executable"].as_str()
        {
            return Ok(Some(PathBuf::from(path)));
        }
    }
    bail!(
        "cargo built the package `{package}` but named no program {} of it",
        target[1]
    );
}

/// What `cargo metadata` says of the workspace, without its dependencies.
pub(crate) fn metadata() -> Result<serde_json::Value> {
    let output = cargo_in_root()
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .output()
        .context("cargo metadata could not be started")?;
    serde_json::from_slice(&output.stdout).context("cargo metadata printed no JSON")
}

/// The names of the workspace's libraries.
pub(crate) fn libraries() -> Result<Vec<String>> {
    let metadata = metadata()?;
    let packages = metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let is_library = |package: &&serde_json::Value| {
        let targets = package["targets"].as_array().map(Vec::as_slice).unwrap_or_default();
        targets.iter().any(|target| target["kind"][0] == "lib")
    };
    let names = packages
        .iter()
        .filter(is_library)
        .filter_map(|package| package["name"].as_str());
    Ok(names.map(str::to_string).collect())
}

/// The folder into which cargo builds.
pub(crate) fn target_folder() -> Result<PathBuf> {
    let metadata = metadata()?;
    let folder = metadata["target_directory"].as_str();
    folder
        .map(PathBuf::from)
        .context("cargo metadata names no target folder")
}

/// Runs a program and hands on its exit code.
pub(crate) fn process<S: AsRef<OsStr>>(program: &Path, words: &[S]) -> Result<ExitCode> {
    let mut command = Command::new(program);
    command.args(words);
    finish(command)
}

fn finish(mut command: Command) -> Result<ExitCode> {
    let status = command
        .status()
        .with_context(|| format!("{command:?} could not be started"))?;
    let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
    Ok(ExitCode::from(code))
}

/// The cargo that runs this program, started in the workspace's root.
///
/// What cargo told this program about the package `xtask` is taken back: build scripts (ring's) that ask for such variables
/// would otherwise run again whenever cargo is started by hand and by `cargo xtask` in turns, and half of the workspace with them.
pub(crate) fn cargo_in_root() -> Command {
    let program = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.current_dir(root());
    for (name, _) in env::vars_os() {
        let ours = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_CRATE_", "CARGO_BIN_"];
        if name
            .to_str()
            .is_some_and(|name| ours.iter().any(|start| name.starts_with(start)))
        {
            command.env_remove(&name);
        }
    }
    command
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
