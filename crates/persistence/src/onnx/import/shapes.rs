//! Operators that only move values, and the small computations with sizes that exporters put in front of them.

use nn_theory::{
    Cropping1D, Cropping2D, Cropping3D, DataFormat, Flatten, GlobalAveragePooling1D, GlobalAveragePooling2D,
    GlobalAveragePooling3D, GlobalMaxPooling1D, GlobalMaxPooling2D, GlobalMaxPooling3D, Margins, NamedLayer, Permute,
    Reshape, UpSampling2D, ZeroPadding1D, ZeroPadding2D, ZeroPadding3D,
};

use super::builder::{Builder, Known, Output, is_zero};
use super::proto::NodeProto;
use crate::fault::Result;

const FIRST: DataFormat = DataFormat::ChannelsFirst;

impl<'g, 'a> Builder<'g, 'a> {
    /// Sizes of a value, and what is made of them; `None` for nodes that compute with values.
    pub(super) fn sizes(&mut self, node: &NodeProto<'a>) -> Result<Option<Known>> {
        if node.kind == "Shape" {
            let shape = match node.input(0).and_then(|name| self.known.get(name)) {
                Some(Known::Steps(steps)) => steps.shape(),
                _ => self.tensor(node, 0)?.shape,
            };
            let sizes: Vec<Option<i64>> = shape.iter().map(|size| size.map(|size| size as i64)).collect();
            // The batch may be anything, and nothing else.
            if sizes.iter().filter(|size| size.is_none()).count() > 1 {
                return Err(node.wrong("a size beside the batch depends on the data; export with fixed sizes"));
            }
            return Ok(Some(Known::Sizes(sizes)));
        }
        let of = |name: Option<&str>| match name.and_then(|name| self.known.get(name)) {
            Some(Known::Sizes(sizes)) => Some(sizes.clone()),
            _ => None,
        };
        let is_about_sizes = node.inputs.iter().any(|name| of(Some(name)).is_some());
        if !is_about_sizes {
            return Ok(None);
        }
        let first = || of(node.input(0)).ok_or_else(|| node.wrong("mixes sizes with values"));
        let made = match node.kind {
            "Gather" => {
                let sizes = first()?;
                let places = self.integers(node, 1, "")?.unwrap_or_default();
                let at = |place: i64| {
                    let place = if place < 0 { place + sizes.len() as i64 } else { place };
                    usize::try_from(place).ok().and_then(|place| sizes.get(place).copied())
                };
                let found: Option<Vec<Option<i64>>> = places.iter().map(|&place| at(place)).collect();
                found.ok_or_else(|| node.wrong("asks for a size that does not exist"))?
            }
            "Unsqueeze" | "Squeeze" | "Cast" | "Identity" => first()?,
            "Slice" => {
                let sizes = first()?;
                let [starts, ends] = [(1, "starts"), (2, "ends")].map(|(place, name)| self.integers(node, place, name));
                let (starts, ends) = (starts?.unwrap_or_default(), ends?.unwrap_or_default());
                let (&[start], &[end]) = (starts.as_slice(), ends.as_slice()) else {
                    return Err(node.wrong("cuts sizes in more than one piece"));
                };
                let count = sizes.len() as i64;
                let clamp =
                    |place: i64| (if place < 0 { place.saturating_add(count) } else { place }).clamp(0, count) as usize;
                sizes.get(clamp(start)..clamp(end)).unwrap_or_default().to_vec()
            }
            "Concat" => {
                let mut joined = Vec::new();
                for (place, name) in node.inputs.iter().enumerate() {
                    match of(Some(name)) {
                        Some(sizes) => joined.extend(sizes),
                        None => joined.extend(
                            self.integers(node, place, "")?
                                .unwrap_or_default()
                                .into_iter()
                                .map(Some),
                        ),
                    }
                }
                if joined.len() > 64 {
                    return Err(node.wrong("more than 64 sizes"));
                }
                joined
            }
            // First states of recurrent layers.
            "ConstantOfShape" if self.zeros.contains(node.output()?) => return Ok(Some(Known::Zeros)),
            "Expand" => return self.expanded(node).map(Some),
            "Reshape" | "Resize" => return Ok(None),
            other => return Err(node.wrong(format!("computes a size by {other}; export with fixed sizes"))),
        };
        Ok(Some(Known::Sizes(made)))
    }

