//! Medians and ratios of the runs of `bench peers`, as a page and as JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::machine;
use super::programs::{Model, OURS, OURS_HIGH, PROGRAMS, Precision, Run};

/// All runs of one net with one kind of numbers.
pub(crate) struct Contest {
    pub(crate) model: Model,
    pub(crate) precision: Precision,
    /// For each program its runs, each with the number of its round.
    runs: BTreeMap<&'static str, Vec<(u16, Run)>>,
    failures: BTreeMap<&'static str, String>,
}

impl Contest {
    pub(crate) fn new(model: Model, precision: Precision) -> Self {
        Contest {
            model,
            precision,
            runs: BTreeMap::new(),
            failures: BTreeMap::new(),
        }
    }

    pub(crate) fn add(&mut self, program: &'static str, round: u16, run: Run) {
        self.runs.entry(program).or_default().push((round, run));
    }

    pub(crate) fn fail(&mut self, program: &'static str, why: String) {
        self.failures.insert(program, why);
    }

    /// The runs of a program in order of their rounds.
    fn runs(&self, program: &str) -> &[(u16, Run)] {
        self.runs.get(program).map_or(&[][..], Vec::as_slice)
    }

    /// Images a second of every run of a program.
    fn speeds(&self, program: &str) -> Vec<f64> {
        self.runs(program)
            .iter()
            .map(|(_, run)| run.images_per_second())
            .collect()
    }

    /// How many times faster `ours` was than `program`: the median over the rounds that both finished.
    fn ratio(&self, ours: &str, program: &str) -> Option<f64> {
        let theirs = self.runs(program);
        let ratios: Vec<f64> = self
            .runs(ours)
            .iter()
            .filter_map(|(round, our)| {
                let (_, their) = theirs.iter().find(|(other, _)| other == round)?;
                Some(our.images_per_second() / their.images_per_second())
            })
            .collect();
        if ratios.is_empty() {
            return None;
        }
        Some(median(&ratios))
    }

    /// The fastest of the other libraries.
    fn fastest_peer(&self) -> Option<&'static str> {
        let peers = self
            .runs
            .keys()
            .copied()
            .filter(|name| ![OURS, OURS_HIGH].contains(name));
        peers.max_by(|a, b| median(&self.speeds(a)).total_cmp(&median(&self.speeds(b))))
    }

    /// The programs that ran, in the order of the list.
    fn names(&self) -> impl Iterator<Item = &'static str> {
        PROGRAMS
            .iter()
            .map(|program| program.name)
            .filter(|name| self.runs.contains_key(name))
    }

    fn json(&self) -> Value {
        let runs: Vec<Value> = self
            .names()
            .flat_map(|name| self.runs(name).iter().map(move |(round, run)| (name, round, run)))
            .map(|(name, round, run)| {
                let speeds: Vec<Value> = run.epochs.iter().map(|line| line["img_per_s"].clone()).collect();
                json!({
                    "library": name,
                    "version": run.epochs[0]["version"],
                    "round": round,
                    "images_per_second": run.images_per_second(),
                    "images_per_second_of_each_epoch": speeds,
                    "images": run.epochs[0]["n"],
                    "batch": run.epochs[0]["batch"],
                    "loss": run.last("loss"),
                    "test_accuracy": run.last("test_acc"),
                    "peak_mib": run.last("peak_mib"),
                    "processors_taken_by_others": run.others,
                })
            })
            .collect();
        json!({
            "model": self.model.name(),
            "precision": self.precision.to_string(),
            "runs": runs,
            "failed": self.failures,
        })
    }
}

