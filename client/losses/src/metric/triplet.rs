//! Triplet loss: an anchor should be nearer to a sample of its class than to one of another class, by a margin.
//!
//! # Formula
//! With `a`, `p` and `n` the rows of `anchor`, `positive` and `negative`, each divided by its length:
//! `loss_b = max(0, |a - p|^2 - |a - n|^2 + margin)`
//!
//! # Shapes
//! [`Triples`] of three times `[batch, width]`; the result is `[batch]`.
//!
//! # Range and gradient
//! `[0, 4 + margin]`, 0 with gradient 0 once the margin is kept. Not smooth where it begins to be kept. Rotating all
//! embeddings or scaling one of them changes nothing.
//!
//! # Choices
//! Squared distances of embeddings of unit length, as in the paper, whose margin is the default. Which triples are worth
//! training on is the caller's choice.
//!
//! # Source
//! Schroff, Kalenichenko, Philbin: FaceNet: A Unified Embedding for Face Recognition and Clustering, CVPR 2015.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synod_losses::metric::triplet::{Config, Triples, triplet};
//!
//! let device = Device::flex();
//! let row = |x: f32, y: f32| Tensor::<2>::from_data([[x, y]], &device);
//! let triples = Triples { anchor: row(1.0, 0.0), positive: row(0.0, 1.0), negative: row(3.0, 0.0) };
//! let loss = triplet(triples, &Config::default())?.into_scalar::<f32>();
//! assert!((loss - 2.2).abs() < 1e-6);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::{Tensor, activation::relu};
use serde::{Deserialize, Serialize};

pub use super::pairs::Triples;
use crate::error::{ConfigError, LossError};
use crate::geometry::unit;
use crate::info::{LossInfo, Objective, OptionInfo, Remembers, Role, TaskKind};
use crate::option::{NON_NEGATIVE, validate};

const NAME: &str = "triplet";

/// Options of triplet loss.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// How much nearer the positive should be, in squared distance; finite, >= 0.
    pub margin: f64,
}

impl Default for Config {
    fn default() -> Self {
        Self { margin: 0.2 }
    }
}

impl Config {
    /// Sets how much nearer the positive should be, in squared distance.
    #[must_use]
    pub fn with_margin(mut self, margin: f64) -> Self {
        self.margin = margin;
        self
    }
}

impl Objective for Config {
    const INFO: LossInfo = LossInfo {
        name: NAME,
        family: "metric",
        role: Role::Loss,
        tasks: &[TaskKind::Retrieval],
        options: &[OptionInfo::new(
            "margin",
            "0.2",
            "finite, >= 0",
            "how much nearer the positive should be, in squared distance",
        )],
        remembers: Remembers::None,
        cost: "O(B D)",
        file: include_str!("triplet.rs"),
    };

    fn validate(self) -> Result<Self, ConfigError> {
        validate("margin", &self.margin, &NON_NEGATIVE)?;
        Ok(self)
    }
}

/// Values per triple, `[batch]`.
///
/// # Errors
/// [`LossError::EmptyBatch`] and [`LossError::Shape`].
pub fn triplet(triples: Triples, config: &Config) -> Result<Tensor<1>, LossError> {
    let [batch, _] = triples.check(NAME)?;
    let anchor = unit(triples.anchor);
    let square = |other: Tensor<2>| (anchor.clone() - unit(other)).square().sum_dim(1).reshape([batch]);
    Ok(relu(square(triples.positive) - square(triples.negative) + config.margin))
}
