//! Two records side by side: what is a change, and what is none.

use proptest::prelude::*;
use report::diff::{Kind, Options, compare};
use report::plot::LineChart;
use report::{Answer, Table};
use serde_json::{Value, json};

/// The record of an answer, as a run writes it.
fn record(accuracy: f64, seconds: f64) -> Value {
    let mut chart = LineChart::new("Learning curves");
    chart
        .x_axis("epoch")
        .y_axis("accuracy")
        .series("adam", [(1.0, 0.5), (2.0, accuracy)]);
    chart.series("sgd", [(1.0, 0.25), (2.0, 0.5)]);
    let mut speed = LineChart::new("Speed");
    speed.x_axis("epoch").y_axis("seconds").series("adam", [(1.0, seconds)]);
    let mut table = Table::new("Result");
    table.header(["optimizer", "accuracy", "took", "seconds"]);
    table.row([
        "sgd".to_owned(),
        "50.0 %".to_owned(),
        "1.0 s".to_owned(),
        "1".to_owned(),
    ]);
    table.row([
        "adam".to_owned(),
        report::format::percent(accuracy, 1),
        report::format::seconds(seconds),
        seconds.to_string(),
    ]);
    let mut answer = Answer::new(3, "Optimizers");
    answer
        .headline(format!("adam reaches {}", report::format::percent(accuracy, 1)))
        .figure(chart.figure("c"))
        .details(
            "folded",
            [
                report::Block::table(&mut table),
                report::Block::figure(speed.figure("s")),
            ],
        )
        .number(
            "adam",
            json!({"accuracy": accuracy, "seconds": seconds, "runs": [1, 2]}),
        )
        .setting("seed", 6020)
        .timing("seconds", seconds);
    assert_eq!(
        (answer.tables().len(), answer.figures().len()),
        (1, 2),
        "what is folded away is found"
    );
    json!({
        "exercise": 3, "title": answer.title, "ok": true, "error": null, "headline": answer.headline,
        "settings": answer.settings, "numbers": answer.numbers, "timings": answer.timings,
        "tables": answer.tables(), "figures": answer.figures(),
    })
}

fn places(before: &Value, after: &Value, options: &Options) -> Vec<(Kind, String)> {
    let found = compare(before, after, options).differences;
    found
        .into_iter()
        .map(|difference| (difference.kind, difference.place))
        .collect()
}

#[test]
fn the_same_run_has_no_changes_however_long_it_took() {
    let (before, after) = (record(0.75, 1.5), record(0.75, 99.0));
    let found = compare(&before, &after, &Options::default());
    assert_eq!(found.differences, []);
    assert!(found.compared > 15, "{} compared", found.compared);
    let timed = Options {
        timings: true,
        ..Options::default()
    };
    let timings: Vec<String> = places(&before, &after, &timed)
        .into_iter()
        .map(|(kind, place)| {
            assert_eq!(kind, Kind::Timing, "{place}");
            place
        })
        .collect();
    assert_eq!(
        timings,
        [
            "adam › seconds",
            "seconds",
            "Result › adam › took",
            "Result › adam › seconds",
            "Speed › adam › point 1 (1 of 1 points changed)"
        ]
    );
}

#[test]
fn what_changed_is_named() {
    let found = compare(&record(0.75, 1.0), &record(0.9, 1.0), &Options::default()).differences;
    let expected = [
        (
            Kind::Answer,
            "headline",
            "adam reaches 75.0\u{a0}%",
            "adam reaches 90.0\u{a0}%",
        ),
        (Kind::Number, "adam › accuracy", "0.75", "0.9"),
        (Kind::Table, "Result › adam › accuracy", "75.0\u{a0}%", "90.0\u{a0}%"),
        (
            Kind::Figure,
            "Learning curves › adam › point 2 (1 of 2 points changed)",
            "(2.00000, 0.750000)",
            "(2.00000, 0.900000)",
        ),
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, (kind, place, before, after)) in found.iter().zip(expected) {
        assert_eq!((found.kind, found.place.as_str()), (kind, place));
        assert_eq!(
            (found.before.as_deref(), found.after.as_deref()),
            (Some(before), Some(after))
        );
        let change = found.change.expect("a number changed");
        assert!((change - 0.2).abs() < 1e-9, "{place}: {change}");
    }
}

