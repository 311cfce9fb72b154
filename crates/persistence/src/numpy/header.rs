//! The header of an `.npy` file: a Python dictionary of three entries.

use safetensors::Dtype;

use crate::fault::{Fault, Result, quoted};

/// The first bytes of the format.
pub(crate) const MAGIC: &[u8] = b"\x93NUMPY";

/// Longer headers belong to structured types; NumPy itself refuses more than 10,000.
const MAX_HEADER: usize = 10_000;

/// NumPy's own limit.
const MAX_AXES: usize = 64;

/// What a header says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) dtype: Dtype,
    pub(super) big_endian: bool,
    pub(super) fortran_order: bool,
    pub(super) shape: Vec<usize>,
    /// Where the numbers begin.
    pub(super) end: usize,
}

/// NumPy's letters for a number format.
pub(super) fn descr(dtype: Dtype) -> Option<&'static str> {
    Some(match dtype {
        Dtype::BOOL => "|b1",
        Dtype::U8 => "|u1",
        Dtype::I8 => "|i1",
        Dtype::U16 => "<u2",
        Dtype::I16 => "<i2",
        Dtype::U32 => "<u4",
        Dtype::I32 => "<i4",
        Dtype::U64 => "<u8",
        Dtype::I64 => "<i8",
        Dtype::F16 => "<f2",
        Dtype::F32 => "<f4",
        Dtype::F64 => "<f8",
        _ => return None,
    })
}

fn number_format(descr: &str) -> Result<(Dtype, bool)> {
    let refused = |why: &str| Fault::new("'descr'", format!("the number format '{}' {why}", quoted(descr)));
    let mut letters = descr.chars();
    let order = letters.next().unwrap_or(' ');
    let dtype = match letters.as_str() {
        "b1" => Dtype::BOOL,
        "u1" => Dtype::U8,
        "i1" => Dtype::I8,
        "u2" => Dtype::U16,
        "i2" => Dtype::I16,
        "u4" => Dtype::U32,
        "i4" => Dtype::I32,
        "u8" => Dtype::U64,
        "i8" => Dtype::I64,
        "f2" => Dtype::F16,
        "f4" => Dtype::F32,
        "f8" => Dtype::F64,
        kind if kind.starts_with('O') => {
            return Err(refused(
                "holds Python objects, which only running code can read; save arrays of numbers",
            ));
        }
        kind if kind.starts_with(['U', 'S']) => return Err(refused("is text; only arrays of numbers are read")),
        kind if kind.starts_with('V') => {
            return Err(refused(
                "has no meaning in NumPy itself (bfloat16 of ml_dtypes, for example); save it as float32",
            ));
        }
        _ => return Err(refused("is not read; use bool, int, uint or float of 1 to 8 bytes")),
    };
    match order {
        '<' | '|' | '=' => Ok((dtype, false)),
        '>' => Ok((dtype, true)),
        _ => Err(refused("does not begin with the order of its bytes: <, >, | or =")),
    }
}

impl Header {
    pub(super) fn read(bytes: &[u8]) -> Result<Self> {
        if !bytes.starts_with(MAGIC) {
            return Err(Fault::new("byte 0", "an array begins with \\x93NUMPY"));
        }
        let truncated = || Fault::new(format!("byte {}", bytes.len()), "the file ends within the header");
        let [major, _] = *bytes.get(6..8).ok_or_else(truncated)? else {
            return Err(truncated());
        };
        let (length, start) = match (major, &bytes[8..]) {
            (1, [a, b, ..]) => (usize::from(u16::from_le_bytes([*a, *b])), 10),
            (2 | 3, [a, b, c, d, ..]) => (u32::from_le_bytes([*a, *b, *c, *d]) as usize, 12),
            (1..=3, _) => return Err(truncated()),
            _ => {
                return Err(Fault::new(
                    "byte 6",
                    format!("version {major}; versions 1 to 3 are read"),
                ));
            }
        };
        if length > MAX_HEADER {
            let reason = format!("a header of {length} bytes, at most {MAX_HEADER} are read");
            return Err(Fault::new("byte 8", reason));
        }
        let end = start + length;
        let text = bytes.get(start..end).ok_or_else(truncated)?;
        let text = std::str::from_utf8(text).map_err(|_| Fault::new("the header", "is not UTF-8"))?;
        let mut parser = Parser { text, at: 0 };
        parser.dictionary(end).map_err(|fault| fault.within("the header"))
    }
}

