//! Translations.

use kernels::random::Draws;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::geometry::{FillMode, Interpolation, Matrix, Warp};
use crate::image::{Image, ImageShape};
use crate::range::Factor;
use crate::transform::Transformation;

/// Shifts an image by a random part of its height and width. Keras: `RandomTranslation`.
///
/// $$ y(i, j) = x(i - t_y, j - t_x), \quad t_y \sim h\,U(\text{height\_factor}),\; t_x \sim w\,U(\text{width\_factor}) $$
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RandomTranslation {
    /// Parts of the height, in [-1, 1]; positive is down. One number `f` means `[-f, f]`.
    pub height_factor: Factor,
    /// Parts of the width, in [-1, 1]; positive is right.
    pub width_factor: Factor,
    /// What moves in at the border.
    pub fill_mode: FillMode,
    /// Between the pixels.
    pub interpolation: Interpolation,
    /// The value of fill mode `constant`.
    pub fill_value: f32,
}

impl Default for RandomTranslation {
    fn default() -> Self {
        Self {
            height_factor: Factor::Single(0.1),
            width_factor: Factor::Single(0.1),
            fill_mode: FillMode::Reflect,
            interpolation: Interpolation::Bilinear,
            fill_value: 0.0,
        }
    }
}

/// What one translation is determined by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TranslationParameters {
    /// `[x, y]` in pixels, right and down.
    pub translations: [f64; 2],
}

impl Transformation for RandomTranslation {
    const CLASS: &'static str = "RandomTranslation";
    const NAME: &'static str = "translate";
    const ABOUT: &'static str = "shifts by a random part of height and width";
    const ARGUMENTS: &'static [&'static str] = &[
        "height_factor",
        "width_factor",
        "fill_mode",
        "interpolation",
        "fill_value",
    ];
    const REQUIRED: usize = 2;
    type Parameters = TranslationParameters;

    fn check(&self) -> Result<()> {
        self.height_factor.check(Self::CLASS, "height_factor", -1.0, 1.0)?;
        self.width_factor.check(Self::CLASS, "width_factor", -1.0, 1.0)
    }

    fn draw(&self, draws: &mut Draws, shape: ImageShape) -> TranslationParameters {
        let (low, high) = self.height_factor.bounds(-1.0);
        let y = draws.uniform_in(low, high) * shape.height as f64;
        let (low, high) = self.width_factor.bounds(-1.0);
        let x = draws.uniform_in(low, high) * shape.width as f64;
        TranslationParameters { translations: [x, y] }
    }

    fn apply(&self, image: &mut Image, parameters: &TranslationParameters) -> Result<()> {
        if let Some(warp) = self.warp(parameters, image.shape()) {
            warp.apply(image);
        }
        Ok(())
    }

    fn warp(&self, parameters: &TranslationParameters, _shape: ImageShape) -> Option<Warp> {
        let [x, y] = parameters.translations;
        let matrix = Matrix::affine([1.0, 0.0, -x], [0.0, 1.0, -y]);
        Some(Warp::new(matrix, self.interpolation, self.fill_mode, self.fill_value))
    }
}
