//! Expressions as text: Unicode for the terminal, LaTeX for papers, MathML for pages.
//!
//! An expression is laid out once, as marks that stand side by side, above or below each other; three short printers write
//! the marks down. Where brackets, minus signs and fractions go is decided here and is the same everywhere.

mod latex;
mod layout;
mod mathml;
mod unicode;

use std::fmt;

use super::evaluate::Values;
use super::expr::{Expr, Function};
use super::rational::Rational;
use crate::Result;
use layout::{Style, layout, layout_with_numbers};

pub(crate) use mathml::escape;

/// A piece of written mathematics.
#[derive(Clone, Debug)]
enum Mark {
    /// Marks side by side, as they are.
    Row(Vec<Mark>),
    /// A fraction of whole numbers that is not negative.
    Number(Rational),
    /// A number put in for a symbol, not negative.
    Decimal(String),
    /// A minus before a term.
    Negative,
    /// A plus between two terms.
    Plus,
    /// A minus between two terms.
    Minus,
    /// Between two factors.
    Times,
    /// Between two factors that would run into each other.
    Dot,
    /// A letter (or word) and its indices.
    Letter(String, Vec<String>),
    /// Kronecker's δ.
    Delta(Vec<String>),
    /// The number of elements of a range.
    Size(String),
    Power(Box<Mark>, i32),
    Fraction(Box<Mark>, Box<Mark>),
    /// The sum over an index of what follows.
    Sum(String, Box<Mark>),
    /// A function of its argument, which stands without brackets if it is a single letter.
    Function(Function, Box<Mark>, bool),
    /// 1 where the argument is positive, else 0.
    Step(Box<Mark>),
    /// ∂ a / ∂ b.
    Derivative(Box<Mark>, Box<Mark>),
    /// ∂ / ∂ b of a longer expression.
    DerivativeOf(Box<Mark>, Box<Mark>),
    Bracket(Box<Mark>),
}

/// A formula in two notations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// On one line.
    pub unicode: String,
    /// For math mode.
    pub latex: String,
}

impl Expr {
    /// The expression in Unicode, on one line: `(pᵢ − yᵢ) / 2`.
    pub fn to_unicode(&self) -> String {
        unicode::write(&layout(self, Style::OnOneLine))
    }

    /// The expression in LaTeX, for a formula in math mode: `\frac{p_{i} - y_{i}}{2}`.
    pub fn to_latex(&self) -> String {
        latex::write(&layout(self, Style::Stacked))
    }

    /// The expression as a `<math>` element, which browsers display.
    ///
    /// ```
    /// use backprop::symbol::{Expr, Symbol};
    /// let half = Expr::from(Symbol::new("y", [])) / Expr::integer(2);
    /// assert_eq!(
    ///     half.to_mathml(),
    ///     r#"<math xmlns="http://www.w3.org/1998/Math/MathML"><mfrac><mi>y</mi><mn>2</mn></mfrac></math>"#
    /// );
    /// ```
    pub fn to_mathml(&self) -> String {
        format!(
            r#"<math xmlns="{}">{}</math>"#,
            mathml::NAMESPACE,
            self.mathml_fragment()
        )
    }

    /// The expression with numbers put in for its symbols and its sums written out, as one writes it on the board before the
    /// result.
    ///
    /// ```
    /// use backprop::symbol::{Expr, Range, Symbol, Values};
    /// let hidden = Range::new("hidden");
    /// let k = hidden.index("k");
    /// let at = |name| Expr::from(Symbol::new(name, [k.clone()]));
    /// let e = Expr::sum(&k, at("w") * at("v")) / Expr::integer(2);
    /// let values = Values::new().size(&hidden, 2).array("w", [0.5, -1.0]).array("v", [0.25, 3.0]);
    /// assert_eq!(e.with_numbers(&values, 2)?.unicode, "½ · (0.25 · 0.50 + 3 · (−1))");
    /// # Ok::<(), backprop::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Expr::evaluate`].
    pub fn with_numbers(&self, values: &Values, decimals: usize) -> Result<Written> {
        self.evaluate(values)?;
        let layout = |style| layout_with_numbers(self, style, values, decimals);
        Ok(Written {
            unicode: unicode::write(&layout(Style::OnOneLine)),
            latex: latex::write(&layout(Style::Stacked)),
        })
    }

    /// The expression in MathML without the element around it.
    pub(crate) fn mathml_fragment(&self) -> String {
        mathml::write(&layout(self, Style::Stacked))
    }
}

/// Whether the first line of a chain of equations needs a line of its own.
pub(crate) fn is_long(start: &Expr) -> bool {
    start.size() > 20
}

/// A chain of equations with a rule beside each line, as a `<math>` element with a table in it.
pub(crate) fn mathml_chain(start: &Expr, lines: &[(&Expr, &str)]) -> String {
    let first = start.mathml_fragment();
    let mut rows = if is_long(start) {
        format!("<mtr><mtd></mtd><mtd>{first}</mtd><mtd></mtd></mtr>")
    } else {
        format!("<mtr><mtd>{first}</mtd><mtd></mtd><mtd></mtd></mtr>")
    };
    for (line, rule) in lines {
        rows += &format!(
            "<mtr><mtd></mtd><mtd><mo>=</mo>{}</mtd><mtd><mtext>{}</mtext></mtd></mtr>",
            line.mathml_fragment(),
            escape(rule)
        );
    }
    format!(
        r#"<math xmlns="{}" display="block"><mtable displaystyle="true" columnalign="right left left">{rows}</mtable></math>"#,
        mathml::NAMESPACE
    )
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_unicode())
    }
}
