//! Carrying a plan out: runs side by side, from the records that are there to those that are missing.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};

use crate::trial::{Run, Trial};
use crate::{Error, Plan, Records, Result, Shard, Task};

/// How a plan is carried out; nothing of it changes a result.
pub struct Sweep<'a> {
    /// Runs at the same time, on one thread each; 0 counts as 1.
    pub workers: usize,
    /// Which part of the cells is run.
    pub shard: Shard,
    /// Where finished runs are kept and looked up.
    pub records: Option<&'a Records>,
    /// A flag that ends the sweep after the steps in progress.
    pub interrupt: &'a AtomicBool,
    /// Is told about every run.
    pub on_run: &'a (dyn Fn(&Progress<'_>) + Sync),
}

/// A run that is done.
#[derive(Debug)]
pub struct Progress<'a> {
    /// Runs that are done, this one included.
    pub done: usize,
    /// Runs in all.
    pub runs: usize,
    /// The run.
    pub trial: &'a Trial,
    /// Whether it was found among the records.
    pub recorded: bool,
}

/// The runs of an optimizer on a task.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// The rate that was chosen.
    pub chosen: f64,
    /// The grid with the tuning seeds, rate by rate.
    pub tuning: Vec<Run>,
    /// The chosen rate with the other seeds.
    pub tuned: Vec<Run>,
    /// The default rate with the other seeds.
    pub untuned: Vec<Run>,
}

impl Cell {
    pub(crate) fn of(plan: &Plan, chosen: f64, tuning: Vec<Run>, mut headline: Vec<Run>) -> Self {
        let seeds = plan.seeds.len();
        let untuned = if headline.len() > seeds {
            headline.split_off(seeds)
        } else {
            headline.clone()
        };
        Cell {
            chosen,
            tuning,
            tuned: headline,
            untuned,
        }
    }

    /// All runs of the cell; one that is both tuned and default is there twice.
    pub fn all(&self) -> impl Iterator<Item = &Run> {
        self.tuning.iter().chain(&self.tuned).chain(&self.untuned)
    }
}

/// A run in the order of the queue, longest first; of equal ones those that others wait for: (work, stage, cell, index).
type Job = (Reverse<u64>, usize, usize, usize);

/// A cell in progress: the trials of its two stages, and what they came to.
struct Open {
    trials: [Vec<Trial>; 2],
    runs: [Vec<Option<Run>>; 2],
    chosen: f64,
    left: usize,
}

struct State {
    waiting: BTreeSet<Job>,
    open: Vec<Option<Open>>,
    cells: Vec<Option<Cell>>,
    running: usize,
    done: usize,
    /// The failure of the run that stands first in the order.
    failed: Option<(Job, Error)>,
}

impl Plan {
    /// Carries the plan out on `tasks` (those that it was made with): each cell's grid, the choice, and the runs that are
    /// reported. Cells that belong to other shards are `None`.
    ///
    /// A run is a function of its trial: it has a thread pool of one thread for itself and draws from streams of its seed.
    /// So outcomes are the same bits for any number of workers and shards, and after any interruption. Workers never wait
    /// for the end of a stage: while the last runs of one cell's grid are under way, the runs of other cells go on.
    ///
    /// # Errors
    /// [`Error::Interrupted`] where the flag was set, [`Error::Run`] for the first run that failed, after which no other is
    /// begun, [`Error::Damaged`] for records that cannot be read, [`Error::Write`] where a record cannot be written,
    /// [`Error::NotPlanned`] for other tasks than those of the plan.
    pub fn run(&self, tasks: &[Task], how: &Sweep<'_>) -> Result<Vec<Option<Cell>>> {
        self.check()?;
        let tasks = self.matching(tasks)?;
        let mine = how.shard.share(&self.cell_costs());
        let mut state = State {
            waiting: BTreeSet::new(),
            open: (0..self.cells()).map(|_| None).collect(),
            cells: (0..self.cells()).map(|_| None).collect(),
            running: 0,
            done: 0,
            failed: None,
        };
        for cell in (0..self.cells()).filter(|&cell| mine[cell]) {
            let trials = self.tuning(cell);
            let count = trials.len();
            state.open[cell] = Some(Open {
                runs: [vec![None; count], Vec::new()],
                trials: [trials, Vec::new()],
                chosen: f64::NAN,
                left: count,
            });
            state.wait_for(self, cell, 0, count);
        }
        let runs = mine.iter().filter(|mine| **mine).count() * self.runs_of_a_cell();
        let shared = (Mutex::new(state), Condvar::new());
        std::thread::scope(|scope| -> Result<()> {
            let workers: Vec<_> = (0..how.workers.clamp(1, runs.max(1)))
                .map(|_| scope.spawn(|| self.work(&tasks, how, &shared, runs)))
                .collect();
            for worker in workers {
                // What a run does is caught in `work`; nothing else there panics.
                worker.join().unwrap_or(Ok(()))?;
            }
            Ok(())
        })?;
        let state = shared.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        match state.failed {
            Some((_, error)) => Err(error),
            None if how.interrupt.load(Ordering::Relaxed) && state.done < runs => {
                Err(Error::Interrupted { done: state.done, runs })
            }
            None => Ok(state.cells),
        }
    }

