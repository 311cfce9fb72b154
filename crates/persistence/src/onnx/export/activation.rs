//! Activation functions as operators.

use nn_theory::Activation;

use super::graph::{Attributes, Graph};

impl Graph<'_> {
    /// The function applied to `x`.
    pub(super) fn activated(&mut self, function: Activation, x: &str) -> String {
        match function {
            Activation::Linear | Activation::Threshold => x.to_string(),
            Activation::Relu => self.op("Relu", &[x]),
            Activation::Relu6 => self.clipped(x, Some(0.0), Some(6.0)),
            Activation::Tanh => self.op("Tanh", &[x]),
            Activation::Sigmoid => self.op("Sigmoid", &[x]),
            Activation::Softmax => self.op_with("Softmax", &[x], Attributes::new().int("axis", -1)),
            Activation::LogSoftmax => self.op_with("LogSoftmax", &[x], Attributes::new().int("axis", -1)),
            Activation::Elu => self.elu(x, 1.0),
            Activation::Selu => {
                // The constants of Klambauer et al. (2017), as Keras has them.
                let attributes = Attributes::new().float("alpha", 1.673_263_242_354_377_2);
                self.op_with("Selu", &[x], attributes.float("gamma", 1.050_700_987_355_480_5))
            }
            Activation::Celu => self.op_with("Celu", &[x], Attributes::new().float("alpha", 1.0)),
            Activation::Gelu => self.gelu(x),
            Activation::Squareplus => {
                let square = self.op("Mul", &[x, x]);
                let four = self.number(4.0);
                let sum = self.op("Add", &[&square, &four]);
                let root = self.op("Sqrt", &[&sum]);
                let sum = self.op("Add", &[x, &root]);
                let half = self.number(0.5);
                self.op("Mul", &[&sum, &half])
            }
            Activation::Softplus => self.op("Softplus", &[x]),
            Activation::Softsign => self.op("Softsign", &[x]),
            Activation::Silu => {
                let gate = self.op("Sigmoid", &[x]);
                self.op("Mul", &[x, &gate])
            }
            Activation::LogSigmoid => {
                let negative = self.op("Neg", &[x]);
                let positive = self.op("Softplus", &[&negative]);
                self.op("Neg", &[&positive])
            }
            Activation::LeakyRelu => self.leaky(x, 0.2),
            Activation::HardSigmoid => self.hard_sigmoid(x),
            Activation::HardSilu => {
                let gate = self.hard_sigmoid(x);
                self.op("Mul", &[x, &gate])
            }
            Activation::HardTanh => self.clipped(x, Some(-1.0), Some(1.0)),
            Activation::TanhShrink => {
                let tanh = self.op("Tanh", &[x]);
                self.op("Sub", &[x, &tanh])
            }
            Activation::SoftShrink => {
                self.op_with("Shrink", &[x], Attributes::new().float("bias", 0.5).float("lambd", 0.5))
            }
            Activation::HardShrink => {
                self.op_with("Shrink", &[x], Attributes::new().float("bias", 0.0).float("lambd", 0.5))
            }
            Activation::SparsePlus => {
                // (clip(x + 1, 0, 2))² / 4, and x above 1: one is 1 where the other begins.
                let one = self.number(1.0);
                let moved = self.op("Add", &[x, &one]);
                let clipped = self.clipped(&moved, Some(0.0), Some(2.0));
                let square = self.op("Mul", &[&clipped, &clipped]);
                let quarter = self.number(0.25);
                let curve = self.op("Mul", &[&square, &quarter]);
                let is_above = self.op("Greater", &[x, &one]);
                self.op("Where", &[&is_above, x, &curve])
            }
            Activation::SparseSigmoid => {
                let one = self.number(1.0);
                let moved = self.op("Add", &[x, &one]);
                let half = self.number(0.5);
                let halved = self.op("Mul", &[&moved, &half]);
                self.clipped(&halved, Some(0.0), Some(1.0))
            }
            Activation::Sparsemax => self.sparsemax(x),
            Activation::Mish => {
                let softplus = self.op("Softplus", &[x]);
                let tanh = self.op("Tanh", &[&softplus]);
                self.op("Mul", &[x, &tanh])
            }
            Activation::Glu => {
                let halves = self.many(
                    "Split",
                    &[x],
                    Attributes::new().int("axis", -1).int("num_outputs", 2),
                    2,
                );
                let gate = self.op("Sigmoid", &[&halves[1]]);
                self.op("Mul", &[&halves[0], &gate])
            }
            Activation::Exponential => self.op("Exp", &[x]),
        }
    }

    pub(super) fn clipped(&mut self, x: &str, low: Option<f64>, high: Option<f64>) -> String {
        let [low, high] = [low, high].map(|limit| limit.map(|limit| self.number(limit)).unwrap_or_default());
        if high.is_empty() {
            self.op("Clip", &[x, &low])
        } else {
            self.op("Clip", &[x, &low, &high])
        }
    }

    pub(super) fn elu(&mut self, x: &str, alpha: f64) -> String {
        self.op_with("Elu", &[x], Attributes::new().float("alpha", alpha))
    }

    pub(super) fn leaky(&mut self, x: &str, slope: f64) -> String {
        self.op_with("LeakyRelu", &[x], Attributes::new().float("alpha", slope))
    }

    /// `relu6(x + 3) / 6`
    pub(super) fn hard_sigmoid(&mut self, x: &str) -> String {
        self.op_with(
            "HardSigmoid",
            &[x],
            Attributes::new().float("alpha", 1.0 / 6.0).float("beta", 0.5),
        )
    }

    /// `x (1 + erf(x / √2)) / 2`
    pub(super) fn gelu(&mut self, x: &str) -> String {
        let root = self.number(std::f64::consts::FRAC_1_SQRT_2);
        let scaled = self.op("Mul", &[x, &root]);
        let erf = self.op("Erf", &[&scaled]);
        self.half_gate(x, &erf)
    }

    /// `x (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2`
    pub(super) fn gelu_tanh(&mut self, x: &str) -> String {
        let square = self.op("Mul", &[x, x]);
        let factor = self.number(0.044_715);
        let cubic = self.op("Mul", &[&square, &factor]);
        let one = self.number(1.0);
        let sum = self.op("Add", &[&cubic, &one]);
        let inner = self.op("Mul", &[x, &sum]);
        let root = self.number((2.0 / std::f64::consts::PI).sqrt());
        let scaled = self.op("Mul", &[&inner, &root]);
        let tanh = self.op("Tanh", &[&scaled]);
        self.half_gate(x, &tanh)
    }

    /// `x (1 + gate) / 2`
    fn half_gate(&mut self, x: &str, gate: &str) -> String {
        let one = self.number(1.0);
        let sum = self.op("Add", &[gate, &one]);
        let half = self.number(0.5);
        let halved = self.op("Mul", &[x, &half]);
        self.op("Mul", &[&halved, &sum])
    }

    /// `max(x - τ, 0)` over the last axis, with Keras' τ: the sum of the partial sums in the support, less 1, over its size.
    fn sparsemax(&mut self, x: &str) -> String {
        let shape = self.op("Shape", &[x]);
        let count = self.sliced(&shape, 0, -1, i64::MAX);
        let sorted = self.many("TopK", &[x, &count], Attributes::new().int("axis", -1), 2);
        let last = self.int(-1);
        let sums = self.op("CumSum", &[&sorted[0], &last]);
        let one = self.number(1.0);
        let ones = self.op("Expand", &[&one, &shape]);
        let places = self.op("CumSum", &[&ones, &last]);
        let less = self.op("Sub", &[&sums, &one]);
        let means = self.op("Div", &[&less, &places]);
        let above = self.op("Greater", &[&sorted[0], &means]);
        let zero = self.number(0.0);
        let inside = self.op("Where", &[&above, &sums, &zero]);
        let element_type = self.element_type();
        let counted = self.cast(&above, element_type);
        let size = self.reduced("ReduceSum", &counted, &[-1], true);
        let sum = self.reduced("ReduceSum", &inside, &[-1], true);
        let sum = self.op("Sub", &[&sum, &one]);
        let threshold = self.op("Div", &[&sum, &size]);
        let moved = self.op("Sub", &[x, &threshold]);
        self.op("Relu", &[&moved])
    }
}
