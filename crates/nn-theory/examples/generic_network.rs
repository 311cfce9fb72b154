//! Draws a network given by its connections, with the zeros of its matrices:
//! `cargo run -p nn-theory --example generic_network -- network.txt > network.svg` (without a file: the lecture's network).

use nn_theory::generic::{LECTURE_NETWORK, Network};
use std::{env, error::Error, fs, io::Write};

fn main() -> Result<(), Box<dyn Error>> {
    let text = match env::args().nth(1) {
        Some(path) => fs::read_to_string(path)?,
        None => LECTURE_NETWORK.to_owned(),
    };
    let network: Network = text.parse()?;
    Ok(std::io::stdout()
        .lock()
        .write_all(network.drawing_with_matrices()?.as_bytes())?)
}
