//! `serde::Serialize` without derive: `serde_derive` and what it is made of take longer to compile than half of this crate.

/// Writes a struct as an object of its fields. All fields must be named, so that one that is added later is not forgotten;
/// those behind `without` are left out.
macro_rules! serialize_fields {
    ($name:ident { $($field:ident),* $(,)? } $(without $($left_out:ident),*)?) => {
        impl serde_core::Serialize for $name {
            fn serialize<S: serde_core::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
                use serde_core::ser::SerializeStruct;
                let Self { $($field,)* $($($left_out: _,)*)? } = self;
                let length = [$(stringify!($field)),*].len();
                let mut fields = serializer.serialize_struct(stringify!($name), length)?;
                $(fields.serialize_field(stringify!($field), $field)?;)*
                fields.end()
            }
        }
    };
}
