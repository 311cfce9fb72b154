//! The same budget for every optimizer: a grid of learning rates, chosen on validation data, measured with new seeds.

use std::sync::atomic::AtomicBool;

use serde::{Deserialize, Serialize};

use crate::study::{OnTrial, Outcome, Task, Trial, run};
use crate::{Error, Interval, Result, median};

/// What is compared and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Study {
    /// Names of the optimizers.
    pub optimizers: Vec<String>,
    /// The learning rates that every optimizer may choose from.
    pub learning_rates: Vec<f64>,
    /// Seeds that the choice is made with; they are not used again.
    pub tuning_seeds: Vec<u64>,
    /// Seeds that the chosen rate and the default rate are measured with.
    pub seeds: Vec<u64>,
    /// The optimizer that sets the target: the median over its seeds of the validation accuracy at the end of its tuned run.
    pub reference: String,
    /// Trials that run at the same time.
    pub workers: usize,
}

/// How one optimizer did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    /// Name of the optimizer.
    pub optimizer: String,
    /// The learning rate that did best on the validation data.
    pub learning_rate: f64,
    /// Whether that rate is the smallest or the largest of the grid, so that a wider grid may find a better one.
    pub at_the_edge: bool,
    /// Test accuracy with the chosen rate, over the seeds.
    pub accuracy: Interval,
    /// The optimizer's default learning rate.
    pub default_learning_rate: f64,
    /// Test accuracy with the default rate, over the seeds.
    pub default_accuracy: Interval,
    /// Median over the seeds of the epochs to the target, with the chosen rate; `None` where most seeds never got there.
    pub epochs_to_target: Option<f64>,
    /// Seeds that got to the target.
    pub reached: usize,
    /// Trials of this optimizer whose loss stopped being a number, tuning included.
    pub diverged: usize,
    /// Mean validation accuracy of each learning rate over the tuning seeds, in the order of the grid.
    pub sensitivity: Vec<(f64, f64)>,
    /// The runs with the chosen rate.
    pub tuned: Vec<Outcome>,
    /// The runs with the default rate.
    pub untuned: Vec<Outcome>,
}

/// The result of a study.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The validation accuracy that counts as arrived.
    pub target: f64,
    /// One standing an optimizer, in the order of the study.
    pub standings: Vec<Standing>,
    /// Number of trainings.
    pub runs: usize,
}

/// `count` learning rates from `low` to `high`, evenly spaced on a logarithmic axis.
///
/// ```
/// let rates = optimizers_bench::log_grid(1e-4, 1e-1, 4);
/// assert!(rates.iter().zip([1e-4, 1e-3, 1e-2, 1e-1]).all(|(a, b)| (a / b - 1.0).abs() < 1e-12));
/// ```
pub fn log_grid(low: f64, high: f64, count: usize) -> Vec<f64> {
    let steps = count.saturating_sub(1).max(1) as f64;
    (0..count).map(|i| low * (high / low).powf(i as f64 / steps)).collect()
}

impl Study {
    /// Runs the study: first the grid with the tuning seeds, then the chosen and the default rate with the other seeds.
    ///
    /// # Errors
    /// [`Error::Empty`], [`Error::LearningRate`], [`Error::Reference`] or [`Error::SeedReused`] for a study that cannot be
    /// run, [`Error::TooFew`] for a single seed, [`Error::Interrupted`] where the flag was set.
    pub fn compare(&self, task: &Task, interrupt: &AtomicBool, on_trial: &OnTrial<'_>) -> Result<Comparison> {
        self.check()?;
        if task.epochs == 0 {
            return Err(Error::Empty { what: "epoch" });
        }
        let defaults = self.default_rates()?;
        let tuning = self.trials(&self.tuning_seeds, |_| self.learning_rates.clone());
        let measured = self.seeds.len() * self.optimizers.len() * 2;
        let runs = tuning.len() + measured;
        let tuned = run(task, &tuning, self.workers, interrupt, &|done, _| on_trial(done, runs));
        let tuned = tuned.map_err(|error| of_study(error, 0, runs))?;
        let chosen: Vec<f64> = self.optimizers.iter().map(|name| self.choose(name, &tuned)).collect();
        let finals = self.trials(&self.seeds, |i| vec![chosen[i], defaults[i]]);
        let before = tuning.len();
        let outcomes = run(task, &finals, self.workers, interrupt, &|done, _| {
            on_trial(before + done, runs)
        });
        let outcomes = outcomes.map_err(|error| of_study(error, before, runs))?;
        self.stand(&chosen, &defaults, &tuned, &outcomes, runs)
    }

    fn check(&self) -> Result<()> {
        let lists = [
            ("optimizer", self.optimizers.is_empty()),
            ("learning rate", self.learning_rates.is_empty()),
            ("tuning seed", self.tuning_seeds.is_empty()),
        ];
        if let Some((what, _)) = lists.into_iter().find(|(_, empty)| *empty) {
            return Err(Error::Empty { what });
        }
        if self.seeds.len() < 2 {
            return Err(Error::TooFew {
                found: self.seeds.len(),
            });
        }
        if !self.optimizers.contains(&self.reference) {
            return Err(Error::Reference {
                found: self.reference.clone(),
                known: self.optimizers.join(", "),
            });
        }
        if let Some(&seed) = self.tuning_seeds.iter().find(|seed| self.seeds.contains(seed)) {
            return Err(Error::SeedReused { seed });
        }
        match self
            .learning_rates
            .iter()
            .find(|rate| !(rate.is_finite() && **rate > 0.0))
        {
            Some(&found) => Err(Error::LearningRate { found }),
            None => Ok(()),
        }
    }

