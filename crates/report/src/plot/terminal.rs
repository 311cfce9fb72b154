//! Charts in characters: curves in braille dots, bars in eighths of a block, small pictures in shades.

use super::axis::{Axis, AxisOptions};
use crate::wrap;

/// The width of the charts that figures carry.
pub const WIDTH: usize = 72;
/// The height of a chart's area, in lines.
pub const HEIGHT: usize = 12;

const MARKS: [&str; 8] = ["●", "▲", "■", "◆", "○", "△", "□", "◇"];

/// Lines through the points of `series`, as braille dots in an area of `height` lines, `width` columns in all.
///
/// Each series' last point carries the mark that the legend explains.
///
/// ```
/// use report::plot::terminal::line_chart;
///
/// let falling: Vec<_> = (0..50).map(|x| (f64::from(x), (-0.1 * f64::from(x)).exp())).collect();
/// let chart = line_chart("Loss", &[("sgd", falling)], 40, 6);
/// assert!(chart.lines().all(|line| line.chars().count() <= 40));
/// ```
#[must_use]
pub fn line_chart(title: &str, series: &[(&str, Vec<(f64, f64)>)], width: usize, height: usize) -> String {
    let options = AxisOptions::default();
    let points = || series.iter().flat_map(|(_, points)| points);
    let x = options.fit(points().map(|(x, _)| *x), false);
    let y = options.fit(points().map(|(_, y)| *y), true);
    lines(title, series, x, y, "", "", width, height)
}

/// A bar and its value for each `(label, value)`, `width` columns in all; negative values grow to the left of zero.
///
/// ```
/// let chart = report::plot::terminal::bar_chart("Accuracy", &[("sgd", 0.91), ("adam", 0.96)], 40);
/// assert!(chart.contains("adam") && chart.contains("0.96"));
/// ```
#[must_use]
pub fn bar_chart(title: &str, values: &[(&str, f64)], width: usize) -> String {
    let rows: Vec<_> = values
        .iter()
        .map(|(label, value)| ((*label).to_owned(), *value, super::value(*value)))
        .collect();
    bars(title, &rows, None, width)
}

/// The values as one line of eight heights; what is not finite is a space.
///
/// ```
/// assert_eq!(report::plot::terminal::sparkline(&[0.0, 0.5, 1.0]), "▁▅█");
/// ```
#[must_use]
pub fn sparkline(values: &[f64]) -> String {
    let finite = || values.iter().copied().filter(|value| value.is_finite());
    let (low, high) = (
        finite().fold(f64::INFINITY, f64::min),
        finite().fold(f64::NEG_INFINITY, f64::max),
    );
    values
        .iter()
        .map(|value| match (value - low) / (high - low) {
            _ if !value.is_finite() => ' ',
            place if place.is_finite() => ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'][(place * 7.0).round() as usize % 8],
            _ => '▄',
        })
        .collect()
}

#[derive(Debug)]
struct Canvas {
    columns: usize,
    lines: usize,
    dots: Vec<u8>,
    marks: Vec<Option<&'static str>>,
}

impl Canvas {
    fn new(columns: usize, lines: usize) -> Self {
        Self {
            columns,
            lines,
            dots: vec![0; columns * lines],
            marks: vec![None; columns * lines],
        }
    }

    /// The dot that a position (0..1 on both axes) falls on.
    fn dot(&self, x: f64, y: f64) -> (i64, i64) {
        let across = (x * (self.columns * 2 - 1) as f64).round() as i64;
        let down = ((1.0 - y) * (self.lines * 4 - 1) as f64).round() as i64;
        (across, down)
    }

    fn cell(&self, (across, down): (i64, i64)) -> Option<usize> {
        let (across, down) = (usize::try_from(across).ok()?, usize::try_from(down).ok()?);
        (across < self.columns * 2 && down < self.lines * 4).then(|| down / 4 * self.columns + across / 2)
    }

    fn set(&mut self, at: (i64, i64)) {
        const BITS: [[u8; 2]; 4] = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]];
        if let Some(cell) = self.cell(at) {
            self.dots[cell] |= BITS[at.1 as usize % 4][at.0 as usize % 2];
        }
    }

    fn mark(&mut self, at: (i64, i64), mark: &'static str) {
        if let Some(cell) = self.cell(at) {
            self.marks[cell] = Some(mark);
        }
    }

    fn stroke(&mut self, from: (i64, i64), to: (i64, i64)) {
        let steps = (to.0 - from.0).abs().max((to.1 - from.1).abs()).max(1);
        for step in 0..=steps {
            let at = |a: i64, b: i64| a + ((b - a) as f64 * step as f64 / steps as f64).round() as i64;
            self.set((at(from.0, to.0), at(from.1, to.1)));
        }
    }

    fn row(&self, line: usize) -> String {
        let cells = line * self.columns..(line + 1) * self.columns;
        let text: String = self.dots[cells.clone()]
            .iter()
            .zip(&self.marks[cells])
            .map(|(dots, mark)| match mark {
                Some(mark) => (*mark).to_owned(),
                None if *dots == 0 => " ".to_owned(),
                None => char::from_u32(0x2800 + u32::from(*dots)).unwrap_or(' ').to_string(),
            })
            .collect();
        text.trim_end().to_owned()
    }
}

