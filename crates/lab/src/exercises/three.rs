//! Exercise 3: what the families of optimizers change, and ten of them compared.

mod families;

use anyhow::Result;
use candle_core::{DType, Device};
use datasets::Dataset;
use models::{Network, zoo};
use nn_theory::SummaryOptions;
use optimizers_bench::{
    Budget, Learning, Plan, Results, Seconds, Shard, Study as Chosen, Sweep, Task, known_task, log_grid,
    tasks as known_tasks,
};
use report::format::count;
use report::{Answer, Block};
use training::Samples;

use super::data::{describe, subset};
use crate::comparison::{FIRST_REPORTED, OPTIMIZERS, REFERENCE, Study, headline, overall, paths, rules, verdict};
use crate::context::Context;

pub(super) fn answer(context: &Context, answer: &mut Answer) -> Result<()> {
    let dataset = context.dataset_or("digits")?;
    answer.text(
        "The question: which of the framework's optimizers trains a network best, how good does the network get, and how \
         fast? All of them start from the same weights and see the same batches; only the update rule differs.",
    );
    describe(&dataset, answer);
    families::families(answer);

    let learning = learning(context, &dataset)?;
    let tasks = tasks(&dataset, &learning)?;
    let plan = chosen(context).plan(&tasks)?;
    protocol(answer, &learning, &tasks);
    answer.table(rules(&plan));
    answer
        .setting("optimizers", plan.names())
        .setting("learning_rates", plan.learning_rates.clone())
        .setting("tuning_seeds", plan.tuning_seeds.clone())
        .setting("seeds", plan.seeds.clone())
        .setting("epochs", learning.epochs)
        .setting("batch_size", learning.batch_size);

    let bar = context
        .progress
        .bar("comparing optimizers", (plan.cells() * plan.runs_of_a_cell()) as u64);
    let outcome = plan.run(
        &tasks,
        &Sweep {
            workers: std::thread::available_parallelism().map_or(1, usize::from),
            shard: Shard::WHOLE,
            records: None,
            interrupt: context.interrupt(),
            on_run: &|progress| bar.set_position(progress.done as u64),
        },
    );
    bar.finish_and_clear();
    let cells = outcome?;
    let results = Results::of(&plan, &cells)?;
    let seconds = Seconds::of(&plan, &cells, &results);
    let study = Study {
        plan: &plan,
        results: &results,
        seconds: &seconds,
    };
    told(answer, &study)
}

/// The results: the data set first, then all tasks together, then the paths.
fn told(answer: &mut Answer, study: &Study<'_>) -> Result<()> {
    answer.heading("The result");
    study.task(answer, 0, false);
    verdict(answer, &study.results.tasks[0]);
    answer.heading("Is it the same elsewhere?");
    answer.text(
        "One data set says little about optimizers. The same study, in a small version, on functions whose lowest value is known and on a \
         regression:",
    );
    for index in 1..study.plan.tasks.len() {
        let (description, _) = study.described(index);
        let mut part = Answer::new(3, "");
        study.task(&mut part, index, false);
        answer.details(format!("{}: {}", description.name, description.title), part.blocks);
    }
    overall(answer, study);
    answer.heading("Ways down");
    paths(answer, &OPTIMIZERS, &study.plan.learning_rates)?;
    full_study(answer, study.plan);
    answer.headline(headline(study, 0));
    study.numbers(answer)
}

fn full_study(answer: &mut Answer, plan: &Plan) {
    answer.heading("The full study");
    answer.text(format!(
        "This page is the small study, of {} trainings. `lab sweep` runs the whole one, with full budgets, more seeds, the \
         lecture's network and MNIST; it can be stopped and continued, and divided among machines. The rules and where they come \
         from: `docs/benchmark-protocol.md`.",
        count(plan.cells() * plan.runs_of_a_cell())
    ));
    answer.code(
        "lab sweep                                        # the optimizers of this page, the tasks that need no download\n\
         lab sweep --tasks all --data-dir path/to/data    # with cats vs. dogs and MNIST\n\
         lab sweep --optimizers all --tasks digits_cnn    # every optimizer that there is\n\
         lab sweep --tasks all --shard 1/2 --out one      # on one machine, 2/2 on another, then\n\
         lab sweep merge one two --out both",
    );
}

/// The network and the budget for a data set: the lecture's network for two classes, a small CNN for small images, a
/// dense network for larger ones, so that hundreds of trainings take minutes.
fn learning(context: &Context, dataset: &Dataset) -> Result<Learning> {
    let [height, width, channels] = dataset.shape().map(|size| size as u64);
    let classes = dataset.classes.len();
    let (network, epochs, batch_size, most) = if classes == 2 {
        let network = zoo::lecture_network("cats_vs_dogs", height * width * channels)?;
        (network, context.pick(130, 20), 8, usize::MAX)
    } else if height * width <= 256 {
        (
            zoo::small_cnn("small_cnn", [height, width, channels], classes)?,
            context.pick(8, 4),
            32,
            usize::MAX,
        )
    } else {
        (
            zoo::mlp("mlp", height * width * channels, &[64], classes)?,
            context.pick(10, 3),
            32,
            context.pick(6000, 1500),
        )
    };
    let shapes = Network::new(network.clone(), context.seed, &Device::Cpu, DType::F32)?;
    let all = Samples::for_network(&subset(&dataset.train, most, context.seed), &shapes)?;
    let (train, validation) = all.split(0.2, context.seed)?;
    let test = Samples::for_network(&subset(&dataset.test, most, context.seed), &shapes)?;
    Ok(Learning {
        network,
        train,
        validation,
        test,
        epochs,
        batch_size,
    })
}

/// The data set, and small versions of the tasks that need none.
fn tasks(dataset: &Dataset, learning: &Learning) -> Result<Vec<Task>> {
    let title = format!(
        "the images of {}, the network {}",
        dataset.name,
        learning.network.name()
    );
    // A folder of images may have the name of a task.
    let name = match known_task(&dataset.name) {
        Ok(_) => format!("{} (images)", dataset.name),
        Err(_) => dataset.name.clone(),
    };
    let mut tasks = vec![Task::learning(name, title, learning.clone())?];
    for known in known_tasks().iter().filter(|known| known.dataset.is_none()) {
        tasks.push(known.build(None, Budget::Quick)?);
    }
    Ok(tasks)
}

fn chosen(context: &Context) -> Chosen {
    // Seeds that rates are chosen with are not those that are reported.
    let seeds = |first: u64, count: u64| (0..count).map(|i| context.seed.wrapping_add(first + i)).collect();
    Chosen {
        optimizers: OPTIMIZERS.map(str::to_string).to_vec(),
        learning_rates: context.pick(log_grid(1e-4, 10.0, 7), log_grid(1e-3, 1e-1, 3)),
        tuning_seeds: seeds(0, context.pick(2, 1)),
        seeds: seeds(FIRST_REPORTED, context.pick(10, 3)),
        reference: REFERENCE.to_string(),
    }
}

fn protocol(answer: &mut Answer, learning: &Learning, tasks: &[Task]) {
    answer.heading("The comparison");
    if let Ok(summary) = learning.network.summary(&SummaryOptions {
        line_length: Some(80),
        ..Default::default()
    }) {
        answer.details("The network", [Block::code(summary)]);
    }
    answer.text(format!(
        "{} samples to learn from, {} to choose rates on, {} to report on; {} epochs of batches of {}. Beside it, {} small tasks.",
        count(learning.train.len()),
        count(learning.validation.len()),
        count(learning.test.len()),
        learning.epochs,
        learning.batch_size,
        tasks.len() - 1
    ));
}
