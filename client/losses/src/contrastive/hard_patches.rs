//! Hard patches: a second decoder learns which masked patches are hard to reconstruct.
//!
//! # Formula
//! With `p` the predictions and `r` the losses of the masked patches of a sample, and `sigma` the logistic function:
//!
//! - `relative`: the mean of `-ln( sigma(p_j - p_i) + 1e-6 )` over the pairs of all samples with `r_j > r_i`;
//! - `absolute`: the mean of `(p - z)^2` with `z = (r - mean) / sqrt(var + 1e-6)` for each sample, `var` divided by
//!   `M - 1`.
//!
//! # Shapes
//! `predicted, patch_loss: [batch, masked]`; the result is `[1]`: pairs without a tie are counted over the whole batch.
//!
//! # Range and gradient
//! `relative` lies in `[-1e-6, 13.82]`, and is 0 without a gradient where no two losses differ; predictions of 0 give
//! `ln 2 - 2e-6`. A constant added to the predictions of a sample, or a growing function of its losses, changes
//! nothing. `absolute` is `[0, inf)` and needs two masked patches. Patch losses are constants.
//!
//! # Choices
//! The paper counts every pair in both orders, with the same value. The 1e-6 belongs to the definition.
//!
//! # Source
//! Wang et al.: Bootstrap Masked Visual Modeling via Hard Patches Mining, 2023; `models_mae_learn_loss.py` of the released code.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synod_losses::contrastive::hard_patches::{Config, hard_patches};
//!
//! let device = Device::flex();
//! let predicted = Tensor::<2>::zeros([1, 3], &device);
//! let patch_loss = Tensor::<2>::from_data([[0.1, 0.5, 0.2]], &device);
//! let loss = hard_patches(predicted, patch_loss, &Config::default())?.into_scalar::<f32>();
//! assert!((loss - (2f32.ln() - 2e-6)).abs() < 1e-6);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::Tensor;
use burn::tensor::activation::sigmoid;
use serde::{Deserialize, Serialize};

use super::masked_reconstruction::VARIANCE_EPS;
use super::similarity::{shape_error, standardise};
use crate::check;
use crate::error::LossError;
use crate::option::{any, objective};
use crate::reduce::denominator;

objective! {
    "hard_patches", family: "contrastive", file: "hard_patches.rs", role: Term, tasks: [SelfSupervised],
    remembers: None, cost: "O(B M^2)",
    options: {
        form / with_form: Form = Form::Relative => "\"relative\"", any("relative | absolute"),
            "way in which predictions are compared: in pairs or with normalised losses";
    }
}

/// Inside the logarithm, part of the definition.
const LOG_EPS: f64 = 1e-6;

/// What predictions are compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// Which of two patches has the larger loss.
    #[default]
    Relative,
    /// The normalised losses.
    Absolute,
}

/// The term as `[1]`, for `predicted, patch_loss: [batch, masked]`.
///
/// # Errors
/// [`LossError::EmptyBatch`] and [`LossError::Shape`] if there are no patches or shapes differ, or for `absolute` fewer
/// than two patches.
pub fn hard_patches(predicted: Tensor<2>, patch_loss: Tensor<2>, config: &Config) -> Result<Tensor<1>, LossError> {
    let [batch, masked] = check::same_shape(NAME, ("predicted", &predicted), ("patch_loss", &patch_loss))?;
    let patch_loss = patch_loss.detach();
    match config.form {
        Form::Relative => Ok(relative(&predicted, &patch_loss)),
        Form::Absolute if masked < 2 => {
            Err(shape_error(NAME, "predicted", format!("[{batch}, m] with m >= 2"), &[batch, masked]))
        }
        Form::Absolute => {
            let target = standardise(patch_loss, 1, masked as f64 - 1.0, VARIANCE_EPS);
            Ok((predicted - target).square().mean())
        }
    }
}

fn relative(predicted: &Tensor<2>, patch_loss: &Tensor<2>) -> Tensor<1> {
    let [batch, masked] = predicted.dims();
    let pairs = |values: &Tensor<2>| {
        let (of_i, of_j) = (values.clone().reshape([batch, masked, 1]), values.clone().reshape([batch, 1, masked]));
        of_j - of_i
    };
    let not_harder = pairs(patch_loss).lower_equal_scalar(0.0);
    let terms = (sigmoid(pairs(predicted)) + LOG_EPS).log().mask_fill(not_harder.clone(), 0.0);
    let count = terms.clone().detach().ones_like().mask_fill(not_harder, 0.0).sum();
    terms.sum().neg() / denominator(count)
}
