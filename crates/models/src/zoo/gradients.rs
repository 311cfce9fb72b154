//! A network for few images: the strength of edges in eight directions, cell by cell, and two convolutions on it.

use candle_core::{Device, Tensor};
use nn_theory::{
    Activation, AveragePooling2D, BatchNormalization, Conv2D, Dense, Dropout, Flatten, LayerNormalization,
    MaxPooling2D, ModelSpec, Padding, ReLU,
};

use crate::{Network, Result};

/// A network for the 64 × 64 originals of cats vs. dogs, small enough for 40 + 40 training images: 8 filters of 3 × 3,
/// their strength relative to each other in cells of 4 × 4 pixels, two convolutions.
///
/// The first layer is made for [`set_oriented_gradients`]: with it, the cells hold what histograms of oriented gradients
/// hold (Dalal and Triggs, "Histograms of Oriented Gradients for Human Detection", 2005), and the layer normalisation
/// takes brightness and contrast out of them. Without it the filters are learned as any others.
///
/// # Errors
/// None that can be caused from outside.
pub fn cats_vs_dogs_originals() -> Result<ModelSpec> {
    gradient_cnn("cats_vs_dogs_originals", [64, 64, 1], 2)
}

/// [`cats_vs_dogs_originals`] for images of another size and another number of classes.
///
/// # Errors
/// [`Error::Spec`](crate::Error::Spec) where the images are too small for a cell of 4 × 4 that is pooled twice, or there is no class.
pub fn gradient_cnn(name: &str, image: [u64; 3], classes: usize) -> Result<ModelSpec> {
    let conv = |filters| Conv2D::new(filters, [3, 3]).padding(Padding::Same).use_bias(false);
    // Some hundred steps are all the training there is: the default of 0.99 would still remember the start.
    let norm = || BatchNormalization::new().momentum(0.9);
    let cells = LayerNormalization::new().center(false).scale(false).epsilon(1e-5);
    Ok(ModelSpec::sequential(name)
        .input(image)
        .layer(conv(ORIENTATIONS).activation(Activation::Relu).name("gradients"))
        .layer(AveragePooling2D::new([4, 4]))
        .layer(cells.name("cells"))
        .layer(conv(32))
        .layer(norm())
        .layer(ReLU::new())
        .layer(MaxPooling2D::new([2, 2]))
        .layer(conv(32))
        .layer(norm())
        .layer(ReLU::new())
        .layer(MaxPooling2D::new([2, 2]))
        .layer(Flatten::new())
        .layer(Dropout::new(0.5))
        .layer(Dense::new(classes))
        .build()?)
}

/// Directions in which [`gradient_cnn`] looks for edges.
const ORIENTATIONS: usize = 8;

