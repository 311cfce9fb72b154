//! The expression tree and its constructors, which keep every expression in one written order.

use std::collections::BTreeSet;
use std::fmt;
use std::ops;
use std::sync::Arc;

use super::index::{Index, Kind, Range, Symbol};
use super::kinds::Kinds;
use super::rational::Rational;
use crate::Result;

/// An elementary function of one argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Function {
    /// The natural logarithm.
    Log,
    /// The exponential function.
    Exp,
    /// The hyperbolic tangent, the activation of the exercise's hidden layer.
    Tanh,
    /// The logistic function `σ(x) = 1 / (1 + exp(−x))`.
    Sigmoid,
    /// `relu(x) = max(x, 0)`.
    Relu,
    /// `[x > 0]`: 1 for positive numbers, else 0. The slope of ReLU, with 0 at the kink as in Keras and PyTorch
    /// (candle takes 1 there).
    Step,
}

impl Function {
    /// The name as it is printed.
    pub fn name(self) -> &'static str {
        match self {
            Function::Log => "log",
            Function::Exp => "exp",
            Function::Tanh => "tanh",
            Function::Sigmoid => "σ",
            Function::Relu => "relu",
            Function::Step => "step",
        }
    }

    /// The function's value.
    pub fn value(self, x: f64) -> f64 {
        match self {
            Function::Log => x.ln(),
            Function::Exp => x.exp(),
            Function::Tanh => x.tanh(),
            // exp is taken of negative numbers only, so that nothing overflows.
            Function::Sigmoid if x < 0.0 => x.exp() / (1.0 + x.exp()),
            Function::Sigmoid => 1.0 / (1.0 + (-x).exp()),
            Function::Relu if x.is_nan() => x,
            Function::Relu => x.max(0.0),
            Function::Step => f64::from(u8::from(x > 0.0)),
        }
    }

    /// The value at a fraction, where it is a fraction itself.
    pub(crate) fn exact(self, x: Rational) -> Option<Rational> {
        match (self, x) {
            (Function::Log, Rational::ONE) | (Function::Tanh, Rational::ZERO) => Some(Rational::ZERO),
            (Function::Exp, Rational::ZERO) => Some(Rational::ONE),
            (Function::Sigmoid, Rational::ZERO) => Rational::new(1, 2).ok(),
            (Function::Relu, _) => Some(x.max(Rational::ZERO)),
            (Function::Step, _) if x > Rational::ZERO => Some(Rational::ONE),
            (Function::Step, _) => Some(Rational::ZERO),
            _ => None,
        }
    }

    /// The derivative, written with the function itself where it can be, so that a name of its value can be put back:
    /// `1/u`, `exp u`, `1 − tanh² u`, `σ(u) (1 − σ(u))`, `[relu(u) > 0]`, and 0 for the steps.
    pub(crate) fn derivative(self, u: &Expr) -> Expr {
        let value = || Expr::function(self, u.clone());
        match self {
            Function::Log => u.clone().pow(-1),
            Function::Exp => value(),
            Function::Tanh => Expr::integer(1) - value().pow(2),
            Function::Sigmoid => value() * (Expr::integer(1) - value()),
            Function::Relu => Expr::function(Function::Step, value()),
            Function::Step => Expr::integer(0),
        }
    }
}

/// An expression over indexed scalars, as a value that can be compared, ordered, differentiated and printed.
///
/// Only the *writing* is canonical from the start: sums and products are flat, sorted, free of 0 + and 1 ·, with their
/// plain numbers gathered in one, and integer powers of products are powers of the factors. Nothing that a reader would
/// call a step happens in a constructor; that is what the rules of [`simplify`](super::simplify) are for.
///
/// ```
/// use backprop::symbol::{Expr, Range, Symbol};
/// let classes = Range::new("classes");
/// let y = |letter| Expr::from(Symbol::new("y", [classes.index(letter)]));
/// // The name of a running index is not part of a sum.
/// assert_eq!(Expr::sum(&classes.index("k"), y("k")), Expr::sum(&classes.index("m"), y("m")));
/// assert_eq!((y("i") + Expr::integer(2) * y("j")).to_string(), "yᵢ + 2 yⱼ");
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Expr(Arc<Tree>);

