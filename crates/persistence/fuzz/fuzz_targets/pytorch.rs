//! Any bytes as a PyTorch checkpoint.
#![no_main]

mod each;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| each::read("fuzz.pt", bytes));
