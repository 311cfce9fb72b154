//! What can go wrong when a report is written.

use std::path::PathBuf;

/// An error of this crate; the message names the fragment or the file and a way out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A LaTeX fragment that cannot be turned into MathML.
    #[error(
        "{place}: the LaTeX fragment `{latex}` cannot be converted ({reason}); correct the fragment, or write `\\$` for a dollar sign"
    )]
    Latex {
        /// Where it stands, such as `exercise 6, formula`.
        place: String,
        /// The fragment.
        latex: String,
        /// What the converter said.
        reason: String,
    },
    /// A script or style that would end its element early.
    #[error(
        "an interactive figure's {what} contains `{found}`, which ends it on a page; write it otherwise, such as `<\\/script`"
    )]
    Embedded {
        /// `script` or `style`.
        what: &'static str,
        /// What was found.
        found: &'static str,
    },
    /// A picture that is none, or a sheet that cannot be drawn.
    #[error("{problem}")]
    Picture {
        /// What is wrong and what to do.
        problem: String,
    },
    /// A file that could not be written; nothing is left under its name that was not there before.
    #[error("cannot write {}: {source}; {advice}", path.display())]
    Write {
        /// The file that was asked for.
        path: PathBuf,
        /// What to do about it.
        advice: &'static str,
        /// What the operating system said.
        source: std::io::Error,
    },
}

/// The result of everything in this crate that can fail.
pub type Result<T> = std::result::Result<T, Error>;
