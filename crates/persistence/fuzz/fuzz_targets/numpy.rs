//! Any bytes as an `.npy` or `.npz` file.
#![no_main]

mod each;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| each::read("fuzz.npz", bytes));
