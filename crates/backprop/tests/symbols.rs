//! The derivations reach the textbook results, and the simplifier never changes a value.

use backprop::symbol::exercise::{Letters, derivations};
use backprop::symbol::{
    Expr, Knowledge, Limits, Range, Symbol, Values, derive, differentiate, equivalent, expand, simplify,
};
use backprop::{Error, Matrix, by_hand::Network, finite_difference};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

fn nothing() -> Knowledge {
    Knowledge::new()
}

fn half(e: Expr) -> Expr {
    e / Expr::integer(2)
}

#[test]
fn the_four_answers_have_the_textbook_form() {
    let s = Letters::default();
    let d = derivations().unwrap();
    let (i, k) = (s.classes.index("i"), s.classes.index("k"));
    let (p, y) = (|n| Expr::from(s.p(n)), |n| Expr::from(s.y(n)));
    let canonical = |e: Expr| simplify(&e, &nothing()).unwrap();

    assert_eq!(d.a.result, canonical(-(y(&i) / (Expr::integer(2) * p(&i)))));
    assert_eq!(d.softmax.result, canonical(p(&k) * (Expr::delta(&k, &i) - p(&i))));
    // δ lets it be written with i and k exchanged.
    let exchanged = p(&i) * (Expr::delta(&k, &i) - p(&k));
    assert!(equivalent(&d.softmax.result, &exchanged, &nothing()).unwrap());
    assert_eq!(d.b.result, canonical(half(p(&i) * s.sum_of_targets() - y(&i))));
    assert_eq!(d.b_normalised.result, canonical(half(p(&i) - y(&i))));

    let j = s.hidden.index("j");
    assert_eq!(d.c.result, canonical(Expr::delta(&k, &i) * s.v(&j).into()));
    assert_eq!(d.b_weights.result, canonical(half(p(&i) - y(&i)) * s.v(&j).into()));

    let (h, j) = (s.hidden.index("i"), s.inputs.index("j"));
    let slope = Expr::integer(1) - Expr::from(s.v(&h)).pow(2);
    let body = half(p(&k) - y(&k)) * s.b(&k, &h).into() * slope * s.x(&j).into();
    assert_eq!(d.d.result, canonical(Expr::sum(&k, body)));

    let (one, two) = (Expr::integer(1), Expr::integer(1));
    let (y1, p1) = (y(&s.classes.element(1)), p(&s.classes.element(1)));
    let second = -half(y1.clone() * p1.clone().log() + (one - y1) * (two - p1).log());
    assert_eq!(d.two_classes.result, canonical(second));
}

#[test]
fn every_step_continues_the_one_before_and_the_factors_are_named() {
    let d = derivations().unwrap();
    for derivation in d.all() {
        let mut line = &derivation.start;
        for step in &derivation.steps {
            assert_eq!(line, &step.before, "{}", derivation.title);
            assert!(!step.rule.is_empty() && step.sentence.ends_with('.'));
            line = &step.after;
        }
        assert_eq!(line, &derivation.result);
        assert!(!derivation.steps.is_empty());
        let latex = derivation.to_latex();
        assert_eq!(latex.matches('{').count(), latex.matches('}').count(), "{latex}");
        assert!(!derivation.to_unicode().contains('#'), "an opened index is printed");
    }
    let json = serde_json::to_value(&d).unwrap();
    assert_eq!(json["a"]["result"]["unicode"], "−yᵢ / (2 pᵢ)");
    assert_eq!(json["a"]["result"]["latex"], r"-\frac{y_{i}}{2 p_{i}}");
    let names: Vec<_> = d.d.factors.iter().map(|f| f.derivative.to_string()).collect();
    assert_eq!(names, ["∂L/∂zₖ", "∂zₖ/∂vₗ", "∂vₗ/∂Aᵢⱼ", "∂L/∂vᵢ"]);
    assert!(d.d.steps.iter().any(|step| step.rule == "chain rule"));
}

/// Without earlier results the chain leads through p, and its result is equal under the side condition Σ y = 1.
#[test]
fn the_long_way_gives_the_same_gradient() {
    let s = Letters::default();
    let d = derivations().unwrap();
    let (h, j) = (s.hidden.index("i"), s.inputs.index("j"));
    let long = differentiate(&s.loss().into(), &s.a(&h, &j), &s.definitions()).unwrap();
    let normalised = nothing().condition(s.sum_of_targets(), Expr::integer(1));
    assert_ne!(long, d.d.result);
    assert!(equivalent(&long, &d.d.result, &normalised).unwrap());
    assert!(!equivalent(&long, &(d.d.result * Expr::integer(2)), &normalised).unwrap());
}

