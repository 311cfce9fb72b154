//! The figures of a run in the chapters: `<!-- figure 3: Mean rank over the tasks -->`, and behind it the picture as a link to the file that
//! this command writes.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::links;

/// A figure that a page wants: where it stands, whose it is, what it is called in the report, and its file below the root.
#[derive(Debug, PartialEq)]
struct Figure<'a> {
    line: usize,
    exercise: &'a str,
    title: &'a str,
    file: String,
}

/// Writes the figures of a page from the report `index.html` of the run; returns what could not be written.
pub(super) fn write(root: &Path, page: &str, text: &str, report: &str) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    for figure in match figures(page, text) {
        Ok(figures) => figures,
        Err(fault) => return Ok(vec![fault]),
    } {
        let Some(drawing) = drawing(report, figure.exercise, figure.title) else {
            faults.push(format!(
                "line {}: the report has no figure \"{}\" in exercise {}",
                figure.line, figure.title, figure.exercise
            ));
            continue;
        };
        let path = root.join(&figure.file);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
        }
        fs::write(&path, drawing).with_context(|| format!("{} cannot be written", figure.file))?;
    }
    Ok(faults)
}

fn figures<'a>(page: &str, text: &'a str) -> Result<Vec<Figure<'a>>, String> {
    let mut found = Vec::new();
    let pictures = links::links(text);
    for (index, line) in text.lines().enumerate() {
        let Some(inside) = line
            .strip_prefix("<!-- figure ")
            .and_then(|line| line.strip_suffix(" -->"))
        else {
            continue;
        };
        let number = index + 1;
        let (exercise, title) = inside
            .split_once(": ")
            .ok_or_else(|| format!("line {number}: a figure needs a colon behind its exercise"))?;
        let file = pictures
            .iter()
            .find(|link| link.line == number + 1 && link.target.ends_with(".svg"))
            .and_then(|link| links::resolve(page, link.target))
            .ok_or_else(|| format!("line {number}: the line behind a figure must be its picture, ![text](file.svg)"))?;
        found.push(Figure {
            line: number,
            exercise,
            title,
            file,
        });
    }
    Ok(found)
}

/// The drawing of a title in the section of an exercise, as a file of its own: on paper, since it takes no colours from a page.
fn drawing(report: &str, exercise: &str, title: &str) -> Option<String> {
    let (_, section) = report.split_once(&format!("id=\"exercise-{exercise}\""))?;
    let section = section.split("<section").next()?;
    let at = section.find(&format!(">{title}</title>"))?;
    let start = section[..at].rfind("<svg")?;
    let end = start + closed(&section[start..])?;
    let open = start + section[start..].find('>')? + 1;
    Some(format!(
        "{}<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>{}\n",
        &section[start..open],
        &section[open..end]
    ))
}

/// Where the element ends that a text begins with; drawings may lie in drawings.
fn closed(text: &str) -> Option<usize> {
    let (mut end, mut depth) = (0, 0);
    loop {
        let close = end + text[end..].find("</svg>")? + "</svg>".len();
        depth += text[end..close].matches("<svg").count();
        depth -= 1;
        end = close;
        if depth == 0 {
            return Some(end);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_found_by_exercise_and_title() {
        let report = "<section id=\"exercise-1\"><svg a><title>T</title><g/></svg></section><section id=\"exercise-2\"><svg b><title id=\"x\">U</title></svg></section>";
        assert_eq!(
            drawing(report, "1", "T").as_deref(),
            Some("<svg a><rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/><title>T</title><g/></svg>\n")
        );
        assert!(drawing(report, "2", "U").unwrap().starts_with("<svg b><rect"));
        let nested = "id=\"exercise-1\"><svg><title>T</title><svg><g/></svg><svg></svg></svg><svg/>";
        assert!(drawing(nested, "1", "T").unwrap().ends_with("<svg></svg></svg>\n"));
        assert_eq!(drawing(report, "1", "U"), None, "that is one of exercise 2");
    }

    #[test]
    fn a_figure_needs_its_picture() {
        let text = "a\n\n<!-- figure 1: T -->\n![t](figures/t.svg)\n";
        let found = figures("docs/exercises/1.md", text).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].title, found[0].file.as_str()),
            ("T", "docs/exercises/figures/t.svg")
        );
        assert!(
            figures("docs/1.md", "<!-- figure 1: T -->\ntext\n")
                .unwrap_err()
                .contains("must be its picture")
        );
        assert!(
            figures("docs/1.md", "<!-- figure T -->\n")
                .unwrap_err()
                .contains("colon")
        );
    }
}
