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
