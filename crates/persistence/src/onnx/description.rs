//! What this program writes beside a graph, so that it gets back the network that it wrote, layer by layer.
//!
//! The metadata of the model hold the description as Keras JSON, where each weight is among the constants, and a checksum of all that the
//! graph computes with: nodes, inputs, outputs, constants, and names and shapes of the weights, whose numbers may be others. A graph that
//! another program changed has another checksum; then the description is that of another network, and the operators are read.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::protobuf::Message;
use crate::StoredTensor;
use crate::fault::{Fault, Result};

/// The keys of the metadata.
pub(super) const MODEL: &str = "candle-lab.model";
pub(super) const WEIGHTS: &str = "candle-lab.weights";
pub(super) const SHA256: &str = "candle-lab.sha256";

/// Where a weight is: the constant `tensor` is the weight seen in the shape `view`, with its axes in the order `axes`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Arrangement {
    pub(super) tensor: String,
    pub(super) view: Vec<usize>,
    pub(super) axes: Vec<usize>,
}

/// The arrangements of all weights by their paths.
pub(super) type Arrangements = BTreeMap<String, Arrangement>;

/// The fields of a graph that say what it computes; 5 are its constants, and the others text for people.
const FIELDS: [u64; 4] = [1, 2, 11, 12];

/// The checksum of a graph and of the texts that describe it.
pub(super) fn checksum<'t>(
    graph: Message<'_>,
    constants: impl Iterator<Item = (&'t str, &'t StoredTensor)>,
    arrangements: &Arrangements,
    model: &str,
) -> Result<String> {
    let mut hash = Sha256::new();
    let mut add = |bytes: &[u8]| {
        // With its length in front, so that no two lists of parts look the same.
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    add(model.as_bytes());
    for (path, arrangement) in arrangements {
        add(format!("{path} {arrangement:?}").as_bytes());
    }
    for number in FIELDS {
        for field in graph.fields() {
            let field = field?;
            if field.number == number {
                add(field.bytes()?);
            }
        }
        add(&[]);
    }
    let weights: BTreeSet<&str> = arrangements.values().map(|weight| weight.tensor.as_str()).collect();
    let sorted: BTreeMap<&str, &StoredTensor> = constants.collect();
    for (name, tensor) in sorted {
        add(format!("{name} {tensor:?}").as_bytes());
        if !weights.contains(name) {
            let bytes = tensor.bytes();
            add(&bytes.map_err(|error| Fault::new(format!("constant '{name}'"), error.to_string()))?);
        }
    }
    Ok(hash.finalize().iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    }))
}
