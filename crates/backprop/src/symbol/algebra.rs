//! The rules of algebra: what the simplifier may do between two lines of a derivation.

use std::collections::BTreeMap;

use super::brackets::{cancel, common_factor, distribute, open_brackets, reaches_delta, split};
use super::expr::{Expr, Function, Node};
use super::index::{Index, Kind};
use super::kinds::Kinds;
use super::knowledge::{Knowledge, written_out};
use super::rational::Rational;
use super::recognise::recognise;
use super::rules::Rule;

/// The simplifier's rules, in the order in which they are tried. The order is what makes it end: δ goes first (it only
/// ever removes sums), products are multiplied out only to free a δ, and common factors are taken out last.
pub(crate) const SIMPLIFICATION: &[Rule] = &[
    WRITE_OUT,
    CONTRACT,
    POWERS,
    LIKE_TERMS,
    LOG_OF_EXP,
    FREE_DELTA,
    SPLIT_AT_DELTA,
    EQUAL_INDICES,
    RECOGNISE,
    OUT_OF_SUM,
    CONDITION,
    SWAP_SUMS,
    CANCEL,
    OPEN_BRACKETS,
    JOIN_SUMS,
    COMMON_FACTOR,
];

/// The rules of the normal form that decides equality: multiply everything out, split every sum.
pub(crate) const EXPANSION: &[Rule] = &[
    WRITE_OUT,
    CONTRACT,
    POWERS,
    LIKE_TERMS,
    LOG_OF_EXP,
    MULTIPLY_OUT,
    SPLIT,
    EQUAL_INDICES,
    OUT_OF_SUM,
    CONDITION,
    SWAP_SUMS,
];

const WRITE_OUT: Rule = Rule {
    name: "write the sum out",
    sentence: "The range has few elements: the sum is written term by term.",
    on: Some(Kinds::SUM.and(Kinds::SIZE)),
    with: Kinds::NONE,
    apply: |e, known, depth| match e.node() {
        Node::Sum { index, .. } => written_out(e, *known.sizes.get(&index.range)?, depth),
        Node::Size(range) => Some(Expr::integer((*known.sizes.get(range)?).into())),
        _ => None,
    },
};

const CONTRACT: Rule = Rule {
    name: "δ picks one term",
    sentence: "Of a sum over an index that δ ties to another index, only the term where both agree is left.",
    on: Some(Kinds::SUM),
    with: Kinds::DELTA,
    apply: contract,
};

const POWERS: Rule = Rule {
    name: "combine powers",
    sentence: "Equal factors are gathered in one power; a factor cancels against its inverse (a probability of softmax is never 0).",
    on: Some(Kinds::PRODUCT),
    with: Kinds::NONE,
    apply: powers,
};

const LIKE_TERMS: Rule = Rule {
    name: "like terms",
    sentence: "Terms that differ only in their number are added.",
    on: Some(Kinds::ADD),
    with: Kinds::NONE,
    apply: |e, _, _| like_terms(e),
};

const LOG_OF_EXP: Rule = Rule {
    name: "log undoes exp",
    sentence: "log(exp u) = u.",
    on: Some(Kinds::FUNCTION),
    with: Kinds::NONE,
    apply: |e, _, _| match e.node() {
        Node::Function(Function::Log, inner) => match inner.node() {
            Node::Function(Function::Exp, u) => Some(u.clone()),
            _ => None,
        },
        _ => None,
    },
};

const FREE_DELTA: Rule = Rule {
    name: "multiply out to free δ",
    sentence: "The bracket that contains δ is multiplied out, so that δ can act on the sum.",
    on: Some(Kinds::SUM),
    with: Kinds::DELTA.and(Kinds::ADD),
    apply: |e, _, depth| {
        let (index, body) = e.closed()?;
        if !reaches_delta(body, index) {
            return None;
        }
        in_sum(e, depth, |index, body| {
            distribute(body, |term| reaches_delta(term, index))
        })
    },
};

const SPLIT_AT_DELTA: Rule = Rule {
    name: "split the sum",
    sentence: "A sum of several terms is the sum of the single sums.",
    on: Some(Kinds::SUM),
    with: Kinds::DELTA.and(Kinds::ADD),
    apply: |e, _, depth| split(e, depth, true),
};

const EQUAL_INDICES: Rule = Rule {
    name: "equal indices under δ",
    sentence: "Where δ is not 0 its two indices are equal, so one may be written for the other beside it.",
    on: Some(Kinds::PRODUCT),
    with: Kinds::DELTA,
    apply: equal_indices,
};

