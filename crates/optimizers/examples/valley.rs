//! Down Rosenbrock's curved valley, with rates of their own and with L-BFGS: `cargo run -p optimizers --example valley`.

use std::io::Write as _;

use candle_core::{Device, Result, Tensor, Var};
use optimizers::{Lbfgs, LineSearch, Optimizer};

/// `(1 − x)² + 100 (y − x²)²`, whose lowest value is 0 at (1, 1).
fn height(place: &Var) -> Result<Tensor> {
    let (x, y) = (place.get(0)?, place.get(1)?);
    let across = (&y - x.sqr()?)?.sqr()?;
    (1.0 - x)?.sqr()? + (across * 100.0)?
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let start = || Var::new(&[-1.2f64, 1.0], &Device::Cpu);
    let mut out = std::io::stdout().lock();
    for (name, learning_rate) in [("sgd", 1e-3), ("sgd_momentum", 1e-3), ("adam", 0.02), ("prodigy", 1.0)] {
        let place = start()?;
        let mut optimizer = Optimizer::builder(name)?.learning_rate(learning_rate).build()?;
        for _ in 0..2000 {
            let gradients = height(&place)?.backward()?;
            optimizer.apply_gradients(&[("place", &place)], &gradients)?;
        }
        let (end, lowest) = (place.to_vec1::<f64>()?, height(&place)?.to_scalar::<f64>()?);
        writeln!(out, "{name:>12}: 2000 gradients, at {end:.4?}, height {lowest:.1e}")?;
    }

    let place = start()?;
    let mut lbfgs = Lbfgs::default().max_iter(100)?.line_search(LineSearch::StrongWolfe);
    lbfgs.step(&[("place", &place)], || {
        let loss = height(&place).map_err(optimizers::Error::from)?;
        let gradients = loss.backward().map_err(optimizers::Error::from)?;
        Ok::<_, optimizers::Error>((loss.to_scalar::<f64>().map_err(optimizers::Error::from)?, gradients))
    })?;
    let (end, lowest) = (place.to_vec1::<f64>()?, height(&place)?.to_scalar::<f64>()?);
    writeln!(
        out,
        "{:>12}: {} gradients, at {end:.4?}, height {lowest:.1e}",
        "L-BFGS",
        lbfgs.evaluations()
    )?;
    Ok(())
}
