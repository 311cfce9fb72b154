//! Every relative link of a page leads to a file that exists, and every anchor to a heading.

use std::collections::BTreeSet;
use std::fs;
use std::ops::Range;
use std::path::Path;

use anyhow::{Context, Result};

use super::pages;

/// The links of all pages that lead nowhere.
pub(super) fn faults(root: &Path) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    for page in pages::all(root)? {
        let text = fs::read_to_string(root.join(&page)).with_context(|| format!("{page} cannot be read"))?;
        for link in links(&text) {
            if let Some(fault) = fault(root, &page, &text, link.target) {
                faults.push(format!("{page}:{}: the link to {} {fault}", link.line, link.target));
            }
        }
    }
    Ok(faults)
}

fn fault(root: &Path, page: &str, text: &str, target: &str) -> Option<String> {
    if is_remote(target) {
        return None;
    }
    let (path, anchor) = target
        .split_once('#')
        .map_or((target, None), |(path, anchor)| (path, Some(anchor)));
    let Some(file) = resolve(page, path) else {
        return Some("leaves the repository".to_string());
    };
    if !path.is_empty() && !root.join(&file).exists() {
        return Some(format!("leads nowhere: there is no {file}"));
    }
    let anchor = anchor?;
    let other;
    let text = if path.is_empty() {
        text
    } else if file.ends_with(".md") {
        other = fs::read_to_string(root.join(&file)).ok()?;
        &other
    } else {
        return None;
    };
    (!anchors(text).contains(anchor)).then(|| format!("names no heading: {file} has no #{anchor}"))
}

/// Whether a link leads out of the repository.
pub(super) fn is_remote(target: &str) -> bool {
    ["http:", "https:", "mailto:"]
        .iter()
        .any(|scheme| target.starts_with(scheme))
}

/// The path below the root that a link of a page means; `None` where it leaves the root.
pub(super) fn resolve(page: &str, path: &str) -> Option<String> {
    if path.is_empty() {
        return Some(page.to_string());
    }
    let mut steps: Vec<&str> = page.split('/').collect();
    steps.pop();
    for step in path.split('/') {
        match step {
            "" | "." => {}
            ".." => {
                steps.pop()?;
            }
            name => steps.push(name),
        }
    }
    Some(steps.join("/"))
}

/// A link of a page.
pub(super) struct Link<'a> {
    pub(super) line: usize,
    pub(super) target: &'a str,
    /// Where the target stands in the text.
    pub(super) place: Range<usize>,
}

/// The links and pictures of a page, outside of code.
pub(super) fn links(text: &str) -> Vec<Link<'_>> {
    let mut found = Vec::new();
    for (number, line, language) in pages::lines(text) {
        if language.is_some() {
            continue;
        }
        let offset = line.as_ptr() as usize - text.as_ptr() as usize;
        let plain = without_code(line);
        let mut add = |start: usize, closed: &str| {
            let Some(length) = plain[start..].find(closed) else {
                return;
            };
            let length = plain[start..start + length].find(' ').unwrap_or(length);
            found.push(Link {
                line: number,
                target: &line[start..start + length],
                place: offset + start..offset + start + length,
            });
        };
        for (at, open) in plain.match_indices("](") {
            add(at + open.len(), ")");
        }
        for attribute in ["href=\"", "src=\""] {
            for (at, _) in plain.match_indices(attribute) {
                add(at + attribute.len(), "\"");
            }
        }
    }
    found
}

/// A line with its code spans blanked out, byte for byte.
pub(super) fn without_code(line: &str) -> String {
    let mut pieces: Vec<String> = line.split('`').map(str::to_string).collect();
    // Between the first and the second backtick is code, between the second and the third is none, and so on.
    let last = pieces.len() - 1;
    for (index, piece) in pieces.iter_mut().enumerate() {
        if index % 2 == 1 && index < last {
            *piece = " ".repeat(piece.len());
        }
    }
    pieces.join("`")
}

/// The anchors of a page's headings, as GitHub and mdBook make them.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut anchors = BTreeSet::new();
    for (_, line, language) in pages::lines(text) {
        let heading = line.trim_start_matches('#');
        if language.is_some() || heading.len() == line.len() || !heading.starts_with(' ') {
            continue;
        }
        let name = slug(heading.trim());
        let mut anchor = name.clone();
        let mut times = 0;
        while anchors.contains(&anchor) {
            times += 1;
            anchor = format!("{name}-{times}");
        }
        anchors.insert(anchor);
    }
    anchors
}

fn slug(heading: &str) -> String {
    // Of a link only its text counts.
    let mut text = heading.to_string();
    while let Some(start) = text.find("](") {
        let end = text[start..].find(')').map_or(text.len(), |end| start + end + 1);
        text.replace_range(start..end, "");
    }
    text.chars()
        .filter_map(|character| match character {
            ' ' => Some('-'),
            '-' | '_' => Some(character),
            _ if character.is_alphanumeric() => Some(character.to_ascii_lowercase()),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_found_outside_of_code() {
        let text = "see [a](b.md#c \"title\") and `[x](y)`\n```rust\n[z](w)\n```\n![p](p.png) <img src=\"q.png\">\n";
        let found: Vec<_> = links(text).iter().map(|link| (link.line, link.target)).collect();
        assert_eq!(found, [(1, "b.md#c"), (5, "p.png"), (5, "q.png")]);
        for link in links(text) {
            assert_eq!(&text[link.place.clone()], link.target);
        }
    }

    #[test]
    fn links_that_lead_nowhere_are_told() {
        let root = crate::cargo::root();
        let check = |target: &str| fault(&root, "docs/x.md", "# One two\n## `a` & b\n## One two\n", target);
        assert_eq!(check("../README.md"), None);
        assert_eq!(check("#one-two"), None);
        assert_eq!(check("#a--b"), None);
        assert_eq!(check("#one-two-1"), None);
        assert_eq!(check("https://example.org/x.md"), None);
        assert!(check("#two").unwrap().contains("no heading"));
        assert!(check("no.md").unwrap().contains("no docs/no.md"));
        assert!(check("../../x").unwrap().contains("leaves"));
        assert!(check("../README.md#nothing-like-this").unwrap().contains("README.md"));
    }
}