/// Everything that a call of `bench peers` found out.
pub(crate) struct Report {
    pub(crate) contests: Vec<Contest>,
    /// Libraries that are not installed, and how to install them.
    pub(crate) missing: Vec<(&'static str, String)>,
    pub(crate) rounds: u16,
    pub(crate) threads: usize,
}

impl Report {
    /// The page.
    pub(crate) fn markdown(&self) -> String {
        let mut page = String::from("# Training speed next to other libraries\n\n");
        let machine = machine::describe();
        let _ = writeln!(
            page,
            "Written by `cargo xtask bench peers`; every figure with its runs is in `training.json`. {}, {} processors, {} \
             threads each. Every library trains the same nets (written down in `crates/training/examples/train_speed.rs`) in a \
             process of its own, in turns, {} rounds. Images a second while training (shuffling, batches, forward, backward, \
             optimizer), the median over the epochs without the first and over the rounds; the smallest and largest round in \
             brackets. *times* says how many times faster {OURS} was, the median of the ratios round by round. *MiB* is the \
             largest memory of the process, with the data and the evaluation. *f32 high* is this workspace with \
             `MatmulPrecision::High`, whose products have an error of 2^-16 instead of 2^-23, next to the others' `f32`. *others* is the largest share of the processors \
             that other programs took during a run: above a few per cent, times are not to be trusted.\n",
            machine["processor"].as_str().unwrap_or_default(),
            machine["processors"],
            self.threads,
            self.rounds,
        );
        page.push_str("## Ratios\n\n| net | numbers | images/s | fastest other library | images/s | times |\n");
        page.push_str("|---|---|--:|---|--:|--:|\n");
        for contest in &self.contests {
            for ours in [OURS, OURS_HIGH] {
                page.push_str(&ratio_row(contest, ours));
            }
        }
        for contest in &self.contests {
            let _ = writeln!(page, "\n## {} in {}\n", contest.model.name(), contest.precision);
            page.push_str("| library | images/s | times | MiB | test accuracy | others |\n|---|--:|--:|--:|--:|--:|\n");
            for name in contest.names() {
                page.push_str(&row(contest, name));
            }
            for (name, why) in &contest.failures {
                let _ = writeln!(page, "\n{name} failed: {why}");
            }
        }
        if !self.missing.is_empty() {
            page.push_str("\n## Not installed\n\n");
            for (name, why) in &self.missing {
                let _ = writeln!(page, "* {name}: {why}");
            }
        }
        page
    }

