//! Another range of values.

use kernels::random::Draws;
use serde::{Deserialize, Serialize};

use super::NoParameters;
use crate::arithmetic::for_each_value;
use crate::error::{Error, Result};
use crate::image::{Image, ImageShape};
use crate::pixels::{Pixel, PixelsMut};
use crate::transform::{Transformation, on_image};

/// One number for all channels or one for each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum PerChannel {
    /// For all channels.
    All(f64),
    /// One a channel.
    Each(Vec<f64>),
}

impl std::fmt::Display for PerChannel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::All(x) => write!(f, "{x}"),
            Self::Each(xs) => {
                let list: Vec<String> = xs.iter().map(f64::to_string).collect();
                write!(f, "[{}]", list.join(", "))
            }
        }
    }
}

impl PerChannel {
    /// The number of channel `c`.
    pub(crate) fn of(&self, c: usize) -> f64 {
        match self {
            Self::All(x) => *x,
            Self::Each(xs) => xs[c],
        }
    }

    pub(crate) fn check_channels(&self, transformation: &'static str, channels: usize) -> Result<()> {
        match self {
            Self::Each(xs) if xs.len() != channels => Err(Error::Channels {
                transformation,
                expected: "as many channels as its arguments have numbers",
                found: channels,
            }),
            _ => Ok(()),
        }
    }

    pub(crate) fn check(&self, transformation: &'static str, argument: &'static str, lowest: f64) -> Result<()> {
        let ok = |x: &f64| x.is_finite() && *x >= lowest;
        if match self {
            Self::All(x) => ok(x),
            Self::Each(xs) => !xs.is_empty() && xs.iter().all(ok),
        } {
            return Ok(());
        }
        let expected = match lowest {
            0.0 => "a number of at least 0, or one for each channel",
            _ => "a finite number, or one for each channel",
        };
        Err(Error::Argument {
            transformation,
            argument,
            found: self.to_string(),
            expected: expected.into(),
        })
    }
}

/// $ y = \text{scale} \cdot x + \text{offset} $. Keras: `Rescaling`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rescaling {
    /// The factor.
    pub scale: PerChannel,
    /// What is added.
    pub offset: PerChannel,
}

impl Default for Rescaling {
    fn default() -> Self {
        Self {
            scale: PerChannel::All(1.0 / 255.0),
            offset: PerChannel::All(0.0),
        }
    }
}

impl Transformation for Rescaling {
    const CLASS: &'static str = "Rescaling";
    const NAME: &'static str = "rescale";
    const ABOUT: &'static str = "multiplies and adds, to change the range of values";
    const ARGUMENTS: &'static [&'static str] = &["scale", "offset"];
    const REQUIRED: usize = 1;
    type Parameters = NoParameters;
    const KEEPS_RANGE: bool = false;

    fn check(&self) -> Result<()> {
        self.scale.check(Self::CLASS, "scale", f64::MIN)?;
        self.offset.check(Self::CLASS, "offset", f64::MIN)
    }

    fn draw(&self, _draws: &mut Draws, _shape: ImageShape) -> NoParameters {
        NoParameters {}
    }

    fn apply(&self, image: &mut Image, parameters: &NoParameters) -> Result<()> {
        on_image(self, image, parameters)
    }

    fn apply_in_place<P: Pixel>(
        &self,
        pixels: &mut PixelsMut<'_, P>,
        _parameters: &NoParameters,
    ) -> Option<Result<()>> {
        let channels = pixels.shape.channels;
        let data = P::floats(pixels.data)?;
        let checked = |numbers: &PerChannel| numbers.check_channels(Self::CLASS, channels);
        if let Err(error) = checked(&self.scale).and_then(|()| checked(&self.offset)) {
            return Some(Err(error));
        }
        let per_channel: Vec<(f32, f32)> = (0..channels)
            .map(|c| (self.scale.of(c) as f32, self.offset.of(c) as f32))
            .collect();
        for_each_value(data, &per_channel, |value, (scale, offset)| value * scale + offset);
        Some(Ok(()))
    }
}
