//! Any bytes as an ONNX model.
#![no_main]

mod each;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| each::read("fuzz.onnx", bytes));
