//! Pipelines: steps one after the other, each with a probability, with choices between branches.

mod display;
mod document;
mod mixing;
mod parse;
mod run;

pub use mixing::{Blend, Mix};
pub use run::{Applied, AppliedStep};

use crate::error::{Error, Result};
use crate::range::ValueRange;
use crate::transform::Transform;

/// How deep branches may be nested in each other.
pub(crate) const MAX_DEPTH: usize = 16;

/// Transformations one after the other.
///
/// The text form joins steps with `|`. A step is a transformation with its arguments, in order or by name, a choice
/// `one_of(a, b, ...)` or `some_of(2, a, b, c)` between branches, or steps in parentheses; `@ p` behind it makes it
/// happen with probability `p`. `mixup(alpha)` and `cutmix(factor)` may stand at its end.
///
/// ```
/// use augmentation::Pipeline;
///
/// let pipeline = Pipeline::parse("flip(horizontal) | rotate(factor=0.1) | one_of(contrast(0.2), blur()) @ 0.5")?;
/// assert_eq!(pipeline.to_string(), "flip(horizontal) | rotate(0.1) | one_of(contrast(0.2), blur()) @ 0.5");
///
/// let error = Pipeline::parse("flip(horizontal) | rotat(0.1)").unwrap_err();
/// assert_eq!(error.to_string(), "\
/// there is no transformation `rotat`; did you mean `rotate`?
///   flip(horizontal) | rotat(0.1)
///                      ^^^^^");
/// # Ok::<(), augmentation::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Pipeline {
    pub(crate) steps: Vec<Step>,
    pub(crate) merge_affine: bool,
}

/// One step of a pipeline.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// What happens.
    pub action: Action,
    /// With which probability, in [0, 1].
    pub probability: f64,
}

/// What happens in a step.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// One transformation.
    Transform(Transform),
    /// One of these branches, each equally likely.
    OneOf(Vec<Vec<Step>>),
    /// `count` different ones of these branches, in the order in which they are written.
    SomeOf {
        /// How many.
        count: usize,
        /// Of which.
        branches: Vec<Vec<Step>>,
    },
    /// These steps, one after the other.
    Group(Vec<Step>),
    /// Image and label blended with those of another sample: only at the end of a pipeline, and only in training, where labels
    /// are at hand.
    Mix(Mix),
}

impl From<Transform> for Step {
    fn from(transform: Transform) -> Self {
        Self {
            action: Action::Transform(transform),
            probability: 1.0,
        }
    }
}

impl Default for Pipeline {
    fn default() -> Self {
        Self {
            steps: Vec::new(),
            merge_affine: true,
        }
    }
}

impl Pipeline {
    /// A pipeline of these steps.
    ///
    /// # Errors
    /// Where an argument or a probability is out of range, or a choice has nothing to choose from.
    pub fn new(steps: Vec<Step>) -> Result<Self> {
        check_steps(&steps, 0)?;
        mixing::check_order(&steps)?;
        Ok(Self {
            steps,
            ..Self::default()
        })
    }

    /// Reads the text form.
    ///
    /// # Errors
    /// [`Error::Syntax`] with the place, the line with a caret below it, and the nearest known name.
    pub fn parse(text: &str) -> Result<Self> {
        Self::parse_for(text, ValueRange::BYTES)
    }

    /// Reads the text form for pixels of another value range, which every step gets whose `value_range` is not written.
    ///
    /// ```
    /// use augmentation::{Pipeline, ValueRange};
    ///
    /// let pipeline = Pipeline::parse_for("brightness(0.1) | flip()", ValueRange::UNIT)?;
    /// assert_eq!(pipeline.to_string(), "brightness(0.1, value_range=[0, 1]) | flip()");
    /// # Ok::<(), augmentation::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Pipeline::parse`].
    pub fn parse_for(text: &str, value_range: ValueRange) -> Result<Self> {
        Ok(Self {
            steps: parse::parse(text, value_range)?,
            ..Self::default()
        })
    }

    /// The steps.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Whether nothing happens.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Whether images of bytes can go through it, and come out as the same images of floats would but for rounding: no step
    /// gives values that bytes cannot hold, or knows another value range.
    ///
    /// ```
    /// use augmentation::{Pipeline, ValueRange};
    ///
    /// let suits = |text: &str| Pipeline::parse_for(text, ValueRange::UNIT).map(|p| p.suits_bytes(ValueRange::UNIT));
    /// assert!(suits("flip(horizontal) | contrast(0.2)")?);
    /// assert!(!suits("flip(horizontal) | normalize([0.5], [0.25])")?);
    /// assert!(!suits("contrast(0.2, value_range=[0, 255])")?);
    /// # Ok::<(), augmentation::Error>(())
    /// ```
    pub fn suits_bytes(&self, value_range: ValueRange) -> bool {
        all_suit_bytes(&self.steps, value_range)
    }

    /// Whether consecutive affine steps become one warp (they do unless switched off here).
    ///
    /// One warp interpolates once, so it blurs less and is faster, and it knows what the first step alone would have
    /// pushed over the border; the pixels therefore differ from those of the steps one by one.
    #[must_use]
    pub fn merge_affine(self, merge: bool) -> Self {
        Self {
            merge_affine: merge,
            ..self
        }
    }
}

fn all_suit_bytes(steps: &[Step], value_range: ValueRange) -> bool {
    steps.iter().all(|step| match &step.action {
        Action::Transform(transform) => {
            transform.keeps_range() && transform.value_range().is_none_or(|own| own == value_range)
        }
        Action::Mix(_) => true,
        Action::Group(steps) => all_suit_bytes(steps, value_range),
        Action::OneOf(branches) | Action::SomeOf { branches, .. } => {
            branches.iter().all(|branch| all_suit_bytes(branch, value_range))
        }
    })
}

/// Checks probabilities, arguments and choices.
pub(crate) fn check_steps(steps: &[Step], depth: usize) -> Result<()> {
    if depth > MAX_DEPTH {
        return Err(argument(
            "branches",
            format!("nested {depth} deep"),
            format!("at most {MAX_DEPTH} levels"),
        ));
    }
    for step in steps {
        if !(0.0..=1.0).contains(&step.probability) {
            let expected = "a number between 0 and 1".to_owned();
            return Err(argument("probability", step.probability.to_string(), expected));
        }
        match &step.action {
            Action::Transform(transform) => transform.check()?,
            Action::Mix(mix) => mix.check()?,
            Action::Group(steps) => check_steps(steps, depth + 1)?,
            Action::OneOf(branches) | Action::SomeOf { branches, .. } => {
                if branches.is_empty() {
                    return Err(argument("branches", "none".into(), "at least one".into()));
                }
                if let Action::SomeOf { count, .. } = step.action
                    && count > branches.len()
                {
                    let expected = format!("at most the number of branches, {}", branches.len());
                    return Err(argument("count", count.to_string(), expected));
                }
                for branch in branches {
                    check_steps(branch, depth + 1)?;
                }
            }
        }
    }
    Ok(())
}

fn argument(argument: &'static str, found: String, expected: String) -> Error {
    Error::Argument {
        transformation: "Pipeline",
        argument,
        found,
        expected,
    }
}
