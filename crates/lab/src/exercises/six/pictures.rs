//! What a trained network looks like.

use backprop::by_hand::{Epoch, Forward, Network};
use datasets::Images;
use report::Figure;
use report::plot::{ConfusionMatrix, ImageGrid, LineChart, ScatterChart};

use super::training::Part;

/// The loss of every epoch, over all trainings and for the first one, which candle repeated in part.
pub(super) fn learning_curves(histories: &[&[Epoch]], candle: &[f64]) -> Figure {
    let epochs = histories.iter().map(|history| history.len()).min().unwrap_or(0);
    let mut chart = LineChart::new("Learning curves of the network trained by hand");
    chart.description(
        "Mean training loss of each epoch: all seeds, the first seed, and candle's autograd for its first epochs.",
    );
    chart.x_axis("epoch").y_axis("loss").log_y();
    chart.band(
        format!("derived formulas, {} seeds", histories.len()),
        (0..epochs).map(|epoch| {
            let losses = || histories.iter().map(move |history| history[epoch].loss);
            let mean = losses().sum::<f64>() / histories.len().max(1) as f64;
            let (low, high) = (losses().fold(mean, f64::min), losses().fold(mean, f64::max));
            ((epoch + 1) as f64, mean, low, high)
        }),
    );
    let points = |losses: Vec<f64>| {
        losses
            .into_iter()
            .enumerate()
            .map(|(epoch, loss)| ((epoch + 1) as f64, loss))
    };
    if let Some(first) = histories.first() {
        chart.series(
            "derived formulas, first seed",
            points(first.iter().map(|epoch| epoch.loss).collect()),
        );
    }
    chart.series("candle's autograd, first seed", points(candle.to_vec()));
    chart.figure(format!(
        "Training loss, measured during each epoch; the band goes from the best seed to the worst. For the {} epochs that \
         candle repeated, its line lies on the one of the derived formulas.",
        candle.len()
    ))
}

pub(super) fn confusion(names: &[String], counts: Vec<Vec<u64>>) -> Figure {
    ConfusionMatrix::new("Test images: what they are, and what they are taken for", names, counts)
        .figure("Rows are the true classes, columns what the network says.")
}

/// The mean image of each class and the weights of each hidden neuron.
pub(super) fn weights(network: &Network, names: &[String], train: &Part, images: &Images) -> Figure {
    let mut sheet = ImageGrid::new(
        "Mean images, and the weights of the hidden neurons",
        images.height,
        images.width,
        3,
    );
    let means: Vec<Vec<f64>> = (0..names.len())
        .map(|class| mean_image(class, train, images.image_len()))
        .collect();
    let brightest = means.iter().flatten().fold(0.0, |m: f64, pixel| m.max(*pixel));
    sheet.row(
        format!("mean of {}", names.join(" and of ")),
        means.iter().map(|mean| picture(mean, brightest, images.channels)),
    );
    let largest = network.a().data().iter().fold(0.0, |m: f64, w| m.max(w.abs()));
    let rows = 0..network.a().rows();
    sheet.row(
        format!("weights of neurons 1 to {}", network.a().rows()),
        rows.map(|neuron| signed_picture(network.a().row(neuron), largest, images.channels)),
    );
    let figure = sheet.figure(
        "Above, the mean training image of each class (brightened); below, what each hidden neuron looks for: a row of $A$, pixel by \
         pixel. Blue weights are positive, orange ones negative, white is 0.",
    );
    // Colours carry the signs, which characters cannot.
    Figure {
        terminal: None,
        ..figure
    }
}

/// The mean of a class's images.
fn mean_image(class: usize, train: &Part, length: usize) -> Vec<f64> {
    let mut mean = vec![0.0; length];
    let members = || train.images().zip(train.labels()).filter(|(_, label)| **label == class);
    let count = members().count().max(1) as f64;
    for (image, _) in members() {
        mean.iter_mut()
            .zip(image)
            .for_each(|(mean, pixel)| *mean += pixel / count);
    }
    mean
}

/// Red, green and blue bytes; `brightest` becomes 255.
fn picture(image: &[f64], brightest: f64, channels: usize) -> Vec<u8> {
    let byte = |value: f64| {
        (255.0 * value / brightest.max(f64::MIN_POSITIVE))
            .round()
            .clamp(0.0, 255.0) as u8
    };
    image
        .chunks(channels)
        .flat_map(|pixel| [0, 1, 2].map(|channel: usize| byte(pixel[channel.min(pixel.len() - 1)])))
        .collect()
}

/// Blue for positive, orange for negative, white for 0; the mean over the channels of a pixel.
fn signed_picture(weights: &[f64], largest: f64, channels: usize) -> Vec<u8> {
    const BLUE: [f64; 3] = [0.0, 103.0, 168.0];
    const ORANGE: [f64; 3] = [201.0, 79.0, 0.0];
    weights
        .chunks(channels)
        .flat_map(|pixel| {
            let weight = pixel.iter().sum::<f64>() / pixel.len() as f64 / largest.max(f64::MIN_POSITIVE);
            let ink = if weight < 0.0 { ORANGE } else { BLUE };
            ink.map(|ink| (255.0 + (ink - 255.0) * weight.abs()).round().clamp(0.0, 255.0) as u8)
        })
        .collect()
}

/// Where the test images lie before the last layer, and the line that parts the classes.
pub(super) fn hidden_values(network: &Network, names: &[String], outputs: &[Forward], labels: &[usize]) -> Figure {
    let mut chart = ScatterChart::new("Test images as the hidden neurons see them");
    chart.x_axis("v₁").y_axis("v₂");
    for (class, name) in names.iter().enumerate() {
        let members = outputs.iter().zip(labels).filter(|(_, label)| **label == class);
        chart.series(
            name,
            members.filter_map(|(output, _)| Some((*output.v.first()?, *output.v.get(1)?))),
        );
    }
    if let Some([from, to]) = network.border() {
        let between = |share: f64| (from.0 + share * (to.0 - from.0), from.1 + share * (to.1 - from.1));
        chart.series("z₁ = z₂", (0..=60).map(|n| between(f64::from(n) / 60.0)));
    }
    chart.figure(
        "Each point is a test image. Where $z_1 = z_2$ the network cannot decide; without biases this line goes through the \
         origin. In the corners of the square both neurons are saturated and hardly learn any more.",
    )
}
