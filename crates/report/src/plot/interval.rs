//! Values with their uncertainty: a dot and a line for each.

use super::axis::AxisOptions;
use super::palette;
use super::svg::{Anchor, SMALL, Svg, TEXT, shorten, text_width};
use crate::Figure;

const WIDTH: f64 = 660.0;
const ROW: f64 = 24.0;
const TOP: f64 = 10.0;

#[derive(Debug, Clone)]
struct Row {
    name: String,
    value: f64,
    low: f64,
    high: f64,
}

/// One row a name: the value as a dot, its interval as a line. The axis need not begin at zero, as bars would have to.
///
/// ```
/// use report::plot::IntervalChart;
///
/// let mut chart = IntervalChart::new("Mean rank");
/// chart.value_axis("rank").decimals(1);
/// chart.row("adam", 1.4, 1.0, 2.2).row("sgd", 2.6, 1.8, 3.0);
/// assert!(chart.to_svg().contains("adam"));
/// assert!(chart.figure("Lower is better.").terminal.unwrap().contains("├"));
/// ```
#[derive(Debug, Clone)]
pub struct IntervalChart {
    title: String,
    description: String,
    axis: AxisOptions,
    decimals: usize,
    rows: Vec<Row>,
}

impl IntervalChart {
    /// An empty chart.
    #[must_use]
    pub fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            description: String::new(),
            axis: AxisOptions::default(),
            decimals: 2,
            rows: Vec::new(),
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

    /// Shows this range; by default all intervals are shown.
    pub fn range(&mut self, low: f64, high: f64) -> &mut Self {
        self.axis.range = Some((low, high));
        self
    }

    /// Writes values with this many decimals (2 by default).
    pub fn decimals(&mut self, decimals: usize) -> &mut Self {
        self.decimals = decimals;
        self
    }

    /// Adds a value between the ends of its interval.
    pub fn row(&mut self, name: impl Into<String>, value: f64, low: f64, high: f64) -> &mut Self {
        self.rows.push(Row {
            name: name.into(),
            value,
            low,
            high,
        });
        self
    }

    /// The chart in characters, `width` columns wide.
    #[must_use]
    pub fn to_terminal(&self, width: usize) -> String {
        let axis = self.axis.fit(self.extent(), true);
        let names = self.rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(0);
        let labels = self
            .rows
            .iter()
            .map(|row| self.label(row).chars().count())
            .max()
            .unwrap_or(0);
        let room = width.saturating_sub(names + labels + 4).max(8);
        let column = |value: f64| (axis.position(value).clamp(0.0, 1.0) * (room - 1) as f64).round() as usize;
        let mut text = self.title.clone();
        for row in &self.rows {
            let mut cells = vec![' '; room];
            if row.is_finite() {
                let (low, high) = (column(row.low), column(row.high));
                cells[low..=high].fill('─');
                (cells[low], cells[high]) = ('├', '┤');
                cells[column(row.value)] = '●';
            }
            let cells: String = cells.into_iter().collect();
            text.push_str(&format!("\n{:names$}  {cells}  {}", row.name, self.label(row)));
        }
        let lines = text.lines().map(|line| line.chars().take(width).collect::<String>());
        lines
            .map(|line| line.trim_end().to_owned())
            .collect::<Vec<_>>()
            .join("\n")
    }

    /// The chart as a figure, with its terminal form.
    #[must_use]
    pub fn figure(&self, caption: impl Into<String>) -> Figure {
        let points = self.rows.iter().map(|row| [row.value, row.low, row.high]);
        Figure {
            title: self.title.clone(),
            svg: self.to_svg(),
            caption: caption.into(),
            terminal: Some(self.to_terminal(super::terminal::WIDTH)),
            axes: super::interval_axes(&self.axis.title),
            series: vec![crate::Series::new("", points).labelled(self.rows.iter().map(|row| &row.name))],
        }
    }

