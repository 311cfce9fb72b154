//! From an expression to marks: names for running indices, brackets, signs and fractions.

use std::collections::BTreeSet;

use super::Mark;
use crate::symbol::evaluate::Values;
use crate::symbol::expr::{Expr, Function, Node};
use crate::symbol::index::{Index, Kind, Symbol};
use crate::symbol::rational::Rational;

/// Letters for running indices, in the order in which they are given out.
const LETTERS: [&str; 12] = ["k", "l", "m", "n", "q", "r", "s", "t", "u", "w", "a", "b"];

/// How fractions are written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// With a slash, and brackets where needed.
    OnOneLine,
    /// One above the other.
    Stacked,
}

/// The layout with numbers of `decimals` digits in the place of symbols, sums written out.
pub(super) fn layout_with_numbers(e: &Expr, style: Style, values: &Values, decimals: usize) -> Mark {
    Writer {
        style,
        taken: BTreeSet::new(),
        numbers: Some((values, decimals)),
    }
    .at(e, Place::Term, 0)
}

pub(super) fn layout(e: &Expr, style: Style) -> Mark {
    let mut indices = BTreeSet::new();
    e.indices(&mut indices);
    let taken = indices.iter().filter_map(|index| match &index.kind {
        Kind::Named(name) => Some(name.to_string()),
        _ => None,
    });
    Writer {
        style,
        taken: taken.collect(),
        numbers: None,
    }
    .at(e, Place::Term, 0)
}

/// What may stand at a place without brackets: anything, a factor, or what carries an exponent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Term,
    Factor,
    Base,
}

struct Writer<'a> {
    style: Style,
    taken: BTreeSet<String>,
    /// What is put in for symbols, and its decimals.
    numbers: Option<(&'a Values, usize)>,
}

