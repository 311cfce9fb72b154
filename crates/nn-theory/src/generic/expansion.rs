//! The formula of y in x, nested and expanded, for any depth and activation.

use super::paths::subscript;
use super::{Activation, Network};

/// One formula in one notation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notation {
    /// As the network computes it: `A₂(A₁x + b₁) + b₂`.
    pub nested: String,
    /// Multiplied out over every run of layers with `f(x) = x`; `None` if there is nothing to multiply out.
    pub expanded: Option<String>,
}

serialize_fields!(Notation { nested, expanded });

impl Notation {
    /// `y = nested = expanded`.
    pub fn equation(&self) -> String {
        self.expanded
            .iter()
            .fold(format!("y = {}", self.nested), |text, expanded| {
                format!("{text} = {expanded}")
            })
    }
}

/// Nested and expanded formula, and how far expanding goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expansion {
    /// For the terminal.
    pub unicode: Notation,
    /// For the page (LaTeX, math mode).
    pub latex: Notation,
    /// For a page without a typesetter: MathML Core, the children of a `<math>` element.
    pub mathml: Notation,
    /// Is y one affine map of x, so that the formula is expanded completely?
    pub complete: bool,
    /// Terms of the complete expansion, `depth + 1`.
    pub terms: Option<usize>,
    /// Why the formula can, or cannot, be expanded.
    pub reason: String,
}

serialize_fields!(Expansion {
    unicode,
    latex,
    mathml,
    complete,
    terms,
    reason
});

impl Expansion {
    /// `y = nested = expanded` as a `<math>` element, one line a form.
    ///
    /// ```
    /// let math = nn_theory::generic::lecture_network().expansion().mathml_equation();
    /// assert!(math.starts_with("<math display=\"block\"><mtable"));
    /// assert_eq!(math.matches("<mtr>").count(), 2);
    /// ```
    pub fn mathml_equation(&self) -> String {
        let forms = std::iter::once(&self.mathml.nested).chain(&self.mathml.expanded);
        let row = |(index, form): (usize, &String)| {
            let left = if index == 0 { "<mi>y</mi>" } else { "" };
            format!("<mtr><mtd>{left}</mtd><mtd><mo>=</mo></mtd><mtd style=\"text-align:left\">{form}</mtd></mtr>")
        };
        let rows: String = forms.enumerate().map(row).collect();
        format!("<math display=\"block\"><mtable>{rows}</mtable></math>")
    }
}

/// How to write a formula.
struct Style {
    symbol: fn(char, usize) -> String,
    function: fn(&str) -> String,
    open: &'static str,
    close: &'static str,
    x: &'static str,
    plus: &'static str,
    /// Between factors that would read as one.
    gap: &'static str,
}

const UNICODE: Style = Style {
    symbol: |letter, k| format!("{letter}{}", subscript(k)),
    function: str::to_owned,
    open: "(",
    close: ")",
    x: "x",
    plus: " + ",
    gap: " ",
};

const LATEX: Style = Style {
    symbol: |letter, k| format!("{letter}_{{{k}}}"),
    // A single letter is a function symbol; a name is set upright. `_` is special in TeX.
    function: |name| match name.len() {
        1 => name.to_owned(),
        _ => format!(r"\operatorname{{{}}}", name.replace('_', r"\_")),
    },
    open: r"\left(",
    close: r"\right)",
    x: "x",
    plus: " + ",
    gap: " ",
};

const MATHML: Style = Style {
    symbol: |letter, k| format!("<msub><mi>{letter}</mi><mn>{k}</mn></msub>"),
    // U+2061 says that a function is applied; names are identifiers, which need no escaping.
    function: |name| format!("<mi>{name}</mi><mo>&#x2061;</mo>"),
    open: "<mrow><mo>(</mo>",
    close: "<mo>)</mo></mrow>",
    x: "<mi>x</mi>",
    plus: "<mo>+</mo>",
    gap: "",
};

