//! `lab completions` and `lab man`: what the command line knows of itself, for shells and for `man`.

use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::Cli;

/// Prints the script to stdout.
pub(crate) fn completions(shell: Shell) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "lab", &mut script);
    Ok(std::io::stdout().lock().write_all(&script)?)
}

/// Writes `lab.1` and a page for each command and sub-command into a folder.
pub(crate) fn pages(dir: &Path) -> Result<()> {
    if dir.is_file() {
        bail!("{}: this is a file; give the name of a folder", dir.display());
    }
    fs::create_dir_all(dir).with_context(|| format!("the folder {} cannot be made", dir.display()))?;
    clap_mangen::generate_to(Cli::command().disable_help_subcommand(true), dir)
        .with_context(|| format!("the pages cannot be written into {}", dir.display()))?;
    writeln!(
        std::io::stdout().lock(),
        "the pages are in {}; read one with: man {}/lab.1",
        dir.display(),
        dir.display()
    )?;
    Ok(())
}
