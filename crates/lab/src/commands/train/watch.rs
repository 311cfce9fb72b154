//! A bar for the epoch in progress, a line for every epoch that is done.

use indicatif::ProgressBar;
use models::Network;
use report::format::{number, percent, seconds};
use training::{Callback, Control, EpochEnd, StepEnd};

use crate::progress::Progress;

pub(super) struct Watch<'a> {
    progress: &'a Progress,
    epochs: usize,
    bar: Option<ProgressBar>,
}

impl<'a> Watch<'a> {
    pub(super) fn new(progress: &'a Progress, epochs: usize) -> Self {
        Watch {
            progress,
            epochs,
            bar: None,
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
        let bar = self.bar.get_or_insert_with(|| {
            let name = format!("epoch {}/{}", step.epoch, self.epochs);
            self.progress.bar(&name, step.steps as u64)
        });
        bar.set_position(step.step as u64);
        bar.set_message(format!("loss {}", number(step.loss, 4)));
    }

    fn on_epoch_end(&mut self, epoch: &mut EpochEnd<'_>) -> training::Result<Control> {
        self.clear();
        let record = epoch.record;
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
        if let Some(&taken) = epoch.history.seconds.last() {
            line += &format!("  {}", seconds(taken));
        }
        self.progress.line(&line);
        Ok(Control::Continue)
    }

    fn on_train_end(&mut self, _network: &mut Network) -> training::Result<()> {
        self.clear();
        Ok(())
    }
}
