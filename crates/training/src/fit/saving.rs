//! What is put into the hands of callbacks that save: averages in the place of weights, and what callbacks remember.

use candle_core::Var;
use indexmap::IndexMap;
use models::Network;

use super::Fit;
use crate::callbacks::{Moment, SavePoint};
use crate::{CallbackState, Held, Result};

impl Fit<'_, '_> {
    /// What the network holds where averages are in the place of the weights, if there are averages.
    pub(super) fn held(&self) -> Held {
        if self.optimizer.has_averages() {
            Held::Averages
        } else {
            Held::Last
        }
    }

    /// Exchanges weights and averages, where the optimizer keeps averages.
    pub(super) fn exchange_averages(&mut self) -> Result<()> {
        if self.optimizer.has_averages() {
            self.optimizer.exchange_averages(&trainable(self.network))?;
        }
        Ok(())
    }

    pub(super) fn remember_callbacks(&mut self) -> Result<()> {
        let mut keys = Keys::default();
        self.history.callbacks.clear();
        for callback in &self.options.callbacks {
            if let Some(key) = callback.key() {
                let key = keys.next(key);
                let state = callback.state()?;
                self.history.callbacks.push(CallbackState { key, ..state });
            }
        }
        Ok(())
    }

    /// Lets those callbacks save that want to.
    pub(super) fn save(&mut self, moment: Moment) -> Result<()> {
        if !self.options.callbacks.iter().any(|callback| callback.saves(&moment)) {
            return Ok(());
        }
        self.remember_callbacks()?;
        // In the middle of an epoch the averages are not in their place yet; before the first step there are none.
        let middle = matches!(moment, Moment::Step(_) | Moment::Interrupted);
        let exchange = middle && self.optimizer.iterations() > 0;
        if exchange {
            self.exchange_averages()?;
            self.history.held = self.held();
        }
        let point = SavePoint {
            moment,
            history: &self.history,
            network: self.network,
            optimizer: self.optimizer,
        };
        for callback in &mut self.options.callbacks {
            if callback.saves(&moment) {
                callback.on_save(&point)?;
            }
        }
        if exchange {
            self.exchange_averages()?;
            self.history.held = Held::Last;
        }
        Ok(())
    }
}

/// Gives the second callback of a kind a key of its own.
#[derive(Default)]
pub(super) struct Keys(IndexMap<&'static str, usize>);

impl Keys {
    pub(super) fn next(&mut self, key: &'static str) -> String {
        let count = self.0.entry(key).or_default();
        *count += 1;
        if *count == 1 {
            key.to_string()
        } else {
            format!("{key}_{count}")
        }
    }
}

/// The weights that training changes.
fn trainable(network: &Network) -> Vec<(&str, &Var)> {
    let trained = network.weights().filter(|weight| weight.trainable);
    trained.map(|weight| (weight.path.as_str(), &weight.var)).collect()
}
