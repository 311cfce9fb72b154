//! The layers of Keras: configuration, output shape, weights and cost of each, as data.
//!
//! A layer is one `layer!` declaration (fields with Keras' names and defaults) and one implementation of `LayerSpec`;
//! adding one touches its own file and one line of the list below.

#[macro_use]
mod declare;

mod activations;
mod adaptation;
mod applications;
mod attention;
mod audio;
mod cells;
mod conv_lstm;
mod convolution;
mod convolution_kinds;
mod core;
mod dense;
mod dropout;
mod einsum;
mod embedding;
mod encoding;
mod lookup;
mod merging;
mod nested;
mod normalization;
mod opaque;
mod operation;
mod padding;
mod pipeline;
mod pooling;
mod recurrent;
mod reshaping;
mod wrappers;

pub use activations::{Activation as ActivationLayer, ELU, LeakyReLU, PReLU, ReLU, Softmax};
pub use applications::{CustomScaleLayer, LayerScale, StochasticDepth};
pub use attention::{AdditiveAttention, Attention, GroupQueryAttention, MultiHeadAttention};
pub use audio::{MelSpectrogram, STFTSpectrogram};
pub use cells::{GRUCell, LSTMCell, RNN, SimpleRNNCell, StackedRNNCells};
pub use conv_lstm::{ConvLSTM1D, ConvLSTM2D, ConvLSTM3D};
pub use convolution::{Conv1D, Conv2D, Conv3D};
pub use convolution_kinds::{
    Conv1DTranspose, Conv2DTranspose, Conv3DTranspose, DepthwiseConv1D, DepthwiseConv2D, SeparableConv1D,
    SeparableConv2D,
};
pub use core::InputLayer;
pub use dense::Dense;
pub use dropout::{
    ActivityRegularization, AlphaDropout, AugMix, AutoContrast, ContrastLimitedAdaptiveHistogramEqualization, CutMix,
    Dropout, Equalization, GaussianDropout, GaussianNoise, Identity, Masking, MaxNumBoundingBoxes, MixUp, RandAugment,
    RandomBrightness, RandomColorDegeneration, RandomColorJitter, RandomContrast, RandomElasticTransform,
    RandomErasing, RandomFlip, RandomGaussianBlur, RandomGrayscale, RandomHue, RandomInvert, RandomPerspective,
    RandomPosterization, RandomRotation, RandomSaturation, RandomSharpness, RandomShear, RandomTranslation, RandomZoom,
    Rescaling, Solarization, SpatialDropout1D, SpatialDropout2D, SpatialDropout3D,
};
pub use einsum::EinsumDense;
pub use embedding::{Embedding, ReversibleEmbedding};
pub use encoding::{CategoryEncoding, Discretization, HashedCrossing, Hashing};
pub use lookup::{IntegerLookup, StringLookup, TextVectorization};
pub use merging::{Add, Average, Concatenate, Dot, Maximum, Minimum, Multiply, Subtract};
pub use nested::NestedModel;
pub use normalization::{
    BatchNormalization, GroupNormalization, LayerNormalization, Normalization, RMSNormalization, UnitNormalization,
};
pub use opaque::{Lambda, UnknownLayer};
pub use operation::Operation;
pub(crate) use operation::module_of;
pub use padding::{
    CenterCrop, Cropping1D, Cropping2D, Cropping3D, Margins, RandomCrop, Resizing, UpSampling1D, UpSampling2D,
    UpSampling3D, ZeroPadding1D, ZeroPadding2D, ZeroPadding3D,
};
pub use pipeline::Pipeline;
pub use pooling::{
    AdaptiveAveragePooling1D, AdaptiveAveragePooling2D, AdaptiveAveragePooling3D, AdaptiveMaxPooling1D,
    AdaptiveMaxPooling2D, AdaptiveMaxPooling3D, AveragePooling1D, AveragePooling2D, AveragePooling3D,
    GlobalAveragePooling1D, GlobalAveragePooling2D, GlobalAveragePooling3D, GlobalMaxPooling1D, GlobalMaxPooling2D,
    GlobalMaxPooling3D, MaxPooling1D, MaxPooling2D, MaxPooling3D,
};
pub use recurrent::{GRU, LSTM, SimpleRNN};
pub use reshaping::{Flatten, Permute, RepeatVector, Reshape};
pub use wrappers::{Bidirectional, SpectralNormalization, TimeDistributed, WrappedLayer};

