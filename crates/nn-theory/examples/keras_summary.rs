//! Prints the summary of a Keras configuration: `cargo run -p nn-theory --example keras_summary -- model.config.json`
//! (without a file: of a small residual network).
//!
//! With `--deep N` it reads, instead of a file, a configuration of N layers that it writes itself, and prints how long
//! reading and printing took.

use nn_theory::{Activation, Add, Dense, ModelSpec, SummaryOptions};
use std::{env, error::Error, fs, io::Write, time::Instant};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let mut out = std::io::stdout().lock();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["--deep", layers] => {
            let text = deep(layers.parse()?)?.to_keras_json();
            let start = Instant::now();
            let model = ModelSpec::from_keras_json(&text)?;
            let read = start.elapsed();
            let summary = model.summary(&SummaryOptions::default())?;
            let (read, all) = (1e3 * read.as_secs_f64(), 1e3 * start.elapsed().as_secs_f64());
            let (layers, size) = (model.layers().count(), text.len());
            writeln!(
                out,
                "{layers} layers, {size} bytes: read in {read:.1} ms, with the summary {all:.1} ms"
            )?;
            writeln!(out, "{} lines", summary.lines().count())?;
        }
        ["--write", layers] => writeln!(out, "{}", deep(layers.parse()?)?.to_keras_json())?,
        [path] => {
            let model = ModelSpec::from_keras_json(&fs::read_to_string(path)?)?;
            out.write_all(model.summary(&SummaryOptions::default())?.as_bytes())?;
        }
        [] => out.write_all(deep(4)?.summary(&SummaryOptions::default())?.as_bytes())?,
        _ => return Err("give the path of a Keras configuration, or --deep N".into()),
    }
    Ok(())
}

/// A residual network: dense layers and the sums that step over them.
fn deep(layers: usize) -> nn_theory::Result<ModelSpec> {
    let mut graph = ModelSpec::functional("deep");
    let input = graph.input([64])?;
    let mut x = input;
    for _ in 0..layers / 2 {
        let y = graph.layer(Dense::new(64).activation(Activation::Relu), x)?;
        x = graph.layer(Add::new(), [x, y])?;
    }
    graph.build(input, x)
}
