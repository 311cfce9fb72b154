//! The file that is being written: in blocks that lie in the system's cache as one piece, and whose first part is on its way to the disk
//! while the rest is still made.
//!
//! Linux keeps what one call writes in pages as large as the call and the place allow. A file of whole aligned blocks of 2 MiB is mapped a
//! block at a time, one that was written in pieces from any place on 16 pages at a time: with all its numbers looked at, 400 MB took a sixth
//! more of the processor's time. So everything passes through a buffer; a small file leaves it in one call.
//!
//! A file that is written as a whole and synced makes the disk wait for the processor and the processor for the disk: of 400 MB in
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

/// The largest pages of a file in use; blocks begin at multiples of it.
const BLOCK: usize = 2 << 20;

/// For more bytes than this the buffer gets the room of a block at once: to let it grow would copy them again and again.
const SMALL: usize = 64 << 10;

/// A file under construction.
pub(crate) struct Output {
    file: File,
    /// Where the file stands for the system.
    cursor: u64,
    /// Where the next byte belongs.
    position: u64,
    /// What the system has: all bytes before this one.
    given: u64,
    /// What it has not: the bytes from there on, at most up to the end of a block.
    buffer: Vec<u8>,
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
    /// Fills an empty file, which may be closed.
    pub(crate) fn of(file: &File) -> io::Result<Self> {
        Ok(Output {
            file: file.try_clone()?,
            cursor: 0,
            position: 0,
            given: 0,
            buffer: Vec::new(),
            waiting: 0,
            syncing: None,
        })
    }

    /// Returns how many bytes it has when all of them are on the disk.
    pub(crate) fn finish(mut self) -> io::Result<u64> {
        self.flush()?;
        let syncing = self.syncing.take().map(|Syncing { begin, thread }| {
            drop(begin);
            thread
        });
        // What is left is synced beside the slice that is still under way. An error of the disk is told to one of both, not to each.
        let rest = self.file.sync_all();
        let slices = syncing.map_or(Ok(()), joined);
        rest.and(slices).map(|()| self.given)
    }

    /// Hands bytes to the system. Where they end the file, `given` is theirs to move.
    fn give(&mut self, place: u64, bytes: &[u8]) -> io::Result<()> {
        if self.cursor != place {
            self.cursor = self.file.seek(SeekFrom::Start(place))?;
        }
        self.file.write_all(bytes)?;
        self.cursor += bytes.len() as u64;
        self.waiting += bytes.len();
        if self.waiting >= SLICE {
            self.waiting = 0;
            self.sync_soon();
        }
        Ok(())
    }

    /// How many bytes are missing to the end of the block.
    fn room(&self) -> usize {
        BLOCK - (self.end() % BLOCK as u64) as usize
    }

    /// How many bytes there are.
    fn end(&self) -> u64 {
        self.given + self.buffer.len() as u64
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
        let count;
        if self.position < self.given {
            // A header whose sums are known now.
            count = bytes.len().min((self.given - self.position) as usize);
            self.give(self.position, &bytes[..count])?;
        } else if self.position < self.end() {
            let place = (self.position - self.given) as usize;
            count = bytes.len().min(self.buffer.len() - place);
            self.buffer[place..place + count].copy_from_slice(&bytes[..count]);
        } else if self.room() == BLOCK && self.buffer.is_empty() && bytes.len() >= BLOCK {
            count = bytes.len().min(PIECE) / BLOCK * BLOCK;
            self.give(self.given, &bytes[..count])?;
            self.given += count as u64;
        } else {
            count = bytes.len().min(self.room());
            if self.buffer.len() + count > SMALL {
                self.buffer.reserve_exact(BLOCK - self.buffer.len());
            }
            self.buffer.extend_from_slice(&bytes[..count]);
            if self.room() == BLOCK {
                self.flush()?;
            }
        }
        self.position += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut buffer = mem::take(&mut self.buffer);
        self.give(self.given, &buffer)?;
        self.given += buffer.len() as u64;
        buffer.clear();
        self.buffer = buffer;
        Ok(())
    }
}

impl Seek for Output {
    /// To a place in the file or to its end: what is left out would be a hole.
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let place = match to {
            SeekFrom::Start(place) => Some(place),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
            SeekFrom::End(by) => self.end().checked_add_signed(by),
        };
        self.position = place.filter(|&place| place <= self.end()).ok_or_else(|| {
            let reason = format!("{to:?} is not within the {} bytes of the file", self.end());
            io::Error::new(io::ErrorKind::InvalidInput, reason)
        })?;
        Ok(self.position)
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
        assert_eq!(output.finish().unwrap(), bytes.len() as u64);
        let found = fs::read(&path).unwrap();
        assert_eq!(&found[..4], b"head");
        assert!(found[4..] == bytes[4..]);
    }

    /// The same as a cursor over memory, whatever is written where in whatever pieces.
    #[test]
    fn a_file_is_what_memory_would_be() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let bytes: Vec<u8> = (0..BLOCK as u32).flat_map(u32::to_le_bytes).collect();
        let mut output = Output::of(&File::create(&path).unwrap()).unwrap();
        let mut expected = io::Cursor::new(Vec::new());
        for (to, count) in [
            (SeekFrom::Start(0), 100),
            (SeekFrom::Start(10), 50),
            (SeekFrom::End(-20), 70),
            (SeekFrom::End(0), BLOCK),
            (SeekFrom::Current(-3), 2 * BLOCK + 1),
            (SeekFrom::Start(BLOCK as u64 - 5), 10),
            (SeekFrom::Start(3 * BLOCK as u64 - 9), 400),
            (SeekFrom::End(0), 3 * BLOCK - 391),
            (SeekFrom::End(0), 3 * BLOCK),
        ] {
            for place in [output.seek(to).unwrap(), expected.seek(to).unwrap()] {
                assert_eq!(place, expected.position());
            }
            let start = count % 1000;
            output.write_all(&bytes[start..start + count]).unwrap();
            expected.write_all(&bytes[start..start + count]).unwrap();
        }
        assert!(output.seek(SeekFrom::End(1)).is_err() && output.seek(SeekFrom::Current(i64::MIN)).is_err());
        assert_eq!(output.finish().unwrap(), expected.position());
        assert!(fs::read(&path).unwrap() == expected.into_inner());
    }

    #[test]
    fn a_small_file_is_written_in_one_call() {
        let file = tempfile::tempfile().unwrap();
        let mut output = Output::of(&file).unwrap();
        output.write_all(&[1; 1000]).unwrap();
        output.seek(SeekFrom::Start(0)).unwrap();
        output.write_all(&[2; 10]).unwrap();
        assert_eq!((output.given, file.metadata().unwrap().len()), (0, 0));
        assert_eq!(output.finish().unwrap(), 1000);
    }

    /// However the bytes come, the system gets them up to the end of a block.
    #[test]
    fn blocks_begin_at_multiples_of_their_size() {
        let mut output = Output::of(&tempfile::tempfile().unwrap()).unwrap();
        for count in [3000, 1 << 20, 1 << 20, 5 << 20, 7] {
            output.write_all(&vec![7; count]).unwrap();
            assert!(output.given.is_multiple_of(BLOCK as u64) && output.buffer.len() < BLOCK);
        }
        assert_eq!(output.given, 6 << 20);
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
