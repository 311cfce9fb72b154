//! Flips.

use kernels::random::Draws;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::geometry::{Matrix, Warp};
use crate::image::{Image, ImageShape};
use crate::mirror::{exchange, mirror_rows};
use crate::pixels::{Pixel, PixelsMut};
use crate::transform::{Transformation, on_image};

/// Which way an image is flipped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FlipMode {
    /// Left and right change places.
    Horizontal,
    /// Top and bottom change places.
    Vertical,
    /// Both or neither (one decision for both axes).
    #[default]
    HorizontalAndVertical,
}

/// Flips an image with probability 1/2. Keras: `RandomFlip`.
///
/// $$ y_{i,j} = x_{i, w-1-j} $$ for a horizontal flip, $$ y_{i,j} = x_{h-1-i, j} $$ for a vertical one.
///
/// ```
/// use augmentation::{FlipMode, FlipParameters, Image, RandomFlip, Transformation};
///
/// let mut image = Image::new(1, 3, 1, vec![1.0, 2.0, 3.0])?;
/// RandomFlip { mode: FlipMode::Horizontal }.apply(&mut image, &FlipParameters { flips: true })?;
/// assert_eq!(image.data, [3.0, 2.0, 1.0]);
/// # Ok::<(), augmentation::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RandomFlip {
    /// The axes.
    pub mode: FlipMode,
}

/// What one flip is determined by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlipParameters {
    /// Whether the image is flipped.
    pub flips: bool,
}

impl RandomFlip {
    fn axes(&self) -> (bool, bool) {
        match self.mode {
            FlipMode::Horizontal => (true, false),
            FlipMode::Vertical => (false, true),
            FlipMode::HorizontalAndVertical => (true, true),
        }
    }
}

impl Transformation for RandomFlip {
    const CLASS: &'static str = "RandomFlip";
    const NAME: &'static str = "flip";
    const ABOUT: &'static str = "mirrors left and right, top and bottom, or both, every second time";
    const ARGUMENTS: &'static [&'static str] = &["mode"];
    const REQUIRED: usize = 0;
    type Parameters = FlipParameters;

    fn check(&self) -> Result<()> {
        Ok(())
    }

    fn draw(&self, draws: &mut Draws, _shape: ImageShape) -> FlipParameters {
        FlipParameters {
            flips: draws.bernoulli(0.5),
        }
    }

    fn apply(&self, image: &mut Image, parameters: &FlipParameters) -> Result<()> {
        on_image(self, image, parameters)
    }

    fn apply_in_place<P: Pixel>(
        &self,
        pixels: &mut PixelsMut<'_, P>,
        parameters: &FlipParameters,
    ) -> Option<Result<()>> {
        if !parameters.flips {
            return Some(Ok(()));
        }
        let (horizontal, vertical) = self.axes();
        let ImageShape { width, channels, .. } = pixels.shape;
        let row = width * channels;
        if vertical {
            exchange(pixels.data, row);
        }
        if horizontal {
            mirror_rows(pixels.data, row, channels, pixels.scratch);
        }
        Some(Ok(()))
    }

    fn warp(&self, parameters: &FlipParameters, shape: ImageShape) -> Option<Warp> {
        let (horizontal, vertical) = self.axes();
        let axis = |flip: bool, n: usize| {
            if flip && parameters.flips {
                (-1.0, (n - 1) as f64)
            } else {
                (1.0, 0.0)
            }
        };
        let (ax, bx) = axis(horizontal, shape.width);
        let (ay, by) = axis(vertical, shape.height);
        Some(Warp {
            matrix: Matrix::affine([ax, 0.0, bx], [0.0, ay, by]),
            reading: None,
        })
    }
}
