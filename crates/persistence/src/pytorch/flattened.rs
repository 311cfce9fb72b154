//! The order of the values behind a `Flatten`: Keras' images end with the channels, PyTorch's begin with them.

use nn_theory::{DataFormat, Layer, ModelSpec, Node, Shape};

/// What is known of a tensor of the graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// PyTorch has the same axes in the same order.
    Same,
    /// Channels last, where PyTorch has them behind the batch.
    ChannelsLast,
    /// The values of such an image in one row: its sides and channels.
    Flattened(Vec<usize>),
    /// An order that PyTorch does not have; the layer that made it.
    Other(String),
}

/// The order of each node's output; inner models are given the orders of their inputs.
pub(super) fn orders(spec: &ModelSpec, inputs: &[Order]) -> Vec<Order> {
    let nodes = spec.nodes();
    let first = nodes
        .iter()
        .any(|node| data_format(&node.layer) == Some(DataFormat::ChannelsFirst));
    let mut orders: Vec<Order> = Vec::with_capacity(nodes.len());
    for (index, node) in nodes.iter().enumerate() {
        let given = spec.inputs().iter().position(|&input| input == index);
        let order = match given {
            Some(place) if place < inputs.len() => inputs[place].clone(),
            Some(_) if node.output_shape.rank() > 3 && !first => Order::ChannelsLast,
            Some(_) => Order::Same,
            None => {
                let read: Vec<&Order> = node.inputs.iter().map(|&input| &orders[input]).collect();
                behind(node, &read)
            }
        };
        orders.push(order);
    }
    orders
}

/// Where a layer has its channels, for layers that ask.
fn data_format(layer: &Layer) -> Option<DataFormat> {
    Some(match layer {
        Layer::Conv1D(layer) => layer.data_format,
        Layer::Conv2D(layer) => layer.data_format,
        Layer::Conv3D(layer) => layer.data_format,
        Layer::Conv1DTranspose(layer) => layer.data_format,
        Layer::Conv2DTranspose(layer) => layer.data_format,
        Layer::Conv3DTranspose(layer) => layer.data_format,
        Layer::DepthwiseConv1D(layer) => layer.data_format,
        Layer::DepthwiseConv2D(layer) => layer.data_format,
        Layer::SeparableConv1D(layer) => layer.data_format,
        Layer::SeparableConv2D(layer) => layer.data_format,
        Layer::MaxPooling1D(layer) => layer.data_format,
        Layer::MaxPooling2D(layer) => layer.data_format,
        Layer::MaxPooling3D(layer) => layer.data_format,
        Layer::AveragePooling1D(layer) => layer.data_format,
        Layer::AveragePooling2D(layer) => layer.data_format,
        Layer::AveragePooling3D(layer) => layer.data_format,
        _ => return None,
    })
}

/// Layers that give each value its own place again.
fn keeps_places(layer: &Layer) -> bool {
    matches!(
        layer.class(),
        "Activation"
            | "ActivityRegularization"
            | "Add"
            | "AlphaDropout"
            | "Average"
            | "BatchNormalization"
            | "Dropout"
            | "ELU"
            | "GaussianDropout"
            | "GaussianNoise"
            | "Identity"
            | "LayerNormalization"
            | "LeakyReLU"
            | "Masking"
            | "Maximum"
            | "Minimum"
            | "Multiply"
            | "PReLU"
            | "ReLU"
            | "RMSNormalization"
            | "Rescaling"
            | "Softmax"
            | "SpatialDropout1D"
            | "SpatialDropout2D"
            | "SpatialDropout3D"
            | "Subtract"
    )
}

