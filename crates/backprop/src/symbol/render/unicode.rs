//! Marks in Unicode, on one line.

use super::Mark;

pub(super) fn write(mark: &Mark) -> String {
    match mark {
        Mark::Row(row) => row.iter().map(write).collect(),
        Mark::Number(n) => match (n.numerator(), n.denominator()) {
            (whole, 1) => whole.to_string(),
            (1, 2) => "½".into(),
            (above, below) => format!("{above}/{below}"),
        },
        Mark::Decimal(text) => text.clone(),
        Mark::Negative => "−".into(),
        Mark::Plus => " + ".into(),
        Mark::Minus => " − ".into(),
        Mark::Times => " ".into(),
        Mark::Dot => " · ".into(),
        Mark::Letter(name, indices) if indices.is_empty() => name.clone(),
        Mark::Letter(name, indices) => format!("{name}{}", subscript(indices)),
        Mark::Delta(indices) => format!("δ{}", subscript(indices)),
        Mark::Size(range) => format!("|{range}|"),
        Mark::Power(base, n) => format!("{}{}", write(base), superscript(*n)),
        Mark::Fraction(above, below) => format!("{} / {}", write(above), write(below)),
        Mark::Sum(index, body) => format!("Σ{} {}", subscript(std::slice::from_ref(index)), write(body)),
        Mark::Function(f, argument, true) => format!("{} {}", f.name(), write(argument)),
        Mark::Function(f, argument, false) => format!("{}({})", f.name(), write(argument)),
        Mark::Step(argument) => format!("[{} > 0]", write(argument)),
        Mark::Derivative(of, by) => format!("∂{}/∂{}", write(of), write(by)),
        Mark::DerivativeOf(of, by) => format!("∂/∂{} [{}]", write(by), write(of)),
        Mark::Bracket(inner) => format!("({})", write(inner)),
    }
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
