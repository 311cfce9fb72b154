//! Histogram equalization tile by tile.

use kernels::random::Draws;
use serde::{Deserialize, Serialize};

use super::NoParameters;
use crate::error::{Error, Result};
use crate::image::{Image, ImageShape};
use crate::range::{Factor, ValueRange};
use crate::transform::Transformation;

/// Levels of a histogram.
const LEVELS: usize = 256;

/// The most tiles along a side: 64 x 64 tables of a colour image take 12 MB.
const MAX_TILES: usize = 64;

/// Equalizes each tile of an image by its own histogram, with a limit to how much contrast may grow, and blends between
/// the tiles. Keras: `ContrastLimitedAdaptiveHistogramEqualization` (CLAHE).
///
/// $$ y = 255\,\frac{C_t(b(x)) - C_t(0)}{n_t - C_t(0)} $$ with the cumulated histogram `C_t` of the tile, whose bins are
/// cut at `clip_limit` times their mean and what was cut is spread over all bins; read bilinearly between the four tiles
/// around. As in Keras the image is mirrored at the lower and right border until tiles of one size cover it.
/// Zuiderveld, "Contrast Limited Adaptive Histogram Equalization", Graphics Gems IV, 1994.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ContrastLimitedAdaptiveHistogramEqualization {
    /// The values that pixels may have.
    pub value_range: ValueRange,
    /// How many times its mean a bin may hold, 0 to 256; 0 for no limit.
    pub clip_limit: f64,
    /// Rows and columns of tiles, 1 to 64 each.
    pub tile_grid_size: [usize; 2],
}

impl Default for ContrastLimitedAdaptiveHistogramEqualization {
    fn default() -> Self {
        Self {
            value_range: ValueRange::BYTES,
            clip_limit: 4.0,
            tile_grid_size: [8, 8],
        }
    }
}

impl ContrastLimitedAdaptiveHistogramEqualization {
    /// What each level of a tile becomes.
    fn table(&self, histogram: &[f32; LEVELS], area: f32) -> [f32; LEVELS] {
        let mut bins = *histogram;
        if self.clip_limit > 0.0 {
            let limit = (self.clip_limit * f64::from(area) / LEVELS as f64) as f32;
            let excess: f32 = bins.iter().map(|&n| (n - limit).max(0.0)).sum();
            let share = excess / LEVELS as f32;
            bins.iter_mut().for_each(|n| *n = n.min(limit) + share);
        }
        let mut sum = 0.0;
        for n in &mut bins {
            sum += *n;
            *n = sum;
        }
        let lowest = bins[0];
        let rest = if area == lowest { 1.0 } else { area - lowest };
        bins.map(|n| ((n - lowest) * 255.0 / rest).clamp(0.0, 255.0))
    }

    /// The level of a value: truncated, 0 to 255.
    fn level(&self, value: f32) -> usize {
        // `as usize` is 0 for negative numbers.
        (self.value_range.to_bytes(value) as usize).min(LEVELS - 1)
    }
}

/// The tiles of one axis: their size, and for each pixel the two tiles that it reads and the weight of the second.
struct Axis {
    tile: usize,
    reads: Vec<(usize, usize, f32)>,
}

impl Axis {
    fn new(size: usize, tiles: usize) -> Self {
        let tile = size.div_ceil(tiles);
        let read = |i: usize| {
            let place = (i as f32 - tile as f32 / 2.0) / tile as f32 + 1.0;
            let first = place.floor();
            let inside = |padded: f32| (padded as usize).saturating_sub(1).min(tiles - 1);
            (inside(first), inside(first + 1.0), place - first)
        };
        Self {
            tile,
            reads: (0..size).map(read).collect(),
        }
    }
}

/// The pixel that a place beyond the border mirrors, the border pixel twice.
fn mirrored(i: usize, size: usize) -> usize {
    let i = i % (2 * size);
    if i < size { i } else { 2 * size - 1 - i }
}

impl Transformation for ContrastLimitedAdaptiveHistogramEqualization {
    const CLASS: &'static str = "ContrastLimitedAdaptiveHistogramEqualization";
    const NAME: &'static str = "clahe";
    const ABOUT: &'static str = "spreads the values evenly tile by tile, with a limit (CLAHE)";
    const ARGUMENTS: &'static [&'static str] = &["clip_limit", "tile_grid_size", "value_range"];
    const REQUIRED: usize = 0;
    type Parameters = NoParameters;

    fn check(&self) -> Result<()> {
        Factor::Single(self.clip_limit).check(Self::CLASS, "clip_limit", 0.0, LEVELS as f64)?;
        if self.tile_grid_size.iter().any(|n| !(1..=MAX_TILES).contains(n)) {
            return Err(Error::Argument {
                transformation: Self::CLASS,
                argument: "tile_grid_size",
                found: format!("{:?}", self.tile_grid_size),
                expected: format!("two whole numbers between 1 and {MAX_TILES}"),
            });
        }
        self.value_range.check(Self::CLASS)
    }

    fn draw(&self, _draws: &mut Draws, _shape: ImageShape) -> NoParameters {
        NoParameters {}
    }

    fn apply(&self, image: &mut Image, _parameters: &NoParameters) -> Result<()> {
        let [grid_rows, grid_columns] = self.tile_grid_size;
        let (height, width, channels) = (image.height, image.width, image.channels);
        let (rows, columns) = (Axis::new(height, grid_rows), Axis::new(width, grid_columns));
        let area = (rows.tile * columns.tile) as f32;
        let mut tables = Vec::with_capacity(grid_rows * grid_columns);
        for channel in 0..channels {
            tables.clear();
            for tile in 0..grid_rows * grid_columns {
                let (top, left) = (tile / grid_columns * rows.tile, tile % grid_columns * columns.tile);
                let mut histogram = [0f32; LEVELS];
                for y in top..top + rows.tile {
                    let row = mirrored(y, height) * width;
                    for x in left..left + columns.tile {
                        let value = image.data[(row + mirrored(x, width)) * channels + channel];
                        histogram[self.level(value)] += 1.0;
                    }
                }
                tables.push(self.table(&histogram, area));
            }
            let pixels = image.data.iter_mut().skip(channel).step_by(channels);
            for (i, value) in pixels.enumerate() {
                let (above, below, dy) = rows.reads[i / width];
                let (left, right, dx) = columns.reads[i % width];
                let level = self.level(*value);
                let between = |row: usize| {
                    let at = |column: usize| tables[row * grid_columns + column][level];
                    at(left) * (1.0 - dx) + at(right) * dx
                };
                let blended = between(above) * (1.0 - dy) + between(below) * dy;
                *value = self.value_range.unscale_bytes(blended);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_tile_without_a_limit_is_equalization_by_the_whole_histogram() {
        let clahe = ContrastLimitedAdaptiveHistogramEqualization {
            clip_limit: 0.0,
            tile_grid_size: [1, 1],
            ..Default::default()
        };
        // Level 0 once and 100, 200, 250 once each: thirds of the way.
        let mut image = Image::new(2, 2, 1, vec![200.0, 0.0, 250.0, 100.0]).unwrap();
        clahe.apply(&mut image, &NoParameters {}).unwrap();
        assert_eq!(image.data, [170.0, 0.0, 255.0, 85.0]);
    }

    #[test]
    fn tiles_of_more_than_the_image_mirror_it() {
        assert_eq!(
            (0..8).map(|i| mirrored(i, 3)).collect::<Vec<_>>(),
            [0, 1, 2, 2, 1, 0, 0, 1]
        );
    }
}