/// A node with what is asked of its tree so often that it is found out once.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Tree {
    // First, so that the order of expressions is that of their nodes.
    node: Node,
    kinds: Kinds,
    height: u32,
}

impl fmt::Debug for Expr {
    /// As [`Display`](fmt::Display): a tree of nodes helps nobody.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Node {
    Number(Rational),
    Size(Range),
    Symbol(Symbol),
    Delta(Index, Index),
    Function(Function, Expr),
    Power(Expr, i32),
    Add(Vec<Expr>),
    Product(Vec<Expr>),
    Sum { index: Index, body: Expr },
    Derivative { of: Expr, by: Symbol },
}

impl Node {
    fn kind(&self) -> Kinds {
        match self {
            Node::Number(_) | Node::Symbol(_) => Kinds::NONE,
            Node::Size(_) => Kinds::SIZE,
            Node::Delta(..) => Kinds::DELTA,
            Node::Function(..) => Kinds::FUNCTION,
            Node::Power(..) => Kinds::POWER,
            Node::Add(_) => Kinds::ADD,
            Node::Product(_) => Kinds::PRODUCT,
            Node::Sum { .. } => Kinds::SUM,
            Node::Derivative { .. } => Kinds::DERIVATIVE,
        }
    }

    fn for_each_child(&self, visit: &mut dyn FnMut(&Expr)) {
        match self {
            Node::Number(_) | Node::Size(_) | Node::Symbol(_) | Node::Delta(..) => {}
            Node::Function(_, child) | Node::Power(child, _) => visit(child),
            Node::Sum { body: child, .. } | Node::Derivative { of: child, .. } => visit(child),
            Node::Add(children) | Node::Product(children) => children.iter().for_each(visit),
        }
    }
}

impl From<Symbol> for Expr {
    fn from(symbol: Symbol) -> Self {
        Expr::new(Node::Symbol(symbol))
    }
}

impl From<Rational> for Expr {
    fn from(value: Rational) -> Self {
        Expr::new(Node::Number(value))
    }
}

impl Expr {
    fn new(node: Node) -> Self {
        let mut kinds = node.kind();
        let mut height = 0;
        node.for_each_child(&mut |child| {
            kinds = kinds.and(child.0.kinds);
            height = height.max(child.0.height);
        });
        height += u32::from(matches!(node, Node::Sum { .. }));
        Expr(Arc::new(Tree { node, kinds, height }))
    }

    pub(crate) fn node(&self) -> &Node {
        &self.0.node
    }

    /// Where in memory the tree is: the same for clones, and for no other expression while this one lives.
    pub(crate) fn place(&self) -> usize {
        Arc::as_ptr(&self.0) as usize
    }

    /// For a sum: its running index and its body as they are stored. For looking only; what is changed has to be opened.
    pub(crate) fn closed(&self) -> Option<(&Index, &Expr)> {
        match self.node() {
            Node::Sum { index, body } => Some((index, body)),
            _ => None,
        }
    }

    /// The kinds of nodes in the tree.
    pub(crate) fn kinds(&self) -> Kinds {
        self.0.kinds
    }

    /// A whole number.
    pub fn integer(value: i64) -> Self {
        Rational::from(value).into()
    }

    /// An exact fraction.
    ///
    /// # Errors
    /// [`Error::Fraction`](crate::Error::Fraction) for a denominator of 0.
    pub fn fraction(numerator: i64, denominator: i64) -> Result<Self> {
        Rational::new(numerator, denominator).map(Into::into)
    }

