//! Convolutions, poolings and batch normalization: layers of `channels_first` images.

use nn_theory::convolution::Axis;
use nn_theory::{
    AveragePooling1D, AveragePooling2D, AveragePooling3D, BatchNormalization, Conv1D, Conv1DTranspose, Conv2D,
    Conv2DTranspose, Conv3D, Conv3DTranspose, DataFormat, DepthwiseConv1D, DepthwiseConv2D, GlobalAveragePooling1D,
    GlobalAveragePooling2D, GlobalAveragePooling3D, GlobalMaxPooling1D, GlobalMaxPooling2D, GlobalMaxPooling3D,
    GroupNormalization, Margins, MaxPooling1D, MaxPooling2D, MaxPooling3D, NamedLayer, Padding, ZeroPadding1D,
    ZeroPadding2D, ZeroPadding3D,
};

use super::builder::{Builder, Output};
use super::proto::NodeProto;
use crate::fault::Result;
use crate::layout::{item_bytes, permuted};
use crate::stored::StoredTensor;

const FIRST: DataFormat = DataFormat::ChannelsFirst;

/// The window of a node.
struct Window {
    size: Vec<usize>,
    strides: Vec<usize>,
    dilation: Vec<usize>,
    pads: Vec<[usize; 2]>,
    padding: Padding,
}

/// A list as the array that a layer takes.
fn array<const N: usize>(numbers: &[usize]) -> [usize; N] {
    std::array::from_fn(|place| numbers.get(place).copied().unwrap_or(1))
}

/// A weight seen in the shape `view`, with its axes in another order, in the shape `shape`.
pub(super) fn arranged(tensor: StoredTensor, view: &[usize], axes: &[usize], shape: &[usize]) -> StoredTensor {
    if axes.iter().copied().eq(0..axes.len()) && tensor.shape() == shape {
        return tensor;
    }
    let dtype = tensor.dtype();
    let (view, axes) = (view.to_vec(), axes.to_vec());
    StoredTensor::computed(dtype, shape.to_vec(), move || {
        let item = item_bytes(dtype).unwrap_or(1);
        let turned = permuted(&tensor.bytes()?, item, &view, &axes).0;
        tensor.release();
        Ok(turned)
    })
}

/// What every pooling of channels_first images is told. The classes for one, two and three sides have different types and the same words.
macro_rules! pooling {
    ($class:ident, $window:expr) => {
        $class::new(array(&$window.size))
            .strides(array(&$window.strides))
            .padding($window.padding)
            .data_format(FIRST)
            .into()
    };
}

/// What every convolution is told besides.
macro_rules! convolution {
    ($layer:expr, $window:expr, $has_bias:expr) => {
        $layer
            .strides(array(&$window.strides))
            .padding($window.padding)
            .dilation_rate(array(&$window.dilation))
            .data_format(FIRST)
            .use_bias($has_bias)
            .into()
    };
}

impl<'g, 'a> Builder<'g, 'a> {
    /// The window of a node over the sides of `x`; padding that is Keras' `same` is told as such.
    fn window(&self, node: &NodeProto<'a>, x: &Output, size: Option<&[usize]>) -> Result<Window> {
        let sides = x.rank().checked_sub(2).filter(|sides| (1..=3).contains(sides));
        let sides = sides.ok_or_else(|| node.wrong(format!("an input of {} axes; 3 to 5 are read", x.rank())))?;
        let list = |name: &str, count: usize, default: usize| -> Result<Vec<usize>> {
            let Some(found) = node.ints(name)? else {
                return Ok(vec![default; count]);
            };
            let numbers: Option<Vec<usize>> = found.iter().map(|&number| usize::try_from(number).ok()).collect();
            numbers.filter(|numbers| numbers.len() == count).ok_or_else(|| {
                node.wrong(format!(
                    "{name} is {found:?}, {count} numbers of at least 0 were expected"
                ))
            })
        };
        let kernel = match size {
            Some(size) => size.to_vec(),
            None => list("kernel_shape", sides, 1)?,
        };
        let (strides, dilation) = (list("strides", sides, 1)?, list("dilations", sides, 1)?);
        if kernel.len() != sides
            || [&kernel, &strides, &dilation]
                .iter()
                .any(|numbers| numbers.contains(&0))
        {
            return Err(node.wrong(format!(
                "a window of {kernel:?} with strides {strides:?} over {sides} sides"
            )));
        }
        let pads = list("pads", 2 * sides, 0)?;
        let mut window = Window {
            pads: (0..sides).map(|side| [pads[side], pads[sides + side]]).collect(),
            size: kernel,
            strides,
            dilation,
            padding: Padding::Valid,
        };
        match node.text("auto_pad")?.unwrap_or("NOTSET") {
            "NOTSET" => {}
            "VALID" => window.pads = vec![[0, 0]; sides],
            "SAME_UPPER" => window.padding = Padding::Same,
            other => {
                return Err(node.wrong(format!(
                    "auto_pad '{other}' has no counterpart in Keras; use explicit pads"
                )));
            }
        }
        if window.pads.iter().flatten().any(|&pad| pad > 0) && window.is_same(x) {
            window.padding = Padding::Same;
        }
        if window.padding == Padding::Same {
            window.pads = vec![[0, 0]; sides];
        }
        Ok(window)
    }

