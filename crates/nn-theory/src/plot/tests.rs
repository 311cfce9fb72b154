//! Nothing overlaps, no arrow crosses a box: checked on the geometry itself, for real models and for random graphs.

use super::{
    Graph, PlotOptions, RankDir,
    scene::{Area, Scene, scene},
};
use crate::{Add, Dense, Dropout, ModelSpec};
use proptest::prelude::*;
use std::{collections::BTreeSet, path::Path};

fn scene_of(model: &ModelSpec, options: &PlotOptions) -> Scene {
    let none = BTreeSet::new();
    scene(&Graph::of(model, "model", options, 0), &none, &none, options).unwrap()
}

/// Whether the inside of an area, but for a margin, holds a point.
fn holds(area: &Area, point: [f64; 2], margin: f64) -> bool {
    (0..2).all(|axis| (point[axis] - area.middle[axis]).abs() < area.size[axis] / 2.0 - margin)
}

fn overlap(a: &Area, b: &Area) -> bool {
    (0..2).all(|axis| (a.middle[axis] - b.middle[axis]).abs() < (a.size[axis] + b.size[axis]) / 2.0 - 0.5)
}

fn inside(outer: &Area, inner: &Area) -> bool {
    (0..2).all(|axis| {
        (outer.middle[axis] - inner.middle[axis]).abs() <= (outer.size[axis] - inner.size[axis]) / 2.0 + 0.5
    })
}

/// Points of a way as it is drawn.
fn samples(points: &[[f64; 2]]) -> Vec<[f64; 2]> {
    let mut samples = Vec::new();
    for (index, pair) in points.windows(2).enumerate() {
        for step in 0..=40 {
            let t = f64::from(step) / 40.0;
            let smooth = if index % 2 == 0 { t } else { t * t * (3.0 - 2.0 * t) };
            // The curve's control points stand half way along.
            let along = if index % 2 == 0 {
                t
            } else {
                1.5 * t * (1.0 - t) + t * t * t
            };
            samples.push([
                pair[0][0] + along * (pair[1][0] - pair[0][0]),
                pair[0][1] + smooth * (pair[1][1] - pair[0][1]),
            ]);
        }
    }
    samples
}

#[track_caller]
fn check(scene: &Scene, what: &str) {
    let whole = Area {
        middle: [scene.size[0] / 2.0, scene.size[1] / 2.0],
        size: scene.size,
    };
    for (index, (_, area)) in scene.boxes.iter().enumerate() {
        assert!(inside(&whole, area), "{what}: box {index} leaves the drawing");
        for (other, (_, second)) in scene.boxes.iter().enumerate().take(index) {
            assert!(!overlap(area, second), "{what}: boxes {index} and {other} overlap");
        }
        for (name, frame) in &scene.frames {
            assert!(
                inside(frame, area) || !overlap(frame, area),
                "{what}: box {index} is half in frame {name}"
            );
        }
    }
    for (index, (name, frame)) in scene.frames.iter().enumerate() {
        assert!(inside(&whole, frame), "{what}: frame {name} leaves the drawing");
        for (other, second) in scene.frames.iter().take(index) {
            assert!(
                !overlap(frame, second) || inside(frame, second) || inside(second, frame),
                "{what}: frames {name} and {other} overlap"
            );
        }
    }
    for way in &scene.ways {
        for point in samples(&way.points) {
            for (index, (_, area)) in scene.boxes.iter().enumerate() {
                assert!(
                    !holds(area, point, 1.0),
                    "{what}: an arrow crosses box {index} at {point:?}"
                );
            }
        }
    }
}

fn all_options() -> Vec<PlotOptions> {
    let mut all = Vec::new();
    for rankdir in RankDir::ALL {
        for expand_nested in [false, true] {
            for (shown, names) in [(false, true), (true, true), (true, false)] {
                all.push(PlotOptions {
                    show_shapes: shown,
                    show_dtype: shown && expand_nested,
                    show_layer_names: names,
                    show_layer_activations: shown,
                    show_trainable: shown,
                    expand_nested,
                    rankdir,
                    dpi: 96,
                });
            }
        }
    }
    all
}

