//! Tversky loss: Dice loss that can mind missed pixels more than wrong ones.
//!
//! # Formula
//! With `p` the sigmoid of the `logits` and `t` the `targets`, sums over all pixels of a sample, `TP = sum p t`,
//! `FN = sum (1 - p) t` and `FP = sum p (1 - t)`:
//! `loss_b = 1 - (TP + smooth) / (TP + alpha FN + (1 - alpha) FP + smooth)`
//!
//! # Shapes
//! `logits` and `targets` of one shape `[batch, ...]`, targets 0 or 1; the result is `[batch]`.
//!
//! # Range and gradient
//! `[0, 1)` and smooth. `alpha = 0.5` with half the `smooth` is Dice loss.
//!
//! # Choices
//! `1 - index` is computed from what is lost, without cancellation. The paper's `beta` is `alpha` here and 0.7, its
//! `alpha` is `1 - alpha`.
//!
//! # Source
//! Salehi, Erdogmus, Gholipour: Tversky loss function for image segmentation using 3D fully convolutional deep networks,
//! MLMI 2017.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synod_losses::segmentation::tversky::{Config, tversky};
//!
//! let device = Device::flex();
//! let logits = Tensor::<2>::from_data([[-1000.0, 1000.0]], &device);
//! let targets = Tensor::<2>::from_data([[1.0, 0.0]], &device);
//! let loss = tversky(logits, targets, &Config::default())?.into_scalar::<f32>();
//! assert!((loss - 0.5).abs() < 1e-6);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::overlap::{Overlap, flattened};
use crate::error::{ConfigError, LossError};
use crate::info::{LossInfo, Objective, OptionInfo, Remembers, Role, TaskKind};
use crate::option::{POSITIVE, SHARE, validate};

const NAME: &str = "tversky";

/// Options of Tversky loss.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// How much a missed pixel counts; a wrong one counts 1 - alpha; from 0 to 1.
    pub alpha: f64,
    /// What is added above and below the fraction bar; finite, > 0.
    pub smooth: f64,
}

impl Default for Config {
    fn default() -> Self {
        Self { alpha: 0.7, smooth: 1.0 }
    }
}

impl Config {
    /// Sets how much a missed pixel counts; a wrong one counts 1 - alpha.
    #[must_use]
    pub fn with_alpha(mut self, alpha: f64) -> Self {
        self.alpha = alpha;
        self
    }

    /// Sets what is added above and below the fraction bar.
    #[must_use]
    pub fn with_smooth(mut self, smooth: f64) -> Self {
        self.smooth = smooth;
        self
    }
}

impl Objective for Config {
    const INFO: LossInfo = LossInfo {
        name: NAME,
        family: "segmentation",
        role: Role::Loss,
        tasks: &[TaskKind::Segmentation],
        options: &[
            OptionInfo::new(
                "alpha",
                "0.7",
                "from 0 to 1",
                "how much a missed pixel counts; a wrong one counts 1 - alpha",
            ),
            OptionInfo::new("smooth", "1.0", "finite, > 0", "what is added above and below the fraction bar"),
        ],
        remembers: Remembers::None,
        cost: "O(pixels)",
        file: include_str!("tversky.rs"),
    };

    fn validate(self) -> Result<Self, ConfigError> {
        validate("alpha", &self.alpha, &SHARE)?;
        validate("smooth", &self.smooth, &POSITIVE)?;
        Ok(self)
    }
}

/// Values per sample, `[batch]`.
///
/// # Errors
/// [`LossError::EmptyBatch`] and [`LossError::Shape`].
pub fn tversky<const D: usize>(logits: Tensor<D>, targets: Tensor<D>, config: &Config) -> Result<Tensor<1>, LossError> {
    let (logits, targets) = flattened(NAME, logits, targets)?;
    Ok(Overlap::of_logits(logits, targets).lacking(config.alpha, config.smooth))
}
