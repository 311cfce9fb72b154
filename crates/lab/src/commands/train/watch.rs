//! A bar for the epoch in progress, a line for every epoch that is done; or the live view, which shows both as a picture.

use indicatif::ProgressBar;
use report::format::{count, number, percent, seconds};
use training::callbacks::{Moment, SavePoint, TrainBegin, TrainEnd};
use training::{Callback, StepEnd};

use crate::live::{Live, State};
use crate::progress::Progress;

pub(super) struct Watch<'a> {
    progress: &'a Progress,
    epochs: usize,
    bar: Option<ProgressBar>,
    /// What the live view begins with, until training begins.
    picture: Option<State>,
    live: Option<Live>,
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
    /// `picture` is what the live view begins with, where one is wanted.
    pub(super) fn new(progress: &'a Progress, epochs: usize, picture: Option<State>) -> Self {
        Watch {
            progress,
            epochs,
            bar: None,
            picture,
            live: None,
            drawn: 0.0,
            samples: 0,
            seconds: 0.0,
        }
    }

    /// Takes the bar, or the live view, away.
    pub(super) fn clear(&mut self) {
        self.live = None;
        self.clear_bar();
    }

    fn clear_bar(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

impl Callback for Watch<'_> {
    fn on_train_begin(&mut self, begin: &TrainBegin<'_>) -> training::Result<()> {
        if let Some(mut picture) = self.picture.take() {
            picture.records.clone_from(&begin.history.epochs);
            picture.seconds.clone_from(&begin.history.seconds);
            self.live = Live::start(picture);
        }
        Ok(())
    }

    fn on_step_end(&mut self, step: &StepEnd) {
        (self.samples, self.seconds) = (step.samples, step.seconds);
        if let Some(live) = &self.live {
            live.tell(|state| state.stepped(step));
            return;
        }
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
        self.clear_bar();
        let Some(record) = point.history.last() else {
            return Ok(());
        };
        if let Some(live) = &self.live {
            live.tell(|state| state.epoch_done(record, point.history.seconds.last().copied().unwrap_or_default()));
        }
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
