//! Output shapes against a brute-force walk: windows are put at every place, values are written and counted one by one,
//! without a formula.

use nn_theory::{
    AveragePooling1D, AveragePooling3D, Conv1D, Conv1DTranspose, Conv2D, Conv2DTranspose, Conv3D, Cropping1D,
    Cropping2D, DataFormat, DepthwiseConv2D, Layer, Margins, MaxPooling2D, Padding, SeparableConv1D, Shape,
    UpSampling2D, ZeroPadding2D, ZeroPadding3D,
};
use proptest::prelude::*;

/// One spatial axis: size of the input, kernel, stride, dilation.
#[derive(Debug, Clone, Copy)]
struct Walk {
    input: usize,
    kernel: usize,
    stride: usize,
    dilation: usize,
}

impl Walk {
    /// Places of the kernel: it starts at every multiple of the stride where all that it looks at exists (`valid`), or at
    /// every multiple inside the input, with as much around it as it needs (`same`, `causal`).
    fn places(self, padding: Padding) -> u64 {
        let mut count = 0;
        let mut start = 0;
        while start < self.input {
            let seen: Vec<usize> = (0..self.kernel).map(|tap| start + tap * self.dilation).collect();
            if padding != Padding::Valid || seen.iter().all(|&at| at < self.input) {
                count += 1;
            }
            start += self.stride;
        }
        count
    }

    /// Values that a transposed convolution writes to: every input value writes one for each tap. `same` keeps as many as
    /// there are input values times strides; `valid` at least that many.
    fn written(self, padding: Padding) -> u64 {
        let mut last = 0;
        for at in 0..self.input {
            for tap in 0..self.kernel {
                last = last.max(at * self.stride + tap * self.dilation + 1);
            }
        }
        let strided = self.input * self.stride;
        (if padding == Padding::Same {
            strided
        } else {
            last.max(strided)
        }) as u64
    }
}

fn walk(dilated: bool) -> impl Strategy<Value = Walk> {
    (1usize..24, 1usize..6, 1usize..5, 1usize..4).prop_map(move |(input, kernel, stride, dilation)| Walk {
        input,
        kernel,
        // Keras has either strides or dilation.
        stride: if dilated { 1 } else { stride },
        dilation: if dilated { dilation } else { 1 },
    })
}

fn walks<const N: usize>() -> impl Strategy<Value = [Walk; N]> {
    any::<bool>()
        .prop_flat_map(|dilated| prop::collection::vec(walk(dilated), N))
        .prop_map(|walks| std::array::from_fn(|axis| walks[axis]))
}

fn padding() -> impl Strategy<Value = Padding> {
    prop_oneof![Just(Padding::Valid), Just(Padding::Same)]
}

fn format() -> impl Strategy<Value = DataFormat> {
    prop_oneof![Just(DataFormat::ChannelsLast), Just(DataFormat::ChannelsFirst)]
}

/// `(batch, .., channels)` or `(batch, channels, ..)`; one spatial axis may be free.
fn shape(spatial: &[u64], channels: u64, format: DataFormat, free: Option<usize>) -> Shape {
    let spatial = spatial
        .iter()
        .enumerate()
        .map(|(i, &n)| if free == Some(i) { None } else { Some(n) });
    let mut dims = vec![None];
    match format {
        DataFormat::ChannelsLast => {
            dims.extend(spatial);
            dims.push(Some(channels));
        }
        DataFormat::ChannelsFirst => {
            dims.push(Some(channels));
            dims.extend(spatial);
        }
    }
    Shape(dims)
}

