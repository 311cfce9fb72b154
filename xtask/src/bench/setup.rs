//! Installing the libraries that `bench peers` compares with.

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use super::programs;
use crate::cargo;

/// What can be installed, in this order.
const ALL: [&str; 5] = ["torch", "keras-tf", "keras-jax", "albumentations", "burn"];

/// Makes one Python environment a library under `venvs` from `peers/requirements-*.txt`, and builds `peers/burn`.
pub(crate) fn run(venvs: &Path, only: &[String]) -> Result<ExitCode> {
    if let Some(unknown) = only.iter().find(|name| !ALL.contains(&name.as_str())) {
        bail!("'{unknown}' cannot be installed; known are {}", ALL.join(", "));
    }
    for name in ALL
        .iter()
        .filter(|name| only.is_empty() || only.iter().any(|wanted| wanted == **name))
    {
        if *name == "burn" {
            burn()?;
        } else {
            environment(name, &venvs.join(name))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn environment(name: &str, folder: &Path) -> Result<()> {
    let python = programs::python(folder);
    if !python.is_file() {
        let system = if cfg!(windows) { "python" } else { "python3" };
        must(Command::new(system).args(["-m", "venv"]).arg(folder))?;
    }
    let requirements = cargo::root().join("peers").join(format!("requirements-{name}.txt"));
    must(
        Command::new(python)
            .args(["-m", "pip", "install", "-r"])
            .arg(requirements),
    )
}

/// The program goes into the target folder of the workspace, so that `cargo clean` removes it too.
fn burn() -> Result<()> {
    let target = cargo::target_folder()?.join("peers").join("burn");
    let manifest = cargo::root().join("peers").join("burn").join("Cargo.toml");
    must(
        cargo::cargo_in_root()
            .args(["build", "--release", "--locked", "--manifest-path"])
            .arg(manifest)
            .arg("--target-dir")
            .arg(target),
    )
}

fn must(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("{command:?} could not be started"))?;
    if !status.success() {
        bail!("{command:?} failed ({status})");
    }
    Ok(())
}
