//! Perspective.

use kernels::random::Draws;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::geometry::{FillMode, Interpolation, Matrix, Warp};
use crate::image::{Image, ImageShape};
use crate::range::Factor;
use crate::transform::Transformation;

/// Looks at an image from aside: moves its corners and maps the rest along. Keras: `RandomPerspective`.
///
/// $$ \text{end} = \text{start} + \text{start} \odot U(-s/2, s/2) $$ where `start` are the corners in pixels and `s` is
/// `scale`; so the corner (0, 0) stays, as in Keras.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RandomPerspective {
    /// The probability, in [0, 1], itself drawn from this range; one number `f` means `[0, f]`, on average `f / 2`.
    pub factor: Factor,
    /// How far corners move, as a part of their coordinates, in [0, 1].
    pub scale: f64,
    /// Between the pixels.
    pub interpolation: Interpolation,
    /// The value outside of the image.
    pub fill_value: f32,
}

impl Default for RandomPerspective {
    fn default() -> Self {
        Self {
            factor: Factor::Single(1.0),
            scale: 1.0,
            interpolation: Interpolation::Bilinear,
            fill_value: 0.0,
        }
    }
}

/// What one change of perspective is determined by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PerspectiveParameters {
    /// Whether anything happens.
    pub apply_perspective: bool,
    /// Corners of the input, `[x, y]` each: upper left, upper right, lower left, lower right.
    pub start_points: [[f64; 2]; 4],
    /// Where they come to lie in the output.
    pub end_points: [[f64; 2]; 4],
}

impl Transformation for RandomPerspective {
    const CLASS: &'static str = "RandomPerspective";
    const NAME: &'static str = "perspective";
    const ABOUT: &'static str = "moves the corners and maps the rest along";
    const ARGUMENTS: &'static [&'static str] = &["factor", "scale", "interpolation", "fill_value"];
    const REQUIRED: usize = 0;
    type Parameters = PerspectiveParameters;

    fn check(&self) -> Result<()> {
        self.factor.check(Self::CLASS, "factor", 0.0, 1.0)?;
        Factor::Single(self.scale).check(Self::CLASS, "scale", 0.0, 1.0)
    }

    fn draw(&self, draws: &mut Draws, shape: ImageShape) -> PerspectiveParameters {
        let (low, high) = self.factor.bounds(0.0);
        let probability = draws.uniform_in(low, high);
        let apply_perspective = draws.bernoulli(probability);
        let (right, bottom) = ((shape.width - 1) as f64, (shape.height - 1) as f64);
        let start_points = [[0.0, 0.0], [right, 0.0], [0.0, bottom], [right, bottom]];
        let reach = self.scale / 2.0;
        let end_points = start_points.map(|p| p.map(|v| v + v * draws.uniform_in(-reach, reach)));
        PerspectiveParameters {
            apply_perspective,
            start_points,
            end_points,
        }
    }

    fn apply(&self, image: &mut Image, parameters: &PerspectiveParameters) -> Result<()> {
        if !parameters.apply_perspective || image.width == 1 || image.height == 1 {
            return Ok(());
        }
        let warp = self.warp(parameters, image.shape()).ok_or_else(|| Error::Parameters {
            transformation: Self::CLASS,
            reason: "three of the four corners lie on one line".into(),
        })?;
        warp.apply(image);
        Ok(())
    }

    fn warp(&self, parameters: &PerspectiveParameters, shape: ImageShape) -> Option<Warp> {
        if !parameters.apply_perspective || shape.width == 1 || shape.height == 1 {
            return Some(Warp {
                matrix: Matrix::IDENTITY,
                reading: None,
            });
        }
        let matrix = Matrix::from_points(parameters.start_points, parameters.end_points)?;
        Some(Warp::new(
            matrix,
            self.interpolation,
            FillMode::Constant,
            self.fill_value,
        ))
    }
}
