//! The exercise sheet: one module an exercise, and the runner that answers them.

mod data;
mod five;
mod four;
mod one;
mod six;
mod three;
mod two;

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, Result, anyhow};
use report::format::number;
use report::inline::escape;
use report::{Align, Answer, Page, Table};
use serde_json::{Value, json};

use crate::cli::ExerciseArgs;
use crate::context::{Context, listen_for_interrupt, terminal};
use crate::progress::say;

/// Longer lines of text are hard to read.
const WIDEST_TEXT: usize = 120;

/// An exercise of the sheet.
struct Exercise {
    number: u8,
    title: &'static str,
    answer: fn(&Context, &mut Answer) -> Result<()>,
}

/// The whole sheet; exercise 0 is the project itself.
const SHEET: [Exercise; 6] = [
    Exercise {
        number: 1,
        title: "Parameters of the generic network",
        answer: one::answer,
    },
    Exercise {
        number: 2,
        title: "Sizes and parameters of a model",
        answer: two::answer,
    },
    Exercise {
        number: 3,
        title: "Optimizers for the training",
        answer: three::answer,
    },
    Exercise {
        number: 4,
        title: "Model persistence",
        answer: four::answer,
    },
    Exercise {
        number: 5,
        title: "Data augmentation for images",
        answer: five::answer,
    },
    Exercise {
        number: 6,
        title: "Backpropagation with a simple example",
        answer: six::answer,
    },
];

/// Answers what was asked for: on the terminal, and in the folder of the report.
pub(crate) fn run(args: &ExerciseArgs) -> Result<ExitCode> {
    let context = Context {
        full: args.full,
        ..Context::new(&args.data, args.quick)?
    };
    if let Some(folder) = &args.report {
        // Find out before the work, not after it, that the folder cannot be written to.
        prepare(folder)?;
    }
    listen_for_interrupt()?;
    let mut answers = Vec::new();
    for exercise in SHEET
        .iter()
        .filter(|exercise| args.which == "all" || args.which == exercise.number.to_string())
    {
        context
            .progress
            .line(&format!("exercise {}: {} …", exercise.number, exercise.title));
        let answer = attempt(exercise, &context);
        if Context::is_interrupted() {
            return Err(anyhow!(
                "interrupted in exercise {}; the records of the exercises before it are complete, the page was not written",
                exercise.number
            ));
        }
        if let Some(folder) = &args.report {
            let path = folder.join(format!("exercise-{}.json", exercise.number));
            let text =
                serde_json::to_string_pretty(&whole_record(&answer)).context("a record cannot be written as JSON")?;
            report::write_atomically(&path, format!("{text}\n").as_bytes())?;
        }
        print(&answer, args.json)?;
        answers.push(answer);
    }
    if let Some(folder) = &args.report {
        let page = page(&answers, &context)?;
        let path = folder.join("index.html");
        report::write_atomically(&path, page.as_bytes())?;
        context.progress.line(&format!("the page is at {}", path.display()));
    }
    if !args.json {
        print_overview(&answers)?;
    }
    Ok(if answers.iter().all(Answer::is_ok) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The answer of one exercise, or the reason why there is none: a failed exercise does not stop the others.
fn attempt(exercise: &Exercise, context: &Context) -> Answer {
    let started = Instant::now();
    let mut answer = Answer::new(exercise.number, exercise.title);
    answer.setting("seed", context.seed).setting("quick", context.quick);
    let outcome = catch_unwind(AssertUnwindSafe(|| (exercise.answer)(context, &mut answer)))
        .unwrap_or_else(|_| Err(anyhow!("a bug in this program stopped exercise {}", exercise.number)));
    if let Err(error) = outcome {
        answer = Answer::failed(exercise.number, exercise.title, crate::one_line(&error));
        if !Context::is_interrupted() {
            say(&format!(
                "error: exercise {}: {}",
                exercise.number,
                crate::one_line(&error)
            ));
        }
    }
    answer.timing("seconds", started.elapsed().as_secs_f64());
    answer
}

/// What is kept of an answer for scripts and for comparing runs.
fn record(answer: &Answer) -> Value {
    json!({
        "exercise": answer.exercise,
        "title": answer.title,
        "ok": answer.is_ok(),
        "error": answer.error,
        "headline": answer.headline,
        "settings": answer.settings,
        "numbers": answer.numbers,
        "timings": answer.timings,
    })
}

/// The record of the folder: also the tables and the numbers of the figures, for `lab report diff`.
fn whole_record(answer: &Answer) -> Value {
    let mut record = record(answer);
    record["tables"] = json!(answer.tables());
    record["figures"] = answer
        .figures()
        .into_iter()
        .map(|figure| json!({"title": figure.title, "axes": figure.axes, "series": figure.series}))
        .collect();
    record
}

fn print(answer: &Answer, json: bool) -> Result<()> {
    let mut out = std::io::stdout().lock();
    if json {
        writeln!(out, "{}", record(answer))?;
    } else {
        let (width, color) = terminal();
        writeln!(out, "{}", answer.to_terminal(width.min(WIDEST_TEXT), color))?;
    }
    Ok(())
}

fn print_overview(answers: &[Answer]) -> Result<()> {
    let (width, color) = terminal();
    let mut table = Table::new("All answers");
    table.header(["exercise", "headline", "seconds", "outcome"]).align([
        Align::Right,
        Align::Left,
        Align::Right,
        Align::Left,
    ]);
    for answer in answers {
        let seconds = answer
            .timings
            .get("seconds")
            .and_then(Value::as_f64)
            .unwrap_or_default();
        let said = answer
            .error
            .as_ref()
            .map_or_else(|| answer.headline.clone(), |error| escape(error));
        let outcome = if answer.is_ok() { "ok" } else { "failed" };
        table.row([
            answer.exercise.to_string(),
            said,
            number(seconds, 1),
            outcome.to_string(),
        ]);
    }
    writeln!(
        std::io::stdout().lock(),
        "{}",
        report::terminal::table(&table, width, color)
    )?;
    Ok(())
}

fn page(answers: &[Answer], context: &Context) -> Result<String> {
    let subtitle = format!(
        "Seed {}{}. Every number on this page was computed by the run that wrote it.",
        context.seed,
        context.pick("", ", the quick version: fewer seeds and epochs")
    );
    let mut page = Page::new("candle-lab: the exercise sheet on neural networks", subtitle);
    for answer in answers {
        page.answer(answer);
    }
    Ok(page.to_html()?)
}

/// Makes the folder of the report and checks that files can be written into it.
fn prepare(folder: &Path) -> Result<()> {
    let made = std::fs::create_dir_all(folder).and_then(|()| tempfile::tempfile_in(folder));
    made.map(drop).map_err(|error| {
        anyhow!(
            "nothing can be written into {}: {error}; choose another folder with --report",
            folder.display()
        )
    })
}
