//! Bars: one value a category, grouped by series, with error bars.

use super::axis::AxisOptions;
use super::svg::{Anchor, SMALL, Svg, TEXT, shorten, text_width};
use super::{palette, terminal};
use crate::Figure;

const WIDTH: f64 = 660.0;
const BAR: f64 = 17.0;
const GROUP_GAP: f64 = 11.0;

#[derive(Debug, Clone, Copy)]
pub(super) struct Bar {
    pub(super) value: f64,
    pub(super) bounds: Option<(f64, f64)>,
}

/// Horizontal bars (so that names of any length can be read), grouped by category, with optional error bars.
///
/// Values that are not finite are named, not drawn.
///
/// ```
/// use report::plot::BarChart;
///
/// let mut chart = BarChart::new("Test accuracy");
/// chart.value_axis("accuracy").categories(["sgd", "adam"]);
/// chart.series_with_errors("5 seeds", [(0.91, 0.89, 0.93), (0.96, 0.95, 0.97)]);
/// assert!(chart.to_svg().contains("adam"));
/// ```
#[derive(Debug, Clone)]
pub struct BarChart {
    title: String,
    description: String,
    axis: AxisOptions,
    categories: Vec<String>,
    series: Vec<(String, Vec<Bar>)>,
    decimals: Option<usize>,
    percent: bool,
}

