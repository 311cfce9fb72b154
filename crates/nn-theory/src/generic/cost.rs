//! What each way of computing y costs, in multiplications and additions.

use serde_core::{Serialize, Serializer, ser::SerializeStruct};

use super::{Error, Mask, Network, Order, Result, cheapest_affine_order};

/// A number of scalar operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cost {
    /// Multiplications.
    pub multiplications: u128,
    /// Additions.
    pub additions: u128,
}

/// A JSON number up to 64 bits, a text beyond.
struct Number(u128);

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        match u64::try_from(self.0) {
            Ok(small) => serializer.serialize_u64(small),
            Err(_) => serializer.collect_str(&self.0),
        }
    }
}

impl Serialize for Cost {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Cost", 2)?;
        fields.serialize_field("multiplications", &Number(self.multiplications))?;
        fields.serialize_field("additions", &Number(self.additions))?;
        fields.end()
    }
}

impl Cost {
    fn new(multiplications: usize, additions: usize) -> Self {
        Self {
            multiplications: multiplications as u128,
            additions: additions as u128,
        }
    }

    fn plus(self, other: Self) -> Result<Self> {
        let add = |a: u128, b: u128| a.checked_add(b).ok_or_else(|| Error::overflow("a cost"));
        Ok(Self {
            multiplications: add(self.multiplications, other.multiplications)?,
            additions: add(self.additions, other.additions)?,
        })
    }

    fn times(self, n: u64) -> Result<Self> {
        let scale = |a: u128| a.checked_mul(u128::from(n)).ok_or_else(|| Error::overflow("a cost"));
        Ok(Self {
            multiplications: scale(self.multiplications)?,
            additions: scale(self.additions)?,
        })
    }
}

/// A way of computing y from x.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Layer by layer, zeros included.
    LayersDense,
    /// Layer by layer, drawn edges only.
    LayersSparse,
    /// The expanded formula as it is written: each product of matrices multiplied out anew, from the left.
    ExpandedProducts,
    /// The expanded formula term by term, each from the right, so that only vectors are multiplied.
    ExpandedVectors,
    /// The expanded formula of each output as a sum of monomials, one for each path.
    ScalarFormula,
    /// A and b once, in the cheapest order; then `A x + b`.
    CollapseDense,
    /// The same, multiplying only where both factors may be other than zero.
    CollapseSparse,
    /// `A x + b` with A and b already there.
    CollapsedApply,
}

impl Way {
    /// All ways, in the order of the table.
    pub const ALL: [Self; 8] = [
        Self::LayersDense,
        Self::LayersSparse,
        Self::ExpandedProducts,
        Self::ExpandedVectors,
        Self::ScalarFormula,
        Self::CollapseDense,
        Self::CollapseSparse,
        Self::CollapsedApply,
    ];

    /// A short name for tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::LayersDense => "layer by layer, dense",
            Self::LayersSparse => "layer by layer, drawn edges only",
            Self::ExpandedProducts => "expanded formula, products multiplied out",
            Self::ExpandedVectors => "expanded formula, term by term as vectors",
            Self::ScalarFormula => "expanded scalar formula, all paths",
            Self::CollapseDense => "collapse once, then A x + b",
            Self::CollapseSparse => "collapse once without zeros, then A x + b",
            Self::CollapsedApply => "A x + b alone, already collapsed",
        }
    }

    /// A name of at most 23 characters for the axes of charts.
    pub fn short_name(self) -> &'static str {
        match self {
            Self::LayersDense => "layers, dense",
            Self::LayersSparse => "layers, drawn edges",
            Self::ExpandedProducts => "expanded, products",
            Self::ExpandedVectors => "expanded, vectors",
            Self::ScalarFormula => "expanded, all paths",
            Self::CollapseDense => "collapse, A x + b",
            Self::CollapseSparse => "collapse without zeros",
            Self::CollapsedApply => "A x + b alone",
        }
    }
}

impl Serialize for Way {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(match self {
            Self::LayersDense => "layers_dense",
            Self::LayersSparse => "layers_sparse",
            Self::ExpandedProducts => "expanded_products",
            Self::ExpandedVectors => "expanded_vectors",
            Self::ScalarFormula => "scalar_formula",
            Self::CollapseDense => "collapse_dense",
            Self::CollapseSparse => "collapse_sparse",
            Self::CollapsedApply => "collapsed_apply",
        })
    }
}

/// One row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CostRow {
    /// The way.
    pub way: Way,
    /// Once, before the first x.
    pub setup: Cost,
    /// For every x.
    pub per_input: Cost,
    /// `setup + n · per_input`.
    pub total: Cost,
}

serialize_fields!(CostRow {
    way,
    setup,
    per_input,
    total
});

/// From how many inputs collapsing needs fewer multiplications.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakEven {
    /// The way that collapses.
    pub collapse: Way,
    /// The way that does not.
    pub than: Way,
    /// Fewest inputs for which `collapse` needs fewer multiplications; `None` if it never does.
    pub inputs: Option<u128>,
}

impl Serialize for BreakEven {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("BreakEven", 3)?;
        fields.serialize_field("collapse", &self.collapse)?;
        fields.serialize_field("than", &self.than)?;
        fields.serialize_field("inputs", &self.inputs.map(Number))?;
        fields.end()
    }
}

/// What every way costs for n inputs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CostTable {
    /// n.
    pub inputs: u64,
    /// A row a way; for a network that is not linear only the two that go layer by layer (functions not counted).
    pub rows: Vec<CostRow>,
    /// The order in which the factors are joined, such as `((A₄A₃)A₂)A₁`.
    pub order: Option<String>,
    /// From when collapsing pays, against the two ways that go layer by layer.
    pub break_even: Vec<BreakEven>,
}

