//! Functions of a few numbers whose minimum is known: what an optimizer does without noise, data or networks.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use candle_core::{Device, Tensor, Var};
use kernels::random::Stream;
use optimizers::{Optimizer, OptimizerBuilder, Parameter};
use serde::{Deserialize, Serialize};

use crate::trial::{Outcome, Point, Timing};
use crate::{Error, Result};

/// A function with its lowest value, 0, at the point `(1, …, 1)`.
///
/// The lowest point is not the origin: methods with weight decay would be drawn there for another reason.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Surface {
    /// `f(x) = ½ Σ λ_i y_i²` with `y = H (x - 1)`, where the `λ_i` go from `1 / condition` to 1 in equal ratios. `H` is the
    /// identity, or a reflection `I - 2 v vᵀ` that turns the axes of the valley away from those of the coordinates.
    Quadratic {
        /// Largest `λ` divided by the smallest.
        condition: f64,
        /// Whether the valley lies across the coordinates.
        rotated: bool,
        /// Number of coordinates.
        dimension: usize,
    },
    /// `f(x) = Σ 100 (x_{i+1} - x_i²)² + (1 - x_i)²` (Rosenbrock 1960): a curved, flat valley between steep walls.
    Rosenbrock {
        /// Number of coordinates, at least 2.
        dimension: usize,
    },
}

impl Surface {
    /// Number of coordinates.
    pub fn dimension(&self) -> usize {
        match self {
            Surface::Quadratic { dimension, .. } | Surface::Rosenbrock { dimension } => *dimension,
        }
    }

    /// The value at `x`.
    ///
    /// ```
    /// use optimizers_bench::Surface;
    ///
    /// let valley = Surface::Rosenbrock { dimension: 2 };
    /// assert_eq!((valley.value(&[1.0, 1.0]), valley.value(&[0.0, 0.0])), (0.0, 1.0));
    /// assert_eq!(valley.gradient(&[0.0, 0.0]), [-2.0, 0.0]);
    /// ```
    pub fn value(&self, x: &[f64]) -> f64 {
        match self {
            Surface::Quadratic { .. } => {
                let y = self.turned(x.iter().map(|x| x - 1.0).collect());
                let weighted = y.iter().zip(self.curvatures()).map(|(y, lambda)| lambda * y * y);
                weighted.sum::<f64>() / 2.0
            }
            Surface::Rosenbrock { .. } => x
                .windows(2)
                .map(|pair| 100.0 * (pair[1] - pair[0] * pair[0]).powi(2) + (1.0 - pair[0]).powi(2))
                .sum(),
        }
    }

    /// The gradient at `x`.
    pub fn gradient(&self, x: &[f64]) -> Vec<f64> {
        match self {
            Surface::Quadratic { .. } => {
                let y = self.turned(x.iter().map(|x| x - 1.0).collect());
                let scaled = y.iter().zip(self.curvatures()).map(|(y, lambda)| lambda * y);
                // The reflection is its own transpose.
                self.turned(scaled.collect())
            }
            Surface::Rosenbrock { .. } => {
                let mut gradient = vec![0.0; x.len()];
                for i in 0..x.len().saturating_sub(1) {
                    let off = x[i + 1] - x[i] * x[i];
                    gradient[i] += -400.0 * x[i] * off - 2.0 * (1.0 - x[i]);
                    gradient[i + 1] += 200.0 * off;
                }
                gradient
            }
        }
    }

    /// Where the runs of a seed begin.
    ///
    /// Quadratics: each coordinate is drawn from a normal distribution around the lowest point. Rosenbrock: at his `(-1.2, 1)`
    /// (and so on for more coordinates), moved a little by the seed.
    pub fn start(&self, seed: u64) -> Vec<f64> {
        let mut draws = Stream::new(seed).op("start").draws();
        (0..self.dimension())
            .map(|i| match self {
                Surface::Quadratic { .. } => 1.0 + draws.normal(),
                Surface::Rosenbrock { .. } => (if i % 2 == 0 { -1.2 } else { 1.0 }) + 0.1 * draws.normal(),
            })
            .collect()
    }

    fn curvatures(&self) -> impl Iterator<Item = f64> + use<> {
        let (condition, dimension) = match self {
            Surface::Quadratic {
                condition, dimension, ..
            } => (*condition, *dimension),
            Surface::Rosenbrock { dimension } => (1.0, *dimension),
        };
        let last = dimension.saturating_sub(1).max(1) as f64;
        (0..dimension).map(move |i| condition.powf(i as f64 / last - 1.0))
    }

