//! Stands in for the fuzz target `fuzz/fuzz_targets/keras_json.rs` where `cargo fuzz` is not installed: configurations with
//! random mutations of bytes and of values are a model or an error, never a panic, and what reads also writes.

use nn_theory::{ModelSpec, SummaryOptions};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::{fs, path::Path, sync::LazyLock};

/// Configurations of at most 20 KB, so that many mutations of each can be tried.
static SEEDS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut paths: Vec<_> = ["summary", "generated"]
        .iter()
        .filter_map(|folder| fs::read_dir(golden.join(folder)).ok())
        .flat_map(|entries| entries.filter_map(|entry| Some(entry.ok()?.path())))
        .filter(|path| path.to_string_lossy().ends_with(".config.json"))
        .collect();
    paths.sort();
    let texts = paths.iter().filter_map(|path| fs::read_to_string(path).ok());
    texts.filter(|text| text.len() < 20_000).collect()
});

/// Mutations of each kind; `PROPTEST_CASES=1000000` makes a long hunt of it.
fn cases() -> u32 {
    let given = std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok());
    given.unwrap_or(384)
}

/// What the fuzz target asserts.
fn check(text: &str) -> Result<(), TestCaseError> {
    let Ok(model) = ModelSpec::from_keras_json(text) else {
        return Ok(());
    };
    let summary = model.summary(&SummaryOptions::lecture());
    let _ = (
        model.explain(),
        model.weights(),
        model.optimizer_size(),
        model.multiply_adds(),
    );
    let written = model.to_keras_json();
    let again = ModelSpec::from_keras_json(&written);
    let again = again.map_err(|error| TestCaseError::fail(format!("{error}\n{written}")))?;
    prop_assert_eq!(summary, again.summary(&SummaryOptions::lecture()));
    Ok(())
}

/// The paths of all values below one.
fn paths(value: &Value, path: String, found: &mut Vec<String>) {
    match value {
        Value::Array(items) => (0..)
            .zip(items)
            .for_each(|(i, item)| paths(item, format!("{path}/{i}"), found)),
        Value::Object(object) => object.iter().for_each(|(key, item)| {
            let key = key.replace('~', "~0").replace('/', "~1");
            paths(item, format!("{path}/{key}"), found);
        }),
        _ => {}
    }
    found.push(path);
}

fn strange() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(|n| json!(n)),
        (0u64..9).prop_map(|n| json!(n)),
        prop::sample::select(vec![1u64 << 31, 1 << 32, 1 << 53, 1 << 63, u64::MAX]).prop_map(|n| json!(n)),
        any::<f64>().prop_map(|n| json!(n)),
        any::<bool>().prop_map(|b| json!(b)),
        prop::collection::vec(prop::option::of(0u64..5), 0..6).prop_map(|list| json!(list)),
        prop::collection::vec((-2i64..5, -2i64..5), 0..4).prop_map(|list| json!(list)),
        "[a-z_>/\\[\\]\\\\]{0,12}".prop_map(|text| json!(text)),
        Just(
            json!({ "class_name": "__slice__", "config": { "start": -1, "stop": null, "step": -9223372036854775808i64 } })
        ),
        Just(
            json!({ "class_name": "__keras_tensor__", "config": { "shape": [null, 1], "keras_history": ["x", 0, 3] } })
        ),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    #[test]
    fn values_in_wrong_places(seed in any::<prop::sample::Index>(), changes in prop::collection::vec((any::<prop::sample::Index>(), strange()), 1..4)) {
        let text = &SEEDS[seed.index(SEEDS.len())];
        let mut config: Value = serde_json::from_str(text).map_err(|error| TestCaseError::fail(error.to_string()))?;
        for (at, value) in changes {
            let mut found = Vec::new();
            paths(&config, String::new(), &mut found);
            if let Some(place) = config.pointer_mut(&found[at.index(found.len())]) {
                *place = value;
            }
        }
        check(&config.to_string())?;
    }

    #[test]
    fn values_taken_from_elsewhere(seed in any::<prop::sample::Index>(), donor in any::<prop::sample::Index>(), from in any::<prop::sample::Index>(), to in any::<prop::sample::Index>()) {
        let parsed = |index: prop::sample::Index| serde_json::from_str::<Value>(&SEEDS[index.index(SEEDS.len())]);
        let (Ok(mut config), Ok(donor)) = (parsed(seed), parsed(donor)) else { return Ok(()) };
        let (mut places, mut sources) = (Vec::new(), Vec::new());
        paths(&config, String::new(), &mut places);
        paths(&donor, String::new(), &mut sources);
        let value = donor.pointer(&sources[from.index(sources.len())]).cloned().unwrap_or_default();
        if let Some(place) = config.pointer_mut(&places[to.index(places.len())]) {
            *place = value;
        }
        check(&config.to_string())?;
    }

    #[test]
    fn bytes_changed_cut_and_doubled(seed in any::<prop::sample::Index>(), edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0usize..3), 1..6)) {
        let mut bytes = SEEDS[seed.index(SEEDS.len())].clone().into_bytes();
        for (at, byte, kind) in edits {
            let at = at.index(bytes.len().max(1));
            match kind {
                0 if !bytes.is_empty() => bytes[at] = byte,
                1 => bytes.truncate(at),
                _ => bytes.insert(at, byte),
            }
        }
        check(&String::from_utf8_lossy(&bytes))?;
    }
}
