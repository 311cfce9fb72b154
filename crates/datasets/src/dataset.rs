//! Images with labels, and the two parts of a data set.

use crate::{Error, Images, Result};

/// Images and the class of each.
///
/// ```
/// let digits = datasets::digits();
/// let zeros_and_ones = digits.train.with_classes(&[0, 1]);
/// assert!(zeros_and_ones.labels.iter().all(|&label| label < 2));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// The images.
    pub images: Images,
    /// The class of each image, an index into [`Dataset::classes`].
    pub labels: Vec<u32>,
}

impl Split {
    /// Images with their labels.
    ///
    /// # Errors
    /// [`Error::Inconsistent`] if there are not as many labels as images.
    pub fn new(images: Images, labels: Vec<u32>) -> Result<Self> {
        if images.len() == labels.len() {
            return Ok(Self { images, labels });
        }
        Err(Error::inconsistent(
            "labels",
            format!("one for each of {} images", images.len()),
            format!("{} labels", labels.len()),
            "pair images and labels of the same part of a data set",
        ))
    }

    /// How many images there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no image.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The images and labels at `indices`, in that order.
    ///
    /// # Panics
    /// If an index is not below [`Split::len`], as indexing a slice does.
    #[must_use]
    pub fn select(&self, indices: &[usize]) -> Self {
        Self {
            images: self.images.select(indices),
            labels: indices.iter().map(|&index| self.labels[index]).collect(),
        }
    }

    /// The images of the given classes only, relabelled by their position in `classes`: `with_classes(&[8, 3])` keeps
    /// the eights as class 0 and the threes as class 1. Their order stays.
    #[must_use]
    pub fn with_classes(&self, classes: &[u32]) -> Self {
        let position = |label: &u32| classes.iter().position(|class| class == label);
        let kept: Vec<usize> = (0..self.len())
            .filter(|&index| position(&self.labels[index]).is_some())
            .collect();
        let labels = kept
            .iter()
            .filter_map(|&index| position(&self.labels[index]))
            .map(|new| new as u32)
            .collect();
        Self {
            images: self.images.select(&kept),
            labels,
        }
    }

    /// The first `count` images, or all if there are fewer.
    #[must_use]
    pub fn first(&self, count: usize) -> Self {
        self.select(&(0..count.min(self.len())).collect::<Vec<_>>())
    }

    /// How many images each of `classes` classes has.
    #[must_use]
    pub fn class_counts(&self, classes: usize) -> Vec<usize> {
        let mut counts = vec![0; classes];
        for &label in &self.labels {
            if let Some(count) = counts.get_mut(label as usize) {
                *count += 1;
            }
        }
        counts
    }
}

/// A data set: what to learn from, what to test with, and whom to thank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dataset {
    /// The short name, as on the command line: `digits`, `mnist`, ..., or the name of a folder.
    pub name: String,
    /// Where the images come from, with the credit that their licence asks for.
    pub source: String,
    /// The name of each class; a label is an index into it.
    pub classes: Vec<String>,
    /// The part to train with.
    pub train: Split,
    /// The part to test with.
    pub test: Split,
}

impl Dataset {
    /// `(height, width, channels)` of the images, the input shape of a network.
    #[must_use]
    pub fn shape(&self) -> [usize; 3] {
        self.train.images.shape()
    }

    /// The same with all images brought to `(height, width)`, as [`Images::resized`] does.
    ///
    /// # Errors
    /// As [`Images::resized`].
    pub fn resized(mut self, size: (usize, usize)) -> Result<Self> {
        for part in [&mut self.train, &mut self.test] {
            if (part.images.height, part.images.width) != size {
                part.images = part.images.resized(size)?;
            }
        }
        Ok(self)
    }

    /// Only the given classes, in the given order, relabelled 0, 1, ...; the name says so: `digits[3,8]`.
    ///
    /// ```
    /// let pair = datasets::digits().with_classes(&[3, 8])?;
    /// assert_eq!(pair.classes, ["3", "8"]);
    /// assert_eq!(pair.test.class_counts(2), [36, 35]);
    /// # Ok::<(), datasets::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Inconsistent`] if a class does not exist or is named twice.
    pub fn with_classes(&self, classes: &[u32]) -> Result<Self> {
        let mut names = Vec::with_capacity(classes.len());
        for (position, &class) in classes.iter().enumerate() {
            match self.classes.get(class as usize) {
                Some(name) if !classes[..position].contains(&class) => names.push(name.clone()),
                _ => {
                    return Err(Error::inconsistent(
                        format!("classes of '{}'", self.name),
                        format!("different numbers of 0..={}", self.classes.len().saturating_sub(1)),
                        format!("{classes:?}"),
                        "name each class once",
                    ));
                }
            }
        }
        let chosen: Vec<String> = classes.iter().map(u32::to_string).collect();
        Ok(Self {
            name: format!("{}[{}]", self.name, chosen.join(",")),
            source: self.source.clone(),
            classes: names,
            train: self.train.with_classes(classes),
            test: self.test.with_classes(classes),
        })
    }
}
