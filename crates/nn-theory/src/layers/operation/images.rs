//! Operations on images: convolutions, poolings, patches, margins, other sizes.

use super::{
    super::convolution::{Window, channel_axis},
    call::{Call, Outputs, add, multiply},
};
use crate::{DataFormat, Padding, Shape, convolution::Axis, error::Problem};
use serde_json::Value;

/// One number for all axes, or one an axis.
fn sizes(call: &Call<'_>, key: &str, sides: usize, default: usize) -> Result<Vec<usize>, Problem> {
    match call.config.get(key) {
        None | Some(Value::Null) => Ok(vec![default; sides]),
        Some(_) => {
            let mut sizes: Vec<usize> = call.required(key)?;
            if sizes.len() == 1 {
                sizes = vec![sizes[0]; sides];
            }
            if sizes.len() != sides || sizes.contains(&0) {
                return Err(Problem::key(
                    key,
                    format!("must be at least 1, one for each of {sides} axes, found {sizes:?}"),
                ));
            }
            Ok(sizes)
        }
    }
}

/// Spatial axes of a batch of images, sequences or volumes.
fn sides(input: &Shape) -> Result<usize, Problem> {
    input.rank().checked_sub(2).filter(|&sides| sides > 0).ok_or_else(|| {
        Problem::shape(format!(
            "expects an input with a batch, spatial axes and channels, found {input}"
        ))
    })
}

struct Windows {
    size: Vec<usize>,
    strides: Vec<usize>,
    dilation: Vec<usize>,
}

fn output(call: &Call<'_>, input: &Shape, windows: &Windows, channels: Option<u64>) -> Result<Shape, Problem> {
    let window = Window {
        what: "window",
        size: &windows.size,
        strides: &windows.strides,
        dilation: &windows.dilation,
        padding: call.value("padding")?.unwrap_or(Padding::Valid),
        format: call.value("data_format")?.unwrap_or(DataFormat::ChannelsLast),
    };
    window.output(input, channels)
}

fn convolution(call: &Call<'_>, input: &Shape) -> Result<Shape, Problem> {
    let kernel = call.operand(1)?;
    let sides = sides(input)?;
    if kernel.rank() != sides + 2 {
        return Err(Problem::shape(format!(
            "needs a kernel of rank {} for the input {input}, found {kernel}",
            sides + 2
        )));
    }
    let side = |axis: usize| kernel.0[axis].and_then(|size| usize::try_from(size).ok());
    let size: Option<Vec<usize>> = (0..sides).map(side).collect();
    let size = size.ok_or_else(|| Problem::shape(format!("needs a kernel of known size, found {kernel}")))?;
    let windows = Windows {
        strides: sizes(call, "strides", sides, 1)?,
        dilation: sizes(call, "dilation_rate", sides, 1)?,
        size,
    };
    let channels = match call.class {
        "Conv" => kernel.last(),
        "DepthwiseConv" => match (kernel.0[sides], kernel.last()) {
            (Some(channels), Some(times)) => Some(multiply(channels, times)?),
            _ => None,
        },
        _ => call.operand(2)?.last(),
    };
    output(call, input, &windows, channels)
}

fn transposed(call: &Call<'_>, input: &Shape) -> Result<Shape, Problem> {
    let (kernel, sides) = (call.operand(1)?, sides(input)?);
    let (strides, dilation) = (
        sizes(call, "strides", sides, 1)?,
        sizes(call, "dilation_rate", sides, 1)?,
    );
    let extra = call.value::<Vec<usize>>("output_padding")?;
    let padding = call.value("padding")?.unwrap_or(Padding::Valid);
    let (channel, first) = channel_axis(
        input.rank(),
        call.value("data_format")?.unwrap_or(DataFormat::ChannelsLast),
    );
    let mut dims = input.0.clone();
    for axis in 0..sides {
        let (Some(size), Some(Some(kernel))) = (dims[first + axis], kernel.0.get(axis).copied()) else {
            dims[first + axis] = None;
            continue;
        };
        let of = Axis {
            input: size,
            kernel,
            stride: strides[axis] as u64,
            dilation: dilation[axis] as u64,
        };
        let extra = extra
            .as_ref()
            .and_then(|extra| extra.get(axis).or(extra.first()))
            .map(|&extra| extra as u64);
        let size = of.transposed_output(padding, extra);
        dims[first + axis] = Some(size.ok_or_else(|| Problem::too_large("the size of an output"))?);
    }
    dims[channel] = kernel.0.get(sides).copied().flatten();
    Ok(Shape(dims))
}