#[test]
fn what_came_and_went_is_named_and_what_moved_is_not() {
    let before = record(0.75, 1.0);
    let mut after = before.clone();
    // Rows in another order, a row and a series more, a setting less.
    let rows = after["tables"][0]["rows"].as_array_mut().expect("rows");
    rows.reverse();
    rows.push(json!(["lion", "80.0 %"]));
    after["figures"][0]["series"]
        .as_array_mut()
        .expect("series")
        .push(json!({"name": "lion", "points": [[1.0, 0.5]]}));
    after["settings"].as_object_mut().expect("settings").remove("seed");
    after["tables"]
        .as_array_mut()
        .expect("tables")
        .push(json!({"title": "New", "header": [], "align": [], "rows": [["a"]], "notes": []}));
    let found = compare(&before, &after, &Options::default()).differences;
    let found: Vec<_> = found
        .iter()
        .map(|d| (d.kind, d.place.as_str(), d.before.as_deref(), d.after.as_deref()))
        .collect();
    assert_eq!(
        found,
        [
            (Kind::Setting, "seed", Some("6020"), None),
            (Kind::Table, "Result › lion", None, Some("lion | 80.0 %")),
            (Kind::Table, "New", None, Some("1 rows")),
            (Kind::Figure, "Learning curves › lion", None, Some("1 points")),
        ]
    );
}

#[test]
fn tolerances_are_of_the_size_and_around_zero() {
    let pair = |a: f64, b: f64| (json!({"numbers": {"x": a}}), json!({"numbers": {"x": b}}));
    let changes = |(a, b): (Value, Value), relative: f64, absolute: f64| {
        compare(
            &a,
            &b,
            &Options {
                relative,
                absolute,
                timings: false,
            },
        )
        .differences
        .len()
    };
    assert_eq!(changes(pair(1000.0, 1001.0), 1e-2, 0.0), 0);
    assert_eq!(changes(pair(1000.0, 1001.0), 1e-4, 0.0), 1);
    assert_eq!(changes(pair(0.0, 1e-10), 1e-2, 0.0), 1);
    assert_eq!(changes(pair(0.0, 1e-10), 0.0, 1e-9), 0);
    // Large seeds that one f64 cannot tell apart.
    let seeds = (
        json!({"settings": {"seed": 9_007_199_254_740_993_u64}}),
        json!({"settings": {"seed": 9_007_199_254_740_992_u64}}),
    );
    assert_eq!(changes(seeds, 0.0, 0.0), 1);
    // An answer that failed, a number that is none any more, records that are no objects.
    assert_eq!(changes((json!({"ok": true}), json!({"ok": false})), 1.0, 1.0), 1);
    assert_eq!(
        changes(
            (json!({"numbers": {"x": 1}}), json!({"numbers": {"x": null}})),
            1.0,
            1.0
        ),
        1
    );
    assert_eq!(changes((json!([1, 2]), json!([1, 3])), 0.0, 0.0), 1);
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-1e6..1e6f64).prop_map(Value::from),
        "[a-z0-9,. −%]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("settings|numbers|tables|figures|[a-c]", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Nothing differs from itself; what differs does so both ways round, with before and after exchanged.
    #[test]
    fn any_values_are_compared(a in values(), b in values()) {
        let exact = Options { relative: 0.0, absolute: 0.0, timings: true };
        prop_assert!(compare(&a, &a, &exact).differences.is_empty());
        let (there, back) = (compare(&a, &b, &exact), compare(&b, &a, &exact));
        prop_assert_eq!(there.differences.len(), back.differences.len());
    }
}
