//! JSON from files, looked through before it is parsed: a value of two bytes takes some dozens in memory, a layer of forty some
//! thousands.

/// Values that a text may hold: `serde_json` takes about 100 bytes for each. The longest description of
/// `keras.applications`, that of NASNetLarge, has 107,000.
const MAX_VALUES: usize = 1 << 18;

/// Objects of a class that a text may hold: a layer takes 3.6 kB, however short its text is. NASNetLarge has
/// 5,152: a thousand layers with their initializers, policies and inputs.
const MAX_OBJECTS: usize = 12_000;

/// Says why a text takes too much memory, if it does.
pub(crate) fn check(text: &str) -> Result<(), String> {
    // Marks within strings are counted, too: a limit need not be exact.
    let marks = text.bytes().filter(|byte| matches!(byte, b',' | b':' | b'[' | b'{'));
    let values = marks.count();
    if values > MAX_VALUES {
        return Err(format!(
            "it holds about {values} values of JSON; at most {MAX_VALUES} are read"
        ));
    }
    let objects = text.matches("\"class_name\"").count();
    if objects > MAX_OBJECTS {
        return Err(format!(
            "it holds {objects} objects with a class; at most {MAX_OBJECTS} are read"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_refused_before_they_are_parsed() {
        assert!(check(&format!("[{}0]", "0,".repeat(MAX_VALUES))).is_err());
        assert_eq!(check(&format!("[{}0]", "0,".repeat(MAX_VALUES / 2))), Ok(()));
        let layers = |count| format!("[{}]", vec![r#"{"class_name":"ReLU"}"#; count].join(","));
        assert!(check(&layers(MAX_OBJECTS + 1)).is_err_and(|reason| reason.contains("12001 objects")));
        assert_eq!(check(&layers(MAX_OBJECTS)), Ok(()));
    }
}
