//! Numbers put in for symbols.

use std::collections::BTreeMap;

use super::expr::{Expr, Node};
use super::index::{Index, Kind, Range, Symbol};
use crate::{Error, Result};

/// The numbers behind the symbols: sizes of ranges, arrays by name, and where the free indices point.
#[derive(Clone, Debug, Default)]
pub struct Values {
    sizes: BTreeMap<Range, usize>,
    arrays: BTreeMap<String, Vec<f64>>,
    indices: BTreeMap<Index, usize>,
}

impl Values {
    /// No values.
    pub fn new() -> Self {
        Self::default()
    }

    /// A range has this many elements (0 is allowed: sums over it are 0).
    pub fn size(mut self, range: &Range, elements: usize) -> Self {
        self.sizes.insert(range.clone(), elements);
        self
    }

    /// The numbers of a symbol, in row-major order of its indices; one number for a plain scalar.
    pub fn array(mut self, name: &str, numbers: impl Into<Vec<f64>>) -> Self {
        self.arrays.insert(name.into(), numbers.into());
        self
    }

    /// A free index points to this element, counted from 0.
    pub fn at(mut self, index: &Index, element: usize) -> Self {
        self.indices.insert(index.clone(), element);
        self
    }

    fn size_of(&self, range: &Range) -> Result<usize> {
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

    fn symbol(&self, symbol: &Symbol) -> Result<f64> {
        let array = self.arrays.get(symbol.name()).ok_or_else(|| Error::NoValue {
            what: format!("symbol '{}'", symbol.name()),
        })?;
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
    /// computes `p` before `log`.
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
        let mut values = values.clone();
        evaluate(self, &mut values)
    }
}

fn evaluate(e: &Expr, values: &mut Values) -> Result<f64> {
    Ok(match e.node() {
        Node::Number(n) => n.value(),
        Node::Size(range) => values.size_of(range)? as f64,
        Node::Symbol(symbol) => values.symbol(symbol)?,
        Node::Delta(i, j) => f64::from(u8::from(values.element(i)? == values.element(j)?)),
        Node::Function(f, argument) => f.value(evaluate(argument, values)?),
        Node::Power(base, exponent) => evaluate(base, values)?.powi(*exponent),
        Node::Add(terms) => terms
            .iter()
            .try_fold(0.0, |sum, term| Ok::<_, Error>(sum + evaluate(term, values)?))?,
        Node::Product(factors) => factors.iter().try_fold(1.0, |product, factor| {
            Ok::<_, Error>(product * evaluate(factor, values)?)
        })?,
        Node::Sum { index, body } => {
            let mut sum = 0.0;
            for element in 0..values.size_of(&index.range)? {
                values.indices.insert(index.clone(), element);
                sum += evaluate(body, values)?;
            }
            values.indices.remove(index);
            sum
        }
        Node::Derivative { .. } => {
            return Err(Error::NotWorkedOut {
                expression: e.to_unicode(),
            });
        }
    })
}
