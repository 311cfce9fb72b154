//! L-BFGS: Newton's method from the last few gradients.

use std::collections::VecDeque;

use candle_core::{DType, Tensor, Var, backprop::GradStore};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::algorithm::{Check, fields};
use crate::config::{merge, object};
use crate::error::{Error, Result};
use crate::line_search::{Point, strong_wolfe};
use crate::options::checked_rate;
use crate::rule::set;

/// How far a step goes along its direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LineSearch {
    /// As far as the strong Wolfe conditions ask for, by cubic interpolation.
    StrongWolfe,
}

/// Limited-memory BFGS (PyTorch `torch.optim.LBFGS`), for losses over all data, which are the same whenever they are measured.
///
/// The direction `d = -H g` is made from the last `history_size` pairs of steps `s` and differences of gradients `y`: with
/// `rho = 1 / <y, s>`, `q = -g`; from the newest to the oldest pair `a = rho <s, q>`, `q <- q - a y`; `r = <y, s> / <y, y> q`; from
/// the oldest to the newest `b = rho <y, r>`, `r <- r + (a - b) s`; `d = r`. Then `w <- w + t d`, where `t` is the learning rate (at
/// the very first step at most `1 / |g|_1` times it), or what the line search finds. One [`step`](Self::step) makes up to
/// `max_iter` such iterations.
///
/// Defaults: `lr` 1, `max_iter` 20, `max_eval` `max_iter 5 / 4`, `tolerance_grad` 1e-7, `tolerance_change` 1e-9, `history_size` 100, no
/// line search. State: `16 + 16 history_size` bytes a parameter, in double precision whatever the weights are. Paper: Liu and
/// Nocedal, *On the limited memory BFGS method for large scale optimization*, 1989.
///
/// ```
/// use candle_core::{Device, Tensor, Var};
/// use optimizers::{Lbfgs, LineSearch};
///
/// // Rosenbrock's valley.
/// let w = Var::new(&[-1.2_f64, 1.0], &Device::Cpu)?;
/// let loss = || -> candle_core::Result<Tensor> {
///     let (x, y) = (w.get(0)?, w.get(1)?);
///     let wall = (y - x.sqr()?)?.sqr()?.affine(100.0, 0.0)?;
///     wall + x.affine(-1.0, 1.0)?.sqr()?
/// };
/// let mut lbfgs = Lbfgs::default().line_search(LineSearch::StrongWolfe).max_iter(100)?;
/// lbfgs.step(&[("w", &w)], || -> Result<_, Box<dyn std::error::Error>> {
///     let loss = loss()?;
///     Ok((loss.to_scalar::<f64>()?, loss.backward()?))
/// })?;
/// assert!(loss()?.to_scalar::<f64>()? < 1e-8);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Lbfgs {
    options: Options,
    pub(crate) memory: Memory,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Options {
    lr: f64,
    max_iter: usize,
    max_eval: Option<usize>,
    tolerance_grad: f64,
    tolerance_change: f64,
    history_size: usize,
    line_search_fn: Option<LineSearch>,
    maximize: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            lr: 1.0,
            max_iter: 20,
            max_eval: None,
            tolerance_grad: 1e-7,
            tolerance_change: 1e-9,
            history_size: 100,
            line_search_fn: None,
            maximize: false,
        }
    }
}

impl Options {
    fn max_eval(&self) -> usize {
        self.max_eval.unwrap_or(self.max_iter.saturating_mul(5) / 4)
    }

    fn validate(&self) -> Result<()> {
        let check = Check("LBFGS");
        checked_rate(self.lr)?;
        let counts = [
            ("max_iter", self.max_iter),
            ("max_eval", self.max_eval.unwrap_or(1)),
            ("history_size", self.history_size),
        ];
        for (option, count) in counts {
            check.that(count > 0, option, count, "a whole number of at least 1")?;
        }
        check.not_negative("tolerance_grad", self.tolerance_grad)?;
        check.not_negative("tolerance_change", self.tolerance_change)
    }
}

