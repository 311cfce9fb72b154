//! The text form of a network: `layer` opens a matrix, rows of `0` and `1` follow.
//!
//! ```text
//! name: three in, one out     # a comment ends with its line
//! layer tanh                  # the activation is optional, f(x) = x without it
//!   1 1 0
//!   011                       # blanks between the entries are optional
//! layer
//!   1 1
//! ```

use std::fmt;
use std::str::FromStr;

use super::network::{MAX_DEPTH, MAX_ENTRIES, MAX_WIDTH};
use super::{Activation, Error, Mask, Network, Result};

struct Parser {
    name: Option<String>,
    activations: Vec<Activation>,
    matrices: Vec<Vec<Vec<u8>>>,
    entries: usize,
    /// Line of the last `layer`.
    opened: usize,
}

fn syntax<T>(line: usize, column: usize, problem: impl Into<String>) -> Result<T> {
    Err(Error::Syntax {
        line,
        column,
        problem: problem.into(),
    })
}

/// Reads the text form; every error carries line and column.
///
/// ```
/// use nn_theory::generic::Network;
/// let net: Network = "layer\n 1 0 1\n 0 1 1\nlayer\n 1 1\n".parse()?;
/// assert_eq!(net.widths(), [3, 2, 1]);
/// let error = "layer\n 1 0 1\n 0 2 1\n".parse::<Network>().unwrap_err();
/// assert_eq!(error.to_string(), "line 3, column 4: '2' is no connection; use 1 for a drawn edge and 0 for none");
/// # Ok::<(), nn_theory::generic::Error>(())
/// ```
impl FromStr for Network {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut parser = Parser {
            name: None,
            activations: Vec::new(),
            matrices: Vec::new(),
            entries: 0,
            opened: 0,
        };
        let mut last = 1;
        for (index, raw) in text.lines().enumerate() {
            last = index + 1;
            let raw = if index == 0 {
                raw.strip_prefix('\u{feff}').unwrap_or(raw)
            } else {
                raw
            };
            let content = raw.split('#').next().unwrap_or("").trim_end();
            let start = content.chars().take_while(|c| c.is_whitespace()).count() + 1;
            let content = content.trim_start();
            if content.is_empty() {
                continue;
            }
            if let Some(name) = content.strip_prefix("name:") {
                parser.read_name(name, last, start)?;
            } else if content.starts_with("layer") {
                parser.open_layer(content, last, start)?;
            } else {
                parser.read_row(content, last, start)?;
            }
        }
        parser.close_layer()?;
        if parser.matrices.is_empty() {
            return syntax(
                last,
                1,
                "no layer found; open a matrix with 'layer' and give its rows of 0 and 1",
            );
        }
        let named = |(index, rows): (usize, &Vec<Vec<u8>>)| Mask::from_rows(&format!("A{}", index + 1), rows);
        let masks = parser
            .matrices
            .iter()
            .enumerate()
            .map(named)
            .collect::<Result<Vec<_>>>()?;
        Self::new(parser.name.as_deref().unwrap_or("network"), masks)?.with_activations(parser.activations)
    }
}

impl Parser {
    fn read_name(&mut self, name: &str, line: usize, column: usize) -> Result<()> {
        if !self.matrices.is_empty() || self.name.is_some() {
            return syntax(line, column, "'name:' is given once, before the first layer");
        }
        self.name = Some(name.trim().to_owned());
        Ok(())
    }

    fn open_layer(&mut self, content: &str, line: usize, column: usize) -> Result<()> {
        self.close_layer()?;
        let rest = &content["layer".len()..];
        if rest.starts_with(|next: char| !next.is_whitespace()) {
            return syntax(
                line,
                column,
                format!("'{}' is not known; expected 'layer'", shorten(content)),
            );
        }
        if self.matrices.len() == MAX_DEPTH {
            return syntax(line, column, format!("more than {MAX_DEPTH} layers"));
        }
        match Activation::named(rest.trim()) {
            Ok(activation) => self.activations.push(activation),
            Err(error) => {
                let blanks = rest.chars().take_while(|c| c.is_whitespace()).count();
                return syntax(line, column + "layer".len() + blanks, error.to_string());
            }
        }
        self.matrices.push(Vec::new());
        self.opened = line;
        Ok(())
    }

    fn close_layer(&self) -> Result<()> {
        match self.matrices.last() {
            Some(rows) if rows.is_empty() => syntax(self.opened, 1, "this layer has no row; give one for each neuron"),
            _ => Ok(()),
        }
    }

    fn read_row(&mut self, content: &str, line: usize, start: usize) -> Result<()> {
        let count = self.matrices.len();
        if count == 0 {
            return syntax(line, start, "expected 'name:' or 'layer' before the first row");
        }
        let mut row = Vec::new();
        let mut end = start;
        // Where each entry stands, so that a row that is too long is reported at its first surplus entry.
        let mut columns = Vec::new();
        for (offset, entry) in content.chars().enumerate() {
            end = start + offset + 1;
            match entry {
                '0' | '1' => {
                    row.push(u8::from(entry == '1'));
                    columns.push(start + offset);
                }
                _ if entry.is_whitespace() => continue,
                _ => {
                    let problem = format!("'{entry}' is no connection; use 1 for a drawn edge and 0 for none");
                    return syntax(line, start + offset, problem);
                }
            }
            if row.len() > MAX_WIDTH {
                return syntax(line, start + offset, format!("more than {MAX_WIDTH} entries in a row"));
            }
        }
        let first = self.matrices[count - 1].first().map(Vec::len);
        let before = count.checked_sub(2).map(|index| self.matrices[index].len());
        let wanted = match (first, before) {
            (Some(width), _) => Some((width, format!("the first row of A{count} has {width}"))),
            (None, Some(width)) => Some((width, format!("the layer before has {width} neurons"))),
            (None, None) => None,
        };
        if let Some((width, why)) = wanted.filter(|(width, _)| *width != row.len()) {
            let column = columns.get(width).copied().unwrap_or(end);
            return syntax(line, column, format!("this row has {} entries, but {why}", row.len()));
        }
        self.entries += row.len();
        if self.matrices[count - 1].len() == MAX_WIDTH || self.entries > MAX_ENTRIES {
            return syntax(
                line,
                start,
                format!("too large: at most {MAX_WIDTH} rows a layer and {MAX_ENTRIES} entries in all"),
            );
        }
        self.matrices[count - 1].push(row);
        Ok(())
    }
}

fn shorten(text: &str) -> String {
    text.chars().take(24).collect()
}

/// The text form; reading it back gives the same network (a `#` in the name ends it, as a comment does).
impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "name: {}", self.name())?;
        for (mask, activation) in self.masks().iter().zip(self.activations()) {
            match activation {
                Activation::Identity => writeln!(f, "layer")?,
                Activation::Named(name) => writeln!(f, "layer {name}")?,
            }
            for row in mask.text_rows() {
                writeln!(f, "  {row}")?;
            }
        }
        Ok(())
    }
}
