//! The four nets: convolutions that are pooled, then dense layers.

use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::pool::{AvgPool2d, AvgPool2dConfig, MaxPool2d, MaxPool2dConfig};
use burn::nn::{Dropout, DropoutConfig, Initializer, Linear, LinearConfig, PaddingConfig2d};
use burn::prelude::*;
use burn::tensor::activation::relu;

/// Glorot's uniform distribution for every weight.
const GLOROT: Initializer = Initializer::XavierUniform { gain: 1.0 };

/// Convolutions, each with its activation and pooled by 2, dropout, and dense layers with activations between them.
#[derive(Module, Debug)]
pub struct Net {
    convolutions: Vec<Conv2d>,
    dense: Vec<Linear>,
    dropout: Option<Dropout>,
    max: MaxPool2d,
    average: AvgPool2d,
    /// LeNet's choices: tanh and the average instead of ReLU and the maximum.
    lenet: bool,
}

impl Net {
    /// The net of this name for images of `side` x `side`, or nothing for an unknown name.
    pub fn new(name: &str, side: usize, device: &Device) -> Option<Self> {
        let same = PaddingConfig2d::Same;
        let (convolutions, units): (Vec<Conv2d>, Vec<usize>) = match name {
            "mlp" => (vec![], vec![side * side, 512, 512, 10]),
            "cnn" => (
                vec![
                    convolution(1, 32, 3, same.clone(), device),
                    convolution(32, 64, 3, same, device),
                ],
                vec![(side / 4) * (side / 4) * 64, 128, 10],
            ),
            "lenet" => (
                vec![
                    convolution(1, 6, 5, same, device),
                    convolution(6, 16, 5, PaddingConfig2d::Valid, device),
                ],
                vec![((side / 2 - 4) / 2).pow(2) * 16, 120, 84, 10],
            ),
            "catsdogs" => (vec![convolution(1, 8, 5, same, device)], vec![(side / 2).pow(2) * 8, 2]),
            _ => return None,
        };
        Some(Net {
            convolutions,
            dense: units.windows(2).map(|pair| linear(pair[0], pair[1], device)).collect(),
            dropout: (name == "catsdogs").then(|| DropoutConfig::new(0.2).init()),
            max: MaxPool2dConfig::new([2, 2]).init(),
            average: AvgPool2dConfig::new([2, 2]).init(),
            lenet: name == "lenet",
        })
    }

    /// Logits (batch, classes) of images (batch, 1, side, side).
    pub fn forward(&self, mut x: Tensor<4>) -> Tensor<2> {
        for layer in &self.convolutions {
            x = layer.forward(x);
            x = if self.lenet {
                self.average.forward(x.tanh())
            } else {
                self.max.forward(relu(x))
            };
        }
        let mut x: Tensor<2> = x.flatten(1, 3);
        if let Some(dropout) = &self.dropout {
            x = dropout.forward(x);
        }
        for (index, layer) in self.dense.iter().enumerate() {
            x = layer.forward(x);
            if index + 1 < self.dense.len() {
                x = if self.lenet { x.tanh() } else { relu(x) };
            }
        }
        x
    }
}

/// Burn draws biases from the distribution of the weights: they are set to zero here, as everywhere in this comparison.
fn convolution(inputs: usize, filters: usize, size: usize, padding: PaddingConfig2d, device: &Device) -> Conv2d {
    let mut layer = Conv2dConfig::new([inputs, filters], [size, size])
        .with_padding(padding)
        .with_initializer(GLOROT)
        .init(device);
    layer.bias = Some(Initializer::Zeros.init([filters], device));
    layer
}

fn linear(inputs: usize, units: usize, device: &Device) -> Linear {
    let mut layer = LinearConfig::new(inputs, units).with_initializer(GLOROT).init(device);
    layer.bias = Some(Initializer::Zeros.init([units], device));
    layer
}
