//! Any bytes as a `.h5` file.
#![no_main]

mod each;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| each::read("fuzz.h5", bytes));
