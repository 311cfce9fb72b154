//! Inline marks in text: `` `code` ``, `*emphasis*`, `**strong**`, `$latex$`.
//!
//! A mark that does not close is an ordinary character, and so is a star between spaces or inside a word (`3 * 4`, `a*b`)
//! and a dollar before a digit's price (`$5 and $6`: the closing sign must not be followed by a digit, nor follow a space).
//! A backslash before `` ` ``, `*`, `$` or `\` takes its meaning away; [`escape`] does that to text of unknown origin.

/// A stretch of text with one meaning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Span {
    /// Ordinary text.
    Plain(String),
    /// Code, shown as it is.
    Code(String),
    /// Emphasis.
    Emphasis(String),
    /// Strong emphasis.
    Strong(String),
    /// Inline LaTeX.
    Math(String),
}

/// Takes the meaning of every mark away, so that `text` appears as it is.
///
/// ```
/// use report::inline::{Span, escape, parse};
///
/// assert_eq!(parse(&escape("a `b` *c* $d$")), [Span::Plain("a `b` *c* $d$".into())]);
/// ```
#[must_use]
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 4);
    for c in text.chars() {
        if is_mark(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

fn is_mark(c: char) -> bool {
    matches!(c, '`' | '*' | '$' | '\\')
}

/// The spans of `text`.
///
/// ```
/// use report::inline::{Span, parse};
///
/// assert_eq!(parse("use `x`"), [Span::Plain("use ".into()), Span::Code("x".into())]);
/// ```
#[must_use]
pub fn parse(text: &str) -> Vec<Span> {
    let chars: Vec<char> = text.chars().collect();
    let mut spans = Vec::new();
    let mut plain = String::new();
    // Where the search for a closing mark has failed once, later ones fail too: keeps hostile text linear.
    let mut hopeless = [false; 4];
    let mut at = 0;
    while at < chars.len() {
        let c = chars[at];
        if c == '\\' && chars.get(at + 1).copied().is_some_and(is_mark) {
            plain.push(chars[at + 1]);
            at += 2;
            continue;
        }
        let found = match c {
            '`' => closed(&chars, at, 1, 0, &mut hopeless, |_, _| true)
                .map(|span| (span, Span::Code as fn(String) -> Span)),
            '$' => closed(&chars, at, 1, 1, &mut hopeless, closes_math)
                .map(|span| (span, Span::Math as fn(String) -> Span)),
            '*' if chars.get(at + 1) == Some(&'*') => opens(&chars, at, 2)
                .then(|| {
                    closed(&chars, at, 2, 2, &mut hopeless, |chars, at| {
                        !chars[at - 1].is_whitespace()
                    })
                })
                .flatten()
                .map(|span| (span, Span::Strong as fn(String) -> Span)),
            '*' => opens(&chars, at, 1)
                .then(|| closed(&chars, at, 1, 3, &mut hopeless, closes_emphasis))
                .flatten()
                .map(|span| (span, Span::Emphasis as fn(String) -> Span)),
            _ => None,
        };
        match found {
            Some(((inner, after), make)) => {
                if !plain.is_empty() {
                    spans.push(Span::Plain(std::mem::take(&mut plain)));
                }
                spans.push(make(inner));
                at = after;
            }
            None => {
                plain.push(c);
                at += 1;
            }
        }
    }
    if !plain.is_empty() {
        spans.push(Span::Plain(plain));
    }
    spans
}

/// A star opens emphasis after a space, an opening bracket or a quote, before something that is not a space.
fn opens(chars: &[char], at: usize, length: usize) -> bool {
    let before = at == 0 || !chars[at - 1].is_alphanumeric();
    let after = chars.get(at + length).is_some_and(|c| !c.is_whitespace() && *c != '*');
    before && after
}

fn closes_emphasis(chars: &[char], at: usize) -> bool {
    let word_after = chars.get(at + 1).is_some_and(|c| c.is_alphanumeric() || *c == '*');
    !chars[at - 1].is_whitespace() && chars[at - 1] != '*' && !word_after
}

fn closes_math(chars: &[char], at: usize) -> bool {
    !chars[at - 1].is_whitespace() && !chars.get(at + 1).is_some_and(char::is_ascii_digit)
}

/// The text between the mark at `at` and the next one that closes it, and where it ends.
fn closed(
    chars: &[char],
    at: usize,
    length: usize,
    kind: usize,
    hopeless: &mut [bool; 4],
    closes: impl Fn(&[char], usize) -> bool,
) -> Option<(String, usize)> {
    let mark = chars[at];
    let start = at + length;
    if hopeless[kind] || (mark == '$' && chars.get(start).is_none_or(|c| c.is_whitespace())) {
        return None;
    }
    let mut end = start;
    while end < chars.len() {
        if chars[end] == '\\' && mark != '`' {
            end += 2;
            continue;
        }
        let here = chars[end] == mark && (length == 1 || chars.get(end + 1) == Some(&mark));
        if here && end > start && closes(chars, end) {
            let inner: String = chars[start..end].iter().collect();
            // LaTeX needs its backslashes; elsewhere an escaped mark is the mark.
            let inner = if matches!(mark, '`' | '$') {
                inner
            } else {
                unescape(&inner)
            };
            return Some((inner, end + length));
        }
        end += 1;
    }
    hopeless[kind] = true;
    None
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match chars.peek() {
            Some(next) if c == '\\' && is_mark(*next) => {}
            _ => out.push(c),
        }
    }
    out
}

/// `text` without its marks, LaTeX as Unicode.
///
/// ```
/// assert_eq!(report::inline::plain(r"`f(x)` is *not* $\alpha^2$"), "f(x) is not α²");
/// ```
#[must_use]
pub fn plain(text: &str) -> String {
    parse(text)
        .into_iter()
        .map(|span| match span {
            Span::Plain(text) | Span::Code(text) | Span::Emphasis(text) | Span::Strong(text) => text,
            Span::Math(latex) => crate::latex::to_unicode(&latex),
        })
        .collect()
}
