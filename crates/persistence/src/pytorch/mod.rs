//! PyTorch's files: checkpoints read without running them, written so that `torch.load(weights_only=True)` opens them.
//!
//! A checkpoint is a pickle, a program for a small stack machine that can call any function of Python. `pickle` is that machine
//! with the few instructions that a checkpoint needs, and what it may call is a closed list; nothing is ever called.

mod checkpoint;
mod flattened;
mod legacy;
mod mapping;
mod opcode;
mod pickle;
mod read;
mod rules;
mod storage;
mod write;

pub use checkpoint::Checkpoint;
pub use mapping::mapping;
pub(crate) use read::read;
pub use read::weights_for;
pub use rules::{Combination, Constant, Mapping, Part, Rule};
pub(crate) use write::write;
