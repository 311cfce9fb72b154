//! Marks in MathML: presentation elements that every current browser displays.

use super::Mark;
use crate::symbol::rational::Rational;

pub(super) const NAMESPACE: &str = "http://www.w3.org/1998/Math/MathML";

pub(super) fn write(mark: &Mark) -> String {
    match mark {
        Mark::Row(row) if row.len() == 1 => write(&row[0]),
        Mark::Row(row) => group(&row.iter().map(write).collect::<String>()),
        Mark::Number(n) => number(*n),
        Mark::Decimal(text) => format!("<mn>{text}</mn>"),
        Mark::Negative => r#"<mo form="prefix">−</mo>"#.into(),
        Mark::Plus => "<mo>+</mo>".into(),
        Mark::Minus => "<mo>−</mo>".into(),
        // The invisible multiplication sign, which screen readers read and copies keep.
        Mark::Times => "<mo>\u{2062}</mo>".into(),
        Mark::Dot => "<mo>·</mo>".into(),
        Mark::Letter(name, indices) => with_indices(&identifier(name), indices),
        Mark::Delta(indices) => with_indices("<mi>δ</mi>", indices),
        Mark::Size(range) => group(&format!("<mo>|</mo><mtext>{}</mtext><mo>|</mo>", escape(range))),
        Mark::Power(base, n) => format!("<msup>{}{}</msup>", write(base), signed(*n)),
        Mark::Fraction(above, below) => format!("<mfrac>{}{}</mfrac>", write(above), write(below)),
        Mark::Sum(index, body) => group(&format!(
            "<munder><mo>∑</mo>{}</munder>{}",
            identifier(index),
            write(body)
        )),
        // The invisible sign of a function applied.
        Mark::Function(f, argument, true) => {
            group(&format!("<mi>{}</mi><mo>\u{2061}</mo>{}", f.name(), write(argument)))
        }
        Mark::Function(f, argument, false) => group(&format!(
            "<mi>{}</mi><mo>\u{2061}</mo>{}",
            f.name(),
            bracket('(', &write(argument), ')')
        )),
        Mark::Step(argument) => bracket('[', &format!("{}<mo>&gt;</mo><mn>0</mn>", write(argument)), ']'),
        Mark::Derivative(of, by) => format!(
            "<mfrac><mrow><mo>∂</mo>{}</mrow><mrow><mo>∂</mo>{}</mrow></mfrac>",
            write(of),
            write(by)
        ),
        Mark::DerivativeOf(of, by) => group(&format!(
            "<mfrac><mo>∂</mo><mrow><mo>∂</mo>{}</mrow></mfrac>{}",
            write(by),
            bracket('[', &write(of), ']')
        )),
        Mark::Bracket(inner) => bracket('(', &write(inner), ')'),
    }
}

fn group(inner: &str) -> String {
    format!("<mrow>{inner}</mrow>")
}

fn bracket(left: char, inner: &str, right: char) -> String {
    format!("<mrow><mo>{left}</mo>{inner}<mo>{right}</mo></mrow>")
}

fn number(n: Rational) -> String {
    match n.denominator() {
        1 => format!("<mn>{}</mn>", n.numerator()),
        below => format!("<mfrac><mn>{}</mn><mn>{below}</mn></mfrac>", n.numerator()),
    }
}

fn signed(n: i32) -> String {
    match n {
        0.. => format!("<mn>{n}</mn>"),
        _ => format!("<mrow><mo>−</mo><mn>{}</mn></mrow>", n.unsigned_abs()),
    }
}

fn identifier(name: &str) -> String {
    match name.parse::<u32>() {
        Ok(_) => format!("<mn>{name}</mn>"),
        Err(_) => format!("<mi>{}</mi>", escape(name)),
    }
}

fn with_indices(letter: &str, indices: &[String]) -> String {
    match indices {
        [] => letter.into(),
        [index] => format!("<msub>{letter}{}</msub>", identifier(index)),
        _ => {
            let indices: String = indices.iter().map(|index| identifier(index)).collect();
            format!("<msub>{letter}{}</msub>", group(&indices))
        }
    }
}

/// Text that stands between tags or in an attribute.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
