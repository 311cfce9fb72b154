//! Drawing what happens to an image, doing it, recording it, and doing it again.

use kernels::random::{Draws, Stream};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{Action, Pipeline, Step};
use crate::error::{Error, Result};
use crate::geometry::Warp;
use crate::image::{Image, ImageShape};
use crate::pixels::{Pixel, PixelsMut};
use crate::range::ValueRange;
use crate::transform::{Parameters, Transform};

/// Values of a batch that a thread takes at once, at least: a small image costs less than giving it to another thread.
const VALUES_AT_ONCE: usize = 1 << 13;

/// What happened to one image: enough to do it again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Applied {
    /// The transformations in the order in which they were applied.
    pub steps: Vec<AppliedStep>,
}

/// One transformation that was applied.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AppliedStep {
    /// Where in the pipeline: the number of the step, then in a choice the number of the branch and of its step, ...
    pub path: Vec<usize>,
    /// Which transformation and with which parameters.
    #[serde(flatten)]
    pub parameters: Parameters,
}

impl Pipeline {
    /// Transforms one image with the draws of a stream, which names the seed and, where it matters, epoch and sample.
    ///
    /// ```
    /// use augmentation::{Image, Pipeline};
    /// use kernels::random::Stream;
    ///
    /// let pipeline = Pipeline::parse("flip(horizontal) | translate(0.2, 0.2, fill_mode=constant)")?;
    /// let original = Image::new(4, 4, 1, (0..16).map(|v| v as f32).collect())?;
    ///
    /// let mut image = original.clone();
    /// let applied = pipeline.apply(&mut image, Stream::new(7).epoch(0).sample(3))?;
    ///
    /// let mut again = original.clone();
    /// pipeline.replay(&mut again, &applied)?;
    /// assert_eq!(image, again);
    /// # Ok::<(), augmentation::Error>(())
    /// ```
    ///
    /// # Errors
    /// Where the image is empty, has values that are not finite, or has a number of channels that a step refuses; the
    /// image may then be half-way through the pipeline.
    pub fn apply(&self, image: &mut Image, stream: Stream) -> Result<Applied> {
        image.check()?;
        let plan = self.plan(image.shape(), stream)?;
        self.execute_image(image, &plan)?;
        let steps = plan.into_iter().map(|step| AppliedStep {
            path: step.path,
            parameters: step.parameters,
        });
        Ok(Applied { steps: steps.collect() })
    }

    /// Does again what was recorded.
    ///
    /// # Errors
    /// Where the record belongs to another pipeline or to images of another shape.
    pub fn replay(&self, image: &mut Image, applied: &Applied) -> Result<()> {
        image.check()?;
        let plan: Vec<Planned<'_>> = applied
            .steps
            .iter()
            .map(|step| {
                let transform = find(&self.steps, &step.path).ok_or_else(|| Error::Json {
                    place: format!("step {:?}", step.path),
                    message: "this pipeline has no transformation there".into(),
                })?;
                Ok(Planned {
                    step: step.path.first().copied().unwrap_or(0),
                    path: step.path.clone(),
                    transform,
                    parameters: step.parameters.clone(),
                })
            })
            .collect::<Result<_>>()?;
        self.execute_image(image, &plan)
    }

    /// Transforms a batch of images of one shape `(height, width, channels)` in place, on all threads.
    ///
    /// `samples` are the indices of the images in their data set. Image `i` gets what the stream
    /// `(seed, "augmentation", epoch, samples[i])` gives it: the same in any batch, in any order, on any number of
    /// threads, and the same as [`Pipeline::apply`] with [`Pipeline::stream`].
    ///
    /// # Errors
    /// As [`Pipeline::apply`], for the first image that fails, and where a step changes the size of the images.
    pub fn apply_batch(
        &self,
        images: &mut [f32],
        shape: (usize, usize, usize),
        samples: &[u64],
        seed: u64,
        epoch: u64,
    ) -> Result<()> {
        self.batch(images, ValueRange::BYTES, shape.into(), samples, (seed, epoch))
    }

    /// The same for bytes, whose 0 and 255 stand for the ends of `value_range`: the draws are those of
    /// [`Pipeline::apply_batch`], and what comes out is rounded to the nearest level after each step.
    ///
    /// A quarter of the memory; geometry and levels are computed on the bytes themselves, what needs more is converted
    /// and converted back.
    ///
    /// ```
    /// use augmentation::{Pipeline, ValueRange};
    ///
    /// let pipeline = Pipeline::parse_for("flip(horizontal) | brightness(0.2)", ValueRange::UNIT)?;
    /// let mut bytes: Vec<u8> = (0..48).map(|v| 5 * v).collect();
    /// let mut floats: Vec<f32> = bytes.iter().map(|&v| f32::from(v) / 255.0).collect();
    /// pipeline.apply_batch_bytes(&mut bytes, ValueRange::UNIT, (4, 4, 3), &[7], 6020, 0)?;
    /// pipeline.apply_batch(&mut floats, (4, 4, 3), &[7], 6020, 0)?;
    /// assert!(bytes.iter().zip(&floats).all(|(&byte, value)| (f32::from(byte) - 255.0 * value).abs() <= 0.501));
    /// # Ok::<(), augmentation::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Pipeline::apply_batch`], and where a step gives values that bytes cannot hold (`rescale`, `normalize`).
    pub fn apply_batch_bytes(
        &self,
        images: &mut [u8],
        value_range: ValueRange,
        shape: (usize, usize, usize),
        samples: &[u64],
        seed: u64,
        epoch: u64,
    ) -> Result<()> {
        value_range.check("Pipeline")?;
        self.batch(images, value_range, shape.into(), samples, (seed, epoch))
    }

