//! Images a second of every transformation: this side of `cargo xtask bench augmentation`.
//!
//! One JSON line a case. The batch is gathered anew before each call, as training does, outside of the measured time; the
//! call changes it in place. Parameters are those of `peers/augment.py`.

use std::hint::black_box;
use std::io::Write as _;
use std::time::{Duration, Instant};

use augmentation::mix::{CutMix, MixUp};
use augmentation::{Factor, Pipeline, ValueRange};
use clap::Parser;
use kernels::random::Stream;
use rayon::prelude::*;

/// As in the program `lab`.
#[global_allocator]
static ALLOCATOR: kernels::memory::Recycling = kernels::memory::Recycling::new();

const BATCH: usize = 128;
const CLASSES: usize = 10;

#[derive(Parser)]
struct Options {
    /// Only these
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "flip,invert,crop,rotate,translate,zoom,contrast,brightness,huesat,blur,erasing,mixup,cutmix,randaugment,pipeline,grayscale,posterize,solarize,equalize,autocontrast,sharpness,normalize,noise,motionblur,jpeg"
    )]
    ops: Vec<String>,
    #[arg(long, value_delimiter = ',', default_value = "28x28x1,32x32x3,224x224x3")]
    shapes: Vec<String>,
    #[arg(long, value_delimiter = ',', default_value = "uint8,float32")]
    dtypes: Vec<String>,
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Blocks that the median is taken of
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    blocks: u16,
    /// Least seconds of a block
    #[arg(long, default_value_t = 0.2)]
    seconds: f64,
}

type Error = Box<dyn std::error::Error>;

/// The text of an operation for images of this height; none for those that work on batches.
fn text(op: &str, height: usize) -> Result<Option<String>, Error> {
    let turn = 20.0 / 360.0;
    let rotate = format!("rotate({turn}, fill_mode=constant)");
    let zoom = "zoom([-0.2, 0.2], width_factor=[-0.2, 0.2], fill_mode=constant)";
    Ok(Some(match op {
        "flip" => "flip(horizontal)".into(),
        "invert" => "invert([1, 1])".into(),
        "crop" => format!("pad_and_crop({})", height / 8),
        "rotate" => rotate,
        "translate" => "translate(0.1, 0.1, fill_mode=constant)".into(),
        "zoom" => zoom.into(),
        "contrast" => "contrast([0.2, 0.2])".into(),
        "brightness" => "brightness(0.2)".into(),
        "huesat" => "hue(0.2) | saturation([0.444, 0.545])".into(),
        "blur" => "blur([1, 1], 5, [0.1, 1])".into(),
        "erasing" => "erase([1, 1], [0.02, 0.33], 0)".into(),
        "randaugment" => "rand_augment(2, 0.3)".into(),
        "pipeline" => format!("flip(horizontal) | {rotate} | {zoom} | contrast([0.2, 0.2])"),
        "grayscale" => "grayscale(1)".into(),
        "posterize" => "posterize([4, 5])".into(),
        "solarize" => "solarize(0, [0.5, 0.5])".into(),
        "equalize" => "equalize()".into(),
        "autocontrast" => "auto_contrast()".into(),
        "sharpness" => "sharpness([0.55, 0.65])".into(),
        "normalize" => "normalize(0.5, 0.0625)".into(),
        "noise" => "gaussian_noise([0.04, 0.2])".into(),
        // Three to seven pixels.
        "motionblur" => format!("motion_blur([{}, {}])", 3.0 / height as f64, 7.0 / height as f64),
        "jpeg" => "jpeg([50, 90])".into(),
        "mixup" | "cutmix" => return Ok(None),
        _ => return Err(format!("there is no operation '{op}'").into()),
    }))
}

/// A batch in one of the two number formats.
#[derive(Clone)]
enum Images {
    Bytes(Vec<u8>),
    Floats(Vec<f32>),
}

impl Images {
    /// Smooth random images, as those of the other side; floats lie in [0, 1].
    fn new(dtype: &str, (height, width, channels): (usize, usize, usize)) -> Result<Self, Error> {
        let (rows, columns) = (height / 4 + 1, width / 4 + 1);
        let mut coarse = vec![0f32; BATCH * rows * columns * channels];
        Stream::new(0).draws().fill_uniform(&mut coarse, 0.0, 1.0);
        let value = |i: usize| {
            let (c, x, y, n) = (
                i % channels,
                i / channels % width,
                i / channels / width % height,
                i / channels / width / height,
            );
            coarse[((n * rows + y / 4) * columns + x / 4) * channels + c]
        };
        let floats = (0..BATCH * height * width * channels).map(value);
        match dtype {
            "uint8" => Ok(Self::Bytes(floats.map(|v| (v * 255.0) as u8).collect())),
            "float32" => Ok(Self::Floats(floats.collect())),
            _ => Err(format!("there is no number format '{dtype}'").into()),
        }
    }

    fn copy_from(&mut self, other: &Self) {
        match (self, other) {
            (Self::Bytes(to), Self::Bytes(from)) => copy(to, from),
            (Self::Floats(to), Self::Floats(from)) => copy(to, from),
            _ => {}
        }
    }

    fn size(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Floats(floats) => 4 * floats.len(),
        }
    }
}

/// On all threads.
fn copy<T: Copy + Send + Sync>(to: &mut [T], from: &[T]) {
    const AT_ONCE: usize = 1 << 16;
    let pairs = to.par_chunks_mut(AT_ONCE).zip(from.par_chunks(AT_ONCE));
    pairs.for_each(|(to, from)| to.copy_from_slice(from));
}