    /// Zeros stretched over the batch.
    fn expanded(&self, node: &NodeProto<'a>) -> Result<Known> {
        match self.constant(node, 0)? {
            Some((_, tensor)) if is_zero(&tensor) => Ok(Known::Zeros),
            _ => Err(node.wrong("stretches other numbers than zeros over the batch")),
        }
    }

    pub(super) fn rearranging(&mut self, node: &'g NodeProto<'a>) -> Result<Option<Output>> {
        if node.inputs.is_empty() || node.kind == "Constant" {
            return Ok(None);
        }
        let output = match node.kind {
            "Flatten" => {
                let x = self.tensor(node, 0)?;
                let axis = node.int("axis", 1)?;
                if axis != 1 && x.axis(node, axis)? != 1 {
                    return Err(node.wrong("flattens the batch with something else"));
                }
                self.flattened(node, &x)?
            }
            "Reshape" => self.reshaped(node)?,
            "Transpose" => {
                let x = self.tensor(node, 0)?;
                let axes = node
                    .ints("perm")?
                    .unwrap_or_else(|| (0..x.rank() as i64).rev().collect());
                let order: Vec<usize> = axes.iter().map(|&axis| x.axis(node, axis)).collect::<Result<_>>()?;
                if order.len() != x.rank() || order.first() != Some(&0) {
                    return Err(node.wrong(format!("moves the batch away from the front: {axes:?}")));
                }
                self.plain(node, Permute::new(order[1..].to_vec()), &[&x])?
            }
            "Squeeze" | "Unsqueeze" => self.axes_of_one(node)?,
            "Pad" => self.padded(node)?,
            "ReduceMean" | "ReduceMax" => self.reduced(node)?,
            "Resize" | "Upsample" => self.resized(node)?,
            _ => return Ok(None),
        };
        let is_positive = node
            .input(0)
            .and_then(|name| self.known.get(name))
            .is_some_and(|known| matches!(known, Known::Tensor(x) if x.is_positive));
        Ok(Some(Output { is_positive, ..output }))
    }

    fn flattened(&mut self, node: &NodeProto<'a>, x: &Output) -> Result<Output> {
        if x.rank() == 2 {
            return self.same(node, x);
        }
        self.plain(node, Flatten::new(), &[x])
    }

    fn reshaped(&mut self, node: &'g NodeProto<'a>) -> Result<Output> {
        let x = self.tensor(node, 0)?;
        let stated = match node.input(1).and_then(|name| self.known.get(name)) {
            Some(Known::Sizes(sizes)) => sizes.clone(),
            _ => {
                let sizes = self
                    .integers(node, 1, "shape")?
                    .ok_or_else(|| node.wrong("the shape is missing"))?;
                sizes.into_iter().map(Some).collect()
            }
        };
        let Some((&batch, sample)) = stated.split_first() else {
            return Err(node.wrong("a shape without axes"));
        };
        let whole: Option<u64> = x
            .shape
            .iter()
            .skip(1)
            .try_fold(1u64, |product, size| product.checked_mul((*size)?));
        let mut target = Vec::with_capacity(sample.len());
        for (place, &size) in sample.iter().enumerate() {
            target.push(match size {
                Some(0) => x
                    .shape
                    .get(place + 1)
                    .copied()
                    .flatten()
                    .map(|size| size as i64)
                    .ok_or_else(|| node.wrong("keeps a size that is not known"))?,
                Some(size) if size >= -1 => size,
                _ => return Err(node.wrong(format!("the shape {stated:?} moves the batch away from the front"))),
            });
        }
        let rest = target.contains(&-1);
        let product = target
            .iter()
            .filter(|&&size| size >= 0)
            .try_fold(1u64, |product, &size| product.checked_mul(size as u64));
        // A free batch takes what is left: that is the batch only if a sample keeps its values.
        if batch == Some(-1) && (rest || whole.is_none() || product != whole) {
            return Err(node.wrong(format!("the shape {stated:?} mixes the samples of a batch")));
        }
        match target.as_slice() {
            [] => Err(node.wrong("a shape without axes behind the batch")),
            [size] if *size == -1 || Some(*size as u64) == whole => self.flattened(node, &x),
            _ => self.plain(node, Reshape::new(target), &[&x]),
        }
    }