    /// The chart as an `<svg>` element.
    #[must_use]
    pub fn to_svg(&self) -> String {
        let area = self.rows.len().max(1) as f64 * ROW + 8.0;
        let mut svg = Svg::new(WIDTH, TOP + area + 52.0);
        let widest = |texts: Vec<f64>| texts.into_iter().fold(0.0, f64::max);
        let left =
            (widest(self.rows.iter().map(|row| text_width(&row.name, TEXT)).collect()) + 16.0).clamp(30.0, 220.0);
        let room = widest(
            self.rows
                .iter()
                .map(|row| text_width(&self.label(row), SMALL))
                .collect(),
        ) + 18.0;
        let width = (WIDTH - left - room.min(220.0)).max(120.0);
        let axis = self.axis.fit(self.extent(), true);
        let place = |value: f64| left + axis.position(value).clamp(0.0, 1.0) * width;
        let soft = format!("fill:{}", palette::SOFT_INK);
        for (value, label) in axis.ticks(6) {
            let at = place(value);
            svg.line(at, TOP, at, TOP + area, &format!("stroke:{}", palette::GRID));
            svg.text(at, TOP + area + 18.0, SMALL, Anchor::Middle, &soft, &label);
        }
        for (index, row) in self.rows.iter().enumerate() {
            let y = TOP + 4.0 + (index as f64 + 0.5) * ROW;
            let name = shorten(&row.name, TEXT, left - 14.0);
            svg.text(left - 10.0, y + 4.5, TEXT, Anchor::End, "", &name);
            let label = self.label(row);
            if row.is_finite() {
                let color = palette::series(0);
                let (low, high) = (place(row.low), place(row.high));
                let style = format!("stroke:{color};stroke-width:5;stroke-opacity:.35;stroke-linecap:round");
                svg.line(low, y, high, y, &style);
                let title = format!("{}: {label}", row.name);
                svg.circle(place(row.value), y, 5.0, &format!("fill:{color}"), &title);
            }
            svg.text(left + width + 10.0, y + 4.0, SMALL, Anchor::Start, &soft, &label);
        }
        let title = shorten(&self.axis.title, TEXT, width);
        svg.text(left + width / 2.0, TOP + area + 41.0, TEXT, Anchor::Middle, "", &title);
        let description = if self.description.is_empty() {
            let rows: Vec<_> = self
                .rows
                .iter()
                .map(|row| format!("{}: {}", row.name, self.label(row)))
                .collect();
            format!(
                "Values with intervals of {}. {}.",
                super::or(&self.axis.title, "values"),
                rows.join("; ")
            )
        } else {
            self.description.clone()
        };
        svg.finish(&self.title, &description)
    }

    fn extent(&self) -> impl Iterator<Item = f64> + '_ {
        self.rows.iter().flat_map(|row| [row.low, row.value, row.high])
    }

    fn label(&self, row: &Row) -> String {
        let write = |value: f64| crate::format::number(value, self.decimals);
        format!("{} ({} to {})", write(row.value), write(row.low), write(row.high))
    }
}

impl Row {
    /// Whether there is something to draw; ends in the wrong order are a mistake that must not end the program.
    fn is_finite(&self) -> bool {
        [self.value, self.low, self.high].iter().all(|value| value.is_finite()) && self.low <= self.high
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_cannot_be_drawn_are_named() {
        let mut chart = IntervalChart::new("Ranks <1>");
        chart.value_axis("rank").decimals(1);
        chart
            .row("adam", 1.5, 1.0, 2.0)
            .row("lost", f64::NAN, 0.0, 1.0)
            .row("turned", 1.0, 2.0, 0.5);
        let svg = chart.to_svg();
        let document = roxmltree::Document::parse(&svg).unwrap();
        let count = |tag: &str| document.descendants().filter(|node| node.has_tag_name(tag)).count();
        assert_eq!(count("circle"), 1);
        assert!(svg.contains("1.5 (1.0 to 2.0)") && svg.contains("lost") && !svg.contains("NaN"));
        let text = chart.to_terminal(60);
        assert!(text.contains('●') && text.contains("turned"), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 60), "{text}");
    }

    #[test]
    fn an_empty_chart_and_a_narrow_terminal_do_no_harm() {
        let mut chart = IntervalChart::new("Empty");
        assert!(roxmltree::Document::parse(&chart.to_svg()).is_ok());
        assert_eq!(chart.to_terminal(10), "Empty");
        chart.row("a", 1.0, 1.0, 1.0);
        assert!(chart.to_terminal(1).lines().all(|line| line.chars().count() <= 1));
        assert!(roxmltree::Document::parse(&chart.to_svg()).is_ok());
    }
}
