//! Exercise 1: shapes, sparsity and the formula of the lecture's generic network, all from its connections.

mod costs;
mod notation;

use anyhow::{Context as _, Result};
use nn_theory::generic::{Activation, LECTURE_NETWORK, Network, Rational, SEVERAL, Way, Weighted, lecture_network};
use report::format::{count, scientific};
use report::inline::escape;
use report::plot::MatrixPattern;
use report::{Align, Answer, Block, Figure, Table};
use serde_json::json;

use self::costs::costs;
use self::notation::{beside, column, labelled, latex, listing, plural, subscript, symbol, texts, tuple, whole};
use crate::context::Context;

/// Monomials of the scalar formula that are written out.
const SHOWN: usize = 3;

pub(super) fn answer(_context: &Context, answer: &mut Answer) -> Result<()> {
    let network = lecture_network();
    question(answer, &network)?;
    shapes(answer, &network);
    formula(answer, &network)?;
    activations(answer, &network)?;
    collapsed(answer, &network)?;
    costs(answer, &network)?;
    verdict(answer, &network)
}

fn question(answer: &mut Answer, network: &Network) -> Result<()> {
    let widths: Vec<String> = network.widths().iter().map(usize::to_string).collect();
    answer.text(
        "The question: a network is given as a drawing. Which shapes have its matrices and biases, which matrices are \
         sparse, what is $y$ as a formula in $x$ if $f(x) = x$ in every layer, and is that formula a good way to compute \
         $y$ from $x$?",
    );
    answer.figure(Figure {
        title: "The network".to_string(),
        svg: network.drawing()?,
        caption: format!(
            "The network: inputs on the left (blue), outputs on the right (orange), {} neurons from layer to layer. \
             A line is a weight; where no line is drawn, the matrix has a zero.",
            widths.join(", ")
        ),
        ..Figure::default()
    });
    answer.text(
        "Nothing below is typed in but the drawing itself: the list of its connections (row = neuron of the next layer, \
         column = neuron of the layer before; 1 = a line is drawn).",
    );
    answer.details("The connections", [Block::code(LECTURE_NETWORK)]);
    answer.number("widths", network.widths());
    Ok(())
}

fn shapes(answer: &mut Answer, network: &Network) {
    answer.heading("Shapes and zeros");
    answer.formula(
        r"x^{(k)} = f\left(A_k\, x^{(k-1)} + b_k\right), \qquad x^{(0)} = x, \qquad y = x^{(L)}",
        "x⁽ᵏ⁾ = f(Aₖ x⁽ᵏ⁻¹⁾ + bₖ),   x⁽⁰⁾ = x,   y = x⁽ᴸ⁾",
    );
    answer.text(
        "Layer $k$ turns the values of the neurons before it into as many values as it has neurons. So $A_k$ has a row for \
         each neuron of layer $k$ and a column for each neuron of the layer before, and $b_k$ has an entry for each neuron \
         of layer $k$.",
    );
    let matrices = network.matrices();
    let mut table = Table::new("Matrices and biases");
    table
        .header([
            "matrix", "shape", "entries", "drawn", "zeros", "sparse", "bias", "shape",
        ])
        .align([
            Align::Left,
            Align::Left,
            Align::Right,
            Align::Right,
            Align::Right,
            Align::Left,
            Align::Left,
            Align::Left,
        ]);
    for (k, facts) in (1..).zip(&matrices) {
        table.row([
            symbol('A', k),
            format!("{} × {}", facts.shape[0], facts.shape[1]),
            count(facts.entries),
            count(facts.edges),
            count(facts.zeros),
            (if facts.sparse { "yes" } else { "no" }).to_string(),
            symbol('b', k),
            facts.bias_len.to_string(),
        ]);
    }
    let totals = network.totals();
    table.row([
        "together".to_string(),
        String::new(),
        count(totals.entries),
        count(totals.edges),
        count(totals.zeros),
        String::new(),
        String::new(),
        count(totals.biases),
    ]);
    table.note(format!(
        "Sparse means here, as on the sheet, that a matrix has several zeros: at least {SEVERAL}."
    ));
    answer.table(table);

    let mut pattern = MatrixPattern::new("Zero patterns");
    for (facts, mask) in matrices.iter().zip(network.masks()) {
        let rows = (0..mask.rows()).map(|row| (0..mask.columns()).map(move |column| mask.is_drawn(row, column)));
        pattern.matrix(&facts.name, rows);
    }
    answer.figure(pattern.figure("The zero patterns: a filled square is a weight, an empty one a zero."));

    let named = |sparse: bool| {
        let names = (1..).zip(&matrices).filter(move |(_, facts)| facts.sparse == sparse);
        listing(names.map(|(k, _)| symbol('A', k)))
    };
    answer.result(format!("Sparse: {}. Not sparse: {}.", named(true), named(false)));
    let liveness = network.liveness();
    answer.text(format!(
        "{} {}",
        match liveness.dead().len() {
            0 => "No neuron is useless: every one is reached by an input and reaches an output.".to_string(),
            dead => format!("{dead} neurons carry nothing from $x$ to $y$."),
        },
        match liveness.components.len() {
            1 => "The drawing is in one piece.".to_string(),
            pieces => format!("The drawing is in {pieces} pieces that have nothing to do with each other."),
        },
    ));
    answer
        .number("matrices", json!(matrices))
        .number("totals", json!(totals))
        .number("liveness", json!(liveness));
}