/// The derived expressions, with numbers put in, are the numbers of the program.
#[test]
fn formulas_and_program_agree() {
    let s = Letters::default();
    let d = derivations().unwrap();
    let a = Matrix::new(3, 2, vec![0.3, -0.7, 0.2, 0.5, -0.1, 0.9]).unwrap();
    let b = Matrix::new(4, 3, (0..12).map(|n| (f64::from(n) * 1.7).sin()).collect()).unwrap();
    let (x, y) = ([0.4, -1.2], [0.0, 0.25, 0.75, 0.0]);
    let network = Network::new(a.clone(), b.clone()).unwrap();
    let (forward, gradients) = (network.forward(&x).unwrap(), network.gradients(&x, &y).unwrap());
    let values = Values::new()
        .size(&s.classes, 4)
        .size(&s.hidden, 3)
        .size(&s.inputs, 2)
        .array("A", a.data())
        .array("B", b.data())
        .array("x", x)
        .array("y", y)
        .array("v", forward.v)
        .array("z", forward.z)
        .array("p", forward.p);
    for i in 0..4 {
        let at = values.clone().at(&s.classes.index("i"), i);
        assert!((d.b.result.evaluate(&at).unwrap() - gradients.z[i]).abs() < 1e-15);
        for j in 0..3 {
            let at = at.clone().at(&s.hidden.index("j"), j);
            assert!((d.b_weights.result.evaluate(&at).unwrap() - gradients.b.at(i, j)).abs() < 1e-15);
        }
    }
    for i in 0..3 {
        for j in 0..2 {
            let at = values.clone().at(&s.hidden.index("i"), i).at(&s.inputs.index("j"), j);
            assert!((d.d.result.evaluate(&at).unwrap() - gradients.a.at(i, j)).abs() < 1e-15);
        }
    }
}

#[test]
fn sums_and_deltas() {
    let range = Range::new("n");
    let (i, j, k, m) = (range.index("i"), range.index("j"), range.index("k"), range.index("m"));
    let f = |name: &str, indices: &[&backprop::symbol::Index]| {
        Expr::from(Symbol::new(name, indices.iter().map(|&i| i.clone())))
    };
    #[track_caller]
    fn check(input: Expr, expected: Expr) {
        assert_eq!(
            simplify(&input, &Knowledge::new()).unwrap(),
            expected,
            "{input} should become {expected}"
        );
    }
    check(Expr::sum(&k, Expr::delta(&k, &i) * f("a", &[&k])), f("a", &[&i]));
    check(Expr::sum(&k, Expr::delta(&k, &i)), Expr::integer(1));
    check(Expr::sum(&k, Expr::integer(1)), Expr::size_of(&range));
    check(Expr::sum(&k, f("c", &[])), f("c", &[]) * Expr::size_of(&range));
    check(
        Expr::sum(&k, Expr::sum(&m, Expr::delta(&k, &m) * f("a", &[&k, &m]))),
        Expr::sum(&k, f("a", &[&k, &k])),
    );
    // The order of summation does not matter.
    check(
        Expr::sum(&k, Expr::sum(&m, f("a", &[&k, &m]))) - Expr::sum(&m, Expr::sum(&k, f("a", &[&k, &m]))),
        Expr::integer(0),
    );
    check(
        Expr::delta(&i, &j) * f("a", &[&i]) - Expr::delta(&i, &j) * f("a", &[&j]),
        Expr::integer(0),
    );
    let first = range.element(1);
    check(
        Expr::delta(&i, &first) * f("a", &[&i]),
        Expr::delta(&i, &first) * f("a", &[&first]),
    );
    check(f("a", &[&i]) / f("a", &[&i]), Expr::integer(1));
    check(f("a", &[]).exp().log(), f("a", &[]));
    check(
        Expr::sum(&k, f("a", &[&k]) * f("b", &[&k])) - Expr::sum(&m, f("a", &[&m]) * f("c", &[&m])),
        Expr::sum(&k, f("a", &[&k]) * (f("b", &[&k]) - f("c", &[&k]))),
    );
    assert!(
        equivalent(
            &(f("a", &[]) + f("b", &[])).pow(2),
            &(f("a", &[]).pow(2) + Expr::integer(2) * f("a", &[]) * f("b", &[]) + f("b", &[]).pow(2)),
            &nothing()
        )
        .unwrap()
    );
    // A running index is not confused with a free one of the same letter.
    let inner = Expr::sum(&k, f("a", &[&k, &i]));
    let captured = inner.with_index(&i, &k);
    assert_eq!(captured.to_string(), "Σₗ aₗₖ");
    assert!(captured.mentions(&k));
}

