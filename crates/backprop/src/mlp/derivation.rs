//! The gradients of a whole family of networks, derived from their definitions.

use serde::Serialize;

use super::{Activation, Forward, Loss, Mlp};
use crate::error::{Error, Result, shape};
use crate::matrix::Matrix;
use crate::symbol::exercise::{answer, factor};
use crate::symbol::{Derivation, Expr, Index, Knowledge, Range, Symbol, Values};

/// The letters of the weights, layer by layer; the exercise's are the first two.
const WEIGHTS: [&str; 5] = ["A", "B", "C", "D", "E"];
const BIASES: [&str; 5] = ["a", "b", "c", "d", "e"];
const HIDDEN: [&str; 4] = ["v", "w", "f", "g"];

/// What a network is made of, whatever its sizes: the derivation is the same for all of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Architecture {
    /// The activation of each layer.
    pub activations: Vec<Activation>,
    /// Which layers have biases.
    pub biases: Vec<bool>,
    /// The loss.
    pub loss: Loss,
}

/// The derivations of one architecture, in the order in which they build on each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Derived {
    architecture: Architecture,
    /// `∂L/∂p_i`.
    pub loss: Derivation,
    /// `∂p_k/∂z_i`.
    pub output: Derivation,
    /// `∂L/∂z_i`.
    pub sums: Derivation,
    /// Each layer's, the first one first.
    pub layers: Vec<LayerDerivations>,
}

/// The derivations that belong to one layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LayerDerivations {
    /// `∂L/∂W_ij` all the way from the loss, with the factors of its last link.
    pub weight: Derivation,
    /// `∂L/∂b_i` all the way, where the layer has biases.
    pub bias: Option<Derivation>,
    /// `∂L/∂v_i` of the hidden values that the layer reads, from the error of its own values: what it hands back. The first
    /// layer reads the input and hands nothing back.
    pub handed_back: Option<Derivation>,
}

impl Derived {
    /// All derivations, in order: from the loss to the first layer.
    pub fn all(&self) -> Vec<&Derivation> {
        let mut all = vec![&self.loss, &self.output, &self.sums];
        for layer in self.layers.iter().rev() {
            all.push(&layer.weight);
            all.extend(&layer.bias);
            all.extend(&layer.handed_back);
        }
        all
    }

    /// The derived formulas with the numbers of a network put in, in the order of [`Mlp::parameters`].
    ///
    /// # Errors
    /// [`Error::Shape`] for a network of another architecture; as [`Mlp::forward`].
    pub fn gradients(&self, network: &Mlp, x: &[f64], y: &[f64]) -> Result<Vec<f64>> {
        if network.architecture() != self.architecture {
            let named = |a: &Architecture| format!("{a:?}");
            return Err(shape(
                "network",
                named(&self.architecture),
                named(&network.architecture()),
            ));
        }
        let letters = Letters::new(&self.architecture)?;
        let values = letters.values(network, &network.forward(x)?, x, y);
        let mut found = Vec::new();
        for (n, layer) in self.layers.iter().enumerate() {
            let weights: &Matrix = &network.layers()[n].weights;
            for i in 0..weights.rows() {
                for j in 0..weights.columns() {
                    let at = values.clone().at(&letters.row(n), i).at(&letters.column(n), j);
                    found.push(layer.weight.result.evaluate(&at)?);
                }
            }
            if let Some(bias) = &layer.bias {
                for i in 0..weights.rows() {
                    found.push(bias.result.evaluate(&values.clone().at(&letters.row(n), i))?);
                }
            }
        }
        Ok(found)
    }
}

