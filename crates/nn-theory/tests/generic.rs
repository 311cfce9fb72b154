//! Networks given by their connections: the figure of exercise 1, properties of random networks, faults.

use std::cell::Cell;

use nn_theory::generic::{
    Activation, Collapsed, Error, Mask, Matrix, Network, Rational, Result, Scalar, Way, Weighted,
    cheapest_affine_order, cheapest_order, lecture_network,
};
use proptest::prelude::*;

#[test]
fn the_lecture_network() {
    let net = lecture_network();
    let facts: Vec<_> = net
        .matrices()
        .into_iter()
        .map(|a| (a.shape, a.bias_len, a.edges, a.sparse))
        .collect();
    assert_eq!(
        facts,
        [
            ([4, 8], 4, 23, true),
            ([3, 4], 3, 9, true),
            ([4, 3], 4, 12, false),
            ([2, 4], 2, 8, false)
        ]
    );
    let totals = net.totals();
    assert_eq!(
        (totals.entries, totals.edges, totals.zeros, totals.biases),
        (64, 52, 12, 13)
    );
    assert_eq!((net.rank_bound(), net.product_pattern().zeros()), (2, 0));
    assert!(net.liveness().dead().is_empty());
    assert_eq!(
        net.expansion().unicode.equation(),
        "y = A₄(A₃(A₂(A₁x + b₁) + b₂) + b₃) + b₄ = A₄A₃A₂A₁ x + A₄A₃A₂ b₁ + A₄A₃ b₂ + A₄ b₃ + b₄"
    );
    assert_eq!(
        net.expansion().latex.nested,
        r"A_{4}\left(A_{3}\left(A_{2}\left(A_{1}x + b_{1}\right) + b_{2}\right) + b_{3}\right) + b_{4}"
    );
    let weighted = net.example_weights().unwrap();
    let exact = weighted.map(|&w| Rational::from(w as i64)).unwrap().collapse().unwrap();
    assert!(exact.rank().unwrap() <= net.rank_bound());
    let float = weighted.map(|&w| w as f64).unwrap().collapse().unwrap();
    let rounded: Matrix<f64> = exact
        .matrix
        .iter()
        .map(|row| row.iter().map(|r| r.to_f64()).collect())
        .collect();
    assert_eq!(float.matrix, rounded, "integers this small are exact in f64");
}

#[test]
fn costs_of_the_lecture_network() {
    let table = lecture_network().cost_table(1).unwrap();
    let costs: Vec<_> = table
        .rows
        .iter()
        .map(|row| (row.setup.multiplications, row.per_input.multiplications))
        .collect();
    assert_eq!(
        costs,
        [
            (0, 64),
            (0, 52),
            (0, 222),
            (0, 124),
            (0, 1968),
            (134, 16),
            (110, 16),
            (0, 16)
        ]
    );
    assert_eq!(
        table.break_even.iter().map(|entry| entry.inputs).collect::<Vec<_>>(),
        [Some(3), Some(4)]
    );
    assert_eq!(table.order.as_deref(), Some("((A₄A₃)A₂)A₁"));
}

#[track_caller]
fn check_formula(activations: &[&str], nested: &str, expanded: Option<&str>) {
    let masks = vec![Mask::dense(1, 1); activations.len()];
    let activations = activations
        .iter()
        .map(|name| Activation::named(name).unwrap())
        .collect();
    let net = Network::new("n", masks).unwrap().with_activations(activations).unwrap();
    let found = net.expansion();
    assert_eq!(
        (found.unicode.nested.as_str(), found.unicode.expanded.as_deref()),
        (nested, expanded)
    );
}