const RECOGNISE: Rule = Rule {
    name: "put the name back",
    sentence: "The right-hand side of a definition appears; its short name is put back.",
    on: Some(Kinds::PRODUCT.and(Kinds::FUNCTION).and(Kinds::SUM).and(Kinds::POWER)),
    with: Kinds::NONE,
    apply: recognise,
};

const OUT_OF_SUM: Rule = Rule {
    name: "out of the sum",
    sentence: "Factors without the running index are the same in every term and stand before the sum.",
    on: Some(Kinds::SUM),
    with: Kinds::NONE,
    apply: out_of_sum,
};

const CONDITION: Rule = Rule {
    name: "side condition",
    sentence: "The condition that was assumed is used.",
    on: None,
    with: Kinds::NONE,
    apply: |e, known, _| {
        known
            .conditions
            .iter()
            .find(|(left, _)| left == e)
            .map(|(_, right)| right.clone())
    },
};

const SWAP_SUMS: Rule = Rule {
    name: "order of summation",
    sentence: "Finite sums may be exchanged.",
    on: Some(Kinds::SUM),
    with: Kinds::NONE,
    apply: swap_sums,
};

const CANCEL: Rule = Rule {
    name: "multiply out to cancel",
    sentence: "The bracket holds a denominator that is a factor beside it; multiplied out, the two cancel.",
    on: Some(Kinds::PRODUCT),
    with: Kinds::POWER.and(Kinds::ADD),
    apply: |e, _, _| cancel(e),
};

const OPEN_BRACKETS: Rule = Rule {
    name: "open the brackets",
    sentence: "The brackets are multiplied out, because terms then cancel and less is left than before.",
    on: Some(Kinds::ADD),
    with: Kinds::PRODUCT,
    apply: |e, _, _| open_brackets(e),
};

const JOIN_SUMS: Rule = Rule {
    name: "join sums",
    sentence: "Two sums over the same range with a common factor are one sum.",
    on: Some(Kinds::ADD),
    with: Kinds::SUM,
    apply: join_sums,
};

const COMMON_FACTOR: Rule = Rule {
    name: "common factor",
    sentence: "What all terms share is taken out of the bracket.",
    on: Some(Kinds::ADD),
    with: Kinds::NONE,
    apply: |e, _, _| common_factor(e),
};

const MULTIPLY_OUT: Rule = Rule {
    name: "multiply out",
    sentence: "Every bracket is multiplied out.",
    on: Some(Kinds::PRODUCT.and(Kinds::POWER)),
    with: Kinds::ADD,
    apply: |e, _, _| distribute(e, |_| true),
};

const SPLIT: Rule = Rule {
    with: Kinds::ADD,
    apply: |e, _, depth| split(e, depth, false),
    ..SPLIT_AT_DELTA
};

/// Rewrites the body of a sum with its running index opened.
fn in_sum(e: &Expr, depth: u32, change: impl FnOnce(&Index, &Expr) -> Option<Expr>) -> Option<Expr> {
    let (index, body) = e.open(depth)?;
    Some(Expr::sum(&index, change(&index, &body)?))
}

fn contract(e: &Expr, _: &Knowledge, depth: u32) -> Option<Expr> {
    let (index, body) = e.closed()?;
    let with_index = |factor: &Expr| matches!(factor.node(), Node::Delta(a, b) if a == index || b == index);
    if !body.factors().iter().any(with_index) {
        return None;
    }
    let (index, body) = e.open(depth)?;
    let factors = body.factors();
    let (place, other) = factors
        .iter()
        .enumerate()
        .find_map(|(place, factor)| match factor.node() {
            Node::Delta(a, b) if *a == index && a.range == b.range => Some((place, b)),
            Node::Delta(a, b) if *b == index && a.range == b.range => Some((place, a)),
            _ => None,
        })?;
    let rest = factors
        .iter()
        .enumerate()
        .filter(|(n, _)| *n != place)
        .map(|(_, factor)| factor.clone());
    Some(Expr::product(rest).with_index(&index, other))
}

pub(super) fn powers(e: &Expr, _: &Knowledge, _: u32) -> Option<Expr> {
    let Node::Product(factors) = e.node() else { return None };
    let mut exponents: BTreeMap<Expr, i32> = BTreeMap::new();
    let mut kept = Vec::new();
    for factor in factors {
        let (base, exponent) = factor.base_and_exponent();
        match (
            base.number(),
            exponents.get(&base).copied().unwrap_or(0).checked_add(exponent),
        ) {
            (None, Some(total)) => {
                exponents.insert(base, total);
            }
            _ => kept.push(factor.clone()),
        }
    }
    let before = factors.len();
    let after = exponents.len() + kept.len();
    (after < before).then(|| {
        Expr::product(
            kept.into_iter()
                .chain(exponents.into_iter().map(|(base, n)| base.pow(n))),
        )
    })
}

