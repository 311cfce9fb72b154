//! The zeros of each matrix beside the picture of the network.

use std::fmt::Write;

use crate::generic::{Mask, Network};

pub(super) const STYLE: &str = ".gn-entry{fill:#4a4f9c}.gn-zero{fill:none;stroke:currentColor;stroke-opacity:.35}\
    .gn-name{fill:currentColor}.gn-index{fill:currentColor;fill-opacity:.7;font-size:9px;text-anchor:middle;\
    dominant-baseline:central}.gn-frame{fill:none;stroke:currentColor}";

/// Largest side of an entry, and of a matrix.
const ENTRY: usize = 18;
const SIDE: usize = 420;
/// Room for the name above a matrix, for its indices, and between matrices.
const NAME: usize = 34;
const INDEX: usize = 16;
const GAP: usize = 28;
/// Below this size of an entry its index is no longer legible.
const LEGIBLE: usize = 11;

/// The matrices in columns right of the network; also the new width and height of the picture.
pub(super) fn beside(network: &Network, width: usize, height: usize) -> (String, usize, usize) {
    let mut svg = String::new();
    let (mut left, mut top) = (width + GAP, GAP);
    let (mut widest, mut lowest) = (0, height);
    for (index, mask) in network.masks().iter().enumerate() {
        let entry = (SIDE / mask.rows().max(mask.columns())).clamp(3, ENTRY);
        let name = format!(
            "A{} ({} × {}, {} zeros)",
            index + 1,
            mask.rows(),
            mask.columns(),
            mask.zeros()
        );
        // Nine tenths of the font size for each character are enough for digits and this name.
        let size = [
            (INDEX + mask.columns() * entry).max(name.chars().count() * 7),
            NAME + mask.rows() * entry,
        ];
        if top > GAP && top + size[1] > height.max(SIDE) {
            (left, top, widest) = (left + widest + GAP, GAP, 0);
        }
        matrix(&mut svg, mask, &name, left, top, entry);
        widest = widest.max(size[0]);
        lowest = lowest.max(top + size[1] + GAP);
        top += size[1] + GAP;
    }
    (svg, left + widest + GAP, lowest)
}

fn matrix(svg: &mut String, mask: &Mask, name: &str, left: usize, top: usize, entry: usize) {
    // Writing to a String never fails.
    let _ = write!(
        svg,
        "<text class=\"gn-name\" x=\"{left}\" y=\"{}\">{name}</text>",
        top + 10
    );
    let (x0, y0) = (left + INDEX, top + NAME);
    if entry >= LEGIBLE {
        for column in 0..mask.columns() {
            let (x, y) = (x0 + column * entry + entry / 2, y0 - 8);
            let _ = write!(
                svg,
                "<text class=\"gn-index\" x=\"{x}\" y=\"{y}\">{}</text>",
                column + 1
            );
        }
        for row in 0..mask.rows() {
            let (x, y) = (x0 - 9, y0 + row * entry + entry / 2);
            let _ = write!(svg, "<text class=\"gn-index\" x=\"{x}\" y=\"{y}\">{}</text>", row + 1);
        }
    }
    for row in 0..mask.rows() {
        for column in 0..mask.columns() {
            let class = if mask.is_drawn(row, column) {
                "gn-entry"
            } else {
                "gn-zero"
            };
            let inset = usize::from(entry > 4);
            let (x, y, side) = (x0 + column * entry + inset, y0 + row * entry + inset, entry - 2 * inset);
            let _ = write!(
                svg,
                "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{side}\" height=\"{side}\"/>"
            );
        }
    }
    let (w, h) = (mask.columns() * entry, mask.rows() * entry);
    let _ = write!(
        svg,
        "<rect class=\"gn-frame\" x=\"{x0}\" y=\"{y0}\" width=\"{w}\" height=\"{h}\"/>"
    );
}
