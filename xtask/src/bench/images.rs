//! Medians and ratios of the cases of `bench augmentation`, as a page and as JSON.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::cases::{self, Case, What};
use super::machine;
use super::programs::OURS;
use super::results::median;
use super::turns::Missing;

/// A library with its mode, the median of its rates, and the rates with their rounds.
type Peer = (String, f64, Vec<(u16, f64)>);

/// Everything that a call of `bench augmentation` found out.
pub(crate) struct Report {
    pub(crate) cases: Vec<Case>,
    pub(crate) missing: Vec<Missing>,
    pub(crate) threads: usize,
}

/// Of the page and the record.
const NAME: &str = "augmentation";

/// The cases that the record of a folder has; none where there is no record.
///
/// # Errors
/// Where it cannot be read, or is of another machine.
pub(crate) fn known(folder: &Path, threads: usize) -> Result<Vec<Case>> {
    let path = folder.join(format!("{NAME}.json"));
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| format!("{} cannot be read", path.display())),
    };
    let record = serde_json::from_str(&text).with_context(|| format!("{} is no JSON", path.display()))?;
    cases::kept(&record, &machine::describe(), threads)
        .with_context(|| format!("{}: run without --add to begin a new table", path.display()))
}

impl Report {
    /// Writes the page and the record into a folder, each whole or not at all.
    ///
    /// # Errors
    /// Where that fails.
    pub(crate) fn write(&self, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
        let record = cases::record(&self.cases, &machine::describe(), self.threads);
        let text = serde_json::to_string_pretty(&record)? + "\n";
        for (ending, text) in [("md", self.markdown()), ("json", text)] {
            let path = folder.join(format!("{NAME}.{ending}"));
            let new = folder.join(format!("{NAME}.{ending}.new"));
            fs::write(&new, text)
                .and_then(|()| fs::rename(&new, &path))
                .with_context(|| format!("{} cannot be written", path.display()))?;
        }
        Ok(())
    }

    /// The fewest and the most rounds that one of our cases had.
    fn rounds(&self) -> String {
        let of = |case: &Case| {
            let same = self
                .cases
                .iter()
                .filter(|other| other.library == OURS && other.what == case.what);
            same.map(|other| other.round).collect::<BTreeSet<_>>().len()
        };
        let counts: BTreeSet<usize> = self.cases.iter().filter(|case| case.library == OURS).map(of).collect();
        match (counts.first(), counts.last()) {
            (Some(1), Some(1)) => "one round".to_string(),
            (Some(fewest), Some(most)) if fewest < most => format!("{fewest} to {most} rounds"),
            (Some(rounds), _) => format!("{rounds} rounds"),
            _ => "no round".to_string(),
        }
    }

    /// The rates of who does something, round by round.
    fn rates(&self, what: &What, library: &str, mode: &str) -> Vec<(u16, f64)> {
        let same = |case: &&Case| case.what == *what && case.library == library && case.mode == mode;
        self.cases
            .iter()
            .filter(same)
            .map(|case| (case.round, case.rate))
            .collect()
    }

    /// The other libraries that draw for each image, the fastest first.
    fn peers(&self, what: &What) -> Vec<Peer> {
        let mut peers: Vec<Peer> = Vec::new();
        for case in self
            .cases
            .iter()
            .filter(|case| case.what == *what && case.library != OURS && case.per_sample)
        {
            let name = format!("{} {}", case.library, case.mode);
            if peers.iter().all(|(known, ..)| *known != name) {
                let rates = self.rates(what, &case.library, &case.mode);
                peers.push((name, middle(&rates), rates));
            }
        }
        peers.sort_by(|(_, a, _), (_, b, _)| b.total_cmp(a));
        peers
    }

