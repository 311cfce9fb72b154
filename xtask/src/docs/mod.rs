//! `cargo xtask docs`: what the pages in `docs/` take from runs of the program, and what must hold between them.
//!
//! A page is Markdown that a person writes. Its numbers stand between marks ([`marks`]), which name a run and say where in its
//! record the number is; this command fills them in. `--check` says whether they are those of the run.

mod arrows;
mod benchmarks;
mod book;
mod code;
mod condition;
mod figures;
mod fill;
mod links;
mod marks;
mod pages;
mod record;
mod value;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;

use crate::cargo;
use fill::{Agreement, Filled};
use record::Records;

pub(crate) use arrows::Drawing;

/// Options of `cargo xtask docs`.
#[derive(Args)]
pub(crate) struct DocsArgs {
    /// Change nothing; say whether the pages have the numbers and the structure of the run
    #[arg(long, conflicts_with_all = ["api", "book"])]
    check: bool,
    /// The folder with the records exercise-N.json of a run [default: the exercises are run, which takes about a minute]
    #[arg(long, value_name = "DIR")]
    records: Option<PathBuf>,
    /// Build the documentation of all crates instead; a warning is an error
    #[arg(long)]
    api: bool,
    /// Open the documentation of the crates in the browser
    #[arg(long, requires = "api")]
    open: bool,
    /// Make the book in target/book of the pages as they are, where mdbook is installed
    #[arg(long)]
    book: bool,
    /// With --book: compile mdbook into target/tools where it is missing (some minutes)
    #[arg(long, requires = "book")]
    install: bool,
}

pub(crate) fn run(args: &DocsArgs) -> Result<ExitCode> {
    if args.api {
        return cargo::docs(args.open);
    }
    if args.book {
        return book::build(args.install);
    }
    let folder = match &args.records {
        Some(folder) => folder.clone(),
        None => {
            let folder = cargo::target_folder()?.join("docs-run");
            if let Some(failed) = answer_all(&folder)? {
                return Ok(failed);
            }
            folder
        }
    };
    fill_pages(&Records::new(folder), args.check)
}

/// Runs all exercises into `folder`; the exit code where they failed.
fn answer_all(folder: &std::path::Path) -> Result<Option<ExitCode>> {
    let Some(program) = cargo::build("lab", &["--bin", "lab"], &[])? else {
        return Ok(Some(ExitCode::FAILURE));
    };
    let words = [
        "exercise".as_ref(),
        "all".as_ref(),
        "--report".as_ref(),
        folder.as_os_str(),
    ];
    let code = cargo::process(&program, &words)?;
    Ok((code != ExitCode::SUCCESS).then_some(code))
}

#[expect(clippy::print_stdout, reason = "xtask talks to the person who runs it")]
fn fill_pages(records: &Records, check: bool) -> Result<ExitCode> {
    let root = cargo::root();
    // Without the page of the run the figures stay as they are.
    let report = fs::read_to_string(records.folder().join("index.html")).ok();
    let (mut faults, mut kept) = (Vec::new(), Vec::new());
    let (mut exact, mut alike, mut new) = (0, 0, 0);
    for page in pages::all(&root)? {
        let text = fs::read_to_string(root.join(&page)).with_context(|| format!("{page} cannot be read"))?;
        let Filled {
            text: filled,
            blocks,
            faults: found,
            doubts,
        } = fill::page(&text, records);
        faults.extend(found.into_iter().map(|fault| format!("{page}: {fault}")));
        for doubt in doubts {
            let doubt = format!("{page}: {doubt}");
            if check {
                println!("docs: in this run, {doubt}");
            } else {
                faults.push(doubt);
            }
        }
        for block in blocks {
            match block.agreement {
                Agreement::Exact => exact += 1,
                Agreement::Structure => alike += 1,
                Agreement::NoRecord => kept.push(block.source),
                Agreement::Different if check => faults.push(format!(
                    "{page}:{}: not what the run says:\n  page: {}\n  run:  {}",
                    block.line,
                    block.before.trim(),
                    block.after.trim()
                )),
                Agreement::Different => new += 1,
            }
        }
        if let Some(report) = report.as_deref().filter(|_| !check) {
            let missing = figures::write(&root, &page, &text, report)?;
            faults.extend(missing.into_iter().map(|fault| format!("{page}: {fault}")));
        }
        if !check && filled != text {
            fs::write(root.join(&page), filled).with_context(|| format!("{page} cannot be written"))?;
            println!("docs: {page} has new numbers");
        }
    }
    faults.extend(benchmarks::bring_up_to_date(&root, check)?);
    for fault in &faults {
        println!("docs: {fault}");
    }
    kept.sort();
    kept.dedup();
    for source in kept {
        println!(
            "docs: numbers of the run `{source}` stay as they are: there is no record exercise-{source}.json of it"
        );
    }
    println!(
        "docs: {exact} places agree to the digit, {alike} in structure, {new} are new; {} faults",
        faults.len()
    );
    Ok(if faults.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Brings the list of all measurements up to date.
pub(crate) fn list_benchmarks() -> Result<()> {
    benchmarks::bring_up_to_date(&cargo::root(), false).map(drop)
}

/// What is wrong with the pages whatever a run says: links, code that nothing compiles, pages that the book does not have.
pub(crate) fn faults() -> Result<Vec<String>> {
    let root = cargo::root();
    let mut faults = links::faults(&root)?;
    faults.extend(code::faults(&root)?);
    faults.extend(book::faults(&root)?);
    Ok(faults)
}