/// The median over blocks of the seconds of a call.
fn seconds(
    options: &Options,
    original: &Images,
    mut call: impl FnMut(&mut Images, u64) -> Result<(), Error>,
) -> Result<f64, Error> {
    let mut images = original.clone();
    let mut epoch = 0;
    let mut block = |least: f64| -> Result<f64, Error> {
        let (mut spent, mut calls) = (Duration::ZERO, 0u32);
        while spent.as_secs_f64() < least || calls < 3 {
            images.copy_from(original);
            epoch += 1;
            let start = Instant::now();
            call(&mut images, epoch)?;
            spent += start.elapsed();
            black_box(&images);
            calls += 1;
        }
        Ok(spent.as_secs_f64() / f64::from(calls))
    };
    block(options.seconds / 4.0)?;
    let blocks = (0..options.blocks).map(|_| block(options.seconds));
    let mut times = blocks.collect::<Result<Vec<_>, _>>()?;
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}

fn case(options: &Options, op: &str, shape: (usize, usize, usize), images: &Images) -> Result<f64, Error> {
    let samples: Vec<u64> = (0..BATCH as u64).collect();
    let size = shape.0 * shape.1 * shape.2;
    if let Some(text) = text(op, shape.0)? {
        let range = match images {
            Images::Bytes(_) => ValueRange::BYTES,
            Images::Floats(_) => ValueRange::UNIT,
        };
        let pipeline = Pipeline::parse_for(&text, range)?;
        return seconds(options, images, |images, epoch| {
            match images {
                Images::Bytes(bytes) => pipeline.apply_batch_bytes(bytes, range, shape, &samples, 1, epoch)?,
                Images::Floats(floats) => pipeline.apply_batch(floats, shape, &samples, 1, epoch)?,
            }
            Ok(())
        });
    }
    let one_hot = |i: usize| if i / CLASSES % CLASSES == i % CLASSES { 1.0 } else { 0.0 };
    let labels: Vec<f32> = (0..BATCH * CLASSES).map(one_hot).collect();
    seconds(options, images, |images, epoch| {
        let mut labels = labels.clone();
        let mut draws = Stream::new(1).op(op).epoch(epoch).draws();
        if op == "mixup" {
            let mixup = MixUp { alpha: 1.0 };
            let drawn = mixup.draw(&mut draws, BATCH);
            match images {
                Images::Bytes(bytes) => mixup.apply(bytes, size, &mut labels, CLASSES, &drawn)?,
                Images::Floats(floats) => mixup.apply(floats, size, &mut labels, CLASSES, &drawn)?,
            }
        } else {
            let cutmix = CutMix {
                factor: Factor::Single(1.0),
            };
            let drawn = cutmix.draw(&mut draws, BATCH, shape.into());
            match images {
                Images::Bytes(bytes) => cutmix.apply(bytes, shape.into(), &mut labels, CLASSES, &drawn)?,
                Images::Floats(floats) => cutmix.apply(floats, shape.into(), &mut labels, CLASSES, &drawn)?,
            }
        }
        Ok(())
    })
}

/// Bytes a second that are read and written where they lie, on all threads: what a transformation cannot surpass.
fn memory(options: &Options, images: &Images) -> Result<f64, Error> {
    let seconds = seconds(options, images, |images, _| {
        const AT_ONCE: usize = 1 << 14;
        match images {
            Images::Bytes(bytes) => bytes.par_chunks_mut(4 * AT_ONCE).for_each(|part| {
                part.iter_mut().for_each(|value| *value = !*value);
            }),
            Images::Floats(floats) => floats.par_chunks_mut(AT_ONCE).for_each(|part| {
                part.iter_mut().for_each(|value| *value = 1.0 - *value);
            }),
        }
        Ok(())
    })?;
    Ok(2.0 * images.size() as f64 / seconds)
}

fn main() -> Result<(), Error> {
    let options = Options::parse();
    rayon::ThreadPoolBuilder::new()
        .num_threads(options.threads)
        .use_current_thread()
        .build_global()?;
    let mut out = std::io::stdout().lock();
    for shape in &options.shapes {
        let sides: Vec<usize> = shape.split('x').map(str::parse).collect::<Result<_, _>>()?;
        let [height, width, channels] = sides[..] else {
            return Err(format!("'{shape}' is no shape such as 32x32x3").into());
        };
        for dtype in &options.dtypes {
            let images = Images::new(dtype, (height, width, channels))?;
            let bandwidth = memory(&options, &images)?;
            for op in &options.ops {
                // Grey has no colours, bytes hold no normalized values.
                if channels == 1 && (op == "huesat" || op == "grayscale") || op == "normalize" && dtype == "uint8" {
                    continue;
                }
                let seconds = case(&options, op, (height, width, channels), &images)?;
                let line = serde_json::json!({
                    "lib": "augmentation", "version": env!("CARGO_PKG_VERSION"), "op": op, "shape": shape, "dtype": dtype,
                    "mode": "in place", "per_sample": true, "batch": BATCH, "img_per_s": BATCH as f64 / seconds,
                    "bytes_per_s": images.size() as f64 / seconds, "memory_bytes_per_s": bandwidth,
                });
                writeln!(out, "{line}")?;
                out.flush()?;
            }
        }
    }
    Ok(())
}
