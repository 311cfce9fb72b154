//! Any text is a model or an error; a model can be summarized, explained and written, and reads back as itself.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nn_theory::{ModelSpec, SummaryOptions};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(model) = ModelSpec::from_keras_json(text) else { return };
    let summary = model.summary(&SummaryOptions::lecture());
    let _ = (model.explain(), model.weights(), model.optimizer_size(), model.multiply_adds());
    let again = ModelSpec::from_keras_json(&model.to_keras_json()).expect("what was written can be read");
    assert_eq!(summary, again.summary(&SummaryOptions::lecture()));
});
