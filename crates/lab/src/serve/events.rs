//! Events for every page that listens: those that come, and the last of each kind for those who come later.

use std::io::Write;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

/// Events that a slow browser may be behind; then it is let go of, and comes back for the last of each kind.
const BEHIND: usize = 64;

/// So often a silent stream is written to, which shows whether anybody listens.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// How long the end of the program waits for browsers that are slow to hear of it.
const FAREWELL: Duration = Duration::from_secs(1);

/// Where a program says what happens; clones say it to the same pages.
#[derive(Clone, Default)]
pub(crate) struct Events(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// Tells that a listener has ended.
    gone: Condvar,
}

#[derive(Default)]
struct State {
    /// The last event of each kind, in the order in which the kinds came.
    last: Vec<(String, Arc<str>)>,
    listeners: Vec<SyncSender<Arc<str>>>,
    /// Listeners whose threads run.
    running: usize,
    closed: bool,
}

/// One page that listens.
pub(super) struct Listener {
    events: Events,
    first: Vec<Arc<str>>,
    receiver: Receiver<Arc<str>>,
}

impl Events {
    /// A figure in place of the one with the same key.
    pub(crate) fn figure(&self, key: &str, caption: &str, svg: &str) {
        self.send("figure", key, &json!({"key": key, "caption": caption, "svg": svg}));
    }

    /// How far the work is: a line, and a share from 0 to 1.
    pub(crate) fn state(&self, text: &str, share: f64) {
        self.send("state", "", &json!({"text": text, "share": share.clamp(0.0, 1.0)}));
    }

    /// The page's file is another one.
    pub(crate) fn changed(&self) {
        let event: Arc<str> = "event: changed\ndata: {}\n\n".into();
        self.lock()
            .listeners
            .retain(|listener| listener.try_send(Arc::clone(&event)).is_ok());
    }

    /// The last thing that is said.
    pub(crate) fn end(&self, text: &str) {
        self.send("end", "", &json!({"text": text}));
    }

    /// JSON has no line breaks of its own, so that an event is always one line of data.
    fn send(&self, kind: &str, key: &str, data: &Value) {
        let event: Arc<str> = format!("event: {kind}\ndata: {data}\n\n").into();
        let name = format!("{kind} {key}");
        let mut state = self.lock();
        match state.last.iter_mut().find(|(known, _)| *known == name) {
            Some((_, last)) => *last = Arc::clone(&event),
            None => state.last.push((name, Arc::clone(&event))),
        }
        state
            .listeners
            .retain(|listener| listener.try_send(Arc::clone(&event)).is_ok());
    }

    /// A listener more, where there are not `most` of them yet.
    pub(super) fn listen(&self, most: usize) -> Option<Listener> {
        let mut state = self.lock();
        if state.closed || state.running >= most {
            return None;
        }
        let (sender, receiver) = sync_channel(BEHIND);
        state.listeners.push(sender);
        state.running += 1;
        Some(Listener {
            events: self.clone(),
            first: state.last.iter().map(|(_, event)| Arc::clone(event)).collect(),
            receiver,
        })
    }

    /// Lets every listener write what it has, and waits for them a moment.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.listeners.clear();
        let waited = self
            .0
            .gone
            .wait_timeout_while(state, FAREWELL, |state| state.running > 0);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here is left half done by a panic.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Listener {
    /// Writes events until there are no more, or nobody reads them.
    pub(super) fn write_to(self, mut stream: Box<dyn Write + Send>) {
        // A browser that went away is no failure.
        let _ = self.write(&mut *stream);
    }

    fn write(&self, stream: &mut dyn Write) -> std::io::Result<()> {
        super::write_head(stream)?;
        for event in &self.first {
            stream.write_all(event.as_bytes())?;
        }
        stream.flush()?;
        loop {
            match self.receiver.recv_timeout(HEARTBEAT) {
                Ok(event) => stream.write_all(event.as_bytes())?,
                Err(RecvTimeoutError::Timeout) => stream.write_all(b": still here\n\n")?,
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
            stream.flush()?;
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.events.lock().running -= 1;
        self.events.0.gone.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a listener writes until the events are closed.
    fn heard(events: &Events, listener: Listener) -> String {
        let mut out = Vec::new();
        events.lock().listeners.clear();
        listener.write(&mut out).expect("memory can be written to");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn who_comes_late_hears_the_last_of_each_kind() {
        let events = Events::default();
        events.figure("loss", "Loss", "<svg>1</svg>");
        events.figure("loss", "Loss", "<svg>2</svg>");
        events.figure("accuracy", "", "<svg>\n3</svg>");
        events.state("half", 0.5);
        let listener = events.listen(1).expect("room for one");
        assert!(events.listen(1).is_none(), "no room for two");
        events.state("done", 7.0);
        let text = heard(&events, listener);
        assert!(!text.contains("<svg>1"), "{text}");
        let data: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
        assert_eq!(
            data,
            [
                r#"{"key":"loss","caption":"Loss","svg":"<svg>2</svg>"}"#,
                r#"{"key":"accuracy","caption":"","svg":"<svg>\n3</svg>"}"#,
                r#"{"text":"half","share":0.5}"#,
                r#"{"text":"done","share":1.0}"#
            ]
        );
        assert!(events.listen(1).is_some(), "the first one has gone");
    }

    #[test]
    fn who_is_too_slow_is_let_go_of() {
        let events = Events::default();
        let slow = events.listen(2).expect("room");
        for n in 0..2 * BEHIND {
            events.state(&n.to_string(), 0.0);
        }
        assert!(events.lock().listeners.is_empty());
        let text = heard(&events, slow);
        assert_eq!(text.matches("event: state").count(), BEHIND);
        events.close();
        assert!(events.listen(2).is_none(), "nobody comes after the end");
    }
}
