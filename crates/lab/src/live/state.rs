//! What the live view shows: the figures of a training so far, and what follows from them for the rest of it.

use training::{EpochRecord, StepEnd};

/// Points that the curve of the epoch in progress has at most: as many as a chart has columns.
const POINTS_OF_AN_EPOCH: f64 = 160.0;

/// A training as far as it has come.
#[derive(Clone, Default)]
pub(crate) struct State {
    /// What is trained on what, and how.
    pub(crate) title: String,
    /// The file or folder that the training is saved in.
    pub(crate) saved_in: Option<String>,
    /// Epochs in all.
    pub(crate) epochs: usize,
    /// Epochs that are done.
    pub(crate) records: Vec<EpochRecord>,
    /// Seconds of these epochs, with validation and saving.
    pub(crate) seconds: Vec<f64>,
    /// The last step.
    pub(crate) step: Option<StepEnd>,
    /// Mean loss of the epoch in progress, over epochs.
    pub(crate) running: Vec<(f64, f64)>,
    /// Whether the step in progress is the last one.
    pub(crate) stopping: bool,
    /// Whether colours tell the curves apart; their signs do in any case.
    pub(crate) color: bool,
}

impl State {
    /// A step is done.
    pub(crate) fn stepped(&mut self, step: &StepEnd) {
        let x = step.epoch as f64 - 1.0 + step.step as f64 / step.steps.max(1) as f64;
        let previous = self.running.last().map_or(f64::NEG_INFINITY, |&(x, _)| x);
        if x - previous >= 1.0 / POINTS_OF_AN_EPOCH {
            self.running.push((x, step.loss));
        }
        self.step = Some(*step);
    }

    /// An epoch is done.
    pub(crate) fn epoch_done(&mut self, record: &EpochRecord, seconds: f64) {
        self.records.push(record.clone());
        self.seconds.push(seconds);
        self.running.clear();
    }

    /// The step of the epoch in progress, where one is done.
    pub(crate) fn current(&self) -> Option<&StepEnd> {
        self.step.as_ref().filter(|step| step.epoch > self.records.len())
    }

    /// Share of the whole training that is done.
    pub(crate) fn done(&self) -> f64 {
        let within = self
            .current()
            .map_or(0.0, |step| step.step as f64 / step.steps.max(1) as f64);
        ((self.records.len() as f64 + within) / self.epochs.max(1) as f64).min(1.0)
    }

    /// Seconds until the end of the last epoch, at the pace of the last one that is done, or of the first steps.
    pub(crate) fn seconds_left(&self) -> Option<f64> {
        let current = self.current();
        let of_steps = |step: &StepEnd| step.seconds + step.seconds_left();
        let an_epoch = self.seconds.last().copied().or_else(|| current.map(of_steps))?;
        let begun = self.records.len() + usize::from(current.is_some());
        let rest = self.epochs.saturating_sub(begun) as f64 * an_epoch;
        Some(rest + current.map_or(0.0, StepEnd::seconds_left))
    }

    /// One figure of the epochs that are done, over their numbers; at most `most` points, the newest always among them.
    pub(crate) fn curve(&self, most: usize, figure: impl Fn(&EpochRecord) -> Option<f64>) -> Vec<(f64, f64)> {
        let points = self.records.iter().filter_map(|record| {
            let value = figure(record).filter(|value| value.is_finite())?;
            Some((record.epoch as f64, value))
        });
        let points: Vec<_> = points.collect();
        let stride = points.len().div_ceil(most.max(1)).max(1);
        let mut thinned: Vec<_> = points.iter().rev().step_by(stride).copied().collect();
        thinned.reverse();
        thinned
    }

    /// The loss of training: that of the epochs, then the running mean of the one in progress.
    pub(crate) fn losses(&self, most: usize) -> Vec<(f64, f64)> {
        let mut points = self.curve(most, |record| Some(record.loss));
        points.extend(self.running.iter().filter(|(_, loss)| loss.is_finite()));
        points
    }

    /// The epoch with the best value of a figure, and that value.
    pub(crate) fn best(
        &self,
        figure: impl Fn(&EpochRecord) -> Option<f64>,
        better: fn(&f64, &f64) -> bool,
    ) -> Option<(usize, f64)> {
        let mut best: Option<(usize, f64)> = None;
        for record in &self.records {
            let Some(value) = figure(record).filter(|value| value.is_finite()) else {
                continue;
            };
            if best.is_none_or(|(_, so_far)| better(&value, &so_far)) {
                best = Some((record.epoch, value));
            }
        }
        best
    }
}
