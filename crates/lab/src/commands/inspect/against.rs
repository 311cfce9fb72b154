//! `lab inspect A --against B`: what differs between two models: layers, weights, decisions.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;

use anyhow::{Result, bail};
use nn_theory::ModelSpec;
use persistence::{Difference, Model, Precision, Statistics};
use report::format::{count, percent, significant};
use report::inline::escape;
use report::{Align, Table};
use serde_json::{Map, Value, json};
use training::{Evaluation, Samples};

use super::convert;
use crate::cli::{InspectArgs, PlaceArgs, SizeArgs};
use crate::commands::evaluate::{check_classes, measure};
use crate::commands::train::saved_image_size;
use crate::context::{Context, listen_for_interrupt, terminal};

/// Options of layers that differ and are listed on the terminal; `--json` has all.
const MOST_OPTIONS: usize = 40;

/// Characters of an option's value that are shown.
const LONGEST_OPTION: usize = 60;

/// The difference of one option of one layer.
struct Changed {
    layer: String,
    option: String,
    sides: [Value; 2],
}

/// A weight of one of the models, or of both.
struct Weight {
    path: String,
    shapes: [Option<Vec<usize>>; 2],
    /// Where both have it in the same shape.
    difference: Option<Difference>,
    /// The largest distance as a share of the largest number of the first model.
    relative: Option<f64>,
}

/// What both models say of the same images.
struct Decisions {
    data: String,
    measured: [Evaluation; 2],
    labels: Vec<u32>,
}

pub(super) fn run(args: &InspectArgs, against: &Path) -> Result<()> {
    listen_for_interrupt()?;
    let mut context = Context::at(&PlaceArgs {
        data: args.data.clone(),
        data_dir: args.data_dir.clone(),
        size: SizeArgs {
            image_size: args.image_size,
        },
        device: "cpu".to_string(),
    })?;
    let models = [opened(args, &args.file)?, opened(args, against)?];
    context.image_size = context.image_size.or_else(|| saved_image_size(&models[0].metadata));
    let changed = changed(&models)?;
    let weights = weights(&models)?;
    let decisions = match &args.data {
        Some(_) => Some(decisions(&context, &models, [&args.file, against])?),
        None => None,
    };
    let mut out = std::io::stdout().lock();
    if args.json {
        let record = json!({
            "files": [args.file, against],
            "same_architecture": changed.as_ref().map(Vec::is_empty),
            "layers": changed.as_ref().map(|changed| changed.iter().map(Changed::record).collect::<Vec<_>>()),
            "same_weights": weights.iter().all(Weight::is_same),
            "weights": weights.iter().map(Weight::record).collect::<Vec<_>>(),
            "decisions": decisions.as_ref().map(Decisions::record),
        });
        writeln!(out, "{}", serde_json::to_string_pretty(&record)?)?;
        return Ok(());
    }
    writeln!(out, "{} against {}\n", args.file.display(), against.display())?;
    let (width, color) = terminal();
    match &changed {
        None => writeln!(
            out,
            "Layers: not compared, for a file does not describe its network (--config does).\n"
        )?,
        Some(changed) if changed.is_empty() => writeln!(out, "Layers: the same.\n")?,
        Some(changed) => writeln!(out, "{}\n", report::terminal::table(&layers(changed), width, color))?,
    }
    writeln!(out, "{}", report::terminal::table(&numbers(&weights), width, color))?;
    if let Some(decisions) = &decisions {
        writeln!(out, "\n{}", decisions.in_words())?;
    }
    Ok(())
}

/// The model of a file; `--config` describes the one that holds weights alone.
fn opened(args: &InspectArgs, path: &Path) -> Result<Model> {
    let model = convert::open(path, None)?;
    match &args.config {
        Some(config) if model.spec.is_none() => convert::open(path, Some(config)),
        _ => Ok(model),
    }
}

/// The options of all layers that differ; none where a file has no description.
fn changed(models: &[Model; 2]) -> Result<Option<Vec<Changed>>> {
    let [Some(a), Some(b)] = [&models[0].spec, &models[1].spec] else {
        return Ok(None);
    };
    let [a, b] = [described(a)?, described(b)?];
    let names: Vec<&String> = a.keys().chain(b.keys().filter(|name| !a.contains_key(*name))).collect();
    let mut changed = Vec::new();
    for name in names {
        let empty = Map::new();
        let of = |layers: &'_ Map<String, Value>| layers.get(name).and_then(Value::as_object).cloned();
        let sides = [of(&a), of(&b)];
        if let [None, _] | [_, None] = sides {
            let class =
                |side: &Option<Map<String, Value>>| side.as_ref().map_or(Value::Null, |side| side["class"].clone());
            changed.push(Changed {
                layer: name.clone(),
                option: "layer".to_string(),
                sides: [class(&sides[0]), class(&sides[1])],
            });
            continue;
        }
        let [a, b] = [sides[0].as_ref().unwrap_or(&empty), sides[1].as_ref().unwrap_or(&empty)];
        let options: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
        for option in options {
            let sides = [a, b].map(|side| side.get(option).cloned().unwrap_or(Value::Null));
            if sides[0] != sides[1] {
                changed.push(Changed {
                    layer: name.clone(),
                    option: option.clone(),
                    sides,
                });
            }
        }
    }
    Ok(Some(changed))
}

