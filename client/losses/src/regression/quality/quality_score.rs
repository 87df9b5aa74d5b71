//! Quality scores: learns levels of both samples of a pair and their order.
//!
//! # Formula
//! `loss = w_rank fidelity(a, b) + w_label (soft_level_kl(a) + soft_level_kl(b))`
//!
//! # Shapes
//! As in `fidelity`, and `probs_a`, `probs_b`: `[pairs, 5]`; the results are `[pairs]`.
//!
//! # Range and gradient
//! At least `-1e-4 w_rank`. Smooth; only logits get a gradient.
//!
//! # Choices
//! Where the reference sums over the words of an answer, this has the one that names the level. The weights are the
//! reference's.
//!
//! # Source
//! You et al.: Teaching Large Language Models to Regress Accurate Image Quality Scores using Score Distribution, CVPR
//! 2025.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synod_losses::regression::quality::{Levels, fidelity::Side, quality_score::{Config, quality_score}};
//!
//! let device = Device::flex();
//! let one = |value: f32| Tensor::<1>::from_data([value], &device);
//! let side = Side { logits: Tensor::zeros([1, 5], &device), score: one(3.0), std: one(1.0) };
//! let probs = Tensor::<2>::full([1, 5], 0.2, &device);
//! let levels = Levels::new([0, 1, 2, 3, 4])?;
//! let values = quality_score((side.clone(), probs.clone()), (side, probs), &levels, &Config::default())?;
//! assert!(values.total.into_scalar::<f32>().abs() < 1e-6);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::Tensor;

use super::fidelity::{self, Side, fidelity};
use super::levels::Levels;
use super::soft_level_kl::soft_level_kl;
use crate::error::LossError;
use crate::option::{NON_NEGATIVE, any, objective};

objective! {
    "quality_score", family: "regression", file: "quality_score.rs", role: Loss, tasks: [RegressionInContext],
    remembers: None, cost: "O(B C)",
    options: {
        closed / with_closed: bool = true, any("true, false"), "choice of a softmax over the five levels only";
        fix_std / with_fix_std: bool = true, any("true, false"), "choice of variance 1 for all predictions";
        detach_std / with_detach_std: bool = true, any("true, false"), "choice of predicted variances as constants";
        w_rank / with_w_rank: f64 = 1.0, NON_NEGATIVE, "weight of the order";
        w_label / with_w_label: f64 = 0.05, NON_NEGATIVE, "weight of the levels";
    }
}

/// Values per pair, `[pairs]`.
#[derive(Debug, Clone)]
pub struct Values {
    /// What is minimised.
    pub total: Tensor<1>,
    /// Fidelity of the order, unweighted.
    pub rank: Tensor<1>,
    /// Divergence of the levels of both, unweighted.
    pub label: Tensor<1>,
}

/// Values per pair, for two sides, each with the probabilities of its levels, `[pairs, 5]`.
///
/// # Errors
/// [`LossError::EmptyBatch`], [`LossError::Shape`].
pub fn quality_score(
    (a, probs_a): (Side, Tensor<2>),
    (b, probs_b): (Side, Tensor<2>),
    levels: &Levels,
    config: &Config,
) -> Result<Values, LossError> {
    let divergence_b = soft_level_kl(b.logits.clone(), probs_b, levels)?;
    let divergence_a = soft_level_kl(a.logits.clone(), probs_a, levels)?;
    let options = fidelity::Config { closed: config.closed, fix_std: config.fix_std, detach_std: config.detach_std };
    let rank = fidelity(a, b, levels, &options)?.loss;
    let label = divergence_a + divergence_b;
    Ok(Values { total: rank.clone() * config.w_rank + label.clone() * config.w_label, rank, label })
}
