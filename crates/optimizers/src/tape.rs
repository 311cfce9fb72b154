//! Update rules over whole tensors: what runs on a GPU, for half precision, and as the reference that the fused path is tested against.

use std::cell::RefCell;
use std::ops::{Add, Div, Mul, Neg, Sub};

use candle_core::{Result, Tensor};

use crate::number::Number;

/// Holds the tensors of one update. candle's operations return a `Result`, the formula of a rule does not: the first
/// error is kept here, everything computed from it is void, and [`Tape::take`] reports it.
pub(crate) struct Tape {
    values: RefCell<Vec<Tensor>>,
    error: RefCell<Option<candle_core::Error>>,
}

/// A tensor on a [`Tape`], as a [`Number`].
#[derive(Clone, Copy)]
pub(crate) struct Node<'t> {
    tape: &'t Tape,
    index: usize,
}

impl Tape {
    pub(crate) fn new() -> Self {
        Self {
            values: RefCell::new(Vec::new()),
            error: RefCell::new(None),
        }
    }

    pub(crate) fn leaf(&self, tensor: &Tensor) -> Node<'_> {
        // Detached: an update is never part of a graph that is differentiated.
        self.push(Ok(tensor.detach()))
    }

    pub(crate) fn take(&self, node: Node<'_>) -> Result<Tensor> {
        match self.error.borrow_mut().take() {
            Some(error) => Err(error),
            None => Ok(self.values.borrow()[node.index].clone()),
        }
    }

    fn push(&self, value: Result<Tensor>) -> Node<'_> {
        let mut values = self.values.borrow_mut();
        match value {
            Ok(tensor) => values.push(tensor),
            Err(error) => {
                self.error.borrow_mut().get_or_insert(error);
            }
        }
        Node {
            tape: self,
            index: values.len().saturating_sub(1),
        }
    }
}

impl<'t> Node<'t> {
    fn map(self, op: impl FnOnce(&Tensor) -> Result<Tensor>) -> Self {
        if self.tape.error.borrow().is_some() {
            return self;
        }
        let operand = self.tape.values.borrow()[self.index].clone();
        self.tape.push(op(&operand))
    }

    fn zip(self, other: Self, op: impl FnOnce(&Tensor, &Tensor) -> Result<Tensor>) -> Self {
        if self.tape.error.borrow().is_some() {
            return self;
        }
        let (left, right) = {
            let values = self.tape.values.borrow();
            (values[self.index].clone(), values[other.index].clone())
        };
        self.tape.push(op(&left, &right))
    }
}

macro_rules! operators {
    ($($trait:ident $method:ident),*) => {$(
        impl $trait for Node<'_> {
            type Output = Self;
            fn $method(self, other: Self) -> Self {
                self.zip(other, |a, b| a.$method(b))
            }
        }
    )*};
}
operators!(Add add, Sub sub, Mul mul, Div div);

impl Add<f64> for Node<'_> {
    type Output = Self;
    fn add(self, constant: f64) -> Self {
        self.map(|x| x.affine(1.0, constant))
    }
}

impl Sub<f64> for Node<'_> {
    type Output = Self;
    fn sub(self, constant: f64) -> Self {
        self.map(|x| x.affine(1.0, -constant))
    }
}

impl Mul<f64> for Node<'_> {
    type Output = Self;
    fn mul(self, constant: f64) -> Self {
        self.map(|x| x.affine(constant, 0.0))
    }
}

impl Neg for Node<'_> {
    type Output = Self;
    fn neg(self) -> Self {
        self.map(Tensor::neg)
    }
}

impl Number for Node<'_> {
    fn sqrt(self) -> Self {
        self.map(Tensor::sqrt)
    }
    fn abs(self) -> Self {
        self.map(Tensor::abs)
    }
    fn max(self, other: Self) -> Self {
        self.zip(other, |a, b| a.maximum(b))
    }
    fn clamp(self, low: f64, high: f64) -> Self {
        if low == f64::NEG_INFINITY && high == f64::INFINITY {
            self
        } else {
            self.map(|x| x.clamp(low, high))
        }
    }
    fn sign(self) -> Self {
        self.map(Tensor::sign)
    }
    fn powf(self, exponent: f64) -> Self {
        self.map(|x| x.powf(exponent))
    }
}
