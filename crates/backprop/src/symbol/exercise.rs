//! Exercise 6 posed as definitions, and answered by [`derive()`].
//!
//! Nothing here contains a result: the functions write down what is *given* and ask for a derivative.

use serde::Serialize;

use super::expr::Expr;
use super::index::{Index, Range, Symbol};
use super::knowledge::Knowledge;
use super::render::{is_long, mathml_chain};
use super::second_form::{any_classes, two_classes};
use super::simplify::{Limits, Step, derive, differentiate};
use crate::Result;

/// A worked answer: the question, every step, the result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Derivation {
    /// A short title, such as `"(a) the loss by a probability"`.
    pub title: String,
    /// The question in words.
    pub question: String,
    /// The steps from the question's derivative to the result.
    pub steps: Vec<Step>,
    /// The named factors of the chain rule, if the answer is one.
    pub factors: Vec<Factor>,
    /// What was asked for: the first line of the derivation.
    pub start: Expr,
    /// The last line.
    pub result: Expr,
}

/// One factor of a chain of derivatives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Factor {
    /// Its name, such as `"error of a logit"`.
    pub name: String,
    /// What it says.
    pub sentence: String,
    /// The derivative, as asked.
    pub derivative: Expr,
    /// The derivative, worked out.
    pub value: Expr,
}

impl Derivation {
    /// The whole derivation as text, one `= …` a line with the rule beside it.
    pub fn to_unicode(&self) -> String {
        let mut text = format!("{}\n{}\n\n  {}\n", self.title, self.question, self.start);
        for step in &self.steps {
            text += &format!("  = {}    [{}]\n", step.after, step.rule);
        }
        for factor in &self.factors {
            text += &format!(
                "  {}: {} = {}. {}\n",
                factor.name, factor.derivative, factor.value, factor.sentence
            );
        }
        text
    }

    /// The chain of equations as a `<math>` element for a page, with the rules beside the lines.
    pub fn to_mathml(&self) -> String {
        let lines: Vec<(&Expr, &str)> = self.steps.iter().map(|step| (&step.after, step.rule)).collect();
        mathml_chain(&self.start, &lines)
    }

    /// The chain of equations as one LaTeX `aligned` block, with the rules in small letters beside it.
    pub fn to_latex(&self) -> String {
        let line = |step: &Step| {
            format!(
                " &= {} && {{\\scriptstyle {}}}",
                step.after.to_latex(),
                latex_words(step.rule)
            )
        };
        let lines: Vec<String> = self.steps.iter().map(line).collect();
        // A long first line stands above the others; beside them it would push them off the page.
        let start = if is_long(&self.start) {
            format!("& {} \\\\\n", self.start.to_latex())
        } else {
            self.start.to_latex()
        };
        format!("\\begin{{aligned}}\n{start}{}\n\\end{{aligned}}", lines.join(" \\\\\n"))
    }
}

/// A rule's name in LaTeX's text mode, with δ and Σ in math between the words (`$` within text is not known everywhere).
fn latex_words(words: &str) -> String {
    let words = words.replace('δ', r"}\delta\text{").replace('Σ', r"}\Sigma\text{");
    format!("\\text{{{words}}}").replace(r"\text{}", "")
}

/// The letters of the exercise.
#[derive(Clone, Debug)]
pub struct Letters {
    /// The range of `p`, `z`, `y`.
    pub classes: Range,
    /// The range of `v`.
    pub hidden: Range,
    /// The range of `x`.
    pub inputs: Range,
}

impl Default for Letters {
    fn default() -> Self {
        Letters {
            classes: Range::new("classes"),
            hidden: Range::new("hidden"),
            inputs: Range::new("inputs"),
        }
    }
}

impl Letters {
    /// The loss `L`.
    pub fn loss(&self) -> Symbol {
        Symbol::new("L", [])
    }

    /// The probability `p_i`, with `i` an index over the classes.
    pub fn p(&self, i: &Index) -> Symbol {
        Symbol::new("p", [i.clone()])
    }