/// What is remembered from step to step. Vectors are all parameters one behind the other.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Memory {
    /// The parameters of the last step.
    pub(crate) parameters: Vec<(String, Vec<usize>)>,
    pub(crate) iterations: u64,
    pub(crate) evaluations: u64,
    pub(crate) direction: Vec<f64>,
    /// How far the last step went along the direction.
    pub(crate) length: f64,
    pub(crate) scale: f64,
    pub(crate) gradient: Vec<f64>,
    /// Differences of gradients and steps, the oldest first.
    pub(crate) pairs: VecDeque<(Vec<f64>, Vec<f64>)>,
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// `a + factor b`.
fn add(a: &mut [f64], factor: f64, b: &[f64]) {
    a.iter_mut().zip(b).for_each(|(a, b)| *a += factor * b);
}

fn largest(a: &[f64]) -> f64 {
    a.iter().fold(0.0, |most, value| most.max(value.abs()))
}

impl Memory {
    /// The direction of the next iteration, after the difference to the last gradient was learnt.
    fn turn(&mut self, gradient: &[f64], history_size: usize) {
        let mut q: Vec<f64> = gradient.iter().map(|g| -g).collect();
        if self.iterations == 1 {
            (self.scale, self.direction) = (1.0, q);
            return self.pairs.clear();
        }
        let y: Vec<f64> = gradient
            .iter()
            .zip(&self.gradient)
            .map(|(new, old)| new - old)
            .collect();
        let s: Vec<f64> = self.direction.iter().map(|d| d * self.length).collect();
        let product = dot(&y, &s);
        // Only a positive curvature keeps the matrix positive definite.
        if product > 1e-10 {
            self.scale = product / dot(&y, &y);
            if self.pairs.len() == history_size {
                self.pairs.pop_front();
            }
            self.pairs.push_back((y, s));
        }
        let mut shares = Vec::with_capacity(self.pairs.len());
        for (y, s) in self.pairs.iter().rev() {
            let share = dot(s, &q) / dot(y, s);
            add(&mut q, -share, y);
            shares.push(share);
        }
        q.iter_mut().for_each(|q| *q *= self.scale);
        for ((y, s), share) in self.pairs.iter().zip(shares.iter().rev()) {
            let back = dot(y, &q) / dot(y, s);
            add(&mut q, share - back, s);
        }
        self.direction = q;
    }
}

impl Lbfgs {
    /// From the values of PyTorch's parameter group (`lr`, `max_iter`, ...); what is left out has its default.
    ///
    /// # Errors
    /// [`Error::UnknownOption`], [`Error::InvalidOption`], [`Error::InvalidLearningRate`].
    pub fn from_config(config: &Value) -> Result<Self> {
        let mut given = object("LBFGS", config)?.clone();
        let search = given.shift_remove("line_search_fn").unwrap_or(Value::Null);
        let mut options: Options = merge("LBFGS", &Options::default(), &given)?;
        options.line_search_fn = serde_json::from_value(search.clone()).map_err(|_| Error::InvalidOption {
            class: "LBFGS".to_owned(),
            option: "line_search_fn".to_owned(),
            expected: "\"strong_wolfe\" or null".to_owned(),
            found: search.to_string(),
        })?;
        options.validate()?;
        Ok(Self {
            options,
            memory: Memory::default(),
        })
    }

    /// The configuration under PyTorch's names.
    pub fn config(&self) -> Value {
        let mut config: Map<String, Value> = fields(&self.options);
        config.insert("max_eval".to_owned(), json!(self.options.max_eval()));
        Value::Object(config)
    }

    /// The same with another length of a step (the first one that a line search tries).
    ///
    /// # Errors
    /// [`Error::InvalidLearningRate`].
    pub fn learning_rate(mut self, learning_rate: f64) -> Result<Self> {
        self.options.lr = checked_rate(learning_rate)?;
        Ok(self)
    }

    /// The same with another number of iterations in a step.
    ///
    /// # Errors
    /// [`Error::InvalidOption`] for 0.
    pub fn max_iter(mut self, iterations: usize) -> Result<Self> {
        self.options.max_iter = iterations;
        self.options.validate()?;
        Ok(self)
    }