use crate::{
    Shape,
    dtype::DTypePolicy,
    error::{Error, Problem, Result},
    formula::{Expr, Formula},
    keras_json::{self, Argument, Fields, Object},
    model::Carried,
    weight::Weight,
};
use serde_json::{Map, Value};

// `Activation` the layer and `Activation` the function have the same name in Keras; inside the list it is the layer.
use activations::Activation;

layer_list! {
    Activation, ActivityRegularization, AdaptiveAveragePooling1D, AdaptiveAveragePooling2D,
    AdaptiveAveragePooling3D, AdaptiveMaxPooling1D, AdaptiveMaxPooling2D, AdaptiveMaxPooling3D, Add,
    AdditiveAttention, AlphaDropout, Attention, AugMix, AutoContrast, Average, AveragePooling1D, AveragePooling2D,
    AveragePooling3D, BatchNormalization, Bidirectional, CategoryEncoding, CenterCrop, Concatenate,
    ContrastLimitedAdaptiveHistogramEqualization, Conv1D, Conv1DTranspose, Conv2D, Conv2DTranspose, Conv3D,
    Conv3DTranspose, ConvLSTM1D, ConvLSTM2D, ConvLSTM3D, Cropping1D, Cropping2D, Cropping3D, CustomScaleLayer,
    CutMix, Dense, DepthwiseConv1D, DepthwiseConv2D, Discretization, Dot, Dropout, ELU, EinsumDense, Embedding,
    Equalization, Flatten, GRU, GRUCell, GaussianDropout, GaussianNoise, GlobalAveragePooling1D,
    GlobalAveragePooling2D, GlobalAveragePooling3D, GlobalMaxPooling1D, GlobalMaxPooling2D, GlobalMaxPooling3D,
    GroupNormalization, GroupQueryAttention, HashedCrossing, Hashing, Identity, InputLayer, IntegerLookup, LSTM,
    LSTMCell, Lambda, LayerNormalization, LayerScale, LeakyReLU, Masking, MaxNumBoundingBoxes, MaxPooling1D,
    MaxPooling2D, MaxPooling3D, Maximum, MelSpectrogram, Minimum, MixUp, MultiHeadAttention, Multiply,
    Normalization, PReLU, Permute, Pipeline, RMSNormalization, RNN, RandAugment, RandomBrightness,
    RandomColorDegeneration, RandomColorJitter, RandomContrast, RandomCrop, RandomElasticTransform, RandomErasing,
    RandomFlip, RandomGaussianBlur, RandomGrayscale, RandomHue, RandomInvert, RandomPerspective,
    RandomPosterization, RandomRotation, RandomSaturation, RandomSharpness, RandomShear, RandomTranslation,
    RandomZoom, ReLU, RepeatVector, Rescaling, Reshape, Resizing, ReversibleEmbedding, STFTSpectrogram,
    SeparableConv1D, SeparableConv2D, SimpleRNN, SimpleRNNCell, Softmax, Solarization, SpatialDropout1D,
    SpatialDropout2D, SpatialDropout3D, SpectralNormalization, StackedRNNCells, StochasticDepth, StringLookup,
    Subtract, TextVectorization, TimeDistributed, UnitNormalization, UpSampling1D, UpSampling2D, UpSampling3D,
    ZeroPadding1D, ZeroPadding2D, ZeroPadding3D,
}

/// The classes whose constructor sets `built`; all others wait for a shape, also where they have no weights.
const BUILT_AT_ONCE: &[&str] = &[
    "Activation",
    "ActivityRegularization",
    "AlphaDropout",
    "AveragePooling1D",
    "AveragePooling2D",
    "AveragePooling3D",
    "Dropout",
    "ELU",
    "GaussianDropout",
    "GaussianNoise",
    "GlobalAveragePooling1D",
    "GlobalAveragePooling2D",
    "GlobalAveragePooling3D",
    "GlobalMaxPooling1D",
    "GlobalMaxPooling2D",
    "GlobalMaxPooling3D",
    "Identity",
    "LeakyReLU",
    "Masking",
    "MaxPooling1D",
    "MaxPooling2D",
    "MaxPooling3D",
    "ReLU",
    "Reshape",
    "Softmax",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
    "UnitNormalization",
];

