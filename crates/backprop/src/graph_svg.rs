//! The computational graph as a picture: values forward, gradients back.

use std::fmt::Write;

use crate::by_hand::Network;
use crate::error::Result;

/// How many numbers of a quantity are printed at most; of more, one less is shown and the rest counted.
const SHOWN: usize = 3;

/// Draws `x → A → v → B → z → p → L` with the value that each edge carries above it and the gradient that comes back
/// along it below, as an SVG that follows the reader's light or dark mode.
///
/// ```
/// use backprop::{Matrix, by_hand::Network, graph_svg::graph_svg};
/// let network = Network::new(Matrix::column(&[0.5, -0.5]), Matrix::new(2, 2, vec![1.0, 0.0, 0.0, 1.0])?)?;
/// let svg = graph_svg(&network, &[1.0], &[1.0, 0.0])?;
/// assert!(svg.starts_with("<svg") && svg.contains("prefers-color-scheme: dark") && svg.ends_with("</svg>\n"));
/// # Ok::<(), backprop::Error>(())
/// ```
///
/// # Errors
/// As [`Network::gradients`].
pub fn graph_svg(network: &Network, x: &[f64], y: &[f64]) -> Result<String> {
    let forward = network.forward(x)?;
    let back = network.gradients(x, y)?;
    let (a, b) = (network.a(), network.b());
    // ∂L/∂x = Aᵀ (∂L/∂v ∘ (1 − v²)): what a layer before this one would be told.
    let du: Vec<f64> = back
        .v
        .iter()
        .zip(&forward.v)
        .map(|(dv, v)| dv * (1.0 - v * v))
        .collect();
    let dx: Vec<f64> = (0..a.columns())
        .map(|j| (0..a.rows()).map(|i| du[i] * a.at(i, j)).sum())
        .collect();
    let dp: Vec<f64> = forward
        .p
        .iter()
        .zip(y)
        .map(|(p, y)| if *y == 0.0 { 0.0 } else { -y / (2.0 * p) })
        .collect();

    let nodes = [
        ("x", format!("{} inputs", x.len())),
        ("v = tanh(A x)", format!("{} hidden", forward.v.len())),
        ("z = B v", format!("{} logits", forward.z.len())),
        ("p = softmax(z)", format!("{} classes", forward.p.len())),
        ("L = −½ Σ y log p", short(back.loss)),
    ];
    let edges = [
        ("x", list(x), list(&dx)),
        ("v", list(&forward.v), list(&back.v)),
        ("z", list(&forward.z), list(&back.z)),
        ("p", list(&forward.p), list(&dp)),
    ];
    let weights = [(1, "A", a, &back.a), (2, "B", b, &back.b)];

    const LEFT: usize = 20;
    const BOX: usize = 136;
    const GAP: usize = 104;
    const PITCH: usize = BOX + GAP;
    let width = 2 * LEFT + nodes.len() * BOX + (nodes.len() - 1) * GAP;
    let mut svg = String::new();
    let mut line = |text: std::fmt::Arguments<'_>| {
        // Writing to a String cannot fail.
        let _ = writeln!(svg, "{text}");
    };
    line(format_args!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} 300" role="img" aria-labelledby="backprop-graph-title backprop-graph-description">"#
    ));
    line(format_args!(
        r#"<title id="backprop-graph-title">The computational graph of exercise 6</title>"#
    ));
    line(format_args!(
        r#"<desc id="backprop-graph-description">Values flow from x through v, z and p to the loss {}; gradients flow back along the same edges.</desc>"#,
        short(back.loss)
    ));
    line(format_args!(
        "<style>\n.backprop-graph {{ --ink: #1c2430; --paper: #f4f6fa; --value: #0b57a4; --gradient: #a8320b; font: 14px system-ui, sans-serif; }}\n@media (prefers-color-scheme: dark) {{ .backprop-graph {{ --ink: #e6eaf2; --paper: #222a36; --value: #7db8f5; --gradient: #ffa37d; }} }}\n.backprop-graph text {{ fill: var(--ink); text-anchor: middle; }}\n.backprop-graph rect {{ fill: var(--paper); stroke: var(--ink); }}\n.backprop-graph .value {{ fill: var(--value); }} .backprop-graph .gradient {{ fill: var(--gradient); }}\n.backprop-graph line.value {{ stroke: var(--value); }} .backprop-graph line.gradient {{ stroke: var(--gradient); stroke-dasharray: 5 3; }}\n.backprop-graph .small {{ font-size: 13.5px; }}\n</style>"
    ));
    line(format_args!(
        r##"<defs><marker id="backprop-forward" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto" class="backprop-graph"><path class="value" d="M0 0 L8 4 L0 8 z"/></marker><marker id="backprop-back" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto" class="backprop-graph"><path class="gradient" d="M0 0 L8 4 L0 8 z"/></marker></defs>"##
    ));
    line(format_args!(r#"<g class="backprop-graph">"#));
    for (n, (name, size)) in nodes.iter().enumerate() {
        let (left, middle) = (LEFT + n * PITCH, LEFT + n * PITCH + BOX / 2);
        line(format_args!(
            r#"<rect x="{left}" y="170" width="{BOX}" height="60" rx="8"/>"#
        ));
        line(format_args!(
            r#"<text x="{middle}" y="196">{name}</text><text x="{middle}" y="216" class="small">{size}</text>"#
        ));
    }
    for (n, (name, value, gradient)) in edges.iter().enumerate() {
        let (from, to) = (LEFT + n * PITCH + BOX, LEFT + (n + 1) * PITCH);
        let middle = (from + to) / 2;
        line(format_args!(
            r#"<line x1="{from}" y1="192" x2="{to}" y2="192" class="value" marker-end="url(#backprop-forward)"/>"#
        ));
        line(format_args!(
            r#"<line x1="{to}" y1="208" x2="{from}" y2="208" class="gradient" marker-end="url(#backprop-back)"/>"#
        ));
        line(format_args!(
            r#"<text x="{middle}" y="158" class="small value">{name} = {value}</text>"#
        ));
        line(format_args!(
            r#"<text x="{middle}" y="250" class="small gradient">∂L/∂{name} = {gradient}</text>"#
        ));
    }
    for (n, name, weight, gradient) in weights {
        let (left, middle) = (LEFT + n * PITCH, LEFT + n * PITCH + BOX / 2);
        line(format_args!(
            r#"<rect x="{left}" y="40" width="{BOX}" height="60" rx="8"/>"#
        ));
        line(format_args!(
            r#"<text x="{middle}" y="66">{name}</text><text x="{middle}" y="86" class="small">{} weights</text>"#,
            weight.shape()
        ));
        line(format_args!(
            r#"<line x1="{0}" y1="100" x2="{0}" y2="170" class="value" marker-end="url(#backprop-forward)"/>"#,
            middle - 8
        ));
        line(format_args!(
            r#"<line x1="{0}" y1="170" x2="{0}" y2="100" class="gradient" marker-end="url(#backprop-back)"/>"#,
            middle + 8
        ));
        line(format_args!(
            r#"<text x="{middle}" y="14" class="small value">{name} = {}</text>"#,
            list(weight.data())
        ));
        line(format_args!(
            r#"<text x="{middle}" y="31" class="small gradient">∂L/∂{name} = {}</text>"#,
            list(gradient.data())
        ));
    }
    let (value, gradient) = (LEFT + 110, LEFT + 110 + 260);
    line(format_args!(
        r#"<text x="{value}" y="286" class="small value">→ forward: the values</text><text x="{gradient}" y="286" class="small gradient">⇠ backward: the gradients of the loss</text>"#
    ));
    line(format_args!("</g>"));
    svg += "</svg>\n";
    Ok(svg)
}

fn short(x: f64) -> String {
    let text = if x != 0.0 && !(1e-3..1e4).contains(&x.abs()) {
        format!("{x:.1e}")
    } else {
        format!("{x:.3}")
    };
    text.replace('-', "−")
}

fn list(numbers: &[f64]) -> String {
    let count = if numbers.len() > SHOWN {
        SHOWN - 1
    } else {
        numbers.len()
    };
    let shown: Vec<String> = numbers[..count].iter().map(|&x| short(x)).collect();
    match numbers.len() - count {
        0 => format!("({})", shown.join(", ")),
        rest => format!("({}, … +{rest})", shown.join(", ")),
    }
}
