//! The marks in a page between which numbers of a run stand.
//!
//! ```text
//! <!-- run 4: {numbers.accuracy as percent 2} -->98.06 %<!-- end -->           within a sentence
//!
//! <!-- run 1 each numbers.matrices                                              a table: the last line is a row
//! | matrix | shape |
//! |---|---|
//! | {name} | {shape as by} |
//! -->
//!
//! | matrix | shape |
//! |---|---|
//! | A1 | 4 × 8 |
//!
//! <!-- end -->
//!
//! <!-- holds 1: numbers.good_way = no -->                                       what a sentence rests on
//! ```

/// A piece of a page.
#[derive(Debug, PartialEq)]
pub(super) enum Piece<'a> {
    /// Text that nobody fills in.
    Text(&'a str),
    /// What a run fills in.
    Run {
        line: usize,
        open: &'a str,
        head: &'a str,
        template: &'a str,
        body: &'a str,
    },
    /// What must hold of a run.
    Holds {
        line: usize,
        mark: &'a str,
        source: &'a str,
        conditions: &'a str,
    },
}

const END: &str = "<!-- end -->";

/// The pieces of a page, in order.
pub(super) fn pieces(text: &str) -> Result<Vec<Piece<'_>>, String> {
    let mut pieces = Vec::new();
    let (mut rest, mut line) = (text, 1);
    while let Some((before, open, inside, after)) = next_mark(rest) {
        line += newlines(before);
        let written = &text[..text.len() - rest.len() + before.len()];
        let paragraph = written.is_empty() || written.ends_with("\n\n") || written.ends_with("-->\n");
        let begins_line = written.is_empty() || written.ends_with('\n');
        if begins_line && !paragraph || begins_line && inside.starts_with("run ") && !open.contains('\n') {
            return Err(format!(
                "line {line}: a comment at the beginning of a line ends the paragraph for Markdown; put it behind a word, or a `holds` \
                 and a block of several lines behind an empty line"
            ));
        }
        if !before.is_empty() {
            pieces.push(Piece::Text(before));
        }
        if let Some(holds) = inside.strip_prefix("holds ") {
            let (source, conditions) = holds
                .split_once(':')
                .ok_or_else(|| format!("line {line}: a `holds` needs a colon behind its run"))?;
            pieces.push(Piece::Holds {
                line,
                mark: open,
                source: source.trim(),
                conditions,
            });
            line += newlines(open);
            rest = after;
            continue;
        }
        let run = inside.strip_prefix("run ").unwrap_or(inside);
        let divided = if run.contains('\n') {
            run.split_once('\n')
        } else {
            run.split_once(':')
        };
        let (head, template) =
            divided.ok_or_else(|| format!("line {line}: a `run` needs a colon, or a line break, behind its run"))?;
        let end = after
            .find(END)
            .ok_or_else(|| format!("line {line}: this `run` has no `{END}`"))?;
        let (body, after) = (&after[..end], &after[end + END.len()..]);
        if next_mark(body).is_some() {
            return Err(format!("line {line}: this `run` has another one before its `{END}`"));
        }
        pieces.push(Piece::Run {
            line,
            open,
            head: head.trim().trim_end_matches(':'),
            template: template.trim(),
            body,
        });
        line += newlines(open) + newlines(body);
        rest = after;
    }
    if rest.contains(END) {
        return Err(format!("an `{END}` behind line {line} ends nothing"));
    }
    pieces.push(Piece::Text(rest));
    Ok(pieces)
}

fn newlines(text: &str) -> usize {
    text.matches('\n').count()
}

/// The text before the next mark, the mark, what is in it, and the text behind it.
fn next_mark(text: &str) -> Option<(&str, &str, &str, &str)> {
    let start = ["<!-- run ", "<!-- holds "]
        .iter()
        .filter_map(|open| text.find(open))
        .min()?;
    let length = text[start..].find("-->")? + "-->".len();
    let mark = &text[start..start + length];
    let inside = mark.strip_prefix("<!-- ")?.strip_suffix("-->")?.trim_end();
    Some((&text[..start], mark, inside, &text[start + length..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_falls_into_pieces() {
        let text = "\n\n<!-- holds 1: x > 2 -->b <!-- run 2: {y} -->7<!-- end --> c";
        let found = pieces(text).unwrap();
        assert_eq!(found.len(), 5);
        assert_eq!(
            found[3],
            Piece::Run {
                line: 3,
                open: "<!-- run 2: {y} -->",
                head: "2",
                template: "{y}",
                body: "7"
            }
        );
        assert!(matches!(
            found[1],
            Piece::Holds {
                line: 3,
                source: "1",
                conditions: " x > 2",
                ..
            }
        ));
    }

    #[test]
    fn a_table_has_its_template_in_the_mark() {
        let text = "<!-- run 1 each numbers.list\n| a |\n|---|\n| {a} |\n-->\n\nold\n\n<!-- end -->\n";
        let found = pieces(text).unwrap();
        let Piece::Run {
            head, template, body, ..
        } = found[0]
        else {
            panic!("{found:?}")
        };
        assert_eq!(
            (head, template, body),
            ("1 each numbers.list", "| a |\n|---|\n| {a} |", "\n\nold\n\n")
        );
    }

    #[test]
    fn marks_that_do_not_fit_are_named_with_their_line() {
        assert!(pieces("\na <!-- run 1: {x} -->").unwrap_err().contains("line 2"));
        assert!(
            pieces("a <!-- run 1: {x} --><!-- run 1: {x} --> <!-- end -->")
                .unwrap_err()
                .contains("another one")
        );
        assert!(
            pieces("a\n<!-- holds 1: x = 2 -->")
                .unwrap_err()
                .contains("ends the paragraph")
        );
        assert!(
            pieces("a\n\n<!-- run 1: {x} -->2<!-- end -->")
                .unwrap_err()
                .contains("ends the paragraph")
        );
        assert!(pieces("x <!-- end -->").unwrap_err().contains("ends nothing"));
        assert!(pieces("<!-- holds 1 -->").unwrap_err().contains("colon"));
    }
}
