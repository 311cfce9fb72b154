//! Answers in both forms: what must appear, how wide it may be, what must never appear.

use proptest::prelude::*;
use report::plot::LineChart;
use report::{Align, Answer, Block, Error, Interactive, Page, Table, inline, latex, wrap};

fn full() -> Answer {
    let mut chart = LineChart::new("Loss <&>");
    chart
        .x_axis("epoch")
        .series("a & b", [(1.0, 2.0), (2.0, 1.0)])
        .series("c", [(1.0, 1.0), (2.0, 3.0)]);
    let mut answer = Answer::new(3, "Optimizers & <friends>");
    answer
        .headline("The *best* is `adam`: $\\alpha < 1$")
        .heading("Heading")
        .subheading("Smaller")
        .text("A long paragraph with `code()`, *emphasis*, **strong** and $\\frac{\\partial L}{\\partial z_i}$ that has to be wrapped; 日本語の文字は二倍の幅です。 <script>alert(1)</script>")
        .formula(r"p_i = \frac{e^{z_i}}{\sum_j e^{z_j}}", "pᵢ = exp(zᵢ) / ∑ⱼ exp(zⱼ)")
        .table(Table::new("T & t").header(["name", "a rather long column name", "n"]).row(["one <two>", "some words that need room", "1,234"]).note("A note."))
        .figure(chart.figure("A *caption*."))
        .code("a  b\n    <tag> & more")
        .note("note")
        .warning("warning")
        .result("result")
        .list(["first", "second"])
        .steps(["one", "two"])
        .details("More", [Block::text("inside"), Block::details("Deeper", [Block::heading("again")])])
        .number("accuracy", 0.5)
        .setting("seed", 1)
        .timing("seconds", 1.5);
    answer
}

#[track_caller]
fn check_width(text: &str, width: usize) {
    for line in text.lines() {
        assert!(wrap::width(line) <= width, "{} > {width}: {line}", wrap::width(line));
    }
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    for width in (20..=130).step_by(5) {
        check_width(&full().to_terminal(width, false), width);
    }
    check_width(&full().to_terminal(0, false), 20);
}

#[test]
fn colours_only_if_asked() {
    assert!(!full().to_terminal(80, false).contains('\u{1b}'));
    assert!(full().to_terminal(80, true).contains("\u{1b}[1;36m"));
    let bare = full().to_terminal(80, false);
    let mut colored = full().to_terminal(80, true);
    for code in ["1", "2", "0", "1;36", "1;32", "1;31", "1;33"] {
        colored = colored.replace(&format!("\u{1b}[{code}m"), "");
    }
    assert_eq!(colored, bare);
}

