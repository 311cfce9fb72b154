//! What the choice was made from: the chosen network, and one change at a time.

use models::zoo;
use nn_theory::{
    Activation, AveragePooling2D, BatchNormalization, Conv2D, Dense, Dropout, Flatten, GlobalAveragePooling2D,
    LayerNormalization, MaxPooling2D, ModelSpec, Padding, ReLU, Sequential,
};

use crate::training_run::{Recipe, Update};

/// Flips, and faces that are turned, nearer or further, off the centre, brighter or darker.
const MODERATE: &str = "flip(horizontal) | rotate(0.055) | zoom(0.25) | translate(0.12, 0.12) | brightness(0.2)";

/// The same and more of it, with sheared, blurred, noisy and partly hidden faces.
const STRONG: &str = "flip(horizontal) | rotate(0.065) | shear(0.15) | zoom(0.3) | translate(0.15, 0.15) \
                      | brightness(0.2) | contrast(0.3) | blur([1, 1], 5, [0, 1]) @ 0.5 | gaussian_noise(0.08) @ 0.5 \
                      | erase([1, 1], [0.02, 0.2], 0.5) @ 0.5";

/// What the measured images of the cross-validation go through beside being taken as they are.
pub(crate) const OTHERWISE: &str = "flip(horizontal) | rotate(0.08) | shear(0.2) | zoom(0.35) | translate(0.2, 0.2) \
                                    | brightness(0.25) | contrast(0.4) | blur([1, 1], 5, [0, 1]) @ 0.5 \
                                    | gaussian_noise(0.12) @ 0.5 | erase([1, 1], [0.02, 0.2], 0.5) @ 0.5";

/// The network that the cross-validation chose; see `docs/benchmarks/cats-vs-dogs.md`.
pub(crate) const CHOSEN: Recipe = Recipe {
    name: "**`cats_vs_dogs_originals`**",
    network: zoo::cats_vs_dogs_originals,
    fixed_gradients: true,
    augmentation: STRONG,
    epochs: 200,
    batch_size: 20,
    update: ADAMW,
};

const ADAMW: Update = Update::AdamW {
    learning_rate: 5e-3,
    weight_decay: 1e-2,
};

/// The lecture's first network: 130 epochs of SGD in batches of 8.
pub(crate) const FIRST_NETWORK: Recipe = Recipe {
    name: "first network (1024-2-2)",
    network: zoo::cats_vs_dogs,
    fixed_gradients: false,
    augmentation: "",
    epochs: 130,
    batch_size: 8,
    update: LECTURE,
};

/// The lecture's first convolutional network: 40 epochs of SGD in batches of 8.
pub(crate) const FIRST_CNN: Recipe = Recipe {
    name: "first CNN",
    network: zoo::first_cnn,
    epochs: 40,
    ..FIRST_NETWORK
};

const LECTURE: Update = Update::Sgd { learning_rate: 1e-2 };

/// Everything that was compared: the chosen one, and what one change makes of it.
pub(crate) fn all() -> Vec<Recipe> {
    let adamw = |learning_rate, weight_decay| Update::AdamW {
        learning_rate,
        weight_decay,
    };
    let network = |name, network| Recipe {
        name,
        network,
        ..CHOSEN
    };
    let augmented = |name, augmentation| Recipe {
        name,
        augmentation,
        ..CHOSEN
    };
    let trained = |name, epochs, update| Recipe {
        name,
        epochs,
        update,
        ..CHOSEN
    };
    let learned = |recipe| Recipe {
        fixed_gradients: false,
        ..recipe
    };
    vec![
        CHOSEN,
        augmented("no augmentation", ""),
        augmented("moderate augmentation", MODERATE),
        learned(network("learned filters, not gradients", zoo::cats_vs_dogs_originals)),
        network("12 directions, not 8", twelve_directions),
        network("batch, not layer normalisation of the cells", batch_normalised_cells),
        network("16 and 16 filters, not 32 and 32", narrow),
        network("48 and 64 filters", wide),
        network("one more convolution of 32 filters", deep),
        network("32 and 64 filters, global average pooling", averaged),
        network("no convolution: linear on cells of 8 x 8", linear),
        trained("60 epochs, not 200", 60, ADAMW),
        trained("500 epochs", 500, ADAMW),
        trained("learning rate 1e-3, not 5e-3", 200, adamw(1e-3, 1e-2)),
        trained("learning rate 1e-2", 200, adamw(1e-2, 1e-2)),
        trained("weight decay 0.1, not 0.01", 200, adamw(5e-3, 0.1)),
        Recipe {
            name: "batches of 10, not 20",
            batch_size: 10,
            ..CHOSEN
        },
        learned(network("grey images, 4 blocks of 16-32-64-64 filters", grey)),
        learned(Recipe {
            network: grey,
            ..augmented("the same, moderate augmentation", MODERATE)
        }),
    ]
}

/// A convolution of 3 x 3, whose bias the normalisation behind it would take away again.
fn conv(filters: usize) -> Conv2D {
    Conv2D::new(filters, [3, 3]).padding(Padding::Same).use_bias(false)
}

fn convolved(network: Sequential, filters: usize) -> Sequential {
    network
        .layer(conv(filters))
        .layer(BatchNormalization::new().momentum(0.9))
        .layer(ReLU::new())
}

fn block(network: Sequential, filters: usize) -> Sequential {
    convolved(network, filters).layer(MaxPooling2D::new([2, 2]))
}

/// Rectified answers of filters, averaged over cells.
fn answers(name: &str, filters: usize, cell: usize) -> Sequential {
    ModelSpec::sequential(name)
        .input([64, 64, 1])
        .layer(conv(filters).activation(Activation::Relu).name("gradients"))
        .layer(AveragePooling2D::new([cell, cell]))
}

/// The same, relative to each other in each cell.
fn cells(name: &str, filters: usize, cell: usize) -> Sequential {
    answers(name, filters, cell).layer(LayerNormalization::new().center(false).scale(false).epsilon(1e-5))
}

fn flat(network: Sequential) -> models::Result<ModelSpec> {
    Ok(network
        .layer(Flatten::new())
        .layer(Dropout::new(0.5))
        .layer(Dense::new(2))
        .build()?)
}

fn pooled(network: Sequential) -> models::Result<ModelSpec> {
    Ok(network
        .layer(GlobalAveragePooling2D::new())
        .layer(Dropout::new(0.3))
        .layer(Dense::new(2))
        .build()?)
}

fn twelve_directions() -> models::Result<ModelSpec> {
    flat(block(block(cells("twelve_directions", 12, 4), 32), 32))
}

fn batch_normalised_cells() -> models::Result<ModelSpec> {
    let start = answers("batch_normalised_cells", 8, 4).layer(BatchNormalization::new().momentum(0.9));
    flat(block(block(start, 32), 32))
}

fn narrow() -> models::Result<ModelSpec> {
    flat(block(block(cells("narrow", 8, 4), 16), 16))
}

fn wide() -> models::Result<ModelSpec> {
    flat(block(block(cells("wide", 8, 4), 48), 64))
}

fn deep() -> models::Result<ModelSpec> {
    flat(block(block(convolved(cells("deep", 8, 4), 32), 32), 32))
}

fn averaged() -> models::Result<ModelSpec> {
    pooled(block(block(cells("averaged", 8, 4), 32), 64))
}

fn linear() -> models::Result<ModelSpec> {
    flat(cells("linear", 8, 8))
}

fn grey() -> models::Result<ModelSpec> {
    let start = ModelSpec::sequential("grey").input([64, 64, 1]);
    pooled([16, 32, 64, 64].into_iter().fold(start, block))
}