    /// The same with a line search.
    #[must_use]
    pub fn line_search(mut self, search: LineSearch) -> Self {
        self.options.line_search_fn = Some(search);
        self
    }

    /// How many iterations were made, over all steps.
    pub fn iterations(&self) -> u64 {
        self.memory.iterations
    }

    /// How often the loss was measured, over all steps.
    pub fn evaluations(&self) -> u64 {
        self.memory.evaluations
    }

    /// Up to `max_iter` iterations. `closure` measures the loss and its gradients with the present values of the variables, and is
    /// called at least once; the loss of the first call is returned.
    ///
    /// # Errors
    /// Those of the closure; [`Error::MissingGradient`], [`Error::ShapeMismatch`], [`Error::NonFiniteGradient`],
    /// [`Error::NonFiniteLoss`], [`Error::DuplicatePath`]. Variables and state are then as they were before.
    pub fn step<E: From<Error>>(
        &mut self,
        variables: &[(&str, &Var)],
        closure: impl FnMut() -> Result<(f64, GradStore), E>,
    ) -> Result<f64, E> {
        let before = self.memory.clone();
        let values = variables.iter().map(|(_, var)| var.as_tensor().copy());
        let values = values.collect::<candle_core::Result<Vec<_>>>().map_err(Error::from)?;
        let outcome = self.iterate(variables, closure);
        if outcome.is_err() {
            self.memory = before;
            for ((_, var), value) in variables.iter().zip(&values) {
                set(var, value)?;
            }
        }
        outcome
    }

    fn iterate<E: From<Error>>(
        &mut self,
        variables: &[(&str, &Var)],
        closure: impl FnMut() -> Result<(f64, GradStore), E>,
    ) -> Result<f64, E> {
        self.check(variables)?;
        let sign = if self.options.maximize { -1.0 } else { 1.0 };
        let mut problem = Problem {
            variables,
            closure,
            sign,
        };
        let (loss, gradient) = problem.measure()?;
        let first = loss;
        self.memory.evaluations += 1;
        let mut evaluations = 1;
        let mut here = (loss, gradient);
        let converged = |gradient: &[f64], options: &Options| largest(gradient) <= options.tolerance_grad;
        if converged(&here.1, &self.options) {
            return Ok(sign * first);
        }
        for iteration in 1..=self.options.max_iter {
            let last = iteration == self.options.max_iter;
            self.memory.iterations += 1;
            self.memory.turn(&here.1, self.options.history_size);
            let mut length = self.options.lr;
            if self.memory.iterations == 1 {
                length *= 1.0_f64.min(1.0 / here.1.iter().map(|g| g.abs()).sum::<f64>());
            }
            let (loss_before, slope) = (here.0, dot(&here.1, &self.memory.direction));
            self.memory.gradient.clone_from(&here.1);
            self.memory.length = length;
            if slope > -self.options.tolerance_change {
                break;
            }
            let calls = match self.options.line_search_fn {
                None => {
                    problem.walk(&self.memory.direction, length)?;
                    if !last {
                        here = problem.measure()?;
                    }
                    usize::from(!last)
                }
                Some(LineSearch::StrongWolfe) => {
                    let start = Point {
                        length: 0.0,
                        loss: here.0,
                        gradient: std::mem::take(&mut here.1),
                        slope,
                    };
                    let direction = &self.memory.direction;
                    let (found, calls) = problem.search(
                        direction,
                        &start,
                        length,
                        self.options.max_eval().saturating_sub(evaluations),
                    )?;
                    problem.walk(direction, found.length)?;
                    self.memory.length = found.length;
                    here = (found.loss, found.gradient);
                    calls
                }
            };
            evaluations += calls;
            self.memory.evaluations += calls as u64;
            let change = self.options.tolerance_change;
            let still = largest(&self.memory.direction) * self.memory.length.abs() <= change;
            let done = last
                || evaluations >= self.options.max_eval()
                || converged(&here.1, &self.options)
                || still
                || (here.0 - loss_before).abs() < change;
            if done {
                break;
            }
        }
        Ok(sign * first)
    }