    /// The page.
    pub(crate) fn markdown(&self) -> String {
        let machine = machine::describe();
        let mut page = format!(
            "# Augmentation next to other libraries\n\nWritten by `cargo xtask bench augmentation`; every figure is in \
             `augmentation.json`. {}, {} processors, {:.0} GiB: {} threads each, {} in turns, each a process of its own \
             (`crates/augmentation/examples/augment_speed.rs`, `peers/augment.py`); other programs took at most {:.0} % of the \
             processors during a turn. Images a second of batches of 128, each image with its own draws; libraries that draw once for a \
             whole batch do less and are left out. Who reached less than half of the fastest other library in the first round takes no \
             further turns. Ours changes a batch in place that was gathered just before. *times* says how many \
             times faster ours is than the fastest other library, the median of the ratios round by round; *of the memory* is the \
             share of what only reading and writing the batch in place takes (a flip happens to every second image).\n",
            machine["processor"].as_str().unwrap_or_default(),
            machine["processors"],
            machine["memory_gib"].as_f64().unwrap_or_default(),
            self.threads,
            self.rounds(),
            100.0 * self.cases.iter().filter_map(|case| case.others).fold(0.0, f64::max),
        );
        let mut versions: Vec<&str> = Vec::new();
        for case in self.cases.iter().filter(|case| case.library != OURS && case.per_sample) {
            if !versions.contains(&case.version.as_str()) {
                versions.push(&case.version);
            }
        }
        let _ = writeln!(page, "\nThe others are {}.", versions.join(", "));
        let mut groups: Vec<(&str, &str)> = Vec::new();
        for case in self.cases.iter().filter(|case| case.library == OURS) {
            let group = (case.what.1.as_str(), case.what.2.as_str());
            if !groups.contains(&group) {
                groups.push(group);
            }
        }
        for (shape, dtype) in groups {
            let _ = writeln!(
                page,
                "\n## {shape}, {dtype}\n\n| operation | images/s | of the memory | times | fastest other | images/s | others |\n\
                 |---|--:|--:|--:|---|--:|---|"
            );
            let mut seen: Vec<&str> = Vec::new();
            for case in self.cases.iter().filter(|case| case.library == OURS) {
                let (op, of_shape, of_dtype) = &case.what;
                if (of_shape.as_str(), of_dtype.as_str()) != (shape, dtype) || seen.contains(&op.as_str()) {
                    continue;
                }
                seen.push(op);
                page += &self.row(case);
            }
        }
        page += &self.shortfalls();
        if !self.missing.is_empty() {
            page += "\n## Left out\n\n";
            for (name, why) in &self.missing {
                let _ = writeln!(page, "- {name}: {why}");
            }
        }
        page
    }

    /// The cases that miss what was aimed at, each with what it came to.
    fn shortfalls(&self) -> String {
        let mut missed: Vec<String> = Vec::new();
        let mut seen: Vec<&What> = Vec::new();
        for case in self.cases.iter().filter(|case| case.library == OURS) {
            if seen.contains(&&case.what) {
                continue;
            }
            seen.push(&case.what);
            let (op, shape, dtype) = &case.what;
            let figures = self.figures(case);
            let aim = if op == "pipeline" { 3.0 } else { 1.5 };
            if let Some(times) = figures.times.filter(|times| *times < aim) {
                missed.push(format!("- {op}, {shape}, {dtype}: {times:.2} times instead of {aim}"));
            }
            let moves = ["flip", "crop", "invert"].contains(&op.as_str());
            if let Some(share) = figures.share.filter(|share| moves && *share < 0.7) {
                missed.push(format!(
                    "- {op}, {shape}, {dtype}: {:.0} % of the memory instead of 70 %",
                    100.0 * share
                ));
            }
        }
        if missed.is_empty() {
            return "\nEvery case reaches what was aimed at: 1.5 times the fastest other library, 3 times for the pipeline, 70 % of the \
                    memory for flips, crops and inversions.\n"
                .to_string();
        }
        format!(
            "\n## Below what was aimed at\n\nAimed at are 1.5 times the fastest other library, 3 times for the pipeline, and 70 % of the \
             memory for flips, crops and inversions. Of {} cases these miss it:\n\n{}\n",
            seen.len(),
            missed.join("\n")
        )
    }

    fn figures(&self, case: &Case) -> Figures {
        let ours = self.rates(&case.what, OURS, &case.mode);
        let same = |other: &&Case| other.what == case.what && other.library == OURS;
        let shares = self.cases.iter().filter(same);
        let shares = shares.filter_map(|other| other.bytes.map(|(bytes, memory)| 2.0 * bytes / memory));
        let shares: Vec<f64> = shares.collect();
        let peers = self.peers(&case.what);
        let ratios: Vec<f64> = peers.first().map_or_else(Vec::new, |(_, _, rates)| {
            let ratio = |(round, our): &(u16, f64)| Some(our / rates.iter().find(|(of, _)| of == round)?.1);
            ours.iter().filter_map(ratio).collect()
        });
        let some = |values: &[f64]| (!values.is_empty()).then(|| median(values));
        Figures {
            rate: middle(&ours),
            share: some(&shares),
            times: some(&ratios),
            peers,
        }
    }

