//! `cargo xtask test --python`: an environment with the programs that own the file formats, for the tests that ask them.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::cargo;

/// Makes the environment in `target/python` from `requirements.txt`, or brings it up to date, and returns its Python.
pub(crate) fn environment() -> Result<PathBuf> {
    let folder = cargo::target_folder()?.join("python");
    let python = interpreter(&folder);
    if !python.is_file() {
        let system = if cfg!(windows) { "python" } else { "python3" };
        must(Command::new(system).args(["-m", "venv"]).arg(&folder))?;
    }
    let requirements = cargo::root().join("requirements.txt");
    must(
        Command::new(&python)
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"])
            .arg(requirements),
    )?;
    Ok(python)
}

/// Where an environment has its Python.
fn interpreter(folder: &Path) -> PathBuf {
    if cfg!(windows) {
        folder.join("Scripts").join("python.exe")
    } else {
        folder.join("bin").join("python")
    }
}

fn must(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("{command:?} could not be started; install Python 3 with venv"))?;
    if !status.success() {
        bail!("{command:?} failed: {status}");
    }
    Ok(())
}
