//! (a) to (d) on the board: every line with its rule.

use anyhow::Result;
use backprop::Matrix;
use backprop::by_hand::Network;
use backprop::symbol::exercise::{Derivation, Derivations, Letters};
use backprop::symbol::{Expr, Index, Step, Values};
use report::format::{count, number, significant};
use report::{Align, Answer, Block, Table};
use serde_json::json;

use super::sample::{DECIMALS, Example, numbers};

/// Columns of a terminal that a line of a derivation may have, its rule included.
const LINE: usize = 94;

pub(super) fn show(answer: &mut Answer, derived: &Derivations, example: &Example) -> Result<()> {
    let steps: Vec<&Step> = derived.all().into_iter().flat_map(|part| &part.steps).collect();
    answer.heading("The derivations");
    answer.text(format!(
        "Nothing below was written down beforehand: the program knows the four definitions above and the rules of calculus \
         and algebra, and applies one rule after the other until none is left that simplifies. The {} lines have their \
         rule beside them; what each rule says is listed at the end. Below each result stand the numbers of one sample, \
         which the next part shows as a whole.",
        count(steps.len())
    ));
    let board = Board::new(example)?;
    let right = example.y.iter().position(|&y| y == 1.0).unwrap_or(0);
    let letters = Letters::default();
    let (i, k) = (letters.classes.index("i"), letters.classes.index("k"));
    let (hidden, j) = (letters.hidden.index("i"), letters.hidden.index("j"));
    let input = letters.inputs.index("j");
    chain(answer, &derived.a);
    board.put_in(answer, &derived.a, &[(&i, right)])?;
    chain(answer, &derived.softmax);
    board.put_in(answer, &derived.softmax, &[(&i, right), (&k, right)])?;
    chain(answer, &derived.b);
    board.put_in(answer, &derived.b, &[(&i, right)])?;
    chain(answer, &derived.b_normalised);
    together(answer, derived)?;
    chain(answer, &derived.c);
    board.put_in(answer, &derived.c, &[(&k, right), (&i, right), (&j, 0)])?;
    chain(answer, &derived.b_weights);
    board.put_in(answer, &derived.b_weights, &[(&i, right), (&j, 0)])?;
    chain(answer, &derived.d);
    factors(answer, "The factors of the chain rule for (d)", &derived.d);
    answer.text(
        "Each layer passes one thing backwards, its *error*, and adds one factor of its own. Where a neuron is saturated \
         ($v_i$ near $\\pm 1$) the slope $1 - v_i^2$ is almost 0 and its weights stop learning; where an input $x_j$ is 0, \
         the weights that read it do not move at all.",
    );
    board.put_in(answer, &derived.d, &[(&hidden, 0), (&input, 0)])?;
    chain(answer, &derived.two_classes);
    answer.text(
        "So for two classes the loss is *half the binary cross-entropy* of the first class. (Softmax of two logits is the \
         logistic function of their difference: $p_1 = 1 / (1 + e^{z_2 - z_1})$.)",
    );
    chain(answer, &derived.any_classes);
    rules(answer, &steps);
    let found = derived
        .all()
        .map(|part| json!({"title": part.title, "asked": part.start, "found": part.result, "steps": part.steps.len()}));
    answer.number("derivations", json!(found));
    Ok(())
}

pub(super) fn chain(answer: &mut Answer, part: &Derivation) {
    answer.subheading(&part.title);
    answer.text(&part.question);
    answer.formula(part.to_latex(), lines(part));
}

/// The derivation for a terminal: a line a step, the rules in a column of their own (below the line where that is too long).
pub(super) fn lines(part: &Derivation) -> String {
    let wide = |text: &str| text.chars().count();
    let rule = part.steps.iter().map(|step| wide(step.rule) + 4).max().unwrap_or(0);
    let steps: Vec<(String, &str)> = part
        .steps
        .iter()
        .map(|step| (format!("  = {}", step.after), step.rule))
        .collect();
    let fits = |line: &str| wide(line) + rule <= LINE;
    let column = steps
        .iter()
        .filter(|(line, _)| fits(line))
        .map(|(line, _)| wide(line))
        .max()
        .unwrap_or(LINE - rule.min(LINE));
    let mut text = part.start.to_string();
    for (line, rule) in steps {
        let gap = if fits(&line) {
            " ".repeat(column - wide(&line))
        } else {
            format!("\n{}", " ".repeat(column))
        };
        text += &format!("\n{line}{gap}  [{rule}]");
    }
    text
}

/// The sample whose numbers are put in.
struct Board {
    numbers: Values,
}

impl Board {
    fn new(example: &Example) -> Result<Self> {
        let forward = example.network.forward(&example.x)?;
        Ok(Board {
            numbers: numbers(example, &forward),
        })
    }

