//! A page with the interactive figure alone: `cargo run -p backprop --example touch > touch.html`.

use std::io::Write as _;

use backprop::Matrix;
use backprop::by_hand::Network;
use backprop::interactive::interactive;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let a = Matrix::new(2, 3, vec![0.5, -0.3, 0.8, -1.0, 0.4, 0.2])?;
    let b = Matrix::new(3, 2, vec![1.0, -0.6, 0.3, 0.9, -0.7, -0.2])?;
    let figure = interactive(&Network::new(a, b)?, &[1.0, -0.5, 0.8], &[0.0, 1.0, 0.0])?;
    write!(
        std::io::stdout().lock(),
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Backpropagation to touch</title>\
         <style>body {{ font: 16px system-ui, sans-serif; max-width: 52rem; margin: 2rem auto; }} {}</style></head>\
         <body>{}<script>{}</script></body></html>\n",
        figure.style,
        figure.markup,
        figure.script
    )?;
    Ok(())
}
