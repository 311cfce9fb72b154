//! The drawing of a graph before it has a direction: boxes, frames of nested models and ways of edges, as `[along, across]`.

use super::{
    PlotOptions,
    boxes::Measured,
    graph::{Graph, Item},
    layout::{Edge, Placed, Point, Task, layout},
    text::{shortened, width},
};
use std::collections::{BTreeMap, BTreeSet};

/// Room inside a frame, and the height of its name.
const FRAME: f64 = 16.0;
pub(super) const NAME: f64 = 14.0;
const STRIP: f64 = 24.0;
/// How far an edge from a box to itself swings out.
const LOOP: f64 = 22.0;

/// A rectangle: its middle and its size.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Area {
    pub(super) middle: Point,
    pub(super) size: Point,
}

/// A part of an edge. A way that ends at the edge of a frame goes on inside or outside of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Way {
    pub(super) points: Vec<Point>,
    /// Whether it ends in a box.
    pub(super) arrow: bool,
}

#[derive(Default)]
pub(super) struct Scene {
    pub(super) size: Point,
    pub(super) boxes: Vec<(Measured, Area)>,
    pub(super) frames: Vec<(String, Area)>,
    pub(super) ways: Vec<Way>,
    /// Where edges to and from a box inside cross the border, across.
    entries: BTreeMap<usize, f64>,
    exits: BTreeMap<usize, f64>,
}

/// An item with its size and what is in it.
enum Part {
    Box(Measured),
    Frame(String, Scene, Point),
}

struct Sized {
    part: Part,
    size: Point,
}

impl Sized {
    /// Where an edge to (or from) a box in this item meets the item, across, from its middle.
    fn port(&self, number: usize, entering: bool) -> f64 {
        let Part::Frame(_, scene, offset) = &self.part else {
            return 0.0;
        };
        let ports = if entering { &scene.entries } else { &scene.exits };
        ports
            .get(&number)
            .map_or(0.0, |port| port + offset[1] - self.size[1] / 2.0)
    }
}

/// Draws a graph; `entries` and `exits` are the boxes inside that edges from outside lead to or come from. `None` when it
/// is too tangled.
pub(super) fn scene(
    graph: &Graph,
    entries: &BTreeSet<usize>,
    exits: &BTreeSet<usize>,
    options: &PlotOptions,
) -> Option<Scene> {
    let count = graph.items.len();
    let (mut entering, mut leaving) = (vec![BTreeSet::new(); count], vec![BTreeSet::new(); count]);
    let into = graph.edges.iter().map(|edge| edge.1).chain(entries.iter().copied());
    for number in into {
        entering[graph.item_of(number)?].insert(number);
    }
    let from = graph.edges.iter().map(|edge| edge.0).chain(exits.iter().copied());
    for number in from {
        leaving[graph.item_of(number)?].insert(number);
    }
    let mut items = Vec::with_capacity(count);
    for (place, item) in graph.items.iter().enumerate() {
        items.push(match item {
            Item::Box(_, label) => {
                let measured = Measured::of(label);
                let size = options.rankdir.turned([measured.height, measured.width]);
                Sized {
                    part: Part::Box(measured),
                    size,
                }
            }
            Item::Frame(inner) => frame(inner, &entering[place], &leaving[place], options)?,
        });
    }

    let mut task = Task {
        sizes: items.iter().map(|item| item.size).collect(),
        ..Task::default()
    };
    let mut arrows = Vec::new();
    for &(from, to) in &graph.edges {
        let (source, target) = (graph.item_of(from)?, graph.item_of(to)?);
        if source == target {
            task.sizes[source][1] = items[source].size[1] + 2.0 * LOOP;
        }
        task.edges.push(Edge {
            from: source,
            to: target,
            from_port: items[source].port(from, false),
            to_port: items[target].port(to, true),
        });
        arrows.push(matches!(items[target].part, Part::Box(_)));
    }
    for &number in entries {
        let target = graph.item_of(number)?;
        task.first.push(task.sizes.len());
        task.edges.push(Edge {
            from: task.sizes.len(),
            to: target,
            from_port: 0.0,
            to_port: items[target].port(number, true),
        });
        task.sizes.push([0.0, 0.0]);
        arrows.push(matches!(items[target].part, Part::Box(_)));
    }
    for &number in exits {
        let source = graph.item_of(number)?;
        task.last.push(task.sizes.len());
        task.edges.push(Edge {
            from: source,
            to: task.sizes.len(),
            from_port: items[source].port(number, false),
            to_port: 0.0,
        });
        task.sizes.push([0.0, 0.0]);
        arrows.push(false);
    }

    let placed = layout(&task)?;
    let mut scene = Scene {
        size: placed.size,
        ..Scene::default()
    };
    for (&virtual_item, &number) in task.first.iter().zip(entries) {
        scene.entries.insert(number, placed.middles[virtual_item][1]);
    }
    for (&virtual_item, &number) in task.last.iter().zip(exits) {
        scene.exits.insert(number, placed.middles[virtual_item][1]);
    }
    for (index, arrow) in arrows.into_iter().enumerate() {
        let edge = task.edges[index];
        let points = if edge.from == edge.to {
            around(&placed, edge, items[edge.from].size)
        } else {
            placed.ways[index].clone()
        };
        scene.ways.push(Way { points, arrow });
    }
    for (item, middle) in items.into_iter().zip(&placed.middles) {
        let area = Area {
            middle: *middle,
            size: item.size,
        };
        match item.part {
            Part::Box(measured) => scene.boxes.push((measured, area)),
            Part::Frame(name, inner, offset) => scene.take(name, inner, area, offset),
        }
    }
    Some(scene)
}