#[test]
fn brackets_are_written_where_they_are_needed() {
    let range = Range::new("n");
    let k = range.index("k");
    let e = |name: &str| Expr::from(Symbol::new(name, []));
    let at = |name: &str| Expr::from(Symbol::new(name, [k.clone()]));
    #[track_caller]
    fn check(e: Expr, unicode: &str, latex: &str) {
        assert_eq!((e.to_unicode().as_str(), e.to_latex().as_str()), (unicode, latex));
    }
    check(-(e("a") - e("b")), "b − a", "b - a");
    check(e("c") - (e("a") - e("b")), "c − (a − b)", r"c - \left(a - b\right)");
    check(
        Expr::sum(&k, -(at("a") - at("b"))),
        "Σₖ (−(aₖ − bₖ))",
        r"\sum_{k} \left(-\left(a_{k} - b_{k}\right)\right)",
    );
    check(
        (e("a") + e("b")).pow(2) * e("c"),
        "c (a + b)²",
        r"c \left(a + b\right)^{2}",
    );
    check(e("a") / (e("b") * e("c")), "a / (b c)", r"\frac{a}{b c}");
    check(e("a") / (e("b") + e("c")), "a / (b + c)", r"\frac{a}{b + c}");
    check(e("a").log().pow(2), "(log a)²", r"\left(\log a\right)^{2}");
    check(
        e("a").exp() * e("b").log(),
        "(log b) exp a",
        r"\left(\log b\right) \exp a",
    );
    check(
        Expr::sum(&k, at("a")) * Expr::sum(&k, at("b")),
        "(Σₖ aₖ) Σₖ bₖ",
        r"\left(\sum_{k} a_{k}\right) \sum_{k} b_{k}",
    );
    check(Expr::sum(&k, at("a")) + e("b"), "b + Σₖ aₖ", r"b + \sum_{k} a_{k}");
    check(
        Expr::sum(&k, at("a")).pow(-2),
        "1 / (Σₖ aₖ)²",
        r"\frac{1}{\left(\sum_{k} a_{k}\right)^{2}}",
    );
    check(Expr::integer(-3).pow(3) * e("a").pow(-1), "−27 / a", r"-\frac{27}{a}");
}

#[test]
fn the_lectures_one_node_example() {
    // L = ½ (t − g)², g = b f, f = tanh(a x):  ∂L/∂a = −(t − g) b (1 − f²) x
    let s = |name| Symbol::new(name, []);
    let e = |name| Expr::from(s(name));
    let known = nothing()
        .define(&s("L"), half((e("t") - e("g")).pow(2)))
        .define(&s("g"), e("b") * e("f"))
        .define(&s("f"), (e("a") * e("x")).tanh());
    let result = differentiate(&e("L"), &s("a"), &known).unwrap();
    let expected = -(e("t") - e("g")) * e("b") * (Expr::integer(1) - e("f").pow(2)) * e("x");
    assert!(equivalent(&result, &expected, &nothing()).unwrap(), "{result}");
}

