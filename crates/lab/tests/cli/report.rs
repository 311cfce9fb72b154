//! `lab report diff`.

use serde_json::{Value, json};

use crate::program::Lab;

fn write(lab: &Lab, name: &str, record: &Value) {
    let path = lab.path(name);
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    std::fs::write(path, record.to_string()).expect("written");
}

#[test]
fn two_runs_with_the_same_seed_do_not_differ() {
    let lab = Lab::new();
    for folder in ["a", "b"] {
        lab.succeeds(&["exercise", "1", "--report", folder]);
        lab.succeeds(&["exercise", "2", "--report", folder]);
    }
    let text = lab.succeeds(&["report", "diff", "a", "b"]);
    for name in ["exercise-1.json", "exercise-2.json"] {
        assert!(text.contains(&format!("{name}: ")), "{text}");
    }
    assert_eq!(text.matches("none changed").count(), 2, "{text}");
    // The records hold what the page shows.
    let record: Value =
        serde_json::from_str(&std::fs::read_to_string(lab.path("a/exercise-1.json")).expect("a file")).expect("JSON");
    assert!(record["tables"].as_array().is_some_and(|tables| tables.len() > 3));
    assert!(
        record["figures"]
            .as_array()
            .is_some_and(|figures| figures.iter().any(|figure| figure["series"][0]["points"].is_array()))
    );
}

#[test]
fn what_changed_is_listed_and_is_exit_code_1() {
    let lab = Lab::new();
    let table = |accuracy: &str| json!([{"title": "Result", "header": ["optimizer", "accuracy"], "align": [], "rows": [["adam", accuracy]], "notes": []}]);
    let record = |seed: u64, accuracy: f64, cell: &str| json!({"exercise": 3, "headline": format!("adam has {cell}"), "settings": {"seed": seed}, "numbers": {"adam": accuracy}, "tables": table(cell), "timings": {"seconds": accuracy}});
    write(&lab, "a.json", &record(1, 0.96, "96.0 %"));
    write(&lab, "b.json", &record(1, 0.97, "97.0 %"));
    let outcome = lab.run(&["report", "diff", "a.json", "b.json"]);
    assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
    for part in [
        "3 of ",
        "adam has 97.0 %",
        "Result › adam › accuracy",
        "+1.04",
        "number",
    ] {
        assert!(outcome.stdout.contains(part), "no '{part}' in\n{}", outcome.stdout);
    }
    assert!(
        !outcome.stdout.contains("seconds"),
        "times are not compared: {}",
        outcome.stdout
    );
    let outcome = lab.run(&["report", "diff", "a.json", "b.json", "--json", "--timings"]);
    assert_eq!(outcome.code, Some(1));
    let found: Value = serde_json::from_str(&outcome.stdout).expect("JSON");
    assert_eq!(found["changes"], 4);
    let differences = found["records"][0]["differences"].as_array().expect("a list");
    let kinds: Vec<&str> = differences
        .iter()
        .filter_map(|difference| difference["kind"].as_str())
        .collect();
    assert_eq!(kinds, ["answer", "number", "table", "timing"]);
    assert_eq!(
        (&differences[1]["before"], &differences[1]["after"]),
        (&json!("0.96"), &json!("0.97"))
    );
    // Within the tolerance nothing changed; a limit says how many are left out.
    lab.succeeds(&["report", "diff", "a.json", "b.json", "--relative", "0.02"]);
    lab.succeeds(&["report", "diff", "a.json", "b.json", "--absolute", "1"]);
    let outcome = lab.run(&["report", "diff", "a.json", "b.json", "--limit", "1"]);
    assert!(outcome.stdout.contains("2 more"), "{}", outcome.stdout);
}

#[test]
fn what_cannot_be_compared_is_exit_code_2() {
    let lab = Lab::new();
    write(&lab, "a/exercise-1.json", &json!({"numbers": {}}));
    write(&lab, "b/exercise-2.json", &json!({"numbers": {}}));
    std::fs::create_dir(lab.path("empty")).expect("a folder");
    std::fs::write(lab.path("text.json"), "not JSON").expect("written");
    let record = "a/exercise-1.json";
    for (arguments, words) in [
        ([record, "missing.json"], ["missing.json", "cannot be read"]),
        ([record, "text.json"], ["text.json", "not JSON"]),
        ([record, "b"], ["folder", "two of a kind"]),
        (["a", "b"], ["exercise-1.json", "b has no"]),
        (["empty", "empty"], ["empty", "no records"]),
    ] {
        let outcome = lab.run(&["report", "diff", arguments[0], arguments[1]]);
        outcome.check_error(2, &words);
        assert!(outcome.stdout.is_empty());
    }
    let outcome = lab.run(&["report", "diff", record, record, "--relative", "-1"]);
    outcome.check_error(2, &["--relative", "at least 0"]);
    // Without anything to do the help comes, and a folder alone says what is missing.
    assert_eq!(lab.run(&["report"]).code, Some(2));
    lab.run(&["report", "--report", "a"]).check_error(2, &["--serve"]);
}
