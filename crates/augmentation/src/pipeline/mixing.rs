//! The steps of a pipeline that blend an image, and its label, with another one: MixUp and CutMix at its end.
//!
//! The partner is drawn from the whole data set, by the number of the sample, so that an image is blended with the same
//! other image in any batch; in Keras it is another image of the batch.

use kernels::random::{Draws, Stream};
use serde_json::Value;

use super::run::choose;
use super::{Action, Pipeline, Step};
use crate::error::{Error, Result};
use crate::image::ImageShape;
use crate::mix::{CutMix, MixUp, blend_with, paste};
use crate::pixels::Pixel;

/// What blends images and labels.
#[derive(Clone, Debug, PartialEq)]
pub enum Mix {
    /// The whole images: `mixup(0.2)`.
    MixUp(MixUp),
    /// A rectangle: `cutmix()`.
    CutMix(CutMix),
}

impl Mix {
    /// The names in the text form, the classes, and the arguments.
    pub(super) const KNOWN: [(&'static str, &'static str, &'static str); 2] =
        [("mixup", "MixUp", "alpha"), ("cutmix", "CutMix", "factor")];

    pub(super) fn known(&self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::MixUp(_) => Self::KNOWN[0],
            Self::CutMix(_) => Self::KNOWN[1],
        }
    }

    /// The step of a class with a configuration, not yet checked for ranges; `None` for another class.
    pub(super) fn read(class_name: &str, config: Value) -> Option<std::result::Result<Self, String>> {
        let text = |error: serde_json::Error| error.to_string();
        match class_name {
            "MixUp" => Some(serde_json::from_value(config).map(Self::MixUp).map_err(text)),
            "CutMix" => Some(serde_json::from_value(config).map(Self::CutMix).map_err(text)),
            _ => None,
        }
    }

    pub(super) fn config(&self) -> Value {
        match self {
            Self::MixUp(mix) => serde_json::json!({"alpha": mix.alpha}),
            Self::CutMix(mix) => serde_json::json!({"factor": mix.factor}),
        }
    }

    pub(super) fn check(&self) -> Result<()> {
        match self {
            Self::MixUp(mix) => mix.check(),
            Self::CutMix(mix) => mix.check(),
        }
    }

    fn draw(&self, draws: &mut Draws, shape: ImageShape, pool: usize) -> Blend {
        let partner = draws.below(pool);
        let (region, weight) = match self {
            Self::MixUp(mix) => (None, mix.draw(draws, 1).mix_weight[0]),
            Self::CutMix(mix) => {
                let drawn = mix.draw(draws, 1, shape);
                (Some(drawn.boxes[0]), drawn.mix_weight[0])
            }
        };
        Blend {
            partner,
            weight,
            region,
        }
    }
}

/// One blending of one image, drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct Blend {
    /// Which of the images that can be partners.
    pub partner: usize,
    /// What remains of the label, and for MixUp of the image; in [0, 1].
    pub weight: f32,
    /// `[x0, x1, y0, y1]`: the columns `x0 <= x < x1` and rows `y0 <= y < y1` that come from the partner; none for MixUp.
    pub region: Option<[f64; 4]>,
}

impl Blend {
    /// Blends an image with its partner, which has been through the same pipeline.
    ///
    /// # Panics
    /// Where one of the two does not have the values of the shape.
    pub fn apply<P: Pixel>(&self, image: &mut [P], partner: &[P], shape: ImageShape) {
        match self.region {
            None => blend_with(image, partner, self.weight),
            Some(region) => paste(image, partner, region, shape),
        }
    }

    /// Blends numbers that belong to the image: the probabilities of its classes, or a weight.
    pub fn label(&self, label: &mut [f32], partner: &[f32]) {
        blend_with(label, partner, self.weight);
    }
}

impl Pipeline {
    /// Whether its last steps blend images and labels.
    ///
    /// ```
    /// use augmentation::Pipeline;
    ///
    /// let pipeline = Pipeline::parse("flip(horizontal) | one_of(mixup(0.2), cutmix()) @ 0.5")?;
    /// assert!(pipeline.mixes());
    /// assert_eq!(pipeline.without_mixing().to_string(), "flip(horizontal)");
    /// # Ok::<(), augmentation::Error>(())
    /// ```
    pub fn mixes(&self) -> bool {
        self.steps.last().is_some_and(has_mix)
    }

    /// The steps before those that blend: what happens to an image alone.
    #[must_use]
    pub fn without_mixing(&self) -> Self {
        Self {
            steps: self.steps.iter().filter(|step| !has_mix(step)).cloned().collect(),
            merge_affine: self.merge_affine,
        }
    }

    /// Draws what a sample is blended with after the other steps, in the order in which it happens; `pool` is the number of
    /// images that can be partners, and the stream that of the sample ([`Pipeline::stream`]).
    ///
    /// What is drawn depends on seed, epoch, sample and the size of the pool alone, never on a batch.
    pub fn draw_blends(&self, shape: (usize, usize, usize), stream: Stream, pool: usize) -> Vec<Blend> {
        let mut blends = Vec::new();
        for (i, step) in self.steps.iter().enumerate().filter(|(_, step)| has_mix(step)) {
            draw(step, stream.step(i as u64), shape.into(), pool, &mut blends);
        }
        blends
    }
}

fn draw(step: &Step, stream: Stream, shape: ImageShape, pool: usize, blends: &mut Vec<Blend>) {
    let mut draws = stream.draws();
    if step.probability < 1.0 && !draws.bernoulli(step.probability) {
        return;
    }
    let mut all = |steps: &[Step], stream: Stream| {
        for (i, step) in steps.iter().enumerate() {
            draw(step, stream.step(i as u64), shape, pool, blends);
        }
    };
    match &step.action {
        Action::Mix(mix) => blends.push(mix.draw(&mut draws, shape, pool)),
        Action::Transform(_) => {}
        Action::Group(steps) => all(steps, stream),
        Action::OneOf(branches) => {
            let branch = draws.below(branches.len());
            all(&branches[branch], stream.step(branch as u64));
        }
        Action::SomeOf { count, branches } => {
            for branch in choose(&mut draws, *count, branches.len()) {
                all(&branches[branch], stream.step(branch as u64));
            }
        }
    }
}

/// Whether a step blends, or one of those in it.
pub(super) fn has_mix(step: &Step) -> bool {
    any(step, &|action| matches!(action, Action::Mix(_)))
}

fn any(step: &Step, is: &impl Fn(&Action) -> bool) -> bool {
    match &step.action {
        Action::Group(steps) => steps.iter().any(|step| any(step, is)),
        Action::OneOf(branches) | Action::SomeOf { branches, .. } => {
            branches.iter().flatten().any(|step| any(step, is))
        }
        action => is(action),
    }
}

/// Refuses steps that blend anywhere but at the end, and choices between blending and something else.
pub(super) fn check_order(steps: &[Step]) -> Result<()> {
    let mut mixing = None;
    for (i, step) in steps.iter().enumerate() {
        if has_mix(step) {
            mixing = Some(i);
            if any(step, &|action| matches!(action, Action::Transform(_))) {
                return Err(Error::MixingOrder { step: i });
            }
        } else if let Some(step) = mixing {
            return Err(Error::MixingOrder { step });
        }
    }
    Ok(())
}
