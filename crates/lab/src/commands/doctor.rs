//! `lab doctor`: what the machine offers, which data sets are there, and what to do about what is missing.

use std::io::Write;
use std::path::Path;

use anyhow::{Result, bail};
use candle_core::Device;
use datasets::{Presence, cache_dir, catalogue, presence};
use kernels::machine;
use report::format::significant;
use report::inline::escape;
use report::{Align, Table};
use serde_json::{Value, json};

use crate::cli::DoctorArgs;
use crate::context::{processor, terminal};

/// What was found out about one thing.
struct Finding {
    /// Of the machine or of the data.
    about: About,
    name: &'static str,
    found: String,
    /// The command or the option that helps, where something is missing.
    remedy: Option<String>,
    /// The same for programs.
    value: Value,
}

#[derive(Clone, Copy, PartialEq)]
enum About {
    Machine,
    Data,
}

pub(crate) fn run(args: &DoctorArgs) -> Result<()> {
    let cache = cache_dir()?;
    let folder = args.data_dir.as_deref().unwrap_or(&cache);
    if folder.is_file() {
        bail!(
            "--data-dir {}: this is a file; name the folder that holds the data sets",
            folder.display()
        );
    }
    let mut findings = processor_and_memory()?;
    findings.extend([
        device("cuda", Device::new_cuda(0)),
        device("metal", Device::new_metal(0)),
    ]);
    findings.extend(data(folder));
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&record(&findings, folder))?)?;
        return Ok(());
    }
    let (width, color) = terminal();
    for (about, title) in [(About::Machine, "The machine"), (About::Data, "The data sets")] {
        let table = table(title, findings.iter().filter(|finding| finding.about == about));
        writeln!(out, "{}\n", report::terminal::table(&table, width, color))?;
    }
    writeln!(out, "Data sets are looked for in {}.", folder.display())?;
    Ok(())
}

fn processor_and_memory() -> Result<Vec<Finding>> {
    let found = |name, found: String, value| Finding {
        about: About::Machine,
        name,
        found,
        remedy: None,
        value,
    };
    let instructions = machine::instructions();
    let threads = rayon::current_num_threads();
    let (operations, bytes) = (machine::operations_per_second()?, machine::bytes_per_second());
    let mut vectors = found("vectors", instructions.join(", "), json!(instructions));
    if instructions.is_empty() {
        vectors.found = "none that the operations know".to_string();
        vectors.remedy = Some("expect training to take several times as long as with AVX2".to_string());
    }
    let mut all = found("threads", threads.to_string(), json!(threads));
    let cores = std::thread::available_parallelism().map_or(threads, usize::from);
    if threads < cores {
        all.remedy = Some(format!("the machine has {cores}; RAYON_NUM_THREADS sets fewer"));
    }
    Ok(vec![
        found("processor", processor(), json!(processor())),
        vectors,
        all,
        found(
            "dense layers",
            format!("{} GFLOP/s in float32", significant(operations / 1e9, 3)),
            json!({"operations_per_second": operations}),
        ),
        found(
            "memory",
            format!("{} GB/s read and written", significant(bytes / 1e9, 3)),
            json!({"bytes_per_second": bytes}),
        ),
    ])
}

fn device(name: &'static str, found: candle_core::Result<Device>) -> Finding {
    let usable = found.is_ok();
    Finding {
        about: About::Machine,
        name,
        found: if usable { "can be used" } else { "no" }.to_string(),
        remedy: Some(match usable {
            true => format!("--device {name}"),
            false => format!("needs a build with --features {name} on a machine that has one"),
        }),
        value: json!(usable),
    }
}

fn data(folder: &Path) -> impl Iterator<Item = Finding> {
    catalogue().iter().map(move |set| {
        let state = presence(set, folder);
        let fetch = || Some(format!("lab data fetch {}", set.name));
        let (found, remedy) = match &state {
            Presence::Embedded => ("in the program".to_string(), None),
            Presence::Complete { folder } => (folder.display().to_string(), None),
            Presence::Partial { folder, missing } => {
                (format!("{} lacks {}", folder.display(), missing.join(", ")), fetch())
            }
            _ => ("not here".to_string(), fetch()),
        };
        Finding {
            about: About::Data,
            name: set.name,
            found,
            remedy,
            value: json!(state),
        }
    })
}

fn table<'a>(title: &str, findings: impl Iterator<Item = &'a Finding>) -> Table {
    let mut table = Table::new(title);
    table
        .header(["what", "found", "what to do"])
        .align([Align::Left, Align::Left, Align::Left]);
    for finding in findings {
        table.row([
            finding.name.to_string(),
            escape(&finding.found),
            escape(finding.remedy.as_deref().unwrap_or_default()),
        ]);
    }
    table
}

fn record(findings: &[Finding], folder: &Path) -> Value {
    let of = |about| -> Value {
        let chosen = findings.iter().filter(|finding| finding.about == about);
        chosen
            .map(|finding| (finding.name.to_string(), finding.value.clone()))
            .collect()
    };
    json!({"machine": of(About::Machine), "data": {"folder": folder, "sets": of(About::Data)}})
}
