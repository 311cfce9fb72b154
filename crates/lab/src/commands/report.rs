//! `lab report`: two runs side by side, and a report as a page that follows its runs.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use report::diff::{Comparison, Difference, Options, compare};
use report::inline::escape;
use report::{Align, Table, format};
use serde_json::{Value, json};

use crate::cli::{DiffArgs, ReportArgs, ReportCommand};
use crate::context::terminal;
use crate::progress::say;
use crate::serve;

pub(crate) fn run(args: &ReportArgs) -> Result<ExitCode> {
    match (&args.command, args.serve) {
        (Some(ReportCommand::Diff(args)), _) => Ok(diff(args).unwrap_or_else(|error| {
            // As diff(1) and cmp(1): 1 is a difference, 2 is trouble.
            say(&format!("error: {}", crate::one_line(&error)));
            ExitCode::from(2)
        })),
        (None, Some(port)) => serve::follow(port, &args.report, args.csv.as_deref()).map(|()| ExitCode::SUCCESS),
        (None, None) => bail!("nothing to do; see lab report --help"),
    }
}

/// Two records that belong together.
struct Pair {
    name: String,
    before: PathBuf,
    after: PathBuf,
}

fn diff(args: &DiffArgs) -> Result<ExitCode> {
    let options = Options {
        relative: args.relative,
        absolute: args.absolute,
        timings: args.timings,
    };
    let mut found = Vec::new();
    for pair in pairs(&args.before, &args.after)? {
        let comparison = compare(&record(&pair.before)?, &record(&pair.after)?, &options);
        found.push((pair, comparison));
    }
    let changes: usize = found.iter().map(|(_, comparison)| comparison.differences.len()).sum();
    let mut out = std::io::stdout().lock();
    if args.json {
        let records = found.iter().map(|(pair, comparison)| {
            json!({
                "before": pair.before,
                "after": pair.after,
                "compared": comparison.compared,
                "differences": comparison.differences,
            })
        });
        let records: Vec<Value> = records.collect();
        writeln!(
            out,
            "{}",
            serde_json::to_string_pretty(&json!({
                "relative": options.relative,
                "absolute": options.absolute,
                "changes": changes,
                "records": records,
            }))?
        )?;
    } else {
        for (pair, comparison) in &found {
            write!(out, "{}", in_words(&pair.name, comparison, args.limit))?;
        }
    }
    Ok(if changes == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The two files, or those of two folders that have the same name. A file that only one folder has cannot be compared.
fn pairs(before: &Path, after: &Path) -> Result<Vec<Pair>> {
    if before.is_dir() != after.is_dir() {
        bail!(
            "{} and {}: one is a folder, the other a file; give two of a kind",
            before.display(),
            after.display()
        );
    }
    if !before.is_dir() {
        return Ok(vec![Pair {
            name: before.display().to_string(),
            before: before.to_path_buf(),
            after: after.to_path_buf(),
        }]);
    }
    let (old, new) = (names(before)?, names(after)?);
    if let Some(name) = old.symmetric_difference(&new).next() {
        let (with, without) = if old.contains(name) {
            (before, after)
        } else {
            (after, before)
        };
        bail!(
            "{} has no {name}, which {} has; compare the records that both have one by one",
            without.display(),
            with.display()
        );
    }
    if old.is_empty() {
        bail!(
            "{} has no records (exercise-N.json); write them with lab exercise all --report DIR",
            before.display()
        );
    }
    let pair = |name: String| Pair {
        before: before.join(&name),
        after: after.join(&name),
        name,
    };
    Ok(old.into_iter().map(pair).collect())
}

/// The records in a folder, by name.
fn names(folder: &Path) -> Result<BTreeSet<String>> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("{} cannot be read", folder.display()))?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    Ok(names
        .filter(|name| name.starts_with("exercise-") && name.ends_with(".json"))
        .collect())
}

fn record(path: &Path) -> Result<Value> {
    let text = std::fs::read_to_string(path).with_context(|| {
        format!(
            "{} cannot be read; check the path (records are written by lab exercise all --report DIR)",
            path.display()
        )
    })?;
    serde_json::from_str(&text).with_context(|| {
        format!(
            "{} is no record: not JSON; records are written by lab exercise all --report DIR",
            path.display()
        )
    })
}

fn in_words(name: &str, comparison: &Comparison, limit: usize) -> String {
    let changes = comparison.differences.len();
    let values = format::count(comparison.compared);
    if changes == 0 {
        return format!("{name}: {values} values, none changed\n");
    }
    let (width, color) = terminal();
    let limit = if limit == 0 { usize::MAX } else { limit };
    let mut table = Table::new(format!(
        "{}: {} of {values} values changed",
        escape(name),
        format::count(changes)
    ));
    table.header(["part", "where", "before", "after", "change"]).align([
        Align::Left,
        Align::Left,
        Align::Left,
        Align::Left,
        Align::Right,
    ]);
    for difference in comparison.differences.iter().take(limit) {
        table.row(row(difference));
    }
    if changes > limit {
        table.note(format!("{} more; --limit 0 lists all.", format::count(changes - limit)));
    }
    format!("{}\n", report::terminal::table(&table, width, color))
}

fn row(difference: &Difference) -> [String; 5] {
    let shown = |text: &Option<String>| text.as_deref().map_or_else(|| format::MISSING.to_string(), escape);
    let change = difference.change.map_or_else(String::new, |change| {
        let sign = if change > 0.0 { "+" } else { "" };
        format!("{sign}{}\u{a0}%", format::significant(change * 100.0, 3))
    });
    [
        difference.kind.name().to_string(),
        escape(&difference.place),
        shown(&difference.before),
        shown(&difference.after),
        change,
    ]
}