    /// Whether these are the parameters of the last step.
    fn check(&mut self, variables: &[(&str, &Var)]) -> Result<()> {
        let mut paths: Vec<&str> = variables.iter().map(|(path, _)| *path).collect();
        paths.sort_unstable();
        if let Some(pair) = paths.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(Error::DuplicatePath {
                path: pair[0].to_owned(),
            });
        }
        let named = variables
            .iter()
            .map(|(path, var)| ((*path).to_owned(), var.dims().to_vec()));
        let named: Vec<(String, Vec<usize>)> = named.collect();
        if self.memory.iterations == 0 {
            self.memory.parameters = named;
            return Ok(());
        }
        if self.memory.parameters.len() != named.len() {
            return Err(Error::OtherParameters {
                expected: self.memory.parameters.len(),
                found: named.len(),
            });
        }
        for ((known, shape), (path, found)) in self.memory.parameters.iter().zip(&named) {
            if known != path {
                return Err(Error::StateMissing {
                    key: format!("{path}/direction"),
                });
            }
            if shape != found {
                return Err(Error::ShapeMismatch {
                    what: "the optimizer's state",
                    path: path.clone(),
                    expected: found.clone(),
                    found: shape.clone(),
                });
            }
        }
        Ok(())
    }
}

/// The loss as a function of all parameters one behind the other.
struct Problem<'a, F> {
    variables: &'a [(&'a str, &'a Var)],
    closure: F,
    sign: f64,
}

impl<E: From<Error>, F: FnMut() -> Result<(f64, GradStore), E>> Problem<'_, F> {
    /// Loss and gradient at the present place.
    fn measure(&mut self) -> Result<(f64, Vec<f64>), E> {
        let (loss, gradients) = (self.closure)()?;
        if !loss.is_finite() {
            return Err(Error::NonFiniteLoss { loss }.into());
        }
        let mut flat = Vec::new();
        for (path, var) in self.variables {
            let gradient = gradients.get(var.as_tensor()).ok_or_else(|| Error::MissingGradient {
                path: (*path).to_owned(),
            })?;
            if gradient.dims() != var.dims() {
                return Err(E::from(Error::ShapeMismatch {
                    what: "the gradient",
                    path: (*path).to_owned(),
                    expected: var.dims().to_vec(),
                    found: gradient.dims().to_vec(),
                }));
            }
            let values = flattened(gradient)?;
            if values.iter().any(|value| !value.is_finite()) {
                return Err(E::from(Error::NonFiniteGradient {
                    path: (*path).to_owned(),
                }));
            }
            flat.extend(values.iter().map(|value| self.sign * value));
        }
        Ok((self.sign * loss, flat))
    }

    /// `w <- w + length direction`.
    fn walk(&self, direction: &[f64], length: f64) -> Result<()> {
        let mut at = 0;
        for (_, var) in self.variables {
            let mut values = flattened(var)?;
            let count = values.len();
            add(&mut values, length, &direction[at..at + count]);
            at += count;
            put(var, &values)?;
        }
        Ok(())
    }

    /// The place that the line search finds; the variables are where they were.
    fn search(&mut self, direction: &[f64], start: &Point, first: f64, most: usize) -> Result<(Point, usize), E> {
        let origin = self.variables.iter().map(|(_, var)| var.as_tensor().copy());
        let origin = origin.collect::<candle_core::Result<Vec<_>>>().map_err(Error::from)?;
        strong_wolfe(start, first, largest(direction), most, |length| {
            self.walk(direction, length)?;
            let measured = self.measure();
            for ((_, var), value) in self.variables.iter().zip(&origin) {
                set(var, value)?;
            }
            let (loss, gradient) = measured?;
            let slope = dot(&gradient, direction);
            Ok(Point {
                length,
                loss,
                gradient,
                slope,
            })
        })
    }
}

fn flattened(tensor: &Tensor) -> Result<Vec<f64>> {
    Ok(tensor.detach().to_dtype(DType::F64)?.flatten_all()?.to_vec1()?)
}

fn put(var: &Var, values: &[f64]) -> Result<()> {
    let tensor = Tensor::from_slice(values, var.dims(), &candle_core::Device::Cpu)?;
    set(var, &tensor.to_dtype(var.dtype())?.to_device(var.device())?)
}
