//! `lab augment`: what a pipeline makes of pictures, on a contact sheet.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail};
use augmentation::{Applied, CATALOGUE, Entry, Image, Pipeline, Transform, ValueRange};
use datasets::Color;
use kernels::random::Stream;
use report::plot::{ContactSheet, Picture};
use report::{Align, Table};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::cli::{AugmentArgs, DEFAULT_SEED};
use crate::context::terminal;

/// The sheet where no other name is given.
const SHEET: &str = "sheet.png";

/// Side of the built-in picture.
const SIDE: usize = 96;

/// Pictures in a row of the sheet of all transformations.
const IN_A_ROW: usize = 6;

/// How often a transformation that happens with a probability is tried until its picture shows something.
const TRIES: u64 = 64;

/// What was done to pictures: enough to do it again.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    /// The pipeline in its text form, for reading.
    text: String,
    /// The pipeline.
    pipeline: Value,
    /// The seed of the draws.
    seed: u64,
    /// The pictures in their order.
    images: Vec<RecordedImage>,
}

/// The variants of a picture.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RecordedImage {
    file: PathBuf,
    variants: Vec<Applied>,
}

pub(crate) fn run(args: &AugmentArgs) -> Result<()> {
    if let Some(output) = &args.output {
        check_name(output)?;
    }
    if args.list {
        return list(args);
    }
    if args.images.is_empty() {
        bail!("no picture is given; name PNG or JPEG files, or list the transformations with --list");
    }
    let images = args.images.iter().map(|file| open(file)).collect::<Result<Vec<_>>>()?;
    let (pipeline, record) = match &args.replay {
        Some(file) => replayed(args, file)?,
        None => drawn(args, &images)?,
    };
    let mut sheet = ContactSheet::new();
    for (file, (image, recorded)) in args.images.iter().zip(images.iter().zip(&record.images)) {
        let mut row = vec![("original".to_string(), picture(image))];
        for (number, applied) in recorded.variants.iter().enumerate() {
            let mut variant = image.clone();
            pipeline
                .replay(&mut variant, applied)
                .with_context(|| format!("{}: variant {}", file.display(), number + 1))?;
            row.push((label(number + 1, applied), picture(&variant)));
        }
        sheet.row(row);
    }
    let output = args.output.clone().unwrap_or_else(|| SHEET.into());
    let png = sheet.to_png()?;
    let text = serde_json::to_string_pretty(&record)?;
    report::write_atomically(&output, png)?;
    if let Some(file) = &args.record {
        report::write_atomically(file, format!("{text}\n"))?;
    }
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{text}")?;
    } else {
        writeln!(out, "{}", record.text)?;
        for (file, recorded) in args.images.iter().zip(&record.images) {
            writeln!(out, "{}: {} variants", file.display(), recorded.variants.len())?;
        }
        writeln!(out, "the sheet is {}", output.display())?;
    }
    Ok(())
}

/// Draws what happens to each picture; variant `k` has the draws of epoch `k`.
fn drawn(args: &AugmentArgs, images: &[Image]) -> Result<(Pipeline, Record)> {
    let Some(text) = &args.pipeline else {
        bail!(
            "no pipeline is given; write one as --pipeline 'flip(horizontal) | rotate(0.1)' (lab augment --list shows the steps)"
        );
    };
    let pipeline = if text.trim_start().starts_with('{') {
        let document: Value = serde_json::from_str(text).context("--pipeline is no valid JSON")?;
        Pipeline::from_json(&document).context("--pipeline")?
    } else {
        Pipeline::parse_for(text, ValueRange::BYTES).map_err(|error| anyhow!(error).context("--pipeline"))?
    };
    let pipeline = pipeline.merge_affine(!args.no_merge);
    let seed = args.seed.unwrap_or(DEFAULT_SEED);
    let mut recorded = Vec::new();
    for (sample, (file, image)) in args.images.iter().zip(images).enumerate() {
        let draw = |variant: u64| {
            let stream = Pipeline::stream(seed, variant, sample as u64);
            pipeline
                .apply(&mut image.clone(), stream)
                .with_context(|| file.display().to_string())
        };
        recorded.push(RecordedImage {
            file: file.clone(),
            variants: (0..args.variants as u64).map(draw).collect::<Result<_>>()?,
        });
    }
    let record = Record {
        text: pipeline.to_string(),
        pipeline: pipeline.to_json(),
        seed,
        images: recorded,
    };
    Ok((pipeline, record))
}

