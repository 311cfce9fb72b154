//! `cargo xtask test --python`: an environment with the programs that own the file formats, for the tests that ask them.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::cargo;

/// What the tests find as `CANDLE_LAB_PYTHON`: the interpreters that were named (a list like `PATH`), else an environment of our own.
pub(crate) fn interpreters(named: Option<&OsStr>) -> Result<OsString> {
    let Some(named) = named else {
        return Ok(environment()?.into());
    };
    let mut found = Vec::new();
    for path in std::env::split_paths(named) {
        // The tests run in another folder. (Not the file that a link leads to: an environment is known by its link.)
        let path = std::path::absolute(&path).with_context(|| format!("--python {}", path.display()))?;
        let output = Command::new(&path).arg("--version").output();
        if !output.is_ok_and(|output| output.status.success()) {
            bail!(
                "--python {}: this is no Python; give the path of an interpreter, such as path/to/environment/bin/python, or of several \
                 with '{}' between them",
                path.display(),
                if cfg!(windows) { ';' } else { ':' }
            );
        }
        found.push(path);
    }
    std::env::join_paths(found).context("--python")
}

/// Makes the environment in `target/python` from `requirements.txt`, or brings it up to date, and returns its Python.
fn environment() -> Result<PathBuf> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_python_is_named() {
        for named in ["no/such/python", "src/main.rs"] {
            let error = interpreters(Some(OsStr::new(named))).unwrap_err().to_string();
            assert!(error.contains(named) && error.contains("no Python"), "{error}");
        }
    }
}