/// Axes of height, width and channels of one image or a batch of images.
fn image_axes(call: &Call<'_>, input: &Shape) -> Result<[usize; 3], Problem> {
    if !(3..=4).contains(&input.rank()) {
        return Err(Problem::shape(format!(
            "expects an image or a batch of images, found {input}"
        )));
    }
    let first = input.rank() - 3;
    Ok(match call.value("data_format")?.unwrap_or(DataFormat::ChannelsLast) {
        DataFormat::ChannelsLast => [first, first + 1, first + 2],
        DataFormat::ChannelsFirst => [first + 1, first + 2, first],
    })
}

/// Height and width with margins added (`grow`) or cut off; a target size stands for the margin that is not given.
fn margins(call: &Call<'_>, input: &Shape, names: [&str; 4], grow: bool) -> Result<Shape, Problem> {
    let [height, width, _] = image_axes(call, input)?;
    let mut dims = input.0.clone();
    let [top, left, bottom, right] = names;
    for (axis, target, before, after) in [
        (height, "target_height", top, bottom),
        (width, "target_width", left, right),
    ] {
        let given =
            |key: &str| -> Result<Option<u64>, Problem> { Ok(call.value::<usize>(key)?.map(|size| size as u64)) };
        dims[axis] = match (given(target)?, dims[axis], given(before)?, given(after)?) {
            (Some(target), ..) => Some(target),
            (None, Some(size), Some(before), Some(after)) if grow => Some(add(add(size, before)?, after)?),
            (None, Some(size), Some(before), Some(after)) => Some(size.saturating_sub(before).saturating_sub(after)),
            _ => None,
        };
    }
    Ok(Shape(dims))
}

fn patches(call: &Call<'_>, input: &Shape) -> Result<Shape, Problem> {
    let axes = image_axes(call, input)?;
    let size = sizes(call, "size", 2, 1)?;
    let windows = Windows {
        strides: match call.config.get("strides") {
            None | Some(Value::Null) => size.clone(),
            Some(_) => sizes(call, "strides", 2, 1)?,
        },
        dilation: sizes(call, "dilation_rate", 2, 1)?,
        size,
    };
    let area = multiply(windows.size[0] as u64, windows.size[1] as u64)?;
    let channels = input.0[axes[2]].map(|channels| multiply(channels, area)).transpose()?;
    if input.rank() == 4 {
        return output(call, input, &windows, channels);
    }
    let batch = output(call, &Shape::batched(input.clone()), &windows, channels)?;
    Ok(Shape(batch.sample().to_vec()))
}

/// `torch.nn.Unfold`: every patch of `(batch, channels, height, width)` as a column.
fn unfolded(call: &Call<'_>, input: &Shape) -> Result<Shape, Problem> {
    input.expect_rank(4, "(batch, channels, height, width)")?;
    let (kernel, dilation, stride) = (
        sizes(call, "kernel_size", 2, 1)?,
        sizes(call, "dilation", 2, 1)?,
        sizes(call, "stride", 2, 1)?,
    );
    let padding: Vec<usize> = call.value("padding")?.unwrap_or_else(|| vec![0]);
    let mut columns = Some(1);
    for axis in 0..2 {
        let pad = padding.get(axis).or(padding.first()).copied().unwrap_or(0) as u64;
        let places = match input.0[2 + axis] {
            Some(size) => {
                let size = add(size, multiply(pad, 2)?)?;
                let of = Axis {
                    input: size,
                    kernel: kernel[axis] as u64,
                    stride: stride[axis] as u64,
                    dilation: dilation[axis] as u64,
                };
                of.output(Padding::Valid)
            }
            None => None,
        };
        columns = match (columns, places) {
            (Some(a), Some(b)) => Some(multiply(a, b)?),
            _ => None,
        };
    }
    let area = multiply(kernel[0] as u64, kernel[1] as u64)?;
    let rows = input.0[1].map(|channels| multiply(channels, area)).transpose()?;
    Ok(Shape(vec![input.0[0], rows, columns]))
}