fn formula(answer: &mut Answer, network: &Network) -> Result<()> {
    answer.heading("The formula");
    let expansion = network.expansion();
    answer.text(format!(
        "First as the network computes it, then multiplied out. {}",
        escape(&expansion.reason)
    ));
    let (latex, unicode) = (&expansion.latex, &expansion.unicode);
    if let (Some(latex_sum), Some(unicode_sum)) = (&latex.expanded, &unicode.expanded) {
        answer.formula(
            format!(
                r"\begin{{aligned}} y &= {} \\ &= {latex_sum} \end{{aligned}}",
                latex.nested
            ),
            format!("y = {}\n  = {unicode_sum}", unicode.nested),
        );
        if let (Some((a_latex, b_latex)), Some((a, b))) =
            (latex_sum.split_once(" x + "), unicode_sum.split_once(" x + "))
        {
            answer.text("So the whole network is one affine map:");
            answer.formula(
                format!(r"y = A x + b, \qquad A = {a_latex}, \qquad b = {b_latex}"),
                format!("y = A x + b,   A = {a},   b = {b}"),
            );
        }
    }
    let pattern = network.product_pattern();
    answer.text(format!(
        "$A$ is {} × {}. Its rank is at most {}, the fewest neurons of a layer, however many layers there are. Of its {} \
         entries {} are zeros that follow from the drawing.",
        pattern.rows(),
        pattern.columns(),
        network.rank_bound(),
        pattern.rows() * pattern.columns(),
        pattern.zeros(),
    ));

    answer.subheading("The same for single numbers");
    let counts = network.path_counts()?;
    let mut table = Table::new("Terms of each output");
    table.header([
        "output",
        "paths from inputs",
        "paths from biases",
        "terms",
        "multiplications",
    ]);
    for of_output in &counts {
        let terms = of_output.monomials()?;
        table.row([
            symbol('y', of_output.output),
            whole(of_output.input_paths()),
            whole(terms - of_output.input_paths()),
            whole(terms),
            whole(of_output.multiplications()?),
        ]);
    }
    answer.text(
        "Written with the entries of the matrices, each output is a sum with one term for each path through the drawing \
         that ends in it: the product of the weights on the path, times the input or the bias where the path begins.",
    );
    let first = network.scalar_formula(1, SHOWN)?;
    // One term a line: the terms are long, and the eye compares them best below each other.
    answer.formula(
        format!(
            r"\begin{{aligned}} {} \end{{aligned}}",
            first.latex.replacen("= ", "&= ", 1).replace(" + ", r" \\ &+ ")
        ),
        first.unicode.replace(" + ", "\n   + "),
    );
    answer.table(table);
    answer.number(
        "expansion",
        json!({
            "nested": unicode.nested,
            "expanded": unicode.expanded,
            "terms": expansion.terms,
            "paths": counts.iter().map(|of_output| of_output.starts.iter().map(|&n| whole(n)).collect()).collect::<Vec<Vec<_>>>(),
        }),
    );
    answer.number("rank_bound", network.rank_bound());
    answer.number("zeros_of_the_product", pattern.zeros());
    Ok(())
}

