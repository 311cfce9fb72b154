//! Plots: each is built, then becomes an `<svg>` element, characters for a terminal, or both as a [`crate::Figure`].
//!
//! | for | use |
//! |---|---|
//! | learning curves, schedules | [`LineChart`] |
//! | one value a category, with error bars | [`BarChart`] |
//! | two quantities of many runs | [`ScatterChart`] |
//! | a matrix of numbers | [`Heatmap`] |
//! | which entries of matrices are zero | [`MatrixPattern`] |
//! | which classes are confused | [`ConfusionMatrix`] |
//! | many small images | [`ImageGrid`] |
//! | pictures of any sizes, as a PNG file | [`ContactSheet`] |
//! | values with their intervals, such as ranks | [`IntervalChart`] |
//! | paths over the contour lines of a function | [`TrajectoryGrid`] |
//!
//! Values that are not finite are never an error: they interrupt a line, leave out a mark, or read as `–`.

mod axis;
mod bar;
mod confusion;
mod contact_sheet;
mod contour;
mod frame;
mod glyphs;
mod heatmap;
mod image_grid;
mod interval;
mod line;
mod palette;
mod pattern;
mod scatter;
mod svg;
pub mod terminal;
mod trajectory;

pub use bar::BarChart;
pub use confusion::ConfusionMatrix;
pub use contact_sheet::{ContactSheet, Picture};
pub use heatmap::Heatmap;
pub use image_grid::ImageGrid;
pub use interval::IntervalChart;
pub use line::LineChart;
pub use pattern::MatrixPattern;
pub use scatter::ScatterChart;
pub use svg::escape;
pub use trajectory::TrajectoryGrid;

/// A value in a tooltip: four significant digits, without trailing zeros.
fn value(value: f64) -> String {
    let text = crate::format::significant(value, 4);
    if text.contains('.') && !text.contains('·') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// The axes of a value with its interval.
fn interval_axes(title: &str) -> Vec<String> {
    [or(title, "value"), "lower", "upper"].map(str::to_owned).to_vec()
}

/// `text`, or `default` if it is empty.
fn or<'a>(text: &'a str, default: &'a str) -> &'a str {
    if text.is_empty() { default } else { text }
}
