//! The activation functions of `keras.activations`, by name.

use std::fmt;

macro_rules! activations {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// An activation function, with Keras' name for it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
        pub enum Activation {
            $($(#[$doc])* $variant,)*
        }

        impl Activation {
            /// Every activation function known here.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Keras' name, such as `relu`.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

activations! {
    /// `x`
    #[default]
    Linear = "linear",
    /// `max(0, x)`
    Relu = "relu",
    /// `min(max(0, x), 6)`
    Relu6 = "relu6",
    /// `(e^x - e^-x) / (e^x + e^-x)`
    Tanh = "tanh",
    /// `1 / (1 + e^-x)`
    Sigmoid = "sigmoid",
    /// `e^x_i / Σ_j e^x_j` over the last axis
    Softmax = "softmax",
    /// `x_i - log Σ_j e^x_j` over the last axis
    LogSoftmax = "log_softmax",
    /// `x` for `x > 0`, else `e^x - 1`
    Elu = "elu",
    /// `1.0507 · elu(x)` with `α = 1.67326`
    Selu = "selu",
    /// `max(0, x) + min(0, α (e^(x/α) - 1))`
    Celu = "celu",
    /// `x Φ(x)`
    Gelu = "gelu",
    /// `(x + √(x² + 4)) / 2`
    Squareplus = "squareplus",
    /// `log(1 + e^x)`
    Softplus = "softplus",
    /// `x / (1 + |x|)`
    Softsign = "softsign",
    /// `x · sigmoid(x)`
    Silu = "silu",
    /// `log sigmoid(x)`
    LogSigmoid = "log_sigmoid",
    /// `x` for `x > 0`, else `0.2 x`
    LeakyRelu = "leaky_relu",
    /// `relu6(x + 3) / 6`
    HardSigmoid = "hard_sigmoid",
    /// `x · hard_sigmoid(x)`
    HardSilu = "hard_silu",
    /// `min(max(x, -1), 1)`
    HardTanh = "hard_tanh",
    /// `x - tanh(x)`
    TanhShrink = "tanh_shrink",
    /// `x` where `|x| > 0.5`, moved towards 0 by 0.5, else 0
    SoftShrink = "soft_shrink",
    /// `x` where `|x| > 0.5`, else 0
    HardShrink = "hard_shrink",
    /// 0 below -1, `x` above 1, `(x + 1)² / 4` between
    SparsePlus = "sparse_plus",
    /// `min(max((x + 1) / 2, 0), 1)`
    SparseSigmoid = "sparse_sigmoid",
    /// `max(x - τ, 0)` over the last axis, with Keras' τ
    Sparsemax = "sparsemax",
    /// `x` above a threshold, else a default value; Keras has no values for these two, so that no layer can call it by name
    Threshold = "threshold",
    /// `x · tanh(softplus(x))`
    Mish = "mish",
    /// gated linear unit: halves the last axis
    Glu = "glu",
    /// `e^x`
    Exponential = "exponential",
}

impl Activation {
    /// The activation with this name; Keras' other spellings (`swish`, `hard_swish`, `LeakyReLU`) are understood.
    ///
    /// ```
    /// use nn_theory::Activation;
    /// assert_eq!(Activation::from_name("swish"), Some(Activation::Silu));
    /// ```
    pub fn from_name(name: &str) -> Option<Self> {
        let name = match name {
            "swish" => "silu",
            "hard_swish" => "hard_silu",
            name => name,
        };
        Self::ALL.iter().copied().find(|activation| activation.name() == name)
    }
}

impl fmt::Display for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
