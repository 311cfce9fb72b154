//! The macros that turn a list of fields into a layer, and a list of layers into the enum [`Layer`](crate::Layer).

/// Declares a layer: the fields in parentheses are required (arguments of `new`), the others have Keras' defaults and
/// a builder method each. A default may use the required fields.
macro_rules! layer {
    (
        $(#[$doc:meta])*
        $name:ident ( $($(#[$rdoc:meta])* $required:ident : $rtype:ty),* $(,)? ) {
            $($(#[$odoc:meta])* $optional:ident : $otype:ty = $default:expr,)*
        }
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name {
            $($(#[$rdoc])* pub $required: $rtype,)*
            $($(#[$odoc])* pub $optional: $otype,)*
        }

        impl $name {
            /// Name of the class in Keras.
            pub const CLASS: &'static str = stringify!($name);

            /// The layer with Keras' defaults.
            #[allow(clippy::new_without_default, clippy::redundant_field_names)]
            pub fn new($($required: $rtype),*) -> Self {
                $(let $optional = $default;)*
                Self { $($required,)* $($optional,)* }
            }

            $(
                $(#[$odoc])*
                #[must_use]
                pub fn $optional(mut self, $optional: $otype) -> Self {
                    self.$optional = $optional;
                    self
                }
            )*

            /// The layer under this name.
            pub fn name(self, name: impl Into<String>) -> $crate::NamedLayer {
                $crate::NamedLayer::from(self).name(name)
            }

            /// The layer with its weights frozen (`false`) or not.
            pub fn trainable(self, trainable: bool) -> $crate::NamedLayer {
                $crate::NamedLayer::from(self).trainable(trainable)
            }

            #[allow(unused_variables, unused_mut, clippy::ptr_arg)]
            pub(crate) fn read(fields: &mut $crate::keras_json::Fields<'_>) -> Result<Self, $crate::error::Problem> {
                $(let $required: $rtype = fields.required(stringify!($required))?;)*
                let mut layer = Self::new($($required),*);
                $(fields.optional(stringify!($optional), &mut layer.$optional)?;)*
                Ok(layer)
            }

            #[allow(unused_variables)]
            pub(crate) fn write(&self, config: &mut serde_json::Map<String, serde_json::Value>) {
                $($crate::keras_json::put(config, stringify!($required), &self.$required);)*
                $($crate::keras_json::put(config, stringify!($optional), &self.$optional);)*
            }
        }

        impl From<$name> for $crate::NamedLayer {
            fn from(layer: $name) -> Self {
                Self::new($crate::Layer::from(layer))
            }
        }
    };
}

/// Makes the enum of all layers and everything that has to look at its variants.
macro_rules! layer_list {
    ($($name:ident,)*) => {
        /// A layer of Keras, as data.
        #[derive(Debug, Clone, PartialEq)]
        #[non_exhaustive]
        #[allow(missing_docs)] // each variant holds the documented struct of the same name
        pub enum Layer {
            $($name($name),)*
            /// A model used as a layer.
            Model(NestedModel),
            /// An operation of `keras.ops` in a functional graph, such as the sum of `x + y`.
            Operation(Operation),
            /// A layer whose class is not Keras' own; it is carried through.
            Unknown(UnknownLayer),
        }

        $(
            impl From<$name> for Layer {
                fn from(layer: $name) -> Self {
                    Self::$name(layer)
                }
            }
        )*

        impl Layer {
            const CLASSES: &'static [&'static str] = &[$($name::CLASS),*];

            pub(crate) fn spec(&self) -> &dyn LayerSpec {
                match self {
                    $(Self::$name(layer) => layer,)*
                    Self::Model(model) => model,
                    Self::Operation(operation) => operation,
                    Self::Unknown(layer) => layer,
                }
            }

            /// Keras' name of the class, such as `Conv2D`.
            pub fn class(&self) -> &str {
                match self {
                    $(Self::$name(_) => $name::CLASS,)*
                    Self::Model(model) => model.class(),
                    Self::Operation(operation) => &operation.class,
                    Self::Unknown(layer) => &layer.class,
                }
            }

            /// The layer of this class, read from its configuration; `None` for an unknown class.
            pub(crate) fn read(class: &str, fields: &mut Fields<'_>) -> Option<Result<Self, Problem>> {
                match class {
                    $($name::CLASS => Some($name::read(fields).map(Self::$name)),)*
                    _ => None,
                }
            }

            pub(crate) fn write(&self, config: &mut Map<String, Value>) {
                match self {
                    $(Self::$name(layer) => layer.write(config),)*
                    Self::Model(_) => {}
                    Self::Operation(operation) => config.extend(operation.config.clone()),
                    Self::Unknown(layer) => config.extend(layer.config.clone()),
                }
            }
        }
    };
}
