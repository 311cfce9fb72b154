//! The gradient of a convolution's kernel on tiles of bfloat16: rows are channels, terms are positions, and a tap is a step along the
//! positions of an image whose channels are lines.

use super::amx::{DEPTH, EDGE, Strips, Tile, Tiles, is_available, multiply};
use super::convolution::{LEAST_USE, Lines};
use super::split::{Planes, Rows, Side, pack, pack_block};
use super::with_parts;
use crate::cpu::matmul::View;
use crate::cpu::real::Real;
use crate::precision::MatmulPrecision;

const TILE: usize = size_of::<Tile>();

/// Adds the gradients of one image after the other.
pub(in crate::cpu) struct KernelGradient {
    parts: usize,
    filters: usize,
    channels: usize,
    /// Positions in a line of the padded image, output positions in a line, and lines of them.
    width: usize,
    columns: usize,
    rows: usize,
    /// Where the taps lie, in positions.
    taps: Vec<usize>,
    /// The image with channels as lines.
    planes: Planes,
    /// The output's gradient with as many positions in a line as the image has, and as the right factor.
    dz: Vec<f32>,
    right: Vec<Tile>,
}

impl KernelGradient {
    /// `None` where multiply-adds of `f32` serve better.
    pub(in crate::cpu) fn new<T: Real>(
        precision: MatmulPrecision,
        lines: Lines<'_>,
        taps: Vec<usize>,
        filters: usize,
    ) -> Option<Self> {
        let parts = precision.parts().filter(|_| is_available())?;
        // Less than 16 filters fill neither a tile nor a vector.
        let used = lines.channels as f64 / lines.channels.next_multiple_of(EDGE) as f64;
        let share = used * lines.share();
        T::as_f32(&[]).filter(|_| share >= LEAST_USE[parts - 1])?;
        let positions = (lines.rows - 1) * lines.width + lines.columns;
        Some(Self {
            parts,
            filters,
            channels: lines.channels,
            width: lines.width,
            columns: lines.columns,
            rows: lines.rows,
            taps,
            planes: Planes::default(),
            dz: vec![0.0; positions * filters],
            right: Vec::new(),
        })
    }

    /// `dw += patches^T dz` of one image: `image` is padded, `dz` has a row of filters for each output, `dw` one for each tap and channel.
    ///
    /// # Panics
    /// If a slice is too short.
    pub(in crate::cpu) fn add<T: Real>(&mut self, image: &[T], dz: &[T], dw: &mut [T]) {
        if let (Some(image), Some(dz), Some(dw)) = (T::as_f32(image), T::as_f32(dz), T::as_f32_mut(dw)) {
            let row = self.columns * self.filters;
            for (index, dz) in dz.chunks_exact(row).take(self.rows).enumerate() {
                self.dz[index * self.width * self.filters..][..row].copy_from_slice(dz);
            }
            with_parts!(self.parts, add(self, image, dw));
        }
    }
}

