//! Any bytes as a `.weights.h5` file.
#![no_main]

mod each;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| each::read("fuzz.weights.h5", bytes));
