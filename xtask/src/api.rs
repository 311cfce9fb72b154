//! `cargo xtask api`: what programs that know Rust's interfaces say about those of the libraries, where they are installed.

use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result};

use crate::cargo;

/// Asks `cargo semver-checks` what has changed since the last release, and `cargo public-api` to list everything that is public.
#[expect(clippy::print_stdout, reason = "xtask talks to the person who runs it")]
pub(crate) fn check() -> Result<ExitCode> {
    let mut failed = false;
    match (installed("semver-checks"), last_release()) {
        (false, _) => println!(
            "api: cargo semver-checks is skipped, because it is not installed: cargo install cargo-semver-checks --locked"
        ),
        (true, None) => {
            println!("api: cargo semver-checks is skipped, because there is no release (a tag v1.2.3) to compare with")
        }
        (true, Some(release)) => {
            let words = [
                "semver-checks",
                "--workspace",
                "--exclude",
                "xtask",
                "--exclude",
                "lab",
                "--baseline-rev",
            ];
            let status = cargo::cargo_in_root()
                .args(words)
                .arg(release)
                .status()
                .context("cargo semver-checks")?;
            failed |= !status.success();
        }
    }
    if installed("public-api") {
        for library in cargo::libraries()? {
            let output = cargo::cargo_in_root()
                .args(["public-api", "--simplified", "--package", &library])
                .stderr(Stdio::inherit())
                .output()
                .context("cargo public-api")?;
            failed |= !output.status.success();
            println!(
                "api: {library} has {} public items",
                String::from_utf8_lossy(&output.stdout).lines().count()
            );
        }
    } else {
        println!(
            "api: cargo public-api is skipped, because it is not installed: cargo install cargo-public-api --locked (it needs a nightly Rust)"
        );
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
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
