//! Every plot is well-formed XML and names what it shows, whatever it is given.

use report::plot::{BarChart, ConfusionMatrix, Heatmap, ImageGrid, LineChart, MatrixPattern, ScatterChart, terminal};
use report::wrap;

const HOSTILE: &str = "</title><script>alert('1')</script> & \"quotes\" \u{1} \u{1b}[31m";
const ODD: [f64; 10] = [
    f64::NAN,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::MAX,
    f64::MIN,
    f64::MIN_POSITIVE,
    0.0,
    -0.0,
    1e-320,
    1.0,
];

/// Parses the drawing; it must be one `svg` that says what it is, holds no script and only finite coordinates.
#[track_caller]
fn check_svg(svg: &str, title: &str) {
    let document = roxmltree::Document::parse(svg).unwrap_or_else(|error| panic!("{error}\n{svg}"));
    let root = document.root_element();
    assert_eq!(root.tag_name().name(), "svg");
    assert_eq!(root.attribute("role"), Some("img"));
    assert!(root.attribute("aria-label").is_some());
    let child = |name: &str| {
        root.children()
            .find(|node| node.tag_name().name() == name)
            .and_then(|node| node.text())
    };
    assert_eq!(child("title").unwrap_or_default(), title);
    assert!(!child("desc").unwrap_or_default().is_empty());
    assert!(!document.descendants().any(|node| node.tag_name().name() == "script"));
    assert!(
        !document.descendants().any(|node| node.attribute("id").is_some()),
        "an id could stand twice in a page"
    );
    for node in document.descendants() {
        for name in ["x", "y", "x1", "y1", "x2", "y2", "width", "height", "cx", "cy", "r"] {
            if let Some(value) = node.attribute(name) {
                assert!(value.parse::<f64>().is_ok_and(f64::is_finite), "{name}={value}");
            }
        }
    }
}

#[track_caller]
fn check_width(text: &str, width: usize) {
    for line in text.lines() {
        assert!(wrap::width(line) <= width, "{} > {width}: {line}", wrap::width(line));
    }
}

#[test]
fn names_are_escaped_everywhere() {
    let shown = HOSTILE.replace(['\u{1}', '\u{1b}'], "\u{fffd}");
    let mut line = LineChart::new(HOSTILE);
    line.x_axis(HOSTILE)
        .y_axis(HOSTILE)
        .series(HOSTILE, [(0.0, 1.0)])
        .series("b", [(1.0, 2.0)])
        .level(HOSTILE, 1.0);
    check_svg(&line.to_svg(), &shown);
    let mut bar = BarChart::new(HOSTILE);
    bar.value_axis(HOSTILE)
        .categories([HOSTILE])
        .series(HOSTILE, [1.0])
        .series("b", [2.0]);
    check_svg(&bar.to_svg(), &shown);
    let mut scatter = ScatterChart::new(HOSTILE);
    scatter
        .x_axis(HOSTILE)
        .y_axis(HOSTILE)
        .series(HOSTILE, [(1.0, 1.0)])
        .series("b", [(1.0, 1.0)]);
    check_svg(&scatter.to_svg(), &shown);
    let mut heat = Heatmap::new(HOSTILE);
    heat.values([[1.0]])
        .row_labels([HOSTILE])
        .column_labels([HOSTILE])
        .axes(HOSTILE, HOSTILE)
        .show_values(1);
    check_svg(&heat.to_svg(), &shown);
    let mut pattern = MatrixPattern::new(HOSTILE);
    check_svg(&pattern.matrix(HOSTILE, [[true]]).to_svg(), &shown);
    check_svg(&ConfusionMatrix::new(HOSTILE, [HOSTILE], [[1]]).to_svg(), &shown);
    let mut sheet = ImageGrid::new(HOSTILE, 1, 1, 1);
    check_svg(&sheet.column_labels([HOSTILE]).row(HOSTILE, [[0u8]]).to_svg(), &shown);
    for text in [
        line.to_terminal(50),
        bar.to_terminal(50),
        scatter.to_terminal(50),
        pattern.to_terminal(50),
    ] {
        assert!(!text.contains('\u{1b}'), "an escape sequence reached the terminal");
        check_width(&text, 50);
    }
}

