//! A matrix of numbers as coloured cells.

use super::palette;
use super::svg::{Anchor, SMALL, Svg, TEXT, shorten, text_width};
use crate::Figure;

/// The longest label of a row or column, in pixels; what is longer ends in an ellipsis.
const LONGEST: f64 = 180.0;
/// The most columns whose numbers are all written out.
const READABLE: usize = 24;
/// How far a rising text goes up and to the right for each pixel of its length: the sine and cosine of its 55 degrees.
const RISE: f64 = 0.82;
const LEAN: f64 = 0.574;

/// A matrix of numbers as coloured cells; zero is the paper's colour, negative values have the second colour.
///
/// Values that are not finite are drawn hatched grey and read as `–`.
///
/// ```
/// use report::plot::Heatmap;
///
/// let mut map = Heatmap::new("The collapsed map");
/// map.values([[1.0, -0.5], [0.0, 2.0]]).row_labels(["y1", "y2"]).column_labels(["x1", "x2"]).show_values(2);
/// assert!(map.to_svg().contains("−0.50"));
/// ```
#[derive(Debug, Clone)]
pub struct Heatmap {
    title: String,
    description: String,
    values: Vec<Vec<f64>>,
    rows: Vec<String>,
    columns: Vec<String>,
    decimals: Option<usize>,
    pub(super) row_title: String,
    pub(super) column_title: String,
}

