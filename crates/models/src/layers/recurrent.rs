//! `SimpleRNN`, `LSTM` and `GRU`: a state that goes through a sequence step by step.

use std::sync::Arc;

use candle_core::{D, Tensor};
use kernels::Result;
use kernels::random::Stream;
use nn_theory::{GRU, LSTM, SimpleRNN};

use super::recomputed::recomputed;
use super::{LayerWeights, Value, activation, dropout, masks};
use crate::call::stream_of;
use crate::graph::Step;
use crate::network::Mode;

/// Steps that are one operation of a long sequence.
const SECTION: usize = 32;

/// Longest sequence: with the sections of a few layers on top of each other its graph is walked within 2 MB of stack.
const LONGEST: usize = 1 << 14;

/// What a recurrent layer says about its walk through the sequence.
#[derive(Clone, Copy)]
pub(crate) struct Walk {
    pub(crate) return_sequences: bool,
    pub(crate) return_state: bool,
    pub(crate) go_backwards: bool,
    /// Whether a masked step gives zeros; otherwise it repeats the output of the step before.
    pub(crate) zero_output_for_mask: bool,
}

impl Walk {
    pub(crate) fn of(step: &Step) -> Self {
        Walk {
            return_sequences: step.flag("return_sequences"),
            return_state: step.flag("return_state"),
            go_backwards: step.flag("go_backwards"),
            zero_output_for_mask: step.flag("zero_output_for_mask"),
        }
    }

    /// Runs a cell over the steps (in the order of the sequence); a masked step leaves the states as they are.
    ///
    /// `cell` makes the new states of one step from what `steps` holds for it, the old states, and its weights; the first
    /// state is the output. The answer is the output and, where the layer returns them, the last states.
    ///
    /// A long sequence is cut into sections that the backward pass computes again.
    pub(crate) fn run(
        self,
        mut steps: Vec<Tensor>,
        mask: Option<&Tensor>,
        mut states: Vec<Tensor>,
        weights: Vec<Tensor>,
        cell: impl Fn(&Tensor, &[Tensor], &[Tensor]) -> Result<Vec<Tensor>> + Send + Sync + 'static,
    ) -> Result<Vec<Tensor>> {
        if steps.len() > LONGEST {
            let message = format!(
                "a sequence of {} steps is longer than the {LONGEST} that are walked through; cut it into several, each \
                 with the states of the one before",
                steps.len()
            );
            return Err(candle_core::Error::Msg(message).into());
        }
        let mut step_masks = match mask {
            Some(mask) => mask.chunk(steps.len().max(1), 1)?,
            None => Vec::new(),
        };
        if self.go_backwards {
            steps.reverse();
            step_masks.reverse();
        }
        let count = states.len();
        // Behind the states: the output of the last step.
        states.push(states[0].zeros_like()?);
        let mut outputs = Vec::new();
        let on_cpu = states[0].device().is_cpu();
        if steps.len() <= 2 * SECTION || !on_cpu {
            outputs = self.section(&steps, &step_masks, &mut states, &weights, &cell)?;
        } else {
            let cell = Arc::new(cell);
            for (index, section) in steps.chunks(SECTION).enumerate() {
                let start = index * SECTION;
                let masks = step_masks
                    .get(start..start + section.len())
                    .unwrap_or_default()
                    .to_vec();
                let cell = cell.clone();
                let inputs = [&[Tensor::stack(section, 0)?], states.as_slice(), &weights].concat();
                let mut made = recomputed(&inputs, move |inputs| {
                    let steps = cuts(&inputs[0])?;
                    let (states, weights) = inputs[1..].split_at(count + 1);
                    let mut states = states.to_vec();
                    let outputs = self.section(&steps, &masks, &mut states, weights, &*cell)?;
                    if !outputs.is_empty() {
                        states.push(Tensor::stack(&outputs, 0)?);
                    }
                    Ok(states)
                })?;
                if let Some(section) = made.get(count + 1) {
                    outputs.extend(cuts(section)?);
                }
                made.truncate(count + 1);
                states = made;
            }
        }
        let last = states.split_off(count);
        let mut results = match (self.return_sequences, outputs.is_empty()) {
            (false, _) => last,
            (true, false) => vec![Tensor::stack(&outputs, 1)?],
            (true, true) => vec![states[0].unsqueeze(1)?.narrow(1, 0, 0)?],
        };
        if self.return_state {
            results.extend(states);
        }
        Ok(results)
    }

