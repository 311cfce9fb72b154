//! Keyed random streams: every draw is a function of a seed and of what the draw is for.
//!
//! A [`Stream`] is a *name*, not a generator that somebody shares: `(seed, op, epoch, sample, layer, step)` written as
//! a chain of keys. Two streams with different keys are independent; the same keys give the same bits on every machine,
//! in any order, on any thread. Drawing needs a [`Draws`], which starts at the beginning of the stream.
//!
//! The bits come from ChaCha with 8 rounds in counter mode (`rand_chacha`), whose 256-bit key is mixed from the chain of
//! keys with SplitMix64's finalizer (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014).
//!
//! ```
//! use kernels::random::Stream;
//!
//! let seed = Stream::new(6020);
//! let a = seed.op("rotation").epoch(3).sample(17).draws().uniform();
//! let b = seed.op("rotation").epoch(3).sample(17).draws().uniform();
//! assert_eq!(a, b); // the same name, the same number
//! assert_ne!(a, seed.op("rotation").epoch(3).sample(18).draws().uniform());
//! ```

use rand::distr::uniform::SampleRange;
use rand::seq::SliceRandom;
use rand::{Rng, RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

/// The name of a sequence of random numbers: a seed and the keys of what the numbers are for.
///
/// Copying is free; every key method returns the stream one level further down and leaves the old one as it was.
/// The order of the keys is part of the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream {
    lanes: [u64; 4],
}

/// One 64-bit tag for each kind of key, so that `epoch(3)` and `sample(3)` are different names.
#[derive(Clone, Copy)]
enum Kind {
    Seed = 1,
    Op,
    Layer,
    Epoch,
    Sample,
    Step,
}

impl Stream {
    /// The root stream of a seed.
    pub fn new(seed: u64) -> Self {
        let empty = Stream {
            lanes: [
                0x243f_6a88_85a3_08d3,
                0x1319_8a2e_0370_7344,
                0xa409_3822_299f_31d0,
                0x082e_fa98_ec4e_6c89,
            ],
        };
        empty.absorb(Kind::Seed, seed)
    }

    /// What the numbers are for: `"shuffle"`, `"dropout"`, `"rotation"`.
    pub fn op(self, name: &str) -> Self {
        self.absorb_text(Kind::Op, name)
    }

    /// The layer, weight or other named thing that draws.
    pub fn layer(self, name: &str) -> Self {
        self.absorb_text(Kind::Layer, name)
    }

    /// The epoch, counted from 0.
    pub fn epoch(self, epoch: u64) -> Self {
        self.absorb(Kind::Epoch, epoch)
    }

    /// The index of the sample in its data set (not in its batch).
    pub fn sample(self, sample: u64) -> Self {
        self.absorb(Kind::Sample, sample)
    }

    /// The step: of training, or of a pipeline.
    pub fn step(self, step: u64) -> Self {
        self.absorb(Kind::Step, step)
    }

    /// A generator at the beginning of this stream.
    pub fn draws(self) -> Draws {
        let mut key = [0u8; 32];
        for (bytes, lane) in key.chunks_exact_mut(8).zip(self.lanes) {
            bytes.copy_from_slice(&lane.to_le_bytes());
        }
        Draws {
            rng: ChaCha8Rng::from_seed(key),
        }
    }

    /// The key of the generator, as it reads it.
    pub(crate) fn key(self) -> [u32; 8] {
        std::array::from_fn(|word| (self.lanes[word / 2] >> (32 * (word % 2))) as u32)
    }

