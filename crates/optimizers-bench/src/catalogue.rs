//! The tasks by name: from a bowl of ten numbers to MNIST.

use datasets::Dataset;
use kernels::random::Stream;
use models::zoo;
use nn_theory::{Activation, Dense, ModelSpec};
use training::Samples;

use crate::images::DIVISION;
use crate::{Error, Images, Landscape, Learning, Result, Surface, Task};

/// How much each run may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Budget {
    /// What the study is meant for.
    Full,
    /// A fraction of it, to try things out.
    Quick,
}

impl Budget {
    fn pick<T>(self, full: T, quick: T) -> T {
        match self {
            Budget::Full => full,
            Budget::Quick => quick,
        }
    }
}

/// A task that can be asked for by name.
#[derive(Clone, Copy, Debug)]
pub struct KnownTask {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub title: &'static str,
    /// The data set that it needs, by the name that `datasets` knows it by; `digits` is part of the program.
    pub dataset: Option<&'static str>,
    make: fn(&KnownTask, Option<&Dataset>, Budget) -> Result<Task>,
}

/// Images of MNIST that are learnt from and chosen on; all of them would make hours of minutes.
const OF_MNIST: usize = 12_000;

/// All tasks, the smallest first.
const TASKS: [KnownTask; 8] = [
    KnownTask {
        name: "quadratic",
        title: "a quadratic of 10 numbers with condition number 10,000, its axes those of the coordinates",
        dataset: None,
        make: |known, _, budget| quadratic(known, budget, false),
    },
    KnownTask {
        name: "quadratic_rotated",
        title: "the same quadratic, turned away from the coordinates",
        dataset: None,
        make: |known, _, budget| quadratic(known, budget, true),
    },
    KnownTask {
        name: "rosenbrock",
        title: "Rosenbrock's curved valley in the plane",
        dataset: None,
        make: |known, _, budget| {
            let surface = Surface::Rosenbrock { dimension: 2 };
            landscape(known, budget, surface)
        },
    },
    KnownTask {
        name: "regression",
        title: "a regression: Friedman's function of 10 numbers with noise, a dense network of 32 units",
        dataset: None,
        make: regression,
    },
    KnownTask {
        name: "digits_cnn",
        title: "the embedded digits, a CNN of two convolutions",
        dataset: Some("digits"),
        make: |known, dataset, budget| {
            let all = Images {
                epochs: budget.pick(12, 3),
                ..Images::default()
            };
            images(known, dataset, zoo::digits_cnn()?, all)
        },
    },
    KnownTask {
        name: "cats_dogs",
        title: "cats vs. dogs, the lecture's network of 2,056 parameters",
        dataset: Some("cats-dogs"),
        make: |known, dataset, budget| {
            let all = Images {
                epochs: budget.pick(130, 10),
                batch_size: 8,
                ..Images::default()
            };
            images(known, dataset, zoo::cats_vs_dogs()?, all)
        },
    },
    KnownTask {
        name: "mnist_mlp",
        title: "images of MNIST, a dense network of two layers of 512",
        dataset: Some("mnist"),
        make: |known, dataset, budget| images(known, dataset, zoo::mnist_mlp()?, of_mnist(budget, budget.pick(5, 1))),
    },
    KnownTask {
        name: "mnist_cnn",
        title: "images of MNIST, the CNN of Keras' example",
        dataset: Some("mnist"),
        make: |known, dataset, budget| images(known, dataset, zoo::mnist_cnn()?, of_mnist(budget, budget.pick(3, 1))),
    },
];

/// All tasks that have a name, the smallest first.
pub fn tasks() -> &'static [KnownTask] {
    &TASKS
}

/// The task of this name; `-` counts as `_`.
///
/// ```
/// use optimizers_bench::{Budget, known_task};
///
/// let task = known_task("rosenbrock")?.build(None, Budget::Full)?;
/// assert_eq!(task.description().guess, 0.0);
/// assert!(known_task("rosenbrok").unwrap_err().to_string().contains("did you mean 'rosenbrock'?"));
/// # Ok::<(), optimizers_bench::Error>(())
/// ```
///
/// # Errors
/// [`Error::UnknownTask`] with the nearest name.
pub fn known_task(name: &str) -> Result<&'static KnownTask> {
    let wanted = name.trim().replace('-', "_").to_lowercase();
    if let Some(known) = TASKS.iter().find(|known| known.name == wanted) {
        return Ok(known);
    }
    let shortened: String = wanted.chars().take(64).collect();
    let nearest = TASKS
        .iter()
        .map(|known| (strsim::damerau_levenshtein(&shortened, known.name), known.name))
        .min();
    Err(Error::UnknownTask {
        name: name.trim().chars().take(100).collect(),
        hint: match nearest {
            Some((edits, known)) if edits <= 1 + known.len() / 3 => format!("; did you mean '{known}'?"),
            _ => String::new(),
        },
        known: TASKS.iter().map(|known| known.name).collect::<Vec<_>>().join(", "),
    })
}

