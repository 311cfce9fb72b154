//! The trainings, and what is measured of each.

use anyhow::{Result, bail};
use augmentation::Pipeline;
use augmentation::corrupt::{self, Corruption};
use candle_core::{DType, Device};
use datasets::Dataset;
use indicatif::ProgressBar;
use models::{Network, zoo};
use nn_theory::ModelSpec;
use optimizers::Optimizer;
use optimizers_bench::side_by_side;
use training::{Averaged, accuracy, evaluate, predict_averaged};
use training::{Callback, Control, EpochEnd, EpochRecord, Loss, Samples, StopReason, Trainer};

use super::super::data::subset;
use crate::context::Context;

/// The severities of a corruption.
pub(super) const SEVERITIES: [u8; 5] = [1, 2, 3, 4, 5];

/// The severity that tables show.
pub(super) const SHOWN: u8 = 3;

/// Images of one forward pass of a measurement.
const MEASURED_AT_ONCE: usize = 256;

/// The most training images that are measured after each epoch; of more, every second, third, … is enough for a curve.
const WATCHED: usize = 1200;

/// What the networks learn from, and for how long.
pub(super) struct Amount {
    pub(super) train: Samples,
    pub(super) epochs: usize,
}

impl Amount {
    /// The training images that are measured after each epoch.
    fn to_watch(&self) -> Vec<usize> {
        let every = self.train.len().div_ceil(WATCHED).max(1);
        (0..self.train.len()).step_by(every).collect()
    }

    /// How many these are.
    pub(super) fn watched(&self) -> usize {
        self.to_watch().len()
    }
}

/// Test images with one kind of damage.
pub(super) struct Damaged {
    pub(super) corruption: Corruption,
    pub(super) severity: u8,
    pub(super) samples: Samples,
}

/// Everything that the trainings share.
pub(super) struct Plan {
    pub(super) network: ModelSpec,
    pub(super) pipeline: Pipeline,
    pub(super) optimizer: &'static str,
    pub(super) learning_rate: f64,
    pub(super) batch_size: usize,
    pub(super) seeds: Vec<u64>,
    /// All images to learn from, and where there are many also a few of them.
    pub(super) amounts: Vec<Amount>,
    pub(super) validation: Samples,
    pub(super) test: Samples,
    pub(super) damaged: Vec<Damaged>,
    /// Versions of an image that augmentation at inference averages.
    pub(super) copies: usize,
    /// The seed of what all networks share: the damage, and the draws at inference.
    pub(super) seed: u64,
    device: Device,
}

/// What one training came to.
pub(super) struct Outcome {
    pub(super) epochs: Vec<EpochRecord>,
    /// Accuracy on the unchanged training images, without dropout, after each epoch.
    pub(super) train: Vec<f64>,
    pub(super) test: f64,
    /// One for each of [`Plan::damaged`].
    pub(super) damaged: Vec<f64>,
    /// `confusion[label][prediction]` for each of [`Plan::damaged`].
    pub(super) confusion: Vec<Vec<Vec<u64>>>,
    /// Augmentation at inference, for each of [`Plan::at_inference`].
    pub(super) at_inference: Vec<AtInference>,
}

/// Accuracy of one network on one test set, in three ways.
pub(super) struct AtInference {
    /// As it is.
    pub(super) plain: f64,
    /// On one augmented version.
    pub(super) one: f64,
    /// By the mean of the probabilities of several augmented versions.
    pub(super) many: f64,
    /// By the mean of their logits, where that was measured.
    pub(super) of_logits: Option<f64>,
}

/// A training that is to be done.
pub(super) struct Job<'a> {
    amount: &'a Amount,
    seed: u64,
    augment: Option<&'a Pipeline>,
    /// Whether augmentation at inference is measured, too.
    views: bool,
}

impl<'a> Job<'a> {
    /// A training without a measurement of augmentation at inference.
    pub(super) fn new(amount: &'a Amount, seed: u64, augment: Option<&'a Pipeline>) -> Self {
        Job {
            amount,
            seed,
            augment,
            views: false,
        }
    }
}

/// The trainings on one amount of data: pairs (without, with augmentation), one a seed.
pub(super) type Pairs = Vec<(Outcome, Outcome)>;

