//! Binary rank: which of two samples is better, learned from their order alone.
//!
//! # Formula
//! With the mean level `m` of each sample, `p = (1 + erf((m_a - m_b) / 2)) / 2` and the chance `c` of the true order,
//! `p` if the score of `a` is higher and `1 - p` if not: `loss = 1 - sqrt(c)` (`fidelity`) or `-ln c` (`bce`)
//!
//! # Shapes
//! `logits_a` and `logits_b`: `[pairs, columns]`, `score_a` and `score_b`: `[pairs]`; the result is `[pairs]`.
//!
//! # Range and gradient
//! `[0, 1)` for `fidelity`, at least 0 for `bce`. Smooth, until `c` reaches 1e-7 or `1 - 1e-7`. Only logits get a
//! gradient.
//!
//! # Choices
//! Natural logarithm. Equal scores count as the second one being better. `closed` as in `fidelity`.
//!
//! # Source
//! You et al.: Teaching Large Language Models to Regress Accurate Image Quality Scores using Score Distribution, CVPR
//! 2025; official code, `binary_rating_loss`.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synod_losses::regression::quality::{Levels, binary_rank::{Config, Pairs, binary_rank}};
//!
//! let device = Device::flex();
//! let pairs = Pairs {
//!     logits_a: Tensor::zeros([1, 5], &device),
//!     logits_b: Tensor::zeros([1, 5], &device),
//!     score_a: Tensor::from_data([2.0], &device),
//!     score_b: Tensor::from_data([1.0], &device),
//! };
//! let loss = binary_rank(pairs, &Levels::new([0, 1, 2, 3, 4])?, &Config::default())?.into_scalar::<f32>();
//! assert!((loss - (1.0 - 0.5f32.sqrt())).abs() < 1e-6);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::fidelity::chance;
use super::levels::Levels;
use crate::check;
use crate::error::LossError;
use crate::option::{any, objective};

/// What a chance costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Its fidelity to certainty.
    #[default]
    Fidelity,
    /// Binary cross-entropy.
    Bce,
}

objective! {
    "binary_rank", family: "regression", file: "binary_rank.rs", role: Loss, tasks: [RegressionInContext],
    remembers: None, cost: "O(B C)",
    options: {
        kind / with_kind: Kind = Kind::Fidelity => "\"fidelity\"", any("\"fidelity\", \"bce\""), "cost of a chance";
        closed / with_closed: bool = true, any("true, false"), "choice of a softmax over the five levels only";
    }
}

/// Pairs of samples.
#[derive(Debug, Clone)]
pub struct Pairs {
    /// Of the first of each pair, `[pairs, columns]`.
    pub logits_a: Tensor<2>,
    /// Of the second, `[pairs, columns]`.
    pub logits_b: Tensor<2>,
    /// Labelled scores of the first, `[pairs]`.
    pub score_a: Tensor<1>,
    /// Of the second, `[pairs]`.
    pub score_b: Tensor<1>,
}

/// Smallest chance of the true order.
const CHANCE_MIN: f64 = 1e-7;

/// Values per pair, `[pairs]`.
///
/// # Errors
/// [`LossError::EmptyBatch`], [`LossError::Shape`].
pub fn binary_rank(pairs: Pairs, levels: &Levels, config: &Config) -> Result<Tensor<1>, LossError> {
    let Pairs { logits_a, logits_b, score_a, score_b } = pairs;
    let count = levels.check(NAME, "logits_a", &logits_a)?;
    check::vector(NAME, "score_a", &score_a, count)?;
    check::vector(NAME, "score_b", &score_b, count)?;
    let (left, right) = (levels.score(logits_a, config.closed)?, levels.score(logits_b, config.closed)?);
    check::vector(NAME, "logits_b", &right.mean, count)?;
    let z = (left.mean - right.mean) * 0.5;
    let z = z.clone().neg().mask_where(score_a.greater(score_b), z);
    let chance = chance(z).clamp(CHANCE_MIN, 1.0 - CHANCE_MIN);
    Ok(match config.kind {
        Kind::Fidelity => chance.sqrt().neg() + 1.0,
        Kind::Bce => chance.log().neg(),
    })
}