impl KnownTask {
    /// Whether nothing has to be fetched for it.
    pub fn is_embedded(&self) -> bool {
        matches!(self.dataset, None | Some("digits"))
    }

    /// The task, from its data set where it needs one ([`KnownTask::dataset`]).
    ///
    /// # Errors
    /// [`Error::Empty`] without the data set, [`Error::Training`] where its images do not fit the network.
    pub fn build(&self, dataset: Option<&Dataset>, budget: Budget) -> Result<Task> {
        (self.make)(self, dataset, budget)
    }
}

fn of_mnist(budget: Budget, epochs: usize) -> Images {
    Images {
        most: budget.pick(OF_MNIST, 1_200),
        validation: 1.0 / 6.0,
        epochs,
        batch_size: 64,
    }
}

fn images(known: &KnownTask, dataset: Option<&Dataset>, network: ModelSpec, images: Images) -> Result<Task> {
    let dataset = dataset.ok_or(Error::Empty {
        what: "data set of its images",
    })?;
    Task::images(known.name, known.title, network, dataset, images)
}

fn landscape(known: &KnownTask, budget: Budget, surface: Surface) -> Result<Task> {
    let steps = budget.pick(1000, 200);
    let landscape = Landscape {
        surface,
        steps,
        every: steps / 100,
    };
    Task::landscape(known.name, known.title, landscape)
}

fn quadratic(known: &KnownTask, budget: Budget, rotated: bool) -> Result<Task> {
    let surface = Surface::Quadratic {
        condition: 10_000.0,
        rotated,
        dimension: 10,
    };
    landscape(known, budget, surface)
}

/// Friedman's first function (1991): `y = 10 sin(π x₁ x₂) + 20 (x₃ - ½)² + 10 x₄ + 5 x₅ + ε` with ten inputs from `[0, 1]`, of
/// which five mean nothing, and `ε` of variance 1. Targets are centred and divided by 5, about their standard deviation.
fn friedman(count: usize, part: &str) -> Result<Samples> {
    let mut draws = Stream::new(DIVISION).op("friedman").layer(part).draws();
    let (mut inputs, mut targets) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let x: Vec<f64> = (0..10).map(|_| draws.uniform()).collect();
        let y = 10.0 * (std::f64::consts::PI * x[0] * x[1]).sin()
            + 20.0 * (x[2] - 0.5).powi(2)
            + 10.0 * x[3]
            + 5.0 * x[4]
            + draws.normal();
        inputs.extend(x.iter().map(|x| *x as f32));
        targets.push(((y - 14.4) / 5.0) as f32);
    }
    Ok(Samples::with_targets(inputs, vec![10], targets, vec![1])?)
}

fn regression(known: &KnownTask, _: Option<&Dataset>, budget: Budget) -> Result<Task> {
    let network = ModelSpec::sequential("regression")
        .input([10])
        .layer(Dense::new(32).activation(Activation::Relu))
        .layer(Dense::new(1))
        .build()
        .map_err(models::Error::from)?;
    let learning = Learning {
        network,
        train: friedman(400, "train")?,
        validation: friedman(200, "validation")?,
        test: friedman(1000, "test")?,
        epochs: budget.pick(40, 8),
        batch_size: 20,
    };
    Task::learning(known.name, known.title, learning)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Measure;

    #[test]
    fn every_embedded_task_can_be_built_and_says_what_it_is() {
        let digits = datasets::digits();
        for known in tasks().iter().filter(|known| known.is_embedded()) {
            for budget in [Budget::Full, Budget::Quick] {
                let dataset = known.dataset.map(|_| &digits);
                let task = known.build(dataset, budget).unwrap();
                let again = known.build(dataset, budget).unwrap();
                assert_eq!(task.description(), again.description(), "the same data every time");
                let description = task.description();
                assert_eq!(description.name, known.name);
                assert!(description.cost > 0.0 && description.epochs > 0 && description.steps_per_epoch > 0);
                assert_eq!(
                    description.guess,
                    if description.measure == Measure::Accuracy {
                        0.1
                    } else {
                        0.0
                    }
                );
            }
            let of = |budget| known.build(known.dataset.map(|_| &digits), budget).unwrap();
            let (full, quick) = (of(Budget::Full), of(Budget::Quick));
            assert!(full.description().cost > quick.description().cost);
            assert_ne!(full.description().fingerprint, quick.description().fingerprint);
        }
    }

    #[test]
    fn tasks_of_images_want_their_data() {
        for known in tasks().iter().filter(|known| known.dataset.is_some()) {
            assert!(matches!(known.build(None, Budget::Full), Err(Error::Empty { .. })));
        }
        let wrong = known_task("mnist-mlp")
            .unwrap()
            .build(Some(&datasets::digits()), Budget::Full);
        assert!(matches!(wrong, Err(Error::Training(_))));
    }

    #[test]
    fn far_names_get_no_suggestion() {
        let error = known_task("transformer")
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default();
        assert!(
            !error.contains("did you mean") && error.contains("digits_cnn"),
            "{error}"
        );
    }
}
