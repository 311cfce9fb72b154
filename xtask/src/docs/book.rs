//! The pages as a book: `docs/book.toml` and `docs/SUMMARY.md` for mdBook.
//!
//! The pages are written for GitHub, which shows `$formulas$` and follows links to sources. mdBook does neither, so that the book
//! is made of a copy in which links that leave `docs/` lead to the repository, and formulas have the brackets that MathJax looks for.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result};

use super::{links, pages};
use crate::cargo;

/// Makes the book where mdbook is installed, or after installing it.
#[expect(clippy::print_stdout, reason = "xtask talks to the person who runs it")]
pub(super) fn build(install: bool) -> Result<ExitCode> {
    let target = cargo::target_folder()?;
    let tools = target.join("tools");
    let mut program = mdbook(&tools);
    if program.is_none() && install {
        let words = ["install", "mdbook", "--locked", "--root"];
        let status = cargo::cargo_in_root()
            .args(words)
            .arg(&tools)
            .status()
            .context("cargo install")?;
        if !status.success() {
            return Ok(ExitCode::FAILURE);
        }
        program = mdbook(&tools);
    }
    let book = target.join("book");
    copy(&cargo::root(), &book)?;
    let Some(program) = program else {
        println!(
            "docs: the book is skipped, its pages are ready in {}: mdbook is not installed; `cargo xtask docs --book --install` compiles it",
            book.display()
        );
        return Ok(ExitCode::SUCCESS);
    };
    let status = Command::new(&program)
        .arg("build")
        .arg(&book)
        .status()
        .with_context(|| format!("{} could not be started", program.display()))?;
    if status.success() {
        println!(
            "docs: the book is at {}",
            book.join("book").join("index.html").display()
        );
    }
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The mdbook of `PATH`, or the one that was compiled into `tools`.
fn mdbook(tools: &Path) -> Option<PathBuf> {
    let name = format!("mdbook{}", std::env::consts::EXE_SUFFIX);
    [PathBuf::from(&name), tools.join("bin").join(&name)]
        .into_iter()
        .find(|program| {
            let mut version = Command::new(program);
            version.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
            version.status().is_ok_and(|status| status.success())
        })
}

/// Copies `docs/` for mdBook.
fn copy(root: &Path, book: &Path) -> Result<()> {
    let repository = repository(root)?;
    let at = |page: &str| book.join(page.strip_prefix("docs/").unwrap_or(page));
    let write = |path: &Path, bytes: &[u8]| -> Result<()> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
        }
        fs::write(path, bytes).with_context(|| format!("{} cannot be written", path.display()))
    };
    for page in pages::in_docs(root)? {
        let text = fs::read_to_string(root.join(&page)).with_context(|| format!("{page} cannot be read"))?;
        write(
            &at(&page),
            with_brackets(&with_remote_links(&page, &text, &repository)).as_bytes(),
        )?;
    }
    let mut files = vec!["docs/book.toml".to_string()];
    files.extend(pages::under_docs(root, &[".png", ".svg"])?);
    for file in files {
        let bytes = fs::read(root.join(&file)).with_context(|| format!("{file} cannot be read"))?;
        write(&at(&file), &bytes)?;
    }
    Ok(())
}

fn repository(root: &Path) -> Result<String> {
    let manifest = fs::read_to_string(root.join("Cargo.toml")).context("Cargo.toml cannot be read")?;
    let line = manifest.lines().find_map(|line| line.strip_prefix("repository = "));
    Ok(line
        .context("Cargo.toml names no repository")?
        .trim_matches('"')
        .to_string())
}

/// A page whose links that leave `docs/` lead to the repository.
fn with_remote_links(page: &str, text: &str, repository: &str) -> String {
    let mut changed = text.to_string();
    // From the end, so that the places before stay where they are.
    for link in links::links(text).iter().rev() {
        let target = link.target;
        if links::is_remote(target) || target.starts_with('#') {
            continue;
        }
        if let Some(path) = links::resolve(page, target).filter(|path| !path.starts_with("docs/")) {
            changed.replace_range(link.place.clone(), &format!("{repository}/blob/main/{path}"));
        }
    }
    changed
}

/// A page whose formulas stand in `\\( \\)` and `\\[ \\]`, with all that Markdown would take for its own escaped.
fn with_brackets(text: &str) -> String {
    let mut changed = String::new();
    let mut display = false;
    for (_, line, language) in pages::lines(text) {
        let plain = links::without_code(line);
        if language.is_some() || line.starts_with("    ") && !display || !(display || plain.contains('$')) {
            changed.push_str(line);
        } else {
            let mut rest = line;
            let mut inline = false;
            while !rest.is_empty() {
                let blank = &plain[line.len() - rest.len()..];
                let end = if inline || display {
                    rest.find('$')
                } else {
                    blank.find('$')
                }
                .unwrap_or(rest.len());
                let (piece, after) = rest.split_at(end);
                if inline || display {
                    changed.push_str(&escaped(piece));
                } else {
                    changed.push_str(piece);
                }
                rest = if let Some(after) = after.strip_prefix("$$") {
                    changed.push_str(if display { "\\\\]" } else { "\\\\[" });
                    display = !display;
                    after
                } else if let Some(after) = after.strip_prefix('$') {
                    changed.push_str(if inline { "\\\\)" } else { "\\\\(" });
                    inline = !inline;
                    after
                } else {
                    after
                };
            }
        }
        changed.push('\n');
    }
    changed
}

fn escaped(formula: &str) -> String {
    let mut text = String::new();
    for character in formula.chars() {
        if "\\_*[]<>&~`|".contains(character) {
            text.push('\\');
        }
        text.push(character);
    }
    text
}

/// Pages that the book's table of contents does not have, or has twice.
pub(super) fn faults(root: &Path) -> Result<Vec<String>> {
    let contents = "docs/SUMMARY.md";
    let text = fs::read_to_string(root.join(contents)).with_context(|| format!("{contents} cannot be read"))?;
    let mut named: BTreeMap<String, usize> = BTreeMap::new();
    for link in links::links(&text) {
        if let Some(page) = links::resolve(contents, link.target) {
            *named.entry(page).or_default() += 1;
        }
    }
    let mut faults = Vec::new();
    for page in pages::in_docs(root)?.iter().filter(|page| *page != contents) {
        match named.get(page) {
            Some(1) => {}
            Some(times) => faults.push(format!("{contents} names {page} {times} times")),
            None => faults.push(format!("{contents} does not name {page}")),
        }
    }
    Ok(faults)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_out_of_the_book_lead_to_the_repository() {
        let text = "[a](../README.md) [b](formats.md) [c](https://x.y) [d](../crates/lab)";
        assert_eq!(
            with_remote_links("docs/x.md", text, "https://r"),
            "[a](https://r/blob/main/README.md) [b](formats.md) [c](https://x.y) [d](https://r/blob/main/crates/lab)"
        );
    }

    #[test]
    fn formulas_get_the_brackets_of_mathjax() {
        assert_eq!(
            with_brackets("a $x_1$ `$b$` $c$\n"),
            "a \\\\(x\\_1\\\\) `$b$` \\\\(c\\\\)\n"
        );
        assert_eq!(with_brackets("$$\nx_i \\\\\n$$\n"), "\\\\[\nx\\_i \\\\\\\\\n\\\\]\n");
        assert_eq!(
            with_brackets("```sh\n$ cargo\n```\n    $ lab\n"),
            "```sh\n$ cargo\n```\n    $ lab\n"
        );
    }
}