#[test]
fn the_terminal_says_everything() {
    let text = full().to_terminal(100, false);
    for part in [
        "Exercise 3: Optimizers & <friends>",
        "    pᵢ = exp(zᵢ)",
        "∂L/∂zᵢ",
        "│ 1,234 │",
        "● a & b",
        "Caution: warning",
        "1. one",
        "  • first",
        "again",
        "  a  b",
    ] {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
}

/// A digit and U+FE0F are an emoji, twice as wide as the digit alone.
#[test]
fn characters_that_widen_others_are_counted() {
    assert_eq!(wrap::pieces("ab0\u{fe0f}c", 3), ["ab", "0\u{fe0f}c"]);
    assert_eq!(wrap::pieces("0\u{fe0f}", 1), ["0"]);
    assert_eq!(wrap::pieces("日本", 3), ["日", "本"]);
    assert_eq!(wrap::pieces("日", 1), ["?"]);
    for width in 1..6 {
        for piece in wrap::pieces("a0\u{fe0f}0\u{fe0f}日b1\u{fe0f}", width) {
            assert!(wrap::width(&piece) <= width, "{piece:?} in {width}");
        }
    }
}

#[test]
fn narrow_tables_become_records() {
    let mut table = Table::new("");
    table
        .header(["a", "b", "c", "d", "e", "f"])
        .row(["11111", "22222", "33333", "44444", "55555", "66666"]);
    let text = report::terminal::table(&table, 20, false);
    check_width(&text, 20);
    assert!(text.contains("c: 33333") && !text.contains('┌'));
}

#[test]
fn numbers_stand_at_the_right() {
    let mut table = Table::new("");
    table
        .header(["name", "count", "share"])
        .row(["x", "1,024", "95.1 ± 0.6 %"])
        .row(["2 y", "7", "–"]);
    assert_eq!(
        [0, 1, 2].map(|column| table.alignment(column)),
        [Align::Left, Align::Right, Align::Right]
    );
    assert_eq!(table.align([Align::Center]).alignment(0), Align::Center);
}

#[test]
fn the_page_is_sound() {
    let mut page = Page::new("Title <1> & more", "sub");
    page.answer(&full())
        .answer(&full())
        .answer(&Answer::failed(4, "Saving", "cannot write <a> & b"));
    let html = page.to_html().expect("every formula converts");
    let tree = parse_html(&html);
    let mut ids = std::collections::BTreeSet::new();
    for node in tree.descendants() {
        if let Some(id) = node.attribute("id") {
            assert!(ids.insert(id.to_owned()), "id {id} stands twice");
        }
        for attribute in node.attributes() {
            assert!(!attribute.name().starts_with("on"), "an event handler");
            if matches!(attribute.name(), "href" | "src") {
                let value = attribute.value();
                assert!(
                    value.starts_with('#') || value.starts_with("data:"),
                    "{value} is a request"
                );
            }
        }
    }
    for node in tree.descendants() {
        if let Some(target) = node.attribute("href").and_then(|href| href.strip_prefix('#')) {
            assert!(ids.contains(target), "a link to #{target}, which is not there");
        }
    }
    assert!(!html.contains("@dark"), "the dark colours are put into the style");
    let without_namespaces = html.replace("xmlns=\"http://www.w3.org/2000/svg\"", "");
    assert!(!without_namespaces.contains("http:") && !without_namespaces.contains("https:"));
    assert!(!without_namespaces.contains("url(") && !without_namespaces.contains("@import"));
    for part in [
        "lang=\"en\"",
        "default-src 'none'",
        "cannot write &lt;a&gt; &amp; b",
        "✗ failed",
        "exercise-3-2",
        "&lt;script&gt;",
        "<math display=\"block\">",
        "1.5 s",
    ] {
        assert!(html.contains(part), "no {part:?}");
    }
}

/// What the scripts make tabs of is complete without them: links to sections, of which none is hidden.
#[test]
fn the_page_is_complete_without_its_scripts() {
    let mut page = Page::new("t", "");
    page.answer(&full()).answer(&Answer::failed(4, "Saving", "no"));
    let html = page.to_html().expect("a page");
    let tree = parse_html(&html);
    let list = tree
        .descendants()
        .find(|node| node.attribute("class") == Some("tabs"))
        .expect("a list of sections");
    let links: Vec<_> = list.descendants().filter_map(|node| node.attribute("href")).collect();
    assert_eq!(links, ["#overview", "#exercise-3", "#exercise-4"]);
    let main = tree
        .descendants()
        .find(|node| node.has_tag_name("main"))
        .expect("a main part");
    let sections: Vec<_> = main.children().filter_map(|node| node.attribute("id")).collect();
    assert_eq!(sections, ["overview", "exercise-3", "exercise-4"]);
    assert_eq!(
        html.matches(" hidden>").count(),
        1,
        "the switch of the colours alone waits for its script"
    );
    // The start page has a card an answer, with what it says and a link to it; the parts of an answer are linked at its top.
    let cards: Vec<_> = main
        .descendants()
        .filter(|node| node.attribute("class") == Some("card"))
        .collect();
    assert_eq!(cards.len(), 2);
    assert!(
        cards[0]
            .descendants()
            .any(|node| node.attribute("href") == Some("#exercise-3"))
    );
    assert!(
        cards[0].descendants().any(|node| node.has_tag_name("math"))
            && cards[0].descendants().any(|node| node.tag_name().name() == "svg")
    );
    let mut parts = Answer::new(1, "t");
    parts
        .heading("One")
        .details("folded", [Block::heading("Two")])
        .heading("Three *3*");
    let html = Page::new("t", "").answer(&parts).to_html().expect("a page");
    let tree = parse_html(&html);
    let list = tree
        .descendants()
        .find(|node| node.attribute("class") == Some("parts"))
        .expect("a list of parts");
    let linked: Vec<_> = list.descendants().filter_map(|node| node.attribute("href")).collect();
    assert_eq!(
        linked,
        ["#exercise-1-part-1", "#exercise-1-part-3"],
        "what is folded away is left out"
    );
}

/// The page as XML: what maud writes is, but for the document type, the void elements and the bare `<` of the style.
fn parse_html(html: &str) -> roxmltree::Document<'_> {
    let body = html.strip_prefix("<!DOCTYPE html>").expect("a document type");
    let mut text = body.replace(" hidden>", ">");
    // What a script says is no markup.
    while let Some(start) = text.find("<script>") {
        let end = start + text[start..].find("</script>").expect("a script ends");
        text.replace_range(start..end + "</script>".len(), "");
    }
    for void in ["<meta", "<link"] {
        let mut at = 0;
        while let Some(found) = text[at..].find(void) {
            let start = at + found;
            let end = start + text[start..].find('>').expect("a tag ends");
            text.insert(end, '/');
            at = end;
        }
    }
    roxmltree::Document::parse(Box::leak(text.into_boxed_str())).unwrap_or_else(|error| panic!("{error}"))
}

