//! `LSTM`, `GRU` and `RNN`, and the moves of axes around them: ONNX goes through (steps, batch, features), Keras through
//! (batch, steps, features).

use nn_theory::{Bidirectional, Cropping1D, Flatten, GRU, LSTM, Margins, NamedLayer, SimpleRNN, WrappedLayer};

use super::builder::{Builder, Known, Output, is_zero};
use super::proto::NodeProto;
use crate::fault::Result;
use crate::layout::{item_bytes, permuted};
use crate::stored::StoredTensor;

/// An axis of a sequence on its way through a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Axis {
    Batch,
    Steps,
    Directions,
    Units,
    /// Directions and units in one.
    Features,
}

use Axis::{Batch, Directions, Features, Units};

/// A sequence (batch, steps, features) of which the graph sees the axes in another order.
#[derive(Clone)]
pub(super) struct Steps {
    output: Output,
    axes: Vec<Axis>,
    directions: usize,
}

impl Steps {
    /// The sizes as the graph sees them.
    pub(super) fn shape(&self) -> Vec<Option<u64>> {
        let features = self.output.shape.get(2).copied().flatten();
        let size = |axis: &Axis| match axis {
            Batch => None,
            Axis::Steps => self.output.shape.get(1).copied().flatten(),
            Directions => Some(self.directions as u64),
            Units => features.map(|features| features / self.directions.max(1) as u64),
            Features => features,
        };
        self.axes.iter().map(size).collect()
    }

    /// The output itself, where the axes are those of Keras.
    fn settled(self) -> Known {
        if self.axes == [Batch, Axis::Steps, Features] {
            Known::Tensor(self.output)
        } else {
            Known::Steps(self)
        }
    }
}

/// The matrices of one direction, in ONNX' order of the gates.
struct Cell {
    name: &'static str,
    /// Block `i` of Keras is block `order[i]` of ONNX.
    order: &'static [usize],
}

impl<'g, 'a> Builder<'g, 'a> {
    /// Nodes about sequences; `None` for all others.
    pub(super) fn sequences(&mut self, node: &'g NodeProto<'a>) -> Result<Option<Known>> {
        if matches!(node.kind, "LSTM" | "GRU" | "RNN") {
            self.recurrent(node)?;
            return Ok(self.known.get(node.output()?).cloned());
        }
        let Some(name) = node.input(0) else { return Ok(None) };
        match self.known.get(name).cloned() {
            Some(Known::Steps(steps)) => self.moved(node, steps).map(Some),
            Some(Known::States(states)) => self.state(node, &states).map(Some),
            Some(Known::Tensor(x))
                if node.kind == "Transpose" && x.rank() == 3 && node.ints("perm")?.as_deref() == Some(&[1, 0, 2]) =>
            {
                Ok(Some(Known::Steps(Steps {
                    output: x,
                    axes: vec![Axis::Steps, Batch, Features],
                    directions: 1,
                })))
            }
            Some(Known::Tensor(x)) if node.kind == "Gather" && x.rank() == 3 && node.int("axis", 0)? == 1 => {
                let place = self.scalar(node, 1)?;
                self.step(node, &x, place).map(|output| Some(Known::Tensor(output)))
            }
            _ => Ok(None),
        }
    }

    /// One step of a sequence whose length is known.
    fn step(&mut self, node: &NodeProto<'a>, x: &Output, place: Option<f64>) -> Result<Output> {
        let (Some(length), Some(place)) = (x.shape[1], place) else {
            return Err(node.wrong("one step of a sequence of any length; export with a fixed length"));
        };
        let from_front = if place < 0.0 { place + length as f64 } else { place };
        if !(0.0..length as f64).contains(&from_front) {
            return Err(node.wrong(format!("step {place} of a sequence of {length}")));
        }
        let before = from_front as usize;
        let cut = self.plain(
            node,
            Cropping1D::new(Margins([[before, length as usize - 1 - before]])),
            &[x],
        )?;
        self.plain(node, Flatten::new(), &[&cut])
    }

