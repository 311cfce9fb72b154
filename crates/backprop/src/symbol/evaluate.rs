//! Numbers put in for symbols.

use std::collections::BTreeMap;

use super::arithmetic::Arithmetic;
use super::expr::{Expr, Function, Node};
use super::index::{Index, Kind, Range, Symbol};
use super::rational::Rational;
use crate::{Error, Result};

/// The numbers behind the symbols: sizes of ranges, arrays by name, and where the free indices point. The numbers are `f64`
/// ([`Values::new`]) or exact fractions ([`Values::exact`]).
#[derive(Clone, Debug)]
pub struct Values<T = f64> {
    sizes: BTreeMap<Range, usize>,
    arrays: BTreeMap<String, Vec<T>>,
    indices: BTreeMap<Index, usize>,
    /// Whether a number that is not finite is an error.
    finite: bool,
}

impl Values<f64> {
    /// No values yet.
    pub fn new() -> Self {
        Self::empty()
    }
}

impl Default for Values<f64> {
    fn default() -> Self {
        Self::empty()
    }
}

impl Values<Rational> {
    /// No values yet; the numbers will be fractions.
    pub fn exact() -> Self {
        Self::empty()
    }
}

impl<T: Arithmetic> Values<T> {
    fn empty() -> Self {
        Values {
            sizes: BTreeMap::new(),
            arrays: BTreeMap::new(),
            indices: BTreeMap::new(),
            finite: false,
        }
    }

    /// A range has this many elements (0 is allowed: sums over it are 0).
    pub fn size(mut self, range: &Range, elements: usize) -> Self {
        self.sizes.insert(range.clone(), elements);
        self
    }

    /// The numbers of a symbol, in row-major order of its indices; one number for a plain scalar.
    pub fn array(mut self, name: &str, numbers: impl Into<Vec<T>>) -> Self {
        self.arrays.insert(name.into(), numbers.into());
        self
    }

    /// The numbers of a derivative that an expression keeps by its name
    /// ([`Knowledge::keep`](super::Knowledge::keep)), in row-major order of the indices of `by`.
    pub fn derivative(self, of: &str, by: &str, numbers: impl Into<Vec<T>>) -> Self {
        self.array(&derivative_name(of, by), numbers)
    }

    /// A free index points to this element, counted from 0.
    pub fn at(mut self, index: &Index, element: usize) -> Self {
        self.indices.insert(index.clone(), element);
        self
    }

    pub(super) fn size_of(&self, range: &Range) -> Result<usize> {
        self.sizes.get(range).copied().ok_or_else(|| Error::NoValue {
            what: format!("size of the range '{}'", range.name()),
        })
    }

    fn element(&self, index: &Index) -> Result<usize> {
        match &index.kind {
            Kind::Literal(number) => (*number as usize).checked_sub(1).ok_or_else(|| Error::NoValue {
                what: "element 0 (elements are counted from 1)".into(),
            }),
            _ => self.indices.get(index).copied().ok_or_else(|| Error::NoValue {
                what: match &index.kind {
                    Kind::Named(name) => format!("free index '{name}'"),
                    _ => format!("running index over '{}' outside its sum", index.range.name()),
                },
            }),
        }
    }

    fn symbol(&self, symbol: &Symbol) -> Result<T> {
        let array = self.arrays.get(symbol.name()).ok_or_else(|| Error::NoValue {
            what: format!("symbol '{}'", symbol.name()),
        })?;
        self.number_of(array, symbol)
    }

    /// The number of an array at a symbol's indices.
    fn number_of(&self, array: &[T], symbol: &Symbol) -> Result<T> {
        let mut offset = 0usize;
        for index in &symbol.indices {
            let (size, element) = (self.size_of(&index.range)?, self.element(index)?);
            if element >= size {
                return Err(Error::NoValue {
                    what: format!(
                        "element {} of '{}', whose range '{}' has {size}",
                        element + 1,
                        symbol.name(),
                        index.range.name()
                    ),
                });
            }
            offset = offset.saturating_mul(size).saturating_add(element);
        }
        array.get(offset).copied().ok_or_else(|| Error::NoValue {
            what: format!(
                "number {} of '{}', of which {} were given",
                offset + 1,
                symbol.name(),
                array.len()
            ),
        })
    }
}

impl Expr {
    /// The value in `f64`, taken literally: `log 0` is −∞ and `0/0` NaN, exactly as the written formula has it. That a
    /// derived formula may overflow where an equal one does not is the reason why [`by_hand`](crate::by_hand) never
    /// computes `p` before `log`; [`Expr::evaluate_finite`] says where it happens.
    ///
    /// ```
    /// use backprop::symbol::{Expr, Range, Symbol, Values};
    /// let classes = Range::new("classes");
    /// let k = classes.index("k");
    /// let sum = Expr::sum(&k, Expr::from(Symbol::new("y", [k.clone()])).pow(2));
    /// assert_eq!(sum.evaluate(&Values::new().size(&classes, 2).array("y", [3.0, 4.0]))?, 25.0);
    /// assert_eq!(sum.evaluate(&Values::new().size(&classes, 0).array("y", []))?, 0.0);
    /// # Ok::<(), backprop::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NoValue`] names the symbol, index or range that has no value; [`Error::NotWorkedOut`] is for a
    /// derivative that is still to be taken.
    pub fn evaluate(&self, values: &Values) -> Result<f64> {
        evaluate(self, &mut values.clone())
    }