#[test]
fn formulas() {
    check_formula(&[""], "A₁x + b₁", None);
    check_formula(&["linear", ""], "A₂(A₁x + b₁) + b₂", Some("A₂A₁ x + A₂ b₁ + b₂"));
    check_formula(&["f", "f"], "f(A₂ f(A₁x + b₁) + b₂)", None);
    check_formula(
        &["", "", "relu"],
        "relu(A₃(A₂(A₁x + b₁) + b₂) + b₃)",
        Some("relu(A₃A₂A₁ x + A₃A₂ b₁ + A₃ b₂ + b₃)"),
    );
    let net = lecture_network().with_activation(Activation::named("tanh").unwrap());
    assert!(net.expansion().reason.contains("tanh(1 + 1) = 0.964"));
    assert!(!net.verdict().unwrap().good_way);
    assert_eq!(net.cost_table(3).unwrap().rows.len(), 2);
}

#[test]
fn dead_neurons_and_components() {
    let net: Network = "layer\n100\n010\n000\nlayer\n100\n001\n".parse().unwrap();
    let live = net.liveness();
    let pairs = |list: &[nn_theory::generic::Neuron]| list.iter().map(|n| (n.layer, n.index)).collect::<Vec<_>>();
    assert_eq!(pairs(&live.constant), [(1, 3), (2, 2)]);
    assert_eq!(pairs(&live.without_influence), [(0, 2), (0, 3), (1, 2)]);
    assert_eq!(live.components.iter().map(Vec::len).collect::<Vec<_>>(), [3, 2, 1, 2]);
}

#[test]
fn drawing_has_a_line_an_edge() {
    let svg = lecture_network().drawing().unwrap();
    assert_eq!((svg.matches("<line").count(), svg.matches("<circle").count()), (52, 21));
    let odd = Network::new("<&\">", vec![Mask::dense(1, 1)])
        .unwrap()
        .drawing()
        .unwrap();
    assert!(odd.contains("<title>&lt;&amp;&quot;&gt;</title>"));
    let large = Network::new("large", vec![Mask::dense(200, 200)]).unwrap();
    assert!(matches!(large.drawing(), Err(Error::TooLarge { .. })));
}

#[track_caller]
fn check_fault(text: &str, line: usize, column: usize) {
    match text.parse::<Network>() {
        Err(Error::Syntax {
            line: l,
            column: c,
            problem,
        }) => assert_eq!((l, c), (line, column), "{problem}"),
        other => panic!("expected a syntax error, found {other:?}"),
    }
}

#[test]
fn faults_of_the_text_form() {
    check_fault("", 1, 1);
    check_fault("# nothing\n\n", 2, 1);
    check_fault("  1 0\n", 1, 3);
    check_fault("layer\n 1 x\n", 2, 4);
    check_fault("layer\n 1 0\n 1\n", 3, 3);
    check_fault("layer\n 1 0\n 1 0 1\n", 3, 6);
    check_fault("layer\n1 0\nlayer\n 1 1\n", 4, 4);
    check_fault("layer\nlayer\n1\n", 1, 1);
    check_fault("layer ä\n1\n", 1, 7);
    check_fault("layers\n1\n", 1, 1);
    check_fault("layer\n1\nname: late\n", 3, 1);
    check_fault(&format!("layer\n{}", "1".repeat(2000)), 2, 1025);
    check_fault(&"layer\n1\n".repeat(300), 513, 1);
}