    /// The outputs of some steps, none if only the last one counts. `states` are the states and the last output.
    fn section(
        self,
        steps: &[Tensor],
        step_masks: &[Tensor],
        states: &mut Vec<Tensor>,
        weights: &[Tensor],
        cell: &impl Fn(&Tensor, &[Tensor], &[Tensor]) -> Result<Vec<Tensor>>,
    ) -> Result<Vec<Tensor>> {
        let mut outputs = Vec::new();
        for (time, step) in steps.iter().enumerate() {
            let (old, last) = states.split_at(states.len() - 1);
            let mut new = cell(step, old, weights)?;
            let mut output = new[0].clone();
            if let Some(mask) = step_masks.get(time) {
                let mask = masks::over(&mask.squeeze(1)?, &output)?;
                let instead = if self.zero_output_for_mask {
                    last[0].zeros_like()?
                } else {
                    last[0].clone()
                };
                output = mask.where_cond(&output, &instead)?;
                for (new, old) in new.iter_mut().zip(old) {
                    *new = mask.where_cond(new, old)?;
                }
            }
            if self.return_sequences {
                outputs.push(output.clone());
            }
            new.push(output);
            *states = new;
        }
        Ok(outputs)
    }
}

/// The steps of `(batch, steps, ...)`.
pub(crate) fn steps_of(x: &Tensor) -> Result<Vec<Tensor>> {
    Ok(cuts(&x.transpose(0, 1)?.contiguous()?)?)
}

/// The entries of the first axis.
///
/// It is halved again and again: the gradient of each cut is as large as what was cut, and cuts of single entries out of the
/// whole would cost the square of their number.
fn cuts(x: &Tensor) -> candle_core::Result<Vec<Tensor>> {
    fn halve(x: &Tensor, out: &mut Vec<Tensor>) -> candle_core::Result<()> {
        match x.dim(0)? {
            0 => {}
            1 => out.push(x.squeeze(0)?),
            length => {
                halve(&x.narrow(0, 0, length / 2)?, out)?;
                halve(&x.narrow(0, length / 2, length - length / 2)?, out)?;
            }
        }
        Ok(())
    }
    let mut out = Vec::with_capacity(x.dim(0)?);
    halve(x, &mut out)?;
    Ok(out)
}

/// The states before the first step: given ones, or zeros.
fn first_states(inputs: &[Value], count: usize, units: usize) -> Result<Vec<Tensor>> {
    let x = &inputs[0].tensor;
    let given = &inputs[1..];
    if given.len() == count {
        return Ok(given.iter().map(|state| state.tensor.clone()).collect());
    }
    if !given.is_empty() {
        let message = format!("{count} initial states are needed, found {}", given.len());
        return Err(candle_core::Error::Msg(message).into());
    }
    Ok(vec![Tensor::zeros((x.dim(0)?, units), x.dtype(), x.device())?; count])
}

/// The draws of a cell's dropout: one mask serves all steps.
///
/// With dropout of the state Keras draws a mask for each gate, without it one for all gates together.
struct CellDropout {
    input: Vec<Tensor>,
    state: Vec<Tensor>,
}

