//! What can go wrong, said to the person who wrote the pipeline or brought the image.

/// The result of this crate's operations.
pub type Result<T> = std::result::Result<T, Error>;

/// Everything that this crate refuses, each with where and what.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An image without pixels.
    #[error("an image of {height} x {width} x {channels} has no pixels; every side must be at least 1")]
    EmptyImage {
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
        /// Values a pixel.
        channels: usize,
    },
    /// A buffer that does not hold as many values as its shape says.
    #[error(
        "an image of {height} x {width} x {channels} does not fit a buffer of {found} values; \
         its length must be height * width * channels (a whole number of images for a batch)"
    )]
    WrongLength {
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
        /// Values a pixel.
        channels: usize,
        /// Length of the buffer.
        found: usize,
    },
    /// A requested image that is larger than this crate is ready to allocate.
    #[error("an image of {height} x {width} x {channels} is too large; the limit is {limit} values")]
    TooLarge {
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
        /// Values a pixel.
        channels: usize,
        /// The most values that an image may have.
        limit: usize,
    },
    /// A pixel that is NaN or infinite.
    #[error("the pixel at row {row}, column {column}, channel {channel} is {value}; augment finite values only")]
    NotFinite {
        /// Row of the pixel.
        row: usize,
        /// Column of the pixel.
        column: usize,
        /// Channel of the value.
        channel: usize,
        /// The value found.
        value: f32,
    },
    /// A transformation of colours on an image without colours, or with the wrong number of channels.
    #[error(
        "{transformation} needs {expected}, the image has {found} channels; leave the step out or convert the image"
    )]
    Channels {
        /// Class name of the transformation.
        transformation: &'static str,
        /// What it can work on.
        expected: &'static str,
        /// Channels of the image.
        found: usize,
    },
    /// An argument out of its range.
    #[error("{transformation}: {argument} is {found}; expected {expected}")]
    Argument {
        /// Class name of the transformation.
        transformation: &'static str,
        /// Name of the argument.
        argument: &'static str,
        /// The value found.
        found: String,
        /// What is allowed.
        expected: String,
    },
    /// A text that is no pipeline; `excerpt` is the line with a caret under the place.
    #[error("{message}\n{excerpt}")]
    Syntax {
        /// What is wrong and, where there is one, the nearest known name.
        message: String,
        /// Where, in characters from the beginning of the text (from 0).
        position: usize,
        /// The line of the text and below it a line with carets.
        excerpt: String,
    },
    /// A JSON document that is no pipeline or no record; `place` says which step.
    #[error("{place}: {message}")]
    Json {
        /// Which part of the document, such as `steps[2].one_of[0][1]`.
        place: String,
        /// What is wrong with it.
        message: String,
    },
    /// Parameters that belong to another transformation or another shape of image.
    #[error("{transformation}: these parameters cannot be applied: {reason}")]
    Parameters {
        /// Class name of the transformation.
        transformation: &'static str,
        /// Why not.
        reason: String,
    },
    /// A pipeline that changes the size of the images, used where the buffer stays.
    #[error(
        "step {step} turns images of {from} into {to}, but a batch is transformed in place; \
         keep steps that change the size out of the pipeline, or apply it image by image"
    )]
    ShapeChanges {
        /// Number of the step (from 0).
        step: usize,
        /// Shape before.
        from: String,
        /// Shape after.
        to: String,
    },
    /// A transformation to another range of values, of bytes.
    #[error(
        "{transformation} gives values that bytes cannot hold; leave the step out of a pipeline for bytes, or convert the \
         images to f32 before"
    )]
    Range {
        /// Class name of the transformation.
        transformation: &'static str,
    },
    /// A severity outside of 1..=5.
    #[error("severity {found} does not exist; corruptions have severities 1 to 5")]
    Severity {
        /// The severity asked for.
        found: u8,
    },
    /// A step that needs labels, where there are none.
    #[error(
        "step {step}, {name}, blends an image and its label with those of another sample; use it where a network is trained, or \
         leave it out"
    )]
    Mixing {
        /// Number of the step (from 0).
        step: usize,
        /// Its name in the text form.
        name: &'static str,
    },
    /// A step that blends samples before one that does not, or as an alternative to one.
    #[error(
        "step {step} blends samples: mixup and cutmix come after all other steps, and only one_of and some_of of both may hold \
         them; move them to the end of the pipeline"
    )]
    MixingOrder {
        /// Number of the step (from 0).
        step: usize,
    },
    /// As many sample numbers as images are needed.
    #[error("{samples} sample numbers for {images} images; give each image its index in the data set")]
    Samples {
        /// Sample numbers given.
        samples: usize,
        /// Images in the batch.
        images: usize,
    },
}
