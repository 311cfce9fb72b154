//! What every page brings along: its style, its scripts, and what the browser may run.

use crate::interactive::source;

const STYLE: &str = include_str!("page.css");
const DARK: &str = include_str!("dark.css");

/// Each does one thing by itself; none is needed to read the page.
pub(crate) const SCRIPTS: [&str; 5] = [
    include_str!("theme.js"),
    include_str!("tabs.js"),
    include_str!("tables.js"),
    include_str!("figures.js"),
    include_str!("scroll.js"),
];

/// The style, with the dark colours wherever they are asked for.
pub(crate) fn style() -> String {
    STYLE.replace("@dark", DARK.trim_end())
}

/// Nothing is loaded: styles are in the page, pictures are `data:` addresses, and scripts run by the hash of their bytes, so that
/// nothing else does, wherever it came from.
pub(crate) fn policy(scripts: &[&str]) -> String {
    let sources: Vec<String> = scripts.iter().map(|script| source(script)).collect();
    format!(
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; script-src {}",
        sources.join(" ")
    )
}
