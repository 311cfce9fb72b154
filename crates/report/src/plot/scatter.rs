//! Points: one value against another.

use super::axis::{Axis, AxisOptions, Scale};
use super::frame::Frame;
use super::{palette, terminal};
use crate::Figure;

/// Groups of points `(x, y)`; points that cannot be drawn are left out.
///
/// ```
/// use report::plot::ScatterChart;
///
/// let mut chart = ScatterChart::new("Speed and accuracy");
/// chart.x_axis("seconds").y_axis("accuracy").series("adam", [(1.2, 0.95), (1.3, 0.96)]);
/// assert!(chart.to_svg().contains("adam: (1.2, 0.95)"));
/// ```
#[derive(Debug, Clone)]
pub struct ScatterChart {
    title: String,
    description: String,
    x: AxisOptions,
    y: AxisOptions,
    series: Vec<(String, Vec<(f64, f64)>)>,
}

impl ScatterChart {
    /// An empty chart.
    #[must_use]
    pub fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            description: String::new(),
            x: AxisOptions::default(),
            y: AxisOptions::default(),
            series: Vec::new(),
        }
    }

    /// A sentence for those who do not see the picture; by default one is made from the series.
    pub fn description(&mut self, text: impl Into<String>) -> &mut Self {
        self.description = text.into();
        self
    }

    /// Titles the horizontal axis.
    pub fn x_axis(&mut self, title: impl Into<String>) -> &mut Self {
        self.x.title = title.into();
        self
    }

    /// Titles the vertical axis.
    pub fn y_axis(&mut self, title: impl Into<String>) -> &mut Self {
        self.y.title = title.into();
        self
    }

    /// Makes the horizontal axis logarithmic.
    pub fn log_x(&mut self) -> &mut Self {
        self.x.scale = Scale::Log;
        self
    }

    /// Makes the vertical axis logarithmic.
    pub fn log_y(&mut self) -> &mut Self {
        self.y.scale = Scale::Log;
        self
    }

    /// Adds a group of points.
    pub fn series(&mut self, name: impl Into<String>, points: impl IntoIterator<Item = (f64, f64)>) -> &mut Self {
        self.series.push((name.into(), points.into_iter().collect()));
        self
    }

    /// The chart in characters, `width` columns wide.
    #[must_use]
    pub fn to_terminal(&self, width: usize) -> String {
        let (x, y) = self.axes();
        let series: Vec<_> = self
            .series
            .iter()
            .map(|(name, points)| (name.as_str(), self.drawable(points).collect()))
            .collect();
        terminal::points(
            &self.title,
            &series,
            x,
            y,
            &self.x.title,
            &self.y.title,
            width,
            terminal::HEIGHT,
        )
    }

    /// The chart as a figure, with its terminal form.
    #[must_use]
    pub fn figure(&self, caption: impl Into<String>) -> Figure {
        let numbers =
            |(name, points): &(String, Vec<(f64, f64)>)| crate::Series::new(name, points.iter().map(|(x, y)| [*x, *y]));
        Figure {
            title: self.title.clone(),
            svg: self.to_svg(),
            caption: caption.into(),
            terminal: Some(self.to_terminal(terminal::WIDTH)),
            axes: vec![
                super::or(&self.x.title, "x").to_owned(),
                super::or(&self.y.title, "y").to_owned(),
            ],
            series: self.series.iter().map(numbers).collect(),
        }
    }

    /// The chart as an `<svg>` element.
    #[must_use]
    pub fn to_svg(&self) -> String {
        let (x, y) = self.axes();
        let names: Vec<_> = self.series.iter().map(|(name, _)| name.as_str()).collect();
        let mut frame = Frame::new(&names);
        frame.axes(x, y, &self.x.title, &self.y.title);
        frame.begin();
        for (index, (name, points)) in self.series.iter().enumerate() {
            frame.svg.begin_series(index);
            for (at, value) in self.drawable(points) {
                let (px, py) = frame.place(at, value);
                let style = format!("fill:{0};fill-opacity:.55;stroke:{0}", palette::series(index));
                let title = format!("{name}: ({}, {})", super::value(at), super::value(value));
                frame.svg.circle(px, py, 4.0, &style, &title);
            }
            frame.svg.end_group();
        }
        frame.end();
        frame.legend(&names);
        let description = if self.description.is_empty() {
            let count: usize = self
                .series
                .iter()
                .map(|(_, points)| self.drawable(points).count())
                .sum();
            format!(
                "Scatter chart of {} over {}, {count} points.",
                super::or(&self.y.title, "y"),
                super::or(&self.x.title, "x")
            )
        } else {
            self.description.clone()
        };
        frame.svg.finish(&self.title, &description)
    }

    fn axes(&self) -> (Axis, Axis) {
        let points = || self.series.iter().flat_map(|(_, points)| self.drawable(points));
        (
            self.x.fit(points().map(|(x, _)| x), true),
            self.y.fit(points().map(|(_, y)| y), true),
        )
    }

    fn drawable<'a>(&'a self, points: &'a [(f64, f64)]) -> impl Iterator<Item = (f64, f64)> + 'a {
        points
            .iter()
            .copied()
            .filter(|(x, y)| self.x.shows(*x) && self.y.shows(*y))
    }
}
