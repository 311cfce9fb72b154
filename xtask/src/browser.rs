//! `cargo xtask browser`: the page of a report, and that of a training that runs, in a real browser, used as a reader would.
//!
//! What it drives Chromium with (`browser/`, with exact versions in its lock file) is installed by npm into `target/browser`.
//! Where node, npm, the network or a browser is missing, a line says that the test was skipped and why.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use crate::cargo;

/// Opens the report in `folder`, and the page of a training that runs; the pictures go to `folder/browser`.
#[expect(clippy::print_stdout, reason = "xtask talks to the person who runs it")]
pub(crate) fn check(folder: &Path) -> Result<ExitCode> {
    if !folder.join("index.html").is_file() {
        bail!(
            "{} has no index.html; write it with: cargo xtask all --quick",
            folder.display()
        );
    }
    let tools = match tools() {
        Ok(tools) => tools,
        Err(missing) => {
            println!("browser: skipped: {missing}");
            return Ok(ExitCode::SUCCESS);
        }
    };
    let folder = std::path::absolute(folder).with_context(|| format!("{}", folder.display()))?;
    let artefacts = folder.join("browser");
    let Some(lab) = cargo::build("lab", &["--bin", "lab"], &[])? else {
        return Ok(ExitCode::FAILURE);
    };
    let scripts = [("check.mjs", folder.as_path()), ("live.mjs", lab.as_path())];
    let mut codes = Vec::new();
    // Both, whatever the first one finds.
    for (script, about) in scripts {
        let words = [&tools.place.join(script), about, &artefacts, &tools.chromium];
        codes.push(cargo::process(&tools.node, &words)?);
    }
    let failed = codes.into_iter().find(|code| *code != ExitCode::SUCCESS);
    Ok(failed.unwrap_or(ExitCode::SUCCESS))
}

struct Tools {
    node: PathBuf,
    chromium: PathBuf,
    /// The folder with our scripts and what they import.
    place: PathBuf,
}

/// Everything that is needed, or what is missing.
fn tools() -> std::result::Result<Tools, String> {
    let node = program(&["node"]).ok_or("node is not installed")?;
    let npm = program(&["npm"]).ok_or("npm is not installed")?;
    let chromium = match env::var_os("CANDLE_LAB_CHROMIUM") {
        Some(named) => named.into(),
        None => program(&["chromium", "chromium-browser", "google-chrome", "chrome"])
            .ok_or("no Chromium found; name one with CANDLE_LAB_CHROMIUM")?,
    };
    let place = cargo::target_folder()
        .map_err(|error| error.to_string())?
        .join("browser");
    install(&npm, &place)?;
    Ok(Tools { node, chromium, place })
}

/// Copies `browser/` to `place` and installs the packages of its lock file there, unless they are.
fn install(npm: &Path, place: &Path) -> std::result::Result<(), String> {
    let said = |error: std::io::Error| format!("{} cannot be written: {error}", place.display());
    let source = cargo::root().join("browser");
    let lock = fs::read(source.join("package-lock.json")).map_err(said)?;
    fs::create_dir_all(place).map_err(said)?;
    for entry in fs::read_dir(&source).map_err(said)? {
        let path = entry.map_err(said)?.path();
        if let Some(name) = path.file_name().filter(|_| path.is_file()) {
            fs::copy(&path, place.join(name)).map_err(said)?;
        }
    }
    // Written when npm has done all of it.
    let done = place.join("node_modules").join("installed.lock");
    if fs::read(&done).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    let output = Command::new(npm)
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
        .current_dir(place)
        .output()
        .map_err(said)?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        let last = text
            .lines()
            .find(|line| line.contains("error"))
            .unwrap_or("no reason given");
        return Err(format!("npm could not install the packages of browser/: {last}"));
    }
    fs::write(done, lock).map_err(said)
}

/// The first of these programs that `PATH` has.
fn program(names: &[&str]) -> Option<PathBuf> {
    let folders: Vec<PathBuf> = env::split_paths(&env::var_os("PATH")?).collect();
    let endings = if cfg!(windows) {
        [".exe", ".cmd"].as_slice()
    } else {
        &[""]
    };
    let places = names.iter().flat_map(|name| {
        folders
            .iter()
            .flat_map(move |folder| endings.iter().map(move |ending| folder.join(format!("{name}{ending}"))))
    });
    places.into_iter().find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_without_a_page_is_named() {
        let error = check(Path::new("no/such/report"))
            .expect_err("there is no page")
            .to_string();
        assert!(
            error.contains("no/such/report") && error.contains("cargo xtask all"),
            "{error}"
        );
    }

    /// Exact versions: what was tested is what is installed.
    #[test]
    fn every_package_is_pinned() {
        let text = fs::read_to_string(cargo::root().join("browser/package.json")).expect("a file");
        let package: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let wanted = package["dependencies"].as_object().expect("dependencies");
        let text = fs::read_to_string(cargo::root().join("browser/package-lock.json")).expect("a file");
        let lock: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        for (name, version) in wanted {
            let version = version.as_str().expect("a version");
            assert!(
                version.chars().all(|c| c.is_ascii_digit() || c == '.'),
                "{name} {version}"
            );
            assert_eq!(
                lock["packages"][format!("node_modules/{name}")]["version"],
                version,
                "{name}"
            );
        }
        for (name, package) in lock["packages"].as_object().expect("packages") {
            assert!(
                name.is_empty() || package["integrity"].is_string(),
                "{name} has no checksum"
            );
        }
    }
}
