//! Muon's step for a matrix on slices: the momentum is made orthogonal in working memory that is kept.

use candle_core::DType;

use crate::error::Result;
use crate::newton_schulz::NewtonSchulz;
use crate::number::{Number, Scalar};
use crate::products::Factor;
use crate::rule::Target;
use crate::slot::Stored;

/// How the momentum follows the gradient.
pub(crate) trait Momentum: Copy {
    /// The new momentum, and the direction that is made orthogonal.
    fn follow<A: Number>(&self, g: A, m: A) -> (A, A);
}

/// A step of this length, if the target is updated in place; `false` if it is not.
pub(crate) fn step_in_place(
    target: &mut Target<'_>,
    iteration: &NewtonSchulz,
    momentum: impl Momentum,
    length: f64,
) -> Result<bool> {
    match target.var.dtype() {
        DType::F32 if target.weights.is_some() => step::<f32>(target, iteration, momentum, length)?,
        DType::F64 if target.weights.is_some() => step::<f64>(target, iteration, momentum, length)?,
        _ => return Ok(false),
    }
    Ok(true)
}

fn step<T: Stored + Factor>(
    target: &mut Target<'_>,
    iteration: &NewtonSchulz,
    momentum: impl Momentum,
    length: f64,
) -> Result<()> {
    let (rows, columns) = match *target.shape() {
        [rows, columns] => (rows, columns),
        _ => return Err(crate::rule::wrong_state()),
    };
    let preparation = target.preparation;
    target.preparation.decay = 0.0;
    let memory = rows * columns + iteration.working_memory::<T>(rows, columns);
    let length = T::from_f64(length);
    target.with_scratch::<T, (), 1>(memory, |w, g, [m], scratch| {
        let (direction, memory) = scratch.split_at_mut(rows * columns);
        for ((u, m), &g) in direction.iter_mut().zip(m).zip(g) {
            let (next, ahead) = momentum.follow(preparation.gradient(Scalar(g)), Scalar(*m));
            (*m, *u) = (next.0, ahead.0);
        }
        iteration.orthogonalize_in(direction, rows, columns, memory);
        for (w, &u) in w.iter_mut().zip(&*direction) {
            *w = preparation.weight(Scalar(*w)).0 - u * length;
        }
    })
}
