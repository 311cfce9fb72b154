//! Medians and ratios of the cases of `bench augmentation`, as a page.

use std::fmt::Write as _;

use serde_json::Value;

use super::machine;
use super::programs::OURS;
use super::results::median;
use super::turns::Missing;

/// The images a second of one operation in one turn of one library.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    /// Operation, shape, number format.
    what: (String, String, String),
    library: String,
    /// Name and version, as the library says it.
    version: String,
    mode: String,
    round: u16,
    /// Each image has its own draws; else one draw serves a batch, which is less work and does not count.
    per_sample: bool,
    rate: f64,
    /// Bytes of images a second, and those that only reading and writing them takes.
    bytes: Option<(f64, f64)>,
}

impl Case {
    /// From a line that `augment_speed` or `augment.py` printed; `None` if a field is missing.
    pub(crate) fn new(library: &str, line: &Value, round: u16) -> Option<Self> {
        let text = |name: &str| Some(line[name].as_str()?.to_string());
        let bytes = line["bytes_per_s"].as_f64();
        Some(Self {
            what: (text("op")?, text("shape")?, text("dtype")?),
            library: library.to_string(),
            version: line["version"].as_str().unwrap_or_default().to_string(),
            mode: text("mode")?,
            round,
            per_sample: line["per_sample"].as_bool()?,
            rate: line["img_per_s"].as_f64()?,
            bytes: bytes.and_then(|bytes| Some((bytes, line["memory_bytes_per_s"].as_f64()?))),
        })
    }
}

/// Whether a library takes its turn at an operation: in the first round always; later, if it reached half of the fastest other library in
/// one of the number formats, so that rounds go where the comparison is close.
pub(crate) fn contends(cases: &[Case], library: &str, op: &str, shape: &str) -> bool {
    let of_case = |case: &&Case| case.round == 1 && case.what.0 == op && case.what.1 == shape && case.per_sample;
    let known: Vec<&Case> = cases.iter().filter(of_case).collect();
    if library == OURS || cases.iter().all(|case| case.library != library || case.what.1 != shape) {
        return true;
    }
    known.iter().filter(|case| case.library == library).any(|case| {
        let same = known
            .iter()
            .filter(|other| other.library != OURS && other.what == case.what);
        same.map(|other| other.rate).fold(0.0, f64::max) <= 2.0 * case.rate
    })
}

/// A library with its mode, the median of its rates, and the rates with their rounds.
type Peer = (String, f64, Vec<(u16, f64)>);

/// Everything that a call of `bench augmentation` found out.
pub(crate) struct Report {
    pub(crate) cases: Vec<Case>,
    pub(crate) missing: Vec<Missing>,
    pub(crate) rounds: u16,
    pub(crate) threads: usize,
}

impl Report {
    /// The rates of who does something, round by round.
    fn rates(&self, what: &(String, String, String), library: &str, mode: &str) -> Vec<(u16, f64)> {
        let same = |case: &&Case| case.what == *what && case.library == library && case.mode == mode;
        self.cases
            .iter()
            .filter(same)
            .map(|case| (case.round, case.rate))
            .collect()
    }

    /// The other libraries that draw for each image, the fastest first.
    fn peers(&self, what: &(String, String, String)) -> Vec<Peer> {
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
            "# Augmentation next to other libraries\n\nWritten by `cargo xtask bench augmentation` on {} ({} processors): {} threads \
             each, {} round(s) in turns, each a process of its own (`crates/augmentation/examples/augment_speed.rs`, \
             `peers/augment.py`). Images a second of batches of 128, each image with its own draws; libraries that draw once for a \
             whole batch do less and are left out. Who reached less than half of the fastest other library in the first round takes no \
             further turns. Ours changes a batch in place that was gathered just before. *times* says how many \
             times faster ours is than the fastest other library, the median of the ratios round by round; *of the memory* is the \
             share of what only reading and writing the batch in place takes (a flip happens to every second image).\n",
            machine["processor"].as_str().unwrap_or_default(),
            machine["processors"],
            self.threads,
            self.rounds,
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
        let mut seen: Vec<&(String, String, String)> = Vec::new();
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
        Case::new(library, &line, round).unwrap()
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
            rounds: 2,
            threads: 2,
        };
        let page = report.markdown();
        assert!(
            page.contains("| flip | 450,000 | 50 % | 3.0 | fast procs | 150,000 | slow call 1,000 |"),
            "{page}"
        );
        assert!(page.contains("The others are slow 1.0, fast 1.0."), "{page}");
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
    fn later_rounds_are_for_those_who_were_near() {
        let cases = [
            case(OURS, "in place", 1, 900_000.0, true),
            case("slow", "call", 1, 1000.0, true),
            case("near", "call", 1, 60_000.0, true),
            case("fast", "procs", 1, 100_000.0, true),
            case("cheat", "batch", 1, 9e9, false),
        ];
        let contenders = [OURS, "slow", "near", "fast", "cheat"].map(|name| contends(&cases, name, "flip", "32x32x3"));
        assert_eq!(contenders, [true, false, true, true, false]);
        assert!(contends(&[], "slow", "flip", "32x32x3"));
        assert!(!contends(&cases, "fast", "invert", "32x32x3"));
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
