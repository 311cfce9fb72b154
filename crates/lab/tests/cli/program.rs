//! Running `lab` in a folder of its own.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

/// A folder to work in, and one for downloads; nothing of the user's is read or written.
pub(crate) struct Lab {
    folder: TempDir,
    cache: TempDir,
}

/// What a run left behind.
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Lab {
    pub(crate) fn new() -> Self {
        let folder = || tempfile::tempdir().expect("a temporary folder");
        Lab {
            folder: folder(),
            cache: folder(),
        }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    /// The program, offline: every proxy is a port where nothing listens.
    pub(crate) fn command(&self, arguments: &[&str]) -> std::process::Command {
        self.other(env!("CARGO_BIN_EXE_lab"), arguments)
    }

    /// Another program, in the same folder and as much offline.
    pub(crate) fn other(&self, program: &str, arguments: &[&str]) -> std::process::Command {
        let mut command = std::process::Command::new(program);
        command
            .args(arguments)
            .current_dir(self.folder())
            .env("CANDLE_LAB_CACHE", self.cache.path())
            .env_remove("NO_PROXY")
            .env_remove("no_proxy");
        for variable in ["ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY"] {
            command.env(variable, "http://127.0.0.1:9");
            command.env(variable.to_lowercase(), "http://127.0.0.1:9");
        }
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Outcome {
        self.run_with(arguments, &[])
    }

    pub(crate) fn run_with(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Outcome {
        let mut command = self.command(arguments);
        command.envs(environment.iter().copied());
        let output = assert_cmd::Command::from_std(command)
            .timeout(Duration::from_secs(120))
            .output()
            .expect("the program runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Outcome {
            code: output.status.code(),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }

    /// Runs what must succeed; returns its stdout.
    #[track_caller]
    pub(crate) fn succeeds(&self, arguments: &[&str]) -> String {
        let outcome = self.run(arguments);
        assert_eq!(outcome.code, Some(0), "lab {arguments:?}: {}", outcome.stderr);
        assert_eq!(errors(&outcome.stderr), 0, "{}", outcome.stderr);
        outcome.stdout
    }

    /// Runs what must succeed; returns its stdout as JSON.
    #[track_caller]
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let text = self.succeeds(arguments);
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text}"))
    }

    /// Runs what must fail: exit code 1, one line `error: …` that contains all `words`, no file more or less than before.
    #[track_caller]
    pub(crate) fn fails(&self, arguments: &[&str], words: &[&str]) -> Outcome {
        let before = self.files();
        let outcome = self.run(arguments);
        outcome.check_error(1, words);
        let last = outcome.stderr.lines().last().unwrap_or_default();
        assert!(last.starts_with("error: "), "an error is one line: {}", outcome.stderr);
        assert_eq!(self.files(), before, "lab {arguments:?} changed the files");
        outcome
    }

    /// The names of all files below the two folders.
    pub(crate) fn files(&self) -> BTreeSet<PathBuf> {
        let mut files = BTreeSet::new();
        let mut folders = vec![self.folder().to_path_buf(), self.cache.path().to_path_buf()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
                let path = entry.path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    files.insert(path);
                }
            }
        }
        files
    }
}

impl Outcome {
    /// Exactly one error, which contains all `words`.
    #[track_caller]
    pub(crate) fn check_error(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, Some(code), "{}", self.stderr);
        assert_eq!(errors(&self.stderr), 1, "{}", self.stderr);
        for word in words {
            assert!(self.stderr.contains(word), "'{word}' is not in: {}", self.stderr);
        }
    }
}

/// Number of lines that are errors.
fn errors(stderr: &str) -> usize {
    stderr.lines().filter(|line| line.contains("error:")).count()
}
