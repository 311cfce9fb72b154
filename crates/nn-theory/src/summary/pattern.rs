//! The regular expressions of `layer_range`, as Python's `re.match` reads them, by sets of positions: repetitions of
//! repetitions do not backtrack.

use std::collections::BTreeSet;

/// One thing that is matched.
enum Atom {
    Any,
    Start,
    End,
    /// Ranges of characters, and whether those outside are meant.
    Set(Vec<(char, char)>, bool),
    Group(Vec<Vec<Piece>>),
}

/// An atom with the number of its repetitions.
struct Piece {
    atom: Atom,
    min: usize,
    max: usize,
}

/// A pattern: alternatives of pieces one after the other.
pub(super) struct Pattern(Vec<Vec<Piece>>);

/// Repetitions that `{m,n}` may ask for.
const MAX_REPETITIONS: usize = 1000;

/// Groups inside groups; each level repeats the one inside it at least twice.
const MAX_DEPTH: usize = 10;

const DIGITS: &[(char, char)] = &[('0', '9')];
const WORDS: &[(char, char)] = &[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z'), ('\u{80}', char::MAX)];
const BLANKS: &[(char, char)] = &[('\t', '\r'), (' ', ' ')];

struct Parser<'a> {
    rest: std::iter::Peekable<std::str::Chars<'a>>,
}

impl Parser<'_> {
    fn alternatives(&mut self, depth: usize) -> Result<Vec<Vec<Piece>>, String> {
        if depth > MAX_DEPTH {
            return Err("has too many groups inside each other".to_owned());
        }
        let mut alternatives = vec![Vec::new()];
        while let Some(&c) = self.rest.peek() {
            if c == ')' && depth > 0 {
                break;
            }
            self.rest.next();
            if c == '|' {
                alternatives.push(Vec::new());
                continue;
            }
            let atom = self.atom(c, depth)?;
            let (min, max) = self.repetitions()?;
            if let Some(pieces) = alternatives.last_mut() {
                pieces.push(Piece { atom, min, max });
            }
        }
        Ok(alternatives)
    }

    fn atom(&mut self, c: char, depth: usize) -> Result<Atom, String> {
        Ok(match c {
            '.' => Atom::Any,
            '^' => Atom::Start,
            '$' => Atom::End,
            '[' => self.set()?,
            '\\' => {
                let (ranges, negated) = self.escape()?;
                Atom::Set(ranges, negated)
            }
            '(' => {
                if self.rest.next_if_eq(&'?').is_some() && self.rest.next() != Some(':') {
                    return Err("has a group of a kind that is not supported here; use ( ) or (?: )".to_owned());
                }
                let inner = self.alternatives(depth + 1)?;
                self.rest.next_if_eq(&')').ok_or("has a group without an end")?;
                Atom::Group(inner)
            }
            '*' | '+' | '?' | ')' => return Err(format!("has a '{c}' with nothing before it")),
            c => Atom::Set(vec![(c, c)], false),
        })
    }

    /// The characters behind a backslash, and whether those outside are meant.
    fn escape(&mut self) -> Result<(Vec<(char, char)>, bool), String> {
        Ok(match self.rest.next().ok_or("ends in a backslash")? {
            'd' => (DIGITS.to_vec(), false),
            'D' => (DIGITS.to_vec(), true),
            'w' => (WORDS.to_vec(), false),
            'W' => (WORDS.to_vec(), true),
            's' => (BLANKS.to_vec(), false),
            'S' => (BLANKS.to_vec(), true),
            'n' => (vec![('\n', '\n')], false),
            't' => (vec![('\t', '\t')], false),
            c if c.is_ascii_alphanumeric() => return Err(format!("has '\\{c}', which is not supported here")),
            c => (vec![(c, c)], false),
        })
    }

    fn set(&mut self) -> Result<Atom, String> {
        let negated = self.rest.next_if_eq(&'^').is_some();
        let mut ranges = Vec::new();
        let mut first = true;
        loop {
            let c = self.rest.next().ok_or("has a set without an end")?;
            match c {
                ']' if !first => return Ok(Atom::Set(ranges, negated)),
                '\\' => match self.escape()? {
                    (more, false) => ranges.extend(more),
                    (_, true) => return Err("has a negated class inside a set, which is not supported here".to_owned()),
                },
                low => {
                    ranges.push((low, low));
                    // A minus before the end of the set stands for itself.
                    let mut ahead = self.rest.clone();
                    if ahead.next() == Some('-') && ahead.peek().is_some_and(|&end| end != ']') {
                        self.rest.next();
                        let high = self.rest.next().unwrap_or(low);
                        if let Some(range) = ranges.last_mut() {
                            range.1 = high;
                        }
                    }
                }
            }
            first = false;
        }
    }

    fn repetitions(&mut self) -> Result<(usize, usize), String> {
        let found = match self.rest.peek() {
            Some('*') => (0, usize::MAX),
            Some('+') => (1, usize::MAX),
            Some('?') => (0, 1),
            Some('{') => {
                let text: String = self.rest.clone().skip(1).take_while(|&c| c != '}').take(12).collect();
                let number = |text: &str| text.parse::<usize>().ok().filter(|&n| n <= MAX_REPETITIONS);
                let wrong = || format!("has the repetition '{{{text}}}'; at most {MAX_REPETITIONS} are supported");
                let bounds = match text.split_once(',') {
                    None => number(&text).map(|n| (n, n)),
                    Some((min, "")) => number(min).map(|min| (min, usize::MAX)),
                    Some(("", max)) => number(max).map(|max| (0, max)),
                    Some((min, max)) => number(min).zip(number(max)),
                };
                let bounds = bounds.ok_or_else(wrong)?;
                self.rest.by_ref().take(text.chars().count() + 1).for_each(drop);
                bounds
            }
            _ => return Ok((1, 1)),
        };
        self.rest.next();
        // Whether as much or as little as possible is taken makes no difference to whether it matches.
        self.rest.next_if_eq(&'?');
        Ok(found)
    }
}

