//! The built-in models: the lecture's networks, and the ones that everybody compares on.

mod efficientnet;
mod gradients;
mod margins;
mod mobilenet;
mod resnet;
mod vgg;

pub use efficientnet::{efficientnet_b0, efficientnet_b0_for};
pub use gradients::{cats_vs_dogs_originals, gradient_cnn, set_oriented_gradients};
pub use mobilenet::{mobilenet_v2, mobilenet_v2_for};
pub use resnet::{resnet, resnet20};
pub use vgg::{vgg, vgg_like};

use nn_theory::{
    Activation, AveragePooling2D, Conv2D, Dense, Dropout, Flatten, MaxPooling2D, ModelSpec, Padding, ReLU,
};

use crate::{Error, Result};

/// The lecture's first network for cats vs. dogs: 1024 pixels, two hyperbolic tangents, two logits; 2,056 parameters.
///
/// # Errors
/// None that can be caused from outside; the result is that of the builder.
pub fn cats_vs_dogs() -> Result<ModelSpec> {
    lecture_network("cats_vs_dogs", 1024)
}

/// The same network written as `keras.Sequential`: its summary has no row for the input.
///
/// # Errors
/// None that can be caused from outside.
pub fn cats_vs_dogs_sequential() -> Result<ModelSpec> {
    lecture_layers("sequential", 1024)
}

/// The lecture's first network on images of another size: `pixels` inputs, `H01` (2, tanh), `H02` (2 logits).
///
/// # Errors
/// [`Error::Spec`] for no pixels.
pub fn lecture_network(name: &str, pixels: u64) -> Result<ModelSpec> {
    // The lecture writes `keras.Model(inputs, outputs)`, a functional model, whose summary shows the input layer.
    Ok(lecture_layers(name, pixels)?.into_functional())
}

fn lecture_layers(name: &str, pixels: u64) -> Result<ModelSpec> {
    Ok(ModelSpec::sequential(name)
        .input_named("Input", [pixels])
        .layer(Dense::new(2).activation(Activation::Tanh).name("H01"))
        .layer(Dense::new(2).name("H02"))
        .build()?)
}

/// The lecture's first convolutional network for cats vs. dogs: 32 × 32 × 1, one convolution of 8 filters.
///
/// # Errors
/// None that can be caused from outside.
pub fn first_cnn() -> Result<ModelSpec> {
    first_cnn_for("first_cnn", [32, 32, 1], 2)
}

/// The lecture's first convolutional network on images of another size and with another number of classes.
///
/// # Errors
/// [`Error::Spec`] where the images are too small to be pooled, or there is no class.
pub fn first_cnn_for(name: &str, image: [u64; 3], classes: usize) -> Result<ModelSpec> {
    Ok(ModelSpec::sequential(name)
        .input(image)
        .layer(Conv2D::new(8, [5, 5]).padding(Padding::Same))
        .layer(ReLU::new())
        .layer(MaxPooling2D::new([2, 2]))
        .layer(Dropout::new(0.2))
        .layer(Flatten::new())
        .layer(Dense::new(classes))
        .build()?)
}

/// A network for the embedded digits of 8 × 8 pixels: two convolutions of 16 and 32 filters.
///
/// # Errors
/// None that can be caused from outside.
pub fn digits_cnn() -> Result<ModelSpec> {
    small_cnn("digits_cnn", [8, 8, 1], 10)
}

/// Two 3 × 3 convolutions (16 and 32 filters, same padding), each pooled by 2, dropout of 0.25, one dense layer.
///
/// # Errors
/// [`Error::Spec`] where the images are too small to be pooled twice, or there is no class.
pub fn small_cnn(name: &str, image: [u64; 3], classes: usize) -> Result<ModelSpec> {
    let conv = |filters| {
        Conv2D::new(filters, [3, 3])
            .padding(Padding::Same)
            .activation(Activation::Relu)
    };
    Ok(ModelSpec::sequential(name)
        .input(image)
        .layer(conv(16))
        .layer(MaxPooling2D::new([2, 2]))
        .layer(conv(32))
        .layer(MaxPooling2D::new([2, 2]))
        .layer(Flatten::new())
        .layer(Dropout::new(0.25))
        .layer(Dense::new(classes))
        .build()?)
}

