//! One sample all through the network and back, small enough to be followed with a calculator.

use anyhow::Result;
use backprop::Matrix;
use backprop::by_hand::{Forward, Gradients, Network, gradient_by_probabilities};
use backprop::graph_svg::graph_svg;
use backprop::interactive::interactive;
use backprop::symbol::Values;
use backprop::symbol::exercise::{Derivations, Letters};
use kernels::random::{Draws, Stream};
use report::format::{number, scientific};
use report::{Align, Answer, Figure, Interactive, Table};
use serde_json::json;

use super::derivation::math;

const INPUTS: usize = 3;
const HIDDEN: usize = 2;
const CLASSES: usize = 3;
/// Decimals that are shown of computed numbers.
pub(super) const DECIMALS: usize = 4;

/// A network, an input and a target.
pub(super) struct Example {
    pub(super) network: Network,
    pub(super) x: Vec<f64>,
    pub(super) y: Vec<f64>,
}

impl Example {
    /// Numbers with one decimal, so that they can be typed into a calculator.
    pub(super) fn draw(seed: u64) -> Result<Self> {
        let mut draws = Stream::new(seed).op("one sample").draws();
        let a = Matrix::new(HIDDEN, INPUTS, decimals(&mut draws, HIDDEN * INPUTS))?;
        let b = Matrix::new(CLASSES, HIDDEN, decimals(&mut draws, CLASSES * HIDDEN))?;
        let x = decimals(&mut draws, INPUTS);
        let mut y = vec![0.0; CLASSES];
        y[draws.below(CLASSES)] = 1.0;
        Ok(Example {
            network: Network::new(a, b)?,
            x,
            y,
        })
    }
}

/// Numbers of −1, −0.9, …, 1 without 0, at which there would be little to see.
fn decimals(draws: &mut Draws, count: usize) -> Vec<f64> {
    (0..count)
        .map(|_| {
            let tenths = (1 + draws.below(10)) as f64;
            (if draws.bernoulli(0.5) { tenths } else { -tenths }) / 10.0
        })
        .collect()
}

pub(super) fn show(answer: &mut Answer, example: &Example, derived: &Derivations) -> Result<()> {
    let Example { network, x, y } = example;
    let forward = network.forward(x)?;
    let back = network.gradients(x, y)?;
    answer.heading("The numbers of one sample");
    answer.text(format!(
        "A network of {INPUTS} inputs, {HIDDEN} hidden neurons and {CLASSES} classes, drawn with one decimal so that every \
         line can be followed with a calculator."
    ));
    matrix(answer, "A", network.a(), 1);
    matrix(answer, "B", network.b(), 1);
    values(answer, example, &forward, &back)?;
    matrix(answer, r"\frac{\partial L}{\partial B}", &back.b, DECIMALS);
    matrix(answer, r"\frac{\partial L}{\partial A}", &back.a, DECIMALS);
    answer.figure(Figure {
        title: "The graph of the computation".to_string(),
        svg: graph_svg(network, x, y)?,
        caption:
            "The same numbers on the graph of the computation: values go forward (above the arrows), gradients come \
                  back (below)."
                .to_string(),
        ..Figure::default()
    });
    one_weight(answer, example, &forward, &back, derived)?;
    touch(answer, example)?;
    answer.number(
        "sample",
        json!({"x": x, "y": y, "network": network, "forward": forward, "gradients": back}),
    );
    Ok(())
}

/// The same sample under the reader's hands.
fn touch(answer: &mut Answer, example: &Example) -> Result<()> {
    let figure = interactive(&example.network, &example.x, &example.y)?;
    answer.subheading("The same network to touch");
    answer.interactive(Interactive {
        markup: figure.markup,
        style: figure.style.to_string(),
        script: figure.script.to_string(),
        caption: "Move a slider, and every value (blue) and every gradient (orange) follows; large gradients are bold. The buttons lead through the \
                  pass backwards: each line is derived above, stands as a line in the program, and has the numbers of one entry beside it. \
                  Things to try: a large $A$ saturates the hidden neurons, and $\\partial L / \\partial A$ vanishes; a target that does not add \
                  up to 1 changes $\\partial L / \\partial z$; an input of 0 stops the weights that read it."
            .to_string(),
    });
    Ok(())
}

fn values(answer: &mut Answer, example: &Example, forward: &Forward, back: &Gradients) -> Result<()> {
    let Example { network, x, y } = example;
    let u = network.a().matmul(&Matrix::column(x))?;
    let mut table = Table::new("Forward, from the input to the loss");
    table
        .header(["quantity", "formula", "value"])
        .align([Align::Left; 3])
        .row(["input", "$x$", &vector(x, 1)])
        .row(["sum of the hidden neurons", "$A x$", &vector(u.data(), DECIMALS)])
        .row(["hidden values", r"$v = \tanh(A x)$", &vector(&forward.v, DECIMALS)])
        .row(["logits", "$z = B v$", &vector(&forward.z, DECIMALS)])
        .row([
            "probabilities",
            r"$p = \mathrm{softmax}(z)$",
            &vector(&forward.p, DECIMALS),
        ])
        .row(["target", "$y$", &vector(y, 0)])
        .row([
            "loss",
            r"$L = -\frac{1}{2} \sum_i y_i \log p_i$",
            &number(back.loss, DECIMALS),
        ]);
    answer.table(table);
    let by_p = gradient_by_probabilities(&forward.p, y)?;
    let slope: Vec<f64> = forward.v.iter().map(|v| 1.0 - v * v).collect();
    let mut table = Table::new("Backward, from the loss to the weights");
    table
        .header(["gradient", "formula", "value"])
        .align([Align::Left; 3])
        .row([
            r"(a) $\partial L / \partial p$",
            "$-y_i / (2 p_i)$",
            &vector(&by_p, DECIMALS),
        ])
        .row([
            r"(b) $\partial L / \partial z$",
            "$(p_i - y_i) / 2$",
            &vector(&back.z, DECIMALS),
        ])
        .row([
            r"$\partial L / \partial v$",
            r"$\sum_k B_{ki} \, \partial L / \partial z_k$",
            &vector(&back.v, DECIMALS),
        ])
        .row(["slope of tanh", "$1 - v_i^2$", &vector(&slope, DECIMALS)])
        .row([
            r"(c) $\partial L / \partial B$",
            r"$\partial L / \partial z_i \cdot v_j$",
            "the matrix below",
        ])
        .row([
            r"(d) $\partial L / \partial A$",
            r"$\partial L / \partial v_i \cdot (1 - v_i^2) \cdot x_j$",
            "the matrix below",
        ]);
    answer.table(table);
    Ok(())
}

