//! What a sweep consists of, written down before the first run.

use optimizers::Optimizer;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::trial::{Configuration, Run, Trial};
use crate::{Error, Result, Task, TaskDescription};

/// What is compared and how: the choices of a person.
#[derive(Clone, Debug, PartialEq)]
pub struct Study {
    /// Names of the optimizers.
    pub optimizers: Vec<String>,
    /// The learning rates that every optimizer may choose from, on every task.
    pub learning_rates: Vec<f64>,
    /// Seeds that the choice is made with; they are not used again.
    pub tuning_seeds: Vec<u64>,
    /// Seeds that the chosen rate and the default rate are measured with.
    pub seeds: Vec<u64>,
    /// The optimizer that sets the targets: on each task, the median over its seeds of the validation score at the end of
    /// its tuned runs.
    pub reference: String,
}

/// An optimizer that takes part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contestant {
    /// Its name.
    pub name: String,
    /// Keras' class.
    pub class: String,
    /// The rate that a reader who tunes nothing gets.
    pub default_learning_rate: f64,
    /// All of its options.
    pub options: Value,
}

/// A study on tasks, with everything that names its records: enough to read them where neither data nor program are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The version of the program.
    pub program: String,
    /// The tasks.
    pub tasks: Vec<TaskDescription>,
    /// The optimizers.
    pub optimizers: Vec<Contestant>,
    /// The grid, ascending.
    pub learning_rates: Vec<f64>,
    /// Seeds that rates are chosen with.
    pub tuning_seeds: Vec<u64>,
    /// Seeds that are reported.
    pub seeds: Vec<u64>,
    /// Name of the optimizer that sets the targets.
    pub reference: String,
}

impl Study {
    /// Whether this study can be run on any task; to be asked before data are fetched.
    ///
    /// # Errors
    /// Those of [`Study::plan`] that do not come from the tasks.
    pub fn check(&self) -> Result<()> {
        self.planned(&[])?.check_choices()
    }

    /// The plan of this study on `tasks`.
    ///
    /// # Errors
    /// [`Error::Empty`], [`Error::TooFew`], [`Error::Twice`], [`Error::LearningRate`], [`Error::Reference`] or
    /// [`Error::SeedReused`] for a study that cannot be run, [`Error::Optimizer`] for an unknown name.
    pub fn plan(&self, tasks: &[Task]) -> Result<Plan> {
        let plan = self.planned(tasks)?;
        plan.check()?;
        Ok(plan)
    }

    fn planned(&self, tasks: &[Task]) -> Result<Plan> {
        let contestant = |name: &String| -> Result<Contestant> {
            let optimizer = Optimizer::by_name(name.trim())?;
            Ok(Contestant {
                name: optimizer.name().to_string(),
                class: optimizer.class().to_string(),
                default_learning_rate: optimizer.learning_rate(),
                options: optimizer.config(),
            })
        };
        let mut learning_rates = self.learning_rates.clone();
        learning_rates.sort_by(f64::total_cmp);
        Ok(Plan {
            program: env!("CARGO_PKG_VERSION").to_string(),
            tasks: tasks.iter().map(|task| task.description().clone()).collect(),
            optimizers: self.optimizers.iter().map(contestant).collect::<Result<_>>()?,
            learning_rates,
            tuning_seeds: self.tuning_seeds.clone(),
            seeds: self.seeds.clone(),
            reference: Optimizer::by_name(self.reference.trim())?.name().to_string(),
        })
    }
}

impl Plan {
    /// Whether this can be run and evaluated; a plan from a file may be anything.
    pub(crate) fn check(&self) -> Result<()> {
        if self.tasks.is_empty() {
            return Err(Error::Empty { what: "task" });
        }
        unique("task", self.tasks.iter().map(|task| task.name.clone()))?;
        self.check_choices()
    }

    /// The part of [`Plan::check`] that is not about tasks.
    fn check_choices(&self) -> Result<()> {
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
        unique("optimizer", self.optimizers.iter().map(|one| one.name.clone()))?;
        unique("learning rate", self.learning_rates.iter().map(f64::to_string))?;
        unique("tuning seed", self.tuning_seeds.iter().map(u64::to_string))?;
        unique("seed", self.seeds.iter().map(u64::to_string))?;
        if !self.optimizers.iter().any(|one| one.name == self.reference) {
            return Err(Error::Reference {
                found: self.reference.clone(),
                known: self.names().join(", "),
            });
        }
        if let Some(&seed) = self.tuning_seeds.iter().find(|seed| self.seeds.contains(seed)) {
            return Err(Error::SeedReused { seed });
        }
        let mut rates = self.learning_rates.iter();
        match rates.find(|rate| !(rate.is_finite() && **rate > 0.0)) {
            Some(&found) => Err(Error::LearningRate { found }),
            None => Ok(()),
        }
    }

    /// The names of the optimizers.
    pub fn names(&self) -> Vec<&str> {
        self.optimizers.iter().map(|one| one.name.as_str()).collect()
    }

    /// Pairs of a task and an optimizer: what a rate is chosen for, and what a shard takes as a whole.
    pub fn cells(&self) -> usize {
        self.tasks.len() * self.optimizers.len()
    }

    /// Runs of a cell: the grid with the tuning seeds, the chosen and the default rate with the others.
    pub fn runs_of_a_cell(&self) -> usize {
        self.learning_rates.len() * self.tuning_seeds.len() + 2 * self.seeds.len()
    }

    /// Task and optimizer of a cell, as indices.
    pub(crate) fn of_cell(&self, cell: usize) -> (usize, usize) {
        (cell / self.optimizers.len(), cell % self.optimizers.len())
    }