impl Network {
    /// The formula of y in x.
    ///
    /// With `f(x) = x` in all L layers, `y = Σ_{k=0}^{L} A_L ⋯ A_{k+1} b_k` with `b_0 = x`. A layer with another
    /// function ends what can be multiplied out.
    ///
    /// ```
    /// use nn_theory::generic::{lecture_network, Activation};
    /// let net = lecture_network();
    /// assert_eq!(net.expansion().unicode.nested, "A₄(A₃(A₂(A₁x + b₁) + b₂) + b₃) + b₄");
    /// let mut functions = vec![Activation::Identity; 4];
    /// functions[1] = Activation::named("tanh")?;
    /// let partly = net.with_activations(functions)?.expansion();
    /// assert_eq!(partly.unicode.expanded.unwrap(), "A₄A₃ tanh(A₂A₁ x + A₂ b₁ + b₂) + A₄ b₃ + b₄");
    /// assert!(!partly.complete);
    /// # Ok::<(), nn_theory::generic::Error>(())
    /// ```
    pub fn expansion(&self) -> Expansion {
        let first = self
            .activations()
            .iter()
            .enumerate()
            .find_map(|(index, activation)| match activation {
                Activation::Named(name) => Some((index + 1, name.as_str())),
                Activation::Identity => None,
            });
        let notation = |style: &Style| Notation {
            nested: self.nested(style),
            expanded: self.expanded(style),
        };
        let (unicode, latex, mathml) = (notation(&UNICODE), notation(&LATEX), notation(&MATHML));
        // A function after the last layer leaves an affine map inside, but y is not affine in x.
        let reason = match first {
            None => {
                "f(x) = x in every layer, and A(u + v) = Au + Av, so every bracket can be multiplied out.".to_owned()
            }
            Some((layer, name)) => {
                let stop = if unicode.expanded.is_some() {
                    "only the runs of layers with f(x) = x between such functions can be multiplied out"
                } else {
                    "no bracket can be multiplied out"
                };
                format!(
                    "Layer {layer} applies {name}: in general {name}(u + v) ≠ {name}(u) + {name}(v) and \
                     {name}(Au) ≠ A {name}(u), so {stop}.{}",
                    counterexample(name)
                )
            }
        };
        let complete = first.is_none();
        Expansion {
            unicode,
            latex,
            mathml,
            complete,
            terms: complete.then_some(self.depth() + 1),
            reason,
        }
    }

    fn nested(&self, style: &Style) -> String {
        let mut inner = style.x.to_owned();
        let mut atomic = true;
        for (index, activation) in self.activations().iter().enumerate() {
            let (a, b) = ((style.symbol)('A', index + 1), (style.symbol)('b', index + 1));
            let open = if atomic && index > 0 { style.gap } else { "" };
            let argument = if atomic {
                format!("{open}{inner}")
            } else {
                format!("{}{inner}{}", style.open, style.close)
            };
            (inner, atomic) = wrap(style, activation, format!("{a}{argument}{}{b}", style.plus));
        }
        inner
    }

    fn expanded(&self, style: &Style) -> Option<String> {
        let mut inner = style.x.to_owned();
        let mut first = 1;
        let mut merged = false;
        for (index, activation) in self.activations().iter().enumerate() {
            let last = index + 1;
            if *activation == Activation::Identity && last < self.depth() {
                continue;
            }
            merged |= last > first;
            let product = |above: usize| {
                (above + 1..=last)
                    .rev()
                    .map(|k| (style.symbol)('A', k))
                    .collect::<String>()
            };
            let mut terms = vec![format!("{}{}{inner}", product(first - 1), style.gap)];
            terms.extend((first..last).map(|k| format!("{}{}{}", product(k), style.gap, (style.symbol)('b', k))));
            terms.push((style.symbol)('b', last));
            inner = wrap(style, activation, terms.join(style.plus)).0;
            first = last + 1;
        }
        merged.then_some(inner)
    }
}

/// `f(sum)`, which stands without brackets as a factor, or the sum, which does not.
fn wrap(style: &Style, activation: &Activation, sum: String) -> (String, bool) {
    match activation {
        Activation::Identity => (sum, false),
        Activation::Named(name) => (
            format!("{}{}{sum}{}", (style.function)(name), style.open, style.close),
            true,
        ),
    }
}

/// Two numbers for which a well-known function is not additive.
fn counterexample(name: &str) -> String {
    let (function, u, v): (fn(f64) -> f64, f64, f64) = match name.to_ascii_lowercase().as_str() {
        "relu" => (|x| x.max(0.0), 1.0, -1.0),
        "tanh" => (f64::tanh, 1.0, 1.0),
        "sigmoid" => (|x| 1.0 / (1.0 + (-x).exp()), 0.0, 0.0),
        _ => return String::new(),
    };
    let (whole, parts) = (function(u + v), function(u) + function(v));
    let sign = if v < 0.0 { "−" } else { "+" };
    let (alone, size) = (v.to_string().replace('-', "−"), v.abs());
    format!(" For instance {name}({u} {sign} {size}) = {whole:.3}, but {name}({u}) + {name}({alone}) = {parts:.3}.")
}
