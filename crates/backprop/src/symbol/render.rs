//! Expressions as text: Unicode for the terminal, LaTeX for the page.

use std::collections::BTreeSet;
use std::fmt;

use super::expr::{Expr, Function, Node};
use super::index::{Index, Kind, Symbol};
use super::rational::Rational;

/// Letters for running indices, in the order in which they are given out.
const LETTERS: [&str; 12] = ["k", "l", "m", "n", "q", "r", "s", "t", "u", "w", "a", "b"];

impl Expr {
    /// The expression in Unicode, on one line: `(pᵢ − yᵢ) / 2`.
    pub fn to_unicode(&self) -> String {
        unicode(self)
    }

    /// The expression in LaTeX, for a formula in math mode: `\frac{p_{i} - y_{i}}{2}`.
    pub fn to_latex(&self) -> String {
        latex(self)
    }
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&unicode(self))
    }
}

pub(crate) fn unicode(e: &Expr) -> String {
    Writer::new(false, e).write(e, 0)
}

pub(crate) fn latex(e: &Expr) -> String {
    Writer::new(true, e).write(e, 0)
}

/// What may stand at a place without brackets: anything, a factor, or what carries an exponent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Term,
    Factor,
    Base,
}

struct Writer {
    latex: bool,
    taken: BTreeSet<String>,
}

impl Writer {
    fn new(latex: bool, e: &Expr) -> Self {
        let mut indices = BTreeSet::new();
        e.indices(&mut indices);
        let taken = indices.iter().filter_map(|index| match &index.kind {
            Kind::Named(name) => Some(name.to_string()),
            _ => None,
        });
        Writer {
            latex,
            taken: taken.collect(),
        }
    }

    fn write(&mut self, e: &Expr, depth: usize) -> String {
        self.at(e, Place::Term, depth)
    }

    /// Writes a node, bracketed where its place demands it. `depth` counts the sums around it.
    fn at(&mut self, e: &Expr, place: Place, depth: usize) -> String {
        match e.node() {
            Node::Number(n) => {
                let text = self.number(*n);
                let simple = !n.is_negative() && n.denominator() == 1;
                self.bracket(text, !simple && place >= Place::Factor)
            }
            Node::Size(range) if self.latex => format!(r"|\text{{{}}}|", range.name()),
            Node::Size(range) => format!("|{}|", range.name()),
            Node::Symbol(symbol) => self.symbol(symbol),
            Node::Delta(i, j) => self.delta(i, j),
            Node::Function(f, argument) => {
                let text = self.function(*f, argument, depth);
                self.bracket(text, place == Place::Base)
            }
            // A denominator has the exponent −n, which i32::MIN does not have; it is written as a power.
            Node::Power(base, n @ (1.. | i32::MIN)) => {
                let base = self.at(base, Place::Base, depth);
                if self.latex {
                    format!("{base}^{{{n}}}")
                } else {
                    format!("{base}{}", superscript(*n))
                }
            }
            Node::Power(..) | Node::Product(_) => {
                let text = self.product(e, place, depth);
                self.bracket(text, place == Place::Base)
            }
            Node::Add(terms) => {
                let text = self.add(terms, depth);
                self.bracket(text, place >= Place::Factor)
            }
            Node::Sum { index, body } => {
                let letter = self.letter(depth);
                self.taken.insert(letter.clone());
                let named = Index {
                    kind: Kind::Named(letter.as_str().into()),
                    range: index.range.clone(),
                };
                let body = body.with_index(index, &named);
                let inner = self.at(&body, Place::Factor, depth + 1);
                let negative = inner.starts_with(['−', '-']);
                let inner = self.bracket(inner, negative);
                self.taken.remove(&letter);
                let sum = if self.latex {
                    format!(r"\sum_{{{letter}}} {inner}")
                } else {
                    format!("Σ{} {inner}", subscript(&[letter]))
                };
                self.bracket(sum, place == Place::Base)
            }
            Node::Derivative { of, by } => {
                let by = self.symbol(by);
                let text = match (of.node(), self.latex) {
                    (Node::Symbol(of), true) => format!(r"\frac{{\partial {}}}{{\partial {by}}}", self.symbol(of)),
                    (Node::Symbol(of), false) => format!("∂{}/∂{by}", self.symbol(of)),
                    (_, true) => format!(
                        r"\frac{{\partial}}{{\partial {by}}}\left[ {} \right]",
                        self.write(of, depth)
                    ),
                    (_, false) => format!("∂/∂{by} [{}]", self.write(of, depth)),
                };
                self.bracket(text, place == Place::Base)
            }
        }
    }

