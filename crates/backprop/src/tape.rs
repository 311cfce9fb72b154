//! Reverse mode in three pages: a tape of matrices.
//!
//! Computing writes every operation on a tape. [`Tape::backward`] reads it from the end to the beginning and hands each
//! node's gradient to the nodes that it was made of: that is the chain rule, and all there is to backpropagation. A node
//! that is used twice collects two contributions, which is why gradients are *added*.
//!
//! This is for reading (after Andrej Karpathy's micrograd). For training use candle.

use crate::error::{Result, shape};
use crate::matrix::Matrix;
use crate::symbol::Function;

/// A node of the tape that returned it; it means nothing to another tape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node(usize);

/// What a node was made of.
#[derive(Clone, Copy, Debug)]
enum Operation {
    /// A value whose gradient nobody wants, such as an input.
    Constant,
    Leaf,
    MatMul(Node, Node),
    Add(Node, Node),
    Multiply(Node, Node),
    Scale(Node, f64),
    Tanh(Node),
    Sigmoid(Node),
    Relu(Node),
    Softplus(Node),
    LogSoftmax(Node),
    Sum(Node),
}

/// The operations in the order in which they were computed, with their values.
///
/// ```
/// use backprop::{Matrix, tape::Tape};
/// // L = Σ (w x)², so ∂L/∂w = 2 w x²
/// let mut tape = Tape::new();
/// let w = tape.leaf(Matrix::column(&[3.0]));
/// let x = tape.constant(Matrix::column(&[5.0]));
/// let wx = tape.multiply(w, x)?;
/// let square = tape.multiply(wx, wx)?;
/// let loss = tape.sum(square);
/// let gradients = tape.backward(loss)?;
/// assert_eq!(gradients.of(w).data(), [2.0 * 3.0 * 25.0]);
/// # Ok::<(), backprop::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Tape {
    nodes: Vec<(Operation, Matrix)>,
    /// Whether a leaf is somewhere below each node. Where none is, no gradient is computed: the product `W x` needs that of
    /// `W` alone, which is half of its way back.
    varies: Vec<bool>,
}

/// The derivatives of one number by the nodes of the tape.
#[derive(Clone, Debug)]
pub struct Gradients(Vec<Matrix>);

impl Gradients {
    /// The derivative by a node, in the node's shape; zeros for a node that the number does not depend on, and for constants
    /// and what is computed from constants alone.
    ///
    /// # Panics
    /// Like a slice, for a node of another, longer tape.
    pub fn of(&self, node: Node) -> &Matrix {
        &self.0[node.0]
    }
}

impl Tape {
    /// An empty tape.
    pub fn new() -> Self {
        Self::default()
    }

    fn push(&mut self, operation: Operation, value: Matrix) -> Node {
        let varies = match operation {
            Operation::Constant => false,
            Operation::Leaf => true,
            Operation::MatMul(a, b) | Operation::Add(a, b) | Operation::Multiply(a, b) => {
                self.varies(a) || self.varies(b)
            }
            Operation::Scale(a, _)
            | Operation::Tanh(a)
            | Operation::Sigmoid(a)
            | Operation::Relu(a)
            | Operation::Softplus(a)
            | Operation::LogSoftmax(a)
            | Operation::Sum(a) => self.varies(a),
        };
        self.nodes.push((operation, value));
        self.varies.push(varies);
        Node(self.nodes.len() - 1)
    }

    fn varies(&self, node: Node) -> bool {
        self.varies[node.0]
    }

    /// The value of a node of this tape.
    ///
    /// # Panics
    /// Like a slice, for a node of another, longer tape.
    pub fn value(&self, node: Node) -> &Matrix {
        &self.nodes[node.0].1
    }

    /// A value by which is differentiated: a weight.
    pub fn leaf(&mut self, value: Matrix) -> Node {
        self.push(Operation::Leaf, value)
    }

    /// A value that stays: an input, a target.
    pub fn constant(&mut self, value: Matrix) -> Node {
        self.push(Operation::Constant, value)
    }

    /// The matrix product `a · b`.
    ///
    /// # Errors
    /// [`Error::Shape`](crate::Error::Shape) names the node and both shapes if they do not fit; so for the other operations of
    /// two nodes.
    pub fn matmul(&mut self, a: Node, b: Node) -> Result<Node> {
        let value = self.named(self.value(a).matmul(self.value(b)), "matmul", a, b)?;
        Ok(self.push(Operation::MatMul(a, b), value))
    }

    /// `a + b`, elementwise.
    ///
    /// # Errors
    /// See [`Tape::matmul`].
    pub fn add(&mut self, a: Node, b: Node) -> Result<Node> {
        let value = self.named(self.value(a).zip(self.value(b), |a, b| a + b), "add", a, b)?;
        Ok(self.push(Operation::Add(a, b), value))
    }

    /// `a * b`, elementwise.
    ///
    /// # Errors
    /// See [`Tape::matmul`].
    pub fn multiply(&mut self, a: Node, b: Node) -> Result<Node> {
        let value = self.named(self.value(a).zip(self.value(b), |a, b| a * b), "multiply", a, b)?;
        Ok(self.push(Operation::Multiply(a, b), value))
    }

    /// The error of an operation with the node that it would have become.
    fn named(&self, value: Result<Matrix>, operation: &str, a: Node, b: Node) -> Result<Matrix> {
        value.map_err(|error| {
            let node = format!("node {}, {operation} of nodes {} and {}", self.nodes.len(), a.0, b.0);
            match error {
                crate::Error::Shape { expected, found, .. } => shape(node, expected, found),
                other => other,
            }
        })
    }

