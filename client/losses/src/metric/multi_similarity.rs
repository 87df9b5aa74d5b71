//! Multi-similarity loss: all samples of an anchor's class pull and all others push, the worst placed ones most.
//!
//! # Formula
//! With `s` the cosine of two rows of `embeddings`, `P` the other samples of the anchor's class and `N` the samples of
//! other classes:
//!
//! `loss_b = ln(1 + sum_(p in P) exp(-beta (s - margin))) / beta + ln(1 + sum_(n in N) exp(gamma (s - margin))) / gamma`
//!
//! # Shapes
//! `embeddings: [batch, width]`, `labels: [batch]`; the result is `[batch]`, one value for each sample as anchor.
//!
//! # Range and gradient
//! `[0, inf)` and smooth. A sample without others of its class has no first part, a batch of one class no second one.
//! Rotating all embeddings or scaling one of them changes nothing.
//!
//! # Choices
//! Sums of exponentials are taken from the largest of them, with the 1 among them, so that any `beta` and `gamma` are
//! finite. No pairs are left out. The paper calls `beta`, `gamma` and `margin` alpha, beta and lambda; its default of
//! `margin` is 1, with mined pairs; 0.5 is usual without.
//!
//! # Source
//! Wang, Han, Huang, Dong, Scott: Multi-Similarity Loss with General Pair Weighting for Deep Metric Learning, CVPR 2019,
//! equation 15.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Int, Tensor};
//! use synod_losses::metric::multi_similarity::{Config, multi_similarity};
//!
//! let device = Device::flex();
//! let embeddings = Tensor::<2>::from_data([[1.0, 0.0], [0.6, 0.8]], &device);
//! let labels = Tensor::<1, Int>::from_data([0, 0], &device);
//! let loss = multi_similarity(embeddings, &labels, &Config::default().with_margin(0.6))?;
//! assert!((loss.mean().into_scalar::<f32>() - 2f32.ln() / 2.0).abs() < 1e-6);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::{Int, Tensor};
use serde::{Deserialize, Serialize};

use super::pairs::{Pairs, check_labelled, log_one_plus_sum};
use crate::error::{ConfigError, LossError};
use crate::geometry::unit;
use crate::info::{LossInfo, Objective, OptionInfo, Remembers, Role, TaskKind};
use crate::option::{FINITE, POSITIVE, validate};

const NAME: &str = "multi_similarity";

/// Options of multi-similarity loss.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// How much the farthest sample of the class prevails; finite, > 0.
    pub beta: f64,
    /// How much the nearest sample of another class prevails; finite, > 0.
    pub gamma: f64,
    /// The similarity that parts near from far; finite.
    pub margin: f64,
}

impl Default for Config {
    fn default() -> Self {
        Self { beta: 2.0, gamma: 50.0, margin: 0.5 }
    }
}

impl Config {
    /// Sets how much the farthest sample of the class prevails.
    #[must_use]
    pub fn with_beta(mut self, beta: f64) -> Self {
        self.beta = beta;
        self
    }

    /// Sets how much the nearest sample of another class prevails.
    #[must_use]
    pub fn with_gamma(mut self, gamma: f64) -> Self {
        self.gamma = gamma;
        self
    }

    /// Sets the similarity that parts near from far.
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
        options: &[
            OptionInfo::new("beta", "2.0", "finite, > 0", "how much the farthest sample of the class prevails"),
            OptionInfo::new("gamma", "50.0", "finite, > 0", "how much the nearest sample of another class prevails"),
            OptionInfo::new("margin", "0.5", "finite", "the similarity that parts near from far"),
        ],
        remembers: Remembers::None,
        cost: "O(B^2 D)",
        file: include_str!("multi_similarity.rs"),
    };

    fn validate(self) -> Result<Self, ConfigError> {
        validate("beta", &self.beta, &POSITIVE)?;
        validate("gamma", &self.gamma, &POSITIVE)?;
        validate("margin", &self.margin, &FINITE)?;
        Ok(self)
    }
}

/// Values per anchor, `[batch]`, for `embeddings: [batch, width]` and `labels: [batch]`.
///
/// # Errors
/// [`LossError::EmptyBatch`] and [`LossError::Shape`].
pub fn multi_similarity(
    embeddings: Tensor<2>,
    labels: &Tensor<1, Int>,
    config: &Config,
) -> Result<Tensor<1>, LossError> {
    let [batch, _] = check_labelled(NAME, "embeddings", &embeddings, labels)?;
    let unit = unit(embeddings);
    let pairs = Pairs::new(labels, &unit);
    let similarities = unit.clone().matmul(unit.transpose());
    Ok(pull_and_push(similarities, pairs.same, pairs.different, config).reshape([batch]))
}

/// Both parts, `[rows, 1]`, with the weights by which each column pulls and pushes.
pub(super) fn pull_and_push(similarities: Tensor<2>, pull: Tensor<2>, push: Tensor<2>, config: &Config) -> Tensor<2> {
    let Config { beta, gamma, margin } = *config;
    let beyond = similarities - margin;
    log_one_plus_sum(beyond.clone() * -beta, pull) / beta + log_one_plus_sum(beyond * gamma, push) / gamma
}
