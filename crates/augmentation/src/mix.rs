//! MixUp and CutMix: images and labels of a batch blended with those of another order of the batch.
//!
//! [`MixUp::apply`] and [`CutMix::apply`] work on whole batches, as Keras' layers: an image's company decides what it becomes. At
//! the end of a [`Pipeline`](crate::Pipeline) (`mixup(0.2)`, `cutmix()`) the partner is drawn from the whole data set instead, and
//! results do not depend on the batch.

use kernels::random::Draws;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::image::ImageShape;
use crate::pixels::Pixel;
use crate::range::Factor;

/// Blends each image, and its label, with another one of the batch. Keras: `MixUp`.
///
/// $$ y_i = \lambda_i x_i + (1 - \lambda_i) x_{\pi(i)}, \quad \lambda \sim \text{Beta}(\alpha, \alpha) $$
/// Zhang et al., "mixup: Beyond Empirical Risk Minimization", 2017.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MixUp {
    /// Shape of the distribution of the weights, in [0, 1]; 1 is uniform, near 0 the images are hardly mixed.
    pub alpha: f64,
}

impl Default for MixUp {
    fn default() -> Self {
        Self { alpha: 0.2 }
    }
}

/// What one mixing of a batch is determined by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MixUpParameters {
    /// The partner of each image.
    pub permutation_order: Vec<usize>,
    /// What remains of each image.
    pub mix_weight: Vec<f32>,
}

impl MixUp {
    /// Refuses an `alpha` outside of [0, 1], as Keras.
    ///
    /// # Errors
    /// [`Error::Argument`].
    pub fn check(&self) -> Result<()> {
        Factor::Single(self.alpha).check("MixUp", "alpha", 0.0, 1.0)
    }

    /// Draws partners and weights for a batch of `n` images.
    pub fn draw(&self, draws: &mut Draws, n: usize) -> MixUpParameters {
        let permutation_order = draws.permutation(n);
        let mix_weight = (0..n).map(|_| beta(draws, self.alpha) as f32).collect();
        MixUpParameters {
            permutation_order,
            mix_weight,
        }
    }

    /// Mixes images of `image_size` values (floats, or bytes, which are rounded) and labels (soft or one-hot) of `classes`
    /// values each, in place, on all threads.
    ///
    /// # Errors
    /// Where buffers and parameters belong to batches of different sizes.
    pub fn apply<P: Pixel>(
        &self,
        images: &mut [P],
        image_size: usize,
        labels: &mut [f32],
        classes: usize,
        parameters: &MixUpParameters,
    ) -> Result<()> {
        let order = &parameters.permutation_order;
        check_batch(
            "MixUp",
            order,
            parameters.mix_weight.len(),
            (images.len(), image_size),
            (labels.len(), classes),
        )?;
        blend(images, image_size, order, &parameters.mix_weight);
        blend(labels, classes, order, &parameters.mix_weight);
        Ok(())
    }
}

/// Pastes a rectangle of another image of the batch into each image and mixes the labels by area. Keras: `CutMix`.
///
/// $$ y_i = M_i \odot x_{\pi(i)} + (1 - M_i) \odot x_i $$ where the rectangle `M` covers $ 1 - \lambda $ of the image with
/// $ \lambda \sim U(\text{factor}) $, and the labels mix with the part that was really kept.
/// Yun et al., "CutMix: Regularization Strategy to Train Strong Classifiers with Localizable Features", 2019.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CutMix {
    /// The range of the part that is kept, in [0, 1]; one number `f` means `[0, f]`.
    pub factor: Factor,
}

impl Default for CutMix {
    fn default() -> Self {
        Self {
            factor: Factor::Single(1.0),
        }
    }
}

/// What one cutting and mixing of a batch is determined by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CutMixParameters {
    /// The partner of each image.
    pub permutation_order: Vec<usize>,
    /// `[x0, x1, y0, y1]` in pixels: columns `x0 <= x < x1` and rows `y0 <= y < y1` come from the partner.
    pub boxes: Vec<[f64; 4]>,
    /// What remains of each label.
    pub mix_weight: Vec<f32>,
}

