//! Several chains of transformations, mixed.

use kernels::random::Draws;
use rand_distr::{Beta, Distribution, Gamma};
use serde::{Deserialize, Serialize};

use super::keras_policy::{apply, check_batch, layers};
use crate::error::{Error, Result};
use crate::geometry::Interpolation;
use crate::image::{Image, ImageShape};
use crate::range::{Factor, ValueRange};
use crate::transform::{Parameters, Transform, Transformation};

/// Mixes an image with a mixture of differently transformed versions of it. Keras: `AugMix`.
///
/// $$ y = \operatorname{clip}\Bigl(m x + (1 - m) \sum_k w_k\, C_k(x)\Bigr), \quad
///    w \sim \text{Dirichlet}(\alpha),\; m \sim \text{Beta}(\alpha, \alpha) $$
/// where each chain `C_k` is up to `chain_depth` random transformations. Keras draws the chains once for a whole batch;
/// here each image has its own. Hendrycks et al., "AugMix: A Simple Data Processing Method to Improve Robustness and
/// Uncertainty", 2019.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AugMix {
    /// The values that pixels may have.
    pub value_range: ValueRange,
    /// Chains, 1 to 100.
    pub num_chains: usize,
    /// The most transformations of a chain, 0 to 100.
    pub chain_depth: usize,
    /// The range of their strength, in [0, 1]; one number `f` means `[0, f]`.
    pub factor: Factor,
    /// Shape of the distributions of the weights, in [0.01, 100]; 1 is uniform.
    pub alpha: f64,
    /// Also brightness, color degeneration, contrast and sharpness.
    pub all_ops: bool,
    /// Between the pixels, of those that move them.
    pub interpolation: Interpolation,
}

impl Default for AugMix {
    fn default() -> Self {
        Self {
            value_range: ValueRange::BYTES,
            num_chains: 3,
            chain_depth: 3,
            factor: Factor::Single(0.3),
            alpha: 1.0,
            all_ops: true,
            interpolation: Interpolation::Bilinear,
        }
    }
}

/// What one mixing is determined by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AugMixParameters {
    /// The weight of each chain; their sum is 1.
    pub chain_mixing_weights: Vec<f32>,
    /// The weight of the image itself.
    pub weight_sample: f32,
    /// The transformations of each chain, with their parameters.
    pub chain_transforms: Vec<Vec<Parameters>>,
}

impl AugMix {
    fn layers(&self) -> Vec<Transform> {
        layers(self.factor, self.value_range, self.interpolation, self.all_ops)
    }

    /// Mixes a batch as it was drawn for each of its images.
    ///
    /// Where all of them are equalized in the same place they share one histogram, as in Keras.
    ///
    /// # Errors
    /// Where the numbers of images and parameters or of chains and weights differ, and as [`Transformation::apply`].
    pub fn apply_batch(&self, images: &mut [Image], parameters: &[AugMixParameters]) -> Result<()> {
        check_batch(Self::CLASS, images.len(), parameters.len())?;
        let chains = parameters.first().map_or(0, |p| p.chain_transforms.len());
        let fits = |p: &AugMixParameters| p.chain_transforms.len() == chains && p.chain_mixing_weights.len() == chains;
        if let Some(p) = parameters.iter().find(|p| !fits(p)) {
            return Err(Error::Parameters {
                transformation: Self::CLASS,
                reason: format!(
                    "{} weights for {} chains, where the first image has {chains}",
                    p.chain_mixing_weights.len(),
                    p.chain_transforms.len()
                ),
            });
        }
        let layers = self.layers();
        let mut mixtures: Vec<Vec<f32>> = images.iter().map(|image| vec![0.0; image.data.len()]).collect();
        for chain in 0..chains {
            let mut copies = images.to_vec();
            let steps: Vec<&[Parameters]> = parameters
                .iter()
                .map(|p| p.chain_transforms[chain].as_slice())
                .collect();
            apply(Self::CLASS, &layers, &mut copies, &steps)?;
            for ((mixture, copy), p) in mixtures.iter_mut().zip(&copies).zip(parameters) {
                let weight = p.chain_mixing_weights[chain];
                mixture
                    .iter_mut()
                    .zip(&copy.data)
                    .for_each(|(sum, value)| *sum += value * weight);
            }
        }
        for ((image, mixture), p) in images.iter_mut().zip(&mixtures).zip(parameters) {
            let own = p.weight_sample;
            for (value, mixed) in image.data.iter_mut().zip(mixture) {
                *value = self.value_range.clip(own * *value + (1.0 - own) * mixed);
            }
        }
        Ok(())
    }
}

impl Transformation for AugMix {
    const CLASS: &'static str = "AugMix";
    const NAME: &'static str = "aug_mix";
    const ABOUT: &'static str = "mixes an image with chains of transformations of it";
    const ARGUMENTS: &'static [&'static str] = &[
        "num_chains",
        "chain_depth",
        "factor",
        "alpha",
        "all_ops",
        "interpolation",
        "value_range",
    ];
    const REQUIRED: usize = 0;
    type Parameters = AugMixParameters;

    fn check(&self) -> Result<()> {
        Factor::Single(self.num_chains as f64).check(Self::CLASS, "num_chains", 1.0, 100.0)?;
        Factor::Single(self.chain_depth as f64).check(Self::CLASS, "chain_depth", 0.0, 100.0)?;
        self.factor.check(Self::CLASS, "factor", 0.0, 1.0)?;
        Factor::Single(self.alpha).check(Self::CLASS, "alpha", 0.01, 100.0)?;
        self.value_range.check(Self::CLASS)
    }

    fn draw(&self, draws: &mut Draws, shape: ImageShape) -> AugMixParameters {
        let weights: Vec<f64> = match Gamma::new(self.alpha, 1.0) {
            Ok(gamma) => (0..self.num_chains).map(|_| gamma.sample(draws)).collect(),
            // An alpha that `check` refuses.
            Err(_) => vec![1.0; self.num_chains],
        };
        // Where all of them underflow, any of them is as good as another.
        let sum: f64 = weights.iter().sum();
        let weight = |w: &f64| if sum > 0.0 { w / sum } else { 1.0 / weights.len() as f64 };
        let layers = self.layers();
        let chain = |draws: &mut Draws| {
            let steps = (0..self.chain_depth).filter_map(|_| {
                // One choice more than layers: no transformation.
                layers
                    .get(draws.below(layers.len() + 1))
                    .map(|layer| layer.draw(draws, shape))
            });
            steps.collect::<Vec<_>>()
        };
        AugMixParameters {
            chain_mixing_weights: weights.iter().map(|w| weight(w) as f32).collect(),
            weight_sample: Beta::new(self.alpha, self.alpha).map_or(0.5, |beta| beta.sample(draws)) as f32,
            chain_transforms: (0..self.num_chains).map(|_| chain(draws)).collect(),
        }
    }

    fn apply(&self, image: &mut Image, parameters: &AugMixParameters) -> Result<()> {
        self.apply_batch(std::slice::from_mut(image), std::slice::from_ref(parameters))
    }
}
