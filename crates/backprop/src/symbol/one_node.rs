//! The lecture's example: one neuron a layer, carried by hand.
//!
//! $$z = \tanh(a x), \quad y = b z, \quad L = \tfrac12 (t - y)^2$$
//!
//! Nothing here has an index, so the chain rule is a product of numbers. With $a = \tfrac14 \log 3$ and $x = 2$ the hyperbolic
//! tangent is exactly ½, and every number on the way there and back is a fraction.

use serde::Serialize;

use super::evaluate::Values;
use super::exercise::{Derivation, answer, factor};
use super::expr::Expr;
use super::index::Symbol;
use super::knowledge::Knowledge;
use super::rational::Rational;
use crate::{Error, Result};

/// The example, derived and carried through.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OneNode {
    /// `∂L/∂b`.
    pub by_b: Derivation,
    /// `∂L/∂a`, with the factors of its chain.
    pub by_a: Derivation,
    /// Forward, then back: each quantity in fractions, in `f64`, and as a line of the program.
    pub lines: Vec<Line>,
}

/// A quantity: symbol, number, line of code.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Line {
    /// The quantity, such as `∂L/∂y`.
    pub quantity: Expr,
    /// What it is computed by; `None` for what is given.
    pub formula: Option<Expr>,
    /// Its value; `None` for `a`, which is no fraction.
    pub exact: Option<Rational>,
    /// Its value as the program computes it.
    pub computed: f64,
    /// The line of the program that does so, copied from its source when it was compiled.
    pub code: &'static str,
}

/// The values and derivatives of the example, as a program computes them; the lines between the braces are those that are shown.
///
/// ```
/// let computed = backprop::symbol::one_node::compute(0.25 * 3.0_f64.ln(), 2.0 / 3.0, 2.0, 1.0);
/// assert!((computed.dl_da - -2.0 / 3.0).abs() < 1e-15);
/// ```
pub fn compute(a: f64, b: f64, x: f64, t: f64) -> Computed {
    let z = (a * x).tanh();
    let y = b * z;
    let l = 0.5 * (t - y).powi(2);
    let dl_dy = y - t;
    let dl_db = dl_dy * z;
    let dl_dz = dl_dy * b;
    let dl_da = dl_dz * (1.0 - z * z) * x;
    Computed {
        z,
        y,
        l,
        dl_dy,
        dl_db,
        dl_dz,
        dl_da,
    }
}

/// What [`compute`] returns.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(missing_docs, reason = "the names are those of the quantities")]
pub struct Computed {
    pub z: f64,
    pub y: f64,
    pub l: f64,
    pub dl_dy: f64,
    pub dl_db: f64,
    pub dl_dz: f64,
    pub dl_da: f64,
}

/// The line of [`compute`] that gives a name its value.
fn code(name: &str) -> &'static str {
    let start = format!("let {name} = ");
    let mut lines = include_str!("one_node.rs").lines().map(str::trim);
    lines.find(|line| line.starts_with(&start)).unwrap_or_default()
}

/// Derives the example and carries its numbers through: `a = ¼ log 3`, `x = 2`, `b = 2/3`, `t = 1`.
///
/// ```
/// let example = backprop::symbol::one_node::one_node()?;
/// assert_eq!(example.by_a.factors.len(), 3);
/// let last = example.lines.last().unwrap();
/// assert_eq!(last.exact.unwrap().to_string(), "-2/3");
/// assert_eq!(last.code, "let dl_da = dl_dz * (1.0 - z * z) * x;");
/// # Ok::<(), backprop::Error>(())
/// ```
///
/// # Errors
/// As [`derive()`](super::derive()).
pub fn one_node() -> Result<OneNode> {
    let s = |name: &str| Symbol::new(name, []);
    let e = |name: &str| Expr::from(s(name));
    let definitions = [
        ("z", (e("a") * e("x")).tanh()),
        ("y", e("b") * e("z")),
        ("L", (e("t") - e("y")).pow(2) / Expr::integer(2)),
    ];
    let known = definitions.iter().fold(Knowledge::new(), |known, (name, body)| {
        known.define(&s(name), body.clone())
    });
    let derivative = |of: &str, by: &str| Expr::derivative(e(of), &s(by));
    let by_y = answer("the loss by the output", "", derivative("L", "y"), &known)?;
    let by_b = answer(
        "The loss by the second weight",
        "How does the loss change with b? There is one way from b to L, through y.",
        derivative("L", "b"),
        &known,
    )?;
    let mut by_a = answer(
        "The loss by the first weight",
        "How does the loss change with a? Again there is one way: through z, then y.",
        derivative("L", "a"),
        &known,
    )?;
    by_a.factors = vec![
        factor(
            "error of the output",
            "How far off the output is.",
            &s("L"),
            &s("y"),
            &known,
        )?,
        factor(
            "weight on the way back",
            "How strongly z speaks to y.",
            &s("y"),
            &s("z"),
            &known,
        )?,
        factor(
            "slope of tanh times the input",
            "How far z can still move, times what came in.",
            &s("z"),
            &s("a"),
            &known,
        )?,
    ];
    let by_z = answer("the loss by the hidden value", "", derivative("L", "z"), &known)?;

    let one = |numerator, denominator| Rational::new(numerator, denominator);
    let (x, b, t, half) = (one(2, 1)?, one(2, 3)?, one(1, 1)?, one(1, 2)?);
    let a = 3.0_f64.ln() / 4.0;
    let computed = compute(a, b.value(), x.value(), t.value());
    let mut exact = Values::exact()
        .array("x", [x])
        .array("b", [b])
        .array("t", [t])
        // tanh(½ log 3) = (3 − 1)/(3 + 1)
        .array("z", [half]);
    let given = |name: &str, exact: Option<Rational>, computed: f64, code| Line {
        quantity: e(name),
        formula: None,
        exact,
        computed,
        code,
    };
    let mut lines = vec![
        given("x", Some(x), x.value(), "let x = 2.0;"),
        given("a", None, a, "let a = 0.25 * 3.0_f64.ln();"),
        given("b", Some(b), b.value(), "let b = 2.0 / 3.0;"),
        given("t", Some(t), t.value(), "let t = 1.0;"),
    ];
    let of_z = definitions[0].1.clone();
    lines.push(Line {
        formula: Some(of_z),
        code: code("z"),
        ..given("z", Some(half), computed.z, "")
    });
    let rest = [
        (e("y"), definitions[1].1.clone(), computed.y, "y"),
        (e("L"), definitions[2].1.clone(), computed.l, "l"),
        (by_y.start, by_y.result, computed.dl_dy, "dl_dy"),
        (by_b.start.clone(), by_b.result.clone(), computed.dl_db, "dl_db"),
        (by_z.start, by_z.result, computed.dl_dz, "dl_dz"),
        (by_a.start.clone(), by_a.result.clone(), computed.dl_da, "dl_da"),
    ];
    for (quantity, formula, computed, name) in rest {
        let value = formula.evaluate_exact(&exact)?;
        if (value.value() - computed).abs() > 1e-15 {
            return Err(Error::Number {
                node: quantity.to_unicode(),
                what: format!("the formula gives {value}, the program {computed}; one of them is wrong"),
            });
        }
        if name == "y" {
            exact = exact.array("y", [value]);
        }
        lines.push(Line {
            quantity,
            formula: Some(formula),
            exact: Some(value),
            computed,
            code: code(name),
        });
    }
    Ok(OneNode { by_b, by_a, lines })
}
