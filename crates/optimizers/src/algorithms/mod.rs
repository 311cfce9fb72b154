//! The optimizers, a file each, and the one list of them. A new one is a new file and a line in the list.

use serde_json::{Map, Value};

use crate::algorithm::Algorithm;
use crate::catalogue::Description;

/// Reads hyper-parameters.
type Parse = fn(Map<String, Value>) -> serde_json::Result<Box<dyn Algorithm>>;

/// An optimizer that can be asked for by name.
pub(crate) struct Entry {
    /// The name to ask for.
    pub(crate) name: &'static str,
    /// The algorithm with its default hyper-parameters.
    pub(crate) default: fn() -> Box<dyn Algorithm>,
    /// The algorithm with the hyper-parameters of a configuration.
    pub(crate) parse: Parse,
    pub(crate) description: &'static Description,
}

/// `module, Type, "name", default, DESCRIPTION;` a line.
macro_rules! list {
    ($($module:ident :: $type:ident, $name:literal, $default:ident, $($description:ident)::+;)*) => {
        /// All optimizers; what follows a line with the same class is a named preset of it.
        pub(crate) static ENTRIES: &[Entry] = &[$(
            Entry {
                name: $name,
                default: || Box::new($module::$type::$default()),
                parse: |map| Ok(Box::new(serde_json::from_value::<$module::$type>(Value::Object(map))?)),
                description: &$module::$($description)::+,
            },
        )*];
    };
}

/// The methods of [`Algorithm`] that read the same in each file.
macro_rules! boilerplate {
    () => {
        fn hyperparameters(&self) -> serde_json::Map<String, serde_json::Value> {
            crate::algorithm::fields(self)
        }

        fn boxed(&self) -> Box<dyn Algorithm> {
            Box::new(self.clone())
        }
    };
}
use boilerplate;

mod adadelta;
mod adafactor;
mod adagrad;
mod adam;
mod adamax;
mod adamw;
mod adopt;
mod ftrl;
mod lamb;
mod lion;
mod muon;
mod nadam;
mod prodigy;
mod rmsprop;
mod schedule_free_adamw;
mod schedule_free_sgd;
mod sgd;
mod soap;
mod torch;

pub use adadelta::Adadelta;
pub use adafactor::Adafactor;
pub use adagrad::Adagrad;
pub use adam::Adam;
pub use adamax::Adamax;
pub use adamw::AdamW;
pub use adopt::Adopt;
pub use ftrl::Ftrl;
pub use lamb::Lamb;
pub use lion::Lion;
pub use muon::Muon;
pub use nadam::Nadam;
pub use prodigy::Prodigy;
pub use rmsprop::RmsProp;
pub use schedule_free_adamw::ScheduleFreeAdamW;
pub use schedule_free_sgd::ScheduleFreeSgd;
pub use sgd::Sgd;
pub use soap::Soap;
pub use torch::{
    AdjustLr, Asgd, RAdam, Rprop, TorchAdadelta, TorchAdafactor, TorchAdagrad, TorchAdam, TorchAdamW, TorchAdamax,
    TorchMuon, TorchNadam, TorchRmsProp, TorchSgd,
};

list! {
    sgd::Sgd, "sgd", default, DESCRIPTION;
    sgd::Sgd, "sgd_momentum", with_momentum, MOMENTUM;
    rmsprop::RmsProp, "rmsprop", default, DESCRIPTION;
    adam::Adam, "adam", default, DESCRIPTION;
    adamw::AdamW, "adamw", default, DESCRIPTION;
    adamax::Adamax, "adamax", default, DESCRIPTION;
    adagrad::Adagrad, "adagrad", default, DESCRIPTION;
    adadelta::Adadelta, "adadelta", default, DESCRIPTION;
    adafactor::Adafactor, "adafactor", default, DESCRIPTION;
    nadam::Nadam, "nadam", default, DESCRIPTION;
    lion::Lion, "lion", default, DESCRIPTION;
    lamb::Lamb, "lamb", default, DESCRIPTION;
    ftrl::Ftrl, "ftrl", default, DESCRIPTION;
    muon::Muon, "muon", default, DESCRIPTION;
    schedule_free_adamw::ScheduleFreeAdamW, "schedule_free_adamw", default, DESCRIPTION;
    schedule_free_sgd::ScheduleFreeSgd, "schedule_free_sgd", default, DESCRIPTION;
    prodigy::Prodigy, "prodigy", default, DESCRIPTION;
    soap::Soap, "soap", default, DESCRIPTION;
    adopt::Adopt, "adopt", default, DESCRIPTION;
    torch::RAdam, "radam", default, descriptions::RADAM;
    torch::Asgd, "asgd", default, descriptions::ASGD;
    torch::Rprop, "rprop", default, descriptions::RPROP;
    torch::TorchSgd, "torch_sgd", default, descriptions::SGD;
    torch::TorchRmsProp, "torch_rmsprop", default, descriptions::RMSPROP;
    torch::TorchAdam, "torch_adam", default, descriptions::ADAM;
    torch::TorchAdamW, "torch_adamw", default, descriptions::ADAMW;
    torch::TorchAdamax, "torch_adamax", default, descriptions::ADAMAX;
    torch::TorchAdagrad, "torch_adagrad", default, descriptions::ADAGRAD;
    torch::TorchAdadelta, "torch_adadelta", default, descriptions::ADADELTA;
    torch::TorchAdafactor, "torch_adafactor", default, descriptions::ADAFACTOR;
    torch::TorchNadam, "torch_nadam", default, descriptions::NADAM;
    torch::TorchMuon, "torch_muon", default, descriptions::MUON;
}