    /// How many elements a range has, as a symbol: the value of `Σ_k 1`.
    pub fn size_of(range: &Range) -> Self {
        Expr::new(Node::Size(range.clone()))
    }

    /// Kronecker's delta `δ_ij`: 1 for equal indices, else 0. Equal letters and two fixed elements are decided at once.
    pub fn delta(i: &Index, j: &Index) -> Self {
        match (&i.kind, &j.kind) {
            _ if i == j => Expr::integer(1),
            (Kind::Literal(_), Kind::Literal(_)) => Expr::integer(0),
            _ => Expr::new(Node::Delta(i.min(j).clone(), i.max(j).clone())),
        }
    }

    /// `f(argument)`; worked out where the argument is a number and the value a fraction (`log 1`, `exp 0`, `σ(0)`, …).
    pub fn function(f: Function, argument: Expr) -> Self {
        match argument.number().and_then(|x| f.exact(x)) {
            Some(value) => value.into(),
            None => Expr::new(Node::Function(f, argument)),
        }
    }

    /// `log(self)`.
    pub fn log(self) -> Self {
        Expr::function(Function::Log, self)
    }

    /// `exp(self)`.
    pub fn exp(self) -> Self {
        Expr::function(Function::Exp, self)
    }

    /// `tanh(self)`.
    pub fn tanh(self) -> Self {
        Expr::function(Function::Tanh, self)
    }

    /// `σ(self)`.
    pub fn sigmoid(self) -> Self {
        Expr::function(Function::Sigmoid, self)
    }

    /// `relu(self)`.
    pub fn relu(self) -> Self {
        Expr::function(Function::Relu, self)
    }

    /// A power with a whole exponent; negative ones are division.
    pub fn pow(self, exponent: i32) -> Self {
        match (exponent, self.node()) {
            (0, _) => return Expr::integer(1),
            (1, _) => return self,
            (_, Node::Number(base)) => {
                if let Some(value) = base.checked_pow(exponent) {
                    return value.into();
                }
            }
            (_, Node::Power(base, inner)) => {
                if let Some(exponent) = inner.checked_mul(exponent) {
                    return base.clone().pow(exponent);
                }
            }
            (_, Node::Product(factors)) => return Expr::product(factors.iter().map(|f| f.clone().pow(exponent))),
            // δ is 0 or 1, and so are its positive powers.
            (1.., Node::Delta(..)) => return self,
            _ => {}
        }
        Expr::new(Node::Power(self, exponent))
    }

    /// The sum of a list of terms.
    pub fn add(terms: impl IntoIterator<Item = Expr>) -> Self {
        let mut flat = Vec::new();
        let mut constant = Rational::ZERO;
        let mut collect = |term: Expr| match term.number().map(|n| constant.checked_add(n)) {
            Some(Some(total)) => constant = total,
            _ => flat.push(term),
        };
        for term in terms {
            match term.node() {
                Node::Add(inner) => inner.iter().cloned().for_each(&mut collect),
                _ => collect(term),
            }
        }
        if constant != Rational::ZERO {
            flat.push(constant.into());
        }
        flat.sort_by_cached_key(|term| {
            let (coefficient, factors) = term.coefficient_and_factors();
            (factors, coefficient)
        });
        match flat.len() {
            0 => Expr::integer(0),
            1 => flat.remove(0),
            _ => Expr::new(Node::Add(flat)),
        }
    }

    /// The product of a list of factors.
    pub fn product(factors: impl IntoIterator<Item = Expr>) -> Self {
        let mut flat = Vec::new();
        let mut constant = Rational::ONE;
        let mut collect = |factor: Expr| match factor.number().map(|n| constant.checked_mul(n)) {
            Some(Some(total)) => constant = total,
            _ => flat.push(factor),
        };
        for factor in factors {
            match factor.node() {
                Node::Product(inner) => inner.iter().cloned().for_each(&mut collect),
                _ => collect(factor),
            }
        }
        if constant == Rational::ZERO {
            return Expr::integer(0);
        }
        flat.sort();
        if constant != Rational::ONE {
            flat.insert(0, constant.into());
        }
        match flat.len() {
            0 => Expr::integer(1),
            1 => flat.remove(0),
            _ => Expr::new(Node::Product(flat)),
        }
    }

