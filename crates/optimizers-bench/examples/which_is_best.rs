//! Which of some optimizers is best on a task, and can one tell? `cargo run -p optimizers-bench --example which_is_best -- adam lion`
//! (without names: three of them).

use std::io::Write as _;
use std::sync::atomic::AtomicBool;

use optimizers_bench::{Budget, Results, Shard, Study, Sweep, known_task, log_grid};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut optimizers: Vec<String> = std::env::args().skip(1).collect();
    if optimizers.is_empty() {
        optimizers = ["sgd_momentum", "adam", "adagrad"].map(str::to_string).to_vec();
    }
    let tasks = [known_task("rosenbrock")?.build(None, Budget::Quick)?];
    let study = Study {
        reference: optimizers[0].clone(),
        optimizers,
        learning_rates: log_grid(1e-4, 1.0, 5),
        tuning_seeds: vec![1, 2],
        seeds: (11..=20).collect(),
    };
    let plan = study.plan(&tasks)?;
    let how = Sweep {
        workers: std::thread::available_parallelism()?.get(),
        shard: Shard::WHOLE,
        records: None, // a folder here lets a sweep go on where it was interrupted
        interrupt: &AtomicBool::new(false),
        on_run: &|_| {},
    };
    let results = Results::of(&plan, &plan.run(&tasks, &how)?)?;

    let mut standings = results.tasks[0].standings.clone();
    standings.sort_by(|a, b| b.test.mean.total_cmp(&a.test.mean));
    let mut out = std::io::stdout().lock();
    for standing in &standings {
        let tie = if standing.test.upper >= standings[0].test.lower {
            ""
        } else {
            "  behind the first"
        };
        let (name, rate, test) = (&standing.optimizer, standing.learning_rate, &standing.test);
        writeln!(
            out,
            "{name:>12}: fell by {:.1} [{:.1}, {:.1}] orders of magnitude with rate {rate:.4}{tie}",
            test.mean, test.lower, test.upper
        )?;
    }
    Ok(())
}
