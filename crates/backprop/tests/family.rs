//! Random networks of the whole family: six ways to the gradient, and what is refused.

use backprop::mlp::{Activation, Architecture, Layer, Loss, Mlp, check::compare, derive};
use backprop::symbol::{Expr, equivalent};
use backprop::{Error, Matrix};
use proptest::prelude::*;

fn activation() -> impl Strategy<Value = Activation> {
    prop::sample::select(Activation::ALL.to_vec())
}

/// What a random network is made of; the numbers come from a list, from which each takes what it needs.
#[derive(Debug, Clone)]
struct Plan {
    sizes: Vec<usize>,
    activations: Vec<Activation>,
    biases: Vec<bool>,
    loss: Loss,
    numbers: Vec<f64>,
    one_hot: bool,
}

fn plans() -> impl Strategy<Value = Plan> {
    (1usize..6).prop_flat_map(|depth| {
        let sizes = prop::collection::vec(1usize..7, depth + 1);
        let activations = prop::collection::vec(activation(), depth);
        let biases = prop::collection::vec(any::<bool>(), depth);
        let loss = prop::sample::select(Loss::ALL.to_vec());
        let numbers = prop::collection::vec(0.0f64..1.0, 300);
        (sizes, activations, biases, loss, numbers, any::<bool>()).prop_map(
            |(sizes, mut activations, biases, loss, numbers, one_hot)| {
                if loss.has_activation() {
                    *activations.last_mut().unwrap() = Activation::Linear;
                }
                Plan {
                    sizes,
                    activations,
                    biases,
                    loss,
                    numbers,
                    one_hot,
                }
            },
        )
    })
}

