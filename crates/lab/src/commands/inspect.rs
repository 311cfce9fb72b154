//! `lab inspect`: what a model file holds.

mod against;

use std::io::Write;

use anyhow::Result;
use nn_theory::ModelSpec;
use persistence::{Inspection, Model, Statistics, keras_places, pytorch};
use report::format::{bytes, count, significant};
use report::inline::escape;
use report::{Align, Table};
use serde_json::{Value, json};

use super::{convert, files, model};
use crate::cli::InspectArgs;
use crate::context::terminal;
use crate::progress::Progress;

/// Longer texts of the metadata are cut; `--json` has them whole.
const SHOWN: usize = 60;

pub(crate) fn run(args: &InspectArgs) -> Result<()> {
    if let Some(other) = &args.against {
        return against::run(args, other);
    }
    files::check_model_file(&args.file)?;
    let mut file = persistence::inspect(&args.file).map_err(|error| model::explained(error, &args.file))?;
    if args.config.is_some() {
        file = Inspection::of(convert::open(&args.file, args.config.as_deref())?, &file);
    }
    let figures = figures(&file)?;
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(
            out,
            "{}",
            serde_json::to_string_pretty(&record(args, &file, &figures)?)?
        )?;
    } else {
        write!(out, "{}", in_words(args, &file, &figures)?)?;
    }
    Ok(())
}

/// The figures of all tensors; a bar shows how much of their bytes was gone through.
fn figures(file: &Inspection) -> Result<Vec<Statistics>> {
    let bar = Progress::new().bytes("reading tensors", Some(file.tensor_bytes()));
    let figures = file.tensors.iter().map(|listed| {
        let figures = Statistics::of(&listed.tensor)?;
        bar.inc(listed.bytes);
        Ok(figures)
    });
    let figures = figures.collect();
    bar.finish_and_clear();
    figures
}

fn record(args: &InspectArgs, file: &Inspection, figures: &[Statistics]) -> Result<Value> {
    let model = &file.model;
    let tensors = file.tensors.iter().zip(figures).map(|(tensor, figures)| {
        json!({
            "name": tensor.name, "dtype": tensor.dtype, "shape": tensor.shape, "bytes": tensor.bytes,
            "norm": figures.norm, "mean": figures.mean, "min": figures.min, "max": figures.max, "non_finite": figures.non_finite,
        })
    });
    let mut record = json!({
        "file": args.file,
        "format": model.format.ending(),
        "bytes": file.bytes,
        "tensor_bytes": file.tensor_bytes(),
        "precision": model.precision(),
        "architecture": architecture(model),
        "optimizer": model.optimizer.as_ref().map(|optimizer| {
            json!({"class_name": optimizer.class_name, "config": optimizer.config})
        }),
        "metadata": model.metadata,
        "texts": file.metadata.iter().cloned().map(|(key, text)| (key, Value::from(text))).collect::<serde_json::Map<_, _>>(),
        "notes": model.notes,
        "tensors": tensors.collect::<Vec<_>>(),
    });
    if args.mapping {
        let places = keras_places(model.described()?);
        let places = places.into_iter().map(|place| {
            json!({
                "weight": place.weight, "shape": place.shape, "weights_h5": place.weights_h5, "legacy_h5": place.legacy_h5,
            })
        });
        record["mapping"] = json!({"keras": places.collect::<Vec<_>>(), "pytorch": in_pytorch(model)?});
    }
    Ok(record)
}

/// PyTorch's tensors behind each weight, or why there are none.
fn in_pytorch(model: &Model) -> Result<Value> {
    Ok(match pytorch::mapping(model.described()?) {
        Ok(mapping) => {
            let rules = mapping.rules.iter().map(|rule| {
                json!({
                    "weight": rule.weight, "shape": rule.shape, "rule": rule.to_string(),
                    "tensors": rule.parts.iter().map(|part| json!({"name": part.tensor, "shape": part.shape})).collect::<Vec<_>>(),
                })
            });
            json!({"rules": rules.collect::<Vec<_>>(), "kept": mapping.kept})
        }
        Err(error) => json!({"error": error.to_string()}),
    })
}

/// The network in a few figures; null where the file does not describe it.
fn architecture(model: &Model) -> Value {
    let describe = |spec: &ModelSpec| {
        let counts = spec.counts();
        json!({
            "name": spec.name(),
            "class": spec.kind().class(),
            "layers": spec.layers().map(|node| json!({
                "name": node.name, "class": node.layer.printed_class(), "output_shape": node.output_shape.to_string(),
            })).collect::<Vec<_>>(),
            "parameters": counts.total,
            "trainable": counts.trainable,
        })
    };
    model.spec.as_ref().map_or(Value::Null, describe)
}

