//! A small study: points of the plane and a bowl.

use std::sync::atomic::AtomicBool;

use kernels::random::Stream;
use nn_theory::{Activation, Dense, ModelSpec};
use optimizers_bench::{
    Cell, Landscape, Learning, Plan, Records, Result, Shard, Study, Surface, Sweep, Task, log_grid,
};
use training::Samples;

/// Points of the plane in three classes, with some of the labels wrong.
pub(crate) fn points(count: usize, seed: u64) -> Samples {
    let mut draws = Stream::new(seed).op("points").draws();
    let mut inputs = Vec::new();
    let mut labels = Vec::new();
    for _ in 0..count {
        let (x, y) = (draws.uniform_in(-1.0, 1.0), draws.uniform_in(-1.0, 1.0));
        inputs.extend([x as f32, y as f32]);
        let class = if x + y > 0.3 { 0 } else { 1 + u32::from(x > y) };
        labels.push(if draws.bernoulli(0.1) {
            draws.below(3) as u32
        } else {
            class
        });
    }
    Samples::new(inputs, vec![2], labels).unwrap()
}

pub(crate) fn learning() -> Learning {
    let network = ModelSpec::sequential("plane")
        .input([2])
        .layer(Dense::new(8).activation(Activation::Relu))
        .layer(Dense::new(3));
    Learning {
        network: network.build().unwrap(),
        train: points(60, 1),
        validation: points(40, 2),
        test: points(50, 3),
        epochs: 4,
        batch_size: 10,
    }
}

pub(crate) fn plane(learning: Learning) -> Task {
    Task::learning("plane", "points of the plane", learning).unwrap()
}

pub(crate) fn bowl() -> Task {
    let surface = Surface::Quadratic {
        condition: 20.0,
        rotated: true,
        dimension: 3,
    };
    let landscape = Landscape {
        surface,
        steps: 40,
        every: 5,
    };
    Task::landscape("bowl", "a bowl", landscape).unwrap()
}

pub(crate) fn tasks() -> Vec<Task> {
    vec![plane(learning()), bowl()]
}

pub(crate) fn study() -> Study {
    Study {
        optimizers: ["sgd", "adam", "sgd_momentum"].map(str::to_string).to_vec(),
        learning_rates: log_grid(1e-3, 1.0, 4),
        tuning_seeds: vec![1, 2],
        seeds: vec![11, 12, 13],
        reference: "sgd".to_string(),
    }
}

pub(crate) fn run(
    plan: &Plan,
    tasks: &[Task],
    workers: usize,
    shard: &str,
    records: Option<&Records>,
) -> Result<Vec<Option<Cell>>> {
    let shard: Shard = shard.parse()?;
    let how = Sweep {
        workers,
        shard,
        records,
        interrupt: &AtomicBool::new(false),
        on_run: &|_| (),
    };
    plan.run(tasks, &how)
}

/// Cells without the times of their runs.
pub(crate) fn timeless(cells: &[Option<Cell>]) -> Vec<Option<Cell>> {
    let mut cells = cells.to_vec();
    for cell in cells.iter_mut().flatten() {
        let Cell {
            tuning, tuned, untuned, ..
        } = cell;
        for run in tuning.iter_mut().chain(tuned).chain(untuned) {
            run.timing = Default::default();
        }
    }
    cells
}
