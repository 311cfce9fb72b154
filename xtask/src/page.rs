//! Checks of the page and the records that `cargo xtask all` wrote.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use serde_json::Value;

/// Prints every fault of the report in `folder`; succeeds where there is none.
#[expect(clippy::print_stdout, reason = "xtask talks to the person who runs it")]
pub(crate) fn check(folder: &Path) -> Result<ExitCode> {
    let page = folder.join("index.html");
    let html = fs::read_to_string(&page).with_context(|| format!("{} cannot be read", page.display()))?;
    let mut faults = page_faults(&html);
    for number in 1..=6 {
        let path = folder.join(format!("exercise-{number}.json"));
        let text = fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
        let record: Value = serde_json::from_str(&text).with_context(|| format!("{} is not JSON", path.display()))?;
        faults.extend(
            record_faults(number, &record)
                .into_iter()
                .map(|fault| format!("{}: {fault}", path.display())),
        );
    }
    for fault in &faults {
        println!("check-page: {fault}");
    }
    println!(
        "check-page: {} of {} bytes, {} faults",
        page.display(),
        html.len(),
        faults.len()
    );
    Ok(if faults.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn page_faults(html: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let mut need = |holds: bool, what: &str| {
        if !holds {
            faults.push(what.to_string());
        }
    };
    need(
        html.starts_with("<!DOCTYPE html>") || html.starts_with("<!doctype html>"),
        "no HTML5 doctype",
    );
    need(html.trim_end().ends_with("</html>"), "the page does not end in </html>");
    need(html.contains("<svg"), "no SVG plot");
    need(html.contains("<math"), "no formula in MathML");
    need(html.contains("<table"), "no table");
    need(html.len() < 5_000_000, "larger than 5 MB");
    for number in 1..=6 {
        need(
            html.contains(&format!("id=\"exercise-{number}\"")),
            &format!("no section of exercise {number}"),
        );
    }
    for attribute in ["src=\"http", "href=\"http", "src=\"//", "url(http", "@import"] {
        need(
            !html.contains(attribute),
            &format!("a request to another place: {attribute}"),
        );
    }
    // Scripts run only by their hashes, one for each.
    let scripts = html.matches("<script>").count();
    let policy = html.split("http-equiv=\"Content-Security-Policy\" content=\"").nth(1);
    let policy = policy.and_then(|rest| rest.split('"').next()).unwrap_or_default();
    let allowed = policy.split("script-src ").nth(1).unwrap_or_default();
    need(
        html.matches("<script").count() == scripts,
        "a script that is loaded, or has attributes",
    );
    need(
        allowed.matches("sha256-").count() == scripts && !allowed.contains("unsafe"),
        "the Content-Security-Policy does not list the scripts of the page, and them alone, by their hashes",
    );
    let mut ids: Vec<&str> = html
        .split(" id=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect();
    ids.sort_unstable();
    for pair in ids.windows(2).filter(|pair| pair[0] == pair[1]) {
        faults.push(format!("the id {} stands there twice", pair[0]));
    }
    faults
}

fn record_faults(number: u64, record: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    if record["exercise"].as_u64() != Some(number) {
        faults.push(format!("\"exercise\" is {}, expected {number}", record["exercise"]));
    }
    if record["headline"].as_str().is_none_or(str::is_empty) {
        faults.push("no headline".to_string());
    }
    if record["numbers"].as_object().is_none_or(serde_json::Map::is_empty) {
        faults.push("no numbers".to_string());
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_loads_something_is_a_fault() {
        let sections: String = (1..=6)
            .map(|n| format!("<section id=\"exercise-{n}\"></section>"))
            .collect();
        let good = format!("<!DOCTYPE html><html>{sections}<svg/><math/><table></table></html>");
        assert_eq!(page_faults(&good), Vec::<String>::new());
        let remote = good.replace("<svg/>", "<svg/><img src=\"https://example.org/x.png\">");
        assert_eq!(page_faults(&remote).len(), 1);
        let script = good.replace("<svg/>", "<svg/><script>run()</script>");
        assert_eq!(page_faults(&script).len(), 1, "a script without its hash");
        let policy =
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; script-src 'sha256-x'\">";
        assert_eq!(
            page_faults(&script.replace("<html>", &format!("<html>{policy}"))),
            Vec::<String>::new()
        );
        let attribute = good.replace("<svg/>", "<svg/><script defer>run()</script>");
        assert_eq!(page_faults(&attribute).len(), 1);
        let twice = good.replace("exercise-2", "exercise-1");
        assert_eq!(page_faults(&twice).len(), 2);
    }

    #[test]
    fn a_record_without_numbers_is_a_fault() {
        let record = serde_json::json!({"exercise": 1, "headline": "x", "numbers": {"a": 1}});
        assert!(record_faults(1, &record).is_empty());
        assert_eq!(record_faults(2, &serde_json::json!({"exercise": 1})).len(), 3);
    }
}