fn add<const PARTS: usize>(gradient: &mut KernelGradient, image: &[f32], dw: &mut [f32]) {
    let KernelGradient {
        filters,
        channels,
        ref taps,
        ref mut planes,
        ref dz,
        ref mut right,
        ..
    } = *gradient;
    let terms = dz.len() / filters;
    let blocks = terms.div_ceil(DEPTH);
    let (channel_strips, filter_strips) = (channels.div_ceil(EDGE), filters.div_ceil(EDGE));
    assert!(is_available() && dw.len() >= taps.len() * channels * filters);

    // The image with its channels as lines: a tap is a step along all of them.
    let pixels = image.len() / channels;
    let reach = taps.iter().copied().max().unwrap_or(0) + blocks * DEPTH;
    let line = reach.max(pixels).next_multiple_of(DEPTH);
    let distance = channel_strips * EDGE * line;
    let planes = planes.of(PARTS * distance);
    for numbers in planes.chunks_exact_mut(line) {
        numbers[pixels.next_multiple_of(DEPTH)..].fill(0);
    }
    let by_channel = View::rows(image, pixels, channels).transposed();
    for strip in 0..channel_strips {
        for block in 0..pixels.div_ceil(DEPTH) {
            let start = planes[strip * EDGE * line + block * DEPTH..].as_mut_ptr();
            // SAFETY: the instructions are there, as was asserted; block by block, 16 rows of 32 numbers lie in the plane of each part.
            unsafe {
                let to = Rows::new(start.cast(), line * size_of::<u16>(), distance * size_of::<u16>());
                pack_block::<PARTS>(by_channel, Side::Left, strip, block, to);
            }
        }
    }

    let len = filter_strips * blocks * PARTS;
    right.clear();
    right.reserve(len);
    let matrix = View::rows(dz, terms, filters);
    for (strip, tiles) in right.spare_capacity_mut()[..len]
        .chunks_exact_mut(blocks * PARTS)
        .enumerate()
    {
        pack::<PARTS>(matrix, Side::Right, strip, 0..blocks, tiles);
    }
    // SAFETY: `pack` writes every tile that it gets, and these were all tiles.
    unsafe { right.set_len(len) };

    let right_offsets: Vec<usize> = (0..blocks).map(|block| block * PARTS * TILE).collect();
    let left_offsets: Vec<usize> = (0..blocks).map(|block| block * DEPTH * size_of::<u16>()).collect();
    let tiles = Tiles::configure();
    let mut edge = [0.0f32; 4 * EDGE * EDGE];
    for filter_strip in (0..filter_strips).step_by(2) {
        let first: *const u8 = right[filter_strip * blocks * PARTS..].as_ptr().cast();
        let right = Strips {
            first,
            second: first.wrapping_add(blocks * PARTS * TILE),
            row: 2 * DEPTH,
            part: TILE,
            offsets: &right_offsets,
        };
        for (tap, place) in taps.iter().enumerate() {
            for channel_strip in (0..channel_strips).step_by(2) {
                let first = planes[channel_strip * EDGE * line + place..].as_ptr().cast::<u8>();
                let left = Strips {
                    first,
                    second: first.wrapping_add(EDGE * line * size_of::<u16>()),
                    row: line * size_of::<u16>(),
                    part: distance * size_of::<u16>(),
                    offsets: &left_offsets,
                };
                let (channel, filter) = (channel_strip * EDGE, filter_strip * EDGE);
                let (rows, columns) = ((channels - channel).min(2 * EDGE), (filters - filter).min(2 * EDGE));
                let whole = rows % EDGE == 0 && columns % EDGE == 0;
                let to = &mut dw[(tap * channels + channel) * filters + filter..];
                let (out, stride) = if whole {
                    (to.as_mut_ptr(), filters)
                } else {
                    (edge.as_mut_ptr(), 2 * EDGE)
                };
                // SAFETY: a left tile reads at most `reach` numbers of a line, and second strips only where there are some; whole tiles
                // of sums lie in `dw`, whose length was asserted, others go to `edge`.
                unsafe {
                    match (rows > EDGE, columns > EDGE) {
                        (true, true) => multiply::<PARTS, 2, 2>(&tiles, left, right, out, stride, whole),
                        (true, false) => multiply::<PARTS, 2, 1>(&tiles, left, right, out, stride, whole),
                        (false, true) => multiply::<PARTS, 1, 2>(&tiles, left, right, out, stride, whole),
                        (false, false) => multiply::<PARTS, 1, 1>(&tiles, left, right, out, stride, whole),
                    }
                }
                if !whole {
                    for row in 0..rows {
                        let sums = &edge[row * 2 * EDGE..][..columns];
                        let to = &mut to[row * filters..][..columns];
                        to.iter_mut().zip(sums).for_each(|(to, sum)| *to += *sum);
                    }
                }
            }
        }
    }
}