/// Blocks of pixels as channels (`deep`), or channels as blocks of pixels.
fn blocks(call: &Call<'_>, input: &Shape, deep: bool) -> Result<Shape, Problem> {
    let [height, width, channel] = image_axes(call, input)?;
    let size = call.required::<usize>("block_size")?.max(1) as u64;
    let area = multiply(size, size)?;
    let mut dims = input.0.clone();
    for (axis, factor) in [(height, size), (width, size), (channel, area)] {
        let larger = deep == (axis == channel);
        dims[axis] = dims[axis]
            .map(|n| if larger { multiply(n, factor) } else { Ok(n / factor) })
            .transpose()?;
    }
    Ok(Shape(dims))
}

pub(super) fn outputs(call: &Call<'_>) -> Outputs {
    let input = || call.operand(0);
    Ok(Some(vec![match call.class {
        "MaxPool" | "AveragePool" => {
            let input = input()?;
            let sides = sides(&input)?;
            let size = sizes(call, "pool_size", sides, 1)?;
            let strides = match call.config.get("strides") {
                None | Some(Value::Null) => size.clone(),
                Some(_) => sizes(call, "strides", sides, 1)?,
            };
            output(
                call,
                &input,
                &Windows {
                    size,
                    strides,
                    dilation: Vec::new(),
                },
                None,
            )?
        }
        "AdaptiveAveragePool" | "AdaptiveMaxPool" => {
            let input = input()?;
            let size: Vec<usize> = call.required("output_size")?;
            let size = size.into_iter().map(|size| Some(size as u64));
            // As Keras states it: with channels last it keeps one axis too many for two and more spatial axes.
            let mut dims = match call.value("data_format")?.unwrap_or(DataFormat::ChannelsLast) {
                DataFormat::ChannelsLast => input.0[..input.rank().saturating_sub(size.len())].to_vec(),
                DataFormat::ChannelsFirst => input.0.get(..2).unwrap_or(&[]).to_vec(),
            };
            let channels = input.last();
            dims.extend(size);
            if call.value("data_format")?.unwrap_or(DataFormat::ChannelsLast) == DataFormat::ChannelsLast {
                dims.push(channels);
            }
            Shape(dims)
        }
        "Conv" | "DepthwiseConv" | "SeparableConv" => convolution(call, &input()?)?,
        "ConvTranspose" => transposed(call, &input()?)?,
        "Resize" => {
            let input = input()?;
            let [height, width, _] = image_axes(call, &input)?;
            let size: [usize; 2] = call.required("size")?;
            let mut dims = input.0;
            (dims[height], dims[width]) = (Some(size[0] as u64), Some(size[1] as u64));
            Shape(dims)
        }
        "RGBToGrayscale" => {
            let mut input = input()?;
            let channel = image_axes(call, &input)?[2];
            input.0[channel] = Some(1);
            input
        }
        "SobelEdges" => {
            let mut input = input()?;
            input.0.push(Some(2));
            input
        }
        "PadImages" => margins(
            call,
            &input()?,
            ["top_padding", "left_padding", "bottom_padding", "right_padding"],
            true,
        )?,
        "CropImages" => margins(
            call,
            &input()?,
            ["top_cropping", "left_cropping", "bottom_cropping", "right_cropping"],
            false,
        )?,
        "ExtractPatches" => patches(call, &input()?)?,
        "Unfold" => unfolded(call, &input()?)?,
        "DepthToSpace" => blocks(call, &input()?, false)?,
        "SpaceToDepth" => blocks(call, &input()?, true)?,
        _ => return Ok(None),
    }]))
}
