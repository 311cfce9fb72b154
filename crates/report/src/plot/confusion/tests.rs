//! Titles, labels and counts of the drawing have their place, whatever the number of classes and the length of their names.

use roxmltree::{Document, Node};

use super::super::svg::text_width;
use super::ConfusionMatrix;

/// A box around a text: left, top, right, bottom.
type Area = [f64; 4];

fn number(node: Node<'_, '_>, name: &str) -> f64 {
    let value = node.attribute(name).unwrap_or_default();
    value.parse().unwrap_or_else(|_| panic!("{name}=\"{value}\""))
}

/// Where a text is drawn, turned as its `transform` says.
fn area(node: Node<'_, '_>) -> Area {
    let style = node.attribute("style").unwrap_or_default();
    let size: f64 = style
        .split(';')
        .find_map(|part| part.strip_prefix("font-size:")?.strip_suffix("px"))
        .and_then(|size| size.parse().ok())
        .unwrap_or_else(|| panic!("no size in '{style}'"));
    let width = text_width(node.text().unwrap_or_default(), size);
    let start = match node.attribute("text-anchor") {
        Some("middle") => -width / 2.0,
        Some("end") => -width,
        _ => 0.0,
    };
    let turned = node.attribute("transform").map_or(0.0, |transform| {
        let angle = transform.trim_start_matches("rotate(").split(' ').next();
        angle.and_then(|angle| angle.parse::<f64>().ok()).unwrap_or_default()
    });
    let (sine, cosine) = turned.to_radians().sin_cos();
    let (x, y) = (number(node, "x"), number(node, "y"));
    let corners = [
        (start, -0.8 * size),
        (start + width, -0.8 * size),
        (start, 0.25 * size),
        (start + width, 0.25 * size),
    ];
    corners
        .into_iter()
        .fold([f64::MAX, f64::MAX, f64::MIN, f64::MIN], |area, (along, across)| {
            let (x, y) = (x + along * cosine - across * sine, y + along * sine + across * cosine);
            [area[0].min(x), area[1].min(y), area[2].max(x), area[3].max(y)]
        })
}

#[track_caller]
fn check(names: &[String], count: u64) {
    let classes = names.len();
    let counts = vec![vec![count; classes]; classes];
    let svg = ConfusionMatrix::new("Confusion matrix", names, counts).to_svg();
    let document = Document::parse(&svg).expect("the drawing is XML");
    let root = document.root_element();
    let (width, height) = (number(root, "width"), number(root, "height"));
    let texts: Vec<(String, Area, bool)> = root
        .children()
        .filter(|node| node.has_tag_name("text"))
        .map(|node| {
            let text = node.text().unwrap_or_default().to_owned();
            (
                text,
                area(node),
                node.attribute("transform").is_some_and(|turn| turn.contains("-55")),
            )
        })
        .collect();
    for (text, [left, top, right, bottom], _) in &texts {
        let inside = *left >= 0.0 && *top >= 0.0 && *right <= width && *bottom <= height;
        assert!(
            inside,
            "'{text}' leaves the {width} x {height} pixels of {classes} classes: {left} {top} {right} {bottom}"
        );
    }
    let shown = |wanted: &str| texts.iter().filter(|(text, ..)| text == wanted).count();
    assert_eq!(
        (shown("true class"), shown("predicted class")),
        (1, 1),
        "titles of {classes} classes"
    );
    let written = crate::format::integer(count);
    assert!(shown(&written) >= classes * classes, "counts of {classes} classes");
    // One label a row and one a column, and nothing over anything else; texts that rise side by side share corners of their boxes only.
    assert_eq!(
        texts.len(),
        2 + 2 * classes + classes * classes,
        "labels of {classes} classes"
    );
    let level: Vec<_> = texts.iter().filter(|(.., rises)| !rises).collect();
    for (index, (text, a, _)) in level.iter().enumerate() {
        for (other, b, _) in &level[index + 1..] {
            let apart = a[2] <= b[0] || b[2] <= a[0] || a[3] <= b[1] || b[3] <= a[1];
            assert!(
                apart,
                "'{text}' and '{other}' of {classes} classes overlap: {a:?} {b:?}"
            );
        }
    }
    let highest = texts.iter().filter(|(.., rises)| *rises).map(|(_, area, _)| area[1]);
    let title = texts
        .iter()
        .find(|(text, ..)| text == "predicted class")
        .map_or(0.0, |(_, area, _)| area[3]);
    assert!(
        highest.fold(f64::MAX, f64::min) >= title,
        "a label of {classes} classes rises into the title"
    );
}

#[test]
fn everything_has_its_place() {
    for classes in 1..=20 {
        for count in [0, 7, 980, 12_345] {
            let named = |name: &dyn Fn(usize) -> String| (0..classes).map(name).collect::<Vec<_>>();
            check(&named(&|class| class.to_string()), count);
            check(&named(&|class| format!("cat {class}")), count);
            check(&named(&|class| format!("golden retriever {class}")), count);
            check(
                &named(&|class| format!("{class} the most widespread of all of the migratory birds of the north")),
                count,
            );
            check(&named(&|class| format!("猫と犬{class}")), count);
        }
    }
}

#[test]
fn a_name_of_ordinary_length_is_not_cut() {
    let names = ["golden retriever puppy", "black labrador, asleep"];
    let svg = ConfusionMatrix::new("t", names, [[1, 2], [3, 4]]).to_svg();
    for name in names {
        assert_eq!(
            svg.matches(&format!(">{name}</text>")).count(),
            2,
            "{name} beside its row and above its column"
        );
    }
}
