//! One run: what was asked for, what came out, how long it took.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// One run: an optimizer with a learning rate on a task, from a seed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// Name of the task.
    pub task: String,
    /// Name of the optimizer.
    pub optimizer: String,
    /// Its learning rate.
    pub learning_rate: f64,
    /// Seed of the initial weights and of the order of the samples, or of the point to start from.
    pub seed: u64,
}

/// Everything that a run's outcome depends on; its [`key`](Configuration::key) is the name of the run's record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Configuration {
    /// The version of this program: other versions may round differently.
    pub program: String,
    /// Name of the task.
    pub task: String,
    /// SHA-256 of all that the task consists of: network, data, budget.
    pub fingerprint: String,
    /// Name of the optimizer.
    pub optimizer: String,
    /// Keras' class of the optimizer.
    pub class: String,
    /// All options of the optimizer, the learning rate among them.
    pub options: Value,
    /// The seed.
    pub seed: u64,
}

impl Configuration {
    /// The first 32 hexadecimal digits of the SHA-256 of this configuration as JSON.
    pub fn key(&self) -> String {
        let text = serde_json::to_string(self).unwrap_or_default();
        let mut key = hexadecimal(&Sha256::digest(text.as_bytes()));
        key.truncate(32);
        key
    }
}

/// Bytes as lower-case hexadecimal digits.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A point of a learning curve.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Point {
    /// Steps that were made.
    pub step: u64,
    /// What was made small: the mean training loss since the last point, or the value of the function here.
    pub loss: Option<f64>,
    /// The score on the validation data; larger is better.
    pub score: f64,
}

/// What a run came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// The learning curve; shorter than the budget where the run diverged.
    pub curve: Vec<Point>,
    /// The score on the validation data at the end; that of guessing where the run diverged.
    pub validation: f64,
    /// The loss on the validation data at the end; `None` where the run diverged.
    pub validation_loss: Option<f64>,
    /// The score on the test data at the end; that of guessing where the run diverged. No choice depends on it.
    pub test: f64,
    /// Whether loss, gradients or weights stopped being numbers.
    pub diverged: bool,
}

impl Outcome {
    /// The first point of the curve whose score is at least `target`.
    pub fn reached(&self, target: f64) -> Option<usize> {
        self.curve.iter().position(|point| point.score >= target)
    }

    /// The steps after which the score on the validation data had reached `target`.
    pub fn steps_to(&self, target: f64) -> Option<u64> {
        self.reached(target).map(|index| self.curve[index].step)
    }
}

/// How long a run took; not reproducible, so never part of its [`Outcome`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timing {
    /// Seconds of the whole run.
    pub seconds: f64,
    /// Seconds from the start of the training to each point of the curve.
    pub points: Vec<f64>,
}

/// A run with all that is known of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// What was asked for.
    pub trial: Trial,
    /// What came out.
    pub outcome: Outcome,
    /// How long it took.
    pub timing: Timing,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_key_is_a_function_of_everything() {
        let one = Configuration {
            program: "1".to_string(),
            task: "digits".to_string(),
            fingerprint: "ab".to_string(),
            optimizer: "adam".to_string(),
            class: "Adam".to_string(),
            options: json!({"learning_rate": 0.001, "beta_1": 0.9}),
            seed: 1,
        };
        assert_eq!(one.key(), one.clone().key());
        assert_eq!(one.key().len(), 32);
        let changes: [fn(&mut Configuration); 7] = [
            |c| c.program.push('x'),
            |c| c.task.push('x'),
            |c| c.fingerprint.push('x'),
            |c| c.optimizer.push('x'),
            |c| c.class.push('x'),
            |c| c.options["learning_rate"] = json!(0.001_000_000_000_000_000_2),
            |c| c.seed = 2,
        ];
        let mut keys = vec![one.key()];
        for change in changes {
            let mut other = one.clone();
            change(&mut other);
            keys.push(other.key());
        }
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), 8);
    }
}