    /// The tasks in the order of the plan.
    fn matching<'t>(&self, tasks: &'t [Task]) -> Result<Vec<&'t Task>> {
        let find = |name: &str| tasks.iter().find(|task| task.name() == name);
        self.tasks
            .iter()
            .map(|description| {
                let task = find(&description.name).filter(|task| task.description() == description);
                task.ok_or_else(|| Error::NotPlanned {
                    what: "task",
                    name: description.name.clone(),
                })
            })
            .collect()
    }

    fn work(&self, tasks: &[&Task], how: &Sweep<'_>, shared: &(Mutex<State>, Condvar), runs: usize) -> Result<()> {
        let (state, changed) = shared;
        let locked = || state.lock().unwrap_or_else(PoisonError::into_inner);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build()?;
        loop {
            let (job, trial) = {
                let mut state = locked();
                loop {
                    if state.failed.is_some() || how.interrupt.load(Ordering::Relaxed) {
                        return Ok(());
                    }
                    if let Some(next) = state.next() {
                        break next;
                    }
                    if state.running == 0 {
                        return Ok(());
                    }
                    state = changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
            };
            let (_, stage, cell, index) = job;
            let task = tasks[self.of_cell(cell).0];
            let attempt = || pool.install(|| self.one(task, &trial, how));
            let result = catch_unwind(AssertUnwindSafe(attempt)).unwrap_or_else(|_| {
                Err(Error::Panicked {
                    task: trial.task.clone(),
                    optimizer: trial.optimizer.clone(),
                    learning_rate: trial.learning_rate,
                    seed: trial.seed,
                })
            });
            let mut state = locked();
            state.running -= 1;
            let mut news = None;
            match result {
                Ok((run, recorded)) => {
                    state.done += 1;
                    news = Some((state.done, recorded));
                    state.finish(self, cell, stage, index, run);
                }
                // The flag says so itself, when the workers have come back.
                Err(Error::Interrupted { .. }) => {}
                Err(error) => {
                    if state.failed.as_ref().is_none_or(|(first, _)| job < *first) {
                        state.failed = Some((job, error));
                    }
                }
            }
            drop(state);
            changed.notify_all();
            if let Some((done, recorded)) = news {
                (how.on_run)(&Progress {
                    done,
                    runs,
                    trial: &trial,
                    recorded,
                });
            }
        }
    }

    /// The run of a trial, from its record or by doing it.
    fn one(&self, task: &Task, trial: &Trial, how: &Sweep<'_>) -> Result<(Run, bool)> {
        let configuration = self.configuration(trial)?;
        if let Some(records) = how.records
            && let Some((outcome, timing)) = records.load(&configuration)?
        {
            let trial = trial.clone();
            return Ok((Run { trial, outcome, timing }, true));
        }
        let (outcome, timing) = task.attempt(trial, how.interrupt)?;
        if let Some(records) = how.records {
            records.save(&configuration, &outcome, &timing)?;
        }
        let trial = trial.clone();
        Ok((Run { trial, outcome, timing }, false))
    }
}

impl State {
    fn wait_for(&mut self, plan: &Plan, cell: usize, stage: usize, count: usize) {
        let work = Reverse(plan.tasks[plan.of_cell(cell).0].cost as u64);
        self.waiting.extend((0..count).map(|index| (work, stage, cell, index)));
    }

    fn next(&mut self) -> Option<(Job, Trial)> {
        let job = self.waiting.pop_first()?;
        let (_, stage, cell, index) = job;
        let trial = self.open[cell].as_ref()?.trials[stage][index].clone();
        self.running += 1;
        Some((job, trial))
    }

    /// Takes a run in; the last of a grid brings the runs with the chosen rate, the last of those ends the cell.
    fn finish(&mut self, plan: &Plan, cell: usize, stage: usize, index: usize, run: Run) {
        let Some(open) = self.open[cell].as_mut() else { return };
        open.runs[stage][index] = Some(run);
        open.left -= 1;
        if open.left > 0 {
            return;
        }
        let complete = |runs: &[Option<Run>]| runs.iter().flatten().cloned().collect::<Vec<_>>();
        if stage == 0 {
            open.chosen = plan.choose(&complete(&open.runs[0]));
            let trials = plan.headline(cell, open.chosen);
            let count = trials.len();
            // Where the default rate was chosen, one run counts for two.
            self.done += 2 * plan.seeds.len() - count;
            open.runs[1] = vec![None; count];
            open.trials[1] = trials;
            open.left = count;
            self.wait_for(plan, cell, 1, count);
        } else if let Some(open) = self.open[cell].take() {
            let [tuning, headline] = &open.runs;
            self.cells[cell] = Some(Cell::of(plan, open.chosen, complete(tuning), complete(headline)));
        }
    }
}