/// What the page's `script-src` lists.
fn allowed(html: &str) -> Vec<&str> {
    let policy = html
        .split("content=\"default-src 'none'")
        .nth(1)
        .and_then(|rest| rest.split('"').next());
    let sources = policy.and_then(|policy| policy.split("script-src ").nth(1));
    sources.expect("a script-src").split(' ').collect()
}

fn touchable(script: &str) -> Interactive {
    Interactive {
        markup: "<p class=\"live\">0</p>".into(),
        style: ".live { color: red; }".into(),
        script: script.into(),
        caption: "Move $x$.".into(),
    }
}

#[test]
fn only_the_scripts_of_interactive_figures_may_run() {
    let mut answer = Answer::new(6, "t");
    answer.interactive(touchable("let a = 1 < 2 && 3 > 2;")).details(
        "more",
        [Block::Interactive {
            interactive: touchable("let a = 1 < 2 && 3 > 2;"),
        }],
    );
    let mut page = Page::new("t", "");
    let html = page.answer(&answer).answer(&answer).to_html().expect("a page");
    // The script as it was written, once; so is the style; the figure itself is there four times.
    assert_eq!(html.matches("<script>let a = 1 < 2 && 3 > 2;</script>").count(), 1);
    assert_eq!(html.matches(".live { color: red; }").count(), 1);
    assert_eq!(html.matches("<p class=\"live\">").count(), 4);
    // openssl dgst -sha256 -binary | base64
    assert!(
        allowed(&html).contains(&"'sha256-2KrQeszhIFwrTnT8fJzCI9y4MWrFu/QYZmecgAwiFkk='"),
        "{}",
        &html[..900]
    );
    // Every script of the page is allowed, and nothing else is.
    assert_eq!(allowed(&html).len(), html.matches("<script>").count());
    assert_eq!(html.matches("<script").count(), html.matches("<script>").count());
    assert!(allowed(&html).iter().all(|source| source.starts_with("'sha256-")));
    assert!(
        answer
            .to_terminal(60, false)
            .contains("Move x. (to be moved in the report)")
    );
    let json = serde_json::to_string(&answer).expect("serialises");
    assert_eq!(serde_json::from_str::<Answer>(&json).expect("reads"), answer);

    let mut other = Answer::new(6, "t");
    other.interactive(touchable("'</ScRiPt>'"));
    let error = Page::new("t", "")
        .answer(&other)
        .to_html()
        .expect_err("it would end early");
    assert!(error.to_string().contains("</script"), "{error}");
}

