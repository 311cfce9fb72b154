//! The three notations, the second form of the loss, exact fractions, and numbers put in.

use backprop::Error;
use backprop::symbol::exercise::{Letters, derivations, pass_back};
use backprop::symbol::one_node::one_node;
use backprop::symbol::{Expr, Knowledge, Range, Rational, Symbol, Values, equivalent, simplify};

/// The text of a well-formed XML document, without the signs that one does not see.
fn text_of(xml: &str) -> String {
    let document = roxmltree::Document::parse(xml).unwrap_or_else(|error| panic!("{error}: {xml}"));
    let texts = document.descendants().filter(|node| node.is_text());
    texts
        .filter_map(|node| node.text())
        .collect::<String>()
        .replace(['\u{2061}', '\u{2062}'], "")
}

#[test]
fn every_line_of_every_derivation_is_in_three_notations() {
    let derived = derivations().unwrap();
    for part in derived.all() {
        for step in &part.steps {
            for e in [&step.before, &step.after] {
                let (mathml, latex) = (e.to_mathml(), e.to_latex());
                let document = roxmltree::Document::parse(&mathml).unwrap();
                assert_eq!(document.root_element().tag_name().name(), "math");
                // What MathML shows is what LaTeX says: the same letters and digits, in the same order.
                let letters = |text: &str| text.chars().filter(|c| c.is_ascii_alphanumeric()).collect::<String>();
                let plain = [
                    "frac", "cdot", "left", "right", "sum", "partial", "delta", "text", "sigma", "mathrm",
                ]
                .iter()
                .fold(latex, |latex, command| latex.replace(&format!(r"\{command}"), ""));
                let (shown, said) = (letters(&text_of(&mathml)), letters(&plain));
                assert_eq!(shown, said, "{mathml}");
            }
            text_of(&step.to_mathml());
        }
        let whole = part.to_mathml();
        let text = text_of(&whole);
        assert!(part.steps.iter().all(|step| text.contains(step.rule)), "{text}");
        assert_eq!(whole.matches("<mtr>").count(), part.steps.len() + 1);
    }
    let json = serde_json::to_value(&derived.a.result).unwrap();
    assert!(json["mathml"].as_str().unwrap().contains("<mfrac>"));
}

#[test]
fn mathml_of_each_construct() {
    let range = Range::new("a < b");
    let (i, k) = (range.index("i"), range.index("k"));
    let at = |name: &str| Expr::from(Symbol::new(name, [k.clone()]));
    let e = |name: &str| Expr::from(Symbol::new(name, []));
    #[track_caller]
    fn check(e: Expr, inside: &str) {
        let mathml = e.to_mathml();
        roxmltree::Document::parse(&mathml).unwrap();
        assert!(mathml.contains(inside), "{inside} is not in {mathml}");
    }
    check(
        Expr::sum(&k, at("y")),
        "<munder><mo>∑</mo><mi>k</mi></munder><msub><mi>y</mi><mi>k</mi></msub>",
    );
    check(
        Expr::delta(&i, &k),
        "<msub><mi>δ</mi><mrow><mi>k</mi><mi>i</mi></mrow></msub>",
    );
    check(e("v").pow(2), "<msup><mi>v</mi><mn>2</mn></msup>");
    check(e("v").pow(i32::MIN), "<mrow><mo>−</mo><mn>2147483648</mn></mrow>");
    check(Expr::size_of(&range), "<mtext>a &lt; b</mtext>");
    check(
        e("u").sigmoid(),
        "<mi>σ</mi><mo>\u{2061}</mo><mrow><mo>(</mo><mi>u</mi><mo>)</mo></mrow>",
    );
    check(e("u").log(), "<mi>log</mi><mo>\u{2061}</mo><mi>u</mi>");
    check(
        Expr::fraction(-3, 4).unwrap(),
        "<mo form=\"prefix\">−</mo><mfrac><mn>3</mn><mn>4</mn></mfrac>",
    );
    check(
        Expr::derivative(e("L"), &Symbol::new("p", [i.clone()])),
        "<mfrac><mrow><mo>∂</mo><mi>L</mi></mrow><mrow><mo>∂</mo><msub>",
    );
    let relu = backprop::symbol::differentiate(&e("u").relu(), &Symbol::new("u", []), &Knowledge::new()).unwrap();
    assert_eq!(
        (relu.to_unicode().as_str(), relu.to_latex().as_str()),
        ("[relu(u) > 0]", r"\left[\mathrm{relu}\left(u\right) > 0\right]")
    );
    check(relu, "<mo>&gt;</mo><mn>0</mn>");
}