pub(super) fn like_terms(e: &Expr) -> Option<Expr> {
    let Node::Add(terms) = e.node() else { return None };
    let mut coefficients: BTreeMap<Vec<Expr>, Rational> = BTreeMap::new();
    let mut kept = Vec::new();
    for term in terms {
        let (coefficient, factors) = term.coefficient_and_factors();
        match coefficients
            .get(&factors)
            .copied()
            .unwrap_or(Rational::ZERO)
            .checked_add(coefficient)
        {
            Some(total) => {
                coefficients.insert(factors, total);
            }
            None => kept.push(term.clone()),
        }
    }
    let after = coefficients.len() + kept.len();
    let gathered = coefficients
        .into_iter()
        .map(|(factors, n)| Expr::product(factors) * n.into());
    (after < terms.len()).then(|| Expr::add(kept.into_iter().chain(gathered)))
}

fn equal_indices(e: &Expr, _: &Knowledge, _: u32) -> Option<Expr> {
    let Node::Product(factors) = e.node() else { return None };
    factors.iter().enumerate().find_map(|(place, factor)| {
        let Node::Delta(low, high) = factor.node() else {
            return None;
        };
        // A fixed element is kept, else the later letter: δ_ki p_i becomes δ_ki p_k, as softmax is usually written.
        let fixed = matches!(low.kind, Kind::Literal(_));
        let (keep, replace) = if fixed { (low, high) } else { (high, low) };
        if keep.range != replace.range {
            return None;
        }
        let others = || {
            factors
                .iter()
                .enumerate()
                .filter(move |(n, _)| *n != place)
                .map(|(_, other)| other)
        };
        others().any(|other| other.mentions(replace)).then(|| {
            Expr::product(
                others()
                    .map(|other| other.with_index(replace, keep))
                    .chain([factor.clone()]),
            )
        })
    })
}

fn out_of_sum(e: &Expr, _: &Knowledge, depth: u32) -> Option<Expr> {
    let (index, body) = e.closed()?;
    if body.factors().iter().all(|factor| factor.mentions(index)) {
        return None;
    }
    let (index, body) = e.open(depth)?;
    let (inside, mut outside): (Vec<Expr>, Vec<Expr>) = body
        .factors()
        .iter()
        .cloned()
        .partition(|factor| factor.mentions(&index));
    if outside.is_empty() {
        return None;
    }
    outside.push(if inside.is_empty() {
        if outside == [Expr::integer(1)] {
            return Some(Expr::size_of(&index.range));
        }
        Expr::size_of(&index.range)
    } else {
        Expr::sum(&index, Expr::product(inside))
    });
    Some(Expr::product(outside))
}

/// Of directly nested sums, the order that is smallest in the order of expressions.
fn swap_sums(e: &Expr, _: &Knowledge, depth: u32) -> Option<Expr> {
    e.closed()?.1.closed()?;
    let (outer, body) = e.open(depth)?;
    let (inner, body) = body.open(depth + 1)?;
    let swapped = Expr::sum(&inner, Expr::sum(&outer, body));
    (swapped < *e).then_some(swapped)
}

fn join_sums(e: &Expr, _: &Knowledge, depth: u32) -> Option<Expr> {
    let Node::Add(terms) = e.node() else { return None };
    // c a Σ_k f_k as (a, c, k, f_k): two terms with the same `a` are candidates.
    let parts: Vec<_> = terms
        .iter()
        .map(|term| {
            let (coefficient, mut factors) = term.coefficient_and_factors();
            let place = factors
                .iter()
                .position(|factor| matches!(factor.node(), Node::Sum { .. }))?;
            let (index, body) = factors.remove(place).open(depth)?;
            Some((factors, Expr::from(coefficient) * body, index))
        })
        .collect();
    for (i, left) in parts.iter().enumerate() {
        for (j, right) in parts.iter().enumerate().skip(i + 1) {
            let (Some((outside, f, index)), Some((other, g, k))) = (left, right) else {
                continue;
            };
            if outside != other || index != k {
                continue;
            }
            let Some(joined) = common_factor(&(f.clone() + g.clone())) else {
                continue;
            };
            if !joined
                .factors()
                .iter()
                .any(|factor| factor.mentions(index) && !matches!(factor.node(), Node::Add(_)))
            {
                continue;
            }
            let sum = Expr::sum(index, joined) * Expr::product(outside.iter().cloned());
            let rest = terms
                .iter()
                .enumerate()
                .filter(|(n, _)| *n != i && *n != j)
                .map(|(_, term)| term.clone());
            return Some(Expr::add(rest.chain([sum])));
        }
    }
    None
}
