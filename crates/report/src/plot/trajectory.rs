//! Paths over the lines of equal height of a function of two numbers: one small picture a path.

use super::svg::{Anchor, SMALL, Svg, TEXT, coordinate, shorten};
use super::{contour, palette};
use crate::Figure;

const WIDTH: f64 = 660.0;
const GAP: f64 = 12.0;
/// Room above a picture for its name, and below it for its note.
const HEAD: f64 = 22.0;
const FOOT: f64 = 22.0;
/// Steps that are marked one by one; of a longer path only the beginning is.
const MARKED: usize = 60;

#[derive(Debug, Clone)]
struct Panel {
    name: String,
    note: String,
    path: Vec<(f64, f64)>,
}

/// Small multiples of a landscape: the same lines of equal height in each, and another path over them.
///
/// Paths may leave the picture; points that are not finite end them.
///
/// ```
/// use report::plot::TrajectoryGrid;
///
/// let mut grid = TrajectoryGrid::new("Ways down");
/// grid.surface((-2.0, 2.0), (-1.0, 1.0), 41, |x, y| x * x + 10.0 * y * y).lowest(0.0, 0.0);
/// grid.path("sgd", "after 2 steps", [(-1.5, 0.8), (-1.2, -0.4), (-1.0, 0.2)]);
/// assert!(grid.to_svg().contains("sgd"));
/// ```
#[derive(Debug, Clone)]
pub struct TrajectoryGrid {
    title: String,
    description: String,
    x: (f64, f64),
    y: (f64, f64),
    values: Vec<Vec<f64>>,
    levels: usize,
    lowest: Option<(f64, f64)>,
    columns: usize,
    panels: Vec<Panel>,
}

impl TrajectoryGrid {
    /// Steps of a path that are marked by a dot each, from the first one on.
    pub const MARKED: usize = MARKED;

