//! Lines over a common axis: learning curves, schedules.

use super::axis::{Axis, AxisOptions, Scale};
use super::frame::Frame;
use super::svg::Svg;
use super::{palette, terminal};
use crate::Figure;

#[derive(Debug, Clone)]
struct Series {
    name: String,
    points: Vec<(f64, f64)>,
    band: Vec<(f64, f64, f64)>,
}

impl Series {
    /// What is drawn, as numbers: (x, y), with the ends of the interval where there is a band.
    fn numbers(&self) -> crate::Series {
        let point = |(index, (x, y)): (usize, &(f64, f64))| match self.band.get(index) {
            Some((_, low, high)) => vec![*x, *y, *low, *high],
            None => vec![*x, *y],
        };
        crate::Series::new(&self.name, self.points.iter().enumerate().map(point))
    }
}

/// Several lines, each with an optional band between a lower and an upper bound.
///
/// Points that cannot be drawn (not finite, or not positive on a logarithmic axis) interrupt their line.
///
/// ```
/// use report::plot::LineChart;
///
/// let mut chart = LineChart::new("Training loss");
/// chart.x_axis("epoch").y_axis("loss").log_y();
/// chart.series("sgd", (1..=10).map(|epoch| (epoch as f64, 2.0 / epoch as f64)));
/// chart.band("adam", (1..=10).map(|epoch| {
///     let loss = 2.0 / (epoch * epoch) as f64;
///     (epoch as f64, loss, 0.8 * loss, 1.2 * loss)
/// }));
/// assert!(chart.to_svg().starts_with("<svg"));
/// let figure = chart.figure("Adam is faster.");
/// assert!(figure.terminal.unwrap().contains("adam"));
/// ```
#[derive(Debug, Clone)]
pub struct LineChart {
    title: String,
    description: String,
    x: AxisOptions,
    y: AxisOptions,
    series: Vec<Series>,
    levels: Vec<(String, f64)>,
}

impl LineChart {
    /// An empty chart.
    #[must_use]
    pub fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            description: String::new(),
            x: AxisOptions::default(),
            y: AxisOptions::default(),
            series: Vec::new(),
            levels: Vec::new(),
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

    /// Shows this range on the horizontal axis; what lies outside is cut off.
    pub fn x_range(&mut self, low: f64, high: f64) -> &mut Self {
        self.x.range = Some((low, high));
        self
    }

    /// Shows this range on the vertical axis; what lies outside is cut off.
    pub fn y_range(&mut self, low: f64, high: f64) -> &mut Self {
        self.y.range = Some((low, high));
        self
    }

    /// Adds a line through `(x, y)`.
    pub fn series(&mut self, name: impl Into<String>, points: impl IntoIterator<Item = (f64, f64)>) -> &mut Self {
        self.series.push(Series {
            name: name.into(),
            points: points.into_iter().collect(),
            band: Vec::new(),
        });
        self
    }

    /// Adds a line through `(x, y)` with a band, from `(x, y, lower, upper)`.
    pub fn band(
        &mut self,
        name: impl Into<String>,
        points: impl IntoIterator<Item = (f64, f64, f64, f64)>,
    ) -> &mut Self {
        let (points, band) = points
            .into_iter()
            .map(|(x, y, low, high)| ((x, y), (x, low, high)))
            .unzip();
        self.series.push(Series {
            name: name.into(),
            points,
            band,
        });
        self
    }

    /// Adds a thin horizontal line at `y`, such as a target.
    pub fn level(&mut self, name: impl Into<String>, y: f64) -> &mut Self {
        self.levels.push((name.into(), y));
        self
    }

