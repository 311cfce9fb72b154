//! Output sizes and paddings of convolutions as formulas in figures, and the indices behind them.

use super::{Axis, Padding};

/// A size of an output with where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OutputSize {
    /// The rule in names: `⌊(n + p − ((k − 1) d + 1)) / s⌋ + 1`.
    pub symbols: String,
    /// The rule in figures with its result: `⌊(28 + 3 − 5) / 2⌋ + 1 = 14`.
    pub figures: String,
    /// The rule in LaTeX.
    pub latex: String,
    /// The size.
    pub value: u64,
    /// Zeros before and after the values (of a transposed convolution: values cut off the full result).
    pub padding: (u64, u64),
}

serialize_fields!(OutputSize {
    symbols,
    figures,
    latex,
    value,
    padding
});

impl Axis {
    /// The output size as a formula; `None` under the conditions of [`Axis::output`].
    ///
    /// ```
    /// use nn_theory::{Padding, convolution::Axis};
    /// let axis = Axis { input: 28, kernel: 5, stride: 2, dilation: 1 };
    /// let size = axis.explain(Padding::Same).unwrap();
    /// assert_eq!(size.figures, "⌊(28 + 1 + 2 − ((5 − 1) · 1 + 1)) / 2⌋ + 1 = 14");
    /// assert_eq!(size.padding, (1, 2));
    /// ```
    pub fn explain(&self, padding: Padding) -> Option<OutputSize> {
        let (before, after) = self.padding(padding)?;
        let value = self.output(padding)?;
        let Self {
            input: n,
            kernel: k,
            stride: s,
            dilation: d,
        } = self;
        let fits = self.span()? <= n.checked_add(before)?.checked_add(after)?;
        Some(OutputSize {
            symbols: "⌊(n + before + after − ((k − 1) d + 1)) / s⌋ + 1".to_owned(),
            figures: if fits {
                format!("⌊({n} + {before} + {after} − (({k} − 1) · {d} + 1)) / {s}⌋ + 1 = {value}")
            } else {
                format!("0: the kernel spans ({k} − 1) · {d} + 1 values, more than {n} + {before} + {after}")
            },
            latex: format!(
                r"\left\lfloor \frac{{{n} + {before} + {after} - (({k} - 1) \cdot {d} + 1)}}{{{s}}} \right\rfloor + 1 = {value}"
            ),
            value,
            padding: (before, after),
        })
    }

    /// As [`Axis::explain`], for the transposed convolution.
    ///
    /// ```
    /// use nn_theory::{Padding, convolution::Axis};
    /// let axis = Axis { input: 7, kernel: 3, stride: 2, dilation: 1 };
    /// assert_eq!(axis.explain_transposed(Padding::Same, None).unwrap().figures, "7 · 2 = 14");
    /// assert_eq!(
    ///     axis.explain_transposed(Padding::Same, Some(0)).unwrap().figures,
    ///     "(7 − 1) · 2 + ((3 − 1) · 1 + 1) − 1 − 1 + 0 = 13"
    /// );
    /// ```
    pub fn explain_transposed(&self, padding: Padding, output_padding: Option<u64>) -> Option<OutputSize> {
        let value = self.transposed_output(padding, output_padding)?;
        let (before, after) = self.transposed_cut(padding, output_padding)?;
        let Self {
            input: n,
            kernel: k,
            stride: s,
            dilation: d,
        } = self;
        let (symbols, left, left_latex) = match (padding, output_padding) {
            (Padding::Same, None) => ("n s".to_owned(), format!("{n} · {s}"), format!(r"{n} \cdot {s}")),
            (_, None) => (
                "n s + max((k − 1) d + 1 − s, 0)".to_owned(),
                format!("{n} · {s} + max(({k} − 1) · {d} + 1 − {s}, 0)"),
                format!(r"{n} \cdot {s} + \max(({k} - 1) \cdot {d} + 1 - {s}, 0)"),
            ),
            (padding, Some(p)) => {
                let cut = if padding == Padding::Same { self.span()? / 2 } else { 0 };
                (
                    "(n − 1) s + ((k − 1) d + 1) − before − after + p".to_owned(),
                    format!("({n} − 1) · {s} + (({k} − 1) · {d} + 1) − {cut} − {cut} + {p}"),
                    format!(r"({n} - 1) \cdot {s} + (({k} - 1) \cdot {d} + 1) - {cut} - {cut} + {p}"),
                )
            }
        };
        Some(OutputSize {
            symbols,
            figures: format!("{left} = {value}"),
            latex: format!("{left_latex} = {value}"),
            value,
            padding: (before, after),
        })
    }

    /// The input values that output `index` is made of, by their places; negative places and places beyond the input are
    /// zeros of the padding. Empty where no such output exists.
    ///
    /// ```
    /// use nn_theory::{Padding, convolution::Axis};
    /// let axis = Axis { input: 4, kernel: 3, stride: 2, dilation: 1 };
    /// assert_eq!(axis.window(0, Padding::Same), [0, 1, 2]);
    /// assert_eq!(axis.window(1, Padding::Same), [2, 3, 4]); // the zero stands behind the values
    /// ```
    pub fn window(&self, index: u64, padding: Padding) -> Vec<i128> {
        let (Some(outputs), Some((before, _))) = (self.output(padding), self.padding(padding)) else {
            return Vec::new();
        };
        if index >= outputs || self.kernel > MAX_WINDOW {
            return Vec::new();
        }
        let first = i128::from(index) * i128::from(self.stride) - i128::from(before);
        (0..self.kernel)
            .map(|tap| first + i128::from(tap) * i128::from(self.dilation))
            .collect()
    }
}

/// Longest window whose places are listed.
const MAX_WINDOW: u64 = 1 << 20;
