//! Fog.

use kernels::random::{Draws, Stream};
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::image::{Image, ImageShape};
use crate::noise;
use crate::range::{Factor, ValueRange};
use crate::transform::Transformation;

/// Grids of random numbers that the banks of fog are made of: cells along each side, and the weight of the grid.
const OCTAVES: [(usize, f32); 4] = [(2, 0.5), (4, 0.25), (8, 0.15), (16, 0.1)];

/// Lays banks of white fog over an image.
///
/// $$ y = x + d\, f(p)\, (high - x), \quad d \sim U(\text{density}) $$ where the fog `f`, 0.4 to 1, is smooth noise: four
/// grids of random numbers, each finer than the one before, read between their points. Not a Keras class; ImageNet-C has
/// a corruption of this name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RandomFog {
    /// How much of the light comes from the fog at most, in [0, 1]; one number `d` means `[0, d]`.
    pub density: Factor,
    /// The values that pixels may have.
    pub value_range: ValueRange,
}

impl Default for RandomFog {
    fn default() -> Self {
        Self {
            density: Factor::Single(0.6),
            value_range: ValueRange::BYTES,
        }
    }
}

/// What the fog of one image is determined by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FogParameters {
    /// How much of the light comes from the fog at most.
    pub density: f32,
    /// Seed of the banks.
    pub seed: u64,
}

impl Transformation for RandomFog {
    const CLASS: &'static str = "RandomFog";
    const NAME: &'static str = "fog";
    const ABOUT: &'static str = "lays banks of white fog over the image";
    const ARGUMENTS: &'static [&'static str] = &["density", "value_range"];
    const REQUIRED: usize = 0;
    type Parameters = FogParameters;

    fn check(&self) -> Result<()> {
        self.density.check(Self::CLASS, "density", 0.0, 1.0)?;
        self.value_range.check(Self::CLASS)
    }

    fn draw(&self, draws: &mut Draws, _shape: ImageShape) -> FogParameters {
        let (low, high) = self.density.bounds(0.0);
        FogParameters {
            density: draws.uniform_in(low, high) as f32,
            seed: noise::seed(draws),
        }
    }

    fn apply(&self, image: &mut Image, parameters: &FogParameters) -> Result<()> {
        let field = field(parameters.seed, image.height, image.width);
        // An alpha channel is no light.
        let colours = if image.channels == 4 { 3 } else { image.channels };
        for (pixel, fog) in image.data.chunks_exact_mut(image.channels).zip(field) {
            let share = parameters.density * (0.4 + 0.6 * fog);
            for value in &mut pixel[..colours] {
                *value = self.value_range.clip(*value + share * (self.value_range.high - *value));
            }
        }
        Ok(())
    }
}

/// Smooth noise in [0, 1), a number a pixel.
fn field(seed: u64, height: usize, width: usize) -> Vec<f32> {
    let mut draws = Stream::new(seed).op("fog").draws();
    let mut field = vec![0f32; height * width];
    for (cells, weight) in OCTAVES {
        let points = cells + 1;
        let mut grid = vec![0f32; points * points];
        draws.fill_uniform(&mut grid, 0.0, weight);
        // Smoothstep: no edges along the lines of the grid.
        let read = |i: usize, size: usize| {
            let place = (i as f32 + 0.5) / size as f32 * cells as f32;
            let cell = (place as usize).min(cells - 1);
            let t = place - cell as f32;
            (cell, t * t * (3.0 - 2.0 * t))
        };
        let columns: Vec<(usize, f32)> = (0..width).map(|x| read(x, width)).collect();
        for (y, row) in field.chunks_exact_mut(width).enumerate() {
            let (top, dy) = read(y, height);
            for (value, &(left, dx)) in row.iter_mut().zip(&columns) {
                let between = |row: usize| {
                    let at = row * points + left;
                    grid[at] * (1.0 - dx) + grid[at + 1] * dx
                };
                *value += between(top) * (1.0 - dy) + between(top + 1) * dy;
            }
        }
    }
    field
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fog_brightens_by_at_most_its_density_and_is_smooth() {
        let parameters = FogParameters { density: 0.5, seed: 3 };
        let mut image = Image::new(60, 60, 1, vec![0.0; 3600]).unwrap();
        RandomFog::default().apply(&mut image, &parameters).unwrap();
        assert!(image.data.iter().all(|v| (0.2 * 255.0 - 0.1..=0.5 * 255.0).contains(v)));
        let steepest = image.data.windows(2).enumerate().filter(|(i, _)| i % 60 != 59);
        let steepest = steepest.map(|(_, w)| (w[0] - w[1]).abs()).fold(0.0, f32::max);
        let largest = image.data.iter().copied().fold(0.0, f32::max);
        let spread = largest - image.data.iter().copied().fold(255.0, f32::min);
        assert!(
            spread > 15.0 && steepest < spread / 4.0,
            "spread {spread}, steepest {steepest}"
        );
    }
}
