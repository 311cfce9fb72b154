//! `bench augmentation`: every transformation here and in other libraries, in turns.

use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result};
use clap::Args;

use super::cases::{Case, contends, merged};
use super::images::{Report, known};
use super::turns::{Library, TurnsArgs, taken};
use crate::cargo;

/// Options of `bench augmentation`.
#[derive(Args)]
pub(crate) struct AugmentationArgs {
    #[command(flatten)]
    turns: TurnsArgs,
    /// Only these operations
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "NAME",
        default_value = "flip,invert,crop,rotate,translate,zoom,contrast,brightness,huesat,blur,erasing,mixup,cutmix,randaugment,pipeline,grayscale,posterize,solarize,equalize,autocontrast,sharpness,normalize,noise,motionblur,jpeg"
    )]
    op: Vec<String>,
    /// Height, width and channels of the images
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "HxWxC",
        default_value = "28x28x1,32x32x3,224x224x3"
    )]
    shape: Vec<String>,
    /// Number formats: uint8, float32
    #[arg(long, value_delimiter = ',', value_name = "NAME", default_value = "uint8,float32")]
    dtype: Vec<String>,
    /// Only these libraries (this workspace always takes part)
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "NAME",
        default_value = "torchvision,kornia,albumentations,keras"
    )]
    peer: Vec<String>,
    /// Measured blocks of a turn, of which the median counts; a shape's page is written after its last round
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..))]
    blocks: u16,
    /// Modes of the other libraries: the fastest of each [default: procs, batch, tfdata], and per-image, call
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "NAME",
        default_value = "procs,batch,tfdata",
        hide_default_value = true
    )]
    mode: Vec<String>,
    /// Keep the cases of augmentation.json that are not measured now, so that the whole table can be made in parts
    #[arg(long)]
    add: bool,
}

/// The other libraries, the environments that have them, and the modes that `peers/augment.py` has for them.
const PEERS: [Library; 4] = [
    Library {
        name: "torchvision",
        environment: "torch",
        modes: &["procs", "per-image"],
    },
    Library {
        name: "kornia",
        environment: "torch",
        modes: &["batch"],
    },
    Library {
        name: "albumentations",
        environment: "albumentations",
        modes: &["per-image", "procs"],
    },
    Library {
        name: "keras",
        environment: "keras-tf",
        modes: &["tfdata", "call"],
    },
];

#[expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "xtask talks to the person who runs it"
)]
pub(crate) fn run(args: &AugmentationArgs) -> Result<ExitCode> {
    let turns = &args.turns;
    let Some(ours) = turns.ours("augmentation", "augment_speed")? else {
        return Ok(ExitCode::FAILURE);
    };
    let (others, missing) = turns.others(&PEERS, &args.peer, &args.mode, "augment.py", "--lib")?;
    let (dtypes, blocks) = (args.dtype.join(","), args.blocks.to_string());
    let folder = cargo::root().join("docs").join("benchmarks");
    let mut report = Report {
        cases: if args.add {
            known(&folder, turns.threads())?
        } else {
            Vec::new()
        },
        missing,
        threads: turns.threads(),
    };
    for shape in &args.shape {
        let mut cases: Vec<Case> = Vec::new();
        for round in 1..=turns.rounds {
            for competitor in std::iter::once(&ours).chain(&others) {
                let operations: Vec<&str> = args
                    .op
                    .iter()
                    .map(String::as_str)
                    .filter(|op| contends(&cases, competitor.name, op, shape))
                    .collect();
                if operations.is_empty() {
                    continue;
                }
                let operations = operations.join(",");
                let words = [
                    "--ops",
                    &operations,
                    "--shapes",
                    shape,
                    "--dtypes",
                    &dtypes,
                    "--blocks",
                    &blocks,
                ];
                let start = Instant::now();
                let (lines, others) = competitor.take_turn(turns, &words)?;
                eprintln!(
                    "round {round} of {}: {shape}, {}: {} cases in {:.0} s{}",
                    turns.rounds,
                    competitor.name,
                    lines.len(),
                    start.elapsed().as_secs_f64(),
                    taken(others)
                );
                for line in lines {
                    cases.push(Case::new(competitor.name, line, round, others).context("a line lacks a field")?);
                }
            }
        }
        report.cases = merged(report.cases, cases);
        // After each shape, so that what was measured is kept where the rest is not.
        if !turns.dry_run {
            report.write(&folder)?;
            eprintln!("written: {}", folder.join("augmentation.md").display());
        }
    }
    println!("{}", report.markdown());
    Ok(ExitCode::SUCCESS)
}
