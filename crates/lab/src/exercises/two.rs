//! Exercise 2: `model.summary()` of two networks, and where each of its numbers comes from.

mod batches;
mod number_format;
mod tensors;

use anyhow::Result;
use candle_core::DType;
use datasets::Dataset;
use models::{Network, zoo};
use nn_theory::{ModelSpec, PlotOptions, RowExplanation, SummaryOptions, memory_size};
use report::format::{integer, percent};
use report::inline::escape;
use report::plot::BarChart;
use report::{Align, Answer, Figure, Table};
use serde_json::json;

use self::batches::shape_meaning;
use self::number_format::number_format;
use self::tensors::cross_check;
use super::data::describe;
use crate::context::Context;

/// What the lecture calls.
const CALL: &str = "model.summary(line_length=80, expand_nested=True, show_trainable=True)";

pub(super) fn answer(context: &Context, answer: &mut Answer) -> Result<()> {
    let dataset = match context.data {
        Some(_) => Some(context.dataset_or("digits")?),
        None => None,
    };
    let lecture = zoo::cats_vs_dogs()?;
    let classifier = classifier(dataset.as_ref())?;
    answer.text(format!(
        "The question: what does `{CALL}` print for the lecture's network, where does each number of its column *Param #* \
         come from, what does the memory in brackets say about the number format, and what does a shape such as \
         `{}` mean?",
        classifier.output_shape()
    ));
    if let Some(dataset) = &dataset {
        describe(dataset, answer);
    }
    let networks = [
        running(context, &lecture)?,
        running(context, &zoo::cats_vs_dogs_sequential()?)?,
        running(context, &classifier)?,
    ];
    let [of_lecture, sequential, of_classifier] = &networks;

    answer.heading("The lecture's network");
    summary(answer, of_lecture)?;
    trainable_column(answer, of_lecture)?;
    plot(answer, of_lecture)?;
    retrace(answer, of_lecture)?;
    answer.text(
        "The lecture builds this model with `keras.Model(inputs, outputs)`. Written as `keras.Sequential` the same layers \
         print a table without the row of the input; every count is the same:",
    );
    summary(answer, sequential)?;

    answer.heading(format!(
        "A network for {} classes",
        classifier.output_shape().last().unwrap_or(0)
    ));
    summary(answer, of_classifier)?;
    plot(answer, of_classifier)?;
    retrace(answer, of_classifier)?;
    shares(answer, of_classifier)?;

    answer.heading("The number format");
    number_format(answer, of_lecture, of_classifier)?;
    answer.heading(format!("The meaning of {}", classifier.output_shape()));
    shape_meaning(context, answer, of_classifier, dataset.as_ref())?;
    answer.heading("The same counts from the running networks");
    let agree = cross_check(answer, &networks);

    let format = lecture.number_format();
    answer.headline(format!(
        "{} parameters in {} are {}; {} is any batch of {} values; formulas and tensors {}",
        whole(format.parameters),
        memory_size(format.bytes),
        format
            .candidates
            .first()
            .map_or("of no single format", |format| format.name()),
        classifier.output_shape(),
        classifier.output_shape().last().unwrap_or(0),
        if agree { "agree" } else { "differ" }
    ));
    Ok(())
}

/// The ten-class network of the data set, or that of the embedded digits.
fn classifier(dataset: Option<&Dataset>) -> Result<ModelSpec> {
    let Some(dataset) = dataset else {
        return Ok(zoo::digits_cnn()?);
    };
    let shape = dataset.shape().map(|size| size as u64);
    Ok(match (shape, dataset.classes.len()) {
        ([28, 28, 1], 10) => zoo::mnist_cnn()?,
        ([8, 8, 1], 10) => zoo::digits_cnn()?,
        (shape, classes) => zoo::small_cnn("small_cnn", shape, classes)?,
    })
}

fn running(context: &Context, spec: &ModelSpec) -> Result<Network> {
    Ok(Network::new(spec.clone(), context.seed, &context.device, DType::F32)?)
}

fn summary(answer: &mut Answer, network: &Network) -> Result<()> {
    answer.code(network.spec().summary(&SummaryOptions::lecture())?);
    Ok(())
}

/// The graph of the layers.
fn plot(answer: &mut Answer, network: &Network) -> Result<()> {
    let spec = network.spec();
    answer.figure(Figure {
        title: format!("The layers of {}", spec.name()),
        svg: spec.plot(&PlotOptions::lecture())?.svg()?,
        caption: format!(
            "The graph of `{}`, as `keras.utils.plot_model(show_shapes=True, show_layer_activations=True)` draws it.",
            spec.name()
        ),
        ..Figure::default()
    });
    Ok(())
}

/// What the last column of the table above says.
fn trainable_column(answer: &mut Answer, network: &Network) -> Result<()> {
    let cut = network.spec().summary(&SummaryOptions::lecture())?.contains("Trai…");
    answer.text(format!(
        "The last column{} says whether training may change the layer: Y or N, and - where there is nothing to change.",
        if cut {
            ", *Trainable*, cut where the line of 80 characters ends,"
        } else {
            ""
        }
    ));
    Ok(())
}

