//! The network as a picture, like the lecture's figure: a column a layer, a line a drawn edge.

mod matrices;

use std::fmt::Write;

use super::{Error, Network, Result};
use crate::plot::escape;

/// Most edges that are drawn; more would be a grey area, and megabytes.
const MAX_DRAWN_EDGES: usize = 20_000;
const COLUMN: usize = 150;
const ROW: usize = 44;
const MARGIN: usize = 40;
const RADIUS: usize = 14;

impl Network {
    /// An SVG with inputs, hidden layers and outputs in colours that are legible on light and on dark ground; lines
    /// and text in `currentColor`. Classes `gn-input`, `gn-hidden`, `gn-output`, `gn-edge`, `gn-label` can be restyled.
    ///
    /// # Errors
    /// [`Error::TooLarge`] above 20,000 edges.
    pub fn drawing(&self) -> Result<String> {
        self.draw(false)
    }

    /// As [`Network::drawing`], with the zeros of each matrix beside it: a filled square is a drawn edge, an empty one a
    /// zero; rows and columns are numbered as the neurons are.
    ///
    /// ```
    /// let svg = nn_theory::generic::lecture_network().drawing_with_matrices()?;
    /// assert_eq!((svg.matches("gn-entry\"").count(), svg.matches("gn-zero\"").count()), (52, 12));
    /// # Ok::<(), nn_theory::generic::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Network::drawing`], and above 20,000 entries.
    pub fn drawing_with_matrices(&self) -> Result<String> {
        let entries = self.totals().entries;
        if entries > MAX_DRAWN_EDGES {
            return Err(Error::TooLarge {
                what: "entries of matrices to draw".to_owned(),
                limit: MAX_DRAWN_EDGES,
                found: entries,
            });
        }
        self.draw(true)
    }

    fn draw(&self, with_matrices: bool) -> Result<String> {
        let edges = self.totals().edges;
        if edges > MAX_DRAWN_EDGES {
            return Err(Error::TooLarge {
                what: "edges to draw".to_owned(),
                limit: MAX_DRAWN_EDGES,
                found: edges,
            });
        }
        let widths = self.widths();
        let tallest = widths.iter().copied().max().unwrap_or(1);
        let (network, height) = (2 * MARGIN + self.depth() * COLUMN, 2 * MARGIN + tallest * ROW);
        let (patterns, width, height) = if with_matrices {
            matrices::beside(self, network, height)
        } else {
            (String::new(), network, height)
        };
        let place = |layer: usize, index: usize| {
            let top = MARGIN + (tallest - widths[layer]) * ROW / 2 + ROW / 2;
            (MARGIN + layer * COLUMN, top + index * ROW)
        };
        let mut svg = String::new();
        // Writing to a String never fails.
        let _ = write!(
            svg,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
             height=\"{height}\" role=\"img\" font-family=\"sans-serif\" font-size=\"12\">\
             <title>{}</title><desc>Layers of {} neurons; {edges} of {} edges drawn.</desc>\
             <style>.gn-edge{{stroke:currentColor;stroke-opacity:.45;stroke-width:1.2}}\
             .gn-input{{fill:#2e7fd1}}.gn-hidden{{fill:#8a63c9}}.gn-output{{fill:#c8641b}}\
             .gn-label{{fill:#fff;text-anchor:middle;dominant-baseline:central}}\
             .gn-caption{{fill:currentColor;text-anchor:middle}}{}</style>",
            escape(self.name()),
            widths.iter().map(usize::to_string).collect::<Vec<_>>().join(", "),
            self.totals().entries,
            if with_matrices { matrices::STYLE } else { "" }
        );
        for (layer, mask) in self.masks().iter().enumerate() {
            for row in 0..mask.rows() {
                for column in mask.drawn_in_row(row) {
                    let ((x1, y1), (x2, y2)) = (place(layer, column), place(layer + 1, row));
                    let _ = write!(
                        svg,
                        "<line class=\"gn-edge\" x1=\"{x1}\" y1=\"{y1}\" x2=\"{x2}\" y2=\"{y2}\"/>"
                    );
                }
            }
            let x = MARGIN + layer * COLUMN + COLUMN / 2;
            let k = layer + 1;
            let _ = write!(
                svg,
                "<text class=\"gn-caption\" x=\"{x}\" y=\"{}\">A{k}, b{k}</text>",
                MARGIN / 2
            );
        }
        for (layer, &count) in widths.iter().enumerate() {
            let class = match layer {
                0 => "gn-input",
                _ if layer == self.depth() => "gn-output",
                _ => "gn-hidden",
            };
            for index in 0..count {
                let (x, y) = place(layer, index);
                let _ = write!(svg, "<circle class=\"{class}\" cx=\"{x}\" cy=\"{y}\" r=\"{RADIUS}\"/>");
                let label = index + 1;
                let _ = write!(svg, "<text class=\"gn-label\" x=\"{x}\" y=\"{y}\">{label}</text>");
            }
        }
        svg.push_str(&patterns);
        svg.push_str("</svg>");
        Ok(svg)
    }
}
