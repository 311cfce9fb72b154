//! The network itself: matrices of connections, an activation a layer, and what follows from them.

use super::{Error, Mask, Result};

/// Most neurons of a layer. Larger ones cannot be drawn or read as connections.
pub const MAX_WIDTH: usize = 1024;
/// Most layers; the expanded formula has `L(L+1)/2` factors.
pub const MAX_DEPTH: usize = 256;
/// Most entries of all matrices together, so that every question is answered in seconds.
pub const MAX_ENTRIES: usize = 1 << 20;

/// The function that a layer applies to `A x + b`, neuron by neuron.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Activation {
    /// `f(x) = x`.
    #[default]
    Identity,
    /// Any other function, by name; taken as not affine.
    Named(String),
}

/// `"identity"`, or `{"named": "tanh"}`.
impl serde_core::Serialize for Activation {
    fn serialize<S: serde_core::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        match self {
            Self::Identity => serializer.serialize_unit_variant("Activation", 0, "identity"),
            Self::Named(name) => serializer.serialize_newtype_variant("Activation", 1, "named", name),
        }
    }
}

impl Activation {
    /// `identity`, `linear` or an empty name are `f(x) = x`; every other name is a function that is not affine.
    ///
    /// # Errors
    /// [`Error::ActivationName`] unless it is an identifier of at most 32 characters.
    pub fn named(name: &str) -> Result<Self> {
        if matches!(name, "" | "identity" | "linear") {
            return Ok(Self::Identity);
        }
        let fits = name.len() <= 32
            && name.starts_with(|first: char| first.is_ascii_alphabetic())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if fits {
            Ok(Self::Named(name.to_owned()))
        } else {
            Err(Error::ActivationName {
                name: name.chars().take(40).collect(),
            })
        }
    }
}

/// What the exercise asks about one matrix and its bias.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatrixFacts {
    /// `A1`, `A2`, …
    pub name: String,
    /// `[rows, columns]` = [neurons of this layer, neurons of the one before].
    pub shape: [usize; 2],
    /// `b1`, `b2`, …
    pub bias_name: String,
    /// Length of the bias, one entry a neuron of this layer.
    pub bias_len: usize,
    /// Entries of the matrix, `rows · columns`.
    pub entries: usize,
    /// Drawn edges.
    pub edges: usize,
    /// Edges that are not drawn, zeros of the matrix.
    pub zeros: usize,
    /// Several zeros?
    pub sparse: bool,
}

serialize_fields!(MatrixFacts {
    name,
    shape,
    bias_name,
    bias_len,
    entries,
    edges,
    zeros,
    sparse
});

/// Numbers of the whole network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Totals {
    /// Entries of all matrices.
    pub entries: usize,
    /// Drawn edges.
    pub edges: usize,
    /// Zeros.
    pub zeros: usize,
    /// Entries of all biases.
    pub biases: usize,
}

serialize_fields!(Totals {
    entries,
    edges,
    zeros,
    biases
});

/// A fully layered network `x(k) = f_k(A_k x(k−1) + b_k)` of which only the connections are known.
///
/// ```
/// use nn_theory::generic::{Mask, Network};
/// let net = Network::new("two layers", vec![Mask::dense(3, 2), Mask::from_rows("A2", &[[1, 0, 1]])?])?;
/// assert_eq!(net.widths(), [2, 3, 1]);
/// assert_eq!(net.matrices()[1].zeros, 1);
/// # Ok::<(), nn_theory::generic::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    name: String,
    masks: Vec<Mask>,
    activations: Vec<Activation>,
}

impl Network {
    /// A network with `f(x) = x` in every layer; `masks[0]` is A1. Control characters of the name become blanks.
    ///
    /// # Errors
    /// [`Error::NoLayer`], [`Error::EmptyMatrix`], [`Error::WidthMismatch`], and [`Error::TooLarge`] above
    /// [`MAX_WIDTH`], [`MAX_DEPTH`] or [`MAX_ENTRIES`].
    pub fn new(name: &str, masks: Vec<Mask>) -> Result<Self> {
        if masks.is_empty() {
            return Err(Error::NoLayer);
        }
        check_limit("number of layers", masks.len(), MAX_DEPTH)?;
        let mut entries = 0;
        for (index, mask) in masks.iter().enumerate() {
            let layer = index + 1;
            let [rows, columns] = mask.shape();
            if rows == 0 || columns == 0 {
                return Err(Error::EmptyMatrix {
                    matrix: format!("A{layer}"),
                    rows,
                    columns,
                });
            }
            check_limit(&format!("rows of A{layer}"), rows, MAX_WIDTH)?;
            check_limit(&format!("columns of A{layer}"), columns, MAX_WIDTH)?;
            entries += rows * columns;
            check_limit("entries of all matrices", entries, MAX_ENTRIES)?;
            if index > 0 && masks[index - 1].rows() != columns {
                return Err(Error::WidthMismatch {
                    layer,
                    expected: masks[index - 1].rows(),
                    found: columns,
                });
            }
        }
        let name = name
            .split(char::is_control)
            .collect::<Vec<_>>()
            .join(" ")
            .trim()
            .to_owned();
        let activations = vec![Activation::Identity; masks.len()];
        Ok(Self {
            name,
            masks,
            activations,
        })
    }