impl Plan {
    /// Networks, data and budget for a data set, which is cut down where it is large.
    pub(super) fn new(context: &Context, dataset: &mut Dataset, pipeline: Pipeline) -> Result<Self> {
        let [height, width, channels] = dataset.shape().map(|size| size as u64);
        let two = dataset.classes.len() == 2;
        // The embedded digits are an order of magnitude cheaper than any other images.
        let tiny = height * width <= 100;
        let most = if tiny {
            (4000, 2000)
        } else {
            context.pick((2000, 1000), (600, 200))
        };
        dataset.train = subset(&dataset.train, most.0, context.seed);
        dataset.test = subset(&dataset.test, most.1, context.seed);
        let (network, learning_rate, batch_size, epochs) = if two {
            let network = zoo::first_cnn_for("first_cnn", [height, width, channels], 2)?;
            (network, 0.001, 8, context.pick(60, 20))
        } else {
            let network = zoo::small_cnn("small_cnn", [height, width, channels], dataset.classes.len())?;
            // Three times Keras' default: these trainings are short.
            (
                network,
                0.003,
                32,
                if tiny { context.pick(40, 12) } else { context.pick(6, 3) },
            )
        };
        let shapes = Network::new(network.clone(), context.seed, &Device::Cpu, DType::F32)?;
        let (train, validation) = Samples::for_network(&dataset.train, &shapes)?.split(0.2, context.seed)?;
        let test = Samples::for_network(&dataset.test, &shapes)?;
        let few = if two { 0 } else { context.pick(300, 0) };
        let mut amounts = vec![];
        if few > 0 && train.len() >= 2 * few {
            let (_, part) = train.split(few as f64 / train.len() as f64, context.seed)?;
            // About as many steps, so that the two differ in the data and not in the work.
            let epochs = epochs * train.len() / part.len();
            amounts.push(Amount { train: part, epochs });
        }
        amounts.insert(0, Amount { train, epochs });
        let mut damaged = Vec::new();
        for corruption in corrupt::ALL {
            for severity in SEVERITIES {
                damaged.push(Damaged {
                    corruption,
                    severity,
                    samples: test.corrupted(corruption, severity, context.seed)?,
                });
            }
        }
        Ok(Plan {
            network,
            pipeline,
            optimizer: "adam",
            learning_rate,
            batch_size,
            seeds: (1..=context.pick(if tiny || two { 5 } else { 3 }, 3))
                .map(|i| context.seed + i)
                .collect(),
            amounts,
            validation,
            test,
            damaged,
            copies: context.pick(if tiny || two { 16 } else { 8 }, 8),
            seed: context.seed,
            device: context.device.clone(),
        })
    }

    /// The place of a corruption and severity in [`Plan::damaged`].
    pub(super) fn place(&self, corruption: Corruption, severity: u8) -> Option<usize> {
        self.damaged
            .iter()
            .position(|set| (set.corruption, set.severity) == (corruption, severity))
    }

    /// The test sets that augmentation at inference is measured on.
    pub(super) fn at_inference(&self) -> Vec<(String, &Samples)> {
        let shown = [Corruption::Shift, Corruption::Rotation]
            .into_iter()
            .filter_map(|corruption| Some((corruption.name().to_string(), self.place(corruption, SHOWN)?)))
            .map(|(name, place)| (name, &self.damaged[place].samples));
        std::iter::once(("clean".to_string(), &self.test))
            .chain(shown)
            .collect()
    }

    /// All trainings of the comparison: for each amount of data the pairs (without, with augmentation).
    pub(super) fn run(&self, context: &Context) -> Result<Vec<Pairs>> {
        let jobs: Vec<Job<'_>> = self
            .amounts
            .iter()
            .flat_map(|amount| {
                self.seeds.iter().flat_map(move |&seed| {
                    [None, Some(&self.pipeline)].map(|augment| Job {
                        amount,
                        seed,
                        augment,
                        views: true,
                    })
                })
            })
            .collect();
        let mut outcomes = self.train_all(context, "with and without", &jobs)?.into_iter();
        let mut next = || Some((outcomes.next()?, outcomes.next()?));
        let pairs = |_: &Amount| (0..self.seeds.len()).map_while(|_| next()).collect();
        Ok(self.amounts.iter().map(pairs).collect())
    }