/// Derives the gradients of an architecture of at most five layers.
///
/// ```
/// use backprop::mlp::{Activation::{Linear, Relu, Tanh}, Architecture, Loss, derive};
/// let derived = derive(&Architecture {
///     activations: vec![Tanh, Relu, Linear],
///     biases: vec![false, true, false],
///     loss: Loss::CrossEntropy,
/// })?;
/// assert_eq!(derived.layers[2].weight.result.to_string(), "wⱼ (pᵢ Σₖ yₖ − yᵢ) / 2");
/// let handed_back = derived.layers[2].handed_back.as_ref().unwrap();
/// assert_eq!(handed_back.result.to_string(), "Σₖ Cₖᵢ ∂L/∂zₖ");
/// # Ok::<(), backprop::Error>(())
/// ```
///
/// # Errors
/// [`Error::Shape`] for no layers, more than there are letters for, or a list of biases of another length; as
/// [`symbol::derive`](crate::symbol::derive()).
pub fn derive(architecture: &Architecture) -> Result<Derived> {
    let s = Letters::new(architecture)?;
    let given = s.definitions();
    let (i, k) = (s.outputs().index("i"), s.outputs().index("k"));
    let by = |of: &Symbol, variable: &Symbol| Expr::derivative(of.clone().into(), variable);
    let l = Symbol::new("L", []);
    let loss = answer(
        "The loss by an output",
        "How does the loss change with one output, the others held fixed?",
        by(&l, &s.p(&i)),
        &given,
    )?;
    let output = answer(
        "An output by a sum of the last layer",
        "How does one output change with one sum of the last layer?",
        by(&s.p(&k), &s.z(&i)),
        &given,
    )?;
    let given = given
        .derived(&l, &s.p(&i), loss.result.clone())
        .derived(&s.p(&k), &s.z(&i), output.result.clone());
    let sums = answer(
        "The loss by a sum of the last layer",
        "How does the loss change with one sum of the last layer, through all outputs at once?",
        by(&l, &s.z(&i)),
        &given,
    )?;
    let given = given.derived(&l, &s.z(&i), sums.result.clone());
    let layers = (0..s.depth())
        .map(|n| layer(&s, n, &given))
        .collect::<Result<Vec<_>>>()?;
    Ok(Derived {
        architecture: architecture.clone(),
        loss,
        output,
        sums,
        layers,
    })
}

fn layer(s: &Letters, n: usize, known: &Knowledge) -> Result<LayerDerivations> {
    let l = Symbol::new("L", []);
    let (i, j) = (s.row(n), s.column(n));
    let k = s.ranges[n + 1].index("k");
    let (weight, value) = (s.weight(n, &i, &j), s.value(n, &k));
    let input = s.input(n, &s.ranges[n].index("i"));
    let start = |variable: &Symbol| Expr::derivative(l.clone().into(), variable);
    let mut weights = answer(
        &format!("The loss by a weight of layer {}", n + 1),
        &format!(
            "How does the loss change with {}, through everything that comes after it?",
            Expr::from(weight.clone())
        ),
        start(&weight),
        known,
    )?;
    weights.factors = vec![
        factor(
            "error of a neuron",
            "How the loss changes with the value of neuron k: what the layers after it hand back.",
            &l,
            &value,
            known,
        )?,
        factor(
            "slope times the input",
            "How far neuron k can still move, times what came in; only neuron i is reached by this weight (δ).",
            &value,
            &weight,
            known,
        )?,
    ];
    let bias = s.architecture.biases[n].then(|| {
        let title = format!("The loss by a bias of layer {}", n + 1);
        let question = "A bias is a weight whose input is always 1: what is left without the factor of the input?";
        answer(&title, question, start(&s.bias(n, &i)), known)
    });
    let handed_back = (n > 0).then(|| {
        // The error of this layer's values stays as a name: that is the recursion of backpropagation.
        let recursive = s.definitions().keep(&l, &value);
        let title = format!("What layer {} hands back", n + 1);
        let question = "The error of the layer's own values is known from the layers after it. What is that of the values it reads?";
        answer(&title, question, start(&input), &recursive)
    });
    Ok(LayerDerivations {
        weight: weights,
        bias: bias.transpose()?,
        handed_back: handed_back.transpose()?,
    })
}

/// Names for everything in a network.
struct Letters {
    architecture: Architecture,
    /// What is counted: the inputs, then the neurons of each layer.
    ranges: Vec<Range>,
}

impl Letters {
    fn new(architecture: &Architecture) -> Result<Self> {
        let depth = architecture.activations.len();
        if depth == 0 || depth > WEIGHTS.len() {
            let expected = format!("1 to {} layers, for which there are letters", WEIGHTS.len());
            return Err(shape("derivation", expected, depth.to_string()));
        }
        if architecture.biases.len() != depth {
            let found = architecture.biases.len().to_string();
            return Err(shape("biases", format!("{depth}, one for each layer"), found));
        }
        if architecture.loss.has_activation() && architecture.activations[depth - 1] != Activation::Linear {
            return Err(Error::Number {
                node: format!("layer {depth}"),
                what: format!(
                    "the loss '{}' has an activation of its own; make it linear",
                    architecture.loss.name()
                ),
            });
        }
        let mut ranges = vec![Range::new("inputs")];
        ranges.extend((1..depth).map(|n| Range::new(&format!("layer {n}"))));
        ranges.push(Range::new("outputs"));
        Ok(Letters {
            architecture: architecture.clone(),
            ranges,
        })
    }

