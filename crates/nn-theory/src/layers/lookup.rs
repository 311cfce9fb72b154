//! Words and numbers as indices into a vocabulary.

use super::{LayerSpec, encoding::encoded, single};
use crate::{Shape, error::Problem};
use serde_json::Value;

/// Size of the encoding of a vocabulary: the larger of what is padded to and what is there.
fn depth(max_tokens: Option<usize>, pad_to_max_tokens: bool, vocabulary_size: Option<usize>) -> Option<u64> {
    let size = if pad_to_max_tokens { max_tokens } else { vocabulary_size };
    size.map(|size| size as u64)
}

macro_rules! lookup {
    ($($doc:literal $name:ident;)*) => {$(
        layer! {
            #[doc = $doc]
            $name() {
                /// Largest size of the vocabulary.
                max_tokens: Option<usize> = None,
                /// Indices for what is not in the vocabulary.
                num_oov_indices: usize = 1,
                /// The value that is no entry, where there is one.
                mask_token: Value = Value::Null,
                /// `int`, `one_hot`, `multi_hot`, `count` or `tf_idf`.
                output_mode: String = "int".to_owned(),
                /// Whether the output has `max_tokens` entries whatever the vocabulary.
                pad_to_max_tokens: bool = false,
                /// The vocabulary: a list, or the path of a file.
                vocabulary: Value = Value::Null,
                /// Entries of the vocabulary, those for unknown values included.
                vocabulary_size: Option<usize> = None,
            }
        }

        impl LayerSpec for $name {
            fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Problem> {
                let listed = self.vocabulary.as_array().map(|words| words.len().saturating_add(self.num_oov_indices));
                let depth = depth(self.max_tokens, self.pad_to_max_tokens, self.vocabulary_size.or(listed));
                Ok(vec![encoded(single(inputs)?, &self.output_mode, depth)?])
            }
        }
    )*};
}

lookup! {
    "Numbers as indices into a vocabulary (`keras.layers.IntegerLookup`)." IntegerLookup;
    "Words as indices into a vocabulary (`keras.layers.StringLookup`)." StringLookup;
}

layer! {
    /// Sentences as indices of their words (`keras.layers.TextVectorization`).
    TextVectorization() {
        /// Largest size of the vocabulary.
        max_tokens: Option<usize> = None,
        /// How a sentence is split: `whitespace`, `character`, or not at all.
        split: Value = Value::String("whitespace".to_owned()),
        /// `int`, `multi_hot`, `count` or `tf_idf`.
        output_mode: String = "int".to_owned(),
        /// Number of words that sentences are cut or filled up to.
        output_sequence_length: Option<usize> = None,
        /// Whether the output has `max_tokens` entries whatever the vocabulary.
        pad_to_max_tokens: bool = false,
        /// The vocabulary: a list, or the path of a file.
        vocabulary: Value = Value::Null,
        /// Entries of the vocabulary, the one for unknown words included.
        vocabulary_size: Option<usize> = None,
    }
}

impl LayerSpec for TextVectorization {
    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Problem> {
        let input = single(inputs)?;
        if self.output_mode == "int" {
            let batch = input.dims().first().copied().flatten();
            return Ok(vec![Shape(vec![
                batch,
                self.output_sequence_length.map(|length| length as u64),
            ])]);
        }
        let mut dims = input.0.clone();
        match (self.split.is_null(), dims.len()) {
            (true, 0 | 1) => dims.push(Some(1)),
            (true, _) => {}
            (false, _) => dims.push(None),
        }
        let listed = self.vocabulary.as_array().map(|words| words.len() + 1);
        let depth = depth(self.max_tokens, self.pad_to_max_tokens, self.vocabulary_size.or(listed));
        Ok(vec![encoded(&Shape(dims), &self.output_mode, depth)?])
    }
}
