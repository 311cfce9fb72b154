//! `lab exercise`.

use serde_json::Value;

use crate::program::Lab;

/// The record of exercise 3, without the times.
fn record(environment: &[(&str, &str)]) -> Value {
    let lab = Lab::new();
    let outcome = lab.run_with(&["exercise", "3", "--quick", "--json"], environment);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    let mut record: Value = serde_json::from_str(&outcome.stdout).expect("JSON");
    let timings = record.as_object_mut().and_then(|record| record.remove("timings"));
    assert!(timings.is_some_and(|timings| timings["seconds"].is_number()));
    assert!(lab.files().is_empty());
    record
}

#[test]
fn the_same_seed_gives_the_same_numbers_on_any_number_of_threads() {
    let first = record(&[]);
    assert_eq!(first["ok"], true);
    assert_eq!(record(&[]), first);
    assert_eq!(record(&[("RAYON_NUM_THREADS", "1")]), first);
}

#[test]
fn a_report_that_cannot_be_written_is_said_before_the_work() {
    let lab = Lab::new();
    std::fs::write(lab.path("file"), "").expect("a file");
    lab.fails(
        &["exercise", "3", "--report", "file/report"],
        &["file/report", "--report"],
    );
    lab.fails(&["exercise", "3", "--report", "file"], &["file", "--report"]);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let closed = lab.path("closed");
        std::fs::create_dir(&closed).expect("a folder");
        std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o555)).expect("permissions");
        if std::fs::write(closed.join("probe"), "").is_ok() {
            println!("skipped: this user may write into read-only folders");
            return;
        }
        lab.fails(&["exercise", "3", "--report", "closed"], &["closed", "--report"]);
        lab.fails(
            &["exercise", "3", "--report", "closed/report"],
            &["closed/report", "--report"],
        );
    }
}

/// The page of exercise 6 in a real browser: the Content-Security-Policy lets its script run, and the numbers that the script computed
/// are those of the record. Skipped, with a line that says so, where no Chromium is found (`CANDLE_LAB_CHROMIUM` names one).
#[test]
fn the_figure_of_exercise_6_moves_in_a_browser() {
    let lab = Lab::new();
    lab.succeeds(&["exercise", "6", "--quick", "--report", "report"]);
    let text = std::fs::read_to_string(lab.path("report/exercise-6.json")).expect("a record");
    let record: Value = serde_json::from_str(&text).expect("JSON");
    let Some(chromium) = chromium() else {
        println!("skipped: no Chromium found; name one with CANDLE_LAB_CHROMIUM");
        return;
    };
    let output = std::process::Command::new(chromium)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"])
        .arg(format!("--user-data-dir={}", lab.path("profile").display()))
        .arg(format!("file://{}", lab.path("report/index.html").display()))
        .output()
        .expect("Chromium runs");
    let page = String::from_utf8(output.stdout).expect("a page");
    assert!(page.contains("data-live=\"yes\""), "the script did not run");
    let mut compared = 0;
    for (name, list) in [("z", "z"), ("v", "v")] {
        for (i, gradient) in record["numbers"]["sample"]["gradients"][list]
            .as_array()
            .expect("a list")
            .iter()
            .enumerate()
        {
            let start = format!("data-quantity=\"{name}\" data-i=\"{i}\" data-gradient=\"");
            let found = page
                .split(&start)
                .nth(1)
                .and_then(|rest| rest.split('"').next())
                .expect("a gradient");
            let (found, expected): (f64, f64) =
                (found.parse().expect("a number"), gradient.as_f64().expect("a number"));
            assert!(
                (found - expected).abs() <= 1e-12,
                "∂L/∂{name}: {found} in the browser, {expected} in the record"
            );
            compared += 1;
        }
    }
    assert_eq!(compared, 5);
}

fn chromium() -> Option<std::path::PathBuf> {
    if let Some(named) = std::env::var_os("CANDLE_LAB_CHROMIUM") {
        return Some(named.into());
    }
    let folders: Vec<_> = std::env::split_paths(&std::env::var_os("PATH")?).collect();
    let names = ["chromium", "chromium-browser", "google-chrome", "chrome"];
    let mut places = names
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    places.find(|path| path.is_file())
}
