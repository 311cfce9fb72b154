//! Any bytes as a PyTorch checkpoint, or as the pickle within one.
#![no_main]

mod each;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if bytes.starts_with(b"PK") {
        each::read("fuzz.pt", bytes);
    } else {
        let storage = [0; 64];
        let members: [(&str, &[u8]); 4] =
            [("a/data.pkl", bytes), ("a/data/0", &storage), ("a/data/1", &storage), ("a/version", b"3\n")];
        each::read("fuzz.pt", &each::archive(&members));
        // As the files before PyTorch 1.6, whose pickles have no archive around them.
        each::read("fuzz.pt", bytes);
    }
});