/// The MNIST network of Keras' example `mnist_convnet`: 34,826 parameters, about 99 % test accuracy.
///
/// # Errors
/// None that can be caused from outside.
pub fn mnist_cnn() -> Result<ModelSpec> {
    Ok(ModelSpec::sequential("mnist_cnn")
        .input([28, 28, 1])
        .layer(Conv2D::new(32, [3, 3]).activation(Activation::Relu))
        .layer(MaxPooling2D::new([2, 2]))
        .layer(Conv2D::new(64, [3, 3]).activation(Activation::Relu))
        .layer(MaxPooling2D::new([2, 2]))
        .layer(Flatten::new())
        .layer(Dropout::new(0.5))
        .layer(Dense::new(10))
        .build()?)
}

/// A dense network for MNIST: 784-512-512-10 with rectifiers.
///
/// # Errors
/// None that can be caused from outside.
pub fn mnist_mlp() -> Result<ModelSpec> {
    mlp("mnist_mlp", 784, &[512, 512], 10)
}

/// A dense network: `inputs`, one layer with rectifiers for each entry of `hidden`, and one logit a class.
///
/// ```
/// let network = models::zoo::mlp("small", 64, &[32], 10)?;
/// assert_eq!(network.counts().total, (64 + 1) * 32 + (32 + 1) * 10);
/// # Ok::<(), models::Error>(())
/// ```
///
/// # Errors
/// [`Error::Spec`] where a size is 0.
pub fn mlp(name: &str, inputs: u64, hidden: &[usize], classes: usize) -> Result<ModelSpec> {
    let start = ModelSpec::sequential(name).input([inputs]);
    let layers = hidden
        .iter()
        .map(|&units| Dense::new(units).activation(Activation::Relu));
    Ok(layers
        .fold(start, |network, layer| network.layer(layer))
        .layer(Dense::new(classes))
        .build()?)
}

/// LeNet-5 (LeCun et al. 1998) as it is taught: tanh, average pooling, 61,706 parameters.
///
/// # Errors
/// None that can be caused from outside.
pub fn lenet5() -> Result<ModelSpec> {
    Ok(ModelSpec::sequential("lenet5")
        .input([28, 28, 1])
        .layer(
            Conv2D::new(6, [5, 5])
                .padding(Padding::Same)
                .activation(Activation::Tanh),
        )
        .layer(AveragePooling2D::new([2, 2]))
        .layer(Conv2D::new(16, [5, 5]).activation(Activation::Tanh))
        .layer(AveragePooling2D::new([2, 2]))
        .layer(Flatten::new())
        .layer(Dense::new(120).activation(Activation::Tanh))
        .layer(Dense::new(84).activation(Activation::Tanh))
        .layer(Dense::new(10))
        .build()?)
}

/// A built-in model: its name and what makes it.
type Entry = (&'static str, fn() -> Result<ModelSpec>);

/// All built-in models, in the order in which they are listed.
const MODELS: [Entry; 12] = [
    ("cats_vs_dogs", cats_vs_dogs),
    ("cats_vs_dogs_sequential", cats_vs_dogs_sequential),
    ("first_cnn", first_cnn),
    ("cats_vs_dogs_originals", cats_vs_dogs_originals),
    ("digits_cnn", digits_cnn),
    ("mnist_cnn", mnist_cnn),
    ("mnist_mlp", mnist_mlp),
    ("lenet5", lenet5),
    ("vgg_like", vgg_like),
    ("resnet20", resnet20),
    ("mobilenet_v2", mobilenet_v2),
    ("efficientnet_b0", efficientnet_b0),
];

/// The names of the built-in models.
pub fn names() -> impl Iterator<Item = &'static str> {
    MODELS.iter().map(|(name, _)| *name)
}

