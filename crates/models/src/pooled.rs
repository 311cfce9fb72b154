//! Convolutions whose only reader is a max pooling: both are computed as one, and the outputs in between are never written to memory.

use nn_theory::{Activation, DataFormat, Layer, MaxPooling2D};

use crate::graph::Graph;

/// What a step has to do with the pooling behind or the convolution before it.
#[derive(Clone, Debug, Default)]
pub(crate) enum Joined {
    /// Nothing.
    #[default]
    Alone,
    /// A convolution that pools its outputs.
    Pools(MaxPooling2D),
    /// Its work is done by the convolution before it.
    Done,
}

impl Graph {
    /// Finds each convolution that only a max pooling reads, or only an activation layer that only a max pooling reads.
    pub(crate) fn join_pools(&mut self) {
        for first in 0..self.steps.len() {
            let Some(mut last) = self.only_reader(first) else {
                continue;
            };
            let Layer::Conv2D(conv) = &self.steps[first].node.layer else {
                continue;
            };
            let mut activation = conv.activation;
            let mut between = None;
            if let Some(function) = activation_alone(&self.steps[last].node.layer)
                && activation == Activation::Linear
                && self.is_plain(last, first)
            {
                let Some(reader) = self.only_reader(last) else { continue };
                (between, activation, last) = (Some(last), function, reader);
            }
            let Layer::MaxPooling2D(pool) = &self.steps[last].node.layer else {
                continue;
            };
            let formats = [conv.data_format, pool.data_format];
            if formats != [DataFormat::ChannelsLast; 2] || !self.is_plain(first, first) || !self.is_plain(last, first) {
                continue;
            }
            let joined = Joined::Pools(pool.clone());
            let mut conv = conv.clone();
            conv.activation = activation;
            self.steps[first].node.layer = Layer::Conv2D(conv);
            self.steps[first].joined = joined;
            for done in between.into_iter().chain([last]) {
                self.steps[done].joined = Joined::Done;
            }
        }
    }

    /// The one step that reads the output of `step`, where there is one and nobody else does.
    fn only_reader(&self, step: usize) -> Option<usize> {
        if self.spec.outputs().contains(&step) {
            return None;
        }
        let mut readers = self
            .spec
            .nodes()
            .iter()
            .enumerate()
            .filter(|(_, node)| node.inputs.contains(&step));
        let (reader, node) = readers.next()?;
        (readers.next().is_none() && node.inputs.len() == 1).then_some(reader)
    }

    /// Whether a step does nothing besides its layer, and in the format of `other`.
    fn is_plain(&self, step: usize, other: usize) -> bool {
        let (step, other) = (&self.steps[step], &self.steps[other]);
        step.after.is_none() && step.activity.is_none() && step.inner.is_empty() && step.half == other.half
    }
}

/// The function of a layer that is nothing else, where the kernels of convolutions apply it.
fn activation_alone(layer: &Layer) -> Option<Activation> {
    match layer {
        Layer::Activation(layer) => Some(layer.activation),
        Layer::ReLU(layer) if layer.threshold == 0.0 && layer.negative_slope == 0.0 => match layer.max_value {
            None => Some(Activation::Relu),
            Some(6.0) => Some(Activation::Relu6),
            Some(_) => None,
        },
        _ => None,
    }
    .filter(|function| crate::layers::is_fused(*function))
}
