//! Dual-head distillation: the main head learns labels while an auxiliary head imitates the teacher's logits.
//!
//! # Formula
//! With weights `gamma` and `alpha`, and `binary_kl_norm` at `temperature`:
//!
//! `loss_b = gamma CE(main_b, label_b) + alpha binary_kl_norm(aux_b, teacher_b)`
//!
//! # Shapes
//! `main_logits`, `aux_logits`, `teacher_logits`: `[batch, classes]`, `targets: [batch]`; the result is `[batch]`.
//!
//! # Range and gradient
//! `[0, inf)` and smooth. Each head has the gradient of its own term; the teacher gets none.
//!
//! # Choices
//! The defaults are the official recipe for small images; for large ones it has `alpha = 0.1`. The two terms can pull
//! the backbone in opposite directions: `align_gradients` takes out that part. The auxiliary head stays at the site.
//!
//! # Source
//! Yang et al.: Dual-Head Knowledge Distillation: Enhancing Logits Utilization with an Auxiliary Head, 2024.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Int, Tensor};
//! use synod_losses::distillation::dual_head::{Config, Inputs, dual_head};
//!
//! let device = Device::flex();
//! let logits = Tensor::<2>::from_data([[0.0, 0.0]], &device);
//! let inputs = Inputs {
//!     main_logits: logits.clone(),
//!     aux_logits: logits.clone(),
//!     teacher_logits: logits,
//!     targets: Tensor::<1, Int>::from_data([1], &device),
//! };
//! let loss = dual_head(inputs, &Config::default())?.total.into_scalar::<f32>();
//! assert!((loss - 2f32.ln()).abs() < 1e-6);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::{Int, Tensor};

use super::binary_kl_norm::{self, binary_kl_norm};
use crate::check;
use crate::classification::cross_entropy;
use crate::error::LossError;
use crate::option::{NON_NEGATIVE, POSITIVE, objective};

objective! {
    "dual_head", family: "distillation", file: "dual_head.rs", role: Loss, tasks: [Distillation], remembers: None,
    cost: "O(B C)",
    options: {
        temperature / with_temperature: f64 = 2.0, POSITIVE, "temperature of the distillation";
        gamma / with_gamma: f64 = 1.0, NON_NEGATIVE, "weight of cross-entropy";
        alpha / with_alpha: f64 = 1.0, NON_NEGATIVE, "weight of distillation";
    }
}

/// What dual-head distillation takes.
#[derive(Debug, Clone)]
pub struct Inputs {
    /// Of the classification head, `[batch, classes]`.
    pub main_logits: Tensor<2>,
    /// Of the auxiliary head, `[batch, classes]`.
    pub aux_logits: Tensor<2>,
    /// Of the teacher, `[batch, classes]`.
    pub teacher_logits: Tensor<2>,
    /// Labels, `[batch]`.
    pub targets: Tensor<1, Int>,
}

/// The loss and its terms, each `[batch]`.
#[derive(Debug, Clone)]
pub struct Values {
    /// What is minimised.
    pub total: Tensor<1>,
    /// Cross-entropy of the main head, unweighted.
    pub cross_entropy: Tensor<1>,
    /// Distillation of the auxiliary head, unweighted.
    pub distillation: Tensor<1>,
}

/// Values per sample.
///
/// # Errors
/// [`LossError::EmptyBatch`], [`LossError::Shape`].
pub fn dual_head(inputs: Inputs, config: &Config) -> Result<Values, LossError> {
    let Inputs { main_logits, aux_logits, teacher_logits, targets } = inputs;
    check::same_shape(NAME, ("main_logits", &main_logits), ("aux_logits", &aux_logits))?;
    let cross_entropy = cross_entropy::cross_entropy(main_logits, targets, &Default::default())?;
    let options = binary_kl_norm::Config::default().with_temperature(config.temperature);
    let distillation = binary_kl_norm(aux_logits, teacher_logits, &options)?;
    let total = cross_entropy.clone() * config.gamma + distillation.clone() * config.alpha;
    Ok(Values { total, cross_entropy, distillation })
}
