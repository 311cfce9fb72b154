//! What a transformation is, and the list of all of them.

use kernels::random::Draws;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{Error, Result};
use crate::geometry::Warp;
use crate::image::{Image, ImageShape};
use crate::pixels::{Pixel, PixelsMut};
use crate::range::ValueRange;
use crate::transforms::*;

/// One transformation: a configuration that draws parameters and applies them.
///
/// The two halves are separate so that what happened to an image can be recorded, read and replayed: all randomness is
/// in [`draw`](Self::draw); [`apply`](Self::apply) is a function of the image and the parameters.
pub trait Transformation: Clone + PartialEq + std::fmt::Debug + Default + Serialize + DeserializeOwned {
    /// The class name, Keras' where Keras has the class.
    const CLASS: &'static str;
    /// The name in the text form.
    const NAME: &'static str;
    /// One line for a list of transformations.
    const ABOUT: &'static str;
    /// Names of the arguments in the order in which they may be written without a name.
    const ARGUMENTS: &'static [&'static str];
    /// How many of the arguments, from the first, must be given.
    const REQUIRED: usize;
    /// What one application is determined by.
    type Parameters: Clone + PartialEq + std::fmt::Debug + Serialize + DeserializeOwned;

    /// Refuses arguments out of range.
    ///
    /// # Errors
    /// [`Error::Argument`] with the argument, its value and what is allowed.
    fn check(&self) -> Result<()>;

    /// Draws the parameters of one application to an image of this shape.
    fn draw(&self, draws: &mut Draws, shape: ImageShape) -> Self::Parameters;

    /// Applies the transformation with these parameters.
    ///
    /// # Errors
    /// Where the image has the wrong number of channels or the parameters belong to another shape.
    fn apply(&self, image: &mut Image, parameters: &Self::Parameters) -> Result<()>;

    /// The same as [`apply`](Self::apply) on pixels where they lie, floats or bytes; `None` where there is no such way, and
    /// then nothing has happened.
    fn apply_in_place<P: Pixel>(
        &self,
        pixels: &mut PixelsMut<'_, P>,
        parameters: &Self::Parameters,
    ) -> Option<Result<()>> {
        self.warp(parameters, pixels.shape)?.apply_in_place(pixels);
        Some(Ok(()))
    }

    /// Whether values stay in the range that they were in, so that bytes can hold them.
    const KEEPS_RANGE: bool = true;

    /// The shape that comes out for a shape that goes in.
    fn output_shape(&self, shape: ImageShape) -> ImageShape {
        shape
    }

    /// The warp that [`apply`](Self::apply) does, where it is one, so that neighbouring warps can be merged.
    fn warp(&self, _parameters: &Self::Parameters, _shape: ImageShape) -> Option<Warp> {
        None
    }
}

/// [`Transformation::apply`] of what works in place.
pub(crate) fn on_image<T: Transformation>(
    transformation: &T,
    image: &mut Image,
    parameters: &T::Parameters,
) -> Result<()> {
    let mut scratch = Vec::new();
    let outcome = transformation.apply_in_place(&mut PixelsMut::of(image, &mut scratch), parameters);
    outcome.unwrap_or(Ok(()))
}

/// What is known of a transformation without having one.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The class name.
    pub class_name: &'static str,
    /// The name in the text form.
    pub name: &'static str,
    /// One line on what it does.
    pub about: &'static str,
    /// The arguments, in order.
    pub arguments: &'static [&'static str],
    /// How many of them must be given.
    pub required: usize,
    default_config: fn() -> Value,
    read: fn(Value) -> std::result::Result<Transform, String>,
}

impl Entry {
    /// The configuration with every default, as JSON.
    pub fn default_config(&self) -> Value {
        (self.default_config)()
    }

    /// The transformation of a configuration that may leave optional arguments out; not yet checked for ranges.
    pub(crate) fn read(&self, config: Value) -> std::result::Result<Transform, String> {
        (self.read)(config)
    }
}

fn json<T: Serialize>(value: &T) -> Value {
    // Configurations are plain structs of numbers and names: serialising them cannot fail.
    serde_json::to_value(value).unwrap_or(Value::Null)
}

