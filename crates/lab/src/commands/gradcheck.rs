//! `lab gradcheck`: the gradients that training computes, compared with differences of the loss.

use std::io::Write;
use std::process::ExitCode;

use anyhow::{Result, bail};
use backprop::gradient_check::{Verdict, WeightCheck, check_gradient};
use candle_core::{DType, Device, Tensor};
use kernels::random::{Draws, Stream};
use models::{Mode, Network};
use nn_theory::{Layer, Shape};
use report::format::{count, scientific};
use report::inline::escape;
use report::{Align, Table};
use serde_json::json;

use super::model;
use crate::cli::GradcheckArgs;
use crate::context::{self, Context, listen_for_interrupt, terminal};
use crate::progress::Progress;

/// What a dimension without a size, such as the length of a sequence, gets.
const FREE_DIMENSION: usize = 6;

pub(crate) fn run(args: &GradcheckArgs) -> Result<ExitCode> {
    let device = context::device(&args.device)?;
    let network = model::find(&args.model)?.into_exact_network(args.seed, &device)?;
    if !network.weights().any(|weight| weight.trainable) {
        bail!(
            "{} has no weights that train, so there is no gradient to check; name a model with trainable layers",
            network.name()
        );
    }
    listen_for_interrupt()?;
    let problem = Problem::draw(&network, args)?;
    let checks = problem.check(args.entries)?;
    let wrong = checks.iter().filter(|check| !check.verdict.is_right()).count();
    let mut out = std::io::stdout().lock();
    if args.json {
        let record = json!({
            "model": network.name(), "loss": problem.loss()?.to_scalar::<f64>()?, "batch_size": args.batch_size,
            "seed": args.seed, "passed": wrong == 0, "weights": checks,
        });
        writeln!(out, "{}", serde_json::to_string_pretty(&record)?)?;
    } else {
        write!(out, "{}", in_words(&network, &checks, wrong))?;
    }
    Ok(if wrong == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// A loss of a network: half the mean squared error to random targets, and the penalties that the network puts on its own.
struct Problem<'a> {
    network: &'a Network,
    inputs: Vec<Tensor>,
    targets: Vec<Tensor>,
    /// Dropout and noise draw from it the same at every call, so that the loss is a function of the weights.
    stream: Stream,
}

impl<'a> Problem<'a> {
    fn draw(network: &'a Network, args: &GradcheckArgs) -> Result<Self> {
        let stream = Stream::new(args.seed).op("gradient check");
        let spec = network.spec();
        let inputs = spec.inputs().iter().map(|&index| {
            let node = &spec.nodes()[index];
            // Where an embedding reads the input, numbers are indices.
            let words = spec.nodes().iter().find_map(|reader| match &reader.layer {
                Layer::Embedding(embedding) if reader.inputs.contains(&index) => Some(embedding.input_dim),
                _ => None,
            });
            let mut draws = stream.layer(&node.name).draws();
            let shape = sizes(&node.output_shape, args.batch_size);
            tensor(&shape, network.device(), || match words {
                Some(words) => draws.below(words) as f64,
                None => draws.normal(),
            })
        });
        let inputs = inputs.collect::<Result<Vec<_>>>()?;
        let mode = Mode::Training(stream.op("forward pass"));
        let mut draws: Draws = stream.op("targets").draws();
        let targets = network
            .forward_all(&inputs, mode)?
            .iter()
            .map(|output| tensor(output.dims(), network.device(), || draws.normal()))
            .collect::<Result<_>>()?;
        Ok(Problem {
            network,
            inputs,
            targets,
            stream,
        })
    }

    fn mode(&self) -> Mode {
        Mode::Training(self.stream.op("forward pass"))
    }

    /// The loss of outputs.
    fn loss_of(&self, outputs: &[Tensor], penalty: Option<&Tensor>) -> Result<Tensor> {
        let mut loss = Tensor::zeros((), DType::F64, self.network.device())?;
        for (output, target) in outputs.iter().zip(&self.targets) {
            loss = (loss + ((output - target)?.sqr()?.mean_all()? * 0.5)?)?;
        }
        for penalty in penalty.cloned().into_iter().chain(self.network.regularization_loss()?) {
            loss = (loss + penalty)?;
        }
        Ok(loss)
    }

    fn loss(&self) -> Result<Tensor> {
        let (outputs, penalty) = self.network.forward_with_losses(&self.inputs, self.mode())?;
        self.loss_of(&outputs, penalty.as_ref())
    }

    /// One weight after the other; the gradients are those of the record that training uses.
    fn check(&self, entries: usize) -> Result<Vec<WeightCheck>> {
        let pass = self.network.record(&self.inputs, self.mode())?;
        let loss = self.loss_of(pass.outputs(), pass.penalty())?;
        let gradients = pass.backward(&loss)?;
        let trained: Vec<_> = self.network.weights().filter(|weight| weight.trainable).collect();
        let progress = Progress::new();
        let bar = progress.bar("weights", trained.len() as u64);
        let mut checks = Vec::new();
        for weight in trained {
            if Context::is_interrupted() {
                bail!("interrupted after {} of the weights", count(checks.len()));
            }
            let loss = || {
                self.loss()
                    .map_err(|error| candle_core::Error::Msg(format!("{error:#}")))
            };
            let gradient = gradients.get(weight.var.as_tensor());
            checks.push(check_gradient(loss, &weight.path, &weight.var, gradient, entries)?);
            bar.inc(1);
        }
        bar.finish_and_clear();
        Ok(checks)
    }
}

fn sizes(shape: &Shape, batch_size: usize) -> Vec<usize> {
    let free = [batch_size, FREE_DIMENSION];
    let sizes = shape.0.iter().enumerate();
    sizes
        .map(|(place, size)| size.map_or(free[place.min(1)], |size| size as usize))
        .collect()
}

fn tensor(shape: &[usize], device: &Device, draw: impl FnMut() -> f64) -> Result<Tensor> {
    let count = shape.iter().product();
    let numbers: Vec<f64> = std::iter::repeat_with(draw).take(count).collect();
    Ok(Tensor::from_vec(numbers, shape, device)?)
}

fn in_words(network: &Network, checks: &[WeightCheck], wrong: usize) -> String {
    let (width, color) = terminal();
    let mut table = Table::new(format!("Gradients of {} against differences", escape(network.name())));
    table
        .header(["weight", "shape", "tried", "kinks", "worst error", "allowed", "verdict"])
        .align(
            [Align::Left, Align::Left]
                .into_iter()
                .chain([Align::Right; 4])
                .chain([Align::Left]),
        );
    for check in checks {
        let shape = network
            .weight(&check.name)
            .map(|weight| format!("{:?}", weight.var.dims()));
        table.row([
            escape(&check.name),
            shape.unwrap_or_default(),
            count(check.checked),
            count(check.kinks),
            scientific(check.worst_relative_error, 1),
            scientific(check.allowed, 1),
            verdict(check),
        ]);
    }
    table.note(
        "Errors are relative to the weight's largest derivative. Kinks are entries at which the loss has a corner (ReLU at 0, two \
         equal maxima): there is no derivative, and they are left out. Allowed is what rounding in float64 explains.",
    );
    let text = report::terminal::table(&table, width, color);
    let said = match wrong {
        0 => format!("All gradients of {} agree.", network.name()),
        1 => "1 weight has a wrong gradient; the layer that it belongs to, or one after it, has a wrong derivative."
            .to_string(),
        _ => format!(
            "{} weights have wrong gradients; look at the last layer among them first, for errors go backwards from there.",
            count(wrong)
        ),
    };
    format!("{text}\n{said}\n")
}

fn verdict(check: &WeightCheck) -> String {
    match check.verdict {
        Verdict::Agrees => "agrees".to_string(),
        Verdict::Unused => "the loss does not depend on it".to_string(),
        Verdict::Missing => "MISSING: no gradient, but the loss moves".to_string(),
        Verdict::Wrong => format!(
            "WRONG at entry {}: {} by backward(), {} by differences",
            count(check.worst_entry),
            scientific(check.gradient, 4),
            scientific(check.difference, 4)
        ),
    }
}