/// What every layer knows about itself.
pub(crate) trait LayerSpec {
    /// The shapes of the outputs; also the place where the configuration is checked.
    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Problem>;

    /// The weights in Keras' order.
    fn weights(&self, inputs: &[Shape]) -> Result<Vec<Weight>, Problem> {
        let _ = inputs;
        Ok(Vec::new())
    }

    /// The count of parameters as the formula that the literature gives; by default the sum over the weights.
    fn parameters(&self, inputs: &[Shape]) -> Result<Option<Expr>, Problem> {
        let _ = inputs;
        Ok(None)
    }

    /// Multiplications (each with its addition) that one sample costs; `None` if a dimension is free.
    fn multiply_adds(&self, inputs: &[Shape], outputs: &[Shape]) -> Result<Option<Expr>, Problem> {
        let _ = (inputs, outputs);
        Ok(None)
    }

    /// Whether the layer makes its weights only when it sees a shape (Keras: "unbuilt" until then).
    fn needs_shape(&self) -> bool {
        false
    }

    /// The shapes of the outputs of one call; `arguments` are its `args` and `kwargs` where they are known.
    fn called(&self, inputs: &[Shape], arguments: Option<&Value>) -> Result<Vec<Shape>, Problem> {
        let _ = arguments;
        self.output_shapes(inputs)
    }

    /// As [`LayerSpec::called`], for a call on other shapes than the configuration was written for.
    fn recalled(&self, inputs: &[Shape], arguments: Option<&Value>) -> Result<Vec<Shape>, Problem> {
        self.called(inputs, arguments)
    }

    /// Whether the layer may be of use without known output shapes.
    fn may_be_unknown(&self) -> bool {
        false
    }

    /// Sizes of output and states, for the cell of a recurrent layer.
    fn cell(&self) -> Option<CellSizes> {
        None
    }
}

/// The sizes that a recurrent layer takes from its cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CellSizes {
    pub(crate) output: u64,
    pub(crate) states: Vec<u64>,
}

/// How many of the first arguments of `call` are inputs, for the classes that take masks behind them.
const INPUT_ARGUMENTS: &[(&str, usize)] = &[
    ("AdditiveAttention", 1),
    ("Attention", 1),
    ("BatchNormalization", 1),
    ("Bidirectional", 2),
    ("ConvLSTM1D", 2),
    ("ConvLSTM2D", 2),
    ("ConvLSTM3D", 2),
    ("GRU", 2),
    ("GlobalAveragePooling1D", 1),
    ("LSTM", 2),
    ("RNN", 2),
    ("SimpleRNN", 2),
    ("Softmax", 1),
    ("TimeDistributed", 1),
];

/// The inputs without masks: tensors under the name of a mask, or behind the first `input_arguments` positions.
fn unmasked(inputs: &[Shape], arguments: Option<&Value>, input_arguments: usize) -> Vec<Shape> {
    let is_input = |place: &Argument<'_>| match place {
        Argument::Position(position) => *position < input_arguments,
        Argument::Name(name) => !name.ends_with("mask"),
    };
    let places = keras_json::argument_places(arguments, inputs.len());
    let kept = inputs.iter().zip(places).filter(|(_, place)| is_input(place));
    kept.map(|(shape, _)| shape.clone()).collect()
}

/// Whether a call passes `true` under a name, or at the position where `call` has this argument.
pub(crate) fn flag(arguments: Option<&Value>, name: &str, position: usize) -> bool {
    let Some(arguments) = arguments else { return false };
    let named = arguments.get("kwargs").and_then(|named| named.get(name));
    let placed = || arguments.get("args").and_then(|placed| placed.get(position));
    named.or_else(placed).and_then(Value::as_bool).unwrap_or(false)
}

