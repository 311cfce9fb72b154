//! A comparison of optimizers as something to read: for exercise 3 and for `lab sweep`.

mod figures;
mod overall;
mod paths;
mod score;
mod tables;
mod verdict;

use anyhow::Result;
use optimizers_bench::{Plan, Results, Seconds, TaskDescription, TaskResult};
use report::{Answer, Block, Table};
use serde_json::json;

pub(crate) use self::overall::{overall, ranks};
pub(crate) use self::paths::paths;
pub(crate) use self::score::counted;
pub(crate) use self::verdict::{chosen, headline, verdict};

/// What the sheet asks for: plain and with momentum, RMSprop, the Adam family, the Ada family.
pub(crate) const OPTIMIZERS: [&str; 10] = [
    "sgd",
    "sgd_momentum",
    "rmsprop",
    "adam",
    "adamw",
    "adamax",
    "nadam",
    "adagrad",
    "adadelta",
    "adafactor",
];

/// The optimizer whose tuned runs set the targets, where it takes part.
pub(crate) const REFERENCE: &str = "sgd_momentum";

/// Where the seeds that are reported begin, counted from the first that rates are chosen with.
pub(crate) const FIRST_REPORTED: u64 = 1000;

/// A study whose runs are complete.
pub(crate) struct Study<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) results: &'a Results,
    pub(crate) seconds: &'a Seconds,
}

impl Study<'_> {
    /// Tables and figures of one task; `folded` puts the curves under a title.
    pub(crate) fn task(&self, answer: &mut Answer, index: usize, folded: bool) {
        let task = &self.results.tasks[index];
        for table in self.tables(index) {
            answer.table(table);
        }
        answer.figure(figures::scores(task));
        let curves = figures::curves(self, index);
        if folded {
            answer.details("Learning curves", curves.into_iter().map(Block::figure));
        } else {
            curves.into_iter().for_each(|curve| {
                answer.figure(curve);
            });
        }
        answer.figure(figures::sensitivity(task));
    }

    /// The tables of one task: how good, how fast and how robust.
    pub(crate) fn tables(&self, index: usize) -> [Table; 2] {
        let (description, result) = (&self.plan.tasks[index], &self.results.tasks[index]);
        let seconds = &self.seconds.to_target[index];
        [
            tables::scores(description, result),
            tables::speed(self.plan, result, seconds),
        ]
    }

    pub(crate) fn described(&self, index: usize) -> (&TaskDescription, &TaskResult) {
        (&self.plan.tasks[index], &self.results.tasks[index])
    }

    /// Everything that the same seed must reproduce, for the record of an exercise.
    pub(crate) fn numbers(&self, answer: &mut Answer) -> Result<()> {
        answer.number("runs", self.results.runs);
        for (index, task) in self.results.tasks.iter().enumerate() {
            let mut value = serde_json::to_value(task)?;
            // The curves of the small tasks have hundreds of points, which nobody reads in a page.
            for standing in value["standings"]
                .as_array_mut()
                .into_iter()
                .flatten()
                .filter(|_| index > 0)
            {
                standing.as_object_mut().map(|standing| standing.remove("curve"));
            }
            answer.number(task.task.as_str(), value);
        }
        answer.number("ranks", json!(self.results.ranks));
        answer.number("profiles", json!(self.results.profiles));
        Ok(())
    }
}

/// The rules that hold for every optimizer.
pub(crate) fn rules(plan: &Plan) -> Table {
    tables::rules(plan)
}