impl Pattern {
    /// Reads a pattern; an error is the end of a sentence about it.
    pub(super) fn new(text: &str) -> Result<Self, String> {
        let mut parser = Parser {
            rest: text.chars().peekable(),
        };
        parser.alternatives(0).map(Self)
    }

    /// Whether the beginning of a text matches.
    pub(super) fn matches(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().collect();
        !behind_alternatives(&self.0, &text, &BTreeSet::from([0])).is_empty()
    }
}

/// The places behind a match that begins at one of `starts`.
fn behind_alternatives(alternatives: &[Vec<Piece>], text: &[char], starts: &BTreeSet<usize>) -> BTreeSet<usize> {
    let mut ends = BTreeSet::new();
    for pieces in alternatives {
        let mut places = starts.clone();
        for piece in pieces {
            places = behind_piece(piece, text, &places);
        }
        ends.extend(places);
    }
    ends
}

fn behind_piece(piece: &Piece, text: &[char], starts: &BTreeSet<usize>) -> BTreeSet<usize> {
    let mut places = starts.clone();
    for _ in 0..piece.min {
        let behind = behind_atom(&piece.atom, text, &places);
        // Places only move forwards: what stays the same once stays so.
        if behind == places {
            break;
        }
        places = behind;
    }
    let mut ends = places.clone();
    for _ in piece.min..piece.max {
        places = behind_atom(&piece.atom, text, &places);
        let before = ends.len();
        ends.extend(&places);
        if ends.len() == before {
            break;
        }
    }
    ends
}

fn behind_atom(atom: &Atom, text: &[char], starts: &BTreeSet<usize>) -> BTreeSet<usize> {
    let step = |fits: &dyn Fn(char) -> bool| {
        let fitting = starts.iter().filter(|&&at| text.get(at).is_some_and(|&c| fits(c)));
        fitting.map(|at| at + 1).collect()
    };
    match atom {
        Atom::Any => step(&|c| c != '\n'),
        Atom::Set(ranges, negated) => {
            step(&|c| ranges.iter().any(|&(low, high)| (low..=high).contains(&c)) != *negated)
        }
        Atom::Start => starts.iter().copied().filter(|&at| at == 0).collect(),
        Atom::End => starts.iter().copied().filter(|&at| at == text.len()).collect(),
        Atom::Group(inner) => behind_alternatives(inner, text, starts),
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[track_caller]
    fn check(pattern: &str, name: &str, expected: bool) {
        let found = Pattern::new(pattern).map(|pattern| pattern.matches(name));
        assert_eq!(found, Ok(expected), "{pattern} {name}");
    }

    #[test]
    fn names_match_as_in_python() {
        check("conv", "conv2d_1", true);
        check("onv", "conv2d_1", false);
        check("conv2d_\\d+$", "conv2d_17", true);
        check("conv2d_\\d+$", "conv2d_17b", false);
        check("(conv|dense)_[1-3]?", "dense_", true);
        check(".*_2$", "block_2", true);
        check(".*_2$", "block_21", false);
        check("^a{2,3}b", "aaab", true);
        check("^a{2,3}b", "aaaab", false);
        check("[^a-c]x", "dx", true);
        check("[]a-]+$", "a-]", true);
        check("(?:ab)*c", "ababc", true);
        check("in\\[0\\]", "in[0]", true);
        check("ge.cht|größe", "größe_1", true);
        check("", "anything", true);
        check("(a*)*(a*)*(a*)*b", &"a".repeat(300), false);
        check("((((a?){1000}){1000}){1000}){1000}b", "aaa", false);
    }

    #[test]
    fn what_is_not_understood_says_so() {
        for (pattern, part) in [
            ("(?=a)", "group"),
            ("(a", "end"),
            ("[a", "end"),
            ("*a", "nothing"),
            ("\\b", "supported"),
            ("a{9999999}", "repetition"),
            ("a\\", "backslash"),
        ] {
            let problem = Pattern::new(pattern).err().unwrap_or_default();
            assert!(problem.contains(part), "{pattern}: {problem}");
        }
        assert!(Pattern::new(&"(".repeat(10_000)).is_err());
    }
}
