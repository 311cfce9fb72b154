//! `bench peers`: every library trains the same nets, in turns, so that what disturbs the machine disturbs all of them.

use std::env;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;

use super::programs::{Found, Model, OURS, PROGRAMS, Precision, Program, Setting};
use super::results::{self, Contest};
use super::{Place, machine};
use crate::cargo;

/// Options of `bench peers`.
#[derive(Args)]
pub(crate) struct PeersArgs {
    #[command(flatten)]
    place: Place,
    /// Folder that holds `mnist` and `cats-dogs` [default: the environment variable CANDLE_LAB_DATA]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// How often every library trains every net
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// Threads of every library [default: all processors]
    #[arg(long)]
    threads: Option<usize>,
    /// Only these nets
    #[arg(long, value_enum, value_delimiter = ',')]
    model: Vec<Model>,
    /// Only these libraries, by their names in the table (this workspace always takes part)
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    peer: Vec<String>,
    /// Only with these numbers
    #[arg(long, value_enum, value_delimiter = ',')]
    precision: Vec<Precision>,
    /// Print only, write no file
    #[arg(long)]
    dry_run: bool,
}

impl PeersArgs {
    fn wants(&self, program: &Program) -> bool {
        program.name == OURS || self.peer.is_empty() || self.peer.iter().any(|name| name == program.name)
    }

    /// The nets and the numbers that they are trained in. bfloat16 is compared where a product is large enough to gain.
    fn contests(&self) -> Vec<Contest> {
        let all = [Model::Mlp, Model::Cnn, Model::Lenet, Model::Catsdogs];
        let whole = all.map(|model| (model, Precision::F32));
        let halves = [Model::Mlp, Model::Cnn].map(|model| (model, Precision::Bf16));
        whole
            .into_iter()
            .chain(halves)
            .filter(|(model, _)| self.model.is_empty() || self.model.contains(model))
            .filter(|(_, precision)| self.precision.is_empty() || self.precision.contains(precision))
            .map(|(model, precision)| Contest::new(model, precision))
            .collect()
    }
}

#[expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "xtask talks to the person who runs it"
)]
pub(crate) fn run(args: &PeersArgs) -> Result<ExitCode> {
    for name in &args.peer {
        if PROGRAMS.iter().all(|program| program.name != name) {
            let known: Vec<&str> = PROGRAMS.iter().map(|program| program.name).collect();
            anyhow::bail!("there is no library '{name}'; known are {}", known.join(", "));
        }
    }
    let data = args
        .data
        .clone()
        .or_else(|| env::var_os("CANDLE_LAB_DATA").map(PathBuf::from));
    let data = data.context(
        "the images are missing: name the folder that holds `mnist` and `cats-dogs` with --data or CANDLE_LAB_DATA \
         (`lab data fetch` gets them)",
    )?;
    let Some(ours) = cargo::build("training", &["--example", "train_speed"], &["--release"])? else {
        return Ok(ExitCode::FAILURE);
    };
    let setting = Setting {
        // The programs run in the workspace's folder or in any other.
        data: std::path::absolute(data)?,
        threads: args.threads.unwrap_or_else(machine::processors),
        ours,
        venvs: std::path::absolute(args.place.folder()?)?,
    };
    let mut programs = Vec::new();
    let mut missing = Vec::new();
    for program in PROGRAMS.iter().filter(|program| args.wants(program)) {
        match program.find(&setting)? {
            Found::Here(path) => programs.push((program, path)),
            Found::Missing(why) => missing.push((program.name, why)),
        }
    }
    let mut contests = args.contests();
    for round in 1..=args.rounds {
        for contest in &mut contests {
            for (program, path) in &programs {
                if !program.takes_part(contest.model, contest.precision) {
                    continue;
                }
                let name = format!("{} {} {}", contest.model.name(), contest.precision, program.name);
                match program.train(path, &setting, contest.model, contest.precision) {
                    Ok(run) => {
                        eprintln!(
                            "round {round} of {}: {name}: {:.0} images/s{}",
                            args.rounds,
                            run.images_per_second(),
                            run.others.map_or(String::new(), |share| format!(
                                ", {:.0} % of the processors taken by others",
                                100.0 * share
                            ))
                        );
                        contest.add(program.name, round, run);
                    }
                    Err(error) => {
                        eprintln!("round {round} of {}: {name}: {error}", args.rounds);
                        contest.fail(program.name, error.to_string());
                    }
                }
            }
        }
    }
    let report = results::Report {
        contests,
        missing,
        rounds: args.rounds,
        threads: setting.threads,
    };
    println!("{}", report.markdown());
    if !args.dry_run {
        let folder = cargo::root().join("docs").join("benchmarks");
        report.write(&folder)?;
        println!("written: {}", folder.join("training.md").display());
    }
    Ok(ExitCode::SUCCESS)
}