/// One class is what the others leave: for any number of classes as a formula, and written out for 2 to 6.
#[test]
fn the_second_form_is_the_same_loss_for_any_number_of_classes() {
    let s = Letters::default();
    let derived = derivations().unwrap();
    assert_eq!(
        derived.any_classes.result,
        simplify(&s.loss_of_probabilities(), &Knowledge::new()).unwrap()
    );
    assert_ne!(derived.any_classes.start, derived.any_classes.result);
    let conditions = derived
        .any_classes
        .steps
        .iter()
        .filter(|step| step.rule == "side condition")
        .count();
    assert!(conditions > 0);
    // Without the side conditions the two are different.
    assert!(
        !equivalent(
            &derived.any_classes.start,
            &derived.any_classes.result,
            &Knowledge::new()
        )
        .unwrap()
    );

    for classes in 2..=6 {
        let last = s.classes.element(classes);
        let rest = |of: &dyn Fn(&backprop::symbol::Index) -> Symbol| {
            (1..classes).fold(Expr::integer(1), |rest, n| rest - of(&s.classes.element(n)).into())
        };
        let (y, p) = (rest(&|i| s.y(i)), rest(&|i| s.p(i)));
        let known = Knowledge::new()
            .size(&s.classes, classes)
            .condition(s.y(&last).into(), y.clone())
            .condition(s.p(&last).into(), p.clone());
        let terms = (1..classes).map(|n| {
            let i = s.classes.element(n);
            Expr::from(s.y(&i)) * Expr::from(s.p(&i)).log()
        });
        let second = -(Expr::add(terms) + y * p.log()) / Expr::integer(2);
        assert!(
            equivalent(&s.loss_of_probabilities(), &second, &known).unwrap(),
            "{classes} classes"
        );
        assert!(!equivalent(&s.loss_of_probabilities(), &(second * Expr::integer(2)), &known).unwrap());
    }
}

#[test]
fn the_pass_back_is_a_recursion() {
    let back = pass_back().unwrap();
    let results = [&back.p, &back.z, &back.b, &back.v, &back.a, &back.x].map(|part| part.result.to_string());
    assert_eq!(
        results,
        [
            "−yᵢ / (2 pᵢ)",
            "(pᵢ Σₖ yₖ − yᵢ) / 2",
            "vⱼ ∂L/∂zᵢ",
            "Σₖ Bₖᵢ ∂L/∂zₖ",
            "xⱼ (1 − vᵢ²) ∂L/∂vᵢ",
            "Σₖ Aₖⱼ (1 − vₖ²) ∂L/∂vₖ"
        ]
    );
    // The kept derivative is a number that has to be given.
    let s = Letters::default();
    let at = Values::new()
        .size(&s.classes, 2)
        .size(&s.hidden, 1)
        .at(&s.hidden.index("i"), 0)
        .array("B", [2.0, 3.0]);
    assert!(back.v.result.evaluate(&at).unwrap_err().to_string().contains("∂L/∂z"));
    assert_eq!(
        back.v.result.evaluate(&at.derivative("L", "z", [0.5, -1.0])).unwrap(),
        -2.0
    );
}

#[test]
fn the_one_node_example_in_fractions() {
    let example = one_node().unwrap();
    let exact: Vec<String> = example
        .lines
        .iter()
        .map(|line| line.exact.map_or("–".into(), |x| x.to_string()))
        .collect();
    // x, a, b, t; z, y, L; back: ∂L/∂y, ∂L/∂b, ∂L/∂z, ∂L/∂a.
    assert_eq!(
        exact,
        [
            "2", "–", "2/3", "1", "1/2", "1/3", "2/9", "-2/3", "-1/3", "-4/9", "-2/3"
        ]
    );
    for line in &example.lines {
        assert!(line.code.starts_with("let ") && line.code.ends_with(';'), "{line:?}");
        if let Some(exact) = line.exact {
            assert!((exact.value() - line.computed).abs() < 1e-15);
        }
    }
    assert_eq!(example.by_a.factors.len(), 3);
    let product = example
        .by_a
        .factors
        .iter()
        .fold(Expr::integer(1), |product, factor| product * factor.value.clone());
    assert!(equivalent(&product, &example.by_a.result, &Knowledge::new()).unwrap());
}

