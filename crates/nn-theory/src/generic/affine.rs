//! A network with numbers on its edges: every way of computing y, and the collapsed map `y = A x + b`.

use super::{Error, Mask, Network, Order, Rational, Result, Scalar, Way, cheapest_affine_order};

/// A matrix as rows.
pub type Matrix<T> = Vec<Vec<T>>;

/// The affine map `y = A x + b`.
#[derive(Debug, Clone, PartialEq)]
pub struct AffineMap<T> {
    /// A, one row an output.
    pub matrix: Matrix<T>,
    /// b, one entry an output.
    pub bias: Vec<T>,
}

/// A linear network with its weights and biases.
#[derive(Debug, Clone, PartialEq)]
pub struct Weighted<T> {
    network: Network,
    weights: Vec<Matrix<T>>,
    biases: Vec<Vec<T>>,
}

impl Network {
    /// Small integers by a rule, all numbers counted from 1: entry `A_k[i,j]` is the element `(3i + 5j + 7k) mod 6`
    /// (from 0) of −3, −2, −1, 1, 2, 3 where an edge is drawn, and `b_k[i] = (i + 2k) mod 5 − 2`.
    ///
    /// # Errors
    /// [`Error::NotLinear`].
    pub fn example_weights(&self) -> Result<Weighted<i128>> {
        const VALUES: [i128; 6] = [-3, -2, -1, 1, 2, 3];
        let entry = |k: usize, i: usize, j: usize| VALUES[(3 * (i + 1) + 5 * (j + 1) + 7 * (k + 1)) % 6];
        let weights = self.masks().iter().enumerate().map(|(k, mask)| {
            let row = |i: usize| {
                (0..mask.columns())
                    .map(|j| if mask.is_drawn(i, j) { entry(k, i, j) } else { 0 })
                    .collect()
            };
            (0..mask.rows()).map(row).collect()
        });
        let biases = self.masks().iter().enumerate();
        let biases = biases.map(|(k, mask)| {
            (0..mask.rows())
                .map(|i| ((i + 1 + 2 * (k + 1)) % 5) as i128 - 2)
                .collect()
        });
        Weighted::new(self.clone(), weights.collect(), biases.collect())
    }

    /// The input `x_j = 3j mod 7 − 3`, j from 1.
    pub fn example_input(&self) -> Vec<i128> {
        (1..=self.inputs()).map(|j| (3 * j % 7) as i128 - 3).collect()
    }
}

impl<T: Scalar> Weighted<T> {
    /// Puts numbers on the edges; `weights[k][i][j]` is `A_{k+1}[i+1, j+1]`.
    ///
    /// # Errors
    /// [`Error::NotLinear`], [`Error::Shape`], [`Error::UndrawnWeight`].
    pub fn new(network: Network, weights: Vec<Matrix<T>>, biases: Vec<Vec<T>>) -> Result<Self> {
        network.require_linear()?;
        let shape = |what: String, expected: String, found: String| Err(Error::Shape { what, expected, found });
        let depth = network.depth();
        if weights.len() != depth || biases.len() != depth {
            let found = format!("{} matrices and {} biases", weights.len(), biases.len());
            return shape(
                "weights".to_owned(),
                format!("{depth} matrices and {depth} biases"),
                found,
            );
        }
        for (index, mask) in network.masks().iter().enumerate() {
            let layer = index + 1;
            if weights[index].len() != mask.rows() {
                return shape(
                    format!("A{layer}"),
                    format!("{} rows", mask.rows()),
                    weights[index].len().to_string(),
                );
            }
            for (i, row) in weights[index].iter().enumerate() {
                if row.len() != mask.columns() {
                    let what = format!("A{layer}, row {}", i + 1);
                    return shape(what, format!("{} entries", mask.columns()), row.len().to_string());
                }
                if let Some(j) = (0..row.len()).find(|&j| !mask.is_drawn(i, j) && row[j] != T::zero()) {
                    return Err(Error::UndrawnWeight {
                        layer,
                        row: i + 1,
                        column: j + 1,
                    });
                }
            }
            if biases[index].len() != mask.rows() {
                return shape(
                    format!("b{layer}"),
                    format!("{} entries", mask.rows()),
                    biases[index].len().to_string(),
                );
            }
        }
        Ok(Self {
            network,
            weights,
            biases,
        })
    }

    /// The network without its numbers.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The matrices, A1 first.
    pub fn weights(&self) -> &[Matrix<T>] {
        &self.weights
    }

    /// The biases, b1 first.
    pub fn biases(&self) -> &[Vec<T>] {
        &self.biases
    }

    /// The same network with other numbers, for instance the integers as fractions or as `f64`.
    ///
    /// # Errors
    /// [`Error::UndrawnWeight`] if `number` does not map zero to zero.
    pub fn map<U: Scalar>(&self, number: impl Fn(&T) -> U) -> Result<Weighted<U>> {
        let row = |row: &Vec<T>| row.iter().map(&number).collect::<Vec<U>>();
        let weights = self
            .weights
            .iter()
            .map(|matrix| matrix.iter().map(row).collect())
            .collect();
        Weighted::new(self.network.clone(), weights, self.biases.iter().map(row).collect())
    }

