//! Indices, the ranges they run over, and the indexed scalars they belong to.

use std::sync::Arc;

/// What an index counts: the classes, the hidden neurons, the inputs. Two indices can be equal only within one range.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Range(pub(crate) Arc<str>);

impl Range {
    /// A range of this name.
    pub fn new(name: &str) -> Self {
        Range(name.into())
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.0
    }

    /// A free index of this range, such as the `i` of `p_i`.
    pub fn index(&self, name: &str) -> Index {
        Index {
            kind: Kind::Named(name.into()),
            range: self.clone(),
        }
    }

    /// One fixed element, counted from 1 as in mathematics: the 2 of `p_2`.
    pub fn element(&self, number: u32) -> Index {
        Index {
            kind: Kind::Literal(number),
            range: self.clone(),
        }
    }
}

/// The `i` of `p_i`: a free letter, a fixed element, or the running index of a sum.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Index {
    pub(crate) kind: Kind,
    pub(crate) range: Range,
}

/// How an index is known.
///
/// The running index of a sum has no letter of its own. Inside its sum it is called by the *height* of the sum (1 for
/// a sum that contains no other sum), which depends on nothing outside: `Σ_k y_k` and `Σ_m y_m` are the same value in
/// memory, and moving a sum into another one captures nothing. Letters are given out when an expression is printed.
/// While a rule works inside a sum, the running index is `Opened` under the number of sums around it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Literal(u32),
    Named(Arc<str>),
    Opened(u32),
    Bound(u32),
}

impl Index {
    /// What this index counts.
    pub fn range(&self) -> &Range {
        &self.range
    }

    pub(crate) fn opened(depth: u32, range: &Range) -> Self {
        Index {
            kind: Kind::Opened(depth),
            range: range.clone(),
        }
    }

    pub(crate) fn bound(height: u32, range: &Range) -> Self {
        Index {
            kind: Kind::Bound(height),
            range: range.clone(),
        }
    }
}

/// An indexed scalar: `L`, `p_i`, `A_ij`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Symbol {
    pub(crate) name: Arc<str>,
    pub(crate) indices: Vec<Index>,
}

impl Symbol {
    /// The scalar `name` with these indices (none for a plain scalar).
    ///
    /// ```
    /// use backprop::symbol::{Expr, Range, Symbol};
    /// let (hidden, inputs) = (Range::new("hidden"), Range::new("inputs"));
    /// let a = Symbol::new("A", [hidden.index("i"), inputs.index("j")]);
    /// assert_eq!(Expr::from(a).to_string(), "Aᵢⱼ");
    /// ```
    pub fn new(name: &str, indices: impl IntoIterator<Item = Index>) -> Self {
        Symbol {
            name: name.into(),
            indices: indices.into_iter().collect(),
        }
    }

    /// The letter, without indices.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The indices, left to right.
    pub fn indices(&self) -> &[Index] {
        &self.indices
    }

    pub(crate) fn map_indices(&self, change: &mut dyn FnMut(&Index) -> Index) -> Symbol {
        Symbol {
            name: self.name.clone(),
            indices: self.indices.iter().map(change).collect(),
        }
    }
}
