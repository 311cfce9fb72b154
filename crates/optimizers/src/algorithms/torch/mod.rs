//! PyTorch's optimizers, with PyTorch's names, defaults and conventions (`torch.optim`).
//!
//! They differ from Keras' optimizers of the same name: the rate stays outside of the momentum, epsilon stands beside the
//! bias-corrected root, and `weight_decay` adds `lambda w` to the gradient (an L2 penalty) unless it is decoupled. Each is a
//! short chain of [`transformations`](crate::transformations), run as one pass; configurations are parameter groups
//! (`lr`, `betas`, `eps`, ...). Averages of the first step count from the optimizer's first step, not the parameter's.

use crate::algorithm::Check;
use crate::error::Result;

mod adadelta;
mod adafactor;
mod adagrad;
mod adam;
mod adamax;
mod adamw;
mod asgd;
mod muon;
mod nadam;
mod radam;
mod rmsprop;
mod rprop;
mod sgd;

pub use adadelta::TorchAdadelta;
pub use adafactor::TorchAdafactor;
pub use adagrad::TorchAdagrad;
pub use adam::TorchAdam;
pub use adamax::TorchAdamax;
pub use adamw::TorchAdamW;
pub use asgd::Asgd;
pub use muon::{AdjustLr, TorchMuon};
pub use nadam::TorchNadam;
pub use radam::RAdam;
pub use rmsprop::TorchRmsProp;
pub use rprop::Rprop;
pub use sgd::TorchSgd;

pub(super) mod descriptions {
    pub(in crate::algorithms) use super::{
        adadelta::DESCRIPTION as ADADELTA, adafactor::DESCRIPTION as ADAFACTOR, adagrad::DESCRIPTION as ADAGRAD,
        adam::DESCRIPTION as ADAM, adamax::DESCRIPTION as ADAMAX, adamw::DESCRIPTION as ADAMW,
        asgd::DESCRIPTION as ASGD, muon::DESCRIPTION as MUON, nadam::DESCRIPTION as NADAM, radam::DESCRIPTION as RADAM,
        rmsprop::DESCRIPTION as RMSPROP, rprop::DESCRIPTION as RPROP, sgd::DESCRIPTION as SGD,
    };
}

/// The methods of [`Algorithm`](crate::Algorithm) that read the same for all of PyTorch's: class, default rate and decay.
macro_rules! torch {
    ($class:literal, $rate:expr, $decay:expr) => {
        fn class(&self) -> &'static str {
            concat!("torch.optim.", $class)
        }

        fn default_learning_rate(&self) -> f64 {
            $rate
        }

        fn default_weight_decay(&self) -> Option<f64> {
            $decay
        }

        fn convention(&self) -> crate::Convention {
            crate::Convention::Torch
        }

        crate::algorithms::boilerplate!();
    };
}
use torch;

/// Checks of `betas` and `eps`.
fn check_adam(class: &'static str, betas: [f64; 2], eps: f64) -> Result<()> {
    for beta in betas {
        Check(class).decay("betas", beta)?;
    }
    Check(class).not_negative("eps", eps)
}

/// Decoupled or by the algorithm.
fn decay(decoupled: bool) -> crate::Decay {
    if decoupled {
        crate::Decay::Decoupled
    } else {
        crate::Decay::ByAlgorithm
    }
}
