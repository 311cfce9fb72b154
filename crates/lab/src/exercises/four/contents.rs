//! What the file holds, and what happens when it is damaged.

use anyhow::{Context as _, Result, bail};
use candle_core::Device;
use report::format::{bytes, count, integer, significant};
use report::inline::escape;
use report::{Align, Answer, Block, Table};
use serde_json::json;

use super::Saved;

/// What the metadata keys of the format mean.
const KEYS: [(&str, &str); 9] = [
    ("format", "the program whose conventions the file follows"),
    ("version", "the version of these conventions"),
    (
        "model",
        "the description: layers, sizes, connections, as Keras writes it (JSON)",
    ),
    ("precision", "number format of the weights"),
    (
        "metadata",
        "names of the classes, how images are scaled, the loss; in a checkpoint also where the training stands",
    ),
    ("optimizer", "class and options of the optimizer, in a checkpoint"),
    ("trainable", "weights that were frozen or thawed"),
    (
        "crc32",
        "a checksum of each tensor's bytes, in the order of their places",
    ),
    ("sha256", "checksum of the header, which holds all other checksums"),
];

/// Lists the file.
pub(super) fn describe(answer: &mut Answer, saved: &Saved<'_>, checkpoint: (u64, u64)) -> Result<()> {
    let file = persistence::inspect(&saved.path)?;
    answer.heading("What is in the file");
    answer.text(
        "A `safetensors` file is 8 bytes that say how long the header is, a header in JSON (names, number formats, shapes and \
         places of the tensors, and some text), and then the numbers, one after the other. Nothing in it is a program, so that \
         loading cannot run one; any reader of `safetensors` opens it, in Python, Rust or JavaScript.",
    );
    let mut table = Table::new("Tensors");
    table
        .header(["name", "shape", "format", "bytes"])
        .align([Align::Left, Align::Left, Align::Left, Align::Right]);
    for tensor in &file.tensors {
        let shape: Vec<String> = tensor.shape.iter().map(usize::to_string).collect();
        table.row([
            format!("`{}`", tensor.name),
            shape.join(" × "),
            tensor.dtype.clone(),
            integer(i128::from(tensor.bytes)),
        ]);
    }
    table.note(format!(
        "{} tensors of {} bytes, behind a header of {} bytes.",
        count(file.tensors.len()),
        integer(i128::from(file.tensor_bytes())),
        integer(i128::from(file.header_bytes.unwrap_or_default()))
    ));
    answer.table(table);
    let mut keys = Table::new("Metadata");
    keys.header(["key", "characters", "what it says"])
        .align([Align::Left, Align::Right, Align::Left]);
    for (key, text) in &file.metadata {
        let meaning = KEYS.iter().find(|(known, _)| known == key).map_or("", |(_, said)| said);
        keys.row([format!("`{key}`"), count(text.chars().count()), meaning.to_string()]);
    }
    answer.table(keys);
    if let Some(sha256) = &file.sha256 {
        answer.details("The checksum", [Block::code(sha256.clone())]);
    }
    let (weights, state) = checkpoint;
    answer.list([
        "**Saved**: the description of the network, every weight (also those that are not trained), the names of the classes, \
         the number format, a checksum."
            .to_string(),
        format!(
            "**Saved in a checkpoint only**: the optimizer with its state (here {} beside {} of weights), the seed, the batch size, \
             the validation split, the augmentation, and the record of each epoch.",
            bytes(state),
            bytes(weights)
        ),
        "**Not saved**: the images and how they are scaled (here pixels in [0, 1]); who loads the network has to know. Nor the \
         program, the device or the number of threads, which have no influence on what is described here; nor a state of random \
         generators, because every draw is a function of seed, epoch and sample."
            .to_string(),
    ]);
    answer
        .number("sha256", file.sha256.clone())
        .number("header_bytes", file.header_bytes)
        .number("tensor_bytes", file.tensor_bytes())
        .number(
            "tensors",
            json!(
                file.tensors
                    .iter()
                    .map(|tensor| json!({
                        "name": tensor.name, "shape": tensor.shape, "dtype": tensor.dtype, "bytes": tensor.bytes,
                    }))
                    .collect::<Vec<_>>()
            ),
        );
    Ok(())
}

/// Bytes that a file loses at its end.
const MISSING: usize = 10;

/// A way to damage a file, and the file after it.
type Damage = (String, Vec<u8>);

/// Damages copies of the file and shows what loading says.
pub(super) fn damage(answer: &mut Answer, saved: &Saved<'_>) -> Result<()> {
    let whole = std::fs::read(&saved.path).context("the saved file cannot be read again")?;
    let (flipped, before, after) = flip_a_bit(&whole).context("the saved file holds no number")?;
    let cut = whole.len().saturating_sub(MISSING);
    let mut cases: Vec<Damage> = vec![
        (format!("one bit of {} is flipped", count(whole.len() * 8)), flipped),
        (format!("the last {MISSING} bytes are missing"), whole[..cut].to_vec()),
    ];
    cases.extend(other_class(&whole).map(|bytes| ("one letter of a class name is another".to_string(), bytes)));

    answer.heading("A damaged file");
    let mut table = Table::new("What loading says");
    table.header(["damage", "message"]).align([Align::Left, Align::Left]);
    let mut messages = Vec::new();
    let path = saved.path.with_file_name("damaged.safetensors");
    for (damage, content) in cases {
        std::fs::write(&path, content).context("the damaged copy cannot be written")?;
        let Err(error) = persistence::load(&path, &Device::Cpu) else {
            bail!("a damaged file was loaded without an error: {damage}");
        };
        // The temporary folder has another name in each run.
        let message = error
            .to_string()
            .replace(&path.display().to_string(), "damaged.safetensors");
        table.row([escape(&damage), escape(&message)]);
        messages.push(message);
    }
    answer.table(table);
    answer.text(format!(
        "The flipped bit is the highest one of the exponent of the last number in the file, which turns {} into {}. Without a \
         checksum nobody would be told: the file would still be well-formed, and the network would only answer strangely.",
        significant(f64::from(before), 3),
        significant(f64::from(after), 3)
    ));
    answer.number("damaged", messages);
    Ok(())
}

/// The file with the highest exponent bit of its last `float32` flipped; the number before and after.
fn flip_a_bit(whole: &[u8]) -> Option<(Vec<u8>, f32, f32)> {
    let number = |bytes: &[u8]| bytes.last_chunk().map(|last| f32::from_le_bytes(*last));
    let mut bytes = whole.to_vec();
    *bytes.last_mut()? ^= 0b0100_0000;
    let after = number(&bytes)?;
    Some((bytes, number(whole)?, after))
}

/// The file with another first letter of the first class.
fn other_class(whole: &[u8]) -> Option<Vec<u8>> {
    let before = br#"classes\":[\""#;
    let at = whole.windows(before.len()).position(|window| window == before)?;
    let mut bytes = whole.to_vec();
    *bytes.get_mut(at + before.len())? ^= 1;
    Some(bytes)
}
