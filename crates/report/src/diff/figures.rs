//! Figures: series by their names, their points one by one, the largest change of each series in one line.

use serde::Deserialize;
use serde_json::Value;

use super::{Found, Kind, change, join, paired};
use crate::{Series, format};

/// What a record holds of a figure.
#[derive(Deserialize)]
struct Figure {
    #[serde(default)]
    title: String,
    #[serde(default)]
    axes: Vec<String>,
    #[serde(default)]
    series: Vec<Series>,
}

pub(super) fn compare(found: &mut Found, before: Option<&Value>, after: Option<&Value>) {
    let (before, after) = (read(before), read(after));
    for (title, before, after) in paired(&before, &after, |figure| figure.title.clone()) {
        let (Some(before), Some(after)) = (before, after) else {
            found.comparison.compared += 1;
            let series = |figure: &Figure| format!("{} series", figure.series.len());
            found.changed(Kind::Figure, &title, before.map(series), after.map(series), None);
            continue;
        };
        let axes = before.axes.join(" ");
        let Some(kind) = found.kind(Kind::Figure, &axes) else {
            continue;
        };
        for (name, old, new) in paired(&before.series, &after.series, |series| series.name.clone()) {
            let place = if name.is_empty() {
                title.clone()
            } else {
                join(&title, &name)
            };
            match (old, new) {
                (Some(old), Some(new)) => compare_series(found, kind, &place, old, new),
                (old, new) => {
                    found.comparison.compared += 1;
                    found.changed(kind, &place, old.map(points), new.map(points), None);
                }
            }
        }
    }
}

fn read(figures: Option<&Value>) -> Vec<Figure> {
    let list = figures.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    list.iter()
        .filter_map(|figure| Figure::deserialize(figure).ok())
        .collect()
}

fn points(series: &Series) -> String {
    format!("{} points", series.points.len())
}

fn compare_series(found: &mut Found, kind: Kind, place: &str, before: &Series, after: &Series) {
    found.comparison.compared += before.points.len().max(after.points.len());
    if before.points.len() != after.points.len() {
        found.changed(kind, place, Some(points(before)), Some(points(after)), None);
        return;
    }
    let mut count = 0;
    let mut largest: Option<(f64, usize)> = None;
    for (index, (old, new)) in before.points.iter().zip(&after.points).enumerate() {
        let moved = distance(found, old, new);
        if let Some(moved) = moved {
            count += 1;
            if largest.is_none_or(|(least, _)| moved > least) {
                largest = Some((moved, index));
            }
        }
    }
    let Some((_, index)) = largest else { return };
    let (old, new) = (&before.points[index], &after.points[index]);
    let label = before
        .labels
        .get(index)
        .cloned()
        .unwrap_or_else(|| format!("point {}", index + 1));
    let place = join(
        place,
        &format!("{label} ({count} of {} points changed)", before.points.len()),
    );
    let last = |point: &[Option<f64>]| point.get(usize::from(point.len() == 2)).copied().flatten();
    let change = last(old).zip(last(new)).and_then(|(old, new)| change(old, new));
    found.changed(kind, &place, Some(shown(old)), Some(shown(new)), change);
}

/// How far a point moved, where that is more than the tolerance; infinitely far where a number came or went.
fn distance(found: &Found, before: &[Option<f64>], after: &[Option<f64>]) -> Option<f64> {
    if before.len() != after.len() {
        return Some(f64::INFINITY);
    }
    let moved = before.iter().zip(after).filter_map(|(old, new)| match (old, new) {
        (Some(old), Some(new)) => (!found.options.same(*old, *new)).then(|| (old - new).abs()),
        (None, None) => None,
        _ => Some(f64::INFINITY),
    });
    moved.reduce(f64::max)
}

fn shown(point: &[Option<f64>]) -> String {
    let numbers: Vec<String> = point
        .iter()
        .map(|number| number.map_or_else(|| format::MISSING.to_owned(), |number| format::significant(number, 6)))
        .collect();
    match numbers.as_slice() {
        [one] => one.clone(),
        several => format!("({})", several.join(", ")),
    }
}
