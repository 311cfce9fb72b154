//! What `None` means in a shape, by running batches of several sizes.

use anyhow::{Context as _, Result};
use candle_core::{DType, Tensor};
use datasets::Dataset;
use kernels::random::Stream;
use models::{Mode, Network};
use report::format::significant;
use report::inline::escape;
use report::{Align, Answer, Table};
use serde_json::json;

use super::tuple;
use crate::context::Context;

/// The batches that stand in for `None`.
const BATCHES: [usize; 3] = [1, 7, 32];

/// A smaller difference between outputs of order 1 is rounding in `f32`.
const ROUNDING: f32 = 100.0 * f32::EPSILON;

/// Runs batches of several sizes, one image alone and in company, and an image of the wrong size.
pub(super) fn shape_meaning(
    context: &Context,
    answer: &mut Answer,
    network: &Network,
    dataset: Option<&Dataset>,
) -> Result<()> {
    let spec = network.spec();
    let printed = spec.output_shape().to_string();
    let rows = spec.explain();
    if let Some(last) = rows.last() {
        answer.text(format!("`{printed}`: {}", escape(&last.shape_meaning)));
    }
    answer.text(format!(
        "The first size is the batch, and `None` means that the network does not fix it. Proof by running `{}`, whose input \
         is `{}`, on batches of {}:",
        spec.name(),
        spec.input_shape(),
        if dataset.is_some() { "test images" } else { "random images" }
    ));
    let largest = BATCHES.into_iter().max().unwrap_or(1);
    let images = images(context, network, dataset, largest)?;
    let mut table = Table::new("Batches of several sizes");
    table
        .header(["images", "input", "output", "fits", "first image changes by"])
        .align([Align::Right, Align::Left, Align::Left, Align::Left, Align::Right]);
    let mut alone: Option<Vec<f32>> = None;
    let (mut shapes, mut furthest) = (Vec::new(), 0.0f32);
    for batch in BATCHES {
        // A small data set may hold fewer images than the largest batch.
        let input = images.narrow(0, 0, batch.min(images.dim(0)?))?;
        let output = network.forward(&input, Mode::Inference)?;
        let first = output.get(0)?.to_vec1::<f32>()?;
        let apart = alone.as_ref().map_or(0.0, |alone| largest_difference(alone, &first));
        furthest = furthest.max(apart);
        alone.get_or_insert(first);
        let dims: Vec<u64> = output.dims().iter().map(|&size| size as u64).collect();
        let fits = spec.output_shape().is_compatible(&dims.clone().into());
        table.row([
            input.dim(0)?.to_string(),
            tuple(input.dims()),
            tuple(output.dims()),
            (if fits { "yes" } else { "no" }).to_string(),
            significant(f64::from(apart), 2),
        ]);
        shapes.push(json!({ "input": input.dims(), "output": output.dims(), "fits": fits, "apart": apart }));
    }
    answer.table(table);
    let company = "a batch is a stack of samples that do not know of each other";
    let change = significant(f64::from(furthest), 2);
    answer.text(if furthest == 0.0 {
        format!("The values of the first image are the same to the last bit, alone or in company: {company}.")
    } else if furthest < ROUNDING {
        format!(
            "The values of the first image change by at most {change}, alone or in company. That is rounding, since a larger \
             batch adds the same numbers in another order: {company}."
        )
    } else {
        format!("The values of the first image change by {change}, which is more than rounding: they depend on the batch.")
    });
    answer.text(format!(
        "The batch is in no weight either: the shapes of all {} are numbers without `None`, so the number of parameters \
         is the same for every batch. The sizes after the first are fixed, too. Images with one row more are refused:",
        spec.weights().len()
    ));
    answer.code(refusal(context, network, &images)?);
    answer.number("batches", shapes).number("largest_difference", furthest);
    Ok(())
}

/// A batch of images in the shape that the network reads.
fn images(context: &Context, network: &Network, dataset: Option<&Dataset>, batch: usize) -> Result<Tensor> {
    let shape = network.input_shape();
    let (numbers, batch) = match dataset {
        Some(dataset) => {
            let images = dataset.test.first(batch).images;
            (images.to_f32(), images.len())
        }
        None => {
            let mut numbers = vec![0.0; batch * shape.iter().product::<usize>()];
            let mut draws = Stream::new(context.seed).op("random images").draws();
            draws.fill_uniform(&mut numbers, 0.0, 1.0);
            (numbers, batch)
        }
    };
    let shape = [&[batch], shape.as_slice()].concat();
    Tensor::from_vec(numbers, shape, network.device()).context("the images do not fit the network")
}

/// What the network says to images that are one row too high.
fn refusal(context: &Context, network: &Network, images: &Tensor) -> Result<String> {
    let mut shape = images.dims().to_vec();
    if let Some(height) = shape.get_mut(1) {
        *height += 1;
    }
    let wrong = Tensor::zeros(shape, DType::F32, &context.device)?;
    Ok(match network.forward(&wrong, Mode::Inference) {
        Ok(output) => format!("accepted, output {}", tuple(output.dims())),
        Err(error) => error.to_string(),
    })
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}