    /// Applies the reflection, where there is one: one direction, the same for all runs.
    fn turned(&self, mut y: Vec<f64>) -> Vec<f64> {
        let Surface::Quadratic { rotated: true, .. } = self else {
            return y;
        };
        let mut draws = Stream::new(0).op("reflection").draws();
        let v: Vec<f64> = y.iter().map(|_| draws.normal()).collect();
        let length: f64 = v.iter().map(|v| v * v).sum();
        let along: f64 = v.iter().zip(&y).map(|(v, y)| v * y).sum::<f64>() * 2.0 / length;
        y.iter_mut().zip(&v).for_each(|(y, v)| *y -= along * v);
        y
    }
}

/// A surface and how long it may be walked on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Landscape {
    /// The function.
    pub surface: Surface,
    /// Steps of a run.
    pub steps: u64,
    /// Steps between two points of its curve.
    pub every: u64,
}

/// What the state of an optimizer is kept under.
const PATH: &str = "x";

/// The score where the lowest value was met to the last bit; `f64` has about 16 decimal digits.
pub(crate) const MOST_ORDERS: f64 = 16.0;

/// By how many powers of ten the value fell: `log10(f(start) / f(x))`, from 0 to 16.
fn orders(start: f64, now: f64) -> f64 {
    (start / now).log10().clamp(0.0, MOST_ORDERS)
}

/// The way of an optimizer on a surface: the points after each step, the start first.
///
/// Where an optimizer evaluates with other weights than it trains (schedule-free methods, moving averages), they are the points to
/// evaluate with: what a network would be used with if the training ended there.
#[derive(Clone, Debug, PartialEq)]
pub struct Trajectory {
    /// The points, as long as they were numbers.
    pub points: Vec<Vec<f64>>,
    /// Whether they stopped being numbers.
    pub diverged: bool,
}

/// Follows an optimizer for `steps` steps from `start`.
///
/// ```
/// use optimizers::Optimizer;
/// use optimizers_bench::{Surface, trajectory};
///
/// let valley = Surface::Quadratic { condition: 10.0, rotated: false, dimension: 2 };
/// let mut sgd = Optimizer::builder("sgd")?.learning_rate(1.0).build()?;
/// let path = trajectory(&valley, &mut sgd, &[3.0, 3.0], 200)?;
/// assert_eq!(path.points.len(), 201);
/// assert!(valley.value(&path.points[200]) < 1e-9);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`Error::Optimizer`] where the optimizer refuses a step for another reason than a gradient that is not finite.
pub fn trajectory(surface: &Surface, optimizer: &mut Optimizer, start: &[f64], steps: u64) -> Result<Trajectory> {
    let mut points = vec![start.to_vec()];
    let finished = walk(surface, optimizer, start, steps, |_, x| {
        points.push(x.to_vec());
        true
    })?;
    Ok(Trajectory {
        points,
        diverged: !finished,
    })
}

/// The path of the optimizer of this name at the rate of `rates` with which it gets lowest, and that rate; where it
/// diverges at every rate, the path of the smallest one.
///
/// # Errors
/// As [`trajectory`]; [`Error::Empty`] without rates.
pub fn best_trajectory(
    surface: &Surface,
    optimizer: &str,
    rates: &[f64],
    start: &[f64],
    steps: u64,
) -> Result<(f64, Trajectory)> {
    let mut best: Option<(f64, f64, Trajectory)> = None;
    for &rate in rates {
        let builder = Optimizer::builder(optimizer)?.learning_rate(rate);
        let mut optimizer = builder.build_for([(PATH, [surface.dimension()].as_slice())])?;
        let path = trajectory(surface, &mut optimizer, start, steps)?;
        let end = match path.points.last() {
            Some(end) if !path.diverged => surface.value(end),
            _ => f64::INFINITY,
        };
        if best.as_ref().is_none_or(|(lowest, ..)| end < *lowest) {
            best = Some((end, rate, path));
        }
    }
    let (_, rate, path) = best.ok_or(Error::Empty { what: "learning rate" })?;
    Ok((rate, path))
}

