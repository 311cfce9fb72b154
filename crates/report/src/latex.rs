//! LaTeX fragments: MathML for the page, an approximation in Unicode for the terminal.

use std::panic::{AssertUnwindSafe, catch_unwind};

use math_core::{LatexToMathML, MathCoreConfig, MathDisplay};

use crate::{Error, Result};

/// `latex` as a `<math>` element, displayed on its own line or inline.
///
/// # Errors
/// [`Error::Latex`] with the fragment and `place`, if it uses a command that is not known or its groups do not close.
///
/// ```
/// assert!(report::latex::to_mathml(r"\frac{1}{2}", false, "here")?.contains("<mfrac>"));
/// assert!(report::latex::to_mathml(r"\frac{1}{", false, "here").is_err());
/// # Ok::<(), report::Error>(())
/// ```
pub fn to_mathml(latex: &str, display: bool, place: &str) -> Result<String> {
    let error = |reason: String| Error::Latex {
        place: place.to_owned(),
        latex: latex.to_owned(),
        reason,
    };
    let converter =
        LatexToMathML::new(MathCoreConfig::default()).map_err(|(reason, _, _)| error(reason.to_string()))?;
    let display = if display {
        MathDisplay::Block
    } else {
        MathDisplay::Inline
    };
    // math-core 0.7 panics on some fragments (a bare \scriptstyle in a cell of an aligned block); a formula must not
    // take down the program that computed it.
    match catch_unwind(AssertUnwindSafe(|| converter.convert_with_local_state(latex, display))) {
        Ok(Ok(converted)) => Ok(converted.mathml),
        Ok(Err(reason)) => Err(error(reason.to_string())),
        Err(_) => Err(error(
            "the converter cannot handle this combination of commands".to_string(),
        )),
    }
}

/// Digits and signs raised: `-12` becomes `⁻¹²`; other characters stay.
#[must_use]
pub fn superscript(text: &str) -> String {
    text.chars().map(|c| raised(c).unwrap_or(c)).collect()
}

fn raised(c: char) -> Option<char> {
    Some(match c {
        '0' => '⁰',
        '1' => '¹',
        '2' => '²',
        '3' => '³',
        '4'..='9' => char::from_u32('⁴' as u32 + (c as u32 - '4' as u32))?,
        '+' => '⁺',
        '-' | '−' => '⁻',
        '(' => '⁽',
        ')' => '⁾',
        'n' => 'ⁿ',
        'i' => 'ⁱ',
        'k' => 'ᵏ',
        't' => 'ᵗ',
        'T' | '⊤' => 'ᵀ',
        _ => return None,
    })
}

fn lowered(c: char) -> Option<char> {
    Some(match c {
        '0'..='9' => char::from_u32('₀' as u32 + (c as u32 - '0' as u32))?,
        '+' => '₊',
        '-' | '−' => '₋',
        '=' => '₌',
        '(' => '₍',
        ')' => '₎',
        'a' => 'ₐ',
        'e' => 'ₑ',
        'h' => 'ₕ',
        'i' => 'ᵢ',
        'j' => 'ⱼ',
        'k' => 'ₖ',
        'l' => 'ₗ',
        'm' => 'ₘ',
        'n' => 'ₙ',
        'p' => 'ₚ',
        's' => 'ₛ',
        't' => 'ₜ',
        'x' => 'ₓ',
        _ => return None,
    })
}

/// Inline LaTeX in Unicode characters: Greek letters, operators, sub- and superscripts; what has no character of its own
/// is written plainly (`\frac{a}{b}` as `a/b`). Never fails: what is not known stays readable.
///
/// ```
/// assert_eq!(report::latex::to_unicode(r"\partial L / \partial z_i = p_i - y_i"), "∂L / ∂zᵢ = pᵢ − yᵢ");
/// assert_eq!(report::latex::to_unicode(r"\frac{1}{2} x^2"), "1/2 x²");
/// ```
#[must_use]
pub fn to_unicode(latex: &str) -> String {
    let mut reader = Reader {
        rest: latex.chars().collect(),
        at: 0,
        depth: 0,
    };
    let text = reader.sequence(None);
    let mut out = String::new();
    for c in text.chars() {
        if !(c == ' ' && (out.is_empty() || out.ends_with(' '))) {
            out.push(c);
        }
    }
    out.trim_end().to_owned()
}

/// Groups deeper than this are shown as they are; no formula needs more, and input must not exhaust the stack.
const MAX_DEPTH: usize = 32;

struct Reader {
    rest: Vec<char>,
    at: usize,
    depth: usize,
}

impl Reader {
    fn peek(&self) -> Option<char> {
        self.rest.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += 1;
        Some(c)
    }

    fn sequence(&mut self, end: Option<char>) -> String {
        let mut out = String::new();
        while let Some(c) = self.peek() {
            if Some(c) == end {
                self.at += 1;
                break;
            }
            let atom = self.atom();
            // A command's space is only its end: "\partial L" reads ∂L.
            if atom == " " && matches!(out.chars().last(), Some('∂' | '∇' | '∑' | '√')) {
                continue;
            }
            out.push_str(&atom);
        }
        out
    }

    /// One character, group or command.
    fn atom(&mut self) -> String {
        match self.next() {
            None => String::new(),
            Some('{') => {
                if self.depth >= MAX_DEPTH {
                    return "{".to_owned();
                }
                self.depth += 1;
                let text = self.sequence(Some('}'));
                self.depth -= 1;
                text
            }
            Some('}') => String::new(),
            Some('^') => self.script(raised, '^'),
            Some('_') => self.script(lowered, '_'),
            Some('-') => "−".to_owned(),
            Some('~' | '&') => " ".to_owned(),
            Some('\'') => "′".to_owned(),
            Some('\\') => self.command(),
            Some(c) => c.to_string(),
        }
    }

