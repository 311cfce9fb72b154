//! Every Rust code block of a page is compiled and run: the page is part of the documentation of some crate.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::pages;

/// What code blocks may be. `console` is a session that a test repeats; `sh` is one that takes minutes or
/// downloads something.
const LANGUAGES: [&str; 9] = [
    "rust",
    "rust,standalone_crate",
    "console",
    "sh",
    "toml",
    "python",
    "json",
    "text",
    "html",
];

/// Code blocks that nothing runs.
pub(super) fn faults(root: &Path) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    let included = included(root)?;
    for page in pages::all(root)? {
        let text = fs::read_to_string(root.join(&page)).with_context(|| format!("{page} cannot be read"))?;
        faults.extend(page_faults(&page, &text, &included));
    }
    Ok(faults)
}

fn page_faults(page: &str, text: &str, included: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let mut has_rust = false;
    let mut inside = false;
    for (number, line, language) in pages::lines(text) {
        if let Some(name) = line.trim_start().strip_prefix("```") {
            inside = !inside;
            if inside && !LANGUAGES.contains(&name.trim()) {
                faults.push(format!(
                    "{page}:{number}: a code block of `{}`; it must be one of {}",
                    name.trim(),
                    LANGUAGES.join(", ")
                ));
            }
        }
        has_rust |= language.is_some_and(|language| language.starts_with("rust"));
        let words = ["    use ", "    let ", "    fn ", "    pub fn "];
        if language.is_none() && words.iter().any(|word| line.starts_with(word)) {
            faults.push(format!(
                "{page}:{number}: Rust in an indented block, which no test compiles; make it a block of ```rust"
            ));
        }
    }
    if has_rust && !included.contains(&format!("include_str!(\"../../../{page}\")")) {
        faults.push(format!(
            "{page} has Rust code that nothing compiles; include the page in src/lib.rs of a crate that can (see training's)"
        ));
    }
    faults
}

/// The texts of all crates' front pages, which name the pages that their documentation tests run.
fn included(root: &Path) -> Result<String> {
    let mut text = String::new();
    for entry in fs::read_dir(root.join("crates")).context("crates/ cannot be listed")? {
        if let Ok(front) = fs::read_to_string(entry?.path().join("src").join("lib.rs")) {
            text.push_str(&front);
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_that_nothing_runs_is_a_fault() {
        let included = "#[doc = include_str!(\"../../../docs/a.md\")]";
        let rust = "```rust\nlet x = 1;\n```\n";
        assert!(page_faults("docs/a.md", rust, included).is_empty());
        assert_eq!(page_faults("docs/b.md", rust, included).len(), 1);
        assert_eq!(page_faults("docs/a.md", "```rust,ignore\n```\n", included).len(), 1);
        assert_eq!(page_faults("docs/a.md", "```\nx\n```\n", included).len(), 1);
        assert_eq!(page_faults("docs/a.md", "text\n\n    let x = 1;\n", included).len(), 1);
    }
}
