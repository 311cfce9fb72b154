//! The engine: one rule after the other, everywhere, until none applies.
//!
//! Why it ends: a rule of differentiation replaces a derivative by derivatives of smaller expressions or of symbols nearer to
//! the variable, of which there are finitely many. A rule of simplification takes something away (a δ with its sum, a factor, a
//! term, a definition written out, nodes altogether), or it is one of four that make an expression longer: brackets are multiplied
//! out, and sums split, only where a δ then takes its sum along, or a denominator its factor. Nothing puts a δ or a sum back, so
//! each of these happens at most as often as there are some. Since one step applies its rule wherever it fits, an expression
//! takes fewer steps than it has nodes (`tests/symbols.rs` tries random ones of 1,000 nodes). What the argument does not bound is the
//! size in between: products of many brackets grow exponentially when they are multiplied out. That is what [`Limits`] are for.

use std::collections::BTreeMap;

use super::algebra::{EXPANSION, SIMPLIFICATION};
use super::expr::{Expr, Node};
use super::index::{Index, Symbol};
use super::knowledge::Knowledge;
use super::rules::{DIFFERENTIATION, Rule};
use crate::{Error, Result};

/// How far the engine may go before it gives up with an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest number of steps (one step applies one rule wherever it fits).
    pub steps: usize,
    /// The largest number of nodes of any expression on the way.
    pub size: usize,
    /// How deep any expression on the way may be nested.
    pub depth: usize,
}

impl Default for Limits {
    /// 1,000 steps, 20,000 nodes, 500 levels; the derivations of the exercise need about 15 steps and 60 nodes, those of a
    /// network of five layers about 100 steps and 250 nodes.
    fn default() -> Self {
        Limits {
            steps: 1_000,
            size: 20_000,
            depth: 500,
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

    /// `before = after` as a `<math>` element.
    pub fn to_mathml(&self) -> String {
        format!(
            r#"<math xmlns="http://www.w3.org/1998/Math/MathML">{}<mo>=</mo>{}</math>"#,
            self.before.mathml_fragment(),
            self.after.mathml_fragment()
        )
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
    /// As `{"unicode": …, "latex": …, "mathml": …}`.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        let mut map = serializer.serialize_struct("Expr", 3)?;
        map.serialize_field("unicode", &self.to_unicode())?;
        map.serialize_field("latex", &self.to_latex())?;
        map.serialize_field("mathml", &self.to_mathml())?;
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
        within(&current, limits)?;
        let mut opened = Opened::new();
        for rule in rules.iter().copied().flatten() {
            // The rule that looks at every node is the one that uses the side conditions.
            if rule.on.is_none() && known.conditions.is_empty() {
                continue;
            }
            if let Some(after) = rewrite(&current, rule, known, 0, &mut opened) {
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

/// Counts nodes only as far as the limit: subexpressions are shared in memory, and what is small there can be endless as a
/// tree. Without recursion, for what is too deep must not end in an exhausted stack.
fn within(e: &Expr, limits: Limits) -> Result<()> {
    let mut open = vec![(e.clone(), 1)];
    let mut size = 0;
    while let Some((e, depth)) = open.pop() {
        size += 1;
        if size > limits.size {
            return Err(Error::SizeLimit { limit: limits.size });
        }
        if depth > limits.depth {
            return Err(Error::DepthLimit { limit: limits.depth });
        }
        e.for_each_child(&mut |child| open.push((child.clone(), depth + 1)));
    }
    Ok(())
}

/// The sums of one line of a derivation with their running indices opened, by place in memory and depth: every rule that is
/// tried on the line looks into the same sums.
type Opened = BTreeMap<(usize, u32), (Index, Expr)>;

/// Applies a rule to every node, children first; `None` where it fits nowhere. What stands under a derivative is left for
/// the rules of derivatives.
fn rewrite(e: &Expr, rule: &Rule, known: &Knowledge, depth: u32, opened: &mut Opened) -> Option<Expr> {
    if !rule.may_fit(e) {
        return None;
    }
    let inside = match e.node() {
        Node::Derivative { of, by } if known.is_kept(of, by) => return None,
        Node::Derivative { .. } => None,
        Node::Sum { .. } => {
            let key = (e.place(), depth);
            let found = opened.get(&key).cloned().or_else(|| e.open(depth));
            found.and_then(|(index, body)| {
                opened.entry(key).or_insert_with(|| (index.clone(), body.clone()));
                let body = rewrite(&body, rule, known, depth + 1, opened)?;
                Some(Expr::sum(&index, body))
            })
        }
        _ => {
            let mut changed = false;
            let mut children = Vec::new();
            e.for_each_child(&mut |child| {
                let after = rewrite(child, rule, known, depth, opened);
                changed |= after.is_some();
                children.push(after);
            });
            let mut children = children.into_iter();
            changed.then(|| e.map_children(&mut |child| children.next().flatten().unwrap_or_else(|| child.clone())))
        }
    };
    let here = inside.as_ref().unwrap_or(e);
    // A rule that leaves what it was given has not been applied.
    match (rule.apply)(here, known, depth).filter(|after| after != here) {
        Some(after) => Some(after),
        None => inside.filter(|inside| inside != e),
    }
}
