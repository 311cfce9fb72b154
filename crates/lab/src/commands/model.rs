//! From the word on the command line to a model: a built-in name, a Keras JSON configuration, or a saved model.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context as _, Result, anyhow, bail};
use candle_core::{DType, Device};
use models::{Network, zoo};
use nn_theory::{DTypePolicy, Layer, MAX_CONFIGURATION_BYTES, ModelSpec};
use persistence::Model;

use super::train::saved_image_size;
use crate::cli::ImageSize;
use crate::nearest;

/// A model that was found.
pub(crate) struct Found {
    /// What it is made of.
    pub(crate) spec: ModelSpec,
    /// The file with its weights, where it was one.
    saved: Option<Model>,
}

impl Found {
    /// Whether it comes with weights of its own.
    pub(crate) fn has_weights(&self) -> bool {
        self.saved.is_some()
    }

    /// The size that the images were resized to which its weights were trained with.
    pub(crate) fn image_size(&self) -> Option<ImageSize> {
        saved_image_size(&self.saved.as_ref()?.metadata)
    }

    /// The network in float32: with the weights of the file, or with initial weights of the seed.
    pub(crate) fn into_network(self, seed: u64, device: &Device) -> Result<Network> {
        match self.saved {
            Some(model) => Ok(model.in_precision(persistence::Precision::F32).network(device)?),
            None => Ok(Network::new(self.spec, seed, device, DType::F32)?),
        }
    }

    /// The same in float64, in which all layers compute, whatever their policies say.
    pub(crate) fn into_exact_network(self, seed: u64, device: &Device) -> Result<Network> {
        let network = match self.saved {
            Some(model) => model.in_precision(persistence::Precision::F64).network(device)?,
            None => Network::new(self.spec, seed, device, DType::F64)?,
        };
        Ok(network.with_policy(DTypePolicy::uniform(nn_theory::DType::Float64))?)
    }
}

impl From<ModelSpec> for Found {
    fn from(spec: ModelSpec) -> Self {
        Found { spec, saved: None }
    }
}

/// Finds the model of a `<MODEL>` argument; names come first, so write `./NAME` for a file that is called like one.
pub(crate) fn find(word: &str) -> Result<Found> {
    let (hint, known) = match zoo::by_name(word) {
        Ok(spec) => return Ok(spec.into()),
        Err(models::Error::UnknownModel { hint, known, .. }) => (hint, known),
        Err(error) => return Err(error.into()),
    };
    let path = Path::new(word);
    if path.is_dir() {
        bail!(
            "{word} is a folder; name a Keras JSON configuration (.json) or a model file ({}) in it",
            endings()
        );
    }
    if !path.exists() {
        bail!(
            "there is no built-in model and no file '{word}'; {hint}the built-in models are: {known}; a file is a Keras JSON \
             configuration (.json) or a saved model ({})",
            endings()
        );
    }
    if is_text(path)? {
        let text = configuration(path)?;
        let spec = ModelSpec::from_keras_json(&text).map_err(|error| {
            let hint = match &error {
                nn_theory::Error::UnknownClass { class, .. } => nearest::hint(class, Layer::classes().iter().copied()),
                _ => String::new(),
            };
            anyhow!("{word}: {error}{hint}")
        })?;
        return Ok(spec.into());
    }
    let saved = persistence::open(path).map_err(|error| {
        let is_other = matches!(error, persistence::Error::UnknownFormat { .. });
        let error = explained(error, path);
        if !is_other {
            return error;
        }
        error.context(format!(
            "{word} was read as a model file, which it is not (a Keras configuration is JSON; the built-in models are: {known})"
        ))
    })?;
    Ok(Found {
        spec: saved.described().map_err(|error| explained(error, path))?.clone(),
        saved: Some(saved),
    })
}

/// What is wrong with a model file, and what can be done about it with this program.
pub(super) fn explained(error: persistence::Error, path: &Path) -> anyhow::Error {
    let shown = path.display();
    match &error {
        persistence::Error::UnknownFormat { .. } => anyhow!("{error}; a model file is one of {}", endings()),
        persistence::Error::NoDescription { .. } => anyhow!(
            "{shown}: the file holds weights but no description of a network; bring both together first: lab convert {shown} \
             model.keras --config MODEL, where MODEL is a Keras JSON configuration or a built-in name"
        ),
        _ => error.into(),
    }
}

/// The endings of model files.
pub(super) fn endings() -> String {
    persistence::READ
        .map(|format| format!(".{}", format.ending()))
        .join(", ")
}

/// Whether a file is a JSON text: its first byte says so, or at least its name.
pub(super) fn is_text(path: &Path) -> Result<bool> {
    let named = path.extension().is_some_and(|found| found.eq_ignore_ascii_case("json"));
    let mut first = [0];
    let read = path
        .is_file()
        .then(|| File::open(path).and_then(|mut file| file.read(&mut first)))
        .transpose();
    read.with_context(|| format!("{} cannot be read; check its permissions", path.display()))?;
    Ok(named || first == *b"{")
}

/// The text of a configuration, if it is not larger than any configuration is.
fn configuration(path: &Path) -> Result<String> {
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(MAX_CONFIGURATION_BYTES as u64 + 1).read_to_string(&mut text))
        .with_context(|| {
            format!(
                "{} cannot be read as a Keras JSON configuration; check the file and its permissions",
                path.display()
            )
        })?;
    Ok(text)
}