    /// y for one x, computed in the way asked for; each does exactly the operations that [`Network::cost_table`] counts.
    ///
    /// # Errors
    /// [`Error::Shape`] of x, [`Error::Overflow`]; [`Error::TooLarge`] for [`Way::ScalarFormula`] with more than a
    /// million monomials.
    pub fn evaluate(&self, way: Way, x: &[T]) -> Result<Vec<T>> {
        if x.len() != self.network.inputs() {
            let (expected, found) = (format!("{} entries", self.network.inputs()), x.len().to_string());
            return Err(Error::Shape {
                what: "x".to_owned(),
                expected,
                found,
            });
        }
        match way {
            Way::LayersDense => self.layers(None, x),
            Way::LayersSparse => self.layers(Some(self.network.masks()), x),
            Way::ExpandedProducts => self.expanded(x, |factors, vector| {
                let (first, rest) = factors.split_first().ok_or(Error::NoLayer)?;
                let product = rest
                    .iter()
                    .try_fold((*first).clone(), |left, right| product(&left, right))?;
                times_vector(&product, vector)
            }),
            Way::ExpandedVectors => self.expanded(x, |factors, vector| {
                factors
                    .iter()
                    .rev()
                    .try_fold(vector.to_vec(), |below, matrix| times_vector(matrix, &below))
            }),
            Way::ScalarFormula => self.scalar_formula_value(x),
            Way::CollapseDense | Way::CollapsedApply => self.collapse()?.apply(x),
            Way::CollapseSparse => self.collapse_sparse()?.apply_sparse(&self.network.product_pattern(), x),
        }
    }

    fn layers(&self, masks: Option<&[Mask]>, x: &[T]) -> Result<Vec<T>> {
        let mut state = x.to_vec();
        for (index, matrix) in self.weights.iter().enumerate() {
            state = affine(matrix, &self.biases[index], masks.map(|masks| &masks[index]), &state)?;
        }
        Ok(state)
    }

    /// The sum of the terms `A_L … A_{k+1} b_k`, with x in the place of `b_0`.
    fn expanded(&self, x: &[T], term: impl Fn(&[&Matrix<T>], &[T]) -> Result<Vec<T>>) -> Result<Vec<T>> {
        let factors: Vec<&Matrix<T>> = self.weights.iter().rev().collect();
        let depth = factors.len();
        let mut sum = term(&factors, x)?;
        for layer in 1..=depth {
            let bias = &self.biases[layer - 1];
            let value = if layer == depth {
                bias.clone()
            } else {
                term(&factors[..depth - layer], bias)?
            };
            sum = sum.iter().zip(&value).map(|(a, b)| a.plus(b)).collect::<Result<_>>()?;
        }
        Ok(sum)
    }

    fn scalar_formula_value(&self, x: &[T]) -> Result<Vec<T>> {
        self.network.check_monomials()?;
        (0..self.network.outputs())
            .map(|output| {
                let mut sum = None;
                self.add_monomials(self.network.depth(), output, &mut Vec::new(), x, &mut sum)?;
                Ok(sum.unwrap_or_else(T::zero))
            })
            .collect()
    }

    /// Adds every monomial that ends in neuron `i` of layer `k`; each is multiplied out anew, as the formula is written.
    fn add_monomials(&self, k: usize, i: usize, path: &mut Vec<T>, x: &[T], sum: &mut Option<T>) -> Result<()> {
        let tail = if k == 0 { &x[i] } else { &self.biases[k - 1][i] };
        let monomial = path
            .iter()
            .try_fold(tail.clone(), |product, weight| product.times(weight))?;
        *sum = Some(match sum.take() {
            Some(sum) => sum.plus(&monomial)?,
            None => monomial,
        });
        if k > 0 {
            for j in self.network.masks()[k - 1].drawn_in_row(i) {
                path.push(self.weights[k - 1][i][j].clone());
                self.add_monomials(k - 1, j, path, x, sum)?;
                path.pop();
            }
        }
        Ok(())
    }

    /// A and b, joined in the order that needs the fewest multiplications (see [`cheapest_affine_order`]).
    ///
    /// # Errors
    /// [`Error::Overflow`].
    pub fn collapse(&self) -> Result<AffineMap<T>> {
        Ok(self.join(&self.order()?, false)?.0)
    }

    /// The same, multiplying only where both factors may be other than zero.
    ///
    /// # Errors
    /// [`Error::Overflow`].
    pub fn collapse_sparse(&self) -> Result<AffineMap<T>> {
        Ok(self.join(&self.order()?, true)?.0)
    }

    fn order(&self) -> Result<Order> {
        let dims: Vec<usize> = self.network.widths().into_iter().rev().collect();
        Ok(cheapest_affine_order(&dims)?.1)
    }

