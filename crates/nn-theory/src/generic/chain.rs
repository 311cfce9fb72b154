//! The cheapest order of a matrix chain by dynamic programming (Godbole 1973; Cormen et al., chapter 14.2).

use super::{Error, Result};

/// A parenthesization of `A_L … A_1`, by factor numbers counted from 0 in the order of the dimensions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// A single factor.
    Factor(usize),
    /// The product of a left and a right part.
    Product(Box<Order>, Box<Order>),
}

impl Order {
    /// The order of a chain written from the left, with the names of `factors` (`A₄`, `A₃`, …), such as `((A₄A₃)A₂)A₁`.
    pub fn write(&self, factors: &[String]) -> String {
        fn part(order: &Order, factors: &[String], top: bool) -> String {
            match order {
                Order::Factor(index) => factors.get(*index).cloned().unwrap_or_else(|| format!("M{index}")),
                Order::Product(left, right) => {
                    let inner = part(left, factors, false) + &part(right, factors, false);
                    if top { inner } else { format!("({inner})") }
                }
            }
        }
        part(self, factors, true)
    }
}

/// Fewest multiplications for a product of matrices `dims[0] x dims[1]`, `dims[1] x dims[2]`, …, and an order that needs them.
///
/// ```
/// use nn_theory::generic::cheapest_order;
/// assert_eq!(cheapest_order(&[2, 4, 3, 4, 8])?.0, 112);
/// # Ok::<(), nn_theory::generic::Error>(())
/// ```
///
/// # Errors
/// [`Error::Shape`] for fewer than two dimensions, [`Error::TooLarge`] for more than 257 of them,
/// [`Error::Overflow`] beyond 64 bits.
pub fn cheapest_order(dims: &[usize]) -> Result<(u64, Order)> {
    cheapest(dims, 0)
}

/// The same for affine maps `z ↦ M z + c`: joining two also multiplies the left matrix with the right bias, which is
/// a chain whose products have one more column.
///
/// # Errors
/// As [`cheapest_order`].
pub fn cheapest_affine_order(dims: &[usize]) -> Result<(u64, Order)> {
    cheapest(dims, 1)
}

fn cheapest(dims: &[usize], extra_columns: usize) -> Result<(u64, Order)> {
    let Some(count) = dims.len().checked_sub(1).filter(|&count| count > 0) else {
        let found = dims.len().to_string();
        return Err(Error::Shape {
            what: "dimensions of a chain".to_owned(),
            expected: "at least 2".to_owned(),
            found,
        });
    };
    if count > super::MAX_DEPTH {
        return Err(Error::TooLarge {
            what: "matrices of a chain".to_owned(),
            limit: super::MAX_DEPTH,
            found: count,
        });
    }
    let overflow = || Error::overflow("the cost of a matrix chain");
    let mut cost = vec![vec![0u64; count]; count];
    let mut split = vec![vec![0usize; count]; count];
    for length in 2..=count {
        for first in 0..=count - length {
            let last = first + length - 1;
            let mut best: Option<(u64, usize)> = None;
            for middle in first..last {
                let columns = (dims[last + 1] as u64)
                    .checked_add(extra_columns as u64)
                    .ok_or_else(overflow)?;
                let total = (dims[first] as u64)
                    .checked_mul(dims[middle + 1] as u64)
                    .and_then(|product| product.checked_mul(columns))
                    .and_then(|join| join.checked_add(cost[first][middle]))
                    .and_then(|sum| sum.checked_add(cost[middle + 1][last]))
                    .ok_or_else(overflow)?;
                // `<=`: among equals the one that starts from the left, as the formula is written.
                if best.is_none_or(|(least, _)| total <= least) {
                    best = Some((total, middle));
                }
            }
            (cost[first][last], split[first][last]) = best.unwrap_or((0, first));
        }
    }
    Ok((cost[0][count - 1], order(&split, 0, count - 1)))
}

pub(super) fn order(split: &[Vec<usize>], first: usize, last: usize) -> Order {
    if first == last {
        return Order::Factor(first);
    }
    let middle = split[first][last];
    Order::Product(
        Box::new(order(split, first, middle)),
        Box::new(order(split, middle + 1, last)),
    )
}