impl BarChart {
    /// An empty chart.
    #[must_use]
    pub fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            description: String::new(),
            axis: AxisOptions::default(),
            categories: Vec::new(),
            series: Vec::new(),
            decimals: None,
            percent: false,
        }
    }

    /// A sentence for those who do not see the picture; by default one is made from the values.
    pub fn description(&mut self, text: impl Into<String>) -> &mut Self {
        self.description = text.into();
        self
    }

    /// Titles the axis of the values.
    pub fn value_axis(&mut self, title: impl Into<String>) -> &mut Self {
        self.axis.title = title.into();
        self
    }

    /// Shows this range; by default the axis starts at zero, and bars that start elsewhere exaggerate differences.
    pub fn range(&mut self, low: f64, high: f64) -> &mut Self {
        self.axis.range = Some((low, high));
        self
    }

    /// Writes values with this many decimals.
    pub fn decimals(&mut self, decimals: usize) -> &mut Self {
        self.decimals = Some(decimals);
        self
    }

    /// Writes values (fractions of 1) as percentages.
    pub fn percent(&mut self) -> &mut Self {
        self.percent = true;
        self
    }

    /// Names the categories, top to bottom.
    pub fn categories<S: ToString>(&mut self, names: impl IntoIterator<Item = S>) -> &mut Self {
        self.categories = names.into_iter().map(|name| name.to_string()).collect();
        self
    }

    /// Adds one value a category.
    pub fn series(&mut self, name: impl Into<String>, values: impl IntoIterator<Item = f64>) -> &mut Self {
        let bars = values.into_iter().map(|value| Bar { value, bounds: None }).collect();
        self.series.push((name.into(), bars));
        self
    }

    /// Adds one `(value, lower, upper)` a category.
    pub fn series_with_errors(
        &mut self,
        name: impl Into<String>,
        values: impl IntoIterator<Item = (f64, f64, f64)>,
    ) -> &mut Self {
        let bars = values
            .into_iter()
            .map(|(value, low, high)| Bar {
                value,
                bounds: Some((low, high)),
            })
            .collect();
        self.series.push((name.into(), bars));
        self
    }

    /// The chart in characters, `width` columns wide.
    #[must_use]
    pub fn to_terminal(&self, width: usize) -> String {
        let rows: Vec<_> = self
            .rows()
            .map(|(label, _, bar)| (label, bar.value, self.label(bar)))
            .collect();
        terminal::bars(&self.title, &rows, self.axis.range, width)
    }

    /// The chart as a figure, with its terminal form.
    #[must_use]
    pub fn figure(&self, caption: impl Into<String>) -> Figure {
        let numbers = |(name, bars): &(String, Vec<Bar>)| {
            let point = |bar: &Bar| match bar.bounds {
                Some((low, high)) => vec![bar.value, low, high],
                None => vec![bar.value],
            };
            crate::Series::new(name, bars.iter().map(point)).labelled(&self.categories)
        };
        Figure {
            title: self.title.clone(),
            svg: self.to_svg(),
            caption: caption.into(),
            terminal: Some(self.to_terminal(terminal::WIDTH)),
            axes: super::interval_axes(&self.axis.title),
            series: self.series.iter().map(numbers).collect(),
        }
    }

    /// The chart as an `<svg>` element.
    #[must_use]
    pub fn to_svg(&self) -> String {
        let names: Vec<_> = self.series.iter().map(|(name, _)| name.as_str()).collect();
        let groups = self.groups();
        let bars = self.series.len().max(1) as f64;
        let top = if names.len() > 1 { 34.0 } else { 10.0 };
        let area = groups as f64 * (bars * BAR + GROUP_GAP) + GROUP_GAP;
        let mut svg = Svg::new(WIDTH, top + area + 52.0);
        let widest = (0..groups)
            .map(|group| text_width(self.category(group), TEXT))
            .fold(0.0, f64::max);
        let left = (widest + 14.0).clamp(30.0, 220.0);
        let room = self
            .rows()
            .map(|(_, _, bar)| text_width(&self.label(bar), SMALL))
            .fold(0.0, f64::max)
            + 16.0;
        let width = (WIDTH - left - room.min(180.0)).max(120.0);
        let axis = self.axis.fit(self.extent().chain([0.0]), true);
        let place = |value: f64| left + axis.position(value).clamp(0.0, 1.0) * width;
        for (value, label) in axis.ticks(5) {
            let at = place(value);
            svg.line(at, top, at, top + area, &format!("stroke:{}", palette::GRID));
            let label = if self.percent {
                crate::format::percent(value, 0)
            } else {
                label
            };
            let style = format!("fill:{}", palette::SOFT_INK);
            svg.text(at, top + area + 18.0, SMALL, Anchor::Middle, &style, &label);
        }
        let zero = place(0.0);
        for group in 0..groups {
            let y = top + GROUP_GAP + group as f64 * (bars * BAR + GROUP_GAP);
            let name = shorten(self.category(group), TEXT, left - 12.0);
            svg.text(left - 9.0, y + bars * BAR / 2.0 + 4.5, TEXT, Anchor::End, "", &name);
            for (index, (series, values)) in self.series.iter().enumerate() {
                let Some(bar) = values.get(group) else { continue };
                let y = y + index as f64 * BAR;
                svg.begin_series(index);
                let label = self.label(*bar);
                let mut end = zero;
                if bar.value.is_finite() {
                    let at = place(bar.value);
                    let color = palette::series(index);
                    let title = format!("{}, {series}: {label}", self.category(group));
                    svg.rect_with_title(
                        at.min(zero),
                        y + 1.0,
                        (at - zero).abs(),
                        BAR - 3.0,
                        &format!("fill:{color};fill-opacity:.88"),
                        &title,
                    );
                    end = at.max(zero);
                    if let Some((low, high)) = bar.bounds.filter(|(low, high)| low.is_finite() && high.is_finite()) {
                        let (low, high, middle) = (place(low), place(high), y + BAR / 2.0 - 0.5);
                        let style = format!("stroke:{};stroke-width:1.5", palette::INK);
                        svg.line(low, middle, high, middle, &style);
                        svg.line(low, middle - 4.0, low, middle + 4.0, &style);
                        svg.line(high, middle - 4.0, high, middle + 4.0, &style);
                        end = end.max(high);
                    }
                }
                let style = format!("fill:{}", palette::SOFT_INK);
                svg.text(end + 7.0, y + BAR / 2.0 + 3.8, SMALL, Anchor::Start, &style, &label);
                svg.end_group();
            }
        }
        svg.line(zero, top, zero, top + area, &format!("stroke:{}", palette::AXIS));
        let title = shorten(&self.axis.title, TEXT, width);
        svg.text(left + width / 2.0, top + area + 41.0, TEXT, Anchor::Middle, "", &title);
        if names.len() > 1 {
            self.legend(&mut svg, &names);
        }
        let description = if self.description.is_empty() {
            self.describe()
        } else {
            self.description.clone()
        };
        svg.finish(&self.title, &description)
    }

    fn legend(&self, svg: &mut Svg, names: &[&str]) {
        let room = (WIDTH - 10.0) / names.len() as f64;
        let mut x = 6.0;
        for (index, name) in names.iter().enumerate() {
            let name = shorten(name, TEXT, room - 30.0);
            svg.begin_legend(index, x - 4.0, 1.0, text_width(&name, TEXT) + 30.0, 24.0);
            svg.rect(x, 6.0, 14.0, 12.0, &format!("fill:{}", palette::series(index)));
            svg.text(x + 20.0, 16.5, TEXT, Anchor::Start, "", &name);
            svg.end_group();
            x += (text_width(&name, TEXT) + 42.0).min(room);
        }
    }

    fn groups(&self) -> usize {
        self.series
            .iter()
            .map(|(_, bars)| bars.len())
            .chain([self.categories.len()])
            .max()
            .unwrap_or(0)
    }

    fn category(&self, group: usize) -> &str {
        self.categories.get(group).map_or("", String::as_str)
    }

    fn rows(&self) -> impl Iterator<Item = (String, usize, Bar)> + '_ {
        (0..self.groups()).flat_map(move |group| {
            self.series.iter().enumerate().filter_map(move |(index, (name, bars))| {
                let label = match (self.series.len(), self.category(group)) {
                    (1, category) => category.to_owned(),
                    (_, "") => name.clone(),
                    (_, category) => format!("{category}, {name}"),
                };
                bars.get(group).map(|bar| (label, index, *bar))
            })
        })
    }

    fn extent(&self) -> impl Iterator<Item = f64> + '_ {
        self.rows().flat_map(|(_, _, bar)| {
            let (low, high) = bar.bounds.unwrap_or((bar.value, bar.value));
            [bar.value, low, high]
        })
    }

    fn label(&self, bar: Bar) -> String {
        let half = bar
            .bounds
            .map(|(low, high)| (high - low) / 2.0)
            .filter(|half| half.is_finite() && bar.value.is_finite());
        if self.percent {
            let decimals = self.decimals.unwrap_or(1);
            return match half {
                Some(half) => crate::format::percent_plus_minus(bar.value, half, decimals),
                None => crate::format::percent(bar.value, decimals),
            };
        }
        let write = |value: f64| match self.decimals {
            Some(decimals) => crate::format::number(value, decimals),
            None => super::value(value),
        };
        match half {
            Some(half) => format!("{} ± {}", write(bar.value), write(half)),
            None => write(bar.value),
        }
    }

    fn describe(&self) -> String {
        let values: Vec<_> = self
            .rows()
            .map(|(label, _, bar)| format!("{label}: {}", self.label(bar)))
            .collect();
        format!(
            "Bar chart of {}. {}.",
            super::or(&self.axis.title, "values"),
            values.join("; ")
        )
    }
}
