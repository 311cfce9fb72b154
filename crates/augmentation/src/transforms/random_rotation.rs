//! Rotations.

use kernels::random::Draws;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::geometry::{FillMode, Interpolation, Matrix, Warp};
use crate::image::{Image, ImageShape};
use crate::range::Factor;
use crate::transform::Transformation;

/// Rotates an image about its centre by a random angle. Keras: `RandomRotation`.
///
/// $$ y(p) = x\bigl(c + R_\alpha (p - c)\bigr), \quad c = \tfrac12 (w - 1, h - 1), \quad \alpha \sim 360°\,U(\text{factor}) $$
///
/// A positive angle turns counter-clockwise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RandomRotation {
    /// Parts of a full turn, in [-1, 1]; one number `f` means `[-f, f]`.
    pub factor: Factor,
    /// What moves in at the border.
    pub fill_mode: FillMode,
    /// Between the pixels.
    pub interpolation: Interpolation,
    /// The value of fill mode `constant`.
    pub fill_value: f32,
}

impl Default for RandomRotation {
    fn default() -> Self {
        Self {
            factor: Factor::Single(0.1),
            fill_mode: FillMode::Reflect,
            interpolation: Interpolation::Bilinear,
            fill_value: 0.0,
        }
    }
}

/// What one rotation is determined by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RotationParameters {
    /// In degrees.
    pub angle: f64,
}

impl Transformation for RandomRotation {
    const CLASS: &'static str = "RandomRotation";
    const NAME: &'static str = "rotate";
    const ABOUT: &'static str = "turns about the centre by a random part of a full turn";
    const ARGUMENTS: &'static [&'static str] = &["factor", "fill_mode", "interpolation", "fill_value"];
    const REQUIRED: usize = 1;
    type Parameters = RotationParameters;

    fn check(&self) -> Result<()> {
        self.factor.check(Self::CLASS, "factor", -1.0, 1.0)
    }

    fn draw(&self, draws: &mut Draws, _shape: ImageShape) -> RotationParameters {
        let (low, high) = self.factor.bounds(-1.0);
        RotationParameters {
            angle: draws.uniform_in(low, high) * 360.0,
        }
    }

    fn apply(&self, image: &mut Image, parameters: &RotationParameters) -> Result<()> {
        if let Some(warp) = self.warp(parameters, image.shape()) {
            warp.apply(image);
        }
        Ok(())
    }

    fn warp(&self, parameters: &RotationParameters, shape: ImageShape) -> Option<Warp> {
        // In f32, as Keras: the last bit decides on which side of a border a turn by 180 degrees reads.
        let (sin, cos) = (parameters.angle as f32 * (std::f32::consts::PI / 180.0)).sin_cos();
        let (x, y) = ((shape.width - 1) as f32 / 2.0, (shape.height - 1) as f32 / 2.0);
        let a = [cos, -sin, x - cos * x + sin * y].map(f64::from);
        let b = [sin, cos, y - sin * x - cos * y].map(f64::from);
        let matrix = Matrix::affine(a, b);
        Some(Warp::new(matrix, self.interpolation, self.fill_mode, self.fill_value))
    }
}
