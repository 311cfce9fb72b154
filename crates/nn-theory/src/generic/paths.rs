//! Paths: the monomials of the scalar formula of an output, counted by products of masks.

use super::{Error, Mask, Network, Result};

/// Most monomials that are ever multiplied out one by one.
const MAX_MONOMIALS: u128 = 1_000_000;

/// How many monomials the expanded scalar formula of one output has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathCounts {
    /// The output, counted from 1.
    pub output: usize,
    /// `starts[k]` is the number of paths from layer k to this output: `starts[0]` monomials end in an input,
    /// `starts[k]` in an entry of `b_k`.
    pub starts: Vec<u128>,
    /// Paths from each input to this output: a row of the product of the masks.
    pub from_inputs: Vec<u128>,
}

impl PathCounts {
    /// Paths from the inputs.
    pub fn input_paths(&self) -> u128 {
        self.starts[0]
    }

    /// All monomials.
    ///
    /// # Errors
    /// [`Error::Overflow`].
    pub fn monomials(&self) -> Result<u128> {
        self.starts.iter().try_fold(0, |sum, &count| add(sum, count))
    }

    /// Multiplications of the monomials: one that starts in layer k of L has `L − k` weights.
    ///
    /// # Errors
    /// [`Error::Overflow`].
    pub fn multiplications(&self) -> Result<u128> {
        let depth = self.starts.len() - 1;
        self.starts.iter().enumerate().try_fold(0u128, |sum, (layer, &count)| {
            add(
                sum,
                count
                    .checked_mul((depth - layer) as u128)
                    .ok_or_else(|| Error::overflow("a number of paths"))?,
            )
        })
    }
}

/// The first monomials of the expanded formula of one output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScalarFormula {
    /// For the terminal, `A₄[1,2]` is an entry of A4.
    pub unicode: String,
    /// For the page.
    pub latex: String,
    /// For a page without a typesetter: the children of a `<math>` element.
    pub mathml: String,
    /// Monomials written.
    pub written: usize,
}

serialize_fields!(ScalarFormula {
    unicode,
    latex,
    mathml,
    written
});

fn add(a: u128, b: u128) -> Result<u128> {
    a.checked_add(b).ok_or_else(|| Error::overflow("a number of paths"))
}

impl Network {
    /// Paths to each output.
    ///
    /// # Errors
    /// [`Error::Overflow`] beyond 128 bits.
    pub fn path_counts(&self) -> Result<Vec<PathCounts>> {
        (0..self.outputs())
            .map(|output| {
                let mut row: Vec<u128> = (0..self.outputs()).map(|i| u128::from(i == output)).collect();
                let mut starts = vec![1];
                for mask in self.masks().iter().rev() {
                    row = row_times(&row, mask)?;
                    starts.push(row.iter().try_fold(0, |sum, &count| add(sum, count))?);
                }
                starts.reverse();
                Ok(PathCounts {
                    output: output + 1,
                    starts,
                    from_inputs: row,
                })
            })
            .collect()
    }

    pub(super) fn check_monomials(&self) -> Result<()> {
        let total = self
            .path_counts()?
            .iter()
            .try_fold(0, |sum, counts| add(sum, counts.monomials()?))?;
        if total > MAX_MONOMIALS {
            let found = usize::try_from(total).unwrap_or(usize::MAX);
            return Err(Error::TooLarge {
                what: "monomials".to_owned(),
                limit: MAX_MONOMIALS as usize,
                found,
            });
        }
        Ok(())
    }