#[test]
fn descriptions_of_the_caller_win() {
    let mut line = LineChart::new("t");
    assert!(
        line.description("My <words>")
            .to_svg()
            .contains("<desc>My &lt;words&gt;</desc>")
    );
}

#[test]
fn nothing_to_draw_is_drawn() {
    let empty: [(f64, f64); 0] = [];
    check_svg(&LineChart::new("t").to_svg(), "t");
    check_svg(&LineChart::new("t").log_x().log_y().series("s", empty).to_svg(), "t");
    check_svg(&BarChart::new("t").to_svg(), "t");
    check_svg(&BarChart::new("t").categories(["a"]).series("s", []).to_svg(), "t");
    check_svg(&ScatterChart::new("t").to_svg(), "t");
    check_svg(&Heatmap::new("t").to_svg(), "t");
    check_svg(&Heatmap::new("t").values([[], [1.0; 0]]).to_svg(), "t");
    check_svg(&MatrixPattern::new("t").to_svg(), "t");
    check_svg(&ConfusionMatrix::new("t", ["a"; 0], [[0u64; 0]; 0]).to_svg(), "t");
    check_svg(&ImageGrid::new("t", 0, 0, 0).row("", [[0u8; 0]]).to_svg(), "t");
    assert!(LineChart::new("t").to_terminal(40).contains('└'));
    assert_eq!(terminal::sparkline(&[]), "");
    check_width(&terminal::bar_chart("t", &[], 20), 20);
}

#[test]
fn odd_values_do_no_harm() {
    for first in ODD {
        for second in ODD {
            for log in [false, true] {
                let mut line = LineChart::new("t");
                line.band("s", [(first, second, second, first), (second, first, first, second)])
                    .level("l", first);
                line.x_range(first, second).y_range(second, first);
                let mut scatter = ScatterChart::new("t");
                scatter.series("s", [(first, second), (second, first)]);
                if log {
                    line.log_x().log_y();
                    scatter.log_x().log_y();
                }
                check_svg(&line.to_svg(), "t");
                check_width(&line.to_terminal(40), 40);
                check_svg(&scatter.to_svg(), "t");
                check_width(&scatter.to_terminal(40), 40);
            }
            let mut bar = BarChart::new("t");
            bar.categories(["a", "b"])
                .series_with_errors("s", [(first, second, first), (second, first, second)]);
            check_svg(&bar.to_svg(), "t");
            check_svg(&bar.percent().range(second, first).to_svg(), "t");
            check_width(&bar.to_terminal(40), 40);
            check_svg(
                &Heatmap::new("t").values([[first, second]]).show_values(2).to_svg(),
                "t",
            );
            assert_eq!(terminal::sparkline(&[first, second]).chars().count(), 2);
        }
    }
}

#[test]
fn a_gap_interrupts_the_line() {
    let mut chart = LineChart::new("t");
    chart.series("s", [(0.0, 1.0), (1.0, 2.0), (2.0, f64::NAN), (3.0, 1.0), (4.0, 0.5)]);
    assert_eq!(chart.to_svg().matches("<polyline").count(), 2);
}

#[test]
fn ticks_are_round() {
    let mut chart = LineChart::new("t");
    chart.series("s", [(0.0, 0.0), (100.0, 1.0)]);
    let svg = chart.to_svg();
    for label in [">0<", ">20<", ">100<", ">0.2<", ">1.0<"] {
        assert!(svg.contains(label), "no tick {label}");
    }
    let mut chart = LineChart::new("t");
    chart.log_x().series("s", [(1e-4, 0.0), (1.0, 1.0)]);
    let svg = chart.to_svg();
    for label in [">10⁻⁴<", ">0.01<", ">1<"] {
        assert!(svg.contains(label), "no tick {label}");
    }
}

#[test]
fn images_are_embedded_as_png() {
    let mut sheet = ImageGrid::new("t", 2, 2, 3);
    sheet.row("right", [vec![0u8; 12]]).row("wrong length", [vec![0u8; 11]]);
    let svg = sheet.to_svg();
    check_svg(&svg, "t");
    assert_eq!(svg.matches("data:image/png;base64,iVBORw0KGgo").count(), 1);
    assert!(svg.contains("not an image of 12 bytes") && svg.contains("image-rendering:pixelated"));
}

