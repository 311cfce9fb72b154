//! Medians and ratios of the steps of `bench optimizers`, as a page and as JSON.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::machine;
use super::programs::OURS;
use super::results::median;
use super::turns::Missing;

/// What is compared: an optimizer, a number of parameters and of tensors.
type Case = (String, u64, u64);

/// The time of one optimizer step in one turn of one library.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    case: Case,
    /// Library and mode.
    who: (String, String),
    round: u16,
    seconds: f64,
    /// The bytes of an ideal pass over the time.
    gb_per_s: f64,
    /// The share of all processors that other programs took in that turn.
    others: Option<f64>,
    line: Value,
}

impl Step {
    /// From a line that `step_speed` or `optim_step.py` printed; `None` if a field is missing.
    pub(crate) fn new(line: Value, round: u16, others: Option<f64>) -> Option<Self> {
        let text = |name: &str| Some(line[name].as_str()?.to_string());
        Some(Self {
            case: (
                text("optimizer")?,
                line["params"].as_f64()? as u64,
                line["tensors"].as_f64()? as u64,
            ),
            who: (text("framework")?, text("mode")?),
            round,
            seconds: line["seconds"].as_f64()?,
            gb_per_s: line["gb_per_s"].as_f64()?,
            others,
            line,
        })
    }
}

/// Everything that a call of `bench optimizers` found out.
pub(crate) struct Report {
    pub(crate) steps: Vec<Step>,
    pub(crate) missing: Vec<Missing>,
    pub(crate) threads: usize,
}