    fn default_rates(&self) -> Result<Vec<f64>> {
        self.optimizers
            .iter()
            .map(|name| Ok(optimizers::Optimizer::by_name(name)?.learning_rate()))
            .collect()
    }

    /// Every optimizer with every seed at the rates that `rates` gives for its index.
    fn trials(&self, seeds: &[u64], rates: impl Fn(usize) -> Vec<f64>) -> Vec<Trial> {
        let mut trials = Vec::new();
        for (index, name) in self.optimizers.iter().enumerate() {
            for learning_rate in rates(index) {
                trials.extend(seeds.iter().map(|&seed| Trial {
                    optimizer: name.clone(),
                    learning_rate,
                    seed,
                }));
            }
        }
        trials
    }

    /// The rate of the grid with the best mean validation accuracy; among equal ones that of the smaller loss.
    fn choose(&self, optimizer: &str, tuned: &[Outcome]) -> f64 {
        let score = |rate: f64| {
            let runs: Vec<&Outcome> = runs_of(tuned, optimizer, rate).collect();
            let loss: f64 = runs
                .iter()
                .map(|run| run.validation_loss.unwrap_or(f64::INFINITY))
                .sum();
            (mean(runs.iter().map(|run| run.validation_accuracy)), loss)
        };
        let mut best = (self.learning_rates[0], score(self.learning_rates[0]));
        for &rate in &self.learning_rates[1..] {
            let (accuracy, loss) = score(rate);
            let better = accuracy > best.1.0 || (accuracy == best.1.0 && loss < best.1.1);
            if better {
                best = (rate, (accuracy, loss));
            }
        }
        best.0
    }

    fn stand(
        &self,
        chosen: &[f64],
        defaults: &[f64],
        tuning: &[Outcome],
        outcomes: &[Outcome],
        runs: usize,
    ) -> Result<Comparison> {
        let per_rate = self.seeds.len();
        let part = |index: usize, which: usize| {
            let start = (index * 2 + which) * per_rate;
            outcomes[start..start + per_rate].to_vec()
        };
        let target = self.target(|index| part(index, 0));
        let (low, high) = (
            fold(&self.learning_rates, f64::min),
            fold(&self.learning_rates, f64::max),
        );
        let mut standings = Vec::with_capacity(self.optimizers.len());
        for (index, name) in self.optimizers.iter().enumerate() {
            let (tuned, untuned) = (part(index, 0), part(index, 1));
            let times: Vec<Option<f64>> = tuned
                .iter()
                .map(|run| run.epochs_to(target).map(|epoch| epoch as f64))
                .collect();
            let accuracy = |runs: &[Outcome]| {
                Interval::student(&runs.iter().map(|run| run.test_accuracy).collect::<Vec<_>>(), 0.95)
            };
            let of_rate = |rate: f64| mean(runs_of(tuning, name, rate).map(|run| run.validation_accuracy));
            let all = tuning
                .iter()
                .filter(|run| &run.trial.optimizer == name)
                .chain(&tuned)
                .chain(&untuned);
            standings.push(Standing {
                optimizer: name.clone(),
                learning_rate: chosen[index],
                at_the_edge: self.learning_rates.len() > 1 && (chosen[index] == low || chosen[index] == high),
                accuracy: accuracy(&tuned)?,
                default_learning_rate: defaults[index],
                default_accuracy: accuracy(&untuned)?,
                epochs_to_target: median(&times),
                reached: times.iter().flatten().count(),
                diverged: all.filter(|run| run.diverged).count(),
                sensitivity: self.learning_rates.iter().map(|&rate| (rate, of_rate(rate))).collect(),
                tuned,
                untuned,
            });
        }
        Ok(Comparison {
            target,
            standings,
            runs,
        })
    }

    fn target(&self, tuned: impl Fn(usize) -> Vec<Outcome>) -> f64 {
        let index = self
            .optimizers
            .iter()
            .position(|name| *name == self.reference)
            .unwrap_or(0);
        let ends: Vec<Option<f64>> = tuned(index).iter().map(|run| Some(run.validation_accuracy)).collect();
        median(&ends).unwrap_or(1.0)
    }
}

/// An interruption of one part of the study, counted in all of its runs.
fn of_study(error: Error, before: usize, runs: usize) -> Error {
    match error {
        Error::Interrupted { done, .. } => Error::Interrupted {
            done: before + done,
            runs,
        },
        error => error,
    }
}

fn runs_of<'a>(outcomes: &'a [Outcome], optimizer: &'a str, rate: f64) -> impl Iterator<Item = &'a Outcome> {
    outcomes
        .iter()
        .filter(move |run| run.trial.optimizer == optimizer && run.trial.learning_rate == rate)
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0usize), |(sum, count), value| (sum + value, count + 1));
    sum / count.max(1) as f64
}

fn fold(values: &[f64], f: fn(f64, f64) -> f64) -> f64 {
    values.iter().copied().reduce(f).unwrap_or(f64::NAN)
}