    /// Zeros around the sides, as a layer of its own.
    fn with_zeros(&mut self, node: &NodeProto<'a>, x: Output, pads: &[[usize; 2]]) -> Result<Output> {
        if pads.iter().flatten().all(|&pad| pad == 0) {
            return Ok(x);
        }
        let layer: NamedLayer = match pads {
            [a] => ZeroPadding1D::new(Margins([*a])).data_format(FIRST).into(),
            [a, b] => ZeroPadding2D::new(Margins([*a, *b])).data_format(FIRST).into(),
            [a, b, c] => ZeroPadding3D::new(Margins([*a, *b, *c])).data_format(FIRST).into(),
            _ => return Err(node.wrong("zeros around other than 1 to 3 sides")),
        };
        let mut padded = self.plain(node, layer, &[&x])?;
        padded.is_positive = x.is_positive;
        Ok(padded)
    }

    pub(super) fn convolutions(&mut self, node: &'g NodeProto<'a>) -> Result<Option<Output>> {
        let output = match node.kind {
            "Conv" => self.convolution(node)?,
            "ConvTranspose" => self.transposed(node)?,
            "MaxPool" | "AveragePool" => self.pool(node)?,
            "GlobalAveragePool" | "GlobalMaxPool" => {
                let x = self.tensor(node, 0)?;
                let layer: NamedLayer = match (node.kind, x.rank()) {
                    ("GlobalAveragePool", 3) => GlobalAveragePooling1D::new().data_format(FIRST).keepdims(true).into(),
                    ("GlobalAveragePool", 4) => GlobalAveragePooling2D::new().data_format(FIRST).keepdims(true).into(),
                    ("GlobalAveragePool", 5) => GlobalAveragePooling3D::new().data_format(FIRST).keepdims(true).into(),
                    (_, 3) => GlobalMaxPooling1D::new().data_format(FIRST).keepdims(true).into(),
                    (_, 4) => GlobalMaxPooling2D::new().data_format(FIRST).keepdims(true).into(),
                    (_, 5) => GlobalMaxPooling3D::new().data_format(FIRST).keepdims(true).into(),
                    (_, rank) => return Err(node.wrong(format!("an input of {rank} axes; 3 to 5 are read"))),
                };
                self.plain(node, layer, &[&x])?
            }
            "BatchNormalization" => self.batch_normalization(node)?,
            "InstanceNormalization" => {
                let x = self.tensor(node, 0)?;
                let layer = GroupNormalization::new()
                    .groups(-1)
                    .axis(1)
                    .epsilon(f64::from(node.float("epsilon", 1e-5)?));
                let (scale, bias) = (self.weight(node, 1)?, self.weight(node, 2)?);
                let (output, name) = self.call(node, layer, &[&x], Some(scale.0))?;
                self.weights.insert(format!("{name}/gamma"), scale.1);
                self.weights.insert(format!("{name}/beta"), bias.1);
                output
            }
            _ => return Ok(None),
        };
        Ok(Some(output))
    }

