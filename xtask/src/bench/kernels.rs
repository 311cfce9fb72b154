//! `bench kernels`: criterion's benches of `kernels` and `optimizers`, as shares of what this machine can do at most.
//!
//! The benches of the group `peak` measure the machine itself: fused multiply-adds in registers, and copies of arrays of
//! several sizes, with all threads. Bytes are compared with the copy that moves the most similar number of them, because what fits a
//! cache is faster than memory. An operation that counts floating point operations and bytes needs at least the longer of two times, that
//! of its multiply-adds and that of its bytes; its share of the peak is that time divided by its own.

use std::fmt::Write as _;
use std::fs;
use std::process::ExitCode;
use std::time::SystemTime;

use anyhow::{Context, Result};

use super::machine::{self, Watch};
use super::measured::{Measured, Work, since};
use crate::cargo;

/// The benches that are run, in one call of cargo, so that what they share is compiled once.
const BENCHES: [&str; 8] = [
    "--package",
    "kernels",
    "--bench",
    "kernels",
    "--package",
    "optimizers",
    "--bench",
    "step",
];

/// The group of the benches that measure the machine.
const PEAK: &str = "peak";

#[expect(clippy::print_stdout, reason = "xtask talks to the person who runs it")]
pub(crate) fn run(filter: Option<&str>) -> Result<ExitCode> {
    let (start, watch) = (SystemTime::now(), Watch::start());
    // A filter of criterion is one regular expression; without the peaks there is nothing to compare with.
    let rest: Vec<String> = filter.iter().map(|filter| format!("^{PEAK}/|{filter}")).collect();
    let code = cargo::run("bench", &BENCHES.map(str::to_string), &rest)?;
    if code != ExitCode::SUCCESS {
        return Ok(code);
    }
    let all = since(&cargo::target_folder()?.join("criterion"), start)?;
    let text = page(&table(&all)?, watch.others());
    println!("\n{text}");
    if filter.is_none() {
        let path = cargo::root().join("docs").join("benchmarks").join("kernels.md");
        fs::write(&path, text).with_context(|| format!("{} cannot be written", path.display()))?;
        println!("written: {}", path.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// The table with what it says and on which machine.
fn page(table: &str, others: Option<f64>) -> String {
    let machine = machine::describe();
    let others = others.map_or(String::new(), |share| {
        format!(
            " Other programs took {:.0} % of the processors meanwhile.",
            100.0 * share
        )
    });
    format!(
        "# Kernels next to the machine's peaks\n\nWritten by `cargo xtask bench kernels` on {}. `f32`, 128 images. A product is compared \
         with the largest rate of multiply-adds of vectors, and may pass it where it is computed on AMX tiles; what reads and writes memory is compared with \
         the copy that moves the most similar number of bytes.{others}\n\n{table}",
        machine["processor"].as_str().unwrap_or_default(),
    )
}

/// The table of everything measured, and of the peaks above it.
fn table(all: &[Measured]) -> Result<String> {
    let (mut peaks, benches): (Vec<&Measured>, Vec<&Measured>) = all.iter().partition(|bench| bench.group == PEAK);
    // 4 MiB before 16 MiB
    peaks.sort_by_key(|peak| (peak.name.split(' ').next(), peak.name.len()));
    let mut text = format!("{} processors\n\n| peak | rate |\n|---|--:|\n", machine::processors());
    for peak in &peaks {
        let _ = writeln!(text, "| {} | {} |", peak.name, rate(peak));
    }
    text.push_str("\n| kernel | shape | time | rate | share of the peak | of |\n|---|---|--:|--:|--:|---|\n");
    for bench in benches {
        let (share, of) = match bench.work {
            Some(work) => {
                let (least, of) = least(&peaks, work).context("the benches of the group `peak` did not run")?;
                (format!("{:.0} %", 100.0 * least / bench.seconds), of)
            }
            None => ("-".to_string(), "-"),
        };
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {share} | {of} |",
            bench.group,
            bench.name,
            time(bench.seconds),
            rate(bench),
        );
    }
    Ok(text)
}

/// The seconds that an operation needs at least, and what limits it.
fn least(peaks: &[&Measured], work: Work) -> Option<(f64, &'static str)> {
    let memory = |bytes: f64| Some((bytes / copies(peaks, bytes)?, "memory"));
    match work {
        Work::Bytes(bytes) => memory(bytes),
        Work::Operations(operations, bytes) => {
            let products = (operations / multiply_adds(peaks)?, "multiply-adds");
            let memory = bytes.and_then(memory);
            Some(memory.filter(|memory| memory.0 > products.0).unwrap_or(products))
        }
    }
}

/// The most operations a second.
fn multiply_adds(peaks: &[&Measured]) -> Option<f64> {
    let products = peaks
        .iter()
        .filter(|peak| matches!(peak.work, Some(Work::Operations(..))));
    products
        .filter_map(|peak| Some(peak.rate()? * 1e9))
        .max_by(f64::total_cmp)
}

/// The bytes a second of the copy that moves the most similar number of them.
fn copies(peaks: &[&Measured], bytes: f64) -> Option<f64> {
    let copies = peaks
        .iter()
        .filter_map(|peak| Some((size_of_copy(&peak.name)?, peak.rate()? * 1e9)));
    let distance = |size: f64| (size / bytes.max(1.0)).ln().abs();
    let nearest = copies.min_by(|(a, _), (b, _)| distance(*a).total_cmp(&distance(*b)));
    nearest.map(|(_, rate)| rate)
}

/// The bytes that a bench named `copy 16 MiB` moves once (it may do so several times in one call).
fn size_of_copy(name: &str) -> Option<f64> {
    let mib: f64 = name.strip_prefix("copy ")?.strip_suffix(" MiB")?.parse().ok()?;
    Some(mib * 1024.0 * 1024.0)
}

fn rate(bench: &Measured) -> String {
    let unit = match bench.work {
        Some(Work::Operations(..)) => "GFLOP/s",
        Some(Work::Bytes(_)) => "GB/s",
        None => return "-".to_string(),
    };
    bench.rate().map_or("-".to_string(), |rate| format!("{rate:.1} {unit}"))
}

fn time(seconds: f64) -> String {
    if seconds < 1e-3 {
        format!("{:.1} µs", seconds * 1e6)
    } else {
        format!("{:.2} ms", seconds * 1e3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bench(group: &str, name: &str, seconds: f64, work: Option<Work>) -> Measured {
        Measured {
            group: group.to_string(),
            name: name.to_string(),
            seconds,
            work,
        }
    }

    #[test]
    fn every_operation_is_compared_with_the_peak_of_its_kind_and_size() {
        let all = [
            bench(PEAK, "fma avx2", 1.0, Some(Work::Operations(100e9, None))),
            bench(PEAK, "fma avx512", 1.0, Some(Work::Operations(200e9, None))),
            bench(PEAK, "copy 256 MiB", 0.01, Some(Work::Bytes(5e8))),
            bench(PEAK, "triad 64 MiB", 0.01, Some(Work::Bytes(6e8))),
            bench(PEAK, "copy 1 MiB", 1e-3, Some(Work::Bytes(2e8))),
            bench("linear", "512x512", 1e-3, Some(Work::Operations(1e8, None))),
            bench("conv", "first", 1e-2, Some(Work::Operations(1e8, Some(1e8)))),
            bench("pooling", "small", 4e-5, Some(Work::Bytes(4e6))),
            bench("pooling", "large", 1e-2, Some(Work::Bytes(1e8))),
            bench("training step", "mlp", 2e-3, None),
        ];
        let table = table(&all).unwrap();
        for line in [
            "| fma avx512 | 200.0 GFLOP/s |",
            "| linear | 512x512 | 1.00 ms | 100.0 GFLOP/s | 50 % | multiply-adds |",
            "| pooling | small | 40.0 µs | 100.0 GB/s | 50 % | memory |",
            "| pooling | large | 10.00 ms | 10.0 GB/s | 20 % | memory |",
            "| conv | first | 10.00 ms | 10.0 GFLOP/s | 20 % | memory |",
            "| training step | mlp | 2.00 ms | - | - | - |",
        ] {
            assert!(table.contains(line), "{line} is not in\n{table}");
        }
    }

    #[test]
    fn without_peaks_there_is_no_share() {
        let only = [bench("linear", "512x512", 1e-3, Some(Work::Operations(1e8, None)))];
        assert!(super::table(&only).is_err());
    }
}
