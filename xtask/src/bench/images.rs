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
            mode: text("mode")?,
            round,
            per_sample: line["per_sample"].as_bool()?,
            rate: line["img_per_s"].as_f64()?,
            bytes: bytes.and_then(|bytes| Some((bytes, line["memory_bytes_per_s"].as_f64()?))),
        })
    }
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
             whole batch do less and are left out. Ours changes a batch in place that was gathered just before. *times* says how many \
             times faster ours is than the fastest other library, the median of the ratios round by round; *of the memory* is the \
             share of what only reading and writing the batch in place takes (a flip happens to every second image).\n",
            machine["processor"].as_str().unwrap_or_default(),
            machine["processors"],
            self.threads,
            self.rounds,
        );
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
        if !self.missing.is_empty() {
            page += "\n## Left out\n\n";
            for (name, why) in &self.missing {
                let _ = writeln!(page, "- {name}: {why}");
            }
        }
        page
    }

    fn row(&self, case: &Case) -> String {
        let ours = self.rates(&case.what, OURS, &case.mode);
        let shares: Vec<f64> = self
            .cases
            .iter()
            .filter(|other| other.what == case.what && other.library == OURS)
            .filter_map(|other| other.bytes.map(|(bytes, memory)| 2.0 * bytes / memory))
            .collect();
        let share = if shares.is_empty() {
            String::new()
        } else {
            format!("{:.0} %", 100.0 * median(&shares))
        };
        let peers = self.peers(&case.what);
        let (times, fastest, rate) = match peers.first() {
            Some((name, rate, rates)) => {
                let ratio = |(round, our): &(u16, f64)| {
                    let theirs = rates.iter().find(|(of, _)| of == round)?.1;
                    Some(our / theirs)
                };
                let ratios: Vec<f64> = ours.iter().filter_map(ratio).collect();
                let times = if ratios.is_empty() {
                    String::new()
                } else {
                    format!("{:.1}", median(&ratios))
                };
                (times, name.as_str(), whole(*rate))
            }
            None => (String::new(), "none", String::new()),
        };
        let others: Vec<String> = peers
            .iter()
            .skip(1)
            .map(|(name, rate, _)| format!("{name} {}", whole(*rate)))
            .collect();
        format!(
            "| {} | {} | {share} | {times} | {fastest} | {rate} | {} |\n",
            case.what.0,
            whole(middle(&ours)),
            others.join(", ")
        )
    }
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
            "op": "flip", "shape": "32x32x3", "dtype": "uint8", "mode": mode, "per_sample": per_sample, "img_per_s": rate,
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
        assert!(
            page.contains("- gone: not installed") && !page.contains("cheat"),
            "{page}"
        );
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
