//! What was probably meant by a name that is not known.

/// `; did you mean 'NAME'?`, or nothing where no known name is near.
///
/// Near is a name of which at most a third of the letters differ, or one that begins with the word.
pub(crate) fn hint<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, known).map_or_else(String::new, |name| format!("; did you mean '{name}'?"))
}

fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    let letters = word.chars().count();
    let near = known.into_iter().filter_map(|name| {
        let lower = name.to_lowercase();
        let edits = strsim::damerau_levenshtein(&word, &lower);
        let begins = letters >= 3 && lower.starts_with(&word);
        let allowed = 1.max(letters.min(lower.chars().count()) / 3);
        // A longer name that begins with the word stands behind all that differ by few letters.
        let rank = if edits <= allowed {
            Some(edits)
        } else {
            begins.then_some(letters + edits)
        };
        rank.map(|rank| (rank, name))
    });
    near.min_by_key(|&(rank, _)| rank).map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(word: &str, expected: Option<&str>) {
        let known = ["cosine", "linear", "digits_cnn", "val_loss", "h5", "keras"];
        assert_eq!(nearest(word, known), expected);
    }

    #[test]
    fn few_letters_or_the_rest_may_be_missing() {
        check("cosin", Some("cosine"));
        check("COSINE", Some("cosine"));
        check("lniear", Some("linear"));
        check("digit", Some("digits_cnn"));
        check("keas", Some("keras"));
        check("val_los", Some("val_loss"));
    }

    #[test]
    fn what_is_far_is_not_offered() {
        check("step", None);
        check("x", None);
        check("", None);
        assert_eq!(hint("step", ["cosine"]), "");
        assert_eq!(hint("cosin", ["cosine"]), "; did you mean 'cosine'?");
    }
}