#[test]
fn faults_of_the_builder() {
    assert_eq!(Network::new("n", vec![]), Err(Error::NoLayer));
    assert!(matches!(
        Network::new("n", vec![Mask::dense(0, 3)]),
        Err(Error::EmptyMatrix { .. })
    ));
    assert!(matches!(
        Network::new("n", vec![Mask::dense(1, 1025)]),
        Err(Error::TooLarge { .. })
    ));
    let unfit = Network::new("n", vec![Mask::dense(2, 3), Mask::dense(1, 4)]);
    assert_eq!(
        unfit,
        Err(Error::WidthMismatch {
            layer: 2,
            expected: 2,
            found: 4
        })
    );
    assert!(matches!(
        Mask::from_rows("A1", &[&[1, 0][..], &[1]]),
        Err(Error::RaggedRow { row: 2, .. })
    ));
    assert!(matches!(Activation::named("a b"), Err(Error::ActivationName { .. })));
    let net = lecture_network();
    assert!(matches!(
        net.scalar_formula(3, 5),
        Err(Error::NoSuchOutput { index: 3, outputs: 2 })
    ));
    assert!(matches!(
        net.example_weights().unwrap().evaluate(Way::LayersDense, &[1]),
        Err(Error::Shape { .. })
    ));
    let one = |network: Network, weight: i128| Weighted::new(network, vec![vec![vec![weight]]; 2], vec![vec![0]; 2]);
    let open: Network = "layer\n0\nlayer\n1\n".parse().unwrap();
    assert_eq!(
        one(open, 1).unwrap_err(),
        Error::UndrawnWeight {
            layer: 1,
            row: 1,
            column: 1
        }
    );
    let chain: Network = "layer\n1\nlayer\n1\n".parse().unwrap();
    assert!(matches!(
        one(chain.clone(), i128::MAX).unwrap().collapse(),
        Err(Error::Overflow { .. })
    ));
    let bent = chain.with_activation(Activation::named("tanh").unwrap());
    assert!(matches!(one(bent, 1), Err(Error::NotLinear { layer: 1, .. })));
    assert!(matches!(Rational::new(1, 0), Err(Error::ZeroDenominator { .. })));
    assert!(matches!(Rational::new(1, i128::MIN), Err(Error::Overflow { .. })));
    assert!(matches!(cheapest_order(&[3]), Err(Error::Shape { .. })));
    let deep = Network::new("deep", vec![Mask::dense(2, 2); 200]).unwrap();
    assert!(matches!(deep.path_counts(), Err(Error::Overflow { .. })));
}

thread_local! {
    static OPERATIONS: Cell<(u128, u128)> = const { Cell::new((0, 0)) };
}

/// An integer that counts what is done with it.
#[derive(Debug, Clone, PartialEq)]
struct Counted(i128);

impl Scalar for Counted {
    fn zero() -> Self {
        Self(0)
    }
    fn plus(&self, other: &Self) -> Result<Self> {
        OPERATIONS.with(|count| count.set((count.get().0, count.get().1 + 1)));
        Ok(Self(self.0.plus(&other.0)?))
    }
    fn times(&self, other: &Self) -> Result<Self> {
        OPERATIONS.with(|count| count.set((count.get().0 + 1, count.get().1)));
        Ok(Self(self.0.times(&other.0)?))
    }
}

fn network() -> impl Strategy<Value = Network> {
    prop::collection::vec(1usize..5, 2..6)
        .prop_flat_map(|widths| {
            let rows = |pair: &[usize]| prop::collection::vec(prop::collection::vec(0u8..2, pair[0]), pair[1]);
            widths.windows(2).map(rows).collect::<Vec<_>>()
        })
        .prop_map(|layers| {
            Network::new(
                "random",
                layers.iter().map(|m| Mask::from_rows("A", m).unwrap()).collect(),
            )
            .unwrap()
        })
}

/// All paths by walking the edges, without a product.
fn walk(net: &Network, layer: usize, neuron: usize, ends: &mut Vec<(usize, usize)>) {
    ends.push((layer, neuron));
    if layer > 0 {
        net.masks()[layer - 1]
            .drawn_in_row(neuron)
            .for_each(|below| walk(net, layer - 1, below, ends));
    }
}

