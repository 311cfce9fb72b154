//! Noise that a record can hold: as the seed it came from, or value by value.

use kernels::random::{Draws, Stream};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Random numbers, one a pixel or one a value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Noise {
    /// The numbers that this seed gives; a record of a few bytes.
    Seed(u64),
    /// The numbers themselves, to replay noise that was drawn elsewhere.
    Values(Vec<f32>),
}

/// A seed for numbers that are drawn when they are needed.
pub(crate) fn seed(draws: &mut Draws) -> u64 {
    // 53 bits: JSON readers that keep numbers as doubles do not change it.
    (draws.uniform() * (1u64 << 53) as f64) as u64
}

impl Noise {
    /// A seed, drawn.
    pub(crate) fn draw(draws: &mut Draws) -> Self {
        Self::Seed(seed(draws))
    }

    /// `n` numbers: those recorded, or of the standard normal distribution.
    pub(crate) fn normal(&self, transformation: &'static str, n: usize) -> Result<Vec<f32>> {
        match self {
            Self::Seed(seed) => {
                let mut values = vec![0f32; n];
                self.stream(*seed).draws().fill_normal(&mut values, 0.0, 1.0);
                Ok(values)
            }
            Self::Values(values) if values.len() == n => Ok(values.clone()),
            Self::Values(values) => Err(Error::Parameters {
                transformation,
                reason: format!("the noise has {} values, the image needs {n}", values.len()),
            }),
        }
    }

    /// `n` numbers: those recorded, or uniform in [0, 1).
    pub(crate) fn uniform(&self, transformation: &'static str, n: usize) -> Result<Vec<f32>> {
        match self {
            Self::Seed(seed) => {
                let mut values = vec![0f32; n];
                self.stream(*seed).draws().fill_uniform(&mut values, 0.0, 1.0);
                Ok(values)
            }
            Self::Values(_) => self.normal(transformation, n),
        }
    }

    fn stream(&self, seed: u64) -> Stream {
        Stream::new(seed).op("noise")
    }
}