    fn batch<P: Pixel>(
        &self,
        images: &mut [P],
        range: ValueRange,
        shape: ImageShape,
        samples: &[u64],
        (seed, epoch): (u64, u64),
    ) -> Result<()> {
        let ImageShape {
            height,
            width,
            channels,
        } = shape;
        let size = shape.values()?;
        if !images.len().is_multiple_of(size) {
            return Err(Error::WrongLength {
                height,
                width,
                channels,
                found: images.len(),
            });
        }
        let count = images.len() / size;
        if samples.len() != count {
            return Err(Error::Samples {
                samples: samples.len(),
                images: count,
            });
        }
        if self.steps.is_empty() {
            return Ok(());
        }
        // Derived once: naming the stream would be a fifth of the time that a small image takes.
        let of_epoch = Self::stream_of_epoch(seed, epoch);
        let failed = images
            .par_chunks_exact_mut(size)
            .zip(samples)
            .enumerate()
            .with_min_len((VALUES_AT_ONCE / size).max(1))
            .map_init(
                || (Planner::new(shape, false), Vec::new()),
                |(planner, scratch), (i, (data, &sample))| {
                    let pixels = PixelsMut {
                        shape,
                        data,
                        range,
                        scratch,
                    };
                    let outcome = self.one_of_batch(pixels, planner, of_epoch.sample(sample));
                    outcome.err().map(|error| (i, error))
                },
            )
            .flatten()
            .min_by_key(|(i, _)| *i);
        failed.map_or(Ok(()), |(_, error)| Err(error))
    }

    fn one_of_batch<'a, P: Pixel>(
        &'a self,
        mut pixels: PixelsMut<'_, P>,
        planner: &mut Planner<'a>,
        stream: Stream,
    ) -> Result<()> {
        let shape = pixels.shape;
        // Also where nothing happens to the image: whether it is refused must not depend on a draw.
        P::check(pixels.data, shape)?;
        planner.plan(&self.steps, shape, stream)?;
        if planner.plan.iter().all(|step| step.parameters.change_nothing()) {
            return Ok(());
        }
        same_shape(&planner.plan, shape)?;
        self.execute(&mut pixels, &planner.plan)
    }

    /// The stream that [`Pipeline::apply_batch`] draws from for a sample in an epoch.
    pub fn stream(seed: u64, epoch: u64, sample: u64) -> Stream {
        Self::stream_of_epoch(seed, epoch).sample(sample)
    }

    fn stream_of_epoch(seed: u64, epoch: u64) -> Stream {
        Stream::new(seed).op("augmentation").epoch(epoch)
    }

    /// Draws what happens to an image of this shape.
    fn plan(&self, shape: ImageShape, stream: Stream) -> Result<Vec<Planned<'_>>> {
        let mut planner = Planner::new(shape, true);
        planner.plan(&self.steps, shape, stream)?;
        Ok(planner.plan)
    }

    /// Does what was drawn to an image, whose shape may change on the way.
    fn execute_image(&self, image: &mut Image, plan: &[Planned<'_>]) -> Result<()> {
        let mut scratch = Vec::new();
        let mut rest = plan;
        while let Some((first, others)) = rest.split_first() {
            let shape = image.shape();
            if first.transform.output_shape(shape) != shape {
                first.transform.apply(image, &first.parameters)?;
                rest = others;
                continue;
            }
            let same = rest
                .iter()
                .take_while(|step| step.transform.output_shape(shape) == shape);
            let (here, others) = rest.split_at(same.count());
            self.execute(&mut PixelsMut::of(image, &mut scratch), here)?;
            rest = others;
        }
        Ok(())
    }

    /// Does what was drawn to pixels; warps that follow each other are merged where they read in the same way.
    fn execute<P: Pixel>(&self, pixels: &mut PixelsMut<'_, P>, plan: &[Planned<'_>]) -> Result<()> {
        let mut next = 0;
        while next < plan.len() {
            let first = next;
            next += 1;
            let mut merged: Option<Warp> = None;
            if self.merge_affine {
                merged = plan[first].warp(pixels.shape);
                while let (Some(warp), Some(step)) = (merged, plan.get(next)) {
                    let Some(both) = step.warp(pixels.shape).and_then(|following| warp.then(following)) else {
                        break;
                    };
                    merged = Some(both);
                    next += 1;
                }
            }
            match merged {
                // Flips only move pixels, and have a faster way.
                Some(warp) if warp.reading.is_some() => warp.apply_in_place(pixels),
                _ => plan[first..next]
                    .iter()
                    .try_for_each(|step| step.transform.apply_to_pixels(pixels, &step.parameters))?,
            }
        }
        Ok(())
    }
}