    fn add(&mut self, terms: &[Expr], depth: usize) -> String {
        let mut text = String::new();
        // A leading minus is avoided where a term without one exists.
        let (minus, plus): (Vec<&Expr>, Vec<&Expr>) = terms
            .iter()
            .partition(|term| term.coefficient_and_factors().0.is_negative());
        for term in plus.into_iter().chain(minus) {
            let (coefficient, factors) = term.coefficient_and_factors();
            let term = Expr::from(coefficient.absolute()) * Expr::product(factors);
            let sign = match (coefficient.is_negative(), text.is_empty(), self.latex) {
                (false, true, _) => "",
                (false, false, _) => " + ",
                (true, true, false) => "−",
                (true, false, false) => " − ",
                (true, true, true) => "-",
                (true, false, true) => " - ",
            };
            text += sign;
            let bracketed = matches!(term.node(), Node::Add(_));
            text += &self.at(&term, if bracketed { Place::Factor } else { Place::Term }, depth);
        }
        text
    }

    fn product(&mut self, e: &Expr, place: Place, depth: usize) -> String {
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
        let sign = match (coefficient.is_negative(), self.latex) {
            (false, _) => "",
            (true, false) => "−",
            (true, true) => "-",
        };
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
            Node::Function(..) => 1,
            _ => 0,
        });
        chain_order(&mut above);
        let long = above
            .iter()
            .any(|factor| matches!(factor.node(), Node::Sum { .. } | Node::Derivative { .. }));
        let mut front = String::new();
        if long && below.is_empty() && coefficient.denominator() != 1 {
            front = self.number(coefficient) + " ";
        } else {
            if coefficient.numerator() != 1 {
                above.insert(0, Rational::integer(coefficient.numerator()).into());
            }
            if coefficient.denominator() != 1 {
                below.insert(0, Rational::integer(coefficient.denominator()).into());
            }
        }
        let single = |list: &[Expr]| list.len() == 1;
        let body = match (below.is_empty(), self.latex) {
            (true, _) => self.chain(&above, depth, above.len() == 1 && front.is_empty() && sign.is_empty()),
            (false, true) => {
                let (above, below) = (
                    self.chain(&above, depth, single(&above)),
                    self.chain(&below, depth, single(&below)),
                );
                format!(r"\frac{{{above}}}{{{below}}}")
            }
            (false, false) => {
                let wide = below.len() > 1 || matches!(below[0].node(), Node::Sum { .. } | Node::Product(_));
                let above = self.chain(&above, depth, false);
                let below = self.chain(&below, depth, false);
                let below = self.bracket(below, wide);
                format!("{above} / {below}")
            }
        };
        format!("{sign}{front}{body}")
    }

    /// Factors side by side; `alone` allows a single one to go without brackets.
    fn chain(&mut self, factors: &[Expr], depth: usize, alone: bool) -> String {
        if factors.is_empty() {
            return "1".into();
        }
        let place = if alone { Place::Term } else { Place::Factor };
        let dot = if self.latex { r" \cdot " } else { " · " };
        let mut text = String::new();
        for (n, factor) in factors.iter().enumerate() {
            let open_end = matches!(factor.node(), Node::Sum { .. } | Node::Function(..)) && n + 1 < factors.len();
            let plain = self.at(factor, place, depth);
            if n > 0 {
                let derivative = |e: &Expr| matches!(e.node(), Node::Derivative { .. });
                text += if derivative(factor) && derivative(&factors[n - 1]) {
                    dot
                } else {
                    " "
                };
            }
            text += &self.bracket(
                plain,
                open_end && !matches!(factor.node(), Node::Function(_, argument) if closed(argument)),
            );
        }
        text
    }

    fn function(&mut self, f: Function, argument: &Expr, depth: usize) -> String {
        let name = if self.latex {
            format!(r"\{}", f.name())
        } else {
            f.name().to_string()
        };
        match argument.node() {
            Node::Symbol(_) => format!("{name} {}", self.write(argument, depth)),
            _ if self.latex => format!(r"{name}\left({}\right)", self.write(argument, depth)),
            _ => format!("{name}({})", self.write(argument, depth)),
        }
    }

    fn delta(&mut self, i: &Index, j: &Index) -> String {
        // Textbooks put the running index first: δ_ki.
        let (i, j) = (self.index(i), self.index(j));
        let (i, j) = if LETTERS.contains(&j.as_str()) && !LETTERS.contains(&i.as_str()) {
            (j, i)
        } else {
            (i, j)
        };
        if self.latex {
            format!(r"\delta_{{{i}{j}}}")
        } else {
            format!("δ{}", subscript(&[i, j]))
        }
    }

    fn symbol(&mut self, symbol: &Symbol) -> String {
        let indices: Vec<String> = symbol.indices.iter().map(|index| self.index(index)).collect();
        match (indices.is_empty(), self.latex) {
            (true, _) => symbol.name().into(),
            (false, true) => format!("{}_{{{}}}", symbol.name(), indices.concat()),
            (false, false) => format!("{}{}", symbol.name(), subscript(&indices)),
        }
    }

    fn index(&self, index: &Index) -> String {
        match &index.kind {
            Kind::Literal(number) => number.to_string(),
            Kind::Named(name) => name.to_string(),
            Kind::Opened(depth) => format!("#{depth}"),
            Kind::Bound(height) => format!("_{height}"),
        }
    }

    /// A letter that no free index and no sum around uses.
    fn letter(&self, depth: usize) -> String {
        let free = LETTERS.iter().find(|letter| !self.taken.contains(**letter));
        free.map_or_else(|| format!("k{depth}"), |letter| letter.to_string())
    }

    fn number(&self, n: Rational) -> String {
        let sign = if n.is_negative() {
            if self.latex { "-" } else { "−" }
        } else {
            ""
        };
        let n = n.absolute();
        match (n.numerator(), n.denominator(), self.latex) {
            (whole, 1, _) => format!("{sign}{whole}"),
            (1, 2, false) => format!("{sign}½"),
            (above, below, false) => format!("{sign}{above}/{below}"),
            (above, below, true) => format!(r"{sign}\frac{{{above}}}{{{below}}}"),
        }
    }

    fn bracket(&self, text: String, needed: bool) -> String {
        match (needed, self.latex) {
            (false, _) => text,
            (true, false) => format!("({text})"),
            (true, true) => format!(r"\left({text}\right)"),
        }
    }
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

/// Whether a function's text ends with its own bracket, so that nothing can be read into its argument.
fn closed(argument: &Expr) -> bool {
    !matches!(argument.node(), Node::Symbol(_))
}

fn superscript(n: i32) -> String {
    n.to_string()
        .chars()
        .map(|c| match c.to_digit(10) {
            Some(digit) => "⁰¹²³⁴⁵⁶⁷⁸⁹".chars().nth(digit as usize).unwrap_or(c),
            None => '⁻',
        })
        .collect()
}

/// Indices in Unicode's subscripts, or after an underscore where a letter has none.
fn subscript(indices: &[String]) -> String {
    const PLAIN: &str = "0123456789aehijklmnoprstuvx";
    const SMALL: &str = "₀₁₂₃₄₅₆₇₈₉ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ";
    let small = |c: char| PLAIN.chars().position(|p| p == c).and_then(|n| SMALL.chars().nth(n));
    let text = indices.concat();
    text.chars()
        .map(small)
        .collect::<Option<String>>()
        .unwrap_or_else(|| format!("_{text}"))
}
