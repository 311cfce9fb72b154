//! Marks in LaTeX.

use super::{Function, Mark};

pub(super) fn write(mark: &Mark) -> String {
    match mark {
        Mark::Row(row) => row.iter().map(write).collect(),
        Mark::Number(n) => match (n.numerator(), n.denominator()) {
            (whole, 1) => whole.to_string(),
            (above, below) => format!(r"\frac{{{above}}}{{{below}}}"),
        },
        Mark::Decimal(text) => text.clone(),
        Mark::Negative => "-".into(),
        Mark::Plus => " + ".into(),
        Mark::Minus => " - ".into(),
        Mark::Times => " ".into(),
        Mark::Dot => r" \cdot ".into(),
        Mark::Letter(name, indices) if indices.is_empty() => name.clone(),
        Mark::Letter(name, indices) => format!("{name}_{{{}}}", indices.concat()),
        Mark::Delta(indices) => format!(r"\delta_{{{}}}", indices.concat()),
        Mark::Size(range) => format!(r"|\text{{{range}}}|"),
        Mark::Power(base, n) => format!("{}^{{{n}}}", write(base)),
        Mark::Fraction(above, below) => format!(r"\frac{{{}}}{{{}}}", write(above), write(below)),
        Mark::Sum(index, body) => format!(r"\sum_{{{index}}} {}", write(body)),
        Mark::Function(f, argument, true) => format!("{} {}", name(*f), write(argument)),
        Mark::Function(f, argument, false) => format!(r"{}\left({}\right)", name(*f), write(argument)),
        Mark::Step(argument) => format!(r"\left[{} > 0\right]", write(argument)),
        Mark::Derivative(of, by) => format!(r"\frac{{\partial {}}}{{\partial {}}}", write(of), write(by)),
        Mark::DerivativeOf(of, by) => format!(
            r"\frac{{\partial}}{{\partial {}}}\left[ {} \right]",
            write(by),
            write(of)
        ),
        Mark::Bracket(inner) => format!(r"\left({}\right)", write(inner)),
    }
}

fn name(f: Function) -> &'static str {
    match f {
        Function::Log => r"\log",
        Function::Exp => r"\exp",
        Function::Tanh => r"\tanh",
        Function::Sigmoid => r"\sigma",
        Function::Relu => r"\mathrm{relu}",
        Function::Step => r"\mathrm{step}",
    }
}
