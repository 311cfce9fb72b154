//! From the word on the command line to a model: a built-in name, a Keras JSON configuration, or a saved model.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use candle_core::{DType, Device};
use models::{Network, zoo};
use nn_theory::{MAX_CONFIGURATION_BYTES, ModelSpec};

/// A model that was found.
pub(crate) struct Found {
    /// What it is made of.
    pub(crate) spec: ModelSpec,
    /// The network with its weights, where a file had some.
    saved: Option<Network>,
}

impl Found {
    /// The network in float32: with the weights of the file, or with initial weights of the seed.
    pub(crate) fn into_network(self, seed: u64, device: &Device) -> Result<Network> {
        let mut network = Network::new(self.spec, seed, device, DType::F32)?;
        if let Some(saved) = &self.saved {
            for weight in saved.weights() {
                network.set_weight(&weight.path, weight.var.as_tensor())?;
            }
        }
        Ok(network)
    }
}

impl From<ModelSpec> for Found {
    fn from(spec: ModelSpec) -> Self {
        Found { spec, saved: None }
    }
}

/// Finds the model of a `<MODEL>` argument; names come first, so write `./NAME` for a file that is called like one.
pub(crate) fn find(word: &str, device: &Device) -> Result<Found> {
    let (hint, known) = match zoo::by_name(word) {
        Ok(spec) => return Ok(spec.into()),
        Err(models::Error::UnknownModel { hint, known, .. }) => (hint, known),
        Err(error) => return Err(error.into()),
    };
    let path = Path::new(word);
    if path.is_dir() {
        bail!("{word} is a folder; name a Keras JSON configuration (.json) or a model file (.safetensors) in it");
    }
    if !path.exists() {
        bail!(
            "there is no built-in model and no file '{word}'; {hint}the built-in models are: {known}; a file is a Keras JSON \
             configuration (.json) or a saved model (.safetensors)"
        );
    }
    if has_ending(path, "json") {
        let text = configuration(path)?;
        let spec = ModelSpec::from_keras_json(&text).with_context(|| word.to_string())?;
        return Ok(spec.into());
    }
    let saved = persistence::load(path, device).with_context(|| {
        format!(
            "{word} was read as a model file, which it is not (a Keras configuration ends in .json; the built-in models are: {known})"
        )
    })?;
    Ok(Found {
        spec: saved.network.spec().clone(),
        saved: Some(saved.network),
    })
}

fn has_ending(path: &Path, ending: &str) -> bool {
    path.extension().is_some_and(|found| found.eq_ignore_ascii_case(ending))
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
