//! How much the collapsed map can amplify errors, and what its singular values say about the product of the layers.

use super::{Error, Matrix, Rational, Result, Weighted};

/// Longest side of a matrix whose singular values are computed.
const MAX_SIDE: usize = 256;
/// Sweeps of rotations after which everything is orthogonal to the last bit; ten are usual.
const MAX_SWEEPS: usize = 60;

/// What the singular values of a matrix say.
#[derive(Debug, Clone, PartialEq)]
pub struct Conditioning {
    /// `A1`, …, or `A` for the product.
    pub name: String,
    /// Singular values, largest first; as many as the shorter side has.
    pub singular_values: Vec<f64>,
    /// Those that are larger than rounding (`σ₁ · max(m, n) · 2⁻⁵²`).
    pub rank: usize,
    /// `σ₁`, how much the matrix can lengthen a vector.
    pub norm: f64,
    /// `σ₁ / σ_r` over the values that are not zero: how much relative errors can grow on the way through the matrix.
    pub condition: f64,
}

serialize_fields!(Conditioning {
    name,
    singular_values,
    rank,
    norm,
    condition
});

/// The layers, their product, and how they compare.
#[derive(Debug, Clone, PartialEq)]
pub struct ProductConditioning {
    /// The matrices, A1 first.
    pub layers: Vec<Conditioning>,
    /// The collapsed matrix.
    pub product: Conditioning,
    /// Product of the norms of the layers, an upper bound of the norm of the product.
    pub norm_bound: f64,
    /// Product of the condition numbers of the layers; it bounds that of the product where all matrices are square and
    /// regular.
    pub condition_bound: f64,
    /// `norm_bound / norm`: how many times larger the intermediate results can be than the final one, that is by how much
    /// cancellation enlarges rounding errors.
    pub cancellation: f64,
}

serialize_fields!(ProductConditioning {
    layers,
    product,
    norm_bound,
    condition_bound,
    cancellation
});

impl Weighted<f64> {
    /// Singular values and condition numbers of the layers and of the collapsed matrix.
    ///
    /// ```
    /// use nn_theory::generic::{Network, Weighted};
    /// let net: Network = "layer\n 1 0\n 0 1\nlayer\n 1 0\n 0 1\n".parse()?;
    /// let diagonal = |a: f64, b: f64| vec![vec![a, 0.0], vec![0.0, b]];
    /// let net = Weighted::new(net, vec![diagonal(100.0, 1.0), diagonal(0.01, 1.0)], vec![vec![0.0; 2]; 2])?;
    /// let found = net.conditioning()?;
    /// assert_eq!((found.layers[0].condition, found.product.condition), (100.0, 1.0)); // the layers undo each other
    /// assert_eq!(found.cancellation, 100.0);
    /// # Ok::<(), nn_theory::generic::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::TooLarge`] above 256 neurons in a layer, [`Error::Overflow`] of the product.
    pub fn conditioning(&self) -> Result<ProductConditioning> {
        let widest = self.network().widths().into_iter().max().unwrap_or(0);
        if widest > MAX_SIDE {
            return Err(Error::TooLarge {
                what: "neurons of a layer for singular values".to_owned(),
                limit: MAX_SIDE,
                found: widest,
            });
        }
        let named = |(index, matrix): (usize, &Matrix<f64>)| of_matrix(format!("A{}", index + 1), matrix);
        let layers: Vec<Conditioning> = self.weights().iter().enumerate().map(named).collect();
        let product = of_matrix("A".to_owned(), &self.collapse()?.matrix);
        let norm_bound: f64 = layers.iter().map(|layer| layer.norm).product();
        Ok(ProductConditioning {
            norm_bound,
            condition_bound: layers.iter().map(|layer| layer.condition).product(),
            cancellation: if product.norm > 0.0 {
                norm_bound / product.norm
            } else {
                f64::INFINITY
            },
            layers,
            product,
        })
    }
}

impl Weighted<Rational> {
    /// The collapsed map exactly, or rounded to `f64` where a fraction leaves the range of 128-bit integers.
    ///
    /// # Errors
    /// [`Error::Overflow`] only if the numbers leave `f64`, too, which weights do not.
    pub fn collapse_exactly_or_rounded(&self) -> Result<Collapsed> {
        match self.collapse() {
            Ok(map) => Ok(Collapsed::Exact(map)),
            Err(why @ Error::Overflow { .. }) => Ok(Collapsed::Rounded {
                map: self.map(|number| number.to_f64())?.collapse()?,
                why: why.to_string(),
            }),
            Err(other) => Err(other),
        }
    }
}

/// A collapsed map with the numbers that it could be computed with.
#[derive(Debug, Clone, PartialEq)]
pub enum Collapsed {
    /// Every entry is exact.
    Exact(super::AffineMap<Rational>),
    /// The exact fractions do not fit into 128 bits; these are the nearest that `f64` gives.
    Rounded {
        /// The map in `f64`.
        map: super::AffineMap<f64>,
        /// Which number left the range, as a sentence.
        why: String,
    },
}

fn of_matrix(name: String, matrix: &Matrix<f64>) -> Conditioning {
    let singular_values = singular_values(matrix);
    let norm = singular_values.first().copied().unwrap_or(0.0);
    let sides = matrix.len().max(matrix.first().map_or(0, Vec::len));
    let least = norm * sides as f64 * f64::EPSILON;
    let rank = singular_values.iter().filter(|&&value| value > least).count();
    let smallest = rank.checked_sub(1).map_or(0.0, |last| singular_values[last]);
    Conditioning {
        name,
        rank,
        norm,
        condition: if smallest > 0.0 { norm / smallest } else { f64::INFINITY },
        singular_values,
    }
}

/// One-sided Jacobi (Hestenes, 1958): columns are rotated until all are orthogonal; their lengths are the singular values.
fn singular_values(matrix: &Matrix<f64>) -> Vec<f64> {
    let (rows, columns) = (matrix.len(), matrix.first().map_or(0, Vec::len));
    // The rows of the shorter side, so that there are no more vectors than values.
    let mut vectors: Matrix<f64> = if rows <= columns {
        matrix.clone()
    } else {
        (0..columns)
            .map(|j| matrix.iter().map(|row| row[j]).collect())
            .collect()
    };
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    for _ in 0..MAX_SWEEPS {
        let mut rotated = false;
        for p in 0..vectors.len() {
            for q in p + 1..vectors.len() {
                let (head, tail) = vectors.split_at_mut(q);
                let (a, b) = (&mut head[p], &mut tail[0]);
                let (aa, bb, ab) = (dot(a, a), dot(b, b), dot(a, b));
                if ab.abs() <= f64::EPSILON * (aa * bb).sqrt() {
                    continue;
                }
                rotated = true;
                let zeta = (bb - aa) / (2.0 * ab);
                let t = zeta.signum() / (zeta.abs() + (1.0 + zeta * zeta).sqrt());
                let c = 1.0 / (1.0 + t * t).sqrt();
                let s = c * t;
                for (a, b) in a.iter_mut().zip(b.iter_mut()) {
                    (*a, *b) = (c * *a - s * *b, s * *a + c * *b);
                }
            }
        }
        if !rotated {
            break;
        }
    }
    let mut values: Vec<f64> = vectors.iter().map(|vector| dot(vector, vector).sqrt()).collect();
    values.sort_by(|a, b| b.total_cmp(a));
    values
}