/// Turns the filters of a 3 × 3 convolution without bias into directional derivatives, and freezes them.
///
/// Filter `k` of `n` is $ \cos\varphi_k\,S_x + \sin\varphi_k\,S_y $ with $ \varphi_k = 2\pi k / n $ and Sobel's
/// derivatives `S` (weights -1 0 1, -2 0 2, -1 0 1, divided by 8: the change a pixel), the same for every input channel.
///
/// ```
/// use candle_core::{DType, Device};
/// use models::{Network, zoo};
///
/// let mut network = Network::new(zoo::cats_vs_dogs_originals()?, 1, &Device::Cpu, DType::F32)?;
/// zoo::set_oriented_gradients(&mut network, "gradients")?;
/// let kernel = network.weight("gradients/kernel").unwrap();
/// assert!(!kernel.trainable);
/// // filter 0 looks to the right
/// let middle_row = kernel.var.narrow(3, 0, 1)?.flatten_all()?.to_vec1::<f32>()?[3..6].to_vec();
/// assert_eq!(middle_row, [-0.25, 0.0, 0.25]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`Error::UnknownWeight`](crate::Error::UnknownWeight) where there is no such layer, [`Error::WeightShape`](crate::Error::WeightShape) where its kernel is not 3 × 3.
pub fn set_oriented_gradients(network: &mut Network, layer: &str) -> Result<()> {
    const SMOOTH: [f64; 3] = [0.25, 0.5, 0.25];
    const SLOPE: [f64; 3] = [-0.5, 0.0, 0.5];
    let path = format!("{layer}/kernel");
    let (inputs, filters) = match network.weight(&path).map(|weight| weight.var.dims()) {
        Some(&[_, _, inputs, filters]) => (inputs, filters),
        _ => (1, ORIENTATIONS),
    };
    let mut kernel = Vec::with_capacity(9 * inputs * filters);
    for (row, column) in (0..9).map(|at| (at / 3, at % 3)) {
        for filter in (0..inputs).flat_map(|_| 0..filters) {
            let (sine, cosine) = (std::f64::consts::TAU * filter as f64 / filters as f64).sin_cos();
            kernel.push(cosine * SMOOTH[row] * SLOPE[column] + sine * SLOPE[row] * SMOOTH[column]);
        }
    }
    let kernel = Tensor::from_vec(kernel, (3, 3, inputs, filters), &Device::Cpu)?;
    network.set_weight(&path, &kernel)?;
    network.set_trainable(layer, false)
}

#[cfg(test)]
mod tests {
    use candle_core::DType;

    use super::*;
    use crate::Error;

    /// What the filters say in the middle of an image of 5 × 5 with these pixels.
    fn middle_answers(pixel: impl Fn(usize, usize) -> f32) -> Vec<f32> {
        let spec = ModelSpec::sequential("filters")
            .input([5, 5, 1])
            .layer(Conv2D::new(8, [3, 3]).use_bias(false).name("gradients"))
            .build()
            .unwrap();
        let mut network = Network::new(spec, 1, &Device::Cpu, DType::F32).unwrap();
        set_oriented_gradients(&mut network, "gradients").unwrap();
        let pixels: Vec<f32> = (0..25).map(|at| pixel(at / 5, at % 5)).collect();
        let image = Tensor::from_vec(pixels, (1, 5, 5, 1), &Device::Cpu).unwrap();
        let answers = network.forward(&image, crate::Mode::Inference).unwrap();
        let middle = answers.narrow(1, 1, 1).unwrap().narrow(2, 1, 1).unwrap();
        middle.flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn oriented_gradients_are_the_slope_in_each_direction() {
        // 0.3 brighter a pixel to the right, 0.4 darker a pixel down: a slope of 0.5, and its cosine in each direction.
        let answers = middle_answers(|row, column| 0.3 * column as f32 - 0.4 * row as f32 + 2.0);
        for (k, answer) in answers.iter().enumerate() {
            let angle = std::f32::consts::TAU * k as f32 / 8.0;
            let slope = 0.3 * angle.cos() - 0.4 * angle.sin();
            assert!((answer - slope).abs() < 1e-6, "direction {k}: {answer}, not {slope}");
        }
        assert!(middle_answers(|_, _| 0.7).iter().all(|answer| answer.abs() < 1e-6));
    }

    #[test]
    fn gradients_are_refused_where_there_is_no_such_kernel() {
        let network = |name| {
            let spec = crate::zoo::by_name(name).unwrap();
            Network::new(spec, 1, &Device::Cpu, DType::F32).unwrap()
        };
        let error = set_oriented_gradients(&mut network("cats_vs_dogs_originals"), "gradient").unwrap_err();
        assert!(error.to_string().contains("gradients/kernel"), "{error}");
        // 5 x 5
        let error = set_oriented_gradients(&mut network("first_cnn"), "conv2d").unwrap_err();
        assert!(matches!(error, Error::WeightShape { .. }), "{error}");
        // A dense kernel has two axes.
        let error = set_oriented_gradients(&mut network("cats_vs_dogs"), "H01").unwrap_err();
        assert!(matches!(error, Error::WeightShape { .. }), "{error}");
    }
}
