//! The text form: what it reads, what it prints, and how it says what is wrong.

use augmentation::pipeline::{Action, Step};
use augmentation::{CATALOGUE, Factor, FlipMode, Pipeline, RandomFlip, RandomRotation, Transform, ValueRange};
use proptest::prelude::*;
use serde_json::{Value, json};

#[track_caller]
fn check(text: &str, canonical: &str) {
    let pipeline = Pipeline::parse(text).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(pipeline.to_string(), canonical);
    assert_eq!(Pipeline::parse(canonical).unwrap_or_else(|e| panic!("{e}")), pipeline);
    assert_eq!(Pipeline::from_json(&pipeline.to_json()).unwrap(), pipeline);
}

#[test]
fn texts_and_their_canonical_form() {
    check("", "");
    check("  \n", "");
    check(
        "flip(horizontal) | rotate(factor=0.1) | contrast(0.2) @ 0.5",
        "flip(horizontal) | rotate(0.1) | contrast(0.2) @ 0.5",
    );
    check("flip", "flip()");
    check("RandomFlip(mode=vertical)", "flip(vertical)");
    check("random_rotation ( ( -0.1 , 0.2 ) )", "rotate([-0.1, 0.2])");
    check(
        "one_of(blur(), invert|flip) @ .25",
        "one_of(blur(), invert() | flip()) @ 0.25",
    );
    check(
        "some_of(2, flip(), invert(), blur())",
        "some_of(2, flip(), invert(), blur())",
    );
    check("(flip | invert) @ 1e-1", "(flip() | invert()) @ 0.1");
    check(
        "translate(0.1, 0.2, constant, nearest, 7)",
        "translate(0.1, 0.2, fill_mode=constant, interpolation=nearest, fill_value=7)",
    );
    check("zoom(0.1, width_factor=none)", "zoom(0.1)");
    check("resize(8, 9, antialias=true)", "resize(8, 9, antialias=true)");
    check("rescale(0.5, [1, 2, 3])", "rescale(0.5, offset=[1, 2, 3])");
    check(
        "brightness(0.1, value_range=[0, 1])",
        "brightness(0.1, value_range=[0, 1])",
    );
}

#[track_caller]
fn check_error(text: &str, message: &str, carets: &str) {
    let error = Pipeline::parse(text).expect_err(text).to_string();
    let lines: Vec<&str> = error.lines().collect();
    assert!(error.contains(message), "{error}");
    assert_eq!(*lines.last().unwrap(), format!("  {carets}"), "{error}");
}

#[test]
fn errors_point_to_the_place_and_name_the_way_out() {
    check_error("flip | rotat(0.1)", "did you mean `rotate`?", "       ^^^^^");
    check_error("flip(horizontl)", "did you mean `horizontal`?", "     ^^^^^^^^^");
    check_error("rotate(facto=0.1)", "did you mean `factor`?", "       ^^^^^");
    check_error("rotate()", "rotate needs the argument `factor`", "^^^^^^");
    check_error(
        "rotate(2)",
        "factor is 2; expected a number (or a pair of numbers) between -1 and 1",
        "       ^",
    );
    check_error(
        "flip() | contrast(0.2) @ 1.5",
        "the probability 1.5 is not between 0 and 1",
        "                         ^^^",
    );
    check_error("flip(horizontal", "expected `)`", "               ^");
    check_error("flip | ", "expected a transformation; found the end", "       ^");
    check_error("flip rotate(0.1)", "expected `|`", "     ^");
    check_error(
        "rotate(0.1, 0.2)",
        "`fill_mode` of rotate cannot be 0.2; expected a name",
        "            ^^^",
    );
    check_error(
        "rotate(0.1, fill_mode=reflct)",
        "did you mean `reflect`?",
        "                      ^^^^^^",
    );
    check_error("rotate(0.1, factor=0.2)", "given twice", "            ^^^^^^");
    check_error(
        "rotate(factor=0.1, reflect)",
        "cannot follow one with a name",
        "                   ^",
    );
    check_error(
        "flip(horizontal, 2)",
        "flip has 1 arguments: mode",
        "                 ^",
    );
    check_error("some_of(3, flip, invert)", "cannot choose 3 of 2 branches", "        ^");
    check_error(
        "some_of(flip, invert)",
        "some_of needs to know how many",
        "        ^^^^",
    );
    check_error("rotate(1..2)", "`1..2` is no number", "       ^^^^");
    check_error(
        "crop(2.5, 3)",
        "`height` of crop cannot be 2.5; expected a whole number",
        "     ^^^",
    );
    check_error(
        "crop(0, 3)",
        "height is 0; expected a number of pixels between 1 and 65,536",
        "     ^",
    );
    check_error("resize(60000, 60000)", "too large", "^^^^^^");
    check_error(
        "brightness(0.1, value_range=[1, 0])",
        "value_range is [1, 0]",
        "                            ^^^^^^",
    );
    check_error("flip\n| größe(1)", "there is no transformation `größe`", "  ^^^^^");
    check_error(
        "normalize(0, -1)",
        "variance is -1; expected a number of at least 0",
        "             ^^",
    );
    check_error(&"(".repeat(40), "nested", &format!("{}^", " ".repeat(17)));
}

