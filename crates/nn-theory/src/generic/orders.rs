//! What every order of evaluating `A_L ⋯ A_1 X` costs, and the cheapest one, dense and sparse.
//!
//! `X` holds n inputs as its columns. An order that joins `X` last collapses the network first; the one that joins it
//! first goes layer by layer. Each factor is an affine map `z ↦ M z + c`, so that joining two maps also multiplies the left
//! matrix with the right bias.

use super::paths::subscript;
use super::{Error, Mask, Network, Order, Result};

/// Most matrices for which all orders are listed (Catalan(8) = 1,430 of them).
const MAX_LISTED_DEPTH: usize = 8;
/// Most entries of the patterns of all products, about a second of work.
const MAX_PATTERN_ENTRIES: usize = 1 << 22;

/// One order with its cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EvaluationOrder {
    /// The order as it is written: `A₄(A₃(A₂(A₁X)))`.
    pub text: String,
    /// Its tree; factor 0 is `A_L`, the last one `X`.
    pub order: Order,
    /// Multiplications when zeros are multiplied, too.
    pub dense: u64,
    /// Multiplications where both factors may be other than zero.
    pub sparse: u64,
}

serialize_fields!(EvaluationOrder { text, dense, sparse } without order);

/// All orders for n inputs, and the cheapest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderTable {
    /// n, the columns of `X`.
    pub inputs: u64,
    /// Every order with its cost; empty for more than 8 matrices.
    pub all: Vec<EvaluationOrder>,
    /// The cheapest order if zeros are multiplied, too (dynamic programming).
    pub best_dense: EvaluationOrder,
    /// The cheapest order if they are not. The pattern of a product does not depend on its order, so dynamic programming
    /// finds this one, too.
    pub best_sparse: EvaluationOrder,
}

serialize_fields!(OrderTable {
    inputs,
    all,
    best_dense,
    best_sparse
});

/// Sizes and patterns of all products of neighbouring factors.
struct Chain {
    /// Rows of each factor, and the columns of the last one.
    dims: Vec<u64>,
    /// `patterns[i][j - i]` is the pattern of the factors i to j; without `X`.
    patterns: Vec<Vec<Mask>>,
    depth: usize,
}

impl Network {
    /// The cost of every order of evaluating `A_L ⋯ A_1 X` for n inputs at once.
    ///
    /// ```
    /// let table = nn_theory::generic::lecture_network().evaluation_orders(1)?;
    /// assert_eq!(table.all.len(), 14);
    /// assert_eq!((table.best_dense.text.as_str(), table.best_dense.dense), ("A₄(A₃(A₂(A₁X)))", 64));
    /// // For a thousand inputs it pays to collapse the network first.
    /// let table = nn_theory::generic::lecture_network().evaluation_orders(1000)?;
    /// assert_eq!((table.best_dense.text.as_str(), table.best_dense.dense), ("(((A₄A₃)A₂)A₁)X", 134 + 16_000));
    /// # Ok::<(), nn_theory::generic::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NotLinear`], [`Error::TooLarge`] when the products of all runs of layers have more than 4 million entries,
    /// [`Error::Overflow`] beyond 64 bits.
    pub fn evaluation_orders(&self, n: u64) -> Result<OrderTable> {
        self.require_linear()?;
        let chain = Chain::of(self, n)?;
        let all = if self.depth() <= MAX_LISTED_DEPTH {
            let orders = all_orders(0, self.depth());
            orders
                .into_iter()
                .map(|order| chain.costed(order))
                .collect::<Result<_>>()?
        } else {
            Vec::new()
        };
        Ok(OrderTable {
            inputs: n,
            all,
            best_dense: chain.costed(chain.cheapest(false)?)?,
            best_sparse: chain.costed(chain.cheapest(true)?)?,
        })
    }
}

impl Chain {
    fn of(network: &Network, n: u64) -> Result<Self> {
        let depth = network.depth();
        let widths: Vec<usize> = network.widths().into_iter().rev().collect();
        let entries: usize = (0..depth)
            .flat_map(|i| widths[i + 1..].iter().map(move |&columns| (i, columns)))
            .map(|(i, columns)| widths[i] * columns)
            .fold(0, usize::saturating_add);
        if entries > MAX_PATTERN_ENTRIES {
            return Err(Error::TooLarge {
                what: "entries of the products of all runs of layers".to_owned(),
                limit: MAX_PATTERN_ENTRIES,
                found: entries,
            });
        }
        let mut patterns: Vec<Vec<Mask>> = Vec::with_capacity(depth);
        for i in 0..depth {
            let mut row = vec![network.masks()[depth - 1 - i].clone()];
            for j in i + 1..depth {
                let next = row[j - i - 1].product(&network.masks()[depth - 1 - j])?;
                row.push(next);
            }
            patterns.push(row);
        }
        let mut dims: Vec<u64> = widths.into_iter().map(|width| width as u64).collect();
        dims.push(n);
        Ok(Self { dims, patterns, depth })
    }

