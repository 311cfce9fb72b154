//! Any bytes as a `.keras` file, or as the `config.json` of one.
#![no_main]

mod each;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if bytes.starts_with(b"PK") {
        each::read("fuzz.keras", bytes);
    } else {
        let weights = include_bytes!("../../tests/golden/persistence/keras/mlp.weights.h5");
        let members: [(&str, &[u8]); 2] = [("config.json", bytes), ("model.weights.h5", weights)];
        each::read("fuzz.keras", &each::archive(&members));
    }
});