    /// The sum of `body` over all values of a free index, which is bound by it: `Σ_index body`.
    pub fn sum(index: &Index, body: Expr) -> Self {
        if body.is_zero() {
            return body;
        }
        let bound = Index::bound(body.height() + 1, &index.range);
        Expr::new(Node::Sum {
            body: body.with_index(index, &bound),
            index: bound,
        })
    }

    /// The derivative `∂ of / ∂ by`, not yet worked out.
    pub fn derivative(of: Expr, by: &Symbol) -> Self {
        Expr::new(Node::Derivative { of, by: by.clone() })
    }

    /// The number, if the expression is one.
    pub fn number(&self) -> Option<Rational> {
        match self.node() {
            Node::Number(n) => Some(*n),
            _ => None,
        }
    }

    /// Whether the expression is the number 0.
    pub fn is_zero(&self) -> bool {
        self.number() == Some(Rational::ZERO)
    }

    /// The number of nodes of the tree.
    pub fn size(&self) -> usize {
        let mut size = 1;
        self.for_each_child(&mut |child| size += child.size());
        size
    }

    /// Whether an index occurs outside the sums that bind it.
    pub fn mentions(&self, index: &Index) -> bool {
        let mut found = match self.node() {
            Node::Symbol(symbol) => symbol.indices.contains(index),
            Node::Delta(i, j) => i == index || j == index,
            Node::Derivative { by, .. } => by.indices.contains(index),
            _ => false,
        };
        self.for_each_child(&mut |child| found = found || child.mentions(index));
        found
    }

    /// The expression with a free index replaced by another.
    pub fn with_index(&self, from: &Index, to: &Index) -> Expr {
        self.replaced(from, to).unwrap_or_else(|| self.clone())
    }

    /// The same; `None` where the index does not occur.
    fn replaced(&self, from: &Index, to: &Index) -> Option<Expr> {
        let change = |i: &Index| if i == from { to.clone() } else { i.clone() };
        match self.node() {
            Node::Number(_) | Node::Size(_) => None,
            Node::Symbol(symbol) => symbol
                .indices
                .contains(from)
                .then(|| symbol.map_indices(&mut { change }).into()),
            Node::Delta(i, j) => (i == from || j == from).then(|| Expr::delta(&change(i), &change(j))),
            Node::Derivative { of, by } => {
                let of_replaced = of.replaced(from, to);
                let mentioned = of_replaced.is_some() || by.indices.contains(from);
                let by = || by.map_indices(&mut { change });
                mentioned.then(|| Expr::derivative(of_replaced.unwrap_or_else(|| of.clone()), &by()))
            }
            _ => {
                let mut found = false;
                let mut children = Vec::new();
                self.for_each_child(&mut |child| {
                    let replaced = child.replaced(from, to);
                    found |= replaced.is_some();
                    children.push(replaced);
                });
                let mut children = children.into_iter();
                found
                    .then(|| self.map_children(&mut |child| children.next().flatten().unwrap_or_else(|| child.clone())))
            }
        }
    }

    /// The same node with changed children. The children of a sum are changed in place: `change` must not add sums to
    /// them, or the name of the running index could be taken twice (the rules open the sum first).
    pub(crate) fn map_children(&self, change: &mut dyn FnMut(&Expr) -> Expr) -> Expr {
        match self.node() {
            Node::Number(_) | Node::Size(_) | Node::Symbol(_) | Node::Delta(..) => self.clone(),
            Node::Function(f, argument) => Expr::function(*f, change(argument)),
            Node::Power(base, exponent) => change(base).pow(*exponent),
            Node::Add(terms) => Expr::add(terms.iter().map(change)),
            Node::Product(factors) => Expr::product(factors.iter().map(change)),
            Node::Sum { index, body } => Expr::sum(index, change(body)),
            Node::Derivative { of, by } => Expr::derivative(change(of), by),
        }
    }