fn behind(node: &Node, inputs: &[&Order]) -> Order {
    if let Some(format) = data_format(&node.layer) {
        return match format {
            DataFormat::ChannelsLast => Order::ChannelsLast,
            DataFormat::ChannelsFirst => Order::Same,
        };
    }
    let Some(&first) = inputs.first() else {
        return Order::Same;
    };
    match &node.layer {
        Layer::Flatten(layer) => flattened(node, first, layer.data_format),
        Layer::Reshape(_) if node.output_shape.rank() == 2 => flattened(node, first, DataFormat::ChannelsLast),
        Layer::Reshape(_) => reshaped(node, first),
        Layer::Permute(_) if *first != Order::Same => Order::Other(node.name.clone()),
        // The features of each place are mixed; the places stay where they are.
        Layer::Dense(_) | Layer::EinsumDense(_) if *first == Order::ChannelsLast => Order::ChannelsLast,
        Layer::Dense(_) | Layer::EinsumDense(_) => Order::Same,
        Layer::Concatenate(_) if inputs.iter().any(|order| matches!(order, Order::Flattened(_))) => {
            Order::Other(node.name.clone())
        }
        // Reads (batch, steps, features) in both frameworks; after a Conv1D PyTorch needs a transpose there.
        layer
            if matches!(
                layer.class(),
                "LSTM" | "GRU" | "SimpleRNN" | "Bidirectional" | "Embedding"
            ) =>
        {
            Order::Same
        }
        layer if layer.class().starts_with("Global") => match inputs {
            _ if node.output_shape.rank() > 2 => first.clone(),
            _ => Order::Same,
        },
        layer => {
            let found = inputs.iter().find(|order| ***order != Order::Same);
            match found {
                Some(Order::Flattened(_)) if !keeps_places(layer) => Order::Other(node.name.clone()),
                Some(order) => (*order).clone(),
                None => Order::Same,
            }
        }
    }
}

/// Sizes of a sample; `None` where one is free.
fn sizes(shape: &Shape) -> Option<Vec<usize>> {
    shape
        .0
        .iter()
        .skip(1)
        .map(|size| size.and_then(|size| usize::try_from(size).ok()))
        .collect()
}

/// Whether the two orders of an image are the same one.
fn is_one_row(sides: &[usize]) -> bool {
    match sides.split_last() {
        Some((channels, sides)) => *channels == 1 || sides.iter().product::<usize>() == 1,
        None => true,
    }
}

fn flattened(node: &Node, input: &Order, format: DataFormat) -> Order {
    let sizes = node.input_shapes.first().and_then(sizes);
    match (input, sizes) {
        (Order::Other(_) | Order::Flattened(_), _) => input.clone(),
        (_, None) if *input == Order::Same => Order::Same,
        (_, None) => Order::Other(node.name.clone()),
        (Order::ChannelsLast, Some(sizes)) if is_one_row(&sizes) => Order::Same,
        (Order::ChannelsLast, Some(sizes)) => Order::Flattened(sizes),
        // Keras brings the channels to the end before it flattens.
        (Order::Same, Some(mut sizes)) if format == DataFormat::ChannelsFirst && sizes.len() > 1 => {
            sizes.rotate_left(1);
            if is_one_row(&sizes) {
                Order::Same
            } else {
                Order::Flattened(sizes)
            }
        }
        (Order::Same, Some(_)) => Order::Same,
    }
}

fn reshaped(node: &Node, input: &Order) -> Order {
    let is_image = node.output_shape.rank() > 3;
    match (input, sizes(&node.output_shape)) {
        (Order::Same, Some(sizes)) if is_image && is_one_row(&sizes) => Order::ChannelsLast,
        (Order::Same, _) if !is_image => Order::Same,
        (Order::ChannelsLast, _)
            if node
                .input_shapes
                .first()
                .and_then(self::sizes)
                .is_some_and(|sizes| is_one_row(&sizes)) =>
        {
            if is_image {
                Order::ChannelsLast
            } else {
                Order::Same
            }
        }
        // The values of an image go back to where they were.
        (Order::Flattened(before), Some(sizes)) if *before == sizes => Order::ChannelsLast,
        _ => Order::Other(node.name.clone()),
    }
}
