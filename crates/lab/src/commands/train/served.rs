//! `lab train --serve`: the training as a page that grows.

use report::format::{count, number, seconds};
use report::live::LivePage;
use training::callbacks::{Moment, SavePoint, TrainEnd};
use training::{Callback, StepEnd, StopReason};

use super::Settings;
use crate::serve::curves::{Curves, Steps};
use crate::serve::{Events, Server};

/// Seconds between two messages about steps.
const PAUSE: f64 = 0.5;

pub(super) struct Served {
    /// Held until the training has ended.
    server: Server,
    epochs: usize,
    curves: Curves,
    /// Epochs that are drawn: what a resumed training brings along is drawn with its first epoch.
    drawn: usize,
    steps: Steps,
    /// The sum of the losses of this epoch's samples, and how many they are, after the step before.
    before: (f64, usize),
    /// When something was sent last, in seconds of the epoch.
    sent: f64,
}

impl Served {
    /// Serves the page on the port that was asked for, if one was.
    pub(super) fn start(settings: &Settings, model: &str) -> anyhow::Result<Option<Self>> {
        let Some(port) = settings.serve else { return Ok(None) };
        let page = LivePage::new(format!("{model} on {}", settings.data)).to_html();
        let server = Server::start(port, Box::new(move || Ok(page.clone())))?;
        Ok(Some(Served {
            server,
            epochs: settings.epochs,
            curves: Curves::default(),
            drawn: 0,
            steps: Steps::new(),
            before: (0.0, 0),
            sent: 0.0,
        }))
    }

    pub(super) fn url(&self) -> String {
        self.server.url()
    }

    fn events(&self) -> &Events {
        self.server.events()
    }
}

impl Callback for Served {
    fn on_step_end(&mut self, step: &StepEnd) {
        if step.samples <= self.before.1 {
            self.before = (0.0, 0);
            self.sent = 0.0;
        }
        // The mean of the epoch so far is what is told; what this step had follows from two of them.
        let (total, samples) = (step.loss * step.samples as f64, step.samples);
        let loss = (total - self.before.0) / (samples - self.before.1) as f64;
        self.before = (total, samples);
        let at = (step.epoch as f64 - 1.0) + step.step as f64 / step.steps as f64;
        self.steps.push(at, loss);
        if step.seconds - self.sent < PAUSE && step.step < step.steps {
            return;
        }
        self.sent = step.seconds;
        self.steps.send(self.events());
        let text = format!(
            "epoch {} of {}, step {} of {}: loss {}, {} images/s, {} left in this epoch",
            step.epoch,
            self.epochs,
            step.step,
            step.steps,
            number(step.loss, 4),
            count(step.samples_per_second() as usize),
            seconds(step.seconds_left())
        );
        self.events().state(&text, at / self.epochs as f64);
    }

    fn saves(&self, moment: &Moment) -> bool {
        *moment == Moment::Epoch
    }

    fn on_save(&mut self, point: &SavePoint<'_>) -> training::Result<()> {
        for record in point.history.epochs.iter().skip(self.drawn) {
            for (name, value) in record.logs() {
                self.curves.push(name, record.epoch as f64, value);
            }
        }
        self.drawn = point.history.epochs.len();
        self.curves.send(self.events());
        Ok(())
    }

    fn on_train_end(&mut self, end: &mut TrainEnd<'_>) -> training::Result<bool> {
        let epochs = end.history.epochs.len();
        let how = match end.history.stopped {
            StopReason::Interrupted => "Interrupted",
            StopReason::Callback => "Ended early",
            StopReason::NonFiniteLoss => "Ended because the loss is not finite",
            StopReason::Finished => "Done",
        };
        self.events()
            .end(&format!("{how} after {epochs} of {} epochs.", self.epochs));
        Ok(false)
    }
}