#[test]
fn limits_and_missing_values_are_errors() {
    let e = |name: &str| Expr::from(Symbol::new(name, []));
    let sum = Expr::add((0..40).map(|n| e(&format!("a{n}"))));
    let too_big = expand(&sum.pow(6), &nothing()).unwrap_err();
    assert!(matches!(too_big, Error::SizeLimit { limit: 20_000, .. }), "{too_big}");
    let s = Letters::default();
    let start = Expr::derivative(s.loss().into(), &s.p(&s.classes.index("i")));
    let too_long = derive(
        &start,
        &s.definitions(),
        Limits {
            steps: 3,
            ..Limits::default()
        },
    )
    .unwrap_err();
    assert!(too_long.to_string().contains("after 3 steps"), "{too_long}");
    // Deep nesting ends in an error and not in an exhausted stack; shared parts are not counted for ever.
    let deep = (0..5_000).fold(e("x"), |inner, _| inner.tanh());
    let too_deep = simplify(&deep, &nothing()).unwrap_err();
    assert!(matches!(too_deep, Error::DepthLimit { limit: 500 }), "{too_deep}");
    let shared = (0..200).fold(e("x"), |half, _| Expr::add([half.clone().tanh(), half.exp()]));
    let endless = simplify(&shared, &nothing()).unwrap_err();
    assert!(matches!(endless, Error::SizeLimit { limit: 20_000 }), "{endless}");
    assert!(endless.to_string().contains("Knowledge::define"));
    assert!(
        start
            .evaluate(&Values::new())
            .unwrap_err()
            .to_string()
            .contains("∂L/∂pᵢ")
    );
    assert!(e("q").evaluate(&Values::new()).unwrap_err().to_string().contains("'q'"));
    let short =
        Expr::from(s.p(&s.classes.element(3))).evaluate(&Values::new().size(&s.classes, 2).array("p", [0.5, 0.5]));
    assert!(short.unwrap_err().to_string().contains("element 3"));
    // Circular definitions end.
    let a = Symbol::new("a", []);
    let circular = nothing().define(&a, e("b")).define(&Symbol::new("b", []), e("a"));
    assert!(simplify(&Expr::derivative(e("a"), &Symbol::new("c", [])), &circular).is_ok());
}

/// Expressions over a_i, b_ij, c, d with the free indices i, j, sums over one range of three elements; with ReLU where `kinks`
/// are wanted.
fn expressions(kinks: bool) -> impl Strategy<Value = Expr> {
    let range = Range::new("n");
    let index = {
        let range = range.clone();
        move || {
            let range = range.clone();
            prop::sample::select(vec!["i", "j", "k", "m"]).prop_map(move |name| range.index(name))
        }
    };
    let leaf = prop_oneof![
        (-3i64..4).prop_map(Expr::integer),
        (1i64..4, 2i64..4).prop_map(|(n, d)| Expr::fraction(n, d).unwrap()),
        prop::sample::select(vec!["c", "d"]).prop_map(|name| Symbol::new(name, []).into()),
        index().prop_map(|i| Symbol::new("a", [i]).into()),
        (index(), index()).prop_map(|(i, j)| Symbol::new("b", [i, j]).into()),
        (index(), index()).prop_map(|(i, j)| Expr::delta(&i, &j)),
        Just(Expr::size_of(&range)),
    ];
    leaf.prop_recursive(5, 60, 4, move |inner| {
        prop_oneof![
            3 => prop::collection::vec(inner.clone(), 2..4).prop_map(Expr::add),
            3 => prop::collection::vec(inner.clone(), 2..4).prop_map(Expr::product),
            3 => (index(), inner.clone()).prop_map(|(i, e)| Expr::sum(&i, e)),
            1 => (inner.clone(), 2..4i32).prop_map(|(e, n)| e.pow(n)),
            1 => inner.clone().prop_map(|e| (Expr::integer(2) + e.pow(2)).pow(-1)),
            1 => inner.clone().prop_map(Expr::tanh),
            1 => inner.clone().prop_map(Expr::sigmoid),
            1 => inner.clone().prop_map(move |e| if kinks { e.relu() } else { e.sigmoid() }),
            1 => inner.clone().prop_map(|e| e.tanh().exp()),
            1 => inner.prop_map(|e| (Expr::integer(1) + e.pow(2)).log()),
        ]
    })
}

fn values(numbers: &[f64]) -> Values {
    let range = Range::new("n");
    let mut values = Values::new().size(&range, 3);
    for (n, name) in ["i", "j", "k", "m"].iter().enumerate() {
        values = values.at(&range.index(name), n % 3);
    }
    values
        .array("c", [numbers[0]])
        .array("d", [numbers[1]])
        .array("a", &numbers[2..5])
        .array("b", &numbers[5..14])
}

fn close(left: f64, right: f64, scale: f64) -> bool {
    !left.is_finite() || (left - right).abs() <= 1e-9 * scale.max(left.abs()).max(right.abs()).max(1.0)
}

