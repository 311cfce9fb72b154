//! The initializers of `keras.initializers`.

use serde_json::{Map, Value, json};

/// How a weight is set before training; `seed` is Keras' optional seed of that one initializer.
#[derive(Debug, Clone, PartialEq)]
pub enum Initializer {
    /// All 0.
    Zeros,
    /// All 1.
    Ones,
    /// All the same value.
    Constant {
        /// The value.
        value: f64,
    },
    /// Uniform in `±√(6 / (fan_in + fan_out))` (Glorot and Bengio, 2010).
    GlorotUniform {
        /// Seed.
        seed: Option<i64>,
    },
    /// Truncated normal with variance `2 / (fan_in + fan_out)`.
    GlorotNormal {
        /// Seed.
        seed: Option<i64>,
    },
    /// Uniform in `±√(6 / fan_in)` (He et al., 2015).
    HeUniform {
        /// Seed.
        seed: Option<i64>,
    },
    /// Truncated normal with variance `2 / fan_in`.
    HeNormal {
        /// Seed.
        seed: Option<i64>,
    },
    /// Uniform in `±√(3 / fan_in)`.
    LecunUniform {
        /// Seed.
        seed: Option<i64>,
    },
    /// Truncated normal with variance `1 / fan_in`.
    LecunNormal {
        /// Seed.
        seed: Option<i64>,
    },
    /// Normal.
    RandomNormal {
        /// Mean.
        mean: f64,
        /// Standard deviation.
        stddev: f64,
        /// Seed.
        seed: Option<i64>,
    },
    /// Uniform.
    RandomUniform {
        /// Lower bound.
        minval: f64,
        /// Upper bound.
        maxval: f64,
        /// Seed.
        seed: Option<i64>,
    },
    /// Normal, redrawn beyond two standard deviations.
    TruncatedNormal {
        /// Mean.
        mean: f64,
        /// Standard deviation.
        stddev: f64,
        /// Seed.
        seed: Option<i64>,
    },
    /// The family that the Glorot, He and LeCun initializers belong to.
    VarianceScaling {
        /// Factor of the variance.
        scale: f64,
        /// `fan_in`, `fan_out` or `fan_avg`.
        mode: String,
        /// `truncated_normal`, `untruncated_normal` or `uniform`.
        distribution: String,
        /// Seed.
        seed: Option<i64>,
    },
    /// A random orthogonal matrix (Saxe et al., 2014).
    Orthogonal {
        /// Factor of the matrix.
        gain: f64,
        /// Seed.
        seed: Option<i64>,
    },
    /// The identity matrix times `gain`.
    Identity {
        /// Factor of the matrix.
        gain: f64,
    },
    /// An initializer without a form of its own here; its configuration is carried through unchanged.
    Other(Value),
}

/// The Glorot-uniform initializer without a seed, Keras' default for kernels.
pub(crate) fn glorot_uniform() -> Initializer {
    Initializer::GlorotUniform { seed: None }
}

pub(crate) fn orthogonal() -> Initializer {
    Initializer::Orthogonal { gain: 1.0, seed: None }
}

pub(crate) fn uniform() -> Initializer {
    Initializer::RandomUniform {
        minval: -0.05,
        maxval: 0.05,
        seed: None,
    }
}

/// `GlorotUniform` and `glorot_uniform` name the same class.
fn normalized(name: &str) -> String {
    name.chars()
        .filter(|c| *c != '_')
        .flat_map(char::to_lowercase)
        .collect()
}