macro_rules! transformations {
    ($($class:ident),* $(,)?) => {
        /// Any transformation.
        #[derive(Clone, Debug, PartialEq)]
        #[non_exhaustive]
        pub enum Transform {
            $(#[doc = concat!("See [`", stringify!($class), "`].")] $class($class),)*
        }

        /// The parameters of any transformation.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "class_name", content = "parameters")]
        #[non_exhaustive]
        pub enum Parameters {
            $(#[doc = concat!("Of a [`", stringify!($class), "`].")]
              $class(<$class as Transformation>::Parameters),)*
        }

        /// Every transformation that a pipeline can have.
        pub const CATALOGUE: &[Entry] = &[$(Entry {
            class_name: <$class as Transformation>::CLASS,
            name: <$class as Transformation>::NAME,
            about: <$class as Transformation>::ABOUT,
            arguments: <$class as Transformation>::ARGUMENTS,
            required: <$class as Transformation>::REQUIRED,
            default_config: || json(&<$class>::default()),
            read: |config| {
                serde_json::from_value::<$class>(config).map(Transform::$class).map_err(|e| e.to_string())
            },
        },)*];

        impl Transform {
            /// The class name.
            pub fn class_name(&self) -> &'static str {
                match self {
                    $(Self::$class(_) => <$class as Transformation>::CLASS,)*
                }
            }

            /// What is known of this class.
            pub fn entry(&self) -> &'static Entry {
                let class_name = self.class_name();
                // The list above is made of the same names.
                CATALOGUE.iter().find(|entry| entry.class_name == class_name).unwrap_or(&CATALOGUE[0])
            }

            /// The configuration as JSON.
            pub fn config(&self) -> Value {
                match self { $(Self::$class(t) => json(t),)* }
            }

            /// See [`Transformation::check`].
            pub fn check(&self) -> Result<()> {
                match self { $(Self::$class(t) => t.check(),)* }
            }

            /// See [`Transformation::draw`].
            pub fn draw(&self, draws: &mut Draws, shape: ImageShape) -> Parameters {
                match self { $(Self::$class(t) => Parameters::$class(t.draw(draws, shape)),)* }
            }

            /// See [`Transformation::apply`].
            pub fn apply(&self, image: &mut Image, parameters: &Parameters) -> Result<()> {
                match (self, parameters) {
                    $((Self::$class(t), Parameters::$class(p)) => t.apply(image, p),)*
                    _ => Err(self.foreign(parameters)),
                }
            }

            /// See [`Transformation::apply_in_place`].
            fn apply_in_place<P: Pixel>(
                &self,
                pixels: &mut PixelsMut<'_, P>,
                parameters: &Parameters,
            ) -> Option<Result<()>> {
                match (self, parameters) {
                    $((Self::$class(t), Parameters::$class(p)) => t.apply_in_place(pixels, p),)*
                    _ => Some(Err(self.foreign(parameters))),
                }
            }

            /// See [`Transformation::KEEPS_RANGE`].
            pub fn keeps_range(&self) -> bool {
                match self { $(Self::$class(_) => <$class as Transformation>::KEEPS_RANGE,)* }
            }

            /// See [`Transformation::output_shape`].
            pub fn output_shape(&self, shape: ImageShape) -> ImageShape {
                match self { $(Self::$class(t) => t.output_shape(shape),)* }
            }

            /// See [`Transformation::warp`].
            pub fn warp(&self, parameters: &Parameters, shape: ImageShape) -> Option<Warp> {
                match (self, parameters) {
                    $((Self::$class(t), Parameters::$class(p)) => t.warp(p, shape),)*
                    _ => None,
                }
            }
        }

        impl Parameters {
            /// Class name of the transformation that they belong to.
            pub fn class_name(&self) -> &'static str {
                match self { $(Self::$class(_) => <$class as Transformation>::CLASS,)* }
            }
        }

        $(impl From<$class> for Transform {
            fn from(transformation: $class) -> Self {
                Self::$class(transformation)
            }
        })*
    };
}

transformations!(
    RandomFlip,
    RandomTranslation,
    RandomRotation,
    RandomZoom,
    RandomShear,
    RandomPerspective,
    RandomElasticTransform,
    RandomCrop,
    RandomPadAndCrop,
    CenterCrop,
    Resizing,
    Rescaling,
    Normalization,
    RandomBrightness,
    RandomContrast,
    RandomSaturation,
    RandomHue,
    RandomColorJitter,
    RandomColorDegeneration,
    RandomSharpness,
    RandomGrayscale,
    RandomInvert,
    RandomPosterization,
    Solarization,
    Equalization,
    ContrastLimitedAdaptiveHistogramEqualization,
    AutoContrast,
    RandomGaussianBlur,
    RandomMotionBlur,
    RandomErasing,
    RandomCoarseDropout,
    RandomGaussianNoise,
    RandomShotNoise,
    RandomSaltAndPepper,
    RandomJpeg,
    RandomFog,
    RandomShadow,
    RandAugment,
    AugMix,
    TrivialAugment,
    AutoAugment,
);

