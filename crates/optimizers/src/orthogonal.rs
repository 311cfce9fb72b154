//! Muon's step for a matrix on slices: the momentum is made orthogonal in working memory that is kept.

use candle_core::DType;

use crate::error::Result;
use crate::fused;
use crate::newton_schulz::NewtonSchulz;
use crate::number::Number;
use crate::products::Factor;
use crate::rule::{Preparation, Rule, Target};
use crate::slot::Stored;

/// How the momentum follows the gradient.
pub(crate) trait Momentum: Copy + Sync {
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
    let mut tiles = std::mem::take(&mut target.scratch.tiles);
    let outcome = target.with_scratch::<T, (), 1>(memory, |w, g, [m], scratch| {
        let (direction, memory) = scratch.split_at_mut(rows * columns);
        let of_gradient = Preparation {
            decay: 0.0,
            ..preparation
        };
        fused::elementwise(&Follow(momentum), of_gradient, direction, g, [m]);
        iteration.orthogonalize_in(direction, rows, columns, memory, &mut tiles);
        let of_weights = Preparation {
            decay: preparation.decay,
            ..Preparation::NONE
        };
        fused::elementwise(&Walk(length), of_weights, w, direction, []);
    });
    target.scratch.tiles = tiles;
    outcome
}

/// Writes the direction where the weights would be.
#[derive(Clone, Copy)]
struct Follow<M>(M);

impl<M: Momentum> Rule<1> for Follow<M> {
    #[inline(always)]
    fn update<A: Number>(&self, _: A, g: A, [m]: [A; 1]) -> (A, [A; 1]) {
        let (m, direction) = self.0.follow(g, m);
        (direction, [m])
    }
}

/// A step of this length against the direction.
#[derive(Clone, Copy)]
struct Walk(f64);

impl Rule<0> for Walk {
    #[inline(always)]
    fn update<A: Number>(&self, w: A, direction: A, []: [A; 0]) -> (A, [A; 0]) {
        (w - direction * self.0, [])
    }
}