impl CellDropout {
    fn new(step: &Step, x: &Tensor, units: usize, gates: usize, mode: Mode) -> Result<Self> {
        let rate = |key: &str| step.config.get(key).and_then(serde_json::Value::as_f64).unwrap_or(0.0);
        let (input, state) = (rate("dropout"), rate("recurrent_dropout"));
        let mut masks = CellDropout {
            input: Vec::new(),
            state: Vec::new(),
        };
        let Mode::Training(stream) = mode else {
            return Ok(masks);
        };
        let seed = step.config.get("seed").and_then(serde_json::Value::as_i64);
        let stream = stream_of(stream, &step.node.name, seed);
        let count = if state != 0.0 { gates } else { 1 };
        let batch = x.dim(0)?;
        let draw = |what: &str, rate: f64, sizes: [usize; 2], stream: Stream| -> Result<Vec<Tensor>> {
            if !(rate > 0.0 && rate < 1.0) {
                return Ok(Vec::new());
            }
            (0..count)
                .map(|gate| dropout::mask(&sizes, rate, stream.op(what).step(gate as u64), x))
                .collect()
        };
        masks.input = draw("input", input, [batch, x.dim(D::Minus1)?], stream)?;
        masks.state = draw("state", state, [batch, units], stream)?;
        Ok(masks)
    }

    /// `x W` of all steps at once, each gate with its own mask.
    fn project(&self, x: &Tensor, kernel: &Tensor) -> Result<Tensor> {
        let (batch, steps, features) = x.dims3()?;
        let product = |x: &Tensor, kernel: &Tensor| -> Result<Tensor> {
            let flat = x.reshape((batch * steps, features))?;
            Ok(flat.matmul(kernel)?.reshape((batch, steps, kernel.dim(1)?))?)
        };
        match self.input.as_slice() {
            [] => product(x, kernel),
            masks => {
                let gates: Result<Vec<Tensor>> = masks
                    .iter()
                    .zip(kernel.chunk(masks.len(), 1)?)
                    .map(|(mask, kernel)| product(&x.broadcast_mul(&mask.unsqueeze(1)?)?, &kernel.contiguous()?))
                    .collect();
                Ok(Tensor::cat(&gates?, 2)?)
            }
        }
    }

    /// The state as the gates see it.
    fn states(&self, state: &Tensor, gates: usize) -> Result<Vec<Tensor>> {
        match self.state.as_slice() {
            [] => Ok(vec![state.clone(); gates]),
            masks => masks.iter().map(|mask| Ok((state * mask)?)).collect(),
        }
    }

    /// `h U`, each gate with its own mask.
    fn recur(&self, state: &Tensor, kernel: &Tensor, gates: usize) -> Result<Tensor> {
        if self.state.is_empty() {
            return Ok(state.matmul(kernel)?);
        }
        let states = self.states(state, gates)?;
        let products: Result<Vec<Tensor>> = states
            .iter()
            .zip(kernel.chunk(gates, 1)?)
            .map(|(state, kernel)| Ok(state.matmul(&kernel.contiguous()?)?))
            .collect();
        Ok(Tensor::cat(&products?, 1)?)
    }
}

fn cell_weight(weights: &LayerWeights<'_>, cell: &str, name: &str) -> Result<Tensor> {
    activation::required(weights, &format!("{cell}/{name}"))
}

fn plus(x: Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    Ok(match bias {
        Some(bias) => x.broadcast_add(bias)?,
        None => x,
    })
}

fn part(x: &Tensor, index: usize, units: usize) -> Result<Tensor> {
    Ok(x.narrow(1, index * units, units)?.contiguous()?)
}

/// `h ← f(x W + h U + b)`.
pub(crate) fn simple_rnn(
    layer: &SimpleRNN,
    step: &Step,
    weights: &LayerWeights<'_>,
    inputs: &[Value],
    mode: Mode,
) -> Result<Vec<Tensor>> {
    let x = &inputs[0].tensor;
    let drops = CellDropout::new(step, x, layer.units, 1, mode)?;
    let kernel = cell_weight(weights, "simple_rnn_cell", "kernel")?;
    let recurrent = cell_weight(weights, "simple_rnn_cell", "recurrent_kernel")?;
    let bias = weights.get("simple_rnn_cell/bias");
    let projected = plus(drops.project(x, &kernel)?, bias.as_ref())?;
    let states = first_states(inputs, 1, layer.units)?;
    let function = layer.activation;
    let mask = inputs[0].mask.as_ref();
    Walk::of(step).run(
        steps_of(&projected)?,
        mask,
        states,
        vec![recurrent],
        move |x, states, weights| {
            let z = (x + drops.recur(&states[0], &weights[0], 1)?)?;
            Ok(vec![activation::forward(function, &z)?])
        },
    )
}

