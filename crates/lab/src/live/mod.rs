//! A training that is watched in a terminal: a thread draws what the callbacks tell, and listens to the keys.
//!
//! The thread is one of its own so that a key, or another size of the window, is answered while a step takes seconds.

mod state;
#[cfg(test)]
mod tests;
mod view;

use std::io::{self, BufWriter, IsTerminal, Stderr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use ratatui_core::terminal::Terminal;
use ratatui_crossterm::CrosstermBackend;
use ratatui_crossterm::crossterm::cursor::{Hide, Show};
use ratatui_crossterm::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use ratatui_crossterm::crossterm::execute;
use ratatui_crossterm::crossterm::terminal::{self, EnterAlternateScreen, LeaveAlternateScreen};

pub(crate) use self::state::State;
use crate::context;
use crate::progress;

/// Time between two pictures.
const PAUSE: Duration = Duration::from_millis(100);

/// Whether the terminal shows the picture instead of lines.
static SHOWN: AtomicBool = AtomicBool::new(false);

/// The view, from its first picture until it is dropped.
pub(crate) struct Live {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    ended: AtomicBool,
}

impl Shared {
    /// The state; a thread that panicked left it whole, for it is changed by assignments only.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether somebody watches: keys, results and progress belong to one terminal, and it can place a cursor.
pub(crate) fn is_possible() -> bool {
    let dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
    let size = || terminal::size().is_ok_and(|(columns, lines)| columns > 0 && lines > 0);
    (cfg!(windows) || !dumb)
        && io::stdin().is_terminal()
        && io::stdout().is_terminal()
        && io::stderr().is_terminal()
        && size()
}

impl Live {
    /// Shows the state; `None` where the terminal refuses, which is then as it was.
    pub(crate) fn start(mut state: State) -> Option<Live> {
        state.color = console::colors_enabled_stderr();
        let terminal = match show() {
            Ok(terminal) => terminal,
            Err(_) => {
                restore();
                return None;
            }
        };
        progress::hold();
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            ended: AtomicBool::new(false),
        });
        let drawn = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("live view".to_string())
            .spawn(move || run(terminal, &drawn));
        // Without a thread the view is dropped here, which gives the terminal back.
        let live = Live {
            shared,
            thread: thread.ok(),
        };
        live.thread.is_some().then_some(live)
    }

    /// Tells the view what happened.
    pub(crate) fn tell(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.shared.state());
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic of that thread has been told by the hook.
            let _ = thread.join();
        }
        restore();
        progress::release();
    }
}

/// Gives the terminal back as it was; does nothing where it was not taken.
pub(crate) fn restore() {
    if SHOWN.swap(false, Ordering::SeqCst) {
        // Where the terminal went away there is nothing to give back.
        let _ = terminal::disable_raw_mode();
        let _ = execute!(io::stderr(), LeaveAlternateScreen, Show);
    }
}

type Screen = Terminal<CrosstermBackend<BufWriter<Stderr>>>;

fn show() -> io::Result<Screen> {
    static HOOK: Once = Once::new();
    // What a panic prints must not go onto the picture, and stay there.
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |about| {
            restore();
            before(about);
        }));
    });
    SHOWN.store(true, Ordering::SeqCst);
    terminal::enable_raw_mode()?;
    execute!(io::stderr(), EnterAlternateScreen, Hide)?;
    Terminal::new(CrosstermBackend::new(BufWriter::new(io::stderr())))
}

/// Draws and listens until the training has ended or the terminal went away.
fn run(mut terminal: Screen, shared: &Shared) {
    while !shared.ended.load(Ordering::Relaxed) {
        let state = {
            let mut state = shared.state();
            state.stopping = context::Context::is_interrupted();
            state.clone()
        };
        // Another size of the window is found out by every drawing.
        if terminal.draw(|frame| view::draw(frame, &state)).is_err() {
            return;
        }
        match event::poll(PAUSE) {
            Ok(true) => {
                if let Some(wish) = event::read().ok().as_ref().and_then(wish) {
                    stop(wish);
                }
            }
            Ok(false) => {}
            // Keys cannot be read: the picture goes on without them.
            Err(_) => std::thread::sleep(PAUSE),
        }
    }
}

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Wish {
    /// To end the step in progress.
    End,
    /// The same, and to end at once where that was asked for already.
    EndAtOnce,
}

/// `q` and Ctrl-C, which is a key as any other while the picture is shown.
fn wish(event: &Event) -> Option<Wish> {
    let Event::Key(key) = event else { return None };
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    match key.code {
        _ if key.kind != KeyEventKind::Press => None,
        KeyCode::Char('q' | 'Q') if !control => Some(Wish::End),
        KeyCode::Char('c' | 'C') if control => Some(Wish::EndAtOnce),
        _ => None,
    }
}

fn stop(wish: Wish) {
    let again = context::interrupt();
    if again && wish == Wish::EndAtOnce {
        restore();
        std::process::exit(1);
    }
}