    /// The expanded formula of one output (counted from 1) as a sum over paths, cut after `limit` monomials
    /// (at most a million).
    ///
    /// ```
    /// let net: nn_theory::generic::Network = "layer\n1 0\n1 1\nlayer\n1 1".parse()?;
    /// let formula = net.scalar_formula(1, 2)?;
    /// assert_eq!(formula.unicode, "y₁ = A₂[1,1]·A₁[1,1]·x₁ + A₂[1,2]·A₁[2,1]·x₁ + … (4 more)");
    /// # Ok::<(), nn_theory::generic::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NotLinear`], [`Error::NoSuchOutput`], [`Error::Overflow`] of the count.
    pub fn scalar_formula(&self, output: usize, limit: usize) -> Result<ScalarFormula> {
        self.require_linear()?;
        let outputs = self.outputs();
        let row = output.checked_sub(1).filter(|&row| row < outputs);
        let row = row.ok_or(Error::NoSuchOutput { index: output, outputs })?;
        let limit = limit.min(MAX_MONOMIALS as usize);
        let total = self.path_counts()?[row].monomials()?;
        let mut paths = Vec::new();
        for start in 0..=self.depth() {
            let reached = self.reached_from(start);
            self.collect_paths(start, limit, &reached, &mut vec![row], &mut paths);
        }
        let (mut unicode, mut latex, mut mathml) = (Vec::new(), Vec::new(), Vec::new());
        for path in &paths {
            let (mut text, mut tex, mut math) = (Vec::new(), Vec::new(), String::new());
            for (step, edge) in path.windows(2).enumerate() {
                let (k, i, j) = (self.depth() - step, edge[0] + 1, edge[1] + 1);
                text.push(format!("A{}[{i},{j}]", subscript(k)));
                tex.push(format!("A_{{{k}}}^{{({i},{j})}}"));
                math += &entry("A", k, &format!("<mn>{i}</mn><mo>,</mo><mn>{j}</mn>"));
            }
            let (layer, tail) = (self.depth() + 1 - path.len(), path[path.len() - 1] + 1);
            if layer == 0 {
                text.push(format!("x{}", subscript(tail)));
                tex.push(format!("x_{{{tail}}}"));
                math += &format!("<msub><mi>x</mi><mn>{tail}</mn></msub>");
            } else {
                text.push(format!("b{}[{tail}]", subscript(layer)));
                tex.push(format!("b_{{{layer}}}^{{({tail})}}"));
                math += &entry("b", layer, &format!("<mn>{tail}</mn>"));
            }
            unicode.push(text.join("·"));
            latex.push(tex.join(r" \, "));
            mathml.push(format!("<mrow>{math}</mrow>"));
        }
        let left = total - paths.len() as u128;
        if left > 0 {
            unicode.push(format!("… ({left} more)"));
            latex.push(r"\cdots".to_owned());
            mathml.push("<mo>⋯</mo>".to_owned());
        }
        Ok(ScalarFormula {
            unicode: format!("y{} = {}", subscript(output), unicode.join(" + ")),
            latex: format!("y_{{{output}}} = {}", latex.join(" + ")),
            mathml: format!(
                "<msub><mi>y</mi><mn>{output}</mn></msub><mo>=</mo>{}",
                mathml.join("<mo>+</mo>")
            ),
            written: paths.len(),
        })
    }

    /// Paths from layer `start` up, each listed from the output down, at most `limit`. Only neurons that layer `start`
    /// reaches are entered, so no branch is walked in vain.
    fn collect_paths(
        &self,
        start: usize,
        limit: usize,
        reached: &[Vec<bool>],
        path: &mut Vec<usize>,
        paths: &mut Vec<Vec<usize>>,
    ) {
        if paths.len() >= limit {
            return;
        }
        let layer = self.depth() + 1 - path.len();
        if layer == start {
            paths.push(path.clone());
            return;
        }
        let neuron = path[path.len() - 1];
        for j in self.masks()[layer - 1]
            .drawn_in_row(neuron)
            .filter(|&j| reached[layer - 1][j])
        {
            path.push(j);
            self.collect_paths(start, limit, reached, path, paths);
            path.pop();
        }
    }
}

/// An entry of a matrix or bias in MathML.
fn entry(letter: &str, layer: usize, indices: &str) -> String {
    format!("<msubsup><mi>{letter}</mi><mn>{layer}</mn><mrow><mo>(</mo>{indices}<mo>)</mo></mrow></msubsup>")
}

fn row_times(row: &[u128], mask: &Mask) -> Result<Vec<u128>> {
    let mut sums = vec![0u128; mask.columns()];
    for (i, &count) in row.iter().enumerate().filter(|(_, count)| **count > 0) {
        for j in mask.drawn_in_row(i) {
            sums[j] = add(sums[j], count)?;
        }
    }
    Ok(sums)
}

/// `12` as `₁₂`.
pub(super) fn subscript(number: usize) -> String {
    let digit = |digit: char| {
        digit
            .to_digit(10)
            .and_then(|value| char::from_u32(0x2080 + value))
            .unwrap_or(digit)
    };
    number.to_string().chars().map(digit).collect()
}
