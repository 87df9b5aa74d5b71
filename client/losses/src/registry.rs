//! The one list of everything in the zoo, and what follows from it.
//!
//! To add a loss, write its file (a `Config` with [`Objective`] and a function), add one line to `losses!` below, and
//! put its golden file into `tests/golden/`. The configuration enum, the names in plans, the listing, the
//! documentation and the tests that run over the whole zoo follow.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::classification::{cross_entropy, focal};
use crate::error::LossError;
use crate::info::{LossInfo, Objective, Role, TaskKind};
use crate::multilabel::bce;
use crate::regression::{gaussian_nll, huber, mae, mse};
use crate::regulariser::margin_control;
use crate::state::Remembering;

macro_rules! losses {
    (
        losses { $($variant:ident($config:ty) = $name:literal,)+ }
        terms { $($term:ty,)* }
    ) => {
        /// A loss and its options, as a plan names them.
        ///
        /// In TOML it is a table with the loss as its only key, in JSON an object: `{"focal": {"gamma": 2.0}}`.
        /// Options left out have the paper's values; unknown options are errors. Deserialising does not look at
        /// ranges: call [`LossConfig::validate`], or build with [`LossConfig::from_name`], which does.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[non_exhaustive]
        pub enum LossConfig {
            $(
                #[doc = concat!("`", $name, "`")]
                #[serde(rename = $name)]
                $variant($config),
            )+
        }

        /// Everything in the zoo, in the order of the list.
        pub const CATALOGUE: &[LossInfo] = &[$(<$config as Objective>::INFO,)+ $(<$term as Objective>::INFO,)*];

        impl LossConfig {
            /// Names of all losses (terms are not among them: a plan cannot train on a term alone).
            pub const NAMES: &[&str] = &[$($name,)+];

            /// Every loss of the zoo with the paper's options.
            pub fn defaults() -> Vec<Self> {
                vec![$(Self::$variant(<$config>::default()),)+]
            }

            /// Reads the options of the loss called `name` and checks them.
            ///
            /// # Errors
            /// [`LossError::Unknown`] lists the known names, the nearest first; [`LossError::Options`] if an option is
            /// unknown or of another type; [`LossError::Config`] if one is out of range.
            pub fn from_name<'de, D: Deserializer<'de>>(name: &str, options: D) -> Result<Self, LossError> {
                let config = match name {
                    $($name => <$config>::deserialize(options).map(Self::$variant),)+
                    _ => return Err(unknown(name)),
                };
                let info = Self::find(name);
                config
                    .map_err(|error| LossError::Options {
                        name: info.map_or("", |info| info.name),
                        reason: error.to_string(),
                        options: info.map_or(&[][..], |info| info.options).iter().map(|option| option.name).collect(),
                    })?
                    .validate()
            }

            /// Checks every option.
            ///
            /// # Errors
            /// [`LossError::Config`] names the first option outside its range.
            pub fn validate(self) -> Result<Self, LossError> {
                let name = self.name();
                match self {
                    $(Self::$variant(config) => config.validate().map(Self::$variant),)+
                }
                .map_err(|source| LossError::Config { name, source })
            }

            /// Its name in a plan.
            pub const fn name(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => $name,)+
                }
            }

            /// What the zoo knows about it.
            pub const fn info(&self) -> LossInfo {
                match self {
                    $(Self::$variant(_) => <$config as Objective>::INFO,)+
                }
            }

            /// Its options by themselves, without its name, for anything that serialises.
            pub fn options(&self) -> impl Serialize + '_ {
                LossOptions(self)
            }
        }

        struct LossOptions<'a>(&'a LossConfig);

        impl Serialize for LossOptions<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self.0 {
                    $(LossConfig::$variant(config) => config.serialize(serializer),)+
                }
            }
        }
    };
}

losses! {
    losses {
        CrossEntropy(cross_entropy::Config) = "cross_entropy",
        Focal(focal::Config) = "focal",
        BinaryCrossEntropy(bce::Config) = "binary_cross_entropy",
        Mse(mse::Config) = "mse",
        Mae(mae::Config) = "mae",
        Huber(huber::Config) = "huber",
        GaussianNll(gaussian_nll::Config) = "gaussian_nll",
    }
    terms {
        margin_control::Config,
    }
}

impl LossConfig {
    /// Whether it can be used for `task`.
    pub fn fits(&self, task: TaskKind) -> bool {
        self.info().fits(task)
    }

    /// That it cannot be used for `task`, with the losses that can.
    pub fn unfit(&self, task: TaskKind) -> LossError {
        LossError::Unfit { name: self.name(), wanted: task.inputs(), others: Self::names_for(task) }
    }

    /// The loss as one that remembers from step to step, if it does: then training must go through
    /// [`Remembering::objective`]. Without memory every sample counts as one seen for the first time.
    pub fn remembering(&self) -> Option<&dyn Remembering> {
        None
    }

    /// What the zoo knows about the loss or term called `name`.
    pub fn find(name: &str) -> Option<&'static LossInfo> {
        CATALOGUE.iter().find(|info| info.name == name)
    }

    /// Names of the losses that can be used for `task`.
    pub fn names_for(task: TaskKind) -> Vec<&'static str> {
        let fitting = CATALOGUE.iter().filter(|info| info.role == Role::Loss && info.fits(task));
        fitting.map(|info| info.name).collect()
    }
}

impl Default for LossConfig {
    /// Plain cross-entropy.
    fn default() -> Self {
        Self::CrossEntropy(cross_entropy::Config::default())
    }
}

/// All names, nearest to what was asked for first.
fn unknown(name: &str) -> LossError {
    // A name from outside may be of any length; beyond this it resembles nothing, and the distance costs its length.
    let asked: String = name.chars().take(NAME_CHARS_MAX).collect();
    let mut nearest = LossConfig::NAMES.to_vec();
    nearest.sort_by_key(|known| strsim::damerau_levenshtein(&asked, known));
    LossError::Unknown { name: asked, nearest }
}

const NAME_CHARS_MAX: usize = 64;
