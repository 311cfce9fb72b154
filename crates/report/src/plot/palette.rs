//! Colours: CSS variables that the page sets for light and dark, each with the light value as its fallback, so that a
//! plot saved alone looks right too.
//!
//! The series colours are Okabe and Ito's (told apart with every common colour blindness), darkened to a contrast of
//! at least 3 : 1 with the paper; after six series the same colours return dashed.

pub(super) const INK: &str = "var(--plot-ink,#1c2430)";
pub(super) const SOFT_INK: &str = "var(--plot-soft-ink,#566171)";
pub(super) const GRID: &str = "var(--plot-grid,#e3e7ec)";
pub(super) const AXIS: &str = "var(--plot-axis,#98a2b0)";
pub(super) const PAPER: &str = "var(--plot-paper,#ffffff)";
pub(super) const EMPTY: &str = "var(--plot-empty,#eef1f5)";
pub(super) const FONT: &str =
    "system-ui,-apple-system,&quot;Segoe UI&quot;,Roboto,&quot;Noto Sans&quot;,&quot;DejaVu Sans&quot;,sans-serif";

const SERIES: [&str; 6] = [
    "var(--plot-1,#0067a8)",
    "var(--plot-2,#c94f00)",
    "var(--plot-3,#007f5f)",
    "var(--plot-4,#a8447f)",
    "var(--plot-5,#946a00)",
    "var(--plot-6,#4d5663)",
];
const DASHES: [&str; 3] = ["", "stroke-dasharray:7 4;", "stroke-dasharray:2 3;"];

/// The colour of series `index`.
pub(super) fn series(index: usize) -> &'static str {
    SERIES[index % SERIES.len()]
}

/// The dash style of series `index`: a style fragment, empty for a solid line.
pub(super) fn dash(index: usize) -> &'static str {
    DASHES[(index / SERIES.len()) % DASHES.len()]
}

/// A colour between the paper and the first series colour: 0 is paper, 1 full. A style value.
pub(super) fn tint(fraction: f64) -> String {
    let percent = (fraction.clamp(0.0, 1.0) * 100.0).round();
    format!("fill:{};fill-opacity:{}", SERIES[0], percent / 100.0)
}

/// As [`tint`], in the colour of the negative half of a scale that has its paper at zero.
pub(super) fn negative_tint(fraction: f64) -> String {
    let percent = (fraction.clamp(0.0, 1.0) * 100.0).round();
    format!("fill:{};fill-opacity:{}", SERIES[1], percent / 100.0)
}