impl Writer<'_> {
    /// A node, bracketed where its place demands it. `depth` counts the sums around it.
    fn at(&mut self, e: &Expr, place: Place, depth: usize) -> Mark {
        if let Some((values, decimals)) = self.numbers {
            match e.node() {
                Node::Symbol(_) | Node::Delta(..) | Node::Size(_) | Node::Derivative { .. } => {
                    // Whole numbers (δ, sizes, targets) are written as such.
                    let value = e.evaluate(values).unwrap_or(f64::NAN);
                    let decimals = if value.fract() == 0.0 { 0 } else { decimals };
                    let text = Mark::Decimal(format!("{:.decimals$}", value.abs()));
                    return if value.is_sign_negative() && value != 0.0 {
                        Mark::Bracket(Box::new(Mark::Row(vec![Mark::Negative, text])))
                    } else {
                        text
                    };
                }
                Node::Sum { index, body } => return self.written_out(index, body, place, depth),
                _ => {}
            }
        }
        match e.node() {
            Node::Number(n) => {
                let simple = !n.is_negative() && n.denominator() == 1;
                bracket(number(*n), !simple && place >= Place::Factor)
            }
            Node::Size(range) => Mark::Size(range.name().into()),
            Node::Symbol(symbol) => self.symbol(symbol),
            Node::Delta(i, j) => self.delta(i, j),
            Node::Function(Function::Step, argument) => Mark::Step(Box::new(self.at(argument, Place::Term, depth))),
            Node::Function(f, argument) => {
                let argument_mark = Box::new(self.at(argument, Place::Term, depth));
                bracket(
                    Mark::Function(*f, argument_mark, !closed(*f, argument)),
                    place == Place::Base,
                )
            }
            // A denominator has the exponent −n, which i32::MIN does not have; it is written as a power.
            Node::Power(base, n @ (1.. | i32::MIN)) => Mark::Power(Box::new(self.at(base, Place::Base, depth)), *n),
            Node::Power(..) | Node::Product(_) => {
                let mark = self.product(e, place, depth);
                bracket(mark, place == Place::Base)
            }
            Node::Add(terms) => {
                let mark = self.add(terms, depth);
                bracket(mark, place >= Place::Factor)
            }
            Node::Sum { index, body } => {
                let letter = self.letter(depth);
                self.taken.insert(letter.clone());
                let named = Index {
                    kind: Kind::Named(letter.as_str().into()),
                    range: index.range.clone(),
                };
                let inner = self.at(&body.with_index(index, &named), Place::Factor, depth + 1);
                self.taken.remove(&letter);
                let negative = self.starts_with_minus(&inner);
                let sum = Mark::Sum(letter, Box::new(bracket(inner, negative)));
                bracket(sum, place == Place::Base)
            }
            Node::Derivative { of, by } => {
                let by = Box::new(self.symbol(by));
                let mark = match of.node() {
                    Node::Symbol(of) => Mark::Derivative(Box::new(self.symbol(of)), by),
                    _ => Mark::DerivativeOf(Box::new(self.at(of, Place::Term, depth)), by),
                };
                bracket(mark, place == Place::Base)
            }
        }
    }

    /// A sum term by term, with the numbers of each element.
    fn written_out(&mut self, index: &Index, body: &Expr, place: Place, depth: usize) -> Mark {
        let size = self
            .numbers
            .and_then(|(values, _)| values.size_of(&index.range).ok())
            .unwrap_or(0);
        let mut row = Vec::new();
        for element in 1..=size {
            if element > 1 {
                row.push(Mark::Plus);
            }
            let element = index.range.element(u32::try_from(element).unwrap_or(u32::MAX));
            row.push(self.at(&body.with_index(index, &element), Place::Term, depth + 1));
        }
        if row.is_empty() {
            row.push(Mark::Decimal("0".into()));
        }
        let several = row.len() > 1;
        bracket(Mark::Row(row), several && place >= Place::Factor)
    }

    fn add(&mut self, terms: &[Expr], depth: usize) -> Mark {
        let mut row = Vec::new();
        // A leading minus is avoided where a term without one exists.
        let (minus, plus): (Vec<&Expr>, Vec<&Expr>) = terms
            .iter()
            .partition(|term| term.coefficient_and_factors().0.is_negative());
        for term in plus.into_iter().chain(minus) {
            let (coefficient, factors) = term.coefficient_and_factors();
            let term = Expr::from(coefficient.absolute()) * Expr::product(factors);
            match (coefficient.is_negative(), row.is_empty()) {
                (false, true) => {}
                (false, false) => row.push(Mark::Plus),
                (true, true) => row.push(Mark::Negative),
                (true, false) => row.push(Mark::Minus),
            }
            let bracketed = matches!(term.node(), Node::Add(_));
            row.push(self.at(&term, if bracketed { Place::Factor } else { Place::Term }, depth));
        }
        Mark::Row(row)
    }

    fn product(&mut self, e: &Expr, place: Place, depth: usize) -> Mark {
        let (coefficient, factors) = e.coefficient_and_factors();
        // −(a − b) is read as b − a.
        if place == Place::Term
            && coefficient == Rational::MINUS_ONE
            && let [bracket] = &factors[..]
            && let Node::Add(terms) = bracket.node()
        {
            let negated: Vec<Expr> = terms.iter().map(|term| -term.clone()).collect();
            if negated
                .iter()
                .any(|term| !term.coefficient_and_factors().0.is_negative())
            {
                return self.add(&negated, depth);
            }
        }
        let mut row = Vec::new();
        if coefficient.is_negative() {
            row.push(Mark::Negative);
        }
        let coefficient = coefficient.absolute();
        let (mut above, mut below) = (Vec::new(), Vec::new());
        for factor in factors {
            match factor.node() {
                Node::Power(base, n) if *n < 0 && n.checked_neg().is_some() => below.push(base.clone().pow(-n)),
                _ => above.push(factor),
            }
        }
        // Functions, then sums and derivatives, reach to the right as far as they can: they are written last.
        above.sort_by_key(|factor| match factor.node() {
            Node::Sum { .. } | Node::Derivative { .. } => 2,
            Node::Function(Function::Step, _) => 0,
            Node::Function(..) => 1,
            _ => 0,
        });
        chain_order(&mut above);
        let long = above
            .iter()
            .any(|factor| matches!(factor.node(), Node::Sum { .. } | Node::Derivative { .. }));
        let mut alone = row.is_empty();
        if long && below.is_empty() && coefficient.denominator() != 1 {
            let times = if self.numbers.is_some() { Mark::Dot } else { Mark::Times };
            row.extend([Mark::Number(coefficient), times]);
            alone = false;
        } else {
            if coefficient.numerator() != 1 {
                above.insert(0, Rational::integer(coefficient.numerator()).into());
            }
            if coefficient.denominator() != 1 {
                below.insert(0, Rational::integer(coefficient.denominator()).into());
            }
        }
        let single = |list: &[Expr]| list.len() == 1;
        row.push(match (below.is_empty(), self.style) {
            (true, _) => self.chain(&above, depth, single(&above) && alone),
            (false, Style::Stacked) => {
                let above = self.chain(&above, depth, single(&above));
                let below = self.chain(&below, depth, single(&below));
                Mark::Fraction(Box::new(above), Box::new(below))
            }
            (false, Style::OnOneLine) => {
                let wide = below.len() > 1 || matches!(below[0].node(), Node::Sum { .. } | Node::Product(_));
                let above = self.chain(&above, depth, false);
                let below = bracket(self.chain(&below, depth, false), wide);
                Mark::Fraction(Box::new(above), Box::new(below))
            }
        });
        Mark::Row(row)
    }

    /// Factors side by side; `alone` allows a single one to go without brackets.
    fn chain(&mut self, factors: &[Expr], depth: usize, alone: bool) -> Mark {
        if factors.is_empty() {
            return Mark::Number(Rational::ONE);
        }
        let place = if alone { Place::Term } else { Place::Factor };
        let mut row = Vec::new();
        for (n, factor) in factors.iter().enumerate() {
            let last = n + 1 == factors.len();
            let open_end = match factor.node() {
                Node::Sum { .. } => !last && self.numbers.is_none(),
                Node::Function(f, argument) => !last && !closed(*f, argument),
                _ => false,
            };
            if n > 0 {
                let derivative = |e: &Expr| matches!(e.node(), Node::Derivative { .. });
                let run_together = derivative(factor) && derivative(&factors[n - 1]);
                // Two numbers side by side would be one.
                let dot = run_together || self.numbers.is_some();
                row.push(if dot { Mark::Dot } else { Mark::Times });
            }
            row.push(bracket(self.at(factor, place, depth), open_end));
        }
        Mark::Row(row)
    }

    fn delta(&mut self, i: &Index, j: &Index) -> Mark {
        // Textbooks put the running index first: δ_ki.
        let (i, j) = (index(i), index(j));
        if LETTERS.contains(&j.as_str()) && !LETTERS.contains(&i.as_str()) {
            Mark::Delta(vec![j, i])
        } else {
            Mark::Delta(vec![i, j])
        }
    }

    fn symbol(&mut self, symbol: &Symbol) -> Mark {
        Mark::Letter(symbol.name().into(), symbol.indices.iter().map(index).collect())
    }

    /// A letter that no free index and no sum around uses.
    fn letter(&self, depth: usize) -> String {
        let free = LETTERS.iter().find(|letter| !self.taken.contains(**letter));
        free.map_or_else(|| format!("k{depth}"), |letter| letter.to_string())
    }

    fn starts_with_minus(&self, mark: &Mark) -> bool {
        match mark {
            Mark::Negative => true,
            Mark::Row(row) => row.first().is_some_and(|first| self.starts_with_minus(first)),
            Mark::Fraction(above, _) => self.style == Style::OnOneLine && self.starts_with_minus(above),
            _ => false,
        }
    }
}