    /// The target `y_i`.
    pub fn y(&self, i: &Index) -> Symbol {
        Symbol::new("y", [i.clone()])
    }

    /// The logit `z_i`.
    pub fn z(&self, i: &Index) -> Symbol {
        Symbol::new("z", [i.clone()])
    }

    /// The hidden value `v_i`, with `i` an index over the hidden neurons.
    pub fn v(&self, i: &Index) -> Symbol {
        Symbol::new("v", [i.clone()])
    }

    /// The input `x_j`.
    pub fn x(&self, j: &Index) -> Symbol {
        Symbol::new("x", [j.clone()])
    }

    /// The weight `A_ij` from input `j` to hidden neuron `i`.
    pub fn a(&self, i: &Index, j: &Index) -> Symbol {
        Symbol::new("A", [i.clone(), j.clone()])
    }

    /// The weight `B_ij` from hidden neuron `j` to class `i`.
    pub fn b(&self, i: &Index, j: &Index) -> Symbol {
        Symbol::new("B", [i.clone(), j.clone()])
    }

    /// What the exercise gives: `L = −½ Σ y log p`, `p = softmax(z)`, `z = B v`, `v = tanh(A x)`.
    pub fn definitions(&self) -> Knowledge {
        let (i, k) = (self.classes.index("i"), self.classes.index("k"));
        let (h, m, j) = (self.hidden.index("h"), self.hidden.index("m"), self.inputs.index("j"));
        let exp = |index: &Index| Expr::from(self.z(index)).exp();
        let b_v = Expr::from(self.b(&i, &m)) * self.v(&m).into();
        let a_x = Expr::from(self.a(&h, &j)) * self.x(&j).into();
        Knowledge::new()
            .define(&self.loss(), self.loss_of_probabilities())
            .define(&self.p(&i), exp(&i) / Expr::sum(&k, exp(&k)))
            .define(&self.z(&i), Expr::sum(&m, b_v))
            .define(&self.v(&h), Expr::sum(&j, a_x).tanh())
    }

    /// `−½ Σ_i y_i log p_i`.
    pub fn loss_of_probabilities(&self) -> Expr {
        let i = self.classes.index("i");
        let terms = Expr::from(self.y(&i)) * Expr::from(self.p(&i)).log();
        -(Expr::sum(&i, terms) / Expr::integer(2))
    }

    /// `Σ_k y_k`, which is 1 for a one-hot target.
    pub fn sum_of_targets(&self) -> Expr {
        let k = self.classes.index("k");
        Expr::sum(&k, self.y(&k).into())
    }
}

pub(crate) fn answer(title: &str, question: &str, start: Expr, known: &Knowledge) -> Result<Derivation> {
    let (result, steps) = derive(&start, known, Limits::default())?;
    Ok(Derivation {
        title: title.into(),
        question: question.into(),
        steps,
        factors: Vec::new(),
        start,
        result,
    })
}

pub(crate) fn factor(name: &str, sentence: &str, of: &Symbol, by: &Symbol, known: &Knowledge) -> Result<Factor> {
    let of = Expr::from(of.clone());
    let value = differentiate(&of, by, known)?;
    Ok(Factor {
        name: name.into(),
        sentence: sentence.into(),
        derivative: Expr::derivative(of, by),
        value,
    })
}

