//! A network on the images of a data set as a task.

use candle_core::{DType, Device};
use datasets::{Dataset, Split};
use kernels::random::Stream;
use models::Network;
use nn_theory::ModelSpec;
use training::Samples;

use crate::{Learning, Result, Task};

/// The seed that divides data sets; not the one of a study, because the task stays the same for all of them.
pub(crate) const DIVISION: u64 = 6020;

/// Which images of a data set a task uses, and how long it learns from them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Images {
    /// At most so many images to learn from and to choose on, and as many to report on.
    pub most: usize,
    /// The share of the training images that rates are chosen on instead; above 0 and below 1.
    pub validation: f64,
    /// Passes over the images that are learnt from.
    pub epochs: usize,
    /// Images of one step.
    pub batch_size: usize,
}

impl Default for Images {
    /// All images, a fifth of the training images to choose on, 10 epochs in batches of 32.
    fn default() -> Self {
        Images {
            most: usize::MAX,
            validation: 0.2,
            epochs: 10,
            batch_size: 32,
        }
    }
}

impl Task {
    /// A network on the images of a data set: it learns from most of the training images, rates are chosen on the others, and what
    /// is reported comes from the test images alone.
    ///
    /// The division is the same for every study. The [fingerprint](crate::TaskDescription::fingerprint) is a hash of the network's
    /// Keras JSON, of every number of every image and its label, and of the budget.
    ///
    /// ```
    /// use optimizers_bench::{Images, Measure, Task};
    ///
    /// let short = Images { epochs: 2, ..Images::default() };
    /// let task = Task::images("mine", "my network on the digits", models::zoo::digits_cnn()?, &datasets::digits(), short)?;
    /// assert_eq!((task.description().measure, task.description().epochs), (Measure::Accuracy, 2));
    /// # Ok::<(), optimizers_bench::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Training`](crate::Error::Training) where the images or their classes do not fit the network, or where `validation`
    /// leaves no images on one of the two sides; [`Error::Empty`](crate::Error::Empty) without epochs or with batches of none.
    pub fn images(
        name: impl Into<String>,
        title: impl Into<String>,
        network: ModelSpec,
        dataset: &Dataset,
        images: Images,
    ) -> Result<Self> {
        let shapes = Network::new(network.clone(), 0, &Device::Cpu, DType::F32)?;
        let all = Samples::for_network(&some(&dataset.train, images.most), &shapes)?;
        let (train, validation) = all.split(images.validation, DIVISION)?;
        let test = Samples::for_network(&some(&dataset.test, images.most), &shapes)?;
        let learning = Learning {
            network,
            train,
            validation,
            test,
            epochs: images.epochs,
            batch_size: images.batch_size,
        };
        Task::learning(name, title, learning)
    }
}

/// At most `most` images, in their order: files that are sorted by class do no harm.
fn some(split: &Split, most: usize) -> Split {
    if split.len() <= most {
        return split.clone();
    }
    let mut chosen = Stream::new(DIVISION).op("subset").draws().permutation(split.len());
    chosen.truncate(most);
    chosen.sort_unstable();
    split.select(&chosen)
}

#[cfg(test)]
mod tests {
    use models::zoo;

    use super::*;

    #[test]
    fn the_fingerprint_follows_the_network_the_images_and_the_budget() {
        let digits = datasets::digits();
        let of = |network: ModelSpec, data: &Dataset, images: Images| {
            let task = Task::images("mine", "", network, data, images).unwrap();
            task.description().fingerprint.clone()
        };
        let small = Images {
            most: 100,
            ..Images::default()
        };
        let cnn = || zoo::digits_cnn().unwrap();
        let first = of(cnn(), &digits, small);
        assert_eq!(first, of(cnn(), &digits, small), "the same every time");
        let wider = zoo::small_cnn("digits_cnn", [8, 8, 1], 11).unwrap();
        let mut others = vec![of(wider, &digits, small)];
        // The last test image is among those that are looked at: all of them are.
        let whole = of(cnn(), &digits, Images::default());
        let mut relabelled = digits.clone();
        if let Some(label) = relabelled.test.labels.last_mut() {
            *label = (*label + 1) % 10;
        }
        assert_ne!(whole, of(cnn(), &relabelled, Images::default()));
        others.push(whole);
        for images in [
            Images { epochs: 9, ..small },
            Images {
                batch_size: 16,
                ..small
            },
            Images {
                validation: 0.3,
                ..small
            },
        ] {
            others.push(of(cnn(), &digits, images));
        }
        for (index, other) in others.iter().enumerate() {
            assert!(*other != first && !others[..index].contains(other), "{index}");
        }
    }

    #[test]
    fn what_leaves_nothing_to_choose_on_is_refused() {
        let digits = datasets::digits();
        for images in [
            Images {
                validation: 1.0,
                ..Images::default()
            },
            Images {
                most: 1,
                ..Images::default()
            },
            Images {
                epochs: 0,
                ..Images::default()
            },
        ] {
            assert!(
                Task::images("mine", "", zoo::digits_cnn().unwrap(), &digits, images).is_err(),
                "{images:?}"
            );
        }
    }
}