    /// Multiplications of joining the factors `first..=middle` with `middle + 1..=last`; factor `depth` is `X`.
    fn join(&self, first: usize, middle: usize, last: usize, sparse: bool) -> Result<u64> {
        let overflow = || Error::overflow("the cost of an order");
        let left = &self.patterns[first][middle - first];
        let with_inputs = last == self.depth;
        // A map brings its bias as one more column, the inputs bring none.
        let columns = if with_inputs { self.dims[last + 1] } else { 1 };
        let left_entries = if sparse {
            left.edges() as u64
        } else {
            self.dims[first] * self.dims[middle + 1]
        };
        let vectors = left_entries.checked_mul(columns).ok_or_else(overflow)?;
        if with_inputs {
            return Ok(vectors);
        }
        let matrices = if sparse {
            let right = &self.patterns[middle + 1][last - middle - 1];
            let in_row: Vec<u64> = (0..right.rows())
                .map(|k| right.drawn_in_row(k).count() as u64)
                .collect();
            (0..left.rows())
                .flat_map(|i| left.drawn_in_row(i))
                .map(|k| in_row[k])
                .sum()
        } else {
            left_entries.checked_mul(self.dims[last + 1]).ok_or_else(overflow)?
        };
        matrices.checked_add(vectors).ok_or_else(overflow)
    }

    /// First and last factor of a part, and what it costs.
    fn cost(&self, order: &Order, sparse: bool) -> Result<(usize, usize, u64)> {
        match order {
            Order::Factor(index) => Ok((*index, *index, 0)),
            Order::Product(left, right) => {
                let (first, middle, of_left) = self.cost(left, sparse)?;
                let (_, last, of_right) = self.cost(right, sparse)?;
                let join = self.join(first, middle, last, sparse)?;
                let sum = of_left.checked_add(of_right).and_then(|sum| sum.checked_add(join));
                Ok((first, last, sum.ok_or_else(|| Error::overflow("the cost of an order"))?))
            }
        }
    }

    fn costed(&self, order: Order) -> Result<EvaluationOrder> {
        let name = |k: usize| {
            if k == 0 {
                "X".to_owned()
            } else {
                format!("A{}", subscript(k))
            }
        };
        let names: Vec<String> = (0..=self.depth).rev().map(name).collect();
        Ok(EvaluationOrder {
            text: order.write(&names),
            dense: self.cost(&order, false)?.2,
            sparse: self.cost(&order, true)?.2,
            order,
        })
    }

    /// The cheapest order by dynamic programming over runs of factors.
    fn cheapest(&self, sparse: bool) -> Result<Order> {
        let count = self.depth + 1;
        let mut cost = vec![vec![0u64; count]; count];
        let mut split = vec![vec![0usize; count]; count];
        for length in 2..=count {
            for first in 0..=count - length {
                let last = first + length - 1;
                let mut best: Option<(u64, usize)> = None;
                for middle in first..last {
                    let total = self
                        .join(first, middle, last, sparse)?
                        .checked_add(cost[first][middle])
                        .and_then(|sum| sum.checked_add(cost[middle + 1][last]))
                        .ok_or_else(|| Error::overflow("the cost of an order"))?;
                    // `<=`: among equals the one that starts from the left, as in the matrix chain.
                    if best.is_none_or(|(least, _)| total <= least) {
                        best = Some((total, middle));
                    }
                }
                (cost[first][last], split[first][last]) = best.unwrap_or((0, first));
            }
        }
        Ok(super::chain::order(&split, 0, count - 1))
    }
}

/// Every order of the factors `first..=last`.
fn all_orders(first: usize, last: usize) -> Vec<Order> {
    if first == last {
        return vec![Order::Factor(first)];
    }
    let mut orders = Vec::new();
    for middle in first..last {
        let rights = all_orders(middle + 1, last);
        for left in all_orders(first, middle) {
            let product = |right: &Order| Order::Product(Box::new(left.clone()), Box::new(right.clone()));
            orders.extend(rights.iter().map(product));
        }
    }
    orders
}
