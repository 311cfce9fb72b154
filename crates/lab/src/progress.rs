//! Progress bars and messages, all on stderr.

use std::collections::VecDeque;
use std::io::{IsTerminal, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use training::{Control, Pass};

use crate::context::Context;

/// Lines that are held back while a picture fills the terminal.
struct Held {
    lines: VecDeque<String>,
    /// Lines before these, of which there were too many to keep.
    forgotten: usize,
}

/// Lines that are still shown when the picture goes away; a training of 10,000 epochs would push everything else out of sight.
const MOST_HELD: usize = 40;

static HELD: Mutex<Option<Held>> = Mutex::new(None);

fn held_lines() -> MutexGuard<'static, Option<Held>> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Holds lines back from now on.
pub(crate) fn hold() {
    *held_lines() = Some(Held {
        lines: VecDeque::new(),
        forgotten: 0,
    });
}

/// Prints what was held back, and no longer holds anything back.
pub(crate) fn release() {
    let Some(held) = held_lines().take() else { return };
    if held.forgotten > 0 {
        say(&format!(
            "({} lines before these; --csv FILE keeps all epochs)",
            held.forgotten
        ));
    }
    for line in &held.lines {
        say(line);
    }
}

/// Prints one line to stderr.
pub(crate) fn say(line: &str) {
    if let Some(held) = held_lines().as_mut() {
        if held.lines.len() == MOST_HELD {
            held.lines.pop_front();
            held.forgotten += 1;
        }
        held.lines.push_back(line.to_string());
        return;
    }
    // A closed stderr leaves nobody to tell.
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Bars for what is under way; plain lines where stderr is no terminal.
#[derive(Clone)]
pub(crate) struct Progress {
    bars: MultiProgress,
    terminal: bool,
}

impl Progress {
    pub(crate) fn new() -> Self {
        let terminal = std::io::stderr().is_terminal();
        let target = if terminal {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let bars = MultiProgress::with_draw_target(target);
        Progress {
            // Where TERM is 'dumb' bars hide themselves, and with them the lines above them.
            terminal: terminal && !bars.is_hidden(),
            bars,
        }
    }

    /// A bar of `steps` steps with a name, elapsed time and the time that is left.
    pub(crate) fn bar(&self, name: &str, steps: u64) -> ProgressBar {
        let bar = self.bars.add(ProgressBar::new(steps));
        bar.set_style(style(
            "{prefix:20} {bar:20} {pos:>6}/{len} {elapsed:>4} (left {eta}) {wide_msg}",
        ));
        bar.set_prefix(name.to_string());
        bar.enable_steady_tick(Duration::from_millis(250));
        bar
    }

    /// A bar of the samples of a measuring, to be told of every batch; it ends the measuring where Ctrl-C was pressed.
    pub(crate) fn measuring(&self, samples: usize) -> Measuring {
        Measuring(self.bar("measuring images", samples as u64))
    }

    /// A sign of life and the time so far, for one piece of work whose end nobody can foretell.
    pub(crate) fn waiting(&self, what: &str) -> Waiting {
        let bar = self.bars.add(ProgressBar::new_spinner());
        bar.set_style(style("{spinner} {msg} {elapsed}"));
        bar.set_message(what.to_string());
        bar.enable_steady_tick(Duration::from_millis(250));
        Waiting(bar)
    }

    /// A bar of bytes.
    pub(crate) fn bytes(&self, name: &str, bytes: Option<u64>) -> ProgressBar {
        let bar = self
            .bars
            .add(bytes.map_or_else(ProgressBar::no_length, ProgressBar::new));
        bar.set_style(style(
            "{prefix} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} (left {eta})",
        ));
        bar.set_prefix(name.to_string());
        bar
    }

    /// A line above the bars.
    pub(crate) fn line(&self, text: &str) {
        if self.terminal && held_lines().is_none() {
            // Where the terminal went away there is nobody to tell.
            let _ = self.bars.println(text);
        } else {
            say(text);
        }
    }
}

/// How far a measuring is, shown until it is dropped.
pub(crate) struct Measuring(ProgressBar);

impl Measuring {
    pub(crate) fn told(&self, pass: Pass) -> Control {
        self.0.set_length(pass.of_samples as u64);
        self.0.set_position(pass.samples as u64);
        match Context::is_interrupted() {
            true => Control::Stop,
            false => Control::Continue,
        }
    }
}

impl Drop for Measuring {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// Shown until it is dropped.
pub(crate) struct Waiting(ProgressBar);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("━╸ ")
}
