//! The engine: one rule after the other, everywhere, until none applies.

use super::algebra::{EXPANSION, SIMPLIFICATION};
use super::expr::{Expr, Node};
use super::index::Symbol;
use super::knowledge::Knowledge;
use super::render;
use super::rules::{DIFFERENTIATION, Rule};
use crate::{Error, Result};

/// How far the engine may go before it gives up with an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest number of steps (one step applies one rule wherever it fits).
    pub steps: usize,
    /// The largest number of nodes of any expression on the way.
    pub size: usize,
}

impl Default for Limits {
    /// 1,000 steps and 20,000 nodes; the derivations of the exercise need about 15 steps and 60 nodes.
    fn default() -> Self {
        Limits {
            steps: 1_000,
            size: 20_000,
        }
    }
}

/// One line of a derivation: a rule and the whole expression before and after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The rule's name, such as `"chain rule"`.
    pub rule: &'static str,
    /// What the rule says.
    pub sentence: &'static str,
    /// The expression it was applied to.
    pub before: Expr,
    /// The equal expression that it left.
    pub after: Expr,
}

impl Step {
    /// `before = after` in Unicode.
    pub fn to_unicode(&self) -> String {
        format!("{} = {}", self.before.to_unicode(), self.after.to_unicode())
    }

    /// `before = after` in LaTeX.
    pub fn to_latex(&self) -> String {
        format!("{} = {}", self.before.to_latex(), self.after.to_latex())
    }
}

impl serde::Serialize for Step {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        let mut map = serializer.serialize_struct("Step", 4)?;
        map.serialize_field("rule", self.rule)?;
        map.serialize_field("sentence", self.sentence)?;
        map.serialize_field("before", &self.before)?;
        map.serialize_field("after", &self.after)?;
        map.end()
    }
}

impl serde::Serialize for Expr {
    /// As `{"unicode": …, "latex": …}`.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        let mut map = serializer.serialize_struct("Expr", 2)?;
        map.serialize_field("unicode", &render::unicode(self))?;
        map.serialize_field("latex", &render::latex(self))?;
        map.end()
    }
}

/// Works out every derivative in an expression and simplifies it, keeping each step.
///
/// # Errors
/// [`Error::StepLimit`] and [`Error::SizeLimit`] where the [`Limits`] do not suffice.
pub fn derive(start: &Expr, known: &Knowledge, limits: Limits) -> Result<(Expr, Vec<Step>)> {
    run(start, known, &[DIFFERENTIATION, SIMPLIFICATION], limits)
}

/// The simplified expression.
///
/// Equal input gives equal output, and the result has the same value as the input wherever the input is finite. Two
/// equal expressions need not become the same, for no simplifier can promise that: [`equivalent`] asks harder.
///
/// ```
/// use backprop::symbol::{Expr, Knowledge, Range, Symbol, simplify};
/// let classes = Range::new("classes");
/// let (i, k) = (classes.index("i"), classes.index("k"));
/// let p_i = Expr::from(Symbol::new("p", [i.clone()]));
/// let y_k = Expr::from(Symbol::new("y", [k.clone()]));
/// let e = Expr::sum(&k, y_k * (Expr::delta(&k, &i) - p_i));
/// assert_eq!(e.to_string(), "Σₖ yₖ (δₖᵢ − pᵢ)");
/// assert_eq!(simplify(&e, &Knowledge::new())?.to_string(), "yᵢ − pᵢ Σₖ yₖ");
/// # Ok::<(), backprop::Error>(())
/// ```
///
/// # Errors
/// As [`derive()`].
pub fn simplify(e: &Expr, known: &Knowledge) -> Result<Expr> {
    Ok(run(e, known, &[SIMPLIFICATION], Limits::default())?.0)
}

/// The simplified derivative `∂e/∂variable`.
///
/// # Errors
/// As [`derive()`].
pub fn differentiate(e: &Expr, variable: &Symbol, known: &Knowledge) -> Result<Expr> {
    Ok(derive(&Expr::derivative(e.clone(), variable), known, Limits::default())?.0)
}

/// Multiplied out: a sum of products of powers, every sum over an index split into single products.
///
/// # Errors
/// As [`derive()`]; multiplying out can make an expression much larger.
pub fn expand(e: &Expr, known: &Knowledge) -> Result<Expr> {
    Ok(run(e, known, &[EXPANSION], Limits::default())?.0)
}

/// Whether two expressions are found equal: their difference, multiplied out under the side conditions, is 0.
///
/// `true` is a proof. `false` is none for expressions with functions or denominators (`exp(a + b)` and
/// `exp(a) exp(b)` are not recognised as equal).
///
/// # Errors
/// As [`derive()`].
pub fn equivalent(left: &Expr, right: &Expr, known: &Knowledge) -> Result<bool> {
    Ok(expand(&(left.clone() - right.clone()), known)?.is_zero())
}

fn run(start: &Expr, known: &Knowledge, rules: &[&[Rule]], limits: Limits) -> Result<(Expr, Vec<Step>)> {
    let mut current = start.clone();
    let mut steps: Vec<Step> = Vec::new();
    'again: loop {
        let size = current.size();
        if size > limits.size {
            return Err(Error::SizeLimit {
                size,
                limit: limits.size,
            });
        }
        for rule in rules.iter().copied().flatten() {
            let after = rewrite(&current, rule, known, 0);
            if after != current {
                if steps.len() == limits.steps {
                    return Err(Error::StepLimit {
                        limit: limits.steps,
                        rule: rule.name,
                    });
                }
                steps.push(Step {
                    rule: rule.name,
                    sentence: rule.sentence,
                    before: std::mem::replace(&mut current, after.clone()),
                    after,
                });
                continue 'again;
            }
        }
        return Ok((current, steps));
    }
}

/// Applies a rule to every node, children first. What stands under a derivative is left for the rules of derivatives.
fn rewrite(e: &Expr, rule: &Rule, known: &Knowledge, depth: u32) -> Expr {
    let e = match e.node() {
        Node::Derivative { .. } => e.clone(),
        Node::Sum { .. } => match e.open(depth) {
            Some((index, body)) => Expr::sum(&index, rewrite(&body, rule, known, depth + 1)),
            None => e.clone(),
        },
        _ => e.map_children(&mut |child| rewrite(child, rule, known, depth)),
    };
    (rule.apply)(&e, known, depth).unwrap_or(e)
}
