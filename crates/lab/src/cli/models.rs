//! What can be typed after the commands that look at a model: `evaluate`, `predict`, `convert`, `inspect`, `gradcheck`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{DEFAULT_SEED, ImageSize, PlaceArgs, at_least_one, whole};

/// What to measure.
#[derive(Args)]
pub(crate) struct EvaluateArgs {
    /// A model file, as `lab train --output` wrote it or another program
    pub(crate) model: PathBuf,
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
    /// Also ask about so many augmented views of each image, and let their mean answer (test-time augmentation)
    #[arg(long, value_name = "VIEWS", value_parser = at_least_one)]
    pub(crate) tta: Option<usize>,
    /// The pipeline of the views (default: that which the network was trained with)
    #[arg(long, value_name = "PIPELINE", requires = "tta")]
    pub(crate) augment: Option<String>,
    /// What of the views is averaged [default: probabilities]
    #[arg(long, value_enum, value_name = "WHAT", requires = "tta")]
    pub(crate) mean: Option<Mean>,
    /// The seed of the views [default: 6020]
    #[arg(long, requires = "tta", allow_negative_numbers = true, value_parser = whole)]
    pub(crate) seed: Option<u64>,
    /// As JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// What of several views is averaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mean {
    /// The class probabilities
    Probabilities,
    /// The outputs before they become probabilities
    Logits,
}

/// What to compute.
#[derive(Args)]
pub(crate) struct PredictArgs {
    /// A built-in name, a Keras JSON configuration, or a model file
    pub(crate) model: String,
    /// The description of the network, for a file that holds weights alone: a built-in name or a Keras JSON configuration
    #[arg(long, value_name = "MODEL")]
    pub(crate) config: Option<String>,
    /// A .safetensors file with the inputs (batch, ...): one tensor for each input layer by its name; of a single one the name may be 'input', or any where it is alone
    #[arg(long, value_name = "FILE")]
    pub(crate) inputs: PathBuf,
    /// The .safetensors file that the outputs are written to, as 'output', or 'output_0' and so on where there are several
    #[arg(long, value_name = "FILE")]
    pub(crate) outputs: PathBuf,
    /// Resize inputs that are images (batch, height, width, channels) to this height and width first, bilinearly, such as 64x64
    /// (default: of a network that was trained with --image-size, to that)
    #[arg(long, value_name = "HEIGHTxWIDTH")]
    pub(crate) image_size: Option<ImageSize>,
    /// Samples that are computed at a time
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = at_least_one)]
    pub(crate) batch_size: usize,
    /// cpu, cuda, cuda:N or metal
    #[arg(long, default_value = "cpu")]
    pub(crate) device: String,
    /// The seed of the initial weights of a model that has none
    #[arg(long, default_value_t = DEFAULT_SEED, allow_negative_numbers = true, value_parser = whole)]
    pub(crate) seed: u64,
    /// Print what was computed as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// What to write anew.
#[derive(Args)]
pub(crate) struct ConvertArgs {
    /// A model file; its first bytes say which format it has
    #[arg(value_name = "IN")]
    pub(crate) input: PathBuf,
    /// The new file; its ending says which format it gets
    #[arg(value_name = "OUT")]
    pub(crate) output: PathBuf,
    /// Number format of the weights (default: that of the file)
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub(crate) precision: Option<PrecisionArg>,
    /// The description of the network, for a file that holds weights alone: a built-in name or a Keras JSON configuration
    #[arg(long, value_name = "MODEL")]
    pub(crate) config: Option<String>,
    /// Leave the optimizer and its state out
    #[arg(long)]
    pub(crate) without_optimizer: bool,
    /// Print what was written as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// The number formats of weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PrecisionArg {
    /// 16 bits with the range of float32
    Bf16,
    /// 16 bits, up to 65,504
    F16,
    /// 32 bits
    F32,
    /// 64 bits
    F64,
}

/// What to look at.
#[derive(Args)]
pub(crate) struct InspectArgs {
    /// A model file; its first bytes say which format it has
    pub(crate) file: PathBuf,
    /// Show where each weight is in the files of other frameworks, and in which layout
    #[arg(long, conflicts_with = "against")]
    pub(crate) mapping: bool,
    /// Compare with this model file: layers, and weights of the same name number by number
    #[arg(long, value_name = "FILE")]
    pub(crate) against: Option<PathBuf>,
    /// Also let both decide on the test images: digits, mnist, fashion-mnist, cifar10, cats-dogs, cats-dogs-original, or a folder with
    /// one sub-folder of images a class
    #[arg(long, value_name = "NAME|DIR", requires = "against")]
    pub(crate) data: Option<String>,
    /// The folder that holds the files of the data set (default: the cache folder, where they are downloaded to)
    #[arg(long, value_name = "DIR", requires = "data")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Resize the test images to this height and width, such as 64x64 (default: what the first file was trained with)
    #[arg(long, value_name = "HEIGHTxWIDTH", requires = "data")]
    pub(crate) image_size: Option<ImageSize>,
    /// The description of the network, for a file that holds weights alone: a built-in name or a Keras JSON configuration
    #[arg(long, value_name = "MODEL")]
    pub(crate) config: Option<String>,
    /// As JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// What to check.
#[derive(Args)]
pub(crate) struct GradcheckArgs {
    /// A built-in name, a Keras JSON configuration, or a model file
    pub(crate) model: String,
    /// Entries of each weight that are tried, spread evenly over it
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = at_least_one)]
    pub(crate) entries: usize,
    /// Random samples that the loss is computed of
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = at_least_one)]
    pub(crate) batch_size: usize,
    /// cpu, cuda, cuda:N or metal
    #[arg(long, default_value = "cpu")]
    pub(crate) device: String,
    /// The seed of samples, targets and dropout, and of the weights of a model that has none
    #[arg(long, default_value_t = DEFAULT_SEED, allow_negative_numbers = true, value_parser = whole)]
    pub(crate) seed: u64,
    /// As JSON
    #[arg(long)]
    pub(crate) json: bool,
}