serialize_fields!(CostTable {
    inputs,
    rows,
    order,
    break_even
});

impl CostTable {
    /// The row of a way, if the network allows it.
    pub fn row(&self, way: Way) -> Option<&CostRow> {
        self.rows.iter().find(|row| row.way == way)
    }
}

impl Network {
    /// Counts the operations of every way of computing y for n inputs.
    ///
    /// An affine layer of m x k starts each sum with the bias: m·k multiplications and as many additions. A product
    /// of (m x k)(k x n) is m·k·n multiplications and m·(k−1)·n additions.
    ///
    /// # Errors
    /// [`Error::Overflow`].
    pub fn cost_table(&self, n: u64) -> Result<CostTable> {
        let linear = self.require_linear().is_ok();
        let ways = if linear { &Way::ALL[..] } else { &Way::ALL[..2] };
        let dims: Vec<usize> = self.widths().into_iter().rev().collect();
        let order = cheapest_affine_order(&dims)?.1;
        let mut rows = Vec::new();
        for &way in ways {
            let (setup, per_input) = self.cost(way, &order)?;
            rows.push(CostRow {
                way,
                setup,
                per_input,
                total: setup.plus(per_input.times(n)?)?,
            });
        }
        let factors: Vec<String> = (1..=self.depth())
            .rev()
            .map(|k| format!("A{}", super::paths::subscript(k)))
            .collect();
        let mut table = CostTable {
            inputs: n,
            rows,
            order: linear.then(|| order.write(&factors)),
            break_even: Vec::new(),
        };
        for (collapse, than) in [
            (Way::CollapseDense, Way::LayersDense),
            (Way::CollapseSparse, Way::LayersSparse),
        ] {
            if let (Some(once), Some(layers)) = (table.row(collapse), table.row(than)) {
                let (setup, apply) = (once.setup.multiplications, once.per_input.multiplications);
                let saved = layers
                    .per_input
                    .multiplications
                    .checked_sub(apply)
                    .filter(|&saved| saved > 0);
                table.break_even.push(BreakEven {
                    collapse,
                    than,
                    inputs: saved.map(|saved| setup / saved + 1),
                });
            }
        }
        Ok(table)
    }

    fn cost(&self, way: Way, order: &Order) -> Result<(Cost, Cost)> {
        let (widths, totals, depth) = (self.widths(), self.totals(), self.depth());
        let (inputs, outputs) = (self.inputs(), self.outputs());
        let apply = Cost::new(outputs * inputs, outputs * inputs);
        let none = Cost::default();
        Ok(match way {
            Way::LayersDense => (none, Cost::new(totals.entries, totals.entries)),
            Way::LayersSparse => (none, Cost::new(totals.edges, totals.edges)),
            Way::ExpandedProducts | Way::ExpandedVectors => {
                // One addition a term and output joins the L + 1 terms; the last term is b_L itself.
                let mut sum = Cost::new(0, outputs * depth);
                for start in 0..depth {
                    if way == Way::ExpandedProducts {
                        for k in (start + 1..depth).rev() {
                            sum = sum.plus(product(outputs, widths[k], widths[k - 1]))?;
                        }
                        sum = sum.plus(product(outputs, widths[start], 1))?;
                    } else {
                        for k in start..depth {
                            sum = sum.plus(product(widths[k + 1], widths[k], 1))?;
                        }
                    }
                }
                (none, sum)
            }
            Way::ScalarFormula => {
                let mut sum = none;
                for counts in self.path_counts()? {
                    let (multiplications, additions) = (counts.multiplications()?, counts.monomials()? - 1);
                    sum = sum.plus(Cost {
                        multiplications,
                        additions,
                    })?;
                }
                (none, sum)
            }
            Way::CollapseDense => (self.join_cost(order, false)?.0, apply),
            Way::CollapseSparse => {
                let (setup, pattern) = self.join_cost(order, true)?;
                (setup, Cost::new(pattern.edges(), pattern.edges()))
            }
            Way::CollapsedApply => (none, apply),
        })
    }

    /// Cost of joining the layers of a part of the chain to one affine map, and the pattern of its matrix.
    fn join_cost(&self, order: &Order, sparse: bool) -> Result<(Cost, Mask)> {
        let (left, right) = match order {
            Order::Factor(index) => return Ok((Cost::default(), self.masks()[self.depth() - 1 - index].clone())),
            Order::Product(left, right) => (self.join_cost(left, sparse)?, self.join_cost(right, sparse)?),
        };
        let (a, b) = (&left.1, &right.1);
        let pattern = a.product(b)?;
        let join = if sparse {
            let per_row: Vec<usize> = (0..b.rows()).map(|k| b.drawn_in_row(k).count()).collect();
            let products: usize = (0..a.rows())
                .map(|i| a.drawn_in_row(i).map(|k| per_row[k]).sum::<usize>())
                .sum();
            Cost::new(products + a.edges(), products - pattern.edges() + a.edges())
        } else {
            let bias = a.rows() * a.columns();
            product(a.rows(), a.columns(), b.columns()).plus(Cost::new(bias, bias))?
        };
        Ok((left.0.plus(right.0)?.plus(join)?, pattern))
    }
}

/// (rows x inner)(inner x columns).
fn product(rows: usize, inner: usize, columns: usize) -> Cost {
    Cost::new(rows * inner * columns, rows * (inner - 1) * columns)
}
