//! What a broken or hostile file may cost: 50 MB, no matter what it claims, and one line.
//!
//! Each file is read in a process of its own, which then asks the system how much address space it ever had: that counts memory that
//! was asked for and never touched, too. How long it took is printed, and not judged: the machine may be busy.

#![cfg(target_os = "linux")]
#![allow(clippy::print_stdout, reason = "the processes that read say what it took")]

mod hostile;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use candle_core::Device;
use persistence::Statistics;

/// Names the file to the process that reads it.
const FILE: &str = "CANDLE_LAB_LIMITS_FILE";

/// A file of this name is not read: 60 MiB are asked for, and not touched.
const CONTROL: &str = "control";

/// Bytes beyond those of a process that has read nothing.
const MOST: u64 = 50_000_000;

/// A figure of this process in bytes, such as `VmPeak`.
fn memory(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        .unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() * 1024
}

/// Everything that somebody may do with a file: list it, go through its numbers, build its network.
fn read(path: &Path) -> Result<(), persistence::Error> {
    let listed = persistence::inspect(path)?;
    for tensor in &listed.tensors {
        Statistics::of(&tensor.tensor)?;
    }
    persistence::load(path, &Device::Cpu).map(drop)
}

/// Reads one file. (As a test, without the variable, it does nothing.)
#[test]
fn child_that_reads() {
    let Some(path) = std::env::var_os(FILE).map(PathBuf::from) else {
        return;
    };
    let before = memory("VmSize");
    let began = Instant::now();
    let outcome = if path == Path::new(CONTROL) {
        drop(std::hint::black_box(Vec::<u8>::with_capacity(60 << 20)));
        Ok(())
    } else {
        read(&path).map_err(|error| error.to_string())
    };
    let taken = began.elapsed();
    let grown = memory("VmPeak").saturating_sub(before);
    println!("taken {} {grown}", taken.as_micros());
    match outcome {
        Ok(()) => println!("read"),
        Err(message) => {
            assert!(
                !message.contains('\n') && message.chars().count() < 1_000,
                "not one line: {message}"
            );
            println!("refused {message}");
        }
    }
}

/// What reading a file took.
struct Taken {
    micros: u64,
    bytes: u64,
    refused: bool,
}

fn taken(path: &Path) -> Taken {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["child_that_reads", "--exact", "--nocapture", "--test-threads", "1"])
        .env(FILE, path)
        // A thread of its own heap would take 64 MiB of addresses and no memory.
        .env("MALLOC_ARENA_MAX", "1")
        .env("RAYON_NUM_THREADS", "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{}: {said}{}",
        path.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    let figures = said
        .lines()
        .find_map(|line| line.split_once("taken ")?.1.split_once(' '))
        .unwrap();
    Taken {
        micros: figures.0.parse().unwrap(),
        bytes: figures.1.parse().unwrap(),
        refused: said.lines().any(|line| line.starts_with("refused ")),
    }
}

/// The files of a folder that are no lists of cases and no programs.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let ending = |path: &PathBuf| {
        path.extension()
            .is_some_and(|ending| ending == "json" || ending == "py")
    };
    let mut files: Vec<PathBuf> = entries.filter(|path| path.is_file() && !ending(path)).collect();
    files.sort();
    files
}

#[test]
fn the_measure_sees_memory_that_is_never_touched() {
    assert!(taken(Path::new(CONTROL)).bytes > MOST);
}

#[test]
fn broken_files_cost_little_memory() {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let broken = match std::env::var_os("GOLDEN_DIR") {
        Some(folder) => Path::new(&folder).join("persistence/broken"),
        None => own.join("golden/persistence/broken"),
    };
    let folder = tempfile::tempdir().unwrap();
    let made = hostile::claims();
    for (name, bytes) in &made {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    let mut slowest = (0, PathBuf::new());
    let mut largest = (0, PathBuf::new());
    let mut count = 0;
    let folders = [
        broken,
        own.join("attacks"),
        own.join("regressions"),
        folder.path().to_path_buf(),
    ];
    for folder in &folders {
        let files = files(folder);
        assert!(!files.is_empty(), "no file in {}", folder.display());
        for path in files {
            let taken = taken(&path);
            assert!(taken.bytes <= MOST, "{} took {} bytes", path.display(), taken.bytes);
            let is_claim = made.iter().any(|(name, _)| path.ends_with(name));
            assert!(taken.refused || !is_claim, "{} was read", path.display());
            slowest = slowest.max((taken.micros, path.clone()));
            largest = largest.max((taken.bytes, path));
            count += 1;
        }
    }
    println!(
        "{count} files; at most {:.1} ms ({}) and {:.1} MB ({})",
        slowest.0 as f64 / 1e3,
        slowest.1.display(),
        largest.0 as f64 / 1e6,
        largest.1.display()
    );
}