#[test]
fn fractions_that_do_not_exist_are_named() {
    let e = |name: &str| Expr::from(Symbol::new(name, []));
    let values = Values::exact()
        .array("p", [Rational::new(1, 3).unwrap()])
        .array("big", [Rational::integer(i64::MAX)]);
    #[track_caller]
    fn check(result: Result<Rational, Error>, words: &str) {
        let message = result.unwrap_err().to_string();
        assert!(message.contains(words), "{message}");
    }
    check((e("p") * e("p").log()).evaluate_exact(&values), "log p");
    check(e("big").pow(2).evaluate_exact(&values), "big²");
    check((e("p") - e("p")).pow(-1).evaluate_exact(&values), "1 / (p − p)");
    // Piecewise linear networks stay in fractions all the way.
    let exact = (e("p") - Expr::integer(1)).relu() + e("p").relu() * Expr::integer(2);
    assert_eq!(exact.evaluate_exact(&values).unwrap(), Rational::new(2, 3).unwrap());
}

/// (a) and (b) with exact fractions: p = (1/4, 3/4), the first class is right.
#[test]
fn the_exercise_in_fractions() {
    let s = Letters::default();
    let derived = derivations().unwrap();
    let fraction = |n, d| Rational::new(n, d).unwrap();
    let values = Values::exact()
        .size(&s.classes, 2)
        .array("p", [fraction(1, 4), fraction(3, 4)])
        .array("y", [fraction(1, 1), fraction(0, 1)]);
    let at = |i| values.clone().at(&s.classes.index("i"), i);
    let of = |e: &Expr| [0, 1].map(|i| e.evaluate_exact(&at(i)).unwrap().to_string());
    assert_eq!(of(&derived.a.result), ["-2", "0"]);
    assert_eq!(of(&derived.b.result), ["-3/8", "3/8"]);
    assert_eq!(of(&derived.b_normalised.result), ["-3/8", "3/8"]);
}

#[test]
fn numbers_that_end_a_computation_are_named_with_their_node() {
    let s = Letters::default();
    let derived = derivations().unwrap();
    let values = Values::new()
        .size(&s.classes, 2)
        .array("p", [0.0, 1.0])
        .array("y", [1.0, 0.0]);
    let at = values.clone().at(&s.classes.index("i"), 0);
    let loss = s.loss_of_probabilities();
    #[track_caller]
    fn check(result: Result<f64, Error>, words: &[&str]) {
        let message = result.unwrap_err().to_string();
        assert!(words.iter().all(|word| message.contains(word)), "{message}");
    }
    check(loss.evaluate_finite(&values), &["log p₁", "log p as z − max z"]);
    check(
        derived.a.result.evaluate_finite(&at),
        &["1 / p₁", "cancel the denominator"],
    );
    // (b) divides by nothing: the same sample is no problem.
    assert_eq!(derived.b.result.evaluate_finite(&at).unwrap(), -0.5);
    let z = Symbol::new("z", [s.classes.index("i")]);
    let huge = at.array("z", [1e4, 0.0]);
    check(
        Expr::from(z).exp().evaluate_finite(&huge),
        &["exp z₁", "inf", "subtract"],
    );
}

#[test]
fn numbers_put_in_are_readable() {
    let s = Letters::default();
    let derived = derivations().unwrap();
    let values = Values::new()
        .size(&s.classes, 2)
        .size(&s.hidden, 1)
        .size(&s.inputs, 1)
        .array("p", [0.25, 0.75])
        .array("y", [1.0, 0.0])
        .array("v", [-0.5])
        .array("x", [2.0])
        .array("B", [0.5, -1.5])
        .at(&s.classes.index("i"), 0);
    let written = |e: &Expr, values: &Values| e.with_numbers(values, 2).unwrap();
    assert_eq!(written(&derived.a.result, &values).unicode, "−1 / (2 · 0.25)");
    assert_eq!(written(&derived.b.result, &values).unicode, "(0.25 · (1 + 0) − 1) / 2");
    assert_eq!(
        written(&derived.b.result, &values).latex,
        r"\frac{0.25 \cdot \left(1 + 0\right) - 1}{2}"
    );
    let at = values.at(&s.hidden.index("i"), 0).at(&s.inputs.index("j"), 0);
    assert_eq!(
        written(&derived.d.result, &at).unicode,
        "½ · 2 · (1 − (−0.50)²) · (0.50 · (0.25 − 1) + (−1.50) · (0.75 − 0))"
    );
    assert!(derived.d.result.with_numbers(&Values::new(), 2).is_err());
}
