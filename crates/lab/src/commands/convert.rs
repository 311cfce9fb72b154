//! `lab convert`: a model file in another format or number format.

use std::io::Write;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use persistence::{Model, Precision};
use report::format::bytes;
use serde_json::json;

use super::{files, model};
use crate::cli::{ConvertArgs, PrecisionArg};
use crate::progress::Progress;

impl From<PrecisionArg> for Precision {
    fn from(precision: PrecisionArg) -> Self {
        match precision {
            PrecisionArg::Bf16 => Precision::Bf16,
            PrecisionArg::F16 => Precision::F16,
            PrecisionArg::F32 => Precision::F32,
            PrecisionArg::F64 => Precision::F64,
        }
    }
}

pub(crate) fn run(args: &ConvertArgs) -> Result<()> {
    files::check_written_model(&args.output)?;
    let progress = Progress::new();
    let waiting = progress.waiting(&format!("reading {}", args.input.display()));
    let mut read = open(&args.input, args.config.as_deref())?;
    for note in &read.notes {
        progress.line(&format!("note: {note}"));
    }
    if args.without_optimizer {
        read.optimizer = None;
    }
    if let Some(precision) = args.precision {
        read = read.in_precision(precision.into());
    }
    drop(waiting);
    let size = write(&args.output, &read, &progress)?;
    let before = std::fs::metadata(&args.input).map_or(0, |about| about.len());
    let mut out = std::io::stdout().lock();
    if args.json {
        let record = json!({
            "input": {"file": args.input, "format": read.format.ending(), "bytes": before},
            "output": {"file": args.output, "bytes": size},
            "weights": read.weights.len(),
            "precision": read.precision(),
            "optimizer": read.optimizer.as_ref().map(|optimizer| &optimizer.class_name),
            "notes": read.notes,
        });
        writeln!(out, "{}", serde_json::to_string_pretty(&record)?)?;
    } else {
        let optimizer = read
            .optimizer
            .as_ref()
            .map_or_else(String::new, |optimizer| format!(", {}", optimizer.class_name));
        writeln!(
            out,
            "{} ({}, {}) -> {} ({}): {} weights in {}{optimizer}",
            args.input.display(),
            read.format,
            bytes(before),
            args.output.display(),
            bytes(size),
            read.weights.len(),
            read.precision()
        )?;
    }
    Ok(())
}

/// Writes the file; a bar shows how many bytes of the tensors have had their turn. Returns its size.
fn write(path: &Path, model: &Model, progress: &Progress) -> Result<u64> {
    let bar = progress.bytes("writing tensors", Some(model.tensor_bytes()));
    let told = bar.clone();
    let size = persistence::write(path, &model.clone().watched(move |bytes| told.inc(bytes)));
    bar.finish_and_clear();
    Ok(size?)
}

/// Opens a model file; `config` describes the network of one that holds weights alone.
pub(super) fn open(path: &Path, config: Option<&str>) -> Result<Model> {
    files::check_model_file(path)?;
    let mut read = persistence::open(path).map_err(|error| match error {
        error @ persistence::Error::UnknownFormat { .. } => model::explained(error, path),
        error => error.into(),
    })?;
    let Some(config) = config else { return Ok(read) };
    if read.spec.is_some() {
        bail!("{} describes its network itself; leave --config out", path.display());
    }
    let found = model::find(config).context("--config")?;
    read.describe(found.spec)?;
    Ok(read)
}
