//! Which steps of a sequence count, and which layers hand that on: the rules of Keras 3.15, as `models` follows them.

use nn_theory::{Concatenate, Layer};

use super::Call;
use super::graph::{Attributes, BOOL, Graph, INT64};
use crate::fault::Result;

/// Layers of one step at a time: what was masked stays masked.
const HANDS_ON: &[&str] = &[
    "Activation",
    "ActivityRegularization",
    "AdditiveAttention",
    "AlphaDropout",
    "Attention",
    "BatchNormalization",
    "Dense",
    "Dropout",
    "ELU",
    "GaussianDropout",
    "GaussianNoise",
    "GroupNormalization",
    "GroupQueryAttention",
    "Identity",
    "LayerNormalization",
    "LeakyReLU",
    "MultiHeadAttention",
    "Normalization",
    "PReLU",
    "ReLU",
    "Rescaling",
    "Softmax",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
    "TimeDistributed",
    "UnitNormalization",
];

impl Graph<'_> {
    /// The mask of each output of a call.
    pub(super) fn masks(&mut self, call: &Call<'_>, outputs: usize) -> Result<Vec<Option<String>>> {
        let mut masks = vec![None; outputs];
        let first = call.first().mask.clone();
        let mask = match &call.node.layer {
            Layer::Embedding(layer) if layer.mask_zero => {
                let x = call.first().name.clone();
                let zero = self.number(0.0);
                let is_zero = self.op("Equal", &[&x, &zero]);
                Some(self.op("Not", &[&is_zero]))
            }
            Layer::Concatenate(layer) => self.concatenated_mask(call, layer)?,
            Layer::Add(_)
            | Layer::Subtract(_)
            | Layer::Multiply(_)
            | Layer::Average(_)
            | Layer::Maximum(_)
            | Layer::Minimum(_) => {
                let all: Option<Vec<String>> = call.inputs.iter().map(|input| input.mask.clone()).collect();
                all.map(|all| self.folded("Or", &all))
            }
            Layer::SimpleRNN(_)
            | Layer::LSTM(_)
            | Layer::GRU(_)
            | Layer::ConvLSTM1D(_)
            | Layer::ConvLSTM2D(_)
            | Layer::ConvLSTM3D(_) => first.filter(|_| call.flag("return_sequences")),
            Layer::Bidirectional(layer) => {
                let config = layer.layer.0.config();
                let sequences = config.get("return_sequences").and_then(serde_json::Value::as_bool) == Some(true);
                if sequences && layer.merge_mode.is_none() && outputs > 1 {
                    masks[1].clone_from(&first);
                }
                first.filter(|_| sequences)
            }
            layer if HANDS_ON.contains(&layer.class()) => first,
            _ => None,
        };
        if let Some(place) = masks.first_mut() {
            *place = mask;
        }
        Ok(masks)
    }

    /// Masks side by side; an input without one counts everywhere.
    fn concatenated_mask(&mut self, call: &Call<'_>, layer: &Concatenate) -> Result<Option<String>> {
        if call.inputs.iter().all(|input| input.mask.is_none()) {
            return Ok(None);
        }
        let mut parts = Vec::with_capacity(call.inputs.len());
        for input in &call.inputs {
            let shape = self.op("Shape", &[&input.name]);
            let flags = match &input.mask {
                Some(mask) => self.mask_over(mask, input.rank()),
                None => self.flags(&[true], vec![1]),
            };
            let flags = self.op("Expand", &[&flags, &shape]);
            parts.push(self.cast(&flags, INT64));
        }
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let joined = self.op_with("Concat", &parts, Attributes::new().int("axis", layer.axis));
        let any = self.reduced("ReduceMax", &joined, &[-1], false);
        Ok(Some(self.cast(&any, BOOL)))
    }

    /// `Masking`: steps whose values all equal a number become 0, and do not count.
    pub(super) fn masking(&mut self, call: &Call<'_>) -> (String, String) {
        let value = call
            .config
            .get("mask_value")
            .and_then(serde_json::Value::as_f64)
            .unwrap_or(0.0);
        let x = call.first();
        let value = self.number(value);
        let equal = self.op("Equal", &[&x.name, &value]);
        let differs = self.op("Not", &[&equal]);
        let differs = self.cast(&differs, INT64);
        let any = self.reduced("ReduceMax", &differs, &[-1], false);
        let mask = self.cast(&any, BOOL);
        let over = self.unsqueezed(&mask, &[-1]);
        let zero = self.number(0.0);
        (self.op("Where", &[&over, &x.name, &zero]), mask)
    }

    /// The mean of the steps that count.
    pub(super) fn masked_mean(&mut self, call: &Call<'_>, mask: &str, axis: usize, keepdims: bool) -> String {
        let x = call.first();
        let over = self.unsqueezed(mask, &[3 - axis as i64]);
        let zero = self.number(0.0);
        let kept = self.op("Where", &[&over, &x.name, &zero]);
        let sum = self.reduced("ReduceSum", &kept, &[axis as i64], keepdims);
        let element_type = self.element_type();
        let counted = self.cast(&over, element_type);
        let count = self.reduced("ReduceSum", &counted, &[axis as i64], keepdims);
        self.op("Div", &[&sum, &count])
    }
}
