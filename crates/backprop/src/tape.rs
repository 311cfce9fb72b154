//! Reverse mode in two pages: a tape of matrices.
//!
//! Computing writes every operation on a tape. [`Tape::backward`] reads it from the end to the beginning and hands each
//! node's gradient to the nodes that it was made of: that is the chain rule, and all there is to backpropagation. A node
//! that is used twice collects two contributions, which is why gradients are *added*.
//!
//! This is for reading (after Andrej Karpathy's micrograd). For training use candle.

use crate::error::{Error, Result, shape};
use crate::matrix::Matrix;

/// A node of the tape that returned it; it means nothing to another tape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node(usize);

/// What a node was made of.
#[derive(Clone, Copy, Debug)]
enum Operation {
    Leaf,
    MatMul(Node, Node),
    Add(Node, Node),
    Multiply(Node, Node),
    Scale(Node, f64),
    Tanh(Node),
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
/// let x = tape.leaf(Matrix::column(&[5.0]));
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
}

/// The derivatives of one number by every node of the tape.
#[derive(Clone, Debug)]
pub struct Gradients(Vec<Matrix>);

impl Gradients {
    /// The derivative by a node, in the node's shape.
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
        self.nodes.push((operation, value));
        Node(self.nodes.len() - 1)
    }

    /// The value of a node of this tape.
    ///
    /// # Panics
    /// Like a slice, for a node of another, longer tape.
    pub fn value(&self, node: Node) -> &Matrix {
        &self.nodes[node.0].1
    }

    /// A value that is given: an input, a weight, a target.
    pub fn leaf(&mut self, value: Matrix) -> Node {
        self.push(Operation::Leaf, value)
    }

    /// The matrix product `a · b`.
    ///
    /// # Errors
    /// [`Error::Shape`] if the shapes do not fit; so for the other operations of two nodes.
    pub fn matmul(&mut self, a: Node, b: Node) -> Result<Node> {
        let value = self.value(a).matmul(self.value(b))?;
        Ok(self.push(Operation::MatMul(a, b), value))
    }

    /// `a + b`, elementwise.
    ///
    /// # Errors
    /// See [`Tape::matmul`].
    pub fn add(&mut self, a: Node, b: Node) -> Result<Node> {
        let value = self.value(a).zip(self.value(b), |a, b| a + b)?;
        Ok(self.push(Operation::Add(a, b), value))
    }

    /// `a * b`, elementwise.
    ///
    /// # Errors
    /// See [`Tape::matmul`].
    pub fn multiply(&mut self, a: Node, b: Node) -> Result<Node> {
        let value = self.value(a).zip(self.value(b), |a, b| a * b)?;
        Ok(self.push(Operation::Multiply(a, b), value))
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

    /// The logarithm of softmax over all numbers of `a`.
    pub fn log_softmax(&mut self, a: Node) -> Node {
        let mut value = self.value(a).clone();
        let log_p = crate::by_hand::log_softmax(value.data());
        value.data_mut().copy_from_slice(&log_p);
        self.push(Operation::LogSoftmax(a), value)
    }

    /// The sum of all numbers, as a 1x1 matrix.
    pub fn sum(&mut self, a: Node) -> Node {
        let total = self.value(a).sum();
        self.push(Operation::Sum(a), Matrix::column(&[total]))
    }

    /// The derivatives of `of` (a single number) by every node.
    ///
    /// # Errors
    /// [`Error::Shape`] if `of` holds more than one number, or is not a node of this tape.
    pub fn backward(&self, of: Node) -> Result<Gradients> {
        let found = self.nodes.get(of.0).map(|(_, value)| value.shape());
        if found.as_deref() != Some("1x1") {
            let found = found.unwrap_or_else(|| "a node of another tape".into());
            return Err(shape("backward", "a single number; apply `sum` first", found));
        }
        let mut gradients: Vec<Matrix> = self.nodes.iter().map(|(_, value)| Matrix::zeros_like(value)).collect();
        gradients[of.0].data_mut()[0] = 1.0;
        for (n, (operation, value)) in self.nodes.iter().enumerate().take(of.0 + 1).rev() {
            let g = gradients[n].clone();
            let mut give = |to: Node, part: Matrix| -> Result<()> {
                gradients[to.0] = gradients[to.0].zip(&part, |old, new| old + new)?;
                Ok::<(), Error>(())
            };
            match *operation {
                Operation::Leaf => {}
                Operation::MatMul(a, b) => {
                    give(a, g.matmul(&self.value(b).transposed())?)?;
                    give(b, self.value(a).transposed().matmul(&g)?)?;
                }
                Operation::Add(a, b) => {
                    give(a, g.clone())?;
                    give(b, g)?;
                }
                Operation::Multiply(a, b) => {
                    give(a, g.zip(self.value(b), |g, b| g * b)?)?;
                    give(b, g.zip(self.value(a), |g, a| g * a)?)?;
                }
                Operation::Scale(a, factor) => give(a, g.map(|g| factor * g))?,
                Operation::Tanh(a) => give(a, g.zip(value, |g, v| g * (1.0 - v * v))?)?,
                Operation::LogSoftmax(a) => {
                    let total = g.sum();
                    give(a, g.zip(value, |g, log_p| g - log_p.exp() * total)?)?;
                }
                Operation::Sum(a) => {
                    let g = g.at(0, 0);
                    give(a, self.value(a).map(|_| g))?;
                }
            }
        }
        Ok(Gradients(gradients))
    }
}
