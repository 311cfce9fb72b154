//! Writing SVG: escaping, numbers, and the frame that every plot shares.

use std::fmt::Write as _;

use super::palette;

/// Escapes text for XML content and attribute values; characters that XML 1.0 forbids become U+FFFD.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\t' | '\n' | '\r' => out.push(' '),
            c if (c as u32) < 0x20 || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// Where a text is anchored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// A coordinate as text: two decimals at most, never `NaN` (which would make the document invalid).
pub(super) fn coordinate(value: f64) -> String {
    if !value.is_finite() {
        return "0".to_owned();
    }
    let text = format!("{:.2}", value.clamp(-1e6, 1e6));
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// The estimated width of `text` in pixels at `size`; fonts differ, so this leans to the wide side.
pub(super) fn text_width(text: &str, size: f64) -> f64 {
    text.chars()
        .map(|c| match c {
            'i' | 'j' | 'l' | 't' | 'f' | 'r' | 'I' | '.' | ',' | ':' | ';' | '|' | '\'' | ' ' | '(' | ')' => 0.36,
            'm' | 'w' | 'M' | 'W' | '%' => 0.9,
            'A'..='Z' => 0.7,
            c if unicode_width::UnicodeWidthChar::width(c) == Some(2) => 1.05,
            c if unicode_width::UnicodeWidthChar::width(c) == Some(0) => 0.0,
            _ => 0.58,
        })
        .sum::<f64>()
        * size
}

/// `text` cut to `width` pixels, with an ellipsis where something was cut.
pub(super) fn shorten(text: &str, size: f64, width: f64) -> String {
    if text_width(text, size) <= width {
        return text.to_owned();
    }
    let mut out = String::new();
    for c in text.chars() {
        out.push(c);
        if text_width(&out, size) + size * 0.6 > width {
            out.pop();
            break;
        }
    }
    out.push('…');
    out
}

/// An SVG under construction.
#[derive(Debug)]
pub(super) struct Svg {
    body: String,
    width: f64,
    height: f64,
}

/// The size of ordinary text in a plot.
pub(super) const TEXT: f64 = 13.0;
/// The size of tick labels.
pub(super) const SMALL: f64 = 12.0;

impl Svg {
    pub(super) fn new(width: f64, height: f64) -> Self {
        Self {
            body: String::new(),
            width,
            height,
        }
    }

    pub(super) fn rect(&mut self, x: f64, y: f64, width: f64, height: f64, style: &str) {
        let _ = writeln!(
            self.body,
            r#"<rect x="{}" y="{}" width="{}" height="{}" style="{style}"/>"#,
            coordinate(x),
            coordinate(y),
            coordinate(width.max(0.0)),
            coordinate(height.max(0.0)),
        );
    }

    /// A rectangle that tells its value when it is pointed at.
    pub(super) fn rect_with_title(&mut self, x: f64, y: f64, width: f64, height: f64, style: &str, title: &str) {
        let _ = writeln!(
            self.body,
            r#"<rect x="{}" y="{}" width="{}" height="{}" style="{style}"><title>{}</title></rect>"#,
            coordinate(x),
            coordinate(y),
            coordinate(width.max(0.0)),
            coordinate(height.max(0.0)),
            escape(title),
        );
    }

    pub(super) fn line(&mut self, x1: f64, y1: f64, x2: f64, y2: f64, style: &str) {
        let _ = writeln!(
            self.body,
            r#"<line x1="{}" y1="{}" x2="{}" y2="{}" style="{style}"/>"#,
            coordinate(x1),
            coordinate(y1),
            coordinate(x2),
            coordinate(y2),
        );
    }

    pub(super) fn polyline(&mut self, points: &[(f64, f64)], style: &str) {
        let _ = writeln!(
            self.body,
            r#"<polyline points="{}" style="fill:none;{style}"/>"#,
            path_points(points)
        );
    }

    /// A path whose `d` is relative to (x, y), without filling.
    pub(super) fn path_at(&mut self, x: f64, y: f64, d: &str, style: &str) {
        let _ = writeln!(
            self.body,
            r#"<path transform="translate({} {})" d="{}" style="fill:none;{style}"/>"#,
            coordinate(x),
            coordinate(y),
            escape(d)
        );
    }

    pub(super) fn polygon(&mut self, points: &[(f64, f64)], style: &str) {
        let _ = writeln!(
            self.body,
            r#"<polygon points="{}" style="{style}"/>"#,
            path_points(points)
        );
    }

    /// A data point that tells its value when it is pointed at.
    pub(super) fn circle(&mut self, x: f64, y: f64, radius: f64, style: &str, title: &str) {
        let _ = writeln!(
            self.body,
            r#"<circle cx="{}" cy="{}" r="{}" style="{style}"><title>{}</title></circle>"#,
            coordinate(x),
            coordinate(y),
            coordinate(radius),
            escape(title),
        );
    }

    pub(super) fn text(&mut self, x: f64, y: f64, size: f64, anchor: Anchor, style: &str, text: &str) {
        let _ = writeln!(
            self.body,
            r#"<text x="{}" y="{}" text-anchor="{}" style="font-size:{size}px;{style}">{}</text>"#,
            coordinate(x),
            coordinate(y),
            anchor.as_str(),
            escape(text),
        );
    }

    /// Text that reads from bottom to top, centred at (x, y).
    pub(super) fn vertical_text(&mut self, x: f64, y: f64, size: f64, style: &str, text: &str) {
        let (x, y) = (coordinate(x), coordinate(y));
        let _ = writeln!(
            self.body,
            r#"<text x="{x}" y="{y}" text-anchor="middle" transform="rotate(-90 {x} {y})" style="font-size:{size}px;{style}">{}</text>"#,
            escape(text),
        );
    }

    /// Text that rises from (x, y) at 55 degrees.
    pub(super) fn rising_text(&mut self, x: f64, y: f64, size: f64, text: &str) {
        let (x, y) = (coordinate(x), coordinate(y));
        let _ = writeln!(
            self.body,
            r#"<text x="{x}" y="{y}" transform="rotate(-55 {x} {y})" style="font-size:{size}px">{}</text>"#,
            escape(text),
        );
    }

    /// A picture given as a `data:` address, drawn with hard pixel edges.
    pub(super) fn picture(&mut self, x: f64, y: f64, width: f64, height: f64, address: &str, title: &str) {
        let _ = writeln!(
            self.body,
            r#"<image x="{}" y="{}" width="{}" height="{}" preserveAspectRatio="none" style="image-rendering:pixelated" href="{}"><title>{}</title></image>"#,
            coordinate(x),
            coordinate(y),
            coordinate(width),
            coordinate(height),
            escape(address),
            escape(title),
        );
    }

    /// Everything drawn until [`Svg::end_clip`] is cut at this rectangle (with a nested viewport: it needs no id, so
    /// several plots can stand in one page).
    pub(super) fn begin_clip(&mut self, x: f64, y: f64, width: f64, height: f64) {
        let (x, y, w, h) = (
            coordinate(x),
            coordinate(y),
            coordinate(width.max(1.0)),
            coordinate(height.max(1.0)),
        );
        let _ = writeln!(
            self.body,
            r#"<svg x="{x}" y="{y}" width="{w}" height="{h}" viewBox="{x} {y} {w} {h}" overflow="hidden">"#
        );
    }

    pub(super) fn end_clip(&mut self) {
        self.body.push_str("</svg>\n");
    }

    /// Everything drawn until [`Svg::end_group`] belongs to series `index`, which its entry in the legend shows and hides.
    pub(super) fn begin_series(&mut self, index: usize) {
        let _ = writeln!(self.body, r#"<g data-series="{index}">"#);
    }

    /// Everything drawn until [`Svg::end_group`] is the legend's entry of series `index`; the rectangle is where it can be
    /// pressed.
    pub(super) fn begin_legend(&mut self, index: usize, x: f64, y: f64, width: f64, height: f64) {
        let _ = writeln!(self.body, r#"<g data-legend="{index}">"#);
        self.rect(x, y, width, height, "fill:transparent");
    }

    pub(super) fn end_group(&mut self) {
        self.body.push_str("</g>\n");
    }

    /// The finished element, with its name and description for those who do not see it.
    pub(super) fn finish(self, title: &str, description: &str) -> String {
        let (width, height) = (coordinate(self.width), coordinate(self.height));
        format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{label}" viewBox="0 0 {width} {height}" width="{width}" height="{height}" style="font-family:{font};fill:{ink}">
<title>{title}</title>
<desc>{description}</desc>
{body}</svg>"#,
            label = escape(title),
            title = escape(title),
            description = escape(description),
            font = palette::FONT,
            ink = palette::INK,
            body = self.body,
        )
    }
}

impl Anchor {
    fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Middle => "middle",
            Self::End => "end",
        }
    }
}

fn path_points(points: &[(f64, f64)]) -> String {
    let mut out = String::new();
    for (index, (x, y)) in points.iter().enumerate() {
        if index > 0 {
            out.push(' ');
        }
        let _ = write!(out, "{},{}", coordinate(*x), coordinate(*y));
    }
    out
}
