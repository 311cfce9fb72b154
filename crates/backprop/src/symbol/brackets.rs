//! Brackets multiplied out, split and taken together: the rules that trade a product of sums for a sum of products.

use super::algebra::{like_terms, powers};
use super::expr::{Expr, Node};
use super::index::Index;
use super::knowledge::{Knowledge, WRITTEN_OUT};
use super::rational::Rational;
use super::recognise::exponents;

/// Whether `terms` copies of an expression are still a moderate number of nodes.
fn fits(terms: usize, e: &Expr) -> bool {
    (terms as u64).saturating_mul(e.size() as u64) <= WRITTEN_OUT
}

/// Whether δ with this index can be reached through brackets and products alone.
pub(super) fn reaches_delta(e: &Expr, index: &Index) -> bool {
    match e.node() {
        Node::Delta(a, b) => a == index || b == index,
        Node::Add(parts) | Node::Product(parts) => parts.iter().any(|part| reaches_delta(part, index)),
        _ => false,
    }
}

/// Multiplies the first bracket of a product for which `wanted` holds with the other factors.
pub(super) fn distribute(e: &Expr, wanted: impl Fn(&Expr) -> bool) -> Option<Expr> {
    if let Node::Power(base, n @ 2..) = e.node() {
        // (a + b)ⁿ = a (a + b)ⁿ⁻¹ + b (a + b)ⁿ⁻¹
        return match base.node() {
            Node::Add(terms) if wanted(base) && fits(terms.len(), e) => Some(Expr::add(
                terms.iter().map(|term| term.clone() * base.clone().pow(n - 1)),
            )),
            _ => None,
        };
    }
    let Node::Product(factors) = e.node() else { return None };
    let place = factors
        .iter()
        .position(|factor| matches!(factor.node(), Node::Add(_)) && wanted(factor))?;
    if !fits(factors[place].terms().len(), e) {
        return None;
    }
    let rest = Expr::product(
        factors
            .iter()
            .enumerate()
            .filter(|(n, _)| *n != place)
            .map(|(_, factor)| factor.clone()),
    );
    Some(Expr::add(
        factors[place].terms().iter().map(|term| term.clone() * rest.clone()),
    ))
}

/// A bracket that holds `1/u` beside the factor `u` (or `u` beside `1/u`), multiplied out so that the two meet.
pub(super) fn cancel(e: &Expr) -> Option<Expr> {
    let Node::Product(factors) = e.node() else { return None };
    let beside: Vec<(Expr, i32)> = factors.iter().map(Expr::base_and_exponent).collect();
    let meets = |term: &Expr| {
        term.factors().iter().any(|factor| {
            let (base, n) = factor.base_and_exponent();
            base.number().is_none()
                && beside
                    .iter()
                    .any(|(other, m)| *other == base && n.signum() != m.signum())
        })
    };
    distribute(e, |bracket| bracket.terms().iter().any(meets))
}

/// The most terms that a bracket is multiplied out to in order to see whether terms cancel.
const TRIED: usize = 64;

/// A sum with its brackets multiplied out, where that leaves less than there was.
pub(super) fn open_brackets(e: &Expr) -> Option<Expr> {
    let Node::Add(terms) = e.node() else { return None };
    let mut open = Vec::new();
    for term in terms {
        let mut expanded = vec![term.clone()];
        while let Some((place, sum)) = expanded
            .iter()
            .enumerate()
            .find_map(|(place, part)| Some((place, distribute(part, |_| true)?)))
        {
            expanded.remove(place);
            expanded.extend(sum.terms().iter().cloned());
            if open.len() + expanded.len() > TRIED {
                return None;
            }
        }
        open.extend(expanded);
    }
    let gathered = |part: Expr| powers(&part, &Knowledge::new(), 0).unwrap_or(part);
    let sum = Expr::add(open.into_iter().map(gathered));
    let sum = like_terms(&sum).unwrap_or(sum);
    (sum.size() < e.size()).then_some(sum)
}

/// The sum of several terms as several sums.
pub(super) fn split(e: &Expr, depth: u32, only_at_delta: bool) -> Option<Expr> {
    let (index, body) = e.closed()?;
    if !matches!(body.node(), Node::Add(_)) || (only_at_delta && !reaches_delta(body, index)) {
        return None;
    }
    let (index, body) = e.open(depth)?;
    Some(Expr::add(
        body.terms().iter().map(|term| Expr::sum(&index, term.clone())),
    ))
}

/// What all terms share, taken out of the bracket.
pub(super) fn common_factor(e: &Expr) -> Option<Expr> {
    let Node::Add(terms) = e.node() else { return None };
    let split: Vec<(Rational, Vec<Expr>)> = terms.iter().map(Expr::coefficient_and_factors).collect();
    let mut content = split[0].0.absolute();
    for (coefficient, _) in &split[1..] {
        content = content.common_divisor(*coefficient)?;
    }
    // A bracket starts with a plus where it can: at most half of its terms are negative, and if tied the leading term
    // (the one with δ, as in δ_ki − p_i, else the first) is not.
    let negative = split
        .iter()
        .filter(|(coefficient, _)| coefficient.is_negative())
        .count();
    let with_delta =
        |(_, factors): &&(Rational, Vec<Expr>)| factors.iter().any(|f| matches!(f.node(), Node::Delta(..)));
    let leading = split.iter().find(with_delta).unwrap_or(&split[0]);
    if 2 * negative > split.len() || (2 * negative == split.len() && leading.0.is_negative()) {
        content = content.negated();
    }
    let mut shared = exponents(&split[0].1)?;
    for (_, factors) in &split[1..] {
        let here = exponents(factors)?;
        shared.retain(|base, n| match here.get(base) {
            Some(m) if m.signum() == n.signum() => {
                *n = n.signum() * n.abs().min(m.abs());
                true
            }
            _ => false,
        });
    }
    if content == Rational::ONE && shared.is_empty() {
        return None;
    }
    let inverse = content.checked_pow(-1)?;
    let mut inside = Vec::new();
    for (coefficient, factors) in &split {
        let without = factors.iter().map(|factor| {
            let (base, n) = factor.base_and_exponent();
            let taken = shared.get(&base).copied().unwrap_or(0);
            base.pow(n - taken)
        });
        inside.push(Expr::product(without.chain([coefficient.checked_mul(inverse)?.into()])));
    }
    let outside = shared.into_iter().map(|(base, n)| base.pow(n));
    Some(Expr::product(outside.chain([content.into(), Expr::add(inside)])))
}
