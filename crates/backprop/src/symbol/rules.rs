//! The rules of differentiation, each as one rewriting of one `∂ … / ∂ …`.
//!
//! A derivative is part of the expression until a rule has worked it out; so differentiation and simplification are the
//! same activity, and both leave the same kind of trail.

use super::expr::{Expr, Function, Node};
use super::index::Symbol;
use super::kinds::Kinds;
use super::knowledge::Knowledge;

/// A law of calculus or algebra that rewrites one node of an expression into an equal one.
pub(crate) struct Rule {
    pub(crate) name: &'static str,
    pub(crate) sentence: &'static str,
    /// The kinds of nodes that it rewrites; `None` for every node.
    pub(crate) on: Option<Kinds>,
    /// The kinds that must be in such a node's tree.
    pub(crate) with: Kinds,
    pub(crate) apply: fn(&Expr, &Knowledge, u32) -> Option<Expr>,
}

impl Rule {
    /// Whether it may fit somewhere in an expression.
    pub(crate) fn may_fit(&self, e: &Expr) -> bool {
        self.on.is_none_or(|on| e.kinds().has_any(on)) && e.kinds().has_all(self.with)
    }
}

pub(crate) const DIFFERENTIATION: &[Rule] = &[
    Rule {
        name: "derivative of a constant",
        sentence: "What does not contain the variable does not change with it: its derivative is 0.",
        on: Some(Kinds::DERIVATIVE),
        with: Kinds::NONE,
        apply: constant,
    },
    Rule {
        name: "Kronecker's δ",
        sentence: "The components are independent variables: the derivative of one by another is Kronecker's δ, 1 where the indices agree and 0 elsewhere.",
        on: Some(Kinds::DERIVATIVE),
        with: Kinds::NONE,
        apply: component,
    },
    Rule {
        name: "use what was derived",
        sentence: "This derivative is known from an earlier part; its result is put in.",
        on: Some(Kinds::DERIVATIVE),
        with: Kinds::NONE,
        apply: known,
    },
    Rule {
        name: "chain rule",
        sentence: "Everything that flows from the variable to the result passes through the quantity in between: multiply the two derivatives and add over all its components.",
        on: Some(Kinds::DERIVATIVE),
        with: Kinds::NONE,
        apply: chain,
    },
    Rule {
        name: "insert the definition",
        sentence: "Replace the quantity by its definition.",
        on: Some(Kinds::DERIVATIVE),
        with: Kinds::NONE,
        apply: definition,
    },
    Rule {
        name: "sum rule",
        sentence: "The derivative of a sum is the sum of the derivatives.",
        on: Some(Kinds::DERIVATIVE),
        with: Kinds::NONE,
        apply: sum_of_terms,
    },
    Rule {
        name: "sum rule under Σ",
        sentence: "A sum over an index is differentiated term by term.",
        on: Some(Kinds::DERIVATIVE),
        with: Kinds::NONE,
        apply: sum_over_index,
    },
    Rule {
        name: "constant factor",
        sentence: "Factors that do not contain the variable stay in front of the derivative.",
        on: Some(Kinds::DERIVATIVE),
        with: Kinds::NONE,
        apply: constant_factor,
    },
    Rule {
        name: "product rule",
        sentence: "(u w)′ = u′ w + u w′.",
        on: Some(Kinds::DERIVATIVE),
        with: Kinds::NONE,
        apply: product,
    },
    Rule {
        name: "power rule",
        sentence: "(uⁿ)′ = n uⁿ⁻¹ u′; n = −1 is the rule for a denominator.",
        on: Some(Kinds::DERIVATIVE),
        with: Kinds::NONE,
        apply: power,
    },
    Rule {
        name: "derivative of log",
        sentence: "(log u)′ = u′ / u.",
        on: Some(Kinds::DERIVATIVE),
        with: Kinds::NONE,
        apply: log,
    },
    Rule {
        name: "derivative of exp",
        sentence: "(exp u)′ = exp(u) u′.",
        on: Some(Kinds::DERIVATIVE),
        with: Kinds::NONE,
        apply: exp,
    },
    Rule {
        name: "derivative of tanh",
        sentence: "(tanh u)′ = (1 − tanh² u) u′.",
        on: Some(Kinds::DERIVATIVE),
        with: Kinds::NONE,
        apply: tanh,
    },
    Rule {
        name: "derivative of σ",
        sentence: "σ(u)′ = σ(u) (1 − σ(u)) u′.",
        on: Some(Kinds::DERIVATIVE),
        with: Kinds::NONE,
        apply: sigmoid,
    },
    Rule {
        name: "derivative of relu",
        sentence: "relu(u)′ = [relu(u) > 0] u′: the slope is 1 where the neuron is active, else 0 (0 is taken at the kink as well).",
        on: Some(Kinds::DERIVATIVE),
        with: Kinds::NONE,
        apply: relu,
    },
    Rule {
        name: "derivative of a step",
        sentence: "Left and right of its jump a step is flat: its derivative is 0.",
        on: Some(Kinds::DERIVATIVE),
        with: Kinds::NONE,
        apply: step,
    },
];