/// Calls `each(step, x)` after every step, with the point to evaluate with, until it says no; `false` where a point or a gradient is not
/// finite.
fn walk(
    surface: &Surface,
    optimizer: &mut Optimizer,
    start: &[f64],
    steps: u64,
    mut each: impl FnMut(u64, &[f64]) -> bool,
) -> Result<bool> {
    let var = Var::from_vec(start.to_vec(), start.len(), &Device::Cpu).map_err(training::Error::from)?;
    let mut x = start.to_vec();
    for step in 1..=steps {
        let slope = surface.gradient(&x);
        if slope.iter().any(|slope| !slope.is_finite()) {
            return Ok(false);
        }
        let gradient = Tensor::from_vec(slope, x.len(), &Device::Cpu).map_err(training::Error::from)?;
        let parameter = Parameter {
            path: PATH,
            var: &var,
            gradient: &gradient,
        };
        match optimizer.apply(&[parameter]) {
            Err(optimizers::Error::NonFiniteGradient { .. }) => return Ok(false),
            done => done?,
        }
        x = var.to_vec1().map_err(training::Error::from)?;
        if x.iter().any(|x| !x.is_finite()) {
            return Ok(false);
        }
        let goes_on = match evaluated(optimizer, &var)? {
            Some(evaluated) => each(step, &evaluated),
            None => each(step, &x),
        };
        if !goes_on {
            return Ok(true);
        }
    }
    Ok(true)
}

/// The point to evaluate with, where it is another than the one that gradients are taken at.
fn evaluated(optimizer: &mut Optimizer, var: &Var) -> Result<Option<Vec<f64>>> {
    if !optimizer.has_averages() {
        return Ok(None);
    }
    optimizer.exchange_averages(&[(PATH, var)])?;
    let x = var.to_vec1().map_err(training::Error::from)?;
    optimizer.exchange_averages(&[(PATH, var)])?;
    Ok(Some(x))
}

