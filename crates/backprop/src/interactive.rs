//! The network of exercise 6 under the reader's hands: a figure for a page, with plain JavaScript.
//!
//! Sliders move `x`, `A`, `B` and `y`; every value and every gradient follows, and buttons lead through the pass backwards one
//! derivative at a time, each with its formula as it was derived, its line of code, and the numbers of one entry. The
//! figure is complete without the script, with the numbers that it was made from; then nothing moves.

use std::fmt::Write as _;

use crate::by_hand::{Network, gradient_by_probabilities};
use crate::error::{Error, Result};
use crate::matrix::Matrix;
use crate::symbol::exercise::{PassBack, pass_back};
use crate::symbol::{Derivation, escape};

/// The parts of the figure; a page puts the style into its head and the script at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interactive {
    /// HTML that is XML as well, without ids, so that a page may hold several.
    pub markup: String,
    /// CSS for everything of the class `backprop-live`.
    pub style: &'static str,
    /// The script, which looks for every figure on the page by its class.
    pub script: &'static str,
}

/// How far the sliders of inputs and weights go.
const REACH: f64 = 3.0;

/// The figure with these numbers as its start; the formulas are those that were derived.
///
/// ```
/// use backprop::{Matrix, by_hand::Network, interactive::interactive};
/// let network = Network::new(Matrix::column(&[0.5, -0.5]), Matrix::new(2, 2, vec![1.0, 0.0, 0.0, 1.0])?)?;
/// let figure = interactive(&network, &[1.0], &[1.0, 0.0])?;
/// assert!(figure.markup.contains("data-quantity=\"A\"") && figure.script.contains("Math.tanh"));
/// # Ok::<(), backprop::Error>(())
/// ```
///
/// # Errors
/// As [`Network::gradients`]; [`Error::Number`] for a number that no slider reaches (inputs and weights are −3 to 3, targets 0
/// to 1, in steps of 0.1).
pub fn interactive(network: &Network, x: &[f64], y: &[f64]) -> Result<Interactive> {
    let forward = network.forward(x)?;
    let back = network.gradients(x, y)?;
    let dp = gradient_by_probabilities(&forward.p, y)?;
    let slope: Vec<f64> = forward.v.iter().map(|v| 1.0 - v * v).collect();
    let dx: Vec<f64> = (0..x.len())
        .map(|j| {
            (0..slope.len())
                .map(|i| back.v[i] * slope[i] * network.a().at(i, j))
                .sum()
        })
        .collect();
    let vector = Matrix::column;
    for (name, numbers, low) in [
        ("x", x, -REACH),
        ("A", network.a().data(), -REACH),
        ("B", network.b().data(), -REACH),
        ("y", y, 0.0),
    ] {
        on_sliders(name, numbers, low)?;
    }
    let mut markup = String::from("<div class=\"backprop-live\">\n<div class=\"quantities\">\n");
    let quantities = [
        Quantity::new("x", "the input x", vector(x), Some(vector(&dx)), Some(REACH)),
        Quantity::new(
            "A",
            "the weights A",
            network.a().clone(),
            Some(back.a.clone()),
            Some(REACH),
        ),
        Quantity::new("v", "v = tanh(A x)", vector(&forward.v), Some(vector(&back.v)), None),
        Quantity::new(
            "B",
            "the weights B",
            network.b().clone(),
            Some(back.b.clone()),
            Some(REACH),
        ),
        Quantity::new("z", "z = B v", vector(&forward.z), Some(vector(&back.z)), None),
        Quantity::new("p", "p = softmax(z)", vector(&forward.p), Some(vector(&dp)), None),
        Quantity::new("y", "the target y", vector(y), None, Some(1.0)),
        Quantity::new("L", "the loss", vector(&[back.loss]), None, None),
    ];
    for quantity in &quantities {
        quantity.write(&mut markup);
    }
    markup += "</div>\n<p class=\"buttons\">";
    for (go, label) in [
        ("forward", "forward only"),
        ("back", "◀ one step less"),
        ("next", "one step back ▶"),
        ("all", "all gradients"),
        ("reset", "first numbers again"),
    ] {
        let _ = write!(markup, "<button type=\"button\" data-go=\"{go}\">{label}</button>");
    }
    markup += "<span data-said=\"\" aria-live=\"polite\"></span></p>\n<ol>\n";
    for (quantity, formula, code) in steps()? {
        let _ = writeln!(
            markup,
            "<li data-step=\"{quantity}\">{formula} <code>{}</code> <output></output></li>",
            escape(code)
        );
    }
    markup += "</ol>\n<p class=\"still\">With JavaScript switched on, this figure has sliders that move.</p>\n</div>\n";
    Ok(Interactive {
        markup,
        style: include_str!("interactive.css"),
        script: include_str!("interactive.js"),
    })
}