/// Class, options and output shape of each layer by its name.
fn described(spec: &ModelSpec) -> Result<Map<String, Value>> {
    let description: Value = serde_json::from_str(&spec.to_keras_json())?;
    let shapes: Map<String, Value> = spec
        .nodes()
        .iter()
        .map(|node| (node.name.clone(), json!(node.output_shape.to_string())))
        .collect();
    let layers = description["config"]["layers"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let layers = layers.iter().filter_map(|layer| {
        let mut options = layer["config"].as_object().cloned().unwrap_or_default();
        let name = options.remove("name").or_else(|| layer.get("name").cloned())?;
        let name = name.as_str()?.to_string();
        options.insert("class".to_string(), layer["class_name"].clone());
        if let Some(calls) = layer.get("inbound_nodes") {
            options.insert("inputs".to_string(), calls.clone());
        }
        options.extend(
            shapes
                .get(&name)
                .map(|shape| ("output shape".to_string(), shape.clone())),
        );
        Some((name, Value::Object(options)))
    });
    Ok(layers.collect())
}

impl Changed {
    fn record(&self) -> Value {
        json!({"layer": self.layer, "option": self.option, "a": self.sides[0], "b": self.sides[1]})
    }
}

fn layers(changed: &[Changed]) -> Table {
    let mut table = Table::new("Layers that differ");
    table
        .header(["layer", "what", "first", "second"])
        .align([Align::Left; 4]);
    let shown = |value: &Value| match value {
        Value::Null => "–".to_string(),
        Value::String(text) => escape(text),
        value => {
            let text: String = value.to_string();
            let short: String = text.chars().take(LONGEST_OPTION).collect();
            escape(&if short.len() < text.len() { short + "…" } else { text })
        }
    };
    for one in changed.iter().take(MOST_OPTIONS) {
        table.row([
            escape(&one.layer),
            one.option.clone(),
            shown(&one.sides[0]),
            shown(&one.sides[1]),
        ]);
    }
    if changed.len() > MOST_OPTIONS {
        table.note(format!(
            "{} more: --json has all of them.",
            count(changed.len() - MOST_OPTIONS)
        ));
    }
    table
}

/// All weights, those of the first model in its order, then those that only the second one has.
fn weights(models: &[Model; 2]) -> Result<Vec<Weight>> {
    let [a, b] = models;
    let bar = crate::progress::Progress::new().bytes("reading tensors", Some(a.tensor_bytes() + b.tensor_bytes()));
    let only_b = b.weights.keys().filter(|path| !a.weights.contains_key(*path));
    let mut found = Vec::new();
    for path in a.weights.keys().chain(only_b) {
        let sides = [a.weights.get(path), b.weights.get(path)];
        let mut weight = Weight {
            path: path.clone(),
            shapes: sides.map(|side| side.map(|tensor| tensor.shape().to_vec())),
            difference: None,
            relative: None,
        };
        if let [Some(left), Some(right)] = sides
            && left.shape() == right.shape()
        {
            let difference = Difference::between(&left.to_f64()?, &right.to_f64()?);
            let figures = Statistics::of(left)?;
            let largest = figures.max.abs().max(figures.min.abs());
            weight.relative = (largest > 0.0).then_some(difference.largest / largest);
            weight.difference = Some(difference);
        }
        for tensor in sides.into_iter().flatten() {
            tensor.release();
            bar.inc(tensor.byte_len() as u64);
        }
        found.push(weight);
    }
    bar.finish_and_clear();
    Ok(found)
}

impl Weight {
    fn is_same(&self) -> bool {
        self.difference.is_some_and(|difference| difference.is_none())
    }

    fn record(&self) -> Value {
        // JSON has no infinity, which is the distance of a number from one that is none.
        let finite = |number: f64| number.is_finite().then_some(number);
        json!({
            "weight": self.path,
            "shapes": self.shapes,
            "values": self.difference.map(|found| found.values),
            "equal": self.difference.map(|found| found.equal),
            "largest": self.difference.and_then(|found| finite(found.largest)),
            "mean": self.difference.and_then(|found| finite(found.mean)),
            "relative": self.relative.and_then(finite),
        })
    }
}

fn numbers(weights: &[Weight]) -> Table {
    let mut table = Table::new("Weights");
    table
        .header(["weight", "shape", "same bits", "largest difference", "mean", "relative"])
        .align([Align::Left, Align::Left].into_iter().chain([Align::Right; 4]));
    let shape = |shape: &Option<Vec<usize>>| match shape {
        Some(shape) => shape.iter().map(usize::to_string).collect::<Vec<_>>().join(" × "),
        None => "not there".to_string(),
    };
    let row = |name: String, shape: String, difference: &Difference, relative: Option<f64>| {
        [
            name,
            shape,
            format!("{} of {}", count(difference.equal), count(difference.values)),
            significant(difference.largest, 3),
            significant(difference.mean, 3),
            relative.map_or_else(|| "–".to_string(), |relative| significant(relative, 3)),
        ]
    };
    for weight in weights {
        let name = escape(&weight.path);
        match &weight.difference {
            Some(difference) => table.row(row(name, shape(&weight.shapes[0]), difference, weight.relative)),
            None => {
                let both = format!("{}; {}", shape(&weight.shapes[0]), shape(&weight.shapes[1]));
                table.row([
                    name,
                    both,
                    "–".to_string(),
                    "–".to_string(),
                    "–".to_string(),
                    "–".to_string(),
                ])
            }
        };
    }
    let compared = weights.iter().filter_map(|weight| weight.difference);
    if let Some(all) = compared.reduce(Difference::and) {
        table.row(row("together".to_string(), String::new(), &all, None));
    }
    table.note(
        "Relative: the largest difference as a share of the largest number that the weight has in the first file.",
    );
    table
}

/// Lets both networks decide on the test images.
fn decisions(context: &Context, models: &[Model; 2], files: [&Path; 2]) -> Result<Decisions> {
    let dataset = context.dataset_or("digits")?;
    let mut both = Vec::new();
    let mut labels = Vec::new();
    for (model, file) in models.iter().zip(files) {
        if model.spec.is_none() {
            bail!(
                "--data: {} does not describe its network, so it decides nothing; describe it with --config MODEL",
                file.display()
            );
        }
        check_classes(Some(file), &model.metadata.classes, &dataset)?;
        let network = model.clone().in_precision(Precision::F32).network(&context.device)?;
        let samples = Samples::for_network(&dataset.test, &network)?;
        both.push(measure(&network, &samples, &context.progress.measuring(samples.len()))?);
        labels = samples.labels().to_vec();
    }
    let Ok(measured) = both.try_into() else {
        bail!("a model was not measured");
    };
    Ok(Decisions {
        data: dataset.name,
        measured,
        labels,
    })
}

impl Decisions {
    /// Images on which the two differ, and of these those that only the first, only the second, and none of them names right.
    fn counted(&self) -> [usize; 4] {
        let [a, b] = &self.measured;
        let mut counted = [0; 4];
        for ((a, b), label) in a.predictions.iter().zip(&b.predictions).zip(&self.labels) {
            if a == b {
                continue;
            }
            counted[0] += 1;
            let place = match (a == label, b == label) {
                (true, _) => 1,
                (_, true) => 2,
                _ => 3,
            };
            counted[place] += 1;
        }
        counted
    }

    fn record(&self) -> Value {
        let [changed, only_first, only_second, neither] = self.counted();
        let [a, b] = &self.measured;
        json!({
            "data": self.data,
            "samples": self.labels.len(),
            "changed": changed,
            "only_first_right": only_first,
            "only_second_right": only_second,
            "neither_right": neither,
            "accuracy": [a.accuracy, b.accuracy],
            "loss": [a.loss, b.loss],
        })
    }

    fn in_words(&self) -> String {
        let [changed, only_first, only_second, neither] = self.counted();
        let [a, b] = &self.measured;
        let all = format!(
            "On the test images of {}: accuracy {} and {}; {} of {} images get another class",
            self.data,
            percent(a.accuracy, 2),
            percent(b.accuracy, 2),
            count(changed),
            count(self.labels.len())
        );
        if changed == 0 {
            return format!("{all}.");
        }
        format!(
            "{all}: {} that only the first file names right, {} that only the second one does, {} that both get wrong.",
            count(only_first),
            count(only_second),
            count(neither)
        )
    }
}
