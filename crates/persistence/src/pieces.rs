//! Tensors a piece at a time: small enough for a processor's cache, and never all of a tensor that has to be made.

use std::io;
use std::mem;

use rayon::prelude::*;

use crate::Result;
use crate::layout::Band;
use crate::stored::{Data, StoredTensor};

/// Bytes of a piece, a whole number of numbers of every format: some lie in the cache of a core at once.
pub(crate) const PIECE: usize = 1 << 20;

/// Bytes of a piece that is only looked at: what was summed is still in the inner caches of a core when it is used. With pieces of a mebibyte,
/// summing and using 400 MB took a tenth more of the processor's time.
pub(crate) const LOOK: usize = 1 << 18;

/// What `read` makes of each piece, in the order of the pieces; many pieces are read by all threads.
pub(crate) fn in_pieces<T: Send>(bytes: &[u8], read: impl Fn(&[u8]) -> T + Sync) -> Vec<T> {
    if bytes.len() <= LOOK {
        return vec![read(bytes)];
    }
    bytes.par_chunks(LOOK).map(&read).collect()
}

impl StoredTensor {
    /// Looks at all numbers once, piece by piece, by all threads: what `read` makes of the bytes of each piece, in the order in which the
    /// pieces lie in the file.
    ///
    /// That is the order of [`StoredTensor::bytes`], but for tensors that lie in another layout than their own (a matrix of a PyTorch
    /// checkpoint, whose axes are exchanged): these come in the order of the file, and are not turned. A piece has 256 KiB and is
    /// the same whatever the number of threads. A checksum is compared on the way.
    ///
    /// ```
    /// use persistence::{Dtype, StoredTensor};
    ///
    /// let bytes: Vec<u8> = (0..300_000).flat_map(|i| (i as f32).to_le_bytes()).collect();
    /// let tensor = StoredTensor::in_memory(Dtype::F32, vec![300, 1000], bytes).ok_or("another size")?;
    /// let zeros = tensor.scan(|piece| piece.as_chunks::<4>().0.iter().filter(|number| **number == [0; 4]).count())?;
    /// assert_eq!(zeros, [1, 0, 0, 0, 0]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`StoredTensor::bytes`].
    pub fn scan<T: Send>(&self, read: impl Fn(&[u8]) -> T + Sync) -> Result<Vec<T>> {
        self.ask();
        match &self.data {
            Data::File(part) => part.scan(read),
            Data::Turned(turned) if turned.is_all_of_base() => turned.base.scan(read),
            _ => self.lend(|bytes| in_pieces(bytes, read)),
        }
    }

    /// Lends the bytes piece by piece, in order. Of a tensor that is turned, the next piece is made while one is taken, and no more of it
    /// is in memory.
    ///
    /// # Errors
    /// As [`StoredTensor::bytes`]; within, what `take` says.
    pub(crate) fn lend_pieces(&self, mut take: impl FnMut(&[u8]) -> io::Result<()> + Send) -> Result<io::Result<()>> {
        self.ask();
        let Data::Turned(turned) = &self.data else {
            return self.lend(|bytes| bytes.chunks(PIECE).try_for_each(take));
        };
        let taken = turned.base.lend(|source| {
            let fill = |band: &Band<'_>, bytes: &mut Vec<u8>| {
                bytes.resize(band.len() * turned.item, 0);
                band.fill(source, turned.item, bytes);
            };
            let bands = turned.bands();
            let (mut made, mut next) = (Vec::new(), Vec::new());
            let mut bands = bands.iter();
            if let Some(first) = bands.next() {
                fill(first, &mut made);
            }
            for band in bands {
                rayon::join(|| take(&made), || fill(band, &mut next)).0?;
                mem::swap(&mut made, &mut next);
            }
            take(&made)
        });
        turned.base.release();
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Dtype;

    /// 700 x 600 numbers, and the same with their axes exchanged.
    fn pair() -> (StoredTensor, StoredTensor) {
        let bytes = (0..420_000u32).flat_map(u32::to_le_bytes).collect();
        let base = StoredTensor::in_memory(Dtype::F32, vec![700, 600], bytes).unwrap();
        let turned = base.permuted(&[700, 600], &[1, 0], vec![600, 700]).unwrap();
        (base, turned)
    }

    #[test]
    fn pieces_are_the_bytes() {
        let (base, turned) = pair();
        assert_ne!(base.bytes().unwrap(), turned.bytes().unwrap());
        for tensor in [base, turned] {
            let mut found = Vec::new();
            let taken = tensor.lend_pieces(|piece| {
                found.push(piece.to_vec());
                Ok(())
            });
            taken.unwrap().unwrap();
            assert!(found.len() > 1 && found.iter().all(|piece| piece.len() <= PIECE));
            assert!(found.concat() == *tensor.bytes().unwrap());
        }
    }

    #[test]
    fn what_cannot_be_taken_ends_the_tensor() {
        for tensor in [pair().0, pair().1] {
            let mut count = 0;
            let taken = tensor.lend_pieces(|_| {
                count += 1;
                Err(io::ErrorKind::StorageFull.into())
            });
            assert_eq!(taken.unwrap().unwrap_err().kind(), io::ErrorKind::StorageFull);
            assert_eq!(count, 1);
        }
    }

    #[test]
    fn a_scan_of_what_is_turned_sees_the_numbers_of_the_file() {
        let (base, turned) = pair();
        assert!(turned.scan(<[u8]>::to_vec).unwrap().concat() == *base.bytes().unwrap());
        let mut lengths = vec![LOOK; 420_000 * 4 / LOOK];
        lengths.push(420_000 * 4 % LOOK);
        assert_eq!(turned.scan(<[u8]>::len).unwrap(), lengths);
    }
}
