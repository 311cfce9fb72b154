//! A contact sheet: many small images in rows and columns.

use base64::Engine as _;

use super::palette;
use super::svg::{Anchor, SMALL, Svg, TEXT, shorten, text_width};
use crate::Figure;

const GAP: f64 = 6.0;
const WIDTH: f64 = 660.0;

#[derive(Debug, Clone)]
struct Row {
    label: String,
    images: Vec<Vec<u8>>,
}

/// Small images (8 bits, grey or RGB, rows of pixels with their channels together) in labelled rows and columns.
///
/// An image whose length is not `height * width * channels` is drawn as an empty frame that says so.
///
/// ```
/// use report::plot::ImageGrid;
///
/// let mut sheet = ImageGrid::new("Digits", 2, 2, 1);
/// sheet.column_labels(["original", "flipped"]).row("0", [vec![0, 255, 255, 0], vec![255, 0, 0, 255]]);
/// assert!(sheet.to_svg().contains("data:image/png;base64,"));
/// ```
#[derive(Debug, Clone)]
pub struct ImageGrid {
    title: String,
    description: String,
    height: usize,
    width: usize,
    channels: usize,
    max_value: u8,
    columns: Vec<String>,
    rows: Vec<Row>,
}

impl ImageGrid {
    /// An empty sheet for images of `height` x `width` pixels with `channels` 1 (grey) or 3 (red, green, blue).
    #[must_use]
    pub fn new(title: impl Into<String>, height: usize, width: usize, channels: usize) -> Self {
        Self {
            title: title.into(),
            description: String::new(),
            height,
            width,
            channels,
            max_value: 255,
            columns: Vec::new(),
            rows: Vec::new(),
        }
    }

    /// The value of full brightness, 255 by default (16 for the embedded digits).
    pub fn max_value(&mut self, max_value: u8) -> &mut Self {
        self.max_value = max_value.max(1);
        self
    }

    /// A sentence for those who do not see the picture; by default one is made from the labels.
    pub fn description(&mut self, text: impl Into<String>) -> &mut Self {
        self.description = text.into();
        self
    }

    /// Names the columns.
    pub fn column_labels<S: ToString>(&mut self, labels: impl IntoIterator<Item = S>) -> &mut Self {
        self.columns = labels.into_iter().map(|label| label.to_string()).collect();
        self
    }

    /// Adds a row of images.
    pub fn row<I: AsRef<[u8]>>(&mut self, label: impl Into<String>, images: impl IntoIterator<Item = I>) -> &mut Self {
        let images = images.into_iter().map(|image| image.as_ref().to_vec()).collect();
        self.rows.push(Row {
            label: label.into(),
            images,
        });
        self
    }

    /// The first images in characters, side by side, `width` columns wide; `None` if not even one fits.
    #[must_use]
    pub fn to_terminal(&self, width: usize) -> Option<String> {
        let mut lines = Vec::new();
        for row in self.rows.iter().take(4) {
            let panels: Vec<Vec<String>> = row
                .images
                .iter()
                .take((width + 2) / (self.width.max(1) + 2))
                .filter(|image| self.fits(image))
                .enumerate()
                .map(|(index, image)| {
                    let name = self.columns.get(index).map_or("", String::as_str);
                    let mut panel = vec![crate::wrap::cut(name, self.width)];
                    panel.extend(super::terminal::picture(&self.grey(image), self.width));
                    panel
                })
                .collect();
            if panels.is_empty() {
                return None;
            }
            if !row.label.is_empty() {
                lines.push(crate::wrap::cut(&row.label, width));
            }
            lines.push(super::terminal::beside(&panels, width));
        }
        if lines.is_empty() { None } else { Some(lines.join("\n")) }
    }

    /// The sheet as a figure, with its terminal form where the images are small enough for one.
    #[must_use]
    pub fn figure(&self, caption: impl Into<String>) -> Figure {
        let terminal = self.to_terminal(super::terminal::WIDTH);
        Figure {
            title: self.title.clone(),
            svg: self.to_svg(),
            caption: caption.into(),
            terminal,
            ..Figure::default()
        }
    }

