//! Layers that go through a sequence: a `Scan` whose body is one step, so that masks, directions and any activation are Keras'.

use nn_theory::{Activation, Bidirectional, DataFormat, Layer, Padding};
use serde_json::{Map, Value as Json};

use super::Call;
use super::graph::{Attributes, BOOL, Graph, Value};
use super::windows::Window;
use crate::fault::{Fault, Result};
use crate::onnx::protobuf::Writer;

/// What a recurrent layer says about its walk.
#[derive(Clone, Copy)]
struct Walk {
    sequences: bool,
    states: bool,
    backwards: bool,
    zeros_for_mask: bool,
}

impl Walk {
    fn of(config: &Map<String, Json>) -> Self {
        let flag = |key: &str| config.get(key).and_then(Json::as_bool).unwrap_or(false);
        Walk {
            sequences: flag("return_sequences"),
            states: flag("return_state"),
            backwards: flag("go_backwards"),
            zeros_for_mask: flag("zero_output_for_mask"),
        }
    }
}

/// A step: from the input of a step and the states, the new states; the first one is the output.
type Cell<'c> = dyn Fn(&mut Graph<'_>, &str, &[String]) -> Result<Vec<String>> + 'c;

impl Graph<'_> {
    /// The outputs of a walk through `x` (batch, steps, ...).
    fn scanned(
        &mut self,
        x: &str,
        mask: Option<&str>,
        states: Vec<String>,
        walk: Walk,
        cell: &Cell<'_>,
    ) -> Result<Vec<String>> {
        let count = states.len();
        // Behind the states: the output of the last step, which a masked step repeats.
        let zero = self.number(0.0);
        let last = self.op("Mul", &[&states[0], &zero]);
        let names: Vec<String> = (0..=count).map(|_| self.fresh("state")).collect();
        let (step, flag) = (self.fresh("step"), self.fresh("counts"));
        let (nodes, (ends, output)) = self.inner(|graph| {
            let mut new = cell(graph, &step, &names[..count])?;
            let mut output = new[0].clone();
            if mask.is_some() {
                // A state of an image has more axes than the mask of its step.
                let flag = flag.as_str();
                let instead = if walk.zeros_for_mask {
                    graph.op("Mul", &[&names[count], &zero])
                } else {
                    names[count].clone()
                };
                output = graph.op("Where", &[flag, &output, &instead]);
                for (new, old) in new.iter_mut().zip(&names) {
                    *new = graph.op("Where", &[flag, new, old]);
                }
            }
            new.push(output.clone());
            // Every output of a body has a name of its own, also where a state is one of its inputs.
            let ends: Vec<String> = new.iter().map(|name| graph.op("Identity", &[name])).collect();
            let output = graph.op("Identity", &[&output]);
            Ok((ends, output))
        })?;
        let mut body = Writer(nodes.0).text(2, "step");
        let float = self.element_type();
        let mut inputs: Vec<(&str, i64)> = names.iter().map(|name| (name.as_str(), float)).collect();
        inputs.push((&step, float));
        if mask.is_some() {
            inputs.push((&flag, BOOL));
        }
        for (name, kind) in inputs {
            body = body.message(11, &untyped(name, kind));
        }
        for name in &ends {
            body = body.message(12, &untyped(name, float));
        }
        if walk.sequences {
            body = body.message(12, &untyped(&output, float));
        }
        let scans = if mask.is_some() { 2 } else { 1 };
        let mut attributes = Attributes::new()
            .graph("body", &body)
            .int("num_scan_inputs", scans)
            .ints("scan_input_axes", &vec![1; scans as usize]);
        if walk.backwards {
            attributes = attributes.ints("scan_input_directions", &vec![1; scans as usize]);
        }
        if walk.sequences {
            attributes = attributes.ints("scan_output_axes", &[1]);
        }
        let arguments: Vec<&str> = states
            .iter()
            .map(String::as_str)
            .chain([last.as_str(), x])
            .chain(mask)
            .collect();
        let made = self.many("Scan", &arguments, attributes, count + 1 + usize::from(walk.sequences));
        let mut results = vec![if walk.sequences {
            made[count + 1].clone()
        } else {
            made[count].clone()
        }];
        if walk.states {
            results.extend(made[..count].iter().cloned());
        }
        Ok(results)
    }

    /// `SimpleRNN`, `LSTM`, `GRU`; `prefix` is in front of the weights of a direction.
    pub(super) fn recurrent(
        &mut self,
        call: &Call<'_>,
        layer: &Layer,
        config: &Map<String, Json>,
        prefix: &str,
        inputs: &[Value],
    ) -> Result<Vec<String>> {
        let (cell_name, units, count) = match layer {
            Layer::SimpleRNN(layer) => ("simple_rnn_cell", layer.units, 1),
            Layer::LSTM(layer) => ("lstm_cell", layer.units, 2),
            Layer::GRU(layer) => ("gru_cell", layer.units, 1),
            other => {
                return Err(Fault::new(
                    call.place(),
                    format!("{} is no recurrent layer that is written", other.class()),
                ));
            }
        };
        let weight = |name: &str| call.weight(&format!("{prefix}{cell_name}/{name}"));
        let x = &inputs[0];
        let kernel = self.weight(&weight("kernel"))?;
        let recurrent = self.weight(&weight("recurrent_kernel"))?;
        let bias = weight("bias");
        let has_bias = self.has_weight(&bias);
        // With `reset_after` the bias has a row for the input and one for the state.
        let (bias, state_bias) = match layer {
            Layer::GRU(layer) if layer.reset_after && has_bias => {
                let both = self.weight(&bias)?;
                let rows: Vec<String> = (0..2)
                    .map(|row| {
                        let row = self.sliced(&both, 0, row, row + 1);
                        self.squeezed(&row, &[0])
                    })
                    .collect();
                (rows[0].clone(), rows[1].clone())
            }
            _ if has_bias => (self.weight(&bias)?, String::new()),
            _ => (String::new(), String::new()),
        };
        let mut projected = self.op("MatMul", &[&x.name, &kernel]);
        if !bias.is_empty() {
            projected = self.op("Add", &[&projected, &bias]);
        }
        let states = match &inputs[1..] {
            [] => vec![self.zeros_like_batch(&x.name, &[units as i64]); count],
            given => given.iter().map(|state| state.name.clone()).collect(),
        };
        let mask = x.mask.as_ref().map(|mask| self.unsqueezed(mask, &[2]));
        let layer = layer.clone();
        let units = units as i64;
        self.scanned(
            &projected,
            mask.as_deref(),
            states,
            Walk::of(config),
            &move |graph, x, states| {
                let part =
                    |graph: &mut Graph<'_>, z: &str, index: i64| graph.sliced(z, 1, index * units, (index + 1) * units);
                match &layer {
                    Layer::SimpleRNN(layer) => {
                        let seen = graph.op("MatMul", &[&states[0], &recurrent]);
                        let z = graph.op("Add", &[x, &seen]);
                        Ok(vec![graph.activated(layer.activation, &z)])
                    }
                    Layer::LSTM(layer) => {
                        let seen = graph.op("MatMul", &[&states[0], &recurrent]);
                        let z = graph.op("Add", &[x, &seen]);
                        let parts: Vec<String> = (0..4).map(|index| part(graph, &z, index)).collect();
                        Ok(graph.long_short(&parts, &states[1], layer.activation, layer.recurrent_activation))
                    }
                    Layer::GRU(layer) => {
                        let state = &states[0];
                        let parts: Vec<String> = (0..3).map(|index| part(graph, x, index)).collect();
                        let (update, candidate);
                        if layer.reset_after {
                            let mut seen = graph.op("MatMul", &[state, &recurrent]);
                            if !state_bias.is_empty() {
                                seen = graph.op("Add", &[&seen, &state_bias]);
                            }
                            let seen: Vec<String> = (0..3).map(|index| part(graph, &seen, index)).collect();
                            let gates = graph.gates(&parts, &seen, layer.recurrent_activation);
                            update = gates[0].clone();
                            candidate = graph.op("Mul", &[&gates[1], &seen[2]]);
                        } else {
                            let kernels: Vec<String> = (0..3).map(|index| part(graph, &recurrent, index)).collect();
                            let seen: Vec<String> = (0..2)
                                .map(|index| graph.op("MatMul", &[state, &kernels[index]]))
                                .collect();
                            let gates = graph.gates(&parts, &seen, layer.recurrent_activation);
                            update = gates[0].clone();
                            let kept = graph.op("Mul", &[&gates[1], state]);
                            candidate = graph.op("MatMul", &[&kept, &kernels[2]]);
                        }
                        let sum = graph.op("Add", &[&parts[2], &candidate]);
                        let candidate = graph.activated(layer.activation, &sum);
                        // z h + (1 - z) g
                        let difference = graph.op("Sub", &[state, &candidate]);
                        let moved = graph.op("Mul", &[&update, &difference]);
                        Ok(vec![graph.op("Add", &[&candidate, &moved])])
                    }
                    _ => Err(Fault::new("a recurrent layer", "has no cell")),
                }
            },
        )
    }

    /// The gates of the input parts and of what the state adds to them.
    fn gates(&mut self, parts: &[String], seen: &[String], function: Activation) -> Vec<String> {
        (0..2)
            .map(|index| {
                let sum = self.op("Add", &[&parts[index], &seen[index]]);
                self.activated(function, &sum)
            })
            .collect()
    }

    /// `c ← f c + i g`, `h ← o act(c)` from the parts `i, f, g, o`.
    fn long_short(&mut self, parts: &[String], carry: &str, function: Activation, of_gates: Activation) -> Vec<String> {
        let [input, forget, output] = [0, 1, 3].map(|index: usize| self.activated(of_gates, &parts[index]));
        let candidate = self.activated(function, &parts[2]);
        let kept = self.op("Mul", &[&forget, carry]);
        let added = self.op("Mul", &[&input, &candidate]);
        let carry = self.op("Add", &[&kept, &added]);
        let shown = self.activated(function, &carry);
        vec![self.op("Mul", &[&output, &shown]), carry]
    }

    /// Both directions, merged.
    pub(super) fn bidirectional(&mut self, call: &Call<'_>, layer: &Bidirectional) -> Result<Vec<String>> {
        let name = layer.layer.name();
        let plain = name.strip_prefix("forward_").unwrap_or(&name).to_string();
        let backward_name = layer
            .backward_layer
            .as_ref()
            .map_or_else(|| format!("backward_{plain}"), |layer| layer.name());
        let wrong = |error: nn_theory::Error| Fault::new(call.place(), error.to_string());
        let (forward, backward) = (
            layer.forward_direction().map_err(wrong)?,
            layer.backward_direction().map_err(wrong)?,
        );
        let inputs = &call.inputs;
        let half = (inputs.len() - 1) / 2;
        let with = |states: &[Value]| [&inputs[..1], states].concat();
        let mut made = self.recurrent(
            call,
            forward.layer(),
            &forward.config(),
            &format!("forward_{plain}/"),
            &with(&inputs[1..=half]),
        )?;
        let back = self.recurrent(
            call,
            backward.layer(),
            &backward.config(),
            &format!("{backward_name}/"),
            &with(&inputs[1 + half..]),
        )?;
        let sequences = forward.config().get("return_sequences").and_then(Json::as_bool) == Some(true);
        let mut second = back[0].clone();
        if sequences {
            // The last step of the sequence was read first.
            let [start, end, step] = [-1, i64::MIN, -1].map(|number| self.ints(&[number]));
            let axis = self.ints(&[1]);
            second = self.op("Slice", &[&second, &start, &end, &axis, &step]);
        }
        let states: Vec<String> = made.split_off(1).into_iter().chain(back[1..].iter().cloned()).collect();
        let first = made[0].clone();
        let mut outputs = match layer.merge_mode.as_deref() {
            None => vec![first, second],
            Some("sum") => vec![self.op("Add", &[&first, &second])],
            Some("mul") => vec![self.op("Mul", &[&first, &second])],
            Some("ave") => {
                let sum = self.op("Add", &[&first, &second]);
                let half = self.number(0.5);
                vec![self.op("Mul", &[&sum, &half])]
            }
            Some(_) => vec![self.op_with("Concat", &[&first, &second], Attributes::new().int("axis", -1))],
        };
        outputs.extend(states);
        Ok(outputs)
    }

    /// `ConvLSTM1D`, `2D`, `3D`: inside, the channels stand behind the batch.
    pub(super) fn conv_lstm(
        &mut self,
        call: &Call<'_>,
        window: &Window<'_>,
        filters: usize,
        functions: [Activation; 2],
        first: bool,
    ) -> Result<Vec<String>> {
        let rank = window.size.len();
        let x = &call.inputs[0];
        let kernels: Vec<String> = ["conv_lstm_cell/kernel", "conv_lstm_cell/recurrent_kernel"]
            .iter()
            .map(|name| {
                let path = call.weight(name);
                let shape = self.weight_shape(&path)?;
                let axes: Vec<usize> = [rank + 1, rank].into_iter().chain(0..rank).collect();
                let turned: Vec<usize> = axes.iter().map(|&axis| shape[axis]).collect();
                self.arranged(&path, &shape, &axes, &turned)
            })
            .collect::<Result<_>>()?;
        let bias = self.optional(call, "conv_lstm_cell/bias")?;
        // All steps at once: (batch · steps, channels, sides..).
        let order: Vec<usize> = if first {
            (0..rank + 3).collect()
        } else {
            [0, 1, rank + 2].into_iter().chain(2..rank + 2).collect()
        };
        let moved = self.transposed(&x.name, &order);
        let sizes = self.op("Shape", &[&moved]);
        let inner = self.sliced(&sizes, 0, 2, i64::MAX);
        let rest = self.ints(&[-1]);
        let shape = self.op_with("Concat", &[&rest, &inner], Attributes::new().int("axis", 0));
        let flat = self.op("Reshape", &[&moved, &shape]);
        let flat = Value {
            name: flat,
            shape: order
                .iter()
                .filter(|&&axis| axis != 1)
                .map(|&axis| x.shape[axis])
                .collect(),
            mask: None,
        };
        let seen = self.convolved(
            &flat,
            &kernels[0],
            &bias,
            window,
            1,
            DataFormat::ChannelsFirst,
            Activation::Linear,
        );
        let made = self.op("Shape", &[&seen]);
        let inner = self.sliced(&made, 0, 1, i64::MAX);
        let outer = self.sliced(&sizes, 0, 0, 2);
        let shape = self.op_with("Concat", &[&outer, &inner], Attributes::new().int("axis", 0));
        let seen = self.op("Reshape", &[&seen, &shape]);
        let to_first: Vec<usize> = [0, rank + 1].into_iter().chain(1..rank + 1).collect();
        let states: Vec<String> = match &call.inputs[1..] {
            [] => {
                let batch = self.size(&x.name, 0);
                let count = self.ints(&[filters as i64]);
                let sides = self.sliced(&made, 0, 2, i64::MAX);
                let shape = self.op_with("Concat", &[&batch, &count, &sides], Attributes::new().int("axis", 0));
                let zero = self.number(0.0);
                vec![self.op("Expand", &[&zero, &shape]); 2]
            }
            given if first => given.iter().map(|state| state.name.clone()).collect(),
            given => given
                .iter()
                .map(|state| self.transposed(&state.name, &to_first))
                .collect(),
        };
        let axes: Vec<i64> = (2..rank as i64 + 3).collect();
        let mask = x.mask.as_ref().map(|mask| self.unsqueezed(mask, &axes));
        let walk = Walk::of(&call.config);
        let ones = vec![1; rank];
        let recurrent = kernels[1].clone();
        let size: Vec<usize> = window.size.to_vec();
        let filters = filters as i64;
        let results = self.scanned(&seen, mask.as_deref(), states, walk, &move |graph, x, states| {
            let state = Value {
                name: states[0].clone(),
                // At stride 1 the padding does not depend on the size.
                shape: vec![None; rank + 2],
                mask: None,
            };
            let window = Window {
                size: &size,
                strides: &ones,
                dilation: &ones,
                padding: Padding::Same,
            };
            let added = graph.convolved(
                &state,
                &recurrent,
                "",
                &window,
                1,
                DataFormat::ChannelsFirst,
                Activation::Linear,
            );
            let z = graph.op("Add", &[x, &added]);
            let parts: Vec<String> = (0..4)
                .map(|index| graph.sliced(&z, 1, index * filters, (index + 1) * filters))
                .collect();
            Ok(graph.long_short(&parts, &states[1], functions[0], functions[1]))
        })?;
        let mut outputs = Vec::with_capacity(results.len());
        for (index, result) in results.iter().enumerate() {
            // A sequence has one more axis in front.
            let before = usize::from(index == 0 && walk.sequences) + 1;
            let back: Vec<usize> = (0..before)
                .chain(before + 1..before + 1 + rank)
                .chain([before])
                .collect();
            outputs.push(if first {
                result.clone()
            } else {
                self.transposed(result, &back)
            });
        }
        Ok(outputs)
    }
}

/// An input or output of which only the number format is stated.
fn untyped(name: &str, kind: i64) -> Writer {
    let tensor = Writer::new().int(1, kind);
    Writer::new()
        .text(1, name)
        .message(2, &Writer::new().message(1, &tensor))
}
