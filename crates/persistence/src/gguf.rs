//! GGUF, the format of llama.cpp, for writing: weights by Keras' paths and the description of the network in one file.
//!
//! Source: <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>, version 3. candle writes version 2 of it, from tensors of its
//! own that are all in memory; this takes one tensor at a time.

use std::io::{self, Write};

use nn_theory::ModelSpec;
use safetensors::Dtype;

use crate::{Error, Format, Model, Result};

const VERSION: u32 = 3;

/// Where each tensor begins is a multiple of this.
const ALIGNMENT: usize = 32;

/// A tensor of ggml has no more axes than this,
const MAX_AXES: usize = 4;

/// and no longer name, its end included.
const MAX_NAME: usize = 63;

/// The key of the description, as Keras JSON.
const MODEL: &str = "candle-lab.model";

/// `enum ggml_type`; the types of whole and plain numbers.
fn ggml_type(dtype: Dtype) -> Option<u32> {
    Some(match dtype {
        Dtype::F32 => 0,
        Dtype::F16 => 1,
        Dtype::I8 => 24,
        Dtype::I16 => 25,
        Dtype::I32 => 26,
        Dtype::I64 => 27,
        Dtype::F64 => 28,
        Dtype::BF16 => 30,
        _ => return None,
    })
}

/// The header under construction.
struct Header(Vec<u8>);

impl Header {
    fn text(&mut self, text: &str) {
        self.0.extend((text.len() as u64).to_le_bytes());
        self.0.extend(text.as_bytes());
    }

    /// A key with a text.
    fn entry(&mut self, key: &str, text: &str) {
        const STRING: u32 = 8;
        self.text(key);
        self.0.extend(STRING.to_le_bytes());
        self.text(text);
    }
}

/// Writes the weights of a model, and its description under the key `candle-lab.model`.
///
/// Shapes are written in ggml's order, the axis whose numbers lie side by side first.
///
/// # Errors
/// [`Error::NotWritten`] for number formats, axes and names that ggml does not have.
pub(crate) fn write(model: &Model, to: &mut (impl Write + Send), failed: &dyn Fn(io::Error) -> Error) -> Result<()> {
    let mut entries = vec![("general.architecture", "keras".to_string())];
    if let Some(spec) = &model.spec {
        entries.push(("general.name", spec.name().to_string()));
        entries.push((MODEL, ModelSpec::to_keras_json(spec)));
    }
    let mut header = Header(b"GGUF".to_vec());
    header.0.extend(VERSION.to_le_bytes());
    header.0.extend((model.weights.len() as u64).to_le_bytes());
    header.0.extend((entries.len() as u64).to_le_bytes());
    for (key, text) in &entries {
        header.entry(key, text);
    }
    let mut offset = 0u64;
    for (name, tensor) in &model.weights {
        let not_written = |reason: &str| Error::NotWritten {
            path: model.path.clone(),
            format: Format::Gguf,
            what: format!("the tensor '{name}' {tensor:?}"),
            reason: reason.to_string(),
        };
        let kind = ggml_type(tensor.dtype())
            .ok_or_else(|| not_written("ggml has f16, bf16, f32, f64 and signed integers; convert it first"))?;
        if tensor.shape().len() > MAX_AXES {
            return Err(not_written("a tensor of ggml has at most 4 axes; use another format"));
        }
        if name.len() > MAX_NAME {
            return Err(not_written(
                "a name in ggml has at most 63 bytes; give the layer a shorter name",
            ));
        }
        header.text(name);
        header.0.extend((tensor.shape().len() as u32).to_le_bytes());
        for &size in tensor.shape().iter().rev() {
            header.0.extend((size as u64).to_le_bytes());
        }
        header.0.extend(kind.to_le_bytes());
        header.0.extend(offset.to_le_bytes());
        offset += tensor.byte_len().next_multiple_of(ALIGNMENT) as u64;
    }
    header.0.resize(header.0.len().next_multiple_of(ALIGNMENT), 0);
    to.write_all(&header.0).map_err(failed)?;
    for tensor in model.weights.values() {
        tensor.lend_pieces(|piece| to.write_all(piece))?.map_err(failed)?;
        let padding = tensor.byte_len().next_multiple_of(ALIGNMENT) - tensor.byte_len();
        to.write_all(&[0; ALIGNMENT][..padding]).map_err(failed)?;
        tensor.release();
    }
    Ok(())
}
