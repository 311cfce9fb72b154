//! The wire format of protocol buffers: what ONNX files are made of.
//!
//! Reading looks at the bytes where they lie and builds nothing: a field is a number and a slice. A message of an ONNX model is
//! never larger in memory than in the file, whatever it claims.
//!
//! Source: <https://protobuf.dev/programming-guides/encoding/>.

use crate::fault::{Fault, Result};

/// A field's value as the wire has it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Wire<'a> {
    /// A whole number.
    Number(u64),
    /// Eight bytes.
    Eight([u8; 8]),
    /// Text, bytes, a message, or numbers one behind the other.
    Bytes(&'a [u8]),
    /// Four bytes.
    Four([u8; 4]),
}

/// A message, and where in the file it begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) offset: usize,
}

/// One field of a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field<'a> {
    pub(super) number: u64,
    pub(super) wire: Wire<'a>,
    /// Where its value begins in the file.
    pub(super) offset: usize,
}

impl<'a> Message<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Message { bytes, offset: 0 }
    }

    /// The fields one after the other.
    pub(super) fn fields(self) -> Fields<'a> {
        Fields { message: self, at: 0 }
    }
}

/// Goes through the fields of a message.
pub(super) struct Fields<'a> {
    message: Message<'a>,
    at: usize,
}

impl<'a> Fields<'a> {
    fn varint(&mut self) -> Result<u64> {
        let start = self.message.offset + self.at;
        let mut number = 0u64;
        for place in 0..10 {
            let Some(&byte) = self.message.bytes.get(self.at) else {
                return Err(Fault::new(format!("byte {start}"), "ends within a number"));
            };
            self.at += 1;
            number |= u64::from(byte & 0x7f).checked_shl(7 * place).unwrap_or(0);
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Fault::new(format!("byte {start}"), "a number of more than ten bytes"))
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8]> {
        let left = self.message.bytes.len() - self.at;
        let taken = usize::try_from(length)
            .ok()
            .filter(|&length| length <= left)
            .map(|length| &self.message.bytes[self.at..self.at + length]);
        let Some(taken) = taken else {
            let place = format!("byte {}", self.message.offset + self.at);
            return Err(Fault::new(place, format!("a field of {length} bytes, {left} are left")));
        };
        self.at += taken.len();
        Ok(taken)
    }

    fn field(&mut self) -> Result<Field<'a>> {
        let start = self.message.offset + self.at;
        let key = self.varint()?;
        let (number, kind) = (key >> 3, key & 7);
        let length = match kind {
            2 => self.varint()?,
            1 => 8,
            _ => 4,
        };
        let offset = self.message.offset + self.at;
        let wire = match kind {
            0 => {
                self.at = offset - self.message.offset;
                Wire::Number(self.varint()?)
            }
            1 => Wire::Eight(self.take(length)?.try_into().unwrap_or_default()),
            2 => Wire::Bytes(self.take(length)?),
            5 => Wire::Four(self.take(length)?.try_into().unwrap_or_default()),
            _ => {
                return Err(Fault::new(
                    format!("byte {start}"),
                    format!("no protocol buffer: a field of kind {kind}"),
                ));
            }
        };
        if number == 0 {
            return Err(Fault::new(
                format!("byte {start}"),
                "no protocol buffer: a field with the number 0",
            ));
        }
        Ok(Field { number, wire, offset })
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.message.bytes.len() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.at = self.message.bytes.len();
        }
        Some(field)
    }
}

impl<'a> Field<'a> {
    fn wrong(&self, expected: &str) -> Fault {
        Fault::new(
            format!("byte {}", self.offset),
            format!("field {} is no {expected}", self.number),
        )
    }