/// The answers of exercise 6 in the order in which they build on each other.
///
/// ```
/// let exercise = backprop::symbol::exercise::derivations()?;
/// assert_eq!(exercise.a.result.to_string(), "−yᵢ / (2 pᵢ)");
/// assert_eq!(exercise.softmax.result.to_string(), "pₖ (δₖᵢ − pᵢ)");
/// assert_eq!(exercise.b.result.to_string(), "(pᵢ Σₖ yₖ − yᵢ) / 2");
/// assert_eq!(exercise.b_normalised.result.to_string(), "(pᵢ − yᵢ) / 2");
/// assert_eq!(exercise.c.result.to_string(), "vⱼ δₖᵢ");
/// assert_eq!(exercise.d.result.to_string(), "½ xⱼ (1 − vᵢ²) Σₖ Bₖᵢ (pₖ − yₖ)");
/// # Ok::<(), backprop::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Derivations {
    /// (a) `∂L/∂p_i`.
    pub a: Derivation,
    /// The derivative of softmax, which (b) needs: `∂p_k/∂z_i`.
    pub softmax: Derivation,
    /// (b) `∂L/∂z_i` for any targets.
    pub b: Derivation,
    /// (b) for targets that add up to 1.
    pub b_normalised: Derivation,
    /// (c) `∂z_k/∂B_ij`.
    pub c: Derivation,
    /// The consequence of (b) and (c) that training needs: `∂L/∂B_ij`.
    pub b_weights: Derivation,
    /// (d) `∂L/∂A_ij` and the factors of its chain.
    pub d: Derivation,
    /// The two ways to write the loss of two classes.
    pub two_classes: Derivation,
    /// The same for any number of classes, one of which is what the others leave.
    pub any_classes: Derivation,
}

impl Derivations {
    /// All of them, in order.
    pub fn all(&self) -> [&Derivation; 9] {
        [
            &self.a,
            &self.softmax,
            &self.b,
            &self.b_normalised,
            &self.c,
            &self.b_weights,
            &self.d,
            &self.two_classes,
            &self.any_classes,
        ]
    }
}

/// Derives the answers to (a)-(d) from the definitions.
///
/// # Errors
/// As [`derive()`]; the limits are far from reached.
pub fn derivations() -> Result<Derivations> {
    let s = Letters::default();
    let given = s.definitions();
    let (i, k) = (s.classes.index("i"), s.classes.index("k"));
    let loss = s.loss();
    let by = |of: &Symbol, variable: &Symbol| Expr::derivative(of.clone().into(), variable);

    let a = answer(
        "(a) the loss by a probability",
        "How does the loss change with one predicted probability, the others held fixed?",
        by(&loss, &s.p(&i)),
        &given,
    )?;
    let softmax = answer(
        "On the way to (b): softmax by a logit",
        "How does one probability change with one logit? Every probability depends on every logit through the common denominator.",
        by(&s.p(&k), &s.z(&i)),
        &given,
    )?;
    let given = given
        .derived(&loss, &s.p(&i), a.result.clone())
        .derived(&s.p(&k), &s.z(&i), softmax.result.clone());
    let b = answer(
        "(b) the loss by a logit",
        "How does the loss change with one logit, through all probabilities at once?",
        by(&loss, &s.z(&i)),
        &given,
    )?;
    let given = given.condition(s.sum_of_targets(), Expr::integer(1));
    let b_normalised = answer(
        "(b) for targets that add up to 1",
        "What is left of (b) for a one-hot target, or any other that adds up to 1?",
        b.result.clone(),
        &given,
    )?;
    // Later parts start from the error of a logit.
    let given = given.derived(&loss, &s.z(&i), b_normalised.result.clone());
    let j = s.hidden.index("j");
    let c = answer(
        "(c) a logit by a weight of the output layer",
        "How does a logit change with one weight of B?",
        by(&s.z(&k), &s.b(&i, &j)),
        &given,
    )?;
    let b_weights = answer(
        "From (b) and (c): the loss by a weight of the output layer",
        "What do (b) and (c) say together: how does the loss change with one weight of B?",
        by(&loss, &s.b(&i, &j)),
        &given,
    )?;
    let d = hidden_weights(&s, &given)?;
    let (two_classes, any_classes) = (two_classes(&s)?, any_classes(&s)?);
    Ok(Derivations {
        a,
        softmax,
        b,
        b_normalised,
        c,
        b_weights,
        d,
        two_classes,
        any_classes,
    })
}

