//! Sharpness.

use kernels::random::Draws;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::image::{Image, ImageShape};
use crate::pixels::{Pixel, PixelsMut};
use crate::range::{Factor, ValueRange};
use crate::transform::{Transformation, on_image};
use crate::vectors::{Work, widest};

/// Blurs or sharpens. Keras: `RandomSharpness`.
///
/// $$ y = \operatorname{clip}\bigl(x + (1 - 2f)(s - x)\bigr), \quad s = x * \tfrac1{13}\begin{pmatrix}1&1&1\\1&5&1\\1&1&1\end{pmatrix} $$
/// so 0 gives the blurred image, 0.5 changes nothing and 1 sharpens. The blur pads with zeros.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RandomSharpness {
    /// `f` in [0, 1]; one number means `[0, f]`.
    pub factor: Factor,
    /// The values that pixels may have.
    pub value_range: ValueRange,
}

impl Default for RandomSharpness {
    fn default() -> Self {
        Self {
            factor: Factor::Pair([0.25, 0.75]),
            value_range: ValueRange::BYTES,
        }
    }
}

/// What one sharpening is determined by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SharpnessParameters {
    /// 0 blurs, 0.5 changes nothing, 1 sharpens.
    pub factor: f32,
}

impl Transformation for RandomSharpness {
    const CLASS: &'static str = "RandomSharpness";
    const NAME: &'static str = "sharpness";
    const ABOUT: &'static str = "blurs (factor below 0.5) or sharpens (above)";
    const ARGUMENTS: &'static [&'static str] = &["factor", "value_range"];
    const REQUIRED: usize = 1;
    type Parameters = SharpnessParameters;

    fn check(&self) -> Result<()> {
        self.factor.check(Self::CLASS, "factor", 0.0, 1.0)?;
        self.value_range.check(Self::CLASS)
    }

    fn draw(&self, draws: &mut Draws, _shape: ImageShape) -> SharpnessParameters {
        let (low, high) = self.factor.bounds(0.0);
        SharpnessParameters {
            factor: draws.uniform_in(low, high) as f32,
        }
    }

    fn apply(&self, image: &mut Image, parameters: &SharpnessParameters) -> Result<()> {
        on_image(self, image, parameters)
    }

    fn apply_in_place<P: Pixel>(
        &self,
        pixels: &mut PixelsMut<'_, P>,
        parameters: &SharpnessParameters,
    ) -> Option<Result<()>> {
        let range = P::units(self.value_range, pixels.range)?;
        // Outside of the image is the value 0, which bytes have where their range begins with it.
        if P::LEVELS && self.value_range.low != 0.0 {
            return None;
        }
        let weight = 1.0 - 2.0 * parameters.factor;
        pixels.scratch.clear();
        let frame = pixels.shape.channels;
        for line in pixels.data.chunks_exact(pixels.shape.width * frame) {
            pixels.scratch.resize(pixels.scratch.len() + frame, P::default());
            pixels.scratch.extend_from_slice(line);
            pixels.scratch.resize(pixels.scratch.len() + frame, P::default());
        }
        widest(Sharpened {
            framed: pixels.scratch,
            out: pixels.data,
            shape: pixels.shape,
            range,
            weight,
        });
        Some(Ok(()))
    }
}

/// Each value blended with the mean of those around it, among which it counts five times.
struct Sharpened<'a, P> {
    /// The image with a pixel of zeros on both sides of each row.
    framed: &'a [P],
    out: &'a mut [P],
    shape: ImageShape,
    range: ValueRange,
    weight: f32,
}

impl<P: Pixel> Work for Sharpened<'_, P> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let (channels, height) = (self.shape.channels, self.shape.height);
        let row = self.shape.width * channels;
        let wide = row + 2 * channels;
        // Sums of three rows, with their ends.
        let mut sums = vec![0f32; wide];
        for (y, out) in self.out.chunks_exact_mut(row).enumerate() {
            sums.fill(0.0);
            for line in self
                .framed
                .chunks_exact(wide)
                .take(height.min(y + 2))
                .skip(y.saturating_sub(1))
            {
                for (sum, value) in sums.iter_mut().zip(line) {
                    *sum += value.to_f32();
                }
            }
            let own = &self.framed[y * wide + channels..][..row];
            let (left, middle, right) = (&sums[..row], &sums[channels..][..row], &sums[2 * channels..][..row]);
            for i in 0..row {
                let value = own[i].to_f32();
                let smooth = (left[i] + middle[i] + right[i] + 4.0 * value) * (1.0 / 13.0);
                out[i] = P::from_f32(self.range.clip(value + self.weight * (smooth - value)));
            }
        }
    }
}
