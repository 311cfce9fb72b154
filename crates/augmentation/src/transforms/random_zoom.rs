//! Zooms.

use kernels::random::Draws;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::geometry::{FillMode, Interpolation, Matrix, Warp};
use crate::image::{Image, ImageShape};
use crate::range::Factor;
use crate::transform::Transformation;

/// Zooms in or out about the centre. Keras: `RandomZoom`.
///
/// $$ y(p) = x\bigl(c + z \odot (p - c)\bigr), \quad z \sim 1 + U(\text{factor}) $$ so that a zoom above 1 zooms out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RandomZoom {
    /// In [-1, 1]; negative zooms in, positive out. One number `f` means `[-f, f]`.
    pub height_factor: Factor,
    /// The same for the width; without it both axes take the zoom of the height.
    pub width_factor: Option<Factor>,
    /// What moves in at the border.
    pub fill_mode: FillMode,
    /// Between the pixels.
    pub interpolation: Interpolation,
    /// The value of fill mode `constant`.
    pub fill_value: f32,
}

impl Default for RandomZoom {
    fn default() -> Self {
        Self {
            height_factor: Factor::Single(0.1),
            width_factor: None,
            fill_mode: FillMode::Reflect,
            interpolation: Interpolation::Bilinear,
            fill_value: 0.0,
        }
    }
}

/// What one zoom is determined by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ZoomParameters {
    /// Input rows an output row.
    pub height_zoom: f64,
    /// Input columns an output column.
    pub width_zoom: f64,
}

impl Transformation for RandomZoom {
    const CLASS: &'static str = "RandomZoom";
    const NAME: &'static str = "zoom";
    const ABOUT: &'static str = "zooms in (negative factor) or out (positive) about the centre";
    const ARGUMENTS: &'static [&'static str] = &[
        "height_factor",
        "width_factor",
        "fill_mode",
        "interpolation",
        "fill_value",
    ];
    const REQUIRED: usize = 1;
    type Parameters = ZoomParameters;

    fn check(&self) -> Result<()> {
        self.height_factor.check(Self::CLASS, "height_factor", -1.0, 1.0)?;
        self.width_factor
            .map_or(Ok(()), |factor| factor.check(Self::CLASS, "width_factor", -1.0, 1.0))
    }

    fn draw(&self, draws: &mut Draws, _shape: ImageShape) -> ZoomParameters {
        let mut zoom = |factor: Factor| {
            let (low, high) = factor.bounds(-1.0);
            draws.uniform_in(1.0 + low, 1.0 + high)
        };
        let height_zoom = zoom(self.height_factor);
        let width_zoom = self.width_factor.map_or(height_zoom, zoom);
        ZoomParameters {
            height_zoom,
            width_zoom,
        }
    }

    fn apply(&self, image: &mut Image, parameters: &ZoomParameters) -> Result<()> {
        if let Some(warp) = self.warp(parameters, image.shape()) {
            warp.apply(image);
        }
        Ok(())
    }

    fn warp(&self, parameters: &ZoomParameters, shape: ImageShape) -> Option<Warp> {
        let offset = |n: usize, zoom: f64| (n - 1) as f64 / 2.0 * (1.0 - zoom);
        let ZoomParameters {
            height_zoom,
            width_zoom,
        } = *parameters;
        let matrix = Matrix::affine(
            [width_zoom, 0.0, offset(shape.width, width_zoom)],
            [0.0, height_zoom, offset(shape.height, height_zoom)],
        );
        Some(Warp::new(matrix, self.interpolation, self.fill_mode, self.fill_value))
    }
}
