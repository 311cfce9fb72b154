//! Any bytes as a `.safetensors` file.
#![no_main]

mod each;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| each::read("fuzz.safetensors", bytes));
