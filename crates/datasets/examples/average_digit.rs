//! What the classes of a data set look like on average: `cargo run -p datasets --example average_digit -- mnist` (without a name: the digits).

use std::io::Write as _;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let name = std::env::args().nth(1).unwrap_or_else(|| "digits".to_string());
    let set = datasets::load(&name, None, &mut datasets::Silent)?;
    let [height, width, channels] = set.shape();
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{}: {} images to learn from, {} to test with",
        set.name,
        set.train.len(),
        set.test.len()
    )?;

    let pixels = set.train.images.to_f32();
    let counts = set.train.class_counts(set.classes.len());
    for (label, class) in set.classes.iter().enumerate() {
        let mut mean = vec![0.0; height * width];
        for (image, found) in pixels.chunks(height * width * channels).zip(&set.train.labels) {
            if *found as usize == label {
                for (sum, pixel) in mean.iter_mut().zip(image.chunks(channels)) {
                    *sum += pixel.iter().sum::<f32>() / (channels * counts[label]) as f32;
                }
            }
        }
        writeln!(out, "\n{class} ({} images)", counts[label])?;
        for row in mean.chunks(width) {
            let line: String = row.iter().flat_map(|value| [shade(*value); 2]).collect();
            writeln!(out, "{line}")?;
        }
    }
    Ok(())
}

/// Dark to bright, for values of 0 to 1.
fn shade(value: f32) -> char {
    const SHADES: [char; 6] = [' ', '░', '▒', '▓', '█', '█'];
    SHADES[(value.clamp(0.0, 1.0) * 5.0) as usize]
}