fn index(index: &Index) -> String {
    match &index.kind {
        Kind::Literal(number) => number.to_string(),
        Kind::Named(name) => name.to_string(),
        Kind::Opened(depth) => format!("#{depth}"),
        Kind::Bound(height) => format!("_{height}"),
    }
}

fn number(n: Rational) -> Mark {
    if n.is_negative() {
        Mark::Row(vec![Mark::Negative, Mark::Number(n.absolute())])
    } else {
        Mark::Number(n)
    }
}

fn bracket(mark: Mark, needed: bool) -> Mark {
    if needed { Mark::Bracket(Box::new(mark)) } else { mark }
}

/// Whether a function's text ends with its own bracket, so that nothing can be read into its argument: `log x`, but `σ(x)`.
fn closed(f: Function, argument: &Expr) -> bool {
    !matches!(f, Function::Log | Function::Exp | Function::Tanh) || !matches!(argument.node(), Node::Symbol(_))
}

/// Puts `∂v/∂A · ∂z/∂v` into the order in which the chain rule is read, `∂z/∂v · ∂v/∂A`.
fn chain_order(factors: &mut [Expr]) {
    let follows = |a: &Expr, b: &Expr| match (a.node(), b.node()) {
        (Node::Derivative { of, .. }, Node::Derivative { by, .. }) => {
            matches!(of.node(), Node::Symbol(symbol) if symbol.name == by.name)
        }
        _ => false,
    };
    for _ in 0..factors.len() {
        for n in 1..factors.len() {
            if follows(&factors[n - 1], &factors[n]) {
                factors.swap(n - 1, n);
            }
        }
    }
}
