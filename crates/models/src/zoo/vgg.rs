//! Blocks of 3 × 3 convolutions (Simonyan and Zisserman 2015, *Very deep convolutional networks*).

use nn_theory::{Activation, Conv2D, Dense, Flatten, MaxPooling2D, ModelSpec, Padding};

use crate::Result;

/// Blocks of as many 3 × 3 convolutions (same padding, rectifiers) as `blocks` says, as `(filters, convolutions)`; each block
/// ends with a pooling by 2. Dense layers of `hidden` units follow, and one logit a class. Layers are named as in
/// `keras.applications.VGG16`.
///
/// ```
/// let vgg16 = models::zoo::vgg(
///     "vgg16", [224, 224, 3], 1000, &[(64, 2), (128, 2), (256, 3), (512, 3), (512, 3)], &[4096, 4096],
/// )?;
/// assert_eq!(vgg16.counts().total, 138_357_544);
/// # Ok::<(), models::Error>(())
/// ```
///
/// # Errors
/// [`crate::Error::Spec`] where the images are too small to be pooled so often, or a size is 0.
pub fn vgg(
    name: &str,
    image: [u64; 3],
    classes: usize,
    blocks: &[(usize, usize)],
    hidden: &[usize],
) -> Result<ModelSpec> {
    let mut network = ModelSpec::sequential(name).input(image);
    for (block, &(filters, convolutions)) in (1..).zip(blocks) {
        for index in 1..=convolutions {
            let layer = Conv2D::new(filters, [3, 3])
                .padding(Padding::Same)
                .activation(Activation::Relu);
            network = network.layer(layer.name(format!("block{block}_conv{index}")));
        }
        network = network.layer(MaxPooling2D::new([2, 2]).name(format!("block{block}_pool")));
    }
    network = network.layer(Flatten::new());
    for (index, &units) in (1..).zip(hidden) {
        network = network.layer(
            Dense::new(units)
                .activation(Activation::Relu)
                .name(format!("fc{index}")),
        );
    }
    Ok(network.layer(Dense::new(classes).name("predictions")).build()?)
}

/// A small VGG for CIFAR-10: six convolutions (32, 64, 128 filters, two each), one dense layer of 128.
///
/// # Errors
/// None that can be caused from outside.
pub fn vgg_like() -> Result<ModelSpec> {
    vgg("vgg_like", [32, 32, 3], 10, &[(32, 2), (64, 2), (128, 2)], &[128])
}
