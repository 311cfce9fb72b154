//! «Did you mean ...?»

/// The candidate with the fewest edits to `word`, if that is near enough to be a slip.
pub(crate) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let word: String = word.to_lowercase().chars().take(64).collect();
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&word, &candidate.to_lowercase()), candidate))
        .min_by_key(|(edits, _)| *edits)
        .filter(|(edits, candidate)| *edits <= 1 + candidate.len().max(word.len()) / 3)
        .map(|(_, candidate)| candidate.to_owned())
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
