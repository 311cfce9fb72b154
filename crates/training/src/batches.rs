//! Batches in the order of an epoch: gathered where they are needed, or on a thread that works ahead.

use std::sync::mpsc::sync_channel;

use augmentation::Pipeline;
use candle_core::{CpuStorage, DType, InplaceOp1, Layout, Tensor};
use models::Network;

use crate::mixing::{Mixed, Mixer};
use crate::{Result, Samples};

/// Where batches come from.
pub(crate) struct Source<'a> {
    pub(crate) samples: &'a Samples,
    pub(crate) augment: Option<&'a Pipeline>,
    pub(crate) seed: u64,
    pub(crate) batch_size: usize,
    /// Batches that may wait ready; 0: each is made when it is its turn.
    pub(crate) prefetch: usize,
    /// Outputs of the network, for labels that are blended.
    pub(crate) outputs: usize,
    /// One weight a sample.
    pub(crate) weights: Option<Vec<f32>>,
}

/// The samples of one step.
pub(crate) struct Batch<'a> {
    pub(crate) indices: &'a [usize],
    /// The inputs, where they are ready.
    pub(crate) rows: Option<Vec<f32>>,
    /// The targets, where the samples are blends.
    pub(crate) mixed: Option<Mixed>,
}

/// Inputs, and targets where the samples are blends.
type Made = (Vec<f32>, Option<Mixed>);

/// Whether more batches are wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    Continue,
    End,
}

impl Source<'_> {
    /// Gives the batches of `order` one after the other to `consume`, from the step `first` on.
    ///
    /// What is drawn for a sample is keyed by seed, epoch and sample, so the batches are the same to the bit whoever
    /// makes them, and when.
    pub(crate) fn each(
        &self,
        epoch: usize,
        order: &[usize],
        first: usize,
        mut consume: impl FnMut(Batch<'_>) -> Result<Flow>,
    ) -> Result<()> {
        // In an order that does not depend on the shuffling.
        let mut pool = Vec::new();
        if self.augment.is_some_and(Pipeline::mixes) {
            pool.extend_from_slice(order);
            pool.sort_unstable();
        }
        let pool = &pool;
        let mut batches = order.chunks(self.batch_size).skip(first);
        // A second thread would have nowhere to compute (and where the only thread of the pool is this one, it would wait
        // for it forever).
        if self.prefetch == 0 || rayon::current_num_threads() == 1 {
            for indices in batches {
                let (rows, mixed) = match self.augment {
                    Some(_) => {
                        let (rows, mixed) = self.made(epoch, indices, pool)?;
                        (Some(rows), mixed)
                    }
                    None => (None, None),
                };
                if consume(Batch { indices, rows, mixed })? == Flow::End {
                    break;
                }
            }
            return Ok(());
        }
        std::thread::scope(|scope| {
            // One more batch is in the hands of the thread.
            let (sender, receiver) = sync_channel(self.prefetch - 1);
            scope.spawn(move || {
                // The thread ends when nobody listens any more.
                batches.try_for_each(|indices| sender.send((indices, self.made(epoch, indices, pool))))
            });
            for (indices, made) in receiver {
                let (rows, mixed) = made?;
                let rows = Some(rows);
                if consume(Batch { indices, rows, mixed })? == Flow::End {
                    break;
                }
            }
            Ok(())
        })
    }

    fn made(&self, epoch: usize, indices: &[usize], pool: &[usize]) -> Result<Made> {
        let (samples, epoch) = (self.samples, epoch as u64);
        match self.augment {
            None => Ok((samples.rows(indices), None)),
            Some(pipeline) if pipeline.mixes() => {
                let mixer = Mixer {
                    samples,
                    pipeline,
                    outputs: self.outputs,
                    weights: self.weights.as_deref(),
                };
                let (rows, mixed) = mixer.mixed(self.seed, epoch, indices, pool)?;
                Ok((rows, Some(mixed)))
            }
            Some(pipeline) => Ok((samples.through(pipeline, indices, self.seed, epoch)?, None)),
        }
    }
}

/// The input tensors of full and of last batches, written anew in every step.
#[derive(Default)]
pub(crate) struct Inputs {
    tensors: Vec<Tensor>,
}

impl Inputs {
    /// The inputs of a batch as a tensor of the network's format on its device.
    ///
    /// The tensor is valid until the next call: the graph of the step must be gone by then.
    pub(crate) fn of(&mut self, batch: &mut Batch<'_>, samples: &Samples, network: &Network) -> Result<Tensor> {
        if let Some(rows) = batch.rows.take() {
            return samples.tensor(rows, network);
        }
        if !network.device().is_cpu() || network.dtype() != DType::F32 {
            return samples.tensor(samples.rows(batch.indices), network);
        }
        let count = batch.indices.len();
        let known = self.tensors.iter().position(|tensor| tensor.dims()[0] == count);
        let place = match known {
            Some(place) => place,
            None => {
                let shape = [&[count], samples.shape()].concat();
                self.tensors.push(Tensor::zeros(shape, DType::F32, network.device())?);
                self.tensors.len() - 1
            }
        };
        let tensor = &self.tensors[place];
        if tensor.elem_count() > 0 {
            tensor.inplace_op1(&Gather {
                samples,
                indices: batch.indices,
            })?;
        }
        Ok(tensor.clone())
    }
}

/// Writes the inputs of samples over a tensor of their size.
struct Gather<'a> {
    samples: &'a Samples,
    indices: &'a [usize],
}

impl InplaceOp1 for Gather<'_> {
    fn name(&self) -> &'static str {
        "gather_samples"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> candle_core::Result<()> {
        match (storage, layout.contiguous_offsets()) {
            (CpuStorage::F32(values), Some((start, end))) => {
                self.samples.rows_into(self.indices, &mut values[start..end]);
                Ok(())
            }
            _ => candle_core::bail!("gather_samples: the tensor is not contiguous or not f32"),
        }
    }
}
