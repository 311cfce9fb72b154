//! How long things take, told to whoever waits.

/// Hears how downloads and reading a folder of images get on; the library itself prints nothing. All methods have a default that does nothing.
///
/// ```
/// struct Percent(u64);
/// impl datasets::Progress for Percent {
///     fn advanced(&mut self, done: u64, total: Option<u64>) {
///         self.0 = 100 * done / total.unwrap_or(done).max(1);
///     }
/// }
/// ```
pub trait Progress {
    /// A file begins; `done` bytes of it are here already from an earlier try.
    fn started(&mut self, file: &str, done: u64, total: Option<u64>) {
        let _ = (file, done, total);
    }

    /// `done` bytes of the file have arrived.
    fn advanced(&mut self, done: u64, total: Option<u64>) {
        let _ = (done, total);
    }

    /// The file is complete, checked, and has its final name.
    fn finished(&mut self, file: &str) {
        let _ = file;
    }

    /// A try failed and another one follows.
    fn retrying(&mut self, file: &str, reason: &str) {
        let _ = (file, reason);
    }

    /// `done` of the `of` image files of a folder are read and decoded.
    fn images(&mut self, done: usize, of: usize) {
        let _ = (done, of);
    }

    /// Whether to stop, as after Ctrl-C. What has arrived is kept for the next time.
    fn cancelled(&mut self) -> bool {
        false
    }
}

/// A [`Progress`] that ignores everything.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {}