    /// Pictures without a landscape.
    #[must_use]
    pub fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            description: String::new(),
            x: (0.0, 1.0),
            y: (0.0, 1.0),
            values: Vec::new(),
            levels: 9,
            lowest: None,
            columns: 4,
            panels: Vec::new(),
        }
    }

    /// A sentence for those who do not see the picture; by default one is made from the paths.
    pub fn description(&mut self, text: impl Into<String>) -> &mut Self {
        self.description = text.into();
        self
    }

    /// The landscape: a function on a rectangle, looked at in `count` places along each side (between 2 and 500).
    pub fn surface(
        &mut self,
        x: (f64, f64),
        y: (f64, f64),
        count: usize,
        value: impl Fn(f64, f64) -> f64,
    ) -> &mut Self {
        (self.x, self.y) = (x, y);
        let last = (count.clamp(2, 500) - 1) as f64;
        let along = |(low, high): (f64, f64), i: usize| low + (high - low) * i as f64 / last;
        let row = |j: usize| (0..=last as usize).map(|i| value(along(x, i), along(y, j))).collect();
        self.values = (0..=last as usize).map(row).collect();
        self
    }

    /// Marks the lowest point of the landscape.
    pub fn lowest(&mut self, x: f64, y: f64) -> &mut Self {
        self.lowest = Some((x, y));
        self
    }

    /// How many pictures stand side by side (4 by default).
    pub fn columns(&mut self, columns: usize) -> &mut Self {
        self.columns = columns.max(1);
        self
    }

    /// Adds a picture with the path through `points`, a name above it and a note below it.
    pub fn path(
        &mut self,
        name: impl Into<String>,
        note: impl Into<String>,
        points: impl IntoIterator<Item = (f64, f64)>,
    ) -> &mut Self {
        self.panels.push(Panel {
            name: name.into(),
            note: note.into(),
            path: points
                .into_iter()
                .take_while(|(x, y)| x.is_finite() && y.is_finite())
                .collect(),
        });
        self
    }

    /// The names and notes as a table: a curved valley cannot be read in characters.
    #[must_use]
    pub fn to_terminal(&self, width: usize) -> String {
        let mut table = crate::Table::new(&self.title);
        for panel in &self.panels {
            table.row([panel.name.as_str(), panel.note.as_str()]);
        }
        crate::terminal::table(&table, width, false)
    }

    /// The pictures as a figure, with its terminal form.
    #[must_use]
    pub fn figure(&self, caption: impl Into<String>) -> Figure {
        let path = |panel: &Panel| crate::Series::new(&panel.name, panel.path.iter().map(|(x, y)| [*x, *y]));
        Figure {
            title: self.title.clone(),
            svg: self.to_svg(),
            caption: caption.into(),
            terminal: Some(self.to_terminal(super::terminal::WIDTH)),
            axes: vec!["x".to_owned(), "y".to_owned()],
            series: self.panels.iter().map(path).collect(),
        }
    }

    /// The pictures as an `<svg>` element.
    #[must_use]
    pub fn to_svg(&self) -> String {
        let columns = self.columns.min(self.panels.len().max(1));
        let width = (WIDTH - GAP * (columns as f64 - 1.0)) / columns as f64;
        let height = width * 0.8;
        let rows = self.panels.len().div_ceil(columns).max(1);
        let mut svg = Svg::new(WIDTH, rows as f64 * (HEAD + height + FOOT));
        let contours = self.contours(width, height);
        for (index, panel) in self.panels.iter().enumerate() {
            let left = (index % columns) as f64 * (width + GAP);
            let top = (index / columns) as f64 * (HEAD + height + FOOT) + HEAD;
            let name = shorten(&panel.name, TEXT, width);
            svg.text(left, top - 7.0, TEXT, Anchor::Start, "font-weight:600", &name);
            let note = shorten(&panel.note, SMALL, width);
            let soft = format!("fill:{}", palette::SOFT_INK);
            svg.text(left, top + height + 15.0, SMALL, Anchor::Start, &soft, &note);
            svg.begin_clip(left, top, width, height);
            svg.rect(left, top, width, height, &format!("fill:{}", palette::PAPER));
            for (level, path) in contours.iter().enumerate() {
                // Low ground is drawn darker.
                let opacity = 0.85 - 0.6 * level as f64 / self.levels.max(1) as f64;
                let style = format!("stroke:{};stroke-opacity:{opacity:.2}", palette::AXIS);
                svg.path_at(left, top, path, &style);
            }
            self.draw_path(&mut svg, panel, (left, top), (width, height));
            svg.end_clip();
            svg.rect(
                left + 0.5,
                top + 0.5,
                width - 1.0,
                height - 1.0,
                &format!("fill:none;stroke:{}", palette::GRID),
            );
        }
        let description = if self.description.is_empty() {
            let notes: Vec<_> = self
                .panels
                .iter()
                .map(|panel| format!("{}: {}", panel.name, panel.note))
                .collect();
            format!(
                "Paths over the lines of equal height of a function. {}.",
                notes.join("; ")
            )
        } else {
            self.description.clone()
        };
        svg.finish(&self.title, &description)
    }

    fn place(&self, (x, y): (f64, f64), (width, height): (f64, f64)) -> (f64, f64) {
        let across = (x - self.x.0) / (self.x.1 - self.x.0);
        let up = (y - self.y.0) / (self.y.1 - self.y.0);
        (
            across.clamp(-50.0, 51.0) * width,
            (1.0 - up.clamp(-50.0, 51.0)) * height,
        )
    }

    fn draw_path(&self, svg: &mut Svg, panel: &Panel, (left, top): (f64, f64), size: (f64, f64)) {
        let at = |point: &(f64, f64)| {
            let (x, y) = self.place(*point, size);
            (left + x, top + y)
        };
        if let Some(lowest) = &self.lowest {
            let (x, y) = at(lowest);
            let style = format!("stroke:{};stroke-width:1.6", palette::INK);
            svg.line(x - 4.0, y - 4.0, x + 4.0, y + 4.0, &style);
            svg.line(x - 4.0, y + 4.0, x + 4.0, y - 4.0, &style);
        }
        let points: Vec<(f64, f64)> = panel.path.iter().map(at).collect();
        let color = palette::series(1);
        let style = format!("stroke:{color};stroke-width:1.5;stroke-linejoin:round");
        svg.polyline(&thinned(&points), &style);
        for (x, y) in points.iter().take(MARKED) {
            svg.circle(*x, *y, 1.7, &format!("fill:{color}"), "");
        }
        if let (Some((x, y)), Some(from)) = (points.first(), panel.path.first()) {
            let title = format!("start ({}, {})", super::value(from.0), super::value(from.1));
            svg.circle(
                *x,
                *y,
                3.6,
                &format!("fill:{};stroke:{color};stroke-width:1.6", palette::PAPER),
                &title,
            );
        }
        if let (Some((x, y)), Some(to)) = (points.last(), panel.path.last()) {
            let title = format!("end ({}, {})", super::value(to.0), super::value(to.1));
            svg.circle(*x, *y, 3.6, &format!("fill:{color}"), &title);
        }
    }

    /// The lines of each level, the lowest first, as the `d` of a path in a picture of this size.
    fn contours(&self, width: f64, height: f64) -> Vec<String> {
        let last = self.values.len().saturating_sub(1).max(1) as f64;
        let d = |lines: Vec<Vec<(f64, f64)>>| {
            let mut d = String::new();
            for line in lines {
                for (index, (x, y)) in line.iter().enumerate() {
                    let (x, y) = (x / last * width, (1.0 - y / last) * height);
                    d.push(if index == 0 { 'M' } else { ' ' });
                    d.push_str(&format!("{} {}", tenth(x), tenth(y)));
                }
            }
            d
        };
        let levels = self.heights().into_iter();
        levels.map(|level| d(contour::lines(&self.values, level))).collect()
    }

    /// Heights that divide the places of the rectangle into parts of equal size, whatever the scale of the function.
    fn heights(&self) -> Vec<f64> {
        let mut all: Vec<f64> = self
            .values
            .iter()
            .flatten()
            .copied()
            .filter(|value| value.is_finite())
            .collect();
        all.sort_by(f64::total_cmp);
        let count = self.levels as f64 + 1.0;
        let at = |level: usize| all.get((all.len() as f64 * level as f64 / count) as usize).copied();
        (1..=self.levels).filter_map(at).collect()
    }
}

