//! `bench persistence`: models saved and loaded here and by other libraries, and what the disk does.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::Value;

use super::{Place, machine, programs};
use crate::cargo;

/// Options of `bench persistence`.
#[derive(Args)]
pub(crate) struct PersistenceArgs {
    #[command(flatten)]
    place: Place,
    /// A folder on the disk that is measured [default: target/persist]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Parameters of the models
    #[arg(long, value_delimiter = ',', default_value = "1e4,1e6,1e8")]
    sizes: Vec<String>,
    /// Compile with full optimisation, which the numbers do not need: they are copied, not computed
    #[arg(long)]
    release: bool,
    /// Print only, write no file
    #[arg(long)]
    dry_run: bool,
}

/// The libraries of `peers/persist.py` and the environments that have them.
const LIBRARIES: [(&str, &str); 4] = [
    ("torch", "torch"),
    ("safetensors-torch", "torch"),
    ("safetensors-numpy", "torch"),
    ("keras", "keras-tf"),
];

#[expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "xtask talks to the person who runs it"
)]
pub(crate) fn run(args: &PersistenceArgs) -> Result<ExitCode> {
    let options: &[&str] = if args.release { &["--release"] } else { &[] };
    let Some(program) = cargo::build("persistence", &["--example", "persist"], options)? else {
        return Ok(ExitCode::FAILURE);
    };
    let folder = match &args.dir {
        Some(folder) => folder.clone(),
        None => cargo::target_folder()?.join("persist"),
    };
    fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let mut lines = measured(Command::new(&program).arg("time").arg(&folder).args(&args.sizes))?;
    let conversions = conversions(&program, &folder)?;
    let venvs = args.place.folder()?;
    let script = cargo::root().join("peers").join("persist.py");
    for (library, environment) in LIBRARIES {
        let python = programs::python(&venvs.join(environment));
        if !python.is_file() {
            eprintln!(
                "skipped: {library} (no {}; cargo xtask bench setup installs it)",
                python.display()
            );
            continue;
        }
        lines.extend(measured(
            Command::new(python)
                .arg(&script)
                .arg(library)
                .arg(&folder)
                .args(&args.sizes),
        )?);
    }
    let text = page(&lines, &conversions);
    print!("{text}");
    if !args.dry_run {
        let path = cargo::root().join("docs").join("benchmarks").join("persistence.md");
        fs::write(&path, text).with_context(|| format!("{} cannot be written", path.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The lines that a program prints.
fn measured(command: &mut Command) -> Result<Vec<Value>> {
    let output = command
        .output()
        .with_context(|| format!("{command:?} could not be started"))?;
    if !output.status.success() {
        bail!("{command:?} failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines()
        .map(|line| serde_json::from_str(line).with_context(|| format!("'{line}' is no JSON")))
        .collect()
}

/// A file of 400 MB through all formats, one process each, which says how much memory it held.
fn conversions(program: &Path, folder: &Path) -> Result<Vec<Value>> {
    // One more run of the writer leaves no file behind, so the first one is made here.
    let first = folder.join("convert.safetensors");
    measured(Command::new(program).arg("make").arg(&first).arg("1e8"))?;
    let mut found = Vec::new();
    // Weights alone cannot be read without a description: what is not the first conversion begins at the archive that it wrote.
    for ending in ["keras", "weights.h5", "h5", "pt", "onnx", "npz", "safetensors"] {
        let from = match ending {
            "keras" => first.clone(),
            _ => folder.join("converted.keras"),
        };
        let to = folder.join(format!("converted.{ending}"));
        found.extend(measured(Command::new(program).arg("convert").arg(&from).arg(&to))?);
    }
    for entry in fs::read_dir(folder).with_context(|| format!("{} cannot be listed", folder.display()))? {
        let path = entry?.path();
        if path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with("convert"))
        {
            fs::remove_file(&path).with_context(|| format!("{} cannot be deleted", path.display()))?;
        }
    }
    Ok(found)
}

/// The page: a table a size, and the conversions.
fn page(lines: &[Value], conversions: &[Value]) -> String {
    let machine = machine::describe();
    let mut text = format!(
        "# Saving and loading\n\nWritten by `cargo xtask bench persistence` on {} ({} processors, {} GiB, {}). Models of ten square dense \
         layers in `float32`; medians of five. *save* is written and synced to the disk; ours also under another name first, renamed, the \
         folder synced, and with checksums. *disk* is what the disk needs for a new file of as many bytes, written in one go and synced, \
         in turns with the saving beside it: who lets the disk begin early is faster than that. *safe disk* is the same with what our \
         saving promises, that a crash at any moment leaves the old file or the new one: the new file synced, renamed, the folder \
         synced. The disk is waited for twice then, however small the file is; what is missing to all of that rate is our own. The \
         other libraries promise nothing like it. *open* reads what is needed to know what is in the file, which is in the page \
         cache; *load* looks at every number once (ours compares the checksums of safetensors, keras and npz).\n",
        machine["processor"].as_str().unwrap_or_default(),
        machine["processors"],
        machine["memory_gib"],
        machine["system"].as_str().unwrap_or_default()
    );
    let mut sizes: Vec<u64> = lines.iter().filter_map(|line| line["params"].as_u64()).collect();
    sizes.sort_unstable();
    sizes.dedup();
    for size in sizes {
        let of = |line: &&Value| line["params"].as_u64() == Some(size);
        let here: Vec<&Value> = lines.iter().filter(of).collect();
        text += &format!(
            "\n## {size} parameters ({:.1} MB)\n\n\
             | file | disk | safe disk | save | share of the disk's rate | share of the safe disk's | open | load | load |\n\
             |---|---:|---:|---:|---:|---:|---:|---:|---:|\n",
            size as f64 * 4e-6
        );
        let mut formats: Vec<&str> = Vec::new();
        for line in &here {
            let format = line["format"].as_str().unwrap_or_default();
            if !formats.contains(&format) {
                formats.push(format);
            }
        }
        for format in formats {
            let find = |op: &str, key: &str| {
                let line = here.iter().find(|line| line["format"] == format && line["op"] == op);
                line.and_then(|line| line[key].as_f64())
            };
            let ms = |op: &str| find(op, "ms").map_or("-".to_string(), |ms| format!("{ms:.3} ms"));
            let disk = |key: &str| find("save", key).map_or("-".to_string(), |ms| format!("{ms:.2} ms"));
            let share = |key: &str| {
                let share = find("save", key).zip(find("save", "ms"));
                share.map_or("-".to_string(), |(disk, ms)| format!("{:.0} %", disk / ms * 100.0))
            };
            let rate = find("load", "gb_per_s").map_or("-".to_string(), |rate| format!("{rate:.2} GB/s"));
            text += &format!(
                "| {format} | {} | {} | {} | {} | {} | {} | {} | {rate} |\n",
                disk("disk_ms"),
                disk("safe_disk_ms"),
                ms("save"),
                share("disk_ms"),
                share("safe_disk_ms"),
                ms("open"),
                ms("load")
            );
        }
    }
    text += "\n## Converting a file of 400 MB\n\n| to | time | memory at most | largest tensor | more than that |\n|---|---:|---:|---:|---:|\n";
    for line in conversions {
        let mega = |key: &str| line[key].as_f64().unwrap_or(f64::NAN) / 1e6;
        let name = line["to"].as_str().unwrap_or_default();
        let ending = name.rsplit_once("converted.").map_or(name, |(_, ending)| ending);
        text += &format!(
            "| .{ending} | {:.0} ms | {:.1} MB | {:.1} MB | {:.1} MB |\n",
            line["ms"].as_f64().unwrap_or(f64::NAN),
            mega("peak_memory"),
            mega("largest_tensor"),
            mega("peak_memory") - mega("largest_tensor")
        );
    }
    text
}
