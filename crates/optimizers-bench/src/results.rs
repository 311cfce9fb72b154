//! What the runs of a plan say.

use serde::{Deserialize, Serialize};

use crate::profile::{Profile, profiles};
use crate::ranking::{Rank, ranks};
use crate::sweep::Cell;
use crate::trial::Run;
use crate::{Error, Interval, Measure, Plan, Result, median};

/// The result of a study; a function of the outcomes alone, so it is as reproducible as they are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// Each task, in the order of the plan.
    pub tasks: Vec<TaskResult>,
    /// Ranks by the reported score over all tasks, in the order of the optimizers.
    pub ranks: Vec<Rank>,
    /// Performance profiles of the steps to the target; a problem is a task with a seed.
    pub profiles: Vec<Profile>,
    /// Runs that the study is made of.
    pub runs: usize,
}

/// How the optimizers did on one task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskResult {
    /// Name of the task.
    pub task: String,
    /// What its scores count.
    pub measure: Measure,
    /// The validation score that counts as arrived: the median of where the reference's tuned runs end.
    pub target: f64,
    /// One standing an optimizer, in the order of the plan.
    pub standings: Vec<Standing>,
    /// Whether tuned Adam is at least as good as tuned SGD with momentum, where both take part.
    pub inclusion: Option<Inclusion>,
}

/// How one optimizer did on one task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    /// Name of the optimizer.
    pub optimizer: String,
    /// The rate that did best on the validation data.
    pub learning_rate: f64,
    /// Whether that rate is the smallest or the largest of the grid, so that a wider grid may find a better one.
    pub at_the_edge: bool,
    /// The score on the test data with the chosen rate: mean over the seeds, 95 % bootstrap interval.
    pub test: Interval,
    /// The optimizer's default rate.
    pub default_learning_rate: f64,
    /// The score on the test data with the default rate.
    pub default_test: Interval,
    /// Median over the seeds of the epochs to the target with the chosen rate; `None` where most never got there.
    pub epochs_to_target: Option<f64>,
    /// The same in steps.
    pub steps_to_target: Option<f64>,
    /// Seeds that got to the target.
    pub reached: usize,
    /// Runs of this optimizer whose numbers grew beyond all bounds, tuning included.
    pub diverged: usize,
    /// Runs of this optimizer.
    pub runs: usize,
    /// The validation score of each rate of the grid over the tuning seeds.
    pub sensitivity: Vec<Sensitivity>,
    /// Rates of the grid that reach at least [`GOOD_SHARE`] of the way from guessing to the best rate's score.
    pub good_rates: usize,
    /// The learning curve with the chosen rate, over the seeds.
    pub curve: Vec<Band>,
}

/// How much of the way from guessing to the score of the best rate a good rate goes.
pub const GOOD_SHARE: f64 = 0.95;

/// What a rate of the grid came to on the validation data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sensitivity {
    /// The rate.
    pub learning_rate: f64,
    /// Mean score over the tuning seeds.
    pub mean: f64,
    /// That of the worst seed.
    pub lowest: f64,
    /// That of the best seed.
    pub highest: f64,
    /// Runs that diverged.
    pub diverged: usize,
}

/// A place of a learning curve over several seeds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Band {
    /// Epochs that were made.
    pub epoch: u64,
    /// Steps that were made.
    pub step: u64,
    /// Mean score on the validation data.
    pub mean: f64,
    /// That of the worst seed.
    pub lowest: f64,
    /// That of the best seed.
    pub highest: f64,
}

/// Adam contains SGD with momentum as a limit (of a large ε), so with enough tuning it is never worse (Choi et al. 2019).
/// Where a study finds it worse, its search was too small to say which optimizer is better.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Inclusion {
    /// Mean over the seeds of Adam's score minus that of momentum, with a 95 % bootstrap interval of the pairs.
    pub difference: Interval,
}

impl Inclusion {
    /// Whether the mean is at least 0.
    pub fn holds(&self) -> bool {
        self.difference.mean >= 0.0
    }

    /// Whether all of the interval is below 0.
    pub fn is_violated(&self) -> bool {
        self.difference.upper < 0.0
    }
}

const GENERAL: &str = "adam";
const SPECIAL: &str = "sgd_momentum";

