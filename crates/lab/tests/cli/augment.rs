//! `lab augment`: contact sheets, records, and pictures that are none.

use crate::files::write_png;
use crate::program::Lab;

/// A grey wedge, left dark, right bright.
fn write_wedge(lab: &Lab, name: &str, height: u32, width: u32) {
    let value = |x: u32, y: u32| [(x * 255 / width.max(2)) as u8, (y * 255 / height.max(2)) as u8, 90];
    let picture = image::RgbImage::from_fn(width, height, |x, y| image::Rgb(value(x, y)));
    picture.save(lab.path(name)).expect("a file");
}

fn sheet(lab: &Lab, name: &str) -> image::RgbImage {
    image::open(lab.path(name)).expect("a picture").into_rgb8()
}

#[test]
fn a_sheet_shows_each_picture_and_its_variants() {
    let lab = Lab::new();
    write_wedge(&lab, "a.png", 20, 30);
    write_png(&lab.path("b.png"), 90);
    let pipeline = "flip(horizontal) | rotate(0.1) | contrast(0.5) @ 0.5";
    let said = lab.succeeds(&["augment", "a.png", "b.png", "--pipeline", pipeline, "--variants", "3"]);
    assert!(said.contains(pipeline) && said.contains("a.png: 3 variants"), "{said}");
    let first = sheet(&lab, "sheet.png");
    // Four pictures of 128 in a row with gaps.
    assert!(
        first.width() > 4 * 128 && first.height() > 128 + 80,
        "{:?}",
        first.dimensions()
    );
    // The same seed draws the same sheet, another one another.
    let draw = |seed: &str, name: &str| {
        lab.succeeds(&[
            "augment",
            "a.png",
            "b.png",
            "--pipeline",
            pipeline,
            "--variants",
            "3",
            "--seed",
            seed,
            "--output",
            name,
        ]);
        sheet(&lab, name)
    };
    assert!(draw("6020", "again.png") == first && draw("7", "other.png") != first);
}

#[test]
fn what_was_recorded_is_done_again() {
    let lab = Lab::new();
    write_wedge(&lab, "a.png", 24, 24);
    let pipeline = "one_of(rotate(0.1), rand_augment, elastic) | crop(20, 20) | erase @ 0.5";
    let record = lab.json(&[
        "augment",
        "a.png",
        "--pipeline",
        pipeline,
        "--record",
        "what.json",
        "--json",
    ]);
    assert_eq!(record["images"][0]["variants"].as_array().map(Vec::len), Some(8));
    let again = lab.json(&[
        "augment",
        "a.png",
        "--replay",
        "what.json",
        "--output",
        "again.png",
        "--json",
    ]);
    assert_eq!(again, record);
    assert!(sheet(&lab, "again.png") == sheet(&lab, "sheet.png"));
    lab.fails(
        &["augment", "a.png", "a.png", "--replay", "what.json"],
        &["1 pictures", "2 are given"],
    );
    std::fs::write(lab.path("no.json"), "{}").expect("a file");
    lab.fails(&["augment", "a.png", "--replay", "no.json"], &["no.json", "no record"]);
}

#[test]
fn all_transformations_are_listed_with_a_picture_of_each() {
    let lab = Lab::new();
    let said = lab.succeeds(&["augment", "--list", "--output", "all.png"]);
    for name in ["`rotate`", "rotate", "aug_mix", "coarse_dropout", "jpeg"] {
        assert!(said.contains(name.trim_matches('`')), "{name}: {said}");
    }
    let all = lab.json(&["augment", "--list", "--json"]);
    let count = all.as_array().map_or(0, Vec::len) as u32;
    assert!(count > 40, "{count}");
    let picture = sheet(&lab, "all.png");
    assert!(
        picture.height() > (count + 1).div_ceil(6) * 96,
        "{:?}",
        picture.dimensions()
    );
}

#[test]
fn what_is_no_picture_is_said_and_nothing_is_written() {
    let lab = Lab::new();
    write_wedge(&lab, "good.png", 40, 40);
    let good = std::fs::read(lab.path("good.png")).expect("a file");
    std::fs::write(lab.path("cut.png"), &good[..good.len() / 2]).expect("a file");
    std::fs::write(lab.path("empty.png"), b"").expect("a file");
    std::fs::write(lab.path("text.jpg"), b"no picture at all").expect("a file");
    std::fs::write(
        lab.path("cut.jpg"),
        [0xff, 0xd8, 0xff, 0xe0, 0, 16, b'J', b'F', b'I', b'F', 0, 1],
    )
    .expect("a file");
    let mut damaged = good.clone();
    let middle = damaged.len() / 2;
    damaged[middle..middle + 8].fill(0xa5);
    std::fs::write(lab.path("damaged.png"), &damaged).expect("a file");
    // The sizes are in the header: 0 x 40 and 20,000 x 20,000, with a checksum that fits.
    for (name, side) in [("zero.png", 0u32), ("huge.png", 20_000)] {
        let mut header = good[..33].to_vec();
        header[16..20].copy_from_slice(&side.to_be_bytes());
        header[20..24].copy_from_slice(&side.max(40).to_be_bytes());
        let checksum = crc32(&header[12..29]);
        header[29..33].copy_from_slice(&checksum.to_be_bytes());
        std::fs::write(lab.path(name), [&header, &good[33..]].concat()).expect("a file");
    }
    for name in [
        "cut.png",
        "empty.png",
        "text.jpg",
        "cut.jpg",
        "damaged.png",
        "zero.png",
        "huge.png",
        "missing.png",
    ] {
        // A good picture before it changes nothing: there is no half of a sheet.
        lab.fails(&["augment", "good.png", name, "--pipeline", "flip"], &[name]);
    }
}