/// Least cost over all parenthesizations.
fn brute_force(dims: &[usize], extra: usize) -> u64 {
    let count = dims.len() - 1;
    let join = |m: usize| (dims[0] * dims[m] * (dims[count] + extra)) as u64;
    (1..count)
        .map(|m| brute_force(&dims[..=m], extra) + brute_force(&dims[m..], extra) + join(m))
        .min()
        .unwrap_or(0)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_way_gives_the_same_y_at_the_counted_cost(net in network(), seed in prop::collection::vec(-9i128..10, 200)) {
        let mut numbers = seed.iter().copied().cycle();
        let mut next = move || numbers.next().unwrap_or(1);
        let weights: Vec<Matrix<i128>> = net.masks().iter().map(|mask| (0..mask.rows()).map(|i| {
            (0..mask.columns()).map(|j| if mask.is_drawn(i, j) { next() } else { 0 }).collect()
        }).collect()).collect();
        let biases = net.masks().iter().map(|mask| (0..mask.rows()).map(|i| seed[i]).collect()).collect();
        let weighted = Weighted::new(net.clone(), weights, biases).unwrap();
        let x: Vec<i128> = (0..net.inputs()).map(|j| seed[100 + j]).collect();
        let expected = weighted.evaluate(Way::LayersDense, &x).unwrap();
        let fractions = weighted.map(|&w| Rational::from(w as i64)).unwrap();
        let thirds: Vec<Rational> = x.iter().map(|&x| Rational::new(x, 3).unwrap()).collect();
        let expected_thirds = fractions.evaluate(Way::LayersSparse, &thirds).unwrap();
        prop_assert!(fractions.collapse().unwrap().rank().unwrap() <= net.rank_bound());
        let counted = weighted.map(|&w| Counted(w)).unwrap();
        let counted_x: Vec<Counted> = x.iter().map(|&x| Counted(x)).collect();
        let table = net.cost_table(1).unwrap();
        for way in Way::ALL {
            prop_assert_eq!(&weighted.evaluate(way, &x).unwrap(), &expected);
            prop_assert_eq!(&fractions.evaluate(way, &thirds).unwrap(), &expected_thirds);
            let map = counted.collapse().unwrap();
            OPERATIONS.with(|count| count.set((0, 0)));
            if way == Way::CollapsedApply { map.apply(&counted_x) } else { counted.evaluate(way, &counted_x) }.unwrap();
            let total = table.row(way).unwrap().total;
            prop_assert_eq!(OPERATIONS.with(Cell::get), (total.multiplications, total.additions), "{:?}", way);
        }
    }

    #[test]
    fn paths_are_those_that_can_be_walked(net in network()) {
        for counts in net.path_counts().unwrap() {
            let mut ends = Vec::new();
            walk(&net, net.depth(), counts.output - 1, &mut ends);
            let starts: Vec<u128> = (0..=net.depth()).map(|k| ends.iter().filter(|end| end.0 == k).count() as u128).collect();
            prop_assert_eq!(&counts.starts, &starts);
            for (input, &paths) in counts.from_inputs.iter().enumerate() {
                prop_assert_eq!(paths, ends.iter().filter(|&&end| end == (0, input)).count() as u128);
                prop_assert_eq!(paths > 0, net.product_pattern().is_drawn(counts.output - 1, input));
            }
            let formula = net.scalar_formula(counts.output, usize::MAX).unwrap();
            prop_assert_eq!(formula.written, ends.len());
        }
    }

    #[test]
    fn chain_order_is_the_best_of_all(dims in prop::collection::vec(1usize..12, 2..9)) {
        prop_assert_eq!(cheapest_order(&dims).unwrap().0, brute_force(&dims, 0));
        prop_assert_eq!(cheapest_affine_order(&dims).unwrap().0, brute_force(&dims, 1));
    }

    #[test]
    fn break_even_is_the_first_cheaper_n(net in network()) {
        for entry in net.cost_table(1).unwrap().break_even {
            let cheaper = |n: u64| {
                let table = net.cost_table(n).unwrap();
                let cost = |way| table.row(way).unwrap().total.multiplications;
                cost(entry.collapse) < cost(entry.than)
            };
            match entry.inputs {
                Some(n) => prop_assert!(cheaper(n as u64) && !cheaper(n as u64 - 1)),
                None => prop_assert!(!cheaper(1_000_000)),
            }
        }
    }

    #[test]
    fn text_round_trip(net in network()) {
        prop_assert_eq!(net.to_string().parse::<Network>().unwrap(), net);
    }

    #[test]
    fn no_text_panics(text in "(layer|name:|[01]| |\n|#|é|f){0,40}") {
        let _ = text.parse::<Network>();
    }
}