    fn convolution(&mut self, node: &'g NodeProto<'a>) -> Result<Output> {
        let x = self.tensor(node, 0)?;
        let (weight_name, weight) = self.weight(node, 1)?;
        let bias = self.constant(node, 2)?;
        let shape = weight.shape().to_vec();
        let (filters, per_group, size) = match shape.as_slice() {
            [filters, per_group, size @ ..] if size.len() + 2 == x.rank() => (*filters, *per_group, size),
            _ => {
                return Err(node.wrong(format!(
                    "a kernel of the shape {shape:?} for an input of {} axes",
                    x.rank()
                )));
            }
        };
        let window = self.window(node, &x, Some(size))?;
        let group = node.int("group", 1)?;
        let groups = usize::try_from(group)
            .ok()
            .filter(|&groups| groups > 0 && filters.is_multiple_of(groups));
        let groups = groups.ok_or_else(|| node.wrong(format!("{filters} filters in {group} groups")))?;
        let channels = per_group
            .checked_mul(groups)
            .ok_or_else(|| node.wrong("more channels than there are numbers"))?;
        if x.shape[1].is_some_and(|found| found != channels as u64) {
            return Err(node.wrong(format!(
                "a kernel for {channels} channels, the input has {:?}",
                x.shape[1]
            )));
        }
        let x = self.with_zeros(node, x, &window.pads)?;
        let depthwise = groups > 1 && per_group == 1 && size.len() < 3;
        let has_bias = bias.is_some();
        let (rank, multiplier, size) = (shape.len(), filters / groups, &window.size);
        let layer: NamedLayer = match (depthwise, size.len()) {
            (true, 1) => convolution!(
                DepthwiseConv1D::new(array(size)).depth_multiplier(multiplier),
                window,
                has_bias
            ),
            (true, _) => convolution!(
                DepthwiseConv2D::new(array(size)).depth_multiplier(multiplier),
                window,
                has_bias
            ),
            (false, 1) => convolution!(Conv1D::new(filters, array(size)).groups(groups), window, has_bias),
            (false, 2) => convolution!(Conv2D::new(filters, array(size)).groups(groups), window, has_bias),
            (false, _) => convolution!(Conv3D::new(filters, array(size)).groups(groups), window, has_bias),
        };
        let (output, name) = self.call(node, layer, &[&x], Some(weight_name))?;
        let sides: Vec<usize> = (2..rank).collect();
        let kernel = if depthwise {
            // (channels · multiplier, 1, sides..) as (sides.., channels, multiplier)
            let view: Vec<usize> = [groups, multiplier]
                .into_iter()
                .chain(shape[2..].iter().copied())
                .collect();
            let axes: Vec<usize> = sides.iter().copied().chain([0, 1]).collect();
            let turned: Vec<usize> = axes.iter().map(|&axis| view[axis]).collect();
            arranged(weight, &view, &axes, &turned)
        } else {
            let axes: Vec<usize> = sides.iter().copied().chain([1, 0]).collect();
            let turned: Vec<usize> = axes.iter().map(|&axis| shape[axis]).collect();
            arranged(weight, &shape, &axes, &turned)
        };
        self.weights.insert(format!("{name}/kernel"), kernel);
        if let Some((_, bias)) = bias {
            self.weights.insert(format!("{name}/bias"), bias);
        }
        Ok(output)
    }

    fn transposed(&mut self, node: &'g NodeProto<'a>) -> Result<Output> {
        let x = self.tensor(node, 0)?;
        let (weight_name, weight) = self.weight(node, 1)?;
        let bias = self.constant(node, 2)?;
        let shape = weight.shape().to_vec();
        if shape.len() != x.rank() || node.int("group", 1)? != 1 || node.ints("output_shape")?.is_some() {
            return Err(
                node.wrong("a transposed convolution in groups or with output_shape has no counterpart in Keras")
            );
        }
        let (filters, sides) = (shape[1], &shape[2..]);
        let count = sides.len();
        let numbers = |name: &str, default: usize, many: usize| -> Result<Vec<usize>> {
            let found = node.ints(name)?.unwrap_or_else(|| vec![default as i64; many]);
            let numbers: Option<Vec<usize>> = found.iter().map(|&number| usize::try_from(number).ok()).collect();
            numbers
                .filter(|numbers| numbers.len() == many)
                .ok_or_else(|| node.wrong(format!("{name} is {found:?}")))
        };
        let (strides, dilation) = (numbers("strides", 1, count)?, numbers("dilations", 1, count)?);
        let (pads, extra) = (numbers("pads", 0, 2 * count)?, numbers("output_padding", 0, count)?);
        if !matches!(node.text("auto_pad")?.unwrap_or("NOTSET"), "NOTSET" | "VALID") {
            return Err(node.wrong("auto_pad of a transposed convolution; use explicit pads"));
        }
        // Everything is kept, and what ONNX' pads take away is cut off by a layer of its own.
        let has_bias = bias.is_some();
        let window = Window {
            size: sides.to_vec(),
            strides,
            dilation,
            pads: Vec::new(),
            padding: Padding::Valid,
        };
        let size = &window.size;
        let layer: NamedLayer = match count {
            1 => {
                let layer = Conv1DTranspose::new(filters, array(size)).output_padding(Some(array(&extra)));
                convolution!(layer, window, has_bias)
            }
            2 => {
                let layer = Conv2DTranspose::new(filters, array(size)).output_padding(Some(array(&extra)));
                convolution!(layer, window, has_bias)
            }
            3 => {
                let layer = Conv3DTranspose::new(filters, array(size)).output_padding(Some(array(&extra)));
                convolution!(layer, window, has_bias)
            }
            _ => return Err(node.wrong(format!("a kernel of the shape {shape:?}"))),
        };
        let (output, name) = self.call(node, layer, &[&x], Some(weight_name))?;
        let axes: Vec<usize> = (2..shape.len()).chain([1, 0]).collect();
        let turned: Vec<usize> = axes.iter().map(|&axis| shape[axis]).collect();
        self.weights
            .insert(format!("{name}/kernel"), arranged(weight, &shape, &axes, &turned));
        if let Some((_, bias)) = bias {
            self.weights.insert(format!("{name}/bias"), bias);
        }
        let cuts: Vec<[usize; 2]> = (0..count).map(|side| [pads[side], pads[count + side]]).collect();
        self.cropped(node, output, &cuts)
    }

