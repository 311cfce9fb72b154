//! Pages that a program serves while it works: figures that grow, a report that is loaded again when it has changed.
//!
//! Neither is the server: that is `lab`. What a page needs is a stream of [server-sent
//! events](https://html.spec.whatwg.org/multipage/server-sent-events.html) at `events`, beside it:
//!
//! | event | data (JSON) | then |
//! |---|---|---|
//! | `figure` | `{"key": …, "svg": …, "caption": …}` | the drawing takes the place of the one with the same key |
//! | `state` | `{"text": …, "share": 0 to 1}` | the line at the top, and how much is done |
//! | `end` | `{"text": …}` | the last line; the page stays as it is |
//! | `changed` | anything | a page of [`reloading`] is loaded again |

use maud::{DOCTYPE, PreEscaped, html};

use crate::interactive::source;
use crate::page::assets;

const LIVE: &str = include_str!("page/live.js");
const RELOAD: &str = include_str!("page/reload.js");

/// A page with a line that says how far the work is, and figures that come and grow.
///
/// ```
/// use report::live::LivePage;
///
/// let html = LivePage::new("Training digits_cnn").to_html();
/// assert!(html.contains("<h1>Training digits_cnn</h1>") && html.contains("connect-src 'self'"));
/// ```
#[derive(Debug, Clone)]
pub struct LivePage {
    title: String,
}

impl LivePage {
    /// A page that waits for its first event.
    #[must_use]
    pub fn new(title: impl Into<String>) -> Self {
        Self { title: title.into() }
    }

    /// The page as HTML.
    #[must_use]
    pub fn to_html(&self) -> String {
        let scripts: Vec<&str> = assets::SCRIPTS.into_iter().chain([LIVE]).collect();
        let markup = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta http-equiv="Content-Security-Policy" content={ (assets::policy(&scripts)) "; connect-src 'self'" };
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { (self.title) }
                    link rel="icon" href="data:,";
                    style { (PreEscaped(assets::style())) }
                }
                body {
                    header class="page-head" {
                        h1 { (self.title) }
                        button type="button" class="theme" aria-pressed="false" hidden { "Dark" }
                    }
                    main class="live" {
                        p class="live-state" role="status" { "Waiting for the first figures …" }
                        progress max="1" value="0" aria-label="How much is done" {}
                        noscript { p { "Figures that grow need JavaScript; the numbers are in the terminal." } }
                    }
                    @for script in &scripts { script { (PreEscaped(script)) } }
                }
            }
        };
        markup.into_string()
    }
}

/// A page of [`crate::Page`] that is loaded again at each `changed` event; any other text comes back as it is.
///
/// ```
/// use report::{Page, live};
///
/// let html = Page::new("Exercises", "").to_html()?;
/// assert!(live::reloading(&html).contains("connect-src 'self'"));
/// assert_eq!(live::reloading("no page of ours"), "no page of ours");
/// # Ok::<(), report::Error>(())
/// ```
#[must_use]
pub fn reloading(html: &str) -> String {
    // The first place is the policy in the head: what an answer says comes after it.
    let (Some(policy), Some(end)) = (html.find("; script-src "), html.rfind("</body>")) else {
        return html.to_owned();
    };
    format!(
        "{}; connect-src 'self'; script-src {} {}<script>{RELOAD}</script>{}",
        &html[..policy],
        source(RELOAD),
        &html[policy + "; script-src ".len()..end],
        &html[end..]
    )
}