#[test]
fn formulas_in_mathml_are_well_formed_and_say_the_same() {
    let net = lecture_network();
    let found = net.expansion();
    // Without its tags the MathML reads as the text does.
    let text = |mathml: &str| {
        let mut plain = String::new();
        let mut open: Vec<&str> = Vec::new();
        for part in mathml.split('<').skip(1) {
            let (tag, rest) = part.split_once('>').unwrap();
            match tag.strip_prefix('/') {
                Some(name) => assert_eq!(open.pop(), Some(name)),
                None => open.push(tag.split(' ').next().unwrap()),
            }
            plain += rest;
        }
        assert!(open.is_empty());
        plain.replace("&#x2061;", "")
    };
    let digits = |text: &str| {
        let plain = |c: char| match c {
            '₀'..='₉' => char::from_digit(c as u32 - 0x2080, 10).unwrap(),
            c => c,
        };
        text.replace(' ', "").chars().map(plain).collect::<String>()
    };
    assert_eq!(text(&found.mathml.nested), digits(&found.unicode.nested));
    assert_eq!(
        found.mathml.expanded.as_deref().map(text),
        found.unicode.expanded.as_deref().map(digits)
    );
    let mixed = ["tanh", "", "", "relu"].map(|name| Activation::named(name).unwrap());
    let found = net.clone().with_activations(mixed.to_vec()).unwrap().expansion();
    assert_eq!(
        found.mathml.expanded.as_deref().map(text),
        found.unicode.expanded.as_deref().map(digits)
    );
    assert_eq!(text(&found.mathml_equation()).matches('=').count(), 2);
    let formula = net.scalar_formula(2, 3).unwrap();
    assert!(text(&formula.mathml).starts_with("y2=A4(2,1)A3(1,1)A2(1,1)A1(1,1)x1+"));
}

#[test]
fn every_order_of_the_lecture_network() {
    let table = lecture_network().evaluation_orders(1).unwrap();
    let cost = |text: &str| {
        let order = table.all.iter().find(|order| order.text == text).unwrap();
        (order.dense, order.sparse)
    };
    // Layer by layer, and collapsed first, as the table of costs counts them.
    assert_eq!(cost("A₄(A₃(A₂(A₁X)))"), (64, 52));
    assert_eq!(cost("(((A₄A₃)A₂)A₁)X"), (134 + 16, 110 + 16));
    assert_eq!(table.best_sparse.sparse, 52);
    let deep = Network::new("deep", vec![Mask::dense(3, 3); 40]).unwrap();
    let table = deep.evaluation_orders(2).unwrap();
    assert!(table.all.is_empty());
    assert_eq!(table.best_dense.dense, 40 * 9 * 2);
    let bent = lecture_network().with_activation(Activation::named("tanh").unwrap());
    assert!(matches!(bent.evaluation_orders(1), Err(Error::NotLinear { .. })));
    let wide = Network::new("wide", vec![Mask::dense(256, 256); 16]).unwrap();
    assert!(matches!(wide.evaluation_orders(1), Err(Error::TooLarge { .. })));
    assert!(matches!(
        lecture_network().evaluation_orders(u64::MAX),
        Err(Error::Overflow { .. })
    ));
}

