//! `lab sweep`: optimizers compared on tasks, run by run, to a page.

mod merge;
mod outputs;
mod own;

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Result, bail};
use optimizers::catalogue;
use optimizers_bench::{Budget, KnownTask, Plan, Progress, Records, Study, Sweep, Task, known_task, tasks};
use report::format::{count, seconds};

use self::outputs::{Finished, show};
use crate::cli::{ALL, PlaceArgs, SizeArgs, SweepArgs, SweepCommand, SweepRunArgs};
use crate::comparison::{FIRST_REPORTED, OPTIMIZERS, REFERENCE, counted};
use crate::context::{Context, listen_for_interrupt};

pub(crate) fn run(args: &SweepArgs) -> Result<ExitCode> {
    match &args.command {
        Some(SweepCommand::Merge(args)) => merge::run(args)?,
        None => sweep(&args.run)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn sweep(args: &SweepRunArgs) -> Result<()> {
    let started = Instant::now();
    let context = Context::at(&PlaceArgs {
        data: args.data.clone(),
        data_dir: args.data_dir.clone(),
        size: SizeArgs {
            image_size: args.image_size,
        },
        device: "cpu".to_string(),
    })?;
    listen_for_interrupt()?;
    // A study that cannot be run and a folder that cannot be written to are said before data are fetched.
    let study = study(args)?;
    study.check()?;
    let own = own::network(args)?;
    let is_new = !args.out.exists();
    let records = Records::create(&args.out)?;
    let kept = records.verify()?;
    let built = built(args, &context).and_then(|mut tasks| {
        let own = own.map(|network| own::task(args, &context, network)).transpose()?;
        let trained_as = own.as_ref().map(|task| (task.name().to_string(), own::words(args)));
        tasks.extend(own);
        Ok((tasks, trained_as))
    });
    let (tasks, trained_as) = built.inspect_err(|_| {
        if is_new {
            remove_empty(&args.out);
        }
    })?;
    let plan = study.plan(&tasks)?;
    records.write_plan(&plan)?;
    let workers = args.workers.unwrap_or_else(cores);
    context.progress.line(&format!(
        "sweep: {} on {}, {} runs each, shard {}; {} records are in {}",
        counted(plan.optimizers.len(), "optimizer"),
        counted(plan.tasks.len(), "task"),
        plan.runs_of_a_cell(),
        args.shard,
        count(kept),
        args.out.display()
    ));
    carry_out(args, &context, &plan, &tasks, &records, workers)?;
    let finished = Finished {
        wall: Some((started.elapsed().as_secs_f64(), workers)),
        trained_as,
        ..Finished::gather(plan, &records)?
    };
    if finished.is_complete() {
        return show(&finished, &records, args.json);
    }
    outputs::incomplete(&finished, &records, args.json)
}

/// Takes away the folders that were made for records and got none.
fn remove_empty(out: &Path) {
    for folder in [out.join("records"), out.join("timings"), out.to_path_buf()] {
        // What holds something stays.
        let _ = std::fs::remove_dir(folder);
    }
}

/// Runs what is missing of this shard, telling how far it is.
fn carry_out(
    args: &SweepRunArgs,
    context: &Context,
    plan: &Plan,
    tasks: &[Task],
    records: &Records,
    workers: usize,
) -> Result<()> {
    let bar = context.progress.bar("runs", 0);
    let started = Instant::now();
    let told = std::sync::Mutex::new(0);
    let on_run = |progress: &Progress<'_>| {
        bar.set_length(progress.runs as u64);
        bar.set_position(progress.done as u64);
        bar.set_message(format!("{}, {}", progress.trial.task, progress.trial.optimizer));
        let percent = progress.done * 100 / progress.runs.max(1);
        let Ok(mut told) = told.lock() else { return };
        // One line a percent, where nobody watches a bar.
        if bar.is_hidden() && !progress.recorded && percent > *told {
            *told = percent;
            context.progress.line(&format!(
                "run {} of {}: {}, {} ({})",
                progress.done,
                progress.runs,
                progress.trial.task,
                progress.trial.optimizer,
                seconds(started.elapsed().as_secs_f64())
            ));
        }
    };
    let how = Sweep {
        workers,
        shard: args.shard,
        records: Some(records),
        interrupt: context.interrupt(),
        on_run: &on_run,
    };
    let outcome = plan.run(tasks, &how);
    bar.finish_and_clear();
    match outcome {
        Ok(_) => Ok(()),
        Err(optimizers_bench::Error::Interrupted { done, runs }) => bail!(
            "interrupted after {} of {} runs; they are kept in {}, and the same command goes on from there",
            count(done),
            count(runs),
            args.out.display()
        ),
        Err(error) => Err(error.into()),
    }
}

/// The study that the options name.
fn study(args: &SweepRunArgs) -> Result<Study> {
    let optimizers: Vec<String> = if args.optimizers.is_empty() {
        OPTIMIZERS.map(str::to_string).to_vec()
    } else if args.optimizers.iter().any(|name| name == ALL) {
        catalogue().iter().map(|info| info.name.to_string()).collect()
    } else {
        args.optimizers.clone()
    };
    let reference = match &args.reference {
        Some(name) if optimizers.contains(name) => name.clone(),
        Some(name) => bail!(
            "--reference {name} takes no part; use one of: {}, or add it to --optimizers",
            optimizers.join(", ")
        ),
        None if optimizers.iter().any(|name| name == REFERENCE) => REFERENCE.to_string(),
        None => optimizers[0].clone(),
    };
    let seeds = |first: u64, count: u64| (0..count).map(|i| args.seed.wrapping_add(first + i)).collect();
    Ok(Study {
        optimizers,
        learning_rates: args.learning_rates.0.clone(),
        tuning_seeds: seeds(0, args.seeds),
        seeds: seeds(FIRST_REPORTED, args.reported_seeds),
        reference,
    })
}

/// The built-in tasks that the options name, with their data.
fn built(args: &SweepRunArgs, context: &Context) -> Result<Vec<Task>> {
    let has_own = args.model.is_some() || args.data.is_some();
    let known: Vec<&KnownTask> = if args.tasks.is_empty() && has_own {
        Vec::new()
    } else if args.tasks.is_empty() {
        tasks().iter().filter(|task| task.is_embedded()).collect()
    } else if args.tasks.iter().any(|name| name == ALL) {
        tasks().iter().collect()
    } else {
        args.tasks
            .iter()
            .map(|name| known_task(name))
            .collect::<Result<_, _>>()?
    };
    let budget = if args.quick { Budget::Quick } else { Budget::Full };
    known
        .into_iter()
        .map(|known| {
            let dataset = known.dataset.map(|name| context.dataset_as_it_is(name)).transpose()?;
            context.check_interrupt()?;
            Ok(known.build(dataset.as_ref(), budget)?)
        })
        .collect()
}

/// Cores of this machine.
fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
