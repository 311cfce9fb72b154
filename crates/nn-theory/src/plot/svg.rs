//! The drawing as SVG.

use super::{
    PlotOptions,
    boxes::Measured,
    layout::Point,
    scene::{Area, NAME, Scene, Way},
    text::{FONTS, escape, shortened, width},
};
use std::fmt::Write;

/// Room around the drawing.
const MARGIN: f64 = 12.0;
const ARROW: f64 = 9.0;

pub(super) fn write(scene: &Scene, name: &str, options: &PlotOptions) -> String {
    let map = Map {
        length: scene.size[0],
        options,
    };
    let [height, across] = options.rankdir.turned(scene.size);
    let (width_of, height_of) = ((across + 2.0 * MARGIN).ceil(), (height + 2.0 * MARGIN).ceil());
    let mut svg = String::new();
    // Writing to a String never fails.
    let _ = write!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width_of} {height_of}\" width=\"{width_of}\" \
         height=\"{height_of}\" role=\"img\" font-family=\"{FONTS}\"><title>{}</title><desc>{} boxes of layers and the \
         tensors between them.</desc>",
        escape(name),
        scene.boxes.len()
    );
    svg.push_str("<g fill=\"none\" stroke=\"currentColor\" stroke-dasharray=\"6 4\">");
    for (_, area) in &scene.frames {
        let [x, y, w, h] = map.rectangle(area);
        let _ = write!(
            svg,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{w:.1}\" height=\"{h:.1}\" rx=\"4\"/>"
        );
    }
    svg.push_str("</g><g fill=\"currentColor\">");
    for (name, area) in &scene.frames {
        let [x, y, ..] = map.rectangle(area);
        let text = shortened(name);
        let _ = write!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" font-size=\"{NAME}\" textLength=\"{:.1}\" lengthAdjust=\"spacingAndGlyphs\">{}</text>",
            x + 10.0,
            y + 1.25 * NAME,
            width(&text, NAME, false),
            escape(&text)
        );
    }
    svg.push_str("</g><g fill=\"none\" stroke=\"currentColor\" stroke-width=\"2\">");
    for way in &scene.ways {
        path(&mut svg, way, &map);
    }
    svg.push_str("</g><g fill=\"currentColor\">");
    for way in scene.ways.iter().filter(|way| way.arrow) {
        arrow(&mut svg, way, &map);
    }
    svg.push_str("</g>");
    for (measured, area) in &scene.boxes {
        let [x, y, ..] = map.rectangle(area);
        Measured::draw(measured, &mut svg, x, y);
    }
    svg.push_str("</svg>");
    svg
}

/// From `[along, across]` to x and y.
struct Map<'a> {
    length: f64,
    options: &'a PlotOptions,
}

impl Map<'_> {
    fn point(&self, [along, across]: Point) -> (f64, f64) {
        let rankdir = self.options.rankdir;
        let along = if rankdir.is_reversed() {
            self.length - along
        } else {
            along
        };
        let [y, x] = rankdir.turned([along, across]);
        (x + MARGIN, y + MARGIN)
    }

    /// x, y, width, height.
    fn rectangle(&self, area: &Area) -> [f64; 4] {
        let (x, y) = self.point(area.middle);
        let [h, w] = self.options.rankdir.turned(area.size);
        [x - w / 2.0, y - h / 2.0, w, h]
    }
}

/// Straight through a rank, in a curve from one to the next; the last piece ends where the arrow begins.
fn path(svg: &mut String, way: &Way, map: &Map<'_>) {
    let mut points = way.points.clone();
    if way.arrow
        && let [.., before, end] = points.as_mut_slice()
    {
        let sign = if end[0] >= before[0] { 1.0 } else { -1.0 };
        let back = end[0] - sign * (ARROW - 1.0);
        end[0] = back;
        // The straight piece before a box may be shorter than an arrow.
        before[0] = if sign > 0.0 {
            before[0].min(back)
        } else {
            before[0].max(back)
        };
    }
    let Some(&first) = points.first() else { return };
    let (x, y) = map.point(first);
    let _ = write!(svg, "<path d=\"M{x:.1} {y:.1}");
    for (index, pair) in points.windows(2).enumerate() {
        let (from, to) = (pair[0], pair[1]);
        let (x, y) = map.point(to);
        if index % 2 == 0 || (from[1] - to[1]).abs() < 0.05 {
            let _ = write!(svg, "L{x:.1} {y:.1}");
        } else {
            let half = (from[0] + to[0]) / 2.0;
            let ((x1, y1), (x2, y2)) = (map.point([half, from[1]]), map.point([half, to[1]]));
            let _ = write!(svg, "C{x1:.1} {y1:.1} {x2:.1} {y2:.1} {x:.1} {y:.1}");
        }
    }
    svg.push_str("\"/>");
}

fn arrow(svg: &mut String, way: &Way, map: &Map<'_>) {
    let [.., before, end] = way.points.as_slice() else {
        return;
    };
    let sign = if end[0] >= before[0] { 1.0 } else { -1.0 };
    let base = end[0] - sign * ARROW;
    let corners = [*end, [base, end[1] - ARROW * 0.45], [base, end[1] + ARROW * 0.45]];
    let corners: Vec<String> = corners
        .into_iter()
        .map(|corner| {
            let (x, y) = map.point(corner);
            format!("{x:.1},{y:.1}")
        })
        .collect();
    let _ = write!(svg, "<polygon points=\"{}\"/>", corners.join(" "));
}