    pub(crate) fn cell_costs(&self) -> Vec<f64> {
        let of = |cell: usize| self.tasks[self.of_cell(cell).0].cost * self.runs_of_a_cell() as f64;
        (0..self.cells()).map(of).collect()
    }

    fn trials<'a>(&self, cell: usize, rates: impl IntoIterator<Item = &'a f64>, seeds: &[u64]) -> Vec<Trial> {
        let (task, optimizer) = self.of_cell(cell);
        let mut trials = Vec::new();
        for &learning_rate in rates {
            trials.extend(seeds.iter().map(|&seed| Trial {
                task: self.tasks[task].name.clone(),
                optimizer: self.optimizers[optimizer].name.clone(),
                learning_rate,
                seed,
            }));
        }
        trials
    }

    /// The runs that the rate of a cell is chosen by.
    pub(crate) fn tuning(&self, cell: usize) -> Vec<Trial> {
        self.trials(cell, &self.learning_rates, &self.tuning_seeds)
    }

    /// The runs that are reported of a cell: with the chosen rate, then with the default rate, unless it is the same.
    pub(crate) fn headline(&self, cell: usize, chosen: f64) -> Vec<Trial> {
        let default = self.optimizers[self.of_cell(cell).1].default_learning_rate;
        let rates = [chosen, default];
        let count = if chosen == default { 1 } else { 2 };
        self.trials(cell, &rates[..count], &self.seeds)
    }

    /// The rate of the grid with the best mean validation score over the tuning seeds; among equal ones that of the
    /// smaller loss, then the smaller one. Looks at nothing else.
    pub(crate) fn choose(&self, tuning: &[Run]) -> f64 {
        let score = |rate: f64| {
            let runs = || tuning.iter().filter(|run| run.trial.learning_rate == rate);
            let mean = runs().map(|run| run.outcome.validation).sum::<f64>() / runs().count().max(1) as f64;
            let losses = runs().map(|run| run.outcome.validation_loss.unwrap_or(f64::INFINITY));
            (mean, losses.sum::<f64>())
        };
        let mut best = (self.learning_rates[0], score(self.learning_rates[0]));
        for &rate in &self.learning_rates[1..] {
            let (mean, loss) = score(rate);
            if mean > best.1.0 || (mean == best.1.0 && loss < best.1.1) {
                best = (rate, (mean, loss));
            }
        }
        best.0
    }

    /// What the record of a run is named by.
    ///
    /// # Errors
    /// [`Error::NotPlanned`] for a task or an optimizer that does not take part.
    pub fn configuration(&self, trial: &Trial) -> Result<Configuration> {
        let missing = |what: &'static str, name: &str| Error::NotPlanned {
            what,
            name: name.to_string(),
        };
        let task = self.tasks.iter().find(|task| task.name == trial.task);
        let task = task.ok_or_else(|| missing("task", &trial.task))?;
        let one = self.optimizers.iter().find(|one| one.name == trial.optimizer);
        let one = one.ok_or_else(|| missing("optimizer", &trial.optimizer))?;
        let mut options = one.options.clone();
        if let Some(options) = options.as_object_mut() {
            options.insert("learning_rate".to_string(), json!(trial.learning_rate));
        }
        Ok(Configuration {
            program: self.program.clone(),
            task: task.name.clone(),
            fingerprint: task.fingerprint.clone(),
            optimizer: one.name.clone(),
            class: one.class.clone(),
            options,
            seed: trial.seed,
        })
    }

    /// This plan and `other` as one, where they differ in tasks and optimizers only.
    ///
    /// # Errors
    /// [`Error::PlansDiffer`] with what else is different, such as the grid.
    pub fn union(&self, other: &Plan) -> Result<Plan> {
        let rates = |plan: &Plan| format!("{:?}", plan.learning_rates);
        let seeds = |seeds: &[u64]| format!("{seeds:?}");
        let parts = [
            (
                "the version of the program",
                self.program.clone(),
                other.program.clone(),
            ),
            ("the grid of learning rates", rates(self), rates(other)),
            (
                "the tuning seeds",
                seeds(&self.tuning_seeds),
                seeds(&other.tuning_seeds),
            ),
            ("the seeds", seeds(&self.seeds), seeds(&other.seeds)),
            ("the reference", self.reference.clone(), other.reference.clone()),
        ];
        if let Some((what, one, two)) = parts.into_iter().find(|(_, one, two)| one != two) {
            return Err(Error::PlansDiffer {
                what: what.to_string(),
                one,
                two,
            });
        }
        let mut plan = self.clone();
        for task in &other.tasks {
            match plan.tasks.iter().find(|known| known.name == task.name) {
                None => plan.tasks.push(task.clone()),
                Some(known) if known == task => {}
                Some(known) => {
                    return Err(Error::PlansDiffer {
                        what: format!("the data or the budget of the task '{}'", task.name),
                        one: known.fingerprint.clone(),
                        two: task.fingerprint.clone(),
                    });
                }
            }
        }
        for one in &other.optimizers {
            match plan.optimizers.iter().find(|known| known.name == one.name) {
                None => plan.optimizers.push(one.clone()),
                Some(known) if known == one => {}
                Some(known) => {
                    return Err(Error::PlansDiffer {
                        what: format!("the options of {}", one.name),
                        one: known.options.to_string(),
                        two: one.options.to_string(),
                    });
                }
            }
        }
        Ok(plan)
    }
}

fn unique(what: &'static str, names: impl Iterator<Item = String>) -> Result<()> {
    let mut names: Vec<String> = names.collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(Error::Twice {
            what,
            name: pair[0].clone(),
        }),
        None => Ok(()),
    }
}
