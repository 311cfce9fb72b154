//! The data of the exercises: the lecture's where it is there, else the embedded digits, saying so.

use anyhow::Result;
use datasets::{Dataset, Split};
use kernels::random::Stream;
use report::Answer;
use report::format::count;

use crate::context::Context;

/// The two digits that stand in for cats and dogs: as alike as two digits are, so that the task is not trivial.
const STAND_IN: [u32; 2] = [3, 8];

/// Two classes of images: cats and dogs where `--data cats-dogs` says so, else two of the data set's classes.
pub(super) fn two_classes(context: &Context, answer: &mut Answer) -> Result<Dataset> {
    let mut dataset = context.dataset_or("digits")?;
    if dataset.classes.len() != 2 {
        let classes = STAND_IN.map(|class| class.min(dataset.classes.len() as u32 - 1));
        let names: Vec<String> = classes
            .iter()
            .map(|&class| dataset.classes[class as usize].clone())
            .collect();
        answer.note(format!(
            "The lecture's cats and dogs are not at hand (give them with `--data cats-dogs --data-dir DIR`): \
             classes *{}* and *{}* of the data set {} stand in for them.",
            names[0], names[1], dataset.name
        ));
        dataset.train = dataset.train.with_classes(&classes);
        dataset.test = dataset.test.with_classes(&classes);
        dataset.name = format!("{} ({} and {})", dataset.name, names[0], names[1]);
        dataset.classes = names;
    }
    describe(&dataset, answer);
    Ok(dataset)
}

/// Records which data an answer is about.
pub(super) fn describe(dataset: &Dataset, answer: &mut Answer) {
    let images = &dataset.train.images;
    answer
        .setting("data", dataset.name.as_str())
        .setting("train", dataset.train.labels.len())
        .setting("test", dataset.test.labels.len())
        .text(format!(
            "Data: *{}*, {} images to train on and {} to test on, {} × {} pixels, {} classes. {}",
            dataset.name,
            count(dataset.train.labels.len()),
            count(dataset.test.labels.len()),
            images.height,
            images.width,
            dataset.classes.len(),
            dataset.source
        ));
}

/// At most `most` images of a part, in their order, drawn by the seed: files sorted by class do no harm.
pub(super) fn subset(split: &Split, most: usize, seed: u64) -> Split {
    if split.len() <= most {
        return split.clone();
    }
    let mut chosen = Stream::new(seed).op("subset").draws().permutation(split.len());
    chosen.truncate(most);
    chosen.sort_unstable();
    split.select(&chosen)
}
