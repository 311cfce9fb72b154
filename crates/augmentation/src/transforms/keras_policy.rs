//! The layers that Keras' `RandAugment` and `AugMix` choose from.

use super::{
    AutoContrast, Equalization, RandomBrightness, RandomColorDegeneration, RandomContrast, RandomPosterization,
    RandomRotation, RandomSharpness, RandomShear, RandomTranslation, Solarization,
};
use crate::error::{Error, Result};
use crate::geometry::Interpolation;
use crate::image::Image;
use crate::pixels::{Pixel, PixelsMut};
use crate::range::{Factor, ValueRange};
use crate::transform::{Parameters, Transform};

/// The layers of a strength: those that move pixels and levels, and with `all` those that change colours.
pub(super) fn layers(
    factor: Factor,
    value_range: ValueRange,
    interpolation: Interpolation,
    all: bool,
) -> Vec<Transform> {
    let (low, high) = factor.bounds(0.0);
    let factor = Factor::Pair([low, high]);
    let mut layers: Vec<Transform> = vec![
        RandomShear {
            x_factor: factor,
            y_factor: factor,
            interpolation,
            ..Default::default()
        }
        .into(),
        RandomTranslation {
            height_factor: factor,
            width_factor: factor,
            interpolation,
            ..Default::default()
        }
        .into(),
        RandomRotation {
            factor,
            interpolation,
            ..Default::default()
        }
        .into(),
        RandomPosterization {
            factor: Factor::Single((8.0 * high).trunc().max(1.0)),
            value_range,
        }
        .into(),
        Solarization {
            addition_factor: factor,
            threshold_factor: factor,
            value_range,
        }
        .into(),
        AutoContrast { value_range }.into(),
        Equalization {
            value_range,
            ..Default::default()
        }
        .into(),
    ];
    if all {
        layers.extend([
            RandomBrightness { factor, value_range }.into(),
            RandomColorDegeneration { factor, value_range }.into(),
            RandomContrast { factor, value_range }.into(),
            RandomSharpness { factor, value_range }.into(),
        ]);
    }
    layers
}

/// Applies the i-th step of every image to it, for all i; `steps` has a list an image.
///
/// Where all images have [`Equalization`] as their i-th step they share one histogram, as in Keras, which chooses one
/// layer for the whole batch.
pub(super) fn apply(
    transformation: &'static str,
    layers: &[Transform],
    images: &mut [Image],
    steps: &[&[Parameters]],
) -> Result<()> {
    let longest = steps.iter().map(|steps| steps.len()).max().unwrap_or(0);
    for i in 0..longest {
        let equalized = |steps: &&[Parameters]| matches!(steps.get(i), Some(Parameters::Equalization(_)));
        let equalization = layers.iter().find_map(|layer| match layer {
            Transform::Equalization(equalization) => Some(equalization),
            _ => None,
        });
        if let Some(equalization) = equalization
            && steps.iter().all(equalized)
        {
            equalization.apply_batch(images)?;
            continue;
        }
        for (image, steps) in images.iter_mut().zip(steps) {
            let Some(parameters) = steps.get(i) else { continue };
            layer(transformation, layers, parameters)?.apply(image, parameters)?;
        }
    }
    Ok(())
}

/// Applies the steps to pixels where they lie.
pub(super) fn apply_to_pixels<P: Pixel>(
    transformation: &'static str,
    layers: &[Transform],
    pixels: &mut PixelsMut<'_, P>,
    steps: &[Parameters],
) -> Result<()> {
    let mut step = |parameters| layer(transformation, layers, parameters)?.apply_to_pixels(pixels, parameters);
    steps.iter().try_for_each(&mut step)
}

/// The layer that drew these parameters.
fn layer<'a>(transformation: &'static str, layers: &'a [Transform], parameters: &Parameters) -> Result<&'a Transform> {
    let class_name = parameters.class_name();
    let layer = layers.iter().find(|layer| layer.class_name() == class_name);
    layer.ok_or_else(|| Error::Parameters {
        transformation,
        reason: format!("{class_name} is none of the layers that it chooses from"),
    })
}

/// As many lists of parameters as images.
pub(super) fn check_batch(transformation: &'static str, images: usize, parameters: usize) -> Result<()> {
    if images == parameters {
        return Ok(());
    }
    Err(Error::Parameters {
        transformation,
        reason: format!("those of {parameters} images for {images}"),
    })
}
