//! The file that is being written, whose first part is on its way to the disk while the rest is still made.
//!
//! A file that is written as a whole and synced then makes the disk wait for the processor and the processor for the disk: of 400 MB in
//! memory, synced slice by slice from a second thread, the last byte was on the disk after two thirds of the time.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::mem;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

/// After so many bytes the disk is asked to begin. Every sync ends with the file system's own records, which costs more than it gains
/// where the slices are small.
const SLICE: usize = 32 << 20;

/// The system is given so many bytes at once, so that a large tensor does not hold back what came before it.
const PIECE: usize = 4 << 20;

/// A file under construction.
pub(crate) struct Output {
    file: File,
    /// Bytes since the disk was asked last.
    waiting: usize,
    syncing: Option<Syncing>,
}

/// The thread that syncs, once there is something to be synced.
struct Syncing {
    begin: SyncSender<()>,
    thread: JoinHandle<io::Result<()>>,
}

impl Output {
    /// Writes at the place where the file stands; the file may be closed.
    pub(crate) fn of(file: &File) -> io::Result<Self> {
        Ok(Output {
            file: file.try_clone()?,
            waiting: 0,
            syncing: None,
        })
    }

    /// Returns when all of it is on the disk.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        let syncing = self.syncing.take().map(|Syncing { begin, thread }| {
            drop(begin);
            thread
        });
        // What is left is synced beside the slice that is still under way. An error of the disk is told to one of both, not to each.
        let rest = self.file.sync_all();
        let slices = syncing.map_or(Ok(()), joined);
        rest.and(slices)
    }

    fn sync_soon(&mut self) {
        if self.syncing.is_none() {
            self.syncing = Syncing::of(&self.file).ok();
        }
        if let Some(syncing) = &self.syncing {
            // Where the last slice is not done, the next one will be larger. A thread that failed is asked when the file is finished.
            let _ = syncing.begin.try_send(());
        }
    }
}

impl Syncing {
    /// Without a thread (a system has no more of them) everything is synced at the end.
    fn of(file: &File) -> io::Result<Self> {
        let file = file.try_clone()?;
        let (begin, asked) = sync_channel(1);
        let thread = thread::Builder::new()
            .name("sync".to_string())
            .spawn(move || asked.iter().try_for_each(|()| file.sync_data()))?;
        Ok(Syncing { begin, thread })
    }
}

fn joined(thread: JoinHandle<io::Result<()>>) -> io::Result<()> {
    let panicked = |_| Err(io::Error::other("the thread that syncs the file panicked"));
    thread.join().unwrap_or_else(panicked)
}

impl Drop for Output {
    /// A file that is given up is not open in another thread afterwards.
    fn drop(&mut self) {
        if let Some(Syncing { begin, thread }) = mem::take(&mut self.syncing) {
            drop(begin);
            let _ = joined(thread);
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(&bytes[..bytes.len().min(PIECE)])?;
        self.waiting += count;
        if self.waiting >= SLICE {
            self.waiting = 0;
            self.sync_soon();
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Seek for Output {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn slices_that_are_synced_early_are_a_file_like_any_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("slices");
        let bytes: Vec<u8> = (0..SLICE as u32 / 2 + 5).flat_map(u32::to_le_bytes).collect();
        let mut output = Output::of(&File::create(&path).unwrap()).unwrap();
        output.write_all(&bytes).unwrap();
        assert!(output.syncing.is_some());
        output.seek(SeekFrom::Start(0)).unwrap();
        output.write_all(b"head").unwrap();
        output.finish().unwrap();
        let found = fs::read(&path).unwrap();
        assert_eq!(&found[..4], b"head");
        assert!(found[4..] == bytes[4..]);
    }

    #[test]
    fn a_thread_that_fails_fails_the_file() {
        let mut output = Output::of(&tempfile::tempfile().unwrap()).unwrap();
        let (begin, _) = sync_channel(1);
        let thread = thread::spawn(|| Err(io::Error::other("the disk is gone")));
        output.syncing = Some(Syncing { begin, thread });
        output.write_all(b"bytes").unwrap();
        assert_eq!(output.finish().unwrap_err().to_string(), "the disk is gone");
    }
}