/// What remains of the formula when layers apply a function.
fn activations(answer: &mut Answer, network: &Network) -> Result<()> {
    answer.heading("With a function in the layers");
    let everywhere = network.clone().with_activation(Activation::named("relu")?);
    let mut functions = vec![Activation::Identity; network.depth()];
    if let Some(middle) = functions.get_mut((network.depth() - 1) / 2) {
        *middle = Activation::named("tanh")?;
    }
    let somewhere = network.clone().with_activations(functions)?;
    for (intro, changed) in [
        ("A function in every layer.", everywhere),
        ("A function in one layer only.", somewhere),
    ] {
        let expansion = changed.expansion();
        answer.text(format!("*{intro}* {}", escape(&expansion.reason)));
        let (latex, unicode) = (&expansion.latex, &expansion.unicode);
        answer.formula(
            format!("y = {}", latex.expanded.as_ref().unwrap_or(&latex.nested)),
            format!("y = {}", unicode.expanded.as_ref().unwrap_or(&unicode.nested)),
        );
    }
    Ok(())
}

/// The collapsed map with numbers, and y computed in every way.
fn collapsed(answer: &mut Answer, network: &Network) -> Result<()> {
    answer.heading("With numbers");
    let weighted = network
        .example_weights()?
        .map(|&weight| Rational::from(weight as i64))?;
    let x: Vec<Rational> = network
        .example_input()
        .iter()
        .map(|&x| Rational::from(x as i64))
        .collect();
    answer.text(
        "Small whole numbers on the lines make the formula concrete, and fractions of whole numbers compute it without \
         rounding.",
    );
    let mut blocks = Vec::new();
    for (k, (matrix, bias)) in (1..).zip(weighted.weights().iter().zip(weighted.biases())) {
        blocks.push(Block::formula(
            format!(
                r"A_{{{k}}} = {}, \qquad b_{{{k}}} = {}",
                latex(matrix),
                latex(&column(bias))
            ),
            beside(&[
                &labelled(&format!("A{} = ", subscript(k)), matrix),
                &labelled(&format!("   b{} = ", subscript(k)), &column(bias)),
            ]),
        ));
    }
    answer.details("The example weights", blocks);
    let map = weighted.collapse()?;
    let rank = map.rank()?;
    answer.text("Collapsed to one affine map $y = A x + b$:");
    answer.formula(
        format!(r"A = {}, \qquad b = {}", latex(&map.matrix), latex(&column(&map.bias))),
        beside(&[&labelled("A = ", &map.matrix), &labelled("   b = ", &column(&map.bias))]),
    );
    answer.text(format!(
        "The rank of this $A$, found by exact elimination, is {rank}; the bound from the layers was {}. \
         The input of the example is $x$ = {}.",
        network.rank_bound(),
        tuple(&x)
    ));

    conditioning(answer, network)?;

    let expected = weighted.evaluate(Way::LayersDense, &x)?;
    let (tenths, tenths_x) = tenths(network)?;
    let mut table = Table::new("The same y in every way");
    table
        .header(["way", "y exactly", "same", "y₁ of tenths in float64"])
        .align([Align::Left, Align::Left, Align::Left, Align::Left]);
    let (mut same, mut rounded) = (0, Vec::new());
    for way in Way::ALL {
        let exact = weighted.evaluate(way, &x)?;
        let agrees = exact == expected;
        same += usize::from(agrees);
        let float = *tenths
            .evaluate(way, &tenths_x)?
            .first()
            .context("the network has no output")?;
        table.row([
            way.name().to_string(),
            tuple(&exact),
            (if agrees { "yes" } else { "no" }).to_string(),
            format!("{float:?}").replace('-', "−"),
        ]);
        rounded.push(float);
    }
    let low = rounded.iter().copied().fold(f64::INFINITY, f64::min);
    let high = rounded.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut values = rounded.clone();
    values.sort_by(f64::total_cmp);
    values.dedup();
    table.note("«tenths»: every number of the example divided by 10; no binary number can hold 0.1 exactly.");
    answer.table(table);
    answer.result(format!(
        "{same} of {} ways give exactly the same $y$. In floating point they give {} different value{} of $y_1$, at most {} \
         apart: the order of the operations decides how they are rounded.",
        Way::ALL.len(),
        values.len(),
        plural(values.len()),
        match high - low {
            0.0 => "0".to_string(),
            apart => scientific(apart, 1),
        },
    ));
    answer.number(
        "example",
        json!({
            "matrix": map.matrix.iter().map(|row| texts(row)).collect::<Vec<_>>(),
            "bias": texts(&map.bias),
            "rank": rank,
            "x": texts(&x),
            "y": texts(&expected),
            "ways_that_agree": same,
            "y1_in_float64": rounded,
        }),
    );
    Ok(())
}

