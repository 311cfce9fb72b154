//! The list of measurements in `docs/benchmarks.md`, made of the pages and records in `docs/benchmarks/`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::Value;

const INDEX: &str = "docs/benchmarks.md";
const OPEN: &str = "<!-- list of docs/benchmarks/ -->";
const CLOSE: &str = "<!-- end of list -->";

/// Writes the list anew; with `check` it says instead whether it is old.
pub(super) fn bring_up_to_date(root: &Path, check: bool) -> Result<Vec<String>> {
    let text = fs::read_to_string(root.join(INDEX)).with_context(|| format!("{INDEX} cannot be read"))?;
    let Some((before, rest)) = text.split_once(OPEN) else {
        bail!("{INDEX} has no {OPEN}");
    };
    let Some((_, after)) = rest.split_once(CLOSE) else {
        bail!("{INDEX} has no {CLOSE}");
    };
    let new = format!("{before}{OPEN}\n\n{}\n{CLOSE}{after}", list(root)?);
    if new == text {
        return Ok(Vec::new());
    }
    if check {
        return Ok(vec![format!("the list in {INDEX} is old: run `cargo xtask docs`")]);
    }
    fs::write(root.join(INDEX), new).with_context(|| format!("{INDEX} cannot be written"))?;
    Ok(Vec::new())
}

fn list(root: &Path) -> Result<String> {
    let folder = root.join("docs").join("benchmarks");
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).context("docs/benchmarks/ cannot be listed")? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        names.extend(name.strip_suffix(".md").map(str::to_string));
    }
    names.sort();
    let mut text = "| page | measured by | machine | libraries |\n|---|---|---|---|\n".to_string();
    for name in names {
        let page = fs::read_to_string(folder.join(format!("{name}.md"))).with_context(|| format!("{name}.md"))?;
        let record = match fs::read_to_string(folder.join(format!("{name}.json"))) {
            Ok(text) => serde_json::from_str(&text).with_context(|| format!("{name}.json is not JSON"))?,
            Err(_) => Value::Null,
        };
        text.push_str(&row(&name, &page, &record));
    }
    Ok(text)
}

fn row(name: &str, page: &str, record: &Value) -> String {
    let title = page.lines().next().unwrap_or_default().trim_start_matches(['#', ' ']);
    let machine = &record["machine"];
    let machine = match machine["processor"].as_str() {
        Some(processor) => format!("{processor}, {} processors", machine["processors"]),
        None => "as the page says".to_string(),
    };
    let mut libraries = BTreeSet::new();
    versions(record, &mut libraries);
    let libraries = if libraries.is_empty() {
        "none beside it".to_string()
    } else {
        libraries.into_iter().collect::<Vec<_>>().join(", ")
    };
    format!(
        "| [{title}](benchmarks/{name}.md) | {} | {machine} | {libraries} |\n",
        command(page)
    )
}

/// Every library with its version, wherever in the record both stand.
fn versions(record: &Value, found: &mut BTreeSet<String>) {
    match record {
        Value::Object(fields) => {
            let name = fields
                .get("library")
                .or_else(|| fields.get("framework"))
                .and_then(Value::as_str);
            if let (Some(name), Some(version)) = (name, fields.get("version").and_then(Value::as_str)) {
                found.insert(format!("{name} {version}"));
            }
            fields.values().for_each(|value| versions(value, found));
        }
        Value::Array(list) => list.iter().for_each(|value| versions(value, found)),
        _ => {}
    }
}

/// The first command that the page names.
fn command(page: &str) -> String {
    let starts = ["cargo ", "lab "];
    for line in page.lines() {
        let spans = line.split('`').skip(1).step_by(2).map(str::trim);
        let indented = line.strip_prefix("    ").or_else(|| line.strip_prefix("$ "));
        let whole = indented.map(|line| line.split("  ").next().unwrap_or(line).trim());
        if let Some(command) = spans
            .chain(whole)
            .find(|text| starts.iter().any(|start| text.starts_with(start)))
        {
            return format!("`{command}`");
        }
    }
    "the commands at its top".to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_row_says_what_measured_where_and_next_to_what() {
        let page = "# How fast\n\nWritten by `cargo xtask bench x`; see `y`.\n";
        let record = json!({"machine": {"processor": "P", "processors": 2}, "runs": [{"library": "b", "version": "2"}, {"framework": "a", "version": "1"}]});
        assert_eq!(
            row("x", page, &record),
            "| [How fast](benchmarks/x.md) | `cargo xtask bench x` | P, 2 processors | a 1, b 2 |\n"
        );
        let row = row("y", "# T\n\n    cargo bench -p z    # all\n", &Value::Null);
        assert_eq!(
            row,
            "| [T](benchmarks/y.md) | `cargo bench -p z` | as the page says | none beside it |\n"
        );
    }
}