    /// The same network with this activation in every layer.
    #[must_use]
    pub fn with_activation(mut self, activation: Activation) -> Self {
        self.activations.fill(activation);
        self
    }

    /// The same network with one activation a layer.
    ///
    /// # Errors
    /// [`Error::Shape`] unless there is one for each layer.
    pub fn with_activations(mut self, activations: Vec<Activation>) -> Result<Self> {
        if activations.len() != self.depth() {
            let (expected, found) = (format!("{}, one a layer", self.depth()), activations.len().to_string());
            return Err(Error::Shape {
                what: "list of activations".to_owned(),
                expected,
                found,
            });
        }
        self.activations = activations;
        Ok(self)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Number of matrices.
    pub fn depth(&self) -> usize {
        self.masks.len()
    }

    /// The connections, A1 first.
    pub fn masks(&self) -> &[Mask] {
        &self.masks
    }

    /// The activation of each layer.
    pub fn activations(&self) -> &[Activation] {
        &self.activations
    }

    /// Neurons of each layer, the inputs first: `depth + 1` numbers.
    pub fn widths(&self) -> Vec<usize> {
        std::iter::once(self.inputs())
            .chain(self.masks.iter().map(Mask::rows))
            .collect()
    }

    /// Number of inputs.
    pub fn inputs(&self) -> usize {
        self.masks[0].columns()
    }

    /// Number of outputs.
    pub fn outputs(&self) -> usize {
        self.masks[self.masks.len() - 1].rows()
    }

    /// Shape, edges, zeros and sparsity of each matrix, and the shape of its bias.
    pub fn matrices(&self) -> Vec<MatrixFacts> {
        let facts = |(index, mask): (usize, &Mask)| MatrixFacts {
            name: format!("A{}", index + 1),
            shape: mask.shape(),
            bias_name: format!("b{}", index + 1),
            bias_len: mask.rows(),
            entries: mask.rows() * mask.columns(),
            edges: mask.edges(),
            zeros: mask.zeros(),
            sparse: mask.is_sparse(),
        };
        self.masks.iter().enumerate().map(facts).collect()
    }

    /// Sums over all matrices.
    pub fn totals(&self) -> Totals {
        let sum = |of: fn(&Mask) -> usize| self.masks.iter().map(of).sum();
        Totals {
            entries: sum(|mask| mask.rows() * mask.columns()),
            edges: sum(Mask::edges),
            zeros: sum(Mask::zeros),
            biases: sum(Mask::rows),
        }
    }

    /// Checks `f(x) = x` in every layer.
    ///
    /// # Errors
    /// [`Error::NotLinear`] names the first layer that is not.
    pub fn require_linear(&self) -> Result<()> {
        for (index, activation) in self.activations.iter().enumerate() {
            if let Activation::Named(name) = activation {
                return Err(Error::NotLinear {
                    layer: index + 1,
                    activation: name.clone(),
                });
            }
        }
        Ok(())
    }

    /// Which entries of the collapsed matrix `A_L … A_1` can be other than zero: where at least one path leads.
    pub fn product_pattern(&self) -> Mask {
        // The widths fit, which was checked when the network was built, so no product fails.
        self.masks[1..].iter().fold(self.masks[0].clone(), |below, mask| {
            mask.product(&below).unwrap_or(below)
        })
    }

    /// Upper bound of the rank of the collapsed matrix: the fewest neurons of a layer.
    pub fn rank_bound(&self) -> usize {
        self.widths().into_iter().min().unwrap_or(0)
    }
}

fn check_limit(what: &str, found: usize, limit: usize) -> Result<()> {
    if found > limit {
        Err(Error::TooLarge {
            what: what.to_owned(),
            limit,
            found,
        })
    } else {
        Ok(())
    }
}