impl Layer {
    /// The names of all classes that have a closed form here.
    pub fn classes() -> &'static [&'static str] {
        Self::CLASSES
    }

    /// The shapes of the outputs for inputs of these shapes.
    ///
    /// # Errors
    /// [`Error::Shape`] when the layer does not accept them, [`Error::Config`] for a configuration that Keras refuses.
    pub fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>> {
        self.spec()
            .output_shapes(inputs)
            .map_err(|problem| self.problem(problem))
    }

    /// The number of parameters as a formula, for inputs of these shapes.
    ///
    /// # Errors
    /// As [`Layer::output_shapes`], and [`Error::TooLarge`] when the count leaves 64 bits.
    pub fn parameters(&self, inputs: &[Shape]) -> Result<Formula> {
        self.parameter_formula(inputs).map_err(|problem| self.problem(problem))
    }

    /// Multiplications with their additions for one sample; `None` for a layer that has none worth counting, or when
    /// a dimension is free. Source of the convention: one multiply-add a weight and output position, additions of the
    /// bias and activations not counted (as He et al., 2016, count). A normalization counts one for each time that it
    /// multiplies a value: to square it for the statistics of a sample, to scale it, to apply gamma and beta. (torchinfo
    /// counts a normalization's parameters instead, once, however many values they are applied to.)
    ///
    /// # Errors
    /// As [`Layer::parameters`].
    pub fn multiply_adds(&self, inputs: &[Shape]) -> Result<Option<Formula>> {
        let count = || {
            let outputs = self.spec().output_shapes(inputs)?;
            let cost = self.spec().multiply_adds(inputs, &outputs)?;
            cost.map(|cost| Formula::new(cost, "the number of multiply-adds"))
                .transpose()
        };
        count().map_err(|problem| self.problem(problem))
    }

    /// Which of a call's tensors the shapes and weights depend on; masks do not count.
    pub(crate) fn operands(&self, inputs: &[Shape], arguments: Option<&Value>) -> Vec<Shape> {
        match self {
            _ if arguments.is_none() => inputs.to_vec(),
            Self::MultiHeadAttention(_) | Self::GroupQueryAttention(_) => attention::operands(inputs, arguments),
            layer => {
                let class = layer.class();
                let known = INPUT_ARGUMENTS.iter().find(|(known, _)| *known == class);
                unmasked(inputs, arguments, known.map_or(usize::MAX, |(_, count)| *count))
            }
        }
    }

    /// The class as Keras prints it; only one class is configured under another name than it prints.
    pub fn printed_class(&self) -> &str {
        match self.class() {
            "GroupQueryAttention" => "GroupedQueryAttention",
            class => class,
        }
    }

    /// Whether Keras calls the layer built before it has seen an input.
    pub(crate) fn is_built_at_once(&self) -> bool {
        match self {
            Self::Model(nested) => nested.model.is_built(),
            Self::Operation(_) | Self::InputLayer(_) => true,
            layer => BUILT_AT_ONCE.contains(&layer.class()),
        }
    }

    pub(crate) fn parameter_formula(&self, inputs: &[Shape]) -> Result<Formula, Problem> {
        let what = "the number of parameters";
        if let Some(expression) = self.spec().parameters(inputs)? {
            return Formula::new(expression, what);
        }
        let mut parts: Vec<Expr> = self.spec().weights(inputs)?.iter().map(Weight::expression).collect();
        match parts.len() {
            0 => {
                let meaning = match self {
                    Self::Unknown(_) => {
                        "unknown: the class is not Keras' own, its weights are not in the configuration"
                    }
                    _ => "the layer has no weights",
                };
                Formula::new(crate::formula::num(0, "0", meaning), what)
            }
            1 => Formula::new(parts.remove(0), what),
            _ => Formula::new(Expr::Sum(parts), what),
        }
    }

    /// The weights that the layer has in a model, with quantization and low-rank adaptation, and their count.
    pub(crate) fn declared(&self, inputs: &[Shape], carried: &Carried) -> Result<(Vec<Weight>, Formula), Problem> {
        let (weights, adapted) = adaptation::adapted(self, carried, inputs, self.spec().weights(inputs)?)?;
        for weight in &weights {
            let what = || format!("the number of parameters of '{}'", weight.name);
            weight.count().ok_or_else(|| Problem::too_large(what()))?;
        }
        let formula = if adapted {
            Formula::new(
                Expr::Sum(weights.iter().map(Weight::expression).collect()),
                "the number of parameters",
            )?
        } else {
            self.parameter_formula(inputs)?
        };
        Ok((weights, formula))
    }

    fn problem(&self, problem: Problem) -> Error {
        problem.at(self.class(), self.class())
    }
}