/// How much rounding errors can grow in the layers and in their product.
fn conditioning(answer: &mut Answer, network: &Network) -> Result<()> {
    let found = network
        .example_weights()?
        .map(|&weight| weight as f64)?
        .conditioning()?;
    let mut table = Table::new("Conditioning");
    table
        .header(["matrix", "rank", "largest singular value", "condition number"])
        .align([Align::Left, Align::Right, Align::Right, Align::Right]);
    let layers = (1..).zip(&found.layers).map(|(k, layer)| (symbol('A', k), layer));
    for (name, of) in layers.chain([("$A$".to_string(), &found.product)]) {
        table.row([
            name,
            of.rank.to_string(),
            format!("{:.3}", of.norm),
            format!("{:.3}", of.condition),
        ]);
    }
    table.note("The condition number is the largest singular value divided by the smallest one that is not zero.");
    answer.table(table);
    answer.text(format!(
        "The norms of the layers multiply to {:.1}, that of their product is {:.1}: between the layers values can be up to \
         {:.1} times larger than the result lets one think, and rounding errors with them.",
        found.norm_bound, found.product.norm, found.cancellation
    ));
    answer.number("conditioning", json!(found));
    Ok(())
}

/// The example with every number divided by 10, in `f64`: 0.1 has no exact binary form, so that rounding shows.
fn tenths(network: &Network) -> Result<(Weighted<f64>, Vec<f64>)> {
    let tenth = |&number: &i128| number as f64 / 10.0;
    let x = network.example_input().iter().map(tenth).collect();
    Ok((network.example_weights()?.map(tenth)?, x))
}

fn verdict(answer: &mut Answer, network: &Network) -> Result<()> {
    answer.heading("Is the formula a good way to compute y?");
    let verdict = network.verdict()?;
    answer.result(escape(&verdict.headline));
    answer.list(verdict.reasons.iter().map(|reason| match reason.split_once(": ") {
        Some((topic, rest)) => format!("**{}**: {}", escape(topic), escape(rest)),
        None => escape(reason),
    }));
    answer.number("good_way", verdict.good_way);
    let matrices = network.matrices();
    let sparse = (1..).zip(&matrices).filter(|(_, facts)| facts.sparse);
    let table = network.cost_table(1)?;
    let takes = |way: Way| {
        table
            .row(way)
            .map_or_else(String::new, |row| whole(row.total.multiplications))
    };
    answer.headline(format!(
        "Sparse: {}; the expanded formula takes {} multiplications, layer by layer {}",
        listing(sparse.map(|(k, _)| symbol('A', k))),
        takes(Way::ExpandedProducts),
        takes(Way::LayersDense)
    ));
    Ok(())
}
