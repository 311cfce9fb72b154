//! `lab data`: which data sets there are, where they are, and whether they are whole.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use datasets::{FileReport, FileState, KnownSet, Presence, cache_dir, catalogue, known, presence};
use report::format::{bytes, count};
use report::inline::escape;
use report::{Align, Table};
use serde_json::{Value, json};

use crate::cli::DataCommand;
use crate::context::{Downloads, listen_for_interrupt, terminal};
use crate::progress::Progress;

pub(crate) fn run(command: &DataCommand) -> Result<ExitCode> {
    match command {
        DataCommand::List { json } => list(*json)?,
        DataCommand::Fetch { name, data_dir, json } => fetch(name, data_dir.as_deref(), *json)?,
        DataCommand::Verify { name, data_dir, json } => verify(name, data_dir.as_deref(), *json)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn list(json: bool) -> Result<()> {
    let cache = cache_dir()?;
    let mut out = std::io::stdout().lock();
    if json {
        let sets: Vec<Value> = catalogue().iter().map(|set| entry(set, &cache)).collect();
        let text = serde_json::to_string_pretty(&json!({"cache": cache, "sets": sets}))?;
        writeln!(out, "{text}")?;
        return Ok(());
    }
    let (width, color) = terminal();
    for table in [sets(&cache), licences()] {
        writeln!(out, "{}\n", report::terminal::table(&table, width, color))?;
    }
    writeln!(
        out,
        "Downloads are kept in {} (set CANDLE_LAB_CACHE for another folder).",
        cache.display()
    )?;
    Ok(())
}

/// All that is known of a set, and where its files are.
fn entry(set: &KnownSet, cache: &Path) -> Value {
    let mut entry = json!(set);
    entry["bytes"] = json!(set.bytes());
    entry["cached"] = json!(presence(set, cache));
    entry
}

fn sets(cache: &Path) -> Table {
    let mut table = Table::new("Data sets");
    table
        .header(["name", "image", "classes", "train", "test", "download", "on disk"])
        .align([
            Align::Left,
            Align::Left,
            Align::Right,
            Align::Right,
            Align::Right,
            Align::Right,
            Align::Left,
        ]);
    for set in catalogue() {
        let [height, width, channels] = set.shape;
        table.row([
            set.name.to_string(),
            format!("{height}×{width}×{channels}"),
            count(set.classes.len()),
            count(set.train),
            count(set.test),
            if set.files.is_empty() {
                "–".to_string()
            } else {
                bytes(set.bytes())
            },
            match presence(set, cache) {
                Presence::Embedded => "in the program".to_string(),
                Presence::Complete { folder } => folder.display().to_string(),
                Presence::Partial { folder, missing } => {
                    format!("{} lacks {}", folder.display(), missing.join(", "))
                }
                _ => "no".to_string(),
            },
        ]);
    }
    table
}

fn licences() -> Table {
    let mut table = Table::new("What they are");
    table
        .header(["name", "what", "licence"])
        .align([Align::Left, Align::Left, Align::Left]);
    for set in catalogue() {
        table.row([set.name.to_string(), escape(set.title), escape(set.licence)]);
        table.note(format!("{}: {}", set.name, escape(set.attribution)));
    }
    table
}

fn fetch(name: &str, data_dir: Option<&Path>, json: bool) -> Result<()> {
    let set = known(name)?;
    let folder = folder(data_dir)?;
    listen_for_interrupt()?;
    let progress = Progress::new();
    let place = datasets::fetch(set.name, &folder, &mut Downloads::new(&progress, None))?;
    let mut out = std::io::stdout().lock();
    if json {
        let record = json!({"set": set.name, "folder": place});
        writeln!(out, "{}", serde_json::to_string_pretty(&record)?)?;
    } else {
        writeln!(out, "{} is in {}", set.name, place.display())?;
    }
    Ok(())
}

fn verify(name: &str, data_dir: Option<&Path>, json: bool) -> Result<()> {
    let set = known(name)?;
    let folder = folder(data_dir)?;
    if data_dir.is_none() && presence(set, &folder) == Presence::Absent {
        bail!(
            "nothing of {name} is in the cache folder {}; fetch it (lab data fetch {name}), or name its folder with --data-dir",
            folder.display(),
            name = set.name
        );
    }
    let waiting = Progress::new().waiting(&format!("checking the files of {}", set.name));
    let verification = datasets::verify(set.name, &folder)?;
    drop(waiting);
    let mut out = std::io::stdout().lock();
    if json {
        writeln!(out, "{}", serde_json::to_string_pretty(&verification)?)?;
    } else {
        for file in &verification.files {
            writeln!(out, "{}", line(file))?;
        }
    }
    let spoilt: Vec<&str> = verification
        .files
        .iter()
        .filter(|file| !matches!(file.state, FileState::Ok { .. } | FileState::Unchecked { .. }))
        .map(|file| file.name.as_str())
        .collect();
    if spoilt.is_empty() {
        return Ok(());
    }
    let place = verification.folder.unwrap_or(folder);
    bail!(
        "{} of {} files of {} in {} are missing or not as published: {}; remove those that are damaged, then fetch again: \
         lab data fetch {} --data-dir {}",
        spoilt.len(),
        verification.files.len(),
        set.name,
        place.display(),
        spoilt.join(", "),
        set.name,
        place.display()
    )
}

/// One line on a file: state, name, size, contents, what was compared.
fn line(file: &FileReport) -> String {
    let (state, why) = match &file.state {
        FileState::Ok { algorithm, .. } => ("ok", format!("{algorithm} agrees")),
        FileState::Unchecked { reason, .. } => ("unchecked", format!("readable; {reason}")),
        FileState::Mismatch {
            algorithm,
            expected,
            found,
        } => ("differs", format!("{algorithm}: expected {expected}, found {found}")),
        FileState::Unreadable { reason } => ("damaged", reason.clone()),
        FileState::Missing => ("missing", String::new()),
    };
    let name = file
        .path
        .as_ref()
        .map_or_else(|| file.name.clone(), |path| path.display().to_string());
    let mut parts = vec![name];
    parts.extend(file.bytes.map(bytes));
    parts.extend(file.records.map(|records| format!("{} records", count(records))));
    parts.extend(
        file.labels
            .map(|(smallest, largest)| format!("labels {smallest} to {largest}")),
    );
    parts.extend((!why.is_empty()).then_some(why));
    format!("{state:9}  {}", parts.join(", "))
}

/// The folder after `--data-dir`, or the cache folder.
fn folder(data_dir: Option<&Path>) -> Result<PathBuf> {
    match data_dir {
        Some(folder) => Ok(folder.to_path_buf()),
        None => cache_dir().context("there is no folder for downloads"),
    }
}
