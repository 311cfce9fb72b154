//! «Did you mean ...?»

/// The candidate with the fewest edits to `word`, if that is near enough to be a slip.
pub(crate) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let word: Vec<char> = word.to_lowercase().chars().take(64).collect();
    candidates
        .into_iter()
        .map(|candidate| {
            (
                edits(&word, &candidate.to_lowercase().chars().collect::<Vec<_>>()),
                candidate,
            )
        })
        .min_by_key(|(edits, _)| *edits)
        .filter(|(edits, candidate)| *edits <= 1 + candidate.len().max(word.len()) / 3)
        .map(|(_, candidate)| candidate.to_owned())
}

/// The Levenshtein distance.
fn edits(a: &[char], b: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn slips_are_recognised_and_strangers_are_not() {
        let names = ["adam", "adamw", "sgd", "rmsprop"];
        assert_eq!(nearest("adma", names).as_deref(), Some("adam"));
        assert_eq!(nearest("RMSporp", names).as_deref(), Some("rmsprop"));
        assert_eq!(nearest("gradient descent", names), None);
        assert_eq!(nearest("", ["abcdef"]), None);
    }
}