    fn depth(&self) -> usize {
        self.architecture.activations.len()
    }

    fn outputs(&self) -> &Range {
        &self.ranges[self.depth()]
    }

    /// The row index of layer `n`, counted from 0.
    fn row(&self, n: usize) -> Index {
        self.ranges[n + 1].index("i")
    }

    fn column(&self, n: usize) -> Index {
        self.ranges[n].index("j")
    }

    fn weight(&self, n: usize, i: &Index, j: &Index) -> Symbol {
        Symbol::new(WEIGHTS[n], [i.clone(), j.clone()])
    }

    fn bias(&self, n: usize, i: &Index) -> Symbol {
        Symbol::new(BIASES[n], [i.clone()])
    }

    /// What layer `n` reads.
    fn input(&self, n: usize, j: &Index) -> Symbol {
        let name = n.checked_sub(1).map_or("x", |before| HIDDEN[before]);
        Symbol::new(name, [j.clone()])
    }

    /// What layer `n` computes: its hidden values, or the sums `z` of the last one.
    fn value(&self, n: usize, i: &Index) -> Symbol {
        if n + 1 == self.depth() {
            self.z(i)
        } else {
            Symbol::new(HIDDEN[n], [i.clone()])
        }
    }

    fn z(&self, i: &Index) -> Symbol {
        Symbol::new("z", [i.clone()])
    }

    fn p(&self, i: &Index) -> Symbol {
        Symbol::new("p", [i.clone()])
    }

    fn definitions(&self) -> Knowledge {
        let mut known = Knowledge::new();
        for (n, activation) in self.architecture.activations.iter().enumerate() {
            let (h, m) = (self.ranges[n + 1].index("h"), self.ranges[n].index("m"));
            let terms = Expr::from(self.weight(n, &h, &m)) * self.input(n, &m).into();
            let mut sum = Expr::sum(&m, terms);
            if self.architecture.biases[n] {
                sum = sum + self.bias(n, &h).into();
            }
            let last = n + 1 == self.depth();
            let body = if last { sum } else { activation.symbol(sum) };
            known = known.define(&self.value(n, &h), body);
        }
        let (i, k) = (self.outputs().index("i"), self.outputs().index("k"));
        let z = |index: &Index| Expr::from(self.z(index));
        let output = match self.architecture.loss {
            Loss::CrossEntropy => z(&i).exp() / Expr::sum(&k, z(&k).exp()),
            Loss::TwoClasses => z(&i).sigmoid(),
            _ => self.architecture.activations[self.depth() - 1].symbol(z(&i)),
        };
        known
            .define(&self.p(&i), output)
            .define(&Symbol::new("L", []), self.loss(&i))
    }

    fn loss(&self, i: &Index) -> Expr {
        let (y, p) = (Expr::from(Symbol::new("y", [i.clone()])), Expr::from(self.p(i)));
        let half = |e: Expr| e / Expr::integer(2);
        let rest = |e: &Expr| Expr::integer(1) - e.clone();
        let squares = Expr::sum(i, (y.clone() - p.clone()).pow(2));
        match self.architecture.loss {
            Loss::CrossEntropy => -half(Expr::sum(i, y * p.log())),
            Loss::TwoClasses => {
                let terms = y.clone() * p.clone().log() + rest(&y) * rest(&p).log();
                -half(Expr::sum(i, terms))
            }
            Loss::MeanSquaredError => squares / Expr::size_of(self.outputs()),
            Loss::HalfSquaredError => half(squares),
        }
    }

    fn values(&self, network: &Mlp, forward: &Forward, x: &[f64], y: &[f64]) -> Values {
        let mut values = Values::new()
            .size(&self.ranges[0], x.len())
            .array("x", x)
            .array("y", y)
            .array("z", forward.z.as_slice())
            .array("p", forward.p.as_slice());
        for (n, layer) in network.layers().iter().enumerate() {
            values = values
                .size(&self.ranges[n + 1], layer.weights.rows())
                .array(WEIGHTS[n], layer.weights.data());
            if let Some(bias) = &layer.bias {
                values = values.array(BIASES[n], bias.as_slice());
            }
        }
        for (hidden, name) in forward.hidden.iter().zip(HIDDEN) {
            values = values.array(name, hidden.as_slice());
        }
        values
    }
}
