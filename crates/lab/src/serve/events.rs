//! Events for every page that listens: those that come, and the last of each kind for those who come later.

use std::io::Write;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

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
    /// Tells that there is another event, or that there are no more.
    news: Condvar,
    /// Tells that a listener has ended.
    gone: Condvar,
}

#[derive(Default)]
struct State {
    /// The last event of each kind.
    last: Vec<Last>,
    /// How many events there were.
    count: u64,
    /// Listeners whose threads run.
    running: usize,
    closed: bool,
}

/// The last event of a kind: a page that is slow needs no other of it, and is never behind.
struct Last {
    kind: String,
    event: Arc<str>,
    /// Its place among all events, from 1.
    number: u64,
    /// Whether it is for those alone who listened when it came.
    passing: bool,
}

/// One page that listens.
pub(super) struct Listener {
    events: Events,
    /// How many events there were when it came.
    came: u64,
    /// How many of them it has heard of.
    heard: u64,
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
        self.keep("changed".to_string(), "event: changed\ndata: {}\n\n".into(), true);
    }

    /// The last thing that is said.
    pub(crate) fn end(&self, text: &str) {
        self.send("end", "", &json!({"text": text}));
    }

    /// JSON has no line breaks of its own, so that an event is always one line of data.
    fn send(&self, kind: &str, key: &str, data: &Value) {
        let event = format!("event: {kind}\ndata: {data}\n\n");
        self.keep(format!("{kind} {key}"), event.into(), false);
    }

    fn keep(&self, kind: String, event: Arc<str>, passing: bool) {
        let mut state = self.lock();
        state.count += 1;
        let last = Last {
            number: state.count,
            kind,
            event,
            passing,
        };
        match state.last.iter_mut().find(|known| known.kind == last.kind) {
            Some(known) => *known = last,
            None => state.last.push(last),
        }
        self.0.news.notify_all();
    }

    /// A listener more, where there are not `most` of them yet.
    pub(super) fn listen(&self, most: usize) -> Option<Listener> {
        let mut state = self.lock();
        if state.closed || state.running >= most {
            return None;
        }
        state.running += 1;
        Some(Listener {
            events: self.clone(),
            came: state.count,
            heard: 0,
        })
    }

    /// Lets every listener write what it has, and waits for them a moment.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        self.0.news.notify_all();
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
    pub(super) fn write_to(mut self, mut stream: Box<dyn Write + Send>) {
        // A browser that went away is no failure.
        let _ = self.write(&mut *stream);
    }

    fn write(&mut self, stream: &mut dyn Write) -> std::io::Result<()> {
        super::write_head(stream)?;
        while let Some(news) = self.news() {
            if news.is_empty() {
                stream.write_all(b": still here\n\n")?;
            }
            for event in news {
                stream.write_all(event.as_bytes())?;
            }
            stream.flush()?;
        }
        Ok(())
    }

    /// What this listener has not heard yet, in the order in which it came; nothing after a while, `None` after the end.
    fn news(&mut self) -> Option<Vec<Arc<str>>> {
        let waits = |state: &mut State| state.count == self.heard && !state.closed;
        let waited = self
            .events
            .0
            .news
            .wait_timeout_while(self.events.lock(), HEARTBEAT, waits);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if state.count == self.heard && state.closed {
            return None;
        }
        let is_new = |last: &&Last| last.number > self.heard && (!last.passing || last.number > self.came);
        let mut news: Vec<&Last> = state.last.iter().filter(is_new).collect();
        news.sort_by_key(|last| last.number);
        let events = news.iter().map(|last| Arc::clone(&last.event)).collect();
        let count = state.count;
        drop(state);
        self.heard = count;
        Some(events)
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

    /// What a listener writes if there are no more events.
    fn heard(events: &Events, mut listener: Listener) -> String {
        let mut out = Vec::new();
        events.lock().closed = true;
        listener.write(&mut out).expect("memory can be written to");
        events.lock().closed = false;
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
                r#"{"text":"done","share":1.0}"#
            ]
        );
        assert!(events.listen(1).is_some(), "the first one has gone");
    }

    #[test]
    fn who_is_slow_hears_the_last_of_each_kind_and_the_end() {
        let events = Events::default();
        events.changed();
        let slow = events.listen(2).expect("room");
        for n in 0..1000 {
            events.state(&n.to_string(), 0.0);
        }
        events.end("over");
        let text = heard(&events, slow);
        let kinds: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
        assert_eq!(kinds, ["state", "end"]);
        assert!(text.contains(r#""text":"999""#) && text.contains("over"), "{text}");
        let listener = events.listen(2).expect("room");
        events.changed();
        assert!(heard(&events, listener).contains("event: changed"));
        events.close();
        assert!(events.listen(2).is_none(), "nobody comes after the end");
    }
}