/// An edge from an item to itself: out of its end, around its side, in at its beginning.
fn around(placed: &Placed, edge: Edge, size: Point) -> Vec<Point> {
    let [along, across] = placed.middles[edge.from];
    let (begin, end) = (along - size[0] / 2.0, along + size[0] / 2.0);
    let side = across + size[1] / 2.0 + LOOP * 0.7;
    let (out, back) = (across + edge.from_port, across + edge.to_port);
    vec![
        [end, out],
        [end + LOOP * 0.4, out],
        [end, side],
        [begin, side],
        [begin - LOOP * 0.7, back],
        [begin, back],
    ]
}

/// A nested model with room for its name.
fn frame(inner: &Graph, entries: &BTreeSet<usize>, exits: &BTreeSet<usize>, options: &PlotOptions) -> Option<Sized> {
    let scene = scene(inner, entries, exits, options)?;
    let name = shortened(&inner.name);
    let text = width(&name, NAME, false) + 2.0 * FRAME;
    let vertical = options.rankdir.is_vertical();
    let mut offset = [0.0, FRAME];
    let mut size = [scene.size[0], scene.size[1] + 2.0 * FRAME];
    if entries.is_empty() {
        offset[0] = FRAME;
        size[0] += FRAME;
    }
    if exits.is_empty() {
        size[0] += FRAME;
    }
    if vertical {
        // The name stands in a strip of its own; no edge passes through the name.
        size[0] += STRIP;
        if !options.rankdir.is_reversed() {
            offset[0] += STRIP;
        }
        let ports = if options.rankdir.is_reversed() {
            &scene.exits
        } else {
            &scene.entries
        };
        let nearest = ports.values().copied().fold(f64::INFINITY, f64::min);
        let missing = (text - (nearest + offset[1])).max(0.0);
        if missing.is_finite() {
            offset[1] += missing;
            size[1] += missing;
        }
        size[1] = size[1].max(text);
    } else {
        size[1] += STRIP;
        offset[1] += STRIP;
        let missing = (text - size[0]).max(0.0);
        size[0] += missing;
    }
    Some(Sized {
        part: Part::Frame(name, scene, offset),
        size,
    })
}

impl Scene {
    /// Puts the scene of a nested model into its area; ways that enter or leave go on to the border.
    fn take(&mut self, name: String, inner: Scene, area: Area, offset: Point) {
        let corner = [
            area.middle[0] - area.size[0] / 2.0 + offset[0],
            area.middle[1] - area.size[1] / 2.0 + offset[1],
        ];
        let moved = |point: Point| [point[0] + corner[0], point[1] + corner[1]];
        let border = [area.middle[0] - area.size[0] / 2.0, area.middle[0] + area.size[0] / 2.0];
        self.frames.push((name, area));
        for (measured, inner_area) in inner.boxes {
            let middle = moved(inner_area.middle);
            self.boxes.push((measured, Area { middle, ..inner_area }));
        }
        for (inner_name, inner_area) in inner.frames {
            let middle = moved(inner_area.middle);
            self.frames.push((inner_name, Area { middle, ..inner_area }));
        }
        for way in inner.ways {
            let points = way.points.into_iter().map(moved).collect();
            self.ways.push(Way { points, ..way });
        }
        let straight = |from: f64, to: f64, across: f64| Way {
            points: vec![[from, across + corner[1]], [to, across + corner[1]]],
            arrow: false,
        };
        for &across in inner.entries.values() {
            self.ways.push(straight(border[0], corner[0], across));
        }
        for &across in inner.exits.values() {
            self.ways.push(straight(corner[0] + inner.size[0], border[1], across));
        }
    }
}