    /// A move of the axes of a sequence.
    fn moved(&mut self, node: &'g NodeProto<'a>, steps: Steps) -> Result<Known> {
        let refused = || {
            node.wrong(format!(
                "takes a sequence whose axes are {:?}; only moves of axes are read there",
                steps.axes
            ))
        };
        let axes = match node.kind {
            "Identity" | "Dropout" | "Cast" => steps.axes.clone(),
            "Transpose" => {
                let order = node.ints("perm")?.unwrap_or_default();
                let axes: Option<Vec<Axis>> = order
                    .iter()
                    .map(|&axis| steps.axes.get(usize::try_from(axis).ok()?).copied())
                    .collect();
                axes.filter(|axes| axes.len() == steps.axes.len()).ok_or_else(refused)?
            }
            "Squeeze" if steps.directions == 1 => {
                let place = steps
                    .axes
                    .iter()
                    .position(|&axis| axis == Directions)
                    .ok_or_else(refused)?;
                if self.integers(node, 1, "axes")? != Some(vec![place as i64]) {
                    return Err(refused());
                }
                let others = steps.axes.iter().filter(|&&axis| axis != Directions);
                others
                    .map(|&axis| if axis == Units { Features } else { axis })
                    .collect()
            }
            "Reshape" => match steps.axes.as_slice() {
                [first, second, Directions, Units] => vec![*first, *second, Features],
                _ => return Err(refused()),
            },
            "Gather" if steps.axes == [Axis::Steps, Batch, Features] && node.int("axis", 0)? == 0 => {
                let place = self.scalar(node, 1)?;
                return self.step(node, &steps.output, place).map(Known::Tensor);
            }
            _ => return Err(refused()),
        };
        Ok(Steps { axes, ..steps }.settled())
    }

    /// The state of one direction.
    fn state(&mut self, node: &NodeProto<'a>, states: &[Output]) -> Result<Known> {
        let one = match node.kind {
            "Squeeze" if states.len() == 1 && self.integers(node, 1, "axes")? == Some(vec![0]) => states.first(),
            "Gather" if node.int("axis", 0)? == 0 => {
                let place = self.scalar(node, 1)?.unwrap_or(0.0) as i64;
                let place = if place < 0 { place + states.len() as i64 } else { place };
                usize::try_from(place).ok().and_then(|place| states.get(place))
            }
            _ => None,
        };
        one.cloned()
            .map(Known::Tensor)
            .ok_or_else(|| node.wrong("takes the states of all directions at once; take one of them"))
    }

    fn recurrent(&mut self, node: &'g NodeProto<'a>) -> Result<()> {
        let (batch_first, input) = (
            node.int("layout", 0)? == 1,
            node.input(0).and_then(|name| self.known.get(name)).cloned(),
        );
        let x = match input {
            Some(Known::Steps(steps)) if !batch_first && steps.axes == [Axis::Steps, Batch, Features] => steps.output,
            Some(Known::Tensor(x)) if batch_first => x,
            _ => return Err(node.wrong("reads (steps, batch, features); export a module with batch_first=True")),
        };
        let direction = node.text("direction")?.unwrap_or("forward");
        let directions = match direction {
            "forward" => 1,
            "bidirectional" => 2,
            other => return Err(node.wrong(format!("direction '{other}'; forward and bidirectional are read"))),
        };
        self.check_options(node, directions)?;
        let weight = self.weight(node, 1)?;
        let (_, recurrent) = self.weight(node, 2)?;
        let bias = self.constant(node, 3)?.map(|(_, bias)| bias);
        let units = recurrent.shape().last().copied().unwrap_or(0);
        let (cell, gates) = match node.kind {
            "LSTM" => (
                Cell {
                    name: "lstm",
                    order: &[0, 2, 3, 1],
                },
                4,
            ),
            "GRU" => (
                Cell {
                    name: "gru",
                    order: &[0, 1, 2],
                },
                3,
            ),
            _ => (
                Cell {
                    name: "simple_rnn",
                    order: &[0],
                },
                1,
            ),
        };
        let features = x.shape.last().copied().flatten().unwrap_or(0) as usize;
        let shapes = [weight.1.shape(), recurrent.shape()];
        let wide = units.saturating_mul(gates);
        let fits = shapes == [&[directions, wide, features][..], &[directions, wide, units][..]];
        if !fits
            || bias
                .as_ref()
                .is_some_and(|bias| bias.shape() != [directions, wide.saturating_mul(2)])
            || units == 0
        {
            return Err(node.wrong(format!("matrices of the shapes {shapes:?} for {features} features")));
        }
        let reads = |place: usize| {
            node.outputs
                .get(place)
                .is_some_and(|name| self.reads.contains_key(name))
        };
        let with_states = reads(1) || reads(2);
        let separate = node.int("linear_before_reset", 0)? != 0;
        let layer: NamedLayer = match node.kind {
            "LSTM" => LSTM::new(units)
                .use_bias(bias.is_some())
                .return_sequences(true)
                .return_state(with_states)
                .name("lstm"),
            "GRU" => GRU::new(units)
                .use_bias(bias.is_some())
                .reset_after(separate)
                .return_sequences(true)
                .return_state(with_states)
                .name("gru"),
            _ => SimpleRNN::new(units)
                .use_bias(bias.is_some())
                .return_sequences(true)
                .return_state(with_states)
                .name("simple_rnn"),
        };
        let (output, name) = if directions == 2 {
            self.call(
                node,
                Bidirectional::new(WrappedLayer(Box::new(layer))),
                &[&x],
                Some(weight.0),
            )?
        } else {
            self.call(node, layer, &[&x], Some(weight.0))?
        };
        for place in 0..directions {
            let side = match (directions, place) {
                (1, _) => String::new(),
                (_, 0) => format!("forward_{}/", cell.name),
                _ => format!("backward_{}/", cell.name),
            };
            let path = |weight: &str| format!("{name}/{side}{}_cell/{weight}", cell.name);
            self.weights
                .insert(path("kernel"), turned(weight.1.clone(), place, &cell, features));
            self.weights
                .insert(path("recurrent_kernel"), turned(recurrent.clone(), place, &cell, units));
            if let Some(bias) = &bias {
                let rows = node.kind == "GRU" && separate;
                self.weights
                    .insert(path("bias"), biases(bias.clone(), place, &cell, rows));
            }
        }
        let tensor = output.tensor;
        if let Some(&name) = node.outputs.first().filter(|name| !name.is_empty()) {
            let axes = if batch_first {
                vec![Batch, Axis::Steps, Directions, Units]
            } else {
                vec![Axis::Steps, Directions, Batch, Units]
            };
            self.known.insert(
                name,
                Known::Steps(Steps {
                    output,
                    axes,
                    directions,
                }),
            );
        }
        let per_direction = if node.kind == "LSTM" { 2 } else { 1 };
        for place in 1..node.outputs.len().min(1 + per_direction) {
            let states = (0..directions).map(|direction| Output {
                tensor: tensor.output(1 + direction * per_direction + place - 1),
                shape: vec![None, Some(units as u64)],
                is_positive: false,
            });
            self.known.insert(node.outputs[place], Known::States(states.collect()));
        }
        Ok(())
    }