/// The checksum of PNG.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 }
        })
    })
}

#[test]
fn pictures_of_one_pixel_and_unusual_steps() {
    let lab = Lab::new();
    write_wedge(&lab, "one.png", 1, 1);
    lab.succeeds(&[
        "augment",
        "one.png",
        "--pipeline",
        "rotate(0.5) | zoom(0.5) | elastic | blur | clahe | jpeg",
    ]);
    write_png(&lab.path("grey.png"), 3);
    std::fs::remove_file(lab.path("sheet.png")).expect("the sheet");
    lab.fails(
        &["augment", "grey.png", "--pipeline", "hue(0.1)"],
        &["grey.png", "RandomHue", "1 channels"],
    );
    lab.fails(
        &["augment", "grey.png", "--pipeline", "rotate(9)"],
        &["--pipeline", "between -1 and 1"],
    );
    lab.fails(
        &["augment", "grey.png", "--pipeline", "flip @ 1.5"],
        &["--pipeline", "1.5"],
    );
    lab.fails(
        &["augment", "grey.png", "--pipeline", "resize(60000, 60000)"],
        &["--pipeline", "too large"],
    );
    lab.fails(&["augment", "grey.png"], &["--pipeline"]);
    lab.fails(&["augment", "--pipeline", "flip"], &["no picture"]);
    lab.fails(
        &["augment", "grey.png", "--pipeline", "flip", "--output", "sheet.gif"],
        &["sheet.gif", ".png"],
    );
    lab.fails(
        &["augment", "grey.png", "--pipeline", "flip", "--output", "no/sheet.png"],
        &["no/sheet.png"],
    );
}

#[test]
fn a_pipeline_that_cannot_be_read_is_shown_with_the_place() {
    let lab = Lab::new();
    write_png(&lab.path("grey.png"), 3);
    let outcome = lab.fails(
        &["augment", "grey.png", "--pipeline", "flip(horizontal) | rotat(0.1)"],
        &["--pipeline", "did you mean `rotate`?", "character 20"],
    );
    let lines: Vec<&str> = outcome.stderr.lines().collect();
    assert_eq!(lines[0], "  flip(horizontal) | rotat(0.1)");
    assert_eq!(lines[1], "                     ^^^^^");
}

#[test]
fn several_views_of_an_image_answer_together() {
    let lab = Lab::new();
    lab.succeeds(&[
        "train",
        "--epochs",
        "1",
        "--augment",
        "rotate(0.04)",
        "--output",
        "net.safetensors",
    ]);
    let record = lab.json(&["evaluate", "net.safetensors", "--tta", "2", "--json"]);
    let views = &record["tta"];
    assert_eq!(
        (&views["views"], &views["mean"]),
        (&2.into(), &"probabilities".into()),
        "{record}"
    );
    assert_eq!(views["pipeline"], "rotate(0.04)");
    let accuracy = |record: &serde_json::Value| record["accuracy"].as_f64().expect("an accuracy");
    // Small turns change little of what the network sees.
    assert!(
        (accuracy(views) - accuracy(&record)).abs() < 0.2 && views["loss"].is_number(),
        "{record}"
    );
    let choice = [
        "--augment",
        "translate(0.3, 0.3)",
        "--mean",
        "logits",
        "--seed",
        "5",
        "--json",
    ];
    let far = lab.json(&[&["evaluate", "net.safetensors", "--tta", "3"], &choice[..]].concat());
    assert_eq!(
        (&far["tta"]["mean"], &far["tta"]["seed"]),
        (&"logits".into(), &5.into()),
        "{far}"
    );
    assert_ne!(far["tta"]["loss"], views["loss"]);
    let said = lab.succeeds(&["evaluate", "net.safetensors", "--tta", "2"]);
    assert!(
        said.contains("mean of the probabilities of 2 views (rotate(0.04))"),
        "{said}"
    );
    lab.succeeds(&["train", "--epochs", "1", "--output", "plain.safetensors"]);
    lab.fails(
        &["evaluate", "plain.safetensors", "--tta", "2"],
        &["--tta", "--augment"],
    );
    lab.run(&["evaluate", "net.safetensors", "--augment", "flip"])
        .check_error(2, &["--tta"]);
    lab.run(&["evaluate", "net.safetensors", "--tta", "0"])
        .check_error(2, &["at least 1"]);
}