impl Initializer {
    /// The initializer that Keras makes of `name` and of the keys in `config`; `None` for an unknown name.
    ///
    /// # Errors
    /// A sentence when a key has the wrong type.
    pub(crate) fn from_config(name: &str, config: &Map<String, Value>) -> Result<Option<Self>, String> {
        let float = |key: &str, default: f64| match config.get(key) {
            None => Ok(default),
            Some(value) => value
                .as_f64()
                .ok_or_else(|| format!("of an initializer: '{key}' must be a number, found {value}")),
        };
        let text = |key: &str, default: &str| match config.get(key) {
            None => Ok(default.to_owned()),
            Some(Value::String(text)) => Ok(text.clone()),
            Some(value) => Err(format!("of an initializer: '{key}' must be a text, found {value}")),
        };
        let seed = match config.get("seed") {
            None | Some(Value::Null) => None,
            Some(value) => match value.as_i64() {
                Some(seed) => Some(seed),
                None => return Ok(Some(Self::Other(Self::object(name, Value::Object(config.clone()))))),
            },
        };
        // Fans that are counted along other axes than the last two.
        if ["input_axes", "output_axes"]
            .iter()
            .any(|key| config.get(*key).is_some_and(|axes| !axes.is_null()))
        {
            return Ok(Some(Self::Other(Self::object(name, Value::Object(config.clone())))));
        }
        Ok(Some(match normalized(name).as_str() {
            "zeros" => Self::Zeros,
            "ones" => Self::Ones,
            "constant" if config.get("value").is_none_or(Value::is_number) => Self::Constant {
                value: float("value", 0.0)?,
            },
            "glorotuniform" => Self::GlorotUniform { seed },
            "glorotnormal" => Self::GlorotNormal { seed },
            "heuniform" => Self::HeUniform { seed },
            "henormal" => Self::HeNormal { seed },
            "lecununiform" => Self::LecunUniform { seed },
            "lecunnormal" => Self::LecunNormal { seed },
            "randomnormal" | "normal" => Self::RandomNormal {
                mean: float("mean", 0.0)?,
                stddev: float("stddev", 0.05)?,
                seed,
            },
            "randomuniform" | "uniform" => Self::RandomUniform {
                minval: float("minval", -0.05)?,
                maxval: float("maxval", 0.05)?,
                seed,
            },
            "truncatednormal" => Self::TruncatedNormal {
                mean: float("mean", 0.0)?,
                stddev: float("stddev", 0.05)?,
                seed,
            },
            "variancescaling" => Self::VarianceScaling {
                scale: float("scale", 1.0)?,
                mode: text("mode", "fan_in")?,
                distribution: text("distribution", "truncated_normal")?,
                seed,
            },
            "orthogonal" | "orthogonalinitializer" => Self::Orthogonal {
                gain: float("gain", 1.0)?,
                seed,
            },
            "identity" | "identityinitializer" => Self::Identity {
                gain: float("gain", 1.0)?,
            },
            _ => return Ok(None),
        }))
    }

    /// The seed that the configuration gives this one initializer.
    pub fn seed(&self) -> Option<i64> {
        match self {
            Self::GlorotUniform { seed }
            | Self::GlorotNormal { seed }
            | Self::HeUniform { seed }
            | Self::HeNormal { seed }
            | Self::LecunUniform { seed }
            | Self::LecunNormal { seed }
            | Self::RandomNormal { seed, .. }
            | Self::RandomUniform { seed, .. }
            | Self::TruncatedNormal { seed, .. }
            | Self::VarianceScaling { seed, .. }
            | Self::Orthogonal { seed, .. } => *seed,
            Self::Zeros | Self::Ones | Self::Constant { .. } | Self::Identity { .. } | Self::Other(_) => None,
        }
    }

    /// Keras' class name.
    pub fn class_name(&self) -> &str {
        match self {
            Self::Zeros => "Zeros",
            Self::Ones => "Ones",
            Self::Constant { .. } => "Constant",
            Self::GlorotUniform { .. } => "GlorotUniform",
            Self::GlorotNormal { .. } => "GlorotNormal",
            Self::HeUniform { .. } => "HeUniform",
            Self::HeNormal { .. } => "HeNormal",
            Self::LecunUniform { .. } => "LecunUniform",
            Self::LecunNormal { .. } => "LecunNormal",
            Self::RandomNormal { .. } => "RandomNormal",
            Self::RandomUniform { .. } => "RandomUniform",
            Self::TruncatedNormal { .. } => "TruncatedNormal",
            Self::VarianceScaling { .. } => "VarianceScaling",
            Self::Orthogonal { .. } => "Orthogonal",
            Self::Identity { .. } => "Identity",
            Self::Other(value) => value.get("class_name").and_then(Value::as_str).unwrap_or("Initializer"),
        }
    }

    fn object(class: &str, config: Value) -> Value {
        json!({ "module": "keras.initializers", "class_name": class, "config": config, "registered_name": null })
    }

    /// The object that Keras writes into a layer's configuration.
    pub fn to_keras(&self) -> Value {
        let axes = |seed: &Option<i64>| json!({ "seed": seed, "input_axes": null, "output_axes": null });
        let config = match self {
            Self::Zeros | Self::Ones => json!({}),
            Self::Constant { value } => json!({ "value": value }),
            Self::GlorotUniform { seed }
            | Self::GlorotNormal { seed }
            | Self::HeUniform { seed }
            | Self::HeNormal { seed }
            | Self::LecunUniform { seed }
            | Self::LecunNormal { seed } => axes(seed),
            Self::RandomNormal { mean, stddev, seed } | Self::TruncatedNormal { mean, stddev, seed } => {
                json!({ "seed": seed, "mean": mean, "stddev": stddev })
            }
            Self::RandomUniform { minval, maxval, seed } => json!({ "seed": seed, "minval": minval, "maxval": maxval }),
            Self::VarianceScaling {
                scale,
                mode,
                distribution,
                seed,
            } => json!({
                "seed": seed, "scale": scale, "mode": mode, "distribution": distribution,
                "input_axes": null, "output_axes": null
            }),
            Self::Orthogonal { gain, seed } => json!({ "seed": seed, "gain": gain }),
            Self::Identity { gain } => json!({ "gain": gain }),
            Self::Other(value) => return value.clone(),
        };
        Self::object(self.class_name(), config)
    }
}
