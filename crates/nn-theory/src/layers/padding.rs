//! Layers that add, cut or repeat pixels.

use super::{
    LayerSpec,
    convolution::{channel_axis, image_form},
    positive, single,
};
use crate::{DataFormat, Shape, error::Problem, keras_json::ConfigValue};
use serde_json::Value;

/// Pixels before and after each axis: `1`, `(1, 2)` (one number an axis) or `((1, 2), (3, 4))`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Margins<const N: usize>(pub [[usize; 2]; N]);

impl<const N: usize> ConfigValue for Margins<N> {
    fn read(value: &Value) -> Result<Self, String> {
        // One axis has no nesting: (before, after).
        if N == 1
            && let Ok(pair) = <[usize; 2]>::read(value)
        {
            return Ok(Self([pair; N]));
        }
        if let Ok(both) = <[usize; N]>::read(value) {
            return Ok(Self(both.map(|size| [size, size])));
        }
        <[[usize; 2]; N]>::read(value).map(Self)
    }

    fn write(&self) -> Value {
        if N == 1 {
            return self.0.first().map_or(Value::Null, ConfigValue::write);
        }
        self.0.write()
    }
}

pub(crate) fn padded<const N: usize>(
    input: &Shape,
    margins: &Margins<N>,
    format: DataFormat,
) -> Result<Shape, Problem> {
    input.expect_rank(N + 2, &image_form(N, format))?;
    let (_, first) = channel_axis(input.rank(), format);
    let mut dims = input.0.clone();
    for (dim, [before, after]) in dims[first..].iter_mut().zip(margins.0) {
        if let Some(size) = dim {
            let sum = size
                .checked_add(before as u64)
                .and_then(|size| size.checked_add(after as u64));
            *dim = Some(sum.ok_or_else(|| Problem::too_large("the padded size"))?);
        }
    }
    Ok(Shape(dims))
}

/// The shape without `margins`; the counterpart of [`padded`].
fn cropped<const N: usize>(input: &Shape, margins: &Margins<N>, format: DataFormat) -> Result<Shape, Problem> {
    input.expect_rank(N + 2, &image_form(N, format))?;
    let (_, first) = channel_axis(input.rank(), format);
    let mut dims = input.0.clone();
    for (dim, [before, after]) in dims[first..].iter_mut().zip(margins.0) {
        if let Some(size) = dim {
            let rest = size
                .checked_sub(before as u64)
                .and_then(|size| size.checked_sub(after as u64))
                .filter(|&rest| rest > 0);
            let nothing = || {
                Problem::key(
                    "cropping",
                    format!("leaves nothing of the input {input}: {:?}", margins.0),
                )
            };
            *dim = Some(rest.ok_or_else(nothing)?);
        }
    }
    Ok(Shape(dims))
}

/// The shape with each spatial axis repeated.
fn enlarged<const N: usize>(input: &Shape, size: [usize; N], format: DataFormat) -> Result<Shape, Problem> {
    positive("size", &size)?;
    input.expect_rank(N + 2, &image_form(N, format))?;
    let (_, first) = channel_axis(input.rank(), format);
    let mut dims = input.0.clone();
    for (dim, factor) in dims[first..].iter_mut().zip(size) {
        if let Some(length) = dim {
            *dim = Some(
                length
                    .checked_mul(factor as u64)
                    .ok_or_else(|| Problem::too_large("the enlarged size"))?,
            );
        }
    }
    Ok(Shape(dims))
}

macro_rules! margins {
    ($($doc:literal $name:ident($field:ident: $sides:literal) $rule:ident;)*) => {$(
        layer! {
            #[doc = $doc]
            $name(
                /// Values before and after each spatial axis.
                $field: Margins<$sides>
            ) {
                /// Where the channels are.
                data_format: DataFormat = DataFormat::ChannelsLast,
            }
        }

        impl LayerSpec for $name {
            fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Problem> {
                Ok(vec![$rule(single(inputs)?, &self.$field, self.data_format)?])
            }
        }
    )*};
}

margins! {
    "Zeros before and after a sequence (`keras.layers.ZeroPadding1D`)." ZeroPadding1D(padding: 1) padded;
    "Zeros around an image (`keras.layers.ZeroPadding2D`)." ZeroPadding2D(padding: 2) padded;
    "Zeros around a volume (`keras.layers.ZeroPadding3D`)." ZeroPadding3D(padding: 3) padded;
    "An image without its margins (`keras.layers.Cropping2D`)." Cropping2D(cropping: 2) cropped;
    "A volume without its margins (`keras.layers.Cropping3D`)." Cropping3D(cropping: 3) cropped;
}

macro_rules! up_sampling {
    ($($doc:literal $name:ident: $sides:literal;)*) => {$(
        layer! {
            #[doc = $doc]
            $name(
                /// How often each value is repeated.
                size: [usize; $sides]
            ) {
                /// Where the channels are.
                data_format: DataFormat = DataFormat::ChannelsLast,
            }
        }

        impl LayerSpec for $name {
            fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Problem> {
                Ok(vec![enlarged(single(inputs)?, self.size, self.data_format)?])
            }
        }
    )*};
}

up_sampling! {
    "A larger image (`keras.layers.UpSampling2D`)." UpSampling2D: 2;
    "A larger volume (`keras.layers.UpSampling3D`)." UpSampling3D: 3;
}

// In Keras these two have no `data_format`: a sequence is always (batch, steps, channels).
layer! {
    /// A sequence without its ends (`keras.layers.Cropping1D`).
    Cropping1D(
        /// Steps cut off before and after.
        cropping: Margins<1>
    ) {}
}

impl LayerSpec for Cropping1D {
    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Problem> {
        Ok(vec![cropped(
            single(inputs)?,
            &self.cropping,
            DataFormat::ChannelsLast,
        )?])
    }
}

layer! {
    /// Each step of a sequence several times (`keras.layers.UpSampling1D`).
    UpSampling1D(
        /// How often each step is repeated.
        size: usize
    ) {}
}

impl LayerSpec for UpSampling1D {
    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Problem> {
        Ok(vec![enlarged(single(inputs)?, [self.size], DataFormat::ChannelsLast)?])
    }
}

macro_rules! sized {
    ($($doc:literal $name:ident;)*) => {$(
        layer! {
            #[doc = $doc]
            $name(
                /// Height of the output.
                height: usize,
                /// Width of the output.
                width: usize,
            ) {
                /// Where the channels are.
                data_format: DataFormat = DataFormat::ChannelsLast,
            }
        }

        impl LayerSpec for $name {
            fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Problem> {
                positive("height", &[self.height])?;
                positive("width", &[self.width])?;
                let input = single(inputs)?;
                if !(3..=4).contains(&input.rank()) {
                    return Err(Problem::shape(format!("expects an image or a batch of images, found {input}")));
                }
                let first = match self.data_format {
                    DataFormat::ChannelsLast => input.rank() - 3,
                    DataFormat::ChannelsFirst => input.rank() - 2,
                };
                let mut dims = input.0.clone();
                dims[first] = Some(self.height as u64);
                dims[first + 1] = Some(self.width as u64);
                Ok(vec![Shape(dims)])
            }
        }
    )*};
}

sized! {
    "Images of another size, by interpolation (`keras.layers.Resizing`)." Resizing;
    "The middle of images (`keras.layers.CenterCrop`)." CenterCrop;
    "A random part of images while training (`keras.layers.RandomCrop`)." RandomCrop;
}