/// Every series is a group that its entry in the legend names.
#[test]
fn series_can_be_told_apart() {
    let mut line = LineChart::new("t");
    line.series("a", [(0.0, 1.0), (1.0, 2.0)])
        .band("b", [(0.0, 1.0, 0.5, 1.5), (1.0, 2.0, 1.5, 2.5)]);
    let mut scatter = ScatterChart::new("t");
    scatter.series("a", [(0.0, 1.0)]).series("b", [(1.0, 1.0)]);
    let mut bar = BarChart::new("t");
    bar.categories(["x", "y"])
        .series("a", [1.0, 2.0])
        .series("b", [3.0, 4.0]);
    // The band of `b` lies below both lines, the bars of a series beside those of the other one.
    for (svg, groups) in [
        (line.to_svg(), ["0", "1", "1"].as_slice()),
        (scatter.to_svg(), &["0", "1"]),
        (bar.to_svg(), &["0", "0", "1", "1"]),
    ] {
        let document = roxmltree::Document::parse(&svg).expect("XML");
        let named = |attribute: &str| {
            let mut found: Vec<_> = document
                .descendants()
                .filter_map(|node| node.attribute(attribute))
                .collect();
            found.sort_unstable();
            found
        };
        assert_eq!(named("data-series"), groups);
        assert_eq!(named("data-legend"), ["0", "1"]);
        let entries = document
            .descendants()
            .filter(|node| node.attribute("data-legend").is_some());
        let names: Vec<String> = entries
            .map(|entry| {
                entry
                    .descendants()
                    .filter(|node| node.is_text())
                    .filter_map(|node| node.text())
                    .collect::<String>()
                    .trim()
                    .to_owned()
            })
            .collect();
        assert_eq!(names, ["a", "b"]);
        // Every mark belongs to a series.
        let marks = document.descendants().filter(|node| node.has_tag_name("circle"));
        for mark in marks {
            assert!(mark.ancestors().any(|node| node.attribute("data-series").is_some()));
        }
    }
}

#[test]
fn figures_carry_their_numbers() {
    let mut line = LineChart::new("Loss");
    line.x_axis("epoch")
        .series("a", [(1.0, 2.0), (2.0, f64::NAN)])
        .band("b", [(1.0, 2.0, 1.5, 2.5)]);
    let figure = line.figure("c");
    assert_eq!(
        (figure.title.as_str(), figure.axes.join(",")),
        ("Loss", "epoch,y,lower,upper".to_owned())
    );
    assert_eq!(figure.series[0].points, [[Some(1.0), Some(2.0)], [Some(2.0), None]]);
    assert_eq!(figure.series[1].points, [[Some(1.0), Some(2.0), Some(1.5), Some(2.5)]]);
    let mut bar = BarChart::new("t");
    let figure = bar
        .categories(["x", "y"])
        .series_with_errors("a", [(1.0, 0.5, 1.5), (2.0, 1.0, 3.0)])
        .figure("c");
    assert_eq!(
        (figure.series[0].name.as_str(), figure.series[0].labels.join(",")),
        ("a", "x,y".to_owned())
    );
    assert_eq!(figure.series[0].points[1], [Some(2.0), Some(1.0), Some(3.0)]);
    let figure = ConfusionMatrix::new("t", ["cat", "dog"], [[3, 1], [0, 4]]).figure("c");
    assert_eq!(figure.series[1].points, [[Some(0.0)], [Some(4.0)]]);
    let figure = MatrixPattern::new("t").matrix("A", [[true, false]]).figure("c");
    assert_eq!(figure.series[0].points, [[Some(1.0), Some(0.0)]]);
    let json = serde_json::to_string(&figure).expect("serialises");
    assert_eq!(serde_json::from_str::<report::Figure>(&json).expect("reads"), figure);
}

#[test]
fn figures_carry_both_forms() {
    let mut chart = BarChart::new("t");
    let figure = chart.categories(["a"]).series("s", [1.0]).figure("caption");
    assert!(figure.svg.starts_with("<svg") && figure.terminal.is_some_and(|text| text.contains('█')));
    assert_eq!(figure.caption, "caption");
}