    /// Trainings side by side, in the order of the jobs.
    pub(super) fn train_all(&self, context: &Context, name: &str, jobs: &[Job<'_>]) -> Result<Vec<Outcome>> {
        let epochs: usize = jobs.iter().map(|job| job.amount.epochs).sum();
        let bar = context.progress.bar(name, epochs as u64);
        let workers = if self.device.is_cpu() {
            std::thread::available_parallelism().map_or(1, usize::from)
        } else {
            1
        };
        let outcomes = side_by_side(jobs.len(), workers, context.interrupt(), &|_, _| (), |job| {
            self.trial(&jobs[job], context, &bar)
        });
        bar.finish_and_clear();
        outcomes
    }

    /// One training: the seed decides weights, order and dropout, so that a pair differs in the augmentation alone.
    fn trial(&self, job: &Job<'_>, context: &Context, bar: &ProgressBar) -> Result<Outcome> {
        let (amount, seed) = (job.amount, job.seed);
        let mut network = Network::new(self.network.clone(), seed, &self.device, DType::F32)?;
        let mut optimizer = Optimizer::builder(self.optimizer)?
            .learning_rate(self.learning_rate)
            .build()?;
        let mut watch = Watch {
            clean: amount.train.select(&amount.to_watch()),
            accuracy: Vec::new(),
            bar,
        };
        let trainer = Trainer::new()
            .epochs(amount.epochs)
            .batch_size(self.batch_size)
            .seed(seed)
            .validation_data(&self.validation)
            .interrupt(context.interrupt())
            .callback(&mut watch);
        let trainer = match job.augment {
            Some(pipeline) => trainer.augment(pipeline),
            None => trainer,
        };
        let history = trainer.fit(&mut network, &mut optimizer, &amount.train)?;
        if history.stopped == StopReason::Interrupted {
            bail!("interrupted");
        }
        let measure = |samples: &Samples| -> Result<_> {
            context.check_interrupt()?;
            Ok(evaluate(&network, samples, Loss::default(), MEASURED_AT_ONCE)?)
        };
        let damaged = self
            .damaged
            .iter()
            .map(|set| measure(&set.samples))
            .collect::<Result<Vec<_>>>()?;
        let views = |samples: &Samples| -> Result<AtInference> {
            let share = |copies: usize, averaged: Averaged| -> Result<f64> {
                context.check_interrupt()?;
                let asked = (copies, averaged);
                let mean = predict_averaged(&network, samples, &self.pipeline, asked, self.seed, MEASURED_AT_ONCE)?;
                Ok(accuracy(&mean, samples.labels()))
            };
            Ok(AtInference {
                plain: measure(samples)?.accuracy,
                one: share(1, Averaged::Probabilities)?,
                many: share(self.copies, Averaged::Probabilities)?,
                of_logits: match context.full {
                    true => Some(share(self.copies, Averaged::Logits)?),
                    false => None,
                },
            })
        };
        let at_inference = match job.views {
            true => self
                .at_inference()
                .iter()
                .map(|(_, samples)| views(samples))
                .collect::<Result<Vec<_>>>()?,
            false => Vec::new(),
        };
        Ok(Outcome {
            epochs: history.epochs,
            train: watch.accuracy,
            test: measure(&self.test)?.accuracy,
            damaged: damaged.iter().map(|set| set.accuracy).collect(),
            confusion: damaged.into_iter().map(|set| set.confusion).collect(),
            at_inference,
        })
    }
}

/// Measures the network on its unchanged training images after each epoch: what `History` has is measured on augmented
/// images and with dropout, so it cannot be compared with the validation accuracy.
struct Watch<'a> {
    clean: Samples,
    accuracy: Vec<f64>,
    bar: &'a ProgressBar,
}

impl Callback for Watch<'_> {
    fn on_epoch_end(&mut self, epoch: &mut EpochEnd<'_>) -> training::Result<Control> {
        let measured = evaluate(epoch.network, &self.clean, Loss::default(), MEASURED_AT_ONCE)?;
        self.accuracy.push(measured.accuracy);
        self.bar.inc(1);
        Ok(Control::Continue)
    }
}