/// Reads the literals that a header is made of, and nothing else of Python.
struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    fn rest(&mut self) -> &'a str {
        let rest = self.text[self.at..].trim_start();
        self.at = self.text.len() - rest.len();
        rest
    }

    fn takes(&mut self, literal: &str) -> bool {
        let found = self.rest().starts_with(literal);
        if found {
            self.at += literal.len();
        }
        found
    }

    fn expected(&mut self, what: &str) -> Fault {
        let found = quoted(self.rest());
        Fault::new(
            format!("character {}", self.at),
            format!("expected {what}, found '{found}'"),
        )
    }

    fn needs(&mut self, literal: &str) -> Result<()> {
        if self.takes(literal) {
            return Ok(());
        }
        Err(self.expected(&format!("'{literal}'")))
    }

    fn string(&mut self) -> Result<&'a str> {
        let quote = if self.takes("'") {
            '\''
        } else if self.takes("\"") {
            '"'
        } else {
            return Err(self.expected("a text in quotes"));
        };
        let rest = &self.text[self.at..];
        match rest.find(quote) {
            Some(end) => {
                self.at += end + 1;
                Ok(&rest[..end])
            }
            None => Err(self.expected("the end of a text")),
        }
    }

    fn shape(&mut self) -> Result<Vec<usize>> {
        self.needs("(")?;
        let mut shape = Vec::new();
        loop {
            if self.takes(")") {
                return Ok(shape);
            }
            let rest = self.rest();
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let Ok(size) = rest[..digits].parse() else {
                return Err(self.expected("a size"));
            };
            self.at += digits;
            // Python 2 wrote `3L`.
            self.takes("L");
            shape.push(size);
            if shape.len() > MAX_AXES {
                return Err(self.expected(&format!("at most {MAX_AXES} axes")));
            }
            if !self.takes(",") {
                self.needs(")")?;
                return Ok(shape);
            }
        }
    }

    fn dictionary(&mut self, end: usize) -> Result<Header> {
        let (mut format, mut fortran_order, mut shape) = (None, None, None);
        self.needs("{")?;
        while !self.takes("}") {
            let key = self.string()?;
            self.needs(":")?;
            let known = match key {
                "descr" if self.rest().starts_with('[') => {
                    return Err(Fault::new(
                        "'descr'",
                        "is a structured type; only arrays of plain numbers are read",
                    ));
                }
                "descr" => format.replace(number_format(self.string()?)?).is_none(),
                "fortran_order" if self.takes("True") => fortran_order.replace(true).is_none(),
                "fortran_order" if self.takes("False") => fortran_order.replace(false).is_none(),
                "shape" => {
                    let found = self.shape()?;
                    shape.replace(found).is_none()
                }
                _ => false,
            };
            if !known {
                return Err(self.expected("'descr', 'fortran_order' (True or False) and 'shape', each once"));
            }
            if !self.takes(",") {
                self.needs("}")?;
                break;
            }
        }
        if !self.rest().is_empty() {
            return Err(self.expected("the end"));
        }
        match (format, fortran_order, shape) {
            (Some((dtype, big_endian)), Some(fortran_order), Some(shape)) => Ok(Header {
                dtype,
                big_endian,
                fortran_order,
                shape,
                end,
            }),
            _ => Err(self.expected("'descr', 'fortran_order' and 'shape'")),
        }
    }
}