#[test]
fn json_errors_name_the_step() {
    let read = |value: Value| Pipeline::from_json(&value).unwrap_err().to_string();
    let step = |step: Value| read(json!({"steps": [{"class_name": "RandomInvert"}, step]}));
    assert!(
        step(json!({"class_name": "RandomFlop"}))
            .starts_with("steps[1]: RandomFlop: no such transformation; did you mean `RandomFlip`?")
    );
    assert!(step(json!({"class_name": "RandomRotation"})).contains("the argument `factor` is missing"));
    assert!(
        step(json!({"class_name": "RandomRotation", "config": {"factor": 0.1, "angle": 3}}))
            .contains("unknown field `angle`")
    );
    assert!(step(json!({"class_name": "RandomRotation", "config": {"factor": 3}})).contains("between -1 and 1"));
    assert!(step(json!({"one_of": [[{"class_name": "X"}]]})).starts_with("steps[1].one_of[0][0]: "));
    assert!(step(json!({"some_of": []})).contains("needs `count`"));
    assert!(step(json!({"probability": 0.5})).contains("exactly one of"));
    assert!(step(json!({"class_name": "RandomFlip", "probability": 1.5})).contains("probability is 1.5"));
    assert!(read(json!({"stages": []})).contains("unknown field `stages`"));
    assert!(read(json!([1])).contains("pipeline: "));
}

#[test]
fn every_transformation_can_be_written_with_its_defaults() {
    for entry in CATALOGUE {
        let transform = Transform::from_config(entry.class_name, entry.default_config()).unwrap();
        let text = transform.to_string();
        let pipeline = Pipeline::parse(&text).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(pipeline.steps(), [Step::from(transform)], "{text}");
        let config = entry.default_config();
        let names: Vec<&String> = config.as_object().unwrap().keys().collect();
        assert_eq!(names.len(), entry.arguments.len(), "{}: {names:?}", entry.name);
        assert!(
            entry.arguments.iter().all(|a| config.get(a).is_some()),
            "{}: {names:?}",
            entry.name
        );
    }
}

#[test]
fn another_value_range_reaches_every_step_that_has_one() {
    let pipeline = Pipeline::parse_for(
        "flip | brightness(0.1) | contrast(0.1, value_range=[0, 16])",
        ValueRange::UNIT,
    );
    let text = pipeline.unwrap().to_string();
    assert_eq!(
        text,
        "flip() | brightness(0.1, value_range=[0, 1]) | contrast(0.1, value_range=[0, 16])"
    );
}

/// Numbers with few digits, so that the text stays readable where a case fails.
fn part() -> impl Strategy<Value = f64> {
    (-100..=100i32).prop_map(|n| f64::from(n) / 100.0)
}

fn factor() -> impl Strategy<Value = Factor> {
    prop_oneof![
        part().prop_map(Factor::Single),
        (part(), part()).prop_map(|(a, b)| Factor::Pair([a, b]))
    ]
}

fn transform() -> impl Strategy<Value = Transform> {
    let mode = prop_oneof![
        Just(FlipMode::Horizontal),
        Just(FlipMode::Vertical),
        Just(FlipMode::HorizontalAndVertical)
    ];
    prop_oneof![
        mode.prop_map(|mode| RandomFlip { mode }.into()),
        (factor(), -9.5f32..300.0).prop_map(|(factor, fill_value)| RandomRotation {
            factor,
            fill_value,
            ..Default::default()
        }
        .into()),
        (0..CATALOGUE.len())
            .prop_map(|i| { Transform::from_config(CATALOGUE[i].class_name, CATALOGUE[i].default_config()).unwrap() }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let probability = prop_oneof![Just(1.0), 0.0..=1.0f64];
    let leaf = (transform(), probability).prop_map(|(transform, probability)| Step {
        action: Action::Transform(transform),
        probability,
    });
    leaf.prop_recursive(3, 12, 3, |inner| {
        let branch = prop::collection::vec(inner, 1..3);
        let branches = prop::collection::vec(branch.clone(), 1..4);
        prop_oneof![
            branches.clone().prop_map(Action::OneOf),
            (branches, 0..4usize).prop_map(|(branches, count)| {
                Action::SomeOf {
                    count: count.min(branches.len()),
                    branches,
                }
            }),
            branch.prop_map(Action::Group),
        ]
        .prop_map(|action| Step {
            action,
            probability: 0.5,
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_printed_is_read_back(steps in prop::collection::vec(step(), 0..4)) {
        let pipeline = Pipeline::new(steps).unwrap();
        let text = pipeline.to_string();
        let read = Pipeline::parse(&text).map_err(|e| TestCaseError::fail(e.to_string()))?;
        prop_assert_eq!(&read, &pipeline, "{}", text);
        prop_assert_eq!(read.to_string(), text);
        prop_assert_eq!(Pipeline::from_json(&pipeline.to_json()).unwrap(), pipeline);
    }

    #[test]
    fn no_text_panics(text in "[a-z_(),|@=.0-9 \\[\\]é\n-]{0,60}") {
        if let Err(error) = Pipeline::parse(&text) {
            prop_assert!(error.to_string().contains('^'));
        }
    }
}