impl Results {
    /// The results of all cells of a plan, in its order.
    ///
    /// # Errors
    /// [`Error::Incomplete`] where a cell is missing.
    pub fn of(plan: &Plan, cells: &[Option<Cell>]) -> Result<Self> {
        let complete: Vec<&Cell> = cells.iter().flatten().collect();
        if complete.len() != plan.cells() {
            return Err(Error::Incomplete {
                cells: complete.len(),
                of: plan.cells(),
            });
        }
        let per_task: Vec<&[&Cell]> = complete.chunks(plan.optimizers.len()).collect();
        let tasks = (0..plan.tasks.len())
            .map(|task| task_result(plan, task, per_task[task]))
            .collect::<Result<Vec<_>>>()?;
        let names = plan.names();
        let scores: Vec<Vec<Vec<f64>>> = per_task
            .iter()
            .map(|cells| cells.iter().map(|cell| tests(&cell.tuned)).collect())
            .collect();
        // The same seed of the same task is one problem: same initial weights, same batches.
        let steps = |task: usize, seed: usize| -> Vec<Option<f64>> {
            let target = tasks[task].target;
            let of = |cell: &&Cell| cell.tuned[seed].outcome.steps_to(target).map(|step| step as f64);
            per_task[task].iter().map(of).collect()
        };
        let problems: Vec<Vec<Option<f64>>> = (0..plan.tasks.len())
            .flat_map(|task| (0..plan.seeds.len()).map(move |seed| (task, seed)))
            .map(|(task, seed)| steps(task, seed))
            .collect();
        Ok(Results {
            ranks: ranks(&names, &scores),
            profiles: profiles(&names, &problems),
            runs: plan.cells() * plan.runs_of_a_cell(),
            tasks,
        })
    }
}

fn task_result(plan: &Plan, task: usize, cells: &[&Cell]) -> Result<TaskResult> {
    let description = &plan.tasks[task];
    let index = |name: &str| plan.optimizers.iter().position(|one| one.name == name);
    let reference = cells[index(&plan.reference).unwrap_or(0)];
    let ends: Vec<Option<f64>> = reference.tuned.iter().map(|run| Some(run.outcome.validation)).collect();
    let target = median(&ends).unwrap_or(f64::INFINITY);
    let standings = cells
        .iter()
        .enumerate()
        .map(|(optimizer, cell)| standing(plan, task, optimizer, cell, target))
        .collect::<Result<Vec<_>>>()?;
    let inclusion = match (index(GENERAL), index(SPECIAL)) {
        (Some(general), Some(special)) => {
            let pairs = tests(&cells[general].tuned)
                .into_iter()
                .zip(tests(&cells[special].tuned));
            let differences: Vec<f64> = pairs.map(|(general, special)| general - special).collect();
            Some(Inclusion {
                difference: Interval::bootstrap(&differences, 0.95)?,
            })
        }
        _ => None,
    };
    Ok(TaskResult {
        task: description.name.clone(),
        measure: description.measure,
        target,
        standings,
        inclusion,
    })
}

fn tests(runs: &[Run]) -> Vec<f64> {
    runs.iter().map(|run| run.outcome.test).collect()
}

fn standing(plan: &Plan, task: usize, optimizer: usize, cell: &Cell, target: f64) -> Result<Standing> {
    let contestant = &plan.optimizers[optimizer];
    let description = &plan.tasks[task];
    let steps: Vec<Option<f64>> = cell
        .tuned
        .iter()
        .map(|run| run.outcome.steps_to(target).map(|step| step as f64))
        .collect();
    let steps_to_target = median(&steps);
    let sensitivity: Vec<Sensitivity> = plan
        .learning_rates
        .iter()
        .map(|&rate| sensitivity(cell, rate))
        .collect();
    let best = sensitivity
        .iter()
        .map(|rate| rate.mean)
        .fold(description.guess, f64::max);
    let good = description.guess + GOOD_SHARE * (best - description.guess);
    let rates = &plan.learning_rates;
    Ok(Standing {
        optimizer: contestant.name.clone(),
        learning_rate: cell.chosen,
        at_the_edge: rates.len() > 1 && (Some(&cell.chosen) == rates.first() || Some(&cell.chosen) == rates.last()),
        test: Interval::bootstrap(&tests(&cell.tuned), 0.95)?,
        default_learning_rate: contestant.default_learning_rate,
        default_test: Interval::bootstrap(&tests(&cell.untuned), 0.95)?,
        epochs_to_target: steps_to_target.map(|steps| steps / description.steps_per_epoch as f64),
        steps_to_target,
        reached: steps.iter().flatten().count(),
        diverged: cell.all().filter(|run| run.outcome.diverged).count(),
        runs: cell.all().count(),
        good_rates: if best > description.guess {
            sensitivity.iter().filter(|rate| rate.mean >= good).count()
        } else {
            0
        },
        sensitivity,
        curve: curve(&cell.tuned, description.steps_per_epoch, description.guess),
    })
}