impl CutMix {
    /// Refuses factors outside of [0, 1].
    ///
    /// # Errors
    /// [`Error::Argument`].
    pub fn check(&self) -> Result<()> {
        self.factor.check("CutMix", "factor", 0.0, 1.0)
    }

    /// Draws partners and rectangles for a batch of `n` images of this shape.
    pub fn draw(&self, draws: &mut Draws, n: usize, shape: ImageShape) -> CutMixParameters {
        let permutation_order = draws.permutation(n);
        let (low, high) = self.factor.bounds(0.0);
        let mut boxes = Vec::with_capacity(n);
        let mut mix_weight = Vec::with_capacity(n);
        for _ in 0..n {
            let ratio = (1.0 - draws.uniform_in(low, high)).clamp(0.0, 1.0).sqrt();
            let mut side = |size: usize| {
                let length = (ratio * size as f64).round();
                let start = draws.below(size - length as usize + 1) as f64;
                (start, start + length)
            };
            let ((x0, x1), (y0, y1)) = (side(shape.width), side(shape.height));
            let area = (x1 - x0) * (y1 - y0) / (shape.width * shape.height) as f64;
            boxes.push([x0, x1, y0, y1]);
            mix_weight.push((1.0 - area) as f32);
        }
        CutMixParameters {
            permutation_order,
            boxes,
            mix_weight,
        }
    }

    /// Cuts and mixes images of one shape and labels (soft or one-hot) of `classes` values each, in place, on all threads.
    ///
    /// # Errors
    /// Where buffers and parameters belong to batches of different sizes.
    pub fn apply<P: Pixel>(
        &self,
        images: &mut [P],
        shape: ImageShape,
        labels: &mut [f32],
        classes: usize,
        parameters: &CutMixParameters,
    ) -> Result<()> {
        let size = shape.values()?;
        let order = &parameters.permutation_order;
        check_batch(
            "CutMix",
            order,
            parameters.mix_weight.len(),
            (images.len(), size),
            (labels.len(), classes),
        )?;
        if parameters.boxes.len() != order.len() {
            let reason = format!("{} boxes for {} images", parameters.boxes.len(), order.len());
            return Err(Error::Parameters {
                transformation: "CutMix",
                reason,
            });
        }
        let originals = copied(images);
        images
            .par_chunks_exact_mut(size)
            .with_min_len(at_once(size))
            .zip(order)
            .zip(&parameters.boxes)
            .for_each(|((image, &partner), &region)| paste(image, &originals[partner * size..][..size], region, shape));
        blend(labels, classes, order, &parameters.mix_weight);
        Ok(())
    }
}

/// The whole numbers from `low` on and below `high`, inside of `0..n`.
fn span(low: f64, high: f64, n: usize) -> std::ops::Range<usize> {
    // `as usize` is 0 for negative numbers and NaN.
    let (start, end) = ((low.ceil() as usize).min(n), (high.ceil() as usize).min(n));
    start..end.max(start)
}

/// Copies a rectangle `[x0, x1, y0, y1]` of the partner into an image.
pub(crate) fn paste<P: Pixel>(image: &mut [P], partner: &[P], [x0, x1, y0, y1]: [f64; 4], shape: ImageShape) {
    let row = shape.width * shape.channels;
    let (rows, columns) = (span(y0, y1, shape.height), span(x0, x1, shape.width));
    let (first, length) = (columns.start * shape.channels, columns.len() * shape.channels);
    for y in rows {
        let at = y * row + first;
        image[at..at + length].copy_from_slice(&partner[at..at + length]);
    }
}

/// The weighted mean of an image, which keeps its weight, and its partner.
pub(crate) fn blend_with<P: Pixel>(values: &mut [P], partner: &[P], weight: f32) {
    P::blend(values, partner, weight);
}

/// A copy, made on all threads.
fn copied<P: Pixel>(values: &[P]) -> Vec<P> {
    const AT_ONCE: usize = 1 << 16;
    let mut copy = vec![P::default(); values.len()];
    let parts = copy.par_chunks_mut(AT_ONCE).zip(values.par_chunks(AT_ONCE));
    parts.for_each(|(copy, values)| copy.copy_from_slice(values));
    copy
}

