//! Dice loss and Betti matching together: the right pixels, and the right components and loops.
//!
//! # Formula
//! With `p` the sigmoid of the `logits` and `t` the `targets`, sums over the pixels of an image:
//!
//! `loss = mean_b (1 - (2 sum p t + 1e-5) / (sum p + sum t + 1e-5)) + alpha mean_b betti_b`
//!
//! with the values `betti_b` of [`betti_matching`](super::betti_matching()).
//!
//! # Shapes
//! `logits: [batch, height, width]`, `targets: [batch, height, width]` in `[0, 1]`, usually 0 or 1; the loss is `[1]`, with
//! both means beside it.
//!
//! # Range and gradient
//! `[0, inf)`, by the number of bars. See Betti matching for its kinks; Dice is smooth.
//!
//! # Choices
//! `alpha = 0.5` is that of the official configurations. The 1e-5 is the official code's.
//!
//! # Source
//! Stucki, Paetzold, Shit, Menze, Bauer: Topologically faithful image segmentation via induced matching of persistence
//! barcodes, ICML 2023 (arXiv 2211.15272).
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synod_losses::segmentation::betti::with_dice::{Config, dice_betti_matching};
//!
//! let device = Device::flex();
//! let targets = Tensor::<3>::from_data([[[1.0, 0.0, 1.0]]], &device);
//! let logits = (targets.clone() - 0.5) * 200.0;
//! let together = dice_betti_matching(logits, &targets, &Config::default())?;
//! assert!(together.loss.into_scalar::<f32>() < 1e-6);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::loss::{self, BarCounts, Levels, betti_matching};
use crate::error::{ConfigError, LossError};
use crate::info::{LossInfo, Objective, OptionInfo, Remembers, Role, TaskKind};
use crate::option::{NON_NEGATIVE, validate};
use crate::segmentation::dice::{self, dice};

/// The `smooth` of the Dice part.
const SMOOTH: f64 = 1e-5;

const NAME: &str = "dice_betti_matching";

/// Options of Dice loss and Betti matching.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// The weight of Betti matching; finite, >= 0.
    pub alpha: f64,
    /// Which features are looked at; superlevel, sublevel or bothlevel.
    pub filtration: Levels,
    /// Whether a frame is put around the images; true or false.
    pub relative: bool,
    /// Which features count; 0 (components), 1 (loops), or both.
    pub dimensions: Vec<usize>,
}

impl Default for Config {
    fn default() -> Self {
        Self { alpha: 0.5, filtration: Levels::Superlevel, relative: false, dimensions: vec![0, 1] }
    }
}

impl Config {
    /// Sets the weight of Betti matching.
    #[must_use]
    pub fn with_alpha(mut self, alpha: f64) -> Self {
        self.alpha = alpha;
        self
    }

    /// Sets which features are looked at.
    #[must_use]
    pub fn with_filtration(mut self, filtration: Levels) -> Self {
        self.filtration = filtration;
        self
    }

    /// Sets whether a frame is put around the images.
    #[must_use]
    pub fn with_relative(mut self, relative: bool) -> Self {
        self.relative = relative;
        self
    }

    /// Sets which features count.
    #[must_use]
    pub fn with_dimensions(mut self, dimensions: impl Into<Vec<usize>>) -> Self {
        self.dimensions = dimensions.into();
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
            OptionInfo::new("alpha", "0.5", "finite, >= 0", "the weight of Betti matching"),
            OptionInfo::new(
                "filtration",
                "\"superlevel\"",
                "superlevel, sublevel or bothlevel",
                "which features are looked at",
            ),
            OptionInfo::new("relative", "false", "true or false", "whether a frame is put around the images"),
            OptionInfo::new("dimensions", "[0, 1]", "0 (components), 1 (loops), or both", "which features count"),
        ],
        remembers: Remembers::None,
        cost: "O(n log n) for n pixels",
        file: include_str!("with_dice.rs"),
    };

    fn validate(self) -> Result<Self, ConfigError> {
        validate("alpha", &self.alpha, &NON_NEGATIVE)?;
        self.betti().validate()?;
        Ok(self)
    }
}

impl Config {
    /// The options of Betti matching.
    fn betti(&self) -> loss::Config {
        loss::Config::default()
            .with_filtration(self.filtration)
            .with_relative(self.relative)
            .with_dimensions(self.dimensions.clone())
    }
}

/// What [`dice_betti_matching`] gives; both parts before they are weighted.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Together {
    /// The loss, `[1]`.
    pub loss: Tensor<1>,
    /// Mean of the Dice loss, `[1]`.
    pub dice: Tensor<1>,
    /// Mean of Betti matching, `[1]`.
    pub betti: Tensor<1>,
    /// Numbers of bars, added up over the batch.
    pub counts: BarCounts,
}

/// The loss and its parts.
///
/// # Errors
/// Those of Betti matching.
pub fn dice_betti_matching(logits: Tensor<3>, targets: &Tensor<3>, config: &Config) -> Result<Together, LossError> {
    let dice = dice(logits.clone(), targets.clone(), &dice::Config::default().with_smooth(SMOOTH))?.mean();
    let matched = betti_matching(logits, targets, &config.betti())?;
    let betti = matched.values.mean();
    let loss = dice.clone() + betti.clone() * config.alpha;
    Ok(Together { loss, dice, betti, counts: matched.counts })
}
