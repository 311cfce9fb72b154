//! The pages as a book: `docs/book.toml` and `docs/SUMMARY.md` for mdBook.
//!
//! The pages are written for GitHub, which shows `$formulas$` and follows links to sources. mdBook does neither, so that the book
//! is made of a copy in which links that leave `docs/` lead to the repository, and formulas are MathML.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, anyhow, bail};
use math_core::{LatexToMathML, MathCoreConfig, MathDisplay};

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
        let text = with_formulas(&page, &with_remote_links(&page, &text, &repository))?;
        write(&at(&page), text.as_bytes())?;
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

/// A page whose formulas are MathML, which browsers show without a script or a network.
///
/// # Errors
/// If a formula uses what the converter does not know, or does not end.
fn with_formulas(page: &str, text: &str) -> Result<String> {
    let converter = LatexToMathML::new(MathCoreConfig::default())
        .map_err(|(reason, ..)| anyhow!("formulas cannot be converted: {reason}"))?;
    let convert = |formula: &str, number: usize, display: MathDisplay| {
        let converted = converter.convert_with_local_state(formula, display);
        let converted = converted.map_err(|reason| anyhow!("{page}:{number}: the formula '{formula}': {reason}"))?;
        anyhow::Ok(escaped(&converted.mathml))
    };
    let mut changed = String::new();
    // The lines so far of a formula that stands alone.
    let mut alone: Option<String> = None;
    for (number, line, language) in pages::lines(text) {
        let plain = links::without_code(line);
        if language.is_some() || alone.is_none() && (line.starts_with("    ") || !plain.contains('$')) {
            changed.push_str(line);
            changed.push('\n');
            continue;
        }
        let mut rest = line;
        while !rest.is_empty() {
            let blank = &plain[line.len() - rest.len()..];
            if let Some(formula) = &mut alone {
                let end = rest.find("$$");
                formula.push_str(&rest[..end.unwrap_or(rest.len())]);
                formula.push('\n');
                rest = end.map_or("", |end| &rest[end + 2..]);
                if end.is_some() {
                    changed.push_str(&convert(formula, number, MathDisplay::Block)?);
                    alone = None;
                }
            } else if let Some(start) = blank.find('$') {
                changed.push_str(&rest[..start]);
                if let Some(after) = rest[start..].strip_prefix("$$") {
                    alone = Some(String::new());
                    rest = after;
                } else {
                    let after = &rest[start + 1..];
                    let end = after
                        .find('$')
                        .ok_or_else(|| anyhow!("{page}:{number}: a formula begins with $ and does not end"))?;
                    changed.push_str(&convert(&after[..end], number, MathDisplay::Inline)?);
                    rest = &after[end + 1..];
                }
            } else {
                changed.push_str(rest);
                rest = "";
            }
        }
        if alone.is_none() {
            changed.push('\n');
        }
    }
    match alone {
        None => Ok(changed),
        Some(_) => bail!("{page}: a formula begins with $$ and does not end"),
    }
}

/// An element on one line, with what Markdown would take for its own written as references.
fn escaped(element: &str) -> String {
    let mut text = String::new();
    for character in element.chars() {
        match character {
            '\n' => text.push(' '),
            '\\' | '_' | '*' | '[' | ']' | '`' | '|' | '~' => text.push_str(&format!("&#{};", u32::from(character))),
            _ => text.push(character),
        }
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
    fn formulas_become_elements() {
        let inline = with_formulas("x.md", "a $x_1$ `$b$` $c$\n").unwrap();
        assert!(
            inline.starts_with("a <math><msub>") && inline.contains(" `$b$` <math>"),
            "{inline}"
        );
        let alone = with_formulas("x.md", "$$\n\\frac{a}{b}\n$$\n").unwrap();
        assert!(
            alone.contains("<mfrac>") && alone.trim().lines().count() == 1,
            "{alone}"
        );
        let code = "```sh\n$ cargo\n```\n    $ lab\n";
        assert_eq!(with_formulas("x.md", code).unwrap(), code);
    }

    #[test]
    fn formulas_that_are_none_are_named_with_their_place() {
        for text in ["a\nb $\\nothing$\n", "a\nb $x\n"] {
            let error = with_formulas("docs/x.md", text).unwrap_err().to_string();
            assert!(error.starts_with("docs/x.md:2: "), "{error}");
        }
        assert!(with_formulas("docs/x.md", "$$\nx\n").is_err());
    }
}