    /// The chart in characters, `width` columns wide.
    #[must_use]
    pub fn to_terminal(&self, width: usize) -> String {
        let series: Vec<_> = self
            .series
            .iter()
            .map(|series| (series.name.as_str(), self.drawable(series).concat()))
            .collect();
        let (x, y) = self.axes();
        terminal::lines(
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
        let banded = self.series.iter().any(|series| !series.band.is_empty());
        let mut axes = vec![
            super::or(&self.x.title, "x").to_owned(),
            super::or(&self.y.title, "y").to_owned(),
        ];
        if banded {
            axes.extend(["lower".to_owned(), "upper".to_owned()]);
        }
        Figure {
            title: self.title.clone(),
            svg: self.to_svg(),
            caption: caption.into(),
            terminal: Some(self.to_terminal(terminal::WIDTH)),
            axes,
            series: self.series.iter().map(Series::numbers).collect(),
        }
    }

    /// The chart as an `<svg>` element.
    #[must_use]
    pub fn to_svg(&self) -> String {
        let (x, y) = self.axes();
        let names: Vec<_> = self.series.iter().map(|series| series.name.as_str()).collect();
        let mut frame = Frame::new(&names);
        frame.axes(x, y, &self.x.title, &self.y.title);
        frame.begin();
        for (index, series) in self
            .series
            .iter()
            .enumerate()
            .filter(|(_, series)| !series.band.is_empty())
        {
            frame.svg.begin_series(index);
            for run in self.drawable_band(series) {
                let outline: Vec<_> = run
                    .iter()
                    .map(|(at, _, high)| frame.place(*at, *high))
                    .chain(run.iter().rev().map(|(at, low, _)| frame.place(*at, *low)))
                    .collect();
                let style = format!("fill:{};fill-opacity:.16", palette::series(index));
                frame.svg.polygon(&outline, &style);
            }
            frame.svg.end_group();
        }
        for (_, level) in self.levels.iter().filter(|(_, level)| self.y.shows(*level)) {
            let (left, at) = frame.place(x.low(), *level);
            let (right, _) = frame.place(x.high(), *level);
            frame.svg.line(
                left,
                at,
                right,
                at,
                &format!("stroke:{};stroke-dasharray:3 3", palette::SOFT_INK),
            );
        }
        for (index, series) in self.series.iter().enumerate() {
            frame.svg.begin_series(index);
            let drawn = self.drawable(series);
            let count: usize = drawn.iter().map(Vec::len).sum();
            for run in drawn {
                let places: Vec<_> = run.iter().map(|(at, value)| frame.place(*at, *value)).collect();
                let color = palette::series(index);
                if places.len() > 1 {
                    let style = format!(
                        "stroke:{color};stroke-width:2;stroke-linejoin:round;stroke-linecap:round;{}",
                        palette::dash(index)
                    );
                    frame.svg.polyline(&places, &style);
                }
                // Marks carry the values to those who point at them; on long lines invisible ones do.
                let (radius, opacity) = if count <= 24 || places.len() == 1 {
                    (2.8, "1")
                } else {
                    (4.0, "0")
                };
                if count <= 400 || places.len() == 1 {
                    for ((px, py), (at, value)) in places.iter().zip(&run) {
                        let title = format!("{}: ({}, {})", series.name, super::value(*at), super::value(*value));
                        frame.svg.circle(
                            *px,
                            *py,
                            radius,
                            &format!("fill:{color};fill-opacity:{opacity}"),
                            &title,
                        );
                    }
                }
            }
            frame.svg.end_group();
        }
        frame.end();
        for (name, level) in self.levels.iter().filter(|(_, level)| self.y.shows(*level)) {
            frame.level_label(name, *level);
        }
        frame.legend(&names);
        let description = if self.description.is_empty() {
            self.describe()
        } else {
            self.description.clone()
        };
        let svg: Svg = frame.svg;
        svg.finish(&self.title, &description)
    }

    fn axes(&self) -> (Axis, Axis) {
        let points = || self.series.iter().flat_map(|series| &series.points);
        let x = self
            .x
            .fit(points().filter(|(_, y)| self.y.shows(*y)).map(|(x, _)| *x), false);
        let bands = self
            .series
            .iter()
            .flat_map(|series| &series.band)
            .flat_map(|(_, low, high)| [*low, *high]);
        let levels = self.levels.iter().map(|(_, level)| *level);
        let y = self.y.fit(points().map(|(_, y)| *y).chain(bands).chain(levels), true);
        (x, y)
    }

    fn drawable(&self, series: &Series) -> Vec<Vec<(f64, f64)>> {
        runs(&series.points, |(x, y)| self.x.shows(*x) && self.y.shows(*y))
    }

    fn drawable_band(&self, series: &Series) -> Vec<Vec<(f64, f64, f64)>> {
        runs(&series.band, |(x, low, high)| {
            self.x.shows(*x) && self.y.shows(*low) && self.y.shows(*high)
        })
    }

    fn describe(&self) -> String {
        let mut text = format!(
            "Line chart of {} over {}.",
            super::or(&self.y.title, "y"),
            super::or(&self.x.title, "x")
        );
        for series in &self.series {
            let points = self.drawable(series).concat();
            match (points.first(), points.last()) {
                (Some(first), Some(last)) => {
                    let (from, to) = (super::value(first.1), super::value(last.1));
                    text.push_str(&format!(" {}: from {from} to {to}.", series.name));
                }
                _ => text.push_str(&format!(" {}: no values.", series.name)),
            }
        }
        text
    }
}

/// The stretches of `items` that can be drawn.
fn runs<T: Copy>(items: &[T], drawable: impl Fn(&T) -> bool) -> Vec<Vec<T>> {
    items
        .split(|item| !drawable(item))
        .filter(|run| !run.is_empty())
        .map(<[T]>::to_vec)
        .collect()
}