    /// Axes of size 1 that come or go.
    fn axes_of_one(&mut self, node: &'g NodeProto<'a>) -> Result<Output> {
        let x = self.tensor(node, 0)?;
        let inserts = node.kind == "Unsqueeze";
        let axes = self.integers(node, 1, "axes")?;
        let rank = x.rank() + if inserts { axes.as_ref().map_or(0, Vec::len) } else { 0 };
        let mut axes: Vec<usize> = match axes {
            Some(axes) => {
                let place = |axis: i64| {
                    usize::try_from(if axis < 0 { axis + rank as i64 } else { axis })
                        .ok()
                        .filter(|&axis| axis < rank)
                };
                let found: Option<Vec<usize>> = axes.iter().map(|&axis| place(axis)).collect();
                found.ok_or_else(|| node.wrong(format!("there are no axes {axes:?} among {rank}")))?
            }
            None => (1..rank).filter(|&axis| x.shape[axis] == Some(1)).collect(),
        };
        axes.sort_unstable();
        if axes.first() == Some(&0) {
            return Err(node.wrong("adds or removes an axis in front of the batch"));
        }
        let mut shape = x.shape.clone();
        if inserts {
            axes.iter().for_each(|&axis| shape.insert(axis, Some(1)));
        } else {
            for &axis in axes.iter().rev() {
                if shape.get(axis) != Some(&Some(1)) {
                    return Err(node.wrong(format!(
                        "removes axis {axis} of the shape {:?}, which is not 1",
                        x.shape
                    )));
                }
                shape.remove(axis);
            }
        }
        let target: Option<Vec<i64>> = shape.iter().skip(1).map(|size| size.map(|size| size as i64)).collect();
        let target = target.ok_or_else(|| node.wrong("a size that is not known; export with fixed sizes"))?;
        self.plain(node, Reshape::new(target), &[&x])
    }

    fn padded(&mut self, node: &'g NodeProto<'a>) -> Result<Output> {
        let x = self.tensor(node, 0)?;
        let mode = node.text("mode")?.unwrap_or("constant");
        let value = match node.input(2) {
            Some(_) => self.scalar(node, 2)?.unwrap_or(0.0),
            None => f64::from(node.float("value", 0.0)?),
        };
        let pads = self.integers(node, 1, "pads")?.unwrap_or_default();
        let rank = x.rank();
        let numbers: Option<Vec<usize>> = pads.iter().map(|&pad| usize::try_from(pad).ok()).collect();
        let numbers = numbers.filter(|numbers| {
            numbers.len() == 2 * rank && mode == "constant" && value == 0.0 && node.input(3).is_none()
        });
        let numbers = numbers.ok_or_else(|| {
            node.wrong(format!(
                "padding {pads:?} by {mode} {value}; zeros around all axes are read"
            ))
        })?;
        if rank < 3 || [0, 1, rank, rank + 1].iter().any(|&place| numbers[place] != 0) {
            return Err(node.wrong("padding of the batch or of the channels has no layer in Keras"));
        }
        let margins: Vec<[usize; 2]> = (2..rank).map(|axis| [numbers[axis], numbers[rank + axis]]).collect();
        let layer: NamedLayer = match margins.as_slice() {
            [a] => ZeroPadding1D::new(Margins([*a])).data_format(FIRST).into(),
            [a, b] => ZeroPadding2D::new(Margins([*a, *b])).data_format(FIRST).into(),
            [a, b, c] => ZeroPadding3D::new(Margins([*a, *b, *c])).data_format(FIRST).into(),
            _ => return Err(node.wrong("padding of more than three sides")),
        };
        self.plain(node, layer, &[&x])
    }