impl Plan {
    /// The network, an input and a target.
    fn build(&self) -> (Mlp, Vec<f64>, Vec<f64>) {
        let mut rest = self.numbers.iter().copied();
        let mut next = || rest.next().unwrap();
        let network = Mlp::glorot(&self.sizes, &self.activations, &self.biases, self.loss, &mut next).unwrap();
        let x = (0..self.sizes[0]).map(|_| 4.0 * next() - 2.0).collect();
        let outputs = self.sizes[self.sizes.len() - 1];
        let y: Vec<f64> = if self.one_hot {
            let right = (next() * outputs as f64) as usize;
            (0..outputs).map(|i| f64::from(u8::from(i == right))).collect()
        } else {
            (0..outputs).map(|_| next()).collect()
        };
        (network, x, y)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    /// Sizes 1 to 6, depth 1 to 5, any activations and losses: 1e-12 for the exact ways, 1e-7 for differences.
    #[test]
    fn six_ways_to_the_gradient_of_random_networks(plan in plans()) {
        let (network, x, y) = plan.build();
        let derived = derive(&network.architecture()).unwrap();
        let table = compare(&network, &derived, &x, &y).unwrap();
        prop_assert_eq!(table.ways.len(), 5);
        for way in &table.ways {
            let exact = way.method != "finite differences";
            prop_assert_eq!(way.tolerance, if exact { 1e-12 } else { 1e-7 });
            prop_assert!(way.agrees && way.worst <= way.tolerance, "{}: {:e}", way.method, way.worst);
            // Random numbers seldom hit a kink; nothing is left out otherwise.
            prop_assert!(way.kinks == 0 || !exact && way.kinks < way.gradient.len().max(2), "{} kinks", way.kinks);
        }
        prop_assert!(table.agrees);
    }

    /// The numbers that the stages of the derivation hand back are those of the program.
    #[test]
    fn every_layer_hands_back_what_the_program_does(plan in plans()) {
        let (network, x, y) = plan.build();
        let derived = derive(&network.architecture()).unwrap();
        let back = network.gradients(&x, &y).unwrap();
        let forward = network.forward(&x).unwrap();
        for (n, layer) in network.layers().iter().enumerate().skip(1) {
            let formula = &derived.layers[n].handed_back.as_ref().unwrap().result;
            // By hand, from the printed rule: Σ_k W_ki · slope_k · ∂L/∂(value)_k.
            let last = n + 1 == network.layers().len();
            for i in 0..layer.weights.columns() {
                let expected: f64 = (0..layer.weights.rows())
                    .map(|k| {
                        let error = if last { back.z[k] } else { back.hidden[n][k] * layer.activation.slope(forward.hidden[n][k]) };
                        layer.weights.at(k, i) * error
                    })
                    .sum();
                prop_assert!((back.hidden[n - 1][i] - expected).abs() <= 1e-13 * expected.abs().max(1.0));
            }
            let text = formula.to_string();
            prop_assert!(text.contains("∂L/∂") && text.contains('Σ'), "{}", text);
        }
    }

    /// Two logits under softmax are one logit under σ: their difference.
    #[test]
    fn softmax_of_two_logits_is_sigma_of_their_difference(w in prop::collection::vec(-2.0f64..2.0, 4), x in prop::collection::vec(-2.0f64..2.0, 2), y in 0.0f64..1.0) {
        let layer = |weights: Matrix| Layer { weights, bias: None, activation: Activation::Linear };
        let two = Mlp::new(vec![layer(Matrix::new(2, 2, w.clone()).unwrap())], Loss::CrossEntropy).unwrap();
        let difference = Matrix::new(1, 2, vec![w[0] - w[2], w[1] - w[3]]).unwrap();
        let one = Mlp::new(vec![layer(difference)], Loss::TwoClasses).unwrap();
        let (two, one) = (two.gradients(&x, &[y, 1.0 - y]).unwrap(), one.gradients(&x, &[y]).unwrap());
        prop_assert!((two.loss - one.loss).abs() < 1e-14);
        prop_assert!((two.z[0] - one.z[0]).abs() < 1e-14 && (two.z[1] + one.z[0]).abs() < 1e-14);
    }
}

#[test]
fn the_textbook_errors_of_every_loss() {
    #[track_caller]
    fn check(loss: Loss, activation: Activation, expected: &str) {
        let derived = derive(&Architecture {
            activations: vec![activation],
            biases: vec![true],
            loss,
        })
        .unwrap();
        assert_eq!(derived.sums.result.to_string(), expected);
        // A bias is a weight of the input 1.
        assert_eq!(derived.layers[0].bias.as_ref().unwrap().result, derived.sums.result);
    }
    check(Loss::CrossEntropy, Activation::Linear, "(pᵢ Σₖ yₖ − yᵢ) / 2");
    check(Loss::TwoClasses, Activation::Linear, "(pᵢ − yᵢ) / 2");
    check(Loss::HalfSquaredError, Activation::Linear, "pᵢ − yᵢ");
    check(Loss::HalfSquaredError, Activation::Sigmoid, "pᵢ (1 − pᵢ) (pᵢ − yᵢ)");
    check(Loss::HalfSquaredError, Activation::Tanh, "(1 − pᵢ²) (pᵢ − yᵢ)");
    check(Loss::HalfSquaredError, Activation::Relu, "[pᵢ > 0] (pᵢ − yᵢ)");
    check(Loss::MeanSquaredError, Activation::Linear, "2 (pᵢ − yᵢ) / |outputs|");
}

#[test]
fn a_chain_of_five_layers_names_its_factors() {
    use Activation::{Linear, Relu, Sigmoid, Tanh};
    let derived = derive(&Architecture {
        activations: vec![Tanh, Sigmoid, Relu, Tanh, Linear],
        biases: vec![true, false, true, false, true],
        loss: Loss::CrossEntropy,
    })
    .unwrap();
    assert_eq!(derived.layers.len(), 5);
    let first = &derived.layers[0].weight;
    assert_eq!(first.start.to_string(), "∂L/∂Aᵢⱼ");
    let names: Vec<_> = first.factors.iter().map(|factor| factor.name.as_str()).collect();
    assert_eq!(names, ["error of a neuron", "slope times the input"]);
    assert_eq!(first.factors[1].value.to_string(), "xⱼ δₖᵢ (1 − vₖ²)");
    // All five layers are in the formula: their weights, their slopes, and the error of the outputs.
    let text = first.result.to_string();
    for part in [
        "xⱼ",
        "(1 − vᵢ²)",
        "B",
        "(1 − w",
        "C",
        "> 0]",
        "D",
        "(1 − g",
        "E",
        "p",
        "y",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    assert_eq!(text.matches('Σ').count(), 5, "{text}");
    let handed: Vec<_> = derived.layers[1..]
        .iter()
        .map(|layer| layer.handed_back.as_ref().unwrap().result.to_string())
        .collect();
    assert_eq!(handed[3], "Σₖ Eₖᵢ ∂L/∂zₖ");
    assert!(handed[1].contains("[fₖ > 0]"), "{}", handed[1]);
    assert!(derived.layers[0].handed_back.is_none());
    for derivation in derived.all() {
        let mut line = &derivation.start;
        for step in &derivation.steps {
            assert_eq!(line, &step.before);
            line = &step.after;
        }
        assert_eq!(line, &derivation.result);
    }
}

/// The recursion, put into itself, is the formula derived all the way.
#[test]
fn stage_by_stage_and_all_at_once_are_the_same() {
    use Activation::{Linear, Tanh};
    let derived = derive(&Architecture {
        activations: vec![Tanh, Linear],
        biases: vec![false, false],
        loss: Loss::CrossEntropy,
    })
    .unwrap();
    let exercise = backprop::symbol::exercise::derivations().unwrap();
    // The exercise's (d) has Σ y = 1 used; without that the family's is the same formula.
    let s = backprop::symbol::exercise::Letters::default();
    let normalised = backprop::symbol::Knowledge::new().condition(s.sum_of_targets(), Expr::integer(1));
    let renamed = exercise.d.result.to_string();
    assert_eq!(renamed, "½ xⱼ (1 − vᵢ²) Σₖ Bₖᵢ (pₖ − yₖ)");
    assert_eq!(
        derived.layers[0].weight.result.to_string(),
        "½ xⱼ (1 − vᵢ²) Σₖ Bₖᵢ (pₖ Σₗ yₗ − yₖ)"
    );
    assert!(equivalent(&exercise.b.result, &exercise.b_normalised.result, &normalised).unwrap());
}

#[test]
fn extreme_numbers_keep_the_losses_finite() {
    let linear = |w: f64| Layer {
        weights: Matrix::column(&[w, -w]),
        bias: None,
        activation: Activation::Linear,
    };
    for (loss, expected) in [(Loss::CrossEntropy, 1e4), (Loss::TwoClasses, 1e4)] {
        // Logits 1e4 and −1e4, the second class is right: p is exactly 1 and 0.
        let network = Mlp::new(vec![linear(1e4)], loss).unwrap();
        assert_eq!(network.forward(&[1.0]).unwrap().p, [1.0, 0.0]);
        assert_eq!(network.loss(&[1.0], &[0.0, 1.0]).unwrap(), expected);
        assert_eq!(network.gradients(&[1.0], &[0.0, 1.0]).unwrap().z, [0.5, -0.5]);
        let derived = derive(&network.architecture()).unwrap();
        let table = compare(&network, &derived, &[1.0], &[0.0, 1.0]).unwrap();
        for way in &table.ways {
            assert!(way.agrees, "{loss:?} by {}: {:e}", way.method, way.worst);
        }
    }
}

/// A layer that reads nothing: its sums are empty, and its outputs are its biases.
#[test]
fn empty_sums_are_zero() {
    let layer = Layer {
        weights: Matrix::new(2, 0, vec![]).unwrap(),
        bias: Some(vec![0.5, -0.5]),
        activation: Activation::Linear,
    };
    let network = Mlp::new(vec![layer], Loss::HalfSquaredError).unwrap();
    let gradients = network.gradients(&[], &[0.0, 0.0]).unwrap();
    assert_eq!((gradients.loss, gradients.z), (0.25, vec![0.5, -0.5]));
    let derived = derive(&network.architecture()).unwrap();
    assert!(compare(&network, &derived, &[], &[0.0, 0.0]).unwrap().agrees);
}

#[test]
fn errors_name_the_layer() {
    #[track_caller]
    fn check<T: std::fmt::Debug>(result: Result<T, Error>, words: &[&str]) {
        let message = result.unwrap_err().to_string();
        assert!(words.iter().all(|word| message.contains(word)), "{message}");
    }
    let layer = |rows: usize, columns: usize, activation| Layer {
        weights: Matrix::new(rows, columns, vec![0.5; rows * columns]).unwrap(),
        bias: None,
        activation,
    };
    let linear = |rows, columns| layer(rows, columns, Activation::Linear);
    check(Mlp::new(vec![], Loss::CrossEntropy), &["at least one layer"]);
    check(
        Mlp::new(vec![linear(3, 2), linear(2, 4)], Loss::CrossEntropy),
        &["layer 2", "3 columns", "2x4"],
    );
    check(
        Mlp::new(vec![layer(2, 2, Activation::Tanh)], Loss::CrossEntropy),
        &["layer 1", "tanh", "softmax", "linear"],
    );
    check(
        Mlp::new(vec![linear(0, 2)], Loss::CrossEntropy),
        &["layer 1", "at least one neuron"],
    );
    let bias = Layer {
        bias: Some(vec![1.0]),
        ..linear(2, 2)
    };
    check(
        Mlp::new(vec![bias], Loss::CrossEntropy),
        &["layer 1", "2 biases", "1 biases"],
    );
    let infinite = Layer {
        bias: Some(vec![1.0, f64::INFINITY]),
        ..linear(2, 2)
    };
    check(
        Mlp::new(vec![infinite], Loss::CrossEntropy),
        &["biases of layer 1", "number 2", "inf"],
    );
    let network = Mlp::new(vec![linear(2, 3)], Loss::MeanSquaredError).unwrap();
    check(network.forward(&[1.0]), &["x", "3 inputs", "1 inputs"]);
    check(network.forward(&[1.0, f64::NAN, 0.0]), &["x", "number 2", "NaN"]);
    check(network.forward(&[f64::MAX; 3]), &["sums of layer 1"]);
    check(network.loss(&[1.0; 3], &[1.0]), &["L", "2 targets"]);
    check(network.with_parameters(&[1.0]), &["6 numbers"]);
    let many = Architecture {
        activations: vec![Activation::Linear; 6],
        biases: vec![false; 6],
        loss: Loss::MeanSquaredError,
    };
    check(derive(&many), &["1 to 5 layers", "6"]);
    let other = derive(&Architecture {
        activations: vec![Activation::Linear],
        biases: vec![true],
        loss: Loss::CrossEntropy,
    })
    .unwrap();
    check(other.gradients(&network, &[1.0; 3], &[1.0, 0.0]), &["network"]);
}
