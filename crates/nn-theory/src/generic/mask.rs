//! The connections between two layers as a matrix of zeros and ones.

use std::fmt;

use super::{Error, Result};

/// Fewest zeros that make a matrix sparse in the sense of the exercise («has several zeros»).
pub const SEVERAL: usize = 2;

/// Which entries of a matrix may be other than zero: row = neuron of the next layer, column = neuron of the previous one.
///
/// ```
/// use nn_theory::generic::Mask;
/// let a2 = Mask::from_rows("A2", &[[1, 1, 1, 0], [1, 0, 1, 1], [1, 0, 1, 1]])?;
/// assert_eq!((a2.shape(), a2.edges(), a2.zeros(), a2.is_sparse()), ([3, 4], 9, 3, true));
/// assert_eq!(a2.to_string(), "⎡ ■ ■ ■ · ⎤\n⎢ ■ · ■ ■ ⎥\n⎣ ■ · ■ ■ ⎦");
/// # Ok::<(), nn_theory::generic::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mask {
    rows: usize,
    columns: usize,
    drawn: Vec<bool>,
}

impl Mask {
    /// Reads rows of numbers; every number other than 0 is a drawn edge. `name` is used in errors.
    ///
    /// # Errors
    /// [`Error::EmptyMatrix`], [`Error::RaggedRow`].
    pub fn from_rows<R: AsRef<[u8]>>(name: &str, rows: &[R]) -> Result<Self> {
        let columns = rows.first().map_or(0, |row| row.as_ref().len());
        if columns == 0 {
            return Err(Error::EmptyMatrix {
                matrix: name.to_owned(),
                rows: rows.len(),
                columns,
            });
        }
        let mut drawn = Vec::with_capacity(rows.len() * columns);
        for (index, row) in rows.iter().enumerate() {
            let row = row.as_ref();
            if row.len() != columns {
                let (matrix, row_number) = (name.to_owned(), index + 1);
                return Err(Error::RaggedRow {
                    matrix,
                    row: row_number,
                    expected: columns,
                    found: row.len(),
                });
            }
            drawn.extend(row.iter().map(|&entry| entry != 0));
        }
        Ok(Self {
            rows: rows.len(),
            columns,
            drawn,
        })
    }

    /// Every edge drawn (`rows`, `columns` at least 1, checked when a network is built of it).
    pub fn dense(rows: usize, columns: usize) -> Self {
        Self::from_fn(rows, columns, |_, _| true)
    }

    pub(super) fn from_fn(rows: usize, columns: usize, drawn: impl Fn(usize, usize) -> bool) -> Self {
        let drawn = (0..rows)
            .flat_map(|i| (0..columns).map(move |j| (i, j)))
            .map(|(i, j)| drawn(i, j))
            .collect();
        Self { rows, columns, drawn }
    }

    /// `[rows, columns]`.
    pub fn shape(&self) -> [usize; 2] {
        [self.rows, self.columns]
    }

    /// Neurons of the next layer.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Neurons of the previous layer.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Is the edge from neuron `column` to neuron `row` drawn? (From 0; outside of the matrix nothing is drawn.)
    pub fn is_drawn(&self, row: usize, column: usize) -> bool {
        row < self.rows && column < self.columns && self.drawn[row * self.columns + column]
    }

    /// Columns of the drawn edges of a row, ascending.
    pub fn drawn_in_row(&self, row: usize) -> impl Iterator<Item = usize> + '_ {
        (0..self.columns).filter(move |&column| self.is_drawn(row, column))
    }

    /// Number of drawn edges.
    pub fn edges(&self) -> usize {
        self.drawn.iter().filter(|&&drawn| drawn).count()
    }

    /// Number of zeros, `rows · columns − edges`.
    pub fn zeros(&self) -> usize {
        self.drawn.len() - self.edges()
    }

    /// Has it several zeros, that is at least [`SEVERAL`]?
    pub fn is_sparse(&self) -> bool {
        self.zeros() >= SEVERAL
    }

    /// The structural pattern of the product `self · right`: drawn where at least one path leads.
    ///
    /// # Errors
    /// [`Error::Shape`] if the matrices do not fit.
    pub fn product(&self, right: &Self) -> Result<Self> {
        if self.columns != right.rows {
            return Err(Error::Shape {
                what: "right factor of a product of patterns".to_owned(),
                expected: format!("{} rows", self.columns),
                found: format!("{} rows", right.rows),
            });
        }
        let mut drawn = vec![false; self.rows * right.columns];
        for row in 0..self.rows {
            for inner in self.drawn_in_row(row) {
                for column in right.drawn_in_row(inner) {
                    drawn[row * right.columns + column] = true;
                }
            }
        }
        Ok(Self {
            rows: self.rows,
            columns: right.columns,
            drawn,
        })
    }

    /// Rows as text of `0` and `1`, as the parser reads them.
    pub fn text_rows(&self) -> Vec<String> {
        self.rows_with("1", "0")
    }

    fn rows_with(&self, edge: &str, zero: &str) -> Vec<String> {
        self.drawn
            .chunks(self.columns.max(1))
            .map(|row| {
                row.iter()
                    .map(|&drawn| if drawn { edge } else { zero })
                    .collect::<Vec<_>>()
                    .join(" ")
            })
            .collect()
    }
}

/// The zero pattern in brackets: `■` is a drawn edge, `·` a zero.
impl fmt::Display for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = self.rows_with("■", "·");
        let last = rows.len().saturating_sub(1);
        for (index, row) in rows.iter().enumerate() {
            let (left, right) = match index {
                _ if last == 0 => ('[', ']'),
                0 => ('⎡', '⎤'),
                _ if index == last => ('⎣', '⎦'),
                _ => ('⎢', '⎥'),
            };
            write!(f, "{left} {row} {right}{}", if index == last { "" } else { "\n" })?;
        }
        Ok(())
    }
}
