//! Convolution arithmetic against a walk over all indices, and against what Keras' layers look at
//! (`golden/convolution/make.py`).

use std::collections::BTreeSet;

use nn_theory::{
    Padding,
    convolution::{Axis, ReceptiveField},
};
use proptest::prelude::*;

/// Every place where a kernel can be put on a row of `before` zeros, the values and `after` zeros, as the list of the
/// values that it covers: the definition, without a formula.
fn walk(axis: Axis, before: u64, after: u64) -> Vec<Vec<i128>> {
    let values = -i128::from(before)..i128::from(axis.input + after);
    let mut windows = Vec::new();
    for start in values.clone().step_by(axis.stride as usize) {
        let window: Vec<i128> = (0..axis.kernel)
            .map(|tap| start + i128::from(tap * axis.dilation))
            .collect();
        if window.iter().all(|place| values.contains(place)) {
            windows.push(window);
        }
    }
    windows
}

/// Every place of the output that a transposed convolution writes to, input by input.
fn stamps(axis: Axis) -> BTreeSet<u64> {
    let taps = (0..axis.kernel).map(|tap| tap * axis.dilation);
    (0..axis.input)
        .flat_map(|place| taps.clone().map(move |tap| place * axis.stride + tap))
        .collect()
}

fn axis() -> impl Strategy<Value = Axis> {
    (1u64..40, 1u64..8, 1u64..6, 1u64..4).prop_map(|(input, kernel, stride, dilation)| Axis {
        input,
        kernel,
        stride,
        dilation,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn outputs_are_the_places_of_the_kernel(axis in axis(), before in 0u64..6, after in 0u64..6) {
        prop_assert_eq!(axis.output_padded(before, after), Some(walk(axis, before, after).len() as u64));
        prop_assert_eq!(axis.output(Padding::Valid), axis.output_padded(0, 0));
        for padding in [Padding::Valid, Padding::Same, Padding::Causal] {
            let (before, after) = axis.padding(padding).unwrap();
            let windows = walk(axis, before, after);
            prop_assert_eq!(axis.output(padding), Some(windows.len() as u64));
            for (index, window) in (0..).zip(&windows) {
                prop_assert_eq!(&axis.window(index, padding), window);
            }
            prop_assert!(axis.window(windows.len() as u64, padding).is_empty());
        }
    }

    #[test]
    fn same_pads_as_little_as_it_can_and_the_odd_zero_behind(axis in axis()) {
        let (before, after) = axis.padding(Padding::Same).unwrap();
        prop_assert!(after == before || after == before + 1);
        let outputs = axis.input.div_ceil(axis.stride);
        prop_assert_eq!(walk(axis, before, after).len() as u64, outputs);
        if before + after > 0 {
            // One zero less, and an output is missing.
            prop_assert!((walk(axis, 0, before + after - 1).len() as u64) < outputs);
        }
    }

    #[test]
    fn a_transposed_convolution_writes_where_its_kernel_lands(axis in axis(), before in 0u64..4, after in 0u64..4, extra in 0u64..3) {
        let full = stamps(axis).last().unwrap() + 1;
        prop_assert_eq!(axis.transposed_padded(0, 0, 0), Some(full));
        prop_assert_eq!(axis.transposed_padded(before, after, extra), (full + extra).checked_sub(before + after));
        // It undoes the size of the convolution with the same padding, whatever of the rest behind was lost.
        if let Some(output) = axis.transposed_padded(before, after, 0) {
            let forward = Axis { input: output, ..axis };
            prop_assert_eq!(forward.output_padded(before, after), Some(axis.input));
            for extra in 0..axis.stride {
                let longer = Axis { input: axis.transposed_padded(before, after, extra).unwrap(), ..axis };
                prop_assert_eq!(longer.output_padded(before, after), Some(axis.input));
            }
        }
    }

    #[test]
    fn receptive_fields_are_the_inputs_that_windows_reach(
        input in 20u64..60,
        layers in prop::collection::vec((1u64..5, 1u64..3, 1u64..3, any::<bool>()), 1..4),
    ) {
        let mut field = ReceptiveField::of_input();
        let mut size = input;
        // For each value of the current layer the inputs it sees, padding included, found by following the windows.
        let mut seen: Box<dyn Fn(i128) -> BTreeSet<i128>> = Box::new(|place| BTreeSet::from([place]));
        for (kernel, stride, dilation, same) in layers {
            let axis = Axis { input: size, kernel, stride, dilation };
            let padding = if same { Padding::Same } else { Padding::Valid };
            let outputs = axis.output(padding).unwrap();
            if outputs == 0 {
                break;
            }
            field = field.through(&axis, padding).unwrap();
            let before = i128::from(axis.padding(padding).unwrap().0);
            let below = seen;
            seen = Box::new(move |place| {
                (0..i128::from(kernel))
                    .flat_map(|tap| below(place * i128::from(stride) - before + tap * i128::from(dilation)))
                    .collect()
            });
            size = outputs;
        }
        for index in 0..size.min(4) {
            let places = seen(i128::from(index));
            let (first, last) = field.of_value(index).unwrap();
            prop_assert_eq!(
                (Some(&i128::from(first)), Some(&i128::from(last))),
                (places.first(), places.last())
            );
            prop_assert_eq!(u64::try_from(last - first + 1), Ok(field.size));
        }
    }

    #[test]
    fn formulas_end_in_the_size(axis in axis(), extra in prop::option::of(0u64..3)) {
        for padding in [Padding::Valid, Padding::Same, Padding::Causal] {
            let size = axis.explain(padding).unwrap();
            prop_assert_eq!(Some(size.value), axis.output(padding));
            let fits = size.value > 0;
            prop_assert!(!fits || size.figures.ends_with(&format!(" = {}", size.value)), "{}", size.figures);
        }
        for padding in [Padding::Valid, Padding::Same] {
            if let Some(size) = axis.explain_transposed(padding, extra) {
                prop_assert_eq!(Some(size.value), axis.transposed_output(padding, extra));
                prop_assert!(size.figures.ends_with(&format!(" = {}", size.value)), "{}", size.figures);
            }
        }
    }
}

#[test]
fn numbers_beyond_64_bits_are_no_sizes() {
    let axis = Axis {
        input: u64::MAX,
        kernel: u64::MAX,
        stride: 1,
        dilation: u64::MAX,
    };
    assert_eq!(axis.span(), None);
    assert_eq!(axis.output(Padding::Same), None);
    assert_eq!(axis.output_padded(1, 0), None);
    assert_eq!(axis.transposed_padded(0, 0, 0), None);
    assert_eq!(axis.transposed_output(Padding::Same, Some(1)), None);
    assert!(axis.explain(Padding::Valid).is_none());
    assert!(axis.window(0, Padding::Causal).is_empty());
    assert!(ReceptiveField::of_input().through(&axis, Padding::Valid).is_none());
    let still = Axis {
        input: 3,
        kernel: 1,
        stride: 0,
        dilation: 1,
    };
    assert_eq!((still.output(Padding::Valid), still.output_padded(1, 1)), (None, None));
    assert_eq!(still.transposed_output(Padding::Same, None), None);
}

/// Each case is a layer that Keras ran on unit vectors.
#[test]
fn keras_looks_at_the_same_places() -> serde_json::Result<()> {
    let cases: Vec<serde_json::Value> = serde_json::from_str(include_str!("golden/convolution/cases.json"))?;
    for case in &cases {
        let number = |key: &str| case[key].as_u64().unwrap_or_default();
        let axis = Axis {
            input: number("input"),
            kernel: number("kernel"),
            stride: number("stride"),
            dilation: number("dilation"),
        };
        let padding = match case["padding"].as_str() {
            Some("same") => Padding::Same,
            Some("causal") => Padding::Causal,
            _ => Padding::Valid,
        };
        let windows: Vec<Vec<i128>> = serde_json::from_value(case["windows"].clone())?;
        let found: Vec<Vec<i128>> = if case["class"] == "Conv1D" {
            assert_eq!(axis.output(padding), case["output"].as_u64(), "{case}");
            let inside = |place: &i128| (0..i128::from(axis.input)).contains(place);
            let outputs = 0..number("output");
            outputs
                .map(|index| axis.window(index, padding).into_iter().filter(inside).collect())
                .collect()
        } else {
            let extra = case["output_padding"].as_u64();
            let output = axis.transposed_output(padding, extra);
            assert_eq!(output, case["output"].as_u64(), "{case}");
            let (before, _) = axis.transposed_cut(padding, extra).unwrap_or_default();
            let inside = |place: &i128| (0..i128::from(number("output"))).contains(place);
            (0..axis.input)
                .map(|place| {
                    (0..axis.kernel)
                        .map(|tap| i128::from(place * axis.stride + tap * axis.dilation) - i128::from(before))
                        .filter(inside)
                        .collect()
                })
                .collect()
        };
        assert_eq!(found, windows, "{case}");
    }
    assert!(cases.len() > 500);
    Ok(())
}