/// Items that are worth a thread: about 64 KiB of floats.
fn at_once(size: usize) -> usize {
    (1usize << 14).div_ceil(size.max(1))
}

/// Weighted means of each item with its partner.
fn blend<P: Pixel>(values: &mut [P], size: usize, order: &[usize], weights: &[f32]) {
    let originals = copied(values);
    let mix = |((item, &partner), &weight): ((&mut [P], &usize), &f32)| {
        blend_with(item, &originals[partner * size..][..size], weight);
    };
    values
        .par_chunks_exact_mut(size)
        .with_min_len(at_once(size))
        .zip(order)
        .zip(weights)
        .for_each(mix);
}

fn check_batch(
    transformation: &'static str,
    order: &[usize],
    weights: usize,
    (images, image_size): (usize, usize),
    (labels, classes): (usize, usize),
) -> Result<()> {
    let n = order.len();
    let fits = |length: usize, size: usize| size > 0 && length == n.saturating_mul(size);
    let reason = if weights != n || order.iter().any(|&partner| partner >= n) {
        format!(
            "{weights} weights and partners up to {:?} for a batch of {n}",
            order.iter().max()
        )
    } else if !fits(images, image_size) {
        format!("{images} values are not {n} images of {image_size} values")
    } else if !fits(labels, classes) {
        format!("{labels} values are not {n} labels of {classes} classes")
    } else {
        return Ok(());
    };
    Err(Error::Parameters { transformation, reason })
}

/// A number of the distribution Beta(a, a), by Jöhnk's method (which suits a <= 1; above, it is slow but right).
fn beta(draws: &mut Draws, a: f64) -> f64 {
    // For tiny `a` nearly every pair underflows: the distribution then is a coin.
    if a <= 1e-3 || a.is_nan() {
        return f64::from(u8::from(draws.bernoulli(0.5)));
    }
    let a = a.min(8.0);
    loop {
        let (x, y) = (draws.uniform().powf(1.0 / a), draws.uniform().powf(1.0 / a));
        if x + y > 0.0 && x + y <= 1.0 {
            return x / (x + y);
        }
    }
}

#[cfg(test)]
mod tests {
    use kernels::random::Stream;

    use super::*;

    #[test]
    fn weights_of_mixup_follow_the_beta_distribution() {
        let p = MixUp { alpha: 0.5 }.draw(&mut Stream::new(3).draws(), 4000);
        let mean = p.mix_weight.iter().sum::<f32>() / 4000.0;
        let variance = p.mix_weight.iter().map(|w| (w - 0.5).powi(2)).sum::<f32>() / 4000.0;
        assert!((mean - 0.5).abs() < 0.02, "{mean}");
        // Var Beta(a, a) = 1 / (4 (2a + 1)).
        assert!((variance - 0.125).abs() < 0.01, "{variance}");
    }

    #[test]
    fn cutmix_keeps_as_much_of_the_label_as_of_the_image() {
        let shape = ImageShape {
            height: 6,
            width: 5,
            channels: 1,
        };
        let n = 20;
        let mut images: Vec<f32> = (0..n).flat_map(|i| vec![i as f32; 30]).collect();
        let mut labels: Vec<f32> = (0..n * n).map(|i| f32::from(u8::from(i / n == i % n))).collect();
        let cutmix = CutMix::default();
        let parameters = cutmix.draw(&mut Stream::new(1).draws(), n, shape);
        cutmix.apply(&mut images, shape, &mut labels, n, &parameters).unwrap();
        for (i, (image, label)) in images.chunks(30).zip(labels.chunks(n)).enumerate() {
            let kept = image.iter().filter(|&&v| v == i as f32).count() as f32 / 30.0;
            assert!(
                (label[i] - kept).abs() < 1e-6,
                "image {i}: label {} kept {kept}",
                label[i]
            );
            assert!((label.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        }
    }
}