    pub(super) fn message(&self) -> Result<Message<'a>> {
        match self.wire {
            Wire::Bytes(bytes) => Ok(Message {
                bytes,
                offset: self.offset,
            }),
            _ => Err(self.wrong("message")),
        }
    }

    pub(super) fn bytes(&self) -> Result<&'a [u8]> {
        Ok(self.message()?.bytes)
    }

    pub(super) fn text(&self) -> Result<&'a str> {
        std::str::from_utf8(self.bytes()?).map_err(|_| self.wrong("text in UTF-8"))
    }

    pub(super) fn int(&self) -> Result<i64> {
        match self.wire {
            Wire::Number(number) => Ok(number as i64),
            _ => Err(self.wrong("whole number")),
        }
    }

    pub(super) fn float(&self) -> Result<f32> {
        match self.wire {
            Wire::Four(bytes) => Ok(f32::from_le_bytes(bytes)),
            _ => Err(self.wrong("number of four bytes")),
        }
    }

    /// Whole numbers, one (as old writers repeat the field) or many.
    pub(super) fn ints(&self, into: &mut Vec<i64>) -> Result<()> {
        match self.wire {
            Wire::Number(number) => into.push(number as i64),
            Wire::Bytes(bytes) => {
                let message = Message {
                    bytes,
                    offset: self.offset,
                };
                let mut numbers = message.fields();
                while numbers.at < bytes.len() {
                    into.push(numbers.varint()? as i64);
                }
            }
            _ => return Err(self.wrong("list of whole numbers")),
        }
        Ok(())
    }

    /// Numbers of `N` bytes, one or many.
    pub(super) fn packed<const N: usize>(&self, into: &mut Vec<u8>) -> Result<()> {
        match self.wire {
            Wire::Bytes(bytes) if bytes.len() % N == 0 => into.extend_from_slice(bytes),
            Wire::Four(bytes) if N == 4 => into.extend_from_slice(&bytes),
            Wire::Eight(bytes) if N == 8 => into.extend_from_slice(&bytes),
            _ => return Err(self.wrong("list of numbers")),
        }
        Ok(())
    }
}

/// A message under construction.
#[derive(Clone, Debug, Default)]
pub(super) struct Writer(pub(super) Vec<u8>);

impl Writer {
    pub(super) fn new() -> Self {
        Writer::default()
    }

    fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    /// The beginning of a field of so many bytes, which the caller writes.
    pub(super) fn length(&mut self, field: u64, length: usize) {
        self.varint(field << 3 | 2);
        self.varint(length as u64);
    }

    pub(super) fn int(mut self, field: u64, number: i64) -> Self {
        self.varint(field << 3);
        self.varint(number as u64);
        self
    }

    pub(super) fn float(mut self, field: u64, number: f32) -> Self {
        self.varint(field << 3 | 5);
        self.0.extend(number.to_le_bytes());
        self
    }

    pub(super) fn bytes(mut self, field: u64, bytes: &[u8]) -> Self {
        self.length(field, bytes.len());
        self.0.extend_from_slice(bytes);
        self
    }

    pub(super) fn text(self, field: u64, text: &str) -> Self {
        self.bytes(field, text.as_bytes())
    }

    pub(super) fn message(self, field: u64, message: &Writer) -> Self {
        self.bytes(field, &message.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let message = Writer::new()
            .int(1, -3)
            .text(2, "name")
            .float(3, 0.5)
            .bytes(4, &[1, 0xac, 2]);
        let fields: Vec<Field<'_>> = Message::new(&message.0).fields().collect::<Result<_>>().unwrap();
        assert_eq!(
            fields.iter().map(|field| field.number).collect::<Vec<_>>(),
            [1, 2, 3, 4]
        );
        assert_eq!(fields[0].int().unwrap(), -3);
        assert_eq!(fields[1].text().unwrap(), "name");
        assert_eq!(fields[2].float().unwrap(), 0.5);
        let mut numbers = Vec::new();
        fields[3].ints(&mut numbers).unwrap();
        assert_eq!(numbers, [1, 300]);
    }

    #[test]
    fn lengths_that_lie_are_told_with_their_place() {
        let fault = Message::new(&[0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f])
            .fields()
            .next()
            .unwrap()
            .unwrap_err();
        assert_eq!(
            (fault.place.as_str(), fault.reason.as_str()),
            ("byte 6", "a field of 4294967295 bytes, 0 are left")
        );
        assert!(Message::new(&[0x80; 11]).fields().next().unwrap().is_err());
        assert!(Message::new(&[0x0b]).fields().next().unwrap().is_err());
    }
}