#[test]
fn nothing_overlaps_in_drawings_of_the_golden_models() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/summary");
    let mut drawn = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if !path.to_string_lossy().ends_with(".config.json") {
            continue;
        }
        let model = ModelSpec::from_keras_json(&std::fs::read_to_string(&path).unwrap()).unwrap();
        if !model.is_built() {
            assert!(model.plot(&PlotOptions::default()).is_err());
            continue;
        }
        for options in all_options() {
            check(&scene_of(&model, &options), &format!("{} {options:?}", path.display()));
            let svg = model.plot(&options).unwrap().svg().unwrap();
            assert!(svg.matches("<text").count() >= model.plot(&options).unwrap().boxes());
        }
        drawn += 1;
    }
    assert!(drawn > 20);
}

#[test]
fn a_layer_that_reads_itself_and_cycles_of_calls_are_drawn() {
    let mut graph = ModelSpec::functional("again");
    let input = graph.input([4]).unwrap();
    let first = graph.layer(Dense::new(4).name("shared"), input).unwrap();
    let second = graph.again(first, first).unwrap();
    let between = graph.layer(Dropout::new(0.5), second).unwrap();
    let third = graph.again(first, between).unwrap();
    let model = graph.build(input, third).unwrap();
    for options in all_options() {
        check(&scene_of(&model, &options), "cycle");
    }
    assert_eq!(
        model
            .plot(&PlotOptions::default())
            .unwrap()
            .dot()
            .matches(" -> ")
            .count(),
        4
    );
}

#[test]
fn large_models_are_refused_as_drawings_but_not_as_dot() {
    let stack = ModelSpec::sequential("long").input([2]);
    let model = (0..2_001)
        .fold(stack, |stack, _| stack.layer(Dense::new(2)))
        .build()
        .unwrap();
    let plot = model.plot(&PlotOptions::default()).unwrap();
    assert!(
        plot.svg()
            .unwrap_err()
            .to_string()
            .contains("2001 boxes, more than the 2000")
    );
    assert_eq!(plot.dot().matches(" -> ").count(), 2_000);
}

#[test]
fn names_cannot_leave_their_texts() {
    let model = ModelSpec::sequential("a\"b<c>\u{7}\\")
        .input([2])
        .layer(Dense::new(2).name("</text><script>&\"'"))
        .build()
        .unwrap();
    let plot = model.plot(&PlotOptions::lecture()).unwrap();
    for text in [plot.svg().unwrap(), plot.dot()] {
        assert!(!text.contains("<script>") && !text.contains('\u{7}'), "{text}");
        assert!(text.contains("&lt;/text&gt;&lt;script&gt;&amp;&quot;&#39;"), "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn nothing_overlaps_in_drawings_of_random_graphs(
        reads in prop::collection::vec((0usize..1000, 0usize..1000, 0u8..4), 1..40),
        nested in any::<bool>(),
        place in 0usize..4,
    ) {
        let mut graph = ModelSpec::functional("random");
        let inputs = [graph.input([4]).unwrap(), graph.input([4]).unwrap()];
        let mut tensors = inputs.to_vec();
        for (a, b, kind) in reads {
            let (a, b) = (tensors[a % tensors.len()], tensors[b % tensors.len()]);
            let made = match kind {
                0 if nested => {
                    let mut inner = ModelSpec::functional(format!("inner {} with a rather long name", tensors.len()));
                    let (x, y) = (inner.input([4]).unwrap(), inner.input([4]).unwrap());
                    let sum = inner.layer(Add::new(), [x, y]).unwrap();
                    let model = inner.build([x, y], [sum, x]).unwrap();
                    graph.layer(model, [a, b])
                }
                0 | 1 => graph.layer(Dense::new(4), a),
                _ => graph.layer(Add::new(), [a, b]),
            };
            tensors.push(made.unwrap());
        }
        let model = graph.build(inputs, tensors).unwrap();
        let options = PlotOptions {
            expand_nested: true,
            show_shapes: true,
            rankdir: RankDir::ALL[place],
            ..PlotOptions::default()
        };
        check(&scene_of(&model, &options), "random");
    }
}