    fn argument(&mut self) -> String {
        while self.peek() == Some(' ') {
            self.at += 1;
        }
        if self.depth >= MAX_DEPTH {
            return self.next().map(String::from).unwrap_or_default();
        }
        self.depth += 1;
        let text = self.atom();
        self.depth -= 1;
        text
    }

    fn script(&mut self, small: impl Fn(char) -> Option<char>, sign: char) -> String {
        let text = self.argument();
        match text.chars().map(small).collect::<Option<String>>() {
            Some(text) => text,
            None if text.chars().count() == 1 => format!("{sign}{text}"),
            None => format!("{sign}({text})"),
        }
    }

    fn command(&mut self) -> String {
        let start = self.at;
        while self.peek().is_some_and(|c| c.is_ascii_alphabetic()) {
            self.at += 1;
        }
        let name: String = self.rest[start..self.at].iter().collect();
        match name.as_str() {
            "" => match self.next() {
                Some(',' | ';' | ':' | ' ' | '\\') => " ".to_owned(),
                Some('!') | None => String::new(),
                Some('|') => "‖".to_owned(),
                Some(c) => c.to_string(),
            },
            "frac" | "tfrac" | "dfrac" => {
                let (over, under) = (self.argument(), self.argument());
                format!("{}/{}", grouped(&over), grouped(&under))
            }
            "sqrt" => format!("√{}", grouped(&self.argument())),
            "text" | "mathrm" | "mathbf" | "mathbb" | "mathcal" | "operatorname" | "boldsymbol" | "mathit"
            | "textbf" | "mathsf" | "texttt" => self.argument(),
            "hat" => format!("{}\u{302}", self.argument()),
            "bar" | "overline" => format!("{}\u{304}", self.argument()),
            "tilde" => format!("{}\u{303}", self.argument()),
            "dot" => format!("{}\u{307}", self.argument()),
            "vec" => format!("{}\u{20d7}", self.argument()),
            "left" | "right" | "big" | "Big" | "bigl" | "bigr" | "displaystyle" | "limits" => {
                if self.peek() == Some('.') {
                    self.at += 1;
                }
                String::new()
            }
            name => symbol(name).map_or_else(|| name.to_owned(), str::to_owned),
        }
    }
}

fn grouped(text: &str) -> String {
    let simple = text
        .chars()
        .all(|c| c.is_alphanumeric() || "∂∇′.ᵢⱼₖₙ₀₁₂₃²³".contains(c));
    if simple { text.to_owned() } else { format!("({text})") }
}

fn symbol(name: &str) -> Option<&'static str> {
    const SYMBOLS: &[(&str, &str)] = &[
        ("alpha", "α"),
        ("beta", "β"),
        ("gamma", "γ"),
        ("delta", "δ"),
        ("epsilon", "ε"),
        ("varepsilon", "ε"),
        ("zeta", "ζ"),
        ("eta", "η"),
        ("theta", "θ"),
        ("kappa", "κ"),
        ("lambda", "λ"),
        ("mu", "μ"),
        ("nu", "ν"),
        ("xi", "ξ"),
        ("pi", "π"),
        ("rho", "ρ"),
        ("sigma", "σ"),
        ("tau", "τ"),
        ("phi", "φ"),
        ("varphi", "φ"),
        ("chi", "χ"),
        ("psi", "ψ"),
        ("omega", "ω"),
        ("Gamma", "Γ"),
        ("Delta", "Δ"),
        ("Theta", "Θ"),
        ("Lambda", "Λ"),
        ("Sigma", "Σ"),
        ("Phi", "Φ"),
        ("Psi", "Ψ"),
        ("Omega", "Ω"),
        ("partial", "∂"),
        ("nabla", "∇"),
        ("sum", "∑"),
        ("prod", "∏"),
        ("int", "∫"),
        ("infty", "∞"),
        ("cdot", "·"),
        ("times", "×"),
        ("odot", "⊙"),
        ("otimes", "⊗"),
        ("circ", "∘"),
        ("pm", "±"),
        ("le", "≤"),
        ("leq", "≤"),
        ("ge", "≥"),
        ("geq", "≥"),
        ("ne", "≠"),
        ("neq", "≠"),
        ("approx", "≈"),
        ("equiv", "≡"),
        ("sim", "∼"),
        ("propto", "∝"),
        ("in", "∈"),
        ("notin", "∉"),
        ("to", "→"),
        ("rightarrow", "→"),
        ("leftarrow", "←"),
        ("gets", "←"),
        ("mapsto", "↦"),
        ("Rightarrow", "⇒"),
        ("top", "⊤"),
        ("ldots", "…"),
        ("dots", "…"),
        ("cdots", "⋯"),
        ("forall", "∀"),
        ("exists", "∃"),
        ("ell", "ℓ"),
        ("mid", "|"),
        ("langle", "⟨"),
        ("rangle", "⟩"),
        ("lVert", "‖"),
        ("rVert", "‖"),
        ("Vert", "‖"),
        ("lfloor", "⌊"),
        ("rfloor", "⌋"),
        ("lceil", "⌈"),
        ("rceil", "⌉"),
        ("quad", " "),
        ("qquad", " "),
        ("subset", "⊂"),
        ("cup", "∪"),
        ("cap", "∩"),
        ("setminus", "∖"),
        ("emptyset", "∅"),
        ("prime", "′"),
        ("star", "⋆"),
        ("ast", "∗"),
        ("div", "÷"),
    ];
    SYMBOLS.iter().find(|(key, _)| *key == name).map(|(_, value)| *value)
}
