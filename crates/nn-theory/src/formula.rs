//! Counts that can explain themselves: a number together with the expression that it comes from.

use crate::error::Problem;
use std::fmt;

/// One number in a formula, with the name it has in the layer and what it means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Term {
    /// Name of the number, such as `inputs` or `filters`.
    pub symbol: String,
    /// Its value.
    pub value: u64,
    /// What it is, in words.
    pub meaning: String,
}

serialize_fields!(Term { symbol, value, meaning });

/// A sum, product or number; the tree of a formula.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expr {
    /// A number with its name.
    Number(Term),
    /// A sum of at least one part.
    Sum(Vec<Expr>),
    /// A product of at least one part.
    Product(Vec<Expr>),
}

/// A number with its name and meaning.
pub(crate) fn num(value: u64, symbol: &str, meaning: &str) -> Expr {
    Expr::Number(Term {
        symbol: symbol.to_owned(),
        value,
        meaning: meaning.to_owned(),
    })
}

/// The 1 that stands for the bias in `(inputs + 1) × units`.
pub(crate) fn bias_one() -> Expr {
    num(1, "1", "the bias")
}

impl Expr {
    /// The value; an error that names `what` when it leaves 64 bits.
    pub(crate) fn checked(&self, what: &str) -> Result<u64, Problem> {
        self.evaluate().ok_or_else(|| Problem::too_large(what))
    }

    /// The value, or `None` when it (or a part of it) leaves 64 bits.
    pub fn evaluate(&self) -> Option<u64> {
        match self {
            Self::Number(term) => Some(term.value),
            Self::Sum(parts) => parts
                .iter()
                .try_fold(0u64, |sum, part| sum.checked_add(part.evaluate()?)),
            Self::Product(parts) => parts
                .iter()
                .try_fold(1u64, |product, part| product.checked_mul(part.evaluate()?)),
        }
    }

    /// The expression with each number written by `show`.
    fn write(&self, show: &dyn Fn(&Term) -> String, times: &str, inside_product: bool) -> String {
        match self {
            Self::Number(term) => show(term),
            Self::Sum(parts) => {
                let text = parts
                    .iter()
                    .map(|part| part.write(show, times, false))
                    .collect::<Vec<_>>()
                    .join(" + ");
                if inside_product && parts.len() > 1 {
                    format!("({text})")
                } else {
                    text
                }
            }
            Self::Product(parts) => parts
                .iter()
                .map(|part| part.write(show, times, true))
                .collect::<Vec<_>>()
                .join(times),
        }
    }

    fn collect_terms(&self, terms: &mut Vec<Term>) {
        match self {
            Self::Number(term) => {
                if !terms.contains(term) {
                    terms.push(term.clone());
                }
            }
            Self::Sum(parts) | Self::Product(parts) => parts.iter().for_each(|part| part.collect_terms(terms)),
        }
    }
}

/// An expression with its value.
///
/// Its `Display` is the retraced count: `(1024 + 1) × 2 = 2,050`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Formula {
    expression: Expr,
    value: u64,
}

impl Formula {
    pub(crate) fn new(expression: Expr, what: &str) -> Result<Self, Problem> {
        let value = expression.checked(what)?;
        Ok(Self { expression, value })
    }

    /// The tree of the formula.
    pub fn expression(&self) -> &Expr {
        &self.expression
    }

    /// The value of the formula.
    pub fn value(&self) -> u64 {
        self.value
    }

    /// The numbers of the formula in the order of their appearance, each once.
    pub fn terms(&self) -> Vec<Term> {
        let mut terms = Vec::new();
        self.expression.collect_terms(&mut terms);
        terms
    }

    /// The formula in figures without its result: `(1024 + 1) × 2`.
    pub fn figures(&self) -> String {
        self.expression.write(&|term| term.value.to_string(), " × ", false)
    }

    /// The formula in names: `(inputs + 1) × units`.
    pub fn symbols(&self) -> String {
        self.expression.write(&|term| term.symbol.clone(), " × ", false)
    }

    /// The formula in names, in LaTeX: `(\text{inputs} + 1) \cdot \text{units}`.
    pub fn latex_symbols(&self) -> String {
        let name = |term: &Term| match term.symbol.parse::<u64>() {
            Ok(number) => number.to_string(),
            Err(_) => format!(r"\text{{{}}}", term.symbol.replace('_', " ")),
        };
        self.expression.write(&name, r" \cdot ", false)
    }

    /// The formula in figures with its result, in LaTeX.
    pub fn latex(&self) -> String {
        let left = self.expression.write(&|term| term.value.to_string(), r" \cdot ", false);
        format!("{left} = {}", with_separators(self.value).replace(',', "{,}"))
    }
}

impl fmt::Display for Formula {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.expression {
            Expr::Number(term) => f.write_str(&with_separators(term.value)),
            _ => write!(f, "{} = {}", self.figures(), with_separators(self.value)),
        }
    }
}

/// A number with a comma between thousands, as Python's `"{:,}"` writes it.
///
/// ```
/// assert_eq!(nn_theory::with_separators(2050), "2,050");
/// ```
pub fn with_separators(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