/// (d): the chain of `∂L/∂A_ij`, factor by factor and as a whole.
fn hidden_weights(s: &Letters, known: &Knowledge) -> Result<Derivation> {
    let (h, l, k) = (s.hidden.index("i"), s.hidden.index("l"), s.classes.index("k"));
    let (j, loss) = (s.inputs.index("j"), s.loss());
    let mut d = answer(
        "(d) the loss by a weight of the hidden layer",
        "Which factors make up the derivative of the loss by one weight of A, and what do they give together?",
        Expr::derivative(loss.clone().into(), &s.a(&h, &j)),
        known,
    )?;
    d.factors = vec![
        factor(
            "error of a logit",
            "How wrong class k is: the result of (b).",
            &loss,
            &s.z(&k),
            known,
        )?,
        factor(
            "weight on the way back",
            "How strongly hidden neuron l speaks to class k.",
            &s.z(&k),
            &s.v(&l),
            known,
        )?,
        factor(
            "slope of tanh times the input",
            "How far neuron l can still move, times what came in at j; only neuron i is reached by this weight.",
            &s.v(&l),
            &s.a(&h, &j),
            known,
        )?,
        factor(
            "error of a hidden neuron",
            "The first two factors, added over the classes: what a deeper layer would be told.",
            &loss,
            &s.v(&h),
            known,
        )?,
    ];
    Ok(d)
}

/// The pass backwards as a program makes it: each derivative from the one that was computed before it, which stays as a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PassBack {
    /// `∂L/∂p_i`.
    pub p: Derivation,
    /// `∂L/∂z_i`, worked out through all `∂L/∂p_k`, so that the `p` in the denominator cancels.
    pub z: Derivation,
    /// `∂L/∂B_ij` from `∂L/∂z`.
    pub b: Derivation,
    /// `∂L/∂v_i` from `∂L/∂z`.
    pub v: Derivation,
    /// `∂L/∂A_ij` from `∂L/∂v`.
    pub a: Derivation,
    /// `∂L/∂x_j` from `∂L/∂v`: what a layer before this network would be told.
    pub x: Derivation,
}

/// Derives the pass backwards.
///
/// ```
/// let back = backprop::symbol::exercise::pass_back()?;
/// assert_eq!(back.b.result.to_string(), "vⱼ ∂L/∂zᵢ");
/// assert_eq!(back.v.result.to_string(), "Σₖ Bₖᵢ ∂L/∂zₖ");
/// assert_eq!(back.a.result.to_string(), "xⱼ (1 − vᵢ²) ∂L/∂vᵢ");
/// # Ok::<(), backprop::Error>(())
/// ```
///
/// # Errors
/// As [`derive()`].
pub fn pass_back() -> Result<PassBack> {
    let s = Letters::default();
    let given = s.definitions();
    let loss = s.loss();
    let (i, h, j) = (s.classes.index("i"), s.hidden.index("i"), s.inputs.index("j"));
    let from_z = given.clone().keep(&loss, &s.z(&i));
    let from_v = given.clone().keep(&loss, &s.v(&h));
    let one = |title: &str, question: &str, by: &Symbol, known: &Knowledge| {
        answer(title, question, Expr::derivative(loss.clone().into(), by), known)
    };
    let p = one("∂L/∂p", "What does the loss say to a probability?", &s.p(&i), &given)?;
    let through_p = given.derived(&loss, &s.p(&i), p.result.clone());
    let column = s.hidden.index("j");
    Ok(PassBack {
        z: one(
            "∂L/∂z",
            "What is a logit told, through all probabilities?",
            &s.z(&i),
            &through_p,
        )?,
        p,
        b: one(
            "∂L/∂B",
            "What is a weight of the output layer told?",
            &s.b(&i, &column),
            &from_z,
        )?,
        v: one("∂L/∂v", "What is a hidden neuron told?", &s.v(&h), &from_z)?,
        a: one(
            "∂L/∂A",
            "What is a weight of the hidden layer told?",
            &s.a(&h, &j),
            &from_v,
        )?,
        x: one(
            "∂L/∂x",
            "What would a layer before this network be told?",
            &s.x(&j),
            &from_v,
        )?,
    })
}