#[test]
fn conditioning_of_known_matrices() {
    let net: Network = "layer\n 1 1\n 1 1\n 1 1\nlayer\n 1 1 1\n 1 1 1\n".parse().unwrap();
    let weights = vec![
        vec![vec![1.0, 1.0], vec![0.0, 1.0], vec![1.0, 0.0]],
        vec![vec![1.0, 0.0, 0.0], vec![2.0, 0.0, 0.0]],
    ];
    let found = Weighted::new(net, weights, vec![vec![0.0; 3], vec![0.0; 2]])
        .unwrap()
        .conditioning()
        .unwrap();
    // A1ᵀA1 = [[2, 1], [1, 2]] has the eigenvalues 3 and 1.
    let near = |a: f64, b: f64| (a - b).abs() < 1e-14 * b.abs();
    assert!(near(found.layers[0].norm, 3f64.sqrt()) && near(found.layers[0].condition, 3f64.sqrt()));
    assert_eq!((found.layers[1].rank, found.product.rank), (1, 1));
    assert!(near(found.layers[1].norm, 5f64.sqrt()) && near(found.product.norm, 10f64.sqrt()));
    assert!(near(found.cancellation, 1.5f64.sqrt()));
}

#[test]
fn fractions_that_leave_the_range_are_rounded_and_say_so() {
    let chain: Network = "layer\n1\nlayer\n1\n".parse().unwrap();
    let with = |weight: Rational| {
        Weighted::new(
            chain.clone(),
            vec![vec![vec![weight]]; 2],
            vec![vec![Rational::from(1)]; 2],
        )
        .unwrap()
    };
    let exact = with(Rational::new(1, 3).unwrap())
        .collapse_exactly_or_rounded()
        .unwrap();
    assert!(matches!(exact, Collapsed::Exact(map) if map.matrix[0][0].to_string() == "1/9"));
    let large = with(Rational::new(i128::MAX / 2, 3).unwrap())
        .collapse_exactly_or_rounded()
        .unwrap();
    let Collapsed::Rounded { map, why } = large else {
        panic!("an exact map beyond 128 bits")
    };
    assert!(
        map.matrix[0][0] > 1e70 && why.contains("leaves the range of 128-bit integers"),
        "{why}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_best_order_is_the_least_of_all(net in network(), n in 1u64..20) {
        let table = net.evaluation_orders(n).unwrap();
        prop_assert_eq!(Some(table.best_dense.dense), table.all.iter().map(|order| order.dense).min());
        prop_assert_eq!(Some(table.best_sparse.sparse), table.all.iter().map(|order| order.sparse).min());
        for order in &table.all {
            prop_assert!(order.sparse <= order.dense, "{}", order.text);
        }
    }

    #[test]
    fn singular_values_keep_the_length_of_the_matrix(net in network(), seed in prop::collection::vec(-9i128..10, 200)) {
        let mut numbers = seed.into_iter().cycle();
        let weights = net.masks().iter().map(|mask| (0..mask.rows()).map(|i| {
            (0..mask.columns()).map(|j| if mask.is_drawn(i, j) { numbers.next().unwrap_or(1) as f64 } else { 0.0 }).collect()
        }).collect()).collect();
        let biases = net.masks().iter().map(|mask| vec![0.0; mask.rows()]).collect();
        let weighted: Weighted<f64> = Weighted::new(net.clone(), weights, biases).unwrap();
        let found = weighted.conditioning().unwrap();
        for (layer, matrix) in found.layers.iter().zip(weighted.weights()) {
            let squares: f64 = matrix.iter().flatten().map(|x| x * x).sum();
            let values: f64 = layer.singular_values.iter().map(|x| x * x).sum();
            prop_assert!((squares - values).abs() <= 1e-12 * squares);
        }
        prop_assert!(found.product.rank <= net.rank_bound());
        let exact = weighted.map(|&w| Rational::from(w as i64)).unwrap().collapse().unwrap().rank().unwrap();
        // Rounding may hide a tiny singular value, never make one.
        prop_assert!(found.product.rank <= exact);
        prop_assert!(found.product.norm <= found.norm_bound * (1.0 + 1e-12));
    }
}