impl Landscape {
    /// One run from the point of `seed`.
    pub(crate) fn attempt(
        &self,
        optimizer: OptimizerBuilder,
        seed: u64,
        interrupt: &AtomicBool,
    ) -> Result<(Outcome, Timing)> {
        let started = Instant::now();
        let surface = &self.surface;
        let mut optimizer = optimizer.build_for([(PATH, [surface.dimension()].as_slice())])?;
        let start = surface.start(seed);
        let first = surface.value(&start);
        let mut curve = Vec::new();
        let mut points = Vec::new();
        let mut last = first;
        let mut stopped = false;
        let finished = walk(surface, &mut optimizer, &start, self.steps, |step, x| {
            stopped = interrupt.load(Ordering::Relaxed);
            if step.is_multiple_of(self.every) || step == self.steps {
                last = surface.value(x);
                if last.is_finite() {
                    let (loss, score) = (Some(last), orders(first, last));
                    curve.push(Point { step, loss, score });
                    points.push(started.elapsed().as_secs_f64());
                }
            }
            last.is_finite() && !stopped
        })?;
        if stopped {
            return Err(Error::Interrupted { done: 0, runs: 1 });
        }
        let diverged = !finished || !last.is_finite();
        let score = if diverged { 0.0 } else { orders(first, last) };
        let outcome = Outcome {
            curve,
            validation: score,
            validation_loss: (!diverged).then_some(last),
            test: score,
            diverged,
        };
        let seconds = started.elapsed().as_secs_f64();
        Ok((outcome, Timing { seconds, points }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn surfaces() -> [Surface; 4] {
        let quadratic = |rotated, dimension| Surface::Quadratic {
            condition: 1000.0,
            rotated,
            dimension,
        };
        [
            quadratic(false, 5),
            quadratic(true, 5),
            Surface::Rosenbrock { dimension: 2 },
            Surface::Rosenbrock { dimension: 5 },
        ]
    }

    #[test]
    fn gradients_are_central_differences() {
        for surface in surfaces() {
            let x = surface.start(3);
            for (i, slope) in surface.gradient(&x).into_iter().enumerate() {
                let h = 1e-6;
                let (mut above, mut below) = (x.clone(), x.clone());
                (above[i], below[i]) = (x[i] + h, x[i] - h);
                let difference = (surface.value(&above) - surface.value(&below)) / (2.0 * h);
                assert!(
                    (slope - difference).abs() <= 1e-6 * (1.0 + slope.abs()),
                    "{surface:?} {i}"
                );
            }
        }
    }

    #[test]
    fn the_lowest_point_is_where_it_is_said_to_be() {
        for surface in surfaces() {
            let lowest = vec![1.0; surface.dimension()];
            assert_eq!(surface.value(&lowest), 0.0);
            assert!(surface.gradient(&lowest).iter().all(|slope| *slope == 0.0));
            assert!(surface.value(&surface.start(1)) > 0.0);
            assert_ne!(surface.start(1), surface.start(2));
        }
    }

    /// `H` is orthogonal, so the curvatures along its rows are the `λ_i`, and their ratio is the condition number.
    #[test]
    fn a_rotated_valley_has_the_same_curvatures() {
        let [plain, rotated, ..] = surfaces();
        let axis = |i: usize| -> Vec<f64> { (0..5).map(|j| f64::from(u8::from(i == j))).collect() };
        for i in 0..5 {
            let along: Vec<f64> = rotated.turned(axis(i)).iter().map(|h| 1.0 + h).collect();
            let expected = plain.value(&axis(i).iter().map(|h| 1.0 + h).collect::<Vec<_>>());
            assert!((rotated.value(&along) - expected).abs() < 1e-12);
        }
        let of = |i: usize| plain.value(&axis(i).iter().map(|h| 1.0 + h).collect::<Vec<_>>());
        assert!((of(4) / of(0) - 1000.0).abs() < 1e-9);
        // a step along a coordinate is no step along the valley
        assert!(
            rotated
                .gradient(&[2.0, 1.0, 1.0, 1.0, 1.0])
                .iter()
                .all(|slope| slope.abs() > 1e-6)
        );
    }

    #[test]
    fn orders_count_powers_of_ten() {
        assert!((orders(10.0, 0.01) - 3.0).abs() < 1e-12);
        assert_eq!((orders(1.0, 0.0), orders(1.0, 2.0)), (16.0, 0.0));
    }

    /// `y` is where the gradients of Schedule-Free SGD are taken, `x` the mean that it evaluates with.
    #[test]
    fn schedule_free_methods_are_measured_where_they_evaluate() {
        let surface = Surface::Quadratic {
            condition: 10.0,
            rotated: false,
            dimension: 2,
        };
        let free = || Optimizer::builder("schedule_free_sgd").unwrap().learning_rate(0.5);
        let path = trajectory(&surface, &mut free().build().unwrap(), &[3.0, -1.0], 20).unwrap();
        for (i, lambda) in [0.1, 1.0].into_iter().enumerate() {
            let start = path.points[0][i];
            let (mut x, mut y, mut z) = (start, start, start);
            for step in 1..=20 {
                z -= 0.5 * lambda * (y - 1.0);
                x += (z - x) / f64::from(step);
                y = 0.1 * z + 0.9 * x;
                assert!((path.points[step as usize][i] - x).abs() < 1e-12, "{step} {i}");
            }
            assert!((x - y).abs() > 1e-3);
        }
        // The score is that of the same points.
        let landscape = Landscape {
            surface: surface.clone(),
            steps: 20,
            every: 5,
        };
        let path = trajectory(&surface, &mut free().build().unwrap(), &surface.start(1), 20).unwrap();
        let (outcome, _) = landscape.attempt(free(), 1, &AtomicBool::new(false)).unwrap();
        for point in &outcome.curve {
            assert_eq!(point.loss, Some(surface.value(&path.points[point.step as usize])));
        }
    }

    /// Gradient descent on `½ λ y²` multiplies `y` by `1 - η λ` in each step: the whole path is known.
    #[test]
    fn gradient_descent_goes_where_the_formula_says() {
        let surface = Surface::Quadratic {
            condition: 10.0,
            rotated: false,
            dimension: 2,
        };
        let mut sgd = Optimizer::builder("sgd").unwrap().learning_rate(0.5).build().unwrap();
        let path = trajectory(&surface, &mut sgd, &[3.0, -1.0], 20).unwrap();
        for (step, point) in path.points.iter().enumerate() {
            let factor = |lambda: f64| (1.0 - 0.5 * lambda).powi(step as i32);
            assert!((point[0] - 1.0 - 2.0 * factor(0.1)).abs() < 1e-12);
            assert!((point[1] - 1.0 + 2.0 * factor(1.0)).abs() < 1e-12);
        }
        // above 2 / λ it grows without end
        let landscape = Landscape {
            surface,
            steps: 10_000,
            every: 10,
        };
        let wild = Optimizer::builder("sgd").unwrap().learning_rate(5.0);
        let (outcome, timing) = landscape.attempt(wild, 1, &AtomicBool::new(false)).unwrap();
        assert!(outcome.diverged && outcome.validation == 0.0 && outcome.validation_loss.is_none());
        assert_eq!(outcome.curve.len(), timing.points.len());
        assert!(outcome.curve.len() < 1000);
    }
}