/// What a file says that was done to pictures, for other pictures of the same number.
fn replayed(args: &AugmentArgs, file: &Path) -> Result<(Pipeline, Record)> {
    let shown = file.display();
    let text = std::fs::read_to_string(file).with_context(|| format!("--replay {shown} cannot be read"))?;
    let mut record: Record = serde_json::from_str(&text)
        .with_context(|| format!("--replay {shown} is no record; give a file that lab augment --record wrote"))?;
    let pipeline = Pipeline::from_json(&record.pipeline).with_context(|| format!("--replay {shown}"))?;
    if record.images.len() != args.images.len() {
        bail!(
            "--replay {shown} holds what was done to {} pictures, {} are given; give as many, in the same order",
            record.images.len(),
            args.images.len()
        );
    }
    for (recorded, file) in record.images.iter_mut().zip(&args.images) {
        recorded.file.clone_from(file);
    }
    Ok((pipeline, record))
}

/// All transformations, as a table or as JSON, and with `--output` on a sheet.
fn list(args: &AugmentArgs) -> Result<()> {
    let original = match args.images.as_slice() {
        [] => augmentation::picture(SIDE),
        [file] => open(file)?,
        more => bail!(
            "--list shows the transformations of one picture, {} are given",
            more.len()
        ),
    };
    if let Some(output) = &args.output {
        let mut pictures = vec![("original".to_string(), picture(&original))];
        for entry in CATALOGUE {
            pictures.push((entry.name.to_string(), picture(&example(entry, &original, args.seed)?)));
        }
        let mut sheet = ContactSheet::new();
        for row in pictures.chunks(IN_A_ROW) {
            sheet.row(row.to_vec());
        }
        report::write_atomically(output, sheet.to_png()?)?;
    }
    let mut out = std::io::stdout().lock();
    if args.json {
        let entries: Vec<Value> = CATALOGUE
            .iter()
            .map(|entry| {
                json!({
                    "name": entry.name, "class_name": entry.class_name, "about": entry.about, "arguments": entry.arguments,
                    "required": entry.required, "default_config": entry.default_config(),
                })
            })
            .collect();
        writeln!(out, "{}", serde_json::to_string_pretty(&entries)?)?;
        return Ok(());
    }
    let mut table = Table::new("Transformations");
    table
        .header(["step", "arguments", "what it does"])
        .align([Align::Left; 3]);
    for entry in CATALOGUE {
        table.row([
            format!("`{}`", entry.name),
            entry.arguments.join(", "),
            report::inline::escape(entry.about),
        ]);
    }
    table.note(
        "Steps are joined with `|`; `@ 0.5` behind a step makes it happen with probability ½. Branches: `one_of(a, b)`, \
         `some_of(2, a, b, c)`. The names of the Keras classes (`RandomFlip`) are understood, too.",
    );
    let (width, color) = terminal();
    writeln!(out, "{}", report::terminal::table(&table, width, color))?;
    if let Some(output) = &args.output {
        writeln!(out, "the sheet is {}", output.display())?;
    }
    Ok(())
}

/// What a transformation with its defaults makes of a picture: the first draws that change it.
fn example(entry: &Entry, original: &Image, seed: Option<u64>) -> Result<Image> {
    let transform = Transform::from_config(entry.class_name, entry.default_config())?;
    let pipeline = Pipeline::new(vec![transform.into()])?;
    let stream = Stream::new(seed.unwrap_or(DEFAULT_SEED)).op("list").op(entry.name);
    let mut image = original.clone();
    for attempt in 0..TRIES {
        image = original.clone();
        match pipeline.apply(&mut image, stream.epoch(attempt)) {
            // A grey picture has no hue: it stays as it is on the sheet.
            Err(augmentation::Error::Channels { .. }) => return Ok(original.clone()),
            outcome => outcome?,
        };
        if image != *original {
            break;
        }
    }
    Ok(image)
}

fn open(file: &Path) -> Result<Image> {
    super::files::check_picture(file)?;
    let images = datasets::open_image(file, Color::Auto)?;
    Ok(Image::from_u8(
        images.height,
        images.width,
        images.channels,
        images.pixels(),
    )?)
}

/// Values as bytes; those of a range of [0, 1], which `rescale` gives, are spread over it.
fn picture(image: &Image) -> Picture {
    let unit = image.data.iter().all(|value| (0.0..=1.0).contains(value));
    Picture {
        height: image.height,
        width: image.width,
        channels: image.channels,
        bytes: image.to_u8(if unit { 255.0 } else { 1.0 }),
    }
}

/// The number of a variant and the names of what happened to it.
fn label(number: usize, applied: &Applied) -> String {
    let names = applied.steps.iter().map(|step| {
        let class = step.parameters.class_name();
        augmentation::find(class).map_or(class, |entry| entry.name)
    });
    let names: Vec<&str> = names.collect();
    format!("{number} {}", names.join(","))
}

/// Refuses a name that the sheet cannot have, before anything is computed.
fn check_name(output: &Path) -> Result<()> {
    if output
        .extension()
        .is_some_and(|ending| ending.eq_ignore_ascii_case("png"))
    {
        return Ok(());
    }
    bail!(
        "--output {}: the sheet is a PNG file; give a name that ends in .png",
        output.display()
    )
}
