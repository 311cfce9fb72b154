//! What cannot be meant ends with exit code 2.

use crate::program::Lab;

#[test]
fn usage_errors_exit_with_2() {
    let lab = Lab::new();
    #[track_caller]
    fn check(lab: &Lab, arguments: &[&str], words: &[&str]) {
        lab.run(arguments).check_error(2, words);
        assert!(lab.files().is_empty());
    }
    check(&lab, &["exercise", "9"], &["'9'", "all"]);
    check(&lab, &["exercise"], &["<WHICH>"]);
    check(&lab, &["exercise", "1", "--quik"], &["--quik", "--quick"]);
    check(&lab, &["sumary", "lenet5"], &["sumary", "summary"]);
    check(&lab, &["train", "--epochs", "0"], &["--epochs", "at least 1"]);
    check(&lab, &["train", "--batch-size", "0"], &["--batch-size", "at least 1"]);
    check(
        &lab,
        &["train", "--validation-split", "1"],
        &["--validation-split", "below 1"],
    );
    check(&lab, &["train", "--seed", "-1"], &["-1"]);
    check(&lab, &["train", "--learning-rate", "fast"], &["--learning-rate"]);
    check(
        &lab,
        &["train", "--resume", "a.safetensors", "--model", "lenet5"],
        &["--resume", "--model"],
    );
    check(
        &lab,
        &["summary", "lenet5", "--style", "json", "--line-length", "80"],
        &["--style json"],
    );
    check(&lab, &["data", "verify"], &["<NAME>"]);
    assert_eq!(lab.run(&[]).code, Some(2));
}

#[test]
fn help_is_no_error() {
    let lab = Lab::new();
    for arguments in [
        &["--help"][..],
        &["--version"],
        &["train", "--help"],
        &["data", "list", "--help"],
        &["sweep", "--help"],
        &["sweep", "merge", "--help"],
    ] {
        assert!(!lab.succeeds(arguments).is_empty());
    }
}

#[test]
fn a_device_that_is_not_there_is_said() {
    let lab = Lab::new();
    lab.fails(&["train", "--device", "tpu"], &["--device tpu", "cpu, cuda"]);
    lab.fails(&["train", "--device", "cuda:x"], &["--device cuda:x", "cuda:0"]);
}

/// Where the output is no terminal, `COLUMNS` says how wide it may be.
#[test]
fn tables_fit_the_width() {
    let lab = Lab::new();
    for width in [60, 80, 200] {
        let columns = width.to_string();
        for arguments in [&["data", "list"][..], &["augment", "--list"], &["exercise", "1"]] {
            let outcome = lab.run_with(arguments, &[("COLUMNS", &columns)]);
            assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
            let rows = outcome
                .stdout
                .lines()
                .filter(|line| line.starts_with(['│', '┌', '└', '├']));
            let widest = rows.map(|row| row.chars().count()).max().expect("a table");
            assert!(widest <= width, "{arguments:?} at {width}: {widest} columns");
        }
    }
    // A wide terminal is made use of.
    let wide = lab.run_with(&["augment", "--list"], &[("COLUMNS", "200")]).stdout;
    assert!(wide.lines().any(|line| line.chars().count() > 120));
}

#[test]
fn colours_are_shown_where_they_are_wanted() {
    let lab = Lab::new();
    let colors = |environment: &[(&str, &str)]| {
        let outcome = lab.run_with(&["data", "list"], environment);
        assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
        outcome.stdout.contains('\u{1b}')
    };
    assert!(!colors(&[("NO_COLOR", ""), ("CLICOLOR_FORCE", "")]));
    assert!(colors(&[("NO_COLOR", ""), ("CLICOLOR_FORCE", "1")]));
    assert!(!colors(&[("NO_COLOR", ""), ("CLICOLOR_FORCE", "0")]));
    assert!(!colors(&[("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")]));
}
