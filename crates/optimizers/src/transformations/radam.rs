//! Adam, held back while the variance is not known.

use super::adam::{ScaleByAdam, check};
use crate::algorithm::{Initial, Step};
use crate::error::Result;
use crate::number::Number;
use crate::transformation::{Pass, Transformation};

/// The corrected mean `m_hat` alone while the variance of Adam's rates cannot be told (about five steps), and
/// `r m_hat sqrt(1 - beta_2^t) / (sqrt(v) + epsilon)` with the rectification `r` from then on.
/// Liu et al., *On the Variance of the Adaptive Learning Rate and Beyond*, 2020; epsilon as PyTorch has it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ScaleByRadam(pub ScaleByAdam);

/// [`ScaleByRadam`] at one step.
#[derive(Clone, Copy, Debug)]
pub struct RadamPass {
    rest_1: f64,
    beta_2: f64,
    rest_2: f64,
    /// What the mean is multiplied by.
    mean: f64,
    /// What the quotient of mean and root is multiplied by.
    quotient: f64,
    epsilon: f64,
}

impl Pass for RadamPass {
    const SLOTS: usize = 2;

    #[inline(always)]
    fn update<A: Number>(&self, _: A, u: A, slots: &mut [A]) -> A {
        slots[0] = slots[0] + (u - slots[0]) * self.rest_1;
        slots[1] = slots[1] * self.beta_2 + u.square() * self.rest_2;
        // The branch is the same for all elements; without it, an epsilon of 0 and a gradient of 0 would make 0 * infinity.
        if self.quotient == 0.0 {
            slots[0] * self.mean
        } else {
            slots[0] * self.quotient / (slots[1].sqrt() + self.epsilon)
        }
    }
}

impl Transformation for ScaleByRadam {
    type Pass = RadamPass;

    fn slots(&self) -> Vec<(&'static str, Initial)> {
        vec![("exp_avg", 0.0.into()), ("exp_avg_sq", 0.0.into())]
    }

    fn pass(&self, step: &Step<'_>) -> RadamPass {
        let ScaleByAdam {
            beta_1,
            beta_2,
            epsilon,
        } = self.0;
        let (power, mean) = (beta_2.powf(step.t), 1.0 / (1.0 - beta_1.powf(step.t)));
        // The length of the simple average that the exponential one amounts to, at last and now.
        let last = 2.0 / (1.0 - beta_2) - 1.0;
        let now = last - 2.0 * step.t * power / (1.0 - power);
        let quotient = if now > 5.0 {
            let rectified = (now - 4.0) * (now - 2.0) * last / ((last - 4.0) * (last - 2.0) * now);
            mean * rectified.sqrt() * (1.0 - power).sqrt()
        } else {
            0.0
        };
        RadamPass {
            rest_1: 1.0 - beta_1,
            beta_2,
            rest_2: 1.0 - beta_2,
            mean,
            quotient,
            epsilon,
        }
    }

    fn validate(&self) -> Result<()> {
        check("ScaleByRadam", self.0.beta_1, self.0.beta_2, self.0.epsilon)
    }
}