/// The entry of a name: the text form's (`rotate`), the class (`RandomRotation`), or that in snake case.
pub fn find(name: &str) -> Option<&'static Entry> {
    let plain = |s: &str| s.replace('_', "").to_lowercase();
    let wanted = plain(name);
    CATALOGUE
        .iter()
        .find(|e| e.name == name || plain(e.class_name) == wanted)
}

impl Parameters {
    /// Whether an image stays as it is, whatever its shape, so that nobody has to read it.
    pub(crate) fn change_nothing(&self) -> bool {
        match self {
            Self::RandomFlip(drawn) => !drawn.flips,
            Self::RandomInvert(drawn) => !drawn.apply_inversion,
            _ => false,
        }
    }
}

impl Transform {
    /// The transformation of a class name (or name) and a configuration, in which optional arguments may be missing.
    ///
    /// # Errors
    /// [`Error::Json`] for an unknown class, an unknown or missing argument, or a value of the wrong kind;
    /// [`Error::Argument`] for values out of range.
    pub fn from_config(class_name: &str, config: Value) -> Result<Self> {
        let fail = |message: String| Error::Json {
            place: class_name.to_owned(),
            message,
        };
        let entry =
            find(class_name).ok_or_else(|| fail(format!("no such transformation{}", did_you_mean(class_name))))?;
        let Value::Object(map) = &config else {
            return Err(fail("the configuration must be an object of arguments".into()));
        };
        for name in &entry.arguments[..entry.required] {
            if !map.contains_key(*name) {
                return Err(fail(format!("the argument `{name}` is missing")));
            }
        }
        let transform = entry.read(config).map_err(fail)?;
        transform.check()?;
        Ok(transform)
    }

    /// The value range that it knows, where it knows one.
    pub fn value_range(&self) -> Option<ValueRange> {
        let config = self.config();
        serde_json::from_value(config.get("value_range")?.clone()).ok()
    }

    /// The same transformation for pixels of another value range; those without a value range stay as they are.
    #[must_use]
    pub fn with_value_range(self, range: ValueRange) -> Self {
        let mut config = self.config();
        if let Some(slot) = config.get_mut("value_range") {
            *slot = json(&range);
        }
        self.entry().read(config).unwrap_or(self)
    }

    /// Applies the transformation to pixels where they lie.
    ///
    /// # Errors
    /// As [`Transform::apply`]; [`Error::Range`] where bytes cannot hold the result, [`Error::ShapeChanges`] where the
    /// buffer cannot.
    pub fn apply_to_pixels<P: Pixel>(&self, pixels: &mut PixelsMut<'_, P>, parameters: &Parameters) -> Result<()> {
        if let Some(outcome) = self.apply_in_place(pixels, parameters) {
            return outcome;
        }
        if P::LEVELS && !self.keeps_range() {
            return Err(Error::Range {
                transformation: self.entry().class_name,
            });
        }
        let mut image = pixels.to_image();
        self.apply(&mut image, parameters)?;
        if image.shape() != pixels.shape {
            return Err(Error::ShapeChanges {
                step: 0,
                from: pixels.shape.to_string(),
                to: image.shape().to_string(),
            });
        }
        pixels.overwrite(&image);
        Ok(())
    }

    fn foreign(&self, parameters: &Parameters) -> Error {
        Error::Parameters {
            transformation: self.entry().class_name,
            reason: format!("they were drawn by {}", parameters.class_name()),
        }
    }
}

/// `; did you mean `x`?` with the nearest known name, or nothing.
pub(crate) fn did_you_mean(name: &str) -> String {
    let names = CATALOGUE
        .iter()
        .flat_map(|e| [e.name, e.class_name])
        .chain(["one_of", "some_of"]);
    nearest(name, names).map_or_else(String::new, |n| format!("; did you mean `{n}`?"))
}

/// The candidate with the smallest edit distance, if it is near enough to be meant.
pub(crate) fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_lowercase();
    if name.chars().count() > 64 {
        return None;
    }
    candidates
        .map(|c| (strsim::damerau_levenshtein(&name, &c.to_lowercase()), c))
        .min_by_key(|&(d, _)| d)
        .filter(|&(d, c)| d <= 1 + c.len().min(name.len()) / 3)
        .map(|(_, c)| c)
}