fn derivative(e: &Expr) -> Option<(&Expr, &Symbol)> {
    match e.node() {
        Node::Derivative { of, by } => Some((of, by)),
        _ => None,
    }
}

fn derivative_of_symbol(e: &Expr) -> Option<(&Symbol, &Symbol)> {
    let (of, by) = derivative(e)?;
    match of.node() {
        Node::Symbol(symbol) => Some((symbol, by)),
        _ => None,
    }
}

fn constant(e: &Expr, known: &Knowledge, _: u32) -> Option<Expr> {
    let (of, by) = derivative(e)?;
    (!known.depends(of, &by.name)).then(|| Expr::integer(0))
}

fn component(e: &Expr, _: &Knowledge, _: u32) -> Option<Expr> {
    let (of, by) = derivative_of_symbol(e)?;
    let pairs = of.indices.iter().zip(&by.indices);
    (of.name == by.name && of.indices.len() == by.indices.len())
        .then(|| Expr::product(pairs.map(|(i, j)| Expr::delta(i, j))))
}

fn known(e: &Expr, known: &Knowledge, _: u32) -> Option<Expr> {
    let (of, by) = derivative_of_symbol(e)?;
    known.known_derivative(of, by)
}

fn chain(e: &Expr, known: &Knowledge, depth: u32) -> Option<Expr> {
    let (of, by) = derivative_of_symbol(e)?;
    let via = known.intermediate(of, by, depth)?;
    let product = Expr::derivative(of.clone().into(), &via) * Expr::derivative(via.clone().into(), by);
    Some(
        via.indices
            .iter()
            .rev()
            .fold(product, |body, index| Expr::sum(index, body)),
    )
}

fn definition(e: &Expr, known: &Knowledge, _: u32) -> Option<Expr> {
    let (of, by) = derivative_of_symbol(e)?;
    (of.name != by.name).then_some(())?;
    Some(Expr::derivative(known.body_of(of)?, by))
}

fn sum_of_terms(e: &Expr, _: &Knowledge, _: u32) -> Option<Expr> {
    let (of, by) = derivative(e)?;
    let Node::Add(terms) = of.node() else { return None };
    Some(Expr::add(terms.iter().map(|term| Expr::derivative(term.clone(), by))))
}

fn sum_over_index(e: &Expr, _: &Knowledge, depth: u32) -> Option<Expr> {
    let (of, by) = derivative(e)?;
    let (index, body) = of.open(depth)?;
    Some(Expr::sum(&index, Expr::derivative(body, by)))
}

fn constant_factor(e: &Expr, known: &Knowledge, _: u32) -> Option<Expr> {
    let (of, by) = derivative(e)?;
    let (moving, mut still): (Vec<Expr>, Vec<Expr>) = of
        .factors()
        .iter()
        .cloned()
        .partition(|factor| known.depends(factor, &by.name));
    if still.is_empty() || moving.is_empty() {
        return None;
    }
    still.push(Expr::derivative(Expr::product(moving), by));
    Some(Expr::product(still))
}

fn product(e: &Expr, known: &Knowledge, depth: u32) -> Option<Expr> {
    let (of, by) = derivative(e)?;
    let Node::Product(factors) = of.node() else { return None };
    if constant_factor(e, known, depth).is_some() {
        return None;
    }
    Some(Expr::add((0..factors.len()).map(|moved| {
        Expr::product(factors.iter().enumerate().map(|(place, factor)| {
            if place == moved {
                Expr::derivative(factor.clone(), by)
            } else {
                factor.clone()
            }
        }))
    })))
}

fn power(e: &Expr, _: &Knowledge, _: u32) -> Option<Expr> {
    let (of, by) = derivative(e)?;
    let Node::Power(base, n) = of.node() else { return None };
    let lowered = base.clone().pow(n.checked_sub(1)?);
    Some(Expr::product([
        Expr::integer((*n).into()),
        lowered,
        Expr::derivative(base.clone(), by),
    ]))
}

fn function(e: &Expr, wanted: Function) -> Option<Expr> {
    let (of, by) = derivative(e)?;
    match of.node() {
        Node::Function(f, u) if *f == wanted => Some(f.derivative(u) * Expr::derivative(u.clone(), by)),
        _ => None,
    }
}

fn log(e: &Expr, _: &Knowledge, _: u32) -> Option<Expr> {
    function(e, Function::Log)
}

fn exp(e: &Expr, _: &Knowledge, _: u32) -> Option<Expr> {
    function(e, Function::Exp)
}

fn tanh(e: &Expr, _: &Knowledge, _: u32) -> Option<Expr> {
    function(e, Function::Tanh)
}

fn sigmoid(e: &Expr, _: &Knowledge, _: u32) -> Option<Expr> {
    function(e, Function::Sigmoid)
}

fn relu(e: &Expr, _: &Knowledge, _: u32) -> Option<Expr> {
    function(e, Function::Relu)
}

fn step(e: &Expr, _: &Knowledge, _: u32) -> Option<Expr> {
    function(e, Function::Step)
}