    /// The sheet as an `<svg>` element, each image an embedded PNG.
    #[must_use]
    pub fn to_svg(&self) -> String {
        let columns = self
            .rows
            .iter()
            .map(|row| row.images.len())
            .chain([self.columns.len()])
            .max()
            .unwrap_or(0)
            .max(1);
        let labels = self
            .rows
            .iter()
            .map(|row| text_width(&row.label, TEXT))
            .fold(0.0, f64::max)
            .min(170.0);
        let left = if labels > 0.0 { labels + 12.0 } else { 2.0 };
        // Whole multiples of the pixels look clean; large images are shrunk to fit.
        let fit = ((WIDTH - left) / columns as f64 - GAP).clamp(4.0, 112.0);
        let scale = match fit / self.width.max(1) as f64 {
            scale if scale >= 1.0 => scale.floor(),
            scale => scale,
        };
        let (width, height) = (
            self.width.max(1) as f64 * scale,
            (self.height.max(1) as f64 * scale).min(2000.0),
        );
        let upright = self.columns.iter().all(|label| text_width(label, SMALL) <= width + GAP);
        let head = match (self.columns.is_empty(), upright) {
            (true, _) => 2.0,
            (_, true) => 22.0,
            _ => {
                self.columns
                    .iter()
                    .map(|label| text_width(label, SMALL))
                    .fold(0.0, f64::max)
                    .min(110.0)
                    * 0.85
                    + 14.0
            }
        };
        let overhang = if upright { 0.0 } else { 60.0 };
        let mut svg = Svg::new(
            (left + columns as f64 * (width + GAP) + overhang).max(120.0),
            head + (self.rows.len() as f64 * (height + GAP)).max(24.0) + 2.0,
        );
        for (index, label) in self.columns.iter().enumerate() {
            let x = left + index as f64 * (width + GAP) + width / 2.0;
            if upright {
                svg.text(x, head - 7.0, SMALL, Anchor::Middle, "", label);
            } else {
                svg.rising_text(x, head - 7.0, SMALL, &shorten(label, SMALL, 110.0));
            }
        }
        for (index, row) in self.rows.iter().enumerate() {
            let y = head + index as f64 * (height + GAP);
            svg.text(
                left - 10.0,
                y + height / 2.0 + 4.5,
                TEXT,
                Anchor::End,
                "",
                &shorten(&row.label, TEXT, 170.0),
            );
            for (column, image) in row.images.iter().enumerate() {
                let x = left + column as f64 * (width + GAP);
                let name = self
                    .columns
                    .get(column)
                    .map_or_else(|| format!("image {}", column + 1), Clone::clone);
                let title = if row.label.is_empty() {
                    name
                } else {
                    format!("{}, {name}", row.label)
                };
                if let Some(address) = self.png(image) {
                    svg.picture(x, y, width, height, &address, &title);
                } else {
                    let style = format!("fill:{};stroke:{}", palette::EMPTY, palette::AXIS);
                    let title = format!("{title}: not an image of {} bytes", self.bytes());
                    svg.rect_with_title(x, y, width, height, &style, &title);
                }
            }
        }
        let description = if self.description.is_empty() {
            self.describe()
        } else {
            self.description.clone()
        };
        svg.finish(&self.title, &description)
    }

    fn describe(&self) -> String {
        let count: usize = self.rows.iter().map(|row| row.images.len()).sum();
        let mut text = format!("{count} images of {} x {} pixels.", self.height, self.width);
        if !self.columns.is_empty() {
            text.push_str(&format!(" Columns: {}.", self.columns.join(", ")));
        }
        let labels: Vec<_> = self
            .rows
            .iter()
            .map(|row| row.label.as_str())
            .filter(|label| !label.is_empty())
            .collect();
        if !labels.is_empty() {
            text.push_str(&format!(" Rows: {}.", labels.join(", ")));
        }
        text
    }

    fn bytes(&self) -> usize {
        self.height.saturating_mul(self.width).saturating_mul(self.channels)
    }

    fn fits(&self, image: &[u8]) -> bool {
        matches!(self.channels, 1 | 3) && !image.is_empty() && image.len() == self.bytes()
    }

    /// The value scaled to 0..=255.
    fn full(&self, value: u8) -> u8 {
        (u16::from(value) * 255 / u16::from(self.max_value)).min(255) as u8
    }

    fn grey(&self, image: &[u8]) -> Vec<u8> {
        image
            .chunks_exact(self.channels)
            .map(|pixel| {
                let sum: u16 = pixel.iter().map(|value| u16::from(self.full(*value))).sum();
                (sum / pixel.len() as u16) as u8
            })
            .collect()
    }

    /// The image as a `data:` address of a PNG, or `None` if its length does not match.
    fn png(&self, image: &[u8]) -> Option<String> {
        if !self.fits(image) {
            return None;
        }
        let (width, height) = (u32::try_from(self.width).ok()?, u32::try_from(self.height).ok()?);
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, width, height);
        encoder.set_color(if self.channels == 1 {
            png::ColorType::Grayscale
        } else {
            png::ColorType::Rgb
        });
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_compression(png::Compression::High);
        let pixels: Vec<u8> = image.iter().map(|value| self.full(*value)).collect();
        let mut writer = encoder.write_header().ok()?;
        writer.write_image_data(&pixels).ok()?;
        writer.finish().ok()?;
        Some(format!(
            "data:image/png;base64,{}",
            base64::engine::general_purpose::STANDARD.encode(&bytes)
        ))
    }
}