impl Heatmap {
    /// An empty matrix.
    #[must_use]
    pub fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            description: String::new(),
            values: Vec::new(),
            rows: Vec::new(),
            columns: Vec::new(),
            decimals: None,
            row_title: String::new(),
            column_title: String::new(),
        }
    }

    /// A sentence for those who do not see the picture; by default one is made from the values.
    pub fn description(&mut self, text: impl Into<String>) -> &mut Self {
        self.description = text.into();
        self
    }

    /// Sets the matrix, row by row; rows may differ in length.
    pub fn values<R: IntoIterator<Item = f64>>(&mut self, rows: impl IntoIterator<Item = R>) -> &mut Self {
        self.values = rows.into_iter().map(|row| row.into_iter().collect()).collect();
        self
    }

    /// Names the rows.
    pub fn row_labels<S: ToString>(&mut self, labels: impl IntoIterator<Item = S>) -> &mut Self {
        self.rows = labels.into_iter().map(|label| label.to_string()).collect();
        self
    }

    /// Names the columns.
    pub fn column_labels<S: ToString>(&mut self, labels: impl IntoIterator<Item = S>) -> &mut Self {
        self.columns = labels.into_iter().map(|label| label.to_string()).collect();
        self
    }

    /// Says what rows and columns are.
    pub fn axes(&mut self, row_title: impl Into<String>, column_title: impl Into<String>) -> &mut Self {
        self.row_title = row_title.into();
        self.column_title = column_title.into();
        self
    }

    /// Writes the value into each cell, with this many decimals.
    pub fn show_values(&mut self, decimals: usize) -> &mut Self {
        self.decimals = Some(decimals);
        self
    }

    /// The matrix as a table of numbers, or shades where the numbers are not to be shown.
    #[must_use]
    pub fn to_terminal(&self, width: usize) -> String {
        let largest = self.largest();
        let mut table = crate::Table::new(&self.title);
        let columns = self.values.iter().map(Vec::len).max().unwrap_or(0);
        let label = |labels: &[String], index: usize| labels.get(index).cloned().unwrap_or_default();
        if !self.columns.is_empty() {
            table.header((0..=columns).map(|at| {
                if at == 0 {
                    String::new()
                } else {
                    label(&self.columns, at - 1)
                }
            }));
        }
        for (index, row) in self.values.iter().enumerate() {
            let cells = row.iter().map(|value| match self.decimals {
                Some(decimals) => crate::format::number(*value, decimals),
                None if value.is_finite() => super::terminal::shade(value.abs() / largest).repeat(2),
                None => crate::format::MISSING.to_owned(),
            });
            table.row([label(&self.rows, index)].into_iter().chain(cells));
        }
        crate::terminal::table(&table, width, false)
    }

    /// The matrix as a figure, with its terminal form.
    #[must_use]
    pub fn figure(&self, caption: impl Into<String>) -> Figure {
        let terminal = Some(self.to_terminal(super::terminal::WIDTH));
        let row = |(index, values): (usize, &Vec<f64>)| {
            let name = self.rows.get(index).cloned().unwrap_or_else(|| (index + 1).to_string());
            crate::Series::new(name, values.iter().map(|value| [*value])).labelled(&self.columns)
        };
        Figure {
            title: self.title.clone(),
            svg: self.to_svg(),
            caption: caption.into(),
            terminal,
            axes: vec!["value".to_owned()],
            series: self.values.iter().enumerate().map(row).collect(),
        }
    }

    /// The matrix as an `<svg>` element.
    #[must_use]
    pub fn to_svg(&self) -> String {
        let description = if self.description.is_empty() {
            let columns = self.values.iter().map(Vec::len).max().unwrap_or(0);
            format!(
                "Matrix of {} rows and {columns} columns, largest magnitude {}.",
                self.values.len(),
                super::value(self.largest())
            )
        } else {
            self.description.clone()
        };
        let write = |value: &f64| {
            self.decimals
                .map_or_else(String::new, |decimals| crate::format::number(*value, decimals))
        };
        let texts: Vec<Vec<_>> = self.values.iter().map(|row| row.iter().map(write).collect()).collect();
        self.draw_with(&description, &texts)
    }

    fn largest(&self) -> f64 {
        let largest = self
            .values
            .iter()
            .flatten()
            .filter(|value| value.is_finite())
            .fold(0.0f64, |a, b| a.max(b.abs()));
        if largest > 0.0 { largest } else { 1.0 }
    }

    /// Draws the cells, each with its text (which may be empty).
    pub(super) fn draw_with(&self, description: &str, texts: &[Vec<String>]) -> String {
        let columns = self
            .values
            .iter()
            .map(Vec::len)
            .chain([self.columns.len()])
            .max()
            .unwrap_or(0);
        let count = self.values.len();
        let widest_text = texts
            .iter()
            .flatten()
            .map(|text| text_width(text, SMALL))
            .fold(0.0, f64::max);
        let labels = widest(&self.rows, TEXT).min(LONGEST);
        let left = labels + 14.0 + if self.row_title.is_empty() { 0.0 } else { 24.0 };
        let widest_label = widest(&self.columns, SMALL);
        let fit = (640.0 - left) / columns.max(1) as f64;
        let wish = (widest_text + 12.0).max(if self.columns.is_empty() {
            12.0
        } else {
            widest_label.min(90.0) + 8.0
        });
        // What is written into a cell is shown, however wide the drawing becomes, as long as somebody can read so many cells.
        let least = if columns <= READABLE && widest_text > 0.0 {
            widest_text + 6.0
        } else {
            4.0
        };
        let cell = wish.max(26.0).min(fit.max(least));
        // Few rows are made higher, so that the title beside them has its place.
        let row_title = shorten(&self.row_title, TEXT, (count as f64 * 34.0).max(LONGEST));
        let beside = text_width(&row_title, TEXT) + 4.0;
        let height = cell
            .min(34.0)
            .max(4.0f64.min(cell))
            .max((beside / count.max(1) as f64).min(40.0));
        let upright = widest_label + 6.0 <= cell;
        let rising = !self.columns.is_empty() && !upright && cell >= 11.0;
        let head = match (self.columns.is_empty(), upright) {
            (true, _) => 4.0,
            (_, true) => 22.0,
            (_, false) => widest_label.min(LONGEST) * RISE + 18.0,
        } + if self.column_title.is_empty() { 0.0 } else { 22.0 };
        // Labels that rise lean out over the right edge of their column.
        let leaning = self.columns.iter().enumerate().map(|(index, label)| {
            let width = text_width(label, SMALL).min(LONGEST);
            left + (index as f64 + 0.5) * cell + 4.0 + width * LEAN + 8.0
        });
        let leaning = leaning.filter(|_| rising).fold(0.0, f64::max);
        let mut svg = Svg::new(
            (left + columns as f64 * cell + 8.0)
                .max(left + text_width(&self.column_title, TEXT) + 8.0)
                .max(leaning)
                .max(120.0),
            head + (count as f64 * height).max(24.0).max(beside) + 8.0,
        );
        let largest = self.largest();
        if !self.column_title.is_empty() {
            let middle = left + (columns as f64 * cell / 2.0).max(text_width(&self.column_title, TEXT) / 2.0);
            svg.text(middle, 15.0, TEXT, Anchor::Middle, "", &self.column_title);
        }
        if !self.row_title.is_empty() {
            let middle = head + (count as f64 * height).max(beside) / 2.0;
            svg.vertical_text(14.0, middle, TEXT, "", &row_title);
        }
        for (index, label) in self.columns.iter().enumerate() {
            let x = left + (index as f64 + 0.5) * cell;
            if upright {
                svg.text(x, head - 7.0, SMALL, Anchor::Middle, "", label);
            } else if rising {
                svg.rising_text(x + 4.0, head - 6.0, SMALL, &shorten(label, SMALL, LONGEST));
            }
        }
        for (index, row) in self.values.iter().enumerate() {
            let y = head + index as f64 * height;
            if let Some(label) = self.rows.get(index).filter(|_| height >= 11.0) {
                svg.text(
                    left - 8.0,
                    y + height / 2.0 + 4.5,
                    TEXT,
                    Anchor::End,
                    "",
                    &shorten(label, TEXT, LONGEST),
                );
            }
            for (column, value) in row.iter().enumerate() {
                let fraction = value.abs() / largest;
                let style = if !value.is_finite() {
                    format!("fill:{};stroke:{};stroke-dasharray:2 2", palette::EMPTY, palette::AXIS)
                } else if *value < 0.0 {
                    palette::negative_tint(fraction)
                } else {
                    palette::tint(fraction)
                };
                let x = left + column as f64 * cell;
                let title = format!("{}: {}", self.cell_name(index, column), super::value(*value));
                let gap = if cell >= 12.0 { 2.0 } else { 0.0 };
                svg.rect(x, y, cell - gap, height - gap, &format!("fill:{}", palette::EMPTY));
                svg.rect_with_title(x, y, cell - gap, height - gap, &style, &title);
                let text = texts
                    .get(index)
                    .and_then(|row| row.get(column))
                    .map_or("", String::as_str);
                if !text.is_empty() && text_width(text, SMALL) <= cell {
                    // Dark cells carry the paper's colour, so that the text stays readable in both themes.
                    let ink = if value.is_finite() && fraction > 0.75 {
                        palette::PAPER
                    } else {
                        palette::INK
                    };
                    let style = format!("fill:{ink};pointer-events:none");
                    svg.text(
                        x + (cell - gap) / 2.0,
                        y + height / 2.0 + 3.5,
                        SMALL,
                        Anchor::Middle,
                        &style,
                        text,
                    );
                }
            }
        }
        svg.finish(&self.title, description)
    }

    fn cell_name(&self, row: usize, column: usize) -> String {
        let name = |labels: &[String], title: &str, index: usize| {
            let label = labels.get(index).cloned().unwrap_or_else(|| (index + 1).to_string());
            if title.is_empty() {
                label
            } else {
                format!("{title} {label}")
            }
        };
        format!(
            "{}, {}",
            name(&self.rows, &self.row_title, row),
            name(&self.columns, &self.column_title, column)
        )
    }
}

/// The width of the widest of these labels.
fn widest(labels: &[String], size: f64) -> f64 {
    labels.iter().map(|label| text_width(label, size)).fold(0.0, f64::max)
}