fn tenth(value: f64) -> String {
    coordinate((value * 10.0).round() / 10.0)
}

/// The points without those that lie within half a pixel of the last one that is kept; the last point stays.
fn thinned(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut kept: Vec<(f64, f64)> = Vec::new();
    for (index, point) in points.iter().enumerate() {
        let near = kept
            .last()
            .is_some_and(|last| (last.0 - point.0).hypot(last.1 - point.1) < 0.5);
        if !near || index + 1 == points.len() {
            kept.push(*point);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid() -> TrajectoryGrid {
        let mut grid = TrajectoryGrid::new("Ways <down>");
        grid.surface((-2.0, 2.0), (-1.0, 3.0), 61, |x, y| {
            (1.0 - x).powi(2) + 100.0 * (y - x * x).powi(2)
        })
        .lowest(1.0, 1.0);
        grid
    }

    #[test]
    fn every_path_has_its_picture_and_the_svg_is_valid() {
        let mut grid = grid();
        for name in ["sgd", "adam", "lion", "muon", "a & b"] {
            let path = (0..200).map(|i| (f64::from(i) / 100.0 - 1.0, 2.0 - f64::from(i) / 100.0));
            grid.path(name, format!("f = {name}"), path);
        }
        let svg = grid.to_svg();
        let document = roxmltree::Document::parse(&svg).unwrap();
        let count = |tag: &str| document.descendants().filter(|node| node.has_tag_name(tag)).count();
        assert_eq!(count("polyline"), 5);
        // one viewport a picture and the whole, nine levels in each
        assert_eq!((count("svg"), count("path")), (6, 5 * 9));
        assert!(svg.contains("a &amp; b") && !svg.contains("NaN"));
        assert!(grid.to_terminal(60).contains("f = lion"));
    }

    #[test]
    fn paths_that_leave_or_end_are_drawn_as_far_as_they_go() {
        let mut grid = grid();
        grid.path("wild", "", [(0.0, 0.0), (1e300, -1e300), (f64::NAN, 0.0), (1.0, 1.0)]);
        grid.path("none", "", []);
        let svg = grid.to_svg();
        assert!(roxmltree::Document::parse(&svg).is_ok());
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
    }

    #[test]
    fn without_paths_or_landscape_there_is_still_a_picture() {
        let empty = TrajectoryGrid::new("nothing").to_svg();
        assert!(roxmltree::Document::parse(&empty).is_ok());
        let mut flat = TrajectoryGrid::new("flat");
        flat.surface((0.0, 0.0), (0.0, 0.0), 2, |_, _| f64::NAN)
            .path("p", "", [(0.0, 0.0)]);
        assert!(!flat.to_svg().contains("NaN"));
    }

    /// Low and high ground get lines alike: the levels are quantiles.
    #[test]
    fn levels_divide_the_area() {
        let grid = grid();
        let heights = grid.heights();
        assert_eq!(heights.len(), 9);
        assert!(heights.windows(2).all(|pair| pair[0] < pair[1]));
        let below = grid
            .values
            .iter()
            .flatten()
            .filter(|value| **value < heights[4])
            .count();
        assert!((below as f64 / (61.0 * 61.0) - 0.5).abs() < 0.01);
    }
}
