//! Contact sheets: what the networks see.

use anyhow::Result;
use augmentation::corrupt;
use augmentation::{CATALOGUE, ImageShape, Pipeline, Transform};
use kernels::random::Stream;
use report::format::significant;
use report::inline::escape;
use report::plot::ImageGrid;
use report::{Align, Answer, Block, Table};
use training::Samples;

use super::recipe::Recipe;
use super::trial::{Plan, SEVERITIES, SHOWN};

/// Images of a sheet.
const ROWS: usize = 6;

/// Epochs whose versions are shown.
const EPOCHS: u64 = 7;

/// What the first network with augmentation sees of some images in its first epochs.
pub(super) fn augmented(answer: &mut Answer, plan: &Plan, classes: &[String]) -> Result<()> {
    let (Some(amount), Some(&seed)) = (plan.amounts.first(), plan.seeds.first()) else {
        return Ok(());
    };
    let chosen = amount.train.select(&one_of_each_class(&amount.train));
    let versions = (0..EPOCHS)
        .map(|epoch| Ok(chosen.augmented(&plan.pipeline, seed, epoch)?))
        .collect::<Result<Vec<Samples>>>()?;
    let mut sheet = grid("The training images and their versions", chosen.shape());
    sheet.column_labels(
        std::iter::once("original".to_string()).chain((1..=EPOCHS).map(|epoch| format!("epoch {epoch}"))),
    );
    for (i, &label) in chosen.labels().iter().enumerate() {
        let images = std::iter::once(&chosen)
            .chain(&versions)
            .map(|samples| bytes(samples, i));
        sheet.row(classes.get(label as usize).cloned().unwrap_or_default(), images);
    }
    answer.figure(sheet.figure(format!(
        "Left the original; beside it what the network of seed {seed} sees of it in its first {EPOCHS} epochs. Every version \
         is a function of seed, epoch and the number of the image, so another run shows the same."
    )));
    Ok(())
}

/// Versions of an image for each step alone.
const VARIANTS: u64 = 8;

/// Side of the pictures of the sheet of all transformations.
const SMALL: usize = 40;

/// How often a transformation that happens with a probability is tried until its picture shows something.
const TRIES: u64 = 32;

/// Each step of the pipeline alone, on one image: what it may do, and how much.
pub(super) fn steps(answer: &mut Answer, plan: &Plan, recipe: &Recipe) -> Result<()> {
    let (Some(amount), Some(&seed)) = (plan.amounts.first(), plan.seeds.first()) else {
        return Ok(());
    };
    let image = amount.train.select(&[0]);
    let mut sheet = grid("Each step alone", image.shape());
    sheet.column_labels(
        std::iter::once("original".to_string()).chain((1..=VARIANTS).map(|variant| variant.to_string())),
    );
    for (text, pipeline) in recipe.singles()? {
        let variants = (0..VARIANTS)
            .map(|epoch| Ok(image.augmented(&pipeline, seed, epoch)?))
            .collect::<Result<Vec<Samples>>>()?;
        let images = std::iter::once(&image)
            .chain(&variants)
            .map(|samples| bytes(samples, 0));
        sheet.row(text.split('(').next().unwrap_or_default(), images);
    }
    answer.figure(sheet.figure(format!(
        "The first training image and {VARIANTS} draws of each step alone, with probability 1."
    )));
    Ok(())
}

/// Every transformation that there is, with its defaults, on one picture.
pub(super) fn catalogue(answer: &mut Answer, seed: u64) -> Result<()> {
    let original = augmentation::picture(SMALL);
    let mut sheet = ImageGrid::new("All transformations with their defaults", SMALL, SMALL, 3);
    sheet.column_labels(
        std::iter::once("original".to_string()).chain((1..=VARIANTS).map(|variant| variant.to_string())),
    );
    for entry in CATALOGUE {
        let transform = Transform::from_config(entry.class_name, entry.default_config())?;
        // The other sizes would not fit the sheet, the other ranges are no pictures.
        if transform.output_shape(original.shape()) != original.shape() || !transform.keeps_range() {
            continue;
        }
        let pipeline = Pipeline::new(vec![transform.into()])?;
        let stream = Stream::new(seed).op("catalogue").op(entry.name);
        let variants = (0..VARIANTS).map(|variant| -> Result<Vec<u8>> {
            let mut image = original.clone();
            for attempt in 0..TRIES {
                image = original.clone();
                pipeline.apply(&mut image, stream.epoch(variant).step(attempt))?;
                if image != original {
                    break;
                }
            }
            Ok(image.to_u8(1.0))
        });
        let variants = variants.collect::<Result<Vec<_>>>()?;
        sheet.row(entry.name, std::iter::once(original.to_u8(1.0)).chain(variants));
    }
    let figure = sheet.figure(format!(
        "Original and {VARIANTS} draws. What happens with a probability was drawn again until it happened, at most {TRIES} times."
    ));
    answer.details(
        "All transformations that a pipeline can have",
        [Block::Figure { figure }],
    );
    Ok(())
}