impl Report {
    /// Adds the cases of the `optimizers.json` of a folder that were not measured now.
    pub(crate) fn add_from(&mut self, folder: &Path) -> Result<()> {
        let path = folder.join("optimizers.json");
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error).with_context(|| format!("{} cannot be read", path.display())),
        };
        let record: Value = serde_json::from_str(&text).with_context(|| format!("{} is no JSON", path.display()))?;
        self.add(&record, &machine::describe())
            .with_context(|| format!("{}: run without --add to begin a new table", path.display()))
    }

    fn add(&mut self, record: &Value, machine: &Value) -> Result<()> {
        for (what, known, now) in [
            ("machine", &record["machine"], machine),
            ("number of threads", &record["threads"], &json!(self.threads)),
        ] {
            ensure!(known == now, "the {what} was {known} and is {now} now");
        }
        let measured = self.cases();
        let mut kept = Vec::new();
        for line in record["steps"].as_array().into_iter().flatten() {
            let round = line["round"].as_u64().and_then(|round| u16::try_from(round).ok());
            let others = line["processors_taken_by_others"].as_f64();
            let step = round.and_then(|round| Step::new(line.clone(), round, others));
            let step = step.context("a step lacks a field")?;
            if !measured.contains(&step.case) {
                kept.push(step);
            }
        }
        self.steps.splice(0..0, kept);
        // The order of a table that is made at once: by number of parameters, then of tensors.
        self.steps.sort_by_key(|step| (step.case.1, step.case.2));
        Ok(())
    }

    /// The fewest and the most rounds of a case.
    fn rounds(&self) -> (usize, usize) {
        let cases = self.cases().into_iter().map(|case| {
            let steps = self.steps.iter().filter(|step| step.case == case);
            steps.map(|step| step.round).collect::<BTreeSet<_>>().len()
        });
        cases.fold((usize::MAX, 0), |(fewest, most), rounds| {
            (fewest.min(rounds), most.max(rounds))
        })
    }

    fn cases(&self) -> Vec<Case> {
        let mut cases: Vec<Case> = Vec::new();
        for step in &self.steps {
            if !cases.contains(&step.case) {
                cases.push(step.case.clone());
            }
        }
        cases
    }

    /// The values of a library in one mode, round by round.
    fn of(&self, case: &Case, who: &(String, String), value: impl Fn(&Step) -> f64) -> BTreeMap<u16, f64> {
        let steps = self.steps.iter().filter(|step| step.case == *case && step.who == *who);
        steps.map(|step| (step.round, value(step))).collect()
    }

    fn rate(&self, case: &Case, who: &(String, String)) -> Option<f64> {
        let rates: Vec<f64> = self.of(case, who, |step| step.gb_per_s).into_values().collect();
        (!rates.is_empty()).then(|| median(&rates))
    }

    /// Who else has the case, the fastest first.
    fn peers(&self, case: &Case) -> Vec<(&(String, String), f64)> {
        let mut peers: Vec<(&(String, String), f64)> = Vec::new();
        for step in self
            .steps
            .iter()
            .filter(|step| step.case == *case && step.who.0 != OURS)
        {
            if peers.iter().all(|(who, _)| **who != step.who)
                && let Some(rate) = self.rate(case, &step.who)
            {
                peers.push((&step.who, rate));
            }
        }
        peers.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        peers
    }

    /// How many times faster a mode of ours is than a peer: the median of the ratios round by round.
    fn times(&self, case: &Case, mode: &str, peer: &(String, String)) -> Option<f64> {
        let ours = self.of(case, &(OURS.to_string(), mode.to_string()), |step| step.seconds);
        let theirs = self.of(case, peer, |step| step.seconds);
        let ratios: Vec<f64> = ours
            .iter()
            .filter_map(|(round, our)| Some(theirs.get(round)? / our))
            .collect();
        (!ratios.is_empty()).then(|| median(&ratios))
    }

    /// The page.
    pub(crate) fn markdown(&self) -> String {
        let mut page = String::from("# One optimizer step next to other libraries\n\n");
        let machine = machine::describe();
        let others = self.steps.iter().filter_map(|step| step.others).fold(0.0, f64::max);
        let rounds = match self.rounds() {
            (fewest, most) if fewest < most => format!("{fewest} to {most} rounds"),
            (_, 1) => "1 round".to_string(),
            (_, most) => format!("{most} rounds"),
        };
        let _ = writeln!(
            page,
            "Written by `cargo xtask bench optimizers`; every figure with its rounds is in `optimizers.json`. {}, {} processors, {} \
             threads each, `f32`, gradients ready, {rounds} in turns, each a process of its own (`crates/optimizers/examples/\
             step_speed.rs`, `peers/optim_step.py`). GB/s count the bytes that an ideal single pass must move: weights and state read \
             and written once, gradients read once. *checked* is the default: NaN or infinity in any gradient is an error that leaves \
             all parameters untouched, so every gradient is read before the first weight is written; *unchecked* \
             (`check_finite(false)`) does without, as the other libraries do. *times* says how many times faster that is than the \
             fastest other library, the median of the ratios round by round. Other programs took at most {:.0} % of the processors \
             during a turn.\n",
            machine["processor"].as_str().unwrap_or_default(),
            machine["processors"],
            self.threads,
            100.0 * others,
        );
        page.push_str("| optimizer | parameters | tensors | checked GB/s | times | unchecked GB/s | times | fastest other | GB/s | others |\n");
        page.push_str("|---|--:|--:|--:|--:|--:|--:|---|--:|---|\n");
        for case in self.cases() {
            let peers = self.peers(&case);
            let ours = |mode: &str| {
                let rate = self.rate(&case, &(OURS.to_string(), mode.to_string()));
                let times = peers.first().and_then(|(peer, _)| self.times(&case, mode, peer));
                let text =
                    |value: Option<f64>, digits| value.map_or("-".to_string(), |value| format!("{value:.digits$}"));
                format!("{} | **{}**", text(rate, 1), text(times, 2))
            };
            let name = |(library, mode): &(String, String)| format!("{library} {mode}");
            let (fastest, rate) = match peers.first() {
                Some((who, rate)) => (name(who), format!("{rate:.1}")),
                None => ("-".to_string(), "-".to_string()),
            };
            let rest: Vec<String> = peers
                .iter()
                .skip(1)
                .map(|(who, rate)| format!("{} {rate:.1}", name(who)))
                .collect();
            let _ = writeln!(
                page,
                "| {} | {} | {} | {} | {} | {fastest} | {rate} | {} |",
                case.0,
                power(case.1),
                case.2,
                ours("checked"),
                ours("unchecked"),
                rest.join(", ")
            );
        }
        if !self.missing.is_empty() {
            page.push_str("\nNot compared:\n\n");
            for (name, why) in &self.missing {
                let _ = writeln!(page, "* {name}: {why}");
            }
        }
        page
    }

    /// Writes `optimizers.md` and `optimizers.json` into `folder`.
    pub(crate) fn write(&self, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
        let steps = self.steps.iter().map(|step| {
            let mut line = step.line.clone();
            line["round"] = json!(step.round);
            line["processors_taken_by_others"] = json!(step.others);
            line
        });
        let record = json!({
            "machine": machine::describe(),
            "threads": self.threads,
            "steps": steps.collect::<Vec<_>>(),
            "not_installed": self.missing.iter().map(|(name, _)| name).collect::<Vec<_>>(),
        });
        let text = serde_json::to_string_pretty(&record)? + "\n";
        for (name, text) in [("optimizers.md", self.markdown()), ("optimizers.json", text)] {
            let path = folder.join(name);
            fs::write(&path, text).with_context(|| format!("{} cannot be written", path.display()))?;
        }
        Ok(())
    }
}

