//! The programs that train: ours and the other libraries', and what they print.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use serde_json::Value;

use super::machine::Watch;
use crate::cargo;

/// The nets, as `crates/training/examples/train_speed.rs` writes them down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Model {
    Mlp,
    Cnn,
    Lenet,
    Catsdogs,
}

impl Model {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Model::Mlp => "mlp",
            Model::Cnn => "cnn",
            Model::Lenet => "lenet",
            Model::Catsdogs => "catsdogs",
        }
    }

    /// Training images and epochs of one run: seconds of training for the fastest library. The first epoch is warm-up.
    pub(crate) fn size(self) -> (usize, usize) {
        match self {
            Model::Mlp => (25_600, 5),
            Model::Cnn => (6_400, 4),
            Model::Lenet => (25_600, 4),
            Model::Catsdogs => (80, 60),
        }
    }

    /// The folder of its images in the folder of all data.
    pub(crate) fn data(self) -> &'static str {
        match self {
            Model::Catsdogs => "cats-dogs",
            _ => "mnist",
        }
    }
}

/// The numbers that a net is trained in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Precision {
    /// 32 bits throughout
    F32,
    /// products of bfloat16, sums and weights of 32 bits
    Bf16,
}

impl fmt::Display for Precision {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Precision::F32 => "f32",
            Precision::Bf16 => "bf16",
        })
    }
}

/// What a program is started with.
enum Kind {
    /// The example of this workspace; `high` for `MatmulPrecision::High` where `f32` is asked for.
    Ours { high: bool },
    /// `peers/train.py --framework` in the environment of this name.
    Python { environment: &'static str },
    /// `peers/burn --backend`.
    Burn { backend: &'static str },
}

/// One competitor.
pub(crate) struct Program {
    pub(crate) name: &'static str,
    kind: Kind,
    models: &'static [Model],
    /// Whether it trains in bfloat16 too.
    halves: bool,
}

const ALL: &[Model] = &[Model::Mlp, Model::Cnn, Model::Lenet, Model::Catsdogs];

/// The name of this workspace in tables.
pub(crate) const OURS: &str = "candle-lab";

/// Its name there where products of `f32` have twice the digits of bfloat16 only (`MatmulPrecision::High`).
pub(crate) const OURS_HIGH: &str = "candle-lab high";

/// Everything that can be compared. Burn's backend `ndarray` takes part only where it is not more than ten times slower than
/// `flex`.
pub(crate) const PROGRAMS: [Program; 7] = [
    Program {
        name: OURS,
        kind: Kind::Ours { high: false },
        models: ALL,
        halves: true,
    },
    Program {
        name: OURS_HIGH,
        kind: Kind::Ours { high: true },
        models: ALL,
        halves: false,
    },
    Program {
        name: "torch",
        kind: Kind::Python { environment: "torch" },
        models: ALL,
        halves: true,
    },
    Program {
        name: "keras-tf",
        kind: Kind::Python {
            environment: "keras-tf",
        },
        models: ALL,
        halves: false,
    },
    Program {
        name: "keras-jax",
        kind: Kind::Python {
            environment: "keras-jax",
        },
        models: ALL,
        halves: false,
    },
    Program {
        name: "burn-flex",
        kind: Kind::Burn { backend: "flex" },
        models: ALL,
        halves: false,
    },
    Program {
        name: "burn-ndarray",
        kind: Kind::Burn { backend: "ndarray" },
        models: &[Model::Mlp],
        halves: false,
    },
];

/// A program that is there, or how it gets there.
pub(crate) enum Found {
    Here(PathBuf),
    Missing(String),
}

/// What is the same for all runs.
pub(crate) struct Setting {
    /// The folder of all data.
    pub(crate) data: PathBuf,
    pub(crate) threads: usize,
    /// The example of this workspace, built.
    pub(crate) ours: PathBuf,
    /// The Python environments.
    pub(crate) venvs: PathBuf,
}

/// One process that trained one net.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    /// One JSON line an epoch, as printed.
    pub(crate) epochs: Vec<Value>,
    /// The share of all processors that other processes took meanwhile.
    pub(crate) others: Option<f64>,
}

impl Run {
    /// Images a second, the median over the epochs but the first.
    pub(crate) fn images_per_second(&self) -> f64 {
        let speeds = self.epochs.iter().skip(1).filter_map(|line| line["img_per_s"].as_f64());
        super::results::median(&speeds.collect::<Vec<_>>())
    }

    /// A number of the last epoch.
    pub(crate) fn last(&self, field: &str) -> Option<f64> {
        self.epochs.last()?[field].as_f64()
    }
}

impl Program {
    pub(crate) fn takes_part(&self, model: Model, precision: Precision) -> bool {
        self.models.contains(&model) && (precision == Precision::F32 || self.halves)
    }