/// A transformation that was drawn to happen.
struct Planned<'a> {
    /// The step of the pipeline that it is, or is in.
    step: usize,
    /// Empty where nobody asks: a piece of memory for each step is a good part of what a small image costs.
    path: Vec<usize>,
    transform: &'a Transform,
    parameters: Parameters,
}

impl Planned<'_> {
    fn warp(&self, shape: ImageShape) -> Option<Warp> {
        self.transform.warp(&self.parameters, shape)
    }
}

/// Room for plans, which is used again from one image to the next.
struct Planner<'a> {
    /// What the image has become so far.
    shape: ImageShape,
    /// The step that is drawn.
    path: Vec<usize>,
    /// Whether the plan says where in the pipeline its steps are.
    records: bool,
    plan: Vec<Planned<'a>>,
}

impl<'a> Planner<'a> {
    fn new(shape: ImageShape, records: bool) -> Self {
        Self {
            shape,
            path: Vec::new(),
            records,
            plan: Vec::new(),
        }
    }

    /// Draws what happens to an image of this shape into `plan`.
    fn plan(&mut self, steps: &'a [Step], shape: ImageShape, stream: Stream) -> Result<()> {
        self.shape = shape;
        self.path.clear();
        self.plan.clear();
        self.steps(steps, stream)
    }

    fn steps(&mut self, steps: &'a [Step], stream: Stream) -> Result<()> {
        for (i, step) in steps.iter().enumerate() {
            self.path.push(i);
            // Each step has a stream of its own: what one step draws never shifts the draws of another.
            self.step(step, stream.step(i as u64))?;
            self.path.pop();
        }
        Ok(())
    }

    fn step(&mut self, step: &'a Step, stream: Stream) -> Result<()> {
        let mut draws = stream.draws();
        if step.probability < 1.0 && !draws.bernoulli(step.probability) {
            return Ok(());
        }
        match &step.action {
            Action::Transform(transform) => {
                let parameters = transform.draw(&mut draws, self.shape);
                self.plan.push(Planned {
                    step: self.path[0],
                    path: if self.records { self.path.clone() } else { Vec::new() },
                    transform,
                    parameters,
                });
                self.shape = transform.output_shape(self.shape);
                self.shape.values().map(drop)
            }
            Action::Group(steps) => self.steps(steps, stream),
            Action::Mix(mix) => Err(Error::Mixing {
                step: self.path[0],
                name: mix.known().0,
            }),
            Action::OneOf(branches) => self.branch(branches, draws.below(branches.len()), stream),
            Action::SomeOf { count, branches } => {
                for branch in choose(&mut draws, *count, branches.len()) {
                    self.branch(branches, branch, stream)?;
                }
                Ok(())
            }
        }
    }

    fn branch(&mut self, branches: &'a [Vec<Step>], i: usize, stream: Stream) -> Result<()> {
        self.path.push(i);
        self.steps(&branches[i], stream.step(i as u64))?;
        self.path.pop();
        Ok(())
    }
}

/// `count` different numbers below `n`, in ascending order.
pub(super) fn choose(draws: &mut Draws, count: usize, n: usize) -> Vec<usize> {
    let mut chosen = draws.permutation(n);
    chosen.truncate(count);
    chosen.sort_unstable();
    chosen
}

/// Refuses a plan that changes the shape of the image on the way or at its end.
fn same_shape(plan: &[Planned<'_>], shape: ImageShape) -> Result<()> {
    for step in plan {
        let after = step.transform.output_shape(shape);
        if after != shape {
            return Err(Error::ShapeChanges {
                step: step.step,
                from: shape.to_string(),
                to: after.to_string(),
            });
        }
    }
    Ok(())
}

/// The transformation at a path of step, branch, step, ... numbers.
fn find<'a>(steps: &'a [Step], path: &[usize]) -> Option<&'a Transform> {
    let (&first, rest) = path.split_first()?;
    match (&steps.get(first)?.action, rest) {
        (Action::Transform(transform), []) => Some(transform),
        (Action::Group(steps), rest) => find(steps, rest),
        (Action::OneOf(branches) | Action::SomeOf { branches, .. }, [branch, rest @ ..]) => {
            find(branches.get(*branch)?, rest)
        }
        _ => None,
    }
}
