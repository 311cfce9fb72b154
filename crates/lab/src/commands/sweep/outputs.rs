//! What a sweep leaves: tables on the terminal, and a page, JSON and Markdown in its folder.

use std::io::Write as _;

use anyhow::{Context as _, Result};
use optimizers_bench::{Cell, Plan, Records, Results, Seconds};
use report::format::{count, seconds};
use report::{Answer, Block, Page, Table};
use serde_json::json;

use crate::comparison::{Study, chosen, counted, headline, overall, paths, rules, verdict};
use crate::context::{processor, terminal};

/// The runs of a plan as far as they are recorded.
pub(super) struct Finished {
    pub(super) plan: Plan,
    pub(super) cells: Vec<Option<Cell>>,
    pub(super) recorded: usize,
    pub(super) runs: usize,
    /// Seconds since the program began, and how many runs went side by side.
    pub(super) wall: Option<(f64, usize)>,
    /// The task of the user's, and what `lab train` is given for it.
    pub(super) trained_as: Option<(String, String)>,
}

impl Finished {
    pub(super) fn gather(plan: Plan, records: &Records) -> Result<Self> {
        let gathered = records.gather(&plan)?;
        Ok(Finished {
            plan,
            cells: gathered.cells,
            recorded: gathered.recorded,
            runs: gathered.runs,
            wall: None,
            trained_as: None,
        })
    }

    pub(super) fn is_complete(&self) -> bool {
        self.cells.iter().all(Option::is_some)
    }

    /// How long it took, in words.
    fn took(&self, times: &Seconds) -> String {
        let all = format!("{}, {} of computing", counted(self.runs, "run"), seconds(times.total));
        match self.wall {
            Some((wall, workers)) => format!(
                "{all}; this call took {}, {workers} at a time, on {}",
                seconds(wall),
                machine()
            ),
            None => all,
        }
    }
}

/// Says what is there and how the rest comes about.
pub(super) fn incomplete(finished: &Finished, records: &Records, json: bool) -> Result<()> {
    let mut out = std::io::stdout().lock();
    let missing = finished.runs - finished.recorded;
    if json {
        let record = json!({
            "complete": false,
            "folder": records.folder(),
            "recorded": finished.recorded,
            "runs": finished.runs,
            "plan": finished.plan,
        });
        writeln!(out, "{}", serde_json::to_string_pretty(&record)?)?;
        return Ok(());
    }
    writeln!(
        out,
        "{} of {} runs are recorded in {}; {} are missing. Run the other shards, then bring all together: lab sweep merge {} DIR...",
        count(finished.recorded),
        count(finished.runs),
        records.folder().display(),
        count(missing),
        records.folder().display()
    )?;
    Ok(())
}

/// Writes page, JSON and Markdown into the folder, and the tables (or the JSON) to stdout.
pub(super) fn show(finished: &Finished, records: &Records, json: bool) -> Result<()> {
    let results = Results::of(&finished.plan, &finished.cells)?;
    let times = Seconds::of(&finished.plan, &finished.cells, &results);
    let study = Study {
        plan: &finished.plan,
        results: &results,
        seconds: &times,
    };
    let folder = records.folder();
    let record = json!({"plan": finished.plan, "results": results});
    let text = serde_json::to_string_pretty(&record).context("the results cannot be written as JSON")?;
    report::write_atomically(folder.join("results.json"), text + "\n")?;
    report::write_atomically(folder.join("results.md"), markdown(finished, &study))?;
    report::write_atomically(folder.join("index.html"), page(finished, &study)?)?;
    let mut out = std::io::stdout().lock();
    if json {
        let record = json!({
            "complete": true,
            "folder": folder,
            "recorded": finished.recorded,
            "runs": finished.runs,
            "plan": finished.plan,
            "results": results,
            "seconds": times,
            "wall_seconds": finished.wall.map(|(wall, _)| wall),
            "workers": finished.wall.map(|(_, workers)| workers),
        });
        writeln!(out, "{}", serde_json::to_string_pretty(&record)?)?;
        return Ok(());
    }
    let (width, color) = terminal();
    for table in tables(&study) {
        writeln!(out, "{}\n", report::terminal::table(&table, width, color))?;
    }
    for task in &results.tasks {
        let Some(best) = chosen(task) else { continue };
        writeln!(out, "best on {}: {} ({})", task.task, best.options, best.score)?;
        if let Some((_, words)) = finished.trained_as.as_ref().filter(|(name, _)| *name == task.task) {
            writeln!(out, "train it so: lab train {words} {}", best.options)?;
        }
    }
    writeln!(out, "{}.", finished.took(&times))?;
    writeln!(
        out,
        "The page with all figures: {}",
        folder.join("index.html").display()
    )?;
    Ok(())
}

/// All tables: each task, then all together.
fn tables(study: &Study<'_>) -> Vec<Table> {
    let mut tables: Vec<Table> = (0..study.plan.tasks.len())
        .flat_map(|task| study.tables(task))
        .collect();
    tables.push(crate::comparison::ranks(study));
    tables
}

fn page(finished: &Finished, study: &Study<'_>) -> Result<String> {
    let mut answer = Answer::new(3, "Optimizers for the training: the sweep");
    answer.headline(headline(study, study.plan.tasks.len() - 1));
    answer.text(format!(
        "{} on {}. {}.",
        counted(study.plan.optimizers.len(), "optimizer"),
        counted(study.plan.tasks.len(), "task"),
        finished.took(study.seconds)
    ));
    answer.table(rules(study.plan));
    answer.heading("All tasks together");
    overall(&mut answer, study);
    let several = study.plan.tasks.len() > 1;
    for index in 0..study.plan.tasks.len() {
        let (description, result) = study.described(index);
        answer.heading(format!("{}: {}", description.name, description.title));
        study.task(&mut answer, index, several);
        verdict(&mut answer, result);
    }
    answer.heading("Ways down");
    paths(&mut answer, &study.plan.names(), &study.plan.learning_rates)?;
    answer.details(
        "The plan",
        [Block::code(
            serde_json::to_string_pretty(study.plan).unwrap_or_default(),
        )],
    );
    if let Some((wall, _)) = finished.wall {
        answer.timing("seconds", wall);
    }
    let mut page = Page::new(
        "candle-lab: a comparison of optimizers",
        "Every number on this page was computed from the records beside it.",
    );
    page.answer(&answer);
    Ok(page.to_html()?)
}

/// The tables for a document, with how they came about.
fn markdown(finished: &Finished, study: &Study<'_>) -> String {
    let mut text = format!("{}.\n", finished.took(study.seconds));
    for table in [rules(study.plan)].into_iter().chain(tables(study)) {
        text += &format!("\n{}", table.to_markdown());
    }
    text
}

/// The processor by its name, and how much of it there is.
fn machine() -> String {
    format!("{} of {}", counted(super::cores(), "core"), processor())
}