    /// Writes `training.md` and `training.json` into `folder`.
    pub(crate) fn write(&self, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
        let record = json!({
            "machine": machine::describe(),
            "threads": self.threads,
            "rounds": self.rounds,
            "contests": self.contests.iter().map(Contest::json).collect::<Vec<_>>(),
            "not_installed": self.missing.iter().map(|(name, _)| name).collect::<Vec<_>>(),
        });
        let text = serde_json::to_string_pretty(&record)? + "\n";
        for (name, text) in [("training.md", self.markdown()), ("training.json", text)] {
            let path = folder.join(name);
            fs::write(&path, text).with_context(|| format!("{} cannot be written", path.display()))?;
        }
        Ok(())
    }
}

/// The row of one of this workspace's programs beside the fastest other library; none where it did not run.
fn ratio_row(contest: &Contest, ours: &str) -> String {
    let speeds = contest.speeds(ours);
    if speeds.is_empty() {
        return String::new();
    }
    let fastest = contest.fastest_peer();
    let ratio = fastest.and_then(|name| contest.ratio(ours, name));
    format!(
        "| {} | {}{} | {} | {} | {} | {} |\n",
        contest.model.name(),
        contest.precision,
        if ours == OURS_HIGH { " high" } else { "" },
        number(median(&speeds)),
        fastest.unwrap_or("-"),
        fastest.map_or("-".to_string(), |name| number(median(&contest.speeds(name)))),
        ratio.map_or("-".to_string(), |ratio| format!("**{ratio:.2}**")),
    )
}

fn row(contest: &Contest, name: &str) -> String {
    let speeds = contest.speeds(name);
    let runs = contest.runs(name);
    let least = speeds.iter().copied().fold(f64::INFINITY, f64::min);
    let most = speeds.iter().copied().fold(0.0, f64::max);
    let largest = |value: &dyn Fn(&Run) -> Option<f64>| runs.iter().filter_map(|(_, run)| value(run)).reduce(f64::max);
    let accuracies: Vec<f64> = runs.iter().filter_map(|(_, run)| run.last("test_acc")).collect();
    let times = match contest.ratio(OURS, name) {
        Some(ratio) if name != OURS => format!("{ratio:.2}"),
        _ => "-".to_string(),
    };
    format!(
        "| {name} | {} ({} to {}) | {times} | {} | {:.3} | {} |\n",
        number(median(&speeds)),
        number(least),
        number(most),
        largest(&|run| run.last("peak_mib")).map_or("-".to_string(), number),
        median(&accuracies),
        largest(&|run| run.others).map_or("-".to_string(), |share| format!("{:.0} %", 100.0 * share)),
    )
}

/// The middle value, or the mean of the two in the middle; NaN of nothing.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        length if length % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

/// A whole number with separators of thousands.
fn number(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(speeds: &[f64]) -> Run {
        Run {
            epochs: speeds
                .iter()
                .map(|speed| json!({"img_per_s": speed, "test_acc": 0.5, "peak_mib": 100.0, "version": "1", "n": 8}))
                .collect(),
            others: Some(0.015),
        }
    }

    fn contest() -> Contest {
        let mut contest = Contest::new(Model::Mlp, Precision::F32);
        // The first epoch is warm-up and does not count.
        contest.add(OURS, 1, run(&[1.0, 3000.0, 3000.0]));
        contest.add(OURS, 2, run(&[1.0, 1000.0, 1200.0]));
        contest.add(OURS_HIGH, 2, run(&[1.0, 2000.0, 2000.0]));
        contest.add("torch", 1, run(&[1.0, 2000.0, 2000.0]));
        contest.add("torch", 2, run(&[1.0, 500.0, 500.0]));
        contest.add("keras-tf", 2, run(&[9e9, 700.0, 900.0]));
        contest.fail("burn-flex", "no such thing".to_string());
        contest
    }

    #[test]
    fn medians_of_odd_and_even_counts() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn ratios_are_taken_round_by_round() {
        let contest = contest();
        assert_eq!(contest.speeds(OURS), [3000.0, 1100.0]);
        // 3000 / 2000 and 1100 / 500
        assert_eq!(contest.ratio(OURS, "torch"), Some(1.85));
        assert_eq!(contest.fastest_peer(), Some("torch"));
        // Only the second round has both: 1100 / 800.
        assert_eq!(contest.ratio(OURS, "keras-tf"), Some(1.375));
        assert_eq!(contest.ratio(OURS, "keras-jax"), None);
    }

    #[test]
    fn the_page_shows_what_ran_and_what_did_not() {
        let report = Report {
            contests: vec![contest()],
            missing: vec![("keras-jax", "not installed".to_string())],
            rounds: 2,
            threads: 2,
        };
        let page = report.markdown();
        for part in [
            "| mlp | f32 | 2,050 | torch | 1,250 | **1.85** |",
            "| mlp | f32 high | 2,000 | torch | 1,250 | **4.00** |",
            "| torch | 1,250 (500 to 2,000) | 1.85 | 100 | 0.500 | 2 % |",
            "burn-flex failed: no such thing",
            "* keras-jax: not installed",
        ] {
            assert!(page.contains(part), "{part} is not in\n{page}");
        }
        assert_eq!(report.contests[0].json()["runs"].as_array().unwrap().len(), 6);
    }

    #[test]
    fn thousands_are_separated() {
        let written = [0.0, 999.4, 1000.0, 45_600.0, 1_234_567.0].map(number);
        assert_eq!(written, ["0", "999", "1,000", "45,600", "1,234,567"]);
    }
}
