//! The styles and scripts of a page's interactive figures, and how the browser is told which scripts may run.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use crate::{Answer, Block, Error, Interactive, Result};

/// Each style and each script of a page once.
#[derive(Debug, Default)]
pub(crate) struct Embedded<'a> {
    pub(crate) styles: Vec<&'a str>,
    pub(crate) scripts: Vec<&'a str>,
}

impl<'a> Embedded<'a> {
    /// Those of all answers, in the order of their figures.
    pub(crate) fn of(answers: &'a [Answer]) -> Result<Self> {
        let mut embedded = Self::default();
        for answer in answers {
            embedded.collect(&answer.blocks)?;
        }
        Ok(embedded)
    }

    fn collect(&mut self, blocks: &'a [Block]) -> Result<()> {
        for block in blocks {
            match block {
                Block::Interactive {
                    interactive: Interactive { style, script, .. },
                } => {
                    once(&mut self.styles, style, "style", "</style")?;
                    once(&mut self.scripts, script, "script", "</script")?;
                }
                Block::Details { blocks, .. } => self.collect(blocks)?,
                _ => {}
            }
        }
        Ok(())
    }
}

/// How `script-src` names one script: the hash of its bytes.
pub(crate) fn source(script: &str) -> String {
    format!("'sha256-{}'", STANDARD.encode(Sha256::digest(script.as_bytes())))
}

fn once<'a>(list: &mut Vec<&'a str>, text: &'a str, what: &'static str, end: &'static str) -> Result<()> {
    if text.to_ascii_lowercase().contains(end) {
        return Err(Error::Embedded { what, found: end });
    }
    if !text.is_empty() && !list.contains(&text) {
        list.push(text);
    }
    Ok(())
}