    /// What the pads of a transposed convolution take away.
    pub(super) fn cropped(&mut self, node: &NodeProto<'a>, x: Output, cuts: &[[usize; 2]]) -> Result<Output> {
        if cuts.iter().flatten().all(|&cut| cut == 0) {
            return Ok(x);
        }
        let layer: NamedLayer = match cuts {
            // A sequence is always (batch, steps, channels) to this layer.
            [a] => {
                let turned = self.plain(node, Permute::new(vec![2, 1]), &[&x])?;
                let cut = self.plain(node, Cropping1D::new(Margins([*a])), &[&turned])?;
                return self.plain(node, Permute::new(vec![2, 1]), &[&cut]);
            }
            [a, b] => Cropping2D::new(Margins([*a, *b])).data_format(FIRST).into(),
            [a, b, c] => Cropping3D::new(Margins([*a, *b, *c])).data_format(FIRST).into(),
            _ => return Err(node.wrong("cuts more than three sides")),
        };
        self.plain(node, layer, &[&x])
    }

    /// A mean or maximum over all sides of an image.
    fn reduced(&mut self, node: &'g NodeProto<'a>) -> Result<Output> {
        let x = self.tensor(node, 0)?;
        let axes = self.integers(node, 1, "axes")?.unwrap_or_default();
        let mut axes: Vec<usize> = axes.iter().map(|&axis| x.axis(node, axis)).collect::<Result<_>>()?;
        axes.sort_unstable();
        let keep = node.int("keepdims", 1)? != 0;
        let rank = x.rank();
        let format = if axes.iter().copied().eq(2..rank) {
            DataFormat::ChannelsFirst
        } else if axes.iter().copied().eq(1..rank - 1) {
            DataFormat::ChannelsLast
        } else {
            return Err(node.wrong(format!(
                "a reduction over the axes {axes:?} of {rank} has no layer in Keras"
            )));
        };
        let layer: NamedLayer = match (node.kind, rank) {
            ("ReduceMean", 3) => GlobalAveragePooling1D::new().data_format(format).keepdims(keep).into(),
            ("ReduceMean", 4) => GlobalAveragePooling2D::new().data_format(format).keepdims(keep).into(),
            ("ReduceMean", 5) => GlobalAveragePooling3D::new().data_format(format).keepdims(keep).into(),
            (_, 3) => GlobalMaxPooling1D::new().data_format(format).keepdims(keep).into(),
            (_, 4) => GlobalMaxPooling2D::new().data_format(format).keepdims(keep).into(),
            (_, 5) => GlobalMaxPooling3D::new().data_format(format).keepdims(keep).into(),
            _ => return Err(node.wrong(format!("an input of {rank} axes; 3 to 5 are read"))),
        };
        self.plain(node, layer, &[&x])
    }

    /// Images whose pixels are repeated a whole number of times.
    fn resized(&mut self, node: &'g NodeProto<'a>) -> Result<Output> {
        let x = self.tensor(node, 0)?;
        let place = if node.kind == "Upsample" { 1 } else { 2 };
        let scales = match self.constant(node, place)? {
            Some((_, scales)) if !scales.is_empty() => {
                scales.to_f64().map_err(|error| node.wrong(error.to_string()))?
            }
            _ => return Err(node.wrong("sizes instead of factors; export with scale_factor")),
        };
        let mode = node.text("mode")?.unwrap_or("nearest");
        let is_whole = scales
            .iter()
            .all(|&scale| scale >= 1.0 && scale.fract() == 0.0 && scale < 1e6);
        let (&[batch, channels, height, width], true, "nearest") = (scales.as_slice(), is_whole, mode) else {
            return Err(node.wrong(format!(
                "resizing by {scales:?} ({mode}); nearest by whole factors of images is read"
            )));
        };
        if batch != 1.0 || channels != 1.0 || x.rank() != 4 {
            return Err(node.wrong("resizing of the batch or of the channels"));
        }
        self.plain(
            node,
            UpSampling2D::new([height as usize, width as usize]).data_format(FIRST),
            &[&x],
        )
    }
}