/// The sum of the absolute values of all that is added up: what rounding errors are relative to.
fn magnitude(e: &Expr, numbers: &[f64]) -> f64 {
    let positive: Vec<f64> = numbers.iter().map(|x| x.abs() + 1.0).collect();
    e.evaluate(&values(&positive)).unwrap().abs()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn simplification_keeps_the_value(e in expressions(true), numbers in prop::collection::vec(-1.5f64..1.5, 14)) {
        let simple = simplify(&e, &nothing()).unwrap();
        let (before, after) = (e.evaluate(&values(&numbers)).unwrap(), simple.evaluate(&values(&numbers)).unwrap());
        prop_assert!(close(before, after, magnitude(&e, &numbers)), "{e} = {before}\n{simple} = {after}");
        // Simplifying again changes nothing.
        prop_assert_eq!(simplify(&simple, &nothing()).unwrap(), simple);
        if let Ok(expanded) = expand(&e, &nothing()) {
            let after = expanded.evaluate(&values(&numbers)).unwrap();
            prop_assert!(close(before, after, magnitude(&e, &numbers).powi(2)), "{e} = {before}\n{expanded} = {after}");
        }
    }

    #[test]
    fn derivatives_are_those_of_finite_differences(e in expressions(false), numbers in prop::collection::vec(-1.0f64..1.0, 14)) {
        // By c, and by a_i with i at element 0.
        let a_i = Symbol::new("a", [Range::new("n").index("i")]);
        for (variable, place) in [(Symbol::new("c", []), 0), (a_i, 2)] {
            let Ok(derived) = differentiate(&e, &variable, &nothing()) else { continue };
            let exact = derived.evaluate(&values(&numbers)).unwrap();
            let moved = |x: f64| {
                let mut numbers = numbers.clone();
                numbers[place] = x;
                e.evaluate(&values(&numbers)).unwrap()
            };
            let estimate = finite_difference::richardson(moved, numbers[place], 1e-4);
            let scale = exact.abs().max(magnitude(&e, &numbers)).max(1.0);
            prop_assert!(!exact.is_finite() || (exact - estimate.value).abs() < 1e-5 * scale, "{e} by {variable:?}: {exact} {estimate:?}");
        }
    }
}

/// A random expression of at least this many nodes: sums of products of what the strategy draws.
fn large(runner: &mut TestRunner, nodes: usize) -> Expr {
    let strategy = expressions(true);
    let mut draw = || strategy.new_tree(runner).unwrap().current();
    let mut sum = Expr::integer(0);
    while sum.size() < nodes {
        sum = sum + Expr::product([draw(), draw(), draw()]);
    }
    sum
}

/// One step applies one rule wherever it fits, so there are far fewer steps than nodes. What is multiplied out can become too
/// large; then the limit says so.
#[test]
fn large_expressions_end_within_as_many_steps_as_they_have_nodes() {
    let mut runner = TestRunner::new(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let (mut finished, mut too_large, mut longest) = (0, 0, 0.0_f64);
    for _ in 0..32 {
        let e = large(&mut runner, 1_000);
        assert!(e.size() >= 1_000, "{}", e.size());
        match derive(&e, &nothing(), Limits::default()) {
            Ok((simple, steps)) => {
                finished += 1;
                longest = longest.max(steps.len() as f64 / e.size() as f64);
                assert!(steps.len() <= e.size(), "{} steps for {} nodes", steps.len(), e.size());
                assert!(simple.size() <= 20_000);
            }
            Err(error @ Error::SizeLimit { limit: 20_000 }) => {
                too_large += 1;
                assert!(error.to_string().contains("Limits::size"));
            }
            Err(other) => panic!("{other}"),
        }
    }
    println!("{finished} finished, {too_large} too large, at most {longest:.2} steps a node");
    assert!(
        finished >= 24,
        "{finished} of 32 finished, {too_large} became too large"
    );
}

#[test]
fn extreme_exponents_and_sizes_neither_overflow_nor_exhaust_memory() {
    let power = Expr::from(Symbol::new("x", [])).pow(i32::MIN);
    assert_eq!(power.to_unicode(), "x⁻²¹⁴⁷⁴⁸³⁶⁴⁸");
    assert_eq!(power.to_latex(), "x^{-2147483648}");
    let range = Range::new("n");
    let k = range.index("k");
    let sum = Expr::sum(&k, Symbol::new("y", [k.clone()]).into());
    assert_eq!(simplify(&sum, &nothing().size(&range, u32::MAX)).unwrap(), sum);
}

/// What the page's converter to MathML demands: no `$` within `\text`, no empty last line, style changes in a group.
#[test]
fn a_chain_of_equations_is_plain_latex() {
    for part in derivations().unwrap().all() {
        let latex = part.to_latex();
        assert!(!latex.contains('$') && !latex.contains("\\\\\n\\end"), "{latex}");
        assert_eq!(latex.matches("{\\scriptstyle ").count(), part.steps.len(), "{latex}");
    }
}