    fn row(&self, case: &Case) -> String {
        let Figures {
            rate,
            share,
            times,
            peers,
        } = self.figures(case);
        let share = share.map_or_else(String::new, |share| format!("{:.0} %", 100.0 * share));
        let times = times.map_or_else(String::new, |times| format!("{times:.1}"));
        let (fastest, theirs) = peers
            .first()
            .map_or(("none", String::new()), |(name, rate, _)| (name.as_str(), whole(*rate)));
        let others = peers
            .iter()
            .skip(1)
            .map(|(name, rate, _)| format!("{name} {}", whole(*rate)));
        let others: Vec<String> = others.collect();
        format!(
            "| {} | {} | {share} | {times} | {fastest} | {theirs} | {} |\n",
            case.what.0,
            whole(rate),
            others.join(", ")
        )
    }
}

/// What one case came to.
struct Figures {
    /// Images a second here.
    rate: f64,
    /// Of what only reading and writing the images takes.
    share: Option<f64>,
    /// How many times faster than the fastest other library.
    times: Option<f64>,
    peers: Vec<Peer>,
}

fn middle(rates: &[(u16, f64)]) -> f64 {
    median(&rates.iter().map(|(_, rate)| *rate).collect::<Vec<_>>())
}

/// A number with three digits that count, in groups of three.
fn whole(rate: f64) -> String {
    let unit = 10f64.powi(rate.abs().max(1.0).log10().floor() as i32 - 2).max(1.0);
    let digits = format!("{:.0}", (rate / unit).round() * unit);
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn case(library: &str, mode: &str, round: u16, rate: f64, per_sample: bool) -> Case {
        let line = json!({
            "op": "flip", "version": format!("{library} 1.0"), "shape": "32x32x3", "dtype": "uint8", "mode": mode, "per_sample": per_sample, "img_per_s": rate,
            "bytes_per_s": rate * 3072.0, "memory_bytes_per_s": rate * 3072.0 * 4.0,
        });
        Case::new(library, line, round, Some(0.03)).unwrap()
    }

    #[test]
    fn the_fastest_that_draws_for_each_image_is_compared_round_by_round() {
        let report = Report {
            cases: vec![
                case(OURS, "in place", 1, 300_000.0, true),
                case(OURS, "in place", 2, 600_000.0, true),
                case("slow", "call", 1, 1000.0, true),
                case("fast", "procs", 1, 100_000.0, true),
                case("fast", "procs", 2, 200_000.0, true),
                case("cheat", "batch", 1, 9e9, false),
            ],
            missing: vec![("gone".into(), "not installed".into())],
            threads: 2,
        };
        let page = report.markdown();
        assert!(
            page.contains("| flip | 450,000 | 50 % | 3.0 | fast procs | 150,000 | slow call 1,000 |"),
            "{page}"
        );
        assert!(page.contains("The others are slow 1.0, fast 1.0."), "{page}");
        assert!(
            page.contains("2 threads each, 2 rounds in turns") && page.contains("at most 3 % of the processors"),
            "{page}"
        );
        assert!(
            page.contains("Of 1 cases these miss it:\n\n- flip, 32x32x3, uint8: 50 % of the memory instead of 70 %\n"),
            "{page}"
        );
        assert!(
            page.contains("- gone: not installed") && !page.contains("cheat"),
            "{page}"
        );
    }

    #[test]
    fn what_was_written_is_known_again() {
        let folder = std::env::temp_dir().join(format!("bench-augmentation-{}", std::process::id()));
        assert!(known(&folder, 2).unwrap().is_empty());
        let report = Report {
            cases: vec![case(OURS, "in place", 1, 5.0, true)],
            missing: Vec::new(),
            threads: 2,
        };
        report.write(&folder).unwrap();
        let again = known(&folder, 2).unwrap();
        assert_eq!(
            (again.len(), again[0].rate, again[0].bytes),
            (1, 5.0, report.cases[0].bytes)
        );
        assert!(known(&folder, 3).is_err());
        let names = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name());
        assert_eq!(
            names.collect::<BTreeSet<_>>(),
            BTreeSet::from(["augmentation.json".into(), "augmentation.md".into()])
        );
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn rates_have_three_digits_that_count() {
        for (rate, text) in [
            (0.0, "0"),
            (12.6, "13"),
            (1234.0, "1,230"),
            (987_654.0, "988,000"),
            (1e7, "10,000,000"),
        ] {
            assert_eq!(whole(rate), text);
        }
    }
}
