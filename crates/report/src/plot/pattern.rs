//! Which entries of matrices are zero.

use super::palette;
use super::svg::{Anchor, SMALL, Svg, TEXT, shorten, text_width};
use crate::Figure;

const CELL: f64 = 22.0;
const PANEL_GAP: f64 = 34.0;
const WIDTH: f64 = 660.0;

/// One or more matrices side by side, filled where an entry is not zero.
///
/// ```
/// use report::plot::MatrixPattern;
///
/// let mut pattern = MatrixPattern::new("Zero patterns");
/// pattern.matrix("A2", [[true, true, true, false], [true, false, true, true], [true, false, true, true]]);
/// assert!(pattern.to_terminal(60).contains("A2 (3 × 4), 9 of 12"));
/// ```
#[derive(Debug, Clone)]
pub struct MatrixPattern {
    title: String,
    description: String,
    matrices: Vec<(String, Vec<Vec<bool>>)>,
}

impl MatrixPattern {
    /// No matrices yet.
    #[must_use]
    pub fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            description: String::new(),
            matrices: Vec::new(),
        }
    }

    /// A sentence for those who do not see the picture; by default one is made from the counts.
    pub fn description(&mut self, text: impl Into<String>) -> &mut Self {
        self.description = text.into();
        self
    }

    /// Adds a matrix, row by row: `true` where its entry is not zero.
    pub fn matrix<R: IntoIterator<Item = bool>>(
        &mut self,
        name: impl Into<String>,
        rows: impl IntoIterator<Item = R>,
    ) -> &mut Self {
        self.matrices.push((
            name.into(),
            rows.into_iter().map(|row| row.into_iter().collect()).collect(),
        ));
        self
    }

    /// The patterns in characters: `■` for an entry, `·` for a zero; as many side by side as fit into `width`.
    #[must_use]
    pub fn to_terminal(&self, width: usize) -> String {
        let panels: Vec<Vec<String>> = self
            .matrices
            .iter()
            .map(|(name, rows)| {
                let mut lines = vec![label(name, rows)];
                lines.extend(rows.iter().map(|row| {
                    row.iter()
                        .map(|entry| if *entry { "■" } else { "·" })
                        .collect::<Vec<_>>()
                        .join(" ")
                }));
                lines
            })
            .collect();
        super::terminal::beside(&panels, width)
    }

    /// The patterns as a figure, with their terminal form.
    #[must_use]
    pub fn figure(&self, caption: impl Into<String>) -> Figure {
        let terminal = Some(self.to_terminal(super::terminal::WIDTH));
        let matrix = |(name, rows): &(String, Vec<Vec<bool>>)| {
            let number = |entry: &bool| f64::from(u8::from(*entry));
            crate::Series::new(name, rows.iter().map(|row| row.iter().map(number).collect::<Vec<_>>()))
        };
        Figure {
            title: self.title.clone(),
            svg: self.to_svg(),
            caption: caption.into(),
            terminal,
            axes: vec!["not zero".to_owned()],
            series: self.matrices.iter().map(matrix).collect(),
        }
    }

    /// The patterns as an `<svg>` element.
    #[must_use]
    pub fn to_svg(&self) -> String {
        let mut places = Vec::new();
        let (mut x, mut y, mut row_height, mut right): (f64, f64, f64, f64) = (2.0, 0.0, 0.0, 0.0);
        for (name, rows) in &self.matrices {
            let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
            let cell = CELL.min((WIDTH - 4.0) / columns.max(1) as f64);
            let width = (columns as f64 * cell)
                .max(text_width(name, TEXT))
                .max(text_width(&share(rows), SMALL));
            if x > 2.0 && x + width > WIDTH {
                (x, y, row_height) = (2.0, y + row_height + 24.0, 0.0);
            }
            places.push((x, y, cell));
            right = right.max(x + width);
            row_height = row_height.max(rows.len() as f64 * cell + 46.0);
            x += width + PANEL_GAP;
        }
        let mut svg = Svg::new(right.max(120.0) + 4.0, y + row_height.max(24.0) + 4.0);
        for ((name, rows), (x, y, cell)) in self.matrices.iter().zip(places) {
            svg.text(
                x,
                y + 16.0,
                TEXT,
                Anchor::Start,
                "font-weight:600",
                &shorten(name, TEXT, WIDTH),
            );
            let style = format!("fill:{}", palette::SOFT_INK);
            svg.text(x, y + 33.0, SMALL, Anchor::Start, &style, &share(rows));
            let gap = if cell >= 10.0 { 2.0 } else { 0.0 };
            for (index, row) in rows.iter().enumerate() {
                for (column, entry) in row.iter().enumerate() {
                    let (cx, cy) = (x + column as f64 * cell, y + 42.0 + index as f64 * cell);
                    let fill = if *entry { palette::series(0) } else { palette::EMPTY };
                    let word = if *entry { "not zero" } else { "zero" };
                    let title = format!("{name}, row {}, column {}: {word}", index + 1, column + 1);
                    svg.rect_with_title(cx, cy, cell - gap, cell - gap, &format!("fill:{fill}"), &title);
                }
            }
        }
        let description = if self.description.is_empty() {
            let labels: Vec<_> = self.matrices.iter().map(|(name, rows)| label(name, rows)).collect();
            format!("Entries that are not zero: {}.", labels.join("; "))
        } else {
            self.description.clone()
        };
        svg.finish(&self.title, &description)
    }
}

fn share(rows: &[Vec<bool>]) -> String {
    let entries: usize = rows.iter().map(Vec::len).sum();
    let filled = rows.iter().flatten().filter(|entry| **entry).count();
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    format!("({} × {columns}), {filled} of {entries}", rows.len())
}

fn label(name: &str, rows: &[Vec<bool>]) -> String {
    format!("{name} {}", share(rows))
}