/// `c ← f c + i g`, `h ← o act(c)` with the gates `i, f, g, o` side by side in `x W + h U + b`.
pub(crate) fn lstm(
    layer: &LSTM,
    step: &Step,
    weights: &LayerWeights<'_>,
    inputs: &[Value],
    mode: Mode,
) -> Result<Vec<Tensor>> {
    let (x, units) = (&inputs[0].tensor, layer.units);
    let drops = CellDropout::new(step, x, units, 4, mode)?;
    let kernel = cell_weight(weights, "lstm_cell", "kernel")?;
    let recurrent = cell_weight(weights, "lstm_cell", "recurrent_kernel")?;
    let bias = weights.get("lstm_cell/bias");
    let projected = plus(drops.project(x, &kernel)?, bias.as_ref())?;
    let states = first_states(inputs, 2, units)?;
    let (of_gates, function) = (layer.recurrent_activation, layer.activation);
    let mask = inputs[0].mask.as_ref();
    Walk::of(step).run(
        steps_of(&projected)?,
        mask,
        states,
        vec![recurrent],
        move |x, states, weights| {
            let z = (x + drops.recur(&states[0], &weights[0], 4)?)?;
            let gate = |index| activation::forward(of_gates, &part(&z, index, units)?);
            let candidate = activation::forward(function, &part(&z, 2, units)?)?;
            let carry = ((gate(1)? * &states[1])? + (gate(0)? * candidate)?)?;
            let output = (gate(3)? * activation::forward(function, &carry)?)?;
            Ok(vec![output, carry])
        },
    )
}

/// `h ← z h + (1 - z) g` with the gates `z, r` and the candidate `g`, into which `h` goes through `r`.
pub(crate) fn gru(
    layer: &GRU,
    step: &Step,
    weights: &LayerWeights<'_>,
    inputs: &[Value],
    mode: Mode,
) -> Result<Vec<Tensor>> {
    let (x, units) = (&inputs[0].tensor, layer.units);
    let drops = CellDropout::new(step, x, units, 3, mode)?;
    let kernel = cell_weight(weights, "gru_cell", "kernel")?;
    let recurrent = cell_weight(weights, "gru_cell", "recurrent_kernel")?;
    let (bias, recurrent_bias) = match weights.get("gru_cell/bias") {
        Some(both) if layer.reset_after => (Some(both.get(0)?), Some(both.get(1)?)),
        bias => (bias, None),
    };
    let projected = plus(drops.project(x, &kernel)?, bias.as_ref())?;
    let states = first_states(inputs, 1, units)?;
    let (of_gates, function, reset_after) = (layer.recurrent_activation, layer.activation, layer.reset_after);
    let mut kernels = if reset_after {
        vec![recurrent]
    } else {
        (0..3)
            .map(|index| part(&recurrent, index, units))
            .collect::<Result<Vec<Tensor>>>()?
    };
    kernels.extend(recurrent_bias);
    let cell = move |x: &Tensor, states: &[Tensor], weights: &[Tensor]| {
        let state = &states[0];
        let gate = |index, recurrent: &Tensor| activation::forward(of_gates, &(part(x, index, units)? + recurrent)?);
        let (update, candidate) = if reset_after {
            let sum = plus(drops.recur(state, &weights[0], 3)?, weights.get(1))?;
            let reset = gate(1, &part(&sum, 1, units)?)?;
            (gate(0, &part(&sum, 0, units)?)?, (reset * part(&sum, 2, units)?)?)
        } else {
            let seen = drops.states(state, 3)?;
            let reset = (gate(1, &seen[1].matmul(&weights[1])?)? * &seen[2])?;
            (gate(0, &seen[0].matmul(&weights[0])?)?, reset.matmul(&weights[2])?)
        };
        let candidate = activation::forward(function, &(part(x, 2, units)? + candidate)?)?;
        // z h + (1 - z) g
        Ok(vec![(&candidate + (update * (state - &candidate)?)?)?])
    };
    Walk::of(step).run(steps_of(&projected)?, inputs[0].mask.as_ref(), states, kernels, cell)
}