#[allow(clippy::too_many_arguments)]
pub(super) fn lines(
    title: &str,
    series: &[(&str, Vec<(f64, f64)>)],
    x: Axis,
    y: Axis,
    x_title: &str,
    y_title: &str,
    width: usize,
    height: usize,
) -> String {
    draw(
        title,
        series,
        x,
        y,
        x_title,
        y_title,
        width,
        height,
        |canvas, index, points| {
            let places: Vec<_> = points.iter().map(|(px, py)| canvas.dot(*px, *py)).collect();
            for pair in places.windows(2) {
                canvas.stroke(pair[0], pair[1]);
            }
            if let Some(last) = places.last() {
                canvas.set(*last);
                canvas.mark(*last, MARKS[index % MARKS.len()]);
            }
        },
    )
}

#[allow(clippy::too_many_arguments)]
pub(super) fn points(
    title: &str,
    series: &[(&str, Vec<(f64, f64)>)],
    x: Axis,
    y: Axis,
    x_title: &str,
    y_title: &str,
    width: usize,
    height: usize,
) -> String {
    draw(
        title,
        series,
        x,
        y,
        x_title,
        y_title,
        width,
        height,
        |canvas, index, points| {
            for (px, py) in points {
                let at = canvas.dot(*px, *py);
                canvas.mark(at, MARKS[index % MARKS.len()]);
            }
        },
    )
}

#[allow(clippy::too_many_arguments)]
fn draw(
    title: &str,
    series: &[(&str, Vec<(f64, f64)>)],
    x: Axis,
    y: Axis,
    x_title: &str,
    y_title: &str,
    width: usize,
    height: usize,
    stroke: impl Fn(&mut Canvas, usize, &[(f64, f64)]),
) -> String {
    let (height, width) = (height.clamp(2, 200), width.clamp(12, 1000));
    let ticks = y.ticks(4);
    let label = ticks
        .iter()
        .map(|(_, label)| wrap::width(label))
        .max()
        .unwrap_or(0)
        .min(width / 3);
    let columns = width.saturating_sub(label + 2).max(4);
    let mut canvas = Canvas::new(columns, height);
    for (index, (_, points)) in series.iter().enumerate() {
        let places: Vec<_> = points
            .iter()
            .filter(|(at, value)| at.is_finite() && value.is_finite())
            .map(|(at, value)| (x.position(*at), y.position(*value)))
            .collect();
        stroke(&mut canvas, index, &places);
    }
    let mut out: Vec<String> = Vec::new();
    if !title.is_empty() {
        out.extend(wrap::wrap(title, width));
    }
    if !y_title.is_empty() {
        out.push(wrap::cut(y_title, width));
    }
    let mut at_line = vec![""; height];
    for (value, text) in &ticks {
        let line = ((1.0 - y.position(*value)) * (height - 1) as f64)
            .round()
            .clamp(0.0, (height - 1) as f64);
        at_line[line as usize] = text;
    }
    for (line, text) in at_line.iter().enumerate() {
        let text = wrap::cut(text, label);
        let gap = " ".repeat(label.saturating_sub(wrap::width(&text)));
        let edge = if text.is_empty() { '│' } else { '┤' };
        out.push(format!("{gap}{text} {edge}{}", canvas.row(line)));
    }
    out.push(format!("{} └{}", " ".repeat(label), "─".repeat(columns)));
    out.push(x_labels(x, label + 2, columns));
    if !x_title.is_empty() {
        let title = wrap::cut(x_title, columns);
        let gap = label + 2 + (columns.saturating_sub(wrap::width(&title))) / 2;
        out.push(format!("{}{title}", " ".repeat(gap)));
    }
    if series.len() > 1 || series.iter().any(|(name, _)| !name.is_empty() && *name != title) {
        let names: Vec<_> = series
            .iter()
            .enumerate()
            .map(|(index, (name, _))| format!("{}\u{a0}{}", MARKS[index % MARKS.len()], name.replace(' ', "\u{a0}")))
            .collect();
        let indent = " ".repeat(label + 2);
        out.extend(
            wrap::wrap(&names.join("   "), columns)
                .iter()
                .map(|line| format!("{indent}{}", line.replace('\u{a0}', " "))),
        );
    }
    out.join("\n")
}