    fn absorb(mut self, kind: Kind, value: u64) -> Self {
        let mut carry = value ^ (kind as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        for lane in &mut self.lanes {
            *lane = mix(*lane ^ carry);
            carry = carry.wrapping_add(*lane).rotate_left(23);
        }
        // The last lane has seen the first three; let the first three see the last.
        let last = self.lanes[3];
        for lane in &mut self.lanes[..3] {
            *lane = mix(lane.wrapping_add(last));
        }
        self
    }

    fn absorb_text(self, kind: Kind, text: &str) -> Self {
        let mut stream = self.absorb(kind, text.len() as u64);
        for chunk in text.as_bytes().chunks(8) {
            let mut word = [0u8; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            stream = stream.absorb(kind, u64::from_le_bytes(word));
        }
        stream
    }
}

/// SplitMix64's finalizer: a bijection of 64 bits in which every input bit changes every output bit with probability 1/2.
fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A generator that walks along a [`Stream`] from its beginning.
///
/// It implements [`rand::RngCore`], so every distribution of `rand` and `rand_distr` can be drawn from it.
#[derive(Clone, Debug)]
pub struct Draws {
    rng: ChaCha8Rng,
}

impl Draws {
    /// A number in `[0, 1)`, uniform, with 53 random bits.
    pub fn uniform(&mut self) -> f64 {
        self.rng.random::<f64>()
    }

    /// A number in `[low, high)`, uniform; `low` where the interval is empty.
    pub fn uniform_in(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.uniform()
    }

    /// A number of the standard normal distribution (mean 0, standard deviation 1).
    pub fn normal(&mut self) -> f64 {
        self.rng.sample(StandardNormal)
    }

    /// An integer in `0..n`, uniform; 0 for `n = 0`.
    pub fn below(&mut self, n: usize) -> usize {
        if n == 0 {
            0
        } else {
            (0..n as u64).sample_single(&mut self.rng).map_or(0, |i| i as usize)
        }
    }

    /// `true` with probability `p`.
    pub fn bernoulli(&mut self, p: f64) -> bool {
        self.uniform() < p
    }

    /// Puts the elements into a uniformly random order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        items.shuffle(&mut self.rng);
    }

    /// A uniformly random order of `0..n`.
    pub fn permutation(&mut self, n: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..n).collect();
        self.shuffle(&mut order);
        order
    }

    /// Fills with numbers of `[low, high)`.
    pub fn fill_uniform(&mut self, out: &mut [f32], low: f32, high: f32) {
        for value in out {
            // 24 bits are all that an f32 in [0, 1) can hold.
            *value = low + (high - low) * self.rng.random::<f32>();
        }
    }

    /// Fills with numbers of the normal distribution.
    pub fn fill_normal(&mut self, out: &mut [f32], mean: f32, stddev: f32) {
        for value in out {
            *value = mean + stddev * self.rng.sample::<f32, _>(StandardNormal);
        }
    }
}

impl RngCore for Draws {
    fn next_u32(&mut self) -> u32 {
        self.rng.next_u32()
    }

    fn next_u64(&mut self) -> u64 {
        self.rng.next_u64()
    }

    fn fill_bytes(&mut self, out: &mut [u8]) {
        self.rng.fill_bytes(out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_with_different_names_differ_and_with_equal_names_agree() {
        let root = Stream::new(7);
        let names = [
            root,
            root.epoch(1),
            root.sample(1),
            root.step(1),
            root.op("a"),
            root.layer("a"),
            root.op("ab"),
            root.op("a").op("b"),
            root.epoch(1).sample(2),
            root.epoch(2).sample(1),
            root.sample(2).epoch(1),
            Stream::new(8),
        ];
        for (i, a) in names.iter().enumerate() {
            for (j, b) in names.iter().enumerate() {
                assert_eq!(
                    i == j,
                    a.draws().next_u64() == b.draws().next_u64(),
                    "streams {i} and {j}"
                );
            }
        }
    }

    #[test]
    fn first_draws_of_neighbouring_samples_are_uniform_and_uncorrelated() {
        let root = Stream::new(1).op("test");
        let n = 4000;
        let first: Vec<f64> = (0..n).map(|i| root.sample(i).draws().uniform()).collect();
        let mean = first.iter().sum::<f64>() / n as f64;
        assert!((mean - 0.5).abs() < 4.0 / (12.0 * n as f64).sqrt(), "mean {mean}");
        let lag: f64 = first.windows(2).map(|w| (w[0] - 0.5) * (w[1] - 0.5)).sum::<f64>() / (n - 1) as f64 * 12.0;
        assert!(lag.abs() < 4.0 / (n as f64).sqrt(), "correlation of neighbours {lag}");
    }

    #[test]
    fn a_permutation_holds_every_index_once() {
        let mut order = Stream::new(3).op("shuffle").draws().permutation(100);
        assert_ne!(order, (0..100).collect::<Vec<_>>());
        order.sort_unstable();
        assert_eq!(order, (0..100).collect::<Vec<_>>());
        assert_eq!(Stream::new(3).draws().below(0), 0);
    }
}
