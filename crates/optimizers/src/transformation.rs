//! Update rules made of parts: gradient transformations that chain.

use std::fmt::Debug;

use serde_json::{Map, Value};

use crate::algorithm::{Algorithm, Check, Initial, SlotSpec, Step};
use crate::error::{Error, Result};
use crate::number::Number;
use crate::rule::{Rule, Target};

/// One stage of an update, with the numbers of one step: what comes in as `u` (the gradient at first) goes out changed.
///
/// Written for any [`Number`], so that a chain of stages is one loop over slices, or a few tensor operations.
pub trait Pass: Copy + Sync {
    /// How many numbers of state a stage keeps for an element.
    const SLOTS: usize;

    /// The new `u`, from the weight `w` before the step and this stage's own state, which it brings up to date.
    fn update<A: Number>(&self, w: A, u: A, slots: &mut [A]) -> A;
}

/// A gradient transformation: a stage of an update that treats every element alike.
///
/// Several make a chain, written as a tuple; the result of the last is added to the weights, so a chain ends in
/// [`ScaleByLearningRate`](crate::transformations::ScaleByLearningRate), which turns the sign. What `init` and `update` are
/// in optax is here [`slots`](Self::slots) and [`pass`](Self::pass). Clipping, decoupled weight decay, averaging and
/// parameter groups are around every chain, see [`Options`](crate::Options).
pub trait Transformation: Clone + Debug + Send + Sync + 'static {
    /// The stage with the numbers of one step.
    type Pass: Pass;

    /// Names and first values of the state that is kept for each element; as many as [`Pass::SLOTS`].
    fn slots(&self) -> Vec<(&'static str, Initial)> {
        Vec::new()
    }

    /// The numbers of this step: bias corrections, rates.
    fn pass(&self, step: &Step<'_>) -> Self::Pass;

    /// Checks the hyper-parameters.
    ///
    /// # Errors
    /// [`Error::InvalidOption`] for a value out of range.
    fn validate(&self) -> Result<()> {
        Ok(())
    }
}

macro_rules! tuples {
    ($(($($stage:ident $index:tt),+);)*) => {$(
        impl<$($stage: Pass),+> Pass for ($($stage,)+) {
            const SLOTS: usize = 0 $(+ $stage::SLOTS)+;

            #[inline(always)]
            fn update<A: Number>(&self, w: A, u: A, slots: &mut [A]) -> A {
                let rest = slots;
                $(
                    let (own, rest) = rest.split_at_mut($stage::SLOTS);
                    let u = self.$index.update(w, u, own);
                )+
                let _ = rest;
                u
            }
        }

        impl<$($stage: Transformation),+> Transformation for ($($stage,)+) {
            type Pass = ($($stage::Pass,)+);

            fn slots(&self) -> Vec<(&'static str, Initial)> {
                [$(self.$index.slots()),+].concat()
            }

            fn pass(&self, step: &Step<'_>) -> Self::Pass {
                ($(self.$index.pass(step),)+)
            }

            fn validate(&self) -> Result<()> {
                $(self.$index.validate()?;)+
                Ok(())
            }
        }
    )*};
}
tuples! {
    (S0 0);
    (S0 0, S1 1);
    (S0 0, S1 1, S2 2);
    (S0 0, S1 1, S2 2, S3 3);
    (S0 0, S1 1, S2 2, S3 3, S4 4);
    (S0 0, S1 1, S2 2, S3 3, S4 4, S5 5);
}

/// A chain as a rule: what comes out at its end is added to the weight.
#[derive(Clone, Copy)]
struct Apply<P>(P);

impl<P: Pass, const K: usize> Rule<K> for Apply<P> {
    #[inline(always)]
    fn update<A: Number>(&self, w: A, g: A, mut slots: [A; K]) -> (A, [A; K]) {
        let u = self.0.update(w, g, &mut slots);
        (w + u, slots)
    }
}

impl Target<'_> {
    /// Runs a chain over all elements in one pass. `K` is the number of its state tensors; the compiler checks it.
    ///
    /// # Errors
    /// If a tensor operation fails.
    pub fn transform<P: Pass, const K: usize>(&mut self, pass: P) -> Result<()> {
        const {
            assert!(
                K == P::SLOTS,
                "a chain has as many state tensors as its stages together"
            )
        };
        self.elementwise::<Apply<P>, K>(Apply(pass))
    }
}

/// The state of a parameter of this shape.
pub(crate) fn slots(transformation: &impl Transformation, shape: &[usize]) -> Vec<SlotSpec> {
    let slots = transformation.slots().into_iter();
    slots
        .map(|(name, initial)| SlotSpec::new(name, shape, initial))
        .collect()
}

/// An optimizer of your own from a chain of transformations. `K` is the number of state tensors of all stages together.
///
/// Adam with the sign of its step instead of the step, in five lines:
///
/// ```
/// use candle_core::{Device, Var};
/// use optimizers::transformations::{ScaleByAdam, ScaleByLearningRate, ScaleBySign};
/// use optimizers::{Chain, OptimizerBuilder};
///
/// let chain = Chain::<_, 2>::new("sign_adam", (ScaleByAdam::default(), ScaleBySign, ScaleByLearningRate));
/// let mut optimizer = OptimizerBuilder::new(chain).learning_rate(0.5).clipnorm(1.0).build()?;
///
/// let w = Var::new(&[3.0_f32, -1.0], &Device::Cpu)?;
/// optimizer.apply_gradients(&[("w", &w)], &w.sqr()?.sum_all()?.backward()?)?;
/// assert_eq!(w.to_vec1::<f32>()?, [2.5, -0.5]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Its state is saved and loaded like any other; its configuration describes it, but
/// [`Optimizer::from_config`](crate::Optimizer::from_config) knows built-in names only: build the chain, then load the state.
#[derive(Clone, Debug)]
pub struct Chain<T, const K: usize> {
    name: &'static str,
    transformation: T,
}

impl<T: Transformation, const K: usize> Chain<T, K> {
    /// A chain under a name of your choice.
    pub fn new(name: &'static str, transformation: T) -> Self {
        Self { name, transformation }
    }
}

impl<T: Transformation, const K: usize> Algorithm for Chain<T, K> {
    fn class(&self) -> &'static str {
        self.name
    }

    fn decay(&self) -> crate::Decay {
        crate::Decay::Decoupled
    }

    fn slots(&self, shape: &[usize]) -> Vec<SlotSpec> {
        slots(&self.transformation, shape)
    }

    fn update(&self, step: &Step<'_>, target: &mut Target<'_>) -> Result<()> {
        target.transform::<T::Pass, K>(self.transformation.pass(step))
    }

    fn is_elementwise(&self) -> bool {
        true
    }

    fn hyperparameters(&self) -> Map<String, Value> {
        let chain = Value::from(format!("{:?}", self.transformation));
        std::iter::once(("chain".to_owned(), chain)).collect()
    }

    fn validate(&self) -> Result<()> {
        self.transformation.validate()?;
        let mut names: Vec<&str> = self.transformation.slots().iter().map(|(name, _)| *name).collect();
        names.sort_unstable();
        match names.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(Error::InvalidOption {
                class: self.name.to_owned(),
                option: "chain".to_owned(),
                expected: "made of stages that keep state under different names".to_owned(),
                found: format!("two stages that keep '{}'", pair[0]),
            }),
            None => Check(self.name).that(!self.name.is_empty(), "name", "empty", "a text"),
        }
    }

    fn boxed(&self) -> Box<dyn Algorithm> {
        Box::new(self.clone())
    }
}
