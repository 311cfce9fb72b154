//! Pooling: a window of values becomes one.

use super::{
    LayerSpec,
    convolution::{Window, channel_axis, image_form},
    positive, single,
};
use crate::{DataFormat, Padding, Shape, error::Problem};

macro_rules! window_pooling {
    ($name:ident, $sides:literal, $doc:literal) => {
        layer! {
            #[doc = $doc]
            $name(
                /// Size of the window.
                pool_size: [usize; $sides]
            ) {
                /// Steps of the window; by default its size.
                strides: [usize; $sides] = pool_size,
                /// What is added around the input.
                padding: Padding = Padding::Valid,
                /// Where the channels are.
                data_format: DataFormat = DataFormat::ChannelsLast,
            }
        }

        impl LayerSpec for $name {
            fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Problem> {
                positive("pool_size", &self.pool_size)?;
                positive("strides", &self.strides)?;
                let window = Window {
                    what: "window",
                    size: &self.pool_size,
                    strides: &self.strides,
                    dilation: &[],
                    padding: self.padding,
                    format: self.data_format,
                };
                Ok(vec![window.output(single(inputs)?, None)?])
            }
        }
    };
}

macro_rules! global_pooling {
    ($name:ident, $sides:literal, $doc:literal) => {
        layer! {
            #[doc = $doc]
            $name() {
                /// Where the channels are.
                data_format: DataFormat = DataFormat::ChannelsLast,
                /// Whether the spatial axes stay with size 1.
                keepdims: bool = false,
            }
        }

        impl LayerSpec for $name {
            fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Problem> {
                let input = single(inputs)?;
                input.expect_rank($sides + 2, &image_form($sides, self.data_format))?;
                let (channel, first) = channel_axis(input.rank(), self.data_format);
                if !self.keepdims {
                    return Ok(vec![Shape(vec![input.0[0], input.0[channel]])]);
                }
                let mut dims = input.0.clone();
                dims[first..first + $sides].fill(Some(1));
                Ok(vec![Shape(dims)])
            }
        }
    };
}

window_pooling!(
    MaxPooling1D,
    1,
    "The largest value of each window of a sequence (`keras.layers.MaxPooling1D`)."
);
window_pooling!(
    MaxPooling2D,
    2,
    "The largest value of each window of an image (`keras.layers.MaxPooling2D`)."
);
window_pooling!(
    MaxPooling3D,
    3,
    "The largest value of each window of a volume (`keras.layers.MaxPooling3D`)."
);
window_pooling!(
    AveragePooling1D,
    1,
    "The mean of each window of a sequence (`keras.layers.AveragePooling1D`); values that padding adds do not count."
);
window_pooling!(
    AveragePooling2D,
    2,
    "The mean of each window of an image (`keras.layers.AveragePooling2D`); values that padding adds do not count."
);
window_pooling!(
    AveragePooling3D,
    3,
    "The mean of each window of a volume (`keras.layers.AveragePooling3D`); values that padding adds do not count."
);
global_pooling!(
    GlobalMaxPooling1D,
    1,
    "The largest value of each channel (`keras.layers.GlobalMaxPooling1D`)."
);
global_pooling!(
    GlobalMaxPooling2D,
    2,
    "The largest value of each channel (`keras.layers.GlobalMaxPooling2D`)."
);
global_pooling!(
    GlobalMaxPooling3D,
    3,
    "The largest value of each channel (`keras.layers.GlobalMaxPooling3D`)."
);
global_pooling!(
    GlobalAveragePooling1D,
    1,
    "The mean of each channel (`keras.layers.GlobalAveragePooling1D`)."
);
global_pooling!(
    GlobalAveragePooling2D,
    2,
    "The mean of each channel (`keras.layers.GlobalAveragePooling2D`)."
);
global_pooling!(
    GlobalAveragePooling3D,
    3,
    "The mean of each channel (`keras.layers.GlobalAveragePooling3D`)."
);

macro_rules! adaptive_pooling {
    ($name:ident, $sides:literal, $doc:literal) => {
        layer! {
            #[doc = $doc]
            $name(
                /// Size of the output.
                output_size: [usize; $sides]
            ) {
                /// Where the channels are.
                data_format: DataFormat = DataFormat::ChannelsLast,
            }
        }

        impl LayerSpec for $name {
            fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Problem> {
                positive("output_size", &self.output_size)?;
                let input = single(inputs)?;
                input.expect_rank($sides + 2, &image_form($sides, self.data_format))?;
                let (_, first) = channel_axis(input.rank(), self.data_format);
                let mut dims = input.0.clone();
                for (dim, &size) in dims[first..].iter_mut().zip(&self.output_size) {
                    *dim = Some(size as u64);
                }
                Ok(vec![Shape(dims)])
            }
        }
    };
}

adaptive_pooling!(
    AdaptiveMaxPooling1D,
    1,
    "The largest value of windows chosen so that the output has a given size (`keras.layers.AdaptiveMaxPooling1D`)."
);
adaptive_pooling!(
    AdaptiveMaxPooling2D,
    2,
    "The largest value of windows chosen so that the output has a given size (`keras.layers.AdaptiveMaxPooling2D`)."
);
adaptive_pooling!(
    AdaptiveMaxPooling3D,
    3,
    "The largest value of windows chosen so that the output has a given size (`keras.layers.AdaptiveMaxPooling3D`)."
);
adaptive_pooling!(
    AdaptiveAveragePooling1D,
    1,
    "The mean of windows chosen so that the output has a given size (`keras.layers.AdaptiveAveragePooling1D`)."
);
adaptive_pooling!(
    AdaptiveAveragePooling2D,
    2,
    "The mean of windows chosen so that the output has a given size (`keras.layers.AdaptiveAveragePooling2D`)."
);
adaptive_pooling!(
    AdaptiveAveragePooling3D,
    3,
    "The mean of windows chosen so that the output has a given size (`keras.layers.AdaptiveAveragePooling3D`)."
);
