//! What a pipeline does to an image, drawn with characters: `cargo run -p augmentation --example watch_a_pipeline -- 'rotate(0.1)'`.

use std::io::Write as _;

use augmentation::{Image, Pipeline, ValueRange, picture};
use kernels::random::Stream;

const SIDE: usize = 24;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let text = std::env::args().nth(1);
    let text = text
        .as_deref()
        .unwrap_or("flip(horizontal) @ 0.5 | rotate(0.1) | zoom(0.2)");
    let pipeline = Pipeline::parse_for(text, ValueRange::BYTES)?;
    let original = picture(SIDE);

    let mut versions = vec![original.clone()];
    let mut out = std::io::stdout().lock();
    for epoch in 0..2 {
        let mut version = original.clone();
        // Image 17 of a data set: another number, or another epoch, draws something else.
        let applied = pipeline.apply(&mut version, Stream::new(6020).epoch(epoch).sample(17))?;
        writeln!(out, "epoch {epoch}: {}", serde_json::to_string(&applied)?)?;
        versions.push(version);
    }
    for row in 0..SIDE {
        let line: Vec<String> = versions.iter().map(|image| characters(image, row)).collect();
        writeln!(out, "{}", line.join("  "))?;
    }
    writeln!(out, "{text}: the image, and what epochs 0 and 1 see of it")?;
    Ok(())
}

/// A row of an image, bright pixels as thick characters.
fn characters(image: &Image, row: usize) -> String {
    const SHADES: [char; 5] = [' ', '.', ':', 'o', '#'];
    let shade = |column| {
        let pixel = image.pixel(row, column);
        let brightness = pixel.iter().sum::<f32>() / (256.0 * pixel.len() as f32);
        SHADES[(brightness * SHADES.len() as f32) as usize % SHADES.len()]
    };
    (0..image.width).map(shade).collect()
}
