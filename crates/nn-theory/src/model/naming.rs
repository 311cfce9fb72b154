//! Keras' names for layers that were given none.

use crate::Layer;
use std::collections::BTreeMap;

/// `MaxPooling2D` in snake case as Keras' `to_snake_case` writes it: `max_pooling2d`.
///
/// Automatic names of layers begin like this, and so do the groups of Keras' weights files.
///
/// ```
/// assert_eq!(nn_theory::snake_case("MaxPooling2D"), "max_pooling2d");
/// ```
pub fn snake_case(class: &str) -> String {
    let class: Vec<char> = class.chars().filter(|c| c.is_alphanumeric() || *c == '_').collect();
    // First rule: an underscore before a capital that starts a lower-case word.
    let mut words = String::new();
    let mut i = 0;
    while i < class.len() {
        words.push(class[i]);
        let starts_word = |at: usize| {
            class.get(at).is_some_and(char::is_ascii_uppercase)
                && class.get(at + 1).is_some_and(char::is_ascii_lowercase)
        };
        if starts_word(i + 1) {
            words.push('_');
            i += 1;
            words.push(class[i]);
            while class.get(i + 1).is_some_and(char::is_ascii_lowercase) {
                i += 1;
                words.push(class[i]);
            }
        }
        i += 1;
    }
    // Second rule: an underscore between a small letter and a capital.
    let mut name = String::with_capacity(words.len() + 4);
    let mut previous = ' ';
    for c in words.chars() {
        if previous.is_ascii_lowercase() && c.is_ascii_uppercase() {
            name.push('_');
        }
        name.extend(c.to_lowercase());
        previous = c;
    }
    name
}

/// The next free name of a layer: `dense`, `dense_1`, ...; `used` counts the names given so far.
pub(crate) fn auto_name(layer: &Layer, used: &mut BTreeMap<String, usize>) -> String {
    let base = snake_case(layer.printed_class());
    let count = used.entry(base.clone()).or_insert(0);
    let name = if *count == 0 {
        base.clone()
    } else {
        format!("{base}_{count}")
    };
    *count += 1;
    name
}

#[cfg(test)]
mod tests {
    use super::snake_case;

    #[test]
    fn names_are_those_of_keras() {
        for (class, name) in [
            ("Dense", "dense"),
            ("Conv2D", "conv2d"),
            ("MaxPooling2D", "max_pooling2d"),
            ("GlobalAveragePooling2D", "global_average_pooling2d"),
            ("ReLU", "re_lu"),
            ("LeakyReLU", "leaky_re_lu"),
            ("PReLU", "p_re_lu"),
            ("ELU", "elu"),
            ("LSTM", "lstm"),
            ("SimpleRNN", "simple_rnn"),
            ("ConvLSTM2D", "conv_lstm2d"),
            ("InputLayer", "input_layer"),
            ("Conv2DTranspose", "conv2d_transpose"),
            ("RMSNormalization", "rms_normalization"),
            ("BatchNormalization", "batch_normalization"),
            ("EinsumDense", "einsum_dense"),
        ] {
            assert_eq!(snake_case(class), name);
        }
    }
}
