//! The short names of a derivation put back: `tanh(Σ_j A_ij x_j)` is `v_i` again.

use std::collections::{BTreeMap, BTreeSet};

use super::expr::{Expr, Node};
use super::index::{Index, Kind};
use super::knowledge::{Knowledge, instantiate};

/// The right-hand side of a definition, alone or as factors of a product, replaced by the symbol it defines.
pub(super) fn recognise(e: &Expr, known: &Knowledge, _: u32) -> Option<Expr> {
    if !matches!(
        e.node(),
        Node::Product(_) | Node::Function(..) | Node::Sum { .. } | Node::Power(..)
    ) {
        return None;
    }
    if !known.definitions.iter().any(|d| may_contain(e, &d.body)) {
        return None;
    }
    let mut present = BTreeSet::new();
    e.indices(&mut present);
    present.retain(|index| !matches!(index.kind, Kind::Bound(_)));
    let whole = exponents(e.factors())?;
    known
        .definitions
        .iter()
        .filter(|d| may_contain(e, &d.body))
        .find_map(|definition| {
            let parameters: Vec<_> = definition.symbol.indices.iter().collect();
            let mut choice = vec![0; parameters.len()];
            let candidates: Vec<Vec<&Index>> = parameters
                .iter()
                .map(|p| present.iter().filter(|index| index.range == p.range).collect())
                .collect();
            if candidates.iter().any(Vec::is_empty) {
                return None;
            }
            loop {
                let chosen: Vec<_> = choice.iter().zip(&candidates).map(|(&n, list)| list[n]).collect();
                let symbol = || {
                    definition.symbol.map_indices(&mut |i| {
                        let place = parameters.iter().position(|p| *p == i);
                        place.map_or_else(|| i.clone(), |place| chosen[place].clone())
                    })
                };
                let body = instantiate(&definition.body, &parameters, &chosen)?;
                if &body == e {
                    return Some(symbol().into());
                }
                if let Some(rest) = quotient(&whole, &body) {
                    return Some(rest * symbol().into());
                }
                let next = (0..choice.len()).find(|&n| choice[n] + 1 < candidates[n].len())?;
                choice[next] += 1;
                choice[..next].fill(0);
            }
        })
}

/// A product as exponents of its bases; `None` where a base occurs twice.
pub(super) fn exponents(factors: &[Expr]) -> Option<BTreeMap<Expr, i32>> {
    let mut map = BTreeMap::new();
    for factor in factors {
        let (base, exponent) = factor.base_and_exponent();
        if map.insert(base, exponent).is_some() {
            return None;
        }
    }
    Some(map)
}

/// What is left of a product when a product of several factors is taken out of it, if it contains them all.
fn quotient(whole: &BTreeMap<Expr, i32>, part: &Expr) -> Option<Expr> {
    let part = exponents(part.factors())?;
    if part.len() < 2 {
        return None;
    }
    let mut rest = whole.clone();
    for (base, n) in part {
        let available = rest.get_mut(&base)?;
        if available.signum() != n.signum() || available.unsigned_abs() < n.unsigned_abs() {
            return None;
        }
        *available -= n;
    }
    Some(Expr::product(rest.into_iter().map(|(base, n)| base.pow(n))))
}

/// Whether an expression can be a definition's body, or have its factors, going by the outermost node alone: putting
/// indices in and comparing costs much more.
fn may_contain(e: &Expr, body: &Expr) -> bool {
    match (body.node(), e.node()) {
        (Node::Product(part), Node::Product(whole)) => whole.len() >= part.len(),
        (Node::Function(f, _), Node::Function(g, _)) => f == g,
        (Node::Sum { index: i, .. }, Node::Sum { index: j, .. }) => i == j,
        (Node::Power(_, m), Node::Power(_, n)) => m == n,
        _ => false,
    }
}
