//! How numbers, symbols and matrices are written.

use nn_theory::generic::{Matrix, Rational};
use report::format::integer;

/// `A` and 3 as the markup of A₃.
pub(super) fn symbol(letter: char, index: usize) -> String {
    format!("${letter}_{{{index}}}$")
}

pub(super) fn subscript(index: usize) -> String {
    report::latex::to_unicode(&format!("_{{{index}}}"))
}

pub(super) fn plural(number: usize) -> &'static str {
    if number == 1 { "" } else { "s" }
}

/// `a, b and c`, or `none`.
pub(super) fn listing(items: impl Iterator<Item = String>) -> String {
    let items: Vec<String> = items.collect();
    match items.split_last() {
        None => "none".to_string(),
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
    }
}

pub(super) fn whole(number: u128) -> String {
    integer(i128::try_from(number).unwrap_or(i128::MAX))
}

pub(super) fn texts(numbers: &[Rational]) -> Vec<String> {
    numbers.iter().map(Rational::to_string).collect()
}

pub(super) fn tuple(numbers: &[Rational]) -> String {
    format!("({})", texts(numbers).join(", ").replace('-', "−"))
}

pub(super) fn column(entries: &[Rational]) -> Matrix<Rational> {
    entries.iter().map(|&entry| vec![entry]).collect()
}

pub(super) fn latex(matrix: &Matrix<Rational>) -> String {
    let rows: Vec<String> = matrix.iter().map(|row| texts(row).join(" & ")).collect();
    format!(r"\begin{{pmatrix}} {} \end{{pmatrix}}", rows.join(r" \\ "))
}

/// A matrix in brackets of characters, with `label` before its middle line.
pub(super) fn labelled(label: &str, matrix: &Matrix<Rational>) -> Vec<String> {
    let cells: Vec<Vec<String>> = matrix
        .iter()
        .map(|row| texts(row).iter().map(|text| text.replace('-', "−")).collect())
        .collect();
    let widest = cells
        .iter()
        .flatten()
        .map(|cell| cell.chars().count())
        .max()
        .unwrap_or(0);
    let last = cells.len().saturating_sub(1);
    let lines = cells.iter().enumerate().map(|(index, row)| {
        let row: Vec<String> = row.iter().map(|cell| format!("{cell:>widest$}")).collect();
        let (open, close) = match index {
            _ if last == 0 => ('[', ']'),
            0 => ('⎡', '⎤'),
            _ if index == last => ('⎣', '⎦'),
            _ => ('⎢', '⎥'),
        };
        let before = if index == last / 2 {
            label.to_string()
        } else {
            " ".repeat(label.chars().count())
        };
        format!("{before}{open} {} {close}", row.join(" "))
    });
    lines.collect()
}

/// Blocks of lines side by side, their tops at one height.
pub(super) fn beside(blocks: &[&Vec<String>]) -> String {
    let height = blocks.iter().map(|lines| lines.len()).max().unwrap_or(0);
    let lines = (0..height).map(|line| {
        let pieces = blocks.iter().map(|lines| {
            let width = lines.iter().map(|text| text.chars().count()).max().unwrap_or(0);
            let text = lines.get(line).map_or("", String::as_str);
            format!("{text}{}", " ".repeat(width - text.chars().count()))
        });
        pieces.collect::<String>().trim_end().to_string()
    });
    lines.collect::<Vec<_>>().join("\n")
}
