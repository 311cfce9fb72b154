//! The messages of an event file, in the wire format of protocol buffers.
//!
//! The fields are those of `tensorflow/core/util/event.proto` and `tensorflow/core/framework/summary.proto`.

/// What an event tells.
pub(super) enum Payload<'a> {
    /// The first event of a file: the version of its format.
    FileVersion(&'a str),
    /// Numbers by name.
    Summary(&'a [Value<'a>]),
}

/// A named figure.
pub(super) struct Value<'a> {
    pub(super) tag: &'a str,
    pub(super) content: Content,
}

pub(super) enum Content {
    Scalar(f32),
    Histogram(Histogram),
}

/// How the values of a tensor are distributed.
#[derive(Debug, PartialEq)]
pub(super) struct Histogram {
    min: f64,
    max: f64,
    num: f64,
    sum: f64,
    sum_squares: f64,
    /// Upper ends of the buckets.
    limits: Vec<f64>,
    /// Values in each bucket.
    counts: Vec<f64>,
}

/// Buckets of a histogram.
const BUCKETS: usize = 30;

impl Histogram {
    /// Of the finite ones of `values`, in buckets of equal width; `None` where there is no such value.
    pub(super) fn of(values: &[f64]) -> Option<Self> {
        let finite = || values.iter().copied().filter(|value| value.is_finite());
        let (min, max) = (finite().fold(f64::MAX, f64::min), finite().fold(f64::MIN, f64::max));
        if min > max {
            return None;
        }
        let width = (max - min) / BUCKETS as f64;
        let buckets = if width > 0.0 { BUCKETS } else { 1 };
        let mut counts = vec![0.0; buckets];
        for value in finite() {
            let bucket = if buckets == 1 {
                0
            } else {
                ((value - min) / width) as usize
            };
            counts[bucket.min(buckets - 1)] += 1.0;
        }
        let limits = (1..buckets).map(|bucket| min + width * bucket as f64).chain([max]);
        Some(Histogram {
            min,
            max,
            num: counts.iter().sum(),
            sum: finite().sum(),
            sum_squares: finite().map(|value| value * value).sum(),
            limits: limits.collect(),
            counts,
        })
    }

    fn message(&self) -> Message {
        let mut message = Message::default();
        for (field, value) in (1..).zip([self.min, self.max, self.num, self.sum, self.sum_squares]) {
            message.double(field, value);
        }
        message.doubles(6, &self.limits);
        message.doubles(7, &self.counts);
        message
    }
}

/// The bytes of an event at a time (seconds since 1970) and a step.
pub(super) fn event(seconds: f64, step: i64, payload: &Payload<'_>) -> Vec<u8> {
    let mut message = Message::default();
    message.double(1, seconds);
    if step != 0 {
        message.varint(2, step as u64);
    }
    match payload {
        Payload::FileVersion(version) => message.bytes(3, version.as_bytes()),
        Payload::Summary(values) => {
            let mut summary = Message::default();
            for value in *values {
                summary.bytes(1, &value_message(value).0);
            }
            message.bytes(5, &summary.0);
        }
    }
    message.0
}

fn value_message(value: &Value<'_>) -> Message {
    let mut message = Message::default();
    message.bytes(1, value.tag.as_bytes());
    match &value.content {
        Content::Scalar(number) => message.float(2, *number),
        Content::Histogram(histogram) => message.bytes(5, &histogram.message().0),
    }
    message
}

/// A message as it grows, field by field.
#[derive(Default)]
struct Message(Vec<u8>);

/// How the value of a field is written.
#[derive(Clone, Copy)]
enum Wire {
    Varint = 0,
    Fixed64 = 1,
    Bytes = 2,
    Fixed32 = 5,
}

impl Message {
    fn number(&mut self, mut value: u64) {
        // Seven bits a byte, the smallest first; the eighth says that there are more.
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn key(&mut self, field: u32, wire: Wire) {
        self.number(u64::from(field << 3 | wire as u32));
    }

    fn varint(&mut self, field: u32, value: u64) {
        self.key(field, Wire::Varint);
        self.number(value);
    }

    fn double(&mut self, field: u32, value: f64) {
        self.key(field, Wire::Fixed64);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn float(&mut self, field: u32, value: f32) {
        self.key(field, Wire::Fixed32);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn bytes(&mut self, field: u32, bytes: &[u8]) {
        self.key(field, Wire::Bytes);
        self.number(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn doubles(&mut self, field: u32, values: &[f64]) {
        let packed: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.bytes(field, &packed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_those_of_the_wire_format() {
        // The example of the documentation of protocol buffers: field 1 is the varint 150.
        let mut message = Message::default();
        message.varint(1, 150);
        assert_eq!(message.0, [0x08, 0x96, 0x01]);
        let version = event(1.0, 0, &Payload::FileVersion("brain.Event:2"));
        assert_eq!(version[..9], [&[0x09][..], &1f64.to_le_bytes()].concat());
        assert_eq!(version[9..], [&[0x1a, 13][..], b"brain.Event:2"].concat());
        let values = [Value {
            tag: "a",
            content: Content::Scalar(0.5),
        }];
        let summary = event(0.0, 300, &Payload::Summary(&values));
        let expected = [
            &[0x10, 0xac, 0x02, 0x2a, 10, 0x0a, 8, 0x0a, 1, b'a', 0x15][..],
            &0.5f32.to_le_bytes(),
        ];
        assert_eq!(summary[9..], expected.concat());
    }

    #[test]
    fn a_histogram_counts_every_finite_value_once() {
        let values: Vec<f64> = (0..100).map(|i| f64::from(i) / 10.0).chain([f64::NAN]).collect();
        let histogram = Histogram::of(&values).unwrap();
        assert_eq!((histogram.num, histogram.counts.iter().sum::<f64>()), (100.0, 100.0));
        assert_eq!((histogram.min, histogram.max), (0.0, 9.9));
        assert!(histogram.limits.windows(2).all(|pair| pair[0] < pair[1]));
        let same = Histogram::of(&[2.0; 5]).unwrap();
        assert_eq!((same.counts, same.limits), (vec![5.0], vec![2.0]));
        assert_eq!(Histogram::of(&[f64::NAN]), None);
    }
}