/// The built-in model of this name; `-` counts as `_`.
///
/// ```
/// assert_eq!(models::zoo::by_name("cats-vs-dogs")?.counts().total, 2_056);
/// assert!(models::zoo::by_name("mnist_cn").unwrap_err().to_string().contains("did you mean 'mnist_cnn'?"));
/// # Ok::<(), models::Error>(())
/// ```
///
/// # Errors
/// [`Error::UnknownModel`] with the nearest name.
pub fn by_name(name: &str) -> Result<ModelSpec> {
    let wanted = name.replace('-', "_").to_lowercase();
    if let Some((_, model)) = MODELS.iter().find(|(known, _)| *known == wanted) {
        return model();
    }
    let nearest = names()
        .map(|known| (strsim::damerau_levenshtein(known, &wanted), known))
        .min();
    let hint = match nearest {
        Some((steps, known)) if steps <= 3 => format!("did you mean '{known}'? "),
        _ => String::new(),
    };
    Err(Error::UnknownModel {
        name: name.to_string(),
        hint,
        known: names().collect::<Vec<_>>().join(", "),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, parameters: u64) {
        assert_eq!(by_name(name).unwrap().counts().total, parameters, "{name}");
    }

    #[test]
    fn the_models_have_the_parameters_of_their_papers() {
        check("cats_vs_dogs", 2_056);
        check("mnist_cnn", 34_826);
        check("lenet5", 61_706);
        check("mnist_mlp", 784 * 512 + 512 + 512 * 512 + 512 + 512 * 10 + 10);
        check("first_cnn", (5 * 5 + 1) * 8 + (16 * 16 * 8 + 1) * 2);
        let filters = 9 * 8 + 9 * 8 * 32 + 9 * 32 * 32;
        check("cats_vs_dogs_originals", filters + 2 * 4 * 32 + (4 * 4 * 32 + 1) * 2);
        check("resnet20", 274_442);
        check("mobilenet_v2", 3_538_984);
        check("efficientnet_b0", 5_330_571);
    }

    #[test]
    fn parts_that_do_not_train_are_counted_as_in_keras() {
        assert_eq!(by_name("mobilenet_v2").unwrap().counts().non_trainable, 34_112);
        assert_eq!(by_name("efficientnet_b0").unwrap().counts().non_trainable, 42_023);
        assert_eq!(by_name("resnet20").unwrap().counts().non_trainable, 1_376);
    }

    #[test]
    fn every_name_is_a_model_that_runs() {
        for name in names() {
            // What was made for ImageNet runs on images of any size.
            let spec = match name {
                "mobilenet_v2" => mobilenet_v2_for(name, [33, 40, 3], 7).unwrap(),
                "efficientnet_b0" => efficientnet_b0_for(name, [33, 40, 3], 7).unwrap(),
                _ => by_name(name).unwrap(),
            };
            let network = crate::Network::new(spec, 1, &candle_core::Device::Cpu, candle_core::DType::F32).unwrap();
            let mut shape = vec![2];
            shape.extend(network.input_shape());
            let x = candle_core::Tensor::ones(shape, candle_core::DType::F32, &candle_core::Device::Cpu).unwrap();
            let y = network.forward(&x, crate::Mode::Inference).unwrap();
            assert_eq!(y.dims()[1..], network.output_shape(), "{name}");
            let numbers = y.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            assert!(numbers.iter().all(|number| number.is_finite()), "{name}");
        }
    }

    #[test]
    fn far_names_get_no_suggestion() {
        let error = by_name("transformer").unwrap_err().to_string();
        assert!(
            !error.contains("did you mean") && error.contains("mnist_cnn"),
            "{error}"
        );
    }
}
