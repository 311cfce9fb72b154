//! An archive around a member that is in its file already.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::ops::Range;
use std::rc::Rc;

/// Where an archive writes next, and the part of its file that is there already.
#[derive(Default)]
pub(super) struct Place {
    position: Cell<u64>,
    written: RefCell<Range<u64>>,
}

impl Place {
    /// The byte that is written next.
    pub(super) fn position(&self) -> u64 {
        self.position.get()
    }

    /// Says which bytes are there: what is written over them is what they are, and is only counted.
    pub(super) fn is_written(&self, part: Range<u64>) {
        self.written.replace(part);
    }
}

/// The file of an archive.
pub(super) struct Around {
    out: File,
    place: Rc<Place>,
}

impl Around {
    /// An archive that begins with the file, and its place.
    pub(super) fn of(out: &File) -> io::Result<(Self, Rc<Place>)> {
        let place = Rc::new(Place::default());
        let around = Around {
            out: out.try_clone()?,
            place: Rc::clone(&place),
        };
        Ok((around, place))
    }
}

impl Write for Around {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let position = self.place.position.get();
        let written = self.place.written.borrow().clone();
        let count = if written.contains(&position) {
            bytes
                .len()
                .min(usize::try_from(written.end - position).unwrap_or(usize::MAX))
        } else {
            // The part is written and read through the same file, which has one position for all.
            self.out.seek(SeekFrom::Start(position))?;
            self.out.write(bytes)?
        };
        self.place.position.set(position + count as u64);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl Seek for Around {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let to = match to {
            SeekFrom::Current(by) => SeekFrom::Start(self.place.position.get().saturating_add_signed(by)),
            other => other,
        };
        let position = self.out.seek(to)?;
        self.place.position.set(position);
        Ok(position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    #[test]
    fn what_is_there_is_not_written_again() {
        let mut file = tempfile::tempfile().unwrap();
        let (mut around, place) = Around::of(&file).unwrap();
        around.write_all(b"head").unwrap();
        assert_eq!(place.position(), 4);
        file.seek(SeekFrom::Start(4)).unwrap();
        file.write_all(b"there").unwrap();
        place.is_written(4..9);
        around.write_all(b"THEREtail").unwrap();
        around.seek(SeekFrom::Start(0)).unwrap();
        around.write_all(b"HE").unwrap();
        around.seek(SeekFrom::Current(1)).unwrap();
        around.write_all(b"D").unwrap();
        let mut found = String::new();
        file.seek(SeekFrom::Start(0)).unwrap();
        file.read_to_string(&mut found).unwrap();
        assert_eq!(found, "HEaDtheretail");
    }
}
