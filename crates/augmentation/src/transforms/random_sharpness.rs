//! Sharpness.

use kernels::random::Draws;
use serde::{Deserialize, Serialize};

use super::convolve_zero_padded;
use crate::error::Result;
use crate::image::{Image, ImageShape};
use crate::range::{Factor, ValueRange};
use crate::transform::Transformation;

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
        const A: f32 = 1.0 / 13.0;
        const B: f32 = 5.0 / 13.0;
        let smooth = convolve_zero_padded(image, &[A, A, A, A, B, A, A, A, A], 3, 3);
        let weight = 1.0 - 2.0 * parameters.factor;
        for (value, smooth) in image.data.iter_mut().zip(smooth) {
            *value = self.value_range.clip(*value + weight * (smooth - *value));
        }
        Ok(())
    }
}
