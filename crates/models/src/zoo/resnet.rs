//! Residual networks for small images (He et al. 2016, *Deep residual learning*, section 4.2).

use nn_theory::{
    Activation, ActivationLayer, Add, AveragePooling2D, BatchNormalization, Conv2D, Dense, Flatten, Functional,
    Initializer, ModelSpec, Padding, Tensor,
};

use crate::Result;

/// ResNet-20 for CIFAR-10, as in Keras' example `cifar10_resnet` (version 1): 274,442 parameters.
///
/// # Errors
/// None that can be caused from outside.
pub fn resnet20() -> Result<ModelSpec> {
    resnet("resnet20", [32, 32, 3], 10, 3)
}

/// A residual network of `6 blocks + 2` weighted layers: three stages of `blocks` residual blocks with 16, 32 and 64 filters.
///
/// A block is two 3 × 3 convolutions with batch normalisation, added to its input; where the second and third stage halve the
/// image, a 1 × 1 convolution of stride 2 brings the input into shape. At the end a mean over the whole map and one logit a
/// class. The example also has an L2 regularizer of 1e-4 on each kernel, which is left to the optimizer's weight decay.
///
/// ```
/// assert_eq!(models::zoo::resnet("resnet56", [32, 32, 3], 10, 9)?.counts().total, 861_770);
/// # Ok::<(), models::Error>(())
/// ```
///
/// # Errors
/// [`crate::Error::Spec`] for images that cannot be halved twice, no block or no class.
pub fn resnet(name: &str, image: [u64; 3], classes: usize, blocks: usize) -> Result<ModelSpec> {
    let mut graph = ModelSpec::functional(name);
    let input = graph.input(image)?;
    let mut x = convolution(&mut graph, input, 16, 3, 1)?;
    x = graph.layer(BatchNormalization::new(), x)?;
    x = graph.layer(ActivationLayer::new(Activation::Relu), x)?;
    for stage in 0..3 {
        for block in 0..blocks {
            let filters = 16 << stage;
            let stride = if stage > 0 && block == 0 { 2 } else { 1 };
            let mut y = convolution(&mut graph, x, filters, 3, stride)?;
            y = graph.layer(BatchNormalization::new(), y)?;
            y = graph.layer(ActivationLayer::new(Activation::Relu), y)?;
            y = convolution(&mut graph, y, filters, 3, 1)?;
            y = graph.layer(BatchNormalization::new(), y)?;
            if stride > 1 {
                x = convolution(&mut graph, x, filters, 1, stride)?;
            }
            x = graph.layer(Add::new(), [x, y])?;
            x = graph.layer(ActivationLayer::new(Activation::Relu), x)?;
        }
    }
    // Stride 2 with padding 'same' rounds up.
    let side = |size: u64| size.div_ceil(2).div_ceil(2).max(1) as usize;
    x = graph.layer(AveragePooling2D::new([side(image[0]), side(image[1])]), x)?;
    x = graph.layer(Flatten::new(), x)?;
    let logits = graph.layer(Dense::new(classes).kernel_initializer(he_normal()), x)?;
    Ok(graph.build(input, logits)?)
}

fn he_normal() -> Initializer {
    Initializer::HeNormal { seed: None }
}

fn convolution(graph: &mut Functional, x: Tensor, filters: usize, side: usize, stride: usize) -> Result<Tensor> {
    let layer = Conv2D::new(filters, [side, side])
        .strides([stride, stride])
        .padding(Padding::Same)
        .kernel_initializer(he_normal());
    Ok(graph.layer(layer, x)?)
}
