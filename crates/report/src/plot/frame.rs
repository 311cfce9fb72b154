//! The frame of charts with two axes: plot area, grid, ticks, axis titles, legend.

use super::axis::Axis;
use super::palette;
use super::svg::{Anchor, SMALL, Svg, TEXT, shorten, text_width};

const WIDTH: f64 = 660.0;
const AREA_HEIGHT: f64 = 270.0;
const TOP: f64 = 12.0;
const RIGHT: f64 = 18.0;
const LEGEND_LINE: f64 = 23.0;
const SWATCH: f64 = 22.0;

/// A chart under construction; coordinates of values come from [`Frame::place`].
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) svg: Svg,
    left: f64,
    top: f64,
    axes: Option<(Axis, Axis)>,
}

impl Frame {
    /// A frame that has room for a legend of these names above the plot area.
    pub(super) fn new(names: &[&str]) -> Self {
        let top = TOP + legend_lines(names) as f64 * LEGEND_LINE;
        Self {
            svg: Svg::new(WIDTH, top + AREA_HEIGHT + 52.0),
            left: 60.0,
            top,
            axes: None,
        }
    }

    fn width(&self) -> f64 {
        WIDTH - self.left - RIGHT
    }

    /// Draws grid, ticks and titles.
    pub(super) fn axes(&mut self, x: Axis, y: Axis, x_title: &str, y_title: &str) {
        let y_ticks = y.ticks(5);
        let widest = y_ticks
            .iter()
            .map(|(_, label)| text_width(label, SMALL))
            .fold(0.0, f64::max);
        self.left = (widest + if y_title.is_empty() { 18.0 } else { 40.0 }).clamp(40.0, 160.0);
        self.axes = Some((x, y));
        let bottom = self.top + AREA_HEIGHT;
        let right = self.left + self.width();
        for (value, label) in &y_ticks {
            let (_, at) = self.place(x.low(), *value);
            self.svg
                .line(self.left, at, right, at, &format!("stroke:{}", palette::GRID));
            let style = format!("fill:{}", palette::SOFT_INK);
            self.svg
                .text(self.left - 8.0, at + 4.0, SMALL, Anchor::End, &style, label);
        }
        for (value, label) in x.ticks(7) {
            let (at, _) = self.place(value, y.low());
            self.svg
                .line(at, bottom, at, bottom + 5.0, &format!("stroke:{}", palette::AXIS));
            let style = format!("fill:{}", palette::SOFT_INK);
            self.svg.text(at, bottom + 19.0, SMALL, Anchor::Middle, &style, &label);
        }
        self.svg
            .line(self.left, bottom, right, bottom, &format!("stroke:{}", palette::AXIS));
        let middle = self.left + self.width() / 2.0;
        self.svg.text(
            middle,
            bottom + 42.0,
            TEXT,
            Anchor::Middle,
            "",
            &shorten(x_title, TEXT, self.width()),
        );
        if !y_title.is_empty() {
            let title = shorten(y_title, TEXT, AREA_HEIGHT);
            self.svg
                .vertical_text(15.0, self.top + AREA_HEIGHT / 2.0, TEXT, "", &title);
        }
    }

    /// Where the point (x, y) lies on the paper.
    pub(super) fn place(&self, x: f64, y: f64) -> (f64, f64) {
        let (px, py) = self
            .axes
            .map_or((0.0, 0.0), |(x_axis, y_axis)| (x_axis.position(x), y_axis.position(y)));
        (self.left + px * self.width(), self.top + (1.0 - py) * AREA_HEIGHT)
    }

    /// Starts the plot area: what is drawn until [`Frame::end`] is cut at its edges (with room for a mark on the edge).
    pub(super) fn begin(&mut self) {
        let (left, top, width) = (self.left, self.top, self.width());
        self.svg
            .begin_clip(left - 4.0, top - 4.0, width + 8.0, AREA_HEIGHT + 8.0);
    }

    pub(super) fn end(&mut self) {
        self.svg.end_clip();
    }

    /// Names a horizontal line at its right end.
    pub(super) fn level_label(&mut self, name: &str, level: f64) {
        let Some((x, y)) = self.axes else { return };
        if !(0.0..=1.0).contains(&y.position(level)) {
            return;
        }
        let (at, height) = self.place(x.high(), level);
        let name = shorten(name, SMALL, self.width() * 0.6);
        // A halo in the paper's colour keeps the name readable on top of lines.
        let halo = format!(
            "stroke:{};stroke-width:4;paint-order:stroke;stroke-linejoin:round",
            palette::PAPER
        );
        let style = format!("fill:{};{halo}", palette::SOFT_INK);
        self.svg.text(at - 4.0, height - 5.0, SMALL, Anchor::End, &style, &name);
    }

    /// Draws the legend above the plot area.
    pub(super) fn legend(&mut self, names: &[&str]) {
        let left = self.left;
        legend(&mut self.svg, left, names);
    }
}

fn legend_entries(names: &[&str]) -> Vec<(usize, f64, f64, String)> {
    let (mut x, mut line) = (0.0, 0);
    let room = WIDTH - 60.0 - RIGHT;
    let mut entries = Vec::new();
    for (index, name) in names.iter().enumerate() {
        let name = shorten(name, TEXT, room - SWATCH - 10.0);
        let width = SWATCH + 7.0 + text_width(&name, TEXT) + 16.0;
        if x > 0.0 && x + width > room {
            (x, line) = (0.0, line + 1);
        }
        entries.push((index, x, f64::from(line), name));
        x += width;
    }
    entries
}

/// How many lines the legend of these names takes; one series needs none, its chart's title names it.
fn legend_lines(names: &[&str]) -> usize {
    if names.len() < 2 {
        0
    } else {
        legend_entries(names)
            .last()
            .map_or(0, |(_, _, line, _)| *line as usize + 1)
    }
}

fn legend(svg: &mut Svg, left: f64, names: &[&str]) {
    if names.len() < 2 {
        return;
    }
    for (index, x, line, name) in legend_entries(names) {
        let (x, y) = (left.min(60.0) + x, TOP + line * LEGEND_LINE);
        let width = SWATCH + 13.0 + text_width(&name, TEXT);
        svg.begin_legend(index, x - 4.0, y - 7.0, width, LEGEND_LINE);
        let style = format!(
            "stroke:{};stroke-width:3;{}",
            palette::series(index),
            palette::dash(index)
        );
        svg.line(x, y + 4.0, x + SWATCH, y + 4.0, &style);
        svg.text(x + SWATCH + 7.0, y + 8.5, TEXT, Anchor::Start, "", &name);
        svg.end_group();
    }
}
