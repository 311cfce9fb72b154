//! `lab doctor`, `lab completions` and `lab man`.

use crate::program::Lab;

#[test]
fn doctor_says_what_is_there_and_how_to_get_the_rest() {
    let lab = Lab::new();
    let text = lab.succeeds(&["doctor", "--data-dir", "nowhere"]);
    for part in ["GFLOP/s", "GB/s", "in the program", "lab data fetch mnist", "nowhere"] {
        assert!(text.contains(part), "'{part}' is not in {text}");
    }
    let record = lab.json(&["doctor", "--json"]);
    let machine = &record["machine"];
    assert!(machine["dense layers"]["operations_per_second"].as_f64() > Some(0.0));
    assert!(machine["memory"]["bytes_per_second"].as_f64() > Some(0.0));
    assert!(machine["cuda"].is_boolean());
    let sets = &record["data"]["sets"];
    assert_eq!(sets["digits"]["state"], "embedded");
    assert_eq!(sets["mnist"]["state"], "absent");
    assert!(lab.files().is_empty());
}

#[test]
fn completions_know_the_commands() {
    let lab = Lab::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = lab.succeeds(&["completions", shell]);
        assert!(
            script.contains("exercise") && script.contains("learning-rate"),
            "{shell}"
        );
    }
    lab.run(&["completions", "bahs"]).check_error(2, &["bahs", "bash"]);
}

#[test]
fn manual_pages_are_written_for_every_command() {
    let lab = Lab::new();
    lab.succeeds(&["man", "man/man1"]);
    let pages = [
        ("lab.1", "exercise"),
        ("lab-train.1", "tensorboard"),
        ("lab-data-fetch.1", "Download"),
    ];
    for (page, part) in pages {
        let text = std::fs::read_to_string(lab.path("man/man1").join(page)).unwrap();
        assert!(text.contains(".TH") && text.contains(part), "{page}: {text}");
    }
    std::fs::write(lab.path("file"), "mine").unwrap();
    lab.fails(&["man", "file"], &["file", "give the name of a folder"]);
    assert_eq!(std::fs::read_to_string(lab.path("file")).unwrap(), "mine");
}
