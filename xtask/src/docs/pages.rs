//! The Markdown pages of the project.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// Pages outside of `docs/` that people read.
const OUTSIDE: [&str; 4] = ["CHANGELOG.md", "CONTRIBUTING.md", "README.md", "peers/README.md"];

/// All pages, as paths below the root with `/`, in the order of their names.
pub(super) fn all(root: &Path) -> Result<Vec<String>> {
    let mut found = in_docs(root)?;
    found.extend(OUTSIDE.map(str::to_string));
    Ok(found)
}

/// The pages under `docs/`.
pub(super) fn in_docs(root: &Path) -> Result<Vec<String>> {
    under_docs(root, &[".md"])
}

/// The files under `docs/` with one of these endings, in the order of their names.
pub(super) fn under_docs(root: &Path, endings: &[&str]) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let mut open = vec!["docs".to_string()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(root.join(&folder)).with_context(|| format!("{folder} cannot be listed"))? {
            let entry = entry?;
            let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
            if entry.path().is_dir() {
                open.push(path);
            } else if endings.iter().any(|ending| path.ends_with(ending)) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The lines of a page with their numbers (from 1), each with the language of the code block that it is in (its fences are in none).
pub(super) fn lines(text: &str) -> Vec<(usize, &str, Option<&str>)> {
    let mut language: Option<&str> = None;
    let mut lines = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let fence = line.trim_start().strip_prefix("```");
        match (fence, language) {
            (Some(name), None) => {
                lines.push((index + 1, line, None));
                language = Some(name.trim());
            }
            (Some(_), Some(_)) => {
                lines.push((index + 1, line, None));
                language = None;
            }
            (None, inside) => lines.push((index + 1, line, inside)),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_knows_its_code_block() {
        let found = lines("a\n```rust\nlet b;\n```\nc");
        let inside: Vec<_> = found.iter().map(|(number, _, language)| (*number, *language)).collect();
        assert_eq!(inside, [(1, None), (2, None), (3, Some("rust")), (4, None), (5, None)]);
    }
}
