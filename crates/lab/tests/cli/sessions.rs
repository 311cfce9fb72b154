//! The shell sessions of README.md and docs: what is typed there is run, and what it prints is compared.
//!
//! A block marked `console` is a session where all its commands are `lab` (or `cargo run --`, which starts it). Blocks with
//! other programs (cargo compiles, bash and git look at the repository), and blocks marked `sh` or `console,ignore` (downloads,
//! minutes), are not run: what they say of `lab` is read by its parser at least. In what is printed, `[..]` stands for the rest
//! of a line and `...` for lines, as `trycmd` reads them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::files::write_png;
use crate::program::Lab;

/// The files that sessions may name: a Keras model, and a picture.
fn prepare(folder: &Path) {
    std::fs::create_dir_all(folder).expect("a folder");
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../persistence/tests/golden/persistence/keras");
    std::fs::copy(golden.join("images.keras"), folder.join("model.keras")).expect("a model that Keras wrote");
    write_png(&folder.join("photo.png"), 90);
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// README.md and every Markdown file of docs, by its path from the root.
fn documents() -> Vec<(String, String)> {
    let mut found = vec!["README.md".to_string()];
    let mut open = vec!["docs".to_string()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(root().join(&folder)).expect("a folder").flatten() {
            let name = format!("{folder}/{}", entry.file_name().to_string_lossy());
            if entry.path().is_dir() {
                open.push(name);
            } else if name.ends_with(".md") {
                found.push(name);
            }
        }
    }
    found.sort();
    let read = |name: String| {
        let text = std::fs::read_to_string(root().join(&name)).expect("a document");
        (name, text)
    };
    found.into_iter().map(read).collect()
}

/// A block of commands in a document.
struct Block {
    /// Number of its first line.
    line: usize,
    /// What stands behind the fence.
    info: String,
    lines: Vec<String>,
}

fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (index, line) in text.lines().enumerate() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(info)) => {
                open = Some(Block {
                    line: index + 2,
                    info: info.trim().to_string(),
                    lines: Vec::new(),
                });
            }
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(block), None) => block.lines.push(as_lab(line)),
            (None, None) => {}
        }
    }
    blocks
}

/// `cargo run -- ARGUMENTS` starts `lab ARGUMENTS`.
fn as_lab(line: &str) -> String {
    ["$ cargo run --release -- ", "$ cargo run -- "]
        .iter()
        .find_map(|start| line.strip_prefix(start).map(|rest| format!("$ lab {rest}")))
        .unwrap_or_else(|| line.to_string())
}

impl Block {
    fn commands(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().filter_map(|line| line.strip_prefix("$ "))
    }

    /// The block as `trycmd` reads it: an empty line stands for the end of the last line of an output.
    fn as_case(&self) -> String {
        let mut case = "```console\n".to_string();
        let mut last = "";
        for line in self.lines.iter().map(String::as_str).chain(["$ "]) {
            let is_output = !last.is_empty() && last != "..." && !last.starts_with("$ ");
            if line.starts_with("$ ") && is_output {
                case.push('\n');
            }
            if line != "$ " {
                case += line;
                case.push('\n');
            }
            last = line;
        }
        case + "```\n"
    }

    fn is_session(&self) -> bool {
        self.info == "console" && self.commands().all(|command| command.starts_with("lab "))
    }
}

#[test]
fn the_sessions_of_the_documents_print_what_they_say() {
    let lab = Lab::new();
    let cases = trycmd::TestCases::new();
    cases
        .register_bin("lab", PathBuf::from(env!("CARGO_BIN_EXE_lab")))
        .timeout(Duration::from_secs(120))
        .env("CANDLE_LAB_CACHE", lab.folder().join("cache").display().to_string());
    for variable in ["ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY"] {
        cases.env(variable, "http://127.0.0.1:9");
        cases.env(variable.to_lowercase(), "http://127.0.0.1:9");
    }
    let mut sessions = 0;
    for (name, text) in documents() {
        let mut case = String::new();
        let blocks = blocks(&text);
        for block in blocks.iter().filter(|block| block.is_session()) {
            sessions += 1;
            case += &block.as_case();
        }
        for block in blocks
            .iter()
            .filter(|block| block.info.starts_with("console") && !block.is_session())
        {
            println!(
                "{name}:{}: not run: {}",
                block.line,
                block.lines.first().map_or("", String::as_str)
            );
        }
        if case.is_empty() {
            continue;
        }
        // The folder of a case is copied before it runs where there is one with the ending `.out`.
        let path = lab.path(&name.replace('/', "-"));
        prepare(&path.with_extension("in"));
        std::fs::create_dir(path.with_extension("out")).expect("a folder");
        std::fs::write(&path, case).expect("a file");
    }
    assert!(sessions >= 5, "only {sessions} sessions are left in the documents");
    cases.case(lab.path("*.md"));
    cases.run();
}

/// Commands that no test runs are commands all the same: names and values are those that `lab` knows.
#[test]
fn commands_that_are_not_run_can_be_read() {
    let lab = Lab::new();
    let mut read = 0;
    for (name, text) in documents() {
        let blocks = blocks(&text);
        let shell = |block: &&Block| {
            ["console", "sh", "bash"]
                .iter()
                .any(|shell| block.info.starts_with(shell))
        };
        for block in blocks.iter().filter(shell).filter(|block| !block.is_session()) {
            for line in &block.lines {
                let line = line.strip_prefix("$ ").unwrap_or(line);
                let Some(rest) = as_lab(&format!("$ {line}")).strip_prefix("$ lab ").map(str::to_string) else {
                    continue;
                };
                let rest = rest.split(" #").next().unwrap_or_default();
                if rest.ends_with('\\') || rest.contains(['|', '>', '$']) && !rest.contains('\'') {
                    continue;
                }
                let mut words = split(rest);
                words.push("--help".to_string());
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                let outcome = lab.run(&words);
                assert_eq!(
                    outcome.code,
                    Some(0),
                    "{name}:{}: lab {rest}: {}",
                    block.line,
                    outcome.stderr
                );
                read += 1;
            }
        }
    }
    assert!(read > 0, "no command was read");
}

/// The words of a command line, with single quotes.
fn split(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (index, part) in line.split('\'').enumerate() {
        if index % 2 == 1 {
            words.push(part.to_string());
        } else {
            words.extend(part.split_whitespace().map(str::to_string));
        }
    }
    words
}
