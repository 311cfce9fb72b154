//! How fast models are saved and loaded, next to what the disk does: `cargo xtask bench persistence` runs this and the peers.
//!
//! `persist time DIR SIZE...` measures models of ten square dense layers with so many parameters, in `f32`; `persist make FILE SIZE`
//! writes one; `persist convert IN OUT` converts a file and says how much memory that took. Prints one JSON object a line.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

use nn_theory::{Dense, ModelSpec};
use persistence::{Dtype, Format, Model, StoredTensor};
use serde_json::json;

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// Measurements of each case; the median is reported.
const REPEATS: usize = 5;

/// As the program `lab` has it, whose memory is measured here.
#[global_allocator]
static ALLOCATOR: kernels::memory::Recycling = kernels::memory::Recycling::new();

fn main() -> Outcome {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["time", folder, ref sizes @ ..] if !sizes.is_empty() => {
            for size in sizes {
                time(Path::new(folder), size.parse::<f64>()?)?;
            }
            Ok(())
        }
        ["make", path, size] => Ok(persistence::write(Path::new(path), &model(size.parse()?)?).map(drop)?),
        ["convert", from, to] => convert(Path::new(from), Path::new(to)),
        _ => Err("usage: persist time DIR SIZE... | persist make FILE SIZE | persist convert IN OUT".into()),
    }
}

/// Ten dense layers with a tenth of the parameters each.
fn model(parameters: f64) -> Outcome<Model> {
    let side = (parameters / 10.0).sqrt() as usize;
    let mut spec = ModelSpec::sequential("ten").input([side as u64]);
    for _ in 0..10 {
        spec = spec.layer(Dense::new(side));
    }
    let spec = spec.build()?;
    let mut model = Model::new(Path::new(""), Format::Safetensors);
    let mut state = 1u32;
    for weight in spec.weights() {
        let shape: Vec<usize> = weight.shape.iter().map(|&size| size as usize).collect();
        let count: usize = shape.iter().product();
        // Any numbers that do not repeat; a disk or a file system may be clever about zeros.
        let mut bytes = Vec::with_capacity(count * 4);
        for _ in 0..count {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            bytes.extend_from_slice(&(state as f32 / 4e9).to_le_bytes());
        }
        let tensor = StoredTensor::in_memory(Dtype::F32, shape, bytes).ok_or("another size")?;
        model.weights.insert(weight.path, tensor);
    }
    model.spec = Some(spec);
    Ok(model)
}

fn time(folder: &Path, parameters: f64) -> Outcome {
    let model = model(parameters)?;
    let bytes: usize = model.weights.values().map(StoredTensor::byte_len).sum();
    let report = |format: &str, op: &str, seconds: f64, disk: Option<[f64; 2]>| {
        let mut out = std::io::stdout().lock();
        let line = json!({
            "format": format, "params": bytes / 4, "op": op, "ms": seconds * 1e3, "gb_per_s": bytes as f64 / seconds / 1e9,
            "disk_ms": disk.map(|[plain, _]| plain * 1e3), "safe_disk_ms": disk.map(|[_, safe]| safe * 1e3),
        });
        // Nobody who does not read the lines wants to know that they cannot be written.
        let _ = writeln!(out, "{line}");
    };
    let (plain, safe) = (folder.join("plain.bin"), folder.join("safe.bin"));
    let content: Vec<u8> = model
        .weights
        .values()
        .map(|tensor| tensor.bytes().map(|bytes| bytes.into_owned()))
        .collect::<Result<Vec<_>, _>>()?
        .concat();
    // An .npy file is one array.
    for format in persistence::WRITTEN.into_iter().filter(|format| *format != Format::Npy) {
        let path = folder.join(format!("model.{}", format.ending()));
        // What the disk does: the same bytes, written to a new file in one go and synced, and the same so that a crash leaves the old file
        // or the new one, in turns with our own saving.
        let (mut disk, mut guarded, mut ours) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..REPEATS {
            disk.push(seconds(|| synced(&plain, &content))?);
            fs::remove_file(&plain)?;
            guarded.push(seconds(|| {
                synced(&plain, &content)?;
                fs::rename(&plain, &safe)?;
                if cfg!(unix) {
                    fs::File::open(folder)?.sync_all()?;
                }
                Ok(())
            })?);
            ours.push(seconds(|| Ok(persistence::write(&path, &model).map(drop)?))?);
        }
        report(
            format.ending(),
            "save",
            median(ours),
            Some([median(disk), median(guarded)]),
        );
        if persistence::READ.contains(&format) {
            let opened = repeated(|| Ok(persistence::open(&path).map(drop)?))?;
            report(format.ending(), "open", opened, None);
            report(format.ending(), "load", repeated(|| touch(&path))?, None);
        }
        fs::remove_file(&path)?;
    }
    Ok(fs::remove_file(&safe)?)
}

/// A new file in one go, on the disk.
fn synced(path: &Path, content: &[u8]) -> Outcome {
    let mut file = fs::File::create_new(path)?;
    file.write_all(content)?;
    Ok(file.sync_all()?)
}

/// Opens a file and looks at every number once, its checksum included; what is a matrix of PyTorch is not turned, as in PyTorch.
fn touch(path: &Path) -> Outcome {
    let model = persistence::open(path)?;
    let mut sum = 0u64;
    for tensor in model.weights.values() {
        let sums = tensor.scan(|piece| {
            let words = piece.as_chunks::<8>().0.iter();
            words.fold(0u64, |sum, word| sum.wrapping_add(u64::from_le_bytes(*word)))
        })?;
        sum = sums.into_iter().fold(sum, u64::wrapping_add);
    }
    std::hint::black_box(sum);
    Ok(())
}

fn convert(from: &Path, to: &Path) -> Outcome {
    let model = persistence::open(from)?;
    let largest = model.weights.values().map(StoredTensor::byte_len).max().unwrap_or(0);
    let began = Instant::now();
    let size = persistence::write(to, &model)?;
    let line = json!({
        "op": "convert", "from": from, "to": to, "bytes": size, "ms": began.elapsed().as_secs_f64() * 1e3,
        "largest_tensor": largest, "peak_memory": peak_memory(),
    });
    writeln!(std::io::stdout().lock(), "{line}")?;
    Ok(())
}

/// The most memory that this process ever held, in bytes; none where the system does not say.
fn peak_memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? * 1024)
}

fn seconds(action: impl FnOnce() -> Outcome) -> Outcome<f64> {
    let began = Instant::now();
    action()?;
    Ok(began.elapsed().as_secs_f64())
}

fn repeated(action: impl Fn() -> Outcome) -> Outcome<f64> {
    let times = (0..REPEATS).map(|_| seconds(&action)).collect::<Outcome<Vec<f64>>>()?;
    Ok(median(times))
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