    /// The result of a derivation for certain elements (counted from 0), its numbers, and what they give.
    fn put_in(&self, answer: &mut Answer, part: &Derivation, elements: &[(&Index, usize)]) -> Result<()> {
        let (mut values, mut start) = (self.numbers.clone(), part.start.clone());
        for (index, element) in elements {
            values = values.at(index, *element);
            start = start.with_index(index, &index.range().element(u32::try_from(*element + 1)?));
        }
        let written = part.result.with_numbers(&values, DECIMALS)?;
        let value = number(part.result.evaluate(&values)?, DECIMALS);
        answer.formula(
            format!("{} = {} = {}", start.to_latex(), written.latex, value.replace('−', "-")),
            format!("{start} = {} = {value}", written.unicode),
        );
        Ok(())
    }
}

/// Inline LaTeX for the page; in Unicode on the terminal.
pub(super) fn math(expression: &Expr) -> String {
    format!("${}$", expression.to_latex())
}

pub(super) fn factors(answer: &mut Answer, title: &str, part: &Derivation) {
    let mut table = Table::new(title);
    table
        .header(["factor", "asked", "found", "what it says"])
        .align([Align::Left; 4]);
    for factor in &part.factors {
        table.row([
            factor.name.clone(),
            math(&factor.derivative),
            math(&factor.value),
            factor.sentence.clone(),
        ]);
    }
    answer.table(table);
}

/// Softmax and logarithm belong together: the formulas taken literally, and the way the program computes.
fn together(answer: &mut Answer, derived: &Derivations) -> Result<()> {
    answer.subheading("Why the 1/p cancels, and what the ½ does");
    answer.text(format!(
        "Where (b) says *combine powers*, the factor $1/p_k$ of the loss meets the factor $p_k$ of softmax, and both are gone: \
         the error of a logit is simply {}, never larger than ½ for a one-hot target. One must not compute the two factors \
         one after the other, for when $p_i$ underflows to 0 the first is infinite and the second 0. The program therefore \
         computes $\\log p_i = z_i - \\max z - \\log \\sum_k e^{{z_k - \\max z}}$ and never divides by $p$. Class 1 is right and \
         class 2 is ahead by the margin in the first column:",
        math(&derived.b_normalised.result)
    ));
    let mut table = Table::new("The true class falls behind");
    table
        .header([
            "z₂ − z₁",
            "p₁",
            "∂L/∂p₁",
            "∂p₁/∂z₁",
            "their product",
            "∂L/∂z₁ = (p₁ − y₁)/2",
            "L from p",
            "L from log p",
        ])
        .align([Align::Right; 8]);
    let letters = Letters::default();
    let (i, k) = (letters.classes.index("i"), letters.classes.index("k"));
    let y = [1.0, 0.0];
    for margin in [1.0, 10.0, 100.0, 800.0] {
        // tanh(20) is 1 in f64, so that z = (0, margin) exactly.
        let network = Network::new(Matrix::column(&[20.0]), Matrix::column(&[0.0, margin]))?;
        let forward = network.forward(&[1.0])?;
        let gradients = network.gradients(&[1.0], &y)?;
        let values = Values::new()
            .size(&letters.classes, 2)
            .array("p", forward.p.as_slice())
            .array("y", y)
            .at(&i, 0)
            .at(&k, 0);
        let by_p = derived.a.result.evaluate(&values)?;
        let slope = derived.softmax.result.evaluate(&values)?;
        table.row([
            significant(margin, 3),
            significant(forward.p[0], 3),
            significant(by_p, 3),
            significant(slope, 3),
            match by_p * slope {
                product if product.is_nan() => "undefined".to_string(),
                product => significant(product, 3),
            },
            significant(gradients.z[0], 3),
            significant(letters.loss_of_probabilities().evaluate(&values)?, 3),
            significant(network.loss(&[1.0], &y)?, 3),
        ]);
    }
    answer.table(table);
    answer.text(
        "The ½ halves the loss and with it every gradient: a step of gradient descent with the learning rate 0.02 here is \
         the step with 0.01 of the usual cross-entropy. It moves no minimum.",
    );
    Ok(())
}

/// What each rule says, in the order of first use.
fn rules(answer: &mut Answer, steps: &[&Step]) {
    let mut seen: Vec<(&str, &str, usize)> = Vec::new();
    for step in steps {
        match seen.iter_mut().find(|(rule, ..)| *rule == step.rule) {
            Some((.., times)) => *times += 1,
            None => seen.push((step.rule, step.sentence, 1)),
        }
    }
    let mut table = Table::new("");
    table
        .header(["rule", "what it says", "lines"])
        .align([Align::Left, Align::Left, Align::Right]);
    for (rule, sentence, times) in seen {
        table.row([rule.to_string(), sentence.to_string(), times.to_string()]);
    }
    answer.details("What the rules say", [Block::table(table)]);
}
