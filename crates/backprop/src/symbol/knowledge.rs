//! What a derivation may use: definitions, results derived before, side conditions, sizes.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::expr::{Expr, Node};
use super::index::{Index, Kind, Range, Symbol};

/// One definition, such as `v_i = tanh(Σ_j A_ij x_j)`.
#[derive(Clone, Debug)]
pub(crate) struct Definition {
    pub(crate) symbol: Symbol,
    pub(crate) body: Expr,
}

/// A derivative that is already known, such as `∂L/∂z_i = (p_i − y_i)/2`.
#[derive(Clone, Debug)]
struct KnownDerivative {
    of: Symbol,
    by: Symbol,
    value: Expr,
}

/// The facts that rules may use.
///
/// A symbol that is neither defined nor the one we differentiate by is a constant; the components of a vector are
/// independent variables.
///
/// ```
/// use backprop::symbol::{Expr, Knowledge, Range, Symbol, differentiate};
/// let inputs = Range::new("inputs");
/// let (i, j) = (inputs.index("i"), inputs.index("j"));
/// let (x_i, x_j) = (Symbol::new("x", [i.clone()]), Symbol::new("x", [j]));
/// // s = Σ_i x_i²   =>   ∂s/∂x_j = 2 x_j
/// let s = Symbol::new("s", []);
/// let known = Knowledge::new().define(&s, Expr::sum(&i, Expr::from(x_i).pow(2)));
/// assert_eq!(differentiate(&s.into(), &x_j, &known)?, Expr::integer(2) * x_j.into());
/// # Ok::<(), backprop::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Knowledge {
    pub(crate) definitions: Vec<Definition>,
    derivatives: Vec<KnownDerivative>,
    /// Derivatives `(of, by)` that stay in the result.
    kept: Vec<(Arc<str>, Arc<str>)>,
    pub(crate) conditions: Vec<(Expr, Expr)>,
    pub(crate) sizes: BTreeMap<Range, u32>,
}

impl Knowledge {
    /// Nothing is known: every symbol is a constant of every other.
    pub fn new() -> Self {
        Self::default()
    }

    /// `symbol = body` for all values of the symbol's (free) indices. A later definition of a name replaces an earlier.
    pub fn define(mut self, symbol: &Symbol, body: Expr) -> Self {
        self.definitions.retain(|d| d.symbol.name != symbol.name);
        self.definitions.push(Definition {
            symbol: symbol.clone(),
            body,
        });
        self
    }

    /// `∂of/∂by = value`, derived before and now used.
    pub fn derived(mut self, of: &Symbol, by: &Symbol, value: Expr) -> Self {
        self.derivatives.push(KnownDerivative {
            of: of.clone(),
            by: by.clone(),
            value,
        });
        self
    }

    /// `∂of/∂by` is computed elsewhere: it stays in the result by this name, and the chain rule leads through `by`. So each
    /// layer of a network is derived from the error that the layer after it hands back, which is what makes
    /// backpropagation cheap. [`Values::derivative`](super::Values::derivative) gives its numbers.
    ///
    /// ```
    /// use backprop::symbol::{Expr, Knowledge, Symbol, differentiate};
    /// let s = |name| Symbol::new(name, []);
    /// let known = Knowledge::new()
    ///     .define(&s("L"), Expr::from(s("v")).exp())
    ///     .define(&s("v"), Expr::from(s("a")).pow(2))
    ///     .keep(&s("L"), &s("v"));
    /// assert_eq!(differentiate(&s("L").into(), &s("a"), &known)?.to_string(), "2 a ∂L/∂v");
    /// # Ok::<(), backprop::Error>(())
    /// ```
    pub fn keep(mut self, of: &Symbol, by: &Symbol) -> Self {
        self.kept.push((of.name.clone(), by.name.clone()));
        self
    }

    /// Whether this derivative is to stay as it is.
    pub(crate) fn is_kept(&self, of: &Expr, by: &Symbol) -> bool {
        matches!(of.node(), Node::Symbol(of) if self.kept.iter().any(|(o, b)| *o == of.name && *b == by.name))
    }

    /// A side condition, used from left to right: `Σ_k y_k = 1`, `y_2 = 1 − y_1`.
    pub fn condition(mut self, left: Expr, right: Expr) -> Self {
        self.conditions.push((left, right));
        self
    }

    /// A range has this many elements, so that sums over it can be written out (those that would become longer than a
    /// million nodes stay as they are).
    pub fn size(mut self, range: &Range, elements: u32) -> Self {
        self.sizes.insert(range.clone(), elements);
        self
    }

    pub(crate) fn definition(&self, name: &str) -> Option<&Definition> {
        self.definitions.iter().find(|d| &*d.symbol.name == name)
    }