fn sensitivity(cell: &Cell, learning_rate: f64) -> Sensitivity {
    let runs: Vec<&Run> = cell
        .tuning
        .iter()
        .filter(|run| run.trial.learning_rate == learning_rate)
        .collect();
    let (mean, lowest, highest) = spread(runs.iter().map(|run| run.outcome.validation));
    Sensitivity {
        learning_rate,
        mean,
        lowest,
        highest,
        diverged: runs.iter().filter(|run| run.outcome.diverged).count(),
    }
}

/// The learning curves of runs as one band; after its end a run that diverged counts as guessing.
fn curve(runs: &[Run], steps_per_epoch: u64, guess: f64) -> Vec<Band> {
    let longest = runs.iter().max_by_key(|run| run.outcome.curve.len());
    let points = longest.map(|run| run.outcome.curve.as_slice()).unwrap_or_default();
    let band = |(index, step): (usize, u64)| {
        let at = |run: &Run| run.outcome.curve.get(index).map_or(guess, |point| point.score);
        let (mean, lowest, highest) = spread(runs.iter().map(at));
        Band {
            epoch: step.div_ceil(steps_per_epoch.max(1)),
            step,
            mean,
            lowest,
            highest,
        }
    };
    points.iter().map(|point| point.step).enumerate().map(band).collect()
}

/// Mean, smallest and largest.
fn spread(values: impl Iterator<Item = f64>) -> (f64, f64, f64) {
    let (mut sum, mut count) = (0.0, 0usize);
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for value in values {
        (sum, count) = (sum + value, count + 1);
        (low, high) = (low.min(value), high.max(value));
    }
    (sum / count.max(1) as f64, low, high)
}

/// How long things took on the machines that they ran on; never compared between sweeps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Seconds {
    /// Median over the seeds of the seconds to the target, by task and optimizer; `None` where most never got there.
    pub to_target: Vec<Vec<Option<f64>>>,
    /// Mean seconds of a run, by task and optimizer.
    pub of_a_run: Vec<Vec<f64>>,
    /// The sum over all runs: what one core would have needed.
    pub total: f64,
}

impl Seconds {
    /// The times of complete cells, with the targets of their results.
    pub fn of(plan: &Plan, cells: &[Option<Cell>], results: &Results) -> Self {
        let complete: Vec<&Cell> = cells.iter().flatten().collect();
        let per_task = || complete.chunks(plan.optimizers.len().max(1)).zip(&results.tasks);
        let to_target = |cell: &&Cell, target: f64| {
            let at = |run: &Run| {
                let index = run.outcome.reached(target)?;
                run.timing.points.get(index).copied()
            };
            median(&cell.tuned.iter().map(at).collect::<Vec<_>>())
        };
        let of_a_run = |cell: &&Cell| {
            let seconds = cell.all().map(|run| run.timing.seconds);
            seconds.sum::<f64>() / cell.all().count().max(1) as f64
        };
        let once = |cell: &&Cell| {
            // Where the default rate was chosen, its runs are both tuned and default, and were done once.
            let again = cell.untuned.first().map(|run| &run.trial) == cell.tuned.first().map(|run| &run.trial);
            let headline = if again { &[][..] } else { &cell.untuned };
            let runs = cell.tuning.iter().chain(&cell.tuned).chain(headline);
            runs.map(|run| run.timing.seconds).sum::<f64>()
        };
        Seconds {
            to_target: per_task()
                .map(|(cells, task)| cells.iter().map(|cell| to_target(cell, task.target)).collect())
                .collect(),
            of_a_run: per_task()
                .map(|(cells, _)| cells.iter().map(of_a_run).collect())
                .collect(),
            total: complete.iter().map(once).sum(),
        }
    }
}
