//! Forward mode: numbers that carry their derivative along.
//!
//! A dual number `a + a′ε` with `ε² = 0` computes a value and its derivative in one direction at once, because
//! `f(a + a′ε) = f(a) + f′(a) a′ε` exactly. One pass gives one directional derivative; a gradient of n weights takes n
//! passes. The [tape](crate::tape) needs one pass backwards for all of them, which is why networks are trained with it.

use std::ops::{Add, Div, Mul, Neg, Sub};

use crate::mlp::softplus;
use crate::symbol::Function;

/// A value and its derivative in one direction.
///
/// ```
/// use backprop::dual::Dual;
/// let x = Dual::variable(0.5);
/// let y = x.tanh() * x;
/// assert_eq!(y.derivative, 0.5_f64.tanh() + 0.5 * (1.0 - 0.5_f64.tanh().powi(2)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dual {
    /// The value.
    pub value: f64,
    /// The derivative, the factor of ε.
    pub derivative: f64,
}

impl Dual {
    /// A number that does not move.
    pub const fn constant(value: f64) -> Self {
        Dual { value, derivative: 0.0 }
    }

    /// The number by which is differentiated.
    pub const fn variable(value: f64) -> Self {
        Dual { value, derivative: 1.0 }
    }

    /// `tanh`, with derivative `1 − tanh²`.
    pub fn tanh(self) -> Self {
        let value = self.value.tanh();
        Dual {
            value,
            derivative: self.derivative * (1.0 - value * value),
        }
    }

    /// `σ`, with derivative `σ (1 − σ)`.
    pub fn sigmoid(self) -> Self {
        let value = Function::Sigmoid.value(self.value);
        Dual {
            value,
            derivative: self.derivative * (value * (1.0 - value)),
        }
    }

    /// `max(x, 0)`, with derivative 1 for positive numbers, else 0.
    pub fn relu(self) -> Self {
        Dual {
            value: Function::Relu.value(self.value),
            derivative: self.derivative * Function::Step.value(self.value),
        }
    }

    /// `log(1 + exp x)`, with derivative `σ(x)`.
    pub fn softplus(self) -> Self {
        Dual {
            value: softplus(self.value),
            derivative: self.derivative * Function::Sigmoid.value(self.value),
        }
    }

    /// The exponential function, its own derivative.
    pub fn exp(self) -> Self {
        let value = self.value.exp();
        Dual {
            value,
            derivative: self.derivative * value,
        }
    }

    /// The natural logarithm, with derivative `1/x`.
    pub fn ln(self) -> Self {
        Dual {
            value: self.value.ln(),
            derivative: self.derivative / self.value,
        }
    }
}

impl Add for Dual {
    type Output = Dual;
    fn add(self, other: Dual) -> Dual {
        Dual {
            value: self.value + other.value,
            derivative: self.derivative + other.derivative,
        }
    }
}

impl Sub for Dual {
    type Output = Dual;
    fn sub(self, other: Dual) -> Dual {
        self + -other
    }
}

impl Neg for Dual {
    type Output = Dual;
    fn neg(self) -> Dual {
        Dual {
            value: -self.value,
            derivative: -self.derivative,
        }
    }
}

impl Mul for Dual {
    type Output = Dual;
    fn mul(self, other: Dual) -> Dual {
        let derivative = self.derivative * other.value + self.value * other.derivative;
        Dual {
            value: self.value * other.value,
            derivative,
        }
    }
}

impl Div for Dual {
    type Output = Dual;
    fn div(self, other: Dual) -> Dual {
        let value = self.value / other.value;
        Dual {
            value,
            derivative: (self.derivative - value * other.derivative) / other.value,
        }
    }
}

/// The logarithm of softmax.
///
/// ```
/// use backprop::dual::{Dual, log_softmax};
/// // ∂ log p_1/∂z_1 = 1 − p_1, which is ½ for two equal logits
/// let log_p = log_softmax(&[Dual::variable(3.0), Dual::constant(3.0)]);
/// assert_eq!((log_p[0].value, log_p[0].derivative), (0.5_f64.ln(), 0.5));
/// ```
pub fn log_softmax(z: &[Dual]) -> Vec<Dual> {
    // Any number may be subtracted from all logits; the largest keeps exp from overflowing.
    let max = Dual::constant(z.iter().map(|z| z.value).fold(f64::NEG_INFINITY, f64::max));
    let sum = z.iter().fold(Dual::constant(0.0), |sum, &z| sum + (z - max).exp());
    z.iter().map(|&z| z - max - sum.ln()).collect()
}

/// The loss of the network of [`by_hand`](crate::by_hand) and its derivative in the direction in which the entries of
/// `a` (hidden rows) and `b` (class rows) move.
pub fn loss(a: &[Vec<Dual>], b: &[Vec<Dual>], x: &[f64], y: &[f64]) -> Dual {
    let zero = Dual::constant(0.0);
    let dot = |row: &[Dual], by: &[Dual]| row.iter().zip(by).fold(zero, |sum, (&w, &v)| sum + w * v);
    let x: Vec<Dual> = x.iter().map(|&x| Dual::constant(x)).collect();
    let v: Vec<Dual> = a.iter().map(|row| dot(row, &x).tanh()).collect();
    let z: Vec<Dual> = b.iter().map(|row| dot(row, &v)).collect();
    let log_p = log_softmax(&z);
    let terms = log_p.iter().zip(y).filter(|(_, y)| **y != 0.0);
    Dual::constant(-0.5) * terms.fold(zero, |sum, (&log_p, &y)| sum + Dual::constant(y) * log_p)
}