/// The line of tick labels below an axis, those that find room.
fn x_labels(x: Axis, indent: usize, columns: usize) -> String {
    let mut line = String::new();
    for (value, label) in x.ticks(columns / 9) {
        let wish = indent + (x.position(value) * (columns - 1) as f64).round().max(0.0) as usize;
        let start = wish
            .saturating_sub(wrap::width(&label) / 2)
            .min((indent + columns).saturating_sub(wrap::width(&label)));
        let end = wrap::width(&line);
        if start > end || (end == 0 && start == 0) {
            line.push_str(&" ".repeat(start - end));
            line.push_str(&label);
        }
    }
    line
}

/// Bars for `(label, value, value as text)`.
pub(super) fn bars(title: &str, rows: &[(String, f64, String)], range: Option<(f64, f64)>, width: usize) -> String {
    let width = width.clamp(12, 1000);
    let options = AxisOptions {
        range,
        ..AxisOptions::default()
    };
    let axis = options.fit(rows.iter().map(|(_, value, _)| *value).chain([0.0]), false);
    let label = rows
        .iter()
        .map(|(label, _, _)| wrap::width(label))
        .max()
        .unwrap_or(0)
        .min(width / 3);
    let text = rows
        .iter()
        .map(|(_, _, text)| wrap::width(text))
        .max()
        .unwrap_or(0)
        .min(width / 3);
    let columns = width.saturating_sub(label + text + 3).max(1);
    let mut out: Vec<String> = Vec::new();
    if !title.is_empty() {
        out.extend(wrap::wrap(title, width));
    }
    for (name, value, shown) in rows {
        let name = wrap::pad(&wrap::cut(name, label), label);
        let bar = if value.is_finite() {
            bar(axis, *value, columns)
        } else {
            String::new()
        };
        out.push(
            format!("{name} {} {}", wrap::pad(&bar, columns), wrap::cut(shown, text))
                .trim_end()
                .to_owned(),
        );
    }
    out.join("\n")
}

fn bar(axis: Axis, value: f64, columns: usize) -> String {
    let eighths = |value: f64| (axis.position(value).clamp(0.0, 1.0) * (columns * 8) as f64).round() as usize;
    let (zero, end) = (eighths(0.0), eighths(value));
    if end < zero {
        // Left of zero there are no eighths to be had: whole cells.
        let (from, to) = (end / 8, zero.div_ceil(8).max(end / 8 + 1));
        return format!(
            "{}{}",
            " ".repeat(from),
            "█".repeat((to - from).min(columns - from.min(columns)))
        );
    }
    let mut text = " ".repeat(zero / 8);
    let length = end - zero / 8 * 8;
    text.push_str(&"█".repeat(length / 8));
    if !length.is_multiple_of(8) {
        text.push(['▏', '▎', '▍', '▌', '▋', '▊', '▉'][length % 8 - 1]);
    } else if length == 0 && value != 0.0 {
        text.push('▏');
    }
    text
}

/// A fraction as a shade.
pub(super) fn shade(fraction: f64) -> &'static str {
    const SHADES: [&str; 5] = [" ", "░", "▒", "▓", "█"];
    SHADES[((fraction.clamp(0.0, 1.0) * 5.0) as usize).min(4)]
}

/// A grey picture, one column a pixel and one line two rows of pixels.
pub(super) fn picture(grey: &[u8], width: usize) -> Vec<String> {
    let rows: Vec<_> = grey.chunks(width.max(1)).collect();
    rows.chunks(2)
        .map(|pair| {
            (0..width)
                .map(|column| {
                    let sum: f64 = pair
                        .iter()
                        .filter_map(|row| row.get(column))
                        .map(|value| f64::from(*value))
                        .sum();
                    shade(sum / pair.len() as f64 / 255.0)
                })
                .collect()
        })
        .collect()
}

/// Panels of lines side by side, as many as fit into `width`, the others below.
pub(super) fn beside(panels: &[Vec<String>], width: usize) -> String {
    const GAP: usize = 2;
    let wide = |panel: &[String]| panel.iter().map(|line| wrap::width(line)).max().unwrap_or(0);
    let mut out: Vec<String> = Vec::new();
    let mut row: Vec<&[String]> = Vec::new();
    let mut taken = 0;
    let flush = |row: &mut Vec<&[String]>, out: &mut Vec<String>| {
        if !out.is_empty() && !row.is_empty() {
            out.push(String::new());
        }
        for index in 0..row.iter().map(|panel| panel.len()).max().unwrap_or(0) {
            let cells = row
                .iter()
                .map(|panel| wrap::pad(panel.get(index).map_or("", String::as_str), wide(panel) + GAP));
            out.push(wrap::cut(cells.collect::<String>().trim_end(), width));
        }
        row.clear();
    };
    for panel in panels {
        if taken > 0 && taken + wide(panel) > width {
            flush(&mut row, &mut out);
            taken = 0;
        }
        row.push(panel);
        taken += wide(panel) + GAP;
    }
    flush(&mut row, &mut out);
    out.join("\n")
}