/// A layer on its way into a model: with the name, flags and number format that it shall have there.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedLayer {
    pub(crate) layer: Layer,
    pub(crate) name: Option<String>,
    pub(crate) trainable: bool,
    pub(crate) dtype: DTypePolicy,
    pub(crate) carried: Carried,
}

impl NamedLayer {
    /// A layer that the model names, trainable, in float32.
    pub fn new(layer: Layer) -> Self {
        Self {
            layer,
            name: None,
            trainable: true,
            dtype: DTypePolicy::default(),
            carried: Carried::default(),
        }
    }

    /// The layer under this name.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The layer with its weights frozen (`false`) or not.
    #[must_use]
    pub fn trainable(mut self, trainable: bool) -> Self {
        self.trainable = trainable;
        self
    }

    /// The layer under this dtype policy.
    #[must_use]
    pub fn dtype(mut self, dtype: DTypePolicy) -> Self {
        self.dtype = dtype;
        self
    }

    /// The layer with an option of Keras' configuration, also one that has no builder method here because it changes
    /// neither shapes nor counts.
    ///
    /// ```
    /// use nn_theory::{Masking, ModelSpec};
    /// let masking = Masking::new().name("mask").option("mask_value", -1.0)?;
    /// let model = ModelSpec::sequential("one").input([5, 4]).layer(masking).build()?;
    /// assert_eq!(model.nodes()[1].config()["mask_value"], -1.0);
    /// # Ok::<(), nn_theory::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Config`] when the layer refuses the value.
    pub fn option(mut self, key: &str, value: impl Into<Value>) -> Result<Self> {
        let mut config = self.config();
        config.insert(key.to_owned(), value.into());
        let mut fields = Fields::new(Object::from_map(config));
        let class = self.layer.class().to_owned();
        let name = self.name.clone().unwrap_or_else(|| class.clone());
        match Layer::read(&class, &mut fields) {
            Some(layer) => {
                self.layer = layer.map_err(|problem| problem.at(&name, &class))?;
                self.carried.config = fields.rest();
                Ok(self)
            }
            None => Err(Problem::key(key, "cannot be set on a model or an operation").at(&name, &class)),
        }
    }

    /// Keras' `get_config()` of the layer, without its name, flags and dtype.
    pub fn config(&self) -> Map<String, Value> {
        crate::model::layer_config(&self.layer, &self.carried)
    }

    /// The dtype policy as the configuration has it, where it says more than number formats can, see
    /// [`Node::dtype_policy`](crate::Node::dtype_policy).
    pub fn dtype_policy(&self) -> Option<&Value> {
        self.carried.policy.as_ref()
    }

    /// The layer itself.
    pub fn layer(&self) -> &Layer {
        &self.layer
    }

    /// Whether training may change its weights.
    pub fn is_trainable(&self) -> bool {
        self.trainable
    }
}

impl From<Layer> for NamedLayer {
    fn from(layer: Layer) -> Self {
        Self::new(layer)
    }
}

/// The only input of a layer that takes one.
pub(crate) fn single(inputs: &[Shape]) -> Result<&Shape, Problem> {
    match inputs {
        [input] => Ok(input),
        _ => Err(Problem::shape(format!("takes one input, found {}", inputs.len()))),
    }
}

/// An error for a size that must be at least 1.
pub(crate) fn positive(key: &str, sizes: &[usize]) -> Result<(), Problem> {
    if sizes.contains(&0) {
        Err(Problem::key(key, format!("must be at least 1, found {sizes:?}")))
    } else {
        Ok(())
    }
}
