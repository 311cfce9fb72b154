//! Fewer bits.

use kernels::random::Draws;
use serde::{Deserialize, Serialize};

use crate::arithmetic::for_each;
use crate::error::{Error, Result};
use crate::image::{Image, ImageShape};
use crate::pixels::{Pixel, PixelsMut};
use crate::range::{Factor, ValueRange};
use crate::transform::{Transformation, on_image};
use crate::vectors::floor;

/// Keeps only the highest bits of each value. Keras: `RandomPosterization`.
///
/// $$ y = \lfloor x / 2^{8-b} \rfloor\, 2^{8-b} $$ on bytes, with `b` drawn from `[low, high)`: as in Keras the upper
/// number is exclusive unless both are equal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RandomPosterization {
    /// Bits to keep, 1 to 8; one number `b` means `[1, b]`.
    pub factor: Factor,
    /// The values that pixels may have.
    pub value_range: ValueRange,
}

impl Default for RandomPosterization {
    fn default() -> Self {
        Self {
            factor: Factor::Pair([3.0, 6.0]),
            value_range: ValueRange::BYTES,
        }
    }
}

/// What one posterization is determined by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PosterizationParameters {
    /// How many bits are cleared.
    pub shift_factor: u8,
}

impl Transformation for RandomPosterization {
    const CLASS: &'static str = "RandomPosterization";
    const NAME: &'static str = "posterize";
    const ABOUT: &'static str = "keeps only the highest bits of each value";
    const ARGUMENTS: &'static [&'static str] = &["factor", "value_range"];
    const REQUIRED: usize = 1;
    type Parameters = PosterizationParameters;

    fn check(&self) -> Result<()> {
        self.factor.check(Self::CLASS, "factor", 1.0, 8.0)?;
        self.value_range.check(Self::CLASS)
    }

    fn draw(&self, draws: &mut Draws, _shape: ImageShape) -> PosterizationParameters {
        let (low, high) = self.factor.bounds(1.0);
        let (low, high) = (low as usize, high as usize);
        let bits = (low + draws.below(high - low)).min(8);
        PosterizationParameters {
            shift_factor: 8 - bits as u8,
        }
    }

    fn apply(&self, image: &mut Image, parameters: &PosterizationParameters) -> Result<()> {
        on_image(self, image, parameters)
    }

    fn apply_in_place<P: Pixel>(
        &self,
        pixels: &mut PixelsMut<'_, P>,
        parameters: &PosterizationParameters,
    ) -> Option<Result<()>> {
        P::units(self.value_range, pixels.range)?;
        let shift = parameters.shift_factor;
        if shift > 7 {
            return Some(Err(Error::Parameters {
                transformation: Self::CLASS,
                reason: format!("cannot clear {shift} of 8 bits"),
            }));
        }
        if let Some(bytes) = P::bytes(pixels.data) {
            for_each(bytes, |byte| (byte >> shift) << shift);
            return Some(Ok(()));
        }
        // Levels as they are read back from a range must not fall below themselves.
        let nudge = if P::LEVELS { 0.5 } else { 0.0 };
        let range = self.value_range;
        #[expect(clippy::manual_clamp, reason = "`clamp` keeps NaN, which becomes 0 here")]
        pixels.map_values(move |value| {
            // What `as u8` does, of many at once.
            let byte = floor((range.to_bytes(value) + nudge).max(0.0).min(255.0)) as u8;
            range.unscale_bytes(f32::from((byte >> shift) << shift))
        });
        Some(Ok(()))
    }
}
