//! Where downloads are kept.

use crate::{Error, Result};
use std::path::PathBuf;

/// The folder that downloads go to when no other is named.
///
/// The first of these that is set: `$CANDLE_LAB_CACHE`; `$XDG_CACHE_HOME/candle-lab`; `%LOCALAPPDATA%\candle-lab` (Windows);
/// `~/Library/Caches/candle-lab` (macOS) or `~/.cache/candle-lab`. The folder need not exist.
///
/// # Errors
/// [`Error::Folder`] if none of them is set.
pub fn cache_dir() -> Result<PathBuf> {
    choose(|name| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    })
}

fn choose(variable: impl Fn(&str) -> Option<PathBuf>) -> Result<PathBuf> {
    let in_home = if cfg!(target_os = "macos") {
        "Library/Caches"
    } else {
        ".cache"
    };
    variable("CANDLE_LAB_CACHE")
        // the XDG specification says that relative paths are to be ignored
        .or_else(|| {
            variable("XDG_CACHE_HOME")
                .filter(|path| path.is_absolute())
                .map(|path| path.join("candle-lab"))
        })
        .or_else(|| variable("LOCALAPPDATA").map(|path| path.join("candle-lab")))
        .or_else(|| variable("HOME").map(|path| path.join(in_home).join("candle-lab")))
        .ok_or_else(|| Error::Folder {
            path: PathBuf::from("~/.cache/candle-lab"),
            problem: "cannot be found: neither CANDLE_LAB_CACHE nor XDG_CACHE_HOME nor LOCALAPPDATA nor HOME is set"
                .to_string(),
            advice: "set CANDLE_LAB_CACHE, or name a folder with --data-dir".to_string(),
        })
}

#[cfg(test)]
mod tests {
    use super::choose;
    use std::path::PathBuf;

    #[track_caller]
    fn check(set: &[(&str, &str)], expected: &str) {
        let found = choose(|name| {
            set.iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| PathBuf::from(value))
        });
        assert_eq!(found.unwrap(), PathBuf::from(expected));
    }

    #[test]
    #[cfg(unix)]
    fn the_first_variable_that_is_set_wins() {
        check(
            &[("CANDLE_LAB_CACHE", "/c"), ("XDG_CACHE_HOME", "/x"), ("HOME", "/h")],
            "/c",
        );
        check(&[("XDG_CACHE_HOME", "/x"), ("HOME", "/h")], "/x/candle-lab");
        check(
            &[("XDG_CACHE_HOME", "relative"), ("LOCALAPPDATA", "/l"), ("HOME", "/h")],
            "/l/candle-lab",
        );
        let in_home = if cfg!(target_os = "macos") {
            "/h/Library/Caches/candle-lab"
        } else {
            "/h/.cache/candle-lab"
        };
        check(&[("HOME", "/h")], in_home);
    }

    #[test]
    fn without_any_the_error_names_them() {
        let error = choose(|_| None).unwrap_err().to_string();
        assert!(
            error.contains("CANDLE_LAB_CACHE") && error.contains("--data-dir"),
            "{error}"
        );
    }
}
