//! `cargo xtask api`: what programs that know Rust's interfaces say about those of the libraries, where they are installed.
//!
//! `cargo public-api` lists everything public; the list of each library lies beside its `Cargo.toml`, so that a change of an interface is
//! seen in the change that makes it. `cargo semver-checks` says whether a change needs another version.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::cargo;

/// Options of `api`.
#[derive(Args)]
pub(crate) struct ApiArgs {
    /// Record the interfaces as they are now: crates/*/public-api.txt
    #[arg(long)]
    write: bool,
    /// Commit or tag that cargo semver-checks compares with [default: the newest tag v*; skipped where there is none]
    #[arg(long, value_name = "REV")]
    baseline: Option<String>,
}

/// The file that holds what `cargo public-api` lists, in the folder of each library.
const RECORD: &str = "public-api.txt";

#[expect(clippy::print_stdout, reason = "xtask talks to the person who runs it")]
pub(crate) fn check(options: &ApiArgs) -> Result<ExitCode> {
    let mut failed = false;
    if !installed("public-api") {
        println!(
            "api: cargo public-api is skipped, because it is not installed: cargo install cargo-public-api --locked (it needs a nightly Rust)"
        );
        if options.write {
            bail!("the interfaces cannot be recorded without cargo public-api");
        }
    } else {
        for library in cargo::libraries()? {
            failed |= !as_recorded(&library, options.write)?;
        }
    }
    let baseline = options.baseline.clone().or_else(last_release);
    match (installed("semver-checks"), baseline) {
        (false, _) => println!(
            "api: cargo semver-checks is skipped, because it is not installed: cargo install cargo-semver-checks --locked"
        ),
        (true, None) => println!(
            "api: cargo semver-checks is skipped, because there is no release (a tag v1.2.3) to compare with; --baseline REV names a commit"
        ),
        (true, Some(baseline)) => {
            // By name: `--workspace` passes over packages that are not published, and says nothing. By itself the tool turns all
            // features on, and no machine has CUDA and Metal.
            let named = cargo::libraries()?
                .into_iter()
                .flat_map(|library| ["--package".to_string(), library]);
            let status = tool()
                .args(["semver-checks", "--default-features", "--baseline-rev", &baseline])
                .args(named)
                .status();
            failed |= !status.context("cargo semver-checks")?.success();
        }
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Whether a library's interface is that which was recorded, or is from now on.
#[expect(clippy::print_stdout, reason = "xtask talks to the person who runs it")]
fn as_recorded(library: &str, write: bool) -> Result<bool> {
    let found = listed(library)?;
    let path = record(library);
    let count = found.lines().count();
    if write {
        fs::write(&path, &found).with_context(|| format!("{} cannot be written", path.display()))?;
        println!("api: {library} has {count} public items, recorded");
        return Ok(true);
    }
    let recorded = fs::read_to_string(&path)
        .with_context(|| format!("{} cannot be read (cargo xtask api --write makes it)", path.display()))?;
    let changes = changes(&recorded, &found);
    if changes.is_empty() {
        println!("api: {library} has {count} public items, as recorded");
        return Ok(true);
    }
    println!(
        "api: the interface of {library} is not that of {}:\n{}\n     (where it is meant: cargo xtask api --write, and a line in CHANGELOG.md)",
        path.display(),
        changes.join("\n")
    );
    Ok(false)
}

/// One line a public item, but those that the compiler or `derive` makes.
fn listed(library: &str) -> Result<String> {
    let output = tool()
        .args(["public-api", "-sss", "--package", library])
        .stderr(Stdio::inherit())
        .output()
        .context("cargo public-api")?;
    if !output.status.success() {
        bail!("cargo public-api failed for {library} ({})", output.status);
    }
    String::from_utf8(output.stdout).context("cargo public-api printed something that is no UTF-8")
}

fn record(library: &str) -> PathBuf {
    cargo::root().join("crates").join(library).join(RECORD)
}

/// Lines that are only in one of two lists, with the sign of a difference.
fn changes(recorded: &str, found: &str) -> Vec<String> {
    let only = |sign: char, these: &str, those: &str| -> Vec<String> {
        let lines = these.lines().filter(|line| !those.lines().any(|other| other == *line));
        lines.map(|line| format!("{sign} {line}")).collect()
    };
    [only('-', recorded, found), only('+', found, recorded)].concat()
}

/// Cargo with the toolchain that the tool chooses by itself: the one that runs this program may not be the nightly one.
fn tool() -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(cargo::root()).env_remove("RUSTUP_TOOLCHAIN");
    for name in ["CARGO", "RUSTC", "RUSTDOC"] {
        command.env_remove(name);
    }
    command
}

fn installed(tool: &str) -> bool {
    let mut command = cargo::cargo_in_root();
    command
        .args([tool, "--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// The newest tag of a version; `None` where there is none, or no git.
fn last_release() -> Option<String> {
    let output = Command::new("git")
        .current_dir(cargo::root())
        .args(["tag", "--list", "v*", "--sort=-version:refname"])
        .output();
    let tags = String::from_utf8(output.ok()?.stdout).ok()?;
    tags.lines().next().map(str::to_string)
}

#[cfg(test)]
mod tests {
    use super::changes;

    #[test]
    fn changes_are_lines_of_one_list_only() {
        assert!(changes("pub fn a()\npub fn b()\n", "pub fn a()\npub fn b()\n").is_empty());
        assert_eq!(
            changes("pub fn a()\npub fn b()\n", "pub fn a()\npub fn b(u8)\n"),
            ["- pub fn b()", "+ pub fn b(u8)"]
        );
    }
}