#[test]
fn a_wrong_formula_is_named() {
    let mut answer = Answer::new(6, "t");
    answer.formula(r"\nosuchcommand{x}", "x");
    let error = Page::new("t", "")
        .answer(&answer)
        .to_html()
        .expect_err("the command is not known");
    let Error::Latex { place, latex, .. } = &error else {
        panic!("{error}")
    };
    assert!(place.contains("exercise 6") && latex.contains("nosuchcommand"));
    let mut answer = Answer::new(6, "t");
    answer.text("inline $\\frac{1}{$ here");
    assert!(Page::new("t", "").answer(&answer).to_html().is_err());
}

#[test]
fn answers_survive_json() {
    let answer = full();
    let json = serde_json::to_string(&answer).expect("serialises");
    assert_eq!(serde_json::from_str::<Answer>(&json).expect("reads"), answer);
    assert_eq!(answer.seconds(), Some(1.5));
    assert_eq!(
        Answer::new(1, "t").number("bad", f64::NAN).numbers["bad"],
        serde_json::Value::Null
    );
}

#[test]
fn stars_and_dollars_that_mean_nothing_stay() {
    for text in [
        "3 * 4 * 5",
        "a*b*c",
        "$5 and $6",
        "2 ** 3",
        "* alone",
        "`open",
        "$ x $",
        "costs 5$",
        "**",
        "a\\b",
    ] {
        assert_eq!(inline::plain(text), text);
    }
    assert_eq!(inline::plain("*a* **b** `*c*` \\*d\\*"), "a b *c* *d*");
}

#[test]
fn latex_reads_in_characters() {
    for (source, expected) in [
        (r"\frac{\partial L}{\partial B_{ij}}", "∂L/∂Bᵢⱼ"),
        (r"v = \tanh(A x)", "v = tanh(A x)"),
        (r"\sum_{j=1}^{n} y_j \le 1", "∑ⱼ₌₁ⁿ yⱼ ≤ 1"),
        (r"(1024 + 1) \cdot 2", "(1024 + 1) · 2"),
        (r"x \in \mathbb{R}^{8}", "x ∈ R⁸"),
    ] {
        assert_eq!(latex::to_unicode(source), expected, "{source}");
    }
    let _ = latex::to_unicode(&"{".repeat(100_000));
    let _ = latex::to_unicode(&"\\frac".repeat(100_000));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn wrapping_keeps_the_words(text in "\\PC{0,200}", width in 1usize..60) {
        let lines = wrap::wrap(&text, width);
        for line in &lines {
            prop_assert!(wrap::width(line) <= width);
        }
        if width >= 2 {
            let squeeze = |text: &str| text.chars().filter(|c| !c.is_whitespace() && !c.is_control()).collect::<String>();
            let kept: String = lines.iter().map(|line| squeeze(line)).collect();
            prop_assert_eq!(kept, squeeze(&text));
        }
    }

    #[test]
    fn escaped_text_appears_as_it_is(text in "[ a-z0-9`*$\\\\]{0,60}") {
        prop_assert_eq!(inline::plain(&inline::escape(&text)), text);
    }

    #[test]
    fn any_text_renders(text in "\\PC{0,120}", cell in "[\\PC\n]{0,40}", width in 20usize..100) {
        let mut answer = Answer::new(1, text.clone());
        answer.text(text.clone()).code(text.clone()).note(cell.clone()).list([cell.clone()]);
        answer.table(Table::new(&cell).header([&cell, &text]).row([&text, &cell, &cell]));
        for line in answer.to_terminal(width, false).lines() {
            prop_assert!(wrap::width(line) <= width);
        }
    }
}