/// `∂L/∂A` of one weight, factor by factor, from the derived expressions with numbers put in.
fn one_weight(
    answer: &mut Answer,
    example: &Example,
    forward: &Forward,
    back: &Gradients,
    derived: &Derivations,
) -> Result<()> {
    let [error, weight, slope, _] = derived.d.factors.as_slice() else {
        anyhow::bail!("the chain rule of (d) has {} factors, not 4", derived.d.factors.len());
    };
    let (i, j) = (0, 0);
    let letters = Letters::default();
    let (l, k) = (letters.hidden.index("l"), letters.classes.index("k"));
    let at = numbers(example, forward)
        .at(&letters.hidden.index("i"), i)
        .at(&letters.inputs.index("j"), j)
        .at(&l, i);
    let mut table = Table::new(format!(
        "(d) for one weight, A{}{}, factor by factor",
        lower(i),
        lower(j)
    ));
    table
        .header([
            "k".to_string(),
            math(&error.derivative) + ", the " + &error.name,
            math(&weight.derivative) + ", the " + &weight.name,
            "product".to_string(),
        ])
        .align([Align::Right; 4]);
    for class in 0..example.y.len() {
        let at = at.clone().at(&k, class);
        let (error, weight) = (error.value.evaluate(&at)?, weight.value.evaluate(&at)?);
        table.row([
            (class + 1).to_string(),
            number(error, DECIMALS),
            number(weight, 1),
            number(error * weight, DECIMALS),
        ]);
    }
    table.row(["sum", "", "", &number(back.v[i], DECIMALS)]);
    let reached = slope.value.evaluate(&at)?;
    let whole = derived.d.result.evaluate(&at)?;
    table.note(format!(
        "The sum times the {} ({}) is {}. The program's network computes {}, a difference of {}.",
        slope.name,
        number(reached, DECIMALS),
        number(whole, DECIMALS),
        number(back.a.at(i, j), DECIMALS),
        scientific((whole - back.a.at(i, j)).abs(), 1)
    ));
    answer.table(table);
    Ok(())
}

/// The numbers behind the letters of the derivations; `l = i` stays with the caller.
pub(super) fn numbers(example: &Example, forward: &Forward) -> Values {
    let letters = Letters::default();
    let network = &example.network;
    Values::new()
        .size(&letters.classes, example.y.len())
        .size(&letters.hidden, forward.v.len())
        .size(&letters.inputs, example.x.len())
        .array("p", forward.p.as_slice())
        .array("y", example.y.as_slice())
        .array("z", forward.z.as_slice())
        .array("v", forward.v.as_slice())
        .array("x", example.x.as_slice())
        .array("A", network.a().data())
        .array("B", network.b().data())
}

/// A matrix as a displayed equation, `name` in LaTeX.
fn matrix(answer: &mut Answer, name: &str, matrix: &Matrix, decimals: usize) {
    let rows: Vec<Vec<String>> = (0..matrix.rows())
        .map(|i| matrix.row(i).iter().map(|&w| number(w, decimals)).collect())
        .collect();
    let latex: Vec<String> = rows.iter().map(|row| row.join(" & ")).collect();
    let widest = rows
        .iter()
        .flatten()
        .map(|cell| cell.chars().count())
        .max()
        .unwrap_or(0);
    let title = format!("{} = ", report::latex::to_unicode(name));
    let blank = " ".repeat(title.chars().count());
    let last = rows.len().saturating_sub(1);
    let unicode: Vec<String> = rows
        .iter()
        .enumerate()
        .map(|(i, row)| {
            let cells: Vec<String> = row.iter().map(|cell| format!("{cell:>widest$}")).collect();
            let (left, right) = match i {
                _ if last == 0 => ('[', ']'),
                0 => ('⎡', '⎤'),
                i if i == last => ('⎣', '⎦'),
                _ => ('⎢', '⎥'),
            };
            let before = if i == last / 2 { &title } else { &blank };
            format!("{before}{left} {} {right}", cells.join("  "))
        })
        .collect();
    answer.formula(
        format!("{name} = \\begin{{pmatrix}} {} \\end{{pmatrix}}", latex.join(r" \\ ")),
        unicode.join("\n"),
    );
}

fn vector(numbers: &[f64], decimals: usize) -> String {
    let cells: Vec<String> = numbers.iter().map(|&x| number(x, decimals)).collect();
    format!("({})", cells.join(", "))
}

fn lower(index: usize) -> String {
    report::latex::to_unicode(&format!("_{{{}}}", index + 1))
}