    fn join(&self, order: &Order, sparse: bool) -> Result<(AffineMap<T>, Mask)> {
        match order {
            Order::Factor(index) => {
                let layer = self.weights.len() - 1 - index;
                let (matrix, bias) = (self.weights[layer].clone(), self.biases[layer].clone());
                Ok((AffineMap { matrix, bias }, self.network.masks()[layer].clone()))
            }
            Order::Product(left, right) => {
                let ((left, left_mask), (right, right_mask)) = (self.join(left, sparse)?, self.join(right, sparse)?);
                let matrix = if sparse {
                    product_sparse(&left.matrix, &left_mask, &right.matrix, &right_mask)?
                } else {
                    product(&left.matrix, &right.matrix)?
                };
                let bias = affine(&left.matrix, &left.bias, sparse.then_some(&left_mask), &right.bias)?;
                Ok((AffineMap { matrix, bias }, left_mask.product(&right_mask)?))
            }
        }
    }
}

impl<T: Scalar> AffineMap<T> {
    /// `A x + b`.
    ///
    /// # Errors
    /// [`Error::Shape`], [`Error::Overflow`].
    pub fn apply(&self, x: &[T]) -> Result<Vec<T>> {
        if let Some(row) = self.matrix.iter().find(|row| row.len() != x.len()) {
            let (expected, found) = (format!("{} entries", row.len()), x.len().to_string());
            return Err(Error::Shape {
                what: "x".to_owned(),
                expected,
                found,
            });
        }
        affine(&self.matrix, &self.bias, None, x)
    }

    fn apply_sparse(&self, pattern: &Mask, x: &[T]) -> Result<Vec<T>> {
        affine(&self.matrix, &self.bias, Some(pattern), x)
    }
}

impl AffineMap<Rational> {
    /// The rank of A, by exact elimination.
    ///
    /// # Errors
    /// [`Error::Overflow`].
    pub fn rank(&self) -> Result<usize> {
        let mut rows = self.matrix.clone();
        let mut rank = 0;
        for column in 0..rows.first().map_or(0, Vec::len) {
            let Some(pivot) = (rank..rows.len()).find(|&row| rows[row][column] != Rational::zero()) else {
                continue;
            };
            rows.swap(rank, pivot);
            let (above, below) = rows.split_at_mut(rank + 1);
            let pivot_row = &above[rank];
            for row in below {
                let factor = row[column].over(&pivot_row[column])?;
                for (entry, pivot) in row.iter_mut().zip(pivot_row) {
                    *entry = entry.minus(&factor.times(pivot)?)?;
                }
            }
            rank += 1;
        }
        Ok(rank)
    }
}

/// `M v + c`, starting from c; with a mask only its drawn entries are multiplied.
fn affine<T: Scalar>(matrix: &Matrix<T>, bias: &[T], mask: Option<&Mask>, vector: &[T]) -> Result<Vec<T>> {
    let value = |(i, (row, bias)): (usize, (&Vec<T>, &T))| {
        let drawn = (0..row.len()).filter(|&j| mask.is_none_or(|mask| mask.is_drawn(i, j)));
        drawn
            .into_iter()
            .try_fold(bias.clone(), |sum, j| sum.plus(&row[j].times(&vector[j])?))
    };
    matrix.iter().zip(bias).enumerate().map(value).collect()
}

/// A scalar product; the first product is not added to anything.
fn dot<T: Scalar>(mut pairs: impl Iterator<Item = Result<T>>) -> Result<T> {
    let Some(first) = pairs.next() else {
        return Ok(T::zero());
    };
    pairs.try_fold(first?, |sum, product| sum.plus(&product?))
}

fn times_vector<T: Scalar>(matrix: &Matrix<T>, vector: &[T]) -> Result<Vec<T>> {
    matrix
        .iter()
        .map(|row| dot(row.iter().zip(vector).map(|(a, b)| a.times(b))))
        .collect()
}

fn product<T: Scalar>(left: &Matrix<T>, right: &Matrix<T>) -> Result<Matrix<T>> {
    let columns = right.first().map_or(0, Vec::len);
    let entry = |row: &Vec<T>, j: usize| dot(row.iter().zip(right).map(|(a, below)| a.times(&below[j])));
    left.iter()
        .map(|row| (0..columns).map(|j| entry(row, j)).collect())
        .collect()
}

fn product_sparse<T: Scalar>(left: &Matrix<T>, drawn: &Mask, right: &Matrix<T>, below: &Mask) -> Result<Matrix<T>> {
    let entry = |i: usize, j: usize| {
        let inner = drawn.drawn_in_row(i).filter(|&k| below.is_drawn(k, j));
        dot(inner.map(|k| left[i][k].times(&right[k][j])))
    };
    (0..left.len())
        .map(|i| (0..below.columns()).map(|j| entry(i, j)).collect())
        .collect()
}