    pub(crate) fn for_each_child(&self, visit: &mut dyn FnMut(&Expr)) {
        self.node().for_each_child(visit);
    }

    /// How deep sums are nested: 0 for none.
    fn height(&self) -> u32 {
        self.0.height
    }

    /// For a sum: its running index, opened at this depth, and the body that speaks of it.
    pub(crate) fn open(&self, depth: u32) -> Option<(Index, Expr)> {
        let Node::Sum { index, body } = self.node() else {
            return None;
        };
        let opened = Index::opened(depth, &index.range);
        Some((opened.clone(), body.with_index(index, &opened)))
    }

    /// `3 a b` as `(3, [a, b])`.
    pub(crate) fn coefficient_and_factors(&self) -> (Rational, Vec<Expr>) {
        match self.node() {
            Node::Number(n) => (*n, Vec::new()),
            Node::Product(factors) => match factors[0].number() {
                Some(n) => (n, factors[1..].to_vec()),
                None => (Rational::ONE, factors.clone()),
            },
            _ => (Rational::ONE, vec![self.clone()]),
        }
    }

    /// The factors of a product; any other expression is its own only factor.
    pub(crate) fn factors(&self) -> &[Expr] {
        match self.node() {
            Node::Product(factors) => factors,
            _ => std::slice::from_ref(self),
        }
    }

    /// The terms of a sum of terms; any other expression is its own only term.
    pub(crate) fn terms(&self) -> &[Expr] {
        match self.node() {
            Node::Add(terms) => terms,
            _ => std::slice::from_ref(self),
        }
    }

    /// `u^n` as `(u, n)`.
    pub(crate) fn base_and_exponent(&self) -> (Expr, i32) {
        match self.node() {
            Node::Power(base, exponent) => (base.clone(), *exponent),
            _ => (self.clone(), 1),
        }
    }

    /// Every index that occurs, also running ones of inner sums.
    pub(crate) fn indices(&self, found: &mut BTreeSet<Index>) {
        match self.node() {
            Node::Symbol(symbol) => found.extend(symbol.indices.iter().cloned()),
            Node::Delta(i, j) => found.extend([i.clone(), j.clone()]),
            Node::Derivative { by, .. } => found.extend(by.indices.iter().cloned()),
            _ => {}
        }
        self.for_each_child(&mut |child| child.indices(found));
    }

    /// Visits every symbol.
    pub(crate) fn symbols(&self, visit: &mut dyn FnMut(&Symbol)) {
        if let Node::Symbol(symbol) = self.node() {
            visit(symbol);
        }
        self.for_each_child(&mut |child| child.symbols(visit));
    }
}

impl ops::Add for Expr {
    type Output = Expr;
    fn add(self, other: Expr) -> Expr {
        Expr::add([self, other])
    }
}

impl ops::Sub for Expr {
    type Output = Expr;
    fn sub(self, other: Expr) -> Expr {
        Expr::add([self, -other])
    }
}

impl ops::Neg for Expr {
    type Output = Expr;
    fn neg(self) -> Expr {
        Expr::product([Expr::integer(-1), self])
    }
}

impl ops::Mul for Expr {
    type Output = Expr;
    fn mul(self, other: Expr) -> Expr {
        Expr::product([self, other])
    }
}

impl ops::Div for Expr {
    type Output = Expr;
    /// `self · other⁻¹`; dividing by 0 is written, not worked out, and evaluates to infinity or NaN.
    fn div(self, other: Expr) -> Expr {
        Expr::product([self, other.pow(-1)])
    }
}