    /// Options beside the matrices must say what Keras' layers do.
    fn check_options(&self, node: &NodeProto<'a>, directions: usize) -> Result<()> {
        let usual: &[&str] = match node.kind {
            "LSTM" => &["Sigmoid", "Tanh", "Tanh"],
            "GRU" => &["Sigmoid", "Tanh"],
            _ => &["Tanh"],
        };
        let functions = node.texts("activations")?;
        if !functions.is_empty() && functions != usual.repeat(directions) {
            return Err(node.wrong(format!("the functions {functions:?}; {usual:?} are read")));
        }
        if node.float("clip", 0.0)? != 0.0 || node.int("input_forget", 0)? != 0 || node.input(7).is_some() {
            return Err(node.wrong("clip, input_forget and peepholes have no counterpart in Keras"));
        }
        if node.input(4).is_some() {
            return Err(node.wrong("lengths of the sequences have no counterpart in Keras; use a mask"));
        }
        for place in 5..7 {
            let is_zero = match node.input(place).map(|name| self.known.get(name)) {
                None | Some(Some(Known::Zeros)) => true,
                Some(Some(Known::Constant(tensor))) => is_zero(tensor),
                _ => false,
            };
            if !is_zero {
                return Err(node.wrong("first states other than zeros are not read"));
            }
        }
        Ok(())
    }
}

/// One direction of `(directions, gates · units, values)` as `(values, gates · units)` in Keras' order of the gates.
fn turned(tensor: StoredTensor, place: usize, cell: &Cell, values: usize) -> StoredTensor {
    let wide = tensor.shape().get(1).copied().unwrap_or(0);
    let (dtype, order) = (tensor.dtype(), cell.order);
    StoredTensor::computed(dtype, vec![values, wide], move || {
        let item = item_bytes(dtype).unwrap_or(1);
        let rows = reordered(direction(&tensor.bytes()?, place, wide * values * item), order);
        Ok(permuted(&rows, item, &[wide, values], &[1, 0]).0)
    })
}

/// The biases of input and state of one direction: a row each, or their sum.
fn biases(tensor: StoredTensor, place: usize, cell: &Cell, rows: bool) -> StoredTensor {
    let wide = tensor.shape().get(1).copied().unwrap_or(0) / 2;
    let (dtype, order) = (tensor.dtype(), cell.order);
    let shape = if rows { vec![2, wide] } else { vec![wide] };
    StoredTensor::computed(dtype, shape, move || {
        let size = wide * item_bytes(dtype).unwrap_or(1);
        let bytes = tensor.bytes()?;
        let both = direction(&bytes, place, 2 * size);
        let [input, state] = [&both[..size], &both[size..]].map(|part| reordered(part, order));
        Ok(if rows {
            [input, state].concat()
        } else {
            crate::layout::sum(input, state, dtype)
        })
    })
}

fn direction(bytes: &[u8], place: usize, size: usize) -> &[u8] {
    &bytes[place * size..(place + 1) * size]
}

/// Equal blocks in another order.
fn reordered(bytes: &[u8], order: &[usize]) -> Vec<u8> {
    let size = bytes.len() / order.len();
    order
        .iter()
        .flat_map(|&block| &bytes[block * size..(block + 1) * size])
        .copied()
        .collect()
}