/// Compares a layer's output with the walk; where no window fits, the layer must refuse.
fn check<const N: usize>(
    layer: impl Into<Layer>,
    walks: [Walk; N],
    outputs: [u64; N],
    channels: (u64, u64),
    format: DataFormat,
    free: Option<usize>,
) -> Result<(), TestCaseError> {
    let layer = layer.into();
    let inputs = walks.map(|walk| walk.input as u64);
    let found = layer.output_shapes(&[shape(&inputs, channels.0, format, free)]);
    let impossible = outputs
        .iter()
        .enumerate()
        .any(|(axis, &size)| size == 0 && free != Some(axis));
    if impossible {
        prop_assert!(found.is_err(), "{:?}: {:?} for {:?}", layer.class(), found, walks);
        return Ok(());
    }
    let expected = shape(&outputs, channels.1, format, free);
    prop_assert_eq!(found, Ok(vec![expected]), "{:?} {:?}", layer.class(), walks);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn convolutions(w in walks::<3>(), padding in padding(), format in format(), free in prop::option::of(0usize..3), filters in 1usize..5) {
        let out = w.map(|walk| walk.places(padding));
        let (k, s, d) = (w.map(|w| w.kernel), w.map(|w| w.stride), w.map(|w| w.dilation));
        let three = Conv3D::new(filters, k).strides(s).dilation_rate(d).padding(padding).data_format(format);
        check(three, w, out, (3, filters as u64), format, free)?;
        let two = Conv2D::new(filters, [k[0], k[1]]).strides([s[0], s[1]]).dilation_rate([d[0], d[1]]).padding(padding).data_format(format);
        check(two, [w[0], w[1]], [out[0], out[1]], (3, filters as u64), format, free)?;
        let one = Conv1D::new(filters, [k[0]]).strides([s[0]]).dilation_rate([d[0]]).padding(padding).data_format(format);
        check(one, [w[0]], [out[0]], (3, filters as u64), format, free)?;
        let depthwise = DepthwiseConv2D::new([k[0], k[1]]).strides([s[0], s[1]]).dilation_rate([d[0], d[1]]).padding(padding).data_format(format).depth_multiplier(filters);
        check(depthwise, [w[0], w[1]], [out[0], out[1]], (3, 3 * filters as u64), format, free)?;
        let separable = SeparableConv1D::new(filters, [k[0]]).strides([s[0]]).dilation_rate([d[0]]).padding(padding).data_format(format);
        check(separable, [w[0]], [out[0]], (3, filters as u64), format, free)?;
    }

    #[test]
    fn causal_convolutions(w in walks::<1>(), filters in 1usize..5) {
        let layer = Conv1D::new(filters, [w[0].kernel]).strides([w[0].stride]).dilation_rate([w[0].dilation]).padding(Padding::Causal);
        check(layer, w, [w[0].places(Padding::Causal)], (2, filters as u64), DataFormat::ChannelsLast, None)?;
    }

    #[test]
    fn poolings(w in walks::<3>(), padding in padding(), format in format(), free in prop::option::of(0usize..3)) {
        // Poolings have no dilation.
        let w = w.map(|walk| Walk { dilation: 1, ..walk });
        let out = w.map(|walk| walk.places(padding));
        let (k, s) = (w.map(|w| w.kernel), w.map(|w| w.stride));
        check(AveragePooling3D::new(k).strides(s).padding(padding).data_format(format), w, out, (3, 3), format, free)?;
        check(MaxPooling2D::new([k[0], k[1]]).strides([s[0], s[1]]).padding(padding).data_format(format), [w[0], w[1]], [out[0], out[1]], (3, 3), format, free)?;
        check(AveragePooling1D::new([k[0]]).strides([s[0]]).padding(padding).data_format(format), [w[0]], [out[0]], (3, 3), format, free)?;
    }

    #[test]
    fn transposed_convolutions(w in walks::<2>(), padding in padding(), format in format(), filters in 1usize..5) {
        let out = w.map(|walk| walk.written(padding));
        let (k, s, d) = (w.map(|w| w.kernel), w.map(|w| w.stride), w.map(|w| w.dilation));
        let two = Conv2DTranspose::new(filters, k).strides(s).dilation_rate(d).padding(padding).data_format(format);
        check(two, w, out, (3, filters as u64), format, None)?;
        let one = Conv1DTranspose::new(filters, [k[0]]).strides([s[0]]).dilation_rate([d[0]]).padding(padding).data_format(format);
        check(one, [w[0]], [out[0]], (3, filters as u64), format, None)?;
    }

    #[test]
    fn margins(sizes in prop::array::uniform3(1usize..12), m in prop::array::uniform3((0usize..4, 0usize..4)), format in format()) {
        let margins = m.map(|(before, after)| [before, after]);
        let w = sizes.map(|input| Walk { input, kernel: 1, stride: 1, dilation: 1 });
        // Padded: the values and the margins, counted; cropped: the places that are in no margin.
        let count = |axis: usize| (0..m[axis].0).chain(0..sizes[axis]).chain(0..m[axis].1).count() as u64;
        let kept = |axis: usize| (0..sizes[axis]).filter(|&at| at >= m[axis].0 && at + m[axis].1 < sizes[axis]).count() as u64;
        check(ZeroPadding3D::new(Margins(margins)).data_format(format), w, [count(0), count(1), count(2)], (3, 3), format, None)?;
        check(ZeroPadding2D::new(Margins([margins[0], margins[1]])).data_format(format), [w[0], w[1]], [count(0), count(1)], (3, 3), format, None)?;
        check(Cropping2D::new(Margins([margins[0], margins[1]])).data_format(format), [w[0], w[1]], [kept(0), kept(1)], (3, 3), format, None)?;
        check(Cropping1D::new(Margins([margins[0]])), [w[0]], [kept(0)], (3, 3), DataFormat::ChannelsLast, None)?;
        let times = [m[0].0 + 1, m[1].0 + 1];
        let repeated = |axis: usize| (0..sizes[axis]).flat_map(|_| 0..times[axis]).count() as u64;
        check(UpSampling2D::new(times).data_format(format), [w[0], w[1]], [repeated(0), repeated(1)], (3, 3), format, None)?;
    }
}

#[test]
fn normalizations_count_each_multiplication_of_a_value() {
    use nn_theory::{GroupNormalization, LayerNormalization, RMSNormalization, UnitNormalization};
    #[track_caller]
    fn check(layer: impl Into<nn_theory::NamedLayer>, expected: &str) {
        let layer = layer.into();
        let cost = layer.layer().multiply_adds(&[Shape::batched([5, 8])]).unwrap().unwrap();
        assert_eq!(cost.to_string(), expected);
        assert_eq!(
            layer
                .layer()
                .multiply_adds(&[Shape::from([None, None, Some(8)])])
                .unwrap(),
            None
        );
    }
    check(LayerNormalization::new(), "3 × 40 = 120");
    check(LayerNormalization::new().scale(false).center(false), "2 × 40 = 80");
    check(GroupNormalization::new().groups(4), "3 × 40 = 120");
    check(RMSNormalization::new(), "3 × 40 = 120");
    check(UnitNormalization::new(), "2 × 40 = 80");
    check(nn_theory::Normalization::new(), "40");
    check(nn_theory::BatchNormalization::new(), "40");
}
