//! Draws a Keras configuration as `keras.utils.plot_model` does:
//! `cargo run -p nn-theory --example keras_plot -- model.config.json [--dot] [shapes] [activations] [dtype] [trainable]
//! [nested] [anonymous] [LR|TB|BT|RL] > model.svg` (without a file: a network of two layers).

use nn_theory::{Dense, ModelSpec, PlotOptions, RankDir};
use std::{env, error::Error, fs, io::Write};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let model = match arguments.next() {
        Some(path) => ModelSpec::from_keras_json(&fs::read_to_string(path)?)?,
        None => ModelSpec::sequential("two")
            .input([1024])
            .layer(Dense::new(2))
            .layer(Dense::new(2))
            .build()?,
    };
    let (mut options, mut dot) = (PlotOptions::default(), false);
    for argument in arguments {
        match argument.as_str() {
            "--dot" => dot = true,
            "shapes" => options.show_shapes = true,
            "activations" => options.show_layer_activations = true,
            "dtype" => options.show_dtype = true,
            "trainable" => options.show_trainable = true,
            "nested" => options.expand_nested = true,
            "anonymous" => options.show_layer_names = false,
            name => options.rankdir = RankDir::from_name(name).ok_or_else(|| format!("'{name}' is no option"))?,
        }
    }
    let plot = model.plot(&options)?;
    let text = if dot { plot.dot() } else { plot.svg()? };
    Ok(std::io::stdout().lock().write_all(text.as_bytes())?)
}
