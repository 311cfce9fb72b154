//! Files that are named on the command line: is there one, and can one be written?

use std::path::Path;

use anyhow::{Result, anyhow, bail};
use persistence::Format;

use super::model;
use crate::nearest;

/// Refuses the name of a model file that is not there, or that is something else, saying what was probably meant.
pub(crate) fn check_model_file(path: &Path) -> Result<()> {
    let shown = path.display();
    if path.is_dir() {
        bail!(
            "{shown}: this is a folder; name a model file in it ({})",
            model::endings()
        );
    }
    if !path.exists() {
        let name = path.to_string_lossy();
        if models::zoo::by_name(&name).is_ok() {
            bail!(
                "{shown}: cannot be read: there is no such file, and the built-in model of this name has no trained weights; train \
                 it with: lab train --model {shown} --output {shown}.safetensors"
            );
        }
        bail!(
            "{shown}: cannot be read: there is no such file; check the path{}",
            beside(path)
        );
    }
    if model::is_text(path)? {
        bail!(
            "{shown}: this is a text, as a Keras JSON configuration is, which has no weights; look at it with: lab summary {shown}; \
             train it with: lab train --model {shown} --output FILE.safetensors"
        );
    }
    Ok(())
}

/// Refuses a file of inputs that is not there, or a folder.
pub(super) fn check_inputs(path: &Path) -> Result<()> {
    let shown = path.display();
    if path.is_dir() {
        bail!("--inputs {shown}: this is a folder; name a .safetensors file with the inputs");
    }
    if !path.exists() {
        bail!(
            "--inputs {shown}: there is no such file; name a .safetensors file with the inputs{}",
            beside(path)
        );
    }
    Ok(())
}

/// Refuses a picture that is not there, or a folder of them.
pub(super) fn check_picture(path: &Path) -> Result<()> {
    let shown = path.display();
    if path.is_dir() {
        bail!(
            "{shown}: this is a folder; name PNG or JPEG files in it, such as {}",
            path.join("*.png").display()
        );
    }
    if !path.exists() {
        bail!(
            "cannot read '{shown}': there is no such file; check the path{}",
            beside(path)
        );
    }
    Ok(())
}

/// The file of the same folder that was probably meant.
fn beside(path: &Path) -> String {
    let (Some(wanted), Ok(entries)) = (path.file_name(), std::fs::read_dir(folder_of(path))) else {
        return String::new();
    };
    let mut names: Vec<String> = entries
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    // The order of a folder's entries differs from system to system.
    names.sort();
    nearest::hint(&wanted.to_string_lossy(), names.iter().map(String::as_str))
}

/// Refuses the name of a model file that cannot be written, before anything is read for it.
pub(super) fn check_written_model(path: &Path) -> Result<()> {
    let shown = path.display();
    if path.is_dir() {
        bail!(
            "{shown}: this is a folder; give the name of a file, such as {}",
            path.join("model.keras").display()
        );
    }
    if Format::from_name(path).is_none() {
        let endings = persistence::WRITTEN.map(|format| format.ending());
        let found = path.extension().map(|ending| ending.to_string_lossy().into_owned());
        let hint = nearest::hint(found.as_deref().unwrap_or_default(), endings);
        bail!(
            "{shown}: the ending '{}' is no format that can be written; use {}{hint}",
            found.unwrap_or_default(),
            endings.map(|ending| format!(".{ending}")).join(", ")
        );
    }
    check_parent(path).map_err(|reason| anyhow!("{shown}: {reason}"))
}

/// Refuses a file whose folder is not there or takes no files; `option` is what was typed.
pub(super) fn check_writable(option: &str, path: &Path) -> Result<()> {
    let shown = path.display();
    if path.is_dir() {
        bail!("{option} {shown}: this is a folder; give the name of a file");
    }
    check_parent(path).map_err(|reason| anyhow!("{option} {shown}: {reason}"))?;
    check_folder(option, path, folder_of(path))
}

fn check_parent(path: &Path) -> Result<()> {
    let folder = folder_of(path);
    if !folder.is_dir() {
        bail!(
            "there is no folder {}; make it, or choose another one",
            folder.display()
        );
    }
    Ok(())
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Refuses a folder that takes no files; `path` is what was typed.
pub(super) fn check_folder(option: &str, path: &Path, folder: &Path) -> Result<()> {
    tempfile::tempfile_in(folder).map(drop).map_err(|error| {
        anyhow!(
            "{option} {}: nothing can be written into {} ({}); choose another folder",
            path.display(),
            folder.display(),
            error.kind()
        )
    })
}