    /// Whether the value of an expression changes with the symbol called `name`.
    pub(crate) fn depends(&self, e: &Expr, name: &str) -> bool {
        self.depends_around(e, name, None, self.definitions.len())
    }

    /// The same, with paths through the symbol `around` left out. `fuel` bounds circular definitions.
    fn depends_around(&self, e: &Expr, name: &str, around: Option<&str>, fuel: usize) -> bool {
        let mut found = false;
        e.symbols(&mut |symbol| {
            let other = symbol.name();
            found = found
                || other == name
                || (Some(other) != around
                    && fuel > 0
                    && self
                        .definition(other)
                        .is_some_and(|d| self.depends_around(&d.body, name, around, fuel - 1)));
        });
        found
    }

    /// The value of `∂of/∂by` if it was derived before, with the indices that are asked for.
    pub(crate) fn known_derivative(&self, of: &Symbol, by: &Symbol) -> Option<Expr> {
        let known = self
            .derivatives
            .iter()
            .find(|k| k.of.name == of.name && k.by.name == by.name)?;
        let from = known.of.indices.iter().chain(&known.by.indices);
        let to: Vec<_> = of.indices.iter().chain(&by.indices).collect();
        instantiate(&known.value, &from.collect::<Vec<_>>(), &to)
    }

    /// The variables between `of` and `by`: if every path from `of` to `by` leads through one symbol, that symbol with
    /// running indices opened from `depth` on. A symbol whose derivative is known is preferred.
    pub(crate) fn intermediate(&self, of: &Symbol, by: &Symbol, depth: u32) -> Option<Symbol> {
        let definition = self.definition(&of.name)?;
        let mut direct = Vec::new();
        definition.body.symbols(&mut |s| {
            if !direct.contains(&s.name) && (s.name == by.name || self.depends(&s.clone().into(), &by.name)) {
                direct.push(s.name.clone());
            }
        });
        // The latest result is the one nearest to the variable.
        let kept = self.kept.iter().rev().filter(|(o, _)| *o == of.name).map(|(_, b)| b);
        let derived = self
            .derivatives
            .iter()
            .rev()
            .filter(|k| k.of.name == of.name)
            .map(|k| &k.by.name);
        let via = kept
            .chain(derived)
            .chain(direct.iter().filter(|_| direct.len() == 1))
            .find(|name| {
                **name != by.name
                    && self.depends(&Symbol::new(name, []).into(), &by.name)
                    && !self.depends_around(&definition.body, &by.name, Some(name), self.definitions.len())
            })?;
        let mut place = depth;
        Some(self.definition(via)?.symbol.map_indices(&mut |index| {
            place += 1;
            Index::opened(place - 1, &index.range)
        }))
    }

    /// The body of a symbol's definition, with the symbol's indices put in.
    pub(crate) fn body_of(&self, symbol: &Symbol) -> Option<Expr> {
        let definition = self.definition(&symbol.name)?;
        let from: Vec<_> = definition.symbol.indices.iter().collect();
        instantiate(&definition.body, &from, &symbol.indices.iter().collect::<Vec<_>>())
    }
}

/// Replaces the indices `from` by `to`, all at once (`[i, j] -> [j, i]` swaps).
pub(crate) fn instantiate(e: &Expr, from: &[&Index], to: &[&Index]) -> Option<Expr> {
    if from.len() != to.len() || from.iter().zip(to).any(|(a, b)| a.range != b.range) {
        return None;
    }
    let place = |n: usize, index: &Index| Index {
        kind: Kind::Opened(u32::MAX - n as u32),
        range: index.range.clone(),
    };
    let mut e = e.clone();
    for (n, index) in from.iter().enumerate() {
        e = e.with_index(index, &place(n, index));
    }
    for (n, index) in to.iter().enumerate() {
        e = e.with_index(&place(n, index), index);
    }
    Some(e)
}

/// The nodes that a sum may have when it is written out. The limits of a derivation are looked at between its steps, so a
/// single step must not run out of memory.
pub(super) const WRITTEN_OUT: u64 = 1_000_000;

/// Every element of a finite range put in for the running index of a sum, added up. `None` where that gets too long.
pub(crate) fn written_out(sum: &Expr, elements: u32, depth: u32) -> Option<Expr> {
    let Node::Sum { index, .. } = sum.node() else {
        return None;
    };
    let (opened, body) = sum.open(depth)?;
    if u64::from(elements).saturating_mul(body.size() as u64) > WRITTEN_OUT {
        return None;
    }
    Some(Expr::add(
        (1..=elements).map(|number| body.with_index(&opened, &index.range.element(number))),
    ))
}