fn in_words(args: &InspectArgs, file: &Inspection, figures: &[Statistics]) -> Result<String> {
    let (width, color) = terminal();
    let model = &file.model;
    let mut text = format!(
        "{}: {}, {}, {} tensors of {}\n",
        args.file.display(),
        model.format,
        bytes(file.bytes),
        count(file.tensors.len()),
        bytes(file.tensor_bytes())
    );
    match &model.spec {
        Some(spec) => {
            let layers: Vec<&str> = spec.layers().map(|node| node.layer.printed_class()).collect();
            text += &format!(
                "{} {} with {} parameters: {} -> {} -> {}\n",
                spec.kind().class(),
                spec.name(),
                nn_theory::with_separators(spec.counts().total),
                spec.input_shape(),
                layers.join(", "),
                spec.output_shape()
            );
        }
        None => text += "the file does not describe the network\n",
    }
    if let Some(optimizer) = &model.optimizer {
        let steps = optimizer
            .tensors
            .get("iterations")
            .and_then(|tensor| tensor.to_f64().ok());
        let steps = steps.and_then(|steps| steps.first().copied()).unwrap_or_default();
        text += &format!("{} after {} steps\n", optimizer.class_name, count(steps as usize));
    }
    for note in &model.notes {
        text += &format!("note: {note}\n");
    }
    let mut tensors = Table::new("Tensors");
    tensors
        .header(["name", "shape", "format", "norm", "smallest", "largest", "not finite"])
        .align(
            [Align::Left, Align::Left, Align::Left]
                .into_iter()
                .chain([Align::Right; 4]),
        );
    for (tensor, figures) in file.tensors.iter().zip(figures) {
        let shape: Vec<String> = tensor.shape.iter().map(usize::to_string).collect();
        tensors.row([
            escape(&tensor.name),
            shape.join(" × "),
            tensor.dtype.clone(),
            significant(figures.norm, 4),
            significant(figures.min, 3),
            significant(figures.max, 3),
            count(figures.non_finite),
        ]);
    }
    text += &format!("\n{}\n", report::terminal::table(&tensors, width, color));
    if !file.metadata.is_empty() {
        let mut metadata = Table::new("Metadata");
        metadata.header(["key", "text"]).align([Align::Left, Align::Left]);
        for (key, value) in &file.metadata {
            let shown: String = value.chars().take(SHOWN).collect();
            let more = if shown.len() < value.len() { "…" } else { "" };
            metadata.row([escape(key), escape(&format!("{shown}{more}"))]);
        }
        text += &format!("\n{}\n", report::terminal::table(&metadata, width, color));
    }
    if args.mapping {
        for table in [keras_mapping(model)?, pytorch_mapping(model)?] {
            text += &format!("\n{}\n", report::terminal::table(&table, width, color));
        }
    }
    Ok(text)
}

fn pytorch_mapping(model: &Model) -> Result<Table> {
    let mut table = Table::new("How each weight is made of PyTorch's tensors (.pt)");
    table.header(["weight and shape", "from"]).align([Align::Left; 2]);
    match pytorch::mapping(model.described()?) {
        Ok(mapping) => {
            for rule in &mapping.rules {
                let text = rule.to_string();
                let (weight, from) = text.split_once(" = ").unwrap_or((&text, ""));
                table.row([escape(weight), escape(from)]);
            }
            if !mapping.kept.is_empty() {
                table.note(format!(
                    "PyTorch has no such layer, the weights keep Keras' names and layout: {}.",
                    escape(&mapping.kept.join(", "))
                ));
            }
        }
        Err(error) => {
            table.note(escape(&error.to_string()));
        }
    }
    Ok(table)
}

fn keras_mapping(model: &Model) -> Result<Table> {
    let mut table = Table::new("Where each weight is in Keras' files");
    table
        .header(["weight", "shape", ".keras, .weights.h5", ".h5"])
        .align([Align::Left; 4]);
    for place in keras_places(model.described()?) {
        let shape: Vec<String> = place.shape.iter().map(u64::to_string).collect();
        table.row([
            escape(&place.weight),
            shape.join(" × "),
            escape(&place.weights_h5.join(", ")),
            escape(&place.legacy_h5),
        ]);
    }
    table.note("Keras' files keep the layouts of this program: nothing is transposed.");
    Ok(table)
}