    /// `factor * a`.
    pub fn scale(&mut self, a: Node, factor: f64) -> Node {
        let value = self.value(a).map(|x| factor * x);
        self.push(Operation::Scale(a, factor), value)
    }

    /// `tanh a`, elementwise.
    pub fn tanh(&mut self, a: Node) -> Node {
        let value = self.value(a).map(f64::tanh);
        self.push(Operation::Tanh(a), value)
    }

    /// `σ(a)`, elementwise.
    pub fn sigmoid(&mut self, a: Node) -> Node {
        let value = self.value(a).map(|x| Function::Sigmoid.value(x));
        self.push(Operation::Sigmoid(a), value)
    }

    /// `max(a, 0)`, elementwise.
    pub fn relu(&mut self, a: Node) -> Node {
        let value = self.value(a).map(|x| Function::Relu.value(x));
        self.push(Operation::Relu(a), value)
    }

    /// `log(1 + exp a)`, elementwise.
    pub fn softplus(&mut self, a: Node) -> Node {
        let value = self.value(a).map(crate::mlp::softplus);
        self.push(Operation::Softplus(a), value)
    }

    /// The logarithm of softmax down each column: one sample a column.
    pub fn log_softmax(&mut self, a: Node) -> Node {
        let mut value = self.value(a).transposed();
        let classes = value.columns().max(1);
        for sample in value.data_mut().chunks_mut(classes) {
            let log_p = crate::by_hand::log_softmax(sample);
            sample.copy_from_slice(&log_p);
        }
        self.push(Operation::LogSoftmax(a), value.transposed())
    }

    /// The sum of all numbers, as a 1x1 matrix.
    pub fn sum(&mut self, a: Node) -> Node {
        let total = self.value(a).sum();
        self.push(Operation::Sum(a), Matrix::column(&[total]))
    }

    /// The derivatives of `of` (a single number) by every node that a leaf is below of.
    ///
    /// # Errors
    /// [`Error::Shape`](crate::Error::Shape) if `of` holds more than one number, or is not a node of this tape.
    pub fn backward(&self, of: Node) -> Result<Gradients> {
        let found = self.nodes.get(of.0).map(|(_, value)| value.shape());
        if found.as_deref() != Some("1x1") {
            let found = found.unwrap_or_else(|| "a node of another tape".into());
            return Err(shape("backward", "a single number; apply `sum` first", found));
        }
        let mut gradients: Vec<Option<Matrix>> = vec![None; self.nodes.len()];
        gradients[of.0] = Some(Matrix::column(&[1.0]));
        for (n, (operation, value)) in self.nodes.iter().enumerate().take(of.0 + 1).rev() {
            // Nodes that `of` was not made of have received nothing.
            let Some(g) = gradients[n].take() else { continue };
            let mut give = |to: Node, part: &dyn Fn() -> Result<Matrix>| -> Result<()> {
                if self.varies(to) {
                    let part = part()?;
                    gradients[to.0] = Some(match gradients[to.0].take() {
                        Some(before) => before.zip(&part, |old, new| old + new)?,
                        None => part,
                    });
                }
                Ok(())
            };
            match *operation {
                Operation::Constant | Operation::Leaf => {}
                Operation::MatMul(a, b) => {
                    give(a, &|| g.matmul_transposed(self.value(b)))?;
                    give(b, &|| self.value(a).transposed_matmul(&g))?;
                }
                Operation::Add(a, b) => {
                    give(a, &|| Ok(g.clone()))?;
                    give(b, &|| Ok(g.clone()))?;
                }
                Operation::Multiply(a, b) => {
                    give(a, &|| g.zip(self.value(b), |g, b| g * b))?;
                    give(b, &|| g.zip(self.value(a), |g, a| g * a))?;
                }
                Operation::Scale(a, factor) => give(a, &|| Ok(g.map(|g| factor * g)))?,
                Operation::Tanh(a) => give(a, &|| g.zip(value, |g, v| g * (1.0 - v * v)))?,
                Operation::Sigmoid(a) => give(a, &|| g.zip(value, |g, v| g * (v * (1.0 - v))))?,
                Operation::Relu(a) => give(a, &|| g.zip(value, |g, v| if v > 0.0 { g } else { 0.0 }))?,
                Operation::Softplus(a) => {
                    give(a, &|| g.zip(self.value(a), |g, x| g * Function::Sigmoid.value(x)))?;
                }
                Operation::LogSoftmax(a) => give(a, &|| {
                    let totals = g.column_sums();
                    let mut part = g.clone();
                    for (row, log_p) in part.data_mut().chunks_mut(totals.len().max(1)).zip(value.rows_of()) {
                        for ((g, log_p), total) in row.iter_mut().zip(log_p).zip(&totals) {
                            *g -= log_p.exp() * total;
                        }
                    }
                    Ok(part)
                })?,
                Operation::Sum(a) => {
                    let total = g.at(0, 0);
                    give(a, &|| Ok(self.value(a).map(|_| total)))?;
                }
            }
            gradients[n] = Some(g);
        }
        let with_zeros = |(gradient, (_, value)): (Option<Matrix>, &(Operation, Matrix))| {
            gradient.unwrap_or_else(|| Matrix::zeros_like(value))
        };
        Ok(Gradients(
            gradients.into_iter().zip(&self.nodes).map(with_zeros).collect(),
        ))
    }
}