/// The derivatives on the way back: which quantity's, its formula in MathML, and the line of the program.
fn steps() -> Result<[(&'static str, String, &'static str); 6]> {
    let PassBack { p, z, b, v, a, x } = pass_back()?;
    let line = |part: &Derivation| {
        format!(
            "<math displaystyle=\"true\"><mrow>{}<mo>=</mo>{}</mrow></math>",
            part.start.mathml_fragment(),
            part.result.mathml_fragment()
        )
    };
    Ok([
        ("p", line(&p), "dp[i] = -y[i] / (2 * p[i])"),
        ("z", line(&z), "dz[i] = (p[i] * sum_y - y[i]) / 2"),
        ("B", line(&b), "dB[i][j] = dz[i] * v[j]"),
        ("v", line(&v), "dv[i] += dz[k] * B[k][i]"),
        ("A", line(&a), "dA[i][j] = dv[i] * (1 - v[i] * v[i]) * x[j]"),
        ("x", line(&x), "dx[j] += dv[k] * (1 - v[k] * v[k]) * A[k][j]"),
    ])
}

fn on_sliders(name: &str, numbers: &[f64], low: f64) -> Result<()> {
    let high = if low < 0.0 { -low } else { 1.0 };
    let reached = |x: f64| (low..=high).contains(&x) && ((x * 10.0).round() / 10.0 - x).abs() < 1e-12;
    match numbers.iter().position(|&x| !reached(x)) {
        None => Ok(()),
        Some(place) => Err(Error::Number {
            node: name.into(),
            what: format!(
                "number {} is {}, which no slider reaches; use numbers of {low} to {high} with one decimal",
                place + 1,
                numbers[place]
            ),
        }),
    }
}

/// A box of the figure.
struct Quantity {
    name: &'static str,
    title: &'static str,
    values: Matrix,
    gradients: Option<Matrix>,
    /// How far its sliders go, if it has any.
    reach: Option<f64>,
}

impl Quantity {
    fn new(
        name: &'static str,
        title: &'static str,
        values: Matrix,
        gradients: Option<Matrix>,
        reach: Option<f64>,
    ) -> Self {
        Quantity {
            name,
            title,
            values,
            gradients,
            reach,
        }
    }

    // Writing to a String cannot fail.
    fn write(&self, markup: &mut String) {
        let (name, columns) = (self.name, self.values.columns());
        let _ = writeln!(
            markup,
            "<fieldset><legend>{}</legend><div class=\"matrix\" style=\"grid-template-columns: repeat({columns}, auto)\">",
            self.title
        );
        // Weights are matrices also where they have one column.
        let matrix = matches!(name, "A" | "B");
        for i in 0..self.values.rows() {
            for j in 0..columns {
                let (place, indices) = match (matrix, name) {
                    (true, _) => (
                        format!("data-i=\"{i}\" data-j=\"{j}\""),
                        format!("{}{}", small(i), small(j)),
                    ),
                    (false, "L") => (format!("data-i=\"{i}\""), String::new()),
                    (false, _) => (format!("data-i=\"{i}\""), small(i)),
                };
                let value = self.values.at(i, j);
                let _ = write!(markup, "<div class=\"cell\">");
                let text = short(value);
                let output =
                    format!("<output data-quantity=\"{name}\" {place} data-value=\"{value:?}\">{text}</output>");
                match self.reach {
                    Some(reach) => {
                        let low = if name == "y" { 0.0 } else { -reach };
                        let _ = write!(
                            markup,
                            "<span class=\"name\">{name}{indices}</span>{output}<input type=\"range\" aria-label=\"{name}{indices}\" \
                             min=\"{low}\" max=\"{reach}\" step=\"0.1\" value=\"{value}\" data-quantity=\"{name}\" {place}/>"
                        );
                    }
                    None => {
                        let _ = write!(markup, "<span class=\"name\">{name}{indices}</span>{output}");
                    }
                }
                if let Some(gradients) = &self.gradients {
                    let gradient = gradients.at(i, j);
                    let _ = write!(
                        markup,
                        "<output data-quantity=\"{name}\" {place} data-gradient=\"{gradient:?}\">{}</output>",
                        short(gradient)
                    );
                }
                *markup += "</div>";
            }
        }
        *markup += "</div></fieldset>\n";
    }
}

fn small(index: usize) -> String {
    let digits = "₀₁₂₃₄₅₆₇₈₉";
    (index + 1)
        .to_string()
        .chars()
        .filter_map(|c| digits.chars().nth(c.to_digit(10)? as usize))
        .collect()
}

fn short(number: f64) -> String {
    let text = if number != 0.0 && !(5e-4..1e4).contains(&number.abs()) {
        format!("{number:.1e}")
    } else {
        format!("{number:.3}")
    };
    text.replace('-', "−")
}