    /// The value in `f64`, where every number on the way to it is finite.
    ///
    /// ```
    /// use backprop::symbol::{Expr, Range, Symbol, Values};
    /// let classes = Range::new("classes");
    /// let k = classes.index("k");
    /// let at = |name| Expr::from(Symbol::new(name, [k.clone()]));
    /// let sum = Expr::sum(&k, at("y") * at("p").log());
    /// let values = Values::new().size(&classes, 2).array("y", [1.0, 0.0]).array("p", [1.0, 0.0]);
    /// assert!(sum.evaluate(&values)?.is_nan()); // 0 · log 0
    /// let error = sum.evaluate_finite(&values).unwrap_err();
    /// assert!(error.to_string().starts_with("log p₂: it is -inf"), "{error}");
    /// # Ok::<(), backprop::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Expr::evaluate`]; [`Error::Number`] names the innermost node whose value is infinite or NaN, with its indices.
    pub fn evaluate_finite(&self, values: &Values) -> Result<f64> {
        let mut values = values.clone();
        values.finite = true;
        evaluate(self, &mut values)
    }

    /// The value as an exact fraction, from fractions.
    ///
    /// ```
    /// use backprop::symbol::{Expr, Rational, Symbol, Values};
    /// let (v, y) = (Expr::from(Symbol::new("v", [])), Expr::from(Symbol::new("y", [])));
    /// let values = Values::exact().array("v", [Rational::new(1, 2)?]).array("y", [Rational::new(1, 3)?]);
    /// let slope = y.clone() * (Expr::integer(1) - v.clone().pow(2));
    /// assert_eq!(slope.evaluate_exact(&values)?, Rational::new(1, 4)?);
    /// assert!(v.tanh().evaluate_exact(&values).is_err());
    /// # Ok::<(), backprop::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Expr::evaluate`]; [`Error::NotExact`] for a value that is no fraction of 64-bit numbers.
    pub fn evaluate_exact(&self, values: &Values<Rational>) -> Result<Rational> {
        evaluate(self, &mut values.clone())
    }
}

fn evaluate<T: Arithmetic>(e: &Expr, values: &mut Values<T>) -> Result<T> {
    let value = match e.node() {
        Node::Number(n) => Some(T::fraction(*n)),
        Node::Size(range) => T::whole(values.size_of(range)?),
        Node::Symbol(symbol) => Some(values.symbol(symbol)?),
        Node::Delta(i, j) => T::whole(usize::from(values.element(i)? == values.element(j)?)),
        Node::Function(f, argument) => evaluate(argument, values)?.function(*f),
        Node::Power(base, exponent) => evaluate(base, values)?.power(*exponent),
        Node::Add(terms) => {
            let mut sum = T::whole(0);
            for term in terms {
                let term = evaluate(term, values)?;
                sum = sum.and_then(|sum| sum.plus(term));
            }
            sum
        }
        Node::Product(factors) => {
            let mut product = T::whole(1);
            for factor in factors {
                let factor = evaluate(factor, values)?;
                product = product.and_then(|product| product.times(factor));
            }
            product
        }
        Node::Sum { index, body } => {
            let mut sum = T::whole(0);
            for element in 0..values.size_of(&index.range)? {
                values.indices.insert(index.clone(), element);
                let term = evaluate(body, values)?;
                sum = sum.and_then(|sum| sum.plus(term));
            }
            values.indices.remove(index);
            sum
        }
        Node::Derivative { of, by } => {
            let kept = match of.node() {
                Node::Symbol(of) => values.arrays.get(&derivative_name(of.name(), by.name())),
                _ => None,
            };
            let Some(array) = kept else {
                return Err(Error::NotWorkedOut {
                    expression: e.to_unicode(),
                });
            };
            Some(values.number_of(array, by)?)
        }
    };
    match value {
        None => Err(Error::NotExact {
            expression: with_elements(e, values).to_unicode(),
        }),
        Some(value) if values.finite && !value.is_finite() => Err(not_finite(e, value, values)),
        Some(value) => Ok(value),
    }
}

/// The expression with the elements that its indices point to, for a message: `log p₂` for `log p_i`.
fn with_elements<T>(e: &Expr, values: &Values<T>) -> Expr {
    values.indices.iter().fold(e.clone(), |e, (index, &element)| {
        let number = u32::try_from(element + 1).unwrap_or(u32::MAX);
        e.with_index(index, &index.range.element(number))
    })
}

fn not_finite<T: Arithmetic>(e: &Expr, value: T, values: &Values<T>) -> Error {
    let way_out = match e.node() {
        Node::Function(Function::Log, _) => {
            "the logarithm of a probability that is 0 as a number; compute log p as z − max z − log Σ exp(z − max z), which is finite"
        }
        Node::Function(Function::Exp, _) => "the exponential of a large number; subtract the largest one first",
        Node::Power(_, n) if *n < 0 => {
            "a division by 0; cancel the denominator first, as in ∂L/∂z = (p − y)/2, which divides by nothing"
        }
        _ => "give finite numbers to `Values`",
    };
    Error::Number {
        node: with_elements(e, values).to_unicode(),
        what: format!("it is {value:?}, {way_out}"),
    }
}

/// Under which name the numbers of a derivative are kept.
fn derivative_name(of: &str, by: &str) -> String {
    format!("∂{of}/∂{by}")
}