/// A power of ten as `1e6`.
fn power(value: u64) -> String {
    let exponent = value.checked_ilog10().unwrap_or(0);
    if value == 10_u64.pow(exponent) {
        format!("1e{exponent}")
    } else {
        value.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(who: (&str, &str), round: u16, seconds: f64) -> Step {
        let line = json!({
            "framework": who.0, "mode": who.1, "optimizer": "adam", "params": 1e6, "tensors": 100,
            "seconds": seconds, "gb_per_s": 28e6 / seconds / 1e9,
        });
        Step::new(line, round, Some(0.02)).unwrap()
    }

    fn report() -> Report {
        Report {
            steps: vec![
                step((OURS, "checked"), 1, 1e-3),
                step(("torch", "fused"), 1, 3e-3),
                step(("torch", "loop"), 1, 9e-3),
                step((OURS, "checked"), 2, 2e-3),
                step(("torch", "fused"), 2, 4e-3),
            ],
            missing: vec![("keras-jax".to_string(), "not installed".to_string())],
            threads: 2,
        }
    }

    #[test]
    fn ratios_are_taken_round_by_round_against_the_fastest() {
        let report = report();
        let case = ("adam".to_string(), 1_000_000, 100);
        assert_eq!(report.cases(), std::slice::from_ref(&case));
        let peers: Vec<&str> = report.peers(&case).iter().map(|(who, _)| who.1.as_str()).collect();
        assert_eq!(peers, ["fused", "loop"]);
        // 3 / 1 and 4 / 2
        let fused = ("torch".to_string(), "fused".to_string());
        assert_eq!(report.times(&case, "checked", &fused), Some(2.5));
        assert_eq!(report.times(&case, "unchecked", &fused), None);
    }

    #[test]
    fn the_page_shows_what_ran_and_what_did_not() {
        let page = report().markdown();
        for part in [
            "| adam | 1e6 | 100 | 21.0 | **2.50** | - | **-** | torch fused | 8.2 | torch loop 3.1 |",
            "at most 2 % of the processors",
            "* keras-jax: not installed",
        ] {
            assert!(page.contains(part), "{part} is not in\n{page}");
        }
    }

    #[test]
    fn a_table_can_be_made_in_parts() {
        let line = |optimizer: &str, params: f64, seconds: f64| {
            json!({
                "framework": "torch", "mode": "fused", "optimizer": optimizer, "params": params, "tensors": 100,
                "seconds": seconds, "gb_per_s": 1.0, "round": 1, "processors_taken_by_others": 0.01,
            })
        };
        let machine = json!({"processor": "one"});
        // Adam at 1e6 was measured again and SGD was not.
        let record = json!({
            "machine": machine, "threads": 2, "steps": [line("adam", 1e6, 1.0), line("sgdm", 1e6, 2.0), line("adam", 1e5, 3.0)],
        });
        let mut report = report();
        report.add(&record, &machine).unwrap();
        let case = |name: &str, params| (name.to_string(), params, 100);
        let expected = [case("adam", 100_000), case("sgdm", 1_000_000), case("adam", 1_000_000)];
        assert_eq!(report.cases(), expected);
        let fused = ("torch".to_string(), "fused".to_string());
        let seconds: Vec<f64> = report
            .of(&expected[2], &fused, |step| step.seconds)
            .into_values()
            .collect();
        assert_eq!(seconds, [3e-3, 4e-3]);
        assert_eq!(report.rounds(), (1, 2));
        assert!(report.markdown().contains("1 to 2 rounds in turns"));
        let error = report
            .add(&record, &json!({"processor": "two"}))
            .unwrap_err()
            .to_string();
        assert!(error.contains("machine") && error.contains("two"), "{error}");
        report.threads = 3;
        assert!(report.add(&record, &machine).is_err());
    }

    #[test]
    fn a_line_without_a_time_is_not_a_step() {
        assert!(Step::new(json!({"framework": "torch", "mode": "loop"}), 1, None).is_none());
        assert_eq!((power(100_000), power(30)), ("1e5".to_string(), "30".to_string()));
    }
}
