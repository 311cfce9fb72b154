//! Shears.

use kernels::random::Draws;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::geometry::{FillMode, Interpolation, Matrix, Warp};
use crate::image::{Image, ImageShape};
use crate::range::Factor;
use crate::transform::Transformation;

/// Shears an image about its upper left corner. Keras: `RandomShear`.
///
/// $$ y(i, j) = x(i + s_y j,\; j + s_x i), \quad s_x \sim U(\text{x\_factor}),\; s_y \sim U(\text{y\_factor}) $$
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RandomShear {
    /// Columns a row, in [-1, 1]; one number `f` means `[-f, f]`.
    pub x_factor: Factor,
    /// Rows a column, in [-1, 1].
    pub y_factor: Factor,
    /// What moves in at the border.
    pub fill_mode: FillMode,
    /// Between the pixels.
    pub interpolation: Interpolation,
    /// The value of fill mode `constant`.
    pub fill_value: f32,
}

impl Default for RandomShear {
    fn default() -> Self {
        Self {
            x_factor: Factor::Single(0.0),
            y_factor: Factor::Single(0.0),
            fill_mode: FillMode::Reflect,
            interpolation: Interpolation::Bilinear,
            fill_value: 0.0,
        }
    }
}

/// What one shear is determined by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShearParameters {
    /// `[x, y]`: columns a row, rows a column.
    pub shear_factor: [f64; 2],
}

impl Transformation for RandomShear {
    const CLASS: &'static str = "RandomShear";
    const NAME: &'static str = "shear";
    const ABOUT: &'static str = "slants along x and y";
    const ARGUMENTS: &'static [&'static str] = &["x_factor", "y_factor", "fill_mode", "interpolation", "fill_value"];
    const REQUIRED: usize = 0;
    type Parameters = ShearParameters;

    fn check(&self) -> Result<()> {
        self.x_factor.check(Self::CLASS, "x_factor", -1.0, 1.0)?;
        self.y_factor.check(Self::CLASS, "y_factor", -1.0, 1.0)
    }

    fn draw(&self, draws: &mut Draws, _shape: ImageShape) -> ShearParameters {
        let shear_factor = [self.x_factor, self.y_factor].map(|factor| {
            let (low, high) = factor.bounds(-1.0);
            draws.uniform_in(low, high)
        });
        ShearParameters { shear_factor }
    }

    fn apply(&self, image: &mut Image, parameters: &ShearParameters) -> Result<()> {
        if let Some(warp) = self.warp(parameters, image.shape()) {
            warp.apply(image);
        }
        Ok(())
    }

    fn warp(&self, parameters: &ShearParameters, _shape: ImageShape) -> Option<Warp> {
        let [x, y] = parameters.shear_factor;
        let matrix = Matrix::affine([1.0, x, 0.0], [y, 1.0, 0.0]);
        Some(Warp::new(matrix, self.interpolation, self.fill_mode, self.fill_value))
    }
}