    fn pool(&mut self, node: &'g NodeProto<'a>) -> Result<Output> {
        let x = self.tensor(node, 0)?;
        let window = self.window(node, &x, None)?;
        let is_max = node.kind == "MaxPool";
        if node.outputs.len() > 1 {
            return Err(node.wrong("the places of the maxima as a second output are not read"));
        }
        if window.dilation.iter().any(|&dilation| dilation != 1) {
            return Err(node.wrong("a dilated pooling has no counterpart in Keras"));
        }
        if node.int("ceil_mode", 0)? != 0 && !window.fits_evenly(&x) {
            return Err(node.wrong("ceil_mode with windows that go beyond the input has no counterpart in Keras"));
        }
        let pads = window.pads.iter().flatten().any(|&pad| pad > 0);
        if pads && is_max && !x.is_positive {
            return Err(
                node.wrong("padding that is not Keras' 'same' around values below 0: zeros would win over them")
            );
        }
        let counts = node.int("count_include_pad", 0)? != 0;
        if !is_max && (pads && !counts || window.padding == Padding::Same && counts) {
            return Err(node.wrong("a mean whose padding counts where Keras' does not, or the other way round"));
        }
        let positive = x.is_positive;
        let x = self.with_zeros(node, x, &window.pads)?;
        let layer: NamedLayer = match (is_max, window.size.len()) {
            (true, 1) => pooling!(MaxPooling1D, window),
            (true, 2) => pooling!(MaxPooling2D, window),
            (true, _) => pooling!(MaxPooling3D, window),
            (false, 1) => pooling!(AveragePooling1D, window),
            (false, 2) => pooling!(AveragePooling2D, window),
            (false, _) => pooling!(AveragePooling3D, window),
        };
        let mut output = self.plain(node, layer, &[&x])?;
        output.is_positive = positive;
        Ok(output)
    }

    fn batch_normalization(&mut self, node: &'g NodeProto<'a>) -> Result<Output> {
        let x = self.tensor(node, 0)?;
        if node.int("training_mode", 0)? != 0 {
            return Err(node.wrong("was exported in training mode; call model.eval() before the export"));
        }
        let layer = BatchNormalization::new()
            .axis(1)
            .epsilon(f64::from(node.float("epsilon", 1e-5)?))
            .momentum(f64::from(node.float("momentum", 0.9)?));
        let scale = self.weight(node, 1)?;
        let others: Vec<StoredTensor> = (2..5)
            .map(|place| Ok(self.weight(node, place)?.1))
            .collect::<Result<_>>()?;
        let (output, name) = self.call(node, layer, &[&x], Some(scale.0))?;
        self.weights.insert(format!("{name}/gamma"), scale.1);
        for (weight, tensor) in ["beta", "moving_mean", "moving_variance"].into_iter().zip(others) {
            self.weights.insert(format!("{name}/{weight}"), tensor);
        }
        Ok(output)
    }
}

impl Window {
    fn axis(&self, side: usize, input: u64) -> Axis {
        Axis {
            input,
            kernel: self.size[side] as u64,
            stride: self.strides[side] as u64,
            dilation: self.dilation[side] as u64,
        }
    }

    /// Whether the padding is what Keras calls `same`.
    fn is_same(&self, x: &Output) -> bool {
        self.pads.iter().enumerate().all(|(side, &[before, after])| {
            // At stride 1 any size tells.
            let size = x.shape[2 + side].or((self.strides[side] == 1).then_some(1 << 20));
            let padding = size.and_then(|size| self.axis(side, size).padding(Padding::Same));
            padding == Some((before as u64, after as u64))
        })
    }

    /// Whether rounding the number of windows up changes nothing.
    fn fits_evenly(&self, x: &Output) -> bool {
        self.padding == Padding::Same
            || self.pads.iter().enumerate().all(|(side, [before, after])| {
                let Some(size) = x.shape[2 + side] else { return false };
                let padded = size
                    .checked_add(*before as u64)
                    .and_then(|size| size.checked_add(*after as u64));
                let free = padded.and_then(|size| size.checked_sub(self.size[side] as u64));
                free.is_some_and(|free| free.is_multiple_of(self.strides[side] as u64))
            })
    }
}
