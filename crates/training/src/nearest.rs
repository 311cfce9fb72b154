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

/// The part of a message that says so, or nothing.
pub(crate) fn did_you_mean(suggestion: &Option<String>) -> String {
    suggestion
        .as_ref()
        .map_or_else(String::new, |name| format!("; did you mean '{name}'?"))
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn slips_are_recognised_and_strangers_are_not() {
        let names = ["mean_squared_error", "huber", "mse"];
        assert_eq!(
            nearest("mean_sqaured_error", names).as_deref(),
            Some("mean_squared_error")
        );
        assert_eq!(nearest("Hubert", names).as_deref(), Some("huber"));
        assert_eq!(nearest("likelihood", names), None);
    }
}
