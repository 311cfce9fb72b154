//! A bar for the epoch in progress, a line for every epoch that is done.

use indicatif::ProgressBar;
use report::format::{count, number, percent, seconds};
use training::callbacks::{Moment, SavePoint, TrainEnd};
use training::{Callback, StepEnd};

use crate::progress::Progress;

pub(super) struct Watch<'a> {
    progress: &'a Progress,
    epochs: usize,
    bar: Option<ProgressBar>,
    /// When the bar was drawn last, in seconds of the epoch.
    drawn: f64,
    /// Samples of the epoch.
    samples: usize,
    /// Seconds of the epoch's steps.
    seconds: f64,
}

/// Seconds between two drawings: a step may take less time than to write about it.
const PAUSE: f64 = 0.05;

impl<'a> Watch<'a> {
    pub(super) fn new(progress: &'a Progress, epochs: usize) -> Self {
        Watch {
            progress,
            epochs,
            bar: None,
            drawn: 0.0,
            samples: 0,
            seconds: 0.0,
        }
    }

    /// Takes the bar away.
    pub(super) fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

impl Callback for Watch<'_> {
    fn on_step_end(&mut self, step: &StepEnd) {
        (self.samples, self.seconds) = (step.samples, step.seconds);
        if self.bar.is_some() && step.step < step.steps && step.seconds - self.drawn < PAUSE {
            return;
        }
        self.drawn = step.seconds;
        let bar = self.bar.get_or_insert_with(|| {
            let name = format!("epoch {}/{}", step.epoch, self.epochs);
            self.progress.bar(&name, step.steps as u64)
        });
        bar.set_position(step.step as u64);
        bar.set_message(format!(
            "loss {}  {} images/s  {} left",
            number(step.loss, 4),
            count(step.samples_per_second() as usize),
            seconds(step.seconds_left())
        ));
    }

    fn saves(&self, moment: &Moment) -> bool {
        *moment == Moment::Epoch
    }

    /// The line of an epoch appears after its file is safe.
    fn on_save(&mut self, point: &SavePoint<'_>) -> training::Result<()> {
        self.clear();
        let Some(record) = point.history.last() else {
            return Ok(());
        };
        let mut line = format!(
            "epoch {:>width$}/{}  loss {}  accuracy {}",
            record.epoch,
            self.epochs,
            number(record.loss, 4),
            percent(record.accuracy, 2),
            width = self.epochs.to_string().len()
        );
        if let (Some(loss), Some(accuracy)) = (record.val_loss, record.val_accuracy) {
            line += &format!("  val_loss {}  val_accuracy {}", number(loss, 4), percent(accuracy, 2));
        }
        if let Some(&taken) = point.history.seconds.last() {
            line += &format!("  {}", seconds(taken));
        }
        if self.seconds > 0.0 {
            line += &format!("  {} images/s", count((self.samples as f64 / self.seconds) as usize));
        }
        self.progress.line(&line);
        Ok(())
    }

    fn on_train_end(&mut self, _end: &mut TrainEnd<'_>) -> training::Result<bool> {
        self.clear();
        Ok(false)
    }
}
