//! A network and data of the user's as a task of a sweep.

use anyhow::{Context as _, Result};
use nn_theory::{ModelSpec, with_separators};
use optimizers_bench::{Images, Task};
use report::format::count;

use crate::cli::SweepRunArgs;
use crate::commands::model;
use crate::commands::train::{DEFAULT_DATA, canonical, fitting, warn_of_softmax};
use crate::context::Context;
use crate::progress::say;

/// Epochs where none are asked for, and with `--quick`.
const EPOCHS: (usize, usize) = (10, 2);

/// Images that `--quick` uses at most.
const QUICK_IMAGES: usize = 1_200;

/// The network of `--model`; `Some(None)` where the data decide.
pub(super) fn network(args: &SweepRunArgs) -> Result<Option<Option<ModelSpec>>> {
    match (&args.model, &args.data) {
        (Some(word), _) => {
            let found = model::find(word).context("--model")?;
            if found.has_weights() {
                say(&format!(
                    "note: {word} has weights; the runs draw new ones by their seeds, for optimizers are compared from the same beginnings \
                     (lab train --model {word} goes on from those of the file)"
                ));
            }
            Ok(Some(Some(found.spec)))
        }
        (None, Some(_)) => Ok(Some(None)),
        (None, None) => Ok(None),
    }
}

/// The task: its data are loaded, and its test images put aside.
pub(super) fn task(args: &SweepRunArgs, context: &Context, network: Option<ModelSpec>) -> Result<Task> {
    let dataset = context.dataset_or(DEFAULT_DATA)?;
    context.check_interrupt()?;
    let network = match network {
        Some(network) => network,
        None => fitting(&dataset)?,
    };
    warn_of_softmax(context, &network);
    let (full, quick) = EPOCHS;
    let default = Images::default();
    let images = Images {
        most: args
            .images
            .unwrap_or(if args.quick { QUICK_IMAGES } else { default.most }),
        validation: args.validation_split.unwrap_or(default.validation),
        epochs: args.epochs.unwrap_or(if args.quick { quick } else { full }),
        batch_size: args.batch_size.unwrap_or(default.batch_size),
    };
    let (model, data) = (plain(network.name()), plain(&dataset.name));
    let title = format!(
        "the network {model} of {} parameters on {} training and {} test images of {data}, {} epochs",
        with_separators(network.counts().total),
        count(dataset.train.len().min(images.most)),
        count(dataset.test.len().min(images.most)),
        images.epochs
    );
    Task::images(format!("{model}_on_{data}"), title, network, &dataset, images)
        .with_context(|| format!("{model} on {data} (--model and --data choose others)"))
}

/// What `lab train` is given for the same network and data.
pub(super) fn words(args: &SweepRunArgs) -> String {
    let mut words = String::new();
    if let Some(model) = &args.model {
        words += &format!("--model {} ", quoted(model));
    }
    let data = canonical(args.data.as_deref().unwrap_or(DEFAULT_DATA));
    words += &format!("--data {}", quoted(&data));
    if let Some(folder) = &args.data_dir {
        words += &format!(" --data-dir {}", quoted(&folder.display().to_string()));
    }
    if let Some(size) = &args.image_size {
        words += &format!(" --image-size {size}");
    }
    words
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |letter: char| letter.is_alphanumeric() || "-_./:\\".contains(letter);
    if word.chars().all(is_plain) {
        return word.to_string();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// A name as part of a task's: letters, digits, `_` and `-`, at most 40.
fn plain(name: &str) -> String {
    name.chars()
        .take(40)
        .map(|letter| {
            if letter.is_alphanumeric() || letter == '-' {
                letter
            } else {
                '_'
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{plain, quoted};

    #[test]
    fn names_of_networks_and_folders_become_plain() {
        assert_eq!(plain("my *net*/v2.keras"), "my__net__v2_keras");
        assert_eq!(plain("cats-dogs"), "cats-dogs");
        assert_eq!(plain(&"é".repeat(99)).chars().count(), 40);
    }

    #[test]
    fn words_are_taken_by_a_shell_as_they_are() {
        assert_eq!(quoted("path/to-my_net.keras"), "path/to-my_net.keras");
        assert_eq!(quoted("it's mine"), r"'it'\''s mine'");
    }
}
