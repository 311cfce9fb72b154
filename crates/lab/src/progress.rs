//! Progress bars and messages, all on stderr.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Prints one line to stderr.
pub(crate) fn say(line: &str) {
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
        Progress {
            bars: MultiProgress::with_draw_target(target),
            terminal,
        }
    }

    /// A bar of `steps` steps with a name, elapsed time and the time that is left.
    pub(crate) fn bar(&self, name: &str, steps: u64) -> ProgressBar {
        let bar = self.bars.add(ProgressBar::new(steps));
        bar.set_style(style(
            "{prefix:24} {bar:30} {pos:>6}/{len} {elapsed:>4} (left {eta}) {msg}",
        ));
        bar.set_prefix(name.to_string());
        bar.enable_steady_tick(Duration::from_millis(250));
        bar
    }

    /// A bar of bytes.
    pub(crate) fn bytes(&self, name: &str, bytes: Option<u64>) -> ProgressBar {
        let bar = self
            .bars
            .add(bytes.map_or_else(ProgressBar::no_length, ProgressBar::new));
        bar.set_style(style(
            "{prefix:40} {bar:20} {bytes:>10}/{total_bytes} {bytes_per_sec} (left {eta})",
        ));
        bar.set_prefix(name.to_string());
        bar
    }

    /// A line above the bars.
    pub(crate) fn line(&self, text: &str) {
        if self.terminal {
            // Where the terminal went away there is nobody to tell.
            let _ = self.bars.println(text);
        } else {
            say(text);
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("━╸ ")
}