/// One test image with every damage, and what the severities mean.
pub(super) fn damaged(answer: &mut Answer, plan: &Plan, recipe: &Recipe) -> Result<()> {
    answer.heading("The damage");
    answer.text(format!(
        "Robustness is how much of the accuracy is left on images that are worse than those of the training. The test \
         images are damaged in {} ways and {} severities (the manner of CIFAR-10-C, Hendrycks and Dietterich 2019). No \
         network learns from damaged images; the pipeline shows *changes of the same kind* for some of the ways, and none at \
         all for the others. Those tell whether robustness carries over to what was not trained.",
        corrupt::ALL.len(),
        SEVERITIES.len()
    ));
    let &[height, width, channels] = plan.test.shape() else {
        return Ok(());
    };
    let shape = ImageShape {
        height,
        width,
        channels,
    };
    let mut table = Table::new("Strength by severity");
    let levels = SEVERITIES.map(|severity| severity.to_string());
    let ends = ["measured in", "its kind is in the pipeline"].map(str::to_string);
    table
        .header(["damage".to_string()].into_iter().chain(levels.clone()).chain(ends))
        .align(
            [Align::Left]
                .into_iter()
                .chain(SEVERITIES.map(|_| Align::Right))
                .chain([Align::Left; 2]),
        );
    let weakest_to_strongest = format!("{} to {}", SEVERITIES[0], SEVERITIES[SEVERITIES.len() - 1]);
    let mut sheet = grid(
        &format!("One test image, clean and damaged with severity {weakest_to_strongest}"),
        plan.test.shape(),
    );
    sheet.column_labels(std::iter::once("clean".to_string()).chain(levels));
    for corruption in corrupt::ALL {
        let mut cells = vec![name(corruption)];
        for severity in SEVERITIES {
            cells.push(significant(corruption.strength(severity, shape)?, 2));
        }
        cells.push(escape(corruption.unit()));
        cells.push(if recipe.covers(corruption) { "yes" } else { "no" }.to_string());
        table.row(cells);
        let sets = plan.damaged.iter().filter(|set| set.corruption == corruption);
        sheet.row(
            name(corruption),
            std::iter::once(bytes(&plan.test, 0)).chain(sets.map(|set| bytes(&set.samples, 0))),
        );
    }
    table.note(format!(
        "The direction of a shift or turn and the noise are drawn once an image: all networks are tested on the same \
         damaged images, and the severities differ in nothing but the strength. The tables below show severity {SHOWN}."
    ));
    answer.table(table);
    answer.figure(sheet.figure(format!(
        "The first test image, clean and with each damage in the severities {weakest_to_strongest}."
    )));
    Ok(())
}

/// The name of a corruption in words.
pub(super) fn name(corruption: corrupt::Corruption) -> String {
    corruption.name().replace('_', " ")
}

/// The first sample of each class, of [`ROWS`] classes at most; of two classes, several of each.
fn one_of_each_class(samples: &Samples) -> Vec<usize> {
    let classes = samples.labels().iter().max().map_or(1, |&label| label as usize + 1);
    let of_each = ROWS.div_ceil(classes);
    let mut chosen: Vec<usize> = (0..classes as u32)
        .flat_map(|class| {
            let of_class = (0..samples.len()).filter(move |&i| samples.labels()[i] == class);
            of_class.take(of_each)
        })
        .collect();
    chosen.truncate(ROWS);
    chosen
}

fn grid(title: &str, shape: &[usize]) -> ImageGrid {
    match *shape {
        [height, width, channels] => ImageGrid::new(title, height, width, channels),
        _ => ImageGrid::new(title, 1, 1, 1),
    }
}

/// A sample's values of `[0, 1]` as bytes.
fn bytes(samples: &Samples, index: usize) -> Vec<u8> {
    let size: usize = samples.shape().iter().product();
    let values = samples.inputs().iter().skip(index * size).take(size);
    values
        .map(|value| (value.clamp(0.0, 1.0) * 255.0).round() as u8)
        .collect()
}
