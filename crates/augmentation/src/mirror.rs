//! Pixels in reverse order, many at once.

use crate::pixels::Pixel;
use crate::vectors::{Work, widest};

/// Values that are read and written at once: whole pixels, of three channels five and a value that the next ones write over.
const WINDOW: usize = 16;

/// Reverses the order of the pixels of each row of `row` values; `scratch` is a buffer that may be used.
pub(crate) fn mirror_rows<P: Pixel>(data: &mut [P], row: usize, channels: usize, scratch: &mut Vec<P>) {
    match channels {
        1 => data.chunks_exact_mut(row).for_each(<[P]>::reverse),
        3 => widest(Mirrored::<P, 3> { data, row, scratch }),
        4 => widest(Mirrored::<P, 4> { data, row, scratch }),
        _ => data.chunks_exact_mut(row).for_each(|row| exchange(row, channels)),
    }
}

/// Reverses the order of items of `size` values each.
pub(crate) fn exchange<P: Pixel>(values: &mut [P], size: usize) {
    let count = values.len() / size;
    for i in 0..count / 2 {
        let (front, back) = values.split_at_mut((count - 1 - i) * size);
        front[i * size..(i + 1) * size].swap_with_slice(&mut back[..size]);
    }
}

struct Mirrored<'a, P, const C: usize> {
    data: &'a mut [P],
    row: usize,
    scratch: &'a mut Vec<P>,
}

impl<P: Pixel, const C: usize> Mirrored<'_, P, C> {
    /// Which value of a window comes to each place.
    const ORDER: [usize; WINDOW] = {
        let (mut order, mut place) = ([WINDOW - 1; WINDOW], 0);
        while place < WINDOW / C * C {
            order[place] = (WINDOW / C - 1 - place / C) * C + place % C;
            place += 1;
        }
        order
    };
}

impl<P: Pixel, const C: usize> Work for Mirrored<'_, P, C> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let row = self.row;
        self.scratch.clear();
        // Values behind the row, so that a window can be read wherever a pixel begins.
        self.scratch.resize(row + WINDOW, P::default());
        let line = self.scratch.as_mut_slice();
        for out in self.data.chunks_exact_mut(row) {
            line[..row].copy_from_slice(out);
            let mut done = 0;
            while done + WINDOW <= row {
                let from = row - done - WINDOW / C * C;
                let (Some(window), Some(to)) = (line[from..].first_chunk(), out[done..].first_chunk_mut()) else {
                    break;
                };
                *to = reordered::<P>(window, &Self::ORDER);
                done += WINDOW / C * C;
            }
            for (to, from) in out[done..].chunks_exact_mut(C).zip(line[..row - done].rchunks_exact(C)) {
                to.copy_from_slice(from);
            }
        }
    }
}

/// With a constant order this is one instruction.
#[inline(always)]
fn reordered<P: Pixel>(window: &[P; WINDOW], order: &[usize; WINDOW]) -> [P; WINDOW] {
    let mut out = [P::default(); WINDOW];
    for (value, &place) in out.iter_mut().zip(order) {
        *value = window[place];
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_change_places_and_channels_do_not() {
        for channels in 1..6 {
            for width in [1, 2, 5, 6, 11, 16, 37, 64] {
                let row = width * channels;
                let data: Vec<u8> = (0..3 * row).map(|i| (i % 251) as u8).collect();
                let expected: Vec<u8> = data
                    .chunks(row)
                    .flat_map(|row| row.rchunks(channels).flatten().copied())
                    .collect();
                let mut floats: Vec<f32> = data.iter().map(|&v| f32::from(v)).collect();
                let mut bytes = data;
                mirror_rows(&mut bytes, row, channels, &mut Vec::new());
                mirror_rows(&mut floats, row, channels, &mut Vec::new());
                assert_eq!(bytes, expected, "{width} {channels}");
                assert!(floats.iter().zip(&expected).all(|(a, &b)| *a == f32::from(b)));
            }
        }
    }
}