/// Every number of the column *Param #* as a formula.
fn retrace(answer: &mut Answer, network: &Network) -> Result<()> {
    let spec = network.spec();
    let (rows, counts) = (spec.explain(), spec.counts());
    answer.subheading("Where the parameters come from");
    for row in rows.iter().filter(|row| row.params > 0) {
        answer.formula(
            format!(
                r"\text{{{}:}} \quad \begin{{aligned}} & {} \\ &= {} \end{{aligned}}",
                row.layer.replace('_', r"\_"),
                row.latex_symbols,
                row.latex
            ),
            format!(
                "{}:  {}
{} = {}",
                row.layer,
                row.symbols,
                " ".repeat(row.layer.len() + 2),
                row.formula
            ),
        );
    }
    answer.list(
        rows.iter()
            .filter(|row| row.params > 0)
            .map(|row| format!("`{}`: {}", row.layer, escape(&row.meaning))),
    );
    let mut table = Table::new(format!("Parameters of {}", escape(spec.name())));
    table
        .header(["layer", "class", "formula", "Param #", "bytes", "share"])
        .align([
            Align::Left,
            Align::Left,
            Align::Left,
            Align::Right,
            Align::Right,
            Align::Right,
        ]);
    for row in &rows {
        table.row([
            format!("`{}`", row.layer),
            row.class.clone(),
            escape(&row.formula),
            whole(row.params),
            whole(row.bytes),
            share(row.params, counts.total),
        ]);
    }
    let sum: Vec<String> = rows
        .iter()
        .filter(|row| row.params > 0)
        .map(|row| whole(row.params))
        .collect();
    table.row([
        "together".to_string(),
        String::new(),
        sum.join(" + "),
        whole(counts.total),
        whole(counts.total_bytes),
        share(counts.total, counts.total),
    ]);
    table.note(format!(
        "{} parameters can be trained, {} cannot.",
        whole(counts.trainable),
        whole(counts.non_trainable)
    ));
    answer.table(table);

    let mut shapes = Table::new("Shapes, and the work for one sample");
    shapes
        .header(["layer", "output shape", "one sample", "multiply-adds"])
        .align([Align::Left; 4]);
    let mut batches: Vec<&str> = Vec::new();
    for row in &rows {
        // «None: any number of samples; 10 values each.»: the first half is the same in every row and stands below.
        let (batch, sample) = row
            .shape_meaning
            .split_once("; ")
            .unwrap_or(("", row.shape_meaning.as_str()));
        batches.push(batch);
        let work = match row.multiply_adds.as_str() {
            "" => "none",
            work => work,
        };
        shapes.row([
            format!("`{}`", row.layer),
            row.output_shape.clone(),
            escape(sample),
            escape(work),
        ]);
    }
    batches.dedup();
    for batch in batches.into_iter().filter(|batch| !batch.is_empty()) {
        shapes.note(format!("{}.", escape(batch)));
    }
    shapes.note("A multiply-add is one multiplication and the addition of its result.");
    answer.table(shapes);
    answer.number(
        spec.name(),
        json!({
            "rows": rows.iter().map(record).collect::<Vec<_>>(),
            "counts": counts,
            "multiply_adds": spec.multiply_adds()?,
        }),
    );
    Ok(())
}

fn record(row: &RowExplanation) -> serde_json::Value {
    json!({
        "layer": row.layer,
        "output_shape": row.output_shape,
        "formula": row.formula,
        "params": row.params,
        "bytes": row.bytes,
    })
}

/// Which layers hold the parameters and which do the work.
fn shares(answer: &mut Answer, network: &Network) -> Result<()> {
    let spec = network.spec();
    let total = spec.counts().total;
    let Some(work) = spec.multiply_adds()? else {
        return Ok(());
    };
    let (mut names, mut parameters, mut operations) = (Vec::new(), Vec::new(), Vec::new());
    for node in spec.layers() {
        let cost = node.multiply_adds()?.map_or(0, |cost| cost.value());
        if node.parameters.value() > 0 || cost > 0 {
            names.push(node.name.as_str());
            parameters.push(node.parameters.value() as f64 / total.max(1) as f64);
            operations.push(cost as f64 / work.max(1) as f64);
        }
    }
    let mut chart = BarChart::new("Where the parameters are and where the work is");
    chart.value_axis("share of the network").percent().categories(&names);
    chart.series("parameters", parameters.iter().copied());
    chart.series("multiply-adds", operations.iter().copied());
    answer.figure(chart.figure(format!(
        "Share of each layer in the {} parameters and in the {} multiply-adds for one sample.",
        whole(total),
        whole(work)
    )));
    let largest = |shares: &[f64]| {
        let best = shares.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
        best.and_then(|(place, &share)| Some((*names.get(place)?, share)))
    };
    if let (Some((holder, held)), Some((worker, done))) = (largest(&parameters), largest(&operations)) {
        answer.text(format!(
            "The largest share of the parameters is in `{holder}` ({}), the largest share of the work in `{worker}` ({}). A \
             convolution uses its few weights again at every place of the image, a dense layer uses each weight once.",
            percent(held, 1),
            percent(done, 1)
        ));
    }
    Ok(())
}

fn whole(number: u64) -> String {
    integer(i128::from(number))
}

fn share(part: u64, whole: u64) -> String {
    percent(part as f64 / whole.max(1) as f64, 1)
}

fn tuple(sizes: &[usize]) -> String {
    // As Python writes it: a tuple of one has a comma.
    match sizes {
        [size] => format!("({size},)"),
        sizes => {
            let sizes: Vec<String> = sizes.iter().map(usize::to_string).collect();
            format!("({})", sizes.join(", "))
        }
    }
}
