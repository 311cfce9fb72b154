//! Number formats and Keras' dtype policies.

use std::fmt;

/// A number format of Keras.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
#[allow(missing_docs)] // the names say everything
pub enum DType {
    Bool,
    Int8,
    Int16,
    Int32,
    Int64,
    UInt8,
    UInt16,
    UInt32,
    UInt64,
    Float16,
    BFloat16,
    #[default]
    Float32,
    Float64,
    /// Text; it has no fixed size and is counted with 0 bytes.
    String,
}

/// By Keras' name.
impl serde_core::Serialize for DType {
    fn serialize<S: serde_core::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl DType {
    const ALL: [(Self, &'static str, u64); 14] = [
        (Self::Bool, "bool", 1),
        (Self::Int8, "int8", 1),
        (Self::Int16, "int16", 2),
        (Self::Int32, "int32", 4),
        (Self::Int64, "int64", 8),
        (Self::UInt8, "uint8", 1),
        (Self::UInt16, "uint16", 2),
        (Self::UInt32, "uint32", 4),
        (Self::UInt64, "uint64", 8),
        (Self::Float16, "float16", 2),
        (Self::BFloat16, "bfloat16", 2),
        (Self::Float32, "float32", 4),
        (Self::Float64, "float64", 8),
        (Self::String, "string", 0),
    ];

    /// The number format with this name in Keras.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|(_, known, _)| *known == name)
            .map(|(dtype, _, _)| dtype)
    }

    /// Keras' name, such as `float32`.
    pub fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }

    /// Bytes that one number occupies.
    pub fn bytes(self) -> u64 {
        // The list is in the order of the variants.
        Self::ALL[self as usize].2
    }

    /// The formats of weights that occupy this many bytes a number, the usual one first.
    ///
    /// ```
    /// assert_eq!(nn_theory::DType::of_bytes(4)[0].name(), "float32");
    /// ```
    pub fn of_bytes(bytes: u64) -> Vec<Self> {
        let floats = [Self::Float32, Self::Float16, Self::BFloat16, Self::Float64];
        let rest = [Self::Int8, Self::UInt8, Self::Int16, Self::Int32, Self::Int64];
        floats
            .into_iter()
            .chain(rest)
            .filter(|dtype| dtype.bytes() == bytes)
            .collect()
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A dtype policy: which format the weights are stored in and which one a layer computes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct DTypePolicy {
    /// Format of the weights.
    pub variable: DType,
    /// Format of the computation and of the output.
    pub compute: DType,
}

impl DTypePolicy {
    /// The policy with one format for everything.
    pub fn uniform(dtype: DType) -> Self {
        Self {
            variable: dtype,
            compute: dtype,
        }
    }

    /// The policy with this name in Keras: a format, `mixed_float16` or `mixed_bfloat16`.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "mixed_float16" => Some(Self {
                variable: DType::Float32,
                compute: DType::Float16,
            }),
            "mixed_bfloat16" => Some(Self {
                variable: DType::Float32,
                compute: DType::BFloat16,
            }),
            _ => DType::from_name(name).map(Self::uniform),
        }
    }

    /// Keras' name of the policy.
    pub fn name(self) -> &'static str {
        match (self.variable, self.compute) {
            (DType::Float32, DType::Float16) => "mixed_float16",
            (DType::Float32, DType::BFloat16) => "mixed_bfloat16",
            (variable, _) => variable.name(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::DType;

    #[test]
    fn the_list_is_in_the_order_of_the_variants() {
        for (place, (dtype, _, _)) in DType::ALL.into_iter().enumerate() {
            assert_eq!(dtype as usize, place);
        }
    }
}