    pub(crate) fn find(&self, setting: &Setting) -> Result<Found> {
        let (path, setup) = match &self.kind {
            Kind::Ours { .. } => (setting.ours.clone(), ""),
            Kind::Python { environment } => (python(&setting.venvs.join(environment)), *environment),
            Kind::Burn { .. } => {
                let release = cargo::target_folder()?.join("peers").join("burn").join("release");
                (
                    release.join(format!("burn-peer{}", std::env::consts::EXE_SUFFIX)),
                    "burn",
                )
            }
        };
        if path.is_file() {
            return Ok(Found::Here(path));
        }
        // Pages name no folder of the machine that they were written on.
        let place = path.strip_prefix(cargo::root()).unwrap_or(&path);
        Ok(Found::Missing(format!(
            "not installed ({} is not there): `cargo xtask bench setup --only {setup}`",
            place.display()
        )))
    }

    /// Trains one net in a process of its own.
    ///
    /// # Errors
    /// What the program wrote to stderr where it failed.
    pub(crate) fn train(&self, path: &Path, setting: &Setting, model: Model, precision: Precision) -> Result<Run> {
        let (images, epochs) = model.size();
        let mut command = Command::new(path);
        match &self.kind {
            Kind::Ours { high: true } => command.args(["--precision", "high"]),
            Kind::Ours { high: false } => command.args(["--precision", &precision.to_string()]),
            Kind::Python { .. } => {
                command.arg(cargo::root().join("peers").join("train.py"));
                command.args(["--framework", self.name, "--precision", &precision.to_string()])
            }
            Kind::Burn { backend } => command.args(["--backend", backend]),
        };
        let threads = setting.threads.to_string();
        command
            .args(["--model", model.name(), "--threads", &threads])
            .args(["--n", &images.to_string(), "--epochs", &epochs.to_string()])
            .arg("--data")
            .arg(folder(&setting.data, model))
            .env("RAYON_NUM_THREADS", &threads)
            .env("MATMUL_NUM_THREADS", &threads);
        let watch = Watch::start();
        let output = command
            .output()
            .with_context(|| format!("{} could not be started", path.display()))?;
        let others = watch.others();
        if !output.status.success() {
            let text = String::from_utf8_lossy(&output.stderr);
            let last = text.lines().rev().find(|line| !line.trim().is_empty());
            bail!("{}", last.unwrap_or("it failed without a word"));
        }
        let text = String::from_utf8_lossy(&output.stdout);
        let lines = text.lines().filter(|line| line.starts_with('{'));
        let epochs = lines.map(serde_json::from_str).collect::<Result<Vec<Value>, _>>();
        let epochs = epochs.context("its output is not one JSON object a line")?;
        if epochs.len() < 2 {
            bail!("it printed {} epochs, one of which is warm-up", epochs.len());
        }
        Ok(Run { epochs, others })
    }
}

/// The folder of the model's images, or the folder of all data where there is none of that name.
pub(crate) fn folder(data: &Path, model: Model) -> PathBuf {
    let below = data.join(model.data());
    if below.is_dir() { below } else { data.to_path_buf() }
}

/// The interpreter of a Python environment.
pub(crate) fn python(environment: &Path) -> PathBuf {
    if cfg!(windows) {
        environment.join("Scripts").join("python.exe")
    } else {
        environment.join("bin").join("python")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting() -> Setting {
        Setting {
            data: PathBuf::from("data"),
            threads: 2,
            ours: PathBuf::from(file!()),
            venvs: PathBuf::from("no/such/folder"),
        }
    }

    #[test]
    fn what_is_not_installed_says_how_to_install_it() {
        let torch = PROGRAMS.iter().find(|program| program.name == "torch").unwrap();
        let Found::Missing(why) = torch.find(&setting()).unwrap() else {
            panic!("there is nothing in no/such/folder");
        };
        assert!(why.contains("cargo xtask bench setup --only torch"), "{why}");
    }

    #[test]
    fn this_workspace_takes_part_in_everything() {
        for model in ALL {
            for precision in [Precision::F32, Precision::Bf16] {
                assert!(PROGRAMS[0].takes_part(*model, precision));
            }
        }
        let burn = PROGRAMS.iter().find(|program| program.name == "burn-ndarray").unwrap();
        assert!(burn.takes_part(Model::Mlp, Precision::F32) && !burn.takes_part(Model::Cnn, Precision::F32));
        assert!(!burn.takes_part(Model::Mlp, Precision::Bf16));
    }

    #[test]
    fn a_program_that_fails_says_why() {
        let here = setting();
        let error = PROGRAMS[0].train(Path::new("no/such/program"), &here, Model::Mlp, Precision::F32);
        assert!(error.unwrap_err().to_string().contains("could not be started"));
    }
}
